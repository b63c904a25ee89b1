"""What a sentence means here, for this person: one thing, several, or nothing that could be answered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TypeAlias

from cachetools import LRUCache

from bot.catalog import CLOSE, Alternative, Item, Resolution, Seen, label_of, matching, nearest
from bot.commands.again import AGAIN, Recall
from bot.commands.command import AnyCommand, Command, Context
from bot.commands.help import Help
from bot.commands.jobs import Jobs, ShowJob
from bot.commands.kpis import ShowKpi
from bot.commands.models import ShowModel
from bot.commands.records import Data, Fields
from bot.language.declare import CelonisIntent, map_names
from bot.language.parse import Entry, Grammar, unchecked
from bot.language.say import say
from bot.model.cards import Button, Run, Source
from bot.model.errors import (
    Forbidden,
    NotAllowed,
    NotFound,
    NotUnderstood,
    UnknownName,
    UsageError,
)
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from bot.policy import Right, Touch
from bot.visit import Visit
from bot.writes.cards import ShowQuestion
from bot.writes.guarded import GuardedCommand


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """The one thing that is meant, every name in it resolved; or one of the bot's own words, as it was said.

    Attributes:
        intent: What is meant.
        taken: Misspelt names, each with the one that it was taken for.
        touches: Every resource that a read names, as the policy is asked about it.
    """

    intent: Intent
    taken: tuple[tuple[str, str], ...] = ()
    touches: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class Several:
    """What can be meant: the person has to choose.

    Attributes:
        question: Which is asked.
        prompt: What stands above the options.
        options: One button for each.
        source: Where the names on them come from, where that is to be said.
    """

    question: str
    prompt: str
    options: tuple[Button, ...]
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nothing that could be answered.

    Attributes:
        error: Why.
        options: The same sentence with names that exist.
    """

    error: UsageError
    options: tuple[Button, ...] = ()


Meaning: TypeAlias = One | Several | Unclear
KEPT = 2_000
"""Meanings that are kept."""

OWN_WORDS: tuple[type[Intent], ...] = (Recall, ShowQuestion, *(each.intent for each in AGAIN))


class Meanings:
    """Turns sentences into what they mean.

    Args:
        commands: By intent.
        context: What a person may see of a connection, in a request.
        sight: What decides which names that are.
        words: Aliases of the settings.

    Raises:
        ValueError: An alias hides a command.
    """

    def __init__(
        self,
        commands: Mapping[type[Intent], AnyCommand],
        context: Callable[[Visit, str], Context],
        sight: Callable[[Visit, str], Hashable],
        words: Mapping[str, str],
    ) -> None:
        self._commands = commands
        self._context = context
        self._sight = sight
        entries = [Entry(each.intent, each.aliases) for each in (*commands.values(), *AGAIN)]
        self._kept: LRUCache[Hashable, tuple[One, datetime]] = LRUCache(KEPT)
        self.grammar = Grammar([*entries, Entry(Recall), Entry(ShowQuestion)], words)

    async def mean(self, text: str, visit: Visit) -> Meaning:
        """What a text means. It is kept for all who see the same names from a place with the same defaults.

        Raises:
            NotAllowed: Whatever it means, the person may not.
            CelonisError, QuotaExhausted: Names could not be read.
        """
        chosen = visit.defaults.connection
        sights = tuple([self._sight(visit, each) for each in visit.connections])
        key = (text, chosen and chosen.value, visit.model, sights)
        kept = self._kept.get(key)
        if kept is not None and visit.parts.clock.now() < kept[1]:
            return kept[0]
        meaning = await self._mean(text, visit)
        if not isinstance(meaning, One):
            return meaning
        # Only reads, and nothing that depends on what was said before: for the bot's own words there is no command.
        command = self._commands.get(type(meaning.intent))
        if isinstance(command, Command):
            via = meaning.intent.via if isinstance(meaning.intent, CelonisIntent) else None
            catalog = self._context(visit, visit.connection(via)).catalog
            meaning = replace(meaning, touches=await catalog.spelt(command.touches(meaning.intent)))
            catalogs = (self._context(visit, each).catalog for each in visit.connections)
            self._kept[key] = meaning, min(each.good_until for each in catalogs)
        return meaning

    async def _mean(self, text: str, visit: Visit) -> Meaning:
        readings = self.grammar.parse(text) if text.strip() else (Help(),)
        if not readings:
            return await self._without_command(text, visit)
        if isinstance(readings[0], OWN_WORDS):
            return One(readings[0])
        return await self._choose(readings, visit)

    async def _choose(self, readings: Sequence[Intent], visit: Visit) -> Meaning:
        refusal: NotAllowed | None = None
        allowed: list[Intent] = []
        for reading in readings:
            right = self._commands[type(reading)].right_for(reading)
            decision = visit.parts.policy.may(visit.asker, right)
            if decision.allowed:
                allowed.append(reading)
            else:
                refusal = refusal or NotAllowed(decision.sentence, hint=decision.hint, rule=decision.rule)
        if refusal is not None and not allowed:
            raise refusal
        resolved = [(each, await self._resolve(each, visit)) for each in allowed]
        options = _unique(each for _, resolution in resolved for each in resolution.alternatives)
        if not options:  # nothing is called so: a misspelling is looked for in whole lists
            resolved = [(each, await self._resolve(each, visit, misspelt=True)) for each in allowed]
            options = _unique(each for _, resolution in resolved for each in resolution.alternatives)
        exact = [each for each in options if each.exact]
        guarded = any(isinstance(self._commands[type(each.intent)], GuardedCommand) for each in options)
        if len(exact) > 1 and not guarded:
            # values and free texts resolve as anything, so the readings that lean on them least are likelier
            least = min(unchecked(each.intent) for each in exact)
            exact = [each for each in exact if unchecked(each.intent) == least]
        if exact:
            return _one(exact[0]) if len(exact) == 1 else _pick(exact)
        reading, resolution = max(
            resolved, key=lambda pair: (len(pair[1].alternatives) > 0, _clauses(pair[0]))
        )
        if not resolution.alternatives:
            return _correctable(reading, resolution.error or NotUnderstood("I do not understand that."))
        if len(resolution.alternatives) == 1 and not guarded:
            return _one(resolution.alternatives[0])
        return _pick(options if guarded else resolution.alternatives)

    async def _resolve(self, reading: Intent, visit: Visit, *, misspelt: bool = False) -> Resolution:
        if not isinstance(reading, CelonisIntent):
            return Resolution((Alternative(reading),))
        try:
            connection = visit.connection(reading.via)
            context = self._context(visit, connection)
            placed = replace(reading, via=Name(connection, connection))
            return await context.catalog.resolve(placed, model=context.model_default, misspelt=misspelt)
        except UsageError as error:
            return Resolution((), error)

    async def _without_command(self, text: str, visit: Visit) -> Meaning:
        """No command fits: perhaps it is a name, or a KPI with what belongs to one ("on-time delivery by plant")."""
        name = self.grammar.bare(text)
        if name and visit.parts.policy.may(visit.asker, Right.READ).allowed:
            context = self._context(visit, visit.connection())
            meant = await self._as_kpi(name, visit)
            if len(meant) == 1 and _says_more(meant[0].intent, name):
                return _one(meant[0])  # it says more than a name, so nothing else need be looked for
            items = await _named(context)
            same = matching(name, items)
            if not meant and not same:
                meant = await self._as_kpi(name, visit, misspelt=True)
            if same or not meant:
                near = () if same else await nearest(name, items)
                found = same or tuple(each.item for each in near if each.score >= CLOSE)[:3]
                if found:
                    return _offered(name, found, context)
            elif len(meant) == 1:
                return _one(meant[0])
            else:
                return _pick(meant)
        return Unclear(NotUnderstood("I do not understand that.", nearest=self.grammar.nearest(text)))

    async def _as_kpi(self, text: str, visit: Visit, *, misspelt: bool = False) -> list[Alternative]:
        """What a text can mean as a KPI with what belongs to one; nothing where the key may list no KPIs."""
        try:
            readings = self.grammar.parse(f"kpi {text}")
            found = [await self._resolve(each, visit, misspelt=misspelt) for each in readings]
        except (Forbidden, NotFound):
            return []
        return _unique(each for resolution in found for each in resolution.alternatives)


def _one(alternative: Alternative) -> One:
    return One(alternative.intent, alternative.taken)


def _pick(options: Sequence[Alternative]) -> Several:
    labels = label_of(options)
    buttons = tuple(Button(label, Run(each.intent)) for label, each in zip(labels, options, strict=True))
    return Several("Which one do you mean?", "Nothing has been done yet.", buttons)


def _offered(name: str, found: Sequence[Item], context: Context) -> Several:
    said = f"“{found[0].name}”" if len(found) == 1 else f"{len(found)} things like “{name}”"
    buttons = tuple(button for item in found for button in _views(item))
    return Several(f"What about {said}?", "Pick one:", buttons, context.source())


def _correctable(reading: Intent, error: UsageError) -> Unclear:
    """An error with buttons that say the sentence again with a name that exists."""
    if not isinstance(error, UnknownName):
        return Unclear(error)
    wrong = error

    def corrected(right: Name) -> Intent:
        return map_names(
            reading, lambda _, kind, name: right if kind is wrong.kind and name.text == wrong.text else name
        )

    return Unclear(error, tuple(Button(each.text, Run(corrected(each))) for each in error.nearest))


def _clauses(intent: Intent) -> int:
    return sum(getattr(intent, each.name) != each.default for each in fields(intent))


def _says_more(intent: Intent, name: str) -> bool:
    """Whether a text says more than the name of a KPI."""
    return isinstance(intent, ShowKpi) and all(len(fold(each.text)) < len(fold(name)) for each in intent.kpis)


def _unique(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """One for each thing that is meant; where two readings lead to it, the exact one counts."""
    found: dict[str, Alternative] = {}
    for each in sorted(alternatives, key=lambda each: not each.exact):
        found.setdefault(say(each.intent), each)
    return list(found.values())


async def _named(context: Context) -> list[Seen]:
    """Things that a bare name can mean. What the key may not list is not among them."""
    found: list[Seen] = []

    async def look(kind: Kind, *within: Name) -> Iterable[Item]:
        try:
            seen = await context.catalog.listed(kind, *within)
        except (Forbidden, NotFound):
            return ()
        found.append(seen)
        return seen

    await look(Kind.MODEL)
    for pool in await look(Kind.POOL):
        await look(Kind.JOB, pool.as_name)
    if context.model_default is not None:
        await look(Kind.KPI, context.model_default)
        await look(Kind.RECORD, context.model_default)
    return found


def _views(item: Item) -> tuple[Button, ...]:
    within = dict(item.within)
    match item.kind:
        case Kind.MODEL:
            return (Button(f"Knowledge model {item.name}", Run(ShowModel(model=item.as_name))),)
        case Kind.POOL:
            return (Button(f"Jobs of {item.name}", Run(Jobs(pool=item.as_name))),)
        case Kind.JOB:
            return (Button(f"Job {item.label}", Run(ShowJob(job=item.as_name, pool=within.get(Kind.POOL)))),)
        case Kind.KPI:
            return (
                Button(f"KPI {item.name}", Run(ShowKpi(kpis=(item.as_name,), model=within.get(Kind.MODEL)))),
            )
        case Kind.RECORD:
            model = within.get(Kind.MODEL)
            return (
                Button(f"Rows of {item.name}", Run(Data(record=item.as_name, model=model))),
                Button(f"Fields of {item.name}", Run(Fields(record=item.as_name, model=model))),
            )
        case _:
            return ()
