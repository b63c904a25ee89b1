"""What can be named here: lists of names and of values, each with an index of the forms people type.

An index is built once for a list and shared; what a person may see of it is asked for each hit, before anything is
ranked, so that what is hidden is not known to those it is hidden from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from bot.language.vocabulary import Vocabulary, stem, words_of
from bot.model.names import Kind, Name, fold

INITIALS = 3
"""Words of the shortest name that is known by its initials."""
MOST_HELD = 3_000
"""Names of a whole list with some words, above which nobody looks which of them are seen."""
MOST_HITS = 300
"""Names that share some words, above which those words mean nothing here."""
_SHORT, _LONG = 4, 8
"""Letters from which one and two edits count as a misspelling."""
_NEAREST = 8


class Tier(IntEnum):
    """How a name was known, the surest first."""

    EXACT = 0
    FOLDED = 1
    SYNONYM = 2
    INITIALS = 3
    INFLECTED = 4
    TRANSLATED = 5


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that can be named.

    Attributes:
        within: The knowledge model, record or data pool it belongs to.
        type: Of a field, what it holds, as Celonis calls it.
    """

    kind: Kind
    name: Name
    within: tuple[tuple[Kind, Name], ...] = ()
    type: str = ""

    def owner(self, kind: Kind) -> Name | None:
        """The knowledge model, record or data pool it belongs to, or is itself."""
        return self.name if kind is self.kind else dict(self.within).get(kind)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a sentence that may be a name, in the forms by which names are looked up.

    Attributes:
        folded: Without case, spaces and dashes.
        form: The joined stems of its words.
        translated: The stems in the language of most knowledge models.
        initials: What may be initials; empty for several words.
        closed: It begins or ends with a word that stands for nothing.
        repaired: Edits that were made to get it.
    """

    start: int
    end: int
    text: str
    folded: str
    form: str
    translated: Sequence[str]
    initials: str = ""
    closed: bool = False
    repaired: int = 0


class Forms(NamedTuple):
    """The forms of all stretches of a sentence, to find out at once whether a list has any of them."""

    folded: frozenset[str]
    joined: frozenset[str]
    stems: frozenset[str]

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Forms:
        """The forms of some stretches."""
        folded: set[str] = set()
        joined: set[str] = set()
        stems: set[str] = set()
        for each in spans:
            folded.add(each.folded)
            joined.update((each.form, "".join(each.translated), each.initials))
            stems.update(each.translated)
        return cls(frozenset(folded), frozenset(joined), frozenset(stems))


class NameIndex:
    """The forms of a list's names. Numbers are places in the list.

    Args:
        words: Whose stems, ways of counting and glossary give the forms.
    """

    __slots__ = ("_every", "_forms", "_glossed", "_initials", "_stems", "_translated", "_words", "vocabulary")

    def __init__(self, words: Vocabulary) -> None:
        self.vocabulary = words
        self._forms: dict[str, list[int]] = {}
        self._translated: dict[str, list[int]] = {}
        self._initials: dict[str, list[int]] = {}
        self._words: dict[str, list[int]] = {}
        self._stems: dict[int, tuple[str, ...]] = {}
        self._glossed: dict[int, tuple[str, ...]] = {}
        self._every: tuple[str, ...] = ()

    def add(self, number: int, name: str) -> None:
        """Takes in one name."""
        words = words_of(name)
        stems = self.vocabulary.classed(words)
        self._stems[number] = tuple(stems)
        self._forms.setdefault("".join(stems), []).append(number)
        translated = self.vocabulary.translated(stems)
        if translated != stems:
            self._glossed[number] = tuple(translated)
            self._translated.setdefault("".join(translated), []).append(number)
        if len(words) >= INITIALS:
            self._initials.setdefault("".join(each[0] for each in words), []).append(number)
        for each in {*stems, *translated}:
            self._words.setdefault(each, []).append(number)

    def touched(self, forms: Forms) -> bool:
        """Whether some name has a form or a word of these."""
        return not (
            self._words.keys().isdisjoint(forms.stems)
            and self._forms.keys().isdisjoint(forms.joined)
            and self._translated.keys().isdisjoint(forms.joined)
            and self._initials.keys().isdisjoint(forms.joined)
        )

    def formed(self, span: Span) -> Iterator[tuple[Tier, int]]:
        """What has one of a stretch's forms, the surest way of knowing it first."""
        for number in self._initials.get(span.initials, ()):
            yield Tier.INITIALS, number
        for number in self._forms.get(span.form, ()):
            yield Tier.INFLECTED, number
        translated = "".join(span.translated)
        for listed in (self._forms, self._translated):
            for number in listed.get(translated, ()):
                yield Tier.TRANSLATED, number

    def holding(self, stems: Iterable[str]) -> set[int]:
        """What has all of these words in its name, in any order."""
        lists = sorted((self._words.get(each, []) for each in stems), key=len)
        if not lists or not lists[0]:
            return set()
        return set(lists[0]).intersection(*lists[1:])

    def stems(self, number: int) -> tuple[str, ...]:
        """The words of a name."""
        return self._stems[number]

    def glossed(self, number: int) -> tuple[str, ...]:
        """The same words in the language of most knowledge models."""
        return self._glossed.get(number) or self._stems[number]

    def knows(self, stem: str) -> Sequence[int]:
        """What has this word in its name."""
        return self._words.get(stem, ())

    def numbers(self) -> Iterable[int]:
        """Every number."""
        return self._stems.keys()

    def words(self) -> Sequence[str]:
        """Every word of every name."""
        if len(self._every) != len(self._words):
            self._every = tuple(self._words)
        return self._every


@dataclass(frozen=True, slots=True)
class NameList:
    """One list, as one person sees it.

    Attributes:
        folded: Every folded name and id.
        exact: The numbers of what has one of them.
        shown: Whether the person sees what has a number.
        entity: What has a number.
        synonyms: Folded word of the settings -> name as it stands in Celonis.
    """

    kind: Kind
    index: NameIndex
    folded: KeysView[str]
    exact: Callable[[str], Iterable[int]]
    shown: Callable[[int], bool]
    entity: Callable[[int], Entity]
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def touched(self, forms: Forms) -> bool:
        """Whether some stretch of a sentence may name something here."""
        return (
            self.index.touched(forms)
            or not self.folded.isdisjoint(forms.folded)
            or any(each in self.synonyms for each in forms.folded)
        )

    def named(self, span: Span) -> tuple[Tier, tuple[Entity, ...]] | None:
        """What a stretch names in whole, if anything, and how surely."""
        found = [number for number in self.exact(span.folded) if self.shown(number)]
        if found:
            entities = tuple(map(self.entity, found))
            same = tuple(each for each in entities if span.text in (each.name.text, each.name.id))
            return (Tier.EXACT, same) if same else (Tier.FOLDED, entities)
        if (meant := self.synonyms.get(span.folded)) is not None:
            found = [number for number in self.exact(fold(meant)) if self.shown(number)]
            if found:
                return Tier.SYNONYM, tuple(map(self.entity, found))
        hits = [(tier, number) for tier, number in self.index.formed(span) if self.shown(number)]
        if not hits:
            return None
        best = hits[0][0]
        numbers = dict.fromkeys(number for tier, number in hits if tier == best)
        return best, tuple(map(self.entity, numbers))

    def partly(self, stems: Sequence[str]) -> Iterator[tuple[Entity, tuple[str, ...]]]:
        """What holds these words and more, with the words that are missing."""
        held = self.index.holding(stems)
        if len(held) > MOST_HELD:
            return
        numbers = [each for each in held if self.shown(each)]
        if len(numbers) > MOST_HITS:
            return
        for number in sorted(numbers):
            said = set(stems)
            own, gloss = self.index.stems(number), self.index.glossed(number)
            missing = tuple(a for a, b in zip(own, gloss, strict=False) if a not in said and b not in said)
            yield self.entity(number), missing

    def near(self, word: str, most: int) -> Iterator[tuple[str, int]]:
        """Words of names that a word may be a misspelling of, with the number of edits."""
        for found, edits, _ in extract(
            word, self.index.words(), scorer=OSA.distance, score_cutoff=most, limit=_NEAREST
        ):
            if any(map(self.shown, self.index.knows(found))):
                yield found, int(edits)

    def knows(self, stem: str) -> bool:
        """Whether some name that is seen has this word."""
        return any(map(self.shown, self.index.knows(stem)))


@dataclass(frozen=True, slots=True)
class FieldValues:
    """Values of a field.

    Attributes:
        known: Folded value -> value.
        complete: All there are.
    """

    of: Entity
    known: Mapping[str, str]
    complete: bool = True

    def like(self, folded: str) -> str | None:
        """The value that a text is but for one edit, in a complete list; the only one."""
        if not self.complete or len(folded) < _VALUE_LETTERS or any(map(str.isdigit, folded)):
            return None
        close = extract(folded, list(self.known), scorer=OSA.distance, score_cutoff=1, limit=2)
        near = [each for each, _, _ in close if each[0] == folded[0] and len(each) >= _VALUE_LETTERS - 1]
        return self.known[near[0]] if len(near) == 1 else None


_VALUE_LETTERS = 6


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that one person can name here."""

    vocabulary: Vocabulary
    lists: Sequence[NameList]
    values: Sequence[FieldValues] = ()
    _by_value: dict[str, list[tuple[Entity, str]]] = field(default_factory=dict, init=False, repr=False)
    _by_form: dict[str, list[tuple[Entity, str]]] = field(default_factory=dict, init=False, repr=False)
    _every: dict[Kind, list[Entity]] = field(default_factory=dict, init=False, repr=False)
    _by_word: dict[str, list[tuple[Entity, str]]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for each in self.values:
            for folded, value in each.known.items():
                pair = (each.of, value)
                self._by_value.setdefault(folded, []).append(pair)
                stems = self.vocabulary.classed(words_of(value))
                self._by_form.setdefault("".join(stems), []).append(pair)
                if len(stems) > 1:
                    for one in set(stems):
                        self._by_word.setdefault(one, []).append(pair)

    def every(self, kind: Kind) -> Sequence[Entity]:
        """Everything of one kind that is seen."""
        found = self._every.get(kind)
        if found is None:
            found = self._every[kind] = [
                each.entity(number)
                for each in self.lists
                if each.kind is kind
                for number in each.index.numbers()
                if each.shown(number)
            ]
        return found

    def lacks(self, field: str, text: str) -> bool:
        """Whether all values of a field are known, and a text is none of them."""
        known = next((each for each in self.values if each.of.name.id == field), None)
        return known is not None and known.complete and fold(text) not in known.known

    def valued_loosely(self, form: str) -> Sequence[tuple[Entity, str]]:
        """The same, by the joined stems of the value's words."""
        return self._by_form.get(form, ())

    def valued_partly(self, stem: str) -> Sequence[tuple[Entity, str]]:
        """The same, by one word of the value; it may be meant, and is only offered."""
        found = self._by_word.get(stem, ())
        return found if len(found) <= _NEAREST else ()

    def valued(self, folded: str) -> Sequence[tuple[Entity, str]]:
        """The fields that have a value, each with the value as it is written there."""
        return self._by_value.get(folded, ())

    def valued_nearly(self, folded: str) -> Sequence[tuple[Entity, str]]:
        """The same for a misspelt value."""
        return [(each.of, value) for each in self.values if (value := each.like(folded)) is not None]

    def repairs(self, word: str) -> list[tuple[str, int]]:
        """What a word that nobody knows may be a misspelling of: known stems, the nearest first."""
        typed = stem(word)
        most = 2 if len(word) >= _LONG else 1 if len(word) >= _SHORT else 0
        if not most or any(map(str.isdigit, word)):
            return []
        found: dict[str, int] = {}
        for each in self.lists:
            for near, edits in each.near(typed, most):
                if self._plausible(typed, near, edits):
                    found[near] = min(edits, found.get(near, edits))
        if len(word) > _SHORT:
            for near, edits, _ in extract(
                word, self.vocabulary.known, scorer=OSA.distance, score_cutoff=1, limit=2
            ):
                if self._plausible(word, near, int(edits)):
                    found[near] = min(int(edits), found.get(near, int(edits)))
        least = min(found.values(), default=0)
        return [(each, edits) for each, edits in found.items() if edits == least]

    def _plausible(self, typed: str, near: str, edits: int) -> bool:
        shorter = min(len(typed), len(near))
        if shorter < _SHORT - 1 or near.startswith("~") or (edits > 1 and shorter < _LONG - 1):
            return False
        longer, other = (typed, near) if len(typed) > len(near) else (near, typed)
        return not any(
            longer.startswith(each) and longer.removeprefix(each) == other
            for each in self.vocabulary.opposites
        ) and not _turned(typed, near)


_TURNS = (("in", "ex"), ("im", "ex"), ("over", "under"), ("pre", "post"))


def _turned(one: str, other: str) -> bool:
    """Whether two words differ in a prefix that turns the meaning."""
    return any(
        {a for a in pair if one.startswith(a)} != {a for a in pair if other.startswith(a)}
        and any(one.startswith(a) for a in pair)
        and any(other.startswith(a) for a in pair)
        for pair in _TURNS
    )
