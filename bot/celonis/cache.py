"""What was answered lately, each with its age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from cachetools import TLRUCache

from bot.model.errors import CelonisError

NEGATIVE = 15.0
"""Seconds for which "not found" and the like are believed."""
OVERHEAD = 9
"""Bytes of memory for one of JSON, once it is parsed (measured: 2.5 for rows of text, 9 for lists of KPIs)."""
LEAST = 512


class Shelf(NamedTuple):
    """How long a kind of answer keeps, in seconds.

    Attributes:
        fresh: It is given without another call.
        stretched: The same at most, when calls have to be saved.
        usable: It is given, with its age, where Celonis or the quota gives nothing newer.
    """

    fresh: float
    stretched: float
    usable: float


class Keeps(Enum):
    """The kinds of answers."""

    SCHEMA = Shelf(3600.0, 6 * 3600.0, 7 * 86400.0)
    DATA = Shelf(120.0, 1800.0, 12 * 3600.0)
    LOADS = Shelf(60.0, 600.0, 6 * 3600.0)
    RUNS = Shelf(10.0, 120.0, 3600.0)
    STATUS = Shelf(3.0, 30.0, 600.0)
    IDENTITY = Shelf(300.0, 3600.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, or an error that stands for one.

    Attributes:
        value: The answer.
        error: What Celonis refused with, if it did.
        fetched_at: When it was asked (UTC).
        born: The same in monotonic seconds.
        keeps: Its kind.
        size: Bytes it takes, about.
        unread: Items of it that could not be read.
    """

    value: Any
    error: CelonisError | None
    fetched_at: datetime
    born: float
    keeps: Keeps
    size: int
    unread: int = 0


class Cache:
    """Bounded by bytes; what is used least goes first.

    Args:
        room: Bytes.
        timer: Monotonic seconds.
    """

    def __init__(self, room: int, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            room, ttu=_until, timer=timer, getsizeof=lambda entry: entry.size
        )
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes_used(self) -> int:
        """What it holds."""
        return int(self._entries.currsize)

    @property
    def hit_rate(self) -> float | None:
        """Part of the questions that were answered without a call; None before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def get(self, key: str) -> Entry | None:
        """The newest answer that is still usable."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keeps an answer; one that is larger than the whole cache is not kept, nor one that was asked before another
        that is here already.
        """
        newest = self._entries.get(key)
        if newest is not None and newest.born > entry.born:
            return
        try:
            self._entries[key] = entry
        except ValueError:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forgets everything: the rights of the key may be others now."""
        self._entries.clear()

    def age(self, entry: Entry) -> float:
        """Seconds since it was asked."""
        return self._timer() - entry.born


def _until(_key: str, entry: Entry, now: float) -> float:
    return now + (NEGATIVE if entry.error is not None else entry.keeps.value.usable)
