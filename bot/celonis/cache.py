"""What was answered lately, each with its age, and one call for everybody who asks the same at the same time.

An answer that is fresh is handed out by `at_hand`: nothing is awaited, nothing is locked. Everything else goes through
`fetch`, the only place where somebody waits for what another one asked.
"""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from weakref import ReferenceType

from cachetools import TLRUCache

from bot.celonis.errors import late
from bot.celonis.freshness import STALE_BY, Lifetime, Stretch
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.request import Call, Caller, Family, Lane
from bot.model.clock import Clock, within
from bot.model.errors import (
    BadQuery,
    BotError,
    CelonisError,
    Forbidden,
    NotFound,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    StoreUnavailable,
    Unreachable,
)

ROOM = 64 * 1024 * 1024
"""Bytes that the answers of a connection may take."""
NEGATIVE = 15.0
"""Seconds for which "not found" and the like are believed."""
OVERHEAD = 9
"""Bytes of memory for one of JSON, once it is parsed (measured: 2.5 for rows of text, 9 for lists of KPIs)."""
LEAST = 512
NOBODY_WAITS = 20.0
"""Age in seconds up to which an answer is fresh for work in the background."""
BACKGROUND_TIMEOUT = 60.0
"""Seconds that an answer may take which nobody waits for."""
_UNCLEAR = (QuotaExhausted, RateLimited, Unreachable, ServerFault, StoreUnavailable)
_NEGATIVE = (NotFound, BadQuery, Forbidden)

Fetch: TypeAlias = Callable[[Purpose], Awaitable[Any]]
"""Asks, and reads the answer."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Entry:
    """An answer, or an error that stands for one.

    Attributes:
        value: The answer.
        error: What Celonis refused with, if it did.
        fetched_at: When it was asked (UTC).
        born: The same in monotonic seconds.
        lifetime: How long it keeps.
        size: Bytes it takes, about.
        unread: Items of it that could not be read.
    """

    value: Any
    error: CelonisError | None
    fetched_at: datetime
    born: float
    lifetime: Lifetime
    size: int
    unread: int = 0


@dataclass(slots=True, eq=False)
class Reads:
    """All that one answer was made of, to be read once more at once.

    Attributes:
        calls: What was asked, each with the answer, gone when nobody keeps it any more.
        unread: By question: how many items of its answer could not be read.
        version: Of the cache, when it was last compared with it.
        fresh_until: How long all of it is fresh as long as the cache stays as it was then (monotonic seconds).
    """

    calls: tuple[tuple[Call, ReferenceType[Entry]], ...]
    unread: Mapping[str, int]
    version: int = -1
    fresh_until: float = 0.0


class _Flight:
    """One answer under way, and how many wait for it."""

    __slots__ = ("purpose", "waiting", "work")

    def __init__(self, purpose: Purpose, work: asyncio.Task[Entry]) -> None:
        self.purpose = purpose
        self.work = work
        self.waiting = 0


class Cache:
    """The answers of one connection, bounded by bytes; what is used least goes first.

    Args:
        clock: For ages and deadlines.
        room: Bytes.

    Attributes:
        stretches: By API family, how much longer than usual answers keep.
        hits: Questions that were answered without a call.
        misses: Those that were not.
    """

    def __init__(self, clock: Clock, room: int = ROOM) -> None:
        self._clock = clock
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            room, ttu=_until, timer=clock.monotonic, getsizeof=lambda entry: entry.size
        )
        self._flights: dict[str, _Flight] = {}
        self._version = 0
        self._given: Counter[Reads] = Counter()
        self.stretches = {family: Stretch(clock.monotonic()) for family in Family}
        self.hits = self.misses = 0

    @property
    def hit_rate(self) -> float | None:
        """Part of the questions that were answered without a call; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def get(self, key: str) -> Entry | None:
        """The newest answer that is still usable."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keeps an answer; one that is larger than the whole cache is not kept, nor one that was asked before another
        that is here already.
        """
        self._version += 1
        newest = self._entries.get(key)
        if newest is not None and newest.born > entry.born:
            return
        try:
            self._entries[key] = entry
        except ValueError:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forgets everything: the rights of the key may be others now."""
        self._version += 1
        self._entries.clear()

    def look(self, family: Family, supply: float) -> None:
        """Calculates anew how long the answers of an API family keep; see `Stretch.look`."""
        now = self._clock.monotonic()
        for reads, times in self._given.items():
            for call, _ in reads.calls:
                self.stretches[call.family].asked(call.key, call.lifetime, now, times)
        self._given.clear()
        self.stretches[family].look(now, supply)
        self._version += 1

    def at_hand(self, call: Call, caller: Caller, fetch: Fetch) -> Entry | None:
        """An answer that can be given without waiting, an error that is still believed included.

        Args:
            call: What is asked.
            caller: For whom; guarded work gets no answer that is past its time.
            fetch: Asks it, for an answer that has just become too old and is given all the same.
        """
        now = self._clock.monotonic()
        stretch = self.stretches[call.family]
        stretch.asked(call.key, call.lifetime, now)
        entry = None if caller.fresh else self._entries.get(call.key)
        if entry is not None:
            age, fresh_for = now - entry.born, stretch.fresh_for(call.lifetime)
            if caller.lane is Lane.BACKGROUND:
                fresh_for = max(fresh_for, NOBODY_WAITS)
            if entry.error is not None or age <= fresh_for:
                self.hits += 1
                return entry
            if self._does(call, age, fresh_for, caller):
                self.hits += 1
                if call.key not in self._flights:
                    later = Caller(caller.person, caller.place, Lane.BACKGROUND, now + BACKGROUND_TIMEOUT)
                    self._take_off(call, later, fetch).waiting = 1
                return entry
        self.misses += 1
        return None

    def again(self, reads: Reads, caller: Caller) -> bool:
        """Whether these very answers would be given now, all of them at hand; counts them where they are.

        As long as the cache is the same, that follows from the time alone.
        """
        now = self._clock.monotonic()
        if caller.fresh:
            return False
        if reads.version != self._version or now > reads.fresh_until:
            if not all(self._held(call, entry(), caller, now) for call, entry in reads.calls):
                return False
            reads.version = self._version
            reads.fresh_until = min(self._fresh_until(call, entry()) for call, entry in reads.calls)
        self._given[reads] += 1
        self.hits += len(reads.calls)
        return True

    def _held(self, call: Call, entry: Entry | None, caller: Caller, now: float) -> bool:
        if entry is None or self._entries.get(call.key) is not entry:
            return False
        age, fresh_for = now - entry.born, self.stretches[call.family].fresh_for(call.lifetime)
        return age <= fresh_for or (call.key in self._flights and self._does(call, age, fresh_for, caller))

    def _fresh_until(self, call: Call, entry: Entry | None) -> float:
        return entry.born + self.stretches[call.family].fresh_for(call.lifetime) if entry is not None else 0.0

    def _does(self, call: Call, age: float, fresh_for: float, caller: Caller) -> bool:
        """Whether an answer that has just become too old does while a new one is fetched."""
        return caller.lane is not Lane.GUARDED and age <= min(STALE_BY * fresh_for, call.lifetime.stretched)

    async def fetch(self, call: Call, caller: Caller, fetch: Fetch) -> tuple[Entry, bool]:
        """Asks, once however many want to know; `fresh` callers do not join what has begun.

        Args:
            call: What is asked.
            caller: For whom.
            fetch: Asks it; counts what it read, and could not, on the purpose.

        Returns:
            The answer, and whether it is an old one that has to do.

        Raises:
            BotError: There is no answer, and no old one to fall back on; the same for all who wait.
            Unreachable: The answer is not there by the caller's deadline.
        """
        try:
            return await self._landed(call, caller, fetch), False
        except _UNCLEAR:
            old = self._entries.get(call.key)
            if old is None or old.error is not None or caller.fresh or caller.lane is Lane.GUARDED:
                raise
            return old, True

    async def close(self, grace: float = 0.0) -> None:
        """Ends all that is under way; what is in the air gets so many seconds to come back."""
        for flight in list(self._flights.values()):
            flight.purpose.abandoned = True
            if not flight.purpose.in_air:
                flight.work.cancel()
        works = [flight.work for flight in self._flights.values()]
        if works:
            with suppress(TimeoutError):
                await within(self._clock, grace, asyncio.wait(works))
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _landed(self, call: Call, caller: Caller, fetch: Fetch) -> Entry:
        flight = self._flights.get(call.key)
        mine = flight is None or (caller.fresh and flight.purpose.begun) or flight.work.done()
        if flight is None or mine:
            flight = self._take_off(call, caller, fetch)
        else:
            flight.purpose.joined(caller)
        flight.waiting += 1
        try:
            left = max(0.0, caller.deadline - self._clock.monotonic())
            return await within(self._clock, left, asyncio.shield(flight.work))
        except TimeoutError:
            # What waits for its turn says why it waits.
            raise (late() if flight.purpose.queue is None else flight.purpose.queue.overdue()) from None
        except BotError as error:
            raise (error if mine else copy.copy(error)) from None
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.work.done():
                flight.purpose.abandoned = True
                if not flight.purpose.in_air:
                    # Nothing is under way that was paid for, so it costs nothing to forget it.
                    flight.work.cancel()
                    self._forget(call.key, flight)

    def _take_off(self, call: Call, caller: Caller, fetch: Fetch) -> _Flight:
        purpose = Purpose(caller)
        flight = _Flight(purpose, asyncio.ensure_future(self._fetched(call, purpose, fetch)))
        self._flights[call.key] = flight

        def landed(work: asyncio.Task[Entry]) -> None:
            self._forget(call.key, flight)
            if not work.cancelled():
                work.exception()  # so that nobody's error is not reported as forgotten

        flight.work.add_done_callback(landed)
        return flight

    def _forget(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _fetched(self, call: Call, purpose: Purpose, fetch: Fetch) -> Entry:
        at, born = self._clock.now(), self._clock.monotonic()
        try:
            value = await fetch(purpose)
        except _NEGATIVE as error:
            self.put(call.key, Entry(None, error, at, born, call.lifetime, LEAST))
            raise
        finally:
            self.stretches[call.family].cost(call.key, purpose.calls)
        size = LEAST + OVERHEAD * purpose.size
        entry = Entry(value, None, at, born, call.lifetime, size, purpose.unread)
        self.put(call.key, entry)
        return entry


def _until(_key: str, entry: Entry, now: float) -> float:
    return now + (NEGATIVE if entry.error is not None else entry.lifetime.usable)
