"""Nothing takes a lease, asks by a form, or keeps single values."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables were never filled."""
    for table in ("leases", "forms", "meta"):
        op.drop_table(table)
