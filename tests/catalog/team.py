"""A team without a network: lists that a test changes, and a store in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from bot.catalog import Lists
from bot.celonis import Api
from bot.config import Limits
from bot.model.errors import BotError
from bot.model.names import Kind, Name
from bot.policy import Policy
from bot.store import Snapshot, Store
from tests.fakes import START

Key = tuple[Kind, str]


def key(kind: Kind, *within: str) -> Key:
    return kind, "/".join(within)


@dataclass
class Team:
    """What Celonis has, and when it is asked.

    Attributes:
        lists: Id -> name, by kind and the ids it lies in.
        now: The time.
        asked: How often each list was read.
        broken: What reading each list raises.
        unread: Items that could not be read.
        stored: What the store holds.
    """

    lists: dict[Key, dict[str, str]] = field(default_factory=dict)
    now: datetime = START
    asked: Counter[Key] = field(default_factory=Counter)
    broken: dict[Key, BotError] = field(default_factory=dict)
    unread: int = 0
    stored: dict[tuple[str, str], Snapshot] = field(default_factory=dict)
    looked_up: int = 0

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)

    def shared(self, policy: Policy, **more: Any) -> Lists:
        """The lists of a bot that has just started."""
        store = SimpleNamespace(dialect="sqlite", snapshot=self._snapshot, put_snapshot=self._put)
        return Lists("prod", cast("Store", store), policy, **more)

    def api(self, **limits: int) -> Api:
        """The client of one request."""
        reads: list[Any] = []

        def reading(kind: Kind) -> Any:
            async def read(*within: str) -> Any:
                await asyncio.sleep(0)
                where = key(kind, *within)
                self.asked[where] += 1
                if where in self.broken:
                    raise self.broken[where]
                reads.append(SimpleNamespace(fetched_at=self.now, unread=self.unread))
                found = [
                    SimpleNamespace(id=each, name=name, description=f"about {name}")
                    for each, name in self.lists.get(where, {}).items()
                ]
                return SimpleNamespace(fields=found) if kind is Kind.FIELD else found

            return read

        return cast(
            "Api",
            SimpleNamespace(
                knowledge_models=reading(Kind.MODEL),
                records=reading(Kind.RECORD),
                kpis=reading(Kind.KPI),
                filters=reading(Kind.FILTER),
                record=reading(Kind.FIELD),
                pools=reading(Kind.POOL),
                jobs=reading(Kind.JOB),
                reads=reads,
                limits=Limits(**limits),
                whole=not self.unread,
            ),
        )

    async def _snapshot(self, connection: str, scope: str) -> Snapshot | None:
        self.looked_up += 1
        await asyncio.sleep(0)
        return self.stored.get((connection, scope))

    async def _put(self, connection: str, scope: str, content: str, fetched_at: datetime) -> None:
        self.stored[connection, scope] = Snapshot(content, fetched_at)


def many(count: int, name: str = "KPI") -> dict[str, str]:
    return {f"{name}_{number}": f"{name} number {number}" for number in range(count)}


MODEL = Name("Sales", "m1")
