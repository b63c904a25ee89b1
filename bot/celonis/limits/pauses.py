"""After a 429: silence until the moment it names, and half the rate where they go on. Pure."""

from __future__ import annotations

import logging
from math import inf

from bot.celonis.limits.rate_headers import LONGEST_WAIT, RateHeaders
from bot.store.ledger import Pause

STRIKES_WITHIN = 600.0
"""Seconds within which a second 429 halves the rate."""
HALVED_FOR = 3600.0
MOST_HALVINGS = 5
JITTER = 0.25
FIRST_BACKOFF = 2.0
"""Windows to wait after a 429 that does not say how long; doubled each time."""
DAILY_BACKOFF = 60.0
"""Seconds, where the headers show that a long window is used up."""
LONGEST_BACKOFF = 900.0

_log = logging.getLogger(__name__)


class Pauses:
    """Of one API family; moments are monotonic seconds.

    Args:
        window: Seconds of the short window.

    Attributes:
        until: Nothing is sent before.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self.until = -inf
        self._struck_at = -inf
        self._halved_until = -inf
        self._halvings = 1
        self._silent_strikes = 0

    def answered(self) -> None:
        """A reply that was no 429."""
        self._silent_strikes = 0

    def struck(self, said: RateHeaders, now: float, *, long_window: bool, jitter: float) -> float:
        """A 429.

        Args:
            said: Its headers.
            now: When it was seen.
            long_window: Whether they show that the day's limit is used up.
            jitter: From 0 to 1.

        Returns:
            Seconds to wait.
        """
        wait = said.wait
        if wait is None:
            first = DAILY_BACKOFF if long_window else FIRST_BACKOFF * self._window
            wait = min(first * 2**self._silent_strikes, LONGEST_BACKOFF)
            self._silent_strikes = min(self._silent_strikes + 1, 20)
        else:
            self._silent_strikes = 0
        wait += jitter * JITTER
        # What was in the air when the first 429 came is a part of it.
        if now >= self.until:
            if now - self._struck_at <= STRIKES_WITHIN:
                if now >= self._halved_until:
                    self._halvings = 0
                    _log.warning(
                        "Celonis answered 429 twice within ten minutes; the rate is halved for an hour"
                    )
                # It may go on: then the true limit is lower still, and the rate goes down until it is met.
                self._halvings = min(self._halvings + 1, MOST_HALVINGS)
                self._halved_until = now + HALVED_FOR
            self._struck_at = now
        self.until = max(self.until, now + wait)
        return wait

    def slots(self, slots: int, now: float) -> int:
        """How many of so many slots may be used."""
        halvings = self._halvings if now < self._halved_until else 0
        return max(1, slots >> halvings) if slots else 0

    def learn(self, pause: Pause, now: float, at: float) -> None:
        """Takes in what another replica was told; `at` is now in the ledger's time."""
        if at < pause.until <= at + LONGEST_WAIT:
            self.until = max(self.until, now + pause.until - at)
        if at - STRIKES_WITHIN < pause.struck_at <= at:
            self._struck_at = max(self._struck_at, now - (at - pause.struck_at))
        if at < pause.halved_until <= at + HALVED_FOR:
            self._halved_until = max(self._halved_until, now + pause.halved_until - at)

    def shared(self, now: float, at: float) -> Pause:
        """The same for the other replicas."""
        halved_until = at + self._halved_until - now if self._halved_until > now else 0.0
        return Pause(at + max(0.0, self.until - now), at, halved_until)
