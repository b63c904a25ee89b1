"""KPIs by fields: a chart of one KPI by one field, else a table; the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.celonis import Header
from bot.commands.cells import value_of
from bot.commands.kpis.asked import TARGET, ShowKpi
from bot.commands.kpis.periods import Span, called, in_time
from bot.commands.kpis.question import OF_ONE, Question, answerable
from bot.commands.kpis.targets import Measure, against, change
from bot.commands.kpis.values import compared_with, unjudged, which_period, without_target
from bot.commands.lists import PAGE, back, no_page
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Chart,
    Column,
    Drawing,
    Missing,
    Number,
    Point,
    Run,
    Table,
    Text,
    Verdict,
    Words,
)
from bot.model.errors import BadArgument
from bot.render.values import write


@dataclass(frozen=True, slots=True)
class Groups:
    """Some of the groups, in the order in which they are shown.

    Attributes:
        rows: Labels, then a value for each KPI.
        first: Which the first of them is, from 0.
        total: How many there are; None where the end was not read.
        more: Whether others follow that can be reached.
        earlier: By labels: the rows of the period that they are compared with.
        timely: Whether they stand in the order of time.
        marks: Whether each group of all meets the target; empty where not all were read, or one is not judged.
    """

    rows: Sequence[tuple[tuple[Cell, ...], tuple[Cell, ...]]]
    first: int
    total: int | None
    more: bool
    earlier: Mapping[tuple[Cell, ...], tuple[Cell, ...]]
    timely: bool
    marks: Sequence[Verdict]


async def show_groups(question: Question) -> Card:
    """The values of KPIs for each value of some fields."""
    intent = question.intent
    other = compared_with(question) if intent.against not in {"", TARGET} else None
    if other is None and intent.against not in {"", TARGET}:
        return await which_period(question)
    try:
        groups = await _read(question, other)
    except OF_ONE:
        question = await answerable(question, lambda alone: _read(alone, other))
        if not question.measures:
            raise
        groups = await _read(question, other)
    nothing = await question.unmatched(value for _, values in groups.rows for value in values)
    if nothing is not None:
        return nothing
    said = f"{question.called} by {', '.join(each.text for each in intent.by)}{intent.rank}"
    line, first = question.said(f"{_verdict(question, groups)}: {said}")
    return Card(
        line,
        title=f"{said}, {question.model.text}",
        blocks=(*first, *_blocks(question, groups, other)),
        buttons=(*back(intent, intent.page), *_following(question, groups)),
        source=question.context.source(question.model.text),
    )


def ranked(intent: ShowKpi, lead: Measure) -> tuple[tuple[str, bool], ...]:
    """In which order groups stand: as was asked, else the worst first; the highest where nothing says what is worse.

    Raises:
        BadArgument: Nothing says what the best and the worst are.
    """
    if intent.best or intent.worst:
        if not lead.better:
            raise BadArgument(
                f"The knowledge model does not say whether more {lead.name.text} is better or worse.",
                hint="Say “top” for the highest values, “bottom” for the lowest.",
                undone="Nothing was asked.",
            )
        return ((lead.reply.id, (lead.better == "higher") == bool(intent.best)),)
    if intent.top or intent.bottom:
        return ((lead.reply.id, bool(intent.top)),)
    if intent.sort:
        return tuple((key.field.id, key.descending) for key in intent.sort)
    return ((lead.reply.id, lead.better != "higher"),)


async def _read(question: Question, other: Span | None) -> Groups:
    intent, limits = question.intent, question.context.asking.limits
    size = limits.page - limits.page % PAGE or limits.page
    first = (intent.page - 1) * PAGE
    query = replace(
        question.query(intent.where),
        fields=tuple(each.id for each in intent.by),
        sort=ranked(intent, question.lead),
        page=first // size,
        page_size=size,
    )
    page = await question.page(query)
    by = intent.by[0]
    timely = (
        page.last
        and not (page.page or intent.most or intent.sort)
        and len(intent.by) == 1
        and in_time(by, (each.get(by.id) for each in page.rows))
    )
    if timely:
        page = replace(page, rows=tuple(sorted(page.rows, key=lambda each: str(each[by.id]))))
    start = first % size
    reached = len(page.rows) + page.page * size
    most = intent.most or limits.rows
    if first and not page.rows[start:]:
        raise no_page(intent.page)
    rows = page.rows[start : min(start + PAGE, max(0, most - page.page * size))]
    total = min(reached, most) if page.last or reached >= intent.most > 0 else None
    earlier: dict[tuple[Cell, ...], tuple[Cell, ...]] = {}
    if other is not None and question.period is not None:
        expressions = question.query(question.period.moved(other)).expressions
        before = await question.page(replace(query, expressions=expressions))
        earlier = dict(_cells(question, each, before.headers) for each in before.rows)
        if not before.last:
            lost = tuple(Words("not read") for _ in question.measures)
            earlier = {
                labels: earlier.get(labels, lost) for labels, _ in _every(question, rows, page.headers)
            }
    following = first + PAGE < min(limits.rows, total if total is not None else limits.rows)
    judged = [values[0] for _, values in _every(question, page.rows, page.headers)]
    marks = [each.verdict for each in judged if isinstance(each, Number) and each.verdict is not None]
    whole = page.last and not page.page and not intent.most and len(marks) == len(page.rows)
    shown = _every(question, rows, page.headers)
    return Groups(shown, first, total, following, earlier, timely, marks if whole else ())


def _every(
    question: Question, rows: Sequence[Mapping[str, Any]], headers: Sequence[Header]
) -> list[tuple[tuple[Cell, ...], tuple[Cell, ...]]]:
    return [_cells(question, each, headers) for each in rows]


def _cells(
    question: Question, row: Mapping[str, Any], headers: Sequence[Header]
) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    by_id = {each.id: each for each in headers}
    labels = tuple(
        value_of(row, each.id, by_id, question.types.get(each.id, "")) for each in question.intent.by
    )
    values = tuple(each.judged(each.cell(row, by_id), part=True) for each in question.measures)
    return labels, values


def _blocks(question: Question, groups: Groups, other: Span | None) -> list[Block]:
    intent = question.intent
    last = groups.first + len(groups.rows)
    found: list[Block] = []
    if not groups.rows:
        found.append(Text("There is no group."))
    elif len(intent.by) == len(question.measures) == 1 and other is None:
        target = question.lead.target(groups.rows[0][1][0]) if question.lead.by_parts else None
        found.append(
            Chart(
                question.lead.name.text,
                intent.by[0].text,
                Drawing.LINE if groups.timely else Drawing.BARS,
                tuple(Point(labels[0], _drawn(values[0])) for labels, values in groups.rows),
                target if isinstance(target, Number) else None,
            )
        )
    else:
        found.append(_table(question, groups, other))
    if groups.rows and (groups.first or groups.more):
        end = ", more follow" if groups.total is None else f" of {groups.total:,}"
        found.append(Text(f"{groups.first + 1:,}-{last:,}{end}", quiet=True))
    if not groups.more and groups.total is None:
        rows = question.context.asking.limits.rows
        found.append(
            Text(f"Celonis gives the first {rows:,} only; narrow it down to see others.", quiet=True)
        )
    return [*found, *without_target(question), *unjudged(question), *question.notes()]


def _following(question: Question, groups: Groups) -> tuple[Button, ...]:
    """A way to the groups after these."""
    if not groups.more:
        return ()
    left = PAGE if groups.total is None else min(PAGE, groups.total - groups.first - len(groups.rows))
    return (Button(f"Next {left}", Run(replace(question.intent, page=question.intent.page + 1))),)


def _drawn(value: Cell) -> Number | Missing:
    return value if isinstance(value, Number) else Missing()


def _table(question: Question, groups: Groups, other: Span | None) -> Table:
    reader = question.context.reader
    columns = [Column(each.text) for each in question.intent.by]
    for each in question.measures:
        columns.append(Column(each.name.text, numeric=True))
        if other is not None:
            columns += [Column(called(other, reader), numeric=True), Column("Change")]
    rows = []
    for labels, values in groups.rows:
        row = list(labels)
        old = groups.earlier.get(labels, tuple(Missing() for _ in values))
        for measure, value, was in zip(question.measures, values, old, strict=True):
            row.append(value)
            if other is not None:
                row += [was, Words(change(value, was, measure.better, reader) or "–")]
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))


def _verdict(question: Question, groups: Groups) -> str:
    """What a group's reader wants to know first: how many miss the target, else the first of them with its value."""
    if not groups.rows:
        return "No value"
    if groups.marks:
        (value, *_) = groups.rows[0][1]
        return against(groups.marks, write(question.lead.target(value), question.context.reader))
    labels, (value, *_) = groups.rows[-1 if groups.timely else 0]
    reader = question.context.reader
    shown = replace(value, verdict=None) if isinstance(value, Number) else value
    name = ", ".join(write(each, reader) for each in labels)
    if groups.timely:
        return f"{write(shown, reader)} for {name}"
    place = place_of(question.intent, question.lead)
    of = "" if groups.total is None or question.intent.most else f" of {groups.total:,}"
    if groups.first or not place:
        return f"{write(shown, reader)} for {name}, {groups.first + 1:,}{of}"
    return f"{write(shown, reader)} for {name}, {place}{of}"


def place_of(intent: ShowKpi, lead: Measure) -> str:
    """What the first of all groups is."""
    if intent.sort and not intent.most:
        return ""
    ((_, descending),) = ranked(intent, lead)
    return "the highest" if descending else "the lowest"
