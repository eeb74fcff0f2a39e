"""One database: its engine, its transactions, and whether it is there, ours and up to date."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import Session

from astra_registry.errors import BadSetting, MissingExtra, StoreError
from astra_registry.settings.passwords import without_passwords
from astra_registry.store import migration
from astra_registry.store.failures import explain, is_transient, name_of
from astra_registry.store.schema import metadata

T = TypeVar("T")

_MODE = "astra_registry_transaction"
_CHECKED = "astra_registry_schema"
_open: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """An SQLite file or a PostgreSQL database, told by its URL.

    ``patience`` is how long, in seconds, a locked database, a restarting server or a free connection is waited for.
    """

    def __init__(self, url: str | URL, *, patience: float = 30.0) -> None:
        self.url = _understood(url)
        self.patience = patience
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = _file(self.url) if self.is_sqlite else None
        self._in_memory = self.is_sqlite and self.path is None
        self._was_there = False
        self.makes_folder = False
        # All threads share the one connection to a database in memory.
        self._gate: contextlib.AbstractContextManager[Any] = (
            threading.RLock() if self._in_memory else contextlib.nullcontext()
        )
        _open.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {name_of(self.url)}>"

    # -- engines -----------------------------------------------------------------------------------------------------

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine; made when first asked for."""
        if self.is_sqlite:
            options: dict[str, Any] = {"connect_args": {"timeout": self.patience, "check_same_thread": False}}
            if self._in_memory:
                options["poolclass"] = StaticPool
            else:
                options["pool_timeout"] = self.patience
            engine = create_engine(self.url, **options)
            path = self.path
            event.listen(engine, "connect", lambda connection, record: _sqlite_connected(connection, record, path))
            event.listen(engine, "begin", _sqlite_begin)
            event.listen(engine, "checkout", lambda connection, record, proxy: _sqlite_checked_out(record, path))
        else:
            try:
                engine = create_engine(self.url, connect_args={"connect_timeout": 10}, pool_timeout=self.patience)
            except ModuleNotFoundError:
                raise MissingExtra("a PostgreSQL database", "postgresql") from None
        # Nobody is made to close a store; its connections go with it.
        weakref.finalize(self, engine.dispose)
        return engine

    @cached_property
    def reader(self) -> Engine:
        """The same engine for reading: each statement sees what is there now, and leaves no transaction open."""
        if self.is_sqlite:
            return self.engine.execution_options(**{_MODE: "read"})
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @cached_property
    def _writer(self) -> Engine:
        return self.engine.execution_options(**{_MODE: "write"})

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    # -- transactions ------------------------------------------------------------------------------------------------

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return ``work(connection)``; of a database that is not there or has no tables yet, an empty one is read.

        Nothing is created or changed. StoreError when the database cannot be read.
        """

        def attempt() -> T:
            if self._is_absent():
                return _nothing.read(work)
            with self.reader.connect() as connection:
                # The check is remembered with the connection: a server that comes back may serve another database.
                if not connection.info.get(_CHECKED):
                    if migration.inspect_revision(connection, name_of(self.url)) is None:
                        return _nothing.read(work)
                    connection.info[_CHECKED] = True
                self._was_there = True
                return work(connection)

        return self._patiently(attempt)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return ``work(connection)``, done in one transaction, in a database that gets its tables when it has none.

        ``work`` is done again when the server asks for it or restarts, so it must begin from what it reads there.
        """

        def attempt() -> T:
            self._refuse_when_gone()
            if not self._is_absent():
                with self._writer.connect() as connection:
                    if connection.info.get(_CHECKED):
                        return self._committed(connection, work)
            self.prepare()
            with self._writer.connect() as connection:
                connection.info[_CHECKED] = True
                return self._committed(connection, work)

        return self._patiently(attempt)

    def _committed(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        with connection.begin():
            result = work(connection)
        self._was_there = True
        return result

    def prepare(self) -> None:
        """Make the tables in an empty database; do nothing to one that has them; refuse any other."""
        if self._is_absent():
            self.upgrade()
            return
        with self._writer.connect() as connection, connection.begin():
            revision = migration.inspect_revision(connection, name_of(self.url))
        if revision is None:
            self.upgrade()

    def upgrade(self) -> str:
        """Bring the schema up to date and return its revision; whatever interrupts it leaves the old one whole."""

        def attempt() -> str:
            self._refuse_when_gone()
            if self.path is not None:
                if self.makes_folder:
                    self._make_folder(os.path.dirname(self.path))
                self._use_wal()
            with self._writer.connect() as connection, connection.begin():
                return migration.upgrade(connection, name_of(self.url))

        return self._patiently(attempt)

    def _make_folder(self, folder: str) -> None:
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            reason = f"{folder!r} cannot be made ({error.strerror})"
            hint = "set ASTRA_REGISTRY_DATABASE to a database that may be written"
            raise StoreError(f"the database {name_of(self.url)} has no folder: {reason}; {hint}") from error

    def revision(self) -> str | None:
        """Return the revision of the schema, whichever it is; None of a database without tables."""

        def attempt() -> str | None:
            if self._is_absent():
                return None
            with self.reader.connect() as connection:
                return migration.revision_of(connection, name_of(self.url))

        return self._patiently(attempt)

    def check(self) -> list[str]:
        """Return what is wrong with the schema, one line each."""
        if self.revision() is None:
            return [f"the database {name_of(self.url)} has no tables yet; it gets them when it is first written to"]
        return self.read(migration.defects)

    def session(self) -> Session:
        """Return a session that reads afresh with each query, and holds neither lock nor connection in between."""
        return _FreshSession(self)

    # -- faults ------------------------------------------------------------------------------------------------------

    def _patiently(self, attempt: Callable[[], T]) -> T:
        # A server that never answered is given a short time only: its address may well be wrong.
        end = time.monotonic() + (self.patience if self._was_there else min(self.patience, 3.0))
        pause = 0.02
        while True:
            try:
                with self._gate:
                    return attempt()
            except DBAPIError as error:
                if not is_transient(error) or time.monotonic() + pause > end:
                    raise explain(error, self.url) from error
            except NoConnectionLeft as error:
                raise StoreError(
                    f"the database {name_of(self.url)} is in use by too many threads of this process at once: "
                    f"no connection became free within {self.patience:g} s"
                ) from error
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _is_absent(self) -> bool:
        if self.path is None or os.path.exists(self.path):
            return False
        self._refuse_when_gone()
        return True

    def _refuse_when_gone(self) -> None:
        if self._was_there and self.path is not None and not os.path.exists(self.path):
            raise StoreError(f"the database {name_of(self.url)} is gone: somebody removed the file while it was in use")

    # -- SQLite ------------------------------------------------------------------------------------------------------

    def _use_wal(self) -> None:
        with self._writer.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            # Not every file system can; then the older journal does, more slowly.
            with contextlib.suppress(sqlite3.OperationalError):
                driver.execute("PRAGMA journal_mode = WAL")
            _spare_waits(driver)


class _FreshSession(Session):
    """A session for one bound query: what it returns is fetched whole and belongs to nobody."""

    def __init__(self, database: Database) -> None:
        super().__init__(expire_on_commit=False, autoflush=False)
        self._database = database

    def execute(self, statement: Any, *args: Any, **options: Any) -> Any:
        """Return the result, already fetched."""
        changes = getattr(statement, "is_dml", False)

        def work(connection: Connection) -> Any:
            self.bind = connection
            try:
                result = super(_FreshSession, self).execute(statement, *args, **options)
                whole = result if changes else result.freeze()()
                self.commit()
                self.expunge_all()
            finally:
                self.close()
                self.bind = None
            return whole

        return self._database.write(work) if changes else self._database.read(work)


def _sqlite_connected(connection: sqlite3.Connection, record: Any, path: str | None) -> None:
    # The driver shall not begin transactions by itself: it would begin them too late.
    connection.isolation_level = None
    _spare_waits(connection)
    connection.execute("PRAGMA cache_size = -65536")
    record.info["file"] = _identity(path)


def _spare_waits(connection: sqlite3.Connection) -> None:
    """With a write-ahead log, do not wait for the disk each time.

    A power cut may then take the last transactions, but leaves those before whole; the older journal would risk them.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")


def _sqlite_checked_out(record: Any, path: str | None) -> None:
    # A connection to a file that was removed or replaced would write into nowhere.
    if record.info.get("file") != _identity(path):
        raise DisconnectionError


def _understood(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        given = without_passwords(str(url))
        hint = f"; for a file, write sqlite:///{os.path.abspath(given)}" if "://" not in given else ""
        raise BadSetting(f"{given!r} is not the URL of a database{hint}") from None
    if "@" in (parsed.host or ""):
        given = without_passwords(str(url))
        raise BadSetting(f"{given!r} is not the URL of a database; an @ in a password is written %40")
    if parsed.drivername in ("postgres", "postgresql"):
        # SQLAlchemy's own choice of a driver is one that we do not ask for.
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        backend = parsed.get_backend_name()
        parsed.get_dialect()
    except NoSuchModuleError:
        backend = ""
    if backend not in ("sqlite", "postgresql"):
        raise BadSetting(f"a database of the kind {parsed.drivername!r} cannot keep tasks; use sqlite or postgresql")
    return parsed


def _file(url: URL) -> str | None:
    name = url.database or ""
    if name.startswith("file:"):
        name = name.removeprefix("file:").partition("?")[0]
        if url.query.get("mode") == "memory":
            return None
    return None if name in ("", ":memory:") else os.path.abspath(name)


def _identity(path: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(path) if path is not None else None
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def _sqlite_begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_MODE)
    if mode == "read":
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    # A transaction that will write must say so at once: one that changes its mind may find that it cannot.
    statement = "BEGIN IMMEDIATE" if mode == "write" else "BEGIN"
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=connection.dialect) from error


class _Nothing:
    """An empty database in memory, which stands for one that is not there yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @cached_property
    def _engine(self) -> Engine:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        metadata.create_all(engine)
        return engine

    def read(self, work: Callable[[Connection], T]) -> T:
        with self._lock, self._engine.connect() as connection:
            return work(connection)


_nothing = _Nothing()


def _forget_connections() -> None:
    # After a fork, parent and child must not talk over the same connection.
    for database in list(_open):
        if "engine" in database.__dict__:
            database.engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
