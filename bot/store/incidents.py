"""What the bot's admins were told is wrong: once among all replicas, and once that it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot.store import schema
from bot.store.store import Store, replacing

_T = schema.incidents


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong.

    Attributes:
        key: What it is, for telling it from others.
        about: How people call it.
        began_at: When it was first seen (UTC).
    """

    key: str
    about: str
    began_at: datetime


async def begin(store: Store, key: str, about: str, quiet: timedelta) -> bool:
    """Notes that something is wrong; whether that is to be told now, and by this caller alone.

    What was told less than `quiet` ago and is wrong again is not told again.
    """
    now = store.clock.now()
    row = {"key": key, "about": about, "began_at": now, "told_at": now, "over_at": None}
    untold = sa.or_(_T.c.over_at.is_not(None), _T.c.began_at > _T.c.told_at)
    due = sa.and_(untold, _T.c.told_at <= now - quiet)
    new = replacing(store.dialect, _T, row, where=due).returning(_T.c.key)
    again = _T.update().where(_T.c.key == key, _T.c.over_at.is_not(None)).values(over_at=None, began_at=now)

    def note(connection: sa.Connection) -> bool:
        if connection.execute(new).one_or_none() is not None:
            return True
        connection.execute(again)
        return False

    return await store.write(note)


async def end(store: Store, key: str) -> Incident | None:
    """Notes that it is over; the incident for the one caller who is to tell, None where nobody was told of it."""
    over = _T.update().where(_T.c.key == key, _T.c.over_at.is_(None))
    over = over.values(over_at=store.clock.now()).returning(_T.c.about, _T.c.began_at, _T.c.told_at)
    row = await store.write(lambda connection: connection.execute(over).one_or_none())
    return None if row is None or row.told_at < row.began_at else Incident(key, row.about, row.began_at)


async def open_ones(store: Store) -> tuple[str, ...]:
    """The keys of all that are not over."""
    asked = sa.select(_T.c.key).where(_T.c.over_at.is_(None))
    return tuple(await store.read(lambda connection: connection.execute(asked).scalars().all()))
