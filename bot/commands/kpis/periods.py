"""Periods of KPIs: which one a condition asks for, the one before it, and the buckets that it consists of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from babel.dates import format_date, format_skeleton

from bot.language.conditions import Values
from bot.language.dates import DATES, Period
from bot.model.cards import Reader
from bot.model.intents import And, Comparison, Condition, Op, all_of, map_comparisons, parts_of
from bot.model.names import Name
from bot.render.safe_text import clean
from bot.render.values import locale_of, when

MOST = 12
"""Buckets on one card: each costs a call."""
UNITS = ("day", "week", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time in one zone; None where it has no such end."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The one period of a condition.

    Attributes:
        field: The date field that it is about.
        span: The period.
        rest: The condition without it.
    """

    field: Name
    span: Span
    rest: Condition | None

    def moved(self, span: Span) -> Condition:
        """The condition with another period."""
        return joined(self.rest, within(self.field, span))


def asked(where: Condition | None, types: Mapping[str, str], values: Values) -> Asked | None:
    """The period that a condition asks for; None where it asks for none, or for several.

    Raises:
        BadArgument: As `Values.read`.
    """
    parts = parts_of(where)
    dated = {
        part: span
        for part in parts
        if isinstance(part, Comparison)
        and types.get(part.field.id) in DATES
        and (span := span_of(part, values)) is not None
    }
    if len({part.field for part in dated}) != 1:
        return None
    starts = [each.start for each in dated.values() if each.start is not None]
    ends = [each.end for each in dated.values() if each.end is not None]
    rest = [each for each in parts if each not in dated]
    return Asked(
        next(iter(dated)).field,
        Span(max(starts, default=None), min(ends, default=None)),
        all_of(rest),
    )


def span_of(comparison: Comparison, values: Values) -> Span | None:
    """The one stretch of time that a comparison leaves; None where it is none."""
    _, read = values.read(comparison)
    spans = [each for each in read if isinstance(each, Period)]
    match comparison.op, spans:
        case Op.EQ, [one]:
            return Span(one.start, one.end)
        case Op.BETWEEN, [first, last]:
            return Span(first.start, last.after)
        case Op.GE, [one]:
            return Span(one.start, None)
        case Op.GT, [one]:
            return Span(one.after, None)
        case Op.LT, [one]:
            return Span(None, one.start)
        case Op.LE, [one]:
            return Span(None, one.after)
        case _:
            return None


def within(field: Name, span: Span) -> Comparison:
    """A period as a condition on a date field, in words that mean the same whenever they are read."""
    start, end = span.start, span.end
    if start is None or end is None:
        op, edge = (Op.GE, start) if end is None else (Op.LT, end)
        assert edge is not None
        return Comparison(field, op, (_edge(edge),))
    if not (_midnight(start) and _midnight(end)):
        return Comparison(field, Op.BETWEEN, (_edge(start), _edge(end)))
    first, last = start.date(), end.date() - timedelta(days=1)
    if first == last:
        return Comparison(field, Op.EQ, (first.isoformat(),))
    return Comparison(field, Op.BETWEEN, (first.isoformat(), last.isoformat()))


def joined(first: Condition | None, second: Condition) -> Condition:
    return second if first is None else And((*parts_of(first), second))


def _edge(at: datetime) -> str:
    return at.date().isoformat() if _midnight(at) else at.isoformat(timespec="seconds")


def _midnight(at: datetime) -> bool:
    return at.time() == time()


# --- from days to instants, in the zone of the instants themselves


def _at(day: date, like: datetime) -> datetime:
    """The first instant of a day; one that is skipped counts as the next there is."""
    return datetime.combine(day, time(), like.tzinfo).astimezone(UTC).astimezone(like.tzinfo)


def _months_on(day: date, count: int) -> date:
    """The same day so many months away; the last of its month where that has fewer days."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)  # noqa: PLR2004 - December
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), following - timedelta(days=1))


def before(span: Span, now: datetime) -> Span | None:
    """The period before one; before one that still runs, as much of it as has passed. None before one without ends.

    Args:
        span: A month, a quarter, a week, or anything else with two ends.
        now: In the same zone.
    """
    start, end = span.start, span.end
    if start is None or end is None:
        return None
    if not (_midnight(start) and _midnight(end)):
        length = end.astimezone(UTC) - start.astimezone(UTC)
        return Span((start.astimezone(UTC) - length).astimezone(start.tzinfo), start)
    first, after = start.date(), end.date()
    tomorrow = now.date() + timedelta(days=1)
    passed = min(after, tomorrow) if first < tomorrow else after
    months = _months_of(first, after)
    if months:
        back = (
            _months_on(first, -months),
            first if passed == after and after.day == 1 else _months_on(passed, -months),
        )
    else:
        days = (after - first).days
        if days < _WEEK and first.weekday() == 0 and after == tomorrow:  # a week to date
            days = _WEEK
        back = first - timedelta(days=days), passed - timedelta(days=days)
    return Span(_at(back[0], start), _at(min(back[1], first), start))


def _months_of(first: date, after: date) -> int:
    """How many whole months a period is a part of; 0 if it is none of months."""
    if first.day != 1:
        return 0
    if after.day == 1:
        return (after.year - first.year) * 12 + after.month - first.month
    return next(
        (
            each
            for each in _MONTHS.values()
            if (first.month - 1) % each == 0 and after <= _months_on(first, each)
        ),
        0,
    )


def unit_for(span: Span, now: datetime) -> str:
    """The finest unit of which a period with a beginning has few enough."""
    fits = (unit for unit in UNITS if len(buckets(span, unit, now)) <= MOST + 1)
    return next(fits, "year")


def buckets(span: Span, unit: str, now: datetime) -> list[Span]:
    """The days, weeks, months, quarters or years that a period with a beginning consists of, in order.

    What has begun ends with the one that runs; what has no end, today.
    """
    assert span.start is not None
    tomorrow = _at(now.date() + timedelta(days=1), span.start)
    end = span.end or tomorrow
    if span.start < tomorrow:
        end = min(end, _at(_next(_begin(now.date(), unit), unit), span.start))
    found: list[Span] = []
    day = _begin(span.start.date(), unit)
    while (start := _at(day, span.start)).astimezone(UTC) < end.astimezone(UTC):
        day = _next(day, unit)
        found.append(Span(max(start, span.start), min(_at(day, span.start), end)))
    return found


def lately(unit: str, count: int, skipped: int, now: datetime) -> Span:
    """So many units up to the one that still runs, after skipping as many of the latest."""
    last = _begin(now.date(), unit)
    first, end = last, _next(last, unit)
    for _ in range(skipped):
        end, first = first, _begin(first - timedelta(days=1), unit)
    for _ in range(count - 1):
        first = _begin(first - timedelta(days=1), unit)
    return Span(_at(first, now), _at(end, now))


def _begin(day: date, unit: str) -> date:
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    months = _MONTHS[unit]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def _next(day: date, unit: str) -> date:
    if unit in _MONTHS:
        return _months_on(day, _MONTHS[unit])
    return day + timedelta(days=_WEEK if unit == "week" else 1)


# --- fields that hold a bucket already

_OF_TIME = frozenset({"week", "month", "quarter", "period", "woche", "monat", "quartal", "kw"})
_LABEL = re.compile(r"(?:[0-9]{4}[-/ ]?)?(?:W|KW|CW|Q)[0-9]{1,2}|[0-9]{4}[-/][0-9]{2}", re.IGNORECASE)


def in_time(field: Name, labels: Iterable[object]) -> bool:
    """Whether a field holds weeks, months or quarters, written so that the order of the texts is that of time."""
    texts = [each if isinstance(each, str) else "" for each in labels]
    named = not _OF_TIME.isdisjoint(re.findall(r"\w+", field.text.casefold()))
    return named and len({len(each) for each in texts}) == 1 and all(map(_LABEL.fullmatch, texts))


# --- in words


def called(span: Span, reader: Reader, *, short: bool = False) -> str:
    """A period for people: `Oct 2026`, `Q3 2026`, `2026`, `26 Nov 2026`, `2 to 8 Nov 2026`, `since 1 Mar 2026`.

    Args:
        span: Of time.
        reader: For whom.
        short: Without the year of days and weeks, where others tell it.
    """
    start, end = span.start, span.end
    if start is None or end is None:
        edge = end if start is None else start
        assert edge is not None
        return f"{'before' if start is None else 'since'} {_instant(edge, reader)}"
    if not (_midnight(start) and _midnight(end)):
        return f"{_instant(start, reader)} to {_instant(end, reader)}"
    first, last = start.date(), end.date() - timedelta(days=1)
    if first == last:
        return _day(first, reader, year=not short)
    if first.day == 1 and end.day == 1:
        months = _months_of(first, end.date())
        locale = locale_of(reader.locale)
        if months == 1:
            return clean(format_skeleton("yMMM", first, locale=locale))
        if months == _MONTHS["quarter"] and (first.month - 1) % months == 0:
            return f"Q{(first.month + 2) // 3} {first.year}"
        if months == _MONTHS["year"] and first.month == 1:
            return str(first.year)
        return f"{clean(format_skeleton('yMMM', first, locale=locale))} to {clean(format_skeleton('yMMM', last, locale=locale))}"
    english = locale_of(reader.locale).language == "en"
    if english and (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {_day(last, reader, year=not short)}"
    years = first.year != last.year or not (english or short)
    return f"{_day(first, reader, year=years)} to {_day(last, reader, year=years or not short)}"


def _day(on: date, reader: Reader, *, year: bool) -> str:
    locale = locale_of(reader.locale)
    if year:
        return clean(format_date(on, "d MMM y" if locale.language == "en" else "medium", locale=locale))
    if locale.language == "en":
        return clean(format_date(on, "d MMM", locale=locale))
    return clean(format_skeleton("MMMd", on, locale=locale))


def _instant(at: datetime, reader: Reader) -> str:
    return _day(at.date(), reader, year=True) if _midnight(at) else when(at, reader)


def _said(period: Period, reader: Reader) -> str:
    if period.instant and period.start is not None:
        return when(period.start, reader)
    return called(Span(period.start, period.end), reader)


def resolved(condition: Condition, types: Mapping[str, str], values: Values, reader: Reader) -> Condition:
    """A condition with its periods as they were taken: `Order date = Oct 2026` for “last month”."""

    def dated(comparison: Comparison) -> Comparison:
        field, op = comparison.field, comparison.op
        if types.get(field.id) not in DATES or op is Op.IS_EMPTY:
            return comparison
        if op is Op.BETWEEN:
            span = span_of(comparison, values)
            assert span is not None
            return Comparison(field, Op.EQ, (called(span, reader),))
        _, read = values.read(comparison)
        return Comparison(field, op, tuple(_said(each, reader) for each in read if isinstance(each, Period)))

    return map_comparisons(condition, dated)
