"""Find a name among everything that this person may see: lists that are kept first, others within a budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

from bot.catalog import Item, Seen, Turns
from bot.commands.browse import Analyses, Packages, ShowLoads, classic_analyses
from bot.commands.command import Command, Context
from bot.commands.counts import ShowValues
from bot.commands.jobs import Jobs, ShowJob
from bot.commands.kpis import ShowKpi
from bot.commands.lists import count, page_of, plural, table, turn
from bot.commands.models import ShowModel
from bot.commands.records import Data
from bot.language.declare import CelonisIntent, Count, Flag, Phrase, clause
from bot.language.vocabulary import words_of
from bot.model.cards import Block, Button, Card, Column, Missing, Run, Text, Words, headline
from bot.model.errors import BadArgument, CelonisError, QuotaExhausted
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from bot.policy import Right

CALLS = 12
"""Calls that a search may cost."""
MOST_CALLS = 100
"""Calls that it may cost where somebody wants it to look everywhere."""
INSIDE = {
    Kind.MODEL: (Kind.KPI, Kind.RECORD, Kind.FILTER),
    Kind.POOL: (Kind.JOB, Kind.DATA_MODEL),
    Kind.SPACE: (Kind.PACKAGE,),
    Kind.RECORD: (Kind.FIELD,),
    Kind.PACKAGE: (Kind.ANALYSIS,),
}
OUTERMOST = (Kind.MODEL, Kind.POOL, Kind.SPACE)
ORDER = (
    *OUTERMOST,
    Kind.PACKAGE,
    Kind.ANALYSIS,
    Kind.KPI,
    Kind.RECORD,
    Kind.JOB,
    Kind.DATA_MODEL,
    Kind.FILTER,
    Kind.FIELD,
)
"""Which lists are read first: those of which a call reads many, then those that people ask for."""


@dataclass(frozen=True, slots=True)
class Find(CelonisIntent):
    """Everything whose name holds some words."""

    words: ClassVar[str] = "find"
    text: str = field(default="", metadata=clause("", Phrase()))
    everywhere: bool = field(default=False, metadata=clause("everywhere", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


class _Search:
    """The lists that are looked through, and what of them was not."""

    def __init__(self, context: Context, calls: int) -> None:
        self.context = context
        self._calls = context.asking.caller.usage.calls
        self._until = self._calls.total() + calls
        self.unread: Counter[Kind] = Counter()
        self.refused: set[Kind] = set()

    async def lists(self) -> AsyncIterator[Seen]:
        """Every list, those that need not be read first; what lies in a list that was not read stays unknown."""
        waiting: list[tuple[Kind, tuple[Name, ...]]] = [(kind, ()) for kind in OUTERMOST]
        while waiting:
            later = []
            for kind, within in waiting:
                seen = await self.context.catalog.kept(kind, *within)
                if seen is None:
                    later.append((kind, within))
                else:
                    yield seen
            following = [*waiting]
            for kind, within in sorted(later, key=lambda each: ORDER.index(each[0])):
                if self._calls.total() >= self._until:
                    self.unread[kind] += 1
                    following.remove((kind, within))
                    continue
                try:
                    yield await self.context.catalog.listed(kind, *within)
                except QuotaExhausted:
                    self._until = 0
                    self.unread[kind] += 1
                    following.remove((kind, within))
                except CelonisError:
                    self.refused.add(kind)
                    following.remove((kind, within))
            waiting = [inner for kind, within in following for inner in await self._inside(kind, within)]

    async def _inside(self, kind: Kind, within: tuple[Name, ...]) -> list[tuple[Kind, tuple[Name, ...]]]:
        inner = INSIDE.get(kind, ())
        listed = await self.context.catalog.kept(kind, *within) if inner else None
        return [(each, (*within, item.as_name)) for item in listed or () for each in inner]


async def _find(intent: Find, context: Context) -> Card:
    wanted = [fold(each) for each in words_of(intent.text)]
    if not wanted:
        raise BadArgument(
            "What am I to look for?", hint="Say some words of its name.", undone="Nothing was asked."
        )
    search = _Search(context, MOST_CALLS if intent.everywhere else CALLS)
    found: list[Item] = []
    turns = Turns()
    async for seen in search.lists():
        found += _holding(seen, wanted)
        await turns.after(len(seen.listing))
    try:
        classic = await classic_analyses(context)
        found += [each for each in classic if all(word in fold(each.name) for word in wanted)]
    except QuotaExhausted:
        search.unread[Kind.ANALYSIS] += 1
    except CelonisError:
        search.refused.add(Kind.ANALYSIS)
    found.sort(key=partial(_rank, fold(intent.text)))
    shown = page_of(found, intent.page)
    rows = [(Words(each.name), Words(each.kind.value), _place(each)) for each in shown]
    blocks: list[Block] = []
    if rows:
        columns = (Column("Name"), Column("Kind"), Column("In"))
        blocks.append(table(columns, rows, page=intent.page, total=len(found)))
    unread = search.unread.total()
    if unread:
        of = ", ".join(plural(each.value) for each in search.unread)
        blocks.append(
            Text(f"Not looked through: {count(unread, 'list')} of {of}, at most a call each.", quiet=True)
        )
    if search.refused:
        of = ", ".join(sorted(plural(each.value) for each in search.refused))
        blocks.append(Text(f"The bot's key may not read all {of}.", quiet=True))
    more = (
        (Button(f"Look there, too (about {count(unread, 'call')})", Run(replace(intent, everywhere=True))),)
        if unread and not intent.everywhere
        else ()
    )
    return Card(
        headline(
            f"{count(len(found), 'name')} with “{intent.text}”"
            if found
            else f"Nothing called “{intent.text}”"
        ),
        title=f"Find “{intent.text}”",
        blocks=tuple(blocks),
        buttons=(
            *(_open(each, intent.via) for each in shown[:4] if _opened(each, intent.via)),
            *more,
            *turn(intent, intent.page, len(found)),
        ),
        source=context.live_source(),
    )


def _holding(seen: Seen, wanted: list[str]) -> list[Item]:
    """What is shown of a list and has all words in its name."""
    numbers = {
        number
        for folded in seen.listing.folded()
        if all(word in folded for word in wanted)
        for number in seen.called(folded)
    }
    return [
        seen.item(number)
        for number in sorted(numbers)
        if all(word in fold(seen.listing.names[number]) for word in wanted)
    ]


def _rank(whole: str, item: Item) -> tuple[bool, bool, int, str]:
    """Where something stands: what is called exactly so, then what begins so, then by kind and name."""
    name = fold(item.name)
    return name != whole, not name.startswith(whole), ORDER.index(item.kind), item.label


def _place(item: Item) -> Words | Missing:
    return Words(", ".join(name.text for _, name in item.within)) if item.within else Missing()


def _open(item: Item, via: Name | None) -> Button:
    opened = _opened(item, via)
    assert opened is not None
    return Button(f"{item.name} ({item.kind.value})", Run(opened))


def _opened(item: Item, via: Name | None) -> Intent | None:
    """The sentence that shows a thing; None where there is none."""
    name, within = item.as_name, dict(item.within)
    match item.kind:
        case Kind.MODEL:
            return ShowModel(model=name, via=via)
        case Kind.KPI:
            return ShowKpi(kpis=(name,), model=within[Kind.MODEL], via=via)
        case Kind.RECORD:
            return Data(record=name, model=within[Kind.MODEL], via=via)
        case Kind.FIELD:
            of = Name(name.text, f"{within[Kind.RECORD].id}.{name.id}")
            return ShowValues(of=of, model=within[Kind.MODEL], via=via)
        case Kind.POOL:
            return Jobs(pool=name, via=via)
        case Kind.JOB:
            return ShowJob(job=name, pool=within[Kind.POOL], via=via)
        case Kind.DATA_MODEL:
            return ShowLoads(data_model=name, pool=within[Kind.POOL], via=via)
        case Kind.SPACE:
            return Packages(space=name, via=via)
        case Kind.PACKAGE:
            return Analyses(package=name, space=within[Kind.SPACE], via=via)
        case Kind.FILTER | Kind.ANALYSIS | Kind.CONNECTION:
            return None


FIND = Command(
    example=Find(text="order"),
    summary="everything here whose name holds some words",
    right=Right.READ,
    run=_find,
)
