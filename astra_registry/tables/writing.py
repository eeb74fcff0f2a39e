"""Writing a table to a file of any format, so that it is there whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import Any

from astra_registry.atomic import written
from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import arrow, whole
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
    ".feather": "feather",
    ".arrow": "feather",
    ".orc": "orc",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".txt": "ascii.basic",
    ".dat": "ascii.basic",
    ".tbl": "ascii.ipac",
    ".mrt": "ascii.mrt",
    ".html": "ascii.html",
    ".tex": "ascii.latex",
    ".rst": "ascii.rst",
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
        if getattr(getattr(values, "dtype", None), "kind", "O") != "O":  # an array: no need to look at each value
            made.append((MaskedColumn if hasattr(values, "mask") else Column)(values, **told))
            continue
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

    CSV, TSV, ECSV, FITS (also ``.gz``), VOTable (``.vot``, ``.xml``), Parquet, Feather (``.feather``, ``.arrow``), ORC,
    HDF5 (``.h5``), and astropy's other formats of text: blanks between columns (``.txt``, ``.dat``), IPAC (``.tbl``),
    MRT, HTML, LaTeX, reStructuredText. A plain mapping into CSV needs no astropy. Raises `BadTable` for another name or
    what the format cannot hold, FileExistsError when the file is there and may not be overwritten.
    """
    ending, kind = format_of(path)
    with written(path, overwrite=overwrite, suffix=ending) as private:
        if kind in ("csv", "tsv"):
            _write_text(table, private, "," if kind == "csv" else "\t")
            return
        if not hasattr(table, "colnames"):
            table = as_table(table, units=units, descriptions=descriptions, meta=meta)
        if kind in ("feather", "orc"):
            arrow.write(table, private, kind)
            return
        if kind == "parquet":
            arrow.check_installed()
        options = {"serialize_meta": True, "path": "table"} if kind == "hdf5" else {}
        try:
            table.write(private, format=kind, overwrite=True, **options)
        except (ImportError, TypeError, ValueError) as error:
            raise BadTable(f"{os.fspath(path)!r} cannot be written: {' '.join(str(error).split())}") from error


def format_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the ending of a table's file, and the format that it stands for; BadTable for another name."""
    name = os.fspath(path).lower()
    for ending in sorted(_FORMATS, key=len, reverse=True):
        if name.endswith(ending):
            return ending, _FORMATS[ending]
    raise BadTable(f"no format of tables is known for {os.fspath(path)!r}; it may end in {', '.join(_FORMATS)}")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise BadTable, or MissingExtra, when no table could be written under a name: for the sake of long runs."""
    _, kind = format_of(path)
    if kind in ("parquet", "feather", "orc"):
        arrow.check_installed()
    if kind == "hdf5":
        whole.check_hdf5(path)


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
