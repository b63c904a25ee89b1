"""From the click on a question to its outcome: who clicked, one last look, the one call, and looking until it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import structlog

from bot.audience import Shown
from bot.explain import Unexpected, undone
from bot.masking import mask
from bot.model.cards import Button, Card, Run, Status, Text, headline
from bot.model.clock import Clock
from bot.model.errors import (
    ApprovalSpent,
    BotError,
    CelonisError,
    NotAllowed,
    OutcomeUnknown,
    QuotaExhausted,
    StoreUnavailable,
    TicketGone,
    UsageError,
)
from bot.model.people import Confirmed
from bot.policy import Touch
from bot.render.card_text import error_text
from bot.store.tickets import Outcome, State, Ticket
from bot.visit import Visit
from bot.writes.cards import NOT_DONE, last_card, name_of, past
from bot.writes.guarded import ContextOf, Ended, TakenOver, Write
from bot.writes.notices import Notices
from bot.writes.question import Questions, signed
from bot.writes.ticket import Claimed, Tickets
from bot.writes.two_people import TwoPeople

log = structlog.get_logger()

KEEP_EVERY = 20.0
"""Seconds between renewals of a ticket's lease while work on it goes on."""


@dataclass(frozen=True, slots=True)
class _Last:
    """How a write ended; without an outcome somebody else says so.

    Attributes:
        shown: What is shown of it.
        outcome: How it ended.
        note: One line more for whoever clicks later; the headline where there is none.
    """

    shown: Shown
    outcome: Outcome | None = None
    note: str = ""


class Writes:
    """Carries out what was confirmed.

    Args:
        questions: What is asked, and told.
        tickets: The questions' lives.
        two_people: Whose yes counts, where two are needed.
        notices: Told of what was done.
        clock: For waiting.
        context: What a command works with.
    """

    def __init__(
        self,
        questions: Questions,
        tickets: Tickets,
        two_people: TwoPeople,
        notices: Notices,
        clock: Clock,
        context: ContextOf,
    ) -> None:
        self._questions = questions
        self._notices = notices
        self._tickets = tickets
        self._clock = clock
        self._context = context
        self._two = two_people

    # --- clicks ---

    async def confirm(self, ticket_id: str, visit: Visit) -> None:
        """A click on yes.

        Raises:
            NotAllowed, TicketGone: Nothing was done, and the question stays as it is.
        """
        write = await self._questions.load(ticket_id, visit)
        await self._questions.judge(write)
        await self._questions.check_writable(write.ticket.connection, visit.reader(private=True)[0])
        first = None
        if write.ticket.state is State.OPEN and self._two.needed(write):
            first = await self._two.first_of(write)
            if first is None:
                return  # somebody else has to say yes, too
        await self._go_on(write, first)

    async def alone(self, text: str, visit: Visit) -> None:
        """The first of two goes on without the second: see `TwoPeople.alone`."""
        await self._go_on(*await self._two.alone(text, visit))

    async def _go_on(self, write: Write, first: Confirmed | None) -> None:
        visit = write.visit
        claim = await self._tickets.claim(write.ticket.id, signed(visit.asker), first)
        if not isinstance(claim, Claimed):
            await self._late(replace(write, ticket=claim.ticket or write.ticket))
            return
        write = replace(write, ticket=claim.ticket)
        await self._questions.note(write, "confirmed")
        async with self.keeping(claim.ticket) as lost:
            looking = Card(headline(f"Looking once more before: {write.title}"), status=Status.WORKING)
            await visit.show(Shown(looking, write.hits, editable=True))
            last = await self._carry_out(claim, write, lost)
            if last.outcome is not None:
                await self._questions.ended(write, last.shown, shown=True, outcome=last.outcome)
            await visit.show(last.shown)
            await self._write_down(write, last)

    async def dismiss(self, ticket_id: str, visit: Visit) -> None:
        """A click on no; whoever may do it may leave it, and so may who asked.

        Raises:
            NotAllowed, TicketGone: The question stays as it is.
        """
        write = await self._questions.load(ticket_id, visit)
        if write.ticket.asker.key != visit.person.key:
            await self._questions.judge(write)
        if not await self._tickets.dismiss(ticket_id, signed(visit.asker)):
            await self._late(replace(write, ticket=await self._tickets.load(ticket_id) or write.ticket))
            return
        await self._questions.note(write, "dismissed")
        card = Card(
            "Nothing was done",
            title=write.title,
            blocks=(Text(f"{name_of(signed(visit.asker))} said no."),),
            buttons=(Button("Ask again", Run(write.intent)),),
        )
        last = Shown(card, write.hits, editable=True)
        await self._questions.ended(write, last, shown=True)
        await visit.show(last)

    async def _late(self, write: Write) -> None:
        """A click on a question that is no longer open: what became of it, looked up where a crash cut it off."""
        over = write.ticket.state is State.EXPIRED
        if write.ticket.state in {State.CLAIMED, State.SENDING}:
            for left in await self._tickets.abandoned(write.ticket.id):
                write, over = replace(write, ticket=left), True
        show = write.visit.show
        await show(await self.settle(write, show) if over else past(write))

    async def settle(self, write: Write, show: Callable[[Shown], Awaitable[None]]) -> Shown:
        """Brings a question to its end that has run out, or that a crash left half done; its messages show it.

        What was claimed only was not sent. What was being sent is looked up, never sent again.

        Args:
            write: An expired question, or what `Tickets.abandoned` handed to this caller.
            show: Shows where it stands meanwhile.

        Returns:
            The end.
        """
        match write.ticket.state:
            case State.SENDING:
                async with self.keeping(write.ticket) as lost:
                    last = await self.watch(write, lost, show)
                    if last.outcome is not None:
                        await self._questions.ended(write, last.shown, shown=True, outcome=last.outcome)
                    await self._write_down(write, last)
                    return last.shown
            case State.ABANDONED:
                await self._questions.note(write, "abandoned", outcome=Outcome.NOTHING_SENT.value)
            case _:
                await self._questions.note(write, "expired")
        await self._questions.ended(write, past(write))
        return past(write)

    # --- behind the gate ---

    async def _carry_out(self, claim: Claimed, write: Write, lost: asyncio.Event) -> _Last:
        """The steps behind the gate, in the only order there is: look, note, send once, look until it is known."""
        command, ticket = write.command, claim.ticket
        context = self._context(write.visit, ticket.connection, False)
        try:
            approval = self._tickets.approve(claim, command.target)
            checked = await command.check(approval.target, context)
            await self._judge_names(write, command.hits(checked.target))
            if checked.over is None:
                await self._announce(write)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing was sent, and the card has to say so
            return await self._undone(error, write, Outcome.NOTHING_SENT)
        if checked.over is not None:
            last = last_card(checked.over.card, write, command.hits(checked.target))
            return _Last(last, checked.over.outcome)
        taken = False
        try:
            await command.send(approval, context)
            taken = True
        except Exception as error:  # a call may have been sent: what became of it is looked up
            outcome = _without_effect(error)
            if outcome is not None:
                return await self._undone(error, write, outcome)
            log.warning(
                "write without an answer",
                request=write.visit.request.id,
                ticket=ticket.id,
                exc_info=not isinstance(error, OutcomeUnknown),
            )
        return await self.watch(write, lost, write.visit.show, target=checked.target, taken=taken)

    async def _judge_names(self, write: Write, hits: tuple[Touch, ...]) -> None:
        """Asks the policy about the names that the target has now, whatever it was called when it was asked about.

        Raises:
            NotAllowed: No rule allows it under those names.
        """
        try:
            write.visit.allowed(write.command.right_for(write.intent), hits)
        except NotAllowed as error:
            await self._questions.note(write, "refused", rule=error.rule)
            raise NotAllowed(
                "What the question was about is called something else by now, and you may not do that to it "
                "under its new name.",
                hint=error.hint,
            ) from error

    async def _announce(self, write: Write) -> None:
        """Writes down that the call is about to go out, the audit row first: what is not in the log is not sent.

        Raises:
            NotAllowed, TicketGone, StoreUnavailable: It must not be sent.
        """
        reader = write.visit.reader(private=True)[0]
        await self._questions.check_writable(write.ticket.connection, reader)
        await self._questions.note(write, "sending")
        if not await self._tickets.sending(write.ticket):
            await self._questions.note(write, "failed", outcome=Outcome.NOTHING_SENT.value)
            raise TicketGone(
                "This took so long that the question was given up meanwhile.",
                hint="Ask again.",
                undone="Nothing was sent.",
            )

    async def _undone(self, error: Exception, write: Write, outcome: Outcome) -> _Last:
        """The end of a write that never took effect."""
        visit = write.visit
        if not isinstance(error, BotError):
            log.error("unexpected", request=visit.request.id, exc_info=error)
            error = Unexpected(visit.request.id, undone="Nothing was sent.")
        reader = visit.reader(private=await visit.audience.private(write.hits))[0]
        told = await visit.parts.admins.failed(error, write.ticket.connection, mask(write.intent))
        card = replace(
            undone(error, write.title, reader, visit.request.id, told=told),
            buttons=(Button("Ask again", Run(write.intent)),),
        )
        last = last_card(card, write, write.hits)
        # Who clicks later reads the note on another day.
        note, _ = error_text(error, reader._replace(today=None))
        return _Last(last, outcome, note)

    async def watch(
        self,
        write: Write,
        lost: asyncio.Event,
        show: Callable[[Shown], Awaitable[None]],
        *,
        target: Any = None,
        taken: bool = False,
    ) -> _Last:
        """Looks until the outcome is known; also after a crash, since looking changes nothing.

        Args:
            write: What was confirmed.
            lost: Set where somebody else has taken it over.
            show: Shows where it stands.
            target: What was confirmed, under the names that it has now.
            taken: Whether Celonis has taken the call; else nobody knows whether it arrived.

        Returns:
            The end.
        """
        target, visit, ticket = target or write.target, write.visit, write.ticket
        hits, by = write.command.hits(target), name_of(ticket.claimed_by or visit.person)
        context = self._context(visit, ticket.connection, await visit.audience.private(hits))

        async def progress(card: Card) -> None:
            if lost.is_set():
                raise TakenOver
            await show(Shown(card, hits, editable=True))

        ended: Ended | None = None
        try:
            ended = await write.command.follow(target, context, taken=taken, by=by, progress=progress)
        except TakenOver:
            log.info("taken over", ticket=ticket.id)
        if ended is not None and not lost.is_set():
            return _Last(last_card(ended.card, write, hits), ended.outcome)
        # Another copy of the program has it, and tells the end in the message; here it is only said beside.
        now = replace(write, ticket=await self._tickets.load(ticket.id) or ticket)
        return _Last(replace(past(now), touches=hits))

    async def _write_down(self, write: Write, last: _Last) -> None:
        """Writes down how a write ended, once every message shows it: whoever dies between the two has the end looked up
        and shown once more, not never. A database that fails now hides nothing.
        """
        if last.outcome is None:
            return
        try:
            note = last.note or last.shown.card.headline
            if not await self._tickets.finish(write.ticket.id, last.outcome, note):
                return
            await self._questions.note(write, "done", outcome=last.outcome.value)
        except StoreUnavailable:
            log.exception(
                "outcome not kept",
                request=write.visit.request.id,
                ticket=write.ticket.id,
                outcome=last.outcome.value,
            )
        if last.outcome not in NOT_DONE:
            ticket = replace(write.ticket, outcome=last.outcome)
            self._notices.tell(ticket, last.shown, write.command.plainly)

    @asynccontextmanager
    async def keeping(self, ticket: Ticket) -> AsyncGenerator[asyncio.Event, None]:
        """Renews a ticket's lease while the work goes on; the event tells that somebody else has taken it over."""
        lost = asyncio.Event()

        async def keep() -> None:
            while not lost.is_set():
                await self._clock.sleep(KEEP_EVERY)
                try:
                    if not await self._tickets.keep(ticket):
                        lost.set()
                except StoreUnavailable:
                    log.warning("lease not renewed", ticket=ticket.id)

        keeper = asyncio.create_task(keep())
        try:
            yield lost
        finally:
            keeper.cancel()


def _without_effect(error: Exception) -> Outcome | None:
    """How a failed call ended, where it is certain that it changed nothing; else None."""
    match error:
        case OutcomeUnknown():
            return None
        case CelonisError(status=int(status)) if (
            HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return Outcome.REFUSED
        case CelonisError() | QuotaExhausted() | UsageError() | ApprovalSpent():
            return Outcome.NOTHING_SENT
        case _:
            return None
