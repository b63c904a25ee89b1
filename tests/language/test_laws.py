"""What holds for every sentence, every catalog and all settings.

`LAWS_EXAMPLES` sets how many examples each law gets; `make laws` takes a hundred thousand.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import ne

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.language.edges import tokens
from bot.language.gate import orders
from bot.language.lexicon import Entity, Lexicon, NameList
from bot.language.scope import Scope
from bot.language.understand import Understanding, understand
from bot.language.values import FieldValues
from bot.language.vocabulary import Class, vocabulary
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
    "containers at north quay", "harbour customs load", "berth", "load", "007", "2026-11", "مستودع", "คลัง", "İstanbul", "R&D",
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
    synonyms: tuple[tuple[str, str], ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        named = (*self.kpis, *self.records, *self.fields, *self.filters, *self.jobs, *self.values)
        return (*named, *(word for word, _ in self.synonyms))


def some(least: int, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(names, min_size=least, max_size=most, unique_by=fold).map(tuple)


synonyms = st.lists(st.tuples(names, names), max_size=2).map(tuple)
catalogs = st.builds(
    Catalog, some(1, 3), some(1, 2), some(1, 3), some(0, 2), some(0, 3), some(0, 3), synonyms
)
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
    words = {fold(word): name for word, name in catalog.synonyms}
    return Lexicon(WORDS, [replace(each, synonyms=words) for each in lists], values)


PARTS = (
    "order",
    "invoice",
    "delivery",
    "open",
    "late",
    "net",
    "value",
    "count",
    "by",
    "2026",
    "Werk",
    "Склад",
    "in",
    "top",
)
LARGE = 10_000


@lru_cache(maxsize=1)
def large() -> Lexicon:
    """Ten thousand names in two knowledge models, many of them in both, beside those of an ordinary catalog."""
    small = lexicon(Catalog(PLAIN[:2], PLAIN[2:4], PLAIN[8:10], PLAIN[3:4], PLAIN[5:8], PLAIN[10:12]))
    lists = list(small.lists)
    for model in (MODEL, Name("Inland", "inland")):
        texts = [
            f"{PARTS[n % 14]} {PARTS[n // 14 % 14]} {PARTS[n // 196 % 14]} {n}" for n in range(LARGE // 2)
        ]
        texts[:500] = [each.rpartition(" ")[0] for each in texts[:500]]
        within = ((Kind.MODEL, model),)
        entities = ((Entity(Kind.KPI, Name(each, f"L{n}"), within), ()) for n, each in enumerate(texts))
        lists.append(name_list(Kind.KPI, entities))
    return Lexicon(WORDS, lists, small.values)


def shuffled(known: Lexicon, dice: random.Random) -> Lexicon:
    """The same, with the lists and the names in them in another order."""
    lists = []
    for each in known.lists:
        entities = [(each.entity(number), ()) for number in each.index.numbers()]
        if len(entities) < LARGE // 2:
            dice.shuffle(entities)
            lists.append(replace(name_list(each.kind, entities), synonyms=each.synonyms))
        else:
            lists.append(each)  # to build those anew takes a second
    dice.shuffle(lists)
    return Lexicon(WORDS, lists, known.values[::-1])


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


@st.composite
def said_of_many(draw: st.DrawFn) -> str:
    """A sentence about the ten thousand names."""
    lists = [each for each in large().lists if len(each.folded)]
    pieces = []
    for _ in range(draw(st.integers(1, 4))):
        listed = draw(st.sampled_from(lists))
        name = listed.entity(draw(st.integers(0, max(listed.index.numbers())))).name.text
        pieces.append(draw(st.sampled_from((name, name, *KEYWORDS[:4], *PARTS[:2]))))
    return " ".join(pieces)


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
def test_the_order_of_lists_and_names_is_nothing(drawn: tuple[Catalog, str], dice: random.Random) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    assert meant(text, shuffled(known, dice)) == meant(text, known)


@settings(law, max_examples=EXAMPLES // 4)
@given(said_of_many(), st.randoms(use_true_random=False))
def test_the_order_of_ten_thousand_names_is_nothing(text: str, dice: random.Random) -> None:
    assert meant(text, shuffled(large(), dice)) == meant(text, large())


@settings(law, max_examples=EXAMPLES // 4)
@given(said_of_many(), st.sampled_from(STRANGE), st.booleans())
def test_among_ten_thousand_names_no_word_is_dropped(text: str, word: str, first: bool) -> None:
    for each in meant(text, large()).readings:
        told = [token.word for part in each.account for token in tokens(part.text)]
        assert sorted(told) == sorted(token.word for token in tokens(text)), each
    added = f"{word} {text}" if first else f"{text} {word}"
    found = one(meant(added, large()))
    assert found is None or word in repr(found), added


@law
@given(asked(), st.sampled_from((Kind.KPI, Kind.RECORD, Kind.FILTER, Kind.JOB)), names)
def test_another_name_never_takes_an_answer_silently(
    drawn: tuple[Catalog, str], kind: Kind, more: str
) -> None:
    catalog, text = drawn
    known = lexicon(catalog)
    before = meant(text, known)
    plain = one(before)
    assume(plain is not None)
    within = ((Kind.POOL, POOL),) if kind is Kind.JOB else ((Kind.MODEL, MODEL),)
    listed = name_list(kind, [(Entity(kind, Name(more, "more"), within), ())])
    after = meant(text, Lexicon(WORDS, [*known.lists, listed], known.values))
    if one(after) not in {None, plain}:
        assert after.readings[0].cost < before.readings[0].cost, (plain, one(after))


@law
@given(catalogs.filter(lambda each: not each.synonyms), st.data())
def test_a_word_of_the_settings_means_its_name(catalog: Catalog, data: st.DataObject) -> None:
    kpi = data.draw(st.sampled_from(catalog.kpis))
    known = lexicon(replace(catalog, synonyms=(("Flurbigon", kpi),)))
    found = meant("flurbigon", known)
    assert {name.text for each in found.readings for name in getattr(each.intent, "kpis", ())} in (
        {kpi},
        set(),
    )
    assert found.readings, found


@law
@given(asked(), st.integers(0, 9))
def test_a_number_in_a_name_is_never_a_misspelling_of_another(drawn: tuple[Catalog, str], digit: int) -> None:
    catalog, _ = drawn
    known = lexicon(replace(catalog, jobs=("night load 4711", "customs load")))
    said_so = f"night load 471{digit}"
    found = one(meant(said_so, known))
    assert found is None or digit == 1 or "4711" not in repr(found)


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


SWALLOWING = sorted(
    (" ".join(phrase), word)
    for listed in WORDS.phrases.values()
    for phrase, senses in listed
    if all(each.what is Class.FILLER for each in senses)
    for word in phrase
    if all(map(WORDS.silent, {*phrase} - {word}))
    if not WORDS.spoken(word) and word.isalpha() and not any(each in "äöüß" for each in word)
)
"""Fillers of several words, with one that says something where it is a name."""


@law
@given(asked(), st.sampled_from(SWALLOWING))
def test_what_says_nothing_never_takes_a_name(
    drawn: tuple[Catalog, str], swallowing: tuple[str, str]
) -> None:
    catalog, _ = drawn
    phrase, word = swallowing
    record = catalog.records[0]
    assume(fold(word) not in {fold(each) for each in catalog.every})
    alone = meant(f"show {word} {record}", lexicon(replace(catalog, fields=(word, "cargo"))))
    assume(one(alone) is not None and word in repr(one(alone)))
    found = one(meant(f"show {phrase} {record}", lexicon(replace(catalog, fields=(word, "cargo")))))
    assert found is None or word in repr(found), phrase


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
