"""What one can ask a store, of tasks, batches and their states; nothing here writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Text, bindparam, func, select

from astra_registry.errors import StoreError, UnknownTask
from astra_registry.store import questions
from astra_registry.store.database import Database
from astra_registry.store.record import Record, find_class
from astra_registry.store.schema import membership, task
from astra_registry.store.selections import effective_status, ids_for, named
from astra_registry.store.states import Status, as_status

if TYPE_CHECKING:
    from astropy.table import Table

_STATUS = select(effective_status).where(task.c.task_id == bindparam("of_task_id", type_=Text))


class Inquiry:
    """The questions that a store answers."""

    database: Database

    def status(self, item: Record | str) -> Status:
        """Return the state of a task; of a batch, that which follows from its members. UnknownTask without a row."""
        task_id = id_of(item)
        code = self.database.read(lambda connection: connection.execute(_STATUS, {"of_task_id": task_id}).scalar())
        if code is None:
            raise _unknown(task_id)
        return Status(code)

    def standing(self, items: Iterable[Record]) -> dict[str, tuple[Status, int]]:
        """Return the states and attempts of many single tasks by identifier; what has no row is not among them."""
        ids = [item.task_id for item in items]

        def work(connection: Connection) -> list[Any]:
            dialect = connection.dialect.name
            asked = select(task.c.task_id, task.c.status_code, task.c.attempt).where(named(dialect))
            return list(connection.execute(asked, {"of_ids": ids_for(dialect, ids)}))

        return {task_id: (Status(code), attempt) for task_id, code, attempt in self.database.read(work)}

    def counts(self) -> Counter[Status]:
        """Return how many tasks are in each state that any is in; batches, which follow their members, do not count."""
        asked = select(task.c.status_code, func.count()).where(task.c.is_batch.is_(False)).group_by(task.c.status_code)
        found = self.database.read(lambda connection: connection.execute(asked).all())
        return Counter({Status(code): number for code, number in sorted(map(tuple, found))})

    def summary(self) -> list[dict[str, Any]]:
        """Return one row a family: ``family, tasks, batches`` and the number of tasks in each state, by its name."""
        return self.database.read(questions.summary)

    def errors(self, limit: int = 20) -> list[dict[str, Any]]:
        """Return the most frequent errors of tasks that failed, each with its number of tasks and an example."""
        return self.database.read(lambda connection: questions.errors(connection, limit))

    def tasks(
        self,
        *,
        status: Status | int | str | None = None,
        family: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return a page of tasks and batches as plain values; ``after`` is the identifier of the last one seen."""
        wanted = None if status is None else as_status(status)
        return self.database.read(
            lambda connection: questions.listing(connection, status=wanted, family=family, after=after, limit=limit)
        )

    def show(self, task_id: str) -> dict[str, Any]:
        """Return all about one task or batch: its row, ``members`` in order, ``batches``, ``events``, ``claimed_by``.

        ``missing`` says why its class cannot be had here, when it cannot. ``task_id`` may be cut short where no other
        begins so; UnknownTask when there is none, or several.
        """
        return self.database.read(lambda connection: questions.shown(connection, task_id))

    def export(
        self, *, status: Status | int | str | None = None, family: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield every task and batch as plain values, in the order in which they were recorded."""
        conditions = [] if status is None else [effective_status == as_status(status)]
        conditions += [] if family is None else [task.c.family == family]
        after = 0
        while page := self.database.read(
            lambda connection, after=after: list(questions.pages(connection, after, conditions))  # type: ignore[misc]
        ):
            yield from (row for _, row in page)
            after = page[-1][0]

    def to_table(self, *, status: Status | int | str | None = None, family: str | None = None) -> Table:
        """Return every task and batch as an astropy Table with the columns of `export`; parameters are JSON."""
        from astra_registry.tables import as_table

        rows = list(self.export(status=status, family=family))
        columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in questions.DESCRIPTIONS}
        columns["parameters"] = [None if value is None else json.dumps(value) for value in columns["parameters"]]
        return as_table(columns, units={"duration": "s"}, descriptions=questions.DESCRIPTIONS)

    def members(self, task_id: str) -> list[str]:
        """Return the identifiers of a batch's members, in order, doubles kept."""
        return [row.task_id for row in self.database.read(lambda connection: _members(connection, task_id))]

    def load(self, task_id: str) -> Any:
        """Return the task again, of a batch with its members in order, doubles kept.

        UnknownTask when there is no such row; StoreError says what is missing when its class cannot be had.
        """

        def work(connection: Connection) -> tuple[Any, list[Any]]:
            row = connection.execute(select(task).where(task.c.task_id == task_id)).one_or_none()
            if row is None:
                raise _unknown(task_id)
            return row, _members(connection, task_id) if row.is_batch else []

        row, members = self.database.read(work)
        made_by = find_class(row.reference)
        if len(members) != row.size and row.is_batch:
            raise StoreError(f"{task_id} has {row.size} members, of which {len(members)} are recorded")
        if members:
            return made_by.from_members([member.parameters for member in members])
        return made_by.from_str_params(json.loads(row.parameters))


def _members(connection: Connection, task_id: str) -> list[Any]:
    batch = task.alias()
    return list(
        connection.execute(
            select(task.c.task_id, task.c.parameters)
            .join_from(membership, task, task.c.pk == membership.c.member_pk)
            .join(batch, batch.c.pk == membership.c.batch_pk)
            .where(batch.c.task_id == task_id)
            .order_by(membership.c.position)
        )
    )


def id_of(item: Record | str) -> str:
    """Return the identifier of a task, which may be given itself."""
    return item if isinstance(item, str) else item.task_id


def _unknown(task_id: str) -> UnknownTask:
    return UnknownTask(f"the database has no task {task_id!r}")
