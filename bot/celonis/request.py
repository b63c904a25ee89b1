"""A request on its way to Celonis: what it asks, of which API, on whose behalf."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote

from bot.celonis.freshness import Lifetime
from bot.model.errors import BadArgument

LONGEST_ID = 256
_REMEMBERED_IDS = 10_000


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


@dataclass(frozen=True)
class Call:
    """A request without its host: a path with encoded segments, an encoded query, and perhaps a JSON body.

    Attributes:
        lifetime: How long its answer keeps.
    """

    method: str
    path: str
    query: str = ""
    body: Mapping[str, Any] | None = None
    lifetime: Lifetime = Lifetime.SCHEMA

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @cached_property
    def family(self) -> Family:
        """Which API it asks."""
        return Family.of(self.path)

    @cached_property
    def key(self) -> str:
        """All of it: what its answer is kept under."""
        body = "" if self.body is None else " " + json.dumps(self.body, sort_keys=True)
        return f"{self.method} {self.target}{body}"

    @cached_property
    def shown(self) -> str:
        """What `debug` shows of it."""
        return without_values(self.path, self.query)


def encoded(parameters: Sequence[tuple[str, str]]) -> str:
    """An encoded query; a space is `%20` and a plus sign `%2B`, since a bare plus decodes to a space."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters)


def without_values(path: str, query: str) -> str:
    """A path with the names of its parameters: what may be remembered of a request."""
    names = dict.fromkeys(part.partition("=")[0] for part in query.split("&") if part)
    return path + ("?" + "&".join(f"{name}=…" for name in names) if names else "")


@lru_cache(_REMEMBERED_IDS)
def checked_id(text: str, *, in_list: bool = False) -> str:
    """An id that can be put into a request.

    Args:
        text: From a person, a button or Celonis itself.
        in_list: It will stand in a list with commas between the ids.

    Raises:
        BadArgument: It is empty, longer than 256 characters, or holds a slash, two dots in a row, a control or
            invisible formatting character, or (in a list) a comma.
    """
    if not text or len(text) > LONGEST_ID:
        raise BadArgument(
            f"An id of Celonis has 1 to {LONGEST_ID} characters; this one has {len(text)}.",
            undone="Nothing was asked.",
        )
    strange = text.strip(" ") != text or text == "." or ".." in text or "/" in text or "\\" in text
    hidden = any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in text)
    if strange or hidden or (in_list and "," in text):
        raise BadArgument(
            "That is not an id of Celonis: it holds characters that no id has.",
            hint="Say the name as it stands in Celonis.",
            undone="Nothing was asked.",
        )
    return text


@lru_cache(_REMEMBERED_IDS)
def segment(text: str) -> str:
    """A checked id as one encoded path segment.

    Raises:
        BadArgument: As for `checked_id`.
    """
    return quote(checked_id(text), safe="")
