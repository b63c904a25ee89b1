"""Values of conditions, held against those that their fields have: no answer for a spelling that was not meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from bot.catalog.values import Match, is_text
from bot.commands.command import Context
from bot.language.declare import Where, clauses
from bot.language.lexicon import Entity
from bot.model.cards import Block, Button, Card, Choices, Run, Text, headline
from bot.model.intents import And, Comparison, Condition, Intent, Not, Op, Or, comparisons, parts_of
from bot.model.names import Name

_EQUAL = frozenset({Op.EQ, Op.NE, Op.IN})

Odd: TypeAlias = tuple[Comparison, str, Match]
"""A comparison, one of its values that the field is not known to have, and how that compares with those it has."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """An intent with its values as they stand in Celonis.

    Attributes:
        intent: That.
        taken: Values that were typed otherwise, each with the one that it was taken for.
        notes: What is to be said of values that no field has.
        question: Which value is meant, where the person has to say it; empty where nothing has to be asked.
        options: A button for each answer to it.
        steady: Whether that follows from lists that were read to their end.
    """

    intent: Intent
    taken: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    question: str = ""
    options: tuple[Button, ...] = ()
    steady: bool = True


async def spelt(intent: Intent, context: Context) -> Spelling:
    """Values that differ from the field's own in case, accents and spaces only are corrected; a near miss is asked about.

    Args:
        intent: Resolved.
        context: Whose fields are looked at; a list of values costs one call where it is not at hand.
    """
    taken: list[tuple[str, str]] = []
    notes: list[str] = []
    steady = True
    async for comparison, value, match in _odd(intent, context, look=False):
        if len(match.same) == 1:
            taken.append((value, match.same[0]))
            intent = _with(intent, comparison, value, match.same[0])
            continue
        if match.same or (match.like and match.sure):
            said = f"{comparison.field.text} is “{value}”"
            options = _options(intent, comparison, value, match)
            return Spelling(
                intent, tuple(taken), question=f"No {said}. Which one do you mean?", options=options
            )
        steady = steady and match.sure
        if match.sure or not _alone(intent, comparison):
            notes.append(_note(comparison, value, match))
    return Spelling(intent, tuple(taken), tuple(notes), steady=steady)


async def unmatched(intent: Intent, subject: str, narrow: str, context: Context) -> Card | None:
    """The answer where nothing was found because a field does not have a value; None where it has them all.

    Args:
        intent: What found nothing.
        subject: What was asked for.
        narrow: Every condition of it, as headlines say them.
        context: One call for each value that no list read to its end knows.
    """
    blocks: list[Block] = []
    async for comparison, value, match in _odd(intent, context, look=True):
        blocks.append(Text(_note(comparison, value, match)))
        if match.same or match.like:
            blocks.append(Choices("Values like it:", _options(intent, comparison, value, match)))
        elif match.sure:
            blocks.append(Text(f"Say “values {comparison.field.text}” for those there are.", quiet=True))
    if not blocks:
        return None
    model: Name = intent.model  # type: ignore[attr-defined]  # only what is in a knowledge model has conditions
    return Card(
        headline(f"{subject}: no rows{narrow}"),
        title=f"{subject}, {model.text}",
        blocks=tuple(blocks),
        source=context.source(model.text),
    )


async def _odd(intent: Intent, context: Context, *, look: bool) -> AsyncIterator[Odd]:
    """Every value that a condition compares a text field with, and that the field is not known to have.

    Args:
        intent: Resolved.
        context: Whose fields are looked at.
        look: Look each up; else only those whose absence would not show in the answer.
    """
    where = _where(intent)
    condition: Condition | None = getattr(intent, where) if where else None
    for comparison in comparisons(condition) if condition is not None else ():
        field = await _field(intent, comparison, context) if comparison.op in _EQUAL else None
        if field is None:
            continue
        needed = look or not _alone(intent, comparison)
        for value in comparison.values:
            match = await context.values.match(field, value, context.asking, context.now, look=needed)
            if not match.exact:
                yield comparison, value, match


async def _field(intent: Any, comparison: Comparison, context: Context) -> Entity | None:
    """The text field that a comparison is about."""
    record = getattr(intent, "record", None)
    name = comparison.field.id if record is None else f"{record.id}.{comparison.field.id}"
    found = await context.catalog.field(intent.model, name)
    if found is None:
        return None
    entity = Entity(found.kind, found.as_name, found.within, found.about)
    return entity if is_text(entity) else None


def _where(intent: Intent) -> str:
    return next((each.name for each, how in clauses(type(intent)) if isinstance(how.takes, Where)), "")


def _alone(intent: Intent, comparison: Comparison) -> bool:
    """Whether nothing fits where this comparison fits nothing, so that a value nobody has shows in the answer."""
    condition = getattr(intent, _where(intent))
    return comparison in parts_of(condition) and comparison.op is not Op.NE and len(comparison.values) == 1


def _note(comparison: Comparison, value: str, match: Match) -> str:
    if match.sure:
        return f"No {comparison.field.text} is “{value}”."
    return f"I could not check whether “{value}” is a {comparison.field.text}."


def _options(intent: Intent, comparison: Comparison, value: str, match: Match) -> tuple[Button, ...]:
    return tuple(
        Button(each, Run(_with(intent, comparison, value, each)))
        for each in dict.fromkeys((*match.same, *match.like))
    )


def _with(intent: Intent, comparison: Comparison, value: str, other: str) -> Intent:
    """The intent with another value in the place of one."""
    at = _where(intent)
    changed: dict[str, Any] = {at: _exchanged(getattr(intent, at), comparison, value, other)}
    return replace(intent, **changed)


def _exchanged(condition: Condition, comparison: Comparison, value: str, other: str) -> Condition:
    match condition:
        case Comparison(of, op, values):
            if (of, op) != (comparison.field, comparison.op):
                return condition
            return Comparison(
                of, op, tuple(dict.fromkeys(other if each == value else each for each in values))
            )
        case Not(part):
            return Not(_exchanged(part, comparison, value, other))
        case And(parts) | Or(parts):
            return type(condition)(tuple(_exchanged(each, comparison, value, other) for each in parts))
