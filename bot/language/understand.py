"""What a sentence in somebody's own words can mean: names first, grammar after.

A text becomes tokens, tokens become edges (a name, a value, a word with a class, a period, a number, something that
nobody knows), and the cheapest ways through the edges become intents: each intent that has a place for everything that
was said. Costs are whole numbers compared in order; nothing here is a similarity in percent. No network, no catalog, no
command: what can be named comes as a `Lexicon`, what can be asked as `Frames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple

from bot.language.drafts import is_silent
from bot.language.edges import (
    Coded,
    Cost,
    Edge,
    Named,
    Numbered,
    Spoken,
    Text,
    Unknown,
    Valued,
    What,
    role_of,
)
from bot.language.frames import Frames, intents
from bot.language.joined import joined
from bot.language.lexicon import Lexicon, Tier
from bot.language.making import MOST_READINGS
from bot.language.naming import Naming
from bot.language.repairs import repairs
from bot.language.say import say
from bot.language.scope import Scope
from bot.language.vocabulary import Class, Sense, Vocabulary
from bot.model.intents import Intent
from bot.model.names import Kind, Name

MOST_TOKENS = 60
PATHS = 40
MOST_REPAIRED = 6
MOST_TRIED = 24
"""Ways to repair a sentence that are tried."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one stretch of a sentence was read as."""

    text: str
    role: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that a sentence can mean, with what speaks against it and what each word is in it."""

    intent: Intent
    cost: Cost
    account: tuple[Account, ...]
    taken: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    free: bool = False
    """Whether it holds a text that no list of values confirms."""


class _Found(NamedTuple):
    intent: Intent
    cost: Cost
    path: tuple[Edge, ...]

    def rivals(self, best: _Found) -> bool:
        """Whether it may be meant as well as the best: a guess is sure only if nothing else could be guessed."""
        if _guess(self.path) == _guess(best.path):
            return self.cost == best.cost
        return self.cost[:3] == best.cost[:3]


@dataclass(frozen=True, slots=True)
class Understanding:
    """What came of a sentence.

    Attributes:
        readings: The best, all of equal cost; one is certain, several have to be chosen from; none is unclear.
        offers: Near misses, the nearest first: what can be meant if some words are left out or taken otherwise.
        unknown: Words that no reading accounts for.
        models: The knowledge models of what was named, where it is clear what was.
        pools: The same for data pools.
        wish: What is not offered here, as a sentence.
        account: What each word was most likely meant as, where there is neither a reading nor an offer.
        more: Readings as good as those, at least so many, that were left out.
        unread: Knowledge models and data pools whose names were not looked at.
    """

    readings: tuple[Reading, ...] = ()
    offers: tuple[Reading, ...] = ()
    unknown: tuple[str, ...] = ()
    wish: str = ""
    models: tuple[Name, ...] = ()
    pools: tuple[Name, ...] = ()
    account: tuple[Account, ...] = ()
    more: int = 0
    unread: tuple[Name, ...] = ()


def understand(text: str, lexicon: Lexicon, frames: Frames, scope: Scope) -> Understanding:
    """What a text can mean. The same for the same arguments, whatever the order of the lists."""
    return _Sentence(text, lexicon, frames, scope).understood()


class _Sentence:
    def __init__(self, text: str, lexicon: Lexicon, frames: Frames, scope: Scope) -> None:
        self.text = Text(text)
        self.lexicon = lexicon
        self.words: Vocabulary = lexicon.vocabulary
        self.frames = frames
        self.scope = scope
        self.tokens = self.text.tokens
        self.typed = self.text.typed
        self.naming = Naming(self.text, lexicon)
        self.spoken = Spoken(self.text, lexicon.vocabulary, scope.now, self.naming.edits)
        self.straight: Sequence[tuple[Cost, tuple[Edge, ...]]] = ()

    def understood(self) -> Understanding:
        if not self.tokens:
            return Understanding((Reading(self.frames.help(), Cost(), ()),))
        if len(self.tokens) > MOST_TOKENS:
            return Understanding(unknown=(self.text.text,))
        self.straight = self._paths([self.typed])
        best = self._read(self.straight)
        if self.scope.repair and (not best or best[0].cost.unknown):
            strange = frozenset(at for at in range(len(self.tokens)) if self._strange(at))
            if 0 < len(strange) <= MOST_REPAIRED:
                repaired = self._read(self._paths(list(self._ways(sorted(strange))), strange))
                best = sorted([*repaired, *best], key=lambda each: each.cost)
        return self._judged(best)

    def _ways(self, strange: Sequence[int]) -> Iterator[tuple[str, ...]]:
        """The words as they were typed, and with strange ones taken for what they may be misspellings of."""
        yield self.typed
        if len(strange) > max(2, len(self.tokens) * 3 // 4):
            return
        choices = []
        for at in strange:
            near = repairs(self.typed[at], self.lexicon)[:3]
            self.naming.edits.update(((at, word), edits) for word, edits in near)
            choices.append((self.typed[at], *(word for word, _ in near)))
        for chosen in islice(product(*choices), 1, MOST_TRIED):
            words = dict(zip(strange, chosen, strict=True))
            yield tuple(words.get(at, word) for at, word in enumerate(self.typed))

    def _strange(self, at: int) -> bool:
        """Whether nobody knows a word: no name, no value, no word of the language has it."""
        token = self.tokens[at]
        return not token.quoted and token.word[:1].isalpha() and not self.lexicon.knows(token.word)

    def _judged(self, found: Sequence[_Found]) -> Understanding:
        unique: dict[Intent, _Found] = {}
        for each in found:
            unique.setdefault(each.intent, each)
        ranked = list(unique.values())
        whole = [each for each in ranked if not each.cost.unknown]
        wish = self._wish(alone=bool(whole))
        if wish or not whole:
            offers = tuple(map(self._reading, ranked[:MOST_READINGS]))
            likeliest = self.straight[0][1]
            unknown = offers[0].unknown if offers else _strangers(likeliest)
            return Understanding(
                offers=offers,
                unknown=unknown,
                wish=wish,
                models=_within(likeliest, Kind.MODEL),
                pools=_within(likeliest, Kind.POOL),
                account=self._account(likeliest),
            )
        equal = [each for each in whole if each.rivals(whole[0])]
        if len(equal) > 1:
            equal.sort(key=lambda each: (each.cost, say(each.intent)))
        rest = [each for each in ranked if each not in equal][:3]
        return Understanding(
            tuple(map(self._reading, equal[:MOST_READINGS])),
            tuple(map(self._reading, rest)),
            more=max(0, len(equal) - MOST_READINGS),
        )

    def _wish(self, *, alone: bool) -> str:
        """What is wished for and not offered; `alone`: by words that say nothing else ("why" asks of a job, too)."""
        at = 0
        while at < len(self.tokens):
            for end, senses in self.words.at(self.typed, at):
                wish = next((each for each in senses if each.what is Class.WISH), None)
                if wish is not None and not (alone and len(senses) > 1) and not self._in_name(at, end):
                    return self.words.wishes[wish.value]
                if not self.tokens[at].quoted:
                    at = end - 1
                break
            at += 1
        return ""

    def _in_name(self, start: int, end: int) -> bool:
        return any(
            isinstance(each.what, Named | Valued) and each.start <= start and each.end >= end
            for each in self.naming.of([self.typed])
            if not each.cost.unknown
        )

    def _read(self, paths: Iterable[tuple[Cost, tuple[Edge, ...]]]) -> list[_Found]:
        found: list[_Found] = []
        least: dict[tuple[str, ...], Cost] = {}
        for cost, path in paths:
            best = min(least.values(), default=None)
            if best is not None and not best.unknown and cost[:3] > best[:3]:
                break  # what comes now can't be better
            guess = _guess(path)
            if guess in least and not least[guess].unknown and cost > least[guess]:
                continue
            for intent, more in intents(path, self.frames, self.scope, self.lexicon):
                found.append(_Found(intent, cost.plus(more), path))
                least[guess] = min(least.get(guess, found[-1].cost), found[-1].cost)
        return sorted(found, key=lambda each: each.cost)

    def _paths(
        self, ways: Sequence[tuple[str, ...]], strange: AbstractSet[int] = frozenset()
    ) -> list[tuple[Cost, tuple[Edge, ...]]]:
        starting: dict[int, list[Edge]] = {}
        names = self.naming.of(ways, strange)
        edges = [*self._heeding(self.spoken.of(ways), names), *names]
        for each in (*edges, *joined(edges, self.typed, self.lexicon)):
            starting.setdefault(each.start, []).append(each)
        best: list[list[tuple[Cost, tuple[Edge, ...]]]] = [[] for _ in range(len(self.tokens) + 1)]
        best[0] = [(Cost(), ())]
        for at in range(len(self.tokens)):
            best[at].sort(key=lambda each: each[0])
            for cost, path in best[at][:PATHS]:
                for edge in starting.get(at, ()):
                    best[edge.end].append((cost.plus(edge.cost), (*path, edge)))
        return sorted(best[-1], key=lambda each: each[0])[:PATHS]

    def _heeding(self, spoken: Sequence[Edge], names: Sequence[Edge]) -> Iterator[Edge]:
        """The edges of the language's own words: those that say nothing never win over a name that they hold, at most over
        a value ("show us") by asking, and a verb never over a state that it is, too.
        """
        whole = [each for each in names if not any(each.cost[:3])]
        sure = [each for each in whole if each.cost.tier == Tier.EXACT and not self._degree(each)]
        states = {(each.start, each.end) for each in whole if _narrows(each.what)}
        for each in spoken:
            if isinstance(each.what, Sense) and each.what.what is Class.VERB:
                lost, doubtful = (each.start, each.end) in states, False
            else:
                inside = [
                    name
                    for name in (sure if is_silent(each.what) else ())
                    if each.start <= name.start and name.end <= each.end
                ]
                lost = any(
                    isinstance(name.what, Named)
                    and not all(map(self.words.silent, self.typed[name.start : name.end]))
                    for name in inside
                )
                doubtful = bool(inside)
            if lost:
                yield each._replace(cost=each.cost.plus(Cost(missing=1)))
            elif doubtful and not each.guess:
                yield each._replace(guess=self.typed[each.start : each.end])
            else:
                yield each

    def _degree(self, edge: Edge) -> bool:
        """Whether a value stands behind a word that makes a degree of it: "wie hoch"."""
        return (
            isinstance(edge.what, Valued)
            and edge.start > 0
            and self.typed[edge.start - 1] in self.words.degrees
        )

    # --- intents

    def _reading(self, found: _Found) -> Reading:
        path = found.path
        stretches: list[list[int]] = []
        for each in path:
            if each.cost.unknown and stretches and stretches[-1][1] == each.start:
                stretches[-1][1] = each.end
            elif each.cost.unknown:
                stretches.append([each.start, each.end])
        unknown = tuple(self.text.said(start, end) for start, end in stretches)
        free = any(
            isinstance(each.what, Coded) or (isinstance(each.what, Numbered) and each.what.quoted)
            for each in path
        )
        return Reading(found.intent, found.cost, self._account(path), tuple(self._taken(path)), unknown, free)

    def _account(self, path: Sequence[Edge]) -> tuple[Account, ...]:
        return tuple(Account(self.text.said(each.start, each.end), role_of(each.what)) for each in path)

    def _taken(self, path: Sequence[Edge]) -> Iterator[tuple[str, str]]:
        for each in path:
            if not each.cost.edits and not each.cost.missing and each.cost.tier != Tier.TRANSLATED:
                continue
            match each.what:
                case Named(entities=entities):
                    yield self.text.said(each.start, each.end), entities[0].name.text
                case Valued(pairs=pairs):
                    yield self.text.said(each.start, each.end), pairs[0][1]
                case _ if each.cost.edits:
                    yield self.text.said(each.start, each.end), " ".join(each.guess)
                case _:
                    pass


def _narrows(what: What) -> bool:
    return isinstance(what, Valued) or (isinstance(what, Named) and what.kind in {Kind.FILTER, Kind.FIELD})


def _guess(path: Sequence[Edge]) -> tuple[str, ...]:
    """What a path takes for what was typed, where that is not sure."""
    return tuple(one for each in path for one in each.guess)


def _strangers(path: Sequence[Edge]) -> tuple[str, ...]:
    """The words of a path that nobody knows."""
    return tuple(each.what.text for each in path if isinstance(each.what, Unknown))


def _within(path: Sequence[Edge], kind: Kind) -> tuple[Name, ...]:
    """The knowledge models, or data pools, in which all that a path names can lie."""
    owners = [
        {owner.id: owner for each in edge.what.entities if (owner := each.owner(kind)) is not None}
        for edge in path
        if isinstance(edge.what, Named) and not edge.cost.unknown
    ]
    owners = [each for each in owners if each]
    common = set(owners[0]).intersection(*owners[1:]) if owners else set()
    return tuple(owners[0][each] for each in sorted(common))
