"""What watches, guards, alerts and digests say as time goes by, over a sandbox whose clock is the bot's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from bot import config
from bot.model.cards import Status, buttons
from bot.model.people import Clicked, Profile, Standing
from bot.sandbox import Fault
from bot.store import watches
from tests.story import CHANNEL, DIRECT, OPERATOR, SECOND, Stage
from tests.watching.nights import confirming, headlines, later, loop_of, night

DUTY = {"duty": {"*": (SECOND.key,)}}


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    async with night(**DUTY) as opened:
        yield opened


def ended(scene: Stage, job: str, status: str = "SUCCESS", pool: str = "SAP ECC") -> None:
    pools = scene.sandbox.pools
    pools.finish(pools.find(job, pool), status)  # type: ignore[arg-type] # a word of the sandbox's


def started(scene: Stage, job: str, pool: str = "SAP ECC") -> None:
    scene.sandbox.pools.start(scene.sandbox.pools.find(job, pool))


# --- guards ----------------------------------------------------------------------------------------------------


async def test_a_guard_asks_at_its_time_and_a_click_stops_the_run(scene: Stage) -> None:
    said = await scene.says("guard main job at 23:45 until 00:15")
    assert said.headline.startswith("Guard "), said.headline
    assert await later(scene, 240) == []
    (question,) = await later(scene, 90)
    assert question.card.headline.startswith("Stop main job? SAP ECC, running since")
    assert {each.key for each in question.mention} == {OPERATOR.key, SECOND.key}
    assert scene.cancels() == [], "a guard never stops anything itself"
    assert await later(scene, 120) == [], "the same run is asked about once"
    ticket = await scene.built.tickets.load(confirming(question).ticket)
    assert ticket is not None
    assert ticket.expires_at == datetime(2026, 11, 20, 23, 15, tzinfo=UTC), "open until the guard's end"
    assert len(ticket.messages) == 1
    cards = await scene.cards(Clicked(confirm=ticket.id))
    assert len(scene.cancels()) == 1
    assert cards[-1].headline.startswith("STOPPED")


async def test_a_guard_asks_about_each_run_and_again_about_one_that_starts_later(scene: Stage) -> None:
    started(scene, "final job")
    await scene.says("guard SAP ECC at 23:45 until 00:15")
    asked = headlines(await later(scene, 330))
    assert len([each for each in asked if each.startswith("Stop ")]) == len(asked) >= 1
    ended(scene, "main job")
    await later(scene, 30)
    started(scene, "main job")
    (again,) = await later(scene, 60)
    assert again.card.headline.startswith("Stop main job?")
    assert await later(scene, 3600) == [], "it is over"
    assert scene.cancels() == []


async def test_a_guard_says_once_that_nothing_is_active(scene: Stage) -> None:
    await scene.says("guard final job at 23:45")
    assert headlines(await later(scene, 330)) == ["✓ Nothing to stop: final job (SAP ECC) is idle"]
    assert await later(scene, 600) == []


async def test_a_guard_that_was_down_at_its_time_says_so(scene: Stage) -> None:
    await scene.says("guard main job at 23:45 until 00:15")
    scene.clock.pass_by(12 * 60)
    down, question = await later(scene, 30)
    assert down.card.headline == "I was down at 23:45 CET. Now 23:52 CET: main job is running"
    assert question.card.status is Status.QUESTION


async def test_a_guard_that_cannot_see_says_so_once_and_asks_when_it_can(scene: Stage) -> None:
    await scene.says("guard main job at 23:45 until 00:15")
    scene.sandbox.faults.add(Fault.parse({"kind": "status", "status": 503, "path": "/logs/status"}))
    (blind,) = await later(scene, 420)
    assert blind.card.headline.startswith("I CANNOT SEE what is active in SAP ECC")
    assert SECOND.key in {each.key for each in blind.mention}
    scene.sandbox.faults.clear()
    (question,) = await later(scene, 120)
    assert question.card.status is Status.QUESTION


# --- runs ------------------------------------------------------------------------------------------------------


async def test_one_message_follows_a_run_and_its_failure_wakes_people(scene: Stage) -> None:
    await scene.says("watch main job")
    running, slow = headlines(await later(scene, 120))
    assert running == "Running: main job (SAP ECC)"
    assert slow.startswith("STILL RUNNING after 1 h 3"), slow
    ended(scene, "main job", "FAIL")
    (failed,) = await later(scene, 120)
    assert failed.card.headline.startswith("FAILED 23:4")
    assert {each.key for each in failed.mention} == {OPERATOR.key, SECOND.key}
    assert "Why" in [each.label for each in buttons(failed.card)]
    assert scene.chat.updated[-1][1].card.headline == failed.card.headline
    assert await later(scene, 600) == [], "said once"


async def test_runs_that_began_and_ended_between_two_looks_are_told(scene: Stage) -> None:
    await scene.says("watch final job")
    await later(scene, 120)
    started(scene, "final job")
    scene.clock.pass_by(20)
    ended(scene, "final job", "FAIL")
    scene.clock.pass_by(5)
    started(scene, "final job")
    said = headlines(await later(scene, 60))
    assert [each.split()[0] for each in said] == ["FAILED", "Succeeded"], "of that run and of the next one"


async def test_in_quiet_hours_only_failures_speak_and_the_rest_comes_at_their_end() -> None:
    quiet = {"watching": config.Watching(quiet="22:00-00:30")}
    async with night(**DUTY, **quiet) as scene:
        await scene.says("watch SAP ECC")
        await later(scene, 120)
        ended(scene, "main job")
        started(scene, "final job")
        assert await later(scene, 30) == []
        ended(scene, "final job", "FAIL")
        (failed,) = await later(scene, 120)
        assert failed.card.headline.startswith("FAILED")
        said = headlines(await later(scene, 3600))
        assert [each.split()[0] for each in said if "main job" in each] == ["Succeeded"]
        assert not [each for each in said if each.startswith("FAILED")], "it was told at once"


# --- KPIs and digests --------------------------------------------------------------------------------------------


async def test_an_alert_speaks_once_when_the_line_is_crossed(scene: Stage) -> None:
    await scene.says("watch kpi On-time delivery of Order to Cash when < 99 %")
    (crossed,) = await later(scene, 1200)
    assert crossed.card.headline.startswith("✗ On-time delivery is at")
    assert crossed.mention == (OPERATOR,)
    assert await later(scene, 1800) == []


async def test_a_digest_is_told_at_its_time_and_a_missed_one_once(scene: Stage) -> None:
    await scene.says("every day 23:50 kpi On-time delivery of Order to Cash")
    (told,) = await later(scene, 660)
    assert "On-time delivery" in told.card.headline
    scene.clock.pass_by(2 * 86400)
    late, answer = await later(scene, 60)
    assert late.card.headline.startswith("Missed ")
    assert "On-time delivery" in answer.card.headline
    assert await later(scene, 120) == []


# --- who, where, whether ------------------------------------------------------------------------------------------


async def test_a_silenced_watch_says_nothing_of_what_happened_meanwhile(scene: Stage) -> None:
    said = await scene.says("watch main job")
    which = said.headline.split()[1].rstrip(":,")
    await later(scene, 120)
    await scene.says(f"snooze {which} for 1 h")
    ended(scene, "main job", "FAIL")
    assert await later(scene, 4200) == []


async def test_the_watch_of_somebody_who_may_no_longer_ends_and_says_nothing_else(scene: Stage) -> None:
    await scene.says("guard main job at 23:45", place=CHANNEL)
    scene.chat.profiles[OPERATOR.id] = Profile(name="gone", standing=Standing.EXTERNAL)
    (over,) = await later(scene, 400)
    assert "has ended" in over.card.headline
    assert "main job" not in str(over.card)
    assert await watches.living(scene.built.store) == ()


async def test_a_place_that_is_gone_is_told_to_owner_duty_and_admins_once_and_ends_after_a_day() -> None:
    async with night(**DUTY, admin=config.Admin(place="slack:T1:CADMIN")) as scene:
        await scene.says("watch main job", place=CHANNEL)
        await later(scene, 120)
        scene.chat.closed.add(CHANNEL.id)
        ended(scene, "main job", "FAIL")
        before = len(scene.chat.posted)
        await later(scene, 120)
        posted = [(place.id, answer.card.headline) for place, answer in scene.chat.posted[before:]]
        assert [place for place, _ in posted] == [f"D-{OPERATOR.id}", f"D-{SECOND.id}", "CADMIN"]
        assert posted[0][1].startswith("FAILED")
        assert all("cannot be delivered" in sign and "main job" not in sign for _, sign in posted[1:])
        started(scene, "main job")
        before = len(scene.chat.posted)
        await later(scene, 120)
        told = {place.id for place, _ in scene.chat.posted[before:]}
        assert told == {f"D-{OPERATOR.id}"}, "its owner goes on hearing of it, the others heard once"
        scene.clock.pass_by(86400)
        await later(scene, 120)
        assert await watches.living(scene.built.store) == ()


async def test_of_two_loops_one_says_it(scene: Stage) -> None:
    await scene.says("guard main job at 23:45", place=DIRECT)
    scene.clock.pass_by(330)
    first, second = loop_of(scene), loop_of(scene)
    assert await first.round() + await second.round() == 1
    await first.settled()
    await second.settled()
    assert [answer.card.status for _, answer in scene.chat.posted[1:]] == [Status.QUESTION]
