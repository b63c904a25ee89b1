"""One `Celonis` for each connection and program: its life, its quota, its key."""

from __future__ import annotations

import random as dice
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import httpx

from bot.celonis.api import Api
from bot.celonis.connection import Caller, Family, Lane
from bot.celonis.engine import Engine, KeyInfo
from bot.celonis.flights import Stake
from bot.celonis.governor import Governor, forecast
from bot.celonis.limits.replicas import TRAVEL, Desk
from bot.celonis.memory import Ledger, MemoryLedger
from bot.celonis.models import Grants
from bot.celonis.query import Asked
from bot.celonis.wire import CallRecord
from bot.config import Connection, KeyType, Limits
from bot.model.clock import Clock
from bot.model.errors import Forbidden, NotFound, StoreUnavailable, Unauthorized
from bot.store.ledger import Payer

GRACE = 3.0
"""Seconds that calls in the air get to come back when the program ends."""


@dataclass(frozen=True, slots=True)
class FamilyQuota:
    """What one API family has spent and has left.

    Attributes:
        family: Which one.
        limit: Calls in 24 hours.
        spent: Calls of this bot in the last 24 hours, over all copies.
        left: Calls that may still be made; lower than what the bot left over where others use the API too.
        kept: Of these, only for writes and what they need.
        paused_until: Until when Celonis has asked for silence, if it has.
    """

    family: Family
    limit: int
    spent: int
    left: int
    kept: int
    paused_until: datetime | None = None

    @property
    def used(self) -> int:
        """Calls that are gone, by whomever: with those left they make up the limit."""
        return self.limit - self.left


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The quota of a connection; the numbers are those of the family with the least left.

    Attributes:
        tightest: That family.
        mine: Calls of the person who asks, of these.
        resets_at: When the first spent calls come back, None where nothing is spent.
        runs_out_at: When it is used up at the pace of the last hour, None where it lasts for a day.
        hit_rate: Part of the questions answered without a call.
        people: Calls by person, most first.
        families: Each API family.
    """

    tightest: FamilyQuota
    mine: int
    resets_at: datetime | None
    runs_out_at: datetime | None
    hit_rate: float | None
    people: tuple[tuple[str, int], ...]
    families: tuple[FamilyQuota, ...]


class Celonis:
    """One Celonis team and the bot's identity there.

    Args:
        connection: Which one.
        clock: Wall and monotonic clock.
        ledger: Where spending is counted; None keeps it in memory (tests, demo).
        transport: Stands in for the network.
        random: From 0 to 1; for waiting times.
        replicas: How many copies of the bot share the limits.
        guest: A one-shot command beside running copies.
        beside: Another connection to the same team, whose limits this one shares.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        ledger: Ledger | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        random: Callable[[], float] = dice.random,
        replicas: int = 1,
        guest: bool = False,
        beside: Celonis | None = None,
    ) -> None:
        self.connection = connection
        self._clock = clock
        shared = beside is not None and beside.connection.scope == connection.scope
        self._owns_desk = not shared
        self._desk: Desk
        self._governors: dict[Family, Governor]
        if beside is not None and shared:
            self._desk, self._governors = beside._desk, beside._governors  # noqa: SLF001 - of its own kind
        else:
            self._desk = Desk(
                connection.scope,
                connection.limits,
                replicas=replicas,
                clock=clock,
                ledger=ledger or MemoryLedger(clock),
                guest=guest,
            )
            self._governors = governors_of(connection, self._desk, random)
        self._engine = Engine(
            connection, desk=self._desk, governors=self._governors, transport=transport, random=random
        )

    # Life --------------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Takes a seat among the running copies. Nothing is sent to Celonis.

        Raises:
            ConfigError: As many copies run as are configured.
            StoreUnavailable: The database does not answer.
        """
        if self._owns_desk:
            await self._desk.open()
            for governor in self._governors.values():
                await governor.standing(Payer("", ""))
        return self

    async def close(self) -> None:
        """Ends all calls and gives the seat back."""
        await self._engine.flights.close(GRACE)
        if self._owns_desk:
            # What has not been answered by now counts like what a killed program leaves behind.
            free_in = max(governor.free_in() for governor in self._governors.values())
            free_in = min(free_in, self.connection.limits.window_seconds + TRAVEL)
            for governor in self._governors.values():
                await governor.close()
            await self._desk.close(free_in)
        await self._engine.wire.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # For people --------------------------------------------------------------------------------------------

    def on_behalf(self, caller: Caller) -> Api:
        """The calls, for one person's one request."""
        return Api(self._engine, caller)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self.connection.limits

    def kind(self) -> KeyInfo:
        """What the bot is in Celonis, as far as it is known without asking."""
        return self._engine.kind()

    def recent_calls(self, person: str | None = None) -> tuple[CallRecord, ...]:
        """The newest calls first, of one person (`Person.key`) or of all."""
        found = [each for each in self._engine.wire.records if person is None or each.person == person]
        return tuple(reversed(found))

    def left(self, family: Family) -> int:
        """Calls of an API family that may still be made, as far as the newest booking tells."""
        return self._governors[family].left()

    async def quota(self, person: str = "") -> QuotaView:
        """What is spent and left. Costs no call.

        Args:
            person: `Person.key` of the one who asks.
        """
        families = []
        for governor in dict.fromkeys(self._governors.values()):
            await governor.standing(Payer(person, ""))
            paused = governor.paused_for()
            families.append(
                FamilyQuota(
                    governor.family,
                    governor.limit,
                    governor.spent,
                    governor.left(),
                    governor.left() - governor.left(Lane.PEOPLE),
                    self._clock.now() + timedelta(seconds=paused) if paused else None,
                )
            )
        tightest = min(
            families, key=lambda each: (each.left / each.limit, each.family != Family.INTELLIGENCE)
        )
        governor = self._governors[tightest.family]
        buckets = await governor.buckets()
        at = self._desk.at()
        out = forecast(buckets, tightest.left - tightest.kept, at)
        people: Mapping[str, int] = {}
        if not self._desk.blind:
            try:
                people = await self._desk.ledger.spent_by(governor.account, at=at)
            except StoreUnavailable:
                self._desk.lost_sight()
        return QuotaView(
            tightest=tightest,
            mine=people.get(person, 0),
            resets_at=governor.moment(min(each.counts_until for each in buckets)) if buckets else None,
            runs_out_at=governor.moment(out) if out is not None else None,
            hit_rate=self._engine.cache.hit_rate,
            people=tuple(sorted(people.items(), key=lambda each: -each[1])),
            families=tuple(families),
        )

    async def allow(self, person: str, calls: int, *, hours: float = 24.0) -> None:
        """Lets a person make so many calls beyond the daily share.

        Args:
            person: `Person.key`.
            calls: How many.
            hours: For how long.

        Raises:
            StoreUnavailable: It could not be kept.
        """
        until = self._desk.at() + hours * 3600
        await self._desk.ledger.allow(self._desk.scope, person, calls, until=until)

    async def grants(self) -> tuple[Grants, ...]:
        """What the key may do in each service as a whole, read at start.

        Raises:
            CelonisError: Celonis cannot be asked, or does not say.
        """
        until = self._clock.monotonic() + self.connection.timeout
        return await self.on_behalf(Caller("bot:start", "", Lane.BACKGROUND, until)).permissions()

    async def connect(self, caller: Caller | None = None) -> KeyInfo:
        """Tries the key, as PyCelonis' "initial connect" does, and finds out its kind.

        `GET /api/cloud` answers a user key with its user and an application key with an empty 200; where that path
        is refused, `GET /api/cloud/team` decides. Of a key of the wrong kind the admin is told which it is.

        Args:
            caller: For whom; None for the bot itself.

        Raises:
            Unauthorized: Celonis does not accept the key, sent as either kind.
            CelonisError: Celonis cannot be asked.
        """
        caller = caller or Caller(
            "bot:start", "", Lane.GUARDED, self._clock.monotonic() + self.connection.timeout
        )
        asking = self.on_behalf(caller).fresh()
        try:
            await asking.me()
        except (Forbidden, NotFound):
            await asking.team()
        except Unauthorized:
            other = await self._other_kind(caller)
            if other is None:
                raise
            raise Unauthorized(
                f"The key of {self.connection.name} is a {_called(other)}, but is set as a {_called(other.other)}.",
                hint=f"The bot's admin should set the key type to {other}.",
                status=401,
            ) from None
        return self.kind()

    async def _other_kind(self, caller: Caller) -> KeyType | None:
        """Tries a key whose kind was set wrongly as the other kind, once."""
        key, kind = self.connection.api_token, self.connection.key_type
        if key is None or kind is None:
            return None
        other = kind.other
        authorization = f"{other.scheme} {key.reveal()}"
        stake = Stake(caller)
        reply = await self._engine.exchange(stake, Asked("GET", "/api/cloud/team"), authorization)
        return other if reply.ok else None


def governors_of(connection: Connection, desk: Desk, random: Callable[[], float]) -> dict[Family, Governor]:
    """The doors of a team's API families."""
    return {
        family: Governor(
            family, desk, timeout=connection.timeout, random=random, total_retry=connection.total_retry
        )
        for family in Family
    }


def _called(kind: KeyType) -> str:
    return "application key" if kind is KeyType.APP_KEY else "user key"
