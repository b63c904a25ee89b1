"""The only maker of `Approval`: from a claimed ticket to the proof that the client's write methods want."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.model.approval import MAKER, Approval
from bot.model.errors import TicketGone
from bot.model.people import Person
from bot.store.schema import clean
from bot.store.tickets import Ticket

T = TypeVar("T")


def written(target: object) -> str:
    """A target as JSON, for its ticket.

    Raises:
        TypeError: It is no frozen dataclass that comes back from JSON as it went in.
    """
    kind = type(target)
    if not dataclasses.is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined] # how dataclasses say it
        raise TypeError(f"a target is a frozen dataclass, {kind.__name__} is none")
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    exact = json.dumps(adapter.dump_python(target, mode="json"), ensure_ascii=False)
    storable = clean(exact)
    if adapter.validate_json(storable) != target and storable == exact:
        raise TypeError(f"{kind.__name__} does not come back from JSON as it went in")
    return storable


def read(ticket: Ticket, kind: type[T], *, undone: str = "") -> T:
    """What a ticket is about.

    Raises:
        TicketGone: It was asked by another version of the program.
    """
    try:
        return TypeAdapter(kind).validate_json(ticket.target_json)
    except ValidationError:
        raise TicketGone(
            "This question was asked by another version of the bot.", hint="Ask again.", undone=undone
        ) from None


def approve(ticket: Ticket, by: Person, kind: type[T], current: Callable[[], str]) -> Approval[T]:
    """The proof that this ticket was confirmed. `Tickets.approve` is the one that calls it, once for each claim.

    Args:
        ticket: A claimed one.
        by: Who claimed it.
        kind: The type of the target that the command works with.
        current: See `Approval`.

    Raises:
        TicketGone: The stored target does not fit the type.
    """
    target = read(ticket, kind, undone="Nothing was sent.")
    return Approval(MAKER, by=by, target=target, current=current)
