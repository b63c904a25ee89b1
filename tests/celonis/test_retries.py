"""Reads that are tried again, and what is never: the sandbox's log counts."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.celonis.client import PART, SPAN, RetryBudget
from bot.model.errors import BotError, NotFound, RateLimited, ServerFault, Unreachable
from bot.sandbox import Fault
from tests.celonis.conftest import Bench
from tests.celonis.team import Team, World, listed, too_many
from tests.fakes import in_virtual_time

KM = "open-purchase-requisition.purchase-requisition-km"


@pytest.mark.parametrize("total_retry", [0, 1, 2, 5, 10])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=502),
        Fault("status", status=503),
        Fault("status", status=504),
        Fault("html", status=500),
        Fault("truncated"),
        Fault("cut"),
        Fault("reset"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
async def test_a_read_is_tried_again_exactly_so_often(bench: Bench, fault: Fault, total_retry: int) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader, total_retry=total_retry, backoff_factor=0.0)
    bench.sandbox.faults.add(fault)
    with pytest.raises((ServerFault, Unreachable)):
        await asking.kpis(KM)
    assert len(bench.sandbox.log) == 1 + total_retry
    assert asking.caller.usage.calls.total() == 1 + total_retry


async def test_an_error_with_a_support_id_is_tried_once_more_only(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader, total_retry=5, backoff_factor=0.0)
    bench.sandbox.faults.add(Fault("status", status=500))
    with pytest.raises(ServerFault) as error:
        await asking.filters(KM)
    assert error.value.support_id
    assert error.value.support_id in error.value.hint
    assert len(bench.sandbox.log) == 2


@pytest.mark.parametrize("kind", ["truncated", "cut"])
async def test_a_body_that_breaks_off_is_asked_for_again(bench: Bench, kind: str) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader, total_retry=1, backoff_factor=0.0)
    bench.sandbox.faults.add(Fault(kind, count=1))  # type: ignore[arg-type]  # one of its kinds
    assert await asking.kpis(KM)
    assert len(bench.sandbox.log) == 2


async def test_what_is_refused_is_not_tried_again(bench: Bench) -> None:
    asking = await bench.asking(bench.sandbox.keys.reader, total_retry=5)
    with pytest.raises(NotFound):
        await asking.records("no.such-model")
    assert len(bench.sandbox.log) == 1


@in_virtual_time
async def test_it_waits_between_nothing_and_twice_as_long_each_time() -> None:
    world = World(Team(lambda _: httpx.Response(503)), options={"total_retry": 3, "backoff_factor": 1.0})
    async with world.client() as celonis:
        with pytest.raises(ServerFault):
            await world.ask(celonis).kpis(KM)
    at = [each.at for each in world.team.arrivals]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    for gap, least in zip(gaps, (0.5, 1.0, 2.0), strict=True):  # the dice of the tests always say one half
        assert least <= gap < least + 0.3


@in_virtual_time
@pytest.mark.parametrize(("within", "calls"), [(30.0, 2), (4.0, 1)])
async def test_a_pause_is_waited_for_only_if_it_ends_in_time(within: float, calls: int) -> None:
    answers = iter([too_many(retry_after="6"), listed("a")])
    world = World(Team(lambda _: next(answers)), options={"total_retry": 2})
    async with world.client() as celonis:
        error: BotError | None = None
        try:
            await world.ask(celonis, within=within).kpis(KM)
        except BotError as refused:
            error = refused
    assert len(world.team.arrivals) == calls
    assert isinstance(error, RateLimited) == (calls == 1)
    if calls == 2:
        assert world.team.arrivals[1].at - world.team.arrivals[0].at >= 6.0


@given(
    st.integers(0, 10),
    st.lists(st.tuples(st.booleans(), st.floats(0.0, 5.0)), max_size=200),
)
def test_retries_of_any_minute_are_a_tenth_of_its_calls_or_those_of_one_read(
    least: int, steps: list[tuple[bool, float]]
) -> None:
    retries = RetryBudget(least)
    now = 0.0
    calls: list[float] = []
    taken: list[float] = []
    for again, later in steps:
        now += later
        if again:
            inside = sum(each > now - SPAN for each in taken)
            wanted = inside < max(least, sum(each > now - SPAN for each in calls) // PART)
            assert retries.take(now) == wanted
            if wanted:
                taken.append(now)
        retries.called(now)
        calls.append(now)
