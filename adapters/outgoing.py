"""Answers on their way out, as every platform treats them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog
from cachetools import LRUCache

from bot.commands.again import Recall
from bot.language.say import say
from bot.model.cards import (
    Answer,
    Block,
    Button,
    Card,
    Choices,
    Input,
    Reader,
    Run,
    Submit,
)
from bot.model.clock import Clock
from bot.model.errors import StoreUnavailable
from bot.model.kept import Kept
from bot.model.people import MessageRef, Request
from bot.render.button_codec import Shorten
from bot.visit import Show

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

log = structlog.get_logger()

_BYTES_KEPT = 4 * 1024 * 1024
_LATEST = 100


class Answering(Protocol):
    """What an adapter needs of the bot."""

    async def answer(self, request: Request, show: Show) -> None:
        """See `bot.dispatch.Bot.answer`."""
        ...

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """See `bot.dispatch.Bot.attach`."""
        ...


class Outbox:
    """The answers to one request, sent one after the other. A platform's slowness never holds up the work that makes
    them: progress that it cannot keep up with is left out.

    Args:
        send: Sends one; its failures are its own business.
        clock: For waiting.
        progress_every: Seconds between answers that only tell of progress.
    """

    def __init__(
        self, send: Callable[[Answer], Awaitable[None]], clock: Clock, *, progress_every: float = 0.0
    ) -> None:
        self._send = send
        self._clock = clock
        self._progress_every = progress_every
        self._waiting: deque[Answer] = deque()
        self._arrived = asyncio.Event()
        self._over = False
        self._soon: asyncio.Handle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._free_at: float | None = None

    async def show(self, answer: Answer) -> None:
        """Takes an answer; it is sent soon. See `bot.visit.Show`."""
        if self._waiting and self._waiting[-1].working:
            self._waiting.pop()
        self._waiting.append(answer)
        self._arrived.set()
        if self._soon is None and (self._sending is None or self._sending.done()):
            # A request that is answered at once goes on to `close` before this runs, and needs no task.
            self._soon = asyncio.get_running_loop().call_soon(self._start)

    async def close(self) -> None:
        """No more will come: returns when all are sent."""
        self._over = True
        self._arrived.set()
        if self._soon is not None:
            self._soon.cancel()
        if self._sending is not None:
            await self._sending
        await self._send_waiting()

    async def quiet(self, seconds: float) -> bool:
        """Waits so long; False as soon as another answer is there or none will come."""
        if self._waiting or self._over:
            return False
        return not await self._disturbed(seconds)

    def _start(self) -> None:
        self._soon = None
        self._sending = asyncio.create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            if self._waiting[0].working and not self._over and self._free_at is not None:
                left = self._free_at - self._clock.monotonic()
                if left > 0 and await self._disturbed(left):
                    continue
            await self._send(self._waiting.popleft())
            self._free_at = self._clock.monotonic() + self._progress_every

    async def _disturbed(self, seconds: float) -> bool:
        """Waits so long, or until another answer is there."""
        self._arrived.clear()
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        following = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait({pause, following}, return_when=asyncio.FIRST_COMPLETED)
            return following.done()
        finally:
            pause.cancel()
            following.cancel()


class Render(Protocol[T_co]):
    """A renderer; raises `ValueError` where a button cannot carry a sentence, and nobody gave a stand-in."""

    def __call__(self, card: Card, reader: Reader, shorten: Shorten | None = None) -> T_co:
        """See `adapters.slack.blocks.render`."""
        ...


async def drawn(answer: Answer, render: Render[T], keep: Callable[[str], Awaitable[str]]) -> T:
    """A card as the platform wants it. Sentences that its buttons cannot carry are kept under a short one before; while
    the database is away, their buttons are left out, since the card must not wait.

    Args:
        answer: What to show.
        render: The platform's renderer.
        keep: Keeps a sentence and gives its id.

    Raises:
        ValueError: It cannot be rendered.
    """
    try:
        return render(answer.card, answer.reader)
    except ValueError:
        kept: dict[str, str] = {}
        lost: set[str] = set()
        for each in long_sentences(answer.card, render):
            try:
                kept[each] = say(Recall(await keep(each)))
            except StoreUnavailable:
                lost.add(each)
        return render(_without(answer.card, lost), answer.reader, kept.__getitem__)


def long_sentences(card: Card, render: Render[object]) -> tuple[str, ...]:
    """The sentences on a card that a platform's buttons cannot carry."""
    found: dict[str, None] = {}

    def note(sentence: str) -> str:
        found[sentence] = None
        return "-" * 16

    render(card, Reader(), note)
    return tuple(found)


class Rendered:
    """Cards as bytes that a platform takes. How a card looks depends on the card and its reader alone, so one that was
    rendered lately is not rendered again; another moment, state or number on it makes it another card.

    Args:
        render: The platform's renderer.
        keep: Keeps a sentence that a button cannot carry, and gives its id.
    """

    def __init__(self, render: Render[bytes], keep: Callable[[str], Awaitable[str]]) -> None:
        self._render = render
        self._keep = keep
        self._known: LRUCache[tuple[Card, Reader], bytes] = LRUCache(_BYTES_KEPT, getsizeof=len)
        self._latest: Kept[tuple[int, Reader], tuple[Card, bytes]] = Kept(_LATEST)

    async def of(self, answer: Answer) -> bytes:
        """An answer's card. Raises as `drawn` does."""
        card, reader = answer.card, answer.reader
        # The same object is known without comparing all that is on it.
        if (last := self._latest.get((id(card), reader))) is not None and last[0] is card:
            return last[1]
        made = self._known.get((card, reader))
        try:
            if made is None:
                made = self._known[card, reader] = self._render(card, reader)
        except ValueError:
            # Stand-ins have an end of their own, so a card with some is made anew each time.
            return await drawn(answer, self._render, self._keep)
        self._latest[id(card), reader] = card, made
        return made


def _without(card: Card, sentences: Collection[str]) -> Card:
    """A card without the buttons that say one of these."""

    def stays(button: Button) -> bool:
        return not (isinstance(button.action, Run | Submit) and say(button.action.intent) in sentences)

    def left(block: Block) -> Block:
        match block:
            case Choices(prompt, options):
                return Choices(prompt, tuple(each for each in options if stays(each)))
            case _:
                return block

    return replace(
        card,
        blocks=tuple(
            left(block) for block in card.blocks if not isinstance(block, Input) or stays(block.submit)
        ),
        buttons=tuple(each for each in card.buttons if stays(each)),
    )
