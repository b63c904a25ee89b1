"""One Celonis team and the identity the bot has there, and on whose behalf a call is made."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TAIL = 4


class KeyKind(StrEnum):
    """How a key is sent; the values are PyCelonis' own words."""

    APPLICATION = "APP_KEY"
    USER = "USER_KEY"

    @property
    def scheme(self) -> str:
        """The word before the key in the `Authorization` header."""
        return "AppKey" if self is KeyKind.APPLICATION else "Bearer"

    @property
    def other(self) -> KeyKind:
        """The kind it may be instead."""
        return KeyKind.USER if self is KeyKind.APPLICATION else KeyKind.APPLICATION


class Identity(StrEnum):
    """What the bot turned out to be in Celonis."""

    APPLICATION = "application key"
    USER = "user key"
    OAUTH = "OAuth client"
    UNKNOWN = "key of unknown kind"


def masked(secret: str) -> str:
    """A secret as people may see it: its last characters where it is long enough to spare them."""
    return f"…{secret[-_TAIL:]}" if len(secret) >= 4 * _TAIL else "…"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A user or application key.

    Attributes:
        secret: The key. Never in a `repr`.
        kind: Which of the two it is; None finds out.
        read_again: Reads it anew from where it came (a file that is rotated), after Celonis refused it.
    """

    secret: str = field(repr=False)
    kind: KeyKind | None = None
    read_again: Callable[[], str] | None = field(default=None, repr=False)

    @property
    def tail(self) -> str:
        """Enough of it to tell two keys apart."""
        return masked(self.secret)


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """OAuth 2 client credentials. `scope` is separated by spaces, as Celonis' pages show it."""

    id: str
    secret: str = field(repr=False)
    scope: str
    read_again: Callable[[], str] | None = field(default=None, repr=False)

    @property
    def tail(self) -> str:
        """Enough of it to tell two clients apart; a client's id is not secret."""
        return masked(self.id)


Credential: TypeAlias = ApiKey | OAuthClient


@dataclass(frozen=True, slots=True)
class Limits:
    """What Celonis allows, and how the bot divides it. The account team can change Celonis' part.

    Attributes:
        per_second: Requests in any `window`. Source: developer.celonis.com, rate limiting.
        per_day: Requests in 24 hours.
        fields: Fields in one request.
        page: Rows in one request.
        rows: Rows that can be reached in all.
        list_page: Entries a page of a list (the specification names no maximum; 50 is its default).
        list_pages: Pages after which a list is taken for endless.
        window: Seconds of the first limit.
        shared: All API families count against one quota; nothing documents that they do, or that they do not.
        replicas: How many copies of the bot share the limits.
        guest_slots: Of `per_second`, kept for one-shot commands beside running copies.
        background_reserve: Last part of the day's calls that nothing in the background may use.
        guarded_reserve: Last part of the day's calls that only writes and what they need may use.
        per_person: Part of the day's calls that one person may use.
        per_place: Part of the day's calls that one place may use.
        alone: Part of the day's calls that may be used while the database does not answer.
        cache_bytes: What the cache may hold.
        oldest: Seconds that an answer's age is stretched to, at most, while calls are left.
        body: Bytes of a reply that are read, at most.
    """

    per_second: int = 20
    per_day: int = 6000
    fields: int = 200
    page: int = 50
    rows: int = 1000
    list_page: int = 50
    list_pages: int = 200
    window: float = 1.0
    shared: bool = False
    replicas: int = 1
    guest_slots: int = 1
    background_reserve: float = 0.20
    guarded_reserve: float = 0.05
    per_person: float = 0.10
    per_place: float = 0.50
    alone: float = 0.02
    cache_bytes: int = 64 * 1024 * 1024
    oldest: float = 1800.0
    body: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        counts = (
            self.per_second,
            self.per_day,
            self.fields,
            self.page,
            self.rows,
            self.list_page,
            self.replicas,
        )
        if min(counts) < 1 or self.window <= 0:
            raise ValueError("every limit of a connection is at least 1")
        if self.per_second - self.guest_slots < self.replicas or self.guest_slots < 0:
            raise ValueError(f"{self.replicas} replicas cannot share {self.per_second} requests a second")


@dataclass(frozen=True, slots=True)
class Connection:
    """A Celonis team, by a name of ours.

    Attributes:
        name: What people call it.
        team_root: `https://<team>.<cluster>.celonis.cloud`, without a path.
        credential: The bot's identity there.
        limits: What may be spent.
        timeout: Seconds for one call (PyCelonis' word).
        total_retry: How often a failed read is tried again (PyCelonis' word).
        backoff_factor: Seconds; before try n+1 the bot waits random(0, backoff_factor * 2**(n-1)).
        read_only: Nothing that changes something is ever sent.
        sandbox: A sandbox stands in for the team.
    """

    name: str
    team_root: str
    credential: Credential
    limits: Limits = field(default_factory=Limits)
    timeout: float = 60.0
    total_retry: int = 2
    backoff_factor: float = 1.0
    read_only: bool = False
    sandbox: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.team_root)
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError(f"connection {self.name}: the team's address has a host and nothing behind it")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"connection {self.name}: the team's address begins with https://")

    @property
    def scope(self) -> str:
        """What its quota is counted under: the team's host (with its port, where one is given)."""
        return urlsplit(self.team_root).netloc.casefold()

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart without giving anything away; answers are never shared between two of them."""
        match self.credential:
            case ApiKey(secret=secret):
                said = f"key {secret}"
            case OAuthClient(id=client, scope=scope):
                said = f"client {client} {scope}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]


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
