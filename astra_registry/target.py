"""A product's file on this machine: whether it is there, under which spelling, and opening it."""

from __future__ import annotations

import builtins
import functools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import attrs

from astra_registry.paths.on_disk import spellings


@attrs.frozen
class Target:
    """Where one file is, or will be. Making one touches neither disk nor network."""

    path: str
    bring: Callable[[], object] | None = attrs.field(default=None, repr=False, eq=False)
    further: tuple[str, ...] = attrs.field(default=(), repr=False, eq=False)  # where a copy of a server may keep it

    def __fspath__(self) -> str:
        return self.path

    def exists(self) -> bool:
        """Whether the file is here, plain or compressed, at its path or a further place, and not empty."""
        return self.find() is not None

    def find(self) -> str | None:
        """Return the path under which the file lies on disk, in either compression; None when it is empty too."""
        for place in (self.path, *self.further):
            for spelling in spellings(place):
                if _has_content(functools.partial(os.stat, spelling)):
                    return spelling
        return None

    def open(self, mode: str = "rb") -> IO[Any]:
        """Open the file as it lies, brought first when the product asks for that; to write, open its path."""
        found = self.find() if "r" in mode else None
        if found is None and self.bring is not None and "r" in mode:
            self.bring()
            found = self.find()
        return builtins.open(found or self.path, mode)


def present(places: Iterable[Sequence[str]]) -> Iterator[str | None]:
    """Yield for each file the spelling under which it lies at one of its places and is not empty, else None.

    Each folder is listed once, and its entries tell their sizes: no path is looked at by itself.
    """
    entries_in = functools.cache(_entries_in)

    def find(path: str) -> str | None:
        folder, name = os.path.split(path)
        entries = entries_in(folder)
        for spelling in spellings(name):
            if spelling in entries and _has_content(entries[spelling].stat):
                return os.path.join(folder, spelling)
        return None

    return (next(filter(None, map(find, paths)), None) for paths in places)


def _entries_in(folder: str) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:
        return {}


def _has_content(look: Callable[[], os.stat_result]) -> bool:
    try:
        status = look()
    except OSError:  # nothing is there, or a link that leads nowhere
        return False
    return status.st_size > 0 and stat.S_ISREG(status.st_mode)  # a folder has a size, too
