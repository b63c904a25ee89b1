"""From a knowledge model to an answer by choosing only."""

from __future__ import annotations

import re

import pytest

from adapters.cli.settings import sandbox_data_models
from adapters.slack.blocks import render as render_slack
from adapters.teams.adaptive import render as render_teams
from bot import config
from bot.commands.again import Recall
from bot.commands.records import Data
from bot.language.parse import Exact
from bot.language.say import say
from bot.model.cards import (
    Card,
    Choices,
    Facts,
    Input,
    Notice,
    Only,
    Reader,
    Run,
    Status,
    Submit,
    Words,
)
from bot.model.intents import comparisons
from bot.model.people import Clicked
from bot.render.button_codec import decode_data
from bot.sandbox import Sandbox, SandboxOptions
from tests.platform_rules import assert_slack_ok, assert_teams_ok
from tests.story import CHANNEL, CLERK, OPERATOR, Stage, all_buttons, press, stage

DATES = {"data_models": sandbox_data_models(Sandbox(SandboxOptions()))}
MODEL = 'form of "Order to Cash"'


def options(card: Card, prompt: str) -> list[str]:
    """The labels of the list below a prompt."""
    return [
        each.label
        for block in card.blocks
        if isinstance(block, Choices) and block.prompt.startswith(prompt)
        for each in block.options
    ]


def chosen(card: Card) -> dict[str, str]:
    return {
        fact.label: fact.value.text
        for block in card.blocks
        if isinstance(block, Facts)
        for fact in block.facts
        if isinstance(fact.value, Words)
    }


def field_of(card: Card) -> Input:
    (found,) = (each for each in card.blocks if isinstance(each, Input))
    return found


async def types(scene: Stage, card: Card, text: str) -> Card:
    *_, card = await scene.cards(press(field_of(card).submit.action, text))
    return card


async def chooses(scene: Stage, card: Card, *labels: str) -> Card:
    for label in labels:
        (button,) = {each for each in all_buttons(card) if each.label.partition(" · ")[0] == label}
        *_, card = await scene.cards(press(button.action))
    return card


async def test_a_kpi_is_asked_for_by_choosing_alone_and_the_answer_is_that_of_the_sentence() -> None:
    async with stage(connection=DATES) as scene:
        card = await chooses(scene, await scene.says("help"), "Ask by form", "Order to Cash")
        card = await chooses(scene, card, "On-time delivery", "Country", "Only where it is …", "Germany")
        assert chosen(card)["Only"] == "Country = Germany"
        card = await chooses(scene, card, "Last month", "Plant", "By Plant", "Show the value")
        assert card.status is Status.ANSWERED
        said = (
            'kpi "On-time delivery" of "Order to Cash" by Plant '
            'where Country = Germany and "Order date" = "last month"'
        )
        asked = await scene.says(said)
        assert (card.headline, card.blocks, card.sentence) == (asked.headline, asked.blocks, asked.sentence)
        assert "Country = Germany" in card.headline


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("Show rows", 'data "Sales orders" of "Order to Cash" show Status where "Credit block" = true'),
        ("How many", 'count "Sales orders" of "Order to Cash" where "Credit block" = true'),
    ],
)
async def test_rows_and_their_number_are_asked_for_by_choosing_alone(end: str, said: str) -> None:
    async with stage() as scene:
        card = await chooses(scene, await scene.says(MODEL), "Sales orders", "Status", "Show Status")
        card = await chooses(scene, card, "Credit block", "Only where it is …", "yes", end)
        asked = await scene.says(said)
        assert (card.headline, card.blocks) == (asked.headline, asked.blocks)


async def test_what_is_typed_is_read_as_in_a_sentence() -> None:
    async with stage(connection=DATES) as scene:
        card = await chooses(scene, await scene.says(MODEL), "On-time delivery", "Value in EUR")
        card = await types(scene, await chooses(scene, card, "Only where it is at least …"), " 10k ")
        assert chosen(card)["Only"] == "Value in EUR >= 10k"
        card = await types(scene, card, "since 2026-03-01")
        assert chosen(card)["Only"] == "(Value in EUR >= 10k and Order date = since 2026-03-01)"
        card = await chooses(scene, card, "Show the value")
        asked = await scene.says(
            'kpi "On-time delivery" of "Order to Cash" '
            'where "Value in EUR" >= 10k and "Order date" = "since 2026-03-01"'
        )
        assert card.status is Status.ANSWERED
        assert (card.headline, card.blocks) == (asked.headline, asked.blocks)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "Nothing was typed."),
        ("many", "“many” does not fit Value in EUR, which holds numbers."),
        ("1.000", "can be read as 1000 and as 1.000"),
        ('5 or "Country" = Germany', "does not fit Value in EUR"),
    ],
)
async def test_what_does_not_fit_is_said_above_the_field_and_nothing_is_asked(typed: str, why: str) -> None:
    async with stage() as scene:
        card = await chooses(scene, await scene.says(MODEL), "Sales orders", "Value in EUR")
        card = await chooses(scene, card, "Only where it is at most …")
        calls = scene.asked()
        again = await types(scene, card, typed)
        notice, field = again.blocks
        assert isinstance(notice, Notice)
        assert why in notice.text
        assert (field, again.headline, scene.asked()) == (card.blocks[-1], card.headline, calls)


@pytest.mark.parametrize("typed", ['" or Country = "Germany', "of", "#x via nowhere", "a, b", "typed"])
async def test_typed_text_stays_the_value_that_it_is(typed: str) -> None:
    async with stage() as scene:
        card = await chooses(scene, await scene.says(MODEL), "Sales orders", "Internal note")
        card = await types(scene, await chooses(scene, card, "Only where it contains …"), typed)
        assert chosen(card)["Only"] == f"Internal note contains {typed}"
        (rows,) = [each for each in card.buttons if each.label == "Show rows"]
        assert isinstance(rows.action, Run)
        assert isinstance(rows.action.intent, Data)
        assert rows.action.intent.where is not None
        assert [each.values for each in comparisons(rows.action.intent.where)] == [(typed,)]


async def test_a_form_that_no_button_can_carry_is_kept_and_takes_what_is_typed() -> None:
    async with stage() as scene:
        card = await chooses(scene, await scene.says(MODEL), "Sales orders", "Internal note")
        asked = await chooses(scene, card, "Only where it contains …")
        action = field_of(asked).submit.action
        assert isinstance(action, Submit)
        kept = say(Recall(await scene.built.store.keep_sentence(say(action.intent))))
        (card,) = await scene.cards(decode_data({"submit": kept, "typed": "x y"}))
        assert chosen(card)["Only"] == "Internal note contains x y"


async def test_a_form_reads_names_once_and_values_only_when_they_are_to_be_chosen_from() -> None:
    async with stage() as scene:
        await scene.says('kpi "On-time delivery" of "Order to Cash" by Country')
        known = scene.asked()
        card = await chooses(scene, await scene.says(MODEL), "On-time delivery", "Country")
        assert scene.asked() == known
        await chooses(scene, card, "Only where it is …")
        assert scene.asked() == known + 1


async def test_each_kind_of_field_has_its_comparisons_and_values() -> None:
    async with stage() as scene:
        card = await scene.says('form kpi "On-time delivery" of "Order to Cash"')
        number = await chooses(scene, card, "Value in EUR")
        assert options(number, "Choose") == [
            "By Value in EUR",
            "Only where it is …",
            "Only where it is at least …",
            "Only where it is at most …",
        ]
        calls = scene.asked()
        many = await chooses(scene, number, "Only where it is at least …")
        assert options(many, "Which value") == [], "the smallest of many numbers are no choice"
        assert (field_of(many).label, scene.asked()) == ("Which value", calls)
        day = await chooses(scene, card, "Requested delivery date", "Only where it is before …")
        assert "Last quarter" in {each.capitalize() for each in options(day, "Which period")}
        assert field_of(day).label == "Another period"
        few = await chooses(scene, card, "Country", "Only where it is …")
        assert not [each for each in few.blocks if isinstance(each, Input)], "all there are can be chosen"
        note = await scene.says('form data "Sales orders" of "Order to Cash" values "Internal note" with !=')
        assert note.status is Status.ASKED, "a field that Celonis does not sort by"


async def test_a_period_is_offered_where_it_is_known_what_it_is_about_and_not_twice() -> None:
    async with stage(connection=DATES) as scene:
        card = await chooses(scene, await scene.says(MODEL), "On-time delivery")
        assert options(card, "Period (Order date)")
        assert not options(await chooses(scene, card, "Last month"), "Period")


async def test_what_is_hidden_is_offered_nowhere_and_taken_from_nobody() -> None:
    hidden = config.HiddenField(model="Order to Cash", record="Sales orders", field="Country")
    async with stage(hidden=[hidden]) as scene:
        for sentence in ('form kpi "On-time delivery"', 'form data "Sales orders"'):
            card = await scene.says(f'{sentence} of "Order to Cash"', CLERK)
            assert "Plant" in options(card, "A field")
            assert "Country" not in options(card, "A field")
        forged = (
            'form kpi "On-time delivery" of "Order to Cash" values Country #ORDERS.country with = via sandbox'
        )
        cards = await scene.cards(Clicked(sentence=forged), CLERK)
        assert "Germany" not in repr(cards)
        assert cards[-1].status is Status.NOT_UNDERSTOOD


async def test_a_form_is_for_the_person_alone_who_fills_it_in() -> None:
    everything = config.Rule(
        name="open",
        who=config.Who(places=(CHANNEL.key,)),
        may=(config.Right.READ, config.Right.PUBLIC),
        external=True,
    )
    async with stage(policy=[everything]) as scene:
        answer = await scene.answer(MODEL, OPERATOR, CHANNEL)
        assert answer.audience == Only(OPERATOR)


async def test_every_option_is_a_sentence_that_is_read_as_it_was_meant() -> None:
    async with stage() as scene:
        card = await chooses(
            scene, await scene.says(MODEL), "On-time delivery", "Customer name", "Only where it is not …"
        )
        exact = Exact(
            tuple({type(each.action.intent) for each in all_buttons(card) if isinstance(each.action, Run)})
        )
        for each in all_buttons(card):
            assert isinstance(each.action, Run)
            assert exact.parse(say(each.action.intent)) == each.action.intent
        hostile = next(each.label for each in all_buttons(card) if '"' in each.label)
        assert "Customer name != " + hostile in chosen(await chooses(scene, card, hostile))["Only"]


async def test_of_more_names_than_a_menu_holds_the_others_are_counted() -> None:
    async with stage() as scene:
        card = await scene.says('form data "Wide table" of "Formats and Limits"')
        assert len(options(card, "A field")) == 100
        assert re.search(r"[0-9]+ more names not listed", repr(card.blocks))
        assert_slack_ok(render_slack(card, Reader(), lambda _: "again 1234567890123456789012"))
        assert_teams_ok(render_teams(card, Reader(), lambda _: "again 1234567890123456789012"))


async def test_a_knowledge_model_without_anything_says_so_and_leads_to_others() -> None:
    async with stage() as scene:
        card = await scene.says('form of "Empty KM"')
        assert "shows neither KPIs nor records" in repr(card.blocks)
        assert "Order to Cash" in options(card, "Another")
