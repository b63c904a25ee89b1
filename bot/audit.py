"""What was decided: a log that only grows, in which a change, a gap or a cut shows.

Each row holds an HMAC over its own content and the digest of the row before, so nobody without the key, which is
not in the database, can change, remove, reorder or insert one without breaking the chain. The head (how many rows,
last digest) is sealed likewise, so that cutting rows off shows too. One thing the database alone cannot show: that
all of it was put back to an earlier, whole state. Whoever keeps the head that `verify` prints elsewhere, and hands
it to a later `verify`, sees that as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, assert_never

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.errors import BadArgument, ConfigError
from bot.intents import (
    And,
    Comparison,
    Condition,
    Count,
    Flag,
    Intent,
    Names,
    Not,
    OneName,
    OneOf,
    Or,
    Phrase,
    SomeOf,
    SortBy,
    Takes,
    Where,
    clauses,
    say,
)
from bot.redaction import redact
from bot.store import Store, audit_rows
from bot.store.audit_rows import Head, Row

MASK = "…"
SHORTEST_KEY = 16
_PAGE = 500
_BEFORE_ALL = -(2**63)
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})?\Z", re.ASCII)

Decision: TypeAlias = Literal[
    "asked", "confirmed", "sending", "done", "dismissed", "expired", "abandoned", "refused", "failed", "read"
]
"""What a row tells: a step of a write, a refusal, an expiry, a failure, or a read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row's content. Everything is text that names something; no values of data.

    Attributes:
        request: The request's id, which also stands in the log and on error cards.
        person: `Person.key`.
        place: `Place.key`.
        decision: What happened.
        connection: The connection's name.
        right: The right that it needed.
        sentence: From `mask`, never what was typed.
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
class Logged:
    """A row as it is in the log; `at` (UTC) and `entry` are None where somebody has made it unreadable."""

    seq: int
    at: datetime | None
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Verified:
    """Nothing is wrong. `head` is what a later `verify` can be given."""

    count: int
    head: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Something is wrong from row `at` on; `why` is a sentence."""

    at: int
    why: str


@dataclass(frozen=True, slots=True)
class _Stamped:
    at: datetime
    entry: Entry


_STAMPED = TypeAdapter(_Stamped)


class Audit:
    """The log of one bot. Its methods raise `StoreUnavailable` where the database does not answer."""

    def __init__(self, store: Store, key: bytes, clock: Clock) -> None:
        """Takes what it works with.

        Args:
            store: Shared by all replicas.
            key: Secret, at least 16 bytes, the same for all replicas and for the life of the log.
            clock: Stamps the rows.

        Raises:
            ConfigError: The key is too short.
        """
        if len(key) < SHORTEST_KEY:
            raise ConfigError([f"CELONIS_CHAT_SECRET_KEY must have at least {SHORTEST_KEY} characters"])
        self._store = store
        self._clock = clock
        self._row_key = hmac.digest(key, b"celonis-chat audit row", hashlib.sha256)
        self._head_key = hmac.digest(key, b"celonis-chat audit head", hashlib.sha256)

    async def write(self, entry: Entry) -> None:
        """Appends a row. When this returns, it is durable; a write must not go on before that."""
        content = _content(_Stamped(self._clock.now(), entry))

        def make(head: Head, newest: Row | None) -> tuple[Row, Head]:
            sound = self._seals(head) and (newest.seq if newest else 0) <= head.count
            # A tampered log still takes rows. They then follow on what is there, and the seal stays broken for good.
            before = (
                head
                if sound
                else Head(max(head.count, newest.seq if newest else 0), newest.digest if newest else "")
            )
            row = self._chained(before.count + 1, content, before.digest)
            new = Head(row.seq, row.digest)
            return row, replace(new, seal=self._seal(new) if sound else "broken")

        await audit_rows.append(self._store, make)

    async def verify(self, head: str = "") -> Verified | Broken:
        """Reads the whole log and says whether it is what was written.

        Args:
            head: From an earlier `verify`, kept outside the database; the log must still hold that row.

        Raises:
            BadArgument: `head` is not what `verify` prints.
        """
        kept = _HEAD.match(head.strip())
        if head and not kept:
            raise BadArgument(
                "That is no head of the audit log.", hint="It looks like 12:9f86d0…, a number and 64 digits."
            )
        at, digest = (int(kept[1]), kept[2] or "") if kept else (0, "")
        last, reached = Head(), _BEFORE_ALL
        while True:
            for row in await audit_rows.after(self._store, reached, _PAGE):
                if problem := self._problem(row, last):
                    return problem
                last, reached = Head(row.seq, row.digest), row.seq
                if row.seq == at and row.digest != digest:
                    return Broken(
                        at, f"Row {at} is not the one that the given head names: the log was rewritten."
                    )
            end, highest = await audit_rows.end(self._store)
            if highest <= last.count:
                break
        if at > last.count:
            return Broken(
                last.count + 1,
                f"The given head names row {at}, but the log ends with row {last.count}: rows were cut off.",
            )
        if not self._seals(end):
            return Broken(
                last.count + 1,
                "The log's end is not sealed with this key: it was tampered with, or the key is another one.",
            )
        if (end.count, end.digest) != (last.count, last.digest):
            return Broken(
                last.count + 1,
                f"The log ends with row {last.count}, but {end.count} were written: rows were cut off.",
            )
        return Verified(last.count, f"{last.count}:{last.digest}")

    async def export(self) -> AsyncIterator[str]:
        """Every row as a line of JSON with `seq`, `digest` and `entry`, oldest first; lines have no end of line."""
        seq = _BEFORE_ALL
        while rows := await audit_rows.after(self._store, seq, _PAGE):
            for row in rows:
                yield _json({"seq": row.seq, "digest": row.digest, "entry": _readable(row.entry)})
            seq = rows[-1].seq

    async def recent(self, most: int) -> tuple[Logged, ...]:
        """The last rows, newest first, at most `most`."""
        return tuple(_logged(row) for row in await audit_rows.newest(self._store, max(0, most)))

    def _chained(self, seq: int, content: str, before: str) -> Row:
        message = f"{seq}\n{before}\n{content}".encode()
        return Row(seq, content, hmac.new(self._row_key, message, hashlib.sha256).hexdigest())

    def _problem(self, row: Row, last: Head) -> Broken | None:
        if row.seq <= last.count:
            return Broken(row.seq, f"Row {row.seq} was never written by the bot.")
        if row.seq > last.count + 1:
            return Broken(last.count + 1, f"Row {last.count + 1} is missing.")
        if not hmac.compare_digest(
            self._chained(row.seq, row.entry, last.digest).digest,
            row.digest.encode("ascii", "replace").decode(),
        ):
            return Broken(row.seq, f"Row {row.seq} is not what was written, or not where it was written.")
        return None

    def _seal(self, head: Head) -> str:
        return hmac.new(self._head_key, f"{head.count}\n{head.digest}".encode(), hashlib.sha256).hexdigest()

    def _seals(self, head: Head) -> bool:
        """Whether a head is as the bot left it; before the first row there is none."""
        return head == Head() or hmac.compare_digest(
            self._seal(head).encode(), head.seal.encode("utf-8", "replace")
        )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _content(stamped: _Stamped) -> str:
    """A row's content: one line of ASCII, the same on every engine."""
    entry = {
        name: [redact(each) for each in value] if isinstance(value, tuple) else redact(value)
        for name, value in asdict(stamped.entry).items()
    }
    return _json({"at": stamped.at.isoformat(timespec="microseconds"), "entry": entry})


def _readable(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def _logged(row: Row) -> Logged:
    try:
        found = _STAMPED.validate_python(json.loads(row.entry))
    except (ValueError, ValidationError):
        return Logged(row.seq, None, None)
    return Logged(row.seq, found.at, found.entry)


# --- sentences without values ----------------------------------------------------------------------------------


def mask(intent: Intent) -> str:
    """The canonical sentence with everything that could be data as `…`; names and ids stay."""
    masked = {}
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        if value != each.default:
            masked[each.name] = _masked(how.takes, value)
    return redact(say(replace(intent, **masked)))


def _masked(takes: Takes, value: Any) -> Any:
    match takes:
        case Where():
            return _masked_condition(value)
        case Phrase():
            return MASK
        case OneName() | Names() | OneOf() | SomeOf() | Count() | Flag() | SortBy():
            return value
        case _:
            assert_never(takes)


def _masked_condition(condition: Condition) -> Condition:
    match condition:
        case Comparison(name, op, values):
            return Comparison(name, op, (MASK,) * min(len(values), 2))
        case Not(part):
            return Not(_masked_condition(part))
        case And(parts):
            return And(tuple(_masked_condition(part) for part in parts))
        case Or(parts):
            return Or(tuple(_masked_condition(part) for part in parts))
        case _:
            assert_never(condition)
