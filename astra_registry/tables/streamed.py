"""Writing tables that are too long for memory: a table of one row shows a format's form, and the rows follow.

The form is astropy's own, so that whatever reads its tables reads these.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO, cast

import attrs

from astra_registry.atomic import written
from astra_registry.tables import arrow
from astra_registry.tables.writing import format_of, write_table

_CHUNK = 5000  # rows
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TO_QUOTE = re.compile(r'[\s"]')

Row = Sequence[Any]


@attrs.frozen(kw_only=True)
class Form:
    """The columns of a table (name → str, int or float), which of them may be empty (None), and the longest texts."""

    columns: Mapping[str, type]
    optional: Collection[str] = ()
    widths: Mapping[str, int] = attrs.field(factory=dict)  # bytes, as `in_ascii` writes them
    units: Mapping[str, str] = attrs.field(factory=dict)
    descriptions: Mapping[str, str] = attrs.field(factory=dict)

    def sample(self) -> Any:
        """Return an astropy Table of this form with one row, in which everything is masked that may be."""
        from astropy.table import Column, MaskedColumn, Table

        values = {str: "", int: -1, float: float("nan")}
        made: dict[str, Any] = {}
        for name, kind in self.columns.items():
            value = "x" * max(1, self.widths.get(name, 1)) if kind is str else values[kind]
            # An int that stands for "none" may be no number that occurs; astropy's own is 999999.
            fill = {"fill_value": -1} if kind is int else {}
            told = {"unit": self.units.get(name), "description": self.descriptions.get(name)}
            optional = name in self.optional
            made[name] = MaskedColumn([value], mask=[True], **fill, **told) if optional else Column([value], **told)
        return Table(made)


def write_streamed(path: str | os.PathLike[str], form: Form, rows: Iterable[Row], count: int) -> None:
    """Write ``count`` rows of values in the order of the form's columns, atomically, over what is there.

    The format is what the file's name says, as in `write_table`, and some of those take all rows into memory; BadTable
    for a name that says nothing.
    """
    ending, kind = format_of(path)
    if kind not in _WRITERS:  # a format that is made of whole columns
        columns = (
            dict(zip(form.columns, zip(*rows, strict=True), strict=True)) if count else dict.fromkeys(form.columns, ())
        )
        write_table(columns, path, units=form.units, descriptions=form.descriptions, overwrite=True)
        return
    with written(path, overwrite=True, suffix=ending) as private:
        _WRITERS[kind](private, form, iter(rows), count)


def in_ascii(text: str) -> bytes:
    """Return a text as FITS can hold it, with Python's escapes for what is not ASCII: nothing of it is lost."""
    return text.encode("unicode_escape")


def _csv(path: str, form: Form, rows: Iterator[Row], count: int, delimiter: str = ",") -> None:
    with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(form.columns)
        writer.writerows(rows)


def _tsv(path: str, form: Form, rows: Iterator[Row], count: int) -> None:
    _csv(path, form, rows, count, "\t")


def _ecsv(path: str, form: Form, rows: Iterator[Row], count: int) -> None:
    sample = io.StringIO()
    form.sample().write(sample, format="ascii.ecsv")
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.writelines(sample.getvalue().splitlines(keepends=True)[:-1])
        for row in rows:
            stream.write(" ".join(map(_ecsv_cell, row)) + "\n")


def _ecsv_cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if not text or _TO_QUOTE.search(text) else text


def _fits(path: str, form: Form, rows: Iterator[Row], count: int) -> None:
    import numpy as np
    from astropy.io import fits

    sample = io.BytesIO()
    form.sample().write(sample, format="fits")
    sample.seek(0)
    with fits.open(sample) as hdus:
        head = sample.getvalue()[: hdus[1].fileinfo()["hdrLoc"]]
        header = hdus[1].header.copy()
        kinds = hdus[1].data.dtype.newbyteorder(">")
    header["NAXIS2"] = count
    empty = [{str: b"", int: -1, float: float("nan")}[kind] for kind in form.columns.values()]

    def cell(value: Any, blank: Any) -> Any:
        return in_ascii(value) if isinstance(value, str) else blank if value is None else value

    with (gzip.open if path.endswith(".gz") else open)(path, "wb") as opened:
        stream = cast(BinaryIO, opened)
        stream.write(head + header.tostring().encode("ascii"))
        for chunk in _chunks(rows):
            stream.write(np.array([tuple(map(cell, row, empty)) for row in chunk], dtype=kinds).tobytes())
        stream.write(b"\0" * (-count * kinds.itemsize % 2880))


def _parquet(path: str, form: Form, rows: Iterator[Row], count: int) -> None:
    arrow.check_installed()
    import pyarrow as pa
    from pyarrow import parquet

    form.sample().write(path, format="parquet", overwrite=True)
    schema = parquet.read_schema(path)
    blank = {name: "" if kind is str else 0 for name, kind in form.columns.items()}
    with parquet.ParquetWriter(path, schema) as writer:
        for chunk in _chunks(rows):
            told = dict(zip(form.columns, zip(*chunk, strict=True), strict=True))
            columns: dict[str, Any] = {}
            for name in schema.names:
                column = told[name.removesuffix(".mask")]
                if name not in told:
                    columns[name] = [value is None for value in column]
                else:
                    columns[name] = [blank[name] if value is None else value for value in column]
            writer.write_table(pa.table(columns, schema=schema))


def _votable(path: str, form: Form, rows: Iterator[Row], count: int) -> None:
    sample = io.BytesIO()
    form.sample().write(sample, format="votable")
    before, _, rest = sample.getvalue().decode().partition("     <TR>\n")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(before)
        for row in rows:
            stream.write("     <TR>" + "".join(map(_votable_cell, row)) + "</TR>\n")
        stream.write(rest.partition("</TR>\n")[2])


def _votable_cell(value: Any) -> str:
    from xml.sax.saxutils import escape

    return "<TD/>" if value in (None, "") else f"<TD>{escape(_NO_XML.sub(chr(0xFFFD), str(value)))}</TD>"


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


_Writer = Callable[[str, Form, Iterator[Row], int], None]
_WRITERS: dict[str, _Writer] = {
    "csv": _csv,
    "tsv": _tsv,
    "ascii.ecsv": _ecsv,
    "fits": _fits,
    "votable": _votable,
    "parquet": _parquet,
}
