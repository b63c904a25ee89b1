"""Rows as a file, for the person alone who asked: every row that can be reached, within a bound of calls and of bytes."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar
from zoneinfo import ZoneInfo

from bot.audience import Shown
from bot.celonis import DataPage, DataQuery
from bot.commands.command import Command, Context
from bot.commands.kpis.asked import ShowKpi
from bot.commands.kpis.groups import ranked
from bot.commands.kpis.question import Question
from bot.commands.kpis.trends import over_time
from bot.commands.lists import count
from bot.commands.narrowing import under
from bot.commands.records import Data, condition
from bot.language.declare import CelonisIntent, Flag, Sentence, clause, map_names
from bot.language.say import say
from bot.model.cards import Button, Card, Notice, Run, Status, Text, Tone, headline
from bot.model.chat import File
from bot.model.errors import BadArgument, Undelivered
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.writes.guarded import touches

WITHIN = 300.0
"""Seconds that all calls of an export may take."""
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a file; what would be longer ends there, and says so."""
TOLD_EVERY = 5
"""Calls after which is told how far it is."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would take for a formula."""


@dataclass(frozen=True, slots=True)
class Export(CelonisIntent):
    """The rows of a question as a CSV file."""

    words: ClassVar[str] = "export"
    of: Intent | None = field(default=None, metadata=clause("", Sentence()))
    anyway: bool = field(default=False, metadata=clause("anyway", Flag()))


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is exported.

    Attributes:
        called: What it is rows of, with all that narrows them.
        columns: Titles by the ids that stand in rows.
        query: Asks for them.
        page: Reads a page.
        most: Rows that were asked for at most.
        note: What was left out, empty where nothing was.
    """

    called: str
    columns: dict[str, str]
    query: DataQuery
    page: Callable[[DataQuery], Awaitable[DataPage]]
    most: int
    note: str = ""


async def _export(intent: Export, context: Context) -> Card | Shown:
    context = replace(context, asking=context.asking.patient(WITHIN))
    # The right to export says nothing about the right to read.
    context.policy.may_all(context.asker, Right.READ, touches(intent)).require()
    rows = await _rows(intent.of, context)
    limits = context.asking.limits
    size = min(limits.page, rows.most)
    calls = -(-rows.most // size)
    if not intent.anyway and calls > limits.export_share * limits.per_day:
        return _ask(intent, rows, calls, context)
    await context.working(
        _working(f"Exporting {rows.called}: at most {count(rows.most, 'row')}, {count(calls, 'call')}")
    )
    table, more = _Table(list(rows.columns)), True
    for number in range(calls):
        page = await rows.page(replace(rows.query, page=number, page_size=size))
        table.add(page.rows[: rows.most - table.rows])
        more = not page.last
        if not more or not table.whole:
            break
        if (number + 1) % TOLD_EVERY == 0:
            await context.working(_working(f"Exporting {rows.called}: {table.rows:,} rows so far"))
    written = table.rows
    cut = ""
    if not table.whole:
        cut = f"It ends after {written:,} rows: a file has at most {MOST_BYTES // 1024 // 1024} MB."
    elif more and written == limits.rows:
        cut = (
            f"It ends after {written:,} rows: Celonis gives no more of one question. Narrow it with “where”."
        )
    at = context.now.astimezone(ZoneInfo(context.reader.zone))
    asked = map_names(intent.of, lambda _at, _kind, name: Name(name.text)) if intent.of else None
    about = [
        *(("SANDBOX: made-up data",) if context.celonis.connection.sandbox else ()),
        say(asked) if asked else "",
        f"read {at.isoformat(timespec='seconds')} ({context.reader.zone}) from {context.connection}",
        f"{count(written, 'row')}{f'. {cut}' if cut else ''}{f' {rows.note}' if rows.note else ''}",
    ]
    name = f"{_slug(rows.called)}-{at:%Y-%m-%d-%H%M}.csv"
    if context.chat is None:
        raise Undelivered("I have no way to send files here.", undone="Nothing was sent.")
    content = table.file(about, list(rows.columns.values()))
    where = await context.chat.file(
        context.asker.person, File(name, content, f"{count(written, 'row')} of {rows.called}")
    )
    card = Card(
        headline(f"{count(written, 'row')} of {rows.called} exported"),
        title=name,
        blocks=(
            Text(where),
            *((Notice(Tone.WARNING, cut),) if cut else ()),
            *((Text(rows.note, quiet=True),) if rows.note else ()),
        ),
        source=context.source(),
    )
    return Shown(card)


def _ask(intent: Export, rows: _Rows, calls: int, context: Context) -> Card:
    per_day = context.asking.limits.per_day
    return Card(
        headline(f"Up to {count(calls, 'call')} for this export: shall I?"),
        blocks=(
            Text(
                f"{rows.called}: at most {rows.most:,} rows. That is up to {calls / per_day:.1%} of the day's calls, "
                "which everybody here shares. Nothing was asked yet."
            ),
        ),
        buttons=(
            Button(f"Export at most {rows.most:,} rows", Run(replace(intent, anyway=True))),
            *(
                (Button("Show the first rows", Run(replace(intent.of, via=intent.via))),)
                if isinstance(intent.of, CelonisIntent)
                else ()
            ),
        ),
        source=context.live_source(),
        status=Status.ASKED,
    )


async def _rows(asked: Intent | None, context: Context) -> _Rows:
    match asked:
        case Data():
            return await _of_record(asked, context)
        case ShowKpi():
            return await _of_kpis(asked, context)
        case None:
            raise BadArgument(
                "What shall I export?",
                hint=f"Say it as in: {say(EXPORT.example)}",
                undone="Nothing was asked.",
            )
        case _:
            raise BadArgument(
                "I export rows of records and values of KPIs.",
                hint=f"Say it as in: {say(EXPORT.example)}",
                undone="Nothing was asked.",
            )


async def _of_record(asked: Data, context: Context) -> _Rows:
    assert asked.model is not None
    assert asked.record is not None
    model, record, limits = asked.model.id, asked.record.id, context.asking.limits
    details = await context.asking.record(model, record)
    listed = await context.catalog.listed(Kind.FIELD, asked.model, asked.record)
    if asked.search and asked.within is None and len(listed) < len(details.fields):
        raise BadArgument(
            "In which field shall I search?",
            hint="Say it as in: search “text” in the field's name.",
            undone="Nothing was asked.",
        )
    show = asked.show or tuple(each.as_name for each in listed)
    sorted_by = [key.field for key in asked.sort if key.field not in show]
    columns = [*sorted_by, *show][: limits.fields]
    left = len(show) + len(sorted_by) - len(columns)
    if not show or (left and asked.show):
        raise BadArgument(
            f"A file has 1 to {limits.fields} fields; this asks for {len(show)}.",
            hint="Name those you need behind “show”.",
            undone="Nothing was asked.",
        )
    types = {each.id: each.type or "string" for each in details.fields}
    query = DataQuery(
        fields=tuple(each.id for each in columns),
        filters=tuple(each.id for each in asked.filter),
        expressions=condition(asked.where, types, context)[0],
        sort=tuple((key.field.id, key.descending) for key in asked.sort),
        search=asked.search,
        search_field=asked.within.id if asked.within else "",
        distinct=asked.distinct,
    )
    return _Rows(
        asked.record.text + under(asked.where, asked.filter, asked.search),
        {each.id: each.text for each in columns},
        query,
        lambda each: context.asking.record_data(model, record, each),
        min(limits.rows, asked.top or limits.rows),
        f"{count(left, 'more field')} left out; name those you need behind “show”." if left else "",
    )


async def _of_kpis(asked: ShowKpi, context: Context) -> _Rows:
    question = await Question.of(asked, context)
    if over_time(question) or asked.against:
        raise BadArgument(
            "I export values of KPIs as they are, not over time or against something.",
            hint="Ask without it.",
            undone="Nothing was asked.",
        )
    query = replace(
        question.query(asked.where),
        fields=tuple(each.id for each in asked.by),
        sort=ranked(asked, question.lead) if asked.by else (),
    )
    by = f" by {', '.join(each.text for each in asked.by)}" if asked.by else ""
    most = context.asking.limits.rows if asked.by else 1
    return _Rows(
        question.called + by + under(asked.where, asked.filter),
        {each.id: each.text for each in (*asked.by, *asked.kpis)},
        query,
        question.page,
        min(asked.most or most, most),
    )


class _Table:
    """Rows as CSV, as they come; what was written of them is all that is kept."""

    def __init__(self, columns: list[str]) -> None:
        self.rows = 0
        self.whole = True
        self._columns = columns
        self._written = bytearray()

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Writes rows; where one no longer fits, it is not whole, and nothing more may be added."""
        for row in rows:
            line = _line(_text(row.get(each)) for each in self._columns)
            if len(self._written) + len(line) > MOST_BYTES:
                self.whole = False
                return
            self._written += line
            self.rows += 1

    def file(self, about: list[str], titles: list[str]) -> bytes:
        """The file: what it is about, the titles, the rows. The mark at its start tells spreadsheets that it is UTF-8."""
        lines = b"".join(_line([f"# {' '.join(each.split())}"]) for each in about)
        return b"\xef\xbb\xbf" + lines + _line(map(harmless, titles)) + bytes(self._written)


def _line(cells: Iterable[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue().encode("utf-8", "replace")


def _text(value: object) -> str:
    """A value of a data reply; numbers as they came, so that a spreadsheet can count with them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else harmless(str(value))


def harmless(text: str) -> str:
    """Text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _working(text: str) -> Card:
    return Card(headline(text), status=Status.WORKING)


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")[:40] or "export"


EXPORT = Command(
    example=Export(of=Data(record=Name("Materials"), model=Name("Purchase Requisition KM"))),
    summary="all rows that can be reached as a CSV file, to you alone",
    right=Right.EXPORT,
    run=_export,
)
