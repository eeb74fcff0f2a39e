"""Tables in ECSV: astropy reads the header, which tells the types; the rows stream after it.

What becomes of a cell is what astropy makes of it: an empty one is masked, and text loses the blanks around it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import attrs

from astra_registry.conversion import MASKED
from astra_registry.tables import whole
from astra_registry.tables.columns import Columns, Wanted, choose, from_object, plain
from astra_registry.tables.delimited import columnwise
from astra_registry.tables.packed import opened

_SCALARS = frozenset("biufU")  # numpy's letters: truth, numbers, text


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of an ECSV file; one whose columns are not all scalar and plain is read whole."""
    with whole.told(path), opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
        lines = lines_of(stream)
        header = Header.of(list(_through_names(lines)))
        if header is not None:
            yield from pieces(header, lines, wanted, rows, repr(path))
            return
    yield from whole.read("ascii.ecsv", path, wanted, rows)


@attrs.frozen
class Header:
    """What stands before the rows."""

    delimiter: str
    names: list[str]
    table: Any  # an astropy Table without rows: types, units and descriptions

    @classmethod
    def of(cls, lines: list[str]) -> Header | None:
        """Return the header that the lines are; None when a cell of a row would not be a value of the table."""
        from astropy.io import ascii as text
        from astropy.table import Column

        reader = text.get_reader(text.Ecsv)
        try:
            table = reader.read(lines)
        except Exception:  # noqa: BLE001 - columns of arrays, or no header: the reading of the whole tells it
            return None
        header = reader.header
        composed = (getattr(header, "table_meta", None) or {}).get("__serialized_columns__", {})
        is_plain = (
            # Of a masked column that was written with its mask, an empty cell is no masked one.
            all(column["__class__"] == "astropy.units.quantity.Quantity" for column in composed.values())
            and table.colnames == list(header.colnames)
            and all(isinstance(table[name], Column) for name in table.colnames)
            and all(table[name].ndim == 1 and table[name].dtype.kind in _SCALARS for name in table.colnames)
        )
        return cls(header.splitter.delimiter, table.colnames, table) if is_plain else None


def lines_of(stream: TextIO) -> Iterator[str]:
    """Give the lines as astropy divides them: also where only Unicode sees the end of one."""
    for line in stream:
        yield from filter(None, map(str.strip, line.splitlines()))


def _through_names(lines: Iterator[str]) -> Iterator[str]:
    """Give the lines of the header, of which the names of the columns are the last."""
    for line in lines:
        yield line
        if not line.startswith("#"):
            return


def pieces(header: Header, lines: Iterator[str], wanted: Wanted | None, rows: int, origin: str) -> Iterator[Columns]:
    """Yield the pieces of the table of a header and the lines below it."""
    chosen = choose(header.names, wanted, origin)
    told = from_object(header.table, None).renamed(chosen, origin)
    # Lines that look like comments are none of the table, for astropy not even within quotes.
    lines = (f"{line}\n" for line in lines if not line.startswith("#"))
    cells = csv.reader(lines, delimiter=header.delimiter, skipinitialspace=True)
    values_of = {name: _converter(header.table[column]) for name, column in chosen.items()}
    for columns, size, ragged in columnwise(cells, header.names, chosen, rows):
        values = {name: values_of[name](columns[name]) for name in chosen}
        yield attrs.evolve(told, values_by_name=values, size=size, ragged=ragged)


def _converter(column: Any) -> Callable[[list[str]], list[Any]]:
    """Return what makes values of the cells of a column."""
    import numpy as np
    from astropy.io.ascii import convert_numpy

    if column.dtype.kind == "U":  # numpy would make each as long as the longest
        return lambda cells: [cell.rstrip(" \0") if (cell := raw.strip(" \t")) else MASKED for raw in cells]
    numbers, _ = convert_numpy(column.dtype)

    def values(cells: list[str]) -> list[Any]:
        cells = [cell.strip(" \t") for cell in cells]
        try:
            array = numbers([cell or "0" for cell in cells])
        except Exception as error:
            raise ValueError(f"column {column.name!r} failed to convert: {error}") from error
        return plain(np.ma.MaskedArray(array, mask=[not cell for cell in cells]))

    return values
