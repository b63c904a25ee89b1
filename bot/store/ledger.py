"""What was spent at Celonis, who may still spend, and which copies of the bot are running.

Everything here is counted per `scope` (a Celonis team's host) and per `family` (a part of its API). Moments are
seconds since 1970 on the *ledger's* time line, see `Seat`; the caller says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.store.schema import Words, metadata
from bot.store.store import Store, upsert

BUCKET = 300
"""Seconds of a bucket."""
DAY = 86_400
MARGIN = 2 * BUCKET
"""Seconds that a bucket counts beyond a day: its own length, and what a request may take to arrive."""
DOUBT = 3600
"""Seconds that a bucket counts longer when the clock may have been set since it was written."""
HOUR = 3600
GUEST = -1
"""Number of the extra seat of one-shot commands."""
LEASE = 15.0
"""Seconds after which a copy that was not heard of counts as gone."""

_calls = sa.Table(
    "celonis_calls",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("family", Words, primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
)
_shares = sa.Table(
    "celonis_shares",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("family", Words, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person", Words, primary_key=True),
    sa.Column("place", Words, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
)
_pauses = sa.Table(
    "celonis_pauses",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("family", Words, primary_key=True),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("struck_at", sa.Double, nullable=False),
    sa.Column("halved_until", sa.Double, nullable=False),
)
_allowances = sa.Table(
    "celonis_allowances",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("person", Words, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
_seats = sa.Table(
    "celonis_seats",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("seat", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run", Words, nullable=False),
    sa.Column("host", Words, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("ledger_at", sa.Double, nullable=False),
    sa.Column("free_at", sa.Double, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("guest", sa.BigInteger, nullable=False),
)


class Refused(StrEnum):
    """Why a call was not booked."""

    TOTAL = "total"
    PERSON = "person"
    PLACE = "place"
    PAUSED = "paused"
    SEAT = "seat"


@dataclass(frozen=True, slots=True)
class Account:
    """What a call is counted under; `epoch` tells rows of an unbroken clock from others."""

    scope: str
    family: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Payer:
    """On whose account a call goes: `Person.key` and `Place.key`, or names of the bot's own."""

    person: str
    place: str


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Up to where calls may be booked; None does not stop it."""

    total: int | None = None
    person: int | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """What a 429 has brought about: silence until one moment, half the rate until another (0: nothing)."""

    until: float = 0.0
    struck_at: float = 0.0
    halved_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands. `refused` is None where the call was booked (or none was to be).

    Attributes:
        spent: Calls within the day, the one just booked included.
        person: Of these, by the person in question.
        place: Of these, from the place in question.
        extra: Calls that an admin has allowed this person beyond the share.
        pause: What all copies keep to.
    """

    spent: int
    person: int
    place: int
    extra: int
    pause: Pause
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls within one bucket: its begin, and until when it counts."""

    start: float
    counts_until: float
    calls: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Which program holds a seat: a random run, and where it runs."""

    run: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A running copy's place among the configured ones.

    Attributes:
        number: From 0; `GUEST` for the extra one of one-shot commands.
        epoch: Rows of one epoch were written by an unbroken clock.
        at: The ledger's time when the seat was taken. From there it runs with the monotonic clock.
        clean: Whether whoever sat there before said good-bye.
        free_at: Until when that one's requests count in the limit of a second.
    """

    number: int
    epoch: int
    at: float
    clean: bool
    free_at: float


def _sum(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(table.c.calls), 0)).where(*conditions).scalar_subquery()


def _account(table: sa.Table) -> sa.ColumnElement[bool]:
    return (table.c.scope == sa.bindparam("scope")) & (table.c.family == sa.bindparam("family"))


# Built once: putting a statement together takes longer than the database takes to answer it.
_STANDING = sa.select(
    _sum(
        _calls,
        _account(_calls),
        sa.or_(
            sa.and_(_calls.c.epoch == sa.bindparam("epoch"), _calls.c.bucket > sa.bindparam("oldest")),
            sa.and_(_calls.c.epoch != sa.bindparam("epoch"), _calls.c.bucket > sa.bindparam("doubtful")),
        ),
    ),
    _sum(
        _shares,
        _account(_shares),
        _shares.c.hour > sa.bindparam("hour"),
        _shares.c.person == sa.bindparam("person"),
    ),
    _sum(
        _shares,
        _account(_shares),
        _shares.c.hour > sa.bindparam("hour"),
        _shares.c.place == sa.bindparam("place"),
    ),
    _sum(
        _allowances,
        _allowances.c.scope == sa.bindparam("scope"),
        _allowances.c.person == sa.bindparam("person"),
        _allowances.c.until > sa.bindparam("at"),
    ),
    sa.select(_seats.c.run)
    .where(_seats.c.scope == sa.bindparam("scope"), _seats.c.seat == sa.bindparam("seat"))
    .scalar_subquery(),
)
_PAUSE = sa.select(_pauses.c.until, _pauses.c.struck_at, _pauses.c.halved_until).where(_account(_pauses))


@cache
def _lock(dialect: str) -> Any:
    nothing = {"until": 0.0, "struck_at": 0.0, "halved_until": 0.0}
    keys: dict[str, Any] = {"scope": sa.bindparam("scope"), "family": sa.bindparam("family")}
    return (
        upsert(dialect, _pauses, keys | nothing)
        .on_conflict_do_update(index_elements=["scope", "family"], set_={"scope": sa.bindparam("scope")})
        .returning(_pauses.c.until, _pauses.c.struck_at, _pauses.c.halved_until)
    )


@cache
def _add(dialect: str, table: sa.Table) -> Any:
    calls: sa.BindParameter[int] = sa.bindparam("calls")
    keys = [column.name for column in table.primary_key]
    values: dict[str, Any] = {name: sa.bindparam(name) for name in keys}
    return upsert(dialect, table, values | {"calls": calls}).on_conflict_do_update(
        index_elements=keys, set_={"calls": table.c.calls + calls}
    )


class Ledger:
    """The shared ledger. Every method raises `StoreUnavailable` where the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def book(
        self, account: Account, payer: Payer, *, at: float, ceilings: Ceilings, fence: tuple[int, str]
    ) -> Standing:
        """Books one call before it is sent, or says why it must not be.

        Args:
            account: What it is counted under.
            payer: On whose account.
            at: Ledger time.
            ceilings: Where booking stops.
            fence: Number and run of the seat; a copy that has lost its seat books nothing.
        """
        number, run = fence

        def booked(connection: sa.Connection) -> Standing:
            pause = self._lock(connection, account)
            standing, sitting = self._standing(connection, account, payer, at=at, seat=number)
            standing = replace(standing, pause=pause)
            refused = judge(standing, ceilings, at, seated=sitting == run)
            if refused is not None:
                return replace(standing, refused=refused)
            self._count(connection, account, payer, at=at, calls=1)
            return replace(
                standing, spent=standing.spent + 1, person=standing.person + 1, place=standing.place + 1
            )

        return await self._store.write(booked)

    async def repay(self, account: Account, payer: Payer, *, at: float, calls: int) -> None:
        """Books calls that were made while the database did not answer."""

        def repaid(connection: sa.Connection) -> None:
            self._lock(connection, account)
            self._count(connection, account, payer, at=at, calls=calls)

        await self._store.write(repaid)

    async def standing(self, account: Account, payer: Payer, *, at: float) -> Standing:
        """Where an account stands, without booking anything."""
        keys = {"scope": account.scope, "family": account.family}

        def read(connection: sa.Connection) -> Standing:
            pause = connection.execute(_PAUSE, keys).one_or_none()
            standing, _ = self._standing(connection, account, payer, at=at)
            return standing if pause is None else replace(standing, pause=Pause(*pause))

        return await self._store.read(read)

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]:
        """The day's buckets that still count, oldest first."""
        asked = sa.select(_calls.c.bucket, _calls.c.epoch, _calls.c.calls).where(
            _calls.c.scope == account.scope, _calls.c.family == account.family
        )
        rows = await self._store.read(lambda connection: connection.execute(asked).all())
        found = [
            Bucket(row.bucket * BUCKET, counts_until(row.bucket, row.epoch, account.epoch), row.calls)
            for row in rows
        ]
        return sorted(
            (bucket for bucket in found if bucket.counts_until > at),
            key=lambda bucket: (bucket.start, bucket.counts_until),
        )

    async def spent_by(self, account: Account, *, at: float) -> Mapping[str, int]:
        """The day's calls of each person."""
        asked = (
            sa.select(_shares.c.person, sa.func.sum(_shares.c.calls))
            .where(
                _shares.c.scope == account.scope,
                _shares.c.family == account.family,
                _shares.c.hour > int((at - DAY) // HOUR),
            )
            .group_by(_shares.c.person)
        )
        rows = await self._store.read(lambda connection: connection.execute(asked).all())
        return {person: int(calls) for person, calls in rows}

    async def pause(self, account: Account, pause: Pause) -> Pause:
        """Makes every copy keep to a pause; a longer one that is already there stays.

        Returns:
            What holds now.
        """

        def kept(connection: sa.Connection) -> Pause:
            old = self._lock(connection, account)
            new = Pause(
                max(old.until, pause.until),
                max(old.struck_at, pause.struck_at),
                max(old.halved_until, pause.halved_until),
            )
            connection.execute(
                _pauses.update()
                .where(_pauses.c.scope == account.scope, _pauses.c.family == account.family)
                .values(until=new.until, struck_at=new.struck_at, halved_until=new.halved_until)
            )
            return new

        return await self._store.write(kept)

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None:
        """Lets a person make so many calls beyond the share, until a moment of the ledger's time."""
        values = {"scope": scope, "person": person, "calls": calls, "until": until}
        statement = upsert(self._store.dialect, _allowances, values).on_conflict_do_update(
            index_elements=["scope", "person"], set_={"calls": calls, "until": until}
        )
        await self._store.write(lambda connection: connection.execute(statement))

    async def now(self) -> float:
        """What the copies agree on as the time: the database server's, or this machine's for a file."""
        return await self._store.read(self._now)

    # Seats -------------------------------------------------------------------------------------------------

    async def sit_down(
        self, scope: str, holder: Holder, *, seats: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Seat | None:
        """Takes a seat. A one-shot command takes a free one like everybody, else the extra one of its kind; whoever
        stays longer may take its seat away, and it then finds another.

        Args:
            scope: The team's host.
            holder: Who asks.
            seats: How many there are.
            guest: It is a one-shot command.
            dead: Says of a host and a process id whether that program is certainly gone.

        Returns:
            None where all seats are taken by copies that are alive.
        """

        def seated(connection: sa.Connection) -> Seat | None:
            self._lock(connection, Account(scope, "", 0))
            now = self._now(connection)
            asked = sa.select(_seats).where(_seats.c.scope == scope)
            rows = {row.seat: row for row in connection.execute(asked).all()}
            alive = {
                row.seat: row
                for row in rows.values()
                if row.run and abs(row.seen_at - now) < LEASE and not dead(row.host, row.pid)
            }
            number = choose({seat: bool(row.guest) for seat, row in alive.items()}, seats, guest=guest)
            if number is None:
                return None
            before = rows.get(number)
            at, epoch = now, 1 + max((row.epoch for row in rows.values()), default=0)
            if alive:
                newest = max(alive.values(), key=lambda row: row.seen_at)
                at, epoch = now + (newest.ledger_at - newest.seen_at), newest.epoch
            keys = {"scope": scope, "seat": number}
            rest = {
                "run": holder.run,
                "host": holder.host,
                "pid": holder.pid,
                "seen_at": now,
                "ledger_at": at,
                "free_at": 0.0,
                "epoch": epoch,
                "guest": int(guest),
            }
            connection.execute(
                upsert(self._store.dialect, _seats, keys | rest).on_conflict_do_update(
                    index_elements=list(keys), set_=rest
                )
            )
            clean = before is None or not before.run
            return Seat(number, epoch, at, clean, 0.0 if before is None else before.free_at)

        return await self._store.write(seated)

    async def stay(self, scope: str, seat: Seat, run: str, *, at: float) -> bool:
        """Says that a copy is alive; False where somebody else has its seat."""

        def heard(connection: sa.Connection) -> bool:
            done = connection.execute(
                _seats.update()
                .where(_seats.c.scope == scope, _seats.c.seat == seat.number, _seats.c.run == run)
                .values(seen_at=self._now(connection), ledger_at=at)
            )
            return bool(done.rowcount)

        return await self._store.write(heard)

    async def leave(self, scope: str, seat: Seat, run: str, *, free_at: float) -> None:
        """Says good-bye; `free_at` is when this copy's last request stops counting."""
        left = (
            _seats.update()
            .where(_seats.c.scope == scope, _seats.c.seat == seat.number, _seats.c.run == run)
            .values(run="", free_at=free_at)
        )
        await self._store.write(lambda connection: connection.execute(left))

    async def purge(self, at: float) -> None:
        """Removes what no longer counts."""

        def purged(connection: sa.Connection) -> None:
            oldest = int((at - DAY - DOUBT - MARGIN) // BUCKET)
            connection.execute(_calls.delete().where(_calls.c.bucket < oldest))
            connection.execute(_shares.delete().where(_shares.c.hour < int((at - 2 * DAY) // HOUR)))
            connection.execute(_allowances.delete().where(_allowances.c.until <= at))

        await self._store.write(purged)

    # Parts of a transaction --------------------------------------------------------------------------------

    def _lock(self, connection: sa.Connection, account: Account) -> Pause:
        """The account's row, locked until the transaction ends, so that bookings come one after the other."""
        keys = {"scope": account.scope, "family": account.family}
        return Pause(*connection.execute(_lock(self._store.dialect), keys).one())

    def _standing(
        self, connection: sa.Connection, account: Account, payer: Payer, *, at: float, seat: int = -2
    ) -> tuple[Standing, str | None]:
        """Where an account stands (without its pause), and who holds the seat."""
        keys = {
            "scope": account.scope,
            "family": account.family,
            "epoch": account.epoch,
            "oldest": _oldest(at, 0),
            "doubtful": _oldest(at, DOUBT),
            "hour": int((at - DAY) // HOUR),
            "person": payer.person,
            "place": payer.place,
            "at": at,
            "seat": seat,
        }
        row = connection.execute(_STANDING, keys).one()
        return Standing(int(row[0]), int(row[1]), int(row[2]), int(row[3]), Pause()), row[4]

    def _count(
        self, connection: sa.Connection, account: Account, payer: Payer, *, at: float, calls: int
    ) -> None:
        under = {"scope": account.scope, "family": account.family, "calls": calls}
        bucket = under | {"epoch": account.epoch, "bucket": int(at // BUCKET)}
        hour = under | {"hour": int(at // HOUR), "person": payer.person, "place": payer.place}
        connection.execute(_add(self._store.dialect, _calls), bucket)
        connection.execute(_add(self._store.dialect, _shares), hour)

    def _now(self, connection: sa.Connection) -> float:
        if self._store.dialect != "postgresql":
            return self._store.clock.now().timestamp()
        asked = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
        return float(connection.execute(asked).scalar_one())


def choose(taken: Mapping[int, bool], seats: int, *, guest: bool) -> int | None:
    """The seat for somebody who comes.

    Args:
        taken: Seats of copies that are alive, and whether a one-shot command sits there.
        seats: How many there are.
        guest: It is a one-shot command that comes.
    """
    free = [number for number in range(seats) if number not in taken]
    lent = [number for number in range(seats) if taken.get(number)]
    extra = [GUEST] if GUEST not in taken else []
    return next(iter((*free, *(extra if guest else lent))), None)


def judge(standing: Standing, ceilings: Ceilings, at: float, *, seated: bool) -> Refused | None:
    """Whether one more call may be booked. A confirmed write has no total ceiling, and nothing stops it.

    Args:
        standing: Before the call.
        ceilings: Where booking stops.
        at: Ledger time.
        seated: Whether the copy still has its seat.
    """
    if ceilings.total is None:
        return None
    if not seated:
        return Refused.SEAT
    if standing.pause.until > at:
        return Refused.PAUSED
    if standing.spent >= ceilings.total:
        return Refused.TOTAL
    if ceilings.person is not None and standing.person >= ceilings.person + standing.extra:
        return Refused.PERSON
    if ceilings.place is not None and standing.place >= ceilings.place + standing.extra:
        return Refused.PLACE
    return None


def counts_until(bucket: int, epoch: int, current: int) -> float:
    """Until when the calls of a bucket count, for a copy whose epoch is `current`."""
    return bucket * BUCKET + DAY + MARGIN + (0 if epoch == current else DOUBT)


def _oldest(at: float, doubt: int) -> int:
    """The newest bucket that no longer counts."""
    return int((at - DAY - MARGIN - doubt) // BUCKET)
