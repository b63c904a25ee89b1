"""What Celonis answers, as frozen values.

Read tolerantly: unknown fields are ignored, null and missing are the same, flags may come as "true" and "false",
numbers as text; moments are epoch milliseconds or ISO text and become aware. Names and texts are foreign: anything
may stand in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic import Field as Said
from pydantic.alias_generators import to_camel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(value: object) -> object:
    """Epoch milliseconds (number or digits) or ISO text; what is neither is not known."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float):
            return _EPOCH + timedelta(milliseconds=value)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
    return value if isinstance(value, datetime) else None


def _words(value: object) -> object:
    return value if isinstance(value, str) else str(value)


def _many_words(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_words(each) for each in value if each is not None)
    return ()


def _objects(value: object) -> object:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(_moment)]
Text: TypeAlias = Annotated[str, BeforeValidator(_words)]
Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_many_words)]


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: each for key, each in value.items() if each is not None}
        return value


class _Named(_Reply):
    """Something with an id. Where Celonis gives no name, the id is shown instead."""

    id: Text
    name: Text = ""

    @model_validator(mode="after")
    def _always_named(self) -> _Named:
        if not self.name.strip():
            object.__setattr__(self, "name", self.id)
        return self


# --- knowledge models ---


class KnowledgeModel(_Named):
    """A knowledge model, and the one that it extends, if any.

    `published` is Celonis' own text, such as `2023-04-19 11:29:45`; its zone is not documented.
    """

    published: Text = ""
    extended_km_id: Text = Said(default="", alias="extendedKMId")


class Field(_Named):
    """A field of a record; `type` is string, date, integer, boolean, number, datetime, timestamp or float."""

    description: Text = ""
    type: Text = "string"
    format: Text = ""
    unit: Text = ""


class Record(_Named):
    """A record; `fields` is filled in where one record was asked for."""

    description: Text = ""
    fields: tuple[Field, ...] = ()


class Kpi(_Named):
    """A KPI; `direction` is Up, Down or None (as text), `target` a number as text where there is one."""

    description: Text = ""
    format: Text = ""
    unit: Text = ""
    direction: Text = ""
    target: Text = ""


class Filter(_Named):
    """A predefined filter."""

    description: Text = ""


class Trigger(_Named):
    """A trigger on a record."""

    record: Text = ""


class Header(_Named):
    """A column of a data reply."""

    type: Text = "string"
    format: Text = ""
    unit: Text = ""


@dataclass(frozen=True, slots=True)
class DataPage:
    """One page of data.

    Attributes:
        headers: The columns.
        rows: Values by column id, as they came in the JSON.
        page: Which one, from 0.
        last: No page follows.
    """

    headers: tuple[Header, ...]
    rows: tuple[Mapping[str, Any], ...]
    page: int
    last: bool


# --- data pools and data jobs ---


class Pool(_Named):
    """A data pool."""

    description: Text = ""


class PoolOverview(_Named):
    """A data pool with the state of its newest run: CANCEL, FAIL, QUEUED, RUNNING, SKIPPED, SUCCESS, UNCONFIGURED."""

    status: Text = ""
    last_execution_start: Moment = Said(default=None, alias="lastExecutionStartDate")


class Job(_Named):
    """A data job."""

    pool_id: Text = Said(default="", alias="dataPoolId")
    status: Text = ""
    current_execution_id: Text | None = None


class JobStatus(_Reply):
    """State of a data job, by its id; a job that never ran has none."""

    job_id: Text = Said(alias="id")
    status: Text = ""
    last_execution_start: Moment = Said(default=None, alias="lastExecutionStartDate")


class Execution(_Reply):
    """A run, or a part of one.

    Attributes:
        name: What runs: the data job, its task or a step of that.
        task_id: The task, where it is one.
        mode: FULL or DELTA.
        schedule: What started it; empty where nothing did on its own.
    """

    id: Text
    name: Text = ""
    execution_id: Text | None = None
    task_id: Text | None = None
    status: Text = ""
    mode: Text = ""
    schedule: Text = Said(default="", alias="schedulingName")
    start: Moment = Said(default=None, alias="startDate")
    end: Moment = Said(default=None, alias="endDate")


class LogLine(_Reply):
    """A message in the log of a run or of a part of it. `code` is the same in every language."""

    level: Text = ""
    at: Moment = Said(default=None, alias="date")
    text: Text = Said(default="", alias="logMessage")
    code: Text = Said(default="", alias="logTranslationCode")


class LiveDataModel(_Reply):
    """What of a data model is loaded now."""

    loaded_at: Moment = Said(default=None, alias="lastLoad")


class LoadInfo(_Reply):
    """State of a data model's data."""

    live: LiveDataModel | None = Said(default=None, alias="liveDataModel")

    @property
    def loaded_at(self) -> datetime | None:
        """When its data was last loaded, where that is known."""
        return self.live.loaded_at if self.live else None


class Load(_Reply):
    """A load of a data model: RUNNING, SUCCESS, ERROR, WARNING, LOST_CONNECTION, CANCELED or CANCELLING."""

    status: Text = Said(default="", alias="loadStatus")
    kind: Text = Said(default="", alias="loadType")
    message: Text = ""
    start: Moment = Said(default=None, alias="startDate")
    end: Moment = Said(default=None, alias="endDate")


class LoadHistory(_Reply):
    """The loads of a data model, the newest first."""

    loads: Annotated[tuple[Load, ...], BeforeValidator(_objects)] = Said(default=(), alias="dataLoadHistory")


class Loads(_Reply):
    """What is loaded of a data model, and how it came to be."""

    info: LoadInfo = Said(default=LoadInfo(), alias="loadInfo")
    history: LoadHistory = Said(default=LoadHistory(), alias="loadHistory")

    @property
    def loaded_at(self) -> datetime | None:
        """When the data was last loaded, where that is known."""
        return self.info.loaded_at


class DataModel(_Named):
    """A data model of a data pool."""

    description: Text = ""


# --- Studio ---


class Space(_Named):
    """A space of Studio."""


class Node(_Named):
    """A package, or something in one.

    Attributes:
        key: Its own key.
        root: The key of the package; a package's is its own.
    """

    key: Text = ""
    kind: Text = Said(default="", alias="nodeType")
    root: Text = Said(default="", alias="rootNodeKey")
    space: Text = Said(default="", alias="spaceId")


class Analysis(_Named):
    """An analysis of the classic workspaces."""


# --- who and what we are ---


class Me(_Reply):
    """The person whose key it is. `/api/cloud` may also hold a token; it is never read."""

    id: Text = ""
    name: Text = ""
    email: Text = ""


class Team(_Reply):
    """The Celonis team."""

    id: Text = ""
    name: Text = ""


class Grants(_Reply):
    """What the key may do in one service, wherever it may do it for the whole service."""

    service_name: Text = ""
    permissions: Texts = ()


# --- what a confirmed write hits


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
    """Stop these runs: what people see in the question, and what an approval carries."""

    connection: str
    runs: tuple[JobRun, ...]


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start a run: what people see in the question, and what an approval carries.

    Attributes:
        before: The data job, and the newest run that it had when it was asked about.
        mode: FULL or DELTA.
        usual: Seconds that such a run takes, where that is known.
    """

    connection: str
    before: JobRun
    mode: str
    usual: float | None = None
