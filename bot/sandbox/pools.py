"""Data pools whose jobs really run, queue, fail and take seconds to cancel, and data models that take time to load.

Nothing here waits: each run and load knows when what happens to it, and every look at it first catches up with the
clock. So the same code serves real time, shifted time and a simulated day.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

from bot.sandbox.clock import SandboxClock
from bot.sandbox.switches import Switches

Status: TypeAlias = Literal["QUEUED", "RUNNING", "SUCCESS", "FAIL", "CANCEL", "SKIPPED"]
Mode: TypeAlias = Literal["FULL", "DELTA"]

ACTIVE: tuple[Status, ...] = ("QUEUED", "RUNNING")


@lru_cache(maxsize=100_000)
def stable_id(*parts: object) -> str:
    """A UUID that is always the same for these parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a job, which the API calls a task, with its steps.

    Attributes:
        name: As shown.
        kind: Extraction, transformation or load.
        steps: Names of its steps.
        errors: Log messages (code, text) if this is the stage that fails.
    """

    name: str
    kind: Literal["EXTRACTION", "TRANSFORMATION", "DATA_MODEL_LOAD"]
    steps: Sequence[str] = ()
    errors: Sequence[Sequence[str]] = ()


@dataclass(slots=True)
class Run:
    """One execution of a job. All moments are seconds since 1970 by the sandbox's wall clock.

    Attributes:
        execution_id: Its id.
        mode: Full or delta.
        queued_at: When it was asked for.
        starts_at: When it leaves the queue; None: not before somebody says so.
        ends_at: When it ends by itself; None: not before somebody says so.
        outcome: How it ends by itself.
        schedule: Name of the schedule that started it; empty for a start by hand.
        cancel_at: When a cancellation takes hold.
        status: As of the last `settle`.
        started_at, ended_at: What has happened so far.
    """

    execution_id: str
    mode: Mode
    queued_at: float
    starts_at: float | None
    ends_at: float | None
    outcome: Status = "SUCCESS"
    schedule: str = ""
    cancel_at: float | None = None
    status: Status = "QUEUED"
    started_at: float | None = None
    ended_at: float | None = None

    def settle(self, now: float) -> None:
        """Catches up with the clock."""
        if self.ended_at is not None:
            return
        if self.started_at is None and self.starts_at is not None and self.starts_at <= now:
            self.started_at = self.starts_at
            self.status = "RUNNING"
        cancelled = self.cancel_at is not None and self.cancel_at <= now
        ended = self.ends_at is not None and self.ends_at <= now
        if ended and not (cancelled and self.cancel_at < self.ends_at):  # type: ignore[operator] # both were checked
            self.status, self.ended_at = self.outcome, self.ends_at
        elif cancelled:
            self.status, self.ended_at = "CANCEL", self.cancel_at

    @property
    def active(self) -> bool:
        """Queued or running, as of the last `settle`."""
        return self.ended_at is None

    @property
    def since(self) -> float:
        """Start, or the moment it was asked for while it waits ([choice] for the latter)."""
        return self.queued_at if self.started_at is None else self.started_at


@dataclass(slots=True)
class Job:
    """A data job.

    Attributes:
        id, name, pool: Its identity; `pool` is the pool's id.
        stages: What it consists of.
        source: Id of the data connection; None for a global job.
        changed_at: Its time stamp, seconds since 1970.
        outcome: How a run ends that nobody disturbs.
        runs: Oldest first.
        comes_back_at: When it starts by itself again after a cancellation.
    """

    id: str
    name: str
    pool: str
    stages: Sequence[Stage]
    source: str | None
    changed_at: float
    outcome: Status = "SUCCESS"
    runs: list[Run] = field(default_factory=list)
    comes_back_at: float | None = None

    @property
    def last(self) -> Run | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None


@dataclass(slots=True)
class Load:
    """One load of a data model; moments as in `Run`."""

    id: str
    started_at: float
    ends_at: float
    status: Literal["SUCCESS", "ERROR", "WARNING"]
    kind: Literal["FROM_CACHE", "COMPLETE", "PARTIAL"]
    message: str = ""

    def done(self, now: float) -> bool:
        """Has it ended?"""
        return self.ends_at <= now


@dataclass(slots=True)
class DataModel:
    """A data model with its tables (rows by name) and loads, oldest first."""

    id: str
    name: str
    pool: str
    description: str
    tables: Mapping[str, int]
    loads: list[Load]
    created_at: float


@dataclass(slots=True)
class Pool:
    """A data pool; a restricted one is the user key's alone."""

    id: str
    name: str
    description: str
    created_at: float
    restricted: bool = False
    jobs: list[Job] = field(default_factory=list)
    data_models: list[DataModel] = field(default_factory=list)


class Pools:
    """All pools, and what can happen to their jobs: through the API, and by order of a test."""

    def __init__(self, pools: list[Pool], clock: SandboxClock, switches: Switches) -> None:
        self._pools = {pool.id: pool for pool in pools}
        self._clock = clock
        self._switches = switches
        self._started = 0
        now = clock.wall()
        for pool in pools:
            for job in pool.jobs:
                for run in job.runs:
                    run.settle(now)

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def get(self, pool: str) -> Pool | None:
        """The pool with this id, its jobs caught up with the clock."""
        found = self._pools.get(pool)
        if found is not None:
            for job in found.jobs:
                self.settle(job)
        return found

    def find(self, job: str, pool: str | None = None) -> Job:
        """The one job with this id or name, caught up with the clock.

        Args:
            job: Id or name.
            pool: Id or name of its pool, where the job's name alone isn't unique.

        Raises:
            LookupError: There is none, or there are several.
        """
        found = [
            candidate
            for owner in self._pools.values()
            if pool is None or pool in (owner.id, owner.name)
            for candidate in owner.jobs
            if job in (candidate.id, candidate.name)
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} jobs are called {job!r}; exactly one is needed.")
        return self.settle(found[0])

    def settle(self, job: Job) -> Job:
        """Catches up with the clock."""
        now = self._clock.wall()
        if job.last is not None:
            job.last.settle(now)
        if job.comes_back_at is not None and job.comes_back_at <= now:
            moment, job.comes_back_at = job.comes_back_at, None
            self._begin(job, "DELTA", moment, queue=0.0).settle(now)
        return job

    def execute(self, job: Job, mode: Mode) -> bool:
        """Starts a run; False, and no effect, where one is active."""
        self.settle(job)
        if job.last is not None and job.last.active:
            return False
        self._begin(job, mode, self._clock.wall(), queue=self._switches.queue_delay)
        self.settle(job)
        return True

    def cancel(self, job: Job) -> None:
        """What the cancel call does, by the switch `cancel_effect`; on an idle job nothing."""
        self.settle(job)
        run = job.last
        effect = self._switches.cancel_effect
        if run is None or not run.active or effect == "ignored":
            return
        if effect == "finished first":
            self.finish(job)
            return
        if effect == "restarted first":
            run = self.restart(job)
        if run.cancel_at is None:
            run.cancel_at = self._clock.wall() + self._switches.cancel_delay
            if self._switches.restart_after_cancel >= 0:
                job.comes_back_at = run.cancel_at + self._switches.restart_after_cancel
        self.settle(job)

    def finish(self, job: Job, status: Status = "SUCCESS") -> None:
        """Ends the active run at once with this status, as by itself; none active: nothing happens."""
        self.settle(job)
        run = job.last
        if run is None or not run.active:
            return
        now = self._clock.wall()
        run.started_at = now if run.started_at is None else run.started_at
        run.status, run.ended_at, run.ends_at = status, now, now

    def start(self, job: Job, mode: Mode = "DELTA", *, queued: bool = False) -> Run:
        """Starts a run as a schedule would, at once (or to stay in the queue), ending an active one first."""
        self.finish(job)
        run = self._begin(job, mode, self._clock.wall(), queue=0.0, schedule="Nightly")
        if queued:
            run.starts_at = run.ends_at = None
        self.settle(job)
        return run

    def restart(self, job: Job) -> Run:
        """The active run ends by itself and a new one with another execution id begins at once."""
        return self.start(job, job.last.mode if job.last else "DELTA")

    def load(self, data_model: DataModel, kind: Literal["FROM_CACHE", "COMPLETE", "PARTIAL"]) -> bool:
        """Loads a data model; False, and no effect, while a load is under way."""
        now = self._clock.wall()
        if data_model.loads and not data_model.loads[-1].done(now):
            return False
        number = len(data_model.loads)
        ends_at = now + self._switches.load_duration
        data_model.loads.append(Load(stable_id(data_model.id, number), now, ends_at, "SUCCESS", kind))
        return True

    def _begin(self, job: Job, mode: Mode, now: float, *, queue: float, schedule: str = "") -> Run:
        self._started += 1
        outcome = self._switches.run_outcome
        run = Run(
            execution_id=stable_id(job.id, "started", self._started, now),
            mode=mode,
            queued_at=now,
            starts_at=now + queue,
            ends_at=now + queue + self._switches.run_duration,
            outcome=job.outcome if outcome == "as defined" else outcome,
            schedule=schedule,
        )
        job.runs.append(run)
        return run
