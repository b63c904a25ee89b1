"""One request with what is known of its person and place, and the way to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import structlog

from bot.admin_place import AdminPlace
from bot.audience import PlaceAudience, Shown
from bot.audit import Audit
from bot.audit_entries import Decision as Step
from bot.audit_entries import Entry
from bot.celonis import Celonis, Family, Usage
from bot.config import KpiKind, Watching
from bot.language.declare import CelonisIntent, map_names
from bot.language.say import say
from bot.masking import Recorded
from bot.model.cards import Answer, Card, Cost, Only, Reader
from bot.model.chat import Chat
from bot.model.clock import Clock
from bot.model.errors import NotAllowed, StoreUnavailable, UnknownName
from bot.model.intents import Intent
from bot.model.kept import Kept
from bot.model.names import Kind, Name, fold
from bot.model.people import Clicked, Person, Place, Profile, Request, Visibility
from bot.policy import Asker, Decision, Policy, Right, Touch
from bot.render.values import dated
from bot.store import Defaults, Store

log = structlog.get_logger()

ASKERS = 5_000
"""People in places who are remembered."""
PROFILE_WITHIN = 2.0
"""Seconds in which the platform has to say who somebody is, before anything that changes Celonis."""

Show: TypeAlias = Callable[[Answer], Awaitable[None]]
"""Shows an answer, in place of the one before it. Never raises for what the platform does with it."""


def entry(
    request: Request,
    decision: Step,
    recorded: Recorded = Recorded(),  # noqa: B008 - frozen
    *,
    right: Right | None = None,
    rule: str = "",
    ticket: str = "",
    outcome: str = "",
    connection: str = "",
) -> Entry:
    """A row for the audit log: who asked what where, and what was decided.

    Args:
        request: What was said or clicked.
        decision: What happened.
        recorded: What it meant, where that is known.
        right: As for `Entry`, like all that follows.
        rule: What decided.
        ticket: The ticket's id.
        outcome: How it ended.
        connection: The connection's name.
    """
    place = request.place
    # The id of a personal chat is as good as the person's, whose name can be taken off the row.
    personal = place.visibility is Visibility.PERSONAL
    return Entry(
        request=request.id,
        person=request.person.key,
        place=f"{place.platform}:{place.home}:personal" if personal else place.key,
        connection=connection,
        right=right.value if right else "",
        sentence=recorded.sentence,
        resources=recorded.resources,
        decision=decision,
        rule=rule,
        ticket=ticket,
        outcome=outcome,
    )


class ZoneOf(StrEnum):
    """Whose time zone an answer is in, as people are told."""

    PLACE = "this place's"
    PERSON = "your own"
    BOT = "the bot's own"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a bot is made of; built once, in the composition root.

    Attributes:
        celonis: Every connection by name.
        chats: Every running platform by name.
        ids: Makes request ids.
        reader: Zone and locale where a place chose none.
        admins: Tells those who can put things right.
        words: Aliases of the settings: word -> canonical words.
        synonyms: By connection: folded word -> name as it stands in Celonis.
        kpi_kinds: By KPI's id: what the settings say that it measures.
        notify: By pattern of data pools: the keys of places and people who are told of writes there.
        audit_reads: Whether reads are written to the audit log too.
        text_length: Longest sentence, in characters.
        open_for: How long a question can be answered.
        per_minute: Sentences and clicks of one person in a minute.
        watching: How much may be watched.
        duty: Who is on duty: pattern of a data pool's name to people.
        askers: Those who asked lately, each as long as the platform says the same of them.
    """

    celonis: Mapping[str, Celonis]
    policy: Policy
    store: Store
    audit: Audit
    chats: Mapping[str, Chat]
    clock: Clock
    ids: Callable[[], str]
    reader: Reader
    version: str
    admins: AdminPlace
    words: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    kpi_kinds: Mapping[str, KpiKind] = field(default_factory=dict)
    notify: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audit_reads: bool = False
    text_length: int = 4000
    open_for: timedelta = timedelta(minutes=5)
    per_minute: int = 30
    watching: Watching = field(default_factory=Watching)
    duty: Mapping[str, tuple[Person, ...]] = field(default_factory=dict)
    askers: Kept[Hashable, Asker] = field(default_factory=lambda: Kept(ASKERS))

    def today(self) -> Reader:
        """Zone and locale of the settings, today."""
        return dated(self.reader, self.clock.now())

    def on_duty(self, pool: str) -> tuple[Person, ...]:
        """Who is to be woken for what happens in a data pool, by its name."""
        found = (people for pattern, people in self.duty.items() if fnmatchcase(fold(pool), fold(pattern)))
        return tuple(dict.fromkeys(person for people in found for person in people))

    def audience(self, place: Place) -> PlaceAudience:
        """Who reads along in a place."""
        return PlaceAudience(place, self.policy, self.chats.get(place.platform))

    async def defaults(self, place: Place) -> Defaults:
        """What a place chose; while the database is away, reads are answered as if it had chosen nothing."""
        try:
            return await self.store.defaults(place.key)
        except StoreUnavailable:
            log.warning("defaults of the place not read", place=place.key)
            return Defaults()

    async def reader_in(self, place: Place) -> Reader:
        """For whom a message that stands in a place is written, whoever caused it."""
        chosen = (await self.defaults(place)).zone
        reader = self.reader if chosen is None else self.reader._replace(zone=chosen.value)
        return dated(reader, self.clock.now())

    async def asker(self, person: Person, place: Place, *, anew: bool = False) -> Asker:
        """Somebody with what the platform knows of them; whoever cannot be looked up is unknown, and may nothing.

        Args:
            person: Who.
            place: Where.
            anew: Ask the platform now: a right that was taken away must not outlive that for a write.
        """
        chat = self.chats[person.platform]
        if not anew:
            profile = await chat.profile(person)
            key = (person.key, person.name, place.key, place.thread, place.name, place.visibility)
            known: Asker | None = self.askers.get(key)
            if known is None or known.profile is not profile:
                known = self.askers[key] = Asker(person, profile, place)
            return known
        try:
            async with asyncio.timeout(PROFILE_WITHIN):
                profile = await chat.profile(person, anew=True)
        except TimeoutError:
            log.warning("profile not read in time", person=person.key)
            profile = Profile()
        return Asker(person, profile, place)

    async def visit(self, request: Request, show: Show) -> Visit:
        """Who asks, where, and what is chosen there. Whoever answers a question is looked up anew.

        Raises:
            NotAllowed: The place is bound to no connection.
        """
        answers = isinstance(request.said, Clicked) and bool(request.said.confirm or request.said.dismiss)
        asker = await self.asker(request.person, request.place, anew=answers)
        seen = tuple([each for each in self.policy.connections_seen(asker) if each in self.celonis])
        bound = seen or tuple(
            [each for each in self.policy.connections(request.place) if each in self.celonis]
        )
        if not bound:
            raise NotAllowed(
                "This workspace is not connected to a Celonis team.",
                hint=f"An admin of the bot can bind it: {request.place.platform}, {request.place.home}.",
                rule="unbound",
            )
        defaults = await self.defaults(request.place)
        return Visit(self, request, asker, bound, defaults, self.audience(request.place), show)

    def marked(self, card: Card) -> Card:
        """The card, which says so where a sandbox stands in for Celonis."""
        if card.sandbox or not any(each.connection.sandbox for each in self.celonis.values()):
            return card
        return replace(card, sandbox=True)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request with what is known of its person and place; made by `Parts.visit`.

    Attributes:
        parts: What the bot is made of.
        request: What was said or clicked.
        asker: Who asks, as the policy sees them.
        connections: Those that this person may see here.
        defaults: What this place chose.
        audience: Who reads along here.
        answered: Shows an answer.
        contexts: By connection: what a command gets to work with, made when first needed (see `bot.dispatch`).
        usages: By connection: what this request has used of it.
    """

    parts: Parts
    request: Request
    asker: Asker
    connections: tuple[str, ...]
    defaults: Defaults
    audience: PlaceAudience
    answered: Show
    contexts: dict[str, Any] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        return self.asker.person

    @property
    def place(self) -> Place:
        return self.request.place

    async def anew(self) -> Visit:
        """The same, its person looked up now."""
        return replace(self, asker=await self.parts.asker(self.person, self.asker.place, anew=True))

    def usage(self, connection: str) -> Usage:
        """What this request has used of a connection."""
        known = self.usages.get(connection)
        if known is None:
            known = self.usages[connection] = Usage()
        return known

    def connection(self, via: Name | None = None) -> str:
        """The connection that is meant.

        Raises:
            UnknownName: None of that name is bound to this place.
        """
        if via is None:
            chosen = self.defaults.connection
            return chosen.value if chosen and chosen.value in self.connections else self.connections[0]
        if via.id in self.connections:
            return via.id
        found = next((each for each in self.connections if fold(each) == fold(via.id or via.text)), None)
        if found is None:
            raise UnknownName(
                Kind.CONNECTION, via.text or via.id, nearest=[Name(each) for each in self.connections]
            )
        return found

    @property
    def model(self) -> Name | None:
        """This place's knowledge model, None where none was chosen."""
        return Name(self.defaults.model.value, self.defaults.model.id) if self.defaults.model else None

    def reader(self, *, private: bool) -> tuple[Reader, ZoneOf]:
        """For whom values are written, and whose zone that is: what others read too is in no person's own."""
        profile, settings = self.asker.profile, self.parts.reader
        zone, zone_of = settings.zone, ZoneOf.BOT
        if self.defaults.zone is not None:
            zone, zone_of = self.defaults.zone.value, ZoneOf.PLACE
        elif profile.zone is not None and (private or self.place.visibility is Visibility.PERSONAL):
            zone, zone_of = profile.zone, ZoneOf.PERSON
        return dated(Reader(zone, profile.locale or settings.locale), self.parts.clock.now()), zone_of

    def allowed(self, right: Right, touched: tuple[Touch, ...] = ()) -> Decision:
        """The policy's decision that allows it.

        Raises:
            NotAllowed: There is none.
        """
        decision = self.parts.policy.may_all(self.asker, right, touched)
        decision.require()
        return decision

    def said(self, intent: Intent) -> str:
        """A sentence as a person would say it: without ids, and without the connection where there is one."""
        plain = map_names(intent, lambda _at, _kind, name: Name(name.text or name.id))
        if isinstance(plain, CelonisIntent) and len(self.connections) == 1:
            plain = replace(plain, via=None)
        return say(plain)

    async def reader_of(self, shown: Shown) -> Reader:
        """For whom an answer to this request is written."""
        return self.reader(private=await self.audience.private(shown.touches))[0]

    async def show(self, shown: Shown) -> None:
        """Shows an answer to whoever may see it, with what the request cost so far."""
        audience = await self.audience.of(shown.touches, self.person)
        reader, _ = self.reader(private=isinstance(audience, Only))
        await self.answered(
            Answer(
                self._costed(self.parts.marked(shown.card)),
                audience,
                reader,
                editable=shown.editable,
                replaces=shown.replaces,
                mention=shown.mention,
                ticket=shown.ticket,
                aloud=shown.aloud,
            )
        )

    def _costed(self, card: Card) -> Card:
        if card.source is None:
            return card
        celonis, usage = self.parts.celonis[card.source.connection], self.usage(card.source.connection)
        cost = tuple(
            [
                Cost(family.value, usage.calls[family], celonis.left(family))
                for family in Family
                if usage.calls[family]
            ]
            if usage.calls
            else ()
        )
        unread = sum(usage.unread.values())
        if (cost, unread) == (card.source.cost, card.source.unread):
            return card
        return replace(card, source=replace(card.source, cost=cost, unread=unread))
