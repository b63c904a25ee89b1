"""Answers leave one after the other, at the pace of the platform, and hold up nobody."""

from __future__ import annotations

import asyncio

from adapters.outgoing import Outbox
from bot.model.cards import Answer, Card, Status
from tests.fake_slack import until
from tests.fake_teams import StillClock

HI = Answer(Card("Hello"))


def progress(text: str) -> Answer:
    return Answer(Card(text, status=Status.WORKING), editable=True)


class Screen:
    """Remembers what was sent; each may wait for an event first."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.clock = StillClock()
        self.free = asyncio.Event()
        self.free.set()
        self.outbox = Outbox(self.send, self.clock, progress_every=1.0)

    async def send(self, answer: Answer) -> None:
        await self.free.wait()
        self.shown.append(answer.card.headline)


async def test_progress_is_shown_at_most_once_a_second_and_the_end_at_once() -> None:
    screen = Screen()
    await screen.outbox.show(progress("1"))
    await until(lambda: screen.shown)
    for answer in (progress("2"), progress("3"), Answer(Card("end"))):
        await screen.outbox.show(answer)
    await screen.outbox.close()
    assert screen.shown == ["1", "end"]
    assert screen.clock.passed == 0.0


async def test_what_is_no_progress_is_never_left_out() -> None:
    screen = Screen()
    for _ in range(3):
        await screen.outbox.show(HI)
    await screen.outbox.close()
    assert screen.shown == ["Hello"] * 3


async def test_progress_that_is_the_last_word_for_a_while_is_shown_after_its_second() -> None:
    screen = Screen()
    for number, text in enumerate(("1", "2"), 1):
        await screen.outbox.show(progress(text))
        await until(lambda number=number: len(screen.shown) == number)  # type: ignore[misc]  # bound at once
    assert screen.clock.waits == [1.0]
    await screen.outbox.close()
    assert screen.shown == ["1", "2"]


async def test_a_platform_that_hangs_does_not_hold_up_the_work() -> None:
    screen = Screen()
    screen.free.clear()
    await screen.outbox.show(HI)
    await asyncio.sleep(0)
    await screen.outbox.show(Answer(Card("end")))
    assert screen.shown == []
    screen.free.set()
    await screen.outbox.close()
    assert screen.shown == ["Hello", "end"]


async def test_a_request_that_is_answered_at_once_needs_no_task_of_its_own() -> None:
    screen = Screen()
    before = asyncio.all_tasks()
    await screen.outbox.show(HI)
    await screen.outbox.close()
    assert asyncio.all_tasks() == before
    assert screen.shown == ["Hello"]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
