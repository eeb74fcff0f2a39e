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
    """Print rows in columns; the last column is cut to the terminal's width."""
    everything = [list(header), *rows] if header else list(rows)
    if not everything:
        return
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]) - 1)]
    room = _width() - sum(widths) - 2 * len(widths)
    for n, row in enumerate(everything):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        last = row[-1] if room < 20 or len(row[-1]) <= room else row[-1][: room - 1] + "…"
        line = "  ".join([*cells, last]).rstrip()
        click.echo(click.style(line, bold=True) if header and n == 0 else line)


def _width() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
