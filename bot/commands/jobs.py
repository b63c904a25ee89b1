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
from bot.celonis import CancelRuns, Execution, JobRun
from bot.celonis.models import Job, JobStatus
from bot.commands.command import Command, Context, GuardedCommand, touches
from bot.commands.lists import PAGE, back, count, page_of, table
from bot.language.declare import CelonisIntent, Count, OneName, SomeOf, clause
from bot.model.approval import Approval
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
    Notice,
    Run,
    Status,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument, BotError, CelonisError, NotFound, QuotaExhausted, StoreUnavailable
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.render.card_text import error_text
from bot.render.values import dated, duration, duration_until, when
from bot.writes.guarded import Checked, Ended, Progress, Question
from bot.writes.ticket import Outcome

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

SOON = 60.0
"""Seconds after which the card says that the run still goes on."""
NEXT_RUN = 20.0
"""Seconds in which a stop that came too late for its run may still hit the next one."""
NAMED = 60
"""Active jobs that are named in a headline, if there is room."""
PATIENCE = 30 * 60.0
"""Seconds after which watching a stopped run ends."""


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
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL), "of"))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowJob(CelonisIntent):
    """One data job."""

    words: ClassVar[str] = "job"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL), "of"))


@dataclass(frozen=True, slots=True)
class CancelJob(CelonisIntent):
    """Stop the run of a data job."""

    words: ClassVar[str] = "cancel"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL), "of"))


# --- reading ---------------------------------------------------------------------------------------------------


async def _pools(intent: Pools, context: Context) -> Card:
    visible = await context.catalog.listed(Kind.POOL)
    found = [each for each in await context.asking.pools_paged() if visible.shows(each.id)]
    if not found:
        return Card(
            "No data pool is visible here",
            blocks=(
                Text(
                    "Either nothing is shared with this bot's key (a Celonis admin grants view on the data pool), or "
                    "the bot's policy shows you none."
                ),
            ),
            source=context.live_source(),
        )
    rows = [
        (Words(each.name), Words(_said(each.status)), _moment(each.last_execution_start))
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


async def _states(context: Context, pools: Iterable[Name]) -> AsyncIterator[_State]:
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
    return Touch(connection=_here(context), pool=pool)


async def _jobs_of(intent: Jobs, pools: Sequence[Name], context: Context) -> Shown:
    wanted = {state for word in intent.states for state in STATES[word]}
    found = [each async for each in _states(context, pools) if not wanted or each.status in wanted]
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
            *_stop_buttons(active[:3], intent.via, context),
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
    lasts: Cell = Missing()
    if run.status in ACTIVE and run.started_at is not None:
        lasts = Words(duration((now - run.started_at).total_seconds()))
    row: list[Cell] = [Words(run.job_name), Words(_said(run.status)), _moment(run.started_at), lasts]
    if pool:
        row.insert(1, Words(run.pool_name))
    return tuple(row)


def _stop_buttons(runs: Sequence[JobRun], via: Name | None, context: Context) -> tuple[Button, ...]:
    """A way to stop each run, for those who may; the click asks before anything happens."""
    found = []
    for run in runs:
        if _may_stop(run, context):
            pool, job = _names(run)
            found.append(
                Button(f"Stop {run.job_name} …", Run(CancelJob(job=job, pool=pool, via=via)), Tone.DANGER)
            )
    return tuple(found)


def _may_stop(run: JobRun, context: Context) -> bool:
    touch = _touch(run, context.connection)
    return context.policy.may(context.asker, Right.CANCEL, touch).allowed and not context.asking.read_only


async def _job(intent: ShowJob, context: Context) -> Shown:
    if intent.job is None or intent.pool is None:
        raise BadArgument("Which data job?", hint="Say “jobs” for the list.")
    run = await _read(intent.pool, intent.job, context)
    facts: list[Fact] = [
        Fact("Status", Words(_said(run.status))),
        Fact("Data pool", Words(run.pool_name)),
        Fact("Last start", _moment(run.started_at)),
    ]
    since = ""
    if run.status in ACTIVE and run.started_at is not None:
        lasts = duration((context.now - run.started_at).total_seconds())
        facts.append(Fact("For", Words(lasts)))
        since = f", for {lasts}"
    card = Card(
        headline(f"{_said(run.status).capitalize()}{since}: {run.job_name} ({run.pool_name})"),
        title=f"{run.job_name}, {run.pool_name}",
        blocks=(Facts(tuple(facts)),),
        buttons=(
            *(_stop_buttons((run,), intent.via, context) if run.status in ACTIVE else ()),
            Button("Refresh", Run(intent)),
            Button("All jobs of the pool", Run(Jobs(pool=intent.pool, via=intent.via))),
        ),
        source=context.live_source(run.pool_name),
    )
    return Shown(card, touches(intent), until=_reads_until([run], context.now))


async def _read(pool: Name, job: Name, context: Context) -> JobRun:
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


async def _look(run: JobRun, context: Context) -> JobRun:
    """The latest run of the job that was shown: one call while Celonis names that very run."""
    details = await context.asking.job(run.pool_id, run.job_id)
    if details.status and run.execution_id and details.current_execution_id == run.execution_id:
        return replace(run, status=details.status, job_name=details.name or run.job_name)
    return await _read(*_names(run), context)


async def _called_now(run: JobRun, context: Context) -> JobRun:
    """The run with its pool's name as it is now; nobody asks for that where no rule names pools."""
    if not context.policy.names_pools:
        return run
    pool = await context.asking.pool(run.pool_id)
    return replace(run, pool_name=pool.name or run.pool_name)


def _touch(run: JobRun, connection: str) -> Touch:
    """The job of a run as a resource that the policy can judge."""
    pool, job = _names(run)
    return Touch(connection=Name(connection, connection), pool=pool, job=job)


def _hits(target: CancelRuns) -> tuple[Touch, ...]:
    return tuple(_touch(run, target.connection) for run in target.runs)


def _names(run: JobRun) -> tuple[Name, Name]:
    """The run's data pool and data job."""
    return Name(run.pool_name, run.pool_id), Name(run.job_name, run.job_id)


def _here(context: Context) -> Name:
    """The connection, spelt out for buttons that outlive the place's default."""
    return Name(context.connection, context.connection)


# --- stopping --------------------------------------------------------------------------------------------------


async def _ask(intent: CancelJob, context: Context) -> CancelRuns | Shown:
    if intent.job is None or intent.pool is None:
        return await _offer(intent, context)
    run = await _called_now(await _read(intent.pool, intent.job, context), context)
    if run.status in ACTIVE:
        return CancelRuns(context.connection, (run,))
    pool, _ = _names(run)
    return Shown(
        Card(
            headline(f"Nothing to stop: {run.job_name} ({run.pool_name}) is not running"),
            blocks=(
                Facts(
                    (Fact("Status", Words(_said(run.status))), Fact("Last start", _moment(run.started_at)))
                ),
            ),
            buttons=(Button("Jobs of the pool", Run(Jobs(pool=pool, via=intent.via))),),
            source=context.live_source(run.pool_name),
        ),
        (_touch(run, context.connection),),
    )


def _question(target: CancelRuns, context: Context) -> Question:
    (run,) = target.runs
    facts = [Fact("Data pool", Words(run.pool_name)), Fact("Status", Words(_said(run.status)))]
    facts.append(
        Fact("Running since" if run.status == "RUNNING" else "Queued since", _moment(run.started_at))
    )
    if run.started_at is not None:
        facts.append(Fact("For", Words(duration((context.now - run.started_at).total_seconds()))))
    if len(context.connections) > 1:
        facts.insert(0, Fact("Celonis team", Words(context.connection)))
    blocks: list[Block] = [
        Facts(tuple(facts)),
        Text("What the run has loaded so far stays as it is; the data models are not reloaded."),
    ]
    if not _identified(run):
        blocks.append(
            Notice(
                Tone.WARNING,
                "Celonis tells neither an id nor a start of this run, so whichever run of the job is active at the "
                "click is stopped.",
            )
        )
    return Question(
        card=Card(
            headline(f"Stop {run.job_name}? {run.pool_name}, {_since(run, context)}"),
            title=f"Stop {run.job_name}?",
            blocks=tuple(blocks),
            source=context.live_source(run.pool_name),
        ),
        yes="Stop this job",
        no="Leave it running",
    )


async def _offer(intent: CancelJob, context: Context) -> Shown:
    """Bare `cancel`: what runs and may be stopped by this person; nothing happens before a choice and a question."""
    pools = (
        [intent.pool] if intent.pool else [each.as_name for each in await context.catalog.listed(Kind.POOL)]
    )
    runs = [each.run async for each in _states(context, pools) if each.status in ACTIVE]
    stoppable = [run for run in runs if _may_stop(run, context)]
    buttons = _stop_buttons(stoppable, intent.via, context)
    if not buttons:
        return Shown(
            Card(
                "Nothing is running that you may stop",
                buttons=(Button("All jobs", Run(Jobs(pool=intent.pool, via=intent.via))),),
                source=context.live_source(),
            ),
            (_of_pool(None, context),),
        )
    return Shown(
        Card(
            headline(f"Which of {count(len(buttons), 'job')} should I stop?"),
            blocks=(Text("Nothing is stopped yet."),),
            buttons=buttons,
            source=context.live_source(),
        ),
        tuple(_touch(run, context.connection) for run in stoppable),
    )


def _since(run: JobRun, context: Context) -> str:
    if run.started_at is None:
        return _said(run.status)
    lasts = duration((context.now - run.started_at).total_seconds())
    return f"{_said(run.status)} since {_clock(run.started_at, context)} ({lasts})"


async def _check(target: CancelRuns, context: Context) -> Checked[CancelRuns]:
    """Read again just before the call: Celonis cancels by job, so it must still be the run that was shown."""
    (shown,) = target.runs
    now = await _called_now(await _look(shown, context), context)
    run = replace(shown, pool_name=now.pool_name, job_name=now.job_name)
    called = CancelRuns(target.connection, (run,))
    same = _same(run, now)
    pool, job = _names(run)
    if now.status not in ACTIVE:
        what, why = f"{run.job_name} had already ended ({_said(now.status)})", ""
        button = Button("Jobs of the pool", Run(Jobs(pool=pool, via=_here(context))))
        outcome = Outcome.ALREADY_OVER
    elif same or (same is None and not _identified(run)):
        return Checked(called)
    else:
        what, why = (
            (
                f"another run of {run.job_name} has started since",
                "The question was about a run that has ended. Look at the new one and decide again.",
            )
            if same is False
            else (
                f"I cannot tell whether the same run of {run.job_name} goes on",
                "Celonis does not tell of the run any more what it told when I asked. Look at it and decide again.",
            )
        )
        button = Button("Ask about the active run", Run(CancelJob(job=job, pool=pool, via=_here(context))))
        outcome = Outcome.NOTHING_SENT
    facts = (Fact("Status", Words(_said(now.status))), Fact("Last start", _moment(now.started_at)))
    card = Card(
        headline(f"Nothing was stopped: {what}"),
        title=f"{run.job_name}, {run.pool_name}",
        blocks=((Text(why), Facts(facts)) if why else (Facts(facts),)),
        buttons=(button,),
        source=context.live_source(run.pool_name),
    )
    return Checked(called, Ended(card, outcome))


def _identified(run: JobRun) -> bool:
    """Whether a run can be told from the ones before and after it; one in the queue has not started yet."""
    return bool(run.execution_id or (run.started_at and run.status != "QUEUED"))


def _same(shown: JobRun, now: JobRun) -> bool | None:
    """Whether two readings are of one run: by execution id, else by start time; None where neither tells."""
    if shown.execution_id and now.execution_id:
        return shown.execution_id == now.execution_id
    if shown.status == "RUNNING" and now.status == "QUEUED":
        return False
    if shown.started_at and now.started_at and shown.status != "QUEUED":
        return shown.started_at == now.started_at
    return None


async def _send(approval: Approval[CancelRuns], context: Context) -> None:
    for run in approval.target.runs:
        await context.asking.cancel_job(approval, run)


async def _follow(target: CancelRuns, context: Context, *, taken: bool, by: str, progress: Progress) -> Ended:
    """Watch a run that was told to stop until it is known how it ended. Sends nothing that changes anything.

    Args:
        target: The run that was shown.
        context: Past the cache.
        taken: Whether Celonis has taken the call; else nobody knows whether it arrived.
        by: Who confirmed, for people.
        progress: Shows where it stands.
    """
    (run,) = target.runs
    began = context.clock.monotonic()
    told = False
    pauses = iter((1.0, 1.0, 2.0, 2.0, 3.0, 3.0))
    sent = (
        "The stop was sent once"
        if taken
        else "It is not known whether the stop arrived; it is not sent again"
    )
    await progress(_waiting(run, context, "Stopping", f"{sent}. I look until it is known how the run ended."))
    while True:
        waited = context.clock.monotonic() - began
        trouble: BotError | None = None
        ended: Ended | None = None
        try:
            ended = await _seen(run, context, waited, by)
        except (CelonisError, QuotaExhausted, StoreUnavailable) as error:
            trouble = error
        if ended is None and (waited >= PATIENCE or (waited >= SOON and isinstance(trouble, NotFound))):
            ended = _unknown(run, context, sent) if trouble else _unfinished(run, context, taken=taken)
        if ended is not None:
            return ended
        if waited >= SOON and not told:
            told = True
            await progress(
                _waiting(
                    run,
                    context,
                    "Unknown yet",
                    f"I cannot see the run: {error_text(trouble, context.reader)[0]} I keep looking.",
                )
                if trouble
                else _waiting(run, context, "Still running", f"{sent}, and the run goes on. I keep looking.")
            )
        await context.clock.sleep(next(pauses, 5.0 if waited < SOON else 15.0))


async def _seen(run: JobRun, context: Context, waited: float, by: str) -> Ended | None:
    """What Celonis says of the run now; None while it goes on, or while the run after it may still be hit.

    Raises:
        CelonisError, QuotaExhausted, StoreUnavailable: It cannot be seen now; looking again later costs only time.
    """
    now = await _look(run, context)
    same, active = _same(run, now), now.status in ACTIVE
    if active and same is not False:
        return None
    status = now.status if same else ""
    sure = bool(same and now.execution_id)
    listed = await _listed(run, context, needed=not sure)
    if listed is not None and not sure:
        status = listed.status or status
    if not status and not _identified(run):
        status = now.status
    end = _End(status, listed.end if listed else None, by)
    match status:
        case "CANCEL":
            return _outcome(run, now, end, Outcome.STOPPED, context)
        case "SUCCESS" | "FAIL" | "SKIPPED" if same is False and now.status == "CANCEL":
            return _outcome(run, now, end, Outcome.ANOTHER_RUN, context)
        case "SUCCESS" | "FAIL" | "SKIPPED" if same is False and active and waited < NEXT_RUN:
            return None
        case "SUCCESS" | "FAIL" | "SKIPPED":
            return _outcome(run, now, end, Outcome.ENDED_BY_ITSELF, context)
        case _ if status in ACTIVE or waited < SOON:
            return None
        case _:
            return _unknown(run, context, "The stop was not sent a second time")


async def _listed(run: JobRun, context: Context, *, needed: bool) -> Execution | None:
    """Exactly the run that was shown, from the job's history; None where it is not listed.

    Raises:
        CelonisError, QuotaExhausted, StoreUnavailable: It cannot be read, and the outcome depends on it.
    """
    if not _identified(run):
        return None
    try:
        listed = await context.asking.executions(run.pool_id, run.job_id)
    except (CelonisError, QuotaExhausted, StoreUnavailable):
        if needed:
            raise
        return None
    for each in listed:
        if each.execution_id == run.execution_id if run.execution_id else each.start == run.started_at:
            return each
    return None


@dataclass(frozen=True, slots=True)
class _End:
    """How the run that was shown ended, when (UTC; None where Celonis does not tell), and who wanted it."""

    status: str
    at: datetime | None
    by: str


def _outcome(run: JobRun, now: JobRun, end: _End, outcome: Outcome, context: Context) -> Ended:
    """The card for a run whose end is known; `now` is the job's latest run."""
    checked = _clock(context.clock.now(), context)
    at = _clock(end.at, context) if end.at else checked
    ended = end.status
    what = f"{run.job_name} ({run.pool_name})"
    sign, text, status = {
        Outcome.STOPPED: (
            f"STOPPED {at} by {end.by}: {what}",
            "Celonis reports the run as stopped.",
            Status.ANSWERED,
        ),
        Outcome.ENDED_BY_ITSELF: (
            f"ENDED BY ITSELF, {_said(ended)} {at}: {what}",
            "The run ended before the stop took effect.",
            Status.ANSWERED,
        ),
        Outcome.ANOTHER_RUN: (
            f"ANOTHER RUN WAS HIT: {what}",
            "The run that was shown had ended, and the stop reached the one after it. Start that one again if needed.",
            Status.FAILED,
        ),
    }[outcome]
    (pool, job), here = _names(run), _here(context)
    blocks: list[Block] = [
        Text(f"{text} Checked {checked}."),
        Facts(
            (
                Fact("This run", Words(_said(ended))),
                Fact("Started", _moment(run.started_at)),
                Fact("Ended", _moment(end.at)),
            )
        ),
    ]
    buttons = [Button("Jobs of the pool", Run(Jobs(pool=pool, via=here)))]
    if _same(run, now) is False and now.status in ACTIVE:
        sign = f"{sign}; a new run goes on"
        blocks.insert(1, Notice(Tone.WARNING, f"Another run of {run.job_name} has begun since, and goes on."))
        buttons.insert(
            0, Button("Stop the new run …", Run(CancelJob(job=job, pool=pool, via=here)), Tone.DANGER)
        )
    return Ended(
        Card(
            headline(sign),
            title=f"{run.job_name}, {run.pool_name}",
            blocks=tuple(blocks),
            buttons=tuple(buttons),
            source=context.live_source(run.pool_name),
            status=status,
        ),
        outcome,
    )


def _clock(at: datetime, context: Context) -> str:
    """A moment in the reader's zone. Following a run may go on past midnight, so today is asked for anew."""
    return when(at, dated(context.reader, context.clock.now()))


def _unknown(run: JobRun, context: Context, sent: str) -> Ended:
    return Ended(
        _open(
            run,
            context,
            f"UNKNOWN: what became of {run.job_name} ({run.pool_name})",
            f"{sent}, and I could not learn how the run ended. Look in Celonis, or ask again.",
        ),
        Outcome.UNKNOWN,
    )


def _unfinished(run: JobRun, context: Context, *, taken: bool) -> Ended:
    why = "Celonis took the stop" if taken else "It is not known whether the stop arrived"
    return Ended(
        _open(
            run,
            context,
            f"STILL RUNNING: {run.job_name} ({run.pool_name}) did not stop",
            f"{why}, and the run goes on after 30 minutes. I stop looking now. Stop it in Celonis, or ask again.",
        ),
        Outcome.STILL_RUNNING,
    )


def _open(run: JobRun, context: Context, sign: str, text: str) -> Card:
    """The last card of a write that did not do what was asked, as far as anybody can see."""
    pool, job = _names(run)
    return Card(
        headline(sign),
        title=f"{run.job_name}, {run.pool_name}",
        blocks=(Notice(Tone.DANGER, text),),
        buttons=(Button("Look again", Run(ShowJob(job=job, pool=pool, via=_here(context)))),),
        source=context.live_source(run.pool_name),
        status=Status.FAILED,
    )


def _waiting(run: JobRun, context: Context, sign: str, text: str) -> Card:
    return Card(
        headline(f"{sign}: {run.job_name} ({run.pool_name})"),
        title=f"{run.job_name}, {run.pool_name}",
        blocks=(Text(text),),
        source=context.live_source(run.pool_name),
        status=Status.WORKING,
    )


def _said(status: str | None) -> str:
    return SAID.get(status or "", (status or "").lower())


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else len(ORDER)


def _moment(at: datetime | None) -> Cell:
    return Missing() if at is None else Moment(at)


POOLS = Command(
    example=Pools(), summary="data pools", right=Right.READ, run=_pools, aliases=("data pools", "pool list")
)
JOBS = Command(
    example=Jobs(states=("active",), pool=Name("SAP ECC")),
    summary="data jobs with status and duration",
    right=Right.READ,
    run=_jobs,
    steady=lambda _: True,
    aliases=("data jobs", "job list", "jobs list", "what is running", "what runs"),
)
JOB = Command(
    example=ShowJob(job=Name("main job"), pool=Name("SAP ECC")),
    summary="one data job: status, since, duration",
    right=Right.READ,
    run=_job,
    steady=lambda _: True,
    aliases=("data job", "is … running", "is … still running", "status …", "status of", "how is … doing"),
)
CANCEL = GuardedCommand(
    example=CancelJob(job=Name("main job"), pool=Name("SAP ECC")),
    summary="stop a data job, after a question",
    right=Right.CANCEL,
    target=CancelRuns,
    ask=_ask,
    question=_question,
    hits=_hits,
    check=_check,
    send=_send,
    follow=_follow,
    plainly="stop a data job",
    aliases=(
        "stop",
        "kill",
        "abort",
        "terminate",
        "cancel job",
        "stop job",
        "cancel it",
        "cancel all",
        "stop it",
        "stop all",
        "stop everything",
    ),
)
