"""Stopping the run of a data job: what is asked, the last look before the call, and how the run ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.audience import Shown
from bot.celonis import CancelRuns, Execution, JobRun
from bot.commands.command import Context
from bot.commands.following import (
    PATIENCE,
    SOON,
    called_now,
    here,
    jobs_beside,
    not_done,
    on_the_clock,
    pause,
    state_of,
)
from bot.commands.jobs import (
    ACTIVE,
    CancelJob,
    Jobs,
    full_name,
    lasts,
    latest_run,
    may_stop,
    moment,
    named,
    run_card,
    said,
    states,
    stop_buttons,
    touch_of,
)
from bot.model.approval import Approval
from bot.model.cards import (
    Block,
    Button,
    Card,
    Fact,
    Facts,
    Notice,
    Run,
    Status,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BotError, CelonisError, NotFound, QuotaExhausted, StoreUnavailable
from bot.model.names import Kind, Name
from bot.policy import Right, Touch
from bot.render.card_text import error_text
from bot.writes.guarded import Checked, Ended, GuardedCommand, Progress, Question
from bot.writes.ticket import Outcome

NEXT_RUN = 20.0
"""Seconds in which a stop that came too late for its run may still hit the next one."""


# --- asking ----------------------------------------------------------------------------------------------------


async def _ask(intent: CancelJob, context: Context) -> CancelRuns | Shown:
    if intent.job is None or intent.pool is None:
        return await _offer(intent, context)
    run = await called_now(await latest_run(intent.pool, intent.job, context), context)
    if run.status in ACTIVE:
        return CancelRuns(context.connection, (run,))
    card = Card(
        headline(f"Nothing to stop: {full_name(run)} is not running"),
        blocks=(state_of(run),),
        buttons=(jobs_beside(run, intent.via),),
        source=context.live_source(run.pool_name),
    )
    return Shown(card, (touch_of(run, context.connection),))


async def _offer(intent: CancelJob, context: Context) -> Shown:
    """Bare `cancel`: what runs and may be stopped by this person; nothing happens before a choice and a question."""
    pools = (
        [intent.pool] if intent.pool else [each.as_name for each in await context.catalog.listed(Kind.POOL)]
    )
    runs = [each.run async for each in states(context, pools) if each.status in ACTIVE]
    stoppable = [run for run in runs if may_stop(run, context)]
    if not stoppable:
        card = Card(
            "Nothing is running that you may stop",
            buttons=(Button("All jobs", Run(Jobs(pool=intent.pool, via=intent.via))),),
            source=context.live_source(),
        )
        return Shown(card, (Touch(connection=here(context)),))
    card = Card(
        headline(
            f"Should I stop {full_name(stoppable[0])}?" if len(stoppable) == 1 else "Which job should I stop?"
        ),
        blocks=(Text("Nothing is stopped yet."),),
        buttons=stop_buttons(stoppable, intent.via, context),
        source=context.live_source(),
        status=Status.ASKED,
    )
    return Shown(card, _hits(CancelRuns(context.connection, tuple(stoppable))))


def _hits(target: CancelRuns) -> tuple[Touch, ...]:
    return tuple(touch_of(run, target.connection) for run in target.runs)


def _question(target: CancelRuns, context: Context) -> Question:
    (run,) = target.runs
    since, for_ = said(run.status), lasts(run, context.now)
    facts = [
        Fact("Data pool", Words(run.pool_name)),
        Fact("Status", Words(since)),
        Fact("Running since" if run.status == "RUNNING" else "Queued since", moment(run.started_at)),
    ]
    if run.started_at is not None:
        facts.append(Fact("For", Words(for_)))
        since = f"{since} since {on_the_clock(run.started_at, context)} ({for_})"
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
            headline(f"Stop {run.job_name}? {run.pool_name}, {since}"),
            title=f"Stop {run.job_name}?",
            blocks=tuple(blocks),
            source=context.live_source(run.pool_name),
        ),
        yes="Stop this job",
        no="Leave it running",
    )


# --- which run it is -------------------------------------------------------------------------------------------


async def _look(run: JobRun, context: Context) -> JobRun:
    """The latest run of the job that was shown: one call while Celonis names that very run."""
    details = await context.asking.job(run.pool_id, run.job_id)
    if details.status and run.execution_id and details.current_execution_id == run.execution_id:
        return replace(run, status=details.status, job_name=details.name or run.job_name)
    return await latest_run(**named(run), context=context)


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


# --- behind the gate -------------------------------------------------------------------------------------------


async def _check(target: CancelRuns, context: Context) -> Checked[CancelRuns]:
    """Read again just before the call: Celonis cancels by job, so it must still be the run that was shown."""
    (shown,) = target.runs
    now = await called_now(await _look(shown, context), context)
    run = replace(shown, pool_name=now.pool_name, job_name=now.job_name)
    called = CancelRuns(target.connection, (run,))
    same = _same(run, now)
    blocks: tuple[Block, ...] = (state_of(now),)
    if now.status not in ACTIVE:
        what = f"{run.job_name} had already ended ({said(now.status)})"
        button, outcome = jobs_beside(run, here(context)), Outcome.ALREADY_OVER
    elif same or (same is None and not _identified(run)):
        return Checked(called)
    else:
        if same is False:
            what = f"another run of {run.job_name} has started since"
            why = "The question was about a run that has ended. Look at the new one and decide again."
        else:
            what = f"I cannot tell whether the same run of {run.job_name} goes on"
            why = "Celonis does not tell of the run any more what it told when I asked. Look at it and decide again."
        blocks = (Text(why), *blocks)
        again = CancelJob(**named(run), via=here(context))
        button, outcome = Button("Ask about the active run", Run(again)), Outcome.NOTHING_SENT
    card = run_card(run, context, f"Nothing was stopped: {what}", *blocks, buttons=(button,))
    return Checked(called, Ended(card, outcome))


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
    sent = (
        "The stop was sent once"
        if taken
        else "It is not known whether the stop arrived; it is not sent again"
    )

    async def tell(sign: str, text: str) -> None:
        sign = f"{sign}: {full_name(run)}"
        await progress(run_card(run, context, sign, Text(text), status=Status.WORKING))

    await tell("Stopping", f"{sent}. I look until it is known how the run ended.")
    while True:
        await context.clock.sleep(pause(context.clock.monotonic() - began))
        waited = context.clock.monotonic() - began
        trouble: BotError | None = None
        ended: Ended | None = None
        try:
            ended = await _seen(run, context, waited, by)
        except (CelonisError, QuotaExhausted, StoreUnavailable) as error:
            trouble = error
        if ended is None and (waited >= PATIENCE or (waited >= SOON and isinstance(trouble, NotFound))):
            ended = (
                _unknown(run, context, sent)
                if trouble
                else not_done(
                    run,
                    context,
                    f"STILL RUNNING: {full_name(run)} did not stop",
                    f"{'Celonis took the stop' if taken else 'It is not known whether the stop arrived'}, and the run "
                    "goes on after 30 minutes. I stop looking now. Stop it in Celonis, or ask again.",
                    Outcome.STILL_RUNNING,
                )
            )
        if ended is not None:
            return ended
        if waited >= SOON and not told:
            told = True
            if trouble:
                why = error_text(trouble, context.reader)[0]
                await tell("Unknown yet", f"I cannot see the run: {why} I keep looking.")
            else:
                await tell("Still running", f"{sent}, and the run goes on. I keep looking.")


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
    checked = on_the_clock(context.clock.now(), context)
    at = on_the_clock(end.at, context) if end.at else checked
    status = Status.ANSWERED
    match outcome:
        case Outcome.STOPPED:
            sign, text = f"STOPPED {at} by {end.by}", "Celonis reports the run as stopped."
        case Outcome.ENDED_BY_ITSELF:
            sign = f"ENDED BY ITSELF, {said(end.status)} {at}"
            text = "The run ended before the stop took effect."
        case _:
            sign, status = "ANOTHER RUN WAS HIT", Status.FAILED
            text = (
                "The run that was shown had ended, and the stop reached the one after it. "
                "Start that one again if needed."
            )
    sign = f"{sign}: {full_name(run)}"
    via = here(context)
    blocks: list[Block] = [
        Text(f"{text} Checked {checked}."),
        Facts(
            (
                Fact("This run", Words(said(end.status))),
                Fact("Started", moment(run.started_at)),
                Fact("Ended", moment(end.at)),
            )
        ),
    ]
    buttons = [jobs_beside(run, via)]
    if _same(run, now) is False and now.status in ACTIVE:
        sign = f"{sign}; a new run goes on"
        blocks.insert(1, Notice(Tone.WARNING, f"Another run of {run.job_name} has begun since, and goes on."))
        again = CancelJob(**named(run), via=via)
        buttons.insert(0, Button("Stop the new run …", Run(again), Tone.DANGER))
    return Ended(run_card(run, context, sign, *blocks, buttons=tuple(buttons), status=status), outcome)


def _unknown(run: JobRun, context: Context, sent: str) -> Ended:
    return not_done(
        run,
        context,
        f"UNKNOWN: what became of {full_name(run)}",
        f"{sent}, and I could not learn how the run ended. Look in Celonis, or ask again.",
        Outcome.UNKNOWN,
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
)
