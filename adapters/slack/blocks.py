"""Cards as Block Kit. Pure: every limit and all escaping of Slack live here, and nothing is sent.

Foreign text only ever stands where Slack reads no markup (`plain_text` without emoji codes, `raw_text`, `rich_text`
elements), so `<!channel>`, `<@U1>` and `*bold*` are just characters. The one string with markup is a message's `text`,
which is escaped.

Limits: https://docs.slack.dev/reference/block-kit/blocks and the pages of the elements below it, read in 2026. Lengths
are counted in UTF-16 units, the stricter reading of "characters".
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from adapters.slack.charts import CHARTS, chart_block
from bot.language.declare import TYPED
from bot.model.cards import (
    Block,
    Button,
    Card,
    Chart,
    Choices,
    Fact,
    Facts,
    Input,
    Notice,
    OpenUrl,
    Reader,
    Submit,
    Table,
    Text,
    Tone,
    buttons_of,
)
from bot.model.people import Person
from bot.render.button_codec import LONGEST_TYPED, Shorten, Verb, can_be_pressed, encode, pack
from bot.render.card_text import Grid, announce, footer, grid, left_out, noticed, title_of
from bot.render.layout import (
    PHONE,
    WHOLE_LABEL,
    Layout,
    button_label,
    can_be_buttons,
    layout,
    without_columns,
)
from bot.render.safe_text import ELLIPSIS, clean, columns, cut, rule, units, whole_lines
from bot.render.values import in_words

Json: TypeAlias = dict[str, Any]

# --- limits ----------------------------------------------------------------------------------------------------

BLOCKS = 50
TEXT = 3000
HEADER = 150
ACTION_ELEMENTS = 25
BUTTON_VALUE = 2000
URL = 3000
OPTIONS = 100
OPTION_TEXT = 75
OPTION_VALUE = 150
PLACEHOLDER = 150
TABLE_ROWS = 100
TABLE_TEXT = 10_000

# Ours. A message's total size is not documented; 13,200 characters are known to be refused.
_MESSAGE_TEXT = 12_000
_BODY_BLOCKS = 36
_PARAGRAPHS = 4000
_TITLE = 600
_RADIO_BUTTONS = 5
_LABEL = 60
_FACT = 1000
_QUIET = 2000
_SENTENCE = 500
_MENTION = 500
_NARROW_COLUMN = 24

_STYLES = {Tone.PLAIN: None, Tone.WARNING: None, Tone.GOOD: "primary", Tone.DANGER: "danger"}
_USER_ID = re.compile(r"[UW][A-Z0-9]{1,20}\Z")


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What `chat.postMessage` takes: `text` is what notifications and screen readers say."""

    text: str
    blocks: list[Json]


def encoded(message: SlackMessage) -> bytes:
    """A message as the end of a JSON object that holds more: `"text":…,"blocks":…}`."""
    return json.dumps({"text": message.text, "blocks": message.blocks}, separators=(",", ":"))[1:].encode()


# --- small parts -----------------------------------------------------------------------------------------------


def _plain(text: str, length: int) -> Json:
    return {"type": "plain_text", "text": cut(text.strip(), length) or ELLIPSIS, "emoji": False}


def _context(text: str) -> Json:
    return {"type": "context", "elements": [_plain(text, _QUIET)]}


def _run(text: str, *, bold: bool = False) -> Json:
    return {"type": "text", "text": text, "style": {"bold": True}} if bold else {"type": "text", "text": text}


def _rich(*runs: Json, kind: str = "section") -> Json:
    return {"type": "rich_text", "elements": [{"type": f"rich_text_{kind}", "elements": list(runs)}]}


def _preformatted(text: str) -> Json:
    return _rich(_run(text or ELLIPSIS), kind="preformatted")


def escape(text: str) -> str:
    """Text for a string in which Slack reads `<…>` markup (https://docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fits_button(text: str) -> bool:
    return units(text) <= BUTTON_VALUE


def _fits_option(text: str) -> bool:
    return units(text) <= OPTION_VALUE


# --- a message -------------------------------------------------------------------------------------------------


def render(
    card: Card, reader: Reader, shorten: Shorten | None = None, *, charts: bool = False
) -> SlackMessage:
    """A card as a message.

    Args:
        card: What to show.
        reader: For whom values are written.
        shorten: Gives a stand-in for each sentence that a button cannot carry.
        charts: Let Slack draw charts; their values stand below all the same.

    Raises:
        ValueError: A sentence is longer than a button can carry, and `shorten` gave no stand-in that fits.
    """
    head = announce(card)
    lines = [cut(line, _SENTENCE) for line in footer(card, reader)]
    # What always stands there is counted first.
    below = [head, *lines, *(text for each in card.buttons for text in button_label(each))]
    room = _MESSAGE_TEXT - sum(map(units, below))
    message = _Message(card, reader, shorten, lines, room, charts=CHARTS if charts else 0)
    message.add({"type": "header", "text": _plain(head, HEADER)})
    if title := title_of(card):
        message.write(title, _TITLE)
    for block in card.blocks:
        message.block(block)
    message.finish()
    return SlackMessage(escape(cut(head, HEADER)), message.blocks)


@dataclass(slots=True)
class _Message:
    card: Card
    reader: Reader
    shorten: Shorten | None
    footer: list[str]
    room: int
    blocks: list[Json] = field(default_factory=list)
    has_table: bool = False
    charts: int = 0
    pressables: int = 0
    late: list[Button] = field(default_factory=list)
    left_out: int = 0

    def add(self, *blocks: Json) -> None:
        self.blocks.extend(blocks)

    def full(self) -> bool:
        return len(self.blocks) >= _BODY_BLOCKS or self.room <= 0

    # text

    def take(self, text: str, length: int) -> str:
        """As much of a text as there is room for; the cut is visible."""
        taken = cut(text, max(1, min(length, self.room)))
        self.room -= units(taken)
        return taken

    def write(self, text: str, length: int = _PARAGRAPHS) -> None:
        text = text.strip("\n")
        kept = self.take(text, length)
        for piece in whole_lines(kept, TEXT):
            if piece.strip():
                self.add(_rich(_run(piece)))

    # blocks

    def block(self, block: Block) -> None:
        if self.full():
            self.left_out += 1
            self.late.extend(each for each in buttons_of(block) if not isinstance(each.action, Submit))
            return
        match block:
            case Text(text, quiet, code):
                self.text(clean(text, lines=True), quiet=quiet, code=code)
            case Facts(facts):
                self.facts(facts)
            case Chart():
                self.table(block, drawn=self.chart(block))
            case Table():
                self.table(block)
            case Notice(tone, text):
                self.notice(tone, clean(text, lines=True))
            case Choices(prompt, options):
                self.choices(clean(prompt, lines=True), options)
            case Input():
                self.input(block)
            case _:
                assert_never(block)

    def text(self, text: str, *, quiet: bool, code: bool) -> None:
        if code:
            for piece in whole_lines(self.take(text, _PARAGRAPHS), TEXT):
                self.add(_preformatted(piece))
        elif quiet:
            self.add(_context(self.take(text, _QUIET)))
        else:
            self.write(text)

    def facts(self, facts: Sequence[Fact]) -> None:
        runs: list[Json] = []
        spent = 0
        for index, fact in enumerate(facts):
            label, value = (
                cut(clean(fact.label), _LABEL),
                cut(in_words(fact.value, self.reader), _FACT),
            )
            size = units(label) + units(value) + 3
            if spent + size > min(self.room, TEXT):
                runs.append(_run(left_out(len(facts) - index, "line")))
                break
            spent += size
            runs.extend((_run(f"{label}: ", bold=True), _run(f"{value}\n")))
        self.room -= spent
        if runs:
            runs[-1]["text"] = runs[-1]["text"].rstrip("\n") or " "
            self.add(_rich(*runs))

    def notice(self, tone: Tone, text: str) -> None:
        self.add(_rich(_run(self.take(noticed(tone, text), TEXT))))

    # tables

    def chart(self, chart: Chart) -> bool:
        """Whether Slack draws it: two a message."""
        block = chart_block(chart, self.reader) if self.charts else None
        if block is None or len(json.dumps(block)) > self.room:
            return False
        self.charts -= 1
        self.room -= len(json.dumps(block))
        self.add(block)
        return True

    def table(self, table: Table | Chart, *, drawn: bool = False) -> None:
        written = grid(table, self.reader, drawn_above=drawn)
        if written.above:
            self.add(_preformatted(self.take(written.above, _FACT)))
        if not written.rows:
            self.add(_context(written.without_rows))
        elif self.has_table:
            self.lines_of_table(written)
        else:
            self.real_table(layout(written))
        if written.below:
            self.add(_context(written.below))

    def real_table(self, laid_out: Layout) -> None:
        budget = min(TABLE_TEXT, self.room)
        rows: list[list[Json]] = []
        for line in (laid_out.head, *laid_out.rows):
            below = units(line.below) + 1 if line.below else 0  # it begins a line
            spent = sum(units(text) or 1 for text in line.cells) + below
            if spent > budget or len(rows) == TABLE_ROWS:
                break
            budget -= spent
            self.room -= spent
            first, *others = line.cells
            stands_out = line.below or (laid_out.split and rows)  # a heading stands out by itself
            rows.append([_first(first, line.below) if stands_out else _cell(first), *map(_cell, others)])
        if len(rows) > 1:
            self.has_table = True
            aligned = [
                {"align": "right" if numeric else "left", "is_wrapped": True} for numeric in laid_out.numeric
            ]
            self.add({"type": "table", "column_settings": aligned, "rows": rows})
        missing = len(laid_out.rows) - max(0, len(rows) - 1)
        if missing:
            self.add(_context(left_out(missing, "row")))

    def lines_of_table(self, written: Grid) -> None:
        """A table without Slack's table block, of which a message has one."""
        everything = [written.headings, *written.rows]
        lines = columns(everything, written.numeric, widest=_NARROW_COLUMN)
        if max(map(len, lines)) <= PHONE:
            lines.insert(1, rule(everything, len(written.headings), widest=_NARROW_COLUMN))
            kept = _that_fit(lines, min(TEXT, self.room))
            self.add(_preformatted("\n".join(kept)))
            missing = len(lines) - max(2, len(kept))
        else:
            pieces = without_columns(written)
            kept = _that_fit([f"{first}  {rest}" for first, rest in pieces], min(TEXT, self.room))
            runs = [
                run
                for first, rest in pieces[: len(kept)]
                for run in (_run(first, bold=True), _run(f"  {rest}\n"))
            ]
            if runs:
                self.add(_rich(*runs))
            missing = len(pieces) - len(kept)
        self.room -= sum(units(line) + 1 for line in kept)
        if missing:
            self.add(_context(left_out(missing, "row")))

    # what can be pressed

    def choices(self, prompt: str, options: Sequence[Button]) -> None:
        if prompt.strip():
            self.add(_rich(_run(self.take(prompt, TEXT))))
        if can_be_buttons(options):
            self.add(*self.action_blocks(options))
        else:
            self.add(*self.menus(options))

    def input(self, typed: Input) -> None:
        """A field in the message itself: what stands in it comes with the click on the button below."""
        (pressed,) = self.action_blocks((typed.submit,))
        # Slack keeps what was typed under a name that stays, so another question is another name.
        asked = zlib.crc32(pressed["elements"][0]["value"].encode())
        self.add(
            {
                "type": "input",
                "block_id": f"{TYPED}:{asked:08x}",
                "label": _plain(clean(typed.label), _TITLE),
                "element": {
                    "type": "plain_text_input",
                    "action_id": TYPED,
                    "placeholder": _plain(clean(typed.example), PLACEHOLDER),
                    "max_length": LONGEST_TYPED,
                },
            },
            pressed,
        )

    def action_blocks(self, pressed: Iterable[Button]) -> list[Json]:
        pressed = tuple(pressed)
        unsafe = [each for each in pressed if not can_be_pressed(each, URL)]
        elements = [self.button(each) for each in pressed if can_be_pressed(each, URL)]
        blocks: list[Json] = [
            {"type": "actions", "elements": elements[start : start + ACTION_ELEMENTS]}
            for start in range(0, len(elements), ACTION_ELEMENTS)
        ]
        if unsafe:
            labels = ", ".join(button_label(each)[0] for each in unsafe)
            blocks.append(_context(f"No safe address to open: {labels}"))
        return blocks

    def number(self, verb: Verb) -> str:
        self.pressables += 1
        return f"{verb}:{self.pressables - 1}"

    def button(self, button: Button) -> Json:
        verb, value = encode(button.action, _fits_button, self.shorten)
        label, whole = button_label(button)
        element: Json = {
            "type": "button",
            "action_id": self.number(verb),
            "text": _plain(label, WHOLE_LABEL),
        }
        if whole:
            element["accessibility_label"] = whole
        element["url" if verb == Verb.OPEN else "value"] = value
        style = _STYLES[button.tone]
        return element if style is None else element | {"style": style}

    def menus(self, options: Sequence[Button]) -> list[Json]:
        """Menus of at most 100 entries. Pages to open cannot be in a menu and stay buttons."""
        pages = [option for option in options if isinstance(option.action, OpenUrl)]
        others = [option for option in options if not isinstance(option.action, OpenUrl)]
        menus: list[Json] = []
        for start in range(0, len(others), OPTIONS):
            some = others[start : start + OPTIONS]
            prompt = "Choose" if len(others) <= OPTIONS else f"Choose ({start + 1} to {start + len(some)})"
            menus.append(
                {
                    "action_id": self.number(Verb.PICK),
                    "options": [self.option(option) for option in some],
                    # Of a few, all are to be seen at once, however long they are.
                    **(
                        {"type": "radio_buttons"}
                        if len(others) <= _RADIO_BUTTONS
                        else {"type": "static_select", "placeholder": _plain(prompt, PLACEHOLDER)}
                    ),
                }
            )
        shown = menus[:ACTION_ELEMENTS]
        blocks: list[Json] = [{"type": "actions", "elements": shown}] if shown else []
        if len(menus) > len(shown):
            blocks.append(_context(left_out(len(others) - ACTION_ELEMENTS * OPTIONS, "choice")))
        return [*blocks, *self.action_blocks(pages)]

    def option(self, button: Button) -> Json:
        """An entry of a menu. What of its label is too long for it stands in its description."""
        label = clean(button.label).strip()
        text = _plain(label, OPTION_TEXT)
        option: Json = {"text": text, "value": pack(button.action, _fits_option, self.shorten)}
        if units(label) > OPTION_TEXT:
            option["description"] = _plain(ELLIPSIS + label[len(text["text"]) - 1 :], OPTION_TEXT)
        return option

    # the end

    def finish(self) -> None:
        tail: list[Json] = []
        pressed = [*self.late, *self.card.buttons]
        if len(pressed) <= ACTION_ELEMENTS:
            tail += self.action_blocks(pressed)
        else:
            tail += self.action_blocks(pressed[: ACTION_ELEMENTS - 1])
            tail += self.menus(pressed[ACTION_ELEMENTS - 1 :])
        if self.footer:
            tail.append(_context("\n".join(self.footer)))
        body = self.blocks[: BLOCKS - 1 - len(tail)]
        if self.left_out or len(body) < len(self.blocks):
            body.append(_context(left_out(self.left_out + len(self.blocks) - len(body), "part")))
        self.blocks = [*body, *tail]


def _first(text: str, below: str) -> Json:
    """The first cell of a row that goes on below it."""
    return _rich(_run(text or ELLIPSIS, bold=True), *([_run(f"\n{below}")] if below else []))


def _cell(text: str) -> Json:
    return {"type": "raw_text", "text": text if text.strip() else " "}


def _that_fit(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


# --- mentions --------------------------------------------------------------------------------------------------


def render_mention(persons: Sequence[Person], text: str) -> SlackMessage:
    """A reply that mentions people; where an id is none of Slack's, the name stands there instead."""
    said = cut(clean(text, lines=True), _MENTION)
    who: list[Json] = []
    plain = ""
    for person in persons:
        if who:
            who.append(_run(" "))
        if person.platform == "slack" and _USER_ID.match(person.id):
            who.append({"type": "user", "user_id": person.id})
            plain += f"<@{person.id}> "
        else:
            name = cut(clean(person.name), _LABEL) or "Somebody"
            who.append(_run(name, bold=True))
            plain += f"{escape(name)} "
    return SlackMessage(plain + escape(said), [_rich(*who, _run(f" {said}"))])
