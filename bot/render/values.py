"""Values as text for one reader, the same on every platform: numbers, moments, ages, signs, footers, text tables.

Nothing here escapes for a platform; everything here is safe to show: no control characters, nothing invisible that
could turn text around or hide in it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from bot.model.cards import (
    Cell,
    Day,
    Flag,
    Missing,
    Moment,
    Number,
    Reader,
    Verdict,
    Words,
)
from bot.render.safe_text import clean

MISSING = "–"
MARKS = {Verdict.MET: "✓", Verdict.MISSED: "✗"}

# --- the reader ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=256)
def locale_of(name: str) -> Locale:
    written = name.replace("-", "_").split(".")[0]
    for candidate in (written, written.split("_")[0]):
        try:
            return Locale.parse(candidate)
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return Locale("en")


# --- cells -----------------------------------------------------------------------------------------------------


def write(cell: Cell, reader: Reader) -> str:
    """One cell as one line of text. Never raises: an odd format gives the plain form."""
    zone = zone_of(cell, reader)
    return f"{write_short(cell, reader)} {zone}" if zone else write_short(cell, reader)


def write_short(cell: Cell, reader: Reader) -> str:
    """The same without the zone of a moment (see `zone_of`), which then stands elsewhere."""
    match cell:
        case Words(text):
            return clean(text)
        case Number(value, how, unit, verdict):
            written = number(value, how, unit, reader.locale)
            return written if verdict is None else f"{written} {MARKS[verdict]}"
        case Moment(at, how):
            return _moment(at, how, reader)
        case Day(on, how):
            return _strftime(how, on, locale_of(reader.locale)) or _day(on, locale_of(reader.locale))
        case Flag(value):
            return "yes" if value else "no"
        case Missing():
            return MISSING
        case _:
            assert_never(cell)


def in_words(cell: Cell, reader: Reader) -> str:
    """The same where there is room: a verdict has its word beside its mark."""
    written = write(cell, reader)
    return f"{written} {cell.verdict}" if isinstance(cell, Number) and cell.verdict else written


# --- numbers ---------------------------------------------------------------------------------------------------

_LONGEST_NUMBER = 18  # digits before the decimal point; longer ones are unreadable and shown with an exponent
_MOST_DECIMALS = 12
_PRECISION = 60
# https://d3js.org/d3-format: [[fill]align][sign][symbol][0][width][,][.precision][~][type]
_D3 = re.compile(
    r"(?:.?[<>=^])?(?P<sign>[-+( ])?(?P<symbol>\$)?(?:0?[1-9]\d?)?(?P<group>,)?(?:\.(?P<digits>\d{1,2}))?(?P<trim>~)?"
    r"(?P<type>[efgrsdpn%])?"
)
_EXCEL = re.compile(r"(?P<head>[^#0?.,]*)(?P<digits>[#0?,.]*[#0?][#0?,.]*)(?P<tail>.*)", re.DOTALL)
_SI = {-4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P"}
_CURRENCY_SIGNS = frozenset("$£€¥₹₩₽₺")


def number(value: float | Decimal, how: str, unit: str, locale: str) -> str:
    """A number in Celonis' format for it (may be empty), with its unit, as a locale writes it."""
    try:
        return _number(value, how, unit, locale)
    except TypeError:  # a signalling NaN, the one number that cannot be looked up
        return _NOT_A_NUMBER


_NOT_A_NUMBER = "not a number"


@lru_cache(maxsize=8192, typed=True)
def _number(value: float | Decimal, how: str, unit: str, locale_name: str) -> str:
    unit, locale = clean(unit).strip(), locale_of(locale_name)
    exact = value if isinstance(value, Decimal) else Decimal(value if isinstance(value, int) else repr(value))
    if exact.is_nan():
        return _NOT_A_NUMBER
    if exact.is_infinite():
        return "-∞" if exact < 0 else "∞"
    how = how.strip()
    with localcontext(prec=_PRECISION, Emax=10**9, Emin=-(10**9)):
        body = (_d3(exact, how, locale) or _excel(exact, how, locale)) if how else None
        return _with_unit(clean(body if body is not None else _plain(exact, locale)), unit, locale)


def _plain(value: Decimal, locale: Locale) -> str:
    if value and not -7 < value.adjusted() < _LONGEST_NUMBER:  # noqa: PLR2004  # under a millionth: an exponent reads better
        return _scientific(value, 3, locale)
    return fixed_point(value, locale, most=3 if value.adjusted() >= 0 else 2 - value.adjusted())


def fixed_point(value: Decimal, locale: Locale, *, least: int = 0, most: int = 0, group: bool = True) -> str:
    most = min(most, _MOST_DECIMALS)
    least = min(least, most)
    if value and value.adjusted() >= _LONGEST_NUMBER:
        return _scientific(value, 3, locale)
    # Half away from zero, as Celonis' own front end (JavaScript) rounds; and no "-0".
    rounded = value.quantize(Decimal(1).scaleb(-most), rounding=ROUND_HALF_UP)
    whole = locale.decimal_formats[None].pattern.split(".")[0] if group else "0"
    pattern = whole + ("." + "0" * least + "#" * (most - least) if most else "")
    return format_decimal(rounded or Decimal(0), format=pattern, locale=locale)


def _scientific(value: Decimal, decimals: int, locale: Locale) -> str:
    if not value:
        return fixed_point(value, locale, most=decimals)
    exponent = value.adjusted()
    return f"{fixed_point(value.scaleb(-exponent), locale, most=decimals)}E{exponent}"


def _significant(value: Decimal, digits: int, locale: Locale, *, group: bool) -> str:
    if value and not -7 < value.adjusted() < _LONGEST_NUMBER:  # noqa: PLR2004  # as above
        return _scientific(value, max(digits - 1, 0), locale)
    places = digits - 1 - (value.adjusted() if value else 0)
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return fixed_point(rounded, locale, most=max(places, 0), group=group)


def _d3(value: Decimal, how: str, locale: Locale) -> str | None:
    found = None if "#" in how else _D3.fullmatch(how)
    if found is None:
        return None
    digits = None if found["digits"] is None else int(found["digits"])
    group, trim = bool(found["group"]), bool(found["trim"])
    size = abs(value)

    def body_of(number: Decimal, decimals: int) -> str:
        return fixed_point(number, locale, least=0 if trim else decimals, most=decimals, group=group)

    match found["type"]:
        case "f":
            body = body_of(size, 6 if digits is None else digits)
        case "d":
            body = body_of(size, 0)
        case "%" | "p":
            body = _percent(body_of(size * 100, digits or 0), locale)
        case "e":
            body = _scientific(size, 6 if digits is None else digits, locale)
        case "s":
            step = max(-4, min(5, size.adjusted() // 3)) if size else 0
            body = _significant(
                size.scaleb(-3 * step), 6 if digits is None else max(digits, 1), locale, group=group
            )
            body += _SI[step]
        case "g" | "r" | "n":
            group = group or found["type"] == "n"
            body = _significant(size, 6 if digits is None else max(digits, 1), locale, group=group)
        case _:
            body = (
                fixed_point(size, locale, most=_MOST_DECIMALS, group=group)
                if digits is None
                else _significant(size, max(digits, 1), locale, group=group)
            )
    body = ("$" if found["symbol"] else "") + body
    if value < 0 and any(char.isdigit() and unicodedata.digit(char, 0) for char in body):
        return f"({body})" if found["sign"] == "(" else f"-{body}"
    return f"+{body}" if found["sign"] == "+" and value > 0 else body


def _excel(value: Decimal, how: str, locale: Locale) -> str | None:
    parts = re.sub(r"\[[^\]]*\]", "", how).split(";")
    negative = len(parts) > 1 and value < 0 and bool(parts[1].strip())
    found = _EXCEL.fullmatch(parts[1] if negative else parts[0])
    if found is None:
        return None
    head, core, tail = found["head"], found["digits"], found["tail"]
    if re.search(r"[#0?]", tail) or "%" in head or core.count(".") > 1 or re.search(r"[Ee%]$", head):
        return None
    scale = len(core) - len(core.rstrip(","))
    whole, _, decimals = core.rstrip(",").partition(".")
    shown = (abs(value) if negative else value).scaleb(-3 * scale)
    percent = "%" in tail
    body = fixed_point(
        shown * 100 if percent else shown,
        locale,
        least=decimals.count("0"),
        most=len(decimals.replace(",", "")),
        group="," in whole,
    )
    before, after = _literal(head), _literal(tail.replace("%", "", 1) if percent else tail)
    if percent:
        body = _percent(body, locale)
    return f"-{before}{body[1:]}{after}" if before and body.startswith("-") else f"{before}{body}{after}"


def _literal(text: str) -> str:
    return re.sub(r'["\\]|_.|\*.', "", text)


def _percent(number: str, locale: Locale) -> str:
    pattern = locale.percent_formats[None].pattern
    return f"{number} %" if re.search(r"\s%", pattern) else f"{number}%"


def _with_unit(number: str, unit: str, locale: Locale) -> str:
    if not unit or (unit in number and not unit.isdigit()):
        return number
    if unit == "%":
        return _percent(number, locale)
    if unit in _CURRENCY_SIGNS and locale.currency_formats["standard"].pattern.lstrip(
        "\u200e\u200f"
    ).startswith("¤"):
        return f"-{unit}{number[1:]}" if number.startswith("-") else f"{unit}{number}"
    return f"{number} {unit}"


# --- moments and days ------------------------------------------------------------------------------------------

_DIRECTIVE = re.compile(r"%[-_0^#]?(.)", re.DOTALL)
_PATTERNS = {
    "Y": "yyyy",
    "y": "yy",
    "m": "MM",
    "d": "dd",
    "e": "d",
    "b": "MMM",
    "B": "MMMM",
    "a": "EEE",
    "A": "EEEE",
    "j": "DDD",
    "H": "HH",
    "I": "hh",
    "M": "mm",
    "S": "ss",
    "L": "SSS",
    "f": "SSSSSS",
    "p": "a",
    "q": "Q",
}
_OF_A_CLOCK = frozenset("HIMSLfp")
_LONGEST_FORMAT = 60


def _in_zone(at: datetime, zone: str) -> datetime:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return aware.astimezone(_zone(zone))
    except OverflowError:
        return aware


def _zone_name(at: datetime) -> str:
    name = clean(at.tzname() or "UTC")
    return f"UTC{name}" if name[:1] in "+-" else name


def _day(on: date, locale: Locale) -> str:
    # The long month of "en" is the one that nobody misreads: 21 Nov 2026, not 11/21/26 and not Nov 21.
    return clean(format_date(on, "d MMM y" if locale.language == "en" else "medium", locale=locale))


def _day_of_the_year(on: date, locale: Locale) -> str:
    pattern = "d MMM" if locale.language == "en" else str(locale.datetime_skeletons.get("MMMd", "d MMM"))
    return clean(format_date(on, pattern, locale=locale))


def dated(reader: Reader, now: datetime) -> Reader:
    """The reader on the day that it is for them."""
    return Reader(reader.zone, reader.locale, _in_zone(now, reader.zone).date())


def when(at: datetime, reader: Reader) -> str:
    """A moment in the reader's zone, as short as it stays clear on the reader's day.

    `15:31 CET`, `yesterday 16:41 CET`, `tomorrow 02:00 CET`, `26 Nov 02:00 CET`, `26 Nov 2025, 02:00 CET`.
    """
    return f"{_when(at, reader)} {_zone_name(_in_zone(at, reader.zone))}"


def _when(at: datetime, reader: Reader) -> str:
    local, locale = _in_zone(at, reader.zone), locale_of(reader.locale)
    today, clock = reader.today, f"{local:%H:%M}"
    if today is None:
        return f"{_day(local.date(), locale)}, {clock}"
    match (local.date() - today).days:
        case 0:
            return clock
        case -1:
            return f"yesterday {clock}"
        case 1:
            return f"tomorrow {clock}"
        case _ if local.year == today.year:
            return f"{_day_of_the_year(local.date(), locale)} {clock}"
        case _:
            return f"{_day(local.date(), locale)}, {clock}"


def _moment(at: datetime, how: str, reader: Reader) -> str:
    """A moment without the name of its zone, unless Celonis' format names it."""
    return _strftime(how, _in_zone(at, reader.zone), locale_of(reader.locale)) or _when(at, reader)


def zone_of(cell: Cell, reader: Reader) -> str:
    """The zone in which a cell's clock is to be read; empty where there is none, or where the cell names it."""
    if not isinstance(cell, Moment):
        return ""
    letters = set(_DIRECTIVE.findall(cell.format))
    plain = not letters or not letters <= {*_PATTERNS, *"Zz%"} or len(cell.format) > _LONGEST_FORMAT
    read = plain or (letters & _OF_A_CLOCK and not letters & {"Z", "z"})
    return _zone_name(_in_zone(cell.at, reader.zone)) if read else ""


def _strftime(how: str, value: date, locale: Locale) -> str | None:
    """A date in Celonis' own format; None where the format is empty or not one we know."""
    letters = _DIRECTIVE.findall(how)
    if not letters or len(how) > _LONGEST_FORMAT:
        return None
    clock = isinstance(value, datetime)
    pieces: list[str] = []
    end = 0
    for found in _DIRECTIVE.finditer(how):
        letter = found[1]
        pieces.append(how[end : found.start()])
        end = found.end()
        if letter in "Zz":
            pieces.append(_zone_name(value) if isinstance(value, datetime) else "")
        elif letter == "%":
            pieces.append("%")
        elif letter in _PATTERNS:
            at = value if isinstance(value, datetime) else datetime.combine(value, time())
            pieces.append(
                format_datetime(at, _PATTERNS[letter], locale=locale)
                if clock or letter not in _OF_A_CLOCK
                else "00"
            )
        else:
            return None
    pieces.append(how[end:])
    return clean("".join(pieces))


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """A length of time in the two units that matter: "45 s", "12 min", "1 h 35 min", "2 days 3 h"."""
    if not math.isfinite(seconds):
        return "unknown"
    left = max(0, math.floor(seconds + 0.5))
    if left < _MINUTE:
        return f"{left} s"
    if left < _HOUR:
        return f"{left // _MINUTE} min"
    if left < _DAY:
        big, small, names = left // _HOUR, left % _HOUR // _MINUTE, ("h", "min")
    else:
        days = left // _DAY
        big, small, names = days, left % _DAY // _HOUR, ("day" if days == 1 else "days", "h")
    return f"{big} {names[0]}" + (f" {small} {names[1]}" if small else "")


def duration_until(started_at: datetime, now: datetime) -> datetime:
    """When the `duration` since a moment reads differently for the first time."""
    left = max(0, math.floor((now - started_at).total_seconds() + 0.5))
    step = 1 if left < _MINUTE else _MINUTE
    return started_at + timedelta(seconds=(left // step + 1) * step - 0.5)  # as `duration` rounds
