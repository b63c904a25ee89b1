"""Rows of records: which of how many are shown, how to ask for others, and the limits of the API, each hit on purpose."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from bot.model.cards import Button, Card, Choices, Notice, Status, Table
from tests.dispatch.test_reads import texts
from tests.story import Stage, stage

MATERIALS = 'data Materials of "Purchase Requisition KM"'
BIG = 'data BIG of "Formats and Limits"'


def menu(card: Card, prompt: str) -> tuple[Button, ...]:
    (found,) = [each.options for each in card.blocks if isinstance(each, Choices) and prompt in each.prompt]
    return found


def columns(card: Card) -> list[str]:
    (table,) = [each for each in card.blocks if isinstance(each, Table)]
    return [each.title for each in table.columns]


def sizes(scene: Stage) -> set[int]:
    """Rows that calls for data asked for."""
    asked = [parse_qs(each.query) for each in scene.sandbox.log if each.path.endswith("/data")]
    return {int(each["pageSize"][0]) for each in asked if "pageSize" in each}


def labels(card: Card) -> list[str]:
    return [each.label for each in card.buttons]


@pytest.mark.parametrize(
    ("sentence", "headline", "buttons"),
    [
        (MATERIALS, "Materials: rows 1-10 of 34", ["Next 10", "Fields"]),
        (f"{MATERIALS} page 2", "Materials: rows 11-20 of 34", ["Back", "Next 10", "Fields"]),
        (f"{MATERIALS} page 3", "Materials: rows 21-30 of 34", ["Back", "Next 4", "Fields"]),
        (f"{MATERIALS} page 4", "Materials: rows 31-34 of 34", ["Back", "Fields"]),
        (f"{MATERIALS} page 5", "Materials: no rows on page 5", ["First rows", "Back"]),
        (BIG, "Big table: rows 1-10, more follow", ["Next 10", "Fields"]),
        (f"{BIG} page 5", "Big table: rows 41-50, more follow", ["Back", "Next 10", "Fields"]),
        (f"{BIG} page 6", "Big table: rows 51-60, more follow", ["Back", "Next 10", "Fields"]),
        ('data WIDE of "Formats and Limits"', "Wide table: all 3 rows", ["Fields"]),
        (
            'data WIDE of "Formats and Limits" where "Field 001" = 1001',
            "Wide table: 1 row, Field 001 = 1001",
            ["Fields"],
        ),
    ],
)
async def test_a_page_says_which_of_how_many_rows_it_holds(
    sentence: str, headline: str, buttons: list[str]
) -> None:
    async with stage() as scene:
        card = await scene.says(sentence)
        assert (card.headline, labels(card)) == (headline, buttons)


async def test_a_list_says_which_part_of_it_a_page_holds_and_counts_all() -> None:
    async with stage() as scene:
        wide = 'fields WIDE of "Formats and Limits"'
        assert (await scene.says(wide)).headline == "205 fields in Wide table, 1-10"
        last = await scene.says(f"{wide} page 21")
        assert last.headline == "205 fields in Wide table, 201-205"
        assert labels(last) == ["Show rows", "Back"]


async def test_rows_behind_the_last_that_can_be_reached_are_never_offered_and_never_asked_for() -> None:
    async with stage() as scene:
        last = await scene.says(f"{BIG} page 100")
        assert last.headline == "Big table: rows 991-1,000, more follow"
        assert "Only the first 1,000 rows can be reached" in str(
            [each for each in last.blocks if isinstance(each, Notice)]
        )
        assert labels(last) == ["Back", "Fields"]
        before = scene.asked()
        beyond = await scene.says(f"{BIG} page 101")
        assert beyond.status is Status.NOT_UNDERSTOOD
        assert "Only the first 1,000 rows can be reached." in beyond.headline
        assert scene.asked() == before
        values = await scene.says('values "Code" of "Formats and Limits" page 100')
        assert values.headline == "Code: values 991-1,000, more follow"
        assert "Only the first 1,000 values" in str(values.blocks)
        assert labels(values) == ["Back"]
        counted = await scene.says('count BIG of "Formats and Limits"')
        assert counted.headline == "1,000 or more Big table"
        assert "Only the first 1,000 rows can be counted." in texts(counted)


async def test_a_condition_brings_a_count_below_what_can_be_reached() -> None:
    async with stage() as scene:
        for most, told in (
            (999, "999"),
            (1000, "1,000 or more"),
            (1001, "1,000 or more"),
            (50, "50"),
            (51, "51"),
        ):
            card = await scene.says(f'count BIG of "Formats and Limits" where row <= {most}')
            assert card.headline == f"{told} Big table, Row <= {most}", most


async def test_no_call_asks_for_more_rows_than_celonis_gives_at_once() -> None:
    async with stage() as scene:
        for sentence in (BIG, f"{BIG} page 7", 'count BIG of "Formats and Limits"', MATERIALS):
            assert (await scene.says(sentence)).status is Status.ANSWERED
        assert sizes(scene) == {50}


async def test_two_hundred_fields_are_asked_for_in_one_call_and_one_more_in_none() -> None:
    async with stage() as scene:
        names = [f"field_{number:03}" for number in range(1, 202)]
        most = await scene.says(f'data WIDE of "Formats and Limits" show {", ".join(names[:200])}')
        assert most.status is Status.ANSWERED
        assert len(columns(most)) == 200
        before = scene.asked()
        more = await scene.says(f'data WIDE of "Formats and Limits" show {", ".join(names)}')
        assert more.status is Status.NOT_UNDERSTOOD
        assert "at most 200 fields" in more.headline
        assert scene.asked() == before
        sorted_by = f'data WIDE of "Formats and Limits" show {", ".join(names[:200])} sort {names[200]}'
        assert "at most 200 fields" in (await scene.says(sorted_by)).headline


async def test_a_list_of_fields_too_long_for_an_address_is_posted_whole() -> None:
    async with stage() as scene:
        names = [f"field_{number:03}" for number in range(1, 201)]
        where = " or ".join(f"field_001 = {number}" for number in range(1, 120))
        card = await scene.says(
            f'data WIDE of "Formats and Limits" show {", ".join(names[:150])} where {where}'
        )
        assert card.status is Status.ANSWERED
        assert scene.sandbox.log[-1].method == "POST"
        assert len(",".join(names[:150])) <= 2048
        assert "+ 1 condition" in card.headline
        assert texts(card).startswith("Only where ")


async def test_the_list_of_changes_sorts_narrows_and_adds_a_column_without_losing_anything() -> None:
    async with stage() as scene:
        card = await scene.says(f'{MATERIALS} show "Material name", Supplier where "Payment amount" > 10')
        offered = [each.label for each in menu(card, "Sort")]
        assert offered == [
            "Material name, A to Z",
            "Supplier, A to Z",
            "Only Supplier Hansen Industrietechnik",
            "Add column Material number",
            "Add column Material group",
            "Add column Payment amount",
        ]
        for label in offered:
            changed = await scene.presses(card, label)
            assert changed.status is Status.ANSWERED
            assert "Payment amount > 10" in changed.headline
        only = await scene.presses(card, "Only Supplier")
        assert "Supplier = Hansen Industrietechnik" in only.headline
        assert columns(await scene.presses(card, "Add column Material group")) == [
            "Material name",
            "Supplier",
            "Material group",
        ]


async def test_an_empty_answer_offers_the_same_without_each_condition_by_itself() -> None:
    async with stage() as scene:
        card = await scene.says(
            f'{MATERIALS} where "Material group" = Services and "Payment amount" > 900000 search cotton in supplier'
        )
        assert card.headline == (
            "Materials: no row fits, Material group = Services, Payment amount > 900000, “cotton” in Supplier"
        )
        assert [each.label for each in menu(card, "one condition less")] == [
            "Without Material group = Services",
            "Without Payment amount > 900000",
            "Without “cotton” in Supplier",
        ]
        wider = await scene.presses(card, "Without Payment amount")
        assert wider.headline.endswith(", Material group = Services, “cotton” in Supplier")
        counted = await scene.says(
            'count Materials of "Purchase Requisition KM" where "Payment amount" > 900000 and Supplier is empty'
        )
        assert counted.headline.startswith("0 Materials")
        assert len(menu(counted, "one condition less")) == 2
        one = await scene.says(f'{MATERIALS} where "Payment amount" > 900000')
        assert (await scene.presses(one, "Without")).headline == "Materials: rows 1-10 of 34"


async def test_values_open_the_rows_that_have_them() -> None:
    async with stage() as scene:
        card = await scene.says('values "Material group" of "Purchase Requisition KM"')
        assert card.headline == "Material group: all 10 values"
        opened = await scene.presses(card, "Services")
        assert opened.headline == "Materials: all 9 rows, Material group = Services"


async def test_ids_and_formats_are_shown_where_they_are_asked_for_and_nowhere_else() -> None:
    async with stage() as scene:
        plain = await scene.says('fields Materials of "Purchase Requisition KM"')
        assert columns(plain) == ["Name", "Holds"]
        full = await scene.says('fields Materials of "Purchase Requisition KM" with formats')
        assert columns(full) == ["Name", "Holds", "Format", "Id"]
        for sentence in (
            "models",
            'records of "Order to Cash"',
            'filters of "Order to Cash"',
            'triggers of "Order to Cash"',
        ):
            assert "Id" not in columns(await scene.says(sentence))


async def test_columns_that_only_tell_rows_apart_come_last_unless_they_are_asked_for() -> None:
    async with stage() as scene:
        default = columns(await scene.says('data Events of "Purchase Requisition KM"'))
        assert len(default) == 6
        assert "ID" not in default
        assert columns(await scene.says('data Events of "Purchase Requisition KM" show ID')) == ["ID"]
