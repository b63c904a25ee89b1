"""What the values of a condition mean: typed, for fields whose types are known.

A condition comes as it was said. A value is read as one of its field's type here, once, before anything is asked; what
does not fit is refused with what would. `bot.celonis.filter_expr` writes what this reads.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import TypeAlias, assert_never
from zoneinfo import ZoneInfo

from bot.language.dates import DATES, Period, lasting, period
from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Not, Op, Or, all_of, comparisons, parts_of
from bot.model.names import Name

Value: TypeAlias = str | bool | Decimal | Period
Range: TypeAlias = tuple[str, datetime | None, datetime | None]
"""A field as it was called, the first instant, and the first instant after; None where there is no such end."""

_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "y", "1", "on", "ja", "wahr"), True),
    **dict.fromkeys(("false", "no", "n", "0", "off", "nein", "falsch"), False),
}
_FIT: Mapping[str, tuple[str, str]] = {
    "string": ("text", "Write any text; in quotes if it holds “and” or “or”."),
    "boolean": ("yes or no", "Write “yes” or “no”."),
    "integer": ("whole numbers", "Write a number such as 1000, 1,000 or 10k."),
    "number": ("numbers", "Write a number such as 1000, 1,000.50 or 10k."),
    "float": ("numbers", "Write a number such as 1000, 1,000.50 or 10k."),
    "date": ("days", "Write a day or a period, such as 2026-03-01, March 2026, Q3 2026 or “last month”."),
    "datetime": (
        "dates with a time",
        "Write a time or a period, such as 2026-03-01 20:00, today or “last 24 hours”.",
    ),
    "timestamp": (
        "dates with a time",
        "Write a time or a period, such as 2026-03-01 20:00, today or “last 24 hours”.",
    ),
}
"""What a field of a Celonis type holds, and how to write it."""
_TEXT_ONLY = frozenset({Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH})
_ORDERED = frozenset({Op.GT, Op.GE, Op.LT, Op.LE, Op.BETWEEN})
_SHOWN = 60
_MOST_DIGITS = 25
_SCALES = {"": 0, "k": 3, "m": 6, "mio": 6, "bn": 9}
_NUMBER = re.compile(r"(?P<sign>[-−–+]?) ?(?P<digits>[0-9][0-9., ']*|[.,][0-9]+) ?(?P<scale>[a-z]*)")
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:(?P<mark>[., '])[0-9]{3})(?:(?P=mark)[0-9]{3})*")


class Values:
    """Reads the values of a question's conditions.

    Args:
        types: The Celonis type of each field that may be used, by its id.
        zone: Where days begin at midnight.
        now: Aware; what `last month` counts from.
    """

    def __init__(self, types: Mapping[str, str], *, zone: ZoneInfo, now: datetime) -> None:
        self._types = types
        self._zone = zone
        self._now = now

    def read(self, comparison: Comparison) -> tuple[str, tuple[Value, ...]]:
        """A comparison's field type and values: a period for each date or time, a decimal for each number.

        Raises:
            BadArgument: The field is not among the types, a value does not fit its type, its type does not have the
                operator, or a range is the wrong way round or has no end to compare with.
        """
        field, op = comparison.field, comparison.op
        field_type = self._types.get(field.id)
        if field_type is None:
            raise _refused(
                f"{cut(field.text)} cannot be used in a condition here.", "Say “fields” for what can."
            )
        if field_type not in _FIT:
            raise _refused(
                f"{cut(field.text)} cannot be used in a condition: its type is “{cut(field_type)}”.",
                "Use a predefined filter instead; say “filters” for the list.",
            )
        if (op in _TEXT_ONLY and field_type != "string") or (op in _ORDERED and field_type == "boolean"):
            raise _wrong_operator(comparison, field_type)
        values = tuple(self._value(comparison, each, field_type) for each in comparison.values)
        if op is Op.BETWEEN and _backwards(*values):
            low, high = map(cut, comparison.values)
            raise _refused(
                f"“between {low} and {high}” holds nothing: the second is smaller than the first.",
                f"Write “between {high} and {low}”.",
            )
        return field_type, values

    def ranges(self, condition: Condition) -> tuple[Range, ...]:
        """What the dates and periods of a condition were taken for, so that a card can say it.

        Returns:
            A range for each comparison with a date or a date-time, except negated ones, and except fixed days compared
            with a field of days, which say it themselves.

        Raises:
            BadArgument: As for `read`.
        """
        return tuple(dict.fromkeys(self._ranges(condition)))

    def _ranges(self, condition: Condition) -> Iterator[Range]:
        match condition:
            case Comparison():
                yield from self._ranges_of(condition)
            case And(parts) | Or(parts):
                for part in parts:
                    yield from self._ranges(part)
            case Not():
                return
            case _:
                assert_never(condition)

    def _ranges_of(self, comparison: Comparison) -> Iterator[Range]:
        field_type, values = self.read(comparison)
        spans = [each for each in values if isinstance(each, Period)]
        if not spans or comparison.op is Op.NE:
            return
        if (
            field_type == "date"
            and all(each.one_day for each in spans)
            and self._fixed(comparison.values, spans)
        ):
            return
        called = comparison.field.text
        match comparison.op:
            case Op.BETWEEN:
                yield called, spans[0].start, spans[1].after
            case Op.GT:
                yield called, spans[0].after, None
            case Op.GE:
                yield called, spans[0].start, None
            case Op.LT:
                yield called, None, spans[0].start
            case Op.LE:
                yield called, None, spans[0].after
            case _:
                yield from ((called, span.start, span.end) for span in spans)

    def lasting(self, comparison: Comparison) -> Comparison:
        """A comparison in words that mean the same whenever they are read: dates where it says `last month`.

        Raises:
            BadArgument: As for `read`.
        """
        if self._types.get(comparison.field.id) not in DATES:
            return comparison
        _, read = self.read(comparison)
        spans = [each for each in read if isinstance(each, Period)]
        if self._fixed(comparison.values, spans):
            return comparison
        return replace(comparison, values=tuple(map(lasting, spans)))

    def _fixed(self, values: tuple[str, ...], spans: list[Period]) -> bool:
        """Whether the values mean the same at any other time."""
        later = self._now + timedelta(days=1000)
        return [period(each, self._zone, later) for each in values] == spans

    def _value(self, comparison: Comparison, text: str, field_type: str) -> Value:
        found: Value | None
        if field_type == "string":
            return text
        if field_type == "boolean":
            found = _BOOLEANS.get(text.strip().casefold())
        elif field_type in DATES:
            found = period(text, self._zone, self._now)
            if found is not None and field_type == "date" and found.clock:
                found = None
        else:
            found = _number(text)
            if found is not None and field_type == "integer" and found != int(found):
                found = None
        if found is None:
            raise _unfit(comparison, text, field_type)
        if isinstance(found, Period) and comparison.op in _ORDERED and None in {found.start, found.end}:
            said = " and ".join(map(cut, comparison.values))
            raise _refused(
                f"“{comparison.op} {said}” has no end to compare with.",
                f"Write “{cut(comparison.field.text)} = {said}”.",
            )
        return found


def _backwards(low: Value, high: Value) -> bool:
    match low, high:
        case Period(start=datetime() as first), Period(start=datetime() as last):
            end = last if low.one_day and high.one_day else high.after
            return end is not None and first.astimezone(UTC) > end.astimezone(UTC)
        case Decimal(), Decimal():
            return low > high
        case _:
            return False


def _unfit(comparison: Comparison, text: str, field_type: str) -> BadArgument:
    holds, hint = _FIT[field_type]
    if "%" in text and field_type in {"number", "float", "integer"}:
        hint = "Write the number as the field holds it, without the percent sign: 12 or 0.12."
    return _refused(f"“{cut(text)}” does not fit {cut(comparison.field.text)}, which holds {holds}.", hint)


def _wrong_operator(comparison: Comparison, field_type: str) -> BadArgument:
    holds, hint = _FIT[field_type]
    return _refused(
        f"“{comparison.op}” cannot be used with {cut(comparison.field.text)}, which holds {holds}.", hint
    )


def _refused(sentence: str, hint: str) -> BadArgument:
    return BadArgument(sentence, hint=hint, undone="Nothing was asked.")


def cut(text: str) -> str:
    """A text short enough for a sentence; on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


# --- numbers


def _number(text: str) -> Decimal | None:
    """A number, None if it is none.

    Raises:
        BadArgument: It can be read in two ways (`1.000`).
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").strip()
    found = _NUMBER.fullmatch(plain)
    if found is None or found["scale"] not in _SCALES:
        return None
    digits = found["digits"].strip()
    if re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{3}", digits):
        whole, scale = digits.replace(".", ""), found["scale"]
        raise _refused(
            f"“{cut(text)}” can be read as {whole}{scale} and as {digits}{scale} with a decimal point.",
            f"Write {whole}{scale}, or {digits}0{scale}.",
        )
    exact = _with_point(digits)
    if exact is None or len(exact) > _MOST_DIGITS:
        return None
    value = Decimal(exact).scaleb(_SCALES[found["scale"]])
    return -value if found["sign"] in {"-", "−", "–"} else value


def _with_point(digits: str) -> str | None:
    """Digits with a decimal point and nothing between groups, None if the marks do not add up.

    `1,000.50`, `1.000,50`, `1 000`, `1'000`, `1,000,000` and `1.000.000` are clear; a single comma before three digits
    groups them, as English does, unless a zero stands before it.
    """
    if re.fullmatch("[0-9]*", digits):
        return digits
    if _GROUPS.fullmatch(digits):
        return re.sub("[^0-9]", "", digits)
    whole, point, fraction = max(
        digits.rpartition("."), digits.rpartition(","), key=lambda parts: len(parts[0])
    )
    if not point or not re.fullmatch("[0-9]+", fraction):
        return None
    groups = _GROUPS.fullmatch(whole)
    if not re.fullmatch("[0-9]*", whole) and (groups is None or groups["mark"] == point):
        return None
    return f"{re.sub('[^0-9]', '', whole) or '0'}.{fraction}"


def combined(tests: Sequence[Condition], base: Condition | None) -> Condition | None:
    """All tests together with what was asked before; several values of one field are a list, a new one takes the old one's place."""
    by_field: dict[tuple[Name, Op], list[Comparison]] = {}
    parts: list[Condition] = []
    for each in chain.from_iterable(parts_of(test) for test in tests):
        if isinstance(each, Comparison):
            by_field.setdefault((each.field, each.op), []).append(each)
        else:
            parts.append(each)
    for (name, op), same in by_field.items():
        values = tuple(dict.fromkeys(value for each in same for value in each.values))
        if op is Op.EQ and len(values) > 1:
            parts.append(Comparison(name, Op.IN, values))
        else:
            parts.extend(dict.fromkeys(same))
    new = {of.field for each in parts for of in comparisons(each)}
    old = [each for each in parts_of(base) if not any(of.field in new for of in comparisons(each))]
    return all_of([*old, *parts])
