"""The tables, the same on SQLite and PostgreSQL. Changing one needs a revision in `bot/store/migrations/versions`.

Moments are whole microseconds since 1970 in UTC, so that both engines compare them alike and lose nothing.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, Dialect, Index, MetaData, Table, Text, TypeDecorator

from bot.model.people import Confirmed, MessageRef, Person, Place

metadata = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def clean(text: str) -> str:
    """Text that both engines can hold: PostgreSQL has no NUL, and UTF-8 no lone surrogates; each becomes U+FFFD."""
    if text.isprintable():
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Moment(TypeDecorator[datetime]):
    """An aware moment in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Words(TypeDecorator[str]):
    """Text from anywhere, made storable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


class Json(TypeDecorator[Any]):
    """A frozen dataclass, or a tuple of them, as one text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return clean(json.dumps(_adapter(self.kind).dump_python(value, mode="json"), ensure_ascii=False))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any | None:
        return None if value is None else _adapter(self.kind).validate_json(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _column(name: str, kind: Any, **more: Any) -> Column[Any]:
    return Column(name, kind, **{"nullable": False, **more})


tickets = Table(
    "tickets",
    metadata,
    _column("id", Words, primary_key=True),
    _column("command", Words),
    _column("sentence", Words),
    _column("target_json", Words),
    _column("connection", Words),
    _column("asker", Json(Person)),
    _column("place_key", Words),
    _column("place", Json(Place)),
    _column("created_at", Moment),
    _column("expires_at", Moment),
    _column("state", Words),
    _column("messages", Json(tuple[MessageRef, ...])),
    _column("first", Json(Confirmed), nullable=True),
    _column("claimed_by", Json(Person), nullable=True),
    _column("claimed_at", Moment, nullable=True),
    _column("lease_until", Moment, nullable=True),
    _column("outcome", Words, nullable=True),
    _column("outcome_note", Words),
    _column("finished_at", Moment, nullable=True),
    Index("tickets_by_state", "state", "place_key"),
)

watches = Table(
    "watches",
    metadata,
    _column("id", Words, primary_key=True),
    _column("kind", Words),
    _column("sentence", Words),
    _column("connection", Words),
    _column("owner", Json(Person)),
    _column("owner_key", Words),
    _column("place_key", Words),
    _column("place", Json(Place)),
    _column("zone", Words),
    _column("created_at", Moment),
    _column("due_at", Moment),
    _column("state", Words),
    _column("messages", Json(tuple[MessageRef, ...])),
    _column("snoozed_until", Moment, nullable=True),
    _column("undelivered_since", Moment, nullable=True),
    _column("ended_at", Moment, nullable=True),
    _column("lease_until", Moment, nullable=True),
    Index("watches_by_due", "ended_at", "due_at"),
    Index("watches_by_place", "place_key", "ended_at"),
)

audit_rows = Table(
    "audit_rows",
    metadata,
    _column("seq", BigInteger, primary_key=True, autoincrement=False),
    _column("key", Words),
    _column("person", Words, nullable=True),
    _column("entry", Words),
    _column("digest", Words),
)

audit_head = Table(
    "audit_head",
    metadata,
    _column("id", BigInteger, primary_key=True, autoincrement=False),
    _column("length", BigInteger),
    _column("digest", Words),
    _column("seal", Words),
    _column("checkpoint", BigInteger),
)

place_defaults = Table(
    "place_defaults",
    metadata,
    _column("place_key", Words, primary_key=True),
    _column("field", Words, primary_key=True),
    _column("value", Words),
    _column("value_id", Words),
    _column("set_by", Json(Person)),
    _column("set_at", Moment),
)

sentences = Table(
    "sentences",
    metadata,
    _column("key", Words, primary_key=True),
    _column("typed", Words),
    _column("expires_at", Moment),
)

threads = Table(
    "threads",
    metadata,
    _column("key", Words, primary_key=True),
    _column("typed", Words),
    _column("expires_at", Moment),
)

deliveries = Table(
    "deliveries",
    metadata,
    _column("key", Words, primary_key=True),
    _column("expires_at", Moment),
)

conversations = Table(
    "conversations",
    metadata,
    _column("whose", Words, primary_key=True),
    _column("reference", Words),
    _column("seen_at", Moment),
)

snapshots = Table(
    "snapshots",
    metadata,
    _column("connection", Words, primary_key=True),
    _column("scope", Words, primary_key=True),
    _column("content", Words),
    _column("fetched_at", Moment),
)

switches = Table(
    "switches",
    metadata,
    _column("name", Words, primary_key=True),
    _column("set_by", Json(Person)),
    _column("set_at", Moment),
)

incidents = Table(
    "incidents",
    metadata,
    _column("key", Words, primary_key=True),
    _column("about", Words),
    _column("began_at", Moment),
    _column("told_at", Moment),
    _column("over_at", Moment, nullable=True),
)
