"""One call for everybody who asks the same at the same time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from bot.celonis.connection import Caller
from bot.celonis.governor import Governor
from bot.celonis.limits.fair_queue import Waiting
from bot.model.clock import Clock, within
from bot.model.errors import BotError, Unreachable
from bot.store.ledger import Payer

T = TypeVar("T")


class Stake:
    """For whom a flight is under way: the best lane and the latest deadline of all who wait for it.

    Attributes:
        caller: Who pays: the first of those in the best lane.
        calls: Requests that were sent for it so far.
        in_air: Requests whose answer is awaited.
        size: Bytes of the replies that its answer was read from.
        unread: Items of the answer that could not be read.
        abandoned: Nobody waits any more; what is in the air is still taken in, and nothing more is sent.
    """

    __slots__ = ("_queued", "abandoned", "caller", "calls", "deadline", "in_air", "size", "unread")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.deadline = caller.deadline
        self.calls = 0
        self.in_air = 0
        self.size = 0
        self.unread = 0
        self.abandoned = False
        self._queued: list[tuple[Governor, Waiting]] = []

    @property
    def begun(self) -> bool:
        """Whether anything was sent."""
        return self.calls > 0 or self.in_air > 0

    def joined(self, caller: Caller) -> None:
        """Somebody else waits for it, too."""
        self.deadline = max(self.deadline, caller.deadline)
        if caller.lane < self.caller.lane:
            self.caller = caller
        payer = Payer(self.caller.person, self.caller.place)
        for governor, waiting in self._queued:
            governor.promote(waiting, lane=self.caller.lane, payer=payer, deadline=self.deadline)

    def overdue(self) -> BotError:
        """Why there is no answer by a deadline: what stands in line says why it stands there."""
        return self._queued[0][0].overdue() if self._queued else late()

    async def admit(self, governor: Governor) -> Any:
        """Waits in the governor's line under this flight's name.

        Raises:
            asyncio.CancelledError: Nobody waits for the flight any more.
            BotError: As `Governor.admit`.
        """
        if self.abandoned:
            raise asyncio.CancelledError
        waiting = Waiting(self.caller.person, self.caller.place, self.caller.lane, self.deadline)
        self._queued.append((governor, waiting))
        try:
            return await governor.admit(waiting)
        finally:
            self._queued.remove((governor, waiting))


class Flight(Generic[T]):
    """One answer under way."""

    __slots__ = ("passengers", "stake", "work")

    def __init__(self, stake: Stake, work: asyncio.Task[T]) -> None:
        self.stake = stake
        self.work = work
        self.passengers = 0


class Flights:
    """All flights of one connection, by what is asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flying: dict[str, Flight[Any]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def under_way(self, key: str) -> bool:
        """Whether somebody asks this already."""
        return key in self._flying

    async def board(self, key: str, caller: Caller, fetch: Callable[[Stake], Awaitable[T]]) -> T:
        """The answer, asked for once however many want it.

        Args:
            key: What is asked.
            caller: For whom; `fresh` ones do not join a flight that has begun.
            fetch: Asks.

        Raises:
            BotError: As `fetch`; the same for all who wait.
            Unreachable: The answer is not there by the caller's deadline.
        """
        flight: Flight[T] | None = self._flying.get(key)
        mine = flight is None or (caller.fresh and flight.stake.begun) or flight.work.done()
        if flight is None or mine:
            stake = Stake(caller)
            flight = Flight(stake, asyncio.ensure_future(fetch(stake)))
            self._flying[key] = flight
            flight.work.add_done_callback(lambda done: self._landed(key, done))
        else:
            flight.stake.joined(caller)
        flight.passengers += 1
        try:
            left = max(0.0, caller.deadline - self._clock.monotonic())
            return await within(self._clock, left, asyncio.shield(flight.work))
        except TimeoutError:
            raise flight.stake.overdue() from None
        except BotError as error:
            raise (error if mine else copy.copy(error)) from None
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.work.done():
                self._nobody_waits(key, flight)

    def detach(self, key: str, caller: Caller, fetch: Callable[[Stake], Awaitable[T]]) -> None:
        """Starts a flight that nobody waits for; its failure is nobody's."""
        if key in self._flying:
            return
        stake = Stake(caller)
        flight = Flight(stake, asyncio.ensure_future(fetch(stake)))
        flight.passengers = 1
        self._flying[key] = flight
        flight.work.add_done_callback(lambda done: self._landed(key, done))

    async def close(self, patience: float = 0.0) -> None:
        """Ends all flights; those in the air get so many seconds to land."""
        for flight in list(self._flying.values()):
            flight.stake.abandoned = True
            if not flight.stake.in_air:
                flight.work.cancel()
        works = [flight.work for flight in self._flying.values()]
        if works:
            with suppress(TimeoutError):
                await within(self._clock, patience, asyncio.wait(works))
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def _nobody_waits(self, key: str, flight: Flight[Any]) -> None:
        flight.stake.abandoned = True
        if not flight.stake.in_air:
            # Nothing is under way that was paid for, so it costs nothing to forget it.
            flight.work.cancel()
            if self._flying.get(key) is flight:
                del self._flying[key]

    def _landed(self, key: str, done: asyncio.Task[Any]) -> None:
        flight = self._flying.get(key)
        if flight is not None and flight.work is done:
            del self._flying[key]
        if not done.cancelled():
            done.exception()  # so that nobody's error is not reported as forgotten


def late() -> Unreachable:
    """The error for an answer that does not come in time."""
    return Unreachable(
        "Celonis has not answered in time.", hint="Ask again in a minute.", undone="There is no answer yet."
    )
