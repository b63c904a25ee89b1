"""The ledger's interface, and one that lives in memory: for tests, simulations and a demo without a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from bot.model.clock import Clock
from bot.store.ledger import (
    BUCKET,
    DAY,
    HOUR,
    LEASE,
    Account,
    Bucket,
    Ceilings,
    Holder,
    Pause,
    Payer,
    Seat,
    Standing,
    choose,
    counts_until,
    judge,
)


class Ledger(Protocol):
    """What the client wants of a ledger; `bot.store.ledger.Ledger` says what each method does."""

    async def book(
        self, account: Account, payer: Payer, *, at: float, ceilings: Ceilings, fence: tuple[int, str]
    ) -> Standing: ...

    async def repay(self, account: Account, payer: Payer, *, at: float, calls: int) -> None: ...

    async def standing(self, account: Account, payer: Payer, *, at: float) -> Standing: ...

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]: ...

    async def spent_by(self, account: Account, *, at: float) -> Mapping[str, int]: ...

    async def pause(self, account: Account, pause: Pause) -> Pause: ...

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None: ...

    async def sit_down(
        self, scope: str, holder: Holder, *, seats: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Seat | None: ...

    async def stay(self, scope: str, seat: Seat, run: str, *, at: float) -> bool: ...

    async def leave(self, scope: str, seat: Seat, run: str, *, free_at: float) -> None: ...

    async def purge(self, at: float) -> None: ...


@dataclass(slots=True)
class _Chair:
    holder: Holder | None
    seen_at: float
    ledger_at: float
    free_at: float
    epoch: int
    guest: bool


@dataclass(slots=True)
class MemoryLedger:
    """A ledger that ends with the program."""

    clock: Clock
    _calls: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)
    _shares: Counter[tuple[str, str, int, str, str]] = field(default_factory=Counter)
    _pauses: dict[tuple[str, str], Pause] = field(default_factory=dict)
    _allowances: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    _chairs: dict[tuple[str, int], _Chair] = field(default_factory=dict)

    async def book(
        self, account: Account, payer: Payer, *, at: float, ceilings: Ceilings, fence: tuple[int, str]
    ) -> Standing:
        standing = await self.standing(account, payer, at=at)
        number, run = fence
        chair = self._chairs.get((account.scope, number))
        seated = chair is not None and chair.holder is not None and chair.holder.run == run
        refused = judge(standing, ceilings, at, seated=seated)
        if refused is not None:
            return replace(standing, refused=refused)
        await self.repay(account, payer, at=at, calls=1)
        return replace(
            standing, spent=standing.spent + 1, person=standing.person + 1, place=standing.place + 1
        )

    async def repay(self, account: Account, payer: Payer, *, at: float, calls: int) -> None:
        self._calls[account.scope, account.family, account.epoch, int(at // BUCKET)] += calls
        hour = int(at // HOUR)
        self._shares[account.scope, account.family, hour, payer.person, payer.place] += calls

    async def standing(self, account: Account, payer: Payer, *, at: float) -> Standing:
        spent = sum(bucket.calls for bucket in await self.buckets(account, at=at))
        person = place = 0
        for (scope, family, hour, who, where), calls in self._shares.items():
            if (scope, family) == (account.scope, account.family) and hour > int((at - DAY) // HOUR):
                person += calls if who == payer.person else 0
                place += calls if where == payer.place else 0
        extra, until = self._allowances.get((account.scope, payer.person), (0, 0.0))
        pause = self._pauses.get((account.scope, account.family), Pause())
        return Standing(spent, person, place, extra if until > at else 0, pause)

    async def buckets(self, account: Account, *, at: float) -> list[Bucket]:
        found = [
            Bucket(bucket * BUCKET, counts_until(bucket, epoch, account.epoch), calls)
            for (scope, family, epoch, bucket), calls in self._calls.items()
            if (scope, family) == (account.scope, account.family)
        ]
        return sorted(
            (bucket for bucket in found if bucket.counts_until > at),
            key=lambda bucket: (bucket.start, bucket.counts_until),
        )

    async def spent_by(self, account: Account, *, at: float) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for (scope, family, hour, person, _), calls in self._shares.items():
            if (scope, family) == (account.scope, account.family) and hour > int((at - DAY) // HOUR):
                found[person] += calls
        return found

    async def pause(self, account: Account, pause: Pause) -> Pause:
        old = self._pauses.get((account.scope, account.family), Pause())
        new = Pause(
            max(old.until, pause.until),
            max(old.struck_at, pause.struck_at),
            max(old.halved_until, pause.halved_until),
        )
        self._pauses[account.scope, account.family] = new
        return new

    async def allow(self, scope: str, person: str, calls: int, *, until: float) -> None:
        self._allowances[scope, person] = (calls, until)

    async def sit_down(
        self, scope: str, holder: Holder, *, seats: int, guest: bool, dead: Callable[[str, int], bool]
    ) -> Seat | None:
        now = self.clock.now().timestamp()
        chairs = {number: chair for (where, number), chair in self._chairs.items() if where == scope}
        alive = {
            number: chair
            for number, chair in chairs.items()
            if chair.holder and chair.seen_at > now - LEASE and not dead(chair.holder.host, chair.holder.pid)
        }
        number = choose({seat: chair.guest for seat, chair in alive.items()}, seats, guest=guest)
        if number is None:
            return None
        before = chairs.get(number)
        at, epoch = now, 1 + max((chair.epoch for chair in chairs.values()), default=0)
        if alive:
            newest = max(alive.values(), key=lambda chair: chair.seen_at)
            at, epoch = now + (newest.ledger_at - newest.seen_at), newest.epoch
        self._chairs[scope, number] = _Chair(holder, now, at, 0.0, epoch, guest)
        clean = before is None or before.holder is None
        return Seat(number, epoch, at, clean, 0.0 if before is None else before.free_at)

    async def stay(self, scope: str, seat: Seat, run: str, *, at: float) -> bool:
        chair = self._chairs.get((scope, seat.number))
        if chair is None or chair.holder is None or chair.holder.run != run:
            return False
        chair.seen_at, chair.ledger_at = self.clock.now().timestamp(), at
        return True

    async def leave(self, scope: str, seat: Seat, run: str, *, free_at: float) -> None:
        chair = self._chairs.get((scope, seat.number))
        if chair is not None and chair.holder is not None and chair.holder.run == run:
            chair.holder, chair.free_at = None, free_at

    async def purge(self, at: float) -> None:
        for key in [key for key in self._calls if counts_until(key[3], 0, -1) <= at]:
            del self._calls[key]
        for hour in [key for key in self._shares if key[2] < int((at - 2 * DAY) // HOUR)]:
            del self._shares[hour]
        for who in [key for key, (_, until) in self._allowances.items() if until <= at]:
            del self._allowances[who]
