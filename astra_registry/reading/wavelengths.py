"""Wavelengths: grids that are uniform in the logarithm, vacuum and air, and Doppler shifts."""

from __future__ import annotations

from typing import Any

SPEED_OF_LIGHT = 299792.458  # km/s, exact (SI)


def log_linear(start: float, step: float, size: int, first: float = 1.0) -> Any:
    """Return wavelengths 10**(start + step * (i + 1 - first)) for the pixels i = 0 … size - 1.

    ``start``, ``step`` and ``first`` are the cards CRVAL1, CDELT1 and CRPIX1 of a spectrum whose CTYPE1 is LOG-LINEAR.
    """
    import numpy as np

    return 10.0 ** (start + step * (np.arange(size) + (1.0 - first)))


def air_to_vacuum(wavelength: Any) -> Any:
    """Return vacuum wavelengths for those in standard air, both in Å; good to 1e-8 from 0.23 to 1.69 µm."""
    vacuum = wavelength
    for _ in range(3):  # the index is a function of the vacuum wavelength, and varies slowly
        vacuum = wavelength * _refractive_index(vacuum)
    return vacuum


def vacuum_to_air(wavelength: Any) -> Any:
    """Return wavelengths in standard air for those in vacuum, both in Å."""
    return wavelength / _refractive_index(wavelength)


def _refractive_index(vacuum: Any) -> Any:
    # Ciddor 1996, Applied Optics 35, 1566, eq. 1: dry air, 15 °C, 101325 Pa, 450 ppm CO2.
    squared = (1e4 / vacuum) ** 2
    return 1.0 + 0.05792105 / (238.0185 - squared) + 0.00167917 / (57.362 - squared)


def shifted(wavelength: Any, velocity: float = 0.0, redshift: float | None = None) -> Any:
    """Return where light of a rest wavelength is seen from a source that recedes with a velocity (km/s) or redshift."""
    factor = 1.0 + redshift if redshift is not None else _doppler(velocity)
    return wavelength * factor


def _doppler(velocity: float) -> float:
    beta = velocity / SPEED_OF_LIGHT
    return float(((1.0 + beta) / (1.0 - beta)) ** 0.5)
