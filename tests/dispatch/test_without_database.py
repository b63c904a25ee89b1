"""The bot's own database is away: reads go on in a small way, and nothing is stopped."""

from __future__ import annotations

import pytest

from bot.model.cards import Status
from bot.model.errors import StoreUnavailable
from bot.store import Store
from tests.story import CLERK, stage


async def gone(_: Store, _work: object) -> None:
    raise StoreUnavailable("The bot's database does not answer.")


async def test_reads_are_answered_after_a_quiet_minute_and_writes_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage() as scene:
        monkeypatch.setattr(Store, "read", gone)
        monkeypatch.setattr(Store, "write", gone)
        await scene.says("pools", CLERK)
        scene.clock.pass_by(61)
        card = await scene.says("pools", CLERK)
        assert card.status is Status.ANSWERED, card
        question = await scene.says("stop main job")
        assert question.status is Status.FAILED
        assert "database" in question.headline
        assert scene.cancels() == []
        monkeypatch.undo()
