"""Never more than n requests in any second, as the server sees them.

A slot is taken before a request is sent and is free again one window after its answer was *seen*. The request arrived
before its answer was seen, and the next one in the same slot is sent a window after that, so it arrives at least a
window later: n slots hold n arrivals in any window, whatever the network does. This holds for sliding, fixed and
smooth counters alike. Counting what was *sent* has no such proof: one slow arrival followed by quick ones breaks it.

A request without an answer may still arrive as long as the server may be working on it, so it holds its slot for the
time-out and a window.
"""

from __future__ import annotations

from math import inf


class Slots:
    """The slots of one replica. Pure: every moment is handed in, in monotonic seconds.

    Args:
        count: How many requests may be within one window.
        window: Seconds.
    """

    def __init__(self, count: int, window: float) -> None:
        self.count = count
        self.window = window
        self.usable = count
        self._free_at = [-inf] * count
        self._was_free_at = [-inf] * count

    @property
    def in_flight(self) -> int:
        """Slots whose answer has not been seen."""
        return sum(at == inf for at in self._free_at)

    def ready_at(self) -> float:
        """When a slot can be taken; infinite while that hangs on an answer."""
        if self.usable < 1:
            return inf
        # With fewer usable slots than there are, that many have to be free before one may be taken.
        return sorted(self._free_at)[self.count - self.usable]

    def all_free_at(self) -> float:
        """When the last slot is free again."""
        return max(self._free_at)

    def take(self, now: float) -> int:
        """Takes a slot that is free at a moment, which may lie a little ahead: nothing is sent before it."""
        free = [index for index, at in enumerate(self._free_at) if at <= now]
        if len(free) <= self.count - self.usable:
            raise RuntimeError("no slot is free; ask ready_at first")
        slot = free[0]
        self._was_free_at[slot], self._free_at[slot] = self._free_at[slot], inf
        return slot

    def answered(self, slot: int, at: float) -> None:
        """The answer was seen; without one: the moment up to which the server may still see the request."""
        self._free_at[slot] = at + self.window

    def unused(self, slot: int) -> None:
        """Nothing was sent: it is free when it would have been, which may be a little ahead."""
        self._free_at[slot] = self._was_free_at[slot]
