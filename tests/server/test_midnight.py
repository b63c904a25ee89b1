"""SAP goes down at midnight, and a guard was set: the whole story, as signed HTTP, with the sandbox's log as the judge."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from bot.audit import Audit, Verified
from bot.watching.loop import WatchLoop
from tests.audit_log import recent
from tests.fake_slack import Message, until
from tests.fake_teams import CHANNEL, Scope
from tests.server.towns import CLERK, OPERATOR, SECOND, Town, town
from tests.store.databases import postgresql
from tests.story import StoryClock
from tests.teams import stage as teams

GUARD = "guard main job at 23:45 until 00:15"
TO_THE_GUARD = 5 * 60
STOP = "Stop this job"
POST = Scope("channel", CHANNEL.id.partition(";")[0])
"""Where a watch of the channel speaks: in a post of its own."""


def evening() -> StoryClock:
    """23:40 in Berlin."""
    return StoryClock(datetime(2026, 11, 20, 22, 40, tzinfo=UTC))


def questions(here: Town) -> list[Message]:
    return [each for each in here.slack.visible(OPERATOR, "C1") if "[Leave it running]" in each.shown]


async def asked(here: Town) -> Message:
    await until(lambda: questions(here))
    (question,) = questions(here)
    return question


async def proven(audit: Audit) -> list[str]:
    """What the log says was decided, oldest first, after it was found whole."""
    await audit.flush()
    assert isinstance(await audit.verify(), Verified)
    return [each.entry.decision for each in reversed(await recent(audit, 50)) if each.entry]


async def test_a_guard_asks_in_the_channel_and_only_who_may_stops_the_job() -> None:
    async with town(clock=evening()) as here:
        await here.slack.mention(OPERATOR, "C1", GUARD)
        await here.quiet()
        assert any("is set" in each.shown for each in here.slack.visible(CLERK, "C1"))
        here.clock.pass_by(TO_THE_GUARD)
        question = await asked(here)
        assert "running since" in question.shown
        assert here.cancels() == []

        await here.presses(CLERK, question, STOP)
        assert here.cancels() == []
        refusal = here.slack.visible(CLERK, "C1")[-1]
        assert refusal.only_for == CLERK
        assert "The question stays open" in refusal.shown
        assert "[Leave it running]" in question.shown

        await here.presses(SECOND, question, STOP)
        await here.stopped(question)
        assert len(here.cancels()) == 1
        await until(lambda: any(f"@{SECOND}" in each.shown for each in here.slack.messages))
        decided = await proven(here.copies[0].built.audit)
        for step in ("asked", "refused", "confirmed"):
            assert step in decided, decided


async def test_a_bot_that_was_down_at_the_time_says_so_when_it_is_back_and_asks() -> None:
    async with postgresql() as database, town(clock=evening(), database=database) as here:
        await here.slack.mention(OPERATOR, "C1", GUARD)
        await here.quiet()
        await here.stop()
        here.clock.pass_by(12 * 60)
        await here.start()
        here.slack.target = here.target(0)
        question = await asked(here)
        assert any("I was down at 23:45" in each.shown for each in here.slack.visible(OPERATOR, "C1"))
        await here.presses(OPERATOR, question, STOP)
        await here.stopped(question)
        assert len(here.cancels()) == 1


async def test_one_of_two_copies_that_dies_a_second_before_leaves_one_question() -> None:
    async with postgresql() as database, town(clock=evening(), database=database, copies=2) as here:
        await here.slack.mention(OPERATOR, "C1", GUARD)
        await here.quiet()
        here.clock.pass_by(TO_THE_GUARD - 20)
        await here.stop(0)
        here.slack.target = here.target(0)
        here.clock.pass_by(20)
        question = await asked(here)
        await asyncio.gather(*(here.slack.press(who, question, STOP) for who in (OPERATOR, SECOND)))
        await here.stopped(question)
        assert len(here.cancels()) == 1
        assert len(questions(here)) == 0


@pytest.mark.parametrize("clicks", [1, 2])
async def test_the_same_story_in_teams(clicks: int) -> None:
    async with teams.stage(clock=evening()) as here:
        bot, store = here.replica.built.bot, here.replica.built.store
        watching = asyncio.create_task(WatchLoop(store, here.clock, bot.look, bot.escalate).run())
        try:
            said = await here.says(teams.OPERATOR, GUARD, CHANNEL)
            assert "is set" in said.text
            here.clock.pass_by(TO_THE_GUARD)
            await until(lambda: any(STOP in each.buttons for each in here.teams.seen(POST.id)))
            question = next(each for each in here.teams.seen(POST.id) if STOP in each.buttons)
            await here.presses(teams.CLERK, question, STOP, POST)
            assert here.cancels() == []
            both = (teams.OPERATOR, teams.SECOND)[:clicks]
            await asyncio.gather(*(here.presses(who, question, STOP, POST) for who in both))
            await until(lambda: "STOPPED" in here.teams.everything())
            assert len(here.cancels()) == 1
            assert "refused" in await proven(here.replica.built.audit)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
