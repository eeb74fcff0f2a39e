"""A task's row as an object, for those who query with SQLAlchemy's ORM."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, func, select
from sqlalchemy.orm import Mapped, column_property, registry

from astra_registry.store.schema import membership, task
from astra_registry.store.states import Status

_mapper = registry()

# A batch runs if any member runs; else it is created if any is; else it has its worst failure; else it succeeded.
# So the states get ranks whose highest is the batch's, and which end with the state's own two digits.
_RANKS = {Status.RUNNING: 1010, Status.CREATED: 900, Status.SKIPPED: int(Status.SUCCEEDED)}


def _highest(member: FromClause) -> ColumnElement[int]:
    code = member.c.status_code
    return func.max(case(*((code == int(status), rank) for status, rank in _RANKS.items()), else_=code))


def _of_batch(row: FromClause, highest: ColumnElement[int]) -> ColumnElement[int]:
    # An empty batch has nothing left to do. One whose members are not recorded yet has the status of its own row.
    without_members = case((row.c.size == 0, int(Status.SUCCEEDED)), else_=row.c.status_code)
    return func.coalesce(highest % 100, without_members)


def status_of(row: FromClause) -> ColumnElement[int]:
    """Return the expression for the status of a row of ``task``: its own, or that which follows from its members."""
    member, link = task.alias(), membership.alias()
    highest = (
        select(_highest(member))
        .select_from(link.join(member, member.c.pk == link.c.member_pk))
        .where(link.c.batch_pk == row.c.pk)
        .correlate(row)
        .scalar_subquery()
    )
    return case((row.c.is_batch, _of_batch(row, highest)), else_=row.c.status_code)


def batches_with_status() -> tuple[FromClause, ColumnElement[int]]:
    """Return ``task`` joined with what follows from the members of all batches, and the status of a batch there."""
    member, link = task.alias(), membership.alias()
    grouped = (
        select(link.c.batch_pk, _highest(member).label("highest"))
        .select_from(link.join(member, member.c.pk == link.c.member_pk))
        .group_by(link.c.batch_pk)
        .subquery()
    )
    return task.outerjoin(grouped, grouped.c.batch_pk == task.c.pk), _of_batch(task, grouped.c.highest)


class TaskState:
    """One task, or one batch of tasks, and its state, as it was when the row was read."""

    pk: Mapped[int]
    task_id: Mapped[str]
    family: Mapped[str]
    reference: Mapped[str]
    release: Mapped[str | None]
    parameters: Mapped[str | None]
    is_batch: Mapped[bool]
    size: Mapped[int]
    status_code: Mapped[int]
    duration: Mapped[float | None]
    attempt: Mapped[int]
    created: Mapped[datetime]
    modified: Mapped[datetime]
    user: Mapped[str | None]
    host: Mapped[str | None]
    pid: Mapped[int | None]
    error_type: Mapped[str | None]
    error_message: Mapped[str | None]
    traceback: Mapped[str | None]
    astra_version: Mapped[str]
    plugin_version: Mapped[str]
    lease_pk: Mapped[int | None]

    @property
    def status(self) -> Status:
        """The state; of a batch, that which follows from its members."""
        return Status(self.status_code)

    def __repr__(self) -> str:
        values: dict[str, Any] = self.__dict__
        status = Status(values["status_code"]).name.lower() if "status_code" in values else "?"
        return f"<TaskState {values.get('task_id', '?')}: {status}>"


_mapper.map_imperatively(
    TaskState,
    task,
    properties={"status_code": column_property(status_of(task)), "own_status_code": task.c.status_code},
)
