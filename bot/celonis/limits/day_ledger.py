"""The rules of the day's ledger: what counts for how long, who may still spend, and how it is spread over the day.

Every call is booked before it is sent, in 5-minute buckets per `scope` (a Celonis team's host) and `family` (a part
of its API), and its bucket counts for a day and ten minutes, so no 24 hours hold more calls than a day may, wherever
the server begins its day. Moments are seconds on the ledger's own time line, which the replicas share and which goes
on with the monotonic clock: nobody wins calls by setting a wall clock. The rows are kept by `bot.store.ledger`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Protocol

BUCKET = 300
"""Seconds of a bucket."""
HOUR = 3600
DAY = 86_400
MARGIN = 2 * BUCKET
"""Seconds that a bucket counts beyond a day: its own length, and what a request may take to arrive."""
DOUBT = 3600
"""Seconds that a bucket counts longer when the clock may have been set since it was written."""
GUEST = -1
"""Number of the extra share, which is for one-shot commands."""
LEASE = 15.0
"""Seconds after which a replica that was not heard of counts as gone."""
WORKING_DAY = 10 * 3600.0
"""Seconds that a day of questions is taken to last while there is no yesterday to learn from."""
QUIET = 0.1
"""Activity outside of it, against that within."""
STEP = 1800.0
"""Seconds between the moments at which the budget is looked at."""
KNOWN_AFTER = 20 * 3600.0
"""Seconds of history from which on yesterday says what today will be like."""


class Refused(StrEnum):
    """Why a call was not booked."""

    TOTAL = "total"
    PERSON = "person"
    PLACE = "place"
    PAUSED = "paused"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Account:
    """What a call is counted under; `epoch` tells rows of an unbroken clock from others."""

    scope: str
    family: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Payer:
    """On whose account a call goes: `Person.key` and `Place.key`, or names of the bot's own."""

    person: str
    place: str


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Up to where calls may be booked; None does not stop it. Without a total nothing stops it at all."""

    total: int | None = None
    person: int | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """What a 429 has brought about: silence until one moment, half the rate until another (0: nothing)."""

    until: float = 0.0
    struck_at: float = 0.0
    halved_until: float = 0.0

    def joined(self, other: Pause) -> Pause:
        """Both hold, so the longer one of each."""
        return Pause(
            max(self.until, other.until),
            max(self.struck_at, other.struck_at),
            max(self.halved_until, other.halved_until),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands. `refused` is None where the call was booked (or none was to be).

    Attributes:
        spent: Calls within the day, those just booked included.
        person: Of these, by the person in question.
        place: Of these, from the place in question.
        extra: Calls that an admin has allowed this person beyond the daily part.
        pause: What all replicas keep to.
    """

    spent: int
    person: int
    place: int
    extra: int
    pause: Pause
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls within one bucket: its begin, and until when it counts."""

    start: float
    counts_until: float
    calls: int


@dataclass(frozen=True, slots=True)
class Program:
    """A running program: a random run, and where it runs."""

    run: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Share:
    """A replica's part of the limits.

    Attributes:
        number: From 0; `GUEST` for the extra one of one-shot commands.
        epoch: Rows of one epoch were written by an unbroken clock.
        at: The ledger's time when it was taken. From there it runs with the monotonic clock.
        clean: Whether whoever had it before said good-bye.
        free_at: Until when that one's requests count in the limit of a second.
    """

    number: int
    epoch: int
    at: float
    clean: bool
    free_at: float


class Ledger(Protocol):
    """What is kept between programs. Every method raises `StoreUnavailable` where the database does not answer."""

    async def book(
        self,
        account: Account,
        payer: Payer,
        *,
        at: float,
        ceilings: Ceilings,
        fence: tuple[int, str],
        calls: int = 1,
    ) -> Standing:
        """Books calls before they are sent, or says why they must not be.

        Args:
            account: What they are counted under.
            payer: On whose account.
            at: Ledger time.
            ceilings: Where booking stops.
            fence: Number of the share, and the run that has it; a replica that has lost its share books nothing.
            calls: How many.
        """
        ...

    async def standing(self, account: Account, payer: Payer, *, at: float) -> Standing:
        """Where an account stands, without booking anything."""
        ...

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]:
        """The day's buckets that still count, oldest first."""
        ...

    async def spent_by(self, account: Account, *, at: float) -> Mapping[str, int]:
        """The day's calls of each person."""
        ...

    async def pause(self, account: Account, pause: Pause) -> None:
        """Makes every replica keep to a pause; a longer one that is already there stays."""
        ...

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None:
        """Lets a person make so many calls beyond the daily part, until a moment of the ledger's time."""
        ...

    async def join(
        self, scope: str, program: Program, *, replicas: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Share | None:
        """Takes a share. A one-shot command takes a free one like everybody, else the extra one of its kind; whoever
        stays longer may take its share away, and it then finds another.

        Args:
            scope: The team's host.
            program: Who asks.
            replicas: How many shares there are.
            guest: It is a one-shot command.
            dead: Says of a host and a process id whether that program is certainly gone.

        Returns:
            None where all shares are taken by replicas that are alive.
        """
        ...

    async def renew(self, scope: str, share: Share, run: str, *, at: float) -> bool:
        """Says that a replica is alive; False where somebody else has its share."""
        ...

    async def leave(self, scope: str, share: Share, run: str, *, free_at: float) -> None:
        """Says good-bye; `free_at` is when this replica's last request stops counting."""
        ...

    async def purge(self, at: float) -> None:
        """Removes what no longer counts."""
        ...


def choose(taken: Mapping[int, bool], replicas: int, *, guest: bool) -> int | None:
    """The share for somebody who comes.

    Args:
        taken: Shares of replicas that are alive, and whether it is a one-shot command that has it.
        replicas: How many there are.
        guest: It is a one-shot command that comes.
    """
    free = [number for number in range(replicas) if number not in taken]
    lent = [number for number in range(replicas) if taken.get(number)]
    extra = [GUEST] if GUEST not in taken else []
    return next(iter((*free, *(extra if guest else lent))), None)


def judge(standing: Standing, ceilings: Ceilings, at: float, *, has_share: bool) -> Refused | None:
    """Whether one more call may be booked.

    Args:
        standing: Before the call.
        ceilings: Where booking stops.
        at: Ledger time.
        has_share: Whether the replica still has its share.
    """
    if ceilings.total is None:
        return None
    if not has_share:
        return Refused.SHARE
    if standing.pause.until > at:
        return Refused.PAUSED
    if standing.spent >= ceilings.total:
        return Refused.TOTAL
    if ceilings.person is not None and standing.person >= ceilings.person + standing.extra:
        return Refused.PERSON
    if ceilings.place is not None and standing.place >= ceilings.place + standing.extra:
        return Refused.PLACE
    return None


def counts_until(bucket: int, epoch: int, current: int) -> float:
    """Until when the calls of a bucket count, for a replica whose epoch is `current`."""
    return bucket * BUCKET + DAY + MARGIN + (0 if epoch == current else DOUBT)


def newest_past(at: float, doubt: int = 0) -> int:
    """The newest bucket that no longer counts."""
    return int((at - DAY - MARGIN - doubt) // BUCKET)


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
