"""Charts in characters: what they tell is the same as the numbers."""

from __future__ import annotations

import pytest

from adapters.terminal.text import render_text
from bot.model.cards import Card, Chart, Drawing, Missing, Number, Point, Reader, Words
from bot.render.charts import BAR, bars, sizes, spark


def chart(drawing: Drawing, *values: float | None) -> Chart:
    points = [
        Point(Words(f"point {at}"), Missing() if value is None else Number(value))
        for at, value in enumerate(values)
    ]
    return Chart("Orders", drawing, tuple(points))


def test_bars_are_as_long_as_their_values_and_begin_at_zero() -> None:
    assert bars([100.0, 50.0, 25.0, 0.0]) == ["█" * BAR, "█" * (BAR // 2), "█" * (BAR // 4), ""]
    assert bars([8.0, 1.5]) == ["████████", "█▌"]


def test_a_bar_below_zero_looks_otherwise_and_nothing_has_none() -> None:
    assert bars([-4.0, 8.0, None]) == ["░░░░", "████████", ""]
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
