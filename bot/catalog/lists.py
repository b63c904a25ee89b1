"""The lists of names of one connection, read once and shared by everybody.

They are kept in the store: for an hour they count as fresh, and for seven days they still serve for names when Celonis
or the quota does not. A list of more than ten pages is read again less often, so that all of those together cost at
most a twentieth of the day's calls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import structlog
from cachetools import LRUCache

from bot.catalog.listing import Listing, Seen, Turns, steps
from bot.celonis import Api
from bot.celonis.api import LIST_PAGE
from bot.config import Limits
from bot.model.errors import CelonisError, NotFound, QuotaExhausted, StoreUnavailable, Who
from bot.model.names import Kind, Name
from bot.policy import Policy, View
from bot.store import Store

log = structlog.get_logger()

FRESH = timedelta(hours=1)
USABLE = timedelta(days=7)
ROOM = 64 * 1024 * 1024
"""Bytes of lists that are kept in memory; what was used least recently is read from the store again."""
LONG = 10
"""Pages from which on a list counts as long."""
FOR_LONG_LISTS = 0.05
"""Part of the day's calls that reading long lists again may cost."""


class Lists:
    """The lists of a connection.

    Args:
        connection: Its name.
        store: Keeps them.
        policy: Judges what is visible.
        room: Bytes of memory for them.

    Attributes:
        generation: Grows whenever something is called otherwise than before, is new or is gone.
    """

    def __init__(self, connection: str, store: Store, policy: Policy, room: int = ROOM) -> None:
        self.connection = connection
        self.generation = 0
        self._store = store
        self._policy = policy
        self._kept: LRUCache[str, Listing] = LRUCache(room, getsizeof=lambda listing: listing.size)
        self._long_pages = 0.0
        self._absent: set[str] = set()
        """What the store had not when it was looked for."""
        self._making: dict[str, asyncio.Task[Listing | None]] = {}

    async def seen(self, view: View, kind: Kind, within: Sequence[Name], asking: Api, now: datetime) -> Seen:
        """What a view shows of one list.

        Args:
            view: For whom.
            kind: What is listed.
            within: The knowledge model (and record), or the data pool.
            asking: Reads the list where it is not at hand.
            now: When the request came (UTC).

        Raises:
            CelonisError, QuotaExhausted: It cannot be had, or the key has lost the right to it.
        """
        listing = await self._read(kind, within, asking, now)
        placed = tuple(zip(_READ[kind].within, within, strict=True))
        return Seen(listing, placed, await listing.sight(self._policy, view, placed))

    async def kept(self, view: View, kind: Kind, within: Sequence[Name], now: datetime) -> Seen | None:
        """What a view shows of one list as it was last read, if that is no longer ago than names serve."""
        scope = _scope(kind, within)
        listing = self._kept.get(scope)
        if listing is None and scope not in self._absent:
            listing = await self._once(f"stored {scope}", self._stored(scope, kind, None))
            if listing is None:
                self._absent.add(scope)
        if listing is None or now - listing.fetched_at >= USABLE:
            return None
        placed = tuple(zip(_READ[kind].within, within, strict=True))
        return Seen(listing, placed, await listing.sight(self._policy, view, placed))

    def fresh_until(self, listing: Listing, limits: Limits) -> datetime:
        """When a list has to be read again."""
        fresh = FRESH
        if _pages(listing) > LONG:
            fresh = max(FRESH, timedelta(days=self._long_pages / (FOR_LONG_LISTS * limits.per_day)))
        return listing.checked_at + min(fresh, USABLE)

    async def _read(self, kind: Kind, within: Sequence[Name], asking: Api, now: datetime) -> Listing:
        scope = _scope(kind, within)
        kept = self._kept.get(scope)
        if kept is not None and now < self.fresh_until(kept, asking.limits):
            return kept
        if kept is None or self._store.dialect != "sqlite":  # another replica may have read it
            stored = await self._once(f"stored {scope}", self._stored(scope, kind, kept))
            kept = kept if stored is None else stored
            if kept is not None and now < self.fresh_until(kept, asking.limits):
                return kept
        try:
            found = await _READ[kind].fetch(asking, *(each.id for each in within))
        except (QuotaExhausted, CelonisError) as error:
            lost = isinstance(error, NotFound) or error.who in {Who.BOT_ADMIN, Who.CELONIS_ADMIN}
            if lost or kept is None or now - kept.fetched_at >= USABLE:
                raise
            return kept
        made: Listing | None
        if asking.whole:
            fetched_at = min(now, asking.reads[-1].fetched_at)
            made = await self._once(scope, self._renewed(scope, kind, found, fetched_at, now))
        else:  # kept, it would be given out without a word about what is missing
            made = await Listing.build(kind, now, _rows(kind, found))
        assert made is not None
        return made

    async def _once(self, what: str, making: Coroutine[Any, Any, Listing | None]) -> Listing | None:
        """The result of some work that is done once for all who want it at the same time."""
        task = self._making.get(what)
        if task is None:
            task = self._making[what] = asyncio.create_task(making)
            task.add_done_callback(lambda _: self._making.pop(what))
        else:
            making.close()
        return await asyncio.shield(task)

    async def _stored(self, scope: str, kind: Kind, kept: Listing | None) -> Listing | None:
        """The list as the store has it, if that is newer than what is kept."""
        with suppress(StoreUnavailable):
            found = await self._store.snapshot(self.connection, scope)
            if found is not None and (kept is None or found.fetched_at > kept.fetched_at):
                try:
                    rows = map(json.loads, found.content.split("\n"))
                    return self._swap(scope, await Listing.build(kind, found.fetched_at, rows))
                except (ValueError, TypeError):
                    log.info(
                        "a list of another version is read again", connection=self.connection, scope=scope
                    )
        return None

    async def _renewed(
        self, scope: str, kind: Kind, found: Sequence[_Named], fetched_at: datetime, now: datetime
    ) -> Listing:
        """The list as Celonis has it now."""
        kept = self._kept.get(scope)
        if kept is None or not await kept.equals(_rows(kind, found)):
            kept = self._swap(scope, await Listing.build(kind, fetched_at, _rows(kind, found)))
        kept.fetched_at, kept.checked_at = fetched_at, now
        lines, turns = [], Turns()
        for chunk in _rows(kind, found):
            lines.append(json.dumps(chunk, ensure_ascii=False))
            await turns.after(len(chunk))
        with suppress(StoreUnavailable):  # then it is asked for again, which costs a call and no answer
            await self._store.put_snapshot(self.connection, scope, "\n".join(lines or ["[]"]), fetched_at)
        return kept

    def _swap(self, scope: str, new: Listing) -> Listing:
        self._absent.discard(scope)
        old = self._kept.pop(scope, None)
        if old is None or old.names != new.names or old.ids != new.ids:
            self.generation += 1
        with suppress(ValueError):  # it alone is larger than all the room
            self._kept[scope] = new
        self._long_pages = sum(pages for each in self._kept.values() if (pages := _pages(each)) > LONG)
        return new


class _Named(Protocol):
    """What Celonis lists."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class _Read(NamedTuple):
    """How the names of one kind are read.

    Attributes:
        within: What they lie in, from the outside in.
        fetch: Asks Celonis, with the ids of those.
        about: What lists show beside a name.
    """

    within: tuple[Kind, ...]
    fetch: Callable[..., Awaitable[Sequence[_Named]]]
    about: Callable[[Any], str] = lambda _: ""


async def _fields(asking: Api, model_id: str, record_id: str) -> Sequence[_Named]:
    return (await asking.record(model_id, record_id)).fields


_READ: Mapping[Kind, _Read] = {
    Kind.MODEL: _Read((), lambda asking: asking.knowledge_models(), lambda each: each.published),
    Kind.RECORD: _Read(
        (Kind.MODEL,), lambda asking, model: asking.records(model), lambda each: each.description
    ),
    Kind.KPI: _Read((Kind.MODEL,), lambda asking, model: asking.kpis(model), lambda each: each.description),
    Kind.FILTER: _Read(
        (Kind.MODEL,), lambda asking, model: asking.filters(model), lambda each: each.description
    ),
    Kind.FIELD: _Read((Kind.MODEL, Kind.RECORD), _fields, lambda each: each.type),
    Kind.POOL: _Read((), lambda asking: asking.pools()),
    Kind.JOB: _Read((Kind.POOL,), lambda asking, pool: asking.jobs(pool)),
    Kind.DATA_MODEL: _Read(
        (Kind.POOL,), lambda asking, pool: asking.data_models(pool), lambda each: each.description
    ),
    Kind.SPACE: _Read((), lambda asking: asking.spaces()),
    Kind.PACKAGE: _Read((Kind.SPACE,), lambda asking, space: asking.packages(space)),
    Kind.ANALYSIS: _Read(
        (Kind.SPACE, Kind.PACKAGE), lambda asking, space, package: asking.analyses(space, package)
    ),
}
_PAGED = frozenset({Kind.MODEL, Kind.RECORD, Kind.KPI, Kind.FILTER})
"""What Celonis gives in pages; all else comes in one piece."""


def _scope(kind: Kind, within: Sequence[Name]) -> str:
    return ":".join((kind.value, *(each.id for each in within)))


def _pages(listing: Listing) -> float:
    return len(listing) / LIST_PAGE if listing.kind in _PAGED else 1.0


def _rows(kind: Kind, found: Sequence[_Named]) -> Iterator[list[tuple[str, str, str]]]:
    """Id, name and what is shown beside it, a step at a time."""
    about = _READ[kind].about
    for step in steps(len(found)):
        yield [(each.id, each.name, about(each)) for each in found[step]]
