"""What came of a run, kept on disk while it runs: for a report and a lock file of any length."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from astra_registry.fetching import report
from astra_registry.tables.streamed import Form, in_ascii, write_streamed

_TOLD = {
    **report.COLUMNS,
    report.SAME_AS: (int, None, "The row that asked for the same file before this one, and had it fetched."),
}
COLUMNS: Mapping[str, type] = {name: kind for name, (kind, _, _) in _TOLD.items()}
_ALWAYS = frozenset({"status", "seconds", "attempts"})
# A double is kept as a row without a status: in the end that of its file, which after an interrupt may have none.
_OTHERWISE = {
    **{name: f"double.{name}" for name in ("row", "product", "release")},
    "seconds": "0.0",
    "attempts": "0",
    report.SAME_AS: "file.row",
}
_DOUBLES = (
    f"SELECT {', '.join(_OTHERWISE.get(name, f'file.{name}') for name in COLUMNS)} FROM spool AS double "  # noqa: S608
    "JOIN spool AS file ON file.path = double.path AND file.status IS NOT NULL WHERE double.status IS NULL"
)
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

    def rows(self, order: str) -> Iterator[tuple[Any, ...]]:
        """Give the rows in the order of a column."""
        yield from self.answer(f"SELECT * FROM spool ORDER BY {order}")  # noqa: S608

    def answer(self, question: str) -> Iterator[tuple[Any, ...]]:
        """Give what SQL tells of the table ``spool``."""
        self._write()
        yield from self._database.execute(question)

    def close(self) -> None:
        """Forget them."""
        self._database.close()


class Kept:
    """The results of a run, for a report: a line for each row that asked for a file, in their order."""

    def __init__(self) -> None:
        self._spool = Spool(*COLUMNS)
        self._doubles = 0
        self._widths = dict.fromkeys((name for name, kind in COLUMNS.items() if kind is str), 0)

    def add(self, told: Mapping[str, Any]) -> None:
        """Keep one, as a mapping of at least what `report.COLUMNS` names."""
        self._keep({name: told[name] for name in report.COLUMNS})

    def add_double(self, row: int | None, product: str | None, release: str | None, path: str) -> None:
        """Keep that a row asks for a file that another one has asked for; its line tells what came of that."""
        self._doubles += 1
        self._keep({"row": row, "product": product, "release": release, "path": path})

    def _keep(self, told: Mapping[str, Any]) -> None:
        row = tuple(_storable(told.get(name)) for name in COLUMNS)
        for name, value in zip(COLUMNS, row, strict=True):
            if isinstance(value, str) and (width := len(in_ascii(value))) > self._widths[name]:
                self._widths[name] = width
        self._spool.add(row)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write them as a table in the format that the file's name says."""
        form = Form(
            columns=COLUMNS,
            optional=COLUMNS.keys() - _ALWAYS,
            widths=self._widths,
            units={name: unit for name, (_, unit, _) in _TOLD.items() if unit},
            descriptions={name: description for name, (_, _, description) in _TOLD.items()},
        )
        lines, doubles = "SELECT * FROM spool", 0
        if self._doubles:
            list(self._spool.answer("CREATE INDEX files ON spool (path) WHERE status IS NOT NULL"))
            ((doubles,),) = self._spool.answer(f"SELECT count(*) FROM ({_DOUBLES})")  # noqa: S608
            lines = f"SELECT * FROM spool WHERE status IS NOT NULL UNION ALL {_DOUBLES}"  # noqa: S608
        count = self._spool.count - self._doubles + doubles
        write_streamed(path, form, self._spool.answer(f"{lines} ORDER BY row"), count)

    def close(self) -> None:
        """Forget them."""
        self._spool.close()


def _storable(value: Any) -> Any:
    # A name of a file that is not text, as the file system has it, cannot be written to a table as it is.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
