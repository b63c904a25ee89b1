"""“writes off” refuses questions, clicks and calls at once, on every copy, until “writes on”."""

from __future__ import annotations

import pytest

from bot import config
from bot.model.cards import Card, Status
from bot.model.people import Place, Visibility
from bot.store.switches import switch_writes
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, Stage, someone, stage

ADMIN = someone("UADMIN")
ADMINS = Place("slack", HOME, "CADMIN", Visibility.CHANNEL)
STOP = 'cancel "main job" in "SAP ECC"'


async def decisions(scene: Stage) -> list[tuple[str, str]]:
    rows = await recent(scene.built.audit, 20)
    return [(each.entry.decision, each.entry.rule or each.entry.sentence) for each in rows if each.entry]


async def test_an_admin_switches_every_write_off_and_on_again() -> None:
    async with stage() as scene:
        asked = await scene.says(STOP)
        assert asked.status is Status.QUESTION
        card = await scene.says("writes off", ADMIN)
        assert card.headline.startswith("Writes are off")
        assert ("changed", "rule 3: admins") in await decisions(scene)
        for refused in (await scene.presses(asked, "stop"), await scene.says(STOP)):
            assert refused.status is Status.REFUSED
            assert "UADMIN said “writes off”" in refused.headline
        assert ("refused", "writes off") in await decisions(scene)
        assert scene.cancels() == []
        assert (await scene.says("writes off", ADMIN)).headline.startswith("Writes are off already since")
        assert "off since" in repr(await scene.says("status"))
        assert (await scene.says("writes on", ADMIN)).headline.startswith("Writes are on again")
        await scene.presses(asked, "stop")
        assert len(scene.cancels()) == 1


async def test_no_is_taken_while_writes_are_off() -> None:
    async with stage() as scene:
        asked = await scene.says(STOP)
        await scene.says("writes off", ADMIN)
        assert (await scene.presses(asked, "leave")).headline == "Nothing was done"


async def test_what_was_confirmed_a_moment_before_is_not_sent_either() -> None:
    async with stage() as scene:
        asked = await scene.says(STOP)
        said: list[Card] = []

        async def show(answer: object) -> None:
            said.append(answer.card)  # type: ignore[attr-defined]  # an Answer
            if len(said) == 1:  # it is claimed, and looked at once more
                await switch_writes(scene.built.store, ADMIN, on=False)

        await scene.built.bot.answer(scene.request(scene.what(asked, "stop"), OPERATOR, DIRECT), show)
        assert scene.cancels() == []
        assert said[-1].headline.startswith("Nothing was done")


@pytest.mark.parametrize(
    ("person", "place", "may"),
    [(CLERK, CHANNEL, False), (CLERK, ADMINS, True), (ADMIN, CHANNEL, True), (OPERATOR, DIRECT, False)],
)
async def test_who_may_switch(person: object, place: Place, may: bool) -> None:
    async with stage(admin=config.Admin(place=ADMINS.key)) as scene:
        card = await scene.says("writes off", person, place)  # type: ignore[arg-type]  # a Person
        assert (card.status is Status.ANSWERED) == may
        in_help = [await scene.says(f"help page {n}", person, place) for n in (1, 2, 3, 4)]  # type: ignore[arg-type]
        assert ("writes off" in repr(in_help)) == may
