"""One `Celonis` for each connection and program: its life, its quota, its key."""

from __future__ import annotations

import random as dice
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Self

import httpx

from bot.celonis.api import Api
from bot.celonis.client import Client, KeyInfo
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.limits.limiter import Limiter
from bot.celonis.limits.replicas import TRAVEL, Replica
from bot.celonis.limits.transport import REMEMBERED, CallRecord
from bot.celonis.models import Grants
from bot.celonis.request import Call, Caller, Family, Lane
from bot.config import Connection, KeyType
from bot.model.clock import Clock
from bot.model.errors import Forbidden, NotFound, StoreUnavailable, Unauthorized
from bot.store.ledger import DAY, Ledger

GRACE = 3.0
"""Seconds that calls in the air get to come back when the program ends."""


@dataclass(frozen=True, slots=True)
class FamilyQuota:
    """What one API family has spent and has left.

    Attributes:
        family: Which one.
        limit: Calls in 24 hours.
        spent: Calls of this bot in the last 24 hours, over all replicas.
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
        runs_out_at: When it is used up at the rate of the last hour, None where it lasts for a day.
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
        ledger: Where spending is counted.
        transport: Stands in for the network.
        random: From 0 to 1; for waiting times.
        replicas: How many replicas of the bot share the limits.
        guest: A one-shot command beside running replicas.
        beside: Another connection to the same team, whose limits this one shares.

    Attributes:
        replica: This program's share of the team's limits.
        limiters: Of the team, by API family.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        ledger: Ledger,
        transport: httpx.AsyncBaseTransport | None = None,
        random: Callable[[], float] = dice.random,
        replicas: int = 1,
        guest: bool = False,
        beside: Celonis | None = None,
    ) -> None:
        self.connection = connection
        self._clock = clock
        shared = beside is not None and beside.connection.scope == connection.scope
        self._owns_limits = not shared
        self.replica: Replica
        self.limiters: Mapping[Family, Limiter]
        if beside is not None and shared:
            self.replica, self.limiters = beside.replica, beside.limiters
        else:
            self.replica = Replica(
                connection.scope,
                connection.limits,
                replicas=replicas,
                clock=clock,
                ledger=ledger,
                guest=guest,
            )
            self.limiters = {
                family: Limiter(
                    family,
                    self.replica,
                    connection.limits,
                    timeout=connection.timeout,
                    random=random,
                    total_retry=connection.total_retry,
                )
                for family in Family
            }
        self._client = Client(
            connection,
            self.limiters,
            clock=clock,
            transport=transport,
            random=random,
        )
        self.replica.look_regularly(self._look)

    # Life --------------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Takes a share among the running replicas. Nothing is sent to Celonis.

        Raises:
            ConfigError: As many replicas run as are configured.
            StoreUnavailable: The database does not answer.
        """
        if self._owns_limits:
            await self.replica.open()
            for limiter in self.limiters.values():
                await limiter.look()
        return self

    async def close(self) -> None:
        """Ends all calls and gives the share back."""
        await self._client.cache.close(GRACE)
        if self._owns_limits:
            # What has not been answered by now counts like what a killed program leaves behind.
            free_in = max(limiter.free_in() for limiter in self.limiters.values())
            free_in = min(free_in, self.connection.limits.window_seconds + TRAVEL)
            for limiter in self.limiters.values():
                await limiter.close()
            await self.replica.close(free_in)
        await self._client.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _look(self) -> None:
        """Calculates anew how long answers keep."""
        for family, stretch in self._client.cache.stretches.items():
            limiter = self.limiters[family]
            if stretch.due(self._clock.monotonic()):
                await limiter.look()
                self._client.cache.look(family, limiter.budget.supply())

    # For people --------------------------------------------------------------------------------------------

    def on_behalf(self, caller: Caller) -> Api:
        """The calls, for one person's one request."""
        return Api(self._client, caller)

    def recent_calls(self, person: str | None = None) -> tuple[CallRecord, ...]:
        """The newest calls first, of one person (`Person.key`) or of all."""
        records = islice(self._client.transport.records, REMEMBERED)
        return tuple(each for each in records if person is None or each.person == person)

    def scarcity(self, family: Family) -> float:
        """How many times too fast the calls of the last hour went for them to last a day; 1 where they do."""
        out = self.limiters[family].budget.runs_out_at()
        left = DAY if out is None else (out - self._clock.now()).total_seconds()
        return DAY / min(max(left, 1.0), DAY)

    def left(self, family: Family) -> int:
        """Calls of an API family that may still be made, as far as the newest booking tells."""
        return self.limiters[family].budget.left()

    async def quota(self, person: str = "") -> QuotaView:
        """What is spent and left. Costs no call.

        Args:
            person: `Person.key` of the one who asks.
        """
        families = []
        for family, limiter in self.limiters.items():
            await limiter.look()
            budget, paused = limiter.budget, limiter.paused_for()
            left = budget.left()
            until = self._clock.now() + timedelta(seconds=paused) if paused else None
            kept = left - budget.left(Lane.PEOPLE)
            families.append(FamilyQuota(family, budget.limit, budget.spent, left, kept, until))
        tightest = min(
            families, key=lambda each: (each.left / each.limit, each.family is not Family.INTELLIGENCE)
        )
        budget = self.limiters[tightest.family].budget
        people: Mapping[str, int] = {}
        if not self.replica.blind:
            try:
                people = await self.replica.ledger.spent_by(budget.account, at=self.replica.at())
            except StoreUnavailable:
                self.replica.lost_sight()
        return QuotaView(
            tightest=tightest,
            mine=people.get(person, 0),
            resets_at=budget.resets_at(),
            runs_out_at=budget.runs_out_at(),
            hit_rate=self._client.cache.hit_rate,
            people=tuple(sorted(people.items(), key=lambda each: -each[1])),
            families=tuple(families),
        )

    async def allow(self, person: str, calls: int) -> None:
        """Lets a person (`Person.key`) make so many calls beyond the daily part, for a day.

        Raises:
            StoreUnavailable: It could not be kept.
        """
        until = self.replica.at() + DAY
        await self.replica.ledger.allow(self.replica.scope, person, calls, until=until)

    async def grants(self) -> tuple[Grants, ...]:
        """What the key may do in each service as a whole, read at start.

        Raises:
            CelonisError: Celonis cannot be asked, or does not say.
        """
        return await self.on_behalf(self._starting(Lane.BACKGROUND)).permissions()

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
        caller = caller or self._starting(Lane.GUARDED)
        api = self.on_behalf(caller).fresh()
        try:
            await api.me()
        except (Forbidden, NotFound):
            await api.team()
        except Unauthorized:
            set_as = self.connection.key_type
            if set_as is None or not await self._accepts(set_as.other, caller):
                raise
            raise Unauthorized(
                f"The key of {self.connection.name} is {_A[set_as.other]}, but is set as {_A[set_as]}.",
                hint=f"The bot's admin should set the key type to {set_as.other}.",
                status=401,
            ) from None
        return self._client.key()

    async def try_write_key(self) -> None:
        """Tries the key for writes with a read, where there is one. Raises as `connect` does."""
        await self._client.try_write_key(self._starting(Lane.GUARDED))

    def _starting(self, lane: Lane) -> Caller:
        return Caller("bot:start", "", lane, self._clock.monotonic() + self.connection.timeout)

    async def _accepts(self, kind: KeyType, caller: Caller) -> bool:
        """Tries a key whose kind was set wrongly as the other kind, once."""
        key = self.connection.api_token
        if key is None:
            return False
        authorization = f"{kind.scheme} {key.reveal()}"
        call = Call("GET", "/api/cloud/team")
        return (await self._client.send(Purpose(caller), call, authorization=authorization)).is_success


_A = {KeyType.APP_KEY: "an application key", KeyType.USER_KEY: "a user key"}
