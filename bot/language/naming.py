"""The edges of a text that are names or values, found in a `Lexicon`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import product
from typing import TypeAlias

from bot.language.edges import Cost, Edge, Named, Text, Valued
from bot.language.lexicon import Entity, Forms, Having, Lexicon, NameList, Span, Tier, holding
from bot.language.values import FieldValues
from bot.language.vocabulary import stem, words_of
from bot.model.names import Kind, fold

LONGEST_NAME = 8
"""Words of the longest name that is looked for."""
MOST_VALUED = 8
"""Values that share a word, above which it means none of them."""
MOST_PARTLY = 6
"""Names that share some words, above which they are no offer."""
_TWICE = Cost(tier=Tier.FOLDED)
"""A word that stands for two things is no sure name."""
_NEGATING = ("un", "non", "nicht")
_LINKS = ("", "s", "es", "n", "en", "e")
"""What stands between the parts of a compound."""
_PART = 3
"""Letters of the shortest part of one."""
_HEADED = frozenset({Kind.FIELD, Kind.RECORD})
"""Kinds that may go by the last part of a compound."""
_HEAD = 4
"""Letters that the last part of a compound has more than."""
Stretch: TypeAlias = tuple[int, int, tuple[str, ...], str]
"""Where something that may be a name begins and ends, its words, without those of what stands inside it, and the word that
stands before it. What a stretch can be hangs on nothing else, but for what `Naming.of` takes in first."""


class Naming:
    """Finds what is named in a text. Each stretch is looked up once, in however many ways the rest is spelt.

    Args:
        text: What was typed.
        lexicon: What can be named.

    Attributes:
        edits: For each place and word that was not typed there, the edits that were made to get it.
    """

    def __init__(self, text: Text, lexicon: Lexicon) -> None:
        self.text = text
        self.lexicon = lexicon
        self.words = lexicon.vocabulary
        self.edits: dict[tuple[int, str], int] = {}
        self._known: dict[Stretch, Sequence[Edge]] = {}
        self._spans: dict[Stretch, Span | None] = {}
        self._lacking: set[tuple[int, int]] = set()
        """Stretches that hold a part of a filter's name, which is meant if the rest stands elsewhere."""
        self._said: set[str] = set()
        self._done: set[str] = set()
        """What verbs of the sentence say of things ("shipped", where "did we ship" is asked)."""
        self._shown = not lexicon.vocabulary.shows.isdisjoint(text.typed)
        self._units = {self.words.units[each] for each in text.typed if each in self.words.units}
        self._nouns = [each for each in lexicon.lists if each.kind is Kind.RECORD]

    def of(self, ways: Sequence[tuple[str, ...]], strange: AbstractSet[int] = frozenset()) -> list[Edge]:
        """All of them.

        Args:
            ways: The words of the tokens, each way with other ones of them repaired.
            strange: The tokens that nobody knows: they may be of a misspelt value.
        """
        said, done = len(self._said), len(self._done)
        for words in ways:
            stems = self.words.classed([one for each in words for one in words_of(each)])
            self._said.update(one for each in stems for way in self.words.translated([each]) for one in way)
            self._done.update(map(stem, self.words.done(words)))
        if done < len(self._done):
            self._known.clear()
        elif said < len(self._said):  # the rest of a name may stand elsewhere now
            self._known = {key: each for key, each in self._known.items() if key[:2] not in self._lacking}
        found = [edge for at, each in enumerate(self.text.tokens) if each.quoted for edge in self._quoted(at)]
        keys = self._look_up(key for words in ways for key in self._stretches(words))
        keys |= self._look_up(self._apart(strange))
        found.extend(edge for key in keys for edge in self._known[key])
        found.extend(self._nearly(strange))
        found.extend(edge for at in strange for edge in self._parts(at))
        found.extend(self._shared(found, ways))
        return found

    def _quoted(self, at: int) -> Iterator[Edge]:
        text = self.text.tokens[at].word
        for kind, lists in _by_kind(self.lexicon.lists):
            if found := _sorted(one for each in lists for one in each.called(fold(text))):
                yield Edge(at, at + 1, Named(kind, found), Cost(edges=1))
        stems = self.words.classed(words_of(text))
        forms = "".join(stems), self.words.translated(stems)
        before = self._meaning(self._before(self.text.typed, at))
        span = Span(at, at + 1, text, fold(text), *forms, code=True, before=before)
        yield from (each for each in self._values(span, self.lexicon.values) if not each.cost.unknown)

    def _stretches(self, words: tuple[str, ...]) -> Iterator[Stretch]:
        """Every stretch that may be a name."""
        for start in range(len(words)):
            for end in range(start + 1, min(start + LONGEST_NAME, len(words)) + 1):
                if self.text.tokens[end - 1].quoted:
                    break
                yield start, end, words[start:end], self._before(words, start)

    def _apart(self, strange: AbstractSet[int]) -> Iterator[Stretch]:
        """Two words that are one in a name ("durchlauf zeit")."""
        typed = self.text.typed
        for start in {one for at in strange for one in (at - 1, at) if 0 <= one < len(typed) - 1}:
            if self.lexicon.named(stem(whole := "".join(typed[start : start + 2]))):
                yield start, start + 2, (whole,), self._before(typed, start)

    def _parts(self, at: int) -> Iterator[Edge]:
        """What a word that nobody knows may be a part of, or turn round."""
        word = self.text.typed[at]
        form = stem(word)
        for kind, lists in _by_kind(self.lexicon.lists):
            if (
                kind in _HEADED
                and len(form) > _HEAD
                and (found := _sorted(one for each in lists for one in each.ending(form)))
            ):
                named = Named(kind, found, several=self._several(word, found[0]), headed=kind is Kind.FIELD)
                yield Edge(at, at + 1, named, Cost(0, 0, 1, Tier.INFLECTED, 1), (found[0].name.text,))
        yield from self._compound(at)
        yield from self._verb(at)
        for prefix in _NEGATING:
            if word.startswith(prefix):
                rest = word.removeprefix(prefix)
                span = self._alone(at, rest)
                said = ((each.of, each.said(span, span.form)) for each in self.lexicon.values)
                pairs = _ordered((of, value) for of, one in said if one and one.meant for value in one.values)
                if pairs:
                    yield Edge(at, at + 1, Valued(pairs, opposite=True), Cost(1, 0, 0, Tier.INFLECTED, 1))

    def _compound(self, at: int) -> Iterator[Edge]:
        """A value and what has it in one word: "Hausratschäden" are "Schäden" of the value "Hausrat"."""
        word = self.text.typed[at]
        records = [each for each in self.lexicon.lists if each.kind is Kind.RECORD]
        for cut in range(_PART, len(word) - _PART + 1):
            tail = self._alone(at, word[cut:])
            named = [one for each in records if (found := each.named(tail)) for one in found[1]]
            for link in _LINKS if named else ():
                head = self._alone(at, word[:cut].removesuffix(link))
                if len(head.text) < _PART or not word[:cut].endswith(link):
                    continue
                said = ((each.of, each.said(head, head.form)) for each in self.lexicon.values)
                pairs = _ordered((of, value) for of, one in said if one and one.sure for value in one.values)
                for record in _sorted(named):
                    inside = tuple(each for each in pairs if each[0].owner(Kind.RECORD) == record.name)
                    if inside:
                        what = Named(Kind.RECORD, (record,), Valued(inside), several=True)
                        yield Edge(at, at + 1, what, Cost(tier=Tier.INFLECTED, edges=1))

    def _alone(self, at: int, text: str) -> Span:
        """A part of a word as a stretch of its own."""
        return Span(at, at + 1, text, fold(text), self.words.joined(text), [(stem(text),)])

    def _verb(self, at: int) -> Iterator[Edge]:
        """What somebody did, where things in that state are known: "did tom miss" are those that are "missed"."""
        if "did" not in self.text.typed[:at]:
            return
        word = self.text.typed[at]
        for done in (f"{word}ed", f"{word}d", f"{word}{word[-1]}ed"):
            span = self._alone(at, done)
            flags = [
                one
                for each in self.lexicon.lists
                if each.kind in {Kind.FIELD, Kind.FILTER} and (found := each.named(span))
                for one in found[1]
                if one.kind is Kind.FILTER or one.type == "boolean"
            ]
            for kind in (Kind.FILTER, Kind.FIELD):
                if same := _sorted(each for each in flags if each.kind is kind):
                    yield Edge(at, at + 1, Named(kind, same), Cost(tier=Tier.INFLECTED, edges=1), (done,))
            said = ((each.of, each.said(span, span.form)) for each in self.lexicon.values)
            if pairs := _ordered((of, value) for of, one in said if one and one.sure for value in one.values):
                yield Edge(at, at + 1, Valued(pairs), Cost(tier=Tier.INFLECTED, edges=1), (done,))

    def _several(self, word: str, entity: Entity) -> bool:
        """Whether a word is the plural of the last one of a name, or of what it translates."""
        own = words_of(entity.name.text)[-1:]
        if own and fold(own[0]) == fold(word):
            return entity.kind is Kind.RECORD
        if own and stem(own[0]) == stem(word):
            return len(word) > len(own[0])
        return word in self.words.plurals or stem(word) + "s" == word

    def _look_up(self, stretches: Iterable[Stretch]) -> dict[Stretch, None]:
        """The same stretches, each once; what they name is found out for those that are new."""
        keys = dict.fromkeys(stretches)
        new = [key for key in keys if key not in self._known]
        for key in new:
            if key not in self._spans:
                self._spans[key] = self._span(*key)
        forms = Forms.of(filter(None, map(self._spans.__getitem__, new)))
        lists = [
            (kind, [(each, having) for each in lists if any(having := each.having(forms))])
            for kind, lists in _by_kind(self.lexicon.lists)
        ]
        values = [each for each in self.lexicon.values if each.touched(forms)]
        for key in new:
            span = self._spans[key]
            self._known[key] = [*self._names(span, lists), *self._values(span, values)] if span else ()
        return keys

    def _span(self, start: int, end: int, words: tuple[str, ...], before: str) -> Span | None:
        """A stretch with its forms; None if no name begins or ends so."""
        pieces = words_of(" ".join(words))
        stems = self.words.classed(pieces)
        if not stems or not words_of(words[0]) or not words_of(words[-1]):
            return None
        repaired = [each for each in enumerate(words, start) if each in self.edits]
        text = " ".join(words) if repaired else self.text.said(start, end)
        return Span(
            start,
            end,
            text,
            fold(text),
            "".join(stems),
            self.words.translated(stems),
            words[0] if end == start + 1 else "",
            words[-1],
            self.words.silent(words[0]) or self.words.silent(words[-1]),
            sum(self.edits[each] for each in repaired),
            tuple(word for _, word in repaired),
            self._coded(text),
            self._meaning(before),
        )

    def _coded(self, text: str) -> bool:
        """Whether a text may be an abbreviation."""
        if not text.isupper() or self.words.spoken(text.casefold()):
            return False
        return len(self.text.tokens) == 1 or not self.text.text.isupper()

    def _before(self, words: Sequence[str], start: int) -> str:
        """The word before a place, but for such as "is"."""
        while start and (self.words.silent(words[start - 1]) or words[start - 1] == "="):
            start -= 1
        return words[start - 1] if start else ""

    def _meaning(self, word: str) -> frozenset[str]:
        """The stems of a word in each language."""
        stems = self.words.classed(words_of(word))
        return frozenset(one for way in self.words.translated(stems) for one in way)

    def _names(
        self, span: Span, lists: Iterable[tuple[Kind, Sequence[tuple[NameList, Having]]]]
    ) -> Iterator[Edge]:
        partly = not span.closed and any(
            len(one) > 1 and one[0] != "~" for way in span.translated for one in way
        )
        forms = span.whole()
        for kind, listed in lists:
            whole: dict[Tier, list[Entity]] = {}
            others = []
            for each, having in listed:
                found = None if having.whole.isdisjoint(forms) else each.named(span)
                if found is not None:
                    tier = found[0] if found[0] > Tier.FOLDED else Tier.EXACT  # case and dashes say nothing
                    whole.setdefault(tier, []).extend(found[1])
                elif partly and any(map(having.stems.issuperset, span.translated)):
                    others.append(each)
            for tier, entities in sorted(whole.items()):
                cost = Cost(0, span.edits, 0, tier, 1)
                same = _sorted(entities)
                named = Named(kind, same, several=self._several(span.last, same[0]))
                yield Edge(span.start, span.end, named, cost, span.guess)
            if others:
                yield from self._partly(span, kind, others)

    def _partly(self, span: Span, kind: Kind, lists: Sequence[NameList]) -> Iterator[Edge]:
        """Names that hold these words and more: meant if only neutral words are missing, else to be offered.

        A filter's head noun may stand elsewhere ("how many orders are open"), a field may go by its last word alone.
        """
        heads: list[Entity] = []
        head = kind is Kind.FIELD or (kind is Kind.RECORD and self._shown)
        shown = kind is Kind.KPI and self._shown
        neutral = self.words.neutral | self._done if self._done else self.words.neutral
        by_missing: dict[tuple[int, int], list[tuple[NameList, int]]] = {}
        for each, number, missing in holding(span.translated, lists):
            lacking = [one for one in missing if one not in neutral]
            narrow = len(lacking)
            if kind is Kind.FILTER and self._said_elsewhere(lacking, span):
                named = Named(kind, (each.entity(number),))
                yield Edge(span.start, span.end, named, Cost(edits=span.edits), span.guess)
                continue
            if lacking and head and self._heads(span, each.entity(number)):
                heads.append(each.entity(number))
            if shown and "~count" in missing:
                narrow += 1  # "show invoices" asks for them, not for how many there are
            if missing and self._in_another_unit(each.entity(number)):
                narrow += 1
            by_missing.setdefault((narrow, len(missing)), []).append((each, number))
        if heads:
            found = _sorted(heads)
            several = self._several(span.last, found[0])
            named = Named(kind, found, several=several, headed=kind is Kind.FIELD)
            guess = (*span.guess, found[0].name.text)
            yield Edge(span.start, span.end, named, Cost(0, span.edits, 1, Tier.INFLECTED, 1), guess)
        for narrow, count in sorted(by_missing)[:2]:
            held = by_missing[narrow, count]
            if not narrow or len(held) <= MOST_PARTLY:
                # All of them have the words in another order than they were said, or more words.
                cost = Cost(1 if narrow else 0, span.edits, count, Tier.INFLECTED, 1)
                entities = _sorted(each.entity(number) for each, number in held)
                guess = (*span.guess, entities[0].name.text) if count else span.guess
                named = Named(kind, entities, several=self._several(span.last, entities[0]))
                yield Edge(span.start, span.end, named, cost, guess)

    def _in_another_unit(self, entity: Entity) -> bool:
        """Whether a unit was said of what the thing measures in another one ("value in usd", "Value in EUR")."""
        if not self._units:
            return False
        measure, unit = self.words.units.get((words_of(entity.name.text) or [""])[-1], ("", ""))
        return any(each == measure and other != unit for each, other in self._units)

    def _said_elsewhere(self, lacking: Sequence[str], span: Span) -> bool:
        """Whether all that a filter's name lacks is the noun of a record, which stands elsewhere in the sentence."""
        self._lacking.add((span.start, span.end))
        return (
            bool(lacking)
            and self._said.issuperset(lacking)
            and all(any(each.knows(one) for each in self._nouns) for one in lacking)
            and not all(
                any(each.knows(one) for each in self._nouns) for way in span.translated for one in way
            )
        )

    def _heads(self, span: Span, field: Entity) -> bool:
        """Whether a word is the last one of a field's name, units and the like aside ("channel", "Contact channel")."""
        name = words_of(field.name.text)
        while self.words.ends_lightly(name):
            name.pop()
        head = stem(name[-1])
        numbers = head.endswith((*self.words.keys, "date", "datum"))
        return not numbers and span.end == span.start + 1 and (head,) in span.translated

    def _values(self, span: Span, values: Sequence[FieldValues]) -> Iterator[Edge]:
        """Values that a stretch says; those that are only to be offered where none is meant."""
        found: dict[Cost, list[tuple[Entity, str]]] = {}
        translated = "".join(span.translated[0])
        for each in values:
            if (said := each.said(span, translated)) is not None:
                cost = Cost(int(not said.meant), span.edits, said.missing, said.tier, 1)
                found.setdefault(cost, []).extend((each.of, value) for value in said.values)
        meant = [each for each in found if not each.unknown]
        for cost in meant or found:
            pairs = _ordered(found[cost])
            if meant or len(pairs) <= MOST_VALUED:
                guess = (*span.guess, pairs[0][1]) if cost.missing else span.guess
                yield Edge(span.start, span.end, Valued(pairs), cost, guess)

    def _nearly(self, strange: AbstractSet[int]) -> Iterator[Edge]:
        """Values that a stretch with words that nobody knows may be a misspelling of."""
        for key in self._stretches(self.text.typed) if strange else ():
            start, end, _, _ = key
            span = self._spans[key]
            if span is None or span.closed or strange.isdisjoint(range(start, end)):
                continue
            if any(isinstance(each.what, Valued) for each in self._known[key]):
                continue
            if any(self.lexicon.named(one) for way in span.translated for one in way):
                continue
            if pairs := _ordered(
                (each.of, value) for each in self.lexicon.values for value in each.nearly(span.folded)
            ):
                yield Edge(start, end, Valued(pairs), Cost(0, 1, 0, Tier.INFLECTED, 1), (pairs[0][1],))

    def _shared(self, edges: Iterable[Edge], ways: Sequence[tuple[str, ...]]) -> Iterator[Edge]:
        """Filters and values inside a name: "number of open orders" is "Number of orders" with "Open orders"."""
        for each in edges:
            inner = each.what
            if not isinstance(inner, Named | Valued) or each.cost.unknown:
                continue
            if isinstance(inner, Named) and inner.kind is not Kind.FILTER:
                continue
            around = (
                (at, end, left, self._before(words, at))
                for words in ways
                for at, end, left in _around(each, words)
            )
            for key in self._look_up(around):
                for outer in self._known[key]:
                    if isinstance(outer.what, Named) and not outer.cost.unknown:
                        whole = Kind.RECORD if not outer.cost.missing else Kind.KPI
                        if outer.what.kind in {Kind.KPI, whole}:
                            what = outer.what._replace(inside=inner)
                            cost = each.cost.plus(outer.cost).plus(_TWICE)
                            if isinstance(
                                inner, Valued
                            ):  # a filter that is called so is meant before a value
                                cost = cost.plus(Cost(roles=1))
                            yield Edge(key[0], key[1], what, cost, each.guess + outer.guess)


def _around(inner: Edge, words: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The stretches that a filter or a value may stand inside of, with the words that are left for the name."""
    start, end = inner.start, inner.end
    befores = range(max(0, start - 3), start + 1)
    if isinstance(inner.what, Named):
        head = tuple(words_of(words[end - 1])[-1:])
        yield from ((at, end, (*words[at:start], *head)) for at in befores)
    elif start:
        for last, at in product(range(end + 1, min(end + 3, len(words)) + 1), befores):
            if at < start:
                yield at, last, (*words[at:start], *words[end:last])


def _by_kind(lists: Iterable[NameList]) -> list[tuple[Kind, list[NameList]]]:
    found: dict[Kind, list[NameList]] = {}
    for each in lists:
        found.setdefault(each.kind, []).append(each)
    return sorted(found.items())


def _ordered(pairs: Iterable[tuple[Entity, str]]) -> tuple[tuple[Entity, str], ...]:
    """Values of fields, in an order that has nothing to do with that of the lists."""
    return tuple(sorted(pairs, key=lambda pair: (pair[0].name.text, pair[0].name.id, pair[1])))


def _sorted(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """In an order that has nothing to do with that of the lists."""
    return tuple(
        sorted(
            entities,
            key=lambda each: (each.name.text, each.name.id, *(owner.id for _, owner in each.within)),
        )
    )
