"""How states change and rows go: by sets, each move checked against the table, each change with its event."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from astra_registry.errors import IllegalMove, UnknownTask
from astra_registry.store.model import status_of
from astra_registry.store.process import this_process
from astra_registry.store.schema import event, lease, membership, task
from astra_registry.store.states import Status, may_follow, refuse

_OPEN = (int(Status.CREATED), int(Status.RUNNING))


class Row(NamedTuple):
    """What a change must know of the row it is about; the row stays locked until the transaction ends."""

    pk: int
    is_batch: bool
    status: Status


def locked(connection: Connection, task_id: str) -> Row:
    """Return the row of a task, held against others' changes; UnknownTask when there is none."""
    # The row is locked before its status is asked for: of a batch that takes a while, and may change meanwhile.
    found = connection.execute(
        select(task.c.pk, task.c.is_batch, task.c.status_code)
        .where(task.c.task_id == task_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if found is None:
        raise UnknownTask(f"the database has no task {task_id!r}; create_state() makes its row")
    code = found.status_code
    if found.is_batch:
        code = connection.execute(select(status_of(task)).where(task.c.pk == found.pk)).scalar_one()
    return Row(found.pk, found.is_batch, Status(code))


def update_row(connection: Connection, task_id: str, values: Mapping[str, Any], *, cascade: bool) -> int:
    """Set columns of a task's row (with ``cascade`` of a batch and its members) and return the number of rows."""
    row = locked(connection, task_id)
    whole = cascade and row.is_batch
    where = _with_members(row.pk) if whole else task.c.pk == row.pk
    if "status_code" in values:
        _refuse_illegal(connection, row, task_id, Status(values["status_code"]), members=whole)
    return change(connection, where, values)


def _refuse_illegal(connection: Connection, row: Row, task_id: str, new: Status, *, members: bool) -> None:
    if not members:
        if not may_follow(row.status, new):
            raise refuse(task_id, row.status, new)
        return
    of_batch = task.c.pk.in_(_members(row.pk))
    # In the order of the keys, so that two who lock the same rows do not block each other for good.
    held = select(task.c.status_code).where(of_batch).order_by(task.c.pk).with_for_update(key_share=True).subquery()
    present = connection.execute(select(held.c.status_code, func.count()).group_by(held.c.status_code)).all()
    bad = {Status(code): count for code, count in present if not may_follow(Status(code), new)}
    if bad:
        first = connection.execute(
            select(task.c.task_id, task.c.status_code).where(of_batch, task.c.status_code.in_(bad)).limit(1)
        ).one()
        raise refuse(first.task_id, Status(first.status_code), new, others=sum(bad.values()) - 1)


def start(connection: Connection, task_id: str) -> None:
    """Put a task, or a batch and its members, into the running state and count the attempt.

    A task that this process has claimed is running, and its attempt counted, already. One that somebody else holds is
    refused, or, in a batch, left to them.
    """
    row = locked(connection, task_id)
    theirs = task.c.lease_pk.in_(select(lease.c.pk).where(~_mine(), lease.c.until >= clock(connection)))
    claimed = and_(task.c.status_code == Status.RUNNING, task.c.lease_pk.in_(select(lease.c.pk).where(_mine())))
    if not row.is_batch:
        refuse_held(connection, row.pk, task_id)
    free = or_(task.c.lease_pk.is_(None), ~theirs)
    change(
        connection,
        and_(_with_members(row.pk) if row.is_batch else task.c.pk == row.pk, free),
        {
            "status_code": int(Status.RUNNING),
            "attempt": task.c.attempt + case((claimed, 0), else_=1),
            "duration": None,
            "error_type": None,
            "error_message": None,
            "traceback": None,
            "lease_pk": case((claimed, task.c.lease_pk), else_=None),
        },
        unless=claimed,
    )


def finish(connection: Connection, task_id: str, values: Mapping[str, Any], *, guarded: bool = True) -> None:
    """Put a task into a state in which nobody works at it; of a batch, the members that are not there already.

    ``guarded``: refuse a task that somebody else's live lease covers.
    """
    row = locked(connection, task_id)
    new = Status(values["status_code"])
    if not row.is_batch:
        if guarded:
            refuse_held(connection, row.pk, task_id)
        if not may_follow(row.status, new):
            raise refuse(task_id, row.status, new)
        change(connection, task.c.pk == row.pk, values)
        return
    theirs = task.c.lease_pk.in_(select(lease.c.pk).where(~_mine(), lease.c.until >= clock(connection)))
    unfinished = and_(task.c.status_code.in_(_OPEN), or_(task.c.lease_pk.is_(None), ~theirs))
    change(connection, and_(task.c.pk.in_(_members(row.pk)), unfinished), values)
    change(connection, task.c.pk == row.pk, values)


def refuse_held(connection: Connection, pk: int, task_id: str) -> None:
    """Raise IllegalMove when a live lease of another process covers the task."""
    holder = connection.execute(
        select(lease.c.owner, lease.c.host, lease.c.pid)
        .join_from(task, lease, task.c.lease_pk == lease.c.pk)
        .where(task.c.pk == pk, ~_mine(), lease.c.until >= clock(connection))
    ).one_or_none()
    if holder is not None:
        raise IllegalMove(f"{task_id} is claimed by {holder.owner!r} (process {holder.pid} on {holder.host})")


def change(
    connection: Connection,
    where: ColumnElement[bool],
    values: Mapping[str, Any],
    *,
    unless: ColumnElement[bool] | None = None,
    told: Mapping[str, Any] | None = None,
) -> int:
    """Set columns of the rows of ``task`` that ``where`` selects, tell each change as an event, return their number.

    Values may be expressions. A row that has them already is no event, nor one to which ``unless`` applies; ``told``
    are columns of the events that the rows do not get.
    """
    who, now = this_process(), datetime.now(UTC)
    values = dict(values)
    if "status_code" in values:
        values = {"user": who.user, "host": who.host, "pid": who.pid} | values
        if values["status_code"] != Status.RUNNING:
            values["lease_pk"] = None
    tells: dict[str, Any] = {"task_pk": task.c.pk, "at": now, "status_code": task.c.status_code}
    tells |= {"user": who.user, "host": who.host, "pid": who.pid}
    tells |= {name: values[name] for name in event.c.keys() if name in values}  # noqa: SIM118 - not a dict
    tells |= told or {}
    # Who did it is no change by itself.
    matters = [name for name in values if name not in ("user", "host", "pid", "lease_pk", "modified")]
    news = or_(*(task.c[name].is_distinct_from(values[name]) for name in matters)) if matters else literal(True)
    if unless is not None:
        news = and_(news, ~func.coalesce(unless, False))
    source = select(*(_constant(event.c[name], value) for name, value in tells.items())).where(where, news)
    connection.execute(insert(event).from_select(list(tells), source))
    return connection.execute(update(task).where(where).values({"modified": now} | values)).rowcount


def _constant(column: Any, value: Any) -> Any:
    if value is None:
        return null()
    return (
        value
        if hasattr(value, "__clause_element__") or isinstance(value, ColumnElement)
        else literal(value, column.type)
    )


def delete_rows(connection: Connection, task_ids: Iterable[str], *, cascade: bool) -> int:
    """Delete the rows of tasks with their links and events and return how many tasks went.

    With ``cascade`` the members of a batch go too, unless another batch has them.
    """
    gone = 0
    for task_id in task_ids:
        found = connection.execute(
            select(task.c.pk, task.c.is_batch).where(task.c.task_id == task_id).with_for_update()
        ).one_or_none()
        if found is None:
            continue
        doomed: Select[Any] = select(literal(found.pk, BigInteger))
        if cascade and found.is_batch:
            other = membership.alias()
            shared = select(other.c.member_pk).where(
                other.c.member_pk == membership.c.member_pk, other.c.batch_pk != found.pk
            )
            alone = select(membership.c.member_pk).where(membership.c.batch_pk == found.pk, ~shared.exists())
            doomed = alone.union_all(doomed)  # type: ignore[assignment]
        connection.execute(delete(event).where(event.c.task_pk.in_(doomed)))
        gone += connection.execute(delete(task).where(task.c.pk.in_(doomed))).rowcount
        links = membership.c.batch_pk if found.is_batch else membership.c.member_pk
        connection.execute(delete(membership).where(links == found.pk))
    return gone


def retry(connection: Connection, task_ids: Iterable[str], status: Status | None, family: str | None) -> int:
    """Put failed tasks back to the created state and return how many; the named ones, of batches their members."""
    back = {"status_code": int(Status.CREATED)}
    failed = [int(code) for code in Status if code.is_failure]
    conditions: list[ColumnElement[bool]] = [task.c.is_batch.is_(False)]
    conditions += [task.c.status_code.in_(failed) if status is None else task.c.status_code == int(status)]
    conditions += [] if family is None else [task.c.family == family]
    if status is not None and not may_follow(status, Status.CREATED):
        raise IllegalMove(f"tasks that are {status.name.lower()} are not tried again; start does that, one by one")
    free = or_(
        task.c.lease_pk.is_(None), ~task.c.lease_pk.in_(select(lease.c.pk).where(lease.c.until >= clock(connection)))
    )
    task_ids = list(task_ids)
    if not task_ids:
        return change(connection, and_(*conditions, free), back)
    moved = 0
    for task_id in task_ids:
        row = locked(connection, task_id)
        if row.is_batch:
            moved += change(connection, and_(task.c.pk.in_(_members(row.pk)), free, *conditions), back)
            continue
        refuse_held(connection, row.pk, task_id)
        if not may_follow(row.status, Status.CREATED):
            raise refuse(task_id, row.status, Status.CREATED)
        moved += 0 if row.status is Status.CREATED else change(connection, task.c.pk == row.pk, back)
    return moved


def forget(
    connection: Connection, task_ids: Iterable[str], status: Status | None, family: str | None, *, cascade: bool
) -> int:
    """Delete the named tasks, or all of a state or family, and return how many rows went."""
    task_ids = list(task_ids)
    for task_id in task_ids:
        locked(connection, task_id)
    if task_ids:
        return delete_rows(connection, task_ids, cascade=cascade)
    conditions = [] if status is None else [status_of(task) == int(status)]
    conditions += [] if family is None else [task.c.family == family]
    batches = select(task.c.task_id).where(task.c.is_batch.is_(True), *conditions)
    gone = delete_rows(connection, connection.scalars(batches).all(), cascade=cascade)
    doomed = select(task.c.pk).where(task.c.is_batch.is_(False), *conditions)
    connection.execute(delete(event).where(event.c.task_pk.in_(doomed)))
    connection.execute(delete(membership).where(membership.c.member_pk.in_(doomed)))
    return gone + connection.execute(delete(task).where(task.c.pk.in_(doomed))).rowcount


def clock(connection: Connection) -> ColumnElement[float]:
    """Return the time in seconds since 1970, by one clock for all who use the database."""
    if connection.dialect.name == "postgresql":
        return func.date_part("epoch", func.clock_timestamp())
    return literal(time.time())


def _mine() -> ColumnElement[bool]:
    return lease.c.process == this_process().token


def _members(batch_pk: int) -> Select[Any]:
    return select(membership.c.member_pk).where(membership.c.batch_pk == batch_pk)


def _with_members(batch_pk: int) -> ColumnElement[bool]:
    return task.c.pk.in_(_members(batch_pk).union_all(select(literal(batch_pk, BigInteger))))
