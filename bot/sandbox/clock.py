"""The sandbox's own time: real, shifted, scaled, or handed in. It shares nothing with the bot's clock on purpose."""

import time
from collections.abc import Callable


class SandboxClock:
    """Two readings of one time line.

    `monotonic()` (seconds) stamps arrivals and judges the window of a second; `wall()` (seconds since 1970, UTC)
    drives the day's quota, job runs, data loads and token lives. Shifting and scaling move the wall only, so that
    a jump of an hour never breaks the window of a second. With `now` both come from that callable: that is how a
    day is simulated in one piece.
    """

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._injected = now
        self.monotonic: Callable[[], float] = now or time.monotonic
        self._scale = 1.0
        self._anchor = self._true_wall()
        self._wall_at_anchor = self._anchor

    def wall(self) -> float:
        """The sandbox's date and time, as seconds since 1970 in UTC."""
        return self._wall_at_anchor + (self._true_wall() - self._anchor) * self._scale

    def shift(self, seconds: float) -> None:
        """Moves the wall clock by `seconds` (negative: back) and lets it run on from there."""
        self._hold()
        self._wall_at_anchor += seconds

    def scale(self, factor: float) -> None:
        """From now on a true second is `factor` seconds of the wall clock.

        Raises:
            ValueError: `factor` is negative.
        """
        if factor < 0:
            raise ValueError("The sandbox's time can stand still (0) but not run backwards.")
        self._hold()
        self._scale = factor

    def reset(self) -> None:
        """Back to the true time at its true pace."""
        self._scale = 1.0
        self._anchor = self._wall_at_anchor = self._true_wall()

    def _hold(self) -> None:
        wall = self.wall()
        self._anchor = self._true_wall()
        self._wall_at_anchor = wall

    def _true_wall(self) -> float:
        return self._injected() if self._injected else time.time()  # noqa: TID251 - this is the sandbox's clock itself
