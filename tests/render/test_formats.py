"""Values as a reader sees them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.model import errors
from bot.model.cards import (
    HEADLINE_LENGTH,
    Card,
    Cell,
    Cost,
    Day,
    Flag,
    Missing,
    Moment,
    Number,
    Reader,
    Source,
    Status,
    Words,
)
from bot.render.card_text import announce, error_text, footer, source_line
from bot.render.safe_text import clean, columns, cut, units, whole_lines, width
from bot.render.values import dated, duration, duration_until, when, write
from tests.platform_rules import assert_shows_only_what_is_seen

ENGLISH = Reader("Europe/Berlin", "en")
GERMAN = Reader("Europe/Berlin", "de")
AT = datetime(2026, 11, 21, 22, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "how", "unit", "english", "german"),
    [
        # no format
        (0, "", "", "0", "0"),
        (1234567, "", "", "1,234,567", "1.234.567"),
        (-1234.5, "", "EUR", "-1,234.5 EUR", "-1.234,5 EUR"),
        (12.34567, "", "days", "12.346 days", "12,346 days"),
        (0.000123456, "", "", "0.000123", "0,000123"),
        (1e-9, "", "", "1E-9", "1E-9"),
        (12.5, "", "%", "12.5%", "12,5 %"),
        (7, "", "€", "€7", "7 €"),
        (-7, "", "€", "-€7", "-7 €"),
        (5, "", "euros", "5 euros", "5 euros"),
        # d3: https://d3js.org/d3-format
        (1234.5, ",.0f", "", "1,235", "1.235"),
        (2.5, ",.0f", "", "3", "3"),
        (-0.2, ",.0f", "", "0", "0"),
        (1234.5, ".2f", "", "1234.50", "1234,50"),
        (1234567, ",", "", "1,234,567", "1.234.567"),
        (1234.5, "$,.2f", "", "$1,234.50", "$1.234,50"),
        (0.1234, ".1%", "", "12.3%", "12,3 %"),
        (0.1234, ".1%", "%", "12.3%", "12,3 %"),
        (-0.5, "%", "", "-50%", "-50 %"),
        (1234567, ".3s", "", "1.23M", "1,23M"),
        (0.0042, ".2s", "", "4.2m", "4,2m"),
        (1234.5678, ".6g", "", "1234.57", "1234,57"),
        (12345.678, ".2e", "", "1.23E4", "1,23E4"),
        (-5, "(,.1f", "", "(5.0)", "(5,0)"),
        (5, "+d", "", "+5", "+5"),
        (1.50, "~f", "", "1.5", "1,5"),
        (42, "08d", "", "42", "42"),
        # Excel-like
        (1234.5, "#.###", "euros", "1234.5 euros", "1234,5 euros"),
        (0.5, "#.###", "", "0.5", "0,5"),
        (1234.5, "#,##0.00", "EUR", "1,234.50 EUR", "1.234,50 EUR"),
        (0.256, "0.0%", "", "25.6%", "25,6 %"),
        (1234567, '#,##0,"k"', "", "1,235k", "1.235k"),
        (1234.5, "#,##0.00 €", "€", "1,234.50 €", "1.234,50 €"),
        (-12, "0.0;(0.0)", "", "(12.0)", "(12,0)"),
        (-1234.5, "$#,##0", "", "-$1,235", "-$1.235"),
        (3, "[Red]0", "", "3", "3"),
        # odd
        (3.5, "%Y-%m-%d", "", "3.5", "3,5"),
        (3.5, "no format at all", "", "3.5", "3,5"),
        (3.5, "#.#.#", "", "3.5", "3,5"),
        (3.5, "0E+00", "", "3.5", "3,5"),
        # from outside
        (float("nan"), ",.0f", "EUR", "not a number", "not a number"),
        (float("inf"), "", "", "∞", "∞"),
        (Decimal("-Infinity"), "", "", "-∞", "-∞"),
        (10**40, "", "", "1E40", "1E40"),
        (-1.5e300, ",.2f", "EUR", "-1.5E300 EUR", "-1,5E300 EUR"),
        (
            Decimal("12345678901234567.89"),
            "#,##0.00",
            "",
            "12,345,678,901,234,567.89",
            "12.345.678.901.234.567,89",
        ),
    ],
)
def test_a_number_is_written_in_its_own_format_and_the_readers_locale(
    value: float | Decimal, how: str, unit: str, english: str, german: str
) -> None:
    assert write(Number(value, how, unit), ENGLISH) == english
    assert write(Number(value, how, unit), GERMAN) == german


@pytest.mark.parametrize(
    ("cell", "english", "german"),
    [
        (Words("a\tb\nc"), "a b c", "a b c"),
        (Words(""), "", ""),
        (Missing(), "–", "–"),
        (Flag(value=True), "yes", "yes"),
        (Flag(value=False), "no", "no"),
        (Moment(AT), "21 Nov 2026, 23:56 CET", "21.11.2026, 23:56 CET"),
        (Moment(datetime(2026, 7, 1, 10, 0, tzinfo=UTC)), "1 Jul 2026, 12:00 CEST", "01.07.2026, 12:00 CEST"),
        (Moment(AT, "%Y-%m-%d"), "2026-11-21", "2026-11-21"),
        (Moment(AT, "%d %B %Y %H:%M"), "21 November 2026 23:56 CET", "21 November 2026 23:56 CET"),
        (Moment(AT, "%b %-d, %Y"), "Nov 21, 2026", "Nov. 21, 2026"),
        (Moment(AT, "%H:%M %Z"), "23:56 CET", "23:56 CET"),
        (Moment(AT, "%k??"), "21 Nov 2026, 23:56 CET", "21.11.2026, 23:56 CET"),
        (Moment(AT, ",.0f"), "21 Nov 2026, 23:56 CET", "21.11.2026, 23:56 CET"),
        (Day(date(2026, 3, 1)), "1 Mar 2026", "01.03.2026"),
        (Day(date(2026, 3, 1), "%d/%m/%y"), "01/03/26", "01/03/26"),
        (Day(date(1, 1, 1)), "1 Jan 1", "01.01.1"),
    ],
)
def test_a_value_that_is_no_number_is_written_for_the_reader(cell: Cell, english: str, german: str) -> None:
    assert write(cell, ENGLISH) == english
    assert write(cell, GERMAN) == german


def test_zones_without_a_name_are_given_as_their_distance_from_utc() -> None:
    assert write(Moment(AT), Reader("America/Sao_Paulo")) == "21 Nov 2026, 19:56 UTC-03"


def test_a_moment_without_a_zone_is_taken_as_utc() -> None:
    assert write(Moment(AT.replace(tzinfo=None)), ENGLISH) == write(Moment(AT), ENGLISH)


@pytest.mark.parametrize("zone", ["", "Nowhere/AtAll", "../../etc/passwd", "Europe", "\x00"])
def test_an_unknown_zone_is_shown_as_utc_and_says_so(zone: str) -> None:
    assert write(Moment(AT), Reader(zone)) == "21 Nov 2026, 22:56 UTC"


@pytest.mark.parametrize("locale", ["", "xx", "en-US", "en_US.UTF-8", "!!!", "x" * 5000, "en_XX"])
def test_an_unknown_locale_is_read_as_english(locale: str) -> None:
    assert write(Number(1234.5), Reader("UTC", locale)) == "1,234.5"


def test_a_region_keeps_its_own_way() -> None:
    assert write(Number(1234567.5), Reader("UTC", "de-CH")) == "1’234’567.5"


_FORMATS = st.text('#0,.%$dfegspn;[]()"\\ E+-~<>^_*YmdHMSZq?', max_size=14) | st.text(max_size=14)
_NUMBERS = (
    st.integers()
    | st.floats()
    | st.decimals()
    | st.integers(min_value=0, max_value=400).map(lambda size: 10**size)
)
_CELLS = st.one_of(
    st.builds(Words, st.text()),
    st.builds(Number, _NUMBERS, _FORMATS, st.text(max_size=8)),
    st.builds(
        Moment,
        st.datetimes(
            timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
        ),
        _FORMATS,
    ),
    st.builds(Day, st.dates(), _FORMATS),
)
_READERS = st.builds(
    Reader,
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "UTC", "?"]) | st.text(max_size=9),
    st.sampled_from(["en", "de", "fr", "ar", "fa", "he", "hi", "ja", "sv", "de-CH", "?"])
    | st.text(max_size=9),
)


@given(_CELLS, _READERS)
@example(Number(Decimal("1E+999999999"), "", ""), ENGLISH)
@example(Number(Decimal("1E-999999999"), ",.3s", ""), ENGLISH)
@example(Number(Decimal("sNaN"), ",.3s", ""), ENGLISH)
@example(Moment(datetime.max.replace(tzinfo=UTC)), ENGLISH)
@example(Number(-1, "0" * 400 + "." + "0" * 400), ENGLISH)
def test_no_value_and_no_format_whatever_stops_an_answer(cell: Cell, reader: Reader) -> None:
    written = write(cell, reader)
    assert "\n" not in written
    assert_shows_only_what_is_seen(written)
    if isinstance(cell, Number):
        assert 0 < len(written) < 80


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", ",", ",.0f", ",d", "#,##0"]))
def test_whole_numbers_keep_every_digit(value: int, how: str) -> None:
    assert write(Number(value, how), ENGLISH) == f"{value:,}"


# --- foreign text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("invoice\u202egnp.exe", "invoicegnp.exe"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b31mred", "31mred"),
        ("a\x00b\x08c", "abc"),
        ("one\r\ntwo\rthree\u2028four", "one two three four"),
        ("zero\u200bwidth\u00adsoft\ufeff", "zerowidthsoft"),
        ("\U000e0041hidden tag", "hidden tag"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 here",
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 here",
        ),
        ("flag \U0001f3f3\ufe0f\u200d\U0001f308", "flag \U0001f3f3\ufe0f\u200d\U0001f308"),
        ("thumb \U0001f44d\U0001f3fd", "thumb \U0001f44d\U0001f3fd"),
        ("pay\u200dpal", "paypal"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("a" + "\u0301" * 40, "a" + "\u0301" * 8),
        ("\u3164\u115f\u2800", ""),
        ("株式会社 Müller", "株式会社 Müller"),
        ("5\ufe0f\u20e3", "5\ufe0f\u20e3"),
    ],
)
def test_foreign_text_is_shown_as_what_the_eye_sees(text: str, seen: str) -> None:
    assert clean(text) == seen


@given(st.text())
def test_cleaning_drops_all_that_steers_and_changes_nothing_twice(text: str) -> None:
    cleaned = clean(text, lines=True)
    assert_shows_only_what_is_seen(cleaned)
    assert clean(cleaned, lines=True) == cleaned
    assert "\n" not in clean(text)


@given(st.text(st.characters(categories=["L", "N", "P", "Zs", "So"])))
def test_cleaning_keeps_letters_digits_and_signs(text: str) -> None:
    drawn_as_nothing = "\u115f\u1160\u2800\u3164\uffa0"
    assert clean(text) == "".join(char for char in text if char not in drawn_as_nothing)


@given(st.text(), st.integers(1, 40))
def test_a_cut_is_within_its_length_and_visible(text: str, length: int) -> None:
    short = cut(text, length)
    assert units(short) <= length
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_a_cut_never_leaves_half_a_sign() -> None:
    assert cut("ab\U0001f468\u200d\U0001f469 cd", 6) == "ab…"
    assert cut("e\u0301e\u0301e\u0301", 4) == "e\u0301…"


@given(st.text("ab\n\U0001f600", max_size=200), st.integers(2, 30))
def test_pieces_of_a_long_text_are_the_text(text: str, length: int) -> None:
    pieces = list(whole_lines(text, length))
    assert all(units(piece) <= length for piece in pieces)
    assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


# --- ages and lengths of time ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (5700, "1 h 35 min"),
        (86400, "1 day"),
        (2 * 86400 + 3 * 3600 + 59, "2 days 3 h"),
        (float("inf"), "unknown"),
        (float("nan"), "unknown"),
    ],
)
def test_a_length_of_time_is_said_in_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# --- the lines every renderer shares ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            Source("SAP team", AT, "KM", AT - timedelta(hours=2), cost=(Cost("intelligence", 4, 5812),)),
            "KM · data of 21:56 CET · read 23:56 CET",
        ),
        (
            Source("SAP team", AT, "SAP ECC", loaded=False, several=True),
            "SAP team > SAP ECC · live 23:56 CET",
        ),
        (
            Source("SAP team", AT - timedelta(days=1), cached=True),
            "SAP team · data of unknown age · read yesterday 23:56 CET",
        ),
        (
            Source(
                "demo",
                AT,
                cost=(Cost("intelligence", 4, 1234), Cost("integration", 1, 0)),
                unread=2,
                sandbox=True,
            ),
            ("demo · data of unknown age · read 23:56 CET · 2 items could not be read · took 5 calls"),
        ),
    ],
)
def test_the_source_line_says_where_how_old_and_at_what_cost(source: Source, line: str) -> None:
    assert source_line(source, dated(ENGLISH, AT)) == line


@pytest.mark.parametrize("status", Status)
def test_whatever_is_no_plain_answer_says_so_in_words_first(status: Status) -> None:
    words = {
        Status.ANSWERED: "main job",
        Status.QUESTION: "main job",
        Status.ASKED: "main job",
        Status.NOT_UNDERSTOOD: "Not understood: main job",
    }
    said = announce(Card("main job", status=status))
    assert said == words.get(status, f"{status.value.capitalize()}: main job")
    assert announce(Card(said, status=status)) == said


@given(st.text(min_size=1, max_size=HEADLINE_LENGTH), st.sampled_from(Status), st.booleans())
def test_an_announcement_is_one_line_that_is_never_empty(
    text: str, status: Status, sandbox: bool
) -> None:  # given by Hypothesis
    said = announce(Card(text, status=status, source=Source("x", AT, sandbox=sandbox)))
    assert said.strip()
    assert len(said) <= 150
    assert said.startswith("SANDBOX") or not sandbox
    assert_shows_only_what_is_seen(said)
    assert "\n" not in said


def test_the_footer_has_source_sentence_and_reference() -> None:
    card = Card("x", source=Source("team", AT), sentence="jobs", reference="r-1")
    assert footer(card, Reader()) == (
        source_line(Source("team", AT), Reader()),
        "You can say: jobs",
        "Reference: r-1",
    )
    assert footer(Card("x"), Reader()) == ()


# --- columns and bars ------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), min_size=1, max_size=6))
def test_columns_line_up_whatever_the_script(rows: list[tuple[str, str]]) -> None:
    cleaned = [tuple(clean(cell) for cell in row) for row in rows]
    lines = columns([(*row, "|") for row in cleaned], (False, True, False), widest=10)
    assert len({width(line) for line in lines}) == 1
    assert all(line.endswith("|") for line in lines)


def test_wide_characters_count_as_two() -> None:
    assert columns([("株式", "1"), ("ab", "22")], (False, True), widest=9) == ["株式   1", "ab    22"]


# --- times near today ------------------------------------------------------------------------------------------

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("zone", "locale", "now", "at", "said"),
    [
        ("Europe/Berlin", "en", "2026-11-24T22:56Z", "2026-11-24T14:31Z", "15:31 CET"),
        ("Europe/Berlin", "en", "2026-11-24T22:56Z", "2026-11-25T01:00Z", "tomorrow 02:00 CET"),
        ("Europe/Berlin", "en", "2026-11-24T23:01Z", "2026-11-25T01:00Z", "02:00 CET"),
        ("Europe/Berlin", "en", "2026-11-24T23:01Z", "2026-11-24T22:59Z", "yesterday 23:59 CET"),
        (NEW_YORK, "en", "2026-11-24T23:01Z", "2026-11-24T22:59Z", "17:59 EST"),
        (NEW_YORK, "en", "2026-11-25T04:59Z", "2026-11-25T05:00Z", "tomorrow 00:00 EST"),
        ("Asia/Tokyo", "en", "2026-11-24T14:59Z", "2026-11-24T15:00Z", "tomorrow 00:00 JST"),
        ("America/Sao_Paulo", "en", "2026-11-24T14:59Z", "2026-11-24T15:00Z", "12:00 UTC-03"),
        # Berlin's clocks go back at 01:00 UTC on 25 October 2026 and forward at 01:00 UTC on 29 March 2026.
        ("Europe/Berlin", "en", "2026-10-25T00:10Z", "2026-10-25T00:30Z", "02:30 CEST"),
        ("Europe/Berlin", "en", "2026-10-25T00:10Z", "2026-10-25T01:30Z", "02:30 CET"),
        ("Europe/Berlin", "en", "2026-10-25T22:59Z", "2026-10-24T21:59Z", "yesterday 23:59 CEST"),
        ("Europe/Berlin", "en", "2026-03-28T23:30Z", "2026-03-29T01:00Z", "03:00 CEST"),
        ("Europe/Berlin", "en", "2026-03-28T22:59Z", "2026-03-29T01:00Z", "tomorrow 03:00 CEST"),
        ("Europe/Berlin", "en", "2026-11-24T22:56Z", "2026-11-26T01:00Z", "26 Nov 02:00 CET"),
        ("Europe/Berlin", "de", "2026-11-24T22:56Z", "2026-11-22T15:41Z", "22. Nov. 16:41 CET"),
        ("Europe/Berlin", "en", "2027-01-01T12:00Z", "2026-12-31T12:00Z", "yesterday 13:00 CET"),
        ("Europe/Berlin", "en", "2027-01-02T12:00Z", "2026-12-31T12:00Z", "31 Dec 2026, 13:00 CET"),
    ],
)
def test_a_time_is_short_on_its_day_and_dated_otherwise(
    zone: str, locale: str, now: str, at: str, said: str
) -> None:
    reader = dated(Reader(zone, locale), datetime.fromisoformat(now))
    assert when(datetime.fromisoformat(at), reader) == said
    assert write(Moment(datetime.fromisoformat(at)), reader) == said


MIDNIGHT = datetime(2026, 11, 24, 22, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            errors.RateLimited(f"Silent until {errors.MOMENT}.", moment=MIDNIGHT),
            "Silent until tomorrow 00:00 CET.",
        ),
        (
            errors.QuotaExhausted(f"Back from {errors.MOMENT} on.", moment=MIDNIGHT),
            "Back from tomorrow 00:00 CET on.",
        ),
        (
            errors.Unreachable(f"No answer since {errors.MOMENT}.", moment=MIDNIGHT),
            "No answer since 23:59 CET.",
        ),
    ],
)
def test_an_error_names_its_moment_in_the_readers_zone_and_never_too_early(
    error: errors.BotError, said: str
) -> None:
    assert error_text(error, dated(ENGLISH, MIDNIGHT))[0] == said
    assert "2026-11-24 22:59:30 UTC" in error.sentence, "the log has it in UTC"


def test_what_others_wrote_is_no_place_for_a_moment() -> None:
    error = errors.BadQuery(f"Celonis says: {errors.MOMENT}")
    assert error_text(error, ENGLISH)[0] == "Celonis says: {moment}"


BEGAN = datetime(2026, 11, 20, 22, 10, tzinfo=UTC)


@given(st.floats(0, 400 * 86_400), st.floats(0, 1))
def test_a_duration_reads_the_same_until_the_moment_that_is_told(seconds: float, part: float) -> None:
    now = BEGAN + timedelta(seconds=seconds)
    until = duration_until(BEGAN, now)
    assert until > now
    between = now + (until - now) * part
    if between < until:
        assert duration((between - BEGAN).total_seconds()) == duration((now - BEGAN).total_seconds())
