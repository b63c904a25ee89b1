"""Values as text for one reader, the same on every platform: numbers, moments, ages, signs, footers, text tables.

Nothing here escapes for a platform; everything here is safe to show: no control characters, nothing invisible that
could turn text around or hide in it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from rich.cells import cell_len, set_cell_size

from bot.cards import (
    Card,
    Cell,
    Chart,
    Cost,
    Day,
    Flag,
    Missing,
    Moment,
    Number,
    Reader,
    Source,
    Status,
    Tone,
    Words,
)
from bot.errors import BotError, QuotaExhausted, RateLimited

ELLIPSIS = "…"
MISSING = "–"

# --- foreign text ----------------------------------------------------------------------------------------------

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_EMOJI_STYLE = "\ufe0f"
_MARKS_IN_A_ROW = 8
# Cf characters that are drawn (the number signs of Arabic, Syriac and Kaithi): Unicode 15, Prepended_Concatenation_Mark.
_DRAWN_FORMAT_CHARACTERS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd"
)
# Not Cf, but drawn as nothing all the same: Unicode 15, Default_Ignorable_Code_Point, and the braille blank.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0d\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)


def clean(text: str, *, lines: bool = False) -> str:
    """Foreign text, safe to show anywhere: what is left is what the eye sees.

    Control characters (ESC and its like), characters that turn the direction of text, and invisible ones are dropped;
    joiners stay where a script or an emoji needs them. Half surrogate pairs become U+FFFD.

    Args:
        text: Any characters at all.
        lines: Keep line breaks; otherwise they become spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for position, char in enumerate(text):
        shown = _shown(char, text, position, lines=lines)
        marks = marks + 1 if shown and unicodedata.category(shown[0]) in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(shown)
    return "".join(kept)


def _shown(char: str, text: str, position: int, *, lines: bool) -> str:
    if char in "\n\u2028\u2029":
        return "\n" if lines else " "
    if char == "\r":
        return "" if text[position + 1 : position + 2] == "\n" else ("\n" if lines else " ")
    if char in "\t\v\f\x85":
        return " "
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if category == "Cc":
        return ""
    if char in (_ZWJ, _ZWNJ):
        return char if _joins(char, text, position) else ""
    if category == "Cf":
        return char if char in _DRAWN_FORMAT_CHARACTERS else ""
    if char in "\ufe0e\ufe0f":
        before = text[position - 1 : position]
        return (
            char
            if before and (unicodedata.category(before) in ("So", "Sm", "Po") or before in "#*0123456789")
            else ""
        )
    return "" if _BLANK.match(char) else char


def _joins(joiner: str, text: str, position: int) -> bool:
    """Whether a joiner stands where it changes what is drawn: inside an emoji, or inside a word of a joining script."""
    last = position - 2 if text[max(position - 1, 0)] == _EMOJI_STYLE else position - 1
    before = text[last] if last >= 0 else ""
    after = text[position + 1 : position + 2]
    if not before or not after:
        return False
    if (
        joiner == _ZWJ
        and unicodedata.category(before) in ("So", "Sk")
        and unicodedata.category(after) == "So"
    ):
        return True
    # Arabic to Myanmar and Khmer to Mongolian: the scripts in which joiners are spelling.
    return all("\u0600" <= each <= "\u109f" or "\u1780" <= each <= "\u18af" for each in (before, after))


def units(text: str) -> int:
    """Length in UTF-16 code units, which is how JavaScript and .NET count."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, length: int) -> str:
    """Text of at most `length` UTF-16 units; where something is cut off, an ellipsis shows it."""
    if units(text) <= length:
        return text
    room, end = length - 1, 0
    while end < len(text) and room >= units(text[end]):
        room -= units(text[end])
        end += 1
    while end and _belongs_to_the_one_before(text[end], text[end - 1]):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def _belongs_to_the_one_before(char: str, before: str) -> bool:
    return _ZWJ in (before, char) or unicodedata.category(char) in ("Mn", "Me", "Mc", "Sk")


# --- the reader ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
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
    match cell:
        case Words(text):
            return clean(text)
        case Number(value, how, unit):
            return _number(value, how, clean(unit).strip(), _locale(reader.locale))
        case Moment(at, how):
            return _moment(at, how, reader)
        case Day(on, how):
            return _strftime(how, on, _locale(reader.locale)) or _day(on, _locale(reader.locale))
        case Flag(value):
            return "yes" if value else "no"
        case Missing():
            return MISSING
        case _:
            assert_never(cell)


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


def _number(value: float | Decimal, how: str, unit: str, locale: Locale) -> str:
    exact = value if isinstance(value, Decimal) else Decimal(value if isinstance(value, int) else repr(value))
    if exact.is_nan():
        return "not a number"
    if exact.is_infinite():
        return "-∞" if exact < 0 else "∞"
    how = how.strip()
    with localcontext(prec=_PRECISION, Emax=10**9, Emin=-(10**9)):
        body = (_d3(exact, how, locale) or _excel(exact, how, locale)) if how else None
        return _with_unit(clean(body if body is not None else _plain(exact, locale)), unit, locale)


def _plain(value: Decimal, locale: Locale) -> str:
    if value and not -7 < value.adjusted() < _LONGEST_NUMBER:  # noqa: PLR2004  # under a millionth: an exponent reads better
        return _scientific(value, 3, locale)
    return _fixed(value, locale, most=3 if value.adjusted() >= 0 else 2 - value.adjusted())


def _fixed(value: Decimal, locale: Locale, *, least: int = 0, most: int = 0, group: bool = True) -> str:
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
        return _fixed(value, locale, most=decimals)
    exponent = value.adjusted()
    return f"{_fixed(value.scaleb(-exponent), locale, most=decimals)}E{exponent}"


def _significant(value: Decimal, digits: int, locale: Locale, *, group: bool) -> str:
    if value and not -7 < value.adjusted() < _LONGEST_NUMBER:  # noqa: PLR2004  # as above
        return _scientific(value, max(digits - 1, 0), locale)
    places = digits - 1 - (value.adjusted() if value else 0)
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return _fixed(rounded, locale, most=max(places, 0), group=group)


def _d3(value: Decimal, how: str, locale: Locale) -> str | None:
    found = None if "#" in how else _D3.fullmatch(how)
    if found is None:
        return None
    digits = None if found["digits"] is None else int(found["digits"])
    group, trim = bool(found["group"]), bool(found["trim"])
    size = abs(value)

    def fixed(number: Decimal, decimals: int) -> str:
        return _fixed(number, locale, least=0 if trim else decimals, most=decimals, group=group)

    match found["type"]:
        case "f":
            body = fixed(size, 6 if digits is None else digits)
        case "d":
            body = fixed(size, 0)
        case "%" | "p":
            body = _percent(fixed(size * 100, digits or 0), locale)
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
                _fixed(size, locale, most=_MOST_DECIMALS, group=group)
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
    body = _fixed(
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


def _in_zone(at: datetime, reader: Reader) -> datetime:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return aware.astimezone(_zone(reader.zone))
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


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} {_zone_name(at)}"


def dated(reader: Reader, now: datetime) -> Reader:
    """The reader on the day that it is for them."""
    return replace(reader, today=_in_zone(now, reader).date())


def when(at: datetime, reader: Reader) -> str:
    """A moment in the reader's zone, as short as it stays clear on the reader's day.

    `15:31 CET`, `yesterday 16:41 CET`, `tomorrow 02:00 CET`, `26 Nov 02:00 CET`, `26 Nov 2025, 02:00 CET`.
    """
    local, locale = _in_zone(at, reader), _locale(reader.locale)
    today = reader.today
    if today is None:
        return f"{_day(local.date(), locale)}, {_clock(local)}"
    match (local.date() - today).days:
        case 0:
            return _clock(local)
        case -1:
            return f"yesterday {_clock(local)}"
        case 1:
            return f"tomorrow {_clock(local)}"
        case _ if local.year == today.year:
            return f"{_day_of_the_year(local.date(), locale)} {_clock(local)}"
        case _:
            return f"{_day(local.date(), locale)}, {_clock(local)}"


def error_text(error: BotError, reader: Reader) -> tuple[str, str]:
    """An error's sentence and hint for one reader. What is to be waited for is never named too early."""

    def write(at: datetime) -> str:
        waits = isinstance(error, RateLimited | QuotaExhausted) and (at.second or at.microsecond)
        return when(at.replace(second=0, microsecond=0) + timedelta(minutes=1) if waits else at, reader)

    return error.told(write)


def _moment(at: datetime, how: str, reader: Reader) -> str:
    return _strftime(how, _in_zone(at, reader), _locale(reader.locale)) or when(at, reader)


def _strftime(how: str, value: date, locale: Locale) -> str | None:
    """A date in Celonis' own format; None where the format is empty or not one we know."""
    letters = _DIRECTIVE.findall(how)
    if not letters or len(how) > 60:  # noqa: PLR2004  # longer than any format of a date
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
    written = clean("".join(pieces))
    if (
        isinstance(value, datetime)
        and _OF_A_CLOCK.intersection(letters)
        and not {"Z", "z"}.intersection(letters)
    ):
        written += f" {_zone_name(value)}"
    return written


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """A length of time in the two units that matter: "45 s", "12 min", "1 h 35 min", "2 days 3 h"."""
    if not math.isfinite(seconds):
        return "unknown"
    left = max(0, round(seconds))
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


# --- what every renderer says in the same words ----------------------------------------------------------------

_SIGNS = {
    Status.ANSWERED: "",
    Status.WORKING: "Working",
    Status.QUESTION: "Question",
    Status.NOT_UNDERSTOOD: "Not understood",
    Status.REFUSED: "Refused",
    Status.FAILED: "Failed",
}
TONE_WORDS = {Tone.PLAIN: "Note", Tone.GOOD: "OK", Tone.WARNING: "Warning", Tone.DANGER: "Danger"}
SANDBOX = "SANDBOX"
COSTLY = 5
"""Calls from which on a card says what it cost."""


def announce(card: Card) -> str:
    """The headline with its sign in words; also the notification's text. At most 150 characters, one line."""
    line = " ".join(clean(card.headline).split()) or ELLIPSIS
    sign = _SIGNS[card.status]
    if sign and not line.casefold().startswith(sign.casefold()):
        line = f"{sign}: {line}"
    if _over_sandbox(card) and not line.startswith(SANDBOX):
        line = f"{SANDBOX} · {line}"
    return line


def _over_sandbox(card: Card) -> bool:
    return card.sandbox or (card.source is not None and card.source.sandbox)


def source_line(source: Source, reader: Reader) -> str:
    """Where the data comes from and when it was loaded and read, for one reader."""
    locale = _locale(reader.locale)
    parts = [SANDBOX] if source.sandbox else []
    parts.append(" > ".join(clean(each) for each in (source.connection, source.model) if each))
    if source.data_loaded_at is None:
        parts.append("data load time unknown" if source.loaded else "")
    else:
        parts.append(f"data loaded {when(source.data_loaded_at, reader)}")
    parts.append(f"fetched {when(source.fetched_at, reader)}, {'cached' if source.cached else 'live'}")
    if source.unread:
        items = "item" if source.unread == 1 else "items"
        parts.append(f"{_count(source.unread, locale)} {items} could not be read")
    if source.calls >= COSTLY:
        parts.append(", ".join(_cost(each, locale) for each in source.cost))
    return " · ".join(part for part in parts if part)


def _cost(cost: Cost, locale: Locale) -> str:
    calls = "1 call" if cost.calls == 1 else f"{_count(cost.calls, locale)} calls"
    return f"{calls} of {api(cost.api)} ({_count(cost.left, locale)} left)"


def api(name: str) -> str:
    """One of Celonis' APIs, as people read it."""
    return "other APIs" if name == "other" else f"the {clean(name)} API"


def _count(number: int, locale: Locale) -> str:
    return clean(_fixed(Decimal(number), locale))


def footer(card: Card) -> tuple[str, ...]:
    """The quiet lines under a card: source, canonical sentence, reference."""
    lines = [source_line(card.source, card.reader)] if card.source is not None else []
    if card.source is None and card.sandbox:
        lines.append(SANDBOX)
    if card.sentence:
        lines.append(f"You can say: {clean(card.sentence)}")
    if card.reference:
        lines.append(f"Reference: {clean(card.reference)}")
    return tuple(lines)


def left_out(number: int, what: str) -> str:
    """A cut, made visible: `12 more rows do not fit here.`"""
    return (
        f"{number:,} more {what}{'' if number == 1 else 's'} {'does' if number == 1 else 'do'} not fit here."
    )


# --- text in columns -------------------------------------------------------------------------------------------


def columns(rows: Sequence[Sequence[str]], numeric: Sequence[bool], *, widest: int) -> list[str]:
    """Rows as lines with aligned columns, for a fixed-width font; wide characters count as two.

    Args:
        rows: Cells as text, all rows equally long; the first row may be the headings.
        numeric: Which columns are set flush right.
        widest: The most places a column takes; longer cells end in an ellipsis.
    """
    fitted = [[_fit(cell, widest) for cell in row] for row in rows]
    widths = [max((cell_len(row[index]) for row in fitted), default=0) for index in range(len(numeric))]
    return [
        "  ".join(_pad(*each) for each in zip(row, widths, numeric, strict=True)).rstrip() for row in fitted
    ]


def rule(rows: Sequence[Sequence[str]], wide: int, *, widest: int) -> str:
    """The line between headings and rows of `columns`."""
    return "  ".join("─" * max(cell_len(_fit(row[index], widest)) for row in rows) for index in range(wide))


def width(text: str) -> int:
    """Places a text takes in a fixed-width font; wide characters take two."""
    return cell_len(text)


def _fit(text: str, widest: int) -> str:
    return text if cell_len(text) <= widest else set_cell_size(text, widest - 1).rstrip() + ELLIPSIS


def _pad(text: str, width: int, flush_right: bool) -> str:  # noqa: FBT001  # comes out of zip
    space = " " * (width - cell_len(text))
    return space + text if flush_right else text + space


@dataclass(frozen=True, slots=True)
class Bar:
    """One point of a chart, drawn with characters; negative ones are hatched."""

    label: str
    drawn: str
    value: str


_EIGHTHS = " ▏▎▍▌▋▊▉"


def bars(chart: Chart, reader: Reader, *, length: int = 12) -> tuple[Bar, ...]:
    """A chart as bars of at most `length` characters; the longest stands for the largest value."""
    largest = max((abs(point.value) for point in chart.points if math.isfinite(point.value)), default=0.0)
    return tuple(
        Bar(
            clean(point.label) or MISSING,
            _bar(point.value, largest, length),
            write(Number(point.value, "", chart.unit), reader),
        )
        for point in chart.points
    )


def _bar(value: float, largest: float, length: int) -> str:
    if not math.isfinite(value) or not value or not largest:
        return ""
    eighths = max(1, round(abs(value) / largest * length * 8))
    if value < 0:
        return "▒" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def whole_lines(text: str, length: int) -> Iterable[str]:
    """Text in pieces of at most `length` UTF-16 units, broken between lines where that is possible."""
    piece = ""
    for line in text.split("\n"):
        joined = f"{piece}\n{line}" if piece else line
        if units(joined) <= length:
            piece = joined
            continue
        if piece:
            yield piece
        piece = line
        while units(piece) > length:
            end = length if piece.isascii() else length // 2
            yield piece[:end]
            piece = piece[end:]
    if piece:
        yield piece
