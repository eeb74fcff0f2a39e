"""What commands print: data to stdout, one a line or as JSON; tables that fit the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from astra_registry.paths.quoting import is_text

JSON = click.option("--json", "in_json", is_flag=True, help="As a JSON array.")
NARROWEST = 12  # characters of a column, when a terminal is narrow


def in_one_line(message: object) -> str:
    """Return a message as one line that a terminal shows as it is: a path that it names may hold anything."""
    text = str(message)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_json(data: Iterable[Any]) -> None:
    """Print an array; items are written as they come, so that a million of them need no memory."""
    separator = "["
    for item in data:
        text = json.dumps(item, ensure_ascii=False, default=str)
        if not is_text(text):  # the name of a file that is none: JSON's escapes keep it
            text = json.dumps(item, default=str)
        click.echo(f"{separator}{text}", nl=False)
        separator = ",\n "
    click.echo("[]" if separator == "[" else "]")


def table(
    rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, cut: Sequence[Sequence[int]] | None = None
) -> None:
    """Print rows in columns; on a terminal the widest are cut so that a row fits a line.

    *cut* are the columns that may be cut, in groups, one after the other; by default all may be.
    """
    everything = [list(header), *rows] if header else list(rows)
    if not everything:
        return
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    groups = [range(len(widths))] if cut is None else cut
    for _ in range(sum(widths) + 2 * (len(widths) - 1) - _width()):
        wide = next((wide for group in groups if (wide := [n for n in group if widths[n] > NARROWEST])), None)
        if wide is None:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
    for n, row in enumerate(everything):
        cells = [cell if len(cell) <= w else cell[: w - 1] + "…" for cell, w in zip(row, widths, strict=True)]
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if header and n == 0 else line)


def _width() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
