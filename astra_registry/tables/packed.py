"""Files packed by gzip: unpacked on the way where they are read from front to back, else once, onto the disk."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from astra_registry.errors import BadTable, FileFailed

_MAGIC = b"\x1f\x8b"
_TOGETHER = 1 << 20  # bytes unpacked at once


@contextlib.contextmanager
def unpacking(origin: str) -> Iterator[None]:
    """Turn what gzip raises of a file that is cut off or damaged into a BadTable."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BadTable(f"{origin} is cut off or damaged: it does not unpack") from None


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file to read it from front to back; what is packed unpacks on the way."""
    with unpacking(repr(path)), open(path, "rb") as file:
        if file.peek(2)[:2] != _MAGIC:
            yield file
        else:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream)


@contextlib.contextmanager
def unpacked(path: str) -> Iterator[str | BinaryIO]:
    """Give a file to leaf through, or to map: the path itself, or for what is packed an open file of its content.

    That file lies in the temporary folder, has no name, and is gone when it is closed, whatever happens. Raises
    FileFailed when there is no room for it.
    """
    with open(path, "rb") as file:
        is_packed = file.read(2) == _MAGIC
    if not is_packed:
        yield path
        return
    with _unpacked(path) as content:
        yield content


def _unpacked(path: str) -> BinaryIO:
    folder = tempfile.gettempdir()
    try:
        with opened(path) as stream, tempfile.TemporaryFile(dir=folder) as temporary:
            shutil.copyfileobj(stream, temporary, _TOGETHER)
            temporary.seek(0)
            # A file of its own, that is for reading alone: astropy maps no other.
            return open(os.dup(temporary.fileno()), "rb")
    except OSError as error:
        reason = error.strerror or error
        raise FileFailed(
            f"{path!r} cannot be unpacked into {folder!r}: {reason}; TMPDIR may name a folder with more room"
        ) from None
