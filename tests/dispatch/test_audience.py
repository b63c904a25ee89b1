"""A place without the right `public` never sees data: not in answers, questions, outcomes or changed messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot import config
from bot.model.cards import Answer, Card, Everyone, Only, Status
from bot.model.people import Clicked, MessageRef, Person, Place, Said, Visibility
from tests.story import CHANNEL, CLERK, HOME, OPERATOR, SECOND, Stage, answers_to, rules, stage

QUESTION = "stop main job pls"
OPERATORS = rules()[0]
DATA = ("main job", "SAP ECC", "running", "STOPPED")


def dm(person: Person) -> Place:
    return Place("slack", HOME, f"D-{person.id}", Visibility.PERSONAL)


def in_the_open(**more: object) -> config.Rule:
    made = {"who": config.Who(places=(CHANNEL.key,)), "may": (config.Right.PUBLIC,)} | more
    return config.Rule(name="open", **made)


def seen_by_all(answers: Sequence[Answer]) -> str:
    return repr([each.card for each in answers if each.audience == Everyone()])


async def posted(scene: Stage, answers: Sequence[Answer]) -> list[MessageRef]:
    """What an adapter does: everybody's cards into the channel, private ones to the person, questions are noted."""
    found = []
    for answer in answers:
        where = CHANNEL if answer.audience == Everyone() else dm(answer.audience.person)  # type: ignore[union-attr]  # Only
        ref = await scene.chat.post(where, answer)
        found.append(ref)
        if answer.ticket:
            await scene.built.bot.attach(answer.ticket, ref)
    return found


def now_in(scene: Stage, ref: MessageRef) -> Card:
    return changed(scene, ref).card


def changed(scene: Stage, ref: MessageRef) -> Answer:
    return next(answer for where, answer in reversed(scene.chat.updated) if where.handle == ref.handle)


async def ask(scene: Stage) -> tuple[list[Answer], list[MessageRef]]:
    answers = [
        each
        for each in await scene.answers(Said(QUESTION), SECOND, CHANNEL)
        if each.card.status is Status.QUESTION
    ]
    return answers, await posted(scene, answers)


@pytest.mark.parametrize(
    "text", [QUESTION, "cancel", "stop final job in SAP ECC", "jobs", "job main job", "pools"]
)
async def test_where_nothing_is_public_nobody_else_sees_data(text: str) -> None:
    async with stage(policy=[OPERATORS]) as scene:
        answers = await scene.answers(Said(text), SECOND, CHANNEL)
        assert not any(word in seen_by_all(answers) for word in DATA)
        assert any(name in repr(answers) for name in ("main job", "final job", "SAP ECC"))


async def test_a_question_stands_without_data_and_shows_itself_to_those_who_may() -> None:
    async with stage(policy=[OPERATORS]) as scene:
        (bare, whole), _ = await ask(scene)
        assert bare.card.headline == "USECOND asks to stop a data job"
        assert bare.audience == Everyone()
        assert [each.label for each in bare.card.buttons] == ["Show me the question"]
        assert isinstance(whole.audience, Only)
        assert whole.audience.person.key == SECOND.key
        assert "main job" in whole.card.headline
        assert "asked by USECOND" in whole.card.headline
        refused = await scene.presses(bare.card, "Show me the question", CLERK, CHANNEL)
        assert refused.status is Status.REFUSED
        assert "Stop this job" not in repr(refused)
        show = scene.what(bare.card, "Show me the question")
        shown = (await scene.answers(show, OPERATOR, CHANNEL))[-1]
        assert shown.audience == Only(OPERATOR)
        assert "main job" in shown.card.headline
        assert scene.cancels() == []


async def test_an_outcome_says_in_the_place_that_it_was_carried_out_and_the_rest_privately() -> None:
    async with stage(policy=[OPERATORS]) as scene:
        (bare, _), (in_place, to_asker) = await ask(scene)
        show = scene.what(bare.card, "Show me the question")
        shown = (await scene.answers(show, OPERATOR, CHANNEL))[-1]
        (to_clicker,) = await posted(scene, [shown])
        request = replace(
            scene.request(scene.what(shown.card, "Stop this job"), OPERATOR, dm(OPERATOR)), message=to_clicker
        )
        last = (await answers_to(scene.built.bot, request))[-1].card
        assert last.headline.startswith("STOPPED ")
        assert "by UOPERATOR" in last.headline
        public = now_in(scene, in_place)
        assert public.headline.startswith("Carried out, ")
        assert public.headline.endswith(", by UOPERATOR")
        assert not any(word in repr(public) for word in DATA)
        assert public.buttons == ()
        private = changed(scene, to_asker)
        assert private.card.headline == last.headline
        assert [each.key for each in private.mention] == [SECOND.key]
        assert not [ref for ref, _ in scene.chat.updated if ref.handle == to_clicker.handle], (
            "its answer changes it"
        )
        assert len(scene.cancels()) == 1


async def test_a_question_that_is_answered_with_no_came_to_nothing() -> None:
    async with stage(policy=[OPERATORS]) as scene:
        (_, whole), (in_place, _) = await ask(scene)
        await scene.presses(whole.card, "Leave it running", SECOND, dm(SECOND))
        public = now_in(scene, in_place)
        assert public.headline.startswith("Came to nothing, ")
        assert not any(word in repr(public) for word in DATA)
        assert scene.cancels() == []


async def test_a_question_that_runs_out_came_to_nothing_in_its_place() -> None:
    async with stage(policy=[OPERATORS]) as scene:
        _, (in_place, to_asker) = await ask(scene)
        scene.clock.pass_by(301)
        await scene.built.bot.recover()
        assert now_in(scene, in_place).headline.startswith("Came to nothing, ")
        assert "expired" in now_in(scene, to_asker).headline


async def test_a_rule_can_name_a_place_for_questions() -> None:
    war_room = Place("slack", HOME, "C9", Visibility.CHANNEL)
    there = config.Rule(
        name="war room", who=config.Who(places=(war_room.key,)), may=(config.Right.PUBLIC,), external=True
    )
    asks = OPERATORS.model_copy(update={"questions": war_room.key})
    async with stage(policy=[asks, there]) as scene:
        (bare, _), _ = await ask(scene)
        (question,) = [answer.card for place, answer in scene.chat.posted if place.key == war_room.key]
        assert "main job" in question.headline
        done = (await scene.answers(scene.what(question, "Stop this job"), OPERATOR, war_room))[-1]
        assert done.card.headline.startswith("STOPPED")
        assert done.audience == Everyone()
        assert "main job" not in repr(bare)
    async with stage(policy=[asks]) as scene:
        await ask(scene)
        assert not [place for place, _ in scene.chat.posted if place.key == war_room.key], "it may not see it"


async def test_guests_among_the_readers_end_what_is_public_unless_the_rule_means_them() -> None:
    async with stage(policy=[OPERATORS, in_the_open()]) as scene:
        assert (await scene.answer("jobs", place=CHANNEL)).audience == Everyone()
        scene.chat.with_outsiders = True
        assert (await scene.answer("jobs", place=CHANNEL)).audience == Only(OPERATOR)
        answers, _ = await ask(scene)
        assert not any(word in seen_by_all(answers) for word in DATA)
    async with stage(policy=[OPERATORS, in_the_open(external=True)]) as scene:
        scene.chat.with_outsiders = True
        assert (await scene.answer("jobs", place=CHANNEL)).audience == Everyone()
        assert scene.chat.asked_outsiders == 0


async def test_a_question_asked_in_the_open_ends_without_data_where_a_guest_has_come_in_since() -> None:
    async with stage(policy=[OPERATORS, in_the_open()]) as scene:
        (question,), (ref,) = await ask(scene)
        scene.chat.with_outsiders = True
        request = replace(
            scene.request(scene.what(question.card, "Stop this job"), OPERATOR, CHANNEL), message=ref
        )
        answers = await answers_to(scene.built.bot, request)
        assert answers[-1].audience == Only(OPERATOR)
        assert answers[-1].card.headline.startswith("STOPPED")
        assert not any(word in seen_by_all(answers) for word in DATA)
        assert now_in(scene, ref).headline.startswith("Carried out")


async def test_jobs_shows_a_place_the_data_pools_that_are_public_there_and_no_other() -> None:
    async with stage(policy=[OPERATORS, in_the_open(on=config.On(pool=("SAP ECC",)))]) as scene:
        of_pool = await scene.answer("jobs in SAP ECC", place=CHANNEL)
        assert of_pool.audience == Everyone()
        every = await scene.answer("jobs", place=CHANNEL)
        assert every.audience == Everyone()
        assert "main job" in repr(every)
        assert "nothing is shown here" in repr(every)
        private = await scene.says("jobs")
        others = {pool.name for pool in scene.sandbox.pools if pool.name in repr(private)} - {"SAP ECC"}
        assert others, "there are other data pools with jobs"
        assert not any(name in repr(every) for name in others)
        assert (await scene.answer("pools", place=CHANNEL)).audience == Only(OPERATOR)


async def test_a_click_on_an_open_answer_is_private_where_the_place_may_not_see_its_answer() -> None:
    async with stage(policy=[OPERATORS, in_the_open(on=config.On(pool=("SAP ECC",)))]) as scene:
        await scene.says("jobs in SAP ECC", place=CHANNEL)
        refreshed = (await scene.answers(Clicked(sentence='jobs in "SAP ECC"'), CLERK, CHANNEL))[-1]
        assert refreshed.audience == Everyone()
        other = (await scene.answers(Clicked(sentence="pools"), CLERK, CHANNEL))[-1]
        assert other.audience == Only(CLERK)


async def test_the_outcome_tells_when_the_run_really_ended_and_who_wanted_it() -> None:
    async with stage() as scene:
        question = await scene.says(QUESTION, person=SECOND, place=CHANNEL)
        assert "asked by USECOND" in question.headline
        card = await scene.presses(question, "Stop this job", OPERATOR, CHANNEL)
        ended = scene.sandbox.pools.find("main job").last.ended_at  # type: ignore[union-attr]  # it ran
        assert ended is not None
        assert f"datetime.datetime({2026}, 11, 20" in repr(card.blocks)
        assert "Asked by USECOND, answered by UOPERATOR." in repr(card.blocks)
        assert "Ended" in repr(card.blocks)
        assert "by UOPERATOR" in card.headline
        listed = [each for each in scene.sandbox.log if each.path.endswith("/executions")]
        assert len(listed) == 1, "one look-up of the run"
