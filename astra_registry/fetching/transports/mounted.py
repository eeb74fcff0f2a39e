"""A SAS that is mounted on this machine: files are copied from it, or linked, and its folders looked at."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import urllib.parse
from collections.abc import Iterator

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.origin import without_password
from astra_registry.fetching.transports.transport import Fetched


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
        raise TransferFailed(f"{source} cannot be read ({error.strerror})") from None


class FileTransport:
    """Copies files, or makes symbolic links to them."""

    def __init__(self, *, link: bool = False) -> None:
        self._link = link

    def fetch(self, url: str, destination: str) -> Fetched:
        """Bring one file; see `Transport.fetch`."""
        source = path_of(url)
        try:
            status = os.stat(source)
            if self._link:
                os.remove(destination)
                os.symlink(source, destination)
            else:
                shutil.copyfile(source, destination)
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissing(f"there is no {source}") from None
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM) and not os.access(source, os.R_OK):
                raise Unauthorized(f"{source} may not be read ({error.strerror})") from None
            raise
        return Fetched(mtime=None if self._link else status.st_mtime)
