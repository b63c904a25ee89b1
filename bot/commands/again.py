"""The bot's own words: what goes on with the last answer of a conversation instead of asking something new.

They are no commands: each stands for a sentence that was said before, and the rights of that sentence decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bot.language.declare import TYPED, Phrase, clause
from bot.model.intents import Intent


@dataclass(frozen=True, slots=True)
class Refresh(Intent):
    """A sentence again, past the cache; without one, the last that was answered in this conversation."""

    words: ClassVar[str] = "refresh"
    sentence: str = field(default="", metadata=clause("", Phrase()))


@dataclass(frozen=True, slots=True)
class Next(Intent):
    """The page after the last answer."""

    words: ClassVar[str] = "next"


@dataclass(frozen=True, slots=True)
class Back(Intent):
    """The page before the last answer."""

    words: ClassVar[str] = "back"


@dataclass(frozen=True, slots=True)
class Recall(Intent):
    """A kept sentence that no button can carry; nobody types it."""

    words: ClassVar[str] = "again"
    id: str = field(default="", metadata=clause("", Phrase()))
    typed: str = field(default="", metadata=clause(TYPED, Phrase()))


@dataclass(frozen=True, slots=True)
class Again:
    """One of these words.

    Attributes:
        example: What it means; feeds parser, help and docs.
        summary: One line for help and docs.
    """

    example: Refresh | Next | Back
    summary: str

    @property
    def intent(self) -> type[Refresh | Next | Back]:
        return type(self.example)


AGAIN = (
    Again(Refresh(), "the last answer, asked anew"),
    Again(Next(), "the next page of the last answer"),
    Again(Back(), "the page before"),
)
