"""When something that is asked for at a time on the clock comes: in a zone, over changes of its clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.language.declare import SETS_OF_DAYS, WEEKDAYS

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A time on the clock, on some days of the week.

    A time that is skipped when clocks go forward comes at the first moment after the gap; one that is there twice when
    they go back comes once, the first time. A date that a zone leaves out altogether has no time.

    Attributes:
        at: On the clock of the zone.
        zone: An IANA name.
        days: Days of the week, or words for several of them; none means every day.
        until: When what begins at `at` ends; on the next day where that is no later.
    """

    at: time
    zone: str
    days: tuple[str, ...] = ()
    until: time | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Every moment (UTC) at which it comes after another one (aware)."""
        zone, weekdays = ZoneInfo(self.zone), days_of(self.days)
        # Yesterday's time may come today, where clocks skip midnight.
        on = moment.astimezone(zone).date() - _DAY
        before = moment.astimezone(UTC)
        while True:
            if on.weekday() in weekdays and _exists(on, zone):
                at = instant(on, self.at, zone)
                if at > before:
                    yield at
                    before = at
            on += _DAY

    def next(self, moment: datetime) -> datetime:
        """The first moment (UTC) at which it comes after another one (aware)."""
        return next(self.after(moment))

    def missed(self, after: datetime, until: datetime) -> list[datetime]:
        """The moments (UTC) at which it came after one moment and up to another one, both aware."""
        found = []
        for each in self.after(after):
            if each > until:
                break
            found.append(each)
        return found

    def end(self, begun: datetime) -> datetime | None:
        """When what began at a moment of this schedule ends (UTC); None where nothing was said of that."""
        if self.until is None:
            return None
        zone = ZoneInfo(self.zone)
        # A time that was skipped came later on the clock than it was meant.
        on = begun.astimezone(zone).date()
        on -= _DAY if instant(on, self.at, zone) != begun else timedelta()
        on += _DAY if self.until <= self.at else timedelta()
        return max(begun, instant(on, self.until, zone))


def instant(on: date, at: time, zone: ZoneInfo) -> datetime:
    """A time on the clock as a moment (UTC): the first of two equal ones, and the end of the gap for a skipped one."""
    first = datetime.combine(on, at, zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == datetime.combine(on, at):
        return first
    # Read with the offset from before the gap it lies behind it, with the one from after it before.
    early, late = datetime.combine(on, at.replace(fold=1), zone).astimezone(UTC), first
    offset = early.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def days_of(days: Sequence[str]) -> frozenset[int]:
    """Days of the week as numbers, Monday first; of none said, all."""
    said = {one for each in days or ("day",) for one in SETS_OF_DAYS.get(each, (each,))}
    return frozenset(map(WEEKDAYS.index, said))


def _exists(on: date, zone: ZoneInfo) -> bool:
    return instant(on, time(12), zone).astimezone(zone).date() == on
