"""Every limit of Slack and Teams, hit on purpose: the platform takes the card, and what is cut shows and adds up."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from adapters.slack import blocks as slack
from adapters.teams import adaptive as teams
from bot.model.cards import (
    Block,
    Button,
    Card,
    Chart,
    Choices,
    Column,
    Drawing,
    Fact,
    Facts,
    Notice,
    Number,
    Point,
    Reader,
    Table,
    Text,
    Tone,
    Words,
)
from tests.platform_rules import assert_slack_ok, assert_teams_ok, slack_texts, teams_texts, walk
from tests.render.family import look

Show = Callable[[Card], list[str]]


def on_slack(card: Card) -> list[str]:
    message = slack.render(card, Reader(), charts=True)
    assert_slack_ok(message)
    return slack_texts(message.blocks)


def on_teams(card: Card) -> list[str]:
    rendered = teams.render(card, Reader(), charts=True)
    assert_teams_ok(rendered)
    return teams_texts(rendered)


SHOWS = pytest.mark.parametrize("show", [on_slack, on_teams])
MORE = Button("Next rows", look("next"))


def table(rows: int, length: int = 1, columns: int = 2) -> Table:
    return Table(
        tuple(Column(f"c{at}") for at in range(columns)),
        tuple(tuple(Words(f"r{row}{'y' * length}") for _ in range(columns)) for row in range(rows)),
    )


def left(texts: list[str]) -> int:
    """How many parts are said not to be there."""
    found = [re.search(r"([\d,]+) more \w+ do(?:es)? not fit here", text) for text in texts]
    return sum(int(each[1].replace(",", "")) for each in found if each)


def rows_in(texts: list[str]) -> int:
    return len({row for text in texts for row in re.findall(r"\br(\d+)y", text)})


@SHOWS
@pytest.mark.parametrize(
    "big",
    [
        table(99),
        table(100),
        table(400),
        table(60, length=190),
        table(120, length=40, columns=20),
        table(30, length=150, columns=24),
    ],
    ids=["just fits", "rows", "many rows", "characters", "columns and rows", "more columns than Slack has"],
)
def test_rows_that_do_not_fit_are_counted_and_can_be_reached(show: Show, big: Table) -> None:
    shown = show(Card("x", blocks=(big,), buttons=(MORE,)))
    assert rows_in(shown) + left(shown) == len(big.rows)
    assert rows_in(shown) > 0
    assert "Next rows" in shown


def test_slack_takes_ninety_nine_rows_under_their_headings() -> None:
    assert left(on_slack(Card("x", blocks=(table(slack.TABLE_ROWS - 1),)))) == 0
    assert left(on_slack(Card("x", blocks=(table(slack.TABLE_ROWS),)))) == 1


def test_a_second_table_on_slack_counts_its_rows_too() -> None:
    shown = on_slack(Card("x", blocks=(table(3), table(200, length=60))))
    assert left(shown) > 0
    assert rows_in(shown) + left(shown) == 200


@SHOWS
@pytest.mark.parametrize("drawing", Drawing)
def test_points_of_a_chart_that_do_not_fit_are_counted(show: Show, drawing: Drawing) -> None:
    points = tuple(Point(Words(f"r{at}y"), Number(at)) for at in range(1, 301))
    shown = show(Card("x", blocks=(Chart("Orders", "Plant", drawing, points),)))
    assert rows_in(shown) + left(shown) == len(points)


@SHOWS
@pytest.mark.parametrize(
    "block",
    [
        Text("word " * 4000),
        Text("line\n" * 4000),
        Text("word " * 4000, quiet=True),
        Text("word " * 4000, code=True),
        Notice(Tone.DANGER, "word " * 4000),
        Facts(tuple(Fact("label " * 5, Words("word " * 30)) for _ in range(200))),
        Choices("word " * 4000, (MORE,)),
    ],
    ids=["paragraph", "lines", "quiet", "code", "notice", "facts", "prompt"],
)
def test_text_that_does_not_fit_is_cut_where_one_sees_it(show: Show, block: Block) -> None:
    shown = show(Card("x", blocks=(block,)))
    assert left(shown) or any(text.endswith("…") for text in shown)


@SHOWS
def test_blocks_that_do_not_fit_are_counted_and_their_buttons_stay(show: Show) -> None:
    many = tuple(Text(f"r{at}y " + "word " * 60) for at in range(300))
    shown = show(
        Card("x", blocks=(*many, Choices("", (MORE,))), buttons=(Button("Refresh", look("refresh")),))
    )
    assert left(shown) > 0
    assert {"Next rows", "Refresh"} <= set(shown)


def test_a_menu_of_slack_goes_on_in_the_next_one() -> None:
    options = tuple(Button(f"Entry {at}", look(f"entry {at}")) for at in range(250))
    message = slack.render(Card("x", blocks=(Choices("Which?", options),)), Reader())
    assert_slack_ok(message)
    menus = [part for part in walk(message.blocks) if part.get("type") == "static_select"]
    assert [len(menu["options"]) for menu in menus] == [100, 100, 50]


def test_a_menu_of_teams_counts_the_entries_that_are_left_out() -> None:
    options = tuple(Button(f"Entry {at}", look(f"entry {at}")) for at in range(250))
    rendered = teams.render(Card("x", blocks=(Choices("Which?", options),)), Reader())
    assert_teams_ok(rendered)
    (menu,) = (part for part in walk(rendered) if part.get("type") == "Input.ChoiceSet")
    assert len(menu["choices"]) + left(teams_texts(rendered)) == len(options)


@SHOWS
def test_a_button_too_long_for_a_phone_is_cut_and_has_all_of_its_label_beside_it(show: Show) -> None:
    shown = show(Card("x", buttons=(Button("Show " + "long " * 12, look("long")),)))
    assert any(text.endswith("…") and len(text) <= 36 for text in shown)
    assert ("Show " + "long " * 12).strip() in shown


def test_a_table_of_two_columns_holds_all_that_a_wide_one_holds() -> None:
    wide = Table(
        (Column("Plant"), Column("Country"), Column("Orders", numeric=True), Column("Due")),
        ((Words("Hamburg 1000"), Words("Germany"), Number(1200, ",.0f"), Words("today, 15:31")),),
    )
    (drawn,) = (b for b in slack.render(Card("x", blocks=(wide,)), Reader()).blocks if b["type"] == "table")
    assert [len(row) for row in drawn["rows"]] == [2, 2]
    assert slack_texts(drawn["rows"]) == [
        "Plant",
        "Orders",
        "Hamburg 1000",
        "\nCountry: Germany · Due: today, 15:31",
        "1,200",
    ]


@pytest.mark.parametrize("wide", range(1, 160, 3))
def test_what_stands_below_the_names_of_a_slack_table_counts_with_its_line(wide: int) -> None:
    rest = tuple(Words("x") for _ in range(17))
    short, long = (Words(""), Words(""), Words(""), *rest), (Words(""), Words(""), Words("y" * wide), *rest)
    columns = (Column(""), Column(""), Column("z" * 80), *(Column("c") for _ in rest))
    assert_slack_ok(slack.render(Card("x", blocks=(Table(columns, (short, long) * 45),)), Reader()))
