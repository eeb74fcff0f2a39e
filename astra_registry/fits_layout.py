"""How a FITS file is laid out: in blocks, cards and data (FITS standard 4.0, sections 3 and 4.4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCK = 2880  # bytes: everything in a file comes in such blocks
CARD = 80  # bytes


def data_size(bitpix: int, axes: Sequence[int], *, pcount: int = 0, gcount: int = 1, groups: bool = False) -> int:
    """Return the bytes of an HDU's data, without the padding to whole blocks (equations 1, 2 and 4 of the standard).

    *groups*: it holds random groups, whose first axis is zero and does not count.
    """
    if not axes:
        return 0
    counting = axes[1:] if groups and axes[0] == 0 else axes
    return abs(bitpix) // 8 * gcount * (pcount + math.prod(counting))


def padded(size: int) -> int:
    """Return the bytes of the whole blocks that hold so many bytes."""
    return -(-size // BLOCK) * BLOCK
