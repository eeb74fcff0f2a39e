"""A product's file on this machine: whether it is there, under which spelling, and opening it."""

from __future__ import annotations

import builtins
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

import attrs

# A file may lie compressed where the template names it plain, and the other way round.
COMPRESSIONS = (".gz", ".bz2", ".fz", ".zip")


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
                if _has_content(spelling):
                    return spelling
        return None

    def open(self, mode: str = "rb") -> IO[Any]:
        """Open the file as it lies, brought first when the product asks for that; to write, open its path."""
        found = self.find() if "r" in mode else None
        if found is None and self.bring is not None and "r" in mode:
            self.bring()
            found = self.find()
        return builtins.open(found or self.path, mode)


def spellings(path: str) -> Iterator[str]:
    """Yield the path, and the other spellings under which it may lie: compressed, or plain."""
    yield path
    stem, extension = os.path.splitext(path)
    if extension in COMPRESSIONS:
        yield stem
    else:
        yield from (path + compression for compression in COMPRESSIONS)


def present(places: Iterable[Sequence[str]]) -> Iterator[str | None]:
    """Yield for each file the spelling under which it lies at one of its places and is not empty, else None.

    Each folder is listed once, so that only what is there is looked at.
    """
    names_in = functools.cache(_names_in)

    def find(path: str) -> str | None:
        folder, name = os.path.split(path)
        names = names_in(folder)
        for spelling in spellings(name):
            if spelling in names and _has_content(found := os.path.join(folder, spelling)):
                return found
        return None

    return (next(filter(None, map(find, paths)), None) for paths in places)


def _names_in(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder or os.curdir))
    except OSError:
        return frozenset()


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:  # a link that leads nowhere
        return False
