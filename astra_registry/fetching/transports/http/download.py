"""One file over HTTP: in one piece or in several ranges, going on where an earlier try ended."""

from __future__ import annotations

import threading
import time
import zlib

from astra_registry.errors import TransferFailed
from astra_registry.fetching.disk.parts import RESUMABLE, Origins, Part
from astra_registry.fetching.transports.http.client import HttpClient, Reply
from astra_registry.fetching.transports.http.dates import modified
from astra_registry.fetching.transports.http.filling import Filling, Misfit, room
from astra_registry.fetching.transports.http.pieces import Crew, Pieces
from astra_registry.fetching.transports.origin import split, without_password
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Errand, Fetched

_OVERLAP = 4096  # bytes that a range repeats, to see that it fits to what is there
_RANGE_AT_LEAST = 8 << 20  # bytes that are worth another connection
_CONNECTIONS = 6  # for one file: each begins slowly, and they grow by round trips
_KEEP_EVERY = 0.25  # seconds that bytes stay in memory
_SLOWEST = 256  # bytes a second: less is as good as silence


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
            return self._run()
        except Misfit:
            # It answered with a range of something else; the whole file it may still have right.
            self._errand.ranges = False
            self._filling.restart()
            return self._run()
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
            # There were several holes to begin with.
            self._fill(*gap)
        filling.check_seams()
        return Fetched(filling.sha1(), modified(self._headers), self._headers.get("etag"), proven=self._proven)

    # The whole file

    def _begin(self, reply: Reply) -> None:
        """Take an answer to a request for the whole file."""
        answer = reply.answer
        if answer.status != 200:
            reply.skip_body()
            raise self._client.refusal(self._url, reply, self._errand)
        self._filling.restart()
        self._headers = answer.headers
        if _encoding(answer.headers) is not None:
            self._take_encoded(reply)
            return
        self._proven = answer.promises
        size = answer.length
        validator = _validator(answer.headers)
        if validator and size is not None and size >= RESUMABLE and self._errand.ranges:
            self._filling.begin(Origins(without_password(self._url), validator, size))
            if "bytes" in answer.headers.get("accept-ranges", ""):
                self._take_shared(reply, 0, size)
                return
        self._take(reply, 0, size)

    def _take_encoded(self, reply: Reply) -> None:
        """Take a body that the server compressed on the way, though it was asked not to."""
        kind = _encoding(reply.answer.headers)
        if kind not in ("gzip", "x-gzip", "deflate"):
            raise TransferFailed(f"{reply.host.origin.authority} sends the file encoded as {kind!r}, unasked")
        space = room(self._client.throttle.piece)
        unpacking = Unpacking()
        name = self._url.lower()
        packed_name = name.endswith((".gz", ".tgz"))
        keep: bool | None = None if packed_name else False
        pace = self._pace(reply)
        offset = 0
        raw_offset = 0
        while count := reply.answer.read_into(space):
            self._errand.gained(count)
            now = pace.note(count)
            self._client.throttle.spend(count)
            pace.rested(time.monotonic() - now)
            try:
                data = unpacking.open(space[:count])
            except zlib.error as error:
                raise Setback(f"{reply.host.origin.authority} sent a damaged compressed body: {error}") from None
            if keep is None and data:
                # Some servers call a .gz file itself an encoding of what is in it; then its bytes are the file.
                keep = not data.startswith(b"\x1f\x8b")
            chosen = bytes(space[:count]) if keep else data
            self._filling.write(chosen, offset)
            offset += len(chosen)
            raw_offset += count
        if not unpacking.ended:
            raise Setback(f"{reply.host.origin.authority} cut the compressed body after {raw_offset} bytes")

    # Ranges

    def _fill(self, first: int, end: int) -> None:
        """Bring the bytes from ``first`` up to ``end`` with a range that begins a little earlier."""
        origins = self._filling.origins
        if origins is None:
            raise Setback("the transfer was cut")
        start = max(0, first - _OVERLAP)
        last = "" if end == origins.size else str(end - 1)
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
                raise self._client.refusal(self._url, reply, self._errand)
            self._check_range(reply, start, origins)
            self._headers = reply.answer.headers
            self._compare(reply, start, first)
            if first == end:
                return
            if end == origins.size:
                self._take_shared(reply, first, end)
            else:
                self._take(reply, first, end)

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

    def _take_shared(self, reply: Reply, first: int, size: int) -> None:
        """Take the rest of the file, with helpers on connections that nobody uses now."""
        most = min(_CONNECTIONS, (size - first) // _RANGE_AT_LEAST) if self._errand.ranges else 1
        spare = self._client.hosts[split(self._url)[0]].spare(most - 1)
        if spare < 1:
            self._take(reply, first, size)
            return
        pieces = Pieces(first, size, spare + 1)
        own = pieces.take()
        self._filling.spread()
        with self._filling.followed(), Crew(pieces, lambda *piece: self._take_piece(pieces, *piece), spare) as crew:
            if own is not None:
                self._take(reply, *own, pieces=pieces)
            reply.done()  # what else it would send others bring
            crew.help()

    def _take_piece(self, pieces: Pieces, first: int, end: int) -> None:
        """Bring one piece; this is called in several threads."""
        origins = self._filling.origins
        if origins is None:
            return
        errand = Errand(is_public=self._errand.is_public, deadline=self._errand.deadline)
        last = min(end + _OVERLAP, pieces.size) - 1
        headers = (("Range", f"bytes={first}-{last}"), ("If-Range", origins.validator))
        try:
            with self._client.ask(self._url, errand, headers) as reply:
                if reply.answer.status != 206:
                    reply.drop()
                    if reply.answer.status in (200, 416):
                        raise Misfit  # it changed meanwhile, or ranges were an empty promise
                    raise self._client.refusal(self._url, reply, errand)
                self._check_range(reply, first, origins)
                self._take(reply, first, end, pieces=pieces)
        finally:
            with self._counting:
                self._errand.requests += errand.requests

    # Bytes

    def _take(self, reply: Reply, first: int, end: int | None, *, pieces: Pieces | None = None) -> None:
        """Write the body to the part from ``first`` to ``end``; of a piece, note what follows where the next begins."""
        answer = reply.answer
        size = self._client.throttle.piece
        space = room(size)
        pace = self._pace(reply)
        span = self._filling.span(first)
        at, filled, kept_at = first, 0, time.monotonic()
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
                if filled == size or now - kept_at > _KEEP_EVERY:
                    at, filled, kept_at = self._keep(space[:filled], span), 0, now
                    if self._client.throttle.rate is not None:
                        pace.rested(time.monotonic() - now)
                if pieces is not None and pieces.stopped:
                    reply.drop()
                    return
        finally:
            if filled:
                self._keep(space[:filled], span)
        if end is None:
            answer.read_into(space)
        elif pieces is not None and end < pieces.size:
            self._note_seam(reply, end, min(end + _OVERLAP, pieces.size))

    def _keep(self, data: memoryview, span: list[int]) -> int:
        """Write what came to the end of a span; return the new end."""
        end = self._filling.extend(span, data)
        self._errand.gained(len(data))
        self._client.throttle.spend(len(data))
        return end

    def _pace(self, reply: Reply) -> _Pace:
        window = max(1.0, min(2 * self._client.hosts.line.timeout, self._errand.patience))
        return _Pace(reply.host.origin.authority, window)

    def _note_seam(self, reply: Reply, first: int, end: int) -> None:
        """Read where the next range begins, to see in the end that both are of the same file."""
        pace = self._pace(reply)
        pieces = []
        at = first
        while at < end:
            space = room(end - at)
            count = reply.answer.read_into(space)
            if count == 0:
                break
            pace.note(count)
            pieces.append(bytes(space[:count]))
            at += count
        self._filling.note_seam(first, b"".join(pieces))


class Unpacking:
    """Opens a body that was compressed on the way, piece by piece; like a file of gzip it may have several members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(47)

    def open(self, data: memoryview) -> bytes:
        """Return what is in the next piece; zlib.error when it is damaged."""
        opened = self._member.decompress(data)
        while self._member.eof and (rest := self._member.unused_data):
            self._member = zlib.decompressobj(47)
            opened += self._member.decompress(rest)
        return opened

    @property
    def ended(self) -> bool:
        """Whether the last member is complete."""
        return self._member.eof


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
