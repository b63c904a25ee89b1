"""What is in a knowledge model, also where a part of it cannot be read."""

from __future__ import annotations

import pytest

from bot.model.cards import Notice, Status
from bot.sandbox import Fault
from tests.story import stage

MODEL = 'model "Order to Cash"'


async def test_a_model_says_what_is_in_it_and_what_it_extends_by_name() -> None:
    async with stage() as scene:
        card = await scene.says(MODEL)
        assert card.headline == "Order to Cash: 10 KPIs, 3 records"
        assert "km" not in repr(card.blocks)


@pytest.mark.parametrize(
    ("path", "missing", "headline"),
    [
        ("/kpis$", "KPIs", "Order to Cash: KPIs not read, 3 records"),
        ("/records$", "Records", "Order to Cash: 10 KPIs, Records not read"),
        ("/filters$", "Filters", "Order to Cash: 10 KPIs, 3 records"),
        ("order-to-cash-km$", "What it extends", "Order to Cash: 10 KPIs, 3 records"),
    ],
)
async def test_a_list_that_cannot_be_read_is_named_and_the_others_are_shown(
    path: str, missing: str, headline: str
) -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("status", path=path, status=500))
        card = await scene.says(MODEL)
        assert (card.status, card.headline) == (Status.ANSWERED, headline)
        (notice,) = [block.text for block in card.blocks if isinstance(block, Notice)]
        assert notice.startswith(f"{missing} could not be read: ")


async def test_where_nothing_of_it_can_be_read_there_is_no_answer() -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("status", path="order-to-cash-km/", status=500))
        assert (await scene.says(MODEL)).status is Status.FAILED
