"""Questions before a write: asking, judging who answers, and telling every message of one how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from cachetools import TTLCache

from bot.audience import Shown
from bot.audit_entries import Decision
from bot.language.parse import NotExact
from bot.language.say import say
from bot.masking import Recorded
from bot.model.cards import Answer, Card, Everyone, Reader, Status
from bot.model.errors import BotError, NotAllowed, StoreUnavailable, TicketGone
from bot.model.intents import Intent
from bot.model.people import MessageRef, Person, Place, Request, Visibility
from bot.policy import Asker, Touch
from bot.render.values import when
from bot.store.switches import writes_off
from bot.store.tickets import Outcome, State, Ticket
from bot.visit import Parts, Visit, entry
from bot.writes.cards import bare_end, bare_question, name_of, past, whole_question
from bot.writes.guarded import AnyGuarded, ContextOf, Write, called_now
from bot.writes.ticket import Tickets

log = structlog.get_logger()

REFUSALS_KEPT = 3600.0
_QUESTIONS = 10_000


class Questions:
    """The open questions of a bot.

    Args:
        parts: What the bot is made of.
        tickets: The questions' lives.
        commands: Those that need a question.
        parse: The intent of an exact sentence.
        context: What a command works with.
    """

    def __init__(
        self,
        parts: Parts,
        tickets: Tickets,
        commands: Sequence[AnyGuarded],
        parse: Callable[[str], Intent],
        context: ContextOf,
    ) -> None:
        self._parts = parts
        self._tickets = tickets
        self._commands: Mapping[str, AnyGuarded] = {each.intent.words: each for each in commands}
        self._parse = parse
        self._context = context
        self._refusals: TTLCache[str, dict[Person, int]] = TTLCache(
            _QUESTIONS, REFUSALS_KEPT, timer=parts.clock.monotonic
        )

    # --- asking ---

    async def ask(self, command: AnyGuarded, intent: Intent, visit: Visit) -> Card | None:
        """Asks. The rights are those of this moment, and judged on the names that Celonis gives now.

        Returns:
            What was shown where there is nothing to ask, or something to choose first.

        Raises:
            NotAllowed: They are not enough.
        """
        right = command.right_for(intent)
        connection = visit.connection(getattr(intent, "via", None))
        visit = await visit.anew()
        visit.allowed(right)
        await self.check_writable(connection, visit.reader(private=True)[0])
        context = self._context(visit, connection, False)
        target = await command.ask(intent, context)
        touched = target.touches or () if isinstance(target, Shown) else command.hits(target)
        decision = visit.allowed(right, touched)
        intent = called_now(intent, touched)
        if isinstance(target, Shown):
            await visit.show(replace(target, card=replace(target.card, sentence=visit.said(intent))))
            return target.card
        due = self._parts.policy.second_person(touched)
        ticket = await self._tickets.open(
            command=command.intent.words,
            sentence=say(intent),
            target=target,
            connection=connection,
            asker=signed(visit.asker),
            place=visit.place,
            expires_in=self._open_for(visit.request)
            + timedelta(minutes=due.break_glass_minutes if due else 0),
        )
        await self.note(Write(ticket, command, intent, visit), "asked", rule=decision.rule)

        def question(reader: Reader) -> Card:
            asked = command.question(target, replace(context, reader=reader))
            return whole_question(asked, ticket, reader, due)

        private = await visit.audience.private(touched)
        if private:
            # Where others must not see what it is about, the place sees that there is a question; who asked sees all.
            bare = bare_question(command.plainly, ticket, visit.reader(private=False)[0])
            await visit.show(Shown(bare, (), editable=True, ticket=ticket.id))
            await self._ask_elsewhere(decision.questions, ticket, touched, question)
        whole = question(visit.reader(private=private)[0])
        await visit.show(Shown(whole, touched, editable=True, ticket=ticket.id))
        return None

    def _open_for(self, request: Request) -> timedelta:
        """How long a question can be answered."""
        if request.open_until is None:
            return self._parts.open_for
        return max(request.open_until - self._parts.clock.now(), timedelta(minutes=1))

    async def _ask_elsewhere(
        self, key: str, ticket: Ticket, touched: Sequence[Touch], question: Callable[[Reader], Card]
    ) -> None:
        """Puts a question where the rule that allows it wants such questions, if that place may see it."""
        platform, _, rest = key.partition(":")
        home, _, name = rest.partition(":")
        place = Place(platform, home, name, Visibility.CHANNEL)
        chat = self._parts.chats.get(platform)
        if chat is None or await self._parts.audience(place).private(touched):
            return
        reader = await self._parts.reader_in(place)
        answer = Answer(self._parts.marked(question(reader)), Everyone(), reader, editable=True)
        try:
            await self._tickets.attach(ticket.id, await chat.post(place, answer))
        except BotError as error:
            log.warning("question not posted", ticket=ticket.id, place=key, error=error.sentence)

    async def show(self, ticket_id: str, visit: Visit) -> None:
        """Shows a question in full, to somebody who may answer it.

        Raises:
            NotAllowed, TicketGone: They may not, or there is none.
        """
        write = await self.load(ticket_id, await visit.anew())
        await self.judge(write)
        ticket = write.ticket
        if ticket.state is State.OPEN and ticket.expires_at <= self._parts.clock.now():
            ticket = replace(ticket, state=State.EXPIRED)
        if ticket.state is not State.OPEN:
            await visit.show(replace(past(replace(write, ticket=ticket)), replaces=False))
            return
        card = self.whole(write, private=await visit.audience.private(write.hits))
        await visit.show(Shown(card, write.hits, editable=True, replaces=False, ticket=ticket.id))

    def whole(self, write: Write, *, private: bool) -> Card:
        """An open question again, as it was read when it was asked."""
        ticket = write.ticket
        context = self._context(write.visit, ticket.connection, private)
        due = self._parts.policy.second_person(write.hits)
        asked = write.command.question(write.target, context)
        card = whole_question(asked, ticket, context.reader, due)
        assert card.source is not None
        return replace(card, source=replace(card.source, fetched_at=ticket.created_at))

    async def newest(self, visit: Visit) -> Ticket | None:
        """This person's newest open question here."""
        opened = await self._tickets.open_in(visit.place.key)
        return next((each for each in reversed(opened) if each.asker.key == visit.person.key), None)

    async def take_back(self, asked: Ticket, visit: Visit) -> None:
        """Ends a question whose sentence is asked anew: words never confirm."""
        if await self._tickets.dismiss(asked.id, visit.person):
            write = self.about(asked, visit)
            await self.note(write, "dismissed")
            card = Card("Nothing was done; asked again below", title=write.title)
            await self.ended(write, Shown(card, write.hits, editable=True))

    # --- answering ---

    async def load(self, ticket_id: str, visit: Visit) -> Write:
        """The question behind a button, if it belongs to this place.

        Raises:
            TicketGone: It does not, or never did.
        """
        ticket = await self._tickets.load(ticket_id)
        if (
            ticket is None
            or visit.place.key not in {ticket.place.key, *(each.place.key for each in ticket.messages)}
            or ticket.connection not in self._parts.policy.connections(visit.place)
        ):
            raise TicketGone(
                "I do not know this question (any more), so nothing was done.", hint="Ask again."
            )
        return self.about(ticket, visit)

    def about(self, ticket: Ticket, visit: Visit) -> Write:
        """A ticket with what it is about.

        Raises:
            TicketGone: This version, or these settings, know no such question.
        """
        command = self._commands.get(ticket.command)
        old = TicketGone("This question is from an older version of the bot.", hint="Ask again.")
        if command is None:
            raise old
        try:
            return Write(ticket, command, self._parse(ticket.sentence), visit)
        except NotExact:
            raise old from None

    async def judge(self, write: Write) -> None:
        """Asks the policy again, about the person who clicked.

        Raises:
            NotAllowed: It says no; the question stays open.
        """
        visit, ticket = write.visit, write.ticket
        right = write.command.right_for(write.intent)
        decision = self._parts.policy.may_all(visit.asker, right, write.hits)
        if not decision.allowed:
            refused = self._refusals.setdefault(ticket.id, {})
            refused[visit.person] = refused.get(visit.person, 0) + 1
            if refused[visit.person] == 1:
                await self.note(write, "refused", rule=decision.rule)
            raise NotAllowed(
                decision.sentence, hint=f"The question stays open for those who may. {decision.hint}".strip()
            )

    async def check_writable(self, connection: str, reader: Reader) -> None:
        """Whether anything may be changed now: in this connection, and at all, as the database says at this moment.

        Args:
            connection: Its name.
            reader: For whom a refusal is written.

        Raises:
            NotAllowed: It may not.
            StoreUnavailable: Nobody knows, so it may not.
        """
        if self._parts.celonis[connection].connection.read_only:
            raise NotAllowed(
                f"The connection {connection} is set to read only.",
                hint="An admin of the bot can change that.",
                rule="read only",
            )
        off = await writes_off(self._parts.store)
        if off is not None:
            raise NotAllowed(
                f"Nothing is changed in Celonis for now: {name_of(off.by)} said “writes off” at {when(off.at, reader)}.",
                hint="An admin of the bot can say “writes on”.",
                rule="writes off",
            )

    async def note(
        self, write: Write, decision: Decision, *, rule: str = "", outcome: str = "", by: Person | None = None
    ) -> None:
        """Writes a row of the audit log. `by` is somebody else than who asks or clicks now.

        Raises:
            StoreUnavailable: It is not in the log.
        """
        request = write.visit.request
        await self._parts.audit.write(
            entry(
                request if by is None else replace(request, person=by),
                decision,
                Recorded.of(write.intent, write.command.touches(write.intent)),
                right=write.command.right_for(write.intent),
                rule=rule,
                ticket=write.ticket.id,
                outcome=outcome,
                connection=write.ticket.connection,
            )
        )

    # --- the end ---

    async def ended(
        self, write: Write, last: Shown, *, shown: bool = False, outcome: Outcome | None = None
    ) -> None:
        """What is due when a question has come to its end: every message that shows it gets the end it may show.

        Args:
            write: The question.
            last: Its end in full.
            shown: Whether the answer to the request that ended it changes the message that was clicked.
            outcome: How it ended, where that is not written down yet.
        """
        await self._close_refusals(write)
        await self.spread(write, last, shown=shown, outcome=outcome)

    async def spread(self, write: Write, said: Shown, *, shown: bool, outcome: Outcome | None = None) -> None:
        """Changes every message of a question. The arguments are those of `ended`."""
        visit, ticket = write.visit, write.ticket
        clicked = visit.request.message
        if not shown or await visit.audience.private(said.touches):
            clicked = None
        try:
            ticket = await self._tickets.load(ticket.id) or ticket
        except StoreUnavailable:
            log.warning("messages of a question not read", ticket=ticket.id)
        if outcome is not None:
            ticket = replace(ticket, outcome=outcome)
        await self.tell(ticket, said, await visit.reader_of(said), but=clicked)

    async def _close_refusals(self, write: Write) -> None:
        """One row for all refusals of a person after their first, so that nobody fills the log with clicks."""
        for person, count in self._refusals.pop(write.ticket.id, {}).items():
            if count == 1:
                continue
            try:
                await self.note(write, "refused", outcome=f"refused {count - 1} more times", by=person)
            except StoreUnavailable:
                log.warning("audit row lost", request=write.visit.request.id, ticket=write.ticket.id)

    async def tell(
        self, ticket: Ticket, said: Shown, reader: Reader, *, but: MessageRef | None = None
    ) -> None:
        """Changes the messages of a question, each into what its readers may see; all but one that shows it already.

        Args:
            ticket: The question.
            said: What to show.
            reader: For whom it was written; a copy of it elsewhere keeps that zone, which stands at every time.
            but: The message that shows it already.
        """
        rest = [each for each in ticket.messages if but is None or each.handle != but.handle]
        private = await self._private_places(ticket) if rest else {}
        for ref in rest:
            of, alone, card = reader, private.get(ref.place.key), said.card
            personal = ref.place.visibility is Visibility.PERSONAL
            mention = (alone,) if said.mention and alone else said.mention
            if alone is None and (personal or await self._parts.audience(ref.place).private(said.touches)):
                if card.status in {Status.WORKING, Status.QUESTION}:
                    continue
                of, mention = await self._parts.reader_in(ref.place), ()
                card = bare_end(self._plainly(ticket), ticket, self._parts.clock.now(), of)
            answer = Answer(self._parts.marked(card), Everyone(), of, editable=True, mention=mention)
            try:
                await self._parts.chats[ref.place.platform].update(ref, answer)
            except BotError as error:
                log.warning("outcome not delivered", ticket=ticket.id, error=error.sentence)

    def _plainly(self, ticket: Ticket) -> str:
        command = self._commands.get(ticket.command)
        return command.plainly if command is not None else "do something"

    async def _private_places(self, ticket: Ticket) -> dict[str, Person]:
        """Where who asked and who answered are alone with the bot."""
        found: dict[str, Person] = {}
        for person in (ticket.claimed_by, ticket.asker):
            chat = self._parts.chats.get(person.platform) if person else None
            if person is None or chat is None:
                continue
            try:
                direct = await chat.direct(person)
            except BotError:
                continue
            if direct is not None:
                found[direct.key] = person
        if ticket.place.visibility is Visibility.PERSONAL:
            found[ticket.place.key] = ticket.asker
        return found


def signed(asker: Asker) -> Person:
    """The person under the name that they have on the platform."""
    return replace(asker.person, name=asker.profile.name or asker.person.name)
