"""Opening FITS files well: nothing left open, and one line for a person when it cannot be done."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from astra_registry.errors import CorruptFile, FileMissing, WrongLayout


@contextlib.contextmanager
def opened(source: str | os.PathLike[str] | Any) -> Iterator[Any]:
    """Give the open `HDUList` of a FITS file, plain or packed with gzip, and close it; one that is open stays so.

    The data are read, not mapped into memory: a spectrum outlives its file. Raises `FileMissing` when there is no
    such file, `CorruptFile` when it is cut off or no FITS.
    """
    if hasattr(source, "fileinfo"):
        yield source
        return
    from astropy.io import fits

    path = os.fspath(source)
    with _told_as_ours(path), warnings.catch_warnings():
        # astropy only warns of a cut file, and then gives what is there of it.
        warnings.filterwarnings("error", message="File may have been truncated")
        with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
            yield hdus


def left_open(path: str) -> Any:
    """Return the `HDUList` of a FITS file, for the caller to close; raises as `opened` does."""
    from astropy.io import fits

    with _told_as_ours(path):
        return fits.open(path)


@contextlib.contextmanager
def _told_as_ours(path: str) -> Iterator[None]:
    try:
        yield
    except (WrongLayout, CorruptFile):
        raise
    except FileNotFoundError:
        raise FileMissing(f"there is no file {path!r}") from None
    except IsADirectoryError:
        raise FileMissing(f"{path!r} is a folder, not a file") from None
    except (OSError, EOFError, Warning) as error:
        raise CorruptFile(f"{path!r} is not a whole FITS file: {' '.join(str(error).split())}") from error
    except (TypeError, ValueError) as error:
        # What astropy says when the data of a cut file do not fill their array.
        if "buffer" in str(error) or "truncated" in str(error):
            raise CorruptFile(f"{path!r} is cut off: {error}") from error
        raise


def array(hdus: Any, index: int, what: str, dimensions: Sequence[int] = (1, 2)) -> Any:
    """Return the image of an HDU in the machine's byte order; raise `WrongLayout` when it holds none."""
    image = hdus[index].data if len(hdus) > index and hdus[index].is_image else None
    if image is None or image.ndim not in dimensions:
        raise WrongLayout(f"{where(hdus)} has no {what}: HDU {index} should hold it as an image")
    return native(image)


def native(values: Any) -> Any:
    """Return an array in the machine's byte order, which is not FITS's."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def column(table: Any, *names: str) -> Any:
    """Return the column of a table HDU that bears one of the names in any case, in the machine's byte order, or None.

    Releases differ in the case of their columns: ``flux`` in most, ``FLUX`` in the lite files of DR16.
    """
    spelled = {name.lower(): name for name in table.columns.names}
    for name in names:
        if name.lower() in spelled:
            return native(table.data[spelled[name.lower()]])
    return None


def where(hdus: Any) -> str:
    """Return the quoted path of an HDUList, or words for one that never was a file."""
    path = hdus.filename() if hasattr(hdus, "filename") else None
    return repr(path) if path else "the HDU list"
