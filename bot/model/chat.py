"""What the product may ask of a chat platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.model.cards import Answer
from bot.model.people import MessageRef, Person, Place, Profile


@dataclass(frozen=True, slots=True)
class File:
    """A file for one person.

    Attributes:
        name: With its ending; safe on every system.
        content: All of it.
        about: What it is, in a line.
    """

    name: str
    content: bytes
    about: str


class Chat(Protocol):
    """What the product may ask of a chat platform."""

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        """Send an answer as a message of its own. Raises `bot.model.errors.Undelivered`."""
        ...

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        """Replace a message. Raises `bot.model.errors.Undelivered`."""
        ...

    async def file(self, person: Person, file: File) -> str:
        """Gives a file to one person alone. Raises `bot.model.errors.Undelivered`.

        Returns:
            Where they find it, as a sentence.
        """
        ...

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        """What is known of a person. Never raises: what cannot be read is missing.

        Args:
            person: Who.
            anew: Ask the platform now, whatever was known before.
        """
        ...

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        """Whether guests or people of other organisations read along. Never raises: what cannot be read counts as yes.

        Args:
            place: Where.
            anew: Ask the platform now, whatever was known before.
        """
        ...

    async def direct(self, person: Person) -> Place | None:
        """The person's direct message with the bot, None where the bot cannot reach them."""
        ...
