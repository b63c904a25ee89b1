"""The one door to Celonis: who may send, when, and whether at all.

There is one governor for each API family of a team. It knows four limits: arrivals in any second (`Slots`), calls in
any 24 hours (the ledger, written before a call is sent), what Celonis itself says in its headers, and the caller's
patience. A request that cannot be sent before its deadline is refused at once, with the moment from which it can.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from bot.celonis.connection import Family, Lane
from bot.celonis.limits.arrival_slots import Slots
from bot.celonis.limits.breaker import TOLERATED, Breaker, Passage
from bot.celonis.limits.fair_queue import Line, Waiting
from bot.celonis.limits.rate_headers import LONGEST_WAIT, Told
from bot.celonis.limits.replicas import PATIENCE, QUIET_MINUTE, Desk, from_database
from bot.config import Limits
from bot.model.errors import MOMENT, BotError, QuotaExhausted, RateLimited, StoreUnavailable, Unreachable
from bot.store.ledger import DAY, LEASE, Account, Bucket, Ceilings, Pause, Payer, Refused, Standing

ALONE = 0.02
"""Part of the day's calls that may be used while the database does not answer."""
PACE = 0.95
"""Requests go out evenly, at this part of the time that the slots allow: it leaves the limit to the slots."""
FIRST_TRIP = 0.1
"""Seconds taken for a request's way there and back before one was measured."""
SMOOTH = 0.1
"""Weight of the newest trip in the running average."""
LONGEST_LEAD = 0.05
"""Seconds before its slot is free that a call may be booked, at most."""
WRITE_WAITS = 3.0
"""Seconds after which a confirmed write is sent without a slot: one request too many is better than none."""
STRIKES_WITHIN = 600.0
"""Seconds within which a second 429 halves the rate."""
HALVED_FOR = 3600.0
JITTER = 0.25
FIRST_BACKOFF = 2.0
"""Seconds to wait after a 429 that does not say how long; doubled each time."""
DAILY_BACKOFF = 60.0
"""The same, where the headers show that a long window is used up."""
LONGEST_BACKOFF = 900.0
SHORT_WINDOW = 2
"""A limit of up to so many times the requests of a second is the second's, not the day's."""
UPS = 3
"""Readings in a row that have to show more calls left before they are believed."""
UP_BY = 20
SERVER_FORGETS = 3600.0
"""Seconds after which what the headers said last is looked at again, with a few calls."""
RAISED_AFTER = 600.0
RAISED_SEEN = 20
RAISED_MOST = 10
"""A higher limit in the headers is believed when seen so often, for so long, and no more than so many times ours."""
MOST_HALVINGS = 5
SHORTEST_NAP = 0.0005

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Permit:
    """One request may be sent now. Exactly one of the governor's `answered`, `failed` or `unsent` ends it."""

    slot: int | None
    probe: bool
    granted: float
    not_before: float = 0.0


class _ServerView:
    """What the headers say about the long window. Downwards it counts at once, upwards only when seen repeatedly."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.limit = limits.per_day
        self.second = limits.per_second
        self.left: int | None = None
        self.resets_at: float | None = None
        self._seen = -inf
        self._ups: list[int] = []
        self._raised: tuple[int, float, int] | None = None

    def heard(self, told: Told, now: float) -> None:
        if told.limit is None:
            return
        if told.limit <= SHORT_WINDOW * self._limits.per_second:
            self.second = min(self.second, told.limit)
            return
        self._limit(told.limit, now)
        if told.remaining is not None:
            self._left(told.remaining, now)

    def usable(self, now: float, reserve: int) -> int | None:
        """Calls that may still be made as far as the headers tell; a few where they were heard long ago."""
        if self.left is None:
            return None
        due = self.resets_at if self.resets_at is not None else self._seen + SERVER_FORGETS
        if now >= due and self.left - reserve < UPS:
            return UPS
        return self.left - reserve

    def exhausted(self, until: float) -> None:
        """A long pause was announced: the window is used up until then."""
        self.left, self.resets_at, self._ups = 0, until, []

    def _limit(self, limit: int, now: float) -> None:
        if limit <= self.limit:
            self.limit, self._raised = limit, None
            return
        if limit > RAISED_MOST * self._limits.per_day:
            return
        value, since, seen = self._raised or (limit, now, 0)
        if value != limit:
            value, since, seen = limit, now, 0
        self._raised = (value, since, seen + 1)
        if seen + 1 >= RAISED_SEEN and now - since >= RAISED_AFTER:
            self.limit, self._raised = limit, None

    def _left(self, remaining: int, now: float) -> None:
        self._seen = now
        if self.left is None or remaining <= self.left + UP_BY:
            self.left = remaining if self.left is None else min(self.left, remaining)
            self._ups = []
            return
        self._ups.append(remaining)
        if len(self._ups) >= UPS:
            self.left, self.resets_at, self._ups = min(self._ups), None, []


class Governor:
    """The door of one API family.

    Args:
        family: Which one.
        desk: Seat, ledger and time line, shared by the families of a team.
        timeout: Seconds after which a call is given up; until then the server may still see it.
        random: From 0 to 1.
        total_retry: How often a failed read is tried again; a whole round of one read may fail.
    """

    def __init__(
        self, family: Family, desk: Desk, *, timeout: float, random: Callable[[], float], total_retry: int = 0
    ) -> None:
        self.family = family
        self._desk = desk
        self._clock = desk.clock
        self._limits = desk.limits
        self._timeout = timeout
        self._random = random
        most = max(
            self._limits.guest_slots,
            -(-(self._limits.per_second - self._limits.guest_slots) // desk.replicas),
        )
        self._slots = Slots(most, self._limits.window_seconds)
        self._slots.usable = desk.slots
        self._line = Line()
        self._confirmed: deque[tuple[float, asyncio.Future[int | None]]] = deque()
        self._turns: dict[Waiting, asyncio.Future[Permit]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._trip = FIRST_TRIP * self._limits.window_seconds
        self._lead = 0.0
        self._next_at = -inf
        self._paused_until = -inf
        self._struck_at = -inf
        self._halved_until = -inf
        self._halvings = 1
        self._blind_429 = 0
        self._alone = 0
        self._known: Standing | None = None
        self._buckets: list[Bucket] = []
        self._publishing: set[asyncio.Task[None]] = set()
        self.server = _ServerView(self._limits)
        self.breaker = Breaker(max(TOLERATED, total_retry + 1))
        desk.on_change(self._changed, self._repay)

    # Api to be let through ------------------------------------------------------------------------------

    async def admit(self, waiting: Waiting) -> Permit:
        """Waits for a turn, and books the call.

        Args:
            waiting: For whom; `promote` may improve it meanwhile.

        Returns:
            The permit: send now, then tell how it ended.

        Raises:
            QuotaExhausted: It cannot be sent before the deadline. Nothing was sent.
            RateLimited: Celonis has asked for silence beyond the deadline. Nothing was sent.
            Unreachable: Celonis does not answer at present. Nothing was sent.
            StoreUnavailable: The database does not answer, and without it this is not sent.
        """
        while True:
            self._refuse_hopeless(waiting)
            permit = await self._turn(waiting)
            refused: Refused | None = None
            try:
                refused = await self._book(waiting)
            except BaseException:
                self.unsent(permit)
                raise
            if refused is None:
                booked = self._clock.monotonic()
                self._lead += SMOOTH * (min(booked - permit.granted, LONGEST_LEAD) - self._lead)
                try:
                    await self._clock.sleep(permit.not_before - booked)
                except BaseException:
                    self.unsent(permit)
                    raise
                now = self._clock.monotonic()
                stood_still = now - permit.granted > LEASE / 3 and now > permit.not_before + PATIENCE
                if now >= self._paused_until and not stood_still:
                    permit.granted = now
                    return permit
            # A pause that came while the call was being booked is kept, and so is a seat that was lost while this
            # program stood still; what was booked stays in the ledger.
            self.unsent(permit)
            if refused in {Refused.TOTAL, Refused.PERSON, Refused.PLACE}:
                raise await self._over(waiting, refused)

    async def admit_confirmed(self, payer: Payer) -> Permit:
        """Lets a confirmed write through, whatever ledger, pause and breaker say; it waits for a slot only briefly."""
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._confirmed.append((self._clock.monotonic() + WRITE_WAITS, future))
        self._wake()
        try:
            slot = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and (taken := future.result()) is not None:
                self._slots.unused(taken)
            raise
        await self._book_confirmed(payer)
        return Permit(slot, probe=False, granted=self._clock.monotonic())

    def promote(self, waiting: Waiting, *, lane: Lane, payer: Payer, deadline: float) -> None:
        """Improves a request that waits: a better lane, a later deadline, on this payer's account."""
        waiting.deadline = max(waiting.deadline, deadline)
        if lane < waiting.lane:
            self._line.promote(waiting, lane=lane, person=payer.person, place=payer.place)
            waiting.lane, waiting.person, waiting.place = lane, payer.person, payer.place
        self._news.set()

    def overdue(self) -> BotError:
        """Why a request that still waits has not been sent by its deadline."""
        now = self._clock.monotonic()
        if self._desk.blind:
            return _no_database()
        return self._paused() if self._paused_until > now else self._crowded(self._expected_at(now, 0))

    # Telling how it ended ----------------------------------------------------------------------------------

    def answered(self, permit: Permit, status: int, told: Told) -> None:
        """The answer was seen (its first line is enough)."""
        now = self._clock.monotonic()
        if permit.slot is not None:
            self._slots.answered(permit.slot, now)
            permit.slot = None
        self._trip += SMOOTH * (min(now - permit.granted, self._timeout) - self._trip)
        self.server.heard(told, now)
        self._set_rate()
        if status == 429:  # noqa: PLR2004 - HTTP's own number
            self._struck(told, now)
            self.breaker.answered()
        elif status >= 500:  # noqa: PLR2004 - HTTP's own number
            self.breaker.failed(now, probe=permit.probe)
        else:
            self._blind_429 = 0
            self.breaker.answered()
        self._news.set()

    def failed(self, permit: Permit, *, sent: bool) -> None:
        """No answer will be seen.

        Args:
            permit: Of the request.
            sent: Whether any of it can have reached the server.
        """
        now = self._clock.monotonic()
        if permit.slot is not None:
            if sent:
                self._slots.unanswered(permit.slot, now, self._timeout)
            else:
                self._slots.answered(permit.slot, now)
            permit.slot = None
        self.breaker.failed(now, probe=permit.probe)
        self._news.set()

    def abandoned(self, permit: Permit) -> None:
        """The request was sent, and nobody waits for its answer any more."""
        if permit.slot is not None:
            self._slots.unanswered(permit.slot, self._clock.monotonic(), self._timeout)
            permit.slot = None
        self.breaker.unsent(probe=permit.probe)
        self._news.set()

    def unsent(self, permit: Permit) -> None:
        """The request was not sent after all."""
        if permit.slot is not None:
            self._slots.unused(permit.slot)
            permit.slot = None
        self.breaker.unsent(probe=permit.probe)
        self._news.set()

    def may_retry(self) -> bool:
        """Whether a failed read may be tried again: not while the server is left in peace."""
        return self.breaker.passage(self._clock.monotonic()) is Passage.OPEN_ROAD

    # What is known -----------------------------------------------------------------------------------------

    @property
    def account(self) -> Account:
        """What this family's calls are booked under."""
        return Account(self._desk.scope, self.family, self._desk.epoch)

    @property
    def limit(self) -> int:
        """Calls in a day: ours, or the server's if that is lower."""
        return self.server.limit

    @property
    def spent(self) -> int:
        """Calls in the last 24 hours, as far as the newest booking tells."""
        return (self._known.spent if self._known else 0) + self._alone

    def left(self, lane: Lane = Lane.GUARDED) -> int:
        """Calls that this lane may still make."""
        reserve = self._reserve(lane)
        left = self.limit - self.spent - reserve
        usable = self.server.usable(self._clock.monotonic(), reserve)
        return max(0, left if usable is None else min(left, usable))

    def paused_for(self) -> float:
        """Seconds of silence that Celonis has asked for."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def free_in(self) -> float:
        """Seconds until the last request stops counting in the limit of a second."""
        at = self._slots.all_free_at()
        return (
            self._timeout + self._limits.window_seconds
            if at == inf
            else max(0.0, at - self._clock.monotonic())
        )

    def moment(self, at: float) -> datetime:
        """A moment of the ledger's time on the wall clock."""
        return self._clock.now() + timedelta(seconds=at - self._desk.at())

    async def buckets(self) -> list[Bucket]:
        """The day's buckets, read anew where the database answers."""
        if not self._desk.blind:
            try:
                at = self._desk.at()
                self._buckets = await from_database(
                    self._clock, self._desk.ledger.buckets(self.account, at=at)
                )
            except (StoreUnavailable, TimeoutError):
                self._desk.lost_sight()
        return self._buckets

    async def standing(self, payer: Payer) -> Standing | None:
        """Where the account stands, read anew; None where the database does not answer."""
        if self._desk.blind:
            return None
        try:
            standing = await from_database(
                self._clock,
                self._desk.ledger.standing(self.account, payer, at=self._desk.at()),
            )
        except (StoreUnavailable, TimeoutError):
            self._desk.lost_sight()
            return None
        self._learn(standing)
        return standing

    async def close(self) -> None:
        """Refuses all who wait."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump
        for waiting in list(self._turns):
            self._refuse(waiting, QuotaExhausted("The bot is being stopped.", hint="Ask again in a minute."))
        for task in list(self._publishing):
            with suppress(asyncio.CancelledError):
                await task

    # Turns -------------------------------------------------------------------------------------------------

    async def _turn(self, waiting: Waiting) -> Permit:
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._turns[waiting] = future
        self._line.join(waiting)
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            self._line.leave(waiting)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.unsent(future.result())
            raise
        finally:
            self._turns.pop(waiting, None)

    def _wake(self) -> None:
        self._news.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve_line(), name=f"celonis-{self.family}")

    async def _serve_line(self) -> None:
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            until = self._serve_confirmed(now)
            self._drop_hopeless(now)
            if len(self._line):
                ready = self._ready_at()
                if ready <= now:
                    self._grant(now)
                    continue
                until = min(until, ready, *(waiting.deadline for waiting in self._line))
            elif not self._confirmed:
                return
            await self._nap(until - now)

    def _serve_confirmed(self, now: float) -> float:
        """Gives slots to confirmed writes, before anything else; says when to look again."""
        while self._confirmed:
            deadline, future = self._confirmed[0]
            ready = max(self._slots.ready_at(), self._desk.quiet_until)
            if not future.done():
                if min(ready, deadline) > now:
                    return min(ready, deadline)
                future.set_result(self._slots.take(now) if ready <= now else None)
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

    def _ready_at(self) -> float:
        """When the next request may go, as far as that is known."""
        # Booking takes a moment, so it begins that much earlier; nothing is sent before the slot is free.
        at = max(self._slots.ready_at(), self._next_at) - self._lead
        at = max(at, self._paused_until, self._desk.quiet_until)
        if self._desk.blind_since is not None:
            at = max(at, self._desk.blind_since + QUIET_MINUTE)
        return at

    def _expected_at(self, now: float, ahead: int) -> float:
        """When a request behind so many others can be expected to go."""
        slot = self._slots.ready_at()
        if slot == inf:
            slot = now + self._trip + self._limits.window_seconds
        start = max(slot, now, self._next_at, self._paused_until, self._desk.quiet_until)
        return start + ahead * self._pace()

    def _grant(self, now: float) -> None:
        waiting = self._line.next()
        future = self._turns.get(waiting)
        if future is None or future.done():
            return
        probe = self.breaker.passage(now) is Passage.PROBE
        if probe:
            self.breaker.begin_probe()
        ready = max(self._slots.ready_at(), self._next_at)
        # A late grant does not move the next one, so that the pace is kept; after a rest it starts anew.
        pace = self._pace()
        self._next_at = (now if self._next_at < now - pace else self._next_at) + pace
        future.set_result(Permit(self._slots.take(max(now, ready)), probe, now, max(now, ready)))

    def _pace(self) -> float:
        """Seconds between two requests that spread the usable slots evenly over the time they are taken."""
        return PACE * (self._limits.window_seconds + self._trip) / max(1, self._slots.usable)

    def _set_rate(self) -> None:
        mine = self._desk.slots
        if self.server.second < self._limits.per_second:
            mine = max(1, mine * self.server.second // self._limits.per_second) if mine else 0
        if self._clock.monotonic() < self._halved_until:
            mine = max(1, mine >> self._halvings) if mine else 0
        self._slots.usable = min(mine, self._slots.count)

    def _changed(self) -> None:
        self._set_rate()
        self._news.set()

    # Refusing ----------------------------------------------------------------------------------------------

    def _refuse(self, waiting: Waiting, error: BotError) -> None:
        self._line.leave(waiting)
        future = self._turns.get(waiting)
        if future is not None and not future.done():
            future.set_exception(error)

    def _drop_hopeless(self, now: float) -> None:
        for waiting in list(self._line):
            error = self._hopeless(waiting, now, queued=True)
            if error is not None:
                self._refuse(waiting, error)

    def _refuse_hopeless(self, waiting: Waiting) -> None:
        error = self._hopeless(waiting, self._clock.monotonic(), queued=False)
        if error is not None:
            raise error

    def _hopeless(self, waiting: Waiting, now: float, *, queued: bool) -> BotError | None:
        """Why a request cannot be sent before its deadline, as far as that is known already."""
        if self.breaker.passage(now) is Passage.CLOSED:
            return self._resting(now)
        if self._desk.blind_since is not None:
            # How long the database stays away is not known, so people wait for it within their patience.
            if waiting.lane is not Lane.PEOPLE or now >= waiting.deadline:
                return _no_database()
            return None
        if self._paused_until > now and self._paused_until > waiting.deadline:
            return self._paused()
        if now >= waiting.deadline:
            return self._crowded(now)
        if not queued:
            start = self._expected_at(now, self._line.ahead(waiting.lane, waiting.person))
            if start > waiting.deadline:
                return self._crowded(start)
        return None

    def _resting(self, now: float) -> Unreachable:
        since = self._clock.now() - timedelta(seconds=now - (self.breaker.since or now))
        return Unreachable(
            f"Celonis has not answered since {MOMENT}.",
            moment=since,
            hint=f"I try again in {max(1, round(self.breaker.retry_in(now)))} seconds.",
            undone="No request was sent.",
        )

    def _paused(self) -> BotError:
        until = self._clock.now() + timedelta(seconds=self.paused_for())
        return RateLimited(
            f"Celonis has asked the bot to be silent until {MOMENT}.",
            moment=until,
            hint="Ask again then.",
        )

    def _crowded(self, start: float) -> QuotaExhausted:
        at = self._clock.now() + timedelta(seconds=max(0.0, start - self._clock.monotonic()))
        return QuotaExhausted(
            "Too many questions at once: this one would have come too late.",
            moment=at,
            hint=f"Ask again from {MOMENT} on.",
        )

    async def _over(self, waiting: Waiting, refused: Refused) -> QuotaExhausted:
        """Which budget is used up, and from when on it is not."""
        if refused is Refused.TOTAL:
            until = await self._budget_at(waiting.lane)
            whose = {
                Lane.GUARDED: f"All {self.limit:,} calls of the day are spent.",
                Lane.PEOPLE: "The day's calls are spent but for a reserve that is kept for stopping and starting jobs.",
                Lane.BACKGROUND: "The rest of the day's calls is kept for people.",
            }[waiting.lane]
            when = f"Calls come back from {MOMENT} on." if until else "Ask again later."
            return QuotaExhausted(whose, moment=until, hint=when)
        who = "You have" if refused is Refused.PERSON else "This place has"
        return QuotaExhausted(
            f"{who} used up the share of today's calls.",
            hint="What was asked before is still answered, with its age. An admin of the bot can allow more: "
            "“quota allow <person> <n> today”.",
        )

    async def _budget_at(self, lane: Lane) -> datetime | None:
        usable = self.server.usable(self._clock.monotonic(), self._reserve(lane))
        if usable is not None and usable <= 0 and self.server.resets_at:
            return self._clock.now() + timedelta(
                seconds=max(0.0, self.server.resets_at - self._clock.monotonic())
            )
        over = self.spent - (self.limit - self._reserve(lane)) + 1
        for bucket in sorted(await self.buckets(), key=lambda each: each.counts_until):
            over -= bucket.calls
            if over <= 0:
                return self.moment(bucket.counts_until)
        return None

    # The ledger --------------------------------------------------------------------------------------------

    def _reserve(self, lane: Lane) -> int:
        """Calls at the day's end that this lane must leave."""
        match lane:
            case Lane.GUARDED:
                return 0
            case Lane.PEOPLE:
                return int(self.limit * self._limits.people_reserve)
            case Lane.BACKGROUND:
                return int(self.limit * self._limits.background_reserve)

    async def _book(self, waiting: Waiting) -> Refused | None:
        reserve = self._reserve(waiting.lane)
        usable = self.server.usable(self._clock.monotonic(), reserve)
        if usable is not None and usable - (self._slots.in_flight - 1) <= 0:
            return Refused.TOTAL
        if self._desk.blind:
            return self._book_alone(waiting)
        guarded = waiting.lane is Lane.GUARDED
        ceilings = Ceilings(
            total=self.limit - reserve,
            person=None if guarded else max(1, int(self.limit * self._limits.person_share)),
            place=None
            if guarded or not waiting.place
            else max(1, int(self.limit * self._limits.place_share)),
        )
        booking = self._desk.ledger.book(
            self.account,
            Payer(waiting.person, waiting.place),
            at=self._desk.at(),
            ceilings=ceilings,
            fence=self._desk.fence,
        )
        try:
            standing = await from_database(self._clock, booking)
        except (StoreUnavailable, TimeoutError):
            # It may have been booked or not; it is not sent, so the ledger is at most too high.
            self._desk.lost_sight()
            return Refused.PAUSED
        self._learn(standing)
        if standing.refused is Refused.SEAT:
            self._desk.unseated()
        return standing.refused

    async def _book_confirmed(self, payer: Payer) -> None:
        """Books a confirmed write whatever is spent; where that fails it is remembered, and sent all the same."""
        if not self._desk.blind:
            booking = self._desk.ledger.book(
                self.account, payer, at=self._desk.at(), ceilings=Ceilings(), fence=self._desk.fence
            )
            try:
                await from_database(self._clock, booking)
            except (StoreUnavailable, TimeoutError):
                self._desk.lost_sight()
            else:
                return
        self._alone += 1

    def _book_alone(self, waiting: Waiting) -> Refused | None:
        """Without the database: people only, a small part of the day, after a quiet minute."""
        if waiting.lane is not Lane.PEOPLE:
            raise _no_database()
        if self._alone >= int(self.limit * ALONE) // self._desk.replicas:
            raise _no_database()
        self._alone += 1
        return None

    async def _repay(self) -> None:
        """Books what was spent while the database was away, and learns what happened meanwhile."""
        calls, self._alone = self._alone, 0
        payer = Payer("bot:alone", "")
        try:
            if calls:
                await self._desk.ledger.repay(self.account, payer, at=self._desk.at(), calls=calls)
            self._learn(await self._desk.ledger.standing(self.account, payer, at=self._desk.at()))
        except StoreUnavailable:
            self._alone += calls
            raise

    def _learn(self, standing: Standing) -> None:
        self._known = standing
        now, at = self._clock.monotonic(), self._desk.at()
        if at < standing.pause.until <= at + LONGEST_WAIT:
            self._pause_until(now + standing.pause.until - at)
        if at - STRIKES_WITHIN < standing.pause.struck_at <= at:
            self._struck_at = max(self._struck_at, now - (at - standing.pause.struck_at))
        if at < standing.pause.halved_until <= at + HALVED_FOR:
            self._halved_until = max(self._halved_until, now + standing.pause.halved_until - at)
            self._set_rate()

    # 429 ---------------------------------------------------------------------------------------------------

    def _pause_until(self, until: float) -> None:
        if until > self._paused_until:
            self._paused_until = until
            self._news.set()

    def _struck(self, told: Told, now: float) -> None:
        wait = told.wait
        if wait is None:
            long_window = told.remaining == 0 and (told.limit or 0) > SHORT_WINDOW * self._limits.per_second
            first = DAILY_BACKOFF if long_window else FIRST_BACKOFF * self._limits.window_seconds
            wait = min(first * 2**self._blind_429, LONGEST_BACKOFF)
            self._blind_429 = min(self._blind_429 + 1, 20)
        else:
            self._blind_429 = 0
        wait += self._random() * JITTER
        if now - self._struck_at <= STRIKES_WITHIN and now >= self._paused_until:
            if now >= self._halved_until:
                self._halvings = 0
                _log.warning("Celonis answered 429 twice within ten minutes; the rate is halved for an hour")
            # It may go on: then the true limit is lower still, and the rate goes down until it is met.
            self._halvings = min(self._halvings + 1, MOST_HALVINGS)
            self._halved_until = now + HALVED_FOR
            self._set_rate()
        if now >= self._paused_until:
            self._struck_at = now
        self._pause_until(now + wait)
        if wait > DAILY_BACKOFF:
            self.server.exhausted(now + wait)
        at = self._desk.at()
        pause = Pause(
            until=at + self.paused_for(),
            struck_at=at,
            halved_until=at + self._halved_until - now if self._halved_until > now else 0.0,
        )
        task = asyncio.create_task(self._publish(pause))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _publish(self, pause: Pause) -> None:
        if self._desk.blind:
            return
        try:
            await from_database(self._clock, self._desk.ledger.pause(self.account, pause))
        except (StoreUnavailable, TimeoutError):
            self._desk.lost_sight()


def _no_database() -> StoreUnavailable:
    return StoreUnavailable(
        "The bot's database does not answer, so it cannot know what may still be asked of Celonis.",
        hint="Ask again in a minute; the bot's admin has to look at the database.",
        undone="No request was sent.",
    )


def forecast(buckets: list[Bucket], left: int, at: float, *, over: float = 3600.0) -> float | None:
    """When calls run out at the pace of the last hour, in ledger time; None where they last for a day.

    Args:
        buckets: The day's.
        left: Calls left now.
        at: Now.
        over: Seconds whose pace goes on.
    """
    recent = sum(bucket.calls for bucket in buckets if bucket.start > at - over)
    begun = min((bucket.start for bucket in buckets if bucket.start > at - over), default=at)
    rate = recent / max(at - begun, 300.0)
    back = sorted(buckets, key=lambda bucket: bucket.counts_until)
    moment, have = at, float(left)
    for bucket in back:
        if rate <= 0 or bucket.counts_until > at + DAY:
            break
        need = rate * (bucket.counts_until - moment)
        if need >= have:
            return moment + have / rate
        have += bucket.calls - need
        moment = bucket.counts_until
    if rate > 0 and moment + have / rate <= at + DAY:
        return moment + have / rate
    return None
