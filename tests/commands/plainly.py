"""KPIs over the sandbox's orders, calculated in the plainest way: what the bot says has to equal this."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import fmean
from typing import Any, TypeAlias

from bot.model.cards import Card, Cell, Chart, Flag, Missing, Number, Table, Words
from bot.sandbox.content import DEFAULT_SEED, make_knowledge_models
from tests.story import START

Order: TypeAlias = Mapping[str, Any]
MODEL = next(
    each for each in make_knowledge_models(DEFAULT_SEED, START.timestamp()) if each.name == "Order to Cash"
)
_RECORD = next(each for each in MODEL.records if each.id == "ORDERS")
ORDERS: tuple[Order, ...] = tuple(
    dict(zip((field.id for field in _RECORD.fields), row, strict=True)) for row in _RECORD.rows
)
FIELDS = {each.id: each.name for each in _RECORD.fields}
KPIS = {each.id: each for each in MODEL.kpis if each.measure.record == "ORDERS"}


@dataclass(frozen=True)
class Test:
    """A condition of a question: the country is one of some, or a value is above a number, or a day lies in a range."""

    __test__ = False

    countries: tuple[str, ...] = ()
    above: int | None = None
    first: date | None = None
    after: date | None = None

    def holds(self, order: Order) -> bool:
        value, day = order["value_eur"], order["order_date"]
        return (
            (not self.countries or order["country"] in self.countries)
            and (self.above is None or (value is not None and value > self.above))
            and (self.first is None or (day is not None and day >= self.first))
            and (self.after is None or (day is not None and day < self.after))
        )


def value(kpi: str, orders: Iterable[Order]) -> float | None:
    """A KPI over some orders."""
    measure = KPIS[kpi].measure
    rows = [each for each in orders if measure.kind == "share" or not measure.where or each[measure.where]]
    given = [each[measure.field] for each in rows if measure.field and each[measure.field] is not None]
    match measure.kind:
        case "count":
            found: float | None = len(rows)
        case "distinct":
            found = len(set(given))
        case "sum":
            found = sum(given)
        case "avg":
            found = fmean(given) if given else None
        case "share":
            known = [each[measure.where] for each in rows if each[measure.where] is not None]
            found = known.count(True) / len(known) if known else None
        case _:
            under = sum(each[measure.over] for each in rows if each[measure.over] is not None)
            found = sum(given) / under if under else None
    return None if found is None else found * measure.factor


def grouped(by: Iterable[str], orders: Iterable[Order]) -> dict[tuple[Any, ...], list[Order]]:
    """Orders by the values of some fields."""
    found: dict[tuple[Any, ...], list[Order]] = defaultdict(list)
    fields = tuple(by)
    for each in orders:
        found[tuple(each[field] for field in fields)].append(each)
    return found


def plain(cell: Cell) -> Any:
    """What a cell holds."""
    match cell:
        case Words(text):
            return text
        case Number(number):
            return float(number)
        case Flag(flag):
            return flag
        case Missing():
            return None
        case _:
            raise AssertionError(cell)


def shown(card: Card, labels: int) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """The groups on a card: labels and values."""
    for block in card.blocks:
        match block:
            case Chart(points=points):
                return [((plain(each.label),), (plain(each.value),)) for each in points]
            case Table(rows=rows):
                return [(tuple(map(plain, row[:labels])), tuple(map(plain, row[labels:]))) for row in rows]
            case _:
                pass
    return []
