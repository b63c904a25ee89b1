"""What there is beside knowledge models and data jobs: spaces, packages, analyses, data models and their loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from bot.catalog import Item, Turns
from bot.celonis.models import Load
from bot.commands.command import Command, Context
from bot.commands.lists import count, list_card, nothing_shared, page_of
from bot.language.declare import CelonisIntent, Count, OneName, clause
from bot.model.cards import (
    Button,
    Card,
    Cell,
    Column,
    Missing,
    Moment,
    Notice,
    Run,
    Table,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.render.values import duration, when

POOLS_READ = 10
"""Data pools whose data models are read at once; those whose list is kept cost nothing and are shown, too."""
LOADS = 10
"""Loads of a data model that a card shows."""
SAID = {
    "RUNNING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "WARNING": "succeeded with warnings",
    "LOST_CONNECTION": "lost connection",
    "CANCELED": "stopped",
    "CANCELLING": "being stopped",
}
HOW = {"COMPLETE": "full", "PARTIAL": "partial", "FROM_CACHE": "from cache"}


@dataclass(frozen=True, slots=True)
class Spaces(CelonisIntent):
    """Which spaces there are."""

    words: ClassVar[str] = "spaces"
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Packages(CelonisIntent):
    """Which packages there are."""

    words: ClassVar[str] = "packages"
    space: Name | None = field(default=None, metadata=clause("in", OneName(Kind.SPACE)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Analyses(CelonisIntent):
    """Which analyses there are."""

    words: ClassVar[str] = "analyses"
    package: Name | None = field(default=None, metadata=clause("in", OneName(Kind.PACKAGE)))
    space: Name | None = field(default=None, metadata=clause("of", OneName(Kind.SPACE)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class DataModels(CelonisIntent):
    """Which data models there are."""

    words: ClassVar[str] = "data models"
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowLoads(CelonisIntent):
    """When the data of a data model was loaded."""

    words: ClassVar[str] = "loads"
    data_model: Name | None = field(default=None, metadata=clause("", OneName(Kind.DATA_MODEL)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


async def _spaces(intent: Spaces, context: Context) -> Card:
    found = await context.catalog.listed(Kind.SPACE)
    source = context.list_source(Kind.SPACE)
    if not found:
        return nothing_shared("space", "USE PACKAGE on a package in it", source)
    shown = page_of(found, intent.page)
    return list_card(
        intent,
        (Column("Space"),),
        [(Words(each.name),) for each in shown],
        page=intent.page,
        total=len(found),
        what="space",
        of=context.connection,
        buttons=_buttons(shown, lambda each: Packages(space=each.as_name, via=intent.via)),
        source=source,
    )


async def _packages(intent: Packages, context: Context) -> Card:
    spaces = [intent.space] if intent.space else await _names(Kind.SPACE, context)
    found = [each for space in spaces for each in await context.catalog.listed(Kind.PACKAGE, space)]
    shown = page_of(found, intent.page)
    return list_card(
        intent,
        (Column("Package"), Column("Space")),
        [(Words(each.name), Words(_place(each, Kind.SPACE))) for each in shown],
        page=intent.page,
        total=len(found),
        what="package",
        of=intent.space.text if intent.space else context.connection,
        buttons=_buttons(
            shown,
            lambda each: Analyses(package=each.as_name, space=dict(each.within)[Kind.SPACE], via=intent.via),
        ),
        source=context.live_source(),
    )


async def _analyses(intent: Analyses, context: Context) -> Card:
    rows = [(each, _place(each, Kind.PACKAGE)) for each in await analyses_in(intent, context)]
    if intent.package is None and intent.space is None:
        rows += [(each, "") for each in await classic_analyses(context)]
    place = intent.package or intent.space
    return list_card(
        intent,
        (Column("Analysis"), Column("Package")),
        [
            (Words(each.name), Words(package) if package else Missing())
            for each, package in page_of(rows, intent.page)
        ],
        page=intent.page,
        total=len(rows),
        what="analysis",
        of=place.text if place else context.connection,
        source=context.live_source(),
    )


async def analyses_in(intent: Analyses, context: Context) -> list[Item]:
    """The analyses of a package, of the packages of a space, or of all packages; one call reads all of them."""
    catalog = context.catalog
    if intent.package is not None and intent.space is not None:
        return list(await catalog.listed(Kind.ANALYSIS, intent.space, intent.package))
    spaces = [intent.space] if intent.space else await _names(Kind.SPACE, context)
    return [
        each
        for space in spaces
        for package in await catalog.listed(Kind.PACKAGE, space)
        for each in await catalog.listed(Kind.ANALYSIS, space, package.as_name)
    ]


async def classic_analyses(context: Context) -> list[Item]:
    """The analyses that lie in no package, as far as this person may see them."""
    connection = Name(context.connection, context.connection)
    found, turns = [], Turns()
    for each in await context.asking.classic_analyses():
        touch = Touch(connection=connection, analysis=Name(each.name, each.id))
        if context.policy.sees(context.asker, touch):
            found.append(Item(Kind.ANALYSIS, each.id, each.name))
        await turns.after(1)
    return found


async def _data_models(intent: DataModels, context: Context) -> Card:
    pools = [intent.pool] if intent.pool else await _names(Kind.POOL, context)
    found: list[Item] = []
    reads = left = 0
    for pool in pools:
        seen = await context.catalog.kept(Kind.DATA_MODEL, pool)
        if seen is None and reads >= POOLS_READ:
            left += 1
            continue
        reads += seen is None
        found += seen if seen is not None else await context.catalog.listed(Kind.DATA_MODEL, pool)
    shown = page_of(found, intent.page)
    card = list_card(
        intent,
        (Column("Data model"), Column("Data pool"), Column("Description")),
        [
            (Words(each.name), Words(_place(each, Kind.POOL)), Words(each.about) if each.about else Missing())
            for each in shown
        ],
        page=intent.page,
        total=len(found),
        what="data model",
        of=intent.pool.text if intent.pool else context.connection,
        buttons=_buttons(
            shown,
            lambda each: ShowLoads(
                data_model=each.as_name, pool=dict(each.within)[Kind.POOL], via=intent.via
            ),
        ),
        source=context.live_source(intent.pool.text if intent.pool else ""),
    )
    if not left:
        return card
    more = f"{count(left, 'more data pool')} not read, a call each; name one, as in “data models in …”."
    return replace(card, blocks=(*card.blocks, Text(more, quiet=True)))


async def _loads(intent: ShowLoads, context: Context) -> Card:
    if intent.data_model is None or intent.pool is None:
        raise BadArgument(
            "Which data model?", hint="Say “data models” for the list.", undone="Nothing was asked."
        )
    state = await context.asking.loads(intent.pool.id, intent.data_model.id)
    newest = state.history.loads[:LOADS]
    rows = [
        (
            _moment(each),
            Words(duration((each.end - each.start).total_seconds()))
            if each.start and each.end
            else Missing(),
            Words(HOW.get(each.kind, each.kind.lower())),
            Words(said(each)),
        )
        for each in newest
    ]
    trouble = next((each.message for each in newest[:1] if each.message), "")
    return Card(
        headline(f"{intent.data_model.text}: {_verdict(newest, state.loaded_at, context)}"),
        title=f"{intent.data_model.text}, {intent.pool.text}",
        blocks=(
            *((Notice(Tone.WARNING, trouble),) if trouble else ()),
            Table((Column("Started"), Column("Took"), Column("Kind"), Column("Status")), tuple(rows))
            if rows
            else Text("Celonis tells of no load."),
        ),
        buttons=(
            Button("Refresh", Run(intent)),
            Button("Data models of the pool", Run(DataModels(pool=intent.pool, via=intent.via))),
        ),
        source=context.live_source(intent.pool.text),
    )


def said(load: Load) -> str:
    """Celonis' word for the state of a load in plain words."""
    return SAID.get(load.status, load.status.lower())


def _verdict(newest: Sequence[Load], loaded_at: datetime | None, context: Context) -> str:
    loaded = f"last loaded {when(loaded_at, context.reader)}" if loaded_at else "never loaded"
    last = newest[0] if newest else None
    if last is None or last.status in {"SUCCESS", "WARNING"}:
        return loaded
    if last.status == "RUNNING" and last.start is not None:
        return f"loading since {when(last.start, context.reader)}, {loaded}"
    return f"the newest load {said(last)}, {loaded}"


def _moment(load: Load) -> Cell:
    return Moment(load.start) if load.start else Missing()


async def _names(kind: Kind, context: Context) -> list[Name]:
    return [each.as_name for each in await context.catalog.listed(kind)]


def _place(item: Item, kind: Kind) -> str:
    return dict(item.within)[kind].text


def _buttons(items: Sequence[Item], opened: Callable[[Item], Intent]) -> tuple[Button, ...]:
    """A way into each of the first things of a list."""
    return tuple(Button(each.name, Run(opened(each))) for each in items[:4])


SPACES = Command(example=Spaces(), summary="spaces of Studio", right=Right.READ, run=_spaces)
PACKAGES = Command(
    example=Packages(space=Name("Purchasing & Logistics")),
    summary="packages of a space, or of all",
    right=Right.READ,
    run=_packages,
)
ANALYSES = Command(
    example=Analyses(package=Name("Order to Cash")),
    summary="analyses of a package, or all",
    right=Right.READ,
    run=_analyses,
)
DATA_MODELS = Command(
    example=DataModels(pool=Name("SAP ECC")),
    summary="data models of a data pool, or of all",
    right=Right.READ,
    run=_data_models,
)
LOADS_OF = Command(
    example=ShowLoads(data_model=Name("Order to Cash"), pool=Name("SAP ECC")),
    summary="when the data of a data model was loaded, and how that went",
    right=Right.READ,
    run=_loads,
)
