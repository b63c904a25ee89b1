"""How the fields of an intent are spoken.

An intent is a frozen dataclass. Its class attribute `words` is how its sentence starts; each field is one clause of
that sentence and says in its metadata which keyword opens it and what it takes. `say` and the parser in
`bot.language.parse` both walk these declarations, so a new intent needs no code in either, and
`parse(say(intent)) == (intent,)` holds for every intent there will ever be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar, assert_never

from bot.model.errors import BadArgument
from bot.model.intents import Comparison, Intent, SortKey, comparisons, map_comparisons
from bot.model.names import Kind, Name

TYPED = "typed"
"""Opens what was typed into the text field of a card: a click sends it behind the sentence of its button."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SETS_OF_DAYS: Mapping[str, tuple[str, ...]] = {
    "day": WEEKDAYS,
    "weekday": WEEKDAYS[:5],
    "weekend": WEEKDAYS[5:],
}
"""Words for several days of the week."""
LONGEST_LASTING = timedelta(days=366)
LARGEST = 10**12
"""The largest whole number that is read: whatever is counted, added or stored with it stays within 64 bits."""

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent"

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
    """One of a few fixed words, or a period too. Value: `str`, empty where nothing was said."""

    words: tuple[str, ...]
    or_period: bool = False


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


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time on the clock, `23:45`. Value: `time | None`."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long, in whole minutes or hours: `90 min`, `2 h`. Value: `timedelta | None`."""


@dataclass(frozen=True, slots=True)
class Days:
    """Days of the week, or words for several of them, with commas between. Value: `tuple[str, ...]`."""


@dataclass(frozen=True, slots=True)
class Crosses:
    """A line that a value crosses: `< 90%`. Value: `Bound | None`."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Another sentence, as a whole in quotes. Value: `Intent | None`."""


Timing: TypeAlias = TimeOfDay | Lasting | Days | Crosses
"""What is said of times and limits; its words show where it ends."""
Takes: TypeAlias = (
    OneName | Names | OneOf | SomeOf | Count | Flag | Phrase | Where | SortBy | Timing | Sentence
)


@dataclass(frozen=True, slots=True)
class Clause:
    """How one field of an intent is said. Without a keyword it stands directly behind the command's words."""

    keyword: str
    takes: Takes


def clause(keyword: str, takes: Takes) -> Mapping[str, Clause]:
    """Metadata for a dataclass field.

    Args:
        keyword: The word or words that open the clause; empty for the one that stands first.
        takes: What follows.
    """
    return {"clause": Clause(keyword, takes)}


@dataclass(frozen=True, slots=True)
class CelonisIntent(Intent):
    """An intent that asks a Celonis team; `via` says which where there are several."""

    via: Name | None = field(default=None, metadata=clause("via", OneName(Kind.CONNECTION)))


def whole_number(digits: str) -> int:
    """What digits stand for.

    Raises:
        BadArgument: It is larger than anything that can be counted here.
    """
    number = int(digits)
    if number > LARGEST:
        raise BadArgument(f"The largest number I take is {LARGEST:,}.", hint="Say a smaller one.")
    return number


def ends_itself(takes: Takes) -> bool:
    """Whether a clause's words show where it ends: fixed words and numbers do, names and free text do not."""
    return isinstance(takes, OneOf | SomeOf | Count | Flag | Timing)


_CLAUSES: dict[type[Intent], tuple[tuple[Field[Any], Clause], ...]] = {}


def clauses(intent: type[Intent]) -> tuple[tuple[Field[Any], Clause], ...]:
    """The fields of an intent with their clauses, in the order in which they are said.

    First the one that stands directly behind the command's words, then fixed words without a keyword, a sentence
    behind them, then the others as they are declared, `via` last.
    """
    found = _CLAUSES.get(intent)
    if found is None:
        pairs = [(each, each.metadata["clause"]) for each in fields(intent)]
        found = _CLAUSES[intent] = tuple(sorted(pairs, key=lambda pair: _place(pair[1])))
    return found


def _place(how: Clause) -> tuple[bool, int]:
    if how.keyword:
        return True, how.keyword == "via"
    return False, 2 if isinstance(how.takes, Sentence) else ends_itself(how.takes)


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
            case Sentence():
                if value is not None:
                    yield from names(value)
            case (
                OneOf()
                | SomeOf()
                | Count()
                | Flag()
                | Phrase()
                | TimeOfDay()
                | Lasting()
                | Days()
                | Crosses()
            ):
                pass
            case _:
                assert_never(how.takes)


def about_another(intent: type[Intent]) -> bool:
    """Whether a sentence is about another one."""
    return any(isinstance(how.takes, Sentence) for _, how in clauses(intent))


def map_names(intent: I, change: Callable[[str, Kind, Name], Name]) -> I:
    """The same intent with every name put through `change` (field of the intent, kind, name)."""
    changed: dict[str, Any] = {}
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        match how.takes:
            case OneName(kind) if value is not None:
                changed[each.name] = change(each.name, kind, value)
            case Names(kind) if value:
                changed[each.name] = tuple(change(each.name, kind, name) for name in value)
            case Where() if value is not None:
                changed[each.name] = map_comparisons(
                    value, partial(_renamed, partial(change, each.name, Kind.FIELD))
                )
            case SortBy() if value:
                changed[each.name] = tuple(
                    SortKey(change(each.name, Kind.FIELD, key.field), key.descending) for key in value
                )
            case Sentence() if value is not None:
                changed[each.name] = map_names(value, change)
            case _:
                pass
    return replace(intent, **changed)


def _renamed(change: Callable[[Name], Name], comparison: Comparison) -> Comparison:
    return replace(comparison, field=change(comparison.field))
