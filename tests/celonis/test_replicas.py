"""Several copies of the bot, copies that die or stand still, and a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.celonis import Celonis, DataQuery, Family, Lane
from bot.celonis.limits.replicas import QUIET_MINUTE, TRAVEL, certainly_gone, this_program
from bot.config import Limits
from bot.model.clock import SystemClock
from bot.model.errors import BotError, ConfigError, RateLimited, StoreUnavailable
from bot.store import Store
from bot.store.ledger import LEASE, Ledger, Program
from tests.celonis.team import Team, World, rows, too_many
from tests.fakes import MemoryLedger, in_virtual_time
from tests.store.databases import ENGINES, address_of

KM = "package.model"


class Flaky(MemoryLedger):
    """A ledger whose database can be away."""

    away = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            if Flaky.away:
                raise StoreUnavailable("The bot's database does not answer.")
            return await found(*args, **kwargs)

        return call


@pytest.fixture(autouse=True)
def _database_is_there() -> None:
    Flaky.away = False


def another_program(celonis: Celonis, name: str) -> Celonis:
    """Makes a client act as a program of its own on a machine of its own."""
    celonis.replica.program = Program(name, name, 1)
    celonis.replica.dead = lambda _host, _pid: False
    return celonis


async def ask(world: World, celonis: Celonis, number: int, **more: Any) -> BotError | None:
    try:
        await world.ask(celonis, **more).record_data(KM, f"R{number}", DataQuery(fields=("a",)))
    except BotError as error:
        return error
    return None


# --- shares


@in_virtual_time
async def test_copies_together_keep_the_limit_of_a_second() -> None:
    world = World(
        Team(there=0.0, back=0.0, jitter=0.2), limits=Limits(person_share=1.0, place_share=1.0), replicas=3
    )
    copies = [another_program(world.client(), f"copy {number}") for number in range(3)]
    for copy in copies:
        await copy.open()
    begin = world.clock.monotonic()
    await asyncio.gather(*(ask(world, copies[number % 3], number, within=600.0) for number in range(600)))
    took = world.clock.monotonic() - begin
    for copy in copies:
        await copy.close()
    assert world.team.violations() == 0
    assert len(world.team.arrivals) == 600
    assert 600 / took > 0.9 * 19 / 1.2


@in_virtual_time
async def test_more_copies_than_configured_do_not_start() -> None:
    world = World()
    async with another_program(world.client(), "first"):
        with pytest.raises(ConfigError, match="replicas"):
            await another_program(world.client(), "second").open()


@in_virtual_time
async def test_a_one_shot_command_runs_beside_it_on_a_slot_that_is_kept_for_it() -> None:
    world = World(Team(there=0.0, back=0.0))
    async with another_program(world.client(), "serve") as serve:
        guest = Celonis(
            world.connection(), clock=world.clock, ledger=world.ledger, transport=world.team, guest=True
        )
        async with another_program(guest, "ask"):
            await asyncio.gather(
                *(ask(world, serve, number, within=60.0) for number in range(100)),
                *(ask(world, guest, 1000 + number, within=60.0) for number in range(5)),
            )
    assert len(world.team.arrivals) == 105
    assert world.team.violations() == 0


@in_virtual_time
async def test_after_a_kill_the_next_copy_is_quiet_until_nothing_of_it_can_be_under_way() -> None:
    world = World()
    killed = another_program(world.client(), "killed")
    await killed.open()
    await asyncio.gather(*(ask(world, killed, number) for number in range(15)))
    killed.replica._beat.cancel()  # type: ignore[union-attr]  # it was opened
    begin = world.clock.monotonic()
    second = another_program(world.client(), "second")
    second.replica.dead = lambda host, _pid: host == "killed"
    await second.open()
    assert world.clock.monotonic() == begin
    assert await ask(world, second, 100) is None
    assert world.clock.monotonic() - begin >= 1.0 + TRAVEL
    await second.close()
    begin = world.clock.monotonic()
    async with another_program(world.client(), "third") as third:
        assert await ask(world, third, 200) is None
    assert world.clock.monotonic() - begin < 1.2, (
        "after a good-bye only the last requests' second is waited for"
    )
    assert world.team.violations() == 0


@in_virtual_time
async def test_a_copy_that_stood_still_for_long_sends_nothing_on_a_share_that_is_taken() -> None:
    world = World(Team(there=0.0, back=0.0))
    stood_still = another_program(world.client(), "stood still")
    await stood_still.open()
    assert await ask(world, stood_still, 1) is None
    stood_still.replica._beat.cancel()  # type: ignore[union-attr]  # it was opened
    await world.clock.sleep(LEASE + 1)
    async with another_program(world.client(), "its successor"):
        assert await ask(world, stood_still, 2, within=5.0) is not None
        assert len(world.team.arrivals) == 1
        assert stood_still.replica.share is None


def test_a_program_is_gone_only_where_that_is_certain() -> None:
    here = this_program()
    gone = certainly_gone(here)
    assert gone(here.host, here.pid), "an earlier program had this very number"
    assert not gone(here.host, 1)
    assert not gone("another machine", 999_999)
    assert gone(here.host, 2**22 + 1), "beyond the largest number a process can have"


@in_virtual_time
async def test_a_one_shot_command_alone_is_as_quick_as_a_copy_and_makes_room_for_one() -> None:
    world = World(Team(there=0.0, back=0.0))
    alone = Celonis(
        world.connection(),
        clock=world.clock,
        ledger=MemoryLedger(world.clock),
        transport=world.team,
        guest=True,
    )
    world.ledger = alone.replica.ledger
    async with another_program(alone, "ask"):
        working = asyncio.gather(*(ask(world, alone, number, within=90.0) for number in range(60)))
        await world.clock.sleep(2)
        assert len(world.team.arrivals) > 30
        async with another_program(world.client(), "serve") as serve:
            await asyncio.gather(
                working, *(ask(world, serve, 1000 + number, within=60.0) for number in range(60))
            )
            assert (serve.replica.slots, alone.replica.slots) == (19, 1)
    assert len(world.team.arrivals) == 120
    assert world.team.violations() == 0


# --- pauses


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_429_that_one_copy_got_pauses_all_and_outlives_them(engine: str, tmp_path: Path) -> None:
    clock = SystemClock()
    strike = True

    def answers(_arrival: object) -> httpx.Response:
        return too_many(x_ratelimit_reset="900") if strike else rows("x")

    world = World(Team(answers, there=0.0, back=0.0), replicas=2)
    async with address_of(engine, tmp_path) as address, await Store.open(address, clock) as store:

        def client(name: str) -> Celonis:
            connection = world.connection()
            ledger = Ledger(store)
            celonis = Celonis(connection, clock=clock, ledger=ledger, transport=world.team, replicas=2)
            return another_program(celonis, name)

        async with client("first") as first, client("second") as second:
            world.clock = clock  # type: ignore[assignment]  # real time, for a real database
            assert isinstance(await ask(world, first, 1), RateLimited)
            await asyncio.sleep(0.05)
            strike = False
            assert isinstance(await ask(world, second, 2), RateLimited)
        async with client("third") as third:
            assert isinstance(await ask(world, third, 3), RateLimited)
    assert len(world.team.arrivals) == 1


# --- without the database


@in_virtual_time
async def test_a_database_that_is_back_soon_costs_only_the_time_it_was_away() -> None:
    world = World()
    world.ledger = Flaky(world.clock)
    async with world.client() as celonis:
        assert await ask(world, celonis, 1) is None
        Flaky.away = True
        waiting = asyncio.ensure_future(ask(world, celonis, 2))
        await world.clock.sleep(5)
        assert len(world.team.arrivals) == 1
        Flaky.away = False
        assert await waiting is None
        assert (await celonis.quota()).tightest.spent == 2


@in_virtual_time
async def test_without_the_database_only_people_ask_and_only_a_little_after_a_quiet_minute() -> None:
    world = World(limits=Limits(per_day=500, person_share=1.0, place_share=1.0))
    world.ledger = Flaky(world.clock)
    async with world.client() as celonis:
        assert await ask(world, celonis, 0) is None
        Flaky.away = True
        assert isinstance(await ask(world, celonis, 1, within=10.0), StoreUnavailable)
        await world.clock.sleep(QUIET_MINUTE - 15)
        begin = world.clock.monotonic()
        assert await ask(world, celonis, 2, within=30.0) is None
        assert world.clock.monotonic() - begin > 3
        for lane in (Lane.GUARDED, Lane.BACKGROUND):
            assert isinstance(await ask(world, celonis, 3, lane=lane), StoreUnavailable)
        ended = [await ask(world, celonis, 10 + number) for number in range(20)]
        assert ended.count(None) == 9  # two percent of 500, and one was used above
        assert len(world.team.arrivals) == 1 + 10
        Flaky.away = False
        await world.clock.sleep(2)
        assert (await celonis.quota()).tightest.spent == 11, (
            "what was spent alone is booked when the database is back"
        )
        assert await ask(world, celonis, 50, lane=Lane.GUARDED) is None


@in_virtual_time
async def test_without_the_database_a_copy_does_not_start() -> None:
    world = World()
    world.ledger = Flaky(world.clock)
    Flaky.away = True
    with pytest.raises(StoreUnavailable):
        await world.client().open()


@in_virtual_time
async def test_a_crash_loop_does_not_spend_the_day_twice() -> None:
    world = World(limits=Limits(per_day=100, person_share=1.0, place_share=1.0))
    run: Callable[[int], Celonis] = lambda number: another_program(world.client(), f"run {number}")  # noqa: E731 - a name for a step
    for number in range(30):
        celonis = run(number)
        celonis.replica.dead = lambda _host, _pid: True
        await celonis.open()
        await asyncio.gather(*(ask(world, celonis, 1000 * number + each) for each in range(10)))
        celonis.replica._beat.cancel()  # type: ignore[union-attr]  # it was opened
    assert len(world.team.arrivals) == 95
    assert world.team.violations() == 0


@in_virtual_time
async def test_connections_to_one_team_share_its_limits_and_not_their_answers() -> None:
    world = World(limits=Limits(per_day=40, person_share=1.0, place_share=1.0))
    first = world.client(name="first")
    second = Celonis(
        world.connection(name="second"),
        clock=world.clock,
        ledger=world.ledger,
        transport=world.team,
        beside=first,
    )
    async with first, second:
        for number in range(25):
            await ask(world, first, number)
            await ask(world, second, number)
        assert len(world.team.arrivals) == 38
        assert first.limiters[Family.INTELLIGENCE] is second.limiters[Family.INTELLIGENCE]


@in_virtual_time
async def test_a_429_of_one_copy_and_one_of_another_within_ten_minutes_halve_the_rate_of_both() -> None:
    strike = {3, 40}

    def answers(_arrival: object) -> httpx.Response:
        return too_many(x_ratelimit_reset="1") if len(world.team.arrivals) in strike else rows("x")

    world = World(
        Team(answers, there=0.0, back=0.0), limits=Limits(person_share=1.0, place_share=1.0), replicas=2
    )
    async with (
        another_program(world.client(), "one") as one,
        another_program(world.client(), "other") as other,
    ):
        await asyncio.gather(*(ask(world, one, number, within=60.0) for number in range(20)))
        await asyncio.gather(*(ask(world, other, 100 + number, within=60.0) for number in range(40)))
        await asyncio.gather(*(ask(world, one, 200 + number, within=60.0) for number in range(5)))
        assert other.limiters[Family.INTELLIGENCE].slots.usable == 4
        assert one.limiters[Family.INTELLIGENCE].slots.usable == 5


@in_virtual_time
async def test_a_stop_lets_what_is_in_the_air_come_back_and_the_next_start_does_not_wait_for_it() -> None:
    world = World(Team(there=0.5, back=0.5))
    celonis = await another_program(world.client(), "first").open()
    asking = asyncio.ensure_future(world.ask(celonis).record_data(KM, "R", DataQuery(fields=("a",))))
    await world.clock.sleep(0.2)
    await celonis.close()
    assert (await asking).rows == ({"a": "x"},)
    world.team.there = 30.0
    celonis = await another_program(world.client(), "second").open()
    hung = asyncio.ensure_future(ask(world, celonis, 2))
    await world.clock.sleep(0.2)
    await celonis.close()
    await asyncio.gather(hung, return_exceptions=True)
    world.team.there = 0.0
    begin = world.clock.monotonic()
    async with another_program(world.client(), "third") as third:
        assert await ask(world, third, 3) is None
    assert world.clock.monotonic() - begin < 1.0 + TRAVEL + 1.1
