"""Charts in characters: bars beside their values, and a line as one row of blocks.

This form is always there, whatever a platform can draw. Values stand before the bars, so that who has the card read aloud
hears names and numbers first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bot.model.cards import Chart, Drawing, Missing, Number, Reader
from bot.render.safe_text import ELLIPSIS, clean, cut
from bot.render.values import MARKS, write

BAR = 6
"""Places of the longest bar: beside a name and a number it still fits on a phone."""

_EIGHTHS = "▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def size_of(value: Number | Missing) -> float | None:
    """A value as a length; None where there is none to draw."""
    if isinstance(value, Missing):
        return None
    try:
        size = float(value.value)
    except (OverflowError, ValueError):
        return None
    return size if math.isfinite(size) else None


def sizes(chart: Chart) -> list[float | None]:
    """The chart's values as lengths."""
    return [size_of(point.value) for point in chart.points]


def bars(lengths: Sequence[float | None], longest: int = BAR) -> list[str]:
    """A bar from zero for each value; those below zero are drawn hatched."""
    most = max((abs(each) for each in lengths if each is not None), default=0.0)
    return ["" if each is None else _bar(each, most, longest) for each in lengths]


def _bar(length: float, most: float, longest: int) -> str:
    eighths = round(abs(length) / most * longest * 8) if most else 0
    if length < 0:
        return "░" * max(1, round(eighths / 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest - 1] if rest else "")


def spark(lengths: Sequence[float | None]) -> str:
    """A line as one row of blocks, from the lowest value to the highest."""
    known = [each for each in lengths if each is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high / 2 - low / 2  # halved: the whole difference may be more than a float holds
    return "".join(
        _NOTHING if each is None else _LEVELS[round((each / 2 - low / 2) / span * 7) if span else 3]
        for each in lengths
    )


def over(chart: Chart, reader: Reader) -> str:
    """What stands over the values: a line's course from its lowest value to its highest; nothing over bars."""
    if chart.drawing is not Drawing.LINE:
        return ""
    known = [
        (size, point.value)
        for point in chart.points
        if isinstance(point.value, Number) and (size := size_of(point.value)) is not None
    ]
    if not known:
        return ""
    ends = [pick(known, key=lambda each: each[0])[1] for pick in (min, max)]
    written = dict.fromkeys(write(replace(end, verdict=None), reader) for end in ends)
    return f"{spark(sizes(chart))}  {' to '.join(written)}"


def titled(chart: Chart, reader: Reader) -> str:
    """What a chart is called where it has no headings: its title and its target."""
    title = clean(chart.title).strip() or ELLIPSIS
    return f"{title}, target {write(chart.target, reader)}" if chart.target else title


def plotted(chart: Chart, reader: Reader, most: int, length: int) -> list[tuple[str, float]] | None:
    """The points for a platform that draws them itself, with the verdict in the label of a bar; percentages in percent.

    Args:
        chart: What is drawn.
        reader: For whom labels are written.
        most: How many points the platform takes.
        length: How long a label may be.

    Returns:
        None where not all of it can be drawn: a value is missing, points are too many, labels would be the same.
    """
    points: list[tuple[str, float]] = []
    for point in chart.points:
        size = size_of(point.value)
        if size is None or isinstance(point.value, Missing):
            return None
        judged = (
            point.value.verdict if chart.drawing is Drawing.BARS else None
        )  # under a line there is no room
        mark = f" {MARKS[judged]}" if judged else ""
        label = cut(write(point.label, reader).strip() or ELLIPSIS, length - len(mark)) + mark
        points.append((label, round(size * 100, 6) if "%" in point.value.format else size))
    if not 0 < len(points) <= most or len({label for label, _ in points}) < len(points):
        return None
    return points
