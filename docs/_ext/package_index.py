"""A package index on loopback: what the tutorial publishes is really uploaded, and installed from there."""

from __future__ import annotations

import email
import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType


class PackageIndex:
    """Takes what twine uploads into a folder, and lists it for pip; `url` is for both."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                form = email.message_from_bytes(head + self.rfile.read(int(self.headers["Content-Length"])))
                for part in form.get_payload():
                    if name := part.get_filename():  # type: ignore[union-attr]
                        (folder / name).write_bytes(part.get_payload(decode=True))  # type: ignore[union-attr, arg-type]
                self._answer(b"", "text/plain")

            def do_GET(self) -> None:
                name = self.path.strip("/")
                if name and (folder / name).is_file():
                    self._answer((folder / name).read_bytes(), "application/octet-stream")
                else:
                    names = sorted(html.escape(file.name) for file in folder.iterdir())
                    self._answer("".join(f'<a href="/{name}">{name}</a>\n' for name in names).encode(), "text/html")

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self.environment = {
            "TWINE_REPOSITORY_URL": self.url,
            "TWINE_USERNAME": "__token__",
            "TWINE_PASSWORD": "a-token",
            "PIP_FIND_LINKS": self.url,
        }

    def __enter__(self) -> PackageIndex:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
