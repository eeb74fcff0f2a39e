"""What came of a run, kept on disk while it runs: for a report and a lock file of any length."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from astra_registry.fetching import report
from astra_registry.tables.streamed import Form, write_streamed

COLUMNS: Mapping[str, type] = {name: kind for name, (kind, _, _) in report.COLUMNS.items()}
_ALWAYS = frozenset({"status", "seconds", "attempts"})
_TOGETHER = 500  # rows written at once


class Spool:
    """Rows on disk, in a database without a name that is gone when it is closed."""

    def __init__(self, *columns: str) -> None:
        self._database = sqlite3.connect("")
        self._database.execute(f"CREATE TABLE spool ({', '.join(columns)})")
        self._insert = f"INSERT INTO spool VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 -- names of ours
        self._waiting: list[tuple[Any, ...]] = []
        self.count = 0

    def add(self, row: tuple[Any, ...]) -> None:
        """Put a row at the end."""
        self._waiting.append(row)
        self.count += 1
        if len(self._waiting) >= _TOGETHER:
            self._write()

    def _write(self) -> None:
        self._database.executemany(self._insert, self._waiting)
        self._waiting.clear()

    def rows(self, order: str = "rowid") -> Iterator[tuple[Any, ...]]:
        """Give the rows, in the order in which they came or that of a column."""
        self._write()
        yield from self._database.execute(f"SELECT * FROM spool ORDER BY {order}")  # noqa: S608

    def close(self) -> None:
        """Forget them."""
        self._database.close()


class Kept:
    """The results of a run, for a report."""

    def __init__(self) -> None:
        self._spool = Spool(*COLUMNS)
        self._widths = dict.fromkeys((name for name, kind in COLUMNS.items() if kind is str), 0)

    def add(self, told: Mapping[str, Any]) -> None:
        """Keep one, as a mapping of at least `COLUMNS`."""
        row = tuple(_storable(told[name]) for name in COLUMNS)
        for name, value in zip(COLUMNS, row, strict=True):
            if isinstance(value, str) and len(value) > self._widths[name]:
                self._widths[name] = len(value)
        self._spool.add(row)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write them as a table in the format that the file's name says."""
        form = Form(
            columns=COLUMNS,
            optional=COLUMNS.keys() - _ALWAYS,
            widths=self._widths,
            units={name: unit for name, (_, unit, _) in report.COLUMNS.items() if unit},
            descriptions={name: description for name, (_, _, description) in report.COLUMNS.items()},
        )
        write_streamed(path, form, self._spool.rows(), self._spool.count)

    def close(self) -> None:
        """Forget them."""
        self._spool.close()


def _storable(value: Any) -> Any:
    # A name of a file that is not text, as the file system has it, cannot be written to a table as it is.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
