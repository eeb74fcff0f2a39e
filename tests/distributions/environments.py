"""Fresh environments, in which real distributions are built, installed, used and removed, all offline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import astra_registry

TOP = Path(__file__).parents[2]
HERE = Path(sysconfig.get_path("purelib"))
OURS = re.compile(r"astra_registry_\w+(-[\d.]+\.dist-info)?|.*\.pth|__editable__.*|_editable_impl.*")


class Environment:
    """A virtual environment with the core and what it needs, and no plugin."""

    def __init__(self, folder: Path, *, with_pip: bool = True) -> None:
        self.folder = folder
        venv.create(folder / "env", symlinks=True, with_pip=False)
        self.python = folder / "env/bin/python"
        paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
        self.packages = Path(sysconfig.get_path("purelib", vars=paths))
        seen = folder / "seen"  # what the running environment has, but for its plugins
        seen.mkdir()
        for entry in HERE.iterdir():
            if not OURS.fullmatch(entry.name) and (with_pip or not entry.name.startswith("pip")):
                (seen / entry.name).symlink_to(entry)
        if not (seen / "astra_registry").exists():
            (seen / "astra_registry").symlink_to(Path(astra_registry.__file__).parent)
        (self.packages / "core.pth").write_text(f"{seen}\n")
        (folder / "home").mkdir()

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment; nothing of the outer one's settings is seen."""
        outer = {n: v for n, v in os.environ.items() if not n.startswith(("ASTRA_", "PIP_", "PYTHON", "SAS_", "UV_"))}
        own = {
            "HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "home/.config"),
            "XDG_DATA_HOME": str(self.folder / "home/.local/share"),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        return subprocess.run(
            [str(self.python), *map(str, command)],
            cwd=self.folder / "home",
            env=outer | own | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def registry(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `astra-registry` with these arguments."""
        return self.run("-m", "astra_registry", *arguments, **environment)

    def plugins(self, **environment: str) -> dict[str, dict[str, Any]]:
        """What `plugins list --json` says: distribution → plugin."""
        done = self.registry("plugins", "list", "--json", **environment)
        assert done.returncode == 0, done.stderr
        return {plugin["distribution"]: plugin for plugin in json.loads(done.stdout)}

    def unpack(self, wheel: Path) -> None:
        """Install a wheel as an installer does; quicker than pip, where it is not pip that is tested."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.packages)

    def contents(self) -> set[str]:
        """The names of what is installed."""
        return {entry.name for entry in self.packages.iterdir() if entry.name != "__pycache__"}


def wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    plugin: Mapping[str, str] | None = None,
    products: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> Path:
    """Build a wheel on the spot: modules, and entry points of our two groups."""
    stem = f"{name.replace('-', '_')}-{version}"
    groups = {"astra_registry": plugin, "astra_registry.products": products}
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in named.items())
        for group, named in groups.items()
        if named
    )
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": points,
    }
    content = {path: textwrap.dedent(text) for path, text in files.items()}
    content |= {f"{stem}.dist-info/{path}": text for path, text in metadata.items()}
    record = f"{stem}.dist-info/RECORD"
    folder.mkdir(exist_ok=True)
    made = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
        archive.writestr(record, "".join(f"{path},,\n" for path in [*content, record]))
    return made


def module(name: str, *, before: str = "") -> str:
    """The source of a plugin with one product, `name`."""
    text = f"$MWM_ASTRA/0.6.0/{name}/{name}-{{sdss_id}}.fits"
    return before + (
        "from astra_registry import SDSS5DataModelTask, hookimpl, parameter\n\n\n"
        "class Product(SDSS5DataModelTask):\n"
        f'    """The product {name}."""\n\n'
        f'    sdss_data_model_name = "{name}"\n'
        f'    templates = {{"dr19": "{text}"}}\n\n'
        '    sdss_id: int = parameter("The star.", batch=True)\n\n\n'
        "@hookimpl\n"
        "def astra_registry_products():\n"
        "    return [Product]\n"
    )


def good(folder: Path, name: str = "goodStar", distribution: str = "good-plugin", **more: Any) -> Path:
    """A wheel of a plugin that works."""
    word = distribution.replace("-", "_")
    return wheel(
        folder,
        distribution,
        {f"{word}.py": module(name)},
        plugin={more.pop("plugin", word): word},
        products={name: f"{word}:Product"},
        **more,
    )
