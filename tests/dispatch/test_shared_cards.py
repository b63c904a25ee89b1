"""A card that was made for one reader is shown to another only where it would be made the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot import config
from bot.model.cards import Answer, Card
from bot.model.people import Place, Profile, Standing
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
ASKS = st.tuples(
    st.sampled_from(QUESTIONS), st.sampled_from([CLERK, OPERATOR]), st.sampled_from([DIRECT, CHANNEL])
)


def seen(answer: Answer) -> tuple[Card, object, object]:
    """All that a person sees of an answer, but not what it cost, nor whether that was paid just now."""
    source = answer.card.source
    free = source and replace(source, cost=(), cached=False)
    return replace(answer.card, source=free), answer.audience, answer.reader


async def told(scene: Stage, ask: tuple[str, object, Place]) -> Answer:
    text, person, place = ask
    return await scene.answer(text, person, place)  # type: ignore[arg-type] # one of two people


@settings(max_examples=15)
@given(st.lists(st.one_of(ASKS, st.sampled_from(sorted(STEPS))), min_size=2, max_size=10))
def test_whatever_was_shared_is_what_would_be_made_anew(story: list[object]) -> None:
    async def play() -> None:
        async with stage(clock=StoryClock(still=True), policy=ON_CALL) as scene:
            for step in story:
                if isinstance(step, str):
                    STEPS[step](scene)
                    continue
                assert isinstance(step, tuple)
                for _ in range(2):
                    await told(scene, step)
                shared = await told(scene, step)
                scene.built.bot._made.clear()
                scene.built.bot._meanings._kept.clear()
                assert seen(shared) == seen(await told(scene, step))

    asyncio.run(play())


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
