"""How the bot speaks by itself: a watch that is due is looked at as its owner would see it now, and says what is new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.audience import Shown
from bot.audit_entries import Decision
from bot.commands.watches.alerts import look_at_kpi
from bot.commands.watches.digests import tell
from bot.commands.watches.guards import look_after
from bot.commands.watches.runs import look_at_runs
from bot.contexts import Contexts
from bot.language.declare import CelonisIntent
from bot.language.parse import NotExact
from bot.masking import Recorded
from bot.model.cards import Answer, Card, Everyone, Only, Status, Text, headline
from bot.model.errors import NotAllowed, StoreUnavailable, Undelivered, Unreachable
from bot.model.intents import Intent
from bot.model.names import Name
from bot.model.people import Clicked, MessageRef, Person, Place, Request, Standing
from bot.policy import Right, Touch
from bot.render.values import dated
from bot.store.watches import Watch
from bot.visit import Parts, Show, Visit, entry
from bot.watching.loop import Held, Looked
from bot.watching.orders import Digest, GuardJob, GuardPool, WatchJob, WatchKpi, WatchPool
from bot.watching.quiet import quiet_until
from bot.writes.guarded import touches

log = structlog.get_logger()

Answers = Callable[[Request, Show], Awaitable[None]]
"""See `bot.dispatch.Bot.answer`."""


class Speaking:
    """Looks at watches.

    Args:
        parts: What the bot is made of.
        contexts: What is looked with.
        parse: The intent of an exact sentence.
        answer: Answers a sentence as if somebody had typed it.
        attach: Notes the message of a question.
    """

    def __init__(
        self,
        parts: Parts,
        contexts: Contexts,
        parse: Callable[[str], Intent],
        answer: Answers,
        attach: Callable[[str, MessageRef], Awaitable[None]],
    ) -> None:
        self._parts = parts
        self._contexts = contexts
        self._parse = parse
        self._answer = answer
        self._attach = attach

    async def look(self, watch: Watch, held: Held) -> Looked:
        """See `bot.watching.loop.Look`: with the rights that its owner has now."""
        try:
            order = self._parse(watch.sentence)
        except NotExact:
            return await self._over(watch, "this version of the bot does not know it")
        request = Request(
            id=f"{watch.id}-{self._parts.ids()}",
            said=Clicked(sentence=watch.sentence),
            person=watch.owner,
            place=watch.place,
            watch=watch.id,
        )
        try:
            visit = await (await self._parts.visit(request, _nowhere)).anew()
            if visit.asker.profile.standing is Standing.UNKNOWN:
                raise Unreachable("Its owner cannot be looked up now.")
            right = Right.CANCEL if isinstance(order, GuardJob | GuardPool) else Right.READ
            decision = visit.allowed(right, _about(order, watch))
            connection = visit.connection(order.via if isinstance(order, CelonisIntent) else None)
        except NotAllowed as error:
            await self._note(request, "refused", order, rule=error.rule, connection=watch.connection)
            return await self._over(watch, "whoever set it may not see it here any more")
        now = self._parts.clock.now()
        quiet = quiet_until(self._parts.watching.quiet, now, watch.zone)
        if quiet is not None and isinstance(order, WatchKpi | Digest):
            return Looked(watch.state, quiet)
        outlet = _Outlet(self._parts, self._answer, self._attach, watch, visit, held)
        if isinstance(order, GuardJob | GuardPool):
            context = self._contexts.guarded(visit, connection, private=False)
        else:
            context = self._contexts.of(visit, connection)
        context = replace(context, reader=dated(context.reader._replace(zone=watch.zone), context.now))
        match order:
            case WatchJob() | WatchPool():
                looked = await look_at_runs(watch, order, context, outlet, quiet=quiet is not None)
            case GuardJob() | GuardPool():
                looked = await look_after(watch, order, context, outlet)
            case WatchKpi():
                looked = await look_at_kpi(watch, order, context, outlet)
            case Digest():
                looked = await tell(watch, order, context, outlet)
            case _:
                return await self._over(watch, "it is none")
        if outlet.posted:
            await self._note(request, "read", order, rule=decision.rule, connection=connection)
        return replace(looked, spoke=outlet.posted > 0, unheard=outlet.unheard)

    async def escalate(self, watch: Watch, why: str) -> None:
        """Tells those on duty, and the admins, that a watch cannot speak where it should; not what it would say."""
        sign = f"{watch.id} cannot be delivered where it should speak"
        card = Card(headline(sign), blocks=(Text(why),))
        answer = Answer(self._parts.marked(card), Everyone(), self._parts.today())
        for person in self._parts.on_duty(self._pool(watch)):
            try:
                await _direct(self._parts, person, answer)
            except Undelivered as error:
                log.warning("watch not escalated", watch=watch.id, error=error.sentence)
        await self._parts.admins.tell(sign, why)

    def _pool(self, watch: Watch) -> str:
        try:
            pool = getattr(self._parse(watch.sentence), "pool", None)
        except NotExact:
            return ""
        return pool.text if isinstance(pool, Name) else ""

    async def _over(self, watch: Watch, why: str) -> Looked:
        """Says once that a watch has ended, and nothing of what it was about."""
        card = Card(headline(f"{watch.id} has ended: {why}"), blocks=(Text("Set it again if it is needed."),))
        answer = Answer(self._parts.marked(card), Everyone(), self._parts.today())
        try:
            await self._parts.chats[watch.place.platform].post(watch.place, answer)
        except Undelivered as error:
            log.warning("end of a watch not told", watch=watch.id, error=error.sentence)
        return Looked(watch.state, None)

    async def _note(
        self, request: Request, decision: Decision, order: Intent, *, rule: str, connection: str
    ) -> None:
        row = entry(
            request,
            decision,
            Recorded.of(order, ()),
            rule=rule,
            connection=connection,
        )
        try:
            await self._parts.audit.write(row)
        except StoreUnavailable:
            log.warning("audit row lost", request=request.id)


@dataclass(slots=True)
class _Outlet:
    """See `bot.watching.outlet.Outlet`."""

    parts: Parts
    answer: Answers
    attach: Callable[[str, MessageRef], Awaitable[None]]
    watch: Watch
    visit: Visit
    held: Held
    posted: int = 0
    unheard: str = ""

    async def keep(self, state: str) -> None:
        await self.held.keep(state)

    async def post(self, shown: Shown, *, duty: str = "") -> MessageRef:
        private = await self.visit.audience.private(shown.touches)
        reader = dated(self.parts.reader._replace(zone=self.watch.zone), self.parts.clock.now())
        mention = self._called(shown.mention, duty)
        answer = Answer(self.parts.marked(shown.card), Everyone(), reader, editable=True, mention=mention)
        return await self._send(answer, private=private)

    def _called(self, people: tuple[Person, ...], duty: str) -> tuple[Person, ...]:
        """People and those on duty, each once."""
        on_duty = self.parts.on_duty(duty) if duty else ()
        return tuple({each.key: each for each in (*on_duty, *people)}.values())

    async def update(self, ref: MessageRef, shown: Shown) -> None:
        if await self.parts.audience(ref.place).private(shown.touches):
            return
        reader = dated(self.parts.reader._replace(zone=self.watch.zone), self.parts.clock.now())
        answer = Answer(self.parts.marked(shown.card), Everyone(), reader, editable=True)
        try:
            await self.parts.chats[ref.platform].update(ref, answer)
        except Undelivered as error:
            log.warning("message of a watch not changed", watch=self.watch.id, error=error.sentence)

    async def ask(
        self, sentence: str, *, until: datetime | None = None, duty: str = "", again: bool = False
    ) -> bool:
        request = Request(
            id=f"{self.watch.id}-{self.parts.ids()}",
            said=Clicked(sentence=sentence),
            person=self.watch.owner,
            place=self.watch.place,
            watch=self.watch.id,
            open_until=until,
        )
        failed: list[Undelivered] = []
        answered = False

        async def show(answer: Answer) -> None:
            nonlocal answered
            if answer.working:
                return
            if answer.card.status is not Status.FAILED:
                answered = True
            elif again:
                return
            if answer.ticket:
                answer = replace(answer, mention=self._called((self.watch.owner,), duty))
            try:
                ref = await self._send(answer, private=isinstance(answer.audience, Only))
            except Undelivered as error:
                failed.append(error)
                return
            if answer.ticket:
                await self.attach(answer.ticket, ref)

        await self.answer(request, show)
        if failed:
            raise failed[0]
        return answered

    async def _send(self, answer: Answer, *, private: bool) -> MessageRef:
        """Posts where the watch speaks; where that cannot be reached, to its owner."""
        answer = replace(answer, audience=Everyone())
        await self.held.take()
        if private:
            ref = await _direct(self.parts, self.watch.owner, answer)
        else:
            try:
                ref = await self.parts.chats[self.watch.place.platform].post(self.watch.place, answer)
            except Undelivered as error:
                self.unheard = error.sentence
                return await _direct(self.parts, self.watch.owner, answer)
        self.posted += 1
        return ref


def _about(order: Intent, watch: Watch) -> tuple[Touch, ...]:
    """What a watch shows something of."""
    if isinstance(order, CelonisIntent):
        order = replace(order, via=Name(watch.connection, watch.connection))
    return touches(order)


async def _direct(parts: Parts, person: Person, answer: Answer) -> MessageRef:
    """Posts to somebody alone.

    Raises:
        Undelivered: They cannot be reached.
    """
    chat = parts.chats.get(person.platform)
    place: Place | None = await chat.direct(person) if chat is not None else None
    if chat is None or place is None:
        raise Undelivered("There is no direct message with them.")
    return await chat.post(place, answer)


async def _nowhere(_: Answer) -> None:
    """What a watch says goes through its outlet."""
