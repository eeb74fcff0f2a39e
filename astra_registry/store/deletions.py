"""How rows go: tasks with their links and events, chosen once, and none that others are linking at that moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, select, text

from astra_registry.store.changes import locked
from astra_registry.store.schema import event, membership, task
from astra_registry.store.selections import MEMBERS, OF_PK, among, effective_status, keys_for
from astra_registry.store.states import Status


def exclude_links(connection: Connection) -> None:
    """Wait for those who link members to batches, and have others wait: what they link must not go meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {membership.name} IN SHARE ROW EXCLUSIVE MODE"))


def delete_rows(connection: Connection, task_ids: Iterable[str], *, cascade: bool) -> int:
    """Delete the rows of tasks with their links and events and return how many tasks went.

    With ``cascade`` the members of a batch go too, unless another batch has them.
    """
    exclude_links(connection)
    gone = 0
    for task_id in task_ids:
        found = connection.execute(
            select(task.c.pk, task.c.is_batch).where(task.c.task_id == task_id).with_for_update()
        ).one_or_none()
        if found is None:
            continue
        doomed: Any = select(OF_PK)
        if cascade and found.is_batch:
            other = membership.alias()
            shared = select(other.c.member_pk).where(
                other.c.member_pk == membership.c.member_pk, other.c.batch_pk != OF_PK
            )
            doomed = MEMBERS.where(~shared.exists()).union_all(doomed)
        key = {"of_pk": found.pk}
        # The tasks first: that waits for whoever is changing one, and then the event of it is there to go, too.
        gone += connection.execute(delete(task).where(task.c.pk.in_(doomed)), key).rowcount
        connection.execute(delete(event).where(event.c.task_pk.in_(doomed)), key)
        links = membership.c.batch_pk if found.is_batch else membership.c.member_pk
        connection.execute(delete(membership).where(links == OF_PK), key)
    return gone


def forget(
    connection: Connection, task_ids: Iterable[str], status: Status | None, family: str | None, *, cascade: bool
) -> int:
    """Delete all tasks of a state or family, or those of the named ones that are, and return how many rows went."""
    exclude_links(connection)
    named_rows = {task_id: locked(connection, task_id) for task_id in task_ids}
    if named_rows:
        chosen = [task_id for task_id, row in named_rows.items() if row.is_of(status, family)]
        return delete_rows(connection, chosen, cascade=cascade)
    of_family = [] if family is None else [task.c.family == family]
    batches = select(task.c.task_id).where(task.c.is_batch.is_(True), *of_family)
    single = select(task.c.pk).where(task.c.is_batch.is_(False), *of_family)
    if status is not None:
        batches = batches.where(effective_status == int(status))
        single = single.where(task.c.status_code == int(status))
    gone = delete_rows(connection, connection.scalars(batches).all(), cascade=cascade)
    # Told once, and held: others go on working, and the condition might hold for other tasks when it is asked again.
    dialect = connection.dialect.name
    doomed = connection.scalars(single.order_by(task.c.pk).with_for_update()).all()
    key = {"of_keys": keys_for(dialect, doomed)}
    for column in (event.c.task_pk, membership.c.member_pk):
        connection.execute(delete(column.table).where(among(dialect, column)), key)
    return gone + connection.execute(delete(task).where(among(dialect, task.c.pk)), key).rowcount
