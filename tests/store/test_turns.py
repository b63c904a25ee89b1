"""One transaction costs the event loop one turn."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from bot.store import Store, schema
from tests.store.databases import got, word


async def test_a_transaction_on_a_file_comes_back_to_the_event_loop_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.dialect != "sqlite":
        return
    loop, returns = asyncio.get_running_loop(), 0
    original = loop.call_soon_threadsafe

    def counted(*args: Any, **named: Any) -> asyncio.Handle:
        nonlocal returns
        returns += 1
        return original(*args, **named)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)

    def work(connection: sa.Connection) -> int:
        for number in range(20):
            connection.execute(schema.snapshots.insert().values(**word(f"n{number}", "there")))
        return len(connection.execute(sa.select(schema.snapshots.c.scope)).all())

    assert await store.write(work) == 20
    assert returns == 1


async def test_an_error_in_a_whole_transaction_takes_it_back_and_stays_itself(store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(schema.snapshots.insert().values(**word("word", "gone")))
        raise KeyError("stop")

    with pytest.raises(KeyError):
        await store.write(work)
    assert await got(store, "word") is None
