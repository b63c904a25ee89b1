"""A condition as filter expressions, in the one form in which nothing that was typed can become a part of the query.

Celonis' OData-typed form (developer.celonis.com, "filtering"): fields bare, strings in single quotes with quotes inside
doubled, numbers, booleans and dates bare, operators in lower case. A literal is first read as a value of its field's
type and then written anew, so text only ever enters an expression between quotes.

`is empty` exists in the legacy form only (`field is null`), and the two must not be mixed in one expression. Several
expressions hold together, so it becomes an expression of its own where the condition allows that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias, assert_never
from zoneinfo import ZoneInfo

from bot.language.dates import Period, period
from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Not, Op, Or, comparisons

_SAFE_FIELD = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*\Z")
_WORDS_OF_THE_LANGUAGE = frozenset(
    {"and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "in", "is", "null", "true", "false"}
    | {"contains", "startswith", "endswith"}
)
_COMPARES: Mapping[Op, str] = {Op.EQ: "eq", Op.NE: "ne", Op.GT: "gt", Op.GE: "ge", Op.LT: "lt", Op.LE: "le"}
_FUNCTIONS: Mapping[Op, str] = {
    Op.CONTAINS: "contains",
    Op.STARTS_WITH: "startswith",
    Op.ENDS_WITH: "endswith",
}
_BOOLEANS: Mapping[str, str] = {
    **dict.fromkeys(("true", "yes", "y", "1", "on", "ja", "wahr"), "true"),
    **dict.fromkeys(("false", "no", "n", "0", "off", "nein", "falsch"), "false"),
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
_TIMES = frozenset({"date", "datetime", "timestamp"})
_SHOWN = 60
_MOST_DIGITS = 25
_SCALES = {"": 0, "k": 3, "m": 6, "mio": 6, "bn": 9}
_NUMBER = re.compile(r"(?P<sign>[-−–+]?) ?(?P<digits>[0-9][0-9., ']*|[.,][0-9]+) ?(?P<scale>[a-z]*)")
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:(?P<mark>[., '])[0-9]{3})(?:(?P=mark)[0-9]{3})*")

Range: TypeAlias = tuple[str, datetime | None, datetime | None]
"""A field as it was called, the first instant, and the first instant after; None where there is no such end."""


def filter_expressions(
    condition: Condition, types: Mapping[str, str], *, zone: ZoneInfo, now: datetime
) -> tuple[str, ...]:
    """A condition as filter expressions; a row must meet all of them.

    Args:
        condition: Every comparison's field has its id.
        types: The Celonis type of each field that may be used, by its id.
        zone: Where days begin at midnight; date-times are sent in UTC.
        now: Aware; what `last month` counts from.

    Raises:
        BadArgument: A field that is not in `types`, a value that does not fit its field's type, an operator that its
            type does not have, or `is empty` where Celonis cannot combine it.
    """
    writer = _Writer(types, zone, now)
    typed: list[str] = []
    legacy: list[str] = []
    for part in condition.parts if isinstance(condition, And) else (condition,):
        if all(each.op is Op.IS_EMPTY for each in comparisons(part)):
            legacy.append(writer.legacy(part))
        else:
            typed.append(writer.typed(part))
    return (*((" and ".join(typed),) if typed else ()), *legacy)


def ranges(
    condition: Condition, types: Mapping[str, str], *, zone: ZoneInfo, now: datetime
) -> tuple[Range, ...]:
    """What the dates and periods of a condition were taken for, so that a card can say it.

    Args:
        condition: Every comparison's field has its id.
        types: The Celonis type of each field that may be used, by its id.
        zone: Where days begin at midnight.
        now: Aware; what `last month` counts from.

    Returns:
        A range for each comparison with a date or a date-time, except negated ones, and except fixed days compared
        with a field of days, which say it themselves.

    Raises:
        BadArgument: As for `filter_expressions`.
    """
    writer = _Writer(types, zone, now)
    return tuple(dict.fromkeys(_ranges(condition, writer)))


def _ranges(condition: Condition, writer: _Writer) -> Iterator[Range]:
    match condition:
        case Comparison():
            yield from writer.ranges(condition)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _ranges(part, writer)
        case Not():
            return
        case _:
            assert_never(condition)


class _Writer:
    def __init__(self, types: Mapping[str, str], zone: ZoneInfo, now: datetime) -> None:
        self.types = types
        self.zone = zone
        self.now = now

    # --- the two forms

    def typed(self, condition: Condition) -> str:
        """One operand of `and`: a comparison, or something in parentheses."""
        match condition:
            case Comparison():
                return self._comparison(condition)
            case Not(part):
                return f"not {_enclosed(self.typed(part))}"
            case And(parts):
                return f"({' and '.join(self.typed(part) for part in parts)})"
            case Or(parts):
                return f"({' or '.join(self.typed(part) for part in parts)})"
            case _:
                assert_never(condition)

    def legacy(self, condition: Condition) -> str:
        """The same for a condition that consists of `is empty` alone."""
        match condition:
            case Comparison(field=field):
                return f"{self._field(field.id, field.text)[0]} is null"
            case Not(part):
                return f"not {_enclosed(self.legacy(part))}"
            case And(parts):
                return f"({' and '.join(self.legacy(part) for part in parts)})"
            case Or(parts):
                return f"({' or '.join(self.legacy(part) for part in parts)})"
            case _:
                assert_never(condition)

    def _field(self, field_id: str, called: str) -> tuple[str, str]:
        """A field's id and type."""
        if field_id not in self.types:
            raise _refused(
                f"{_cut(called)} cannot be used in a condition here.", "Say “fields” for what can."
            )
        known = _SAFE_FIELD.match(field_id) and field_id.casefold() not in _WORDS_OF_THE_LANGUAGE
        if not known:
            raise _refused(
                f"{_cut(called)} cannot be used in a condition: its id is not one that the filter language can hold.",
                "Use a predefined filter instead; say “filters” for the list.",
            )
        field_type = self.types[field_id]
        if field_type not in _FIT:
            raise _refused(
                f"{_cut(called)} cannot be used in a condition: its type is “{_cut(field_type)}”.",
                "Use a predefined filter instead; say “filters” for the list.",
            )
        return field_id, field_type

    # --- comparisons

    def _comparison(self, comparison: Comparison) -> str:
        field, field_type = self._field(comparison.field.id, comparison.field.text)
        op, values = comparison.op, comparison.values
        match op:
            case Op.IS_EMPTY:
                raise _refused(
                    "“is empty” can stand beside other conditions with “and” only, not with them in “or” or “not”: "
                    "Celonis has no way to combine them.",
                    "Ask in two questions.",
                )
            case Op.CONTAINS | Op.STARTS_WITH | Op.ENDS_WITH:
                if field_type != "string":
                    raise self._wrong_operator(comparison, field_type)
                return f"{_FUNCTIONS[op]}({field},{_quoted(values[0])})"
            case Op.GT | Op.GE | Op.LT | Op.LE | Op.BETWEEN if field_type == "boolean":
                raise self._wrong_operator(comparison, field_type)
            case _ if field_type in _TIMES:
                return self._time_comparison(comparison, field, field_type)
            case Op.IN:
                return (
                    f"{field} in ({','.join(self._literal(comparison, each, field_type) for each in values)})"
                )
            case Op.BETWEEN:
                low, high = (self._literal(comparison, each, field_type) for each in values)
                if field_type != "string" and Decimal(low) > Decimal(high):
                    raise self._backwards(comparison)
                return f"({field} ge {low} and {field} le {high})"
            case _:
                return f"{field} {_COMPARES[op]} {self._literal(comparison, values[0], field_type)}"

    def _literal(self, comparison: Comparison, text: str, field_type: str) -> str:
        found: str | None
        match field_type:
            case "string":
                found = _quoted(text)
            case "boolean":
                found = _BOOLEANS.get(text.strip().casefold())
            case _:
                found = _number(text)
                if found is not None and field_type == "integer" and "." in found:
                    found = None
        if found is None:
            raise self._unfit(comparison, text, field_type)
        return found

    # --- dates and date-times

    def _time_comparison(self, comparison: Comparison, field: str, field_type: str) -> str:
        op = comparison.op
        spans = [self._period(comparison, each, field_type) for each in comparison.values]
        if field_type == "date" and all(map(_is_one_day, spans)):
            days = [_edge(span.start, field_type) for span in spans]
            match op:
                case Op.IN:
                    return f"{field} in ({','.join(days)})"
                case Op.BETWEEN:
                    if days[0] > days[1]:
                        raise self._backwards(comparison)
                    return f"({field} ge {days[0]} and {field} le {days[1]})"
                case _:
                    return f"{field} {_COMPARES[op]} {days[0]}"
        match op:
            case Op.IN:
                return f"({' or '.join(_within(field, span, field_type) for span in spans)})"
            case Op.BETWEEN:
                return _within(field, self._from_to(comparison, *spans), field_type)
            case Op.EQ:
                return _within(field, spans[0], field_type)
            case Op.NE:
                return f"not {_enclosed(_within(field, spans[0], field_type))}"
            case _:
                return self._beside(comparison, spans[0], field, field_type)

    def _beside(self, comparison: Comparison, span: Period, field: str, field_type: str) -> str:
        """Before or after a period: `>` begins where it ends, `<=` ends where it ends."""
        op = comparison.op
        if span.start is None or span.end is None:
            raise self._open_ended(comparison)
        if span.instant:
            return f"{field} {_COMPARES[op]} {_edge(span.start, field_type)}"
        edge = span.end if op in {Op.GT, Op.LE} else span.start
        return f"{field} {'ge' if op in {Op.GT, Op.GE} else 'lt'} {_edge(edge, field_type)}"

    def _from_to(self, comparison: Comparison, first: Period, last: Period) -> Period:
        if None in {first.start, first.end, last.start, last.end}:
            raise self._open_ended(comparison)
        assert first.start is not None
        assert last.after is not None
        if first.start.astimezone(UTC) > last.after.astimezone(UTC):
            raise self._backwards(comparison)
        return Period(first.start, last.after)

    def _period(self, comparison: Comparison, text: str, field_type: str) -> Period:
        found = period(text, self.zone, self.now)
        if found is None or (field_type == "date" and found.clock):
            raise self._unfit(comparison, text, field_type)
        return found

    def ranges(self, comparison: Comparison) -> Iterator[Range]:
        _, field_type = self._field(comparison.field.id, comparison.field.text)
        if field_type not in _TIMES or comparison.op in {Op.NE, Op.IS_EMPTY}:
            return
        spans = [self._period(comparison, each, field_type) for each in comparison.values]
        if field_type == "date" and all(map(_is_one_day, spans)) and self._fixed(comparison.values, spans):
            return
        called = comparison.field.text
        match comparison.op:
            case Op.BETWEEN:
                both = self._from_to(comparison, *spans)
                yield called, both.start, both.end
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

    def _fixed(self, values: tuple[str, ...], spans: list[Period]) -> bool:
        """Whether the values mean the same at any other time."""
        later = self.now + timedelta(days=1000)
        return [period(each, self.zone, later) for each in values] == spans

    # --- refusals

    def _unfit(self, comparison: Comparison, text: str, field_type: str) -> BadArgument:
        holds, hint = _FIT[field_type]
        if "%" in text and field_type in {"number", "float", "integer"}:
            hint = "Write the number as the field holds it, without the percent sign: 12 or 0.12."
        return _refused(
            f"“{_cut(text)}” does not fit {_cut(comparison.field.text)}, which holds {holds}.", hint
        )

    def _wrong_operator(self, comparison: Comparison, field_type: str) -> BadArgument:
        holds, hint = _FIT[field_type]
        said = f"“{comparison.op}” cannot be used with {_cut(comparison.field.text)}, which holds {holds}."
        return _refused(said, hint)

    def _backwards(self, comparison: Comparison) -> BadArgument:
        low, high = map(_cut, comparison.values)
        return _refused(
            f"“between {low} and {high}” holds nothing: the second is smaller than the first.",
            f"Write “between {high} and {low}”.",
        )

    def _open_ended(self, comparison: Comparison) -> BadArgument:
        said = " and ".join(map(_cut, comparison.values))
        return _refused(
            f"“{comparison.op} {said}” has no end to compare with.",
            f"Write “{_cut(comparison.field.text)} = {said}”.",
        )


def _refused(sentence: str, hint: str) -> BadArgument:
    return BadArgument(sentence, hint=hint, undone="Nothing was asked.")


def _cut(text: str) -> str:
    """A text short enough for a sentence; on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


# --- literals --------------------------------------------------------------------------------------------------


def _enclosed(expression: str) -> str:
    """In parentheses, unless it is one pair of parentheses already."""
    depth = 0
    quoted = False
    for index, char in enumerate(expression):
        quoted ^= char == "'"
        depth += 0 if quoted else (char == "(") - (char == ")")
        if depth == 0:
            whole = index == len(expression) - 1 and index > 0
            return expression if whole and expression[0] == "(" else f"({expression})"
    return f"({expression})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _within(field: str, span: Period, field_type: str) -> str:
    edges = []
    if span.start is not None:
        edges.append(f"{field} ge {_edge(span.start, field_type)}")
    if span.end is not None:
        edges.append(f"{field} lt {_edge(span.end, field_type)}")
    return edges[0] if len(edges) == 1 else f"({' and '.join(edges)})"


def _edge(at: datetime | None, field_type: str) -> str:
    """An instant as a literal; fractions of a second are cut off, since no literal with them is documented."""
    assert at is not None
    return (
        at.date().isoformat() if field_type == "date" else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def _is_one_day(span: Period) -> bool:
    return (
        not span.clock
        and span.start is not None
        and span.end is not None
        and span.end.date() - span.start.date() == timedelta(days=1)
    )


def _number(text: str) -> str | None:
    """A number in its one canonical form, None if it is none.

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
            f"“{_cut(text)}” can be read as {whole}{scale} and as {digits}{scale} with a decimal point.",
            f"Write {whole}{scale}, or {digits}0{scale}.",
        )
    exact = _with_point(digits)
    if exact is None or len(exact) > _MOST_DIGITS:
        return None
    value = Decimal(exact).scaleb(_SCALES[found["scale"]])
    said = format(value, "f")
    said = (said.rstrip("0").rstrip(".") if "." in said else said).lstrip("0") or "0"
    said = f"0{said}" if said.startswith(".") else said
    return f"-{said}" if found["sign"] in {"-", "−", "–"} and value else said


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
