"""What the bot says of KPIs equals what a plain calculation over the sandbox's rows says, over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.kpis import ShowKpi
from bot.language.say import say
from bot.model.cards import Card, Chart, Drawing, Facts, Status, Text
from bot.model.intents import And, Comparison, Condition, Op, SortKey
from bot.model.names import Name
from tests.commands.plainly import FIELDS, KPIS, MODEL, ORDERS, Test, grouped, plain, shown, value
from tests.story import START, Stage, StoryClock, someone, stage

TODAY = START.date()
GROUPS = ("country", "plant", "status", "customer", "automated", "touches")
COUNTRIES = sorted({each["country"] for each in ORDERS})
CONNECTION = Name("sandbox", "sandbox")


class Asking:
    """A bot that is asked many questions, by a new person each time: nobody asks more than they may."""

    def __init__(self, runner: asyncio.Runner, scene: Stage) -> None:
        self.runner = runner
        self.scene = scene
        self.people = itertools.count()

    def says(self, intent: ShowKpi) -> Card:
        person = someone(f"U{next(self.people)}")
        card = self.runner.run(self.scene.says(say(intent), person))
        assert card.status is Status.ANSWERED, (say(intent), card)
        return card

    def pages(self, intent: ShowKpi) -> Iterator[Card]:
        """All pages, turned as a person would."""
        person = someone(f"U{next(self.people)}")
        card = self.runner.run(self.scene.says(say(intent), person))
        while True:
            assert card.status is Status.ANSWERED, (say(intent), card)
            yield card
            more = next((each for each in card.buttons if each.label.startswith("Next ")), None)
            if more is None:
                return
            card = self.runner.run(self.scene.presses(card, more.label, person))


@contextmanager
def asking() -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        opened = stage(clock=StoryClock(still=True), policy=())
        scene = runner.run(opened.__aenter__())
        try:
            yield Asking(runner, scene)
        finally:
            runner.run(opened.__aexit__(None, None, None))


def field(name: str) -> Name:
    return Name(FIELDS[name], f"ORDERS.{name}")


def kpi(name: str) -> Name:
    return Name(KPIS[name].name, name)


def condition(test: Test) -> Condition | None:
    parts: list[Condition] = []
    if test.countries:
        parts.append(Comparison(field("country"), Op.IN, test.countries))
    if test.above is not None:
        parts.append(Comparison(field("value_eur"), Op.GT, (str(test.above),)))
    if test.first is not None and test.after is not None:
        last = test.after - timedelta(days=1)
        parts.append(Comparison(field("order_date"), Op.BETWEEN, (test.first.isoformat(), last.isoformat())))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(tuple(parts))


DAYS = st.dates(TODAY - timedelta(days=400), TODAY)
TESTS = st.builds(
    Test,
    countries=st.lists(st.sampled_from(COUNTRIES), max_size=3, unique=True).map(tuple),
    above=st.none() | st.integers(0, 30_000),
)
DATED = st.builds(
    lambda test, first, days: Test(test.countries, test.above, first, first + timedelta(days=days)),
    TESTS,
    DAYS,
    st.integers(1, 120),
)
ORDER = st.sampled_from(("", "top", "bottom", "best", "worst", "sort", "-sort"))


def asked(**fields: Any) -> ShowKpi:
    return ShowKpi(model=Name(MODEL.name, MODEL.id), via=CONNECTION, **fields)


def same(found: Any, wanted: Any) -> bool:
    return bool(found == (wanted if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-9)))


def test_groups_are_those_of_the_rows_in_the_order_asked_for() -> None:
    with asking() as bot:

        @settings(max_examples=40)
        @given(
            st.lists(st.sampled_from(sorted(KPIS)), min_size=1, max_size=2, unique=True),
            st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True),
            TESTS | DATED,
            ORDER,
            st.integers(1, 15),
        )
        def check(kpis: list[str], by: list[str], test: Test, order: str, most: int) -> None:
            lead = KPIS[kpis[0]]
            if order in {"best", "worst"} and lead.direction == "None":
                order = "top"
            ranks = {order: most} if order in {"top", "bottom", "best", "worst"} else {}
            keys = (SortKey(field(by[0]), descending=order == "-sort"),) if order.endswith("sort") else ()
            intent = asked(
                kpis=tuple(map(kpi, kpis)),
                by=tuple(map(field, by)),
                where=condition(test),
                sort=keys,
                **ranks,
            )
            wanted = {
                group: tuple(value(each, orders) for each in kpis)
                for group, orders in grouped(by, filter(test.holds, ORDERS)).items()
            }
            cards = list(bot.pages(intent))
            found = [row for card in cards for row in shown(card, len(by))]
            if not any(any(values) for values in wanted.values()) and not found:
                return
            assert len({labels for labels, _ in found}) == len(found)
            assert len(found) == min(len(wanted), most if ranks else len(wanted))
            for labels, values in found:
                assert all(map(same, values, wanted[labels])), (labels, values, wanted[labels])
            _in_order(found, wanted, by, order, lead.direction, most if ranks else 0)
            _counted(cards, len(found))

        check()


def _in_order(
    found: list[Any], wanted: dict[Any, Any], by: list[str], order: str, direction: str, most: int
) -> None:
    if order.endswith("sort"):
        firsts = [labels[0] for labels, _ in found if labels[0] is not None]
        assert firsts == sorted(firsts, reverse=order == "-sort")
        return
    up = direction == "Up"
    high = {"top": True, "bottom": False, "best": up, "worst": not up}.get(order, not up)
    leads = [values[0] for _, values in found if values[0] is not None]
    assert leads == sorted(leads, reverse=high)
    every = sorted((values[0] for values in wanted.values() if values[0] is not None), reverse=high)
    assert leads == pytest.approx(every[: most or None])


def _counted(cards: list[Card], total: int) -> None:
    """What the cards say of how many there are."""
    said = [
        block.text
        for card in cards
        for block in card.blocks
        if isinstance(block, Text) and re.match(r"[0-9,]+-[0-9]", block.text)
    ]
    if len(cards) == 1:
        assert said == []
        return
    for at, each in enumerate(said):
        last = min(10 * at + 10, total)
        assert each in {f"{10 * at + 1}-{last} of {total}", f"{10 * at + 1}-{last}, more follow"}
    assert said[-1].endswith(f"of {total}")


UNITS = {"day": 12, "week": 84, "month": 365, "quarter": 1095, "year": 3000}


def _end(first: date, unit: str) -> date:
    """The first day after the calendar's day, week, month, quarter or year that holds a day."""
    day = first + timedelta(days=1)
    keys: dict[str, Callable[[date], Any]] = {
        "day": lambda one: one,
        "week": lambda one: one.isocalendar()[:2],
        "month": lambda one: (one.year, one.month),
        "quarter": lambda one: (one.year, (one.month - 1) // 3),
        "year": lambda one: one.year,
    }
    while keys[unit](day) == keys[unit](first):
        day += timedelta(days=1)
    return day


def test_a_trend_has_the_values_of_the_calendar_s_own_buckets() -> None:
    with asking() as bot:

        @settings(max_examples=12)
        @given(
            st.sampled_from(sorted(KPIS)),
            st.sampled_from(sorted(UNITS)),
            TESTS,
            DAYS,
            st.integers(1, 100),
        )
        def check(name: str, unit: str, test: Test, first: date, days: int) -> None:
            after = min(first + timedelta(days=min(days, UNITS[unit] // 2 + 1)), TODAY + timedelta(days=1))
            dated = Test(test.countries, test.above, first, after)
            card = bot.says(asked(kpis=(kpi(name),), where=condition(dated), every=unit))
            (chart,) = [each for each in card.blocks if isinstance(each, Chart)]
            assert chart.drawing is Drawing.LINE
            edges = [first]
            while edges[-1] < after:
                edges.append(min(_end(edges[-1], unit), after))
            wanted = [
                value(name, filter(Test(test.countries, test.above, *pair).holds, ORDERS))
                for pair in itertools.pairwise(edges)
            ]
            assert all(map(same, [plain(each.value) for each in chart.points], wanted)), (card, wanted)
            assert len(chart.points) == len(wanted)

        check()


def test_a_value_is_compared_with_the_rows_of_the_other_period() -> None:
    with asking() as bot:

        @settings(max_examples=15)
        @given(st.sampled_from(sorted(KPIS)), DATED, DAYS | st.none(), st.integers(1, 60))
        def check(name: str, test: Test, other: date | None, days: int) -> None:
            assert test.first is not None
            assert test.after is not None
            if other is None:
                against = "previous period"
                length = test.after - test.first
                pair = test.first - length, test.first
                if test.first.day == 1 or test.after > TODAY:
                    return  # a part of a month, or a period that still runs: see the periods' own tests
            else:
                pair = other, other + timedelta(days=days)
                against = f"{other.isoformat()} to {(pair[1] - timedelta(days=1)).isoformat()}"
            card = bot.says(asked(kpis=(kpi(name),), where=condition(test), against=against))
            facts = [fact for each in card.blocks if isinstance(each, Facts) for fact in each.facts]
            now = value(name, filter(test.holds, ORDERS))
            then = value(name, filter(Test(test.countries, test.above, *pair).holds, ORDERS))
            if not facts:
                assert not now, "only where nothing was found is a spelling looked for"
                return
            assert same(plain(facts[0].value), now)
            values = [
                plain(each.value) for each in facts[1:] if each.label not in {"Target", "Better is", "Change"}
            ]
            assert len(values) == 1
            assert same(values[0], then)

        check()
