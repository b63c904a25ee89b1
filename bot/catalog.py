"""Names to ids: what people call things, found among what they may see here.

A forbidden thing is not in the catalog, so its name is answered like an unknown one. Lists are kept in the store: an
hour they count as fresh, and for seven days they still serve for names when Celonis or the quota does not.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, TypeVar

from rapidfuzz import fuzz, process

from bot.celonis import Api
from bot.language.declare import Names, OneName, SortBy, Where, clauses
from bot.model.errors import (
    BadArgument,
    CelonisError,
    NotFound,
    QuotaExhausted,
    StoreUnavailable,
    UnknownName,
    UsageError,
)
from bot.model.intents import And, Comparison, Condition, Intent, Not, Or, SortKey
from bot.model.names import Kind, Name
from bot.policy import Asker, Policy, Touch
from bot.store import Snapshot, Store

FRESH = timedelta(hours=1)
USABLE = timedelta(days=7)
CLOSE = 78
"""Similarity in percent from which a name counts as meant; below it lie names that merely share a word."""
CLEAR_LEAD = 8
LONGER = 1.25
"""From this much longer than a name on, a text is compared with it as a whole."""
MOST_CLOSE = 5
MOST_ALTERNATIVES = 25

I = TypeVar("I", bound=Intent)  # noqa: E741 - reads as "intent"


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a name.

    Attributes:
        note: Tells it apart from others of the same name.
        within: The knowledge model, record or data pool it belongs to.
        also: Other texts that mean it exactly.
        about: What lists show beside the name.
    """

    kind: Kind
    id: str
    name: str
    note: str = ""
    within: tuple[tuple[Kind, Name], ...] = ()
    also: tuple[str, ...] = ()
    about: str = ""

    @property
    def as_name(self) -> Name:
        return Name(self.name, self.id)

    @property
    def label(self) -> str:
        return f"{self.name} · {self.note}" if self.note else self.name


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way in which all names of an intent can be meant."""

    intent: Intent
    exact: bool = True
    taken: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reading can mean here: one alternative is certain, several are a pick list, none is `error`."""

    alternatives: tuple[Alternative, ...]
    error: UsageError | None = None


@lru_cache(maxsize=32_768)
def fold(text: str) -> str:
    """Text without what people type carelessly: case, width, spaces, dashes and underscores."""
    return re.sub(r"[\s_\-‐-―]+", "", unicodedata.normalize("NFKC", text).casefold())


def map_names(intent: I, change: Callable[[str, Kind, Name], Name]) -> I:
    """The same intent with every name put through `change` (field of the intent, kind, name)."""
    changed: dict[str, Any] = {}
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        match how.takes:
            case OneName(kind) if value is not None:
                changed[each.name] = change(each.name, kind, value)
            case Names(kind) if value:
                changed[each.name] = tuple(change(each.name, kind, name) for name in value)
            case Where() if value is not None:
                changed[each.name] = _map_condition(value, partial(change, each.name, Kind.FIELD))
            case SortBy() if value:
                changed[each.name] = tuple(
                    SortKey(change(each.name, Kind.FIELD, key.field), key.descending) for key in value
                )
            case _:
                pass
    return replace(intent, **changed)


def _map_condition(condition: Condition, change: Callable[[Name], Name]) -> Condition:
    match condition:
        case Comparison(name, op, values):
            return Comparison(change(name), op, values)
        case Not(part):
            return Not(_map_condition(part, change))
        case And(parts):
            return And(tuple(_map_condition(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(_map_condition(part, change) for part in parts))


def matching(text: str, items: Sequence[Item]) -> tuple[Item, ...]:
    """The items that a text means exactly: by id, by name, or by name but for case, spaces and dashes."""
    for same in (
        lambda item: item.id == text,
        lambda item: item.name == text,
        lambda item: fold(text) in {fold(item.name), fold(item.id), *map(fold, item.also)},
    ):
        if found := tuple(item for item in items if same(item)):
            return found
    return ()


def closest(text: str, items: Sequence[Item], most: int = MOST_CLOSE) -> tuple[tuple[Item, float], ...]:
    """The items whose names are nearest to a text, best first, with their similarity in percent.

    A part of a name stands for the whole one ("main" for "main job"), but not a text for a name that is a part of it:
    what else was said would be lost.
    """
    found = process.extract(
        text,
        [item.name for item in items],
        scorer=fuzz.WRatio,
        processor=_loose,
        limit=4 * most,
        score_cutoff=CLOSE,
    )
    said = _loose(text)
    scored = [
        (items[index], score if len(said) <= len(name) * LONGER else fuzz.ratio(said, _loose(name)))
        for name, score, index in found
    ]
    close = sorted((pair for pair in scored if pair[1] >= CLOSE), key=lambda pair: -pair[1])
    return tuple(close[:most])


def _loose(text: str) -> str:
    return " ".join(re.split(r"[\s_\-‐-―]+", unicodedata.normalize("NFKC", text).casefold()))


@dataclass(slots=True)
class Catalog:
    """What one person may see of one connection, from one place.

    Args:
        asking: The client on behalf of that person.
        connection: The connection's name.
        policy: Decides what is visible.
        asker: For whom.
        store: Keeps the lists.
        now: When the request came (UTC).
        synonyms: Folded word -> name as it stands in Celonis.
    """

    asking: Api
    connection: str
    policy: Policy
    asker: Asker
    store: Store
    now: datetime
    synonyms: Mapping[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[Item, ...]] = field(default_factory=dict, init=False, repr=False)
    _read_at: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)

    # --- lists ---

    async def models(self) -> tuple[Item, ...]:
        """Knowledge models."""

        async def fetch() -> list[Item]:
            return [
                Item(Kind.MODEL, each.id, each.name, note=each.id, about=each.published or "")
                for each in await self.asking.knowledge_models()
            ]

        return await self._visible(_scope(Kind.MODEL), fetch)

    async def records(self, model: Name) -> tuple[Item, ...]:
        """Records of a knowledge model."""

        async def fetch() -> list[Item]:
            found = await self.asking.records(model.id)
            return [
                Item(Kind.RECORD, each.id, each.name, note=each.id, about=each.description or "")
                for each in found
            ]

        return await self._visible(_scope(Kind.RECORD, model), fetch, (Kind.MODEL, model))

    async def kpis(self, model: Name) -> tuple[Item, ...]:
        """KPIs of a knowledge model."""

        async def fetch() -> list[Item]:
            found = await self.asking.kpis(model.id)
            return [
                Item(Kind.KPI, each.id, each.name, note=each.id, about=each.description or "")
                for each in found
            ]

        return await self._visible(_scope(Kind.KPI, model), fetch, (Kind.MODEL, model))

    async def filters(self, model: Name) -> tuple[Item, ...]:
        """Predefined filters of a knowledge model."""

        async def fetch() -> list[Item]:
            found = await self.asking.filters(model.id)
            return [
                Item(Kind.FILTER, each.id, each.name, note=each.id, about=each.description or "")
                for each in found
            ]

        return await self._visible(_scope(Kind.FILTER, model), fetch, (Kind.MODEL, model))

    async def fields(self, model: Name, record: Name) -> tuple[Item, ...]:
        """Fields of one record that may be used here; hidden ones are left out."""

        async def fetch() -> list[Item]:
            found = await self.asking.record(model.id, record.id)
            return [
                Item(Kind.FIELD, each.id, each.name, note=each.id, about=each.type or "")
                for each in found.fields
            ]

        scope = _scope(Kind.FIELD, model, record)
        return await self._visible(scope, fetch, (Kind.MODEL, model), (Kind.RECORD, record))

    async def model_fields(self, model: Name) -> tuple[Item, ...]:
        """Fields of all records of a knowledge model, with `record.field` as id."""
        found: list[Item] = []
        for record in await self.records(model):
            found.extend(
                replace(
                    each,
                    id=f"{record.id}.{each.id}",
                    note=record.name,
                    also=(
                        f"{record.name}.{each.name}",
                        f"{record.name} {each.name}",
                        f"{record.id}.{each.name}",
                        each.id,
                    ),
                )
                for each in await self.fields(model, record.as_name)
            )
        return tuple(found)

    async def pools(self) -> tuple[Item, ...]:
        """Data pools."""

        async def fetch() -> list[Item]:
            return [
                Item(Kind.POOL, each.id, each.name, note=each.id[-6:]) for each in await self.asking.pools()
            ]

        return await self._visible(_scope(Kind.POOL), fetch)

    async def jobs(self, pool: Name) -> tuple[Item, ...]:
        """Data jobs of one pool."""

        async def fetch() -> list[Item]:
            return [
                Item(Kind.JOB, each.id, each.name, note=f"{pool.text}, {each.id[-6:]}")
                for each in await self.asking.jobs(pool.id)
            ]

        return await self._visible(_scope(Kind.JOB, pool), fetch, (Kind.POOL, pool))

    def read_at(self, kind: Kind, *within: Name) -> datetime:
        """When a list that was shown was read from Celonis (UTC)."""
        return self._read_at.get(_scope(kind, *within), self.now)

    async def _visible(
        self, scope: str, fetch: Callable[[], Awaitable[list[Item]]], *within: tuple[Kind, Name]
    ) -> tuple[Item, ...]:
        """What may be seen of a list; worked out once for a request, however many readings ask for it."""
        if scope not in self._seen:
            placed = (replace(item, within=within) for item in await self._listed(scope, fetch))
            self._seen[scope] = tuple(
                item for item in placed if self.policy.sees(self.asker, self._touch(item))
            )
        return self._seen[scope]

    async def _kept(self, scope: str) -> Snapshot | None:
        try:
            return await self.store.snapshot(self.connection, scope)
        except StoreUnavailable:
            return None

    async def _listed(self, scope: str, fetch: Callable[[], Awaitable[list[Item]]]) -> list[Item]:
        kept = await self._kept(scope)
        fresh = kept is not None and self.now - kept.fetched_at < FRESH
        if not fresh:
            try:
                items = await fetch()
            except (QuotaExhausted, CelonisError) as error:
                lost = isinstance(error, NotFound) or error.who.value in {"bot admin", "Celonis admin"}
                if lost or kept is None or self.now - kept.fetched_at >= USABLE:
                    raise
            else:
                self._read_at[scope] = self.now
                if not self.asking.whole:
                    return items  # kept, it would be given out without a word about what is missing
                content = json.dumps([_json(item) for item in items], ensure_ascii=False)
                with suppress(
                    StoreUnavailable
                ):  # then it is asked for again, which costs a call and no answer
                    await self.store.put_snapshot(self.connection, scope, content, self.now)
                return items
        assert kept is not None
        self._read_at[scope] = kept.fetched_at
        return [_item(each) for each in json.loads(kept.content)]

    def _touch(self, item: Item) -> Touch:
        """The item as a resource that the policy can judge."""
        parts = {_PARTS[kind]: name for kind, name in item.within}
        return Touch(
            connection=Name(self.connection, self.connection), **parts, **{_PARTS[item.kind]: item.as_name}
        )

    async def spelt(self, touched: Sequence[Touch]) -> tuple[Touch, ...]:
        """The same resources, with the names of records that were known by id only (`record.field`)."""
        found = []
        for each in touched:
            record, model = each.record, each.model
            if record is not None and model is not None and record.text == record.id:
                known = {item.id: item.as_name for item in await self.records(model)}
                each = replace(each, record=known.get(record.id, record))  # noqa: PLW2901 - the same touch, spelt out
            found.append(each)
        return tuple(found)

    # --- names ---

    async def resolve(self, intent: Intent, *, model: Name | None = None) -> Resolution:
        """Everything that an intent's names can mean here.

        Args:
            intent: One reading of a sentence.
            model: The place's default knowledge model.

        Raises:
            CelonisError, QuotaExhausted: Where a list is needed and cannot be had.
        """
        open_ones = [Alternative(intent)]
        error: UsageError | None = None
        for step in (self._with_model, self._with_record, self._with_pool, self._with_rest):
            done: list[Alternative] = []
            for each in open_ones:
                try:
                    done.extend(await step(each, model))
                except UsageError as trouble:
                    error = error or trouble
            open_ones = done[:MOST_ALTERNATIVES]
        if not open_ones:
            return Resolution((), error or UsageError("I do not know what this means here."))
        if any(each.exact for each in open_ones):
            open_ones = [each for each in open_ones if each.exact]
        unique = {repr(each.intent): each for each in open_ones}
        return Resolution(tuple(unique.values()))

    async def _with_model(self, alternative: Alternative, default: Name | None) -> list[Alternative]:
        intent = alternative.intent
        if not any(each.name == "model" for each in fields(intent)):
            return [alternative]
        said: Name | None = intent.model  # type: ignore[attr-defined]  # checked by name just above
        models = await self.models()
        if said is not None:
            return self._expand(alternative, "model", Kind.MODEL, said, models)
        lead = _lead(intent)
        if lead is None and default is None and _lacks_record(intent):
            raise BadArgument(
                "I do not know which record is meant.",
                hint="Name the record, or at least its knowledge model; “models” lists those.",
                undone="Nothing was asked.",
            )
        if default is not None and (known := [each for each in models if each.id == default.id]):
            chosen = known
            if lead is not None and not await self._holds(known[0], *lead):
                chosen = [each for each in models if await self._holds(each, *lead)] or known
        elif lead is not None and len(models) > 1:
            chosen = [each for each in models if await self._holds(each, *lead)] or list(models)
        else:
            chosen = list(models)
        if not chosen:
            raise UnknownName(Kind.MODEL, "any", within=self.connection)
        return [self._take(alternative, "model", item, said=None) for item in chosen]

    async def _holds(self, model: Item, kind: Kind, name: Name) -> bool:
        """Whether a knowledge model has exactly this record, KPI or filter. One that cannot be read has not."""
        try:
            match kind:
                case Kind.RECORD:
                    listed = await self.records(model.as_name)
                case Kind.KPI:
                    listed = await self.kpis(model.as_name)
                case _:
                    listed = await self.filters(model.as_name)
        except CelonisError:
            return False
        return bool(matching(name.text, listed))

    async def _with_record(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        intent = alternative.intent
        if not any(each.name == "record" for each in fields(intent)):
            return [alternative]
        model: Name = intent.model  # type: ignore[attr-defined]  # records are only ever named within a model
        said: Name | None = intent.record  # type: ignore[attr-defined]  # checked by name just above
        listed = await self.records(model)
        if said is not None:
            return self._expand(alternative, "record", Kind.RECORD, said, listed, within=model.text)
        if not listed:
            raise BadArgument(f"No record of {model.text} is visible here.", undone="Nothing was asked.")
        return [self._take(alternative, "record", item, said=None) for item in listed]

    async def _with_pool(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        intent = alternative.intent
        pool: Name | None = getattr(intent, "pool", None)
        job: Name | None = getattr(intent, "job", None)
        if pool is None and job is None:
            return [alternative]
        pools = await self.pools()
        if pool is not None:
            placed = self._expand(alternative, "pool", Kind.POOL, pool, pools)
            if job is None:
                return placed
            found: list[Alternative] = []
            trouble: UsageError | None = None
            for each in placed:
                within: Name = each.intent.pool  # type: ignore[attr-defined]  # set by _expand
                try:
                    jobs = await self.jobs(within)
                    found.extend(self._expand(each, "job", Kind.JOB, job, jobs, within=within.text))
                except UsageError as error:
                    trouble = error
            if not found and trouble is not None:
                raise trouble
            return found
        assert job is not None
        everywhere = [item for each in pools for item in await self.jobs(each.as_name)]
        return [
            replace(each, intent=_with(each.intent, "pool", _pool_of(each, everywhere)))
            for each in self._expand(alternative, "job", Kind.JOB, job, everywhere)
        ]

    async def _with_rest(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        """KPIs, filters and fields: each may be meant in several ways, and every one of them has to be known."""
        intent = alternative.intent
        model: Name | None = getattr(intent, "model", None)
        record: Name | None = getattr(intent, "record", None)
        wanted: list[tuple[Kind, Name]] = []

        def note(_at: str, kind: Kind, name: Name) -> Name:
            if kind in {Kind.KPI, Kind.FILTER, Kind.FIELD} and (kind, name) not in wanted:
                wanted.append((kind, name))
            return name

        map_names(intent, note)
        found = [alternative]
        for kind, name in wanted:
            assert model is not None
            match kind:
                case Kind.KPI:
                    listed, within = await self.kpis(model), model.text
                case Kind.FILTER:
                    listed, within = await self.filters(model), model.text
                case _ if record is not None:
                    listed, within = await self.fields(model, record), record.text
                case _:
                    listed, within = await self.model_fields(model), model.text
            found = [
                more for each in found for more in self._expand(each, "", kind, name, listed, within=within)
            ][:MOST_ALTERNATIVES]
        return found

    def _expand(
        self,
        alternative: Alternative,
        at: str,
        kind: Kind,
        name: Name,
        listed: Sequence[Item],
        *,
        within: str = "",
    ) -> list[Alternative]:
        """The alternative with one name replaced by each item that it can mean.

        Raises:
            UnknownName: Nothing visible is called so, nor nearly so.
        """
        if name.id:
            known = [item for item in listed if item.id == name.id]
            if not known:
                raise UnknownName(kind, name.text or name.id, within=within)
            return [self._take(alternative, at, known[0], said=name)]
        exact = matching(name.text, listed)
        if not exact and (meant := self.synonyms.get(fold(name.text))):
            exact = matching(meant, listed)
        if exact:
            return [self._take(alternative, at, item, said=name) for item in exact]
        close = closest(name.text, listed)
        if not close:
            nearest = process.extract(
                name.text,
                [item.name for item in listed],
                scorer=fuzz.WRatio,
                processor=_loose,
                limit=3,
                score_cutoff=50,
            )
            raise UnknownName(kind, name.text, nearest=[Name(each[0]) for each in nearest], within=within)
        if len(close) > 1 and close[0][1] - close[1][1] >= CLEAR_LEAD:
            close = close[:1]
        return [self._take(alternative, at, item, said=name, exact=False) for item, _ in close]

    def _take(
        self, alternative: Alternative, at: str, item: Item, *, said: Name | None, exact: bool = True
    ) -> Alternative:
        def change(_at: str, kind: Kind, name: Name) -> Name:
            return item.as_name if kind is item.kind and name == said else name

        intent = alternative.intent
        intent = _with(intent, at, item.as_name) if at else map_names(intent, change)
        taken = alternative.taken if exact or said is None else (*alternative.taken, (said.text, item.name))
        return Alternative(
            intent, exact=alternative.exact and exact, taken=taken, labels=(*alternative.labels, item.label)
        )


_PARTS: Mapping[Kind, str] = {
    Kind.MODEL: "model",
    Kind.RECORD: "record",
    Kind.FIELD: "field",
    Kind.KPI: "kpi",
    Kind.FILTER: "filter",
    Kind.POOL: "pool",
    Kind.JOB: "job",
}


def _with(intent: Intent, at: str, name: Name) -> Intent:
    changed: dict[str, Any] = {at: name}
    return replace(intent, **changed)


def _scope(kind: Kind, *within: Name) -> str:
    """What a list is kept under."""
    return ":".join((kind.value, *(each.id for each in within)))


def _lacks_record(intent: Intent) -> bool:
    """Whether an intent is about a record and names none."""
    return any(each.name == "record" and getattr(intent, each.name) is None for each in fields(intent))


def _lead(intent: Intent) -> tuple[Kind, Name] | None:
    """The first record, KPI or filter that an intent names: it tells which knowledge model is meant."""
    found: list[tuple[Kind, Name]] = []

    def note(_at: str, kind: Kind, name: Name) -> Name:
        if kind in {Kind.RECORD, Kind.KPI, Kind.FILTER}:
            found.append((kind, name))
        return name

    map_names(intent, note)
    return found[0] if found else None


def _pool_of(alternative: Alternative, items: Iterable[Item]) -> Name:
    job: Name = alternative.intent.job  # type: ignore[attr-defined]  # set by _expand
    return next(
        name for item in items if item.id == job.id for kind, name in item.within if kind is Kind.POOL
    )


def _json(item: Item) -> dict[str, str]:
    return {"kind": item.kind, "id": item.id, "name": item.name, "note": item.note, "about": item.about}


def _item(kept: Mapping[str, str]) -> Item:
    return Item(Kind(kept["kind"]), kept["id"], kept["name"], note=kept["note"], about=kept["about"])


def label_of(options: Sequence[Alternative]) -> tuple[str, ...]:
    """What to write on the buttons of a pick list: only what tells the options apart."""
    width = max((len(each.labels) for each in options), default=0)
    differs = [
        at
        for at in range(width)
        if len({each.labels[at] if at < len(each.labels) else "" for each in options}) > 1
    ]
    return tuple(
        ", ".join(each.labels[at] for at in differs if at < len(each.labels)) or "; ".join(each.labels)
        for each in options
    )
