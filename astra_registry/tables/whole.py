"""Tables in the formats that astropy reads, and only as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from astra_registry.errors import AstraRegistryError, BadTable, MissingExtra
from astra_registry.tables.columns import Columns, Wanted, from_object, sliced
from astra_registry.tables.packed import unpacked

# Formats that do not tell the types of their columns: all is text there, as in CSV, so that 010 stays 010.
_UNTYPED = frozenset({"latex", "rst", "fixed_width"})


def read(form: str, path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a table that is read whole, in the format that astropy calls so."""
    from astropy.io import ascii as text
    from astropy.table import Table

    if form == "hdf5":
        check_hdf5(path)
    options = {}
    if form.removeprefix("ascii.") in _UNTYPED:
        options = {"converters": {"*": [text.convert_numpy(str)]}, "guess": False}
    with unpacked(path) as file, told(path):
        table = Table.read(file, format=form, **options)
    whole = from_object(table, wanted)
    yield from sliced(Columns(whole, whole.size, whole.units, whole.descriptions, repr(path)), rows)


def check_hdf5(path: str | os.PathLike[str]) -> None:
    """Raise MissingExtra when no file of HDF5 can be read or written here."""
    try:
        import h5py  # noqa: F401
    except ImportError:
        raise MissingExtra(f"{os.fspath(path)!r} is HDF5, which", package="h5py") from None


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what astropy raises of a file into a BadTable that names it."""
    try:
        yield
    except AstraRegistryError:
        raise
    except Exception as error:  # its parsers raise every kind of exception
        raise BadTable(f"{path!r} cannot be read as a table: {' '.join(str(error).split())}") from error
