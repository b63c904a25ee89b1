"""From a request to answers: the one way that everything said or clicked takes, and the only error boundary."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from cachetools import LRUCache, TTLCache

from bot.audience import Shown
from bot.celonis import Read
from bot.commands import COMMANDS
from bot.commands.again import Back, Next, Recall, Refresh
from bot.commands.command import AnyCommand, Command, Context
from bot.commands.defaults import may_set_defaults
from bot.commands.help import Help
from bot.commands.share import Share, lasting, share_button
from bot.contexts import Contexts
from bot.conversation import Conversations
from bot.explain import Unexpected, explain
from bot.language.declare import CelonisIntent
from bot.language.scope import date_key
from bot.meaning import Meaning, Meanings, One, Several, Unclear
from bot.model.cards import (
    Answer,
    Button,
    Card,
    Choices,
    Notice,
    Only,
    Run,
    Status,
    Text,
    Tone,
    buttons,
    headline,
)
from bot.model.errors import (
    BotError,
    CelonisError,
    NotAllowed,
    NotUnderstood,
    QuotaExhausted,
    StoreUnavailable,
    TicketGone,
    UsageError,
)
from bot.model.intents import Intent
from bot.model.names import Name
from bot.model.people import Clicked, MessageRef, Request, Said
from bot.policy import Right
from bot.redaction import looks_secret
from bot.visit import Parts, Show, Visit, entry
from bot.writes.cards import ShowQuestion
from bot.writes.carry_out import Writes
from bot.writes.guarded import GuardedCommand
from bot.writes.question import Questions
from bot.writes.recover import recover
from bot.writes.ticket import Tickets

log = structlog.get_logger()

WORKING_AFTER = 0.8
"""Seconds after which a person is told that the answer takes a moment."""
ANSWERS = frozenset({"yes", "y", "ok", "okay", "ja", "sure", "do it", "confirm", "go", "yes please"})
NO = frozenset({"no", "n", "nein", "nope", "nee", "no thanks", "nein danke", "leave it running"})
MINUTE = 60.0
PEOPLE = 10_000
"""People whose pace is known."""
PACE_KEPT = 3600.0
MADE = 500
"""Cards that are shared by all who would see the same."""


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
        self._writes = Writes(self._questions, tickets, parts.clock, contexts.guarded)
        self._made: LRUCache[Hashable, tuple[Shown, Sequence[Read]]] = LRUCache(MADE)
        self._said: TTLCache[str, deque[float]] = TTLCache(PEOPLE, PACE_KEPT, timer=parts.clock.monotonic)

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
        except BotError as error:
            log.info("refused", request=request.id, error=type(error).__name__, person=request.person.key)
            if isinstance(error, NotAllowed) and error.rule:
                await self._note_refusal(request, error)
            await showing.show(self._explained(error, request, visit))
        except Exception:
            log.exception("unexpected", request=request.id)
            await showing.show(self._explained(Unexpected(request.id), request, visit))
        finally:
            showing.close()
            if visit is not None:
                trace.calls = sum(each.calls.total() for each in visit.usages.values())

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """Remembers in which message a question stands, so that its outcome can be shown there after a restart."""
        await self._tickets.attach(ticket_id, ref)

    async def recover(self) -> int:
        """See `bot.writes.recover.recover`."""
        return await recover(self._parts, self._tickets, self._questions, self._writes)

    async def _note_refusal(self, request: Request, error: NotAllowed) -> None:
        try:
            await self._parts.audit.write(entry(request, "refused", rule=error.rule, outcome=error.sentence))
        except StoreUnavailable:
            log.warning("audit row lost", request=request.id)

    def _explained(self, error: BotError, request: Request, visit: Visit | None) -> Answer:
        """An error for the person who asked; with no visit, nothing is known of their zone."""
        reader = self._parts.today() if visit is None else visit.reader(private=True)[0]
        card = self._parts.marked(explain(error, reader, request.id))
        beside = isinstance(request.said, Clicked)
        return Answer(card, Only(request.person), reader, replaces=not beside)

    def _check_pace(self, request: Request) -> None:
        """One person cannot keep the bot busy, with sentences or with clicks.

        Raises:
            NotAllowed: Too much within a minute.
        """
        now = self._parts.clock.monotonic()
        said = self._said.setdefault(request.person.key, deque(maxlen=self._parts.per_minute))
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
            case Several(question, prompt, options, source):
                await self._offered(options, visit, dates=meaning.dates)
                card = Card(
                    headline(question),
                    blocks=(Choices(prompt, options),),
                    source=source,
                    status=Status.ASKED,
                )
            case Unclear(error, options):
                await self._offered(options, visit, open_question=False)
                card = explain(error, visit.reader(private=True)[0], visit.request.id, options)
        await visit.show(Shown(card))

    async def _offered(
        self,
        options: Sequence[Button],
        visit: Visit,
        *,
        dates: Sequence[Name] = (),
        open_question: bool = True,
    ) -> None:
        offered = [each.action.intent for each in options if isinstance(each.action, Run)]
        if offered:
            request = visit.request
            await self._conversations.offered(offered, request, open_question=open_question, dates=dates)

    # --- acting ---

    async def _act(self, meant: One, visit: Visit, *, fresh: bool = False) -> None:
        command = self._commands[type(meant.intent)]
        match command:
            case Command():
                meant = await self._date_chosen(meant, visit)
                await visit.show(await self._read(command, meant, visit, fresh=fresh))
            case GuardedCommand():
                card = await self._questions.ask(command, meant.intent, visit)
                if card is not None and card.status is Status.ASKED:
                    await self._offered(buttons(card), visit)

    async def _date_chosen(self, meant: One, visit: Visit) -> One:
        """Keeps the date field that somebody chose because they were asked, for the place where they may set defaults."""
        if getattr(meant.intent, "where", None) is None:
            return meant
        field = await self._conversations.date_chosen(meant.intent, visit.request)
        if field is None or not may_set_defaults(visit.asker, self._parts.policy).allowed:
            return meant
        model, record = getattr(meant.intent, "model", None), getattr(meant.intent, "record", None)
        chosen_for = date_key(model.id if model else "", record.id if record else "")
        try:
            await self._parts.store.set_date_field(visit.place.key, chosen_for, field, visit.person)
        except StoreUnavailable:
            return meant
        return replace(meant, notes=(*meant.notes, f"From now on periods here are about {field.text}."))

    async def _read(self, command: Command[Any], meant: One, visit: Visit, *, fresh: bool) -> Shown:
        intent, touched = meant.intent, meant.touches
        connection = visit.connection(intent.via if isinstance(intent, CelonisIntent) else None)
        shares = command.right is Right.PUBLIC
        # What an answer shows can be less than its sentence names, and only that has to be public.
        decision = visit.allowed(command.right, () if shares else touched)
        if command.open_to is not None:
            decision = command.open_to(visit.asker, self._parts.policy)
            decision.require()
        durable = shares or command.changes or command.right is Right.EXPORT
        if shares:  # who reads along is not taken from before
            await visit.audience.outsiders(anew=True)
        if self._parts.audit_reads or durable:
            row = entry(
                visit.request,
                "changed" if command.changes else "read",
                meant.recorded,
                right=command.right,
                rule=decision.rule,
                connection=connection,
            )
            if durable:  # it is on record before it leaves, or is changed
                await self._parts.audit.write(row)
            else:
                self._parts.audit.write_soon(row)
        shown = await self._shown(command, meant, visit, connection, fresh=fresh)
        private = await visit.audience.private(shown.touches)
        if shown.card.status is Status.ASKED:
            await self._offered(buttons(shown.card), visit)
        elif command.question:
            await self._conversations.remember(intent, shown.card, visit.request, private=private)
        if visit.request.hidden and not private and not shown.aloud:
            context = replace(self._contexts.of(visit, connection), reader=await visit.reader_of(shown))
            button = await share_button(intent, shown, context)
            if button is not None:
                card = replace(shown.card, buttons=(*shown.card.buttons, button))
                return replace(shown, card=card)
        return shown

    async def _shown(
        self, command: Command[Any], meant: One, visit: Visit, connection: str, *, fresh: bool
    ) -> Shown:
        """What a command shows. One that was made of the same answers for the same view and reader is not made again."""
        intent, steady = meant.intent, command.steady(meant.intent)
        reader, zone_of = visit.reader(private=await visit.audience.private(meant.touches))
        outsiders = await visit.audience.outsiders()
        sight = self._contexts.sight(visit, connection)
        key = (meant, reader, sight, visit.connections, visit.place.key, outsiders)
        kept = self._made.get(key) if steady and not fresh else None
        if kept is not None:
            shown, reads = kept
            lasts = shown.until is None or self._parts.clock.now() < shown.until
            if lasts and self._contexts.asking(visit, connection).again(reads):
                return shown
        public = partial(self._parts.policy.public, visit.place, outsiders=outsiders)
        context = replace(self._contexts.of(visit, connection), reader=reader, zone_of=zone_of, public=public)
        if fresh:
            context = context.fresh()
        first = len(context.asking.reads)
        if isinstance(intent, Share) and intent.of is not None:
            intent = replace(intent, of=await lasting(intent.of, context))
        said = await command.run(intent, context)
        shown = said if isinstance(said, Shown) else Shown(said, meant.touches)
        about = intent.of if isinstance(intent, Share) and intent.of is not None else intent
        card = self._parts.marked(await self._dated(shown.card, about, context))
        # Say it where a misspelt name was taken for one that exists.
        taken = [Text(f"I took “{typed}” for “{name}”.", quiet=True) for typed, name in meant.taken]
        notes = [Notice(Tone.WARNING, each) for each in meant.notes if Text(each) not in shown.card.blocks]
        sentence = "" if isinstance(about, Help) else visit.said(about)
        shown = replace(shown, card=replace(card, sentence=sentence, blocks=(*notes, *taken, *card.blocks)))
        reads = context.asking.reads[first:]
        if steady and reads and all(each.cached for each in reads):
            self._made[key] = shown, reads
        return shown

    async def _dated(self, card: Card, intent: Intent, context: Context) -> Card:
        """The card with the moment when Celonis loaded its data, where the settings name the data model."""
        model = getattr(intent, "model", None)
        known = context.celonis.connection.data_models
        if (
            card.source is None
            or not card.source.loaded
            or not isinstance(model, Name)
            or model.id not in known
        ):
            return card
        fed_by = known[model.id]
        try:
            load = await context.asking.loads(fed_by.pool, fed_by.data_model)
        except (CelonisError, QuotaExhausted):
            return card  # the answer stands; only its load time stays unknown
        return replace(card, source=replace(card.source, data_loaded_at=load.loaded_at))


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
