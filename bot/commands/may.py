"""Whether somebody may do something: what decides it, and who can change that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from bot.audience import Shown
from bot.commands.command import Command, Context, open_to
from bot.commands.kpis import ShowKpi
from bot.language.declare import CelonisIntent, Sentence, clause
from bot.language.say import say
from bot.model.cards import Card, Fact, Facts, Text, Words, headline
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.model.names import Name
from bot.policy import Right
from bot.store.switches import writes_off
from bot.writes.guarded import GuardedCommand


@dataclass(frozen=True, slots=True)
class May(CelonisIntent):
    """Whether the one who asks may do this."""

    words: ClassVar[str] = "may"
    of: Intent | None = field(default=None, metadata=clause("", Sentence()))


async def _may(intent: May, context: Context) -> Shown:
    asked = intent.of
    command = next((each for each in context.table if each.intent is type(asked)), None)
    if asked is None or command is None:
        raise BadArgument("May you do what?", hint=f"Say it as in: {say(MAY.example)}")
    if isinstance(asked, CelonisIntent):
        asked = replace(asked, via=intent.via)
    touched = await context.catalog.spelt(command.touches(asked))
    right = command.right_for(asked)
    decision = open_to(command, context.asker, context.policy)
    if decision.allowed and right is not Right.PUBLIC:
        decision = context.policy.may_all(context.asker, right, touched)
    facts = [Fact("Right", Words(right.value)), Fact("Decided by", Words(decision.rule))]
    notes = []
    if not decision.allowed:
        notes = [decision.sentence, decision.hint]
    elif isinstance(command, GuardedCommand):
        notes.append(
            "I ask before anything happens, and judge again, by the names of that moment, whoever clicks."
        )
        if context.policy.second_person(touched) is not None:
            notes.append("A second person has to confirm it.")
        if context.asking.read_only:
            notes.append("But this connection is set to read only, so nobody can now.")
        elif await writes_off(context.store) is not None:
            notes.append("But somebody said “writes off”, so nobody can now.")
    verdict = "Yes, you may do that here" if decision.allowed else "No, you may not do that here"
    card = Card(
        headline(verdict),
        title="What you may",
        blocks=(Facts(tuple(facts)), *(Text(each) for each in notes if each)),
    )
    return Shown(card, None)  # what somebody may is theirs to know


MAY = Command(
    example=May(of=ShowKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash"))),
    summary="whether you may do something here, which rule says so, and who can change it",
    right=Right.READ,
    run=_may,
    question=False,
)
