"""Hours in which only what cannot wait is said, and how often what is watched is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from math import ceil

from bot.watching.times import Schedule

SLOWEST = 10.0
"""How many times as long as usual a watch waits between two looks, at most, where calls are scarce."""


def quiet_until(hours: str, now: datetime, zone: str) -> datetime | None:
    """When the quiet hours end (UTC) that it is now; None where it is none of them.

    Args:
        hours: As the settings say them, `22:00-06:00`; empty where there are none.
        now: Aware.
        zone: Whose clock is meant.
    """
    if not hours:
        return None
    begins, _, ends = hours.partition("-")
    begin, end = (Schedule(time.fromisoformat(each), zone).next(now) for each in (begins, ends))
    return end if end < begin else None


def next_look(now: datetime, every: timedelta, scarcity: float) -> datetime:
    """When to look again (UTC): watches that look equally often do so at the same moments, and share what is read.

    Args:
        now: Aware.
        every: Between two looks while there are calls enough.
        scarcity: How many times too fast calls were made for the day's to last; 1 where they do.
    """
    step = every.total_seconds() * min(max(scarcity, 1.0), SLOWEST)
    # Whole multiples of the usual step, so that those who stretch it meet those who do not.
    step = ceil(step / every.total_seconds()) * every.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // step + 1) * step, UTC)
