"""A running sandbox and a client with the operator's key, for every test of the sandbox."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from bot.sandbox import Key, Sandbox, SandboxOptions, Switches


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(switches=Switches(per_second=1000))) as running:
        yield running


@pytest.fixture
async def client_of(sandbox: Sandbox) -> AsyncIterator[Callable[[Key], httpx.AsyncClient]]:
    clients: list[httpx.AsyncClient] = []

    def make(key: Key) -> httpx.AsyncClient:
        headers = {"Authorization": key.authorization}
        clients.append(httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False, timeout=5))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def api(sandbox: Sandbox, client_of: Callable[[Key], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of(sandbox.keys.operator)
