"""The folders that files need: made when the first one comes, taken away again when none came after all.

A name is on the disk only when its folder is. An fsync of the folder for each file would double what the disk has to
do, and one for the files of a second costs next to nothing: on a journalling file system the first writes all names.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from astra_registry.fetching.disk.turns import Turns


class Folders:
    """The folders that one run makes; its methods may be called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: dict[str, _Use] = {}
        self._made: set[str] = set()  # by us, and without a file so far
        self._changed: set[str] = set()  # has names that may not be on the disk
        self._settled = time.monotonic()

    @contextlib.contextmanager
    def made_for(self, path: str) -> Iterator[Turns]:
        """Make the folder of a file, and give its turns; it stays when the file has come: without an exception."""
        folder = os.path.dirname(path)
        with self.held(folder) as turns:
            yield turns
            with self._lock:
                self._keep(folder)

    @contextlib.contextmanager
    def held(self, folder: str) -> Iterator[Turns]:
        """Make a folder, and give its turns; the last one takes away what was made and no file came to."""
        with self._lock:
            # Under the lock, so that nobody takes away what another has just found to be there.
            use = self._in_use.get(folder)
            if use is None:
                self._make(folder)
                use = self._in_use[folder] = _Use(Turns(folder))
            use.number += 1
        try:
            yield use.turns
        finally:
            with self._lock:
                use.number -= 1
                if not use.number:
                    del self._in_use[folder]
                    use.turns.close()
                    self._take_away(folder)

    def settle(self, every: float = 0.0) -> None:
        """Wait until all names are on the disk too, unless somebody did less than ``every`` seconds ago."""
        now = time.monotonic()
        if now - self._settled < every or not self._changed:
            return
        with self._lock:
            changed, self._changed = self._changed, set()
            self._settled = now
        for folder in changed:
            with contextlib.suppress(OSError):  # it has vanished, or its file system knows no such thing
                opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)

    def _make(self, folder: str) -> None:
        missing = []
        at = folder
        while at and not os.path.isdir(at):
            missing.append(at)
            at = os.path.dirname(at)
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(one)
                self._made.add(one)
        if missing and not os.path.isdir(folder):
            os.mkdir(folder)  # a file bears that name; this says so

    def _keep(self, folder: str) -> None:
        self._changed.add(folder or os.curdir)
        while folder in self._made:
            self._made.discard(folder)
            folder = os.path.dirname(folder)
            self._changed.add(folder or os.curdir)

    def _take_away(self, folder: str) -> None:
        while folder in self._made:
            try:
                os.rmdir(folder)
            except OSError:
                return  # something is in it
            self._made.discard(folder)
            folder = os.path.dirname(folder)


class _Use:
    """How many work in a folder now, and their turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.number = 0
