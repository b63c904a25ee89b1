"""Values from Celonis as typed cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from bot.celonis import Header
from bot.language.dates import DATES
from bot.model.cards import Cell, Day, Flag, Missing, Moment, Number, Words

NUMERIC = frozenset({"integer", "float", "number"})
_HOLDS = {
    "string": "text",
    "integer": "whole numbers",
    "float": "numbers",
    "number": "numbers",
    "boolean": "yes or no",
    "date": "dates",
    "datetime": "moments",
    "timestamp": "moments",
    "time": "times of day",
}


def is_numeric(kind: str) -> bool:
    """Whether a column of this Celonis type is set flush right."""
    return kind in NUMERIC


def cell(kind: str, value: object, *, format: str = "", unit: str = "") -> Cell:  # noqa: A002 - Celonis' own word
    """A value of a data reply as a cell.

    Args:
        kind: The header's type: string, integer, float, number, boolean, date, time, datetime, timestamp.
        value: As it came in the JSON. What does not fit its type is shown as the text it is.
        format: The header's format.
        unit: The header's unit.
    """
    if value is None:
        return Missing()
    if isinstance(value, bool):
        return Flag(value)
    if kind in NUMERIC and (number := _number(value)) is not None:
        return Number(number, format, unit)
    if kind == "boolean" and str(value).casefold() in {"true", "false"}:
        return Flag(str(value).casefold() == "true")
    if kind in DATES and (moment := _moment(value)) is not None:
        if isinstance(moment, datetime) and kind != "date":
            return Moment(moment, format)
        return Day(moment.date() if isinstance(moment, datetime) else moment, format)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Number(value, format, unit)
    return Words(str(value))


def holds(kind: str) -> str:
    """What a field of Celonis' type holds, in people's words."""
    return _HOLDS.get(kind, kind)


def value_of(
    row: Mapping[str, object],
    column: str,
    headers: Mapping[str, Header],
    kind: str = "",
    *,
    format: str = "",  # noqa: A002 - Celonis' own word
    unit: str = "",
) -> Cell:
    """The value in one column of a row of a data reply.

    Args:
        row: By the columns' ids.
        column: The column's id.
        headers: What Celonis says of the columns, by id.
        kind: The type to go by, where it is known better than from the header.
        format: The format where the header gives none.
        unit: The unit where the header gives none.
    """
    header = headers.get(column)
    if header is not None:
        kind, format, unit = kind or header.type, header.format or format, header.unit or unit  # noqa: A001 - as above
    return cell(kind, row.get(column), format=format, unit=unit)


def decimal(value: object) -> Decimal | None:
    """A finite number that may stand as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _number(value: object) -> int | float | Decimal | None:
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return decimal(value)


def _moment(value: object) -> date | datetime | None:
    """ISO text or epoch milliseconds; a moment without a zone is taken as UTC, as Celonis stores it."""
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, OSError, ValueError):
            return None
    text = str(value).strip()
    try:
        if len(text) == len("2026-01-31"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
