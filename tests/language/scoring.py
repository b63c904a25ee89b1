"""How well sentences are understood, over sets that were written from tasks, without looking at any grammar. A set
that is called like a folder of `catalogs` is about that catalog, any other about the sandbox.

    python -m tests.language.scoring [file ..] [--show wrong]

A line is a conversation (`say`) with one expectation for its last turn: `accept` (frames, any of which is right), `offer`
(the first has to be among what is offered), `refuse` (neither answered nor opened), `never_open` (no write question) or
`question` (the write that has to be asked for). Every third line, by a hash of its id, is sealed: look at its figure,
never at its sentences.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from zoneinfo import ZoneInfo

from bot.commands import COMMANDS
from bot.commands.again import AGAIN
from bot.commands.command import Command
from bot.commands.jobs import CancelJob, ShowJob, StartJob
from bot.commands.watches.asked import Snooze, Unwatch
from bot.language.conditions import Values
from bot.language.dates import period
from bot.language.edges import Cost
from bot.language.frames import Frames
from bot.language.gate import orders
from bot.language.lexicon import Entity, Lexicon, NameIndex, NameList
from bot.language.parse import Exact, NotExact
from bot.language.say import lasting, say
from bot.language.scope import Scope
from bot.language.standing import Asks, standing
from bot.language.understand import Reading, Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import vocabulary, words_of
from bot.meaning.later import ordered
from bot.model.errors import BadArgument
from bot.model.intents import And, Bound, Comparison, Condition, Intent, Not, Op, Or, SortKey
from bot.model.names import Kind, Name, fold
from bot.sandbox.content import DATA, DEFAULT_SEED, make_knowledge_models, make_pools, read
from bot.sandbox.schema import KnowledgeModel, Record
from bot.watching.orders import Digest

CATALOGS = Path(__file__).parent / "catalogs"
SETS = Path(__file__).parent / "sets"
NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
DATES = {
    "Order to Cash": "Order date",
    "Accounts Payable": "Posting date",
    "Purchase Requisition KM": "Event day",
    "Harbour Logistics": "Arrival date",
    "Einkauf": "Bestelldatum",
    "Service Desk": "Opened on",
    "Schadenregulierung": "Meldedatum",
}
"""Knowledge model -> the field that a period without a field is about, as the settings would say it."""
MOST_OFFERS = 5
MOST_VALUES = 50
Verdict: TypeAlias = Literal["right", "offered", "asked", "wrong", "missed"]
Frame: TypeAlias = Mapping[str, Any]
_DATED = frozenset({"date", "datetime", "timestamp"})
_TO_DATE = {"ytd": "this year", "qtd": "this quarter", "mtd": "this month", "year to date": "this year"}
"""Periods that end today, and those that are as good where nothing lies ahead."""
_GROUPED = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_TEST = re.compile(
    r"(?P<field>.+?) (?P<op>!=|>=|<=|=|>|<|contains|starts with|ends with|in(?= \()|between|is not empty|is empty)"
    r"(?: (?P<value>.+))?"
)


# --- what can be named in the sandbox


def name_list(kind: Kind, entities: Iterable[tuple[Entity, Sequence[str]]]) -> NameList:
    """A list as the catalog gives it, of things with their other names; all of it is seen."""
    index = NameIndex(vocabulary())
    listed: list[Entity] = []
    exact: dict[str, list[int]] = defaultdict(list)
    for number, (entity, aliases) in enumerate(entities):
        listed.append(entity)
        index.add(number, entity.name.text)
        for each in aliases:
            index.add(number, each)
        for folded in dict.fromkeys(map(fold, (entity.name.text, entity.name.id, *aliases))):
            exact[folded].append(number)
    return NameList(
        kind, index, exact.keys(), lambda text: exact.get(text, ()), lambda _: True, listed.__getitem__
    )


@dataclass(frozen=True, slots=True)
class World:
    """A catalog as somebody sees it whose key opens nothing restricted.

    Attributes:
        models: Knowledge models by what they are called.
        dates: As `Scope.dates`.
        types: What a field holds, by what it is called; where fields of that name differ, one that holds dates.
        low: KPIs whose best is the lowest, by what they are called.
    """

    lexicon: Lexicon
    models: Mapping[str, Name]
    dates: Mapping[str, str]
    types: Mapping[str, str]
    low: frozenset[str]


def world_of(path: Path) -> World:
    """What the lines of a set are about: the catalog of the same name, else the sandbox."""
    own = CATALOGS / path.stem
    return world(own) if own.is_dir() else world()


@lru_cache(maxsize=4)
def world(folder: Path | None = None) -> World:
    """A catalog's world, without a folder the sandbox's; built once."""
    data = DATA if folder is None else folder
    hidden = {each["key"] for each in read("studio.json")["packages"] if each.get("restricted")}
    seen = [
        each
        for each in make_knowledge_models(DEFAULT_SEED, NOW.timestamp(), data)
        if each.id.partition(".")[0] not in hidden
    ]
    lists: list[NameList] = []
    values: list[FieldValues] = []
    for model in seen:
        lists.extend(_lists_of(model, values))
    names = {each.name: Name(each.name, each.id) for each in seen}
    lists.append(name_list(Kind.MODEL, ((Entity(Kind.MODEL, each), ()) for each in names.values())))
    pools = [each for each in make_pools(NOW.timestamp(), data) if not each.restricted]
    lists.append(name_list(Kind.POOL, ((Entity(Kind.POOL, Name(each.name, each.id)), ()) for each in pools)))
    for pool in pools:
        within = ((Kind.POOL, Name(pool.name, pool.id)),)
        jobs = ((Entity(Kind.JOB, Name(each.name, each.id), within), ()) for each in pool.jobs)
        lists.append(name_list(Kind.JOB, jobs))
    all_fields = [
        each.entity(number) for each in lists if each.kind is Kind.FIELD for number in each.index.numbers()
    ]
    dates = {}
    for each in all_fields:
        owner = each.owner(Kind.MODEL)
        if owner is not None and DATES.get(owner.text) == each.name.text:
            dates[owner.id] = each.name.id
    types = {each.name.text: each.type for each in sorted(all_fields, key=lambda each: each.type in _DATED)}
    low = frozenset(each.name for model in seen for each in model.kpis if each.direction == "Down")
    return World(Lexicon(vocabulary(), lists, values), names, dates, types, low)


def _lists_of(model: KnowledgeModel, values: list[FieldValues]) -> Iterator[NameList]:
    within = ((Kind.MODEL, Name(model.name, model.id)),)
    kinds: tuple[tuple[Kind, Sequence[Any]], ...] = (
        (Kind.KPI, model.kpis),
        (Kind.FILTER, model.filters),
        (Kind.RECORD, model.records),
    )
    for kind, listed in kinds:
        yield name_list(
            kind,
            (
                (Entity(kind, Name(each.name, each.id), within), tuple(filter(None, (_short(each),))))
                for each in listed
            ),
        )
    for record in model.records:
        inside = (*within, (Kind.RECORD, Name(record.name, record.id)))
        entities = [
            Entity(Kind.FIELD, Name(each.name, f"{record.id}.{each.id}"), inside, each.type)
            for each in record.fields
        ]
        yield name_list(Kind.FIELD, ((each, ()) for each in entities))
        values.extend(_values_of(record, entities))


def _short(item: object) -> str:
    return str(getattr(item, "short_name", ""))


def _values_of(record: Record, entities: Sequence[Entity]) -> Iterator[FieldValues]:
    for at, entity in enumerate(entities):
        if entity.type != "string":
            continue
        known = {str(row[at]) for row in record.rows if row[at] is not None and str(row[at]).strip()}
        if 0 < len(known) <= MOST_VALUES:
            yield FieldValues(entity, {fold(each): each for each in sorted(known)})


@lru_cache(maxsize=1)
def frames() -> Frames:
    """What can be asked: the commands that only read."""
    intents = {each.intent.words: each.intent for each in COMMANDS if isinstance(each, Command)}
    opens = {
        Kind.FIELD: intents["values"],
        Kind.KPI: intents["kpi"],
        Kind.RECORD: intents["data"],
        Kind.JOB: intents["job"],
        Kind.POOL: intents["jobs"],
        Kind.MODEL: intents["model"],
    }
    return Frames({**intents, **{each.intent.words: each.intent for each in AGAIN}}, opens, intents["help"])


EXACT = Exact(tuple(each.intent for each in (*COMMANDS, *AGAIN)))


# --- what a conversation comes to


def converse(line: Mapping[str, Any], here: World) -> tuple[Understanding, Intent | None]:
    """What became of a conversation's last turn, and what was last answered before it."""
    last: Intent | None = None
    before: Intent | None = None
    certain: Intent | None = None
    asked_before: Intent | None = None
    found = Understanding()
    default = here.models.get(line.get("default") or "")
    for text in line["say"]:
        before, asked_before = last, certain
        scope = Scope(default, last, NOW, dates=here.dates)
        found = _later(text, here, scope) or understand(text, here.lexicon, frames(), scope)
        if found.readings:
            last = _gone_on(found.readings[0].intent, before)
            if len(found.readings) == 1:
                found = replace(found, readings=(replace(found.readings[0], intent=last),))
            certain = last if len(found.readings) == 1 else None
    return found, asked_before


def _later(text: str, here: World, scope: Scope) -> Understanding | None:
    """What a text asks for later or again, by the rule of `bot.meaning.later`; None if it does not."""
    said = standing(text, here.lexicon.vocabulary, NOW.astimezone(ZONE))
    if said is None:
        return None
    if said.asks is Asks.UNWATCH:
        return Understanding((Reading(Unwatch(which=said.about), Cost(), ()),))
    if said.asks is Asks.SNOOZE:
        snooze = Snooze(which=said.about, lasting=said.lasting, until=said.until)
        return Understanding((Reading(snooze, Cost(), ()),))
    if said.asks is Asks.EDIT or not said.about:
        return Understanding(unknown=(text,))
    found = understand(said.about, here.lexicon, frames(), replace(scope, last=None))
    sure = [each for each in found.readings if not each.cost.edits and not each.cost.missing]

    def orders_of(readings: Iterable[Reading]) -> tuple[Reading, ...]:
        made = (
            Digest(days=said.days, at=said.at, of=each.intent)
            if said.asks is Asks.DIGEST
            else ordered(said, each.intent)
            for each in readings
        )
        return tuple(Reading(each, Cost(), ()) for each in made if each is not None)

    if said.asks is Asks.DIGEST:
        sure = list(found.readings)
    return Understanding(orders_of(sure), orders_of((*found.readings, *found.offers)))


def _gone_on(intent: Intent, before: Intent | None) -> Intent:
    """What a word that goes on from the last answer comes to."""
    if type(intent).words == "next" and before is not None and hasattr(before, "page"):
        changed: Any = before
        return cast("Intent", replace(changed, page=before.page + 1))
    return intent


Order: TypeAlias = CancelJob | StartJob


def opened(text: str, lexicon: Lexicon, last: Intent | None = None) -> list[Order]:
    """The write questions that a text can open, by the rule of `bot.meaning`: exact names only; one alone is asked, unless
    another job's name holds all of its words."""
    try:
        intent = EXACT.parse(text)
    except NotExact:
        pass
    else:
        if not isinstance(intent, Order) or intent.job is None:
            return []
        return _jobs(lexicon, type(intent), intent.job.text, intent.pool.text if intent.pool else "")
    found: dict[Order, None] = {}
    asked = orders(text, lexicon.vocabulary.writes)
    for order in asked:
        kind = StartJob if order.verb == StartJob.words else CancelJob
        if order.name:
            found.update(dict.fromkeys(_jobs(lexicon, kind, order.name, order.pool)))
        elif isinstance(last, ShowJob) and last.job is not None:
            found[kind(job=last.job, pool=last.pool)] = None
    if len(found) == 1 and asked and asked[0].name:
        kind = type(next(iter(found)))
        pool = asked[0].pool
        said = set(words_of(asked[0].name))
        for job in lexicon.every(Kind.JOB):
            owner = job.owner(Kind.POOL)
            if said < set(words_of(job.name.text)) and (not pool or owner in {each.pool for each in found}):
                found[kind(job=job.name, pool=owner)] = None
    return list(found)


def _jobs(lexicon: Lexicon, order: type[Order], name: str, pool: str) -> list[Order]:
    found: list[Order] = []
    for each in lexicon.lists:
        if each.kind is Kind.JOB:
            for number in each.exact(fold(name)):
                job = each.entity(number)
                owner = job.owner(Kind.POOL)
                inside = not pool or (owner is not None and fold(pool) in {fold(owner.text), fold(owner.id)})
                if each.shown(number) and inside:
                    found.append(order(job=job.name, pool=owner))
    return found


# --- frames


def framed(intent: Intent, here: World) -> Frame:
    """An intent as a frame, in normal form: two that mean the same are equal."""
    made: dict[str, Any] = {"do": type(intent).words}
    for each in fields(intent):
        value = getattr(intent, each.name)
        if not value or value == each.default or each.name in {"via", "model"}:
            continue
        key = {
            "of": "names",
            "kpis": "names",
            "record": "names",
            "job": "names",
            "kpi": "names",
            "filter": "filters",
        }.get(each.name, each.name)
        if key == "where":
            made["where"] = list(_tests(value))
        elif key in {"best", "worst"}:
            low = any(one.text in here.low for one in getattr(intent, "kpis", ()))
            made["top" if (key == "best") != low else "bottom"] = value
        elif isinstance(value, Name):
            made[key] = value.text
        elif isinstance(value, Intent):
            inside = framed(value, here)
            made["asks"] = " ".join([inside["do"], *inside.get("names", ())])
        elif isinstance(value, time):
            made[key] = f"{value:%H:%M}"
        elif isinstance(value, timedelta):
            made[key] = lasting(value)
        elif isinstance(value, Bound):
            made[key] = f"{value.op} {value.value}"
        elif isinstance(value, tuple):
            made[key] = [_called(one) for one in value]
        else:
            made[key] = value
    if made["do"] == "model":
        model = getattr(intent, "model", None)
        made.setdefault("names", model.text if model else "")
    return normal(made, here)


def _called(item: object) -> str:
    if isinstance(item, SortKey):
        return ("-" if item.descending else "") + item.field.text
    return item.text if isinstance(item, Name) else str(item)


def _tests(condition: Condition) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    match condition:
        case And(parts):
            for part in parts:
                yield from _tests(part)
        case Comparison(of, op, values):
            yield of.text, op.value, values
        case Not(Comparison(of, op, values)):
            yield of.text, f"not {op.value}", values
        case Not() | Or():
            yield repr(condition), "", ()


def normal(frame: Frame, here: World) -> Frame:
    """A frame in normal form: without order and case, numbers and periods as what they stand for."""
    made: dict[str, Any] = {}
    tests: set[tuple[Any, ...]] = set()
    for key, value in frame.items():
        if key in {"model", "via"}:
            continue
        if key == "where":
            tests.update(_test(here, *(_read(each) if isinstance(each, str) else each)) for each in value)
        elif key == "when":
            tests.add(_when(str(value)))
        elif key in {"chart", "distinct"}:
            made[key] = True
        elif isinstance(value, list) or key in {"names", "by", "filters", "show", "states", "sort"}:
            listed = value if isinstance(value, list) else [value]
            made[key] = tuple(sorted(str(each).casefold() for each in listed))
        else:
            made[key] = str(value).casefold()
    if tests:
        made["tests"] = frozenset(tests)
    return made


def _read(text: str) -> tuple[str, str, tuple[str, ...]]:
    found = _TEST.fullmatch(text)
    assert found is not None, text
    op, value = found["op"], found["value"] or ""
    match op:
        case "in":
            return found["field"], op, tuple(each.strip() for each in value.strip("()").split(","))
        case "between":
            low, _, high = value.partition(" and ")
            return found["field"], op, (low, high)
        case "is empty":
            return found["field"], op, ()
        case "is not empty":
            return found["field"], "not is empty", ()
        case _:
            return found["field"], op, (value,)


def _test(here: World, of: str, op: str, values: tuple[str, ...]) -> tuple[Any, ...]:
    kind = here.types.get(of, "string")
    if kind in _DATED and values and not op.startswith("not "):
        spans = [period(_TO_DATE.get(each, each), ZONE, NOW) for each in values]
        first, final = spans[0], spans[-1]
        if first is not None and final is not None:
            match op:
                case "=" | "between":
                    return "when", first.start, final.end
                case ">":
                    return "when", first.after, None
                case ">=":
                    return "when", first.start, None
                case "<":
                    return "when", None, first.start
                case "<=":
                    return "when", None, first.after
                case _:
                    pass
    listed = [_value(of, kind, each) for each in values]
    return of.casefold(), op, *(sorted(listed, key=str) if op == "in" else listed)


def _value(of: str, kind: str, text: str) -> object:
    try:
        _, (value,) = Values({of: kind}, zone=ZONE, now=NOW).read(Comparison(Name(of, of), Op.EQ, (text,)))
    except BadArgument:  # "10.000" is asked about when it is used; here it is what the sets' writers meant
        return Decimal(text.replace(".", "")) if _GROUPED.fullmatch(text) else text.casefold()
    return value.casefold() if isinstance(value, str) else value


def _when(text: str) -> tuple[Any, ...]:
    text = _TO_DATE.get(text, text)
    side, _, rest = text.partition(" ")
    span = period(rest, ZONE, NOW) if side in {"before", "after"} else period(text, ZONE, NOW)
    if span is None:
        return "when", text.casefold()
    if side == "before":
        return "when", None, span.start
    return ("when", span.after, None) if side == "after" else ("when", span.start, span.end)


# --- judging


def judge(line: Mapping[str, Any], here: World) -> Verdict:
    """What became of a line over its catalog.

    Returns:
        `offered`: the right one is a button. `asked`: something was asked, without the right button. `missed`: neither.
        `wrong`: another question was answered, or a write was opened.
    """
    found, before = converse(line, here)
    if "never_open" in line or "question" in line:
        writes = opened(line["say"][-1], here.lexicon, before)
        if "never_open" in line:
            return "wrong" if len(writes) == 1 else "right"
        wanted = normal(line["question"], here)
        right = [wanted in (framed(each, here), _without_pool(framed(each, here))) for each in writes]
        if len(writes) == 1:
            return "right" if right[0] else "wrong"
        return "offered" if any(right) else "missed"
    one = framed(found.readings[0].intent, here) if len(found.readings) == 1 else None
    offers = (
        [] if one is not None else [framed(each.intent, here) for each in (*found.readings, *found.offers)]
    )
    if "refuse" in line:
        return "right" if one is None else "wrong"
    accepted = [normal(each, here) for each in line.get("accept", line.get("offer", [])[:1])]
    if one is not None:
        return "right" if "accept" in line and one in accepted else "wrong"
    if any(each in accepted for each in offers[:MOST_OFFERS]):
        return "offered" if "accept" in line else "right"
    return "asked" if found.readings or "offer" in line else "missed"


def _without_pool(frame: Frame) -> Frame:
    return {key: value for key, value in frame.items() if key != "pool"}


def read_set(path: Path) -> list[dict[str, Any]]:
    """The lines of a set."""
    return [json.loads(each) for each in path.read_text(encoding="utf-8").splitlines() if each.strip()]


def sealed(line: Mapping[str, Any]) -> bool:
    """Whether a line is of the third that nobody looks at."""
    return int(hashlib.sha256(line["id"].encode()).hexdigest(), 16) % 3 == 0


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def main() -> None:
    """Prints how many lines of each set came to what."""
    asked = argparse.ArgumentParser(description="How well sentences are understood.")
    asked.add_argument("files", nargs="*", type=Path)
    asked.add_argument(
        "--show", action="append", default=[], help="lines with this verdict (never sealed ones)"
    )
    given = asked.parse_args()
    for path in given.files or sorted(SETS.glob("*.jsonl")):
        here = world_of(path)
        table: dict[str, Counter[str]] = {"dev": Counter(), "sealed": Counter()}
        for line in read_set(path):
            verdict = judge(line, here)
            table["sealed" if sealed(line) else "dev"][verdict] += 1
            if verdict in given.show and not sealed(line):
                found, _ = converse(line, here)
                _say(verdict, line["id"], line["say"])
                _say("    wanted", line.get("accept") or line.get("offer") or line.get("refuse") or "")
                for each in (*found.readings, *found.offers)[:3]:
                    _say("    read  ", say(each.intent), each.unknown)
        for part, counted in table.items():
            total = sum(counted.values())
            share = counted["right"] / total if total else 0
            kinds = "  ".join(
                f"{each} {counted[each]:3}" for each in ("right", "offered", "asked", "missed", "wrong")
            )
            _say(f"{path.stem:14} {part:7} {total:4} lines  {kinds}  {share:.1%} right")


if __name__ == "__main__":
    main()
