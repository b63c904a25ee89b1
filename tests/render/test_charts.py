"""Charts in characters: what they tell is the same as the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.slack import blocks as slack
from adapters.slack.charts import CHARTS, POINTS
from adapters.teams import adaptive as teams
from adapters.terminal.text import render_text
from bot.model.cards import Card, Chart, Drawing, Missing, Number, Point, Reader, Verdict, Words
from bot.render.charts import BAR, bars, plotted, sizes, spark
from tests.platform_rules import assert_slack_ok


def chart(drawing: Drawing, *values: float | None) -> Chart:
    points = [
        Point(Words(f"point {at}"), Missing() if value is None else Number(value))
        for at, value in enumerate(values)
    ]
    return Chart("Orders", "Plant", drawing, tuple(points))


def test_bars_are_as_long_as_their_values_and_begin_at_zero() -> None:
    assert bars([9.0, 6.0, 3.0, 0.0]) == ["█" * BAR, "█" * (BAR * 2 // 3), "█" * (BAR // 3), ""]
    assert bars([6.0, 1.5]) == ["█" * BAR, "█▌"]


def test_a_bar_below_zero_looks_otherwise_and_nothing_has_none() -> None:
    assert bars([-4.0, 8.0, None]) == ["░" * (BAR // 2), "█" * BAR, ""]
    assert bars([-0.001, 8.0])[0] == "░"
    assert bars([]) == []
    assert bars([0.0]) == [""]


def test_a_line_goes_from_the_lowest_to_the_highest_value() -> None:
    assert spark([1.0, 8.0, 4.5, None]) == "▁█▅·"
    assert spark([3.0, 3.0]) == "▄▄"
    assert spark([None]) == ""
    assert spark([-1e308, 1e308]) == "▁█"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_number_that_has_no_length_is_written_and_not_drawn(value: float) -> None:
    odd = chart(Drawing.BARS, 1.0, value)
    assert sizes(odd) == [1.0, None]
    assert "point 1" in render_text(Card("x", blocks=(odd,)), Reader())


@pytest.mark.parametrize("drawing", Drawing)
def test_every_value_is_there_to_be_read(drawing: Drawing) -> None:
    text = render_text(Card("x", blocks=(chart(drawing, 12.5, 7, None),)), Reader())
    lines = [line for line in text.splitlines() if line.startswith("point")]
    assert [line.split()[2] for line in lines] == ["12.5", "7", "–"]


def blocks_of(drawn: Chart) -> list[str]:
    return [block["type"] for block in slack.render(Card("x", blocks=(drawn,)), Reader(), charts=True).blocks]


def test_slack_draws_what_it_takes_whole_and_values_stand_below() -> None:
    full = chart(Drawing.LINE, *range(POINTS))
    assert blocks_of(full) == ["header", "data_visualization", "table"]
    assert blocks_of(chart(Drawing.LINE, *range(POINTS + 1))) == ["header", "rich_text", "table"]
    assert blocks_of(chart(Drawing.BARS, 1, None)) == ["header", "table"]
    alike = replace(full, points=tuple(replace(each, label=Words("x" * 30)) for each in full.points))
    assert "data_visualization" not in blocks_of(alike)


def test_slack_draws_two_charts_a_message_and_the_third_in_characters() -> None:
    three = slack.render(Card("x", blocks=(chart(Drawing.BARS, 3, 4),) * 3), Reader(), charts=True)
    assert_slack_ok(three)
    assert [block["type"] for block in three.blocks].count("data_visualization") == CHARTS
    assert "█" * BAR in str(three.blocks[-1])


def test_teams_draws_a_chart_and_says_what_else_to_show() -> None:
    body = teams.render(Card("x", blocks=(chart(Drawing.BARS, 3, 4),)), Reader(), charts=True)["body"]
    drawn = body[1]
    assert (drawn["type"], drawn["fallback"]["items"][0]["type"]) == ("Chart.HorizontalBar", "Table")
    assert drawn["data"] == [{"x": "point 0", "y": 3.0}, {"x": "point 1", "y": 4.0}]


def test_a_percentage_is_drawn_in_percent_with_its_verdict() -> None:
    judged = Chart(
        "x", "City", Drawing.BARS, (Point(Words("Köln"), Number(0.87, ".1%", verdict=Verdict.MISSED)),)
    )
    assert plotted(judged, Reader(), 20, 20) == [("Köln ✗", 87.0)]


@pytest.mark.parametrize("render", [slack.render, teams.render])
def test_charts_are_drawn_in_characters_where_nobody_switched_them_on(render: Any) -> None:
    said = str(render(Card("x", blocks=(chart(Drawing.BARS, 3, 4),)), Reader()))
    assert "data_visualization" not in said
    assert "Chart." not in said
    assert "█" * BAR in said
