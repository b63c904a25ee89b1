"""What somebody may not see is nowhere: not in lists, not by id, not by the way an answer is worded or paid for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bot import config
from bot.celonis import Api
from bot.model.cards import Card, Everyone, Only, Run, Status
from bot.model.errors import Forbidden
from bot.model.names import Name
from bot.model.people import Clicked
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, SECOND, Stage, all_buttons, someone, stage

KPI_ONLY = "Automation rate"


def rule(on: config.On, *may: config.Right, person: Any = CLERK, places: tuple[str, ...] = ()) -> config.Rule:
    who = config.Who(slack=(f"{HOME}:{person.id}",)) if person else config.Who(places=places)
    return config.Rule(name="some", who=who, may=may or (config.Right.READ,), on=on)


def without(card: Card, *words: str) -> str:
    """The card as text, with what was typed taken out."""
    text = repr(card)
    for word in words:
        for part in (word, *re.split("[ _]", word)):
            text = text.replace(part, "…")
    return text


async def calls(scene: Stage, sentence: str) -> tuple[Card, int]:
    before = scene.asked()
    return await scene.says(sentence, CLERK), scene.asked() - before


@pytest.mark.parametrize(
    ("sentence", "forbidden", "unknown"),
    [
        ("kpi {} of Order to Cash", "Blocked orders", "Blorked odders"),
        ("kpi x #{} of Order to Cash", "BLOCKED_ORDERS", "BLORKED_ODDERS"),
        ("kpis of {}", "Accounts Payable", "Akkounts Paiable"),
        ("data {} of Order to Cash", "Customers", "Xustomars"),
        ("jobs in {}", "SAP ECC", "XAP ECQ"),
        ("job {} in SAP ECC", "main job", "niam job"),
        ("packages in {}", "PYCELONIS", "QYKELONIX"),
        ("analyses in {}", "Accounts Payable", "Akkounts Paiable"),
        ("data models in {}", "SAP ECC", "XAP ECQ"),
        ("loads {} in SAP ECC", "Accounts Payable", "Akkounts Paiable"),
    ],
)
async def test_a_forbidden_name_is_answered_like_one_that_does_not_exist(
    sentence: str, forbidden: str, unknown: str
) -> None:
    only = rule(config.On(model=("Order to Cash",), kpi=(KPI_ONLY,)))
    async with stage(policy=(only,), members_read=False) as scene:
        await scene.says("x y z", CLERK)
        for warm in (f"kpi {KPI_ONLY} of Order to Cash", "records of Order to Cash", "spaces"):
            await scene.says(warm, CLERK)
        one, cost = await calls(scene, sentence.format(forbidden))
        other, other_cost = await calls(scene, sentence.format(unknown))
        assert without(one, forbidden) == without(other, unknown)
        assert cost == other_cost


async def test_a_name_cannot_be_put_on_another_id() -> None:
    async with stage() as scene:
        card = await scene.says('kpi "Everything is fine" #BLOCKED_ORDERS of "Order to Cash"')
        assert "Everything is fine" not in repr(card)
        assert "Blocked orders" in card.headline


async def test_a_public_name_on_a_private_id_is_not_shown_to_everybody() -> None:
    private = rule(config.On(), config.Right.READ)
    public = rule(config.On(kpi=(KPI_ONLY,)), config.Right.PUBLIC, person=None, places=(CHANNEL.key,))
    async with stage(policy=(private, public), members_read=False) as scene:
        shown = await scene.answer(f"kpi {KPI_ONLY} of Order to Cash", CLERK, CHANNEL)
        assert shown.audience == Everyone()
        card = await scene.answer(f'kpi "{KPI_ONLY}" #BLOCKED_ORDERS of "Order to Cash"', CLERK, CHANNEL)
        assert card.audience == Only(CLERK)


async def test_a_name_cannot_be_put_on_another_id_within_a_sentence_about_a_sentence() -> None:
    some = config.On(model=("Order to Cash",), record=("Customers",))
    made = rule(some, config.Right.READ, config.Right.EXPORT)
    async with stage(policy=(made,), members_read=False) as scene:
        forged = 'export "data ""Customers"" #ORDERS of ""Order to Cash"" #order-to-cash.order-to-cash-km" anyway via sandbox'
        card = await scene.says(forged, CLERK)
        assert card.status is not Status.ANSWERED
        assert scene.chat.files == []
        assert not any("ORDERS/data" in each.path for each in scene.sandbox.log)
        own = 'export "data Customers of ""Order to Cash""" anyway via sandbox'
        assert (await scene.says(own, CLERK)).status is Status.ANSWERED
        assert len(scene.chat.files) == 1


async def test_a_button_to_export_a_kpi_anyway_does_so() -> None:
    async with stage() as scene:
        await scene.says('export "kpi ""On-time delivery"" of ""Order to Cash"" by Plant" anyway via sandbox')
        assert len(scene.chat.files) == 1


HIDDEN = config.HiddenField(record=("Materials",), field=("Payment amount",))


@pytest.mark.parametrize(
    "sentence",
    [
        "data Materials show payment amount",
        "data Materials show #payment_amount",
        'data Materials show "Material name" #payment_amount',
        "data Materials where payment amount > 1000",
        "data Materials sort -payment amount",
        'data Materials search "1" in payment amount',
        "kpi Number of requisitions of Purchase Requisition KM by Materials.Payment amount",
        "kpi Number of requisitions of Purchase Requisition KM where Materials.Payment amount > 5",
        "fields Materials of Purchase Requisition KM",
        "data Materials of Purchase Requisition KM",
    ],
)
async def test_a_hidden_field_can_be_used_in_no_way(sentence: str) -> None:
    async with stage(hidden=(HIDDEN,)) as scene:
        await scene.says(sentence, OPERATOR)
        queries = [each.query for each in scene.sandbox.log if each.path.endswith("/data")]
        assert not any("payment_amount" in each for each in queries), queries
        if sentence.startswith("fields"):
            assert "payment_amount" not in repr(await scene.says(sentence))


async def test_a_search_in_all_fields_needs_a_field_where_some_are_not_for_the_asker() -> None:
    async with stage(hidden=(HIDDEN,)) as scene:
        card = await scene.says('data Materials search "5" ')
        assert card.status is Status.ASKED
        assert not [each for each in scene.sandbox.log if each.path.endswith("/data")]
        assert "Payment amount" not in repr(card)
        labels = [button.label for button in all_buttons(card)]
        assert "Material name" in labels
        chosen = await scene.presses(card, "Material name")
        assert chosen.status is Status.ANSWERED
    async with stage() as scene:
        assert (await scene.says('data Materials search "5"')).status is Status.ANSWERED


async def test_the_default_of_a_place_is_not_named_to_those_who_may_not_see_it() -> None:
    admin = someone("UADMIN")
    everything = rule(config.On(), config.Right.READ, config.Right.MANAGE, person=admin)
    some = rule(config.On(model=("Order to Cash",)))
    async with stage(policy=(everything, some), members_read=False) as scene:
        await scene.says("use Accounts Payable", admin, CHANNEL)
        assert "Accounts Payable" in repr(await scene.says("status", admin, CHANNEL))
        assert "Accounts Payable" not in repr(await scene.says("status", CLERK, CHANNEL))
        assert "Accounts Payable" not in repr(await scene.says("xyzzy", CLERK, CHANNEL))


async def test_a_connection_that_somebody_may_not_read_is_not_named_to_them() -> None:
    some = rule(config.On(connection=("sandbox",)))
    async with stage(policy=(some,), members_read=False, second=True) as scene:
        for sentence in ("status", "models via secnd", "use connection secnd", "models via second"):
            card = await scene.says(sentence, CLERK)
            assert "second" not in without(card, "via second", "“second”"), card


async def test_a_key_without_data_pools_still_answers_plain_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(*_: object) -> None:
        raise Forbidden("The key may not see data pools.", status=403)

    monkeypatch.setattr(Api, "pools", refused)
    async with stage() as scene:
        card = await scene.says("what is our on-time delivery by plant?")
        assert card.status is Status.ANSWERED, card


async def test_next_on_the_last_page_has_nothing_more_and_pages_beyond_the_end_are_said_to_be() -> None:
    async with stage() as scene:
        card = await scene.says("kpis of Order to Cash")
        while any(each.label.startswith("Next ") for each in card.buttons):
            card = await scene.says("next")
        assert (await scene.says("next")).status is Status.REFUSED
        for sentence in (
            "jobs page 99",
            "models page 1000000000",
            "help page 77",
            "kpis of Order to Cash page 9",
        ):
            beyond = await scene.says(sentence)
            assert beyond.status is Status.NOT_UNDERSTOOD, beyond
            assert "page" in beyond.headline


async def test_a_question_is_about_the_connection_it_was_asked_of_whatever_the_default_becomes() -> None:
    async with stage(second=True) as scene:
        question = await scene.says("stop main job")
        await scene.says("use connection second")
        done = await scene.presses(question, "Stop this job")
        assert done.headline.startswith("STOPPED ")
        for button in done.buttons:
            assert isinstance(button.action, Run)
            assert getattr(button.action.intent, "via", None) == Name("sandbox", "sandbox")


async def test_a_connection_that_is_not_bound_here_cannot_be_named_by_a_button() -> None:
    async with stage() as scene:
        card = (await scene.cards(Clicked(sentence="jobs via second #second")))[-1]
        assert card.status is Status.NOT_UNDERSTOOD
        assert scene.asked() == 0


async def test_what_is_refused_costs_nothing_and_holds_nothing_of_what_was_typed_in_the_log() -> None:
    async with stage() as scene:
        await scene.says('data Materials where material name = "Top Secret Value"', CLERK)
        await scene.says("stop main job", CLERK)
        rows = repr(await recent(scene.built.audit, 10))
        assert "Top Secret Value" not in rows


async def test_a_refreshed_answer_counts_all_its_calls() -> None:
    async with stage() as scene:
        await scene.says("kpi on-time delivery", SECOND, DIRECT)
        before = scene.asked()
        card = await scene.says("refresh", SECOND, DIRECT)
        assert card.source is not None
        assert card.source.calls == scene.asked() - before
