"""KPIs: the scorecard of a knowledge model, and values against target, over groups and over time."""

from __future__ import annotations

from bot.audience import Shown
from bot.commands.command import Command, Context
from bot.commands.kpis.asked import Kpis, ShowKpi
from bot.commands.kpis.groups import show_groups
from bot.commands.kpis.question import Question
from bot.commands.kpis.scorecard import scorecard
from bot.commands.kpis.trends import over_time, show_trend
from bot.commands.kpis.values import show_values
from bot.model.cards import Card
from bot.model.errors import BadArgument
from bot.model.names import Name
from bot.policy import Right

__all__ = ["KPI", "KPIS", "Kpis", "ShowKpi"]


async def _kpi(intent: ShowKpi, context: Context) -> Card | Shown:
    question = await Question.of(intent, context)
    if over_time(question):
        return await show_trend(question)
    if intent.by:
        return await show_groups(question)
    if intent.most or intent.sort:
        raise BadArgument("The first and last of what?", hint="Say by which field, as in “by Plant top 5”.")
    return await show_values(question)


KPIS = Command(
    example=Kpis(model=Name("Order to Cash")),
    summary="the scorecard: every KPI of a knowledge model with its value and target",
    right=Right.READ,
    run=scorecard,
    steady=lambda _intent: True,
)
KPI = Command(
    example=ShowKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash"), by=(Name("Plant"),)),
    summary="the value of a KPI, alone, by fields or over time",
    right=Right.READ,
    run=_kpi,
    # A trend follows the place's date field too.
    steady=lambda intent: not (intent.where or intent.every or intent.chart or intent.against),
)
