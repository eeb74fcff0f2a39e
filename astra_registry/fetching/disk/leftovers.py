"""The parts that earlier runs left: which of them nobody writes to any more, and the one to go on with."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import OrderedDict

from astra_registry.fetching.disk.parts import HOST, RECORD, STAGE, SUFFIX, Part, private_stem, remove

_ABANDONED_AFTER = 600.0  # seconds without a write, for parts of other hosts
_FOLDERS_REMEMBERED = 512


class Leftovers:
    """What earlier runs left in the folders: each is looked at once a run, and after another process was in it."""

    def __init__(self) -> None:
        self._folders: OrderedDict[str, dict[str, list[str]]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, target: str, *, afresh: bool = False) -> list[str]:
        """Return the dead parts of one target: those that no process writes to any more. ``afresh``: look again."""
        folder, name = os.path.split(target)
        with self._lock:
            found = None if afresh else self._folders.get(folder)
            if found is None:
                found = self._folders[folder] = _list(folder)
                while len(self._folders) > _FOLDERS_REMEMBERED:
                    self._folders.popitem(last=False)
            if not found:
                return []
            names = found.pop(private_stem(name), [])
        return [path for path in (os.path.join(folder, part) for part in names) if _is_dead(path)]


def _list(folder: str) -> dict[str, list[str]]:
    """Return the names of the parts in a folder by the names' stems; a record may be all that is left of one.

    The folder of a killed run of rsync goes, where no file is left in it.
    """
    parts: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        for name in names:
            if name.startswith(STAGE):
                from astra_registry.fetching.disk.staging import clear  # few need it, and what it loads

                clear(os.path.join(folder, name))
        found = (name.removesuffix(RECORD) for name in names if name.endswith((SUFFIX, SUFFIX + RECORD)))
        for name in dict.fromkeys(found):
            token_at = name[: -len(SUFFIX)].rfind(".") + 1
            parts.setdefault(name[:token_at], []).append(name)
    return parts


def _is_dead(path: str) -> bool:
    """Whether no process writes to that part any more."""
    if not os.path.lexists(path):
        return True  # its writer was killed between the last two steps: the file has its name, and the record is left
    host, process = "", 0
    with contextlib.suppress(ValueError):
        token = path[: -len(SUFFIX)].rpartition(".")[2]
        host, number, _ = token.split("-")
        process = int(number)
    if host != HOST:
        with contextlib.suppress(OSError):
            return time.time() - os.stat(path).st_mtime > _ABANDONED_AFTER
        return False
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        return process != os.getpid() and not _lives(process)
    else:
        return True
    finally:
        os.close(file)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def adopt(target: str, leftovers: list[str]) -> Part | None:
    """Return the leftover to go on with, now under a name of our own; the others are removed."""
    best: Part | None = None
    resumable = (path for path in leftovers if os.path.exists(path) and os.path.exists(path + RECORD))
    ranked = sorted(resumable, key=_size, reverse=True)
    for path in leftovers:
        if path not in ranked:
            remove(path)
    for path in ranked:
        if best is not None:
            remove(path)
            continue
        part = Part(target)
        try:
            part.take_over(path)
        except OSError:
            remove(part.path)
            continue
        best = part
    return best


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
