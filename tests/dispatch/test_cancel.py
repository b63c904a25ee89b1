"""The button that stops production jobs, with the sandbox's log as the judge."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.audit import Verified
from bot.model.cards import Answer, Card, Facts, Only, Status
from bot.model.people import Clicked, Person, Place, Said, Visibility
from bot.sandbox import Fault, Switches
from bot.writes.ticket import Outcome, State
from tests.audit_log import recent
from tests.story import (
    CHANNEL,
    CLERK,
    DIRECT,
    GUEST,
    HOME,
    OPERATOR,
    SECOND,
    Stage,
    all_buttons,
    following,
    stage,
    working,
)

QUESTION = "stop main job pls"


async def ask(scene: Stage, place: Place = DIRECT) -> tuple[Card, str]:
    """The question and its ticket."""
    card = await scene.says(QUESTION, place=place)
    assert card.status is Status.QUESTION, card
    said = scene.what(card, "Stop this job")
    assert isinstance(said, Clicked)
    return card, said.confirm


async def state_of(scene: Stage, ticket: str) -> tuple[State, Outcome | None]:
    kept = await scene.built.tickets.load(ticket)
    assert kept is not None
    return kept.state, kept.outcome


async def test_a_confirmed_click_stops_the_run_with_one_call() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        assert question.headline.startswith("Stop main job? SAP ECC, running since")
        assert scene.cancels() == [], "nothing is sent before the click"
        answers = await scene.answers(Clicked(confirm=ticket))
        cards = [each.card for each in answers]
        assert cards[-1].headline.startswith("STOPPED ")
        assert answers[-1].mention == (OPERATOR,)
        assert working(cards), "the buttons give way to a sign of work at once"
        assert all(not card.buttons for card in working(cards))
        assert len(scene.cancels()) == 1
        assert await state_of(scene, ticket) == (State.DONE, Outcome.STOPPED)
        assert scene.sandbox.pools.find("main job").last.status == "CANCEL"  # type: ignore[union-attr]  # it ran


async def test_leaving_it_running_sends_nothing_and_ends_the_question() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        card = await scene.presses(question, "Leave it running")
        assert card.headline == "Nothing was done"
        late = (await scene.answers(scene.what(question, "Stop this job")))[-1]
        assert "no" in late.card.headline
        assert not late.replaces
        assert scene.cancels() == []
        assert (await state_of(scene, ticket))[0] is State.DISMISSED


@pytest.mark.parametrize("person", [CLERK, GUEST])
async def test_the_wrong_person_is_told_so_alone_and_the_question_stays_open(person: Person) -> None:
    async with stage() as scene:
        question, ticket = await ask(scene, CHANNEL)
        press = scene.what(question, "Stop this job")
        answer = (await scene.answers(press, person, CHANNEL))[-1]
        assert answer.card.status is Status.REFUSED
        assert answer.audience == Only(person)
        assert not answer.replaces
        assert scene.cancels() == []
        assert (await state_of(scene, ticket))[0] is State.OPEN
        done = await scene.presses(question, "Stop this job", person=SECOND, place=CHANNEL)
        assert done.headline.startswith("STOPPED")


async def test_the_right_is_asked_again_for_the_click_and_not_only_for_the_question() -> None:
    async with stage() as scene:
        question, _ = await ask(scene, CHANNEL)
        dismissed = await scene.presses(question, "Leave it running", person=CLERK, place=CHANNEL)
        assert dismissed.status is Status.REFUSED, "saying no needs the right too, except for the asker"


async def test_two_clicks_at_once_are_one_call() -> None:
    async with stage() as scene:
        question, _ = await ask(scene)
        click = scene.what(question, "Stop this job")
        both = await asyncio.gather(scene.cards(click), scene.cards(click, SECOND))
        headlines = sorted(cards[-1].headline for cards in both)
        assert len(scene.cancels()) == 1
        assert any(each.startswith("STOPPED") for each in headlines)
        assert sum(each.startswith("STOPPED") for each in headlines) == 1


async def test_a_second_click_says_what_became_of_it() -> None:
    async with stage() as scene:
        question, _ = await ask(scene)
        await scene.presses(question, "Stop this job")
        again = (await scene.answers(scene.what(question, "Stop this job"), SECOND))[-1]
        assert again.card.headline == "Already done once, not again: stopped"
        assert not again.replaces
        assert len(scene.cancels()) == 1


async def test_an_expired_question_does_nothing_and_offers_to_ask_again() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        scene.clock.pass_by(timedelta(minutes=5, seconds=1).total_seconds())
        card = await scene.presses(question, "Stop this job")
        assert "expired" in card.headline
        assert "nothing was done" in card.headline
        assert scene.cancels() == []
        assert (await state_of(scene, ticket))[0] is State.EXPIRED
        again = await scene.presses(card, "Ask again")
        assert again.status is Status.QUESTION


async def test_a_run_that_has_ended_meanwhile_is_left_alone() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        job = scene.sandbox.pools.find("main job")
        scene.sandbox.pools.finish(job)
        card = await scene.presses(question, "Stop this job")
        assert card.headline == "Nothing was stopped: main job had already ended (succeeded)"
        assert scene.cancels() == []
        assert await state_of(scene, ticket) == (State.DONE, Outcome.ALREADY_OVER)


@pytest.mark.parametrize("execution_ids", [True, False])
async def test_a_run_that_started_since_is_not_hit(execution_ids: bool) -> None:
    async with stage(switches=Switches(execution_ids=execution_ids)) as scene:
        question, ticket = await ask(scene)
        scene.clock.pass_by(30)
        scene.sandbox.pools.restart(scene.sandbox.pools.find("main job"))
        card = await scene.presses(question, "Stop this job")
        assert card.headline == "Nothing was stopped: another run of main job has started since"
        assert scene.cancels() == []
        assert await state_of(scene, ticket) == (State.DONE, Outcome.NOTHING_SENT)
        new = await scene.presses(card, "Ask about the active run")
        assert new.status is Status.QUESTION


@pytest.mark.parametrize("execution_ids", [True, False])
async def test_a_call_that_hits_the_next_run_is_not_called_a_success(execution_ids: bool) -> None:
    async with stage(
        switches=Switches(cancel_effect="restarted first", execution_ids=execution_ids)
    ) as scene:
        question, ticket = await ask(scene)
        card = await scene.presses(question, "Stop this job")
        assert card.headline.startswith("ANOTHER RUN WAS HIT")
        assert card.status is Status.FAILED
        assert len(scene.cancels()) == 1
        assert (await state_of(scene, ticket))[1] is Outcome.ANOTHER_RUN


async def test_a_run_that_ends_just_before_the_call_takes_hold_ended_by_itself() -> None:
    async with stage(switches=Switches(cancel_effect="finished first")) as scene:
        question, _ = await ask(scene)
        card = await scene.presses(question, "Stop this job")
        assert card.headline.startswith("ENDED BY ITSELF, succeeded")
        assert len(scene.cancels()) == 1


async def test_a_cancel_that_celonis_ignores_is_never_called_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.commands.cancel.PATIENCE", 200.0)
    async with stage(switches=Switches(cancel_effect="ignored")) as scene:
        scene.sandbox.switches.run_duration = 1e9
        question, ticket = await ask(scene)
        scene.clock.pace = 60.0
        cards = await scene.cards(scene.what(question, "Stop this job"))
        headlines = [card.headline for card in cards]
        assert any(each.startswith("Still running") for each in headlines), headlines
        assert headlines[-1].startswith("STILL RUNNING")
        assert cards[-1].status is Status.FAILED
        assert len(scene.cancels()) == 1
        assert (await state_of(scene, ticket))[1] is Outcome.STILL_RUNNING


@pytest.mark.parametrize("fault", ["error", "hang up after"])
async def test_a_call_whose_answer_is_lost_is_looked_up_and_not_repeated(fault: str) -> None:
    switches = Switches(cancel_status=502) if fault == "error" else None
    async with stage(switches=switches) as scene:
        question, ticket = await ask(scene)
        if fault != "error":
            scene.sandbox.faults.add(Fault("reset", path="/cancel$", method="POST", handled=True, count=1))
        card = await scene.presses(question, "Stop this job")
        assert card.headline.startswith("STOPPED ")
        assert len(scene.cancels()) == 1
        assert await state_of(scene, ticket) == (State.DONE, Outcome.STOPPED)


async def test_a_refused_call_says_that_nothing_was_stopped() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        scene.sandbox.faults.add(Fault("status", status=403, path="/cancel$", method="POST", count=1))
        card = await scene.presses(question, "Stop this job")
        assert card.status is Status.FAILED
        assert not card.headline.startswith("STOPPED")
        assert len(scene.cancels()) == 1
        assert (await state_of(scene, ticket))[1] is Outcome.REFUSED


async def test_a_crash_after_the_claim_sent_nothing_and_says_so() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        await scene.built.tickets.claim(ticket, OPERATOR)
        scene.clock.pass_by(120)
        async with stage(store=scene.built.store, sandbox=scene.sandbox, clock=scene.clock) as risen:
            card = await risen.presses(question, "Stop this job")
            assert card.headline == "Interrupted before anything was sent; nothing was done"
            assert risen.cancels() == []


async def test_a_crash_after_sending_is_looked_up_and_never_sent_again() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        click = scene.request(scene.what(question, "Stop this job"), OPERATOR, DIRECT)
        answering = following(scene.built.bot, click)
        async for _ in answering:
            if scene.cancels():
                break  # the program dies here: nobody asks for the rest
        await answering.aclose()
        assert (await state_of(scene, ticket))[0] is State.SENDING
        scene.clock.pass_by(120)
        async with stage(store=scene.built.store, sandbox=scene.sandbox, clock=scene.clock) as risen:
            card = await risen.presses(question, "Stop this job")
            assert card.headline.startswith("STOPPED ")
            assert len(risen.cancels()) == 1
            assert await state_of(risen, ticket) == (State.DONE, Outcome.STOPPED)


async def test_after_a_restart_half_done_questions_are_brought_to_an_end_in_their_message() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        ref = await scene.chat.post(DIRECT, Answer(question))
        await scene.built.bot.attach(ticket, ref)
        answering = following(
            scene.built.bot, scene.request(scene.what(question, "Stop this job"), OPERATOR, DIRECT)
        )
        async for _ in answering:
            if scene.cancels():
                break
        await answering.aclose()
        scene.clock.pass_by(120)
        async with stage(store=scene.built.store, sandbox=scene.sandbox, clock=scene.clock) as risen:
            assert await risen.built.bot.recover() == 1
            shown = [each.card.headline for where, each in risen.chat.updated if where == ref]
            assert shown[-1].startswith("STOPPED ")
            assert len(risen.cancels()) == 1
            assert await risen.built.bot.recover() == 0


async def test_a_ticket_of_another_place_is_unknown() -> None:
    async with stage() as scene:
        question, ticket = await ask(scene)
        elsewhere = Place("slack", HOME, "C2", Visibility.CHANNEL)
        card = await scene.presses(question, "Stop this job", place=elsewhere)
        assert "do not know this question" in card.headline
        made_up = (await scene.cards(Clicked(confirm="../" + "x" * 5000)))[-1]
        assert made_up.status is Status.REFUSED
        assert scene.cancels() == []
        assert (await state_of(scene, ticket))[0] is State.OPEN


@pytest.mark.parametrize("word", ["yes", "ok", "Yes please", "ja"])
async def test_words_never_confirm_they_post_the_question_again(word: str) -> None:
    async with stage() as scene:
        await ask(scene)
        card = await scene.says(word)
        assert card.status is Status.QUESTION
        assert card.headline.startswith("Stop main job?")
        assert scene.cancels() == []


@pytest.mark.parametrize("word", ["no", "Nein!", "nope"])
async def test_no_takes_back_the_askers_own_open_question(word: str) -> None:
    async with stage() as scene:
        _, ticket = await ask(scene)
        assert (await scene.says(word, person=SECOND)).headline != "Nothing was done"
        assert (await state_of(scene, ticket))[0] is State.OPEN
        assert (await scene.says(word)).headline == "Nothing was done"
        assert await state_of(scene, ticket) == (State.DISMISSED, None)
        before = scene.asked()
        assert (await scene.says(word)).headline == "No question of yours is open here."
        assert scene.asked() == before


async def test_a_number_opens_the_question_about_one_of_the_jobs_offered() -> None:
    async with stage() as scene:
        offered = await scene.says("stop the job")
        assert offered.headline == "Which job should I stop?"
        asked = await scene.says("2")
        assert asked.status is Status.QUESTION
        assert asked.headline.startswith(f"{offered.buttons[1].label.removesuffix(' …')}?")
        assert scene.cancels() == []
        only = await scene.says('cancel in "SAP ECC"')
        assert only.headline == "Should I stop main job (SAP ECC)?"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("don't stop main job", "here is also “don't”"),
        ("should I stop main job?", "here is also “should”"),
        ("stop the payroll job", "called “payroll job”"),
        ("stop main job and delta load", "called “main job and delta load”"),
    ],
)
async def test_what_kept_an_order_from_being_asked_is_named(said: str, told: str) -> None:
    async with stage() as scene:
        card = await scene.says(said)
        assert card.status is Status.NOT_UNDERSTOOD
        assert told in card.headline
        labels = [each.label for each in all_buttons(card)]
        assert len(labels) == len(set(labels))
        assert scene.cancels() == []


async def test_a_job_that_does_not_run_is_not_asked_about() -> None:
    async with stage() as scene:
        card = await scene.says("stop final job in SAP ECC")
        assert card.headline.startswith("Nothing to stop: final job")
        assert scene.cancels() == []


async def test_a_write_never_guesses_a_name() -> None:
    async with stage() as scene:
        card = await scene.says("stop mian jbo")
        assert card.status is Status.NOT_UNDERSTOOD
        assert scene.cancels() == []


async def test_bare_cancel_lists_only_what_may_be_stopped() -> None:
    async with stage() as scene:
        card = await scene.says("cancel")
        assert any("main job" in button.label for button in card.buttons), card
        refused = await scene.says("cancel", person=CLERK)
        assert refused.status is Status.REFUSED


async def test_without_the_right_there_is_no_question_and_no_call() -> None:
    async with stage() as scene:
        before = scene.asked()
        card = await scene.says(QUESTION, person=CLERK)
        assert card.status is Status.REFUSED
        assert scene.asked() == before


async def test_a_read_only_connection_stops_nothing() -> None:
    async with stage(connection={"read_only": True}) as scene:
        card = await scene.says(QUESTION)
        assert card.status is Status.REFUSED
        assert scene.cancels() == []


async def test_every_step_of_a_write_is_in_the_log_and_the_chain_holds() -> None:
    async with stage() as scene:
        question, _ = await ask(scene, CHANNEL)
        await scene.presses(question, "Stop this job", person=CLERK, place=CHANNEL)
        await scene.presses(question, "Stop this job", place=CHANNEL)
        rows = await recent(scene.built.audit, 20)
        decisions = [row.entry.decision for row in reversed(rows) if row.entry]
        assert decisions == ["asked", "refused", "confirmed", "sending", "done"]
        assert await scene.built.audit.verify() == Verified(5, (await scene.built.audit.verify()).head)  # type: ignore[union-attr]  # unbroken


async def test_the_question_shows_the_run_and_until_when_it_is_open() -> None:
    async with stage() as scene:
        answer = await scene.answer(QUESTION)
        question = answer.card
        (facts,) = [block for block in question.blocks if isinstance(block, Facts)]
        assert {fact.label for fact in facts.facts} >= {"Data pool", "Status", "Running since", "For"}
        assert answer.editable
        assert [button.label for button in question.buttons] == ["Stop this job", "Leave it running"]


async def test_a_sentence_of_a_button_is_checked_like_typed_text() -> None:
    async with stage() as scene:
        card = (await scene.cards(Clicked(sentence='cancel "main job" #not-an-id in "SAP ECC" #neither')))[-1]
        assert card.status is Status.NOT_UNDERSTOOD
        typed = await scene.cards(Said(QUESTION), CLERK)
        clicked = await scene.cards(Clicked(sentence="cancel main job"), CLERK)
        assert typed[-1].status is clicked[-1].status is Status.REFUSED


async def test_a_job_that_starts_again_by_itself_is_stopped_and_said_to_run_again() -> None:
    async with stage(switches=Switches(cancel_delay=0.5, restart_after_cancel=0.1)) as scene:
        question, _ = await ask(scene)
        card = await scene.presses(question, "Stop this job")
        assert card.headline.startswith("STOPPED ")
        assert "a new run goes on" in card.headline
        again = await scene.presses(card, "Stop the new run")
        assert again.status is Status.QUESTION
        assert len(scene.cancels()) == 1
