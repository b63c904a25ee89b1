import asyncio
import importlib
import multiprocessing
import os
import pkgutil
import shutil
import sqlite3
import stat
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.util import await_only

import bot.store
from bot.model.clock import SystemClock
from bot.model.errors import ConfigError, StoreUnavailable
from bot.model.names import Name
from bot.model.people import Person
from bot.store import DefaultOf, Store, database, schema
from tests.store import databases
from tests.store.databases import FakeClock, execute, got, put, value, word

SECRET = "hunter2-and-more"


async def test_the_migrations_lead_to_exactly_the_declared_tables(address: str, store: Store) -> None:
    for module in pkgutil.iter_modules(bot.store.__path__, "bot.store."):
        importlib.import_module(module.name)

    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))

    assert await store.read(differences) == []


def test_the_highest_file_number_is_the_head_of_the_only_chain() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(bot.store.__path__[0]) / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [database.head()]


async def test_postgresql_can_be_given_a_schema(clock: FakeClock) -> None:
    async with databases.postgresql() as address, await Store.open(address, clock) as store:
        found = await value(store, "SELECT current_schema()")
        assert f"search_path={found}" in unquote(address)
        assert found != "public"


async def test_replicas_that_start_at_once_all_get_a_store(address: str, clock: FakeClock) -> None:
    stores = await asyncio.gather(*(Store.open(address, clock) for _ in range(6)))
    try:
        await put(stores[0], "word", "shared")
        assert [await got(store, "word") for store in stores] == ["shared"] * 6
    finally:
        for store in stores:
            await store.close()


def _open_and_close(address: str) -> None:
    async def once() -> None:
        async with await Store.open(address, SystemClock()) as store:
            await put(store, "word", "shared")

    asyncio.run(once())


def test_programs_that_start_at_once_on_a_new_file_all_get_a_store(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'new' / 'celonis-chat.db'}"
    spawn = multiprocessing.get_context("spawn")
    programs = [spawn.Process(target=_open_and_close, args=(address,)) for _ in range(4)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)
    assert [program.exitcode for program in programs] == [0] * 4


async def test_a_new_file_and_its_side_files_are_for_the_owner_alone(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with await Store.open(f"sqlite:///{tmp_path / 'deep' / 'celonis-chat.db'}", clock) as store:
        await put(store, "word", "there")
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "deep").iterdir()}
    assert modes == {"celonis-chat.db": 0o600, "celonis-chat.db-wal": 0o600, "celonis-chat.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


async def test_sqlite_keeps_a_committed_row_through_a_power_failure(tmp_path: Path, clock: FakeClock) -> None:
    names = ("journal_mode", "synchronous", "busy_timeout")
    async with await Store.open(f"sqlite:///{tmp_path / 'celonis-chat.db'}", clock) as store:
        settings = [await value(store, f"PRAGMA {name}") for name in names]
    assert settings == ["wal", 2, 10_000]


async def test_what_was_written_is_there_after_opening_again(address: str, clock: FakeClock) -> None:
    async with await Store.open(address, clock) as store:
        await put(store, "word", "kept")
    async with await Store.open(address, clock) as store:
        assert await got(store, "word") == "kept"


async def test_a_temporary_store_leaves_nothing_behind(clock: FakeClock) -> None:
    async with await Store.temporary(clock) as store:
        assert store._folder is not None
        folder = Path(store._folder.name)
        assert (folder / "celonis-chat.db").is_file()
    assert not await asyncio.to_thread(folder.exists)


async def test_two_temporary_stores_share_nothing(clock: FakeClock) -> None:
    async with await Store.temporary(clock) as one, await Store.temporary(clock) as other:
        await put(one, "word", "mine")
        assert await got(other, "word") is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "mysql://u:hunter2-and-more@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:p@h:port/db",
    ],
)
async def test_an_address_that_cannot_be_used_is_a_matter_of_the_settings(
    address: str, clock: FakeClock
) -> None:
    with pytest.raises(ConfigError) as caught:
        await Store.open(address, clock)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql://u@h:1/d?sslmode=require", "postgresql+asyncpg://u@h:1/d?ssl=require"),
        ("postgresql+psycopg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_common_spellings_of_an_address_are_understood(given: str, understood: str) -> None:
    assert database.parse_address(given).render_as_string() == understood


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://clerk:{SECRET}@127.0.0.1:9/none",
        f"postgresql://clerk:{SECRET}@127.0.0.1:9/none?password={SECRET}",
        "sqlite:////proc/none/celonis-chat.db",
    ],
)
async def test_a_database_that_cannot_be_reached_is_said_without_its_password(
    address: str, clock: FakeClock
) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await Store.open(address, clock)
    told = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert SECRET not in told
    assert "127.0.0.1:9" in caught.value.sentence or "/proc/none" in caught.value.sentence


async def test_a_file_that_is_no_database_is_said(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear clerk, this is no database at all. " * 200)
    with pytest.raises(StoreUnavailable, match="file is not a database"):
        await Store.open(f"sqlite:///{path}", clock)


async def test_a_database_of_a_newer_version_is_left_alone(address: str, clock: FakeClock) -> None:
    async with await Store.open(address, clock) as store:
        await execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="9999 of a newer version"):
        await Store.open(address, clock)


async def test_who_only_looks_neither_makes_a_database_nor_changes_one(
    address: str, clock: FakeClock, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match=r"There is no database|schema of no version"):
        await Store.open(address, clock, as_it_is=True)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib would block as well
    async with await Store.open(address, clock) as store:
        await put(store, "word", "there")
        async with await Store.open(address, clock, as_it_is=True) as looking:
            assert await got(looking, "word") == "there"
        await execute(store, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(StoreUnavailable, match=r"schema 0000; this version of the program wants"):
        await Store.open(address, clock, as_it_is=True)


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "replaced"])
async def test_nothing_is_written_to_a_file_that_was_replaced_or_removed(
    tmp_path: Path, clock: FakeClock, *, removed: bool
) -> None:
    file = tmp_path / "celonis-chat.db"
    async with await Store.open(f"sqlite:///{file}", clock) as store:
        await put(store, "word", "kept")
        if removed:
            file.unlink()
        else:
            shutil.copy(file, tmp_path / "backup.db")
            (tmp_path / "backup.db").replace(file)
        with pytest.raises(StoreUnavailable, match="replaced or removed"):
            await put(store, "word", "lost")
        with pytest.raises(StoreUnavailable, match="replaced or removed"):
            await got(store, "word")


async def test_every_failure_while_running_is_store_unavailable(store: Store) -> None:
    await execute(store, "DROP TABLE place_defaults")
    with pytest.raises(StoreUnavailable, match="database"):
        await store.defaults("slack:T1:C1")
    with pytest.raises(StoreUnavailable, match="database"):
        await store.set_default("slack:T1:C1", DefaultOf.MODEL, Name("x"), Person("slack", "T1", "U1"))
    assert await got(store, "word") is None


async def test_a_locked_database_is_store_unavailable_and_nothing_waits_for_ever(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SECONDS_TO_ANSWER", 0.02)
    path = tmp_path / "celonis-chat.db"
    async with await Store.open(f"sqlite:///{path}", clock) as store:
        other = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
        try:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await put(store, "word", "late")
        finally:
            other.close()
        await put(store, "word", "on time")
        assert await got(store, "word") == "on time"


async def test_postgresql_that_cuts_connections_is_found_again(clock: FakeClock) -> None:
    async with databases.postgresql() as address, await Store.open(address, clock) as store:
        await put(store, "word", "there")
        with pytest.raises(StoreUnavailable):
            await _cut(store, address)
        assert await got(store, "word") == "there"
        await put(store, "word", "still there")
        assert await got(store, "word") == "still there"


async def _cut(store: Store, address: str) -> None:
    """Somebody restarts the server in the middle of a transaction, and all pooled connections are gone."""
    async with await Store.open(address, store.clock) as other:
        loop = asyncio.get_running_loop()

        def work(connection: sa.Connection) -> None:
            connection.execute(schema.snapshots.update().values(content="gone"))
            mine = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            await_only(
                asyncio.ensure_future(execute(other, f"SELECT pg_terminate_backend({mine})"), loop=loop)
            )
            connection.execute(schema.snapshots.update().values(content="gone"))

        await store.write(work)


async def test_an_error_inside_a_transaction_takes_it_back_and_stays_itself(store: Store) -> None:
    with pytest.raises(KeyError):
        await _fail_inside(store)
    assert await got(store, "word") is None


async def _fail_inside(store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(schema.snapshots.insert().values(**word("word", "gone")))
        raise KeyError("stop")

    await store.write(work)


async def test_a_cancelled_write_blocks_nobody_and_happens_whole_or_not(store: Store) -> None:
    begun = threading.Event()

    def work(connection: sa.Connection) -> None:
        connection.execute(schema.snapshots.insert().values(**word("word", "first half")))
        begun.set()
        if store.dialect == "postgresql":
            connection.execute(sa.text("SELECT pg_sleep(5)"))
        connection.execute(schema.snapshots.update().values(content="whole"))

    writing = asyncio.create_task(store.write(work))
    await asyncio.to_thread(begun.wait)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    await put(store, "other", "there")
    assert (await got(store, "word"), await got(store, "other")) in [(None, "there"), ("whole", "there")]
