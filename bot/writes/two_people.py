"""Where what is changed needs two people: told apart by their e-mail addresses, on whatever platform each of them is."""

from __future__ import annotations

from dataclasses import dataclass

from bot.audience import Shown
from bot.model.errors import BadArgument, NotAllowed, TicketGone
from bot.model.people import Confirmed
from bot.policy import Asker
from bot.render.values import when
from bot.store.tickets import State
from bot.visit import Parts, Visit
from bot.writes.cards import BREAK_GLASS, SHORT_ID, alone_from, name_of
from bot.writes.guarded import Write
from bot.writes.question import Questions, signed
from bot.writes.ticket import Tickets

SHORTEST_REASON = 10
"""Characters."""


@dataclass(frozen=True, slots=True)
class TwoPeople:
    """Decides whose yes counts as the first, and whose as the second.

    Attributes:
        parts: What the bot is made of.
        questions: Tells their messages.
        tickets: The questions' lives.
    """

    parts: Parts
    questions: Questions
    tickets: Tickets

    def needed(self, write: Write) -> bool:
        """Whether two people have to confirm it."""
        return self.parts.policy.second_person(write.hits) is not None

    async def first_of(self, write: Write) -> Confirmed | None:
        """Whose yes came before this one, and still counts; None where this one is the first, which is noted and told.

        Raises:
            NotAllowed: This person cannot be told from the first one, or is the same.
        """
        me = write.visit.asker
        mine = _address(me)
        if not mine:
            raise NotAllowed(
                "Two people have to confirm this, told apart by their e-mail addresses, and I cannot see yours.",
                hint="Somebody whose profile shows an address can confirm it.",
                rule="second person",
            )
        first = write.ticket.first
        theirs = await self._still_counts(first, write) if first is not None else ""
        if first is not None and theirs:
            if theirs == mine or first.by.key == me.person.key:
                raise NotAllowed(
                    "You have confirmed this already; a second person has to confirm it, too.",
                    hint="The question stays open for those who may.",
                    rule="second person",
                )
            return first
        ticket = await self.tickets.confirm_first(write.ticket, signed(me), write.visit.place)
        if ticket is None:
            found = await self.tickets.load(write.ticket.id)
            if found is not None and found.state is State.OPEN and found.first != first:
                return await self.first_of(self.questions.about(found, write.visit))
            raise TicketGone("The question ran out at this moment; nothing was done.", hint="Ask again.")
        await self._tell(self.questions.about(ticket, write.visit))
        return None

    async def _still_counts(self, first: Confirmed, write: Write) -> str:
        """The address of who confirmed first, looked up now; empty where they may not do it any more."""
        if first.by.platform not in self.parts.chats:
            return ""
        asker = await self.parts.asker(first.by, first.place, anew=True)
        right = write.command.right_for(write.intent)
        return _address(asker) if self.parts.policy.may_all(asker, right, write.hits).allowed else ""

    async def _tell(self, write: Write) -> None:
        await self.questions.note(write, "first")
        visit = write.visit
        shown = Shown(
            self.questions.whole(write, private=await visit.audience.private(write.hits)),
            write.hits,
            editable=True,
            ticket=write.ticket.id,
        )
        await self.questions.spread(write, shown, shown=True)
        await visit.show(shown)

    async def alone(self, text: str, visit: Visit) -> tuple[Write, Confirmed]:
        """What the first person said who goes on without a second one; it is on record, and the admins are told.

        Args:
            text: The beginning of a ticket's id, a colon, and why.
            visit: Who said so.

        Raises:
            NotAllowed, TicketGone, BadArgument: Nothing was done.
        """
        beginning, _, reason = text.partition(":")
        visit, reason = await visit.anew(), " ".join(reason.split())
        found = [
            each
            for each in await self.tickets.open_like(beginning.strip())
            if each.first is not None and each.first.by.key == visit.person.key
        ]
        if len(found) != 1 or (first := found[0].first) is None:
            raise TicketGone("I know no open question of that id that you have confirmed.", hint="Ask again.")
        write = await self.questions.load(found[0].id, visit)
        await self.questions.judge(write)
        await self.questions.check_writable(write.ticket.connection, visit.reader(private=True)[0])
        due = self.parts.policy.second_person(write.hits)
        from_then = alone_from(first, due) if due is not None else None
        if from_then is None:
            raise NotAllowed(
                "Here nobody goes on alone: a second person has to confirm it.", rule="second person"
            )
        if self.parts.clock.now() < from_then:
            at = when(from_then, visit.reader(private=True)[0])
            raise NotAllowed(
                f"A second person can still confirm it; you can go on alone from {at} on.",
                rule="second person",
            )
        if len(reason) < SHORTEST_REASON:
            raise BadArgument(
                "Say why it cannot wait, too.", hint=f"{BREAK_GLASS} {write.ticket.id[:SHORT_ID]}: <reason>"
            )
        await self.questions.note(write, "alone", outcome=reason)
        await self.parts.admins.tell(
            f"Break glass: {name_of(signed(visit.asker))} goes on without a second person: {write.title}",
            f"The reason given: {reason}",
        )
        return write, first


def _address(asker: Asker) -> str:
    return (asker.profile.email or "").strip().casefold()
