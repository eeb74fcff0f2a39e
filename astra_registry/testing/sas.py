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
import gzip
import http.server
import os
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from astra_registry.testing.faults import Fault, Faults, Request, disturbed
from astra_registry.testing.replies import Reply, file_reply, index, page, part_of, virtual_listing

__all__ = ["EmbeddedSas", "Fault", "Faults", "Request", "main"]


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
            # A thread of a busy machine may be late to notice that its client has gone.
            self.most_at_once = max(self.most_at_once, sum(map(_is_open, self._sockets)))

    def closed(self, connection: socket.socket) -> None:
        """Note a connection that has ended."""
        with self._lock:
            self._sockets.discard(connection)


def _is_open(connection: socket.socket) -> bool:
    """Whether the other side has not hung up."""
    try:
        return socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


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
    _hung_up = False

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
                body = part_of(stack.enter_context(reply.body), reply.first, reply.size)
            else:
                body = iter([reply.body] if reply.body else [])
            if fault.other_bytes:
                body = (bytes(byte ^ 0x55 for byte in piece) for piece in body)
            self._send(reply, body if with_body else iter(()), fault, request)

    def _reply(self, path: str, headers: Mapping[str, str], fault: Fault) -> Reply:
        if fault.status is not None:
            return Reply(fault.status, {"Content-Type": "text/html"}, fault.body or b"")
        if fault.body is not None:
            return Reply(200, {"Content-Type": "application/octet-stream"}, fault.body)
        sas = self.server.sas
        file = self._file(path)
        if file is None:
            return page(404, "404 Not Found")
        if sas.users and (sas.private is None or sas.private(path.removeprefix("/sas/"))) and not self._may(headers):
            return page(401, "401 Authorization Required", {"WWW-Authenticate": 'Basic realm="SDSS"'})
        if os.path.isdir(file):
            if not path.endswith("/"):
                return page(301, "301 Moved Permanently", {"Location": urllib.parse.quote(path) + "/"})
            return Reply(200, {"Content-Type": "text/html"}, index(path, file, sas.sha1sums))
        if not os.path.exists(file):
            listing = virtual_listing(file) if sas.sha1sums else None
            if listing is None:
                return page(404, "404 Not Found")
            return Reply(200, {"Content-Type": "text/plain"}, listing)
        return file_reply(file, {} if fault.ignore_range else headers)

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

    def _send(self, reply: Reply, body: Iterator[bytes], fault: Fault, request: Request) -> None:
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
        for piece in disturbed(body, fault, self):
            request.sent += len(piece)  # before it leaves: whoever has it may look at this number
            if fault.surplus and not chunked:
                piece, held = held + piece[:-1], piece[-1:]  # so that the last byte and what is too much leave together
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if self._hung_up:
            return
        self.wfile.write((b"0\r\n\r\n" if chunked else held) + fault.surplus)
        self.wfile.flush()
        if fault.no_length or fault.close_after or (fault.promise or 0) > reply.size:
            self.close_connection = True

    # What a fault does to the line.

    def flush(self) -> None:
        """Send what is held back."""
        self.wfile.flush()

    def pause(self, seconds: float) -> bool:
        """Wait, and return whether the server is being closed."""
        return self.server.sas.closing.wait(seconds)

    def hang_up(self, *, reset: bool) -> None:
        """End the connection in the middle of an answer."""
        self._hung_up = True
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


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
