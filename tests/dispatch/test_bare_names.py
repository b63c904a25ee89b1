"""A bare name opens the thing: a KPI its value, a record its rows, a model its overview, a pool its jobs."""

from __future__ import annotations

import pytest

from bot.model.cards import Status
from tests.story import stage

OPENS = {
    "on-time delivery": 'kpi "On-time delivery" of "Order to Cash"',
    "materials": 'data Materials of "Purchase Requisition KM"',
    "order to cash": 'model "Order to Cash"',
    "sap ecc": 'jobs in "SAP ECC"',
    "main job": 'job "main job" in "SAP ECC"',
    "material group": 'values "Material group" of "Purchase Requisition KM"',
}


@pytest.mark.parametrize("asks", ["{}", "show me {}", "zeig mir {}"])
async def test_a_bare_name_opens_the_thing_in_both_languages(asks: str) -> None:
    async with stage() as scene:
        for name, said in OPENS.items():
            card = await scene.says(asks.format(name))
            assert (card.status, card.sentence) == (Status.ANSWERED, said), name
