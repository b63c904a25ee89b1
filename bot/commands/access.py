"""Who you are here, what the key may, and how much of the quota is left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bot.celonis import CallRecord
from bot.commands.command import Command, Context
from bot.commands.defaults import UseZone
from bot.commands.lists import count, page_of, table, turn
from bot.language.declare import CelonisIntent, Count, Flag, Phrase, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Column,
    Fact,
    Facts,
    Missing,
    Moment,
    Notice,
    Number,
    Reader,
    Run,
    Status,
    Table,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.cards import Flag as FlagCell
from bot.model.errors import BadArgument, CelonisError, QuotaExhausted, StoreUnavailable
from bot.model.intents import Intent
from bot.policy import Right
from bot.render.card_text import api, error_text
from bot.render.values import when
from bot.store.switches import writes_off

REQUESTS = 5
"""Requests whose cost `debug` sums up."""


@dataclass(frozen=True, slots=True)
class ShowStatus(CelonisIntent):
    """What the bot is connected to, and how it is."""

    words: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True)
class WhoAmI(CelonisIntent):
    """Who somebody is to the bot."""

    words: ClassVar[str] = "whoami"


@dataclass(frozen=True, slots=True)
class Permissions(CelonisIntent):
    """What the key may do, service by service."""

    words: ClassVar[str] = "permissions"


@dataclass(frozen=True, slots=True)
class ShowQuota(Intent):
    """How much may still be asked."""

    words: ClassVar[str] = "quota"


@dataclass(frozen=True, slots=True)
class AllowQuota(Intent):
    """More calls for one person, until tomorrow at this time."""

    words: ClassVar[str] = "quota allow"
    person: str = field(default="", metadata=clause("", Phrase()))
    calls: int = field(default=0, metadata=clause("", Count()))
    today: bool = field(default=False, metadata=clause("today", Flag()))


@dataclass(frozen=True, slots=True)
class Debug(Intent):
    """What the bot asked Celonis for somebody."""

    words: ClassVar[str] = "debug"
    page: int = field(default=1, metadata=clause("page", Count()))


async def _status(_intent: ShowStatus, context: Context) -> Card:
    team = context.celonis.connection
    where = "a sandbox on this machine" if team.sandbox else team.url
    facts = [Fact("Celonis team", Words(f"{context.connection} ({where})"))]
    trouble = ""
    try:
        key = await context.celonis.connect(context.asking.caller)
        facts.append(Fact("Key", Words(key.sentence)))
    except (CelonisError, QuotaExhausted, StoreUnavailable) as error:
        trouble = " ".join(error_text(error, context.reader)).strip()
    quota = await context.celonis.quota()
    if len(context.connections) > 1:
        facts.append(
            Fact("Other teams here", Words(", ".join(set(context.connections) - {context.connection})))
        )
    facts += [
        Fact("Calls left", Number(quota.tightest.left)),
        Fact(
            "Default knowledge model",
            Words(context.model_default.text) if context.model_default else Missing(),
        ),
        Fact("Time zone", Words(f"{context.reader.zone} ({context.zone_of})")),
        Fact("Version", Words(context.version)),
    ]
    if writes := await _writes(context):
        facts.insert(-3, Fact("Writes", Words(writes)))
    blocks: list[Block] = [Facts(tuple(facts))]
    if trouble:
        blocks.insert(0, Notice(Tone.DANGER, trouble))
    return Card(
        headline(
            f"Celonis does not answer as it should: {context.connection}"
            if trouble
            else f"Connected to {context.connection}"
        ),
        title="Status",
        status=Status.FAILED if trouble else Status.ANSWERED,
        blocks=tuple(blocks),
        buttons=(
            Button("Quota", Run(ShowQuota())),
            Button("Set time zone", Run(UseZone(zone=context.reader.zone))),
        ),
        source=context.live_source(),
    )


async def _writes(context: Context) -> str:
    """Whether anything can be changed in Celonis at all."""
    if context.asking.read_only:
        return "never: this connection is set to read only"
    try:
        off = await writes_off(context.store)
    except StoreUnavailable:
        return "not now: the bot's database does not answer"
    return (
        "on" if off is None else f"off since {when(off.at, context.reader)}, by {off.by.name or off.by.key}"
    )


async def _whoami(_intent: WhoAmI, context: Context) -> Card:
    person, profile, place = context.asker.person, context.asker.profile, context.asker.place
    rights = [right for right in Right if context.policy.may(context.asker, right).allowed]
    name = profile.name or person.name or person.id
    may = ", ".join(right.value for right in rights) or "nothing"
    facts = [
        Fact("You", Words(name)),
        Fact("Known here as", Words(person.key)),
        Fact("This place", Words(place.key)),
        Fact("Standing", Words(profile.standing.value)),
        Fact("E-mail", Words(profile.email) if profile.email else Missing()),
        Fact("You may", Words(may)),
    ]
    rules = sorted({context.policy.may(context.asker, right).rule for right in rights})
    if rules:
        facts.append(Fact("Because of", Words("; ".join(rules))))
    blocks: list[Block] = [
        Facts(tuple(facts)),
        Text("For the policy:", quiet=True),
        Text(f'who = {{ {person.platform} = ["{_listed_as(context)}"] }}', code=True),
    ]
    if Right.ADMIN in rights:
        key = await context.asking.key()
        blocks.append(Facts((Fact("The bot's key", Words(key.sentence)), Fact("Ends in", Words(key.tail)))))
    return Card(
        headline(f"You are {name}; you may {may}"),
        title="Who you are here",
        blocks=tuple(blocks),
        source=context.live_source() if Right.ADMIN in rights else None,
    )


def _listed_as(context: Context) -> str:
    """How a person stands in the policy: local ones by name alone, all others with their home."""
    person = context.asker.person
    return person.id if person.platform == "local" else f"{person.home}:{person.id}"


async def _permissions(_intent: Permissions, context: Context) -> Card:
    services = await context.asking.permissions()
    granted = [each for each in services if each.permissions]
    rows = tuple((Words(each.service_name), Words(", ".join(each.permissions))) for each in granted)
    without = [each.service_name for each in services if not each.permissions]
    blocks: list[Block] = []
    if rows:
        blocks.append(Table((Column("Service"), Column("Granted")), rows))
    if without:
        blocks.append(Text(f"No grant for the whole of: {', '.join(without)}.", quiet=True))
    blocks.append(
        Text(
            "These are grants for whole services. A key with one package or one data pool shows none and still works."
        )
    )
    return Card(
        headline(f"The bot's key has grants in {count(len(granted), 'service')}"),
        title="What the bot's key may do",
        blocks=tuple(blocks),
        source=context.live_source(),
    )


async def _quota(_intent: ShowQuota, context: Context) -> Card:
    quota = await context.celonis.quota(context.asker.person.key)
    tightest = quota.tightest
    facts = [
        Fact("API", Words(tightest.family.value)),
        Fact("Limit", Number(tightest.limit)),
        Fact("Used", Number(tightest.used)),
        Fact("By you", Number(quota.mine)),
        Fact("By others here", Number(max(0, tightest.spent - quota.mine))),
        Fact("Left", Number(tightest.left)),
        Fact("Of these kept for stopping jobs", Number(tightest.kept)),
        Fact(
            "Resets", Moment(quota.resets_at) if quota.resets_at else Words("not known; Celonis does not say")
        ),
    ]
    if tightest.used > tightest.spent:
        facts.insert(5, Fact("By other programs", Number(tightest.used - tightest.spent)))
    facts += [
        Fact(f"Of {api(each.family.value)}", Words(f"{each.used:,} used, {each.left:,} left"))
        for each in quota.families
        if each is not tightest
    ]
    if quota.hit_rate is not None:
        facts.append(Fact("Answered without a call", Number(round(quota.hit_rate * 100), unit="%")))
    runs_out = quota.runs_out_at
    forecast = (
        f"At this pace it lasts until about {when(runs_out, context.reader)}."
        if runs_out is not None
        else "At this pace it lasts."
    )
    blocks: list[Block] = [Facts(tuple(facts)), Text(forecast)]
    if context.policy.may(context.asker, Right.ADMIN).allowed and quota.people:
        rows = tuple((Words(who), Number(number)) for who, number in quota.people[:10])
        blocks.append(Table((Column("Who"), Column("Calls", numeric=True)), rows))
    return Card(
        headline(f"{tightest.left:,} of {tightest.limit:,} calls left"),
        title=f"Quota of {context.connection}",
        blocks=tuple(blocks),
    )


_PERSON = re.compile(r"(?:<@)?([\w-]+)(?:\|[^>]*)?>?\Z", re.ASCII)
_PERSON_KEY = re.compile(r"(?:slack|teams|local):[\w.-]+:[\w.-]+\Z", re.ASCII)


async def _allow(intent: AllowQuota, context: Context) -> Card:
    text = intent.person.strip()
    here = _PERSON.match(text)
    if _PERSON_KEY.match(text):
        person = text
    elif here is not None:
        person = f"{context.asker.person.platform}:{context.asker.place.home}:{here[1]}"
    else:
        raise BadArgument(
            "Who is meant?", hint="Say it as in “quota allow slack:T1:U1 200 today”; whoami shows the key."
        )
    if not intent.calls:
        raise BadArgument("How many calls?", hint=f"Say it as in “quota allow {person} 200 today”.")
    await context.celonis.allow(person, intent.calls)
    return Card(
        headline(f"{intent.calls:,} more calls for {person}"),
        title=f"Quota of {context.connection}",
        blocks=(
            Text(
                "They count from now for 24 hours, beyond that person's share; the team's limit stays what it is."
            ),
        ),
        buttons=(Button("Quota", Run(ShowQuota())),),
    )


async def _debug(intent: Debug, context: Context) -> Card:
    calls = context.celonis.recent_calls(context.asker.person.key)
    rows = [
        (
            Moment(each.at),
            Words(each.family.value),
            Words(each.method),
            Words(each.path),
            Words("none needed" if each.cached else str(each.status or "no answer")),
            Number(round(each.seconds * 1000)),
            FlagCell(each.cached),
        )
        for each in page_of(calls, intent.page)
    ]
    columns = (
        *map(Column, ("When", "API", "Method", "Path", "Status")),
        Column("ms", numeric=True),
        Column("Cached"),
    )
    return Card(
        headline(
            f"Your last {count(len(calls), 'call')} to {context.connection}"
            if calls
            else "No calls of yours yet"
        ),
        title=f"Your calls to {context.connection}",
        blocks=(
            *_costs(calls, context.reader),
            table(columns, rows, page=intent.page, total=len(calls)),
        )
        if rows
        else (),
        buttons=turn(intent, intent.page, len(calls)),
    )


def _costs(calls: Sequence[CallRecord], reader: Reader) -> tuple[Block, ...]:
    """What the newest requests cost, by API."""
    requests: dict[str, list[CallRecord]] = {}
    for each in calls:
        if each.request:
            requests.setdefault(each.request, []).append(each)
    facts = []
    for made in list(requests.values())[:REQUESTS]:
        sent = Counter(each.family.value for each in made if not each.cached)
        said = ", ".join(f"{number} of {api(each)}" for each, number in sorted(sent.items()))
        facts.append(
            Fact(
                f"Request of {when(made[-1].at, reader)}",
                Words(f"{count(sent.total(), 'call')}: {said}" if said else "no calls"),
            )
        )
    return (Facts(tuple(facts)),) if facts else ()


STATUS = Command(
    example=ShowStatus(),
    summary="connection, key, quota, defaults, version",
    right=Right.READ,
    run=_status,
)
WHOAMI = Command(
    example=WhoAmI(),
    summary="who you are here and what you may",
    right=Right.READ,
    run=_whoami,
)
PERMISSIONS = Command(
    example=Permissions(),
    summary="what the bot's key may do in Celonis (admins)",
    right=Right.ADMIN,
    run=_permissions,
)
QUOTA = Command(
    example=ShowQuota(),
    summary="calls used and left, and how long they last",
    right=Right.READ,
    run=_quota,
)
ALLOW = Command(
    example=AllowQuota(person="slack:T1:U1", calls=200, today=True),
    summary="more calls for one person today (admins)",
    right=Right.ADMIN,
    run=_allow,
    changes=True,
)
DEBUG = Command(example=Debug(), summary="your last calls to Celonis", right=Right.READ, run=_debug)
