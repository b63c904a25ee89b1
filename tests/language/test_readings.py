"""What people type, and all that it can mean."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.language.declare import Count, Names, OneName, Where, clause
from bot.language.parse import MOST_READINGS, Entry, Grammar, unchecked
from bot.language.phrases import LARGEST, LONGEST
from bot.language.say import say
from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Intent, Not, Op, Or, SortKey
from bot.model.names import Kind, Name
from tests.language.sentences import (
    ENTRIES,
    WORDS,
    Audit,
    Cancel,
    Data,
    DataModels,
    Help,
    Jobs,
    Run,
    ShowJob,
    ShowKpi,
    Status,
    grammar,
)

GRAMMAR = grammar()


def read(text: str) -> list[str]:
    """The readings as canonical sentences."""
    return [say(each) for each in GRAMMAR.parse(text)]


def condition(text: str) -> list[Condition]:
    """All that a condition means where the rest of the sentence is read as it is meant."""
    readings = GRAMMAR.parse(f'data "Materials" where {text}')
    return [each.where for each in readings if isinstance(each, Data) and each.where is not None]


def eq(name: str, value: str, op: Op = Op.EQ) -> Comparison:
    return Comparison(Name(name), op, (value,))


# --- command words


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("jobs", Jobs()),
        ("JOBS", Jobs()),
        ("ｊｏｂｓ", Jobs()),
        ("data jobs", Jobs()),
        ("what is running", Jobs()),
        ("what is running right now?", Jobs()),
        ("data models", DataModels()),
        ("status", Status()),
        ("status via Prod", Status(via=Name("Prod"))),
        ("status main job", ShowJob(job=Name("main job"))),
        ("is main job running", ShowJob(job=Name("main job"))),
        ("how is main job doing", ShowJob(job=Name("main job"))),
        ("hi jobs", Jobs()),
        ("show me the jobs", Jobs()),
        ("help", Help()),
        ("hi", Help()),
        ("?", Help()),
        (" ？ ", Help()),
        ("help with jobs", Help(topic="jobs")),
        ("audit", Audit()),
        ("audit 5", Audit(rows=5)),
        ("stoppe main job", Cancel(job=Name("main job"))),
        ("laufende jobs", Jobs(states=("active",))),
        ("laufende jobs in SAP", Jobs(states=("active",), pool=Name("SAP"))),
    ],
)
def test_a_sentence_starts_with_the_longest_words_that_fit(text: str, meant: Intent) -> None:
    assert GRAMMAR.parse(text) == (meant,)


@pytest.mark.parametrize(
    "text", ["", " ", "main job", "is it", "please", "whoami now", "status!!! 1 2 \x00", "..."]
)
def test_what_no_command_starts_has_no_reading(text: str) -> None:
    assert not [each for each in GRAMMAR.parse(text) if not isinstance(each, ShowJob)]


def test_a_gap_needs_something_in_it() -> None:
    assert GRAMMAR.parse("is running") == ()
    assert GRAMMAR.parse("how is doing?") == ()


def test_text_without_a_command_is_read_where_a_keyword_gives_it_away() -> None:
    assert read("what is our on-time delivery by plant?")[0] == 'kpi "on-time delivery" by plant'
    assert GRAMMAR.parse("on-time delivery") == ()


# --- people's words


@pytest.mark.parametrize(
    "text",
    [
        "stop main job",
        "Stop  main\u00a0job",
        "kill main job.",
        "could you please stop main job",
        "hey, abort main job",
        "cancel “main job” please?!",
        "cancel „main job“, thanks!",
        "cancel 'main job' now",
        "cancel «main job»",
        "cancel\nmain job",
        "CANCEL main job",
        'cancel "main job',
        "stop main job\u200b",
    ],
)
def test_people_write_the_same_thing_in_many_ways(text: str) -> None:
    assert GRAMMAR.parse(text)[0] == Cancel(job=Name("main job"))


def test_filler_that_could_belong_to_a_name_gives_a_reading_more() -> None:
    assert read("cancel Sales now") == ["cancel Sales", 'cancel "Sales now"']
    assert read("cancel the Sales") == ["cancel Sales", 'cancel "the Sales"']
    assert read("cancel Sales now please") == [
        "cancel Sales",
        'cancel "Sales now"',
        'cancel "Sales now please"',
    ]


def test_filler_around_quotes_is_never_part_of_the_name() -> None:
    assert read('cancel the "main job" now please') == ["cancel main job"]


def test_marks_at_the_end_may_belong_to_a_name_but_not_to_a_value() -> None:
    assert read("kpi Is late?") == ['kpi "Is late"', 'kpi "Is late?"']
    assert read("data X where country = Germany?")[-1] == "data X where country = Germany"
    assert not any("?" in each for each in read("data X where country = Germany?"))


def test_a_lost_keyword_is_accepted_where_nothing_else_can_stand() -> None:
    assert read("jobs SAP ECC") == ["jobs in SAP ECC"]
    assert read("jobs failed SAP ECC") == ['jobs in "failed SAP ECC"', "jobs failed in SAP ECC"]
    assert read("cancel main job SAP ECC") == ["cancel main job SAP ECC"]


def test_clauses_come_in_any_order() -> None:
    assert "jobs active in SAP ECC" in read("jobs in SAP ECC active")
    assert 'run "main job" full in SAP' in read("run full main job in SAP")
    assert 'run "main job" full in SAP' in read("run main job in SAP full")


def test_fixed_words_take_what_people_put_between_them() -> None:
    for text in (
        "jobs active, failed",
        "jobs active and failed",
        "jobs active failed",
        "jobs active or failed please",
    ):
        assert GRAMMAR.parse(text) == (Jobs(states=("active", "failed")),)


def test_phone_typing() -> None:
    keys = (SortKey(Name("amount"), descending=True),)
    for text in ("sort -amount", "sort —amount", "sort – amount", "sort by amount desc", "sort －amount"):
        assert Data(record=Name("x"), sort=keys) in GRAMMAR.parse(f"data x {text}")
    assert ShowKpi(kpis=(Name("revenue"),), top=10) in GRAMMAR.parse("kpi revenue top10")


# --- names with keywords in them


def test_a_keyword_may_open_a_clause_or_belong_to_a_name() -> None:
    assert GRAMMAR.parse("kpi Cost of Goods Sold") == (
        ShowKpi(kpis=(Name("Cost of Goods Sold"),)),
        ShowKpi(kpis=(Name("Cost"),), model=Name("Goods Sold")),
    )


def test_all_combinations_come_with_the_fewest_clauses_first() -> None:
    assert read("kpi a of b by c") == [
        'kpi "a of b by c"',
        'kpi "a of b" by c',
        'kpi a of "b by c"',
        'kpi a of "b" by c',
    ]


def test_fixed_words_may_belong_to_a_name_too() -> None:
    assert GRAMMAR.parse("run full load") == (Run(job=Name("full load")), Run(job=Name("load"), mode="full"))
    assert GRAMMAR.parse("kpi top 10") == (ShowKpi(top=10),)
    assert ShowKpi(kpis=(Name("top 10 suppliers"),)) in GRAMMAR.parse("kpi top 10 suppliers")


def test_quotes_leave_no_choice() -> None:
    assert GRAMMAR.parse('kpi "Cost of Goods Sold" of "Finance by Plant"') == (
        ShowKpi(kpis=(Name("Cost of Goods Sold"),), model=Name("Finance by Plant")),
    )


def test_the_same_keyword_opens_one_clause_only() -> None:
    assert read("kpi a of b of c") == ['kpi "a of b of c"', 'kpi "a of b" of c', 'kpi a of "b of c"']


def test_names_are_separated_by_commas_or_and() -> None:
    assert ShowKpi(kpis=(Name("a"), Name("b c"))) in GRAMMAR.parse("kpi a , b c,")
    assert GRAMMAR.parse("kpi revenue and margin") == (
        ShowKpi(kpis=(Name("revenue and margin"),)),
        ShowKpi(kpis=(Name("revenue"), Name("margin"))),
    )
    assert ShowKpi(kpis=(Name("net (a, b)"),)) in GRAMMAR.parse("kpi net (a, b)")


def test_an_id_stands_behind_its_name() -> None:
    assert GRAMMAR.parse("cancel main job #0bae5839") == (Cancel(job=Name("main job", "0bae5839")),)
    assert GRAMMAR.parse('cancel main job #"a b"') == (Cancel(job=Name("main job", "a b")),)
    assert GRAMMAR.parse("cancel #0bae5839 please") == (Cancel(job=Name("0bae5839", "0bae5839")),)


def test_names_with_symbols_need_no_quotes_where_nothing_else_fits() -> None:
    assert GRAMMAR.parse("data Plan -> Actual") == (Data(record=Name("Plan -> Actual")),)
    assert GRAMMAR.parse('data Pipe 5" steel') == (Data(record=Name('Pipe 5" steel')),)
    assert GRAMMAR.parse('data Sales "EU" rows') == (Data(record=Name('Sales "EU" rows')),)


# --- conditions


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a = b", eq("a", "b")),
        ("a == b", eq("a", "b")),
        ("a＝b", eq("a", "b")),
        ("a is b", eq("a", "b")),
        ("a equals b", eq("a", "b")),
        ("a != b", eq("a", "b", Op.NE)),
        ("a <> b", eq("a", "b", Op.NE)),
        ("a≠b", eq("a", "b", Op.NE)),
        ("a is not b", eq("a", "b", Op.NE)),
        ("a >= 1,000.50", eq("a", "1,000.50", Op.GE)),
        ("a=>5", eq("a", "5", Op.GE)),
        ("a ≤ 5", eq("a", "5", Op.LE)),
        ("a is more than 5", eq("a", "5", Op.GT)),
        ("a before 2026-03-01", eq("a", "2026-03-01", Op.LT)),
        ("a since last month", eq("a", "last month", Op.GE)),
        ("a contains O'Leary", eq("a", "O'Leary", Op.CONTAINS)),
        ("a does not contain b", Not(eq("a", "b", Op.CONTAINS))),
        ("a starts with b c", eq("a", "b c", Op.STARTS_WITH)),
        ("a ends with b", eq("a", "b", Op.ENDS_WITH)),
        ("a in (b, c d)", Comparison(Name("a"), Op.IN, ("b", "c d"))),
        ("a is one of (b)", Comparison(Name("a"), Op.IN, ("b",))),
        ("a in b, c", Comparison(Name("a"), Op.IN, ("b", "c"))),
        ("a not in (b)", Not(Comparison(Name("a"), Op.IN, ("b",)))),
        ("a between 1 and 5", Comparison(Name("a"), Op.BETWEEN, ("1", "5"))),
        ("a is empty", Comparison(Name("a"), Op.IS_EMPTY)),
        ("a is not empty", Not(Comparison(Name("a"), Op.IS_EMPTY))),
        ("a is null", Comparison(Name("a"), Op.IS_EMPTY)),
        ('a = ""', eq("a", "")),
        ("a = 'it''s'", eq("a", "it's")),
        ("'a' #A1 = b", Comparison(Name("a", "A1"), Op.EQ, ("b",))),
        ("not a = b", Not(eq("a", "b"))),
        ("not (a = b or c = d)", Not(Or((eq("a", "b"), eq("c", "d"))))),
        ("a = b and c = d or e = f", Or((And((eq("a", "b"), eq("c", "d"))), eq("e", "f")))),
        ("a = b and (c = d or e = f)", And((eq("a", "b"), Or((eq("c", "d"), eq("e", "f")))))),
        ("((a = b))", eq("a", "b")),
        (
            "a between 1 and 5 and c = d",
            And((Comparison(Name("a"), Op.BETWEEN, ("1", "5")), eq("c", "d"))),
        ),
        ("a = Foo (Bar)", eq("a", "Foo (Bar)")),
        ("Amount (EUR) > 5", eq("Amount (EUR)", "5", Op.GT)),
        ("Value in EUR > 10k", eq("Value in EUR", "10k", Op.GT)),
        ("Contains alcohol = yes", eq("Contains alcohol", "yes")),
    ],
)
def test_a_condition_means_first_what_it_says(text: str, meant: Condition) -> None:
    assert condition(text)[0] == meant


def test_a_value_ends_at_and_or_only_where_a_field_and_an_operator_follow() -> None:
    assert condition("a = salt and pepper") == [eq("a", "salt and pepper")]
    assert condition("a = salt or pepper and b = c")[0] == And((eq("a", "salt or pepper"), eq("b", "c")))
    assert condition("profit and loss > 3") == [eq("profit and loss", "3", Op.GT)]


def test_a_field_with_and_in_it_is_one_more_meaning() -> None:
    assert condition("x = 3 and profit and loss > 3") == [
        And((eq("x", "3 and profit"), eq("loss", "3", Op.GT))),
        And((eq("x", "3"), eq("profit and loss", "3", Op.GT))),
    ]


def test_a_value_ends_where_a_clause_surely_begins() -> None:
    assert read('data "x" where a = best sort b') == ["data x where a = best sort by b"]
    assert read('data "x" search best offer sort b') == ['data "x" search best offer sort by b']
    assert read('data "x" where a = "best sort b"') == ['data x where a = "best sort b"']
    assert read('data "x" where a = best sort') == ['data x where a = "best sort"']


def test_a_number_ends_at_any_keyword_and_a_word_may_go_on() -> None:
    assert read('data "x" where a > 1000 of b') == ['data "x" of b where a > 1000']
    assert read('data "x" where a = best of b') == [
        'data x where a = "best of b"',
        'data "x" of b where a = best',
    ]


def test_what_no_catalog_confirms_is_counted() -> None:
    longer, shorter = GRAMMAR.parse('data "x" where a = best of b')
    assert unchecked(longer) > unchecked(shorter)
    assert unchecked(Cancel(job=Name("main job"))) == 0
    assert unchecked(Data(search="a b")) == 2


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a",
            "a =",
            "= b",
            "and",
            "a in (",
            "a in (b, c",
            "a in ()",
            "a between 1",
            "a between 1 and",
            "not",
        ),
        *("is empty", "not = 3", "a = and b = c", "a == == b", "a > > b"),
    ],
)
def test_half_a_condition_is_none(text: str) -> None:
    assert condition(text) == []


# --- any text at all

HOSTILE = [
    *(
        "of " * 2000,
        "a of " * 2000,
        "kpi " + "a of b by c where d = e filter f sort g top 5 as chart via x " * 200,
    ),
    *("data " + "a of b show c where d is e in f search g sort h distinct now page " * 200,),
    *(
        "data " + "where x contains y " * 300,
        "data a where " + "x = y and " * 500,
        "data a where " + "x and " * 900,
    ),
    *("data a where x between " + "1 and " * 900, "data a where " + "x between 1 and 5 and " * 170),
    *("data a where " + "(" * 3000, "data a where " + "(" * 1900 + "x = 1" + ")" * 1900),
    *("data a where " + "(x = 1 and " * 100 + "x = 1" + ")" * 100, "data a where " + "not " * 900 + "x = 1"),
    *('kpi "' * 900, 'kpi "" ' * 500, '"""x ' * 900, "' " * 2000, "'a " * 1500, "#a " * 1300, '#" ' * 1300),
    *(
        ", " * 2000,
        "kpi " + "a, b and c by " * 280,
        "please " * 570,
        "kpi " + "please now thanks in x " * 170,
    ),
    *(
        "how is " * 570,
        "is " + "main in " * 490 + "running",
        "kpi " + "=" * 3900,
        "data a where " + "a = " * 900,
    ),
    *(
        "audit " + "1 " * 1900,
        "jobs " + "active, failed " * 250,
        "jobs " + "active x failed in " * 200,
        "?" * 4000,
    ),
    *(
        "数" * 4000,
        "\u202e" * 4000,
        "\x00" * 4000,
        "🙂 " * 1300,
        "a" * 4000,
        "\n" * 4000,
        "\ud800 jobs",
        "jobs \udfff",
    ),
    *(
        "audit " + "9" * 3990,
        "kpi x top" + "9" * 3900,
        "kpi x top ٣",
        "kpi x top ²",
        "page ½",
        "kpi x page 0",
        "jobs page -1",
    ),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_costs_more_than_a_bounded_amount_of_work(text: str) -> None:
    calls = 0

    def count(_frame: object, _kind: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    found: tuple[Intent, ...] = ()
    sys.setprofile(count)
    try:
        with suppress(BadArgument):
            found = GRAMMAR.parse(text[:LONGEST])
    finally:
        sys.setprofile(None)
    assert len(found) <= MOST_READINGS
    assert calls < 400_000


@pytest.mark.parametrize("text", ["audit {}", "jobs page {}", "jobs page{}", "kpi x top{}"])
def test_a_number_larger_than_anything_that_is_counted_is_refused_where_it_is_read(text: str) -> None:
    assert GRAMMAR.parse(text.format(LARGEST))
    with pytest.raises(BadArgument, match="largest number I take is 1,000,000,000,000"):
        GRAMMAR.parse(text.format(LARGEST + 1))


def test_a_name_in_quotes_may_hold_any_number() -> None:
    assert read('job "page 10000000000000"') == ['job "page 10000000000000"']


def test_longer_texts_are_not_read() -> None:
    assert GRAMMAR.parse("jobs" + " " * (LONGEST - 4)) == (Jobs(),)
    assert GRAMMAR.parse("jobs" + " " * (LONGEST - 3)) == ()


PIECES = (
    *(
        "jobs",
        "job",
        "data",
        "kpi",
        "cancel",
        "is",
        "running",
        "of",
        "in",
        "by",
        "where",
        "sort",
        "top",
        "page",
        "as",
    ),
    *(
        "chart",
        "show",
        "search",
        "distinct",
        "now",
        "the",
        "please",
        "and",
        "or",
        "not",
        "between",
        "contains",
    ),
    *(
        "starts with",
        "is empty",
        "=",
        "!=",
        ">",
        "≤",
        "(",
        ")",
        ",",
        '"',
        "“",
        "”",
        "'",
        "#",
        "#x",
        "-",
        "—",
        "?",
    ),
    *("!", ".", "5", "10k", "x", "Sales", "\n", "\u00a0", "🙂", '""'),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)))
def test_no_text_breaks_the_grammar_and_every_reading_can_be_said(text: str) -> None:
    found = GRAMMAR.parse(text)
    assert len(found) <= MOST_READINGS
    assert len(set(found)) == len(found)
    for each in found:
        assert GRAMMAR.parse(say(each)) == (each,)
    GRAMMAR.bare(text)
    GRAMMAR.nearest(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join))
def test_readings_are_sorted_by_their_number_of_clauses(text: str) -> None:
    said = [_clauses_said(each) for each in GRAMMAR.parse(text)]
    assert said == sorted(said)


def _clauses_said(intent: Intent) -> int:
    return sum(getattr(intent, each.name) != each.default for each in intent.__dataclass_fields__.values())


# --- what was not a sentence


def test_a_bare_name_is_what_remains() -> None:
    assert GRAMMAR.bare("show me the “main job”?") == "main job"
    assert GRAMMAR.bare("on-time  delivery, please!") == "on-time delivery"
    assert GRAMMAR.bare("hello") == ""
    assert GRAMMAR.bare("x" * 5000) == ""


def test_the_closest_command_words_are_named() -> None:
    assert GRAMMAR.nearest("jbos in SAP")[0] == "jobs"
    assert GRAMMAR.nearest("please stpo main job")[0] == "cancel"
    assert GRAMMAR.nearest("xyzzy") == ()
    assert len(GRAMMAR.nearest("dat", 2)) <= 2


# --- the table


def test_words_for_nothing_are_told() -> None:
    words = {**WORDS, "warum": "why", "job liste": "jobs", "": "jobs", "nach": "by"}
    assert Grammar(ENTRIES, words).unused == ("warum", "job liste", "", "nach")


@dataclass(frozen=True, slots=True)
class Use(Intent):
    words: ClassVar[str] = "use"
    model: Name | None = field(default=None, metadata=clause("", OneName(Kind.MODEL)))


@dataclass(frozen=True, slots=True)
class TwoTexts(Intent):
    words: ClassVar[str] = "move"
    one: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    more: tuple[Name, ...] = field(default=(), metadata=clause("", Names(Kind.JOB)))


@dataclass(frozen=True, slots=True)
class Comparing(Intent):
    words: ClassVar[str] = "compare"
    what: Condition | None = field(default=None, metadata=clause("contains", Where()))
    rows: int = field(default=1, metadata=clause("", Count()))


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([Entry(Use), Entry(Use)], ""),
        ([Entry(Use, ("use colour",))], "would hide"),
        ([Entry(Use, ("use … nicely",))], "would hide"),
        ([Entry(Use), Entry(Help, ("use",))], "already starts"),
        ([Entry(Use, ("a … b … c",))], "more than one gap"),
        ([Entry(TwoTexts)], "only one name"),
        ([Entry(Comparing)], "compares"),
    ],
)
def test_a_table_that_cannot_be_read_unambiguously_is_refused(entries: list[Entry], told: str) -> None:
    if told:
        with pytest.raises(ValueError, match=told):
            Grammar(entries)
    else:
        assert Grammar(entries).parse("use x") == (Use(Name("x")),)
