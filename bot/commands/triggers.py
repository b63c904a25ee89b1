"""Triggers of a knowledge model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bot.commands.command import Command, Context
from bot.commands.lists import list_card, page_of
from bot.language.declare import CelonisIntent, Count, OneName, clause
from bot.model.cards import Card, Column, Words
from bot.model.names import Kind, Name
from bot.policy import Right


@dataclass(frozen=True, slots=True)
class Triggers(CelonisIntent):
    """Which triggers a knowledge model has."""

    words: ClassVar[str] = "triggers"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Count()))


async def _triggers(intent: Triggers, context: Context) -> Card:
    assert intent.model is not None
    visible = await context.catalog.listed(Kind.RECORD, intent.model)
    found = [
        (each, record)
        for each in await context.asking.triggers(intent.model.id)
        if (record := visible.known(each.record)) is not None
    ]
    rows = [(Words(each.name), Words(record.name)) for each, record in page_of(found, intent.page)]
    return list_card(
        intent,
        (Column("Name"), Column("Record")),
        rows,
        page=intent.page,
        total=len(found),
        what="trigger",
        of=intent.model.text,
        source=context.source(intent.model.text),
    )


TRIGGERS = Command(
    example=Triggers(model=Name("Purchase Requisition KM")),
    summary="triggers of a knowledge model",
    right=Right.READ,
    run=_triggers,
)
