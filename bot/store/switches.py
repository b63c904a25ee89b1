"""Switches that hold for all replicas at once: each is read where it counts, and never kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.model.people import Person
from bot.store import schema
from bot.store.store import Store, upsert

_T = schema.switches
_WRITES = "writes off"


@dataclass(frozen=True, slots=True)
class Off:
    """Who switched it off, and when (UTC)."""

    by: Person
    at: datetime


async def writes_off(store: Store) -> Off | None:
    """Who switched off everything that changes Celonis; None where nobody did."""
    asked = sa.select(_T).where(_T.c.name == _WRITES)
    row = await store.read(lambda connection: connection.execute(asked).one_or_none())
    return None if row is None else Off(row.set_by, row.set_at)


async def switch_writes(store: Store, by: Person, *, on: bool) -> None:
    """Switches everything that changes Celonis on or off; whoever switched it off first stays the one who did."""
    if on:
        statement = _T.delete().where(_T.c.name == _WRITES)
    else:
        row = {"name": _WRITES, "set_by": by, "set_at": store.clock.now()}
        statement = upsert(store.dialect, _T, row).on_conflict_do_nothing()
    await store.write(lambda connection: connection.execute(statement))
