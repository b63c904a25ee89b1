from collections.abc import AsyncIterator

import pytest

from tests.slack.worlds import World, world


@pytest.fixture
async def slack_world() -> AsyncIterator[World]:
    async with world() as made:
        yield made
