"""`POST /api/messages`: what comes from Teams, through every check, to the bot."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.schema import Activity

from adapters.deliveries import Deliveries
from adapters.http import BODY_WITHIN, NotRead, Routes, parse_json, read_body
from adapters.outgoing import Answering
from adapters.teams.chat import TeamsChat
from adapters.teams.delivery import Delivery, Json, invoke_message
from adapters.teams.payloads import Arrival, Kind, good_upload, part_of, read, text_of
from adapters.teams.sdk import AppIdentity, forget_keys, make_adapter, metadata_address, outline, use_keys
from adapters.teams.tokens import KeyRing
from bot.commands.help import Help
from bot.config import is_loopback
from bot.model.cards import Answer, Button, Card, Run, Text
from bot.model.clock import Clock
from bot.model.errors import BadArgument, BotError, ConfigError
from bot.model.people import Clicked, Request, Said, Utterance, Visibility
from bot.render.button_codec import decode_data
from bot.store import Store

log = structlog.get_logger()

PATH = "/api/messages"
LARGEST_BODY = 256 * 1024
"""Bytes. Teams' own messages stay below 100 KB."""
INVOKE_PATIENCE = 2.5
"""Seconds; Teams shows an error to the person after 10 to 15, and a card should answer within 3."""
DELIVERIES_KEPT = timedelta(hours=6)
"""How long a repeated delivery is told from a new one."""
MOST_AT_ONCE = 1000
"""Answers in the making; more are refused, and the channel comes back later."""
UNKNOWN = "I cannot tell who you are, so nothing was done."
_WARMING = 15.0
_AGAIN = 300.0


class TeamsListener:
    """Takes what Teams sends.

    Args:
        bot: Answers.
        chat: The same one that the bot has.
        store: Tells repeated deliveries from new ones.
        clock: For the time of a request.
        identity: The bot's registration.
        tenants: Tenants that are looked at: the bot's own and those with a connection.
        host: The address that is listened on.
        service_hosts: Hosts that answers may go to; patterns as in the settings.
        development: Take service URLs on this machine, and messages without a signature where there is no app id.
        ids: Makes request ids.
        refused: Told the HTTP status of each delivery that went no further, as text.
        body_within: Seconds in which a body has to arrive.

    Raises:
        ConfigError: Messages would be taken from anybody on the network, or the SDK is another one.
    """

    def __init__(
        self,
        bot: Answering,
        chat: TeamsChat,
        store: Store,
        clock: Clock,
        *,
        identity: AppIdentity,
        tenants: Collection[str],
        host: str,
        service_hosts: Collection[str],
        development: bool = False,
        ids: Callable[[], str] = lambda: secrets.token_hex(4),
        refused: Callable[[str], None] = lambda _reason: None,
        body_within: float = BODY_WITHIN,
    ) -> None:
        if not identity.app_id and not (development and is_loopback(host)):
            raise ConfigError(
                [
                    "Teams without MICROSOFT_APP_ID takes messages from anybody, so it needs server.development = true and a loopback address."
                ]
            )
        if development and not is_loopback(host):
            raise ConfigError(["server.development is for this machine only: set server.host = 127.0.0.1."])
        self._bot = bot
        self._chat = chat
        self._clock = clock
        self._tenants = frozenset(each.lower() for each in (*tenants, identity.tenant_id) if each)
        self._service_hosts = tuple(service_hosts)
        self._signed = bool(identity.app_id)
        self._loopback = development
        self._ids = ids
        self._refused = refused
        self._body_within = body_within
        self._adapter = make_adapter(identity)
        self._keys = KeyRing(metadata_address(), chat.session, clock)
        self.deliveries = Deliveries("teams", store, clock, kept=DELIVERIES_KEPT, most=MOST_AT_ONCE)
        self._keeper: asyncio.Task[None] | None = None

    def routes(self) -> Routes:
        """`POST /api/messages`."""
        return {("POST", PATH): self._receive}

    async def start(self) -> None:
        """Fetches keys and a token, so that the first message waits for neither. A failure is logged and tried again
        later; until then `ready` is false.
        """
        if not self._signed:
            return
        use_keys(self._keys)
        await self._warm()
        self._keeper = asyncio.create_task(self._keep_warm())

    async def close(self, within: float = 10.0) -> None:
        """Takes nothing more, waits for what is being answered, and closes every connection.

        Args:
            within: Seconds after which unfinished work is cut off.
        """
        self.deliveries.closing = True
        if self._keeper is not None:
            self._keeper.cancel()
        await self.deliveries.close(within)
        forget_keys(self._keys)
        await self._chat.close()

    def ready(self) -> bool:
        """Whether messages can be checked and answered."""
        if self.deliveries.closing:
            return False
        return not self._signed or (
            self._keys.there and self._chat.token is not None and self._chat.token.there
        )

    async def _warm(self) -> None:
        async def token() -> None:
            if self._chat.token is not None:
                try:
                    await self._chat.token.value()
                except Exception as error:  # noqa: BLE001 - MSAL has no common base
                    log.warning("no token for Teams", reason=type(error).__name__)

        try:
            async with asyncio.timeout(_WARMING):
                await asyncio.gather(self._keys.refresh(), token())
        except TimeoutError:
            log.warning("Teams is slow to give keys and token")

    async def _keep_warm(self) -> None:
        while True:
            await self._clock.sleep(_AGAIN if self.ready() else _AGAIN / 10)
            await self._warm()

    # --- what comes ---

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        try:
            return await self._accept(request)
        except NotRead as error:
            if not error.slow:
                log.info("refused", platform="teams", status=error.status, reason=error.reason)
            self._refused(str(error.status))
            return web.Response(status=error.status)
        except Exception:
            # The channel would deliver it again, and the person would see an error of Teams' own.
            log.exception("unexpected", platform="teams")
            return web.Response(status=HTTPStatus.BAD_REQUEST)

    async def _accept(self, request: web.BaseRequest) -> web.Response:
        if self.deliveries.busy:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
        if request.content_type != "application/json":
            raise NotRead(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not JSON by its own account")
        if not self._signed and not _of_this_machine(request):
            raise NotRead(HTTPStatus.FORBIDDEN, "unsigned, and perhaps from another machine")
        body = _parse(await read_body(request, largest=LARGEST_BODY, within=self._body_within))
        activity = outline(body)
        try:
            who = await self._adapter.bot_framework_authentication.authenticate_request(
                activity, request.headers.get("Authorization", "")
            )
        except Exception as error:  # noqa: BLE001 - the SDK has no common base for what is wrong with a token
            raise NotRead(HTTPStatus.UNAUTHORIZED, f"not authenticated: {type(error).__name__}") from None
        arrival = read(body, tenants=self._tenants, hosts=self._service_hosts, loopback=self._loopback)
        if not arrival.id and arrival.kind is not Kind.OTHER:
            raise NotRead(HTTPStatus.BAD_REQUEST, "no id")

        answer = await self._adapter.process_activity(who, activity, partial(self._turn, arrival))
        if answer is None:
            return web.Response(status=HTTPStatus.ACCEPTED)
        return web.json_response(answer.body, status=int(answer.status))

    async def _turn(self, arrival: Arrival, context: TurnContext) -> None:
        match arrival.kind:
            case Kind.PRESS:
                response = InvokeResponse(status=int(HTTPStatus.OK), body=await self._press(arrival))
                await context.send_activity(Activity(type="invokeResponse", value=response))
            case Kind.FILE:
                self.deliveries.start(self._consented(arrival))
                response = InvokeResponse(status=int(HTTPStatus.OK))
                await context.send_activity(Activity(type="invokeResponse", value=response))
            case Kind.TEXT | Kind.SUBMIT | Kind.INSTALLED:
                self.deliveries.start(self._attend(arrival))
            case Kind.OTHER:
                if not arrival.expects_answer:
                    self.deliveries.start(self._noted(arrival))

    async def _first_time(self, arrival: Arrival) -> bool:
        """Whether this delivery is no repetition; a sentence that comes again is answered again, which changes nothing."""
        key = f"{arrival.place.key}:{arrival.id}"
        return await self.deliveries.first_time(key, lasting=arrival.kind is not Kind.TEXT)

    async def _attend(self, arrival: Arrival) -> None:
        if arrival.person is None or not await self._first_time(arrival):
            return
        if not await self._chat.note(arrival):
            return
        if arrival.kind is Kind.INSTALLED:
            await self._welcome(arrival)
            return
        said: Utterance = Said(arrival.text)
        if arrival.kind is Kind.SUBMIT:
            try:
                said = decode_data(arrival.value)
            except BadArgument as error:
                await self._chat.line(arrival.place, f"{error.sentence} {error.hint}")
                return
        await self._delivery(arrival, said).run()

    async def _consented(self, arrival: Arrival) -> None:
        """Somebody's answer to whether they want a file."""
        if (
            arrival.person is None
            or not await self._first_time(arrival)
            or not await self._chat.note(arrival)
        ):
            return
        said = arrival.value if isinstance(arrival.value, dict) else {}
        address = text_of(part_of(said, "uploadInfo"), "uploadUrl")
        wanted = text_of(said, "action") == "accept"
        try:
            if wanted and not good_upload(address, loopback=self._loopback):
                log.warning("a file was to go to a foreign host", person=arrival.person.key)
                await self._chat.line(arrival.place, "I put files into OneDrive and SharePoint only.")
            else:
                await self._chat.consented(arrival, address if wanted else "")
        except BotError as error:
            log.info("file not handed over", reason=error.sentence)

    async def _press(self, arrival: Arrival) -> Json:
        if arrival.automatic:
            # A client may press by itself whenever a card comes into view. That must never change anything.
            return invoke_message("Press the button yourself.")
        if arrival.person is None:
            return invoke_message(UNKNOWN)
        try:
            said = decode_data(arrival.value)
        except BadArgument as error:
            return invoke_message(f"{error.sentence} {error.hint}")
        if not await self._first_time(arrival):
            return invoke_message("This click has already arrived.")
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.deliveries.start(self._pressed(arrival, said, reply))
        done, _ = await asyncio.wait({reply}, timeout=INVOKE_PATIENCE)
        if not done:
            reply.set_result(invoke_message("Working on it …"))
        return reply.result()

    async def _pressed(self, arrival: Arrival, said: Clicked | Said, reply: asyncio.Future[Json]) -> None:
        if await self._chat.note(arrival):
            await self._delivery(arrival, said, reply).run()
        elif not reply.done():
            reply.set_result(invoke_message(UNKNOWN))

    def _delivery(
        self, arrival: Arrival, said: Clicked | Said, reply: asyncio.Future[Json] | None = None
    ) -> Delivery:
        assert arrival.person is not None
        request = Request(
            id=self._ids(),
            said=said,
            person=arrival.person,
            place=arrival.place,
            message=self._chat.reference(arrival),
            opens_thread=arrival.id == arrival.place.thread,
            private_apart=arrival.place.visibility is not Visibility.PERSONAL,
        )
        return Delivery(self._bot, self._chat, self._clock, request, reply)

    async def _noted(self, arrival: Arrival) -> None:
        """What wants no answer says where the bot is, and costs no question about who."""
        await self._chat.note(replace(arrival, person=None))

    async def _welcome(self, arrival: Arrival) -> None:
        """What a person sees who adds the bot. It asks Celonis nothing: an admin may add it for thousands at once."""
        if arrival.place.visibility is not Visibility.PERSONAL:
            return
        card = Card(
            "I answer questions about your Celonis data",
            blocks=(Text("Say what you want to know, or press the button to see what I can do."),),
            buttons=(Button("Show help", Run(Help())),),
        )
        try:
            await self._chat.post(arrival.place, Answer(card))
        except BotError as error:
            log.info("welcome not delivered", reason=error.sentence)


def _parse(read: bytes) -> dict[str, Any]:
    try:
        body = parse_json(read.decode())
    except (ValueError, RecursionError):
        raise NotRead(HTTPStatus.BAD_REQUEST, "not JSON") from None
    if not isinstance(body, dict):
        raise NotRead(HTTPStatus.BAD_REQUEST, "not a JSON object")
    return body


def _of_this_machine(request: web.BaseRequest) -> bool:
    """Whether a request comes from this machine, under its own name, and from nobody who says that he passes it on."""
    passed_on = any(
        name.casefold() == "forwarded" or name.casefold().startswith("x-forwarded-")
        for name in request.headers
    )
    return not passed_on and is_loopback(request.remote or "") and is_loopback(_host(request))


def _host(request: web.BaseRequest) -> str:
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
