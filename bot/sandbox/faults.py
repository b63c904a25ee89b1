"""Faults on request: what a network, a proxy or a server under stress does to a call."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from bot.sandbox.switches import checked

FaultKind: TypeAlias = Literal[
    "latency",
    "reset",
    "black_hole",
    "status",
    "redirect",
    "html",
    "truncated",
    "cut",
    "empty",
    "wrong_type",
    "slow_body",
    "huge_body",
    "string_flags",
    "odd_item",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: what happens, to which calls, how often.

    Attributes:
        kind: `latency`: the reply waits `seconds` plus up to `jitter`.
            `reset`: the connection is reset (TCP RST). `black_hole`: the call is accepted and never answered.
            `status`: the reply is `status` with the catalog's envelope. `redirect`: 302 to `location`.
            `html`: a proxy's error page, with `status`. `truncated`: a complete reply whose JSON ends in the middle.
            `cut`: the connection closes in the middle of the body. `empty`: 200 without a body.
            `wrong_type`: the right body as `text/plain`. `slow_body`: the body trickles over `seconds`.
            `huge_body`: `size` bytes of spaces before the JSON. `string_flags`: header flags as "true" and "false".
            `odd_item`: a list begins with an item that is a list itself.
        path: Regular expression searched for in the path; empty: every path.
        query: The same for the encoded query, such as a KPI's id.
        method: Only this HTTP method; empty: every one.
        key: Only calls with the key of this name; empty: every one.
        count: Strikes so many times, then is gone; None: always.
        rate: Probability of striking, 0 to 1.
        handled: For `reset`, `black_hole`, `status`, `redirect` and `html`: the call takes effect before the fault.
        seconds, jitter, status, size, location: As said above.
    """

    kind: FaultKind
    path: str = ""
    query: str = ""
    method: str = ""
    key: str = ""
    count: int | None = None
    rate: float = 1.0
    handled: bool = False
    seconds: float = 0.0
    jitter: float = 0.0
    status: int = 500
    size: int = 5_000_000
    location: str = "/elsewhere"

    def __post_init__(self) -> None:
        for part, pattern in (("path", self.path), ("query", self.query)):
            try:
                re.compile(pattern)
            except re.error as error:
                text = f"A fault's {part} is a regular expression, and {pattern!r} is none: {error}."
                raise ValueError(text) from error

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> Fault:
        """A fault from JSON.

        Raises:
            ValueError: An unknown name, an unknown kind, or a value of the wrong type.
        """
        if "kind" not in given:
            raise ValueError("A fault needs a kind.")
        return cls(**checked("part of a fault", cls, given))


class _Armed:
    __slots__ = ("fault", "left", "path", "query")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.count
        self.path = re.compile(fault.path)
        self.query = re.compile(fault.query)


class Faults:
    """The faults that are armed, in the order they were added. An empty one costs a request next to nothing."""

    def __init__(self, start: Iterable[Fault] = (), *, seed: str = "") -> None:
        self._start = tuple(start)
        self._dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._armed: list[_Armed] = []
        self.reset()

    def __len__(self) -> int:
        return len(self._armed)

    def __iter__(self) -> Iterator[Fault]:
        return (armed.fault for armed in self._armed)

    def add(self, fault: Fault) -> None:
        """Arms one more fault."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarms all."""
        self._armed.clear()

    def reset(self) -> None:
        """Back to those the sandbox was started with."""
        self._armed = [_Armed(fault) for fault in self._start]

    def striking(self, method: str, path: str, query: str, key: str | None) -> list[Fault]:
        """The faults that hit this call; each counted one is used up by one."""
        hit: list[Fault] = []
        for armed in tuple(self._armed):
            fault = armed.fault
            if (
                (fault.method and fault.method != method)
                or (fault.key and fault.key != key)
                or not armed.path.search(path)
                or not armed.query.search(query)
                or (fault.rate < 1 and self._dice.random() >= fault.rate)
            ):
                continue
            if armed.left is not None:
                armed.left -= 1
                if armed.left <= 0:
                    self._armed.remove(armed)
                if armed.left < 0:
                    continue
            hit.append(fault)
        return hit

    def jitter(self, fault: Fault) -> float:
        """Seconds that this `latency` waits this time."""
        return fault.seconds + (self._dice.random() * fault.jitter if fault.jitter else 0.0)

    def as_list(self) -> list[dict[str, object]]:
        """The armed faults as JSON values, with what is left of their counts."""
        return [{**asdict(armed.fault), "count": armed.left} for armed in self._armed]
