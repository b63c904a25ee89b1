"""Who may send to one API family, when, and whether at all.

Four limits meet here: arrivals in any second (`arrival_slots`), calls in any 24 hours (`budget`), what Celonis itself
says (`pauses`, `rate_headers`), and the caller's deadline. A request that cannot be sent before its deadline is refused
at once, with the moment from which it can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf

from bot.celonis.limits.arrival_slots import Slots
from bot.celonis.limits.breaker import TOLERATED, Breaker, Passage
from bot.celonis.limits.budget import Booking, Budget, no_database
from bot.celonis.limits.fair_queue import FairQueue, Purpose
from bot.celonis.limits.pauses import DAILY_BACKOFF, Pauses
from bot.celonis.limits.rate_headers import RateHeaders
from bot.celonis.limits.replicas import DATABASE_TIMEOUT, QUIET_MINUTE, Replica
from bot.celonis.request import Caller, Family, Lane
from bot.config import Limits
from bot.model.errors import (
    MOMENT,
    NOT_SENT,
    BotError,
    QuotaExhausted,
    RateLimited,
    Unreachable,
)
from bot.store.ledger import BUCKET, LEASE, Pause, Refused

SPREAD = 0.95
"""Requests go out evenly, at this part of the time that the slots allow: it leaves the limit to the slots."""
FIRST_TRIP = 0.1
"""Windows taken for a request's way there and back before one was measured."""
SMOOTH = 0.1
"""Weight of the newest trip in the running average."""
LONGEST_LEAD = 0.05
"""Seconds before its slot is free that a call may be booked, at most."""
WRITE_WAITS = 3.0
"""Seconds after which a confirmed write is sent without a slot: one request too many is better than none."""
BOOKED_FOR = BUCKET / 2
"""Seconds for which a booking holds for a request that has to wait again; it arrives well within its bucket's margin."""
SHORTEST_NAP = 0.0005
_TOO_MANY, _FAULT = 429, 500


@dataclass(slots=True)
class Permit:
    """One request may be sent now. The first of the limiter's `answered`, `failed`, `abandoned` and `unsent` ends it.

    Attributes:
        slot: None for a confirmed write that found none in time, and after the end.
        probe: It finds out whether Celonis answers again.
        granted: When (monotonic).
        not_before: From when on its slot is free.
        ended: What comes of it was told.
    """

    slot: int | None
    probe: bool
    granted: float
    not_before: float = 0.0
    ended: bool = False


class Limiter:
    """Of one API family.

    Args:
        family: Which one.
        replica: Share, database and time line, common to the families of a team.
        limits: Of the team.
        timeout: Seconds after which a call is given up; until then the server may still see it.
        random: From 0 to 1.
        total_retry: How often a failed read is tried again; a whole round of one read may fail.
    """

    def __init__(
        self,
        family: Family,
        replica: Replica,
        limits: Limits,
        *,
        timeout: float,
        random: Callable[[], float],
        total_retry: int = 0,
    ) -> None:
        self.family = family
        self.budget = Budget(family, replica, limits)
        self.breaker = Breaker(max(TOLERATED, total_retry + 1))
        self.pauses = Pauses(limits.window_seconds)
        self.slots = Slots(replica.most_slots, limits.window_seconds)
        self._replica = replica
        self._clock = replica.clock
        self._limits = limits
        self._timeout = timeout
        self._random = random
        self._queue = FairQueue()
        self._turns: dict[Purpose, asyncio.Future[Permit]] = {}
        self._confirmed: deque[tuple[float, asyncio.Future[int | None]]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._trip = FIRST_TRIP * limits.window_seconds
        self._lead = 0.0
        self._next_at = -inf
        self._heard_of = Pause()
        self._publishing: set[asyncio.Task[None]] = set()
        replica.limiters.append(self)

    # Asking to be let through ------------------------------------------------------------------------------

    async def admit(self, purpose: Purpose) -> Permit:
        """Waits for a turn, and books the call: once, however often it has to wait again.

        Returns:
            The permit: send now, then tell how it ended.

        Raises:
            QuotaExhausted: It cannot be sent before the deadline. Nothing was sent.
            RateLimited: Celonis has asked for silence beyond the deadline. Nothing was sent.
            Unreachable: Celonis does not answer at present. Nothing was sent.
            StoreUnavailable: The database does not answer, and without it this is not sent.
            asyncio.CancelledError: Nobody waits for it any more.
        """
        if purpose.abandoned:
            raise asyncio.CancelledError
        if purpose.before_write is not None:
            return await self._admit_confirmed(purpose)
        if error := self._hopeless(purpose, self._clock.monotonic(), queued=False):
            raise error
        purpose.queue = self
        try:
            return await self._admit(purpose)
        finally:
            purpose.queue = None

    async def _admit(self, purpose: Purpose) -> Permit:
        booking: Booking | None = None
        booked_at = -inf
        try:
            while True:
                permit = await self._turn(purpose)
                try:
                    refused: Refused | None = None
                    if permit.granted - booked_at > BOOKED_FOR:
                        refused, booking = await self.budget.book(purpose, self.slots.in_flight - 1, booking)
                        booked_at = permit.granted if refused is None else -inf
                        self._learn()
                    if refused is None and await self._may_go(permit):
                        return permit
                except BaseException:
                    self.unsent(permit)
                    raise
                # What was booked stays booked; only the turn is taken again.
                self.unsent(permit)
                if refused in {Refused.TOTAL, Refused.PERSON, Refused.PLACE}:
                    raise await self.budget.over(purpose.lane, refused)
                if error := self._hopeless(purpose, self._clock.monotonic(), queued=False):
                    raise error
        finally:
            if booking is not None:
                booking.cancel()

    async def _may_go(self, permit: Permit) -> bool:
        """Waits for the slot. A pause that came meanwhile is kept, and so is a share that was lost while this program
        stood still.
        """
        booked = self._clock.monotonic()
        self._lead += SMOOTH * (min(booked - permit.granted, LONGEST_LEAD) - self._lead)
        await self._clock.sleep(permit.not_before - booked)
        now = self._clock.monotonic()
        if now - permit.granted > LEASE / 3 and now > permit.not_before + DATABASE_TIMEOUT:
            await self._replica.confirm()
            return False
        permit.granted = now
        return now >= self.pauses.until

    async def _admit_confirmed(self, purpose: Purpose) -> Permit:
        """Lets a confirmed write through, whatever ledger, pause and breaker say; it waits for a slot only briefly."""
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._confirmed.append((self._clock.monotonic() + WRITE_WAITS, future))
        self._wake()
        try:
            slot = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and (taken := future.result()) is not None:
                self.slots.unused(taken)
            raise
        await self.budget.book_confirmed(purpose.caller)
        return Permit(slot, probe=False, granted=self._clock.monotonic())

    def promote(self, purpose: Purpose, caller: Caller) -> None:
        """Somebody else waits for a request that waits here."""
        self._queue.promote(purpose, caller)
        self._news.set()

    def overdue(self) -> BotError:
        """Why a request that still waits has not been sent by its deadline."""
        now = self._clock.monotonic()
        if self._replica.blind:
            return no_database()
        return self._paused() if self.pauses.until > now else self._crowded(self._expected_at(now, 0))

    # Telling how it ended ----------------------------------------------------------------------------------

    def answered(self, permit: Permit, status: int, said: RateHeaders) -> None:
        """The answer was seen (its first line is enough)."""
        now = self._clock.monotonic()
        self._seen(permit, now)
        self._trip += SMOOTH * (min(now - permit.granted, self._timeout) - self._trip)
        server = self.budget.server
        server.heard(said, now)
        if status >= _FAULT:
            self.breaker.failed(now, probe=permit.probe)
        else:
            self.breaker.answered()
        if status == _TOO_MANY:
            long_window = said.remaining == 0 and server.is_long(said.limit or 0)
            wait = self.pauses.struck(said, now, long_window=long_window, jitter=self._random())
            if wait > DAILY_BACKOFF:
                server.exhausted(now + wait)
            self._publish(now)
        elif status < _FAULT:
            self.pauses.answered()
        self.changed()

    def failed(self, permit: Permit, *, sent: bool) -> None:
        """No answer will be seen; `sent` is whether any of the request can have reached the server."""
        if permit.ended:
            return
        now = self._clock.monotonic()
        self._seen(permit, now + self._timeout if sent else now)
        self.breaker.failed(now, probe=permit.probe)

    def abandoned(self, permit: Permit) -> None:
        """The request was sent, and nobody waits for its answer any more."""
        if permit.ended:
            return
        self._seen(permit, self._clock.monotonic() + self._timeout)
        self.breaker.unsent(probe=permit.probe)

    def unsent(self, permit: Permit) -> None:
        """The request was not sent after all."""
        if permit.slot is not None:
            self.slots.unused(permit.slot)
            permit.slot = None
        self.breaker.unsent(probe=permit.probe)
        self._news.set()

    def _seen(self, permit: Permit, at: float) -> None:
        """Until when the server may see the request."""
        permit.ended = True
        if permit.slot is not None:
            self.slots.answered(permit.slot, at)
            permit.slot = None
        self._news.set()

    # What is known -----------------------------------------------------------------------------------------

    def may_retry(self) -> bool:
        """Whether a failed read may be tried again: not while the server is left in peace."""
        return self.breaker.passage(self._clock.monotonic()) is Passage.FREE

    def paused_for(self) -> float:
        """Seconds of silence that Celonis has asked for."""
        return max(0.0, self.pauses.until - self._clock.monotonic())

    def free_in(self) -> float:
        """Seconds until the last request stops counting in the limit of a second."""
        at = self.slots.all_free_at()
        longest = self._timeout + self._limits.window_seconds
        return longest if at == inf else max(0.0, at - self._clock.monotonic())

    def changed(self) -> None:
        """Share, database, headers or pauses may be others now."""
        mine = self._replica.slots
        second = self.budget.server.second
        if second < self._limits.per_second and mine:
            mine = max(1, mine * second // self._limits.per_second)
        self.slots.usable = min(self.pauses.slots(mine, self._clock.monotonic()), self.slots.count)
        self._news.set()

    async def came_back(self) -> None:
        """The database answers again."""
        await self.budget.repay()
        self._learn()

    async def look(self) -> None:
        """Reads anew where the account stands, where the database answers."""
        if await self.budget.look():
            self._learn()

    async def close(self) -> None:
        """Refuses all who wait."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        for purpose in list(self._turns):
            self._refuse(purpose, QuotaExhausted("The bot is being stopped.", hint="Ask again in a minute."))
        await asyncio.gather(*self._publishing, return_exceptions=True)

    # Turns -------------------------------------------------------------------------------------------------

    async def _turn(self, purpose: Purpose) -> Permit:
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._turns[purpose] = future
        self._queue.join(purpose)
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            self._queue.leave(purpose)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.unsent(future.result())
            raise
        finally:
            self._turns.pop(purpose, None)

    def _wake(self) -> None:
        self._news.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve(), name=f"celonis-{self.family}")

    async def _serve(self) -> None:
        """Gives turns as long as anybody waits."""
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            until = self._serve_confirmed(now)
            for purpose in list(self._queue):
                if error := self._hopeless(purpose, now, queued=True):
                    self._refuse(purpose, error)
            if len(self._queue):
                ready = self._ready_at()
                if ready <= now:
                    self._grant(now)
                    continue
                until = min(until, ready, *(purpose.deadline for purpose in self._queue))
            elif not self._confirmed:
                return
            await self._nap(until - now)

    def _serve_confirmed(self, now: float) -> float:
        """Gives slots to confirmed writes, before anything else; says when to look again."""
        while self._confirmed:
            deadline, future = self._confirmed[0]
            ready = max(self.slots.ready_at(), self._replica.quiet_until)
            if not future.done():
                if min(ready, deadline) > now:
                    return min(ready, deadline)
                future.set_result(self.slots.take(now) if ready <= now else None)
            self._confirmed.popleft()
        return inf

    async def _nap(self, seconds: float) -> None:
        """Until something has changed, or for so long."""
        news = asyncio.ensure_future(self._news.wait())
        nap = asyncio.ensure_future(self._clock.sleep(max(seconds, SHORTEST_NAP)))
        try:
            await asyncio.wait({news, nap}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            nap.cancel()

    def _grant(self, now: float) -> None:
        purpose = self._queue.next()
        future = self._turns.get(purpose)
        if future is None or future.done():
            return
        probe = self.breaker.passage(now) is Passage.PROBE
        if probe:
            self.breaker.begin_probe()
        ready = max(now, self.slots.ready_at(), self._next_at)
        # A late grant does not move the next one, so that the spread is kept; after a rest it starts anew.
        spread = self._spread()
        self._next_at = (now if self._next_at < now - spread else self._next_at) + spread
        future.set_result(Permit(self.slots.take(ready), probe, now, ready))

    def _ready_at(self) -> float:
        """When the next request may go, as far as that is known."""
        # Booking takes a moment, so it begins that much earlier; nothing is sent before the slot is free.
        at = max(self.slots.ready_at(), self._next_at) - self._lead
        at = max(at, self.pauses.until, self._replica.quiet_until)
        if self._replica.blind_since is not None:
            at = max(at, self._replica.blind_since + QUIET_MINUTE)
        return at

    def _expected_at(self, now: float, ahead: int) -> float:
        """When a request behind so many others can be expected to go."""
        slot = self.slots.ready_at()
        if slot == inf:
            slot = now + self._trip + self._limits.window_seconds
        start = max(slot, now, self._next_at, self.pauses.until, self._replica.quiet_until)
        return start + ahead * self._spread()

    def _spread(self) -> float:
        """Seconds between two requests that spread the usable slots evenly over the time they are taken."""
        return SPREAD * (self._limits.window_seconds + self._trip) / max(1, self.slots.usable)

    # Refusing ----------------------------------------------------------------------------------------------

    def _refuse(self, purpose: Purpose, error: BotError) -> None:
        self._queue.leave(purpose)
        future = self._turns.get(purpose)
        if future is not None and not future.done():
            future.set_exception(error)

    def _hopeless(self, purpose: Purpose, now: float, *, queued: bool) -> BotError | None:
        """Why a request cannot be sent before its deadline, as far as that is known already."""
        if self.breaker.passage(now) is Passage.BLOCKED:
            return Unreachable(
                f"Celonis has not answered since {MOMENT}.",
                moment=self._clock.now() - timedelta(seconds=now - (self.breaker.since or now)),
                hint=f"I try again in {max(1, round(self.breaker.retry_in(now)))} seconds.",
                undone=NOT_SENT,
            )
        if self._replica.blind:
            # How long the database stays away is not known, so people wait for it until their deadline.
            waits = purpose.lane is Lane.PEOPLE and now < purpose.deadline
            return None if waits else no_database()
        if self.pauses.until > now and self.pauses.until > purpose.deadline:
            return self._paused()
        if now >= purpose.deadline:
            return self._crowded(now)
        if not queued:
            start = self._expected_at(now, self._queue.ahead(purpose.lane, purpose.caller.person))
            if start > purpose.deadline:
                return self._crowded(start)
        return None

    def _paused(self) -> BotError:
        return RateLimited(
            f"Celonis has asked the bot to be silent until {MOMENT}.",
            moment=self._clock.now() + timedelta(seconds=self.paused_for()),
            hint="Ask again then.",
        )

    def _crowded(self, start: float) -> BotError:
        seconds = max(0.0, start - self._clock.monotonic())
        return QuotaExhausted(
            "Too many questions at once: this one would have come too late.",
            moment=self._clock.now() + timedelta(seconds=seconds),
            hint=f"Ask again from {MOMENT} on.",
        )

    # Pauses among replicas ---------------------------------------------------------------------------------

    def _learn(self) -> None:
        if self.budget.pause != self._heard_of:
            self._heard_of = self.budget.pause
            self.pauses.learn(self._heard_of, self._clock.monotonic(), self._replica.at())
            self.changed()

    def _publish(self, now: float) -> None:
        telling = self.budget.publish(self.pauses.shared(now, self._replica.at()))
        task = asyncio.create_task(telling)
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
