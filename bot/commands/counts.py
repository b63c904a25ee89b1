"""How many rows there are, and which values a field has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from bot.celonis import DataQuery, Header
from bot.commands.cells import value_of
from bot.commands.command import Command, Context
from bot.commands.lists import PAGE, back, no_page, span, turn
from bot.commands.narrowing import by_name, loosened, under, whole
from bot.commands.records import Data, condition
from bot.commands.spelling import unmatched
from bot.language.declare import CelonisIntent, Names, OneName, Where, clause
from bot.language.declare import Count as Number
from bot.language.say import say
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Choices,
    Column,
    Notice,
    Run,
    Table,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument, NotUnderstood
from bot.model.intents import Comparison, Condition, Op
from bot.model.names import Kind, Name
from bot.policy import Right


@dataclass(frozen=True, slots=True)
class Count(CelonisIntent):
    """How many rows of a record there are."""

    words: ClassVar[str] = "count"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))


@dataclass(frozen=True, slots=True)
class ShowValues(CelonisIntent):
    """Which values a field has."""

    words: ClassVar[str] = "values"
    of: Name | None = field(default=None, metadata=clause("", OneName(Kind.FIELD)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Number()))


async def _count(intent: Count, context: Context) -> Card:
    assert intent.record is not None
    assert intent.model is not None
    model, record = intent.model, intent.record
    details = await context.asking.record(model.id, record.id)
    if not details.fields:
        raise BadArgument(
            f"{record.text} has no fields, so its rows can't be counted.", undone="Nothing was asked."
        )
    types = {each.id: each.type or "string" for each in details.fields}
    expressions, notes = condition(intent.where, types, context)
    limits = context.asking.limits
    asked = DataQuery(
        fields=(details.fields[0].id,),
        filters=tuple(each.id for each in intent.filter),
        expressions=expressions,
        page_size=limits.page,
    )

    async def rows(page: int) -> tuple[int, bool]:
        found = await context.asking.record_data(model.id, record.id, replace(asked, page=page))
        return len(found.rows), found.last

    # Celonis tells no total, so the last page that holds rows is looked for by halves.
    here, last = await rows(0)
    full, beyond = 0, limits.rows // limits.page
    while not last and beyond - full > 1:
        middle = (full + beyond) // 2
        found, ended = await rows(middle)
        if found:
            full, here, last = middle, found, ended
        else:
            beyond = middle
    known = full * limits.page + here
    more = not last and known >= limits.rows
    told = f"{known:,} or more" if more else f"{known:,}"
    narrow = under(intent.where, intent.filter)
    if not known and (card := await unmatched(intent, record.text, narrow, context)) is not None:
        return loosened(card, intent)
    counted = Card(
        headline(f"{told} {record.text}{narrow}"),
        title=f"{record.text}, {model.text}{narrow}",
        blocks=(
            *(whole(intent) if known else ()),
            *notes,
            *((Text(f"Only the first {limits.rows:,} rows can be counted.", quiet=True),) if more else ()),
        ),
        buttons=(
            Button(
                "Show rows",
                Run(
                    Data(record=record, model=model, where=intent.where, filter=intent.filter, via=intent.via)
                ),
            ),
        ),
        source=context.source(model.text),
    )
    return counted if known else loosened(counted, intent)


async def _values(intent: ShowValues, context: Context) -> Card:
    if intent.of is None:
        raise NotUnderstood("Which field?", hint=f"Name it, for example: {say(VALUES.example)}")
    assert intent.model is not None
    record, _, own = intent.of.id.partition(".")
    limits = context.asking.limits
    size = limits.page - limits.page % PAGE or limits.page
    first = (intent.page - 1) * PAGE
    page = await context.asking.record_data(
        intent.model.id,
        record,
        DataQuery(fields=(own,), distinct=True, sort=((own, False),), page=first // size, page_size=size),
    )
    headers = {each.id: each for each in page.headers}
    start = first % size
    shown = page.rows[start : start + PAGE]
    if not shown and first:
        raise no_page(intent.page)
    beyond = len(page.rows) > start + PAGE or not page.last
    capped = beyond and first + PAGE >= limits.rows
    total = page.page * size + len(page.rows) if page.last else None
    name, model = intent.of.text, intent.model
    known = (await context.catalog.listed(Kind.RECORD, model)).known(record)
    blocks: list[Block] = [
        Table((Column(name),), tuple((_value(row, own, headers),) for row in shown))
        if shown
        else Text("It has none."),
    ]
    if capped:
        blocks.append(Notice(Tone.WARNING, f"Only the first {limits.rows:,} values can be reached."))
    if known is not None and (
        texts := [each for row in shown if isinstance(each := row.get(own), str) and each]
    ):
        lists = {
            Kind.MODEL: await context.catalog.listed(Kind.MODEL),
            Kind.RECORD: await context.catalog.listed(Kind.RECORD, model),
            Kind.FIELD: (fields := await context.catalog.listed(Kind.FIELD, model, known.as_name)),
        }
        item = fields.known(own)
        data = Data(record=known.as_name, model=model, via=intent.via)
        options = (
            Button(each, Run(by_name(replace(data, where=Comparison(item.as_name, Op.EQ, (each,))), lists)))
            for each in texts
            if item is not None
        )
        blocks.append(Choices(f"{known.name} with:", tuple(options)))
    return Card(
        headline(
            f"{name}: {span(intent.page, len(shown), total, 'value')}" if shown else f"{name} has no values"
        ),
        title=f"{name}, {model.text}",
        blocks=tuple(blocks),
        buttons=back(intent, intent.page) if capped else turn(intent, intent.page, total),
        source=context.source(model.text),
    )


def _value(row: Mapping[str, object], own: str, headers: Mapping[str, Header]) -> Cell:
    return Words("(empty text)") if row.get(own) == "" else value_of(row, own, headers)


COUNT = Command(
    example=Count(
        record=Name("Materials"),
        model=Name("Purchase Requisition KM"),
        where=Comparison(Name("Payment amount"), Op.GT, ("1000",)),
    ),
    summary="how many rows of a record there are",
    right=Right.READ,
    run=_count,
    steady=lambda intent: intent.where is None,
)
VALUES = Command(
    example=ShowValues(of=Name("Material group"), model=Name("Purchase Requisition KM")),
    summary="the values of a field",
    right=Right.READ,
    run=_values,
    steady=lambda _intent: True,
)
