"""One request over HTTP, through the governor's door, and what became of it."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from collections import deque
from dataclasses import dataclass
from datetime import datetime

import httpx

from bot.celonis.connection import Caller, Family
from bot.celonis.errors import Reply
from bot.celonis.flights import late
from bot.celonis.governor import Governor, Permit
from bot.celonis.limits.rate_headers import told
from bot.celonis.query import Asked
from bot.config import Connection
from bot.model.clock import Clock, within
from bot.model.errors import CelonisError, UnexpectedReply, Unreachable

AGENT = "celonis-chat"
ACCEPT = "application/json, application/problem+json"
"""Errors have a media type of their own. Source: OpenAPI of the knowledge model API, every 4xx and 5xx."""
NOT_SENT = "No request was sent."
"""What did not happen, in every error that was raised before anything went out."""
REMEMBERED = 200
"""Calls that `debug` can look back on."""
CONNECT_WITHIN = 10.0
"""Seconds."""
MOST_READ = 32 * 1024 * 1024
"""Bytes of a reply that are read, at most."""
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, for `debug`: never a value of its query, never a header.

    Attributes:
        at: When it was sent, or answered from memory (UTC).
        person: On whose account.
        request: For which request of that person; empty for work nobody waits for.
        family: Which API it asks.
        method: HTTP method.
        path: With the names of its parameters, without their values.
        status: None where no answer came.
        seconds: How long it took.
        cached: Nothing was sent.
    """

    at: datetime
    person: str
    request: str
    family: Family
    method: str
    path: str
    status: int | None
    seconds: float
    cached: bool = False


def without_values(asked: Asked) -> str:
    """A request's path with the names of its parameters."""
    names = dict.fromkeys(part.partition("=")[0] for part in asked.query.split("&") if part)
    return asked.path + ("?" + "&".join(f"{name}=…" for name in names) if names else "")


class Wire:
    """The HTTP client of one connection. Redirects and retries below it are off: both would send unseen requests.

    Args:
        connection: Address, time-out, limits.
        clock: For durations and the total time-out.
        transport: Stands in for the network.
    """

    def __init__(
        self, connection: Connection, clock: Clock, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        # httpx logs every address with its query at INFO, and the query holds values of the business.
        for name in ("httpx", "httpcore"):
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        self._connection = connection
        self._clock = clock
        self.records: deque[CallRecord] = deque(maxlen=REMEMBERED)
        room = connection.limits.per_second + 10
        self._reads = self._client(
            transport, httpx.Limits(max_connections=room, max_keepalive_connections=room)
        )
        # A write never goes out on a connection that the server may have closed: its end would be unclear.
        self._writes = self._client(
            transport, httpx.Limits(max_connections=room, max_keepalive_connections=0)
        )

    def _client(self, transport: httpx.AsyncBaseTransport | None, limits: httpx.Limits) -> httpx.AsyncClient:
        seconds = self._connection.timeout
        return httpx.AsyncClient(
            base_url=self._connection.url,
            follow_redirects=False,
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_WITHIN, seconds)),
            limits=limits,
            trust_env=not self._connection.sandbox,
            headers={"User-Agent": AGENT, "Accept": ACCEPT},
            transport=transport,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._reads.aclose()
        await self._writes.aclose()

    def remember(self, caller: Caller, family: Family, shown: str) -> None:
        """Notes a question that was answered without a call."""
        method, _, path = shown.partition(" ")
        self.records.append(
            CallRecord(
                self._clock.now(), caller.person, caller.request, family, method, path, None, 0.0, cached=True
            )
        )

    async def send(
        self,
        governor: Governor,
        permit: Permit,
        asked: Asked,
        *,
        authorization: str,
        caller: Caller,
        write: bool = False,
        form: bytes | None = None,
    ) -> Reply:
        """Sends one request, now.

        Args:
            governor: Hears how it ended.
            permit: From it.
            asked: The request.
            authorization: The header's value.
            caller: On whose account.
            write: It changes something: a connection of its own.
            form: A form body in place of the request's own.

        Raises:
            Unreachable: No answer. `permit` is settled in any case.
            UnexpectedReply: More bytes than anybody should read.
        """
        started = self._clock.monotonic()
        at = self._clock.now()
        status: list[int] = []
        family = Family.of(asked.path)
        caller.usage.calls[family] += 1
        try:
            return await within(
                self._clock,
                self._connection.timeout,
                self._exchange(
                    governor,
                    permit,
                    self._request(asked, authorization, form, write=write),
                    status,
                    write=write,
                ),
            )
        except TimeoutError:
            governor.failed(permit, sent=True)
            raise late() from None
        except Unreachable as error:
            if error.undone == NOT_SENT:
                caller.usage.calls[family] -= 1
            raise
        finally:
            took = self._clock.monotonic() - started
            self.records.append(
                CallRecord(
                    at,
                    caller.person,
                    caller.request,
                    family,
                    asked.method,
                    without_values(asked),
                    status[0] if status else None,
                    took,
                )
            )

    def _request(self, asked: Asked, authorization: str, form: bytes | None, *, write: bool) -> httpx.Request:
        headers = {"Authorization": authorization}
        content = form
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif asked.body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(asked.body, ensure_ascii=False, separators=(",", ":")).encode()
        client = self._writes if write else self._reads
        return client.build_request(asked.method, asked.target, headers=headers, content=content)

    async def _exchange(
        self,
        governor: Governor,
        permit: Permit,
        request: httpx.Request,
        status: list[int],
        *,
        write: bool,
    ) -> Reply:
        client = self._writes if write else self._reads
        settled = False
        try:
            response = await client.send(request, stream=True)
            try:
                status.append(response.status_code)
                headers = {name.lower(): value for name, value in response.headers.items()}
                at = self._clock.now()
                if response.status_code != TOO_MANY:
                    governor.answered(permit, response.status_code, told(headers, at))
                    settled = True
                body = await self._body(response)
                if not settled:
                    text = body.decode("utf-8", "replace")
                    governor.answered(permit, response.status_code, told(headers, at, text=text))
                    settled = True
                return Reply(response.status_code, headers, body, at)
            finally:
                await response.aclose()
        except _BEFORE_SENDING as error:
            governor.failed(permit, sent=False)
            settled = True
            raise unreachable(error, self._connection) from error
        except httpx.HTTPError as error:
            if not settled:
                governor.failed(permit, sent=True)
                settled = True
            raise unreachable(error, self._connection) from error
        except CelonisError:
            raise
        finally:
            if not settled:
                governor.abandoned(permit)

    async def _body(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MOST_READ:
                raise UnexpectedReply(
                    f"{self._connection.name} sent more than {MOST_READ // 2**20} MB; the bot stopped reading.",
                    hint="Ask for less at once.",
                    status=response.status_code,
                )
            parts.append(part)
        return b"".join(parts)


def unreachable(error: httpx.HTTPError, connection: Connection) -> Unreachable:
    """The error for a request that got no usable answer, by what stood in its way."""
    host = connection.scope
    causes = _causes(error)
    if any(isinstance(each, socket.gaierror) for each in causes):
        return Unreachable(
            f"There is no host {host}.",
            hint="The bot's admin should check team and cluster in the settings, and the machine's name service.",
            undone=NOT_SENT,
        )
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return Unreachable(
            f"The connection to {host} cannot be trusted (TLS).",
            hint="A proxy may stand in between; the bot's admin should check the machine's certificates.",
            undone=NOT_SENT,
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return Unreachable(
            f"{host} cannot be reached.",
            hint="Try again in a minute; if it stays so, the bot's admin should check the network.",
            undone=NOT_SENT,
        )
    if isinstance(error, httpx.TimeoutException):
        return late()
    return Unreachable(
        f"{host} broke off its answer.",
        hint="Try again in a minute.",
        undone="There is no answer.",
    )


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo and len(found) < 20:  # noqa: PLR2004 - chains are short
        each = todo.pop()
        if each is not None and each not in found:
            found.append(each)
            todo += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                todo += each.exceptions
    return found
