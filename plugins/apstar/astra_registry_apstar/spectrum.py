"""apStar files as spectra: the combined one, the visits it was made of, and writing one."""

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
from astra_registry.reading.wavelengths import log_linear
from astra_registry_apstar import SAME_LAYOUT

_KINDS = {"spectrum": f"{__name__}:read_spectrum", "visits": f"{__name__}:read_visits"}
_NAMES = ("apStar", SAME_LAYOUT)
register_formats(
    {(product, kind): reference for product in _NAMES for kind, reference in _KINDS.items()},
    dict.fromkeys(_NAMES, "astra_registry_apstar.writing:write_spectrum"),
)

# The name in ``meta``, and the card of the primary header.
CARDS = {
    "object": "OBJID",
    "ra": "RA",
    "dec": "DEC",
    "snr": "SNR",
    "telescope": "TELESCOP",
    "field": ("FIELD", "LOCID"),
    "nvisits": "NVISITS",
    "heliocentric_velocity": "VHELIO",
    "velocity_scatter": "VSCATTER",
    "starflag": "STARFLAG",
    "pipeline": "V_APRED",
}
# Cards of one visit, without its number.
VISIT_CARDS = {
    "file": "SFILE",
    "date": "DATE",
    "jd": "JD",
    "fiber": "FIBER",
    "barycentric_correction": "BC",
    "radial_velocity": "VRAD",
    "heliocentric_velocity": "VHELIO",
    "snr": "SNRVIS",
    "starflag": "FLAG",
}
_NO_ERROR = 1e10  # what the pipeline writes for the error of a pixel without information
_ROWS = {"pixel": 0, "global": 1}


def read_spectrum(
    source: Any, /, *, combination: Literal["pixel", "global"] = "pixel", bad: Sequence[str] = APOGEE_BAD
) -> Spectrum:
    """Return the combined spectrum of a star, at rest: corrected for the velocity of each visit.

    ``combination`` chooses between the two that the file holds, weighted pixel by pixel or by one weight a visit; a
    file of one visit has only the first. Wavelengths are in vacuum. A pixel is bad where the chips leave a gap (0 in
    releases to DR14, NaN in DR17), or has one of the bits of APOGEE_PIXMASK named in ``bad``; ``meta["bitmask"]``
    has all bits, ``meta["bits"]`` their names. Raises `FileMissing`, `CorruptFile`, or `WrongLayout` when it is no
    apStar file or has no such combination.
    """
    if combination not in _ROWS:
        raise BadValue(f"combination is 'pixel' or 'global', not {combination!r}")
    with fits.opened(source) as hdus:
        header, wavelength, rows = _rows(hdus)
        row = _ROWS[combination]
        # One visit: DR12 to DR14 have one row, DR17 a second one of zeros.
        if row and (len(rows[0]) < 2 or not rows[0][row].any()):
            raise WrongLayout(f"{fits.where(hdus)} has only the combination 'pixel', as files of one visit")
    meta = {**_meta(header), "combination": combination}
    return _spectrum(wavelength, [values[row] for values in rows], bad, meta)


def read_visits(source: Any, /, *, bad: Sequence[str] = APOGEE_BAD) -> SpectrumList:
    """Return the visits of a star as a SpectrumList, at rest and on the wavelengths of the combined spectrum.

    ``meta`` has what the header tells of the visit: its file, date, fiber, velocities, S/N. A visit that was left out
    of the combination is there with all its pixels bad. Raises `WrongLayout` when the file has the combination alone,
    of more than one visit.
    """
    with fits.opened(source) as hdus:
        header, wavelength, rows = _rows(hdus)
        # The rows of the visits follow the two combinations; of a single visit the combination is the visit.
        first = 2 if len(rows[0]) > 2 else 0
        if not first and header.get("NVISITS", 1) > 1:  # as files that were written without their visits
            number = header["NVISITS"]
            raise WrongLayout(f"{fits.where(hdus)} has the combination of {number} visits, and not the visits")
    common = _meta(header)
    visits = []
    for row in range(first, len(rows[0]) if first else 1):
        number = row - first + 1
        told = cards(header, {name: f"{keyword}{number}" for name, keyword in VISIT_CARDS.items()})
        if first:
            meta = {**{name: value for name, value in common.items() if name not in VISIT_CARDS}, **told}
        else:  # DR17 writes a S/N of 0 for the only visit
            meta = {**common, **{name: value for name, value in told.items() if name != "snr"}}
        meta["visit"] = number
        visits.append(_spectrum(wavelength, [values[row] for values in rows], bad, meta))
    return SpectrumList(visits)


def _rows(hdus: Any) -> tuple[Any, Any, list[Any]]:
    """Return header, wavelengths, and flux, error and mask with one row a spectrum."""
    flux, error, mask = (
        np.atleast_2d(fits.array(hdus, index, what)) for index, what in ((1, "flux"), (2, "error"), (3, "pixel mask"))
    )
    if not flux.shape == error.shape == mask.shape:
        raise WrongLayout(f"{fits.where(hdus)} is no apStar file: flux has shape {flux.shape}, error {error.shape}")
    # DR10 to DR14 have the grid in every HDU, as DR17; early test files only in the first.
    for header in (hdus[1].header, hdus[0].header):
        if {"CRVAL1", "CDELT1"} <= set(header):
            wavelength = log_linear(header["CRVAL1"], header["CDELT1"], flux.shape[1], header.get("CRPIX1", 1))
            return hdus[0].header.copy(), wavelength, [flux, error, mask]
    raise WrongLayout(f"{fits.where(hdus)} is no apStar file: no CRVAL1 and CDELT1 tell its wavelengths")


def _meta(header: Any) -> dict[str, Any]:
    told = cards(header, CARDS)
    return {"product": "apStar", **told, "frame": "rest", "bits": dict(APOGEE_PIXMASK), "header": header}


def _spectrum(wavelength: Any, row: list[Any], bad: Sequence[str], meta: dict[str, Any]) -> Spectrum:
    flux, error, mask = row
    unusable = flagged(mask, bad, APOGEE_PIXMASK) | gaps(flux, error)
    return spectrum(wavelength, flux, unusable, {**meta, "bitmask": mask}, error=error)


def gaps(flux: Any, error: Any) -> Any:
    """Return where arrays of flux and error hold no measurement: not a number, zero, or without a usable error."""
    return ~np.isfinite(flux) | (flux == 0) | ~(error > 0) | (error >= _NO_ERROR)
