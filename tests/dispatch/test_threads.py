"""What `next`, `back` and `refresh` go on with, who may go on, and in whose time zone an answer is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot import config
from bot.model.cards import Card, Only, Status
from bot.model.people import Place, Profile, Said, Standing, Visibility
from tests.dispatch.test_reads import texts
from tests.story import CHANNEL, CLERK, DIRECT, GUEST, HOME, OPERATOR, SECOND, Stage, answers_to, rules, stage

ROWS = "data Materials of Purchase Requisition KM show material number"
FIELDS = "fields Materials of Purchase Requisition KM"
THREAD = replace(CHANNEL, thread="1700000001.000100")
OTHER = replace(CHANNEL, thread="1700000002.000100")


async def opening(scene: Stage, text: str, place: Place) -> Card:
    """What comes back to a message that opens its thread."""
    request = replace(scene.request(Said(text), CLERK, place), opens_thread=True)
    return (await answers_to(scene.built.bot, request))[-1].card


async def test_threads_of_one_place_are_conversations_of_their_own() -> None:
    async with stage() as scene:
        rows = await scene.says(ROWS, CLERK, THREAD)
        fields = await scene.says(FIELDS, CLERK, OTHER)
        models = await scene.says("models", CLERK, CHANNEL)
        second = await scene.says("next", CLERK, THREAD)
        assert "page 2" in second.sentence
        assert (await scene.says("refresh", CLERK, OTHER)).sentence == fields.sentence
        assert (await scene.says("refresh", CLERK, CHANNEL)).sentence == models.sentence
        assert (await scene.says("back", CLERK, THREAD)).sentence == rows.sentence


async def test_somebody_else_goes_on_in_a_thread_and_gets_an_answer_of_their_own() -> None:
    async with stage() as scene:
        await scene.says(ROWS, CLERK, THREAD)
        second = await scene.answer("next", OPERATOR, THREAD)
        assert "page 2" in second.card.sentence
        assert second.audience == Only(OPERATOR)
        assert "page 3" in (await scene.says("next", CLERK, THREAD)).sentence


async def test_outside_threads_everybody_goes_on_with_what_they_said_there_themselves() -> None:
    async with stage() as scene:
        await scene.says(ROWS, CLERK, CHANNEL)
        card = await scene.says("next", OPERATOR, CHANNEL)
        assert (card.status, card.headline) == (
            Status.REFUSED,
            "I remember no next page to the last answer here.",
        )


async def test_a_message_that_opens_a_thread_goes_on_with_the_place_and_the_thread_goes_on_with_it() -> None:
    async with stage() as scene:
        await opening(scene, ROWS, THREAD)
        assert "page 2" in (await opening(scene, "next", OTHER)).sentence
        assert "page 2" in (await scene.says("next", OPERATOR, THREAD)).sentence
        assert "page 3" in (await scene.says("next", OPERATOR, OTHER)).sentence


async def test_a_thread_that_nobody_asked_in_remembers_nothing_of_the_place() -> None:
    async with stage() as scene:
        await scene.says(ROWS, CLERK, CHANNEL)
        assert (await scene.says("next", CLERK, THREAD)).status is Status.REFUSED


async def test_a_conversation_is_remembered_for_a_day() -> None:
    async with stage() as scene:
        await scene.says("models", CLERK, THREAD)
        scene.clock.pass_by(23 * 3600)
        assert (await scene.says("refresh", CLERK, THREAD)).sentence == "models"
        scene.clock.pass_by(25 * 3600)
        card = await scene.says("refresh", CLERK, THREAD)
        assert card.headline == "I remember no answer here to ask again."


@pytest.mark.parametrize("word", ["refresh", "next"])
async def test_who_goes_on_with_what_they_may_not_see_hears_no_name_of_it(word: str) -> None:
    narrow = config.Rule(
        name="narrow",
        who=config.Who(slack=(f"{HOME}:{SECOND.id}",)),
        may=(config.Right.READ,),
        on=config.On(model=("Order to Cash",)),
    )
    wide = config.Rule(name="wide", who=config.Who(slack=(f"{HOME}:{CLERK.id}",)), may=(config.Right.READ,))
    async with stage(policy=(narrow, wide), members_read=False) as scene:
        assert (await scene.says(ROWS, CLERK, THREAD)).status is Status.ANSWERED
        before = scene.asked()
        for person in (SECOND, GUEST):
            card = await scene.says(word, person, THREAD)
            assert card.status is Status.REFUSED
            assert "aterial" not in f"{card.headline} {texts(card)} {card.sentence} {card.title}"
            assert "Purchase" not in f"{card.headline} {texts(card)} {card.sentence} {card.title}"
        assert not [each for each in list(scene.sandbox.log)[before:] if "MATERIALS" in each.path]


async def test_where_private_answers_go_apart_they_are_gone_on_with_there_too() -> None:
    async with stage() as scene:
        request = replace(scene.request(Said(ROWS), CLERK, THREAD), private_apart=True)
        assert await answers_to(scene.built.bot, request)
        assert "page 2" in (await scene.says("next", CLERK, DIRECT)).sentence


# --- zones ---


def lives_in(scene: Stage, zone: str | None) -> None:
    scene.chat.profiles[CLERK.id] = Profile(name="clerk", standing=Standing.MEMBER, zone=zone)


async def test_a_private_answer_is_in_the_persons_own_zone() -> None:
    async with stage() as scene:
        lives_in(scene, "Asia/Tokyo")
        for place in (CHANNEL, DIRECT):
            answer = await scene.answer("status", CLERK, place)
            assert answer.reader.zone == "Asia/Tokyo"
            assert "Asia/Tokyo (your own)" in repr(answer.card.blocks)


async def test_an_answer_that_others_see_is_in_no_persons_zone() -> None:
    public = config.Rule(
        name="public",
        who=config.Who(places=(CHANNEL.key,)),
        may=(config.Right.PUBLIC, config.Right.READ),
    )
    async with stage(policy=(*rules(), public)) as scene:
        lives_in(scene, "Asia/Tokyo")
        answer = await scene.answer("status", CLERK, CHANNEL)
        assert answer.reader.zone == "Europe/Berlin"
        assert "Europe/Berlin (the bot's own)" in repr(answer.card.blocks)
        question = await scene.answer("stop main job", OPERATOR, CHANNEL)
        assert question.reader.zone == "Europe/Berlin"


async def test_the_places_zone_comes_before_the_persons() -> None:
    async with stage() as scene:
        lives_in(scene, "Asia/Tokyo")
        await scene.says("use time zone America/Lima", CLERK, DIRECT)
        answer = await scene.answer("status", CLERK, DIRECT)
        assert answer.reader.zone == "America/Lima"
        assert "America/Lima (this place's)" in repr(answer.card.blocks)


async def test_who_tells_no_zone_gets_the_settings_one() -> None:
    async with stage() as scene:
        lives_in(scene, None)
        assert (await scene.answer("status", CLERK, DIRECT)).reader.zone == "Europe/Berlin"


async def test_a_period_is_that_of_the_persons_zone_and_the_zone_is_printed() -> None:
    async with stage() as scene:
        lives_in(scene, "Asia/Tokyo")
        sentence = "data Orders of Order to Cash where order date = yesterday"
        assert "(Asia/Tokyo)" in texts(await scene.says(sentence, CLERK, DIRECT))
        assert "(Europe/Berlin)" in texts(await scene.says(sentence, OPERATOR, DIRECT))


async def test_a_personal_chat_in_a_thread_is_a_conversation_of_its_own() -> None:
    async with stage() as scene:
        await scene.says(ROWS, CLERK, DIRECT)
        inside = Place("slack", HOME, DIRECT.id, Visibility.PERSONAL, thread="1700000003.000100")
        assert (await scene.says("next", CLERK, inside)).status is Status.REFUSED
