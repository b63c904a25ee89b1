from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store import Store
from tests.store.databases import ENGINES, FakeClock, address_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=ENGINES)
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with address_of(request.param, tmp_path) as address:
        yield address


@pytest.fixture
async def store(address: str, clock: FakeClock) -> AsyncIterator[Store]:
    async with await Store.open(address, clock) as store:
        yield store
