"""The runs of data jobs: how long they took against the usual, and who stopped or started them from here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import structlog

from bot.audience import Shown
from bot.celonis import CancelRuns, Execution, StartRun
from bot.commands.command import Command, Context
from bot.commands.jobs import ACTIVE, History, Jobs, ShowJob, Why, moment, said
from bot.commands.lists import count, page_of, table, turn
from bot.language.dates import Period, period
from bot.model.cards import Block, Button, Card, Cell, Column, Missing, Run, Text, Words, headline
from bot.model.errors import BadArgument, StoreUnavailable
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.values import duration, when
from bot.store import tickets
from bot.store.tickets import Outcome, Ticket
from bot.writes.cards import name_of
from bot.writes.guarded import touches
from bot.writes.ticket import target_of

log = structlog.get_logger()

JOBS_READ = 20
"""Jobs of a data pool whose runs are read, a call each."""
USUAL_FROM = 2
"""Runs that succeeded, from which on there is something usual."""
ODD = 0.1
"""By how much a run has to differ from the usual for that to be said."""
ANSWERS_READ = 500
"""Answered questions that are looked through for who stopped or started a run."""
EARLY = timedelta(seconds=5)
LATE = timedelta(minutes=10)
"""When a run that was started here may begin, counted from the click."""


@dataclass(frozen=True, slots=True)
class _Ran:
    """A run, with what is usual for its job."""

    job: Name
    run: Execution
    usual: float | None
    by: str = ""

    def seconds(self, now: datetime) -> float | None:
        """How long it took, or takes so far."""
        end = now if self.run.status in ACTIVE else self.run.end
        return (end - self.run.start).total_seconds() if self.run.start and end else None


def usual(runs: Iterable[Execution]) -> dict[str, float]:
    """How long a job usually takes, in seconds, by mode: half of the runs that succeeded took longer."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    for each in runs:
        if each.status == "SUCCESS" and each.start and each.end:
            took[each.mode].append((each.end - each.start).total_seconds())
    return {mode: median(each) for mode, each in took.items() if len(each) >= USUAL_FROM}


async def _history(intent: History, context: Context) -> Shown:
    if intent.pool is None:
        raise BadArgument("The runs of which data job?", hint="Say “jobs” for the list.")
    within = _within(intent, context)
    jobs = [intent.job] if intent.job else await _jobs(intent.pool, context)
    found: list[_Ran] = []
    for job in jobs[:JOBS_READ]:
        runs = await context.asking.executions(intent.pool.id, job.id)
        lengths = usual(runs)
        found += [_Ran(job, each, lengths.get(each.mode)) for each in runs if _during(each, within)]
    found.sort(key=lambda each: each.run.start.timestamp() if each.run.start else float("inf"), reverse=True)
    shown = await _told(page_of(found, intent.page), context)
    name = f"{intent.job.text} ({intent.pool.text})" if intent.job else intent.pool.text
    said_of = f", {intent.during}" if intent.during else ""
    notes: list[Block] = []
    if len(jobs) > JOBS_READ:
        notes.append(Text(f"{count(len(jobs) - JOBS_READ, 'more job')} not read; name one.", quiet=True))
    if found and not intent.during:
        notes.append(Text("Of each job the newest 20 runs are looked at.", quiet=True))
    card = Card(
        headline(f"{_verdict(found, intent)}{said_of}: {name}"),
        title=f"Runs of {name}{said_of}",
        blocks=(
            *((_table(shown, len(found), intent, context),) if found else ()),
            *notes,
        ),
        buttons=(*_ways(intent, shown), *turn(intent, intent.page, len(found))),
        source=context.live_source(intent.pool.text),
    )
    return Shown(card, touches(intent))


async def _jobs(pool: Name, context: Context) -> list[Name]:
    return [each.as_name for each in await context.catalog.listed(Kind.JOB, pool)]


def _within(intent: History, context: Context) -> Period | None:
    if not intent.during:
        return None
    found = period(intent.during, ZoneInfo(context.reader.zone), context.now)
    if found is None:
        raise BadArgument(
            f"I do not know when “{intent.during}” is.", hint="Say it as in “since 20:00” or “last week”."
        )
    return found


def _during(run: Execution, within: Period | None) -> bool:
    """Whether a run went on at some moment of a period."""
    if within is None:
        return True
    over = run.end if run.status not in ACTIVE else None
    began_before = within.end is None or run.start is None or run.start < within.end
    ended_behind = within.start is None or over is None or over >= within.start
    return began_before and ended_behind


def _verdict(found: Sequence[_Ran], intent: History) -> str:
    if not found:
        return "No run"
    statuses = Counter(each.run.status for each in found)
    verdict = count(len(found), "run")
    for status in ("FAIL", "CANCEL", "SKIPPED"):
        if statuses[status]:
            verdict += f", {statuses[status]} {said(status)}"
    lengths = {each.usual for each in found if each.usual is not None}
    if intent.job and len(lengths) == 1:
        verdict += f", usually {duration(lengths.pop())}"
    return verdict


def _table(shown: Sequence[_Ran], total: int, intent: History, context: Context) -> Block:
    columns = [Column("Started"), Column("Status"), Column("Took"), Column("Against usual"), Column("By")]
    if intent.job is None:
        columns.insert(0, Column("Job"))
    rows = [
        (
            *((Words(each.job.text),) if intent.job is None else ()),
            moment(each.run.start),
            Words(said(each.run.status)),
            _took(each, context.now),
            _against(each, context.now),
            Words(each.by) if each.by else Missing(),
        )
        for each in shown
    ]
    return table(columns, rows, page=intent.page, total=total)


def _took(ran: _Ran, now: datetime) -> Cell:
    seconds = ran.seconds(now)
    if seconds is None:
        return Missing()
    return Words(f"{duration(seconds)}{' so far' if ran.run.status in ACTIVE else ''}")


def _against(ran: _Ran, now: datetime) -> Cell:
    """How a run compares with the usual; what was cut short or goes on compares only where it took longer."""
    seconds = ran.seconds(now)
    if seconds is None or not ran.usual:
        return Missing()
    apart = seconds / ran.usual - 1
    if apart < ODD and ran.run.status != "SUCCESS":
        return Missing()
    if abs(apart) < ODD:
        return Words("as usual")
    longer = duration(abs(seconds - ran.usual))
    return Words(f"{longer} {'longer' if apart > 0 else 'shorter'}")


def _ways(intent: History, shown: Sequence[_Ran]) -> tuple[Button, ...]:
    job, pool, via = intent.job, intent.pool, intent.via
    if job is None:
        return (Button("Its jobs now", Run(Jobs(pool=pool, via=via))),)
    failed = any(each.run.status == "FAIL" for each in shown)
    why = (Button(f"Why did {job.text} fail?", Run(Why(job=job, pool=pool, via=via))),) if failed else ()
    return (*why, Button("Its state now", Run(ShowJob(job=job, pool=pool, via=via))))


# --- who did it here -------------------------------------------------------------------------------------------


async def _told(shown: Sequence[_Ran], context: Context) -> list[_Ran]:
    """The runs with who started or stopped them, as far as that was done here."""
    starts = [each.run.start for each in shown if each.run.start]
    if not starts:
        return list(shown)
    try:
        answered = await tickets.carried_out(
            context.store, context.connection, min(starts) - LATE, ANSWERS_READ
        )
    except StoreUnavailable:
        log.warning("who did it is not known", connection=context.connection)
        return list(shown)
    return [replace(each, by=_who(each, answered, context)) for each in shown]


def _who(ran: _Ran, answered: Sequence[Ticket], context: Context) -> str:
    """Who started and stopped a run, as far as it is known here; else the schedule that started it."""
    told = [each for ticket in answered if (each := _told_by(ticket, ran, context))]
    if not any(each.startswith("started") for each in told) and ran.run.schedule:
        told.append(f"schedule {ran.run.schedule}")
    return ", ".join(reversed(told))


def _told_by(ticket: Ticket, ran: _Ran, context: Context) -> str:
    run, at = ran.run, ticket.claimed_at or ticket.created_at
    stopped = target_of(ticket, CancelRuns) if ticket.command == "cancel" and run.status == "CANCEL" else None
    if stopped is not None and any(
        each.job_id == ran.job.id
        and (each.execution_id == run.execution_id if each.execution_id else each.started_at == run.start)
        for each in stopped.runs
    ):
        return _by("stopped", ticket, context)
    started = target_of(ticket, StartRun) if ticket.outcome is Outcome.STARTED and not run.schedule else None
    if started is not None and started.before.job_id == ran.job.id:
        known = run.execution_id is not None and started.before.execution_id == run.execution_id
        if run.start is not None and at - EARLY <= run.start <= at + LATE and not known:
            return _by("started", ticket, context)
    return ""


def _by(done: str, ticket: Ticket, context: Context) -> str:
    who, at = ticket.claimed_by or ticket.asker, ticket.claimed_at or ticket.created_at
    return f"{done} by {name_of(who)}, {when(at, context.reader)}"


HISTORY = Command(
    example=History(job=Name("main job"), pool=Name("SAP ECC")),
    summary="runs of a data job or data pool: how long against the usual, and who stopped or started them here",
    right=Right.READ,
    run=_history,
)
