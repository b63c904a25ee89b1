"""Calls of Slack's Web API: one HTTP session for all, 429 obeyed, one call at a time in a conversation."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import structlog
from cachetools import LRUCache
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Secret
from bot.model.clock import Clock
from bot.model.errors import Undelivered

Json: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[], Awaitable[Json]]

log = structlog.get_logger()

TIMEOUT = 10.0
"""Seconds that Slack has to answer."""
LONGEST_WAIT = 60.0
"""Seconds that a call waits for its turn; later what it says is old."""
LONGEST_QUEUE = 20
"""Calls that wait for one conversation; the next one is refused."""
_ATTEMPTS = 4
_PAUSE = 0.5
_LANES = 2000
_TOO_MANY = 429
_SERVER_FAULT = 500
_CODE = re.compile(r"[a-z][a-z0-9_]{1,60}", re.ASCII)

_NO_ENTRY = frozenset(
    [
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "is_inactive",
        "restricted_action",
        "user_not_in_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_non_threadable_channel",
        "cannot_reply_to_message",
        "thread_not_found",
        "messages_tab_disabled",
        "not_allowed_channel",
        "team_access_not_granted",
        "ekm_access_denied",
        "access_denied",
        "mpim_limit_exceeded",
        "posting_to_general_channel_denied",
    ]
)
_GONE = frozenset(
    [
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "cant_edit_message",
        "msg_not_found",
        "streaming_state_conflict",
    ]
)
_UNDRAWABLE = frozenset(
    [
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_too_long",
        "invalid_attachments",
        "too_many_attachments",
        "markdown_text_conflict",
        "no_text",
        "block_mismatch",
        "invalid_arguments",
    ]
)
_NO_TOKEN = frozenset(
    ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"]
)


class Refused(Undelivered):
    """Slack did not do what it was asked.

    Attributes:
        code: Slack's word for it, empty where no usable answer came.
    """

    def __init__(self, sentence: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(sentence, hint=hint, undone="The message was not delivered.")
        self.code = code

    @property
    def no_entry(self) -> bool:
        """Whether the bot may not write into this conversation."""
        return self.code in _NO_ENTRY

    @property
    def gone(self) -> bool:
        """Whether the message to be changed can no longer be changed."""
        return self.code in _GONE

    @property
    def undrawable(self) -> bool:
        """Whether Slack cannot draw what it was given."""
        return self.code in _UNDRAWABLE

    @property
    def no_token(self) -> bool:
        """Whether Slack does not know the bot (any more)."""
        return self.code in _NO_TOKEN


def _explained(code: str, needed: str) -> Refused:
    if code in _NO_ENTRY:
        return Refused(
            "I cannot post in this conversation.",
            code=code,
            hint="Invite me with /invite, or ask in a direct message.",
        )
    if code in _NO_TOKEN:
        return Refused(
            f"Slack does not accept the bot's token ({code}).",
            code=code,
            hint="Install the app again, and give its new token as SLACK_BOT_TOKEN.",
        )
    if code == "missing_scope":
        scope = f" {needed}" if re.fullmatch(r"[a-z:._,]{1,100}", needed) else ""
        return Refused(
            f"The Slack app lacks the scope{scope}.",
            code=code,
            hint="Add it from the manifest, and install the app again.",
        )
    return Refused(f"Slack refused the call ({code}).", code=code)


@dataclass(slots=True)
class _Lane:
    """Calls that come one after the other, and when the next one may."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    open_at: float = 0.0


class WebApi:
    """Slack's Web API for one bot token.

    Every method raises `Refused`; nothing it says holds a token, an address or what was sent.
    """

    def __init__(self, token: Secret, address: str, clock: Clock) -> None:
        """Takes what it works with; connects when first used.

        Args:
            token: The bot's.
            address: Of the API, `https://slack.com/api/` outside tests.
            clock: For waiting.
        """
        self._token = token
        self._address = address if address.endswith("/") else f"{address}/"
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None
        self._lanes: LRUCache[str, _Lane] = LRUCache(_LANES)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The one HTTP session; only inside a running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                # aiohttp then reads ~/.netrc for each request, in a thread, though only a proxy can need it here.
                trust_env=bool(getproxies()),
            )
        return self._session

    def client(self, token: Secret | None = None) -> AsyncWebClient:
        """slack_sdk's client over the one session.

        Args:
            token: Another one than the bot's.
        """
        # Without a level of its own the SDK composes debug lines that nobody will see.
        logger = logging.getLogger("slack_sdk")
        logger.setLevel(logging.WARNING)
        # The SDK's own retries would send a message twice where only the answer was lost.
        return AsyncWebClient(
            token=(token or self._token).reveal(),
            base_url=self._address,
            session=self.session,
            retry_handlers=[],
            logger=logger,
        )

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *, lane: str = "", again: bool = False, **arguments: Any) -> Json:
        """One call.

        Args:
            method: Such as `chat.postMessage`.
            lane: The conversation it writes into; calls into the same one keep their order.
            again: Whether doing it twice is the same as doing it once, so that a lost answer is asked for again.
            arguments: Those that are None or empty text are left out.
        """
        given = {name: value for name, value in arguments.items() if value not in (None, "")}

        async def send() -> Json:
            answer = await self._bot.api_call(method, json=given)
            return answer.data if isinstance(answer.data, dict) else {}

        async with self._turn(lane or method, alone=bool(lane)) as waiting:
            return await self._known(send, waiting, again=again)

    async def form(self, method: str, **arguments: Any) -> Json:
        """One call of a method that takes no JSON."""

        async def send() -> Json:
            answer = await self._bot.api_call(method, data=arguments)
            return answer.data if isinstance(answer.data, dict) else {}

        async with self._turn(method, alone=False) as waiting:
            return await self._known(send, waiting, again=True)

    async def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Answers through a `response_url`, which needs no token and is a secret itself.

        Raises:
            Refused: Also where the address is not Slack's.
        """
        if not self.trusted(url):
            log.warning("response_url of a foreign host")
            raise Refused("This answer was to be sent to an address that is not Slack's.", code="foreign_url")

        async def send() -> Json:
            async with self.session.post(url, json=dict(message), allow_redirects=False) as answer:
                text = await answer.text()
                if answer.status == _TOO_MANY:
                    raise _Wait(answer.headers.get("Retry-After", ""))
                if not answer.ok:
                    raise _explained(text if _CODE.fullmatch(text) else "response_url_failed", "")
                return {}

        async with self._turn(url, alone=True) as waiting:
            await self._persist(send, waiting, again=False)

    async def upload(self, url: str, content: bytes) -> None:
        """Sends a file's bytes to the address that Slack gave for them.

        Raises:
            Refused: Also where the address is not Slack's.
        """
        host = urlsplit(url).hostname or ""
        if not (host == "files.slack.com" and url.startswith("https://")) and not self._own(url):
            raise Refused("Slack gave an address for a file that is not its own.", code="foreign_url")
        try:
            async with self.session.post(url, data=content, allow_redirects=False) as answer:
                if not answer.ok:
                    raise Refused("Slack did not take the file.", code="upload_failed")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused("Slack cannot be reached.", hint="Try again in a minute.") from error

    def trusted(self, url: str) -> bool:
        """Whether a `response_url` may be posted to: `hooks.slack.com`, or the host that stands in for Slack."""
        return url.startswith("https://hooks.slack.com/") or self._own(url)

    def _own(self, url: str) -> bool:
        try:
            given, own = urlsplit(url), urlsplit(self._address)
        except ValueError:
            return False
        stand_in = (own.hostname or "") != "slack.com"
        return stand_in and (given.scheme, given.netloc) == (own.scheme, own.netloc)

    @asynccontextmanager
    async def _turn(self, key: str, *, alone: bool) -> AsyncIterator[_Lane]:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        if lane.waiting >= LONGEST_QUEUE and alone:
            raise _busy()
        lane.waiting += 1
        try:
            if not alone:
                yield lane
                return
            async with lane.turn:
                yield lane
        finally:
            lane.waiting -= 1

    @property
    def _bot(self) -> AsyncWebClient:
        if self._client is None:
            self._client = self.client()
        return self._client

    async def _known(self, send: Send, lane: _Lane, *, again: bool) -> Json:
        """A call as the bot. Where its token came from a file, that is read again once Slack refuses it."""
        try:
            return await self._persist(send, lane, again=again)
        except Refused as error:
            fresh = self._token.read_again()
            if not error.no_token or fresh == self._token:
                raise
            self._token, self._client = fresh, None
            return await self._persist(send, lane, again=again)

    async def _persist(self, send: Send, lane: _Lane, *, again: bool) -> Json:
        give_up = self._clock.monotonic() + LONGEST_WAIT
        attempt = 0
        while True:
            if lane.open_at > give_up:
                raise _busy()
            await self._clock.sleep(lane.open_at - self._clock.monotonic())
            attempt += 1
            try:
                return await self._once(send)
            except _Wait as wait:
                lane.open_at = self._clock.monotonic() + wait.seconds
                log.warning("slack asks to wait", seconds=wait.seconds)
                if attempt >= _ATTEMPTS:
                    raise _busy() from None
            except _Lost as lost:
                if attempt >= _ATTEMPTS or not (again or lost.unsent):
                    raise Refused(
                        "Slack cannot be reached.",
                        hint="It may have got the message all the same." if not lost.unsent else "",
                    ) from lost
                lane.open_at = self._clock.monotonic() + _PAUSE * 2**attempt

    async def _once(self, send: Send) -> Json:
        try:
            answer: Json = await send()
        except SlackApiError as error:
            response = error.response
            status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
            said = response.data if isinstance(getattr(response, "data", None), dict) else {}
            if status == _TOO_MANY or said.get("error") in ("ratelimited", "rate_limited"):
                raise _Wait(response.headers.get("Retry-After", "")) from None
            code = str(said.get("error", ""))
            if status >= _SERVER_FAULT or code in (
                "",
                "fatal_error",
                "internal_error",
                "service_unavailable",
            ):
                raise _Lost(unsent=False) from None
            raise _explained(
                code if _CODE.fullmatch(code) else "unknown", str(said.get("needed", ""))
            ) from None
        except aiohttp.ClientConnectorError as error:
            raise _Lost(unsent=True) from error
        except (aiohttp.ClientError, TimeoutError, SlackClientError, ValueError) as error:
            raise _Lost(unsent=False) from error
        return answer


class _Wait(Exception):
    """429. Slack says for how many seconds (https://docs.slack.dev/apis/web-api/rate-limits)."""

    def __init__(self, retry_after: str) -> None:
        super().__init__()
        try:
            seconds = float(retry_after)
        except ValueError:
            seconds = 1.0
        self.seconds = seconds if math.isfinite(seconds) and seconds > 0 else 1.0


class _Lost(Exception):
    """No usable answer."""

    def __init__(self, *, unsent: bool) -> None:
        super().__init__()
        self.unsent = unsent


def _busy() -> Refused:
    return Refused(
        "Slack takes no more messages from me just now.", code="ratelimited", hint="Try again in a minute."
    )
