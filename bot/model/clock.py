"""The one way to learn what time it is, so that tests and simulations bring their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import cache
from typing import Protocol, TypeVar
from zoneinfo import available_timezones

T = TypeVar("T")


class Clock(Protocol):
    """Wall clock, monotonic clock and waiting, always taken together so that they agree."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment. Never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for zero and less."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


async def within(clock: Clock, seconds: float, awaitable: Awaitable[T]) -> T:
    """Awaits something for so long, by this clock.

    Raises:
        TimeoutError: It took longer; it was cancelled.
    """
    work = asyncio.ensure_future(awaitable)
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({work, limit}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise TimeoutError
        return work.result()
    finally:
        for each in (work, limit):
            if not each.done():
                each.cancel()


@cache
def known_zones() -> frozenset[str]:
    """The IANA names of all zones; found once, since that reads hundreds of files."""
    return frozenset(available_timezones())
