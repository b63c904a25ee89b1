"""A family of sentences that uses everything a clause can take, awkward words included."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import ClassVar

from bot.language.declare import (
    CelonisIntent,
    Count,
    Crosses,
    Days,
    Flag,
    Lasting,
    Names,
    OneName,
    OneOf,
    Phrase,
    SomeOf,
    SortBy,
    TimeOfDay,
    Where,
    clause,
)
from bot.language.parse import Exact
from bot.model.intents import Bound, Condition, Intent, SortKey
from bot.model.names import Kind, Name


@dataclass(frozen=True, slots=True)
class Jobs(CelonisIntent):
    words: ClassVar[str] = "jobs"
    states: tuple[str, ...] = field(
        default=(), metadata=clause("", SomeOf(("active", "failed", "not run", "queued")))
    )
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowJob(CelonisIntent):
    words: ClassVar[str] = "job"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class Cancel(CelonisIntent):
    words: ClassVar[str] = "cancel"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class Run(CelonisIntent):
    words: ClassVar[str] = "run"
    mode: str = field(default="", metadata=clause("", OneOf(("full", "delta"))))
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class Status(CelonisIntent):
    words: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True)
class ShowKpi(CelonisIntent):
    words: ClassVar[str] = "kpi"
    kpis: tuple[Name, ...] = field(default=(), metadata=clause("", Names(Kind.KPI)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    by: tuple[Name, ...] = field(default=(), metadata=clause("by", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    top: int = field(default=0, metadata=clause("top", Count()))
    shape: str = field(
        default="", metadata=clause("as", OneOf(("chart", "table", "bar chart"), or_period=True))
    )


@dataclass(frozen=True, slots=True)
class Data(CelonisIntent):
    words: ClassVar[str] = "data"
    record: Name | None = field(default=None, metadata=clause("", OneName(Kind.RECORD)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    show: tuple[Name, ...] = field(default=(), metadata=clause("show", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    search: str = field(default="", metadata=clause("search", Phrase()))
    within: Name | None = field(default=None, metadata=clause("in", OneName(Kind.FIELD)))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort by", SortBy()))
    distinct: bool = field(default=False, metadata=clause("distinct", Flag()))
    now: bool = field(default=False, metadata=clause("now", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class DataModels(CelonisIntent):
    words: ClassVar[str] = "data models"
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


@dataclass(frozen=True, slots=True)
class Help(Intent):
    words: ClassVar[str] = "help"
    topic: str = field(default="", metadata=clause("", Phrase()))


@dataclass(frozen=True, slots=True)
class Audit(Intent):
    words: ClassVar[str] = "audit"
    rows: int = field(default=20, metadata=clause("", Count()))
    about: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    order: tuple[SortKey, ...] = field(default=(), metadata=clause("sorted", SortBy()))
    kinds: tuple[str, ...] = field(default=(), metadata=clause("only", SomeOf(("refused", "failed"))))


@dataclass(frozen=True, slots=True)
class Check(Intent):
    words: ClassVar[str] = "check"
    what: Condition | None = field(default=None, metadata=clause("", Where()))
    where: Condition | None = field(default=None, metadata=clause("where else", Where()))
    note: str = field(default="", metadata=clause("noting", Phrase()))


@dataclass(frozen=True, slots=True)
class ListAll(Intent):
    words: ClassVar[str] = "list"
    what: str = field(default="", metadata=clause("", OneOf(("jobs", "data models"))))
    keys: tuple[SortKey, ...] = field(default=(), metadata=clause("", SortBy()))


@dataclass(frozen=True, slots=True)
class Guard(CelonisIntent):
    words: ClassVar[str] = "guard"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    at: time | None = field(default=None, metadata=clause("at", TimeOfDay()))
    longer: timedelta | None = field(default=None, metadata=clause("longer than", Lasting()))
    when: Bound | None = field(default=None, metadata=clause("when", Crosses()))
    days: tuple[str, ...] = field(default=(), metadata=clause("every", Days()))


@dataclass(frozen=True, slots=True)
class Every(CelonisIntent):
    words: ClassVar[str] = "every"
    days: tuple[str, ...] = field(default=(), metadata=clause("", Days()))
    at: time | None = field(default=None, metadata=clause("", TimeOfDay()))
    lasting: timedelta | None = field(default=None, metadata=clause("", Lasting()))
    line: Bound | None = field(default=None, metadata=clause("", Crosses()))


INTENTS: tuple[type[Intent], ...] = (
    Jobs,
    ShowJob,
    Cancel,
    Run,
    Status,
    ShowKpi,
    Data,
    DataModels,
    Help,
    Audit,
    Check,
    ListAll,
    Guard,
    Every,
)
EXACT = Exact(INTENTS)
