"""The switch that refuses everything that changes Celonis, at once and everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from bot.commands.command import Command, Context
from bot.language.declare import OneOf, clause
from bot.model.cards import Card, Text, headline
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.policy import Asker, Decision, Policy, Right
from bot.render.values import when
from bot.store.switches import switch_writes, writes_off


@dataclass(frozen=True, slots=True)
class SwitchWrites(Intent):
    """Refuse everything that changes Celonis, or allow it again."""

    words: ClassVar[str] = "writes"
    to: str = field(default="", metadata=clause("", OneOf(("on", "off"))))


def may_switch(asker: Asker, policy: Policy) -> Decision:
    """Whoever is in the admins' place may, and whoever has the right of an admin."""
    return policy.may(asker, Right.READ if policy.is_admin_place(asker.place) else Right.ADMIN)


async def _switch(intent: SwitchWrites, context: Context) -> Card:
    if not intent.to:
        raise BadArgument("On or off?", hint="Say “writes off” or “writes on”.")
    on = intent.to == "on"
    before = await writes_off(context.store)
    person = context.asker.person
    name = context.asker.profile.name or person.name
    if on == (before is None):
        since = f" since {when(before.at, context.reader)}" if before else ""
        return Card(headline(f"Writes are {intent.to} already{since}"))
    await switch_writes(context.store, replace(person, name=name), on=on)
    return Card(
        headline(
            "Writes are on again" if on else "Writes are off: nothing is changed in Celonis from now on"
        ),
        blocks=(
            Text(
                "Jobs can be stopped again by those who may, each with a question first."
                if on
                else "Every question and every click that would change something is refused, on every copy of the bot. What "
                "was sent before goes on. “writes on” ends this."
            ),
        ),
    )


WRITES = Command(
    example=SwitchWrites(to="off"),
    summary="refuse everything that changes Celonis at once, or allow it again (admins)",
    right=Right.READ,
    run=_switch,
    question=False,
    open_to=may_switch,
    changes=True,
)
