"""What stopping and starting runs have in common: when to look again, and what is said of a run meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.celonis import JobRun
from bot.commands.command import Context
from bot.commands.jobs import Jobs, ShowJob, moment, named, run_card, said
from bot.model.cards import Button, Card, Fact, Facts, Notice, Run, Status, Tone, Words
from bot.model.names import Name
from bot.render.values import dated, when
from bot.writes.guarded import Ended
from bot.writes.ticket import Outcome

SOON = 60.0
"""Seconds after which the card says that nothing is known yet."""
PATIENCE = 30 * 60.0
"""Seconds after which following ends."""
LOOKS = (1.0, 3.0, 6.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds after the call at which Celonis is asked; after these once a minute, and after five minutes every other."""
_MINUTE = 60.0
_QUIET = 300.0


def pause(waited: float) -> float:
    """Seconds until Celonis is asked the next time."""
    for at in LOOKS:
        if at > waited + 0.1:
            return at - waited
    return _MINUTE if waited < _QUIET else 2 * _MINUTE


async def called_now(run: JobRun, context: Context) -> JobRun:
    """The run with its pool's name as it is now; nobody asks for that where no rule names pools."""
    if not context.policy.names_pools:
        return run
    pool = await context.asking.pool(run.pool_id)
    return replace(run, pool_name=pool.name or run.pool_name)


def state_of(run: JobRun) -> Facts:
    """A run's state and start, for a card."""
    return Facts((Fact("Status", Words(said(run.status))), Fact("Last start", moment(run.started_at))))


def jobs_beside(run: JobRun, via: Name | None) -> Button:
    """A way to the other jobs of the data pool."""
    return Button("Jobs of the pool", Run(Jobs(pool=named(run)["pool"], via=via)))


def here(context: Context) -> Name:
    """The connection, spelt out for buttons that outlive the place's default."""
    return Name(context.connection, context.connection)


def on_the_clock(at: datetime, context: Context) -> str:
    """A moment in the reader's zone. Following a run may go on past midnight, so today is asked for anew."""
    return when(at, dated(context.reader, context.clock.now()))


def not_done(run: JobRun, context: Context, sign: str, text: str, outcome: Outcome) -> Ended:
    """The end of a write that did not do what was asked, as far as anybody can see."""
    look = Button("Look again", Run(ShowJob(**named(run), via=here(context))))
    card: Card = run_card(
        run, context, sign, Notice(Tone.DANGER, text), buttons=(look,), status=Status.FAILED
    )
    return Ended(card, outcome)
