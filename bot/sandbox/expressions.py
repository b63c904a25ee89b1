"""`filterExpr` in its two dialects: OData-typed (strings quoted) and legacy (values bare).

An expression with a quoted string is OData-typed, any other may be legacy; what belongs to the other dialect is then
refused. [choice], because none of it is published: how both are told apart; that the legacy comma means "and" and
binds loosest; that `is` takes `null` and `not null`; that comparisons with null hold for no row, not even under
`not`; that text is compared case sensitively; that a day given for a date-time is its midnight in UTC; the titles and
codes of the errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from bot.sandbox.replies import Refused, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.schema import Field, Value

Operator: TypeAlias = Literal["eq", "ne", "gt", "ge", "lt", "le"]
Truth: TypeAlias = "bool | None"
Test: TypeAlias = "Callable[[int], Truth]"
Resolve: TypeAlias = "Callable[[str], tuple[Field, Callable[[int], Value]]]"

_DEEPEST = 100
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')(?=[\s(),]|$)|([(),])|([^\s(),']\S*?(?=[\s(),]|$)))")
_OPERATORS = ("eq", "ne", "gt", "ge", "lt", "le")
_FUNCTIONS = ("contains", "startswith", "endswith")
_NUMBER = re.compile(r"-?\d+(\.\d+)?$")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$")


@dataclass(frozen=True, slots=True)
class Given:
    """A literal as it was written."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator literal`."""

    field: str
    operator: Operator
    given: Given


@dataclass(frozen=True, slots=True)
class OneOf:
    """`field in (literal, ...)`."""

    field: str
    given: tuple[Given, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """`contains(field, text)` and its like."""

    function: str
    field: str
    given: Given


@dataclass(frozen=True, slots=True)
class IsNull:
    """`field is null`."""

    field: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Not:
    """`not part`."""

    part: Node


@dataclass(frozen=True, slots=True)
class All:
    """`part and part ...`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`part or part ...`."""

    parts: tuple[Node, ...]


Node: TypeAlias = "Comparison | OneOf | Match | IsNull | Not | All | AnyOf"


def illegal(detail: str) -> Refused:
    """[choice] The error for an expression that can't be used."""
    return refusal("bad expression", detail=detail)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["string", "mark", "word", "end"]
    text: str
    at: int
    end: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise illegal(f"Syntax error at position {at}.")
        kind: Literal["string", "mark", "word"] = "string" if match[1] else "mark" if match[2] else "word"
        found.append(_Token(kind, match[0].lstrip(), match.end() - len(match[0].lstrip()), match.end()))
        at = match.end()
    found.append(_Token("end", "", end, end))
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        self.typed = any(token.kind == "string" for token in self._tokens)

    def parse(self) -> Node:
        parts = [self._or()]
        while self._take(","):
            self._legacy_only("','")
            parts.append(self._or())
        if self._next.kind != "end":
            raise self._wrong()
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> bool:
        if self._next.kind != "string" and self._next.text in texts:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong()

    def _wrong(self) -> Refused:
        token = self._next
        what = "end of the expression" if token.kind == "end" else f"'{token.text}'"
        return illegal(f"Unexpected {what} at position {token.at}.")

    def _legacy_only(self, what: str) -> None:
        if self.typed:
            raise illegal(f"{what} can't be combined with quoted strings: the expression mixes two dialects.")

    def _or(self) -> Node:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _and(self) -> Node:
        parts = [self._unary()]
        while self._take("and"):
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise illegal("The expression is nested too deeply.")
        try:
            if self._take("not"):
                return Not(self._unary())
            if self._take("("):
                inner = self._or()
                self._expect(")")
                return inner
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Node:
        token = self._next
        if token.kind != "word":
            raise self._wrong()
        self._at += 1
        if token.text in _FUNCTIONS and self._next.text == "(":
            return self._function(token.text)
        if self._take("is", "IS"):
            self._legacy_only("'is'")
            negated = self._take("not", "NOT")
            if not self._take("null", "NULL"):
                raise self._wrong()
            return IsNull(token.text, negated)
        if self._take("in", "IN"):
            return self._in(token.text)
        if self._take("not"):
            self._expect("eq")
            return Comparison(token.text, "ne", self._literal())
        for operator in _OPERATORS:
            if self._take(operator):
                return Comparison(token.text, operator, self._literal())  # type: ignore[arg-type] # one of the six
        raise self._wrong()

    def _function(self, name: str) -> Node:
        self._expect("(")
        token = self._next
        if token.kind != "word":
            raise self._wrong()
        self._at += 1
        self._expect(",")
        given = self._literal()
        self._expect(")")
        return Match(name, token.text, given)

    def _in(self, field: str) -> Node:
        self._expect("(")
        given = [self._literal()]
        while self._take(","):
            given.append(self._literal())
        self._expect(")")
        return OneOf(field, tuple(given))

    def _literal(self) -> Given:
        first = self._next
        if first.kind == "string":
            self._at += 1
            return Given(first.text[1:-1].replace("''", "'"), quoted=True)
        last = first
        while self._next.kind == "word" and self._next.text not in ("and", "or"):
            last = self._next
            self._at += 1
            if self.typed:
                break
        if first.kind != "word" or first.text in ("and", "or"):
            raise self._wrong()
        return Given(self._text[first.at : last.end], quoted=False)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes:
        node: Its tree.
        typed: OData-typed; else legacy.
    """

    node: Node
    typed: bool

    def fields(self) -> list[str]:
        """The fields it mentions, as written."""
        return _fields(self.node)

    def test(self, resolve: Resolve) -> Test:
        """A test of rows by number.

        Args:
            resolve: Gives the field and the way to its values for a name as written; raises for an unknown one.

        Raises:
            Refused: A field that can't be filtered on, or a literal that doesn't fit its field.
        """
        return _compile(self.node, resolve, typed=self.typed)


def parse(text: str) -> Expression:
    """Parses one `filterExpr`.

    Raises:
        Refused: It isn't in either dialect, or in both.
    """
    parser = _Parser(text)
    return Expression(parser.parse(), parser.typed)


def _fields(node: Node) -> list[str]:
    match node:
        case Not(part):
            return _fields(part)
        case All(parts) | AnyOf(parts):
            return [name for part in parts for name in _fields(part)]
        case Comparison() | OneOf() | Match() | IsNull():
            return [node.field]


def _compile(node: Node, resolve: Resolve, *, typed: bool) -> Test:
    match node:
        case Not(part):
            inner = _compile(part, resolve, typed=typed)
            return lambda row: None if (truth := inner(row)) is None else not truth
        case All(parts):
            return _all([_compile(part, resolve, typed=typed) for part in parts])
        case AnyOf(parts):
            return _any([_compile(part, resolve, typed=typed) for part in parts])
        case _:
            return _leaf(node, resolve, typed=typed)


def _leaf(node: Comparison | OneOf | Match | IsNull, resolve: Resolve, *, typed: bool) -> Test:
    field, get = resolve(node.field)
    if not field.filterable:
        raise illegal(f"Field '{node.field}' is not filterable.")
    match node:
        case IsNull(_, negated):
            return lambda row: (get(row) is None) is not negated
        case OneOf(_, given):
            wanted = [_typed_value(field, item, typed=typed) for item in given]
            return lambda row: None if (value := get(row)) is None else value in wanted
        case Match(function, _, text):
            if field.type != "string":
                raise illegal(f"{function} needs a string, and '{node.field}' is none.")
            part = str(_typed_value(field, text, typed=typed))
            return _matcher(function, part, get)
        case Comparison(_, operator, given):
            if field.type == "boolean" and operator not in ("eq", "ne"):
                raise illegal(f"'{node.field}' is a boolean: it can only be equal or not.")
            return _comparer(operator, _typed_value(field, given, typed=typed), get)


def _all(tests: list[Test]) -> Test:
    def test(row: int) -> Truth:
        result: Truth = True
        for part in tests:
            truth = part(row)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return test


def _any(tests: list[Test]) -> Test:
    def test(row: int) -> Truth:
        result: Truth = False
        for part in tests:
            truth = part(row)
            if truth:
                return True
            if truth is None:
                result = None
        return result

    return test


def _matcher(function: str, part: str, get: Callable[[int], Value]) -> Test:
    def test(row: int) -> Truth:
        value = get(row)
        if not isinstance(value, str):
            return None
        if function == "contains":
            return part in value
        return value.startswith(part) if function == "startswith" else value.endswith(part)

    return test


_HOLDS: dict[Operator, Callable[[int], bool]] = {
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
}


def _comparer(operator: Operator, wanted: Value, get: Callable[[int], Value]) -> Test:
    holds = _HOLDS[operator]

    def test(row: int) -> Truth:
        value = get(row)
        if value is None:
            return None
        return holds((value > wanted) - (value < wanted))  # type: ignore[operator] # both have the field's type

    return test


def _typed_value(field: Field, given: Given, *, typed: bool) -> Value:
    """The literal as a value of the field's type."""
    if not given.quoted and given.text.lower() == "null":
        raise illegal(f"'{field.id}' can't be compared with null.")
    if field.type == "string":
        if typed and not given.quoted:
            raise illegal(f"'{field.id}' is a string: the value {given.text} must be quoted.")
        return given.text
    value = None if given.quoted else _read(field, given.text)
    if value is None:
        raise illegal(f"The value {given.text} doesn't fit '{field.id}', which is of type {field.type}.")
    return value


def _read(field: Field, text: str) -> Value:
    try:
        match field.type:
            case "boolean":
                return {"true": True, "false": False}.get(text)
            case "date":
                return date.fromisoformat(text) if _DAY.match(text) else None
            case "datetime" | "timestamp":
                if _DAY.match(text):
                    return datetime.fromisoformat(text).replace(tzinfo=UTC)
                return datetime.fromisoformat(text).astimezone(UTC) if _MOMENT.match(text) else None
            case _:
                if not _NUMBER.match(text):
                    return None
                return float(text) if "." in text else int(text)
    except (ValueError, OverflowError):
        return None
