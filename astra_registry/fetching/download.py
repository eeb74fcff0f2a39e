"""One file over HTTP: in one piece or in several ranges, going on where an earlier try ended."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zlib
from typing import TYPE_CHECKING

from astra_registry.errors import TransferFailed
from astra_registry.fetching.http import Reply, modified
from astra_registry.fetching.origin import split, without_password
from astra_registry.fetching.parts import RESUMABLE, Origins, Part
from astra_registry.fetching.setbacks import Setback
from astra_registry.fetching.transport import Errand, Fetched

if TYPE_CHECKING:
    from astra_registry.fetching.http import HttpTransport

_RECORD_EVERY = 1 << 20  # bytes: as much is fetched again after kill -9 …
_RECORD_AFTER = 0.25  # seconds, for files that are smaller: most are here before
_SYNC_EVERY = 64 << 20  # bytes: as much is fetched again after a power cut
_OVERLAP = 4096  # bytes that a range repeats, to see that it fits to what is there
_RANGE_AT_LEAST = 8 << 20  # bytes
_RANGES = 4
_KEEP_EVERY = 0.25  # seconds that bytes stay in memory
_SLOWEST = 256  # bytes a second: less is as good as silence

_rooms = threading.local()


def _room(size: int) -> memoryview:
    """Return this thread's memory to read into."""
    room = getattr(_rooms, "room", None)
    if room is None or len(room) < size:
        room = _rooms.room = memoryview(bytearray(size))
    return room[:size]


class Misfit(Exception):
    """The server's range is not a part of the file that we began: start again, without ranges."""


class Download:
    """The transfer of one file to one part."""

    def __init__(self, transport: HttpTransport, url: str, destination: str, errand: Errand) -> None:
        self._transport = transport
        self._url = url
        self._errand = errand
        self._part = errand.part or Part(destination, destination)
        self._owns_part = errand.part is None
        self._lock = threading.Lock()
        self._origins: Origins | None = None
        self._spans: list[list[int]] = []  # [first, end) of what is written, one a connection; ends grow
        self._seams: list[tuple[int, bytes]] = []  # where a range ended, and what its server said comes next
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._hashed = 0  # bytes from the beginning that are in it
        self._unrecorded = 0
        self._unsynced = 0
        self._record_at = 0.0
        self._headers: dict[str, str] = {}
        self._proven = True

    def run(self) -> Fetched:
        """Bring what is missing."""
        try:
            return self._run()
        except Misfit:
            # It answered with a range of something else; the whole file it may still have right.
            self._errand.ranges = False
            self._forget()
            return self._run()
        finally:
            self._save()
            if self._owns_part:
                self._part.close()

    def _run(self) -> Fetched:
        self._origins = self._part.origins() if self._errand.ranges else None
        if self._origins is not None and self._origins.url == without_password(self._url):
            self._spans = _merged(self._origins.have)
            self._resume(self._origins)
        else:
            with self._transport.ask(self._url, self._errand) as reply:
                self._begin(reply)
        while (gap := self._gap()) is not None:
            # A helper did not bring its range, or there were several holes to begin with.
            self._fill(*gap)
        self._check_seams()
        self._hash_the_rest()
        return Fetched(self._sha1.hexdigest(), modified(self._headers), self._headers.get("etag"), proven=self._proven)

    def _forget(self) -> None:
        self._part.restart()
        self._origins = None
        self._spans = []
        self._seams = []
        self._sha1, self._hashed = hashlib.sha1(usedforsecurity=False), 0

    # The whole file

    def _begin(self, reply: Reply) -> None:
        """Take an answer to a request for the whole file."""
        answer = reply.answer
        if answer.status != 200:
            reply.skip_body()
            raise self._transport.refusal(self._url, reply, self._errand)
        self._forget()
        self._headers = answer.headers
        if _encoding(answer.headers) is not None:
            self._take_encoded(reply)
            return
        self._proven = answer.promises
        size = answer.length
        validator = _validator(answer.headers)
        if validator and size is not None and size >= RESUMABLE and self._errand.ranges:
            self._origins = Origins(without_password(self._url), validator, size)
            self._record_at = time.monotonic() + _RECORD_AFTER
        if self._origins is not None and size is not None and "bytes" in answer.headers.get("accept-ranges", ""):
            self._take_shared(reply, 0, size)
        else:
            self._take(reply, self._new_span(0), size)

    def _take_encoded(self, reply: Reply) -> None:
        """Take a body that the server compressed on the way, though it was asked not to."""
        kind = _encoding(reply.answer.headers)
        if kind not in ("gzip", "x-gzip", "deflate"):
            raise TransferFailed(f"{reply.host.origin.authority} sends the file encoded as {kind!r}, unasked")
        room = _room(self._transport.throttle.piece)
        unpack = zlib.decompressobj(47)
        name = self._url.lower()
        packed_name = name.endswith((".gz", ".tgz"))
        keep: bool | None = None if packed_name else False
        pace = self._pace(reply)
        offset = 0
        raw_offset = 0
        while count := reply.answer.read_into(room):
            self._errand.on_bytes(count)
            now = pace.note(count)
            self._transport.throttle.spend(count)
            pace.rested(time.monotonic() - now)
            try:
                data = unpack.decompress(room[:count])
            except zlib.error as error:
                raise Setback(f"{reply.host.origin.authority} sent a damaged compressed body: {error}") from None
            if keep is None and data:
                # Some servers call a .gz file itself an encoding of what is in it; then its bytes are the file.
                keep = not data.startswith(b"\x1f\x8b")
            chosen = bytes(room[:count]) if keep else data
            self._write(chosen, offset)
            offset += len(chosen)
            raw_offset += count
        if not unpack.eof:
            raise Setback(f"{reply.host.origin.authority} cut the compressed body after {raw_offset} bytes")

    # Ranges

    def _resume(self, origins: Origins) -> None:
        # When all bytes are here, and only the last step was not taken, the server tells whether they still are its.
        self._fill(*(self._gap() or (origins.size, origins.size)))

    def _fill(self, first: int, end: int) -> None:
        """Bring the bytes from ``first`` up to ``end`` with a range that begins a little earlier."""
        origins = self._origins
        if origins is None:
            raise Setback("the transfer was cut")
        start = max(0, first - _OVERLAP)
        last = "" if end == origins.size else str(end - 1)
        headers = (("Range", f"bytes={start}-{last}"), ("If-Range", origins.validator))
        with self._transport.ask(self._url, self._errand, headers) as reply:
            if reply.answer.status in (200, 416):
                if reply.answer.status == 200:
                    self._begin(reply)  # it has changed, or the server has no ranges
                    return
                reply.skip_body()
                raise Misfit
            if reply.answer.status != 206:
                reply.skip_body()
                raise self._transport.refusal(self._url, reply, self._errand)
            self._check_range(reply, start, origins)
            self._headers = reply.answer.headers
            self._compare(reply, start, first)
            if first == end:
                return
            if end == origins.size:
                self._take_shared(reply, first, end)
            else:
                self._take(reply, self._new_span(first), end)

    def _check_range(self, reply: Reply, start: int, origins: Origins) -> None:
        headers = reply.answer.headers
        unit, _, told = headers.get("content-range", "").partition(" ")
        span, _, total = told.partition("/")
        first, _, _ = span.partition("-")
        validator = _validator(headers)
        if (
            unit != "bytes"
            or first != str(start)
            or (total != "*" and total != str(origins.size))
            or _encoding(headers) is not None
            or (validator and validator != origins.validator and _same_kind(validator, origins.validator))
        ):
            reply.drop()
            raise Misfit

    def _compare(self, reply: Reply, start: int, first: int) -> None:
        """Read the bytes that a range repeats, and see that they are the ones we have."""
        pace = self._pace(reply)
        at = start
        while at < first:
            room = _room(min(_OVERLAP, first - at))
            count = reply.answer.read_into(room)
            if count == 0:
                raise Setback(f"{reply.host.origin.authority} sent an empty range")
            pace.note(count)
            if os.pread(self._part.file, count, at) != room[:count]:
                reply.drop()
                raise Misfit
            at += count

    def _take_shared(self, reply: Reply, first: int, size: int) -> None:
        """Take the rest of the file, with helpers on connections that nobody uses now."""
        helpers: list[_Helper] = []
        if self._origins is not None and size - first >= 2 * _RANGE_AT_LEAST and self._errand.ranges:
            helpers = self._helpers(self._origins, first, size)
        end = helpers[0].first if helpers else size
        try:
            self._take(reply, self._new_span(first), end, overlap=size if helpers else None)
        except BaseException:
            for helper in helpers:
                helper.stop = True
            raise
        finally:
            for helper in helpers:
                helper.thread.join()
        for helper in helpers:
            if isinstance(helper.error, Misfit):
                raise helper.error
        for helper in helpers:
            if helper.error is not None:
                raise helper.error

    def _helpers(self, origins: Origins, first: int, size: int) -> list[_Helper]:
        most = min(_RANGES, (size - first) // _RANGE_AT_LEAST)
        host = self._transport.hosts[split(self._url)[0]]
        spare = host.spare(most - 1)
        if spare < 1:
            return []
        step = (size - first) // (spare + 1)
        helpers = []
        for number in range(1, spare + 1):
            begin = first + step * number
            helpers.append(_Helper(self, origins, begin, size if number == spare else begin + step))
        origins.spread = True
        origins.have = _merged(self._spans)
        self._part.record(origins)
        for helper in helpers:
            helper.thread.start()
        return helpers

    def help(self, helper: _Helper, origins: Origins) -> None:
        """Bring one range, in a thread of its own."""
        errand = Errand(public=self._errand.public, deadline=self._errand.deadline, on_bytes=self._errand.on_bytes)
        overlap = min(helper.end + _OVERLAP, helper.size) - 1
        headers = (("Range", f"bytes={helper.first}-{overlap}"), ("If-Range", origins.validator))
        try:
            with self._transport.ask(self._url, errand, headers) as reply:
                if reply.answer.status != 206:
                    reply.drop()
                    if reply.answer.status in (200, 416):
                        raise Misfit  # it changed meanwhile, or ranges were an empty promise
                    raise self._transport.refusal(self._url, reply, errand)
                self._check_range(reply, helper.first, origins)
                self._take(reply, self._new_span(helper.first), helper.end, overlap=helper.size, helper=helper)
        finally:
            with self._lock:
                self._errand.requests += errand.requests

    # Bytes

    def _new_span(self, first: int) -> list[int]:
        span = [first, first]
        with self._lock:
            self._spans.append(span)
        return span

    def _take(
        self,
        reply: Reply,
        span: list[int],
        end: int | None,
        *,
        overlap: int | None = None,
        helper: _Helper | None = None,
    ) -> None:
        """Write the body to the part up to ``end``, and note what follows (to ``overlap``), where the next begins."""
        answer = reply.answer
        piece = self._transport.throttle.piece
        room = _room(piece)
        pace = self._pace(reply)
        at, filled, kept_at = span[0], 0, time.monotonic()
        try:
            while end is None or at + filled < end:
                count = answer.read_into(room[filled : piece if end is None else min(piece, end - at)])
                if count == 0:
                    if end is not None:
                        raise Setback(
                            f"{reply.host.origin.authority} ended the file after {at + filled} of {end} bytes"
                        )
                    break
                filled += count
                now = pace.note(count)
                # Many small arrivals are written as one: each write and each step of the sha1 hands over the
                # interpreter's lock, and that costs more than the bytes.
                if filled == piece or now - kept_at > _KEEP_EVERY:
                    at, filled, kept_at = self._keep(room[:filled], span), 0, now
                    if self._transport.throttle.rate is not None:
                        pace.rested(time.monotonic() - now)
                if helper is not None and helper.stop:
                    reply.drop()
                    return
        finally:
            if filled:
                self._keep(room[:filled], span)
        if overlap is not None and end is not None and end < overlap:
            self._note_seam(reply, end, min(end + _OVERLAP, overlap))
            reply.drop()
        elif end is None:
            answer.read_into(room)

    def _keep(self, data: memoryview, span: list[int]) -> int:
        """Write what came to the end of a span; return the new end."""
        self._write(data, span[1])
        span[1] += len(data)
        self._errand.on_bytes(len(data))
        self._transport.throttle.spend(len(data))
        self._note(len(data))
        return span[1]

    def _pace(self, reply: Reply) -> _Pace:
        window = max(1.0, min(2 * self._transport.hosts.line.timeout, self._errand.patience))
        return _Pace(reply.host.origin.authority, window)

    def _note_seam(self, reply: Reply, first: int, end: int) -> None:
        """Read where the next range begins, to see in the end that both are of the same file."""
        pace = self._pace(reply)
        pieces = []
        at = first
        while at < end:
            room = _room(end - at)
            count = reply.answer.read_into(room)
            if count == 0:
                break
            pace.note(count)
            pieces.append(bytes(room[:count]))
            at += count
        with self._lock:
            self._seams.append((first, b"".join(pieces)))

    def _check_seams(self) -> None:
        for first, data in self._seams:
            if os.pread(self._part.file, len(data), first) != data:
                raise Misfit

    def _write(self, data: memoryview | bytes, at: int) -> None:
        file = self._part.file
        if at == self._hashed:
            self._sha1.update(data)
            self._hashed += len(data)
        done = os.pwrite(file, data, at)
        while done < len(data):  # a disk that is nearly full takes less than all; the next call tells why
            done += os.pwrite(file, data[done:], at + done)

    def _note(self, count: int) -> None:
        """Record now and then what is there."""
        origins = self._origins
        if origins is None:
            return
        with self._lock:
            self._unrecorded += count
            self._unsynced += count
            if self._unrecorded < _RECORD_EVERY and not (self._record_at and time.monotonic() > self._record_at):
                return
            self._unrecorded, self._record_at = 0, 0.0
            origins.have = _merged(self._spans)
            if self._unsynced >= _SYNC_EVERY:
                self._unsynced = 0
                os.fdatasync(self._part.file)
                origins.safe = origins.have
            self._part.record(origins)

    def _save(self) -> None:
        """Record what is there, for the next try."""
        if self._origins is not None and self._gap() is not None:
            self._origins.have = _merged(self._spans)
            self._part.record(self._origins)

    def _gap(self) -> tuple[int, int] | None:
        """Return the first range that is missing, or None."""
        origins = self._origins
        if origins is None:
            return None
        at = 0
        for first, end in _merged(self._spans):
            if first > at:
                return at, first
            at = max(at, end)
        return (at, origins.size) if at < origins.size else None

    def _hash_the_rest(self) -> None:
        """Take into the sha1 what was not written in a row."""
        file = self._part.file
        size = max((end for _, end in self._spans), default=self._hashed)
        room = _room(1 << 18) if self._hashed < size else memoryview(b"")
        while self._hashed < size:
            count = os.preadv(file, [room], self._hashed)
            if count == 0:
                raise Setback("the part file shrank")
            self._sha1.update(room[:count])
            self._hashed += count


class _Pace:
    """Sees that a body does not trickle for ever: over each window it has to be faster than `_SLOWEST`."""

    def __init__(self, server: str, window: float) -> None:
        self._server = server
        self._window = window
        self._since = time.monotonic()
        self._gained = 0

    def note(self, count: int) -> float:
        """Note that so many bytes came, and return the time; a Setback when they are too few."""
        self._gained += count
        now = time.monotonic()
        seconds = now - self._since
        if seconds > self._window:
            if self._gained < _SLOWEST * seconds:
                raise Setback(f"{self._server} sent {self._gained} bytes in {seconds:.0f} s", unreachable=True)
            self._since, self._gained = now, 0
        return now

    def rested(self, seconds: float) -> None:
        """Leave out the time in which we did not want more, because of our own limit."""
        self._since += seconds


class _Helper:
    """Another connection that brings a range of the file."""

    def __init__(self, download: Download, origins: Origins, first: int, end: int) -> None:
        self.first, self.end, self.size = first, end, origins.size
        self._origins = origins
        self.stop = False
        self.error: Exception | None = None
        self._download = download
        self.thread = threading.Thread(target=self._run, name="astra-range", daemon=True)

    def _run(self) -> None:
        try:
            self._download.help(self, self._origins)
        except Exception as error:  # noqa: BLE001 -- it is raised again where the file is waited for
            self.error = error


def _merged(spans: list[list[int]]) -> list[list[int]]:
    """Return the spans in order, joined where they touch."""
    merged: list[list[int]] = []
    for first, end in sorted(spans):
        if first == end:
            continue
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([first, end])
    return merged


def _encoding(headers: dict[str, str]) -> str | None:
    said = headers.get("content-encoding", "").strip().lower()
    return said if said not in ("", "identity") else None


def _validator(headers: dict[str, str]) -> str:
    """Return what If-Range may name: a strong ETag, else the date."""
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    return headers.get("last-modified", "")


def _same_kind(one: str, other: str) -> bool:
    return one.startswith('"') == other.startswith('"')
