"""Calls of Slack's Web API: one HTTP session for all, 429 obeyed, one call at a time in a conversation."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies

import aiohttp
import structlog
from cachetools import LRUCache

from bot.config import Secret
from bot.model.clock import Clock
from bot.model.errors import Undelivered

Json: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[], Awaitable[Json]]

log = structlog.get_logger()

TIMEOUT = 10.0
"""Seconds that Slack has to answer."""
UPLOAD_TIMEOUT = 60.0
"""Seconds that sending a file may take."""
LONGEST_WAIT = 60.0
"""Seconds that a call waits for its turn; later what it says is old."""
LONGEST_QUEUE = 20
"""Calls that wait for one conversation; the next one is refused."""
_ATTEMPTS = 4
_PAUSE = 0.5
_LANES = 2000
_JSON = "application/json; charset=utf-8"
_FORM = "application/x-www-form-urlencoded"
_TOO_MANY = 429
_SERVER_FAULT = 500
_encoded = json.JSONEncoder(separators=(",", ":")).encode
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
        own = urlsplit(address)
        stand_in = (
            "https://hooks.slack.com" if own.hostname == "slack.com" else f"{own.scheme}://{own.netloc}"
        )
        self._hooks = ("https://hooks.slack.com/", f"{stand_in}/")
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
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

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, *, lane: str = "", again: bool = False, message: bytes = b"", **arguments: Any
    ) -> Json:
        """One call.

        Args:
            method: Such as `chat.postMessage`.
            lane: The conversation it writes into; calls into the same one keep their order.
            again: Whether doing it twice is the same as doing it once, so that a lost answer is asked for again.
            message: What is written, from `adapters.slack.blocks.encoded`.
            arguments: Those that are None or empty text are left out.
        """
        given = {name: value for name, value in arguments.items() if value not in (None, "")}
        return await self._in_turn(method, _joined(given, message), _JSON, lane=lane, again=again)

    async def form(self, method: str, **arguments: str) -> Json:
        """One call of a method that takes no JSON."""
        return await self._in_turn(method, urlencode(arguments).encode(), _FORM, again=True)

    async def upload(self, url: str, content: bytes) -> None:
        """Sends a file to the address that `files.getUploadURLExternal` gave; the address itself is the permission.

        Raises:
            Refused: Also where the address is not Slack's.
        """
        own, given = urlsplit(self._address), urlsplit(url)
        of_slack = given.scheme == "https" and (given.hostname or "").endswith(".slack.com")
        if not of_slack and (given.scheme, given.netloc) != (own.scheme, own.netloc):
            log.warning("upload address of a foreign host")
            raise Refused("This file was to be sent to an address that is not Slack's.", code="foreign_url")
        headers = {"Content-Type": "application/octet-stream"}
        timeout = aiohttp.ClientTimeout(total=UPLOAD_TIMEOUT)
        try:
            async with self.session.post(
                url, data=content, headers=headers, allow_redirects=False, timeout=timeout
            ) as answer:
                if not answer.ok:
                    raise Refused("Slack did not take the file.", code="upload_failed")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused("Slack cannot be reached.", hint="Ask for the file again.") from error

    async def respond(self, url: str, how: Json, message: bytes) -> None:
        """Answers through a `response_url`, which needs no token and is a secret itself.

        Raises:
            Refused: Also where the address is not Slack's.
        """
        if not self.trusted(url):
            log.warning("response_url of a foreign host")
            raise Refused("This answer was to be sent to an address that is not Slack's.", code="foreign_url")

        body = _joined(how, message)

        async def send() -> Json:
            headers = {"Content-Type": _JSON}
            async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                read = await answer.read()
                if answer.status == _TOO_MANY:
                    raise _Wait(answer.headers.get("Retry-After", ""))
                if not answer.ok:
                    text = read.decode(errors="replace")
                    raise _explained(text if _CODE.fullmatch(text) else "response_url_failed", "")
                return {}

        await self._persist(send, _Lane(), again=False)

    def trusted(self, url: str) -> bool:
        """Whether a `response_url` may be posted to: `hooks.slack.com`, or the host that stands in for Slack."""
        return url.startswith(self._hooks)

    async def _in_turn(self, method: str, body: bytes, kind: str, *, again: bool, lane: str = "") -> Json:
        """A call as the bot, after those into the same conversation; where it is into none, at once."""
        key = lane or method
        queue = self._lanes.get(key)
        if queue is None:
            queue = self._lanes[key] = _Lane()
        if not lane:
            return await self._as_bot(method, body, kind, queue, again=again)
        if queue.waiting >= LONGEST_QUEUE:
            raise _busy()
        queue.waiting += 1
        try:
            async with queue.turn:
                return await self._as_bot(method, body, kind, queue, again=again)
        finally:
            queue.waiting -= 1

    async def _as_bot(self, method: str, body: bytes, kind: str, lane: _Lane, *, again: bool) -> Json:
        """A call as the bot. Where its token came from a file, that is read again once Slack refuses it."""

        async def send() -> Json:
            headers = {"Authorization": f"Bearer {self._token.reveal()}", "Content-Type": kind}
            address = self._address + method
            async with self.session.post(
                address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return _understood(answer.status, answer.headers, await answer.read())

        try:
            return await self._persist(send, lane, again=again)
        except Refused as error:
            fresh = self._token.read_again()
            if not error.no_token or fresh == self._token:
                raise
            self._token = fresh
            return await self._persist(send, lane, again=again)

    async def _persist(self, send: Send, lane: _Lane, *, again: bool) -> Json:
        give_up = self._clock.monotonic() + LONGEST_WAIT
        attempt = 0
        while True:
            if lane.open_at > give_up:
                raise _busy()
            if (closed := lane.open_at - self._clock.monotonic()) > 0:
                await self._clock.sleep(closed)
            attempt += 1
            try:
                return await send()
            except _Wait as wait:
                lane.open_at = self._clock.monotonic() + wait.seconds
                log.warning("slack asks to wait", seconds=wait.seconds)
                if attempt >= _ATTEMPTS:
                    raise _busy() from None
            except (_Lost, aiohttp.ClientError, TimeoutError, ValueError) as error:
                unsent = isinstance(error, aiohttp.ClientConnectorError)
                if attempt >= _ATTEMPTS or not (again or unsent):
                    raise Refused(
                        "Slack cannot be reached.",
                        hint="It may have got the message all the same." if not unsent else "",
                    ) from error
                lane.open_at = self._clock.monotonic() + _PAUSE * 2**attempt


def _joined(given: Json, message: bytes) -> bytes:
    written = _encoded(given).encode()
    return written[:-1] + b"," + message if message else written


def _understood(status: int, headers: Mapping[str, str], read: bytes) -> Json:
    """What Slack answered to a call (https://docs.slack.dev/apis/web-api)."""
    if status == _TOO_MANY:
        raise _Wait(headers.get("Retry-After", ""))
    if status >= _SERVER_FAULT:
        raise _Lost
    said: object = json.loads(read)
    if not isinstance(said, dict):
        raise _Lost
    if said.get("ok") is True:
        return said
    code = str(said.get("error", ""))
    if code in ("ratelimited", "rate_limited"):
        raise _Wait(headers.get("Retry-After", ""))
    if code in ("", "fatal_error", "internal_error", "service_unavailable"):
        raise _Lost
    raise _explained(code if _CODE.fullmatch(code) else "unknown", str(said.get("needed", "")))


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


def _busy() -> Refused:
    return Refused(
        "Slack takes no more messages from me just now.", code="ratelimited", hint="Try again in a minute."
    )
