"""What Celonis says about its limits, in every dialect that its documents and neighbours use.

Celonis' own pages disagree (facts collected in 2026): the connector's pages put the seconds to wait into
`x-ratelimit-reset`, on 429 only; the OpenAPI files say a UTC date-time; the sample error has a clock time in its text.
Gateways in between use epoch seconds or `Retry-After`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf

SHORT_WINDOW = 2
"""A limit of up to so many times the requests of a second is the second's, not the day's."""
UPS = 3
"""Readings in a row that have to show more calls left before they are believed."""
UP_BY = 20
FORGOTTEN_AFTER = 3600.0
"""Seconds after which what the headers said last is looked at again, with a few calls."""
RAISED_AFTER = 600.0
RAISED_SEEN = 20
RAISED_MOST = 10
"""A higher limit in the headers is believed when seen so often, for so long, and no more than so many times ours."""
LONGEST_WAIT = 25 * 3600.0
"""Seconds; a day and an hour. What is longer (or negative) is no wait anybody could mean."""
_EPOCH_FROM = 1_000_000_000
_CLOCK = re.compile(r"try again at (\d{1,2}):(\d{2}):(\d{2})\s*UTC", re.IGNORECASE | re.ASCII)
_JUST_PASSED = 23 * 3600.0
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """What one reply says.

    Attributes:
        limit: Requests in the server's window, None where it does not say.
        remaining: Requests left in it.
        wait: Seconds until it answers again, None where it does not say or says nonsense.
    """

    limit: int | None = None
    remaining: int | None = None
    wait: float | None = None


def rate_headers(headers: Mapping[str, str], now: datetime, *, text: str = "") -> RateHeaders:
    """Reads the rate headers of a reply.

    Args:
        headers: With lower-case names.
        now: The wall clock (UTC). The server's own `date` is preferred where it is there.
        text: The body of a 429, for the clock time in it.
    """
    limit = _count(headers.get("x-ratelimit-limit"))
    remaining = _count(headers.get("x-ratelimit-remaining"))
    here = _date(headers.get("date")) or now
    wait = None
    for said in (headers.get("x-ratelimit-reset"), headers.get("retry-after")):
        if said is not None and wait is None:
            wait = _wait(said.strip(), here)
    if wait is None and (match := _CLOCK.search(text)):
        wait = _until(here, *(int(part) for part in match.groups()))
    if limit is not None and limit < 1:
        limit = None
    if remaining is not None and limit is not None and remaining > limit:
        remaining = None
    return RateHeaders(limit, remaining, wait)


def _count(said: str | None) -> int | None:
    said = (said or "").strip()
    return int(said) if said.isascii() and said.isdecimal() and len(said) <= _DIGITS else None


def _wait(said: str, now: datetime) -> float | None:
    try:
        number = float(said)
    except ValueError:
        moment = _iso(said) or _date(said)
        seconds = (moment - now).total_seconds() if moment else None
    else:
        seconds = number - now.timestamp() if number >= _EPOCH_FROM else number
    if seconds is None or not -1 <= seconds <= LONGEST_WAIT:
        return None
    return max(0.0, seconds)


def _until(now: datetime, hour: int, minute: int, second: int) -> float | None:
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - a clock's own numbers
        return None
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(seconds=second)
    seconds = (at - now).total_seconds() % 86400
    # A moment that has just gone by while the reply travelled is not one of tomorrow.
    return 0.0 if seconds > _JUST_PASSED else seconds


def _iso(said: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(said: str | None) -> datetime | None:
    if not said:
        return None
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, IndexError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ServerView:
    """What the headers say about the long window. Downwards it counts at once, upwards only when seen repeatedly.

    Args:
        per_second: Our limit of the short window.
        per_day: Our limit of the long one.

    Attributes:
        second: The short window's limit, ours or the server's if that is lower.
        limit: The long window's, likewise; a higher one once it is believed.
        left: Calls left in the long window, None where it was never said.
        resets_at: When they come back (monotonic), where that was said.
    """

    def __init__(self, per_second: int, per_day: int) -> None:
        self._ours = per_day
        self._short = SHORT_WINDOW * per_second
        self.limit = per_day
        self.second = per_second
        self.left: int | None = None
        self.resets_at: float | None = None
        self._seen = -inf
        self._ups: list[int] = []
        self._raised: tuple[int, float, int] | None = None

    def is_long(self, limit: int) -> bool:
        """Whether a limit is that of the long window."""
        return limit > self._short

    def heard(self, said: RateHeaders, now: float) -> None:
        """Takes in what a reply said."""
        if said.limit is None:
            return
        if not self.is_long(said.limit):
            self.second = min(self.second, said.limit)
            return
        self._heard_limit(said.limit, now)
        if said.remaining is not None:
            self._heard_left(said.remaining, now)

    def usable(self, now: float, reserve: int) -> int | None:
        """Calls that may still be made as far as the headers tell; a few where they were heard long ago."""
        if self.left is None:
            return None
        due = self.resets_at if self.resets_at is not None else self._seen + FORGOTTEN_AFTER
        if now >= due and self.left - reserve < UPS:
            return UPS
        return self.left - reserve

    def exhausted(self, until: float) -> None:
        """A long pause was announced: the window is used up until then."""
        self.left, self.resets_at, self._ups = 0, until, []

    def _heard_limit(self, limit: int, now: float) -> None:
        if limit <= self.limit:
            self.limit, self._raised = limit, None
            return
        if limit > RAISED_MOST * self._ours:
            return
        value, since, seen = self._raised or (limit, now, 0)
        if value != limit:
            value, since, seen = limit, now, 0
        self._raised = (value, since, seen + 1)
        if seen + 1 >= RAISED_SEEN and now - since >= RAISED_AFTER:
            self.limit, self._raised = limit, None

    def _heard_left(self, remaining: int, now: float) -> None:
        self._seen = now
        if self.left is None or remaining <= self.left + UP_BY:
            self.left = remaining if self.left is None else min(self.left, remaining)
            self._ups = []
            return
        self._ups.append(remaining)
        if len(self._ups) >= UPS:
            self.left, self.resets_at, self._ups = min(self._ups), None, []
