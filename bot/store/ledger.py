"""The ledger's rows: what was spent at Celonis, pauses, and which replicas of the bot are running.

`bot.celonis.limits.day_ledger` has the rules, and says what each method of a `Ledger` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.celonis.limits.day_ledger import (
    BUCKET,
    DAY,
    DOUBT,
    HOUR,
    LEASE,
    Account,
    Bucket,
    Ceilings,
    Pause,
    Payer,
    Program,
    Share,
    Standing,
    choose,
    counts_until,
    judge,
    newest_past,
)
from bot.store.schema import Words, metadata
from bot.store.store import Store, upsert

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
    sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
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
    sa.select(_replicas.c.run)
    .where(_replicas.c.scope == sa.bindparam("scope"), _replicas.c.slot == sa.bindparam("slot"))
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
        self,
        account: Account,
        payer: Payer,
        *,
        at: float,
        ceilings: Ceilings,
        fence: tuple[int, str],
        calls: int = 1,
    ) -> Standing:
        number, run = fence

        def booked(connection: sa.Connection) -> Standing:
            pause = self._lock(connection, account)
            standing, owner = self._standing(connection, account, payer, at=at, share=number)
            standing = replace(standing, pause=pause)
            refused = judge(standing, ceilings, at, has_share=owner == run)
            if refused is not None:
                return replace(standing, refused=refused)
            self._count(connection, account, payer, at=at, calls=calls)
            return replace(
                standing,
                spent=standing.spent + calls,
                person=standing.person + calls,
                place=standing.place + calls,
            )

        return await self._store.write(booked)

    async def standing(self, account: Account, payer: Payer, *, at: float) -> Standing:
        keys = {"scope": account.scope, "family": account.family}

        def read(connection: sa.Connection) -> Standing:
            pause = connection.execute(_PAUSE, keys).one_or_none()
            standing, _ = self._standing(connection, account, payer, at=at)
            return standing if pause is None else replace(standing, pause=Pause(*pause))

        return await self._store.read(read)

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]:
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

    async def pause(self, account: Account, pause: Pause) -> None:
        def kept(connection: sa.Connection) -> None:
            new = self._lock(connection, account).joined(pause)
            connection.execute(
                _pauses.update()
                .where(_pauses.c.scope == account.scope, _pauses.c.family == account.family)
                .values(until=new.until, struck_at=new.struck_at, halved_until=new.halved_until)
            )

        await self._store.write(kept)

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None:
        values = {"scope": scope, "person": person, "calls": calls, "until": until}
        statement = upsert(self._store.dialect, _allowances, values).on_conflict_do_update(
            index_elements=["scope", "person"], set_={"calls": calls, "until": until}
        )
        await self._store.write(lambda connection: connection.execute(statement))

    # Replicas ----------------------------------------------------------------------------------------------

    async def join(
        self, scope: str, program: Program, *, replicas: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Share | None:
        def joined(connection: sa.Connection) -> Share | None:
            self._lock(connection, Account(scope, "", 0))
            now = self._now(connection)
            asked = sa.select(_replicas).where(_replicas.c.scope == scope)
            rows = {row.slot: row for row in connection.execute(asked).all()}
            alive = {
                row.slot: row
                for row in rows.values()
                if row.run and abs(row.seen_at - now) < LEASE and not dead(row.host, row.pid)
            }
            number = choose({slot: bool(row.guest) for slot, row in alive.items()}, replicas, guest=guest)
            if number is None:
                return None
            before = rows.get(number)
            at, epoch = now, 1 + max((row.epoch for row in rows.values()), default=0)
            if alive:
                newest = max(alive.values(), key=lambda row: row.seen_at)
                at, epoch = now + (newest.ledger_at - newest.seen_at), newest.epoch
            keys = {"scope": scope, "slot": number}
            rest = {
                "run": program.run,
                "host": program.host,
                "pid": program.pid,
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
            return Share(number, epoch, at, clean, 0.0 if before is None else before.free_at)

        return await self._store.write(joined)

    async def renew(self, scope: str, share: Share, run: str, *, at: float) -> bool:

        def heard(connection: sa.Connection) -> bool:
            done = connection.execute(
                _replicas.update()
                .where(_replicas.c.scope == scope, _replicas.c.slot == share.number, _replicas.c.run == run)
                .values(seen_at=self._now(connection), ledger_at=at)
            )
            return bool(done.rowcount)

        return await self._store.write(heard)

    async def leave(self, scope: str, share: Share, run: str, *, free_at: float) -> None:
        left = (
            _replicas.update()
            .where(_replicas.c.scope == scope, _replicas.c.slot == share.number, _replicas.c.run == run)
            .values(run="", free_at=free_at)
        )
        await self._store.write(lambda connection: connection.execute(left))

    async def purge(self, at: float) -> None:

        def purged(connection: sa.Connection) -> None:
            connection.execute(_calls.delete().where(_calls.c.bucket < newest_past(at, DOUBT)))
            connection.execute(_shares.delete().where(_shares.c.hour < int((at - 2 * DAY) // HOUR)))
            connection.execute(_allowances.delete().where(_allowances.c.until <= at))

        await self._store.write(purged)

    # Parts of a transaction --------------------------------------------------------------------------------

    def _lock(self, connection: sa.Connection, account: Account) -> Pause:
        """The account's row, locked until the transaction ends, so that bookings come one after the other."""
        keys = {"scope": account.scope, "family": account.family}
        return Pause(*connection.execute(_lock(self._store.dialect), keys).one())

    def _standing(
        self, connection: sa.Connection, account: Account, payer: Payer, *, at: float, share: int = -2
    ) -> tuple[Standing, str | None]:
        """Where an account stands (without its pause), and which run has the share."""
        keys = {
            "scope": account.scope,
            "family": account.family,
            "epoch": account.epoch,
            "oldest": newest_past(at),
            "doubtful": newest_past(at, DOUBT),
            "hour": int((at - DAY) // HOUR),
            "person": payer.person,
            "place": payer.place,
            "at": at,
            "slot": share,
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
