"""A card that was made for one reader is shown to another only where it would be made the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import config
from bot.model.cards import Answer, Card
from bot.model.kept import Kept
from bot.model.people import Person, Place, Profile, Standing
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, Stage, StoryClock, rules, stage

QUESTION = "kpi On-time delivery of Order to Cash by Plant"
GROUP = "S1"
ON_CALL = (
    config.Rule(
        name="on call may stop",
        who=config.Who(groups=(f"slack:{HOME}:{GROUP}",)),
        may=(config.Right.CANCEL,),
    ),
    *rules()[1:2],
)
MEMBER = Profile(name="o", standing=Standing.MEMBER)

QUESTIONS = (
    QUESTION,
    "kpi On-time delivery of Order to Cash",
    "kpi On-time delivery",
    "data Materials of Purchase Requisition KM",
    "jobs",
    "jobs in SAP ECC",
    "job main job",
)


def rename(scene: Stage) -> None:
    job = next(job for pool in scene.sandbox.pools for job in pool.jobs if job.name.startswith("main job"))
    job.name += "!"


STEPS: dict[str, Callable[[Stage], None]] = {
    "a right is given": lambda scene: scene.chat.profiles.update(
        {OPERATOR.id: replace(MEMBER, groups=frozenset({GROUP}))}
    ),
    "a right is taken": lambda scene: scene.chat.profiles.update({OPERATOR.id: MEMBER}),
    "somebody moves": lambda scene: scene.chat.profiles.update(
        {CLERK.id: replace(MEMBER, zone="Asia/Tokyo", locale="de")}
    ),
    "a guest comes": lambda scene: setattr(scene.chat, "with_outsiders", True),
    "a second": lambda scene: scene.clock.pass_by(1),
    "a minute": lambda scene: scene.clock.pass_by(61),
    "an hour": lambda scene: scene.clock.pass_by(3700),
    "a job is renamed": rename,
}


def seen(answer: Answer) -> tuple[Card, object, object]:
    """All that a person sees of an answer, but not what it cost, nor whether that was paid just now."""
    source = answer.card.source
    free = source and replace(source, cost=(), cached=False)
    return replace(answer.card, source=free), answer.audience, answer.reader


async def checked(scene: Stage, text: str, person: Person, place: Place) -> None:
    """Asks until the answer is shared, and compares it with one that is made anew at the same moment."""
    for _ in range(2):
        await scene.answer(text, person, place)
    shared = await scene.answer(text, person, place)
    bot = scene.built.bot
    made, bot._reading._made = bot._reading._made, Kept(10)
    meant, bot._meanings._kept = bot._meanings._kept, Kept(10)
    assert seen(shared) == seen(await scene.answer(text, person, place))
    bot._reading._made, bot._meanings._kept = made, meant


async def everybody(scene: Stage, text: str) -> None:
    for person in (CLERK, OPERATOR):
        for place in (DIRECT, CHANNEL):
            await checked(scene, text, person, place)


@pytest.mark.parametrize("text", QUESTIONS)
async def test_two_people_in_two_places_share_nothing_that_differs(text: str) -> None:
    async with stage(clock=StoryClock(still=True), policy=ON_CALL) as scene:
        for step in ("somebody moves", "a right is given", "a guest comes", "a right is taken"):
            await everybody(scene, text)
            STEPS[step](scene)
        await everybody(scene, text)


@settings(max_examples=15)
@given(st.lists(st.one_of(st.sampled_from(QUESTIONS), st.sampled_from(sorted(STEPS))), max_size=8))
def test_whatever_was_shared_is_what_would_be_made_anew(story: list[str]) -> None:
    async def play() -> None:
        async with stage(clock=StoryClock(still=True), policy=ON_CALL) as scene:
            for step in story:
                if step in STEPS:
                    STEPS[step](scene)
                else:
                    await everybody(scene, step)

    asyncio.run(play())


@pytest.mark.parametrize("text", ["jobs", "job main job"])
async def test_a_duration_on_a_shared_card_goes_on(text: str) -> None:
    async with stage(clock=StoryClock(still=True)) as scene:
        await checked(scene, text, OPERATOR, DIRECT)
        made = scene.built.bot._reading._made.values()
        flips = [each.shown.until for each in made if each.shown.until]
        scene.clock.pass_by((min(flips) - scene.clock.now()).total_seconds() - 2)
        (celonis,) = scene.built.celonis.values()
        for stretch in celonis._client.cache.stretches.values():
            stretch.factor = 10.0  # answers keep longer than until then
        await checked(scene, text, OPERATOR, DIRECT)
        scene.clock.pass_by(4)
        await checked(scene, text, OPERATOR, DIRECT)


async def test_the_same_question_is_the_same_card() -> None:
    async with stage() as scene:
        await scene.says(QUESTION)
        second = await scene.says(QUESTION)
        third = await scene.says(QUESTION, OPERATOR)
        assert second is third or second == third
        assert third.source is not None
        assert third.source.cached


async def test_a_card_ends_with_the_answers_it_was_made_of() -> None:
    async with stage() as scene:
        await scene.says(QUESTION)
        old = await scene.says(QUESTION)
        scene.clock.pass_by(3 * 3600)
        before = scene.asked()
        new = await scene.says(QUESTION)
        assert scene.asked() > before
        assert old.source is not None
        assert new.source is not None
        assert new.source.fetched_at >= old.source.fetched_at + timedelta(hours=1)


async def test_each_person_sees_in_debug_what_was_shared_with_them() -> None:
    async with stage() as scene:
        for person in (CLERK, CLERK, OPERATOR):
            await scene.says(QUESTION, person)
        shown = await scene.says("debug", OPERATOR)
        assert "No calls" not in shown.headline
