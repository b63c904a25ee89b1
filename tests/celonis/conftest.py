"""A sandbox that does not limit (its limits have tests of their own), and clients of it in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.celonis import ApiKey, Asking, Caller, Celonis, Connection, KeyKind, Lane, Limits
from bot.model.clock import SystemClock
from bot.sandbox import Key, Sandbox, SandboxOptions, Switches

WIDE = Limits(per_second=2000, window=0.01)


class Bench:
    """A sandbox, and clients that end with it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.clock = SystemClock()
        self.clients: list[Celonis] = []

    def connection(self, key: Key, **changes: Any) -> Connection:
        kind = KeyKind.APPLICATION if key.kind == "app" else KeyKind.USER
        options = {
            "name": "dev",
            "team_root": self.sandbox.url,
            "credential": ApiKey(key.secret, kind),
            "limits": WIDE,
            "timeout": 5.0,
            "total_retry": 0,
            "backoff_factor": 0.01,
            "sandbox": True,
        }
        return Connection(**{**options, **changes})

    async def client(self, key: Key, **changes: Any) -> Celonis:
        celonis = Celonis(self.connection(key, **changes), clock=self.clock)
        self.clients.append(await celonis.open())
        return celonis

    async def asking(
        self, key: Key, *, lane: Lane = Lane.PEOPLE, fresh: bool = False, **changes: Any
    ) -> Asking:
        return self.ask(await self.client(key, **changes), lane=lane, fresh=fresh)

    def ask(
        self, celonis: Celonis, *, lane: Lane = Lane.PEOPLE, fresh: bool = False, within: float = 20.0
    ) -> Asking:
        return celonis.on_behalf(Caller("the clerk", "room", lane, self.clock.monotonic() + within, fresh))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Sandbox(SandboxOptions(switches=Switches(per_second=10_000))) as sandbox:
        bench = Bench(sandbox)
        yield bench
        for celonis in bench.clients:
            await celonis.close()
