"""What a command is, and what it gets to work with.

Commands are an open set, so they are entries of a table. A `Command` answers; a `GuardedCommand` (`bot.writes.guarded`)
changes something.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from bot.audience import Shown
from bot.audit import Audit
from bot.catalog import Catalog
from bot.catalog.values import FieldValueLists
from bot.celonis import Api, Celonis
from bot.config import KpiKind, Watching
from bot.model.cards import Card, Reader, Source
from bot.model.chat import Chat
from bot.model.clock import Clock
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.policy import Asker, Decision, Policy, Right, Touch
from bot.store import Store
from bot.visit import ZoneOf
from bot.writes.guarded import AnyGuarded, touches

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent"


async def _unseen(_card: Card) -> None:
    """Nobody waits."""


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
        values: What the fields of the connection hold.
        policy: For what a card may offer.
        store: The place's defaults.
        audit: What was decided.
        clock: For waiting; `now` does not move.
        table: Every command, for `help`.
        version: The bot's version.
        public: Whether everybody who reads along here may see these resources; false in a personal chat.
        model_default: This place's knowledge model, None where none was chosen.
        zone_of: Whose zone the reader's is.
        chat: The platform that is spoken on, for files; None where there is none.
        working: Shows how far long work is.
        dates: By knowledge model's id: the field (`record.field`) that a period without a field is about.
        kpi_kinds: By KPI's id: what the settings say that it measures.
        watching: How much may be watched.
    """

    asker: Asker
    now: datetime
    reader: Reader
    connection: str
    connections: tuple[str, ...]
    asking: Api
    celonis: Celonis
    catalog: Catalog
    values: FieldValueLists
    policy: Policy
    store: Store
    audit: Audit
    clock: Clock
    table: tuple[AnyCommand, ...]
    version: str
    public: Callable[[tuple[Touch, ...]], bool] = lambda _touches: False
    model_default: Name | None = None
    zone_of: ZoneOf = ZoneOf.BOT
    chat: Chat | None = None
    working: Callable[[Card], Awaitable[None]] = _unseen
    dates: Mapping[str, str] = field(default_factory=dict)
    kpi_kinds: Mapping[str, KpiKind] = field(default_factory=dict)
    watching: Watching = field(default_factory=Watching)

    def source(self, model: str = "") -> Source:
        """Where everything that was read for this answer came from."""
        connection = self.celonis.connection
        return Source(
            connection=connection.name,
            fetched_at=self.asking.fetched_at,
            model=model,
            cached=self.asking.cached,
            sandbox=connection.sandbox,
            several=len(self.connections) > 1,
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

    def command(self, asked: Intent | None) -> AnyCommand | None:
        """The command that answers a sentence."""
        return next((each for each in self.table if each.intent is type(asked)), None)

    def fresh(self) -> Context:
        """The same, past the cache: for questions and outcomes of writes."""
        return replace(self, asking=self.asking.fresh())


@dataclass(frozen=True, slots=True)
class Command(Generic[I]):
    """One entry of the table: something that only reads (or only changes the bot's own defaults).

    Attributes:
        example: An intent with made-up but realistic names; feeds help, docs, golden files and round-trip tests.
        summary: One line for help and docs.
        right: What the policy asks first.
        run: The work.
        touches: The resources the policy asks next; what the intent names, unless told otherwise.
        question: Whether it asks something, so that what is said next can go on with it.
        steady: Whether the card of an intent follows from what was read for it, the view, the place and the reader alone,
            and from the moment only as `Shown.until` says. Such a card is made once, and shared.
        open_to: Whether somebody may say it here at all, where that does not hang on the right alone.
        changes: Whether it changes something that is the bot's own, so that it is on record before it does.
    """

    example: I
    summary: str
    right: Right
    run: Callable[[I, Context], Awaitable[Card | Shown]]
    touches: Callable[[I], tuple[Touch, ...]] = touches
    question: bool = True
    steady: Callable[[I], bool] = lambda _intent: False
    open_to: Callable[[Asker, Policy], Decision] | None = None
    changes: bool = False

    @property
    def intent(self) -> type[I]:
        return type(self.example)

    def right_for(self, intent: Intent) -> Right:
        """The right that this intent needs."""
        return self.right


AnyCommand: TypeAlias = Command[Any] | AnyGuarded


def open_to(command: AnyCommand, asker: Asker, policy: Policy) -> Decision:
    """Whether somebody may say this at all where they are, whatever it is about."""
    decision = policy.may(asker, command.right_for(command.example))
    if decision.allowed and isinstance(command, Command) and command.open_to is not None:
        return command.open_to(asker, policy)
    return decision
