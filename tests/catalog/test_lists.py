"""Lists of names are read once for everybody, are bounded, and hold nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from bot.catalog import Lists, Seen, matching
from bot.config import Binding, On, Right, Rule, Settings, Who
from bot.language.vocabulary import vocabulary
from bot.model.errors import CelonisError, Forbidden, QuotaExhausted, Unreachable
from bot.model.names import Kind, Name
from bot.policy import Policy, Touch, View
from tests.catalog.team import MODEL, Team, key, many

POLICY = Policy(Settings(bindings=(Binding(local=True, connections=("prod",)),)))
EVERYTHING = View("prod", member=True)
KPIS = key(Kind.KPI, "m1")


def kpis(team: Team, lists: Lists, **limits: int) -> Awaitable[Seen]:
    return lists.seen(EVERYTHING, Kind.KPI, [MODEL], team.api(**limits), team.now)


def names(seen: Seen) -> list[str]:
    return [each.name for each in seen]


async def test_what_many_want_at_once_is_looked_up_and_indexed_once() -> None:
    team = Team({KPIS: many(3)})
    lists = team.shared(POLICY)
    found = await asyncio.gather(*(kpis(team, lists) for _ in range(20)))
    assert len({id(each.listing) for each in found}) == 1
    assert team.looked_up == 1
    assert len(team.stored) == 1
    again = await kpis(team, lists)
    assert again.listing is found[0].listing


async def test_whoever_stops_waiting_takes_nobody_elses_list_away() -> None:
    team = Team({KPIS: many(2_000)})
    lists = team.shared(POLICY)
    first, second = (asyncio.ensure_future(kpis(team, lists)) for _ in range(2))
    for _ in range(4):
        await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 2_000
    assert first.cancelled()


async def test_an_empty_list_is_kept_like_any_other() -> None:
    team = Team({KPIS: {}})
    lists = team.shared(POLICY)
    for each in (lists, lists, team.shared(POLICY)):
        assert names(await kpis(team, each)) == []
    assert team.asked[KPIS] == 1
    started = team.shared(POLICY)
    kept = await started.kept(EVERYTHING, Kind.KPI, [MODEL], team.now)
    assert kept is not None
    team.pass_by(days=8)
    assert await started.kept(EVERYTHING, Kind.KPI, [MODEL], team.now) is None


async def test_a_list_is_read_again_after_an_hour_and_from_the_store_by_a_bot_that_starts() -> None:
    team = Team({KPIS: {"a": "Alpha"}})
    lists = team.shared(POLICY)
    await kpis(team, lists)
    team.lists[KPIS] = {"b": "Beta"}
    team.pass_by(minutes=59)
    assert names(await kpis(team, lists)) == names(await kpis(team, team.shared(POLICY))) == ["Alpha"]
    assert team.asked[KPIS] == 1
    team.pass_by(minutes=1)
    assert names(await kpis(team, lists)) == ["Beta"]
    assert names(await kpis(team, team.shared(POLICY))) == ["Beta"]
    assert team.asked[KPIS] == 2


@pytest.mark.parametrize("error", [QuotaExhausted("no calls left"), Unreachable("nobody there")])
async def test_an_old_list_serves_for_seven_days_while_there_is_no_newer_one(error: CelonisError) -> None:
    team = Team({KPIS: {"a": "Alpha"}})
    lists = team.shared(POLICY)
    await kpis(team, lists)
    team.broken[KPIS] = error
    team.pass_by(days=6, hours=23)
    assert names(await kpis(team, lists)) == ["Alpha"]
    team.pass_by(hours=1)
    with pytest.raises(type(error)):
        await kpis(team, lists)


async def test_a_list_that_the_key_may_not_read_any_more_is_not_given_out() -> None:
    team = Team({KPIS: {"a": "Alpha"}})
    lists = team.shared(POLICY)
    await kpis(team, lists)
    team.broken[KPIS] = Forbidden("not for this key")
    team.pass_by(hours=1)
    with pytest.raises(Forbidden):
        await kpis(team, lists)


async def test_a_list_of_which_something_could_not_be_read_is_not_kept() -> None:
    team = Team({KPIS: {"a": "Alpha"}}, unread=1)
    lists = team.shared(POLICY)
    for times in (1, 2):
        assert names(await kpis(team, lists)) == ["Alpha"]
        assert team.asked[KPIS] == times
    assert not team.stored
    assert not lists._kept.currsize


@pytest.mark.parametrize(
    "content",
    ['[{"kind": "KPI", "id": "a", "name": "Alpha", "note": "a", "about": ""}]', "no JSON", "", "[[1]]"],
)
async def test_a_stored_list_of_another_version_is_read_again(content: str) -> None:
    team = Team({KPIS: {"a": "Alpha"}})
    await kpis(team, team.shared(POLICY))
    (where,) = team.stored
    await team._put(*where, content, team.now)
    team.lists[KPIS] = {"b": "Beta"}
    assert names(await kpis(team, team.shared(POLICY))) == ["Beta"]


async def test_names_that_changed_are_another_generation_and_nothing_else_is() -> None:
    team = Team({KPIS: {"a": "Alpha"}})
    lists = team.shared(POLICY)
    await kpis(team, lists)
    first = lists.generation
    team.pass_by(hours=2)
    await kpis(team, lists)
    assert lists.generation == first
    team.lists[KPIS] = {"a": "Alpha 2"}
    team.pass_by(hours=2)
    assert names(await kpis(team, lists)) == ["Alpha 2"]
    assert lists.generation > first


async def test_lists_in_memory_take_no_more_than_their_room() -> None:
    team = Team({key(Kind.KPI, f"m{number}"): many(200, f"K{number}") for number in range(20)})
    lists = team.shared(POLICY, room=100_000)
    for _ in range(2):
        for number in range(20):
            model = Name("Some", f"m{number}")
            seen = await lists.seen(EVERYTHING, Kind.KPI, [model], team.api(), team.now)
            assert len(seen) == 200
            assert 0 < lists._kept.currsize <= 100_000
    assert set(team.asked.values()) == {1}, "what had to go is in the store"


async def test_a_list_larger_than_all_the_room_is_still_answered() -> None:
    team = Team({KPIS: many(500)})
    lists = team.shared(POLICY, room=1_000)
    assert len(await kpis(team, lists)) == 500
    assert len(await kpis(team, lists)) == 500
    assert team.asked[KPIS] == 1


async def test_reading_long_lists_again_costs_at_most_a_twentieth_of_the_day() -> None:
    longs = {key(Kind.KPI, f"m{number}"): many(3_000, f"K{number}") for number in range(2)}
    team = Team({**longs, key(Kind.KPI, "m2"): many(500)})
    lists = team.shared(POLICY)
    for model in ("m0", "m1"):  # two lists of sixty pages, which a day of 2,400 calls may read once
        await lists.seen(EVERYTHING, Kind.KPI, [Name("Some", model)], team.api(per_day=2_400), team.now)
    start = team.asked.copy()
    for _ in range(48):
        team.pass_by(hours=1)
        for model in ("m0", "m1", "m2"):
            await lists.seen(EVERYTHING, Kind.KPI, [Name("Some", model)], team.api(per_day=2_400), team.now)
    pages = {where: 60 * (team.asked[where] - start[where]) for where in longs}
    assert 0 < sum(pages.values()) / 2 <= 0.05 * 2_400
    assert team.asked[key(Kind.KPI, "m2")] == 48, "ten pages are no long list"


async def test_a_large_list_is_built_and_searched_a_step_at_a_time() -> None:
    team = Team({KPIS: many(20_000)})
    lists = team.shared(POLICY)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    seen = await kpis(team, lists)
    built = turns
    assert built >= 20_000 / 500
    await seen.listing.indexed(vocabulary())
    assert turns - built >= 20_000 / 500
    before = turns
    assert [each.id for each in matching("kpi-NUMBER 777", [seen])] == ["KPI_777"]
    assert turns == before
    beside.cancel()


async def test_thousands_of_equal_names_are_a_few_choices() -> None:
    team = Team({KPIS: {f"id{number}": "Twin" for number in range(5_000)}})
    seen = await kpis(team, team.shared(POLICY))
    assert len(matching("twin", [seen])) == 25
    assert [each.id for each in matching("id4999", [seen])] == ["id4999"]


async def test_a_container_that_is_called_otherwise_is_judged_anew() -> None:
    rule = Rule(who=Who(local=("*",)), may=(Right.READ,), on=On(model=("Sales",), kpi=("*",)))
    bound = (Binding(local=True, connections=("prod",)),)
    policy = Policy(Settings(policy=(rule,), bindings=bound, members_read=False))
    team, view = Team({KPIS: {"a": "Alpha"}}), View("prod", rules=(0,))
    lists = team.shared(policy)
    for called, shown in (("Sales", ["Alpha"]), ("Buying", []), ("sales", ["Alpha"])):
        seen = await lists.seen(view, Kind.KPI, [Name(called, "m1")], team.api(), team.now)
        assert names(seen) == shown


async def test_people_under_the_same_rules_are_judged_once() -> None:
    judged: list[str] = []

    class Counting(Policy):
        def shows(self, view: View, touch: Touch) -> bool:
            judged.append(touch.kpi.text if touch.kpi else "")
            return super().shows(view, touch)

    rule = Rule(who=Who(local=("*",)), may=(Right.READ,), on=On(kpi=("KPI number 1*",)))
    bound = (Binding(local=True, connections=("prod",)),)
    policy = Counting(Settings(policy=(rule,), bindings=bound, members_read=False))
    team, view = Team({KPIS: many(20)}), View("prod", rules=(0,))
    lists = team.shared(policy)
    for _ in range(3):
        seen = await lists.seen(view, Kind.KPI, [MODEL], team.api(), team.now)
        assert len(seen) == 11
        assert [each.name for each in seen[:2]] == ["KPI number 1", "KPI number 10"]
        assert seen.known("KPI_2") is None
        assert not seen.shows("KPI_2")
        assert not matching("KPI number 2", [seen])
    assert len(judged) == 20
