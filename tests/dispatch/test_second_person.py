"""Marked pools need two people, told apart by their e-mail addresses; the first may go on alone where that is allowed."""

from __future__ import annotations

import re

from bot import config
from bot.model.cards import Card, Status
from bot.model.people import Person, Place, Profile, Standing, Visibility
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, SECOND, Stage, StoryChat, stage

ADMINS = f"slack:{HOME}:CADMIN"
TENANT = "11111111-1111-1111-1111-111111111111"
STOP = 'cancel "main job" in "SAP ECC"'
MARKED = {"sap*": config.SecondPerson()}
GLASS = {"SAP ECC": config.SecondPerson(break_glass_minutes=10)}


def member(person: Person, email: str | None) -> Profile:
    return Profile(name=person.id.casefold(), standing=Standing.MEMBER, email=email)


def with_addresses(chat: StoryChat, **more: str | None) -> None:
    for person in (OPERATOR, SECOND, CLERK):
        email = more.get(person.id, f"{person.id.casefold()}@example.com")
        chat.profiles[person.id] = member(person, email)


async def asked(scene: Stage, place: Place = CHANNEL, **more: str | None) -> Card:
    with_addresses(scene.chat, **more)
    card = await scene.says(STOP, OPERATOR, place)
    assert card.status is Status.QUESTION
    return card


async def test_two_people_confirm_and_the_second_yes_stops_the_job() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene)
        assert "Two people have to confirm this." in repr(card)
        first = await scene.presses(card, "stop", OPERATOR, CHANNEL)
        assert first.status is Status.QUESTION
        assert "Confirmed by uoperator at" in repr(first)
        assert scene.cancels() == []
        last = await scene.presses(first, "stop", SECOND, CHANNEL)
        assert "confirmed by uoperator first, answered by usecond" in repr(last)
        assert len(scene.cancels()) == 1
        steps = [each.entry.decision for each in await recent(scene.built.audit, 20) if each.entry]
        assert steps[::-1] == ["asked", "first", "confirmed", "sending", "done"]


async def test_the_same_person_twice_is_refused_also_under_another_account() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene, USECOND="UOperator@Example.com")
        first = await scene.presses(card, "stop", OPERATOR, CHANNEL)
        for person in (OPERATOR, SECOND):
            again = await scene.presses(first, "stop", person, CHANNEL)
            assert again.headline.startswith("You have confirmed this already")
        assert scene.cancels() == []


async def test_the_same_address_on_slack_and_on_teams_is_one_person() -> None:
    there = Place("teams", TENANT, "19:night@thread.tacv2", Visibility.CHANNEL)
    who = config.Who(email=("*@example.com",))
    may = config.Rule(who=who, may=(config.Right.READ, config.Right.CANCEL))
    bindings = (
        config.Binding(slack=HOME, connections=("sandbox",)),
        config.Binding(teams=TENANT, connections=("sandbox",)),
    )
    async with stage(second_person=MARKED, policy=(may,), bindings=bindings) as scene:
        card = await asked(scene, DIRECT)
        ticket = await scene.built.tickets.load("ticket0000000000000001")
        assert ticket is not None
        elsewhere = Person("teams", TENANT, "22222222-2222-2222-2222-222222222222", "Op")
        scene.chat.profiles[elsewhere.id] = member(elsewhere, "UOPERATOR@EXAMPLE.COM")
        assert await scene.built.tickets.confirm_first(ticket, elsewhere, there) is not None
        refused = await scene.presses(card, "stop", OPERATOR, DIRECT)
        assert refused.headline.startswith("You have confirmed this already")
        assert scene.cancels() == []
        await scene.presses(card, "stop", SECOND, DIRECT)
        assert len(scene.cancels()) == 1


async def test_without_an_address_on_either_side_it_is_refused() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene, UOPERATOR=None)
        refused = await scene.presses(card, "stop", OPERATOR, CHANNEL)
        assert "I cannot see yours" in refused.headline
        first = await scene.presses(card, "stop", SECOND, CHANNEL)
        assert first.status is Status.QUESTION
        assert (await scene.presses(first, "stop", OPERATOR, CHANNEL)).status is Status.REFUSED
        assert scene.cancels() == []


async def test_the_yes_of_somebody_whose_right_was_taken_away_counts_no_longer() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene)
        first = await scene.presses(card, "stop", OPERATOR, CHANNEL)
        scene.chat.profiles[OPERATOR.id] = Profile(name="gone", standing=Standing.GUEST)
        second = await scene.presses(first, "stop", SECOND, CHANNEL)
        assert second.status is Status.QUESTION
        assert "Confirmed by usecond" in repr(second)
        assert scene.cancels() == []


async def test_who_may_not_stop_it_is_neither_the_first_nor_the_second() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene)
        assert (await scene.presses(card, "stop", CLERK, CHANNEL)).status is Status.REFUSED
        first = await scene.presses(card, "stop", SECOND, CHANNEL)
        assert (await scene.presses(first, "stop", CLERK, CHANNEL)).status is Status.REFUSED
        assert scene.cancels() == []


async def test_other_pools_need_one_person() -> None:
    async with stage(second_person={"Another*": config.SecondPerson()}) as scene:
        card = await asked(scene)
        await scene.presses(card, "stop", OPERATOR, CHANNEL)
        assert len(scene.cancels()) == 1


async def test_after_a_while_the_first_goes_on_alone_with_a_reason_that_the_admins_are_told() -> None:
    async with stage(second_person=GLASS, admin=config.Admin(place=ADMINS)) as scene:
        card = await asked(scene)
        first = await scene.presses(card, "stop", OPERATOR, CHANNEL)
        found = re.search(r"break glass (\w+):", repr(first))
        assert found
        said = f"break glass {found[1]}: SAP is going down at midnight"
        early = await scene.says(said, OPERATOR, CHANNEL)
        assert "you can go on alone from" in early.headline
        scene.clock.pass_by(10 * 60)
        assert (await scene.says(f"break glass {found[1]}", OPERATOR, CHANNEL)).headline.startswith("Say why")
        assert (await scene.says(said, SECOND, CHANNEL)).headline.startswith("I know no open question")
        assert scene.cancels() == []
        last = await scene.says(said, OPERATOR, CHANNEL)
        assert len(scene.cancels()) == 1
        assert "answered by uoperator" in repr(last)
        (told,) = [answer.card for place, answer in scene.chat.posted if place.key == ADMINS]
        assert "SAP is going down at midnight" in repr(told)
        rows = [each.entry for each in await recent(scene.built.audit, 20) if each.entry]
        (alone,) = [each for each in rows if each.decision == "alone"]
        assert alone.outcome == "SAP is going down at midnight"


async def test_nobody_goes_on_alone_where_the_settings_do_not_let_them() -> None:
    async with stage(second_person=MARKED) as scene:
        card = await asked(scene)
        await scene.presses(card, "stop", OPERATOR, CHANNEL)
        scene.clock.pass_by(200)
        said = await scene.says("break glass ticket00: it really has to stop now", OPERATOR, CHANNEL)
        assert said.headline.startswith("Here nobody goes on alone")
        assert scene.cancels() == []
