"""What commands print: data to stdout, one a line or as JSON; tables that fit the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click


def as_json(data: Iterable[Any]) -> None:
    """Print an array; items are written as they come, so that a million of them need no memory."""
    separator = "["
    for item in data:
        click.echo(f"{separator}{json.dumps(item, ensure_ascii=False, default=str)}", nl=False)
        separator = ",\n "
    click.echo("[]" if separator == "[" else "]")


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Print rows in columns; on a terminal the widest column is cut so that a row fits a line."""
    everything = [list(header), *rows] if header else list(rows)
    if not everything:
        return
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    widest = widths.index(max(widths))
    over = sum(widths) + 2 * (len(widths) - 1) - _width()
    if over > 0:
        widths[widest] = max(20, widths[widest] - over)
    for n, row in enumerate(everything):
        cells = [cell if len(cell) <= w else cell[: w - 1] + "…" for cell, w in zip(row, widths, strict=True)]
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if header and n == 0 else line)


def _width() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
