"""Reading a table from a file, by what the file holds: CSV, FITS, Parquet or another, whole or by chunks."""

from __future__ import annotations

import contextlib
import csv
import functools
import gzip
import itertools
import mmap
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any, TextIO, cast

from astra_registry.errors import BadTable, FileMissing
from astra_registry.tables import arrow
from astra_registry.tables.columns import Columns, Wanted, choose, from_object, plain

CHUNK = 65536  # rows turned into Python values at once; more is not faster
_FITS_BYTES = 1 << 24  # of a FITS table read at once: rows may be wide
_LOOKED_AT = 8192  # bytes of a file that tell its format; the names of many columns are a long line
_BLOCK = 512  # rows of CSV transposed together; the garbage collector makes larger blocks three times slower


def read_columns(source: Any, *, columns: Wanted | None = None) -> Columns:
    """Return the columns of a table: one in memory, a file of one, or an open text stream of CSV.

    ``columns`` names the columns to read (in any case; one that is missing is a `BadTable`), or maps names to their
    aliases: then the result bears those names, without the ones that the table does not have (see `match_columns`).
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
    return Columns(values, size, first.units, first.descriptions, first.origin)


def iter_columns(source: Any, *, columns: Wanted | None = None, rows: int = CHUNK) -> Generator[Columns]:
    """Yield the table of `read_columns` in pieces of ``rows`` rows, at least one piece.

    CSV, FITS and Parquet are streamed: a piece is in memory at a time.
    """
    if not _is_file(source):
        yield from _sliced(from_object(source, columns), rows)
    elif hasattr(source, "readline"):
        yield from _csv_stream(source, columns, rows, str(getattr(source, "name", "the stream")))
    else:
        path = os.fspath(source)
        yield from _reader(path)(path, columns, rows)


def column_names(source: Any) -> list[str]:
    """Return the names of a table's columns, in its order; of a large file only the beginning is read."""
    with contextlib.closing(iter_columns(source, rows=1)) as chunks:
        return list(next(chunks))


def _is_file(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "readline")


def _sliced(table: Columns, rows: int) -> Iterator[Columns]:
    for start in range(0, max(table.size, 1), rows):
        part = {name: column[start : start + rows] for name, column in table.items()}
        yield Columns(part, min(rows, table.size - start), table.units, table.descriptions, table.origin)


_Reader = Callable[[str, Wanted | None, int], Iterator[Columns]]


def _reader(path: str) -> _Reader:
    """Return what reads the file, told by its first bytes: names lie."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(_LOOKED_AT)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(path) as unpacked:
                start = unpacked.read(_LOOKED_AT)
    except FileNotFoundError:
        raise FileMissing(f"there is no table {path!r}") from None
    except IsADirectoryError:
        raise BadTable(f"{path!r} is a folder, not a table") from None
    except (EOFError, gzip.BadGzipFile):
        raise BadTable(f"{path!r} is cut off or damaged: it does not unpack") from None
    if not start.strip():
        raise BadTable(f"{path!r} is empty")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"SIMPLE  ="):
        return _fits
    for magic, reader in _BY_MAGIC.items():
        if start.startswith(magic):
            return reader
    if text[:14].lower().startswith((b"<!doctype html", b"<html")):
        # astropy would read its tables, and make 10 of 010.
        raise BadTable(f"{path!r} is a page of HTML; give its table as CSV, ECSV, FITS, VOTable or Parquet")
    form = _form_of_astropy(start, text)
    if form is not None:
        return functools.partial(_through_astropy, form)
    if b"\0" in start:
        raise BadTable(f"{path!r} is not a table: neither text nor FITS, VOTable, HDF5, Parquet, Feather or ORC")
    return _csv


_BY_MAGIC = {b"PAR1": arrow.parquet, b"ARROW1": arrow.feather, b"ORC": arrow.orc}
_BY_BEGINNING = {
    b"\x89HDF": "hdf5",
    b"# %ECSV": "ascii.ecsv",
    b"<?xml": "votable",
    b"<VOTABLE": "votable",
    b"\\begin{": "ascii.latex",
    b"\\documentclass": "ascii.latex",
    b"Title:": "ascii.mrt",
}


def _form_of_astropy(start: bytes, text: bytes) -> str | None:
    """Return astropy's name of the format that a file's first bytes tell; None for CSV and what is none of them."""
    for beginning, form in _BY_BEGINNING.items():
        if start.startswith(beginning) or text[: len(beginning)].lower() == beginning.lower():
            return form
    if b"\0" in start:
        return None
    lines = [line for line in text.split(b"\n")[:-1] if line.strip()]
    rows = (line for line in lines if not line.startswith(b"#"))
    header, second = next(rows, b""), next(rows, b"")
    if re.fullmatch(rb"\d*[NS](\t\d*[NS])+\s*", second):
        return "ascii.rdb"
    if re.fullmatch(rb"-+( +-+)*\s*", second):
        return "ascii.fixed_width_two_line"
    if header.startswith((b"|", b"\\")):
        # IPAC has rows without bars below its header, a table of fixed width has bars everywhere.
        return "ascii.fixed_width" if all(line.startswith(b"|") for line in lines) else "ascii.ipac"
    if re.fullmatch(rb"=+( +=+)*\s*", header):
        return "ascii.rst"
    if any(mark in header for mark in (b",", b"\t", b";", b"|")) or len(header.split()) < 2:
        return None
    # Columns apart by blanks; their names may stand in the last comment, and what follows is then no name.
    comments = list(itertools.takewhile(lambda line: line.startswith(b"#"), lines))
    named = comments and len(comments[-1].lstrip(b"#").split()) == len(header.split())
    is_values = any(not re.match(rb"[A-Za-z_\"]", word) for word in header.split())
    return "ascii.commented_header" if named and is_values else "ascii.basic"


# --- CSV: no astropy ---------------------------------------------------------------------------------------------


def _csv(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    with open(path, "rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    opened = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        yield from _csv_stream(cast(TextIO, stream), wanted, rows, repr(path))


def _csv_stream(stream: TextIO, wanted: Wanted | None, rows: int, origin: str) -> Iterator[Columns]:
    try:
        # SkyServer's tables begin with the line "#Table1"; others with comments.
        lines = itertools.dropwhile(lambda line: line.startswith("#") or not line.strip(), stream)
        header = next(lines, "")
        delimiter = next((mark for mark in ",\t;|" if mark in header), ",")
        reader = filter(None, csv.reader(itertools.chain([header], lines), delimiter=delimiter, skipinitialspace=True))
        names = [name.strip() for name in next(reader, [])]
        chosen = choose(names, wanted, origin)
        places = {name: names.index(column) for name, column in chosen.items()}
        done = 0
        while True:
            values: dict[str, list[str]] = {name: [] for name in places}
            size = 0
            while size < rows:
                block = list(itertools.islice(reader, min(_BLOCK, rows - size)))
                if not block:
                    break
                columns = _transposed(block, len(names), done + size, origin)
                for name, place in places.items():
                    values[name].extend(columns[place])
                size += len(block)
            if size or not done:
                yield Columns(values, size, origin=origin)
            done += size
            if size < rows:
                return
    except UnicodeDecodeError:
        raise BadTable(f"{origin} is not a table: its text is not UTF-8") from None
    except (EOFError, gzip.BadGzipFile):
        raise BadTable(f"{origin} is cut off or damaged: it does not unpack") from None
    except csv.Error as error:
        raise BadTable(f"{origin} is not a table: {error}") from None


def _transposed(block: list[list[str]], width: int, before: int, origin: str) -> list[tuple[str, ...]]:
    try:
        columns = list(zip(*block, strict=True))
    except ValueError:
        columns = []
    if len(columns) != width:
        bad = next(index for index, row in enumerate(block) if len(row) != width)
        raise BadTable(f"row {before + bad + 1} of {origin} has {len(block[bad])} cells, the header names {width}")
    return columns


# --- FITS --------------------------------------------------------------------------------------------------------


def _fits(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    from astropy.io import fits

    origin = repr(path)
    try:
        with fits.open(path, memmap=not path.endswith(".gz")) as hdus:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="File may have been truncated")
                table = next((hdu for hdu in hdus if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))), None)
            if table is None:
                raise BadTable(f"{origin} holds no table, only images")  # noqa: TRY301
            chosen = choose(table.columns.names, wanted, origin)
            units = {name: table.columns[column].unit for name, column in chosen.items() if table.columns[column].unit}
            told = {
                name: table.header.comments[f"TTYPE{1 + table.columns.names.index(column)}"]
                for name, column in chosen.items()
            }
            told = {name: text for name, text in told.items() if text}
            told |= _fits_descriptions(table.header, chosen)
            size = int(table.header["NAXIS2"])
            rows = max(1, min(rows, _FITS_BYTES // max(1, int(table.header["NAXIS1"]))))
            try:
                for start in range(0, max(size, 1), rows):
                    values = {}
                    if size:
                        part = table.data[start : start + rows]
                        values = {name: _fits_column(table, part, column) for name, column in chosen.items()}
                        _let_go(part)
                    yield Columns(
                        {name: values.get(name, []) for name in chosen}, min(rows, size - start), units, told, origin
                    )
            finally:
                # Else astropy copies every column of the file into memory when it closes it.
                for column in table.columns:
                    column.array = None
    except BadTable:
        raise
    except (OSError, EOFError, TypeError, ValueError, Warning) as error:
        raise BadTable(f"{origin} cannot be read as a FITS table: {error}") from error


def _let_go(part: Any) -> None:
    """Give back the memory of a file's pages that were looked at; a long table would keep all of its own."""
    base = part
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None) if not isinstance(base, memoryview) else base.obj
    if base is not None and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def _fits_descriptions(header: Any, chosen: dict[str, str]) -> dict[str, str]:
    """Return the descriptions that astropy writes: as the YAML of an ECSV header, in comments."""
    lines = [str(line) for line in header.get("COMMENT", ())]
    try:
        start, stop = (lines.index(f"--{word}-ASTROPY-SERIALIZED-COLUMNS--") for word in ("BEGIN", "END"))
    except ValueError:
        return {}
    from astropy.table import meta

    # A line that is too long for a card goes on in the next one.
    yaml = "\n".join(lines[start + 1 : stop]).replace("\\\n", "").split("\n")
    columns = {column["name"]: column for column in meta.get_header_from_yaml(yaml)["datatype"]}
    return {name: columns[c]["description"] for name, c in chosen.items() if columns.get(c, {}).get("description")}


def _fits_column(table: Any, part: Any, name: str) -> list[Any]:
    import numpy as np

    raw = part.view(np.ndarray)[name] if name in (part.dtype.names or ()) else None
    if raw is not None and raw.dtype.kind == "S":
        return plain(raw)  # astropy's own view of text strips each cell in Python
    column = table.columns[name]
    # An integer that stands for "no value" is compared before astropy scales the numbers.
    if column.null is not None and raw is not None and raw.dtype.kind in "iu":
        return plain(np.ma.MaskedArray(np.asarray(part.field(name)), mask=raw == int(column.null)))
    return plain(np.asarray(part.field(name)))


# --- the others --------------------------------------------------------------------------------------------------


# Formats that do not tell the types of their columns: all is text there, as in CSV, so that 010 stays 010.
_UNTYPED = frozenset({"latex", "rst", "fixed_width", "basic", "commented_header"})


def _through_astropy(form: str, path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    from astropy.io import ascii as text
    from astropy.table import Table

    options = {}
    if form.removeprefix("ascii.") in _UNTYPED:
        options = {"converters": {"*": [text.convert_numpy(str)]}, "guess": False}
    try:
        table = Table.read(path, format=form, **options)
    except Exception as error:  # its parsers raise every kind of exception
        raise BadTable(f"{path!r} cannot be read as a table: {' '.join(str(error).split())}") from error
    whole = from_object(table, wanted)
    yield from _sliced(Columns(whole, whole.size, whole.units, whole.descriptions, repr(path)), rows)
