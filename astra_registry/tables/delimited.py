"""Tables of text between commas, tabs, semicolons or bars: read with the standard library alone."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import TextIO

from astra_registry.errors import BadTable
from astra_registry.tables.columns import Columns, Wanted, choose
from astra_registry.tables.packed import opened, unpacking

_NAME = re.compile(r"[A-Za-z_][^\s,;]*")  # of a column
_BLOCK = 512  # rows transposed together; the garbage collector makes larger blocks three times slower


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a file of text."""
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream:
        yield from read_stream(stream, wanted, rows, repr(path))


def read_stream(stream: TextIO, wanted: Wanted | None, rows: int, origin: str) -> Iterator[Columns]:
    """Yield the pieces of an open stream of text; ``origin`` names it in what is said of it."""
    try:
        with unpacking(origin):
            header, lines = _begun(stream)
            delimiter = _delimiter_of(header)
            text = itertools.chain([header], lines)
            cells = filter(None, csv.reader(text, delimiter=delimiter, skipinitialspace=True))
            names = [name.strip() for name in next(cells, [])]
            for values, size, ragged in columnwise(cells, names, choose(names, wanted, origin), rows):
                yield Columns(values, size, origin=origin, ragged=ragged)
    except UnicodeDecodeError:
        raise BadTable(f"{origin} is not a table: its text is not UTF-8") from None
    except csv.Error as error:
        raise BadTable(f"{origin} is not a table: {error}") from None


def _begun(stream: TextIO) -> tuple[str, Iterator[str]]:
    """Return the line that names the columns, and those after it.

    SkyServer's tables begin with the line "#Table1", others with comments. The last of these names the columns where
    it has as many words as the first row, which holds values then.
    """
    comment = first = ""
    for line in stream:
        if line.startswith("#"):
            comment = line.lstrip("#").strip()
        elif line.strip():
            first = line
            break
    names, cells = _cells(comment, _delimiter_of(first)), _cells(first, _delimiter_of(first))
    if len(names) == len(cells) > 1 and all(map(_NAME.fullmatch, names)) and not all(map(_NAME.fullmatch, cells)):
        return comment, itertools.chain([first], stream)
    return first, stream


def _delimiter_of(line: str) -> str:
    return next((mark for mark in ",\t;|" if mark in line), ",")


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def columnwise(
    cells: Iterator[list[str]], names: list[str], chosen: dict[str, str], rows: int
) -> Iterator[tuple[dict[str, list[str]], int, dict[int, str]]]:
    """Yield the chosen columns of rows of cells, and how many rows, for each piece of ``rows`` rows; at least one.

    A row that has not one cell for each of ``names`` has empty ones in their place; the last is what is wrong with it.
    """
    places = {name: names.index(column) for name, column in chosen.items()}
    done = False
    while True:
        values: dict[str, list[str]] = {name: [] for name in places}
        ragged: dict[int, str] = {}
        size = 0
        while size < rows:
            block = list(itertools.islice(cells, min(_BLOCK, rows - size)))
            if not block:
                break
            columns = _transposed(block, len(names), size, ragged)
            for name, place in places.items():
                values[name].extend(columns[place])
            size += len(block)
        if size or not done:
            yield values, size, ragged
        done = True
        if size < rows:
            return


def _transposed(block: list[list[str]], width: int, before: int, ragged: dict[int, str]) -> list[tuple[str, ...]]:
    try:
        columns = list(zip(*block, strict=True))
    except ValueError:
        columns = []
    if len(columns) == width:
        return columns
    for index, row in enumerate(block):
        if len(row) != width:
            ragged[before + index] = f"has {len(row)} cells, the header names {width}"
            block[index] = [""] * width
    return list(zip(*block, strict=True))
