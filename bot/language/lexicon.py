"""What can be named here: lists of names and of values, each with an index of the forms people type.

An index is built once for a list and shared; what a person may see of it is asked for each hit, before anything is
ranked, so that what is hidden is not known to those it is hidden from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from bot.language.vocabulary import Vocabulary, stem, words_of
from bot.model.names import Kind, Name, fold

if TYPE_CHECKING:
    from bot.language.values import FieldValues

INITIALS = 3
"""Words of the shortest name that is known by its initials."""
MOST_HELD = 3_000
"""Names of a whole list with some words, above which nobody looks which of them are seen."""
MOST_HITS = 300
"""Names that share some words, above which those words mean nothing here."""
_SHORT, _LONG = 4, 8
"""Letters from which one and two edits count as a misspelling."""


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
        edits: What was made to get it of what was typed.
        guess: The words that were not typed so.
        code: It may be an abbreviation: it stands in quotes, or in capitals where other words do not.
        before: The stems of the word before it.
    """

    start: int
    end: int
    text: str
    folded: str
    form: str
    translated: Sequence[str]
    initials: str = ""
    closed: bool = False
    edits: int = 0
    guess: tuple[str, ...] = ()
    code: bool = False
    before: frozenset[str] = frozenset()


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

    __slots__ = (
        "_counted",
        "_every",
        "_forms",
        "_glossed",
        "_initials",
        "_translated",
        "_words",
        "vocabulary",
    )

    def __init__(self, words: Vocabulary) -> None:
        self.vocabulary = words
        self._forms: dict[str, list[int]] = {}
        self._translated: dict[str, list[int]] = {}
        self._initials: dict[str, list[int]] = {}
        self._words: dict[str, list[int]] = {}
        self._glossed: dict[int, tuple[str, ...]] = {}
        self._every: tuple[str, ...] = ()
        self._counted = 0

    def add(self, number: int, name: str) -> None:
        """Takes in one name."""
        words = words_of(name)
        stems = self.vocabulary.classed(words)
        self._forms.setdefault("".join(stems), []).append(number)
        translated = self.vocabulary.translated(stems)
        self._glossed[number] = tuple(translated)
        if translated != stems:
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

    def holding(self, stems: Iterable[str]) -> Collection[int]:
        """What has all of these words in its name, in any order."""
        lists = sorted((self._words.get(each, ()) for each in stems), key=len)
        return set(lists[0]).intersection(*lists[1:]) if len(lists) > 1 else lists[0]

    def glossed(self, number: int) -> tuple[str, ...]:
        """The words of a name, in the language of most knowledge models."""
        return self._glossed[number]

    def knows(self, stem: str) -> Sequence[int]:
        """What has this word in its name."""
        return self._words.get(stem, ())

    def numbers(self) -> Iterable[int]:
        """Every number."""
        return self._glossed.keys()

    def words(self) -> Sequence[str]:
        """Every word of every name that has no digit: those may be misspelt."""
        if self._counted != len(self._words):
            self._counted = len(self._words)
            self._every = tuple(each for each in self._words if not any(map(str.isdigit, each)))
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

    def called(self, folded: str) -> tuple[Entity, ...]:
        """What has this folded name or id."""
        return tuple(self.entity(number) for number in self.exact(folded) if self.shown(number))

    def named(self, span: Span) -> tuple[Tier, tuple[Entity, ...]] | None:
        """What a stretch names in whole, if anything, and how surely."""
        if entities := self.called(span.folded):
            same = tuple(each for each in entities if span.text in (each.name.text, each.name.id))
            return (Tier.EXACT, same) if same else (Tier.FOLDED, entities)
        meant = self.synonyms.get(span.folded)
        if meant is not None and (entities := self.called(fold(meant))):
            return Tier.SYNONYM, entities
        hits = [(tier, number) for tier, number in self.index.formed(span) if self.shown(number)]
        if not hits:
            return None
        best = hits[0][0]
        numbers = dict.fromkeys(number for tier, number in hits if tier == best)
        return best, tuple(map(self.entity, numbers))

    def near(self, word: str, most: int) -> Iterator[tuple[str, int]]:
        """Words of names that a word may be a misspelling of, with the number of edits."""
        for found, edits, _ in extract(
            word, self.index.words(), scorer=OSA.distance, score_cutoff=most, limit=None
        ):
            if any(map(self.shown, self.index.knows(found))):
                yield found, int(edits)

    def knows(self, stem: str) -> bool:
        """Whether some name that is seen has this word."""
        return any(map(self.shown, self.index.knows(stem)))


def holding(
    stems: Sequence[str], lists: Iterable[NameList]
) -> Iterator[tuple[NameList, int, tuple[str, ...]]]:
    """The numbers of what holds these words and more, with the words that are missing; nothing where it is too much."""
    hits: list[tuple[NameList, int]] = []
    for each in lists:
        held = each.index.holding(stems)
        if len(held) > MOST_HELD:
            return
        hits.extend((each, number) for number in held if each.shown(number))
        if len(hits) > MOST_HITS:
            return
    said = frozenset(stems)
    for each, number in hits:
        yield each, number, tuple(one for one in each.index.glossed(number) if one not in said)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that one person can name here."""

    vocabulary: Vocabulary
    lists: Sequence[NameList]
    values: Sequence[FieldValues] = ()
    _every: dict[Kind, list[Entity]] = field(default_factory=dict, init=False, repr=False)

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

    def knows(self, word: str) -> bool:
        """Whether a name, a value or a word of the language has this word."""
        if word in self.vocabulary.known:
            return True
        folded, form = fold(word), stem(word)
        if any(each.knows(folded, form) for each in self.values):
            return True
        known = {form, *self.vocabulary.glossary.get(form, ())}
        return any(each.knows(one) for each in self.lists for one in known)

    def repairs(self, word: str) -> list[tuple[str, int]]:
        """What a word that nobody knows may be a misspelling of: known stems, the nearest first."""
        typed = stem(word)
        most = 2 if len(word) >= _LONG else 1 if len(word) >= _SHORT else 0
        if not most or any(map(str.isdigit, word)):
            return []
        found: dict[str, int] = {}
        near = [one for each in self.lists for one in each.near(typed, most)]
        if len(word) > _SHORT:
            known = extract(word, self.vocabulary.known, scorer=OSA.distance, score_cutoff=1, limit=None)
            near.extend((each, int(edits)) for each, edits, _ in known)
        for each, edits in near:
            if self._plausible(typed, each, edits):
                found[each] = min(edits, found.get(each, edits))
        least = min(found.values(), default=0)
        return sorted((each, edits) for each, edits in found.items() if edits == least)

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
