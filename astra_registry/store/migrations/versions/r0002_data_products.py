"""Keep data products, so that other tables can refer to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of data products."""
    op.create_table(
        "data_product",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.UniqueConstraint("identity", name="uq_data_product_identity"),
    )
