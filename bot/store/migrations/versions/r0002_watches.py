"""What is watched, guarded and told at set times."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    texts = (
        "kind",
        "sentence",
        "connection",
        "owner",
        "owner_key",
        "place_key",
        "place",
        "zone",
        "state",
        "messages",
    )
    moments = ("created_at", "due_at")
    maybe_moments = ("snoozed_until", "undelivered_since", "ended_at", "lease_until")
    op.create_table(
        "watches",
        sa.Column("id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in moments),
        *(sa.Column(name, sa.BigInteger()) for name in maybe_moments),
    )
    op.create_index("watches_by_due", "watches", ["ended_at", "due_at"])
    op.create_index("watches_by_place", "watches", ["place_key", "ended_at"])
