"""Kinds of sentences, each over the same invented catalog: a workshop that repairs boats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from bot.language.frames import Scope
from bot.language.lexicon import Entity, Lexicon
from bot.language.say import say
from bot.language.understand import Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import vocabulary
from bot.model.names import Kind, Name, fold
from tests.language.scoring import frames, name_list

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
MODEL = Name("Boatyard", "boatyard")
WITHIN = ((Kind.MODEL, MODEL),)
KPIS = ("Number of repairs", "Average repair time", "Hauled weight")
FILTERS = ("Late repairs",)
RECORDS: Mapping[str, Mapping[str, str]] = {
    "Repairs": {
        "Repair number": "string",
        "Customer": "string",
        "Status": "string",
        "Slip": "string",
        "Weight in t": "float",
        "Duration": "float",
        "Price in EUR": "float",
        "Started on": "date",
    },
    "Spare part orders": {
        "Part": "string",
        "Quantity": "integer",
        "Freight": "float",
        "Customs fee": "float",
    },
}
VALUES: Mapping[str, Sequence[str]] = {
    "Status": ("Open", "Waived", "Done"),
    "Slip": ("North", "South"),
    "Customer": ("Ahlers", "Brix"),
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
    return " ".join(words.replace("of Boatyard", "").replace('"', "").split())


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


@pytest.mark.parametrize("text", ["ende oktober", "end of october", "anfang juli"])
def test_a_part_of_a_month_is_not_the_month(text: str) -> None:
    assert meant(f"number of repairs {text}") == "?"


def test_a_number_that_says_how_many_is_no_day() -> None:
    assert (
        meant("top 3 märz slip number of repairs")
        == "kpi Number of repairs by Slip where Started on = märz 2026 top 3"
    )
