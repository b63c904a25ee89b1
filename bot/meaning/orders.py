"""Plain orders to stop or start a job: which question they open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.catalog import Alternative
from bot.commands.jobs import CancelJob, ShowJob, StartJob
from bot.language.declare import CelonisIntent
from bot.language.gate import Order
from bot.language.say import say
from bot.language.vocabulary import vocabulary, words_of
from bot.meaning.meant import Meaning, Unclear, chosen, order_buttons
from bot.meaning.own_words import Commands, ContextOf, OwnWords, check
from bot.model.errors import (
    NotUnderstood,
    UnknownName,
    UsageError,
)
from bot.model.intents import Intent
from bot.model.names import Kind, Name
from bot.visit import Visit


class Orders:
    """Finds the job that is meant.

    Args:
        commands: By intent.
        context: What a person may see of a connection, in a request.
        own_words: Tells what "it" is, and which names are nearly what was said.
    """

    def __init__(self, commands: Commands, context: ContextOf, own_words: OwnWords) -> None:
        self._commands = commands
        self._context = context
        self._own_words = own_words
        self._words = vocabulary()

    async def mean(self, asked: Sequence[Order], visit: Visit) -> Meaning | None:
        """What a plain order is about; None if nothing is called so."""
        if not asked[0].name and not asked[0].pool:
            last, fresh = await self._own_words.last(visit)
            job = getattr(last, "job", None)
            if job is None or not fresh:
                return Unclear(NotUnderstood("I do not know which job “it” is.", hint="Say the job's name."))
            intents = [_about(asked[0], job, getattr(last, "pool", None))]
        elif tuple(words_of(asked[0].name)) in self._words.writes.kinds:
            intents = [_about(asked[0], None, None)]  # "stop the job": which one?
        else:
            intents = [
                _about(each, Name(each.name) if each.name else None, Name(each.pool) if each.pool else None)
                for each in asked
            ]
        check(self._commands, intents[0], visit)
        found: dict[str, Alternative] = {}
        trouble: UsageError | None = None
        for intent in intents:
            alternatives, error = await resolved(intent, self._context, visit)
            found.update((say(each.intent), each) for each in alternatives)
            trouble = trouble or error
        if len(found) == 1:
            found.update(await self._like(next(iter(found.values())), asked, visit))
        if found:
            return chosen(tuple(found.values()))
        if trouble is not None and not isinstance(trouble, UnknownName):
            return Unclear(trouble)
        return None

    async def _like(self, meant: Alternative, asked: Sequence[Order], visit: Visit) -> dict[str, Alternative]:
        """Other jobs whose names hold every word of the one that was said: that one may have been cut short."""
        intent = meant.intent
        if not isinstance(intent, CancelJob | StartJob) or intent.job is None or not asked[0].name:
            return {}
        catalog = self._context(visit, visit.connection(intent.via)).catalog
        said = set(words_of(intent.job.text))
        within = [intent.pool] if any(each.pool for each in asked) and intent.pool else None
        found = {}
        for pool in within or [each.as_name for each in await catalog.listed(Kind.POOL)]:
            for item in await catalog.listed(Kind.JOB, pool):
                other = replace(intent, job=item.as_name, pool=pool)
                if item.id != intent.job.id and said < set(words_of(item.name)):
                    found[say(other)] = Alternative(other, labels=(item.label,))
        return found

    async def unknown_target(self, intent: Intent, trouble: UnknownName, visit: Visit) -> Meaning:
        """A write about something that is not called so: names that are nearly so are offered, never taken."""
        understood = await self._own_words.understood(trouble.text, visit, None)
        jobs = [
            each.intent
            for each in (*understood.readings, *understood.offers)
            if isinstance(each.intent, ShowJob)
        ]
        return Unclear(trouble, tuple(order_buttons(jobs, intent.words)))


def _about(order: Order, job: Name | None, pool: Name | None) -> Intent:
    if order.verb == StartJob.words:
        return StartJob(job=job, pool=pool, mode=order.mode)
    return CancelJob(job=job, pool=pool)


async def resolved(
    intent: Intent, context_of: ContextOf, visit: Visit
) -> tuple[tuple[Alternative, ...], UsageError | None]:
    """Everything that the names of an exact sentence can be, or why that is nothing."""
    if not isinstance(intent, CelonisIntent):
        return (Alternative(intent),), None
    try:
        connection = visit.connection(intent.via)
        context = context_of(visit, connection)
        placed = replace(intent, via=Name(connection, connection))
        resolution = await context.catalog.resolve(placed, model=context.model_default)
    except UsageError as error:
        return (), error
    return resolution.alternatives, resolution.error
