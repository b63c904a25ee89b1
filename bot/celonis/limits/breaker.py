"""Leaves a server in peace that does not answer, and lets exactly one request find out whether it does again."""

from __future__ import annotations

from enum import StrEnum

TOLERATED = 5
"""Failures in a row after which nothing is sent for a while."""
FIRST_REST = 10.0
"""Seconds."""
LONGEST_REST = 120.0


class Passage(StrEnum):
    """What the breaker says to the next request."""

    FREE = "free"
    PROBE = "probe"
    BLOCKED = "blocked"


class Breaker:
    """Of one API family. Pure: moments are monotonic seconds. 4xx and 429 are answers, 5xx and silence failures.

    Args:
        tolerated: Failures in a row after which nothing is sent for a while.
    """

    def __init__(self, tolerated: int = TOLERATED) -> None:
        self._tolerated = tolerated
        self._failures = 0
        self._rest = FIRST_REST
        self._blocked_until: float | None = None
        self._probing = False
        self.since: float | None = None

    def passage(self, now: float) -> Passage:
        """What the next request may do; changes nothing."""
        if self._blocked_until is None:
            return Passage.FREE
        return Passage.BLOCKED if self._probing or now < self._blocked_until else Passage.PROBE

    def retry_in(self, now: float) -> float:
        """Seconds until the next probe may go."""
        return 0.0 if self._blocked_until is None else max(0.0, self._blocked_until - now)

    def begin_probe(self) -> None:
        """One request goes out to find out."""
        self._probing = True

    def answered(self) -> None:
        """The server works."""
        self._failures = 0
        self._rest = FIRST_REST
        self._blocked_until = self.since = None
        self._probing = False

    def failed(self, now: float, *, probe: bool) -> None:
        """No answer, or a 5xx."""
        self._failures += 1
        self.since = now if self.since is None else self.since
        if probe:
            self._probing = False
            self._rest = min(2 * self._rest, LONGEST_REST)
        if probe or (self._failures >= self._tolerated and self._blocked_until is None):
            self._blocked_until = now + self._rest

    def unsent(self, *, probe: bool) -> None:
        """The request was not sent after all."""
        if probe:
            self._probing = False
