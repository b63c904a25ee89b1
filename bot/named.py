"""The lists that a sentence can be about, read one after the other as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from bot.catalog import Item, Seen
from bot.catalog.lexicon import name_list
from bot.commands.command import Context
from bot.language.lexicon import NameList
from bot.language.slots import STATES
from bot.language.understand import Understanding
from bot.language.values import FieldValues
from bot.language.vocabulary import Class, Sense, Vocabulary, words_of
from bot.model.errors import Forbidden, NotFound
from bot.model.intents import Intent
from bot.model.names import LIES_IN, Kind, Name

MODELS_READ = 8
"""Knowledge models of which one list each is read at a time, where none is chosen and they are not at hand."""
OTHERS_READ = 3
"""Knowledge models whose names are read so where another one is chosen."""
POOLS_READ = 3
"""Data pools whose jobs are read so for a sentence that does not speak of jobs."""
POOLS_ASKED = 10
"""The same for one that does."""
POOLS_BESIDE = 30
"""Data pools or spaces that are looked into for a question about what lies there and nothing else."""
MODELS_MEANT = 3
"""Knowledge models whose fields and values are read for one sentence."""
_OF_A_MODEL = (Kind.KPI, Kind.RECORD, Kind.FILTER)
_OF_RECORDS = frozenset({"data", "records", "fields", "count", "values"})
"""Questions about rows."""


class Listed(NamedTuple):
    """What is at hand to understand a sentence.

    Attributes:
        unread: Knowledge models and data pools that were not looked into.
    """

    names: Sequence[NameList]
    values: Sequence[FieldValues]
    unread: Sequence[Name]


async def lists_for(
    text: str,
    context: Context,
    last: Intent | None,
    words: Vocabulary,
    so_far: Callable[[], Understanding],
) -> AsyncIterator[Listed]:
    """The lists that a sentence can be about: ever more of them, the likeliest and cheapest first.

    What was read within seven days costs nothing and is always looked into; of the rest, only a little is read.

    Args:
        text: The sentence.
        context: What the person may see.
        last: What was last asked.
        words: The languages that are spoken.
        so_far: What was understood with the lists before.
    """
    reads = _Reads(context, words)
    for inner in _beside(text, words):
        await reads.some(await reads.listed(LIES_IN[inner]), (inner,), (), POOLS_BESIDE)
        yield reads.so_far()
    models = await reads.listed(Kind.MODEL)
    near = list(dict.fromkeys(filter(None, (context.model_default, getattr(last, "model", None)))))
    others = [each for each in models if each not in near]
    for each in near:
        await reads.inside(each, _OF_A_MODEL)
    if not near:
        await reads.some(others, _OF_A_MODEL, (), 0)
    yield reads.so_far()
    about_jobs = _about_jobs(text, words) or getattr(last, "job", None) is not None
    if about_jobs:
        pools = await reads.listed(Kind.POOL)
        yield reads.so_far()
        await reads.some(pools, (Kind.JOB,), so_far().pools, POOLS_ASKED)
        yield reads.so_far()
    for kind in _first_of(text, words) if not near else ():
        if so_far().readings or so_far().models:
            break
        await reads.some(others, (kind,), (), MODELS_READ)
        yield reads.so_far()
    if not (so_far().readings or so_far().offers or so_far().models):  # nothing of it is a name so far
        await reads.listed(Kind.POOL)
        yield reads.so_far()
    meant = [
        model
        for each in (*so_far().readings, *so_far().offers)
        if isinstance(model := getattr(each.intent, "model", None), Name)
    ]
    for each in list(dict.fromkeys((*meant, *so_far().models)))[:MODELS_MEANT] or near:
        await reads.inside(each, _OF_A_MODEL)
        await reads.fields(each)
    yield reads.so_far()
    await reads.field_values()
    yield reads.so_far()
    if near and any(not each.cost.edits and not each.free for each in so_far().readings):
        return  # a name or value cut short is what the chosen model calls so, whatever other models have
    if not about_jobs:
        await reads.some(await reads.listed(Kind.POOL), (Kind.JOB,), so_far().pools, POOLS_READ)
        yield reads.so_far()
    if near:
        await reads.some(others, _OF_A_MODEL, so_far().models, OTHERS_READ)
        yield reads.so_far()


class _Reads:
    """The lists that were read for one sentence.

    Args:
        context: What the person may see.
        words: The languages that are spoken.
    """

    def __init__(self, context: Context, words: Vocabulary) -> None:
        self.context = context
        self.catalog = context.catalog
        self.words = words
        self.names: dict[tuple[Kind, tuple[Name, ...]], NameList] = {}
        self.values: Sequence[FieldValues] = ()
        self.meant: dict[Kind, Sequence[Name]] = {}
        """Where lists of a kind are looked for."""
        self.done: set[tuple[Kind, tuple[Name, ...]]] = set()

    def so_far(self) -> Listed:
        """All of them."""
        unread = dict.fromkeys(
            place
            for kind, places in self.meant.items()
            for place in places
            if (kind, (place,)) not in self.done
        )
        return Listed(tuple(self.names.values()), self.values, tuple(unread))

    async def listed(self, kind: Kind, *within: Name) -> list[Name]:
        """Reads a list where it is not fresh; nothing where the key may not read it."""
        return [each.as_name for each in await self._read(kind, *within)]

    async def _read(self, kind: Kind, *within: Name) -> Sequence[Item]:
        """The same, for whoever needs no name of it: there may be thousands."""
        self.done.add((kind, within))
        try:
            seen = await self.catalog.listed(kind, *within)
        except (Forbidden, NotFound):
            return ()
        await self._take(seen, kind, *within)
        return seen

    async def fields(self, model: Name) -> None:
        """Reads the fields of every record of a knowledge model."""
        with suppress(Forbidden, NotFound):
            for each in await self.catalog.fields_of_all(model):
                await self._take(each, Kind.FIELD, model, *(each.record.as_name,) if each.record else ())

    async def field_values(self) -> None:
        """Reads values of the fields that were read."""
        fields = [
            each.entity(number)
            for each in self.names.values()
            if each.kind is Kind.FIELD
            for number in each.index.numbers()
            if each.shown(number)
        ]
        self.values = await self.context.values.of(fields, self.context.asking, self.context.now)

    async def inside(self, place: Name, kinds: Sequence[Kind]) -> None:
        """Reads what lies in a knowledge model or a data pool, where it is not fresh."""
        for kind in kinds:
            await self._read(kind, place)

    async def some(
        self, places: Sequence[Name], kinds: Sequence[Kind], named: Sequence[Name], most: int
    ) -> None:
        """Reads what lies in those that were named, and in so many others; the rest is taken as far as it is at hand."""
        self.meant.update(dict.fromkeys(kinds, places))
        for place in sorted(places, key=lambda each: each not in named):
            known = [(kind, await self.catalog.kept(kind, place)) for kind in kinds]
            fresh = all(seen is not None and self.catalog.fresh(seen) for _, seen in known)
            if fresh or place in named or most > 0:
                most -= not fresh
                await self.inside(place, kinds)
                continue
            for kind, seen in known:
                if seen is not None:
                    await self._take(seen, kind, place)

    async def _take(self, seen: Seen, kind: Kind, *within: Name) -> None:
        self.done.add((kind, within))
        self.names[kind, within] = await name_list(seen, self.words, dict(self.catalog.synonyms))


def _about_jobs(text: str, words: Vocabulary) -> bool:
    senses = _senses(text, words)
    asked = any(
        Sense(Class.QUESTION, each) in senses for each in ("job", "jobs", "pools", "pool", "why", "history")
    )
    return asked or _stated(senses) or any((word,) in words.writes.verbs for word in words_of(text))


def _beside(text: str, words: Vocabulary) -> list[Kind]:
    """What is named in a few questions alone, so that its lists are read for those alone."""
    senses = _senses(text, words)
    kinds: dict[Kind, tuple[str, ...]] = {Kind.PACKAGE: ("spaces", "packages", "analyses")}
    if not _stated(senses):  # "failed loads" are data jobs
        kinds[Kind.DATA_MODEL] = ("data models", "loads")
    return [
        kind
        for kind, questions in kinds.items()
        if any(Sense(Class.QUESTION, each) in senses for each in questions)
    ]


def _stated(senses: Collection[Sense]) -> bool:
    return any(each.what is Class.FIXED and each.value in STATES for each in senses)


def _senses(text: str, words: Vocabulary) -> set[Sense]:
    """Everything that the words of a text can do."""
    typed = words_of(text)
    return {each for at in range(len(typed)) for _, senses in words.at(typed, at) for each in senses}


def _first_of(text: str, words: Vocabulary) -> Sequence[Kind]:
    """The lists of a knowledge model, the one that a text is likeliest about first."""
    senses = _senses(text, words)
    rows = any(Sense(Class.QUESTION, each) in senses for each in _OF_RECORDS)
    return (Kind.RECORD, Kind.KPI, Kind.FILTER) if rows else _OF_A_MODEL
