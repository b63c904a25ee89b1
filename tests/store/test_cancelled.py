"""Whoever is cancelled in the middle of a write leaves nothing locked and nothing half written."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from bot.model.clock import SystemClock
from bot.store import Store


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
