"""Slack's deliveries over a socket that the bot opens, for machines without a public address.

bolt and its SDK keep the socket; its listeners are our routes, which are the same over HTTP. bolt runs with
`process_before_response`, since without it every delivery waits for a poll of 10 ms. Its lazy listeners are not used: nobody
holds on to their tasks, so a shutdown would lose what they do.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from adapters.deliveries import Deliveries
from adapters.slack.client import WebApi
from bot.config import Secret, Slack
from bot.model.clock import Clock

Json: TypeAlias = Mapping[str, Any]

log = structlog.get_logger()

PING_EVERY = 10.0
SILENT_FOR = 60.0
"""Seconds without a pong after which a socket is taken for dead, whatever the SDK says of it."""
_EVERYTHING = re.compile(r"[\s\S]*")


class Routes(Protocol):
    """Who takes what arrives."""

    deliveries: Deliveries

    def route(self, payload: Json) -> Callable[[Json], Awaitable[None]] | None:
        """See `adapters.slack.app.SlackListener.route`."""
        ...


class SocketMode:
    """A socket to Slack that is kept open.

    Args:
        app_token: Opens it.
        settings: The bot's token, and the API's address.
        api: Has the HTTP session.
        routes: Takes what arrives.
        clock: For waiting.
    """

    def __init__(self, app_token: Secret, settings: Slack, api: WebApi, routes: Routes, clock: Clock) -> None:
        self._app_token = app_token
        self._settings = settings
        self._api = api
        self._routes = routes
        self._clock = clock
        self._app = self._wired()
        self.handler: AsyncSocketModeHandler | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Opens the socket, and keeps it open."""
        self._keeper = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        """Closes it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    @property
    def connected(self) -> bool:
        """Whether it is open now."""
        session = self.handler.client.current_session if self.handler is not None else None
        return session is not None and not session.closed

    def _wired(self) -> AsyncApp:
        # Without a level of its own bolt composes debug lines, bodies included, that nobody will see. At WARNING it
        # complains that a token from the environment is not used.
        logger = logging.getLogger("slack_bolt")
        logger.setLevel(logging.ERROR)

        async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
            return AuthorizeResult(
                enterprise_id=enterprise_id, team_id=team_id, bot_token=self._settings.bot_token.reveal()
            )

        async def listener(ack: AsyncAck, body: Json) -> None:
            route = self._routes.route(body)
            if route is not None:
                await route(body)
            await ack()

        app = AsyncApp(
            logger=logger,
            name="celonis-chat",
            process_before_response=True,
            signing_secret="",
            authorize=authorize,
            # Both are for HTTP, which passes our own guard and not bolt.
            request_verification_enabled=False,
            ssl_check_enabled=False,
        )
        logger.setLevel(logging.WARNING)
        for register in (app.command, app.event, app.action):
            register(_EVERYTHING)(listener)
        return app

    async def _keep_connected(self) -> None:
        """A socket that is open; one that has gone silent is replaced as a whole.

        The SDK's own check has been seen to hold a dead socket for connected (python-slack-sdk issues 1110, 1922).
        """
        token = self._app_token.reveal()
        while True:
            self.handler = _Handler(
                self._routes,
                self._app,
                token,
                logger=logging.getLogger("slack_bolt.socket_mode"),
                web_client=AsyncWebClient(token, self._settings.api_url, session=self._api.session),
                ping_interval=PING_EVERY,
            )
            try:
                await self.handler.connect_async()  # type: ignore[no-untyped-call] # bolt's
                await self._until_silent(self.handler)
                log.warning("socket has gone silent; a new one is opened")
            finally:
                await _undisturbed(self.handler.close_async())  # type: ignore[no-untyped-call] # bolt's

    async def _until_silent(self, socket: AsyncSocketModeHandler) -> None:
        last, heard_at = socket.client.last_ping_pong_time, self._clock.monotonic()
        while self._clock.monotonic() - heard_at < SILENT_FOR:
            await self._clock.sleep(PING_EVERY)
            if socket.client.last_ping_pong_time != last:
                last, heard_at = socket.client.last_ping_pong_time, self._clock.monotonic()


class _Handler(AsyncSocketModeHandler):
    """bolt's handler, for deliveries that are of use; the others are acknowledged without waking anybody."""

    def __init__(self, routes: Routes, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._routes = routes

    async def handle(self, client: Any, req: Any) -> None:
        if self._routes.deliveries.busy:
            # Slack sends again what nobody acknowledged.
            log.warning("slack delivery refused")
        elif self._routes.route(req.payload if isinstance(req.payload, Mapping) else {}) is not None:
            await super().handle(client, req)
        else:
            await client.send_socket_mode_response({"envelope_id": req.envelope_id})


async def _undisturbed(work: Awaitable[None]) -> None:
    """Lets an ending finish, and keeps its failure to the log."""
    try:
        await work
    except Exception:
        log.exception("socket did not close cleanly")
