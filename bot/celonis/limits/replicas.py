"""This replica's share among the running ones, the ledger's time line, and whether the database answers."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from bot.config import Limits
from bot.model.clock import Clock, within
from bot.model.errors import ConfigError, StoreUnavailable
from bot.store.ledger import LEASE, Ledger, Program, Share

if TYPE_CHECKING:
    from bot.celonis.limits.limiter import Limiter

HEARTBEAT = LEASE / 3
LOOK_AGAIN = 0.5
"""Seconds between looks for a database that did not answer."""
QUIET_MINUTE = 60.0
"""Seconds after the database was lost in which nothing is sent: it may be back soon."""
TRAVEL = 1.0
"""Seconds that requests of a replica which was killed may still be under way."""
DATABASE_TIMEOUT = 3.0
"""Seconds that the database may take to book a call."""
LOOKS = 30
"""Into how many parts these are divided; more than the steps that the longest transaction takes."""
PURGE_EVERY = 3600.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


def this_program() -> Program:
    """This program, as the one that has a share.

    Process ids mean something only within one boot of a machine and one of its process namespaces.
    """
    marks = [platform.node()]
    with suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return Program(secrets.token_hex(8), "/".join(marks), os.getpid())


_HERE: WeakSet[Replica] = WeakSet()
"""The replicas in this very program that have a share; usually one for each Celonis team."""


def certainly_gone(program: Program, alone: Callable[[], bool] = lambda: True) -> Callable[[str, int], bool]:
    """Says of other programs on this machine whether they have ended.

    Args:
        program: This one.
        alone: Whether nothing else in this very program can have a share of the same team.
    """

    def gone(host: str, pid: int) -> bool:
        if host != program.host:
            return False
        if pid == program.pid:
            return alone()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    return gone


def slots_of(limits: Limits, replicas: int, number: int) -> int:
    """How many of the slots belong to a share: all together are never more than there are."""
    if number < 0:
        return limits.guest_slots
    each, rest = divmod(limits.per_second - limits.guest_slots, replicas)
    return each + (number < rest)


async def from_database(clock: Clock, awaitable: Awaitable[T]) -> T:
    """Awaits what the database does, for `DATABASE_TIMEOUT`.

    That is counted in parts, each of which counts as its own length, however late the busy event loop comes to see
    its end: the database's answer had to wait for the same loop. So where every step is answered at once, no time-out
    comes before the last of them was seen.

    Raises:
        TimeoutError: It took longer; it was cancelled.
    """
    work = asyncio.ensure_future(awaitable)
    try:
        for _ in range(LOOKS):
            part = asyncio.ensure_future(clock.sleep(DATABASE_TIMEOUT / LOOKS))
            try:
                await asyncio.wait({work, part}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                part.cancel()
            if work.done():
                return work.result()
        raise TimeoutError
    finally:
        work.cancel()


class Replica:
    """One per team host and program. The limiters of its API families ask it for time, slots and the database.

    Args:
        scope: The team's host.
        limits: Whose slots are divided.
        replicas: Among how many.
        clock: Wall and monotonic clock.
        ledger: Where shares are kept.
        guest: A one-shot command: it makes room for replicas that stay.

    Attributes:
        program: Who this is.
        dead: Says which other programs have ended.
        share: What it has, None before it has one and after it was taken away.
        quiet_until: Monotonic seconds until which requests of whoever had the share before may still count.
        blind_since: Since when the database has not answered, None while it does.
        limiters: Of the team's API families; they are told when share or database were lost or found.
    """

    def __init__(
        self,
        scope: str,
        limits: Limits,
        *,
        replicas: int = 1,
        clock: Clock,
        ledger: Ledger,
        guest: bool = False,
    ) -> None:
        if limits.per_second - limits.guest_slots < replicas:
            raise ValueError(f"{replicas} replicas cannot share {limits.per_second} requests a second")
        self.scope = scope
        self.limits = limits
        self.replicas = replicas
        self.clock = clock
        self.ledger = ledger
        self.program = this_program()
        self.dead = certainly_gone(self.program, self._alone_here)
        self.share: Share | None = None
        self.quiet_until = 0.0
        self.blind_since: float | None = None
        self._guest = guest
        self._joined_at = 0.0
        self._beat: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self.limiters: list[Limiter] = []
        self._looks: list[Callable[[], Awaitable[None]]] = []

    def _alone_here(self) -> bool:
        return not any(each is not self and each.scope == self.scope for each in _HERE)

    @property
    def epoch(self) -> int:
        """Of this replica's bookings."""
        return self.share.epoch if self.share else 0

    @property
    def slots(self) -> int:
        """How many of the team's slots are this replica's."""
        return slots_of(self.limits, self.replicas, self.share.number) if self.share else 0

    @property
    def most_slots(self) -> int:
        """How many it can have, whichever its share is."""
        return max(self.limits.guest_slots, slots_of(self.limits, self.replicas, 0))

    @property
    def blind(self) -> bool:
        """Whether the database does not answer."""
        return self.blind_since is not None

    def at(self) -> float:
        """The ledger's time: it goes on with the monotonic clock, whatever happens to the wall clock."""
        return (self.share.at if self.share else 0.0) + self.clock.monotonic() - self._joined_at

    def look_regularly(self, look: Callable[[], Awaitable[None]]) -> None:
        """From now on it is called with every heartbeat while the database answers."""
        self._looks.append(look)

    async def open(self) -> None:
        """Takes a share, and keeps quiet as long as requests of the one before may still count.

        Raises:
            ConfigError: All shares are taken by replicas that run.
            StoreUnavailable: The database does not answer.
        """
        begun = self.clock.monotonic()
        _HERE.add(self)
        while not await self._join():
            if self.clock.monotonic() - begun > LEASE + 1:
                running = f"{self.replicas} copies run" + (" and a one-shot command" if self._guest else "")
                raise ConfigError(
                    [
                        f"as many copies of the bot as the settings allow are running already ({running}); stop one, or set `replicas` to the real number for all of them"
                    ]
                )
            await self.clock.sleep(1.0)
        self._beat = asyncio.create_task(self._live(), name="celonis-replica")

    async def close(self, free_in: float) -> None:
        """Gives the share back.

        Args:
            free_in: Seconds until the last request stops counting.
        """
        if self._beat is not None:
            self._beat.cancel()
            with suppress(asyncio.CancelledError):
                await self._beat
            self._beat = None
        _HERE.discard(self)
        if self.share is not None and not self.blind:
            leaving = self.ledger.leave(self.scope, self.share, free_at=self.at() + free_in)
            with suppress(StoreUnavailable, TimeoutError):
                await from_database(self.clock, leaving)
        self.share = None

    def lost_sight(self) -> None:
        """The database did not answer."""
        if self.blind_since is None:
            self.blind_since = self.clock.monotonic()
            _log.warning("the bot's database does not answer; calls to Celonis wait for it")
            self._alarm.set()
            self._changed()

    def lost_share(self) -> None:
        """Somebody else has this share (this program stood still for long); another one has to be found."""
        if self.share is not None:
            _log.warning("this replica's share was taken by another one")
            self.share = None
            self._alarm.set()
            self._changed()

    async def confirm(self) -> None:
        """Makes sure that the share is still this replica's; it is lost where that is not certain."""
        if self.share is None or self.blind:
            return
        renewing = self.ledger.renew(self.scope, self.share, at=self.at())
        try:
            if not await from_database(self.clock, renewing):
                self.lost_share()
        except (StoreUnavailable, TimeoutError):
            self.lost_sight()

    async def _join(self) -> bool:
        share = await self.ledger.join(
            self.scope, self.program, replicas=self.replicas, guest=self._guest, dead=self.dead
        )
        if share is None:
            return False
        now = self.clock.monotonic()
        self.share, self._joined_at = share, now
        wait = share.free_at - share.at if share.clean else self.limits.window_seconds + TRAVEL
        self.quiet_until = now + min(max(wait, 0.0), 3600.0)
        self._changed()
        return True

    async def _live(self) -> None:
        purge_at = self.clock.monotonic() + PURGE_EVERY
        while True:
            self._alarm.clear()
            pause = LOOK_AGAIN if self.blind or self.share is None else HEARTBEAT
            with suppress(TimeoutError):
                await within(self.clock, pause, self._alarm.wait())
            try:
                if self.blind:
                    await self._see_again()
                if self.share is None:
                    await self._join()
                await self.confirm()
                for look in self._looks:
                    await look()
                if self.clock.monotonic() >= purge_at:
                    purge_at = self.clock.monotonic() + PURGE_EVERY
                    await self.ledger.purge(self.at())
            except (StoreUnavailable, TimeoutError):
                self.lost_sight()
                await self.clock.sleep(LOOK_AGAIN)

    async def _see_again(self) -> None:
        for each in self.limiters:
            await each.came_back()
        self.blind_since = None
        _log.warning("the bot's database answers again")
        self._changed()

    def _changed(self) -> None:
        for each in self.limiters:
            each.changed()
