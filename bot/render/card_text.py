"""What every renderer says of a card in the same words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from babel import Locale

from bot.model.cards import (
    Button,
    Card,
    Cell,
    Chart,
    Drawing,
    Flag,
    Reader,
    Source,
    Status,
    Table,
    Tone,
    Verdict,
)
from bot.model.errors import BotError, QuotaExhausted, RateLimited
from bot.render.charts import bars, over, sizes
from bot.render.safe_text import ELLIPSIS, clean, cut
from bot.render.values import MARKS, fixed_point, locale_of, when, write, write_short, zone_of


def error_text(error: BotError, reader: Reader) -> tuple[str, str]:
    """An error's sentence and hint for one reader. What is to be waited for is never named too early."""

    def write(at: datetime) -> str:
        waits = isinstance(error, RateLimited | QuotaExhausted) and (at.second or at.microsecond)
        return when(at.replace(second=0, microsecond=0) + timedelta(minutes=1) if waits else at, reader)

    return error.told(write)


_SIGNS = {
    Status.ANSWERED: "",
    Status.WORKING: "Working",
    Status.QUESTION: "",
    Status.ASKED: "",
    Status.NOT_UNDERSTOOD: "Not understood",
    Status.REFUSED: "Refused",
    Status.FAILED: "Failed",
}
_SYMBOLS = {Tone.PLAIN: "ℹ", Tone.GOOD: "✓", Tone.WARNING: "⚠", Tone.DANGER: "⛔"}
_CONNECTING = frozenset({"a", "and", "by", "in", "of", "the"})
_MARKED = tuple(f" {mark}" for mark in MARKS.values())
_WORD = re.compile(r"\w+")
SANDBOX = "SANDBOX"
COSTLY = 5
"""Calls from which on a card says what it cost."""


def noticed(tone: Tone, text: str) -> str:
    """A notice with the sign that says how much it matters."""
    return f"{_SYMBOLS[tone]} {text or ELLIPSIS}"


def title_of(card: Card) -> str:
    """The card's title; empty where headline and source have said all of it."""
    said = (
        [card.headline] if card.source is None else [card.headline, card.source.connection, card.source.model]
    )
    known = _CONNECTING.union(*(_WORD.findall(each.casefold()) for each in said))
    return (
        ""
        if known.issuperset(_WORD.findall(card.title.casefold())) and card.title.isprintable()
        else clean(card.title)
    )


def announce(card: Card) -> str:
    """The headline with its sign in words; also the notification's text. At most 150 characters, one line."""
    line = " ".join(clean(card.headline).split()) or ELLIPSIS
    sign = _SIGNS[card.status]
    if sign and not line.casefold().startswith(sign.casefold()):
        line = f"{sign}: {line}"
    if _over_sandbox(card) and not line.startswith(SANDBOX):
        line = f"{SANDBOX} · {line}"
    return line


def _over_sandbox(card: Card) -> bool:
    return card.sandbox or (card.source is not None and card.source.sandbox)


def source_line(source: Source, reader: Reader) -> str:
    """Where the data comes from and when it was loaded and read, for one reader."""
    locale = locale_of(reader.locale)
    names = (source.connection if source.several or not source.model else "", source.model)
    parts = [" > ".join(clean(each) for each in names if each)]
    if source.loaded:
        at = source.data_loaded_at
        parts.append("data of unknown age" if at is None else f"data of {when(at, reader)}")
    read = "read" if source.loaded or source.cached else "live"
    parts.append(f"{read} {when(source.fetched_at, reader)}")
    if source.unread:
        items = "item" if source.unread == 1 else "items"
        parts.append(f"{_count(source.unread, locale)} {items} could not be read")
    if source.calls >= COSTLY:
        parts.append(f"took {_count(source.calls, locale)} calls")
    return " · ".join(part for part in parts if part)


def api(name: str) -> str:
    """One of Celonis' APIs, as people read it."""
    return "other APIs" if name == "other" else f"the {clean(name)} API"


def _count(number: int, locale: Locale) -> str:
    return clean(fixed_point(Decimal(number), locale))


def footer(card: Card, reader: Reader) -> tuple[str, ...]:
    """The quiet lines under a card: source, canonical sentence, reference."""
    lines = [source_line(card.source, reader)] if card.source is not None else []
    if card.sentence and card.status is not Status.ASKED:
        lines.append(f"You can say: {clean(card.sentence)}")
    if card.reference:
        lines.append(f"Reference: {clean(card.reference)}")
    return tuple(lines)


def left_out(number: int, what: str) -> str:
    """A cut, made visible: `12 more rows do not fit here.`"""
    return (
        f"{number:,} more {what}{'' if number == 1 else 's'} {'does' if number == 1 else 'do'} not fit here."
    )


# --- blocks and buttons ----------------------------------------------------------------------------------------


def label_of(button: Button, length: int) -> str:
    """What stands on a button, in at most so many UTF-16 units."""
    return cut(clean(button.label).strip(), length) or ELLIPSIS


@dataclass(frozen=True, slots=True)
class Grid:
    """A table or a chart as text for one reader.

    Attributes:
        headings: One for each column; only over the bars of a chart there may be none.
        rows: As many cells each; uncut.
        numeric: Which columns are set flush right.
        below: What is said under it, empty where there is nothing to say.
        above: What stands over it: the course of a line.
    """

    headings: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    below: str
    above: str = ""

    @property
    def without_rows(self) -> str:
        """What is said in place of a table that has no rows."""
        return f"No rows. Columns: {', '.join(filter(None, self.headings))}"


def _align(rows: list[list[str]]) -> None:
    """Makes room for a mark where others in the column have one, so that the digits stand below one another."""
    for at in range(len(rows[0]) if rows else 0):
        if any(row[at].endswith(_MARKED) for row in rows):
            for row in rows:
                row[at] += "" if row[at].endswith(_MARKED) else "  "


def _in_a_column(cell: Cell, reader: Reader) -> str:
    match cell:
        case Flag(value):
            return MARKS[Verdict.MET if value else Verdict.MISSED]
        case _:
            return write_short(cell, reader)


def grid(block: Table | Chart, reader: Reader, *, drawn_above: bool = False) -> Grid:
    """A table as every platform lays it out, and a chart as every platform can show it: in characters, or as its
    values alone where the platform has drawn it above.
    """
    match block:
        case Table(columns, rows, hidden):
            headings = [clean(column.title) or ELLIPSIS for column in columns]
            written = [[_in_a_column(cell, reader) for cell in row] for row in rows]
            for at in range(len(columns)):
                zones = {zone for row in rows if (zone := zone_of(row[at], reader))}
                if len(zones) == 1:  # said once, over the column
                    headings[at] += f" ({zones.pop()})"
                elif zones:
                    for line, row in zip(written, rows, strict=True):
                        line[at] = write(row[at], reader)
            _align(written)
            below = f"{hidden:,} more not shown." if hidden else ""
            return Grid(headings, written, [column.numeric for column in columns], below)
        case Chart(title, by, drawing, points, target):
            drawn = [[write(point.label, reader), write(point.value, reader)] for point in points]
            _align(drawn)
            heads = [clean(by) or ELLIPSIS, clean(title) or ELLIPSIS]
            below = f"Target {write(target, reader)}." if target else ""
            if drawing is Drawing.BARS and not drawn_above:
                heads.append("")
                drawn = [[*row, bar] for row, bar in zip(drawn, bars(sizes(block)), strict=True)]
            numeric = [False, True, False][: len(heads)]
            return Grid(heads, drawn, numeric, below, "" if drawn_above else over(block, reader))
