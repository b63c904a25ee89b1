"""What a conversation goes on with: the last answer of a thread, or of a person in a place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import NamedTuple, assert_never

import structlog

from bot.commands.again import Back, Next, Recall, Refresh
from bot.language.say import say, with_typed
from bot.model.cards import Button, Card, Run, buttons
from bot.model.clock import Clock
from bot.model.errors import StoreUnavailable, TicketGone
from bot.model.intents import Intent
from bot.model.kept import Kept
from bot.model.names import Name
from bot.model.people import Person, Request, Visibility
from bot.store import Store

log = structlog.get_logger()

REMEMBERED = 10_000
"""Conversations whose last answer is remembered, for `next`, `back` and `refresh`."""
REMEMBERED_FOR = timedelta(hours=24)


class Pages(NamedTuple):
    """What one may go on with after an answer: the sentences of that one, and of the pages beside it."""

    sentence: str
    after: str = ""
    before: str = ""

    @classmethod
    def of(cls, intent: Intent, card: Card) -> Pages:
        """Of an answer to an intent; its buttons tell the pages beside it."""
        here = getattr(intent, "page", 1)
        pages = {
            getattr(button.action.intent, "page", here): say(button.action.intent)
            for button in buttons(card)
            if isinstance(button.action, Run) and type(button.action.intent) is type(intent)
        }
        return cls(say(intent), pages.get(here + 1, ""), pages.get(here - 1, ""))


@dataclass(frozen=True, slots=True)
class Last:
    """The last answer of a conversation: whose question it was, what it was about, and the pages beside it.

    Attributes:
        asker: The key of who asked.
        sentence: What was asked, resolved; empty where only a choice was offered.
        after: The next page.
        before: The page before.
        choices: The sentences that were offered last.
        dates: Where each of them is about another date: the field, as name and id.
        at: When (seconds since 1970).
    """

    asker: str
    sentence: str
    after: str = ""
    before: str = ""
    choices: tuple[str, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()
    at: float = 0.0


class Conversation(NamedTuple):
    """What belongs together: a thread, whoever speaks in it; outside threads one person in one place."""

    place: str
    thread: str = ""
    person: str = ""

    @property
    def key(self) -> str:
        """A name for it; no two have the same."""
        return json.dumps(self)

    @classmethod
    def of(cls, request: Request) -> tuple[Conversation, ...]:
        """All that a request belongs to; the last one is the one it goes on with.

        A message that opens a thread goes on with what its person said in the place before, and the thread goes on
        with it.
        """
        personal = request.place.visibility is Visibility.PERSONAL
        own = cls.personal(request.person) if personal else cls(request.place.key, person=request.person.key)
        if not request.place.thread:
            return (own,)
        thread = cls(request.place.key, thread=request.place.thread)
        return (thread, own) if request.opens_thread else (thread,)

    @classmethod
    def personal(cls, person: Person) -> Conversation:
        """A person's one-to-one chat with the bot."""
        return cls("", person=person.key)


class Conversations:
    """The last answers of all conversations.

    Args:
        store: Shares them among replicas; an embedded database is shared with nobody, and not asked.
        clock: Decides what is forgotten.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lately: Kept[Conversation, Last] = Kept(REMEMBERED)

    async def meant(self, word: Recall | Refresh | Next | Back, request: Request) -> tuple[str, str]:
        """The sentence that stands behind one of the bot's own words, and the key of who said it.

        Raises:
            TicketGone: There is none (any more).
        """
        me = request.person.key
        match word:
            case Recall(id=key, typed=typed):
                kept = await self._store.sentence(key)
                if kept is None:
                    raise TicketGone(
                        "This button is too old to know what it stood for.", hint="Ask again in words."
                    )
                return with_typed(kept, typed) if typed else kept, me
            case Refresh(sentence=sentence) if sentence:
                return sentence, me
        last = await self._last_of(Conversation.of(request)[-1]) or Last(me, "")
        match word:
            case Refresh():
                found, what = last.sentence, "answer here to ask again"
            case Next():
                found, what = last.after, "next page to the last answer here"
            case Back():
                found, what = last.before, "page before the last answer here"
            case _:
                assert_never(word)
        if not found:
            raise TicketGone(f"I remember no {what}.", hint="Say the whole sentence.")
        return found, last.asker

    async def before(self, request: Request) -> Last | None:
        """What was last answered, or offered, where a request goes on."""
        return await self._last_of(Conversation.of(request)[-1])

    async def _last_of(self, conversation: Conversation) -> Last | None:
        """What was last answered in a conversation, by whichever replica; without a database, by this one."""
        if self._store.dialect != "sqlite":
            try:
                kept = await self._store.last(conversation.key)
            except StoreUnavailable:
                log.warning("last answer not read")
            else:
                if kept is None:
                    return None
                last = json.loads(kept)
                last["dates"] = tuple((text, id_) for text, id_ in last.get("dates", ()))
                return Last(**last | {"choices": tuple(last.get("choices", ()))})
        lately = self._lately.get(conversation)
        fresh = (
            lately is not None and self._clock.now().timestamp() < lately.at + REMEMBERED_FOR.total_seconds()
        )
        return lately if fresh else None

    async def remember(self, pages: Pages, request: Request, *, private: bool) -> None:
        """Notes an answer as the last one of every conversation that the request belongs to.

        Args:
            pages: What was answered.
            request: What it answers.
            private: Whether it is for the person alone.
        """
        last = Last(request.person.key, *pages, at=self._clock.now().timestamp())
        await self._keep(last, request, private=private)

    async def offered(
        self,
        options: Sequence[Button],
        request: Request,
        *,
        open_question: bool = True,
        dates: Sequence[Name] = (),
    ) -> None:
        """Notes what somebody may choose from.

        Args:
            options: What was offered; those that say nothing do not count.
            request: What was answered with that.
            open_question: Whether the question is asked back, so that nothing before it is the last one any more.
            dates: The field on which each choice is, where they differ in their dates only.
        """
        choices = tuple(say(each.action.intent) for each in options if isinstance(each.action, Run))
        if not choices:
            return
        nothing = Last(request.person.key, "")
        last = nothing if open_question else await self.before(request) or nothing
        last = replace(
            last,
            choices=choices,
            dates=tuple((each.text, each.id) for each in dates),
            at=self._clock.now().timestamp(),
        )
        await self._keep(last, request, private=True)

    async def date_chosen(self, intent: Intent, request: Request) -> Name | None:
        """The date field that was just chosen with an intent, if that is what was asked last."""
        last = await self.before(request)
        sentence = say(intent)
        if last is None or not last.dates or last.asker != request.person.key or sentence not in last.choices:
            return None
        return Name(*last.dates[last.choices.index(sentence)])

    async def _keep(self, last: Last, request: Request, *, private: bool) -> None:
        heard = Conversation.of(request)
        if private and request.private_apart:
            heard += (Conversation.personal(request.person),)
        for each in heard:
            self._lately[each] = last
        if self._store.dialect != "sqlite":
            try:
                await self._store.keep_last(
                    [each.key for each in heard], json.dumps(asdict(last)), REMEMBERED_FOR
                )
            except StoreUnavailable:
                log.warning("last answer not shared", request=request.id)
