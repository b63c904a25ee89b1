"""The words that are neither names nor values: what each does in a sentence, read from `words/*.toml`.

A language is one file; the settings may add words. Everything else in `bot.language` knows the classes only.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from importlib.resources import files
from itertools import islice, product
from typing import Any, NamedTuple, TypeAlias

LANGUAGES = ("en", "de")
_PIECES = re.compile(r"[^\W_]+(?:['’.%][^\W_]+)*(?:%|\+(?![^\W_]))?|[#ø]")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'"})
_UMLAUTS = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "ß": "ss", "æ": "a", "ø": "o"})
_WRITTEN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_WRITTEN_OUT = re.compile("[aou]e")
_WITHIN = re.compile(r"(?<=[^\W\d_])['.](?=[^\W\d_])")
"""What stands between letters of one word and says nothing: O'Leary, S.A."""
_ENDINGS = ("en", "e", "n")
_STEM = 4
_DECLINED = re.compile("(?:t|en|ig|isch|lich|bar|los|voll|sam)e[rm]$")
"""How German adjectives and participles end: "offener", "blockiertem"."""
HELD = 2
"""How well a field goes with a unit that its name holds."""
MOST_MEANINGS = 6
"""Translations of a stretch of words that are looked up."""


class Class(Enum):
    """What a word does."""

    FILLER = auto()
    LINK = auto()
    CLAUSE = auto()
    ONLY = auto()
    WITHOUT = auto()
    COMPARISON = auto()
    CLASS = auto()
    QUESTION = auto()
    FIXED = auto()
    FOLLOW = auto()
    PERIOD = auto()
    WISH = auto()
    AND = auto()
    ORDER = auto()
    VERB = auto()
    RANK = auto()


class Sense(NamedTuple):
    """One thing that a phrase can do; `value` says which clause, operator, question, state, period or wish."""

    what: Class
    value: str = ""


OPERATORS = frozenset({Class.RANK, Class.ONLY, Class.WITHOUT, Class.COMPARISON, Class.CLAUSE, Class.WISH})
"""What changes a question, and so is never filler."""
SILENT = frozenset({Class.FILLER, Class.LINK, Class.AND, Class.FOLLOW})
"""What stands for nothing that is asked."""


@dataclass(frozen=True, slots=True)
class Writes:
    """The words of the one template by which something that changes Celonis is asked for."""

    verbs: Mapping[tuple[str, ...], str]
    courtesy: frozenset[tuple[str, ...]]
    kinds: frozenset[tuple[str, ...]]
    pools: frozenset[tuple[str, ...]]
    within: frozenset[tuple[str, ...]]
    it: frozenset[tuple[str, ...]]
    modes: Mapping[str, Mapping[tuple[str, ...], str]]
    """By verb: what may stand beside the name, and the word of the exact sentence for it."""
    unwatch: frozenset[tuple[str, ...]]
    """What ends only a watch: "stop watching"."""


Roles: TypeAlias = dict[tuple[str, ...], str]


@dataclass(slots=True)
class Vocabulary:
    """All words of the languages that are spoken.

    Attributes:
        phrases: First word -> phrases that begin with it, the longest first, with what each can do.
        glossary: A word -> each way to say it in most knowledge models.
        plurals: Nouns of the glossary that are more than one.
        degrees: What asks for a degree with the word behind it.
        shows: Verbs that ask for things themselves, never for how many there are.
        neutral: Stems that may be missing from a name.
        trailing: Stems that may be missing where a name ends with them ("Throughput time").
        opposites: Prefixes that turn a word into its opposite.
        units: What may stand behind a number -> what is measured, and the unit.
        measures: What is measured -> how the names of fields that hold it end, as stems.
        keys: How the names of fields end that number what a record holds, as stems.
        wishes: What is not offered -> the sentence that says so.
        known: Every word of every phrase.
        ways: How an exact sentence begins -> other words for it.
        languages: Which they are.
        joins: What may stand between two parts of a company's name, instead of a sign.
        things: Family -> code -> what people call things of `bot.language.things`, besides their names in CLDR.
        clock: Part of a time on the clock -> phrase, in words apart -> what it says.
        watching: The same for what asks to be told of something later.
    """

    phrases: dict[str, list[tuple[tuple[str, ...], tuple[Sense, ...]]]] = field(default_factory=dict)
    glossary: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    plurals: set[str] = field(default_factory=set)
    degrees: set[str] = field(default_factory=set)
    shows: set[str] = field(default_factory=set)
    neutral: set[str] = field(default_factory=set)
    trailing: set[str] = field(default_factory=set)
    opposites: set[str] = field(default_factory=set)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    measures: dict[str, set[str]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    wishes: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    ways: dict[str, list[str]] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()
    things: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    clock: dict[str, Roles] = field(default_factory=dict)
    watching: dict[str, Roles] = field(default_factory=dict)
    writes: Writes = field(init=False)

    def at(self, words: Sequence[str], start: int) -> Iterator[tuple[int, tuple[Sense, ...]]]:
        """The phrases that begin at a word: where each ends, and what it can do."""
        for phrase, senses in self.phrases.get(words[start], ()):
            if tuple(words[start : start + len(phrase)]) == phrase:
                yield start + len(phrase), senses

    def done(self, words: Sequence[str]) -> Iterator[str]:
        """What the verbs among some words say of things: the words of names that need not be said besides."""
        for at in range(len(words)):
            for _, senses in self.at(words, at):
                yield from (each.value for each in senses if each.what is Class.VERB)

    def silent(self, word: str) -> bool:
        """Whether a word stands for nothing, so that no part of a name begins or ends with it."""
        return word in {",", ";"} or any(
            end == 1 and all(each.what in SILENT for each in senses) for end, senses in self.at((word,), 0)
        )

    def spoken(self, word: str) -> bool:
        """Whether a word alone does something in a sentence."""
        return any(end == 1 for end, _ in self.at((word,), 0))

    def classed(self, words: Sequence[str]) -> list[str]:
        """Stems of words, small words left out, with `~average` and the like for ways of counting."""
        found: list[str] = []
        at = 0
        while at < len(words):
            for end, senses in self.at(words, at):
                kind = next((each for each in senses if each.what is Class.CLASS), None)
                if kind is not None:
                    found.append(f"~{kind.value}")
                    at = end
                    break
            else:
                if words[at] not in _SMALL:
                    found.append(stem(words[at]))
                at += 1
        return found

    def joined(self, text: str) -> str:
        """The form of a text by which it is looked up: its stems without gaps."""
        return "".join(self.classed(words_of(text)))

    def measured(self, name: str, unit: str) -> int:
        """How well a field of this name goes with a unit (a key of `units`).

        Returns:
            `HELD` if the name holds the unit, 1 if it says what is measured, 0 if neither, -1 if it holds another unit of the
            same measure.
        """
        measure, meant = self.units[unit]
        words = words_of(name)
        named = [self.units[each] for each in words if each in self.units]
        if any(each == measure for each, _ in named):
            return HELD if (measure, meant) in named else -1
        return int(self._said(words, measure))

    def _said(self, words: Sequence[str], measure: str) -> bool:
        nouns = tuple(self.measures.get(measure, ()))
        return any(each.endswith(nouns) or stem(each).endswith(nouns) for each in words)

    def holds(self, name: str, measure: str) -> bool:
        """Whether a name says that something is measured in a way: by its noun ("age") or by a unit ("in t")."""
        words = words_of(name)
        return self._said(words, measure) or any(
            self.units.get(each, ("", ""))[0] == measure for each in words
        )

    def ends_lightly(self, words: Sequence[str]) -> bool:
        """Whether the last word of a name may be missing: a unit ("Weight in t"), or one of `trailing`."""
        if len(words) > 2 and words[-1] in self.units and words[-2] == "in":  # noqa: PLR2004 - a word, "in", a unit
            return True
        return len(words) > 1 and stem(words[-1]) in self.trailing

    def translated(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Each way to say the same in the words of most knowledge models, as far as the glossary knows them."""
        whole = self.glossary.get("".join(words), ()) if len(words) > 1 else ()  # "durchlauf zeit"
        ways = product(*(self.glossary.get(each, ((each,),)) for each in words))
        said = (tuple(one for part in each for one in part) for each in islice(ways, MOST_MEANINGS))
        return list(dict.fromkeys((*whole, *said)))


_SMALL = frozenset({"of", "the", "a", "an", "in", "der", "die", "das", "den", "des", "von", "im"})


def words_of(text: str) -> list[str]:
    """The words of a text: lower case, split at dashes, without punctuation."""
    flat = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return _PIECES.findall(flat)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A word without accents and the commonest endings of plurals and cases, English and German."""
    flat = _WITHIN.sub("", word).translate(_UMLAUTS)
    if not flat.isascii():
        flat = "".join(c for c in unicodedata.normalize("NFD", flat) if not unicodedata.combining(c))
    flat = _WRITTEN_OUT.sub(lambda found: found[0][0], flat) if len(flat) > _STEM else flat
    if len(flat) > _STEM and flat.endswith("ies"):
        return flat[:-3] + "y"
    if len(flat) >= _STEM and flat.endswith("s") and not flat.endswith(("ss", "us", "is")):
        flat = flat[:-1]
    if len(flat) > _STEM + 2 and _DECLINED.search(flat, len(flat) - 6):
        return flat[:-2]
    for ending in _ENDINGS:
        if flat.endswith(ending) and len(flat) - len(ending) >= _STEM:
            return flat if flat.endswith("en") and ending == "n" else flat[: -len(ending)]  # "offen"
    return flat


class _Learner:
    """Puts the words of some languages together."""

    def __init__(self) -> None:
        self.made = Vocabulary()
        self.senses: dict[tuple[str, ...], dict[Sense, None]] = {}
        self.writes: dict[str, set[tuple[str, ...]]] = {
            part: set() for part in ("courtesy", "kinds", "pools", "within", "it")
        }
        self.verbs: dict[tuple[str, ...], str] = {}
        self.modes: dict[str, dict[tuple[str, ...], str]] = {}
        self.glossary: list[tuple[str, str]] = []

    def learn(self, phrases: Iterable[str], sense: Sense) -> None:
        for each in phrases:
            for written in (each, each.translate(_WRITTEN)):
                self.senses.setdefault(tuple(words_of(written)), {})[sense] = None

    def language(self, name: str, spoken: Mapping[str, Any]) -> None:
        self.learn(spoken["filler"], Sense(Class.FILLER))
        self.learn(spoken["links"], Sense(Class.LINK))
        self.learn(spoken["and"], Sense(Class.AND))
        self.learn(spoken["conditions"]["only"], Sense(Class.ONLY))
        self.learn(spoken["conditions"]["without"], Sense(Class.WITHOUT))
        self.learn(spoken["follow"]["words"], Sense(Class.FOLLOW))
        self._measured(spoken)
        for section, what in _SECTIONS.items():
            for value, phrases in spoken.get(section, {}).items():
                self.learn(phrases, Sense(what, value))
                if section == "questions":
                    self._way(value, phrases)
        for wish, about in spoken["wishes"].items():
            self.learn(about["words"], Sense(Class.WISH, f"{name}.{wish}"))
            self.made.wishes[f"{name}.{wish}"] = about["says"]
        for verb, modes in spoken["writes"].pop("modes").items():
            told = self.modes.setdefault(verb, {})
            told.update((tuple(words_of(each)), mode) for mode, listed in modes.items() for each in listed)
        for part, phrases in spoken["writes"].items():
            if part in self.writes:
                self.writes[part].update(tuple(words_of(each)) for each in phrases)
            else:
                self.verbs.update((tuple(words_of(each)), part) for each in phrases)
                self._way(part, phrases)
        _add_roles(self.made.clock, spoken["clock"])
        _add_roles(self.made.watching, spoken["watching"])
        self.glossary.extend((each, meant) for meant, nouns in spoken["glossary"].items() for each in nouns)
        self.made.shows.update(spoken["shows"])
        self.made.degrees.update(spoken["degrees"])
        self.made.neutral.update(stem(each) for each in spoken["neutral"])
        self.made.trailing.update(stem(each) for each in spoken["trailing"])
        self.made.opposites.update(spoken["opposites"])
        self.made.languages += (name,)
        self.made.joins += tuple(spoken["joins"])
        for family in ("countries", "currencies", "states"):
            for code, names in spoken[family].items():
                self.made.things.setdefault(family, {}).setdefault(code, []).extend(names)
        for measure, units in spoken["units"].items():
            for unit, phrases in units.items():
                self.made.units.update((each, (measure, unit)) for each in phrases)
        self.made.keys += tuple(map(stem, spoken["keys"]))
        for measure, nouns in spoken["measures"].items():
            self.made.measures.setdefault(measure, set()).update((*nouns, *map(stem, nouns)))

    def _measured(self, spoken: Mapping[str, Any]) -> None:
        """Takes in what compares and ranks by a measure."""
        for measure, compared in spoken["comparatives"].items():
            for op, phrases in compared.items():
                self.learn(phrases, Sense(Class.COMPARISON, f"{op} {measure}"))
        firsts = spoken["order"].pop("first")
        for measure, ranks in spoken["superlatives"].items():
            for rank, phrases in ranks.items():
                self.learn(phrases, Sense(Class.RANK, f"{rank} {measure}"))
                order = Sense(Class.ORDER, f"{'desc' if rank == 'top' else 'asc'} {measure}")
                self.learn((f"{each} {first}" for each in phrases for first in firsts), order)

    def _way(self, words: str, phrases: Iterable[str]) -> None:
        self.made.ways.setdefault(words, []).extend(each for each in phrases if each != words)

    def vocabulary(self) -> Vocabulary:
        """Everything that was learnt.

        Raises:
            ValueError: A word that says nothing about the question would also change it.
        """
        made = self.made
        for phrase, can in self.senses.items():
            if Sense(Class.FILLER) in can and any(each.what in OPERATORS for each in can):
                raise ValueError(f"“{' '.join(phrase)}” can't be filler: it changes the question")
            made.phrases.setdefault(phrase[0], []).append((phrase, tuple(can)))
        for listed in made.phrases.values():
            listed.sort(key=lambda each: -len(each[0]))
        by_meaning: dict[str, list[str]] = {}
        for noun, meant in self.glossary:
            by_meaning.setdefault(meant, []).append(noun)
        for meant, nouns in by_meaning.items():
            for noun in nouns:
                ways = made.glossary.get(stem(noun), ())
                made.glossary[stem(noun)] = tuple(
                    dict.fromkeys((*ways, tuple(made.classed(words_of(meant)))))
                )
                longer = any(len(each) < len(noun) and stem(noun).startswith(stem(each)) for each in nouns)
                if longer or stem(meant) + "s" == meant:
                    made.plurals.add(noun)
        every = {word for phrase in self.senses for word in phrase} | set(made.glossary)
        made.known = frozenset(word for word in every if len(word) > 1)
        made.neutral.update(f"~{each}" for each in ("average", "total", "count", "rate", "trailing"))
        parts = {part: frozenset(phrases) for part, phrases in self.writes.items()}
        unwatch = frozenset(tuple(words_of(" ".join(each))) for each in made.watching["unwatch"])
        made.writes = Writes(self.verbs, **parts, modes=self.modes, unwatch=unwatch)
        return made


def _add_roles(to: dict[str, Roles], spoken: Mapping[str, Any]) -> None:
    """Adds the phrases of a section; a part that is no table says nothing but itself."""
    for role, said in spoken.items():
        for value, phrases in (said if isinstance(said, dict) else {role: said}).items():
            written = {one for each in phrases for one in (each, each.translate(_WRITTEN))}
            to.setdefault(role, {}).update((tuple(each.split()), value) for each in written)


@lru_cache(maxsize=8)
def vocabulary(languages: tuple[str, ...] = LANGUAGES) -> Vocabulary:
    """The words of some languages.

    Raises:
        ValueError: A word that says nothing about the question would also change it.
    """
    learner = _Learner()
    for language in languages:
        text = (files("bot.language") / "words" / f"{language}.toml").read_text(encoding="utf-8")
        learner.language(language, tomllib.loads(text))
    return learner.vocabulary()


def ways(words: str) -> tuple[str, ...]:
    """Other words for how an exact sentence begins, as people are told of them."""
    return tuple(vocabulary().ways.get(words, ()))


_SECTIONS = {
    "clauses": Class.CLAUSE,
    "comparisons": Class.COMPARISON,
    "classes": Class.CLASS,
    "questions": Class.QUESTION,
    "cues": Class.QUESTION,
    "fixed": Class.FIXED,
    "periods": Class.PERIOD,
    "order": Class.ORDER,
    "verbs": Class.VERB,
}
