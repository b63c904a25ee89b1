"""Sentences that ask for something later or again, taken apart: what it is about, and all that is said of times and limits.

As in `bot.language.gate` the raw words decide: what opens such a sentence is a phrase at its beginning (in German perhaps at
its end), and every word besides belongs to a clause that is known here or to the one stretch that says what it is about.
That stretch is understood like any other sentence. Whatever begins otherwise is none: "should we watch main job?" asks for
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

from bot.language.gate import asks_politely
from bot.language.hours import Hour, Hours
from bot.language.vocabulary import Class, Roles, Vocabulary
from bot.model.intents import Bound, Op

_EDGES = "\"“”„«»'‘’.,;:!?？…()"
_ENDED = ("failed", "succeeded", "stopped")
_SIGNS = {"<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}


class Asks(StrEnum):
    """What such a sentence asks for."""

    WATCH = "watch"
    GUARD = "guard"
    DIGEST = "every"
    UNWATCH = "unwatch"
    SNOOZE = "snooze"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Standing:
    """One such sentence.

    Attributes:
        about: The stretch that says what it is about: a name, a question, or which watch.
        inside: The sentence that takes the place of a watch.
        at: When; `until`, `start_by`, `days`, `on`, `longer` and `crosses` as in `bot.watching.orders`.
        lasting: For how long.
        target: Whether the target of a KPI was named as the line.
        chosen: Whether the half of the day was chosen, because nobody said it.
        tomorrow: Whether the next day was named.
    """

    asks: Asks
    about: str = ""
    inside: str = ""
    at: time | None = None
    until: time | None = None
    start_by: time | None = None
    days: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    longer: timedelta | None = None
    lasting: timedelta | None = None
    crosses: Bound | None = None
    target: bool = False
    chosen: bool = False
    tomorrow: bool = False


def standing(text: str, spoken: Vocabulary, now: datetime) -> Standing | None:
    """What a text asks for later or again; None if it does not.

    Args:
        text: As it was typed.
        spoken: The languages.
        now: When it is said (aware, in the zone that is meant).
    """
    return _Sentence(text, spoken, now).read()


@dataclass(slots=True)
class _Said:
    """What was read so far."""

    found: dict[str, Any] = field(default_factory=dict)
    rest: list[int] = field(default_factory=list)
    running: bool = False
    unstarted: bool = False

    def put(self, name: str, value: object) -> bool:
        """Takes what was said once; twice it is not understood."""
        if name in self.found:
            return False
        self.found[name] = value
        return True


class _Sentence:
    def __init__(self, text: str, spoken: Vocabulary, now: datetime) -> None:
        self.text = text
        self.now = now
        self.words: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self._split()
        self.spoken = spoken
        self.hours = Hours(self.words, spoken)
        self.roles = spoken.watching

    def _split(self) -> None:
        at = 0
        for each in self.text.split():
            begin = self.text.index(each, at)
            at = begin + len(each)
            core = each.strip(_EDGES)
            if core.casefold() not in _PLEASE and (core or each in _SIGNS):
                core = core or each
                found = begin + each.index(core)
                self.words.append(core.casefold().replace("’", "'"))
                self.spans.append((found, found + len(core)))

    def said(self, first: int, last: int) -> str:
        """The text from one word to before another, with the quotes that belong to it."""
        if first >= last:
            return ""
        begin, end = self.spans[first][0], self.spans[last - 1][1]
        begin -= begin > 0 and self.text[begin - 1] in '"“„«'
        end += end < len(self.text) and self.text[end] in '"”“»)'
        return self.text[begin:end]

    def role(self, role: str, at: int) -> int:
        """Where the longest phrase of a role ends that begins at a word; 0 for none."""
        return self.hours.phrase(self.roles[role], at)[0]

    def read(self) -> Standing | None:
        """See `standing`."""
        start = self._past_courtesy(0)
        end = self._before_courtesy(start)
        if start >= end or (self.text.rstrip()[-1:] in "?？" and not asks_politely(self.words[:start])):
            return None
        return (
            self._unwatch(start, end)
            or self._snooze(start, end)
            or self._edit(start, end)
            or self._watch(start, end)
            or self._digest(start, end)
        )

    def _past_courtesy(self, at: int) -> int:
        while end := self.hours.phrase(dict.fromkeys(self.spoken.writes.courtesy, ""), at)[0]:
            at = end
        return at

    def _before_courtesy(self, start: int) -> int:
        end = len(self.words)
        while True:
            fits = (
                len(each)
                for each in self.spoken.writes.courtesy
                if len(each) <= end - start and tuple(self.words[end - len(each) : end]) == each
            )
            shorter = max(fits, default=0)
            if not shorter or self.words[end - 1] in {"auf", "an", "ab"}:
                return end
            end -= shorter

    # --- about one that is there

    def _unwatch(self, start: int, end: int) -> Standing | None:
        behind = self.role("unwatch", start)
        last = self._ending(self.roles["unwatch_end"], start, end)
        if behind:
            last = last or end
        elif last and self.role("watch", start) in range(start + 1, last):
            behind = self.role("watch", start)  # "überwache main job nicht mehr"
        else:
            return None
        return Standing(Asks.UNWATCH, about=self.said(self._which(behind, last), last))

    def _which(self, at: int, end: int) -> int:
        """Behind the word for what a number stands for."""
        while at < end and (behind := self.role("watches", at)) and behind < end:
            at = behind
        return at

    def _snooze(self, start: int, end: int) -> Standing | None:
        behind = self.role("snooze", start)
        if not behind:
            return None
        said = _Said()
        at = behind
        while at < end:
            at = self._length(at, said) or self._until(at, said) or self._left(at, said)
        if not _in_a_row(said.rest) or ("until" in said.found and "lasting" in said.found):
            return None
        return Standing(Asks.SNOOZE, about=self._rest(said, which=True), **said.found)

    def _length(self, at: int, said: _Said) -> int:
        behind = self.role("for", at)
        found = self.hours.lasting(behind or at)
        return found[0] if found is not None and said.put("lasting", found[1]) else 0

    def _until(self, at: int, said: _Said) -> int:
        behind = self.hours.role("until", at)
        return self._clock(behind, "until", said) if behind else 0

    def _left(self, at: int, said: _Said) -> int:
        said.rest.append(at)
        return at + 1

    def _edit(self, start: int, end: int) -> Standing | None:
        behind = self.role("edit", start)
        which = self._which(behind, end) if behind else 0
        if not behind or which >= end or not any(map(str.isdigit, self.words[which])):
            return None
        inside = self.role("edit_to", which + 1) or which + 1
        return Standing(Asks.EDIT, about=self.said(which, which + 1), inside=self.said(inside, end))

    # --- a new one

    def _watch(self, start: int, end: int) -> Standing | None:
        guards, watches = self.role("guard", start), self.role("watch", start)
        closing = self._ending(self.roles["closing"], start, end)
        behind = max(guards, watches)
        if not behind and not closing:
            return None
        said = _Said()
        conditional = tuple(self.words[start:behind]) in self.roles["bare"]
        at, end = behind or start, closing or end
        told = False
        while at < end:
            if if_ := self.role("if", at):
                told, at = True, if_
                continue
            at = self._clause(at, end, said) or self._left(at, said)
        if conditional and not told:
            return None  # "tell me the kpis" is a question
        particles = {at for at in said.rest if (self.words[at],) in self.roles["particle"]}
        if behind and not _in_a_row(said.rest):
            said.rest = [at for at in said.rest if at not in particles]
        elif behind and said.rest and said.rest[-1] in particles:
            said.rest.pop()
        return self._new(guards > watches, said) if _in_a_row(said.rest) else None

    def _new(self, guards: bool, said: _Said) -> Standing | None:  # noqa: FBT001 - which of two
        found = said.found
        if said.unstarted:
            if "until" not in found and "at" not in found:
                return None
            found["start_by"] = found.pop("until", None) or found.pop("at")
        elif "at" not in found and "until" in found:
            found["at"] = found.pop("until")  # "pass auf bis 23:45": by then it has to be over
        if said.running and "at" not in found:
            return None
        asks = Asks.GUARD if guards or "at" in found else Asks.WATCH
        return Standing(asks, about=self._rest(said), **found)

    def _rest(self, said: _Said, *, which: bool = False) -> str:
        if not said.rest:
            return ""
        first, last = said.rest[0], said.rest[-1] + 1
        first = self._which(first, last) if which else self.role("all", first) or first
        return self.said(first, last)

    def _clause(self, at: int, end: int, said: _Said) -> int:
        """Where a clause ends that begins at a word; 0 if there is none."""
        if (days := self.hours.days(at)) is not None and days[0] <= end:
            return days[0] if said.put("days", days[1]) else 0
        for each in (self._limit, self._event, self._times, self._day):
            if (behind := each(at, said)) and behind <= end:
                return behind
        return 0

    def _event(self, at: int, said: _Said) -> int:
        if "on" in said.found and at + 1 < len(self.words) and self.words[at] in _OR:
            at += 1  # "fails or is stopped"
        behind, event = self.hours.phrase(self.roles["events"], at)
        running, unstarted = self.role("running", at), self.role("unstarted", at)
        if unstarted and unstarted >= max(behind, running):
            said.unstarted = True
            return unstarted
        if running > behind:
            said.running = True
            return running
        if behind:
            told = _ENDED if event == "ended" else (event,)
            said.found["on"] = tuple(dict.fromkeys((*said.found.get("on", ()), *told)))
            return behind
        if said.unstarted and (started := self.role("started", at)):
            return started
        return 0

    def _limit(self, at: int, said: _Said) -> int:
        """A line that a KPI crosses, or how long a run may take."""
        if behind := self.role("target", at):
            return behind if said.put("target", True) else 0
        if behind := self.role("longer", at):
            found = self.hours.lasting(behind)
            return self._verb(found[0]) if found is not None and said.put("longer", found[1]) else 0
        for behind, op in self._comparisons(at):
            number = self.words[behind] if behind < len(self.words) else ""
            share = self.words[behind + 1] if behind + 1 < len(self.words) else ""
            if not number.rstrip("%").replace(",", "").replace(".", "").isdecimal():
                continue
            percent = self.spoken.units.get(share) == ("share", "percent")
            value = number + "%" * (percent and not number.endswith("%"))
            if said.put("crosses", Bound(op, value)):
                return self._verb(behind + 1 + percent)
        return 0

    def _verb(self, at: int) -> int:
        """Behind a verb that ends a German clause: "unter 80 fällt"."""
        return at + (at < len(self.words) and self.words[at] in _VERBS)

    def _comparisons(self, at: int) -> Iterator[tuple[int, Op]]:
        if at < len(self.words) and self.words[at] in _SIGNS:
            yield at + 1, _SIGNS[self.words[at]]
        behind, op = self.hours.phrase(self.roles["crosses"], at)
        if behind:
            yield behind, Op(op)
        for end, senses in self.spoken.at(self.words, at) if at < len(self.words) else ():
            for each in senses:
                if each.what is Class.COMPARISON and each.value in _SIGNS:
                    yield end, Op(each.value)

    def _times(self, at: int, said: _Said) -> int:
        until = max(self.hours.role("until", at), self.role("by", at))
        if until and (found := self._clock(until, "until", said)):
            return found
        behind = self.hours.role("at", at)
        return self._clock(behind or at, "at", said, bare=bool(behind))

    def _clock(self, at: int, name: str, said: _Said, *, bare: bool = True) -> int:
        found = self.hours.time(at, bare=bare)
        if found is None:
            return 0
        hour, chosen = found.hour.resolved(self.now, next_one="days" not in said.found)
        if not said.put(name, hour):
            return 0
        if chosen:
            said.found["chosen"] = True
        return found.end

    def _day(self, at: int, said: _Said) -> int:
        """The day of a time: this night or the next one, which it has to be anyway."""
        for role in ("today", "night", "pm", "am"):
            if end := self.hours.role(role, at):
                return end
        if end := self.hours.role("tomorrow", at):
            said.found["tomorrow"] = True
            return end
        return 0

    # --- again and again

    def _digest(self, start: int, end: int) -> Standing | None:
        """Days with a time, and a question before or behind them."""
        begin = self.role("send", start) or start
        for at in range(begin, end):
            read = self._when(at)
            if read is None:
                continue
            behind, days, hour = read
            front, back = self.said(begin, at), self.said(behind, end)
            if front and back:
                return None
            clock, chosen = hour.resolved(self.now, next_one=False)
            return Standing(Asks.DIGEST, about=front or back, at=clock, days=days, chosen=chosen)
        return None

    def _when(self, at: int) -> tuple[int, tuple[str, ...], Hour] | None:
        """Days and a time beside each other, in either order, from a word on."""
        days = self.hours.days(at)
        if days is not None:
            behind = self.hours.role("at", days[0])
            found = self.hours.time(behind or days[0], bare=bool(behind))
            return None if found is None else (found.end, days[1], found.hour)
        behind = self.hours.role("at", at)
        found = self.hours.time(behind or at, bare=bool(behind))
        days = self.hours.days(found.end) if found is not None else None
        return None if found is None or days is None else (days[0], days[1], found.hour)

    def _ending(self, roles: Roles, start: int, end: int) -> int:
        """Where the longest of some phrases begins that ends at a word; 0 for none."""
        fits = (len(each) for each in roles if len(each) < end - start)
        return min(
            (end - length for length in fits if tuple(self.words[end - length : end]) in roles), default=0
        )


_OR = frozenset({"or", "and", "oder", "und"})
_PLEASE = frozenset({"please", "pls", "plz", "bitte", "mal"})
_VERBS = frozenset(
    {"fällt", "sinkt", "liegt", "steigt", "geht", "ist", "läuft", "dauert", "rutscht", "klettert", "is"}
)


def _in_a_row(places: list[int]) -> bool:
    return not places or places[-1] - places[0] == len(places) - 1
