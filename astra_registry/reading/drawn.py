"""One spectrum as it is drawn: its arrays without bad pixels, its parts, and the flux worth showing."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

from astra_registry.reading.bitmasks import flagged
from astra_registry.reading.wavelengths import SPEED_OF_LIGHT

_SKY_BITS = ("SIG_SKYLINE", "BRIGHTSKY")  # measured, but what is seen is a sky line that was not subtracted well
_LEANS = 0.3  # of the excess of a pixel, what its neighbours have at least in a line: that of a cosmic ray has none
_GAP = 60  # neighbouring bad pixels that part a spectrum into panels: APOGEE's chips have 200 and more between them


class Drawn:
    """The arrays of one spectrum that are drawn: its bad pixels are NaN, and kept apart."""

    def __init__(self, one: Any, limits: tuple[float, float] | None) -> None:
        import numpy as np

        from astra_registry.reading.spectra import FLUX_UNIT, error_of

        self.meta = one.meta if isinstance(one.meta, dict) else {}
        wavelength = one.spectral_axis.to_value("Angstrom")
        inside = np.isfinite(wavelength)
        if limits is not None:
            inside = (wavelength >= limits[0]) & (wavelength <= limits[1])
        self.wavelength = wavelength[inside]
        scale = one.flux.unit.to(FLUX_UNIT) if one.flux.unit.is_equivalent(FLUX_UNIT) else 1.0
        flux = one.flux.value[inside] * scale
        self.bad = np.zeros(len(flux), bool) if one.mask is None else np.asarray(one.mask)[inside]
        self.flux = np.where(self.bad, np.nan, flux)
        self.error = np.where(self.bad, np.nan, error_of(one)[inside] * scale)
        # A slice of a spectrum keeps the meta of the whole: then neither bits nor fit belong to its pixels.
        self.sky = np.zeros(len(flux), bool)
        bits, mask = self.meta.get("bits", {}), self.meta.get("bitmask")
        if mask is not None and len(mask) == len(inside):
            self.sky = flagged(mask[inside], [name for name in _SKY_BITS if name in bits], bits)
        self.base = 0.0
        self.told_apart_by: Sequence[str] = ("object", "mjd", "chip")
        self.model = None
        fitted = self.meta.get("model")
        if fitted is not None and len(fitted) == len(inside):
            self.model = np.asarray(fitted.value)[inside]

    @property
    def size(self) -> int:
        """The number of pixels."""
        return len(self.wavelength)

    @property
    def start(self) -> float:
        """The first wavelength, in Å."""
        return float(self.wavelength[0])

    @property
    def stop(self) -> float:
        """The last wavelength, in Å."""
        return float(self.wavelength[-1])

    @property
    def label(self) -> str:
        """What tells this spectrum from the others of a picture."""
        told = self.meta
        if "exposure" in told:
            return "-".join(str(told["exposure"]).split("-")[:2])  # the arm and the exposure, without its calibrations
        if "visit" in told:
            night = str(told.get("date", told.get("jd", "")))[:10]
            snr = f"  S/N {told['snr']:.0f}" if told.get("snr") else ""
            return f"{night}{snr}" if not self.bad.all() else f"{night}  left out"
        return " ".join(str(told[name]) for name in self.told_apart_by if name in told)

    @property
    def factor(self) -> float:
        """1 + redshift of the lines, in the frame in which the spectrum is given."""
        if self.meta.get("frame") == "rest":
            return 1.0
        if "redshift" in self.meta:
            return 1.0 + float(self.meta["redshift"])
        return 1.0 + float(self.meta.get("radial_velocity", 0.0)) / SPEED_OF_LIGHT

    def level(self) -> float:
        """Return the median flux of the right end, where the label stands."""
        import numpy as np

        good = self.flux[np.isfinite(self.flux)]
        return float(np.median(good[-len(good) // 10 :])) if len(good) else self.base

    def scaled(self, offset: float) -> Drawn:
        """Return a copy divided by its median, plus an offset."""
        import numpy as np

        good = self.flux[np.isfinite(self.flux)]
        median = (float(np.median(good)) if len(good) else 1.0) or 1.0
        scaled = copy.copy(self)
        scaled.flux = self.flux / median + offset
        scaled.error = self.error / abs(median)
        scaled.model = None
        scaled.base = 1.0 + offset
        return scaled

    def parts(self) -> list[Drawn]:
        """Return the parts between wide gaps, those of bad pixels and those of wavelengths alike."""
        import numpy as np

        good = np.flatnonzero(~self.bad)
        if not len(good):
            return [self]
        step = np.median(np.diff(self.wavelength)) if self.size > 1 else 1.0
        apart = (np.diff(good) > _GAP) | (np.diff(self.wavelength[good]) > _GAP * step)
        edges = [0, *(np.flatnonzero(apart) + 1), len(good)]
        made = []
        for first, last in itertools.pairwise(edges):
            if last - first < _GAP and len(edges) > 2:
                continue
            part = copy.copy(self)
            # A few pixels of the gap remain, so that what is marked bad at an edge is seen.
            inside = slice(max(0, good[first] - 5), good[last - 1] + 6)
            for name in ("wavelength", "flux", "error", "bad", "sky", "model"):
                values = getattr(self, name)
                setattr(part, name, None if values is None else values[inside])
            made.append(part)
        return made or [self]


def gaps(bad: Any) -> Any:
    """Return where bad pixels are a gap between detectors, not pixels that went wrong."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(int), [0]])))
    wide = np.zeros(len(bad), bool)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        wide[first:last] = last - first > _GAP
    return wide


def step_between(drawn: Sequence[Drawn]) -> float:
    """Return by how much to part scaled spectra so that they do not cross much."""
    import numpy as np

    spreads = [0.1]
    for one in drawn:
        flux = one.scaled(0.0).flux[~one.sky]
        flux = flux[np.isfinite(flux)]
        if len(flux):
            spreads.append(float(np.subtract(*np.percentile(flux, [99, 1]))))
    return round(1.1 * max(spreads), 2)


def flux_range(one: Drawn) -> tuple[float, float]:
    """Return the flux between which a spectrum is worth seeing: of pixels that are measured, without lone spikes."""
    import numpy as np

    good = np.isfinite(one.flux) & np.isfinite(one.error) & ~one.sky
    if not good.any():
        return 0.0, 1.0
    flux, error = one.flux[good], one.error[good]
    # The error of an emission line is large too, but not for its flux.
    trusted = flux[(error <= 4 * np.median(error)) | (flux > 20 * error)]
    flux = trusted if len(trusted) > 10 else flux
    if len(flux) > 10:
        # A line is wider than a cosmic ray: both neighbours of its deepest or highest pixel lean to the same side.
        away = flux - np.median(flux)
        with_its_neighbours = np.minimum(away[:-2] * np.sign(away[1:-1]), away[2:] * np.sign(away[1:-1]))
        kept = flux[1:-1][with_its_neighbours >= _LEANS * np.abs(away[1:-1])]
        flux = kept if len(kept) > 10 else flux
        return float(np.percentile(flux, 0.05)), float(np.max(flux))
    return float(np.min(flux)), float(np.max(flux))
