"""From the answers to one request to what people see: who may see which, and which message changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, assert_never

import structlog

from adapters.outgoing import Answering, Outbox
from adapters.teams.chat import CARD, HOW_TO_ADD, TeamsChat
from bot.model.cards import Answer, Everyone, Only, Status
from bot.model.clock import Clock
from bot.model.errors import BotError, Undelivered
from bot.model.people import MessageRef, Person, Request, Said, Visibility

log = structlog.get_logger()

Json: TypeAlias = dict[str, Any]

LEAST_BETWEEN_UPDATES = 1.0
"""Seconds between two messages that only tell of progress; a thread takes 1,800 operations an hour."""
_SAY_ALOUD = frozenset({Status.REFUSED, Status.FAILED, Status.ASKED, Status.NOT_UNDERSTOOD, Status.WORKING})


def invoke_message(text: str) -> Json:
    """The answer to an Action.Execute that only the person who clicked sees, beside the card.

    Source: https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model, "Response format".
    """
    return {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": text}


def invoke_card(drawn: Json) -> Json:
    """The answer to an Action.Execute that replaces the card for the person who clicked."""
    return {"statusCode": 200, "type": CARD, "value": drawn}


@dataclass(slots=True)
class Delivery:
    """Shows the answer to one request.

    Attributes:
        bot: Answers.
        chat: Teams.
        clock: For waiting.
        request: What is answered.
        reply: Where an invoke waits for its body; None for messages.
    """

    bot: Answering
    chat: TeamsChat
    clock: Clock
    request: Request
    reply: asyncio.Future[Json] | None = None
    _here: MessageRef | None = None
    _aside: MessageRef | None = None
    _private: MessageRef | None = None
    _told: bool = False

    async def run(self) -> None:
        """Asks the bot and shows what it says. Never raises: what goes wrong is logged, and said where that works."""
        outbox = Outbox(self._show_safely, self.clock, progress_every=LEAST_BETWEEN_UPDATES)
        try:
            try:
                await self.bot.answer(self.request, outbox.show)
            finally:
                await outbox.close()
        except Exception:
            log.exception("unexpected", request=self.request.id)
            self._answer(invoke_message(f"Something went wrong. Reference: {self.request.id}"))
        finally:
            self._answer(invoke_message("There is nothing to show."))

    async def _show_safely(self, answer: Answer) -> None:
        try:
            await self._show(answer)
        except BotError as error:
            log.warning("answer not shown", request=self.request.id, reason=error.sentence)
            self._answer(invoke_message(error.sentence))
        except Exception:
            log.exception("unexpected", request=self.request.id)
            self._answer(invoke_message(f"Something went wrong. Reference: {self.request.id}"))

    async def _show(self, answer: Answer) -> None:
        if answer.working and not answer.editable:
            # Never a message of its own: it would be left standing.
            if self._waiting():
                self._answer(invoke_message(answer.card.headline))
            elif self._pressed() is None:
                await self.chat.typing(self.request.place)
            return
        personal = self.request.place.visibility is Visibility.PERSONAL
        beside = not answer.replaces and not isinstance(self.request.said, Said)
        if beside and not personal:
            answer = replace(answer, audience=Only(self.request.person))
        match answer.audience:
            case Everyone():
                await self._show_here(answer, beside=beside)
            case Only(person):
                if personal and person.key == self.request.person.key:
                    await self._show_here(answer, beside=beside)
                else:
                    await self._show_privately(answer, person, beside=beside)
            case _:
                assert_never(answer.audience)

    async def _show_here(self, answer: Answer, *, beside: bool) -> None:
        if beside:
            self._answer(invoke_message(answer.card.headline))
            self._aside = await self._put(self._aside, answer)
            return
        if self._waiting():
            self._answer(invoke_card(await self.chat.drawn(answer)))
        try:
            self._here = await self._put(self._here or self._pressed(), answer)
        except Undelivered:
            if self.request.place.visibility is Visibility.PERSONAL:
                raise
            await self._show_privately(answer, self.request.person, beside=False)
            return
        await self._note_question(answer, self._here)

    async def _note_question(self, answer: Answer, ref: MessageRef) -> None:
        if answer.ticket:
            await self.bot.attach(answer.ticket, ref)

    async def _put(self, ref: MessageRef | None, answer: Answer) -> MessageRef:
        """Replaces that message, or posts a new one where there is none (any more)."""
        if ref is not None:
            try:
                await self.chat.update(ref, answer)
            except Undelivered:
                log.info("message cannot be replaced", request=self.request.id)
            else:
                return ref
        return await self.chat.post(self.request.place, answer)

    async def _show_privately(self, answer: Answer, person: Person, *, beside: bool) -> None:
        try:
            direct = await self.chat.direct(person)
            if direct is not None:
                if self._private is None:
                    self._private = await self.chat.post(direct, answer)
                else:
                    await self.chat.update(self._private, answer)
                await self._note_question(answer, self._private)
        except Undelivered:
            direct = None
        name = person.name
        to = f"{name}: " if name else ""
        if direct is None:
            line = f"{to}this answer is for you alone, and I am not among your apps. {HOW_TO_ADD}"
        else:
            line = f"{to}I have answered in our personal chat."
        if self._waiting():
            aloud = answer.card.status in _SAY_ALOUD
            self._answer(invoke_message(answer.card.headline if aloud else line))
            self._told = True
        elif not self._told and (direct is None or not beside):
            self._told = True
            await self.chat.line(self.request.place, line)

    def _pressed(self) -> MessageRef | None:
        """The message that was clicked and may be replaced."""
        return None if isinstance(self.request.said, Said) else self.request.message

    def _waiting(self) -> bool:
        return self.reply is not None and not self.reply.done()

    def _answer(self, body: Json) -> None:
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(body)
