"""Sentences about another sentence: what stands around it, and it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bot.language.edges import tokens
from bot.language.vocabulary import Class, Sense, Vocabulary


def wrapped(text: str, words: Vocabulary, outer: Collection[str]) -> Iterator[tuple[str, str]]:
    """Every way to read a text as words of an outer question with another sentence behind or before them.

    Args:
        text: As it was typed.
        words: The languages that are spoken.
        outer: How the exact sentences of those questions begin.

    Yields:
        Which question it is, and the sentence inside, without quotes that hold all of it; the longest words first.
    """
    pieces = tokens(text)
    typed = ["" if each.quoted else each.word for each in pieces]
    start = 0
    while start < len(typed) and (end := _filler(typed, start, words)) is not None:
        start = end
    for end, senses in words.at(typed, start) if start < len(typed) else ():
        if end < len(typed):
            inside = text[pieces[end].start :] if end + 1 < len(typed) else ""
            alone = pieces[end].word if pieces[end].quoted else text[pieces[end].start : pieces[end].end]
            yield from ((each, inside or alone) for each in _asked(senses, outer))
    for at in range(1, len(typed)):
        for end, senses in words.at(typed, at):
            if end == len(typed):
                yield from ((each, text[: pieces[at - 1].end]) for each in _asked(senses, outer))


def _asked(senses: Collection[Sense], outer: Collection[str]) -> list[str]:
    return [each.value for each in senses if each.what is Class.QUESTION and each.value in outer]


def _filler(typed: list[str], start: int, words: Vocabulary) -> int | None:
    """Where a word of courtesy ends."""
    return next((end for end, senses in words.at(typed, start) if Sense(Class.FILLER) in senses), None)
