"""The one door to Celonis: an httpx transport through which every request goes, tokens and tries again included.

A request brings its `Purpose` in `request.extensions["purpose"]`. It waits until the limiter of its API family lets it
through, goes out once, and its reply is read whole. Redirects and retries below are off: both would send unseen
requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import httpx

from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.limits.limiter import Limiter, Permit
from bot.celonis.limits.rate_headers import rate_headers
from bot.celonis.request import Call, Caller, Family, without_values
from bot.config import Connection
from bot.model.clock import Clock

REMEMBERED = 200
"""Calls that `debug` can look back on."""
MOST_READ = 32 * 1024 * 1024
"""Bytes of a reply that are read, at most."""
BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""What goes wrong before any of a request has left."""
_TOO_MANY = 429
_NO_LONGER = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Oversized(httpx.TransportError):
    """A reply of more bytes than anybody should read."""


class CallRecord(NamedTuple):
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


class _Answered(NamedTuple):
    """What was answered from memory; nearly every request is, so it is written out only for whoever looks."""

    at: datetime
    person: str
    request: str
    calls: Sequence[tuple[Call, object]]

    def records(self) -> Iterator[CallRecord]:
        """Newest first."""
        for call, _ in reversed(self.calls):
            yield CallRecord(
                self.at, self.person, self.request, call.family, call.method, call.shown, None, 0.0, True
            )


class LimitedTransport(httpx.AsyncBaseTransport):
    """Of one connection.

    Args:
        connection: Time-out and limits.
        limiters: Of the team, by API family.
        clock: For what is remembered.
        network: Stands in for the network.
    """

    def __init__(
        self,
        connection: Connection,
        limiters: Mapping[Family, Limiter],
        clock: Clock,
        network: httpx.AsyncBaseTransport | None,
    ) -> None:
        # httpx logs every address with its query at INFO, and the query holds values of the business.
        for name in ("httpx", "httpcore"):
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        self._limiters = limiters
        self._clock = clock
        self._timeout = connection.timeout
        self._records: deque[CallRecord | _Answered] = deque(maxlen=REMEMBERED)
        room = connection.limits.per_second + 10

        def pool(kept: int) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                transport=network,
                trust_env=not connection.sandbox,
                limits=httpx.Limits(max_connections=room, max_keepalive_connections=kept),
            )

        self._reads = pool(room)
        # A write never goes out on a connection that the server may have closed: its end would be unclear.
        self._writes = pool(0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request when its limiter lets it through.

        Returns:
            The reply, read whole.

        Raises:
            BotError: It was refused before sending; see `Limiter.admit`.
            httpx.TransportError: There is no reply. One of `BEFORE_SENDING`: nothing was sent.
        """
        purpose: Purpose = request.extensions["purpose"]
        limiter = self._limiters[Family.of(request.url.path)]
        permit = await limiter.admit(purpose)
        if purpose.before_write is not None and request.extensions.get("is_write"):
            try:
                purpose.before_write()
            except BaseException:
                limiter.unsent(permit)
                raise
        return await self._sent(request, purpose, limiter, permit)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._reads.aclose()
        await self._writes.aclose()

    @property
    def records(self) -> Iterator[CallRecord]:
        """The newest calls, newest first."""
        for each in reversed(self._records):
            if isinstance(each, CallRecord):
                yield each
            else:
                yield from each.records()

    def remember(self, caller: Caller, calls: Sequence[tuple[Call, object]]) -> None:
        """Notes what was answered without a call.

        Args:
            caller: For whom.
            calls: What was asked, each with whatever belongs to it.
        """
        self._records.append(_Answered(self._clock.now(), caller.person, caller.request, calls))

    async def _sent(
        self, request: httpx.Request, purpose: Purpose, limiter: Limiter, permit: Permit
    ) -> httpx.Response:
        at, started, caller = self._clock.now(), self._clock.monotonic(), purpose.caller
        family, status = Family.of(request.url.path), None
        purpose.calls += 1
        purpose.in_air += 1
        caller.usage.calls[family] += 1
        pool = self._writes if request.extensions.get("is_write") else self._reads
        try:
            async with asyncio.timeout(self._timeout):
                response = await pool.send(request, stream=True)
                try:
                    status, now = response.status_code, self._clock.now()
                    if status != _TOO_MANY:
                        limiter.answered(permit, status, rate_headers(response.headers, now))
                    whole = await _whole(response)
                    if status == _TOO_MANY:
                        limiter.answered(permit, status, rate_headers(response.headers, now, text=whole.text))
                    return whole
                finally:
                    await response.aclose()
        except BEFORE_SENDING:
            caller.usage.calls[family] -= 1
            limiter.failed(permit, sent=False)
            raise
        except (TimeoutError, httpx.HTTPError) as error:
            limiter.failed(permit, sent=True)
            if isinstance(error, TimeoutError):
                raise httpx.ReadTimeout("the reply took too long", request=request) from error
            raise
        finally:
            limiter.abandoned(permit)
            purpose.in_air -= 1
            path = without_values(
                request.url.raw_path.partition(b"?")[0].decode(), request.url.query.decode()
            )
            took = self._clock.monotonic() - started
            self._records.append(
                CallRecord(at, caller.person, caller.request, family, request.method, path, status, took)
            )


async def _whole(response: httpx.Response) -> httpx.Response:
    """A reply with its body, decoded."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MOST_READ:
            raise Oversized(f"more than {MOST_READ // 2**20} MB")
        parts.append(part)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _NO_LONGER]
    return httpx.Response(response.status_code, headers=headers, content=b"".join(parts))
