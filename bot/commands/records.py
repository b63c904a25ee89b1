"""Records of a knowledge model: which there are, their fields and filters, and their data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from bot.catalog import Item, Seen
from bot.celonis import DataQuery
from bot.celonis.filter_expr import filter_expressions
from bot.commands.cells import holds, is_numeric, value_of
from bot.commands.command import Command, Context
from bot.commands.lists import PAGE, back, count, list_card, page_of, span, turn
from bot.commands.narrowing import changes, loosened, under, whole
from bot.commands.spelling import unmatched
from bot.language.conditions import Values
from bot.language.declare import CelonisIntent, Count, Flag, Names, OneName, Phrase, SortBy, Where, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Choices,
    Column,
    Notice,
    Reader,
    Run,
    Status,
    Table,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.intents import Comparison, Condition, Op, SortKey
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.values import when

SHOWN_FIELDS = 6
"""Columns of a table where nobody said which: more do not fit on a phone."""


_KEYS = frozenset({"id", "ids", "key", "guid", "uuid", "hash"})
"""Words in names of fields that only tell rows apart."""


@dataclass(frozen=True, slots=True)
class Records(CelonisIntent):
    """Which records a knowledge model has."""

    words: ClassVar[str] = "records"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Fields(CelonisIntent):
    """Which fields a record has."""

    words: ClassVar[str] = "fields"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    formats: bool = field(default=False, metadata=clause("with formats", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Filters(CelonisIntent):
    """Which predefined filters a knowledge model has."""

    words: ClassVar[str] = "filters"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Data(CelonisIntent):
    """Rows of a record."""

    words: ClassVar[str] = "data"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    show: tuple[Name, ...] = field(default=(), metadata=clause("show", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))
    search: str = field(default="", metadata=clause("search", Phrase()))
    within: Name | None = field(default=None, metadata=clause("in", OneName(Kind.FIELD)))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    top: int = field(default=0, metadata=clause("top", Count()))
    distinct: bool = field(default=False, metadata=clause("distinct", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


async def _records(intent: Records, context: Context) -> Card:
    assert intent.model is not None
    found = await context.catalog.listed(Kind.RECORD, intent.model)
    buttons = tuple(
        Button(each.name, Run(Data(record=each.as_name, model=intent.model, via=intent.via)))
        for each in page_of(found, intent.page)[:4]
    )
    return _names_of(intent, intent.model, found, context, buttons)


async def _filters(intent: Filters, context: Context) -> Card:
    assert intent.model is not None
    return _names_of(
        intent, intent.model, await context.catalog.listed(Kind.FILTER, intent.model), context, ()
    )


def _names_of(
    intent: Records | Filters, model: Name, found: Seen, context: Context, buttons: tuple[Button, ...]
) -> Card:
    kind = found.listing.kind
    return list_card(
        intent,
        (Column("Name"), Column("Description")),
        [(Words(each.name), Words(each.about)) for each in page_of(found, intent.page)],
        page=intent.page,
        total=len(found),
        what=kind.value,
        of=model.text,
        buttons=buttons,
        source=context.list_source(kind, model),
    )


async def _fields(intent: Fields, context: Context) -> Card:
    assert intent.record is not None
    assert intent.model is not None
    visible = await context.catalog.listed(Kind.FIELD, intent.model, intent.record)
    details = await context.asking.record(intent.model.id, intent.record.id)
    found = [each for each in details.fields if visible.shows(each.id)]
    here = page_of(found, intent.page)
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    columns, rows = (
        (Column("Name"), Column("Holds")),
        [(Words(each.name), Words(holds(each.type))) for each in here],
    )
    if intent.formats:
        columns = *columns, Column("Format"), Column("Id")
        rows = [
            (*row, Words(" ".join(filter(None, (each.format, each.unit)))), Words(each.id))
            for row, each in zip(rows, here, strict=True)
        ]
    return list_card(
        intent,
        columns,
        rows,
        page=intent.page,
        total=len(found),
        what="field",
        of=intent.record.text,
        model=intent.model.text,
        buttons=(Button("Show rows", Run(Data(record=intent.record, model=intent.model, via=intent.via))),),
        source=context.source(intent.model.text),
    )


async def _data(intent: Data, context: Context) -> Card:
    assert intent.record is not None
    assert intent.model is not None
    model, record = intent.model, intent.record
    details = await context.asking.record(model.id, record.id)
    listed = await context.catalog.listed(Kind.FIELD, model, record)
    show = intent.show or columns_of(listed)
    if not show:
        return Card(
            headline(f"{record.text} has no field that may be shown here"), source=context.source(model.text)
        )
    if intent.search and intent.within is None and len(listed) < len(details.fields):
        return _search_where(intent, listed, context)
    missing = tuple(key.field for key in intent.sort if key.field.id not in {each.id for each in show})
    asked = (*show, *missing)
    limits = context.asking.limits
    if len(asked) > limits.fields:
        raise BadArgument(
            f"Celonis gives at most {limits.fields} fields at once, and this asks for {len(asked)}.",
            hint="Name the fields you need behind “show”.",
        )
    types = {each.id: each.type or "string" for each in details.fields}
    expressions, periods = condition(intent.where, types, context)
    first = (intent.page - 1) * PAGE
    size = limits.page - limits.page % PAGE or limits.page
    page = await context.asking.record_data(
        model.id,
        record.id,
        DataQuery(
            fields=tuple(each.id for each in asked),
            filters=tuple(each.id for each in intent.filter),
            expressions=expressions,
            sort=tuple((key.field.id, key.descending) for key in intent.sort),
            search=intent.search,
            search_field=intent.within.id if intent.within else "",
            distinct=intent.distinct,
            page=first // size,
            page_size=size,
        ),
    )
    start = first % size
    wanted = min(PAGE, max(intent.top - first, 0)) if intent.top else PAGE
    rows = page.rows[start : start + wanted]
    narrow = _ranked(intent) + under(intent.where, intent.filter, intent.search, intent.within)
    if not rows:
        if first:
            return _beyond(intent, record, narrow, context)
        card = await unmatched(intent, record.text, narrow, context)
        return _nothing(intent, record, narrow, context) if card is None else loosened(card, intent)
    reached = page.page * size + len(page.rows)
    ended = 0 < intent.top <= reached
    total = min(intent.top or reached, reached) if page.last or ended else None
    capped = first + PAGE >= limits.rows and (len(page.rows) > start + PAGE or not page.last) and not ended
    headers = {each.id: each for each in page.headers}
    left = len(listed) - len(show)
    blocks: list[Block] = [
        *whole(intent),
        Table(
            tuple(Column(each.text, numeric=is_numeric(types.get(each.id, ""))) for each in show),
            tuple(
                tuple(value_of(row, each.id, headers, types.get(each.id, "")) for each in show)
                for row in rows
            ),
        ),
        *periods,
    ]
    if not intent.show and left:
        more = f"{count(left, 'more field')} not shown; name those you want behind “show”."
        blocks.append(Text(more, quiet=True))
    if capped:
        reach = f"Only the first {limits.rows:,} rows can be reached. Narrow the question with “where” or a filter."
        blocks.append(Notice(Tone.WARNING, reach))
    lists = {
        Kind.MODEL: await context.catalog.listed(Kind.MODEL),
        Kind.RECORD: await context.catalog.listed(Kind.RECORD, model),
        Kind.FIELD: listed,
    }
    blocks += changes(intent, show, lists, types, page.rows)
    one = "different row" if intent.distinct else "row"
    return Card(
        headline(f"{record.text}: {span(intent.page, len(rows), total, one)}{narrow}"),
        title=f"{record.text}, {model.text}{narrow}",
        blocks=tuple(blocks),
        buttons=(
            *(back(intent, intent.page) if capped else turn(intent, intent.page, total)),
            Button("Fields", Run(Fields(record=record, model=model, via=intent.via))),
        ),
        source=context.source(model.text),
    )


def columns_of(fields: Sequence[Item]) -> tuple[Name, ...]:
    """The columns where nobody said which: those that people read, before those that only tell rows apart."""
    return tuple(each.as_name for each in sorted(fields, key=_is_key)[:SHOWN_FIELDS])


def _is_key(field: Item) -> bool:
    return not _KEYS.isdisjoint(re.split(r"[^a-z]+", f"{field.name} {field.id}".casefold()))


def _nothing(intent: Data, record: Name, narrow: str, context: Context) -> Card:
    assert intent.model is not None
    card = Card(
        headline(f"{record.text}: {'no row fits' if narrow else 'no rows'}{narrow}"),
        title=f"{record.text}, {intent.model.text}{narrow}",
        buttons=(Button("Fields", Run(Fields(record=record, model=intent.model, via=intent.via))),),
        source=context.source(intent.model.text),
    )
    return loosened(card, intent)


def _beyond(intent: Data, record: Name, narrow: str, context: Context) -> Card:
    assert intent.model is not None
    return Card(
        headline(f"{record.text}: no rows on page {intent.page}{narrow}"),
        title=f"{record.text}, {intent.model.text}{narrow}",
        blocks=whole(intent),
        buttons=(Button("First rows", Run(replace(intent, page=1))), *back(intent, intent.page)),
        source=context.source(intent.model.text),
    )


def _search_where(intent: Data, fields: Sequence[Item], context: Context) -> Card:
    """Ask for the field: a search in all of them would tell what stands in those that are not for the asker."""
    assert intent.record is not None
    assert intent.model is not None
    options = tuple(Button(each.name, Run(replace(intent, within=each.as_name))) for each in fields[:PAGE])
    return Card(
        headline(f"In which field of {intent.record.text} shall I search?"),
        blocks=(
            Text("Say it as in: search “text” in the field's name. Nothing was asked."),
            Choices("For example:", options),
        ),
        source=context.source(intent.model.text),
        status=Status.ASKED,
    )


def _ranked(intent: Data) -> str:
    """What rows come first by, where only so many are asked for."""
    keys = intent.sort if intent.top else ()
    return "".join(f", {'highest' if each.descending else 'lowest'} {each.field.text} first" for each in keys)


def condition(
    where: Condition | None, types: Mapping[str, str], context: Context
) -> tuple[tuple[str, ...], tuple[Text, ...]]:
    """A condition as Celonis wants it, and the periods in it as they were really asked.

    Args:
        where: As it was said; None where nothing was.
        types: Celonis' type of each field in it, by id.
        context: For zone and moment.
    """
    if where is None:
        return (), ()
    values = Values(types, zone=ZoneInfo(context.reader.zone), now=context.now)
    periods = tuple(
        Text(f"{name}: {_span(start, end, context.reader)}", quiet=True)
        for name, start, end in values.ranges(where)
    )
    return filter_expressions(where, values.read), periods


def _span(start: datetime | None, end: datetime | None, reader: Reader) -> str:
    """A half-open range in words, with its zone, as it was really asked: always with its dates, since it is quoted."""
    zone, reader = f"({reader.zone})", reader._replace(today=None)
    if start is not None and end is not None:
        return f"from {when(start, reader)} until before {when(end, reader)} {zone}"
    if start is not None:
        return f"from {when(start, reader)} on {zone}"
    assert end is not None
    return f"before {when(end, reader)} {zone}"


RECORDS = Command(
    example=Records(model=Name("Purchase Requisition KM")),
    summary="records of a knowledge model",
    right=Right.READ,
    run=_records,
)
FIELDS = Command(
    example=Fields(record=Name("Materials"), model=Name("Purchase Requisition KM")),
    summary="fields of a record, with types and formats",
    right=Right.READ,
    run=_fields,
)
FILTERS = Command(
    example=Filters(model=Name("Purchase Requisition KM")),
    summary="predefined filters of a knowledge model",
    right=Right.READ,
    run=_filters,
)
DATA = Command(
    example=Data(
        record=Name("Materials"),
        model=Name("Purchase Requisition KM"),
        show=(Name("Material name"), Name("Material group")),
        where=Comparison(Name("Payment amount"), Op.GT, ("1000",)),
        sort=(SortKey(Name("Payment amount"), descending=True),),
    ),
    summary="rows of a record",
    right=Right.READ,
    run=_data,
    steady=lambda intent: intent.where is None,
)
