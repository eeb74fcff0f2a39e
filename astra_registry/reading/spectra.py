"""Spectra of specutils from the arrays of a survey's file, one or many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from astropy import units as u
from astropy.nddata import InverseVariance, StdDevUncertainty
from specutils import Spectrum, SpectrumCollection, SpectrumList

from astra_registry.errors import UnequalLengths

FLUX_UNIT = u.Unit("1e-17 erg / (s cm2 Angstrom)")
"""The unit of flux in the files of APOGEE and of the optical spectrographs."""


def spectrum(
    wavelength: Any,
    flux: Any,
    bad: Any,
    meta: Mapping[str, Any],
    *,
    error: Any = None,
    ivar: Any = None,
) -> Spectrum:
    """Return a Spectrum: wavelength in Å (vacuum), flux in 1e-17 erg/s/cm²/Å, with its error or inverse variance.

    ``bad`` is True where a pixel should not be used: the mask of the Spectrum, as in numpy. Arrays are kept as they
    are, of one dimension; nothing is resampled or replaced.
    """
    uncertainty = StdDevUncertainty(error, unit=FLUX_UNIT) if error is not None else None
    if ivar is not None:
        uncertainty = InverseVariance(ivar, unit=FLUX_UNIT**-2)
    return Spectrum(
        flux=u.Quantity(flux, FLUX_UNIT, copy=False),
        spectral_axis=u.Quantity(wavelength, u.AA, copy=False),
        uncertainty=uncertainty,
        mask=bad,
        meta={"medium": "vacuum", **meta},
    )


def error_of(one: Spectrum) -> Any:
    """Return the standard deviation of the flux, an array in the flux's unit; infinite where the weight is zero."""
    import numpy as np

    if one.uncertainty is None:
        return np.full(one.flux.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = one.uncertainty.represent_as(StdDevUncertainty)
    # An uncertainty may be in another unit than its flux: in the old one, when the flux alone was converted.
    return np.asarray(deviation.array if deviation.unit is None else deviation.quantity.to_value(one.flux.unit))


def signal_to_noise(one: Spectrum) -> float:
    """Return the median of flux over error of the good pixels, NaN when there is none."""
    import numpy as np

    error = error_of(one)
    good = np.isfinite(error) & (error > 0) & np.isfinite(one.flux.value)
    if one.mask is not None:
        good &= ~one.mask
    return float(np.median(one.flux.value[good] / error[good])) if good.any() else float("nan")


_NO_VELOCITY = 999999.0  # km/s: what APOGEE's pipeline writes for a velocity that it could not measure


def cards(header: Any, names: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
    """Return ``{name: value}`` of the cards that hold a value: the first that does, when several are named."""
    found = {}
    for name, keywords in names.items():
        for keyword in (keywords,) if isinstance(keywords, str) else keywords:
            value = header.get(keyword)
            if value is not None and value != "" and value != _NO_VELOCITY:
                found[name] = value.strip() if isinstance(value, str) else value
                break
    return found


def together(spectra: Iterable[Spectrum]) -> SpectrumList | SpectrumCollection:
    """Return a SpectrumCollection when all have one grid of wavelengths, as apStar's do, else a SpectrumList."""
    import numpy as np

    listed = SpectrumList(spectra)
    axes = [one.spectral_axis.value for one in listed]
    if not axes or any(axis.shape != axes[0].shape or not np.array_equal(axis, axes[0]) for axis in axes[1:]):
        return listed
    kinds = {type(one.uncertainty) for one in listed}
    return SpectrumCollection(
        flux=u.Quantity([one.flux for one in listed]),
        spectral_axis=u.Quantity([one.spectral_axis for one in listed]),
        uncertainty=kinds.pop()(np.stack([one.uncertainty.array for one in listed]), unit=listed[0].uncertainty.unit)
        if len(kinds) == 1 and None not in (one.uncertainty for one in listed)
        else None,
        mask=np.stack([one.mask for one in listed]),
        meta=[one.meta for one in listed],
    )


def as_list(spectra: Iterable[Spectrum]) -> SpectrumList:
    """Return the spectra as a SpectrumList, whatever their wavelengths."""
    return SpectrumList(spectra)


# Unit and description of what ``meta`` tells, and descriptions of the arrays, as columns of a table.
_TOLD = {
    "product": (None, "The name of the data product."),
    "release": (None, "The data release."),
    "object": (None, "The name of the object."),
    "ra": ("deg", "The right ascension."),
    "dec": ("deg", "The declination."),
    "snr": (None, "The signal to noise of a pixel, as the pipeline gives it."),
}
_ARRAYS = {
    "wavelength": "The wavelength in vacuum.",
    "flux": "The flux density.",
    "error": "The standard deviation of the flux.",
    "mask": "Where a pixel should not be used.",
}


def as_table(spectra: Iterable[Spectrum], *, names: Sequence[str] = ("object", "ra", "dec", "snr")) -> Any:
    """Return an astropy Table of one row a spectrum: what ``meta`` tells, then wavelength, flux, error and mask.

    Raises `UnequalLengths` when the spectra have different numbers of pixels: such rows make no table.
    """
    import numpy as np
    from astropy.table import Table

    listed = list(spectra)
    sizes = sorted({one.flux.size for one in listed})
    if len(sizes) > 1:
        raise UnequalLengths(
            f"the spectra have {sizes[0]} to {sizes[-1]} pixels, and rows of a table one length: read them as a list"
        )
    table = Table()
    for name in ("product", "release", *names):
        if any(name in one.meta for one in listed):
            values = [one.meta.get(name) for one in listed]
            table[name] = np.ma.array(
                [type(next(v for v in values if v is not None))() if value is None else value for value in values],
                mask=[value is None for value in values],
            )
    for name in dict.fromkeys(key for one in listed for key in one.meta.get("parameters") or {}):
        if name not in table.colnames:
            table[name] = [(one.meta.get("parameters") or {}).get(name, "") for one in listed]
    for name, (unit, description) in _TOLD.items():
        if name in table.colnames:
            table[name].unit, table[name].description = unit, description
    if listed:
        table["wavelength"] = u.Quantity([one.spectral_axis for one in listed])
        table["flux"] = u.Quantity([one.flux for one in listed])
        table["error"] = u.Quantity([error_of(one) * one.flux.unit for one in listed])
        table["mask"] = np.stack([one.mask for one in listed])
        for name, description in _ARRAYS.items():
            table[name].description = description
    return table
