"""What only an admin can put right is told where the admins are: once, by one copy of the bot, and once that it is over."""

from __future__ import annotations

from typing import Any

from bot import config
from bot.model.cards import Card
from bot.model.errors import StoreUnavailable, Undelivered
from bot.sandbox.faults import Fault
from tests.story import CLERK, HOME, SECOND, Stage, StoryChat, stage

PLACE = f"slack:{HOME}:CADMIN"
ADMIN = config.Admin(place=PLACE)
ASKED = 'jobs in "SAP ECC"'


def told(chat: StoryChat) -> list[Card]:
    return [answer.card for place, answer in chat.posted if place.key == PLACE]


def said(card: Card) -> str:
    return repr((card.headline, card.blocks))


def refuse(scene: Stage, status: int, path: str = "") -> None:
    scene.sandbox.faults.add(Fault("status", status=status, path=path))


async def test_a_key_that_is_not_valid_any_more_is_told_once_and_that_it_works_again() -> None:
    async with stage(admin=ADMIN) as scene:
        await scene.says(ASKED)
        assert told(scene.chat) == []
        refuse(scene, 401)
        for person in (CLERK, SECOND, CLERK):
            card = await scene.says('jobs in "SAP S4"', person)
            assert "The admins of this bot were told." in said(card)
        (only,) = told(scene.chat)
        assert "key" in said(only)
        assert len(only.blocks) >= 1  # the way to put it right
        scene.sandbox.faults.clear()
        scene.clock.pass_by(120)
        await scene.says("status")
        await scene.says('jobs in "SAP S4"', CLERK)
        assert [each.headline.startswith("It is over: sandbox works again") for each in told(scene.chat)] == [
            False,
            True,
        ]


async def test_of_two_copies_one_tells() -> None:
    async with stage(admin=ADMIN, replicas=2) as one:
        sandbox, store, clock = one.sandbox, one.built.store, one.clock
        async with stage(admin=ADMIN, sandbox=sandbox, store=store, clock=clock, replicas=2) as two:
            refuse(one, 401)
            for scene in (one, two, one, two):
                card = await scene.says(ASKED, CLERK)
                assert "were told" in said(card)
            assert len(told(one.chat)) + len(told(two.chat)) == 1


async def test_a_missing_grant_is_one_incident_for_each_question_and_others_do_not_end_it() -> None:
    async with stage(admin=ADMIN) as scene:
        refuse(scene, 403, "/spaces")
        for _ in range(2):
            await scene.says("spaces")
            await scene.says(ASKED)
        assert len(told(scene.chat)) == 1
        scene.sandbox.faults.clear()
        scene.clock.pass_by(3600)  # a refusal is believed for a while
        await scene.says("spaces")
        assert len(told(scene.chat)) == 2


async def test_the_asker_is_not_told_that_the_admins_know_where_nobody_could_be_told(
    monkeypatch: Any,
) -> None:
    async with stage(admin=ADMIN) as scene:

        async def post(*_: object) -> None:
            raise Undelivered("not in channel")

        monkeypatch.setattr(scene.chat, "post", post)
        refuse(scene, 401)
        assert "were told" not in said(await scene.says(ASKED))
    async with stage() as scene:
        refuse(scene, 401)
        assert "were told" not in said(await scene.says(ASKED))


async def test_a_quota_that_is_nearly_spent_is_told_at_each_mark_once() -> None:
    async with stage(admin=ADMIN, connection={"limits": config.Limits(per_day=20)}) as scene:

        async def look() -> list[str]:
            await scene.built.admins.look(scene.built.celonis)
            return [each.headline for each in told(scene.chat)]

        assert await look() == []
        celonis = scene.built.celonis["sandbox"]
        while (await celonis.quota()).tightest.left > 3:
            await celonis.connect()
        first = await look()
        assert any("% of the day's 20 calls" in each for each in first)
        assert await look() == first


async def test_a_database_that_is_gone_is_told_and_that_it_is_back(monkeypatch: Any) -> None:
    async with stage(admin=ADMIN) as scene:

        async def gone(*_: object) -> None:
            raise StoreUnavailable("The bot's database does not answer.", hint="Look after it.")

        with monkeypatch.context() as patched:
            patched.setattr(scene.built.store, "read", gone)
            for _ in range(3):
                await scene.built.admins.look({})
        await scene.built.admins.look({})
        heads = [each.headline for each in told(scene.chat)]
        assert heads[0] == "The bot's database does not answer."
        assert heads[1].startswith("It is over: the bot's database answers again")
        assert len(heads) == 2
