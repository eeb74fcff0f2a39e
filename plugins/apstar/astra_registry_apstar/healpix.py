"""From a 2MASS name to the HEALPix pixel under which SDSS-V keeps the star."""

from __future__ import annotations

import re
from collections.abc import Sequence

from astra_registry.errors import InvalidParameter, MissingExtra

NSIDE = 128  # SDSS-V's grouping of apStar files: nside 128, ring order (sdss/tree, apStar from IPL-1 on)

# 2MASS names truncate: HHMMSSss in right ascension (0.01 s of time), DDMMSSs in declination (0.1 arcsec).
_NAME = re.compile(r"(?:2M|AP|2MASS_?J?|J)?(\d\d)(\d\d)(\d\d)(\d\d)([+-])(\d\d)(\d\d)(\d\d)(\d)")


def pixels(names: Sequence[str]) -> list[int]:
    """Return the pixel of each 2MASS name.

    The position is the one that the name tells, cut off at 0.15 arcsec in right ascension and 0.1 arcsec in
    declination: a star that close to a pixel's edge may lie in the next one, and wants its pixel given.
    Raises InvalidParameter for a name that tells no position, MissingExtra without astropy-healpix.
    """
    try:
        from astropy import units
        from astropy_healpix import lonlat_to_healpix
    except ImportError as error:
        raise MissingExtra("the HEALPix pixel of a star's name (or give healpix=…)", "healpix") from error
    positions = [_position(name) for name in names]
    if not positions:
        return []
    ra, dec = zip(*positions, strict=True)
    found = lonlat_to_healpix(ra * units.deg, dec * units.deg, nside=NSIDE, order="ring")
    return [int(pixel) for pixel in found]


def _position(name: str) -> tuple[float, float]:
    """Return right ascension and declination in degrees."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidParameter(f"'{name}' is no 2MASS name (2MHHMMSSss+DDMMSSs), so healpix must be given")
    hours, minutes, seconds, hundredths, sign, degrees, arcminutes, arcseconds, tenths = match.groups()
    ra = 15 * (int(hours) + int(minutes) / 60 + (int(seconds) + int(hundredths) / 100) / 3600)
    dec = int(degrees) + int(arcminutes) / 60 + (int(arcseconds) + int(tenths) / 10) / 3600
    if ra >= 360 or dec > 90 or max(map(int, (minutes, seconds, arcminutes, arcseconds))) >= 60:
        raise InvalidParameter(f"'{name}' tells no place in the sky (2MHHMMSSss+DDMMSSs), so healpix must be given")
    return ra, -dec if sign == "-" else dec
