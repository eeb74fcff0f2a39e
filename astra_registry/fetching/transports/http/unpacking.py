"""Opening a body that was compressed on the way, in pieces that fit into memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

DamagedBody = zlib.error

_ANY_HEADER = 47  # for zlib: of gzip or of its own, whichever is there
_AT_ONCE = 1 << 19  # bytes: a thousand times as many may be in what came


def begin_of(packed: bytes) -> bytes:
    """Return the first two bytes that are in a compressed body; fewer where not enough of it is here."""
    return zlib.decompressobj(_ANY_HEADER).decompress(packed, 2)


class Unpacking:
    """Opens a body that was compressed on the way, piece by piece; like a file of gzip it may have several members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_ANY_HEADER)

    def open(self, data: bytes) -> Iterator[bytes]:
        """Give what is in the next piece, not too much at once; zlib.error when it is damaged."""
        while True:
            opened = self._member.decompress(data, _AT_ONCE)
            if opened:
                yield opened
            if self._member.eof:
                data = self._member.unused_data
                if not data:
                    return
                self._member = zlib.decompressobj(_ANY_HEADER)
            else:
                data = self._member.unconsumed_tail
                if not data and len(opened) < _AT_ONCE:
                    return

    @property
    def ended(self) -> bool:
        """Whether the last member is complete."""
        return self._member.eof
