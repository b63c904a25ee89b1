"""What a sentence can mean, and what is said where that is several things or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from bot.catalog import Alternative, label_of
from bot.commands.jobs import CancelJob, ShowJob, StartJob
from bot.language.dates import period
from bot.language.declare import CelonisIntent, map_names, names
from bot.language.edges import Cost
from bot.language.say import say
from bot.language.understand import Account, Reading, Understanding
from bot.masking import Recorded
from bot.model.cards import Button, Run, Source
from bot.model.errors import (
    UsageError,
)
from bot.model.intents import Intent, comparisons
from bot.model.names import Kind, Name
from bot.policy import Touch
from bot.watching.orders import GuardJob

DOING = {CancelJob.words: "stop", StartJob.words: "start"}
"""What people call the writes that can be asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """The one thing that is meant, every name in it resolved; or one of the bot's own words, as it was said.

    Attributes:
        intent: What is meant.
        taken: Names and values that were said otherwise, each with the one that it was taken for.
        notes: What the answer has to say of it.
        touches: Every resource that a read names, as the policy is asked about it.
        recorded: What the audit log tells of a read.
        understood: Everything that the text can mean, with the account of its words.
    """

    intent: Intent
    taken: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    touches: tuple[Touch, ...] = ()
    recorded: Recorded = field(default_factory=Recorded)
    understood: Understanding = field(default_factory=Understanding)


@dataclass(frozen=True, slots=True)
class Several:
    """What can be meant: the person has to choose.

    Attributes:
        question: Which is asked.
        prompt: What stands above the options.
        options: One button for each.
        source: Where the names on them come from, where that is to be said.
        dates: The fields on which they differ, where what is asked is which one a period is about.
        understood: As for `One`.
    """

    question: str
    options: tuple[Button, ...]
    prompt: str = ""
    source: Source | None = None
    dates: tuple[Name, ...] = ()
    understood: Understanding = field(default_factory=Understanding)


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nothing that could be answered.

    Attributes:
        error: Why.
        options: What could be meant.
        understood: As for `One`.
    """

    error: UsageError
    options: tuple[Button, ...] = ()
    understood: Understanding = field(default_factory=Understanding)


Meaning: TypeAlias = One | Several | Unclear


def as_a_whole(text: str, role: str, meaning: Meaning) -> Meaning:
    """The meaning of a text that plays one role, and is not understood word by word."""
    match meaning:
        case One(intent):
            meant = [intent]
        case Several(options=options):
            meant = [each.action.intent for each in options if isinstance(each.action, Run)]
        case Unclear():
            return meaning
        case _:
            assert_never(meaning)
    account = (Account(text, role),)
    return replace(meaning, understood=Understanding(tuple(Reading(each, Cost(), account) for each in meant)))


def chosen(found: Sequence[Alternative]) -> Meaning:
    if len(found) == 1:
        return One(found[0].intent)
    labels = label_of(found)
    buttons = tuple(Button(label, Run(each.intent)) for label, each in zip(labels, found, strict=True))
    return Several("Which one do you mean?", buttons)


def order_buttons(jobs: Iterable[Intent], verb: str) -> Iterator[Button]:
    """Buttons that ask to stop or to start jobs."""
    for each in jobs:
        if isinstance(each, ShowJob) and each.job is not None:
            place = f" ({each.pool.text})" if each.pool else ""
            ask: Intent = CancelJob(job=each.job, pool=each.pool, via=each.via)
            if verb == StartJob.words:
                ask = StartJob(job=each.job, pool=each.pool, via=each.via)
            yield Button(f"Ask to {DOING[verb]} {each.job.text}{place}", Run(ask))


def guard_buttons(jobs: Iterable[Intent]) -> Iterator[Button]:
    """Ways to have a job looked at later, for a stop that names a time or a condition."""
    for each in jobs:
        if isinstance(each, ShowJob) and each.job is not None:
            place = f" ({each.pool.text})" if each.pool else ""
            ask = GuardJob(job=each.job, pool=each.pool, via=each.via)
            yield Button(f"Guard {each.job.text}{place} at a time …", Run(ask))


def plainly(intent: Intent) -> str:
    """A sentence for a button: without ids, and without the connection."""
    if isinstance(intent, CelonisIntent):
        intent = replace(intent, via=None)
    return say(map_names(intent, lambda _at, _kind, name: Name(name.text)))


def labels(intents: Sequence[Intent]) -> tuple[str, ...]:
    """What tells intents apart: the names in which they differ, else the whole sentences."""
    named = [dict.fromkeys(name.text for _, _, name in names(each)) for each in intents]
    common = set.intersection(*(set(each) for each in named))
    apart = [" · ".join(one for one in each if one not in common) for each in named]
    if len(set(apart)) == len(apart) and all(apart) and len({type(each) for each in intents}) == 1:
        return tuple(apart)
    apart = [plainly(each) for each in intents]
    if len(set(apart)) == len(apart):
        return tuple(apart)
    return tuple(
        f"{label} · {' '.join(name.id for _, kind, name in names(each) if kind is not Kind.CONNECTION)}"
        for label, each in zip(apart, intents, strict=True)
    )


def date_fields(intents: Sequence[Intent], now: datetime) -> tuple[Name, ...]:
    """The date fields (`record.field`) in which intents differ, where they differ in nothing else; else none."""
    asked = [
        tuple(comparisons(where)) for each in intents if (where := getattr(each, "where", None)) is not None
    ]
    apart = [
        at for at, same in enumerate(zip(*asked, strict=False)) if len({each.field for each in same}) > 1
    ]
    if len(asked) < len(intents) or len({len(each) for each in asked}) > 1 or len(apart) != 1:
        return ()
    (at,) = apart
    if len({(each[at].op, each[at].values, *each[:at], *each[at + 1 :]) for each in asked}) > 1:
        return ()
    bare: set[Intent] = set()
    for each in intents:
        changed: dict[str, Any] = {"where": None}
        bare.add(replace(each, **changed))
    if len(bare) > 1 or any(period(value, ZoneInfo("UTC"), now) is None for value in asked[0][at].values):
        return ()
    records = [getattr(each, "record", None) for each in intents]
    return tuple(
        Name(each[at].field.text, f"{record.id}.{each[at].field.id}" if record else each[at].field.id)
        for each, record in zip(asked, records, strict=True)
    )
