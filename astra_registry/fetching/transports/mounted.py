"""A SAS that is mounted on this machine: files are copied from it, or linked, and its folders looked at."""

from __future__ import annotations

import contextlib
import errno
import os
import urllib.parse
from collections.abc import Iterator

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.disk.sums import Sum
from astra_registry.fetching.transports.origin import without_password
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Fetched

_PIECE = 1 << 20  # bytes that are read at once


def is_mounted(url: str) -> bool:
    """Whether a URL is of a file on this machine."""
    return url.startswith("file:")


def path_of(url: str) -> str:
    """Return the path that a file URL names."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise TransferFailed(
            f"{without_password(url)} is not on this machine: the transport 'file' wants --remote-base file:///FOLDER"
        )
    return urllib.parse.unquote(parts.path)


def head(url: str) -> dict[str, str]:
    """Return what a server would say of a file before it sends it: its length."""
    source = path_of(url)
    with _told_of(source):
        return {"content-length": str(os.stat(source).st_size)}


def read(url: str) -> bytes:
    """Return what is in a (small) file."""
    source = path_of(url)
    with _told_of(source), open(source, "rb") as file:
        return file.read()


def names_in(url: str) -> tuple[str, ...]:
    """Return the names in a folder; those of folders end in a slash."""
    source = path_of(url)
    with _told_of(source), os.scandir(source) as entries:
        return tuple(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)


@contextlib.contextmanager
def _told_of(source: str) -> Iterator[None]:
    """Raise FileMissing and Unauthorized for what lacks, and what may not be read; TransferFailed for other trouble."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise FileMissing(f"there is no {source}") from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Unauthorized(f"{source} may not be read ({error.strerror})") from None
        if error.errno == errno.ESTALE:  # its server has put another file in its place
            raise Setback(f"{source} is another file now ({error.strerror})") from None
        raise TransferFailed(f"{source} cannot be read ({error.strerror})") from None


class FileTransport:
    """Copies files, or makes symbolic links to them."""

    def __init__(self, *, link: bool = False) -> None:
        self._link = link

    def fetch(self, url: str, destination: str) -> Fetched:
        """Bring one file; see `Transport.fetch`."""
        source = path_of(url)
        if not self._link:
            return _copied(source, destination)
        with _told_of(source):
            os.stat(source)
        os.remove(destination)
        os.symlink(source, destination)
        return Fetched()


def _copied(source: str, destination: str) -> Fetched:
    """Copy a file, and return its sha1 and time; Setback where it was written to meanwhile."""
    copied = Sum()
    space = memoryview(bytearray(_PIECE))
    with contextlib.ExitStack() as closing:
        with _told_of(source):
            file = closing.enter_context(open(source, "rb", buffering=0))
        copy = closing.enter_context(open(destination, "wb", buffering=0))
        before = os.fstat(file.fileno())
        while True:
            with _told_of(source):
                count = file.readinto(space)
            if not count:
                break
            copied.add(space[:count])
            done = 0
            while done < count:  # a disk that is nearly full takes less than all; the next call tells why
                done += copy.write(space[done:count])
        after = os.fstat(file.fileno())
    if (copied.size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise Setback(f"{source} was written to while it was copied")
    return Fetched(sha1=copied.hexdigest(), mtime=before.st_mtime)
