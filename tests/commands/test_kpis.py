"""Cards about KPIs: what stands where, what it costs, and what is said where something fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.cli.settings import sandbox_data_models
from bot.celonis import Kpi
from bot.commands.kpis.periods import in_time
from bot.commands.kpis.targets import Measure
from bot.model.cards import (
    HEADLINE_LENGTH,
    Card,
    Chart,
    Choices,
    Drawing,
    Facts,
    Number,
    Reader,
    Status,
    Table,
    Text,
    Verdict,
    Words,
)
from bot.model.names import Name
from bot.render.values import write
from bot.sandbox import Fault, Sandbox, SandboxOptions
from tests.commands.test_examples import compare
from tests.story import OPERATOR, Stage, StoryClock, stage

Golden = Callable[[str, object], None]
OTD = 'kpi "On-time delivery" of "Order to Cash"'


def told(**changes: Any) -> Any:
    """A bot that knows which date is meant, on one day."""
    models = sandbox_data_models(Sandbox(SandboxOptions()))
    return stage(clock=StoryClock(still=True, pace=1.0), connection={"data_models": models, **changes})


def facts(card: Card) -> dict[str, object]:
    return {
        fact.label: fact.value for block in card.blocks if isinstance(block, Facts) for fact in block.facts
    }


def the(kind: type[Any], card: Card) -> Any:
    (found,) = [block for block in card.blocks if isinstance(block, kind)]
    return found


def quiet(card: Card) -> str:
    return " ".join(block.text for block in card.blocks if isinstance(block, Text))


GOLDEN = {
    "value": f'{OTD} where Country = Germany and "Order date" = "last month"',
    "several": 'kpi "On-time delivery", "Average throughput time", "Number of orders" of "Order to Cash" '
    'where "Order date" = "last month"',
    "groups-of-a-total": 'kpi "Blocked orders" of "Order to Cash" by Plant',
    "groups-paged": 'kpi "Number of orders" of "Order to Cash" by "Customer name" page 2',
    "groups-before": f'{OTD} by Country where "Order date" = "last quarter" against previous period',
    "trend": f"{OTD} as chart",
    "trend-of-weeks": f'{OTD} every week where "Order date" = "last 6 months"',
    "trend-worst": f"{OTD} every month worst 3",
    "which-period": f"{OTD} against previous period",
    "many-conditions": 'kpi "On-time delivery" of "Order to Cash" where Country in (Germany, France, Spain) and '
    '"Value in EUR" > 10k and Plant != "Lyon 1200" and "Order date" = "last month" filter "Key accounts only"',
}


@pytest.mark.parametrize("name", GOLDEN)
async def test_cards_look_alike_on_all_platforms(name: str, assert_golden: Golden) -> None:
    async with told() as scene:
        answer = await scene.answer(GOLDEN[name], OPERATOR)
        assert answer.card.status is (Status.ASKED if name == "which-period" else Status.ANSWERED), answer
        compare(assert_golden, f"kpi-{name}", answer)


async def test_a_value_comes_with_its_mark_its_distance_and_the_period_before() -> None:
    async with told() as scene:
        card = await scene.says(f'{OTD} where Country = Germany and "Order date" = "last month"')
        assert card.headline == (
            "83.3% On-time delivery, Country = Germany, Oct 2026 ✗ 6.7 points short of target 90.0%"
        )
        found = facts(card)
        assert isinstance(value := found["On-time delivery"], Number)
        assert value.verdict is Verdict.MISSED
        assert found["Target"] == Words("90.0%, 6.7 points short")
        assert isinstance(found["Sep 2026"], Number)
        assert found["Change"] == Words("down 11.4 points, worse")
        assert "Sep 2026" not in facts(await scene.says(OTD)), (
            "nothing is compared where no period is asked for"
        )


async def test_the_headline_holds_every_condition_or_says_how_many_more_the_first_line_holds() -> None:
    async with told() as scene:
        card = await scene.says(GOLDEN["many-conditions"])
        assert len(card.headline) <= HEADLINE_LENGTH
        assert "+ 2 conditions" in card.headline
        assert "Oct 2026" in card.headline
        first = card.blocks[0]
        assert isinstance(first, Text)
        for said in (
            "Key accounts only",
            "Country in Germany, France, Spain",
            "Value in EUR > 10k",
            "Oct 2026",
        ):
            assert said in first.text


@pytest.mark.parametrize(
    ("sentence", "judged"),
    [
        ('kpi "Blocked orders" of "Order to Cash"', True),
        ('kpi "Blocked orders" of "Order to Cash" where Country = Germany', False),
        ('kpi "Blocked orders" of "Order to Cash" by Country', False),
        ('kpi "Cost share" of "Order to Cash" by Country', True),
        ('kpi "Average throughput time" of "Order to Cash" where Country = Germany', True),
        ('kpi "Automation rate" of "Order to Cash" by Country', True),
    ],
)
async def test_parts_of_a_total_are_not_held_against_its_target(sentence: str, *, judged: bool) -> None:
    async with told() as scene:
        card = await scene.says(sentence)
        assert ("✗" in card.headline or "✓" in card.headline) is judged
        assert quiet(card).count("parts of it are not held against it") == (0 if judged else 1)


@pytest.mark.parametrize(
    ("format_", "unit", "name", "kind", "by_parts"),
    [
        ("#.#", "EUR", "Average order value", None, True),
        ("#.#", "EUR", "Total of averages", None, False),
        ("#.#", "EUR", "Average number of events", None, True),
        ("#.#", "EUR", "Order value", None, False),
        ("#.#", "", "Automatisierungsquote", None, True),
        ("#.#", "", "Corporate orders", None, False),
        ("#.#", "EUR", "Order value", "ratio", True),
        ("#.#", "EUR", "Average order value", "total", False),
        (".1%", "", "Open share", "total", False),
        (".1%", "", "Anything", None, True),
        ("#.#", "%", "Anything", None, True),
    ],
)
def test_settings_or_else_format_and_name_say_whether_parts_are_judged(
    format_: str, unit: str, name: str, kind: Any, *, by_parts: bool
) -> None:
    reply = Kpi(id="K", name=name, format=format_, unit=unit)
    kinds = {} if kind is None else {"K": kind}
    assert Measure.of(Name(name, "K"), reply, kinds).by_parts is by_parts


@pytest.mark.parametrize(
    ("format_", "unit", "direction", "target", "value", "said"),
    [
        (".1%", "", "Up", "0.9", 0.873, "✗ 2.7 points short of target 90.0%"),
        (".1%", "", "Up", "90%", 0.873, "✗ 2.7 points short of target 90.0%"),
        (".0%", "", "Up", "0.9", 0.89996, "✗ 0.004 points short of target 90%"),
        (".1%", "", "Down", "0.1", 0.11, "✗ 1 point over target 10.0%"),
        ("#.#", "%", "Up", "70", 64.83, "✗ 5.2 points short of target 70%"),
        (",.1f", "days", "Down", "12", 12.6, "✗ 0.6 days over target 12.0 days"),
        (",.0f", "EUR", "Down", "150000.00", 150000.4, "✗ 0.4 EUR over target 150,000 EUR"),
        (",.0f", "", "Down", "0", 0, "✓ target 0"),
        ("", "", "None", "5", 3, ""),
        ("", "", "Up", "good", 3, ""),
        ("", "", "Up", "", 3, ""),
    ],
)
def test_the_distance_is_in_the_kpi_s_unit(
    format_: str, unit: str, direction: str, target: str, value: float, said: str
) -> None:
    reply = Kpi(id="K", name="K", format=format_, unit=unit, direction=direction, target=target)
    measure = Measure.of(Name("K", "K"), reply, {})
    judged = measure.judged(Number(value, format_, unit))
    assert measure.verdict(judged, Reader()) == said


def test_numbers_are_the_reader_s() -> None:
    reply = Kpi(id="K", name="K", format=".1%", direction="Up", target="0.9")
    measure = Measure.of(Name("K", "K"), reply, {})
    judged = measure.judged(Number(0.873, ".1%"))
    assert measure.verdict(judged, Reader(locale="de")) == "✗ 2,7 points short of target 90,0\xa0%".replace(
        "\xa0", " "
    )


async def test_a_trend_says_what_more_of_it_costs_and_asks_for_no_closed_month_twice() -> None:
    async with told() as scene:
        await scene.says('use "Order to Cash"')
        card = await scene.says(f"{OTD} as chart")
        chart = the(Chart, card)
        assert (chart.drawing, len(chart.points)) == (Drawing.LINE, 12)
        assert [each.label for each in card.buttons] == ["12 earlier months (12 calls)"]
        scene.clock.pass_by(6 * 3600 + 600)
        scene.sandbox.log.clear()
        await scene.says(f"{OTD} as chart")
        data = [each for each in scene.sandbox.log if each.path.endswith("/data")]
        assert len(data) == 1, "only the month that still runs"


async def test_a_trend_of_what_could_be_read_says_what_could_not() -> None:
    async with told(total_retry=0) as scene:
        scene.sandbox.faults.add(Fault("status", status=500, query="2026-03-01", path="/data$"))
        card = await scene.says(f"{OTD} as chart")
        values = {point.label: point.value for point in the(Chart, card).points}
        assert isinstance(values[Words("Apr 2026")], Number)
        assert not isinstance(values[Words("Mar 2026")], Number)
        assert "no answer for Mar 2026" in quiet(card)


@pytest.mark.parametrize("how", ["by Country", "as chart"])
async def test_of_several_kpis_by_a_field_those_that_can_be_read_are_shown(how: str) -> None:
    async with told(total_retry=0) as scene:
        scene.sandbox.faults.add(Fault("status", status=500, query="COGS_SHARE", path="/data$"))
        card = await scene.says(
            f'kpi "Cost share", "On-time delivery", "Number of orders" of "Order to Cash" {how}'
        )
        table = the(Table, card)
        assert [each.title for each in table.columns][1:] == ["On-time delivery", "Number of orders"]
        assert all(isinstance(row[1], Number) for row in table.rows)
        assert "no answer for Cost share; the other values are complete" in quiet(card)
        assert "Cost share" not in card.headline
        alone = await scene.says(f'kpi "Cost share" of "Order to Cash" {how}')
        assert alone.status is Status.FAILED


async def test_where_none_of_several_kpis_can_be_read_the_answer_is_the_error() -> None:
    async with told(total_retry=0) as scene:
        scene.sandbox.faults.add(Fault("status", status=500, path="/data$"))
        card = await scene.says('kpi "Cost share", "On-time delivery" of "Order to Cash" by Country')
        assert card.status is Status.FAILED
        assert len([each for each in scene.sandbox.log if each.path.endswith("/data")]) <= 3


async def test_a_bucket_that_is_not_over_says_so() -> None:
    async with told() as scene:
        chart = the(Chart, await scene.says(f"{OTD} as chart"))
        labels = [write(point.label, Reader()) for point in chart.points]
        assert [each for each in labels if "so far" in each] == ["Nov 2026 so far"] == labels[-1:]
        past = the(Chart, await scene.says(f'{OTD} every month where "Order date" = "Q3 2026"'))
        assert not any("so far" in write(point.label, Reader()) for point in past.points)


async def test_next_and_back_turn_the_pages_of_groups_and_trends() -> None:
    async with told() as scene:
        customers = 'kpi "Number of orders" of "Order to Cash" by "Customer name"'
        for sentence, forward in ((customers, "Next "), (f"{OTD} as chart", "12 earlier months")):
            first = await scene.says(sentence)
            second = await scene.says("next")
            assert first.blocks != second.blocks
            labels = [each.label for each in second.buttons]
            assert labels[0] == "Back"
            assert all(each.startswith(forward) for each in labels[1:])
            assert (await scene.says("back")).blocks == first.blocks


async def test_a_field_that_holds_weeks_is_a_line_in_their_order_with_one_call() -> None:
    async with stage(key="user") as scene:
        card = await scene.says('kpi "Expected cash" of "Cash Forecast" by Week')
        chart = the(Chart, card)
        assert chart.drawing is Drawing.LINE
        assert [point.label for point in chart.points] == [Words(f"W{week:02}") for week in range(1, 11)]
        assert card.headline.startswith("1,000,000 EUR for W10")
        card = await scene.presses(card, "Next 3")
        assert [point.label for point in the(Chart, card).points] == [
            Words(f"W{week}") for week in (11, 12, 13)
        ]
        assert len([each for each in scene.sandbox.log if each.path.endswith("/data")]) == 1


@pytest.mark.parametrize(
    ("field", "labels", "timely"),
    [
        ("Week", ("W02", "W01"), True),
        ("Posting month", ("2026-01", "2025-12"), True),
        ("Quarter", ("2026 Q1", "2026 Q2"), True),
        ("Week", ("W9", "W10"), False),
        ("Warehouse", ("W01", "W02"), False),
        ("Month", ("January", "February"), False),
        ("Month", ("2026-01", None), False),
        ("Month", (), False),
    ],
)
def test_only_what_is_named_and_written_as_time_stands_in_its_order(
    field: str, labels: tuple[object, ...], *, timely: bool
) -> None:
    assert in_time(Name(field), labels) is timely


async def test_which_date_is_asked_for_where_nothing_says_it() -> None:
    async with stage() as scene:
        card = await scene.says(f"{OTD} as chart")
        assert card.status is Status.ASKED
        labels = [each.label for each in the(Choices, card).options]
        assert {"Order date", "Delivery date", "Shipped on"} <= set(labels)
        drawn = await scene.presses(card, "Order date")
        assert the(Chart, drawn).drawing is Drawing.LINE


async def test_a_scorecard_shows_what_has_values_where_one_kpi_fails() -> None:
    async with told(total_retry=0) as scene:
        scene.sandbox.faults.add(Fault("status", status=500, query="COGS_SHARE", path="/data$"))
        card = await scene.says('kpis of "Order to Cash"')
        rows = {row[0]: row[1] for row in the(Table, card).rows}
        assert rows[Words("Cost share")] == Words("not read")
        assert sum(isinstance(value, Number) for value in rows.values()) == 9
        assert "no answer for Cost share" in quiet(card)
        assert card.headline.startswith("✗ 4 of 4 targets missed")
        data = [each for each in scene.sandbox.log if each.path.endswith("/data")]
        assert len(data) <= 13


async def test_a_scorecard_of_which_nothing_can_be_read_is_an_error_and_costs_no_more_than_its_bound() -> (
    None
):
    async with told(total_retry=0) as scene:
        scene.sandbox.faults.add(Fault("status", status=500, path="/data$"))
        card = await scene.says('kpis of "Order to Cash"')
        assert card.status is Status.FAILED
        assert len([each for each in scene.sandbox.log if each.path.endswith("/data")]) <= 13


@pytest.mark.parametrize(
    ("sentence", "cold", "warm"),
    [
        (OTD, 4, 1),
        (f"{OTD} by Plant", 4, 1),
        ('kpi "On-time delivery", "Cost share" of "Order to Cash"', 4, 1),
        (f'{OTD} where "Order date" = "last month"', 5, 2),
        (f'{OTD} by Plant where "Order date" = "last month"', 4, 1),
        (f'{OTD} by Plant where "Order date" = "last month" against previous period', 5, 2),
        ('kpis of "Order to Cash"', 4, 1),
    ],
)
async def test_what_an_answer_costs(sentence: str, cold: int, warm: int) -> None:
    """The cold numbers have the load time of the data in them; lists of fields have a row of their own."""
    async with told() as scene:
        assert (await scene.says(sentence)).status is Status.ANSWERED
        assert calls(scene) == cold
        scene.clock.pass_by(200)
        scene.sandbox.log.clear()
        assert (await scene.says(sentence)).status is Status.ANSWERED
        data = [each for each in scene.sandbox.log if each.path.endswith("/data")]
        assert len(data) == warm


def calls(scene: Stage) -> int:
    """Calls but for lists of fields."""
    return len([each for each in scene.sandbox.log if "/records" not in each.path])


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (f"{OTD} by Plant every month", "can't have groups"),
        (f"{OTD} every month against previous period", "shows the periods before already"),
        (
            f'{OTD} where "Order date" = "last month" against "the day of reckoning"',
            "is no period that I know",
        ),
        (f"{OTD} top 3", "first and last of what"),
    ],
)
async def test_what_cannot_be_told_is_said_and_costs_no_data(sentence: str, said: str) -> None:
    async with told() as scene:
        card = await scene.says(sentence)
        assert card.status is not Status.ANSWERED
        assert said in card.headline
        assert not [each for each in scene.sandbox.log if each.path.endswith("/data")]


async def test_nobody_sees_over_time_what_a_hidden_date_tells() -> None:
    from bot import config

    hidden = (config.HiddenField(field="Order date"),)
    models = sandbox_data_models(Sandbox(SandboxOptions()))
    async with stage(hidden=hidden, connection={"data_models": models}) as scene:
        card = await scene.says(f"{OTD} as chart")
        assert card.status is Status.ASKED
        assert "Order date" not in repr(card)
