"""An answer, before any platform has seen it.

Text in here is plain: no markup, no escaping, no cutting. Commands put values into typed cells, and the renderers
write them for the reader's locale and zone, escape them, and keep within their platform's limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bot.model.intents import Intent

if TYPE_CHECKING:
    from bot.model.people import Person

HEADLINE_LENGTH = 120

# --- cells -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """Text, often from outside: any characters at all."""

    text: str


class Verdict(StrEnum):
    """Of a number against its target."""

    MET = "met"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Number:
    """A number with the format and unit that Celonis gives for it (`,.0f`, `#.###`, `%Y-%m-%d`; may be empty)."""

    value: int | float | Decimal
    format: str = ""
    unit: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment; aware, and shown in the reader's zone. `format` is Celonis' own, where it gave one."""

    at: datetime
    format: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, without a zone."""

    on: date
    format: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    value: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """No value; never shown as zero or as an empty string."""


Cell: TypeAlias = Words | Number | Moment | Day | Flag | Missing

# --- actions and buttons ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Say a sentence; on the wire it is `say(intent)`."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Confirm:
    """Answer yes to the question with this ticket."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Answer no to the question with this ticket."""

    ticket: str


@dataclass(frozen=True, slots=True)
class OpenUrl:
    """Open a page; only https addresses of a configured Celonis team are ever put here."""

    url: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Say a sentence with what stands in the text field above; on the wire it is `say(intent)` and the text beside it."""

    intent: Intent


Action: TypeAlias = Run | Submit | Confirm | Dismiss | OpenUrl


class Tone(StrEnum):
    """How much a button or a notice matters; never the only carrier of a meaning."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press; the label says what happens (never a bare "Cancel")."""

    label: str
    action: Action
    tone: Tone = Tone.PLAIN


# --- blocks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `quiet` ones are secondary. `code` ones keep every space (a curl line)."""

    text: str
    quiet: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled value."""

    label: str
    value: Cell


@dataclass(frozen=True, slots=True)
class Facts:
    """Labelled values, one below the other."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; `numeric` ones are set flush right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. `hidden` counts what is not shown, where the number is known."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    hidden: int = 0

    def __post_init__(self) -> None:
        wide = len(self.columns)
        if not wide or any(len(row) != wide for row in self.rows):
            raise ValueError(
                "every row of a table has as many cells as the table has columns, and at least one"
            )


class Drawing(StrEnum):
    """How a chart is drawn: bars from zero for things side by side, a line for points in time."""

    BARS = "bars"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Point:
    """One bar, or one place on the line."""

    label: Cell
    value: Number | Missing


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers to look at rather than to read. It holds every value, so no table repeats it.

    Attributes:
        title: What is drawn (the KPI's name), short.
        by: What the points are (the field's name, or “Month”), short.
        drawing: Bars or a line.
        points: Left to right, or top to bottom.
        target: What the numbers are measured against.
    """

    title: str
    by: str
    drawing: Drawing
    points: tuple[Point, ...]
    target: Number | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader should not miss."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Choices:
    """A pick list: short ones become buttons, long ones a menu."""

    prompt: str
    options: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A text field with the button that sends what was typed.

    Attributes:
        label: What to type.
        example: Stands in the field until something is typed.
        submit: Its action is a `Submit`.
    """

    label: str
    example: str
    submit: Button


Block: TypeAlias = Text | Facts | Table | Chart | Notice | Choices | Input

# --- cards -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls of one of Celonis' APIs that an answer took, and how many are left of that API."""

    api: str
    calls: int
    left: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where the Celonis data on a card comes from and how old it is; of several inputs the oldest counts.

    Attributes:
        connection: The Celonis team's name among ours.
        model: The knowledge model's or data pool's name, empty where there is none.
        data_loaded_at: When Celonis last loaded its data; None where that is not known, and then the card says so.
        fetched_at: When the bot read it (UTC).
        cached: Whether nothing had to be asked.
        cost: Every call of the request, by API; the dispatcher fills it in.
        unread: Items that Celonis sent and that could not be read.
        sandbox: Whether a sandbox stood in for the team; then headline and footer say SANDBOX.
        loaded: Whether it is loaded data at all; a job's state is read as it is, and has no load time.
        several: Whether there are other connections, so that a model's name alone does not say where it is.
    """

    connection: str
    fetched_at: datetime
    model: str = ""
    data_loaded_at: datetime | None = None
    cached: bool = False
    cost: tuple[Cost, ...] = ()
    unread: int = 0
    sandbox: bool = False
    loaded: bool = True
    several: bool = False

    @property
    def calls(self) -> int:
        """All calls of the request."""
        return sum(each.calls for each in self.cost)


@dataclass(frozen=True, slots=True)
class Only:
    """For one person's eyes."""

    person: Person


@dataclass(frozen=True, slots=True)
class Everyone:
    """For everybody in the place."""


Audience: TypeAlias = Only | Everyone


class Status(StrEnum):
    """What kind of answer a card is. The command line's exit code and the renderers' signs follow from it."""

    ANSWERED = "answered"
    WORKING = "working"
    QUESTION = "question"
    ASKED = "asked"
    NOT_UNDERSTOOD = "not understood"
    REFUSED = "refused"
    FAILED = "failed"


class Reader(NamedTuple):
    """For whom values are written, and when.

    Attributes:
        zone: An IANA name.
        locale: Such as `de` or `en_GB`.
        today: The day it is in that zone: times near it are written short. None: every time has its date.
    """

    zone: str = "UTC"
    locale: str = "en"
    today: date | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown.

    Attributes:
        headline: The verdict or the number first; at most 120 characters; it is the notification's text.
        title: What was asked, spelt out; empty where the headline says it all.
        blocks: The body, top to bottom.
        buttons: What one can do next.
        source: Required as soon as the card holds anything from Celonis.
        status: What kind of answer it is.
        sentence: The canonical sentence of the answered intent, for people to learn; empty where there is none.
        reference: A short id that also stands in the log; only on errors.
        sandbox: A sandbox stands in for Celonis; said even where nothing on the card comes from there.
    """

    headline: str
    title: str = ""
    blocks: tuple[Block, ...] = ()
    buttons: tuple[Button, ...] = ()
    source: Source | None = None
    status: Status = Status.ANSWERED
    sentence: str = ""
    reference: str = ""
    sandbox: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.headline) <= HEADLINE_LENGTH:
            raise ValueError(
                f"a headline has 1 to {HEADLINE_LENGTH} characters, this one {len(self.headline)}"
            )
        if sum(isinstance(each, Input) for each in self.blocks) > 1:
            raise ValueError("what is typed comes back without a name, so a card has one text field at most")


@dataclass(frozen=True, slots=True)
class Answer:
    """A card with how it travels.

    Attributes:
        card: What is shown.
        audience: Who may see it.
        reader: For whom its values are written.
        editable: Must still be changed later (questions, running work): an ordinary message, never an ephemeral one.
        replaces: Whether it takes the place of the message that was clicked; else it stands beside it (the question
            there stays open).
        mention: Who is mentioned in a short reply with the headline, sent once: an edited message wakes no phone.
        ticket: The question that stands on the card; its message is changed when the question ends.
        aloud: Whether everybody in the place is to see it, even where such a request is answered to its person alone.
    """

    card: Card
    audience: Audience = field(default_factory=Everyone)
    reader: Reader = field(default_factory=Reader)
    editable: bool = False
    replaces: bool = True
    mention: tuple[Person, ...] = ()
    ticket: str = ""
    aloud: bool = False

    @property
    def working(self) -> bool:
        """Whether another one follows: it only tells that work goes on."""
        return self.card.status is Status.WORKING


def headline(text: str) -> str:
    """Text as a headline: one line, cut visibly at 120 characters."""
    line = " ".join(text.split()) or "…"
    return line if len(line) <= HEADLINE_LENGTH else line[: HEADLINE_LENGTH - 1].rstrip() + "…"


def buttons(card: Card) -> tuple[Button, ...]:
    """Everything that can be pressed on a card, top to bottom: what stands in its blocks, then its buttons.

    Where there are no real buttons (a terminal), their number in this order is how one presses them.
    """
    return (*(button for block in card.blocks for button in buttons_of(block)), *card.buttons)


def buttons_of(block: Block) -> tuple[Button, ...]:
    """What can be pressed in a block."""
    match block:
        case Choices(_, options):
            return options
        case Input(submit=submit):
            return (submit,)
        case _:
            return ()
