"""How states change: by sets, each move checked against the table, each change with its event."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    null,
    or_,
    select,
    true,
    update,
)

from astra_registry.errors import IllegalMove, UnknownTask
from astra_registry.store.process import this_process
from astra_registry.store.schema import event, lease, task
from astra_registry.store.selections import (
    CLAIMED_HERE,
    OF_BATCH,
    ONE,
    OURS,
    clock,
    effective_status,
    free,
    give_room,
    ids_for,
    named,
)
from astra_registry.store.states import Status, may_follow, refuse

Constants = Mapping[str, Any]
Expressions = tuple[tuple[str, ColumnElement[Any]], ...]


class Row(NamedTuple):
    """What a change must know of the row it is about; the row stays locked until the transaction ends."""

    pk: int
    family: str
    is_batch: bool
    status: Status
    is_claimed: bool

    def is_of(self, status: Status | None, family: str | None) -> bool:
        """Whether the task has that state and that family, when any is told."""
        return status in (None, self.status) and family in (None, self.family)


_LOCK = (
    select(task.c.pk, task.c.family, task.c.is_batch, task.c.status_code, task.c.lease_pk)
    .where(task.c.task_id == bindparam("of_task_id", type_=Text))
    .with_for_update(key_share=True)
)
_STATUS = select(effective_status).where(ONE)


def find_locked(connection: Connection, task_id: str) -> Row | None:
    """Return the row of a task, held against others' changes; None when there is none."""
    # The row is locked before its status is asked for: of a batch that takes a while, and may change meanwhile.
    found = connection.execute(_LOCK, {"of_task_id": task_id}).one_or_none()
    if found is None:
        return None
    code = connection.execute(_STATUS, {"of_pk": found.pk}).scalar_one() if found.is_batch else found.status_code
    return Row(found.pk, found.family, found.is_batch, Status(code), found.lease_pk is not None)


def locked(connection: Connection, task_id: str) -> Row:
    """Return the row of a task, held against others' changes; UnknownTask when there is none."""
    row = find_locked(connection, task_id)
    if row is None:
        raise UnknownTask(f"the database has no task {task_id!r}; create_state() makes its row")
    return row


@functools.lru_cache(maxsize=128)
def _holding(where: ColumnElement[bool]) -> Select[Any]:
    # In the order of the keys, so that two who hold the same rows do not block each other for good.
    held = select(task.c.pk).where(where).order_by(task.c.pk).with_for_update(key_share=True).subquery()
    return select(func.count()).select_from(held)


def hold(connection: Connection, where: ColumnElement[bool], parameters: Constants) -> None:
    """Hold the rows that ``where`` selects against others' changes until the transaction ends.

    What comes next in the transaction sees them as they are then: else a task might be told to have changed, or be
    taken from somebody, by what was known of it a moment before. SQLite has one writer at a time, and nothing to hold.
    """
    if connection.dialect.name == "postgresql":
        give_room(connection)
        connection.execute(_holding(where), parameters)


# A batch and its members are two statements: asked for the rows of the one and the others together, PostgreSQL expects
# two hundred, and looks each of a million up by itself.
_ROW = (ONE,)
_WHOLE = (OF_BATCH, ONE)


def update_row(connection: Connection, task_id: str, values: Constants, *, cascade: bool) -> int:
    """Set columns of a task's row (with ``cascade`` of a batch and its members) and return the number of rows."""
    row = locked(connection, task_id)
    whole = cascade and row.is_batch
    if whole:
        hold(connection, OF_BATCH, {"of_pk": row.pk})
    if "status_code" in values:
        _refuse_illegal(connection, row, task_id, Status(values["status_code"]), members=whole)
    return sum(change(connection, where, values, {"of_pk": row.pk}) for where in (_WHOLE if whole else _ROW))


def _refuse_illegal(connection: Connection, row: Row, task_id: str, new: Status, *, members: bool) -> None:
    if not members:
        if not may_follow(row.status, new):
            raise refuse(task_id, row.status, new)
        return
    counted = select(task.c.status_code, func.count()).where(OF_BATCH).group_by(task.c.status_code)
    present = connection.execute(counted, {"of_pk": row.pk}).all()
    bad = {Status(code): count for code, count in present if not may_follow(Status(code), new)}
    if bad:
        one = select(task.c.task_id, task.c.status_code).where(OF_BATCH, task.c.status_code.in_(bad)).limit(1)
        first = connection.execute(one, {"of_pk": row.pk}).one()
        raise refuse(first.task_id, Status(first.status_code), new, others=sum(bad.values()) - 1)


#: What a new start clears.
CLEARED = {"duration": None, "error_type": None, "error_message": None, "traceback": None}

_RUNS_HERE = and_(task.c.status_code == int(Status.RUNNING), CLAIMED_HERE)
_STARTED: Expressions = (
    ("attempt", task.c.attempt + case((_RUNS_HERE, 0), else_=1)),
    ("lease_pk", case((_RUNS_HERE, task.c.lease_pk), else_=None)),
)


def start(connection: Connection, row: Row, task_id: str) -> None:
    """Put a task, or a batch and its members, into the running state and count the attempt.

    A task that this process has claimed is running, and its attempt counted, already. One that somebody else holds is
    refused, or, in a batch, left to them.
    """
    refuse_held(connection, row, task_id)
    if row.is_batch:
        hold(connection, OF_BATCH, {"of_pk": row.pk})
    values = {"status_code": int(Status.RUNNING)} | CLEARED
    for where in (_free_rows(connection.dialect.name, OF_BATCH), ONE) if row.is_batch else _ROW:
        change(connection, where, values, {"of_pk": row.pk}, expressions=_STARTED, unless=_RUNS_HERE)


@functools.cache
def _free_rows(dialect: str, where: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(where, free(dialect))


@functools.cache
def _unfinished(dialect: str) -> ColumnElement[bool]:
    return and_(OF_BATCH, task.c.status_code.in_([int(Status.CREATED), int(Status.RUNNING)]), free(dialect))


def finish(connection: Connection, row: Row, task_id: str, values: Constants, *, guarded: bool) -> None:
    """Put a task into a state in which nobody works at it; of a batch, the members that are not there already.

    ``guarded``: refuse a task that somebody else's live lease covers.
    """
    new = Status(values["status_code"])
    key = {"of_pk": row.pk}
    if row.is_batch:
        hold(connection, OF_BATCH, key)
        change(connection, _unfinished(connection.dialect.name), values, key)
    else:
        if guarded:
            refuse_held(connection, row, task_id)
        if not may_follow(row.status, new):
            raise refuse(task_id, row.status, new)
    change(connection, ONE, values, key)


@functools.cache
def _holder(dialect: str) -> Any:
    return (
        select(lease.c.owner, lease.c.host, lease.c.pid)
        .join_from(task, lease, task.c.lease_pk == lease.c.pk)
        .where(ONE, ~OURS, lease.c.until >= clock(dialect))
    )


def refuse_held(connection: Connection, row: Row, task_id: str) -> None:
    """Raise IllegalMove when a live lease of another process covers the task."""
    if not row.is_claimed:
        return
    holder = connection.execute(_holder(connection.dialect.name), {"of_pk": row.pk}).one_or_none()
    if holder is not None:
        raise IllegalMove(f"{task_id} is claimed by {holder.owner!r} (process {holder.pid} on {holder.host})")


# -- the change itself -----------------------------------------------------------------------------------------------


def change(
    connection: Connection,
    where: ColumnElement[bool],
    values: Constants,
    parameters: Constants,
    *,
    expressions: Expressions = (),
    unless: ColumnElement[bool] | None = None,
    told: Expressions = (),
) -> int:
    """Set columns of the rows of ``task`` that ``where`` selects, tell each change as an event, return their number.

    ``expressions`` are columns whose values the database computes. A row that has all values already is no event, nor
    one to which ``unless`` applies. ``told`` are columns of the events that the rows do not get.
    """
    who, now = this_process(), datetime.now(UTC)
    values = {"modified": now, **values}
    if "status_code" in values:
        values = {"user": who.user, "host": who.host, "pid": who.pid} | values
        if values["status_code"] != Status.RUNNING:
            values["lease_pk"] = None
    telling, setting = _statements(where, tuple(values), expressions, unless, told)
    given: dict[str, Any] = {**{f"new_{name}": value for name, value in values.items()}, **parameters}
    connection.execute(telling, given | {"at": now, "by_user": who.user, "by_host": who.host, "by_pid": who.pid})
    return connection.execute(setting, given).rowcount


@functools.lru_cache(maxsize=128)
def _statements(
    where: ColumnElement[bool],
    names: tuple[str, ...],
    expressions: Expressions,
    unless: ColumnElement[bool] | None,
    told: Expressions,
) -> tuple[Insert, Update]:
    new: dict[str, ColumnElement[Any]] = {name: bindparam(f"new_{name}", type_=task.c[name].type) for name in names}
    new |= dict(expressions)
    # Who did it, and when, is no change by itself.
    aside = ("user", "host", "pid", "lease_pk", "modified")
    news = [task.c[name].is_distinct_from(value) for name, value in new.items() if name not in aside]
    conditions = [where, or_(*news) if news else true()]
    if unless is not None:
        conditions.append(~func.coalesce(unless, False))
    tells: dict[str, ColumnElement[Any]] = {
        "task_pk": task.c.pk,
        "at": bindparam("at", type_=event.c.at.type),
        "status_code": task.c.status_code,
        "user": bindparam("by_user", type_=Text),
        "host": bindparam("by_host", type_=Text),
        "pid": bindparam("by_pid", type_=event.c.pid.type),
        "duration": null(),
        "error_type": null(),
        "error_message": null(),
    }
    tells |= {name: value for name, value in new.items() if name in tells}
    tells |= dict(told)
    telling = insert(event).from_select(list(tells), select(*tells.values()).where(*conditions))
    return telling, update(task).where(where).values(new)


_END = ("status_code", "duration", "error_type", "error_message", "traceback")


_CLAIMED_ONE = and_(task.c.task_id == bindparam("of_task_id", type_=Text), CLAIMED_HERE)
_ALL_ENDS = ("modified", "user", "host", "pid", *_END, "lease_pk")


def finish_claimed(connection: Connection, rows: Sequence[tuple[str, Constants]]) -> None:
    """Put many tasks that this process has claimed into the states in which they ended, each with its own values.

    Those that it has lost meanwhile are left to whoever has them.
    """
    if not rows:
        return
    who, now = this_process(), datetime.now(UTC)
    same = {"new_modified": now, "new_user": who.user, "new_host": who.host, "new_pid": who.pid, "new_lease_pk": None}
    same |= {"at": now, "by_user": who.user, "by_host": who.host, "by_pid": who.pid}
    given = [{"of_task_id": name, **same, **{f"new_{c}": values.get(c) for c in _END}} for name, values in rows]
    dialect = connection.dialect.name
    hold(connection, named(dialect), {"of_ids": ids_for(dialect, [name for name, _ in rows])})
    telling, setting = _statements(_CLAIMED_ONE, _ALL_ENDS, (), None, ())
    connection.execute(telling, given)
    connection.execute(setting, given)


@functools.cache
def _waiting(dialect: str) -> ColumnElement[bool]:
    return and_(named(dialect), task.c.status_code == int(Status.CREATED))


def skip(connection: Connection, task_ids: Sequence[str]) -> int:
    """Put those of the tasks that wait to be done into the skipped state, and return how many."""
    dialect = connection.dialect.name
    waiting = _waiting(dialect)
    given = {"of_ids": ids_for(dialect, task_ids)}
    hold(connection, waiting, given)
    return change(connection, waiting, {"status_code": int(Status.SKIPPED)}, given)


def retry(connection: Connection, task_ids: Iterable[str], status: Status | None, family: str | None) -> int:
    """Put failed tasks back to the created state and return how many; of the named ones, of batches their members.

    Only those of that state and family, when they are told.
    """
    back = {"status_code": int(Status.CREATED)}
    failed = [int(code) for code in Status if code.is_failure]
    conditions: list[ColumnElement[bool]] = [task.c.is_batch.is_(False)]
    conditions += [task.c.status_code.in_(failed) if status is None else task.c.status_code == int(status)]
    conditions += [] if family is None else [task.c.family == family]
    if status is not None and not may_follow(status, Status.CREATED):
        raise IllegalMove(f"tasks that are {status.name.lower()} are not tried again; start does that, one by one")
    conditions.append(free(connection.dialect.name))
    task_ids = list(task_ids)
    if not task_ids:
        hold(connection, and_(*conditions), {})
        return change(connection, and_(*conditions), back, {})
    moved = 0
    for task_id in task_ids:
        row = locked(connection, task_id)
        if row.is_batch:
            hold(connection, OF_BATCH, {"of_pk": row.pk})
            moved += change(connection, and_(OF_BATCH, *conditions), back, {"of_pk": row.pk})
            continue
        if not row.is_of(status, family):
            continue
        refuse_held(connection, row, task_id)
        if not may_follow(row.status, Status.CREATED):
            raise refuse(task_id, row.status, Status.CREATED)
        moved += 0 if row.status is Status.CREATED else change(connection, ONE, back, {"of_pk": row.pk})
    return moved
