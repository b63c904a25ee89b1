"""The two databases: addresses, whole transactions, what a failure is, and bringing the schema up to date."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from bot.model.errors import ConfigError, StoreUnavailable
from bot.redaction import redact

_ADVISORY_LOCK = 0x63656C6F6E6973  # any number that no other program on the server uses
_SECONDS_TO_CONNECT = 5
_SECONDS_TO_ANSWER = 10
_SECONDS_TO_MIGRATE = 120
_REVISIONS = Path(__file__).parent / "migrations" / "versions"
_WRITES = "celonis_chat_writes"
_READERS = 2
T = TypeVar("T")


class Database(ABC):
    """Whole transactions: `work` gets a connection, and what it returns is returned. Everything raises
    `StoreUnavailable` where the database fails.
    """

    dialect: str

    @abstractmethod
    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Runs something in a transaction that writes: committed at its end, rolled back by any exception."""

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Runs something in a transaction that only reads."""
        return await self.write(work)

    async def alone(self, work: Callable[[sa.Connection], None]) -> None:
        """Like `write`, and no other program does the same at the same time."""
        await self.write(work)

    @abstractmethod
    async def close(self) -> None:
        """Ends what runs, and closes every connection."""


def connect(url: URL, *, lasting: bool = True) -> Database:
    """The database at an address from `parse_address`; it connects when it is first used.

    Args:
        url: The address.
        lasting: Whether a committed row must survive a power failure (SQLite only).
    """
    return SqliteFile(url, lasting=lasting) if url.get_backend_name() == "sqlite" else PostgresServer(url)


def parse_address(address: str) -> URL:
    """A database address as SQLAlchemy wants it.

    Args:
        address: `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host/name`;
            `postgres://` and libpq's `sslmode` and `options=-csearch_path=...` (a schema) are understood.

    Raises:
        ConfigError: It is something else. The message holds no part of the address.
    """
    try:
        url = make_url(address.strip())
    except (ArgumentError, ValueError):
        raise ConfigError(
            ["DATABASE_URL is no address; it looks like sqlite:////var/lib/celonis-chat/celonis-chat.db"]
        ) from None
    match url.get_backend_name():
        case "sqlite":
            if url.database in (None, "", ":memory:"):
                raise ConfigError(["DATABASE_URL names no file; give one, as in sqlite:///celonis-chat.db"])
            return url.set(drivername="sqlite")
        case "postgresql" | "postgres":
            query = dict(url.query)
            if "sslmode" in query:
                query["ssl"] = query.pop("sslmode")
            return url.set(drivername="postgresql+asyncpg", query=query)
        case _:
            raise ConfigError(
                ["DATABASE_URL must start with sqlite:// or postgresql://; nothing else is supported"]
            )


def _server_settings(options: str | tuple[str, ...]) -> dict[str, str]:
    """What libpq's `options` sets (`-c name=value`), since asyncpg wants it apart."""
    words = " ".join([options] if isinstance(options, str) else options).replace("-c", " ").split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def _as_we_use_it(engine: sa.Engine, *, lasting: bool) -> None:
    @sa.event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_SECONDS_TO_ANSWER * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'OFF'}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later fails on SQLite when another one wrote in between.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class SqliteFile(Database):
    """SQLite, a whole transaction at a time, in threads. A writer holds the whole file, so it is alone anyway.

    A driver that goes to its thread and back for every step of a transaction waits each time for its turn in the event
    loop: some twenty times for one booking, seconds when the loop is busy. Here the loop is left once.
    """

    dialect = "sqlite"

    def __init__(self, url: URL, *, lasting: bool) -> None:
        self._url = url
        self._engine = sa.create_engine(url, hide_parameters=True, pool_timeout=_SECONDS_TO_CONNECT)
        _as_we_use_it(self._engine, lasting=lasting)
        self._writer = self._engine.execution_options(**{_WRITES: True})
        self._file: tuple[int, int] | None = None
        # Writers come one after the other; readers see the state before and need not wait for them.
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-writes")
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reads")

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database`."""
        return await self._run(self._reading, self._engine, work)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database`. Whoever is cancelled meanwhile does not stop it half-way: it has not begun and never will,
        or it goes on to its end.
        """
        return await self._run(self._writing, self._writer, work)

    def make(self) -> None:
        """An empty file that only its owner can read; one that exists stays as it is.

        SQLite gives its side files the mode of the database.
        """
        path = Path(str(self._url.database))
        with _failures_told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def pin(self) -> None:
        """From now on this file, and no other under its name."""
        self._file = self._named()

    def _named(self) -> tuple[int, int] | None:
        try:
            found = Path(str(self._url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _run(
        self, threads: ThreadPoolExecutor, engine: sa.Engine, work: Callable[[sa.Connection], T]
    ) -> T:
        # A file that was replaced or removed stays open here, and whatever is written to it is lost.
        if self._file is not None and self._named() != self._file:
            raise StoreUnavailable(
                "The bot's database was replaced or removed while the bot was running.",
                hint="The bot's admin finds out why, and restarts the bot.",
            )
        with _failures_told(sqlite3.Error):
            try:
                running = asyncio.get_running_loop().run_in_executor(threads, _transacted, engine, work)
            except RuntimeError as closed:
                raise OSError("the store is closed") from closed
            return await running

    async def close(self) -> None:
        """See `Database`."""
        for threads in (self._writing, self._reading):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()


def _transacted(engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


class PostgresServer(Database):
    """PostgreSQL, shared by the replicas."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        from asyncpg import (  # type: ignore[import-untyped] # it ships none
            InterfaceError,
            PostgresError,
        )
        from sqlalchemy.ext.asyncio import create_async_engine

        # The driver raises these past SQLAlchemy: a connection that cannot be made comes as it is.
        self._failures = (PostgresError, InterfaceError)
        settings = {"application_name": "celonis-chat", **_server_settings(url.query.get("options", ""))}
        self._engine = create_async_engine(
            url.difference_update_query(["options"]),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=_SECONDS_TO_CONNECT,
            connect_args={
                "timeout": _SECONDS_TO_CONNECT,
                "command_timeout": _SECONDS_TO_ANSWER,
                "server_settings": settings,
            },
        )

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database`."""
        with _failures_told(*self._failures):
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    async def alone(self, work: Callable[[sa.Connection], None]) -> None:
        """See `Database`."""
        with _failures_told(*self._failures):
            async with asyncio.timeout(_SECONDS_TO_MIGRATE), self._engine.begin() as connection:
                # Asking again and again, not waiting in the server, keeps each statement within the driver's limit.
                asked = sa.select(sa.func.pg_try_advisory_xact_lock(_ADVISORY_LOCK))
                while not (await connection.execute(asked)).scalar_one():  # noqa: ASYNC110 - another program's lock tells nobody
                    await asyncio.sleep(0.05)
                await connection.run_sync(work)

    async def close(self) -> None:
        """See `Database`."""
        await self._engine.dispose()


def describe(url: URL) -> str:
    """Where the database is, without user and password."""
    if url.get_backend_name() == "sqlite":
        return f"the file {url.database}"
    return f"PostgreSQL at {url.host or 'localhost'}:{url.port or 5432}, database {url.database}"


@contextmanager
def _failures_told(*of_the_driver: type[Exception]) -> Iterator[None]:
    """Turns whatever a database raises into `StoreUnavailable`; the cause is kept for the log."""
    known: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, *of_the_driver)
    try:
        yield
    except known as error:
        if isinstance(error, DBAPIError) and not isinstance(error, OperationalError | sa.exc.InterfaceError):
            sentence = f"The bot's database refused what was asked of it ({type(error.orig).__name__})."
        else:
            sentence = "The bot's database does not answer."
        raise StoreUnavailable(sentence, hint="The bot's admin finds the reason in its log.") from error


def reason(error: StoreUnavailable) -> str:
    """What the driver said, on one line, for the admin who starts the bot."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig
    said = " ".join(str(cause).split()) if cause else ""
    return redact(said.rpartition(">: ")[2][:300] or type(cause).__name__)


def head() -> str:
    """The revision that this program's schema has."""
    return max(path.stem.split("_")[0].removeprefix("r") for path in _REVISIONS.glob("r[0-9]*.py"))


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_REVISIONS.parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(database: Database) -> None:
    """Brings the schema up to date; many may do this at once, and one does it while the others wait.

    Raises:
        StoreUnavailable: The database belongs to a newer version of the program.
    """
    found = await database.read(_revision)
    if found == head():
        return
    if found is not None and found > head():
        raise StoreUnavailable(
            f"The database has the schema {found} of a newer version; this one knows schemas up to {head()}.",
            hint="Start the newer version of celonis-chat, or restore a backup of the database.",
        )
    await database.alone(_upgrade)


async def expect(database: Database, url: URL) -> None:
    """Finds out, without changing anything, that a database is there and has this program's schema.

    Raises:
        StoreUnavailable: It is not there, or its schema is another one.
    """
    if database.dialect == "sqlite" and not await asyncio.to_thread(Path(str(url.database)).is_file):
        raise StoreUnavailable(
            f"There is no database: {describe(url)}.",
            hint="Check DATABASE_URL.",
            undone="Nothing was looked at.",
        )
    found = await database.read(_revision)
    if found != head():
        raise StoreUnavailable(
            f"The database has the schema {found or 'of no version'}; this version of the program wants {head()}.",
            hint="Use the version of celonis-chat that serves with it; one that starts to serve brings it up to date.",
            undone="Nothing was looked at.",
        )
