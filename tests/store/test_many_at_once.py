"""What many ask for at the same time is read and written once, and one transaction costs the event loop one turn."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.model.errors import StoreUnavailable
from bot.store import Snapshot, Store, schema
from tests.store.databases import FakeClock


class Watched:
    """Counts the rows of snapshots that are read and written, and can hold them up or let them fail."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[dict[str, str]] = []
        self.writes: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.reading = asyncio.Event()
        self.fails = False
        one, put = store._one, store._put

        async def read(table: sa.Table, **keys: str) -> Any:
            self.reads.append(keys)
            self.reading.set()
            found = await one(table, **keys)
            await self.open.wait()
            return found

        async def write(table: sa.Table, values: dict[str, Any]) -> None:
            self.writes.append(values["content"])
            if self.fails:
                raise StoreUnavailable("The bot's database does not answer.")
            await put(table, values)

        monkeypatch.setattr(store, "_one", read)
        monkeypatch.setattr(store, "_put", write)


@pytest.fixture
def watched(store: Store, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(store, monkeypatch)


async def test_a_list_that_many_want_is_read_once(store: Store, watched: Watched) -> None:
    assert await asyncio.gather(*(store.snapshot("team", "pools") for _ in range(50))) == [None] * 50
    assert await store.snapshot("team", "pools") is None
    assert watched.reads == [{"connection": "team", "scope": "pools"}]


async def test_a_list_that_many_have_read_is_written_once(
    store: Store, watched: Watched, clock: FakeClock
) -> None:
    await asyncio.gather(*(store.put_snapshot("team", "pools", "[1]", clock.now()) for _ in range(50)))
    assert watched.writes == ["[1]"]
    assert await store.snapshot("team", "pools") == Snapshot("[1]", clock.now())
    clock.advance(61)
    assert await store.snapshot("team", "pools") == Snapshot("[1]", clock.now() - timedelta(seconds=61))


async def test_a_list_that_has_changed_or_grown_old_is_written(
    store: Store, watched: Watched, clock: FakeClock
) -> None:
    await store.put_snapshot("team", "pools", "[1]", clock.now())
    await store.put_snapshot("team", "pools", "[2]", clock.now())
    await store.put_snapshot("other", "pools", "[2]", clock.now())
    await store.put_snapshot("team", "pools", "[2]", clock.now() + timedelta(minutes=1))
    assert watched.writes == ["[1]", "[2]", "[2]", "[2]"]
    assert await store.snapshot("team", "jobs") is None


async def test_a_list_that_was_put_while_an_old_one_was_read_is_the_one_given(
    store: Store, watched: Watched, clock: FakeClock
) -> None:
    watched.open.clear()
    reading = asyncio.create_task(store.snapshot("team", "pools"))
    await watched.reading.wait()
    await store.put_snapshot("team", "pools", "[1]", clock.now())
    watched.open.set()
    assert await reading == Snapshot("[1]", clock.now())
    assert await store.snapshot("team", "pools") == Snapshot("[1]", clock.now())


async def test_a_list_that_could_not_be_written_is_written_by_the_next_one(
    store: Store, watched: Watched, clock: FakeClock
) -> None:
    watched.fails = True
    with pytest.raises(StoreUnavailable):
        await store.put_snapshot("team", "pools", "[1]", clock.now())
    watched.fails = False
    await store.put_snapshot("team", "pools", "[1]", clock.now())
    assert watched.writes == ["[1]", "[1]"]


async def test_whoever_stops_waiting_takes_nobody_elses_list_away(store: Store, watched: Watched) -> None:
    watched.open.clear()
    first, second = (asyncio.create_task(store.snapshot("team", "pools")) for _ in range(2))
    await watched.reading.wait()
    first.cancel()
    await asyncio.sleep(0)
    watched.open.set()
    assert await second is None
    assert first.cancelled()


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
            connection.execute(schema.meta.insert().values(name=f"n{number}", value="there"))
        return len(connection.execute(sa.select(schema.meta.c.name)).all())

    assert await store.write(work) == 20
    assert returns == 1


async def test_an_error_in_a_whole_transaction_takes_it_back_and_stays_itself(store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(schema.meta.insert().values(name="word", value="gone"))
        raise KeyError("stop")

    with pytest.raises(KeyError):
        await store.write(work)
    assert await store.meta("word") is None
