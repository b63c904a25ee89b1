"""What a person can mean: the base of all intents, and the conditions in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias, assert_never

from bot.model.names import Name

# --- conditions ------------------------------------------------------------------------------------------------


class Op(StrEnum):
    """Comparisons of `where`; the value is how they are said."""

    EQ = "="
    NE = "!="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    ENDS_WITH = "ends with"
    IN = "in"
    BETWEEN = "between"
    IS_EMPTY = "is empty"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One test on one field. Values are text as written; they get a type when the field's type is known.

    `IS_EMPTY` has no value, `BETWEEN` two, `IN` one or more, every other operator one.
    """

    field: Name
    op: Op
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wanted = {Op.IS_EMPTY: (0, 0), Op.BETWEEN: (2, 2), Op.IN: (1, 10_000)}.get(self.op, (1, 1))
        if not wanted[0] <= len(self.values) <= wanted[1]:
            raise ValueError(f"{self.op} takes {wanted[0]} value(s), not {len(self.values)}")


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of one condition."""

    part: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold. Nested ones are flattened, so that equal conditions are equal values.

    Raises:
        ValueError: There are fewer than two parts; one condition alone is itself.
    """

    parts: tuple[Condition, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flat(And, self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds. Nested ones are flattened.

    Raises:
        ValueError: There are fewer than two parts.
    """

    parts: tuple[Condition, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flat(Or, self.parts))


Condition: TypeAlias = Comparison | Not | And | Or


def _flat(kind: type[And | Or], parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    flat: list[Condition] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    if len(flat) < 2:  # noqa: PLR2004 - "and" joins two
        raise ValueError(f"{kind.__name__} joins at least two conditions")
    return tuple(flat)


def parts_of(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions that have to hold together; none where there is no condition."""
    if condition is None:
        return ()
    return condition.parts if isinstance(condition, And) else (condition,)


def all_of(parts: Sequence[Condition]) -> Condition | None:
    """The condition under which all of these hold; None for none."""
    return And(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in a condition, left to right."""
    match condition:
        case Comparison():
            yield condition
        case Not(part):
            yield from comparisons(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)
        case _:
            assert_never(condition)


def map_comparisons(condition: Condition, change: Callable[[Comparison], Comparison]) -> Condition:
    """The same condition with every comparison put through `change`."""
    match condition:
        case Comparison():
            return change(condition)
        case Not(part):
            return Not(map_comparisons(part, change))
        case And(parts):
            return And(tuple(map_comparisons(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(map_comparisons(part, change) for part in parts))
        case _:
            assert_never(condition)


ORDERINGS = (Op.GE, Op.LE, Op.GT, Op.LT)
"""Comparisons of what has an order, those that begin as another one before it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A line that a value may cross: on which side, and the line as it was written (`90`, `90%`)."""

    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op not in ORDERINGS:
            raise ValueError(f"{self.op} has no two sides")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: Name
    descending: bool = False


_DECLARED: list[str] = []
"""Grows with every intent that is declared."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Base of all intents. Every field of a subclass has a default and a `clause`."""

    words: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        _DECLARED.append(cls.__name__)
