"""Rows of pending confirmations, and the atomic steps between their states. Rules and rights are `bot.writes.ticket`'s."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from bot.model.people import MessageRef, Person, Place
from bot.store import schema
from bot.store.store import Store, as_json, person_from, place_from, plausible_id

_MESSAGES: TypeAdapter[tuple[MessageRef, ...]] = TypeAdapter(tuple[MessageRef, ...])


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
    claimed_by: Person | None = None
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    outcome: Outcome | None = None
    outcome_note: str = ""
    finished_at: datetime | None = None


def _ticket(store: Store, row: Any) -> Ticket:
    return Ticket(
        id=row.id,
        command=row.command,
        sentence=store.encryption.decrypt(row.sentence) or "",
        target_json=row.target,
        connection=row.connection,
        asker=person_from(row.asker),
        place=place_from(row.place),
        created_at=row.created_at,
        expires_at=row.expires_at,
        state=State(row.state),
        messages=_messages(row.message),
        claimed_by=None if row.claimed_by is None else person_from(row.claimed_by),
        claimed_at=row.claimed_at,
        lease_until=row.lease_until,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        outcome_note=row.outcome_note,
        finished_at=row.finished_at,
    )


def _messages(written: str | None) -> tuple[MessageRef, ...]:
    return () if written is None else _MESSAGES.validate_json(written)


_T = schema.tickets


async def _select(store: Store, *conditions: sa.ColumnElement[bool]) -> tuple[Ticket, ...]:
    asked = sa.select(_T).where(*conditions).order_by(_T.c.created_at, _T.c.id)
    rows = await store.read(lambda connection: connection.execute(asked).all())
    return tuple(found for row in rows if (found := _ticket(store, row)).sentence)


async def _move(
    store: Store, conditions: Sequence[sa.ColumnElement[bool]], **values: Any
) -> tuple[Ticket, ...]:
    """One UPDATE: whoever it returns a row to, and nobody else, has made the step."""
    move = _T.update().where(*conditions).values(**values).returning(_T)
    rows = await store.write(lambda connection: connection.execute(move).all())
    moved = (_ticket(store, row) for row in rows)
    return tuple(sorted(moved, key=lambda ticket: (ticket.created_at, ticket.id)))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(_T.c.state == State.OPEN, _T.c.expires_at <= now)


async def insert(store: Store, ticket: Ticket) -> None:
    """Writes a new, open ticket."""
    row = _T.insert().values(
        id=ticket.id,
        command=ticket.command,
        sentence=store.encryption.encrypt(ticket.sentence),
        target=ticket.target_json,
        connection=ticket.connection,
        asker=as_json(ticket.asker),
        place_key=ticket.place.key,
        place=as_json(ticket.place),
        created_at=ticket.created_at,
        expires_at=ticket.expires_at,
        state=ticket.state,
        outcome_note=ticket.outcome_note,
    )
    await store.write(lambda connection: connection.execute(row))


async def load(store: Store, key: str) -> Ticket | None:
    """The ticket with this id, None where there is none that can be read; any text may be asked for."""
    if not plausible_id(key):
        return None
    found = await _select(store, _T.c.id == key)
    return found[0] if found else None


async def attach(store: Store, key: str, message: MessageRef) -> None:
    """Notes one more message that shows the question, in whatever state it is."""

    def note(connection: sa.Connection) -> None:
        held = sa.select(_T.c.message).where(_T.c.id == key).with_for_update()
        messages = _messages(connection.execute(held).scalar_one_or_none())
        if message not in messages:
            written = json.dumps([asdict(each) for each in (*messages, message)], ensure_ascii=False)
            connection.execute(_T.update().where(_T.c.id == key).values(message=written))

    await store.write(note)


async def answer(
    store: Store, key: str, by: Person, now: datetime, *, to: State, lease_until: datetime | None = None
) -> Ticket | None:
    """Moves an open ticket that has not run out to CLAIMED or DISMISSED; None where it was not open any more."""
    if not plausible_id(key):
        return None
    moved = await _move(
        store,
        [_T.c.id == key, _T.c.state == State.OPEN, _T.c.expires_at > now],
        state=to,
        claimed_by=as_json(by),
        claimed_at=now,
        lease_until=lease_until,
        finished_at=now if to is State.DISMISSED else None,
    )
    return moved[0] if moved else None


async def expire(store: Store, now: datetime, key: str | None = None) -> tuple[Ticket, ...]:
    """Moves the open tickets that have run out (or only this one) to EXPIRED and returns them."""
    conditions = [_is_due(now)] if key is None else [_T.c.id == key, _is_due(now)]
    return await _move(store, conditions, state=State.EXPIRED, finished_at=now)


async def announce(store: Store, ticket: Ticket, now: datetime, lease_until: datetime) -> Ticket | None:
    """Moves a ticket from CLAIMED to SENDING, for the claim it holds and while its lease lasts; None otherwise."""
    moved = await _move(
        store,
        [
            _T.c.id == ticket.id,
            _T.c.state == State.CLAIMED,
            _T.c.claimed_at == ticket.claimed_at,
            _T.c.lease_until > now,
        ],
        state=State.SENDING,
        lease_until=lease_until,
    )
    return moved[0] if moved else None


async def renew(store: Store, key: str, held_until: datetime, now: datetime, lease_until: datetime) -> bool:
    """Lengthens a lease that still lasts; False where somebody else has taken the ticket over, or it is finished."""
    moved = await _move(
        store,
        [
            _T.c.id == key,
            _T.c.state.in_((State.CLAIMED, State.SENDING)),
            _T.c.lease_until == held_until,
            _T.c.lease_until > now,
        ],
        lease_until=lease_until,
    )
    return bool(moved)


async def finish(store: Store, key: str, outcome: Outcome, note: str, now: datetime) -> Ticket | None:
    """Moves a ticket from CLAIMED or SENDING to DONE; None where it was neither."""
    if not plausible_id(key):
        return None
    moved = await _move(
        store,
        [_T.c.id == key, _T.c.state.in_((State.CLAIMED, State.SENDING))],
        state=State.DONE,
        outcome=outcome,
        outcome_note=note,
        lease_until=None,
        finished_at=now,
    )
    return moved[0] if moved else None


def _run_out(state: State, now: datetime, key: str | None) -> list[sa.ColumnElement[bool]]:
    conditions = [_T.c.state == state, _T.c.lease_until <= now]
    return conditions if key is None else [*conditions, _T.c.id == key]


async def give_up(store: Store, now: datetime, note: str, key: str | None = None) -> tuple[Ticket, ...]:
    """Moves claimed tickets whose lease has run out (or only this one) to ABANDONED: nothing was sent for them."""
    return await _move(
        store,
        _run_out(State.CLAIMED, now, key),
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
    return await _move(store, _run_out(State.SENDING, now, key), lease_until=lease_until)


async def open_in(store: Store, place_key: str, now: datetime) -> tuple[Ticket, ...]:
    """The questions of a place that can still be answered, oldest first."""
    return await _select(store, _T.c.state == State.OPEN, _T.c.place_key == place_key, _T.c.expires_at > now)
