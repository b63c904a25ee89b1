"""What fits on a phone. Nobody tells the bot how wide a screen is, so what is too wide for 360 pixels is sent in the
form that fits there: two columns, and the rest of each row in a second line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.model.cards import Button
from bot.render.card_text import Grid, label_of
from bot.render.safe_text import ELLIPSIS, cut, width
from bot.render.values import MISSING

PHONE = 38
"""Characters across a table on a screen of 360 pixels, what its lines take included."""

WHOLE_LABEL = 75
"""The most of a button's label that is ever kept."""

HEADING = 60
"""The most that is kept of a heading, in UTF-16 units."""

CELL = 200
"""The most that is kept of a cell, in UTF-16 units."""

BELOW = 600
"""The most that is kept of what stands below a cell, in UTF-16 units."""

_MOST_BUTTONS = 5
_EDGES = 3.3
_WORDS = 12  # text goes on in the next line, so a column of it may be this narrow
_KEYS = 5  # beside the first column stands the first number of these columns
_LABEL = 36
_BUTTON_EDGES = 5
_SAME = 3  # rows from which on what they all have is said once


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its cells, and what stands below the first of them (empty where everything fits beside it); all cut."""

    cells: tuple[str, ...]
    below: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A table as it is drawn.

    Attributes:
        head: The headings.
        rows: The rows, all with as many cells.
        numeric: Which columns are set flush right.
        needs: The characters that each column takes, without its edges.
        split: Whether rows go on below their first cell, which then stands out.
    """

    head: Line
    rows: list[Line]
    numeric: tuple[bool, ...]
    needs: tuple[int, ...]
    split: bool


def layout(written: Grid, places: float = PHONE) -> Layout:
    """A table as it fits into so many characters; numbers are never broken."""
    wide = len(written.headings)
    columns = range(wide)
    rows = [
        [
            cell.replace(" ", "\u00a0") if number else cell
            for cell, number in zip(row, written.numeric, strict=True)
        ]
        for row in written.rows
    ]
    needs = [_need([row[at] for row in rows], numeric=written.numeric[at]) for at in columns]
    needs = [
        max(need, min(_WORDS, max(map(width, head.split()), default=0)))
        for need, head in zip(needs, written.headings, strict=True)
    ]
    if wide <= 2 or sum(needs) + wide * _EDGES <= places:  # noqa: PLR2004  # two columns are what is aimed at
        kept, rest, same = list(columns), [], []
    else:
        key = next((at for at in columns[1:_KEYS] if written.numeric[at]), 1)
        kept, rest = [0, key], [at for at in columns[1:] if at != key]
        same = [at for at in rest if len(rows) >= _SAME and len({row[at] for row in rows}) == 1]
        rest = [at for at in rest if at not in same]
        needs[0] = max(needs[0], round(PHONE - 2 * _EDGES - needs[key]))
    said_once = _named(written.headings, rows[0], same) if same else ""
    return Layout(
        head=Line(
            tuple(cut(written.headings[at], HEADING) for at in kept),
            cut(f"In every row: {said_once}", BELOW) if said_once else "",
        ),
        rows=[
            Line(tuple(cut(row[at], CELL) for at in kept), cut(_named(written.headings, row, rest), BELOW))
            for row in rows
        ],
        numeric=tuple(written.numeric[at] for at in kept),
        needs=tuple(needs[at] for at in kept),
        split=bool(rest),
    )


def without_columns(written: Grid) -> list[tuple[str, str]]:
    """A table where none can be drawn: what each row is about, and the rest of it in words."""
    others = range(1, len(written.headings))
    return [
        (cut(row[0], CELL) or ELLIPSIS, cut(_named(written.headings, row, others), BELOW))
        for row in written.rows
    ]


def _need(cells: Sequence[str], *, numeric: bool) -> int:
    longest = max(map(width, cells), default=0)
    return longest if numeric else min(longest, _WORDS)


def _named(headings: Sequence[str], row: Sequence[str], columns: Iterable[int]) -> str:
    """Some of a row's values with the names of their columns; what is missing is left out."""
    return " · ".join(
        f"{headings[at]}: {row[at]}" if headings[at] else row[at]
        for at in columns
        if row[at].strip() not in ("", MISSING)
    )


def button_label(button: Button) -> tuple[str, str]:
    """What stands on a button, cut visibly where a phone would cut it, and then all of it; else an empty text."""
    whole = label_of(button, WHOLE_LABEL)
    label = cut(whole, _LABEL)
    return label, whole if label != whole else ""


def can_be_buttons(options: Sequence[Button]) -> bool:
    """Whether options are few and short enough for buttons; else they are a list to choose from."""
    return len(options) <= _MOST_BUTTONS and not any(button_label(each)[1] for each in options)


def button_rows(buttons: Iterable[Button]) -> list[list[Button]]:
    """Buttons in rows that a phone does not cut."""
    rows: list[list[Button]] = []
    room = 0
    for button in buttons:
        takes = width(button_label(button)[0]) + _BUTTON_EDGES
        if not rows or takes > room:
            rows.append([])
            room = _LABEL + _BUTTON_EDGES
        rows[-1].append(button)
        room -= takes
    return rows
