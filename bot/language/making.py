"""Decides which of several equal names a draft is about, and makes its intents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice, product
from typing import Any, assert_never

from bot.language.conditions import combined
from bot.language.dates import DATES
from bot.language.declare import (
    Count,
    Crosses,
    Days,
    Flag,
    Lasting,
    Names,
    OneName,
    OneOf,
    Phrase,
    Sentence,
    SomeOf,
    SortBy,
    Takes,
    TimeOfDay,
    Where,
    clauses,
)
from bot.language.drafts import Draft
from bot.language.lexicon import Entity, Lexicon, plainest
from bot.language.scope import Scope, date_key
from bot.language.slots import NUMBERS, ORDERED, Test, Unfit
from bot.language.vocabulary import HELD, stem, words_of
from bot.model.intents import And, Comparison, Condition, Intent, Not, Op, SortKey
from bot.model.names import LIES_IN, Kind, Name

MOST_READINGS = 6
_AMOUNT = re.compile(r"[-+]?[0-9][0-9.,]*[a-z%]*")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Maker:
    """Makes intents of a draft: decides which of several equal names is meant, where that can be decided."""

    def __init__(self, draft: Draft, scope: Scope, lexicon: Lexicon) -> None:
        self.draft = draft
        self.scope = scope
        self.lexicon = lexicon
        self.implied = False
        """Whether the record is only known by its fields."""

    def made(self) -> Iterator[tuple[Intent, int]]:
        """The intents that it can be, once it is decided which of several equal names is meant."""
        if Kind.RECORD in self.draft.by_kind:
            self.draft.unnamed(self.lexicon.every(Kind.FIELD))
        self.draft.compared(self.scope.now or _ANY_TIME)
        if self.draft.unused:
            raise Unfit("not")
        if (
            self.draft.subject
            or self.draft.op is not None
            or (self.draft.pending and self.draft.waiting and self.draft.pending != "where")
        ):
            raise Unfit(self.draft.pending or "comparison")
        if (
            self.draft.base is None
            and not self._has_subject()
            and not (self._narrowed() and Kind.RECORD in self.draft.by_kind)
        ):
            raise Unfit("subject")
        if not all(map(self._told, self.draft.verbs)) or self.draft.by_rank() or not self._rankable():
            raise Unfit("verb")
        for model in self._models():
            yield from self._in(model)

    def _told(self, verb: str) -> bool:
        """Whether a verb says no more than what is asked about: "did we ship" of a shipped weight."""
        words = self.lexicon.vocabulary
        subjects = [
            words_of(each.name.text)
            for kind in (Kind.KPI, Kind.RECORD)
            for entities in self.draft.names.get(self.draft.by_kind.get(kind, ""), ())
            for each in entities
        ]
        subjects += [words_of(getattr(each, "text", "")) for each in _subjects(self.draft.base)]
        about_jobs = Kind.JOB in self.draft.by_kind or self.draft.intent.words == "jobs"
        match verb:
            case "~job":
                return about_jobs
            case "~who":
                return not about_jobs
            case "~by":
                return "by" in self.draft.parts and self.draft.parts["by"][0] in self.draft.names
            case "~time" if not about_jobs:
                return any(words.holds(" ".join(each), "time") for each in subjects)
            case "~time":
                return True
            case _:
                every = (way for each in subjects for way in words.translated(words.classed(each)))
                return any(stem(verb) in way for way in every)

    def _rankable(self) -> bool:
        """Whether the KPI by which groups are ranked measures what was said ("the longest repair time")."""
        if self.draft.ranked is None or "by" not in self.draft.parts or self.draft.ranked[0] == "size":
            return True
        holds = self.lexicon.vocabulary.holds
        kpis = [
            each.name for listed in self.draft.names.get(self.draft.by_kind[Kind.KPI], ()) for each in listed
        ]
        return any(
            holds(each.text, self.draft.ranked[0]) for each in (*kpis, *getattr(self.draft.base, "kpis", ()))
        )

    def _ranking(
        self, usable: Callable[[Iterable[Entity]], tuple[Entity, ...]], model: Name | None, records: set[str]
    ) -> list[tuple[str, tuple[Entity, ...]]]:
        """The fields by which rows may be sorted where only what is measured was said ("the heaviest deliveries")."""
        if self.draft.ranked is None or "by" in self.draft.parts:
            return []
        measure, downward = self.draft.ranked
        at = self.draft.parts["sort"][0]
        keyed = len(self.draft.names.get(at, ()))
        if downward:
            self.draft.descending.add(max(keyed - 1, 0))
        if keyed:
            return []
        self.draft.roles += 1
        return [
            (
                at,
                self._measuring(
                    measure, self.lexicon.every(Kind.FIELD), usable, self._defaults(model, records)
                ),
            )
        ]

    def _measuring(
        self,
        measure: str,
        fields: Iterable[Entity],
        usable: Callable[[Iterable[Entity]], tuple[Entity, ...]],
        defaults: Sequence[str],
    ) -> tuple[Entity, ...]:
        """The fields of a record that measure something; of dates the one that is usually meant."""
        if measure == "date":
            return self._date_fields(usable, defaults)
        words = self.lexicon.vocabulary
        amounts = [each for each in usable(fields) if each.type in NUMBERS]
        if measure == "size":
            fit = [
                each
                for each in amounts
                if any(words.holds(each.name.text, one) for one in ("money", "weight", "pieces"))
            ]
            return tuple(fit or amounts)
        return tuple(each for each in amounts if words.holds(each.name.text, measure))

    def _narrowed(self) -> bool:
        return bool(self.draft.tests or self.draft.by_kind.get(Kind.FILTER) in self.draft.names)

    def _has_subject(self) -> bool:
        first = self.draft.parts.get("")
        if first is None or not isinstance(first[1].takes, OneName | Names):
            return True
        # What lists runs is about a data pool, too.
        lists = "page" in self.draft.parts and self.draft.by_kind.get(Kind.POOL) in self.draft.names
        return first[0] in self.draft.names or lists

    def _models(self) -> list[Name | None]:
        """The knowledge models in which everything that was named can lie; the likeliest alone, if one is."""
        if Kind.MODEL not in self.draft.by_kind:
            return [None]
        likely = [
            getattr(self.draft.base, "model", None),
            self.scope.model,
            getattr(self.scope.last, "model", None),
        ]
        named = [entities for listed in self.draft.names.values() for entities in listed]
        owners = [
            {model.id: model for each in entities if (model := each.owner(Kind.MODEL)) is not None}
            for entities in (*named, *(test.fields for test in self.draft.tests))
        ]
        owners = [each for each in owners if each]
        if not owners:
            known = [each for each in likely if each is not None][:1]
            return [*(known or (each.name for each in self.lexicon.every(Kind.MODEL)))]
        common = set(owners[0]).intersection(*owners[1:])
        for each in likely:
            if each is not None and each.id in common:
                return [owners[0][each.id]]
        return [owners[0][each] for each in sorted(common)]

    def _in(self, model: Name | None) -> Iterator[tuple[Intent, int]]:
        """The intents in one knowledge model, or in none."""

        def here(each: Entity) -> bool:
            owner = each.owner(Kind.MODEL)
            return model is None or owner is None or owner.id == model.id

        slots = [
            (at, tuple(filter(here, each))) for at, listed in self.draft.names.items() for each in listed
        ]
        records, implied = self._records(slots, here)
        records |= {each.name.id for each in self.draft.within}

        def usable(fields: Iterable[Entity]) -> tuple[Entity, ...]:
            inside = (each for each in fields if here(each) and (not records or _record_of(each) in records))
            return plainest(tuple(inside))

        slots = [
            (at, usable(each) if each and each[0].kind is Kind.FIELD else each)
            for at, each in (*slots, *implied)
        ]
        slots += self._ranking(usable, model, records)
        conditions = [
            *(self._compared(test, usable, self._defaults(model, records)) for test in self.draft.tests),
            *(self._during(text, model, records, usable) for text in self.draft.periods),
            *(self._coded(text, records) for text in self.draft.codes),
        ]
        names = [each for _, each in slots]  # where one of them is empty, the product is
        for entities, tests in islice(product(product(*names), product(*conditions)), MOST_READINGS):
            made = self._built(
                model, [(at, each) for (at, _), each in zip(slots, entities, strict=True)], tests
            )
            if made is not None:
                yield made, self.draft.roles

    def _records(
        self, slots: Sequence[tuple[str, tuple[Entity, ...]]], here: Callable[[Entity], bool]
    ) -> tuple[set[str], list[tuple[str, tuple[Entity, ...]]]]:
        """Ids of the records whose fields are meant, and the record to add where only its fields were named."""
        at = self.draft.by_kind.get(Kind.RECORD)
        if at is None:
            return set(), []
        named = {each.name.id for slot, fit in slots if slot == at for each in fit}
        before = getattr(self.draft.base, "record", None)
        if named or before is not None:
            return named or {before.id if before is not None else ""}, []
        asked = {_record_of(each) for test in self.draft.tests for each in test.fields if here(each)}
        filters = [each for slot, fit in slots if slot == self.draft.by_kind.get(Kind.FILTER) for each in fit]
        said = {stem(one) for each in filters for one in words_of(each.name.text)}
        told = {  # "overdue invoices" are invoices
            each.name.id
            for each in self.lexicon.every(Kind.RECORD)
            if not said.isdisjoint(map(stem, words_of(each.name.text)))
        }
        self.implied = bool(asked) and not told
        asked = asked & told or told or asked
        owners = tuple(
            each for each in self.lexicon.every(Kind.RECORD) if here(each) and each.name.id in asked
        )
        # Without any the product of all choices is empty, and there is no reading.
        return {each.name.id for each in owners}, [(at, owners)]

    def _during(
        self,
        text: str,
        model: Name | None,
        records: set[str],
        usable: Callable[[Iterable[Entity]], tuple[Entity, ...]],
    ) -> tuple[Condition, ...]:
        """A period on each date field that it can be about."""
        defaults = self._defaults(model, records)
        dates = usable(self.draft.on) if self.draft.on else self._date_fields(usable, defaults)
        return tuple(Comparison(self._called(each.name, Kind.FIELD), Op.EQ, (text,)) for each in dates)

    def _defaults(self, model: Name | None, records: set[str]) -> list[str]:
        """Ids of the date fields that are usually meant here."""
        owner = model.id if model else ""
        keys = (owner, *(date_key(owner, each) for each in sorted(records) or [""]))
        return [self.scope.dates[each] for each in keys if each in self.scope.dates]

    def _coded(self, text: str, records: set[str]) -> tuple[Condition, ...]:
        """What looks like a number, as the value of the field that numbers a record."""
        keys = self.lexicon.vocabulary.keys
        numbered = [
            each
            for each in self.lexicon.every(Kind.FIELD)
            if _record_of(each) in records
            and each.type in {"", "string"}
            and any(stem(one).endswith(keys) for one in words_of(each.name.text))
        ]
        return tuple(Comparison(self._called(each.name, Kind.FIELD), Op.EQ, (text,)) for each in numbered[:1])

    def _lacking(self, fields: tuple[Entity, ...], text: str) -> bool:
        """Whether every field's values are known to the end, and none of them is this text."""
        return bool(fields) and all(self.lexicon.lacks(each.name.id, text) for each in fields)

    def _compared(
        self,
        test: Test,
        usable: Callable[[Iterable[Entity]], tuple[Entity, ...]],
        defaults: Sequence[str],
    ) -> tuple[Condition, ...]:
        if test.measure == "date" and isinstance(test.values, str) and not test.named:
            measure, unit = self.lexicon.vocabulary.units.get(test.unit, ("", ""))
            if test.until or (measure != "time" if test.unit else test.values.isdigit()):
                return ()
            ago = f"{test.values} {unit}s ago" if unit else test.values
            dates = self._date_fields(usable, defaults)
            return tuple(Comparison(self._called(each.name, Kind.FIELD), test.op, (ago,)) for each in dates)
        if test.measure and not test.named:
            test = replace(test, fields=self._measuring(test.measure, test.fields, usable, defaults))
        if isinstance(test.values, str):
            if not test.values and test.op is not Op.IS_EMPTY:
                return ()  # "shorter than", and then quotes with nothing in them
            if test.op in {Op.EQ, Op.NE} and self._lacking(usable(test.fields), test.values):
                return ()
            # Text has no order, and a mere number is no date.
            unordered = DATES | {"", "string"} if _AMOUNT.fullmatch(test.values) else {"", "string"}
            fields = tuple(
                each for each in test.fields if test.op not in ORDERED or each.type not in unordered
            )
            fields = self._measured(test, usable(fields))
            said: tuple[tuple[str, ...], ...] = (tuple(filter(None, (test.values, test.until))),)
            if not test.named and _GROUPED.fullmatch(test.values):  # 20, or twenty thousand?
                said = ((f"{Decimal(test.values).normalize():f}",), (test.values.replace(".", ""),))
            made = (
                self._in_currency(
                    Comparison(self._called(each.name, Kind.FIELD), test.op, values), each, test.unit
                )
                for each in fields
                for values in said
            )
            return tuple(Not(one) if test.opposite else one for each in made for one in each)
        fit = usable(tuple(each for each, _ in test.values))
        return tuple(
            Comparison(self._called(each.name, Kind.FIELD), test.op, (value,))
            for each, value in test.values
            if each in fit
        )

    def _in_currency(self, made: Comparison, amount: Entity, unit: str) -> tuple[Condition, ...]:
        """A comparison of an amount, with its currency where that stands in a field of its own."""
        beside = self.lexicon.currencies(amount, unit)
        tests = (Comparison(self._called(of.name, Kind.FIELD), Op.EQ, (value,)) for of, value in beside or ())
        return (made,) if beside is None else tuple(And((made, each)) for each in tests)

    def _measured(self, test: Test, fields: tuple[Entity, ...]) -> tuple[Entity, ...]:
        """The fields that can be said in a test's unit; where nobody named one, those that go best with it."""
        words = self.lexicon.vocabulary
        if not test.unit:
            return fields
        fit = [(words.measured(each.name.text, test.unit), each) for each in fields]
        best = max((how for how, _ in fit), default=0)
        if not test.named and best < HELD and any(how < 0 for how, _ in fit):
            return ()  # nobody knows in which unit: another field has another one
        least = 0 if test.named else max(1, best)
        return tuple(each for how, each in fit if how >= least)

    def _date_fields(
        self, usable: Callable[[Iterable[Entity]], tuple[Entity, ...]], defaults: Sequence[str]
    ) -> tuple[Entity, ...]:
        dates = [each for each in self.lexicon.every(Kind.FIELD) if each.type in DATES]
        for default in defaults:
            if chosen := usable([each for each in dates if each.name.id == default]):
                return chosen
        return usable(dates)

    def _called(self, name: Name, kind: Kind) -> Name:
        """A name as the intent carries it: where it is about one record, its fields go without the record's id."""
        if kind is Kind.FIELD and Kind.RECORD in self.draft.by_kind:
            return Name(name.text, name.id.partition(".")[2])
        return name

    def _filled(self, name: str, takes: Takes, picked: Sequence[Name]) -> object:
        """What a field of the intent becomes of the names that were picked for it."""
        match takes:
            case Names(Kind.FILTER) if self.draft.only and self.draft.base is not None:
                return tuple(dict.fromkeys((*getattr(self.draft.base, name), *picked)))
            case Names():
                return tuple(dict.fromkeys(picked))
            case OneName():
                return picked[0]
            case SortBy():
                return tuple(SortKey(each, at in self.draft.descending) for at, each in enumerate(picked))
            case OneOf() | SomeOf() | Count() | Flag() | Phrase() | Where() | Sentence():
                return None
            case TimeOfDay() | Lasting() | Days() | Crosses():
                return None
            case _:
                assert_never(takes)

    def _built(
        self, model: Name | None, chosen: Sequence[tuple[str, Entity]], tests: Sequence[Condition]
    ) -> Intent | None:
        values: dict[str, Any] = dict(self.draft.fixed)
        for each, how in clauses(self.draft.intent):
            picked = [self._called(entity.name, entity.kind) for at, entity in chosen if at == each.name]
            if not picked:
                continue
            if (value := self._filled(each.name, how.takes, picked)) is not None:
                values[each.name] = value
        for _, entity in chosen:
            outer = LIES_IN.get(entity.kind)
            at = self.draft.by_kind.get(outer) if outer is not None else None
            if outer is not None and at is not None:
                if values.get(at, entity.owner(outer)) != entity.owner(outer):
                    return None
                values[at] = entity.owner(outer)
        if model is not None and "model" in {each.name for each, _ in clauses(self.draft.intent)}:
            values.setdefault("model", model)
        where = combined(
            tests,
            getattr(self.draft.base, self.draft.where, None)
            if self.draft.base is not None and self.draft.where
            else None,
        )
        if where is not None and self.draft.where is not None:
            values[self.draft.where] = where
        if self.draft.base is not None:
            if "page" not in values and hasattr(self.draft.base, "page"):
                values["page"] = 1
            return replace(self.draft.base, **values)
        return self.draft.intent(**values)


def _subjects(intent: Intent | None) -> Iterator[Name]:
    """The KPIs and the record of a question."""
    yield from getattr(intent, "kpis", ())
    if (record := getattr(intent, "record", None)) is not None:
        yield record


def _record_of(field: Entity) -> str:
    record = field.owner(Kind.RECORD)
    return record.id if record is not None else ""
