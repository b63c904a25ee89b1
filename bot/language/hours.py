"""Times on the clock, days of the week and lengths of time, as people write them.

Which phrases say what is data (`[clock]` of `words/*.toml`); here stands how they go together: "23.45", "8 uhr 30",
"quarter to twelve", "fünf vor halb neun", "in half an hour", "jeden werktag". A text is taken word by word, in lower
case; nothing here knows what is asked for at that time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import NamedTuple

from bot.language.vocabulary import Roles, Vocabulary

HALF_DAY = 12 * 60
DAY = 24 * 60
_HOURS = 12
_HALF_AN_HOUR = 30
_QUARTER_DAY = 6 * 60
_CLOCK = re.compile(r"(\d{1,2})[:.h](\d{2})(.*)")
_BARE = re.compile(r"(\d{2})(\d{2})()")
_HOUR = re.compile(r"(\d{1,2})()(\D*)")
_AMOUNT = re.compile(r"(\d{1,4}(?:[.,]\d)?)(\D*)")
_MINUTES = {"minute": 1, "hour": 60, "day": DAY}
_MOST_MINUTES = 59
_AND = frozenset({"and", "und", "&", "+"})


@dataclass(frozen=True, slots=True)
class Hour:
    """A time that was said: minutes since midnight.

    Attributes:
        sure: Whether it is known which half of the day is meant.
        away: It is so many minutes from now instead.
    """

    minutes: int
    sure: bool = True
    away: bool = False

    def resolved(self, now: datetime, *, next_one: bool = True) -> tuple[time, bool]:
        """The time on the clock, and whether the half of the day was chosen.

        Args:
            now: When it is said (aware, in the zone that is meant).
            next_one: Where nobody said which half of the day, the one that comes first is meant; else it is as written.
        """
        if self.away:
            # A minute that has begun counts as a whole one: it comes no earlier than was said.
            then = now + timedelta(minutes=self.minutes, seconds=59 if now.second or now.microsecond else 0)
            return then.time().replace(second=0, microsecond=0), False
        minutes = self.minutes % DAY
        if not self.sure and next_one:
            so_far = now.hour * 60 + now.minute
            minutes = min((minutes, (minutes + HALF_DAY) % DAY), key=lambda each: (each - so_far - 1) % DAY)
        return time(minutes // 60, minutes % 60), not self.sure


class Read(NamedTuple):
    """What was read, and the word behind it."""

    end: int
    hour: Hour


class Hours:
    """Reads them from the words of a text.

    Args:
        words: Of the text, in lower case, punctuation at their ends left out.
        spoken: The languages.
    """

    def __init__(self, words: Sequence[str], spoken: Vocabulary) -> None:
        self.words = words
        self._spoken = spoken
        self._roles = spoken.clock

    def phrase(self, roles: Roles, at: int) -> tuple[int, str]:
        """The longest phrase of some that begins at a word: where it ends (0: there is none), and what it says."""
        longest = max(
            (each for each in roles if tuple(self.words[at : at + len(each)]) == each), key=len, default=()
        )
        return (at + len(longest), roles[longest]) if longest else (0, "")

    def role(self, role: str, at: int) -> int:
        """Where the longest phrase of a role ends that begins at a word; 0 for none."""
        return self.phrase(self._roles[role], at)[0]

    # --- times

    def time(self, at: int, *, bare: bool = False) -> Read | None:
        """The longest time that begins at a word.

        Args:
            at: The word.
            bare: Whether a number alone may be an hour, as it is behind "at".
        """
        found = [
            self._half_of_day(each)
            for each in (*self._digits(at, bare=bare), *self._named(at), *self._spelt(at, bare=bare))
        ]
        found += self._away(at)
        return max(found, key=lambda each: each.end, default=None)

    def _digits(self, at: int, *, bare: bool) -> Iterator[Read]:
        word = self.words[at] if at < len(self.words) else ""
        found = _CLOCK.fullmatch(word) or (_BARE.fullmatch(word) if bare else None) or _HOUR.fullmatch(word)
        if found is None:
            return
        hour, minute, glued = int(found[1]), int(found[2] or 0), found[3].strip(".")
        if hour * 60 + minute > DAY or minute > _MOST_MINUTES:
            return
        minutes, end = hour * 60 + minute, at + 1
        if glued in {"h", "uhr"}:
            yield from self._minutes_behind(Read(end, Hour(minutes)), written=bool(found[2]))
        elif glued:
            if (part := (glued,)) in self._roles["am"] or part in self._roles["pm"]:
                yield from self._in_half(
                    Read(end, Hour(minutes, sure=False)), "am" if glued[0] == "a" else "pm"
                )
        elif found[2]:
            yield Read(self.role("uhr", end) or end, Hour(minutes))
        elif more := self.role("uhr", end):
            yield from self._minutes_behind(Read(more, Hour(minutes)), written=False)
        elif bare or self.role("oclock", end) or any(self.role(each, end) for each in ("am", "pm")):
            sure = not 0 < hour <= _HOURS
            yield Read(self.role("oclock", end) or end, Hour(minutes, sure=sure))

    def _minutes_behind(self, hour: Read, *, written: bool) -> Iterator[Read]:
        """Takes "30" of "8 uhr 30"."""
        yield hour
        behind = self.words[hour.end] if hour.end < len(self.words) else ""
        if not written and behind.isdecimal() and int(behind) <= _MOST_MINUTES and hour.hour.minutes < DAY:
            yield Read(hour.end + 1, Hour(hour.hour.minutes + int(behind)))

    def _named(self, at: int) -> Iterator[Read]:
        for role, minutes in (("noon", HALF_DAY), ("midnight", 0)):
            if end := self.role(role, at):
                yield Read(end, Hour(minutes))

    def _spelt(self, at: int, *, bare: bool) -> Iterator[Read]:
        """Hours in words, and minutes before or after an hour."""
        if end := self.role("half_past", at):
            yield from self._moved(end, _HALF_AN_HOUR)
        if end := self.role("half_to", at):
            yield from self._moved(end, -_HALF_AN_HOUR)
        minutes, end = self._number(at)
        if not end:
            return
        unit = self.words[end] if end < len(self.words) else ""
        if self._spoken.units.get(unit) == ("time", "minute"):
            end += 1
        for role, sign in (("to", -1), ("past", 1)):
            if behind := self.role(role, end):
                half = self.role("half_to", behind)
                yield from self._moved(half or behind, sign * minutes - (_HALF_AN_HOUR if half else 0))
        if 0 < minutes <= _HOURS and not self.words[at].isdecimal():
            named = self.role("uhr", end) or self.role("oclock", end)
            if bare or named:
                yield Read(named or end, Hour(minutes * 60, sure=False))

    def _moved(self, at: int, by: int) -> Iterator[Read]:
        """An hour, moved by minutes."""
        hour, end = self._number(at)
        if end and 0 < hour <= 2 * _HOURS:
            end = self.role("uhr", end) or self.role("oclock", end) or end
            yield Read(end, Hour((hour * 60 + by) % DAY, sure=hour > _HOURS))
        for named in self._named(at):
            yield Read(named.end, Hour((named.hour.minutes + by) % DAY))

    def _number(self, at: int) -> tuple[int, int]:
        """A number up to 59 in words or digits, and where it ends (0: there is none)."""
        if at < len(self.words) and self.words[at].isdecimal():
            number = int(self.words[at])
            return (number, at + 1) if number <= _MOST_MINUTES else (0, 0)
        end, said = self.phrase(self._roles["numbers"], at)
        return (int(said), end) if end else (0, 0)

    def _half_of_day(self, read: Read) -> Read:
        """Takes the half of the day that was said behind a time."""
        for role in ("am", "pm", "night"):
            if end := self.role(role, read.end):
                return next(self._in_half(Read(end, read.hour), role), read)
        return read

    def _in_half(self, read: Read, role: str) -> Iterator[Read]:
        minutes = read.hour.minutes
        if minutes >= HALF_DAY + 60:
            if role != "am":
                yield Read(read.end, Hour(minutes))
            return
        past = minutes % HALF_DAY
        evening = role == "pm" or (role == "night" and past >= _QUARTER_DAY)
        yield Read(read.end, Hour(past + HALF_DAY if evening else past))

    def _away(self, at: int) -> list[Read]:
        behind = self.role("in", at)
        found = self.lasting(behind) if behind else None
        if found is None or not timedelta() < found[1] < timedelta(minutes=DAY):
            return []
        return [Read(found[0], Hour(found[1] // timedelta(minutes=1), away=True))]

    # --- lengths and days

    def lasting(self, at: int) -> tuple[int, timedelta] | None:
        """A length of time that begins at a word, and the word behind it."""
        end, said = self.phrase(self._roles["lasting"], at)
        if end:
            return end, timedelta(minutes=int(said))
        number, end = self._number(at)
        amount, glued = float(number), ""
        if at < len(self.words) and (found := _AMOUNT.fullmatch(self.words[at])):
            amount, glued, end = float(found[1].replace(",", ".")), found[2], at + 1
        if not end:
            return None
        unit = glued or (self.words[end] if end < len(self.words) else "")
        measure, meant = self._spoken.units.get(unit, ("", ""))
        minutes = round(amount * _MINUTES.get(meant, 0))
        if measure != "time" or not minutes:
            return None
        return end + (not glued), timedelta(minutes=minutes)

    def days(self, at: int) -> tuple[int, tuple[str, ...]] | None:
        """Days on which something comes again, and the word behind them: "every monday and friday", "montags"."""
        found: list[str] = []
        end, every = at, False
        behind, said = self._day(at, every=False)
        while behind:
            every = every or bool(self.role("every", end))
            found.append(said)
            last = behind
            end = behind + (behind < len(self.words) and self.words[behind] in _AND)
            behind, said = self._day(end, every=every)
        return (last, tuple(dict.fromkeys(found))) if found else None

    def _day(self, at: int, *, every: bool) -> tuple[int, str]:
        """A day, or a word for several, where it is one on which something comes again; as `phrase`."""
        for start in (at, self.role("on", at)):
            end, said = self.phrase(self._roles["repeated"], start) if start == at or start else (0, "")
            if end:
                return end, said
        start = self.role("every", at) or (at if every else 0)
        return self.phrase(self._roles["days"], start) if start or every else (0, "")
