"""What a person can mean, and the canonical sentence for it.

An intent is a frozen dataclass. Its class attribute `words` is how its sentence starts; each field is one clause of
that sentence and says in its metadata which keyword opens it and what it takes. `say` and the parser in
`bot.grammar` both walk these declarations, so a new intent needs no code in either, and
`parse(say(intent)) == (intent,)` holds for every intent there will ever be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
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
    """All parts hold. Nested ones are flattened, so that equal conditions are equal values."""

    parts: tuple[Condition, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(_flat(And, self.parts)))


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds. Nested ones are flattened."""

    parts: tuple[Condition, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(_flat(Or, self.parts)))


Condition: TypeAlias = Comparison | Not | And | Or


def _flat(kind: type[And | Or], parts: tuple[Condition, ...]) -> Iterator[Condition]:
    for part in parts:
        if isinstance(part, kind):
            yield from part.parts
        else:
            yield part


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


@dataclass(frozen=True, slots=True)
class Intent:
    """Base of all intents. Every field of a subclass has a default and a `clause`."""

    words: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class CelonisIntent(Intent):
    """An intent that asks a Celonis team; `via` says which where there are several."""

    via: Name | None = field(default=None, metadata=clause("via", OneName(Kind.CONNECTION)))


def clauses(intent: type[Intent]) -> tuple[tuple[Field[Any], Clause], ...]:
    """The fields of an intent with their clauses, in the order in which they are said."""
    pairs = [(each, each.metadata["clause"]) for each in fields(intent)]
    return tuple(sorted(pairs, key=lambda pair: (bool(pair[1].keyword), pair[1].keyword == "via")))


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
FILLER = tuple(
    """what is the|what is our|what is my|what is|what are our|what are the|what are|what's our|what's the|what's|whats
    how is|how are|how many|can you|could you|would you|i want to|i want|i need|show me|give me|tell me|list|show|get
    please|pls|plz|kindly|hey|hello|hi|now|right now|thanks|thank you|asap|our|the|bitte|zeig mir|zeige""".replace(
        "\n    ", "|"
    ).split("|")
)
"""Words that people wrap around a sentence; dropped at its edges, so a name that holds one is quoted."""

_PLAIN_WORD = re.compile(r"\w[\w-]*\Z")
_PLAIN_ID = re.compile(r"[\w.:-]+\Z", re.ASCII)


def _subclasses(kind: type[Intent]) -> Iterator[type[Intent]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


def reserved_words() -> frozenset[str]:
    """Every single word that means something in some sentence; a name that holds one is said in quotes."""
    words = set(CONNECTIVES)
    for phrase in FILLER:
        words.update(phrase.split())
    for op in Op:
        words.update(op.value.split())
    for intent in _subclasses(Intent):
        words.update(intent.words.casefold().split())
        for _, how in clauses(intent):
            for opener in (how.keyword, *how.also):
                words.update(opener.split())
            if isinstance(how.takes, OneOf | SomeOf):
                for word in how.takes.words:
                    words.update(word.split())
    return frozenset(words)


def quote(text: str) -> str:
    """Text as one quoted token; a double quote inside is doubled."""
    return '"' + text.replace('"', '""') + '"'


def _bare(text: str, reserved: frozenset[str]) -> bool:
    words = text.split(" ")
    return all(_PLAIN_WORD.match(word) and word.casefold() not in reserved for word in words)


def say(intent: Intent) -> str:
    """The canonical sentence: parsing it gives exactly this intent back.

    Args:
        intent: Any intent, resolved or not.

    Returns:
        One line of text that a person could have typed.
    """
    reserved = reserved_words()
    parts = [type(intent).words]
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        if value == each.default:
            continue
        said = _say_value(how.takes, value, reserved)
        parts.extend(part for part in (how.keyword, said) if part)
    return " ".join(parts)


def _say_value(takes: Takes, value: Any, reserved: frozenset[str]) -> str:
    match takes:
        case OneName():
            return _say_name(value, reserved)
        case Names():
            return ", ".join(_say_name(name, reserved) for name in value)
        case OneOf():
            return str(value)
        case SomeOf():
            return ", ".join(value)
        case Count():
            return str(value)
        case Flag():
            return ""
        case Phrase():
            return _say_text(value, reserved)
        case Where():
            return _say_condition(value, reserved)
        case SortBy():
            return ", ".join(
                ("-" if key.descending else "") + _say_name(key.field, reserved) for key in value
            )
        case _:
            assert_never(takes)


def _say_text(text: str, reserved: frozenset[str]) -> str:
    return text if _bare(text, reserved) else quote(text)


def _say_name(name: Name, reserved: frozenset[str]) -> str:
    said = _say_text(name.text, reserved)
    if not name.id:
        return said
    return f"{said} #{name.id if _PLAIN_ID.match(name.id) else quote(name.id)}"


def _say_condition(condition: Condition, reserved: frozenset[str], *, inside: bool = False) -> str:
    match condition:
        case Comparison(name, op, values):
            said = [_say_text(value, reserved) for value in values]
            head = f"{_say_name(name, reserved)} {op}"
            match op:
                case Op.IS_EMPTY:
                    return head
                case Op.IN:
                    return f"{head} ({', '.join(said)})"
                case Op.BETWEEN:
                    return f"{head} {said[0]} and {said[1]}"
                case _:
                    return f"{head} {said[0]}"
        case Not(part):
            return f"not {_say_condition(part, reserved, inside=True)}"
        case And(parts):
            joined = " and ".join(_say_condition(part, reserved, inside=True) for part in parts)
        case Or(parts):
            joined = " or ".join(_say_condition(part, reserved, inside=True) for part in parts)
        case _:
            assert_never(condition)
    return f"({joined})" if inside else joined
