"""From the cards of one answer to what people see: who may see which, and which message changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, assert_never

import structlog

from adapters.teams.chat import CARD, HOW_TO_ADD, TeamsChat
from bot.model.cards import Card, Everyone, Only, Status
from bot.model.clock import Clock
from bot.model.errors import BotError, Undelivered
from bot.model.people import Clicked, Filled, MessageRef, Person, Request, Said, Visibility

log = structlog.get_logger()

Json: TypeAlias = dict[str, Any]

LEAST_BETWEEN_UPDATES = 1.0
"""Seconds between two messages that only tell of progress; a thread takes 1,800 operations an hour."""
_SAY_ALOUD = frozenset({Status.REFUSED, Status.FAILED, Status.NOT_UNDERSTOOD, Status.WORKING})


class Answers(Protocol):
    """What is asked of the bot."""

    def answer(self, request: Request) -> AsyncIterator[Card]:
        """Cards, each replacing the one before."""
        ...

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """Remember in which message a question stands."""
        ...


def invoke_message(text: str) -> Json:
    """The answer to an Action.Execute that only the person who clicked sees, beside the card.

    Source: https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model, "Response format".
    """
    return {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": text}


def invoke_card(drawn: Json) -> Json:
    """The answer to an Action.Execute that replaces the card for the person who clicked."""
    return {"statusCode": 200, "type": CARD, "value": drawn}


@dataclass(slots=True)
class Answering:
    """One request on its way.

    Attributes:
        reply: Where an invoke waits for its body; None for messages.
    """

    bot: Answers
    chat: TeamsChat
    clock: Clock
    request: Request
    reply: asyncio.Future[Json] | None = None
    _here: MessageRef | None = None
    _aside: MessageRef | None = None
    _private: MessageRef | None = None
    _told: bool = field(default=False)

    async def run(self) -> None:
        """Asks the bot and shows what it says. Never raises: what goes wrong is logged, and said where that works."""
        try:
            cards = self.bot.answer(self.request)
            async with aclosing(paced(cards, self.clock, LEAST_BETWEEN_UPDATES)) as shown:
                async for card in shown:
                    await self._show(card)
        except BotError as error:
            log.warning("answer not shown", request=self.request.id, reason=error.sentence)
            self._answer(invoke_message(error.sentence))
        except Exception:
            log.exception("unexpected", request=self.request.id)
            self._answer(invoke_message(f"Something went wrong. Reference: {self.request.id}"))
        finally:
            self._answer(invoke_message("There is nothing to show."))

    async def _show(self, card: Card) -> None:
        if card.status is Status.WORKING and not card.lasting:
            # Never a message of its own: it would be left standing.
            if self._waiting():
                self._answer(invoke_message(card.headline))
            elif self._pressed() is None:
                await self.chat.typing(self.request.place)
            return
        personal = self.request.place.visibility is Visibility.PERSONAL
        beside = card.aside and not isinstance(self.request.said, Said)
        if beside and not personal:
            card = replace(card, audience=Only(self.request.person))
        match card.audience:
            case Everyone():
                await self._show_here(card, beside=beside)
            case Only(person):
                if personal and person.key == self.request.person.key:
                    await self._show_here(card, beside=beside)
                else:
                    await self._show_privately(card, person, beside=beside)
            case _:
                assert_never(card.audience)

    async def _show_here(self, card: Card, *, beside: bool) -> None:
        if beside:
            self._answer(invoke_message(card.headline))
            self._aside = await self._put(self._aside, card)
            return
        if self._waiting():
            self._answer(invoke_card(await self.chat.drawn(replace(card, nudge=None))))
        try:
            self._here = await self._put(self._here or self._pressed(), card)
        except Undelivered:
            if self.request.place.visibility is Visibility.PERSONAL:
                raise
            await self._show_privately(card, self.request.person, beside=False)
            return
        await self._note_question(card, self._here)

    async def _note_question(self, card: Card, ref: MessageRef) -> None:
        if card.ticket:
            await self.bot.attach(card.ticket, ref)

    async def _put(self, ref: MessageRef | None, card: Card) -> MessageRef:
        """Replaces that message, or posts a new one where there is none (any more)."""
        if ref is not None:
            try:
                await self.chat.update(ref, card)
            except Undelivered:
                log.info("message cannot be replaced", request=self.request.id)
            else:
                return ref
        return await self.chat.post(self.request.place, card)

    async def _show_privately(self, card: Card, person: Person, *, beside: bool) -> None:
        try:
            direct = await self.chat.direct(person)
            if direct is not None:
                if self._private is None:
                    self._private = await self.chat.post(direct, card)
                else:
                    await self.chat.update(self._private, card)
                await self._note_question(card, self._private)
        except Undelivered:
            direct = None
        name = person.name
        to = f"{name}: " if name else ""
        if direct is None:
            line = f"{to}this answer is for you alone, and I am not among your apps. {HOW_TO_ADD}"
        else:
            line = f"{to}I have answered in our personal chat."
        if self._waiting():
            aloud = card.status in _SAY_ALOUD or direct is None
            self._answer(invoke_message(card.headline if aloud and card.status in _SAY_ALOUD else line))
            self._told = True
        elif not self._told and (direct is None or not beside):
            self._told = True
            await self.chat.line(self.request.place, line)

    def _pressed(self) -> MessageRef | None:
        """The message that was clicked and may be replaced."""
        match self.request.said:
            case Clicked() | Filled():
                return self.request.message
            case Said():
                return None
            case _:
                assert_never(self.request.said)

    def _waiting(self) -> bool:
        return self.reply is not None and not self.reply.done()

    def _answer(self, body: Json) -> None:
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(body)


async def paced(cards: AsyncIterator[Card], clock: Clock, least: float) -> AsyncGenerator[Card, None]:
    """The same cards, but those that tell of progress at most once in `least` seconds: a newer one takes the place
    of one that waits.
    """
    read: asyncio.Queue[Card | None] = asyncio.Queue()

    async def reading() -> None:
        # One task reads them all: a generator must not wander from task to task.
        try:
            async for each in cards:
                read.put_nowait(each)
        finally:
            read.put_nowait(None)

    reader = asyncio.create_task(reading())
    shown_at: float | None = None
    try:
        card = await read.get()
        while card is not None:
            ahead: list[Card | None] = []
            while card.status is Status.WORKING and shown_at is not None:
                ahead = await _soon(read, shown_at + least - clock.monotonic(), clock)
                if not ahead or ahead[0] is None:
                    break
                card = ahead.pop()
                assert card is not None
            yield card
            shown_at = clock.monotonic()
            card = ahead[0] if ahead else await read.get()
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _soon(read: asyncio.Queue[Card | None], seconds: float, clock: Clock) -> list[Card | None]:
    """The next card (None for the end) if it is there within so many seconds, else nothing."""
    if not read.empty():
        return [read.get_nowait()]
    if seconds <= 0:
        return []
    pause = asyncio.ensure_future(clock.sleep(seconds))
    following = asyncio.ensure_future(read.get())
    both: set[asyncio.Future[Any]] = {pause, following}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return [following.result()] if following.done() else []
    finally:
        pause.cancel()
        following.cancel()
