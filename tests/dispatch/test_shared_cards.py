"""A card that was made for one reader is shown to another only where it would be made the same again."""

from datetime import timedelta

from tests.story import CLERK, OPERATOR, stage

QUESTION = "kpi On-time delivery of Order to Cash by Plant"


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


async def test_each_person_pays_in_debug_for_what_was_shared() -> None:
    async with stage() as scene:
        for person in (CLERK, CLERK, OPERATOR):
            await scene.says(QUESTION, person)
        shown = await scene.says("debug", OPERATOR)
        assert "No calls" not in shown.headline
