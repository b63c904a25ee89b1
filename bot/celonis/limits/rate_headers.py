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

LONGEST_WAIT = 25 * 3600.0
"""Seconds; a day and an hour. What is longer (or negative) is no wait anybody could mean."""
_EPOCH_FROM = 1_000_000_000
_CLOCK = re.compile(r"try again at (\d{1,2}):(\d{2}):(\d{2})\s*UTC", re.IGNORECASE | re.ASCII)
_JUST_PASSED = 23 * 3600.0
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Told:
    """What one reply says.

    Attributes:
        limit: Requests in the server's window, None where it does not say.
        remaining: Requests left in it.
        wait: Seconds until it answers again, None where it does not say or says nonsense.
    """

    limit: int | None = None
    remaining: int | None = None
    wait: float | None = None


def told(headers: Mapping[str, str], now: datetime, *, text: str = "") -> Told:
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
    return Told(limit, remaining, wait)


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
