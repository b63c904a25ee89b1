"""What was spent: never forgotten within a day, whatever happens to programs and clocks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.store import Store
from bot.store.ledger import (
    DAY,
    GUEST,
    LEASE,
    Account,
    Ceilings,
    Ledger,
    Pause,
    Program,
    Refused,
    Share,
)
from tests.fakes import MemoryLedger
from tests.store.databases import ENGINES, address_of

SCOPE = "dev.eu-1.celonis.cloud"
CLERK = ("the clerk", "the room")
ALIVE = ("alive", 1)


def nobody_is_dead(_host: str, _pid: int) -> bool:
    return False


@dataclass
class SetClock:
    """A wall clock that stands where it is put."""

    seconds: float = 1_772_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def join(
    ledger: Ledger, run: str, *, replicas: int = 1, guest: bool = False, dead: Any = nobody_is_dead
) -> Share | None:
    return await ledger.join(SCOPE, Program(run, *ALIVE), replicas=replicas, guest=guest, dead=dead)


class AnyTwentyFourHours(RuleBasedStateMachine):
    """Programs start, stop and are killed, the wall clock is set by up to an hour; calls are judged in true time."""

    CEILING = 12

    @initialize()
    def start(self) -> None:
        self.true = 0.0
        self.offset = 0.0
        self.clock = SetClock()
        self.ledger = MemoryLedger(self.clock)
        self.booked: list[float] = []
        self.running: dict[str, tuple[Share, float]] = {}
        self.runs = 0

    def _wall(self) -> None:
        self.clock.seconds = 1_772_000_000.0 + self.true + self.offset

    def _do(self, work: Any) -> Any:
        return asyncio.run(work)

    def _at(self, run: str) -> float:
        share, since = self.running[run]
        return share.at + self.true - since

    @precondition(lambda self: len(self.running) < 2)
    @rule(dead=st.booleans())
    def begin(self, dead: bool) -> None:
        self._wall()
        self.runs += 1
        run = f"run {self.runs}"
        share = self._do(
            join(self.ledger, run, replicas=2, dead=lambda _host, _pid: dead and not self.running)
        )
        if share is not None:
            self.running[run] = (share, self.true)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), kill=st.booleans())
    def end(self, data: st.DataObject, kill: bool) -> None:
        self._wall()
        run = data.draw(st.sampled_from(sorted(self.running)))
        share, _ = self.running.pop(run)
        if not kill:
            self._do(self.ledger.leave(SCOPE, share, free_at=0.0))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), calls=st.integers(1, 5))
    def book(self, data: st.DataObject, calls: int) -> None:
        self._wall()
        run = data.draw(st.sampled_from(sorted(self.running)))
        share, _ = self.running[run]
        for _ in range(calls):
            standing = self._do(
                self.ledger.book(
                    Account(SCOPE, "intelligence", share.epoch),
                    *CLERK,
                    at=self._at(run),
                    ceilings=Ceilings(total=self.CEILING),
                    share=share,
                )
            )
            if standing.refused is None:
                self.booked.append(self.true)

    @rule(hours=st.sampled_from([0.01, 0.2, 1.0, 5.0, 11.0, 23.0, 24.0]), beating=st.booleans())
    def time_goes_by(self, hours: float, beating: bool) -> None:
        self.true += hours * 3600
        self._wall()
        for run, (share, _) in list(self.running.items()):
            if beating and not self._do(self.ledger.renew(SCOPE, share, at=self._at(run))):
                del self.running[run]

    @rule(offset=st.sampled_from([0.0, 1800.0, 3600.0]))
    def somebody_sets_the_clock(self, offset: float) -> None:
        self.offset = offset

    @rule()
    def purge(self) -> None:
        for run in self.running:
            self._do(self.ledger.purge(self._at(run)))

    @invariant()
    def no_day_holds_more_than_the_limit(self) -> None:
        booked = getattr(self, "booked", [])
        for first, last in zip(booked, booked[self.CEILING :], strict=False):
            assert last - first >= DAY


AnyTwentyFourHours.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyTwentyFourHours = AnyTwentyFourHours.TestCase


@asynccontextmanager
async def stored(engine: str, folder: Path, clock: SetClock) -> AsyncIterator[Ledger]:
    async with address_of(engine, folder) as address, await Store.open(address, clock) as store:
        yield Ledger(store)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_database_counts_alike(engine: str, seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        memory = MemoryLedger(clock)
        at = clock.seconds
        for side in (ledger, memory):
            taken = await join(side, "a run")
        assert taken is not None
        shares = [taken, taken, replace(taken, run="another"), None]
        for _ in range(120):
            at += dice.choice([0.0, 1.0, 300.0, 3600.0])
            account = Account(SCOPE, dice.choice(["intelligence", "integration"]), dice.choice([1, 2]))
            payer = (dice.choice(["U1", "U2"]), dice.choice(["", "C1"]))
            step, share = dice.randrange(8), dice.choice(shares)
            said: list[object] = []
            for side in (ledger, memory):
                match step:
                    case 0 | 1 | 2 | 3:
                        ceilings = Ceilings(20, 9, 12)
                        said.append(await side.book(account, *payer, at=at, ceilings=ceilings, share=share))
                    case 4:
                        said.append(await side.standing(account, at=at))
                    case 5:
                        said.append(await side.buckets(account, at=at))
                        said.append(await side.spent_by(account, at=at))
                    case 6:
                        await side.allow(SCOPE, payer[0], 3, until=at + 600)
                        await side.book(account, *payer, at=at, ceilings=Ceilings(), share=share, calls=2)
                    case _:
                        until = at + 30.0 * (step % 3)
                        await side.pause(account, Pause(until, at, 0.0))
                        await side.purge(at)
            half = len(said) // 2
            assert said[:half] == said[half:]


@pytest.mark.parametrize("engine", ENGINES)
async def test_copies_that_book_at_the_same_moment_never_go_over_the_limit(
    engine: str, tmp_path: Path
) -> None:
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        share = await join(ledger, "a run")
        account = Account(SCOPE, "intelligence", 1)

        async def book() -> Refused | None:
            standing = await ledger.book(
                account, *CLERK, at=clock.seconds, ceilings=Ceilings(total=25), share=share
            )
            return standing.refused

        refused = await asyncio.gather(*(book() for _ in range(40)))
        assert refused.count(None) == 25
        assert refused.count(Refused.TOTAL) == 15


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_write_that_was_confirmed_is_booked_even_over_the_limit_and_without_a_share(
    engine: str, tmp_path: Path
) -> None:
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        account = Account(SCOPE, "integration", 1)
        await ledger.pause(account, Pause(until=clock.seconds + 900, struck_at=clock.seconds))
        standing = await ledger.book(account, *CLERK, at=clock.seconds, ceilings=Ceilings(), share=None)
        assert standing.refused is None
        assert (await ledger.standing(account, at=clock.seconds)).spent == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_shares_are_as_many_as_configured_and_one_more_for_a_guest(engine: str, tmp_path: Path) -> None:
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        shares = [await join(ledger, f"run {number}", replicas=3) for number in range(4)]
        assert [share.number if share else None for share in shares] == [0, 1, 2, None]
        guests = [await join(ledger, f"guest {number}", replicas=3, guest=True) for number in range(2)]
        assert [share.number if share else None for share in guests] == [GUEST, None]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_guest_sits_where_there_is_room_until_somebody_comes_who_stays(
    engine: str, tmp_path: Path
) -> None:
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        guest = await join(ledger, "a guest", guest=True)
        stays = await join(ledger, "who stays")
        assert guest is not None
        assert stays is not None
        assert (guest.number, stays.number) == (0, 0)
        assert not stays.clean, "requests of the guest may still be under way"
        assert not await ledger.renew(SCOPE, guest, at=guest.at)
        again = await join(ledger, "a guest", guest=True)
        assert again is not None
        assert again.number == GUEST
        assert await join(ledger, "one more who stays") is None


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_share_tells_whether_the_one_before_said_good_bye(engine: str, tmp_path: Path) -> None:
    clock = SetClock()
    async with stored(engine, tmp_path, clock) as ledger:
        first = await join(ledger, "first")
        assert first is not None
        assert first.clean
        await ledger.leave(SCOPE, first, free_at=first.at + 1.0)
        second = await join(ledger, "second")
        assert second is not None
        assert (second.clean, second.free_at) == (True, first.at + 1.0)
        third = await join(ledger, "third", dead=lambda _host, _pid: True)
        assert third is not None
        assert not third.clean
        assert third.epoch > second.epoch


async def test_a_copy_whose_share_was_taken_books_nothing(tmp_path: Path) -> None:
    clock = SetClock()
    async with stored("sqlite", tmp_path, clock) as ledger:
        share = await join(ledger, "stopped for long")
        assert share is not None
        clock.seconds += LEASE + 1
        assert await join(ledger, "its successor") is not None
        standing = await ledger.book(
            Account(SCOPE, "intelligence", share.epoch),
            *CLERK,
            at=clock.seconds,
            ceilings=Ceilings(total=10),
            share=share,
        )
        assert standing.refused is Refused.SHARE
        assert not await ledger.renew(SCOPE, share, at=clock.seconds)


async def test_a_copy_that_starts_beside_a_living_one_keeps_its_time_line() -> None:
    clock = SetClock()
    memory = MemoryLedger(clock)
    first = await join(memory, "first", replicas=2)
    assert first is not None
    clock.seconds += 7200 - 3600  # the clock was set back an hour while two went by
    await memory.renew(SCOPE, first, at=first.at + 7200)
    second = await join(memory, "second", replicas=2)
    assert second is not None
    assert second.epoch == first.epoch
    assert second.at == first.at + 7200


def test_what_another_run_wrote_counts_an_hour_longer() -> None:
    clock = SetClock()
    memory = MemoryLedger(clock)
    at = clock.seconds

    async def spent(epoch: int, later: timedelta) -> int:
        account = Account(SCOPE, "intelligence", epoch)
        return (await memory.standing(account, at=at + later.total_seconds())).spent

    account = Account(SCOPE, "intelligence", 1)
    asyncio.run(memory.book(account, *CLERK, at=at, ceilings=Ceilings(), share=None, calls=5))
    assert asyncio.run(spent(1, timedelta(hours=24))) == 5
    assert asyncio.run(spent(1, timedelta(hours=24, minutes=11))) == 0
    assert asyncio.run(spent(2, timedelta(hours=24, minutes=11))) == 5
    assert asyncio.run(spent(2, timedelta(hours=25, minutes=11))) == 0
