"""What the steps of a guarded write need of its command, and what the command tells them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from bot.audience import Shown
from bot.language.declare import map_names
from bot.model.approval import Approval
from bot.model.cards import Card
from bot.model.intents import Intent
from bot.model.names import Name
from bot.policy import Right, Touch
from bot.store.tickets import Outcome, Ticket
from bot.visit import Visit
from bot.writes.approval import read

T = TypeVar("T")
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
        """See `bot.commands.command.GuardedCommand`."""
        ...


class Guarded(Protocol):
    """A guarded command, as its steps see it; `bot.commands.command.GuardedCommand` says what each does."""

    @property
    def intent(self) -> type[Intent]: ...
    @property
    def target(self) -> type[Any]: ...
    @property
    def plainly(self) -> str: ...
    @property
    def ask(self) -> Callable[[Any, Any], Awaitable[Any | Shown]]: ...
    @property
    def question(self) -> Callable[[Any, Any], Question]: ...
    @property
    def hits(self) -> Callable[[Any], tuple[Touch, ...]]: ...
    @property
    def check(self) -> Callable[[Any, Any], Awaitable[Checked[Any]]]: ...
    @property
    def send(self) -> Callable[[Approval[Any], Any], Awaitable[None]]: ...
    @property
    def follow(self) -> Follow[Any]: ...
    @property
    def touches(self) -> Callable[[Any], tuple[Touch, ...]]: ...
    def right_for(self, intent: Intent) -> Right:
        """The right that this intent needs."""
        ...


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
    command: Guarded
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
