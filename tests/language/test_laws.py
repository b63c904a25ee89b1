"""What holds for every sentence and every catalog.

`LAWS_EXAMPLES` sets how many examples each law gets; a nightly run takes thousands.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import ne

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.language.edges import tokens
from bot.language.frames import Scope
from bot.language.gate import orders
from bot.language.lexicon import Entity, Lexicon, NameList
from bot.language.understand import Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import vocabulary
from bot.model.intents import Intent
from bot.model.names import Kind, Name, fold
from tests.language.scoring import NOW, frames, name_list, opened, world

EXAMPLES = int(os.environ.get("LAWS_EXAMPLES", "40"))  # noqa: TID251 - no setting of the bot
law = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
WORDS = vocabulary()
KEYWORDS = (
    "by", "of", "in", "not", "without", "over", "top", "last month", "count", "average", "jobs", "kpi", "open",
    "active", "failed", "chart", "how many", "nach", "ohne", "pro", "stop", "status", "help", "more", "and", "2026",
)  # fmt: skip
PLAIN = (
    "containers", "dwell time", "berth utilisation", "overdue containers", "number of containers", "tide sync",
    "customs load", "customs night load", "terminal", "cargo type", "north quay", "reefer", "harbour", "undamaged",
    "damaged", "Maschinenstillstand", "Auftragswert", "Länge", "on-time delivery", "12", "4711", "日本 倉庫", "Склад", "ελ",
)  # fmt: skip
OPERATORS = ("not", "without", "except", "over", "under", "before", "unless", "ohne", "nicht", "außer", "if")
COURTESY = ("please", "hi", "thanks", "bitte", "pls")
STRANGE = ("qzxwvk", "flurbigon", "zzyxomat")
names = st.one_of(
    st.sampled_from(PLAIN),
    st.sampled_from(KEYWORDS),
    st.builds("{} {}".format, st.sampled_from((*PLAIN, *KEYWORDS)), st.sampled_from((*PLAIN, *KEYWORDS))),
)


@dataclass(frozen=True)
class Catalog:
    """Names by kind, and the values of the fields, of one invented knowledge model and one pool."""

    kpis: tuple[str, ...]
    records: tuple[str, ...]
    fields: tuple[str, ...]
    filters: tuple[str, ...]
    jobs: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        return (*self.kpis, *self.records, *self.fields, *self.filters, *self.jobs, *self.values)


def some(least: int, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(names, min_size=least, max_size=most, unique_by=fold).map(tuple)


catalogs = st.builds(Catalog, some(1, 3), some(1, 2), some(1, 3), some(0, 2), some(0, 3), some(0, 3))
MODEL = Name("Harbour Logistics", "harbour")
POOL = Name("Port System", "port")


@lru_cache(maxsize=512)
def lexicon(catalog: Catalog) -> Lexicon:
    within = ((Kind.MODEL, MODEL),)
    record = Name(catalog.records[0], "R0")
    fields = [
        Entity(Kind.FIELD, Name(each, f"R0.f{number}"), (*within, (Kind.RECORD, record)), kind)
        for number, (each, kind) in enumerate(zip(catalog.fields, ("string", "float", "date"), strict=False))
    ]

    def listed(
        kind: Kind, texts: Sequence[str], mark: str, inside: tuple[tuple[Kind, Name], ...]
    ) -> NameList:
        entities = (Entity(kind, Name(each, f"{mark}{number}"), inside) for number, each in enumerate(texts))
        return name_list(kind, ((each, ()) for each in entities))

    lists = (
        listed(Kind.KPI, catalog.kpis, "K", within),
        listed(Kind.RECORD, catalog.records, "R", within),
        listed(Kind.FILTER, catalog.filters, "F", within),
        name_list(Kind.FIELD, ((each, ()) for each in fields)),
        name_list(Kind.MODEL, [(Entity(Kind.MODEL, MODEL), ())]),
        name_list(Kind.POOL, [(Entity(Kind.POOL, POOL), ())]),
        listed(Kind.JOB, catalog.jobs, "J", ((Kind.POOL, POOL),)),
    )
    values = (
        (FieldValues(fields[0], {fold(each): each for each in catalog.values}),) if catalog.values else ()
    )
    return Lexicon(WORDS, lists, values)


def meant(text: str, known: Lexicon) -> Understanding:
    return understand(text, known, frames(), Scope(MODEL, None, NOW))


def one(found: Understanding) -> Intent | None:
    return found.readings[0].intent if len(found.readings) == 1 else None


def same(found: Understanding) -> frozenset[Intent]:
    return frozenset(each.intent for each in found.readings)


@st.composite
def said(draw: st.DrawFn) -> tuple[Catalog, str]:
    """A catalog, and a sentence made of its names and the words of the language."""
    catalog = draw(catalogs)
    pieces = st.one_of(
        st.sampled_from(catalog.every),
        st.sampled_from(KEYWORDS),
        st.sampled_from(("5", "2026-03-01", ">", "=", ",")),
    )
    return catalog, " ".join(draw(st.lists(pieces, min_size=1, max_size=5)))


@st.composite
def asked(draw: st.DrawFn) -> tuple[Catalog, str]:
    """A catalog of ordinary names, and a sentence that most people would write about it."""
    plain = st.lists(st.sampled_from(PLAIN), min_size=9, max_size=9, unique=True)
    drawn = draw(plain)
    catalog = Catalog(
        tuple(drawn[:2]), tuple(drawn[2:3]), tuple(drawn[3:5]), (), tuple(drawn[5:7]), tuple(drawn[7:])
    )
    kpi, field, value, job = catalog.kpis[0], catalog.fields[0], catalog.values[0], catalog.jobs[0]
    sentences = (
        kpi,
        f"{kpi} by {field}",
        f"{kpi} {value}",
        catalog.records[0],
        job,
        f"{kpi} pro {field}",
        "jobs",
    )
    return catalog, draw(st.sampled_from(sentences))


@law
@given(said())
def test_any_sentence_is_understood_or_not_and_nothing_breaks(drawn: tuple[Catalog, str]) -> None:
    catalog, text = drawn
    found = meant(text, lexicon(catalog))
    assert len(found.readings) == len(same(found))


@law
@given(catalogs, st.text(max_size=60))
def test_any_text_at_all_is_taken(catalog: Catalog, text: str) -> None:
    meant(text, lexicon(catalog))


@law
@given(said(), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_is_nothing(drawn: tuple[Catalog, str], random: object) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    lists = list(known.lists)
    random.shuffle(lists)  # type: ignore[attr-defined]
    straight = same(meant(text, known))
    assume(len(straight) < 2)  # of many equal readings the first few are kept
    assert straight == same(meant(text, Lexicon(WORDS, lists, known.values[::-1])))


@law
@given(asked(), st.sampled_from(COURTESY), st.booleans())
def test_courtesy_is_nothing(drawn: tuple[Catalog, str], word: str, first: bool) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    polite = f"{word} {text}" if first else f"{text} {word}"
    assert same(meant(polite, known)) == same(meant(text, known)), polite


@law
@given(said())
def test_every_token_has_one_entry_in_the_account(drawn: tuple[Catalog, str]) -> None:
    catalog, text = drawn
    for each in meant(text, lexicon(catalog)).readings:
        told = [token.word for part in each.account for token in tokens(part.text)]
        assert sorted(told) == sorted(token.word for token in tokens(text)), each


@law
@given(st.one_of(said(), asked()), st.sampled_from(STRANGE), st.data())
def test_a_word_that_nobody_knows_is_never_dropped(
    drawn: tuple[Catalog, str], word: str, data: st.DataObject
) -> None:
    catalog, text = drawn
    pieces = text.split(" ")
    pieces.insert(data.draw(st.integers(0, len(pieces))), word)
    added = " ".join(pieces)
    found = one(meant(added, lexicon(catalog)))
    assert found is None or word in repr(found), added


@law
@given(asked(), st.sampled_from(OPERATORS), st.data())
def test_an_operator_is_never_filler(drawn: tuple[Catalog, str], word: str, data: st.DataObject) -> None:
    catalog, text = drawn
    plain = one(meant(text, lexicon(catalog)))
    assume(plain is not None and word not in text.split())
    pieces = text.split(" ")
    at = data.draw(st.integers(0, len(pieces)))
    assume(at == len(pieces) or pieces[at] not in {"by", "pro", "jobs"})  # see below
    pieces.insert(at, word)
    added = " ".join(pieces)
    assert one(meant(added, lexicon(catalog))) != plain, added


@pytest.mark.parametrize(
    "text",
    [
        "active not jobs",
        "not jobs",
        "dwell time not by terminal",
        "dwell time by terminal not as chart",
        "values of not terminal",
        "containers not sort by terminal",
        "containers except for",
    ],
)
def test_a_negation_before_a_clause_is_not_dropped(text: str) -> None:
    catalog = Catalog(
        ("dwell time",), ("containers",), ("terminal", "cargo type"), (), ("tide sync",), ("reefer",)
    )
    known = lexicon(catalog)
    plain = one(meant(text.replace("not ", "").replace(" except for", ""), known))
    assert plain is not None
    assert one(meant(text, known)) != plain


@law
@given(said(), st.sampled_from(tuple(Kind)), names)
def test_what_is_hidden_is_not_there(drawn: tuple[Catalog, str], kind: Kind, hidden: str) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    lists = []
    for each in known.lists:
        if each.kind is kind and each.kind is not Kind.MODEL:
            entities = [(each.entity(number), ()) for number in each.index.numbers()]
            secret = len(entities)
            within = entities[0][0].within if entities else ()
            entities.append((Entity(kind, Name(hidden, "secret"), within, "string"), ()))
            lists.append(replace(name_list(kind, entities), shown=partial(ne, secret)))
        else:
            lists.append(each)
    assert meant(text, Lexicon(WORDS, lists, known.values)) == meant(text, known)


@law
@given(asked())
def test_case_and_dashes_are_nothing(drawn: tuple[Catalog, str]) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    plain = same(meant(text, known))
    assert same(meant(text.upper(), known)) == plain
    assert same(meant(text.title(), known)) == plain
    joined = text.replace(catalog.kpis[0], catalog.kpis[0].replace(" ", "-"))
    assert same(meant(joined, known)) == plain, joined


# --- the template of writes

TEMPLATE = sorted(
    " ".join(each)
    for each in (*WORDS.writes.verbs, *WORDS.writes.courtesy, *WORDS.writes.kinds, *WORDS.writes.within)
)
JOBS = tuple(
    each.entity(n).name.text
    for each in world().lexicon.lists
    if each.kind is Kind.JOB
    for n in each.index.numbers()
)
KNOWN = frozenset(
    word for each in (*TEMPLATE, *JOBS, "SAP ECC") for word in each.casefold().replace("-", " ").split()
)
OUTSIDE = (
    *OPERATORS, "before SAP goes down", "if it still runs", "should", "did you", "don't", "never", "tomorrow", "why",
    "qzxwvk", "and", "or", "yesterday", "when", "someone", "nie", "warum", "falls", "wenn", "vielleicht", "12",
)  # fmt: skip


@law
@given(
    st.lists(st.sampled_from(TEMPLATE), max_size=3),
    st.sampled_from(sorted(set(JOBS))),
    st.lists(st.sampled_from(TEMPLATE), max_size=3),
    st.sampled_from(OUTSIDE),
    st.data(),
)
def test_a_word_that_the_template_has_no_place_for_opens_nothing(
    before: list[str], job: str, behind: list[str], outside: str, data: st.DataObject
) -> None:
    assume(not any(fold(each) in KNOWN for each in outside.split()))
    pieces = [*before, job, *behind]
    pieces.insert(data.draw(st.integers(0, len(pieces))), outside)
    text = " ".join(pieces)
    assert opened(text, world().lexicon) == [], text


@law
@given(st.text(max_size=40))
def test_any_text_at_all_can_be_asked_whether_it_is_an_order(text: str) -> None:
    for each in orders(text, WORDS.writes):
        assert each.verb
