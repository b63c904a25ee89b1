"""What the audit log tells of an intent: its sentence without the values that could be data, and what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, assert_never

from bot.language.declare import (
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
    Where,
    clauses,
)
from bot.language.say import say
from bot.model.intents import And, Comparison, Condition, Intent, Not, Or
from bot.model.names import Name
from bot.policy import Touch
from bot.redaction import redact

MASK = "…"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What stands in the audit log of an intent.

    Attributes:
        sentence: See `mask`.
        resources: Keys of what it touches, sorted.
    """

    sentence: str = ""
    resources: tuple[str, ...] = ()

    @classmethod
    def of(cls, intent: Intent, touched: Sequence[Touch]) -> Recorded:
        """What stands there of an intent that touches these."""
        named = {
            f"{each.name}:{name.id or name.text}"
            for touch in touched
            for each in fields(touch)
            if isinstance(name := getattr(touch, each.name), Name)
        }
        return cls(mask(intent), tuple(sorted(named)))


def mask(intent: Intent) -> str:
    """The canonical sentence with everything that could be data as `…`; names and ids stay."""
    return redact(say(_masked_intent(intent)))


def _masked_intent(intent: Intent) -> Intent:
    masked: dict[str, Any] = {}
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        if value != each.default:
            masked[each.name] = _masked(how.takes, value)
    return replace(intent, **masked)


def _masked(takes: Takes, value: Any) -> Any:
    match takes:
        case Where():
            return _masked_condition(value)
        case Sentence():
            return _masked_intent(value)
        case Phrase():
            return MASK
        case OneOf(words, or_period=True) if value not in words:
            return MASK
        case Crosses():
            return replace(value, value=MASK)
        case OneName() | Names() | OneOf() | SomeOf() | Count() | Flag() | SortBy():
            return value
        case TimeOfDay() | Lasting() | Days():
            return value
        case _:
            assert_never(takes)


def _masked_condition(condition: Condition) -> Condition:
    match condition:
        case Comparison(name, op, values):
            return Comparison(name, op, (MASK,) * min(len(values), 2))
        case Not(part):
            return Not(_masked_condition(part))
        case And(parts):
            return And(tuple(_masked_condition(part) for part in parts))
        case Or(parts):
            return Or(tuple(_masked_condition(part) for part in parts))
        case _:
            assert_never(condition)
