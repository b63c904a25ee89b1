"""What the rows of the audit log say, and how it is written down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, assert_never

from bot.audit_keys import Key
from bot.redaction import redact
from bot.store.audit_rows import Row
from bot.store.schema import clean

Decision: TypeAlias = Literal[
    "asked", "confirmed", "sending", "done", "dismissed", "expired", "abandoned", "refused", "failed", "read"
]
"""What a row tells: a step of a write, a refusal, an expiry, a failure, or a read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row's content. Everything is text that names something; no values of data.

    Attributes:
        request: The request's id, which also stands in the log and on error cards.
        person: `Person.key`; empty where the name was taken off the row.
        place: `Place.key`; for a personal chat a word, since its id is as good as the person's.
        decision: What happened.
        connection: The connection's name.
        right: The right that it needed.
        sentence: From `bot.masking`, never what was typed.
        resources: Keys of what it touched.
        rule: What decided.
        ticket: The ticket's id.
        outcome: How it ended.
    """

    request: str
    person: str
    place: str
    decision: Decision
    connection: str = ""
    right: str = ""
    sentence: str = ""
    resources: tuple[str, ...] = ()
    rule: str = ""
    ticket: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """So many rows may be missing before this one: since `since` (UTC) the database did not say that it took them."""

    since: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The row numbered `upto` had this digest; it and the rows before it may be deleted."""

    upto: int
    digest: str


def as_json(value: Any) -> str:
    """One line of ASCII."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def written(at: datetime, content: Entry | Gap | Checkpoint, key: Key) -> str:
    """A row's content: one line of ASCII, the same on every engine."""
    match content:
        case Entry():
            kind = "decision"
            told: dict[str, Any] = {
                name: [redact(each) for each in value] if isinstance(value, tuple) else redact(value)
                for name, value in asdict(content).items()
            }
            told["person"] = key.person(name_in(content))
        case Gap(since, rows):
            kind, told = "gap", {"since": since.isoformat(timespec="microseconds"), "rows": rows}
        case Checkpoint(upto, digest):
            kind, told = "checkpoint", {"upto": upto, "digest": digest}
        case _:
            assert_never(content)
    return as_json({"kind": kind, "at": at.isoformat(timespec="microseconds"), **told})


def name_in(entry: Entry) -> str:
    """The name that stands beside a row."""
    return clean(redact(entry.person))


def told_by(row: Row) -> dict[str, Any]:
    """A row's content; empty where somebody has made it unreadable."""
    try:
        told = json.loads(row.entry)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
