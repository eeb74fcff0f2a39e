"""What the bits of the surveys' pixel masks mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from astra_registry.errors import BadValue, did_you_mean

APOGEE_PIXMASK: Mapping[str, int] = {
    "BADPIX": 0,
    "CRPIX": 1,
    "SATPIX": 2,
    "UNFIXABLE": 3,
    "BADDARK": 4,
    "BADFLAT": 5,
    "BADERR": 6,
    "NOSKY": 7,
    "LITTROW_GHOST": 8,
    "PERSIST_HIGH": 9,
    "PERSIST_MED": 10,
    "PERSIST_LOW": 11,
    "SIG_SKYLINE": 12,
    "SIG_TELLURIC": 13,
    "NOT_ENOUGH_PSF": 14,
}
"""Bits of an APOGEE pixel (https://www.sdss.org/dr17/irspec/apogee-bitmasks/, APOGEE_PIXMASK)."""

APOGEE_BAD = (
    "BADPIX",
    "CRPIX",
    "SATPIX",
    "UNFIXABLE",
    "BADDARK",
    "BADFLAT",
    "BADERR",
    "NOSKY",
    "NOT_ENOUGH_PSF",
)
"""The bits of a pixel without a usable measurement, those that the pipeline's own bad-pixel mask (16639) takes.

Ghosts, persistence, sky and telluric lines are warnings: the pixel was measured."""

SPPIXMASK: Mapping[str, int] = {
    "NOPLUG": 0,
    "BADTRACE": 1,
    "BADFLAT": 2,
    "BADARC": 3,
    "MANYBADCOLUMNS": 4,
    "MANYREJECTED": 5,
    "LARGESHIFT": 6,
    "BADSKYFIBER": 7,
    "NEARWHOPPER": 8,
    "WHOPPER": 9,
    "SMEARIMAGE": 10,
    "SMEARHIGHSN": 11,
    "SMEARMEDSN": 12,
    "NEARBADPIXEL": 16,
    "LOWFLAT": 17,
    "FULLREJECT": 18,
    "PARTIALREJECT": 19,
    "SCATTEREDLIGHT": 20,
    "CROSSTALK": 21,
    "NOSKY": 22,
    "BRIGHTSKY": 23,
    "NODATA": 24,
    "COMBINEREJ": 25,
    "BADFLUXFACTOR": 26,
    "BADSKYCHI": 27,
    "REDMONSTER": 28,
}
"""Bits of an optical spectrum's pixel (https://www.sdss.org/dr17/algorithms/bitmasks/, SPPIXMASK)."""

SPEC_BAD: tuple[str, ...] = ()
"""No bit makes a pixel of an optical spectrum bad: what is very bad has an inverse variance of zero already, says
the survey (https://www.sdss3.org/dr10/algorithms/bitmask_sppixmask.php). BRIGHTSKY is the one to add when in doubt."""


def bits_of(names: Iterable[str], bits: Mapping[str, int]) -> int:
    """Return the number with the named bits set. Raises `BadValue` with close names when there is no such bit."""
    value = 0
    for name in names:
        if name not in bits:
            raise BadValue(f"no bit is named {name!r}{did_you_mean(name, bits)}; there are {', '.join(bits)}")
        value |= 1 << bits[name]
    return value


def names_of(value: int, bits: Mapping[str, int]) -> list[str]:
    """Return the names of the bits that are set in a number."""
    return [name for name, bit in bits.items() if int(value) >> bit & 1]


def flagged(mask: Any, names: Collection[str], bits: Mapping[str, int]) -> Any:
    """Return where any of the named bits is set: a boolean array like the mask."""
    return (mask & bits_of(names, bits)) != 0


def counts(mask: Any, bits: Mapping[str, int]) -> dict[str, int]:
    """Return how many pixels have each bit, of the bits that some pixel has."""
    found = {name: int(((mask >> bit) & 1).sum()) for name, bit in bits.items()}
    return {name: count for name, count in found.items() if count}
