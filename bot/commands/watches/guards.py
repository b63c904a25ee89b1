"""Looking after guards: at their time they ask whether to stop what is active, and never stop anything themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from bot.audience import Shown
from bot.commands.command import Context
from bot.commands.jobs import ACTIVE, CancelJob, Jobs, State, said, states
from bot.language.say import say
from bot.model.cards import Button, Card, Run, Text, headline
from bot.model.errors import BotError, CelonisError, QuotaExhausted
from bot.model.names import Name
from bot.policy import Touch
from bot.render.card_text import error_text
from bot.render.values import when
from bot.store.watches import Watch
from bot.watching.loop import Looked
from bot.watching.orders import GuardJob, GuardPool, schedule_of
from bot.watching.outlet import Outlet

EVERY = timedelta(seconds=30)
"""Between two looks while a guard lasts: runs that start later are asked about, too."""
USUALLY = timedelta(minutes=15)
"""How long a guard lasts for which no end was said."""
LONGEST = timedelta(minutes=60)
"""How long a guard can last; a question stays open as long."""
LATE = timedelta(minutes=1)
"""From when on it is said that the time was missed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a guard has done in the time that it lasts.

    Attributes:
        begun: Its time (UTC); None before it.
        asked: The runs that were asked about: by id of the data job, when they started.
        idle: Whether it was said that nothing is active.
        blind: Whether it was said that Celonis cannot be seen.
        failed: Whether it was said why a question could not be asked.
    """

    begun: datetime | None = None
    asked: Mapping[str, datetime | None] = field(default_factory=dict)
    idle: bool = False
    blind: bool = False
    failed: bool = False


_MEMORY = TypeAdapter(Memory)


async def look_after(watch: Watch, order: GuardJob | GuardPool, context: Context, outlet: Outlet) -> Looked:
    """Asks about the runs that are active and were not asked about; says once where there are none.

    Args:
        watch: The guard.
        order: What it is.
        context: For work that nothing may hold up, past the cache.
        outlet: Where it speaks.
    """
    assert order.pool is not None
    schedule = schedule_of(order, watch.zone)
    assert schedule is not None
    memory = _MEMORY.validate_json(watch.state) if watch.state else Memory()
    begun = memory.begun or watch.due_at
    ends = min(schedule.end(begun) or begun + USUALLY, begun + LONGEST)
    silent_till_end = watch.due_at == watch.snoozed_until and context.now >= ends
    if context.now >= ends and (memory.begun is not None or silent_till_end):
        return _over(order, schedule.next(context.now))
    guarding = _Guarding(order, context, outlet, ends, memory)
    try:
        await guarding.look(begun)
    except (CelonisError, QuotaExhausted) as error:
        await guarding.blind(begun, error)
    if context.now >= ends:
        return _over(order, schedule.next(context.now))
    return Looked(guarding.state(), min(context.now + EVERY, ends))


@dataclass(slots=True)
class _Guarding:
    """One look of a guard."""

    order: GuardJob | GuardPool
    context: Context
    outlet: Outlet
    ends: datetime
    memory: Memory

    def state(self) -> str:
        return _MEMORY.dump_json(self.memory).decode()

    async def _keep(self, **changes: Any) -> None:
        self.memory = replace(self.memory, **changes)
        await self.outlet.keep(self.state())

    @property
    def _pool(self) -> Name:
        assert self.order.pool is not None
        return self.order.pool

    async def look(self, begun: datetime) -> None:
        """Asks about each run that is active and was not asked about."""
        active = await self._active()
        if self.memory.begun is None and self.context.now - begun >= LATE:
            now = ", ".join(f"{each.name} is {said(each.status)}" for each in active) or "nothing is active"
            reader = self.context.reader
            sign = f"I was down at {when(begun, reader)}. Now {when(self.context.now, reader)}: {now}"
            await self.outlet.post(
                _shown(self.order, self.context, sign), duty=self._pool.text if active else ""
            )
            await self._keep(begun=begun, idle=not active)
        self.memory = replace(self.memory, begun=begun, blind=False)
        if not active and not self.memory.idle:
            what = self._pool.text
            if isinstance(self.order, GuardJob) and self.order.job is not None:
                what = f"{self.order.job.text} ({what})"
            await self.outlet.post(_shown(self.order, self.context, f"✓ Nothing to stop: {what} is idle"))
            await self._keep(idle=True)
        for each in active:
            new = self.memory.asked.get(each.job_id, _NEVER) != each.run.started_at
            if new and self.context.now < self.ends:
                await self._ask(each)

    async def _ask(self, state: State) -> None:
        here = Name(self.context.connection, self.context.connection)
        ask = CancelJob(job=Name(state.name, state.job_id), pool=self._pool, via=here)
        answered = await self.outlet.ask(
            say(ask), until=self.ends, duty=self._pool.text, again=self.memory.failed
        )
        if answered:
            asked = {**self.memory.asked, state.job_id: state.run.started_at}
            await self._keep(asked=asked, failed=False)
        else:
            await self._keep(failed=True)

    async def _active(self) -> list[State]:
        job = self.order.job if isinstance(self.order, GuardJob) else None
        return [
            each
            async for each in states(self.context, [self._pool])
            if each.status in ACTIVE and (job is None or each.job_id == job.id)
        ]

    async def blind(self, begun: datetime, error: BotError) -> None:
        """Says once that nobody knows what is active: silence would read as if nothing were."""
        if self.memory.blind:
            return
        why, _ = error_text(error, self.context.reader)
        sign = f"I CANNOT SEE what is active in {self._pool.text}: {why}"
        await self.outlet.post(_shown(self.order, self.context, sign), duty=self._pool.text)
        await self._keep(begun=begun, blind=True)


_NEVER = object()


def _over(order: GuardJob | GuardPool, following: datetime) -> Looked:
    """What was asked for once is over; the rest waits for its next time."""
    return Looked("", following if order.days else None)


def _shown(order: GuardJob | GuardPool, context: Context, sign: str) -> Shown:
    assert order.pool is not None
    card = Card(
        headline(sign),
        blocks=(Text("I ask before anything is stopped; nothing has been stopped.", quiet=True),),
        buttons=(Button("Jobs of the pool", Run(Jobs(pool=order.pool))),),
        source=context.live_source(order.pool.text),
    )
    job = order.job if isinstance(order, GuardJob) else None
    here = Name(context.connection, context.connection)
    return Shown(card, (Touch(connection=here, pool=order.pool, job=job),))
