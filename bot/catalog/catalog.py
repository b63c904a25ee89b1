"""Names to ids: what people call things, found among what they may see here.

A forbidden thing is not in the catalog, so its name is answered like an unknown one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bot.catalog.listing import MOST_HITS, Item, Seen, matching
from bot.catalog.lists import Lists
from bot.celonis import Api
from bot.language.declare import map_names, names
from bot.model.errors import BadArgument, CelonisError, UnknownName, UsageError
from bot.model.intents import Intent
from bot.model.names import LIES_IN, Kind, Name, fold
from bot.policy import Touch, View

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way in which all names of an intent can be meant."""

    intent: Intent
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reading can mean here: one alternative is certain, several are a pick list, none is `error`."""

    alternatives: tuple[Alternative, ...]
    error: UsageError | None = None


@dataclass(slots=True)
class Catalog:
    """What one person may see of one connection, from one place.

    Args:
        asking: The client on behalf of that person.
        lists: The connection's lists.
        view: What of them is visible.
        now: When the request came (UTC).
        synonyms: Folded word -> name as it stands in Celonis.

    Attributes:
        good_until: When the first of the lists that were used has to be read again.
    """

    asking: Api
    lists: Lists
    view: View
    now: datetime
    synonyms: Mapping[str, str] = field(default_factory=dict)
    good_until: datetime = field(default=_NEVER, init=False)
    _seen: dict[tuple[Kind, tuple[Name, ...]], Seen] = field(default_factory=dict, init=False, repr=False)

    async def listed(self, kind: Kind, *within: Name) -> Seen:
        """What there is of one kind.

        Args:
            kind: Knowledge models, data pools, or what lies in one of them.
            within: The knowledge model of records, KPIs and filters, model and record of fields, the data pool of jobs.

        Raises:
            CelonisError, QuotaExhausted: The list is needed and cannot be had.
        """
        key = (kind, within)
        if key not in self._seen:
            seen = await self.lists.seen(self.view, kind, within, self.asking, self.now)
            self.good_until = min(self.good_until, self.lists.fresh_until(seen.listing, self.asking.limits))
            self._seen[key] = seen
        return self._seen[key]

    async def kept(self, kind: Kind, *within: Name) -> Seen | None:
        """The same, as far as Celonis need not be asked; None where it has to be."""
        seen = self._seen.get((kind, within))
        if seen is None:
            seen = await self.lists.kept(self.view, kind, within, self.now)
        if seen is not None:
            self.good_until = min(self.good_until, self.lists.fresh_until(seen.listing, self.asking.limits))
        return seen

    def fresh(self, seen: Seen) -> bool:
        """Whether a list is as new as can be had."""
        return self.now < self.lists.fresh_until(seen.listing, self.asking.limits)

    async def fields_of_all(self, model: Name) -> list[Seen]:
        """Fields of every record of a knowledge model, with `record.field` as id."""
        return [
            replace(await self.listed(Kind.FIELD, model, record.as_name), record=record)
            for record in await self.listed(Kind.RECORD, model)
        ]

    async def field(self, model: Name, field_id: str) -> Item | None:
        """The field with an id (`record.field`), if it is seen."""
        record = (await self.listed(Kind.RECORD, model)).known(field_id.partition(".")[0])
        if record is None:
            return None
        return replace(await self.listed(Kind.FIELD, model, record.as_name), record=record).known(field_id)

    def read_at(self, kind: Kind, *within: Name) -> datetime:
        """When a list that was shown was read from Celonis (UTC)."""
        seen = self._seen.get((kind, within))
        return self.now if seen is None else seen.listing.fetched_at

    async def spelt(self, touched: Sequence[Touch]) -> tuple[Touch, ...]:
        """The same resources, with the names of records that were known by id only (`record.field`)."""
        found = []
        for each in touched:
            record, model = each.record, each.model
            if record is not None and model is not None and record.text == record.id:
                known = (await self.listed(Kind.RECORD, model)).known(record.id)
                each = replace(each, record=known.as_name if known else record)  # noqa: PLW2901 - the same touch
            found.append(each)
        return tuple(found)

    # --- names ---

    async def resolve(self, intent: Intent, *, model: Name | None = None) -> Resolution:
        """Everything that an intent's names can mean here, each spelt as it is in Celonis or a synonym of that.

        Args:
            intent: What an exact sentence says.
            model: The place's default knowledge model.

        Raises:
            CelonisError, QuotaExhausted: Where a list is needed and cannot be had.
        """
        open_ones = [Alternative(intent)]
        error: UsageError | None = None
        steps = self._with_model, self._with_record, self._with_outer, self._with_inner, self._with_rest
        for step in steps:
            done: list[Alternative] = []
            for each in open_ones:
                try:
                    done.extend(await step(each, model))
                except UsageError as trouble:
                    error = error or trouble
            open_ones = done[:MOST_HITS]
        if isinstance(error, UnknownName) and model is None and getattr(intent, "model", None) is None:
            of_a_model = error.kind is Kind.RECORD or getattr(intent, "record", None) is None
            # It is in none of the knowledge models, whichever was tried first.
            error = UnknownName(error.kind, error.text) if of_a_model else error
        if not open_ones:
            return Resolution((), error or UsageError("I do not know what this means here."))
        unique = {repr(each.intent): each for each in open_ones}
        return Resolution(tuple(unique.values()))

    async def _with_model(self, alternative: Alternative, default: Name | None) -> list[Alternative]:
        intent = alternative.intent
        if not hasattr(intent, "model"):
            return [alternative]
        models = await self.listed(Kind.MODEL)
        if intent.model is not None:
            return await self._expand(alternative, "model", Kind.MODEL, intent.model, [models])
        lead = next((each for each in names(intent) if each[1] in _LEADS), None)
        if lead is None and default is None and getattr(intent, "record", intent) is None:
            raise BadArgument(
                "I do not know which record is meant.",
                hint="Name the record, or at least its knowledge model; “models” lists those.",
                undone="Nothing was asked.",
            )
        known = models.known(default.id) if default is not None else None
        chosen = [known] if known is not None else list(models)
        if lead is not None and len(models) > 1 and not (known and await self._holds(known, *lead[1:])):
            chosen = [each for each in models if await self._holds(each, *lead[1:])] or chosen
        if not chosen:
            raise UnknownName(Kind.MODEL, "any", within=self.lists.connection)
        return [_take(alternative, "model", item) for item in chosen]

    async def _holds(self, model: Item, kind: Kind, name: Name) -> bool:
        """Whether a knowledge model has exactly this record, KPI or filter. One that cannot be read has not."""
        try:
            return bool(matching(name.text, [await self.listed(kind, model.as_name)]))
        except CelonisError:
            self.good_until = self.now  # it may be read the next time
            return False

    async def _with_record(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        intent = alternative.intent
        if not hasattr(intent, "record"):
            return [alternative]
        model: Name = intent.model  # type: ignore[attr-defined]  # records are only ever named within a model
        listed = await self.listed(Kind.RECORD, model)
        if intent.record is not None:
            return await self._expand(alternative, "record", Kind.RECORD, intent.record, [listed], model.text)
        if not listed:
            raise BadArgument(f"No record of {model.text} is visible here.", undone="Nothing was asked.")
        return [_take(alternative, "record", item) for item in listed[:MOST_HITS]]

    async def _with_outer(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        """Data pool and space."""
        for kind in dict.fromkeys(LIES_IN.values()):
            name: Name | None = getattr(alternative.intent, _at(kind), None)
            if name is not None:
                return await self._expand(alternative, _at(kind), kind, name, [await self.listed(kind)])
        return [alternative]

    async def _with_inner(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        """What lies in a data pool or a space."""
        for kind, outer in LIES_IN.items():
            name: Name | None = getattr(alternative.intent, _at(kind), None)
            if name is not None:
                place: Name | None = getattr(alternative.intent, _at(outer))
                places = [place] if place else [each.as_name for each in await self.listed(outer)]
                within = place.text if place else ""
                return await self._expand(
                    alternative, _at(kind), kind, name, await self._lists_in(places, kind, name), within
                )
        return [alternative]

    async def _lists_in(self, places: Sequence[Name], kind: Kind, name: Name) -> list[Seen]:
        """The lists that may hold a name: of very many, a call each, only those that need not be read.

        Raises:
            BadArgument: None of those has it.
        """
        if kind is not Kind.DATA_MODEL or len(places) <= PLACES_READ:
            return [await self.listed(kind, each) for each in places]
        lists = [seen for each in places if (seen := await self.kept(kind, each)) is not None]
        if not matching(name.text, lists):
            raise BadArgument(
                f"In which {LIES_IN[kind].value} is “{name.text}”?",
                hint=f"There are {len(places):,}, and I do not read all of them for a name.",
                undone="Nothing was asked.",
            )
        return lists

    async def _with_rest(self, alternative: Alternative, _default: Name | None) -> list[Alternative]:
        """KPIs, filters and fields: each may be meant in several ways, and every one of them has to be known."""
        model: Name | None = getattr(alternative.intent, "model", None)
        record: Name | None = getattr(alternative.intent, "record", None)
        found = [alternative]
        for kind, name in dict.fromkeys((kind, name) for _, kind, name in names(alternative.intent)):
            if kind not in {Kind.KPI, Kind.FILTER, Kind.FIELD}:
                continue
            assert model is not None
            within = model.text
            if kind is not Kind.FIELD:
                lists = [await self.listed(kind, model)]
            elif record is not None:
                lists, within = [await self.listed(kind, model, record)], record.text
            else:
                lists = await self.fields_of_all(model)
            found = [
                more for each in found for more in await self._expand(each, "", kind, name, lists, within)
            ][:MOST_HITS]
        return found

    async def _expand(
        self,
        alternative: Alternative,
        at: str,
        kind: Kind,
        name: Name,
        lists: Sequence[Seen],
        within: str = "",
    ) -> list[Alternative]:
        """The alternative with one name replaced by each thing that it can mean.

        Raises:
            UnknownName: Nothing visible is called so.
        """
        if name.id:
            found = tuple(item for seen in lists if (item := seen.known(name.id)) is not None)[:1]
        else:
            found = matching(name.text, lists)
            if not found and (meant := self.synonyms.get(fold(name.text))):
                found = matching(meant, lists)
        if not found:
            raise UnknownName(kind, name.text or name.id, within=within)
        return [_take(alternative, at, item, name) for item in found]


PLACES_READ = 30
"""Data pools whose data models are read for a name that is said without one."""
_LEADS = frozenset({Kind.RECORD, Kind.KPI, Kind.FILTER})
"""What tells by its name which knowledge model is meant."""


def _take(alternative: Alternative, at: str, item: Item, said: Name | None = None) -> Alternative:
    """The alternative with an item at one place, or wherever it was said."""
    changed: dict[str, Any] = {at: item.as_name} if at else {}
    if item.kind in LIES_IN:
        outer = LIES_IN[item.kind]
        changed[_at(outer)] = dict(item.within)[outer]
    intent = replace(alternative.intent, **changed)
    if not at:
        intent = map_names(
            intent, lambda _at, kind, name: item.as_name if kind is item.kind and name == said else name
        )
    return replace(alternative, intent=intent, labels=(*alternative.labels, item.label))


def _at(kind: Kind) -> str:
    """The field of intents for a thing of some kind."""
    return kind.name.lower()


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
