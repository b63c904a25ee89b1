"""Looking at KPIs that are watched: a word when a value crosses its line, once, and one when it is back."""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from bot.audience import Shown
from bot.celonis import Family
from bot.commands.cells import decimal
from bot.commands.command import Context
from bot.commands.kpis.asked import ShowKpi
from bot.commands.kpis.question import Question
from bot.commands.kpis.targets import exact
from bot.model.cards import Button, Card, Number, Run, Text, Verdict, headline
from bot.model.intents import Bound, Op
from bot.render.values import write
from bot.store.watches import Watch
from bot.watching.loop import Looked
from bot.watching.orders import WatchKpi
from bot.watching.outlet import Outlet
from bot.watching.quiet import next_look
from bot.writes.guarded import touches

EVERY = timedelta(minutes=10)
BACK_BY = Decimal("0.01")
"""Part of the line by which a value has to be back behind it: one that swings around it does not speak each time."""
_CROSSED = {Op.LT: operator.lt, Op.LE: operator.le, Op.GT: operator.gt, Op.GE: operator.ge}


class Side(StrEnum):
    """Where a value was seen."""

    FINE = "fine"
    CROSSED = "crossed"
    UNKNOWN = "unknown"


async def look_at_kpi(watch: Watch, order: WatchKpi, context: Context, outlet: Outlet) -> Looked:
    """Says once that a KPI has crossed its line, once that it is back, and once that it has no value."""
    assert order.kpi is not None
    asked = ShowKpi(
        kpis=(order.kpi,), model=order.model, where=order.where, filter=order.filter, via=order.via
    )
    question = await Question.of(asked, context)
    cell = (await question.row(order.where)).cell(question.lead, part=question.narrowed)
    before = Side(watch.state) if watch.state else Side.FINE
    if not isinstance(cell, Number):
        side, sign = Side.UNKNOWN, "has no value now"
    else:
        side = _side(order.crosses, cell, crossed=before is Side.CROSSED)
        line = _line(order.crosses, cell, question)
        sign = f"{'is at' if side is Side.CROSSED else 'is back at'} {write(cell, context.reader)}{line}"
    if side is not before and not (before is Side.UNKNOWN and side is Side.FINE):
        mark = "✓" if side is Side.FINE else "✗" if side is Side.CROSSED else "?"
        said, whole = question.said(f"{mark} {order.kpi.text} {sign}")
        card = Card(
            headline(said),
            blocks=(*whole, Text("Told once; I speak again when that changes.", quiet=True)),
            buttons=(Button("Look at it", Run(asked)),),
            source=context.source(question.model.text),
        )
        shown = Shown(card, await context.catalog.spelt(touches(asked)))
        await outlet.post(replace(shown, mention=(watch.owner,)))
    scarcity = context.celonis.scarcity(Family.INTELLIGENCE)
    return Looked(side.value, next_look(context.now, EVERY, scarcity))


def _side(line: Bound | None, cell: Number, *, crossed: bool) -> Side:
    """On which side of its line a value is; one that had crossed it has to be back by a part of it."""
    value = exact(cell)
    if line is None:
        return Side.CROSSED if cell.verdict is Verdict.MISSED else Side.FINE
    at = decimal(line.value.removesuffix("%")) or Decimal(0)
    if line.value.endswith("%") and "%" in cell.format:
        at /= 100
    apart = abs(at) * BACK_BY if crossed else Decimal(0)
    if line.op in {Op.LT, Op.LE}:
        at += apart
    else:
        at -= apart
    return Side.CROSSED if _CROSSED[line.op](value, at) else Side.FINE


def _line(line: Bound | None, cell: Number, question: Question) -> str:
    if line is None:
        return f", target {write(question.lead.target(cell), question.context.reader)}"
    return f", line {line.op.value} {line.value}"
