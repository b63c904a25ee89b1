"""Where the bot's admins are told what only they can put right: once when it begins, and once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.celonis import Celonis, FamilyQuota
from bot.model.cards import Answer, Card, Everyone, Reader, Text, headline
from bot.model.chat import Chat
from bot.model.clock import Clock
from bot.model.errors import BotError, CelonisError, Forbidden, StoreUnavailable, Who
from bot.model.people import Place, Visibility
from bot.render.card_text import api, error_text
from bot.render.values import dated, when
from bot.store import Store, incidents

log = structlog.get_logger()

TOLD_WITHIN = 3.0
"""Seconds in which the platform has to take a message while somebody waits for an answer."""
QUIET = timedelta(hours=6)
"""What was told and comes back within this time is not told again."""
_DATABASE = "database"
_NEARLY, _HARDLY = 0.80, 0.95
_BACK = 0.05
"""How far below a mark the quota has to be before the mark counts as left."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Something wrong: its key, what people call it, and the sentence with the way to put it right."""

    key: str
    about: str
    sentence: str
    fix: str


class AdminPlace:
    """Tells the bot's admins, in the place that the settings name.

    Args:
        place: `Place.key`; empty where the settings name none.
        chats: Every running platform by name.
        store: Shared by all copies of the bot, of which one tells.
        clock: For waiting.
        reader: Zone and locale of what is told.
    """

    def __init__(
        self, place: str, chats: Mapping[str, Chat], store: Store, clock: Clock, reader: Reader
    ) -> None:
        platform, _, rest = place.partition(":")
        home, _, name = rest.partition(":")
        self._place = Place(platform, home, name, Visibility.CHANNEL) if name else None
        self._chats = chats
        self._store = store
        self._clock = clock
        self._reader = reader
        self._open: frozenset[str] = frozenset()
        """Keys of what is wrong, as the database said at the last look."""
        self._blind_since: datetime | None = None

    async def tell(self, sentence: str, text: str = "") -> bool:
        """Posts a message there; what cannot be posted goes to the log.

        Args:
            sentence: Its headline.
            text: What stands below it.

        Returns:
            Whether it was taken.
        """
        chat = self._chats.get(self._place.platform) if self._place else None
        if self._place is None or chat is None:
            log.warning("for the admins", said=sentence, text=text)
            return False
        blocks = tuple(Text(each) for each in (sentence, text) if each and each != headline(sentence))
        answer = Answer(Card(headline(sentence), blocks=blocks), Everyone(), self._today())
        try:
            async with asyncio.timeout(TOLD_WITHIN):
                await chat.post(self._place, answer)
        except (BotError, TimeoutError) as error:
            log.error("admins not told", place=self._place.key, said=sentence, text=text, error=str(error))  # noqa: TRY400 - no traceback tells more
            return False
        return True

    def _today(self) -> Reader:
        return dated(self._reader, self._clock.now())

    # --- errors ---

    async def failed(self, error: BotError, connection: str, said: str) -> bool:
        """Tells of an error that only an admin can do something about, if nobody has told of it yet.

        Args:
            error: What went wrong.
            connection: The connection that was asked; empty where none was.
            said: The canonical sentence that failed, without values.

        Returns:
            Whether the admins know, from now or from before.
        """
        if self._place is None or error.who not in {Who.BOT_ADMIN, Who.CELONIS_ADMIN}:
            return False
        sentence, fix = error_text(error, self._today())
        if isinstance(error, StoreUnavailable):
            return await self._gone(sentence, fix)
        key = _key(error, connection, said)
        about = said if isinstance(error, Forbidden) else connection or type(error).__name__
        return await self._begin(_Trouble(key, about, sentence, fix))

    async def _gone(self, sentence: str, fix: str) -> bool:
        """Without the database each copy tells for itself."""
        if self._blind_since is None:
            self._blind_since = self._clock.now()
            return await self.tell(sentence, fix)
        return True

    async def _begin(self, trouble: _Trouble) -> bool:
        if trouble.key in self._open:
            return True
        try:
            due = await incidents.begin(self._store, trouble.key, trouble.about, QUIET)
        except StoreUnavailable:
            return False
        self._open |= {trouble.key}
        return await self.tell(trouble.sentence, trouble.fix) if due else True

    async def answered(self, connection: str, said: str) -> None:
        """Tells that what was wrong is over, where an answer of Celonis shows it.

        Args:
            connection: The connection that answered.
            said: The canonical sentence that was answered.
        """
        for key in self._open & {f"{connection}:works", f"{connection}:{said}"}:
            await self._end(key)

    async def _end(self, key: str) -> None:
        self._open -= {key}
        try:
            over = await incidents.end(self._store, key)
        except StoreUnavailable:
            return
        if over is not None:
            since = when(over.began_at, self._today())
            await self.tell(f"It is over: {over.about} works again, since it failed at {since}")

    # --- looking ---

    async def look(self, celonis: Mapping[str, Celonis]) -> None:
        """Looks after the quota and after what other copies of the bot were told; due every minute. Costs no call."""
        try:
            self._open = frozenset(await incidents.open_ones(self._store))
        except StoreUnavailable as error:
            await self.failed(error, "", "")
            return
        if self._blind_since is not None:
            since, self._blind_since = when(self._blind_since, self._today()), None
            await self.tell(f"It is over: the bot's database answers again, since it failed at {since}")
        for name, each in {each.connection.scope: (name, each) for name, each in celonis.items()}.values():
            await self._look_at(name, each)

    async def _look_at(self, name: str, celonis: Celonis) -> None:
        try:
            quota = await celonis.quota()
        except BotError:
            return
        tightest = quota.tightest
        used = tightest.used / tightest.limit
        for mark in (_HARDLY, _NEARLY):
            key = f"{name}:quota:{mark}"
            if used >= mark:
                await self._begin(_Trouble(key, f"the quota of {name}", _spent(name, tightest), _LESS))
            elif used < mark - _BACK:
                await self._end_quietly(key)
        key = f"{name}:quota:pace"
        if quota.runs_out_at is not None and used < _NEARLY:
            ends = when(quota.runs_out_at, self._today())
            sentence = (
                f"At the pace of the last hour the Celonis calls of {name} last until about {ends} only"
            )
            await self._begin(_Trouble(key, f"the quota of {name}", sentence, _LESS))
        elif quota.runs_out_at is None:
            await self._end_quietly(key)

    async def _end_quietly(self, key: str) -> None:
        """A quota that is back is seen in `quota`; nobody has to be told."""
        if key in self._open:
            self._open -= {key}
            await incidents.end(self._store, key)


_LESS = "“quota” shows who spends them; fewer watches, or a higher limit agreed with Celonis (limits.per_day), helps."


def _spent(name: str, family: FamilyQuota) -> str:
    percent = 100 * family.used // family.limit
    return f"{percent} % of the day's {family.limit:,} calls to {api(family.family.value)} of {name} are used"


def _key(error: BotError, connection: str, said: str) -> str:
    """What tells one incident from another: a missing grant is one for each sentence, a bad key one for all."""
    if isinstance(error, Forbidden):
        return f"{connection}:{said}"
    if isinstance(error, CelonisError):
        return f"{connection}:works"
    return type(error).__name__
