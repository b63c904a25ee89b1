"""Rows of pending confirmations, and the atomic steps between their states. Rules and rights are `bot.writes.ticket`'s."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from bot.model.people import Confirmed, MessageRef, Person, Place
from bot.store import schema
from bot.store.store import Store, plausible_id


class State(StrEnum):
    """Where a question stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    SENDING = "sending"
    DONE = "done"
    DISMISSED = "dismissed"
    EXPIRED = "expired"
    ABANDONED = "abandoned"


class Outcome(StrEnum):
    """How a confirmed write ended; the value is how it is said."""

    STOPPED = "stopped"
    STARTED = "started"
    ENDED_BY_ITSELF = "ended by itself"
    ALREADY_OVER = "already over"
    ANOTHER_RUN = "another run"
    STILL_RUNNING = "still running"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    FAILED = "failed"
    NOTHING_SENT = "nothing sent"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One question and what became of it. All moments are in UTC.

    Attributes:
        id: Random, url-safe; the only thing a button carries.
        command: The words of the command that asked.
        sentence: The canonical sentence, resolved; empty where it was encrypted under a key that is gone.
        target_json: What the write would hit, as shown in the question.
        connection: The name of the Celonis connection.
        asker: Who asked.
        place: Where the question stands.
        created_at: When it was asked.
        expires_at: From then on nobody can answer it.
        state: Where it stands.
        messages: The messages that show the question, in the order in which they were posted.
        first: Who confirmed it first, where it needs two.
        claimed_by: Who answered it, yes or no.
        claimed_at: When.
        lease_until: Until when whoever works on it is taken to be alive.
        outcome: How it ended, for those that were claimed.
        outcome_note: One line more about it.
        finished_at: When it left the states open, claimed and sending.
    """

    id: str
    command: str
    sentence: str
    target_json: str
    connection: str
    asker: Person
    place: Place
    created_at: datetime
    expires_at: datetime
    state: State = State.OPEN
    messages: tuple[MessageRef, ...] = ()
    first: Confirmed | None = None
    claimed_by: Person | None = None
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    outcome: Outcome | None = None
    outcome_note: str = ""
    finished_at: datetime | None = None


_FIELDS = tuple(each.name for each in fields(Ticket))
_T = schema.tickets
_WORKED_ON = _T.c.state.in_((State.CLAIMED, State.SENDING))


def _ticket(store: Store, row: Any) -> Ticket:
    values = {each: getattr(row, each) for each in _FIELDS}
    values["sentence"] = store.encryption.decrypt(row.sentence) or ""
    values["state"] = State(row.state)
    values["outcome"] = None if row.outcome is None else Outcome(row.outcome)
    return Ticket(**values)


def _only(key: str | None) -> sa.ColumnElement[bool]:
    """This ticket, or each where it is None."""
    return sa.true() if key is None else _T.c.id == key


async def _select(store: Store, *conditions: sa.ColumnElement[bool]) -> tuple[Ticket, ...]:
    asked = sa.select(_T).where(*conditions).order_by(_T.c.created_at, _T.c.id)
    rows = await store.read(lambda connection: connection.execute(asked).all())
    return tuple(found for row in rows if (found := _ticket(store, row)).sentence)


async def _move(store: Store, *conditions: sa.ColumnElement[bool], **values: Any) -> tuple[Ticket, ...]:
    """One UPDATE: whoever it returns a row to, and nobody else, has made the step."""
    move = _T.update().where(*conditions).values(**values).returning(_T)
    rows = await store.write(lambda connection: connection.execute(move).all())
    moved = (_ticket(store, row) for row in rows)
    return tuple(sorted(moved, key=lambda ticket: (ticket.created_at, ticket.id)))


async def _move_one(
    store: Store, key: str, *conditions: sa.ColumnElement[bool], **values: Any
) -> Ticket | None:
    """The ticket with this id after the step, None where it did not make it; any text may be given."""
    if not plausible_id(key):
        return None
    moved = await _move(store, _T.c.id == key, *conditions, **values)
    return moved[0] if moved else None


async def insert(store: Store, ticket: Ticket) -> None:
    """Writes a new, open ticket."""
    values = {each: getattr(ticket, each) for each in _FIELDS}
    values |= {"sentence": store.encryption.encrypt(ticket.sentence), "place_key": ticket.place.key}
    await store.write(lambda connection: connection.execute(_T.insert().values(values)))


async def load(store: Store, key: str) -> Ticket | None:
    """The ticket with this id, None where there is none that can be read; any text may be asked for."""
    if not plausible_id(key):
        return None
    found = await _select(store, _T.c.id == key)
    return found[0] if found else None


async def attach(store: Store, key: str, message: MessageRef) -> None:
    """Notes one more message that shows the question, in whatever state it is."""

    def note(connection: sa.Connection) -> None:
        held = sa.select(_T.c.messages).where(_T.c.id == key).with_for_update()
        messages = connection.execute(held).scalar_one_or_none()
        if messages is not None and message not in messages:
            connection.execute(_T.update().where(_T.c.id == key).values(messages=(*messages, message)))

    await store.write(note)


async def confirm_first(
    store: Store, key: str, first: Confirmed, *, instead_of: Confirmed | None
) -> Ticket | None:
    """Notes the first of two who confirm an open ticket; None where it is not open, or somebody else was first.

    Args:
        store: Where.
        key: The ticket's id.
        first: Who, where and when.
        instead_of: The one before, whose yes no longer counts.
    """
    return await _move_one(
        store,
        key,
        _T.c.state == State.OPEN,
        _T.c.expires_at > first.at,
        _T.c.first.is_(None) if instead_of is None else _T.c.first == instead_of,
        first=first,
    )


async def answer(
    store: Store,
    key: str,
    by: Person,
    now: datetime,
    *,
    to: State,
    lease_until: datetime | None = None,
    first: Confirmed | None = None,
) -> Ticket | None:
    """Moves an open ticket that has not run out to CLAIMED or DISMISSED; None where it was not open any more, or where
    another than this one has confirmed it first.
    """
    return await _move_one(
        store,
        key,
        _T.c.state == State.OPEN,
        _T.c.expires_at > now,
        sa.true() if first is None else _T.c.first == first,
        state=to,
        claimed_by=by,
        claimed_at=now,
        lease_until=lease_until,
        finished_at=now if to is State.DISMISSED else None,
    )


async def expire(store: Store, now: datetime, key: str | None = None) -> tuple[Ticket, ...]:
    """Moves the open tickets that have run out (or only this one) to EXPIRED and returns them."""
    due = (_only(key), _T.c.state == State.OPEN, _T.c.expires_at <= now)
    return await _move(store, *due, state=State.EXPIRED, finished_at=now)


async def announce(store: Store, ticket: Ticket, now: datetime, lease_until: datetime) -> Ticket | None:
    """Moves a ticket from CLAIMED to SENDING, for the claim it holds and while its lease lasts; None otherwise."""
    return await _move_one(
        store,
        ticket.id,
        _T.c.state == State.CLAIMED,
        _T.c.claimed_at == ticket.claimed_at,
        _T.c.lease_until > now,
        state=State.SENDING,
        lease_until=lease_until,
    )


async def renew(store: Store, key: str, held_until: datetime, now: datetime, lease_until: datetime) -> bool:
    """Lengthens a lease that still lasts; False where somebody else has taken the ticket over, or it is finished."""
    still = (_WORKED_ON, _T.c.lease_until == held_until, _T.c.lease_until > now)
    return await _move_one(store, key, *still, lease_until=lease_until) is not None


async def finish(store: Store, key: str, outcome: Outcome, note: str, now: datetime) -> Ticket | None:
    """Moves a ticket from CLAIMED or SENDING to DONE; None where it was neither."""
    return await _move_one(
        store,
        key,
        _WORKED_ON,
        state=State.DONE,
        outcome=outcome,
        outcome_note=note,
        lease_until=None,
        finished_at=now,
    )


async def give_up(store: Store, now: datetime, note: str, key: str | None = None) -> tuple[Ticket, ...]:
    """Moves claimed tickets whose lease has run out (or only this one) to ABANDONED: nothing was sent for them."""
    return await _move(
        store,
        _only(key),
        _T.c.state == State.CLAIMED,
        _T.c.lease_until <= now,
        state=State.ABANDONED,
        outcome=Outcome.NOTHING_SENT,
        outcome_note=note,
        lease_until=None,
        finished_at=now,
    )


async def take_over(
    store: Store, now: datetime, lease_until: datetime, key: str | None = None
) -> tuple[Ticket, ...]:
    """Gives tickets that were being sent (or only this one), and whose lease has run out, to this caller alone."""
    left = (_only(key), _T.c.state == State.SENDING, _T.c.lease_until <= now)
    return await _move(store, *left, lease_until=lease_until)


async def open_like(store: Store, beginning: str, now: datetime) -> tuple[Ticket, ...]:
    """The questions that can still be answered and whose ids begin so; any text may be given."""
    if not plausible_id(beginning):
        return ()
    begins = _T.c.id.startswith(beginning, autoescape=True)
    return await _select(store, _T.c.state == State.OPEN, _T.c.expires_at > now, begins)


async def open_in(store: Store, place_key: str, now: datetime) -> tuple[Ticket, ...]:
    """The questions of a place that can still be answered, oldest first."""
    return await _select(store, _T.c.state == State.OPEN, _T.c.place_key == place_key, _T.c.expires_at > now)


async def carried_out(store: Store, connection: str, since: datetime, limit: int) -> tuple[Ticket, ...]:
    """The confirmed questions about a connection that took effect since then, or may have, the newest first."""
    asked = (
        sa.select(_T)
        .where(
            _T.c.state == State.DONE,
            _T.c.connection == connection,
            _T.c.claimed_at >= since,
            _T.c.outcome.not_in((Outcome.NOTHING_SENT, Outcome.REFUSED, Outcome.ALREADY_OVER)),
        )
        .order_by(_T.c.claimed_at.desc())
        .limit(limit)
    )
    rows = await store.read(lambda connection: connection.execute(asked).all())
    return tuple(_ticket(store, row) for row in rows)
