"""Whether a file is whole, as far as its own format tells: FITS to its last block, gzip and bzip2 to their trailers."""

from __future__ import annotations

import importlib
import io
import math
import os
import re
import sys
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from astra_registry.errors import CorruptFile

BLOCK = 2880  # bytes: everything in a FITS file comes in such blocks
_CARD = 80
_PIECE = 1 << 20
_SMALL = 1 << 14  # bytes

_FITS = re.compile(r"\.(fits?|fts)(\.fz)?$|\.fz$", re.IGNORECASE)
_PAGE = re.compile(rb"\s*(<!doctype\s+html|<html|<head|<\?xml[^>]*>\s*<!doctype\s+html|<error)", re.IGNORECASE)
# How files of other kinds begin.
_BEGINNINGS = {
    ".png": (b"\x89PNG",),
    ".jpg": (b"\xff\xd8",),
    ".jpeg": (b"\xff\xd8",),
    ".pdf": (b"%PDF",),
    ".zip": (b"PK",),
    ".npz": (b"PK",),
    ".h5": (b"\x89HDF",),
    ".hdf5": (b"\x89HDF",),
}
# How packed files begin, and the module of the standard library that opens them.
_PACKED = {
    ".gz": (b"\x1f\x8b", "gzip"),
    ".tgz": (b"\x1f\x8b", "gzip"),
    ".bz2": (b"BZh", "bz2"),
    ".xz": (b"\xfd7zXZ", "lzma"),
}


def tells_its_end(name: str) -> bool:
    """Whether a file of that name shows by itself when it is cut."""
    stem, suffix = os.path.splitext(name)
    return bool(_FITS.search(name)) or suffix.lower() in _PACKED or bool(_FITS.search(stem))


def check(path: str, name: str | None = None, *, file: int | None = None) -> None:
    """Raise CorruptFile, which says what is wrong, unless the file at ``path`` is whole.

    ``name`` is what it will be called when it lies there under another name; its endings tell what it has to be.
    ``file`` is a descriptor of it, where one is open already.
    """
    name = os.path.basename(path) if name is None else name
    with _opened(path, file) as stream:
        first = stream.read(BLOCK)
        if not first:
            raise CorruptFile("it is empty")
        stem, suffix = os.path.splitext(name)
        lowered = suffix.lower()
        if lowered in _PACKED:
            magic, module = _PACKED[lowered]
            if not first.startswith(magic):
                raise CorruptFile(f"it is {_nature(first)}, not a {lowered[1:]} file")
            stream.seek(0)
            _check_packed(importlib.import_module(module).open(stream), is_fits=bool(_FITS.search(stem)))
        elif _FITS.search(name):
            size = stream.seek(0, os.SEEK_END)
            stream.seek(BLOCK)
            _walk(stream, first, size)
        elif lowered in _BEGINNINGS:
            if not first.startswith(_BEGINNINGS[lowered]):
                raise CorruptFile(f"it is {_nature(first)}, not a {lowered[1:]} file")
        elif lowered not in (".html", ".htm", ".xhtml", ".xml") and _PAGE.match(first):
            raise CorruptFile("it is an HTML page (a login or an error?), not the file")


def _opened(path: str, file: int | None) -> BinaryIO:
    """Return the file as a stream; a small one that is open already as its bytes, read by one call to the system."""
    if file is None:
        return open(path, "rb", buffering=0)
    start = os.pread(file, _SMALL, 0)
    if len(start) < _SMALL:
        return io.BytesIO(start)
    os.lseek(file, 0, os.SEEK_SET)
    return open(file, "rb", buffering=0, closefd=False)


def _lzma_error() -> type[Exception]:
    lzma = sys.modules.get("lzma")  # where it was not loaded, it did not fail
    return lzma.LZMAError if lzma is not None else EOFError


def _nature(first: bytes) -> str:
    if _PAGE.match(first):
        return "an HTML page (a login or an error?)"
    if first[:2] == b"\x1f\x8b":
        return "gzip-compressed"
    if first[:1] in b"{[":
        return "a JSON document (an error?)"
    return f"something that begins with {first[:16]!r}"


def _check_packed(stream: BinaryIO, *, is_fits: bool) -> None:
    try:
        with stream:
            if is_fits:
                _walk(stream, stream.read(BLOCK), None)
            while stream.read(_PIECE):
                pass  # to the trailer, where the check sum is
    except CorruptFile:
        raise
    except (EOFError, zlib.error, OSError, ValueError, _lzma_error()) as error:
        raise CorruptFile(f"its compressed stream is damaged: {error}") from None


class Hdu(NamedTuple):
    """Where one header-data unit lies in its file, in bytes."""

    number: int
    header: bytes
    start: int
    data_size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + len(self.header) + self.data_size


def hdus(stream: BinaryIO, first: bytes, size: int | None) -> Iterator[Hdu]:
    """Give the HDUs of a file, from header to header to the last block; CorruptFile where it is not FITS, or cut.

    ``first`` is the first block, read already; ``size`` is None for a stream that only reading measures.
    """
    if not first.startswith(b"SIMPLE  ="):
        raise CorruptFile(f"it is {_nature(first)}, not a FITS file")
    position, number, block = 0, 0, first
    while True:
        header, data_size = _header(stream, block, number)
        hdu = Hdu(number, header, position, data_size)
        position = hdu.end
        if size is not None and position > size:
            raise CorruptFile(f"it is cut: HDU {number} ends at byte {position}, the file at {size}")
        yield hdu
        stream.seek(position)
        block = stream.read(BLOCK)
        if not block:
            # A packed stream cannot be sought beyond its end, and does not complain either.
            if size is None and stream.tell() != position:
                raise CorruptFile(f"it is cut: HDU {number} ends at byte {position}, the file at {stream.tell()}")
            return
        number += 1
        if not block.startswith(b"XTENSION"):
            if not block.strip(b"\0 ") and not (rest := stream.read(_PIECE)).strip(b"\0 ") and len(rest) < _PIECE:
                return  # padding, as some writers leave it
            raise CorruptFile(f"after HDU {number - 1} come bytes that are no HDU (at byte {position})")


def _walk(stream: BinaryIO, first: bytes, size: int | None) -> None:
    for _ in hdus(stream, first, size):
        pass


def _header(stream: BinaryIO, block: bytes, number: int) -> tuple[bytes, int]:
    """Return a header, and the length of its data in bytes, both in whole blocks."""
    header = block
    while True:
        if len(block) < BLOCK:
            raise CorruptFile(f"it is cut within the header of HDU {number}")
        text = block.rstrip(b" ")
        if text.endswith(b"END") and (len(text) - 3) % _CARD == 0:
            return header, _data_size(header, number)
        block = stream.read(BLOCK)
        header += block


def card_value(header: bytes, keyword: bytes) -> bytes | None:
    """Return the value of the first card of that keyword, or None."""
    start = keyword.ljust(8) + b"="
    at = header.find(start)
    while at % _CARD:  # the word stands in a comment; -1 ends the search too, being found at no card's beginning
        if at < 0:
            return None
        at = header.find(start, at + 1)
    return header[at + 9 : at + _CARD].partition(b"/")[0].strip()


def _data_size(header: bytes, number: int) -> int:
    try:
        axes = [
            int(card_value(header, b"NAXIS%d" % axis) or b"")
            for axis in range(1, int(card_value(header, b"NAXIS") or b"") + 1)
        ]
        bits = abs(int(card_value(header, b"BITPIX") or b""))
        if not axes:
            return 0
        parameters, groups = int(card_value(header, b"PCOUNT") or b"0"), int(card_value(header, b"GCOUNT") or b"1")
    except ValueError:
        raise CorruptFile(f"the header of HDU {number} does not tell the size of its data") from None
    if axes[0] == 0 and card_value(header, b"GROUPS") == b"T":
        axes = axes[1:]
    data = bits // 8 * groups * (parameters + math.prod(axes))
    if data < 0:
        raise CorruptFile(f"the header of HDU {number} tells a negative size")
    return -(-data // BLOCK) * BLOCK
