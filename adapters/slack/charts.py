"""Charts as Slack draws them. Pure; https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block, read in 2026."""

from __future__ import annotations

from typing import Any, TypeAlias

from bot.model.cards import Chart, Drawing, Reader
from bot.render.charts import plotted, titled
from bot.render.safe_text import ELLIPSIS, clean, cut

Json: TypeAlias = dict[str, Any]

CHARTS = 2
POINTS = 20
TITLE = 50
LABEL = 20


def chart_block(chart: Chart, reader: Reader) -> Json | None:
    """A chart as a block; None where Slack would not take all of it, or draw it wrongly."""
    points = plotted(chart, reader, POINTS, LABEL)
    if points is None:
        return None
    return {
        "type": "data_visualization",
        "title": cut(titled(chart, reader), TITLE),
        "chart": {
            "type": "line" if chart.drawing is Drawing.LINE else "bar",
            "series": [
                {
                    "name": cut(clean(chart.title).strip() or ELLIPSIS, LABEL),
                    "data": [{"label": label, "value": value} for label, value in points],
                }
            ],
            "axis_config": {"categories": [label for label, _ in points]},
        },
    }
