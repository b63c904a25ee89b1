"""The loop that looks after what is watched: each watch that is due is looked at by one program, and what became of it is
written down.

Posts come first and are recorded after, because a post has no key that would keep it from being sent twice: a program
that dies in between may say one thing once more, and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import structlog

from bot.model.clock import Clock
from bot.model.errors import BotError, StoreUnavailable, Undelivered
from bot.store import Store, watches
from bot.store.watches import Watch

log = structlog.get_logger()

TICK = 5.0
"""Seconds between two looks at what is due."""
LEASE = timedelta(seconds=90)
"""How long a program that works on a watch is taken to be alive without a sign."""
RENEW_EVERY = 30.0
AT_ONCE = 20
"""Watches that one program looks at in the same moment."""
AGAIN = timedelta(minutes=2)
"""When what could not be looked at, or not be delivered, is tried once more."""
GIVEN_UP_AFTER = timedelta(days=1)
"""A watch whose place cannot be reached for so long ends."""


class TakenOver(Exception):
    """A watch was changed, or is another program's now: whoever was looking at it says no more."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at a watch came to.

    Attributes:
        state: What was seen and said by now.
        due_at: When to look next (UTC); None: never, it is over.
        spoke: Whether something was said where the watch speaks.
        unheard: Why that place could not be reached, where only somebody else was told.
    """

    state: str
    due_at: datetime | None
    spoke: bool = False
    unheard: str = ""


Look = Callable[[Watch, "Held"], Awaitable[Looked]]
"""Looks at what a watch is about, and says what there is to say.

Raises:
    Undelivered: Nobody could be told.
    BotError: It could not be seen now; later it may.
"""


class WatchLoop:
    """Looks after the watches of a database, beside other programs that do the same.

    Args:
        store: Shared by all replicas.
        clock: Decides what is due; the replicas' clocks must agree to within a fraction of the lease.
        look: Looks at one.
        escalate: Tells somebody else that nobody in a watch's place can be told; called once when that begins, and when the
            watch ends for it.
    """

    def __init__(
        self, store: Store, clock: Clock, look: Look, escalate: Callable[[Watch, str], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._look = look
        self._escalate = escalate
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._looked_at = clock.monotonic()

    def alive(self) -> bool:
        """Whether the database was asked lately what is due."""
        return self._clock.monotonic() - self._looked_at < LEASE.total_seconds()

    async def run(self) -> None:
        """Looks after them until it is cancelled; what is being said then is said to its end."""
        try:
            while True:
                try:
                    begun = await self.round()
                except StoreUnavailable as error:
                    log.warning("watches not read", error=error.sentence)
                    begun = 0
                if begun and self._at_work:  # more may be due than there was room for
                    await asyncio.wait(self._at_work.values(), return_when=asyncio.FIRST_COMPLETED)
                else:
                    await self._clock.sleep(TICK)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEASE.total_seconds()):
                    await self.settled()

    async def round(self) -> int:
        """Begins to look at what is due, as far as there is room.

        Returns:
            How many it began with.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        room = AT_ONCE - len(self._at_work)
        if room <= 0:
            return 0
        now = self._clock.now()
        claimed = await watches.claim(self._store, now, now + LEASE, room)
        self._looked_at = self._clock.monotonic()
        for watch in claimed:
            task = asyncio.create_task(self._attend(watch))
            self._at_work[watch.id] = task
            task.add_done_callback(partial(self._done, watch.id))
        return len(claimed)

    def _done(self, key: str, _: asyncio.Task[None]) -> None:
        self._at_work.pop(key, None)

    async def settled(self) -> None:
        """Waits for what was begun."""
        while self._at_work:
            await asyncio.wait(self._at_work.values())

    async def _attend(self, watch: Watch) -> None:
        """Looks at one watch and writes down what became of it; whatever goes wrong does not hold up the others."""
        turn = self._turns.setdefault(watch.place.key, asyncio.Lock())
        held = Held(self._store, self._clock, watch, turn)
        keeping = asyncio.create_task(held.renew())
        try:
            await held.record(**await self._looked(held))
        except StoreUnavailable as error:
            log.warning("watch not recorded", watch=watch.id, error=error.sentence)
        except TakenOver:
            log.info("watch changed or taken over meanwhile", watch=watch.id)
        except Exception:
            log.exception("watch not looked after", watch=watch.id)
        finally:
            held.give()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _looked(self, held: Held) -> dict[str, Any]:
        """What to write down of a watch that was looked at now."""
        now, watch = self._clock.now(), held.watch
        if watch.snoozed_until is not None and now < watch.snoozed_until:
            # What happens meanwhile is not told afterwards.
            return {"due_at": watch.snoozed_until, "state": ""}
        try:
            looked = await self._look(watch, held)
        except Undelivered as error:
            return await self._unheard(watch, error.sentence) | {"due_at": now + AGAIN}
        except (StoreUnavailable, TakenOver):
            raise
        except BotError as error:
            log.warning("watch not seen", watch=watch.id, error=error.sentence)
            return {"due_at": now + AGAIN}
        except Exception:
            log.exception("watch not looked at", watch=watch.id)
            return {"due_at": now + AGAIN}
        values: dict[str, Any] = {"state": looked.state}
        if looked.due_at is None:
            values["ended_at"] = self._clock.now()
        else:
            values["due_at"] = looked.due_at
        if looked.spoke and not looked.unheard:
            values["undelivered_since"] = None
        elif looked.unheard or watch.undelivered_since is not None:
            values |= await self._unheard(watch, looked.unheard)
        return values

    async def _unheard(self, watch: Watch, why: str) -> dict[str, Any]:
        """What to write down of a watch whose place cannot be reached."""
        now = self._clock.now()
        since = watch.undelivered_since
        if since is None:
            await self._escalate(watch, f"{why} I try again; after a day it ends.")
            return {"undelivered_since": now}
        if now - since < GIVEN_UP_AFTER:
            return {}
        await self._escalate(watch, "That has been so for a day, so it has ended.")
        return {"ended_at": now}


@dataclass(slots=True)
class Held:
    """One claimed watch, its lease kept while it is worked on.

    Of the watches of a place one at a time has said something that is not written down, so that the death of a program
    doubles one message there at most.
    """

    store: Store
    clock: Clock
    watch: Watch
    turn: asyncio.Lock
    speaking: bool = False

    async def take(self) -> None:
        """Waits until it is this watch's turn to speak in its place; it lasts until that is written down."""
        if not self.speaking:
            await self.turn.acquire()
            self.speaking = True

    def give(self) -> None:
        """Lets the others of the place speak."""
        if self.speaking:
            self.speaking = False
            self.turn.release()

    async def renew(self) -> None:
        while True:
            await self.clock.sleep(RENEW_EVERY)
            until = self.clock.now() + LEASE
            try:
                if not await watches.renew(self.store, self.watch, until):
                    log.warning("watch taken over by another copy", watch=self.watch.id)
                    return
            except StoreUnavailable as error:
                log.warning("lease of a watch not renewed", watch=self.watch.id, error=error.sentence)
                continue
            self.watch = replace(self.watch, lease_until=until)

    async def keep(self, state: str) -> None:
        """Writes down what was seen and said by now: what is said next is said after it.

        Raises:
            StoreUnavailable: It is not written down.
            TakenOver: The watch was changed, or is another program's now.
        """
        if not await watches.record(self.store, self.watch, release=False, state=state):
            raise TakenOver
        self.give()

    async def record(self, **values: Any) -> None:
        if not await watches.record(self.store, self.watch, **values):
            log.info("watch changed or taken over meanwhile", watch=self.watch.id)
