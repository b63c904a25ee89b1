"""A card as JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_never

from bot.language.say import say
from bot.model.cards import (
    Action,
    Answer,
    Audience,
    Block,
    Button,
    Cell,
    Chart,
    Choices,
    Confirm,
    Day,
    Dismiss,
    Everyone,
    Facts,
    Flag,
    Input,
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
from bot.render.button_codec import Json

_EXACT_IN_JSON = 2**53


def to_json(answer: Answer) -> Json:
    """An answer for programs: every value with its type, nothing formatted, nothing cut.

    Numbers are JSON numbers where these are exact, else decimal strings; moments are ISO 8601 in UTC.
    """
    card = answer.card
    return {
        "headline": card.headline,
        "title": card.title,
        "status": card.status.value,
        "audience": _audience(answer.audience),
        "blocks": [_block(block) for block in card.blocks],
        "buttons": [_button(button) for button in card.buttons],
        "source": None if card.source is None else _source(card.source),
        "sentence": card.sentence,
        "reference": card.reference,
        "editable": answer.editable,
        "mention": ", ".join(each.key for each in answer.mention) or None,
        "reader": {"zone": answer.reader.zone, "locale": answer.reader.locale},
    }


def dumps(answer: Answer) -> str:
    """`to_json` as text. ASCII only, so that a hostile name cannot write escape sequences to a terminal."""
    return json.dumps(to_json(answer), indent=2, ensure_ascii=True, allow_nan=False)


def _audience(audience: Audience) -> Json:
    match audience:
        case Only(person):
            return {"type": "only", "person": person.key}
        case Everyone():
            return {"type": "everyone"}
        case _:
            assert_never(audience)


def _block(block: Block) -> Json:
    match block:
        case Text(text, quiet, code):
            return {"type": "text", "text": text, "quiet": quiet, "code": code}
        case Facts(facts):
            return {
                "type": "facts",
                "facts": [{"label": fact.label, "value": _cell(fact.value)} for fact in facts],
            }
        case Table(columns, rows, hidden):
            return {
                "type": "table",
                "columns": [{"title": column.title, "numeric": column.numeric} for column in columns],
                "rows": [[_cell(cell) for cell in row] for row in rows],
                "hidden": hidden,
            }
        case Chart(title, by, drawing, points, target):
            return {
                "type": "chart",
                "title": title,
                "by": by,
                "drawing": drawing.value,
                "points": [{"label": _cell(point.label), "value": _cell(point.value)} for point in points],
                "target": None if target is None else _cell(target),
            }
        case Notice(tone, text):
            return {"type": "notice", "tone": tone.value, "text": text}
        case Choices(prompt, options):
            return {"type": "choices", "prompt": prompt, "options": [_button(option) for option in options]}
        case Input(label, example, submit):
            return {"type": "input", "label": label, "example": example, "submit": _button(submit)}
        case _:
            assert_never(block)


def _cell(cell: Cell) -> Json:
    match cell:
        case Words(text):
            return {"type": "text", "value": text}
        case Number(value, how, unit, verdict):
            judged = {} if verdict is None else {"verdict": verdict.value}
            return {"type": "number", "value": _number(value), "format": how, "unit": unit, **judged}
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
        case Submit(intent):
            return {"type": "submit", "sentence": say(intent)}
        case Confirm(ticket):
            return {"type": "confirm", "ticket": ticket}
        case Dismiss(ticket):
            return {"type": "dismiss", "ticket": ticket}
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
