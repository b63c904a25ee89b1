"""Text to intents: every reading that a sentence has.

Keywords are normal parts of names, so a text is rarely read in one way only. Which words open a clause and which belong
to a name is decided later, by what exists; here all the ways are found, within bounds, the likeliest kept.

The grammar knows no command: it is built from a table and walks the declarations of the intents in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from itertools import groupby, islice, product
from typing import Any, NamedTuple

from rapidfuzz import fuzz, process

from bot.language.declare import Clause, Count, OneOf, Phrase, SomeOf, Where, clauses, ends_itself
from bot.language.phrases import (
    LONGEST,
    MARKS,
    Care,
    Fillers,
    Is,
    Reader,
    Sentence,
    Token,
    Weighed,
    whole_number,
    words_at,
)
from bot.language.say import OFTEN_IN_NAMES, OPERATOR_WORDS, Reserved, fold, own_words, reserved_words
from bot.model.intents import Intent, comparisons

MOST_READINGS = 16
_BEAM = 64
_MOST_OPENERS = 24
_MOST_FILLER = 12
_GAP = "…"
_SURE = 3
_LOST = frozenset({"in", "of"})
_NEAR_ENOUGH = 60
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of sentence.

    Attributes:
        intent: What it means; its `words` start the canonical sentence.
        aliases: Other ways to start it. With an ellipsis, what stands there is read as the rest of the sentence
            ("is … running"). The ellipsis alone takes any text that no command starts, if a keyword opens a clause in
            it.
    """

    intent: type[Intent]
    aliases: tuple[str, ...] = ()


def unchecked(intent: Intent) -> int:
    """How many words of an intent no catalog can confirm: those of free texts and of values to compare with.

    Where several readings name only things that exist, the one with the fewest such words is meant:
    `where country = Germany by plant` hardly looks for a country called "Germany by plant".
    """
    words = 0
    for each, how in clauses(type(intent)):
        value = getattr(intent, each.name)
        if isinstance(how.takes, Phrase):
            words += len(value.split())
        elif isinstance(how.takes, Where) and value is not None:
            words += sum(len(text.split()) for test in comparisons(value) for text in test.values)
    return words


# --- the table, compiled ---------------------------------------------------------------------------------------


class _Opener(NamedTuple):
    words: tuple[str, ...]
    clause: int


@dataclass(frozen=True, slots=True)
class _Form:
    """An intent's declarations, ready to be looked up."""

    intent: type[Intent]
    parts: tuple[tuple[Field[Any], Clause], ...]
    openers: Mapping[str, tuple[_Opener, ...]]
    counts: Mapping[str, int]
    own: frozenset[str]
    name_first: int | None
    without_keyword: tuple[int, ...]
    may_lose_keyword: tuple[int, ...]
    holds_text: bool


def _compiled(intent: type[Intent]) -> _Form:
    """A form.

    Raises:
        ValueError: The declarations cannot be read unambiguously.
    """
    parts = clauses(intent)
    openers: dict[str, list[_Opener]] = {}
    counts: dict[str, int] = {}
    for index, (_, how) in enumerate(parts):
        for keyword in filter(None, (how.keyword, *how.also)):
            words = tuple(fold(keyword).split())
            if keyword in OPERATOR_WORDS and keyword != "in":
                raise ValueError(f"{intent.__name__}: “{keyword}” compares, so it cannot open a clause")
            openers.setdefault(words[0], []).append(_Opener(words, index))
            if isinstance(how.takes, Count) and len(words) == 1:
                counts[words[0]] = index
    bare = [index for index, (_, how) in enumerate(parts) if not how.keyword]
    first = [index for index in bare if not ends_itself(parts[index][1].takes)]
    fixed = tuple(index for index in bare if index not in first)
    if len(first) > 1:
        raise ValueError(f"{intent.__name__}: only one name or text can stand behind “{intent.words}”")
    if any(not isinstance(parts[index][1].takes, OneOf | SomeOf | Count) for index in fixed):
        raise ValueError(f"{intent.__name__}: a flag needs a keyword")
    lost = tuple(
        index
        for index, (_, how) in enumerate(parts)
        if not first and not ends_itself(how.takes) and _LOST & {how.keyword, *how.also}
    )
    return _Form(
        intent=intent,
        parts=parts,
        openers={
            word: tuple(sorted(found, key=lambda each: -len(each.words))) for word, found in openers.items()
        },
        counts=counts,
        own=own_words(intent),
        name_first=first[0] if first else None,
        without_keyword=fixed,
        may_lose_keyword=lost,
        holds_text=any(isinstance(how.takes, Phrase | Where) for _, how in parts),
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """One way to start a sentence: the words before the gap and, where there is one, those behind it."""

    before: tuple[str, ...]
    behind: tuple[str, ...]
    form: _Form
    gap: bool = False
    canonical: bool = False
    instead: tuple[str, ...] = ()
    """What the rest of the sentence begins with in place of these words."""


# --- the search for readings of one stretch --------------------------------------------------------------------


class _Occurrence(NamedTuple):
    start: int
    after: int
    clause: int
    cost: int


class _Piece(NamedTuple):
    clause: int
    meanings: tuple[Weighed, ...]
    spoken: bool
    """Whether a keyword opened it."""


class _Partial(NamedTuple):
    """A reading of the sentence up to some point. `current` is the clause whose text began at `since`."""

    cost: int
    used: int
    pieces: tuple[_Piece, ...]
    current: int | None
    since: int
    name_at: tuple[int, int] | None = None


class _Found(NamedTuple):
    cost: int
    said: int
    intent: Intent
    spoken: int


class _Search:
    """Finds the readings of one stretch as the clauses of one intent.

    Every place where a clause could open either opens it or belongs to the text around it. The places are taken from
    left to right; at each only the likeliest partial readings are kept, so the work is bounded for any text.
    """

    def __init__(
        self, form: _Form, sentence: Sentence, start: int, end: int, *, care: Care, lost: int | None
    ) -> None:
        """`lost` is the clause that stands first although its keyword is missing."""
        self.form = form
        self.first = form.name_first if lost is None else lost
        self.sentence = sentence
        self.tokens = sentence.tokens
        self.start = start
        self.end = end
        self.care = care
        self.reader = Reader(sentence, form.own, care=care)
        self.occurrences = self._occurrences()
        self.reader.openers = frozenset(each.start for each in self.occurrences)
        self.reader.sure_openers = frozenset(each.start for each in self.occurrences if each.cost == _SURE)
        self.by_start: dict[int, list[_Occurrence]] = {}
        for each in self.occurrences:
            self.by_start.setdefault(each.start, []).append(each)

    def _occurrences(self) -> list[_Occurrence]:
        found: list[_Occurrence] = []
        asks = False
        in_operator = self.start
        for at in range(self.start, self.end):
            token = self.tokens[at]
            if token.kind is not Is.WORD:
                continue
            if asks and at >= in_operator:
                operator = self.sentence.operator(at, self.end)
                if operator is not None and operator.end - operator.start > 1:
                    in_operator = operator.end
            taken: set[int] = set()
            for opener in self.form.openers.get(token.word, ()):
                after = at + len(opener.words)
                if opener.clause in taken or after > self.end or not words_at(self.tokens, at, opener.words):
                    continue
                if at < in_operator or (opener.words == ("in",) and self._opens_list(after)):
                    continue
                taken.add(opener.clause)
                found.append(
                    _Occurrence(at, after, opener.clause, 1 if token.word in OFTEN_IN_NAMES else _SURE)
                )
                asks = asks or isinstance(self.form.parts[opener.clause][1].takes, Where)
            found.extend(self._without_keyword(at, token))
        if len(found) > _MOST_OPENERS:
            weighed = sorted(found, key=lambda each: (-each.cost, each.start))[:_MOST_OPENERS]
            found = sorted(weighed, key=lambda each: each.start)
        return found

    def _opens_list(self, at: int) -> bool:
        return self.care is not Care.NONE and at < self.end and self.tokens[at].kind is Is.OPEN

    def _without_keyword(self, at: int, token: Token) -> Iterator[_Occurrence]:
        for index in self.form.without_keyword:
            if self.reader.starts_closed(self.form.parts[index][1].takes, at, self.end):
                yield _Occurrence(at, at, index, 2)
        keyword = token.word.rstrip(_DIGITS)
        if keyword != token.word and keyword in self.form.counts and int(token.word[len(keyword) :]):
            yield _Occurrence(at, at, self.form.counts[keyword], 2)

    def readings(self) -> list[_Found]:
        """All readings that were found."""
        partials = [_Partial(0, 0, (), self.first, self.start)]
        for occurrence in self.occurrences:
            partials = self._step(partials, occurrence)
        found: list[_Found] = []
        for partial in sorted(partials, key=lambda each: each.cost):
            closed = self._closed(partial, self.end)
            if closed is not None and not self._is_fixed_words(closed):
                found.extend(self._built(closed))
        return found

    def _step(self, partials: list[_Partial], occurrence: _Occurrence) -> list[_Partial]:
        after: list[_Partial] = []
        for partial in partials:
            if occurrence.start < partial.since:
                after.append(partial)
                continue
            after.append(partial._replace(cost=partial.cost + occurrence.cost))
            if partial.used >> occurrence.clause & 1 == 0:
                closed = self._closed(partial, occurrence.start)
                opened = self._opened(closed, occurrence) if closed is not None else None
                if opened is not None:
                    after.append(opened)
        if len(after) > _BEAM:
            after = sorted(after, key=lambda each: each.cost)[:_BEAM]
        return after

    def _opened(self, partial: _Partial, occurrence: _Occurrence) -> _Partial | None:
        if partial.used >> occurrence.clause & 1:
            return None
        takes = self.form.parts[occurrence.clause][1].takes
        used = partial.used | 1 << occurrence.clause
        if not ends_itself(takes):
            return partial._replace(used=used, current=occurrence.clause, since=occurrence.after)
        value = self._closed_value(occurrence)
        if value is None:
            return None
        piece = _Piece(occurrence.clause, ((value[0], 0),), spoken=True)
        ahead = all(ends_itself(self.form.parts[each.clause][1].takes) for each in partial.pieces)
        current = self.first if self.first is not None and ahead and not used >> self.first & 1 else None
        return partial._replace(used=used, pieces=(*partial.pieces, piece), current=current, since=value[1])

    def _closed_value(self, occurrence: _Occurrence) -> tuple[Any, int] | None:
        how = self.form.parts[occurrence.clause][1]
        word = self.tokens[occurrence.start].word
        if isinstance(how.takes, Count) and occurrence.start == occurrence.after and not word.isdecimal():
            return whole_number(word[len(word.rstrip(_DIGITS)) :]), occurrence.start + 1
        return self.reader.closed(how.takes, occurrence.after, self.end)

    def _closed(self, partial: _Partial, end: int) -> _Partial | None:
        """The reading with its current text ended, None where that text means nothing."""
        since, current = partial.since, partial.current
        spoken = current is not None and bool(partial.used >> current & 1)
        if not spoken and self.reader.leftover(since, end):
            return partial._replace(current=None, since=end)
        if current is None:
            return None
        if not spoken and self.care is not Care.NONE and self._own_opener_at(since, current):
            return None
        meanings = self.reader.open(self.form.parts[current][1].takes, since, end)
        if not meanings:
            return None
        return partial._replace(
            used=partial.used | 1 << current,
            pieces=(*partial.pieces, _Piece(current, tuple(meanings), spoken)),
            current=None,
            since=end,
            name_at=partial.name_at if spoken else (since, end),
        )

    def _own_opener_at(self, at: int, clause: int) -> bool:
        return any(each.clause == clause for each in self.by_start.get(at, ()))

    def _is_fixed_words(self, partial: _Partial) -> bool:
        """Whether the name is nothing but clauses that end themselves (`top 10`): then they are meant."""
        if partial.name_at is None:
            return False
        at, end = partial.name_at
        used = partial.used
        while at < end:
            for each in self.by_start.get(at, ()):
                if ends_itself(self.form.parts[each.clause][1].takes) and not used >> each.clause & 1:
                    value = self._closed_value(each)
                    if value is not None and value[1] <= end:
                        used |= 1 << each.clause
                        at = value[1]
                        break
            else:
                return False
        return True

    def _built(self, partial: _Partial) -> Iterator[_Found]:
        names = [self.form.parts[piece.clause][0].name for piece in partial.pieces]
        for chosen in islice(product(*(piece.meanings for piece in partial.pieces)), MOST_READINGS):
            values = dict(zip(names, (value for value, _ in chosen), strict=True))
            yield _Found(
                partial.cost + sum(penalty for _, penalty in chosen),
                len(chosen),
                self.form.intent(**values),
                sum(piece.spoken for piece in partial.pieces),
            )


# --- the grammar -----------------------------------------------------------------------------------------------


class _Candidate(NamedTuple):
    """One way to start a given sentence, found at a token; `end` is where the rest ends."""

    start: _Start
    offset: int
    end: int


def _words(text: str) -> tuple[str, ...]:
    return tuple(fold(text).split())


class Grammar:
    """Reads sentences.

    Args:
        entries: Every kind of sentence.
        words: Other words (other languages) for command words, with what stands behind them if it is fixed
            (`laufende jobs` for `jobs active`).

    Attributes:
        unused: Those of the words that stand for no command of this table, or that would hide its sentences.

    Raises:
        ValueError: Two entries start alike, or an alias would hide a canonical sentence.
    """

    def __init__(self, entries: Sequence[Entry], words: Mapping[str, str] | None = None) -> None:
        self._fillers = Fillers()
        self._forms = {entry.intent: _compiled(entry.intent) for entry in entries}
        self._canonical: dict[tuple[str, ...], _Form] = {}
        self._starts: dict[str, list[_Start]] = {}
        self._gap_first: list[_Start] = []
        self._marks: dict[str, _Form] = {}
        self._phrases: dict[str, str] = {}
        for form in self._forms.values():
            said = _words(form.intent.words)
            if not said or said in self._canonical:
                raise ValueError(
                    f"{form.intent.__name__}: “{form.intent.words}” must start one kind of sentence only"
                )
            self._canonical[said] = form
        reserved = reserved_words()
        for said, form in self._canonical.items():
            start = _Start(said, (), form, canonical=True)
            self._check(start, form.intent.words, reserved)
            self._add(start)
        for entry in entries:
            for alias in entry.aliases:
                self._add_alias(alias, self._forms[entry.intent], (), reserved)
        self.unused = tuple(
            foreign for foreign, native in (words or {}).items() if not self._learn(foreign, native, reserved)
        )

    def _learn(self, foreign: str, native: str, reserved: Reserved) -> bool:
        """Take a word of the settings; whether it can be used."""
        meant = _words(native)
        length = next((each for each in range(len(meant), 0, -1) if meant[:each] in self._canonical), 0)
        if not length or not _words(foreign):
            return False
        try:
            self._add_alias(foreign, self._canonical[meant[:length]], meant[length:], reserved)
        except ValueError:
            return False
        return True

    def _add(self, start: _Start) -> None:
        if start.before:
            self._starts.setdefault(start.before[0], []).append(start)
        else:
            self._gap_first.append(start)
        if not start.gap:
            self._phrases[" ".join(start.before)] = start.form.intent.words

    def _add_alias(self, alias: str, form: _Form, instead: tuple[str, ...], reserved: Reserved) -> None:
        pieces = alias.replace("...", _GAP).split(_GAP)
        if len(pieces) == 1 and not alias.strip(MARKS):
            self._marks[fold(alias).strip()] = form
            return
        if len(pieces) > 2:  # noqa: PLR2004 - what stands on the two sides of one gap
            raise ValueError(f"“{alias}” has more than one gap")
        before, behind = _words(pieces[0]), _words(pieces[1]) if len(pieces) > 1 else ()
        start = _Start(before, behind, form, gap=len(pieces) > 1, instead=instead)
        same = self._canonical.get(before)
        if same is not None and not start.gap:
            if same is form and not instead:
                return
            raise ValueError(f"“{alias}” already starts the sentences of {same.intent.__name__}")
        self._check(start, alias, reserved)
        self._add(start)

    def _check(self, start: _Start, text: str, reserved: Reserved) -> None:
        for said, other in self._canonical.items():
            if not (said == start.before and start.canonical) and _hides(start, said, other, reserved):
                raise ValueError(
                    f"“{text}” would hide sentences of {other.intent.__name__} (“{other.intent.words} …”): it needs "
                    "a word that names do not hold unquoted and that opens none of its clauses"
                )

    # --- reading

    def parse(self, text: str) -> tuple[Intent, ...]:
        """All readings of a text.

        Args:
            text: What somebody typed, without the mention of the bot.

        Returns:
            At most 16 intents, those with the fewest clauses first; none if the text cannot be read or is longer than
            4,000 characters.

        Raises:
            BadArgument: A number is larger than anything that can be counted.
        """
        if len(text) > LONGEST:
            return ()
        sentence = Sentence(text, self._fillers)
        if not sentence.tokens:
            form = self._marks.get(fold(text).strip())
            return (form.intent(),) if form else ()
        groups = self._groups(sentence)
        for care, lost in product(Care, (False, True)):
            for group in groups:
                found = [each for one in group for each in self._read(sentence, one, lost=lost, care=care)]
                if found:
                    return _chosen(found)
        return _chosen(list(self._without_command(sentence)))

    def _groups(self, sentence: Sentence) -> list[list[_Candidate]]:
        """The ways to start this sentence, those that are tried together in one list, the first to try first."""
        offsets = self._offsets(sentence)
        candidates = [
            candidate
            for offset in offsets
            if offset < len(sentence.tokens)
            for start in self._starts.get(sentence.tokens[offset].word, ())
            for candidate in self._fitted(sentence, start, offset)
        ]
        canonical_first = any(each.start.canonical and each.offset == 0 for each in candidates)

        def place(each: _Candidate) -> tuple[bool, int, int, bool, int]:
            return (
                canonical_first and each.offset > 0,
                -len(each.start.before),
                -each.offset,
                not each.start.canonical,
                -len(each.start.behind),
            )

        groups = [list(group) for _, group in groupby(sorted(candidates, key=place), key=place)]
        ends = [each for each in self._gap_first if each.behind]
        groups.extend([each] for start in ends for each in self._fitted(sentence, start, offsets[-1]))
        return groups

    def _offsets(self, sentence: Sentence) -> list[int]:
        """Where the sentence could start, if filler before it is dropped."""
        tokens = sentence.tokens
        reached = {0}
        waiting = [0]
        while waiting:
            at = waiting.pop(0)
            if at >= len(tokens) or len(reached) > _MOST_FILLER:
                continue
            lengths = self._fillers.lengths_at(tokens, at, len(tokens))
            if tokens[at].kind is Is.COMMA or (tokens[at].kind is Is.WORD and not tokens[at].word):
                lengths = [1]
            for length in lengths:
                if at + length not in reached:
                    reached.add(at + length)
                    waiting.append(at + length)
        return sorted(reached)

    def _fitted(self, sentence: Sentence, start: _Start, offset: int) -> Iterator[_Candidate]:
        tokens = sentence.tokens
        if not words_at(tokens, offset, start.before):
            return
        after = offset + len(start.before)
        if not start.behind:
            if after < len(tokens) or not start.gap:
                yield _Candidate(start, offset, len(tokens))
            return
        for end in dict.fromkeys((len(tokens), max(after, sentence.filler_from))):
            if end - len(start.behind) > after and words_at(tokens, end - len(start.behind), start.behind):
                yield _Candidate(start, offset, end - len(start.behind))
                return

    def _read(self, sentence: Sentence, candidate: _Candidate, *, lost: bool, care: Care) -> Iterator[_Found]:
        form = candidate.start.form
        after, end = candidate.offset + len(candidate.start.before), candidate.end
        if (lost and not form.may_lose_keyword) or (care is Care.LOOSE and not form.holds_text):
            return
        if candidate.start.instead:
            words = " ".join(candidate.start.instead)
            if after < end:
                words += " " + sentence.source[sentence.tokens[after].start : sentence.tokens[end - 1].end]
            sentence = Sentence(words, self._fillers)
            after, end = 0, len(sentence.tokens)
        for clause in form.may_lose_keyword if lost else (None,):
            yield from _Search(form, sentence, after, end, care=care, lost=clause).readings()

    def _without_command(self, sentence: Sentence) -> Iterator[_Found]:
        start, end = sentence.without_filler(0, len(sentence.tokens))
        for each in self._gap_first:
            if not each.behind and start < end:
                for found in _Search(each.form, sentence, start, end, care=Care.STRICT, lost=None).readings():
                    if 0 < found.spoken < found.said:
                        yield found

    # --- what was not a sentence

    def bare(self, text: str) -> str:
        """What a text names if it is no sentence but just a name: without filler, quotes and marks; may be empty."""
        if len(text) > LONGEST:
            return ""
        sentence = Sentence(text, self._fillers)
        start, end = sentence.without_filler(0, len(sentence.tokens))
        if start >= end:
            return ""
        only = sentence.tokens[start]
        return only.text if end - start == 1 and only.kind is Is.QUOTED else sentence.text(start, end)

    def nearest(self, text: str, n: int = 3) -> tuple[str, ...]:
        """The canonical command words that are closest to how a text starts, the closest first; perhaps none."""
        sentence = Sentence(text[:LONGEST], self._fillers)
        words = [token.word for token in sentence.tokens[self._offsets(sentence)[-1] :][:3]]
        best: dict[str, float] = {}
        for count in range(1, len(words) + 1):
            start = " ".join(words[:count])
            for phrase, score, _ in process.extract(
                start, list(self._phrases), scorer=fuzz.ratio, score_cutoff=_NEAR_ENOUGH, limit=None
            ):
                command = self._phrases[phrase]
                best[command] = max(score, best.get(command, 0.0))
        return tuple(sorted(best, key=lambda command: (-best[command], command))[:n])


def _hides(start: _Start, said: tuple[str, ...], other: _Form, reserved: Reserved) -> bool:
    """Whether a canonical sentence of another form could match this start, and would then be read as this one."""
    if start.before[: len(said)] != said or (start.before == said and not start.behind):
        return False
    further = (*start.before[len(said) :], *start.behind)
    if len(start.before) > len(said) and further[0] not in other.own:
        safe = other.name_first is None or further[0] in reserved.at_start
    else:
        safe = False
    return not safe and not any(word in reserved.anywhere and word not in other.own for word in further)


def _chosen(found: Sequence[_Found]) -> tuple[Intent, ...]:
    """The likeliest readings, and always one with the fewest clauses; in the order that dispatch wants."""
    best: dict[Intent, _Found] = {}
    for each in sorted(found, key=lambda one: one.cost):
        best.setdefault(each.intent, each)
    ranked = list(best.values())
    kept = ranked[:MOST_READINGS]
    if len(ranked) > MOST_READINGS:
        shortest = min(ranked, key=lambda one: one.said)
        if shortest.said < min(each.said for each in kept):
            kept[-1] = shortest
    return tuple(each.intent for each in sorted(kept, key=lambda one: (one.said, one.cost)))
