"""Periods in words: `last month`, `Q3 2026`, `since 2026-03-01`, `last 30 days`.

A small grammar of our own: what it does not know is no period, since a date that was guessed is worse than none. Weeks
begin on Monday (ISO 8601). Counted periods end with today (`last 30 days`) or begin with it (`next 7 days`). A month,
a quarter or a day without its year is no period, because nobody can tell which year is meant; a time without its day is
the last one that has passed. Fractions of a second are cut off.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DATES = frozenset({"date", "datetime", "timestamp"})
"""Types of fields that hold dates."""
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "jan", "januar"),
            ("february", "feb", "februar"),
            ("march", "mar", "märz"),
            ("april", "apr"),
            ("may", "mai"),
            ("june", "jun", "juni"),
            ("july", "jul", "juli"),
            ("august", "aug"),
            ("september", "sep", "sept"),
            ("october", "oct", "oktober", "okt"),
            ("november", "nov"),
            ("december", "dec", "dezember", "dez"),
        ),
        start=1,
    )
    for name in names
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST_YEAR = 1900
_LAST_YEAR = 2199
_MOST = 10_000
_LONGEST = 80
_MINUTE = timedelta(minutes=1)
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
_DAYS_IN = {"day": 1, "week": 7}
_CLOCK_UNITS = {
    "minute": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "h": timedelta(hours=1),
}


_TELLING = frozenset({
    *_MONTHS, *_WEEKDAYS, *_MONTHS_IN, *_DAYS_IN, *_CLOCK_UNITS,
    "today", "yesterday", "tomorrow", "heute", "gestern", "morgen", "now", "ytd", "qtd", "mtd", "wtd",
})  # fmt: skip
"""Every period has one of these in it, perhaps in the plural, or a number."""


def tells(word: str) -> bool:
    """Whether a word may say when: without such a one there is no period."""
    word = word.removesuffix(".")
    return word in _TELLING or word.removesuffix("s") in _TELLING or any(map(str.isdigit, word))


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of time, in the zone it was asked for.

    Attributes:
        start: Its first instant; None where it has no beginning.
        end: The first instant after it; None where it has no end.
        clock: It has a time of day in it, so it does not consist of whole days.
        instant: A point on the clock; `end` is then how exactly it was written (a minute or a second later).
    """

    start: datetime | None
    end: datetime | None
    clock: bool = False
    instant: bool = False

    @property
    def after(self) -> datetime | None:
        """From where on something is later than this."""
        return self.start if self.instant else self.end

    @property
    def one_day(self) -> bool:
        """Whether it is exactly one day."""
        if self.clock or self.start is None or self.end is None:
            return False
        return self.end.date() - self.start.date() == timedelta(days=1)


def period(text: str, zone: ZoneInfo, now: datetime) -> Period | None:
    """What a text means as a period.

    Args:
        text: In words or numbers, any case.
        zone: Where days begin at midnight.
        now: Aware; what `today` and `last month` count from.

    Returns:
        None if the text is no period that this grammar knows.
    """
    if len(text) > _LONGEST:
        return None
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().replace(",", " ").split())
    try:
        return _Reader(zone, now.astimezone(zone)).read(words)
    except (OverflowError, ValueError):
        return None


def lasting(span: Period) -> str:
    """A period in words that mean the same whenever they are read in its zone: `2026-10-01 to 2026-10-31`."""
    start, end = span.start, span.end
    if start is None or end is None:
        return f"since {_dated(start)}" if start is not None else f"before {_dated(end)}" if end else ""
    if span.instant:
        return start.isoformat(timespec="seconds" if start.second or end - start < _MINUTE else "minutes")
    if span.clock:
        return f"{start.isoformat(timespec='seconds')} to {end.isoformat(timespec='seconds')}"
    first, last = start.date(), end.date() - timedelta(days=1)
    return first.isoformat() if first == last else f"{first} to {last}"


def _dated(at: datetime) -> str:
    return at.date().isoformat() if at.time() == time() else at.isoformat(timespec="seconds")


class _Reader:
    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self.zone = zone
        self.now = now
        self.today = now.date()

    def read(self, text: str) -> Period | None:
        simple = self.simple(text)
        if simple is not None:
            return simple
        for pattern, build in _BOUNDED:
            found = pattern.fullmatch(text)
            parts = [self.simple(part) for part in found.groups()] if found else []
            if parts and all(parts):
                bounded = build(*parts)
                return bounded if _ordered(bounded) else None
        return None

    def simple(self, text: str) -> Period | None:
        """A period that is not made of others."""
        for read in (self._named, self._calendar, self._counted, self._weekday, self._day, self._moment):
            found = read(text)
            if found is not None:
                return found
        return None

    # --- words

    def _named(self, text: str) -> Period | None:
        days = {
            "today": 0,
            "yesterday": -1,
            "day before yesterday": -2,
            "tomorrow": 1,
            "heute": 0,
            "gestern": -1,
            "morgen": 1,
        }
        if text in days:
            return self._days(self.today + timedelta(days=days[text]), 1)
        if text == "now":
            return Period(self.now, self.now + timedelta(seconds=1), clock=True, instant=True)
        to_date = {"ytd": "year", "qtd": "quarter", "mtd": "month", "wtd": "week"}
        unit = to_date.get(text) or (found[1] if (found := _TO_DATE.fullmatch(text)) else "")
        if unit:
            begin = self._unit(unit, 0).start
            return Period(begin, self._midnight(self.today + timedelta(days=1)))
        if found := _BEFORE_LAST.fullmatch(text):
            return self._unit(found[1], -2)
        found = _RELATIVE.fullmatch(text)
        if found is None:
            return None
        offset = {"this": 0, "current": 0, "next": 1}.get(found[1], -1)
        return self._unit(found[2], offset)

    def _unit(self, unit: str, offset: int) -> Period:
        """This day, week, month, quarter or year, or one that is `offset` away."""
        if unit in _DAYS_IN:
            length = _DAYS_IN[unit]
            begin = self.today - timedelta(days=self.today.weekday() if unit == "week" else 0)
            return self._days(begin + timedelta(days=length * offset), length)
        length = _MONTHS_IN[unit]
        months = self.today.year * 12 + self.today.month - 1
        begin_month = months - months % length + offset * length
        return self._months(begin_month, length)

    def _counted(self, text: str) -> Period | None:
        found = _COUNTED.fullmatch(text) or _AGO.fullmatch(text)
        if found is None:
            return None
        direction, count, unit = found.group("way"), int(found["count"]), found["unit"]
        if not 0 < count <= _MOST:
            return None
        if unit in _CLOCK_UNITS:
            away = self.now.astimezone(UTC) - _CLOCK_UNITS[unit] * count
            if direction == "ago":
                then = away.astimezone(self.zone)
                return Period(then, then + timedelta(seconds=1), clock=True, instant=True)
            if direction == "next":
                until = self.now.astimezone(UTC) + _CLOCK_UNITS[unit] * count
                return Period(self.now, until.astimezone(self.zone), clock=True)
            return Period(away.astimezone(self.zone), self.now, clock=True)
        if direction == "ago":
            return self._days(self._moved(self.today, unit, -count), 1)
        if direction == "next":
            return self._between(self.today, self._moved(self.today, unit, count))
        tomorrow = self.today + timedelta(days=1)
        return self._between(self._moved(tomorrow, unit, -count), tomorrow)

    def _weekday(self, text: str) -> Period | None:
        last, _, name = text.rpartition(" ")
        if name not in _WEEKDAYS or last not in {"", "last", "on"}:
            return None
        back = (self.today.weekday() - _WEEKDAYS.index(name)) % 7
        if last == "last" and back == 0:
            back = 7
        return self._days(self.today - timedelta(days=back), 1)

    # --- the calendar

    def _calendar(self, text: str) -> Period | None:
        if found := _YEAR.fullmatch(text):
            return self._months(self._year(found["year"]) * 12, 12)
        if found := _QUARTER.fullmatch(text) or _QUARTER_LAST.fullmatch(text):
            return self._months(self._year(found["year"]) * 12 + 3 * int(found["quarter"]) - 3, 3)
        if found := _WEEK.fullmatch(text) or _WEEK_LAST.fullmatch(text):
            return self._days(date.fromisocalendar(self._year(found["year"]), int(found["week"]), 1), 7)
        if found := _MONTH_NUMBER.fullmatch(text) or _NUMBER_MONTH.fullmatch(text):
            return self._months(self._year(found["year"]) * 12 + _month(found["month"]) - 1, 1)
        if (found := _MONTH_NAME.fullmatch(text)) and found["month"] in _MONTHS:
            return self._months(self._year(found["year"]) * 12 + _MONTHS[found["month"]] - 1, 1)
        return None

    def _day(self, text: str) -> Period | None:
        day = self._date(text)
        return self._days(day, 1) if day else None

    def _date(self, text: str) -> date | None:
        if found := _ISO_DAY.fullmatch(text) or _DOTTED_DAY.fullmatch(text):
            return date(self._year(found["year"]), int(found["month"]), int(found["day"]))
        if (found := _DAY_MONTH.fullmatch(text) or _MONTH_DAY.fullmatch(text)) and found["month"] in _MONTHS:
            return date(self._year(found["year"]), _MONTHS[found["month"]], int(found["day"]))
        return None

    def _moment(self, text: str) -> Period | None:
        found = _MOMENT.fullmatch(text)
        if found is None:
            return None
        day_text = (found["day"] or "").strip()
        day = self._date(day_text) or {
            "": self.today,
            "today": self.today,
            "yesterday": self.today - timedelta(days=1),
            "tomorrow": self.today + timedelta(days=1),
        }.get(day_text)
        if day is None:
            return None
        clock = time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
        offset = (found["offset"] or "").upper()
        if offset and not day_text:
            return None
        if offset:
            at = datetime.fromisoformat(f"{day}T{clock.isoformat()}{offset.replace('Z', '+00:00')}")
            at = at.astimezone(self.zone)
        else:
            at = self._at(day, clock)
            if not day_text and at.astimezone(UTC) > self.now.astimezone(UTC):
                at = self._at(day - timedelta(days=1), clock)
        exact = timedelta(seconds=1) if found["second"] else timedelta(minutes=1)
        return Period(at, (at.astimezone(UTC) + exact).astimezone(self.zone), clock=True, instant=True)

    # --- from days to instants

    def _at(self, day: date, clock: time) -> datetime:
        """A wall-clock time as an instant: the first of two equal ones; a skipped one counts as that much later."""
        return datetime.combine(day, clock, self.zone).astimezone(UTC).astimezone(self.zone)

    def _midnight(self, day: date) -> datetime:
        return self._at(day, time())

    def _between(self, first: date, after: date) -> Period:
        return Period(self._midnight(first), self._midnight(after))

    def _days(self, first: date, count: int) -> Period:
        return self._between(first, first + timedelta(days=count))

    def _months(self, first: int, count: int) -> Period:
        """Months counted from year 0."""
        return self._between(*(date(each // 12, each % 12 + 1, 1) for each in (first, first + count)))

    def _moved(self, day: date, unit: str, count: int) -> date:
        """The day so many units away; the last of its month where that has fewer days."""
        if unit in _DAYS_IN:
            return day + timedelta(days=_DAYS_IN[unit] * count)
        year, month = divmod(day.year * 12 + day.month - 1 + count * _MONTHS_IN[unit], 12)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))

    def _year(self, text: str) -> int:
        year = int(text)
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            raise ValueError(text)
        return year


def _month(text: str) -> int:
    month = int(text)
    if not 1 <= month <= 12:  # noqa: PLR2004 - months of a year
        raise ValueError(text)
    return month


def _ordered(each: Period) -> bool:
    # In UTC, since instants of one zone are compared by their wall clocks, which go back once a year.
    return each.start is None or each.end is None or each.start.astimezone(UTC) <= each.end.astimezone(UTC)


def _joined(first: Period, last: Period) -> Period:
    return Period(first.start, last.after, first.clock or last.clock)


_Y = "(?P<year>[0-9]{4})"
_D = "(?P<day>[0-9]{1,2})"
_M = "(?P<month>[0-9]{1,2})"
_NAME = r"(?P<month>[^\W\d_]+)\.?"
_UNITS = "day|week|month|quarter|year"
_COUNT = f"(?P<count>[0-9]{{1,5}}) ?(?P<unit>{_UNITS}|minute|min|hour|h)s?"
_TO_DATE = re.compile("(week|month|quarter|year) to date")
_RELATIVE = re.compile(f"(this|current|last|previous|past|next) ({_UNITS})")
_BEFORE_LAST = re.compile(f"({_UNITS}) before last")
_COUNTED = re.compile(f"(?:the )?(?P<way>last|past|previous|next) {_COUNT}")
_AGO = re.compile(f"{_COUNT} (?P<way>ago)")
_YEAR = re.compile(f"(?:year )?{_Y}")
_QUARTER = re.compile(f"q ?(?P<quarter>[1-4])[ /-]{_Y}")
_QUARTER_LAST = re.compile(f"{_Y}[ /-]?q ?(?P<quarter>[1-4])")
_WEEK = re.compile(f"(?:week|kw|cw|w) ?(?P<week>[0-9]{{1,2}})[ /-]{_Y}")
_WEEK_LAST = re.compile(f"{_Y}[ -]?w(?P<week>[0-9]{{1,2}})")
_MONTH_NUMBER = re.compile(f"{_Y}-{_M}")
_NUMBER_MONTH = re.compile(f"{_M}/{_Y}")
_MONTH_NAME = re.compile(f"{_NAME} {_Y}")
_ISO_DAY = re.compile(f"{_Y}-{_M}-{_D}")
_DOTTED_DAY = re.compile(rf"{_D}\. ?{_M}\. ?{_Y}")
_DAY_MONTH = re.compile(rf"(?:the )?{_D}(?:st|nd|rd|th|\.)? (?:of )?{_NAME} {_Y}")
_MONTH_DAY = re.compile(f"{_NAME} {_D}(?:st|nd|rd|th)? {_Y}")
_MOMENT = re.compile(
    "(?:(?P<day>.+?)(?: at | |t))?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)? ?(?P<offset>z|[+-][0-9]{2}:[0-9]{2})?"
)
_BOUNDED: tuple[tuple[re.Pattern[str], Callable[..., Period]], ...] = (
    (
        re.compile("(?:from|since|between) (.+?) (?:to|until|till|through|and) (.+)"),
        _joined,
    ),
    (re.compile("(.+?) (?:to|until|till|through|-|–|—) (.+)"), _joined),
    (re.compile("(?:since|from) (.+)"), lambda one: Period(one.start, None, one.clock)),
    (re.compile("(?:until|till|up to|through) (.+)"), lambda one: Period(None, one.after, one.clock)),
    (re.compile("after (.+)"), lambda one: Period(one.after, None, one.clock)),
    (re.compile("before (.+)"), lambda one: Period(None, one.start, one.clock)),
)


_EACH_MONTH = "|".join(_MONTHS)
_BEFORE = r"(?:(?P<before>since|until|before|after) )?"
_BARE_MONTH = re.compile(rf"{_BEFORE}(?P<month>{_EACH_MONTH})")
_BARE_QUARTER = re.compile(rf"{_BEFORE}q ?(?P<quarter>[1-4])")
_BARE_WEEK = re.compile(rf"{_BEFORE}(?:kw|cw|week|calendar week) ?(?P<week>[0-9]{{1,2}})")
_NTH_QUARTER = re.compile(rf"{_BEFORE}(?P<quarter>[1-4])(?:st|nd|rd|th)? quarter(?: (?P<year>[0-9]{{4}}))?")
_BETWEEN = re.compile(
    "(?P<from>from|since|between) (?P<first>.+?) (?P<to>to|until|till|through|and) (?P<last>.+)"
)
_BARE_DAY = re.compile(rf"{_BEFORE}(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})")
_OF_YEAR = re.compile(rf"{_BEFORE}(?P<part>{_EACH_MONTH}|q ?[1-4]) (?:of )?(?P<which>last|this) year")
_DAY_OF_MONTH = re.compile(
    rf"{_BEFORE}(?:the )?(?:(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|\.)? (?:of )?(?P<month>{_EACH_MONTH})"
    rf"|(?P<named>{_EACH_MONTH}) (?P<numbered>[0-9]{{1,2}})(?:st|nd|rd|th)?)"
)


def unit_of(text: str, now: datetime) -> str:
    """The unit of the calendar that a period is one of ("week" for `last week`); empty if it is of another length.

    Args:
        text: As `period` reads it.
        now: When it is said.
    """
    zone = ZoneInfo("UTC")
    found = period(text, zone, now)
    if found is None or found.clock or found.start is None:
        return ""
    units = ("day", "week", "month", "quarter", "year")
    return next((each for each in units if period(f"this {each}", zone, found.start) == found), "")


def with_year(said: str, now: datetime) -> str:
    """A month, quarter or day without its year as the latest one that has begun; any other text as it is.

    Args:
        said: Lower-case words, as `period` reads them.
        now: When it is said.
    """
    if both := _BETWEEN.fullmatch(said):
        first, last = with_year(both["first"], now), with_year(both["last"], now)
        zone = ZoneInfo("UTC")
        one, other = period(first, zone, now), period(last, zone, now)
        if one and other and one.start and other.start and one.start > other.start and first[-4:].isdigit():
            first = f"{first[:-4]}{int(first[-4:]) - 1}"  # "between november and january"
        return f"{both['from']} {first} {both['to']} {last}"
    found = (
        _OF_YEAR.fullmatch(said)
        or _BARE_DAY.fullmatch(said)
        or _DAY_OF_MONTH.fullmatch(said)
        or _BARE_MONTH.fullmatch(said)
        or _BARE_QUARTER.fullmatch(said)
        or _BARE_WEEK.fullmatch(said)
        or _NTH_QUARTER.fullmatch(said)
    )
    if found is None:
        return said
    parts = found.groupdict()
    if which := parts.get("which"):
        dated = f"{parts['part']} {now.year - (which == 'last')}"
    elif day := parts.get("day") or parts.get("numbered"):
        named = parts.get("month") or parts["named"]
        month = _MONTHS.get(named) or int(named)
        begun = (month, int(day)) <= (now.month, now.day)
        dated = f"{day}.{month}.{now.year - (not begun)}"
    elif week := parts.get("week"):
        iso = now.isocalendar()
        dated = f"kw {week} {iso.year - (int(week) > iso.week)}"
    elif (quarter := parts.get("quarter")) and parts.get("year"):
        dated = f"q{quarter} {parts['year']}"
    elif quarter:
        dated = f"q{quarter} {now.year - (int(quarter) > (now.month + 2) // 3)}"
    else:
        dated = f"{parts['month']} {now.year - (_MONTHS[parts['month']] > now.month)}"
    return f"{parts['before']} {dated}" if parts["before"] else dated
