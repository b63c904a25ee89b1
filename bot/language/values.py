"""Values of fields, with the forms in which people say them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from bot.language.lexicon import Entity, Forms, Span, Tier
from bot.language.things import Family, Thing, Things, things
from bot.language.vocabulary import Class, Vocabulary, vocabulary, words_of
from bot.model.names import Kind, fold

MOST_STATES = 60
"""Values of a field, above which none of them is a state."""
_LETTERS = 6
"""Letters from which a value may be misspelt."""
_WEIGHTY = 3
"""Letters of the shortest word by which a value is known that has others besides."""
_CODE = 3
"""Letters of the longest code of a country."""
_LEGAL = frozenset(
    [
        "gmbh",
        "mbh",
        "ag",
        "kg",
        "kgaa",
        "se",
        "ug",
        "ohg",
        "gbr",
        "co",
        "ltd",
        "limited",
        "inc",
        "incorporated",
        "llc",
        "llp",
        "plc",
        "corp",
        "corporation",
        "company",
        "sa",
        "sas",
        "sarl",
        "spa",
        "srl",
        "sl",
        "bv",
        "nv",
        "ab",
        "oy",
        "oyj",
        "aps",
        "sro",
        "doo",
        "pty",
        "pte",
        "bhd",
        "kk",
    ]
)
"""Legal forms of companies."""


class _How(IntEnum):
    """How a form says a value, the surest first."""

    SPELT = 0
    TRANSLATED = 1
    CODE = 2
    CORE = 3
    PIECE = 4


class Said(NamedTuple):
    """Values that a stretch of a sentence may be.

    Attributes:
        missing: How many words of them were left out at least.
        meant: Whether one of them is meant; else they are only offered.
    """

    values: tuple[str, ...]
    tier: Tier
    missing: int = 0
    meant: bool = True

    @property
    def sure(self) -> bool:
        """Whether it is one of them as it stands, in any language."""
        return self.meant and not self.missing


@dataclass(frozen=True, slots=True)
class FieldValues:
    """Values of a field.

    Attributes:
        known: Folded value -> value.
        complete: All there are.
        words: Whose stems give the forms.
    """

    of: Entity
    known: Mapping[str, str]
    complete: bool = True
    words: Vocabulary = field(default_factory=vocabulary, repr=False)
    _forms: dict[str, dict[str, _How]] = field(default_factory=dict, init=False, repr=False)
    _by_letter: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False)
    _families: set[Family] = field(default_factory=set, init=False, repr=False)
    _own: set[str] = field(default_factory=set, init=False, repr=False)
    """What the field is called by a word before a value ("plant Hamburg")."""

    def __post_init__(self) -> None:
        read = _Reader(self.of, self.words)
        self._own.update(read.heads)
        shapes = {value: read.shape(value) for value in self.known.values()}
        meant = _meant(shapes)
        self._families.update(thing.family for those in meant.values() for thing in those)
        for folded, value in self.known.items():
            shape = shapes[value]
            if len(shape.stems) > 1:
                self._add(shape.stems, value, _How.PIECE)
            if shape.core:
                self._add(shape.cores, value, _How.CORE)
                self._misspelt(shape.core, value)
            for thing in meant.get(value, ()):
                self._add(read.things.codes[thing], value, _How.CODE)
                self._add(map(self.words.joined, read.things.names[thing]), value, _How.TRANSLATED)
                for each in read.things.names[thing]:
                    self._misspelt(fold(each), value)
            ways = self.words.translated(shape.stems)
            self._add(("".join(each) for each in ways if each != shape.stems), value, _How.TRANSLATED)
            self._add(shape.forms, value, _How.SPELT)
            self._misspelt(folded, value)

    def _add(self, forms: Iterable[str], value: str, how: _How) -> None:
        for each in forms:
            known = self._forms.setdefault(each, {})
            known[value] = min(how, known.get(value, how))

    def _misspelt(self, folded: str, value: str) -> None:
        if self.complete and len(folded) >= _LETTERS - 1:
            self._by_letter.setdefault(folded[0], {})[folded] = value

    def touched(self, forms: Forms) -> bool:
        """Whether some stretch of a sentence may be a value of these."""
        return not (
            self.known.keys().isdisjoint(forms.folded) and self._forms.keys().isdisjoint(forms.joined)
        )

    def knows(self, folded: str, form: str) -> bool:
        """Whether a word is a value, or another way to say one."""
        sure = (_How.SPELT, _How.TRANSLATED, _How.CORE)
        return folded in self.known or any(how in sure for how in self._forms.get(form, {}).values())

    @property
    def currencies(self) -> bool:
        """Whether they are currencies."""
        return Family.CURRENCY in self._families

    def coded(self, code: str) -> Sequence[str]:
        """The values that an ISO code, in lower case, stands for."""
        sure = (_How.SPELT, _How.TRANSLATED, _How.CODE)
        return [value for value, how in self._forms.get(code, {}).items() if how in sure]

    def said(self, span: Span, translated: str) -> Said | None:
        """What a stretch says in the surest way that it says any.

        Args:
            span: The stretch.
            translated: Its joined stems in the language of most knowledge models.
        """
        if span.folded in self.known:
            return Said((self.known[span.folded],), Tier.EXACT)
        own, other = self._forms.get(span.form), self._forms.get(translated)
        if span.closed or (own is None and other is None):
            return None
        named = not self._own.isdisjoint(span.before)
        ways: dict[_How, dict[str, None]] = {}
        for value, how in own.items() if own else ():
            if how is not _How.CODE or span.code or named:
                ways.setdefault(how, {})[value] = None
        for value, how in other.items() if other and other is not own else ():
            if how <= _How.TRANSLATED:
                ways.setdefault(_How.TRANSLATED, {})[value] = None
        if not ways:
            return None
        how = min(ways)
        values = tuple(ways[how])
        match how:
            case _How.SPELT:
                return Said(values, Tier.INFLECTED)
            case _How.TRANSLATED | _How.CODE:
                return Said(values, Tier.TRANSLATED)
            case _How.CORE:
                return Said(values, Tier.INFLECTED, missing=1, meant=self.complete)
            case _How.PIECE:
                code = any(map(str.isdigit, span.form)) and (named or not span.form.isdigit())
                alone = span.end == span.start + 1
                return Said(values, Tier.INFLECTED, 1, self.complete and code) if alone else None

    def nearly(self, folded: str) -> Sequence[str]:
        """The value that a text is but for one edit, in a complete list; the only one."""
        if len(folded) < _LETTERS or any(map(str.isdigit, folded)):
            return ()
        listed = self._by_letter.get(folded[0], {})
        near = extract(folded, listed.keys(), scorer=OSA.distance, score_cutoff=1, limit=None)
        values = {listed[each] for each, _, _ in near}
        return tuple(values) if len(values) == 1 else ()


Groups: TypeAlias = list[list[str]]
"""The words of a value, apart where a sign or a word joins two parts of it."""


class _Shape(NamedTuple):
    """The forms of a value.

    Attributes:
        core: What is left without codes, legal forms and what its field is called; empty where that is nothing else.
        cores: The forms of that.
        things: What it is the name or a code of, perhaps with a code beside it ("DE - Germany").
    """

    stems: tuple[str, ...]
    forms: tuple[str, ...]
    core: str
    cores: tuple[str, ...]
    things: frozenset[Thing]


class _Reader:
    """Takes the values of one field apart.

    Attributes:
        heads: The words by which the field may be called before a value.
    """

    def __init__(self, of: Entity, words: Vocabulary) -> None:
        self.words = words
        self.things: Things = things(words.languages)
        owner = of.owner(Kind.RECORD)
        self.heads = {
            one for way in words.translated(words.classed(words_of(of.name.text))) for one in way[-1:]
        }
        kinds = [words.classed(words_of(each)) for each in (of.name.text, owner.text if owner else "")]
        self.kinds = {one for each in kinds for way in words.translated(each) for one in way}
        self._neutrals: dict[str, bool] = {}
        joins = "|".join(map(re.escape, words.joins))
        self.join = re.compile(rf"[&+]|\b(?:{joins})\b", re.IGNORECASE)

    def shape(self, value: str) -> _Shape:
        """One of the values."""
        groups = [words for each in self.join.split(value) if (words := words_of(each))]
        forms = self._joined(groups)
        core = self._core(groups)
        cores = self._joined(core)
        uncoded = [[one for one in each if len(one) > _CODE or not self._of(one)] for each in groups]
        others = self._joined(uncoded) if uncoded != groups else ()
        found = next((those for each in (*forms, *cores, *others) if (those := self._of(each))), frozenset())
        stems = tuple(self.words.classed([one for each in groups for one in each]))
        return _Shape(stems, forms, "".join(one for each in core for one in each), cores, found)

    def _joined(self, groups: Groups) -> tuple[str, ...]:
        """The forms of a value: with nothing between its parts, and with each word that joins."""
        parts = ["".join(self.words.classed(each)) for each in groups]
        joins = ("", *self.words.joins) if len(parts) > 1 else ("",)
        return tuple(each.join(parts) for each in joins) if parts else ()

    def _core(self, groups: Groups) -> Groups:
        core = [rest for each in groups if (rest := [one for one in each if not self._neutral(one)])]
        if core == groups or not any(self._tells(one) for each in core for one in each):
            return []
        firm = any(one in _LEGAL or not one.isdigit() for each in groups for one in each if _coded(one))
        country = any(each.family is Family.COUNTRY for form in self._joined(core) for each in self._of(form))
        return [] if firm and country else core

    def _of(self, form: str) -> frozenset[Thing]:
        return self.things.of.get(form, frozenset())

    def _neutral(self, word: str) -> bool:
        found = self._neutrals.get(word)
        if found is None:
            ways = self.words.translated(self.words.classed([word]))
            found = self._neutrals[word] = _coded(word) or any(not self.kinds.isdisjoint(way) for way in ways)
        return found

    def _tells(self, word: str) -> bool:
        """Whether a value may be known by a word alone."""
        return len(word) >= _WEIGHTY and not any(
            end == 1 and any(each.what is not Class.FIXED for each in senses)
            for end, senses in self.words.at((word,), 0)
        )


def _coded(word: str) -> bool:
    plain = word.isalpha()
    return word in _LEGAL if plain else any(map(str.isdigit, word)) or word.replace(".", "") in _LEGAL


def _meant(shapes: Mapping[str, _Shape]) -> Mapping[str, Collection[Thing]]:
    """What values are the names of, if most of them are names of one family; states may be few."""
    found = {value: each.things for value, each in shapes.items() if each.things}
    counted = Counter(
        family for those in found.values() for family in {each.family for each in those} - {Family.STATE}
    )
    most = max(counted.values(), default=0)
    families = [each for each in Family if counted[each] == most and most * 2 >= len(shapes)][:1]
    if len(shapes) <= MOST_STATES:
        families.append(Family.STATE)
    return {value: [each for each in those if each.family in families] for value, those in found.items()}
