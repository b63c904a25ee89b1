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

from bot.language.vocabulary import HELD, Vocabulary, stem, words_of
from bot.model.names import Kind, Name, fold

if TYPE_CHECKING:
    from bot.language.values import FieldValues

INITIALS = 3
"""Words of the shortest name that is known by its initials."""
MOST_HELD = 3_000
"""Names of a whole list with some words, above which nobody looks which of them are seen."""
MOST_HITS = 300
"""Names that share some words, above which those words mean nothing here."""
_PART = 3
"""Letters of the shortest first part of a compound."""
TRAILING = "~trailing"
"""The last word of a name, where it says little (`Vocabulary.ends_lightly`)."""


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
        translated: Each way to say the stems in the language of most knowledge models.
        initials: What may be initials; empty for several words.
        last: Its last word.
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
    translated: Sequence[tuple[str, ...]]
    initials: str = ""
    last: str = ""
    closed: bool = False
    edits: int = 0
    guess: tuple[str, ...] = ()
    code: bool = False
    before: frozenset[str] = frozenset()

    def whole(self) -> frozenset[str]:
        """The forms by which it may be a whole name."""
        return frozenset((self.folded, self.form, self.initials, *map("".join, self.translated)))


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
            joined.update((each.form, each.initials, *map("".join, each.translated)))
            stems.update(*each.translated)
        return cls(frozenset(folded), frozenset(joined), frozenset(stems))


class Having(NamedTuple):
    """What a list has of the forms of a sentence: those of whole names, and words of names."""

    whole: set[str]
    stems: set[str]


class NameIndex:
    """The forms of a list's names. Numbers are places in the list.

    Args:
        words: Whose stems, ways of counting and glossary give the forms.
    """

    __slots__ = (
        "_counted",
        "_every",
        "_forms",
        "_initials",
        "_light",
        "_stems",
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
        self._stems: dict[int, tuple[str, ...]] = {}
        self._light: set[int] = set()
        self._every: tuple[str, ...] = ()
        self._counted = 0

    def add(self, number: int, name: str) -> None:
        """Takes in one name."""
        words = words_of(name)
        stems = self.vocabulary.classed(words)
        self._forms.setdefault("".join(stems), []).append(number)
        self._stems[number] = tuple(stems)
        if self.vocabulary.ends_lightly(words):
            self._light.add(number)
        ways = [each for each in self.vocabulary.translated(stems) if each != tuple(stems)]
        for each in dict.fromkeys(map("".join, ways)):
            self._translated.setdefault(each, []).append(number)
        if len(words) >= INITIALS:
            self._initials.setdefault("".join(each[0] for each in words), []).append(number)
        for each in {*stems, *(one for way in ways for one in way)}:
            self._words.setdefault(each, []).append(number)

    def having(self, forms: Forms) -> Having:
        """Which of these forms and words some name has."""
        joined = forms.joined
        whole = (
            self._forms.keys() & joined | self._translated.keys() & joined | self._initials.keys() & joined
        )
        return Having(whole, self._words.keys() & forms.stems)

    def formed(self, span: Span) -> Iterator[tuple[Tier, int]]:
        """What has one of a stretch's forms, the surest way of knowing it first."""
        for number in self._initials.get(span.initials, ()):
            yield Tier.INITIALS, number
        for number in self._forms.get(span.form, ()):
            yield Tier.INFLECTED, number
        for translated in map("".join, span.translated):
            for listed in (self._forms, self._translated):
                for number in listed.get(translated, ()):
                    yield Tier.TRANSLATED, number

    def holding(self, stems: Iterable[str]) -> Collection[int]:
        """What has all of these words in its name, in any order."""
        lists = sorted((self._words.get(each, ()) for each in stems), key=len)
        return set(lists[0]).intersection(*lists[1:]) if len(lists) > 1 else lists[0]

    def missing(self, number: int, said: frozenset[str]) -> tuple[str, ...]:
        """The words of a name that were not said, in no language; `TRAILING` for a last one that may lack."""
        stems = self._stems[number]
        glossary = self.vocabulary.glossary
        lacking = [
            each
            for each in stems
            if each not in said and not (each in glossary and any(map(said.issuperset, glossary[each])))
        ]
        if number in self._light and lacking[-1:] == [stems[-1]]:
            lacking[-1] = TRAILING
        return tuple(lacking)

    def knows(self, stem: str) -> Sequence[int]:
        """What has this word in its name."""
        return self._words.get(stem, ())

    def numbers(self) -> Iterable[int]:
        """Every number."""
        return self._stems.keys()

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

    def having(self, forms: Forms) -> Having:
        """Which forms of a sentence's stretches may name something here."""
        found = self.index.having(forms)
        own = self.folded & forms.folded | {each for each in forms.folded if each in self.synonyms}
        return Having(found.whole | own, found.stems) if own else found

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

    def ending(self, stem: str) -> Iterator[Entity]:
        """What has a word in its name that ends with this one ("Schadenursache")."""
        opposites = self.index.vocabulary.opposites
        for word in self.index.words():
            if word.endswith(stem) and len(word) >= len(stem) + _PART and word[: -len(stem)] not in opposites:
                yield from (self.entity(each) for each in self.index.knows(word) if self.shown(each))

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
    ways: Iterable[Sequence[str]], lists: Sequence[NameList]
) -> Iterator[tuple[NameList, int, tuple[str, ...]]]:
    """The numbers of what holds the words of one of these ways and more, with the words that are missing."""
    seen: set[tuple[int, int]] = set()
    for stems in ways:
        for each, number, missing in _holding(stems, lists):
            if (id(each), number) not in seen:
                seen.add((id(each), number))
                yield each, number, missing


def _holding(
    stems: Sequence[str], lists: Iterable[NameList]
) -> Iterator[tuple[NameList, int, tuple[str, ...]]]:
    """The same for one way; nothing where it is too much."""
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
        yield each, number, each.index.missing(number, said)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that one person can name here.

    Attributes:
        any_value: Whether a text that no field has may stand for a value all the same.
    """

    vocabulary: Vocabulary
    lists: Sequence[NameList]
    values: Sequence[FieldValues] = ()
    any_value: bool = False
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

    def currencies(self, amount: Entity, unit: str) -> Sequence[tuple[Entity, str]] | None:
        """The fields beside an amount that say its currency, with the value that a unit is.

        Returns:
            None where the unit is no currency, the amount's own name holds it, or no field says it.
        """
        measure, code = self.vocabulary.units.get(unit, ("", ""))
        record = amount.owner(Kind.RECORD)
        beside = [each for each in self.values if each.currencies and each.of.owner(Kind.RECORD) == record]
        if measure != "money" or not beside or self.vocabulary.measured(amount.name.text, unit) == HELD:
            return None
        return [(each.of, value) for each in beside for value in each.coded(code)]

    def lacks(self, field: str, text: str) -> bool:
        """Whether all values of a field are known, and a text is none of them."""
        known = next((each for each in self.values if each.of.name.id == field), None)
        return not self.any_value and known is not None and known.complete and fold(text) not in known.known

    def named(self, stem: str) -> bool:
        """Whether some name that is seen has this word."""
        return any(each.knows(stem) for each in self.lists)

    def knows(self, word: str) -> bool:
        """Whether a name, a value or a word of the language has this word."""
        if word in self.vocabulary.known:
            return True
        folded, form = fold(word), stem(word)
        if any(each.knows(folded, form) for each in self.values):
            return True
        return any(
            map(self.named, {form, *(one for way in self.vocabulary.glossary.get(form, ()) for one in way)})
        )


def plainest(fields: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Where one field's name is a part of all others' ("Country", "Customer country"), that one is meant."""
    for each in fields:
        own = set(map(stem, words_of(each.name.text)))
        others = (set(map(stem, words_of(other.name.text))) for other in fields if other is not each)
        if all(own < other or _ends(own, other) for other in others):
            return (each,)
    return fields


def _ends(own: set[str], other: set[str]) -> bool:
    """Whether a compound ends with a word: "Lieferantenland", "Land"."""
    return len(own) == len(other) == 1 and min(other) != min(own) and min(other).endswith(min(own))
