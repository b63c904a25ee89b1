"""Where each answer goes: who sees it, as what kind of message, in place of what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from adapters.outgoing import Outbox
from adapters.slack.chat import SlackChat, message_ref
from adapters.slack.client import Refused
from adapters.slack.payloads import Incoming, Kind
from bot.model.cards import Answer, Card, Everyone, Only, Status, Text
from bot.model.clock import Clock
from bot.model.errors import BotError, Undelivered
from bot.model.people import MessageRef, Person, Said, Visibility
from bot.redaction import redact

log = structlog.get_logger()

RESPONSE_URL_LIVES: Final = 30 * 60.0
RESPONSE_URL_USES: Final = 5
"""https://docs.slack.dev/interactivity/handling-user-interaction"""
SILENT_FOR: Final = 3.0
"""Seconds in which a slash command's answer may come before anything else is said there: what its `response_url` has
shown can be neither replaced nor removed (https://github.com/slackapi/bolt-js/issues/2287).
"""
_REPEATED: Final = 85
"""Characters of a sentence that are said again while its answer is under way."""

_EVERYONE: Final = Everyone()
_SIGN: Final = Card("Working on it …", status=Status.WORKING)

Attach = Callable[[str, MessageRef], Awaitable[None]]
"""Tells the bot which message holds a question."""


class Delivery:
    """Shows the answer to one request.

    What the person alone may see is ephemeral, complete at once, and changed only by their own click on it; in a thread
    it stands in that thread. What changes later, or is for everybody, is an ordinary message that is kept current;
    where that is for one person, it stands in their direct message.
    """

    def __init__(
        self,
        incoming: Incoming,
        chat: SlackChat,
        attach: Attach,
        clock: Clock,
        written: asyncio.Future[None] | None = None,
    ) -> None:
        """Takes what it works with.

        Args:
            incoming: What is answered; its place's visibility is settled.
            chat: Slack.
            attach: See `Attach`.
            clock: For the limits of a `response_url`, and for waiting.
            written: Done as soon as whatever had to be durable before Slack hears back is.
        """
        self._incoming = incoming
        self._place = incoming.place
        self._chat = chat
        self._attach = attach
        self._clock = clock
        self._written = written
        self._uses_left = RESPONSE_URL_USES if incoming.response_url else 0
        self._began = clock.monotonic()
        self._own = incoming.place.visibility is Visibility.PERSONAL
        self._ref: MessageRef | None = None
        self._direct_ref: MessageRef | None = None
        self._sign: MessageRef | None = None
        self._repeated = False
        self._outbox = Outbox(self._send_safely, clock)

    async def show(self, answer: Answer) -> None:
        """Shows an answer, soon: Slack's slowness never holds up the work that makes them."""
        if not answer.working or answer.replaces:
            done(self._written)
        await self._outbox.show(answer)

    async def close(self) -> None:
        """No more will come: returns when everything is shown."""
        done(self._written)
        await self._outbox.close()
        await self._take_sign_away()

    async def _send_safely(self, answer: Answer) -> None:
        try:
            if answer.working and not answer.editable:
                await self._working(answer)
                return
            try:
                await self._send(answer)
            finally:
                await self._take_sign_away()
        except BotError as error:
            log.warning("answer not delivered", error=error.sentence, status=answer.card.status.value)
        except Exception:
            log.exception("answer not delivered")

    # --- one answer ---

    async def _send(self, answer: Answer) -> None:
        person = self._incoming.person
        match answer.audience:
            case Only(other) if other.key != person.key:
                await self._elsewhere(answer, other)
            case Only() if answer.editable and not self._own:
                await self._in_direct_message(answer)
            case _ if not answer.replaces:
                await self._beside(answer)
            case _ if self._is_private(answer):
                await self._privately(answer)
            case _:
                await self._openly(answer)

    @property
    def _url_usable(self) -> bool:
        """Whether one more answer can go through the `response_url`."""
        return self._uses_left > 0 and self._clock.monotonic() - self._began < RESPONSE_URL_LIVES

    async def _respond(self, answer: Answer, *, replace_original: bool) -> None:
        """To the person alone, through the `response_url`."""
        self._uses_left -= 1
        await self._chat.respond(self._incoming.response_url, answer, replace=replace_original)

    async def _elsewhere(self, answer: Answer, person: Person) -> None:
        """For somebody else's eyes: in that person's direct message."""
        direct = await self._chat.direct(person)
        if direct is None:
            raise Undelivered("Slack gives me no direct message with the person this is for.")
        await self._chat.post(direct, answer)

    async def _in_direct_message(self, answer: Answer) -> None:
        """For the person alone, and to be changed later: an ephemeral message could not be."""
        direct = await self._chat.direct(self._incoming.person)
        if direct is None:
            raise Undelivered("Slack gives me no direct message with the person who asked.")
        shown = replace(answer, audience=_EVERYONE)
        if self._direct_ref is None:
            self._direct_ref = await self._chat.post(direct, shown)
        else:
            await self._chat.update(self._direct_ref, shown)
        await self._note_question(answer, self._direct_ref)

    def _is_private(self, answer: Answer) -> bool:
        """Whether only the person who asked sees this card."""
        if answer.editable:
            return False
        if isinstance(answer.audience, Everyone):
            return self._incoming.hidden and not answer.aloud
        return self._incoming.hidden or not self._own

    async def _working(self, answer: Answer) -> None:
        """A sign of life: where it can be taken away again, or, after a slash command, where it stays true."""
        match self._incoming.kind:
            case Kind.COMMAND:
                if not self._repeated:
                    await self._say_what_was_asked()
            case Kind.DIRECT | Kind.MENTION if self._ref is None:
                # Others see it in a channel, so it says nothing there of what is worked on.
                shown = replace(answer, card=answer.card if self._own else _SIGN, audience=_EVERYONE)
                if self._sign is None:
                    self._sign = await self._chat.post(self._place, shown)
                elif self._own:
                    await self._chat.update(self._sign, shown)
            case _:
                pass

    async def _say_what_was_asked(self) -> None:
        left = SILENT_FOR - (self._clock.monotonic() - self._began)
        if not await self._outbox.quiet(left) or not self._url_usable:
            return
        said = self._incoming.said
        text = " ".join(redact(said.text).split()) if isinstance(said, Said) else ""
        cut = text if len(text) <= _REPEATED else f"{text[:_REPEATED].rstrip()}…"
        line = f"Asked for: {cut or 'help'}; the answer follows"
        self._repeated = True
        await self._respond(Answer(Card(line), Only(self._incoming.person)), replace_original=False)

    async def _take_sign_away(self) -> None:
        sign, self._sign = self._sign, None
        if sign is None:
            return
        try:
            await self._chat.remove(sign)
        except Undelivered as error:
            log.warning("sign of life not removed", error=error.sentence)

    async def _beside(self, answer: Answer) -> None:
        """For the person alone, and nothing that stands there changes."""
        if self._url_usable and not self._place.thread:
            await self._respond(answer, replace_original=False)
        else:
            await self._whisper(answer)

    async def _privately(self, answer: Answer) -> None:
        # What a response_url adds stands outside the thread (https://github.com/slackapi/bolt-js/issues/963).
        if not self._url_usable or (self._place.thread and not self._incoming.private):
            await self._whisper(answer)
            return
        try:
            await self._respond(answer, replace_original=self._incoming.private)
        except Refused as error:
            if error.code == "ratelimited":
                raise
            log.warning("response_url did not take an answer", code=error.code)
            await self._whisper(answer)

    async def _whisper(self, answer: Answer) -> None:
        """An ephemeral message without a `response_url`; where the bot cannot write, its direct message."""
        person = self._incoming.person
        if self._own:
            await self._chat.post(self._place, answer)
            return
        try:
            await self._chat.whisper(self._place, person, answer, threaded=self._incoming.threaded)
        except Refused as error:
            if not error.no_entry:
                raise
            direct = await self._chat.direct(person)
            if direct is None or direct.key == self._place.key:
                raise
            await self._chat.post(direct, replace(answer, audience=_EVERYONE))

    async def _openly(self, answer: Answer) -> None:
        """An ordinary message: the one that is kept current, else the clicked one, else a new one."""
        if self._ref is None and self._incoming.pressed:
            self._ref = message_ref(self._place, self._place.id, self._incoming.pressed)
        if self._ref is None:
            self._ref, self._sign = self._sign, None
        if self._ref is not None:
            try:
                await self._chat.update(self._ref, answer)
            except Refused as error:
                if not error.gone:
                    raise
                log.info("message can no longer be changed", code=error.code)
                self._ref = await self._posted(answer)
        else:
            self._ref = await self._posted(answer)
        await self._note_question(answer, self._ref)

    async def _posted(self, answer: Answer) -> MessageRef:
        """A new message; where the bot cannot write it goes to the direct message, and the place is told so."""
        try:
            return await self._chat.post(self._place, replace(answer, audience=_EVERYONE))
        except Refused as error:
            if not error.no_entry:
                raise
            direct = await self._chat.direct(self._incoming.person)
            if direct is None or direct.key == self._place.key:
                await self._tell(error.sentence, error.hint)
                raise
            ref = await self._chat.post(direct, replace(answer, audience=_EVERYONE))
            await self._tell(
                "I cannot post here, so the answer is in our direct message",
                "Invite me with /invite to have it here.",
            )
            return ref

    async def _tell(self, line: str, more: str) -> None:
        """One line for the person who asked, without data, in the place."""
        answer = Answer(Card(line, blocks=(Text(more),)), Only(self._incoming.person))
        try:
            if self._url_usable and not self._place.thread:
                await self._respond(answer, replace_original=False)
            else:
                await self._chat.whisper(
                    self._place, self._incoming.person, answer, threaded=self._incoming.threaded
                )
        except Undelivered as error:
            log.warning("place not told", error=error.sentence)

    async def _note_question(self, answer: Answer, ref: MessageRef) -> None:
        if answer.ticket:
            await self._attach(answer.ticket, ref)


def done(future: asyncio.Future[None] | None) -> None:
    """Marks it as done, where there is one and it is not."""
    if future is not None and not future.done():
        future.set_result(None)
