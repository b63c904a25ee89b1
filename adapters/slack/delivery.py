"""Where each card of an answer goes: who sees it, as what kind of message, in place of what."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from adapters.slack.chat import SlackChat, message_ref
from adapters.slack.incoming import Incoming, Kind
from adapters.slack.web_api import Refused
from bot.cards import Card, Confirm, Everyone, Only, Status, Text, buttons
from bot.chat import MessageRef, Person, Visibility
from bot.clock import Clock
from bot.errors import BotError, Undelivered

log = structlog.get_logger()

RESPONSE_URL_LIVES: Final = timedelta(minutes=30)
RESPONSE_URL_USES: Final = 5
"""https://docs.slack.dev/interactivity/handling-user-interaction"""

_EVERYONE: Final = Everyone()

Attach = Callable[[str, MessageRef], Awaitable[None]]
"""Tells the bot which message holds a question."""


class ResponseUrl:
    """One `response_url` within its limits."""

    def __init__(self, url: str, chat: SlackChat, clock: Clock) -> None:
        self._url = url
        self._chat = chat
        self._clock = clock
        self._until: datetime = clock.now() + RESPONSE_URL_LIVES
        self._left = RESPONSE_URL_USES if url else 0

    @property
    def usable(self) -> bool:
        """Whether one more answer can go this way."""
        return self._left > 0 and self._clock.now() < self._until

    async def show(self, card: Card, *, replace_original: bool) -> None:
        """Shows a card to the person alone. Raises `Undelivered`."""
        self._left -= 1
        await self._chat.respond(self._url, card, replace=replace_original)

    async def take_back(self) -> None:
        """Removes what was shown. Raises `Undelivered`."""
        self._left -= 1
        await self._chat.take_back(self._url)


class Delivery:
    """Shows the answer to one request.

    What the person alone may see is ephemeral, complete at once, and changed only by their own click on it. What
    changes later, or is for everybody, is an ordinary message that is kept current.
    """

    def __init__(self, incoming: Incoming, chat: SlackChat, attach: Attach, clock: Clock) -> None:
        """Takes what it works with.

        Args:
            incoming: What is answered; its place's visibility is settled.
            chat: Slack.
            attach: See `Attach`.
            clock: For the limits of a `response_url`.
        """
        self._incoming = incoming
        self._place = incoming.place
        self._chat = chat
        self._attach = attach
        self._url = ResponseUrl(incoming.response_url, chat, clock)
        self._own = incoming.place.visibility is Visibility.PERSONAL
        self._ref: MessageRef | None = None
        self._working_shown = False
        self._pending: deque[Card] = deque()
        self._arrived = asyncio.Event()
        self._over = False
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done as soon as whatever had to be durable before Slack hears back is."""

    async def show(self, cards: AsyncGenerator[Card, None]) -> None:
        """Shows all cards. Slack's slowness never holds up the work that makes them: what it cannot keep up with is
        left out, except the last one and what stands for itself.
        """
        showing = asyncio.ensure_future(self._keep_showing())
        try:
            async with aclosing(cards) as every:
                async for card in every:
                    self._take(card)
        finally:
            self._settle()
            self._over = True
            self._arrived.set()
            try:
                await showing
            finally:
                showing.cancel()

    def _take(self, card: Card) -> None:
        if not (card.status is Status.WORKING and card.aside):
            self._settle()
        if self._pending and _superseded(self._pending[-1]):
            self._pending.pop()
        self._pending.append(card)
        self._arrived.set()

    def _settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    async def _keep_showing(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                card = self._pending.popleft()
                try:
                    await self._send(card)
                except BotError as error:
                    log.warning("answer not delivered", error=error.sentence, status=card.status.value)
                except Exception:
                    log.exception("answer not delivered")
            if self._over and not self._pending:
                return

    # --- one card ---

    async def _send(self, card: Card) -> None:
        if isinstance(card.audience, Only) and card.audience.person.key != self._incoming.person.key:
            await self._elsewhere(card, card.audience.person)
        elif card.status is Status.WORKING and not card.lasting:
            await self._working(card)
        elif card.aside:
            await self._beside(card)
        elif self._is_private(card):
            await self._privately(card)
        else:
            await self._openly(card)

    async def _elsewhere(self, card: Card, person: Person) -> None:
        """For somebody else's eyes: in that person's direct message."""
        direct = await self._chat.direct(person)
        if direct is None:
            raise Undelivered("Slack gives me no direct message with the person this is for.")
        await self._chat.post(direct, card)

    def _is_private(self, card: Card) -> bool:
        """Whether only the person who asked sees this card."""
        if isinstance(card.audience, Only):
            return not self._own or self._incoming.kind is Kind.COMMAND or self._incoming.private
        if card.lasting:
            return False
        return self._incoming.kind is Kind.COMMAND or self._incoming.private

    async def _working(self, card: Card) -> None:
        """A sign of life, only where it can be taken away again."""
        if self._incoming.kind is Kind.COMMAND and self._url.usable:
            await self._url.show(card, replace_original=False)
            self._working_shown = True
        elif self._incoming.kind is Kind.DIRECT and self._ref is None:
            self._ref = await self._chat.post(self._place, replace(card, audience=_EVERYONE))

    async def _beside(self, card: Card) -> None:
        """For the person alone, and nothing that stands there changes."""
        if self._url.usable:
            await self._url.show(card, replace_original=self._working_shown)
            self._working_shown = False
        else:
            await self._whisper(card)

    async def _privately(self, card: Card) -> None:
        if not self._url.usable:
            await self._whisper(card)
            return
        try:
            await self._url.show(card, replace_original=self._working_shown or self._incoming.private)
            self._working_shown = self._incoming.kind is Kind.COMMAND
        except Refused as error:
            if error.code == "ratelimited":
                raise
            log.warning("response_url did not take an answer", code=error.code)
            await self._whisper(card)

    async def _whisper(self, card: Card) -> None:
        """An ephemeral message without a `response_url`; where the bot cannot write, its direct message."""
        person = self._incoming.person
        if self._own:
            await self._chat.post(self._place, card)
            return
        try:
            await self._chat.whisper(self._place, person, card, threaded=self._incoming.threaded)
        except Refused as error:
            if not error.no_entry:
                raise
            direct = await self._chat.direct(person)
            if direct is None or direct.key == self._place.key:
                raise
            await self._chat.post(direct, replace(card, audience=_EVERYONE))

    async def _openly(self, card: Card) -> None:
        """An ordinary message: the one that is kept current, else the clicked one, else a new one."""
        if self._ref is None and self._incoming.pressed:
            self._ref = message_ref(self._place, self._place.id, self._incoming.pressed)
        if self._ref is not None:
            try:
                await self._chat.update(self._ref, card)
            except Refused as error:
                if not error.gone:
                    raise
                log.info("message can no longer be changed", code=error.code)
                self._ref = await self._posted(card)
        else:
            self._ref = await self._posted(card)
        if self._working_shown and self._url.usable:
            self._working_shown = False
            await self._url.take_back()
        await self._note_question(card, self._ref)

    async def _posted(self, card: Card) -> MessageRef:
        """A new message; where the bot cannot write it goes to the direct message, and the place is told so."""
        try:
            return await self._chat.post(self._place, replace(card, audience=_EVERYONE))
        except Refused as error:
            if not error.no_entry:
                raise
            direct = await self._chat.direct(self._incoming.person)
            if direct is None or direct.key == self._place.key:
                await self._tell(error.sentence, error.hint)
                raise
            ref = await self._chat.post(direct, replace(card, audience=_EVERYONE))
            await self._tell(
                "I cannot post here, so the answer is in our direct message",
                "Invite me with /invite to have it here.",
            )
            return ref

    async def _tell(self, line: str, more: str) -> None:
        """One line for the person who asked, without data, in the place."""
        card = Card(line, blocks=(Text(more),), audience=Only(self._incoming.person))
        try:
            if self._url.usable:
                await self._url.show(card, replace_original=self._working_shown)
                self._working_shown = False
            else:
                await self._chat.whisper(
                    self._place, self._incoming.person, card, threaded=self._incoming.threaded
                )
        except Undelivered as error:
            log.warning("place not told", error=error.sentence)

    async def _note_question(self, card: Card, ref: MessageRef) -> None:
        if card.status is not Status.QUESTION:
            return
        for button in buttons(card):
            if isinstance(button.action, Confirm):
                await self._attach(button.action.ticket, ref)
                return


def _superseded(card: Card) -> bool:
    """Whether a card that was not sent yet is of no use once the next one is there."""
    return card.nudge is None and not card.aside and card.status is not Status.QUESTION
