"""How many reads may be tried again: retries are a tenth of a minute's calls, so that they never make trouble worse."""

from __future__ import annotations

from collections import deque

SPAN = 60.0
"""Seconds that are looked back on."""
PART = 10
"""One retry for so many calls."""


class Retries:
    """Of one connection. Moments are monotonic seconds.

    Args:
        least: Retries that are granted in a minute however little was asked: those of one read.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._calls: deque[float] = deque()
        self._taken: deque[float] = deque()

    def called(self, now: float) -> None:
        """A request goes out, a first try or another one."""
        self._calls.append(now)
        self._forget(now)

    def take(self, now: float) -> bool:
        """Whether one more retry is granted; a granted one counts."""
        self._forget(now)
        if len(self._taken) >= max(self._least, len(self._calls) // PART):
            return False
        self._taken.append(now)
        return True

    def _forget(self, now: float) -> None:
        for moments in (self._calls, self._taken):
            while moments and moments[0] <= now - SPAN:
                moments.popleft()
