"""People, places and messages, as the product sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Person:
    """Who. A bare user id is not unique across workspaces, so the home (Slack team, Teams tenant) belongs to it.

    Attributes:
        platform: `slack`, `teams` or `local`.
        home: The person's own Slack team or Teams tenant; the machine's name for `local`.
        id: Slack user id, Teams object id, or the local user's name.
        name: For display only; never for a decision.
    """

    platform: str
    home: str
    id: str
    name: str = ""

    @property
    def key(self) -> str:
        """What the policy and the audit log call this person."""
        return f"{self.platform}:{self.home}:{self.id}"


class Visibility(StrEnum):
    """Who reads along in a place."""

    PERSONAL = "personal"
    GROUP = "group"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Place:
    """Where: a direct message, a group chat or a channel, perhaps a thread in it.

    `home` is the workspace or tenant the bot is installed in; it decides which Celonis connections exist here.
    """

    platform: str
    home: str
    id: str
    visibility: Visibility
    thread: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """What defaults, the policy and the audit log call this place; threads share their channel's."""
        return f"{self.platform}:{self.home}:{self.id}"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The first yes of two: whose it is, where they said it, and when (UTC)."""

    by: Person
    place: Place
    at: datetime


class Standing(StrEnum):
    """What somebody is to the workspace. Only members may anything; unknown is what could not be read."""

    MEMBER = "member"
    GUEST = "guest"
    EXTERNAL = "external"
    BOT = "bot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Profile:
    """What the platform knows of a person. What is missing is None, and no rule matches it."""

    name: str | None = None
    email: str | None = None
    groups: frozenset[str] | None = None
    standing: Standing = Standing.UNKNOWN
    zone: str | None = None
    """An IANA name that this machine knows."""
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message the bot has sent; outlives the program. `handle` is the adapter's own and opaque to everybody else."""

    platform: str
    place: Place
    handle: str


@dataclass(frozen=True, slots=True)
class Said:
    """Text somebody typed, without the mention of the bot."""

    text: str


@dataclass(frozen=True, slots=True)
class Clicked:
    """A button. Exactly one of the fields is set; each is a claim of the client's, checked like typed text."""

    sentence: str = ""
    confirm: str = ""
    dismiss: str = ""


Utterance: TypeAlias = Said | Clicked


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that one person said in one place.

    Attributes:
        id: Unique for each; also stands in the log and on error cards.
        message: The message that was clicked, if one was.
        opens_thread: Whether the place's thread begins with this message, so that nothing was said in it before.
        private_apart: Whether an answer for the person alone is shown in their one-to-one chat instead of this place.
        hidden: Whether its answer is shown to the person alone, even where everybody in the place may see it.
        watch: The id of the watch that says it on the person's behalf; empty where they said it themselves.
        open_until: How long a question that comes of it can be answered; as the settings say where it is None.
    """

    id: str
    said: Utterance
    person: Person
    place: Place
    message: MessageRef | None = None
    opens_thread: bool = False
    private_apart: bool = False
    hidden: bool = False
    watch: str = ""
    open_until: datetime | None = None
