"""What is known of an intent while it is put together: which clauses it has, and what stands in them so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.language.declare import (
    Clause,
    Names,
    OneName,
    SortBy,
    Where,
    clauses,
)
from bot.language.lexicon import Entity
from bot.model.intents import Intent, Op
from bot.model.names import Kind

ORDERED = frozenset({Op.GT, Op.GE, Op.LT, Op.LE, Op.BETWEEN})
NUMBERS = frozenset({"integer", "float", "number"})
"""Types of fields that hold amounts."""


RANKS = ("top", "bottom", "best", "worst")
"""Clauses for what comes first or last."""
STATES = frozenset({"active", "failed", "queued", "succeeded", "stopped"})
"""What a job can be asked about; its card tells them all."""


class Unfit(Exception):
    """The intent has no place for something that was said."""


@dataclass(slots=True)
class Test:
    """A condition as it was said: which fields it can be about, how they are compared, with what."""

    fields: tuple[Entity, ...]
    op: Op
    values: tuple[tuple[Entity, str], ...] | str = ""
    opposite: bool = False
    until: str = ""
    """The second value of "between"."""
    unit: str = ""
    named: bool = True
    """Whether somebody named a field."""
    measure: str = ""
    """What is compared, where a word said it ("heavier")."""


_Shape: TypeAlias = tuple[Mapping[str, tuple[str, Clause]], Mapping[Kind, str], str | None]
_SHAPES: dict[type[Intent], _Shape] = {}


def _shape(intent: type[Intent]) -> _Shape:
    """The clauses of an intent: by their keyword, by the kind of what they name, and the one for conditions."""
    if intent in _SHAPES:
        return _SHAPES[intent]
    by_kind: dict[Kind, str] = {}
    for each, how in clauses(intent):
        if isinstance(how.takes, OneName | Names):
            by_kind.setdefault(how.takes.kind, each.name)
    where = next((each.name for each, how in clauses(intent) if isinstance(how.takes, Where)), None)
    parts = {how.keyword: (each.name, how) for each, how in clauses(intent)}
    _SHAPES[intent] = parts, by_kind, where
    return _SHAPES[intent]


class Slots:
    """The clauses of an intent, with what was said for each, and what still waits for its place."""

    def __init__(self, intent: type[Intent], base: Intent | None) -> None:
        self.intent = intent
        self.base = base
        self.parts, self.by_kind, self.where = _shape(intent)
        self.names: dict[str, list[tuple[Entity, ...]]] = {}
        self.fixed: dict[str, Any] = {}
        self.tests: list[Test] = []
        self.periods: list[str] = []
        self.on: tuple[Entity, ...] = ()
        self.within: tuple[Entity, ...] = ()
        """The records whose field is meant, where a question about a field names one."""
        self.pending = ""
        self.waiting = False
        self.negated = False
        self.unused = False
        """Whether nothing was negated yet since somebody said "not"."""
        self.subject: tuple[Entity, ...] = ()
        self.op: Op | None = None
        self.number: str | None = None
        """A number that was compared before its field was named ("more than 3 touches")."""
        self.low: str | None = None
        """The first number of "between"."""
        self.unit = ""
        self.verbs: list[str] = []
        """What verbs say of things; a name has to say it, too."""
        self.codes: list[str] = []
        """What looks like numbers of what the record holds."""
        self.alone = ""
        """The clause for the best or the worst, while nobody said how many."""
        self.descending: set[int] = set()
        """Which of the fields to sort by go from the highest value down."""
        self.ranked: tuple[str, bool] | None = None
        """What things come first by, and whether from the highest value down."""
        self.measure = ""
        """What is compared, where a word said it ("heavier")."""
        self.joined = False
        """Whether something joins what comes to the name before."""
        self.only = False
        self.single = False
        self.leading = 0
        self.roles = 0
        self.guesses = 0
        """Roles that were made up: what comes of it is only offered."""

    def put(self, kind: Kind, entities: tuple[Entity, ...]) -> None:
        at = self.by_kind.get(kind)
        if at is None:
            raise Unfit(kind.value)
        listed = self.names.setdefault(at, [])
        takes = next(how.takes for each, how in clauses(self.intent) if each.name == at)
        if isinstance(takes, OneName) and listed:
            raise Unfit(kind.value)
        listed.append(entities)

    def into(self, keyword: str, entities: tuple[Entity, ...]) -> None:
        at, how = self.parts[keyword]
        if not isinstance(how.takes, Names | OneName | SortBy):
            raise Unfit(keyword)
        self.names.setdefault(at, []).append(entities)
        self.waiting = False

    def of_a_field(self) -> bool:
        """Whether the question is about one field."""
        return "" in self.parts and self.parts[""][1].takes == OneName(Kind.FIELD)

    def by_rank(self) -> bool:
        """Whether something comes first of groups that nobody named."""
        by = self.parts["by"][0] if "by" in self.parts else ""
        ranked = any(self.parts[each][0] in self.fixed for each in RANKS if each in self.parts)
        return bool(by and ranked and not self.names.get(by) and not getattr(self.base, by, ()))

    def guessed(self) -> int:
        """Roles that were made up; "which plant has the highest" says by what."""
        ranked = any(self.parts[each][0] in self.fixed for each in RANKS if each in self.parts)
        return 0 if ranked else self.guesses
