"""An intent that is being put together from the pieces of a sentence: what goes where, and what has no place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from bot.language.dates import DATES, unit_of
from bot.language.declare import (
    Count,
    Flag,
    OneOf,
    Phrase,
    SomeOf,
    clauses,
    whole_number,
)
from bot.language.edges import Coded, Edge, Named, Numbered, Unknown, Valued, What, When
from bot.language.lexicon import Entity
from bot.language.slots import NUMBERS, ORDERED, RANKS, STATES, Slots, Test, Unfit
from bot.language.vocabulary import SILENT, Class, Sense
from bot.model.intents import Op
from bot.model.names import Kind

TOP = 5
"""How many are meant where "top" comes without a number."""
_BEFORE = "previous"
_UNITS = frozenset({"day", "week", "month", "quarter", "year"})


class Draft(Slots):
    """An intent that is being put together."""

    def take(self, edge: Edge, rest: Sequence[Edge]) -> None:
        """Takes one more piece of the sentence."""
        if isinstance(edge.what, Named) and edge.what.kind is Kind.FIELD and not edge.what.several:
            self.single = "by" in self.parts
            if self.alone and self.single:
                self.fixed[self.alone] = 1  # "which plant", not "plants"
        if (
            self.alone
            and isinstance(edge.what, Named)
            and edge.what.kind is Kind.RECORD
            and not edge.what.several
        ):
            self.fixed[self.alone] = 1  # "the heaviest delivery"
        self._take(edge.what, rest)

    def _take(self, what: What, rest: Sequence[Edge]) -> None:
        match what:
            case Sense():
                self._sense(what, rest)
            case Named(kind, entities, inside, _, headed):
                if headed and not self._plain(rest):
                    raise Unfit("field")
                self._name(kind, entities, rest)
                if inside is not None:
                    self._take(inside, rest)
            case Valued(pairs, opposite):
                self._end_negation(pairs)
                before = self.negated
                self.negated = before != opposite
                self._value(pairs)
                self.negated = before
            case Coded(text):
                self._code(text)
            case Numbered(text, _, unit):
                self._number(text, unit, rest)
            case When(text, on):
                self._period(text, on)
            case Unknown():
                pass
            case _:
                assert_never(what)

    def _sense(self, sense: Sense, rest: Sequence[Edge]) -> None:
        if self.unused and sense.what not in SILENT:
            raise Unfit(sense.value)
        match sense.what:
            case Class.CLAUSE:
                self._clause(sense.value)
            case Class.RANK:
                rank, _, measure = sense.value.partition(" ")
                self._rank(rank, measure)
            case Class.ONLY | Class.WITHOUT:
                self._narrow(sense.what, rest)
            case Class.AND:
                self.joined = True
            case Class.COMPARISON:
                self._compare(sense.value)
            case Class.FIXED:
                self._state(sense.value)
            case Class.ORDER:
                self._order(sense.value)
            case (
                Class.QUESTION
                | Class.FILLER
                | Class.LINK
                | Class.FOLLOW
                | Class.PERIOD
                | Class.CLASS
                | Class.WISH
            ):
                pass
            case Class.VERB:
                self.verbs.append(sense.value)
            case _:
                assert_never(sense.what)

    def _clause(self, keyword: str) -> None:
        """Takes what opens a clause."""
        if keyword == "by" and self.ranked is not None and "sort" in self.parts and "by" not in self.parts:
            self.pending, self.waiting = "top", False  # "top 5 deliveries by weight"
            return
        if keyword not in self.parts and keyword not in {"on", "where"}:
            raise Unfit(keyword)
        self.pending, self.waiting = keyword, True
        takes = self.parts[keyword][1].takes if keyword in self.parts else None
        if keyword in RANKS:
            self._rank(keyword, "size")
        if isinstance(takes, Flag):
            self.fixed[self.parts[keyword][0]] = True
            self.pending = ""

    def _rank(self, rank: str, measure: str) -> None:
        """Takes "top", "best", "heaviest": how many come first, and by what."""
        rows = "by" not in self.parts
        if self.negated or ("top" if rows else rank) not in self.parts or (rows and "sort" not in self.parts):
            raise Unfit(rank)
        at = self.parts["top" if rows else rank][0]
        counted = not self.alone and self.ranked is not None  # "top 10 heaviest"
        if self.ranked is not None and (self.ranked[0] != "size" or self.ranked[1] != (rank == "top")):
            raise Unfit(rank)
        self.ranked = measure, rank == "top"
        self.pending, self.waiting = "top" if rows else rank, False
        if not counted:
            self.alone = "" if self.leading else at
            self.fixed[at] = self.leading or (1 if self.single else TOP)

    def _narrow(self, what: Class, rest: Sequence[Edge]) -> None:
        """Takes "only" or "without"."""
        without = what is Class.WITHOUT
        if without and not rest:
            raise Unfit("without")
        self.pending, self.negated, self.only = "", without, not without
        self.unused = self.unused or without

    def _state(self, word: str) -> None:
        for each, how in clauses(self.intent):
            if isinstance(how.takes, SomeOf | OneOf) and word in how.takes.words:
                if self.negated:
                    raise Unfit(word)
                several = isinstance(how.takes, SomeOf)
                self.fixed[each.name] = (*self.fixed.get(each.name, ()), word) if several else word
                if self.pending == how.keyword:
                    self.pending = ""
                return
        if self.by_kind.get(Kind.JOB) is None or word not in STATES:
            raise Unfit(word)

    def _order(self, word: str) -> None:
        keyed = self.names.get(self.parts["sort"][0], []) if "sort" in self.parts else []
        word, _, measure = word.partition(" ")
        if measure and not keyed:
            if "sort" not in self.parts or "by" in self.parts or self.ranked or self.negated:
                raise Unfit(word)
            self.ranked = measure, word == "desc"
            return
        if self.pending != "sort" or (word != "-" and not keyed):
            raise Unfit(word)
        if word != "asc":
            self.descending.add(len(keyed) if word == "-" else len(keyed) - 1)

    def _compare(self, said: str) -> None:
        if self.where is None:
            raise Unfit(said)
        if " " in said and said not in {each.value for each in Op} | {"is not empty"}:
            said, _, self.measure = said.partition(" ")
        if not self.subject:
            if said.startswith("is "):
                raise Unfit(said)
            self.op = Op(said)
            return
        if said in {"is empty", "is not empty"}:
            self.tests.append(Test(self.subject, Op.IS_EMPTY, "", opposite=said == "is not empty"))
            self.subject = ()
            return
        self.op = Op(said)

    def _name(self, kind: Kind, entities: tuple[Entity, ...], rest: Sequence[Edge]) -> None:
        if kind is Kind.FIELD:
            self._field(entities, rest)
            return
        if self.negated:
            raise Unfit("without")
        if kind is Kind.RECORD and kind not in self.by_kind and self.of_a_field():
            self.within = entities  # "which ticket categories do we have"
            return
        if kind is Kind.KPI and not self.joined and self.names.get(self.by_kind.get(kind, "")):
            self.guesses += 1  # two in a row may be one whose words stand apart
        self.joined = False
        self.put(kind, entities)
        if self.pending == "by" and kind is Kind.KPI:  # "top 5 plants by on-time delivery"
            self.waiting = False
        elif self.pending not in {"", "where"} and self.waiting:
            raise Unfit(self.pending)
        self.pending = ""

    def _plain(self, rest: Sequence[Edge]) -> bool:
        """Whether a field may go by a part of its name here: as what is grouped by, compared or listed."""
        if self.negated:
            return False
        following = next((each.what for each in rest if not is_silent(each.what)), None)
        return (
            self.pending in {"by", *RANKS}
            or isinstance(following, Valued)
            or (isinstance(following, Sense) and following.what is Class.COMPARISON)
            or self.of_a_field()
        )

    def _field(self, entities: tuple[Entity, ...], rest: Sequence[Edge]) -> None:
        if self.number is not None and self.op is not None:
            self._ranged(entities)
            return
        following = next((each.what for each in rest if not is_silent(each.what)), None)
        compared = isinstance(following, Sense) and following.what is Class.COMPARISON
        dated = isinstance(following, When) and any(each.type in DATES for each in entities)
        if self.pending == "on":
            self.on, self.pending, self.waiting = entities, "", False
        elif self.pending in RANKS and "by" not in self.parts and "sort" in self.parts:
            self.into("sort", entities)  # "deliveries with the highest weight"
            self.pending = ""
        elif self.pending not in {"", "where", *RANKS} and not (self.where and isinstance(following, Valued)):
            self.into(self.pending, entities)
        elif self.where is not None and (compared or dated or isinstance(following, Valued | Numbered)):
            self.subject = entities
        elif self.where is not None and all(each.type == "boolean" for each in entities):
            self.tests.append(Test(entities, Op.EQ, "no" if self.negated else "yes"))
            self.negated = self.unused = False
        elif self.where is not None and self.pending == "where":  # "orders with an internal note"
            self.tests.append(Test(entities, Op.IS_EMPTY, opposite=True))
            self.pending, self.waiting = "", False
        elif self.where is not None and self.unused:  # "orders without a delivery date"
            self.tests.append(Test(entities, Op.IS_EMPTY))
            self.negated = self.unused = False
        elif self.of_a_field():
            self.put(Kind.FIELD, entities)
        elif "by" in self.parts and not self.negated:
            self.guesses += 1  # nobody said by what
            self.into("by", entities)
        elif "show" in self.parts and not self.negated:
            self.roles += 1
            self.into("show", entities)
        else:
            raise Unfit("field")

    def _end_negation(self, pairs: tuple[tuple[Entity, str], ...]) -> None:
        """Lets "not" end with the field that it was about: "not delivered, in France", but "without DHL and UPS"."""
        excluded = self.tests[-1].fields if self.negated and not self.unused and self.tests else ()
        if excluded and not any(of in excluded for of, _ in pairs):
            if self.joined:  # "not delivered and France": nobody knows
                raise Unfit("without")
            self.negated = False
        elif not self.negated and any(
            each.op is Op.NE and of in each.fields for each in self.tests for of, _ in pairs
        ):
            raise Unfit("value")
        self.joined = False

    def _value(self, pairs: tuple[tuple[Entity, str], ...]) -> None:
        if self.where is None:
            raise Unfit("value")
        if self.subject:
            pairs = tuple(pair for pair in pairs if pair[0] in self.subject)
            if not pairs:
                raise Unfit("value")
        op = Op.NE if self.negated != (self.op is Op.NE) else (self.op or Op.EQ)
        if op not in {Op.EQ, Op.NE}:
            raise Unfit("value")
        if self.pending == "against":  # "north vs south": one beside the other
            before = self.tests[-1] if self.tests else None
            if (
                before is None
                or "by" not in self.parts
                or not isinstance(before.values, tuple)
                or op is Op.NE
            ):
                raise Unfit("against")
            both = tuple(each for each, _ in pairs if each in before.fields)
            if both not in self.names.get(self.parts["by"][0], ()):
                self.names.setdefault(self.parts["by"][0], []).append(both)
            self.pending, self.waiting = "", False
            self.tests.append(Test(both, op, tuple(each for each in pairs if each[0] in both)))
            return
        self.tests.append(Test(tuple(pair[0] for pair in pairs), op, pairs))
        self.op, self.pending, self.subject, self.unused = None, "", (), False

    def _code(self, text: str) -> None:
        if (
            Kind.RECORD not in self.by_kind
            or self.by_kind[Kind.RECORD] not in self.names
            or self.subject
            or self.negated
        ):
            raise Unfit("code")
        self.codes.append(text)

    def _ranged(self, fields: tuple[Entity, ...]) -> None:
        """A condition on these fields, with the number that was compared."""
        assert self.op is not None
        assert self.number is not None
        values = (self.low, self.number) if self.low is not None else (self.number, "")
        if self.op is Op.BETWEEN and self.low is None:
            raise Unfit("between")
        self.tests.append(
            Test(fields, self.op, values[0], until=values[1], unit=self.unit, measure=self.measure)
        )
        self.op = self.number = self.low = None
        self.unit = ""

    def unnamed(self, fields: Sequence[Entity]) -> None:
        """A comparison whose field nobody named is about any that holds numbers: those of the unit, if it has one.

        Args:
            fields: All of the record.
        """
        if self.op in ORDERED and self.number is not None:
            types = DATES if self.measure == "date" else NUMBERS
            self._ranged(tuple(each for each in fields if each.type in types))
            self.tests[-1].named = False
            self.roles += 1

    def _number(self, text: str, unit: str, rest: Sequence[Edge]) -> None:
        following = rest[0].what if rest else None
        if (
            text.isdigit()
            and isinstance(following, Sense)
            and (
                following.what is Class.RANK or (following.what is Class.CLAUSE and following.value in RANKS)
            )
        ):
            self.leading = whole_number(text)  # "the 3 best plants"
            return
        if self.negated and self.op is not None:
            raise Unfit("not")
        if self.op is Op.BETWEEN and self.low is None:
            self.low = text
            return
        if self.op is not None and not self.subject and self.number is None:
            self.number, self.unit = text, unit
            return
        if self.subject and self.where is not None:
            self.op = self.op or (Op.NE if self.negated else Op.EQ)
            self.number, self.unit = text, unit
            self._ranged(self.subject)
            self.subject, self.negated, self.unused = (), False, False
            return
        if self.pending in self.parts:
            at, how = self.parts[self.pending]
            if isinstance(how.takes, Count) and text.isdigit():
                self.fixed[at] = whole_number(text)
                self.pending = self.alone = ""
                return
            if isinstance(how.takes, Phrase):
                self.fixed[at] = text
                self.pending = ""
                return
        for each in RANKS:  # "make it 10"
            if (
                self.base is not None
                and each in self.parts
                and getattr(self.base, self.parts[each][0])
                and text.isdigit()
            ):
                self.fixed[self.parts[each][0]] = whole_number(text)
                return
        raise Unfit("number")

    def _period(self, text: str, on: tuple[Entity, ...]) -> None:
        during = self.parts.get("during")
        if during is not None and not on and not self.negated and during[0] not in self.fixed:
            self.fixed[during[0]], self.pending, self.waiting = _plain(text), "", False
            return
        if self.where is None or self.negated:
            raise Unfit("period")
        if on:
            self.tests.append(Test(on, Op.EQ, _plain(text)))
            return
        if self.subject:
            if self.op not in {None, Op.EQ, *ORDERED - {Op.BETWEEN}}:
                raise Unfit("period")
            self.tests.append(Test(self.subject, self.op or Op.EQ, _plain(text)))
            self.subject, self.op = (), None
            return
        part = self.parts.get(self.pending)
        if part is not None and isinstance(part[1].takes, OneOf) and part[1].takes.or_period:
            self.fixed[part[0]], self.pending, self.waiting = text, "", False
            return
        if self.op in ORDERED and self.measure == "date" and self.number is None:
            self.number = _plain(text)  # "older than last month"
            return
        if self.periods or self.pending == "against":
            raise Unfit("period")
        self.periods.append(_plain(text))

    def compared(self, now: datetime) -> None:
        """Says of a period that it is held against whether it is the one before that which was asked for.

        Args:
            now: When it is said.
        """
        at = self.parts["against"][0] if "against" in self.parts else ""
        text = str(self.fixed.get(at, ""))
        which, _, unit = text.partition(" ")
        if not self.periods or unit not in _UNITS or which not in {"last", _BEFORE}:
            self.fixed.update({at: _plain(text)} if text else {})
        elif (which == _BEFORE and unit_of(self.periods[0], now) == unit) or self.periods == [f"this {unit}"]:
            self.fixed[at] = "previous period"
        elif which == _BEFORE or self.periods == [text]:
            raise Unfit("against")


def _plain(period: str) -> str:
    """A period that is said by the one behind it ("the month before"), where there is none: the last one."""
    which, _, unit = period.partition(" ")
    return f"last {unit}" if which == _BEFORE and unit in _UNITS else period


def is_silent(what: What) -> bool:
    return isinstance(what, Sense) and (what.what in SILENT or what.what is Class.VERB)
