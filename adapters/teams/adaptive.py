"""Cards as Adaptive Cards 1.5. Pure: every limit and all escaping of Teams live here, and nothing is sent.

A `TextBlock` reads Markdown, a `TextRun` does not; so all text stands in text runs, and foreign text is just characters.
A card's size stays under 28 KB of ASCII JSON, which is well under what Teams takes however it counts. What does not fit
is cut visibly.

Sources: https://adaptivecards.io/explorer (schema 1.5.0), https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format,
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages, read in 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, TypeAlias, assert_never

from adapters.teams.actions import VALUE, Plan, planned
from adapters.teams.charts import chart_element
from bot.language.declare import TYPED
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
    Table,
    Text,
    Tone,
)
from bot.model.people import Person
from bot.render.button_codec import LONGEST_TYPED, Shorten, Verb, encode, pack
from bot.render.card_text import announce, footer, grid, label_of, left_out, noticed, title_of
from bot.render.layout import Layout, Line, button_label, button_rows, layout
from bot.render.safe_text import ELLIPSIS, clean, cut
from bot.render.values import in_words

Json: TypeAlias = dict[str, Any]

# --- limits ----------------------------------------------------------------------------------------------------

CARD_SIZE = 28 * 1024

# Ours: what keeps a card readable on a phone, and leaves room for the rest of it.
_MENU_SIZE = 10_000
_OPTIONS = 100
_TITLE = 300
_LABEL = 60
_OPTION_LABEL = 90
_QUIET = 300
_PARAGRAPHS = 4000
_MENTION = 500
_LINES = 60
_FACT = 1000

_STYLES = {Tone.PLAIN: None, Tone.WARNING: None, Tone.GOOD: "positive", Tone.DANGER: "destructive"}
_NOTICE_STYLES = {
    Tone.PLAIN: "emphasis",
    Tone.GOOD: "good",
    Tone.WARNING: "warning",
    Tone.DANGER: "attention",
}
_MENTIONABLE_ID = re.compile(
    r"(29:[\w-]{1,200}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z", re.ASCII
)
_MENTIONABLE_NAME = re.compile(r"[\w '.,-]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!~|<>&])")


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def size(part: object) -> int:
    """Length as ASCII JSON, the longest form in which a card ever travels."""
    return len(_as_json(part)) + 1


# --- small parts -----------------------------------------------------------------------------------------------


def _run(text: str, **how: object) -> Json:
    return {"type": "TextRun", "text": text or " ", **how}


def _rich(*runs: Json, **how: object) -> Json:
    return {"type": "RichTextBlock", "inlines": list(runs), **how}


def _quiet(text: str, **how: object) -> Json:
    return _rich(_run(text, size="Small", isSubtle=True), **how)


def _bold(text: str) -> Json:
    return _run(text, weight="Bolder")


def escape(text: str) -> str:
    """Text for the few places that may read Markdown and take nothing else."""
    return _MARKDOWN.sub(r"\\\1", text)


def _envelope(said: str) -> Json:
    """A card without its body; notifications and screen readers say this."""
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": "en",
        "fallbackText": escape(said),
        # What looks like speech markup would be read as such.
        "speak": re.sub("[<>&]", " ", said).strip() or ELLIPSIS,
    }


def _fits(text: str) -> bool:
    return size(text) <= VALUE


def _action(button: Button, shorten: Shorten | None) -> Json:
    title, whole = button_label(button)
    how: Json = {"title": title} | ({"tooltip": whole} if whole else {})
    verb, value = encode(button.action, _fits, shorten)
    if verb == Verb.OPEN:
        return {"type": "Action.OpenUrl", **how, "url": value}
    style = _STYLES[button.tone]
    return _execute(verb, {verb.value: value}, "none", how if style is None else {**how, "style": style})


def _execute(verb: Verb, data: Json, inputs: str, how: Json) -> Json:
    how = {**how, "data": data, "associatedInputs": inputs}
    return {"type": "Action.Execute", "verb": verb.value, **how, "fallback": {"type": "Action.Submit", **how}}


# --- a card ----------------------------------------------------------------------------------------------------


def render(card: Card, reader: Reader, shorten: Shorten | None = None, *, charts: bool = False) -> Json:
    """A card as an Adaptive Card 1.5 that the strict schema takes.

    Args:
        card: What to show.
        reader: For whom values are written.
        shorten: Gives a stand-in for each sentence that a button cannot carry.
        charts: Let Teams draw charts, with the form in characters as their fallback. The public schema knows none.

    Raises:
        ValueError: A sentence is longer than a button should carry, and `shorten` gave no stand-in that fits.
    """
    return _Sheet(card, reader, shorten, charts).render()


def full_width(rendered: Json) -> Json:
    """The same card as wide as the window. Teams' own key, which the public schema does not know."""
    return {**rendered, "msteams": {"width": "Full"}}


@dataclass(slots=True)
class _Sheet:
    card: Card
    reader: Reader
    shorten: Shorten | None
    charts: bool
    room: int = CARD_SIZE
    menus: int = 0
    lonely: bool = False
    """Whether the card has one field only, so that no button but its own is held up where it is empty."""

    def render(self) -> Json:
        plan = planned(self.card)
        typed = sum(isinstance(each, Input) for each in self.card.blocks)
        self.lonely = len(plan.menus - plan.moved) + bool(plan.rest) + typed == 1
        head = announce(self.card)
        top = [_rich(_run(head, size="Large", weight="Bolder"))]
        if title := title_of(self.card):
            top.append(_rich(_run(cut(title, _TITLE))))
        tail = [*self.action_sets(plan.bottom), *self.tail(plan)]
        rendered = _envelope(head) | {"body": []}
        self.room -= size(rendered) + size(top) + size(tail) + _NOTE
        rest: list[Json] = []
        if plan.rest:
            rest = self.menu("More", plan.rest)
        rendered["body"] = [*top, *self.body(plan), *rest, *tail]
        return rendered

    def tail(self, plan: Plan) -> list[Json]:
        lines = [cut(line, _QUIET) for line in footer(self.card, self.reader)]
        if plan.lost:
            labels = ", ".join(clean(button.label) for button in plan.lost)
            lines.insert(0, cut(f"Cannot be opened from here: {labels}", _QUIET))
        return [
            _quiet(line, separator=True, spacing="Medium") if index == 0 else _quiet(line, spacing="None")
            for index, line in enumerate(lines)
        ]

    def body(self, plan: Plan) -> list[Json]:
        """The blocks. What can be pressed is laid out first, so that long text never takes its room."""
        pressed = {
            index: [] if index in plan.moved else self.pressable(block, menu=index in plan.menus)
            for index, block in enumerate(self.card.blocks)
        }
        elements: list[Json] = []
        missing = 0
        for index, block in enumerate(self.card.blocks):
            if self.room < _NOTE:
                missing += 0 if isinstance(block, Choices | Input) else 1
            else:
                elements.extend(self.readable(block))
            elements.extend(pressed[index])
        # Headings and notes may have gone over the edge.
        for at in reversed(range(len(elements))):
            if self.room < 0 and elements[at]["type"] not in _PRESSED:
                self.room += size(elements.pop(at))
                missing += 1
        if missing:
            elements.append(_quiet(left_out(missing, "part")))
        return elements

    # what can be pressed

    def spend(self, elements: list[Json]) -> list[Json]:
        self.room -= size(elements)
        return elements

    def pressable(self, block: Block, *, menu: bool) -> list[Json]:
        match block:
            case Choices(prompt, options):
                label = cut(clean(prompt).strip(), _TITLE)
                usable = [each for each in options if not isinstance(each.action, OpenUrl)]
                if menu:
                    return self.menu(label, usable)
                shown = self.action_sets(usable)
                return self.spend(([_rich(_run(label))] if label else []) + shown)
            case Input():
                return self.input(block)
            case Text() | Facts() | Table() | Chart() | Notice():
                return []
            case _:
                assert_never(block)

    def action_sets(self, pressed: Iterable[Button]) -> list[Json]:
        return [
            {"type": "ActionSet", "actions": [_action(each, self.shorten) for each in row]}
            for row in button_rows(pressed)
        ]

    def input(self, typed: Input) -> list[Json]:
        """A field in the card itself: what stands in it comes with the press of the button below."""
        verb, value = encode(typed.submit.action, _fits, self.shorten)
        field_: Json = {
            "type": "Input.Text",
            "id": TYPED,
            "label": cut(clean(typed.label).strip(), _TITLE) or ELLIPSIS,
            "placeholder": cut(clean(typed.example), _OPTION_LABEL),
            "maxLength": LONGEST_TYPED,
            "errorMessage": "Type something first.",
        }
        if self.lonely:
            field_["isRequired"] = True
        how = {"title": button_label(typed.submit)[0]}
        press = {"type": "ActionSet", "actions": [_execute(verb, {verb.value: value}, "auto", how)]}
        return self.spend([field_, press])

    def menu(self, label: str, options: Sequence[Button]) -> list[Json]:
        key = f"{Verb.PICK}:{self.menus}"
        self.menus += 1
        room = min(_MENU_SIZE, self.room - _NOTE)
        choices: list[Json] = []
        for option in options[:_OPTIONS]:
            value = pack(option.action, _fits, self.shorten)
            choice = {"title": label_of(option, _OPTION_LABEL), "value": value}
            room -= size(choice)
            if room < 0 and choices:
                break
            choices.append(choice)
        field_: Json = {
            "type": "Input.ChoiceSet",
            "id": key,
            "label": label or "Choose",
            "style": "compact",
            "wrap": True,
            "placeholder": "Pick one",
            "errorMessage": "Choose an entry of the list first.",
            "choices": choices,
        }
        if self.lonely:
            field_["isRequired"] = True
        press = {
            "type": "ActionSet",
            "actions": [_execute(Verb.PICK, {Verb.PICK.value: key}, "auto", {"title": "Choose"})],
        }
        elements = [field_, press]
        if len(choices) < len(options):
            elements.insert(1, _quiet(left_out(len(options) - len(choices), "choice")))
        return self.spend(elements)

    # what can be read

    def readable(self, block: Block) -> list[Json]:
        match block:
            case Text(text, quiet, code):
                return self.paragraphs(clean(text, lines=True), quiet=quiet, code=code)
            case Facts(facts):
                rows = [
                    _rich(
                        _bold(f"{cut(clean(fact.label), _LABEL)}: "),
                        _run(cut(in_words(fact.value, self.reader), _FACT)),
                        spacing="Small",
                    )
                    for fact in facts
                ]
                return self.that_fit(rows, "line")
            case Chart():
                return self.chart(block)
            case Table():
                return self.table(block)
            case Notice(tone, text):
                return self.notice(tone, clean(text, lines=True))
            case Choices() | Input():
                return []
            case _:
                assert_never(block)

    def that_fit(self, elements: Sequence[Json], what: str) -> list[Json]:
        kept: list[Json] = []
        for element in elements:
            if size(element) > self.room - _NOTE:
                return [*kept, *self.spend([_quiet(left_out(len(elements) - len(kept), what))])]
            kept += self.spend([element])
        return kept

    def paragraphs(self, text: str, *, quiet: bool, code: bool) -> list[Json]:
        # Line breaks inside a text run are not drawn everywhere, so every line is a block of its own.
        how: Json = (
            {"isSubtle": True, "size": "Small"} if quiet else {"fontType": "Monospace"} if code else {}
        )
        blocks: list[Json] = []
        gap = "Default"
        for line in cut(text, _PARAGRAPHS).split("\n"):
            if line.strip():
                blocks.append(_rich(_run(line, **how), spacing=gap))
                gap = "None"
            else:
                gap = "Medium"
        shown = self.that_fit(blocks[:_LINES], "line")
        if len(blocks) > _LINES:
            shown.append(_quiet(left_out(len(blocks) - _LINES, "line")))
        return shown

    def notice(self, tone: Tone, text: str) -> list[Json]:
        said = cut(noticed(tone, text), _PARAGRAPHS)
        lines = [line for line in said.split("\n") if line.strip()]
        items = [
            _rich(_run(lines[0])),
            *(_rich(_run(line), spacing="None") for line in lines[1:_LINES]),
        ]
        self.room -= size({"type": "Container", "style": _NOTICE_STYLES[tone], "items": []})
        return [{"type": "Container", "style": _NOTICE_STYLES[tone], "items": self.that_fit(items, "line")}]

    def chart(self, chart: Chart) -> list[Json]:
        in_characters = self.table(chart)
        # What is said below the rows holds for the drawn chart too.
        split = len(in_characters) - bool(chart.target)
        otherwise, below = in_characters[:split], in_characters[split:]
        drawn = chart_element(chart, self.reader, otherwise) if self.charts else None
        extra = 0 if drawn is None else size(drawn) - size(otherwise)
        if drawn is None or extra > self.room - _NOTE:
            return in_characters
        self.room -= extra
        return [drawn, *below]

    def table(self, table: Table | Chart) -> list[Json]:
        written = grid(table, self.reader)
        elements: list[Json] = []
        if written.above:
            elements += self.that_fit([_rich(_run(written.above, fontType="Monospace"))], "line")
        if not written.rows:
            elements += self.that_fit([_quiet(cut(written.without_rows, _PARAGRAPHS))], "line")
        else:
            elements += self.grid(layout(written))
        if written.below:
            elements += self.spend([_quiet(written.below)])
        return elements

    def grid(self, laid_out: Layout) -> list[Json]:
        # The first row is the heading by default. The schema and the clients disagree on that property's name
        # (firstRowAsHeader, firstRowAsHeaders), so it stays unsaid.
        table: Json = {
            "type": "Table",
            "columns": [
                {"width": need + 1, "horizontalCellContentAlignment": "Right" if right else "Left"}
                for need, right in zip(laid_out.needs, laid_out.numeric, strict=True)
            ],
            "rows": [_row(laid_out.head, bold=len(laid_out.needs))],
            "showGridLines": True,
        }
        rows, kept = laid_out.rows, 0
        if size(table) > self.room - _NOTE:
            return self.spend([_quiet(left_out(len(rows), "row"))])
        self.spend([table])
        for row in rows:
            line = _row(row, bold=int(laid_out.split))
            if size(line) > self.room - _NOTE:
                break
            self.room -= size(line)
            table["rows"].append(line)
            kept += 1
        if kept == len(rows):
            return [table]
        return [*([table] if kept else []), *self.spend([_quiet(left_out(len(rows) - kept, "row"))])]


_PRESSED = ("ActionSet", "Input.ChoiceSet", "Input.Text")
_NOTE = size(_quiet(left_out(10**9, "choice"))) + 100


def _row(line: Line, *, bold: int) -> Json:
    """A row whose first cells stand out, as many as `bold`."""
    cells = [[_rich(_bold(text) if at < bold else _run(text))] for at, text in enumerate(line.cells)]
    if line.below:
        cells[0].append(_quiet(line.below, spacing="None"))
    return {"type": "TableRow", "cells": [{"type": "TableCell", "items": items} for items in cells]}


# --- mentions --------------------------------------------------------------------------------------------------


def render_mention(persons: Sequence[Person], text: str) -> Json:
    """A small card that mentions people; where an id is none of Teams', only the name stands there.

    The mentions need the root key `msteams`, which the public schema does not know.
    """
    said = cut(clean(text).strip(), _MENTION) or ELLIPSIS
    card = _envelope(said)
    entities: dict[str, Json] = {}
    unknown: list[str] = []
    for person in persons:
        name = "".join(_MENTIONABLE_NAME.findall(clean(person.name)))[:_LABEL].strip() or "you"
        if person.platform != "teams" or not _MENTIONABLE_ID.match(person.id):
            unknown.append(name)
            continue
        # Each text stands for one person, and people may have the same name.
        same = (f"<at>{name} {number}</at>" for number in count(2))
        at = next(each for each in chain([f"<at>{name}</at>"], same) if each not in entities)
        entities[at] = {"type": "mention", "text": at, "mentioned": {"id": person.id, "name": name}}
    names = [_bold(", ".join(unknown)), _run(" ")] if unknown else []
    if not entities:
        card["body"] = [_rich(*names[:1], _run(f" {said}"))]
        return card
    card["body"] = [
        {"type": "TextBlock", "text": " ".join(entities), "wrap": True},
        _rich(*names, _run(said), spacing="None"),
    ]
    return card | {"msteams": {"entities": list(entities.values())}}
