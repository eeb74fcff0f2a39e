"""The check sums that FITS files carry themselves: DATASUM and CHECKSUM cards (FITS 4.0, section 4.4.2.7)."""

from __future__ import annotations

import os
from typing import BinaryIO

from astra_registry.errors import CorruptFile
from astra_registry.fetching.disk.whole import card_value, hdus, reading

_PIECE = 1 << 22  # bytes, whole words


def check(path: str) -> int:
    """Return how many HDUs carry check sums that are right; CorruptFile names the first that is wrong."""
    confirmed = 0
    with open(path, "rb") as stream:
        for hdu in hdus(reading(stream.fileno()), os.fstat(stream.fileno()).st_size):
            datasum, checksum = card_value(hdu.header, b"DATASUM"), card_value(hdu.header, b"CHECKSUM")
            if datasum is None and checksum is None:
                continue
            data = _sum_of(stream, hdu.start + len(hdu.header), hdu.data_size)
            said = (datasum or b"").strip(b"' ")
            if said.isdigit() and int(said) != data:
                raise CorruptFile(f"the data of HDU {hdu.number} do not have their DATASUM ({said.decode()})")
            whole = _add(data, _sum(hdu.header))
            # All ones is zero in this arithmetic; an empty value means that nobody computed it.
            if checksum is not None and checksum.strip(b"' ") and whole not in (0, 0xFFFFFFFF):
                raise CorruptFile(f"HDU {hdu.number} does not have its CHECKSUM")
            confirmed += 1
    return confirmed


def _sum_of(stream: BinaryIO, at: int, size: int) -> int:
    stream.seek(at)
    total = 0
    while size > 0:
        piece = stream.read(min(_PIECE, size))
        if not piece:
            raise CorruptFile("it ended while it was read")
        total = _add(total, _sum(piece))
        size -= len(piece)
    return total


def _sum(data: bytes) -> int:
    """Return the sum of the big-endian 32-bit words in ones' complement arithmetic."""
    import numpy as np

    return _add(int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64)), 0)


def _add(one: int, other: int) -> int:
    total = one + other
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
