"""KPIs over time. The API has no buckets, so each day, week, month, quarter or year costs a call of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.audience import Shown
from bot.celonis import DataQuery
from bot.commands.kpis.asked import BEFORE, TARGET
from bot.commands.kpis.groups import place_of, ranked
from bot.commands.kpis.periods import (
    MOST,
    Asked,
    Span,
    buckets,
    called,
    joined,
    lately,
    unit_for,
    within,
)
from bot.commands.kpis.question import OF_ONE, Question, Row, answerable, not_read
from bot.commands.kpis.targets import against, exact
from bot.commands.kpis.values import unjudged, without_target
from bot.commands.lists import PAGE, back, count, no_page
from bot.language.dates import DATES
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Chart,
    Choices,
    Column,
    Drawing,
    Missing,
    Number,
    Point,
    Run,
    Status,
    Table,
    Text,
    Words,
    headline,
)
from bot.model.errors import BadArgument, CelonisError, QuotaExhausted
from bot.model.intents import Condition
from bot.model.names import Name
from bot.render.values import write
from bot.writes.guarded import touches


@dataclass(frozen=True, slots=True)
class Trend:
    """KPIs in the buckets of one page.

    Attributes:
        field: The date field.
        unit: Of the buckets.
        spans: The buckets, in order.
        rows: A row for each; None where it could not be read.
        earlier: How many buckets of the period lie before these; None where nobody said when it begins.
    """

    field: Name
    unit: str
    spans: Sequence[Span]
    rows: Sequence[Row | None]
    earlier: int | None


def over_time(question: Question) -> bool:
    """Whether a trend is asked for."""
    intent = question.intent
    dated = any(question.types.get(each.id) in DATES for each in intent.by)
    return bool(intent.every) or dated or (intent.chart and not intent.by)


async def show_trend(question: Question) -> Shown | Card:
    """The values of KPIs over time, as a line; the best or worst buckets as bars.

    Raises:
        BadArgument: What is asked cannot be told over time.
    """
    intent = question.intent
    if [each for each in intent.by if question.types.get(each.id) not in DATES] or len(intent.by) > 1:
        raise BadArgument(
            "A trend is drawn of one value at a time, so it can't have groups as well.",
            hint="Narrow it down with “where”, or leave out the trend.",
            undone="Nothing was asked.",
        )
    if intent.against not in {"", TARGET}:
        raise BadArgument(
            f"A trend shows {'the periods before' if intent.against == BEFORE else 'other periods'} already.",
            hint="Leave out “against”, or the trend.",
            undone="Nothing was asked.",
        )
    found = await _date_field(question)
    if isinstance(found, Card):
        return found
    question = await question.knowing(found)
    touched = touches(replace(intent, by=(found,)))
    question, trend = await _read(question, found)
    rows = [each for each in trend.rows if each is not None]
    nothing = None
    if len(rows) == len(trend.rows):
        nothing = await question.unmatched(
            row.cell(each, part=True) for row in rows for each in question.measures
        )
    return Shown(nothing or _card(question, trend), await question.context.catalog.spelt(touched))


async def _date_field(question: Question) -> Name | Card:
    """The date field of the buckets: the one that is named, else the usual one, else the only one; or the choice."""
    intent, context, model = question.intent, question.context, question.model
    if intent.by:
        return intent.by[0]
    if question.period is not None:
        return question.period.field
    usual = await question.usual_date()
    if usual is not None:
        return usual
    dates = [
        each.as_name
        for seen in await context.catalog.fields_of_all(model)
        for each in seen
        if each.about in DATES
    ]
    if len(dates) == 1:
        return dates[0]
    if not dates:
        raise BadArgument(
            f"No date field of {model.text} is visible here, so there is no trend.",
            undone="Nothing was asked.",
        )
    options = tuple(Button(each.text, Run(replace(intent, by=(each,)))) for each in dates[:PAGE])
    return Card(
        headline(f"Over which date shall I show {question.called}?"),
        blocks=(Choices("For example:", options),),
        source=context.source(model.text),
        status=Status.ASKED,
    )


async def _read(question: Question, field: Name) -> tuple[Question, Trend]:
    """The buckets of a page; and what they were asked for, which is less where a KPI has no answer."""
    intent, now = question.intent, question.now
    period = question.period if question.period is not None and question.period.field == field else None
    rest = intent.where if period is None else period.rest
    span = Span(None, None) if period is None else period.span
    unit = intent.every
    earlier: int | None = None
    if span.start is None:
        unit = unit or "month"
        if span.end is not None:
            now = min(now, span.end)
        spans = buckets(lately(unit, MOST, MOST * (intent.page - 1), now), unit, now)
    else:
        unit = unit or unit_for(span, now)
        every = buckets(span, unit, now)
        end = len(every) - MOST * (intent.page - 1)
        if end <= 0 and every:
            raise no_page(intent.page)
        earlier = max(0, end - MOST)
        spans = every[earlier:end]
    today = question.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def bucket(of: Question, each: Span) -> Awaitable[Row]:
        return _bucket(of, joined(rest, within(field, each)), closed=_over(each, today))

    if len(question.measures) > 1 and spans:
        try:  # before all are asked for what none can answer
            await bucket(question, spans[-1])
        except OF_ONE:
            some = await answerable(question, lambda alone: bucket(alone, spans[-1]))
            question = some if some.measures else question
    done = await asyncio.gather(*(bucket(question, each) for each in spans), return_exceptions=True)
    rows: list[Row | None] = []
    for each in done:
        if isinstance(each, CelonisError | QuotaExhausted):
            rows.append(None)
        elif isinstance(each, BaseException):
            raise each
        else:
            rows.append(each)
    if rows and not any(rows):
        raise next(each for each in done if isinstance(each, BaseException))
    return question, Trend(field, unit, spans, rows, earlier)


def _over(span: Span, today: datetime) -> bool:
    return span.end is not None and span.end <= today


async def _bucket(question: Question, where: Condition, *, closed: bool) -> Row:
    query: DataQuery = question.query(where)
    page = await question.page(query, closed=closed)
    return Row(page.rows[0] if page.rows else {}, {each.id: each for each in page.headers})


def _card(question: Question, trend: Trend) -> Card:
    intent, model, reader = question.intent, question.model, question.context.reader
    unread = [called(span, reader) for span, row in zip(trend.spans, trend.rows, strict=True) if row is None]
    notes = not_read(unread, f"the other {trend.unit}s are complete")
    said = f"{question.called} by {trend.unit}{intent.rank}"
    if not trend.spans:
        line, first = question.said(f"No {trend.unit}: {said}")
        return Card(line, blocks=tuple(first), source=question.context.source(model.text))
    values = [
        tuple(Missing() if row is None else row.cell(each, part=True) for each in question.measures)
        for row in trend.rows
    ]
    short = _one_year(trend.spans)
    labels = [
        called(each, reader, short=short) + ("" if _over(each, question.now) else " so far")
        for each in trend.spans
    ]
    points = list(zip(labels, values, strict=True))
    if intent.sort and intent.sort[0].descending and not intent.most:
        points.reverse()
    if intent.most:
        points = _ranked(question, points)
    shown = Asked(trend.field, Span(trend.spans[0].start, trend.spans[-1].end), None)
    line, first = question.said(f"{_verdict(question, trend.unit, points)}: {said}", shown=shown)
    return Card(
        line,
        title=f"{said}, {model.text}",
        blocks=(
            *first,
            _drawn(question, trend, points),
            *notes,
            *not_read(question.left_out, "the other values are complete"),
            *without_target(question),
            *unjudged(question),
            Text(
                f"By {trend.field.text}, {count(len(trend.spans), trend.unit)} ({reader.zone}).", quiet=True
            ),
        ),
        buttons=(*back(intent, intent.page), *_earlier(question, trend)),
        source=question.context.source(model.text),
    )


def _one_year(spans: Sequence[Span]) -> bool:
    years = {each.start.year for each in spans if each.start is not None}
    return len(years) == 1


def _ranked(
    question: Question, points: Sequence[tuple[str, tuple[Cell, ...]]]
) -> list[tuple[str, tuple[Cell, ...]]]:
    """The buckets with the best values, or whatever else was asked for first."""
    ((_, descending),) = ranked(question.intent, question.lead)
    known = [(exact(each[1][0]), each) for each in points if isinstance(each[1][0], Number)]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [each for _, each in known][: question.intent.most]


def _earlier(question: Question, trend: Trend) -> tuple[Button, ...]:
    """A way to the buckets before, with what it costs."""
    calls = MOST if trend.earlier is None else min(MOST, trend.earlier)
    if not calls:
        return ()
    label = f"{calls} earlier {trend.unit}{'' if calls == 1 else 's'} ({count(calls, 'call')})"
    return (Button(label, Run(replace(question.intent, page=question.intent.page + 1))),)


def _drawn(question: Question, trend: Trend, points: Sequence[tuple[str, tuple[Cell, ...]]]) -> Block:
    if len(question.measures) > 1:
        columns = (
            Column(trend.unit.capitalize()),
            *(Column(each.name.text, numeric=True) for each in question.measures),
        )
        return Table(columns, tuple((Words(label), *values) for label, values in points))
    target: Cell = Missing()
    first = next((value for _, (value, *_) in points if isinstance(value, Number)), None)
    if first is not None and question.lead.by_parts:
        target = question.lead.target(first)
    return Chart(
        question.lead.name.text,
        trend.unit.capitalize(),
        Drawing.BARS if question.intent.most else Drawing.LINE,
        tuple(
            Point(Words(label), value if isinstance(value, Number) else Missing())
            for label, (value, *_) in points
        ),
        target if isinstance(target, Number) else None,
    )


def _verdict(question: Question, unit: str, points: Sequence[tuple[str, tuple[Cell, ...]]]) -> str:
    """How many buckets miss the target, else the latest value; of the best or worst the first."""
    values = [(label, value) for label, (value, *_) in points if isinstance(value, Number)]
    if not values:
        return "No value"
    reader = question.context.reader
    marks = [value.verdict for _, value in values if value.verdict is not None]
    if marks and not question.intent.most:
        return against(marks, write(question.lead.target(values[0][1]), reader), unit)
    label, value = values[0] if question.intent.most or question.intent.sort else values[-1]
    place = f", {place_of(question.intent, question.lead)}" if question.intent.most else ""
    return f"{write(replace(value, verdict=None), reader)} for {label}{place}"
