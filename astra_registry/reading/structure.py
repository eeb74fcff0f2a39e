"""Where the HDUs of a FITS file lie, read from its headers alone: without astropy, in microseconds."""

from __future__ import annotations

import gzip
import mmap
import os
import zlib
from collections.abc import Mapping
from typing import Any

import attrs

from astra_registry.errors import CorruptFile, FileMissing
from astra_registry.fits_layout import BLOCK, CARD, data_size, padded

_NUMPY_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@attrs.frozen
class Place:
    """One HDU: its mandatory cards, those that scale its data, and where the data lie in the (unpacked) file."""

    cards: Mapping[str, Any]
    start: int
    size: int  # bytes of data, without the padding to whole blocks

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data as numpy has it, slowest axis first."""
        return tuple(self.cards[f"NAXIS{n}"] for n in range(self.cards["NAXIS"], 0, -1))

    @property
    def dtype(self) -> str:
        """The type of an image's numbers, as numpy names it, in the byte order of the file."""
        return _NUMPY_TYPES[self.cards["BITPIX"]]

    @property
    def scaled(self) -> bool:
        """Whether what is stored is not yet the value: numbers without a sign are stored less 2**15, for one."""
        return bool(self.cards["BSCALE"] != 1 or self.cards["BZERO"] != 0)

    @property
    def end(self) -> int:
        """Where the next HDU begins."""
        return self.start + padded(self.size)


def contents(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, unpacked when it is packed with gzip. Raises `FileMissing`, `CorruptFile`."""
    try:
        with open(path, "rb", buffering=0) as stream:
            found = stream.read()
        return gzip.decompress(found) if found.startswith(b"\x1f\x8b") else found
    except FileNotFoundError:
        raise FileMissing(f"there is no file {os.fspath(path)!r}") from None
    except IsADirectoryError:
        raise FileMissing(f"{os.fspath(path)!r} is a folder, not a file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptFile(f"{os.fspath(path)!r} does not unpack: {error}") from None


def places(found: bytes | mmap.mmap, name: str, *, limit: int | None = None) -> list[Place]:
    """Return the HDUs of a FITS file's bytes, the first ``limit`` of them; ``name`` is for errors.

    Raises `CorruptFile` when the bytes are no FITS, or end before an HDU does.
    """
    if found[:9] != b"SIMPLE  =":
        raise CorruptFile(f"{name!r} is not a FITS file")
    walked: list[Place] = []
    position = 0
    # What follows the last HDU may be anything: FITS allows special records, archives leave padding.
    while position < len(found) and (not walked or found[position : position + 8] == b"XTENSION"):
        cards, start = _cards(found, position, name)
        try:
            place = Place(cards, start, _data_size(cards))
        except KeyError as missing:
            raise CorruptFile(f"{name!r} is damaged: HDU {len(walked)} has no card {missing}") from None
        if place.start + place.size > len(found):
            raise CorruptFile(
                f"{name!r} is cut off: HDU {len(walked)} ends at byte {place.end:,}, the file at {len(found):,}"
            )
        walked.append(place)
        if limit is not None and len(walked) >= limit:
            break
        position = place.end
    return walked


def _cards(found: bytes | mmap.mmap, position: int, name: str) -> tuple[dict[str, Any], int]:
    cards: dict[str, Any] = {"PCOUNT": 0, "GCOUNT": 1, "GROUPS": False, "BSCALE": 1.0, "BZERO": 0.0}
    for at in range(position, len(found) - CARD + 1, CARD):
        keyword = found[at : at + 8].rstrip()
        if keyword == b"END":
            return cards, at + BLOCK - (at - position) % BLOCK
        if keyword == b"GROUPS":
            cards["GROUPS"] = found[at + 10 : at + 30].strip() == b"T"
        elif keyword in (b"BSCALE", b"BZERO"):
            value = found[at + 10 : at + CARD].partition(b"/")[0].strip()
            try:
                cards[keyword.decode()] = float(value.replace(b"D", b"E"))  # FITS may say 1.0D0
            except ValueError:
                raise CorruptFile(f"{name!r} is damaged: its header has {value!r}") from None
        elif keyword in (b"BITPIX", b"PCOUNT", b"GCOUNT") or keyword.startswith(b"NAXIS"):
            try:
                cards[keyword.decode()] = int(found[at + 10 : at + 30])
            except ValueError:
                raise CorruptFile(f"{name!r} is damaged: its header has {found[at : at + 30]!r}") from None
    raise CorruptFile(f"{name!r} is cut off in a header that begins at byte {position:,}")


def _data_size(cards: Mapping[str, Any]) -> int:
    axes = [cards[f"NAXIS{n}"] for n in range(1, cards["NAXIS"] + 1)]
    return data_size(cards["BITPIX"], axes, pcount=cards["PCOUNT"], gcount=cards["GCOUNT"], groups=cards["GROUPS"])
