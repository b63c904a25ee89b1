"""What a confirmed write hits. These are what people see in the question, and what an approval carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobRun:
    """A data job and the run of it that was shown (None where Celonis named none).

    Attributes:
        started_at: Start of that run (UTC).
        status: Celonis' word when it was read.
    """

    pool_id: str
    pool_name: str
    job_id: str
    job_name: str
    execution_id: str | None
    started_at: datetime | None
    status: str


@dataclass(frozen=True, slots=True)
class CancelRuns:
    """Stop these runs."""

    connection: str
    runs: tuple[JobRun, ...]
