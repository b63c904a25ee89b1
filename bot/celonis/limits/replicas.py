"""This copy's seat among the running ones, the time line of the ledger, and whether the database answers."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from bot.celonis.memory import Ledger
from bot.config import Limits
from bot.model.clock import Clock, within
from bot.model.errors import ConfigError, StoreUnavailable
from bot.store.ledger import LEASE, Holder, Seat

HEARTBEAT = LEASE / 3
LOOK_AGAIN = 0.5
"""Seconds between looks for a database that did not answer."""
QUIET_MINUTE = 60.0
"""Seconds after the database was lost in which nothing is sent: it may be back soon."""
TRAVEL = 1.0
"""Seconds that requests of a copy which was killed may still be under way."""
PATIENCE = 3.0
"""Seconds that the database may take to book a call."""
LOOKS = 30
"""Into how many parts these are divided; more than the steps that the longest transaction takes."""
PURGE_EVERY = 3600.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


def this_program(run: str | None = None) -> Holder:
    """This program as the holder of a seat.

    Process ids mean something only within one boot of a machine and one of its process namespaces.
    """
    marks = [platform.node()]
    with suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return Holder(run or secrets.token_hex(8), "/".join(marks), os.getpid())


_SEATED: WeakSet[Desk] = WeakSet()
"""The desks of this very program that hold a seat; usually one for each Celonis team."""


def certainly_gone(holder: Holder, alone: Callable[[], bool] = lambda: True) -> Callable[[str, int], bool]:
    """Says of other programs on this machine whether they have ended.

    Args:
        holder: This program.
        alone: Whether nothing else in this very program can hold a seat of the same team.
    """

    def gone(host: str, pid: int) -> bool:
        if host != holder.host:
            return False
        if pid == holder.pid:
            return alone()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    return gone


def share(limits: Limits, replicas: int, number: int) -> int:
    """How many of the slots belong to a seat: all together are never more than there are."""
    if number < 0:
        return limits.guest_slots
    each, rest = divmod(limits.per_second - limits.guest_slots, replicas)
    return each + (number < rest)


async def from_database(clock: Clock, awaitable: Awaitable[T]) -> T:
    """Awaits what the database does, for `PATIENCE`.

    That is counted in parts, each of which counts as its own length, however late the busy event loop comes to see
    its end: the database's answer had to wait for the same loop. So where every step is answered at once, no time-out
    comes before the last of them was seen.

    Raises:
        TimeoutError: It took longer; it was cancelled.
    """
    work = asyncio.ensure_future(awaitable)
    try:
        for _ in range(LOOKS):
            part = asyncio.ensure_future(clock.sleep(PATIENCE / LOOKS))
            try:
                await asyncio.wait({work, part}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                part.cancel()
            if work.done():
                return work.result()
        raise TimeoutError
    finally:
        work.cancel()


class Desk:
    """One per team host and program. The governors of its API families ask it for time, slots and the database.

    Args:
        scope: The team's host.
        limits: Whose slots are divided.
        replicas: The number of seats.
        clock: Wall and monotonic clock.
        ledger: Where seats are kept.
        holder: Who this program is.
        dead: Says which other programs have ended.
        guest: A one-shot command: it makes room for copies that stay.
    """

    def __init__(
        self,
        scope: str,
        limits: Limits,
        *,
        replicas: int = 1,
        clock: Clock,
        ledger: Ledger,
        holder: Holder | None = None,
        dead: Callable[[str, int], bool] | None = None,
        guest: bool = False,
    ) -> None:
        self.scope = scope
        if limits.per_second - limits.guest_slots < replicas:
            raise ValueError(f"{replicas} replicas cannot share {limits.per_second} requests a second")
        self.limits = limits
        self.replicas = replicas
        self.clock = clock
        self.ledger = ledger
        self.holder = holder or this_program()
        self._dead = dead or certainly_gone(self.holder, self._alone_here)
        self._guest = guest
        self.seat: Seat | None = None
        self.quiet_until = 0.0
        self.blind_since: float | None = None
        self._sat_at = 0.0
        self._beat: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self._changed: list[Callable[[], None]] = []
        self._came_back: list[Callable[[], Awaitable[None]]] = []

    def _alone_here(self) -> bool:
        return not any(each is not self and each.scope == self.scope for each in _SEATED)

    @property
    def fence(self) -> tuple[int, str]:
        """What every booking is checked against: a copy that lost its seat books nothing."""
        return (self.seat.number if self.seat else -2, self.holder.run)

    @property
    def epoch(self) -> int:
        """Of this copy's bookings."""
        return self.seat.epoch if self.seat else 0

    @property
    def slots(self) -> int:
        """How many of the team's slots are this copy's."""
        return share(self.limits, self.replicas, self.seat.number) if self.seat else 0

    @property
    def blind(self) -> bool:
        """Whether the database does not answer."""
        return self.blind_since is not None

    def at(self) -> float:
        """The ledger's time: it goes on with the monotonic clock, whatever happens to the wall clock."""
        return (self.seat.at if self.seat else 0.0) + self.clock.monotonic() - self._sat_at

    def on_change(self, changed: Callable[[], None], came_back: Callable[[], Awaitable[None]]) -> None:
        """Tells a governor about a lost or new seat, and about a database that is back."""
        self._changed.append(changed)
        self._came_back.append(came_back)

    async def open(self) -> None:
        """Takes a seat, and keeps quiet as long as requests of the one before may still count.

        Raises:
            ConfigError: All seats are taken by copies that run.
            StoreUnavailable: The database does not answer.
        """
        begun = self.clock.monotonic()
        _SEATED.add(self)
        while not await self._sit_down():
            if self.clock.monotonic() - begun > LEASE + 1:
                seats = f"{self.replicas} copies run" + (" and a one-shot command" if self._guest else "")
                raise ConfigError(
                    [
                        f"as many copies of the bot as the settings allow are running already ({seats}); stop one, or set `replicas` to the real number for all of them"
                    ]
                )
            await self.clock.sleep(1.0)
        self._beat = asyncio.create_task(self._stay(), name="celonis-seat")

    async def close(self, free_in: float) -> None:
        """Gives the seat back.

        Args:
            free_in: Seconds until the last request stops counting.
        """
        if self._beat is not None:
            self._beat.cancel()
            with suppress(asyncio.CancelledError):
                await self._beat
            self._beat = None
        _SEATED.discard(self)
        if self.seat is not None and not self.blind:
            with suppress(StoreUnavailable, TimeoutError):
                at = self.at() + free_in
                await from_database(
                    self.clock,
                    self.ledger.leave(self.scope, self.seat, self.holder.run, free_at=at),
                )
        self.seat = None

    def lost_sight(self) -> None:
        """The database did not answer."""
        if self.blind_since is None:
            self.blind_since = self.clock.monotonic()
            _log.warning("the bot's database does not answer; calls to Celonis wait for it")
            self._alarm.set()
            self._tell()

    def unseated(self) -> None:
        """Somebody else has this seat (this program stood still for long); another one has to be found."""
        if self.seat is not None:
            _log.warning("this copy's seat was taken by another one")
            self.seat = None
            self._alarm.set()
            self._tell()

    async def _sit_down(self) -> bool:
        seat = await self.ledger.sit_down(
            self.scope, self.holder, seats=self.replicas, guest=self._guest, dead=self._dead
        )
        if seat is None:
            return False
        now = self.clock.monotonic()
        self.seat, self._sat_at = seat, now
        wait = seat.free_at - seat.at if seat.clean else self.limits.window_seconds + TRAVEL
        self.quiet_until = now + min(max(wait, 0.0), 3600.0)
        self._tell()
        return True

    async def _stay(self) -> None:
        purge_at = self.clock.monotonic() + PURGE_EVERY
        while True:
            self._alarm.clear()
            pause = LOOK_AGAIN if self.blind or self.seat is None else HEARTBEAT
            with suppress(TimeoutError):
                await within(self.clock, pause, self._alarm.wait())
            try:
                if self.seat is None:
                    await self._sit_down()
                elif not await from_database(
                    self.clock,
                    self.ledger.stay(self.scope, self.seat, self.holder.run, at=self.at()),
                ):
                    self.unseated()
                if self.clock.monotonic() >= purge_at:
                    purge_at = self.clock.monotonic() + PURGE_EVERY
                    await self.ledger.purge(self.at())
            except (StoreUnavailable, TimeoutError):
                self.lost_sight()
                await self.clock.sleep(LOOK_AGAIN)
                continue
            if self.blind:
                await self._see_again()

    async def _see_again(self) -> None:
        try:
            for came_back in self._came_back:
                await came_back()
        except (StoreUnavailable, TimeoutError):
            return
        self.blind_since = None
        _log.warning("the bot's database answers again")
        self._tell()

    def _tell(self) -> None:
        for changed in self._changed:
            changed()
