"""How much longer than usual answers have to keep, so that the day's calls last until the day's end.

What is asked again and again costs a call each time its answer has become too old. From how often each question is
asked one can tell what all of them together will cost for any age that is allowed; the pace is the smallest age with
which that is no more than what may be spent now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from bot.store.ledger import DAY, Bucket

REMEMBERS = 1800.0
"""Seconds over which the frequency of a question is averaged."""
QUESTIONS = 5000
"""How many different questions are followed."""
WORKING_DAY = 10 * 3600.0
"""Seconds that a day of questions is taken to last while there is no yesterday to learn from."""
QUIET = 0.1
"""Activity outside of it, against that within."""
STEP = 1800.0
"""Seconds between the moments at which the budget is looked at."""
KNOWN_AFTER = 20 * 3600.0
"""Seconds of history from which on yesterday says what today will be like."""
LOOK = 60.0
"""Seconds after which the stretch is calculated anew."""
MOST = 400.0
"""Stretch beyond which nothing is gained: every kind of answer has a cap of its own below it."""
_LEAST_FEEDBACK, _MOST_FEEDBACK = 0.5, 3.0
_FEEDBACK_FROM = 10
_SMOOTH = 0.3


@dataclass(slots=True)
class _Demand:
    weight: float
    at: float
    fresh: float
    calls: int


class Pace:
    """Of one API family. Pure: moments are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._demand: OrderedDict[str, _Demand] = OrderedDict()
        self._looked = now
        self._expected = 0.0
        self._spent = 0
        self._feedback = 1.0
        self.stretch = 1.0

    def asked(self, key: str, fresh: float, now: float) -> None:
        """Somebody asked this, whether it cost a call or not.

        Args:
            key: The question.
            fresh: Seconds that its answer keeps when calls need not be saved.
            now: When.
        """
        demand = self._demand.get(key)
        if demand is None:
            self._demand[key] = _Demand(1.0, now, fresh, 1)
            if len(self._demand) > QUESTIONS:
                self._demand.popitem(last=False)
            return
        demand.weight = 1.0 + demand.weight * exp(-(now - demand.at) / REMEMBERS)
        demand.at = now
        self._demand.move_to_end(key)

    def cost(self, key: str, calls: int) -> None:
        """What answering it took."""
        self._spent += calls
        demand = self._demand.get(key)
        if demand is not None and calls > 0:
            demand.calls = calls

    def due(self, now: float) -> bool:
        """Whether the stretch is to be calculated anew."""
        return now - self._looked >= LOOK

    def look(self, now: float, supply: float) -> None:
        """Calculates the stretch anew.

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
        self.stretch = self._needed(rates, supply)
        self._expected = self._cost(rates, self.stretch)

    def _rates(self, now: float) -> list[tuple[float, float, int]]:
        """How often each question is asked (per second), how long its answer keeps, and what it costs."""
        span = REMEMBERS * (1 - exp(-max(now - self._began, LOOK) / REMEMBERS))
        return [
            (demand.weight * exp(-(now - demand.at) / REMEMBERS) / span, demand.fresh, demand.calls)
            for demand in self._demand.values()
        ]

    def _cost(self, rates: Sequence[tuple[float, float, int]], stretch: float) -> float:
        """Calls per second if answers keep so many times as long as usual."""
        asked = sum(calls * rate / (1 + rate * fresh * stretch) for rate, fresh, calls in rates)
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


def supply(buckets: Sequence[Bucket], left: int, at: float) -> float:
    """Calls per second that may be spent now, so that they last for a day at the pace that the day has.

    At no moment of the coming day may more be spent than what is left now and comes back until then. Yesterday's
    buckets say how today's questions will be spread; without a yesterday a working day is assumed from the first call
    on.

    Args:
        buckets: The last day's, with the moments at which they come back.
        left: Calls left now.
        at: Now, in the ledger's time.
    """
    if left <= 0:
        return 0.0
    weights = _activity(buckets, at)
    coming = sorted(buckets, key=lambda bucket: bucket.counts_until)
    index, have, asked = 0, float(left), 0.0
    least = float("inf")
    for step, weight in enumerate(weights, start=1):
        asked += weight * STEP
        until = at + step * STEP
        if asked > 0:
            least = min(least, have / asked)
        # What comes back within a step helps from its end on.
        while index < len(coming) and coming[index].counts_until <= until:
            have += coming[index].calls
            index += 1
    return least * weights[0]


def _activity(buckets: Sequence[Bucket], at: float) -> list[float]:
    """How active each coming step of a day will be, in parts of the most active one."""
    steps = int(DAY / STEP)
    first = min((bucket.start for bucket in buckets), default=at)
    if at - first < KNOWN_AFTER:
        end = first + WORKING_DAY
        return [1.0 if at + (step + 0.5) * STEP < end or step == 0 else QUIET for step in range(steps)]
    calls = [0.0] * steps
    for bucket in buckets:
        ago = at - bucket.start
        if 0 <= DAY - ago < DAY:
            calls[int((DAY - ago) // STEP)] += bucket.calls
    smooth = [(calls[step - 1] + 2 * calls[step] + calls[(step + 1) % steps]) / 4 for step in range(steps)]
    most = max(smooth) or 1.0
    return [max(each / most, QUIET / 2) for each in smooth]
