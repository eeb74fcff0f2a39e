"""Link members to batches without foreign keys, of which PostgreSQL checks two for every link, one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Drop the two constraints; on SQLite, which cannot, by way of a table that never had them."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("fk_membership_batch", "membership")
        op.drop_constraint("fk_membership_member", "membership")
        return
    op.rename_table("membership", "membership_of_0002")
    op.create_table(
        "membership",
        sa.Column("batch_pk", KEY, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("member_pk", KEY, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO membership SELECT batch_pk, position, member_pk FROM membership_of_0002")
    op.drop_table("membership_of_0002")
    op.create_index("ix_membership_member", "membership", ["member_pk", "batch_pk"])
