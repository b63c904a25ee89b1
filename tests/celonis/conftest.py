"""A sandbox that does not limit (its limits have tests of their own), and clients of it in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.celonis import Api, Caller, Celonis, Lane
from bot.config import Connection, KeyType, Limits, OAuthClient, Secret
from bot.model.clock import SystemClock
from bot.sandbox import Key, Sandbox, SandboxOptions, Switches
from tests.fakes import MemoryLedger

SCOPE = "intelligence.knowledge-models:read integration.data-pools"
WIDE = Limits(per_second=1000, window_seconds=0.005)


def oauth_client(key: Key, scope: str = SCOPE) -> dict[str, Any]:
    """What an OAuth client changes in a connection."""
    client = OAuthClient(id=Secret(key.client_id), secret=Secret(key.secret), scope=scope)
    return {"api_token": None, "key_type": None, "oauth": client}


class Bench:
    """A sandbox, and clients that end with it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.clock = SystemClock()
        self.clients: list[Celonis] = []

    def connection(self, key: Key, **changes: Any) -> Connection:
        kind = KeyType.APP_KEY if key.kind == "app" else KeyType.USER_KEY
        options = {
            "name": "dev",
            "url": self.sandbox.url,
            "api_token": Secret(key.secret),
            "key_type": kind,
            "limits": WIDE,
            "timeout": 5.0,
            "total_retry": 0,
            "backoff_factor": 0.01,
            "sandbox": True,
        }
        return Connection(**{**options, **changes})

    async def client(self, key: Key, **changes: Any) -> Celonis:
        celonis = Celonis(self.connection(key, **changes), clock=self.clock, ledger=MemoryLedger(self.clock))
        self.clients.append(await celonis.open())
        return celonis

    async def asking(self, key: Key, *, lane: Lane = Lane.PEOPLE, fresh: bool = False, **changes: Any) -> Api:
        return self.ask(await self.client(key, **changes), lane=lane, fresh=fresh)

    def ask(
        self, celonis: Celonis, *, lane: Lane = Lane.PEOPLE, fresh: bool = False, within: float = 20.0
    ) -> Api:
        return celonis.on_behalf(Caller("the clerk", "room", lane, self.clock.monotonic() + within, fresh))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Sandbox(SandboxOptions(switches=Switches(per_second=10_000))) as sandbox:
        bench = Bench(sandbox)
        yield bench
        for celonis in bench.clients:
            await celonis.close()


@pytest.fixture
def a_beat_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """For stories of days with one replica: it says more rarely that it is alive."""
    monkeypatch.setattr("bot.celonis.limits.replicas.HEARTBEAT", 60.0)
