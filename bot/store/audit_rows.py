"""Rows of the audit log: appended in one order over all replicas, never changed. What is in them is `bot.audit`'s.

The database itself allows two things more: taking the name off a row, and deleting rows below a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bot.store import schema
from bot.store.store import Store, upsert

_ROWS = schema.audit_rows
_HEAD = schema.audit_head
_ONLY = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        seq: Its number, from 1 on.
        key: Which key made the digest.
        entry: Its content, one line of JSON.
        digest: Chains it to the row before.
        person: Whose it is, beside what the digest covers; None where it is nobody's, or the name was taken off.
    """

    seq: int
    key: str
    entry: str
    digest: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends: how many rows were written, the digest of the last one, and a seal over both."""

    count: int = 0
    digest: str = ""
    seal: str = ""

    def __str__(self) -> str:
        return f"{self.count}:{self.digest}"


def _number(found: Any) -> int:
    """A number as the bot wrote it; SQLite holds anything in any column, and what is no number becomes -1."""
    return found if isinstance(found, int) else -1


def _row(row: Any) -> Row:
    person = None if row.person is None else str(row.person)
    return Row(_number(row.seq), str(row.key), str(row.entry), str(row.digest), person)


def _found(connection: sa.Connection, wanted: Iterable[int]) -> dict[int, Row]:
    newest = sa.select(sa.func.max(_ROWS.c.seq)).scalar_subquery()
    rows = connection.execute(sa.select(_ROWS).where(_ROWS.c.seq.in_([*wanted]) | (_ROWS.c.seq == newest)))
    return {row.seq: row for row in map(_row, rows)}


async def append(
    store: Store,
    make: Callable[[Head, Mapping[int, Row]], tuple[Sequence[Row], Head]],
    *,
    wanted: Iterable[int] = (),
    checkpoint: int = 0,
) -> Head:
    """Appends rows; of several replicas that do, each waits for the one before it.

    Args:
        store: Where.
        make: Gets the head as it is now, and the newest row and the wanted ones by number where they are there;
            gives the rows to append and the new head. What it raises takes everything back.
        wanted: Numbers of rows that `make` has to see.
        checkpoint: Delete the rows up to this one, for which one of the new rows vouches.

    Returns:
        The new head.
    """
    nothing = {"id": _ONLY, "length": 0, "digest": "", "seal": "", "checkpoint": 0}

    def work(connection: sa.Connection) -> Head:
        connection.execute(upsert(store.dialect, _HEAD, nothing).on_conflict_do_nothing())
        found = connection.execute(sa.select(_HEAD).where(_HEAD.c.id == _ONLY).with_for_update()).one()
        before = Head(_number(found.length), str(found.digest), str(found.seal))
        rows, head = make(before, _found(connection, wanted))
        connection.execute(
            _ROWS.insert(), [{each: getattr(row, each) for each in Row.__slots__} for row in rows]
        )
        new: dict[str, Any] = {"length": head.count, "digest": head.digest, "seal": head.seal}
        if checkpoint:
            new["checkpoint"] = checkpoint
        connection.execute(_HEAD.update().where(_HEAD.c.id == _ONLY).values(new))
        if checkpoint:
            connection.execute(_ROWS.delete().where(_ROWS.c.seq <= checkpoint))
        return head

    return await store.write(work)


async def after(store: Store, seq: int, limit: int) -> tuple[Row, ...]:
    """The rows behind this number, in order, at most `limit`."""
    asked = sa.select(_ROWS).where(_ROWS.c.seq > seq).order_by(_ROWS.c.seq).limit(limit)
    return tuple(map(_row, await store.read(lambda connection: connection.execute(asked).all())))


async def newest(store: Store, limit: int) -> tuple[Row, ...]:
    """The last rows, newest first, at most `limit`."""
    asked = sa.select(_ROWS).order_by(_ROWS.c.seq.desc()).limit(limit)
    return tuple(map(_row, await store.read(lambda connection: connection.execute(asked).all())))


async def forget(store: Store, person: str) -> int:
    """Takes a person's name off all their rows; how many they were."""
    nameless = _ROWS.update().where(_ROWS.c.person == person).values(person=None)
    return await store.write(lambda connection: connection.execute(nameless).rowcount)


async def end(store: Store) -> tuple[Head, int]:
    """The head, and the highest number of a row (0 without any), both of the same moment."""
    highest = sa.select(sa.func.coalesce(sa.func.max(_ROWS.c.seq), 0)).scalar_subquery()
    one = sa.select(sa.literal(_ONLY).label("id")).subquery()
    statement = sa.select(_HEAD.c.length, _HEAD.c.digest, _HEAD.c.seal, highest.label("highest")).select_from(
        one.outerjoin(_HEAD, _HEAD.c.id == one.c.id)
    )
    found = await store.read(lambda connection: connection.execute(statement).one())
    if found.length is None:
        return Head(), _number(found.highest)
    return Head(_number(found.length), str(found.digest), str(found.seal)), _number(found.highest)
