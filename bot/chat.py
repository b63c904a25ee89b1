"""People, places and messages, as the product sees them; and the port that each chat platform implements."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from bot.cards import Card, Form


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


@dataclass(frozen=True, slots=True)
class Filled:
    """A form's fields, as text."""

    form: str
    values: tuple[tuple[str, tuple[str, ...]], ...]


Utterance: TypeAlias = Said | Clicked | Filled


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that one person said in one place.

    Attributes:
        id: Unique for each; also stands in the log and on error cards.
        message: The message that was clicked, if one was.
        trigger: What the platform wants for opening a form, if it gave it.
        opens_thread: Whether the place's thread begins with this message, so that nothing was said in it before.
        private_apart: Whether an answer for the person alone is shown in their one-to-one chat instead of this place.
    """

    id: str
    said: Utterance
    person: Person
    place: Place
    at: datetime
    message: MessageRef | None = None
    trigger: str = ""
    opens_thread: bool = False
    private_apart: bool = False


class Chat(Protocol):
    """What the product may ask of a chat platform."""

    async def post(self, place: Place, card: Card) -> MessageRef:
        """Send a card as a message of its own. Raises `bot.errors.Undelivered`."""
        ...

    async def update(self, ref: MessageRef, card: Card) -> None:
        """Replace a message. Raises `bot.errors.Undelivered`."""
        ...

    async def file(self, place: Place, name: str, chunks: AsyncIterable[bytes]) -> MessageRef:
        """Send a file. Raises `bot.errors.Undelivered`."""
        ...

    async def open_form(self, trigger: str, form: Form) -> None:
        """Show a form to the person whose click gave the trigger."""
        ...

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        """What is known of a person. Never raises: what cannot be read is missing.

        Args:
            person: Who.
            anew: Ask the platform now, whatever was known before.
        """
        ...

    async def outsiders(self, place: Place) -> bool:
        """Whether guests or people of other organisations read along. Never raises: what cannot be read counts as yes."""
        ...

    async def direct(self, person: Person) -> Place | None:
        """The person's direct message with the bot, None where the bot cannot reach them."""
        ...
