"""What an answer cost, beside the sandbox's request log: the card, `debug` and the quota tell the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bot.commands import COMMANDS
from bot.commands.form import FORM, FORM_DATA, FORM_KPI
from bot.language.say import say
from bot.model.cards import Card, Fact, Facts, Number, Reader, Status, Table, Words
from bot.model.people import Clicked, Said
from bot.policy import Right
from bot.render.card_text import footer
from bot.sandbox import Fault
from bot.store import Store, watches
from bot.writes.guarded import GuardedCommand
from tests.story import CHANNEL, DIRECT, OPERATOR, Stage, StoryClock, answers_to, set_before, someone, stage

FORMS = (FORM, FORM_KPI, FORM_DATA)
BY_WORDS = {command.intent.words: command for command in COMMANDS}


def logged(scene: Stage) -> Counter[str]:
    return Counter(entry.family for entry in scene.sandbox.log)


def told(card: Card) -> Counter[str]:
    """What the card says it cost."""
    return Counter({each.api: each.calls for each in card.source.cost} if card.source else {})


def remembered(scene: Stage, request: str) -> Counter[str]:
    """What `debug` knows of one request."""
    (celonis,) = {id(each): each for each in scene.built.celonis.values()}.values()
    return Counter(
        each.family.value for each in celonis.recent_calls() if each.request == request and not each.cached
    )


def facts(card: Card) -> dict[str, object]:
    found: dict[str, object] = {}
    for block in card.blocks:
        if isinstance(block, Facts):
            found |= {fact.label: fact.value for fact in block.facts}
    return found


@pytest.mark.parametrize("words", BY_WORDS)
async def test_every_call_of_every_command_is_on_its_card_and_in_debug_by_api(words: str) -> None:
    command = BY_WORDS[words]
    of_admins = words == "writes" or command.right_for(command.example) is Right.ADMIN
    person = someone("UADMIN") if of_admins else OPERATOR
    async with stage() as scene:
        if hasattr(command.example, "which"):
            await watches.insert(scene.built.store, set_before(person, DIRECT))
        request = scene.request(Said(say(command.example)), person, DIRECT)
        card = (await answers_to(scene.built.bot, request))[-1].card
        asks = Status.ASKED if command in FORMS else Status.ANSWERED
        asks = Status.REFUSED if words == "share here" else asks  # nobody else reads along
        assert card.status is (Status.QUESTION if isinstance(command, GuardedCommand) else asks)
        assert remembered(scene, request.id) == logged(scene)
        if card.source is not None:
            assert told(card) == logged(scene)
            assert {each.api: each.left for each in card.source.cost} == {
                api: 6000 - calls for api, calls in logged(scene).items()
            }
        else:
            assert not facts(card).keys() & {"Status", "Data pool"}
        if not isinstance(command, GuardedCommand):
            return
        scene.sandbox.log.clear()
        before = Counter({each.api: each.calls for each in card.source.cost} if card.source else {})
        click = scene.request(scene.what(card, card.buttons[0].label), person, DIRECT)
        steps = [each.card for each in await answers_to(scene.built.bot, click)]
        last = [each for each in steps if each.source is not None][-1]
        assert len([each for each in scene.sandbox.log if each.path.endswith(("/cancel", "/execute"))]) == 1
        assert told(last) == logged(scene) == remembered(scene, click.id)
        assert last.source is not None
        assert [each.left for each in last.source.cost] == [
            6000 - before[each.api] - each.calls for each in last.source.cost
        ]


async def test_polls_after_a_click_are_counted_like_all_other_calls() -> None:
    async with stage() as scene:
        scene.sandbox.switches.cancel_delay = 30.0
        question = await scene.says("cancel main job in SAP ECC")
        scene.sandbox.log.clear()
        last = await scene.presses(question, "Stop this job")
        polls = [each for each in scene.sandbox.log if each.method == "GET"]
        assert last.headline.startswith("STOPPED ")
        assert len(polls) > 4
        assert told(last) == logged(scene) == Counter(integration=len(scene.sandbox.log))


async def test_tries_again_cost_too() -> None:
    async with stage(connection={"total_retry": 2, "backoff_factor": 0.0}) as scene:
        scene.sandbox.faults.add(Fault("status", status=502, path="/kpis", count=2))
        card = await scene.says("kpis of Purchase Requisition KM")
        assert card.status is Status.ANSWERED
        assert [each.status for each in scene.sandbox.log].count(502) == 2
        assert told(card) == logged(scene)


async def test_a_card_says_what_it_cost_from_five_calls_on() -> None:
    async with stage() as scene:
        card = await scene.says("jobs")
        assert card.source is not None
        assert card.source.calls == scene.asked() >= 5
        assert f"took {scene.asked()} calls" in footer(card, Reader())[0]
        cheap = replace(card, source=replace(card.source, cost=card.source.cost[:0]))
        assert "calls" not in footer(cheap, Reader())[0]


async def test_used_and_left_make_up_the_limit_and_agree_with_the_card() -> None:
    async with stage() as scene:
        card = await scene.says("jobs")
        assert card.source is not None
        (cost,) = card.source.cost
        quota = facts(await scene.says("quota"))
        assert quota["API"] == Words("integration")
        assert quota["Used"] == Number(scene.asked())
        assert quota["Left"] == Number(cost.left)
        assert quota["Of these kept for stopping jobs"] == Number(300)
        assert quota["Of the intelligence API"] == Words("0 used, 6,000 left")
        status = facts(await scene.says("status"))
        assert status["Calls left"] == Number(cost.left)


async def test_calls_of_other_programs_are_told_apart_so_that_the_sum_is_right() -> None:
    async with stage() as scene:
        scene.sandbox.limits.spend("dev", "integration", 2000)
        await scene.says("jobs")
        quota = facts(await scene.says("quota"))
        used, left, others = (quota[each] for each in ("Used", "Left", "By other programs"))
        assert isinstance(used, Number)
        assert isinstance(left, Number)
        assert others == Number(2000)
        assert used.value == 2000 + scene.asked()
        assert left.value == 6000 - used.value


async def test_debug_shows_the_newest_call_first_and_sums_up_each_request() -> None:
    async with stage() as scene:
        await scene.says("pools")
        await scene.cards(Clicked(sentence="kpi On-time delivery of Order to Cash"))
        kpi = Counter(entry.family for entry in scene.sandbox.log)["intelligence"]
        card = await scene.says("debug")
        first, second = [fact for block in card.blocks if isinstance(block, Facts) for fact in block.facts]
        assert isinstance(first, Fact)
        assert first.value == Words(f"{kpi} calls: {kpi} of the intelligence API")
        assert second.value == Words("1 call: 1 of the integration API")
        (table,) = [block for block in card.blocks if isinstance(block, Table)]
        assert table.rows[0][1] == Words("intelligence")
        assert "/data" in str(table.rows[0][3])


async def test_a_read_that_is_in_memory_starts_no_task_and_asks_no_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(reads_logged=True, clock=StoryClock(pace=1.0)) as scene:
        for sentence in ("kpi On-time delivery of Order to Cash", "models"):
            for place in (CHANNEL, DIRECT):
                await scene.says(sentence, place=place)
                started: list[str] = []
                loop = asyncio.get_running_loop()

                def noted(
                    loop: asyncio.AbstractEventLoop, work: Any, started: list[str] = started, **more: Any
                ) -> Any:
                    started.append(repr(work))
                    return asyncio.Task(work, loop=loop, **more)

                async def asked(_: Store, work: object, started: list[str] = started) -> Any:
                    started.append(f"database: {work!r}")
                    raise AssertionError

                with monkeypatch.context() as patch:
                    patch.setattr(Store, "read", asked)
                    patch.setattr(Store, "write", asked)
                    loop.set_task_factory(noted)
                    try:
                        card = await scene.says(sentence, place=place)
                    finally:
                        loop.set_task_factory(None)
                assert card.status is Status.ANSWERED
                assert started == []
