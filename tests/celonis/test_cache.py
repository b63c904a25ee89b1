"""What was answered lately: how long it keeps, how much of it, and when an old answer has to do."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.celonis import DataQuery, Lane
from bot.celonis.cache import NEGATIVE, Cache, Entry
from bot.celonis.freshness import Lifetime, Stretch
from bot.celonis.limits.budget import forecast, supply
from bot.config import Limits
from bot.model.errors import BotError, NotFound, QuotaExhausted
from bot.store.ledger import BUCKET, DAY, MARGIN, Bucket
from tests.celonis.team import Team, World, listed, rows, too_many
from tests.fakes import in_virtual_time

KM = "package.model"
ROOM = 5000


class StandingClock:
    """Stands where it is put."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class ByAgeAndBytes(RuleBasedStateMachine):
    """Answers come, go and grow old."""

    @initialize()
    def start(self) -> None:
        self.clock = StandingClock(0.0)
        self.cache = Cache(self.clock, ROOM)
        self.newest: dict[str, Entry] = {}

    @rule(
        key=st.sampled_from("abcdef"),
        keeps=st.sampled_from(Lifetime),
        size=st.integers(1, 6000),
        wrong=st.booleans(),
    )
    def put(self, key: str, keeps: Lifetime, size: int, wrong: bool) -> None:
        error = NotFound("gone") if wrong else None
        entry = Entry(object(), error, datetime(2026, 1, 1, tzinfo=UTC), self.clock.at, keeps, size)
        self.cache.put(key, entry)
        self.newest[key] = entry

    @rule(seconds=st.sampled_from([1.0, 14.0, 16.0, 601.0, 3600.0, 50_000.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.at += seconds

    @rule()
    def forget(self) -> None:
        self.cache.clear()
        self.newest.clear()

    @invariant()
    def it_holds_no_more_than_it_may(self) -> None:
        if hasattr(self, "cache"):
            assert self.cache._entries.currsize <= ROOM

    @invariant()
    def it_gives_the_newest_answer_or_none_and_never_one_past_its_use(self) -> None:
        if not hasattr(self, "cache"):
            return
        for key in "abcdef":
            entry = self.cache.get(key)
            if entry is None:
                continue
            assert entry is self.newest[key]
            limit = NEGATIVE if entry.error else entry.lifetime.usable
            assert self.clock.at - entry.born <= limit


ByAgeAndBytes.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestByAgeAndBytes = ByAgeAndBytes.TestCase


def test_the_least_used_goes_first() -> None:
    cache = Cache(StandingClock(0.0), 300)
    for key in ("a", "b", "c"):
        cache.put(key, Entry(key, None, datetime(2026, 1, 1, tzinfo=UTC), 0.0, Lifetime.DATA, 100))
    assert cache.get("a") is not None
    cache.put("d", Entry("d", None, datetime(2026, 1, 1, tzinfo=UTC), 0.0, Lifetime.DATA, 100))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_an_answer_that_was_asked_earlier_and_came_later_does_not_replace_a_newer_one() -> None:
    cache = Cache(StandingClock(100.0), ROOM)
    asked_at = datetime(2026, 1, 1, tzinfo=UTC)
    cache.put("a", Entry("newer", None, asked_at, 50.0, Lifetime.DATA, 100))
    cache.put("a", Entry("older", None, asked_at, 40.0, Lifetime.DATA, 100))
    entry = cache.get("a")
    assert entry is not None
    assert entry.value == "newer"


# --- ages, through the client


@in_virtual_time
async def test_each_kind_of_answer_keeps_as_long_as_it_is_true() -> None:
    world = World(
        Team(lambda arrival: listed("x") if arrival.path.endswith("kpis") else httpx.Response(200, json=[]))
    )
    async with world.client() as celonis:

        async def cost() -> tuple[int, int]:
            schema, status = world.ask(celonis, lane=Lane.GUARDED), world.ask(celonis, lane=Lane.GUARDED)
            await schema.kpis(KM)
            await status.job_statuses("pool")
            return schema.caller.usage.calls.total(), status.caller.usage.calls.total()

        assert await cost() == (1, 1)
        assert await cost() == (0, 0)
        await world.clock.sleep(4)
        assert await cost() == (0, 1)
        await world.clock.sleep(3600)
        assert await cost() == (1, 1)


@in_virtual_time
async def test_an_answer_just_past_its_time_is_given_at_once_while_a_new_one_is_fetched() -> None:
    count = iter(range(100))
    world = World(Team(lambda _arrival: rows(next(count)), there=1.0, back=1.0))
    query = DataQuery(fields=("a",))
    async with world.client() as celonis:
        await world.ask(celonis).record_data(KM, "R", query)
        await world.clock.sleep(140)
        begin = world.clock.monotonic()
        asking = world.ask(celonis)
        assert (await asking.record_data(KM, "R", query)).rows == ({"a": 0},)
        assert world.clock.monotonic() == begin
        assert world.clock.now() - asking.fetched_at == timedelta(seconds=142)
        await world.clock.sleep(3)
        later = world.ask(celonis)
        assert (await later.record_data(KM, "R", query)).rows == ({"a": 1},)
        assert later.cached
        await world.clock.sleep(140)
        guarded = world.ask(celonis, lane=Lane.GUARDED)
        assert (await guarded.record_data(KM, "R", query)).rows == ({"a": 2},)


@pytest.mark.usefixtures("a_beat_a_minute")
@pytest.mark.parametrize("trouble", ["down", "quota", "429"])
def test_an_old_answer_does_where_nothing_newer_can_be_had_and_says_why(trouble: str) -> None:
    @in_virtual_time
    async def run() -> None:
        broken = False

        def answers(_arrival: object) -> httpx.Response:
            if not broken or trouble == "quota":
                return rows("x")
            return too_many(x_ratelimit_reset="900") if trouble == "429" else httpx.Response(503)

        world = World(
            Team(answers),
            limits=Limits(per_day=20, person_share=1.0, place_share=1.0),
            options={"total_retry": 0},
        )
        query = DataQuery(fields=("a",))
        async with world.client() as celonis:
            await world.ask(celonis).record_data(KM, "R", query)
            broken = True
            if trouble == "quota":
                for number in range(18):
                    await world.ask(celonis).record_data(KM, f"R{number}", query)
            await world.clock.sleep(2 * 3600)
            asking = world.ask(celonis)
            assert (await asking.record_data(KM, "R", query)).rows == ({"a": "x"},)
            assert asking.cached
            assert world.clock.now() - asking.fetched_at > timedelta(hours=2)
            with pytest.raises(BotError):
                await world.ask(celonis, lane=Lane.PEOPLE, fresh=True).record_data(KM, "R", query)
            await world.clock.sleep(12 * 3600)
            with pytest.raises(BotError):
                await world.ask(celonis).record_data(KM, "R", query)

    run()


# --- the pace of the day


def bucket(start: float, calls: int) -> Bucket:
    return Bucket(start, start + DAY + MARGIN, calls)


def test_on_the_first_day_calls_are_spread_over_a_working_day() -> None:
    at = 100 * DAY
    per_hour = supply([bucket(at, 1)], 5700, at + 60) * 3600
    assert 480 < per_hour < 520  # ten hours at full pace and fourteen quiet ones
    evening = supply([bucket(at, 5000)], 700, at + 9.5 * 3600) * 3600
    assert evening > 300


def test_with_a_yesterday_calls_go_where_they_went_yesterday_and_what_comes_back_counts() -> None:
    at = 100 * DAY
    yesterday = [
        bucket(at - DAY + number * BUCKET, 50) for number in range(12, 132)
    ]  # ten hours, 6,000 calls
    night = supply(yesterday, 0, at)
    morning = supply(yesterday, 300, at + 2 * 3600)
    assert night == 0
    assert morning * 3600 > 450


def test_with_nothing_left_nothing_may_be_spent() -> None:
    assert supply([], 0, 0.0) == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 287), st.integers(0, 200)), max_size=60),
    st.integers(0, 6000),
)
def test_spending_at_the_pace_never_empties_the_day(days: list[tuple[int, int]], left: int) -> None:
    at = 100 * DAY
    buckets = [bucket(at - DAY + number * BUCKET, calls) for number, calls in days if calls]
    # For as long as it takes until the pace is looked at again, and ten times longer, it cannot overspend.
    assert supply(buckets, left, at) * 600 <= left + 1


def test_the_stretch_grows_until_the_demand_fits_and_not_further() -> None:
    dice = random.Random(3)  # noqa: S311 - repeatable on purpose
    stretch = Stretch(0.0)
    now = 0.0
    while now < 3600:
        now += dice.expovariate(0.55)
        stretch.asked(f"question {min(299, int(dice.paretovariate(0.4)))}", Lifetime.DATA, now)
    stretch.look(now, 1e9)
    assert stretch.factor == 1.0
    stretches = []
    for per_hour in (1500, 800, 400, 200):
        stretch.look(now, per_hour / 3600)
        stretches.append(stretch.factor)
        assert stretch._cost(stretch._rates(now), stretch.factor) <= per_hour / 3600
    assert stretches == sorted(stretches)
    assert stretches[-1] > stretches[0]


@pytest.mark.usefixtures("a_beat_a_minute")
@in_virtual_time
async def test_answers_keep_longer_when_the_calls_left_would_not_last() -> None:
    world = World(Team(there=0.0, back=0.0), limits=Limits(per_day=300, person_share=1.0, place_share=1.0))
    dice = random.Random(5)  # noqa: S311 - repeatable on purpose
    ages: list[float] = []
    refused = 0
    async with world.client() as celonis:
        for _ in range(3000):
            await asyncio.sleep(dice.expovariate(3000 / 36000))
            asking = world.ask(celonis, f"person {dice.randrange(100)}")
            try:
                await asking.record_data(KM, f"R{dice.randrange(8)}", DataQuery(fields=("a",)))
            except QuotaExhausted:
                refused += 1
                continue
            ages.append((world.clock.now() - asking.fetched_at).total_seconds())
    assert refused == 0
    assert max(ages) <= 1800
    assert len(world.team.arrivals) <= 285
    assert world.team.violations() == 0


# --- what the quota says


def test_the_forecast_goes_on_at_the_pace_of_the_last_hour_and_counts_what_comes_back() -> None:
    at = 100 * DAY
    hour = [bucket(at - 3600 + number * BUCKET, 50) for number in range(12)]
    out = forecast(hour, 300, at)
    assert out is not None
    assert out - at == pytest.approx(1800, rel=0.1)
    yesterday = [bucket(at - DAY + number * BUCKET, 50) for number in range(276)]
    assert forecast([*yesterday, *hour], 300, at) is None
    assert forecast([], 300, at) is None


@in_virtual_time
async def test_the_quota_tells_who_spent_what_and_how_long_it_lasts() -> None:
    world = World(limits=Limits(per_day=1000, person_share=1.0, place_share=1.0))
    async with world.client() as celonis:
        for number in range(60):
            who = "U1" if number % 3 else "U2"
            await world.ask(celonis, who).record_data(KM, f"R{number}", DataQuery(fields=("a",)))
            await world.ask(celonis, who).record_data(KM, f"R{number}", DataQuery(fields=("a",)))
            await world.clock.sleep(30)
        view = await celonis.quota("U2")
    mine = view.tightest
    assert (mine.limit, mine.used, mine.spent, view.mine, mine.left, mine.kept) == (1000, 60, 60, 20, 940, 50)
    assert view.people == (("U1", 40), ("U2", 20))
    assert view.hit_rate == 0.5
    assert view.resets_at is not None
    assert view.resets_at - world.clock.now() > timedelta(hours=23)
    assert view.runs_out_at is not None
    assert timedelta(hours=6) < view.runs_out_at - world.clock.now() < timedelta(hours=9)
