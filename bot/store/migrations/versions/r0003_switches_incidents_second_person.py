"""The switch for every write, what the admins were told of, and who confirmed first of two."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "switches",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("over_at", sa.BigInteger()),
    )
    op.add_column("tickets", sa.Column("first", sa.Text()))
