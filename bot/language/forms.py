"""Clauses as people are told of them: what each takes, and an example of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, assert_never

from bot.language.declare import (
    Clause,
    Count,
    Crosses,
    Days,
    Flag,
    Lasting,
    Names,
    OneName,
    OneOf,
    Phrase,
    Sentence,
    SomeOf,
    SortBy,
    Takes,
    TimeOfDay,
    Timing,
    Where,
    clauses,
)
from bot.language.say import say
from bot.model.intents import Bound, Comparison, Intent, Op, SortKey
from bot.model.names import Kind, Name

_FIELD = Name("Country")
_CALLED = {
    Kind.MODEL: Name("Order to Cash"),
    Kind.RECORD: Name("Sales orders"),
    Kind.KPI: Name("On-time delivery"),
    Kind.FILTER: Name("Open orders"),
    Kind.POOL: Name("SAP ECC"),
    Kind.JOB: Name("main job"),
}
_TIMING: Mapping[type[Timing], str] = {
    TimeOfDay: "<time>",
    Lasting: "N min or h",
    Days: "<day>, …",
    Crosses: "< or > N",
}
_TIMED: Mapping[type[Timing], object] = {
    TimeOfDay: time(23, 45),
    Lasting: timedelta(hours=2),
    Days: ("weekday",),
    Crosses: Bound(Op.LT, "90%"),
}
_UNSAID = frozenset({"via", "page"})
"""Clauses that buttons say, and people hardly ever."""


def form(how: Clause) -> str:
    """A clause with what it takes: `by <field>, …`."""
    return " ".join(part for part in (how.keyword, _taken(how)) if part)


def _taken(how: Clause) -> str:
    match how.takes:
        case OneName(kind):
            return f"<{kind}>"
        case Names(kind):
            return f"<{kind}>, …"
        case OneOf(words, or_period):
            return " or ".join((*words, *(("<period>",) if or_period else ())))
        case SomeOf(words):
            return f"{', '.join(words[:3])} …"
        case Count():
            return "N"
        case Flag():
            return ""
        case Phrase():
            return "<text>"
        case Where():
            return "<condition>"
        case TimeOfDay() | Lasting() | Days() | Crosses():
            return _TIMING[type(how.takes)]
        case Sentence():
            return "<sentence>"
        case SortBy():
            return "[-]<field>, …"


def examples(intent: type[Intent]) -> list[tuple[str, str]]:
    """Each clause of an intent's sentence as a form and as an example: (`top N`, `top 5`)."""
    return [
        (form(how), say(intent(**{field.name: _sample(how.takes)})).removeprefix(intent.words).strip())
        for field, how in clauses(intent)
        if how.keyword not in _UNSAID and not isinstance(how.takes, Sentence)
    ]


def _sample(takes: Takes) -> Any:
    match takes:
        case OneName(kind):
            return _CALLED.get(kind, _FIELD)
        case Names(kind):
            return (_CALLED.get(kind, _FIELD),)
        case OneOf(words, _):
            return words[0]
        case SomeOf(words):
            return words[:1]
        case Count():
            return 5
        case Flag():
            return True
        case Phrase():
            return "cotton"
        case Where():
            return Comparison(_FIELD, Op.EQ, ("Germany",))
        case SortBy():
            return (SortKey(_FIELD, descending=True),)
        case TimeOfDay() | Lasting() | Days() | Crosses():
            return _TIMED[type(takes)]
        case Sentence():
            return None
        case _:
            assert_never(takes)
