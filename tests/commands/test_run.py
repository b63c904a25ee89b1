"""Starting data jobs: the mode, the rights, the one call, and what became of it; the sandbox's log is the judge."""

from __future__ import annotations

import pytest

from bot import config
from bot.config import Right
from bot.model.cards import Card, Only, Status
from bot.model.people import Clicked, Said
from bot.sandbox import Fault, Switches
from bot.writes.ticket import Outcome, State
from tests.story import CHANNEL, HOME, OPERATOR, SECOND, Stage, all_buttons, stage, working

QUICK = Switches(run_duration=5.0, queue_delay=1.0)


async def ask(scene: Stage, sentence: str = "run final job delta") -> tuple[Card, str]:
    """The question and its ticket."""
    card = await scene.says(sentence)
    assert card.status is Status.QUESTION, card
    said = scene.what(card, "Start")
    assert isinstance(said, Clicked)
    return card, said.confirm


async def ended(scene: Stage, ticket: str) -> tuple[State, Outcome | None]:
    kept = await scene.built.tickets.load(ticket)
    assert kept is not None
    return kept.state, kept.outcome


async def test_a_confirmed_click_starts_the_job_with_one_call_and_tells_how_it_ended() -> None:
    async with stage(switches=QUICK) as scene:
        question, ticket = await ask(scene)
        assert question.headline.startswith("Start final job? SAP ECC, delta load, usually 8 min")
        assert scene.starts() == [], "nothing is sent before the click"
        answers = await scene.answers(Clicked(confirm=ticket))
        cards = [each.card for each in answers]
        assert any(each.headline.startswith("Started ") for each in working(cards))
        assert cards[-1].headline.startswith("STARTED ")
        assert f"by {OPERATOR.id}, succeeded" in cards[-1].headline
        assert answers[-1].mention == (OPERATOR,)
        (sent,) = scene.starts()
        assert "/integration/api/v2/data-pools/" in sent
        assert await ended(scene, ticket) == (State.DONE, Outcome.STARTED)
        run = scene.sandbox.pools.find("final job").last
        assert run is not None
        assert run.mode == "DELTA"
        told = await scene.says("history final job")
        assert "started by" in str(told.blocks)


async def test_the_mode_is_asked_for_where_nobody_said_it_delta_first() -> None:
    async with stage(switches=QUICK) as scene:
        card = await scene.says("start final job")
        assert card.status is Status.ASKED
        assert [each.label.partition(":")[0] for each in all_buttons(card)] == ["Delta", "Full"]
        question = await scene.presses(card, "Full")
        assert question.headline.startswith("Start final job? SAP ECC, FULL reload")
        done = await scene.presses(question, "Start the full reload")
        assert done.headline.startswith("STARTED ")
        run = scene.sandbox.pools.find("final job").last
        assert run is not None
        assert run.mode == "FULL"
        assert len(scene.starts()) == 1


async def test_the_question_says_how_long_the_last_full_reload_took() -> None:
    async with stage() as scene:
        job = scene.sandbox.pools.find("final job")
        for run in job.runs[-1:]:
            run.mode, run.started_at, run.ended_at = "FULL", run.started_at, (run.started_at or 0) + 6 * 3600
        card, _ = await ask(scene, "run final job full")
        assert "FULL reload, the last one took 6 h" in card.headline


async def test_a_full_reload_is_a_right_of_its_own() -> None:
    who = config.Who(slack=(f"{HOME}:{OPERATOR.id}",))
    async with stage(policy=[config.Rule(who=who, may=(Right.RUN,))]) as scene:
        refused = await scene.says("run final job full")
        assert refused.status is Status.REFUSED
        assert "full reload" in refused.headline
        choice = await scene.says("run final job")
        assert [each.label.partition(":")[0] for each in all_buttons(choice)] == ["Delta"]
        stopping = await scene.says("stop main job")
        assert stopping.status is Status.REFUSED, "the right to start is none to stop"


async def test_who_may_only_stop_starts_nothing() -> None:
    who = config.Who(slack=(f"{HOME}:{OPERATOR.id}",))
    async with stage(policy=[config.Rule(who=who, may=(Right.CANCEL,))]) as scene:
        assert (await scene.says("run final job delta")).status is Status.REFUSED
        assert "Start" not in [each.label for each in all_buttons(await scene.says("job final job"))]


async def test_an_active_job_is_not_asked_about() -> None:
    async with stage() as scene:
        card = await scene.says("run main job delta")
        assert card.headline.startswith("Not started: main job (SAP ECC) is running since")
        assert scene.starts() == []


@pytest.mark.parametrize("over", [False, True], ids=["active", "over again"])
async def test_a_job_that_ran_since_the_question_is_not_started(over: bool) -> None:
    async with stage() as scene:
        _, ticket = await ask(scene)
        scene.clock.pass_by(5)
        scene.sandbox.pools.start(scene.sandbox.pools.find("final job"))
        if over:
            scene.sandbox.pools.finish(scene.sandbox.pools.find("final job"))
        card = (await scene.cards(Clicked(confirm=ticket)))[-1]
        assert card.headline.startswith("Nothing was started")
        assert scene.starts() == []
        assert await ended(scene, ticket) == (State.DONE, Outcome.NOTHING_SENT)


async def test_two_clicks_are_one_call() -> None:
    async with stage(switches=QUICK) as scene:
        _, ticket = await ask(scene)
        await scene.cards(Clicked(confirm=ticket))
        again = (await scene.cards(Clicked(confirm=ticket), SECOND))[-1]
        assert "Already done once, not again: started" in again.headline
        assert len(scene.starts()) == 1


async def test_a_call_whose_answer_is_lost_is_looked_up_and_not_repeated() -> None:
    async with stage(switches=QUICK) as scene:
        _, ticket = await ask(scene)
        fault = Fault("reset", path="/execute$", method="POST", handled=True, count=1)
        scene.sandbox.faults.add(fault)
        card = (await scene.cards(Clicked(confirm=ticket)))[-1]
        assert card.headline.startswith("STARTED"), card
        assert len(scene.starts()) == 1
        assert await ended(scene, ticket) == (State.DONE, Outcome.STARTED)


@pytest.mark.parametrize("lost", [True, False])
async def test_a_job_that_does_not_begin_is_not_called_started(
    lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as scene:
        _, ticket = await ask(scene)
        if lost:
            scene.sandbox.faults.add(Fault("reset", path="/execute$", method="POST", count=1))
        else:
            monkeypatch.setattr(scene.sandbox.pools, "execute", lambda *_: True)
        scene.clock.pace = 60.0
        cards = await scene.cards(Clicked(confirm=ticket))
        assert cards[-1].headline.startswith("UNKNOWN" if lost else "NOT STARTED: final job")
        assert len(scene.starts()) == 1
        assert await ended(scene, ticket) == (State.DONE, Outcome.UNKNOWN if lost else Outcome.FAILED)


async def test_a_job_that_starts_by_its_schedule_at_the_same_moment_is_not_called_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(switches=QUICK) as scene:
        _, ticket = await ask(scene)
        pools = scene.sandbox.pools
        job = pools.find("final job")
        monkeypatch.setattr(pools, "execute", lambda *_: bool(pools.start(job)))
        card = (await scene.cards(Clicked(confirm=ticket)))[-1]
        assert card.headline.startswith("NOT STARTED, another run had started")
        assert await ended(scene, ticket) == (State.DONE, Outcome.ANOTHER_RUN)


async def test_a_place_that_may_not_see_the_pool_gets_no_name() -> None:
    async with stage(switches=QUICK) as scene:
        answers = await scene.answers(Said("run extract invoices delta"), place=CHANNEL)
        assert f"{OPERATOR.id} asks to start a data job" in [each.card.headline for each in answers]
        assert answers[-1].audience == Only(OPERATOR)
