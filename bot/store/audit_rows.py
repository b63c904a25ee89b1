"""Rows of the audit log: appended one at a time over all replicas, never changed. What is in them is `bot.audit`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import schema
from bot.store.store import Store, upsert

_ROWS = schema.audit_rows
_HEAD = schema.audit_head
_ONLY = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, from 1 on; its content, one line of JSON; the digest that chains it to the row before."""

    seq: int
    entry: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends: how many rows, the digest of the last one, and a seal over both."""

    count: int = 0
    digest: str = ""
    seal: str = ""


async def _newest(connection: AsyncConnection) -> Row | None:
    row = (await connection.execute(sa.select(_ROWS).order_by(_ROWS.c.seq.desc()).limit(1))).one_or_none()
    return None if row is None else _row(row)


def _row(row: Any) -> Row:
    return Row(row.seq, row.entry, row.digest)


async def append(store: Store, make: Callable[[Head, Row | None], tuple[Row, Head]]) -> Row:
    """Appends one row; of several replicas that do, each waits for the one before it.

    Args:
        store: Where.
        make: Gets the head and the newest row as they are now; gives the row to append and the new head.
    """
    first = upsert(store.dialect, _HEAD, {"id": _ONLY, "length": 0, "digest": "", "seal": ""})
    async with store.writing() as connection:
        await connection.execute(first.on_conflict_do_nothing())
        found = (
            await connection.execute(sa.select(_HEAD).where(_HEAD.c.id == _ONLY).with_for_update())
        ).one()
        row, head = make(Head(found.length, found.digest, found.seal), await _newest(connection))
        await connection.execute(_ROWS.insert().values(seq=row.seq, entry=row.entry, digest=row.digest))
        await connection.execute(
            _HEAD.update()
            .where(_HEAD.c.id == _ONLY)
            .values(length=head.count, digest=head.digest, seal=head.seal)
        )
    return row


async def after(store: Store, seq: int, limit: int) -> tuple[Row, ...]:
    """The rows behind this number, in order, at most `limit`."""
    async with store.reading() as connection:
        rows = await connection.execute(
            sa.select(_ROWS).where(_ROWS.c.seq > seq).order_by(_ROWS.c.seq).limit(limit)
        )
        return tuple(_row(row) for row in rows)


async def newest(store: Store, limit: int) -> tuple[Row, ...]:
    """The last rows, newest first."""
    async with store.reading() as connection:
        rows = await connection.execute(sa.select(_ROWS).order_by(_ROWS.c.seq.desc()).limit(limit))
        return tuple(_row(row) for row in rows)


async def end(store: Store) -> tuple[Head, int]:
    """The head, and the highest number of a row (0 without any), both of the same moment."""
    highest = sa.select(sa.func.coalesce(sa.func.max(_ROWS.c.seq), 0)).scalar_subquery()
    one = sa.select(sa.literal(_ONLY).label("id")).subquery()
    statement = sa.select(_HEAD.c.length, _HEAD.c.digest, _HEAD.c.seal, highest.label("highest")).select_from(
        one.outerjoin(_HEAD, _HEAD.c.id == one.c.id)
    )
    async with store.reading() as connection:
        found = (await connection.execute(statement)).one()
    return Head(found[0] or 0, found[1] or "", found[2] or ""), int(found[3])
