"""A Celonis team without sockets, for virtual time: it notes when each request arrives and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from bot.celonis import Api, Caller, Celonis, Lane
from bot.config import Connection, KeyType, Limits, Secret
from bot.store.ledger import Ledger
from tests.fakes import LoopClock, MemoryLedger

SECRET = "NmYxYzY0ODAtMTIzNC00ZjRmLTkwYWItYWJjZGVmMDEyMzQ1OnNlY3JldC1vZi10aGUtdGVzdHM="
Answers: TypeAlias = Callable[["Arrival"], httpx.Response | Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request, when the server saw it."""

    at: float
    method: str
    path: str
    query: str
    authorization: str
    body: bytes


def rows(*values: object, page_size: int = 50) -> httpx.Response:
    """A page of data."""
    header = {"id": "a", "name": "A", "type": "string"}
    return httpx.Response(
        200,
        json={
            "page": 0,
            "pageSize": page_size,
            "content": {"headers": [header], "data": [{"a": value} for value in values]},
        },
    )


def listed(*ids: str, page_size: int = 50) -> httpx.Response:
    """A page of a list."""
    return httpx.Response(
        200, json={"page": 0, "pageSize": page_size, "content": [{"id": each, "name": each} for each in ids]}
    )


def too_many(**headers: str) -> httpx.Response:
    """A 429 with these headers (underscores stand for dashes)."""
    body = {
        "title": "Rate limit exceeded",
        "status": 429,
        "detail": "Rate limit for INTELLIGENCE_API_RATE_LIMIT is exceeded.",
        "errorCode": "LIMIT_RATE_EXCEEDED",
    }
    return httpx.Response(429, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


class Team(httpx.AsyncBaseTransport):
    """Answers after `there` + `back` seconds; jitter is drawn from a seed."""

    def __init__(
        self, answers: Answers | None = None, *, there: float = 0.02, back: float = 0.02, jitter: float = 0.0
    ) -> None:
        self.answers: Answers = answers or (lambda _arrival: rows("x"))
        self.there, self.back, self.jitter = there, back, jitter
        self.arrivals: list[Arrival] = []
        self._dice = random.Random(7)  # noqa: S311 - repeatable on purpose

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.there + self._dice.random() * self.jitter)
        arrival = Arrival(
            asyncio.get_running_loop().time(),
            request.method,
            request.url.raw_path.decode().partition("?")[0],
            request.url.query.decode(),
            request.headers["authorization"],
            await request.aread(),
        )
        self.arrivals.append(arrival)
        answer = self.answers(arrival)
        response = await answer if isinstance(answer, Awaitable) else answer
        await asyncio.sleep(self.back + self._dice.random() * self.jitter)
        return response

    def violations(self, limit: int = 20, window: float = 1.0) -> int:
        """Arrivals that were one too many in some window."""
        times = sorted(each.at for each in self.arrivals)
        return sum(last - first < window - 1e-9 for first, last in zip(times, times[limit:], strict=False))

    def between(self, begin: float, end: float) -> int:
        """Arrivals within these moments."""
        return sum(begin <= each.at < end for each in self.arrivals)


@dataclass
class World:
    """A client of such a team, and what a test wants at hand."""

    team: Team = field(default_factory=Team)
    clock: LoopClock = field(default_factory=LoopClock)
    limits: Limits = field(default_factory=Limits)
    replicas: int = 1
    ledger: Ledger = field(init=False)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.clock)

    def connection(self, **changes: Any) -> Connection:
        return Connection(
            **{
                "name": "dev",
                "url": "https://dev.eu-1.celonis.cloud",
                "api_token": Secret(SECRET),
                "key_type": KeyType.APP_KEY,
                "limits": self.limits,
                **self.options,
                **changes,
            }
        )

    def client(self, **changes: Any) -> Celonis:
        return Celonis(
            self.connection(**changes),
            clock=self.clock,
            ledger=self.ledger,
            transport=self.team,
            replicas=self.replicas,
            random=lambda: 0.5,
        )

    def ask(
        self,
        celonis: Celonis,
        person: str = "the clerk",
        *,
        lane: Lane = Lane.PEOPLE,
        within: float = 30.0,
        fresh: bool = False,
        place: str = "the room",
    ) -> Api:
        deadline = self.clock.monotonic() + within
        return celonis.on_behalf(Caller(person, place, lane, deadline, fresh))


def body(arrival: Arrival) -> Any:
    """A request's JSON."""
    return json.loads(arrival.body)
