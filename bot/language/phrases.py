"""Text as tokens, and what the words of one clause can mean.

`bot.language.parse` decides which words belong to which clause; here they become names, lists, numbers and conditions. A
stretch of words may mean several things, so each reader gives all of them, the likeliest first, each with a penalty.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from itertools import accumulate, islice, product
from typing import Any, NamedTuple, TypeAlias, assert_never

from bot.language.declare import Count, Flag, Names, OneName, OneOf, Phrase, SomeOf, SortBy, Takes, Where
from bot.language.say import DIRECTIONS, FILLER, LONGEST_BARE, OPERATOR_WORDS, fold, looks_like_a_number
from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Not, Op, Or, SortKey
from bot.model.names import Name

LONGEST = 4000
"""Characters of the longest text that is read."""
LARGEST = 10**12
"""The largest whole number that is read: whatever is counted, added or stored with it stays within 64 bits."""
_DEEPEST = 40
_READINGS = 4
_FUEL = 20_000
_KEPT_FILLER = 3
_KEPT_MARK = 2
_SPLIT_AT_AND = 1


class Is(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED = auto()
    COMMA = auto()
    OPEN = auto()
    CLOSE = auto()
    SYMBOL = auto()
    HASH = auto()


class Care(Enum):
    """How strictly words are read; what is less strict is tried only where the stricter finds nothing."""

    STRICT = auto()
    LOOSE = auto()
    """Values and free texts go on across keywords."""
    NONE = auto()
    """Quotes, `#` and operators may be a part of bare names as well."""


class Token(NamedTuple):
    """A piece of a sentence.

    `start` and `end` are its place in the source. `word` is the folded word, without punctuation behind it, and empty
    for everything but words. `text` is what is inside the quotes, the id behind `#`, or the operator of a symbol.
    """

    kind: Is
    start: int
    end: int
    word: str = ""
    text: str = ""


# --- tokens ----------------------------------------------------------------------------------------------------

_DASHES = "-–—―−‐‑‒﹣－"
_DOUBLE_QUOTES = '"“”„‟«»＂'
_SINGLE_QUOTES = "'‘’‚‛＇"
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in map(ord, "，（）＃＝＜＞？！．：；＇＋")}
_FLAT = {
    **_FULL_WIDTH,
    **dict.fromkeys(
        map(ord, "\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), " "
    ),
    ord("、"): ",",
    ord("。"): ".",
}
_SYMBOLS = {
    "=": Op.EQ,
    "==": Op.EQ,
    "!=": Op.NE,
    "<>": Op.NE,
    "≠": Op.NE,
    ">": Op.GT,
    ">=": Op.GE,
    "=>": Op.GE,
    "≥": Op.GE,
    "<": Op.LT,
    "<=": Op.LE,
    "=<": Op.LE,
    "≤": Op.LE,
}
_SYMBOL = re.compile("|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)))
_HASH_ID = re.compile(r"[^\s,()#\"=<>≤≥≠]+")
_WORD = re.compile(r"(?:[^\s,()=<>≤≥≠!]|!(?!=))+")
_CLOSING_SINGLE = re.compile(f"[{_SINGLE_QUOTES}](?=[\\s,)?!.;:]|$)")
MARKS = "?!.…;:"
_STRAIGHT = re.compile('"(?:[^"]|"")*"(?!")')
_CURLY = re.compile(f"[{_DOUBLE_QUOTES}][^{_DOUBLE_QUOTES}]*[{_DOUBLE_QUOTES}]")
_PUNCTUATION: dict[str, Is] = {",": Is.COMMA, "(": Is.OPEN, ")": Is.CLOSE}


class _Lexer:
    """Cuts a text into tokens; linear in its length."""

    def __init__(self, source: str) -> None:
        self.source = source
        # One character stays one character, so that places in `flat` are places in `source`.
        self.flat = "".join(" " if each.isspace() else each for each in source.translate(_FLAT))
        self.closing_singles = [found.start() for found in _CLOSING_SINGLE.finditer(self.flat)]

    def tokens(self) -> Iterator[Token]:
        at, end = 0, len(self.flat)
        while at < end:
            char = self.flat[at]
            if char == " ":
                at += 1
                continue
            token = (
                self._punctuation(at, char)
                or self._double_quoted(at, char)
                or self._single_quoted(at, char)
                or self._hash(at, char)
            )
            if token is None and char in _DOUBLE_QUOTES:
                at += 1  # it opens and nothing closes it: somebody forgot
                continue
            token = token or self._word(at)
            yield token
            at = token.end

    def _punctuation(self, at: int, char: str) -> Token | None:
        if char in _PUNCTUATION:
            return Token(_PUNCTUATION[char], at, at + 1)
        found = _SYMBOL.match(self.flat, at)
        return Token(Is.SYMBOL, at, found.end(), text=_SYMBOLS[found.group()].value) if found else None

    def _double_quoted(self, at: int, char: str) -> Token | None:
        if char not in _DOUBLE_QUOTES:
            return None
        found = (_STRAIGHT if char == '"' else _CURLY).match(self.flat, at)
        if not found:
            return None
        inside = self.source[at + 1 : found.end() - 1]
        if char == '"':
            inside = inside.replace('""', '"')
        return Token(Is.QUOTED, at, found.end(), text=inside)

    def _single_quoted(self, at: int, char: str) -> Token | None:
        if char not in _SINGLE_QUOTES:
            return None
        nearest = bisect_left(self.closing_singles, at + 1)
        if nearest == len(self.closing_singles):
            return None
        end = self.closing_singles[nearest]
        return Token(Is.QUOTED, at, end + 1, text=self.source[at + 1 : end].replace("''", "'"))

    def _hash(self, at: int, char: str) -> Token | None:
        if char != "#":
            return None
        if self.flat[at + 1 : at + 2] == '"':
            quoted = self._double_quoted(at + 1, '"')
            return Token(Is.HASH, at, quoted.end, text=quoted.text) if quoted and quoted.text else None
        found = _HASH_ID.match(self.flat, at + 1)
        text = found.group().rstrip(MARKS) if found else ""
        return (
            Token(Is.HASH, at, at + 1 + len(text), text=self.source[at + 1 : at + 1 + len(text)])
            if text
            else None
        )

    def _word(self, at: int) -> Token:
        char, following = self.flat[at], self.flat[at + 1 : at + 2]
        signs = char in _DASHES or char == "+"
        found = None if signs and following and following in _DOUBLE_QUOTES else _WORD.match(self.flat, at)
        end = found.end() if found else at + 1
        return Token(Is.WORD, at, end, word=fold(self.flat[at:end]).rstrip(MARKS))


# --- filler ----------------------------------------------------------------------------------------------------


class Fillers:
    """The words that people wrap around a sentence."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        self._by_last: dict[str, list[tuple[str, ...]]] = {}
        for phrase in FILLER:
            words = tuple(fold(phrase).split())
            self._by_first.setdefault(words[0], []).append(words)
            self._by_last.setdefault(words[-1], []).append(words)

    def lengths_at(
        self, tokens: Sequence[Token], start: int, end: int, own: Collection[str] = ()
    ) -> list[int]:
        """How many tokens the filler that starts here has, longest first; words in `own` are none."""
        if start >= end:
            return []
        return _fitting(self._by_first.get(tokens[start].word, ()), tokens, start, end, own, backwards=False)

    def lengths_before(
        self, tokens: Sequence[Token], start: int, end: int, own: Collection[str] = ()
    ) -> list[int]:
        """The same for filler that ends here."""
        if start >= end:
            return []
        return _fitting(self._by_last.get(tokens[end - 1].word, ()), tokens, start, end, own, backwards=True)


def _fitting(
    phrases: Sequence[tuple[str, ...]],
    tokens: Sequence[Token],
    start: int,
    end: int,
    own: Collection[str],
    *,
    backwards: bool,
) -> list[int]:
    lengths = {
        len(words)
        for words in phrases
        if len(words) <= end - start
        and words_at(tokens, end - len(words) if backwards else start, words)
        and not any(word in own for word in words)
    }
    return sorted(lengths, reverse=True)


def words_at(tokens: Sequence[Token], start: int, words: Sequence[str]) -> bool:
    """Whether exactly these folded words stand here, outside quotes."""
    if len(tokens) - start < len(words):
        return False
    for offset, word in enumerate(words):  # noqa: SIM110 - the innermost loop; a generator takes three times as long
        if tokens[start + offset].word != word:
            return False
    return True


# --- operators -----------------------------------------------------------------------------------------------


class Operator(NamedTuple):
    start: int
    end: int
    op: Op
    opposite: bool
    symbol: bool


_WORD_OPERATORS: dict[str, list[tuple[tuple[str, ...], Op, bool]]] = {
    first: sorted(
        (
            (tuple(phrase.split()), op, opposite)
            for phrase, (op, opposite) in OPERATOR_WORDS.items()
            if phrase.split()[0] == first
        ),
        key=lambda choice: -len(choice[0]),
    )
    for first in {phrase.split()[0] for phrase in OPERATOR_WORDS}
}


def operator_at(tokens: Sequence[Token], at: int, end: int) -> Operator | None:
    """The longest operator that begins here."""
    token = tokens[at]
    if token.kind is Is.SYMBOL:
        return Operator(at, at + 1, Op(token.text), opposite=False, symbol=True)
    for words, op, opposite in _WORD_OPERATORS.get(token.word, ()):
        if len(words) <= end - at and words_at(tokens, at, words):
            return Operator(at, at + len(words), op, opposite, symbol=False)
    return None


# --- what words mean -------------------------------------------------------------------------------------------

Weighed: TypeAlias = tuple[Any, int]
"""A value and how unlikely it is; 0 is the plain meaning."""


@dataclass(slots=True)
class Sentence:
    """A text in tokens, with the readers of its stretches.

    Attributes:
        source: The text.
        fillers: What may be dropped.
        tokens: Its pieces.
        marks: Whether punctuation stood at the very end and was dropped.
        fuel: How many words may still be looked at before reading stops; so the work is bounded for any text.
        operators: For each token the operator that begins there, if one does.
        filler_from: Where the filler at the end begins.
    """

    source: str
    fillers: Fillers
    tokens: list[Token] = field(init=False)
    marks: bool = field(init=False, default=False)
    fuel: int = field(init=False, default=_FUEL)
    operators: list[Operator | None] = field(init=False)
    filler_from: int = field(init=False)
    _not_plain: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = list(_Lexer(self.source).tokens())
        while self.tokens:
            last = self.tokens[-1]
            if last.kind is Is.COMMA or (last.kind is Is.WORD and not last.word):
                if not self.source[last.start : last.end].strip(MARKS + ",，、。？！；："):
                    self.tokens.pop()
                    self.marks = True
                    continue
            elif (
                last.kind is Is.WORD
                and (kept := len(self.source[: last.end].rstrip(MARKS + "？！。；："))) < last.end
            ):
                self.tokens[-1] = last._replace(end=kept)
                self.marks = True
            break
        count = len(self.tokens)
        self.operators = [operator_at(self.tokens, index, count) for index in range(count)]
        special = [token.kind in {Is.QUOTED, Is.SYMBOL, Is.HASH} for token in self.tokens]
        self._not_plain = list(accumulate(special, initial=0))
        self.filler_from = self.before_filler(0, count)

    def plain(self, start: int, end: int) -> bool:
        """Whether a stretch has neither quotes nor `#` nor symbols."""
        return self._not_plain[start] == self._not_plain[end]

    def operator(self, at: int, end: int) -> Operator | None:
        """The longest operator that begins here and ends before `end`."""
        found = self.operators[at]
        return operator_at(self.tokens, at, end) if found is not None and found.end > end else found

    def text(self, start: int, end: int, *, with_marks: bool = False) -> str:
        """The words from `start` to before `end` as they were typed, with single spaces."""
        parts: list[str] = []
        for index in range(start, end):
            token = self.tokens[index]
            if index > start and token.start > self.tokens[index - 1].end:
                parts.append(" ")
            parts.append(self.source[token.start : token.end])
        if with_marks:
            parts.append(" ".join(self.source[self.tokens[end - 1].end :].split()))
        return "".join(parts)

    def without_filler(self, start: int, end: int) -> tuple[int, int]:
        """The stretch without filler and commas at its edges; empty if there is nothing else."""
        while start < end:
            if self.tokens[start].kind is Is.COMMA or (
                self.tokens[start].kind is Is.WORD and not self.tokens[start].word
            ):
                start += 1
            elif lengths := self.fillers.lengths_at(self.tokens, start, end):
                start += lengths[0]
            else:
                break
        return start, self.before_filler(start, end)

    def before_filler(self, start: int, end: int, own: Collection[str] = ()) -> int:
        """Where the stretch ends without the filler and the commas behind it."""
        while start < end:
            if self.tokens[end - 1].kind is Is.COMMA:
                end -= 1
            elif lengths := self.fillers.lengths_before(self.tokens, start, end, own):
                end -= lengths[0]
            else:
                break
        return end


@lru_cache(maxsize=1024)
def _folded(phrase: str) -> tuple[str, ...]:
    return tuple(fold(phrase).split())


def whole_number(digits: str) -> int:
    """What digits stand for.

    Raises:
        BadArgument: It is larger than anything that can be counted here.
    """
    number = int(digits)
    if number > LARGEST:
        raise BadArgument(
            f"The largest number I take is {LARGEST:,}.",
            hint="Say a smaller one. Where it belongs to a name, put the name in quotes.",
        )
    return number


@dataclass(slots=True)
class Reader:
    """Reads stretches of one sentence as the clauses of one intent.

    Attributes:
        sentence: The text.
        own: Words that open a clause of the intent or are fixed words of it; they are never filler.
        openers: Where a clause of the intent could begin.
        sure_openers: Those of them whose words are rare in names. Free texts and values, which no catalog can confirm,
            end there.
        care: How much is accepted for want of a better reading.
    """

    sentence: Sentence
    own: frozenset[str]
    openers: frozenset[int] = frozenset()
    sure_openers: frozenset[int] = frozenset()
    care: Care = Care.STRICT
    _seen: dict[tuple[int, int, int], list[Weighed]] = field(default_factory=dict)
    _conditions: Conditions | None = None

    def closed(self, takes: Takes, start: int, end: int) -> tuple[Any, int] | None:
        """A value that shows where it ends, and where that is."""
        match takes:
            case Count():
                if start < end and (word := self._token(start).word).isdecimal() and int(word) > 0:
                    return whole_number(word), start + 1
                return None
            case Flag():
                return True, start
            case OneOf(words):
                return self._fixed(words, start, end)
            case SomeOf(words):
                return self._several_fixed(words, start, end)
            case _:
                return None

    def starts_closed(self, takes: Takes, start: int, end: int) -> bool:
        """Whether `closed` finds a value here."""
        if isinstance(takes, SomeOf):
            return self._fixed(takes.words, start, end) is not None
        return self.closed(takes, start, end) is not None

    def open(self, takes: Takes, start: int, end: int) -> list[Weighed]:
        """Everything that a stretch can mean for a clause whose end is found by what follows."""
        key = (id(takes), start, end)
        if key not in self._seen:
            self._seen[key] = (
                self._open(takes, start, end) if self.spend(end - start + 1) and start < end else []
            )
        return self._seen[key]

    def leftover(self, start: int, end: int) -> bool:
        """Whether nothing is left here but filler and commas."""
        while start < end:
            if self._token(start).kind is Is.COMMA:
                start += 1
            elif lengths := self.sentence.fillers.lengths_at(self.sentence.tokens, start, end, self.own):
                start += lengths[0]
            else:
                return False
        return True

    def _token(self, index: int) -> Token:
        return self.sentence.tokens[index]

    def _fixed(self, words: Sequence[str], start: int, end: int) -> tuple[str, int] | None:
        best: tuple[str, int] | None = None
        for phrase in words:
            folded = _folded(phrase)
            if len(folded) <= end - start and words_at(self.sentence.tokens, start, folded):
                after = start + len(folded)
                if best is None or after > best[1]:
                    best = phrase, after
        return best

    def _several_fixed(
        self, words: Sequence[str], start: int, end: int
    ) -> tuple[tuple[str, ...], int] | None:
        found: list[str] = []
        after = start
        at = start
        while one := self._fixed(words, at, end):
            found.append(one[0])
            at = after = one[1]
            while at < end and (self._token(at).kind is Is.COMMA or self._token(at).word in {"and", "or"}):
                at += 1
        return (tuple(found), after) if found else None

    def _open(self, takes: Takes, start: int, end: int) -> list[Weighed]:
        match takes:
            case OneName():
                return self._at_each_edge(self._one_name, start, end)
            case Names():
                return self._at_each_edge(self._names, start, end)
            case SortBy():
                return self._at_each_edge(self._sort_keys, start, end)
            case Phrase():
                final = self.sentence.before_filler(start, end, self.own)
                final = final if final > start else end
                text = "" if self.runs_on(start, final) else self._free_text(start, final)
                return [(text, 0)] if text else []
            case Where():
                end = self.sentence.before_filler(start, end, self.own)
                self._conditions = self._conditions or Conditions(self)
                return [(each, index) for index, each in enumerate(self._conditions.read(start, end))]
            case OneOf() | SomeOf() | Count() | Flag():
                return []
            case _:
                assert_never(takes)

    # --- names

    def _at_each_edge(self, read: Callable[..., list[Weighed]], start: int, end: int) -> list[Weighed]:
        """The readings of a stretch without the filler around it, and with it, since it may be part of a name."""
        tokens, fillers = self.sentence.tokens, self.sentence.fillers
        starts, ends = [self._after_commas(start, end)], [self._before_commas(start, end)]
        while lengths := fillers.lengths_at(tokens, starts[-1], end, self.own):
            starts.append(self._after_commas(starts[-1] + lengths[0], end))
        while lengths := fillers.lengths_before(tokens, start, ends[-1], self.own):
            ends.append(self._before_commas(start, ends[-1] - lengths[0]))
        found: dict[Any, int] = {}
        for left_kept, right_kept in product({0, len(starts) - 1}, {0, 1, len(ends) - 2, len(ends) - 1}):
            if not 0 <= right_kept < len(ends):
                continue
            left, right = starts[-1 - left_kept], ends[-1 - right_kept]
            for with_marks in (False, True) if self.sentence.marks and right == len(tokens) else (False,):
                for value, more in read(left, right, with_marks=with_marks) if left < right else ():
                    penalty = _KEPT_FILLER * (left_kept + right_kept) + _KEPT_MARK * with_marks + more
                    found[value] = min(penalty, found.get(value, penalty))
        return sorted(found.items(), key=lambda pair: pair[1])[:_READINGS]

    def _after_commas(self, start: int, end: int) -> int:
        while start < end and self._token(start).kind is Is.COMMA:
            start += 1
        return start

    def _before_commas(self, start: int, end: int) -> int:
        while end > start and self._token(end - 1).kind is Is.COMMA:
            end -= 1
        return end

    def _one_name(self, start: int, end: int, *, with_marks: bool = False) -> list[Weighed]:
        name = self.name(start, end, with_marks=with_marks)
        return [(name, 0)] if name else []

    def _names(self, start: int, end: int, *, with_marks: bool = False) -> list[Weighed]:
        readings: list[Weighed] = []
        if not self.spend(end - start):
            return []
        for penalty, words in ((0, ()), (_SPLIT_AT_AND, ("and",))):
            parts = list(self.split(start, end, words))
            found = [self.name(left, right, with_marks=with_marks and right == end) for left, right in parts]
            if (
                found
                and all(found)
                and (penalty == 0 or len(found) > len(readings[0][0] if readings else ()))
            ):
                readings.append((tuple(found), penalty))
        return readings

    def _sort_keys(self, start: int, end: int, *, with_marks: bool = False) -> list[Weighed]:
        keys: list[SortKey] = []
        for left, right in self.split(start, end):
            key = self._sort_key(left, right, with_marks=with_marks and right == end)
            if key is None:
                return []
            keys.append(key)
        return [(tuple(keys), 0)] if keys else []

    def _sort_key(self, start: int, end: int, *, with_marks: bool) -> SortKey | None:
        descending: bool | None = None
        first = self._token(start)
        skip = 0
        if first.kind is Is.WORD and self.sentence.source[first.start] in _DASHES + "+＋":
            descending = self.sentence.source[first.start] in _DASHES
            skip = 1
            if first.end - first.start == 1:
                start, skip = start + 1, 0
        if end - start > 1 and self._token(end - 1).word in DIRECTIONS:
            said = DIRECTIONS[self._token(end - 1).word]
            descending = said if descending is None else descending
            end -= 1
            with_marks = False
        name = self.name(start, end, with_marks=with_marks, skip=skip) if start < end else None
        return SortKey(name, bool(descending)) if name else None

    def split(self, start: int, end: int, words: Collection[str] = ()) -> Iterator[tuple[int, int]]:
        """The stretches between commas (and these words) that stand outside parentheses; empty ones are left out."""
        depth = 0
        left = start
        for index in range(start, end):
            token = self._token(index)
            depth += (token.kind is Is.OPEN) - (token.kind is Is.CLOSE and depth > 0)
            if depth == 0 and (token.kind is Is.COMMA or (words and token.word in words)):
                if left < index:
                    yield left, index
                left = index + 1
        if left < end:
            yield left, end

    def name(self, start: int, end: int, *, with_marks: bool = False, skip: int = 0) -> Name | None:
        """A name, perhaps with an id behind it.

        Args:
            start: The first token.
            end: The token after the last.
            with_marks: Take the punctuation at the end of the sentence as a part of it.
            skip: Characters at the beginning that are no part of it.
        """
        last = self._token(end - 1)
        if last.kind is Is.HASH and not with_marks:
            if start == end - 1:
                return Name(last.text, last.text)
            text = self._free_text(start, end - 1, skip=skip)
            return Name(text, last.text) if text else None
        text = self._free_text(start, end, with_marks=with_marks, skip=skip)
        return Name(text) if text else None

    def _free_text(self, start: int, end: int, *, with_marks: bool = False, skip: int = 0) -> str:
        if end - start == 1 and self._token(start).kind is Is.QUOTED:
            return "" if with_marks else self._token(start).text
        if self.care is not Care.NONE and (end - start > LONGEST_BARE or not self.sentence.plain(start, end)):
            return ""
        return self.sentence.text(start, end, with_marks=with_marks)[skip:]

    def literal(self, start: int, end: int) -> str | None:
        """A value to compare with. A bare number ends where a keyword follows."""
        if start >= end:
            return None
        first = self._token(start)
        if end - start == 1 and first.kind is Is.QUOTED:
            return first.text
        if first.kind is Is.SYMBOL:
            return None
        after_number = start + 1 < end and start + 1 in self.openers and looks_like_a_number(first.word)
        if self.runs_on(start, end) or (after_number and self.care is Care.STRICT):
            return None
        return self._free_text(start, end) or None

    def runs_on(self, start: int, end: int) -> bool:
        """Whether a clause surely begins behind the first word, so that the text is over before `end`."""
        return self.care is Care.STRICT and any(index in self.sure_openers for index in range(start + 1, end))

    def spend(self, work: int) -> bool:
        """Whether there is still time for this much work."""
        self.sentence.fuel -= work
        return self.sentence.fuel > 0


# --- conditions ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stretch:
    """What stands between two connectives."""

    start: int
    end: int
    connective: str
    nots: int = 0
    body: int = 0
    group: tuple[int, int] | None = None
    operators: list[Operator] = field(default_factory=list)

    @property
    def begins_one(self) -> bool:
        """Whether a condition begins here: a field and an operator, or parentheses around one."""
        return self.group is not None or bool(self.operators)


class Conditions:
    """Reads a stretch as a condition.

    A connective separates two conditions where a field and an operator follow it; else it belongs to the text around
    it, or stands between the two ends of `between`.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.sentence = reader.sentence
        self.tokens = reader.sentence.tokens
        self.partner: dict[int, int] = {}
        self.opening: dict[int, int] = {}
        unclosed: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind is Is.OPEN:
                unclosed.append(index)
            elif token.kind is Is.CLOSE and unclosed:
                self.opening[index] = unclosed[-1]
                self.partner[unclosed.pop()] = index

    def read(self, start: int, end: int, depth: int = 0) -> list[Condition]:
        """Everything the stretch can mean, the likeliest first; at most four readings."""
        if depth > _DEEPEST or start >= end or not self.reader.spend(end - start):
            return []
        stretches = self._stretches(start, end, depth)
        firsts = [index for index, stretch in enumerate(stretches) if stretch.begins_one]
        if not firsts:
            return []
        readings: list[Condition] = []
        known: dict[tuple[int, int, int], list[Condition]] = {}
        for begins in islice(_beginnings(firsts), 2 * _READINGS):
            parts: list[list[Condition]] = []
            for beginning, index, until in zip(begins, firsts, (*begins[1:], len(stretches)), strict=True):
                key = (beginning, index, until)
                if key not in known:
                    last = stretches[until - 1].end
                    known[key] = self._one(stretches[beginning:until], stretches[index], last, depth)
                parts.append(known[key])
            connectives = [stretches[beginning].connective for beginning in begins[1:]]
            if all(parts):
                readings.extend(_joined(chosen, connectives) for chosen in _few(parts))
            if len(readings) >= _READINGS:
                break
        return list(dict.fromkeys(readings))[:_READINGS]

    def _stretches(self, start: int, end: int, depth: int) -> list[_Stretch]:
        found: list[_Stretch] = []
        left, connective, at = start, "", start
        while at < end:
            token = self.tokens[at]
            closing = self.partner.get(at, end) if token.kind is Is.OPEN else end
            if closing < end:
                at = closing
            elif token.word in {"and", "or"}:
                found.append(_Stretch(left, at, connective))
                left, connective = at + 1, token.word
            at += 1
        found.append(_Stretch(left, end, connective))
        for stretch in found:
            self._look_inside(stretch, depth)
        return found

    def _look_inside(self, stretch: _Stretch, depth: int) -> None:
        at = stretch.start
        while at < stretch.end and self.tokens[at].word == "not":
            at += 1
        stretch.nots, stretch.body = at - stretch.start, at
        if stretch.nots > _DEEPEST or at >= stretch.end:
            return
        closing = self.partner.get(at, stretch.end) if self.tokens[at].kind is Is.OPEN else stretch.end
        if closing < stretch.end and self._holds_test(at + 1, closing):
            if closing == stretch.end - 1:
                stretch.group = (at + 1, closing)
                return
            if self.reader.care is Care.STRICT:
                stretch.group = (at, at)  # a condition with something behind it: no reading
                return
        while at < stretch.end:
            operator = self.sentence.operator(at, stretch.end)
            if operator is None:
                closing = self.partner.get(at, at)
                at = max(at, closing if closing < stretch.end else at) + 1
                continue
            has_value = operator.op is Op.IS_EMPTY or operator.end < stretch.end
            if operator.start > stretch.body and has_value:
                stretch.operators.append(operator)
            at = operator.end

    def _holds_test(self, start: int, end: int) -> bool:
        """Whether what is in parentheses looks like a condition."""
        for at in range(start, end):
            operator = self.sentence.operator(at, end)
            if operator is not None and (operator.op is not Op.IN or self._is_sure(operator)):
                return True
        return False

    def _one(self, covered: Sequence[_Stretch], main: _Stretch, last: int, depth: int) -> list[Condition]:
        """The readings of one condition: the stretch with its operator, and what was found to belong to it.

        Single words that compare may be part of a name ("Value in EUR"), above all `in`; others may not.
        """
        begin = covered[0]
        if main.group is not None:
            if begin is not main or covered[-1] is not main:
                return []
            inner: list[Condition] = self.read(*main.group, depth + 1)
            return [_negated(each, main.nots) for each in inner]
        found: list[Condition] = []
        strong = [each for each in main.operators if self._is_sure(each)]
        if len(strong) > 1 and self.reader.care is not Care.NONE:
            return []
        for operator in (
            strong[:_READINGS] or sorted(main.operators, key=lambda each: each.op is Op.IN)[:_READINGS]
        ):
            name = self._field(begin.body, operator.start)
            if name is None:
                continue
            for values in self._values(operator, last):
                plain: Condition = Comparison(name, operator.op, values)
                found.append(_negated(Not(plain) if operator.opposite else plain, begin.nots))
        return found

    def _field(self, start: int, end: int) -> Name | None:
        """A field; without quotes it holds no symbol and does not begin like a condition in parentheses."""
        if any(token.kind is Is.SYMBOL for token in self.tokens[start:end]) or self.reader.runs_on(
            start, end
        ):
            return None
        if self.tokens[start].kind is Is.OPEN and self.reader.care is not Care.NONE:
            return None
        return self.reader.name(start, end) if self._balanced(start, end) else None

    def _is_sure(self, operator: Operator) -> bool:
        """Whether the operator can be no part of a name: a symbol, several words, or `in` before a list."""
        return operator.symbol or operator.end - operator.start > 1 or self._opens_list(operator)

    def _opens_list(self, operator: Operator) -> bool:
        return (
            operator.op is Op.IN
            and operator.end < len(self.tokens)
            and self.tokens[operator.end].kind is Is.OPEN
        )

    def _balanced(self, start: int, end: int) -> bool:
        """Whether no pair of parentheses reaches across an edge of the stretch."""
        return self.reader.care is Care.NONE or all(
            self.partner.get(index, start) < end and self.opening.get(index, start) >= start
            for index in range(start, end)
        )

    def _values(self, operator: Operator, end: int) -> Iterator[tuple[str, ...]]:
        start = operator.end
        match operator.op:
            case Op.IS_EMPTY:
                if start == end:
                    yield ()
            case Op.IN:
                yield from self._list(start, end)
            case Op.BETWEEN:
                ands = (at for at in range(start + 1, end - 1) if self.tokens[at].word == "and")
                for at in islice(ands, _READINGS):
                    low, high = self._value(start, at), self._value(at + 1, end)
                    if low is not None and high is not None:
                        yield low, high
            case _:
                value = self._value(start, end)
                if value is not None:
                    yield (value,)

    def _list(self, start: int, end: int) -> Iterator[tuple[str, ...]]:
        if start < end and self.tokens[start].kind is Is.OPEN:
            if self.partner.get(start) != end - 1:
                return
            start, end = start + 1, end - 1
        values = [self._value(left, right) for left, right in self.reader.split(start, end)]
        if values and all(value is not None for value in values):
            yield tuple(value for value in values if value is not None)

    def _value(self, start: int, end: int) -> str | None:
        return self.reader.literal(start, end) if self._balanced(start, end) else None


def _beginnings(firsts: Sequence[int]) -> Iterator[list[int]]:
    """Where each condition begins: at the stretch with its operator, or earlier if its field holds an and/or."""
    plain = [0, *firsts[1:]]
    yield plain
    for position in range(1, len(firsts)):
        for earlier in range(firsts[position] - 1, firsts[position - 1], -1):
            yield [*plain[:position], earlier, *plain[position + 1 :]]


def _few(parts: Sequence[Sequence[Condition]]) -> Iterator[Sequence[Condition]]:
    """The likeliest combinations: all plain, then each with one part read otherwise."""
    plain = [part[0] for part in parts]
    yield plain
    others = (
        [*plain[:position], other, *plain[position + 1 :]]
        for position, part in enumerate(parts)
        for other in part[1:]
    )
    yield from islice(others, _READINGS)


def _negated(condition: Condition, times: int) -> Condition:
    for _ in range(times):
        condition = Not(condition)
    return condition


def _joined(parts: Sequence[Condition], connectives: Sequence[str]) -> Condition:
    """`and` binds closer than `or`."""
    groups: list[list[Condition]] = [[parts[0]]]
    for connective, part in zip(connectives, parts[1:], strict=True):
        if connective == "or":
            groups.append([part])
        else:
            groups[-1].append(part)
    joined: list[Condition] = [group[0] if len(group) == 1 else And(tuple(group)) for group in groups]
    return joined[0] if len(joined) == 1 else Or(tuple(joined))
