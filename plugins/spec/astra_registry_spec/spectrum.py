"""Optical spectra: spec, spec-lite, specLite and specFull files of SDSS, BOSS, eBOSS and SDSS-V."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from specutils import Spectrum, SpectrumList

from astra_registry.errors import WrongLayout
from astra_registry.reading import fits
from astra_registry.reading.bitmasks import SPEC_BAD, SPPIXMASK, flagged
from astra_registry.reading.formats import register_formats
from astra_registry.reading.spectra import FLUX_UNIT, cards, spectrum

_KINDS = {"spectrum": f"{__name__}:read_spectrum", "exposures": f"{__name__}:read_exposures"}
register_formats(
    {
        (product, kind): reference
        for product in ("spec", "spec-lite", "specLite", "specFull")
        for kind, reference in _KINDS.items()
    }
)

# The name in ``meta``, and the card of the primary header.
_CARDS = {
    "ra": ("PLUG_RA", "RADEG", "RA"),
    "dec": ("PLUG_DEC", "DECDEG", "DEC"),
    "plate": ("FIELDID", "PLATEID"),
    "mjd": "MJD",
    "fiber": "FIBERID",
    "run2d": "RUN2D",
    "exposures": "NEXP",
    "exposure_time": "EXPTIME",
    "heliocentric_correction": ("HELIO_RV", "V_RAD"),
    "pipeline": "VERS2D",
}
# The name in ``meta``, and the column of the table of the object's one row (SPECOBJ or SPALL).
_FITTED = {
    "object": ("specobjid",),
    "class": ("class",),
    "subclass": ("subclass",),
    "redshift": ("z",),
    "redshift_error": ("z_err",),
    "zwarning": ("zwarning",),
    "snr": ("sn_median_all",),
    "run2d": ("run2d",),  # legacy primary headers lack it
    "catalogid": ("catalogid",),
    "sdss_id": ("sdss_id",),
}


def read_spectrum(source: Any, /, *, bad: Sequence[str] = SPEC_BAD) -> Spectrum:
    """Return the combined spectrum of an optical file, full or lite, of any release since DR8.

    Wavelengths are in vacuum and heliocentric, 10**loglam of the file; the uncertainty is its inverse variance, and a
    pixel is bad where that is zero. ``bad`` names bits of SPPIXMASK that make a pixel bad besides, ``"BRIGHTSKY"``
    for one. In ``meta``: the and-mask as ``bitmask`` and its ``bits``, the or-mask, the pipeline's ``model`` and the
    ``sky`` (with units), and redshift, class and S/N when the file has them. Raises `FileMissing`, `CorruptFile`, or
    `WrongLayout` when it is no such file.
    """
    with fits.opened(source) as hdus:
        table = hdus[1] if len(hdus) > 1 and not hdus[1].is_image else None
        if table is None or not _has_spectrum(table):
            raise WrongLayout(f"{fits.where(hdus)} is no spec file: HDU 1 is no table of flux, loglam and ivar")
        meta = {**_meta(hdus), "header": hdus[0].header.copy()}
        or_mask = fits.column(table, "or_mask")
        if or_mask is not None:
            meta["or_mask"] = or_mask
        for name in ("model", "sky"):
            values = fits.column(table, name)
            if values is not None:
                meta[name] = values * FLUX_UNIT
        return _spectrum(table, "and_mask", bad, meta)


def read_exposures(source: Any, /, *, bad: Sequence[str] = SPEC_BAD) -> SpectrumList:
    """Return the single exposures of a full file as a SpectrumList, in its order, blue and red arms apart.

    Each has the name of its HDU in ``meta["exposure"]``. Raises `WrongLayout` when the file holds none, as lite files.
    """
    with fits.opened(source) as hdus:
        meta = _meta(hdus)
        found = [hdu for hdu in hdus[2:] if not hdu.is_image and _has_spectrum(hdu)]
        if not found:
            raise WrongLayout(f"{fits.where(hdus)} has no single exposures: full files have them, lite files do not")
        return SpectrumList(
            _spectrum(hdu, "mask", bad, {**meta, "exposure": hdu.name, "header": hdu.header.copy()}) for hdu in found
        )


def _has_spectrum(table: Any) -> bool:
    return {"flux", "loglam", "ivar"} <= {name.lower() for name in table.columns.names}


def _spectrum(table: Any, mask_name: str, bad: Sequence[str], meta: dict[str, Any]) -> Spectrum:
    flux, loglam, ivar = (fits.column(table, name) for name in ("flux", "loglam", "ivar"))
    mask = fits.column(table, mask_name, "and_mask", "mask")
    if mask is None:
        mask = np.zeros(len(flux), np.int32)
    unusable = ~(ivar > 0) | ~np.isfinite(flux) | flagged(mask, bad, SPPIXMASK)
    wavelength = 10.0 ** loglam.astype(np.float64)
    # Single exposures are extracted over a few pixels more than were calibrated, and arms may run from red to blue.
    if len(wavelength) > 1 and wavelength[0] > wavelength[-1]:
        backwards = slice(None, None, -1)
        wavelength, flux, ivar, mask, unusable = (a[backwards] for a in (wavelength, flux, ivar, mask, unusable))
    return spectrum(wavelength, flux, unusable, {**meta, "bitmask": mask}, ivar=ivar)


def _meta(hdus: Any) -> dict[str, Any]:
    told = {**cards(hdus[0].header, _CARDS), **_fitted(hdus)}
    return {"product": "spec", **told, "frame": "heliocentric", "bits": dict(SPPIXMASK)}


def _fitted(hdus: Any) -> dict[str, Any]:
    """Return redshift, class and S/N from the first table of one row: SPECOBJ or SPALL, which not all files name."""
    table = next((hdu for hdu in hdus[2:4] if not hdu.is_image and hdu.header["NAXIS2"] == 1), None)
    if table is None:
        return {}
    found = {}
    for name, columns in _FITTED.items():
        values = fits.column(table, *columns)
        if values is not None and values.ndim == 1:
            value = values[0].item() if hasattr(values[0], "item") else values[0]
            value = value.strip() if isinstance(value, str) else value
            # SDSS-V writes -999 for an identifier that the object does not have.
            if value not in ("", -999):
                found[name] = str(value) if name == "object" else value
    return found
