"""Taking turns: of several that want the same file at once, one brings it and the others wait.

This only saves bandwidth. Nothing that is right depends on it, for locks do not work on every file system.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable

from astra_registry.fetching.parts import private_stem

SUFFIX = ".astra-lock"
_TOUCH_EVERY = 5.0  # seconds
_GIVEN_UP_AFTER = 60.0  # seconds without a touch: the holder hangs, so that we go ahead beside it


class Turn:
    """The right to bring one file; `take` tells whether there was somebody to wait for."""

    def __init__(self, target: str) -> None:
        folder, name = os.path.split(target)
        self._path = os.path.join(folder, private_stem(name)[:-1] + SUFFIX)
        self._file: int | None = None
        self._touched = time.monotonic()

    def take(self, sleep: Callable[[float], None]) -> bool:
        """Wait for the turn; True when somebody else had it meanwhile, so that the file may be here now."""
        waited = False
        pause = 0.02
        while True:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                return waited  # the folder cannot be written to, or the name is too long: the transfer will tell
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                age = time.time() - os.fstat(file).st_mtime
                os.close(file)
                waited = True
                if age > _GIVEN_UP_AFTER:
                    return waited
                sleep(pause)
                pause = min(0.25, pause * 1.5)
                continue
            except OSError:  # no locks on this file system
                os.close(file)
                with contextlib.suppress(OSError):
                    os.remove(self._path)
                return waited
            if self._is_current(file):
                self._file = file
                return waited
            os.close(file)  # its holder removed it between our two calls
            waited = True

    def _is_current(self, file: int) -> bool:
        try:
            named = os.stat(self._path)
        except OSError:
            return False
        held = os.fstat(file)
        if time.time() - held.st_mtime > _TOUCH_EVERY:
            # The lock file that a killed process left must not look like that of a holder that hangs.
            with contextlib.suppress(OSError):
                os.utime(file)
        return (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev)

    def touch(self) -> None:
        """Show that the holder lives; cheap, to be called often."""
        now = time.monotonic()
        if self._file is not None and now - self._touched > _TOUCH_EVERY:
            self._touched = now
            with contextlib.suppress(OSError):
                os.utime(self._file)

    def give_up(self) -> None:
        """Let the next one have it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.remove(self._path)  # before the lock is let go, so that nobody locks a file without a name
            os.close(self._file)
            self._file = None
