"""The request log: what arrived, as the server saw it. Tests and benches take it as the judge."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

Family: TypeAlias = Literal["intelligence", "integration", "other"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(slots=True)
class Entry:
    """One request.

    Attributes:
        number: Counts from 1 and goes on when the log is cleared.
        received: Arrival, seconds of the monotonic clock (the same for all programs on one machine).
        wall: Arrival, seconds since 1970 by the sandbox's wall clock.
        key: Name of the key; None without a known one.
        method, path, query: As sent, still encoded.
        family: API family.
        status: Of the reply; None while, or because, there is none.
        took: Seconds from arrival until the reply was handed to the socket; None as above.
        body: Body of a request that had one, cut at 4,000 characters.
        fault: Kinds of the faults that struck, comma separated.
    """

    number: int
    received: float
    wall: float
    key: str | None
    method: str
    path: str
    query: str
    family: Family
    status: int | None = None
    took: float | None = None
    body: str | None = None
    fault: str = ""

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, ensure_ascii=False)

    def as_text(self) -> str:
        """One line for people."""
        at = datetime.fromtimestamp(self.wall, UTC).strftime("%H:%M:%S.%f")[:-3]
        took = "" if self.took is None else f" {self.took * 1000:.0f} ms"
        query = f"?{self.query}" if self.query else ""
        fault = f" [{self.fault}]" if self.fault else ""
        return f"{at} {self.key or '-':<11} {self.status or '---'} {self.method:<5} {self.path}{query}{took}{fault}"


class RequestLog:
    """The newest `limit` entries, oldest first. Appending is all that a request pays for."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def add(
        self, *, received: float, wall: float, method: str, path: str, query: str, family: Family
    ) -> Entry:
        """Records an arrival; the caller fills in the rest as it becomes known."""
        self._count += 1
        entry = Entry(self._count, received, wall, None, method, path, query, family)
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forgets everything so far."""
        self._entries.clear()

    def where(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        key: str | None = None,
        status: int | None = None,
        family: Family | None = None,
        since: int = 0,
    ) -> list[Entry]:
        """Entries that have all that is given.

        Args:
            method: HTTP method.
            path: Part of the path.
            key: Name of the key.
            status: Status of the reply.
            family: API family.
            since: Only entries with a higher number.
        """
        return [
            entry
            for entry in self._entries
            if entry.number > since
            and (method is None or entry.method == method)
            and (path is None or path in entry.path)
            and (key is None or entry.key == key)
            and (status is None or entry.status == status)
            and (family is None or entry.family == family)
        ]

    def violations(self, *, limit: int = 20, window: float = 1.0, family: Family | None = None) -> int:
        """How many arrivals were one too many: `limit` others had arrived less than `window` seconds before.

        Calculated from the arrivals alone, whatever the sandbox itself decided about them.
        """
        arrivals = self._arrivals(family)
        pairs = zip(arrivals, arrivals[limit:], strict=False)
        return sum(later - earlier < window for earlier, later in pairs)

    def most_in_any_window(self, *, window: float = 1.0, family: Family | None = None) -> int:
        """The largest number of arrivals that any half-open window of this length held."""
        recent: deque[float] = deque()
        most = 0
        for arrival in self._arrivals(family):
            while recent and arrival - recent[0] >= window:
                recent.popleft()
            recent.append(arrival)
            most = max(most, len(recent))
        return most

    def _arrivals(self, family: Family | None) -> list[float]:
        return sorted(entry.received for entry in self._entries if family in (None, entry.family))
