"""The scorecard: every KPI of a knowledge model with its current value, its target, and whether that is met."""

from __future__ import annotations

from bot.audience import Shown
from bot.celonis import DataQuery
from bot.commands.command import Context
from bot.commands.kpis.asked import Kpis, ShowKpi
from bot.commands.kpis.question import TOGETHER, not_read, read_row, replies
from bot.commands.kpis.targets import Measure, score
from bot.commands.lists import PAGE, count, page_of, table, turn
from bot.model.cards import Block, Button, Card, Cell, Column, Number, Run, Text, Verdict, Words, headline
from bot.model.names import Kind, Name
from bot.policy import Touch


async def scorecard(intent: Kpis, context: Context) -> Shown:
    """The KPIs that this person may see, a page at a time; values of all pages near it come with one call."""
    assert intent.model is not None
    model = intent.model
    listed = await context.catalog.listed(Kind.KPI, model)
    here = page_of(listed, intent.page)
    if not listed:
        return Shown(
            Card(
                headline(f"No KPIs in {model.text}"),
                blocks=(Text("No KPI is visible here."),),
                source=context.source(model.text),
            ),
            (Touch(connection=intent.via, model=model),),
        )
    first = (intent.page - 1) * PAGE // TOGETHER * TOGETHER
    together = [each.as_name for each in listed[first : first + TOGETHER]]
    measures = {each.name.id: each for each in await replies(context, model, together)}
    row = await read_row(context, model, DataQuery(kpis=tuple(each.id for each in together)))
    cells = {id_: row.cell(measure, part=False) for id_, measure in measures.items()}
    shown = [measures[each.id] for each in here]
    rows = [(Words(each.name.text), value := cells[each.name.id], each.target(value)) for each in shown]
    left_out = [each.name.text for each in measures.values() if each.name.id in row.failed]
    blocks: list[Block] = [
        table(
            (Column("KPI"), Column("Value", numeric=True), Column("Target", numeric=True)),
            rows,
            page=intent.page,
            total=len(listed),
        ),
        *not_read(left_out, "the other values are complete"),
    ]
    whole = len(together) == len(listed)
    seen = list(measures.values()) if whole else shown
    card = Card(
        headline(_verdict(intent, model, seen, cells, whole=whole, total=len(listed))),
        title=f"KPIs of {model.text}",
        blocks=tuple(blocks),
        buttons=(
            *(
                _opened(each, intent, model)
                for each in sorted(shown, key=lambda each: _meets(cells[each.name.id]))[:4]
            ),
            *turn(intent, intent.page, len(listed)),
        ),
        source=context.source(model.text),
    )
    return Shown(card, tuple(Touch(connection=intent.via, model=model, kpi=each.name) for each in seen))


def _meets(value: Cell) -> bool:
    return not (isinstance(value, Number) and value.verdict is Verdict.MISSED)


def _opened(measure: Measure, intent: Kpis, model: Name) -> Button:
    return Button(measure.name.text, Run(ShowKpi(kpis=(measure.name,), model=model, via=intent.via)))


def _verdict(
    intent: Kpis, model: Name, seen: list[Measure], cells: dict[str, Cell], *, whole: bool, total: int
) -> str:
    """How many targets are missed, before anything else."""
    marks = [
        value.verdict
        for each in seen
        if isinstance(value := cells[each.name.id], Number) and value.verdict is not None
    ]
    every = f"{model.text}, {count(total, 'KPI')}"
    said = f"{score(marks, '' if whole else ' on this page')}: {every}" if marks else f"No targets: {every}"
    start = (intent.page - 1) * PAGE
    return said if total <= PAGE else f"{said}, {start + 1}-{min(start + PAGE, total)}"
