"""A thousand watches through ten kills: nothing is lost, and nothing is said twice but what a kill left unwritten."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.model.people import Person, Place, Visibility
from bot.store import Store, watches
from bot.store.watches import Watch, WatchKind
from bot.watching.loop import LEASE, Held, Looked, WatchLoop
from tests.store.databases import ENGINES, FakeClock, address_of

WATCHES = 1000
KILLS = 10
OWNER = Person("slack", "T1", "U1", "alice")
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL)
KINDS = tuple(WatchKind)
FIRST, LAST = "first", "last"


class StillClock(FakeClock):
    """Nobody's nap ends; time moves when told to."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@dataclass
class Night:
    """What a thousand watches say, two messages each.

    Attributes:
        deaths: At which steps the program dies that makes them; each message takes two, to its post and to its record.
        said: How often each message was posted.
        unwritten: What was posted by those that may not be written down yet.
        in_doubt: What was not, when a program died.
    """

    deaths: list[int]
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    unwritten: set[tuple[str, str]] = field(default_factory=set)
    in_doubt: set[tuple[str, str]] = field(default_factory=set)
    steps: int = 0


class Program:
    """One copy of the bot, until it is killed."""

    def __init__(self, store: Store, clock: FakeClock, night: Night) -> None:
        self._night = night
        self._dies = asyncio.Event()
        self._loop = WatchLoop(store, clock, self._look, self._nobody)

    async def _step(self) -> None:
        self._night.steps += 1
        if self._night.deaths and self._night.steps >= self._night.deaths[0]:
            del self._night.deaths[0]
            self._dies.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async def _post(self, message: tuple[str, str], held: Held) -> None:
        await held.take()
        await self._step()
        self._night.said[message] += 1
        self._night.unwritten.add(message)
        await self._step()

    async def _look(self, watch: Watch, held: Held) -> Looked:
        if watch.state != FIRST:
            await self._post((watch.id, FIRST), held)
            await held.keep(FIRST)
            self._night.unwritten.discard((watch.id, FIRST))
        await self._post((watch.id, LAST), held)
        return Looked(LAST, None, spoke=True)

    async def _nobody(self, _watch: Watch, _why: str) -> None:
        raise AssertionError

    async def killed(self) -> bool:
        """Goes on until it is killed, or nothing is left to say; whether it was killed."""
        while await self._loop.round():
            working = [*self._loop._at_work.values()]
            dead = asyncio.ensure_future(self._dies.wait())
            settled = asyncio.ensure_future(asyncio.wait(working))
            await asyncio.wait({dead, settled}, return_when=asyncio.FIRST_COMPLETED)
            for each in (dead, settled, *(working if self._dies.is_set() else ())):
                each.cancel()
            if self._dies.is_set():
                await asyncio.gather(*working, return_exceptions=True)
                return True
        return False


@pytest.mark.parametrize("engine", ENGINES)
async def test_ten_kills_lose_nothing_and_double_only_what_was_not_written(
    engine: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"{engine}: seed {seed}")  # noqa: T201 - for going through the same night again
    dice, clock = random.Random(seed), StillClock()  # noqa: S311 - no secret
    night = Night(sorted(dice.sample(range(4 * WATCHES), KILLS)))
    async with address_of(engine, tmp_path) as address:
        store = await Store.open(address, clock, secret_keys=[b"not a secret - " * 3])
        try:
            for number in range(WATCHES):
                kind = KINDS[number % len(KINDS)]
                now = clock.now()
                made = Watch(f"w{number}", kind, "models", "main", OWNER, PLACE, "UTC", now, now)
                assert await watches.insert(store, made)
            while left := await watches.living(store):
                alive = {each.id for each in left}
                night.in_doubt |= {each for each in night.unwritten if each[0] in alive}
                night.unwritten.clear()
                await asyncio.gather(*(Program(store, clock, night).killed() for _ in range(2)))
                clock.advance(LEASE.total_seconds() + 1)
        finally:
            await store.close()
    assert night.deaths == [], "all ten died"
    wanted = {(f"w{number}", message) for number in range(WATCHES) for message in (FIRST, LAST)}
    assert set(night.said) == wanted, "nothing is lost"
    doubled = {message: count for message, count in night.said.items() if count > 1}
    print(f"{KILLS} kills, {len(night.in_doubt)} messages not written then, {len(doubled)} said twice")  # noqa: T201
    assert set(doubled) <= night.in_doubt
    assert len(doubled) <= KILLS
    assert set(doubled.values()) <= set(range(2, KILLS + 2))
