"""`audit` shows an admin, and nobody else, what was decided; without any value of data."""

from __future__ import annotations

from bot.model.cards import Only, Status
from tests.story import CHANNEL, CLERK, OPERATOR, someone, stage

ADMIN = someone("UADMIN")


async def test_the_log_is_shown_to_an_admin_alone() -> None:
    async with stage(reads_logged=True) as scene:
        await scene.says('cancel "main job" in "SAP ECC"', CLERK)  # refused
        await scene.says('data Customers of "Order to Cash" where Country = Germany', OPERATOR)
        shown = await scene.answer("audit 20", ADMIN, CHANNEL)
        assert shown.audience == Only(ADMIN)
        text = repr(shown.card)
        for word in ("refused", "read", "default: deny", CLERK.key):
            assert word in text
        assert "Germany" not in text
        assert (await scene.says("audit", CLERK)).status is Status.REFUSED
