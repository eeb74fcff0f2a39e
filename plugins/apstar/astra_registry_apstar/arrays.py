"""Many apStar files as arrays with one row a star, as fast as the disk gives them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import numpy as np

from astra_registry.errors import FileFailed, FileMissing, WrongLayout
from astra_registry.reading import reads_many, structure
from astra_registry.reading.bitmasks import APOGEE_BAD, APOGEE_PIXMASK, flagged
from astra_registry.reading.wavelengths import log_linear
from astra_registry_apstar.spectrum import gaps

PIXELS = 8575
_START, _STEP = 4.179, 6e-6  # log10 of Å: CRVAL1 and CDELT1 of every apStar file, DR10 to SDSS-V


@attrs.frozen(eq=False)
class StarArrays:
    """Combined spectra of many stars: ``flux[i]`` is the star of the i-th path.

    ``wavelength`` is in Å (vacuum), of shape (8575,); ``flux`` and ``error`` are in 1e-17 erg/s/cm²/Å, ``bitmask``
    holds the bits of APOGEE_PIXMASK, all of shape (number of files, 8575). ``failed`` tells by row what could not be
    read: there flux and error are NaN, and the bit BADPIX is set.
    """

    wavelength: Any
    flux: Any
    error: Any
    bitmask: Any
    failed: dict[int, FileFailed]

    @property
    def bad(self) -> Any:
        """Where a pixel should not be used, as the mask of the single spectra: a boolean array like ``flux``."""
        return flagged(self.bitmask, APOGEE_BAD, APOGEE_PIXMASK) | gaps(self.flux, self.error)


@reads_many
def read_arrays(
    paths: Iterable[str | os.PathLike[str]],
    /,
    *,
    dtype: Any = np.float32,
    on_failure: Literal["raise", "mask"] = "raise",
    out: tuple[Any, Any, Any] | None = None,
) -> StarArrays:
    """Return the combined spectra (weighted pixel by pixel) of many apStar files of any release.

    Of each file only the headers and the rows that are wanted are read, so that beside the result no memory is used.
    ``out`` gives arrays of flux, error and bitmask to fill, for instance `numpy.memmap` ones when the result is larger
    than the memory. A file that is missing, cut off or no apStar file is an error, or with ``on_failure="mask"`` a
    row without a good pixel.
    """
    listed = [os.fspath(path) for path in paths]
    shape = (len(listed), PIXELS)
    flux, error, bitmask = out or (np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, np.int16))
    failed: dict[int, FileFailed] = {}
    for row, path in enumerate(listed):
        try:
            _fill(path, flux[row], error[row], bitmask[row])
        except FileFailed as problem:
            if on_failure == "raise":
                raise
            failed[row] = problem
            flux[row] = error[row] = np.nan
            bitmask[row] = 1 << APOGEE_PIXMASK["BADPIX"]
    return StarArrays(log_linear(_START, _STEP, PIXELS), flux, error, bitmask, failed)


def _fill(path: str, flux: Any, error: Any, bitmask: Any) -> None:
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            if not packed and os.fstat(stream.fileno()).st_size:
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    _copy(mapped, path, flux, error, bitmask)
                return
    except (FileNotFoundError, IsADirectoryError):
        raise FileMissing(f"there is no file {path!r}") from None
    _copy(structure.contents(path), path, flux, error, bitmask)


def _copy(found: bytes | mmap.mmap, path: str, flux: Any, error: Any, bitmask: Any) -> None:
    hdus = structure.places(found, path, limit=4)
    shapes = {hdu.shape[-1:] for hdu in hdus[1:]}
    if len(hdus) < 4 or shapes != {(PIXELS,)}:
        raise WrongLayout(f"{path!r} is no apStar file: HDUs 1 to 3 should be images of {PIXELS} pixels a row")
    for hdu, target in zip(hdus[1:], (flux, error, bitmask), strict=True):
        # The first row, with or without others below it, is the combined spectrum.
        stored = np.frombuffer(found, hdu.dtype, PIXELS, hdu.start)
        target[:] = _values(stored, hdu.cards) if hdu.scaled else stored


def _values(stored: Any, cards: Mapping[str, Any]) -> Any:
    """Return what the numbers stored in an image stand for: integers where its scale is whole, so that bits stay."""
    scale, zero = cards["BSCALE"], cards["BZERO"]
    if stored.dtype.kind in "iu" and scale.is_integer() and zero.is_integer():
        # 2**63, of masks without a sign, is no int64; its negative has the same bits.
        return stored.astype(np.int64) * int(scale) + np.uint64(int(zero) % 2**64).astype(np.int64)
    return stored * scale + zero
