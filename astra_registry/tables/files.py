"""Reading a table from a file, whole or a piece at a time, whatever format the file is in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from typing import Any

import attrs

from astra_registry.errors import BadTable
from astra_registry.tables import delimited, fits
from astra_registry.tables.columns import Columns, Wanted, from_object, sliced
from astra_registry.tables.formats import reader_of

CHUNK = 65536  # rows turned into Python values at once; more is not faster


def read_columns(source: Any, *, columns: Wanted | None = None) -> Columns:
    """Return the columns of a table: one in memory, a file of one, or an open text stream of CSV.

    ``columns`` names the columns to read (in any case; one that is missing is a `BadTable`), or maps names to their
    aliases: then the result bears those names, without the ones that the table does not have (see `match_columns`).
    It may also be a function that is given the names of all columns, and returns the one or the other.
    Values are plain Python ones; those of CSV are text. Raises `FileMissing` when there is no such file, `BadTable`
    when it is not a table.
    """
    if not _is_file(source):
        return from_object(source, columns)
    chunks = iter_columns(source, columns=columns)
    first = next(chunks)
    values = {name: list(column) for name, column in first.items()}
    size = first.size
    for chunk in chunks:
        size += chunk.size
        for name, column in chunk.items():
            values[name].extend(column)
    return attrs.evolve(first, values_by_name=values, size=size)


def iter_columns(
    source: Any, *, columns: Wanted | None = None, rows: int = CHUNK, ragged: bool = False
) -> Generator[Columns]:
    """Yield the table of `read_columns` in pieces of ``rows`` rows, at least one piece.

    CSV, ECSV, FITS, VOTable, IPAC, Parquet and text between blanks stream: a piece is in memory at a time. Of Feather
    and ORC it is what the file calls one; other formats are read whole. A row with too few or too many cells is a
    `BadTable`; where it is to cost no other row, ``ragged`` lets it through, and the piece's ``ragged`` tells of it.
    """
    before = 0
    with contextlib.closing(_pieces(source, columns, rows)) as pieces:
        for piece in pieces:
            if not ragged:
                for row, fault in piece.ragged.items():
                    raise BadTable(f"row {before + row} of {piece.origin} {fault}")
            before += piece.size
            yield attrs.evolve(piece, is_of_file=True) if _is_file(source) else piece


def _pieces(source: Any, columns: Wanted | None, rows: int) -> Generator[Columns]:
    if not _is_file(source):
        yield from sliced(from_object(source, columns), rows)
    elif hasattr(source, "readline"):
        yield from delimited.read_stream(source, columns, rows, str(getattr(source, "name", "the stream")))
    else:
        path = os.fspath(source)
        yield from reader_of(path)(path, columns, rows)


def column_names(source: Any) -> list[str]:
    """Return the names of a table's columns, in its order; of what streams from front to back the beginning is read."""
    names: list[str] = []

    def none_of_them(available: Sequence[str]) -> Sequence[str]:
        names.extend(available)
        return ()

    with contextlib.closing(iter_columns(source, columns=none_of_them, rows=1)) as chunks:
        next(chunks)
    return names


def which_table(source: Any) -> str:
    """Return which table of a file is the one that is read, where the file has others; else an empty text."""
    if not isinstance(source, (str, os.PathLike)) or reader_of(os.fspath(source)) is not fits.read:
        return ""
    return fits.which_table(os.fspath(source))


def _is_file(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "readline")
