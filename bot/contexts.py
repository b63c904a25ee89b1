"""What a command works with: a connection as one person may use it in one request."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial

from bot.audience import Shown
from bot.catalog import Catalog, Lists
from bot.catalog.values import FieldValueLists
from bot.celonis import Api, Caller, Lane
from bot.commands.command import AnyCommand, Context
from bot.model.cards import Card
from bot.model.names import Name
from bot.model.people import Clicked
from bot.policy import Touch
from bot.visit import Parts, Visit

PATIENCE = 25.0
"""Seconds within which a read has to be answered; later a chat answer is worth nothing."""
WATCHES = "bot:watches"
"""Who asks for what nobody waits for."""
FOLLOWING = 35 * 60.0
"""Seconds a confirmed write may take, watching included."""


class Contexts:
    """Makes them.

    Args:
        parts: What the bot is made of.
        table: The commands.
    """

    def __init__(self, parts: Parts, table: Sequence[AnyCommand]) -> None:
        self._parts = parts
        self._table = tuple(table)
        self._lists = {name: Lists(name, parts.store, parts.policy) for name in parts.celonis}
        self._values = {name: FieldValueLists() for name in parts.celonis}

    def sight(self, visit: Visit, connection: str) -> Hashable:
        """What decides which names somebody can say, and what they see: the view, and which lists it is upon."""
        return self._parts.policy.view(visit.asker, connection), self._lists[connection].generation

    def of(self, visit: Visit, connection: str) -> Context:
        """What a command may use of a connection; one for each request."""
        known: Context | None = visit.contexts.get(connection)
        if known is None:
            known = visit.contexts[connection] = self._new(visit, connection)
        return known

    def _new(self, visit: Visit, connection: str) -> Context:
        parts = self._parts
        reader, zone_of = visit.reader(private=False)
        lane = Lane.BACKGROUND if visit.request.watch else Lane.PEOPLE
        asking = self.asking(visit, connection, lane)
        now = parts.clock.now()
        model = Touch(connection=Name(connection, connection), model=visit.model)
        celonis = parts.celonis[connection]
        return Context(
            asker=visit.asker,
            now=now,
            reader=reader,
            connection=connection,
            connections=visit.connections,
            asking=asking,
            celonis=celonis,
            catalog=Catalog(
                asking=asking,
                lists=self._lists[connection],
                view=parts.policy.view(visit.asker, connection),
                now=now,
                synonyms=parts.synonyms.get(connection, {}),
            ),
            values=self._values[connection],
            policy=parts.policy,
            store=parts.store,
            audit=parts.audit,
            clock=parts.clock,
            table=self._table,
            version=parts.version,
            model_default=visit.model if parts.policy.sees(visit.asker, model) else None,
            zone_of=zone_of,
            chat=parts.chats.get(visit.person.platform),
            working=partial(_show_working, visit),
            kpi_kinds=parts.kpi_kinds,
            watching=parts.watching,
            dates={
                **{model: each.date_field for model, each in celonis.connection.data_models.items()},
                **dict(visit.defaults.dates),
            },
        )

    def asking(
        self, visit: Visit, connection: str, lane: Lane = Lane.PEOPLE, patience: float = PATIENCE
    ) -> Api:
        """The client of a connection, for this request; an answer is wanted within so many seconds."""
        caller = Caller(
            # What one watch reads serves all that look at the same; it is nobody's share.
            person=WATCHES if lane is Lane.BACKGROUND else visit.person.key,
            place="" if lane is Lane.BACKGROUND else visit.place.key,
            lane=lane,
            deadline=self._parts.clock.monotonic() + patience,
            fresh=False,
            request=visit.request.id,
            usage=visit.usage(connection),
        )
        return self._parts.celonis[connection].on_behalf(caller)

    def guarded(self, visit: Visit, connection: str, private: bool) -> Context:  # noqa: FBT001 - see `ContextOf`
        """The same for one step of a write: nothing from the cache, and all the time that watching takes."""
        reader, zone_of = visit.reader(private=private)
        asking = self.asking(visit, connection, Lane.GUARDED, FOLLOWING)
        return replace(
            self.of(visit, connection),
            asker=visit.asker,
            now=self._parts.clock.now(),
            reader=reader,
            zone_of=zone_of,
            asking=asking.fresh(),
        )


async def _show_working(visit: Visit, card: Card) -> None:
    """Tells how far long work is, beside a card that was clicked."""
    beside = isinstance(visit.request.said, Clicked)
    await visit.show(Shown(card, replaces=not beside))
