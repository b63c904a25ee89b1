"""After a crash: questions that were left half done come to a true end, and nothing is ever sent a second time."""

from __future__ import annotations

import asyncio

import structlog

from bot.audience import Shown
from bot.model.cards import Answer, Card, Status
from bot.model.errors import BotError, StoreUnavailable, TicketGone
from bot.model.people import Clicked, Request
from bot.store.tickets import Outcome, State, Ticket
from bot.visit import Parts, Visit
from bot.writes.carry_out import Writes
from bot.writes.guarded import Write
from bot.writes.question import Questions
from bot.writes.ticket import Tickets

log = structlog.get_logger()


async def recover(parts: Parts, tickets: Tickets, questions: Questions, writes: Writes) -> int:
    """Brings questions that a crash left half done to a true end, and ends those that have run out in their messages.

    Args:
        parts: What the bot is made of.
        tickets: The questions' lives.
        questions: Tells their messages.
        writes: Looks how a call ended.

    Returns:
        How many a crash had left.
    """
    left = await tickets.abandoned()
    try:
        expired = await tickets.expire_due()
    except StoreUnavailable:
        expired = ()

    async def one(ticket: Ticket) -> None:
        """Brings one question to its end; whatever goes wrong with it does not hold up the others."""
        try:
            await _recover(ticket, parts, tickets, questions, writes)
        except BotError as error:
            log.warning("question not recovered", ticket=ticket.id, error=error.sentence)
        except Exception:
            log.exception("question not recovered", ticket=ticket.id)

    await asyncio.gather(*(one(each) for each in (*left, *expired)))
    return len(left)


async def _recover(
    ticket: Ticket, parts: Parts, tickets: Tickets, questions: Questions, writes: Writes
) -> None:
    write = await _taken_up(ticket, parts, questions)
    if write is None:
        log.error(
            "a question that this version, these settings and these secret keys do not know",
            ticket=ticket.id,
        )
        if ticket.state is State.SENDING:
            await tickets.finish(ticket.id, Outcome.UNKNOWN, "not known to this version")
            card = Card("UNKNOWN: what became of this. Look in Celonis", status=Status.FAILED)
            await questions.tell(ticket, Shown(card, ()), parts.today())
        return

    async def tell(said: Shown) -> None:
        await questions.tell(ticket, said, await write.visit.reader_of(said))

    await writes.settle(write, tell)


async def _taken_up(ticket: Ticket, parts: Parts, questions: Questions) -> Write | None:
    """A question that somebody else left, as if who answered it had clicked now; nothing is shown to them but in its
    messages. None where it is not known here.
    """
    person = ticket.claimed_by or ticket.asker
    if person.platform not in parts.chats or ticket.connection not in parts.celonis:
        return None
    request = Request(
        id=parts.ids(),
        said=Clicked(confirm=ticket.id),
        person=person,
        place=ticket.place,
    )
    visit = Visit(
        parts,
        request,
        await parts.asker(person, ticket.place),
        (ticket.connection,),
        await parts.defaults(ticket.place),
        parts.audience(ticket.place),
        _nowhere,
    )
    try:
        return questions.about(ticket, visit)
    except TicketGone:
        return None


async def _nowhere(_: Answer) -> None:
    """Whoever asked hears of it in the question's messages."""
