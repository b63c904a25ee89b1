"""For tests: a clock that moves only when told, an event loop in which waiting takes no time, a ledger in memory."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.model.clock import Clock
from bot.store import Store
from bot.store.database import Database
from bot.store.encryption import Encryption
from bot.store.ledger import Ledger
from bot.store.schema import metadata

T = TypeVar("T")
START = datetime(2026, 3, 2, 22, 10, tzinfo=UTC)
_TURNS = 20
"""Turns of the event loop after each waking: enough for what was woken to come to rest."""


class FakeClock:
    """A clock that moves only through `advance`; sleepers wake in order, each at its own moment."""

    def __init__(self, at: datetime = START, seconds: float = 1000.0) -> None:
        self._wall = at
        self._seconds = seconds
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, self._count, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Lets so many seconds go by; whoever sleeps wakes at the right moment and comes to rest."""
        end = self._seconds + seconds
        await self._rest()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._move(at - self._seconds)
            if not woken.done():
                woken.set_result(None)
                await self._rest()
        self._move(end - self._seconds)
        await self._rest()

    def jump(self, seconds: float) -> None:
        """Sets the wall clock, as an administrator or a time server does; the monotonic clock does not notice."""
        self._wall += timedelta(seconds=seconds)

    def _move(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)
        self._seconds += seconds

    async def _rest(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)


class LoopClock:
    """The clock of a `VirtualLoop`: whatever sleeps in it, this clock or asyncio, sleeps in the same virtual time."""

    def __init__(self, at: datetime = START) -> None:
        self._start = at
        self._jumped = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic() + self._jumped)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def jump(self, seconds: float) -> None:
        """Sets the wall clock; the monotonic clock does not notice."""
        self._jumped += seconds


class _NoWaiting(selectors.DefaultSelector):
    """Instead of waiting for something to happen, lets the time go by at once."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            # Nothing is planned; only another thread can wake the loop now.
            ready = super().select(_LONGEST_REAL_WAIT)
            if not ready:
                raise RuntimeError("everything waits, and nothing will ever happen")
            return ready
        if self.loop.outside:
            ready = super().select(_A_MOMENT)
        if not ready:
            self.loop.elapsed += timeout
        return ready


_LONGEST_REAL_WAIT = 10.0
_A_MOMENT = 0.005


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own time: a day passes as fast as its events can be handled.

    Attributes:
        elapsed: The time, in seconds.
        outside: How much is under way on real sockets; while there is, a moment of true time is waited for it before
            the time goes by.
    """

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.outside = 0
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """Runs an async test, or any coroutine function, in a `VirtualLoop` of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    # pytest looks at the signature for fixtures, and at the wrapped function for whether to await it.
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]  # functions take attributes
    del run.__wrapped__
    return run


class MemoryDatabase(Database):
    """SQLite in memory, asked at once and not in a thread, so that virtual time stands still meanwhile."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self._engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        tables = [table for name, table in metadata.tables.items() if name.startswith("celonis_")]
        metadata.create_all(self._engine, tables)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        self._engine.dispose()


class MemoryLedger(Ledger):
    """A ledger that ends with the program."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Store(MemoryDatabase(), clock, encryption=Encryption(())))
