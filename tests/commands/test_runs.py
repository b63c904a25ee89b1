"""Which run is meant, and what became of it: every way in which Celonis may tell of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.catalog.values import FieldValueLists
from bot.celonis import CancelRuns, Execution, Job, JobRun, JobStatus
from bot.commands.cancel import CANCEL
from bot.commands.command import Context
from bot.commands.jobs import CancelJob
from bot.config import Settings
from bot.model.cards import Card, Reader, Run, Status
from bot.model.errors import Forbidden, NotFound, ServerFault, StoreUnavailable
from bot.model.names import Name
from bot.policy import Policy
from bot.writes.guarded import Ended, Question
from bot.writes.ticket import Outcome

START = datetime(2026, 11, 20, 22, 10, tzinfo=UTC)
NOW = START + timedelta(minutes=30)
LATER = START + timedelta(minutes=29)


class FrozenClock:
    """Sleeping is all that moves it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass(frozen=True)
class Seen:
    """What Celonis says of the job at one look."""

    status: str
    id: str | None = None
    start: datetime | None = START
    error: Exception | None = None


@dataclass
class Told:
    """Celonis, as far as runs are concerned; the last look stays."""

    looks: Sequence[Seen]
    history: Sequence[tuple[str | None, datetime | None, str]] = ()
    calls: list[str] = field(default_factory=list)
    read_only: bool = False

    def __post_init__(self) -> None:
        self._next: Iterator[Seen] = iter(self.looks)
        self._now = self.looks[0]

    async def job(self, _pool: str, job: str) -> Job:
        self.calls.append("job")
        self._now = next(self._next, self._now)
        if self._now.error is not None:
            raise self._now.error
        return Job(id=job, name="main job", status=self._now.status, current_execution_id=self._now.id)

    async def job_statuses(self, _pool: str) -> tuple[JobStatus, ...]:
        self.calls.append("statuses")
        return (
            JobStatus.model_validate(
                {
                    "id": "j1",
                    "status": self._now.status,
                    "lastExecutionStartDate": self._now.start and self._now.start.isoformat(),
                }
            ),
        )

    async def executions(self, _pool: str, _job: str) -> tuple[Execution, ...]:
        self.calls.append("executions")
        return tuple(
            Execution.model_validate(
                {
                    "id": f"e{at}",
                    "executionId": run,
                    "startDate": start and start.isoformat(),
                    "status": status,
                    "type": "JOB",
                    "jobId": "j1",
                }
            )
            for at, (run, start, status) in enumerate(self.history)
        )

    @property
    def fetched_at(self) -> datetime:
        return NOW

    @property
    def cached(self) -> bool:
        return False


def context(told: Told, connections: tuple[str, ...] = ("sandbox",)) -> Context:
    nobody = cast("Any", None)
    return Context(
        asker=nobody,
        now=NOW,
        reader=Reader(zone="Europe/Berlin"),
        connection="sandbox",
        connections=connections,
        asking=cast("Any", told),
        celonis=cast("Any", SimpleNamespace(connection=SimpleNamespace(name="sandbox", sandbox=False))),
        catalog=cast("Any", SimpleNamespace(asking=told)),
        values=FieldValueLists(),
        policy=Policy(Settings()),
        store=nobody,
        audit=nobody,
        clock=FrozenClock(),
        table=(),
        version="0",
    )


def shown(status: str = "RUNNING", run: str | None = "x1", start: datetime | None = START) -> CancelRuns:
    return CancelRuns("sandbox", (JobRun("p1", "SAP ECC", "j1", "main job", run, start, status),))


async def check(target: CancelRuns, *looks: Seen) -> Ended | None:
    return (await CANCEL.check(target, context(Told(looks)))).over


async def asked(intent: CancelJob, told: Told) -> Question:
    here = context(told)
    target = await CANCEL.ask(intent, here)
    assert isinstance(target, CancelRuns)
    return CANCEL.question(target, here)


async def follow(target: CancelRuns, told: Told, *, taken: bool = True) -> tuple[list[Card], Ended]:
    """What is shown on the way, and the end."""
    shown: list[Card] = []

    async def progress(card: Card) -> None:
        shown.append(card)

    ended = await CANCEL.follow(target, context(told), taken=taken, by="the operator", progress=progress)
    return shown, ended


@pytest.mark.parametrize(
    ("target", "now"),
    [
        (shown(), Seen("RUNNING", "x1", None)),
        (shown(), Seen("RUNNING", None)),
        (shown(run=None), Seen("RUNNING", "x1")),
        (shown("QUEUED"), Seen("RUNNING", "x1", LATER)),
        (shown(run=None, start=None), Seen("RUNNING", None, None)),
        (shown("QUEUED", None, None), Seen("RUNNING", None, LATER)),
        (shown("QUEUED", None), Seen("RUNNING", None, LATER)),
    ],
    ids=[
        "same id",
        "id gone",
        "id new",
        "queued began",
        "nothing known",
        "no start known",
        "start not its own",
    ],
)
async def test_a_run_that_can_be_told_to_be_the_one_shown_is_stopped(target: CancelRuns, now: Seen) -> None:
    assert await check(target, now) is None


@pytest.mark.parametrize(
    ("target", "now"),
    [
        (shown(), Seen("RUNNING", "x2")),
        (shown(run=None), Seen("RUNNING", None, LATER)),
        (shown(), Seen("RUNNING", None, None)),
        (shown(start=None), Seen("RUNNING", None, LATER)),
        (shown(run=None), Seen("RUNNING", "x2", None)),
        (shown(run=None), Seen("QUEUED", None, START)),
    ],
    ids=["other id", "other start", "all gone", "id gone, start new", "start gone", "the next one is queued"],
)
async def test_a_run_that_may_be_another_one_is_left_alone(target: CancelRuns, now: Seen) -> None:
    step = await check(target, now)
    assert step is not None
    assert step.card.headline.startswith("Nothing was stopped")
    assert step.outcome is Outcome.NOTHING_SENT


async def test_only_what_is_known_is_said_of_a_run_that_cannot_be_compared() -> None:
    step = await check(shown(), Seen("RUNNING", None, None))
    assert step is not None
    assert "another run" not in step.card.headline


async def test_a_question_about_a_run_without_id_and_start_says_which_run_would_be_hit() -> None:
    told = Told([Seen("QUEUED", None, None)])
    intent = CancelJob(job=Name("main job", "j1"), pool=Name("SAP ECC", "p1"))
    question = await asked(intent, told)
    assert "whichever run" in repr(question.card.blocks)
    told = Told([Seen("RUNNING", "x1")])
    question = await asked(intent, told)
    assert "whichever run" not in repr(question.card.blocks)


@pytest.mark.parametrize(
    ("target", "told", "outcome"),
    [
        (shown(), Told([Seen("RUNNING", "x1"), Seen("CANCEL", None)], [("x1", START, "CANCEL")]), "STOPPED"),
        (shown(), Told([Seen("CANCEL", None)]), "STOPPED"),
        (shown(run=None, start=None), Told([Seen("CANCEL", None, None)]), "STOPPED"),
        (shown("QUEUED", None), Told([Seen("CANCEL", None, LATER)], [(None, START, "SUCCESS")]), "STOPPED"),
        (shown(), Told([Seen("RUNNING", None, None), Seen("CANCEL", "x1")]), "STOPPED"),
        (shown(), Told([Seen("SUCCESS", None)], [("x1", START, "SUCCESS")]), "ENDED BY ITSELF"),
        (shown(), Told([Seen("CANCEL", "x2", LATER)], [("x1", START, "FAIL")]), "ANOTHER RUN WAS HIT"),
        (shown(), Told([Seen("CANCEL", "x2", LATER)]), "UNKNOWN"),
        (shown(), Told([Seen("RUNNING", "x1")]), "STILL RUNNING"),
        (shown(), Told([Seen("", "x1"), Seen("RUNNING", "x1"), Seen("CANCEL", "x1")]), "STOPPED"),
    ],
)
async def test_the_last_card_says_what_became_of_the_run_that_was_shown(
    target: CancelRuns, told: Told, outcome: str
) -> None:
    steps, ended = await follow(target, told)
    assert ended.card.headline.startswith(outcome)
    assert all(card.status is Status.WORKING for card in steps)


async def test_a_history_that_lags_behind_is_waited_for() -> None:
    told = Told([Seen("CANCEL", "x2", LATER)])
    asked = told.executions

    async def later(pool: str, job: str) -> tuple[Execution, ...]:
        told.history = [("x1", START, "CANCEL")] if len(told.calls) > 6 else []
        return await asked(pool, job)

    cast("Any", told).executions = later
    assert (await follow(shown(), told))[1].outcome is Outcome.STOPPED


@pytest.mark.parametrize(
    "error",
    [ServerFault("down", status=503), StoreUnavailable("no database"), Forbidden("no grant", status=403)],
)
async def test_what_cannot_be_seen_for_a_while_is_looked_up_again(error: Exception) -> None:
    looks = [*(Seen("", error=error) for _ in range(12)), Seen("CANCEL", "x1")]
    steps, ended = await follow(shown(), Told(looks))
    assert [card.headline.split(":")[0] for card in steps[:2]] == ["Stopping", "Unknown yet"]
    assert ended.outcome is Outcome.STOPPED


async def test_a_job_that_celonis_has_no_more_is_not_looked_for_half_an_hour() -> None:
    told = Told([Seen("", error=NotFound("gone", status=404))])
    _, ended = await follow(shown(), told)
    assert ended.outcome is Outcome.UNKNOWN
    assert len(told.calls) < 40


async def test_a_call_of_which_nobody_knows_whether_it_arrived_is_not_said_to_have_arrived() -> None:
    certain = await follow(shown(), Told([Seen("RUNNING", "x1")]))
    unsure = await follow(shown(), Told([Seen("RUNNING", "x1")]), taken=False)
    assert "Celonis took the stop" in repr(certain[1].card.blocks)
    assert "Celonis took" not in repr(unsure)
    assert "was sent once" not in repr(unsure)


async def test_a_run_with_an_id_costs_one_call_a_look() -> None:
    told = Told([Seen("RUNNING", "x1"), Seen("RUNNING", "x1"), Seen("CANCEL", "x1")])
    await follow(shown(), told)
    assert told.calls == ["job"] * 3 + ["executions"], "one look-up of the run, for its end"


async def test_buttons_of_a_write_name_the_connection_it_was_for() -> None:
    for ended in (
        await check(shown(), Seen("RUNNING", "x2")),
        (await follow(shown(), Told([Seen("RUNNING", "x2")], [("x1", START, "CANCEL")])))[1],
        (await follow(shown(), Told([Seen("CANCEL", "x2", LATER)])))[1],
        (await follow(shown(), Told([Seen("RUNNING", "x1")])))[1],
    ):
        assert ended is not None
        assert ended.card.buttons
        for button in ended.card.buttons:
            assert isinstance(button.action, Run)
            assert cast("Any", button.action.intent).via == Name("sandbox", "sandbox")


async def test_clocks_that_are_apart_make_no_negative_duration() -> None:
    ahead = Seen("RUNNING", "x1", NOW + timedelta(seconds=8))
    question = await asked(CancelJob(job=Name("main job", "j1"), pool=Name("SAP ECC", "p1")), Told([ahead]))
    assert "(0 s)" in question.card.headline


async def test_a_headline_with_a_long_name_is_cut_and_keeps_the_verdict_first() -> None:
    (run,) = shown().runs
    long = CancelRuns("sandbox", (replace(run, job_name="x" * 3000),))
    _, last = await follow(long, Told([Seen("CANCEL", "x1")]))
    assert last.card.headline.startswith("STOPPED")
    assert last.card.status is Status.ANSWERED


async def test_following_a_stop_that_does_nothing_takes_few_calls() -> None:
    told = Told([Seen("RUNNING", "x1")])
    _, ended = await follow(shown(), told)
    assert ended.outcome is Outcome.STILL_RUNNING
    assert told.calls == ["job"] * 24, "7 in the first minute, 4 until the fifth, then every other minute"
