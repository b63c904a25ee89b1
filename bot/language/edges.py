"""A text as tokens, and what each stretch of them can be: the edges of which a reading is a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from bot.language.dates import period, tells, with_year
from bot.language.lexicon import Entity, Tier
from bot.language.vocabulary import Class, Sense, Vocabulary
from bot.model.intents import Op
from bot.model.names import Kind

_BEFORE, _BEHIND = 4, 8
"""Words before and behind a place on which it depends what begins there, where that is no name."""
# --- tokens


class Token(NamedTuple):
    """A piece of a sentence: `word` is its folded form, `quoted` what stands inside quotes."""

    start: int
    end: int
    word: str
    quoted: bool = False


_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"]|"")*"|[“„«‟][^“”„«»]*[”“»])"""
    r"|(?P<symbol><=|>=|!=|<>|≠|≤|≥|[=<>])"
    r"|(?P<comma>[,;])"
    r"|(?P<minus>(?<![^\s,])[-–−](?=[^\W\d]))"
    r"|(?P<number>[-+]?\d[\d.,:/-]*(?:\w*%?))"
    r"|(?P<counted>(?i:page|top|bottom|seite)\d+)(?!\w)"
    r"|(?P<word>[^\W\d_][^\W_]*(?:['’.&+][^\W_]+)*[%+]?)"
)
_SIGNS = frozenset(("=", "!=", "<", ">", "<=", ">="))
_MINUS = frozenset("-–−")
"""Before a field to sort by: from the highest value down."""
_SYMBOLS = {"≠": "!=", "<>": "!=", "≤": "<=", "≥": ">="}
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'"})


def tokens(text: str) -> list[Token]:
    """The pieces of a text; punctuation that says nothing is left out."""
    found = []
    for each in _TOKEN.finditer(text):
        piece = each.group()
        match each.lastgroup:
            case "quoted":
                inside = piece[1:-1].replace('""', '"') if piece[0] == '"' else piece[1:-1]
                found.append(Token(each.start(), each.end(), inside, quoted=True))
            case "symbol":
                found.append(Token(each.start(), each.end(), _SYMBOLS.get(piece, piece)))
            case "number":
                cut = piece.rstrip(".,:/-")
                found.append(Token(each.start(), each.start() + len(cut), cut.casefold()))
            case "counted":
                word = piece.rstrip("0123456789")
                split = each.start() + len(word)
                found.append(Token(each.start(), split, word.casefold()))
                found.append(Token(split, each.end(), piece[len(word) :]))
            case _:
                found.append(Token(each.start(), each.end(), piece.casefold().translate(_APOSTROPHES)))
    return found


# --- edges


class Named(NamedTuple):
    """Things of one kind that a stretch of text can be the name of."""

    kind: Kind
    entities: tuple[Entity, ...]
    inside: Named | Valued | None = None
    """A filter or value that stands within the name ("number of open orders")."""
    several: bool = False
    """Whether it was said in the plural."""
    headed: bool = False
    """Whether only the last word of the name was said ("channel" for "Contact channel")."""


class Valued(NamedTuple):
    """A value, with the fields that have it."""

    pairs: tuple[tuple[Entity, str], ...]
    opposite: bool = False
    """Whether it was said with a prefix that turns it round ("unblocked")."""


class Coded(NamedTuple):
    """What looks like the number of something ("INC-3107")."""

    text: str


class Numbered(NamedTuple):
    """A number or a free text in quotes."""

    text: str
    quoted: bool = False
    unit: str = ""


class When(NamedTuple):
    """A period, in the words of the reader of dates, and the fields that it is about, where one was named beside it."""

    text: str
    on: tuple[Entity, ...] = ()


class Unknown(NamedTuple):
    """Words that nobody knows."""

    text: str


What: TypeAlias = Sense | Named | Valued | Coded | Numbered | When | Unknown


class Cost(NamedTuple):
    """What speaks against a reading, in the order in which it counts."""

    unknown: int = 0
    edits: int = 0
    missing: int = 0
    tier: int = 0
    edges: int = 0
    roles: int = 0

    def plus(self, other: Cost) -> Cost:
        """Both together; the weakest name counts."""
        return Cost(
            self.unknown + other.unknown,
            self.edits + other.edits,
            self.missing + other.missing,
            max(self.tier, other.tier),
            self.edges + other.edges,
            self.roles + other.roles,
        )


class Edge(NamedTuple):
    """What the tokens from `start` to before `end` can be.

    Attributes:
        guess: What was taken for what was typed, where that is not sure.
    """

    start: int
    end: int
    what: What
    cost: Cost
    guess: tuple[str, ...] = ()


class Text:
    """A text and its tokens.

    Attributes:
        tokens: The pieces of the text.
        typed: Their words.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.typed = tuple(each.word for each in self.tokens)

    def said(self, start: int, end: int) -> str:
        """What stands from one token to before another, as it was typed."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]


class Spoken:
    """Finds the edges whose words are no names: words of the language, numbers, periods, and what nobody knows.

    Args:
        text: What was typed.
        words: The words of the language.
        now: When (aware), for what a month without a year means.
        edits: For each place and word that was not typed there, the edits that were made to get it.
    """

    def __init__(
        self, text: Text, words: Vocabulary, now: datetime | None, edits: Mapping[tuple[int, str], int]
    ) -> None:
        self.text = text
        self.edits = edits
        self.tokens = text.tokens
        self.words = words
        self.now = now
        self._found: dict[tuple[int, tuple[str, ...]], Sequence[Edge]] = {}

    def of(self, ways: Iterable[tuple[str, ...]]) -> list[Edge]:
        """All of them, each once.

        Args:
            ways: The words of the tokens, each way with other ones of them repaired.
        """
        return [*dict.fromkeys(edge for words in ways for edge in self._of(words))]

    def _of(self, words: tuple[str, ...]) -> Iterator[Edge]:
        for start in range(len(words)):
            near = start, words[max(0, start - _BEFORE) : start + _BEHIND]
            if near not in self._found:
                self._found[near] = [self._repaired(each, words) for each in self._at(words, start)]
            yield from self._found[near]

    def _repaired(self, edge: Edge, words: Sequence[str]) -> Edge:
        """An edge with the edits that were made to get its words."""
        typed = self.text.typed
        others = [at for at in range(edge.start, edge.end) if words[at] != typed[at]]
        if not others or isinstance(edge.what, Unknown | Coded):
            return edge
        cost = edge.cost.plus(Cost(edits=sum(self.edits.get((at, words[at]), 0) for at in others)))
        return edge._replace(cost=cost, guess=tuple(words[edge.start : edge.end]))

    def _at(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        """The edges from one token on whose words are no names."""
        if self.tokens[start].quoted:
            yield Edge(
                start, start + 1, Numbered(self.tokens[start].word, quoted=True), Cost(edges=1, roles=1)
            )
            return
        for end, senses in self.words.at(words, start):
            if not any(self.tokens[at].quoted for at in range(start, end)):
                for each in senses:
                    yield Edge(
                        start, end, When(each.value) if each.what is Class.PERIOD else each, _of_sense(each)
                    )
        yield from self._searched(words, start)
        yield from self._operands(words, start)
        yield from self._numbers(words, start)
        yield from self._codes(start)
        yield from self._periods(words, start)
        word = self.tokens[start].word
        if word in _SIGNS:
            yield Edge(start, start + 1, Sense(Class.COMPARISON, word), Cost())
        elif word in _MINUS:
            yield Edge(start, start + 1, Sense(Class.ORDER, "-"), Cost(edges=1))
        elif word in {",", ";"}:
            yield Edge(start, start + 1, Sense(Class.AND), Cost())
        else:
            yield Edge(start, start + 1, Unknown(self.text.said(start, start + 1)), Cost(unknown=1))

    def _operands(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        """What is compared with may be any text: a value that nobody has read yet."""
        behind = words[start - 1] in _SIGNS if start else False
        behind = behind or any(
            # "that are not delayed" is no value of a field: what is denied in words has to be known.
            end == start and any(each.what is Class.COMPARISON and each.value != Op.NE for each in senses)
            for at in range(max(0, start - _BEFORE), start)
            for end, senses in self.words.at(words, at)
        )
        if behind:
            for end in range(start + 1, min(start + 4, len(words)) + 1):
                word = words[end - 1]
                if word in self.words.known or not word[0].isalpha() or self.tokens[end - 1].quoted:
                    break
                yield Edge(
                    start,
                    end,
                    Numbered(self.text.said(start, end), quoted=True),
                    Cost(edges=1, roles=end - start),
                )

    def _searched(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        """What stands behind "search for" is a free text."""
        behind = any(
            end == start and Sense(Class.CLAUSE, "search") in senses
            for at in range(max(0, start - 3), start)
            for end, senses in self.words.at(words, at)
        )
        if behind:
            for end in range(start + 1, min(start + 4, len(words)) + 1):
                if self.words.silent(words[end - 1]):
                    break
                yield Edge(start, end, Numbered(self.text.said(start, end), quoted=True), Cost(edges=1))

    def _numbers(self, words: Sequence[str], at: int) -> Iterator[Edge]:
        word = words[at]
        if word and (word[0].isdigit() or (word[0] in "+-" and word[1:2].isdigit())):
            yield Edge(at, at + 1, Numbered(word), Cost(edges=1))
            if at + 1 < len(words) and words[at + 1] in self.words.units:
                yield Edge(at, at + 2, Numbered(word, unit=words[at + 1]), Cost(edges=1))
        elif word in _NUMBER_WORDS:
            yield Edge(at, at + 1, Numbered(str(_NUMBER_WORDS[word])), Cost(edges=1))

    def _codes(self, start: int) -> Iterator[Edge]:
        for end in range(start + 1, min(start + 4, len(self.tokens)) + 1):
            if _CODE.fullmatch(said := self.text.said(start, end)):
                yield Edge(start, end, Coded(said), Cost(edges=1, roles=1))

    def _periods(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        zone, now = _ANY_ZONE, self.now or _ANY_TIME
        counted = words[start].isdigit() and self._counts(words, start)
        if words[start] == "the" or counted:
            return
        spoken = [_PERIOD_WORDS.get(each, each) for each in words[start : start + 7]]
        first = next((at for at, each in enumerate(spoken, start) if tells(each)), len(words))
        for end in range(first + 1, start + len(spoken) + 1):
            said = " ".join(spoken[: end - start])
            if words[start] in {"von", "vom"} and not _ENDS.search(said):
                continue  # "orders of yesterday"
            doubtful = end == start + 1 and (said in _DOUBTFUL or (said.isdigit() and len(said) != _YEAR))
            if doubtful and not self._after_time_link(words, start):
                continue
            dated = with_year(_PAST.sub("last ", said), now)
            if period(dated, zone, now) is not None:
                yield Edge(start, end, When(dated), Cost(edges=1))

    def _counts(self, words: Sequence[str], at: int) -> bool:
        """Whether a number behind a word says how many ("top 3 march")."""
        senses = (each for end, senses in self.words.at(words, at - 1) if end == at for each in senses)
        return at > 0 and any(each.what is Class.CLAUSE and each.value in _COUNTING for each in senses)

    def _after_time_link(self, words: Sequence[str], start: int) -> bool:
        return start > 0 and words[start - 1] in {
            "in",
            "im",
            "since",
            "seit",
            "until",
            "bis",
            "for",
            "during",
            "of",
        }


_NUMBER_WORDS = {
    word: number
    for number, spoken in enumerate(
        (
            "one eins",
            "two zwei",
            "three drei",
            "four vier",
            "five fünf",
            "six sechs",
            "seven sieben",
            "eight acht",
            "nine neun",
            "ten zehn",
        ),
        start=1,
    )
    for word in spoken.split()
}
_PERIOD_WORDS = {
    "seit": "since", "ab": "since", "bis": "until", "letzten": "last", "letzte": "last", "letzter": "last", "letztes": "last",
    "tage": "days", "tagen": "days", "wochen": "weeks", "woche": "week", "monate": "months", "monaten": "months", "monat": "month",
    "gestern": "yesterday", "heute": "today",
    "zwischen": "between", "und": "and", "von": "from", "vom": "from", "montag": "monday", "dienstag": "tuesday", "mittwoch": "wednesday",
    "donnerstag": "thursday", "freitag": "friday", "samstag": "saturday", "sonntag": "sunday", "erstes": "1", "zweites": "2", "drittes": "3",
    "viertes": "4", "first": "1", "third": "3", "fourth": "4", "kalenderwoche": "kw", "vergangenen": "last",
    "dem": "the", "vor": "before", "nach": "after",
    "jahre": "years", "jahren": "years", "jahr": "year", "quartal": "quarter", "quartale": "quarters", "stunden": "hours",
}  # fmt: skip
_COUNTING = frozenset({"top", "bottom", "best", "worst", "page"})
_PAST = re.compile("^past (?=[a-z]+$)")
_DOUBTFUL = frozenset(
    {"may", "march", "mar", "sun", "sat", "dec", "mai", "now", "second", "morgen", "tomorrow"}
)
_ENDS = re.compile(" (?:to|until|till|through|and) ")
_CODE = re.compile(r"[A-Za-z]{1,6}(?:-|[-_/]?[0-9]{2})[0-9][\w/-]*|[0-9]{5,}")
"""What looks like the number of something."""
_YEAR = 4
"""Digits of a year."""
_ANY_ZONE = ZoneInfo("UTC")
_ANY_TIME = datetime(2026, 1, 1, tzinfo=_ANY_ZONE)


def _of_sense(sense: Sense) -> Cost:
    match sense.what:
        case Class.FILLER | Class.LINK | Class.AND | Class.FOLLOW | Class.VERB:
            return Cost()
        case Class.QUESTION if sense.value == "count":
            return Cost(tier=Tier.INFLECTED, edges=1, roles=1)  # a KPI that counts is meant first
        case Class.QUESTION if sense.value == "values":
            return Cost()  # the least that can be asked about a field
        case Class.CLASS | Class.WISH:
            return Cost(unknown=1)  # alone it is not in any name, so nobody serves it
        case (
            Class.QUESTION
            | Class.FIXED
            | Class.CLAUSE
            | Class.ONLY
            | Class.WITHOUT
            | Class.COMPARISON
            | Class.PERIOD
            | Class.ORDER
            | Class.RANK
        ):
            return Cost(edges=1)
        case _:
            assert_never(sense.what)


def role_of(what: What) -> str:
    match what:
        case Sense(kind, value):
            return f"{kind.name.lower()} {value}".strip()
        case Named(kind=kind, entities=entities, inside=inside):
            names = " or ".join(dict.fromkeys(each.name.text for each in entities[:3]))
            more = f" with {role_of(inside)}" if inside is not None else ""
            return f"{kind.value} {names}{more}"
        case Valued(pairs=pairs):
            return " or ".join(f"{of.name.text} = {value}" for of, value in pairs[:3])
        case Coded(text=text) | Numbered(text=text):
            return f"number {text}"
        case When(text=text):
            return f"period {text}"
        case Unknown():
            return "not understood"
        case _:
            assert_never(what)
