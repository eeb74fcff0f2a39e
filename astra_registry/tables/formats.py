"""Which format a file of a table is in, told by its first bytes: names lie."""

from __future__ import annotations

import codecs
import functools
import itertools
import re
from collections.abc import Callable, Iterator

from astra_registry.errors import BadTable, FileMissing
from astra_registry.tables import arrow, blanks, delimited, ecsv, fits, ipac, votable, whole
from astra_registry.tables.columns import Columns, Wanted
from astra_registry.tables.packed import opened

_LOOKED_AT = 8192  # bytes of a file that tell its format; the names of many columns are a long line

Reader = Callable[[str, Wanted | None, int], Iterator[Columns]]


def reader_of(path: str) -> Reader:
    """Return what reads the file. Raises FileMissing when there is none, BadTable when no reader knows it."""
    try:
        with opened(path) as stream:
            start = stream.read(_LOOKED_AT)
    except FileNotFoundError:
        raise FileMissing(f"there is no table {path!r}") from None
    except IsADirectoryError:
        raise BadTable(f"{path!r} is a folder, not a table") from None
    if not start.strip():
        raise BadTable(f"{path!r} is empty")
    check_encoding(path, start)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"SIMPLE  ="):
        return fits.read
    for magic, reader in _BY_MAGIC.items():
        if start.startswith(magic):
            return reader
    if text[:14].lower().startswith((b"<!doctype html", b"<html")):
        # astropy would read its tables, and make 10 of 010.
        raise BadTable(f"{path!r} is a page of HTML; give its table as CSV, ECSV, FITS, VOTable or Parquet")
    form = _form_of_astropy(start, text)
    if form in _STREAMED:
        return _STREAMED[form]
    if form is not None:
        return functools.partial(whole.read, form)
    if b"\0" in start:
        raise BadTable(f"{path!r} is not a table: neither text nor FITS, VOTable, HDF5, Parquet, Feather or ORC")
    return delimited.read


def check_encoding(path: str, start: bytes) -> None:
    """Raise BadTable for a text that says by its first bytes that it is no UTF-8: as some spreadsheets write it."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            raise BadTable(f"{path!r} is text in {encoding}; save it as UTF-8")


# The longer ones first: two of them begin with the others.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_BY_MAGIC = {b"PAR1": arrow.parquet, b"ARROW1": arrow.feather, b"ORC": arrow.orc}
# Forms of astropy that need not be read whole.
_STREAMED: dict[str, Reader] = {
    "ascii.basic": blanks.read,
    "ascii.commented_header": blanks.read_commented,
    "ascii.ecsv": ecsv.read,
    "ascii.ipac": ipac.read,
    "votable": votable.read,
}
_BY_BEGINNING = {
    b"\x89HDF": "hdf5",
    b"# %ECSV": "ascii.ecsv",
    b"<?xml": "votable",
    b"<VOTABLE": "votable",
    b"\\begin{": "ascii.latex",
    b"\\documentclass": "ascii.latex",
    b"Title:": "ascii.mrt",
}
_TYPES_OF_IPAC = frozenset({b"int", b"integer", b"long", b"float", b"double", b"real", b"char", b"date"})


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
        # IPAC has types below its names, and rows without bars; a table of fixed width has bars everywhere.
        is_typed = all(cell.strip(b" -").lower() in _TYPES_OF_IPAC for cell in second.strip(b"| \r").split(b"|"))
        has_bars = all(line.startswith(b"|") for line in lines)
        return "ascii.fixed_width" if has_bars and not is_typed else "ascii.ipac"
    if re.fullmatch(rb"=+( +=+)*\s*", header):
        return "ascii.rst"
    if any(mark in header for mark in (b",", b"\t", b";", b"|")) or len(header.split()) < 2:
        return None
    # Columns apart by blanks; their names may stand in the last comment, and what follows is then no name.
    comments = list(itertools.takewhile(lambda line: line.startswith(b"#"), lines))
    named = comments and len(comments[-1].lstrip(b"#").split()) == len(header.split())
    is_values = any(not re.match(rb"[A-Za-z_\"]", word) for word in header.split())
    return "ascii.commented_header" if named and is_values else "ascii.basic"
