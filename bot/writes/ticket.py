"""The life of a question before a write: what a click counts for, and how often.

The way of a confirmed write, each step durable before the next::

    open() -> claim() -> approve() -> [look once more] -> sending() -> approval.use(part) -> the call -> finish()

A program that dies before `sending()` has sent nothing, and one that dies behind it may have sent its call: the
first leaves a ticket that `abandoned()` ends, the second one that it hands to exactly one caller, who looks up what
happened. Nothing here ever leads to a second call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from bot.model.approval import Approval, spent
from bot.model.clock import Clock
from bot.model.errors import TicketGone
from bot.model.people import Confirmed, MessageRef, Person, Place
from bot.store import Store, tickets
from bot.store.store import plausible_id
from bot.store.tickets import Outcome, State, Ticket
from bot.writes.approval import approve, read, written

__all__ = ["Claimed", "Lost", "Outcome", "State", "Ticket", "Tickets", "target_of"]

T = TypeVar("T")

LEASE = timedelta(seconds=60)
_NOTHING_SENT = "The program stopped before anything was sent."


@dataclass(slots=True)
class _Hold:
    """What this program knows of a ticket it works on: until when it is its own, and how far it is."""

    until: datetime
    until_monotonic: float
    approved: bool = False
    announced: bool = False
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    """Renewing and announcing both move the lease; one that overtook the other would take it for lost."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """This click has won; nobody else gets this ticket."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Lost:
    """There is nothing to confirm: the ticket as it stands now, or None where there is no such ticket."""

    ticket: Ticket | None


Claim: TypeAlias = Claimed | Lost


class Tickets:
    """The questions of this bot. Every method raises `StoreUnavailable` where the database does not answer; then
    nothing may be sent.
    """

    def __init__(
        self, store: Store, clock: Clock, token: Callable[[], str], *, lease: timedelta = LEASE
    ) -> None:
        """Takes what it works with.

        Args:
            store: Shared by all replicas.
            clock: Decides what has run out; the replicas' clocks must agree to within a fraction of the lease.
            token: Gives a new id at each call: 128 random bits, url-safe (`secrets.token_urlsafe(16)`).
            lease: How long whoever works on a ticket is taken to be alive without a sign.
        """
        self._store = store
        self._clock = clock
        self._token = token
        self._lease = lease
        self._held: dict[str, _Hold] = {}

    async def open(
        self,
        *,
        command: str,
        sentence: str,
        target: object,
        connection: str,
        asker: Person,
        place: Place,
        expires_in: timedelta,
    ) -> Ticket:
        """Writes down a question before it is asked.

        Args:
            command: The command's words.
            sentence: The canonical sentence, resolved.
            target: What would be hit: a frozen dataclass that comes back from JSON as it went in.
            connection: The connection's name.
            asker: Who asked.
            place: Where the question will stand.
            expires_in: How long it can be answered.

        Raises:
            TypeError: The target is no such dataclass.
        """
        now = self._clock.now()
        ticket = Ticket(
            id=self._token(),
            command=command,
            sentence=sentence,
            target_json=written(target),
            connection=connection,
            asker=asker,
            place=place,
            created_at=now,
            expires_at=now + expires_in,
        )
        await tickets.insert(self._store, ticket)
        return ticket

    async def load(self, key: str) -> Ticket | None:
        """The ticket with this id, which may be any text; None where there is none (any more)."""
        return await tickets.load(self._store, key)

    async def attach(self, key: str, message: MessageRef) -> None:
        """Notes one more message that shows the question."""
        await tickets.attach(self._store, key, message)

    async def confirm_first(self, ticket: Ticket, by: Person, place: Place) -> Ticket | None:
        """Notes the first of two who say yes, in place of the one whom the ticket names; nothing is claimed by that.

        Returns:
            The ticket; None where it is not open any more, or somebody else was quicker.
        """
        first = Confirmed(by, place, self._clock.now())
        return await tickets.confirm_first(self._store, ticket.id, first, instead_of=ticket.first)

    async def open_like(self, beginning: str) -> tuple[Ticket, ...]:
        """The questions that can still be answered and whose ids begin so."""
        return await tickets.open_like(self._store, beginning, self._clock.now())

    async def claim(self, key: str, by: Person, first: Confirmed | None = None) -> Claim:
        """Answers a question with yes. Of all who try, one gets it; a question that has run out nobody.

        Args:
            key: The ticket's id.
            by: Who says so.
            first: Who has to have said so before, where it needs two.

        The caller has checked that this person may, and starts the lease with this.
        """
        now = self._clock.now()
        hold = self._hold(now)
        won = await tickets.answer(
            self._store, key, by, now, to=State.CLAIMED, lease_until=hold.until, first=first
        )
        if won is None:
            return Lost(await self._as_it_stands(key, now))
        self._held[won.id] = hold
        return Claimed(won)

    def approve(self, claimed: Claimed, kind: type[T]) -> Approval[T]:
        """Turns a claim into the proof that the client's write methods want; once for each claim.

        Args:
            claimed: From `claim`, in this very program.
            kind: The type of the target that the command works with.

        Raises:
            ApprovalSpent: The claim is not this program's, or was approved before.
            TicketGone: The stored target does not fit the type: it was asked by another version of the program.
        """
        ticket = claimed.ticket
        hold = self._held.get(ticket.id)
        if hold is None or hold.approved or ticket.claimed_by is None:
            raise spent("This confirmation was used before.")
        approval = approve(ticket, ticket.claimed_by, kind, functools.partial(self._problem, ticket.id, hold))
        hold.approved = True
        return approval

    async def sending(self, ticket: Ticket) -> bool:
        """Writes down that the call is about to be sent; only then does the approval let it pass.

        Returns:
            False: the lease ran out and the ticket was ended elsewhere; nothing may be sent.
        """
        return await self._lengthen(ticket, sending=True)

    async def keep(self, ticket: Ticket) -> bool:
        """Lengthens the lease while work goes on; due well before it runs out (`LEASE`).

        Returns:
            False: somebody else has taken it over, or it is finished; stop working on it.
        """
        return await self._lengthen(ticket, sending=False)

    async def _lengthen(self, ticket: Ticket, *, sending: bool) -> bool:
        hold = self._held.get(ticket.id)
        if hold is None:
            return False
        async with hold.turn:
            now = self._clock.now()
            fresh = self._hold(now)
            if sending:
                done = await tickets.announce(self._store, ticket, now, fresh.until) is not None
            else:
                done = await tickets.renew(self._store, ticket.id, hold.until, now, fresh.until)
            if done:
                hold.until, hold.until_monotonic = fresh.until, fresh.until_monotonic
                hold.announced = hold.announced or sending
        return done

    async def finish(self, key: str, outcome: Outcome, note: str = "") -> bool:
        """Writes down how a claimed ticket ended. The first one to say so counts.

        Args:
            key: The ticket's id.
            outcome: What happened.
            note: One line more: a status, a support id, never data.

        Returns:
            False: it was finished before, or never claimed.
        """
        done = await tickets.finish(self._store, key, outcome, note, self._clock.now())
        self._held.pop(key, None)
        return done is not None

    async def dismiss(self, key: str, by: Person) -> bool:
        """Answers a question with no. False: it was not open any more."""
        now = self._clock.now()
        if await tickets.answer(self._store, key, by, now, to=State.DISMISSED):
            return True
        await self._as_it_stands(key, now)
        return False

    async def expire_due(self) -> tuple[Ticket, ...]:
        """Ends the questions that have run out; each is returned to exactly one caller, to change its message.

        A question that ran out and was answered too late is already ended, and told to whoever answered.
        """
        return await tickets.expire(self._store, self._clock.now())

    async def abandoned(self, key: str | None = None) -> tuple[Ticket, ...]:
        """Tickets of programs that died (or only the one with this id); each is returned to exactly one caller.

        ABANDONED ones are over: nothing was sent. SENDING ones are the caller's now, who looks up what happened,
        keeps the lease while it does, and finishes them; there is no approval for them, so no second call.
        """
        if key is not None and not plausible_id(key):
            return ()
        now = self._clock.now()
        hold = self._hold(now)
        over = await tickets.give_up(self._store, now, _NOTHING_SENT, key)
        taken = await tickets.take_over(self._store, now, hold.until, key)
        for ticket in over:
            self._held.pop(ticket.id, None)
        for ticket in taken:
            self._held[ticket.id] = dataclasses.replace(hold, approved=True, turn=asyncio.Lock())
        return over + taken

    async def open_in(self, place_key: str) -> tuple[Ticket, ...]:
        """The questions of a place (`Place.key`) that can still be answered, oldest first."""
        return await tickets.open_in(self._store, place_key, self._clock.now())

    async def _as_it_stands(self, key: str, now: datetime) -> Ticket | None:
        ticket = await tickets.load(self._store, key)
        if ticket is None or ticket.state is not State.OPEN:
            return ticket
        await tickets.expire(self._store, now, key)
        return await tickets.load(self._store, key)

    def _hold(self, now: datetime) -> _Hold:
        return _Hold(now + self._lease, self._clock.monotonic() + self._lease.total_seconds())

    def _problem(self, key: str, hold: _Hold) -> str:
        """Why nothing may be sent for a ticket now; empty where nothing stands against it."""
        if self._held.get(key) is not hold:
            return "This confirmation is over."
        if not hold.announced:
            return "The write was not noted before it was to be sent."
        if self._clock.now() >= hold.until or self._clock.monotonic() >= hold.until_monotonic:
            return "The confirmation is too old by now."
        return ""


def target_of(ticket: Ticket, kind: type[T]) -> T | None:
    """What a question was about, to tell of it; None where another version of the program asked it."""
    try:
        return read(ticket, kind)
    except TicketGone:
        return None
