"""Data pools, and what runs in them: few calls for all of them, every job for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from operator import attrgetter
from typing import ClassVar

from bot.audience import Shown
from bot.celonis import JobRun
from bot.celonis.models import PoolOverview
from bot.commands.command import Command, Context
from bot.commands.jobs import (
    ACTIVE,
    STATES,
    Jobs,
    State,
    lasts,
    moment,
    rank,
    reads_until,
    said,
    states,
    stop_buttons,
    why_buttons,
)
from bot.commands.lists import PAGE, count, nothing_shared, page_of, table, turn
from bot.language.declare import CelonisIntent, Count, clause
from bot.model.cards import (
    Block,
    Button,
    Card,
    Cell,
    Choices,
    Column,
    Missing,
    Notice,
    Run,
    Table,
    Text,
    Tone,
    Words,
    headline,
)
from bot.model.errors import BotError, CelonisError, QuotaExhausted
from bot.model.names import Name
from bot.policy import Right, Touch
from bot.render.card_text import error_text
from bot.writes.guarded import touches

NAMED = 60
"""Active jobs that are named in a headline, if there is room."""
NEWS = ACTIVE | {"FAIL"}
"""States of the jobs that an answer about all data pools lists, unless others are asked for."""
REASONS = 2
"""Failed jobs of a list whose reason is a button away."""
MOST_READ = 20
"""Data pools whose jobs are read for one answer about all of them."""


@dataclass(frozen=True, slots=True)
class Pools(CelonisIntent):
    """Which data pools there are."""

    words: ClassVar[str] = "pools"
    page: int = field(default=1, metadata=clause("page", Count()))


async def _overviews(context: Context) -> list[PoolOverview]:
    """Every data pool that is visible, with the state of its newest run, as Celonis tells it now."""
    view = context.catalog.view
    return [
        each
        for each in await context.asking.pools_paged()
        if context.policy.shows(view, Touch(pool=_name(each)))
    ]


def _name(pool: PoolOverview) -> Name:
    return Name(pool.name, pool.id)


async def _pools(intent: Pools, context: Context) -> Card:
    found = await _overviews(context)
    if not found:
        return nothing_shared("data pool", "view on the data pool", context.live_source())
    here = page_of(found, intent.page)
    running = sum(each.status in ACTIVE for each in found)
    return Card(
        headline(f"{count(len(found), 'data pool')}, {running or 'none'} active"),
        title="Data pools",
        blocks=(
            table(
                (Column("Data pool"), Column("Last run"), Column("Started")),
                [_pool_row(each) for each in here],
                page=intent.page,
                total=len(found),
            ),
            _opened(here, intent),
        ),
        buttons=turn(intent, intent.page, len(found)),
        source=context.live_source(),
    )


def _pool_row(pool: PoolOverview) -> tuple[Cell, ...]:
    return Words(pool.name), Words(said(pool.status)), moment(pool.last_execution_start)


def _opened(pools: Iterable[PoolOverview], intent: Pools | Jobs) -> Choices:
    return Choices(
        "Every job of:",
        tuple(Button(each.name, Run(Jobs(pool=_name(each), via=intent.via))) for each in pools),
    )


# --- jobs of one data pool -------------------------------------------------------------------------------------


async def _jobs(intent: Jobs, context: Context) -> Shown:
    if intent.pool is None:
        return await _everywhere(intent, context)
    wanted = _wanted(intent)
    found = [each async for each in states(context, [intent.pool]) if not wanted or each.status in wanted]
    where, source = f" in {intent.pool.text}", context.live_source(intent.pool.text)
    if not found:
        which = f"{' or '.join(intent.states)} " if intent.states else ""
        every = (
            (Button("All its jobs", Run(Jobs(pool=intent.pool, via=intent.via))),) if intent.states else ()
        )
        return Shown(
            Card(headline(f"No {which}data job{where}"), buttons=every, source=source), touches(intent)
        )
    first = nsmallest(max(intent.page * PAGE, NAMED), found, key=attrgetter("place"))
    statuses = Counter(each.status for each in found)
    active = [each.run for each in first if each.status in ACTIVE]
    shown = [each.run for each in page_of(first, intent.page)]
    card = Card(
        headline(_verdict(statuses, active) + where),
        title=f"Data jobs{where}",
        blocks=(
            table(
                (Column("Job"), Column("Status"), Column("Since"), Column("For")),
                [_job_row(each, context.now) for each in shown],
                page=intent.page,
                total=len(found),
            ),
        ),
        buttons=_ways(intent, active, shown, len(found), context),
        source=source,
    )
    return Shown(card, touches(intent), until=reads_until(shown, context.now))


def _wanted(intent: Jobs) -> set[str]:
    return {state for word in intent.states for state in STATES[word]}


def _verdict(statuses: Counter[str], active: Sequence[JobRun]) -> str:
    running = sum(statuses[each] for each in ACTIVE)
    verdict = f"{count(running, 'job')} active" if running else "No job is active"
    if failed := statuses["FAIL"]:
        verdict += f", {failed} failed"
    return f"{verdict}: {', '.join(run.job_name for run in active)}" if active else verdict


def _job_row(run: JobRun, now: datetime, *, pool: bool = False) -> tuple[Cell, ...]:
    for_ = lasts(run, now)
    return (
        Words(run.job_name),
        Words(said(run.status)),
        moment(run.started_at),
        Words(for_) if for_ else Missing(),
        *((Words(run.pool_name),) if pool else ()),
    )


def _ways(
    intent: Jobs, active: Sequence[JobRun], shown: Sequence[JobRun], total: int, context: Context
) -> tuple[Button, ...]:
    return (
        *stop_buttons(active[:3], intent.via, context),
        *why_buttons(shown, intent.via)[:REASONS],
        Button("Refresh", Run(intent)),
        *turn(intent, intent.page, total),
    )


# --- jobs of all data pools ------------------------------------------------------------------------------------


async def _everywhere(intent: Jobs, context: Context) -> Shown:
    """What is active where Celonis says that something is, and of every other data pool its newest run."""
    pools = await _overviews(context)
    told: tuple[Touch, ...] = touches(intent)
    hidden = 0
    open_here = [each for each in pools if context.public((_touch(_name(each), context),))]
    if open_here and not context.public((_touch(None, context),)):
        hidden = len(pools) - len(open_here)
        pools = open_here
        told = tuple(_touch(_name(each), context) for each in pools)
    if not pools:
        return Shown(Card("No data job is visible here", source=context.live_source()), told)
    wanted = _wanted(intent)
    pools.sort(key=lambda each: (rank(each.status), each.name))
    reading = _reading(pools, wanted)
    found: list[State] = []
    trouble: list[tuple[PoolOverview, BotError]] = []
    for pool in reading:
        try:
            found += [
                each async for each in states(context, [_name(pool)]) if each.status in (wanted or NEWS)
            ]
        except (CelonisError, QuotaExhausted) as error:
            trouble.append((pool, error))
    found.sort(key=attrgetter("place"))
    read = {each.id for each in reading} - {pool.id for pool, _ in trouble}
    rest = [each for each in pools if each.id not in read and (not wanted or each.status in wanted)]
    items: list[State | PoolOverview] = [*found, *rest]
    here = page_of(items, intent.page)
    active = [each.run for each in found if each.status in ACTIVE]
    card = Card(
        headline(_of_all(intent, found, rest, active, len(trouble), whole=len(reading) == len(pools))),
        title="Data jobs",
        blocks=(
            *_tables(intent, here, len(found) + len(rest), context.now),
            *_notes(trouble, here, hidden, context, intent),
        ),
        buttons=_ways(
            intent, active, [each.run for each in here if isinstance(each, State)], len(items), context
        ),
        source=context.live_source(),
    )
    return Shown(
        card,
        told,
        until=context.now
        if trouble
        else reads_until((each.run for each in here if isinstance(each, State)), context.now),
    )


def _touch(pool: Name | None, context: Context) -> Touch:
    return Touch(connection=Name(context.connection, context.connection), pool=pool)


def _reading(pools: Sequence[PoolOverview], wanted: set[str]) -> Sequence[PoolOverview]:
    """The data pools whose jobs are worth a call each.

    What Celonis tells of a pool is the state of its newest run. That leads to what is active; of what is over it hides
    all that came before, so then every pool is looked into, if they are few.
    """
    if wanted - ACTIVE and len(pools) <= MOST_READ:
        return pools
    return [each for each in pools if each.status in (wanted or ACTIVE)][:MOST_READ]


def _of_all(
    intent: Jobs,
    found: Sequence[State],
    rest: Sequence[PoolOverview],
    active: Sequence[JobRun],
    failing: int,
    *,
    whole: bool,
) -> str:
    statuses, more = (Counter(each.status for each in items) for items in (found, rest))
    if intent.states and not active:
        which = f"{' or '.join(intent.states)} job"
        verdict = (
            count(len(found), which) if found else f"No {which if whole else f'data pool reports a {which}'}"
        )
        if rest:
            verdict += f", and more in {count(len(rest), 'data pool')}"
        names = [each.name for each in found]
    else:
        unread = sum(more[each] for each in ACTIVE)
        some = bool(active) or unread
        verdict = f"{count(len(active), 'job')} active" if some else "No data pool reports an active job"
        if unread:
            verdict += f", and more in {count(unread, 'data pool')}"
        if failed := statuses["FAIL"]:
            verdict += f", {failed} failed"
        if failed := more["FAIL"]:
            verdict += f", the last run of {count(failed, 'other data pool')} failed"
        names = [run.job_name for run in active]
    if failing:
        verdict += f", {count(failing, 'data pool')} not read"
    return f"{verdict}: {', '.join(names[:NAMED])}" if names else verdict


def _tables(intent: Jobs, here: Sequence[State | PoolOverview], total: int, now: datetime) -> list[Block]:
    """The jobs of a page, and below them the data pools of it that are told by their newest run."""
    jobs, pools = ("Job", "Status", "Since", "For", "Data pool"), ("Data pool", "Last run", "Started")
    runs = [_job_row(each.run, now, pool=True) for each in here if isinstance(each, State)]
    lines = [_pool_row(each) for each in here if isinstance(each, PoolOverview)]
    filled = [(columns, rows) for columns, rows in ((jobs, runs), (pools, lines)) if rows]
    made: list[Block] = [Table(tuple(map(Column, columns)), tuple(rows)) for columns, rows in filled[:-1]]
    for columns, rows in filled[-1:]:
        made.append(table(tuple(map(Column, columns)), rows, page=intent.page, total=total))
    return made


def _notes(
    trouble: Sequence[tuple[PoolOverview, BotError]],
    here: Sequence[State | PoolOverview],
    hidden: int,
    context: Context,
    intent: Jobs,
) -> list[Block]:
    notes: list[Block] = [
        Notice(
            Tone.WARNING,
            f"The jobs of {pool.name} could not be read: {error_text(error, context.reader)[0]}",
        )
        for pool, error in trouble
    ]
    if hidden:
        more = f"Of {count(hidden, 'more data pool')} nothing is shown here; ask me in our direct message."
        notes.append(Text(more, quiet=True))
    if lines := [each for each in here if isinstance(each, PoolOverview)]:
        notes.append(_opened(lines, intent))
        why = "Celonis tells of a data pool the state of its newest run; an earlier one may still be active."
        notes.append(Text(why, quiet=True))
    return notes


POOLS = Command(example=Pools(), summary="data pools", right=Right.READ, run=_pools)
JOBS = Command(
    example=Jobs(states=("active",), pool=Name("SAP ECC")),
    summary="data jobs with status and duration",
    right=Right.READ,
    run=_jobs,
    steady=lambda _: True,
)
