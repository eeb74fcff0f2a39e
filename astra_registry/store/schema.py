"""The tables in which tasks, batches, events and leases are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

#: Where Alembic notes the revision; not its default name, so that another program's schema is not taken for ours.
VERSION_TABLE = "astra_registry_version"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always with its zone (UTC), also on SQLite, which keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment as the database keeps it."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return the moment with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


# SQLite counts rows only in a column declared INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()


task = Table(
    "task",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("release", Text),
    Column("parameters", Text),  # JSON; of a batch NULL, for its members have them
    Column("is_batch", Boolean, nullable=False),
    Column("size", Integer, nullable=False),
    Column("status_code", SmallInteger, nullable=False),
    Column("duration", Double),
    Column("attempt", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("modified", UtcDateTime, nullable=False),
    Column("user", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("traceback", Text),
    Column("astra_version", Text, nullable=False),
    Column("plugin_version", Text, nullable=False),
    Column("lease_pk", Key),
    UniqueConstraint("task_id", name="uq_task_task_id"),
    # Answers, without a look at the rows: how many are there in each state, which are next to be done, which failed.
    Index("ix_task_status", "is_batch", "status_code", "family", "pk"),
    Index(
        "ix_task_lease",
        "lease_pk",
        sqlite_where=text("lease_pk IS NOT NULL"),
        postgresql_where=text("lease_pk IS NOT NULL"),
    ),
)

membership = Table(
    "membership",
    metadata,
    # No foreign keys: they cost a fifth of what it takes to record a batch. Links and deletions exclude each other
    # instead (see recording.hold_links and deletions.exclude_links).
    Column("batch_pk", Key, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("member_pk", Key, nullable=False),
    Index("ix_membership_member", "member_pk", "batch_pk"),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("pk", Key, primary_key=True),
    # No foreign key: an event is written by a transaction that holds the task's row, and checking costs as much again.
    Column("task_pk", Key, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("status_code", SmallInteger, nullable=False),
    Column("user", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("duration", Double),
    Column("error_type", Text),
    Column("error_message", Text),
    Index("ix_event_task", "task_pk"),
)

lease = Table(
    "lease",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("name", Text, nullable=False),  # of one claim, so that it is known again when the answer to a commit is lost
    Column("owner", Text, nullable=False),
    Column("process", Text, nullable=False),  # see process.Process.token
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("until", Double, nullable=False),  # seconds since 1970, by the clock of the database
    UniqueConstraint("name", name="uq_lease_name"),
)

data_product = Table(
    "data_product",
    metadata,
    Column("pk", Key, primary_key=True),
    Column("product", Text, nullable=False),
    Column("release", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    # What the parameters (and product and release) come to; they themselves may be longer than an index can hold.
    Column("identity", Text, nullable=False),
    UniqueConstraint("identity", name="uq_data_product_identity"),
)
