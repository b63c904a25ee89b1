"""What the rows of the audit log say, how it is written down, and the digests and seals that vouch for it."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypeAlias, assert_never

from bot.model.errors import ConfigError
from bot.redaction import redact
from bot.store.audit_rows import Head, Row
from bot.store.schema import clean

SHORTEST_KEY = 16
_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_redacted = lru_cache(maxsize=2_000)(redact)
"""Rows say the same sentences, names and places again and again."""
_SEAL = re.compile(r"([0-9a-f]{8}):([0-9a-f]{64})\Z", re.ASCII)

Decision: TypeAlias = Literal[
    "asked",
    "first",
    "alone",
    "confirmed",
    "sending",
    "done",
    "dismissed",
    "expired",
    "abandoned",
    "refused",
    "failed",
    "read",
    "changed",
]
"""What a row tells: a step of a write (`first` of two who confirm, or `alone` without the second), a refusal, an
expiry, a failure, a read, or that something of the bot's own was changed."""


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
    return _JSON.encode(value)


def written(at: datetime, content: Entry | Gap | Checkpoint, key: Key) -> str:
    """A row's content: one line of ASCII, the same on every engine."""
    match content:
        case Entry():
            kind = "decision"
            told: dict[str, Any] = {
                name: [_redacted(each) for each in value] if isinstance(value, tuple) else _redacted(value)
                for name in Entry.__slots__
                for value in (getattr(content, name),)
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
    return clean(_redacted(entry.person))


def told_by(row: Row) -> dict[str, Any]:
    """A row's content; empty where somebody has made it unreadable."""
    try:
        told = json.loads(row.entry)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def written_at(row: Row) -> datetime | None:
    """When a row was written; None where nobody can read it any more."""
    try:
        return datetime.fromisoformat(str(told_by(row).get("at")))
    except ValueError:
        return None


# --- what vouches for them


class Key:
    """A secret key with the id that rows name it by."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self.mac("key id")[:8]

    def mac(self, purpose: str, *parts: str | int) -> str:
        """64 hex digits over a purpose, so that a digest made for one is none for another, and what belongs to it."""
        message = "\n".join(("celonis-chat audit", purpose, *map(str, parts)))
        return hmac.digest(self._secret, message.encode("utf-8", "surrogatepass"), "sha256").hex()

    def person(self, name: str) -> str:
        """What a row says instead of a person's name: the same for all rows of a person under this key."""
        return self.mac("person", name)

    def seal(self, head: Head) -> str:
        """Names the key, and vouches for number and digest of a head."""
        return f"{self.id}:{self.mac('head', head.count, head.digest)}"

    def chained(self, seq: int, before: str, content: str, person: str | None = None) -> Row:
        """The row behind the one with the digest `before`."""
        return Row(seq, self.id, content, self.mac("row", seq, self.id, before, content), person)


class Keys:
    """The keys that are given."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Takes them.

        Args:
            secrets: At least 16 bytes each; the first one is for new rows.

        Raises:
            ConfigError: One is too short.
        """
        if any(len(secret) < SHORTEST_KEY for secret in secrets):
            raise ConfigError([f"CELONIS_CHAT_SECRET_KEY must have at least {SHORTEST_KEY} characters"])
        keys = [Key(secret) for secret in secrets]
        self.newest = keys[0] if keys else None
        self._by_id = {key.id: key for key in keys}

    def named(self, name: str, what: str) -> Key:
        """The key with this id.

        Args:
            name: The id, as the database has it.
            what: What was written with it, for the error.

        Raises:
            ConfigError: It was not given.
        """
        if name not in self._by_id:
            raise ConfigError(
                [
                    (
                        f"CELONIS_CHAT_SECRET_KEY does not hold the key {redact(name)[:8]!r}, with which {what} of the audit "
                        "log was written. Put it behind the first one, with a comma between them; if there never was "
                        "such a key, the log was changed."
                    )
                ]
            )
        return self._by_id[name]

    def seals(self, head: Head) -> bool:
        """Whether a head is as the bot left it; before the first row there is none.

        Raises:
            ConfigError: It was sealed with a key that is not there.
        """
        if head == Head():
            return True
        sealed = _SEAL.match(head.seal)
        return sealed is not None and same(self.named(sealed[1], "the end").seal(head), head.seal)


def same(ours: str, found: str) -> bool:
    """Compares a digest of ours with what was found, in a time that tells nothing."""
    return hmac.compare_digest(ours.encode(), found.encode("utf-8", "replace"))
