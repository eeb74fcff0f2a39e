"""One HTTP/1.1 connection: ask, and read the answer without trusting it.

The standard library's client costs more a small file than the transfer itself, and hides what a server sends beyond
the length that it promised; this one reads into the caller's memory and tells.
"""

from __future__ import annotations

import math
import re
import socket
import struct
import time
from collections.abc import Iterable
from typing import NoReturn

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.http.line import Line
from astra_registry.fetching.transports.http.proxies import Proxy
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.setbacks import Setback

_HEAD_LIMIT = 1 << 16
_LOOK_EVERY = 0.25  # seconds that one call waits for more than what has come
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NUMBER = re.compile(r"[0-9]{1,18}")  # int() and isdigit() take more than HTTP does: "²", "+5", "1_000", 5,000 digits
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_TRAILERS = 100


class StaleConnection(Exception):
    """A kept-alive connection had ended, or fallen silent, before the answer began: ask again on a new one."""


class Connection:
    """A line to one origin that can be asked again and again."""

    def __init__(self, origin: Origin, line: Line, proxy: Proxy | None, patience: float) -> None:
        self.origin = origin
        self._line = line
        self._proxy = proxy
        self._socket: socket.socket = line.open(origin, proxy, patience)
        self._encrypted = origin.scheme == "https"
        self._room = memoryview(bytearray(_HEAD_LIMIT))
        self._buffer = memoryview(b"")  # what came with a head, and belongs to its body
        self._patience = line.timeout
        self.asked = 0
        if not self._encrypted:
            # The kernel keeps the time and fills what it is given: one call and one turn of the interpreter a piece,
            # where a socket with a time-out of Python's takes two for each packet or so.
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_LOOK_EVERY))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(line.timeout))

    def close(self) -> None:
        """Close the line."""
        self._line.close(self._socket)

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]], patience: float) -> Answer:
        """Send a request, and return the answer as soon as its head is here; the body is the caller's to read."""
        self._patience = max(0.05, min(self._line.timeout, patience))
        if self._encrypted:
            self._socket.settimeout(self._patience)
        if self._proxy is not None and self.origin.scheme == "http":
            target = f"{self.origin}{target}"
            if self._proxy.authorization:
                headers = [*headers, ("Proxy-Authorization", self._proxy.authorization)]
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.origin.authority}"]
        lines += [f"{name}: {value}" for name, value in headers]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.asked += 1
        try:
            self._socket.sendall(request)
            first = self._some()
        except (TimeoutError, BlockingIOError):
            self._fail_unless_stale(self._silent())
        except OSError:
            first = b""
        if not first:
            self._fail_unless_stale(Setback(f"{self.origin.authority} hung up without an answer", unreachable=True))
        return self._answer(method, first)

    def _fail_unless_stale(self, setback: Setback) -> NoReturn:
        if self.asked > 1:
            # Who rests is forgotten now and then: by the server, or by a gateway, or this machine slept.
            raise StaleConnection from None
        raise setback from None

    def _silent(self) -> Setback:
        told = f"{self.origin.authority} was silent, or nearly, for {self._patience:.3g} s"
        return Setback(told, unreachable=True)

    def _answer(self, method: str, data: bytes) -> Answer:
        until = self.patience_ends()
        while True:
            end = _HEAD_END.search(data)
            if end is None:
                if len(data) > _HEAD_LIMIT:
                    raise Setback(f"{self.origin.authority} sent a head without an end")
                more = self._more(until)
                if not more:
                    raise Setback(f"{self.origin.authority} hung up in the middle of an answer's head")
                data += more
                continue
            self._buffer = memoryview(data)[end.end() :]
            answer = Answer(self, method, data[: end.start()].decode("latin-1"))
            if answer.status >= 200:
                return answer
            data = bytes(self._buffer)  # 100 Continue and the like: the answer proper follows

    def patience_ends(self) -> float:
        """The time at which what begins now has to be complete: a trickle is as good as silence."""
        return time.monotonic() + self._patience

    def _more(self, until: float) -> bytes:
        if time.monotonic() > until:
            raise self._silent()
        try:
            return self._some()
        except OSError as error:
            raise self._broken(error) from None

    def _some(self) -> bytes:
        """Return what has come, waiting for it; b"" at the end of the connection."""
        return bytes(self._room[: self._fill(self._room)])

    def _fill(self, view: memoryview, flags: int = 0) -> int:
        """Receive into ``view``; return how many bytes, or raise TimeoutError when none came for too long."""
        if self._encrypted:
            return self._socket.recv_into(view)
        for _ in range(math.ceil(self._patience / _LOOK_EVERY)):
            try:
                return self._socket.recv_into(view, 0, flags)
            except BlockingIOError:
                continue
        raise TimeoutError

    def _broken(self, error: OSError) -> Setback:
        if isinstance(error, TimeoutError):
            return self._silent()
        return Setback(f"the connection to {self.origin.authority} broke: {error.strerror or error}")

    # What an answer reads its body with.

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``, or what of it comes soon; return how many bytes, 0 at the end of the connection."""
        if self._buffer:
            count = min(len(view), len(self._buffer))
            view[:count] = self._buffer[:count]
            self._buffer = self._buffer[count:]
            return count
        try:
            return self._fill(view, socket.MSG_WAITALL)
        except OSError as error:
            raise self._broken(error) from None

    def hurry(self, until: float) -> None:
        """Wait no longer than until then, in each call."""
        self._patience = max(0.05, min(self._patience, until - time.monotonic()))
        if self._encrypted:
            self._socket.settimeout(self._patience)

    def read_line(self, until: float = math.inf) -> bytes:
        """Return the next line without its end; it has to be here until then."""
        data = bytes(self._buffer)
        until = min(until, self.patience_ends())
        while b"\n" not in data:
            more = self._more(until)
            if not more or len(data) > _HEAD_LIMIT:
                raise Setback(f"{self.origin.authority} hung up in the middle of the file")
            data += more
        line, _, rest = data.partition(b"\n")
        self._buffer = memoryview(rest)
        return line.rstrip(b"\r")

    def surplus(self) -> bool | None:
        """Whether more came than was promised; None when the server has closed the connection."""
        if self._buffer:
            return True
        if self._encrypted:
            return self._encrypted_surplus()
        try:
            return True if self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) else None
        except BlockingIOError:
            return False
        except OSError:
            return None

    def _encrypted_surplus(self) -> bool | None:
        import ssl  # a server without TLS does without it

        self._socket.settimeout(0)  # until the next question
        try:
            return True if self._socket.recv(1) else None
        except ssl.SSLWantReadError:  # of TLS itself something may have come, but none of its contents
            return False
        except OSError:
            return None


class Answer:
    """The head of an answer, and the way to its body."""

    __slots__ = (
        "_chunk",
        "_chunked",
        "_is_head",
        "_keeps",
        "_left",
        "connection",
        "headers",
        "length",
        "received",
        "status",
    )

    def __init__(self, connection: Connection, method: str, head: str) -> None:
        self.connection = connection
        first, *lines = head.replace("\r\n", "\n").split("\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or number(rest[:3]) is None:
            raise Setback(f"{connection.origin.authority} does not speak HTTP: it said {first[:60]!r}")
        self.status = int(rest[:3])
        self.headers = _headers(lines)
        said = self.headers.get("connection", "").lower()
        self._keeps = "close" not in said if version != "HTTP/1.0" else "keep-alive" in said
        self.received = 0
        self._chunk = 0
        coding = self.headers.get("transfer-encoding", "identity").lower()
        if coding not in ("chunked", "identity"):
            raise TransferFailed(f"{connection.origin.authority} sends the file as {coding[:40]!r}, unasked")
        self._chunked = coding == "chunked"
        self.length: int | None = None
        self._is_head = method == "HEAD"  # to which some servers send the body all the same
        if self._is_head or self.status in (204, 304) or self.status < 200:
            self.length = 0
            self._chunked = False
        elif not self._chunked and "content-length" in self.headers:
            text = self.headers["content-length"]
            told = {length.strip() for length in text.split(",")}  # some gateways repeat it (RFC 9110, 8.6)
            self.length = number(told.pop()) if len(told) == 1 else None
            if self.length is None:
                raise Setback(f"{connection.origin.authority} promises a length of {text[:40]!r}")
        self._left = self.length

    @property
    def promises(self) -> bool:
        """Whether the answer itself tells where its body ends."""
        return self._chunked or self.length is not None

    def read_into(self, view: memoryview) -> int:
        """Fill (a part of) ``view`` from the body; return how many bytes, 0 at its end. A cut body is a Setback."""
        if self._chunked:
            return self._read_chunk(view)
        if self._left is None:
            count = self.connection.read_into(view)
            self._keeps = False
        elif self._left == 0:
            return 0
        else:
            count = self.connection.read_into(view[: self._left] if self._left < len(view) else view)
            if count == 0:
                raise Setback(
                    f"{self.connection.origin.authority} hung up after {self.received} of {self.length} bytes"
                )
            self._left -= count
        self.received += count
        return count

    def _read_chunk(self, view: memoryview) -> int:
        if self._chunk == 0:
            size = self.connection.read_line().partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(size):
                raise Setback(f"{self.connection.origin.authority} sent a broken chunk: {size[:20]!r}")
            self._chunk = int(size, 16)
            if self._chunk == 0:
                until = self.connection.patience_ends()
                if not any(not self.connection.read_line(until) for _ in range(_TRAILERS)):
                    raise Setback(f"{self.connection.origin.authority} sends trailers without an end")
                self._chunked, self._left, self.length = False, 0, self.received
                return 0
        count = self.connection.read_into(view[: self._chunk] if self._chunk < len(view) else view)
        if count == 0:
            raise Setback(f"{self.connection.origin.authority} hung up in the middle of the file")
        self._chunk -= count
        self.received += count
        if self._chunk == 0 and self.connection.read_line():
            raise Setback(f"{self.connection.origin.authority} sent a chunk that is longer than it says")
        return count

    def read(self, most: int, until: float) -> bytes:
        """Return the whole body; a Setback when it is longer than ``most`` bytes, or not here at that time."""
        pieces = []
        room = memoryview(bytearray(min(most + 1, 1 << 16)))
        self.connection.hurry(until)
        while count := self.read_into(room):
            pieces.append(bytes(room[:count]))
            if self.received > most:
                raise Setback(f"{self.connection.origin.authority} sent more than {most} bytes")
            if time.monotonic() > until:
                raise Setback(f"{self.connection.origin.authority} takes too long for {self.received} bytes")
        return b"".join(pieces)

    @property
    def ended(self) -> bool:
        """Whether the body was read to its end."""
        return self._left == 0 and not self._chunked

    def reusable(self) -> bool:
        """Whether the connection can be asked again; a Setback when more came than was promised."""
        if not self.ended:
            return False
        surplus = self.connection.surplus()
        if surplus and self.length is not None and not self._is_head:
            raise Setback(f"{self.connection.origin.authority} sent more than the {self.length} bytes it promised")
        return self._keeps and surplus is False


def number(text: str) -> int | None:
    """Return the number that a header or a status line tells; None for what HTTP does not call one."""
    return int(text) if _NUMBER.fullmatch(text) else None


def _headers(lines: Iterable[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        value = value.strip()
        if name in headers and headers[name] != value:
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _timeval(seconds: float) -> bytes:
    """Return a duration as the kernel's socket options want it."""
    whole = int(seconds)
    return struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
