"""How long the database is waited for."""

import asyncio
from datetime import UTC, datetime

import pytest

from bot.celonis.limits.replicas import DATABASE_TIMEOUT, from_database


class BusyClock:
    """The clock of a loop each of whose turns takes so many seconds, or as long as was to be slept."""

    def __init__(self, turn: float) -> None:
        self.turn = turn
        self.at = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.at += max(seconds, self.turn)


async def test_a_busy_loop_is_not_taken_for_a_dead_database() -> None:
    clock = BusyClock(turn=0.5)

    async def booked() -> str:
        for _ in range(25):
            await asyncio.sleep(0)  # each step is answered at once, and seen a turn of the loop later
        return "booked"

    assert await from_database(clock, booked()) == "booked"
    assert clock.at > DATABASE_TIMEOUT


async def test_a_dead_database_is_given_up_in_time() -> None:
    clock = BusyClock(turn=0.0)
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await from_database(clock, never)
    assert clock.at == pytest.approx(DATABASE_TIMEOUT)
    assert never.cancelled()
