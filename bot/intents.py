"""What a person can mean, and the canonical sentence for it.

An intent is a frozen dataclass. Its class attribute `words` is how its sentence starts; each field is one clause of
that sentence and says in its metadata which keyword opens it and what it takes. `say` and the parser in
`bot.grammar` both walk these declarations, so a new intent needs no code in either, and
`parse(say(intent)) == (intent,)` holds for every intent there will ever be.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias, assert_never


class Kind(StrEnum):
    """What a name can be the name of."""

    CONNECTION = "connection"
    MODEL = "knowledge model"
    RECORD = "record"
    FIELD = "field"
    KPI = "KPI"
    FILTER = "filter"
    TRIGGER = "trigger"
    POOL = "data pool"
    JOB = "data job"
    DATA_MODEL = "data model"
    SPACE = "space"
    PACKAGE = "package"
    ANALYSIS = "analysis"


@dataclass(frozen=True, slots=True)
class Name:
    """What a person called something; `id` is filled in once it is known which thing is meant."""

    text: str
    id: str = ""


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


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: Name
    descending: bool = False


# --- what a clause takes: a closed set, known to `say` and to the parser ---------------------------------------


@dataclass(frozen=True, slots=True)
class OneName:
    """One name: `main job`, or `main job #0bae5839` once it is resolved. Value: `Name | None`."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Names:
    """Names with commas between them. Value: `tuple[Name, ...]`."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few fixed words. Value: `str`, empty where nothing was said."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SomeOf:
    """Some of a few fixed words, with commas between them. Value: `tuple[str, ...]`."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number from 1 on. Value: `int`; its default is never said."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The keyword alone. Value: `bool`."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Free text. Value: `str`, empty where nothing was said."""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition. Value: `Condition | None`."""


@dataclass(frozen=True, slots=True)
class SortBy:
    """Fields to sort by, `-` before those that descend. Value: `tuple[SortKey, ...]`."""


Takes: TypeAlias = OneName | Names | OneOf | SomeOf | Count | Flag | Phrase | Where | SortBy


@dataclass(frozen=True, slots=True)
class Clause:
    """How one field of an intent is said. Without a keyword it stands directly behind the command's words."""

    keyword: str
    takes: Takes
    also: tuple[str, ...] = ()


def clause(keyword: str, takes: Takes, *also: str) -> Mapping[str, Clause]:
    """Metadata for a dataclass field.

    Args:
        keyword: The word or words that open the clause; empty for the one that stands first.
        takes: What follows.
        also: Other words that open the same clause.
    """
    return {"clause": Clause(keyword, takes, also)}


_DECLARED: list[str] = []
"""Grows with every intent that is declared."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Base of all intents. Every field of a subclass has a default and a `clause`."""

    words: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        _DECLARED.append(cls.__name__)


@dataclass(frozen=True, slots=True)
class CelonisIntent(Intent):
    """An intent that asks a Celonis team; `via` says which where there are several."""

    via: Name | None = field(default=None, metadata=clause("via", OneName(Kind.CONNECTION)))


def ends_itself(takes: Takes) -> bool:
    """Whether a clause's words show where it ends: fixed words and numbers do, names and free text do not."""
    return isinstance(takes, OneOf | SomeOf | Count | Flag)


def clauses(intent: type[Intent]) -> tuple[tuple[Field[Any], Clause], ...]:
    """The fields of an intent with their clauses, in the order in which they are said.

    First the one that stands directly behind the command's words, then fixed words without a keyword, then the
    others as they are declared, `via` last.
    """
    pairs = [(each, each.metadata["clause"]) for each in fields(intent)]
    return tuple(sorted(pairs, key=lambda pair: _place(pair[1])))


def _place(how: Clause) -> tuple[bool, bool]:
    return (True, how.keyword == "via") if how.keyword else (False, ends_itself(how.takes))


def names(intent: Intent) -> Iterator[tuple[str, Kind, Name]]:
    """Every name in an intent, with the field it stands in and what it names (conditions and sorting included)."""
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        match how.takes:
            case OneName(kind):
                if value is not None:
                    yield each.name, kind, value
            case Names(kind):
                for name in value:
                    yield each.name, kind, name
            case Where():
                if value is not None:
                    for comparison in comparisons(value):
                        yield each.name, Kind.FIELD, comparison.field
            case SortBy():
                for key in value:
                    yield each.name, Kind.FIELD, key.field
            case OneOf() | SomeOf() | Count() | Flag() | Phrase():
                pass
            case _:
                assert_never(how.takes)


# --- the canonical sentence ------------------------------------------------------------------------------------

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
def _reserved(declared: int) -> Reserved:  # noqa: ARG001 - one more makes it look again
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
