"""What tests of tables that stream share: drawing tables, reading in pieces, comparing exactly, measuring memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table
from hypothesis import strategies as st

from astra_registry.tables import Columns, iter_columns, read_columns

_GROWTH = """
import sys
from astra_registry.tables import iter_columns
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
short, long, *columns = sys.argv[1:]
list(iter_columns(short))
before = peak()
print(sum(part.size for part in iter_columns(long, columns=columns or None, rows=1000)), peak() - before)
"""


@st.composite
def masked_tables(
    draw: st.DrawFn,
    kinds: Mapping[str, st.SearchStrategy[Any]],
    names: Callable[[int], st.SearchStrategy[str]] = lambda number: st.just(f"c{number}"),
) -> Table:
    """Draw tables of up to four columns of some types, some of whose cells are masked."""
    size = draw(st.integers(0, 6))
    table = Table()
    for number, kind in enumerate(draw(st.lists(st.sampled_from(list(kinds)), min_size=1, max_size=4))):
        values = np.array(draw(st.lists(kinds[kind], min_size=size, max_size=size)), dtype=kind)
        mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        unit = draw(st.sampled_from([None, "d", "km / s"]))
        table[draw(names(number))] = MaskedColumn(values, mask=mask, unit=unit)
    return table


def whole(path: Path, form: str) -> Columns:
    """Return the columns that astropy reads of a whole file."""
    return read_columns(Table.read(path, format=form))


def in_pieces(path: Path, rows: int) -> dict[str, list[Any]]:
    """Return the columns of a table that is read in pieces of so many rows."""
    pieces = list(iter_columns(path, rows=rows))
    return {name: [value for piece in pieces for value in piece[name]] for name in pieces[0]}


def told(columns: Any) -> dict[str, list[tuple[type, str]]]:
    """Return columns so that nan is nan, -0.0 is not 0.0, and 1 is neither 1.0 nor True."""
    return {name: [(type(value), repr(value)) for value in column] for name, column in columns.items()}


def growth(short: Path | str, long: Path | str, *columns: str) -> tuple[int, int]:
    """Return the rows of a long table, and how many MB more it takes than a short one, in a process of its own."""
    command = [sys.executable, "-c", _GROWTH, short, long, *columns]
    rows, grown = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return rows, grown
