"""Nights of a bot over a sandbox whose clock is the bot's: what is said while time passes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from bot.model.cards import Answer, Confirm, buttons
from bot.sandbox import Switches
from bot.watching.loop import WatchLoop
from tests.story import Stage, StoryClock, stage

EVENING = datetime(2026, 11, 20, 22, 40, tzinfo=UTC)
"""23:40 in Berlin, on a Friday."""


def night(**more: Any) -> AbstractAsyncContextManager[Stage]:
    clock = StoryClock(EVENING, pace=1.0, still=True)
    return stage(clock=clock, switches=Switches(cancel_delay=0.0), **more)


def loop_of(scene: Stage) -> WatchLoop:
    bot = scene.built.bot
    return WatchLoop(scene.built.store, scene.clock, bot.look, bot.escalate)


async def later(scene: Stage, seconds: float, loop: WatchLoop | None = None) -> list[Answer]:
    """What is posted while so much time passes, with a look each 30 seconds."""
    loop = loop or loop_of(scene)
    before = len(scene.chat.posted)
    while seconds > 0:
        scene.clock.pass_by(min(seconds, 30))
        seconds -= 30
        while await loop.round():
            await loop.settled()
    return [answer for _, answer in scene.chat.posted[before:]]


def headlines(answers: list[Answer]) -> list[str]:
    return [each.card.headline for each in answers]


def confirming(answer: Answer) -> Confirm:
    (found,) = [each.action for each in buttons(answer.card) if isinstance(each.action, Confirm)]
    return found
