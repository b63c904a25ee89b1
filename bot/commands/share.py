"""An answer for everybody in the place, where they may see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from bot.audience import Shown
from bot.commands.command import Command, Context
from bot.commands.kpis import ShowKpi
from bot.language import dates
from bot.language.conditions import Values
from bot.language.declare import CelonisIntent, Sentence, about_another, clause
from bot.language.say import say
from bot.model.cards import Button, Run, Status, Text
from bot.model.errors import BadArgument, BotError
from bot.model.intents import Intent, comparisons, map_comparisons
from bot.model.names import Name
from bot.policy import Right
from bot.writes.guarded import touches

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent"

LABEL = "Share with everybody here"


@dataclass(frozen=True, slots=True)
class Share(CelonisIntent):
    """The answer to a question, for everybody who reads along in the place."""

    words: ClassVar[str] = "share here"
    of: Intent | None = field(default=None, metadata=clause("", Sentence()))


async def _share(intent: Share, context: Context) -> Shown:
    command = _shareable(intent.of, context)
    if command is None or not isinstance(intent.of, CelonisIntent):
        raise _no_data()
    asked = replace(intent.of, via=intent.via)
    # The right to show something to everybody says nothing about the right to read it.
    named = await context.catalog.spelt(touches(asked))
    context.policy.may_all(context.asker, Right.READ, named).require()
    said = await command.run(asked, context)
    shown = said if isinstance(said, Shown) else Shown(said, named)
    if shown.card.status is not Status.ANSWERED:
        return shown
    if not _is_data(shown):
        raise _no_data()
    touched = shown.touches or ()
    if not context.public(touched):
        context.policy.closed(context.asker.place, touched).require()
    person = context.asker.person
    by = f"Shared by {context.asker.profile.name or person.name or person.id}."
    if context.asking.reads and not context.asking.cached:
        by += " Read anew for this, so numbers may differ from what was shown before."
    card = replace(shown.card, blocks=(Text(by, quiet=True), *shown.card.blocks))
    return replace(shown, card=card, aloud=True)


def _no_data() -> BadArgument:
    return BadArgument(
        "I share answers about data.",
        hint=f"Say it as in: {say(SHARE.example)}",
        undone="Nothing was shared.",
    )


def _shareable(asked: Intent | None, context: Context) -> Command[Any] | None:
    """The command that answers a question, if its answers are data."""
    command = context.command(asked)
    if not isinstance(command, Command) or not isinstance(asked, CelonisIntent):
        return None
    about_data = command.right is Right.READ and command.question and not about_another(type(asked))
    return command if about_data else None


def _is_data(shown: Shown) -> bool:
    return bool(shown.touches) and shown.card.source is not None


async def share_button(asked: Intent, shown: Shown, context: Context) -> Button | None:
    """What shares an answer that everybody in the place may see and only one person was shown.

    Args:
        asked: What was answered.
        shown: The answer.
        context: Of the request; its reader is the answer's.

    Returns:
        None where there is nothing to share.
    """
    answered = shown.card.status is Status.ANSWERED and _is_data(shown)
    if not answered or _shareable(asked, context) is None:
        return None
    assert isinstance(asked, CelonisIntent)
    try:
        of = await lasting(asked, context)
    except BotError:
        return None
    return Button(LABEL, Run(Share(of=replace(of, via=None), via=asked.via)))


async def lasting(asked: I, context: Context) -> I:
    """A question with dates in place of periods that would be others at another time.

    Raises:
        CelonisError, QuotaExhausted: The fields' types could not be read.
    """
    zone = ZoneInfo(context.reader.zone)
    changed: dict[str, Any] = {}
    where, model = getattr(asked, "where", None), getattr(asked, "model", None)
    if where is not None and isinstance(model, Name):
        record = getattr(asked, "record", None)
        types = {}
        for each in comparisons(where):
            of_record = f"{record.id}.{each.field.id}" if isinstance(record, Name) else each.field.id
            item = await context.catalog.field(model, of_record)
            types[each.field.id] = item.about if item is not None else ""
        values = Values(types, zone=zone, now=context.now)
        changed["where"] = map_comparisons(where, values.lasting)
    if isinstance(asked, ShowKpi) and (named := dates.period(asked.against, zone, context.now)) is not None:
        changed["against"] = dates.lasting(named)
    return replace(asked, **changed)


SHARE = Command(
    example=Share(of=ShowKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash"))),
    summary="an answer for everybody in this place, where they may see it",
    right=Right.PUBLIC,
    run=_share,
    question=False,
)
