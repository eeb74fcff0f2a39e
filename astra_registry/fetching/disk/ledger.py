"""What is known of the files on this disk: which were found whole, and their sha1.

A file is walked to its last block once; afterwards its size and times tell that it is the same, so that a run with
nothing to do costs a stat and a look-up a file. The ledger is a cache in the user's own folder (an archive is often
read-only, and shared): without it everything works, only slower. That is why each error of its database means: unknown.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping

from astra_registry.fetching.disk.entries import Entry
from astra_registry.paths.quoting import is_text

_SCHEMA = """CREATE TABLE IF NOT EXISTS whole (
    path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, sha1 TEXT, etag TEXT, url TEXT
) WITHOUT ROWID"""
_WRITE_EVERY = 1.0  # seconds
_WRITE_AT = 500  # rows
_LATEST = (1 << 63) - 1  # nanoseconds since 1970, in the year 2262: SQLite has no larger numbers


class Ledger:
    """The entries by path; used by one thread at a time."""

    def __init__(self, file: str | None = None) -> None:
        self._waiting: list[Entry] = []
        self._written = time.monotonic()
        self._database: sqlite3.Connection | None = None
        try:
            if file is None:
                import platformdirs

                folder = platformdirs.user_cache_path("astra-registry", appauthor=False)
                os.makedirs(folder, exist_ok=True)
                file = os.path.join(folder, "whole-1.sqlite")
            self._database = sqlite3.connect(file, timeout=2.0, check_same_thread=False)
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_SCHEMA)
            self._database.commit()
        except (OSError, sqlite3.Error, RuntimeError):  # platformdirs raises that when there is no home
            self._forsake()

    def _forsake(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def known(self, paths: Iterable[str]) -> Mapping[str, Entry]:
        """Return the entries of some files (at most 500 at a time), by absolute path."""
        if self._database is None:
            return {}
        wanted = [path for path in paths if is_text(path)]
        marks = ",".join("?" * len(wanted))
        try:
            rows = self._database.execute(
                f"SELECT path, size, mtime, ctime, sha1, etag, url FROM whole WHERE path IN ({marks})",  # noqa: S608
                wanted,
            ).fetchall()
        except sqlite3.Error:
            return {}
        return {row[0]: Entry(*row) for row in rows}

    def remember(self, entry: Entry) -> None:
        """Note that a file is whole; written with others, soon. What the database cannot hold stays unknown."""
        if not is_text(entry.path) or not all(abs(at) <= _LATEST for at in (entry.mtime, entry.ctime)):
            return
        self._waiting.append(entry)
        if len(self._waiting) >= _WRITE_AT or time.monotonic() - self._written > _WRITE_EVERY:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        self._written = time.monotonic()
        if self._database is None or not waiting:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO whole VALUES (?,?,?,?,?,?,?)", waiting)
        except (sqlite3.Error, UnicodeError):
            with contextlib.suppress(sqlite3.Error):
                self._database.rollback()

    def close(self) -> None:
        """Write what waits, and close the database."""
        self.write()
        self._forsake()
