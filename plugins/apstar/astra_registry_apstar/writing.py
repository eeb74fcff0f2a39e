"""Writing a spectrum in the layout of an apStar file, so that it is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from specutils import Spectrum

from astra_registry.atomic import written
from astra_registry.errors import BadValue, UnequalLengths
from astra_registry.reading.bitmasks import APOGEE_BAD, APOGEE_PIXMASK, flagged
from astra_registry.reading.spectra import FLUX_UNIT, error_of
from astra_registry.reading.wavelengths import log_linear
from astra_registry_apstar.spectrum import CARDS, VISIT_CARDS, gaps

_UNITS = "(10^-17 erg/s/cm^2/Ang)"
_BUNITS = (
    f"Flux {_UNITS}",
    f"Error {_UNITS}",
    "Flag Mask (bitwise)",
    f"Sky {_UNITS}",
    f"Sky error {_UNITS}",
    "Telluric",
    "Telluric error",
    "LSF Coefficients",
)


def write_spectrum(
    spectrum: Spectrum,
    path: str | os.PathLike[str],
    *,
    visits: Sequence[Spectrum] = (),
    combined_globally: Spectrum | None = None,
    overwrite: bool = False,
) -> str:
    """Write a spectrum, and its visits when they are given, as an apStar file, and return the path.

    HDUs 1, 2 and 3 are flux, error and pixel mask, with one row a spectrum: the combined one, the one combined with
    one weight a visit, the visits; without visits a single row. Precision is kept, wavelengths must be
    uniform in the logarithm. The pixel mask is ``meta["bitmask"]``; pixels that only the mask of the Spectrum tells
    to be bad get the bit BADPIX. Cards come from ``meta["header"]`` and what ``meta`` tells besides. HDUs 4 to 8
    (sky, telluric, line spread) are there without data, for a Spectrum has none; HDU 9 is the table of visits.

    Raises FileExistsError when the file is there and may not be overwritten, `BadValue` when the spectrum cannot be
    such a file: another unit, no uncertainty, another grid.
    """
    for one in (spectrum, *visits):
        if not isinstance(one, Spectrum):
            raise BadValue(f"an apStar file is written of a specutils.Spectrum, not of {type(one).__name__}")
    start, step = _grid(spectrum)
    rows = [spectrum]
    if visits:
        # Row 1 belongs to the other combination; DR17 has zeros there when it has none.
        rows += [combined_globally, *visits]
    elif combined_globally is not None:
        rows.append(combined_globally)
    arrays = _stacked(rows, spectrum)
    primary = fits.PrimaryHDU(header=_header(spectrum, visits, start, step, arrays[0].shape[-1]))
    hdus = fits.HDUList([primary])
    for index, unit in enumerate(_BUNITS):
        image = fits.ImageHDU(arrays[index] if index < len(arrays) else None)
        if index < len(arrays):
            image.header.update(_grid_cards(start, step))
        image.header["BUNIT"] = unit
        hdus.append(image)
    hdus.append(_visit_table(visits))
    target = os.fspath(path)
    with written(target, overwrite=overwrite, suffix=".gz" if target.endswith(".gz") else ".fits") as private:
        hdus.writeto(private, checksum=True)
    return target


def _grid(spectrum: Spectrum) -> tuple[float, float]:
    """Return CRVAL1 and CDELT1 of a spectrum's wavelengths. Raises `BadValue` when they are not log-linear."""
    wavelength = spectrum.spectral_axis.to_value("Angstrom")
    if wavelength.ndim != 1 or len(wavelength) < 2:
        raise BadValue("an apStar file holds spectra of one dimension and two pixels or more")
    logarithm = np.log10(wavelength)
    exact = logarithm[0], (logarithm[-1] - logarithm[0]) / (len(wavelength) - 1)
    header = spectrum.meta.get("header") or {}
    # The numbers somebody chose, before those that rounding made of them.
    candidates = [
        (header.get("CRVAL1"), header.get("CDELT1")),
        (round(exact[0], 9), round(exact[1], 11)),
        exact,
    ]
    for start, step in candidates:
        if isinstance(start, float) and isinstance(step, float):
            remade = log_linear(start, step, len(wavelength))
            if np.allclose(remade, wavelength, rtol=1e-10, atol=0):
                return float(start), float(step)
    raise BadValue("an apStar file has wavelengths that are uniform in the logarithm; resample the spectrum first")


def _stacked(rows: Sequence[Spectrum | None], first: Spectrum) -> tuple[Any, Any, Any]:
    fluxes, errors, masks = [], [], []
    for row in rows:
        if row is None:
            fluxes.append(np.zeros_like(first.flux.value))
            errors.append(np.zeros_like(first.flux.value))
            masks.append(np.zeros(first.flux.shape, np.int16))
            continue
        flux, error, mask = _arrays(row)
        if flux.shape != first.flux.shape or not np.allclose(
            row.spectral_axis.to_value("Angstrom"), first.spectral_axis.to_value("Angstrom"), rtol=1e-10, atol=0
        ):
            raise UnequalLengths("the visits are not on the wavelengths of the combined spectrum")
        fluxes.append(flux)
        errors.append(error)
        masks.append(mask)
    if len(rows) == 1:
        return fluxes[0], errors[0], masks[0]
    return np.stack(fluxes), np.stack(errors), np.stack(masks)


def _arrays(spectrum: Spectrum) -> tuple[Any, Any, Any]:
    if not spectrum.flux.unit.is_equivalent(FLUX_UNIT):
        raise BadValue(f"an apStar file holds flux in {FLUX_UNIT}; that of the spectrum is in {spectrum.flux.unit}")
    if spectrum.uncertainty is None:
        raise BadValue("an apStar file holds the error of the flux, and the spectrum has no uncertainty")
    flux = spectrum.flux.to_value(FLUX_UNIT)
    scale = spectrum.flux.unit.to(FLUX_UNIT)
    error = np.asarray(error_of(spectrum) * scale, dtype=flux.dtype)
    if flux.ndim != 1:
        raise BadValue(f"an apStar file is written of spectra of one dimension, not of a flux of shape {flux.shape}")
    mask = _bitmask(spectrum.meta.get("bitmask", np.zeros(flux.shape, np.int16)))
    if mask.shape != flux.shape:  # a slice of a spectrum keeps the meta of the whole
        mask = np.zeros(flux.shape, np.int16)
    if spectrum.mask is not None:
        known = flagged(mask, APOGEE_BAD, APOGEE_PIXMASK) | gaps(flux, error)
        mask[spectrum.mask & ~known] |= 1 << APOGEE_PIXMASK["BADPIX"]
    return flux, error, mask


def _bitmask(values: Any) -> Any:
    """Return a copy of a mask as integers with a sign, wide enough for all bits that an APOGEE pixel can have."""
    mask = np.array(values)
    if mask.dtype.kind not in "biu":
        raise BadValue(f"the bitmask of a spectrum holds integers, not {mask.dtype}")
    # FITS stores integers without a sign shifted by half their range, which not all programs undo.
    return mask.astype(np.int64 if mask.dtype == np.uint64 else np.promote_types(mask.dtype, np.int16))


def _grid_cards(start: float, step: float) -> dict[str, Any]:
    return {"CRVAL1": start, "CDELT1": step, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR", "DC-FLAG": 1}


def _header(spectrum: Spectrum, visits: Sequence[Spectrum], start: float, step: float, size: int) -> Any:
    header = fits.Header()
    if isinstance(spectrum.meta.get("header"), fits.Header):
        header.extend(spectrum.meta["header"].copy(strip=True), update=True)
        for keyword in ("CHECKSUM", "DATASUM"):
            header.remove(keyword, ignore_missing=True)
    _tell(header, spectrum.meta, CARDS)
    header["NVISITS"] = len(visits) or header.get("NVISITS", 1)
    for number, visit in enumerate(visits, 1):
        _tell(header, visit.meta, {name: f"{keyword}{number}" for name, keyword in VISIT_CARDS.items()})
    header["NWAVE"] = size
    header.update(_grid_cards(start, step))
    return header


def _tell(header: Any, meta: dict[str, Any], names: dict[str, Any]) -> None:
    for name, keywords in names.items():
        keyword = keywords if isinstance(keywords, str) else keywords[0]
        value = meta.get(name)
        if isinstance(value, (str, int, float, np.number)) and header.get(keyword) != value and value == value:
            header[keyword] = value


def _visit_table(visits: Sequence[Spectrum]) -> Any:
    columns = []
    for name, form in (("file", "90A"), ("jd", "D"), ("snr", "D"), ("heliocentric_velocity", "D"), ("fiber", "J")):
        values = [visit.meta.get(name) for visit in visits]
        if visits and all(value is not None for value in values):
            title = {"heliocentric_velocity": "VHELIO"}.get(name, name.upper())
            columns.append(fits.Column(name=title, format=form, array=values))
    return fits.BinTableHDU.from_columns(columns)
