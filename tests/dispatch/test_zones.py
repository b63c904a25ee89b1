"""Whoever is told a time is told it in the zone in which they read, and with its day where that is not today."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.terminal.text import render_text
from bot.model.cards import Answer, Status
from bot.model.people import Person, Profile, Said, Standing
from bot.sandbox import Fault, Switches
from tests.story import CHANNEL, CLERK, DIRECT, OPERATOR, SECOND, Stage, StoryClock, rules, someone, stage

CLOCK = re.compile(r"\b\d\d:\d\d\b(?::\d\d)?(?! (JST|UTC-05|CET|CEST|EST)\b)")


OVER_A_COLUMN = re.compile(r"\((JST|UTC-05|CET|CEST|EST)\)")


def text(answer: Answer) -> str:
    """The card; the zone over a table's column stands beside each time in it."""
    parts = render_text(answer.card, answer.reader).split("\n\n")
    for at, part in enumerate(parts):
        if zone := OVER_A_COLUMN.search(part):
            parts[at] = CLOCK.sub(rf"\g<0> {zone[1]}", part)
    return "\n\n".join(parts)


def lives_in(scene: Stage, person: Person, zone: str | None) -> None:
    scene.chat.profiles[person.id] = Profile(name=person.id, standing=Standing.MEMBER, zone=zone)


def shows_only(answer: Answer, zone: str) -> None:
    """Every time of day on the card is named with this zone, and there is one."""
    said = text(answer)
    assert set(re.findall(r"\b\d\d:\d\d (\S*?)(?=[\s.,:)·]|$)", said)) == {zone}, said
    assert not CLOCK.search(said), said
    assert "UTC" not in said.replace("UTC-05", ""), said


ASKED = "kpis of Accounts Payable"


FEW = Switches(per_day=3, rate_headers="429", cancel_delay=1.0)


async def silenced(scene: Stage) -> None:
    for page in range(1, 6):
        await scene.says(f'data "Sales orders" of Order to Cash page {page}', SECOND, DIRECT)


async def broken(scene: Stage) -> None:
    scene.sandbox.faults.add(Fault("status", status=503))
    for _ in range(6):
        await scene.says(ASKED, SECOND, DIRECT)


TROUBLES = [
    (silenced, FEW, "has asked the bot to be silent until "),
    (broken, None, "has not answered since "),
]


@pytest.mark.parametrize(("trouble", "switches", "said"), TROUBLES)
async def test_an_error_tells_its_time_in_the_zone_of_each_reader(
    trouble: Callable[[Stage], Awaitable[None]],
    switches: Switches | None,
    said: str,
) -> None:
    async with stage(clock=StoryClock(still=True), switches=switches) as scene:
        lives_in(scene, CLERK, "Asia/Tokyo")
        lives_in(scene, OPERATOR, None)
        await scene.says("use time zone America/Lima", someone("UADMIN"), CHANNEL)
        await trouble(scene)
        for person, place, zone in (
            (CLERK, DIRECT, "JST"),
            (OPERATOR, DIRECT, "CET"),
            (CLERK, CHANNEL, "UTC-05"),
        ):
            answer = await scene.answer(ASKED, person, place)
            assert answer.card.status is Status.FAILED
            assert said in text(answer)
            shows_only(answer, zone)


async def test_a_pause_past_midnight_is_dated_for_those_whose_day_ends_before_it() -> None:
    late = StoryClock(datetime(2026, 11, 20, 22, 59, 50, tzinfo=UTC), still=True)
    async with stage(clock=late, switches=FEW) as scene:
        lives_in(scene, CLERK, "Asia/Tokyo")
        lives_in(scene, OPERATOR, "Europe/Berlin")
        await silenced(scene)
        # Until midnight and a random part of a second, and never named too early.
        tokyo = (await scene.says(ASKED, CLERK, DIRECT)).headline
        assert re.search("silent until 09:0[01] JST", tokyo)
        berlin = (await scene.says(ASKED, OPERATOR, DIRECT)).headline
        assert re.search("silent until tomorrow 01:0[01] CET", berlin)


@pytest.mark.parametrize(
    "sentence", ["status", "quota", "debug", "jobs", "job main job", "pools", "cancel main job"]
)
async def test_a_command_tells_times_in_the_persons_zone_alone(sentence: str) -> None:
    async with stage(clock=StoryClock(still=True)) as scene:
        for zone, name in (("Asia/Tokyo", "JST"), ("America/New_York", "EST")):
            lives_in(scene, OPERATOR, zone)
            await scene.says("pools", OPERATOR, DIRECT)
            answer = await scene.answer(sentence, OPERATOR, DIRECT)
            assert answer.card.status in {Status.ANSWERED, Status.QUESTION}
            shows_only(answer, name)


async def test_a_question_open_past_midnight_and_a_run_from_yesterday_say_so() -> None:
    async with stage(clock=StoryClock(still=True)) as scene:
        lives_in(scene, OPERATOR, "Europe/Berlin")
        question = await scene.answer("cancel main job", OPERATOR, DIRECT)
        assert "Open until tomorrow 00:01 CET." in text(question)
        scene.clock.pass_by(240)
        question = await scene.answer("cancel main job", OPERATOR, DIRECT)
        assert "running since yesterday 22:21 CET" in question.card.headline
        assert "Open until 00:05 CET." in text(question)


async def test_over_a_change_of_the_clocks_each_time_has_its_own_offset() -> None:
    """Berlin's clocks go back from 03:00 CEST to 02:00 CET at 01:00 UTC on 25 October 2026."""
    autumn = StoryClock(datetime(2026, 10, 25, 0, 57, tzinfo=UTC), still=True)
    async with stage(clock=autumn) as scene:
        question = await scene.answer("cancel main job", OPERATOR, DIRECT)
        assert "running since 01:22 CEST (1 h 35 min)" in question.card.headline
        assert "Open until 02:02 CET." in text(question)


async def test_a_private_question_in_a_channel_is_in_the_persons_zone_throughout() -> None:
    async with stage(clock=StoryClock(still=True), policy=rules()[:1]) as scene:
        lives_in(scene, OPERATOR, "Asia/Tokyo")
        bare, question = (
            each
            for each in await scene.answers(Said("cancel main job"), OPERATOR, CHANNEL)
            if each.card.status is Status.QUESTION
        )
        shows_only(question, "JST")
        assert "CET" in text(bare), "what all see is in no person's zone"


async def test_the_end_of_a_question_is_told_in_the_zone_of_the_place_where_it_stands() -> None:
    async with stage(policy=(*rules()[:1], *rules()[2:])) as scene:
        await scene.says("use time zone America/Lima", someone("UADMIN"), CHANNEL)
        bare, question = (
            each
            for each in await scene.answers(Said("cancel main job"), OPERATOR, CHANNEL)
            if each.card.status is Status.QUESTION
        )
        ref = await scene.chat.post(CHANNEL, bare)
        await scene.built.bot.attach(bare.ticket, ref)
        await scene.presses(question.card, "Stop this job", OPERATOR, CHANNEL)
        (ended,) = [shown.card for where, shown in scene.chat.updated if where == ref]
        assert re.match(r"Carried out, 1[78]:\d\d UTC-05, by UOPERATOR", ended.headline), ended.headline


GOLDEN = Path(__file__).parent.parent
FORMS = ("slack.json", "teams.json", "text.txt")


def test_no_card_that_was_reviewed_tells_a_time_in_utc_to_a_reader_in_another_zone() -> None:
    seen = 0
    for path in sorted((GOLDEN / "rendering" / "golden").glob("*.json")):
        forms = json.loads(path.read_text())
        if "json" in forms and forms["json"]["reader"]["zone"].startswith("Europe/"):
            shown = json.dumps({name: form for name, form in forms.items() if name != "json"})
            assert "UTC" not in shown, path.name
            seen += 1
    for path in sorted((GOLDEN / "commands" / "golden").glob("*.json.json")):
        if json.loads(path.read_text())["reader"]["zone"] != "UTC":
            for form in FORMS:
                shown = path.with_name(f"{path.name.removesuffix('json.json')}{form}").read_text()
                assert "UTC" not in shown, f"{path.name}: {form}"
                seen += 1
    assert seen > 100
