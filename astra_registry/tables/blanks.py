"""Tables of text between blanks, whose cells are those of ECSV; nothing tells their types, and so all is text."""

from __future__ import annotations

import io
from collections.abc import Iterator

from astra_registry.tables import ecsv, whole
from astra_registry.tables.columns import Columns, Wanted
from astra_registry.tables.packed import opened


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a file that has the names of its columns in its first line that is no comment."""
    yield from _read(path, wanted, rows, is_comment=False)


def read_commented(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a file that has the names of its columns in its first line, a comment."""
    yield from _read(path, wanted, rows, is_comment=True)


def _read(path: str, wanted: Wanted | None, rows: int, *, is_comment: bool) -> Iterator[Columns]:
    from astropy.io import ascii as text

    with whole.told(path), opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
        lines = ecsv.lines_of(stream)
        names = next((line for line in lines if line.startswith("#") == is_comment), "")
        as_text = {"*": [text.convert_numpy(str)]}
        empty = text.get_reader(text.Basic, converters=as_text).read([names.lstrip("#"), ""])
        header = ecsv.Header(" ", empty.colnames, empty)
        yield from ecsv.pieces(header, lines, wanted, rows, repr(path))
