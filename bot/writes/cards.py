"""What people see of a write: the question, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from bot.audience import Shown
from bot.config import SecondPerson
from bot.language.declare import Phrase, clause
from bot.model.cards import Button, Card, Confirm, Dismiss, Notice, Reader, Run, Status, Text, Tone, headline
from bot.model.errors import TicketGone
from bot.model.intents import Intent
from bot.model.people import Confirmed, Person
from bot.policy import Touch
from bot.render.values import when
from bot.store.tickets import Outcome, State, Ticket
from bot.writes.guarded import Question, Write

NOT_DONE = frozenset({Outcome.NOTHING_SENT, Outcome.ALREADY_OVER, Outcome.REFUSED})


@dataclass(frozen=True, slots=True)
class ShowQuestion(Intent):
    """An open question, for somebody who may answer it, where the place may not see what it is about; nobody types it."""

    words: ClassVar[str] = "question"
    id: str = field(default="", metadata=clause("", Phrase()))


BREAK_GLASS = "break glass"
"""What the first of two people says who goes on alone: this, the beginning of the question's id, a colon, and why."""
SHORT_ID = 8
"""Characters of a ticket's id that people type."""


def name_of(person: Person) -> str:
    """What people call somebody."""
    return person.name or person.id


def alone_from(first: Confirmed, due: SecondPerson) -> datetime | None:
    """From when on who confirmed first may go on alone; None for never."""
    minutes = due.break_glass_minutes
    return first.at + timedelta(minutes=minutes) if minutes else None


def _two_people(ticket: Ticket, due: SecondPerson, reader: Reader) -> str:
    """What stands on a question that two people have to confirm."""
    first = ticket.first
    if first is None:
        return "Two people have to confirm this."
    text = f"Confirmed by {name_of(first.by)} at {when(first.at, reader)}, a second person must confirm."
    if (alone := alone_from(first, due)) is not None:
        text += (
            f" From {when(alone, reader)} on {name_of(first.by)} can go on alone: "
            f"{BREAK_GLASS} {ticket.id[:SHORT_ID]}: <why it cannot wait>"
        )
    return text


def whole_question(question: Question, ticket: Ticket, reader: Reader, due: SecondPerson | None) -> Card:
    """A question with its buttons, who asked and how long it is open; `due` where two people have to confirm it."""
    until, asker = when(ticket.expires_at, reader), name_of(ticket.asker)
    two = (Notice(Tone.WARNING, _two_people(ticket, due, reader)),) if due is not None else ()
    note = f"Asked by {asker}. Open until {until}. Only a button answers this; nothing has been done yet."
    return replace(
        question.card,
        headline=headline(f"{question.card.headline} · asked by {asker}"),
        blocks=(*question.card.blocks, *two, Text(note, quiet=True)),
        buttons=(
            Button(question.yes, Confirm(ticket.id), Tone.DANGER),
            Button(question.no, Dismiss(ticket.id)),
        ),
        status=Status.QUESTION,
    )


def bare_question(plainly: str, ticket: Ticket, reader: Reader) -> Card:
    """The same for a place that must not know what it is about."""
    until = when(ticket.expires_at, reader)
    note = f"Open until {until}. What it is about is shown to those who may do it."
    return Card(
        headline(f"{name_of(ticket.asker)} asks to {plainly}"),
        blocks=(Text(note, quiet=True),),
        buttons=(Button("Show me the question", Run(ShowQuestion(ticket.id))),),
        status=Status.QUESTION,
    )


def bare_end(plainly: str, ticket: Ticket, now: datetime, reader: Reader) -> Card:
    """How a question ended, for a place that must not know what it was about."""
    match ticket.outcome:
        case Outcome.STOPPED | Outcome.STARTED:
            verdict = "Carried out"
        case Outcome.UNKNOWN | Outcome.STILL_RUNNING | Outcome.ANOTHER_RUN | Outcome.FAILED:
            verdict = "Not known to be carried out"
        case _:
            verdict = "Came to nothing"
    by = f", by {name_of(ticket.claimed_by)}" if ticket.claimed_by else ""
    return Card(
        headline(f"{verdict}, {when(ticket.finished_at or now, reader)}{by}"),
        blocks=(Text(f"{name_of(ticket.asker)} asked to {plainly}.", quiet=True),),
    )


def last_card(card: Card, write: Write, hits: tuple[Touch, ...]) -> Shown:
    """The end of a write that was claimed, for everybody whose message shows it."""
    by = write.ticket.claimed_by or write.visit.person
    first = write.ticket.first
    before = f"confirmed by {name_of(first.by)} first, " if first and first.by.key != by.key else ""
    who = f"Asked by {name_of(write.ticket.asker)}, {before}answered by {name_of(by)}."
    card = replace(card, blocks=(*card.blocks, Text(who, quiet=True)))
    return Shown(card, hits, editable=True, mention=(by,))


def past(write: Write) -> Shown:
    """What became of a question that is no longer open.

    Raises:
        TicketGone: It is open still.
    """
    ticket = write.ticket

    def end(text: str, *, again: bool = True, over: bool = False, status: Status = Status.REFUSED) -> Shown:
        """What takes the question's place where it is `over`, else what is said beside it."""
        buttons = (Button("Ask again", Run(write.intent)),) if again else ()
        card = Card(headline(text), title=write.title, buttons=buttons, status=status)
        return Shown(card, write.hits, editable=over, replaces=over)

    match ticket.state:
        case State.EXPIRED:
            return end("The question has expired; nothing was done", over=True)
        case State.ABANDONED:
            return end(
                "Interrupted before anything was sent; nothing was done", over=True, status=Status.FAILED
            )
        case State.DISMISSED:
            return end("Already answered with no; nothing was done")
        case State.CLAIMED | State.SENDING:
            who = name_of(ticket.claimed_by) if ticket.claimed_by else "Somebody"
            return end(f"{who} has answered this; it is being done", again=False)
        case State.DONE:
            outcome = ticket.outcome or Outcome.UNKNOWN
            if outcome in NOT_DONE:
                return end(f"Already answered. {ticket.outcome_note or outcome.value}")
            return end(f"Already done once, not again: {outcome.value}")
        case State.OPEN:
            raise TicketGone("Somebody else answered at the same moment.", hint="Look at the message again.")
