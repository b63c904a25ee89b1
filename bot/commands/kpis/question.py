"""A `kpi` sentence with what is known of the names in it, and how its data is read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.celonis import DataPage, DataQuery, Header, Lifetime
from bot.commands.command import Context
from bot.commands.kpis.asked import ShowKpi
from bot.commands.kpis.periods import Asked, asked, called, resolved
from bot.commands.kpis.targets import Measure
from bot.commands.records import condition
from bot.commands.spelling import unmatched
from bot.language.conditions import Values
from bot.language.declare import names
from bot.language.say import spoken
from bot.model.cards import HEADLINE_LENGTH, Card, Cell, Number, Text, Words, headline
from bot.model.errors import BadArgument, BadQuery, CelonisError, NotFound, ServerFault, UnexpectedReply
from bot.model.intents import Condition, parts_of
from bot.model.names import Kind, Name

TOGETHER = 50
"""KPIs that one call asks for."""
PROBES = 12
"""Further calls that finding those of them which fail may cost."""
OF_ONE = (BadQuery, NotFound, ServerFault, UnexpectedReply)
"""Failures that one KPI can cause while others have values."""


@dataclass(frozen=True, slots=True)
class Row:
    """Values of KPIs without groups.

    Attributes:
        values: By KPI's id.
        headers: What Celonis says of the columns.
        failed: Ids of those that could not be read.
    """

    values: Mapping[str, object]
    headers: Mapping[str, Header]
    failed: frozenset[str] = frozenset()

    def cell(self, measure: Measure, *, part: bool) -> Cell:
        """The judged value of a KPI."""
        if measure.reply.id in self.failed:
            return Words("not read")
        return measure.judged(measure.cell(self.values, self.headers), part=part)


async def read_row(context: Context, model: Name, query: DataQuery) -> Row:
    """The values of KPIs. Where Celonis cannot answer for all of them at once, those that fail are looked for by halves
    and left out, as far as `PROBES` more calls find them.

    Raises:
        CelonisError, QuotaExhausted: There is no value at all.
    """
    values: dict[str, object] = {}
    headers: dict[str, Header] = {}
    failed: set[str] = set()
    trouble: CelonisError | None = None
    waiting, calls = deque([query.kpis]), 0
    while waiting:
        kpis = waiting.popleft()
        if calls > PROBES:
            failed.update(kpis)
            continue
        calls += 1
        try:
            page = await context.asking.model_data(model.id, replace(query, kpis=kpis))
        except OF_ONE as error:
            trouble = trouble or error
            middle = len(kpis) // 2
            if middle:
                waiting.extend((kpis[:middle], kpis[middle:]))
            else:
                failed.update(kpis)
            continue
        values |= page.rows[0] if page.rows else {}
        headers |= {each.id: each for each in page.headers}
    if trouble is not None and failed.issuperset(query.kpis):
        raise trouble
    return Row(values, headers, frozenset(failed))


async def replies(context: Context, model: Name, kpis: Sequence[Name]) -> list[Measure]:
    """KPIs with what Celonis says of them, in the order given."""
    every = await context.asking.kpis(model.id)
    listed = await context.catalog.listed(Kind.KPI, model)
    found = []
    for name in kpis:
        number = listed.number(name.id)
        reply = every[number] if number is not None and number < len(every) else None
        if reply is None or reply.id != name.id:  # the two were read at different times
            reply = next((each for each in every if each.id == name.id), None)
        found.append(Measure.of(name, reply, context.kpi_kinds))
    return found


@dataclass(frozen=True, slots=True)
class Question:
    """One `kpi` sentence.

    Attributes:
        intent: What was asked.
        model: Its knowledge model.
        context: Of the request.
        measures: The KPIs, in the order asked.
        types: Celonis' type of each field that is named, by `record.field`.
        period: The one period that was asked for.
        left_out: Names of KPIs that were asked for and that Celonis gives no answer for.
    """

    intent: ShowKpi
    model: Name
    context: Context
    measures: tuple[Measure, ...]
    types: Mapping[str, str]
    period: Asked | None
    left_out: tuple[str, ...] = ()

    @classmethod
    async def of(cls, intent: ShowKpi, context: Context) -> Question:
        """Reads what has to be known of the names.

        Raises:
            BadArgument: No KPI is named, or a condition cannot be read.
        """
        assert intent.model is not None
        model = intent.model
        if not intent.kpis:
            raise BadArgument("Which KPI?", hint=f"Say “kpis of {model.text}” for the list.")
        measures = tuple(await replies(context, model, intent.kpis))
        fields = dict.fromkeys(name.id for _, kind, name in names(intent) if kind is Kind.FIELD)
        found = {each: await context.catalog.field(model, each) for each in fields}
        types = {each: item.about or "string" for each, item in found.items() if item is not None}
        values = Values(types, zone=ZoneInfo(context.reader.zone), now=context.now)
        return cls(intent, model, context, measures, types, asked(intent.where, types, values))

    async def knowing(self, field: Name) -> Question:
        """The same, with the type of one more field."""
        item = await self.context.catalog.field(self.model, field.id)
        return self if item is None else replace(self, types={**self.types, field.id: item.about})

    async def usual_date(self) -> Name | None:
        """The field that a period without a field is about; None where the settings don't say, or it is not seen."""
        usual = self.context.dates.get(self.model.id)
        item = await self.context.catalog.field(self.model, usual) if usual else None
        return None if item is None else item.as_name

    @property
    def values(self) -> Values:
        """Reads values of conditions."""
        return Values(self.types, zone=ZoneInfo(self.context.reader.zone), now=self.context.now)

    @property
    def now(self) -> datetime:
        """The moment, in the reader's zone."""
        return self.context.now.astimezone(ZoneInfo(self.context.reader.zone))

    @property
    def lead(self) -> Measure:
        """The KPI that groups are put in order by."""
        return self.measures[0]

    @property
    def narrowed(self) -> bool:
        """Whether it is about a part of all there is."""
        return bool(self.intent.where or self.intent.filter)

    @property
    def called(self) -> str:
        """The names of the KPIs."""
        return _listed([each.name.text for each in self.measures])

    def notes(self) -> list[Text]:
        """What could not be read, and the periods as they were really asked."""
        return [
            *not_read(self.left_out, "the other values are complete"),
            *condition(self.intent.where, self.types, self.context)[1],
        ]

    async def unmatched(self, values: Iterable[Cell]) -> Card | None:
        """The answer where nothing was found for a spelling; None where something was."""
        if any(isinstance(each, Number) and each.value for each in values):
            return None
        narrow = "".join(f", {each}" for each in self.conditions())
        return await unmatched(self.intent, self.called, narrow, self.context)

    def query(self, where: Condition | None) -> DataQuery:
        """What asks for all KPIs under a condition."""
        expressions, _ = condition(where, self.types, self.context)
        return DataQuery(
            kpis=tuple(each.reply.id for each in self.measures),
            filters=tuple(each.id for each in self.intent.filter),
            expressions=expressions,
        )

    async def row(self, where: Condition | None) -> Row:
        """The values without groups."""
        return await read_row(self.context, self.model, self.query(where))

    async def page(self, query: DataQuery, *, closed: bool = False) -> DataPage:
        """A page of groups; `closed` ones are over and kept for a day."""
        lifetime = Lifetime.CLOSED if closed else Lifetime.DATA
        return await self.context.asking.model_data(self.model.id, query, lifetime)

    def conditions(self, shown: Asked | None = None) -> list[str]:
        """Everything that narrows the answer, in words; its period last, without the name of the usual date field.

        Args:
            shown: The period that is really shown, where it is another one.
        """
        said = [each.text for each in self.intent.filter]
        where, period = self.intent.where, self.period
        if period is not None:
            where = period.rest
        if where is not None:
            plain = resolved(where, self.types, self.values, self.context.reader)
            said += [spoken(each) for each in parts_of(plain)]
        period = shown or period
        if period is not None:
            span = called(period.span, self.context.reader)
            usual = period.field.id == self.context.dates.get(self.model.id)
            said.append(span if usual else f"{period.field.text} {span}")
        return said

    def said(self, lead: str, tail: str = "", *, shown: Asked | None = None) -> tuple[str, list[Text]]:
        """A headline of what is said first, the conditions and what is said last; and the line that holds all of them,
        where the headline cannot.

        Args:
            lead: The verdict or the number, and the KPI.
            tail: What follows the conditions.
            shown: As for `conditions`.
        """
        parts = self.conditions(shown)
        whole = ", ".join((lead, *parts)) + tail
        if len(whole) <= HEADLINE_LENGTH:
            return headline(whole), []
        kept, left = list(parts), 0
        said = whole
        while kept and len(said) > HEADLINE_LENGTH:
            kept.remove(max(kept, key=len))
            left += 1
            said = ", ".join((lead, *kept, f"+ {left} condition{'s' if left > 1 else ''}")) + tail
        return headline(said), [Text(whole)]


async def answerable(question: Question, read: Callable[[Question], Awaitable[object]]) -> Question:
    """The question about those of its KPIs that Celonis answers one by one, where it does not for all at once.

    Args:
        question: What failed.
        read: Asks Celonis about one of them.

    Returns:
        One without KPIs where none is answered, or there are no others.
    """
    if not 1 < len(question.measures) <= PROBES:
        return replace(question, measures=())

    async def alone(measure: Measure) -> Measure | None:
        try:
            await read(replace(question, measures=(measure,)))
        except OF_ONE:
            return None
        return measure

    found = await asyncio.gather(*map(alone, question.measures))
    measures = tuple(each for each in found if each is not None)
    left_out = tuple(each.name.text for each in question.measures if each not in measures)
    return replace(question, measures=measures, left_out=left_out)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def not_read(failed: Sequence[str], what: str) -> list[Text]:
    """Which parts of an answer could not be read."""
    if not failed:
        return []
    return [Text(f"Celonis gave no answer for {_listed(failed)}; {what}.", quiet=True)]
