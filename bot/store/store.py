"""The bot's memory: defaults of places, stored sentences, what was delivered, snapshots.

Tickets and the audit log have modules of their own beside this one; `bot.writes.ticket` and `bot.audit` use them.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from bot.model.clock import Clock
from bot.model.errors import StoreUnavailable
from bot.model.kept import Kept
from bot.model.names import Name
from bot.model.people import Person, Place
from bot.store import database, schema
from bot.store.database import Database
from bot.store.encryption import Encryption

SENTENCES_KEPT = timedelta(days=30)
SNAPSHOTS_KEPT = timedelta(days=7)
TICKETS_KEPT = timedelta(days=90)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PLACES = 10_000
T = TypeVar("T")


_DATE_OF = "date field of "


class DefaultOf(StrEnum):
    """What a place can have a default of."""

    CONNECTION = "connection"
    MODEL = "model"
    ZONE = "time zone"


@dataclass(frozen=True, slots=True)
class Default:
    """One default: its name, the id where it has one, and who set it when (UTC)."""

    value: str
    id: str
    by: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a place uses where a sentence says nothing; None where nobody has set it.

    Attributes:
        dates: What a period is about: pairs of what it was chosen for and the field's id (`record.field`).
    """

    connection: Default | None = None
    model: Default | None = None
    zone: Default | None = None
    dates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a listing of names held, and when it was fetched (UTC)."""

    content: str
    fetched_at: datetime


def plausible_id(text: str) -> bool:
    """Whether text from outside can be one of the store's ids at all."""
    return _ID.match(text) is not None


def upsert(dialect: str, table: sa.Table, values: dict[str, Any]) -> Any:
    """An INSERT that knows ON CONFLICT, for either engine. Only for modules of `bot.store`."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).values(values)
    return sqlite.insert(table).values(values)


def replacing(
    dialect: str, table: sa.Table, row: dict[str, Any], *, where: sa.ColumnElement[bool] | None = None
) -> Any:
    """An INSERT that replaces the row with the same primary key (only one for which `where` holds)."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    return upsert(dialect, table, row).on_conflict_do_update(index_elements=keys, set_=rest, where=where)


class Store:
    """One database. Every method raises `StoreUnavailable` where it fails; what it was asked to write may then be
    written or not.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        encryption: Encryption,
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """Use `Store.open` or `Store.temporary`."""
        self.clock = clock
        self.encryption = encryption
        self.dialect = database.dialect
        self._database = database
        self._folder = folder
        self._defaults: Kept[str, tuple[Defaults, float]] = Kept(_PLACES)
        # Nobody else writes into a file, except for a program that is called once, and for a place of its own.
        self._defaults_kept = 3.0 if database.dialect == "postgresql" else 300.0

    @classmethod
    async def open(
        cls,
        address: str,
        clock: Clock,
        *,
        secret_keys: Sequence[bytes] = (),
        as_it_is: bool = False,
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> Store:
        """Connects and brings the schema up to date. Several replicas may do so at the same moment.

        Args:
            address: See `bot.store.database.parse_address`.
            clock: Decides what has expired.
            secret_keys: Encrypt what people typed: the first one new rows, each of them what it once encrypted; what is
                under none of them counts as expired. Without any, that can be read only as long as this store is open.
            as_it_is: Only look: neither make a file nor touch the schema.
            folder: Where the database is, if it goes with the store; what is in it need not survive a power failure.

        Raises:
            ConfigError: The address cannot be used.
            StoreUnavailable: No connection, or the database belongs to a newer version; with `as_it_is` also where
                there is none, or one of an older version.
        """
        url = database.parse_address(address)
        opened = database.connect(url, lasting=folder is None)
        store = cls(opened, clock, encryption=Encryption(secret_keys), folder=folder)
        try:
            if as_it_is:
                await database.expect(opened, url)
            else:
                if isinstance(opened, database.SqliteFile):
                    opened.make()
                await database.migrate(opened)
            if isinstance(opened, database.SqliteFile):
                opened.pin()
        except StoreUnavailable as error:
            await store.close()
            if error.__cause__ is None:
                raise
            raise StoreUnavailable(
                f"The bot's database cannot be used: {database.describe(url)}: {database.reason(error)}",
                hint="Check DATABASE_URL, and that the database is there and lets the bot in.",
                undone="Nothing was started.",
            ) from error.__cause__
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def temporary(cls, clock: Clock) -> Store:
        """A store of its own for a demo or a test; it is gone when it is closed."""
        folder = tempfile.TemporaryDirectory(prefix="celonis-chat-", ignore_cleanup_errors=True)
        return await cls.open(f"sqlite:///{folder.name}/celonis-chat.db", clock, folder=folder)

    async def close(self) -> None:
        """Closes every connection; a temporary store is removed."""
        await self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # For the modules of bot.store --------------------------------------------------------------------------

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database.read`. Only for modules of `bot.store`."""
        return await self._database.read(work)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database.write`. Only for modules of `bot.store`."""
        return await self._database.write(work)

    async def _put(self, table: sa.Table, **row: Any) -> None:
        put = replacing(self.dialect, table, row)
        await self.write(lambda connection: connection.execute(put))

    async def check(self) -> None:
        """Raises `StoreUnavailable` where the database does not answer."""
        await self.read(lambda connection: connection.execute(sa.select(1)).one())

    async def _one(self, table: sa.Table, **keys: str) -> Any | None:
        asked = sa.select(table).filter_by(**keys)
        return await self.read(lambda connection: connection.execute(asked).one_or_none())

    async def _unexpired(self, table: sa.Table, key: str) -> str | None:
        """What was encrypted under a key, as long as it is kept."""
        asked = sa.select(table.c.typed).where(table.c.key == key, table.c.expires_at > self.clock.now())
        found = await self.read(lambda connection: connection.execute(asked).scalar_one_or_none())
        return None if found is None else self.encryption.decrypt(found)

    # Defaults of a place -----------------------------------------------------------------------------------

    async def defaults(self, place_key: str) -> Defaults:
        """What this place uses where a sentence says nothing; what another replica set may be seen seconds late.

        Args:
            place_key: `Place.key`.
        """
        known = self._defaults.get(place_key)
        if known is not None and self.clock.monotonic() < known[1]:
            return known[0]
        table = schema.place_defaults
        asked = sa.select(table).where(table.c.place_key == place_key)
        rows = await self.read(lambda connection: connection.execute(asked).all())
        found = {row.field: Default(row.value, row.value_id, row.set_by, row.set_at) for row in rows}
        read = Defaults(
            connection=found.get(DefaultOf.CONNECTION),
            model=found.get(DefaultOf.MODEL),
            zone=found.get(DefaultOf.ZONE),
            dates=tuple(
                sorted(
                    (field.removeprefix(_DATE_OF), each.id)
                    for field, each in found.items()
                    if field.startswith(_DATE_OF)
                )
            ),
        )
        self._defaults[place_key] = read, self.clock.monotonic() + self._defaults_kept
        return read

    async def set_default(self, place_key: str, field: DefaultOf, value: Name | None, by: Person) -> None:
        """Sets one default of a place, or takes it away (None). The id of a time zone stays empty.

        A knowledge model belongs to a connection, so another connection takes the place's model away.
        """
        table = schema.place_defaults
        of_place = table.c.place_key == place_key
        asked = sa.select(table.c.value).where(of_place, table.c.field == field)

        def change(connection: sa.Connection) -> None:
            gone = [field]
            before = connection.execute(asked).scalar_one_or_none()
            if field is DefaultOf.CONNECTION and before != (value.text if value else None):
                gone.append(DefaultOf.MODEL)
            connection.execute(table.delete().where(of_place, table.c.field.in_(gone)))
            if value is not None:
                row = {
                    "place_key": place_key,
                    "field": field,
                    "value": value.text,
                    "value_id": value.id,
                    "set_by": by,
                    "set_at": self.clock.now(),
                }
                connection.execute(replacing(self.dialect, table, row))

        await self.write(change)
        self._defaults.pop(place_key, None)

    async def set_date_field(self, place_key: str, chosen_for: str, value: Name, by: Person) -> None:
        """Sets which field a period is about in a place, where it was asked for (a knowledge model and a record in it)."""
        row = {
            "place_key": place_key,
            "field": _DATE_OF + chosen_for,
            "value": value.text,
            "value_id": value.id,
            "set_by": by,
            "set_at": self.clock.now(),
        }
        statement = replacing(self.dialect, schema.place_defaults, row)
        await self.write(lambda connection: connection.execute(statement))
        self._defaults.pop(place_key, None)

    # Sentences too long for a button -----------------------------------------------------------------------

    async def keep_sentence(self, text: str) -> str:
        """Keeps a sentence for 30 days from now.

        Returns:
            Its id, 22 characters; the same sentence has the same one as long as the newest secret key stays.
        """
        key, until = self.encryption.name(text), self.clock.now() + SENTENCES_KEPT
        await self._put(schema.sentences, key=key, typed=self.encryption.encrypt(text), expires_at=until)
        return key

    async def sentence(self, key: str) -> str | None:
        """The sentence with this id, None where there is none (any more). Any text may be asked for."""
        return await self._unexpired(schema.sentences, key) if plausible_id(key) else None

    # Threads -----------------------------------------------------------------------------------------------

    async def keep_last(self, keys: Sequence[str], last: str, keep_for: timedelta) -> None:
        """Keeps what was last asked in one or more conversations.

        Args:
            keys: Names of the conversations; any text.
            last: What was asked; as the caller writes it.
            keep_for: For how long.
        """
        encrypted, until = self.encryption.encrypt(last), self.clock.now() + keep_for

        def keep(connection: sa.Connection) -> None:
            # In one order, so that two replicas never wait for each other.
            for digest in sorted(map(_digest, keys)):
                row = {"key": digest, "typed": encrypted, "expires_at": until}
                connection.execute(replacing(self.dialect, schema.threads, row))

        await self.write(keep)

    async def last(self, key: str) -> str | None:
        """What was last asked in a conversation, None where nothing is known (any more)."""
        return await self._unexpired(schema.threads, _digest(key))

    # Deliveries --------------------------------------------------------------------------------------------

    async def first_time(self, key: str, keep_for: timedelta) -> bool:
        """Whether this is the first delivery of what a platform may send more than once; atomic among replicas.

        Args:
            key: The platform and its id of the delivery; any text.
            keep_for: How long later ones are told from the first.
        """
        now = self.clock.now()
        row = {"key": _digest(key), "expires_at": now + keep_for}
        took = replacing(self.dialect, schema.deliveries, row, where=schema.deliveries.c.expires_at <= now)
        took = took.returning(schema.deliveries.c.key)
        return await self.write(lambda connection: connection.execute(took).one_or_none() is not None)

    # Conversations -----------------------------------------------------------------------------------------

    async def keep_conversation(self, whose: Person | Place, reference: str) -> None:
        """Keeps what the adapter needs (JSON) to write to a person or into a place later; the newest one counts."""
        now = self.clock.now()
        await self._put(schema.conversations, whose=_whose(whose), reference=reference, seen_at=now)

    async def conversation(self, whose: Person | Place) -> str | None:
        """What was kept for this person or place."""
        row = await self._one(schema.conversations, whose=_whose(whose))
        return None if row is None else str(row.reference)

    # Snapshots of listings ---------------------------------------------------------------------------------

    async def put_snapshot(self, connection: str, scope: str, content: str, fetched_at: datetime) -> None:
        """Keeps what a listing of names held.

        Args:
            connection: The connection's name.
            scope: Which listing of it.
            content: Names and ids, never row data.
            fetched_at: When Celonis said so.
        """
        row = {"connection": connection, "scope": scope, "content": content, "fetched_at": fetched_at}
        await self._put(schema.snapshots, **row)

    async def snapshot(self, connection: str, scope: str) -> Snapshot | None:
        """The last snapshot, whatever its age."""
        row = await self._one(schema.snapshots, connection=connection, scope=scope)
        return None if row is None else Snapshot(row.content, row.fetched_at)

    # Purging -----------------------------------------------------------------------------------------------

    async def purge(self, now: datetime) -> int:
        """Removes what has expired: sentences, threads, deliveries, old snapshots; tickets, watches and incidents that ended 90
        days ago. The audit log is never touched.

        Returns:
            How many rows went.
        """
        gone = (
            schema.sentences.delete().where(schema.sentences.c.expires_at <= now),
            schema.threads.delete().where(schema.threads.c.expires_at <= now),
            schema.deliveries.delete().where(schema.deliveries.c.expires_at <= now),
            schema.snapshots.delete().where(schema.snapshots.c.fetched_at <= now - SNAPSHOTS_KEPT),
            schema.tickets.delete().where(schema.tickets.c.finished_at <= now - TICKETS_KEPT),
            schema.watches.delete().where(schema.watches.c.ended_at <= now - TICKETS_KEPT),
            schema.incidents.delete().where(schema.incidents.c.over_at <= now - TICKETS_KEPT),
        )
        return await self.write(lambda connection: sum(connection.execute(each).rowcount for each in gone))


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _whose(whose: Person | Place) -> str:
    return f"{'person' if isinstance(whose, Person) else 'place'}:{whose.key}"
