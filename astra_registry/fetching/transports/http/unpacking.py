"""Opening a body that was compressed on the way, in pieces that fit into memory."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

_ANY_HEADER = 47  # for zlib: of gzip or of its own, whichever is there
_GZIP = b"\x1f\x8b"
_AT_ONCE = 1 << 19  # bytes: a thousand times as many may be in what came
_LONGEST_HEADER = 1 << 17  # bytes: twice that of gzip


class DamagedBody(Exception):
    """What came cannot be opened, or not to its end."""


def unpacked(body: Iterator[bytes], *, may_be_the_file: bool) -> Iterator[bytes]:
    """Give the bytes of a file whose body was compressed; DamagedBody when that is cut or broken.

    Some servers call a .gz file itself an encoding of what is in it: where that ``may_be_the_file``, and what is in it
    is not packed once more, the body is given as it came, and opened only to see that it is whole.
    """
    unpacking = Unpacking()
    first = b""
    try:
        while may_be_the_file and len(_begin_of(first)) < 2 and len(first) < _LONGEST_HEADER:
            if not (more := next(body, b"")):
                break
            first += more
        as_it_came = may_be_the_file and _begin_of(first) != _GZIP
        for raw in itertools.chain((first,), body):
            for data in unpacking.open(raw):
                if not as_it_came:
                    yield data
            if as_it_came:
                yield raw
    except zlib.error as error:
        raise DamagedBody(f"sent a damaged compressed body: {error}") from None
    if not unpacking.ended:
        raise DamagedBody("cut the compressed body")


def _begin_of(packed: bytes) -> bytes:
    """Return the first two bytes that are in a compressed body; fewer where not enough of it is here."""
    return zlib.decompressobj(_ANY_HEADER).decompress(packed, 2)


class Unpacking:
    """Opens a body piece by piece; like a file of gzip it may have several members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_ANY_HEADER)

    def open(self, data: bytes) -> Iterator[bytes]:
        """Give what is in the next piece, not too much at once; zlib.error when it is damaged."""
        while True:
            if self._member.eof:
                data = data.lstrip(b"\0")  # with which tapes and blocks were filled up
                if not data:
                    return
                self._member = zlib.decompressobj(_ANY_HEADER)
            opened = self._member.decompress(data, _AT_ONCE)
            if opened:
                yield opened
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if not data and len(opened) < _AT_ONCE:
                return

    @property
    def ended(self) -> bool:
        """Whether the last member is complete."""
        return self._member.eof
