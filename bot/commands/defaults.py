"""What a place uses when nothing else is said: knowledge model, time zone, connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import ClassVar

from bot.commands.command import Command, Context
from bot.language.declare import CelonisIntent, OneName, Phrase, clause
from bot.model.cards import Button, Card, Run, Status, Text, headline
from bot.model.clock import known_zones
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from bot.model.people import Visibility
from bot.policy import Asker, Decision, Policy, Right
from bot.store import DefaultOf


@dataclass(frozen=True, slots=True)
class UseModel(CelonisIntent):
    """Make a knowledge model this place's default."""

    words: ClassVar[str] = "use"
    model: Name | None = field(default=None, metadata=clause("", OneName(Kind.MODEL)))


@dataclass(frozen=True, slots=True)
class UseZone(Intent):
    """Make a time zone this place's own."""

    words: ClassVar[str] = "use time zone"
    zone: str = field(default="", metadata=clause("", Phrase()))


@dataclass(frozen=True, slots=True)
class UseConnection(Intent):
    """Make a connection this place's default."""

    words: ClassVar[str] = "use connection"
    connection: Name | None = field(default=None, metadata=clause("", OneName(Kind.CONNECTION)))


def may_set_defaults(asker: Asker, policy: Policy) -> Decision:
    """A channel's defaults are everybody's, so they need `manage`; a direct message is one's own, and needs to read."""
    personal = asker.place.visibility is Visibility.PERSONAL
    return policy.may(asker, Right.READ if personal else Right.MANAGE)


async def _keep(of: DefaultOf, value: Name, context: Context) -> None:
    await context.store.set_default(context.asker.place.key, of, value, context.asker.person)


async def _use_model(intent: UseModel, context: Context) -> Card:
    assert intent.model is not None
    await _keep(DefaultOf.MODEL, intent.model, context)
    return Card(
        headline(f"{intent.model.text} is now the default here"),
        blocks=(Text("Questions that name no knowledge model are asked of this one."),),
        source=context.source(intent.model.text),
    )


async def _use_zone(intent: UseZone, context: Context) -> Card:
    zones = sorted(known_zones())
    wanted = next((zone for zone in zones if fold(zone) == fold(intent.zone)), None)
    if wanted is None:
        cities = {zone.rpartition("/")[2].replace("_", " ").casefold(): zone for zone in zones}
        near = [cities[city] for city in get_close_matches(intent.zone.casefold(), cities)]
        if not near:
            raise BadArgument(
                f"“{intent.zone}” is no time zone I know.", hint="Say it as in “use time zone Europe/Berlin”."
            )
        return Card(
            headline(f"Which time zone is “{intent.zone}”?"),
            buttons=tuple(Button(zone, Run(UseZone(zone=zone))) for zone in near),
            status=Status.ASKED,
        )
    await _keep(DefaultOf.ZONE, Name(wanted), context)
    return Card(
        headline(f"Times here are now those of {wanted}"),
        blocks=(Text("It decides what “last month” is, and when a time of day comes."),),
    )


async def _use_connection(intent: UseConnection, context: Context) -> Card:
    if intent.connection is None:
        raise BadArgument(
            "I do not know which connection is meant.",
            hint=f"There is {', '.join(context.connections)}; say: use connection {context.connections[0]}",
        )
    chosen = next((each for each in context.connections if fold(each) == fold(intent.connection.text)), None)
    if chosen is None:
        raise BadArgument(
            f"I know no connection called “{intent.connection.text}” here.",
            hint=f"There is {', '.join(context.connections)}.",
        )
    await _keep(DefaultOf.CONNECTION, Name(chosen), context)
    return Card(headline(f"Questions here now go to {chosen}"))


USE_MODEL = Command(
    example=UseModel(model=Name("Purchase Requisition KM")),
    summary="ask this knowledge model when none is named here",
    right=Right.READ,
    run=_use_model,
    question=False,
    open_to=may_set_defaults,
    changes=True,
)
USE_ZONE = Command(
    example=UseZone(zone="Europe/Berlin"),
    summary="read and write times of this zone here",
    right=Right.READ,
    run=_use_zone,
    question=False,
    open_to=may_set_defaults,
    changes=True,
)
USE_CONNECTION = Command(
    example=UseConnection(connection=Name("sandbox")),
    summary="ask this Celonis team when none is named here",
    right=Right.READ,
    run=_use_connection,
    question=False,
    touches=lambda _: (),
    open_to=may_set_defaults,
    changes=True,
)
