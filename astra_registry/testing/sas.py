"""The embedded SAS: a small HTTP/1.1 server on loopback that serves a folder as the Science Archive Server does.

``python -m astra_registry.testing.sas FOLDER`` prints its URL, and serves until it is interrupted.

>>> with EmbeddedSas(folder) as sas:                                        # doctest: +SKIP
...     fetch([star], remote_base=sas.url)

It answers Range and If-Range, HEAD, folders with an index like nginx's, and serves the ``*.sha1sum`` listings that lie
in them. Tests make it misbehave: ``faults`` is called with each `Request` and returns a `Fault`, or None for none.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import email.utils
import gzip
import hashlib
import html
import http.server
import os
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, BinaryIO

import attrs

_PIECE = 1 << 18


@attrs.define
class Request:
    """One request that was made: what was asked, and how many bytes of body went out for it so far."""

    method: str
    path: str  # decoded, without the query: "/sas/dr17/…"
    headers: Mapping[str, str]  # names in lower case
    number: int = 1  # the how-manieth for this path
    client: tuple[str, int] = ("", 0)
    status: int = 0
    sent: int = 0


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with one answer; each field alone, or several together. Positions count bytes of the body."""

    status: int | None = None  # answer this, with ``headers`` and ``body``, in place of the file
    headers: Mapping[str, str] = attrs.field(factory=dict)  # added to (or replacing) the proper ones
    body: bytes | None = None
    cut_after: int | None = None  # hang up there
    reset_after: int | None = None  # hang up there with a RST
    stall_after: int | None = None  # fall silent there
    stall_seconds: float = 3600.0
    drip: tuple[int, float] | None = None  # so many bytes at a time, so many seconds apart
    promise: int | None = None  # a Content-Length that is not true
    surplus: bytes = b""  # sent after the end of the body
    other_bytes: bool = False  # the right number of bytes, but not the file's
    ignore_range: bool = False  # 200 to a request for a range
    content_range: str | None = None  # in place of the true one
    compress: bool = False  # gzip on the fly
    chunked: bool = False
    no_length: bool = False  # neither Content-Length nor chunks: the end of the connection ends the body
    hang_up: bool = False  # close the connection without an answer
    close_after: bool = False  # close it after the answer, without saying so
    before: Callable[[], None] | None = None  # called before the file is looked at: change it, remove it, wait


Faults = Callable[[Request], Fault | None]


class EmbeddedSas:
    """A server of ``folder`` on loopback, from the moment it is made until `close` (or the end of the ``with`` block).

    A file ``folder/LOCATION`` is at ``url + "/sas/" + LOCATION``. With ``sha1sums`` each folder has a listing
    ``<folder>.sha1sum`` even when none lies in it; ``users`` (name → password) asks for basic authentication of
    ``private`` locations (all, unless given); ``tls`` makes it https.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        faults: Faults | None = None,
        sha1sums: bool = False,
        users: Mapping[str, str] | None = None,
        private: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.folder = os.path.realpath(folder)
        self.faults = faults
        self.sha1sums = sha1sums
        self.users = dict(users or {})
        self.private = private
        self.requests: list[Request] = []
        self.connections = 0  # opened in all
        self.most_at_once = 0
        self.closing = threading.Event()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._server = _Server((host, port), _Handler)
        self._server.sas = self
        self._server.tls = tls
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else host}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="embedded-sas", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> EmbeddedSas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving: open connections are ended, threads joined, sockets closed."""
        self.closing.set()
        self._server.shutdown()
        with self._lock:
            open_sockets = list(self._sockets)
        for connection in open_sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # joins the handlers' threads
        self._thread.join()

    def url_of(self, location: str) -> str:
        """Return the URL at which the file at ``location`` (relative to the folder) is served."""
        return f"{self.url}/sas/{urllib.parse.quote(location)}"

    def asked(self, part: str = "", method: str | None = None) -> list[Request]:
        """Return the requests made so far whose path holds ``part``."""
        with self._lock:
            return [r for r in self.requests if part in r.path and method in (None, r.method)]

    @property
    def sent(self) -> int:
        """How many bytes of bodies went out in all."""
        with self._lock:
            return sum(request.sent for request in self.requests)

    def forget(self) -> None:
        """Forget the requests made so far."""
        with self._lock:
            self.requests.clear()
            self._counts.clear()

    # What the handlers tell.

    def record(self, request: Request) -> Fault | None:
        """Note a request, and return what is to go wrong with it."""
        with self._lock:
            self._counts[request.path] += 1
            request.number = self._counts[request.path]
            self.requests.append(request)
        return self.faults(request) if self.faults else None

    def opened(self, connection: socket.socket) -> None:
        """Note a connection that was opened."""
        with self._lock:
            self._sockets.add(connection)
            self.connections += 1
            self.most_at_once = max(self.most_at_once, len(self._sockets))

    def closed(self, connection: socket.socket) -> None:
        """Note a connection that has ended."""
        with self._lock:
            self._sockets.discard(connection)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() joins them
    request_queue_size = 512
    sas: EmbeddedSas
    tls: ssl.SSLContext | None = None

    def server_bind(self) -> None:
        # The inherited one asks DNS for the machine's name, which takes seconds where there is none.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what this server is for."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    wbufsize = -1  # the head and a small body leave in one packet
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.server.sas.opened(self.request)
        try:
            if self.server.tls is not None:
                self.request.settimeout(10)
                plain, self.request = self.request, self.server.tls.wrap_socket(self.request, server_side=True)
                self.request.settimeout(None)
                self.server.sas.closed(plain)
                self.server.sas.opened(self.request)
                self.server.sas.connections -= 1
            super().setup()
        except BaseException:
            self.server.sas.closed(self.request)
            self.request.close()
            raise

    def handle(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.server.sas.closed(self.request)
        self.request.close()

    def log_message(self, *_: object) -> None:
        """Keep no log: the requests are recorded."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        sas = self.server.sas
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, headers, client=self.client_address)
        fault = sas.record(request) or Fault()
        if fault.before is not None:
            fault.before()
        if fault.hang_up:
            self.close_connection = True
            return
        reply = self._reply(path, headers, fault)
        request.status = reply.status
        with contextlib.ExitStack() as stack:
            body: Iterator[bytes]
            if not isinstance(reply.body, bytes):
                body = _part_of(stack.enter_context(reply.body), reply.first, reply.size)
            else:
                body = iter([reply.body] if reply.body else [])
            if fault.other_bytes:
                body = (bytes(byte ^ 0x55 for byte in piece) for piece in body)
            self._send(reply, body if with_body else iter(()), fault, request)

    def _reply(self, path: str, headers: Mapping[str, str], fault: Fault) -> _Reply:
        if fault.status is not None:
            return _Reply(fault.status, {"Content-Type": "text/html"}, fault.body or b"")
        if fault.body is not None:
            return _Reply(200, {"Content-Type": "application/octet-stream"}, fault.body)
        sas = self.server.sas
        file = self._file(path)
        if file is None:
            return _page(404, "404 Not Found")
        if sas.users and (sas.private is None or sas.private(path.removeprefix("/sas/"))) and not self._may(headers):
            return _page(401, "401 Authorization Required", {"WWW-Authenticate": 'Basic realm="SDSS"'})
        if os.path.isdir(file):
            if not path.endswith("/"):
                return _page(301, "301 Moved Permanently", {"Location": urllib.parse.quote(path) + "/"})
            return _Reply(200, {"Content-Type": "text/html"}, _index(path, file, sas.sha1sums))
        if not os.path.exists(file):
            listing = _virtual_listing(file) if sas.sha1sums else None
            if listing is None:
                return _page(404, "404 Not Found")
            return _Reply(200, {"Content-Type": "text/plain"}, listing)
        return _file_reply(file, headers, fault)

    def _file(self, path: str) -> str | None:
        if not (path == "/sas" or path.startswith("/sas/")):
            return None
        folder = self.server.sas.folder
        file = os.path.normpath(os.path.join(folder, path[5:]))
        return file if file == folder or file.startswith(folder + os.sep) else None

    def _may(self, headers: Mapping[str, str]) -> bool:
        kind, _, coded = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        name, _, password = base64.b64decode(coded).decode().partition(":")
        return self.server.sas.users.get(name) == password

    def _send(self, reply: _Reply, body: Iterator[bytes], fault: Fault, request: Request) -> None:
        head = dict(reply.headers)
        chunked = fault.chunked or fault.compress
        if fault.compress:
            body = iter([gzip.compress(b"".join(body))])
            head["Content-Encoding"] = "gzip"
        if chunked:
            head["Transfer-Encoding"] = "chunked"
        elif not fault.no_length:
            head["Content-Length"] = str(reply.size if fault.promise is None else fault.promise)
        if fault.content_range is not None:
            head["Content-Range"] = fault.content_range
        head.update(fault.headers)
        self.send_response(reply.status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        held = b""
        for piece in _disturbed(body, fault, self):
            request.sent += len(piece)  # before it leaves: whoever has it may look at this number
            if fault.surplus and not chunked:
                piece, held = held + piece[:-1], piece[-1:]  # so that the last byte and what is too much leave together
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if self.close_connection is not None and getattr(self, "_hung_up", False):
            return
        self.wfile.write((b"0\r\n\r\n" if chunked else held) + fault.surplus)
        self.wfile.flush()
        if fault.no_length or fault.close_after or (fault.promise or 0) > reply.size:
            self.close_connection = True

    def hang_up(self, *, reset: bool) -> None:
        """End the connection in the middle of an answer."""
        self._hung_up = True
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


@attrs.frozen
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes | BinaryIO  # or the file that holds it
    first: int = 0
    length: int | None = None

    @property
    def size(self) -> int:
        return self.length if self.length is not None else len(self.body) if isinstance(self.body, bytes) else 0


def _page(status: int, title: str, headers: Mapping[str, str] | None = None) -> _Reply:
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n".encode()
    return _Reply(status, {"Content-Type": "text/html", **(headers or {})}, body)


def _file_reply(file: str, headers: Mapping[str, str], fault: Fault) -> _Reply:
    # Opened first: a file that is replaced meanwhile must not be sent with the validators of the one before.
    stream = open(file, "rb")  # noqa: SIM115 -- whoever sends the reply closes it
    status = os.fstat(stream.fileno())
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    changed = email.utils.formatdate(status.st_mtime, usegmt=True)
    head = {
        "Content-Type": "text/plain" if file.endswith((".sha1sum", ".txt")) else "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": changed,
    }
    wanted = headers.get("range", "")
    if fault.ignore_range or not wanted.startswith("bytes=") or headers.get("if-range", etag) not in (etag, changed):
        return _Reply(200, head, stream, 0, status.st_size)
    first_text, _, last_text = wanted[6:].partition("-")
    first = int(first_text) if first_text else max(0, status.st_size - int(last_text))
    last = min(int(last_text), status.st_size - 1) if first_text and last_text else status.st_size - 1
    if first > last:
        stream.close()
        return _Reply(416, {"Content-Range": f"bytes */{status.st_size}"}, b"")
    head["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    return _Reply(206, head, stream, first, last - first + 1)


def _part_of(stream: Any, first: int, size: int) -> Iterator[bytes]:
    stream.seek(first)
    while size > 0:
        piece = stream.read(min(_PIECE, size))
        if not piece:
            return
        size -= len(piece)
        yield piece


def _disturbed(body: Iterator[bytes], fault: Fault, handler: _Handler) -> Iterator[bytes]:
    """Give the body's pieces as the fault wants them: cut, in drips, with a pause."""
    marks = {at for at in (fault.cut_after, fault.reset_after, fault.stall_after) if at is not None}
    closing = handler.server.sas.closing
    done = 0
    for whole in body:
        piece = memoryview(whole)
        while True:
            if done == fault.stall_after and done in marks:
                marks.discard(done)
                handler.wfile.flush()
                closing.wait(fault.stall_seconds)
            if done in (fault.cut_after, fault.reset_after):
                handler.hang_up(reset=done == fault.reset_after)
                return
            if not piece:
                break
            step = min([len(piece), *(mark - done for mark in marks if mark > done)])
            if fault.drip is not None:
                step = min(step, fault.drip[0])
            yield bytes(piece[:step])
            done += step
            piece = piece[step:]
            if fault.drip is not None:
                handler.wfile.flush()
                if closing.wait(fault.drip[1]):
                    handler.hang_up(reset=False)
                    return


def _index(path: str, folder: str, sha1sums: bool) -> bytes:
    """Return the folder's index, in the words of nginx."""
    rows = ['<a href="../">../</a>\n']
    names = sorted(os.listdir(folder))
    virtual = os.path.basename(folder) + ".sha1sum"
    if sha1sums and virtual not in names and any(os.path.isfile(os.path.join(folder, name)) for name in names):
        names.append(virtual)
    for name in names:
        status = (
            os.stat(os.path.join(folder, name))
            if name != virtual or os.path.exists(os.path.join(folder, name))
            else None
        )
        is_folder = status is not None and os.path.isdir(os.path.join(folder, name))
        shown = name + ("/" if is_folder else "")
        date = time.strftime("%d-%b-%Y %H:%M", time.gmtime(status.st_mtime if status else 0))
        size = "-" if status is None or is_folder else str(status.st_size)
        rows.append(f'<a href="{urllib.parse.quote(shown)}">{html.escape(shown)}</a>  {date}  {size:>19}\n')
    title = html.escape(f"Index of {path}")
    head = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1><hr><pre>"
    return f"{head}{''.join(rows)}</pre><hr></body>\n</html>\n".encode()


def _virtual_listing(file: str) -> bytes | None:
    """Return the sha1 listing of the folder that holds ``file``, if that is its name."""
    folder = os.path.dirname(file)
    if os.path.basename(file) != os.path.basename(folder) + ".sha1sum" or not os.path.isdir(folder):
        return None
    lines = []
    for name in sorted(os.listdir(folder)):
        member = os.path.join(folder, name)
        if os.path.isfile(member):
            with open(member, "rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha1').hexdigest()}  {name}\n")
    return "".join(lines).encode()


def main(arguments: list[str] | None = None) -> None:
    """Serve a folder until interrupted; its URL is the first line on stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m astra_registry.testing.sas", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("folder", metavar="FOLDER", help="laid out as the SAS: FOLDER/dr17/…")
    parser.add_argument("--port", type=int, default=0, help="a free one, unless given")
    parser.add_argument("--sha1sums", action="store_true", help="give every folder a .sha1sum listing")
    chosen = parser.parse_args(arguments)
    if not os.path.isdir(chosen.folder):
        parser.error(f"{chosen.folder} is not a folder")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with EmbeddedSas(chosen.folder, sha1sums=chosen.sha1sums, port=chosen.port) as sas:
        sys.stdout.write(sas.url + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
