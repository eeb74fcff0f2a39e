"""One file over HTTP: in one piece or in several ranges, going on where an earlier try ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial

from astra_registry.errors import FileFailed, FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.disk.parts import RESUMABLE, Origins, Part
from astra_registry.fetching.transports.http.client import HttpClient, Reply
from astra_registry.fetching.transports.http.dates import modified
from astra_registry.fetching.transports.http.filling import Filling, Misfit, room
from astra_registry.fetching.transports.http.pace import Pace
from astra_registry.fetching.transports.http.pieces import Crew, Pieces
from astra_registry.fetching.transports.http.unpacking import DamagedBody, unpacked
from astra_registry.fetching.transports.origin import split, without_password
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Errand, Fetched

_OVERLAP = 4096  # bytes that a range repeats, to see that it fits to what is there
_SHARED_FROM = 32 << 20  # bytes: of shorter ones too much is lost with the answer that is not heard to its end
_RANGE_AT_LEAST = 8 << 20  # bytes that are worth another connection
_CONNECTIONS = 6  # for one file: each begins slowly, and they grow by round trips
_RANGES_REFUSED = 3  # times in a row: then it is not for want of time
_KEEP_EVERY = 0.25  # seconds that bytes stay in memory


class Download:
    """The transfer of one file to one part."""

    def __init__(self, client: HttpClient, url: str, destination: str, errand: Errand) -> None:
        self._client = client
        self._url = url
        self._errand = errand
        self._part = errand.part or Part(destination, destination)
        self._owns_part = errand.part is None
        self._filling = Filling(self._part)
        self._counting = threading.Lock()
        self._headers: dict[str, str] = {}
        self._proven = True

    def run(self) -> Fetched:
        """Bring what is missing."""
        try:
            while True:
                try:
                    return self._run()
                except Misfit as misfit:
                    # What came does not fit together. A file may change under us once; else the server's ranges are of
                    # something else, and the whole file it may still have right.
                    self._errand.ranges = misfit.is_change and not self._errand.has_changed
                    self._errand.has_changed = True
                    self._filling.restart()
        finally:
            self._filling.save()
            if self._owns_part:
                self._part.close()

    def _run(self) -> Fetched:
        filling = self._filling
        origins = self._part.origins() if self._errand.ranges else None
        if origins is not None and origins.url == without_password(self._url):
            filling.resume(origins)
            # Where all bytes are here, and only the last step was not taken, it tells whether they are still the same.
            self._fill(*(filling.gap() or (origins.size, origins.size)))
        else:
            with self._client.ask(self._url, self._errand) as reply:
                self._begin(reply)
        while (gap := filling.gap()) is not None:
            # There were several holes to begin with, or one who helped was refused.
            self._fill(*gap)
        filling.check_seams()
        if not self._proven and _encoding(self._headers) is None:
            self._proven = self._ends_at(os.fstat(self._part.file).st_size)
        return Fetched(filling.sha1(), modified(self._headers), self._headers.get("etag"), proven=self._proven)

    # The whole file

    def _begin(self, reply: Reply) -> None:
        """Take an answer to a request for the whole file."""
        answer = reply.answer
        if answer.status != 200:
            reply.skip_body()
            raise self._refusal(reply)
        self._errand.is_given = True
        if answer.length is not None and _encoding(answer.headers) is None:
            self._errand.admit(answer.length)
        self._filling.restart()
        self._headers = answer.headers
        self._proven = answer.promises
        if _encoding(answer.headers) is not None:
            self._take_encoded(reply)
            return
        size = answer.length
        validator = _validator(answer.headers)
        if validator and size is not None and size >= RESUMABLE and self._errand.ranges:
            self._filling.begin(Origins(without_password(self._url), validator, size))
            if "bytes" in answer.headers.get("accept-ranges", ""):
                self._take_shared(reply, 0, size)
                return
        self._take(reply, 0, size)

    def _refusal(self, reply: Reply) -> FileFailed:
        """Return what an answer that is none means for this file."""
        refusal = self._client.refusal(self._url, reply, self._errand)
        if self._errand.is_given and isinstance(refusal, Unauthorized):
            return Setback(str(refusal))  # it gives the file, and not so often, or not to so many at once
        return refusal

    def _take_encoded(self, reply: Reply) -> None:
        """Take a body that the server compressed on the way, though it was asked not to."""
        kind = _encoding(reply.answer.headers)
        if kind not in ("gzip", "x-gzip", "deflate"):
            raise TransferFailed(f"{reply.host.origin.authority} sends the file encoded as {kind!r}, unasked")
        may_be_the_file = self._url.lower().endswith((".gz", ".tgz"))
        offset = 0
        try:
            for data in unpacked(self._arriving(reply), may_be_the_file=may_be_the_file):
                self._filling.write(data, offset)
                offset += len(data)
        except DamagedBody as error:
            raise Setback(f"{reply.host.origin.authority} {error} after {reply.answer.received} bytes") from None

    def _arriving(self, reply: Reply) -> Iterator[bytes]:
        """Give the body as it comes."""
        space = room(self._client.throttle.piece)
        pace = self._pace(reply)
        while count := reply.answer.read_into(space):
            now = pace.note(count)
            self._gained(count)
            pace.rested(time.monotonic() - now)
            yield bytes(space[:count])

    def _ends_at(self, size: int) -> bool:
        """Ask a server that told no length for what comes behind the last byte; whether it says that nothing does."""
        with self._client.ask(self._url, self._errand, (("Range", f"bytes={size}-"),)) as reply:
            reply.drop()
            if reply.answer.status == 206:
                raise Setback(f"{reply.host.origin.authority} ended the file after {size} bytes, and has more of it")
            if reply.answer.status not in (200, 416) and isinstance(
                refusal := self._client.refusal(self._url, reply, self._errand), Setback
            ):
                raise refusal
            return reply.answer.status == 416

    # Ranges

    def _fill(self, first: int, end: int) -> None:
        """Bring the bytes from ``first`` up to ``end`` with a range that begins a little earlier."""
        origins = self._filling.origins
        if origins is None:
            raise Setback("the transfer was cut")
        start = max(0, first - _OVERLAP)
        last = "" if end == origins.size else str(min(end + _OVERLAP, origins.size) - 1)
        headers = (("Range", f"bytes={start}-{last}"), ("If-Range", origins.validator))
        with self._client.ask(self._url, self._errand, headers) as reply:
            if reply.answer.status in (200, 416):
                if reply.answer.status == 200:
                    self._begin(reply)  # it has changed, or the server has no ranges
                    return
                reply.skip_body()
                raise Misfit
            if reply.answer.status != 206:
                reply.skip_body()
                self._fill_without(self._refusal(reply))
                return
            self._errand.is_given, self._errand.ranges_refused = True, 0
            self._check_range(reply, start, origins)
            self._headers = reply.answer.headers
            self._compare(reply, start, first)
            if first == end:
                return
            self._take_shared(reply, first, end)

    def _fill_without(self, refusal: FileFailed) -> None:
        """Bring the whole file where a server gives no ranges of it; raise its ``refusal`` else."""
        self._errand.ranges_refused += 1
        is_busy = isinstance(refusal, Setback) and self._errand.ranges_refused < _RANGES_REFUSED
        if is_busy or isinstance(refusal, FileMissing):
            raise refusal
        with self._client.ask(self._url, self._errand) as reply:
            # Where it does not give the whole file either, it is busy, and what came is not given up for that.
            self._errand.ranges = reply.answer.status != 200
            self._begin(reply)

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
            space = room(min(_OVERLAP, first - at))
            count = reply.answer.read_into(space)
            if count == 0:
                raise Setback(f"{reply.host.origin.authority} sent an empty range")
            pace.note(count)
            if self._filling.differs(space[:count], at):
                reply.drop()
                raise Misfit
            at += count

    def _take_shared(self, reply: Reply, first: int, end: int) -> None:
        """Take a long range, with helpers on connections that nobody uses now."""
        length = end - first
        is_shared = self._errand.ranges and length >= _SHARED_FROM
        most = min(_CONNECTIONS, length // _RANGE_AT_LEAST) if is_shared else 1
        spare = self._client.hosts[split(self._url)[0]].spare(most - 1)
        if spare < 1 or not self._filling.spread():
            self._take(reply, first, end)
            return
        pieces = Pieces(first, end, spare + 1)
        own = pieces.take()
        with self._filling.followed(), Crew(pieces, partial(self._take_piece, pieces), spare) as crew:
            if own is not None:
                try:
                    self._take(reply, *own, pieces=pieces)
                except BaseException:
                    reply.drop()  # before those who help have ended: others wait for the place
                    raise
            reply.done()  # what else it would send others bring
            crew.bring_too()

    def _take_piece(self, pieces: Pieces, first: int, end: int, *, is_spare: bool) -> None:
        """Bring one piece; this is called in several threads. Who is spare does not wait for a connection."""
        origins = self._filling.origins
        if origins is None:
            return
        errand = Errand(is_public=self._errand.is_public, deadline=self._errand.deadline, waits=not is_spare)
        last = min(end + _OVERLAP, origins.size) - 1
        headers = (("Range", f"bytes={first}-{last}"), ("If-Range", origins.validator))
        try:
            with self._client.ask(self._url, errand, headers) as reply:
                if reply.answer.status != 206:
                    reply.drop()
                    if reply.answer.status in (200, 416):
                        raise Misfit(is_change=reply.answer.status == 200)  # or ranges were an empty promise
                    refusal = self._client.refusal(self._url, reply, errand)
                    # It began to give the file: whether it does not any more, or not to so many, the next try is told.
                    raise refusal if isinstance(refusal, Setback) else Setback(str(refusal))
                self._check_range(reply, first, origins)
                self._take(reply, first, end, pieces=pieces)
        finally:
            with self._counting:
                self._errand.requests += errand.requests

    # Bytes

    def _take(self, reply: Reply, first: int, end: int | None, *, pieces: Pieces | None = None) -> None:
        """Write the body to the part from ``first`` to ``end``; where the file goes on, note what follows there."""
        answer = reply.answer
        size = self._client.throttle.piece
        space = room(size)
        pace = self._pace(reply)
        span = self._filling.span(first)
        at, filled, kept_at = first, 0, time.monotonic()
        origins = self._filling.origins
        has_seam = end is not None and origins is not None and end < origins.size
        try:
            while end is None or at + filled < end:
                count = answer.read_into(space[filled : size if end is None else min(size, end - at)])
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
                if has_seam and at + filled == end:
                    break
                if filled == size or now - kept_at > _KEEP_EVERY:
                    ready, filled, kept_at = space[:filled], 0, now
                    at = self._filling.extend(span, ready)
                    self._gained(len(ready))
                    pace.rested(time.monotonic() - now)
                if pieces is not None and pieces.stopped:
                    reply.drop()
                    return
            if has_seam and end is not None and origins is not None:
                self._note_seam(reply, end, min(end + _OVERLAP, origins.size))
                has_seam = False
        finally:
            if has_seam and at + filled == end:
                filled -= 1  # a hole stays: nobody saw whether what lies behind it is of the same file
            if filled:
                self._errand.gained(filled)
                self._filling.extend(span, space[:filled])
        if end is None:
            answer.read_into(space)

    def _gained(self, count: int) -> None:
        """Note bytes that came, and wait where they came faster than they may."""
        self._errand.gained(count)
        if self._client.throttle.rate is not None:
            self._errand.wait(partial(self._client.throttle.spend, count))

    def _pace(self, reply: Reply) -> Pace:
        window = max(1.0, min(2 * self._client.hosts.line.timeout, self._errand.patience))
        return Pace(reply.host.origin.authority, window)

    def _note_seam(self, reply: Reply, first: int, end: int) -> None:
        """Read where the next range begins, to see that both are of the same file."""
        pace = self._pace(reply)
        pieces = []
        at = first
        while at < end:
            space = memoryview(bytearray(end - at))  # this thread's room holds what is still to be written
            count = reply.answer.read_into(space)
            if count == 0:
                raise Setback(f"{reply.host.origin.authority} ended a range too soon")
            pace.note(count)
            pieces.append(bytes(space[:count]))
            at += count
        self._filling.note_seam(first, b"".join(pieces))


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
