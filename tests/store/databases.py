"""Databases for tests: a SQLite file always, and a PostgreSQL schema of the test's own where a server is reachable."""

import functools
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped] # it ships none
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from bot.store import Store, database

ADDRESS = os.environ.get(  # noqa: TID251 - the tests' own switch
    "CELONIS_CHAT_TEST_DATABASE_URL", "postgresql+asyncpg://root@127.0.0.1:5432/test"
)
ENGINES = ("sqlite", "postgresql")


@dataclass
class FakeClock:
    """Time that only moves when told to."""

    at: datetime = datetime(2026, 3, 2, 22, 10, tzinfo=UTC)
    seconds: float = 1000.0
    naps: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@functools.cache
def reachable() -> bool:
    """Whether something listens where the tests look for PostgreSQL."""
    import socket

    url = make_url(ADDRESS)
    try:
        socket.create_connection((url.host or "127.0.0.1", url.port or 5432), timeout=2).close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def postgresql() -> AsyncIterator[str]:
    """The address of a fresh PostgreSQL schema, dropped afterwards; skips where there is no server."""
    if not reachable():
        pytest.skip("no PostgreSQL at CELONIS_CHAT_TEST_DATABASE_URL")
    url = make_url(ADDRESS).set(drivername="postgresql")
    name = f"celonis_chat_{secrets.token_hex(8)}"
    server = await asyncpg.connect(url.render_as_string(hide_password=False), timeout=5)
    try:
        await server.execute(f'CREATE SCHEMA "{name}"')
        try:
            yield url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(
                hide_password=False
            )
        finally:
            await server.execute(f'DROP SCHEMA "{name}" CASCADE')
    finally:
        await server.close()


@asynccontextmanager
async def address_of(engine: str, folder: Path) -> AsyncIterator[str]:
    """The address of a fresh database on this engine."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'celonis-chat.db'}"
        return
    async with postgresql() as address:
        yield address


def tokens() -> Iterator[str]:
    """Ids that are the same in every run."""
    number = 0
    while True:
        number += 1
        yield f"ticket-{number}"


async def execute(store: Store, *statements: str) -> None:
    """Runs SQL past the store's own methods."""

    def work(connection: sa.Connection) -> None:
        for statement in statements:
            connection.execute(sa.text(statement))

    await store.write(work)


async def value(store: Store, statement: str) -> Any:
    """The one value that a query finds."""
    return await store.read(lambda connection: connection.execute(sa.text(statement)).scalar_one())


def nowhere() -> database.Database:
    """A database where nothing answers."""
    return database.connect(database.parse_address("postgresql://u@127.0.0.1:9/none"))


def word(name: str, content: str) -> dict[str, Any]:
    """A row of the simplest table that there is, for tests in which any row will do."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    return {"connection": "any", "scope": name, "content": content, "fetched_at": at}


async def put(store: Store, name: str, content: str) -> None:
    await store.put_snapshot(**word(name, content))


async def got(store: Store, name: str) -> str | None:
    found = await store.snapshot("any", name)
    return found.content if found else None
