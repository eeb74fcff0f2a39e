"""What an SAS replies: files and ranges of them, folders' indexes in the words of nginx, listings of checksums."""

from __future__ import annotations

import email.utils
import hashlib
import html
import os
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import attrs

_PIECE = 1 << 18


@attrs.frozen
class Reply:
    """An answer as it ought to be, before anything goes wrong with it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | BinaryIO  # or the file that holds it
    first: int = 0
    length: int | None = None

    @property
    def size(self) -> int:
        """How many bytes the body has."""
        return self.length if self.length is not None else len(self.body) if isinstance(self.body, bytes) else 0


def page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a page that says just this, as nginx does of errors."""
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n".encode()
    return Reply(status, {"Content-Type": "text/html", **(headers or {})}, body)


def file_reply(file: str, headers: Mapping[str, str]) -> Reply:
    """Return a file, or the range of it that the request's headers ask for; the reply's body is to be closed."""
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
    if not wanted.startswith("bytes=") or headers.get("if-range", etag) not in (etag, changed):
        return Reply(200, head, stream, 0, status.st_size)
    first_text, _, last_text = wanted[6:].partition("-")
    first = int(first_text) if first_text else max(0, status.st_size - int(last_text))
    last = min(int(last_text), status.st_size - 1) if first_text and last_text else status.st_size - 1
    if first > last:
        stream.close()
        return Reply(416, {"Content-Range": f"bytes */{status.st_size}"}, b"")
    head["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    return Reply(206, head, stream, first, last - first + 1)


def part_of(stream: Any, first: int, size: int) -> Iterator[bytes]:
    """Yield *size* bytes of a file from *first* on, in pieces."""
    stream.seek(first)
    while size > 0:
        piece = stream.read(min(_PIECE, size))
        if not piece:
            return
        size -= len(piece)
        yield piece


def index(path: str, folder: str, sha1sums: bool) -> bytes:
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


def virtual_listing(file: str) -> bytes | None:
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
