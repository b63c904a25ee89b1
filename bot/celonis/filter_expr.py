"""A condition as filter expressions, in the one form in which nothing that was typed can become a part of the query.

Celonis' OData-typed form (developer.celonis.com, "filtering"): fields bare, strings in single quotes with quotes inside
doubled, numbers, booleans and dates bare, operators in lower case. Literals are written from typed values, so text only
ever enters an expression between quotes.

`is empty` exists in the legacy form only (`field is null`), and the two must not be mixed in one expression. Several
expressions hold together, so it becomes an expression of its own where the condition allows that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol, TypeAlias, assert_never

from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Not, Op, Or, comparisons, parts_of
from bot.model.names import Name

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


class Period(Protocol):
    """A half-open stretch of time; see `bot.language.dates.Period`."""

    @property
    def start(self) -> datetime | None: ...

    @property
    def end(self) -> datetime | None: ...

    @property
    def after(self) -> datetime | None: ...

    @property
    def instant(self) -> bool: ...

    @property
    def one_day(self) -> bool: ...


Read: TypeAlias = Callable[[Comparison], tuple[str, tuple[str | bool | Decimal | Period, ...]]]
"""A comparison's field type and values, all of them texts, flags, decimals or periods; raises `BadArgument`."""


def filter_expressions(condition: Condition, read: Read) -> tuple[str, ...]:
    """A condition as filter expressions; a row must meet all of them.

    Args:
        condition: Every comparison's field has its id.
        read: What the values mean. Days begin where its periods do; date-times are sent in UTC.

    Raises:
        BadArgument: As `read`; or a field's id cannot stand in an expression, or `is empty` stands where Celonis
            cannot combine it.
    """
    typed: list[str] = []
    legacy: list[str] = []
    for part in parts_of(condition):
        if all(each.op is Op.IS_EMPTY for each in comparisons(part)):
            legacy.append(_written(part, lambda each: _is_null(each, read)))
        else:
            typed.append(_written(part, lambda each: _comparison(each, read)))
    return (*((" and ".join(typed),) if typed else ()), *legacy)


def _written(condition: Condition, write: Callable[[Comparison], str]) -> str:
    """One operand of `and`: a comparison, or something in parentheses."""
    match condition:
        case Comparison():
            return write(condition)
        case Not(part):
            return f"not {_enclosed(_written(part, write))}"
        case And(parts):
            return f"({' and '.join(_written(part, write) for part in parts)})"
        case Or(parts):
            return f"({' or '.join(_written(part, write) for part in parts)})"
        case _:
            assert_never(condition)


def _is_null(comparison: Comparison, read: Read) -> str:
    read(comparison)
    return f"{_field(comparison.field)} is null"


def _comparison(comparison: Comparison, read: Read) -> str:
    op = comparison.op
    field_type, values = read(comparison)
    field = _field(comparison.field)
    if op is Op.IS_EMPTY:
        raise _refused(
            "“is empty” can stand beside other conditions with “and” only, not with them in “or” or “not”: "
            "Celonis has no way to combine them.",
            "Ask in two questions.",
        )
    if function := _FUNCTIONS.get(op):
        return f"{function}({field},{_literal(values[0])})"
    spans = [each for each in values if not isinstance(each, str | bool | Decimal)]
    if spans and not (field_type == "date" and all(each.one_day for each in spans)):
        return _within_periods(field, op, spans, field_type)
    literals = [_edge(each.start, field_type) for each in spans] or [_literal(each) for each in values]
    match op:
        case Op.IN:
            return f"{field} in ({','.join(literals)})"
        case Op.BETWEEN:
            return f"({field} ge {literals[0]} and {field} le {literals[1]})"
        case _:
            return f"{field} {_COMPARES[op]} {literals[0]}"


def _within_periods(field: str, op: Op, spans: list[Period], field_type: str) -> str:
    first = spans[0]
    match op:
        case Op.IN:
            return f"({' or '.join(_within(field, each.start, each.end, field_type) for each in spans)})"
        case Op.BETWEEN:
            return _within(field, first.start, spans[1].after, field_type)
        case Op.EQ:
            return _within(field, first.start, first.end, field_type)
        case Op.NE:
            return f"not {_enclosed(_within(field, first.start, first.end, field_type))}"
        case _ if first.instant:
            return f"{field} {_COMPARES[op]} {_edge(first.start, field_type)}"
        case _:
            # `>` begins where the period ends, `<=` ends where it ends.
            edge = first.end if op in {Op.GT, Op.LE} else first.start
            return f"{field} {'ge' if op in {Op.GT, Op.GE} else 'lt'} {_edge(edge, field_type)}"


def _within(field: str, start: datetime | None, end: datetime | None, field_type: str) -> str:
    edges = []
    if start is not None:
        edges.append(f"{field} ge {_edge(start, field_type)}")
    if end is not None:
        edges.append(f"{field} lt {_edge(end, field_type)}")
    return edges[0] if len(edges) == 1 else f"({' and '.join(edges)})"


def _edge(at: datetime | None, field_type: str) -> str:
    """An instant as a literal; fractions of a second are cut off, since no literal with them is documented."""
    assert at is not None
    return (
        at.date().isoformat() if field_type == "date" else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def _literal(value: object) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bool():
            return "true" if value else "false"
        case Decimal():
            said = format(value, "f")
            said = said.rstrip("0").rstrip(".") if "." in said else said
            return "0" if said in {"-0", ""} else said
        case _:
            raise TypeError(f"no literal is known for {type(value).__name__}")


def _field(field: Name) -> str:
    if not _SAFE_FIELD.match(field.id) or field.id.casefold() in _WORDS_OF_THE_LANGUAGE:
        raise _refused(
            f"{field.text[:60]} cannot be used in a condition: its id is not one that the filter language can hold.",
            "Use a predefined filter instead; say “filters” for the list.",
        )
    return field.id


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


def _refused(sentence: str, hint: str) -> BadArgument:
    return BadArgument(sentence, hint=hint, undone="Nothing was asked.")
