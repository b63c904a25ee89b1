"""What platforms deliver: each thing once, an acknowledgement before any answer, and no answer lost by a shutdown."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from bot.model.clock import Clock
from bot.model.errors import StoreUnavailable
from bot.store import Store

log = structlog.get_logger()

_AT_HAND = 20_000
_EACH_TURN = 3
"""Answers that start in one turn: with fewer a crowd pays for many turns, with more it holds up acknowledgements."""


class Once:
    """Tells what comes again from what is new.

    Args:
        most: How many are remembered; the oldest are forgotten first.
        seconds: For how long.
        clock: Decides what is old.
    """

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._known: OrderedDict[str, float] = OrderedDict()

    def first(self, key: str) -> bool:
        """Whether it comes for the first time; from now on it does not."""
        now, known = self._clock.monotonic(), self._known
        while known and next(iter(known.values())) <= now:
            known.popitem(last=False)
        if key in known:
            return False
        if len(known) >= self._most:
            known.popitem(last=False)
        known[key] = now + self._seconds
        return True


class Deliveries:
    """The deliveries of one platform and the answers to them.

    Args:
        platform: Its name.
        store: Tells repeated deliveries from new ones, for all replicas.
        clock: Decides what is old.
        kept: For how long a repetition is known as such.
        most: Answers in the making from which on nothing more should be taken.
    """

    def __init__(self, platform: str, store: Store, clock: Clock, *, kept: timedelta, most: int) -> None:
        self._platform = platform
        self._store = store
        self._kept = kept
        self.most = most
        self._seen = Once(_AT_HAND, kept.total_seconds(), clock)
        self._waiting: deque[Coroutine[Any, Any, None]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self.closing = False

    @property
    def busy(self) -> bool:
        """Whether nothing more is taken now; platforms deliver again later."""
        return self.closing or len(self) >= self.most

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts an answer, soon: a few in each turn of the event loop, so that a crowd of them lets whatever arrives
        meanwhile be acknowledged first.
        """
        self._waiting.append(work)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(_EACH_TURN, len(self._waiting))):
            task = loop.create_task(self._waiting.popleft())
            self._under_way.add(task)
            task.add_done_callback(self._done)
        if self._waiting:
            loop.call_soon(self._start_next)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivery not answered", platform=self._platform, exc_info=error)

    async def first_time(self, key: str, *, lasting: bool = True) -> bool:
        """Whether this delivery is no repetition, on any replica; without a database, on this one.

        Args:
            key: What the platform calls it, with the platform; the same each time it is sent.
            lasting: Whether a repetition after a restart would do harm. Where the database is not shared, a durable row
                would cost more than the answer and only tell the same sentence from a new one.
        """
        if not self._seen.first(key):
            return False
        if not lasting and self._store.dialect == "sqlite":
            return True
        try:
            return await self._store.first_time(key, self._kept)
        except StoreUnavailable as error:
            log.warning("deliveries not shared", platform=self._platform, error=error.sentence)
            return True

    async def idle(self) -> None:
        """Returns once every answer is given."""
        while len(self):
            await (asyncio.wait(self._under_way) if self._under_way else asyncio.sleep(0))

    async def close(self, within: float) -> None:
        """Takes nothing more and waits for what is being answered; what is not done within so many seconds is cut off.
        What it had promised is taken up again by whoever finds its ticket.
        """
        self.closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.idle()
        late = tuple(self._under_way)
        for task in late:
            task.cancel()
        if late:
            log.warning("answers cut off by the shutdown", platform=self._platform, count=len(late))
            await asyncio.wait(late, timeout=1.0)
