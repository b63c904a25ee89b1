"""Charts as Teams draws them: elements of Teams' own beside Adaptive Cards 1.5, so each has a fallback. Pure.

https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/charts-in-adaptive-cards, read in 2026.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from bot.model.cards import Chart, Drawing, Reader
from bot.render.charts import plotted, titled
from bot.render.safe_text import cut

Json: TypeAlias = dict[str, Any]

_POINTS = 40
_TITLE = 60
_LABEL = 30


def chart_element(chart: Chart, reader: Reader, otherwise: list[Json]) -> Json | None:
    """A chart as an element, which a client that knows none shows otherwise; None where it cannot be drawn whole."""
    points = plotted(chart, reader, _POINTS, _LABEL)
    if points is None:
        return None
    title = cut(titled(chart, reader), _TITLE)
    values = [{"x": label, "y": value} for label, value in points]
    drawn: Json = (
        {"type": "Chart.Line", "data": [{"legend": title, "values": values}]}
        if chart.drawing is Drawing.LINE
        else {"type": "Chart.HorizontalBar", "data": values}
    )
    return {**drawn, "title": title, "fallback": {"type": "Container", "items": otherwise}}
