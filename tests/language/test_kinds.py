"""Kinds of sentences, each over the same invented catalog: a workshop that repairs boats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from bot.language.lexicon import Entity, Lexicon
from bot.language.say import say
from bot.language.scope import Scope
from bot.language.understand import Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import vocabulary
from bot.model.names import Kind, Name, fold
from tests.language.scoring import frames, name_list

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
MODEL = Name("Boatyard", "boatyard")
WITHIN = ((Kind.MODEL, MODEL),)
KPIS = ("Number of repairs", "Average repair time", "Shipped weight")
FILTERS = ("Late repairs",)
RECORDS: Mapping[str, Mapping[str, str]] = {
    "Repairs": {
        "Repair number": "string",
        "Customer": "string",
        "Status": "string",
        "Slip": "string",
        "Quay": "string",
        "Weight in t": "float",
        "Duration": "float",
        "Price in EUR": "float",
        "Started on": "date",
    },
    "Spare part orders": {
        "Part": "string",
        "Quantity": "integer",
        "Freight cost": "float",
        "Customs fee": "float",
    },
}
VALUES: Mapping[str, Sequence[str]] = {
    "Status": ("Open", "Waived", "Done"),
    "Slip": ("North", "South"),
    "Quay": ("East 1000", "West 2000"),
    "Customer": ("Ahlers", "Brix", "US"),
}
JOBS = ("tide sync", "night job")


def catalog() -> Lexicon:
    lists = [
        name_list(Kind.KPI, ((Entity(Kind.KPI, Name(each, each), WITHIN), ()) for each in KPIS)),
        name_list(Kind.FILTER, ((Entity(Kind.FILTER, Name(each, each), WITHIN), ()) for each in FILTERS)),
        name_list(Kind.RECORD, ((Entity(Kind.RECORD, Name(each, each), WITHIN), ()) for each in RECORDS)),
        name_list(Kind.MODEL, [(Entity(Kind.MODEL, MODEL), ())]),
    ]
    pool = ((Kind.POOL, Name("Yard pool", "yard")),)
    lists.append(name_list(Kind.JOB, ((Entity(Kind.JOB, Name(each, each), pool), ()) for each in JOBS)))
    values = []
    for record, fields in RECORDS.items():
        inside = (*WITHIN, (Kind.RECORD, Name(record, record)))
        entities = [
            Entity(Kind.FIELD, Name(each, f"{record}.{each}"), inside, kind) for each, kind in fields.items()
        ]
        lists.append(name_list(Kind.FIELD, ((each, ()) for each in entities)))
        values += [
            FieldValues(each, {fold(one): one for one in VALUES[each.name.text]})
            for each in entities
            if each.name.text in VALUES
        ]
    return Lexicon(vocabulary(), lists, values)


CATALOG = catalog()


def heard(*turns: str) -> Understanding:
    """What became of the last of several turns."""
    last = None
    found = Understanding()
    for each in turns:
        found = understand(each, CATALOG, frames(), Scope(MODEL, last, NOW))
        last = found.readings[0].intent if len(found.readings) == 1 else last
    return found


def meant(*turns: str) -> str:
    """The exact sentence that the last turn means, without ids; "?" where it is none or several."""
    found = heard(*turns)
    if len(found.readings) != 1:
        return "?"
    ids = [f"{record}.{each}" for record, fields in RECORDS.items() for each in fields]
    ids += [MODEL.id, "yard", *KPIS, *FILTERS, *RECORDS, *JOBS, *(each.partition(".")[2] for each in ids)]
    words = say(found.readings[0].intent)
    for each in sorted(ids, key=len, reverse=True):
        words = words.replace(f'#"{each}"', "").replace(f"#{each}", "")
    return " ".join(words.replace("of Boatyard", "").replace('"', "").replace(" ,", ",").split())


@pytest.mark.parametrize(
    ("text", "period", "against"),
    [
        ("number of repairs last week compared to the week before", "last week", "previous period"),
        ("number of repairs this month vs previous month", "this month", "previous period"),
        ("number of repairs this month against last month", "this month", "previous period"),
        ("number of repairs vs the month before this month", "this month", "previous period"),
        ("anzahl repairs letzte woche im vergleich zur woche davor", "last week", "previous period"),
        ("anzahl repairs diesen monat gegenüber vormonat", "this month", "previous period"),
        ("anzahl repairs im vergleich zum vormonat im oktober", "oktober 2026", "previous period"),
        ("number of repairs in q3 vs the quarter before", "q3 2026", "previous period"),
        ("number of repairs in october compared to september", "october 2026", "september 2026"),
        ("number of repairs last month vs this month", "last month", "this month"),
        ("number of repairs this week against last year", "this week", "last year"),
    ],
)
def test_the_period_before_is_said_in_many_words(text: str, period: str, against: str) -> None:
    assert meant(text) == f"kpi Number of repairs where Started on = {period} against {against}"


@pytest.mark.parametrize(
    "text",
    [
        "number of repairs last week vs the month before",
        "number of repairs last month vs last month",
        "number of repairs last 30 days vs the month before",
    ],
)
def test_a_period_before_of_another_length_is_not_guessed(text: str) -> None:
    assert meant(text) == "?"


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("the day before yesterday", "day before yesterday"),
        ("vorgestern", "day before yesterday"),
        ("week before last", "week before last"),
        ("vorletzte woche", "week before last"),
        ("vorletzten monat", "month before last"),
        ("previous week", "last week"),
        ("im vormonat", "last month"),
        ("past month", "last month"),
        ("im 3. quartal", "q3 2026"),
        ("3. quartal 2025", "q3 2025"),
        ("seit anfang des jahres", "year to date"),
        ("since july 1st", "since 1.7.2026"),
        ("seit dem 1. juli", "since 1.7.2026"),
        ("on december 3", "3.12.2025"),
        ("vor dem 3. oktober", "before 3.10.2026"),
    ],
)
def test_periods_that_people_say(text: str, period: str) -> None:
    assert meant(f"number of repairs {text}") == f"kpi Number of repairs where Started on = {period}"


@pytest.mark.parametrize("op", ["=", ">", "<="])
@pytest.mark.parametrize("period", ["yesterday", "last week", "2026-03-01"])
def test_a_date_field_is_compared_with_a_period(op: str, period: str) -> None:
    assert meant(f"repairs where started on {op} {period}") == f"data Repairs where Started on {op} {period}"


@pytest.mark.parametrize("op", ["between", "contains", "!="])
def test_what_takes_no_period_is_not_understood_with_one(op: str) -> None:
    assert meant(f"repairs where started on {op} last week") == "?"


@pytest.mark.parametrize("text", ["ende oktober", "end of october", "anfang juli"])
def test_a_part_of_a_month_is_not_the_month(text: str) -> None:
    assert meant(f"number of repairs {text}") == "?"


def test_a_number_that_says_how_many_is_no_day() -> None:
    assert (
        meant("top 3 märz slip number of repairs")
        == "kpi Number of repairs by Slip where Started on = märz 2026 top 3"
    )


@pytest.mark.parametrize(
    ("text", "means"),
    [
        (
            "show repair number, customer and status of the late repairs",
            "data Repairs show Repair number, Customer, Status filter Late repairs",
        ),
        ("status of the repairs", "data Repairs show Status"),
        ("stats repairs", "data Repairs"),
    ],
)
def test_a_word_that_says_nothing_is_a_field_where_one_is_called_so(text: str, means: str) -> None:
    assert meant(text) == means


def test_a_value_within_a_word_that_says_nothing_is_asked_about() -> None:
    (there, _), (here, _) = ((each.intent, each.cost) for each in heard("show us the repairs").readings)
    assert {"US" in say(there), "US" in say(here)} == {True, False}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("how much weight did we ship", "kpi Shipped weight"),
        (
            "how many repairs did ahlers waive",
            "kpi Number of repairs where Customer = Ahlers and Status = Waived",
        ),
        ("average repair time split by slip", "kpi Average repair time by Slip"),
        ("split the number of repairs by slip", "kpi Number of repairs by Slip"),
        ("how long does a repair on average take", "kpi Average repair time"),
        ("how many spare part orders were placed", "count Spare part orders"),
        ("wie siehts mit der number of repairs aus", "kpi Number of repairs"),
        ("der chef will die number of repairs wissen", "kpi Number of repairs"),
        ("number of repairs everything except north", "kpi Number of repairs where Slip != North"),
        ("number of repairs not counting the waived ones", "kpi Number of repairs where Status != Waived"),
        ("repairs with no price yet", "data Repairs where Price in EUR is empty"),
        ("when did night job run last", "job night job in Yard pool"),
        ("läuft noch ein job?", "jobs active"),
        ("northrepairs", "data Repairs where Slip = North"),
    ],
)
def test_words_that_say_what_a_name_says_already_need_no_place(text: str, means: str) -> None:
    assert meant(text) == means


@pytest.mark.parametrize(
    "text",
    [
        "how many repairs were placed",
        "split number of repairs",
        "who stopped night job",
        "wer hat night job gestoppt",
        "how long is the shipped weight",
        "number of repairs wo north",
        "how many repairs to waive",
        "westrepairs",
    ],
)
def test_a_verb_that_says_more_is_not_dropped(text: str) -> None:
    assert meant(text) == "?"


def test_a_verb_that_is_a_state_here_is_that() -> None:
    assert meant("how many repairs are open") == "kpi Number of repairs where Status = Open"
    assert meant("number of repairs done") == "kpi Number of repairs where Status = Done"


@pytest.mark.parametrize(
    ("text", "typed", "taken"),
    [
        ("number of repairs wihtout north", "wihtout", "without"),
        ("number of repairs yesterdya", "yesterdya", "yesterday"),
    ],
)
def test_a_misspelt_word_of_the_language_is_said_back(text: str, typed: str, taken: str) -> None:
    (reading,) = heard(text).readings
    assert reading.cost.edits
    assert (typed, taken) in reading.taken


def test_what_a_stretch_is_does_not_hang_on_how_its_neighbour_was_typed() -> None:
    assert meant("late repairs on slip north") == meant("late repiars on slip north")
    assert meant("number of repairs quay 1000") == "kpi Number of repairs where Quay = East 1000"
    assert meant("number of repairs qauy 1000") == meant("number of repairs quay 1000")
    assert "Late repairs" in meant("how many repairs are late")
    assert meant("how many repiars are late") == meant("how many repairs are late")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("the 5 heaviest repairs", "data Repairs sort -Weight in t top 5"),
        ("die 5 schwersten repairs", "data Repairs sort -Weight in t top 5"),
        ("top 10 heaviest repairs", "data Repairs sort -Weight in t top 10"),
        ("the heaviest repair", "data Repairs sort -Weight in t top 1"),
        ("lightest repairs", "data Repairs sort Weight in t top 5"),
        ("die 10 teuersten repairs", "data Repairs sort -Price in EUR top 10"),
        ("cheapest repairs at slip north", "data Repairs where Slip = North sort Price in EUR top 5"),
        ("the slowest repair", "data Repairs sort -Duration top 1"),
        ("newest repairs", "data Repairs sort -Started on top 5"),
        ("die ältesten repairs", "data Repairs sort Started on top 5"),
        ("show repairs, newest first", "data Repairs sort -Started on"),
        ("repairs, heaviest first", "data Repairs sort -Weight in t"),
        ("repairs, schwerste zuerst", "data Repairs sort -Weight in t"),
        ("top 3 repairs by duration", "data Repairs sort -Duration top 3"),
        ("repairs with the highest duration", "data Repairs sort -Duration top 5"),
        ("welcher slip hat die längste average repair time", "kpi Average repair time by Slip top 1"),
        ("which slip has the fewest number of repairs", "kpi Number of repairs by Slip bottom 1"),
        ("which slips have the heaviest shipped weight", "kpi Shipped weight by Slip top 5"),
        ("repairs heavier than 20 t", "data Repairs where Weight in t > 20"),
        ("repairs heavier than 20", "data Repairs where Weight in t > 20"),
        ("repairs länger als 5 tage", "data Repairs where Duration > 5"),
        ("repairs teurer als 1000", "data Repairs where Price in EUR > 1000"),
        ("repairs older than 30 days", "data Repairs where Started on < 30 days ago"),
        ("repairs älter als 2 wochen", "data Repairs where Started on < 2 weeks ago"),
        ("repairs older than 2026-03-01", "data Repairs where Started on < 2026-03-01"),
        ("repairs newer than last month", "data Repairs where Started on > last month"),
    ],
)
def test_what_comes_first_by_a_measure_is_sorted_by_the_one_field_that_holds_it(
    text: str, means: str
) -> None:
    assert meant(text) == means


def test_a_superlative_goes_on_from_rows() -> None:
    assert meant("repairs", "heaviest first") == "data Repairs sort -Weight in t"
    assert (
        meant("repairs where slip is north", "the 3 heaviest")
        == "data Repairs where Slip = North sort -Weight in t top 3"
    )


@pytest.mark.parametrize(
    "text",
    [
        "most expensive spare part orders",
        "biggest repairs",
        "top 5 repairs",
        "spare part orders teurer als 5",
    ],
)
def test_several_fields_of_a_measure_are_asked_about(text: str) -> None:
    found = heard(text)
    assert len(found.readings) > 1


@pytest.mark.parametrize(
    "text",
    [
        "heaviest spare part orders",
        "newest spare part orders",
        "which slip has the longest number of repairs",
        "which slip has the heaviest average repair time",
        "number of repairs top 5",
        "repairs older than 30",
        "repairs older than 5 t",
    ],
)
def test_a_measure_that_nothing_has_is_not_another(text: str) -> None:
    assert meant(text) == "?"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("which slips do we have", "values Slip"),
        ("what statuses can a repair have", "values Status"),
        ("which repair statuses are there", "values Status"),
        ("welche parts gibt es", "values Part"),
        ("welche parts kommen vor", "values Part"),
        ("which repairs do we have", "data Repairs"),
        ("how many repairs do we have", "kpi Number of repairs"),
        ("which repairs do we have at slip north", "data Repairs where Slip = North"),
        ("show the repairs of brix", "data Repairs where Customer = Brix"),
        ("zeig die orders", "data Spare part orders"),
        ("show number of repairs", "kpi Number of repairs"),
    ],
)
def test_values_rows_and_numbers_are_told_apart_by_what_asks_for_them(text: str, means: str) -> None:
    assert meant(text) == means
