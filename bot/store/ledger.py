"""The day's ledger: what was spent at Celonis, pauses, and which replicas of the bot are running.

Every call is booked before it is sent, in 5-minute buckets per `scope` (a Celonis team's host) and `family` (a part
of its API), and its bucket counts for a day and ten minutes, so no 24 hours hold more calls than a day may, wherever
the server begins its day. Moments are seconds on the ledger's own time line, which the replicas share and which goes
on with the monotonic clock: nobody wins calls by setting a wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.store.schema import Words, metadata
from bot.store.store import Store, upsert

BUCKET = 300
"""Seconds of a bucket."""
HOUR = 3600
DAY = 86_400
MARGIN = 2 * BUCKET
"""Seconds that a bucket counts beyond a day: its own length, and what a request may take to arrive."""
DOUBT = 3600
"""Seconds that a bucket counts longer when the clock may have been set since it was written."""
GUEST = -1
"""Number of the extra share, which is for one-shot commands."""
LEASE = 15.0
"""Seconds after which a replica that was not heard of counts as gone."""


class Refused(StrEnum):
    """Why a call was not booked."""

    TOTAL = "total"
    PERSON = "person"
    PLACE = "place"
    PAUSED = "paused"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Account:
    """What a call is counted under; `epoch` tells rows of an unbroken clock from others."""

    scope: str
    family: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Up to where calls may be booked; None does not stop it. Without a total nothing stops it at all."""

    total: int | None = None
    person: int | None = None
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """What a 429 has brought about: silence until one moment, half the rate until another (0: nothing)."""

    until: float = 0.0
    struck_at: float = 0.0
    halved_until: float = 0.0

    def joined(self, other: Pause) -> Pause:
        """Both hold, so the longer one of each."""
        return Pause(
            max(self.until, other.until),
            max(self.struck_at, other.struck_at),
            max(self.halved_until, other.halved_until),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands.

    Attributes:
        spent: Calls within the day, those just booked included.
        pause: What all replicas keep to.
        refused: None where the call was booked (or none was to be).
    """

    spent: int
    pause: Pause
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls within one bucket: its begin, and until when it counts."""

    start: float
    counts_until: float
    calls: int


@dataclass(frozen=True, slots=True)
class Program:
    """A running program: a random run, and where it runs."""

    run: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Share:
    """A replica's part of the limits.

    Attributes:
        number: From 0; `GUEST` for the extra one of one-shot commands.
        run: Of the program that has it.
        epoch: Rows of one epoch were written by an unbroken clock.
        at: The ledger's time when it was taken. From there it runs with the monotonic clock.
        clean: Whether whoever had it before said good-bye.
        free_at: Until when that one's requests count in the limit of a second.
    """

    number: int
    run: str
    epoch: int
    at: float
    clean: bool
    free_at: float


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
_replicas = sa.Table(
    "celonis_replicas",
    metadata,
    sa.Column("scope", Words, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run", Words, nullable=False),
    sa.Column("host", Words, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("ledger_at", sa.Double, nullable=False),
    sa.Column("free_at", sa.Double, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("guest", sa.BigInteger, nullable=False),
)


def _sum(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(table.c.calls), 0)).where(*conditions).scalar_subquery()


def _account(table: sa.Table) -> sa.ColumnElement[bool]:
    return (table.c.scope == sa.bindparam("scope")) & (table.c.family == sa.bindparam("family"))


# Built once: putting a statement together takes longer than the database takes to answer it.
_SPENT = _sum(
    _calls,
    _account(_calls),
    sa.or_(
        sa.and_(_calls.c.epoch == sa.bindparam("epoch"), _calls.c.bucket > sa.bindparam("oldest")),
        sa.and_(_calls.c.epoch != sa.bindparam("epoch"), _calls.c.bucket > sa.bindparam("doubtful")),
    ),
)
_TODAY = _account(_shares) & (_shares.c.hour > sa.bindparam("hour"))
_BEFORE_BOOKING = sa.select(
    _SPENT.label("spent"),
    _sum(_shares, _TODAY, _shares.c.person == sa.bindparam("person")).label("person"),
    _sum(_shares, _TODAY, _shares.c.place == sa.bindparam("place")).label("place"),
    _sum(
        _allowances,
        _allowances.c.scope == sa.bindparam("scope"),
        _allowances.c.person == sa.bindparam("person"),
        _allowances.c.until > sa.bindparam("at"),
    ).label("extra"),
    sa.select(_replicas.c.run)
    .where(_replicas.c.scope == sa.bindparam("scope"), _replicas.c.number == sa.bindparam("number"))
    .scalar_subquery()
    .label("run"),
)
_STANDING = sa.select(_SPENT)
_PAUSE = sa.select(_pauses.c.until, _pauses.c.struck_at, _pauses.c.halved_until).where(_account(_pauses))
_BUCKETS = sa.select(_calls.c.bucket, _calls.c.epoch, _calls.c.calls).where(_account(_calls))
_SPENT_BY = sa.select(_shares.c.person, sa.func.sum(_shares.c.calls)).where(_TODAY).group_by(_shares.c.person)


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
        self,
        account: Account,
        person: str,
        place: str = "",
        *,
        at: float,
        ceilings: Ceilings,
        share: Share | None,
        calls: int = 1,
    ) -> Standing:
        """Books calls before they are sent, or says why they must not be.

        Args:
            account: What they are counted under.
            person: `Person.key` of who pays, or a name of the bot's own.
            place: `Place.key`, empty where there is none.
            at: Ledger time.
            ceilings: Where booking stops.
            share: Of the replica that books; one that has lost its share books nothing.
            calls: How many.
        """
        number = None if share is None else share.number
        keys = _times(account, at) | {"at": at, "person": person, "place": place, "number": number}

        def booked(connection: sa.Connection) -> Standing:
            pause = self._locked(connection, account)
            before = connection.execute(_BEFORE_BOOKING, keys).one()
            has_share = share is not None and before.run == share.run
            if refused := _refusal(before, pause, ceilings, at, has_share=has_share):
                return Standing(int(before.spent), pause, refused)
            under = {"scope": account.scope, "family": account.family, "calls": calls}
            bucket = under | {"epoch": account.epoch, "bucket": int(at // BUCKET)}
            hour = under | {"hour": int(at // HOUR), "person": person, "place": place}
            connection.execute(_add(self._store.dialect, _calls), bucket)
            connection.execute(_add(self._store.dialect, _shares), hour)
            return Standing(int(before.spent) + calls, pause)

        return await self._store.write(booked)

    async def standing(self, account: Account, *, at: float) -> Standing:
        """Where an account stands, without booking anything."""
        keys = _times(account, at)

        def read(connection: sa.Connection) -> Standing:
            pause = connection.execute(_PAUSE, keys).one_or_none()
            spent = int(connection.execute(_STANDING, keys).scalar_one())
            return Standing(spent, Pause(*pause) if pause else Pause())

        return await self._store.read(read)

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]:
        """The day's buckets that still count, oldest first."""
        keys = _times(account, at)
        rows = await self._store.read(lambda connection: connection.execute(_BUCKETS, keys).all())
        found = [
            Bucket(
                row.bucket * BUCKET,
                row.bucket * BUCKET + DAY + MARGIN + (0 if row.epoch == account.epoch else DOUBT),
                row.calls,
            )
            for row in rows
        ]
        return sorted(
            (bucket for bucket in found if bucket.counts_until > at),
            key=lambda bucket: (bucket.start, bucket.counts_until),
        )

    async def spent_by(self, account: Account, *, at: float) -> Mapping[str, int]:
        """The day's calls of each person."""
        keys = _times(account, at)
        rows = await self._store.read(lambda connection: connection.execute(_SPENT_BY, keys).all())
        return {person: int(calls) for person, calls in rows}

    async def pause(self, account: Account, pause: Pause) -> None:
        """Makes every replica keep to a pause; a longer one that is already there stays."""

        def kept(connection: sa.Connection) -> None:
            new = self._locked(connection, account).joined(pause)
            connection.execute(
                _pauses.update()
                .where(_pauses.c.scope == account.scope, _pauses.c.family == account.family)
                .values(asdict(new))
            )

        await self._store.write(kept)

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None:
        """Lets a person make so many calls beyond the daily part, until a moment of the ledger's time."""
        values = {"scope": scope, "person": person, "calls": calls, "until": until}
        statement = upsert(self._store.dialect, _allowances, values).on_conflict_do_update(
            index_elements=["scope", "person"], set_={"calls": calls, "until": until}
        )
        await self._store.write(lambda connection: connection.execute(statement))

    # Replicas ----------------------------------------------------------------------------------------------

    async def join(
        self, scope: str, program: Program, *, replicas: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Share | None:
        """Takes a share. A one-shot command takes a free one like everybody, else the extra one of its kind; whoever
        stays longer may take its share away, and it then finds another.

        Args:
            scope: The team's host.
            program: Who asks.
            replicas: How many shares there are.
            guest: It is a one-shot command.
            dead: Says of a host and a process id whether that program is certainly gone.

        Returns:
            None where all shares are taken by replicas that are alive.
        """

        def joined(connection: sa.Connection) -> Share | None:
            self._locked(connection, Account(scope, "", 0))
            now = self._now(connection)
            asked = sa.select(_replicas).where(_replicas.c.scope == scope)
            rows = {row.number: row for row in connection.execute(asked).all()}
            alive = {
                row.number: row
                for row in rows.values()
                if row.run and abs(row.seen_at - now) < LEASE and not dead(row.host, row.pid)
            }
            free = [number for number in range(replicas) if number not in alive]
            lent = [number for number in range(replicas) if number in alive and alive[number].guest]
            extra = [GUEST] if GUEST not in alive else []
            number = next(iter((*free, *(extra if guest else lent))), None)
            if number is None:
                return None
            before = rows.get(number)
            at, epoch = now, 1 + max((row.epoch for row in rows.values()), default=0)
            if alive:
                newest = max(alive.values(), key=lambda row: row.seen_at)
                at, epoch = now + (newest.ledger_at - newest.seen_at), newest.epoch
            keys = {"scope": scope, "number": number}
            rest = asdict(program) | {
                "seen_at": now,
                "ledger_at": at,
                "free_at": 0.0,
                "epoch": epoch,
                "guest": int(guest),
            }
            connection.execute(
                upsert(self._store.dialect, _replicas, keys | rest).on_conflict_do_update(
                    index_elements=list(keys), set_=rest
                )
            )
            clean = before is None or not before.run
            return Share(number, program.run, epoch, at, clean, 0.0 if before is None else before.free_at)

        return await self._store.write(joined)

    async def renew(self, scope: str, share: Share, *, at: float) -> bool:
        """Says that a replica is alive; False where somebody else has its share."""

        def heard(connection: sa.Connection) -> bool:
            seen = {"seen_at": self._now(connection), "ledger_at": at}
            return bool(connection.execute(_of(scope, share).values(seen)).rowcount)

        return await self._store.write(heard)

    async def leave(self, scope: str, share: Share, *, free_at: float) -> None:
        """Says good-bye; `free_at` is when this replica's last request stops counting."""
        left = _of(scope, share).values(run="", free_at=free_at)
        await self._store.write(lambda connection: connection.execute(left))

    async def purge(self, at: float) -> None:
        """Removes what no longer counts."""

        def purged(connection: sa.Connection) -> None:
            connection.execute(_calls.delete().where(_calls.c.bucket < _newest_past(at, DOUBT)))
            connection.execute(_shares.delete().where(_shares.c.hour < int((at - 2 * DAY) // HOUR)))
            connection.execute(_allowances.delete().where(_allowances.c.until <= at))

        await self._store.write(purged)

    def _locked(self, connection: sa.Connection, account: Account) -> Pause:
        """The account's row, locked until the transaction ends, so that bookings come one after the other."""
        keys = {"scope": account.scope, "family": account.family}
        return Pause(*connection.execute(_lock(self._store.dialect), keys).one())

    def _now(self, connection: sa.Connection) -> float:
        if self._store.dialect != "postgresql":
            return self._store.clock.now().timestamp()
        asked = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
        return float(connection.execute(asked).scalar_one())


def _of(scope: str, share: Share) -> sa.Update:
    """A change of a replica's row, which hits nothing once somebody else has its share."""
    mine = (
        (_replicas.c.scope == scope) & (_replicas.c.number == share.number) & (_replicas.c.run == share.run)
    )
    return _replicas.update().where(mine)


def _newest_past(at: float, doubt: int = 0) -> int:
    """The newest bucket that no longer counts."""
    return int((at - DAY - MARGIN - doubt) // BUCKET)


def _times(account: Account, at: float) -> dict[str, Any]:
    """What the statements ask of an account: from when on its calls count."""
    return {
        "scope": account.scope,
        "family": account.family,
        "epoch": account.epoch,
        "oldest": _newest_past(at),
        "doubtful": _newest_past(at, DOUBT),
        "hour": int((at - DAY) // HOUR),
    }


def _refusal(before: Any, pause: Pause, ceilings: Ceilings, at: float, *, has_share: bool) -> Refused | None:
    """Why one more call may not be booked; None where it may."""
    if ceilings.total is None:
        return None
    if not has_share:
        return Refused.SHARE
    if pause.until > at:
        return Refused.PAUSED
    if before.spent >= ceilings.total:
        return Refused.TOTAL
    if ceilings.person is not None and before.person >= ceilings.person + before.extra:
        return Refused.PERSON
    if ceilings.place is not None and before.place >= ceilings.place + before.extra:
        return Refused.PLACE
    return None
