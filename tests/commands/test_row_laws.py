"""Rows, their order and their number equal what a plain look through the sandbox's rows says, over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.counts import Count
from bot.commands.records import Data
from bot.language.say import say
from bot.model.cards import Card, Missing, Status, Table, Words
from bot.model.intents import And, Comparison, Condition, Intent, Not, Op, Or, SortKey
from bot.model.names import Name
from bot.sandbox.content import DEFAULT_SEED, make_knowledge_models
from tests.story import START, Stage, StoryClock, someone, stage

MODEL = next(
    each
    for each in make_knowledge_models(DEFAULT_SEED, START.timestamp())
    if each.id == "open-purchase-requisition.purchase-requisition-km"
)
RECORD = next(each for each in MODEL.records if each.id == "MATERIALS")
TYPES = {each.id: each.type for each in RECORD.fields}
NAMES = {each.id: Name(each.name, each.id) for each in RECORD.fields}
ROWS: list[dict[str, Any]] = [dict(zip(TYPES, row, strict=True)) for row in RECORD.rows]
TEXTS = ("material_name", "material_group", "supplier")
NUMBER, DAY, KEY = "payment_amount", "last_order", "material_number"
CONNECTION = Name("sandbox", "sandbox")
OF: dict[str, Any] = {
    "record": Name("Materials", "MATERIALS"),
    "model": Name(MODEL.name, MODEL.id),
    "via": CONNECTION,
}
Row = Mapping[str, Any]


def known(field: str) -> list[Any]:
    """Values of a field that a condition can hold."""
    return sorted({each[field] for each in ROWS if each[field] not in {None, ""}})


# --- the plain look --------------------------------------------------------------------------------------------

COMPARE: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: lambda value, given: value == given,
    Op.NE: lambda value, given: value != given,
    Op.GT: lambda value, given: value > given,
    Op.GE: lambda value, given: value >= given,
    Op.LT: lambda value, given: value < given,
    Op.LE: lambda value, given: value <= given,
    Op.CONTAINS: lambda value, given: given in value,
    Op.STARTS_WITH: lambda value, given: value.startswith(given),
    Op.ENDS_WITH: lambda value, given: value.endswith(given),
}


def read(field: str, text: str) -> Any:
    match TYPES[field]:
        case "float":
            return float(text)
        case "date":
            return date.fromisoformat(text)
        case _:
            return text


def holds(condition: Condition | None, row: Row) -> bool | None:
    """Whether a condition is true of a row; None where a value is missing on which that depends."""
    match condition:
        case None:
            return True
        case Not(part):
            truth = holds(part, row)
            return None if truth is None else not truth
        case And(parts) | Or(parts):
            decisive = isinstance(condition, Or)
            truths = [holds(each, row) for each in parts]
            if decisive in truths:
                return decisive
            return None if None in truths else not decisive
        case Comparison(name, op, values):
            value = row[name.id]
            if op is Op.IS_EMPTY:
                return value is None
            if value is None:
                return None
            wanted = [read(name.id, each) for each in values]
            if op is Op.IN:
                return value in wanted
            if op is Op.BETWEEN:
                return bool(wanted[0] <= value <= wanted[1])
            return COMPARE[op](value, wanted[0])


def fitting(condition: Condition | None) -> list[Row]:
    return [row for row in ROWS if holds(condition, row)]


# --- conditions ------------------------------------------------------------------------------------------------


def _pieces(value: str) -> st.SearchStrategy[str]:
    return st.tuples(st.integers(0, len(value) - 1), st.integers(1, 6)).map(
        lambda at: value[at[0] : at[0] + at[1]].strip() or value
    )


def _leaf(field: str, ops: Sequence[Op], values: st.SearchStrategy[str]) -> st.SearchStrategy[Comparison]:
    one = st.builds(lambda op, value: Comparison(NAMES[field], op, (value,)), st.sampled_from(ops), values)
    many = st.lists(values, min_size=1, max_size=3, unique=True).map(
        lambda found: Comparison(NAMES[field], Op.IN, tuple(found))
    )
    return one | many


def _between(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Comparison]:
    return st.tuples(values, values).map(
        lambda ends: Comparison(NAMES[field], Op.BETWEEN, tuple(map(str, sorted(ends))))
    )


ORDERED = (Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE)
AMOUNTS = st.sampled_from(known(NUMBER)) | st.integers(-2_000, 25_000)
DAYS = st.sampled_from(known(DAY)) | st.dates(START.date() - timedelta(900), START.date())
LEAVES = st.one_of(
    *(
        _leaf(field, (Op.EQ, Op.NE), st.sampled_from(known(field)))
        | _leaf(
            field, (Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH), st.sampled_from(known(field)).flatmap(_pieces)
        ).filter(lambda each: each.op is not Op.IN)
        for field in TEXTS
    ),
    _leaf(NUMBER, ORDERED, AMOUNTS.map(str)),
    _leaf(DAY, ORDERED, DAYS.map(str)),
    _between(NUMBER, AMOUNTS),
    _between(DAY, DAYS),
)
EMPTY = st.sampled_from(list(TYPES)).map(lambda field: Comparison(NAMES[field], Op.IS_EMPTY))


def _deeper(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return inner.map(Not) | some.map(And) | some.map(Or)


TREES: st.SearchStrategy[Condition] = st.recursive(LEAVES, _deeper, max_leaves=4)
CONDITIONS: st.SearchStrategy[Condition | None] = st.one_of(
    st.none(), TREES, EMPTY, st.tuples(TREES, EMPTY).map(And), EMPTY.map(Not)
)

# --- the bot ---------------------------------------------------------------------------------------------------


class Asking:
    """A bot that is asked many questions, by a new person each time: nobody asks more than they may."""

    def __init__(self, runner: asyncio.Runner, scene: Stage) -> None:
        self.runner = runner
        self.scene = scene
        self.people = itertools.count()

    def says(self, intent: Intent) -> Card:
        card = self.runner.run(self.scene.says(say(intent), someone(f"U{next(self.people)}")))
        assert card.status is Status.ANSWERED, (say(intent), card)
        return card

    def rows(self, intent: Data) -> Iterator[tuple[str | None, ...]]:
        """All rows, a page after the other, as a person would turn them."""
        person = someone(f"U{next(self.people)}")
        card = self.runner.run(self.scene.says(say(intent), person))
        while True:
            assert card.status is Status.ANSWERED, (say(intent), card)
            for block in card.blocks:
                if isinstance(block, Table):
                    for row in block.rows:
                        yield tuple(_text(cell) for cell in row)
            if not any(each.label.startswith("Next") for each in card.buttons):
                return
            card = self.runner.run(self.scene.presses(card, "Next", person))


def _text(cell: object) -> str | None:
    match cell:
        case Missing():
            return None
        case Words(text):
            return text
        case _:
            raise AssertionError(cell)


@contextmanager
def asking() -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        opened = stage(clock=StoryClock(still=True), policy=())
        scene = runner.run(opened.__aenter__())
        try:
            yield Asking(runner, scene)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def number_in(headline: str) -> int:
    """How many rows a headline counts."""
    found = re.search(r": (?:all )?([\d,]+) (?:different )?rows?|rows [\d,]+-[\d,]+ of ([\d,]+)", headline)
    if found is None:
        assert "no row" in headline, headline
        return 0
    return int((found[1] or found[2]).replace(",", ""))


def each_comparison() -> Iterator[Comparison]:
    """Every way of comparing every field, with values that some rows have and others have not."""
    for field in (*TEXTS, NUMBER, DAY):
        values = [str(each) for each in known(field)]
        first, middle, last = values[0], values[len(values) // 2], values[-1]
        for op in ORDERED if field in {NUMBER, DAY} else (Op.EQ, Op.NE):
            yield Comparison(NAMES[field], op, (middle,))
        if field in TEXTS:
            yield Comparison(NAMES[field], Op.CONTAINS, (middle[1:3],))
            yield Comparison(NAMES[field], Op.STARTS_WITH, (middle[:2],))
            yield Comparison(NAMES[field], Op.ENDS_WITH, (middle[-2:],))
        else:
            yield Comparison(NAMES[field], Op.BETWEEN, (first, middle))
        yield Comparison(NAMES[field], Op.IN, (middle, last))
        yield Comparison(NAMES[field], Op.IS_EMPTY)


def test_each_comparison_finds_the_rows_of_which_it_is_true() -> None:
    with asking() as bot:
        for comparison in each_comparison():
            for condition in (comparison, Not(comparison)):
                wanted = Counter((row[KEY],) for row in fitting(condition))
                intent = Data(show=(NAMES[KEY],), where=condition, **OF)
                assert Counter(bot.rows(intent)) == wanted, say(intent)


def test_rows_and_their_number_are_those_for_which_the_condition_is_true() -> None:
    with asking() as bot:

        @settings(max_examples=60)
        @given(CONDITIONS)
        def check(condition: Condition | None) -> None:
            wanted = fitting(condition)
            intent = Data(show=(NAMES[KEY],), where=condition, **OF)
            assert Counter(bot.rows(intent)) == Counter((row[KEY],) for row in wanted), say(intent)
            assert number_in(bot.says(intent).headline) == len(wanted)
            counted = bot.says(Count(where=condition, **OF))
            assert counted.headline.startswith((f"{len(wanted)} Materials", "Materials: no rows")), (
                counted.headline
            )
            assert counted.headline.startswith("Materials: no rows") <= (not wanted)

        check()


def test_rows_stand_in_the_order_asked_for_with_what_is_missing_last() -> None:
    with asking() as bot:

        @settings(max_examples=25)
        @given(CONDITIONS, st.sampled_from((*TEXTS, NUMBER, DAY)), st.booleans())
        def check(condition: Condition | None, field: str, descending: bool) -> None:
            key = SortKey(NAMES[field], descending=descending)
            intent = Data(show=(NAMES[KEY],), where=condition, sort=(key,), **OF)
            by_key = {row[KEY]: row[field] for row in ROWS}
            found = [by_key[row[0] or ""] for row in bot.rows(intent)]
            values = [row[field] for row in fitting(condition)]
            there = sorted((each for each in values if each is not None), reverse=descending)
            assert found == [*there, *[None] * (len(values) - len(there))], say(intent)

        check()


def test_different_rows_are_shown_and_counted_once() -> None:
    with asking() as bot:

        @settings(max_examples=25)
        @given(CONDITIONS, st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True))
        def check(condition: Condition | None, fields: list[str]) -> None:
            wanted = {tuple(row[each] for each in fields) for row in fitting(condition)}
            intent = Data(show=tuple(NAMES[each] for each in fields), where=condition, distinct=True, **OF)
            assert Counter(bot.rows(intent)) == Counter(wanted), say(intent)
            assert number_in(bot.says(intent).headline) == len(wanted)

        check()
