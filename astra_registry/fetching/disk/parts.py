"""Part files: the private names in which files grow, and what is known about where they came from.

``.NAME.TOKEN.astra-part`` lies in the target's folder, so that moving it into place is one atomic step; nobody else's
file ends so. Its record, ``….astra-part-record``, tells the server's validator and which bytes are there: only with it
can a later run go on where this one ended. A writer holds a lock on its part, so that others see that it lives; where
locks do not work, the token tells host and process.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import socket
import time
import zlib
from typing import Any

import attrs

from astra_registry.fetching.disk.sums import new_sha1

SUFFIX = ".astra-part"
RECORD = "-record"
STAGE = ".astra-rsync-"  # how the folders begin in which rsync has its own
_RECORD_SIZE = 2048  # bytes, of nearly all: then each is written over the one before it by one call
RESUMABLE = 1 << 16  # bytes: less is sooner fetched than remembered

_count = itertools.count()
_RANDOM = os.urandom(3).hex()
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _boot() -> str:
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as stream:
        return stream.read().strip()
    return ""


_BOOT = _boot()


def private_stem(name: str) -> str:
    """Return the name as private names begin, shortened where those would become too long for a file system."""
    coded = os.fsencode(name)
    if len(coded) <= 180:
        return f".{name}."
    return f".{os.fsdecode(coded[:150])}~{new_sha1(coded).hexdigest()[:20]}."


@attrs.define
class Origins:
    """Where the bytes of a part came from: the record beside it."""

    url: str
    validator: str  # an ETag (quoted) or a Last-Modified date
    size: int
    have: list[list[int]] = attrs.field(factory=list)  # [first, end) of what was written
    safe: list[list[int]] = attrs.field(factory=list)  # the same, of what reached the disk
    spread: bool = False  # it is written at several places at once
    boot: str = _BOOT


_RECORDED = tuple(field.name for field in attrs.fields(Origins))


class Part:
    """A file that grows under a private name; `settle` makes sure of it, `place` gives it its real one."""

    def __init__(self, target: str, path: str | None = None) -> None:
        folder, name = os.path.split(target)
        self.target = target
        if path is None:
            token = f"{HOST}-{os.getpid()}-{next(_count):x}{_RANDOM}"
            self.path = os.path.join(folder, f"{private_stem(name)}{token}{SUFFIX}")
        else:
            self.path = path
        self._file: int | None = None
        self._witness: int | None = None
        self.is_empty = path is None  # else an earlier try may have left something
        self._recorded = False

    @property
    def file(self) -> int:
        """The descriptor to write with, opened when first asked for."""
        if self._file is None:
            # Never through a link, as a mounted archive is linked: what it leads to is not ours.
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._file

    def write(self, data: memoryview | bytes, at: int) -> None:
        """Write bytes at a place."""
        self.is_empty = False
        done = os.pwrite(self.file, data, at)
        while done < len(data):  # a disk that is nearly full takes less than all; the next call tells why
            done += os.pwrite(self.file, data[done:], at + done)

    def origins(self) -> Origins | None:
        """Return the record of a part that was found, as far as its bytes can be trusted; None when there is none."""
        if self.is_empty:
            return None
        try:
            with open(self.path + RECORD, encoding="utf-8") as stream:
                told: dict[str, Any] = json.load(stream)
            found = Origins(**told)
            size = os.fstat(self.file).st_size
            if size > found.size:
                return None  # it cannot be what the record says
            # After a crash of the machine only what was synchronised is sure to be what was written.
            trusted = bool(_BOOT) and found.boot == _BOOT
            have = found.have if trusted else found.safe
            found.have = [[first, min(end, size)] for first, end in have if first < size]
            if trusted and size <= found.size and not found.spread:
                found.have = [[0, size]]  # bytes in a row: the file itself tells how many
            if not trusted:
                # Nothing else stays, so that what comes now can be told by the length again.
                os.ftruncate(self.file, max((end for _, end in found.have), default=0))
                found.boot = _BOOT
        except (OSError, ValueError, TypeError):
            return None
        self._note_record()
        return found

    def kept(self) -> int:
        """Return how many bytes a later try need not bring again: 0 without a record."""
        origins = self.origins()
        return sum(end - first for first, end in origins.have) if origins is not None else 0

    def record(self, origins: Origins) -> bool:
        """Write down where the bytes come from and which are there; False where the disk has no room for that."""
        told = {name: getattr(origins, name) for name in _RECORDED}
        text = json.dumps(told).encode().ljust(_RECORD_SIZE)
        try:
            # One write: whoever reads it after kill -9 finds the old record or the new one.
            record = os.open(self.path + RECORD, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                is_written = os.write(record, text) == len(text)
                if len(text) > _RECORD_SIZE or os.fstat(record).st_size > _RECORD_SIZE:
                    os.ftruncate(record, len(text))  # a long one must not leave its end behind a short one
            finally:
                os.close(record)
        except OSError:
            is_written = False
        if is_written:
            self._note_record()
        elif not self._recorded:  # half a record is none; an older one has its room, and stays as it is
            with contextlib.suppress(OSError):
                os.remove(self.path + RECORD)
        return is_written

    def _note_record(self) -> None:
        self._recorded = True
        if self._witness is None:
            # What a disk loses after it took it, it tells each descriptor once: this one is asked in `leave` alone.
            with contextlib.suppress(OSError):
                self._witness = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def restart(self) -> None:
        """Forget everything: the next byte is the first."""
        if self._file is None and os.path.islink(self.path):
            os.remove(self.path)
        if not self.is_empty:
            os.ftruncate(self.file, 0)
            self.is_empty = True
        self._drop_record()

    def take_over(self, path: str) -> None:
        """Go on with a part that an earlier run left; OSError where another process was sooner."""
        # The rename is what makes it ours: of two processes that try, one fails.
        os.rename(path, self.path)
        os.rename(path + RECORD, self.path + RECORD)
        self.is_empty = False
        self._note_record()  # a run that does not even reach the server leaves it as it was

    def hand_over(self) -> None:
        """Let somebody write to it who records nothing."""
        self._drop_record()
        self.close()

    def _drop_record(self) -> None:
        if self._recorded:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + RECORD)
            self._recorded = False

    def settle(self, mtime: float | None) -> None:
        """Give it the server's modification time, and wait until it is on the disk."""
        if self._file is None and os.path.islink(self.path):
            return
        if mtime is not None:
            with contextlib.suppress(OSError, OverflowError, ValueError):
                os.utime(self.file, (time.time(), mtime))
        os.fsync(self.file)

    def place(self) -> None:
        """Move it to its real name."""
        os.replace(self.path, self.target)
        if self._recorded:
            with contextlib.suppress(OSError):
                os.remove(self.path + RECORD)
        self.close()

    def close(self) -> None:
        """Close the file; the part stays, for a later run."""
        file, self._file = self._file, None
        witness, self._witness = self._witness, None
        for opened in (file, witness):
            if opened is not None:
                os.close(opened)
        self.is_empty = False  # from now on others may write to it

    def leave(self, *, keep: bool = True, disk_failed: bool = False) -> None:
        """After a failure: keep what a later run can go on with (unless told not to), remove anything else."""
        if not keep or not self._is_resumable(disk_failed=disk_failed):
            remove(self.path)
        self.close()

    def _is_resumable(self, *, disk_failed: bool) -> bool:
        if not self._recorded or self._file is None:
            return False
        if disk_failed and not self._record_the_loss():
            return False
        return self.kept() >= RESUMABLE

    def _record_the_loss(self) -> bool:
        """See that the record tells only what the disk has; False where that is not possible.

        A full disk on the network may take bytes, and say only when they are to be stored that it has no room.
        """
        if self._witness is None:
            return False
        try:
            os.fsync(self._witness)
        except OSError:
            found = self.origins()
            return found is not None and self.record(attrs.evolve(found, boot=""))  # as after a crash: what is safe
        return True


def remove(path: str) -> None:
    """Remove a part and its record."""
    for name in (path, path + RECORD):
        with contextlib.suppress(OSError):
            os.remove(name)
