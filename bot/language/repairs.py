"""What a word that nobody knows may be: a misspelling of one that is known, or two known ones in one."""

from __future__ import annotations

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from bot.language.lexicon import Lexicon
from bot.language.vocabulary import Vocabulary, stem

_SHORT, _LONG = 4, 8
"""Letters from which one and two edits count as a misspelling."""


def repairs(word: str, lexicon: Lexicon) -> list[tuple[str, int]]:
    """What a word that nobody knows may be a misspelling of: known stems, the nearest first."""
    if parts := _parts(word, lexicon):
        return [(parts, 0)]
    typed = stem(word)
    most = 2 if len(word) >= _LONG else 1 if len(word) >= _SHORT else 0
    if not most or any(map(str.isdigit, word)):
        return []
    found: dict[str, int] = {}
    near = [one for each in lexicon.lists for one in each.near(typed, most)]
    if len(word) > _SHORT:
        known = extract(word, lexicon.vocabulary.known, scorer=OSA.distance, score_cutoff=1, limit=None)
        near.extend((each, int(edits)) for each, edits, _ in known)
    for each, edits in near:
        if _plausible(typed, each, edits, lexicon.vocabulary):
            found[each] = min(edits, found.get(each, edits))
    for at in range(1, len(word)) if len(word) > _SHORT else ():  # "movess": its plural hides how near it is
        one = stem(word[:at] + word[at + 1 :])
        if one not in found and lexicon.named(one) and _plausible(typed, one, 1, lexicon.vocabulary):
            found[one] = 1
    least = min(found.values(), default=0)
    return sorted((each, edits) for each, edits in found.items() if edits == least)


def _parts(word: str, lexicon: Lexicon) -> str:
    """A compound of two known words, apart ("Schadenfallanzahl"); empty if it is none."""
    for at in range(_SHORT, len(word) - _SHORT + 1):
        tail = word[at:]
        if not (lexicon.named(stem(tail)) or lexicon.vocabulary.classed([tail])[0].startswith("~")):
            continue
        for link in ("", "s", "es", "n", "en", "e"):
            head = word[:at].removesuffix(link)
            if word[:at].endswith(link) and len(head) >= _SHORT and lexicon.named(stem(head)):
                return f"{head} {tail}"
    return ""


def _plausible(typed: str, near: str, edits: int, words: Vocabulary) -> bool:
    shorter = min(len(typed), len(near))
    if shorter < _SHORT - 1 or near.startswith("~") or (edits > 1 and shorter < _LONG - 1):
        return False
    longer, other = (typed, near) if len(typed) > len(near) else (near, typed)
    return not any(
        longer.startswith(each) and longer.removeprefix(each) == other for each in words.opposites
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
