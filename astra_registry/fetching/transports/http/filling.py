"""What of a part file is written: spans that grow, the sha1 of what is there in a row, the record for a later try."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from astra_registry.fetching.disk.parts import Origins, Part
from astra_registry.fetching.disk.sums import Sum
from astra_registry.fetching.transports.setbacks import Setback

_RECORD_EVERY = 1 << 20  # bytes: as much is fetched again after kill -9 …
_RECORD_AFTER = 0.25  # seconds, for files that are smaller: most are here before
_SYNC_EVERY = 64 << 20  # bytes: as much is fetched again after a power cut
_FOLLOW_EVERY = 0.02  # seconds

_rooms = threading.local()


class Misfit(Exception):
    """The server's range is not a part of the file that we began: start again.

    ``is_change`` says that the file was changed; else the server's ranges cannot be trusted.
    """

    def __init__(self, *, is_change: bool = False) -> None:
        super().__init__()
        self.is_change = is_change


def room(size: int) -> memoryview:
    """Return this thread's memory to read into."""
    held = getattr(_rooms, "room", None)
    if held is None or len(held) < size:
        held = _rooms.room = memoryview(bytearray(size))
    return held[:size]


class Filling:
    """The bytes of one part. Several threads may write, each to a span of its own."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._lock = threading.Lock()
        self.origins: Origins | None = None
        self._spans: list[list[int]] = []  # [first, end) of what is written; ends grow
        self._seams: list[tuple[int, bytes]] = []  # where a range ended, and what its server said comes next
        self._sum = Sum()
        self._is_followed = False
        self._unrecorded = 0
        self._unsynced = 0
        self._record_at = 0.0

    def restart(self) -> None:
        """Forget everything: the next byte is the first."""
        self._part.restart()
        self.origins = None
        self._spans = []
        self._seams = []
        self._sum = Sum()

    def begin(self, origins: Origins) -> None:
        """Note where the bytes come from, so that a later try can go on."""
        self.origins = origins
        self._record_at = time.monotonic() + _RECORD_AFTER

    def resume(self, origins: Origins) -> None:
        """Go on with what an earlier try left."""
        self.origins = origins
        self._spans = merged(origins.have)

    # Bytes

    def span(self, first: int) -> list[int]:
        """Return a new span, [first, end) of what is written, that begins here."""
        span = [first, first]
        with self._lock:
            self._spans.append(span)
        return span

    def extend(self, span: list[int], data: memoryview) -> int:
        """Write what comes next in a span; return its new end."""
        self.write(data, span[1])
        span[1] += len(data)
        self._note(len(data))
        return span[1]

    def write(self, data: memoryview | bytes, at: int) -> None:
        """Write bytes at a place; of those in a row from the beginning the sha1 is kept."""
        if at == self._sum.size and not self._is_followed:
            self._sum.add(data)
        self._part.write(data, at)

    def differs(self, data: memoryview, at: int) -> bool:
        """Whether other bytes lie there than these."""
        return os.pread(self._part.file, len(data), at) != data

    def gap(self) -> tuple[int, int] | None:
        """Return the first range that is missing, or None."""
        if self.origins is None:
            return None
        at = 0
        for first, end in merged(self._spans):
            if first > at:
                return at, first
            at = max(at, end)
        return (at, self.origins.size) if at < self.origins.size else None

    # Where two ranges meet

    def note_seam(self, at: int, data: bytes) -> None:
        """Note what the server that sent a range to its end said comes next: both have to be of the same file."""
        with self._lock:
            self._seams.append((at, data))
        self.check_seams()

    def check_seams(self) -> None:
        """Raise Misfit unless all ranges fit to what follows them, as far as that is here.

        That is looked at before what is here is recorded, for a later try takes the record at its word.
        """
        with self._lock:
            self._check_seams()

    def _check_seams(self) -> None:
        spans = merged(self._spans)
        open_ones = []
        for at, data in self._seams:
            here = min(len(data), max((end - at for first, end in spans if first <= at < end), default=0))
            if self.differs(memoryview(data)[:here], at):
                raise Misfit
            if here < len(data):
                open_ones.append((at, data))
        self._seams = open_ones

    # The sha1

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """While several write, have one more thread make the sha1, and one wait for the disk: nobody else has to."""
        ended = threading.Event()
        trouble: list[Exception] = []

        def repeat(work: Callable[[], None]) -> None:
            try:
                while not ended.wait(_FOLLOW_EVERY):
                    work()
            except (OSError, Setback) as error:
                trouble.append(error)

        threads: list[threading.Thread] = []
        self._is_followed = True
        try:
            with contextlib.suppress(RuntimeError):  # a machine that gives no more threads: it is done in the end
                for name, work in (("astra-sha1", self._hash_what_is_there), ("astra-sync", self._sync_where_due)):
                    thread = threading.Thread(target=repeat, args=(work,), name=name, daemon=True)
                    thread.start()
                    threads.append(thread)
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            self._is_followed = False
            if trouble:
                raise trouble[0]  # a disk tells of what it has lost once only

    def sha1(self) -> str:
        """Return the sha1 of everything that is here."""
        self._hash_up_to(max((end for _, end in self._spans), default=self._sum.size))
        return self._sum.hexdigest()

    def _hash_what_is_there(self) -> None:
        spans = merged(self._spans)
        if spans and spans[0][0] == 0:
            self._hash_up_to(spans[0][1])

    def _hash_up_to(self, end: int) -> None:
        while self._sum.size < end:
            piece = room(min(1 << 18, end - self._sum.size))
            count = os.preadv(self._part.file, [piece], self._sum.size)
            if count == 0:
                raise Setback("the part file shrank")
            self._sum.add(piece[:count])

    # The record

    def _note(self, count: int) -> None:
        """Record now and then what is there."""
        origins = self.origins
        if origins is None:
            return
        with self._lock:
            self._unrecorded += count
            self._unsynced += count
            if self._unrecorded < _RECORD_EVERY and not (self._record_at and time.monotonic() > self._record_at):
                return
            self._unrecorded, self._record_at = 0, 0.0
            self._check_seams()
            origins.have = merged(self._spans)
            self._part.record(origins)
        if not self._is_followed:
            self._sync_where_due()

    def _sync_where_due(self) -> None:
        """Wait until the disk has what is written now, when that is much."""
        if self._unsynced < _SYNC_EVERY:
            return
        with self._lock:
            self._unsynced = 0
            written = merged(self._spans)
        os.fdatasync(self._part.file)
        if self.origins is not None:
            self.origins.safe = written

    def spread(self) -> bool:
        """Record that from now on several places are written to: the length of the file tells nothing any more.

        False where a disk without room does not take that: who wrote there nevertheless would leave holes that the
        record before takes for bytes.
        """
        if self.origins is None:
            return False
        was_spread, self.origins.spread = self.origins.spread, True
        if not self._record():
            self.origins.spread = was_spread
        return self.origins.spread

    def save(self) -> None:
        """Record what is there, for the next try."""
        if self.gap() is not None:
            try:
                self._record()
            except Misfit:
                self.restart()

    def _record(self) -> bool:
        with self._lock:
            if self.origins is None:
                return False
            self._check_seams()
            self.origins.have = merged(self._spans)
            return self._part.record(self.origins)


def merged(spans: list[list[int]]) -> list[list[int]]:
    """Return spans in order, joined where they touch."""
    joined: list[list[int]] = []
    for first, end in sorted(spans):
        if first == end:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([first, end])
    return joined
