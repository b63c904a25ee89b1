"""A Slack workspace with the adapter in it, and a bot that says what the test tells it to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from adapters.slack.app import SlackListener
from adapters.slack.chat import SlackChat
from adapters.slack.signature import PATH
from bot.config import Secret, Slack
from bot.model.cards import Answer, Card
from bot.model.people import Clicked, MessageRef, Request, Said
from bot.store import Store
from bot.visit import Show
from tests.fake_slack import APP_TOKEN, SECRET, TOKEN, FakeSlack


class QuickClock:
    """Time that runs, faster than ours, so that waiting for a second takes milliseconds."""

    def __init__(self, speed: float = 50.0) -> None:
        self.speed = speed
        self._extra = 0.0
        self._time = asyncio.get_running_loop().time  # also asked for by the threads of the store
        self._started = self._time()
        self._epoch = datetime(2026, 3, 2, 22, 10, tzinfo=UTC)

    def monotonic(self) -> float:
        return (self._time() - self._started) * self.speed + self._extra

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    def advance(self, seconds: float) -> None:
        self._extra += seconds


@dataclass
class ToldBot:
    """Answers with the cards that are written down for what was said; a number among them is a pause in true seconds,
    an event one that lasts until the test sets it.
    """

    answers: dict[str, list[Answer | float | asyncio.Event]] = field(default_factory=dict)
    heard: list[Request] = field(default_factory=list)
    attached: list[tuple[str, MessageRef]] = field(default_factory=list)
    made: list[Answer] = field(default_factory=list)

    async def answer(self, request: Request, show: Show) -> None:
        self.heard.append(request)
        match request.said:
            case Said(text):
                said = text
            case Clicked(sentence, confirm, dismiss):
                said = sentence or (f"confirm {confirm}" if confirm else f"dismiss {dismiss}")
        for part in self.answers.get(said, [Answer(Card(f"you said: {said}"[:120] or "…"))]):
            match part:
                case float() | int():
                    await asyncio.sleep(part)
                case asyncio.Event():
                    await part.wait()
                case Answer():
                    self.made.append(part)
                    await show(part)

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        self.attached.append((ticket_id, ref))


@dataclass
class World:
    slack: FakeSlack
    chat: SlackChat
    listener: SlackListener
    bot: ToldBot
    clock: QuickClock
    store: Store
    settings: Slack
    refusals: list[str]

    async def quiet(self) -> None:
        """Waits until every answer is given."""
        async with asyncio.timeout(30):
            await self.listener.deliveries.idle()

    async def say(self, user: str, channel: str, text: str) -> str:
        """A slash command, and what the person sees after it."""
        assert await self.slack.command(user, channel, text) == 200
        await self.quiet()
        return self.slack.screen(user, channel)


@asynccontextmanager
async def world(
    *, socket_mode: bool = False, read_groups: bool = False, store: Store | None = None
) -> AsyncIterator[World]:
    clock = QuickClock()
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack(clock, socket_mode=socket_mode))
        if store is None:
            store = await stack.enter_async_context(await Store.temporary(clock))
        settings = Slack(
            bot_token=Secret(TOKEN),
            signing_secret=Secret(SECRET),
            app_token=Secret(APP_TOKEN) if socket_mode else None,
            api_url=slack.url,
        )
        chat = SlackChat(settings, clock=clock, keep_sentence=store.keep_sentence, read_groups=read_groups)
        stack.push_async_callback(chat.close)
        bot, refusals, numbers = ToldBot(), list[str](), itertools.count(1)
        listener = SlackListener(
            bot,
            chat,
            store,
            settings,
            clock=clock,
            ids=lambda: f"request-{next(numbers)}",
            refused=refusals.append,
        )
        app = web.Application()
        for at, handler in listener.routes().items():
            app.router.add_route(*at, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.target = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        await listener.start()
        stack.push_async_callback(listener.close, 2.0)
        yield World(slack, chat, listener, bot, clock, store, settings, refusals)


def but(answer: Answer, **changes: Any) -> Answer:
    """An answer with some fields of its own, or of its card, changed."""
    own = {name: changes.pop(name) for name in Answer.__slots__ if name in changes}
    return replace(answer, **own, card=replace(answer.card, **changes))
