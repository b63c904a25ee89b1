"""A value that nobody has is never answered with a number, whatever door its condition came through."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from bot import config
from bot.catalog import values
from bot.model.cards import Card, Notice, Only, Status, Text
from bot.model.people import Clicked
from bot.sandbox import Fault
from tests.server.towns import CLERK, Town, town
from tests.story import CHANNEL, SECOND, Stage, all_buttons, stage

KPI = 'kpi "Number of orders" of "Order to Cash" where '
ROWS = 'data "Sales orders" of "Order to Cash" where '
COUNT = 'count "Sales orders" of "Order to Cash" where '
CODES = 'count "Big table" of "Formats and Limits" where '


def said(card: Card) -> str:
    return " ".join(each.text for each in card.blocks if isinstance(each, Text | Notice))


def labels(card: Card) -> list[str]:
    return [each.label for each in all_buttons(card)]


def filters(scene: Stage | Town) -> list[str]:
    """The conditions under which rows were asked for, as Celonis was told them."""
    return [unquote(each.query) for each in scene.sandbox.log if "filterExpr" in each.query]


@pytest.mark.parametrize("start", [KPI, ROWS, COUNT])
@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("country = germany", "country eq 'Germany'"),
        ('country = "united  states"', "country eq 'United States'"),
        ('country = "cote d\'ivoire"', "country eq 'Côte d''Ivoire'"),
        ('plant = "muenchen 1100"', "plant eq 'München 1100'"),
        ("country in (germany, FRANCE)", "country in ('Germany','France')"),
        ("country != germany", "country ne 'Germany'"),
        ("not country = germany", "country eq 'Germany'"),
        ("country = germany or country = spain", "country eq 'Spain'"),
        ('country = Germany and "status" = "in Progress"', "status eq 'In progress'"),
    ],
)
async def test_case_accents_and_spaces_are_corrected_and_said(start: str, typed: str, sent: str) -> None:
    async with stage() as scene:
        card = await scene.says(start + typed)
        assert card.status is Status.ANSWERED
        assert sent in filters(scene)[-1].replace(", ", ",")
        assert "I took “" in said(card)
        assert not card.headline.startswith("0 ")


@pytest.mark.parametrize("start", [KPI, ROWS, COUNT])
@pytest.mark.parametrize(
    "typed",
    [
        "country = {}",
        "country != {}",
        "country in (Spain, {})",
        "country = Spain or country = {}",
        '"status" = Blocked and country = {}',
        "not country = {}",
    ],
)
async def test_a_near_miss_is_asked_about_before_anything_else(start: str, typed: str) -> None:
    async with stage() as scene:
        card = await scene.says(start + typed.format("Germny"))
        assert card.headline == "No Country is “Germny”. Which one do you mean?"
        assert labels(card) == ["Germany"]
        assert not filters(scene)
        chosen = await scene.presses(card, "Germany")
        assert chosen.sentence == (await scene.says(start + typed.format("Germany"))).sentence
        assert chosen.status is Status.ANSWERED


@pytest.mark.parametrize(
    ("start", "what"), [(KPI, "Number of orders"), (ROWS, "Sales orders"), (COUNT, "Sales orders")]
)
async def test_nothing_found_because_of_a_value_says_so_and_no_number(start: str, what: str) -> None:
    async with stage() as scene:
        card = await scene.says(f'{start}country = Atlantis and "status" = Blocked')
        assert card.headline == f"{what}: no rows, Country = Atlantis, Status = Blocked"
        assert "No Country is “Atlantis”." in said(card)
        assert "Status" not in said(card)


async def test_a_trend_of_nothing_is_no_line_of_zeros() -> None:
    async with stage() as scene:
        card = await scene.says(
            'kpi "Number of orders" of "Order to Cash" by "order date" monthly where country = Atlantis'
        )
        assert card.headline == "Number of orders: no rows, Country = Atlantis"
        assert "No Country is “Atlantis”." in said(card)


async def test_what_excludes_or_adds_nothing_is_said_beside_the_number() -> None:
    async with stage() as scene:
        for typed in ("country != Atlantis", "country in (Spain, Atlantis)"):
            card = await scene.says(COUNT + typed)
            assert card.status is Status.ANSWERED
            assert said(card).count("No Country is “Atlantis”.") == 1


async def test_values_that_are_there_and_fit_no_row_are_no_matter_of_spelling() -> None:
    async with stage() as scene:
        card = await scene.says(f'{ROWS}country = Spain and plant = "Dallas 3000"')
        assert card.headline == "Sales orders: no row fits, Country = Spain, Plant = Dallas 3000"
        assert "No " not in said(card)


async def test_a_list_that_is_longer_than_a_page_is_looked_through_once_nothing_was_found() -> None:
    async with stage() as scene:
        found = await scene.says(f"{CODES}code = R-03000")
        assert found.headline == "1 Big table, Code = R-03000"
        assert not [each for each in filters(scene) if "contains" in each]
        card = await scene.says(f"{CODES}code = r-03000")
        assert card.headline == "Big table: no rows, Code = r-03000"
        assert labels(card) == ["R-03000", "Without Code = r-03000"]
        assert (await scene.presses(card, "R-03000")).headline == found.headline
        nowhere = await scene.says(f"{CODES}code = R-99999")
        assert "No Code is “R-99999”." in said(nowhere)


async def test_what_would_not_show_is_looked_up_before_it_is_asked() -> None:
    async with stage() as scene:
        card = await scene.says(f"{CODES}code != r-03000")
        assert card.status is Status.ANSWERED
        assert "I took “r-03000” for “R-03000”." in said(card)
        assert "No Code is “R-99999”." in said(await scene.says(f"{CODES}code != R-99999"))


async def test_where_it_cannot_be_checked_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "A_DAY", 0.0)
    async with stage() as scene:
        card = await scene.says(f"{COUNT}country = germany")
        assert card.headline == "Sales orders: no rows, Country = germany"
        assert "could not check whether “germany” is a Country" in said(card)
        assert "could not check" in said(await scene.says(f"{COUNT}country != germany"))


async def test_a_list_that_cannot_be_read_keeps_nobody_from_an_answer() -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("status", status=500, path="/records/ORDERS/data", count=1))
        card = await scene.says(f"{KPI}country = Germany")
        assert "Country = Germany" in card.headline
        assert card.status is Status.ANSWERED


async def test_a_list_is_read_once_and_anew_before_it_says_that_a_value_is_none() -> None:
    async with stage() as scene:
        await scene.says(f"{KPI}country = germany")
        before = scene.asked()
        await scene.says(f"{KPI}country = france")
        assert scene.asked() == before + 1
        scene.clock.pass_by(2 * 3600)
        lists = [each for each in scene.sandbox.log if "distinct" in each.query]
        await scene.says(f"{COUNT}country = Germny")
        assert len([each for each in scene.sandbox.log if "distinct" in each.query]) == len(lists) + 1


async def test_follow_ups_and_clicks_are_held_to_the_same() -> None:
    async with stage() as scene:
        await scene.says(f"{KPI}status = Blocked")
        assert "Country = Germany" in (await scene.says("only country germany")).headline
        click = Clicked(sentence=f"{KPI}country = germny")
        (card,) = await scene.cards(click)
        assert labels(card) == ["Germany"]


async def test_no_value_of_a_hidden_field_is_told_or_read() -> None:
    hidden = config.HiddenField(field=("*ountry",))
    async with stage(hidden=(hidden,)) as scene:
        for typed in ("country = germany", "country = Germny", "country != Atlantis"):
            for start in (KPI, ROWS, COUNT):
                card = await scene.says(start + typed)
                assert "Germany" not in f"{card}"
        assert not [each for each in scene.sandbox.log if "ountry" in unquote(each.query)]


async def test_values_are_offered_to_the_asker_alone_where_the_place_may_not_see_them() -> None:
    async with stage() as scene:
        asked = await scene.answer(f"{COUNT}country = Germny", SECOND, CHANNEL)
        assert asked.audience == Only(SECOND)
        empty = await scene.answer(f"{COUNT}country = Atlantis", SECOND, CHANNEL)
        assert empty.audience == Only(SECOND)


async def test_a_misspelt_value_on_slack_is_asked_about_and_the_click_is_answered() -> None:
    async with town() as here:
        seen = await here.says(CLERK, "C1", f"{KPI}country = germny")
        assert "No Country is “germny”" in seen
        assert "Not understood" not in seen
        assert not filters(here)
        (message,) = here.slack.visible(CLERK, "C1")
        await here.presses(CLERK, message, "Germany")
        assert "Country = Germany" in here.slack.screen(CLERK, "C1")
        assert "country eq 'Germany'" in filters(here)[-1]


async def test_in_a_thread_on_slack_what_was_clicked_is_gone_on_with() -> None:
    async with town() as here:
        thread = "1700000001.000100"
        await here.slack.mention(CLERK, "C1", f"{KPI}country = germny", thread_ts=thread)
        await here.quiet()
        (message,) = here.slack.visible(CLERK, "C1")
        await here.presses(CLERK, message, "Germany")
        await here.slack.mention(CLERK, "C1", "by plant", thread_ts=thread)
        await here.quiet()
        assert "Number of orders by Plant, Country = Germany" in here.slack.screen(CLERK, "C1")
