"""Tables in IPAC, as IRSA sends them: astropy reads the header, which tells the types; the rows stream after it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any

import attrs

from astra_registry.conversion import MASKED
from astra_registry.tables import whole
from astra_registry.tables.columns import Columns, Wanted, choose, from_object, plain
from astra_registry.tables.packed import opened


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of an IPAC table; one whose header does not tell the types of its columns is read whole."""
    with whole.told(path), opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as stream:
        lines = _lines(stream)
        header: list[str] = []
        for line in lines:
            if not line.startswith(("\\", "|")):
                lines = itertools.chain([line], lines)
                break
            header.append(line)
        if sum(map(_is_of_header, header)) > 1:  # names, and types below them
            yield from _pieces(header, lines, wanted, rows, repr(path))
            return
    yield from whole.read("ascii.ipac", path, wanted, rows)


def _lines(stream: io.TextIOWrapper) -> Iterator[str]:
    """Give the lines that say something, as astropy divides them: also where only Unicode sees the end of one."""
    for line in stream:
        yield from filter(str.strip, line.splitlines())


def _is_of_header(line: str) -> bool:
    return line.startswith("|") and line.rstrip().endswith("|")


def _pieces(
    header: list[str], lines: Iterator[str], wanted: Wanted | None, rows: int, origin: str
) -> Iterator[Columns]:
    from astropy.io import ascii as text

    reader = text.get_reader(text.Ipac, fill_values=[("", "0")])  # as astropy reads tables
    empty = reader.read(header)
    chosen = choose(empty.colnames, wanted, origin)
    told = from_object(empty, None).renamed(chosen, origin)
    column_of = dict(zip(empty.colnames, reader.cols, strict=True))
    lines = _of_rows(lines)
    part = list(itertools.islice(lines, rows))
    while True:
        values = {name: _values(column_of[column], part) for name, column in chosen.items()}
        yield attrs.evolve(told, values_by_name=values, size=len(part))
        part = list(itertools.islice(lines, rows))
        if not part:
            return


def _of_rows(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if _is_of_header(line):
            raise ValueError("a line of a header stands below the rows")
        if not line.startswith(("\\", "|")):  # which are comments
            yield line


def _values(column: Any, lines: list[str]) -> list[Any]:
    """Return the values of one of astropy's columns."""
    import numpy as np
    from astropy.io import ascii as text

    cells = [line[column.start : column.end].strip() for line in lines]
    nulls = column.fill_values  # what is null, and what astropy reads in its place
    if issubclass(column.type, text.core.StrType):  # numpy would make each as long as the longest
        return [MASKED if cell in nulls else cell.rstrip("\0 ") for cell in cells]
    numbers, _ = text.convert_numpy(float if issubclass(column.type, text.core.FloatType) else int)
    try:
        array = numbers([nulls.get(cell, cell) for cell in cells])
    except Exception as error:
        raise ValueError(f"Column {column.name} failed to convert: {error}") from error
    return plain(np.ma.MaskedArray(array, mask=[cell in nulls for cell in cells]))
