"""Tickets, the audit log, and what the bot remembers of places, messages and names."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSE_ON_POSTGRESQL = (
    """
    CREATE FUNCTION audit_rows_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of the audit log are never changed or removed';
    END $$
    """,
    """
    CREATE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON audit_rows
    FOR EACH ROW EXECUTE FUNCTION audit_rows_are_final()
    """,
    """
    CREATE TRIGGER audit_rows_stay_all BEFORE TRUNCATE ON audit_rows
    FOR EACH STATEMENT EXECUTE FUNCTION audit_rows_are_final()
    """,
)
_REFUSE_ON_SQLITE = tuple(
    f"""
    CREATE TRIGGER audit_rows_no_{verb} BEFORE {verb} ON audit_rows
    BEGIN SELECT RAISE(ABORT, 'rows of the audit log are never changed or removed'); END
    """
    for verb in ("update", "delete")
)


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("asker", sa.Text, nullable=False),
        sa.Column("place_key", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("claimed_by", sa.Text),
        sa.Column("claimed_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("outcome_note", sa.Text, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
    )
    op.create_index("tickets_by_state", "tickets", ["state", "place_key"])
    op.create_table(
        "audit_rows",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )
    op.create_table(
        "place_defaults",
        sa.Column("place_key", sa.Text, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("value_id", sa.Text, nullable=False),
        sa.Column("set_by", sa.Text, nullable=False),
        sa.Column("set_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sentences",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "forms",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("asker", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("whose", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("fetched_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _REFUSE_ON_POSTGRESQL if on_postgresql else _REFUSE_ON_SQLITE:
        op.execute(statement)
