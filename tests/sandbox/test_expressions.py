"""Filter expressions against a second, naive evaluation."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.expressions import parse
from bot.sandbox.replies import Refused
from bot.sandbox.schema import Field, Value

FIELDS = {"name": Field("name", "Name"), "size": Field("size", "Size", "integer")}
ROWS: list[tuple[str | None, int | None]] = [
    ("a", 1), ("O'Leary", 2), ("and", 3), ("x or y", None), (None, 5), ("", -6), ("100 % (net)", 7), ("null", 0),
]  # fmt: skip

Wanted: TypeAlias = Callable[[str | None, int | None], bool | None]


def resolve(name: str) -> tuple[Field, Callable[[int], Value]]:
    place = list(FIELDS).index(name)
    return FIELDS[name], lambda row: ROWS[row][place]


def selected(text: str) -> list[bool | None]:
    test = parse(text).test(resolve)
    return [test(row) for row in range(len(ROWS))]


texts = st.sampled_from([name for name, _ in ROWS if name is not None] + ["it''s", "eq 1"])


@st.composite
def leaves(draw: st.DrawFn) -> tuple[str, Wanted]:
    if draw(st.booleans()):
        number = draw(st.integers(-7, 8))
        word, holds = draw(
            st.sampled_from(
                [
                    ("eq", int.__eq__),
                    ("ne", int.__ne__),
                    ("gt", int.__gt__),
                    ("ge", int.__ge__),
                    ("lt", int.__lt__),
                    ("le", int.__le__),
                ]
            )
        )
        return f"size {word} {number}", lambda _, size: None if size is None else bool(holds(size, number))
    text = draw(texts)
    quoted = "'" + text.replace("'", "''") + "'"
    if draw(st.booleans()):
        return f"contains(name, {quoted})", lambda name, _: None if name is None else text in name
    return f"name in ({quoted}, 'a')", lambda name, _: None if name is None else name in (text, "a")


def combine(inner: st.SearchStrategy[tuple[str, Wanted]]) -> st.SearchStrategy[tuple[str, Wanted]]:
    def both(pair: tuple[tuple[str, Wanted], tuple[str, Wanted]]) -> tuple[str, Wanted]:
        (left, one), (right, two) = pair

        def wanted(name: str | None, size: int | None) -> bool | None:
            truths = {one(name, size), two(name, size)}
            return False if False in truths else None if None in truths else True

        return f"({left}) and ({right})", wanted

    def either(pair: tuple[tuple[str, Wanted], tuple[str, Wanted]]) -> tuple[str, Wanted]:
        (left, one), (right, two) = pair

        def wanted(name: str | None, size: int | None) -> bool | None:
            truths = {one(name, size), two(name, size)}
            return True if True in truths else None if None in truths else False

        return f"({left} or {right})", wanted

    def negated(entry: tuple[str, Wanted]) -> tuple[str, Wanted]:
        text, one = entry

        def wanted(name: str | None, size: int | None) -> bool | None:
            truth = one(name, size)
            return None if truth is None else not truth

        return f"not ({text})", wanted

    pairs = st.tuples(inner, inner)
    return st.one_of(pairs.map(both), pairs.map(either), inner.map(negated))


@given(st.recursive(leaves(), combine, max_leaves=8))
def test_a_tree_of_tests_selects_the_same_rows_as_three_valued_logic(entry: tuple[str, Wanted]) -> None:
    text, wanted = entry
    # a quoted string makes the dialect certain for trees that hold numbers only
    assert selected(f"{text} and name ne '¤'") == [
        False if (truth := wanted(name, size)) is False else None if truth is None or name is None else True
        for name, size in ROWS
    ]


@given(st.text(alphabet=st.sampled_from("name size eq in is not and or null () ,'1.5TZ-:é%"), max_size=60))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        fields = parse(text).fields()
    except Refused:
        return
    assert fields


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name eq x or y", []),
        ("name is null or size gt 6", [None, "100 % (net)"]),
        ("size gt 1 and size lt 4 or size eq 7", ["O'Leary", "and", "100 % (net)"]),
        ("size eq 7 or size gt 1 and size lt 4", ["O'Leary", "and", "100 % (net)"]),
        ("not size gt 1 and size lt 1", ["", "null"]),
        ("name eq O'Leary", ["O'Leary"]),
    ],
)
def test_precedence_and_bare_values(text: str, names: list[str | None]) -> None:
    if names:
        assert [ROWS[row][0] for row, truth in enumerate(selected(text)) if truth] == names
    else:
        with pytest.raises(Refused):
            parse(text)
