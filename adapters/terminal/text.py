"""Cards for a terminal: plain text for `ask`, and rich's renderables for the chat.

Foreign text must neither steer the terminal nor rich: control characters are gone before anything is laid out (`clean`),
and rich only ever gets `Text` objects, in which it reads no markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias, assert_never

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text as RichText

from bot.model.cards import (
    Block,
    Button,
    Card,
    Chart,
    Choices,
    Facts,
    Input,
    Notice,
    OpenUrl,
    Reader,
    Status,
    Table,
    Text,
    Tone,
)
from bot.render.button_codec import safe_url
from bot.render.card_text import Grid, announce, footer, grid, label_of, noticed, title_of
from bot.render.layout import WHOLE_LABEL, Line, layout
from bot.render.safe_text import clean, columns, rule, width
from bot.render.values import in_words

_WIDEST_COLUMN = 60

_STATUS_STYLES = {
    Status.ANSWERED: "bold",
    Status.WORKING: "bold cyan",
    Status.QUESTION: "bold yellow",
    Status.ASKED: "bold yellow",
    Status.NOT_UNDERSTOOD: "bold yellow",
    Status.REFUSED: "bold red",
    Status.FAILED: "bold red",
}
_TONE_STYLES = {Tone.PLAIN: "cyan", Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.DANGER: "red"}


_Numbers: TypeAlias = Iterator[int]
"""Each button takes the next one, in the order of `buttons(card)`."""


def _label(button: Button, numbers: _Numbers) -> str:
    text = label_of(button, WHOLE_LABEL)
    if isinstance(button.action, OpenUrl):
        url = button.action.url
        text += f": {url}" if safe_url(url) else " (no address that can be opened safely)"
    return f"[{next(numbers)}] {text}"


# --- plain text ------------------------------------------------------------------------------------------------


def render_text(card: Card, reader: Reader) -> str:
    """A card as plain text without a final line break. Tables are aligned, nothing is wrapped, no ANSI codes."""
    numbers = count(1)
    paragraphs = [announce(card)]
    if title := title_of(card):
        paragraphs[0] += f"\n{title}"
    paragraphs += ["\n".join(_lines(block, reader, numbers)) for block in card.blocks]
    paragraphs.append("\n".join(_label(button, numbers) for button in card.buttons))
    paragraphs.append("\n".join(footer(card, reader)))
    return "\n\n".join(each for each in paragraphs if each)


def _lines(block: Block, reader: Reader, numbers: _Numbers) -> Iterator[str]:
    match block:
        case Text(text):
            yield clean(text, lines=True)
        case Facts(facts):
            yield from _labelled([(clean(fact.label), in_words(fact.value, reader)) for fact in facts])
        case Table() | Chart():
            yield from _table_lines(block, reader)
        case Notice(tone, text):
            yield noticed(tone, clean(text, lines=True))
        case Choices(prompt, options):
            if prompt:
                yield clean(prompt, lines=True)
            yield from (_label(option, numbers) for option in options)
        case Input(label, example, submit):
            yield f"{clean(label)} (such as {clean(example)})"
            yield _label(submit, numbers)
        case _:
            assert_never(block)


def _labelled(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    widest = max((width(label) for label, _ in pairs), default=0)
    for label, value in pairs:
        yield f"{label}:{' ' * (widest - width(label))} {value}"


def _table_lines(table: Table | Chart, reader: Reader) -> Iterator[str]:
    written = grid(table, reader)
    if written.above:
        yield written.above
    everything = [written.headings, *written.rows]
    laid_out = columns(everything, written.numeric, widest=_WIDEST_COLUMN)
    laid_out.insert(1, rule(everything, len(written.headings), widest=_WIDEST_COLUMN))
    yield from laid_out
    if not written.rows:
        yield "No rows."
    if written.below:
        yield written.below


# --- rich ------------------------------------------------------------------------------------------------------


def render_rich(card: Card, reader: Reader) -> RenderableType:
    """A card for a rich console; the numbers of the buttons are those of `buttons(card)`, counted from 1."""
    numbers = count(1)
    style = _STATUS_STYLES[card.status]
    # No frame at the sides: what is on a card can be copied.
    parts: list[RenderableType] = [RichText(announce(card), style=style)]
    if title := title_of(card):
        parts.append(RichText(title, style="dim"))
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
    lines = [RichText(_label(each, numbers), style=styles.get(each.tone, "cyan")) for each in pressed]
    return RichText("\n").join(lines)


def _rich(block: Block, reader: Reader, numbers: _Numbers) -> RenderableType:
    match block:
        case Text(text, quiet):
            return RichText(clean(text, lines=True), style="dim" if quiet else "", overflow="fold")
        case Table() | Chart() if (written := grid(block, reader)).rows:
            parts: list[RenderableType] = [RichText(written.above)] if written.above else []
            parts.append(_FittingTable(written))
            if written.below:
                parts.append(RichText(written.below, style="dim"))
            return Group(*parts)
        case Notice(tone, text):
            return RichText(noticed(tone, clean(text, lines=True)), style=_TONE_STYLES[tone])
        case Choices(prompt, options):
            said = [RichText(clean(prompt, lines=True))] if prompt else []
            return Group(*said, _pressed(options, numbers))
        case Input(label, example, submit):
            return Group(RichText(f"{clean(label)} (such as {clean(example)})"), _pressed((submit,), numbers))
        case Facts() | Table() | Chart():
            return RichText("\n".join(_lines(block, reader, numbers)))
        case _:
            assert_never(block)


@dataclass(frozen=True, slots=True)
class _FittingTable:
    """A table as it fits the terminal's width."""

    written: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        laid_out = layout(self.written, options.max_width)
        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for heading, numeric in zip(_cells(laid_out.head), laid_out.numeric, strict=True):
            justify: Literal["left", "right"] = "right" if numeric else "left"
            drawn.add_column(heading, justify=justify, overflow="fold")
        for row in laid_out.rows:
            drawn.add_row(*_cells(row))
        yield drawn


def _cells(line: Line) -> list[RichText]:
    first, *others = map(RichText, line.cells)
    return [first.append(f"\n{line.below}", style="dim") if line.below else first, *others]
