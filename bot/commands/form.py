"""A form: from a knowledge model to an answer by choosing, with a card for each step.

A form is a sentence with gaps, and each option says the sentence with one gap less; what is typed into a field is one
more clause of it. So a form keeps no state, and what comes back from a chat platform is read and judged like a typed
sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from bot.audience import Shown
from bot.catalog import Item
from bot.celonis import DataQuery
from bot.commands.cells import NUMERIC, decimal, value_of
from bot.commands.command import Command, Context
from bot.commands.counts import Count
from bot.commands.kpis import ShowKpi
from bot.commands.lists import count
from bot.commands.records import Data
from bot.language.conditions import Values
from bot.language.dates import DATES
from bot.language.declare import TYPED, CelonisIntent, OneName, OneOf, Phrase, clause
from bot.language.say import spoken
from bot.language.scope import date_key
from bot.model.cards import (
    Block,
    Button,
    Card,
    Choices,
    Fact,
    Facts,
    Input,
    Notice,
    Run,
    Source,
    Status,
    Submit,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.intents import And, Comparison, Condition, Intent, Not, Op, comparisons
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.values import in_words

MOST = 100
"""Options of one list; more do not fit into a menu of Slack."""
LONGEST = 200
"""Characters of a value that is offered."""
PERIODS = (
    "today",
    "this week",
    "last week",
    "this month",
    "last month",
    "this quarter",
    "last quarter",
    "this year",
    "last year",
)
COMPARED: Mapping[str, Mapping[Op, str]] = {
    **{each: {Op.EQ: "is in", Op.GE: "is from", Op.LT: "is before"} for each in DATES},
    **{each: {Op.EQ: "is", Op.GE: "is at least", Op.LE: "is at most"} for each in NUMERIC},
    "string": {Op.EQ: "is", Op.NE: "is not", Op.CONTAINS: "contains"},
    "boolean": {Op.EQ: "is"},
}
"""By Celonis' type of a field: the comparisons that are offered, and how they are called."""
OPS = tuple(dict.fromkeys(op.value for called in COMPARED.values() for op in called))
EXAMPLES: Mapping[str, str] = {
    **dict.fromkeys(DATES, "last 30 days, Q3 2026, since 2026-03-01"),
    **dict.fromkeys(NUMERIC, "1000, 1,000 or 10k"),
    "string": "the text",
}
"""What stands in a field where nothing is typed yet."""


@dataclass(frozen=True, slots=True)
class Form(CelonisIntent):
    """What to ask of a knowledge model."""

    words: ClassVar[str] = "form"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))


@dataclass(frozen=True, slots=True)
class FormKpi(ShowKpi):
    """A question about KPIs as far as it is chosen, and the field and comparison that come next."""

    words: ClassVar[str] = "form kpi"
    narrow: Name | None = field(default=None, metadata=clause("values", OneName(Kind.FIELD)))
    op: str = field(default="", metadata=clause("with", OneOf(OPS)))
    typed: str = field(default="", metadata=clause(TYPED, Phrase()))


@dataclass(frozen=True, slots=True)
class FormData(Data):
    """The same for rows of a record."""

    words: ClassVar[str] = "form data"
    narrow: Name | None = field(default=None, metadata=clause("values", OneName(Kind.FIELD)))
    op: str = field(default="", metadata=clause("with", OneOf(OPS)))
    typed: str = field(default="", metadata=clause(TYPED, Phrase()))


F = TypeVar("F", bound="FormKpi | FormData")


async def _form(intent: Form, context: Context) -> Shown:
    assert intent.model is not None
    model, via = intent.model, intent.via
    models = await context.catalog.listed(Kind.MODEL)
    kpis = await context.catalog.listed(Kind.KPI, model)
    records = await context.catalog.listed(Kind.RECORD, model)
    nothing = () if kpis or records else (Text(f"{model.text} shows neither KPIs nor records here."),)
    return _step(
        f"What do you want to know of {model.text}?",
        (
            *nothing,
            *_names(
                "Values of a KPI", kpis, lambda each: FormKpi(kpis=(each.as_name,), model=model, via=via)
            ),
            *_names(
                "Rows of a record, or how many",
                records,
                lambda each: FormData(record=each.as_name, model=model, via=via),
            ),
            *_names(
                "Another knowledge model",
                [each for each in models if each.id != model.id],
                lambda each: Form(model=each.as_name, via=via),
            ),
        ),
        (),
        context.live_source(model.text),
    )


async def _form_kpi(intent: FormKpi, context: Context) -> Shown:
    assert intent.model is not None
    if not intent.kpis:
        raise BadArgument("Which KPI?", hint="Say “form” to choose one.", undone="Nothing was asked.")
    model = intent.model
    known = [each for seen in await context.catalog.fields_of_all(model) for each in seen]
    intent, wrong = _taken(intent, known, context)
    asked = _complete(ShowKpi, intent)
    called = ", ".join(each.text for each in intent.kpis)
    chosen = [Fact("By", Words(", ".join(each.text for each in intent.by)))] if intent.by else []
    if intent.narrow is not None:
        by = Button(f"By {intent.narrow.text}", Run(_closed(intent, by=(*intent.by, intent.narrow))))
        return await _narrow(intent, wrong, called, known, by, context)
    date = context.dates.get(date_key(model.id, "")) or context.dates.get(model.id)
    return _draft(
        intent, called, chosen, known, date, (Button("Show the value", Run(asked), Tone.GOOD),), context
    )


async def _form_data(intent: FormData, context: Context) -> Shown:
    assert intent.model is not None
    assert intent.record is not None
    model, record = intent.model, intent.record
    known = list(await context.catalog.listed(Kind.FIELD, model, record))
    intent, wrong = _taken(intent, known, context)
    chosen = [Fact("Fields", Words(", ".join(each.text for each in intent.show)))] if intent.show else []
    if intent.narrow is not None:
        show = Button(f"Show {intent.narrow.text}", Run(_closed(intent, show=(*intent.show, intent.narrow))))
        return await _narrow(intent, wrong, record.text, known, show, context)
    date = context.dates.get(date_key(model.id, record.id)) or context.dates.get(model.id) or ""
    owner, _, own = date.partition(".")
    ends = (
        Button("Show rows", Run(_complete(Data, intent)), Tone.GOOD),
        Button("How many", Run(_complete(Count, intent))),
    )
    return _draft(intent, record.text, chosen, known, own if owner == record.id else None, ends, context)


# --- the steps -------------------------------------------------------------------------------------------------


def _draft(
    intent: F,
    called: str,
    chosen: Sequence[Fact],
    known: Sequence[Item],
    date: str | None,
    ends: tuple[Button, ...],
    context: Context,
) -> Shown:
    """What is chosen so far, and what may be chosen next.

    Args:
        intent: The form.
        called: What it is about.
        chosen: What is chosen beside the conditions.
        known: The fields that may be chosen.
        date: The id of the field that a period is about; None where that is not known.
        ends: What the form becomes when it is complete.
        context: For where the names come from.
    """
    assert intent.model is not None
    facts = [Fact("Knowledge model", Words(intent.model.text)), *chosen]
    if intent.where is not None:
        facts.append(Fact("Only", Words(spoken(intent.where))))
    used = {each.field.id for each in comparisons(intent.where)} if intent.where else set()
    when = next((each for each in known if each.id == date and each.id not in used), None)
    period: list[Block] = []
    if when is not None:
        options = [
            Button(each.capitalize(), Run(_where(intent, Comparison(when.as_name, Op.EQ, (each,)))))
            for each in PERIODS
        ]
        another = replace(intent, narrow=when.as_name, op=Op.EQ.value)
        period = [
            *_menu(f"Period ({when.name})", options),
            _typed(another, f"Another period ({when.name})", "date"),
        ]
    return _step(
        f"{called}: show it, or choose more",
        (
            Facts(tuple(facts)),
            *_names(
                "A field to show or to narrow it by",
                [each for each in known if (each.about or "string") in COMPARED],
                lambda each: replace(intent, narrow=each.as_name, op=""),
            ),
            *period,
        ),
        (*ends, Button("Start again", Run(Form(model=intent.model, via=intent.via)))),
        context.live_source(intent.model.text),
    )


async def _narrow(
    intent: F, wrong: str, called: str, known: Iterable[Item], split: Button, context: Context
) -> Shown:
    """How a field is used; then, with a comparison, which of its values are meant.

    Args:
        intent: The form.
        wrong: What is wrong with the value that was typed.
        called: What it is about.
        known: Its fields.
        split: Another use of the field.
        context: For its values.
    """
    assert intent.narrow is not None
    assert intent.model is not None
    of = next((each for each in known if each.id == intent.narrow.id), None)
    kind = (of.about if of else "") or "string"
    compared = COMPARED.get(kind, {})
    leave = Button("Without this field", Run(_closed(intent)))
    if not intent.op:
        ways = [
            Button(f"Only where it {word} …", Run(replace(intent, op=op.value)))
            for op, word in compared.items()
        ]
        return _step(
            f"{called}: what about {intent.narrow.text}?",
            (Choices("Choose:", (split, *ways)),),
            (leave,),
            context.live_source(intent.model.text),
        )
    op = Op(intent.op)
    word = compared.get(op, op.value)
    found: Mapping[str, Condition] = {}
    whole = False
    if kind in DATES:
        found = {each: Comparison(intent.narrow, op, (each,)) for each in PERIODS}
    elif op in {Op.EQ, Op.NE}:
        found, whole = await _values(intent, kind, op, context)
    lists = whole or kind not in NUMERIC  # the smallest of many numbers are no choice
    options = [Button(label, Run(_where(intent, each))) for label, each in found.items()] if lists else []
    what = "period" if kind in DATES else "value"
    nothing = (Text("It has no values."),) if whole and not found else ()
    typed = () if whole else (_typed(intent, f"{'Another' if options else 'Which'} {what}", kind),)
    return _step(
        f"{called} where {intent.narrow.text} {word} …",
        (
            *((Notice(Tone.WARNING, wrong),) if wrong else ()),
            *_menu(f"Which {what}?", options),
            *nothing,
            *typed,
        ),
        (leave,),
        context.source(intent.model.text),
    )


def _taken(intent: F, known: Iterable[Item], context: Context) -> tuple[F, str]:
    """A form with what was typed as a condition; or without, and what is wrong with it."""
    narrow = intent.narrow
    if not intent.typed or narrow is None:
        return intent, ""
    kind = next((each.about for each in known if each.id == narrow.id), "") or "string"
    said = Comparison(narrow, Op(intent.op or Op.EQ), (intent.typed.strip(),))
    again = replace(intent, op=said.op.value, typed="")
    if not intent.typed.strip():
        return again, "Nothing was typed."
    try:
        Values({said.field.id: kind}, zone=ZoneInfo(context.reader.zone), now=context.now).read(said)
    except BadArgument as error:
        return again, f"{error.sentence} {error.hint}"
    return _where(intent, said), ""


async def _values(intent: F, kind: str, op: Op, context: Context) -> tuple[dict[str, Condition], bool]:
    """The conditions that the values of a field make, by what each is called; and whether these are all."""
    assert intent.narrow is not None
    assert intent.model is not None
    within: Name | None = getattr(intent, "record", None)
    record, own = within.id if within else "", intent.narrow.id
    if not record:
        record, _, own = own.partition(".")
    # Celonis does not sort by every field.
    page = await context.asking.record_data(intent.model.id, record, DataQuery(fields=(own,), distinct=True))
    headers = {each.id: each for each in page.headers}
    found: dict[str, Condition] = {}
    for row in sorted(page.rows, key=lambda each: _order(each.get(own))):
        value = row.get(own)
        if value is None:
            if op in {Op.EQ, Op.NE}:
                empty = Comparison(intent.narrow, Op.IS_EMPTY)
                found["(empty)"] = empty if op is Op.EQ else Not(empty)
            continue
        number = decimal(value) if kind in NUMERIC else None
        written = str(value) if number is None else f"{number:f}"
        written = written.lower() if isinstance(value, bool) else written
        if written.strip() and len(written) <= LONGEST:
            label = in_words(value_of(row, own, headers, kind), context.reader)
            found[label] = Comparison(intent.narrow, op, (written,))
    return found, page.last


# --- pieces ----------------------------------------------------------------------------------------------------


def _complete(whole: type[CelonisIntent], intent: FormKpi | FormData) -> Intent:
    """The question that a form has become."""
    return whole(**{each.name: getattr(intent, each.name) for each in fields(whole)})


def _closed(intent: F, **chosen: Any) -> F:
    """A form with something chosen, and no field under choice any more."""
    return replace(intent, narrow=None, op="", typed="", **chosen)


def _where(intent: F, condition: Condition) -> F:
    return _closed(intent, where=And((intent.where, condition)) if intent.where else condition)


def _order(value: object) -> tuple[bool, Decimal, str]:
    return value is None, decimal(value) or Decimal(0), str(value).casefold()


def _typed(intent: FormKpi | FormData, label: str, kind: str) -> Input:
    """A field for what is not in the list."""
    use = "Use this period" if kind in DATES else "Use this value"
    return Input(label, EXAMPLES.get(kind, EXAMPLES["string"]), Button(use, Submit(intent)))


def _names(prompt: str, items: Sequence[Item], chosen: Callable[[Item], Intent]) -> tuple[Block, ...]:
    """Things to choose from; those of the same name with what tells them apart."""
    shown = items[:MOST]
    called = Counter(each.name for each in shown)
    options = [
        Button(each.name if called[each.name] == 1 else each.label, Run(chosen(each))) for each in shown
    ]
    left = len(items) - len(shown)
    more = (Text(f"{count(left, 'more name')} not listed; say what you want with the name.", quiet=True),)
    return (*_menu(prompt, options), *(more if left else ()))


def _menu(prompt: str, options: Sequence[Button]) -> tuple[Block, ...]:
    """A list to choose from; nothing where there is nothing to choose."""
    return (Choices(prompt, tuple(options)),) if options else ()


def _step(question: str, blocks: tuple[Block, ...], buttons: tuple[Button, ...], source: Source) -> Shown:
    """A card of a form, for the person alone who fills it in."""
    return Shown(Card(headline(question), blocks=blocks, buttons=buttons, source=source, status=Status.ASKED))


FORM = Command(
    example=Form(model=Name("Order to Cash")),
    summary="ask by choosing from lists, step by step",
    right=Right.READ,
    run=_form,
)
FORM_KPI = Command(
    example=FormKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash")),
    summary="choose how a KPI is shown: by which field, for which values and period",
    right=Right.READ,
    run=_form_kpi,
)
FORM_DATA = Command(
    example=FormData(record=Name("Sales orders"), model=Name("Order to Cash")),
    summary="choose which rows of a record are shown or counted, and which fields",
    right=Right.READ,
    run=_form_data,
)
