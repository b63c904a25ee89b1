"""Conversations in people's own words, over the whole way of a request."""

from __future__ import annotations

import pytest

from bot.model.cards import Status
from bot.sandbox.content import DEFAULT_SEED, make_knowledge_models
from tests.story import CHANNEL, OPERATOR, START, Stage, all_buttons, someone, stage


async def ready(scene: Stage) -> None:
    await scene.says('use "Order to Cash"')


async def test_a_question_goes_on_with_what_is_said_next() -> None:
    async with stage() as scene:
        await ready(scene)
        assert "On-time delivery by Plant" in (await scene.says("otd by plant")).headline
        narrowed = await scene.says("only germany")
        assert "On-time delivery by Plant, Country = Germany" in narrowed.headline
        assert "Automation rate" in (await scene.says("and the automation rate?")).headline
        assert (await scene.says("by the moon")).status is Status.NOT_UNDERSTOOD


async def test_a_value_is_checked_and_never_a_number_for_its_spelling() -> None:
    async with stage() as scene:
        await ready(scene)
        assert "Country = Germany" in (await scene.says("country = germany and number of orders")).headline
        assert "Country = Germany" in (await scene.says("number of orders germny")).headline
        unknown = await scene.says("number of orders austria")
        assert unknown.status is Status.NOT_UNDERSTOOD
        assert "austria" in unknown.headline


async def test_it_is_the_one_job_of_the_last_answer_and_nothing_else() -> None:
    async with stage() as scene:
        assert (await scene.says("stop it")).status is Status.NOT_UNDERSTOOD
        await scene.says("jobs")
        assert (await scene.says("stop it")).status is Status.NOT_UNDERSTOOD
        assert "main job" in (await scene.says("is main job still running?")).headline
        asked = await scene.says("stop it please")
        assert asked.status is Status.QUESTION
        assert "main job" in asked.headline


async def test_an_order_with_more_in_it_opens_nothing_and_offers_the_question() -> None:
    async with stage() as scene:
        card = await scene.says("stop main job before SAP goes down")
        assert card.status is Status.NOT_UNDERSTOOD
        assert "before SAP goes down" in card.headline
        asked = await scene.presses(card, "Ask to stop main job")
        assert asked.status is Status.QUESTION


async def test_a_name_that_another_job_holds_is_offered() -> None:
    async with stage() as scene:
        card = await scene.says("stop full load")
        assert card.status is Status.ASKED
        labels = " | ".join(button.label for button in all_buttons(card))
        assert "Full load" in labels
        assert "Nightly full load" in labels


async def test_what_a_place_uses_is_no_question_to_go_on_with() -> None:
    async with stage() as scene:
        await scene.says('kpi "On-time delivery" of "Order to Cash"')
        for change in ('use "Accounts Payable"', "use time zone Europe/Lisbon", "use connection sandbox"):
            await scene.says(change)
            assert "On-time delivery by Country" in (await scene.says("by country")).headline
            assert "On-time delivery by Country" in (await scene.says("refresh")).headline


@pytest.mark.parametrize("choose", ["1", "the first one", "click"])
async def test_what_was_chosen_is_gone_on_with(choose: str) -> None:
    async with stage() as scene:
        await ready(scene)
        await scene.says("automation rate")
        asked = await scene.says('kpi "Number of orders" where country = Germny')
        assert asked.status is Status.ASKED
        chosen = await (scene.presses(asked, "Germany") if choose == "click" else scene.says(choose))
        assert "Number of orders, Country = Germany" in chosen.headline
        assert "Number of orders by Plant, Country = Germany" in (await scene.says("by plant")).headline


async def test_nothing_goes_on_with_what_stood_before_an_open_question() -> None:
    async with stage() as scene:
        await ready(scene)
        await scene.says("automation rate")
        assert (await scene.says('kpi "Number of orders" where country = Germny')).status is Status.ASKED
        assert "Automation rate" not in (await scene.says("by plant")).headline


async def test_a_date_field_that_was_asked_for_is_remembered_for_the_place() -> None:
    async with stage() as scene:
        await scene.says('use "Accounts Payable"')
        asked = await scene.says("vendor invoices since january")
        assert asked.headline == "Which date is the period about?"
        assert [each.label for each in all_buttons(asked)] == ["Due date", "Payment date", "Posting date"]
        chosen = await scene.says("1")
        assert "Due date = since january" in chosen.headline
        assert "periods here are about Due date" in repr(chosen)
        again = await scene.says("vendor invoices since february")
        assert "Due date = since february" in again.headline
        elsewhere = await scene.says("vendor invoices since february", place=CHANNEL)
        assert elsewhere.status is Status.ASKED
        press = scene.what(elsewhere, "Payment date")
        (answer,) = await scene.cards(press, OPERATOR, CHANNEL)
        assert "Payment date" in answer.headline
        assert (await scene.says("vendor invoices since february", place=CHANNEL)).status is Status.ASKED
        admin = someone("UADMIN")
        asked = await scene.says("vendor invoices since february", admin, CHANNEL)
        await scene.presses(asked, "Payment date", admin, CHANNEL)
        told = await scene.says("vendor invoices since march 2026", place=CHANNEL)
        assert "Payment date = since march 2026" in told.headline


async def test_an_ordinal_is_one_of_the_choices_just_shown() -> None:
    async with stage() as scene:
        card = await scene.says("delta load")
        labels = [button.label for button in all_buttons(card)]
        assert len(labels) == 2
        chosen = await scene.says("the second one")
        assert chosen.status is Status.ANSWERED
        assert "delta load" in chosen.headline
        assert (await scene.says("the fifth one")).status is Status.NOT_UNDERSTOOD


@pytest.mark.parametrize("said", ["1", "the second one", "die zweite"])
async def test_where_nothing_was_offered_a_choice_asks_celonis_nothing(said: str) -> None:
    async with stage() as scene:
        before = len(scene.sandbox.log)
        card = await scene.says(said)
        assert card.status is Status.NOT_UNDERSTOOD
        assert "nothing here to choose from" in card.headline
        assert len(scene.sandbox.log) == before


async def test_rows_are_counted_to_their_end() -> None:
    async with stage() as scene:
        await ready(scene)
        (model,) = (
            each
            for each in make_knowledge_models(DEFAULT_SEED, START.timestamp())
            if each.name == "Order to Cash"
        )
        (deliveries,) = (each for each in model.records if each.name == "Deliveries")
        carrier = next(at for at, field in enumerate(deliveries.fields) if field.name == "Carrier")
        dhl = sum(row[carrier] == "DHL" for row in deliveries.rows)
        counted = await scene.says("how many deliveries with dhl")
        assert f"{dhl:,} Deliveries, Carrier = DHL" in counted.headline
        assert "1,000 or more" in (await scene.says("count Deliveries")).headline


async def test_the_best_and_the_worst_follow_what_is_better() -> None:
    async with stage() as scene:
        await ready(scene)
        high = await scene.says("best 2 plants by on-time delivery")
        low = await scene.says("worst 2 plants by on-time delivery")
        assert "Sevilla" in repr(high)
        assert "Dallas" in repr(low)
        slow = await scene.says("worst plant by average throughput time")
        assert slow.status is Status.ANSWERED
        nowhere = await scene.says('kpi "Shipped weight" by Carrier best 2')
        assert "whether more Shipped weight is better" in nowhere.headline
        alone = await scene.says('kpi "Shipped weight" top 2')
        assert alone.status is Status.NOT_UNDERSTOOD
        dates = await scene.says('kpi "Shipped weight" as chart')
        assert "Over which date" in dates.headline
        drawn = await scene.presses(dates, "Shipped on")
        assert "Shipped weight by month, Shipped on Dec 2025 to Nov 2026" in drawn.headline


async def test_a_page_behind_the_last_one_is_no_answer() -> None:
    async with stage() as scene:
        await ready(scene)
        for said in ("values Country page 2", 'kpi "Number of orders" by Plant page 3'):
            assert "There is no page" in (await scene.says(said)).headline


async def test_which_rows_were_asked_for_stands_in_the_headline() -> None:
    async with stage() as scene:
        await ready(scene)
        best = await scene.says('kpi "On-time delivery" by Plant where Country = Germany top 3')
        assert best.headline.endswith("On-time delivery by Plant, top 3, Country = Germany")


async def test_what_is_wished_for_and_not_offered_is_said() -> None:
    async with stage() as scene:
        await ready(scene)
        card = await scene.says("median throughput time")
        assert card.status is Status.NOT_UNDERSTOOD
        assert "medians" in card.headline
        assert "Ich sehe nicht voraus" in (await scene.says("prognose liefertreue")).headline


@pytest.mark.parametrize("sentence", ["kpi blub", "data blub", "fields blub"])
async def test_an_error_blames_no_model_that_nobody_named(sentence: str) -> None:
    async with stage() as scene:
        card = await scene.says(sentence)
        models = [each.name for each in make_knowledge_models(DEFAULT_SEED, START.timestamp())]
        assert "“blub”" in card.headline
        assert not [each for each in models if each in card.headline]
        named = await scene.says(f'{sentence} of "Order to Cash"')
        assert "in Order to Cash" in named.headline


async def test_not_ends_with_the_field_that_it_is_about() -> None:
    async with stage() as scene:
        await ready(scene)
        card = await scene.says("orders not delivered yet in france")
        assert card.headline.endswith("Status != Delivered, Country = France")


async def test_a_comparison_with_nothing_in_its_quotes_is_none() -> None:
    async with stage() as scene:
        await ready(scene)
        await scene.says("data sales orders of Order to Cash")
        card = await scene.says('shorter than dem quartal zuvor "" rows longer then')
        assert card.status is Status.NOT_UNDERSTOOD
