"""Finding a name anywhere, and asking Celonis the same without the bot."""

from __future__ import annotations

import json
import shlex
from urllib.parse import urlsplit

import pytest

from bot import config
from bot.model.cards import Card, Only, Status, Table, Text, Words
from bot.model.people import Clicked
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, HOME, Stage, all_buttons, stage


def found(card: Card) -> list[tuple[str, str]]:
    return [
        (row[0].text, row[1].text)
        for block in card.blocks
        if isinstance(block, Table)
        for row in block.rows
        if isinstance(row[0], Words) and isinstance(row[1], Words)
    ]


def commands(card: Card) -> list[str]:
    return [block.text for block in card.blocks if isinstance(block, Text) and block.code]


async def test_a_search_keeps_its_budget_says_what_it_left_out_and_goes_on_when_asked() -> None:
    async with stage() as scene:
        first = await scene.says("find delivery")
        assert scene.asked() <= 12 + 2
        assert ("On-time delivery", "KPI") in found(first)
        assert any("Not looked through" in block.text for block in first.blocks if isinstance(block, Text))
        everything = await scene.presses(first, "Look there, too")
        assert {("Delivery date", "field"), ("Delivery performance", "analysis")} <= set(found(everything))
        assert "Not looked through" not in repr(everything)
        before = scene.asked()
        assert found(await scene.says("find delivery")) == found(everything)
        assert scene.asked() == before


@pytest.mark.parametrize(
    ("sentence", "name", "kind"),
    [
        ("find late payment", "Late payments", "analysis"),
        ("wo finde ich sap ecc", "SAP ECC", "data pool"),
        ("find everything else", "", ""),
        ("find lab quality", "Quality lab", "package"),
    ],
)
async def test_all_words_have_to_be_in_the_name_in_any_order(sentence: str, name: str, kind: str) -> None:
    async with stage() as scene:
        card = await scene.says(sentence)
        assert card.status is Status.ANSWERED
        assert found(card)[:1] == ([(name, kind)] if name else [])


async def test_every_button_of_a_search_opens_what_was_found() -> None:
    async with stage() as scene:
        for text in ("order", "main job", "purchasing", "sap ecc", "plant everywhere", "celonis"):
            card = await scene.says(f"find {text}")
            for button in all_buttons(card)[:4]:
                opened = (await scene.cards(scene.what(card, button.label)))[-1]
                assert opened.status is Status.ANSWERED, button


async def test_what_is_not_for_somebody_is_not_found_by_them() -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    on = config.On(model=("Order to Cash",), kpi=("Automation rate",))
    rule = config.Rule(name="one", who=who, may=(config.Right.READ,), on=on)
    async with stage(policy=(rule,), members_read=False) as scene:
        assert found(await scene.says("find rate everywhere", CLERK)) == [("Automation rate", "KPI")]
        for text in ("main job", "sap", "late payment", "test", "discount"):
            assert found(await scene.says(f"find {text}", CLERK)) == []


async def test_what_a_search_shows_in_a_channel_only_the_asker_sees() -> None:
    async with stage() as scene:
        assert isinstance((await scene.answer("find order", place=CHANNEL)).audience, Only)


async def sent(scene: Stage, line: str) -> list[tuple[str, str, str]]:
    """What a shell would send: method, path and query, body."""
    words = shlex.split(line)
    address = urlsplit(words[-1])
    assert line.startswith("curl ")
    assert scene.sandbox.keys.operator.secret not in line
    assert words[words.index("-H") + 1].endswith(" $CELONIS_API_TOKEN")
    body = words[words.index("--data") + 1] if "--data" in words else ""
    return [("POST" if body else "GET", f"{address.path}?{address.query}", body)]


@pytest.mark.parametrize(
    "sentence",
    [
        'data "Sales orders" of "Order to Cash" where Country = Germany and "Value in EUR" > 1000',
        'kpi "On-time delivery" of "Order to Cash" by Plant',
        "loads Accounts Payable in SAP ECC",
    ],
)
async def test_the_command_asks_what_the_bot_asked(sentence: str) -> None:
    async with stage() as scene:
        card = await scene.says(f"curl {sentence}")
        asked = {f"{entry.path}?{entry.query}" for entry in scene.sandbox.log}
        for line in commands(card):
            ((_, target, _),) = await sent(scene, line)
            assert target in asked
        assert commands(card)


async def test_a_long_question_is_posted_by_the_command_too() -> None:
    async with stage() as scene:
        values = ", ".join(f'"order number {number}"' for number in range(100))
        card = await scene.says(
            f'curl data "Sales orders" of "Order to Cash" where "Order number" in ({values})'
        )
        (line,) = commands(card)
        ((method, _, body),) = await sent(scene, line)
        assert method == "POST"
        assert json.loads(body)["projection"]["fields"]


async def test_only_questions_about_data_become_commands_and_nothing_is_changed_by_asking() -> None:
    async with stage() as scene:
        for sentence in (
            "cancel main job",
            "use Order to Cash",
            "quota",
            "curl jobs",
            'curl "curl ""jobs"""',
        ):
            card = await scene.says(f"curl {sentence}")
            assert card.status is Status.NOT_UNDERSTOOD
            assert commands(card) == []
        assert scene.cancels() == []
        assert (await scene.says("curl permissions")).status is Status.REFUSED


async def test_whoever_may_not_ask_gets_no_command_either() -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    rule = config.Rule(name="one", who=who, may=(config.Right.READ,), on=config.On(pool=("SAP ECC",)))
    async with stage(policy=(rule,), members_read=False) as scene:
        assert commands(await scene.says("curl jobs in SAP ECC", CLERK))
        for sentence in (
            "curl kpis of Order to Cash",
            'curl "kpis of ""Order to Cash"" #order-to-cash.order-to-cash-km"',
        ):
            assert commands(await scene.says(sentence, CLERK)) == []
        forged = Clicked(sentence='curl "jobs in ""x"" #f8687b08-56a2-5ac9-b8cd-e6ae71987180"')
        assert commands((await scene.cards(forged, CLERK))[-1]) == []


async def test_the_log_tells_of_a_question_inside_without_its_values() -> None:
    async with stage(reads_logged=True) as scene:
        await scene.says("curl data Customers of Order to Cash where Customer country = Germany")
        await scene.built.audit.flush()
        rows = [each.entry for each in await recent(scene.built.audit, 10) if each.entry is not None]
        (row,) = [each for each in rows if each.sentence.startswith("curl")]
        assert "Germany" not in repr(row)
        assert "Customer" in row.sentence
