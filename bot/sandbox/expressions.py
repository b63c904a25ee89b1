"""`filterExpr` in its two dialects: OData-typed (strings quoted) and legacy (values bare). The grammar: `expressions.lark`.

An expression with a quoted string is OData-typed, any other may be legacy; what belongs to the other dialect is then
refused. [choice], because none of it is published: how both are told apart; that the legacy comma means "and" and
binds loosest; that `is` takes `null` and `not null`; that comparisons with null hold for no row, not even under
`not`; that text is compared case sensitively; that a day given for a date-time is its midnight in UTC; the titles and
codes of the errors.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.sandbox.replies import Refused, refusal
from bot.sandbox.schema import Field, Value

if TYPE_CHECKING:
    from lark import Lark, Tree
    from lark.exceptions import UnexpectedInput

Truth: TypeAlias = "bool | None"
Test: TypeAlias = "Callable[[int], Truth]"
Resolve: TypeAlias = "Callable[[str], tuple[Field, Callable[[int], Value]]]"

_DEEPEST = 100
_NUMBER = re.compile(r"-?\d+(\.\d+)?$")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$")

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")
}
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def illegal(detail: str) -> Refused:
    """[choice] The error for an expression that can't be used."""
    return refusal("bad expression", detail=detail)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes:
        tree: Its tree, as the grammar names it.
        typed: OData-typed; else legacy.
    """

    tree: Tree[Any]
    typed: bool

    def fields(self) -> list[str]:
        """The fields it mentions, as written."""
        return [str(field.children[0]) for field in self.tree.find_data("field")]

    def test(self, resolve: Resolve) -> Test:
        """A test of rows by number.

        Args:
            resolve: Gives the field and the way to its values for a name as written; raises for an unknown one.

        Raises:
            Refused: A field that can't be filtered on, or a literal that doesn't fit its field.
        """
        return _compile(self.tree, resolve, typed=self.typed)


@cache
def _parser() -> Lark:
    from lark import Lark  # the parser is only needed once somebody filters

    return Lark.open_from_package(__package__, "expressions.lark", parser="lalr")


def parse(text: str) -> Expression:
    """Parses one `filterExpr`.

    Raises:
        Refused: It isn't in either dialect, or in both.
    """
    from lark.exceptions import UnexpectedInput

    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    typed, legacy = False, "','" if len(tree.children) > 1 else ""
    below: list[tuple[Any, int]] = [(tree, 0)]
    while below:
        node, depth = below.pop()
        if depth > _DEEPEST:
            raise illegal("The expression is nested too deeply.")
        match node.data:
            case "is_null" | "is_not_null":
                legacy = "'is'"
            case "literal" if node.children[0].type == "STRING":
                typed = True
            case "literal" if len(node.children[0].split()) > 1:
                legacy = "A value of several words"
        inner = depth + (node.data in ("group", "negation"))
        below += [(child, inner) for child in node.children if not isinstance(child, str)]
    if typed and legacy:
        raise illegal(f"{legacy} can't be combined with quoted strings: the expression mixes two dialects.")
    return Expression(tree, typed)


def _unexpected(text: str, error: UnexpectedInput) -> Refused:
    token = getattr(error, "token", None)
    if token is None:
        return illegal(f"Syntax error at position {error.pos_in_stream}.")
    if token.type == "$END":
        return illegal(f"Unexpected end of the expression at position {len(text.rstrip())}.")
    return illegal(f"Unexpected '{token}' at position {error.pos_in_stream}.")


def _compile(node: Any, resolve: Resolve, *, typed: bool) -> Test:
    if node.data in ("start", "all", "any", "group", "negation"):
        parts = [_compile(child, resolve, typed=typed) for child in node.children]
        if node.data == "negation":
            return lambda row: None if (truth := parts[0](row)) is None else not truth
        return parts[0] if len(parts) == 1 else _joined(parts, decisive=node.data == "any")
    name = next(str(child.children[0]) for child in node.find_data("field"))
    field, get = resolve(name)
    if not field.filterable:
        raise illegal(f"Field '{name}' is not filterable.")
    given = [_value(field, child, typed=typed) for child in node.find_data("literal")]
    match node.data:
        case "is_null":
            return lambda row: get(row) is None
        case "is_not_null":
            return lambda row: get(row) is not None
        case "one_of":
            return lambda row: None if (value := get(row)) is None else value in given
        case "match" if field.type != "string":
            raise illegal(f"{node.children[0]} needs a string, and '{name}' is none.")
        case "match":
            return _comparer(_MATCHES[node.children[0]], given[0], get)
        case _:
            word = "ne" if node.data == "inequality" else str(node.children[1])
            if field.type == "boolean" and word not in ("eq", "ne"):
                raise illegal(f"'{name}' is a boolean: it can only be equal or not.")
            return _comparer(_COMPARES[word], given[0], get)


def _joined(tests: list[Test], *, decisive: bool) -> Test:
    """`or` where True is decisive, `and` where False is; what is not known decides nothing."""

    def test(row: int) -> Truth:
        result: Truth = not decisive
        for part in tests:
            truth = part(row)
            if truth is decisive:
                return decisive
            if truth is None:
                result = None
        return result

    return test


def _comparer(holds: Callable[[Any, Any], bool], wanted: Value, get: Callable[[int], Value]) -> Test:
    return lambda row: None if (value := get(row)) is None else holds(value, wanted)


def _value(field: Field, literal: Any, *, typed: bool) -> Value:
    """The literal as a value of the field's type."""
    quoted = literal.children[0].type == "STRING"
    text = str(literal.children[0])
    if quoted:
        text = text[1:-1].replace("''", "'")
    if not quoted and text.lower() == "null":
        raise illegal(f"'{field.id}' can't be compared with null.")
    if field.type == "string":
        if typed and not quoted:
            raise illegal(f"'{field.id}' is a string: the value {text} must be quoted.")
        return text
    value = None if quoted else _read(field, text)
    if value is None:
        raise illegal(f"The value {text} doesn't fit '{field.id}', which is of type {field.type}.")
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
