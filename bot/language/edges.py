"""A text as tokens, and what each stretch of them can be: the edges of which a reading is a path.

What can be named comes as a `Lexicon`; nothing here knows a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import NamedTuple, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from bot.language.dates import period, with_year
from bot.language.lexicon import Entity, Forms, Lexicon, Span, Tier
from bot.language.vocabulary import Class, Sense, Vocabulary, words_of
from bot.model.names import Kind, fold

LONGEST_NAME = 8
"""Words of the longest name that is looked for."""
MOST_PARTLY = 6
"""Names that share some words, above which they are no offer."""

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


class Valued(NamedTuple):
    """A value, with the fields that have it."""

    pairs: tuple[tuple[Entity, str], ...]


class Numbered(NamedTuple):
    """A number or a free text in quotes."""

    text: str
    quoted: bool = False


class When(NamedTuple):
    """A period, in the words of the reader of dates."""

    text: str


class Unknown(NamedTuple):
    """Words that nobody knows."""

    text: str


What: TypeAlias = Sense | Named | Valued | Numbered | When | Unknown


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
    """What the tokens from `start` to before `end` can be."""

    start: int
    end: int
    what: What
    cost: Cost


class Edges:
    """Finds the edges of a text.

    Args:
        text: As it was typed.
        lexicon: What can be named.
        now: When (aware), for what a month without a year means.

    Attributes:
        tokens: The pieces of the text.
        typed: Their words.
        repairing: Whether a value may be misspelt.
    """

    def __init__(self, text: str, lexicon: Lexicon, now: datetime | None) -> None:
        self.text = text
        self.lexicon = lexicon
        self.words: Vocabulary = lexicon.vocabulary
        self.now = now
        self.tokens = tokens(text)
        self.typed = [each.word for each in self.tokens]
        self.repairing = False

    def said(self, start: int, end: int) -> str:
        """What stands from one token to before another, as it was typed."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]

    def of(self, words: Sequence[str], edits: Mapping[int, int]) -> list[Edge]:
        """All edges.

        Args:
            words: The words of the tokens, some of them perhaps repaired.
            edits: The place of each word that was, with the number of edits.
        """
        found = self._edges(words, edits)
        found.extend(self._shared(found, words))
        return found

    def _edges(self, words: Sequence[str], edits: Mapping[int, int]) -> list[Edge]:
        found: list[Edge] = []
        count = len(words)
        for start in range(count):
            if self.tokens[start].quoted:
                found.extend(self._quoted(start))
                continue
            for end, senses in self.words.at(words, start):
                if not any(self.tokens[at].quoted for at in range(start, end)):
                    found.extend(
                        Edge(start, end, each, _of_sense(each))
                        for each in senses
                        if each.what is not Class.PERIOD
                    )
                    found.extend(
                        Edge(start, end, When(each.value), Cost(edges=1))
                        for each in senses
                        if each.what is Class.PERIOD
                    )
            found.extend(self._searched(words, start))
            found.extend(self._operands(words, start))
            found.extend(self._numbers(words, start))
            found.extend(self._periods(words, start))
            word = self.tokens[start].word
            if word in _SIGNS:
                found.append(Edge(start, start + 1, Sense(Class.COMPARISON, word), Cost()))
            elif word in _MINUS:
                found.append(Edge(start, start + 1, Sense(Class.ORDER, "-"), Cost(edges=1)))
            elif word in {",", ";"}:
                found.append(Edge(start, start + 1, Sense(Class.AND), Cost()))
            else:
                found.append(Edge(start, start + 1, Unknown(self.said(start, start + 1)), Cost(unknown=1)))
        found.extend(self._names(words, edits))
        return found

    def _quoted(self, at: int) -> Iterator[Edge]:
        text = self.tokens[at].word
        for each in self.lexicon.lists:
            numbers = [number for number in each.exact(fold(text)) if each.shown(number)]
            if numbers:
                named = Named(each.kind, tuple(map(each.entity, numbers)))
                yield Edge(at, at + 1, named, Cost(edges=1))
        if pairs := self.lexicon.valued(fold(text)):
            yield Edge(at, at + 1, Valued(tuple(pairs)), Cost(edges=1))
        yield Edge(at, at + 1, Numbered(text, quoted=True), Cost(edges=1, roles=1))

    def _operands(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        """What is compared with may be any text: a value that nobody has read yet."""
        behind = words[start - 1] in _SIGNS if start else False
        behind = behind or any(
            end == start and any(each.what is Class.COMPARISON for each in senses)
            for at in range(max(0, start - 4), start)
            for end, senses in self.words.at(words, at)
        )
        if behind:
            for end in range(start + 1, min(start + 4, len(words)) + 1):
                word = words[end - 1]
                if word in self.words.known or not word[0].isalpha() or self.tokens[end - 1].quoted:
                    break
                yield Edge(
                    start, end, Numbered(self.said(start, end), quoted=True), Cost(edges=1, roles=end - start)
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
                if self._closed(words, end - 1):
                    break
                yield Edge(start, end, Numbered(self.said(start, end), quoted=True), Cost(edges=1))

    def _numbers(self, words: Sequence[str], at: int) -> Iterator[Edge]:
        word = words[at]
        if word and (word[0].isdigit() or (word[0] in "+-" and word[1:2].isdigit())):
            yield Edge(at, at + 1, Numbered(word), Cost(edges=1))
            if at + 1 < len(words) and words[at + 1] in self.words.units:
                yield Edge(at, at + 2, Numbered(word), Cost(edges=1))
        elif word in _NUMBER_WORDS:
            yield Edge(at, at + 1, Numbered(str(_NUMBER_WORDS[word])), Cost(edges=1))

    def _periods(self, words: Sequence[str], start: int) -> Iterator[Edge]:
        zone, now = _ANY_ZONE, self.now or _ANY_TIME
        for end in range(start + 1, min(start + 7, len(words)) + 1):
            said = " ".join(_PERIOD_WORDS.get(each, each) for each in words[start:end])
            doubtful = end == start + 1 and (said in _DOUBTFUL or (said.isdigit() and len(said) != _YEAR))
            if doubtful and not self._after_time_link(words, start):
                continue
            dated = with_year(said, now)
            if period(dated, zone, now) is not None:
                yield Edge(start, end, When(dated), Cost(edges=1))

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

    def _spans(self, words: Sequence[str], edits: Mapping[int, int]) -> list[Span]:
        """Every stretch that may be a name, with its forms."""
        pieces = [words_of(each) for each in words]
        closed = [self._closed(words, at) for at in range(len(words))]
        found = []
        for start in range(len(words)):
            for end in range(start + 1, min(start + LONGEST_NAME, len(words)) + 1):
                if self.tokens[end - 1].quoted or not pieces[start]:
                    break
                if not pieces[end - 1]:
                    continue
                stems = self.words.classed([one for each in pieces[start:end] for one in each])
                if not stems:
                    continue
                repaired = sum(edits.get(at, 0) for at in range(start, end))
                text = " ".join(words[start:end]) if repaired else self.said(start, end)
                whole = closed[start] or closed[end - 1]
                initials = words[start] if end == start + 1 else ""
                found.append(
                    Span(
                        start,
                        end,
                        text,
                        fold(text),
                        "".join(stems),
                        self.words.translated(stems),
                        initials,
                        whole,
                        repaired,
                    )
                )
        return found

    def _names(self, words: Sequence[str], edits: Mapping[int, int]) -> Iterator[Edge]:
        spans = self._spans(words, edits)
        forms = Forms.of(spans)
        for listed in self.lexicon.lists:
            if not listed.touched(forms):
                continue
            for span in spans:
                found = listed.named(span)
                if found is not None:
                    tier, entities = found
                    tier = tier if tier > Tier.FOLDED else Tier.EXACT  # case and dashes say nothing
                    yield Edge(
                        span.start, span.end, Named(listed.kind, entities), Cost(0, span.repaired, 0, tier, 1)
                    )
                elif not span.closed and any(len(one) > 1 and one[0] != "~" for one in span.translated):
                    yield from self._partly(listed.partly(span.translated), listed.kind, span)
        for span in spans:
            yield from self._values(span)

    def _values(self, span: Span) -> Iterator[Edge]:
        def valued(pairs: Sequence[tuple[Entity, str]], cost: Cost) -> Edge:
            return Edge(span.start, span.end, Valued(tuple(pairs)), cost)

        if pairs := self.lexicon.valued(span.folded):
            yield valued(pairs, Cost(0, span.repaired, 0, Tier.EXACT, 1))
        elif pairs := self.lexicon.valued_loosely(span.form):
            yield valued(pairs, Cost(0, span.repaired, 0, Tier.INFLECTED, 1))
        elif span.end == span.start + 1 and (pairs := self.lexicon.valued_partly(span.form)):
            yield valued(pairs, Cost(1, span.repaired, 1, Tier.INFLECTED, 1))
        elif self.repairing and not span.repaired and not span.closed:
            near = self.lexicon.valued_nearly(span.folded)
            if near and not any(each.knows(one) for each in self.lexicon.lists for one in span.translated):
                yield valued(near, Cost(0, 1, 0, Tier.INFLECTED, 1))

    def _closed(self, words: Sequence[str], at: int) -> bool:
        """Whether a word stands for nothing, so that no part of a name begins or ends with it."""
        silent = {Class.FILLER, Class.LINK, Class.AND, Class.FOLLOW}
        return words[at] in {",", ";"} or any(
            end == at + 1 and all(each.what in silent for each in senses)
            for end, senses in self.words.at(words, at)
        )

    def _partly(
        self, found: Iterable[tuple[Entity, tuple[str, ...]]], kind: Kind, span: Span
    ) -> Iterator[Edge]:
        """Names that hold these words: meant if only neutral words are missing, else to be offered."""
        by_missing: dict[tuple[int, int], list[Entity]] = {}
        for entity, missing in found:
            narrow = sum(each not in self.words.neutral for each in missing)
            by_missing.setdefault((narrow, len(missing)), []).append(entity)
        for (narrow, count), entities in sorted(by_missing.items(), key=lambda each: each[0])[:2]:
            # All of them have the words in another order than they were said, or more words.
            cost = Cost(1 if narrow else 0, span.repaired, count, Tier.INFLECTED, 1)
            if narrow and len(entities) > MOST_PARTLY:
                continue
            yield Edge(span.start, span.end, Named(kind, tuple(entities)), cost)

    def _shared(self, edges: Sequence[Edge], words: Sequence[str]) -> Iterator[Edge]:
        """Filters and values inside a name: "number of open orders" is "Number of orders" with "Open orders"."""
        for each in edges:
            what = each.what
            if each.cost.unknown:
                continue
            if isinstance(what, Named) and what.kind is Kind.FILTER:
                ends = [(each.end, words_of(words[each.end - 1])[-1:])]
            elif isinstance(what, Valued) and each.start > 0:
                ends = [
                    (end, list(words[each.end : end]))
                    for end in range(each.end + 1, min(each.end + 3, len(words)) + 1)
                ]
            else:
                continue
            for (end, head), start in product(ends, range(max(0, each.start - 3), each.start + 1)):
                before = list(words[start : each.start])
                if before or isinstance(what, Named):
                    yield from self._around(each, start, end, [*before, *head])

    def _around(self, inner: Edge, start: int, end: int, pieces: Sequence[str]) -> Iterator[Edge]:
        stems = self.words.classed([one for word in pieces for one in words_of(word)])
        text = " ".join(pieces)
        span = Span(start, end, text, fold(text), "".join(stems), self.words.translated(stems))
        assert isinstance(inner.what, Named | Valued)
        for listed in self.lexicon.lists:
            if listed.kind in {Kind.KPI, Kind.RECORD}:
                found = listed.named(span)
                if found is not None:
                    cost = inner.cost.plus(Cost(0, 0, 0, found[0], 1))
                    yield Edge(start, end, Named(listed.kind, found[1], inner.what), cost)
                elif listed.kind is Kind.KPI:
                    for each in self._partly(listed.partly(span.translated), listed.kind, span):
                        if not each.cost.unknown and isinstance(each.what, Named):
                            yield Edge(
                                start, end, each.what._replace(inside=inner.what), inner.cost.plus(each.cost)
                            )

    # --- paths


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
    "gestern": "yesterday", "heute": "today", "vormonat": "last month", "vorjahr": "last year", "vorwoche": "last week",
    "jahre": "years", "jahren": "years", "jahr": "year", "quartal": "quarter", "quartale": "quarters", "stunden": "hours",
}  # fmt: skip
_DOUBTFUL = frozenset(
    {"may", "march", "mar", "sun", "sat", "dec", "mai", "now", "second", "morgen", "tomorrow"}
)
_YEAR = 4
"""Digits of a year."""
_ANY_ZONE = ZoneInfo("UTC")
_ANY_TIME = datetime(2026, 1, 1, tzinfo=_ANY_ZONE)


def _of_sense(sense: Sense) -> Cost:
    match sense.what:
        case Class.FILLER | Class.LINK | Class.AND | Class.FOLLOW:
            return Cost()
        case Class.QUESTION if sense.value == "count":
            return Cost(tier=Tier.INFLECTED, edges=1, roles=1)  # a KPI that counts is meant first
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
        ):
            return Cost(edges=1)
        case _:
            assert_never(sense.what)


def role_of(what: What) -> str:
    match what:
        case Sense(kind, value):
            return f"{kind.name.lower()} {value}".strip()
        case Named(kind, entities, inside):
            names = " or ".join(dict.fromkeys(each.name.text for each in entities[:3]))
            more = f" with {role_of(inside)}" if inside is not None else ""
            return f"{kind.value} {names}{more}"
        case Valued(pairs):
            return " or ".join(f"{of.name.text} = {value}" for of, value in pairs[:3])
        case Numbered(text):
            return f"number {text}"
        case When(text):
            return f"period {text}"
        case Unknown():
            return "not understood"
        case _:
            assert_never(what)
