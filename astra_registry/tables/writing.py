"""Writing a table to a file of any format, so that it is there whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import Any

from astra_registry.atomic import written
from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable, MissingExtra
from astra_registry.tables.columns import Columns, same_length

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def as_table(
    columns: Mapping[str, Sequence[Any]],
    *,
    units: Mapping[str, str] | None = None,
    descriptions: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Any:
    """Return an astropy Table of the columns, with units and descriptions; None and `MASKED` become masked cells.

    Raises `UnequalLengths` when the columns do not fit.
    """
    from astropy.table import Column, MaskedColumn, Table

    same_length(columns, "the table")
    units = {**getattr(columns, "units", {}), **(units or {})}
    descriptions = {**getattr(columns, "descriptions", {}), **(descriptions or {})}
    made = []
    for name, values in columns.items():
        told = {"name": name, "unit": units.get(name), "description": descriptions.get(name)}
        hidden = [value is None or value is MASKED for value in values]
        if not any(hidden):
            made.append(Column(values, **told))
            continue
        kind = next((type(value) for value, gone in zip(values, hidden, strict=True) if not gone), str)
        filled = [kind() if gone else value for value, gone in zip(values, hidden, strict=True)]
        made.append(MaskedColumn(filled, mask=hidden, **told))
    return Table(made, meta=dict(meta or {}))


def write_table(
    table: Any,
    path: str | os.PathLike[str],
    *,
    units: Mapping[str, str] | None = None,
    descriptions: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write an astropy Table, or a mapping of columns, in the format that the file's name says.

    CSV, TSV, ECSV, FITS (also ``.gz``), VOTable (``.vot``, ``.xml``) and Parquet; a plain mapping into CSV needs no
    astropy. Raises `BadTable` for another name, and FileExistsError when the file is there and may not be overwritten.
    """
    ending, kind = format_of(path)
    with written(path, overwrite=overwrite, suffix=ending) as private:
        if kind in ("csv", "tsv"):
            _write_text(table, private, "," if kind == "csv" else "\t")
            return
        if not hasattr(table, "colnames"):
            table = as_table(table, units=units, descriptions=descriptions, meta=meta)
        if kind == "parquet":
            needs_pyarrow()
        table.write(private, format=kind, overwrite=True)


def needs_pyarrow() -> None:
    """Raise MissingExtra when there is no pyarrow."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise MissingExtra("writing Parquet", "parquet") from None


def format_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the ending of a table's file, and the format that it stands for; BadTable for another name."""
    name = os.fspath(path).lower()
    for ending in sorted(_FORMATS, key=len, reverse=True):
        if name.endswith(ending):
            return ending, _FORMATS[ending]
    raise BadTable(f"no format of tables is known for {os.fspath(path)!r}; it may end in {', '.join(_FORMATS)}")


def _write_text(table: Any, path: str, delimiter: str) -> None:
    columns: Mapping[str, Sequence[Any]] = table
    if hasattr(table, "colnames"):
        columns = {name: table[name].tolist() for name in table.colnames}
    elif not isinstance(table, Columns):
        same_length(table, "the table")
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(_blank(values) for values in columns.values()), strict=True))


def _blank(values: Sequence[Any]) -> Sequence[Any]:
    return ["" if value is None or value is MASKED else value for value in values]
