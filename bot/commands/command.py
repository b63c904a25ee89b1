"""What a command is, and what it gets to work with.

Commands are an open set, so they are entries of a table. A `Command` answers; a `GuardedCommand` changes something,
so it is split into the steps between which the gate stands: `ask` makes the question, `check` reads again after the
click, `send` spends the approval, `follow` watches until the outcome is known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from bot.audience import Shown
from bot.catalog import Catalog
from bot.celonis import Api, Celonis
from bot.language.declare import names
from bot.model.approval import Approval
from bot.model.cards import Card, Reader, Source
from bot.model.clock import Clock
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.model.people import Person, Place, Profile
from bot.policy import Asker, Policy, Right, Touch
from bot.store import Store
from bot.visit import ZoneOf
from bot.writes.guarded import Checked, Follow, Question

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent" beside T for "target"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a command may use; all of it belongs to one request.

    Attributes:
        asker: Person, profile and place; what the policy judges.
        now: When the request came (UTC).
        reader: Zone and locale of the answer.
        connection: The name of the Celonis team that is asked.
        connections: All that this place is bound to.
        asking: The client, on behalf of this person; knows what the answer cost and how old it is.
        celonis: The connection itself: quota and kind of key.
        catalog: Names that this person may see here.
        policy: For what a card may offer.
        store: The place's defaults.
        clock: For waiting; `now` does not move.
        table: Every command, for `help`.
        version: The bot's version.
        public: Whether everybody who reads along here may see these resources; false in a personal chat.
        model_default: This place's knowledge model, None where none was chosen.
        zone_of: Whose zone the reader's is.
    """

    asker: Asker
    now: datetime
    reader: Reader
    connection: str
    connections: tuple[str, ...]
    asking: Api
    celonis: Celonis
    catalog: Catalog
    policy: Policy
    store: Store
    clock: Clock
    table: tuple[AnyCommand, ...]
    version: str
    public: Callable[[tuple[Touch, ...]], bool] = lambda _touches: False
    model_default: Name | None = None
    zone_of: ZoneOf = ZoneOf.BOT

    @property
    def person(self) -> Person:
        return self.asker.person

    @property
    def profile(self) -> Profile:
        return self.asker.profile

    @property
    def place(self) -> Place:
        return self.asker.place

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.reader.zone)

    def source(self, model: str = "") -> Source:
        """Where everything that was read for this answer came from."""
        connection = self.celonis.connection
        return Source(
            connection=connection.name,
            fetched_at=self.asking.fetched_at,
            model=model,
            cached=self.asking.cached,
            sandbox=connection.sandbox,
        )

    def live_source(self, pool: str = "") -> Source:
        """The same, for states that are read as they are and never loaded (pools, jobs, the key)."""
        return replace(self.source(pool), loaded=False)

    def list_source(self, kind: Kind, *within: Name) -> Source:
        """The same, for a list of names; it may have been read up to an hour ago (see `Catalog`)."""
        at = self.catalog.read_at(kind, *within)
        source = self.live_source(within[0].text if within else "")
        return replace(
            source,
            fetched_at=min(at, source.fetched_at),
            cached=at < self.now and not self.asking.caller.usage.calls.total(),
        )

    def fresh(self) -> Context:
        """The same, past the cache: for questions and outcomes of writes."""
        return replace(self, asking=self.asking.fresh())


# --- what the policy is asked ----------------------------------------------------------------------------------

_SCOPES: Mapping[Kind, str] = {
    Kind.CONNECTION: "connection",
    Kind.MODEL: "model",
    Kind.RECORD: "record",
    Kind.POOL: "pool",
    Kind.JOB: "job",
}
_PARTS: Mapping[Kind, str] = {Kind.FIELD: "field", Kind.KPI: "kpi", Kind.FILTER: "filter"}


def touches(intent: Intent) -> tuple[Touch, ...]:
    """The resources that a resolved intent names: each field, KPI and filter, or where it names none, their scope.

    Fields of a question to a whole knowledge model are `record.field`, so they bring their record with them.
    """
    scopes: dict[str, Name] = {}
    parts: list[tuple[str, Name]] = []
    for _, kind, name in names(intent):
        if kind in _SCOPES:
            scopes[_SCOPES[kind]] = name
        elif kind in _PARTS:
            parts.append((_PARTS[kind], name))
    found = [] if parts else [Touch(**scopes)]
    for part, name in parts:
        within = dict(scopes)
        if part == "field" and "record" not in scopes and "." in name.id:
            record, _, field_id = name.id.partition(".")
            within["record"] = Name(record, record)
            found.append(Touch(**within, field=Name(name.text, field_id)))
        else:
            found.append(Touch(**within, **{part: name}))
    return tuple(found)


# --- the two kinds of commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command(Generic[I]):
    """One entry of the table: something that only reads (or only changes the bot's own defaults).

    Attributes:
        example: An intent with made-up but realistic names; feeds help, docs, golden files and round-trip tests.
        summary: One line for help and docs.
        right: What the policy asks first.
        run: The work.
        aliases: Other ways to start the sentence; `…` stands for the name in the middle ("is … running").
        touches: The resources the policy asks next; what the intent names, unless told otherwise.
        steady: Whether the card of an intent follows from what was read for it, the view, the place and the reader alone,
            and from the moment only as `Shown.until` says. Such a card is made once, and shared.
    """

    example: I
    summary: str
    right: Right
    run: Callable[[I, Context], Awaitable[Card | Shown]]
    aliases: tuple[str, ...] = ()
    touches: Callable[[I], tuple[Touch, ...]] = touches
    steady: Callable[[I], bool] = lambda _intent: False

    @property
    def intent(self) -> type[I]:
        return type(self.example)

    def right_for(self, intent: Intent) -> Right:
        """The right that this intent needs."""
        return self.right


@dataclass(frozen=True, slots=True)
class GuardedCommand(Generic[I, T]):
    """One entry of the table: something that changes Celonis, behind a question.

    Attributes:
        example: As for `Command`.
        summary: As for `Command`.
        right: As for `Command`; may depend on the intent (a full load is a right of its own).
        target: The type of the frozen target, for storing it; nothing else can be done with the approval.
        ask: Reads live and gives the target; what to show instead where there is nothing to ask.
        question: How a target is asked about; reads nothing.
        hits: The resources that a target changes, by the names with which it was read.
        check: Reads live after the click.
        plainly: What it does, without saying to what: all that a place without the right `public` gets to know.
        send: Spends the approval. Raises `OutcomeUnknown` where the end of the call was not seen.
        follow: Watches until the outcome is known; sends nothing, so it also serves after a crash. `taken` tells
            whether Celonis has taken the call, or nobody knows whether it arrived; `by` names who confirmed;
            `progress` shows where it stands meanwhile.
        aliases: As for `Command`.
        touches: What the sentence names, for the log; the policy is asked about what `hits` tells.
    """

    example: I
    summary: str
    right: Right | Callable[[I], Right]
    target: type[T]
    ask: Callable[[I, Context], Awaitable[T | Shown]]
    question: Callable[[T, Context], Question]
    hits: Callable[[T], tuple[Touch, ...]]
    check: Callable[[T, Context], Awaitable[Checked[T]]]
    send: Callable[[Approval[T], Context], Awaitable[None]]
    follow: Follow[T]
    plainly: str
    aliases: tuple[str, ...] = ()
    touches: Callable[[I], tuple[Touch, ...]] = touches

    @property
    def intent(self) -> type[I]:
        return type(self.example)

    def right_for(self, intent: I) -> Right:
        """The right that this intent needs."""
        return self.right if isinstance(self.right, Right) else self.right(intent)


AnyCommand: TypeAlias = Command[Any] | GuardedCommand[Any, Any]
