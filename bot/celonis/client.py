"""One connection's requests over HTTP: reads that are tried again where that can help, writes that never are."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bot.celonis.auth import CelonisAuth, Identity
from bot.celonis.cache import Cache
from bot.celonis.errors import Tried, is_web_page, no_reply, payload, refusal
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.limits.limiter import Limiter
from bot.celonis.limits.transport import LimitedTransport
from bot.celonis.models import CancelRuns, JobRun, Me, StartRun
from bot.celonis.request import Call, Caller, Family
from bot.config import Connection
from bot.model.approval import Approval
from bot.model.clock import Clock
from bot.model.errors import (
    NOT_SENT,
    ApprovalSpent,
    CelonisError,
    NotAllowed,
    OutcomeUnknown,
    RateLimited,
    ServerFault,
    UnexpectedReply,
    Unreachable,
)

AGENT = "celonis-chat"
ACCEPT = "application/json, application/problem+json"
"""Errors have a media type of their own. Source: OpenAPI of the knowledge model API, every 4xx and 5xx."""
CONNECT_WITHIN = 10.0
"""Seconds."""
SPAN = 60.0
"""Seconds whose calls decide how many tries again there may be."""
PART = 10
"""One try again for so many calls, so that they never make trouble worse."""
_PASSING = frozenset({500, 502, 503, 504})
_TIMED_OUT = 408


class RetryBudget:
    """How many reads of a connection may be tried again: a tenth of a minute's calls. Moments are monotonic seconds.

    Args:
        least: Tries again that are granted in a minute however little was asked: those of one read.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._calls: deque[float] = deque()
        self._taken: deque[float] = deque()

    def called(self, now: float) -> None:
        """A request goes out, a first try or another one."""
        self._calls.append(now)
        self._forget(now)

    def take(self, now: float) -> bool:
        """Whether one more try is granted; a granted one counts."""
        self._forget(now)
        if len(self._taken) >= max(self._least, len(self._calls) // PART):
            return False
        self._taken.append(now)
        return True

    def _forget(self, now: float) -> None:
        for moments in (self._calls, self._taken):
            while moments and moments[0] <= now - SPAN:
                moments.popleft()


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the bot is in Celonis: kind of key, the end of it, and whose it is."""

    identity: Identity
    tail: str
    email: str = ""
    name: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.identity is Identity.USER and (self.name or self.email):
            return f"user key of {self.email or self.name}"
        return str(self.identity)


class Client:
    """The HTTP client of one connection.

    Args:
        connection: Address, credential, time-outs.
        limiters: Of the team, by API family.
        clock: For waiting.
        transport: Stands in for the network.
        random: From 0 to 1; for waiting times.

    Attributes:
        connection: The same.
        clock: The same.
        cache: What was answered lately; forgotten when another key is tried.
        auth: What the bot is in Celonis.
        me: Whose key it is, as `/api/cloud` said; None for an application key, and before it was asked.
        transport: The one door; has the records of the newest calls.
    """

    def __init__(
        self,
        connection: Connection,
        limiters: Mapping[Family, Limiter],
        *,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None,
        random: Callable[[], float],
    ) -> None:
        self.connection = connection
        self._limiters = limiters
        self.clock = clock
        self._random = random
        self._retries = RetryBudget(connection.total_retry)
        self.cache = Cache(clock)
        self.me: Me | None = None
        self.auth = CelonisAuth(connection, clock, self.cache.clear)
        self._write_auth = (
            CelonisAuth(connection, clock, lambda: None, connection.write_key)
            if connection.write_key is not None
            else self.auth
        )
        self.transport = LimitedTransport(connection, limiters, clock, transport)
        seconds = connection.timeout
        self._http = httpx.AsyncClient(
            base_url=connection.url,
            auth=self.auth,
            transport=self.transport,
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_WITHIN, seconds)),
            headers={"User-Agent": AGENT, "Accept": ACCEPT},
        )

    def key(self) -> KeyInfo:
        """What the bot is in Celonis, as far as it is known without asking."""
        me = self.me or Me()
        return KeyInfo(self.auth.identity, self.auth.tail, me.email, me.name)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def send(
        self,
        purpose: Purpose,
        call: Call,
        *,
        is_write: bool = False,
        authorization: str | None = None,
        for_writes: bool = False,
    ) -> httpx.Response:
        """Sends one request, once; after a 401 once more where there is another key or token to try.

        Args:
            purpose: For whom.
            call: The request.
            is_write: It changes something.
            authorization: A header's value in place of the connection's own.
            for_writes: It is sent with the key for writes, and changes nothing.

        Raises:
            BotError: It was refused before sending.
            Unreachable: There is no reply; `undone` is `NOT_SENT` where nothing had left.
            UnexpectedReply: More bytes than anybody should read.
        """
        headers, content = {}, None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(call.body, ensure_ascii=False, separators=(",", ":")).encode()
        extensions = {"purpose": purpose, "is_write": is_write}
        request = self._http.build_request(
            call.method, call.target, headers=headers, content=content, extensions=extensions
        )

        def as_given(request: httpx.Request) -> httpx.Request:
            request.headers["Authorization"] = authorization or ""
            return request

        own = self._write_auth if is_write or for_writes else self.auth
        auth = own if authorization is None else as_given
        before = purpose.calls
        try:
            return await self._http.send(request, auth=auth)
        except httpx.HTTPError as error:
            raise no_reply(error, self.connection) from error
        finally:
            for _ in range(purpose.calls - before):
                self._retries.called(self.clock.monotonic())

    async def read(self, purpose: Purpose, call: Call, *, empty: bool = False) -> Any:
        """Sends a read, again where that can help, and returns its JSON.

        Args:
            purpose: For whom.
            call: The request.
            empty: An empty 200 is an answer (None).

        Raises:
            CelonisError: The answer is an error, or there is none.
            QuotaExhausted: It cannot be sent in time.
        """
        tries = supported = 0
        while True:
            before = purpose.calls
            try:
                reply = await self.send(purpose, call)
                if not reply.is_success:
                    raise refusal(reply, connection=self.connection, family=call.family, now=self.clock.now())
                if empty and not reply.content.strip():
                    return None
                found = payload(reply, connection=self.connection)
                purpose.size += len(reply.content)
            except CelonisError as error:
                supported += bool(error.support_id)
                # What was not sent failed for reasons that hold.
                hopeless = purpose.calls == before or supported > 1 or not _passing(error)
                wait = self._random() * self.connection.backoff_factor * 2**tries
                if (
                    hopeless
                    or tries == self.connection.total_retry
                    or not self._may_retry(purpose, call.family, wait)
                ):
                    raise
            else:
                return found
            tries += 1
            await self.clock.sleep(wait)

    def _may_retry(self, purpose: Purpose, family: Family, wait: float) -> bool:
        limiter, now = self._limiters[family], self.clock.monotonic()
        # A pause is waited for by the limiter.
        in_time = now + max(wait, limiter.paused_for()) < purpose.deadline
        return in_time and limiter.may_retry() and self._retries.take(now)

    async def try_write_key(self, caller: Caller) -> None:
        """Finds out with a read whether Celonis accepts the key for writes, and of which kind it is: a write is never sent
        twice to do so. Without such a key, and where it is known, nothing is asked.

        Raises:
            Unauthorized: It does not.
            CelonisError: Celonis cannot be asked.
        """
        if self._write_auth is self.auth or self._write_auth.proven:
            return
        call = Call("GET", "/api/cloud/team")
        reply = await self.send(Purpose(caller), call, for_writes=True)
        if reply.status_code == httpx.codes.UNAUTHORIZED:
            raise refusal(
                reply,
                connection=self.connection,
                family=call.family,
                now=self.clock.now(),
                key="key for writes",
            )

    async def carry_out(
        self,
        approval: Approval[CancelRuns] | Approval[StartRun],
        part: JobRun | StartRun,
        caller: Caller,
        call: Call,
        tried: Tried,
    ) -> None:
        """Sends one confirmed write: once, whatever ledger, pause and breaker say, and never again.

        Args:
            approval: Covers the part.
            part: What of its target is hit.
            caller: On whose behalf.
            call: The request.
            tried: What it does, for a refusal.

        Raises:
            NotAllowed: The connection is read-only. Nothing was sent.
            ApprovalSpent: The approval does not cover this, or no longer. Nothing was sent.
            OutcomeUnknown: It was sent, and what became of it is not known.
            CelonisError: Celonis refused it, or it could not be sent.
        """
        connection = self.connection
        if connection.read_only:
            raise NotAllowed(
                f"{connection.name} is set to read-only: nothing is ever changed there.",
                hint="The bot's admin can change that in the settings.",
                rule="read_only",
            )
        if approval.target.connection != connection.name:
            raise ApprovalSpent(
                "This was confirmed for another Celonis team.", hint="Ask again.", undone="Nothing was sent."
            )
        await self.try_write_key(caller)
        spent = False

        def spend() -> None:
            nonlocal spent
            approval.use(part)
            spent = True

        try:
            reply = await self.send(Purpose(caller, before_write=spend), call, is_write=True)
        except (Unreachable, UnexpectedReply) as error:
            if not spent or error.undone == NOT_SENT:
                raise
            how = "has not answered" if isinstance(error, Unreachable) else "its answer cannot be read"
            raise OutcomeUnknown(f"Celonis was told, and {how}. It may have worked.") from error
        if reply.is_success:
            return
        status = reply.status_code
        refused = refusal(
            reply,
            connection=connection,
            family=call.family,
            now=self.clock.now(),
            write=tried,
            key="key" if connection.write_key is None else "key for writes",
        )
        if reply.is_client_error and status != _TIMED_OUT and not is_web_page(reply):
            raise refused
        raise OutcomeUnknown(
            f"Celonis was told, and answered with an error (HTTP {status}). It may have worked all the same.",
            status=status,
            support_id=refused.support_id,
        )


def _passing(error: CelonisError) -> bool:
    match error:
        case ServerFault(status=status):
            return status in _PASSING
        case _:
            return isinstance(error, RateLimited | Unreachable)
