"""The canonical sentence of an intent means this intent and nothing else."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.records import Records
from bot.language.declare import (
    SETS_OF_DAYS,
    WEEKDAYS,
    Count,
    Crosses,
    Days,
    Flag,
    Lasting,
    Names,
    OneName,
    OneOf,
    Phrase,
    Sentence,
    SomeOf,
    SortBy,
    Takes,
    TimeOfDay,
    Where,
    clauses,
)
from bot.language.parse import LONGEST, NotExact
from bot.language.say import reserved_words, say
from bot.model.intents import ORDERINGS, And, Bound, Comparison, Condition, Intent, Not, Op, Or, SortKey
from bot.model.names import Name
from tests.language.sentences import EXACT, INTENTS, Data

AWKWARD = (
    *(intent.words for intent in INTENTS),
    *(word for intent in INTENTS for _, how in clauses(intent) for word in (how.keyword,)),
    *("active", "failed", "not run", "full", "delta", "chart", "bar chart", "jobs", "data models", "refused"),
    *(*sorted(reserved_words()), "is", "is not", "what is", "please", "desc"),
    *(
        "=",
        "!=",
        "<>",
        ">=",
        "<",
        "≤",
        "==",
        "->",
        "#",
        "#a",
        "# a",
        ",",
        "(",
        ")",
        "((",
        "()",
        '"',
        '""',
        "'",
        "''",
    ),
    *(
        "“",
        "”",
        "„x“",
        "«x»",
        "＂",
        "＝",
        "，",
        "（",
        "？",
        "’",
        "'x'",
        "x's",
        "O'Leary",
        "-",
        "--",
        "—",
        "-x",
        "+x",
    ),
    *(
        "?",
        "!",
        ".",
        "…",
        "a.b",
        "a.",
        "1",
        "0",
        "12",
        "10k",
        "1,000.50",
        "2026-03-01",
        "top10",
        "page2",
        "in2",
        "٣",
    ),
    *(
        "🙂",
        "👩‍🚀",
        "Ä",
        "ß",
        "ﬁlter",
        "ｓｈｏｗ",
        "İ",
        "日本",
        " ",
        "  ",
        "\n",
        "\t",
        "\u00a0",
        "\u200b",
        "\u202e",
        "\x00",
    ),
    *("Sales", "Main Job", "SAP ECC", "Cost of Goods Sold", "Value in EUR", "Full load", "x", "y"),
)
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=4).map(" ".join),
    st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=3).map("".join),
    st.text(min_size=1, max_size=12),
    st.sampled_from(("Sales", "Plant", "Order value", "x")),
).filter(bool)
ids = st.one_of(
    st.just(""),
    st.sampled_from(("0bae5839-6921", "a.b-c:d", "x.", ":", "-", "#", '"', "a b", "ä", ",", ")", "…")),
    st.text(min_size=1, max_size=6),
)
plain_texts = st.sampled_from(("a", "b c", "Order value", "5", "10k"))


@st.composite
def comparisons(
    draw: st.DrawFn, names: st.SearchStrategy[Name], values: st.SearchStrategy[str]
) -> Comparison:
    op = draw(st.sampled_from(Op))
    count = {Op.IS_EMPTY: 0, Op.BETWEEN: 2, Op.IN: draw(st.integers(1, 3))}.get(op, 1)
    return Comparison(draw(names), op, tuple(draw(values) for _ in range(count)))


def _combined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    some = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, parts), st.builds(And, some), st.builds(Or, some))


def _values(
    takes: Takes, texts: st.SearchStrategy[str], ids: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    names = st.builds(Name, texts, ids)
    match takes:
        case OneName():
            return names
        case Names():
            return st.lists(names, min_size=1, max_size=3).map(tuple)
        case OneOf(words, or_period):
            if not words:
                return texts
            return st.one_of(st.sampled_from(words), texts) if or_period else st.sampled_from(words)
        case SomeOf(words):
            return st.lists(st.sampled_from(words), min_size=1, max_size=3).map(tuple)
        case Count():
            return st.integers(1, 10**12)
        case Flag():
            return st.just(True)
        case Phrase():
            return texts
        case Where():
            return st.recursive(comparisons(names, st.one_of(texts, st.just(""))), _combined, max_leaves=4)
        case SortBy():
            keys = st.builds(SortKey, names, st.booleans())
            return st.lists(keys, min_size=1, max_size=3).map(tuple)
        case TimeOfDay():
            return st.times().map(lambda each: each.replace(second=0, microsecond=0))
        case Lasting():
            return st.integers(1, 366 * 24 * 60).map(lambda each: timedelta(minutes=each))
        case Days():
            return st.lists(st.sampled_from((*SETS_OF_DAYS, *WEEKDAYS)), min_size=1, max_size=3).map(tuple)
        case Crosses():
            return st.builds(Bound, st.sampled_from(ORDERINGS), texts)
        case Sentence():
            return st.builds(Records, model=names)


def intents(
    of: type[Intent], texts: st.SearchStrategy[str], ids: st.SearchStrategy[str]
) -> st.SearchStrategy[Intent]:
    optional = {
        each.name: st.one_of(st.just(each.default), _values(how.takes, texts, ids))
        for each, how in clauses(of)
    }
    return st.builds(of, **optional)


@pytest.mark.parametrize("of", INTENTS, ids=lambda of: of.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_said_is_what_is_read(of: type[Intent], data: st.DataObject) -> None:
    intent = data.draw(intents(of, texts, ids))
    said = say(intent)
    if len(said) <= LONGEST:
        assert EXACT.parse(said) == intent, said


@pytest.mark.parametrize("of", INTENTS, ids=lambda of: of.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_names_that_need_no_quotes_of_their_own_are_read_back_too(
    of: type[Intent], data: st.DataObject
) -> None:
    intent = data.draw(intents(of, plain_texts, st.sampled_from(("", "x1"))))
    assert EXACT.parse(say(intent)) == intent


def test_a_keyword_that_is_an_operator_too_opens_its_clause() -> None:
    for op, values in (
        (Op.CONTAINS, ("b c",)),
        (Op.CONTAINS, ("5",)),
        (Op.BETWEEN, ("1", "5")),
        (Op.IN, ("b", "c")),
    ):
        for within in ("z", "order by"):
            test = Comparison(Name("a"), op, values)
            intent = Data(where=And((Not(test), test)), within=Name(within), distinct=True)
            assert EXACT.parse(say(intent)) == intent


def test_a_long_sentence_is_read_back() -> None:
    tests = tuple(Comparison(Name(f"field {number}"), Op.CONTAINS, (f"x {number}",)) for number in range(100))
    keys = tuple(SortKey(Name(f"field {number}"), descending=True) for number in range(30))
    intent = Data(record=Name("R"), where=And(tests), within=Name("z"), sort=keys, page=3)
    assert 3000 < len(say(intent)) <= LONGEST
    assert EXACT.parse(say(intent)) == intent


def test_a_deep_condition_is_read_back() -> None:
    condition: Condition = Comparison(Name("a"), Op.EQ, ("b",))
    for number in range(15):
        inner = Comparison(Name("c"), Op.IN, ("d", str(number)))
        condition = And((Not(Or((condition, inner))), inner))
    intent = Data(record=Name("R"), where=condition, within=Name("z"))
    assert EXACT.parse(say(intent)) == intent


def test_every_kind_of_clause_is_in_the_family() -> None:
    used = {type(how.takes) for of in INTENTS for _, how in clauses(of)}
    assert used == {*get_args(Takes)} - {Sentence}
    assert all(each.default is not MISSING for of in INTENTS for each in fields(of))


@pytest.mark.parametrize(
    ("text", "place", "wanted"),
    [
        ("kip x", 0, "kpi"),
        ('kpi x by "a" of', 15, "a name"),
        ("kpi x y", 6, "by"),
        ("data R page many", 12, "a number from 1 on"),
        ("data R where a", 14, "="),
        ("data R where (a = b", 19, ")"),
        ("data R where a in (b", 20, ")"),
        ("data R where a between 1", 24, "and"),
        ("jobs active, running", 13, "failed"),
    ],
)
def test_what_is_not_exact_says_where_and_what_would_fit(text: str, place: int, wanted: str) -> None:
    with pytest.raises(NotExact) as caught:
        EXACT.parse(text)
    assert caught.value.place == place
    assert wanted in caught.value.wanted


@settings(max_examples=200, deadline=None)
@given(st.one_of(texts, st.lists(texts, max_size=8).map(" ".join)))
def test_any_text_has_one_reading_or_none(text: str) -> None:
    try:
        intent = EXACT.parse(text)
    except NotExact as error:
        place = error.place
    else:
        assert EXACT.parse(say(intent)) == intent
        return
    assert 0 <= place <= max(len(text), LONGEST)
