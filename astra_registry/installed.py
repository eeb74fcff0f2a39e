"""What the installed distributions say they bring: read from their metadata, in a few milliseconds, importing none."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import attrs

GROUP = "astra_registry"
"""The group of entry points that name plugins; groups of the rest begin with it and a dot."""


class BrokenPluginWarning(UserWarning):
    """A plugin does not work; the message names its distribution."""


stdout_is_data = False
"""Whether what plugins print when they are asked goes to stderr: scripts read the command line's stdout."""


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Send what is printed to stderr where stdout is data."""
    if not stdout_is_data:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


_MODULE = re.compile(r"[\w.]+")
_LINE = re.compile(r"\s*([^=#;\s][^=]*?)\s*=\s*([\w.]+)\s*(?::\s*([\w.-]+))?\s*(?:\[[^\]]*\]\s*)?")


@attrs.frozen
class Point:
    """One entry point: a name, and the module (or the object or file in it) that it stands for."""

    name: str
    module: str
    attribute: str = ""

    @property
    def value(self) -> str:
        """The entry point's text: ``module`` or ``module:attribute``."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module

    def load(self) -> Any:
        """Return what the entry point names; raises what its import raises, and ImportError when it is not there."""
        if not _MODULE.fullmatch(self.module):
            raise ImportError(f"its entry point '{self.name} = {self.value}' names no module")
        with aside():
            found: Any = importlib.import_module(self.module)
        for name in filter(None, self.attribute.split(".")):
            try:
                found = getattr(found, name)
            except AttributeError:
                raise ImportError(f"{self.module} has no {self.attribute}") from None
        return found

    def beside(self) -> str:
        """Return the path of the file that the entry point names, in its package's folder; nothing is imported."""
        top, _, rest = self.module.partition(".")
        spec = find_spec(top)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        folder = places[0] if places else os.path.dirname(spec.origin or "") if spec is not None else ""
        return os.path.join(folder, *filter(None, rest.split(".")), self.attribute)


@attrs.frozen(eq=False, slots=False)
class Distribution:
    """An installed distribution with entry points of ours, known by its folder of metadata."""

    folder: str
    points: Mapping[str, tuple[Point, ...]]  # by group

    @cached_property
    def key(self) -> str:
        """Its name as folders and package indexes fold it: lower case, dashes."""
        return normal(os.path.basename(self.folder).rpartition(".")[0].partition("-")[0])

    @cached_property
    def _metadata(self) -> Mapping[str, str]:
        for name in ("METADATA", "PKG-INFO"):
            try:
                with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                    head = file.read().partition("\n\n")[0]
            except OSError:
                continue
            fields = (line.partition(":") for line in head.splitlines())
            return {name: value.strip() for name, _, value in fields if name in ("Name", "Version")}
        return {}

    @property
    def name(self) -> str:
        """Its name, as its author spells it."""
        return self._metadata.get("Name") or self.key

    @property
    def version(self) -> str:
        """Its version."""
        return self._metadata.get("Version", "")


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it: ``Astra_Registry.spec`` is ``astra-registry-spec``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions() -> list[Distribution]:
    """Return the distributions that bring something for us, in alphabetical order.

    importlib.metadata would take ten times as long, most of it for its own import. As there, the first of several
    distributions of one name is the one that counts: Python imports that one as well.
    """
    found: dict[str, Distribution] = {}
    for place in dict.fromkeys(sys.path):
        for folder, text in _entry_points(place or os.curdir):
            if GROUP in text and (points := _parsed(text)):
                distribution = Distribution(folder, points)
                found.setdefault(distribution.key, distribution)
    return [found[key] for key in sorted(found)]


def _entry_points(place: str) -> Iterator[tuple[str, str]]:
    """Yield ``(folder of metadata, text of its entry_points.txt)`` for one entry of `sys.path`."""
    try:
        names = os.listdir(place)
    except OSError:
        return  # a zip archive, or nothing at all: a plugin is a folder
    for name in sorted(names):
        if name.endswith((".dist-info", ".egg-info")):
            folder = os.path.join(place, name)
            try:
                with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8", errors="replace") as file:
                    yield folder, file.read()
            except OSError:
                continue


def _parsed(text: str) -> dict[str, tuple[Point, ...]]:
    points: dict[str, list[Point]] = {}
    group = ""
    for line in text.splitlines():
        if line.startswith("["):
            group = line.strip()[1:-1].strip()
        elif group == GROUP or group.startswith(f"{GROUP}."):
            if found := _LINE.fullmatch(line):
                points.setdefault(group, []).append(Point(found[1], found[2], found[3] or ""))
            elif "=" in line and line.lstrip()[:1] not in "#;":  # what cannot be read cannot be loaded, and is told so
                name, _, value = line.partition("=")
                points.setdefault(group, []).append(Point(name.strip() or "?", value.strip() or "?"))
    return {group: tuple(listed) for group, listed in points.items()}
