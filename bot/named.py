"""The lists that a sentence can be about, read one after the other as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import TypeVar

from bot.catalog.lexicon import name_list
from bot.commands.command import Context
from bot.language.drafts import STATES
from bot.language.lexicon import NameList
from bot.language.understand import Understanding
from bot.language.values import FieldValues
from bot.language.vocabulary import Class, Sense, Vocabulary, words_of
from bot.model.errors import Forbidden, NotFound
from bot.model.intents import Intent
from bot.model.names import LIES_IN, Kind, Name

T = TypeVar("T")

MODELS_READ = 30
"""Knowledge models whose names are read where none is chosen."""
POOLS_READ = 30
"""Data pools whose jobs are read for a sentence that does not speak of jobs."""
MODELS_MEANT = 3
"""Knowledge models whose fields and values are read for one sentence."""


async def lists_for(
    text: str,
    context: Context,
    last: Intent | None,
    words: Vocabulary,
    so_far: Callable[[], Understanding],
) -> AsyncIterator[tuple[list[NameList], list[FieldValues]]]:
    """The lists that a sentence can be about, the likeliest and cheapest first.

    Args:
        text: The sentence.
        context: What the person may see.
        last: What was last asked.
        words: The languages that are spoken.
        values: The values of fields, as far as they were read.
        so_far: What was understood with the lists before.

    Yields:
        Lists of names, and values of fields, that were read next.
    """
    catalog = context.catalog
    synonyms = dict(catalog.synonyms)

    async def named(kind: Kind, *within: Name) -> NameList | None:
        try:
            return await name_list(await catalog.listed(kind, *within), words, synonyms)
        except (Forbidden, NotFound):
            return None

    async def names_of(model: Name) -> list[NameList]:
        kinds = (Kind.KPI, Kind.RECORD, Kind.FILTER)
        return _there([await named(kind, model) for kind in kinds])

    async def fields_of(model: Name) -> list[NameList]:
        try:
            seen = await catalog.fields_of_all(model)
        except (Forbidden, NotFound):
            return []
        return [await name_list(each, words, synonyms) for each in seen]

    async def inside(kind: Kind, most: int | None = None) -> list[NameList]:
        outer = await named(LIES_IN[kind])
        places = (await catalog.listed(LIES_IN[kind]))[:most] if outer is not None else ()
        return _there([outer, *[await named(kind, each.as_name) for each in places]])

    async def values_of(fields: Sequence[NameList]) -> list[FieldValues]:
        entities = [
            each.entity(number) for each in fields for number in each.index.numbers() if each.shown(number)
        ]
        return await context.values.of(entities, context.asking, context.now)

    for inner in _beside(text, words):
        yield await inside(inner, POOLS_READ), []
    models = await named(Kind.MODEL)
    first = _there([models])
    near = list(dict.fromkeys(filter(None, (context.model_default, getattr(last, "model", None)))))
    every = [each.as_name for each in await catalog.listed(Kind.MODEL)][:MODELS_READ] if models else []
    chosen = near or every
    for each in chosen:
        first.extend(await names_of(each))
    yield first, []
    if not (so_far().readings or so_far().offers):  # nothing of it is a name so far
        yield _there([await named(Kind.POOL)]), []
    about_jobs = _about_jobs(text, words) or getattr(last, "job", None) is not None
    if about_jobs:
        yield await inside(Kind.JOB), []
    meant = [
        model
        for each in (*so_far().readings, *so_far().offers)
        if isinstance(model := getattr(each.intent, "model", None), Name)
    ] + list(so_far().models)
    likely = list(dict.fromkeys(meant))[:MODELS_MEANT] or near
    fields = [one for each in likely for one in await fields_of(each)]
    yield fields, []
    yield [], await values_of(fields)
    if not about_jobs and len(await catalog.listed(Kind.POOL)) <= POOLS_READ:
        yield await inside(Kind.JOB), []
    others = [each for each in every if each not in chosen]
    if others:
        yield [one for each in others for one in await names_of(each)], []


def _about_jobs(text: str, words: Vocabulary) -> bool:
    senses = _senses(text, words)
    asked = any(Sense(Class.QUESTION, each) in senses for each in ("job", "jobs", "pools", "pool"))
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


def _there(found: Iterable[T | None]) -> list[T]:
    return [each for each in found if each is not None]
