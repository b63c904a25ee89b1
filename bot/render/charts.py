"""Charts in characters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bot.model.cards import (
    Chart,
    Number,
    Reader,
)
from bot.render.safe_text import clean
from bot.render.values import MISSING, write


@dataclass(frozen=True, slots=True)
class Bar:
    """One point of a chart, drawn with characters; negative ones are hatched."""

    label: str
    drawn: str
    value: str


_EIGHTHS = " ▏▎▍▌▋▊▉"


def bars(chart: Chart, reader: Reader, *, length: int = 12) -> tuple[Bar, ...]:
    """A chart as bars of at most `length` characters; the longest stands for the largest value."""
    largest = max((abs(point.value) for point in chart.points if math.isfinite(point.value)), default=0.0)
    return tuple(
        Bar(
            clean(point.label) or MISSING,
            _bar(point.value, largest, length),
            write(Number(point.value, "", chart.unit), reader),
        )
        for point in chart.points
    )


def _bar(value: float, largest: float, length: int) -> str:
    if not math.isfinite(value) or not value or not largest:
        return ""
    eighths = max(1, round(abs(value) / largest * length * 8))
    if value < 0:
        return "▒" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
