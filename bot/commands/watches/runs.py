"""Looking at data jobs that are watched: one message a run, kept current, and a word when a run ends or goes wrong.

All data pools together cost one call: a run that begins changes the state that Celonis reports of its pool. Detail is
read where that has changed, and while a run is known to be active: another job's end may hide its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from bot.audience import Shown
from bot.celonis import Execution, Family, JobRun
from bot.commands.command import Context
from bot.commands.jobs import (
    ACTIVE,
    ShowJob,
    Why,
    full_name,
    lasts,
    moment,
    named,
    run_card,
    said,
    states,
    stop_buttons,
    touch_of,
)
from bot.model.cards import Button, Fact, Facts, Run, Status, Words
from bot.model.errors import Forbidden, NotFound
from bot.model.names import Name
from bot.model.people import MessageRef
from bot.render.values import duration, when
from bot.store.watches import Watch
from bot.watching.loop import Looked
from bot.watching.orders import WatchJob, WatchPool, schedule_of
from bot.watching.outlet import Outlet
from bot.watching.quiet import next_look

EVERY = timedelta(seconds=60)
"""Between two looks while the day's calls last."""
ENDED = {"FAIL": "failed", "SUCCESS": "succeeded", "CANCEL": "stopped"}
SLOWER = 1.5
"""How many times as long as usual a run takes when that is said."""
SLOWER_BY = 600.0
"""Seconds that it takes longer than usual at least when that is said."""
USUAL_OF = 3
"""Runs that have to have succeeded before anything counts as usual."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest run of a data job, as it was last seen. It goes to disk, for telling one run from the next after a restart.

    Attributes:
        start: When it started (UTC).
        status: Celonis' word for its state.
        usual: How many seconds runs of the job usually take; None where that is not known.
        slow: Whether it was said that it takes long.
        message: The message that is kept current for it.
        untold: From which start on runs have ended that are told after the quiet hours; None where there are none.
    """

    start: datetime | None = None
    status: str = ""
    usual: float | None = None
    slow: bool = False
    message: MessageRef | None = None
    untold: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a watch of runs has seen.

    Attributes:
        pool: What Celonis reported of the data pool as a whole: state and start of its newest run.
        jobs: By id of the data job.
        late: The last time by which a run had to start, and for which it was looked.
    """

    pool: tuple[str, datetime | None] | None = None
    jobs: Mapping[str, Seen] = field(default_factory=dict)
    late: datetime | None = None


_MEMORY = TypeAdapter(Memory)


async def look_at_runs(
    watch: Watch, order: WatchJob | WatchPool, context: Context, outlet: Outlet, *, quiet: bool
) -> Looked:
    """Says what has become of the runs of a data job, or of every data job in a data pool.

    Args:
        watch: Which one.
        order: What was asked for.
        context: For work in the background.
        outlet: Where it speaks.
        quiet: Whether only failures are told now, and the rest later.
    """
    assert order.pool is not None
    memory = _MEMORY.validate_json(watch.state) if watch.state else Memory()
    looking = _Looking(watch, order, order.pool, context, outlet, memory, quiet)
    await looking.all()
    scarcity = context.celonis.scarcity(Family.INTEGRATION)
    return Looked(looking.state(), next_look(context.now, EVERY, scarcity))


@dataclass(slots=True)
class _Looking:
    """One look at the runs of a data pool's jobs."""

    watch: Watch
    order: WatchJob | WatchPool
    pool: Name
    context: Context
    outlet: Outlet
    memory: Memory
    quiet: bool

    def state(self) -> str:
        return _MEMORY.dump_json(self.memory).decode()

    async def all(self) -> None:
        """Looks at all pools at once, and closer where something has changed or goes on."""
        try:
            pools = await self.context.asking.pools_paged()
        except (Forbidden, NotFound):
            pools = ()  # nobody promised that path; without it each pool is read
        overview = next((each for each in pools if each.id == self.pool.id), None)
        reported = (overview.status, overview.last_execution_start) if overview is not None else None
        seen = self.memory.jobs.values()
        open_ = any(each.status in ACTIVE or (each.untold and not self.quiet) for each in seen)
        if overview is None or open_ or reported != self.memory.pool:
            if overview is not None:
                self.pool = Name(overview.name, self.pool.id)
            await self._closer()
        await self._started()
        self.memory = replace(self.memory, pool=reported)

    async def _closer(self) -> None:
        """Reads the states of a data pool's jobs and says what is new of those that are watched."""
        job = self.order.job if isinstance(self.order, WatchJob) else None
        async for each in states(self.context, [self.pool]):
            if job is None or each.job_id == job.id:
                await self._told(each.run, self.memory.jobs.get(each.job_id))

    async def _keep(self, run: JobRun, seen: Seen, *, said: bool = True) -> Seen:
        self.memory = replace(self.memory, jobs={**self.memory.jobs, run.job_id: seen})
        if said:
            await self.outlet.keep(self.state())
        return seen

    async def _told(self, run: JobRun, before: Seen | None) -> None:
        """Says what is new of one data job's runs."""
        if before is None:
            # What was there before anybody asked is no news, but a run that goes on is followed to its end.
            seen = await self._keep(run, Seen(run.started_at, run.status), said=False)
            if run.status in ACTIVE:
                await self._active(run, seen)
            return
        began = run.status == "RUNNING" and before.status == "QUEUED"
        another = run.started_at != before.start and not began
        seen = before
        if another or (seen.untold and not self.quiet):
            seen = await self._meanwhile(run, seen, another=another)
        if another:
            seen = Seen(usual=seen.usual, untold=seen.untold)
        if run.status in ACTIVE:
            fresh = replace(seen, start=run.started_at, status=run.status)
            seen = await self._keep(run, fresh, said=False)
            await self._slow(run, await self._active(run, seen, changed=run.status != before.status))
        elif run.status in ENDED and run.status != seen.status:
            await self._ended_now(run, seen)
        else:
            await self._keep(run, replace(seen, start=run.started_at, status=run.status), said=False)

    async def _active(self, run: JobRun, seen: Seen, *, changed: bool = True) -> Seen:
        """A run that is active: its message, which is kept current, unless only some of its ends are wanted."""
        if seen.usual is None and self.order.longer is None and self._wants("slow"):
            usual = _usual(await self.context.asking.executions(run.pool_id, run.job_id))
            seen = await self._keep(run, replace(seen, usual=usual or 0.0), said=False)
        if self.order.on or self.quiet:
            return seen
        shown = _shown(run, self.context, f"{said(run.status).capitalize()}: {full_name(run)}")
        if seen.message is None:
            return await self._keep(run, replace(seen, message=await self.outlet.post(shown)))
        if changed:
            await self.outlet.update(seen.message, shown)
        return seen

    async def _slow(self, run: JobRun, seen: Seen) -> None:
        """Says once of a run that it takes longer than usual, or than was said."""
        if (
            seen.slow
            or self.quiet
            or run.status != "RUNNING"
            or run.started_at is None
            or not self._wants("slow")
        ):
            return
        if self.order.longer is not None:
            most = self.order.longer.total_seconds()
            usual = f"more than {duration(most)}"
        elif seen.usual:
            most = max(seen.usual * SLOWER, seen.usual + SLOWER_BY)
            usual = f"usually {duration(seen.usual)}"
        else:
            return
        if (self.context.now - run.started_at).total_seconds() < most:
            return
        sign = f"STILL RUNNING after {lasts(run, self.context.now)}, {usual}: {full_name(run)}"
        await self.outlet.post(self._aloud(_shown(run, self.context, sign)), duty=run.pool_name)
        await self._keep(run, replace(seen, slow=True))

    async def _ended_now(self, run: JobRun, seen: Seen) -> None:
        """The newest run has ended since it was last seen."""
        listed = await self.context.asking.executions(run.pool_id, run.job_id)
        ended = next((each.end for each in listed if each.start == run.started_at and each.end), None)
        after = replace(seen, start=run.started_at, status=run.status, usual=_usual(listed) or 0.0)
        if self._waits(run.status):
            await self._keep(run, replace(after, untold=seen.untold or run.started_at), said=False)
            return
        await self._ended(run, ended, seen.message)
        await self._keep(run, replace(after, message=None, slow=False))

    async def _ended(self, run: JobRun, at: datetime | None, message: MessageRef | None) -> None:
        """Says how a run ended: in its message, and once more aloud, since a changed message wakes nobody."""
        word = ENDED[run.status]
        if not self._wants(word):
            return
        ended = f" {when(at, self.context.reader)}" if at is not None else ""
        took = f", after {duration((at - run.started_at).total_seconds())}" if at and run.started_at else ""
        sign = f"{word.upper() if run.status == 'FAIL' else word.capitalize()}{ended}{took}: {full_name(run)}"
        shown = _shown(run, self.context, sign, ended=at)
        await self.outlet.post(self._aloud(shown), duty=run.pool_name if run.status == "FAIL" else "")
        if message is not None:
            await self.outlet.update(message, shown)

    async def _meanwhile(self, run: JobRun, seen: Seen, *, another: bool) -> Seen:
        """Says how runs ended that nobody was told of: between two looks, or in the quiet hours.

        Args:
            run: The newest run.
            seen: What is known of the job.
            another: Whether the newest run is another one than was seen last.
        """
        known = seen.untold or seen.start
        if known is None:
            return seen
        newest, newest_told = seen.start or known, seen.status not in ACTIVE
        listed = await self.context.asking.executions(run.pool_id, run.job_id)
        held_back = seen.untold is not None
        for each in sorted(listed, key=lambda found: found.start or known):
            start = each.start
            if start is None or each.status not in ENDED or (another and start == run.started_at):
                continue
            told_of = start < newest or (start == newest and newest_told)
            if start < known or (told_of and (each.status == "FAIL" or not held_back)):
                continue
            if self._waits(each.status):
                seen = await self._keep(run, replace(seen, untold=seen.untold or start), said=False)
                continue
            earlier = replace(run, started_at=start, status=each.status, execution_id=each.execution_id)
            await self._ended(earlier, each.end, seen.message if start == seen.start else None)
            # What is left to tell began after this one.
            left = seen.untold + _MOMENT if seen.untold == start else seen.untold
            seen = await self._keep(run, replace(seen, start=start, status=each.status, untold=left))
        return seen if self.quiet else await self._keep(run, replace(seen, untold=None), said=False)

    async def _started(self) -> None:
        """Says once for each time that no run has started by it."""
        order, memory = self.order, self.memory
        if not isinstance(order, WatchJob) or order.start_by is None or order.job is None:
            return
        schedule = schedule_of(order, self.watch.zone)
        assert schedule is not None
        since = memory.late or self.watch.created_at
        due = schedule.missed(since, self.context.now)
        if not due:
            return
        self.memory = replace(memory, late=due[-1])
        seen = memory.jobs.get(order.job.id, Seen())
        # A run that belongs to this time started within the day before it.
        if seen.start is not None and due[-1] - timedelta(days=1) < seen.start <= self.context.now:
            return
        run = JobRun(
            pool_id=self.pool.id,
            pool_name=self.pool.text,
            job_id=order.job.id,
            job_name=order.job.text,
            execution_id=None,
            started_at=seen.start,
            status=seen.status,
        )
        by = due[-1].astimezone(ZoneInfo(self.watch.zone))
        shown = _shown(run, self.context, f"NOT STARTED by {by:%H:%M}: {full_name(run)}")
        await self.outlet.post(self._aloud(shown), duty=run.pool_name)
        await self.outlet.keep(self.state())

    def _waits(self, status: str) -> bool:
        """Whether an end is told only after the quiet hours."""
        return self.quiet and status != "FAIL" and self._wants(ENDED[status])

    def _wants(self, what: str) -> bool:
        """Whether somebody wants to hear that."""
        if what == "slow" and self.order.longer is not None:
            return True
        return not self.order.on or what in self.order.on

    def _aloud(self, shown: Shown) -> Shown:
        """The same, for which its owner is called."""
        return replace(shown, mention=(self.watch.owner,))


_MOMENT = timedelta(microseconds=1)


def _usual(listed: Sequence[Execution]) -> float | None:
    """How many seconds runs of a data job usually take: the median of those that succeeded."""
    took = [
        (each.end - each.start).total_seconds()
        for each in listed
        if each.status == "SUCCESS" and each.start and each.end
    ]
    return median(took) if len(took) >= USUAL_OF else None


def _shown(run: JobRun, context: Context, sign: str, *, ended: datetime | None = None) -> Shown:
    facts = [Fact("Status", Words(said(run.status))), Fact("Started", moment(run.started_at))]
    if ended is not None:
        facts.append(Fact("Ended", moment(ended)))
    job = named(run)
    buttons = [Button("State now", Run(ShowJob(**job)))]
    if run.status == "FAIL":
        buttons.insert(0, Button("Why", Run(Why(**job))))
    if run.status in ACTIVE:
        buttons = [*stop_buttons((run,), None, context), *buttons]
    status = Status.FAILED if run.status == "FAIL" else Status.ANSWERED
    card = run_card(run, context, sign, Facts(tuple(facts)), buttons=tuple(buttons), status=status)
    return Shown(card, (touch_of(run, context.connection),), editable=True)
