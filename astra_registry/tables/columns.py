"""Columns by name, as plain lists: what every table becomes, and how a column is found under its names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable, UnequalLengths

_WHOLE = re.compile(r"^ *([+-]?[0-9]{1,15})\.0* *$", re.ASCII)


@attrs.frozen(eq=False)
class Columns(Mapping[str, Sequence[Any]]):
    """The columns of a table, in its order: ``columns["mjd"]`` is a list of plain values, one a row.

    Masked and null cells are `MASKED`. ``size`` is the number of rows, also when no column was read;
    ``units`` and ``descriptions`` hold those that the table tells; ``origin`` says where the rows are from.
    ``ragged`` tells of a piece of a file which rows have not a cell for each column, and how many they have.
    ``is_of_file`` says that they come from a file, in which integers may be text.
    """

    values_by_name: Mapping[str, Sequence[Any]]
    size: int
    units: dict[str, str] = attrs.field(factory=dict)
    descriptions: dict[str, str] = attrs.field(factory=dict)
    origin: str = "the table"
    ragged: Mapping[int, str] = attrs.field(factory=dict)
    is_of_file: bool = False

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def renamed(self, columns: Mapping[str, str], origin: str) -> Columns:
        """Return some of the columns, as ``{new name: column}``, of a table with another origin."""
        return Columns(
            {name: self[column] for name, column in columns.items()},
            self.size,
            {name: self.units[column] for name, column in columns.items() if column in self.units},
            {name: self.descriptions[column] for name, column in columns.items() if column in self.descriptions},
            origin,
        )


#: What to read: names that must be there, or names with aliases, of which those are read that are there; or what
#: returns the one or the other when it is told the names of the table's columns.
Named = Sequence[str] | Mapping[str, Sequence[str]]
Wanted = Named | Callable[[Sequence[str]], Named]


def match_columns(
    available: Iterable[str], wanted: Mapping[str, Sequence[str]], *, origin: str = "the table"
) -> dict[str, str]:
    """Return which column holds each wanted name: ``{name: column}``, without the names that no column bears.

    ``wanted`` gives the aliases of each name. The name as spelled is taken before another spelling of its case,
    and the name in any case before an alias; but an alias that stands before the name itself in ``wanted`` goes first.
    Two columns that fit equally well are a `BadTable` that names both.
    """
    columns = list(available)
    exact = set(columns)
    folded: dict[str, list[str]] = {}
    for column in columns:
        folded.setdefault(column.casefold(), []).append(column)
    found = {}
    for name, aliases in wanted.items():
        first = aliases.index(name) if name in aliases else 0
        for fitting in (
            fitting
            for names in (aliases[:first], [name], aliases[first:])
            for fitting in (
                [spelled for spelled in names if spelled in exact],
                [column for spelled in names for column in folded.get(spelled.casefold(), [])],
            )
        ):
            distinct = list(dict.fromkeys(fitting))
            if len(distinct) > 1:
                listed = " and ".join(map(repr, distinct))
                raise BadTable(f"{name} could be {listed} of {origin}; rename or remove one of them")
            if distinct:
                found[name] = distinct[0]
                break
    return found


def choose(available: Sequence[str], wanted: Wanted | None, origin: str) -> dict[str, str]:
    """Return what to read as ``{name in the result: column}``.

    A missing column of a sequence is a `BadTable`, and so is a name that several columns to be read bear.
    """
    chosen = _chosen(available, wanted, origin)
    repeated = sorted({column for column in chosen.values() if available.count(column) > 1})
    if repeated:
        raise BadTable(f"{origin} has more than one column {', '.join(map(repr, repeated))}")
    return chosen


def _chosen(available: Sequence[str], wanted: Wanted | None, origin: str) -> dict[str, str]:
    if callable(wanted):
        wanted = wanted(available)
    if wanted is None:
        return {name: name for name in available}
    if isinstance(wanted, Mapping):
        return match_columns(available, wanted, origin=origin)
    found = match_columns(available, dict.fromkeys(wanted, ()), origin=origin)
    lacking = [name for name in wanted if name not in found]
    if lacking:
        there = ", ".join(available[:12]) + (f" and {len(available) - 12} more" if len(available) > 12 else "")
        raise BadTable(f"{origin} has no column {', '.join(map(repr, lacking))}; it has {there or 'no column at all'}")
    return found


def same_length(values: Mapping[str, Sequence[Any]], origin: str) -> int:
    """Return the number of rows; columns of different lengths are an `UnequalLengths` that names them."""
    lengths = {name: len(column) for name, column in values.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UnequalLengths(f"the columns of {origin} have different lengths: {told}")
    return next(iter(lengths.values()), 0)


def plain(column: Any) -> list[Any]:
    """Return a column's values as a list: numbers of Python, text without padding, `MASKED` for what is masked.

    A list or tuple stays as it is.
    """
    if isinstance(column, (list, tuple)):
        return list(column)
    import numpy as np

    mask = getattr(column, "mask", None)
    if hasattr(column, "isna") and hasattr(column, "to_numpy"):  # pandas
        mask = column.isna().to_numpy() if column.dtype.kind != "f" else None
        column = column.to_numpy()
    if not hasattr(column, "dtype"):
        return list(column)  # a mixin of astropy, or any other iterable
    values: list[Any] = _listed(np.asarray(getattr(column, "value", column)))
    if mask is not None and np.any(mask):
        hidden = np.broadcast_to(mask, np.shape(column)).reshape(len(values), -1).any(axis=1)
        for row in np.flatnonzero(hidden):
            values[row] = MASKED
    return values


def _listed(array: Any) -> list[Any]:
    import numpy as np

    if array.dtype.kind in "SU" and array.dtype.itemsize:
        array = np.char.rstrip(array, b" \0" if array.dtype.kind == "S" else " \0")
        if array.dtype.kind == "S":
            try:
                array = array.astype("U")
            except UnicodeDecodeError:  # numpy takes ASCII only; FITS should hold nothing else, and some files do
                array = np.char.decode(array, "utf-8", "replace")
    elif array.dtype.kind == "O":
        return [MASKED if value is None else value for value in array.tolist()]
    elif array.dtype.kind in "Mm":  # of nanoseconds numpy makes plain numbers
        array = array.astype(f"{array.dtype.kind}8[us]")
    listed: list[Any] = array.tolist()
    return listed


def name_in(cell: Any) -> Any:
    """Return the name that a cell holds without what pads it: None for a cell that is masked or empty."""
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if isinstance(cell, str):
        cell = cell.strip("\0 \t\r\n")
    return None if cell is MASKED or cell == "" else cell


def is_blank(cell: Any) -> bool:
    """Whether a cell tells nothing: it is masked, not a number, or nothing but what pads it."""
    return name_in(cell) is None or cell != cell


def whole_numbers(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column of integers as a file of text may have it without the fractions that are nothing but zeros.

    pandas writes a column of integers that has gaps as floats: ``212.0``. Longer ones have lost digits, and stay.
    """
    if not any(isinstance(value, str) and "." in value for value in column):
        return column
    return [_WHOLE.sub(r"\1", value) if isinstance(value, str) else value for value in column]


def digits(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column of numbers that are text in a name with each written in digits alone: ``5815`` for ``5815.0``.

    A ``nan`` that a program wrote as text is one again.
    """
    return [_in_digits(value) for value in whole_numbers(column)]


def _in_digits(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return math.nan if isinstance(value, str) and value.strip().lower() == "nan" else value


def from_object(source: Any, wanted: Wanted | None) -> Columns:
    """Return the columns of a table in memory: an astropy, pandas or pyarrow one, a structured array, a mapping of
    columns, or a sequence of rows: mappings, named tuples, or what a database gives.

    Raises `BadTable` when it is none of these, `UnequalLengths` when its columns do not fit.
    """
    origin = "the table"
    if isinstance(source, Columns):
        return source.renamed(choose(list(source), wanted, origin), source.origin)
    names, column_of = _opened(source, origin)
    chosen = choose(names, wanted, origin)
    columns = {name: column_of(column) for name, column in chosen.items()}
    _check_columns(columns, origin)  # a row has names too, and each of its texts is a sequence of letters
    values = {name: plain(column) for name, column in columns.items()}
    size = same_length(values, origin) if values else _rows_of(source)
    units = {name: str(column.unit) for name, column in columns.items() if getattr(column, "unit", None)}
    told = {
        name: str(column.description)
        for name, column in columns.items()
        if isinstance(getattr(column, "description", None), str)
    }
    return Columns(values, size, units, told, origin)


def _check_columns(columns: Mapping[Any, Any], origin: str) -> None:
    """Raise BadTable when one of the columns is a single value."""
    for name, column in columns.items():
        if isinstance(column, (str, bytes)) or not hasattr(column, "__len__") or getattr(column, "shape", None) == ():
            raise BadTable(f"{name} of {origin} is not a column of values: {column!r}")


def _opened(source: Any, origin: str) -> tuple[list[str], Any]:
    """Return the names of the columns, and what gives the column of a name."""
    if hasattr(source, "colnames"):  # astropy
        return list(source.colnames), source.__getitem__
    if hasattr(source, "column_names") and hasattr(source, "schema"):  # pyarrow
        return list(source.column_names), lambda name: from_arrow(source.column(name))
    if getattr(getattr(source, "dtype", None), "names", None):  # a structured array
        return list(source.dtype.names), source.__getitem__
    if hasattr(source, "columns") and hasattr(source, "iloc"):  # pandas
        return [str(name) for name in source.columns], {str(name): source[name] for name in source.columns}.__getitem__
    if isinstance(source, Mapping):
        _check_columns(source, origin)
        return [str(name) for name in source], source.__getitem__
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        rows = [_by_name(row) for row in source]
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return names, lambda name: [row.get(name, MASKED) for row in rows]
    known = "an astropy Table, a mapping of columns, a list of rows, or a file"
    raise BadTable(f"{type(source).__name__} is not a table: give {known}")


def _by_name(row: Any) -> Mapping[str, Any]:
    """Return a row's values by the names of their columns."""
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "_asdict"):  # a named tuple, or a row of SQLAlchemy
        return dict(row._asdict())
    if hasattr(row, "keys"):  # a row of sqlite3
        return {name: row[name] for name in row.keys()}  # noqa: SIM118 - it is no mapping
    raise BadTable("a sequence is a table when each of its items is a row whose values have names, as in a mapping")


def _rows_of(source: Any) -> int:
    if isinstance(source, Mapping):
        return same_length(source, "the table")
    return getattr(source, "num_rows", None) or len(source)


def from_arrow(column: Any) -> list[Any]:
    """Return a pyarrow column as a list, nulls as `MASKED`; numbers go through numpy, which is ten times faster."""
    kind = str(column.type)
    if not column.null_count and kind.startswith(("int", "uint", "float", "double", "half")):
        numbers: list[Any] = column.to_numpy().tolist()
        return numbers
    if "binary" in kind:  # how astropy writes text
        column = column.cast("string")
    return [MASKED if value is None else value for value in column.to_pylist()]


def sliced(table: Columns, rows: int) -> Iterator[Columns]:
    """Yield a table in pieces of ``rows`` rows, at least one."""
    for start in range(0, max(table.size, 1), rows):
        part = {name: column[start : start + rows] for name, column in table.items()}
        yield Columns(part, min(rows, table.size - start), table.units, table.descriptions, table.origin)
