"""The store of tasks and their states: one object for one database, shared by all who work at the same tasks."""

from __future__ import annotations

import functools
import json
import os
import weakref
from collections.abc import Iterable, Mapping
from numbers import Real
from types import TracebackType
from typing import Any

from sqlalchemy import URL, Connection, Engine, Select, select
from sqlalchemy.orm import Query

from astra_registry.errors import InvalidParameter, StoreError
from astra_registry.store import changes, columns, deletions, recording
from astra_registry.store.claims import Among, Claims
from astra_registry.store.database import Database
from astra_registry.store.failures import shown
from astra_registry.store.inquiry import Inquiry, id_of
from astra_registry.store.model import TaskState
from astra_registry.store.record import Record, find_class
from astra_registry.store.schema import task
from astra_registry.store.states import Status, as_status

_open: weakref.WeakSet[StateStore] = weakref.WeakSet()


class StateStore(Inquiry):
    """Tasks, batches and their states in one database: ``sqlite:///FILE`` or ``postgresql+psycopg://…``.

    An empty database gets its tables with the first write; reading never creates anything, and finds nothing there.
    ``patience`` is how long, in seconds, a locked database or a restarting server is waited for. Every method raises
    StoreError when the database cannot be used, SchemaMismatch when its schema is another's.
    """

    def __init__(self, url: str | URL, *, patience: float = 30.0) -> None:
        self.database = Database(url, patience=patience)
        self._claims = Claims(self.database)
        _open.add(self)

    @classmethod
    def default(cls) -> StateStore:
        """Return the store of the settings; the same object as long as they stay the same."""
        from astra_registry.settings import setting

        return _default(str(setting("database")))

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine of the database."""
        return self.database.engine

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return shown(self.database.url)

    def __repr__(self) -> str:
        return f"<StateStore {self.url}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.database.url.render_as_string(hide_password=False), self.database.patience)

    def close(self) -> None:
        """Close the connections and give back what is claimed and still runs; the next use opens the store again."""
        try:
            self._claims.give_up()
        finally:
            self.database.close()

    def __enter__(self) -> StateStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- rows --------------------------------------------------------------------------------------------------------

    def create(self, item: Record) -> TaskState:
        """Record a task, or a batch with its members in order, unless they are there; return its row.

        The number of statements does not depend on the size, but for one more each few thousand members on SQLite.
        """
        return self.get_or_create(item)[0]

    def create_all(self, items: Iterable[Record]) -> None:
        """Record many tasks at once."""
        items = list(items)
        self.database.write(lambda connection: recording.record_many(connection, items))
        if len(items) >= recording.MANY:
            self.database.write(recording.take_stock)

    def get_or_create(
        self, item: Record, defaults: Mapping[str, object] | None = None, *, members: bool = True
    ) -> tuple[TaskState, bool]:
        """Return the task's row, and whether it was made just now, then with the values of ``defaults``."""
        values = columns.checked(defaults or {})
        _, created = self.database.write(lambda connection: recording.record(connection, item, values, members=members))
        if created and members and item.get_batch_size() >= recording.MANY:
            self.database.write(recording.take_stock)
        return self.query(item).one(), created

    def query(self, item: Record | str) -> Query[TaskState]:
        """Return the query for the task's row; it reads afresh whenever it is used, and holds no lock in between."""
        return self.query_parts(item)[0]

    def query_parts(self, item: Record | str) -> tuple[Query[TaskState], type[TaskState], dict[str, Any]]:
        """Return the query for the task's row, the model that it is about, and the filter's keywords."""
        keywords = {"task_id": id_of(item)}
        return self.session_query().filter_by(**keywords), TaskState, keywords

    def session_query(self) -> Query[TaskState]:
        """Return a query for all rows, to be filtered as SQLAlchemy does."""
        return self.database.session().query(TaskState)

    def update(self, item: Record | str, state: Mapping[str, object], *, cascade: bool = False) -> int:
        """Set columns of the task's row, with ``cascade`` of a batch and of its members; return the number of rows.

        IllegalMove when one of them may not get that state; then none has changed. UnknownTask when there is no row,
        UnknownParameter for an unknown column, InvalidParameter for a value that cannot be.
        """
        values = columns.checked(state)
        return self.database.write(
            lambda connection: changes.update_row(connection, id_of(item), values, cascade=cascade)
        )

    def delete(self, item: Record | str, *, cascade: bool = False) -> int:
        """Delete the task's row with its links and events, with ``cascade`` also the members that no other batch has.

        Returns the number of rows that went; 0 when there was none.
        """
        return self.database.write(lambda connection: deletions.delete_rows(connection, [id_of(item)], cascade=cascade))

    def data_products(self, product: str, release: str, rows: Iterable[tuple[str, str]]) -> tuple[int, ...]:
        """Return the keys of data products, made if need be, for rows of (identity, parameters as JSON).

        The identity is what tells one data product from all others, whatever their product and release.
        """
        rows = list(rows)
        return self.database.write(lambda connection: recording.data_product_keys(connection, product, release, rows))

    # -- moves -------------------------------------------------------------------------------------------------------

    def start(self, item: Record) -> None:
        """Put the task, its row made if need be, into the running state, count the attempt; a batch with members.

        IllegalMove when another process has claimed it.
        """

        def work(connection: Connection) -> None:
            changes.start(connection, _row(connection, item), item.task_id)

        self.database.write(work)

    def finish(
        self,
        item: Record | str,
        status: Status | int | str,
        error: BaseException | str | None = None,
        *,
        duration: float | None = None,
    ) -> None:
        """Put the task into a state in which nobody works at it; of a batch, the members that are not there already.

        ``error`` is kept with its type and traceback, ``duration`` in seconds. IllegalMove when the move is not in the
        table, or when the task is another process's by now.
        """
        self._settle(item, status, error, {} if duration is None else {"duration": duration}, guarded=True)

    def settle(
        self,
        item: Record,
        status: Status | int | str,
        error: BaseException | str | None = None,
        *,
        report: str | None = None,
    ) -> None:
        """Put the task, its row made if need be, into a state in which nobody works at it, whoever has claimed it.

        ``report`` is kept in place of the error's traceback.
        """
        self._settle(item, status, error, {} if report is None else {"traceback": report}, guarded=False)

    def took(self, item: Record, duration: float) -> None:
        """Note how many seconds the task took, its row made if need be."""
        values = columns.checked({"duration": duration})

        def work(connection: Connection) -> None:
            _row(connection, item)
            changes.update_row(connection, item.task_id, values, cascade=False)

        self.database.write(work)

    def _settle(
        self,
        item: Record | str,
        status: Status | int | str,
        error: BaseException | str | None,
        more: Mapping[str, object],
        *,
        guarded: bool,
    ) -> None:
        new = as_status(status)
        if new is Status.RUNNING:
            raise InvalidParameter("a task is not finished by being put into the running state; use start or claim")
        values = columns.checked({"status_code": new, **columns.of_error(error), **more})

        def work(connection: Connection) -> None:
            make = not guarded and not isinstance(item, str)
            row = _row(connection, item) if make else changes.locked(connection, id_of(item))  # type: ignore[arg-type]
            changes.finish(connection, row, id_of(item), values, guarded=guarded)

        self.database.write(work)

    def claim(self, n: int, of: object = None, *, owner: str | None = None, lease: float = 60.0) -> list[Any]:
        """Return up to ``n`` tasks that are now this process's, and running; each goes to one claimer only.

        ``of`` limits them to a batch, to what a query of :class:`TaskState` finds, or to a family. The lease, in
        seconds, is renewed while the process lives; when it dies, its tasks return to the created state, with the
        attempt counted. Tasks whose class cannot be imported here are left to others.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise InvalidParameter(f"the number of tasks to claim is a whole number, not {n!r}")
        if isinstance(lease, bool) or not isinstance(lease, Real) or not lease > 0:
            raise InvalidParameter(f"a lease lasts some seconds, not {lease!r}")
        if n == 0:
            return []
        taken = self._claims.claim(n, self._among(of), owner, lease, _can_load)
        loaded = []
        for claimed in taken:
            try:
                loaded.append(find_class(claimed.reference).from_str_params(json.loads(claimed.parameters)))
            except Exception as error:  # noqa: BLE001 - the class's code may raise anything; the task is not to be lost
                self.finish(claimed.task_id, Status.BROKEN, error)
        return loaded

    def claim_these(
        self, attempts: Mapping[str, int], *, owner: str | None = None, lease: float = 60.0
    ) -> dict[str, int]:
        """Claim the tasks of those identifiers; return those that one got, each with its attempts, this one included.

        They may have ended in any state; but those that were begun since they had the given number of attempts, and
        are not waiting to be done, are left as they are. The others somebody else is working at, or they have no row.
        """
        if not attempts:
            return {}
        among = Among(None, attempts=attempts)
        taken = self._claims.claim(len(attempts), among, owner, lease, lambda reference: True)
        return {claimed.task_id: claimed.attempt + 1 for claimed in taken}

    def finish_claimed(self, ends: Iterable[tuple[str, Mapping[str, object]]]) -> None:
        """Put many tasks that this process has claimed into the states in which they ended, in one transaction.

        Each is an identifier and values of columns. Tasks whose lease was lost are left to whoever has them now.
        """
        rows = [(task_id, columns.checked(state)) for task_id, state in ends]
        self.database.write(lambda connection: changes.finish_claimed(connection, rows))

    def skip(self, items: Iterable[Record]) -> int:
        """Put those of the tasks that wait to be done into the skipped state, and return how many."""
        ids = [item.task_id for item in items]
        return self.database.write(lambda connection: changes.skip(connection, ids))

    def give_back(self) -> None:
        """Return what this store has claimed, and still runs, to those who claim next."""
        self._claims.give_up()

    def recover(self) -> int:
        """Return the tasks of workers that died, or lost their lease otherwise, to the created state; return how many.

        Whoever claims does this anyhow.
        """
        return self._claims.recover()

    def _among(self, of: object) -> Among:
        if of is None:
            return Among("everything")
        if isinstance(of, str):
            return Among(("family", of), family=of)
        if isinstance(of, Query):
            return Among(None, where=task.c.pk.in_(of.with_entities(TaskState.pk).subquery().select()))
        if isinstance(of, Select):
            inner = of.subquery()
            return Among(None, where=task.c.pk.in_(select(inner.c.pk)))
        if hasattr(of, "task_id"):
            item: Any = of
            if not item.is_batch_mode:
                return Among(None, where=task.c.task_id == item.task_id)
            key = self.database.read(
                lambda connection: connection.execute(select(task.c.pk).where(task.c.task_id == item.task_id)).scalar()
            )
            if key is None:
                key = self.create(item).pk
            return Among(("batch", key), batch_pk=key)
        raise InvalidParameter(f"tasks are claimed of a batch, a query or a family, not of {type(of).__name__}")

    # -- schema ------------------------------------------------------------------------------------------------------

    def upgrade(self) -> str:
        """Bring the schema up to date, whatever revision it has, and return the revision that it has then."""
        return self.database.upgrade()

    def current(self) -> str | None:
        """Return the revision of the schema; None of a database without tables, or that is not there."""
        return self.database.revision()

    def check(self) -> list[str]:
        """Return what is wrong with the schema, one line each: nothing, when all is well."""
        return self.database.check()

    # -- many at once ------------------------------------------------------------------------------------------------

    def retry(
        self,
        task_ids: Iterable[str] = (),
        *,
        status: Status | int | str | None = None,
        family: str | None = None,
    ) -> int:
        """Put tasks that failed back to the created state, to be claimed again, and return how many.

        Those of the identifiers (of a batch, its members), else all; of one state or family only, when told. Named
        ones that run are put back too, unless somebody's lease covers them. UnknownTask, IllegalMove.
        """
        wanted = None if status is None else as_status(status)
        names = list(task_ids)
        return self.database.write(lambda connection: changes.retry(connection, names, wanted, family))

    def forget(
        self,
        task_ids: Iterable[str] = (),
        *,
        status: Status | int | str | None = None,
        family: str | None = None,
        cascade: bool = False,
    ) -> int:
        """Delete the tasks of those identifiers, or all of a state or family, and return how many rows went.

        Told several, those of which all is true. With ``cascade``, of batches also the members that no other batch has.
        UnknownTask for one that is not there.
        """
        names = list(task_ids)
        if not names and status is None and family is None:
            return 0
        wanted = None if status is None else as_status(status)
        return self.database.write(
            lambda connection: deletions.forget(connection, names, wanted, family, cascade=cascade)
        )


def _row(connection: Connection, item: Record) -> changes.Row:
    """Return the row of a task, which is made, of a batch with its members, when it is not there."""
    # What is recorded takes its locks before those of rows; the other way about two could block each other for good.
    row = None if item.is_batch_mode else changes.find_locked(connection, item.task_id)
    if row is None:
        recording.record(connection, item, {})
        row = changes.locked(connection, item.task_id)
    return row


def _can_load(reference: str) -> bool:
    try:
        find_class(reference)
    except StoreError:
        return False
    return True


@functools.lru_cache(maxsize=8)
def _default(url: str) -> StateStore:
    store = StateStore(url)
    # Where the settings' own file goes by default is nobody's folder yet. Other folders are their owners' business.
    store.database.makes_folder = True
    return store


def _opened(url: str, patience: float) -> StateStore:
    return StateStore(url, patience=patience)


def _forget_claims() -> None:
    for store in list(_open):
        store._claims.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_claims)
