"""Help begins with what can be clicked at once, and leads on to every command with its clauses."""

from __future__ import annotations

import pytest

from bot import config
from bot.model.cards import Button, Card, Choices, Fact, Facts, Only, Status, Words
from bot.model.people import Person
from tests.story import CHANNEL, CLERK, HOME, OPERATOR, Stage, press, stage


def options(card: Card, prompt: str) -> list[Button]:
    return [
        option
        for block in card.blocks
        if isinstance(block, Choices) and prompt in block.prompt
        for option in block.options
    ]


async def all_answer(scene: Stage, card: Card) -> None:
    for each in options(card, "Try"):
        assert (await scene.presses(card, each.label)).status is Status.ANSWERED, each


async def test_it_begins_with_three_to_five_buttons_and_costs_no_call() -> None:
    async with stage() as scene:
        card = await scene.says("help")
        assert scene.asked() == 0
        assert [each.label for each in options(card, "Try")] == ["What runs now", "Knowledge models", "Quota"]
        await all_answer(scene, card)
        before = scene.asked()
        assert len(options(await scene.says("help"), "Try")) in {3, 4, 5}
        assert scene.asked() == before


@pytest.mark.parametrize("greeting", ["hi", "hallo", "?", "help"])
async def test_names_that_are_known_stand_on_the_buttons(greeting: str) -> None:
    async with stage() as scene:
        await scene.says('model "Order to Cash"')
        card = await scene.says(greeting)
        labels = [each.label for each in options(card, "Try")]
        assert len(labels) == 5
        assert {"KPIs of Order to Cash", "What runs now"} <= set(labels)
        await all_answer(scene, card)


async def test_names_that_a_person_may_not_see_stand_on_no_button() -> None:
    def reads(person: Person, **on: tuple[str, ...]) -> config.Rule:
        who = config.Who(slack=(f"{HOME}:{person.id}",))
        return config.Rule(name=person.id, who=who, may=(config.Right.READ,), on=config.On(**on))

    rules = (reads(OPERATOR), reads(CLERK, model=("Accounts Payable",)))
    async with stage(policy=rules, members_read=False) as scene:
        await scene.says('model "Order to Cash"')
        assert "Order to Cash" in repr(options(await scene.says("help"), "Try"))
        assert "Order to Cash" not in repr(options(await scene.says("help", CLERK), "Try"))


async def test_names_are_for_the_asker_alone_in_a_channel() -> None:
    async with stage() as scene:
        await scene.says('model "Order to Cash"')
        assert (await scene.answer("help", CLERK, CHANNEL)).audience == Only(CLERK)


async def test_every_command_of_a_page_is_explained_by_a_click() -> None:
    async with stage() as scene:
        card = await scene.says("help")
        for each in options(card, "More about"):
            assert (await scene.cards(press(each.action)))[-1].title == f"Help on {each.label}"


async def test_help_on_kpi_shows_every_clause_with_an_example() -> None:
    async with stage() as scene:
        card = await scene.says("help kpi")
        facts = [each for block in card.blocks if isinstance(block, Facts) for each in block.facts]
        assert Fact("by <field>, …", Words("by Country")) in facts
        assert Fact("top N", Words("top 5")) in facts
        assert Fact("where <condition>", Words("where Country = Germany")) in facts
        assert Fact("as chart", Words("as chart")) in facts
