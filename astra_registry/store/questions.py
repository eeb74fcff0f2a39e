"""What people ask: how many are done, which failed and why, what happened to one; quick at a million rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from astra_registry.errors import StoreError, UnknownTask
from astra_registry.store.model import batches_with_status
from astra_registry.store.record import find_class
from astra_registry.store.schema import event, lease, membership, task
from astra_registry.store.selections import effective_status
from astra_registry.store.states import Status

Row = dict[str, Any]
PAGE = 10_000


#: What the columns of a row in plain values hold, in their order.
DESCRIPTIONS = {
    "task_id": "The identifier of the task.",
    "family": "The name of its class.",
    "release": "The data release.",
    "parameters": "Its parameters.",
    "is_batch": "Whether it is a batch.",
    "size": "The number of members of a batch.",
    "status": "The state that it is in.",
    "status_code": "The number of that state.",
    "duration": "How long it took.",
    "attempt": "How many times it was started.",
    "created": "When it was recorded (UTC).",
    "modified": "When it was last changed (UTC).",
    "user": "Who ran it.",
    "host": "On which machine.",
    "pid": "In which process.",
    "error_type": "The class of the error that ended it.",
    "error_message": "What that error says.",
    "traceback": "Where in the code it was raised.",
    "astra_version": "The version of astra_registry.",
    "plugin_version": "The version of the plugin that brings its class.",
}


def plain(row: Any) -> Row:
    """Return a row of the table of tasks as plain values, as JSON has them."""
    return {
        "task_id": row.task_id,
        "family": row.family,
        "release": row.release,
        "parameters": None if row.parameters is None else json.loads(row.parameters),
        "is_batch": row.is_batch,
        "size": row.size,
        "status": Status(row.status).name.lower(),
        "status_code": int(row.status),
        "duration": row.duration,
        "attempt": row.attempt,
        "created": row.created.isoformat(),
        "modified": row.modified.isoformat(),
        "user": row.user,
        "host": row.host,
        "pid": row.pid,
        "error_type": row.error_type,
        "error_message": row.error_message,
        "traceback": row.traceback,
        "astra_version": row.astra_version,
        "plugin_version": row.plugin_version,
    }


def _rows() -> Select[Any]:
    return select(task, effective_status.label("status"))


def summary(connection: Connection) -> list[Row]:
    """Return one row a family: its tasks by state, and how many batches it has."""
    asked = select(task.c.is_batch, task.c.status_code, task.c.family, func.count().label("number"))
    families: dict[str, Row] = {}
    for is_batch, code, family, number in connection.execute(
        asked.group_by(task.c.is_batch, task.c.status_code, task.c.family)
    ):
        empty: Row = {"family": family, "tasks": 0, "batches": 0}
        row = families.setdefault(family, empty | {status.name.lower(): 0 for status in Status})
        if is_batch:
            row["batches"] += number
        else:
            row["tasks"] += number
            row[Status(code).name.lower()] += number
    return [families[family] for family in sorted(families)]


def errors(connection: Connection, limit: int) -> list[Row]:
    """Return the most frequent errors of tasks that failed, with how many have each and one that does."""
    number = func.count().label("tasks")
    asked = select(
        task.c.family,
        task.c.status_code,
        task.c.error_type,
        number,
        func.min(task.c.error_message),
        func.min(task.c.task_id),
    ).where(task.c.is_batch.is_(False), task.c.status_code.in_([int(s) for s in Status if s.is_failure]))
    kinds = (task.c.family, task.c.status_code, task.c.error_type)
    found = connection.execute(asked.group_by(*kinds).order_by(number.desc(), *kinds).limit(limit))
    return [
        {
            "family": family,
            "status": Status(code).name.lower(),
            "error_type": error_type,
            "tasks": tasks,
            "error_message": message,
            "example": example,
        }
        for family, code, error_type, tasks, message, example in found
    ]


def listing(
    connection: Connection, *, status: Status | None, family: str | None, after: str | None, limit: int
) -> list[Row]:
    """Return a page of tasks and batches: at most ``limit``, those that come after the one of that identifier."""
    last = None
    if after is not None:
        last = connection.execute(select(task.c.family, task.c.pk).where(task.c.task_id == after)).one_or_none()
        if last is None:
            raise UnknownTask(f"the database has no task {after!r}")
    if status is None:
        asked = _rows() if family is None else _rows().where(task.c.family == family)
        if last is not None:
            asked = asked.where(task.c.pk > last.pk)
        return [plain(row) for row in connection.execute(asked.order_by(task.c.pk).limit(limit))]
    # In the order of the index on states, so that a page costs the same wherever it begins.
    order = (task.c.family, task.c.pk)
    found: list[Any] = []
    batches, status_of_batch = batches_with_status()
    for rows, own, is_batch in ((task, task.c.status_code, False), (batches, status_of_batch, True)):
        asked = select(task, own.label("status")).select_from(rows)
        asked = asked.where(task.c.is_batch.is_(is_batch), own == int(status))
        if family is not None:
            asked = asked.where(task.c.family == family)
        if last is not None:
            asked = asked.where(tuple_(*order) > tuple_(last.family, last.pk))
        found += connection.execute(asked.order_by(*order).limit(limit))
    found.sort(key=lambda row: (row.family, row.pk))
    return [plain(row) for row in found[:limit]]


def shown(connection: Connection, task_id: str) -> Row:
    """Return everything about one task or batch; ``task_id`` may be its beginning, when no other begins so."""
    matches = connection.execute(_rows().where(task.c.task_id == task_id)).all()
    if not matches:
        beginning = task.c.task_id.startswith(task_id, autoescape=True)
        matches = connection.execute(_rows().where(beginning).order_by(task.c.task_id).limit(2)).all()
    if not matches:
        raise UnknownTask(f"the database has no task {task_id!r}")
    if len(matches) > 1:
        raise UnknownTask(f"several tasks begin with {task_id!r}: {matches[0].task_id}, {matches[1].task_id} …")
    row = matches[0]
    answer = plain(row)
    members = select(task.c.task_id).join_from(membership, task, task.c.pk == membership.c.member_pk)
    answer["members"] = list(
        connection.scalars(members.where(membership.c.batch_pk == row.pk).order_by(membership.c.position))
    )
    batches = select(task.c.task_id).distinct().join_from(membership, task, task.c.pk == membership.c.batch_pk)
    answer["batches"] = list(
        connection.scalars(batches.where(membership.c.member_pk == row.pk).order_by(task.c.task_id))
    )
    answer["events"] = [
        {
            "at": told.at.isoformat(),
            "status": Status(told.status_code).name.lower(),
            "user": told.user,
            "host": told.host,
            "pid": told.pid,
            "duration": told.duration,
            "error_type": told.error_type,
            "error_message": told.error_message,
        }
        for told in connection.execute(select(event).where(event.c.task_pk == row.pk).order_by(event.c.pk))
    ]
    answer["claimed_by"] = connection.execute(select(lease.c.owner).where(lease.c.pk == row.lease_pk)).scalar()
    answer["missing"] = _missing(row.reference)
    return answer


def _missing(reference: str) -> str | None:
    try:
        find_class(reference)
    except StoreError as error:
        return str(error)
    return None


def pages(connection: Connection, after: int, where: Iterable[ColumnElement[bool]]) -> Iterator[tuple[int, Row]]:
    """Yield ``(key, row)`` for one page of all rows, in the order of their keys, beyond a key."""
    asked = _rows().where(task.c.pk > after, *where)
    for row in connection.execute(asked.order_by(task.c.pk).limit(PAGE)):
        yield row.pk, plain(row)
