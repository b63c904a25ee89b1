"""The one call that changes something: what it takes, how often it goes out, and how its end is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest

from bot.celonis import CancelRuns, JobRun, Lane
from bot.config import Limits
from bot.model.approval import Approval
from bot.model.clock import SystemClock
from bot.model.errors import (
    ApprovalSpent,
    BotError,
    Forbidden,
    NotAllowed,
    OutcomeUnknown,
    Unauthorized,
    Unreachable,
)
from bot.model.people import Person, Place, Visibility
from bot.sandbox import Fault
from bot.store import Store
from bot.writes.ticket import Claimed, Tickets
from tests.celonis.conftest import Bench
from tests.celonis.team import World

T = TypeVar("T")
WHO = Person("local", "machine", "operator")
WHERE = Place("local", "machine", "here", Visibility.PERSONAL)


@asynccontextmanager
async def approved(target: T, *, said: bool = True) -> AsyncIterator[Approval[T]]:
    """A confirmed click on a question about this target."""
    clock = SystemClock()
    numbers = itertools.count()
    async with await Store.temporary(clock) as store:
        tickets = Tickets(store, clock, lambda: f"ticket-{next(numbers)}")
        ticket = await tickets.open(
            command="cancel",
            sentence="cancel",
            target=target,
            connection="dev",
            asker=WHO,
            place=WHERE,
            expires_in=timedelta(minutes=5),
        )
        claim = await tickets.claim(ticket.id, WHO)
        assert isinstance(claim, Claimed)
        approval = tickets.approve(claim, type(target))
        if said:
            assert await tickets.sending(claim.ticket)
        yield approval


def main_job(bench: Bench) -> JobRun:
    """The run of the sandbox that is to be stopped."""
    job = bench.sandbox.pools.find("main job")
    pool = next(pool for pool in bench.sandbox.pools if job in pool.jobs)
    return JobRun(pool.id, pool.name, job.id, job.name, None, None, "RUNNING")


def cancels(bench: Bench) -> int:
    return len(bench.sandbox.log.where(method="POST", path="/cancel"))


async def cancel(
    bench: Bench, run: JobRun | None = None, key: str = "operator", **changes: Any
) -> BotError | None:
    """Stops the main job with a confirmed click; returns what it ended in."""
    run = run or main_job(bench)
    asking = await bench.asking(getattr(bench.sandbox.keys, key), lane=Lane.GUARDED, **changes)
    async with approved(CancelRuns("dev", (run,))) as approval:
        try:
            await asking.cancel_job(approval, run)
        except BotError as error:
            return error
    return None


async def test_a_confirmed_cancel_is_one_call_with_the_ids_of_the_approval(bench: Bench) -> None:
    assert await cancel(bench) is None
    (entry,) = bench.sandbox.log.where(method="POST")
    run = main_job(bench)
    assert entry.path == f"/integration/api/pools/{run.pool_id}/jobs/{run.job_id}/cancel"
    assert entry.body in {None, ""}


async def test_an_approval_counts_once(bench: Bench) -> None:
    run = main_job(bench)
    asking = await bench.asking(bench.sandbox.keys.operator)
    async with approved(CancelRuns("dev", (run,))) as approval:
        await asking.cancel_job(approval, run)
        with pytest.raises(ApprovalSpent):
            await asking.cancel_job(approval, run)
    assert cancels(bench) == 1


async def test_nothing_outside_the_approval_can_be_hit(bench: Bench) -> None:
    run = main_job(bench)
    asking = await bench.asking(bench.sandbox.keys.operator)
    async with approved(CancelRuns("dev", (run,))) as approval:
        with pytest.raises(ApprovalSpent):
            await asking.cancel_job(approval, replace(run, job_id="another-job"))
    async with approved(CancelRuns("another team", (run,))) as approval:
        with pytest.raises(ApprovalSpent):
            await asking.cancel_job(approval, run)
    async with approved(CancelRuns("dev", (run,)), said=False) as approval:
        with pytest.raises(ApprovalSpent):
            await asking.cancel_job(approval, run)
    assert cancels(bench) == 0


async def test_a_read_only_connection_sends_no_write(bench: Bench) -> None:
    assert isinstance(await cancel(bench, read_only=True), NotAllowed)
    assert cancels(bench) == 0


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (Fault("status", method="POST", status=500, handled=True), 1),
        (Fault("status", method="POST", status=502), 1),
        (Fault("status", method="POST", status=503, handled=True), 1),
        (Fault("reset", method="POST", handled=True), 1),
        (Fault("reset", method="POST"), 1),
        (Fault("black_hole", method="POST", handled=True), 1),
        (Fault("redirect", method="POST", handled=True), 1),
    ],
)
async def test_an_unclear_end_is_told_as_unknown_and_never_sent_again(
    bench: Bench, fault: Fault, sent: int
) -> None:
    bench.sandbox.faults.add(fault)
    ended = await cancel(bench, timeout=0.3, total_retry=5)
    assert isinstance(ended, OutcomeUnknown), ended
    assert cancels(bench) == sent


async def test_a_refusal_is_told_as_what_it_is(bench: Bench) -> None:
    assert isinstance(await cancel(bench, key="viewer"), Forbidden)
    bench.sandbox.faults.add(Fault("status", method="POST", status=401))
    assert isinstance(await cancel(bench), Unauthorized)
    assert cancels(bench) == 2


async def test_a_server_that_cannot_be_reached_was_told_nothing(bench: Bench) -> None:
    run = main_job(bench)
    await bench.sandbox.down()
    ended = await cancel(bench, run)
    assert isinstance(ended, Unreachable)
    assert ended.undone == "No request was sent."
    await bench.sandbox.up()


async def test_neither_ledger_nor_pause_nor_breaker_stop_a_confirmed_write(bench: Bench) -> None:
    run = main_job(bench)
    limits = Limits(per_second=1000, window_seconds=0.005, per_day=3)
    celonis = await bench.client(bench.sandbox.keys.operator, limits=limits)
    for _ in range(3):
        await bench.ask(celonis, lane=Lane.GUARDED, fresh=True).jobs(run.pool_id)
    bench.sandbox.faults.add(Fault("status", method="GET", status=503))
    for limiter in celonis.limiters.values():
        limiter.pauses.until = bench.clock.monotonic() + 3600
        for _ in range(9):
            limiter.breaker.failed(bench.clock.monotonic(), probe=False)
    async with approved(CancelRuns("dev", (run,))) as approval:
        await bench.ask(celonis, lane=Lane.GUARDED).cancel_job(approval, run)
    assert cancels(bench) == 1


async def test_a_write_waits_briefly_for_a_slot_and_then_goes_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.celonis.limits.limiter.WRITE_WAITS", 0.05)
    run = main_job(bench)
    limits = Limits(per_second=1, guest_slots=0)
    celonis = await bench.client(bench.sandbox.keys.operator, limits=limits)
    bench.sandbox.faults.add(Fault("latency", method="GET", seconds=30.0))
    reading = asyncio.ensure_future(bench.ask(celonis).jobs(run.pool_id))
    await asyncio.sleep(0.05)
    bench.sandbox.faults.clear()
    async with approved(CancelRuns("dev", (run,))) as approval:
        await bench.ask(celonis, lane=Lane.GUARDED).cancel_job(approval, run)
    assert cancels(bench) == 1
    reading.cancel()


def test_a_dead_keep_alive_connection_cannot_blur_a_write() -> None:
    """Writes have connections of their own that are never kept."""
    from bot.celonis.limits.transport import LimitedTransport

    world = World()
    transport = LimitedTransport(world.connection(), {}, world.clock, None)
    pool = transport._writes._transport
    assert isinstance(pool, httpx.AsyncHTTPTransport)
    assert pool._pool._max_keepalive_connections == 0
