"""Rows of what is watched, guarded and told at set times. What they look at and say is `bot.commands.watches`'.

Of two programs one gets a watch that is due: `claim` leases it, and only the holder of that lease may `record` what it
has said. A program that dies in between leaves a lease that runs out. What was posted just before that death and not
recorded may be posted once more; nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from bot.model.people import MessageRef, Person, Place
from bot.store import schema
from bot.store.store import Store, plausible_id


class WatchKind(StrEnum):
    """What a watch does when its time has come."""

    JOB = "job"
    POOL = "pool"
    ALERT = "alert"
    GUARD = "guard"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Watch:
    """One thing that somebody asked to be told of. All moments are in UTC.

    Attributes:
        id: Short, for people to type; unique.
        kind: What it does.
        sentence: How it was asked for, as the exact language says it: the only source of what it is about and when it
            comes.
        connection: The name of the Celonis connection.
        owner: Who asked for it; their rights are judged each time it speaks.
        place: Where it speaks, with its thread.
        zone: Whose clock its times are read from; an IANA name.
        created_at: When it was asked for.
        due_at: When it is looked at next.
        state: What was last seen and said, as its kind writes it: ids, states and times of runs, which side of a line a
            KPI was on. Never a value or a name that Celonis returned, but for the ids.
        messages: What it has posted and may still change.
        snoozed_until: It is silent until then.
        undelivered_since: Since when its place cannot be reached.
        ended_at: From then on it does nothing.
        lease_until: Until when whoever works on it is taken to be alive.
    """

    id: str
    kind: WatchKind
    sentence: str
    connection: str
    owner: Person
    place: Place
    zone: str
    created_at: datetime
    due_at: datetime
    state: str = ""
    messages: tuple[MessageRef, ...] = ()
    snoozed_until: datetime | None = None
    undelivered_since: datetime | None = None
    ended_at: datetime | None = None
    lease_until: datetime | None = None


_FIELDS = tuple(each.name for each in fields(Watch))
_T = schema.watches
_LIVES = _T.c.ended_at.is_(None)


def _watch(store: Store, row: Any) -> Watch:
    values = {each: getattr(row, each) for each in _FIELDS}
    values["sentence"] = store.encryption.decrypt(row.sentence) or ""
    values["kind"] = WatchKind(row.kind)
    return Watch(**values)


async def insert(store: Store, watch: Watch) -> bool:
    """Writes a new watch. False: the id is taken; nothing was written."""
    values = {each: getattr(watch, each) for each in _FIELDS} | {
        "sentence": store.encryption.encrypt(watch.sentence),
        "place_key": watch.place.key,
        "owner_key": watch.owner.key,
    }

    def put(connection: sa.Connection) -> bool:
        if connection.execute(sa.select(_T.c.id).where(_T.c.id == watch.id)).one_or_none():
            return False
        connection.execute(_T.insert().values(values))
        return True

    return await store.write(put)


async def load(store: Store, key: str) -> Watch | None:
    """The watch with this id that has not ended, None where there is none; any text may be asked for."""
    found = await _select(store, _T.c.id == key) if plausible_id(key) else ()
    return found[0] if found else None


async def living(store: Store, *, place_key: str = "", owner_key: str = "") -> tuple[Watch, ...]:
    """Those that have not ended, oldest first.

    Args:
        store: The database.
        place_key: Only those that speak in this place (`Place.key`).
        owner_key: Only those of this person (`Person.key`).
    """
    only = [_T.c.place_key == place_key] if place_key else []
    only += [_T.c.owner_key == owner_key] if owner_key else []
    return await _select(store, *only)


async def _select(store: Store, *conditions: sa.ColumnElement[bool]) -> tuple[Watch, ...]:
    asked = sa.select(_T).where(_LIVES, *conditions).order_by(_T.c.created_at, _T.c.id)
    rows = await store.read(lambda connection: connection.execute(asked).all())
    # What was encrypted under a key that is gone says nothing any more.
    return tuple(found for row in rows if (found := _watch(store, row)).sentence)


async def change(store: Store, key: str, **values: Any) -> bool:
    """Changes what people may change of a watch: `sentence`, `due_at`, `state`, `snoozed_until`, `ended_at`, `messages`.

    Whoever works on it at that moment loses it, so that what they say of the watch as it was is not recorded over this.

    Returns:
        False: there is none (any more).
    """
    if "sentence" in values:
        values["sentence"] = store.encryption.encrypt(values["sentence"])
    move = _T.update().where(_T.c.id == key, _LIVES).values(lease_until=None, **values)
    return await store.write(lambda connection: connection.execute(move).rowcount) == 1


async def claim(store: Store, now: datetime, lease_until: datetime, most: int) -> tuple[Watch, ...]:
    """Gives watches that are due, and that nobody works on, to this caller alone, the longest overdue first.

    Args:
        store: The database.
        now: What is due by then.
        lease_until: Until when the caller has them.
        most: How many at the most.
    """
    free = sa.or_(_T.c.lease_until.is_(None), _T.c.lease_until <= now)
    due = sa.select(_T.c.id).where(_LIVES, _T.c.due_at <= now, free).order_by(_T.c.due_at).limit(most)
    if store.dialect == "postgresql":
        due = due.with_for_update(skip_locked=True)
    # Looked at once more by the change itself: another program may have been faster.
    take = _T.update().where(_T.c.id.in_(due), free).values(lease_until=lease_until).returning(_T)
    rows = await store.write(lambda connection: connection.execute(take).all())
    return tuple(sorted((_watch(store, row) for row in rows), key=lambda each: (each.due_at, each.id)))


async def renew(store: Store, watch: Watch, lease_until: datetime) -> bool:
    """Lengthens the lease of a claimed watch. False: it is not this caller's any more."""
    return await _held(store, watch, lease_until=lease_until)


async def record(store: Store, watch: Watch, *, release: bool = True, **values: Any) -> bool:
    """Writes what became of a claimed watch, and gives it back.

    Args:
        store: The database.
        watch: As it was claimed or renewed: its lease is the proof.
        release: Whether the caller is done with it.
        values: New `state`, `messages`, `due_at`, `undelivered_since`, `ended_at`.

    Returns:
        False: it is not this caller's any more, or was changed by somebody meanwhile; nothing was written.
    """
    return await _held(store, watch, **({"lease_until": None} if release else {}), **values)


async def _held(store: Store, watch: Watch, **values: Any) -> bool:
    mine = (_T.c.id == watch.id, _LIVES, _T.c.lease_until == watch.lease_until)
    move = _T.update().where(*mine).values(**values)
    return await store.write(lambda connection: connection.execute(move).rowcount) == 1
