"""Whether a sentence plainly asks for something that changes Celonis.

One positive template on the raw words, in either language's order: courtesy, a verb, perhaps the word "job", a name,
perhaps its pool, courtesy; and nothing else. It sees no costs and no nearness; what it does not match opens nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bot.language.vocabulary import Writes, words_of

_QUESTION = "?？"
_QUOTES = "\"“”„«»'‘’"
_POLITE = frozenset({("can", "you"), ("could", "you"), ("would", "you"), ("will", "you"), ("can", "u"), ("kannst", "du"),
    ("kannst", "du", "mal"), ("könntest", "du"), ("können", "sie"), ("könnten", "sie")})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """One way in which a sentence asks for a write.

    Attributes:
        verb: Which write, as the settings of a language call it.
        name: What it is about, as it was typed; empty for "it", and where only the pool was named.
        pool: Where that lies; empty where nothing was said.
        mode: How it is done ("full"), as the exact sentence says it; empty where nothing was said.
    """

    verb: str
    name: str
    pool: str = ""
    mode: str = ""


def orders(text: str, words: Writes) -> tuple[Order, ...]:
    """Every way to read a text as an order; none if it holds anything that the template has no place for.

    A text that ends in a question mark is one only if it asks politely ("can you stop main job?"); one that stands in
    quotes as a whole is somebody else's.
    """
    if text.strip()[:1] in _QUOTES and text.strip()[-1:] in _QUOTES:
        return ()
    pieces, spans = _pieces(text)
    found = _read(text, pieces, spans, words)
    for verb, modes in words.modes.items():  # "run main job full": its name, or its name and how
        for at in range(len(pieces)):
            end = _phrase_at(pieces, at, modes)
            if not end:
                continue
            rest = _read(text, (*pieces[:at], *pieces[end:]), [*spans[:at], *spans[end:]], words)
            mode = modes[pieces[at:end]]
            found += tuple(replace(each, mode=mode) for each in rest if each.verb == verb and each.name)
    return found


def _read(
    text: str, pieces: tuple[str, ...], spans: Sequence[tuple[int, int]], words: Writes
) -> tuple[Order, ...]:
    start, polite = _skipped(pieces, 0, words.courtesy)
    end = _skipped_back(pieces, start, len(pieces), words.courtesy)
    verb = next((at for at in range(start, end) if _phrase_at(pieces, at, words.verbs)), None)
    if verb is None or any(_phrase_at(pieces, at, words.unwatch) for at in range(start, end)):
        return ()
    behind = _phrase_at(pieces, verb, words.verbs)
    meant = words.verbs[pieces[verb:behind]]
    behind, more = _skipped(pieces, behind, words.courtesy)
    before = _skipped_back(pieces, start, verb, words.courtesy)
    if text.rstrip()[-1:] in _QUESTION and not (polite or more):
        return ()

    def said(first: int, last: int) -> str:
        return text[spans[first][0] : spans[last - 1][1]].strip("\"“”„'") if first < last else ""

    link = _phrase_at(pieces, start, words.within)
    first = _phrase_at(pieces, behind, words.within)
    if start == before and first and first < end:  # stop in SAP ECC
        return tuple(Order(meant, "", said(*each)) for each in _bare(pieces, first, end, words.pools))
    if start == before and behind < end:  # stop main job
        found = _named(pieces, behind, end, words)
    elif start < before and behind >= end:  # main job stoppen
        found = _named(pieces, start, before, words)
    elif link and link < before and behind < end:  # in SAP ECC stop main job
        found = ((each, (link, before)) for each, pool in _named(pieces, behind, end, words) if pool is None)
    else:
        return ()
    made = []
    for name, pool in found:
        if pieces[slice(*name)] in words.it:
            made.append(Order(meant, ""))
        elif pool is None:
            made.append(Order(meant, said(*name)))
        else:
            made.extend(Order(meant, said(*name), said(*each)) for each in _bare(pieces, *pool, words.pools))
    return tuple(dict.fromkeys(made))


def asks_politely(words: Sequence[str]) -> bool:
    """Whether some words of courtesy ask for something, so that a question mark behind it says no more than "please"."""
    return any(tuple(words[at : at + len(each)]) == each for each in _POLITE for at in range(len(words)))


_Span: TypeAlias = tuple[int, int]


def _named(
    pieces: tuple[str, ...], start: int, end: int, words: Writes
) -> Iterator[tuple[_Span, _Span | None]]:
    """Where the name can stand, and its pool."""
    for name in _bare(pieces, start, end, words.kinds):
        yield name, None
    for at in range(start + 1, end):
        link = _phrase_at(pieces, at, words.within)
        if link and link < end:
            for name in _bare(pieces, start, at, words.kinds):
                yield name, (link, end)


def _bare(
    pieces: tuple[str, ...], start: int, end: int, kinds: Collection[tuple[str, ...]]
) -> Iterator[_Span]:
    """A stretch as it is, and without the word for its kind in front or behind."""
    yield start, end
    if (kind := _phrase_at(pieces, start, kinds)) and kind < end:
        yield kind, end
    for each in kinds:
        if len(each) < end - start and pieces[end - len(each) : end] == each:
            yield start, end - len(each)


def _pieces(text: str) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
    """The words of a text with their places; a word of several parts is one."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for each in text.split():
        begin = text.index(each, at)
        at = begin + len(each)
        core = each.strip("\"“”„'?？!.,;:…")
        if core:
            found = begin + each.index(core)
            pieces.append(" ".join(words_of(core)) or core.casefold())
            spans.append((found, found + len(core)))
    return tuple(pieces), spans


def _phrase_at(pieces: Sequence[str], at: int, phrases: Collection[tuple[str, ...]]) -> int:
    """Where the longest phrase that begins here ends; 0 for none."""
    return max((at + len(each) for each in phrases if tuple(pieces[at : at + len(each)]) == each), default=0)


def _skipped(pieces: Sequence[str], at: int, courtesy: Collection[tuple[str, ...]]) -> tuple[int, bool]:
    polite = False
    while end := _phrase_at(pieces, at, courtesy):
        polite = polite or tuple(pieces[at:end]) in _POLITE
        at = end
    return at, polite


def _skipped_back(pieces: Sequence[str], start: int, end: int, courtesy: Collection[tuple[str, ...]]) -> int:
    while True:
        length = max(
            (
                len(each)
                for each in courtesy
                if len(each) <= end - start and tuple(pieces[end - len(each) : end]) == each
            ),
            default=0,
        )
        if not length:
            return end
        end -= length
