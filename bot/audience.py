"""Who may see an answer: the one place where that is decided, for answers, questions and their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from bot.model.cards import Audience, Card, Everyone, Only
from bot.model.chat import Chat
from bot.model.people import Person, Place, Visibility
from bot.policy import Policy, Touch

log = structlog.get_logger()

MEMBERS_WITHIN = 2.0
"""Seconds in which the platform has to say who reads along in a place."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A card with what stands on it, and with how it travels: what an `Answer` follows from.

    Attributes:
        card: The answer.
        touches: Every resource of which it shows something, named as Celonis names it now; None where it is for the
            person alone who asked, whatever it shows.
        editable: As for `Answer`.
        replaces: As for `Answer`.
        mention: As for `Answer`.
        ticket: As for `Answer`.
        aloud: As for `Answer`.
        until: From when on (UTC) the card reads differently, though nothing else was read; None: never.
    """

    card: Card
    touches: tuple[Touch, ...] | None = None
    editable: bool = False
    replaces: bool = True
    mention: tuple[Person, ...] = ()
    ticket: str = ""
    aloud: bool = False
    until: datetime | None = None


@dataclass(slots=True)
class PlaceAudience:
    """Everybody who reads along in one place. Whether outsiders are among them is asked at most once, and only where a
    rule of the policy depends on it.
    """

    place: Place
    policy: Policy
    chat: Chat | None
    _outsiders: bool | None = field(default=None)

    async def outsiders(self, *, anew: bool = False) -> bool:
        """Whether guests or people of other organisations read along; what cannot be read counts as yes.

        Args:
            anew: Ask the platform now, whatever was known before.
        """
        if self._outsiders is None or anew:
            self._outsiders = await self._look(anew=anew)
        return self._outsiders

    async def _look(self, *, anew: bool) -> bool:
        if self.chat is None or not self.policy.opens(self.place):
            return True
        try:
            async with asyncio.timeout(MEMBERS_WITHIN):
                return await self.chat.outsiders(self.place, anew=anew)
        except TimeoutError:
            log.warning("members of a place not read in time", place=self.place.key)
            return True

    async def of(self, touched: Sequence[Touch] | None, person: Person) -> Audience:
        """Who sees an answer with this on it.

        Args:
            touched: Every resource of which it shows something; None where it is for the person alone.
            person: Whose request it answers.
        """
        return Only(person) if await self.private(touched) else Everyone()

    async def private(self, touched: Sequence[Touch] | None) -> bool:
        """Whether not everybody here may see an answer with this on it."""
        if touched is None:
            return True
        if self.place.visibility is Visibility.PERSONAL or not touched:
            return False
        return not self.policy.public(self.place, touched, outsiders=await self.outsiders())
