"""The calls of a day: booked before they are sent, up to what this lane, person and place may spend."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import inf
from typing import TypeAlias

from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.limits.rate_headers import ServerView
from bot.celonis.limits.replicas import Replica, from_database
from bot.celonis.request import Caller, Family, Lane
from bot.config import Limits
from bot.model.errors import MOMENT, NOT_SENT, QuotaExhausted, StoreUnavailable
from bot.store.ledger import DAY, Account, Bucket, Ceilings, Pause, Refused, Standing

ALONE = 0.02
"""Part of the day's calls that may be used while the database does not answer."""
CUSHION = 0.05
"""Part of the day's calls that the cache leaves over: the next morning's first questions come before the calls of this
morning have come back."""
WORKING_DAY = 10 * 3600.0
"""Seconds that a day of questions is taken to last while there is no yesterday to learn from."""
QUIET = 0.1
"""Activity outside of it, against that within."""
STEP = 1800.0
"""Seconds between the moments at which the budget is looked at."""
KNOWN_AFTER = 20 * 3600.0
"""Seconds of history from which on yesterday says what today will be like."""
_ALONE = "bot:alone"

Booking: TypeAlias = "asyncio.Future[Standing]"


class Budget:
    """Of one API family.

    Args:
        family: Which one.
        replica: Has the database and its time.
        limits: How the day is divided.

    Attributes:
        server: What Celonis says is left.
        pause: What the other replicas were told, when the ledger was last read.
    """

    def __init__(self, family: Family, replica: Replica, limits: Limits) -> None:
        self._family = family
        self._replica = replica
        self._clock = replica.clock
        self._limits = limits
        self._alone = 0
        self._spent = 0
        self._buckets: list[Bucket] = []
        self.server = ServerView(limits.per_second, limits.per_day)
        self.pause = Pause()

    @property
    def account(self) -> Account:
        """What this family's calls are booked under."""
        return Account(self._replica.scope, self._family, self._replica.epoch)

    @property
    def limit(self) -> int:
        """Calls in a day: ours, or the server's if that is lower."""
        return self.server.limit

    @property
    def spent(self) -> int:
        """Calls in the last 24 hours, as far as the newest booking tells."""
        return self._spent + self._alone

    def left(self, lane: Lane = Lane.GUARDED) -> int:
        """Calls that this lane may still make."""
        reserve = self._reserve(lane)
        left = self.limit - self.spent - reserve
        usable = self.server.usable(self._clock.monotonic(), reserve)
        return max(0, left if usable is None else min(left, usable))

    def moment(self, at: float) -> datetime:
        """A moment of the ledger's time on the wall clock."""
        return self._clock.now() + timedelta(seconds=at - self._replica.at())

    # Booking -----------------------------------------------------------------------------------------------

    async def book(
        self, purpose: Purpose, in_flight: int, booking: Booking | None = None
    ) -> tuple[Refused | None, Booking | None]:
        """Books one call.

        Args:
            purpose: For whom.
            in_flight: Requests whose answer has not been seen.
            booking: What an earlier call for the same request returned: it was not known yet how it ends.

        Returns:
            Why the call must not be sent, and the booking if that does not know yet how it ends.

        Raises:
            StoreUnavailable: The database does not answer, and without it this is not sent.
        """
        reserve = self._reserve(purpose.lane)
        usable = self.server.usable(self._clock.monotonic(), reserve)
        if booking is None and usable is not None and usable - in_flight <= 0:
            return Refused.TOTAL, None
        if self._replica.blind:
            self._book_alone(purpose.lane, booking)
            return None, None
        booking = booking or self._book(purpose.caller, self._ceilings(purpose.caller))
        try:
            standing = await from_database(self._clock, asyncio.shield(booking))
        except TimeoutError:
            self._replica.lost_sight()
            return Refused.PAUSED, booking
        except StoreUnavailable:
            self._replica.lost_sight()
            return Refused.PAUSED, None
        except asyncio.CancelledError:
            booking.cancel()
            raise
        self._learn(standing)
        if standing.refused is Refused.SHARE:
            self._replica.lost_share()
        return standing.refused, None

    async def book_confirmed(self, caller: Caller) -> None:
        """Books a confirmed write whatever is spent; where that fails it is remembered, and sent all the same."""
        if not self._replica.blind:
            try:
                await from_database(self._clock, self._book(caller, Ceilings()))
            except (StoreUnavailable, TimeoutError):
                self._replica.lost_sight()
            else:
                return
        self._alone += 1

    async def repay(self) -> None:
        """Books what was spent while the database was away, and learns what happened meanwhile."""
        calls, self._alone = self._alone, 0
        ledger = self._replica.ledger
        at, share = self._replica.at(), self._replica.share
        try:
            if calls:
                await ledger.book(self.account, _ALONE, at=at, ceilings=Ceilings(), share=share, calls=calls)
            self._learn(await ledger.standing(self.account, at=at))
        except StoreUnavailable:
            self._alone += calls
            raise

    async def publish(self, pause: Pause) -> None:
        """Makes the other replicas keep to a pause, too, where the database answers."""
        if self._replica.blind:
            return
        try:
            await from_database(self._clock, self._replica.ledger.pause(self.account, pause))
        except (StoreUnavailable, TimeoutError):
            self._replica.lost_sight()

    def _book(self, caller: Caller, ceilings: Ceilings) -> asyncio.Future[Standing]:
        at, share = self._replica.at(), self._replica.share
        return asyncio.ensure_future(
            self._replica.ledger.book(
                self.account, caller.person, caller.place, at=at, ceilings=ceilings, share=share
            )
        )

    def _book_alone(self, lane: Lane, booking: Booking | None) -> None:
        """Without the database: people only, a small part of the day, after a quiet minute."""
        if lane is not Lane.PEOPLE or self._alone >= int(self.limit * ALONE) // self._replica.replicas:
            raise no_database()
        self._alone += 1
        if booking is not None:
            booking.add_done_callback(self._booked_after_all)

    def _booked_after_all(self, booking: Booking) -> None:
        if not booking.cancelled() and booking.exception() is None and booking.result().refused is None:
            self._alone = max(0, self._alone - 1)

    def _reserve(self, lane: Lane) -> int:
        """Calls at the day's end that this lane must leave."""
        match lane:
            case Lane.GUARDED:
                return 0
            case Lane.PEOPLE:
                return int(self.limit * self._limits.people_reserve)
            case Lane.BACKGROUND:
                return int(self.limit * self._limits.background_reserve)

    def _ceilings(self, caller: Caller) -> Ceilings:
        total = self.limit - self._reserve(caller.lane)
        if caller.lane is Lane.GUARDED or caller.person.startswith("bot:"):
            return Ceilings(total)
        person = max(1, int(self.limit * self._limits.person_share))
        place = max(1, int(self.limit * self._limits.place_share)) if caller.place else None
        return Ceilings(total, person, place)

    def _learn(self, standing: Standing) -> None:
        self._spent = standing.spent
        self.pause = standing.pause

    # Looking -----------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """Reads anew where the account stands; says whether the database answered."""
        if self._replica.blind:
            return False
        ledger, at = self._replica.ledger, self._replica.at()
        try:
            self._learn(await from_database(self._clock, ledger.standing(self.account, at=at)))
            self._buckets = await from_database(self._clock, ledger.buckets(self.account, at=at))
        except (StoreUnavailable, TimeoutError):
            self._replica.lost_sight()
            return False
        return True

    def supply(self) -> float:
        """Calls per second that may go to questions now, as of the last look."""
        left = self.left(Lane.PEOPLE) - int(self.limit * CUSHION)
        return supply(self._buckets, left, self._replica.at())

    def resets_at(self) -> datetime | None:
        """When the first spent calls come back, as of the last look; None where nothing is spent."""
        first = min((each.counts_until for each in self._buckets), default=None)
        return None if first is None else self.moment(first)

    def runs_out_at(self) -> datetime | None:
        """When people's calls are used up at the rate of the last hour; None where they last for a day."""
        out = forecast(self._buckets, self.left(Lane.PEOPLE), self._replica.at())
        return None if out is None else self.moment(out)

    async def over(self, lane: Lane, refused: Refused) -> QuotaExhausted:
        """The refusal, with the moment from which the lane may ask again where that is known."""
        if refused is not Refused.TOTAL:
            who = "You have" if refused is Refused.PERSON else "This place has"
            return QuotaExhausted(
                f"{who} used up the share of today's calls.",
                hint="What was asked before is still answered, with its age. An admin of the bot can allow more: "
                "“quota allow <person> <n> today”.",
            )
        match lane:
            case Lane.GUARDED:
                whose = f"All {self.limit:,} calls of the day are spent."
            case Lane.PEOPLE:
                whose = (
                    "The day's calls are spent but for a reserve that is kept for stopping and starting jobs."
                )
            case Lane.BACKGROUND:
                whose = "The rest of the day's calls is kept for people."
        until = await self._free_at(lane)
        when = f"Calls come back from {MOMENT} on." if until else "Ask again later."
        return QuotaExhausted(whose, moment=until, hint=when)

    async def _free_at(self, lane: Lane) -> datetime | None:
        now, reserve = self._clock.monotonic(), self._reserve(lane)
        usable = self.server.usable(now, reserve)
        if usable is not None and usable <= 0 and self.server.resets_at:
            return self._clock.now() + timedelta(seconds=max(0.0, self.server.resets_at - now))
        await self.look()
        over = self.spent - (self.limit - reserve) + 1
        for bucket in sorted(self._buckets, key=lambda each: each.counts_until):
            over -= bucket.calls
            if over <= 0:
                return self.moment(bucket.counts_until)
        return None


def no_database() -> StoreUnavailable:
    """The refusal while the database is away: without it only people ask, and only a little."""
    return StoreUnavailable(
        "The bot's database does not answer, so it cannot know what may still be asked of Celonis.",
        hint="Ask again in a minute; the bot's admin has to look at the database.",
        undone=NOT_SENT,
    )


# --- looking ahead


def forecast(buckets: Sequence[Bucket], left: int, at: float, *, over: float = 3600.0) -> float | None:
    """When calls run out at the rate of the last hour, in ledger time; None where they last for a day.

    Args:
        buckets: The day's.
        left: Calls left now.
        at: Now.
        over: Seconds whose rate goes on.
    """
    lately = [bucket for bucket in buckets if bucket.start > at - over]
    begun = min((bucket.start for bucket in lately), default=at)
    rate = sum(bucket.calls for bucket in lately) / max(at - begun, 300.0)
    if rate <= 0:
        return None
    moment, have = at, float(left)
    for bucket in sorted(buckets, key=lambda bucket: bucket.counts_until):
        need = rate * (bucket.counts_until - moment)
        if need >= have or bucket.counts_until > at + DAY:
            break
        have += bucket.calls - need
        moment = bucket.counts_until
    out = moment + have / rate
    return out if out <= at + DAY else None


def supply(buckets: Sequence[Bucket], left: int, at: float) -> float:
    """Calls per second that may be spent now, so that they last for a day with the ups and downs that a day has.

    At no moment of the coming day may more be spent than what is left now and comes back until then. Yesterday's
    buckets say how today's questions will be spread; without a yesterday a working day is assumed from the first call
    on.

    Args:
        buckets: The last day's, with the moments at which they come back.
        left: Calls left now.
        at: Now, in the ledger's time.
    """
    if left <= 0:
        return 0.0
    weights = _activity(buckets, at)
    coming = sorted(buckets, key=lambda bucket: bucket.counts_until)
    index, have, asked, least = 0, float(left), 0.0, inf
    for step, weight in enumerate(weights, start=1):
        asked += weight * STEP
        if asked > 0:
            least = min(least, have / asked)
        # What comes back within a step helps from its end on.
        while index < len(coming) and coming[index].counts_until <= at + step * STEP:
            have += coming[index].calls
            index += 1
    return least * weights[0]


def _activity(buckets: Sequence[Bucket], at: float) -> list[float]:
    """How active each coming step of a day will be, in parts of the most active one."""
    steps = int(DAY / STEP)
    first = min((bucket.start for bucket in buckets), default=at)
    if at - first < KNOWN_AFTER:
        end = first + WORKING_DAY
        return [1.0 if at + (step + 0.5) * STEP < end or step == 0 else QUIET for step in range(steps)]
    calls = [0.0] * steps
    for bucket in buckets:
        ago = at - bucket.start
        if 0 <= DAY - ago < DAY:
            calls[int((DAY - ago) // STEP)] += bucket.calls
    smooth = [(calls[step - 1] + 2 * calls[step] + calls[(step + 1) % steps]) / 4 for step in range(steps)]
    most = max(smooth) or 1.0
    return [max(each / most, QUIET / 2) for each in smooth]
