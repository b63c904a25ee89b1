"""Telling people of the writes on the data pools that they look after."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence

import structlog

from bot.audience import Shown
from bot.model.cards import Answer, Card, Everyone
from bot.model.errors import BotError
from bot.model.people import Person, Place, Visibility
from bot.policy import Right, Touch
from bot.policy_rules import Patterns
from bot.store.tickets import Ticket
from bot.visit import Parts
from bot.writes.cards import bare_end

log = structlog.get_logger()

_PERSON = re.compile(r"slack:[^:]+:[UW].*|teams:[^:]+:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Notices:
    """Tells of writes, beside the work: what cannot be delivered is logged and holds nothing up.

    Args:
        parts: What the bot is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pools = [(Patterns((pattern,)), told) for pattern, told in parts.notify.items()]
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, ticket: Ticket, last: Shown, plainly: str) -> None:
        """Tells everybody who is to know how a write ended.

        Args:
            ticket: The question.
            last: Its end in full.
            plainly: What was asked for, for those who must not know on what.
        """
        for address in self._for(last.touches or ()):
            task = asyncio.create_task(self._delivered(address, ticket, last, plainly))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def _for(self, touches: Sequence[Touch]) -> Iterable[str]:
        pools = [each.pool for each in touches if each.pool is not None]
        found = (told for pattern, told in self._pools if any(map(pattern.match, pools)))
        return dict.fromkeys(address for told in found for address in told)

    async def _delivered(self, address: str, ticket: Ticket, last: Shown, plainly: str) -> None:
        try:
            await self._deliver(address, ticket, last, plainly)
        except BotError as error:
            log.warning("notice of a write not delivered", to=address, ticket=ticket.id, error=error.sentence)
        except Exception:
            log.exception("notice of a write not delivered", to=address, ticket=ticket.id)

    async def _deliver(self, address: str, ticket: Ticket, last: Shown, plainly: str) -> None:
        platform, home, name = address.split(":", 2)
        chat = self._parts.chats.get(platform)
        if chat is None:
            log.warning("notice of a write not delivered", to=address, error=f"{platform} does not run here")
            return
        if _PERSON.fullmatch(address):
            person = Person(platform, home, name)
            place = await chat.direct(person)
            if place is None:
                log.warning("notice of a write not delivered", to=address, error="no direct chat")
                return
            private = not await self._sees(person, place, last.touches or ())
        else:
            place = Place(platform, home, name, Visibility.CHANNEL)
            private = await self._parts.audience(place).private(last.touches)
        if any(each.place.key == place.key for each in ticket.messages):
            return  # the question itself stands there, and shows its end
        reader = await self._parts.reader_in(place)
        card: Card = bare_end(plainly, ticket, self._parts.clock.now(), reader) if private else last.card
        await chat.post(place, Answer(self._parts.marked(card), Everyone(), reader))

    async def _sees(self, person: Person, place: Place, touches: tuple[Touch, ...]) -> bool:
        asker = await self._parts.asker(person, place, anew=True)
        return self._parts.policy.may_all(asker, Right.READ, touches).allowed
