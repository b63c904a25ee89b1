"""Periods in words become half-open ranges in the zone, and what is not known is no period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.dates import Period, lasting, period

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Berlin", "America/Havana", "Africa/Cairo", "Asia/Kolkata", "UTC", "Pacific/Apia")
]
NOW = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)  # Sunday, 23:30 in Berlin
moments = st.builds(
    lambda seconds, zone: (datetime(1990, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(0, 100 * 365 * 86400),
    st.sampled_from(ZONES),
)
WORDS = (
    "today",
    *(f"this {unit}" for unit in ("day", "week", "month", "quarter", "year")),
    *("last 1 day", "last 3 weeks", "next 7 days", "last 12 months", "year to date", "mtd"),
)
PIECES = (
    *(
        "last",
        "this",
        "since",
        "until",
        "between",
        "3",
        "days",
        "q1",
        "2026",
        "-",
        "20:00",
        "z",
        "to",
        "and",
        "march",
    ),
    *(".", "t", "w5", "1.", "hours ago", "monday"),
)


def days(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> tuple[str, str] | None:
    """First day and the day after the last, None if it is no period of whole days."""
    found = period(text, zone, now)
    if found is None:
        return None
    assert not found.clock
    return (
        "" if found.start is None else found.start.date().isoformat(),
        "" if found.end is None else found.end.date().isoformat(),
    )


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("today", "2026-11-22", "2026-11-23"),
        ("Yesterday", "2026-11-21", "2026-11-22"),
        ("this week", "2026-11-16", "2026-11-23"),
        ("last week", "2026-11-09", "2026-11-16"),
        ("this month", "2026-11-01", "2026-12-01"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("next month", "2026-12-01", "2027-01-01"),
        ("previous quarter", "2026-07-01", "2026-10-01"),
        ("current year", "2026-01-01", "2027-01-01"),
        ("last 30 days", "2026-10-24", "2026-11-23"),
        ("last 2 weeks", "2026-11-09", "2026-11-23"),
        ("past 3 months", "2026-08-23", "2026-11-23"),
        ("next 7 days", "2026-11-22", "2026-11-29"),
        ("3 days ago", "2026-11-19", "2026-11-20"),
        ("sunday", "2026-11-22", "2026-11-23"),
        ("last sunday", "2026-11-15", "2026-11-16"),
        ("since monday", "2026-11-16", ""),
        ("2026", "2026-01-01", "2027-01-01"),
        ("Q3 2026", "2026-07-01", "2026-10-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("March 2026", "2026-03-01", "2026-04-01"),
        ("märz 2026", "2026-03-01", "2026-04-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("02/2028", "2028-02-01", "2028-03-01"),
        ("week 1 2026", "2025-12-29", "2026-01-05"),
        ("2026-W53", "2026-12-28", "2027-01-04"),
        ("2026-03-01", "2026-03-01", "2026-03-02"),
        ("1 March 2026", "2026-03-01", "2026-03-02"),
        ("March 1st, 2026", "2026-03-01", "2026-03-02"),
        ("1.3.2026", "2026-03-01", "2026-03-02"),
        ("since 2026-03-01", "2026-03-01", ""),
        ("after 2026-03-01", "2026-03-02", ""),
        ("until March 2026", "", "2026-04-01"),
        ("before March 2026", "", "2026-03-01"),
        ("between Q1 2026 and Q2 2026", "2026-01-01", "2026-07-01"),
        ("from 2026-03-01 to 2026-03-05", "2026-03-01", "2026-03-06"),
        ("2026-03-01 – 2026-03-05", "2026-03-01", "2026-03-06"),
        ("year to date", "2026-01-01", "2026-11-23"),
    ],
)
def test_a_period_in_words_is_half_open(text: str, first: str, after: str) -> None:
    assert days(text) == (first, after)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "soon",
            "March",
            "Q3",
            "01/03/2026",
            "2026-02-30",
            "2026-13",
            "2025-W53",
            "Q5 2026",
            "last 0 days",
        ),
        *(
            "last 99999 days",
            "last 9999 years",
            "since",
            "since soon",
            "May 2026 to March 2026",
            "1066",
            "9999",
        ),
        *(
            "25:00",
            "20:00Z",
            "foo 2026",
            "31 Foo 2026",
            "x" * 5000,
            "last 30",
            "30 days",
            "between today",
            "٢٠٢٦",
        ),
    ],
)
def test_what_is_not_clear_is_no_period(text: str) -> None:
    assert period(text, BERLIN, NOW) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01 20:00", "2026-03-01T19:00:00+00:00"),
        ("2026-03-01T20:00:30", "2026-03-01T19:00:30+00:00"),
        ("2026-03-01T20:00:30.123Z", "2026-03-01T20:00:30+00:00"),
        ("2026-03-01 20:00 +03:00", "2026-03-01T17:00:00+00:00"),
        ("yesterday 20:00", "2026-11-21T19:00:00+00:00"),
        ("20:00", "2026-11-22T19:00:00+00:00"),
        ("23:45", "2026-11-21T22:45:00+00:00"),
        ("2 hours ago", "2026-11-22T20:30:00+00:00"),
        ("now", "2026-11-22T22:30:00+00:00"),
    ],
)
def test_a_time_is_an_instant_and_without_its_day_the_last_one(text: str, at: str) -> None:
    found = period(text, BERLIN, NOW)
    assert found is not None
    assert found.instant
    assert found.start is not None
    assert found.start.astimezone(UTC).isoformat() == at
    assert found.after == found.start


def test_hours_are_counted_on_the_clock_that_does_not_jump() -> None:
    morning = datetime(2026, 3, 29, 6, 0, tzinfo=BERLIN)
    found = period("last 12 hours", BERLIN, morning)
    assert found is not None
    assert found.start is not None
    assert found.start.astimezone(BERLIN).isoformat() == "2026-03-28T17:00:00+01:00"
    assert found.end == morning


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    found = period(day, BERLIN, NOW)
    assert found is not None
    assert found.start is not None
    assert found.end is not None
    assert found.end.astimezone(UTC) - found.start.astimezone(UTC) == timedelta(hours=hours)


def instants(found: Period | None) -> tuple[datetime, datetime]:
    assert found is not None
    assert found.start is not None
    assert found.end is not None
    return found.start.astimezone(UTC), found.end.astimezone(UTC)


@given(moments, st.sampled_from(("day", "week", "month", "quarter", "year")), st.sampled_from(ZONES))
def test_last_this_and_next_follow_one_another_and_now_is_in_this(
    now: datetime, unit: str, zone: ZoneInfo
) -> None:
    three = [instants(period(f"{which} {unit}", zone, now)) for which in ("last", "this", "next")]
    assert all(one[1] == other[0] for one, other in pairwise(three))
    assert three[1][0] <= now.astimezone(UTC) < three[1][1]


@given(moments, st.sampled_from(WORDS), st.sampled_from(ZONES))
def test_what_ends_or_begins_with_today_holds_now(now: datetime, text: str, zone: ZoneInfo) -> None:
    start, end = instants(period(text, zone, now))
    assert start <= now.astimezone(UTC) < end


@given(st.dates(date(1950, 1, 1), date(2150, 1, 1)), st.sampled_from(ZONES))
def test_days_tile_time_in_every_zone(day: date, zone: ZoneInfo) -> None:
    first, second = (instants(period(str(each), zone, NOW)) for each in (day, day + timedelta(days=1)))
    assert first[1] == second[0]
    assert first[0] <= first[1]


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(PIECES),
            max_size=6,
        ).map(" ".join),
    )
)
def test_no_text_breaks_the_periods(text: str) -> None:
    found = period(text, BERLIN, NOW)
    assert found is None or found.start is not None or found.end is not None


@given(
    st.sampled_from(
        (
            *WORDS,
            *("now", "yesterday", "last month", "20:00", "3 hours ago", "last 90 minutes", "next 2 hours"),
            *("since yesterday", "before now", "since 20:00", "yesterday to now", "20:00 to tomorrow"),
            *("until today", "after last week", "q3 2026", "2026-11-20 20:00:30", "2 days ago to 1 hour ago"),
        )
    ),
    moments,
    st.sampled_from(ZONES),
    st.timedeltas(timedelta(), timedelta(days=4000)),
)
def test_a_period_in_dates_is_the_same_whenever_it_is_read(
    text: str, now: datetime, zone: ZoneInfo, later: timedelta
) -> None:
    found = period(text, zone, now.replace(microsecond=0))
    if found is None:  # such a range is the wrong way round then
        return
    again = period(lasting(found), zone, now + later)
    assert again is not None, lasting(found)
    assert (again.start, again.end, again.after) == (found.start, found.end, found.after), lasting(found)
    assert again.one_day == found.one_day
