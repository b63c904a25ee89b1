"""How watches are spoken of: what they are about, when they come, what they do and never do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date

from bot.commands.command import AnyCommand
from bot.language.declare import CelonisIntent, map_names
from bot.language.parse import Exact, NotExact
from bot.language.say import lasting, say, spoken
from bot.model.cards import Reader
from bot.model.errors import UsageError
from bot.model.intents import Intent, parts_of
from bot.model.names import Name
from bot.render.values import locale_of
from bot.store.watches import Watch, WatchKind
from bot.watching.orders import (
    ORDERS,
    Digest,
    GuardJob,
    GuardPool,
    WatchJob,
    WatchKpi,
    WatchPool,
    schedule_of,
)

EVENING = 18
_EVENTS = {
    "failed": "fails",
    "succeeded": "succeeds",
    "stopped": "is stopped",
    "slow": "takes longer than usual",
}


def kind_of(order: Intent) -> WatchKind:
    """What an order becomes."""
    match order:
        case WatchJob():
            return WatchKind.JOB
        case WatchPool():
            return WatchKind.POOL
        case WatchKpi():
            return WatchKind.ALERT
        case GuardJob() | GuardPool():
            return WatchKind.GUARD
        case _:
            return WatchKind.DIGEST


def named(watch: Watch) -> str:
    """A watch by its kind and id: `Guard k3f7`."""
    kind = "watch" if watch.kind in {WatchKind.JOB, WatchKind.POOL} else watch.kind.value
    return f"{kind.capitalize()} {watch.id}"


def order_of(watch: Watch, table: Iterable[AnyCommand]) -> CelonisIntent | None:
    """What a watch was asked for; None where another version of the bot wrote it.

    Args:
        watch: Any.
        table: Every command.
    """
    try:
        order = Exact(tuple(each.intent for each in table)).parse(watch.sentence)
    except (NotExact, UsageError):
        return None
    return order if isinstance(order, ORDERS) else None


def about(order: Intent) -> str:
    """What an order is about, for people."""
    match order:
        case WatchJob(job=Name() as job, pool=pool) | GuardJob(job=Name() as job, pool=pool):
            return f"{job.text} ({pool.text})" if pool else job.text
        case WatchPool(pool=Name() as pool) | GuardPool(pool=Name() as pool):
            return pool.text
        case WatchKpi(kpi=Name() as kpi, where=where, filter=narrowed, crosses=line):
            narrow = (*(each.text for each in narrowed), *map(spoken, parts_of(where)))
            side = f" {line.op} {line.value}" if line else " against its target"
            return ", ".join((f"{kpi.text}{side}", *narrow))
        case Digest(of=Intent() as of):
            return plain(of)
        case _:
            return plain(order)


def plain(intent: Intent) -> str:
    """A sentence for people: without ids, and without the connection."""
    if isinstance(intent, CelonisIntent):
        intent = replace(intent, via=None)
    return say(map_names(intent, lambda _at, _kind, name: Name(name.text or name.id)))


def does(order: Intent) -> str:
    """What an order does, and what it never does."""
    match order:
        case GuardJob(at=at, until=until) | GuardPool(at=at, until=until) if at is not None:
            what = "whether it is active" if isinstance(order, GuardJob) else "what is active there"
            again = f", and again for what starts until {until:%H:%M}" if until else ""
            return f"At {at:%H:%M} I look {what}, and ask here whether to stop it{again}. It asks; it never stops anything by itself."
        case WatchJob(on=on, longer=longer, start_by=start_by):
            late = f" I also tell when it has not started by {start_by:%H:%M}." if start_by else ""
            return f"{_of_runs('a run of it', on)}{_longer(longer is not None and lasting(longer))}{late} It only looks; it changes nothing."
        case WatchPool(on=on, longer=longer):
            return f"{_of_runs('a run there', on)}{_longer(longer is not None and lasting(longer))} It only looks; it changes nothing."
        case WatchKpi(crosses=line):
            side = f"is {line.op} {line.value}" if line else "misses its target"
            return (
                f"I tell here when it {side}, once, and when it is back. It only looks; it changes nothing."
            )
        case _:
            return "I ask this anew each time, and tell the answer here. It only looks; it changes nothing."


def _of_runs(run: str, on: Sequence[str]) -> str:
    events = [_EVENTS[each] for each in on or _EVENTS]
    listed = " or ".join(filter(None, (", ".join(events[:-1]), events[-1])))
    return f"I tell here when {run} {listed}."


def _longer(said: str | bool) -> str:  # noqa: FBT001 - False is nothing
    return f" I also tell when one takes longer than {said}." if said else ""


def when(order: Intent, zone: str, now: datetime, reader: Reader) -> str:
    """When an order comes, with its zone: `tonight 23:45 Europe/Berlin, then every weekday; next: Mon 30 Nov 23:45`.

    Args:
        order: What was asked for.
        zone: Whose clock is meant.
        now: Aware.
        reader: For whom it is written.

    Returns:
        Empty for what is looked at all the time.
    """
    schedule = schedule_of(order, zone)
    if schedule is None:
        return ""
    first = schedule.next(now)
    said = f"{moment(first, zone, now, reader)} {zone}"
    if schedule.days or isinstance(order, WatchJob):
        days = ", ".join(schedule.days or ("day",))
        said += f", then every {days}; next: {_dated(schedule.next(first), zone, reader)}"
    end = schedule.end(first)
    return said if end is None else f"{said}; until {end.astimezone(ZoneInfo(zone)):%H:%M}"


def moment(at: datetime, zone: str, now: datetime, reader: Reader) -> str:
    """A moment to come, short and sure: `tonight 23:45`, `tomorrow 06:00`, `Mon 30 Nov 23:45`."""
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    match (local.date() - today).days:
        case 0:
            return f"{'tonight' if local.hour >= EVENING else 'today'} {local:%H:%M}"
        case 1:
            return f"tomorrow {local:%H:%M}"
        case _:
            return _dated(at, zone, reader)


def _dated(at: datetime, zone: str, reader: Reader) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{_day(local.date(), reader)} {local:%H:%M}"


def _day(on: date, reader: Reader) -> str:
    locale = locale_of(reader.locale)
    return format_date(on, "EEE d MMM" if locale.language == "en" else "EEE d. MMM", locale=locale)
