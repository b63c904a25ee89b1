"""What the bot is in Celonis, which part of its API is asked, and on whose behalf."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Identity(StrEnum):
    """What the bot turned out to be in Celonis."""

    APPLICATION = "application key"
    USER = "user key"
    OAUTH = "OAuth client"
    UNKNOWN = "key of unknown kind"


class Family(StrEnum):
    """Parts of Celonis' API that may have quotas of their own; nothing says that they share one."""

    INTELLIGENCE = "intelligence"
    INTEGRATION = "integration"
    OTHER = "other"

    @classmethod
    def of(cls, path: str) -> Family:
        """The family of a path below the team root."""
        match path.split("/", 2)[1:2]:
            case ["intelligence"]:
                return cls.INTELLIGENCE
            case ["integration"]:
                return cls.INTEGRATION
            case _:
                return cls.OTHER


class Lane(IntEnum):
    """Who goes first."""

    GUARDED = 0
    PEOPLE = 1
    BACKGROUND = 2


@dataclass(slots=True)
class Usage:
    """What one request has used so far; filled in by the client.

    Attributes:
        calls: What was sent to Celonis, by API family: tries again, tokens and writes included.
        unread: By question: how many items of its answer could not be read.
    """

    calls: Counter[Family] = field(default_factory=Counter)
    unread: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a call is made.

    Attributes:
        person: `Person.key`, or a name of the bot's own for work nobody asked for.
        place: `Place.key`, empty where there is none.
        lane: Who goes first.
        deadline: Monotonic seconds of the client's clock; what cannot begin by then is refused at once.
        fresh: Nothing from the cache: a refresh, and all that a write needs.
        request: `Request.id`; empty for work nobody waits for.
        usage: Counts what the request uses.
    """

    person: str
    place: str
    lane: Lane
    deadline: float
    fresh: bool = False
    request: str = ""
    usage: Usage = field(default_factory=Usage, compare=False)
