"""Whether a file is whole, as far as its own format tells.

FITS is walked to its last block, gzip and bzip2 to their trailers; Parquet tells by its two ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from astra_registry.errors import CorruptFile
from astra_registry.fits_layout import BLOCK, CARD, data_size, padded

Reading = Callable[[int, int], bytes]
"""Gives the bytes of a file at a position, at most so many."""

_PIECE = 1 << 20
_START = 1 << 14  # bytes: what is read first, and holds the whole of a small file
_MOST_BLOCKS = 5000  # of a header: 180,000 cards, or 14 MB in memory

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
# How files begin and end that are written from front to back.
_BOTH_ENDS = {".parquet": (b"PAR1", b"PARE")}
# How packed files begin, and the module of the standard library that opens them.
_PACKED = {
    ".gz": (b"\x1f\x8b", "gzip"),
    ".tgz": (b"\x1f\x8b", "gzip"),
    ".bz2": (b"BZh", "bz2"),
    ".xz": (b"\xfd7zXZ", "lzma"),
}


def tells_its_end(name: str) -> bool:
    """Whether a file of that name shows by itself when it is cut, wherever that is.

    Packed ones do; a FITS file does not, where it is cut between two of its HDUs.
    """
    return os.path.splitext(name)[1].lower() in _PACKED


def what_is_checked(name: str) -> str | None:
    """Return what `check` looks at in a file of that name: its ``structure``, only its ``beginning``, or nothing."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _PACKED or suffix in _BOTH_ENDS or _FITS.search(name):
        return "structure"
    return "beginning" if suffix in _BEGINNINGS else None


def check(
    path: str, name: str | None = None, *, file: int | None = None, on_hdu: Callable[[Reading, Hdu], None] | None = None
) -> None:
    """Raise CorruptFile, which says what is wrong, unless the file at ``path`` is whole.

    ``name`` is what it will be called when it lies there under another name; its endings tell what it has to be.
    ``file`` is a descriptor of it, where one is open already. ``on_hdu`` sees each HDU of a FITS file as it is passed,
    with what reads the file, unpacked: from the HDU's data forwards, for going back unpacks it anew.
    """
    name = os.path.basename(path) if name is None else name
    with contextlib.ExitStack() as closing:
        if file is None:
            file = os.open(path, os.O_RDONLY)
            closing.callback(os.close, file)
        read = reading(file)
        first = read(0, BLOCK)
        if not first:
            raise CorruptFile("it is empty")
        stem, suffix = os.path.splitext(name)
        lowered = suffix.lower()
        if lowered in _PACKED:
            magic, module = _PACKED[lowered]
            if not first.startswith(magic):
                raise CorruptFile(f"it is {_nature(first)}, not a {lowered[1:]} file")
            packed = closing.enter_context(open(file, "rb", buffering=0, closefd=False))
            packed.seek(0)
            _check_packed(importlib.import_module(module).open(packed), is_fits=bool(_FITS.search(stem)), on_hdu=on_hdu)
        elif _FITS.search(name):
            _walk(read, os.fstat(file).st_size, on_hdu)
        elif lowered in _BEGINNINGS:
            if not first.startswith(_BEGINNINGS[lowered]):
                raise CorruptFile(f"it is {_nature(first)}, not a {lowered[1:]} file")
        elif lowered in _BOTH_ENDS:
            if not first.startswith(_BOTH_ENDS[lowered]):
                raise CorruptFile(f"it is {_nature(first)}, not a {lowered[1:]} file")
            size = os.fstat(file).st_size
            if size < 12 or read(size - 4, 4) not in _BOTH_ENDS[lowered]:
                raise CorruptFile(f"it is cut: it does not end as a {lowered[1:]} file does")
        elif lowered not in (".html", ".htm", ".xhtml", ".xml") and _PAGE.match(first):
            raise CorruptFile("it is an HTML page (a login or an error?), not the file")


def reading(file: int) -> Reading:
    """Return what reads an open file; its start is asked of the system once, and so all of a small file."""
    start = os.pread(file, _START, 0)

    def read(position: int, count: int) -> bytes:
        if position + count <= len(start) or len(start) < _START:
            return start[position : position + count]
        return os.pread(file, count, position)

    return read


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


def _check_packed(stream: BinaryIO, *, is_fits: bool, on_hdu: Callable[[Reading, Hdu], None] | None) -> None:
    try:
        with stream:
            if is_fits:
                _walk(_unpacking(stream), None, on_hdu)
            while stream.read(_PIECE):
                pass  # to the trailer, where the check sum is
    except CorruptFile:
        raise
    except (EOFError, zlib.error, OSError, ValueError, _lzma_error()) as error:
        raise CorruptFile(f"its compressed stream is damaged: {error}") from None


def _unpacking(stream: BinaryIO) -> Reading:
    def read(position: int, count: int) -> bytes:
        if (end := stream.seek(position)) != position:
            raise CorruptFile(f"it is cut: an HDU ends at byte {position}, the file at {end}")
        return stream.read(count)

    return read


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


def hdus(read: Reading, size: int | None) -> Iterator[Hdu]:
    """Give the HDUs of a file, from header to header to the last block; CorruptFile where it is not FITS, or cut.

    ``size`` is None for a packed file, which only reading measures.
    """
    position, number = 0, 0
    block = read(0, BLOCK)
    if not block.startswith(b"SIMPLE  ="):
        raise CorruptFile(f"it is {_nature(block)}, not a FITS file")
    while True:
        header = _header(read, position, block, number)
        hdu = Hdu(number, header, position, padded(_data_size(header, number)))
        position = hdu.end
        if size is not None and position > size:
            raise CorruptFile(f"it is cut: HDU {number} ends at byte {position}, the file at {size}")
        yield hdu
        block = read(position, BLOCK) if position != size else b""
        if not block:
            return
        number += 1
        if not block.startswith(b"XTENSION"):
            rest = b"" if block.strip(b"\0 ") else read(position + BLOCK, _PIECE)
            if not (block + rest).strip(b"\0 ") and len(rest) < _PIECE:
                return  # padding, as some writers leave it
            raise CorruptFile(f"after HDU {number - 1} come bytes that are no HDU (at byte {position})")


def _walk(read: Reading, size: int | None, on_hdu: Callable[[Reading, Hdu], None] | None) -> None:
    for hdu in hdus(read, size):
        if on_hdu is not None:
            on_hdu(read, hdu)


def _header(read: Reading, position: int, block: bytes, number: int) -> bytes:
    """Return the header that begins with a block at a position, in whole blocks."""
    blocks = [block]
    while len(blocks) <= _MOST_BLOCKS:
        if len(block) < BLOCK:
            raise CorruptFile(f"it is cut within the header of HDU {number}")
        text = block.rstrip(b" ")
        if text.endswith(b"END") and (len(text) - 3) % CARD == 0:
            return b"".join(blocks)
        block = read(position + BLOCK * len(blocks), BLOCK)
        blocks.append(block)
    raise CorruptFile(f"the header of HDU {number} has no END in its first {_MOST_BLOCKS * BLOCK // CARD} cards")


def card_value(header: bytes, keyword: bytes) -> bytes | None:
    """Return the value of the first card of that keyword, or None."""
    start = keyword.ljust(8) + b"="
    at = header.find(start)
    while at % CARD:  # the word stands in a comment; -1 ends the search too, being found at no card's beginning
        if at < 0:
            return None
        at = header.find(start, at + 1)
    return header[at + 9 : at + CARD].partition(b"/")[0].strip()


def _data_size(header: bytes, number: int) -> int:
    try:
        axes = [
            int(card_value(header, b"NAXIS%d" % axis) or b"")
            for axis in range(1, int(card_value(header, b"NAXIS") or b"") + 1)
        ]
        size = data_size(
            int(card_value(header, b"BITPIX") or b""),
            axes,
            pcount=int(card_value(header, b"PCOUNT") or b"0"),
            gcount=int(card_value(header, b"GCOUNT") or b"1"),
            groups=card_value(header, b"GROUPS") == b"T",
        )
    except ValueError:
        raise CorruptFile(f"the header of HDU {number} does not tell the size of its data") from None
    if size < 0:
        raise CorruptFile(f"the header of HDU {number} tells a negative size")
    return size
