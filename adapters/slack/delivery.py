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
from adapters.slack.payloads import Incoming, Kind
from adapters.slack.web_api import Refused
from bot.model.cards import Card, Everyone, Only, Status, Text
from bot.model.clock import Clock
from bot.model.errors import BotError, Undelivered
from bot.model.people import MessageRef, Person, Said, Visibility
from bot.redaction import redact

log = structlog.get_logger()

RESPONSE_URL_LIVES: Final = timedelta(minutes=30)
RESPONSE_URL_USES: Final = 5
"""https://docs.slack.dev/interactivity/handling-user-interaction"""
SILENT_FOR: Final = 3.0
"""Seconds in which a slash command's answer may come before anything else is said there: what its `response_url` has
shown can be neither replaced nor removed (https://github.com/slackapi/bolt-js/issues/2287).
"""
_REPEATED: Final = 85
"""Characters of a sentence that are said again while its answer is under way."""

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


class Delivery:
    """Shows the answer to one request.

    What the person alone may see is ephemeral, complete at once, and changed only by their own click on it; in a thread
    it stands in that thread. What changes later, or is for everybody, is an ordinary message that is kept current;
    where that is for one person, it stands in their direct message.
    """

    def __init__(self, incoming: Incoming, chat: SlackChat, attach: Attach, clock: Clock) -> None:
        """Takes what it works with.

        Args:
            incoming: What is answered; its place's visibility is settled.
            chat: Slack.
            attach: See `Attach`.
            clock: For the limits of a `response_url`, and for waiting.
        """
        self._incoming = incoming
        self._place = incoming.place
        self._chat = chat
        self._attach = attach
        self._url = ResponseUrl(incoming.response_url, chat, clock)
        self._clock = clock
        self._began = clock.monotonic()
        self._own = incoming.place.visibility is Visibility.PERSONAL
        self._ref: MessageRef | None = None
        self._direct_ref: MessageRef | None = None
        self._sign: MessageRef | None = None
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
                await self._take_sign_away()
                return

    # --- one card ---

    async def _send(self, card: Card) -> None:
        if card.status is Status.WORKING and not card.lasting:
            await self._working(card)
            return
        try:
            await self._send_whole(card)
        finally:
            await self._take_sign_away()

    async def _send_whole(self, card: Card) -> None:
        person = self._incoming.person
        match card.audience:
            case Only(other) if other.key != person.key:
                await self._elsewhere(card, other)
            case Only() if card.lasting and not self._own:
                await self._in_direct_message(card)
            case _ if card.aside:
                await self._beside(card)
            case _ if self._is_private(card):
                await self._privately(card)
            case _:
                await self._openly(card)

    async def _elsewhere(self, card: Card, person: Person) -> None:
        """For somebody else's eyes: in that person's direct message."""
        direct = await self._chat.direct(person)
        if direct is None:
            raise Undelivered("Slack gives me no direct message with the person this is for.")
        await self._chat.post(direct, card)

    async def _in_direct_message(self, card: Card) -> None:
        """For the person alone, and to be changed later: an ephemeral message could not be."""
        direct = await self._chat.direct(self._incoming.person)
        if direct is None:
            raise Undelivered("Slack gives me no direct message with the person who asked.")
        shown = replace(card, audience=_EVERYONE)
        if self._direct_ref is None:
            self._direct_ref = await self._chat.post(direct, shown)
        else:
            await self._chat.update(self._direct_ref, shown)
        await self._note_question(card, self._direct_ref)

    def _is_private(self, card: Card) -> bool:
        """Whether only the person who asked sees this card."""
        if card.lasting:
            return False
        hidden = self._incoming.kind is Kind.COMMAND or self._incoming.private
        return hidden or (isinstance(card.audience, Only) and not self._own)

    async def _working(self, card: Card) -> None:
        """A sign of life: where it can be taken away again, or, after a slash command, where it stays true."""
        match self._incoming.kind:
            case Kind.COMMAND:
                await self._say_what_was_asked()
            case Kind.DIRECT | Kind.MENTION if self._ref is None and self._sign is None:
                self._sign = await self._chat.post(self._place, replace(card, audience=_EVERYONE))
            case _:
                pass

    async def _say_what_was_asked(self) -> None:
        left = SILENT_FOR - (self._clock.monotonic() - self._began)
        pause = asyncio.ensure_future(self._clock.sleep(left))
        following = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait({pause, following}, return_when=asyncio.FIRST_COMPLETED)
            answered = following.done()
        finally:
            pause.cancel()
            following.cancel()
        if answered or not self._url.usable:
            return
        said = self._incoming.said
        text = " ".join(redact(said.text).split()) if isinstance(said, Said) else ""
        cut = text if len(text) <= _REPEATED else f"{text[:_REPEATED].rstrip()}…"
        line = f"Asked for: {cut or 'help'}; the answer follows"
        await self._url.show(Card(line, audience=Only(self._incoming.person)), replace_original=False)

    async def _take_sign_away(self) -> None:
        sign, self._sign = self._sign, None
        if sign is None:
            return
        try:
            await self._chat.remove(sign)
        except Undelivered as error:
            log.warning("sign of life not removed", error=error.sentence)

    async def _beside(self, card: Card) -> None:
        """For the person alone, and nothing that stands there changes."""
        if self._url.usable and not self._place.thread:
            await self._url.show(card, replace_original=False)
        else:
            await self._whisper(card)

    async def _privately(self, card: Card) -> None:
        # What a response_url adds stands outside the thread (https://github.com/slackapi/bolt-js/issues/963).
        if not self._url.usable or (self._place.thread and not self._incoming.private):
            await self._whisper(card)
            return
        try:
            await self._url.show(card, replace_original=self._incoming.private)
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
        if self._ref is None:
            self._ref, self._sign = self._sign, None
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
            if self._url.usable and not self._place.thread:
                await self._url.show(card, replace_original=False)
            else:
                await self._chat.whisper(
                    self._place, self._incoming.person, card, threaded=self._incoming.threaded
                )
        except Undelivered as error:
            log.warning("place not told", error=error.sentence)

    async def _note_question(self, card: Card, ref: MessageRef) -> None:
        if card.ticket:
            await self._attach(card.ticket, ref)


def _superseded(card: Card) -> bool:
    """Whether a card that was not sent yet is of no use once the next one is there."""
    return card.nudge is None and not card.aside and card.status is not Status.QUESTION
