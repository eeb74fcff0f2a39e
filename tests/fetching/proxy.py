"""A real proxy on loopback: absolute URLs of http, tunnels (CONNECT) for anything else."""

from __future__ import annotations

import base64
import contextlib
import selectors
import socket
import socketserver
import threading
from types import TracebackType

import attrs


@attrs.frozen
class Asked:
    """What a client asked the proxy for."""

    line: str  # "CONNECT archive.test:443 HTTP/1.1"
    headers: dict[str, str]  # names in lower case


class Proxy:
    """A proxy that knows some hosts (``name:port`` → port on loopback), and may want a login or refuse to tunnel."""

    def __init__(self, hosts: dict[str, int], *, login: str | None = None, answer: str | None = None) -> None:
        self.hosts = hosts
        self.login = login
        self.answer = answer  # in place of every proper answer
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        proxy = self.server.proxy
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = self.request.recv(1)
            if not more:
                return
            head += more
        line, *rest = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
        proxy.asked.append(Asked(line, headers))
        wanted = "Basic " + base64.b64encode(proxy.login.encode()).decode() if proxy.login else None
        answer = proxy.answer
        if answer is None and wanted and headers.get("proxy-authorization") != wanted:
            answer = "407 Proxy Authentication Required"
        method, target, _ = line.split(" ")
        authority = target if method == "CONNECT" else target.split("/")[2]
        if answer is None and authority not in proxy.hosts:
            answer = "502 Bad Gateway"
        if answer is not None:
            self.request.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        with socket.create_connection(("127.0.0.1", proxy.hosts[authority])) as there:
            if method == "CONNECT":
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                kept = [text for text in rest if not text.lower().startswith("proxy-")]
                there.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode())
            _pump(self.request, there)


def _pump(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)
