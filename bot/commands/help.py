"""Help: short, with buttons, and only what this person may do here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rapidfuzz import process

from bot.commands.access import ShowQuota
from bot.commands.again import AGAIN, Again
from bot.commands.command import AnyCommand, Command, Context
from bot.commands.jobs import Jobs
from bot.commands.lists import page_of, table, turn
from bot.commands.models import Models
from bot.language.declare import Count, Phrase, clause
from bot.language.say import say
from bot.language.vocabulary import ways
from bot.model.cards import Button, Card, Column, Run, Text, Words, headline
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.policy import Right
from bot.writes.guarded import GuardedCommand

FEW = 12


MOST_WAYS = 8
"""Other words for a command that its help shows."""


@dataclass(frozen=True, slots=True)
class Help(Intent):
    """What one can say."""

    words: ClassVar[str] = "help"
    topic: str = field(default="", metadata=clause("", Phrase()))
    page: int = field(default=1, metadata=clause("page", Count()))


async def _help(intent: Help, context: Context) -> Card:
    allowed: list[AnyCommand | Again] = [
        each
        for each in context.table
        if context.policy.may(context.asker, each.right_for(each.example)).allowed
        and not (isinstance(each, GuardedCommand) and context.asking.read_only)
    ]
    allowed += AGAIN
    if intent.topic:
        return _topic(intent.topic, allowed)
    rows = [(Words(say(each.example)), Words(each.summary)) for each in page_of(allowed, intent.page, FEW)]
    return Card(
        headline("Ask about KPIs, records and data jobs by their names"),
        title="What you can say",
        blocks=(
            Text("Just write it, as you would to a colleague. Names do not have to be spelt exactly."),
            table(
                (Column("Say"), Column("What it does")),
                rows,
                page=intent.page,
                size=FEW,
                total=len(allowed),
            ),
        ),
        buttons=(
            Button("Knowledge models", Run(Models())),
            Button("Data jobs", Run(Jobs())),
            Button("Quota", Run(ShowQuota())),
            *turn(intent, intent.page, len(allowed), FEW),
        ),
    )


def _topic(topic: str, allowed: list[AnyCommand | Again]) -> Card:
    wanted = topic.casefold()
    found = [each for each in allowed if wanted in (each.intent.words, *ways(each.intent.words))]
    if not found:
        near = process.extract(wanted, [each.intent.words for each in allowed], limit=3, score_cutoff=60)
        found = [allowed[index] for _, _, index in near[:1]]
    if not found:
        raise BadArgument(f"I have no help on “{topic}”.", hint="Say “help” for everything you can say.")
    command = found[0]
    others = ", ".join(ways(command.intent.words)[:MOST_WAYS])
    blocks = [Text(f"For example: {say(command.example)}")]
    if others:
        blocks.append(Text(f"Also understood: {others}", quiet=True))
    if isinstance(command, GuardedCommand):
        blocks.append(Text("I ask before anything happens, and look afterwards whether it did."))
    return Card(
        headline(f"{command.intent.words}: {command.summary}"),
        title=f"Help on {command.intent.words}",
        blocks=tuple(blocks),
        buttons=(Button("All commands", Run(Help())),),
    )


HELP = Command(
    example=Help(),
    summary="what you can say",
    right=Right.READ,
    run=_help,
)
