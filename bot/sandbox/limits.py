"""The team's quota, as the server counts it: requests in any second, requests a day."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from bot.sandbox.clock import SandboxClock
from bot.sandbox.keys import TINY
from bot.sandbox.log import Family
from bot.sandbox.replies import Reply, clock_time, error
from bot.sandbox.switches import Switches

_DAY = 86_400.0
_ANCHOR_0610 = 6 * 3600 + 600.0
_LIMIT_NAME = {
    "intelligence": "INTELLIGENCE_API_RATE_LIMIT",
    "integration": "INTEGRATION_API_RATE_LIMIT",  # [choice] only the first name is published
    "other": "API_RATE_LIMIT",
}


@dataclass(slots=True)
class Verdict:
    """What the quota says to one arrival.

    Attributes:
        refused: The 429, or None.
        headers: Rate headers for whatever reply there will be.
        budget: Where the call is to be checked out again when it is answered.
    """

    refused: Reply | None
    headers: dict[str, str]
    budget: Budget | None


class Budget:
    """The quota of one team in one API family."""

    __slots__ = ("arrivals", "day_began", "recent", "running", "used")

    def __init__(self) -> None:
        self.arrivals: deque[float] = deque()
        self.recent: deque[float] = deque()
        self.day_began = -math.inf
        self.used = 0
        self.running = 0

    def too_fast(self, now: float, switches: Switches) -> bool:
        """Is this arrival one too many for its window? `now` is monotonic."""
        if switches.second_rule == "simultaneous":
            return self.running >= switches.per_second
        horizon = now - switches.window
        arrivals = self.arrivals
        while arrivals and arrivals[0] <= horizon:
            arrivals.popleft()
        return len(arrivals) >= switches.per_second

    def spent(self, wall: float, switches: Switches) -> int:
        """Requests of the current day so far."""
        if switches.day_anchor == "rolling":
            while self.recent and self.recent[0] <= wall - _DAY:
                self.recent.popleft()
            return len(self.recent)
        began = day_began(wall, switches)
        if began != self.day_began:
            self.day_began = began
            self.used = 0
        return self.used

    def count(self, now: float, wall: float, switches: Switches) -> None:
        """Books one arrival."""
        if switches.second_rule == "arrivals":
            self.arrivals.append(now)
        if switches.day_anchor == "rolling":
            self.recent.append(wall)
        else:
            self.used += 1

    def day_ends(self, wall: float, switches: Switches) -> float:
        """When, by the wall clock, the day's quota has room again."""
        if switches.day_anchor == "rolling":
            return (self.recent[0] if self.recent else wall) + _DAY
        return day_began(wall, switches) + _DAY


def day_began(wall: float, switches: Switches) -> float:
    """When the server's current day began, seconds since 1970."""
    anchor = _ANCHOR_0610 if switches.day_anchor == "06:10" else 0.0
    return (wall - anchor) // _DAY * _DAY + anchor


_Place: TypeAlias = tuple[str, str]


class TeamBudgets:
    """Every team's budgets."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self._clock = clock
        self._switches = switches
        self._budgets: dict[_Place, Budget] = {}

    def reset(self) -> None:
        """Everybody starts with a full quota."""
        self._budgets.clear()

    def used(self, team: str, family: Family) -> int:
        """Requests of the current day so far, for tests."""
        budget = self._budgets.get(self._place(team, family))
        return 0 if budget is None else budget.spent(self._clock.wall(), self._switches)

    def spend(self, team: str, family: Family, requests: int) -> None:
        """Books requests of the day that were never made, so that a test can start near the end of the quota."""
        budget = self._budgets.setdefault(self._place(team, family), Budget())
        wall = self._clock.wall()
        budget.spent(wall, self._switches)
        budget.used += requests
        budget.recent.extend([wall] * requests)

    def arrive(self, team: str, family: Family, received: float) -> Verdict:
        """Counts one arrival and decides on it.

        Args:
            team: Whose quota.
            family: Which API.
            received: Its monotonic time.
        """
        switches = self._switches
        if switches.limited == "intelligence" and family != "intelligence":
            return Verdict(None, {}, None)
        place = self._place(team, family)
        budget = self._budgets.get(place)
        if budget is None:
            budget = self._budgets[place] = Budget()
        wall = self._clock.wall()
        per_day = switches.tiny_per_day if team == TINY else switches.per_day
        too_fast = budget.too_fast(received, switches)
        used = budget.spent(wall, switches)
        over = used >= per_day and switches.day_rule == "hard"
        if not (too_fast or over) or switches.rejected_count:
            budget.count(received, wall, switches)
            used += 1
        if over:
            return Verdict(
                self._rejection(family, per_day, budget.day_ends(wall, switches), wall), {}, budget
            )
        if too_fast:
            free = wall + switches.window
            return Verdict(self._rejection(family, switches.per_second, free, wall), {}, budget)
        if switches.rate_headers != "always":
            return Verdict(None, {}, budget)
        left = max(0, per_day - used)
        return Verdict(None, {"x-ratelimit-limit": str(per_day), "x-ratelimit-remaining": str(left)}, budget)

    def _place(self, team: str, family: Family) -> _Place:
        return (team, family if self._switches.families == "separate" else "all")

    def _rejection(self, family: Family, limit: int, until: float, wall: float) -> Reply:
        dialect = self._switches.reset
        moment = datetime.fromtimestamp(until, UTC)
        told = dialect not in ("missing", "absurd")
        again = f" Please try again at {clock_time(moment)}." if told else ""
        reply = error("rate limit", limit=_LIMIT_NAME[family], again=again)
        if self._switches.rate_headers == "never":
            return reply
        reply.headers = {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": "0"}
        match dialect:
            case "seconds":
                reply.headers["x-ratelimit-reset"] = str(max(1, math.ceil(until - wall)))
            case "epoch":
                reply.headers["x-ratelimit-reset"] = str(math.ceil(until))
            case "iso":
                rounded = (
                    moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)
                )
                reply.headers["x-ratelimit-reset"] = rounded.strftime("%Y-%m-%dT%H:%M:%SZ")
            case "absurd":
                reply.headers |= {"x-ratelimit-limit": "-2147483648", "x-ratelimit-reset": "31536000000"}
            case "body" | "missing":
                pass
        return reply
