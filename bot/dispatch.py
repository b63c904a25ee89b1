"""From a request to answers: the one way that everything said or clicked takes, and the only error boundary."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.audience import Shown
from bot.commands import COMMANDS
from bot.commands.again import Back, Next, Recall, Refresh
from bot.commands.command import AnyCommand, Command
from bot.contexts import Contexts
from bot.conversation import Conversations
from bot.explain import Unexpected, explain
from bot.meaning import Meaning, Meanings, One, Several, Unclear
from bot.model.cards import (
    Answer,
    Card,
    Choices,
    Only,
    Run,
    Status,
    buttons,
    headline,
)
from bot.model.errors import (
    BotError,
    NotAllowed,
    NotUnderstood,
    StoreUnavailable,
    TicketGone,
    UsageError,
)
from bot.model.intents import Intent
from bot.model.kept import Kept
from bot.model.people import Clicked, MessageRef, Request, Said
from bot.reading import Reading
from bot.redaction import looks_secret
from bot.speaking import Speaking
from bot.store.watches import Watch
from bot.visit import Parts, Show, Visit, entry
from bot.watching.loop import Held, Looked
from bot.writes.cards import BREAK_GLASS, ShowQuestion
from bot.writes.carry_out import Writes
from bot.writes.guarded import GuardedCommand
from bot.writes.notices import Notices
from bot.writes.question import Questions
from bot.writes.recover import recover
from bot.writes.ticket import Tickets
from bot.writes.two_people import TwoPeople

log = structlog.get_logger()

WORKING_AFTER = 0.8
"""Seconds after which a person is told that the answer takes a moment."""
ANSWERS = frozenset({"yes", "y", "ok", "okay", "ja", "sure", "do it", "confirm", "go", "yes please"})
NO = frozenset({"no", "n", "nein", "nope", "nee", "no thanks", "nein danke", "leave it running"})
MINUTE = 60.0
PEOPLE = 10_000
"""People whose pace is known."""


@dataclass(slots=True)
class Trace:
    """How a request came to its answer, for a caller who wants to know; filled in on the way.

    Attributes:
        meaning: What its sentence means; None where it was refused before that was known, and for a click on a question.
        calls: How many calls to Celonis it took.
    """

    meaning: Meaning | None = None
    calls: int = 0


class Bot:
    """Answers requests.

    Args:
        parts: What it is made of.
        tickets: Its questions.
        commands: The table.

    Raises:
        ValueError: Two commands, or a command and an alias of the settings, start alike.
    """

    def __init__(self, parts: Parts, tickets: Tickets, commands: Sequence[AnyCommand] = COMMANDS) -> None:
        self._parts = parts
        self._tickets = tickets
        self._commands: dict[type[Intent], AnyCommand] = {each.intent: each for each in commands}
        self._contexts = contexts = Contexts(parts, commands)
        self._conversations = Conversations(parts.store, parts.clock)
        self._meanings = Meanings(
            self._commands,
            contexts.of,
            contexts.sight,
            self._conversations.before,
            parts.words,
        )
        guarded = [each for each in commands if isinstance(each, GuardedCommand)]
        parse = self._meanings.exact.parse
        self._questions = Questions(parts, tickets, guarded, parse, contexts.guarded)
        two = TwoPeople(parts, self._questions, tickets)
        notices = Notices(parts)
        self._writes = Writes(self._questions, tickets, two, notices, parts.clock, contexts.guarded)
        self._speaking = Speaking(parts, contexts, parse, self.answer, self.attach)
        self._reading = Reading(parts, contexts, self._conversations)
        self._said: Kept[str, deque[float]] = Kept(PEOPLE)

    async def answer(self, request: Request, show: Show, trace: Trace | None = None) -> None:
        """Answers one request.

        Never raises for anything a person said or Celonis did: that becomes a card.

        Args:
            request: What was said or clicked.
            show: Called for each answer, which takes the place of the one before it.
            trace: Is filled in.
        """
        showing = _Showing(show, request)
        visit: Visit | None = None
        trace = trace or Trace()
        try:
            self._check_pace(request)
            visit = await self._parts.visit(request, showing.show)
            await self._attend(visit, trace)
            await self._admins_hear(visit, trace, None)
        except BotError as error:
            log.info("refused", request=request.id, error=type(error).__name__, person=request.person.key)
            if isinstance(error, NotAllowed) and error.rule:
                await self._note_refusal(request, error)
            told = visit is not None and await self._admins_hear(visit, trace, error)
            await showing.show(self._explained(error, request, visit, told=told))
        except Exception:
            log.exception("unexpected", request=request.id)
            await showing.show(self._explained(Unexpected(request.id), request, visit))
        finally:
            showing.close()
            if visit is not None:
                for used in visit.usages.values():
                    trace.calls += used.calls.total()

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """Remembers in which message a question stands, so that its outcome can be shown there after a restart."""
        await self._tickets.attach(ticket_id, ref)

    async def look(self, watch: Watch, held: Held) -> Looked:
        """Looks at a watch that is due. See `bot.watching.loop.Look`."""
        return await self._speaking.look(watch, held)

    async def escalate(self, watch: Watch, why: str) -> None:
        """See `bot.speaking.Speaking.escalate`."""
        await self._speaking.escalate(watch, why)

    async def recover(self) -> int:
        """See `bot.writes.recover.recover`."""
        return await recover(self._parts, self._tickets, self._questions, self._writes)

    async def _note_refusal(self, request: Request, error: NotAllowed) -> None:
        try:
            await self._parts.audit.write(entry(request, "refused", rule=error.rule, outcome=error.sentence))
        except StoreUnavailable:
            log.warning("audit row lost", request=request.id)

    async def _admins_hear(self, visit: Visit, trace: Trace, error: BotError | None) -> bool:
        """Lets the admins know what failed for a reason of theirs, or that it does no longer; whether they know."""
        asked = [name for name, each in visit.usages.items() if each.calls.total()]
        said = trace.meaning.recorded.sentence if isinstance(trace.meaning, One) else ""
        if error is not None:
            return await self._parts.admins.failed(error, next(iter(asked or visit.usages), ""), said)
        for connection in asked:
            await self._parts.admins.answered(connection, said)
        return False

    def _explained(
        self, error: BotError, request: Request, visit: Visit | None, *, told: bool = False
    ) -> Answer:
        """An error for the person who asked; with no visit, nothing is known of their zone."""
        reader = self._parts.today() if visit is None else visit.reader(private=True)[0]
        card = self._parts.marked(explain(error, reader, request.id, told=told))
        beside = isinstance(request.said, Clicked)
        return Answer(card, Only(request.person), reader, replaces=not beside)

    def _check_pace(self, request: Request) -> None:
        """One person cannot keep the bot busy, with sentences or with clicks.

        Raises:
            NotAllowed: Too much within a minute.
        """
        if request.watch:
            return
        now = self._parts.clock.monotonic()
        said = self._said.get(request.person.key)
        if said is None:
            said = self._said[request.person.key] = deque(maxlen=self._parts.per_minute)
        if len(said) == self._parts.per_minute and now - said[0] < MINUTE:
            raise NotAllowed(
                f"That was more than {self._parts.per_minute} in a minute, so I did not read it.",
                hint="Wait a minute.",
            )
        said.append(now)

    async def _attend(self, visit: Visit, trace: Trace) -> None:
        match visit.request.said:
            case Said(text):
                await self._sentence(text, visit, trace)
            case Clicked(sentence, "", "") if sentence:
                await self._sentence(sentence, visit, trace)
            case Clicked("", confirm, "") if confirm:
                await self._writes.confirm(confirm, visit)
            case Clicked("", "", dismiss) if dismiss:
                await self._writes.dismiss(dismiss, visit)
            case _:
                raise TicketGone("This button says nothing I know.", hint="Ask again in words.")

    # --- sentences ---

    async def _sentence(self, text: str, visit: Visit, trace: Trace) -> None:
        if looks_secret(text):
            raise UsageError(
                "That looks like a key or a token, so I did not read it, and I do not keep it.",
                hint="Delete the message and have the key replaced: everybody here could see it.",
            )
        if len(text) > self._parts.text_length:
            raise NotUnderstood(f"That is longer than the {self._parts.text_length:,} characters I read.")
        plain = " ".join(text.split()).casefold().strip(".!")
        if plain.startswith(f"{BREAK_GLASS} "):
            await self._writes.alone(" ".join(text.split())[len(BREAK_GLASS) :], visit)
            return
        if plain in ANSWERS | NO:
            asked = await self._questions.newest(visit)
            if asked is None:
                raise NotUnderstood(
                    "No question of yours is open here.", hint="Say what you want to know, or press a button."
                )
            if plain in NO:
                await self._writes.dismiss(asked.id, visit)
                return
            await self._questions.take_back(asked, visit)
            text = asked.sentence
        trace.meaning = meaning = await self._meanings.mean(text, visit)
        match meaning:
            case One(ShowQuestion(id=ticket)):
                await self._questions.show(ticket, visit)
            case One(Recall() | Refresh() | Next() | Back() as word):
                await self._go_on(word, visit, trace)
            case One():
                await self._act(meaning, visit)
            case Several() | Unclear():
                await self._ask_back(meaning, visit)

    async def _go_on(self, word: Recall | Refresh | Next | Back, visit: Visit, trace: Trace) -> None:
        """Answers what was said before."""
        text, asker = await self._conversations.meant(word, visit.request)
        try:
            trace.meaning = meaning = await self._meanings.mean(text, visit)
            match meaning:
                case One(ShowQuestion() | Recall() | Refresh() | Next() | Back()):
                    raise NotUnderstood("I do not understand what to show again.")
                case One():
                    await self._act(meaning, visit, fresh=isinstance(word, Refresh))
                case Several() | Unclear() if asker != visit.person.key:
                    raise _not_yours()
                case Several() | Unclear():
                    await self._ask_back(meaning, visit)
        except (NotAllowed, UsageError) as error:
            if asker == visit.person.key:
                raise
            # What somebody else asked may name what this person must not know of.
            raise _not_yours(error.rule if isinstance(error, NotAllowed) else "") from None

    async def _ask_back(self, meaning: Several | Unclear, visit: Visit) -> None:
        match meaning:
            case Several(question, options, prompt, source):
                await self._conversations.offered(options, visit.request, dates=meaning.dates)
                changes = (
                    self._commands.get(type(each.action.intent))
                    for each in options
                    if isinstance(each.action, Run)
                )
                if any(isinstance(each, GuardedCommand) for each in changes):
                    prompt = f"Nothing has been done yet. {prompt}".rstrip()
                card = Card(
                    headline(question),
                    blocks=(Choices(prompt, options),),
                    source=source,
                    status=Status.ASKED,
                )
            case Unclear(error, options):
                await self._conversations.offered(options, visit.request, open_question=False)
                card = explain(error, visit.reader(private=True)[0], visit.request.id, options)
        await visit.show(Shown(card))

    # --- acting ---

    async def _act(self, meant: One, visit: Visit, *, fresh: bool = False) -> None:
        command = self._commands[type(meant.intent)]
        match command:
            case Command():
                await visit.show(await self._reading.answer(command, meant, visit, fresh=fresh))
            case GuardedCommand():
                card = await self._questions.ask(command, meant.intent, visit)
                if card is not None and card.status is Status.ASKED:
                    await self._conversations.offered(buttons(card), visit.request)


class _Showing:
    """Shows answers; where the first one is not there in time, that work goes on."""

    def __init__(self, show: Show, request: Request) -> None:
        self._show = show
        self._request = request
        self._sign: asyncio.Task[None] | None = None
        # What is answered from memory is shown in this turn of the loop, and needs no timer.
        self._timer: asyncio.Handle = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(WORKING_AFTER, self._due)

    def _due(self) -> None:
        beside = isinstance(self._request.said, Clicked)
        card = Card("Working on it …", status=Status.WORKING)
        self._sign = asyncio.ensure_future(
            self._show(Answer(card, Only(self._request.person), replaces=not beside))
        )

    async def show(self, answer: Answer) -> None:
        self._timer.cancel()
        if self._sign is not None:
            sign, self._sign = self._sign, None
            await asyncio.gather(sign, return_exceptions=True)  # it is shown before what replaces it
        await self._show(answer)

    def close(self) -> None:
        self._timer.cancel()
        if self._sign is not None:
            self._sign.cancel()


def _not_yours(rule: str = "") -> NotAllowed:
    return NotAllowed(
        "There is nothing here that you can go on with.", hint="Say the whole sentence.", rule=rule
    )
