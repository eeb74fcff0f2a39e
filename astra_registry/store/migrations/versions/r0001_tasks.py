"""Keep tasks, the members of batches, events and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def task_key(name: str) -> sa.ForeignKey:
    """Return a reference to a task, which is checked when the transaction ends."""
    return sa.ForeignKey("task.pk", name=name, deferrable=True, initially="DEFERRED")


def upgrade() -> None:
    """Make the four tables and their indexes."""
    op.create_table(
        "task",
        sa.Column("pk", KEY, primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("release", sa.Text),
        sa.Column("parameters", sa.Text),
        sa.Column("is_batch", sa.Boolean, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("status_code", sa.SmallInteger, nullable=False),
        sa.Column("duration", sa.Double),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("error_type", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("traceback", sa.Text),
        sa.Column("astra_version", sa.Text, nullable=False),
        sa.Column("plugin_version", sa.Text, nullable=False),
        sa.Column("lease_pk", KEY),
        sa.UniqueConstraint("task_id", name="uq_task_task_id"),
    )
    op.create_index("ix_task_status", "task", ["is_batch", "status_code", "family", "pk"])
    leased = sa.text("lease_pk IS NOT NULL")
    op.create_index("ix_task_lease", "task", ["lease_pk"], sqlite_where=leased, postgresql_where=leased)
    op.create_table(
        "membership",
        sa.Column("batch_pk", KEY, task_key("fk_membership_batch"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("member_pk", KEY, task_key("fk_membership_member"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_membership_member", "membership", ["member_pk", "batch_pk"])
    op.create_table(
        "event",
        sa.Column("pk", KEY, primary_key=True),
        sa.Column("task_pk", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("status_code", sa.SmallInteger, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("duration", sa.Double),
        sa.Column("error_type", sa.Text),
        sa.Column("error_message", sa.Text),
    )
    op.create_index("ix_event_task", "event", ["task_pk"])
    op.create_table(
        "lease",
        sa.Column("pk", KEY, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.UniqueConstraint("name", name="uq_lease_name"),
    )
