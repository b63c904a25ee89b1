"""Edges that two others beside each other are together: a period with its field, a value with the noun that has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bot.language.dates import DATES
from bot.language.edges import Cost, Edge, Named, Valued, When
from bot.language.lexicon import Entity, Lexicon
from bot.language.vocabulary import words_of
from bot.model.names import Kind

_PARTICIPLES = (
    re.compile("(.+)ed"),
    re.compile("(ab|an|auf|aus|ein|vor|zu)?ge(.+?)(?:e?t|en)"),
    re.compile("((?:be|ent|er|ver|zer).+?)(?:e?t|en)"),
    re.compile("(.+ier)t"),
    re.compile("be(.+?)t"),
)
"""Words for what was done, with what they share with nouns."""
_CORE = 3
"""Letters of that at least."""


def joined(edges: Sequence[Edge], words: Sequence[str], lexicon: Lexicon) -> Iterator[Edge]:
    """What edges beside each other are together.

    Args:
        edges: All that were found.
        words: Of the tokens, as they were typed.
        lexicon: What can be named.
    """
    yield from _dated(edges, words, lexicon)
    yield from _headed(edges)


def _dated(edges: Sequence[Edge], words: Sequence[str], lexicon: Lexicon) -> Iterator[Edge]:
    """A period with the field that it is about: "delivery date yesterday", "opened yesterday"."""
    periods = [each for each in edges if isinstance(each.what, When)]
    if not periods:
        return
    beside: dict[tuple[int, int], dict[Entity, None]] = {}
    for each in edges:
        what = each.what
        if isinstance(what, Named) and what.kind is Kind.FIELD and each.cost[:3] == (0, 0, 0):
            dates = (one for one in what.entities if one.type in DATES)
            beside.setdefault((each.start, each.end), {}).update(dict.fromkeys(dates))
    for at in {at for each in periods for at in (each.start - 1, each.end) if 0 <= at < len(words)}:
        beside.setdefault((at, at + 1), {}).update(dict.fromkeys(_done(words[at], lexicon)))
    for (start, end), on in beside.items():
        for other in periods if on else ():
            if end == other.start or other.end == start:
                assert isinstance(other.what, When)
                when = When(other.what.text, tuple(on))
                yield Edge(min(start, other.start), max(end, other.end), when, Cost(edges=1))


def _done(word: str, lexicon: Lexicon) -> Iterator[Entity]:
    """The date fields that say when something was done: "arrived", "Arrival date"; "gemeldet", "Meldedatum"."""
    found = (each.fullmatch(word) for each in _PARTICIPLES)
    cores = tuple(core for each in found if each and len(core := "".join(each.groups(""))) >= _CORE)
    for each in lexicon.every(Kind.FIELD) if cores else ():
        if each.type in DATES and words_of(each.name.text)[0].startswith(cores):
            yield each


def _headed(edges: Sequence[Edge]) -> Iterator[Edge]:
    """A value with its field or the record whose field has it: "network tickets" says no more than "network"."""
    nouns: dict[int, list[Edge]] = {}
    for each in edges:
        if (
            isinstance(each.what, Named)
            and each.what.kind in {Kind.FIELD, Kind.RECORD}
            and not each.cost.unknown
        ):
            nouns.setdefault(each.start, []).append(each)
    for each in edges if nouns else ():
        if not isinstance(each.what, Valued) or each.cost.unknown:
            continue
        for other in nouns.get(each.end, ()):
            assert isinstance(other.what, Named)
            inside = {one.name.id for one in other.what.entities}
            pairs = tuple(
                (of, value)
                for of, value in each.what.pairs
                if of.name.id in inside
                or any(owner.id in inside for kind, owner in of.within if kind is Kind.RECORD)
            )
            if pairs:
                # A filter that is called so is meant before.
                cost = each.cost.plus(other.cost)._replace(edges=each.cost.edges).plus(Cost(roles=1))
                yield Edge(each.start, other.end, Valued(pairs), cost, each.guess + other.guess)
