"""apVisit files as spectra: three chips, each in its own wavelength order, joined or apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from specutils import Spectrum, SpectrumList

from astra_registry.errors import BadValue, WrongLayout
from astra_registry.reading import fits
from astra_registry.reading.bitmasks import APOGEE_BAD, APOGEE_PIXMASK, flagged
from astra_registry.reading.formats import register_formats
from astra_registry.reading.spectra import cards, spectrum

register_formats({("apVisit", "spectrum"): f"{__name__}:read_spectrum", ("apVisit", "chips"): f"{__name__}:read_chips"})

# The name in ``meta``, and the card of the primary header.
_CARDS = {
    "object": "OBJID",
    "ra": "RA",
    "dec": "DEC",
    "snr": "SNR",
    "telescope": "TELESCOP",
    "field": ("FIELD", "LOCID"),
    "plate": "PLATE",
    "mjd": "MJD5",
    "fiber": "FIBERID",
    "date": "DATE-OBS",
    "exposure_time": "EXPTIME",
    "barycentric_correction": "BC",
    "radial_velocity": "VRAD",
    "heliocentric_velocity": "VHELIO",
    "starflag": "STARFLAG",
    "pipeline": "V_APRED",
}
_NO_ERROR = 1e10  # what the pipeline writes for the error of a pixel without information


def read_spectrum(
    source: Any, /, *, chips: Literal["join", "list"] = "join", bad: Sequence[str] = APOGEE_BAD
) -> Spectrum | SpectrumList:
    """Return the visit as one Spectrum of increasing wavelength, or with ``chips="list"`` each chip as its own.

    The chips do not overlap; between them are gaps without pixels. Wavelengths are in vacuum, as observed: not
    corrected for the barycentric motion (``meta["barycentric_correction"]``, km/s). ``bad`` names the bits of
    APOGEE_PIXMASK that make a pixel bad; ``meta["bitmask"]`` has them all, ``meta["bits"]`` their names.
    Raises `FileMissing`, `CorruptFile`, or `WrongLayout` when it is no apVisit file.
    """
    with fits.opened(source) as hdus:
        header = hdus[0].header.copy()
        flux, error, mask, wavelength = (
            fits.array(hdus, index, what, (2,))
            for index, what in ((1, "flux"), (2, "error"), (3, "pixel mask"), (4, "wavelengths"))
        )
        if not flux.shape == error.shape == mask.shape == wavelength.shape or len(flux) != 3:
            raise WrongLayout(
                f"{fits.where(hdus)} is no apVisit file: its flux has shape {flux.shape}, its wavelengths "
                f"{wavelength.shape}, and not three chips"
            )
    meta = {
        "product": "apVisit",
        **cards(header, _CARDS),
        "frame": "observatory",
        "bits": dict(APOGEE_PIXMASK),
        "header": header,
    }
    order = np.argsort(wavelength[:, 0])  # the file has the red chip first, and each chip from red to blue
    parts = []
    for chip in order:
        upwards = slice(None) if wavelength[chip, 0] < wavelength[chip, -1] else slice(None, None, -1)
        parts.append([values[chip, upwards] for values in (wavelength, flux, error, mask)])
    if chips == "list":
        names = ("blue", "green", "red")
        return SpectrumList(
            _spectrum(part, bad, {**meta, "chip": name}) for name, part in zip(names, parts, strict=True)
        )
    if chips != "join":
        raise BadValue(f"chips is 'join' or 'list', not {chips!r}")
    return _spectrum([np.concatenate(values) for values in zip(*parts, strict=True)], bad, meta)


def read_chips(source: Any, /, **options: Any) -> SpectrumList:
    """Return the three chips, blue, green and red, as a SpectrumList."""
    return read_spectrum(source, chips="list", **options)


def _spectrum(part: Sequence[Any], bad: Sequence[str], meta: dict[str, Any]) -> Spectrum:
    wavelength, flux, error, mask = part
    unusable = flagged(mask, bad, APOGEE_PIXMASK) | ~np.isfinite(flux) | ~(error > 0) | (error >= _NO_ERROR)
    return spectrum(wavelength, flux, unusable, {**meta, "bitmask": mask}, error=error)
