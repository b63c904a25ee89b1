"""Tickets, the audit log, what the bot remembers of places, messages and names, and what is spent at Celonis."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Kind = sa.types.TypeEngine[Any]
_Columns = dict[str, _Kind]
_T: _Kind = sa.Text()
_N: _Kind = sa.BigInteger()
_F: _Kind = sa.Double()

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


def _create(table: str, keys: _Columns, rest: _Columns, optional: _Columns | None = None) -> None:
    """A table with its primary key, the columns that every row has, and those that may be null."""
    op.create_table(
        table,
        *(sa.Column(name, kind, primary_key=True, autoincrement=False) for name, kind in keys.items()),
        *(sa.Column(name, kind, nullable=False) for name, kind in rest.items()),
        *(sa.Column(name, kind) for name, kind in (optional or {}).items()),
    )


def upgrade() -> None:
    texts = (
        "command",
        "sentence",
        "target_json",
        "connection",
        "asker",
        "place_key",
        "place",
        "messages",
        "state",
        "outcome_note",
    )
    maybe_texts = ("claimed_by", "outcome")
    maybe_moments = ("claimed_at", "lease_until", "finished_at")
    _create(
        "tickets",
        {"id": _T},
        dict.fromkeys(texts, _T) | {"created_at": _N, "expires_at": _N},
        dict.fromkeys(maybe_texts, _T) | dict.fromkeys(maybe_moments, _N),
    )
    op.create_index("tickets_by_state", "tickets", ["state", "place_key"])
    _create("audit_rows", {"seq": _N}, {"key": _T, "entry": _T, "digest": _T}, {"person": _T})
    _create("audit_head", {"id": _N}, {"length": _N, "digest": _T, "seal": _T, "checkpoint": _N})
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _KEPT_ON_POSTGRESQL if on_postgresql else _KEPT_ON_SQLITE:
        op.execute(statement)

    of_a_place = {"value": _T, "value_id": _T, "set_by": _T, "set_at": _N}
    _create("place_defaults", {"place_key": _T, "field": _T}, of_a_place)
    _create("sentences", {"key": _T}, {"typed": _T, "expires_at": _N})
    _create("threads", {"key": _T}, {"typed": _T, "expires_at": _N})
    _create("deliveries", {"key": _T}, {"expires_at": _N})
    _create("conversations", {"whose": _T}, {"reference": _T, "seen_at": _N})
    _create("snapshots", {"connection": _T, "scope": _T}, {"content": _T, "fetched_at": _N})

    account = {"scope": _T, "family": _T}
    _create("celonis_calls", account | {"epoch": _N, "bucket": _N}, {"calls": _N})
    _create("celonis_shares", account | {"hour": _N, "person": _T, "place": _T}, {"calls": _N})
    _create("celonis_pauses", account, {"until": _F, "struck_at": _F, "halved_until": _F})
    _create("celonis_allowances", {"scope": _T, "person": _T}, {"calls": _N, "until": _F})
    _create(
        "celonis_replicas",
        {"scope": _T, "number": _N},
        {"run": _T, "host": _T, "pid": _N, "guest": _N, "epoch": _N}
        | {"seen_at": _F, "ledger_at": _F, "free_at": _F},
    )
