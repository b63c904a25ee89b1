"""`ask --confirm` says where it stands, and ends after two minutes with what it knows."""

from __future__ import annotations

import asyncio

from adapters.cli.ask import CONFIRMED_WITHIN, until_known
from bot.model.cards import Answer, Card, Status
from bot.model.people import Clicked
from bot.sandbox import Switches
from bot.visit import Show
from bot.writes.ticket import State
from tests.story import DIRECT, OPERATOR, StoryClock, stage


class Counted:
    """A clock that moves by being waited for."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += max(0.0, seconds)


async def test_a_stop_that_goes_on_for_more_than_two_minutes_ends_with_where_it_stands() -> None:
    clock = StoryClock(pace=20.0)
    async with stage(switches=Switches(cancel_effect="ignored"), clock=clock) as scene:
        scene.sandbox.switches.run_duration = 1e9
        question = await scene.says("stop main job pls")
        click = scene.what(question, "Stop this job")
        assert isinstance(click, Clicked)
        told: list[str] = []

        async def sent() -> bool:
            kept = await scene.built.tickets.load(click.confirm)
            return kept is not None and kept.state is State.SENDING

        began = clock.monotonic()
        request = scene.request(click, OPERATOR, DIRECT)
        answer, known = await until_known(
            lambda show: scene.built.bot.answer(request, show), clock, sent, told.append
        )
        assert not known
        assert answer is not None
        assert answer.working
        assert clock.monotonic() - began >= CONFIRMED_WITHIN
        assert any(each.startswith("Stopping: main job") for each in told)
        assert any(each.startswith("Still running: main job") for each in told)
        assert len(scene.cancels()) == 1
        assert await sent(), "a later look finds it, and nothing is sent again"


async def test_what_was_not_sent_yet_is_waited_for() -> None:
    looks = 0

    async def answering(show: Show) -> None:
        await show(Answer(Card("Looking once more", status=Status.WORKING)))
        while looks < 3:  # noqa: ASYNC110 - what it waits for is a number of looks
            await asyncio.sleep(0)
        await show(Answer(Card("Nothing was done")))

    async def sent() -> bool:
        nonlocal looks
        looks += 1
        return False

    clock = Counted()
    answer, known = await until_known(answering, clock, sent, lambda _line: None)  # type: ignore[arg-type]  # no wall clock
    assert known
    assert answer is not None
    assert answer.card.headline == "Nothing was done"
