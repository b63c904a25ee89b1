"""Values of text fields, read when somebody first says one; in memory only."""

from __future__ import annotations

import asyncio
import unicodedata
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cachetools import LRUCache
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from bot.celonis import Api, DataQuery
from bot.celonis.filter_expr import filter_expressions
from bot.language.lexicon import Entity
from bot.language.values import FieldValues
from bot.model.errors import BadArgument, CelonisError, QuotaExhausted
from bot.model.intents import Comparison, Op, Or
from bot.model.names import Kind, Name, fold

FRESH = timedelta(hours=12)
SURE = timedelta(hours=1)
"""How old a list may be that says what is no value."""
A_DAY = 0.01
"""Part of the day's calls that reading values may cost."""
AT_ONCE = 12
"""Fields that are read for one question."""
MOST_LIKE = 5
_LISTS = 2_000
_LONGEST = 80
_BEGINNING = 3
"""Letters from which the beginning of a value is like it."""
_UNLIKE = 0.34
"""Edits for a letter, above which two values are not like each other."""
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})


@dataclass(frozen=True, slots=True)
class Match:
    """How a text compares with the values of a field.

    Attributes:
        exact: It is one of them.
        same: Those that differ from it in case, accents and spaces only.
        like: Those that it may be a misspelling of, the nearest first.
        sure: Whether every value was compared that it could be.
    """

    exact: bool = False
    same: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    sure: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    at: datetime
    values: FieldValues
    every: frozenset[str]


class FieldValueLists:
    """The values of a connection's text fields, as far as they were read."""

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[str, str], _Kept] = LRUCache(_LISTS)
        self._spent: deque[datetime] = deque()

    async def of(self, fields: Sequence[Entity], asking: Api, now: datetime) -> list[FieldValues]:
        """The values of these fields; those that may not be read now are left out.

        Args:
            fields: Fields that the person may see.
            asking: Reads what is not at hand.
            now: When the request came (UTC).
        """
        found: list[FieldValues] = []
        reads = 0
        for each in fields:
            kept = self._at_hand(each, now)
            if kept is None and is_text(each) and reads < AT_ONCE:
                kept = await self._list(each, asking, now)
                reads += 1
            if kept is not None:
                found.append(kept.values)
        return found

    async def match(self, field: Entity, text: str, asking: Api, now: datetime, *, look: bool) -> Match:
        """Compares a text with the values of a field that the person may see.

        Args:
            field: Which.
            text: As it was typed.
            asking: Reads what is not at hand.
            now: When the request came (UTC).
            look: Look it up where the list was not read to its end and does not have it.
        """
        kept = self._at_hand(field, now) or await self._list(field, asking, now)
        if kept is None:
            return Match()
        found = _compared(text, kept.every, sure=kept.values.complete)
        if found.exact or found.same:
            return found
        if not kept.values.complete:
            return await self._looked_up(field, text, found, asking, now) if look or found.like else found
        if now - kept.at > SURE and (kept := await self._list(field, asking.fresh(), now)) is not None:
            return _compared(text, kept.every, sure=kept.values.complete)
        return found

    def _at_hand(self, field: Entity, now: datetime) -> _Kept | None:
        model = field.owner(Kind.MODEL)
        kept = self._kept.get((model.id if model else "", field.name.id))
        return kept if kept is not None and now - kept.at <= FRESH else None

    async def _list(self, field: Entity, asking: Api, now: datetime) -> _Kept | None:
        model = field.owner(Kind.MODEL)
        read = await self._read(field, DataQuery(distinct=True), asking, now)
        if read is None or model is None:
            return None
        every, whole = read
        known = {fold(each): each for each in every if each.strip() and len(each) <= _LONGEST}
        # Thousands of values take longer than others should wait.
        values = await asyncio.to_thread(FieldValues, field, known, complete=whole)
        kept = _Kept(now, values, every)
        self._kept[model.id, field.name.id] = kept
        return kept

    async def _looked_up(self, field: Entity, text: str, found: Match, asking: Api, now: datetime) -> Match:
        """The same with the values that begin or go on like the text."""
        piece = text.strip()
        if not any(map(str.isdigit, piece)):  # another number is another thing, a misspelt end is not
            piece = piece[: max(_BEGINNING, len(piece) // 2)]
        written = dict.fromkeys((piece, piece.lower(), piece.upper(), piece.title()))
        own = Name(field.name.text, _own(field))
        tests = [
            Comparison(own, Op.EQ, (text,)),
            *(Comparison(own, Op.CONTAINS, (each,)) for each in written),
        ]
        try:
            expressions = filter_expressions(Or(tuple(tests)), lambda each: ("string", each.values))
        except BadArgument:
            return found
        query = DataQuery(expressions=expressions, distinct=True)
        read = await self._read(field, query, asking, now)
        if read is None:
            return found
        every, whole = read
        more = _compared(text, every, sure=whole)
        like = tuple(dict.fromkeys((*more.like, *found.like)))[:MOST_LIKE]
        return Match(more.exact, more.same, like, more.sure)

    async def _read(
        self, field: Entity, query: DataQuery, asking: Api, now: datetime
    ) -> tuple[frozenset[str], bool] | None:
        """Values of a text field, and whether that is all of them; None where they can't be read now."""
        model, record = field.owner(Kind.MODEL), field.owner(Kind.RECORD)
        if model is None or record is None or not is_text(field):
            return None
        if not self._affordable(asking.limits.per_day, now):
            return None
        self._spent.append(now)
        own = _own(field)
        query = replace(query, fields=(own,))
        try:
            page = await asking.record_data(model.id, record.id, query)
        except (CelonisError, QuotaExhausted):
            return None
        values = (row.get(own) for row in page.rows)
        whole = page.last and len(page.rows) < query.size(asking.limits)
        return frozenset(each for each in values if isinstance(each, str)), whole

    def _affordable(self, per_day: int, now: datetime) -> bool:
        while self._spent and now - self._spent[0] > timedelta(days=1):
            self._spent.popleft()
        return len(self._spent) < A_DAY * per_day


def is_text(field: Entity) -> bool:
    """Whether a field holds text, so that a spelling can be wrong."""
    return field.type in {"", "string"}


def _own(field: Entity) -> str:
    """A field's id within its record."""
    return field.name.id.partition(".")[2] or field.name.id


def _spellings(text: str) -> frozenset[str]:
    """A text without case, gaps and accents; umlauts in both ways of writing them."""
    folded = fold(text)
    return frozenset(
        "".join(one for one in unicodedata.normalize("NFKD", each) if not unicodedata.combining(one))
        for each in (folded, folded.translate(_UMLAUTS))
    )


def _compared(text: str, values: Iterable[str], *, sure: bool) -> Match:
    if text in values:
        return Match(exact=True, sure=True)
    typed = _spellings(text)
    spelt = {each: _spellings(each) for each in values if each.strip() and len(each) <= _LONGEST}
    same = tuple(sorted(each for each, ways in spelt.items() if not typed.isdisjoint(ways)))
    return Match(same=same, like=() if same else _like(min(typed), spelt), sure=sure)


def _like(typed: str, spelt: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Values that a text may be a misspelling or a piece of. Another number is another thing."""
    digits = [one for one in typed if one.isdigit()]
    plain = {each: min(ways) for each, ways in spelt.items()}
    plain = {each: way for each, way in plain.items() if [one for one in way if one.isdigit()] == digits}
    near = extract(typed, plain, scorer=OSA.normalized_distance, score_cutoff=_UNLIKE, limit=MOST_LIKE)
    pieces = (
        each
        for each, way in sorted(plain.items())
        if min(len(typed), len(way)) >= _BEGINNING and (typed in way or way in typed)
    )
    return tuple(dict.fromkeys((*(each for _, _, each in near), *pieces)))[:MOST_LIKE]
