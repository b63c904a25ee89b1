"""Who may send, when, and whether at all; in virtual time, with the server's own log as the judge."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bot.celonis import Celonis, DataQuery, Family, Lane
from bot.config import Limits
from bot.model.errors import BotError, QuotaExhausted, RateLimited, ServerFault, Unreachable
from bot.store.ledger import Standing
from tests.celonis.team import Team, World, rows, too_many
from tests.fakes import MemoryLedger, VirtualLoop, in_virtual_time

KM = "package.model"


def query(number: int) -> DataQuery:
    """A question of its own."""
    return DataQuery(fields=("a",), search=f"number {number}")


async def ask_many(
    world: World, celonis: Celonis, numbers: range, person: str = "the clerk", **more: object
) -> list[float]:
    """Asks questions at once; returns how long each waited for its answer."""

    async def one(number: int) -> float:
        began = world.clock.monotonic()
        await world.ask(celonis, person, **more).record_data(KM, "R", query(number))  # type: ignore[arg-type]
        return world.clock.monotonic() - began

    return await asyncio.gather(*(one(number) for number in numbers))


async def outcome(world: World, celonis: Celonis, number: int, **more: object) -> BotError | None:
    try:
        await world.ask(celonis, **more).record_data(KM, "R", query(number))  # type: ignore[arg-type]
    except BotError as error:
        return error
    return None


@in_virtual_time
async def test_the_server_never_sees_more_than_twenty_requests_in_a_second() -> None:
    world = World(Team(there=0.0, back=0.0, jitter=0.2))
    async with world.client() as celonis:
        begin = world.clock.monotonic()
        await ask_many(world, celonis, range(600), within=600.0)
        took = world.clock.monotonic() - begin
    assert world.team.violations() == 0
    sustained = 19 / (1 + 0.2)  # one slot is kept for one-shot commands; a trip takes 0.2 s on average
    assert 600 / took >= 0.9 * sustained


@in_virtual_time
async def test_two_people_take_turns_however_much_one_of_them_asks() -> None:
    world = World(Team(there=0.025, back=0.025, jitter=0.025))
    async with world.client() as celonis:
        flood = asyncio.ensure_future(ask_many(world, celonis, range(200), "who asks much", within=60.0))
        await world.clock.sleep(1.5)
        waits = []
        for number in range(1000, 1016):
            waits += await ask_many(world, celonis, range(number, number + 1), "who asks little")
            await world.clock.sleep(0.5)
        await flood
    assert max(waits) < 0.15 + 0.1  # the wait, and the trip itself


@in_virtual_time
async def test_what_would_come_too_late_is_refused_at_once_and_says_when_to_ask_again() -> None:
    world = World()
    async with world.client() as celonis:
        flood = asyncio.ensure_future(ask_many(world, celonis, range(200), within=60.0))
        await world.clock.sleep(0.5)
        begin = world.clock.monotonic()
        with pytest.raises(QuotaExhausted) as refused:
            await ask_many(world, celonis, range(1000, 1001), within=2.0)
        assert world.clock.monotonic() - begin < 0.1
        assert refused.value.moment is not None
        assert timedelta(seconds=5) < refused.value.moment - world.clock.now() < timedelta(seconds=15)
        assert not any("number%201000" in each.query for each in world.team.arrivals)
        await flood


@in_virtual_time
async def test_guarded_calls_go_before_people_and_people_before_the_background() -> None:
    world = World()
    order: list[str] = []

    async def one(celonis: Celonis, number: int, lane: Lane) -> None:
        await world.ask(celonis, lane.name, lane=lane).record_data(KM, "R", query(number))
        order.append(lane.name)

    async with world.client() as celonis:
        await ask_many(world, celonis, range(19))
        lanes = [Lane.BACKGROUND] * 4 + [Lane.PEOPLE] * 8 + [Lane.GUARDED] * 4
        await asyncio.gather(*(one(celonis, 100 + number, lane) for number, lane in enumerate(lanes)))
    assert order[:4] == ["GUARDED"] * 4
    assert order.index("BACKGROUND") == 8  # after four people it is the background's turn
    assert order[4:8] == ["PEOPLE"] * 4


@in_virtual_time
async def test_the_background_is_not_starved_by_people() -> None:
    world = World()
    async with world.client() as celonis:
        flood = asyncio.ensure_future(ask_many(world, celonis, range(200), within=60.0))
        await world.clock.sleep(0.2)
        waits = await ask_many(
            world, celonis, range(1000, 1003), "the watch", lane=Lane.BACKGROUND, within=60.0
        )
        assert max(waits) < 3.0
        flood.cancel()


@in_virtual_time
async def test_reserves_stop_the_background_first_then_people_and_never_guarded_calls() -> None:
    world = World(limits=Limits(per_day=100, person_share=1.0, place_share=1.0))
    async with world.client() as celonis:
        await ask_many(world, celonis, range(80), within=60.0)
        assert isinstance(await outcome(world, celonis, 200, lane=Lane.BACKGROUND), QuotaExhausted)
        await ask_many(world, celonis, range(80, 95), within=60.0)
        refused = await outcome(world, celonis, 201)
        assert isinstance(refused, QuotaExhausted)
        assert refused.moment is not None
        assert timedelta(hours=23) < refused.moment - world.clock.now() < timedelta(hours=24, minutes=15)
        await ask_many(world, celonis, range(300, 305), lane=Lane.GUARDED)
        assert isinstance(await outcome(world, celonis, 400, lane=Lane.GUARDED), QuotaExhausted)
    assert len(world.team.arrivals) == 100


@in_virtual_time
async def test_one_persons_share_leaves_the_rest_to_others_and_an_admin_can_add_to_it() -> None:
    world = World(limits=Limits(per_day=100, person_share=0.1))
    async with world.client() as celonis:
        await ask_many(world, celonis, range(10), "who asks much")
        refused = await outcome(world, celonis, 50, person="who asks much")
        assert isinstance(refused, QuotaExhausted)
        assert "share" in refused.sentence
        assert await outcome(world, celonis, 51, person="who asks little") is None
        await celonis.allow("who asks much", 2)
        assert await outcome(world, celonis, 52, person="who asks much") is None


@pytest.mark.usefixtures("a_beat_a_minute")
@in_virtual_time
async def test_the_day_is_any_twenty_four_hours_and_calls_come_back_as_they_were_spent() -> None:
    world = World(limits=Limits(per_day=60, person_share=1.0, place_share=1.0))
    async with world.client() as celonis:
        for hour in range(60):
            for number in range(5):
                await outcome(world, celonis, 100 * hour + number)
            await world.clock.sleep(3600)
    times = [each.at for each in world.team.arrivals]
    worst = max(sum(begin <= at < begin + 86400 for at in times) for begin in times)
    assert worst <= 57  # less the part that is kept for guarded calls
    assert len(times) > 120


@pytest.mark.usefixtures("a_beat_a_minute")
@in_virtual_time
async def test_setting_the_clock_forward_or_back_gives_no_call_away() -> None:
    for jump in (3600.0, -3600.0):
        world = World(limits=Limits(per_day=40, person_share=1.0, place_share=1.0))
        ledger = MemoryLedger(world.clock)
        world.ledger = ledger
        times: list[float] = []
        for _restart in range(8):
            async with world.client() as celonis:
                for number in range(8):
                    await outcome(world, celonis, number + 1000 * len(times))
                await world.clock.sleep(3.5 * 3600)
            world.clock.jump(jump if _restart == 6 else 0.0)
        times = [each.at for each in world.team.arrivals]
        worst = max(sum(begin <= at < begin + 86400 for at in times) for begin in times)
        assert worst <= 40


class Stalls(MemoryLedger):
    """A ledger during whose next booking the program stands still, or the database takes its time."""

    stands_still = 0.0
    takes = 0.0

    async def book(self, *args: Any, **kwargs: Any) -> Standing:
        standing = await super().book(*args, **kwargs)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.elapsed += self.stands_still
        takes, self.stands_still, self.takes = self.takes, 0.0, 0.0
        await asyncio.sleep(takes)
        return standing


@pytest.mark.parametrize(
    ("stands_still", "takes"), [(0.0, 0.0), (4.0, 0.0), (10.0, 0.0), (0.0, 2.0), (0.0, 7.0)]
)
def test_a_request_is_booked_once_however_often_it_has_to_wait_again(
    stands_still: float, takes: float
) -> None:
    @in_virtual_time
    async def run() -> None:
        world = World()
        ledger = world.ledger = Stalls(world.clock)
        async with world.client() as celonis:
            assert await outcome(world, celonis, 1) is None
            ledger.stands_still, ledger.takes = stands_still, takes
            assert await outcome(world, celonis, 2) is None
            assert len(world.team.arrivals) == 2
            assert (await celonis.quota()).tightest.spent == 2

    run()


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x_ratelimit_reset": "7"}, 7.0),
        ({"retry_after": "7"}, 7.0),
        ({"x_ratelimit_reset": "1772490611"}, 10.7),
        ({"x_ratelimit_reset": "2026-03-02T22:30:11Z"}, 10.7),
        ({}, 2.0),
        ({"x_ratelimit_reset": "-5"}, 2.0),
        ({"x_ratelimit_reset": "99999999"}, 2.0),
        ({"x_ratelimit_reset": "soon"}, 2.0),
    ],
)
def test_after_a_429_nothing_is_sent_before_the_moment_it_names(headers: dict[str, str], wait: float) -> None:
    @in_virtual_time
    async def run() -> None:
        struck: list[float] = []

        def answers(arrival: object) -> httpx.Response:
            if not struck and len(world.team.arrivals) > 5:
                struck.append(world.clock.monotonic())
                return too_many(**headers)
            return rows("x")

        world = World(Team(answers))
        # The loop begins at 1000 s, so at 22:26:40; the moments above are 22:30:11, so the clock is set 200 s ahead.
        world.clock.jump(200.0)
        async with world.client() as celonis:
            await asyncio.gather(
                *(outcome(world, celonis, number, within=60.0) for number in range(40)),
                return_exceptions=True,
            )
        seen = struck[0] + 0.02
        # What was already under way when the answer arrived may still arrive.
        assert world.team.between(seen + 0.021, struck[0] + wait) == 0
        assert world.team.between(struck[0] + wait, struck[0] + wait + 2.0) > 0

    run()


@in_virtual_time
async def test_a_pause_longer_than_the_asker_waits_is_said_at_once_with_its_end() -> None:
    world = World(Team(lambda _arrival: too_many(x_ratelimit_reset="3600", x_ratelimit_limit="6000")))
    async with world.client() as celonis:
        first = await outcome(world, celonis, 1)
        begin = world.clock.monotonic()
        second = await outcome(world, celonis, 2)
        assert world.clock.monotonic() == begin
    for error in (first, second):
        assert isinstance(error, RateLimited)
        assert error.moment is not None
        assert timedelta(seconds=3590) < error.moment - world.clock.now() < timedelta(seconds=3602)
    assert len(world.team.arrivals) == 1


@in_virtual_time
async def test_two_429_within_ten_minutes_halve_the_rate_for_an_hour() -> None:
    bad = {0, 300}

    def answers(arrival: object) -> httpx.Response:
        return too_many(x_ratelimit_reset="1") if len(world.team.arrivals) - 1 in bad else rows("x")

    world = World(Team(answers, there=0.0, back=0.0), limits=Limits(person_share=1.0))
    async with world.client() as celonis:
        await ask_many(world, celonis, range(400), within=600.0)
        begin = world.clock.monotonic()
        await ask_many(world, celonis, range(1000, 1100), within=600.0)
        halved = 100 / (world.clock.monotonic() - begin)
        await world.clock.sleep(3600)
        begin = world.clock.monotonic()
        await ask_many(world, celonis, range(2000, 2100), within=600.0)
        whole = 100 / (world.clock.monotonic() - begin)
    assert halved < 11
    assert whole > 17


@in_virtual_time
async def test_calls_left_by_the_headers_count_downwards_at_once_and_upwards_only_when_seen_again() -> None:
    left = iter([1000, 10, 900, 10, 900, 900, 900])

    def answers(arrival: object) -> httpx.Response:
        response = rows("x")
        response.headers.update({"x-ratelimit-limit": "6000", "x-ratelimit-remaining": str(next(left))})
        return response

    world = World(Team(answers))
    async with world.client() as celonis:
        budget = celonis.limiters[Family.INTELLIGENCE].budget
        seen = []
        for number in range(7):
            await ask_many(world, celonis, range(number, number + 1), lane=Lane.GUARDED)
            seen.append(budget.left())
    assert seen == [1000, 10, 10, 10, 10, 10, 900]


@in_virtual_time
async def test_a_silent_server_is_left_in_peace_and_one_probe_finds_out_when_it_is_back() -> None:
    down = True

    def answers(arrival: object) -> httpx.Response:
        return httpx.Response(503) if down else rows("x")

    world = World(Team(answers), options={"total_retry": 0})
    async with world.client() as celonis:
        for number in range(5):
            assert isinstance(await outcome(world, celonis, number), ServerFault)
        assert isinstance(await outcome(world, celonis, 6), Unreachable)
        assert len(world.team.arrivals) == 5
        await world.clock.sleep(10.5)
        results = await asyncio.gather(*(outcome(world, celonis, number) for number in range(10, 60)))
        assert len(world.team.arrivals) == 6
        assert sum(isinstance(each, Unreachable) for each in results) == 49
        down = False
        await world.clock.sleep(21)
        assert await outcome(world, celonis, 70) is None
        assert await outcome(world, celonis, 71) is None


@in_virtual_time
async def test_a_fault_of_one_family_does_not_stop_the_other() -> None:
    def answers(arrival: object) -> httpx.Response:
        path = world.team.arrivals[-1].path
        return httpx.Response(503) if path.startswith("/intelligence") else httpx.Response(200, json=[])

    world = World(Team(answers), options={"total_retry": 0})
    async with world.client() as celonis:
        for number in range(6):
            await outcome(world, celonis, number)
        assert await world.ask(celonis).pools() == ()
