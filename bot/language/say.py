"""The exact sentence of an intent: what buttons carry and the docs list; `bot.language.parse` reads it.

A name of one plain word stands as it is; every other, and one that is equal to a word of the language, stands in double
quotes, wherever it stands. So `parse(say(x)) == x` needs no look at what is around.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, assert_never

from bot.language.declare import (
    TYPED,
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
from bot.model.intents import _DECLARED, And, Comparison, Condition, Intent, Not, Op, Or
from bot.model.names import Name

_PLAIN = re.compile(r"\w[\w.:%/+-]*\Z")
_NUMBER = re.compile(r"\A\d+(?=[ ,]|\Z)")
_PLAIN_ID = re.compile(r"[\w.:-]*[\w-]\Z", re.ASCII)


def reserved_words() -> frozenset[str]:
    """Every word that means something in some sentence, from all that is declared."""
    return _reserved(len(_DECLARED))


@lru_cache(maxsize=1)
def _reserved(_declared: int) -> frozenset[str]:  # one more makes it look again
    words = {"and", "or", "not"}
    for op in Op:
        words.update(op.value.split())
    for intent in _every(Intent):
        words.update(intent.words.split())
        for _, how in clauses(intent):
            words.update(how.keyword.split())
            if not how.keyword and isinstance(how.takes, OneOf | SomeOf):
                words.update(one for each in how.takes.words for one in each.split())
    return frozenset(words)


def _every(kind: type[Intent]) -> Iterator[type[Intent]]:
    for each in kind.__subclasses__():
        yield each
        yield from _every(each)


def quote(text: str) -> str:
    """Text as one quoted token; a double quote inside is doubled."""
    return '"' + text.replace('"', '""') + '"'


def with_typed(sentence: str, text: str) -> str:
    """A sentence with what was typed into the text field above its button; blank text is told from none."""
    return f"{sentence} {TYPED} {quote(text.strip() or ' ')}"


def say(intent: Intent) -> str:
    """The exact sentence of an intent, resolved or not; names are not empty."""
    return _said(intent, len(_DECLARED))


def spoken(condition: Condition) -> str:
    """A condition for people: without ids, and without quotes."""
    match condition:
        case Comparison(of, Op.IS_EMPTY):
            return f"{of.text} is empty"
        case Comparison(of, Op.IN, values):
            return f"{of.text} in {', '.join(values)}"
        case Comparison(of, op, values):
            return f"{of.text} {op} {' and '.join(values)}"
        case Not(part):
            return f"not {spoken(part)}"
        case And(parts) | Or(parts):
            return f"({f' {type(condition).__name__.lower()} '.join(map(spoken, parts))})"
        case _:
            assert_never(condition)


@lru_cache(maxsize=4096)
def _said(intent: Intent, _declared: int) -> str:
    parts = [type(intent).words]
    counts = any(not how.keyword and isinstance(how.takes, Count) for _, how in clauses(type(intent)))
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        if value != each.default:
            said = _clause(how.takes, value)
            if counts and not how.keyword and not isinstance(how.takes, Count):
                said = _NUMBER.sub(r'"\g<0>"', said)  # without quotes it would be the count
            parts.append(f"{how.keyword} {said}".strip())
    return " ".join(parts)


def _text(value: str) -> str:
    plain = _PLAIN.match(value) and value.casefold() not in reserved_words()
    return value if plain else quote(value)


def _name(value: Name) -> str:
    said = _text(value.text)
    return f"{said} #{value.id if _PLAIN_ID.match(value.id) else quote(value.id)}" if value.id else said


def _clause(takes: Takes, value: Any) -> str:
    match takes:
        case OneName():
            return _name(value)
        case Names():
            return ", ".join(map(_name, value))
        case OneOf(words, or_period=True) if value not in words:
            return _text(value)
        case OneOf() | Count():
            return str(value)
        case SomeOf() | Days():
            return ", ".join(value)
        case TimeOfDay():
            return f"{value:%H:%M}"
        case Lasting():
            return lasting(value)
        case Crosses():
            return f"{value.op} {_text(value.value)}"
        case Flag():
            return ""
        case Phrase():
            return _text(value)
        case Where():
            return _condition(value)
        case Sentence():
            return quote(say(value))
        case SortBy():
            return ", ".join(("-" if key.descending else "") + _name(key.field) for key in value)
        case _:
            assert_never(takes)


def lasting(value: timedelta) -> str:
    """How long something is, in the exact language: `2 h`, `90 min`."""
    minutes = value // timedelta(minutes=1)
    return f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"


def _condition(value: Condition, *, inside: bool = False) -> str:
    match value:
        case Comparison(of, Op.IS_EMPTY):
            return f"{_name(of)} {Op.IS_EMPTY}"
        case Comparison(of, Op.IN, values):
            return f"{_name(of)} in ({', '.join(map(_text, values))})"
        case Comparison(of, op, values):
            return f"{_name(of)} {op} {' and '.join(map(_text, values))}"
        case Not(part):
            return f"not {_condition(part, inside=True)}"
        case And(parts) | Or(parts):
            joined = f" {type(value).__name__.lower()} ".join(_condition(each, inside=True) for each in parts)
            return f"({joined})" if inside else joined
        case _:
            assert_never(value)
