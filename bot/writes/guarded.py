"""What a guarded command is, and what it tells the steps of a write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from bot.audience import Shown
from bot.language.declare import map_names, names
from bot.model.approval import Approval
from bot.model.cards import Card
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.store.tickets import Outcome, Ticket
from bot.visit import Visit
from bot.writes.approval import read

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent" beside T for "target"
T = TypeVar("T")
C = TypeVar("C")
T_contra = TypeVar("T_contra", contravariant=True)

Progress: TypeAlias = Callable[[Card], Awaitable[None]]
"""Told where a write stands; may raise `TakenOver`, which is to pass."""


class TakenOver(Exception):
    """Somebody else works on this ticket by now."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a guarded command wants to be sure of. Ticket, buttons and deadline are added to it.

    Attributes:
        card: The question with the state that was read for it.
        yes: The confirming button's label; says what happens.
        no: The other one's.
    """

    card: Card
    yes: str
    no: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a write ended, as far as anybody can see."""

    card: Card
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Checked(Generic[T]):
    """What a last look before a write has found.

    Attributes:
        target: What was confirmed, under the names that it has now.
        over: Set where nothing must be sent any more.
    """

    target: T
    over: Ended | None = None


class Follow(Protocol[T_contra]):
    """How the outcome of a write is watched for."""

    async def __call__(
        self, target: T_contra, context: Any, *, taken: bool, by: str, progress: Progress
    ) -> Ended:
        """See `GuardedCommand`."""
        ...


def touches(intent: Intent) -> tuple[Touch, ...]:
    """The resources that a resolved intent names: each field, KPI and filter, or where it names none, their scope.

    Fields of a question to a whole knowledge model are `record.field`, so they bring their record with them.
    A kind of thing is a field of `Touch` under the name that it has among the kinds.
    """
    scopes: dict[str, Name] = {}
    parts: list[tuple[str, Name]] = []
    for _, kind, name in names(intent):
        if kind in {Kind.FIELD, Kind.KPI, Kind.FILTER}:
            parts.append((kind.name.lower(), name))
        else:
            scopes[kind.name.lower()] = name
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


@dataclass(frozen=True, slots=True)
class GuardedCommand(Generic[I, T, C]):
    """One entry of the table of commands: something that changes Celonis, behind a question.

    It is split into the steps between which the gate stands: `ask` makes the question, `check` reads again after the
    click, `send` spends the approval, `follow` watches until the outcome is known. `C` is what a command works with.

    Attributes:
        example: As for a `Command`.
        summary: As for a `Command`.
        right: As for a `Command`; may depend on the intent (a full load is a right of its own).
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
        touches: What the sentence names, for the log; the policy is asked about what `hits` tells.
    """

    example: I
    summary: str
    right: Right | Callable[[I], Right]
    target: type[T]
    ask: Callable[[I, C], Awaitable[T | Shown]]
    question: Callable[[T, C], Question]
    hits: Callable[[T], tuple[Touch, ...]]
    check: Callable[[T, C], Awaitable[Checked[T]]]
    send: Callable[[Approval[T], C], Awaitable[None]]
    follow: Follow[T]
    plainly: str
    touches: Callable[[I], tuple[Touch, ...]] = touches

    @property
    def intent(self) -> type[I]:
        return type(self.example)

    def right_for(self, intent: I) -> Right:
        """The right that this intent needs."""
        return self.right if isinstance(self.right, Right) else self.right(intent)


AnyGuarded: TypeAlias = GuardedCommand[Any, Any, Any]

ContextOf: TypeAlias = Callable[[Visit, str, bool], Any]
"""What a command works with: for a request and a connection; whether its answer is for the person alone."""


@dataclass(frozen=True)
class Write:
    """One question, with the request that is about it now.

    Attributes:
        ticket: The question, as it stood when it was last read.
        command: What is to be done.
        intent: The sentence, resolved.
        visit: Who asks or clicks.
    """

    ticket: Ticket
    command: AnyGuarded
    intent: Intent
    visit: Visit

    @cached_property
    def target(self) -> Any:
        """What would be hit.

        Raises:
            TicketGone: It was asked by another version of the program.
        """
        return read(self.ticket, self.command.target)

    @property
    def hits(self) -> tuple[Touch, ...]:
        """What it is about, as the policy names it. Raises as `target` does."""
        return self.command.hits(self.target)

    @property
    def title(self) -> str:
        """The sentence as a person would say it."""
        return self.visit.said(self.intent)


def called_now(intent: Intent, touched: tuple[Touch, ...]) -> Intent:
    """The intent with the names that its things have now."""
    now = {
        name.id: name
        for touch in touched
        for each in fields(touch)
        if isinstance(name := getattr(touch, each.name), Name) and name.id
    }
    return map_names(intent, lambda _at, _kind, name: now.get(name.id, name))
