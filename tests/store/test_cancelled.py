"""Whoever is cancelled in the middle of a write leaves nothing locked and nothing half written."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from bot.model.clock import SystemClock
from bot.store import Store
from bot.store.store import _ended, _Whole


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.temporary(SystemClock()) as store:
        yield store


async def test_the_next_write_never_waits_for_a_cancelled_one(store: Store) -> None:
    dice = random.Random(7)  # noqa: S311 - repeatable on purpose
    for number in range(120):
        task = asyncio.create_task(store.keep_sentence(f"jobs in {number}"))
        await asyncio.sleep(dice.random() * 0.004)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        key = await asyncio.wait_for(store.keep_sentence(f"pools {number}"), 5)
        assert await store.sentence(key) == f"pools {number}"


class SlowTransaction:
    def __init__(self) -> None:
        self.steps: list[str] = []

    async def __aenter__(self) -> Any:
        await asyncio.sleep(0.01)
        self.steps.append("begun")
        return object()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await asyncio.sleep(0.01)
        self.steps.append("committed" if kind is None else "rolled back")


@pytest.mark.parametrize("after", [0.0, 0.004, 0.013])
async def test_begin_and_end_are_whole_steps_however_often_somebody_cancels(after: float) -> None:
    transaction = SlowTransaction()
    body: list[str] = []

    async def write() -> None:
        async with _Whole(transaction):
            body.append("written")

    task = asyncio.create_task(write())
    await asyncio.sleep(after)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.001)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transaction.steps in ([], ["begun", "rolled back"], ["begun", "committed"])
    assert ("committed" in transaction.steps) == bool(body)


async def test_waiting_for_the_end_tells_that_it_was_cut_short() -> None:
    step = asyncio.ensure_future(asyncio.sleep(0.02))
    waiting = asyncio.create_task(_ended(step))
    await asyncio.sleep(0.001)
    waiting.cancel()
    assert isinstance(await waiting, asyncio.CancelledError)
    assert step.done()
