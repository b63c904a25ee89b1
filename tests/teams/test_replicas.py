"""Two bots behind one Teams, with one PostgreSQL: what one knows the other knows too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fake_teams import CHANNEL, copy
from tests.store.databases import postgresql
from tests.teams.stage import CLERK, OPERATOR, SECOND, Stage, stage

STOP = "Stop this job"


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    async with postgresql() as database, stage(replicas=2, database=database) as opened:
        yield opened


async def test_clicks_on_both_at_once_are_one_call(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    clicks = [
        (scene.teams.pressed(who, question, STOP, CHANNEL), at) for who in (OPERATOR, SECOND) for at in (0, 1)
    ]
    answers = await asyncio.gather(*(scene.post(click, at=at) for click, at in clicks))
    await scene.settle()
    assert {status for status, _ in answers} == {200}
    assert len(scene.cancels()) == 1
    assert "STOPPED" in question.text


async def test_a_delivery_that_reaches_both_is_answered_once(scene: Stage) -> None:
    body = scene.teams.said(CLERK, "help")
    await asyncio.gather(*(scene.post(copy(body), at=at) for at in (0, 1, 0, 1)))
    await scene.settle()
    assert len(scene.teams.seen(CLERK.personal)) == 1


async def test_one_asks_and_the_other_acts(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    await scene.presses(SECOND, question, STOP, CHANNEL, at=1)
    assert "STOPPED" in question.text
    assert len(scene.cancels()) == 1
