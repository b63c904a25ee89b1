"""Laws of times on the clock, over zones whose clocks change at odd hours and by odd amounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.language.declare import SETS_OF_DAYS, WEEKDAYS
from bot.watching.times import Schedule, days_of, instant

ZONES = (
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",  # clocks went forward at midnight
    "America/Nuuk",
    "Pacific/Apia",  # 2011-12-30 was left out
    "Africa/Casablanca",
)
times = st.times().map(lambda each: each.replace(second=0, microsecond=0))
days = st.lists(st.sampled_from((*SETS_OF_DAYS, *WEEKDAYS)), max_size=3).map(tuple)
schedules = st.builds(Schedule, times, st.sampled_from(ZONES), days, st.none() | times)
moments = st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CHANGES = [
    *(moment for zone in ZONES for moment in (datetime(2011, 12, 28, tzinfo=UTC),) if zone == "Pacific/Apia"),
    *(datetime(2026, month, day, tzinfo=UTC) for month in (3, 4, 10, 11) for day in (1, 7, 24, 28)),
]
near_changes = st.builds(
    lambda change, hours: change + timedelta(hours=hours), st.sampled_from(CHANGES), st.integers(0, 96)
)


def on_the_clock(moment: datetime, schedule: Schedule) -> datetime:
    return moment.astimezone(ZoneInfo(schedule.zone)).replace(tzinfo=None, fold=0)


@given(schedules, moments | near_changes)
def test_it_comes_again_and_again_each_date_at_most_once_on_its_days_at_its_time(
    schedule: Schedule, moment: datetime
) -> None:
    found = list(islice(schedule.after(moment), 12))
    assert found[0] > moment
    assert all(one < other for one, other in pairwise(found))
    local = [on_the_clock(each, schedule) for each in found]
    assert len({each.date() for each in local}) == len(local)
    for each, clock in zip(found, local, strict=True):
        gap = clock.time() != schedule.at
        if gap:  # the moment before it had another offset, and the time that was meant lies between the two
            before = on_the_clock(each - timedelta(seconds=1), schedule)
            meant = datetime.combine(clock.date(), schedule.at)
            meant -= timedelta(days=1) if meant > clock else timedelta()
            assert before < meant <= clock
            assert meant.weekday() in days_of(schedule.days)
        else:
            assert clock.weekday() in days_of(schedule.days)


@given(schedules, moments | near_changes, st.timedeltas(timedelta(), timedelta(days=20)))
def test_what_was_missed_is_what_would_have_come(
    schedule: Schedule, moment: datetime, down: timedelta
) -> None:
    missed = schedule.missed(moment, moment + down)
    assert missed == list(islice(schedule.after(moment), len(missed)))
    assert schedule.next(moment + down) not in missed
    assert schedule.next(missed[-1] if missed else moment) > moment + down


@given(schedules, moments | near_changes)
def test_its_end_lies_within_a_day_and_not_before_it_begins(schedule: Schedule, moment: datetime) -> None:
    begun = schedule.next(moment)
    end = schedule.end(begun)
    if schedule.until is None:
        assert end is None
    else:
        assert end is not None
        assert begun <= end <= begun + timedelta(hours=26)
        assert on_the_clock(end, schedule).time() == schedule.until or end == instant(
            on_the_clock(end, schedule).date(), schedule.until, ZoneInfo(schedule.zone)
        ) or end == begun  # fmt: skip


BERLIN, HOWE = "Europe/Berlin", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("zone", "at", "on", "comes"),
    [
        (BERLIN, time(2, 30), date(2026, 3, 29), "2026-03-29T01:00"),  # skipped: clocks go from 2 to 3
        (BERLIN, time(2, 30), date(2026, 10, 25), "2026-10-25T00:30"),  # twice: the first
        (HOWE, time(2, 10), date(2026, 10, 4), "2026-10-03T15:30"),  # half an hour is skipped
        (HOWE, time(1, 45), date(2026, 4, 5), "2026-04-04T14:45"),
        ("Asia/Kolkata", time(23, 45), date(2026, 11, 27), "2026-11-27T18:15"),
    ],
)
def test_skipped_times_come_behind_the_gap_and_doubled_ones_first(
    zone: str, at: time, on: date, comes: str
) -> None:
    assert instant(on, at, ZoneInfo(zone)) == datetime.fromisoformat(comes).replace(tzinfo=UTC)


def test_a_guard_over_midnight_ends_on_the_next_day() -> None:
    guard = Schedule(time(23, 45), BERLIN, ("weekday",), until=time(0, 15))
    begun = guard.next(datetime(2026, 11, 27, 23, 0, tzinfo=UTC))  # Friday night is over there
    assert begun == datetime(2026, 11, 30, 22, 45, tzinfo=UTC)
    assert guard.end(begun) == datetime(2026, 11, 30, 23, 15, tzinfo=UTC)


def test_a_date_that_a_zone_leaves_out_has_no_time() -> None:
    daily = Schedule(time(9), "Pacific/Apia")
    local = [on_the_clock(each, daily) for each in islice(daily.after(datetime(2011, 12, 28, tzinfo=UTC)), 4)]
    assert [each.day for each in local] == [28, 29, 31, 1]
