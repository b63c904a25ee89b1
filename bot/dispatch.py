"""From a request to cards: the one way that everything said or clicked takes, and the only error boundary."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias, assert_never

import structlog
from cachetools import TTLCache
from pydantic import TypeAdapter, ValidationError

from bot.audit import Audit, Decision, Entry
from bot.catalog import (
    CLOSE,
    Alternative,
    Catalog,
    Item,
    Lists,
    Resolution,
    Seen,
    label_of,
    matching,
    nearest,
)
from bot.celonis import Caller, Celonis, Family, Lane, Usage
from bot.commands import COMMANDS
from bot.commands.again import AGAIN, Back, Next, Refresh
from bot.commands.command import (
    AnyCommand,
    Command,
    Context,
    GuardedCommand,
    Question,
    Shown,
    ZoneOf,
    right_of,
)
from bot.commands.help import Help
from bot.commands.jobs import Jobs, ShowJob
from bot.commands.kpis import ShowKpi
from bot.commands.models import ShowModel
from bot.commands.records import Data, Fields
from bot.language.declare import CelonisIntent, Phrase, clause, map_names
from bot.language.parse import Entry as Pattern
from bot.language.parse import Grammar, unchecked
from bot.language.say import say
from bot.masking import mask
from bot.model.cards import (
    Audience,
    Block,
    Button,
    Card,
    Choices,
    Confirm,
    Cost,
    Dismiss,
    Everyone,
    Notice,
    Nudge,
    Only,
    Reader,
    Run,
    Status,
    Table,
    Text,
    Tone,
    headline,
)
from bot.model.cards import buttons as all_buttons
from bot.model.chat import Chat
from bot.model.clock import Clock, within
from bot.model.errors import (
    ApiDisabled,
    ApprovalSpent,
    BotError,
    CelonisError,
    Forbidden,
    NotAllowed,
    NotFound,
    NotUnderstood,
    OutcomeUnknown,
    QuotaExhausted,
    StoreUnavailable,
    TicketGone,
    UnknownName,
    UsageError,
    Who,
)
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from bot.model.people import Clicked, Filled, MessageRef, Person, Place, Profile, Request, Said, Visibility
from bot.policy import Asker, Policy, Right, Touch
from bot.policy import Decision as Decided
from bot.redaction import looks_secret
from bot.render.button_codec import carried_everywhere
from bot.render.card_text import error_text
from bot.render.values import dated, when
from bot.store import Defaults, Store
from bot.writes.ticket import Claimed, Outcome, State, Ticket, Tickets

log = structlog.get_logger()

WORKING_AFTER = 0.8
"""Seconds after which a person is told that the answer takes a moment."""
PATIENCE = 25.0
"""Seconds within which a read has to be answered; later a chat answer is worth nothing."""
PROFILE_WITHIN = 2.0
"""Seconds in which the platform has to say who somebody is, before anything that changes Celonis."""
FOLLOWING = 35 * 60.0
"""Seconds a confirmed write may take, watching included."""
KEEP_EVERY = 20.0
"""Seconds between renewals of a ticket's lease while work on it goes on."""
ANSWERS = frozenset(
    {"yes", "y", "ok", "okay", "no", "n", "ja", "nein", "sure", "do it", "confirm", "go", "yes please"}
)
MENU_FROM = 5
MINUTE = 60.0
REMEMBERED = 10_000
"""Conversations whose last answer is remembered, for `next`, `back` and `refresh`."""
REMEMBERED_FOR = 24 * 3600.0
PACE_KEPT = 3600.0


@dataclass(frozen=True, slots=True)
class Recall(Intent):
    """A kept sentence that no button can carry."""

    words: ClassVar[str] = "again"
    id: str = field(default="", metadata=clause("", Phrase()))


@dataclass(frozen=True, slots=True)
class ShowQuestion(Intent):
    """An open question, for somebody who may answer it, where the place may not see what it is about."""

    words: ClassVar[str] = "question"
    id: str = field(default="", metadata=clause("", Phrase()))


Says: TypeAlias = Card | Shown
"""A card with what is shown on it; without that, it is for the person alone who asked."""
NOTHING: tuple[Touch, ...] = ()
"""What a card shows that everybody may see: no data at all."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last answer of a conversation: whose question it was, what it was about, and the pages beside it."""

    asker: str
    sentence: str
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class _Conversation:
    """What belongs together: a thread, whoever speaks in it; outside threads one person in one place."""

    place: str
    thread: str = ""
    person: str = ""

    @property
    def key(self) -> str:
        """A name for it; no two have the same."""
        return json.dumps(astuple(self))

    @classmethod
    def of(cls, request: Request) -> tuple[_Conversation, ...]:
        """All that a request belongs to; the last one is the one it goes on with.

        A message that opens a thread goes on with what its person said in the place before, and the thread goes on
        with it.
        """
        personal = request.place.visibility is Visibility.PERSONAL
        own = cls.personal(request.person) if personal else cls(request.place.key, person=request.person.key)
        if not request.place.thread:
            return (own,)
        thread = cls(request.place.key, thread=request.place.thread)
        return (thread, own) if request.opens_thread else (thread,)

    @classmethod
    def personal(cls, person: Person) -> _Conversation:
        """A person's one-to-one chat with the bot."""
        return cls("", person=person.key)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a bot is made of; built once, in the composition root.

    Attributes:
        celonis: Every connection by name.
        chats: Every running platform by name.
        ids: Makes request ids.
        reader: Zone and locale where a place chose none.
        words: Aliases of the settings: word -> canonical words.
        synonyms: By connection: folded word -> name as it stands in Celonis.
        audit_reads: Whether reads are written to the audit log too.
        text_length: Longest sentence, in characters.
        open_for: How long a question can be answered.
        per_minute: Sentences and clicks of one person in a minute.
        data_models: By connection: knowledge model id -> ids of data pool and data model behind it.
    """

    celonis: Mapping[str, Celonis]
    policy: Policy
    store: Store
    tickets: Tickets
    audit: Audit
    chats: Mapping[str, Chat]
    clock: Clock
    ids: Callable[[], str]
    reader: Reader
    version: str
    words: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    audit_reads: bool = False
    text_length: int = 4000
    open_for: timedelta = timedelta(minutes=5)
    per_minute: int = 30
    data_models: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)


class Bot:
    """Answers requests.

    Args:
        parts: What it is made of.
        commands: The table.
    """

    def __init__(self, parts: Parts, commands: Sequence[AnyCommand] = COMMANDS) -> None:
        self._parts = parts
        self._commands = tuple(commands)
        self._by_intent: dict[type[Intent], AnyCommand] = {each.intent: each for each in self._commands}
        self._lists = {name: Lists(name, parts.store, parts.policy) for name in parts.celonis}
        self._by_words = {each.intent.words: each for each in self._commands}
        patterns = [Pattern(each.intent, each.aliases) for each in self._commands]
        own = (
            Pattern(Recall, ()),
            Pattern(ShowQuestion, ()),
            *(Pattern(each.intent, each.aliases) for each in AGAIN),
        )
        self._grammar = Grammar([*patterns, *own], parts.words)
        self._refusals: TTLCache[str, dict[Person, int]] = TTLCache(
            REMEMBERED, PACE_KEPT, timer=parts.clock.monotonic
        )
        self._said: TTLCache[str, deque[float]] = TTLCache(REMEMBERED, PACE_KEPT, timer=parts.clock.monotonic)
        self._lately: TTLCache[_Conversation, _Last] = TTLCache(
            REMEMBERED, REMEMBERED_FOR, timer=parts.clock.monotonic
        )

    async def answer(self, request: Request) -> AsyncGenerator[Card, None]:
        """Everything to show for one request, each card replacing the one before it.

        Never raises for anything a person said or Celonis did: that becomes a card.
        """
        async with aclosing(self._guarded(request)) as cards:
            first = asyncio.ensure_future(anext(cards, None))
            try:
                await asyncio.wait({first}, timeout=WORKING_AFTER)
                if not first.done():
                    yield Card(
                        "Working on it …",
                        status=Status.WORKING,
                        audience=Only(request.person),
                        aside=isinstance(request.said, Clicked),
                    )
                card = await first
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)  # a generator at work cannot be closed
            if card is not None:
                yield card
            async for following in cards:
                yield following

    async def _guarded(self, request: Request) -> AsyncGenerator[Card, None]:
        visit: _Visit | None = None
        try:
            visit = await self._visit(request)
            async with aclosing(self._attend(visit)) as cards:
                async for card in cards:
                    yield card
        except BotError as error:
            log.info("refused", request=request.id, error=type(error).__name__, person=request.person.key)
            yield await self._explained(error, request, visit)
        except Exception:
            log.exception("unexpected", request=request.id)
            yield self._failed(_Unexpected(request.id), request, visit)

    async def _explained(self, error: BotError, request: Request, visit: _Visit | None) -> Card:
        if isinstance(error, NotAllowed) and error.rule:
            try:
                await self._audit(request, None, decision="refused", rule=error.rule, outcome=error.sentence)
            except StoreUnavailable:
                log.warning("audit row lost", request=request.id)
        card = self._failed(error, request, visit)
        return replace(card, aside=isinstance(request.said, Clicked))

    def _failed(self, error: BotError, request: Request, visit: _Visit | None) -> Card:
        """An error for the person who asked; with no visit, nothing is known of their zone."""
        reader = self._own_reader() if visit is None else self._reader(visit, private=True)[0]
        card = explain(error, reader, request.id)
        return self._marked(replace(card, audience=Only(request.person)), reader)

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """Remember in which message a question stands, so that its outcome can be shown there after a restart."""
        await self._parts.tickets.attach(ticket_id, ref)

    # --- who and where ---

    def _pace(self, request: Request) -> None:
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

    async def _visit(self, request: Request) -> _Visit:
        """Who asks, where, and what is chosen there.

        Raises:
            NotAllowed: Too much within a minute, or the place is bound to no connection.
        """
        self._pace(request)
        answers = isinstance(request.said, Clicked) and bool(request.said.confirm or request.said.dismiss)
        asker = await self._asker(request.person, request.place, anew=answers)
        bound = tuple(
            each for each in self._parts.policy.connections(request.place) if each in self._parts.celonis
        )
        if not bound:
            raise NotAllowed(
                "This workspace is not connected to a Celonis team.",
                hint=f"An admin of the bot can bind it: {request.place.platform}, {request.place.home}.",
                rule="unbound",
            )
        seen = tuple(
            each for each in bound if self._parts.policy.sees(asker, Touch(connection=Name(each, each)))
        )
        return _Visit(request, asker, seen or bound, await self._defaults(request.place.key))

    async def _attend(self, visit: _Visit) -> AsyncGenerator[Card, None]:
        match visit.request.said:
            case Said(text):
                cards: AsyncGenerator[Says, None] = self._sentence(text, visit)
            case Clicked(sentence, "", "") if sentence:
                cards = self._sentence(sentence, visit)
            case Clicked("", confirm, "") if confirm:
                cards = self._confirm(confirm, visit)
            case Clicked("", "", dismiss) if dismiss:
                cards = self._dismiss(dismiss, visit)
            case Filled():
                raise TicketGone("This form is no longer open.", hint="Ask again.")
            case _:
                raise TicketGone("This button says nothing I know.", hint="Ask again in words.")
        async with aclosing(cards):
            async for said in cards:
                yield await self._finished(said, visit)

    # --- who may see it ---

    async def _audience(self, touched: Sequence[Touch], place: Place, person: Person) -> Audience:
        """Who sees a card with this on it: the one place where that is decided, for answers, questions and outcomes."""
        if place.visibility is Visibility.PERSONAL or not touched:
            return Everyone()
        public = self._parts.policy.public(place, touched, outsiders=await self._outsiders(place))
        return Everyone() if public else Only(person)

    async def _outsiders(self, place: Place) -> bool:
        """Whether guests or people of other organisations read along; asked only where a rule depends on it."""
        chat = self._parts.chats.get(place.platform)
        if chat is None or not self._parts.policy.opens(place):
            return True
        try:
            return await within(self._parts.clock, PROFILE_WITHIN, chat.outsiders(place))
        except TimeoutError:
            log.warning("members of a place not read in time", place=place.key)
            return True

    async def _asker(self, person: Person, place: Place, *, anew: bool = False) -> Asker:
        """Somebody with what the platform knows of them; whoever cannot be looked up is unknown, and may nothing.

        Args:
            person: Who.
            place: Where.
            anew: Ask the platform now: a right that was taken away must not outlive that for a write.
        """
        chat = self._parts.chats[person.platform]
        if not anew:
            return Asker(person, await chat.profile(person), place)
        try:
            profile = await within(self._parts.clock, PROFILE_WITHIN, chat.profile(person, anew=True))
        except TimeoutError:
            log.warning("profile not read in time", person=person.key)
            profile = Profile()
        return Asker(person, profile, place)

    async def _defaults(self, place_key: str) -> Defaults:
        """What the place chose; while the database is away, reads are answered as if it had chosen nothing."""
        try:
            return await self._parts.store.defaults(place_key)
        except StoreUnavailable:
            log.warning("defaults of the place not read", place=place_key)
            return Defaults()

    def _context(
        self, visit: _Visit, connection: str, lane: Lane = Lane.PEOPLE, *, private: bool = False
    ) -> Context:
        """What a command may use; `private` tells that the answer is for the person alone."""
        parts = self._parts
        reader, zone_of = self._reader(visit, private=private)
        celonis = parts.celonis[connection]
        patience = FOLLOWING if lane is Lane.GUARDED else PATIENCE
        asking = celonis.on_behalf(
            Caller(
                person=visit.asker.person.key,
                place=visit.asker.place.key,
                lane=lane,
                deadline=parts.clock.monotonic() + patience,
                fresh=False,
                request=visit.request.id,
                usage=visit.usage(connection),
            )
        )
        now = parts.clock.now()
        touched = Touch(connection=Name(connection, connection), model=visit.model)
        catalog = visit.catalogs.setdefault(
            connection,
            Catalog(
                asking=asking,
                lists=self._lists[connection],
                view=parts.policy.view(visit.asker, connection),
                now=now,
                synonyms=parts.synonyms.get(connection, {}),
            ),
        )
        return Context(
            request_id=visit.request.id,
            asker=visit.asker,
            now=now,
            reader=reader,
            connection=connection,
            connections=visit.connections,
            asking=asking,
            celonis=celonis,
            catalog=catalog,
            policy=parts.policy,
            store=parts.store,
            clock=parts.clock,
            table=self._commands,
            version=parts.version,
            model_default=visit.model if parts.policy.sees(visit.asker, touched) else None,
            zone_of=zone_of,
        )

    def _reader(self, visit: _Visit, *, private: bool) -> tuple[Reader, ZoneOf]:
        """For whom values are written, and whose zone that is: what others read too is in no person's own."""
        profile = visit.asker.profile
        zone, zone_of = self._parts.reader.zone, ZoneOf.BOT
        if visit.defaults.zone is not None:
            zone, zone_of = visit.defaults.zone.value, ZoneOf.PLACE
        elif profile.zone is not None and (private or visit.personal):
            zone, zone_of = profile.zone, ZoneOf.PERSON
        reader = Reader(zone, profile.locale or self._parts.reader.locale)
        return dated(reader, self._parts.clock.now()), zone_of

    def _own_reader(self) -> Reader:
        """Zone and locale of the settings, today."""
        return dated(self._parts.reader, self._parts.clock.now())

    async def _reader_in(self, place: Place) -> Reader:
        """For whom a message that stands in a place is written, whoever caused it."""
        chosen = (await self._defaults(place.key)).zone
        reader = self._parts.reader if chosen is None else replace(self._parts.reader, zone=chosen.value)
        return dated(reader, self._parts.clock.now())

    async def _alone(self, touched: Sequence[Touch], visit: _Visit) -> bool:
        """Whether only the person who asks may see a card with this on it."""
        audience = await self._audience(touched, visit.request.place, visit.asker.person)
        return isinstance(audience, Only)

    # --- sentences ---

    async def _sentence(self, text: str, visit: _Visit) -> AsyncGenerator[Says, None]:
        if looks_secret(text):
            raise UsageError(
                "That looks like a key or a token, so I did not read it, and I do not keep it.",
                hint="Delete the message and have the key replaced: everybody here could see it.",
            )
        if len(text) > self._parts.text_length:
            raise NotUnderstood(f"That is longer than the {self._parts.text_length:,} characters I read.")
        spoken = " ".join(text.split())
        if spoken.casefold().strip(".!") in ANSWERS:
            again = await self._open_question(visit)
            if again is not None:
                text = again
        readings = self._grammar.parse(text) if spoken else (Help(),)
        if readings and isinstance(readings[0], ShowQuestion):
            yield await self._show_question(readings[0].id, visit)
            return
        fresh = bool(readings) and isinstance(readings[0], Refresh)
        anothers = False
        if readings and isinstance(readings[0], Recall | Refresh | Next | Back):
            text, asker = await self._meant(readings[0], visit)
            anothers = asker != visit.asker.person.key
            readings = self._grammar.parse(text)
            if not readings or isinstance(readings[0], Recall | Refresh | Next | Back):
                raise NotUnderstood("I do not understand what to show again.")
        try:
            alternative = await (self._choose(readings, visit) if readings else self._unread(text, visit))
            if isinstance(alternative, Card):
                if anothers:
                    raise _not_yours()
                yield alternative
                return
            async with aclosing(self._act(alternative, visit, fresh=fresh)) as cards:
                async for card in cards:
                    yield card
        except (NotAllowed, UsageError) as error:
            if not anothers:
                raise
            # What somebody else asked may name what this person must not know of.
            raise _not_yours(error.rule if isinstance(error, NotAllowed) else "") from None

    async def _meant(self, intent: Recall | Refresh | Next | Back, visit: _Visit) -> tuple[str, str]:
        """The sentence that stands behind one of the bot's own words, and the key of who said it.

        Raises:
            TicketGone: There is none (any more).
        """
        me = visit.asker.person.key
        last = await self._last_of(_Conversation.of(visit.request)[-1]) or _Last(me, "")
        match intent:
            case Recall(id=key):
                kept = await self._parts.store.sentence(key)
                if kept is None:
                    raise TicketGone(
                        "This button is too old to know what it stood for.", hint="Ask again in words."
                    )
                return kept, me
            case Refresh(sentence=sentence) if sentence:
                return sentence, me
            case Refresh():
                found, what = last.sentence, "answer here to ask again"
            case Next():
                found, what = last.after, "next page to the last answer here"
            case Back():
                found, what = last.before, "page before the last answer here"
            case _:
                assert_never(intent)
        if not found:
            raise TicketGone(f"I remember no {what}.", hint="Say the whole sentence.")
        return found, last.asker

    async def _dated(self, card: Card, intent: Intent, context: Context) -> Card:
        """The card with the moment when Celonis loaded its data, where the settings name the data model."""
        model = getattr(intent, "model", None)
        known = self._parts.data_models.get(context.connection, {})
        if (
            card.source is None
            or not card.source.loaded
            or not isinstance(model, Name)
            or model.id not in known
        ):
            return card
        pool_id, data_model_id = known[model.id]
        try:
            load = await context.asking.load_info(pool_id, data_model_id)
        except (CelonisError, QuotaExhausted):
            return card  # the answer stands; only its load time stays unknown
        return replace(card, source=replace(card.source, data_loaded_at=load.loaded_at))

    async def _last_of(self, conversation: _Conversation) -> _Last | None:
        """What was last answered in a conversation, by whichever replica; without a database, by this one."""
        if self._parts.store.dialect != "sqlite":
            try:
                kept = await self._parts.store.last(conversation.key)
            except StoreUnavailable:
                log.warning("last answer not read")
            else:
                return _Last(**json.loads(kept)) if kept is not None else None
        return self._lately.get(conversation)

    async def _remember(self, intent: Intent, card: Card, visit: _Visit, *, private: bool) -> None:
        here = getattr(intent, "page", 1)
        pages = {
            getattr(button.action.intent, "page", here): say(button.action.intent)
            for button in all_buttons(card)
            if isinstance(button.action, Run) and type(button.action.intent) is type(intent)
        }
        last = _Last(
            visit.asker.person.key,
            say(intent),
            after=pages.get(here + 1, ""),
            before=pages.get(here - 1, ""),
        )
        heard = _Conversation.of(visit.request)
        if private and visit.request.private_apart:
            heard += (_Conversation.personal(visit.asker.person),)
        self._lately.update(dict.fromkeys(heard, last))
        if self._parts.store.dialect != "sqlite":  # an embedded database is shared with nobody
            keys = [each.key for each in heard]
            try:
                await self._parts.store.keep_last(
                    keys, json.dumps(asdict(last)), timedelta(seconds=REMEMBERED_FOR)
                )
            except StoreUnavailable:
                log.warning("last answer not shared", request=visit.request.id)

    async def _open_question(self, visit: _Visit) -> str | None:
        """The sentence of this person's newest open question here: words never confirm, so it is asked anew."""
        mine = [
            each
            for each in await self._parts.tickets.open_in(visit.request.place.key)
            if each.asker.key == visit.asker.person.key
        ]
        if not mine:
            return None
        newest = mine[-1]
        if await self._parts.tickets.dismiss(newest.id, visit.asker.person):
            (intent,) = self._grammar.parse(newest.sentence)
            await self._note(visit, newest, intent, decision="dismissed")
            card = Card("Nothing was done; asked again below", title=self._shown(intent, visit), lasting=True)
            await self._ended(newest, Shown(card, self._hits(newest)), visit)
        return newest.sentence

    async def _unread(self, text: str, visit: _Visit) -> Alternative | Card:
        """No command fits: perhaps it is a name, or a KPI with what belongs to one ("on-time delivery by plant")."""
        name = self._grammar.bare(text)
        if name and self._parts.policy.may(visit.asker, Right.READ).allowed:
            context = self._context(visit, visit.connection())
            options = await self._as_kpi(name, visit)
            exact = [each for each in options if each.exact]
            if len(exact) == 1 and _says_more(exact[0].intent, name):
                return exact[0]  # it says more than a name, so nothing else need be looked for
            items = await _named(context)
            same = matching(name, items)
            meant = exact or ([] if same else options)
            if same or not meant:
                near = () if same else await nearest(name, items)
                found = same or tuple(each.item for each in near if each.score >= CLOSE)[:3]
                if found:
                    return self._offered(name, found, context)
            elif len(meant) == 1:
                return meant[0]
            else:
                return self._pick(meant, visit)
        error = NotUnderstood("I do not understand that.", nearest=self._grammar.nearest(text))
        return self._failed(error, visit.request, visit)

    async def _as_kpi(self, text: str, visit: _Visit) -> list[Alternative]:
        """What a text can mean as a KPI with what belongs to one; nothing where the key may list no KPIs."""
        try:
            found = [await self._resolve(each, visit) for each in self._grammar.parse(f"kpi {text}")]
        except (Forbidden, NotFound, ApiDisabled):
            return []
        return _unique(each for resolution in found for each in resolution.alternatives)

    def _offered(self, name: str, found: Sequence[Item], context: Context) -> Card:
        said = f"“{found[0].name}”" if len(found) == 1 else f"{len(found)} things like “{name}”"
        return Card(
            headline(f"What about {said}?"),
            blocks=(Choices("Pick one:", tuple(button for item in found for button in _views(item))),),
            source=context.source(),
            audience=Only(context.person),
            status=Status.NOT_UNDERSTOOD,
        )

    async def _choose(self, readings: Sequence[Intent], visit: _Visit) -> Alternative | Card:
        """The one thing that a sentence means, or a card that asks which."""
        refusal: NotAllowed | None = None
        resolved: list[tuple[Intent, Resolution]] = []
        for reading in readings:
            command = self._by_intent[type(reading)]
            decision = self._parts.policy.may(visit.asker, right_of(command, reading))
            if not decision.allowed:
                refusal = refusal or NotAllowed(decision.sentence, hint=decision.hint, rule=decision.rule)
                continue
            try:
                resolved.append((reading, await self._resolve(reading, visit)))
            except UsageError as error:
                resolved.append((reading, Resolution((), error)))
        if not resolved:
            assert refusal is not None
            raise refusal
        options = _unique(each for _, resolution in resolved for each in resolution.alternatives)
        exact = [each for each in options if each.exact]
        guarded = any(isinstance(self._by_intent[type(each.intent)], GuardedCommand) for each in options)
        if len(exact) > 1 and not guarded:
            # values and free texts resolve as anything, so the readings that lean on them least are likelier
            least = min(unchecked(each.intent) for each in exact)
            exact = [each for each in exact if unchecked(each.intent) == least]
        if len(exact) == 1:
            return exact[0]
        if exact:
            return self._pick(exact, visit)
        reading, resolution = max(
            resolved, key=lambda pair: (len(pair[1].alternatives) > 0, _clauses(pair[0]))
        )
        if not resolution.alternatives:
            return self._correctable(
                reading, resolution.error or NotUnderstood("I do not understand that."), visit
            )
        if len(resolution.alternatives) == 1 and not guarded:
            return resolution.alternatives[0]
        return self._pick(options if guarded else list(resolution.alternatives), visit)

    async def _resolve(self, reading: Intent, visit: _Visit) -> Resolution:
        if not isinstance(reading, CelonisIntent):
            return Resolution((Alternative(reading),))
        connection = visit.connection(reading.via)
        context = self._context(visit, connection)
        placed = replace(reading, via=Name(connection, connection))
        return await context.catalog.resolve(placed, model=context.model_default)

    def _pick(self, options: Sequence[Alternative], visit: _Visit) -> Card:
        labels = label_of(options)
        buttons = tuple(Button(label, Run(each.intent)) for label, each in zip(labels, options, strict=True))
        return Card(
            "Which one do you mean?",
            blocks=(Choices("Nothing has been done yet.", buttons),),
            status=Status.NOT_UNDERSTOOD,
            audience=Only(visit.asker.person),
        )

    def _correctable(self, reading: Intent, error: UsageError, visit: _Visit) -> Card:
        """An error with buttons that say the sentence again with a name that exists."""
        card = self._failed(error, visit.request, visit)
        if isinstance(error, UnknownName) and error.nearest:
            wrong = error

            def mended(right: Name) -> Intent:
                return map_names(
                    reading,
                    lambda _, kind, name: right if kind is wrong.kind and name.text == wrong.text else name,
                )

            options = tuple(Button(each.text, Run(mended(each))) for each in error.nearest)
            card = replace(card, blocks=(*card.blocks, Choices("Did you mean:", options)))
        return card

    # --- acting ---

    async def _act(
        self, alternative: Alternative, visit: _Visit, *, fresh: bool = False
    ) -> AsyncGenerator[Says, None]:
        intent = alternative.intent
        command = self._by_intent[type(intent)]
        connection = visit.connection(intent.via) if isinstance(intent, CelonisIntent) else visit.connection()
        right = right_of(command, intent)
        match command:
            case Command():
                touched = await self._context(visit, connection).catalog.spelt(command.touches(intent))
                decision = self._allowed(visit.asker, right, touched)
                place = visit.asker.place
                private = await self._alone(touched, visit)
                public = partial(self._parts.policy.public, place, outsiders=await self._outsiders(place))
                context = replace(self._context(visit, connection, private=private), public=public)
                if self._parts.audit_reads:
                    try:
                        await self._audit(
                            visit.request,
                            intent,
                            right=right,
                            decision="read",
                            rule=decision.rule,
                            connection=connection,
                        )
                    except StoreUnavailable:
                        log.warning("audit row lost", request=visit.request.id)
                said = await command.run(intent, context.fresh() if fresh else context)
                if not isinstance(said, Shown):
                    said = Shown(said, touched)
                card = await self._dated(said.card, intent, context)
                await self._remember(intent, card, visit, private=await self._alone(said.touches, visit))
                card = replace(
                    card,
                    sentence="" if isinstance(intent, Help) else self._shown(intent, visit),
                    blocks=(*_taken(alternative), *card.blocks),
                )
                yield replace(said, card=card)
            case GuardedCommand():
                async with aclosing(self._ask(command, intent, visit, connection)) as asked:
                    async for said in asked:
                        yield said

    def _shown(self, intent: Intent, visit: _Visit) -> str:
        """The sentence as a person would say it: without ids, and without the connection where there is one."""
        plain = map_names(intent, lambda _at, _kind, name: Name(name.text or name.id))
        if isinstance(plain, CelonisIntent) and len(visit.connections) == 1:
            plain = replace(plain, via=None)
        return say(plain)

    def _allowed(self, asker: Asker, right: Right, touched: Sequence[Touch] = ()) -> Decided:
        """The decision that allows it.

        Raises:
            NotAllowed: There is none.
        """
        decision = self._parts.policy.may_all(asker, right, touched)
        if not decision.allowed:
            raise NotAllowed(decision.sentence, hint=decision.hint, rule=decision.rule)
        return decision

    async def _ask(
        self, command: GuardedCommand[Any, Any], intent: Intent, visit: _Visit, connection: str
    ) -> AsyncGenerator[Shown, None]:
        """The question of a write. Its rights are those of this moment, and judged on the names that Celonis gives now."""
        right = right_of(command, intent)
        visit = replace(visit, asker=await self._asker(visit.asker.person, visit.asker.place, anew=True))
        self._allowed(visit.asker, right)
        if self._parts.celonis[connection].connection.read_only:
            raise NotAllowed(
                f"The connection {connection} is set to read only.",
                hint="An admin of the bot can change that.",
                rule="read only",
            )
        context = self._context(visit, connection, Lane.GUARDED).fresh()
        target = await command.ask(intent, context)
        touched = target.touches if isinstance(target, Shown) else command.hits(target)
        decision = self._allowed(visit.asker, right, touched)
        intent = _called(intent, touched)
        if isinstance(target, Shown):
            yield replace(target, card=replace(target.card, sentence=self._shown(intent, visit)))
            return
        ticket = await self._parts.tickets.open(
            command=command.intent.words,
            sentence=say(intent),
            target=target,
            connection=connection,
            asker=_signed(visit.asker),
            place=visit.request.place,
            expires_in=self._parts.open_for,
        )
        await self._audit(
            visit.request,
            intent,
            right=right,
            decision="asked",
            rule=decision.rule,
            ticket=ticket.id,
            connection=connection,
        )

        def question(reader: Reader) -> Card:
            return self._question(command.question(target, replace(context, reader=reader)), ticket, reader)

        private = await self._alone(touched, visit)
        if private:
            # Where others must not see what it is about, the place sees that there is a question; who asked sees all.
            yield Shown(self._bare_question(command, ticket, visit), NOTHING)
            await self._ask_elsewhere(decision.questions, ticket, touched, question)
        yield Shown(question(self._reader(visit, private=private)[0]), touched)

    async def _ask_elsewhere(
        self, key: str, ticket: Ticket, touched: Sequence[Touch], question: Callable[[Reader], Card]
    ) -> None:
        """Put a question where the rule that allows it wants such questions, if that place may see it."""
        platform, _, rest = key.partition(":")
        home, _, name = rest.partition(":")
        place = Place(platform, home, name, Visibility.CHANNEL)
        chat = self._parts.chats.get(platform)
        if chat is None or isinstance(await self._audience(touched, place, ticket.asker), Only):
            return
        reader = await self._reader_in(place)
        card = await self._sealed(self._marked(question(reader), reader))
        try:
            await self.attach(ticket.id, await chat.post(place, replace(card, audience=Everyone())))
        except BotError as error:
            log.warning("question not posted", ticket=ticket.id, place=key, error=error.sentence)

    async def _show_question(self, ticket_id: str, visit: _Visit) -> Shown:
        """A question in full, for somebody who may answer it.

        Raises:
            NotAllowed, TicketGone: They may not, or there is none.
        """
        visit = replace(visit, asker=await self._asker(visit.asker.person, visit.asker.place, anew=True))
        ticket, command, intent = await self._ticket(ticket_id, visit)
        await self._judge(command, intent, ticket, visit)
        target = _target(command, ticket)
        if ticket.state is State.OPEN and ticket.expires_at <= self._parts.clock.now():
            ticket = replace(ticket, state=State.EXPIRED)
        if ticket.state is not State.OPEN:
            return Shown(replace(self._past(ticket, intent, visit), aside=True), command.hits(target))
        private = await self._alone(command.hits(target), visit)
        context = self._context(visit, ticket.connection, Lane.GUARDED, private=private)
        card = self._question(command.question(target, context), ticket, context.reader)
        assert card.source is not None
        # It is shown as it was read when it was asked.
        source = replace(card.source, fetched_at=ticket.created_at)
        return Shown(replace(card, source=source, aside=True), command.hits(target))

    def _bare_question(self, command: GuardedCommand[Any, Any], ticket: Ticket, visit: _Visit) -> Card:
        reader, _ = self._reader(visit, private=False)
        until = when(ticket.expires_at, reader)
        return Card(
            headline(f"{_called_person(ticket.asker)} asks to {command.plainly}"),
            blocks=(
                Text(f"Open until {until}. What it is about is shown to those who may do it.", quiet=True),
            ),
            buttons=(Button("Show me the question", Run(ShowQuestion(ticket.id))),),
            status=Status.QUESTION,
            lasting=True,
            ticket=ticket.id,
        )

    def _question(self, question: Question, ticket: Ticket, reader: Reader) -> Card:
        until, asker = when(ticket.expires_at, reader), _called_person(ticket.asker)
        return replace(
            question.card,
            headline=headline(f"{question.card.headline} · asked by {asker}"),
            blocks=(
                *question.card.blocks,
                Text(
                    f"Asked by {asker}. Open until {until}. Only a button answers this; nothing has been done yet.",
                    quiet=True,
                ),
            ),
            buttons=(
                Button(question.yes, Confirm(ticket.id), Tone.DANGER),
                Button(question.no, Dismiss(ticket.id)),
            ),
            status=Status.QUESTION,
            lasting=True,
            ticket=ticket.id,
        )

    # --- clicks on questions ---

    async def _ticket(self, ticket_id: str, visit: _Visit) -> tuple[Ticket, GuardedCommand[Any, Any], Intent]:
        """The question behind a button, if it belongs to this place.

        Raises:
            TicketGone: It does not, or never did.
        """
        ticket = await self._parts.tickets.load(ticket_id)
        if (
            ticket is None
            or visit.request.place.key not in _places(ticket)
            or ticket.connection not in self._parts.policy.connections(visit.request.place)
        ):
            raise TicketGone(
                "I do not know this question (any more), so nothing was done.", hint="Ask again."
            )
        command = self._by_words.get(ticket.command)
        readings = self._grammar.parse(ticket.sentence)
        if not isinstance(command, GuardedCommand) or len(readings) != 1:
            raise TicketGone("This question is from an older version of the bot.", hint="Ask again.")
        return ticket, command, readings[0]

    async def _confirm(self, ticket_id: str, visit: _Visit) -> AsyncGenerator[Shown, None]:
        ticket, command, intent = await self._ticket(ticket_id, visit)
        await self._judge(command, intent, ticket, visit)
        claim = await self._parts.tickets.claim(ticket_id, _signed(visit.asker))
        if not isinstance(claim, Claimed):
            async with aclosing(self._late(claim.ticket or ticket, command, intent, visit)) as cards:
                async for card in cards:
                    yield card
            return
        ticket = claim.ticket
        await self._note(visit, ticket, intent, decision="confirmed")
        async with self._keeping(ticket) as lost:
            looking = Card(
                headline(f"Looking once more before: {self._shown(intent, visit)}"),
                status=Status.WORKING,
                lasting=True,
            )
            yield Shown(looking, self._hits(ticket))
            async with aclosing(self._carry_out(claim, command, intent, visit, lost)) as cards:
                async for card in cards:
                    yield card

    async def _judge(
        self, command: GuardedCommand[Any, Any], intent: Intent, ticket: Ticket, visit: _Visit
    ) -> None:
        """Ask the policy again, about the person who clicked.

        Raises:
            NotAllowed: It says no; the question stays open.
        """
        hit = command.hits(_target(command, ticket))
        decision = self._parts.policy.may_all(visit.asker, right_of(command, intent), hit)
        if not decision.allowed:
            refused = self._refusals.setdefault(ticket.id, {})
            refused[visit.asker.person] = refused.get(visit.asker.person, 0) + 1
            if refused[visit.asker.person] == 1:
                await self._note(visit, ticket, intent, decision="refused", rule=decision.rule)
            raise NotAllowed(
                decision.sentence, hint=f"The question stays open for those who may. {decision.hint}".strip()
            )
        if self._parts.celonis[ticket.connection].connection.read_only:
            raise NotAllowed(f"The connection {ticket.connection} is set to read only.", rule="read only")

    async def _carry_out(
        self,
        claim: Claimed,
        command: GuardedCommand[Any, Any],
        intent: Intent,
        visit: _Visit,
        lost: asyncio.Event,
    ) -> AsyncGenerator[Shown, None]:
        """The steps behind the gate, in the only order there is: look, note, send once, look until it is known."""
        tickets, ticket = self._parts.tickets, claim.ticket
        context = self._context(visit, ticket.connection, Lane.GUARDED).fresh()
        try:
            approval = tickets.approve(claim, command.target)
            checked = await command.check(approval.target, context)
            await self._judge_names(command, intent, checked.target, ticket, visit)
            over = checked.over
            if over is None:
                await self._announce(ticket, intent, visit)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing was sent, and the card has to say so
            yield await self._undone(error, ticket, intent, visit, Outcome.NOTHING_SENT)
            return
        if over is not None:
            assert over.outcome is not None
            last = Shown(self._last(over.card, ticket, visit), command.hits(checked.target))
            await self._finish(ticket, intent, visit, over.outcome, last)
            yield last
            return
        taken = False
        try:
            await command.send(approval, context)
            taken = True
        except Exception as error:  # a call may have been sent: what became of it is looked up
            outcome = _without_effect(error)
            if outcome is not None:
                yield await self._undone(error, ticket, intent, visit, outcome)
                return
            log.warning(
                "write without an answer",
                request=visit.request.id,
                ticket=ticket.id,
                exc_info=not isinstance(error, OutcomeUnknown),
            )
        steps = self._watch(ticket, command, intent, visit, lost, target=checked.target, taken=taken)
        async with aclosing(steps) as cards:
            async for card in cards:
                yield card

    async def _judge_names(
        self, command: GuardedCommand[Any, Any], intent: Intent, target: object, ticket: Ticket, visit: _Visit
    ) -> None:
        """Ask the policy about the names that the target has now, whatever it was called when it was asked about.

        Raises:
            NotAllowed: No rule allows it under those names.
        """
        decision = self._parts.policy.may_all(visit.asker, right_of(command, intent), command.hits(target))
        if not decision.allowed:
            await self._note(visit, ticket, intent, decision="refused", rule=decision.rule)
            raise NotAllowed(
                "What the question was about is called something else by now, and you may not do that to it "
                "under its new name.",
                hint=decision.hint,
            )

    async def _announce(self, ticket: Ticket, intent: Intent, visit: _Visit) -> None:
        """Write down that the call is about to go out, the audit row first: what is not in the log is not sent.

        Raises:
            TicketGone, StoreUnavailable: It must not be sent.
        """
        await self._note(visit, ticket, intent, decision="sending")
        if not await self._parts.tickets.sending(ticket):
            await self._note(visit, ticket, intent, decision="failed", outcome=Outcome.NOTHING_SENT.value)
            raise TicketGone(
                "This took so long that the question was given up meanwhile.",
                hint="Ask again.",
                undone="Nothing was sent.",
            )

    async def _undone(
        self, error: Exception, ticket: Ticket, intent: Intent, visit: _Visit, outcome: Outcome
    ) -> Shown:
        """The last card of a write that never took effect."""
        if not isinstance(error, BotError):
            log.error("unexpected", request=visit.request.id, exc_info=error)
            error = _Unexpected(visit.request.id, undone="Nothing was sent.")
        reader, _ = self._reader(visit, private=await self._alone(self._hits(ticket), visit))
        card = explain(error, reader, visit.request.id)
        sentence = error_text(error, reader)[0]
        blocks = card.blocks if card.headline != sentence else (Text(sentence), *card.blocks)
        card = replace(
            card,
            headline=headline(f"Nothing was done: {sentence}"),
            title=self._shown(intent, visit),
            blocks=blocks,
            buttons=(Button("Ask again", Run(intent)),),
        )
        last = Shown(self._last(card, ticket, visit), self._hits(ticket))
        # Who clicks later reads the note on another day.
        note, _ = error_text(error, replace(reader, today=None))
        await self._finish(ticket, intent, visit, outcome, last, note=note)
        return last

    async def _watch(
        self,
        ticket: Ticket,
        command: GuardedCommand[Any, Any],
        intent: Intent,
        visit: _Visit,
        lost: asyncio.Event,
        *,
        target: object = None,
        taken: bool = False,
    ) -> AsyncGenerator[Shown, None]:
        """Look until the outcome is known; also after a crash, since looking changes nothing."""
        target = target or _target(command, ticket)
        private = await self._alone(command.hits(target), visit)
        context = self._context(visit, ticket.connection, Lane.GUARDED, private=private).fresh()
        hit, by = command.hits(target), _called_person(ticket.claimed_by or visit.asker.person)
        async with aclosing(command.follow(target, context, taken=taken, by=by)) as steps:
            async for step in steps:
                if lost.is_set():
                    break
                if step.outcome is None:
                    yield Shown(replace(step.card, lasting=True), hit)
                    continue
                last = Shown(self._last(step.card, ticket, visit), hit)
                if await self._finish(ticket, intent, visit, step.outcome, last):
                    yield last
                    return
        # Another copy of the program has it, and tells the end in the message; here it is only said beside.
        yield Shown(self._past(await self._parts.tickets.load(ticket.id) or ticket, intent, visit), hit)

    async def _late(
        self, ticket: Ticket, command: GuardedCommand[Any, Any], intent: Intent, visit: _Visit
    ) -> AsyncGenerator[Shown, None]:
        """A click on a question that is no longer open: what became of it, looked up where a crash cut it off."""
        if ticket.state is State.EXPIRED:
            await self._note(visit, ticket, intent, decision="expired")
            await self._ended(ticket, Shown(self._past(ticket, intent, visit), self._hits(ticket)), visit)
        left: tuple[Ticket, ...] = ()
        if ticket.state in {State.CLAIMED, State.SENDING}:
            left = await self._parts.tickets.abandoned(ticket.id)
        for each in left:
            if each.state is State.SENDING:
                async with (
                    self._keeping(each) as lost,
                    aclosing(self._watch(each, command, intent, visit, lost)) as cards,
                ):
                    async for card in cards:
                        yield card
                return
            await self._note_abandoned(each, intent, visit)
            ticket = each
            await self._ended(ticket, Shown(self._past(ticket, intent, visit), self._hits(ticket)), visit)
        yield Shown(self._past(ticket, intent, visit), self._hits(ticket))

    def _past(self, ticket: Ticket, intent: Intent, visit: _Visit) -> Card:
        """What became of a question that is no longer open."""
        title, buttons = self._shown(intent, visit), (Button("Ask again", Run(intent)),)
        beside = Card("…", title=title, buttons=buttons, status=Status.REFUSED, aside=True)
        instead = replace(beside, lasting=True, aside=False)
        match ticket.state:
            case State.EXPIRED:
                return replace(instead, headline="The question has expired; nothing was done")
            case State.ABANDONED:
                return replace(
                    instead,
                    headline="Interrupted before anything was sent; nothing was done",
                    status=Status.FAILED,
                )
            case State.DISMISSED:
                return replace(beside, headline="Already answered with no; nothing was done")
            case State.CLAIMED | State.SENDING:
                who = _called_person(ticket.claimed_by) if ticket.claimed_by else "Somebody"
                return replace(
                    beside, headline=headline(f"{who} has answered this; it is being done"), buttons=()
                )
            case State.DONE:
                outcome = ticket.outcome or Outcome.UNKNOWN
                return replace(
                    beside,
                    headline=headline(f"Already answered. {ticket.outcome_note or outcome.value}")
                    if outcome in _NOT_DONE
                    else f"Already done once, not again: {outcome.value}",
                )
            case State.OPEN:
                raise TicketGone(
                    "Somebody else answered at the same moment.", hint="Look at the message again."
                )

    async def recover(self) -> int:
        """Bring questions that a crash left half done to a true end, and end those that have run out in their messages.

        What was claimed only was not sent. What was being sent is looked up, never sent again.

        Returns:
            How many a crash had left.
        """
        left = await self._parts.tickets.abandoned()
        try:
            expired = await self._parts.tickets.expire_due()
        except StoreUnavailable:
            expired = ()
        await asyncio.gather(*(self._recover(each) for each in (*left, *expired)))
        return len(left)

    async def _recover(self, ticket: Ticket) -> None:
        """Bring one question to its end; whatever goes wrong with it does not hold up the others."""
        try:
            async with aclosing(self._recovery(ticket)) as told:
                async for _ in told:
                    pass
        except BotError as error:
            log.warning("question not recovered", ticket=ticket.id, error=error.sentence)
        except Exception:
            log.exception("question not recovered", ticket=ticket.id)

    async def _recovery(self, ticket: Ticket) -> AsyncGenerator[Shown, None]:
        """What is told of a question that somebody else left: the messages that show it are changed on the way."""
        command = self._by_words.get(ticket.command)
        readings = self._grammar.parse(ticket.sentence) if ticket.sentence else ()
        person = ticket.claimed_by or ticket.asker
        chat = self._parts.chats.get(person.platform)
        if (
            not isinstance(command, GuardedCommand)
            or not readings
            or chat is None
            or ticket.connection not in self._parts.celonis
        ):
            log.error(
                "a question that this version, these settings and these secret keys do not know",
                ticket=ticket.id,
            )
            if ticket.state is State.SENDING:
                await self._parts.tickets.finish(ticket.id, Outcome.UNKNOWN, "not known to this version")
                card = Card(
                    "UNKNOWN: what became of this. Look in Celonis", status=Status.FAILED, lasting=True
                )
                await self._tell(ticket, Shown(card, NOTHING), self._own_reader())
            return
        request = Request(
            id=self._parts.ids(),
            said=Clicked(confirm=ticket.id),
            person=person,
            place=ticket.place,
            at=self._parts.clock.now(),
        )
        asker = await self._asker(person, ticket.place)
        defaults = await self._parts.store.defaults(ticket.place.key)
        visit = _Visit(request, asker, (ticket.connection,), defaults)
        match ticket.state:
            case State.SENDING:
                async with (
                    self._keeping(ticket) as lost,
                    aclosing(self._watch(ticket, command, readings[0], visit, lost)) as cards,
                ):
                    async for said in cards:
                        if said.card.status is Status.WORKING:
                            await self._tell(ticket, said, await self._reader_of(said, visit))
                        yield said
                return
            case State.ABANDONED:
                await self._note_abandoned(ticket, readings[0], visit)
            case State.EXPIRED:
                await self._note(visit, ticket, readings[0], decision="expired")
            case _:
                return
        past = Shown(self._past(ticket, readings[0], visit), command.hits(_target(command, ticket)))
        await self._ended(ticket, past, visit)
        yield past

    async def _note_abandoned(self, ticket: Ticket, intent: Intent, visit: _Visit) -> None:
        await self._note(visit, ticket, intent, decision="abandoned", outcome=Outcome.NOTHING_SENT.value)

    def _hits(self, ticket: Ticket) -> tuple[Touch, ...]:
        """What a question is about, as the policy names it."""
        command = self._by_words[ticket.command]
        assert isinstance(command, GuardedCommand)
        return command.hits(_target(command, ticket))

    async def _ended(self, ticket: Ticket, last: Shown, visit: _Visit, *, shown: bool = False) -> None:
        """What is due when a question has come to its end: every message that shows it gets the end it may show.

        Args:
            ticket: The question.
            last: Its end in full.
            visit: Whose request ended it.
            shown: Whether that request's own answer changes the message that was clicked.
        """
        place, person = visit.request.place, visit.asker.person
        clicked = visit.request.message
        if not shown or isinstance(await self._audience(last.touches, place, person), Only):
            clicked = None
        try:
            ticket = await self._parts.tickets.load(ticket.id) or ticket
        except StoreUnavailable:
            log.warning("messages of a question not read", ticket=ticket.id)
        await self._close_refusals(ticket, visit)
        await self._tell(ticket, last, await self._reader_of(last, visit), but=clicked)

    async def _close_refusals(self, ticket: Ticket, visit: _Visit) -> None:
        """One row for all refusals of a person after their first, so that nobody fills the log with clicks."""
        for person, count in self._refusals.pop(ticket.id, {}).items():
            if count == 1:
                continue
            (intent,) = self._grammar.parse(ticket.sentence)
            closing = replace(visit, request=replace(visit.request, person=person))
            try:
                await self._note(
                    closing, ticket, intent, decision="refused", outcome=f"refused {count - 1} more times"
                )
            except StoreUnavailable:
                log.warning("audit row lost", request=visit.request.id, ticket=ticket.id)

    async def _reader_of(self, said: Shown, visit: _Visit) -> Reader:
        """For whom a card is written that answers a visit."""
        return self._reader(visit, private=await self._alone(said.touches, visit))[0]

    async def _tell(
        self, ticket: Ticket, said: Shown, reader: Reader, *, but: MessageRef | None = None
    ) -> None:
        """Change the messages of a question, each into what its readers may see; all but one that shows it already.

        Args:
            ticket: The question.
            said: What to show.
            reader: For whom it was written; a copy of it elsewhere keeps that zone, which stands at every time.
            but: The message that shows it already.
        """
        rest = [each for each in ticket.messages if but is None or each.handle != but.handle]
        private = await self._private_places(ticket) if rest else {}
        for ref in rest:
            of, alone = reader, private.get(ref.place.key)
            personal = ref.place.visibility is Visibility.PERSONAL
            whole = alone is not None or (
                not personal
                and isinstance(await self._audience(said.touches, ref.place, ticket.asker), Everyone)
            )
            if whole:
                nudge = said.card.nudge
                card = replace(said.card, nudge=Nudge(alone, nudge.text) if nudge and alone else nudge)
            elif said.card.status is Status.WORKING:
                continue
            else:
                of = await self._reader_in(ref.place)
                card = self._bare_end(ticket, of)
            card = await self._sealed(self._marked(replace(card, audience=Everyone(), aside=False), of))
            try:
                await self._parts.chats[ref.place.platform].update(ref, card)
            except BotError as error:
                log.warning("outcome not delivered", ticket=ticket.id, error=error.sentence)

    async def _private_places(self, ticket: Ticket) -> dict[str, Person]:
        """Where who asked and who answered are alone with the bot."""
        found: dict[str, Person] = {}
        for person in (ticket.claimed_by, ticket.asker):
            chat = self._parts.chats.get(person.platform) if person else None
            if person is None or chat is None:
                continue
            try:
                direct = await chat.direct(person)
            except BotError:
                continue
            if direct is not None:
                found[direct.key] = person
        if ticket.place.visibility is Visibility.PERSONAL:
            found[ticket.place.key] = ticket.asker
        return found

    def _bare_end(self, ticket: Ticket, reader: Reader) -> Card:
        """How a question ended, for a place that must not know what it was about."""
        command = self._by_words.get(ticket.command)
        what = command.plainly if isinstance(command, GuardedCommand) else "do something"
        match ticket.outcome:
            case Outcome.STOPPED | Outcome.STARTED:
                verdict = "Carried out"
            case Outcome.UNKNOWN | Outcome.STILL_RUNNING | Outcome.ANOTHER_RUN | Outcome.FAILED:
                verdict = "Not known to be carried out"
            case _:
                verdict = "Came to nothing"
        at = when(ticket.finished_at or self._parts.clock.now(), reader)
        by = f", by {_called_person(ticket.claimed_by)}" if ticket.claimed_by else ""
        return Card(
            headline(f"{verdict}, {at}{by}"),
            blocks=(Text(f"{_called_person(ticket.asker)} asked to {what}.", quiet=True),),
            lasting=True,
        )

    async def _dismiss(self, ticket_id: str, visit: _Visit) -> AsyncGenerator[Shown, None]:
        ticket, command, intent = await self._ticket(ticket_id, visit)
        if ticket.asker.key != visit.asker.person.key:
            await self._judge(command, intent, ticket, visit)
        if await self._parts.tickets.dismiss(ticket_id, _signed(visit.asker)):
            await self._note(visit, ticket, intent, decision="dismissed")
            card = Card(
                headline("Nothing was done"),
                title=self._shown(intent, visit),
                blocks=(Text(f"{_called_person(_signed(visit.asker))} said no."),),
                buttons=(Button("Ask again", Run(intent)),),
                lasting=True,
            )
            last = Shown(card, self._hits(ticket))
            await self._ended(ticket, last, visit, shown=True)
            yield last
            return
        current = await self._parts.tickets.load(ticket_id)
        async with aclosing(self._late(current or ticket, command, intent, visit)) as late:
            async for said in late:
                yield said

    @asynccontextmanager
    async def _keeping(self, ticket: Ticket) -> AsyncGenerator[asyncio.Event, None]:
        """Renew a ticket's lease while the work goes on; the event tells that somebody else has taken it over."""
        lost = asyncio.Event()

        async def keep() -> None:
            while not lost.is_set():
                await self._parts.clock.sleep(KEEP_EVERY)
                try:
                    if not await self._parts.tickets.keep(ticket):
                        lost.set()
                except StoreUnavailable:
                    log.warning("lease not renewed", ticket=ticket.id)

        keeper = asyncio.create_task(keep())
        try:
            yield lost
        finally:
            keeper.cancel()

    async def _finish(
        self, ticket: Ticket, intent: Intent, visit: _Visit, outcome: Outcome, last: Shown, *, note: str = ""
    ) -> bool:
        """Write down how a write ended, and show it in every message of its question but the one that is answered.

        A database that fails now hides nothing: the end is shown and logged.

        Returns:
            False: somebody else has said before how it ended.
        """
        try:
            if not await self._parts.tickets.finish(ticket.id, outcome, note or last.card.headline):
                return False
            await self._note(visit, ticket, intent, decision="done", outcome=outcome.value)
        except StoreUnavailable:
            log.exception(
                "outcome not kept", request=visit.request.id, ticket=ticket.id, outcome=outcome.value
            )
        await self._ended(ticket, last, visit, shown=True)
        return True

    def _last(self, card: Card, ticket: Ticket, visit: _Visit) -> Card:
        by = ticket.claimed_by or visit.asker.person
        who = f"Asked by {_called_person(ticket.asker)}, answered by {_called_person(by)}."
        return replace(
            card,
            blocks=(*card.blocks, Text(who, quiet=True)),
            lasting=True,
            nudge=Nudge(by, card.headline),
            aside=False,
        )

    # --- the log ---

    async def _note(
        self,
        visit: _Visit,
        ticket: Ticket,
        intent: Intent,
        *,
        decision: Decision,
        rule: str = "",
        outcome: str = "",
    ) -> None:
        command = self._by_intent[type(intent)]
        await self._audit(
            visit.request,
            intent,
            right=right_of(command, intent),
            decision=decision,
            rule=rule,
            ticket=ticket.id,
            outcome=outcome,
            connection=ticket.connection,
        )

    async def _audit(
        self,
        request: Request,
        intent: Intent | None,
        *,
        right: Right | None = None,
        decision: Decision,
        rule: str = "",
        ticket: str = "",
        outcome: str = "",
        connection: str = "",
    ) -> None:
        await self._parts.audit.write(
            Entry(
                request=request.id,
                person=request.person.key,
                place=_where(request.place),
                connection=connection,
                right=right.value if right else "",
                sentence=mask(intent) if intent is not None else "",
                resources=_resources(self._by_intent[type(intent)].touches(intent))
                if intent is not None
                else (),
                decision=decision,
                rule=rule,
                ticket=ticket,
                outcome=outcome,
            )
        )

    # --- finishing touches ---

    async def _finished(self, said: Says, visit: _Visit) -> Card:
        """Who sees it, zone and locale of the reader, and what the request cost so far; sentences too long for a
        button are kept under a short id.
        """
        person = visit.asker.person
        match said:
            case Shown(card, touched):
                card = replace(card, audience=await self._audience(touched, visit.request.place, person))
            case Card() as card:
                card = replace(card, audience=Only(person))
        reader, _ = self._reader(visit, private=isinstance(card.audience, Only))
        return await self._sealed(self._costed(self._marked(card, reader), visit))

    def _costed(self, card: Card, visit: _Visit) -> Card:
        if card.source is None:
            return card
        celonis, usage = self._parts.celonis[card.source.connection], visit.usage(card.source.connection)
        cost = tuple(
            Cost(family.value, usage.calls[family], celonis.left(family))
            for family in Family
            if usage.calls[family]
        )
        return replace(card, source=replace(card.source, cost=cost, unread=sum(usage.unread.values())))

    def _marked(self, card: Card, reader: Reader) -> Card:
        sandbox = any(each.connection.sandbox for each in self._parts.celonis.values())
        return replace(card, reader=reader, sandbox=sandbox)

    async def _sealed(self, card: Card) -> Card:
        async def seal(buttons: Sequence[Button]) -> tuple[Button, ...]:
            in_menu = len(buttons) > MENU_FROM
            kept = [await self._short(each, in_menu=in_menu) for each in buttons]
            return tuple([each for each in kept if each is not None])

        blocks: list[Block] = []
        for block in card.blocks:
            match block:
                case Choices(prompt, options):
                    blocks.append(Choices(prompt, await seal(options)))
                case Table(more=Button() as more):
                    blocks.append(replace(block, more=await self._short(more, in_menu=False)))
                case _:
                    blocks.append(block)
        return replace(card, blocks=tuple(blocks), buttons=await seal(card.buttons))

    async def _short(self, button: Button, *, in_menu: bool) -> Button | None:
        """The button with a sentence that fits; None where another one cannot be kept, since the card must not wait."""
        if not isinstance(button.action, Run):
            return button
        sentence = say(button.action.intent)
        if carried_everywhere(sentence, in_menu=in_menu):
            return button
        try:
            return replace(button, action=Run(Recall(await self._parts.store.keep_sentence(sentence))))
        except StoreUnavailable:
            return None


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request with what is known of its person and place."""

    request: Request
    asker: Asker
    connections: tuple[str, ...]
    defaults: Defaults
    catalogs: dict[str, Catalog] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)

    def usage(self, connection: str) -> Usage:
        """What this request has used of a connection."""
        return self.usages.setdefault(connection, Usage())

    @property
    def personal(self) -> bool:
        """Whether nobody else reads along."""
        return self.request.place.visibility is Visibility.PERSONAL

    def connection(self, via: Name | None = None) -> str:
        """The connection that is meant.

        Raises:
            UnknownName: None of that name is bound to this place.
        """
        if via is None:
            chosen = self.defaults.connection
            return chosen.value if chosen and chosen.value in self.connections else self.connections[0]
        found = next((each for each in self.connections if fold(each) == fold(via.id or via.text)), None)
        if found is None:
            raise UnknownName(
                Kind.CONNECTION, via.text or via.id, nearest=[Name(each) for each in self.connections]
            )
        return found

    @property
    def model(self) -> Name | None:
        return Name(self.defaults.model.value, self.defaults.model.id) if self.defaults.model else None


class _Unexpected(BotError):
    who = Who.BOT_ADMIN

    def __init__(self, reference: str, *, undone: str = "I do not know how far it got.") -> None:
        super().__init__(
            "Something went wrong that I did not expect.",
            hint=f"Tell an admin of the bot this reference: {reference}",
            undone=undone,
        )


def _not_yours(rule: str = "") -> NotAllowed:
    return NotAllowed(
        "There is nothing here that you can go on with.", hint="Say the whole sentence.", rule=rule
    )


_NOT_DONE = frozenset({Outcome.NOTHING_SENT, Outcome.ALREADY_OVER, Outcome.REFUSED})


def _without_effect(error: Exception) -> Outcome | None:
    """How a failed call ended, where it is certain that it changed nothing; else None."""
    match error:
        case OutcomeUnknown():
            return None
        case CelonisError(status=int(status)) if (
            HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return Outcome.REFUSED
        case CelonisError() | QuotaExhausted() | UsageError() | ApprovalSpent():
            return Outcome.NOTHING_SENT
        case _:
            return None


def explain(error: BotError, reader: Reader, reference: str = "") -> Card:
    """An error as a card: the sentence, what did not happen, the next step, and who can take it."""
    sentence, hint = error_text(error, reader)
    blocks: list[Block] = []
    if error.undone:
        blocks.append(Text(error.undone))
    if hint:
        blocks.append(Notice(Tone.WARNING, hint))
    match error:
        case NotUnderstood(nearest=nearest) if nearest:
            blocks.append(Text(f"Close to it: {', '.join(nearest)}"))
            status = Status.NOT_UNDERSTOOD
        case NotAllowed():
            status = Status.REFUSED
        case UsageError():
            status = Status.NOT_UNDERSTOOD if not isinstance(error, TicketGone) else Status.REFUSED
        case CelonisError(support_id=support_id) if support_id:
            blocks.append(Text(f"Celonis support id: {support_id}"))
            status = Status.FAILED
        case _:
            status = Status.FAILED
    match error.who:
        case Who.BOT_ADMIN:
            blocks.append(Text("An admin of this bot can mend it.", quiet=True))
        case Who.CELONIS_ADMIN:
            blocks.append(Text("A Celonis admin can mend it.", quiet=True))
        case Who.ASKER | Who.TIME:
            pass
    long = len(sentence) > len(headline(sentence))
    return Card(
        headline(sentence),
        blocks=((Text(sentence), *blocks) if long else tuple(blocks)),
        status=status,
        reference=reference if status is Status.FAILED else "",
    )


def _resources(touched: Sequence[Touch]) -> tuple[str, ...]:
    """What was touched, as the log names it: `job:0bae5839-…`."""
    named = (
        (each.name, name)
        for touch in touched
        for each in fields(touch)
        if isinstance(name := getattr(touch, each.name), Name)
    )
    return tuple(sorted({f"{kind}:{name.id or name.text}" for kind, name in named}))


def _target(command: GuardedCommand[Any, Any], ticket: Ticket) -> Any:
    """What a ticket is about.

    Raises:
        TicketGone: It was asked by another version of the program.
    """
    try:
        return TypeAdapter(command.target).validate_json(ticket.target_json)
    except ValidationError:
        raise TicketGone("This question is from an older version of the bot.", hint="Ask again.") from None


def _called(intent: Intent, touched: Sequence[Touch]) -> Intent:
    """The intent with the names that its things have now."""
    now = {
        name.id: name
        for touch in touched
        for each in fields(touch)
        if isinstance(name := getattr(touch, each.name), Name) and name.id
    }
    return map_names(intent, lambda _at, _kind, name: now.get(name.id, name))


def _where(place: Place) -> str:
    """A place as the log names it: the id of a personal chat is as good as the person's, whose name can be taken off."""
    personal = place.visibility is Visibility.PERSONAL
    return f"{place.platform}:{place.home}:personal" if personal else place.key


def _signed(asker: Asker) -> Person:
    """The person under the name that they have on the platform."""
    return replace(asker.person, name=asker.profile.name or asker.person.name)


def _called_person(person: Person) -> str:
    """What people call somebody."""
    return person.name or person.id


def _places(ticket: Ticket) -> set[str]:
    """Where a question can be answered: where it was asked, and wherever it stands."""
    return {ticket.place.key} | {each.place.key for each in ticket.messages}


def _clauses(intent: Intent) -> int:
    return sum(getattr(intent, each.name) != each.default for each in fields(intent))


def _says_more(intent: Intent, name: str) -> bool:
    """Whether a text says more than the name of a KPI."""
    return isinstance(intent, ShowKpi) and all(len(fold(each.text)) < len(fold(name)) for each in intent.kpis)


def _unique(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """One for each thing that is meant; where two readings lead to it, the exact one counts."""
    found: dict[str, Alternative] = {}
    for each in sorted(alternatives, key=lambda each: not each.exact):
        found.setdefault(say(each.intent), each)
    return list(found.values())


def _taken(alternative: Alternative) -> tuple[Block, ...]:
    """Say it where a misspelt name was taken for one that exists."""
    return tuple(Text(f"I took “{said}” for “{name}”.", quiet=True) for said, name in alternative.taken)


async def _named(context: Context) -> list[Seen]:
    """Things that a bare name can mean. What the key may not list is not among them."""
    found: list[Seen] = []

    async def look(kind: Kind, *within: Name) -> Iterable[Item]:
        try:
            seen = await context.catalog.listed(kind, *within)
        except (Forbidden, NotFound, ApiDisabled):
            return ()
        found.append(seen)
        return seen

    await look(Kind.MODEL)
    for pool in await look(Kind.POOL):
        await look(Kind.JOB, pool.as_name)
    if context.model_default is not None:
        await look(Kind.KPI, context.model_default)
        await look(Kind.RECORD, context.model_default)
    return found


def _views(item: Item) -> tuple[Button, ...]:
    within = dict(item.within)
    match item.kind:
        case Kind.MODEL:
            return (Button(f"Knowledge model {item.name}", Run(ShowModel(model=item.as_name))),)
        case Kind.POOL:
            return (Button(f"Jobs of {item.name}", Run(Jobs(pool=item.as_name))),)
        case Kind.JOB:
            return (Button(f"Job {item.label}", Run(ShowJob(job=item.as_name, pool=within.get(Kind.POOL)))),)
        case Kind.KPI:
            return (
                Button(f"KPI {item.name}", Run(ShowKpi(kpis=(item.as_name,), model=within.get(Kind.MODEL)))),
            )
        case Kind.RECORD:
            model = within.get(Kind.MODEL)
            return (
                Button(f"Rows of {item.name}", Run(Data(record=item.as_name, model=model))),
                Button(f"Fields of {item.name}", Run(Fields(record=item.as_name, model=model))),
            )
        case _:
            return ()
