"""The audit log's final form: which key a row was written with, the name beside it, and what may be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEPT_ON_POSTGRESQL = (
    """
    CREATE FUNCTION audit_rows_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.person IS NULL
                AND (NEW.seq, NEW.key, NEW.entry, NEW.digest) = (OLD.seq, OLD.key, OLD.entry, OLD.digest)
            THEN
                RETURN NEW;
            END IF;
        ELSIF TG_OP = 'DELETE' THEN
            IF OLD.seq <= (SELECT checkpoint FROM audit_head) THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'rows of the audit log are never changed, and only removed below a checkpoint';
    END $$
    """,
    """
    CREATE TRIGGER audit_rows_kept BEFORE UPDATE OR DELETE ON audit_rows
    FOR EACH ROW EXECUTE FUNCTION audit_rows_are_kept()
    """,
    """
    CREATE TRIGGER audit_rows_kept_all BEFORE TRUNCATE ON audit_rows
    FOR EACH STATEMENT EXECUTE FUNCTION audit_rows_are_kept()
    """,
)
_KEPT_ON_SQLITE = (
    """
    CREATE TRIGGER audit_rows_kept_update BEFORE UPDATE ON audit_rows
    WHEN NEW.person IS NOT NULL OR NEW.seq IS NOT OLD.seq OR NEW.key IS NOT OLD.key
        OR NEW.entry IS NOT OLD.entry OR NEW.digest IS NOT OLD.digest
    BEGIN SELECT RAISE(ABORT, 'rows of the audit log are never changed'); END
    """,
    """
    CREATE TRIGGER audit_rows_kept_delete BEFORE DELETE ON audit_rows
    WHEN OLD.seq > coalesce((SELECT checkpoint FROM audit_head), 0)
    BEGIN SELECT RAISE(ABORT, 'rows of the audit log are only removed below a checkpoint'); END
    """,
)


def upgrade() -> None:
    """Rows of the first form cannot be checked by the new one; where there are any, they stay in tables beside it."""
    if op.get_bind().execute(sa.text("SELECT count(*) FROM audit_rows")).scalar_one():
        op.rename_table("audit_rows", "audit_rows_of_0001")
        op.rename_table("audit_head", "audit_head_of_0001")
    else:
        op.drop_table("audit_rows")
        op.drop_table("audit_head")
    op.create_table(
        "audit_rows",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("person", sa.Text),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("checkpoint", sa.BigInteger, nullable=False),
    )
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _KEPT_ON_POSTGRESQL if on_postgresql else _KEPT_ON_SQLITE:
        op.execute(statement)
