"""Taking turns: of several that want the same file at once, one brings it and the others wait.

While somebody works in a folder there is one file in it for all turns, and a turn is a lock on one byte of that. A lock
file for each turn would come and go with every file that is brought, and ext4, which looks for an inode that was not
freed just now, then spends more on these than on the files.

This only saves bandwidth. Nothing that is right depends on it, for locks do not work on every file system.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable

from astra_registry.fetching.disk.parts import SUFFIX, private_stem

NAME = ".astra-turns"
_HERE = 1 << 62  # the byte that all who work in the folder share; those of turns come before it
_OPERATIONS = {
    fcntl.F_RDLCK: fcntl.LOCK_SH | fcntl.LOCK_NB,
    fcntl.F_WRLCK: fcntl.LOCK_EX | fcntl.LOCK_NB,
    fcntl.F_UNLCK: fcntl.LOCK_UN,
}
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25  # seconds between two looks whether it is our turn
_GIVEN_UP_AFTER = 60.0  # seconds in which nothing is written: the holder hangs, so that we go ahead beside it


class Turns:
    """The turns in one folder, for one run; its methods may be called from many threads."""

    def __init__(self, folder: str) -> None:
        self._folder = folder or os.curdir
        self._path = os.path.join(self._folder, NAME)
        self._opening = threading.Lock()
        self._file: int | None = None
        self._works = True

    def take(self, name: str, sleep: Callable[[float], None]) -> bool:
        """Wait for the turn to bring a file; True when somebody else had it meanwhile, so that it may be here now."""
        began, pause, waited = time.monotonic(), FIRST_PAUSE, False
        while not self.take_at_once(name, sleep):
            waited = True
            if self.is_abandoned(name, since=began):
                break
            sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
        return waited

    def take_at_once(self, name: str, sleep: Callable[[float], None]) -> bool:
        """Take the turn unless somebody else has it."""
        try:
            return not self._works or _lock(self._opened(sleep), fcntl.F_WRLCK, _byte(name))
        except OSError:  # the folder cannot be written to, as the transfer will tell; or there are no locks here
            self._works = False
            return True

    def is_abandoned(self, name: str, *, since: float) -> bool:
        """Whether who has the turn hangs, so that we go ahead beside it after having waited since then."""
        return time.monotonic() - since > _GIVEN_UP_AFTER and self._is_idle(name)

    def show_life(self) -> None:
        """Tell those who wait that somebody is at work here, where no part that grows in the folder does."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.utime(self._file)

    def give_up(self, name: str) -> None:
        """Let the next one have it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                _lock(self._file, fcntl.F_UNLCK, _byte(name))

    def close(self) -> None:
        """Leave the folder; the last one takes the file away, also one that a killed run has left."""
        with contextlib.suppress(OSError):
            file, self._file = self._file, None
            if file is None:
                file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _lock(file, fcntl.F_WRLCK, 0, 0) and is_current(self._path, file):
                    os.remove(self._path)  # under the lock, so that nobody comes to a file without a name
            finally:
                os.close(file)

    def _opened(self, sleep: Callable[[float], None]) -> int:
        """Return the file of the turns, made if need be, with a lock that keeps others from taking it away."""
        with self._opening:
            until = time.monotonic() + _GIVEN_UP_AFTER
            while self._file is None:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                try:
                    if _lock(file, fcntl.F_RDLCK, _HERE) and is_current(self._path, file):
                        self._file = file
                        break
                except OSError:  # no locks here
                    with contextlib.suppress(OSError):
                        os.remove(self._path)
                    raise
                finally:
                    if self._file is None:
                        os.close(file)
                if time.monotonic() > until:
                    raise TimeoutError
                sleep(0.005)  # the last one is taking it away at this moment
            return self._file

    def _is_idle(self, name: str) -> bool:
        """Whether nobody has written to a part of the file for long, nor shown life."""
        stem = private_stem(name)
        with os.scandir(self._folder) as entries:
            signs = [e for e in entries if e.name == NAME or (e.name.startswith(stem) and e.name.endswith(SUFFIX))]
        newest = 0.0
        for sign in signs:
            with contextlib.suppress(FileNotFoundError):
                newest = max(newest, sign.stat().st_mtime)
        return time.time() - newest > _GIVEN_UP_AFTER


def is_current(path: str, file: int) -> bool:
    """Whether an open file or folder still has that name: nobody removed it, or made another in its place."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _byte(name: str) -> int:
    """Return the place of the byte that stands for a file: the same for all processes and hosts.

    Two names of one place would only take turns with each other.
    """
    return zlib.crc32(os.fsencode(name))


def _lock(file: int, kind: int, first: int, length: int = 1) -> bool:
    """Change the lock on some bytes (0: all that follow); False when somebody else's is in the way."""
    try:
        if sys.platform == "linux":
            # Locks of the opened file: those of the process would not keep apart two runs in it.
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, first, length, 0))
        else:
            fcntl.lockf(file, _OPERATIONS[kind], length, first)
    except (BlockingIOError, PermissionError):
        return False
    return True
