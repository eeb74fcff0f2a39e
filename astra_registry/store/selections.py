"""Which rows a statement is about, as expressions that are made once: to make one takes longer than to execute it.

What differs from call to call are their parameters: ``of_pk``, the key of a row; ``of_keys``, any number of keys, as
:func:`keys_for` gives them. The time and this process fill themselves in.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Select,
    Text,
    any_,
    bindparam,
    func,
    or_,
    select,
    text,
)

from astra_registry.store.model import status_of
from astra_registry.store.process import this_process
from astra_registry.store.schema import lease, membership, task

OF_PK = bindparam("of_pk", type_=BigInteger)
MEMBERS = select(membership.c.member_pk).where(membership.c.batch_pk == OF_PK)

#: The state of a row of ``task``, of a batch that which follows from its members.
effective_status: ColumnElement[Any] = status_of(task)
#: The one row.
ONE = task.c.pk == OF_PK
#: The members of a batch.
OF_BATCH = task.c.pk.in_(MEMBERS)
#: A lease of this process.
OURS = lease.c.process == bindparam("this_process", type_=Text, callable_=lambda: this_process().token)
#: A task that this process has claimed.
CLAIMED_HERE = task.c.lease_pk.in_(select(lease.c.pk).where(OURS))


@functools.cache
def clock(dialect: str) -> ColumnElement[float]:
    """Return the time in seconds since 1970, by one clock for all who use the database."""
    if dialect == "postgresql":
        return func.date_part("epoch", func.clock_timestamp(), type_=Double)
    return bindparam("clock", type_=Double, callable_=time.time)


@functools.cache
def free(dialect: str) -> ColumnElement[bool]:
    """Return the condition that no other process holds the task by a live lease."""
    held = task.c.lease_pk.in_(select(lease.c.pk).where(~OURS, lease.c.until >= clock(dialect)))
    return or_(task.c.lease_pk.is_(None), ~held)


@functools.cache
def among(dialect: str, column: Any) -> ColumnElement[bool]:
    """Return the condition that a column is one of ``of_keys``, which are one parameter, however many."""
    if dialect == "postgresql":
        return column == any_(bindparam("of_keys", type_=ARRAY(BigInteger)))  # type: ignore[no-any-return]
    each: Select[Any] = select(func.json_each(bindparam("of_keys", type_=Text)).table_valued("value").c.value)
    return column.in_(each)  # type: ignore[no-any-return]


@functools.cache
def named(dialect: str) -> ColumnElement[bool]:
    """Return the condition that a task's identifier is one of ``of_ids``, which are one parameter, however many."""
    if dialect == "postgresql":
        return task.c.task_id == any_(bindparam("of_ids", type_=ARRAY(Text)))
    each: Select[Any] = select(func.json_each(bindparam("of_ids", type_=Text)).table_valued("value").c.value)
    return task.c.task_id.in_(each)


def ids_for(dialect: str, ids: Sequence[str]) -> Any:
    """Return identifiers as the parameter ``of_ids``."""
    return list(ids) if dialect == "postgresql" else json.dumps(list(ids))


def keys_for(dialect: str, keys: Sequence[int]) -> Any:
    """Return keys as the parameter ``of_keys``."""
    return list(keys) if dialect == "postgresql" else json.dumps(list(keys))


_ROOM = text(
    "SELECT set_config('work_mem', '64MB', true) "
    "WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')"
)


def give_room(connection: Connection) -> None:
    """Let PostgreSQL sort and join a batch in memory until the transaction ends; a server that has more room keeps it.

    By default it has 4 MB, and goes by files.
    """
    connection.execute(_ROOM)
