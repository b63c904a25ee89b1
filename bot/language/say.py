"""The canonical sentence of an intent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, assert_never

from bot.language.declare import (
    Clause,
    Count,
    Flag,
    Names,
    OneName,
    OneOf,
    Phrase,
    SomeOf,
    SortBy,
    Takes,
    Where,
    clauses,
    ends_itself,
)
from bot.model.intents import _DECLARED, And, Comparison, Condition, Intent, Not, Op, Or
from bot.model.names import Name

CONNECTIVES = frozenset({"and", "or", "not"})
OPERATOR_WORDS: Mapping[str, tuple[Op, bool]] = {
    "is": (Op.EQ, False),
    "equals": (Op.EQ, False),
    "equal to": (Op.EQ, False),
    "is equal to": (Op.EQ, False),
    "is not": (Op.NE, False),
    "not equal to": (Op.NE, False),
    "is not equal to": (Op.NE, False),
    "contains": (Op.CONTAINS, False),
    "not contains": (Op.CONTAINS, True),
    "does not contain": (Op.CONTAINS, True),
    "starts with": (Op.STARTS_WITH, False),
    "does not start with": (Op.STARTS_WITH, True),
    "ends with": (Op.ENDS_WITH, False),
    "does not end with": (Op.ENDS_WITH, True),
    "in": (Op.IN, False),
    "is in": (Op.IN, False),
    "is one of": (Op.IN, False),
    "not in": (Op.IN, True),
    "is not in": (Op.IN, True),
    "between": (Op.BETWEEN, False),
    "is between": (Op.BETWEEN, False),
    "not between": (Op.BETWEEN, True),
    "is not between": (Op.BETWEEN, True),
    "is empty": (Op.IS_EMPTY, False),
    "is null": (Op.IS_EMPTY, False),
    "is missing": (Op.IS_EMPTY, False),
    "is not empty": (Op.IS_EMPTY, True),
    "is not null": (Op.IS_EMPTY, True),
    "is not missing": (Op.IS_EMPTY, True),
    "more than": (Op.GT, False),
    "is more than": (Op.GT, False),
    "greater than": (Op.GT, False),
    "is greater than": (Op.GT, False),
    "less than": (Op.LT, False),
    "is less than": (Op.LT, False),
    "at least": (Op.GE, False),
    "is at least": (Op.GE, False),
    "at most": (Op.LE, False),
    "is at most": (Op.LE, False),
    "after": (Op.GT, False),
    "is after": (Op.GT, False),
    "before": (Op.LT, False),
    "is before": (Op.LT, False),
    "since": (Op.GE, False),
    "until": (Op.LE, False),
}
"""Comparisons in words, and whether they say the opposite. `!=` and `is not` are `NE`, not the opposite of `EQ`."""
DIRECTIONS: Mapping[str, bool] = {
    "asc": False,
    "ascending": False,
    "desc": True,
    "descending": True,
}
"""Words behind a field to sort by, and whether it then descends."""
FILLER = tuple(
    """what is the|what is our|what is my|what is|what are our|what are the|what are|what's our|what's the|what's|whats
    how is|how are|how many|can you|could you|would you|i want to|i want|i need|show me|give me|tell me|list|show|get
    please|pls|plz|kindly|hey|hello|hi|now|right now|thanks|thank you|asap|our|the|bitte|zeig mir|zeige""".replace(
        "\n    ", "|"
    ).split("|")
)
"""Words that people wrap around a sentence; dropped at its edges, so a name that holds one is quoted."""
QUESTION_WORDS = frozenset(
    (  # noqa: SIM905 - a paragraph reads better than fifty lines
        "all any am are did do does doing done everything fail failed finished had has have how i it list long me my "
        "of still running runs started state stopped table team that there they this timezone to was were what when "
        "where which who why with zone"
    ).split()
)
"""Words that other ways to start a sentence are made of ("is … still running"); a name that holds one is quoted."""

OFTEN_IN_NAMES = frozenset(
    {"of", "in", "on", "by", "at", "for", "from", "per", "to", "with", "via", "as", "if"}
)
"""Keywords that are common in texts; a free text or a value, which no catalog can confirm, ends at all others."""
LONGEST_BARE = 24
"""Words of the longest text that is said, and read, without quotes."""
_PLAIN_WORD = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*\Z")
_PLAIN_ID = re.compile(r"[\w.:-]*[\w-]\Z", re.ASCII)
_PLAIN_NUMBER = re.compile(r"\d[\d.,:-]*[km%]?\Z", re.ASCII | re.IGNORECASE)
_TRAILING_DIGITS = re.compile(r"\d+\Z")


def fold(text: str) -> str:
    """What two words must share to count as the same word: width, case and the form of an apostrophe do not matter."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)


_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'"})


def looks_like_a_number(word: str) -> bool:
    """Whether a value is surely over after this word (`1000`, `10k`, `2026-03-01`), so that a keyword may follow."""
    return _PLAIN_NUMBER.match(word) is not None


def _subclasses(kind: type[Intent]) -> Iterator[type[Intent]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def own_words(intent: type[Intent]) -> frozenset[str]:
    """Every single word, folded, that opens a clause of this intent or is one of its fixed words."""
    words: set[str] = set()
    for _, how in clauses(intent):
        fixed = how.takes.words if isinstance(how.takes, OneOf | SomeOf) else ()
        for phrase in (how.keyword, *how.also, *fixed):
            words.update(fold(phrase).split())
    return frozenset(words)


@dataclass(frozen=True, slots=True)
class Reserved:
    """Single words, folded, that mean something in some sentence.

    Attributes:
        anywhere: A name that holds one of these is said in quotes.
        at_start: Command words and words for kinds of things; they matter only directly behind other command words
            (`use knowledge model`), so a name may hold them further on (`job main job`).
    """

    anywhere: frozenset[str]
    at_start: frozenset[str]


def reserved_words() -> Reserved:
    """The words that `say` quotes, from everything that is declared."""
    return _reserved(len(_DECLARED))


@lru_cache(maxsize=1)
def _reserved(_declared: int) -> Reserved:  # one more makes it look again
    intents = tuple(_subclasses(Intent))
    words = {*CONNECTIVES, *DIRECTIONS, *QUESTION_WORDS}
    for phrase in (*FILLER, *OPERATOR_WORDS, *(op.value for op in Op)):
        words.update(fold(phrase).split())
    words.update(*map(own_words, intents))
    return Reserved(
        frozenset(words), frozenset(word for each in intents for word in fold(each.words).split())
    )


def quote(text: str) -> str:
    """Text as one quoted token; a double quote inside is doubled."""
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class _Voice:
    """How the texts of one clause are said.

    Attributes:
        reserved: Words that need quotes.
        numbers: A bare number would be taken for a count.
        at_start: The text stands directly behind the command's words.
    """

    reserved: Reserved
    numbers: bool
    at_start: bool

    def bare(self, text: str) -> bool:
        words = text.split(" ")
        if len(words) > LONGEST_BARE or (self.at_start and fold(words[0]) in self.reserved.at_start):
            return False
        return all(_PLAIN_WORD.match(word) and not self._means_something(fold(word)) for word in words)

    def _means_something(self, word: str) -> bool:
        without_count = _TRAILING_DIGITS.sub("", word)
        reserved = self.reserved.anywhere
        return word in reserved or without_count in reserved or (not without_count and self.numbers)

    def text(self, text: str, *, quoted: bool = False) -> str:
        return quote(text) if quoted or not self.bare(text) else text

    def name(self, name: Name, *, quoted: bool = False) -> str:
        said = self.text(name.text, quoted=quoted)
        if not name.id:
            return said
        return f"{said} #{name.id if _PLAIN_ID.match(name.id) else quote(name.id)}"


def say(intent: Intent) -> str:
    """The canonical sentence: parsing it gives exactly this intent back.

    Keywords inside names are normal, so `kpi Cost of Goods Sold` can be read in two ways. Where a text is followed by
    a keyword, one of the two sides is quoted, and then it cannot: `kpi "Cost" of Goods Sold`.

    Args:
        intent: Any intent, resolved or not. Names are not empty.

    Returns:
        One line of text that a person could have typed.
    """
    return _said(intent, len(_DECLARED))


@lru_cache(maxsize=4096)
def _said(intent: Intent, _declared: int) -> str:
    said_clauses = [
        (how, value)
        for each, how in clauses(type(intent))
        if (value := getattr(intent, each.name)) != each.default
    ]
    without_keyword = [how.takes for _, how in clauses(type(intent)) if not how.keyword]
    numbers = any(isinstance(takes, Count) for takes in without_keyword)
    first = next((takes for takes in without_keyword if not ends_itself(takes)), None)
    reserved = reserved_words()
    parts: list[str] = []
    behind: tuple[Clause, str, Any] | None = None
    for index in reversed(range(len(said_clauses))):
        how, value = said_clauses[index]
        said = _say_value(
            how.takes,
            value,
            _Voice(reserved, numbers, at_start=not how.keyword),
            first=first is not None
            and bool(how.keyword)
            and all(ends_itself(other.takes) for other, _ in said_clauses[:index])
            and not _protected(first, how, "", value),
            last=behind is not None and not _protected(how.takes, *behind),
        )
        parts.append(f"{how.keyword} {said}".strip())
        behind = how, said, value
    return " ".join((type(intent).words, *reversed(parts)))


def _protected(before: Takes, how: Clause, said: str, value: Any) -> bool:
    """Whether a bare text cannot go on across the keyword of the clause behind it.

    A quote ends it, and so does the symbol of a comparison, unless the text is a part of a condition itself; there the
    keyword may even be an operator (`in`). Where no catalog can confirm the text, most keywords end it.
    """
    if isinstance(before, Where) and how.keyword in OPERATOR_WORDS:
        return False
    if isinstance(before, Phrase) or (isinstance(before, Where) and not isinstance(how.takes, Where)):
        unlikely = bool(how.keyword) and fold(how.keyword).split()[0] not in OFTEN_IN_NAMES
    else:
        unlikely = False
    return (
        unlikely
        or said.lstrip("-(").startswith('"')
        or (_symbol_comes_first(value) and not isinstance(before, Where))
    )


def _symbol_comes_first(value: Any) -> bool:
    """Whether a value is a condition whose first operator is a symbol, which no bare name can hold."""
    while isinstance(value, Not | And | Or):
        value = value.part if isinstance(value, Not) else value.parts[0]
    return isinstance(value, Comparison) and not value.op.value[0].isalpha()


def _say_value(takes: Takes, value: Any, voice: _Voice, *, first: bool, last: bool) -> str:
    """One clause. `first` and `last` say whether its first and its last text must be in quotes."""
    match takes:
        case OneName():
            return voice.name(value, quoted=first or (last and not value.id))
        case Names():
            return ", ".join(voice.name(name, quoted=first or last) for name in value)
        case OneOf() | Count():
            return str(value)
        case SomeOf():
            return ", ".join(value)
        case Flag():
            return ""
        case Phrase():
            return voice.text(value, quoted=first or last)
        case Where():
            return _say_condition(value, voice, first=first, last=last)
        case SortBy():
            return ", ".join(
                ("-" if key.descending else "") + voice.name(key.field, quoted=first or last) for key in value
            )
        case _:
            assert_never(takes)


def _say_condition(
    condition: Condition, voice: _Voice, *, first: bool = False, last: bool = False, inside: bool = False
) -> str:
    match condition:
        case Comparison():
            return _say_comparison(condition, voice, first=first, last=last)
        case Not(part):
            return f"not {_say_condition(part, voice, first=first, last=last, inside=True)}"
        case And(parts) | Or(parts):
            joined = f" {type(condition).__name__.lower()} ".join(
                _say_condition(
                    part,
                    voice,
                    first=first and index == 0,
                    last=last and not inside and index == len(parts) - 1,
                    inside=True,
                )
                for index, part in enumerate(parts)
            )
            return f"({joined})" if inside else joined
        case _:
            assert_never(condition)


def _say_comparison(comparison: Comparison, voice: _Voice, *, first: bool, last: bool) -> str:
    name, op, values = comparison.field, comparison.op, comparison.values
    head = f"{voice.name(name, quoted=first)} {op}"
    match op:
        case Op.IS_EMPTY:
            return head
        case Op.IN:
            return f"{head} ({', '.join(voice.text(value) for value in values)})"
        case _:
            *others, final = values
            said = [voice.text(value) for value in others]
            ends = looks_like_a_number(final) and (" " in op or not op.isalpha())
            said.append(voice.text(final, quoted=last and not ends))
            return f"{head} {' and '.join(said)}"
