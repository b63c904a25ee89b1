"""Questions as people type them, and what comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.outgoing import drawn
from adapters.slack.blocks import render as render_slack
from adapters.teams.adaptive import render as render_teams
from bot import config
from bot.commands.jobs import CancelJob
from bot.language.declare import LARGEST
from bot.language.say import say
from bot.model.cards import (
    Answer,
    Card,
    Chart,
    Choices,
    Drawing,
    Everyone,
    Facts,
    Number,
    Only,
    Run,
    Status,
    Table,
    Text,
)
from bot.model.names import Name
from bot.model.people import Clicked
from bot.sandbox import Fault
from tests.story import CHANNEL, CLERK, DIRECT, GUEST, OPERATOR, Stage, all_buttons, someone, stage


def table_of(card: Card) -> Table:
    (found,) = [block for block in card.blocks if isinstance(block, Table)]
    return found


def texts(card: Card) -> str:
    return " ".join(block.text for block in card.blocks if isinstance(block, Text))


async def test_rows_are_narrowed_and_sorted_as_asked() -> None:
    async with stage() as scene:
        card = await scene.says(
            "data Materials show material name, material group where payment amount > 1000 sort -payment amount"
        )
        assert card.status is Status.ANSWERED
        shown = table_of(card)
        assert [column.title for column in shown.columns] == ["Material name", "Material group"]
        assert shown.rows
        asked = [each for each in scene.sandbox.log if "/records/MATERIALS/data" in each.path][-1]
        assert "payment_amount%20gt%201000" in asked.query
        assert "sort=-payment_amount" in asked.query


async def test_paging_walks_through_all_rows_once_and_asks_celonis_once_for_five_pages() -> None:
    async with stage() as scene:
        card = await scene.says("data Materials show material number")
        seen: list[object] = []
        for _ in range(20):
            seen += [row[0] for row in table_of(card).rows]
            if (more := next((each for each in card.buttons if each.label.startswith("Next")), None)) is None:
                break
            card = await scene.presses(card, more.label)
        assert len(seen) > 10
        data_calls = [each for each in scene.sandbox.log if each.path.endswith("/data")]
        assert len(seen) == len(set(map(repr, seen)))
        assert len(data_calls) == -(-len(seen) // 50)


async def test_a_kpi_is_told_with_its_target() -> None:
    async with stage() as scene:
        card = await scene.says("kpi on-time delivery")
        (facts,) = [block for block in card.blocks if isinstance(block, Facts)]
        labels = {fact.label: fact.value for fact in facts.facts}
        assert "Target" in labels
        assert any(isinstance(value, Number) for value in labels.values())
        assert "target" in card.headline
        assert card.source is not None
        assert card.source.sandbox


async def test_a_question_in_plain_words_is_a_kpi_by_a_field() -> None:
    async with stage() as scene:
        card = await scene.says("what is our on-time delivery by plant?")
        assert card.status is Status.ANSWERED, card
        (chart,) = [block for block in card.blocks if isinstance(block, Chart)]
        assert (chart.title, chart.drawing) == ("On-time delivery", Drawing.BARS)
        assert not [each for each in scene.sandbox.log if each.path.startswith("/integration/")], (
            "what says more than a name is no data job, so data pools need not be read"
        )


async def test_a_misspelt_name_is_taken_and_said() -> None:
    async with stage() as scene:
        card = await scene.says("fields Matrials of Purchase Requisition KM")
        assert card.status is Status.ANSWERED, card
        assert "I took “Matrials” for “Materials”." in texts(card)


async def test_equal_names_are_a_pick_list_that_tells_them_apart() -> None:
    async with stage(key="user") as scene:
        card = await scene.says("kpis of Purchase Requisition KM")
        labels = [button.label for button in all_buttons(card)]
        assert card.status is Status.ASKED
        assert len(labels) == len(set(labels)) == 2
        chosen = await scene.presses(card, labels[0])
        assert chosen.status is Status.ANSWERED


async def test_an_unknown_name_is_said_to_be_unknown_with_the_nearest_ones() -> None:
    async with stage() as scene:
        card = await scene.says("job quarterly xyzzy")
        assert card.status is Status.NOT_UNDERSTOOD
        assert "quarterly xyzzy" in card.headline


async def test_an_unknown_sentence_gets_help_and_no_call_that_changes_anything() -> None:
    async with stage() as scene:
        card = await scene.says("fribble the wobbles")
        assert card.status is Status.NOT_UNDERSTOOD
        assert all(each.method == "GET" for each in scene.sandbox.log)


async def test_a_bare_name_opens_the_thing() -> None:
    async with stage() as scene:
        shown = await scene.says("main job")
        assert shown.headline.startswith("Running, for")
        assert shown.headline.endswith(": main job (SAP ECC)"), "names stay as they are written"


async def test_the_model_of_the_place_is_asked_when_none_is_named() -> None:
    async with stage() as scene:
        card = await scene.says("use Order to Cash")
        assert card.headline == "Order to Cash is now the default here"
        listed = await scene.says("kpis")
        assert listed.title == "KPIs of Order to Cash"


async def test_a_zone_decides_what_a_period_is_and_is_printed() -> None:
    async with stage() as scene:
        await scene.says("use time zone Asia/Tokyo")
        card = await scene.says("data Orders where order date = last month")
        if card.status is Status.ANSWERED:
            assert "Asia/Tokyo" in texts(card)
        assert (await scene.answer("status")).reader.zone == "Asia/Tokyo"


async def test_what_is_read_in_a_channel_is_for_the_asker_alone() -> None:
    async with stage() as scene:
        assert (await scene.answer("pools", CLERK, CHANNEL)).audience == Only(CLERK)
        assert (await scene.answer("pools", CLERK, DIRECT)).audience == Everyone()


async def test_guests_are_refused_without_a_call() -> None:
    async with stage() as scene:
        card = await scene.says("jobs", GUEST)
        assert card.status is Status.REFUSED
        assert scene.asked() == 0


async def test_an_unbound_workspace_gets_one_sentence_and_no_call() -> None:
    async with stage() as scene:
        card = await scene.says("jobs", place=replace(DIRECT, home="T2"))
        assert card.status is Status.REFUSED
        assert "not connected" in card.headline
        assert scene.asked() == 0


async def test_a_key_typed_into_the_chat_is_never_echoed() -> None:
    async with stage() as scene:
        secret = scene.sandbox.keys.user.secret
        card = await scene.says(f"use connection {secret}")
        assert secret not in repr(card)
        assert "key" in card.headline


@pytest.mark.parametrize(
    ("key", "sentence", "words"),
    [
        ("powerless", "models", "No knowledge model is visible"),
        ("powerless", "pools", "No data pool is visible"),
        ("disabled", "models", "switched"),
        ("failing", "models", ""),
    ],
)
async def test_a_key_without_rights_is_explained(key: str, sentence: str, words: str) -> None:
    async with stage(key=key) as scene:
        card = await scene.says(sentence)
        assert words.casefold() in f"{card.headline} {texts(card)}".casefold()
        assert "Traceback" not in repr(card)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("html"),
        Fault("truncated"),
        Fault("empty"),
        Fault("redirect"),
        Fault("reset"),
        Fault("status", status=503),
        Fault("status", status=500),
        Fault("wrong_type"),
        Fault("cut"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_every_kind_of_broken_reply_is_a_sentence(fault: Fault) -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(fault)
        card = await scene.says("pools")
        assert card.status in {Status.FAILED, Status.ANSWERED}
        assert "Traceback" not in repr(card)
        if card.status is Status.FAILED:
            assert texts(card).strip()


async def test_a_dead_server_is_a_sentence_within_the_patience_of_a_person() -> None:
    async with stage() as scene:
        await scene.sandbox.down()
        card = await scene.says("models")
        assert card.status is Status.FAILED
        assert card.reference


async def test_buttons_carry_ids_and_mean_the_same_for_everybody() -> None:
    async with stage() as scene:
        card = await scene.says("jobs")
        stops = [
            button.action.intent
            for button in card.buttons
            if isinstance(button.action, Run) and isinstance(button.action.intent, CancelJob)
        ]
        assert stops
        for intent in stops:
            assert intent.job is not None
            assert intent.job.id
            assert intent.pool is not None
            assert intent.pool.id


async def test_stop_buttons_are_shown_only_to_those_who_may() -> None:
    async with stage() as scene:
        card = await scene.says("jobs", CLERK)
        assert not any("Stop" in button.label for button in card.buttons)


async def test_help_shows_what_a_person_may_and_no_more() -> None:
    async with stage() as scene:
        operator, clerk = await scene.says("help"), await scene.says("help", CLERK)
        assert "cancel" in repr([table_of(operator), await _second_page(scene, operator)])
        assert "cancel" not in repr(table_of(clerk))


async def _second_page(scene: Stage, card: Card) -> object:
    return table_of(await scene.presses(card, "Next"))


async def test_a_long_sentence_travels_as_a_kept_one() -> None:
    async with stage() as scene:
        names = ", ".join(f'"field {number}"' for number in range(3))
        card = await scene.says(f"data Materials show {names}")
        assert card.status is Status.NOT_UNDERSTOOD
        kept = await scene.built.store.keep_sentence("jobs")
        again = (await scene.cards(Clicked(sentence=f"again {kept}")))[-1]
        assert again.title == "Data jobs"
        gone = (await scene.cards(Clicked(sentence="again nosuchid")))[-1]
        assert gone.status is Status.REFUSED


@pytest.mark.parametrize(
    "searched", ["\r\n", "é" * 90, "🏽" * 45, "x" * 450], ids=["controls", "accents", "emoji", "long"]
)
async def test_a_sentence_that_some_platform_cannot_carry_is_kept_and_read_again(searched: str) -> None:
    async with stage() as scene:
        card = await scene.says(f'data Materials search "{searched}" in "Material name" page 2')
        assert card.status is Status.ANSWERED
        (back,) = [each for each in all_buttons(card) if each.label == "Back"]
        assert isinstance(back.action, Run)
        keep = scene.built.store.keep_sentence
        for render in (render_slack, render_teams):
            kept: list[str] = []

            async def kept_as(sentence: str, kept: list[str] = kept) -> str:
                kept.append(await keep(sentence))
                return kept[-1]

            await drawn(Answer(card), render, kept_as)
            for key in kept:
                again = (await scene.cards(Clicked(sentence=f"again {key}")))[-1]
                assert again.title == card.title
        assert (await scene.presses(card, back.label)).title == card.title


async def test_a_number_beyond_all_counting_is_answered_with_the_largest_one() -> None:
    everything = config.Rule(
        name="all", who=config.Who(slack=("T1:*",)), may=(config.Right.READ, config.Right.ADMIN)
    )
    async with stage(policy=[everything]) as scene:
        for text in ("quota allow <@UCLERK> {} today", "jobs page {}", "jobs page{}"):
            refused = await scene.says(text.format(LARGEST + 1))
            assert refused.headline == "The largest number I take is 1,000,000,000,000."
        given = await scene.says(f"quota allow <@UCLERK> {LARGEST} today")
        assert given.status is Status.ANSWERED
        assert f"no page {LARGEST}" in (await scene.says(f"jobs page {LARGEST}")).headline


async def test_the_sentence_under_an_answer_has_no_ids() -> None:
    async with stage() as scene:
        card = await scene.says("is main job running?")
        assert card.sentence
        assert "#" not in card.sentence
        assert (await scene.says(card.sentence)).headline == card.headline


async def test_a_pick_list_over_fields_is_answerable() -> None:
    async with stage() as scene:
        card = await scene.says("data Materials show material")
        for block in card.blocks:
            if isinstance(block, Choices):
                assert block.options


def test_a_sentence_with_ids_is_one_reading() -> None:
    intent = CancelJob(job=Name("main job", "j1"), pool=Name("SAP ECC", "p1"))
    assert "#j1" in say(intent)
    assert OPERATOR.key == "slack:T1:UOPERATOR"


async def test_next_back_and_refresh_work_on_the_last_answer() -> None:
    async with stage() as scene:
        first = await scene.says("data Materials show material number")
        second = await scene.says("next")
        assert second.headline.startswith("Materials: rows 11-20 of 34")
        assert (await scene.says("back")).headline == first.headline
        before = scene.asked()
        again = await scene.says("refresh")
        assert again.headline == first.headline
        assert scene.asked() > before, "refresh asks anew"
        assert again.source is not None
        assert not again.source.cached


async def test_there_is_nothing_to_refresh_before_the_first_answer() -> None:
    async with stage() as scene:
        assert (await scene.says("refresh")).status is Status.REFUSED
        assert (await scene.says("more")).status is Status.REFUSED
        assert (await scene.says("refresh the weather")).status is Status.NOT_UNDERSTOOD
        assert (await scene.says("refresh jobs")).title == "Data jobs"


async def test_only_admins_give_away_quota() -> None:
    async with stage() as scene:
        assert (await scene.says("quota allow slack:T1:UCLERK 100 today")).status is Status.REFUSED
        given = await scene.says("quota allow slack:T1:UCLERK 100 today", someone("UADMIN"))
        assert given.headline == "100 more calls for slack:T1:UCLERK"
        by_mention = await scene.says("quota allow <@UCLERK> 50", someone("UADMIN"))
        assert by_mention.headline == "50 more calls for slack:T1:UCLERK"


async def test_debug_shows_ones_own_calls_without_values() -> None:
    async with stage() as scene:
        await scene.says("data Materials show material name where material group = Services")
        card = await scene.says("debug")
        assert "Services" not in repr(card)
        assert "/records/MATERIALS/data" in repr(table_of(card))
        assert (await scene.says("debug", CLERK)).headline == "No calls of yours yet"


async def test_a_keyword_behind_a_value_opens_its_clause() -> None:
    async with stage() as scene:
        card = await scene.says("kpi on-time delivery of Order to Cash where country = Germany by plant")
        assert card.status is Status.ANSWERED, card
        assert "by Plant" in card.headline


async def test_a_question_that_wants_a_model_asks_for_it_where_none_is_chosen() -> None:
    async with stage() as scene:
        for sentence in ("tabellen page 1", "welche kpis gibt es", "which filters are there"):
            card = await scene.says(sentence)
            labels = [button.label for button in all_buttons(card)]
            assert {"Order to Cash", "Accounts Payable"} <= set(labels), (sentence, card)


async def test_so_many_rows_are_shown_as_were_asked_for_and_no_more_on_the_next_page() -> None:
    async with stage() as scene:
        few = await scene.says('data Deliveries of "Order to Cash" sort -Weight top 3')
        assert len(table_of(few).rows) == 3
        assert "highest Weight first" in few.headline
        ranked = 'data Deliveries of "Order to Cash" sort -Weight top 25 page'
        pages = [await scene.says(f"{ranked} {number}") for number in (1, 2, 3)]
        assert sum(len(table_of(each).rows) for each in pages) == 25
        assert not any(each.label == "Next" for each in all_buttons(pages[-1]))
        assert "highest Weight first" in (await scene.says("die 5 schwersten lieferungen")).headline
