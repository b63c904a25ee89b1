"""Slack's deliveries, over HTTP or Socket Mode: acknowledged at once, then answered in tasks that shutdown waits for.

One table of routes says what is done with which kind of delivery, however it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from aiohttp import web

from adapters.deliveries import Deliveries
from adapters.http import BODY_WITHIN, NotRead, Routes, read_body
from adapters.outgoing import Answering
from adapters.slack.chat import SlackChat, message_ref
from adapters.slack.client import Refused
from adapters.slack.delivery import Delivery, done
from adapters.slack.payloads import (
    Incoming,
    Kind,
    Unreadable,
    read_click,
    read_command,
    read_message,
)
from adapters.slack.signature import LARGEST, PATH, Guard, Refusal, Seen, Sound
from bot.config import Slack
from bot.model.clock import Clock
from bot.model.errors import ConfigError, Undelivered
from bot.model.people import Clicked, Place, Request, Visibility
from bot.store import Store

if TYPE_CHECKING:
    from adapters.slack.socket_mode import SocketMode

Json: TypeAlias = Mapping[str, Any]
Route: TypeAlias = Callable[[Json], Awaitable[None]]

log = structlog.get_logger()

DURABLE_WITHIN = 2.0
"""Seconds that the acknowledgement of a confirming click waits until the click is written down; Slack waits 3."""
DELIVERIES_KEPT = timedelta(hours=1)
"""Slack's last repetition comes 5 minutes after the second (https://docs.slack.dev/apis/events-api)."""
MOST_AT_ONCE = 400
"""Answers in the making; more are refused, and Slack sends events again."""


class SlackListener:
    """Receives what people say on Slack and shows them the answers."""

    def __init__(
        self,
        bot: Answering,
        chat: SlackChat,
        store: Store,
        settings: Slack,
        *,
        clock: Clock,
        ids: Callable[[], str],
        refused: Callable[[str], None] = lambda _reason: None,
        body_within: float = BODY_WITHIN,
    ) -> None:
        """Wires everything; nothing runs before `start`.

        Args:
            bot: Answers.
            chat: Slack; closed by whoever made it.
            store: Remembers deliveries for all replicas.
            settings: Tokens and the signing secret.
            clock: For time and waiting.
            ids: Makes request ids.
            refused: Told the reason of each HTTP request that went no further.
            body_within: Seconds in which a body has to arrive.
        """
        self._bot = bot
        self._chat = chat
        self._store = store
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._refused = refused
        self._body_within = body_within
        self._guard = Guard(settings.signing_secret, clock) if settings.signing_secret else None
        self.deliveries = Deliveries("slack", store, clock, kept=DELIVERIES_KEPT, most=MOST_AT_ONCE)
        self.socket: SocketMode | None = None
        self._routes: Mapping[str, Route] = {
            "command": self._on_command,
            "event_callback": self._on_event,
            "block_actions": self._on_click,
        }

    # --- life ---

    def routes(self) -> Routes:
        """`POST /slack/events`, where there is a signing secret to check it with."""
        return {} if self._guard is None else {("POST", PATH): self._receive}

    async def start(self) -> None:
        """Asks Slack who the bot is, and opens the socket where Socket Mode is configured.

        Raises:
            ConfigError: Slack does not know the token. That Slack cannot be reached is no reason not to start.
        """
        try:
            await self._chat.identity()
        except Refused as error:
            if error.no_token:
                raise ConfigError([f"{error.sentence} {error.hint}"]) from error
            log.warning("slack not reachable at start", error=error.sentence)
        if self._settings.app_token is not None:
            # bolt is imported where it is used: it is a tenth of what starting takes.
            from adapters.slack.socket_mode import SocketMode

            self.socket = SocketMode(
                self._settings.app_token, self._settings, self._chat.api, self, self._clock
            )
            self.socket.start()

    async def close(self, within: float = 25.0) -> None:
        """Stops listening and waits for what is being answered.

        Args:
            within: Seconds after which unfinished work is cut off. What it had promised is taken up again by whoever
                finds its ticket.
        """
        self.deliveries.closing = True
        if self.socket is not None:
            await self.socket.close()
        await self.deliveries.close(within)

    def ready(self) -> bool:
        """Whether people who write now get an answer."""
        if self.deliveries.closing or self._chat.known is None:
            return False
        return self._settings.app_token is None or (self.socket is not None and self.socket.connected)

    # --- one delivery ---

    def route(self, payload: Json) -> Route | None:
        """What is done with a delivery; returns as soon as it may be acknowledged. None for kinds that the manifest does
        not ask for.
        """
        return self._routes.get("command" if "command" in payload else str(payload.get("type")))

    # --- HTTP ---

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        guard = self._guard
        assert guard is not None, "the route is there only with a guard"
        try:
            body = await read_body(request, largest=LARGEST, within=self._body_within)
        except NotRead as error:
            self._refused(error.reason)
            if not error.slow:
                log.info("slack request refused", reason=error.reason)
            return web.Response(status=error.status, text=error.reason)
        verdict = guard.check(request.headers, body)
        match verdict:
            case Refusal():
                self._refused(verdict.value)
                log.info("slack request refused", reason=verdict.value)
                return web.Response(status=400 if verdict is Refusal.UNREADABLE else 401, text=verdict.value)
            case Seen():
                log.info("slack request seen", reason=verdict.value)
                return web.Response()
            case Sound(payload):
                return await self._dispatched(payload)

    async def _dispatched(self, payload: dict[str, Any]) -> web.Response:
        if payload.get("type") == "url_verification":
            return web.json_response({"challenge": payload.get("challenge")})
        route = self.route(payload)
        if route is None:
            log.info("slack delivery without use")
        elif self.deliveries.busy:
            log.warning(
                "slack delivery refused", answers=len(self.deliveries), closing=self.deliveries.closing
            )
            return web.Response(status=503, text="busy", headers={"Retry-After": "5"})
        else:
            try:
                await route(payload)
            except Exception:
                log.exception("slack delivery not readable")
                return web.Response(status=400, text=Refusal.UNREADABLE.value)
        return web.Response()

    # --- routes ---

    async def _on_command(self, body: Json) -> None:
        self._take(read_command, body)

    async def _on_event(self, body: Json) -> None:
        self.deliveries.start(self._message(body))

    async def _on_click(self, body: Json) -> None:
        written = self._take(read_click, body)
        if written is not None:
            await asyncio.wait({written}, timeout=DURABLE_WITHIN)

    def _take(self, read: Callable[[Json], Incoming | None], body: Json) -> asyncio.Future[None] | None:
        """Starts the answer to a command or a click.

        Returns:
            For a click that confirms something: done when that is written down.
        """
        try:
            incoming = read(body)
        except Unreadable as error:
            log.warning("slack delivery not readable", error=str(error))
            return None
        if incoming is None:
            return None
        written: asyncio.Future[None] | None = None
        if isinstance(incoming.said, Clicked) and incoming.said.confirm:
            written = asyncio.get_running_loop().create_future()
        self.deliveries.start(self._attend(incoming, written))
        return written

    async def _message(self, body: Json) -> None:
        """A mention or a direct message. Whose mention it is, is only known once Slack has said who the bot is."""
        try:
            incoming = read_message(body, (await self._chat.identity()).user)
        except (Unreadable, Undelivered) as error:
            log.warning("slack delivery not readable", error=str(error))
            return
        if incoming is not None:
            if incoming.kind is Kind.DIRECT:
                self._chat.remember_direct(incoming.person, incoming.place)
            await self._attend(incoming)

    async def _attend(self, incoming: Incoming, written: asyncio.Future[None] | None = None) -> None:
        request_id = self._ids()
        structlog.contextvars.bind_contextvars(request=request_id)  # ends with the task
        try:
            if await self._is_new(incoming):
                await self._answer(incoming, request_id, written)
        except Exception:
            log.exception("slack delivery not answered")
        finally:
            done(written)

    async def _answer(
        self, incoming: Incoming, request_id: str, written: asyncio.Future[None] | None
    ) -> None:
        place = await self._settled(incoming)
        if place is not incoming.place:
            incoming = replace(incoming, place=place)
        log.info("slack request", kind=incoming.kind.value, person=incoming.person.key, place=place.key)
        request = Request(
            id=request_id,
            said=incoming.said,
            person=incoming.person,
            place=place,
            message=message_ref(place, place.id, incoming.pressed) if incoming.pressed else None,
            opens_thread=incoming.kind is Kind.MENTION and not incoming.threaded,
            hidden=incoming.hidden,
        )
        delivery = Delivery(incoming, self._chat, self._bot.attach, self._clock, written)
        try:
            await self._bot.answer(request, delivery.show)
        finally:
            await delivery.close()

    async def _is_new(self, incoming: Incoming) -> bool:
        """Whether this delivery comes for the first time. Slack itself repeats what people write; a command
        or a click comes twice only if somebody replays it.
        """
        if not incoming.delivery:
            return True
        key = f"slack:{incoming.place.home}:{incoming.delivery}"
        return await self.deliveries.first_time(key, lasting=False)

    async def _settled(self, incoming: Incoming) -> Place:
        """The place, where only Slack knows whose direct conversation it is: two people's own is none of the bot's."""
        place = incoming.place
        if place.visibility is not Visibility.PERSONAL or incoming.kind is Kind.DIRECT:
            return place
        own = await self._chat.direct(incoming.person)
        if own is not None and own.id == place.id:
            return place
        return replace(place, visibility=Visibility.GROUP)
