"""Data pools and data jobs: what runs, since when; and stopping a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from bot.audience import Shown
from bot.catalog import Turns
from bot.celonis import JobRun
from bot.celonis.models import JobStatus
from bot.commands.command import Command, Context
from bot.language.declare import CelonisIntent, Count, OneName, OneOf, SomeOf, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Fact,
    Facts,
    Missing,
    Moment,
    Run,
    Status,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.render.values import duration, duration_until
from bot.watching.orders import WatchJob
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
    "UNCONFIGURED": "not set up",
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
class Why(CelonisIntent):
    """Why a data job failed."""

    words: ClassVar[str] = "why"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class History(CelonisIntent):
    """The runs of a data job, or of a data pool's jobs."""

    words: ClassVar[str] = "history"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    during: str = field(default="", metadata=clause("during", OneOf((), or_period=True)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class CancelJob(CelonisIntent):
    """Stop the run of a data job."""

    words: ClassVar[str] = "cancel"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class StartJob(CelonisIntent):
    """Start a run of a data job."""

    words: ClassVar[str] = "run"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    mode: str = field(default="", metadata=clause("", OneOf(("full", "delta"))))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class State:
    """A data job with what is known of its latest run; a run is made of it only where it is shown."""

    pool: Name
    job_id: str
    name: str
    last: JobStatus | None

    @property
    def status(self) -> str:
        return self.last.status if self.last else ""

    @property
    def place(self) -> tuple[int, str, str]:
        """Where it stands in a list."""
        return rank(self.status), self.pool.text, self.name

    @property
    def run(self) -> JobRun:
        return JobRun(
            pool_id=self.pool.id,
            pool_name=self.pool.text,
            job_id=self.job_id,
            job_name=self.name,
            execution_id=None,
            started_at=self.last.last_execution_start if self.last else None,
            status=self.status,
        )


async def states(context: Context, pools: Iterable[Name]) -> AsyncIterator[State]:
    """The visible jobs of some pools: a call for each pool, and one more where the names of its jobs are not at hand."""
    turns = Turns()
    for pool in pools:
        visible = await context.catalog.listed(Kind.JOB, pool)
        last = {each.job_id: each for each in await context.asking.job_statuses(pool.id)}
        known = visible.listing
        if last.keys() <= set(known.ids):
            jobs = [(known.ids[number], known.names[number]) for number in visible.shown()]
        else:  # a job is newer than the names
            jobs = [
                (each.id, each.name) for each in await context.asking.jobs(pool.id) if visible.shows(each.id)
            ]
        for job_id, name in jobs:
            yield State(pool, job_id, name, last.get(job_id))
        await turns.after(len(jobs))


def reads_until(runs: Iterable[JobRun], now: datetime) -> datetime | None:
    """When one of the durations on a card reads differently; None where there is none."""
    started = [each.started_at for each in runs if each.status in ACTIVE and each.started_at is not None]
    return min((duration_until(each, now) for each in started), default=None)


def stop_buttons(runs: Iterable[JobRun], via: Name | None, context: Context) -> tuple[Button, ...]:
    """A way to stop each run, for those who may; the click asks before anything happens."""
    return tuple(
        Button(f"Stop {run.job_name} …", Run(CancelJob(**named(run), via=via)), Tone.DANGER)
        for run in runs
        if may_stop(run, context)
    )


def why_buttons(runs: Iterable[JobRun], via: Name | None) -> tuple[Button, ...]:
    """A way to the reason for each run that failed."""
    return tuple(
        Button(f"Why did {run.job_name} fail?", Run(Why(**named(run), via=via)))
        for run in runs
        if run.status == "FAIL"
    )


def may_stop(run: JobRun, context: Context) -> bool:
    """Whether this person may ask to stop a run here."""
    touch = touch_of(run, context.connection)
    return context.policy.may(context.asker, Right.CANCEL, touch).allowed and not context.asking.read_only


def start_buttons(runs: Iterable[JobRun], via: Name | None, context: Context) -> tuple[Button, ...]:
    """A way to start each job that is idle, for those who may; the click asks before anything happens."""
    return tuple(
        Button(
            f"Start {run.job_name} …", Run(StartJob(job=named(run)["job"], pool=named(run)["pool"], via=via))
        )
        for run in runs
        if run.status not in ACTIVE
        and not context.asking.read_only
        and context.policy.may(context.asker, Right.RUN, touch_of(run, context.connection)).allowed
    )


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
            *why_buttons((run,), intent.via),
            *start_buttons((run,), intent.via, context),
            Button("Refresh", Run(intent)),
            Button("Watch it", Run(WatchJob(job=intent.job, pool=intent.pool, via=intent.via))),
            Button("Its runs so far", Run(History(job=intent.job, pool=intent.pool, via=intent.via))),
            Button("All jobs of the pool", Run(Jobs(pool=intent.pool, via=intent.via))),
        ),
    )
    return Shown(card, touches(intent), until=reads_until([run], context.now))


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


def rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else len(ORDER)


JOB = Command(
    example=ShowJob(job=Name("main job"), pool=Name("SAP ECC")),
    summary="one data job: status, since, duration",
    right=Right.READ,
    run=_job,
    steady=lambda _: True,
)
