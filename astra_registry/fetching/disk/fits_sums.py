"""The check sums that FITS files carry themselves: DATASUM and CHECKSUM cards (FITS 4.0, section 4.4.2.7)."""

from __future__ import annotations

from astra_registry.errors import CorruptFile
from astra_registry.fetching.disk.whole import Hdu, Reading, card_value

_PIECE = 1 << 22  # bytes, whole words


def confirm(read: Reading, hdu: Hdu) -> bool:
    """Return whether an HDU carries check sums; CorruptFile unless they are right. Its data are read once, forwards."""
    datasum, checksum = card_value(hdu.header, b"DATASUM"), card_value(hdu.header, b"CHECKSUM")
    if datasum is None and checksum is None:
        return False
    data = _sum_of(read, hdu)
    said = (datasum or b"").strip(b"' ")
    if said.isdigit() and int(said) != data:
        raise CorruptFile(f"the data of HDU {hdu.number} do not have their DATASUM ({said.decode()})")
    whole = _add(data, _sum(hdu.header))
    # All ones is zero in this arithmetic; an empty value means that nobody computed it.
    if checksum is not None and checksum.strip(b"' ") and whole not in (0, 0xFFFFFFFF):
        raise CorruptFile(f"HDU {hdu.number} does not have its CHECKSUM")
    return True


def _sum_of(read: Reading, hdu: Hdu) -> int:
    total, at = 0, hdu.start + len(hdu.header)
    while at < hdu.end:
        piece = read(at, min(_PIECE, hdu.end - at))
        piece = piece[: len(piece) // 4 * 4]
        if not piece:
            raise CorruptFile(f"it is cut within the data of HDU {hdu.number}")
        total = _add(total, _sum(piece))
        at += len(piece)
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
