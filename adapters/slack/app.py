"""Slack's deliveries, over HTTP or Socket Mode: acknowledged at once, then answered in tasks that shutdown waits for.

bolt runs with `process_before_response`, since without it every request waits for a poll of 10 ms. Its lazy listeners
are not used: nobody holds on to their tasks, so a shutdown would lose what they do.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

import structlog
from aiohttp import web
from cachetools import TTLCache
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.http import BODY_WITHIN, NotRead, read_body
from adapters.slack.chat import SlackChat, message_ref
from adapters.slack.delivery import Delivery
from adapters.slack.payloads import (
    Incoming,
    Kind,
    Unreadable,
    read_click,
    read_command,
    read_form,
    read_message,
)
from adapters.slack.signature import LARGEST, PATH, Guard, Refusal, Seen, Sound
from adapters.slack.web_api import Refused
from bot.config import Secret, Slack
from bot.model.cards import Card
from bot.model.clock import Clock
from bot.model.errors import ConfigError, StoreUnavailable, Undelivered
from bot.model.people import Clicked, Filled, MessageRef, Person, Place, Request, Visibility
from bot.store import Store

Json: TypeAlias = Mapping[str, Any]

log = structlog.get_logger()

DURABLE_WITHIN = 2.0
"""Seconds that the acknowledgement of a confirming click waits until the click is written down; Slack waits 3."""
DELIVERIES_KEPT = timedelta(hours=1)
"""Slack's last repetition comes 5 minutes after the second (https://docs.slack.dev/apis/events-api)."""
MOST_AT_ONCE = 400
"""Answers in the making; more are refused, and Slack sends events again."""
PING_EVERY = 10.0
SILENT_FOR = 60.0
"""Seconds without a pong after which a socket is taken for dead, whatever the SDK says of it."""
_DELIVERIES = 20_000
_EVERYTHING = re.compile(r"[\s\S]*")


class Answering(Protocol):
    """What the adapter needs of the bot."""

    def answer(self, request: Request) -> AsyncGenerator[Card, None]:
        """See `bot.dispatch.Bot.answer`."""
        ...

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """See `bot.dispatch.Bot.attach`."""
        ...


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
        self._work: set[asyncio.Task[None]] = set()
        self._deliveries: TTLCache[str, bool] = TTLCache(
            _DELIVERIES, DELIVERIES_KEPT.total_seconds(), timer=clock.monotonic
        )
        self._app = self._wired()
        self._socket: AsyncSocketModeHandler | None = None
        self._socket_keeper: asyncio.Task[None] | None = None
        self._closing = False

    # --- life ---

    def routes(self, app: web.Application) -> None:
        """Adds `POST /slack/events`, where there is a signing secret to check it with."""
        if self._guard is not None:
            app.router.add_post(PATH, self._receive)

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
            self._socket_keeper = asyncio.create_task(self._keep_connected(self._settings.app_token))

    async def close(self, within: float = 25.0) -> None:
        """Stops listening and waits for what is being answered.

        Args:
            within: Seconds after which unfinished work is cut off. What it had promised is taken up again by whoever
                finds its ticket.
        """
        self._closing = True
        if self._socket_keeper is not None:
            self._socket_keeper.cancel()
            await asyncio.gather(self._socket_keeper, return_exceptions=True)
        if self._work:
            await asyncio.wait(self._work, timeout=within)
        left = tuple(self._work)
        for task in left:
            task.cancel()
        if left:
            log.warning("answers cut off by the shutdown", count=len(left))
            await asyncio.wait(left, timeout=1.0)

    def ready(self) -> bool:
        """Whether people who write now get an answer."""
        if self._closing or self._chat.known is None:
            return False
        return self._settings.app_token is None or self._connected()

    # --- HTTP ---

    async def _receive(self, request: web.Request) -> web.Response:
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
        if not _for_us(payload):
            log.info("slack delivery without use")
            return web.Response()
        if self._closing or len(self._work) >= MOST_AT_ONCE:
            log.warning("slack delivery refused", answers=len(self._work), closing=self._closing)
            return web.Response(status=503, text="busy", headers={"Retry-After": "5"})
        try:
            # The guard has read the body; only in this mode bolt takes it as it is and does not read it again.
            answer = await self._app.async_dispatch(AsyncBoltRequest(body=payload, mode="socket_mode"))
        except Exception:
            log.exception("slack delivery not readable")
            return web.Response(status=400, text=Refusal.UNREADABLE.value)
        if answer.status >= web.HTTPInternalServerError.status_code:
            log.error("slack delivery failed", status=answer.status)
            return web.Response(status=400, text=Refusal.UNREADABLE.value)
        return await to_aiohttp_response(answer)

    # --- bolt ---

    def _wired(self) -> AsyncApp:
        # Without a level of its own bolt composes debug lines, bodies included, that nobody will see. At WARNING it
        # complains that a token from the environment is not used.
        logger = logging.getLogger("slack_bolt")
        logger.setLevel(logging.ERROR)

        async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
            known = self._chat.known
            return AuthorizeResult(
                enterprise_id=enterprise_id,
                team_id=team_id,
                bot_user_id=known.user if known else None,
                bot_id=known.bot if known else None,
                bot_token=self._settings.bot_token.reveal(),
            )

        app = AsyncApp(
            logger=logger,
            name="celonis-chat",
            process_before_response=True,
            signing_secret="",
            authorize=authorize,
            # The guard has done both, with a clock of its own and without writing bodies to the log.
            request_verification_enabled=False,
            ssl_check_enabled=False,
        )
        logger.setLevel(logging.WARNING)
        app.command(_EVERYTHING)(self._on_command)
        app.event(_EVERYTHING)(self._on_event)
        app.action(_EVERYTHING)(self._on_click)
        app.view(_EVERYTHING)(self._on_form)
        return app

    async def _on_command(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        self._take(lambda: read_command(body))

    async def _on_event(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        self._start(self._message(body))

    async def _on_click(self, ack: AsyncAck, body: Json) -> None:
        delivery = self._take(lambda: read_click(body))
        if delivery is not None:
            await asyncio.wait({delivery}, timeout=DURABLE_WITHIN)
        await ack()

    async def _on_form(self, ack: AsyncAck, body: Json) -> None:
        await ack()
        self._start(self._form(body))

    # --- one delivery ---

    def _take(self, read: Callable[[], Incoming | None]) -> asyncio.Future[None] | None:
        """Starts the answer to a command or a click.

        Returns:
            For a click that confirms something: done when that is written down.
        """
        try:
            incoming = read()
        except Unreadable as error:
            log.warning("slack delivery not readable", error=str(error))
            return None
        if incoming is None:
            return None
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._start(self._attend(incoming, written))
        confirms = isinstance(incoming.said, Clicked) and bool(incoming.said.confirm)
        return written if confirms else None

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

    async def _form(self, body: Json) -> None:
        try:
            person, home, filled, delivery = read_form(body)
        except Unreadable as error:
            log.warning("slack delivery not readable", error=str(error))
            return
        place = await self._place_of(person, home, filled)
        if place is None:
            log.warning("form without a place", person=person.key)
            return
        await self._attend(Incoming(Kind.FORM, delivery, filled, person, place, threaded=bool(place.thread)))

    async def _place_of(self, person: Person, home: str, filled: Filled) -> Place | None:
        """Where a form was opened: posted forms do not say."""
        try:
            stored = await self._store.form(filled.form)
        except StoreUnavailable:
            stored = None
        if stored is not None and stored.place.platform == "slack" and stored.place.home == home:
            return stored.place
        return await self._chat.direct(person)

    async def _attend(self, incoming: Incoming, written: asyncio.Future[None] | None = None) -> None:
        request_id = self._ids()
        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                if await self._is_new(incoming):
                    await self._answer(incoming, request_id, written)
            except Exception:
                log.exception("slack delivery not answered")
            finally:
                _done(written)

    async def _answer(
        self, incoming: Incoming, request_id: str, written: asyncio.Future[None] | None
    ) -> None:
        incoming = replace(incoming, place=await self._settled(incoming))
        place = incoming.place
        log.info("slack request", kind=incoming.kind.value, person=incoming.person.key, place=place.key)
        request = Request(
            id=request_id,
            said=incoming.said,
            person=incoming.person,
            place=place,
            at=self._clock.now(),
            message=message_ref(place, place.id, incoming.pressed) if incoming.pressed else None,
            trigger=incoming.trigger,
            opens_thread=incoming.kind is Kind.MENTION and not incoming.threaded,
        )
        delivery = Delivery(incoming, self._chat, self._bot.attach, self._clock)
        delivery.settled.add_done_callback(lambda _: _done(written))
        await delivery.show(self._bot.answer(request))

    async def _is_new(self, incoming: Incoming) -> bool:
        """Whether this delivery comes for the first time, on any copy of the bot; without a database, on this one.

        Slack itself repeats what people write and the forms they send. A command or a click comes twice only if
        somebody replays it, and reaches another copy only where copies share a database; elsewhere a durable row for
        each would cost more than the answer.
        """
        if not incoming.delivery:
            return True
        key = f"slack:{incoming.place.home}:{incoming.delivery}"
        if key in self._deliveries:
            return False
        self._deliveries[key] = True
        if incoming.kind in (Kind.COMMAND, Kind.CLICK) and self._store.dialect == "sqlite":
            return True
        try:
            return await self._store.first_time(key, DELIVERIES_KEPT)
        except StoreUnavailable as error:
            log.warning("deliveries not shared", error=error.sentence)
            return True

    async def _settled(self, incoming: Incoming) -> Place:
        """The place, where only Slack knows whose direct conversation it is: two people's own is none of the bot's."""
        place = incoming.place
        if place.visibility is not Visibility.PERSONAL or incoming.kind in (Kind.DIRECT, Kind.FORM):
            return place
        own = await self._chat.direct(incoming.person)
        if own is not None and own.id == place.id:
            return place
        return replace(place, visibility=Visibility.GROUP)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    # --- Socket Mode ---

    def _connected(self) -> bool:
        socket = self._socket
        session = socket.client.current_session if socket is not None else None
        return session is not None and not session.closed

    async def _keep_connected(self, app_token: Secret) -> None:
        """A socket that is open; one that has gone silent is replaced as a whole.

        The SDK's own check has been seen to hold a dead socket for connected (python-slack-sdk issues 1110, 1922).
        """
        while True:
            self._socket = _Handler(
                lambda: not self._closing and len(self._work) < MOST_AT_ONCE,
                self._app,
                app_token.reveal(),
                logger=logging.getLogger("slack_bolt.socket_mode"),
                web_client=AsyncWebClient(
                    app_token.reveal(), self._settings.api_url, session=self._chat.api.session
                ),
                ping_interval=PING_EVERY,
            )
            try:
                await self._socket.connect_async()  # type: ignore[no-untyped-call] # bolt's
                await self._until_silent(self._socket)
                log.warning("socket has gone silent; a new one is opened")
            finally:
                await _undisturbed(self._socket.close_async())  # type: ignore[no-untyped-call] # bolt's

    async def _until_silent(self, socket: AsyncSocketModeHandler) -> None:
        last, heard_at = socket.client.last_ping_pong_time, self._clock.monotonic()
        while self._clock.monotonic() - heard_at < SILENT_FOR:
            await self._clock.sleep(PING_EVERY)
            if socket.client.last_ping_pong_time != last:
                last, heard_at = socket.client.last_ping_pong_time, self._clock.monotonic()


class _Handler(AsyncSocketModeHandler):
    """bolt's handler, for deliveries that are of use; the others are acknowledged without waking anybody."""

    def __init__(self, accepts: Callable[[], bool], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._accepts = accepts

    async def handle(self, client: Any, req: Any) -> None:
        if not self._accepts():
            # Slack sends again what nobody acknowledged.
            log.warning("slack delivery refused")
        elif _for_us(req.payload if isinstance(req.payload, Mapping) else {}):
            await super().handle(client, req)
        else:
            await client.send_socket_mode_response({"envelope_id": req.envelope_id})


def _for_us(payload: Json) -> bool:
    """Whether a delivery is of a kind that the manifest asks for; bolt writes those it does not know to the log."""
    if "command" in payload:
        return True
    return payload.get("type") in ("event_callback", "url_verification", "block_actions", "view_submission")


def _done(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def _undisturbed(work: Awaitable[None]) -> None:
    """Lets an ending finish, and keeps its failure to the log."""
    try:
        await work
    except Exception:
        log.exception("socket did not close cleanly")
