"""Starting a run of a data job: in which mode, whether it may start now, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.audience import Shown
from bot.celonis import Execution, JobRun, StartRun
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
from bot.commands.history import usual
from bot.commands.jobs import (
    ACTIVE,
    CancelJob,
    StartJob,
    Why,
    full_name,
    latest_run,
    moment,
    named,
    run_card,
    said,
    touch_of,
)
from bot.model.approval import Approval
from bot.model.cards import (
    Button,
    Card,
    Fact,
    Facts,
    Missing,
    Run,
    Status,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BadArgument, BotError, CelonisError, QuotaExhausted, StoreUnavailable
from bot.model.names import Name
from bot.policy import Right, Touch
from bot.render.card_text import error_text
from bot.render.values import duration
from bot.writes.guarded import Checked, Ended, GuardedCommand, Progress, Question
from bot.writes.ticket import Outcome

LATEST_START = 5 * 60.0
"""Seconds after which a run that has not begun is taken for one that will not."""
MODES = {"full": "FULL", "delta": "DELTA"}
SAID = {"FULL": "full reload", "DELTA": "delta load"}


# --- asking ----------------------------------------------------------------------------------------------------


async def _ask(intent: StartJob, context: Context) -> StartRun | Shown:
    if intent.job is None or intent.pool is None:
        raise BadArgument("Which data job should I start?", hint="Say “run” and its name; “jobs” lists them.")
    run = await called_now(await latest_run(intent.pool, intent.job, context), context)
    if run.status in ACTIVE:
        return Shown(_active(run, context, "Not started"), (touch_of(run, context.connection),))
    if not intent.mode:
        return _which_mode(intent, run, context)
    runs = await context.asking.executions(run.pool_id, run.job_id)
    mode = MODES[intent.mode]
    newest = runs[0] if runs else None
    run = replace(run, execution_id=newest.execution_id if newest else None)
    return StartRun(context.connection, run, mode, _takes(runs, mode))


def _takes(runs: Sequence[Execution], mode: str) -> float | None:
    """How long a run of a mode takes: as usual, else as the last one that succeeded."""
    lengths = usual(runs)
    last = next((each for each in runs if each.mode == mode and each.status == "SUCCESS"), None)
    if mode not in lengths and last is not None and last.start and last.end:
        return (last.end - last.start).total_seconds()
    return lengths.get(mode)


def _active(run: JobRun, context: Context, sign: str) -> Card:
    """Celonis runs a job once at a time."""
    since = f" since {on_the_clock(run.started_at, context)}" if run.started_at else ""
    return run_card(
        run,
        context,
        f"{sign}: {full_name(run)} is {said(run.status)}{since}",
        Text("A job runs once at a time. Wait until this run has ended, or stop it."),
        state_of(run),
        buttons=(
            Button(f"Stop {run.job_name} …", Run(CancelJob(**named(run), via=here(context))), Tone.DANGER),
            jobs_beside(run, here(context)),
        ),
    )


def _which_mode(intent: StartJob, run: JobRun, context: Context) -> Shown:
    """Delta first; what this person may not do is no button."""
    touch = touch_of(run, context.connection)
    labels = {"delta": "Delta: what is new", "full": "Full: everything again"}
    options = tuple(
        Button(label, Run(replace(intent, mode=mode, **named(run), via=here(context))))
        for mode, label in labels.items()
        if context.policy.may(context.asker, right_for(mode), touch).allowed
    )
    card = Card(
        headline(f"Start {full_name(run)} as a delta load, or as a full reload?"),
        blocks=(Text("Nothing is started yet."),),
        buttons=options,
        source=context.live_source(run.pool_name),
        status=Status.ASKED,
    )
    return Shown(card, (touch,))


def right_for(mode: str) -> Right:
    """Reading everything again is a right of its own."""
    return Right.RUN_FULL if mode == "full" else Right.RUN


def _question(target: StartRun, context: Context) -> Question:
    job, full = target.before, target.mode == "FULL"
    what = "FULL reload" if full else "delta load"
    takes = ""
    if target.usual is not None:
        takes = f", {'the last one took' if full else 'usually'} {duration(target.usual)}"
    facts = [
        Fact("Data pool", Words(job.pool_name)),
        Fact("Mode", Words(what)),
        Fact("Takes", Words(duration(target.usual)) if target.usual is not None else Missing()),
        Fact("Last run", Words(said(job.status))),
        Fact("Last start", moment(job.started_at)),
    ]
    if len(context.connections) > 1:
        facts.insert(0, Fact("Celonis team", Words(context.connection)))
    told = (
        "A full reload reads everything again from the source system; until it has ended, the data may be incomplete."
        if full
        else "A delta load reads what is new since the last run."
    )
    return Question(
        card=Card(
            headline(f"Start {job.job_name}? {job.pool_name}, {what}{takes}"),
            title=f"Start {job.job_name}?",
            blocks=(Facts(tuple(facts)), Text(told)),
            source=context.live_source(job.pool_name),
        ),
        yes="Start the full reload" if full else "Start this job",
        no="Do not start it",
    )


def _hits(target: StartRun) -> tuple[Touch, ...]:
    return (touch_of(target.before, target.connection),)


# --- behind the gate -------------------------------------------------------------------------------------------


async def _check(target: StartRun, context: Context) -> Checked[StartRun]:
    """Read again just before the call: it must be idle, and nothing must have run since it was asked about."""
    shown = target.before
    now = await called_now(await latest_run(**named(shown), context=context), context)
    called = replace(target, before=replace(shown, pool_name=now.pool_name, job_name=now.job_name))
    if now.status in ACTIVE:
        card = _active(now, context, "Nothing was started")
        return Checked(called, Ended(card, Outcome.NOTHING_SENT))
    if now.started_at == shown.started_at:
        return Checked(called)
    again = StartJob(**named(called.before), mode=target.mode.lower(), via=here(context))
    card = run_card(
        now,
        context,
        f"Nothing was started: another run of {now.job_name} has ended since ({said(now.status)})",
        Text("It ran after the question was asked. Look at that run and decide again."),
        state_of(now),
        buttons=(Button("Ask again", Run(again)), jobs_beside(now, here(context))),
    )
    return Checked(called, Ended(card, Outcome.NOTHING_SENT))


async def _send(approval: Approval[StartRun], context: Context) -> None:
    await context.asking.start_job(approval)


@dataclass(slots=True)
class _Following:
    """One started job while it is looked at."""

    target: StartRun
    context: Context
    taken: bool
    by: str
    began: float
    ours: Execution | None = None

    @property
    def job(self) -> JobRun:
        return self.target.before

    def waited(self) -> float:
        return self.context.clock.monotonic() - self.began

    @property
    def sent(self) -> str:
        return (
            "Celonis took the start"
            if self.taken
            else "It is not known whether the start arrived; it is not sent again"
        )

    async def look(self) -> tuple[Execution | None, Execution | None]:
        """The run that was started here, and one that something else started since; None where there is none.

        Raises:
            CelonisError, QuotaExhausted, StoreUnavailable: It cannot be seen now.
        """
        listed = await self.context.asking.executions(self.job.pool_id, self.job.job_id)
        if self.ours is not None:
            return next((each for each in listed if each.execution_id == self.ours.execution_id), None), None
        fresh = [each for each in listed if self._since(each)]
        ours = [each for each in fresh if not each.schedule and each.mode in {"", self.target.mode}]
        others = [each for each in fresh if each not in ours]
        return (ours[-1] if ours else None), (others[-1] if others else None)

    def _since(self, run: Execution) -> bool:
        if run.execution_id and run.execution_id == self.job.execution_id:
            return False
        return self.job.started_at is None or run.start is None or run.start > self.job.started_at


async def _follow(target: StartRun, context: Context, *, taken: bool, by: str, progress: Progress) -> Ended:
    """Watch until the job has begun, then until the run has ended or nobody waits any more. Sends nothing."""
    following = _Following(target, context, taken, by, context.clock.monotonic())
    job = target.before

    async def tell(sign: str, text: str) -> None:
        sign = f"{sign}: {full_name(job)}"
        await progress(run_card(job, context, sign, Text(text), status=Status.WORKING))

    await tell("Starting", f"{following.sent}. I look until it is known whether the job runs.")
    warned = False
    while True:
        await context.clock.sleep(pause(following.waited()))
        waited = following.waited()
        trouble: BotError | None = None
        found = other = None
        try:
            found, other = await following.look()
        except (CelonisError, QuotaExhausted, StoreUnavailable) as error:
            trouble = error
        if found is not None:
            if following.ours is None:
                await tell(f"Started {_at(found, context)} by {by}", "I look until the run has ended.")
            following.ours = found
        if following.ours is not None:
            if found is not None and found.status not in ACTIVE:
                return _started(following, found)
            if waited >= PATIENCE:
                return _started(following, found)
            continue
        if other is not None:
            return _another(following, other)
        if waited >= LATEST_START:
            return _never(following, trouble)
        if waited >= SOON and not warned:
            warned = True
            why = (
                f"I cannot see the job: {error_text(trouble, context.reader)[0]}"
                if trouble
                else "The job does not run yet."
            )
            await tell("Unknown yet", f"{following.sent}. {why} I keep looking.")


def _at(run: Execution, context: Context) -> str:
    return on_the_clock(run.start or context.clock.now(), context)


def _started(following: _Following, run: Execution | None) -> Ended:
    """The run began; how it went on is told as far as it is known."""
    context, job = following.context, following.job
    ours = run or following.ours
    assert ours is not None
    over = run is not None and run.status not in ACTIVE
    went = f"{said(ours.status)} {on_the_clock(ours.end, context) if ours.end else ''}".strip()
    went = went if over else f"{said(ours.status)} when I last looked"
    took = duration((ours.end - ours.start).total_seconds()) if over and ours.start and ours.end else ""
    sign = f"STARTED {_at(ours, context)} by {following.by}, {went}: {full_name(job)}"
    text = "The run has ended." if over else "The run goes on; I stop looking now."
    via = here(context)
    buttons = [jobs_beside(job, via)]
    if over and ours.status == "FAIL":
        buttons.insert(0, Button(f"Why did {job.job_name} fail?", Run(Why(**named(job), via=via))))
    facts = Facts(
        (
            Fact("Mode", Words(SAID[following.target.mode])),
            Fact("This run", Words(said(ours.status))),
            Fact("Started", moment(ours.start)),
            Fact("Ended", moment(ours.end)),
            *((Fact("Took", Words(took)),) if took else ()),
        )
    )
    return Ended(run_card(job, context, sign, Text(text), facts, buttons=tuple(buttons)), Outcome.STARTED)


def _another(following: _Following, other: Execution) -> Ended:
    """Something else started the job first, so Celonis did not start it a second time."""
    context, job = following.context, following.job
    how = f"the schedule {other.schedule}" if other.schedule else "somebody"
    return not_done(
        job,
        context,
        f"NOT STARTED, another run had started {_at(other, context)}: {full_name(job)}",
        f"{following.sent}, but {how} started the job ({SAID.get(other.mode, other.mode.lower())}) at the same moment, "
        "and a job runs once at a time.",
        Outcome.ANOTHER_RUN,
    )


def _never(following: _Following, trouble: BotError | None) -> Ended:
    context, job = following.context, following.job
    if trouble is not None or not following.taken:
        return not_done(
            job,
            context,
            f"UNKNOWN: whether {full_name(job)} was started",
            f"{following.sent}, and I saw no run of it. Look in Celonis before you ask again.",
            Outcome.UNKNOWN,
        )
    return not_done(
        job,
        context,
        f"NOT STARTED: {full_name(job)} does not run",
        f"{following.sent}, and after {duration(LATEST_START)} no run has begun. Look in Celonis, or ask again.",
        Outcome.FAILED,
    )


RUN = GuardedCommand(
    example=StartJob(job=Name("final job"), pool=Name("SAP ECC"), mode="delta"),
    summary="start a data job, after a question",
    right=lambda intent: right_for(intent.mode),
    target=StartRun,
    ask=_ask,
    question=_question,
    hits=_hits,
    check=_check,
    send=_send,
    follow=_follow,
    plainly="start a data job",
)
