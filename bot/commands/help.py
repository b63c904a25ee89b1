"""Help: short, with buttons, and only what this person may do here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rapidfuzz import process

from bot.commands.access import ShowQuota
from bot.commands.again import AGAIN, Again
from bot.commands.command import AnyCommand, Command, Context, open_to
from bot.commands.form import Form
from bot.commands.jobs import Jobs
from bot.commands.kpis import Kpis, ShowKpi
from bot.commands.lists import page_of, table, turn
from bot.commands.models import Models
from bot.commands.records import Data
from bot.language.declare import Count, Phrase, clause
from bot.language.forms import examples
from bot.language.say import say
from bot.language.vocabulary import ways
from bot.model.cards import Block, Button, Card, Choices, Column, Fact, Facts, Run, Text, Words, headline
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.writes.guarded import GuardedCommand

FEW = 12
MOST, FEWEST = 5, 3
"""Buttons that help begins with."""
MOST_KPIS = 2
LOOKED_AT = 20
"""Knowledge models among which one is looked for whose names are known."""


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
        if open_to(each, context.asker, context.policy).allowed
        and not (isinstance(each, GuardedCommand) and context.asking.read_only)
    ]
    allowed += AGAIN
    if intent.topic:
        return _topic(intent.topic, allowed)
    here = page_of(allowed, intent.page, FEW)
    model = await _known_model(context) if intent.page == 1 else None
    starters = await _starters(model, allowed, context) if intent.page == 1 else ()
    return Card(
        headline("Ask about KPIs, records and data jobs by their names"),
        title="What you can say",
        blocks=(
            Text("Just write it, as you would to a colleague. Names do not have to be spelt exactly."),
            *((Choices("Try one of these:", starters),) if starters else ()),
            table(
                (Column("Say"), Column("What it does")),
                [(Words(say(each.example)), Words(each.summary)) for each in here],
                page=intent.page,
                size=FEW,
                total=len(allowed),
            ),
            Choices(
                "More about one of them:",
                tuple(Button(each.intent.words, Run(Help(topic=each.intent.words))) for each in here),
            ),
        ),
        buttons=(Button("Ask by form", Run(Form())), *turn(intent, intent.page, len(allowed), FEW)),
    )


async def _starters(
    model: Name | None, allowed: Sequence[AnyCommand | Again], context: Context
) -> tuple[Button, ...]:
    """Three to five things to ask at once, with names that exist as far as they are known without a call."""
    may = {each.intent for each in allowed}
    found: list[Button] = []
    if model is not None:
        kpis = await context.catalog.kept(Kind.KPI, model)
        records = await context.catalog.kept(Kind.RECORD, model)
        found += (
            Button(each.name, Run(ShowKpi(kpis=(each.as_name,), model=model)))
            for each in (kpis or ())[:MOST_KPIS]
        )
        if kpis:
            found.append(Button(f"KPIs of {model.text}", Run(Kpis(model=model))))
        found += (
            Button(f"{each.name}: rows", Run(Data(record=each.as_name, model=model)))
            for each in (records or ())[:1]
        )
    found.append(Button("What runs now", Run(Jobs(states=("active",)))))
    if len(found) < FEWEST:
        found += [Button("Knowledge models", Run(Models())), Button("Quota", Run(ShowQuota()))]
    return tuple(each for each in found if isinstance(each.action, Run) and type(each.action.intent) in may)[
        :MOST
    ]


async def _known_model(context: Context) -> Name | None:
    """This place's knowledge model, else the first whose KPIs are known."""
    models = await context.catalog.kept(Kind.MODEL)
    if models is None:
        return None
    chosen = models.known(context.model_default.id) if context.model_default else None
    for each in (chosen,) if chosen else models[:LOOKED_AT]:
        if await context.catalog.kept(Kind.KPI, each.as_name):
            return each.as_name
    return None


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
    blocks: list[Block] = [Text(f"For example: {say(command.example)}")]
    if clauses_of := examples(command.intent):
        blocks.append(Facts(tuple(Fact(form, Words(example)) for form, example in clauses_of)))
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
