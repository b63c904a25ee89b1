"""Periods of KPIs: the one before, buckets, and what they are called."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.kpis.periods import (
    MOST,
    UNITS,
    Span,
    asked,
    before,
    buckets,
    called,
    lately,
    unit_for,
    within,
)
from bot.language.conditions import Values
from bot.language.dates import period
from bot.model.cards import Reader
from bot.model.intents import And, Comparison, Op
from bot.model.names import Name

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 23, 56, tzinfo=BERLIN)
DAY = Name("Day", "R.day")
MOMENT = Name("Moment", "R.moment")
TYPES = {"R.day": "date", "R.moment": "datetime", "R.text": "string"}
ENGLISH, GERMAN = Reader("Europe/Berlin"), Reader("Europe/Berlin", "de")
SPANS = st.builds(
    lambda first, days: Span(
        datetime(first.year, first.month, first.day, tzinfo=BERLIN),
        datetime.combine(first + timedelta(days=days), datetime.min.time(), BERLIN),
    ),
    st.dates(date(2020, 1, 1), date(2026, 11, 20)),
    st.integers(1, 900),
)


def span(said: str) -> Span:
    found = period(said, BERLIN, NOW)
    assert found is not None, said
    return Span(found.start, found.after)


@pytest.mark.parametrize(
    ("said", "earlier"),
    [
        ("last month", "Sep 2026"),
        ("march 2026", "Feb 2026"),
        ("last quarter", "Q2 2026"),
        ("2025", "2024"),
        ("yesterday", "18 Nov 2026"),
        ("last week", "2 to 8 Nov 2026"),
        ("last 30 days", "22 Sep to 21 Oct 2026"),
        ("this month", "1 to 20 Oct 2026"),
        ("month to date", "1 to 20 Oct 2026"),
        ("this week", "9 to 13 Nov 2026"),
        ("week to date", "9 to 13 Nov 2026"),
        ("year to date", "1 Jan to 20 Nov 2025"),
        ("this quarter", "1 Jul to 20 Aug 2026"),
        ("september 2026 to october 2026", "Jul 2026 to Aug 2026"),
        ("next month", "Nov 2026"),
    ],
)
def test_the_period_before_is_the_calendar_s_and_as_much_of_it_as_has_passed(said: str, earlier: str) -> None:
    found = before(span(said), NOW)
    assert found is not None
    assert called(found, ENGLISH) == earlier


def test_what_has_no_end_has_no_period_before() -> None:
    assert before(span("since march 2026"), NOW) is None


@given(SPANS)
def test_the_period_before_ends_where_this_one_begins_at_the_latest(asked_for: Span) -> None:
    found = before(asked_for, NOW)
    assert found is not None
    assert found.start is not None
    assert found.end is not None
    assert asked_for.start is not None
    assert found.start < found.end <= asked_for.start


@given(SPANS, st.sampled_from(UNITS))
def test_buckets_cover_what_has_passed_without_gaps(asked_for: Span, unit: str) -> None:
    found = buckets(asked_for, unit, NOW)
    assert found[0].start == asked_for.start
    assert all(one.end == other.start for one, other in pairwise(found))
    assert asked_for.end is not None
    last = found[-1].end
    assert last is not None
    assert last == asked_for.end or NOW < last <= asked_for.end
    assert len(buckets(asked_for, unit_for(asked_for, NOW), NOW)) <= MOST + 1


@given(st.sampled_from(UNITS), st.integers(0, 5))
def test_the_latest_buckets_are_as_many_as_fit_and_pages_join(unit: str, page: int) -> None:
    here = lately(unit, MOST, MOST * page, NOW)
    assert len(buckets(here, unit, NOW)) == MOST
    assert lately(unit, MOST, MOST * (page + 1), NOW).end == here.start


@given(SPANS)
def test_a_period_as_a_condition_is_the_same_period(asked_for: Span) -> None:
    values = Values(TYPES, zone=BERLIN, now=NOW)
    for field in (DAY, MOMENT):
        found = asked(within(field, asked_for), TYPES, values)
        assert found is not None
        assert (found.field, found.span, found.rest) == (field, asked_for, None)


def test_a_period_with_a_clock_keeps_its_instants_over_a_change_of_the_clock() -> None:
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).astimezone(BERLIN)
    one = Span(start, (start.astimezone(UTC) + timedelta(hours=1)).astimezone(BERLIN))
    values = Values(TYPES, zone=BERLIN, now=NOW)
    found = asked(within(MOMENT, one), TYPES, values)
    assert found is not None
    assert found.span.start is not None
    assert found.span.start.astimezone(UTC) == start.astimezone(UTC)
    back = before(one, NOW)
    assert back is not None
    assert back.end == start


def test_the_period_is_told_apart_from_other_conditions() -> None:
    text = Comparison(Name("Text", "R.text"), Op.EQ, ("x",))
    since, until = Comparison(DAY, Op.GE, ("2026-01-01",)), Comparison(DAY, Op.LT, ("2026-02-01",))
    values = Values(TYPES, zone=BERLIN, now=NOW)
    found = asked(And((text, since, until)), TYPES, values)
    assert found is not None
    assert found.rest == text
    assert called(found.span, ENGLISH) == "Jan 2026"
    other = Comparison(MOMENT, Op.EQ, ("last month",))
    assert asked(And((since, other)), TYPES, values) is None, "two dates are two periods"
    assert asked(text, TYPES, values) is None


@pytest.mark.parametrize(
    ("said", "english", "german"),
    [
        ("last month", "Oct 2026", "Okt. 2026"),
        ("last quarter", "Q3 2026", "Q3 2026"),
        ("2025", "2025", "2025"),
        ("2026-03-01", "1 Mar 2026", "01.03.2026"),
        ("last week", "9 to 15 Nov 2026", "09.11.2026 to 15.11.2026"),
        ("since 2026-03-01", "since 1 Mar 2026", "since 01.03.2026"),
        ("until 2026-03-01", "before 2 Mar 2026", "before 02.03.2026"),
        ("december 2025 to january 2026", "Dec 2025 to Jan 2026", "Dez. 2025 to Jan. 2026"),
    ],
)
def test_periods_are_called_as_short_as_they_are_clear(said: str, english: str, german: str) -> None:
    assert called(span(said), ENGLISH) == english
    assert called(span(said), GERMAN) == german
