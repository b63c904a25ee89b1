"""Who looks after a data pool is told of every write on it, with no more than they may see there."""

from __future__ import annotations

import asyncio

import pytest

from bot import config
from bot.model.cards import Answer
from bot.model.errors import Undelivered
from bot.model.people import Clicked, MessageRef, Place
from tests.story import CHANNEL, Stage, stage

OTHER = "slack:T1:C2"


def told(scene: Stage) -> dict[str, str]:
    """The headlines of what was posted, by place."""
    return {place.key: answer.card.headline for place, answer in scene.chat.posted}


async def stopped(scene: Stage) -> None:
    question = await scene.says("stop main job")
    said = scene.what(question, "Stop this job")
    assert isinstance(said, Clicked)
    card = (await scene.cards(said))[-1]
    assert card.headline.startswith("STOPPED")
    for _ in range(20):
        await asyncio.sleep(0.01)


def notify(**pools: tuple[str, ...]) -> dict[str, config.Notify]:
    return {pattern.replace("_", " "): config.Notify(to=to) for pattern, to in pools.items()}


async def test_a_write_is_told_to_places_and_people_as_far_as_they_may_see_it() -> None:
    everybody = (CHANNEL.key, OTHER, "slack:T1:UCLERK", "slack:T1:UGUEST")
    async with stage(notify=notify(SAP_ECC=everybody)) as scene:
        await stopped(scene)
        found = told(scene)
        assert found[CHANNEL.key].startswith("STOPPED "), "it may see the data pool"
        assert found[OTHER].startswith("Carried out, ")
        assert found["slack:T1:D-UCLERK"].startswith("STOPPED ")
        assert found["slack:T1:D-UGUEST"].startswith("Carried out, "), "guests see no data pool"


async def test_other_data_pools_and_questions_that_came_to_nothing_are_told_to_nobody() -> None:
    async with stage(notify=notify(Oracle=(OTHER,))) as scene:
        await stopped(scene)
        assert told(scene) == {}
    async with stage(notify=notify(SAP_ECC=(OTHER,))) as scene:
        question = await scene.says("stop main job")
        await scene.presses(question, "Leave it running")
        assert told(scene) == {}


async def test_a_notice_that_is_not_delivered_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(
        notify=notify(SAP_ECC=(OTHER, "teams:7e4a9c2b-0000-4000-8000-000000000001:19:x"))
    ) as scene:

        async def refuse(_place: Place, _answer: Answer) -> MessageRef:
            raise Undelivered("Slack did not take the message.")

        monkeypatch.setattr(scene.chat, "post", refuse)
        await stopped(scene)
