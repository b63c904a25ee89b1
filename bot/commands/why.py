"""Why a run of a data job failed: the first errors of its log and the last, with what they usually mean."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bot.audience import Shown
from bot.celonis import Execution, LogLine
from bot.commands.command import Command, Context
from bot.commands.jobs import ShowJob, Why, moment, said
from bot.model.cards import Block, Button, Card, Fact, Facts, Run, Text, Words, headline
from bot.model.errors import BadArgument
from bot.model.names import Name
from bot.policy import Right
from bot.redaction import redact
from bot.render.values import duration, when
from bot.writes.guarded import touches

TASKS_READ = 3
"""Failed tasks whose log is read, a call each."""
LINES = 3
"""First errors of a task that are shown."""
LONGEST = 300
"""Characters of a message that are shown."""
BAD = frozenset({"FAIL", "CANCEL"})


@dataclass(frozen=True, slots=True)
class Known:
    """What messages of one kind usually mean; a code decides before what a message says.

    Attributes:
        codes: Codes of such messages.
        says: What such a message holds, in small letters.
        short: The cause, for a headline.
        means: The same in a sentence.
        do: What can be done.
    """

    codes: tuple[str, ...]
    says: tuple[str, ...]
    short: str
    means: str
    do: str


@cache
def known_messages() -> tuple[Known, ...]:
    """Every kind of message that is known."""
    text = files("bot.commands").joinpath("log_codes.toml").read_text("utf-8")
    return tuple(
        Known(**{**each, "codes": tuple(each["codes"]), "says": tuple(each["says"])})
        for each in tomllib.loads(text)["known"]
    )


def meaning(lines: Sequence[LogLine]) -> Known | None:
    """What some messages usually mean: the first known cause in the order of the table, since a cause stands there
    before what follows from it.
    """
    codes, texts = {each.code for each in lines}, [each.text.casefold() for each in lines]
    for known in known_messages():
        if not codes.isdisjoint(known.codes):
            return known
        if any(words in text for words in known.says for text in texts):
            return known
    return None


async def _why(intent: Why, context: Context) -> Shown:
    if intent.job is None or intent.pool is None:
        raise BadArgument(
            "Why what? I can say why a data job failed.",
            hint="Say “why” and the job's name, or “jobs failed” for the list.",
        )
    runs = await context.asking.executions(intent.pool.id, intent.job.id)
    name = f"{intent.job.text} ({intent.pool.text})"
    run = _meant(runs)
    if run is None:
        card = Card(
            headline(f"Never run: {name}"),
            buttons=(_state(intent),),
            source=context.live_source(intent.pool.text),
        )
        return Shown(card, touches(intent))
    found = await _errors(intent.pool.id, intent.job.id, run, context) if run.status in BAD else {}
    lines = [line for each in found.values() for line in each]
    usual = meaning(lines)
    verdict = f"{said(run.status).capitalize()} {when(run.end, context.reader) if run.end else ''}".strip()
    card = Card(
        headline(f"{verdict}{f', {usual.short}' if usual else ''}: {name}"),
        title=f"Why {intent.job.text} failed"
        if run.status == "FAIL"
        else f"The last run of {intent.job.text}",
        blocks=(*_run(run, runs), *_log(found, context), *_usually(usual, run, lines)),
        buttons=(_state(intent),),
        source=context.live_source(intent.pool.text),
    )
    return Shown(card, touches(intent))


def _meant(runs: Sequence[Execution]) -> Execution | None:
    """The newest run where that failed or was stopped, else the newest that failed, else the newest."""
    newest = runs[0] if runs else None
    if newest is not None and newest.status not in BAD:
        return next((each for each in runs if each.status == "FAIL"), newest)
    return newest


async def _errors(
    pool_id: str, job_id: str, run: Execution, context: Context
) -> dict[str, tuple[LogLine, ...]]:
    """The errors of a run by the name of what failed: of its failed tasks, else of the run itself."""
    if not run.execution_id:
        return {}
    tasks = await context.asking.tasks(pool_id, job_id, run.execution_id)
    found: dict[str, tuple[LogLine, ...]] = {}
    for task in [each for each in tasks if each.status == "FAIL" and each.task_id][:TASKS_READ]:
        lines = await context.asking.errors(pool_id, run.execution_id, task.task_id or "", "TASK")
        if lines:
            found[task.name] = lines
    if not found:
        lines = await context.asking.errors(pool_id, run.execution_id, job_id, "JOB")
        found = {run.name: lines} if lines else {}
    return found


def _run(run: Execution, runs: Sequence[Execution]) -> list[Block]:
    lasted = run.start and run.end and duration((run.end - run.start).total_seconds())
    facts = [
        Fact("This run", Words(said(run.status))),
        Fact("Started", moment(run.start)),
        Fact("Ended", moment(run.end)),
        *((Fact("Took", Words(lasted)),) if lasted else ()),
    ]
    if run is not runs[0]:
        facts.append(Fact("The newest run since", Words(said(runs[0].status))))
    return [Facts(tuple(facts))]


def _log(found: dict[str, tuple[LogLine, ...]], context: Context) -> list[Block]:
    """The first errors of each task, and the very last one; what lies between is counted."""
    blocks: list[Block] = []
    for at, (name, lines) in enumerate(found.items()):
        shown = list(lines[:LINES])
        left = len(lines) - len(shown)
        if left and at == len(found) - 1:
            shown.append(lines[-1])
            left -= 1
        blocks.append(Text(f"Errors of {name}{f', {left} more not shown' if left else ''}:", quiet=True))
        blocks.append(
            Facts(
                tuple(
                    Fact(when(line.at, context.reader) if line.at else "Error", Words(_shown(line)))
                    for line in shown
                )
            )
        )
    return blocks


def _shown(line: LogLine) -> str:
    """A message as people may see it: no secrets, one line, cut visibly."""
    text = redact(" ".join(line.text.split())) or line.code or "no text"
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} … (cut)"


def _usually(usual: Known | None, run: Execution, lines: Sequence[LogLine]) -> list[Block]:
    if usual is not None:
        return [Text(f"{usual.means} {usual.do}")]
    if run.status == "CANCEL":
        return [Text("The run was stopped on request, here or in Celonis.")]
    if run.status != "FAIL":
        return [Text("No run that Celonis still tells of has failed.")]
    if lines:
        return [Text("I do not know what this message usually means.", quiet=True)]
    return [Text("Celonis' log has no error of this run. Look at it in Celonis.")]


def _state(intent: Why) -> Button:
    return Button("Its state now", Run(ShowJob(job=intent.job, pool=intent.pool, via=intent.via)))


WHY = Command(
    example=Why(job=Name("Extract invoices"), pool=Name("PyCelonis Tutorial Data Pool")),
    summary="why a data job failed: its first errors and the last, and what they usually mean",
    right=Right.READ,
    run=_why,
    steady=lambda _: True,
)
