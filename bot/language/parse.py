"""Reads exact sentences: what `say` writes, buttons carry and the docs list. One reading, or an error with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from datetime import time, timedelta
from typing import Any, NamedTuple, assert_never

from bot.language.declare import (
    LONGEST_LASTING,
    SETS_OF_DAYS,
    WEEKDAYS,
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
    ends_itself,
    whole_number,
)
from bot.language.say import reserved_words
from bot.model.errors import BadArgument
from bot.model.intents import ORDERINGS, And, Bound, Comparison, Condition, Intent, Not, Op, Or, SortKey
from bot.model.names import Name

LONGEST = 4000
"""Characters of the longest sentence that is read."""
_DEEPEST = 60
_CLOCK = re.compile("([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DAYS = (*SETS_OF_DAYS, *WEEKDAYS)
_TIMING: Mapping[type[Timing], str] = {
    TimeOfDay: "a time",
    Lasting: "how long",
    Days: "days of the week",
    Crosses: "a comparison",
}
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1)}
_TOKEN = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"]|"")*")|#(?P<id>"(?:[^"]|"")*"|[\w.:-]*[\w-])'
    r'|(?P<mention><[@#!][^\s<>]+>)|(?P<symbol><=|>=|!=|[=<>(),])|(?P<word>[^\s"#=<>!(),]+))'
)


class NotExact(Exception):
    """A text is no exact sentence.

    Attributes:
        place: The character at which it stopped being one.
        wanted: What would fit there.
    """

    def __init__(self, place: int, wanted: Iterable[str]) -> None:
        self.place = place
        self.wanted = tuple(wanted)
        super().__init__(f"at {place}: {', '.join(self.wanted)}")


class Token(NamedTuple):
    """A piece of an exact sentence; what stands in quotes is never a word of the language."""

    kind: str
    text: str
    place: int

    @property
    def folded(self) -> str:
        return self.text.casefold() if self.kind in {"word", "symbol"} else ""


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotExact(at, ())
        kind = match.lastgroup or ""
        piece = match.group(kind)
        kind = "quoted" if kind == "mention" else kind
        if kind in {"quoted", "id"} and piece.startswith('"'):
            piece = piece[1:-1].replace('""', '"')
        found.append(Token(kind, piece, match.end() - len(match.group().lstrip())))
        at = match.end()
    return found


@dataclass(frozen=True, slots=True)
class Exact:
    """Reads exact sentences.

    Args:
        intents: All that can be said.
    """

    intents: tuple[type[Intent], ...]

    def parse(self, text: str) -> Intent:
        """The intent of an exact sentence.

        Raises:
            NotExact: It is none.
            BadArgument: A number in it is larger than anything that can be counted.
        """
        if len(text) > LONGEST:
            raise NotExact(LONGEST, ())
        tokens = _tokens(text)
        words = [each.folded for each in tokens]
        starts = [each for each in self.intents if words[: len(each.words.split())] == each.words.split()]
        if not starts:
            raise NotExact(0, sorted({each.words for each in self.intents}))
        intent = max(starts, key=lambda each: len(each.words.split()))
        reader = _Reader(tokens, len(intent.words.split()), reserved_words(), len(text), self.parse)
        return reader.intent(intent)


class _Reader:
    def __init__(
        self,
        tokens: Sequence[Token],
        at: int,
        reserved: frozenset[str],
        end: int,
        sentence: Callable[[str], Intent],
    ) -> None:
        self.tokens = tokens
        self.at = at
        self.reserved = reserved
        self.end = end
        self.sentence = sentence

    def intent(self, intent: type[Intent]) -> Intent:
        values: dict[str, Any] = {}
        open_ones = list(clauses(intent))
        while self.at < len(self.tokens):
            for each, how in sorted(open_ones, key=_order):
                value = self._clause(how.keyword, how.takes)
                if value is not None:
                    values[each.name] = value
                    open_ones.remove((each, how))
                    if how.keyword:  # what has no keyword stands first
                        open_ones = [one for one in open_ones if one[1].keyword]
                    break
            else:
                raise self._unfit(how.keyword or _about(how.takes) for _, how in open_ones)
        return intent(**values)

    def _clause(self, keyword: str, takes: Takes) -> Any:
        """The clause that begins here; None if it is another one."""
        if keyword:
            words = keyword.split()
            if [each.folded for each in self.tokens[self.at : self.at + len(words)]] != words:
                return None
            self.at += len(words)
            return self._value(takes)
        match takes:
            case OneOf() | SomeOf():
                if self._phrase(takes.words, ahead=True) is None:
                    return None
            case Count():
                if not self._peek().text.isdecimal() or self._peek().kind != "word":
                    return None
            case TimeOfDay() | Lasting() | Days() | Crosses():
                if not self._timing_begins(takes):
                    return None
            case Phrase():
                return (
                    self._next().text
                )  # what no clause begins with is text here, even a word of the language
            case Where():
                if not self._is_text() and self._peek().folded not in {"not", "("}:
                    return None
            case _:
                if not self._is_text():
                    return None
        return self._value(takes)

    def _value(self, takes: Takes) -> Any:
        match takes:
            case OneName():
                return self._name()
            case Names():
                return tuple(self._listed(self._name))
            case OneOf(words, or_period):
                return (self._phrase(words) or self._text()) if or_period else self._one_of(words)
            case SomeOf(words):
                return tuple(self._listed(lambda: self._one_of(words)))
            case Count():
                return self._count()
            case Flag():
                return True
            case Phrase():
                return self._text()
            case Where():
                return self._either(0)
            case TimeOfDay() | Lasting() | Days() | Crosses():
                return self._timing(takes)
            case Sentence():
                return self.sentence(self._text())
            case SortBy():
                return tuple(self._listed(self._sort_key))
            case _:
                assert_never(takes)

    # --- pieces

    def _peek(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "", self.end)

    def _next(self) -> Token:
        token = self._peek()
        self.at += 1
        return token

    def _unfit(self, wanted: Iterable[str]) -> NotExact:
        return NotExact(self._peek().place, wanted)

    def _listed(self, one: Any) -> Iterator[Any]:
        yield one()
        while self._peek().folded == ",":
            self.at += 1
            yield one()

    def _is_text(self) -> bool:
        token = self._peek()
        return token.kind == "quoted" or (token.kind == "word" and token.folded not in self.reserved)

    def _text(self) -> str:
        if not self._is_text():
            raise self._unfit(["a name", "text in quotes"])
        return self._next().text

    def _name(self) -> Name:
        text = self._text()
        return Name(text, self._next().text) if self._peek().kind == "id" else Name(text)

    def _sort_key(self) -> SortKey:
        token = self._peek()
        if token.kind == "word" and token.text.startswith("-"):
            if len(token.text) == 1:
                self.at += 1
                return SortKey(self._name(), descending=True)
            rest = token.text[1:]
            if rest.casefold() in self.reserved:
                raise self._unfit(["a name"])
            self.at += 1
            return SortKey(
                Name(rest, self._next().text if self._peek().kind == "id" else ""), descending=True
            )
        return SortKey(self._name())

    def _phrase(self, words: Sequence[str], *, ahead: bool = False) -> str | None:
        for each in sorted(words, key=len, reverse=True):
            pieces = each.split()
            if [one.folded for one in self.tokens[self.at : self.at + len(pieces)]] == pieces:
                if not ahead:
                    self.at += len(pieces)
                return each
        return None

    def _one_of(self, words: Sequence[str]) -> str:
        found = self._phrase(words)
        if found is None:
            raise self._unfit(words)
        return found

    def _count(self) -> int:
        token = self._peek()
        if token.kind != "word" or not token.text.isdecimal() or not int(token.text):
            raise self._unfit(["a number from 1 on"])
        self.at += 1
        return whole_number(token.text)

    def _timing_begins(self, takes: Timing) -> bool:
        match takes:
            case TimeOfDay():
                return _CLOCK.fullmatch(self._peek().folded) is not None
            case Lasting():
                return self._peek().text.isdecimal() and self._peek().kind == "word"
            case Days():
                return self._phrase(_DAYS, ahead=True) is not None
            case Crosses():
                return self._phrase(ORDERINGS, ahead=True) is not None
            case _:
                assert_never(takes)

    def _timing(self, takes: Timing) -> Any:
        match takes:
            case TimeOfDay():
                return self._time()
            case Lasting():
                return self._lasting()
            case Days():
                return tuple(self._listed(lambda: self._one_of(_DAYS)))
            case Crosses():
                return Bound(Op(self._one_of(ORDERINGS)), self._text())
            case _:
                assert_never(takes)

    def _time(self) -> time:
        found = _CLOCK.fullmatch(self._peek().folded)
        if found is None:
            raise self._unfit(["a time such as 23:45"])
        self.at += 1
        return time(int(found[1]), int(found[2]))

    def _lasting(self) -> timedelta:
        number = self._count()
        unit = self._one_of(tuple(_UNITS))
        if number > LONGEST_LASTING // _UNITS[unit]:
            raise BadArgument("That is longer than a year.", hint="Say a shorter time.")
        return number * _UNITS[unit]

    # --- conditions

    def _either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._peek().folded == "or":
            self.at += 1
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._peek().folded == "and":
            self.at += 1
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise self._unfit(["fewer parentheses"])
        match self._peek().folded:
            case "not":
                self.at += 1
                return Not(self._one(depth + 1))
            case "(":
                self.at += 1
                inside = self._either(depth + 1)
                if self._next().folded != ")":
                    raise self._unfit([")"])
                return inside
            case _:
                return self._comparison()

    def _comparison(self) -> Comparison:
        of = self._name()
        op = self._phrase([each.value for each in Op])
        if op is None:
            raise self._unfit(each.value for each in Op)
        match Op(op):
            case Op.IS_EMPTY:
                return Comparison(of, Op.IS_EMPTY)
            case Op.IN:
                if self._next().folded != "(":
                    raise self._unfit(["("])
                values = tuple(self._listed(self._operand))
                if self._next().folded != ")":
                    raise self._unfit([")"])
                return Comparison(of, Op.IN, values)
            case Op.BETWEEN:
                low = self._operand()
                if self._next().folded != "and":
                    raise self._unfit(["and"])
                return Comparison(of, Op.BETWEEN, (low, self._operand()))
            case other:
                return Comparison(of, other, (self._operand(),))

    def _operand(self) -> str:
        return self._text()


def _order(one: tuple[Field[Any], Clause]) -> tuple[bool, bool]:
    """Which clause is tried first: one with a keyword, then fixed words and numbers, last what any text fits."""
    _, how = one
    return not how.keyword, not ends_itself(how.takes)


def _about(takes: Takes) -> str:
    match takes:
        case OneName(kind) | Names(kind):
            return kind.value
        case OneOf(words) | SomeOf(words):
            return ", ".join(words)
        case Count():
            return "a number"
        case TimeOfDay() | Lasting() | Days() | Crosses():
            return _TIMING[type(takes)]
        case Sentence():
            return "a sentence in quotes"
        case Flag() | Phrase() | Where() | SortBy():
            return "text"
        case _:
            assert_never(takes)
