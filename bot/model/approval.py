"""What a confirming click proves, as the client's write methods see it. Only `bot.writes.approval` makes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar, final

from bot.model.errors import ApprovalSpent
from bot.model.people import Person

T_co = TypeVar("T_co", covariant=True)

MAKER = object()
"""Whoever has it can make an `Approval`: `bot.writes.approval`, as a test says."""


def _parts(target: object) -> tuple[object, ...]:
    """What a target is made of, each to be hit once: the elements of its tuples, or, without any, it itself."""
    values = [getattr(target, each.name) for each in dataclasses.fields(target)]  # type: ignore[arg-type] # a ticket's target is one
    if not any(isinstance(value, tuple) for value in values):
        return (target,)
    found: list[object] = []
    for value in values:
        for part in value if isinstance(value, tuple) else ():
            if part not in found:
                found.append(part)
    return tuple(found)


@final
class Approval(Generic[T_co]):
    """Proof that a person who may has confirmed exactly this target. Write methods of the client take what they hit
    from here and from nowhere else.
    """

    __slots__ = ("_by", "_current", "_left", "_target")

    def __init__(self, maker: object, *, by: Person, target: T_co, current: Callable[[], str]) -> None:
        """Only `bot.writes.approval` can.

        Args:
            maker: `MAKER`.
            by: Who confirmed.
            target: What was confirmed, a frozen dataclass.
            current: Why nothing may be sent now; empty where nothing stands against it.
        """
        if maker is not MAKER:
            raise TypeError("an Approval comes from bot.writes.approval and from nowhere else")
        self._by = by
        self._target = target
        self._left = list(_parts(target))
        self._current = current

    @property
    def by(self) -> Person:
        """Who confirmed."""
        return self._by

    @property
    def target(self) -> T_co:
        """What was confirmed."""
        return self._target

    def use(self, part: object) -> None:
        """Spends the approval of one part, directly before the call that hits it.

        Args:
            part: An element of one of the target's tuples; the target itself where it has none.

        Raises:
            ApprovalSpent: The part is not in the target or was used before, `Tickets.sending` has not noted the
                write, or too much time has gone by since. Nothing was sent.
        """
        if problem := self._current():
            raise spent(problem)
        if part not in self._left:
            raise spent("A confirmation counts once, and only for what its question showed.")
        self._left.remove(part)

    def __repr__(self) -> str:
        return f"<Approval of {type(self.target).__name__} by {self.by.key}, {len(self._left)} left>"

    def __copy__(self) -> NoReturn:
        raise TypeError("an Approval cannot be copied")

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("an Approval cannot be copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an Approval cannot be written down")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("an Approval has no other kinds")


def spent(sentence: str) -> ApprovalSpent:
    """The refusal of a call that its approval does not cover."""
    return ApprovalSpent(sentence, hint="Ask again.", undone="Nothing was sent.")
