"""KPIs without groups: a value with its target and the period before, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.commands.kpis.asked import BEFORE, TARGET, Kpis
from bot.commands.kpis.periods import Span, before, called, joined
from bot.commands.kpis.question import Question, Row, not_read
from bot.commands.kpis.targets import Measure, change, score
from bot.language.dates import period
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Choices,
    Column,
    Fact,
    Facts,
    Missing,
    Number,
    Run,
    Status,
    Table,
    Text,
    Words,
    headline,
)
from bot.model.errors import BadArgument, CelonisError, QuotaExhausted
from bot.model.intents import Comparison, Op
from bot.render.values import write

_CHOICES = ("this month", "last month", "this quarter", "last quarter")
WHOLE = "is set for all there is, so parts of it are not held against it"


async def show_values(question: Question) -> Card:
    """The values of KPIs, each held against its target, and beside the period before."""
    intent = question.intent
    other = compared_with(question)
    if other is None and intent.against not in {"", TARGET}:
        return await which_period(question)
    row = await question.row(intent.where)
    nothing = await question.unmatched(row.cell(each, part=True) for each in question.measures)
    if nothing is not None:
        return nothing
    earlier: Row | None = None
    if other is not None and question.period is not None:
        try:
            earlier = await question.row(question.period.moved(other))
        except (CelonisError, QuotaExhausted):
            if intent.against:
                raise
            other = None  # nobody asked for it
    if len(question.measures) == 1:
        return _one(question, row, earlier, other)
    return _several(question, row, earlier, other)


def compared_with(question: Question) -> Span | None:
    """The period that the one asked for is compared with: the one that is named, else the one before."""
    against, asked = question.intent.against, question.period
    if asked is None or against == TARGET:
        return None
    if against in {"", BEFORE}:
        return before(asked.span, question.now)
    named = period(against, question.now.tzinfo, question.now)  # type: ignore[arg-type]  # made with a ZoneInfo
    if named is None or named.start is None or named.end is None:
        raise BadArgument(
            f"“{against}” is no period that I know.",
            hint="Say it as in: against “last month”, or against “Q3 2026”.",
            undone="Nothing was asked.",
        )
    return Span(named.start, named.end)


async def which_period(question: Question) -> Card:
    """Asks which period is to be compared."""
    intent, usual = question.intent, await question.usual_date()
    options = tuple(
        Button(
            each.capitalize(),
            Run(replace(intent, where=joined(intent.where, Comparison(usual, Op.EQ, (each,))))),
        )
        for each in (_CHOICES if usual is not None else ())
        if usual is not None
    )
    said = "the period before" if question.intent.against == BEFORE else question.intent.against
    return Card(
        headline(f"Which period shall I compare with {said}?"),
        blocks=(Choices("For example:", options),) if options else (Text("Say one, as in “last month”."),),
        source=question.context.source(question.model.text),
        status=Status.ASKED,
    )


def _one(question: Question, row: Row, earlier: Row | None, other: Span | None) -> Card:
    measure, reader = question.lead, question.context.reader
    value = row.cell(measure, part=question.narrowed)
    verdict = measure.verdict(value, reader)
    facts = [Fact(measure.name.text, value)]
    if measure.has_target:
        target = measure.target(value)
        if isinstance(value, Number) and value.verdict is not None:
            target = Words(f"{write(target, reader)}, {measure.distance(value, reader)}")
        facts.append(Fact("Target", target))
    elif measure.better:
        facts.append(Fact("Better is", Words(measure.better)))
    changed = ""
    if earlier is not None and other is not None:
        old = earlier.cell(measure, part=True)
        changed = change(value, old, measure.better, reader)
        facts += [Fact(called(other, reader), old), *([Fact("Change", Words(changed))] if changed else [])]
    said = "No value of" if isinstance(value, Missing) else write(_plain(value), reader)
    tail = f" {verdict}" if verdict else ""
    if question.intent.against not in {"", TARGET} and changed and other is not None:
        tail += f", {changed.partition(',')[0]} from {called(other, reader)}"
    title, first = question.said(f"{said} {measure.name.text}", tail)
    about = [Text(measure.reply.description, quiet=True)] if measure.reply.description else []
    return _card(question, title, [*first, Facts(tuple(facts)), *about])


def _several(question: Question, row: Row, earlier: Row | None, other: Span | None) -> Card:
    reader = question.context.reader
    values = [(each, row.cell(each, part=question.narrowed)) for each in question.measures]
    title, first = question.said(f"{_score(values, question)}{question.called}")
    with_before = earlier is not None and other is not None
    columns = [Column("KPI"), Column("Value", numeric=True), Column("Target", numeric=True)]
    if with_before:
        columns.append(Column(called(other, reader), numeric=True))  # type: ignore[arg-type]  # known to be there
    rows = tuple(
        (
            Words(measure.name.text),
            value,
            measure.target(value),
            *((earlier.cell(measure, part=True),) if earlier is not None and with_before else ()),
        )
        for measure, value in values
    )
    left_out = [each.name.text for each in question.measures if each.reply.id in row.failed]
    return _card(
        question,
        title,
        [*first, Table(tuple(columns), rows), *not_read(left_out, "the other values are complete")],
    )


def _score(values: Sequence[tuple[Measure, Cell]], question: Question) -> str:
    """How many of several KPIs meet their target; the first value where none has one."""
    met = [value.verdict for _, value in values if isinstance(value, Number) and value.verdict is not None]
    if met:
        return f"{score(met)}: "
    return f"{write(_plain(values[0][1]), question.context.reader)} "


def _plain(value: Cell) -> Cell:
    """A value without its mark, which is said beside it."""
    return replace(value, verdict=None) if isinstance(value, Number) else value


def unjudged(question: Question) -> list[Text]:
    """Once for all KPIs: that parts are not held against the target of the whole."""
    whole = [
        each.name.text for each in question.measures if each.has_target and each.better and not each.by_parts
    ]
    if not whole:
        return []
    of = f" of {', '.join(whole)}" if len(question.measures) > 1 else ""
    return [Text(f"The target{of} {WHOLE}.", quiet=True)]


def without_target(question: Question) -> list[Text]:
    """Which KPIs have none of the targets that were asked for."""
    lacking = [each.name.text for each in question.measures if not each.has_target]
    if question.intent.against != TARGET or not lacking:
        return []
    return [Text(f"The knowledge model gives no target for {', '.join(lacking)}.", quiet=True)]


def _card(question: Question, title: str, blocks: Sequence[Block]) -> Card:
    intent, model = question.intent, question.model
    return Card(
        title,
        title=f"{question.called}, {model.text}",
        blocks=(
            *blocks,
            *without_target(question),
            *(unjudged(question) if question.narrowed else ()),
            *question.notes(),
        ),
        buttons=(*_over_time(question), Button("All KPIs", Run(Kpis(model=model, via=intent.via)))),
        source=question.context.source(model.text),
    )


def _over_time(question: Question) -> tuple[Button, ...]:
    """A way to the trend, with what it costs."""
    if question.period is None and not question.context.dates.get(question.model.id):
        return ()
    intent = replace(question.intent, chart=True, against="")
    return (Button("Over time (up to 12 calls)", Run(intent)),)
