"""How long answers keep, and how much longer than usual so that the day's calls last until the day's end.

What is asked again and again costs a call each time its answer has become too old. From how often each question is
asked one can tell what all of them together will cost for any age that is allowed; the stretch is the smallest age
with which that is no more than what may be spent now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import exp

REMEMBERS = 1800.0
"""Seconds over which the frequency of a question is averaged."""
QUESTIONS = 5000
"""How many different questions are followed."""
LOOK = 60.0
"""Seconds after which the stretch is calculated anew."""
MOST = 400.0
"""Stretch beyond which nothing is gained: every kind of answer has a cap of its own below it."""
STALE_BY = 1.5
"""An answer older than fresh, by up to this factor, is given at once while a new one is fetched."""
_LEAST_FEEDBACK, _MOST_FEEDBACK = 0.5, 3.0
_FEEDBACK_FROM = 10
_SMOOTH = 0.3


class Lifetime(Enum):
    """How long each kind of answer keeps, in seconds.

    Attributes:
        fresh: It is given without another call.
        stretched: The same at most, when calls have to be saved.
        usable: It is given, with its age, where Celonis or the quota gives nothing newer.
    """

    SCHEMA = (3600.0, 6 * 3600.0, 7 * 86400.0)
    DATA = (120.0, 1800.0, 12 * 3600.0)
    CLOSED = (86400.0, 86400.0, 86400.0)
    LOADS = (60.0, 600.0, 6 * 3600.0)
    RUNS = (10.0, 120.0, 3600.0)
    STATUS = (3.0, 30.0, 600.0)
    IDENTITY = (300.0, 3600.0, 86400.0)

    def __init__(self, fresh: float, stretched: float, usable: float) -> None:
        self.fresh = fresh
        self.stretched = stretched
        self.usable = usable


@dataclass(slots=True)
class _Demand:
    weight: float
    at: float
    fresh: float
    calls: int


class Stretch:
    """Of one API family. Pure: moments are monotonic seconds.

    Attributes:
        factor: How many times as long as usual answers keep.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._demand: OrderedDict[str, _Demand] = OrderedDict()
        self._looked = now
        self._expected = 0.0
        self._spent = 0
        self._feedback = 1.0
        self.factor = 1.0

    def fresh_for(self, lifetime: Lifetime) -> float:
        """Seconds for which an answer is fresh now."""
        return min(lifetime.fresh * self.factor, lifetime.stretched)

    def asked(self, key: str, lifetime: Lifetime, now: float, times: int = 1) -> None:
        """Somebody asked this, once or so many times lately, whether it cost a call or not."""
        demand = self._demand.get(key)
        if demand is None:
            self._demand[key] = _Demand(times, now, lifetime.fresh, 1)
            if len(self._demand) > QUESTIONS:
                self._demand.popitem(last=False)
            return
        demand.weight = times + demand.weight * exp(-(now - demand.at) / REMEMBERS)
        demand.at = now
        self._demand.move_to_end(key)

    def cost(self, key: str, calls: int) -> None:
        """What answering it took."""
        self._spent += calls
        demand = self._demand.get(key)
        if demand is not None and calls > 0:
            demand.calls = calls

    def due(self, now: float) -> bool:
        """Whether it is to be calculated anew: not where nothing was asked since."""
        return now - self._looked >= LOOK and bool(self._demand)

    def look(self, now: float, supply: float) -> None:
        """Calculates it anew.

        Args:
            now: The moment.
            supply: Calls per second that may be spent on questions from now on.
        """
        elapsed = now - self._looked
        if self._expected * elapsed >= _FEEDBACK_FROM:
            seen = self._feedback * self._spent / (self._expected * elapsed)
            bounded = min(max(seen, _LEAST_FEEDBACK), _MOST_FEEDBACK)
            self._feedback += _SMOOTH * (bounded - self._feedback)
        self._looked, self._spent = now, 0
        rates = self._rates(now)
        self.factor = self._needed(rates, supply)
        self._expected = self._cost(rates, self.factor)

    def _rates(self, now: float) -> list[tuple[float, float, int]]:
        """How often each question is asked (per second), how long its answer keeps, and what it costs."""
        span = REMEMBERS * (1 - exp(-max(now - self._began, LOOK) / REMEMBERS))
        return [
            (demand.weight * exp(-(now - demand.at) / REMEMBERS) / span, demand.fresh, demand.calls)
            for demand in self._demand.values()
        ]

    def _cost(self, rates: Sequence[tuple[float, float, int]], factor: float) -> float:
        """Calls per second if answers keep so many times as long as usual."""
        asked = sum(calls * rate / (1 + rate * fresh * factor) for rate, fresh, calls in rates)
        return self._feedback * asked

    def _needed(self, rates: Sequence[tuple[float, float, int]], supply: float) -> float:
        if self._cost(rates, 1.0) <= supply:
            return 1.0
        low, high = 1.0, MOST
        if self._cost(rates, high) > supply:
            return high
        while high - low > 0.02 * low:
            middle = (low + high) / 2
            low, high = (middle, high) if self._cost(rates, middle) > supply else (low, middle)
        return high
