"""The answer to a question that only reads: judged and put on record, made once for all who would see the same."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from bot.audience import Shown
from bot.celonis import Reads
from bot.commands.command import Command, Context
from bot.commands.defaults import may_set_defaults
from bot.commands.help import Help
from bot.commands.share import Share, lasting, share_button
from bot.contexts import Contexts
from bot.conversation import Conversations, Pages
from bot.language.declare import CelonisIntent
from bot.language.scope import date_key
from bot.meaning import One
from bot.model.cards import Card, Notice, Status, Text, Tone, buttons
from bot.model.errors import CelonisError, QuotaExhausted, StoreUnavailable
from bot.model.intents import Intent
from bot.model.kept import Kept
from bot.model.names import Name
from bot.model.people import Visibility
from bot.policy import Right
from bot.visit import Parts, Visit, entry

MADE = 500
"""Answers that are shared by all who would see the same."""


class _Made(NamedTuple):
    """An answer before anybody sees it, and the sentences that go on from it."""

    shown: Shown
    pages: Pages
    reads: Reads | None


class Reading:
    """Answers what only reads.

    Args:
        parts: What the bot is made of.
        contexts: What a command works with.
        conversations: Learn what was answered.
    """

    def __init__(self, parts: Parts, contexts: Contexts, conversations: Conversations) -> None:
        self._parts = parts
        self._contexts = contexts
        self._conversations = conversations
        self._made: Kept[Hashable, _Made] = Kept(MADE)

    async def answer(self, command: Command[Any], meant: One, visit: Visit, *, fresh: bool) -> Shown:
        """What is shown for a meaning.

        Args:
            command: Answers it.
            meant: What was said.
            visit: Who asks, and where.
            fresh: Past the cache.

        Raises:
            BotError: There is no answer.
        """
        if getattr(meant.intent, "where", None) is not None:
            meant = await self._date_chosen(meant, visit)
        intent, touched = meant.intent, meant.touches
        connection = visit.connection(intent.via if isinstance(intent, CelonisIntent) else None)
        shares = command.right is Right.PUBLIC
        # What an answer shows can be less than its sentence names, and only that has to be public.
        decision = visit.allowed(command.right, () if shares else touched)
        if command.open_to is not None:
            decision = command.open_to(visit.asker, self._parts.policy)
            decision.require()
        durable = shares or command.changes or command.right is Right.EXPORT
        if shares:  # who reads along is not taken from before
            await visit.audience.outsiders(anew=True)
        if self._parts.audit_reads or durable:
            row = entry(
                visit.request,
                "changed" if command.changes else "read",
                meant.recorded,
                right=command.right,
                rule=decision.rule,
                connection=connection,
            )
            if durable:  # it is on record before it leaves, or is changed
                await self._parts.audit.write(row)
            else:
                self._parts.audit.write_soon(row)
        shown, pages, _ = await self._made_for(command, meant, visit, connection, fresh=fresh)
        private = await visit.audience.private(shown.touches)
        if shown.card.status is Status.ASKED:
            await self._conversations.offered(buttons(shown.card), visit.request)
        elif command.question:
            await self._conversations.remember(pages, visit.request, private=private)
        apart = visit.request.hidden and visit.place.visibility is not Visibility.PERSONAL
        if apart and not private and not shown.aloud:
            context = replace(self._contexts.of(visit, connection), reader=await visit.reader_of(shown))
            button = await share_button(intent, shown, context)
            if button is not None:
                card = replace(shown.card, buttons=(*shown.card.buttons, button))
                return replace(shown, card=card)
        return shown

    async def _date_chosen(self, meant: One, visit: Visit) -> One:
        """Keeps the date field that somebody chose because they were asked, for the place where they may set defaults."""
        field = await self._conversations.date_chosen(meant.intent, visit.request)
        if field is None or not may_set_defaults(visit.asker, self._parts.policy).allowed:
            return meant
        model, record = getattr(meant.intent, "model", None), getattr(meant.intent, "record", None)
        chosen_for = date_key(model.id if model else "", record.id if record else "")
        try:
            await self._parts.store.set_date_field(visit.place.key, chosen_for, field, visit.person)
        except StoreUnavailable:
            return meant
        return replace(meant, notes=(*meant.notes, f"From now on periods here are about {field.text}."))

    async def _made_for(
        self, command: Command[Any], meant: One, visit: Visit, connection: str, *, fresh: bool
    ) -> _Made:
        """An answer. One that was made of the same answers for the same view and reader is not made again."""
        steady = command.steady(meant.intent)
        reader, zone_of = visit.reader(private=await visit.audience.private(meant.touches))
        # To oneself alone, nothing is said otherwise than to anybody with the same view.
        personal = visit.place.visibility is Visibility.PERSONAL
        outsiders = None if personal else await visit.audience.outsiders()
        # A meaning belongs to a view: it is the same object only for those who see the same (see `Meanings.mean`).
        key = (meant, reader, visit.connections, "" if personal else visit.place.key, outsiders)
        kept = self._made.get(key) if steady and not fresh else None
        if kept is not None and kept.reads is not None:
            until = kept.shown.until
            lasts = until is None or self._parts.clock.now() < until
            if lasts and self._contexts.asking(visit, connection).again(kept.reads):
                return kept
        context = replace(self._contexts.of(visit, connection), reader=reader, zone_of=zone_of)
        if outsiders is not None:
            public = partial(self._parts.policy.public, visit.place, outsiders=outsiders)
            context = replace(context, public=public)
        if fresh:
            context = context.fresh()
        first = len(context.asking.reads)
        shown = await self._run(command, meant, visit, context)
        reads = context.asking.reads_since(first)
        made = _Made(shown, Pages.of(meant.intent, shown.card), reads)
        if steady and reads is not None:
            self._made[key] = made
        return made

    async def _run(self, command: Command[Any], meant: One, visit: Visit, context: Context) -> Shown:
        """What a command shows, with what there is to say of how it was understood."""
        intent = meant.intent
        if isinstance(intent, Share) and intent.of is not None:
            intent = replace(intent, of=await lasting(intent.of, context))
        said = await command.run(intent, context)
        shown = said if isinstance(said, Shown) else Shown(said, meant.touches)
        about = intent.of if isinstance(intent, Share) and intent.of is not None else intent
        card = self._parts.marked(await self._dated(shown.card, about, context))
        # Say it where a misspelt name was taken for one that exists.
        taken = [Text(f"I took “{typed}” for “{name}”.", quiet=True) for typed, name in meant.taken]
        notes = [Notice(Tone.WARNING, each) for each in meant.notes if Text(each) not in shown.card.blocks]
        sentence = "" if isinstance(about, Help) else visit.said(about)
        return replace(shown, card=replace(card, sentence=sentence, blocks=(*notes, *taken, *card.blocks)))

    async def _dated(self, card: Card, intent: Intent, context: Context) -> Card:
        """The card with the moment when Celonis loaded its data, where the settings name the data model."""
        model = getattr(intent, "model", None)
        known = context.celonis.connection.data_models
        if (
            card.source is None
            or not card.source.loaded
            or not isinstance(model, Name)
            or model.id not in known
        ):
            return card
        fed_by = known[model.id]
        try:
            load = await context.asking.loads(fed_by.pool, fed_by.data_model)
        except (CelonisError, QuotaExhausted):
            return card  # the answer stands; only its load time stays unknown
        return replace(card, source=replace(card.source, data_loaded_at=load.loaded_at))
