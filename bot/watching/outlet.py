"""What a watch can do when it is looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.audience import Shown
from bot.model.people import MessageRef


class Outlet(Protocol):
    """The way from a watch to the people who are to be told."""

    async def post(self, shown: Shown, *, duty: str = "") -> MessageRef:
        """Says something where the watch speaks, or in its owner's direct message where that place may not see it.

        Args:
            shown: What.
            duty: The data pool whose people on duty are mentioned, by name.

        Raises:
            Undelivered: Neither the place nor the owner can be reached.
        """
        ...

    async def update(self, ref: MessageRef, shown: Shown) -> None:
        """Changes a message, if its place may see what it would show. Never raises: the next change tries again."""
        ...

    async def keep(self, state: str) -> None:
        """Writes down what was said by now; see `bot.watching.loop.Held`."""
        ...

    async def ask(
        self, sentence: str, *, until: datetime | None = None, duty: str = "", again: bool = False
    ) -> bool:
        """Says a sentence as the watch's owner and posts the answers, as if they had typed it there.

        Args:
            sentence: In the exact language.
            until: How long a question that comes of it can be answered.
            duty: As for `post`.
            again: Whether it was said before and failed, so that a failure is no news.

        Returns:
            Whether it was answered.

        Raises:
            Undelivered: As for `post`.
        """
        ...
