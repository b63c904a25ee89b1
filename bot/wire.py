"""What leaves the product in a form that comes back or is read by programs: actions on buttons, and cards as JSON.

Every platform writes its buttons with `encode` and reads them with `decode`, so that a sentence, a ticket or a form
means the same wherever it was pressed. What comes back is a claim of the client's: shapes are checked here, rights later.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias, assert_never
from urllib.parse import urlsplit

from bot.cards import (
    Action,
    Block,
    Button,
    Card,
    Cell,
    Chart,
    Choices,
    Confirm,
    Day,
    Dismiss,
    Everyone,
    Facts,
    Flag,
    Form,
    Missing,
    Moment,
    Notice,
    Number,
    Only,
    OpenUrl,
    Run,
    Source,
    Submit,
    Table,
    Text,
    Words,
)
from bot.chat import Clicked, Filled
from bot.errors import BadArgument
from bot.intents import say

Json: TypeAlias = dict[str, Any]
Shorten: TypeAlias = Callable[[str], str]
"""Gives the short stand-in for a sentence that a button cannot carry. The sentence was stored before; the stand-in comes
back as `Clicked.sentence`, and whoever handed it out knows what it stands for."""

# --- actions ---------------------------------------------------------------------------------------------------


class Verb(StrEnum):
    """What a press asks for."""

    RUN = "run"
    CONFIRM = "confirm"
    DISMISS = "dismiss"
    SUBMIT = "submit"
    PICK = "pick"
    OPEN = "open"


KEYS = {
    Verb.RUN: "run",
    Verb.CONFIRM: "confirm",
    Verb.DISMISS: "dismiss",
    Verb.SUBMIT: "form",
    Verb.PICK: "pick",
}
"""The key under which a value travels where a platform takes an object instead of text."""

_LONGEST_SENTENCE = 4000
_ID = re.compile(r"[A-Za-z0-9_.~:-]{1,140}\Z")
_UNFIT_TO_TRAVEL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\\s|\\s$")


def encode(action: Action, fits: Callable[[str], bool], shorten: Shorten | None = None) -> tuple[Verb, str]:
    """An action as a verb and a text.

    Args:
        action: What the button does.
        fits: Whether the platform can carry a text in this spot.
        shorten: Gives the stand-in for a sentence that does not fit.

    Raises:
        ValueError: Something does not fit and nobody gave a stand-in that does. A ticket, a form's id or an address never
            has one.
    """
    match action:
        case Run(intent):
            return Verb.RUN, carried(say(intent), fits, shorten)
        case Confirm(ticket):
            verb, value = Verb.CONFIRM, ticket
        case Dismiss(ticket):
            verb, value = Verb.DISMISS, ticket
        case Submit(form):
            verb, value = Verb.SUBMIT, form
        case OpenUrl(url):
            verb, value = Verb.OPEN, url
        case _:
            assert_never(action)
    return verb, carried(value, fits)


def carried(text: str, fits: Callable[[str], bool], shorten: Shorten | None = None) -> str:
    """A text as a platform can carry it and give it back unchanged: itself, or its stand-in.

    Raises:
        ValueError: Neither fits.
    """
    if _can_travel(text, fits):
        return text
    stand_in = "" if shorten is None else shorten(text)
    if _can_travel(stand_in, fits):
        return stand_in
    raise ValueError(f"a button cannot carry this text of {len(text)} characters; shorten it first")


def _can_travel(text: str, fits: Callable[[str], bool]) -> bool:
    return bool(text) and fits(text) and not _UNFIT_TO_TRAVEL.search(text)


def decode(verb: str, value: object) -> Clicked | Filled | None:
    """What was pressed.

    Returns:
        The click; a `Filled` without values where somebody wants the form opened; None where the platform itself has
        done all there was to do (it opened a page).

    Raises:
        BadArgument: Not one of our buttons.
    """
    if verb == Verb.OPEN:
        return None
    if verb == Verb.PICK and isinstance(value, str):
        inner, _, rest = value.partition(":")
        return _decode_value(inner, rest)
    return _decode_value(verb, value)


def _decode_value(verb: str, value: object) -> Clicked | Filled:
    if isinstance(value, str):
        match verb:
            case Verb.RUN if value.strip() and len(value) <= _LONGEST_SENTENCE:
                return Clicked(sentence=value)
            case Verb.CONFIRM if _ID.match(value):
                return Clicked(confirm=value)
            case Verb.DISMISS if _ID.match(value):
                return Clicked(dismiss=value)
            case Verb.SUBMIT if _ID.match(value):
                return Filled(value, ())
    raise BadArgument(
        "This button is not one I made, or it arrived broken.",
        hint="Ask again, and use the new buttons.",
    )


def pack(action: Action, fits: Callable[[str], bool], shorten: Shorten | None = None) -> str:
    """An action as one text, for an entry of a menu; `decode(Verb.PICK, text)` reads it back. Raises as `encode` does."""
    verb = _verb(action)
    _, value = encode(action, lambda text: fits(f"{verb}:{text}"), shorten)
    return f"{verb}:{value}"


def _verb(action: Action) -> Verb:
    match action:
        case Run():
            return Verb.RUN
        case Confirm():
            return Verb.CONFIRM
        case Dismiss():
            return Verb.DISMISS
        case Submit():
            return Verb.SUBMIT
        case OpenUrl():
            return Verb.OPEN
        case _:
            assert_never(action)


def decode_data(data: object) -> Clicked | Filled:
    """What was pressed, where the platform sends an object: `{"run": …}`, or `{"pick": <input>, <input>: <entry>}`.

    Raises:
        BadArgument: Not one of our buttons, or more than one at once.
    """
    if isinstance(data, Mapping):
        verbs = [verb for verb, key in KEYS.items() if key in data]
        if len(verbs) == 1:
            value = data[KEYS[verbs[0]]]
            if verbs[0] == Verb.PICK:
                value = data.get(value) if isinstance(value, str) else None
                if value in (None, ""):
                    raise BadArgument(
                        "Nothing was chosen.", hint="Choose an entry of the list, then press the button."
                    )
            found = decode(verbs[0], value)
            if found is not None:
                return found
    return _decode_value("", None)


def safe_url(url: str) -> bool:
    """Whether an address may become a link: https, a host, nobody's password in it, nothing invisible."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not re.search(r"[\s<>|\"\\]", url)
    return plain and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


# --- cards as JSON ---------------------------------------------------------------------------------------------

_EXACT_IN_JSON = 2**53


def to_json(card: Card) -> Json:
    """A card for programs: every value with its type, nothing formatted, nothing cut.

    Numbers are JSON numbers where these are exact, else decimal strings; moments are ISO 8601 in UTC.
    """
    return {
        "headline": card.headline,
        "title": card.title,
        "status": card.status.value,
        "audience": _audience(card),
        "blocks": [_block(block) for block in card.blocks],
        "buttons": [_button(button) for button in card.buttons],
        "source": None if card.source is None else _source(card.source),
        "sentence": card.sentence,
        "reference": card.reference,
        "lasting": card.lasting,
        "nudge": None if card.nudge is None else {"person": card.nudge.person.key, "text": card.nudge.text},
        "reader": {"zone": card.reader.zone, "locale": card.reader.locale},
    }


def dumps(card: Card) -> str:
    """`to_json` as text. ASCII only, so that a hostile name cannot write escape sequences to a terminal."""
    return json.dumps(to_json(card), indent=2, ensure_ascii=True, allow_nan=False)


def _audience(card: Card) -> Json:
    match card.audience:
        case Only(person):
            return {"type": "only", "person": person.key}
        case Everyone():
            return {"type": "everyone"}
        case _:
            assert_never(card.audience)


def _block(block: Block) -> Json:
    match block:
        case Text(text, quiet, code):
            return {"type": "text", "text": text, "quiet": quiet, "code": code}
        case Facts(facts):
            return {
                "type": "facts",
                "facts": [{"label": fact.label, "value": _cell(fact.value)} for fact in facts],
            }
        case Table(columns, rows, more, hidden):
            return {
                "type": "table",
                "columns": [{"title": column.title, "numeric": column.numeric} for column in columns],
                "rows": [[_cell(cell) for cell in row] for row in rows],
                "more": None if more is None else _button(more),
                "hidden": hidden,
            }
        case Chart(title, shape, points, unit):
            return {
                "type": "chart",
                "title": title,
                "shape": shape.value,
                "unit": unit,
                "points": [{"label": point.label, "value": _number(point.value)} for point in points],
            }
        case Notice(tone, text):
            return {"type": "notice", "tone": tone.value, "text": text}
        case Choices(prompt, options):
            return {"type": "choices", "prompt": prompt, "options": [_button(option) for option in options]}
        case Form(form, fields, submit, title):
            return {
                "type": "form",
                "id": form,
                "title": title,
                "submit": submit,
                "fields": [
                    {
                        "key": field.key,
                        "label": field.label,
                        "input": field.input.value,
                        "options": [{"value": value, "label": label} for value, label in field.options],
                        "value": field.value,
                        "required": field.required,
                    }
                    for field in fields
                ],
            }
        case _:
            assert_never(block)


def _cell(cell: Cell) -> Json:
    match cell:
        case Words(text):
            return {"type": "text", "value": text}
        case Number(value, how, unit):
            return {"type": "number", "value": _number(value), "format": how, "unit": unit}
        case Moment(at, how):
            return {"type": "moment", "value": _instant(at), "format": how}
        case Day(on, how):
            return {"type": "day", "value": on.isoformat(), "format": how}
        case Flag(value):
            return {"type": "flag", "value": value}
        case Missing():
            return {"type": "missing", "value": None}
        case _:
            assert_never(cell)


def _number(value: float | Decimal) -> float | str:
    match value:
        case Decimal():
            return str(value)
        case int():
            return value if abs(value) <= _EXACT_IN_JSON else str(Decimal(value))
        case float():
            return value if math.isfinite(value) else str(value)


def _instant(at: datetime) -> str:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return aware.isoformat()


def _button(button: Button) -> Json:
    return {"label": button.label, "tone": button.tone.value, "action": _action(button.action)}


def _action(action: Action) -> Json:
    match action:
        case Run(intent):
            return {"type": "run", "sentence": say(intent)}
        case Confirm(ticket):
            return {"type": "confirm", "ticket": ticket}
        case Dismiss(ticket):
            return {"type": "dismiss", "ticket": ticket}
        case Submit(form):
            return {"type": "submit", "form": form}
        case OpenUrl(url):
            return {"type": "open", "url": url}
        case _:
            assert_never(action)


def _source(source: Source) -> Json:
    return {
        "connection": source.connection,
        "model": source.model,
        "data_loaded_at": None if source.data_loaded_at is None else _instant(source.data_loaded_at),
        "fetched_at": _instant(source.fetched_at),
        "cached": source.cached,
        "calls": source.calls,
        "cost": [{"api": each.api, "calls": each.calls, "left": each.left} for each in source.cost],
        "unread": source.unread,
        "sandbox": source.sandbox,
    }
