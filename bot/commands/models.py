"""Knowledge models: which there are and what is in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bot.catalog import Seen
from bot.commands.command import Command, Context
from bot.commands.defaults import UseModel
from bot.commands.kpis import Kpis
from bot.commands.lists import PAGE, count, nothing_shared, page_of, table, turn
from bot.commands.records import Filters, Records
from bot.language.declare import CelonisIntent, Count, OneName, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Column,
    Fact,
    Facts,
    Notice,
    Number,
    Run,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import CelonisError, QuotaExhausted
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.card_text import error_text


@dataclass(frozen=True, slots=True)
class Models(CelonisIntent):
    """Which knowledge models there are."""

    words: ClassVar[str] = "models"
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowModel(CelonisIntent):
    """What is in one knowledge model."""

    words: ClassVar[str] = "model"
    model: Name | None = field(default=None, metadata=clause("", OneName(Kind.MODEL)))


async def _models(intent: Models, context: Context) -> Card:
    found = await context.catalog.listed(Kind.MODEL)
    if not found:
        return nothing_shared("knowledge model", "USE PACKAGE on the Studio package", context.live_source())
    shown = page_of(found, intent.page)
    rows = [(Words(each.name), Words(each.about.partition(" ")[0])) for each in shown]
    here = {each.name for each in shown}
    buttons = tuple(
        Button(each.name, Run(ShowModel(model=each.as_name, via=intent.via))) for each in shown[:4]
    )
    return Card(
        headline(f"{count(len(found), 'knowledge model')}: {', '.join(sorted(here))}"),
        title="Knowledge models",
        blocks=(
            table(
                (Column("Name"), Column("Published")),
                rows,
                page=intent.page,
                total=len(found),
            ),
        ),
        buttons=(*buttons, *turn(intent, intent.page, len(found))),
        source=context.list_source(Kind.MODEL),
    )


_PARTS = {"KPIs": Kind.KPI, "Records": Kind.RECORD, "Filters": Kind.FILTER}


async def _model(intent: ShowModel, context: Context) -> Card:
    assert intent.model is not None
    model = intent.model
    parts: dict[str, Seen] = {}
    trouble: dict[str, CelonisError | QuotaExhausted] = {}
    for label, kind in _PARTS.items():
        try:
            parts[label] = await context.catalog.listed(kind, model)
        except (CelonisError, QuotaExhausted) as error:
            trouble[label] = error
    if not parts:
        raise next(iter(trouble.values()))
    facts = [Fact(label, Number(len(items))) for label, items in parts.items()]
    if extended := await _extended(model, trouble, context):
        facts.append(Fact("Extends", Words(extended)))
    blocks: list[Block] = [
        Facts(tuple(facts)),
        *(
            Text(
                f"{label}: {', '.join(each.name for each in items[:PAGE])}{' …' if len(items) > PAGE else ''}"
            )
            for label, items in parts.items()
            if items
        ),
        *(
            Notice(Tone.WARNING, f"{label} could not be read: {error_text(error, context.reader)[0]}")
            for label, error in trouble.items()
        ),
    ]
    if not any(map(len, parts.values())) and not trouble:
        blocks.append(Notice(Tone.WARNING, "This knowledge model shows neither records nor KPIs to the bot."))
    counted = [
        count(len(parts[label]), one) if label in parts else f"{label} not read"
        for label, one in (("KPIs", "KPI"), ("Records", "record"))
    ]
    return Card(
        headline(f"{model.text}: {', '.join(counted)}"),
        title=model.text,
        blocks=tuple(blocks),
        buttons=(
            Button("KPIs", Run(Kpis(model=model, via=intent.via))),
            Button("Records", Run(Records(model=model, via=intent.via))),
            Button("Filters", Run(Filters(model=model, via=intent.via))),
            Button("Use it here", Run(UseModel(model=model, via=intent.via))),
        ),
        source=context.source(model.text),
    )


async def _extended(model: Name, trouble: dict[str, CelonisError | QuotaExhausted], context: Context) -> str:
    """The name of the knowledge model that this one extends, if it is seen here."""
    try:
        details = await context.asking.knowledge_model(model.id)
    except (CelonisError, QuotaExhausted) as error:
        trouble["What it extends"] = error
        return ""
    found = (await context.catalog.listed(Kind.MODEL)).known(details.extended_km_id)
    return found.name if found else ""


MODELS = Command(
    example=Models(),
    summary="knowledge models you may see",
    right=Right.READ,
    run=_models,
)
MODEL = Command(
    example=ShowModel(model=Name("Purchase Requisition KM")),
    summary="what is in one knowledge model",
    right=Right.READ,
    run=_model,
)
