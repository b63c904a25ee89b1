"""One call for all who ask the same: who pays, who waits, and what happens when they leave."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.celonis import Caller, DataQuery, Lane
from bot.celonis.cache import Cache
from bot.celonis.freshness import Lifetime
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.request import Call
from bot.config import Limits
from bot.model.errors import BotError, ServerFault, Unreachable
from tests.celonis.team import Team, World, rows
from tests.fakes import LoopClock, VirtualLoop, in_virtual_time

KM = "package.model"
QUERY = DataQuery(fields=("a",))


class Door:
    """A limiter that lets through who it is told to."""

    def __init__(self) -> None:
        self.line: list[tuple[Purpose, asyncio.Future[None]]] = []

    async def admit(self, purpose: Purpose) -> None:
        if purpose.abandoned:
            raise asyncio.CancelledError
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.line.append((purpose, future))
        purpose.queue = self  # type: ignore[assignment]  # it stands in for a limiter
        try:
            await future
        finally:
            purpose.queue = None
            self.line.remove((purpose, future))

    def overdue(self) -> BotError:
        return Unreachable("The door did not open.")

    def promote(self, purpose: Purpose, caller: Caller) -> None:
        if caller.lane < purpose.lane:
            purpose.caller = caller


class AllWhoAskTheSame(RuleBasedStateMachine):
    """People ask, give up and ask live; the door opens when it likes, and the server answers, fails or hangs."""

    @initialize()
    def start(self) -> None:
        self.loop = VirtualLoop()
        self.clock = LoopClock()
        self.door = Door()

        async def begin() -> Cache:
            return Cache(self.clock)

        self.cache = self.loop.run_until_complete(begin())
        self.in_air: list[tuple[str, Purpose, asyncio.Future[str]]] = []
        self.waiting: list[tuple[str, Caller, asyncio.Task[Any]]] = []
        self.queued = {"a": 0, "b": 0}
        self.asked = 0

    def settle(self) -> None:
        async def rest() -> None:
            for _ in range(30):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rest())
        self.waiting = [each for each in self.waiting if not each[2].done()]

    @rule(
        key=st.sampled_from("ab"),
        lane=st.sampled_from(Lane),
        timeout=st.integers(1, 60),
        fresh=st.booleans(),
    )
    def ask(self, key: str, lane: Lane, timeout: int, fresh: bool) -> None:
        self.asked += 1

        async def fetch(purpose: Purpose) -> str:
            self.queued[key] += 1
            try:
                await self.door.admit(purpose)
            finally:
                self.queued[key] -= 1
            purpose.calls += 1
            purpose.in_air += 1
            reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self.in_air.append((key, purpose, reply))
            try:
                return await reply
            finally:
                purpose.in_air -= 1

        async def begin() -> None:
            deadline = self.clock.monotonic() + timeout
            caller = Caller(f"person {self.asked}", "room", lane, deadline, fresh)
            question = Call("GET", key, lifetime=Lifetime.DATA)
            task = asyncio.ensure_future(self.cache.fetch(question, caller, fetch))
            self.waiting.append((key, caller, task))

        self.loop.run_until_complete(begin())
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.waiting[data.draw(st.integers(0, len(self.waiting) - 1))][2].cancel()
        self.settle()

    @precondition(lambda self: self.door.line)
    @rule(data=st.data())
    def let_through(self, data: st.DataObject) -> None:
        self.door.line[data.draw(st.integers(0, len(self.door.line) - 1))][1].set_result(None)
        self.settle()

    @precondition(lambda self: self.in_air)
    @rule(data=st.data(), fails=st.booleans())
    def server_answers(self, data: st.DataObject, fails: bool) -> None:
        _, _, reply = self.in_air.pop(data.draw(st.integers(0, len(self.in_air) - 1)))
        if reply.done():
            return
        if fails:
            reply.set_exception(ServerFault("broken", status=500))
        else:
            reply.set_result("an answer")
        self.settle()

    @rule(seconds=st.floats(0.1, 30))
    def time_goes_by(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    @invariant()
    def nobody_waits_beyond_the_deadline(self) -> None:
        for _, caller, _ in getattr(self, "waiting", []):
            assert self.loop.elapsed <= caller.deadline + 1e-6

    @invariant()
    def whoever_stands_in_line_stands_there_for_somebody(self) -> None:
        if not hasattr(self, "door"):
            return
        keys = {key for key, _, _ in self.waiting}
        assert len(self.door.line) <= len(self.waiting)
        assert not self.door.line or keys

    @invariant()
    def one_flight_for_a_question_and_one_more_for_each_who_wants_it_live(self) -> None:
        for key in "ab":
            live = sum(caller.fresh for asked, caller, _ in getattr(self, "waiting", []) if asked == key)
            assert getattr(self, "queued", {}).get(key, 0) <= 1 + live

    @invariant()
    def the_line_knows_the_best_lane_and_the_latest_deadline(self) -> None:
        if not hasattr(self, "door") or any(caller.fresh for _, caller, _ in self.waiting):
            return
        for purpose, _ in self.door.line:
            assert any(purpose.deadline >= caller.deadline for _, caller, _ in self.waiting)
            assert any(purpose.lane <= caller.lane for _, caller, _ in self.waiting)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return

        async def end() -> None:
            for _, _, task in self.waiting:
                task.cancel()
            await asyncio.gather(*(task for _, _, task in self.waiting), return_exceptions=True)
            await self.cache.close()

        self.loop.run_until_complete(end())
        assert not self.cache._flights
        self.loop.close()


AllWhoAskTheSame.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAllWhoAskTheSame = AllWhoAskTheSame.TestCase


@in_virtual_time
async def test_two_hundred_equal_questions_at_once_are_one_call() -> None:
    world = World(Team(there=0.1, back=0.1))
    async with world.client() as celonis:
        asked = [world.ask(celonis, f"person {number}") for number in range(200)]
        pages = await asyncio.gather(*(each.record_data(KM, "R", QUERY) for each in asked))
    assert len(world.team.arrivals) == 1
    assert all(page == pages[0] for page in pages)
    assert sum(each.caller.usage.calls.total() for each in asked) == 1
    assert sum(not each.cached for each in asked) == 200


@in_virtual_time
async def test_one_who_leaves_does_not_take_the_answer_from_the_others() -> None:
    world = World(Team(there=0.5, back=0.5))
    async with world.client() as celonis:
        first = asyncio.ensure_future(world.ask(celonis, "first").record_data(KM, "R", QUERY))
        await world.clock.sleep(0.2)
        second = asyncio.ensure_future(world.ask(celonis, "second").record_data(KM, "R", QUERY))
        await world.clock.sleep(0.2)
        first.cancel()
        assert (await second).rows == ({"a": "x"},)
    assert len(world.team.arrivals) == 1


@in_virtual_time
async def test_what_nobody_waits_for_is_not_sent_but_what_was_sent_is_kept() -> None:
    world = World(Team(there=0.2, back=0.2), limits=Limits(per_second=2, guest_slots=0))
    async with world.client() as celonis:
        sent = asyncio.ensure_future(world.ask(celonis).record_data(KM, "R", QUERY))
        await world.clock.sleep(0.1)
        queued = [
            asyncio.ensure_future(world.ask(celonis).record_data(KM, f"R{number}", QUERY))
            for number in range(5)
        ]
        await world.clock.sleep(0.1)
        for task in (sent, *queued):
            task.cancel()
        await asyncio.gather(sent, *queued, return_exceptions=True)
        await world.clock.sleep(10)
        assert [each.path.split("/")[6] for each in world.team.arrivals] == ["R"]
        again = world.ask(celonis)
        await again.record_data(KM, "R", QUERY)
        assert again.cached


@in_virtual_time
async def test_a_flight_is_promoted_when_somebody_more_urgent_joins_it() -> None:
    world = World(limits=Limits(per_second=2, guest_slots=0))
    order: list[str] = []

    async def one(record: str, person: str, lane: Lane) -> None:
        await world.ask(celonis, person, lane=lane, within=120).record_data(KM, record, QUERY)
        order.append(record)

    async with world.client() as celonis:
        tasks = [asyncio.ensure_future(one(f"R{number}", "the clerk", Lane.PEOPLE)) for number in range(10)]
        tasks.append(asyncio.ensure_future(one("watched", "the watch", Lane.BACKGROUND)))
        await world.clock.sleep(0.3)
        tasks.append(asyncio.ensure_future(one("watched", "operator", Lane.GUARDED)))
        await asyncio.gather(*tasks)
    assert order.index("watched") <= 3
    assert sum("watched" in each.path for each in world.team.arrivals) == 1


@in_virtual_time
async def test_a_live_question_does_not_take_an_answer_that_is_already_under_way() -> None:
    count = iter(range(100))

    def answers(_arrival: object) -> httpx.Response:
        return rows(next(count))

    world = World(Team(answers, there=0.5, back=0.5))
    async with world.client() as celonis:
        older = asyncio.ensure_future(world.ask(celonis).record_data(KM, "R", QUERY))
        await world.clock.sleep(0.7)
        live = await world.ask(celonis, fresh=True).record_data(KM, "R", QUERY)
        assert (await older).rows == ({"a": 0},)
        assert live.rows == ({"a": 1},)


@in_virtual_time
async def test_everybody_hears_of_a_failure_and_nobody_waits_past_the_own_deadline() -> None:
    world = World(Team(there=5.0, back=5.0), options={"total_retry": 0})
    async with world.client() as celonis:
        patient = asyncio.ensure_future(world.ask(celonis, "patient", within=30).record_data(KM, "R", QUERY))
        begin = world.clock.monotonic()
        with pytest.raises(Unreachable, match="not answered in time"):
            await world.ask(celonis, "hasty", within=2).record_data(KM, "R", QUERY)
        assert world.clock.monotonic() - begin < 2.1
        assert (await patient).rows

        world.team.answers = lambda _arrival: httpx.Response(
            500, json={"detail": "Celonis Support ID: 12345678-abcd"}
        )
        both = await asyncio.gather(
            *(world.ask(celonis, who).record_data(KM, "R2", QUERY) for who in ("one", "other")),
            return_exceptions=True,
        )
    assert all(isinstance(each, ServerFault) and each.support_id == "12345678-abcd" for each in both)
    assert all(isinstance(each, BotError) for each in both)
