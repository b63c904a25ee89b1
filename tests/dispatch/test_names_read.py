"""Which lists of names a sentence reads: those at hand first, then a few, and what was left out is said."""

from __future__ import annotations

from bot.model.cards import Status
from tests.dispatch.test_reads import texts
from tests.story import stage

STRANGE = "flurbigon zzyxomat"


async def test_a_kpi_is_found_with_one_list_of_each_knowledge_model() -> None:
    async with stage() as scene:
        card = await scene.says("on-time delivery")
        assert card.status is Status.ANSWERED, card
        assert scene.asked() <= 9, [each.path for each in scene.sandbox.log]
        assert not [each for each in scene.sandbox.log if each.path.endswith("/filters")]


async def test_data_pools_are_read_once_for_a_sentence_in_which_nothing_is_known() -> None:
    async with stage() as scene:
        await scene.says(STRANGE)
        assert [each.path for each in scene.sandbox.log].count("/integration/api/pools") == 1


async def test_names_that_an_earlier_process_read_cost_nothing_even_when_they_are_old() -> None:
    async with stage() as scene:
        await scene.says("on-time delivery")
        scene.clock.pass_by(2 * 3600)
        async with stage(store=scene.built.store, sandbox=scene.sandbox, clock=scene.clock) as risen:
            before = risen.asked()
            card = await risen.says("on-time delivery")
            assert card.status is Status.ANSWERED, card
            assert risen.asked() - before <= 3, [each.path for each in risen.sandbox.log]


async def test_what_was_not_looked_into_is_said_and_asked_again_it_is() -> None:
    async with stage() as scene:
        await scene.says('use model "Order to Cash"')
        first, second = await scene.says(STRANGE), await scene.says(STRANGE)
        assert "I did not look into" in texts(first)
        assert texts(first) != texts(second)
