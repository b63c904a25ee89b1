"""What can be asked for later or again: one intent for each way to say it, and when it comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import ClassVar

from bot.language.declare import (
    CelonisIntent,
    Crosses,
    Days,
    Lasting,
    Names,
    OneName,
    Sentence,
    SomeOf,
    TimeOfDay,
    Where,
    clause,
)
from bot.model.intents import Bound, Condition, Intent
from bot.model.names import Kind, Name
from bot.watching.times import Schedule

EVENTS = ("failed", "succeeded", "stopped", "slow")
"""What can be told of a run; `slow` is one that takes longer than usual."""


@dataclass(frozen=True, slots=True)
class WatchJob(CelonisIntent):
    """Tells how the runs of a data job end."""

    words: ClassVar[str] = "watch"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    on: tuple[str, ...] = field(default=(), metadata=clause("when", SomeOf(EVENTS)))
    longer: timedelta | None = field(default=None, metadata=clause("longer than", Lasting()))
    start_by: time | None = field(default=None, metadata=clause("start by", TimeOfDay()))
    days: tuple[str, ...] = field(default=(), metadata=clause("every", Days()))


@dataclass(frozen=True, slots=True)
class WatchPool(CelonisIntent):
    """Tells how the runs of every data job in a data pool end."""

    words: ClassVar[str] = "watch pool"
    pool: Name | None = field(default=None, metadata=clause("", OneName(Kind.POOL)))
    on: tuple[str, ...] = field(default=(), metadata=clause("when", SomeOf(EVENTS)))
    longer: timedelta | None = field(default=None, metadata=clause("longer than", Lasting()))


@dataclass(frozen=True, slots=True)
class WatchKpi(CelonisIntent):
    """Tells when a KPI crosses a line, its target where none was said, and when it is back."""

    words: ClassVar[str] = "watch kpi"
    kpi: Name | None = field(default=None, metadata=clause("", OneName(Kind.KPI)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))
    crosses: Bound | None = field(default=None, metadata=clause("when", Crosses()))


@dataclass(frozen=True, slots=True)
class GuardJob(CelonisIntent):
    """Asks at a time whether to stop a data job, if it is still active then."""

    words: ClassVar[str] = "guard"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    at: time | None = field(default=None, metadata=clause("at", TimeOfDay()))
    until: time | None = field(default=None, metadata=clause("until", TimeOfDay()))
    days: tuple[str, ...] = field(default=(), metadata=clause("every", Days()))


@dataclass(frozen=True, slots=True)
class GuardPool(CelonisIntent):
    """Asks at a time whether to stop the data jobs of a data pool that are still active then."""

    words: ClassVar[str] = "guard pool"
    pool: Name | None = field(default=None, metadata=clause("", OneName(Kind.POOL)))
    at: time | None = field(default=None, metadata=clause("at", TimeOfDay()))
    until: time | None = field(default=None, metadata=clause("until", TimeOfDay()))
    days: tuple[str, ...] = field(default=(), metadata=clause("every", Days()))


@dataclass(frozen=True, slots=True)
class Digest(CelonisIntent):
    """Answers a question again and again, at set times."""

    words: ClassVar[str] = "every"
    days: tuple[str, ...] = field(default=(), metadata=clause("", Days()))
    at: time | None = field(default=None, metadata=clause("", TimeOfDay()))
    of: Intent | None = field(default=None, metadata=clause("", Sentence()))


ORDERS = (WatchJob, WatchPool, WatchKpi, GuardJob, GuardPool, Digest)
"""All of them."""


def schedule_of(intent: Intent, zone: str) -> Schedule | None:
    """When something that was asked for comes; None for what is looked at all the time.

    Args:
        intent: One of the above.
        zone: An IANA name, whose clock is meant.
    """
    match intent:
        case (
            GuardJob(at=time() as at, until=until, days=days)
            | GuardPool(at=time() as at, until=until, days=days)
        ):
            return Schedule(at, zone, days, until)
        case Digest(at=time() as at, days=days) | WatchJob(start_by=time() as at, days=days):
            return Schedule(at, zone, days)
        case _:
            return None
