"""Cards for a terminal: plain text for `ask`, and rich's renderables for the chat.

Foreign text must neither steer the terminal nor rich: control characters are gone before anything is laid out (`clean`),
and rich only ever gets `Text` objects, in which it reads no markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text as RichText

from bot.model.cards import (
    Block,
    Button,
    Card,
    Choices,
    Fact,
    Facts,
    Notice,
    OpenUrl,
    Reader,
    Status,
    Table,
    Text,
    Tone,
    buttons,
)
from bot.render.button_codec import safe_url
from bot.render.card_text import announce, footer, tone_word
from bot.render.safe_text import ELLIPSIS, clean, columns, cut, rule, width
from bot.render.values import write

__all__ = ["buttons", "render_rich", "render_text"]

_WIDEST_COLUMN = 60
_NARROWEST_COLUMN = 9
_LABEL = 75

_STATUS_STYLES = {
    Status.ANSWERED: "bold",
    Status.WORKING: "bold cyan",
    Status.QUESTION: "bold yellow",
    Status.NOT_UNDERSTOOD: "bold yellow",
    Status.REFUSED: "bold red",
    Status.FAILED: "bold red",
}
_TONE_STYLES = {Tone.PLAIN: "cyan", Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.DANGER: "red"}


class _Numbers:
    """Gives every button its number, in the order of `buttons(card)`."""

    def __init__(self) -> None:
        self.last = 0

    def label(self, button: Button) -> str:
        self.last += 1
        text = cut(clean(button.label).strip(), _LABEL) or ELLIPSIS
        match button.action:
            case OpenUrl(url):
                text += f": {url}" if safe_url(url) else " (no address that can be opened safely)"
            case _:
                pass
        return f"[{self.last}] {text}"


def _sentence(tone: Tone, text: str) -> str:
    word = tone_word(tone, text)
    return f"{word}: {text}" if word else text


# --- plain text ------------------------------------------------------------------------------------------------


def render_text(card: Card, reader: Reader) -> str:
    """A card as plain text without a final line break. Tables are aligned, nothing is wrapped, no ANSI codes."""
    numbers = _Numbers()
    paragraphs = [announce(card)]
    if card.title:
        paragraphs[0] += f"\n{clean(card.title)}"
    paragraphs += ["\n".join(_lines(block, reader, numbers)) for block in card.blocks]
    paragraphs.append("\n".join(numbers.label(button) for button in card.buttons))
    paragraphs.append("\n".join(footer(card, reader)))
    return "\n\n".join(each for each in paragraphs if each)


def _lines(block: Block, reader: Reader, numbers: _Numbers) -> Iterator[str]:
    match block:
        case Text(text):
            yield clean(text, lines=True)
        case Facts(facts):
            widest = max((width(clean(fact.label)) for fact in facts), default=0)
            for fact in facts:
                label = clean(fact.label)
                yield f"{label}:{' ' * (widest - width(label))} {write(fact.value, reader)}"
        case Table():
            yield from _table_lines(block, reader)
            if block.hidden:
                yield f"{block.hidden:,} more not shown."
            if block.more is not None:
                yield numbers.label(block.more)
        case Notice(tone, text):
            yield _sentence(tone, clean(text, lines=True))
        case Choices(prompt, options):
            yield clean(prompt, lines=True)
            yield from (numbers.label(option) for option in options)
        case _:
            assert_never(block)


def _table_lines(table: Table, reader: Reader) -> Iterator[str]:
    headings = [clean(column.title) for column in table.columns]
    written = [[write(cell, reader) for cell in row] for row in table.rows]
    numeric = [column.numeric for column in table.columns]
    laid_out = columns([headings, *written], numeric, widest=_WIDEST_COLUMN)
    yield laid_out[0]
    yield rule([headings, *written], len(headings), widest=_WIDEST_COLUMN)
    yield from laid_out[1:]
    if not written:
        yield "No rows."


# --- rich ------------------------------------------------------------------------------------------------------


def render_rich(card: Card, reader: Reader) -> RenderableType:
    """A card for a rich console; the numbers of the buttons are those of `buttons(card)`, counted from 1."""
    numbers = _Numbers()
    style = _STATUS_STYLES[card.status]
    # No frame at the sides: what is on a card can be copied.
    parts: list[RenderableType] = [RichText(announce(card), style=style)]
    if card.title:
        parts.append(RichText(clean(card.title), style="dim"))
    parts += [_rich(block, reader, numbers) for block in card.blocks]
    if card.buttons:
        parts.append(_pressed(card.buttons, numbers))
    lines = footer(card, reader)
    if lines:
        parts.append(RichText("\n".join(lines), style="dim"))
    border = style.removeprefix("bold").strip() or "none"
    return Panel(Group(*_with_gaps(parts)), box=box.HORIZONTALS, padding=0, border_style=border)


def _with_gaps(parts: Sequence[RenderableType]) -> Iterator[RenderableType]:
    for index, part in enumerate(parts):
        if index:
            yield RichText("")
        yield part


def _pressed(pressed: Sequence[Button], numbers: _Numbers) -> RichText:
    styles = {Tone.GOOD: "green", Tone.DANGER: "red"}
    lines = [RichText(numbers.label(each), style=styles.get(each.tone, "cyan")) for each in pressed]
    return RichText("\n").join(lines)


def _rich(block: Block, reader: Reader, numbers: _Numbers) -> RenderableType:
    match block:
        case Text(text, quiet):
            return RichText(clean(text, lines=True), style="dim" if quiet else "", overflow="fold")
        case Table() if block.rows:
            below: list[RenderableType] = []
            if block.hidden:
                below.append(RichText(f"{block.hidden:,} more not shown.", style="dim"))
            if block.more is not None:
                below.append(_pressed((block.more,), numbers))
            return Group(_FittingTable(block, reader), *below)
        case Notice(tone, text):
            return RichText(_sentence(tone, clean(text, lines=True)), style=_TONE_STYLES[tone])
        case Choices(prompt, options):
            return Group(RichText(clean(prompt, lines=True)), _pressed(options, numbers))
        case Facts() | Table():
            return RichText("\n".join(_lines(block, reader, numbers)))
        case _:
            assert_never(block)


@dataclass(frozen=True, slots=True)
class _FittingTable:
    """A table, or its rows one below the other where the terminal is too narrow for its columns."""

    table: Table
    reader: Reader

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if len(self.table.columns) * _NARROWEST_COLUMN <= options.max_width:
            yield self._as_table()
        else:
            for row in self.table.rows:
                pairs = zip(self.table.columns, row, strict=True)
                facts = Facts(tuple(Fact(column.title, cell) for column, cell in pairs))
                yield RichText("\n".join([*_lines(facts, self.reader, _Numbers()), ""]))

    def _as_table(self) -> RichTable:
        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in self.table.columns:
            justify: Literal["left", "right"] = "right" if column.numeric else "left"
            drawn.add_column(RichText(clean(column.title)), justify=justify, overflow="fold")
        for row in self.table.rows:
            drawn.add_row(*(RichText(write(cell, self.reader)) for cell in row))
        return drawn
