"""KPIs: which there are, and their values against target and direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

from bot.celonis import DataQuery, Header
from bot.celonis import Kpi as KpiReply
from bot.commands.cells import decimal, value_of
from bot.commands.command import Command, Context
from bot.commands.lists import PAGE, back, count, list_card, no_page, page_of
from bot.commands.records import condition, under
from bot.commands.spelling import unmatched
from bot.language.declare import CelonisIntent, Count, Flag, Names, OneName, OneOf, SortBy, Where, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Column,
    Fact,
    Facts,
    Missing,
    Number,
    Reader,
    Run,
    Table,
    Text,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.intents import Condition, SortKey, comparisons
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.values import write


@dataclass(frozen=True, slots=True)
class Kpis(CelonisIntent):
    """Which KPIs a knowledge model has."""

    words: ClassVar[str] = "kpis"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowKpi(CelonisIntent):
    """Values of KPIs, alone or by fields."""

    words: ClassVar[str] = "kpi"
    kpis: tuple[Name, ...] = field(default=(), metadata=clause("", Names(Kind.KPI)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    by: tuple[Name, ...] = field(default=(), metadata=clause("by", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    top: int = field(default=0, metadata=clause("top", Count()))
    bottom: int = field(default=0, metadata=clause("bottom", Count()))
    best: int = field(default=0, metadata=clause("best", Count()))
    worst: int = field(default=0, metadata=clause("worst", Count()))
    against: str = field(default="", metadata=clause("against", OneOf(("target", "previous period"))))
    chart: bool = field(default=False, metadata=clause("as chart", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


async def _kpis(intent: Kpis, context: Context) -> Card:
    assert intent.model is not None
    listed = await context.catalog.listed(Kind.KPI, intent.model)
    wanted = [each.as_name for each in page_of(listed, intent.page)]
    shown = list((await _about(wanted, intent.model, context)).values())
    rows = [
        (Words(each.name), _target(each), Words(_direction(each)), Words(each.description or ""))
        for each in shown
    ]
    buttons = tuple(
        Button(each.name, Run(ShowKpi(kpis=(Name(each.name, each.id),), model=intent.model, via=intent.via)))
        for each in shown[:4]
    )
    return list_card(
        intent,
        (Column("KPI"), Column("Target", numeric=True), Column("Better is"), Column("Description")),
        rows,
        page=intent.page,
        total=len(listed),
        what="KPI",
        of=intent.model.text,
        buttons=buttons,
        source=context.source(intent.model.text),
    )


async def _about(kpis: Sequence[Name], model: Name, context: Context) -> dict[str, KpiReply]:
    """What Celonis knows of some KPIs, by id."""
    wanted = [each.id for each in kpis]
    every = await context.asking.kpis(model.id)
    listed = await context.catalog.listed(Kind.KPI, model)
    numbers = [number for each in wanted if (number := listed.number(each)) is not None]
    found = {each.id: each for number in numbers for each in every[number : number + 1] if each.id in wanted}
    if len(found) < len(wanted):  # the two were read at different times
        found = {each.id: each for each in every if each.id in wanted}
    return found


async def _kpi(intent: ShowKpi, context: Context) -> Card:
    assert intent.model is not None
    if not intent.kpis:
        raise BadArgument("Which KPI?", hint=f"Say “kpis of {intent.model.text}” for the list.")
    model = intent.model
    about = await _about(intent.kpis, model, context)
    expressions, notes = condition(intent.where, await _types(intent, context), context)
    if intent.chart or intent.against == "previous period":
        asked = "draw charts" if intent.chart else "compare with the period before"
        raise BadArgument(f"I can't {asked} yet.", hint="Ask without it.", undone="Nothing was asked.")
    most, order = _ranked(intent, about)
    limits = context.asking.limits
    size = limits.page - limits.page % PAGE or limits.page
    first = (intent.page - 1) * PAGE
    page = await context.asking.model_data(
        model.id,
        DataQuery(
            kpis=tuple(each.id for each in intent.kpis),
            fields=tuple(each.id for each in intent.by),
            filters=tuple(each.id for each in intent.filter),
            expressions=expressions,
            sort=order,
            page=first // size,
            page_size=min(size, most) if most else size,
        ),
    )
    headers = {each.id: each for each in page.headers}
    if not any(decimal(row.get(each.id)) for row in page.rows for each in intent.kpis):
        subject = ", ".join(each.text for each in intent.kpis)
        narrow = under(intent.where, intent.filter)
        if (card := await unmatched(intent, subject, narrow, context)) is not None:
            return card
    if not intent.by:
        return _values(intent, context, page.rows, headers, about=about, notes=notes)
    rows = list(page.rows)[: most or None]
    lead = about.get(intent.kpis[0].id)
    if page.last and page.page == 0 and lead is not None and not order:
        rows = _worst_first(rows, lead)
    start = first % size
    shown = rows[start : start + PAGE]
    if not shown and first:
        raise no_page(intent.page)
    more = (len(rows) > start + PAGE or not (page.last or most)) and first + PAGE < limits.rows
    columns = (
        *(Column(each.text) for each in intent.by),
        *(Column(each.text, numeric=True) for each in intent.kpis),
    )
    cells = tuple(
        (
            *(value_of(row, each.id, headers) for each in intent.by),
            *(_kpi_cell(row, each, headers, about) for each in intent.kpis),
        )
        for row in shown
    )
    blocks: list[Block] = []
    if cells:
        blocks.append(
            Table(
                columns,
                cells,
                more=Button("Next rows", Run(replace(intent, page=intent.page + 1))) if more else None,
                hidden=max(0, len(rows) - start - PAGE) if page.last else 0,
            )
        )
    names = " and ".join(each.text for each in intent.kpis)
    by = ", ".join(each.text for each in intent.by) + _rank(intent)
    narrow = under(intent.where, intent.filter)
    whole = page.last and page.page == 0
    return Card(
        headline(f"{names} by {by}{narrow}: {_summary(rows, lead, context.reader, whole=whole)}"),
        title=f"{names} by {by}, {model.text}",
        blocks=(*blocks, *notes),
        buttons=back(intent, intent.page),
        source=context.source(model.text),
    )


def _ranked(intent: ShowKpi, about: Mapping[str, KpiReply]) -> tuple[int, tuple[tuple[str, bool], ...]]:
    """How many rows are asked for at most (0 for all), and in which order.

    Raises:
        BadArgument: They can't be put in order like that.
    """
    most = intent.top or intent.bottom or intent.best or intent.worst
    if not most:
        return 0, tuple((key.field.id, key.descending) for key in intent.sort)
    if not intent.by:
        raise BadArgument("The first and last of what?", hint="Say by which field, as in “by Plant top 5”.")
    lead = intent.kpis[0]
    high = bool(intent.top)
    if intent.best or intent.worst:
        direction = _direction(about[lead.id]) if lead.id in about else ""
        if not direction:
            raise BadArgument(
                f"The knowledge model does not say whether more {lead.text} is better or worse.",
                hint="Say “top” for the highest values, “bottom” for the lowest.",
                undone="Nothing was asked.",
            )
        high = (direction == "higher") == bool(intent.best)
    return most, ((lead.id, high),)


def _rank(intent: ShowKpi) -> str:
    """Which rows were asked for, as the headline says it."""
    ranks = {"top": intent.top, "bottom": intent.bottom, "best": intent.best, "worst": intent.worst}
    return "".join(f", {word} {number}" for word, number in ranks.items() if number)


async def _types(intent: ShowKpi, context: Context) -> dict[str, str]:
    """Types of the fields that the condition names; ids are `record.field`."""
    assert intent.model is not None
    types: dict[str, str] = {}
    for comparison in comparisons(intent.where) if intent.where else ():
        record, _, field_id = comparison.field.id.partition(".")
        details = await context.asking.record(intent.model.id, record)
        types |= {
            f"{record}.{each.id}": each.type or "string" for each in details.fields if each.id == field_id
        }
    return types


def _values(
    intent: ShowKpi,
    context: Context,
    rows: Sequence[Mapping[str, object]],
    headers: Mapping[str, Header],
    *,
    about: Mapping[str, KpiReply],
    notes: Sequence[Block],
) -> Card:
    assert intent.model is not None
    row = rows[0] if rows else {}
    facts: list[Fact] = []
    verdicts: list[str] = []
    for name in intent.kpis:
        value = _kpi_cell(row, name, headers, about)
        kpi = about.get(name.id)
        verdict = _against(value, kpi, context.reader) if kpi else ""
        verdicts.append(f"{write(value, context.reader)} {name.text}{f' ({verdict})' if verdict else ''}")
        facts.append(Fact(name.text, value))
        if kpi is not None and kpi.target not in {None, ""}:
            facts.append(Fact(f"Target of {name.text}" if len(intent.kpis) > 1 else "Target", _target(kpi)))
        if kpi is not None and _direction(kpi):
            facts.append(Fact("Better is", Words(_direction(kpi))))
    described = [
        Text(about[each.id].description or "", quiet=True)
        for each in intent.kpis
        if each.id in about and about[each.id].description
    ]
    return Card(
        headline("; ".join(verdicts) + under(intent.where, intent.filter)),
        title=f"{', '.join(each.text for each in intent.kpis)}, {intent.model.text}",
        blocks=(Facts(tuple(facts)), *described, *notes),
        buttons=(Button("All KPIs", Run(Kpis(model=intent.model, via=intent.via))),),
        source=context.source(intent.model.text),
    )


def _kpi_cell(
    row: Mapping[str, object], name: Name, headers: Mapping[str, Header], about: Mapping[str, KpiReply]
) -> Cell:
    kpi = about.get(name.id)
    return value_of(
        row, name.id, headers, "number", format=kpi.format if kpi else "", unit=kpi.unit if kpi else ""
    )


def _target(kpi: KpiReply) -> Cell:
    if kpi.target in {None, ""}:
        return Missing()
    number = decimal(kpi.target)
    return Words(str(kpi.target)) if number is None else Number(number, kpi.format, kpi.unit)


def _direction(kpi: KpiReply) -> str:
    return {"up": "higher", "down": "lower"}.get((kpi.direction or "").casefold(), "")


def _meets(value: Decimal, kpi: KpiReply) -> bool | None:
    """Whether a value is as good as its target; None where there is no target or no direction."""
    target = decimal(kpi.target)
    match _direction(kpi):
        case "higher" if target is not None:
            return value >= target
        case "lower" if target is not None:
            return value <= target
        case _:
            return None


def _against(value: Cell, kpi: KpiReply, reader: Reader) -> str:
    if not isinstance(value, Number):
        return "no value" if isinstance(value, Missing) else ""
    number = decimal(value.value)
    meets = None if number is None else _meets(number, kpi)
    if meets is None:
        return ""
    return f"target {write(_target(kpi), reader)} {'met' if meets else 'missed'}"


def _worst_first(rows: Sequence[Mapping[str, object]], kpi: KpiReply) -> list[Mapping[str, object]]:
    """Rows with the worst value first where the KPI says what is worse; rows without a value come last."""
    direction = _direction(kpi)
    if not direction:
        return list(rows)

    def place(row: Mapping[str, object]) -> tuple[bool, Decimal]:
        number = decimal(row.get(kpi.id))
        return number is None, (number or Decimal(0)) * (-1 if direction == "lower" else 1)

    return sorted(rows, key=place)


def _summary(
    rows: Sequence[Mapping[str, object]], kpi: KpiReply | None, reader: Reader, *, whole: bool
) -> str:
    if not rows:
        return "no values"
    if kpi is None or not whole:
        return count(len(rows), "value")
    met = [_meets(number, kpi) for row in rows if (number := decimal(row.get(kpi.id))) is not None]
    if not met or None in met:
        return count(len(rows), "value")
    missed = met.count(False)
    return f"{missed} of {len(rows)} miss the target of {write(_target(kpi), reader)}"


KPIS = Command(
    example=Kpis(model=Name("Purchase Requisition KM")),
    summary="KPIs of a knowledge model",
    right=Right.READ,
    run=_kpis,
)
KPI = Command(
    example=ShowKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash"), by=(Name("Plant"),)),
    summary="the value of a KPI, alone or by fields",
    right=Right.READ,
    run=_kpi,
    steady=lambda intent: intent.where is None,
)
