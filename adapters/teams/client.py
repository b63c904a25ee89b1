"""The Bot Connector's REST interface, as far as a bot in Teams needs it, over one session.

The calls are those of https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference.
Which statuses are worth another attempt is said by
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit: 412, 429, 502 and 504, with a back-off that
grows and is spread by chance.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from adapters.teams.payloads import part_of, text_of
from adapters.teams.sdk import Token
from bot.model.clock import Clock
from bot.model.errors import Undelivered

log = structlog.get_logger()

Json: TypeAlias = dict[str, Any]

RETRIED = frozenset({412, 429, 502, 504})
ATTEMPTS = 5
FIRST_WAIT = 1.0
"""Seconds; attempt n is followed by a wait of at most this times 2^(n-1)."""
LONGEST_WAIT = 20.0
"""Seconds; where the channel wants more, the message is given up and the answer says so in the log."""
_PATIENCE = aiohttp.ClientTimeout(total=15, connect=5)
_UPLOADING = aiohttp.ClientTimeout(total=60, connect=5)
_LARGEST_REPLY = 1024 * 1024


class Refused(Undelivered):
    """The channel answered with an error.

    Attributes:
        status: HTTP status; 0 where no answer came.
        code: The channel's own word for it, empty where there is none.
    """

    def __init__(self, sentence: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(
            sentence,
            hint="The bot's admin finds the status in its log.",
            undone="The message was not delivered.",
        )
        self.status = status
        self.code = code


@dataclass(slots=True)
class Connector:
    """Sends to whatever service URL an authenticated message has named.

    Attributes:
        session: Shared by everything that is sent.
        clock: For waiting.
        chance: A number from 0 up to 1 for each call, which spreads the attempts of many.
        token: None only where the bot has no registration (development).
    """

    session: aiohttp.ClientSession
    clock: Clock
    chance: Callable[[], float]
    token: Token | None = field(default=None, repr=False)

    async def send(self, service: str, conversation: str, activity: Json | bytes) -> str:
        """Posts a message, and gives its id. Raises `Refused`."""
        return text_of(
            await self._call("POST", service, ("conversations", conversation, "activities"), activity), "id"
        )

    async def update(self, service: str, conversation: str, message: str, activity: bytes) -> None:
        """Replaces a message. Raises `Refused`."""
        await self._call(
            "PUT",
            service,
            ("conversations", conversation, "activities", message),
            _with_id(activity, message),
        )

    async def create(self, service: str, parameters: Json) -> str:
        """Makes a conversation, or finds the one there is, and gives its id. Raises `Refused`."""
        return text_of(await self._call("POST", service, ("conversations",), parameters), "id")

    async def member(self, service: str, conversation: str, user: str) -> Mapping[str, Any]:
        """What the channel knows of a member of a conversation. Raises `Refused`."""
        return await self._call("GET", service, ("conversations", conversation, "members", user), None)

    async def members(self, service: str, conversation: str) -> Mapping[str, Any]:
        """The first page of a conversation's members, at most 500. Raises `Refused`."""
        path = ("conversations", conversation, "pagedmembers")
        return await self._call("GET", service, path, None, query="?pageSize=500")

    async def upload(self, address: str, content: bytes) -> None:
        """Puts a file where a person agreed to have it: an address of OneDrive that holds its own permission, so no
        token of the bot's goes with it. Raises `Refused`.
        """
        last = len(content) - 1
        headers = {"Content-Type": "text/csv", "Content-Range": f"bytes 0-{last}/{len(content)}"}
        try:
            async with self.session.put(
                URL(address, encoded=True),
                data=content,
                headers=headers,
                timeout=_UPLOADING,
                allow_redirects=False,
            ) as reply:
                status = reply.status
        except (aiohttp.ClientError, TimeoutError):
            raise Refused("OneDrive did not answer.") from None
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise Refused(f"OneDrive did not take the file (HTTP {status}).", status=status)

    async def _call(
        self, method: str, service: str, path: tuple[str, ...], body: Json | bytes | None, *, query: str = ""
    ) -> Mapping[str, Any]:
        address = URL(
            service.rstrip("/") + "/v3/" + "/".join(quote(each, safe="") for each in path) + query,
            encoded=True,
        )
        data = encoded(body) if isinstance(body, dict) else body
        renewed = False
        attempt = 1
        while True:
            failed, wait = await self._attempt(method, address, data)
            if isinstance(failed, Mapping):
                return failed
            if failed.status == HTTPStatus.UNAUTHORIZED and self.token is not None and not renewed:
                self.token.drop()
                renewed = True
                continue
            if wait is None or attempt == ATTEMPTS or wait > LONGEST_WAIT:
                log.warning("not delivered", status=failed.status, code=failed.code, attempts=attempt)
                raise failed
            spread = FIRST_WAIT * 2 ** (attempt - 1) * self.chance()
            await self.clock.sleep(min(LONGEST_WAIT, wait + spread))
            attempt += 1

    async def _attempt(
        self, method: str, address: URL, data: bytes | None
    ) -> tuple[Mapping[str, Any] | Refused, float | None]:
        """One attempt: the reply, or what went wrong and the least seconds to wait before another one, if it is worth any."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token is not None:
            try:
                headers["Authorization"] = f"Bearer {await self.token.value()}"
            except Exception as error:  # noqa: BLE001 - MSAL has no common base, and its text may hold the request
                log.warning("no token for sending", reason=type(error).__name__)
                return Refused("Microsoft gave no token for sending."), None
        try:
            async with self.session.request(
                method, address, data=data, headers=headers, timeout=_PATIENCE, allow_redirects=False
            ) as reply:
                read = await reply.content.read(_LARGEST_REPLY)
                status, asked = reply.status, reply.headers.get("Retry-After")
        except aiohttp.ClientConnectorError:
            return Refused("Teams cannot be reached."), 0.0
        except (aiohttp.ClientError, TimeoutError) as error:
            # A message that may have arrived is not posted a second time; replacing or reading it again does no harm.
            log.info("no answer from the channel", reason=type(error).__name__, method=method)
            return Refused("Teams did not answer."), None if method == "POST" else 0.0
        parsed = _parsed(read)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return parsed, None
        refused = Refused(
            f"Teams did not take a message (HTTP {status}).",
            status=status,
            code=text_of(part_of(parsed, "error"), "code")[:80],
        )
        return refused, self._wanted(asked) if status in RETRIED else None

    def _wanted(self, asked: str | None) -> float:
        """Seconds that `Retry-After` asks for: a number, or a moment (RFC 9110, section 10.2.3)."""
        if not asked:
            return 0.0
        if asked.isascii() and asked.isdigit():
            return float(asked[:6])
        try:
            moment = parsedate_to_datetime(asked)
        except ValueError:
            return 0.0
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - self.clock.now()).total_seconds())


def encoded(body: Json) -> bytes:
    """JSON as it is sent."""
    return json.dumps(body, separators=(",", ":")).encode()


def _with_id(activity: bytes, message: str) -> bytes:
    return activity[:-1] + b',"id":' + json.dumps(message).encode() + b"}"


def _parsed(read: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(read) if read else {}
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
