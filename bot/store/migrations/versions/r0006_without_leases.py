"""Nothing takes a lease."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table was never filled."""
    op.drop_table("leases")
