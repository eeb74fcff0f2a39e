"""The environment that runs this: what pip, uv or pipx change in it, and what a fresh process then finds."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.installed import Distribution, normal

CORE = "astra-registry"


@attrs.frozen
class Installer:
    """The program that installs into this environment: its name, and the beginnings of its commands."""

    name: str
    install: tuple[str, ...]
    uninstall: tuple[str, ...]
    upgrade: tuple[str, ...]
    pip_arguments: bool = True  # whether pip's own options can follow; pipx wants them in one option


def installer() -> Installer:
    """Return pipx in an environment that pipx made, else pip, else uv. Raises AstraRegistryError when there is none."""
    python, uv, pipx = sys.executable, shutil.which("uv"), shutil.which("pipx")
    if pipx and os.path.exists(os.path.join(sys.prefix, "pipx_metadata.json")):
        venv = os.path.basename(sys.prefix)
        return Installer(
            "pipx", (pipx, "inject", venv), (pipx, "uninject", venv), (pipx, "runpip", venv, "install", "-U"), False
        )
    if importlib.util.find_spec("pip") is not None:
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        return Installer("pip", (*pip, "install"), (*pip, "uninstall", "-y"), (*pip, "install", "-U"))
    if uv:
        there = ("-p", python)
        install = (uv, "pip", "install", *there)
        return Installer("uv", install, (uv, "pip", "uninstall", *there), (*install, "-U"))
    raise AstraRegistryError(f"neither pip nor uv is there to install with: {python} -m ensurepip brings pip")


def install(names: Sequence[str], *, upgrade: bool = False, pip_arguments: Sequence[str] = ()) -> None:
    """Install distributions: names as pip takes them, folders, wheels, URLs. Raises AstraRegistryError."""
    program = installer()
    arguments = [*names, *pip_arguments]
    if not program.pip_arguments and not upgrade and pip_arguments:
        arguments = [*names, f"--pip-args={' '.join(pip_arguments)}"]
    _run(program, [*(program.upgrade if upgrade else program.install), *arguments])


def uninstall(names: Sequence[str], *, pip_arguments: Sequence[str] = ()) -> None:
    """Uninstall distributions. Raises AstraRegistryError."""
    program = installer()
    _run(program, [*program.uninstall, *names, *pip_arguments])


def _run(program: Installer, command: Sequence[str]) -> None:
    # What it tells is no data of ours: to stderr.
    sys.stderr.flush()
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
    if code:
        raise AstraRegistryError(f"{program.name} did not do it (exit code {code}); what it says is above")


def plugins_in_a_fresh_process() -> list[dict[str, Any]]:
    """Return what `plugins list --json` says when it is asked anew, as one dictionary a plugin."""
    command = [sys.executable, "-P", "-m", "astra_registry", "plugins", "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        listed: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        raise AstraRegistryError(
            f"after that, `astra-registry plugins list` fails: {done.stderr.strip() or 'it says nothing'}"
        ) from None
    return listed


# ---------------------------------------------------------------- pinned distributions


@attrs.frozen
class Pin:
    """One distribution at one version, and where it came from when that was no package index."""

    name: str
    version: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" + (f"  # from {self.url}" if self.url else "")

    @property
    def requirement(self) -> str:
        """What to ask pip for: the place it came from when that is still there, else name and version."""
        path = self.url.removeprefix("file://")
        there = bool(self.url) and (not self.url.startswith("file://") or os.path.exists(path))
        return f"{self.name} @ {self.url}" if there else f"{self.name}=={self.version}"


_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)\s*==\s*([\w.!+-]+)\s*(?:#\s*(?:from\s+(\S+))?.*)?")


def pins(distributions: Iterable[Distribution]) -> list[Pin]:
    """Return installed distributions as pins, in alphabetical order."""
    made = [Pin(d.name, d.version, _origin(d)) for d in distributions if d.key != CORE]
    return sorted(made, key=lambda pin: normal(pin.name))


def _origin(distribution: Distribution) -> str:
    try:
        with open(os.path.join(distribution.folder, "direct_url.json"), encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return ""
    url = str(told.get("url", ""))
    if "vcs_info" in told:
        return f"{told['vcs_info'].get('vcs')}+{url}@{told['vcs_info'].get('commit_id')}"
    return url


def read_pins(path: str) -> list[Pin]:
    """Return the pins that a file holds, one ``name==version`` a line. Raises BadValue with the line."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise BadValue(f"{path} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pin = _PIN.fullmatch(line.strip())
        if pin is None:
            raise BadValue(f"{path}, line {number}: {line.strip()!r} is no pin such as astra-registry-spec==1.0.0")
        found.append(Pin(pin[1], pin[2], pin[3] or ""))
    return found


def difference(wanted: Sequence[Pin], present: Mapping[str, str]) -> tuple[list[Pin], list[str]]:
    """Return the pins to install and the distributions to uninstall; `present` is key → version."""
    keys = {normal(pin.name) for pin in wanted}
    return [p for p in wanted if present.get(normal(p.name)) != p.version], [k for k in present if k not in keys]
