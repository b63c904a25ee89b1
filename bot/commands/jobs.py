"""Data pools and data jobs: what runs, since when; and stopping a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import nsmallest
from operator import attrgetter
from typing import ClassVar, NamedTuple

from bot.audience import Shown
from bot.catalog import Turns
from bot.celonis import JobRun
from bot.celonis.models import Job, JobStatus
from bot.commands.command import Command, Context
from bot.commands.lists import PAGE, back, count, nothing_shared, page_of, table
from bot.language.declare import CelonisIntent, Count, OneName, SomeOf, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Column,
    Fact,
    Facts,
    Missing,
    Moment,
    Run,
    Status,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.render.values import duration, duration_until
from bot.writes.guarded import touches

ACTIVE = frozenset({"RUNNING", "QUEUED"})
ORDER = ("RUNNING", "QUEUED", "FAIL", "CANCEL", "SUCCESS", "SKIPPED", "")
SAID = {
    "RUNNING": "running",
    "QUEUED": "queued",
    "SUCCESS": "succeeded",
    "FAIL": "failed",
    "CANCEL": "stopped",
    "SKIPPED": "skipped",
    "": "never run",
}
STATES = {
    "active": ACTIVE,
    "running": {"RUNNING"},
    "queued": {"QUEUED"},
    "failed": {"FAIL"},
    "stopped": {"CANCEL"},
    "cancelled": {"CANCEL"},
    "succeeded": {"SUCCESS"},
    "finished": {"SUCCESS"},
    "skipped": {"SKIPPED"},
}

NAMED = 60
"""Active jobs that are named in a headline, if there is room."""


@dataclass(frozen=True, slots=True)
class Pools(CelonisIntent):
    """Which data pools there are."""

    words: ClassVar[str] = "pools"
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class Jobs(CelonisIntent):
    """Data jobs with their states."""

    words: ClassVar[str] = "jobs"
    states: tuple[str, ...] = field(default=(), metadata=clause("", SomeOf(tuple(STATES))))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowJob(CelonisIntent):
    """One data job."""

    words: ClassVar[str] = "job"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class CancelJob(CelonisIntent):
    """Stop the run of a data job."""

    words: ClassVar[str] = "cancel"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


async def _pools(intent: Pools, context: Context) -> Card:
    visible = await context.catalog.listed(Kind.POOL)
    found = [each for each in await context.asking.pools_paged() if visible.shows(each.id)]
    if not found:
        return nothing_shared("data pool", "view on the data pool", context.live_source())
    rows = [
        (Words(each.name), Words(said(each.status or "")), moment(each.last_execution_start))
        for each in page_of(found, intent.page)
    ]
    running = sum(each.status in ACTIVE for each in found)
    return Card(
        headline(f"{count(len(found), 'data pool')}, {running or 'none'} active"),
        title="Data pools",
        blocks=(
            table(
                intent,
                (Column("Data pool"), Column("Status"), Column("Last start")),
                rows,
                page=intent.page,
                total=len(found),
            ),
        ),
        buttons=(
            *(
                Button(each.name, Run(Jobs(pool=Name(each.name, each.id), via=intent.via)))
                for each in page_of(found, intent.page)[:4]
            ),
            *back(intent, intent.page),
        ),
        source=context.live_source(),
    )


class _State(NamedTuple):
    """A data job with what is known of its latest run; a run is made of it only where it is shown."""

    status: str
    pool: Name
    job: Job
    last: JobStatus | None

    @property
    def place(self) -> tuple[int, str, str]:
        """Where it stands in a list."""
        return _rank(self.status), self.pool.text, self.job.name

    @property
    def run(self) -> JobRun:
        return JobRun(
            pool_id=self.pool.id,
            pool_name=self.pool.text,
            job_id=self.job.id,
            job_name=self.job.name,
            execution_id=self.job.current_execution_id,
            started_at=self.last.last_execution_start if self.last else None,
            status=self.status,
        )


async def states(context: Context, pools: Iterable[Name]) -> AsyncIterator[_State]:
    """The visible jobs of some pools."""
    turns = Turns()
    for pool in pools:
        visible = await context.catalog.listed(Kind.JOB, pool)
        states = {each.job_id: each for each in await context.asking.job_statuses(pool.id)}
        jobs = await context.asking.jobs(pool.id)
        for job in jobs:
            if visible.shows(job.id):
                last = states.get(job.id)
                yield _State((last.status if last else job.status) or "", pool, job, last)
        await turns.after(len(jobs))


async def _jobs(intent: Jobs, context: Context) -> Shown:
    if intent.pool is not None:
        return await _jobs_of(intent, [intent.pool], context)
    every = [each.as_name for each in await context.catalog.listed(Kind.POOL)]
    open_here = [pool for pool in every if context.public((_of_pool(pool, context),))]
    if not open_here or context.public((_of_pool(None, context),)):
        return await _jobs_of(intent, every, context)
    shown = await _jobs_of(intent, open_here, context)
    rest = len(every) - len(open_here)
    if rest:
        more = f"Of {count(rest, 'more data pool')} nothing is shown here; ask me in our direct message."
        card = replace(shown.card, blocks=(*shown.card.blocks, Text(more, quiet=True)))
        shown = replace(shown, card=card)
    return replace(shown, touches=tuple(_of_pool(pool, context) for pool in open_here))


def _of_pool(pool: Name | None, context: Context) -> Touch:
    return Touch(connection=Name(context.connection, context.connection), pool=pool)


async def _jobs_of(intent: Jobs, pools: Sequence[Name], context: Context) -> Shown:
    wanted = {state for word in intent.states for state in STATES[word]}
    found = [each async for each in states(context, pools) if not wanted or each.status in wanted]
    first = nsmallest(max(intent.page * PAGE, NAMED), found, key=attrgetter("place"))
    statuses = Counter(each.status for each in found)
    running = sum(statuses[each] for each in ACTIVE)
    active = [each.run for each in first if each.status in ACTIVE]
    where = f" in {intent.pool.text}" if intent.pool else ""
    if not found:
        which = " or ".join(intent.states)
        text = f"No {which} data job{where}" if intent.states else f"No data job is visible{where or ' here'}"
        card = Card(headline(text), source=context.live_source(intent.pool.text if intent.pool else ""))
        return Shown(card, touches(intent))
    verdict = f"{count(running, 'job')} active" if running else "No job is active"
    if failed := statuses["FAIL"]:
        verdict += f", {failed} failed"
    if active:
        verdict += f": {', '.join(run.job_name for run in active)}"
    columns = [Column("Job"), Column("Status"), Column("Since"), Column("For")]
    if intent.pool is None:
        columns.insert(1, Column("Data pool"))
    shown = [each.run for each in page_of(first, intent.page)]
    rows = [_job_row(each, context.now, pool=intent.pool is None) for each in shown]
    card = Card(
        headline(f"{verdict}{where}"),
        title=f"Data jobs{where}",
        blocks=(table(intent, columns, rows, page=intent.page, total=len(found)),),
        buttons=(
            *stop_buttons(active[:3], intent.via, context),
            Button("Refresh", Run(intent)),
            *back(intent, intent.page),
        ),
        source=context.live_source(intent.pool.text if intent.pool else ""),
    )
    return Shown(card, touches(intent), until=_reads_until(shown, context.now))


def _reads_until(runs: Iterable[JobRun], now: datetime) -> datetime | None:
    """When one of the durations on a card reads differently; None where there is none."""
    started = [each.started_at for each in runs if each.status in ACTIVE and each.started_at is not None]
    return min((duration_until(each, now) for each in started), default=None)


def _job_row(run: JobRun, now: datetime, *, pool: bool) -> tuple[Cell, ...]:
    for_ = lasts(run, now)
    return (
        Words(run.job_name),
        *((Words(run.pool_name),) if pool else ()),
        Words(said(run.status)),
        moment(run.started_at),
        Words(for_) if for_ else Missing(),
    )


def stop_buttons(runs: Iterable[JobRun], via: Name | None, context: Context) -> tuple[Button, ...]:
    """A way to stop each run, for those who may; the click asks before anything happens."""
    return tuple(
        Button(f"Stop {run.job_name} …", Run(CancelJob(**named(run), via=via)), Tone.DANGER)
        for run in runs
        if may_stop(run, context)
    )


def may_stop(run: JobRun, context: Context) -> bool:
    """Whether this person may ask to stop a run here."""
    touch = touch_of(run, context.connection)
    return context.policy.may(context.asker, Right.CANCEL, touch).allowed and not context.asking.read_only


async def _job(intent: ShowJob, context: Context) -> Shown:
    if intent.job is None or intent.pool is None:
        raise BadArgument("Which data job?", hint="Say “jobs” for the list.")
    run = await latest_run(intent.pool, intent.job, context)
    since = lasts(run, context.now)
    card = run_card(
        run,
        context,
        f"{said(run.status).capitalize()}{f', for {since}' if since else ''}: {full_name(run)}",
        Facts(
            (
                Fact("Status", Words(said(run.status))),
                Fact("Data pool", Words(run.pool_name)),
                Fact("Last start", moment(run.started_at)),
                *((Fact("For", Words(since)),) if since else ()),
            )
        ),
        buttons=(
            *(stop_buttons((run,), intent.via, context) if run.status in ACTIVE else ()),
            Button("Refresh", Run(intent)),
            Button("All jobs of the pool", Run(Jobs(pool=intent.pool, via=intent.via))),
        ),
    )
    return Shown(card, touches(intent), until=_reads_until([run], context.now))


# --- one run: what `cancel` shows too --------------------------------------------------------------------------


async def latest_run(pool: Name, job: Name, context: Context) -> JobRun:
    """The latest run of one job, as Celonis tells it now (two calls: the job has no start time)."""
    details = await context.asking.job(pool.id, job.id)
    state = next((each for each in await context.asking.job_statuses(pool.id) if each.job_id == job.id), None)
    return JobRun(
        pool_id=pool.id,
        pool_name=pool.text,
        job_id=job.id,
        job_name=details.name or job.text,
        execution_id=details.current_execution_id,
        started_at=state.last_execution_start if state else None,
        status=details.status or (state.status if state else None) or "",
    )


def run_card(
    run: JobRun,
    context: Context,
    sign: str,
    *blocks: Block,
    buttons: tuple[Button, ...] = (),
    status: Status = Status.ANSWERED,
) -> Card:
    """A card about one run. `sign` is its headline, however long."""
    return Card(
        headline(sign),
        title=f"{run.job_name}, {run.pool_name}",
        blocks=blocks,
        buttons=buttons,
        source=context.live_source(run.pool_name),
        status=status,
    )


def full_name(run: JobRun) -> str:
    """A run's data job with its data pool, for people."""
    return f"{run.job_name} ({run.pool_name})"


def named(run: JobRun) -> dict[str, Name]:
    """A run's data job and data pool, as intents and the policy take them."""
    return {"job": Name(run.job_name, run.job_id), "pool": Name(run.pool_name, run.pool_id)}


def touch_of(run: JobRun, connection: str) -> Touch:
    """The job of a run as a resource that the policy can judge."""
    return Touch(connection=Name(connection, connection), **named(run))


def lasts(run: JobRun, now: datetime) -> str:
    """For how long a run has been active by now; empty where it is not, or nobody knows since when."""
    if run.status not in ACTIVE or run.started_at is None:
        return ""
    return duration((now - run.started_at).total_seconds())


def said(status: str) -> str:
    """Celonis' word for a state in plain words."""
    return SAID.get(status, status.lower())


def moment(at: datetime | None) -> Cell:
    """A moment, where it is known."""
    return Missing() if at is None else Moment(at)


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else len(ORDER)


POOLS = Command(example=Pools(), summary="data pools", right=Right.READ, run=_pools)
JOBS = Command(
    example=Jobs(states=("active",), pool=Name("SAP ECC")),
    summary="data jobs with status and duration",
    right=Right.READ,
    run=_jobs,
    steady=lambda _: True,
)
JOB = Command(
    example=ShowJob(job=Name("main job"), pool=Name("SAP ECC")),
    summary="one data job: status, since, duration",
    right=Right.READ,
    run=_job,
    steady=lambda _: True,
)
