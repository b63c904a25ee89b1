"""What Celonis answers, as frozen values.

Read tolerantly: unknown fields are ignored, null and missing are the same, flags may come as "true" and "false",
numbers as text; moments are epoch milliseconds or ISO text and become aware. Names and texts are foreign: anything
may stand in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def _flag(value: object) -> object:
    return value.strip().casefold() == "true" if isinstance(value, str) else bool(value)


def _words(value: object) -> object:
    return value if isinstance(value, str) else str(value)


def _many_words(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_words(each) for each in value if each is not None)
    return ()


Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(_moment)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
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
    """`published` is Celonis' own text, such as `2023-04-19 11:29:45`; its zone is not documented."""

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
    short_display_name: Text = ""
    internal_note: Text = ""
    fields: tuple[Field, ...] = ()


class Parameter(_Named):
    """A parameter of a KPI."""

    value: Text = ""


class Kpi(_Named):
    """A KPI; `direction` is Up, Down or None (as text), `target` a number as text where there is one."""

    description: Text = ""
    format: Text = ""
    unit: Text = ""
    direction: Text = ""
    target: Text = ""
    parameters: tuple[Parameter, ...] = ()


class Filter(_Named):
    """A predefined filter."""

    description: Text = ""


class Trigger(_Named):
    """A trigger on a record."""

    record: Text = ""


class Header(_Named):
    """A column of a data reply; `aggregation` marks a KPI."""

    type: Text = "string"
    format: Text = ""
    unit: Text = ""
    aggregation: Flag = False
    filterable: Flag = False
    sortable: Flag = False


@dataclass(frozen=True, slots=True)
class DataPage:
    """One page of data.

    Attributes:
        headers: The columns.
        rows: Values by column id, as they came in the JSON.
        page: Which one, from 0.
        page_size: Rows a page, as it was really asked for.
        last: No page follows.
        capped: This page ends at the last row that can be reached; what follows can only be had by narrowing.
    """

    headers: tuple[Header, ...]
    rows: tuple[Mapping[str, Any], ...]
    page: int
    page_size: int
    last: bool
    capped: bool


# --- data pools and data jobs ---


class Pool(_Named):
    """A data pool."""

    description: Text = ""
    configuration_status: Text = ""
    changed_at: Moment = Said(default=None, alias="timeStamp")
    permissions: Texts = ()


class PoolOverview(_Named):
    """A data pool with the state of its newest run: CANCEL, FAIL, QUEUED, RUNNING, SKIPPED, SUCCESS, UNCONFIGURED."""

    status: Text = ""
    last_execution_start: Moment = Said(default=None, alias="lastExecutionStartDate")
    created_by: Text = ""


class Job(_Named):
    """A data job; without `data_source_id` it is a global one."""

    pool_id: Text = Said(default="", alias="dataPoolId")
    data_source_id: Text | None = None
    changed_at: Moment = Said(default=None, alias="timeStamp")
    status: Text = ""
    current_execution_id: Text | None = None
    latest_execution_item_id: Text | None = None


class JobStatus(_Reply):
    """State of a data job, by its id; a job that never ran has none."""

    job_id: Text = Said(alias="id")
    status: Text = ""
    last_execution_start: Moment = Said(default=None, alias="lastExecutionStartDate")


class Execution(_Reply):
    """A run, or a part of one; `type` is SCHEDULE, JOB, TASK or STEP."""

    id: Text
    execution_id: Text | None = None
    pool_id: Text = ""
    pool_name: Text = ""
    scheduling_id: Text = ""
    scheduling_name: Text = ""
    job_id: Text = ""
    task_id: Text = ""
    step_id: Text = ""
    name: Text = ""
    status: Text = ""
    type: Text = ""
    mode: Text = ""
    execution_order: int | None = None
    start: Moment = Said(default=None, alias="startDate")
    end: Moment = Said(default=None, alias="endDate")


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """Runs, in the order in which Celonis gives them; `pages` is how many there are, 0 where that is not said."""

    items: tuple[Execution, ...]
    pages: int = 0

    def __iter__(self) -> Iterator[Execution]:
        return iter(self.items)


class LogMessage(_Reply):
    """A line of a run's log; `level` is DEBUG, INFO, WARNING or ERROR."""

    id: Text = ""
    level: Text = ""
    at: Moment = Said(default=None, alias="date")
    text: Text = Said(default="", alias="logMessage")
    code: Text = Said(default="", alias="logTranslationCode")


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a run's log; `pages` is how many there are, 0 where that is not said."""

    messages: tuple[LogMessage, ...]
    pages: int = 0

    def __iter__(self) -> Iterator[LogMessage]:
        return iter(self.messages)


class DataModel(_Named):
    """A data model of a data pool."""

    description: Text = ""
    pool_id: Text = ""
    created_at: Moment = Said(default=None, alias="createDate")
    changed_at: Moment = Said(default=None, alias="changedDate")


class LiveDataModel(_Reply):
    """What of a data model is loaded now."""

    id: Text = Said(default="", alias="dataModelId")
    name: Text = Said(default="", alias="dataModelName")
    done: Flag = False
    error: Flag = False
    error_message: Text = ""
    loaded_at: Moment = Said(default=None, alias="lastLoad")
    started_at: Moment = Said(default=None, alias="startTime")
    ended_at: Moment = Said(default=None, alias="endTime")


class Load(_Reply):
    """The newest load: RUNNING, SUCCESS, ERROR, WARNING, LOST_CONNECTION, CANCELED or CANCELLING."""

    id: Text = Said(default="", alias="dataLoadId")
    status: Text = Said(default="", alias="loadStatus")
    type: Text = Said(default="", alias="loadType")
    message: Text = ""
    started_at: Moment = Said(default=None, alias="startDate")
    ended_at: Moment = Said(default=None, alias="endDate")


class LoadInfo(_Reply):
    """State of a data model's data."""

    live: LiveDataModel | None = Said(default=None, alias="liveDataModel")
    current: Load | None = Said(default=None, alias="currentComputeLoad")

    @property
    def loaded_at(self) -> datetime | None:
        """When its data was last loaded, where that is known."""
        return self.live.loaded_at if self.live else None


# --- Studio ---


class Space(_Named):
    """A Studio space."""

    created_at: Moment = Said(default=None, alias="creationDate")
    changed_at: Moment = Said(default=None, alias="changeDate")


class Node(_Named):
    """A package or something in one; a knowledge model's id is `<root_node_key>.<key>`."""

    key: Text = ""
    node_type: Text = ""
    asset_type: Text = ""
    root_node_key: Text = ""
    space_id: Text = ""
    changed_at: Moment = Said(default=None, alias="changeDate")


class Analysis(_Named):
    """A classic analysis."""

    parent_object_id: Text = ""


# --- who and what we are ---


class Me(_Reply):
    """The person whose key it is. `/api/cloud` may also hold a token; it is never read."""

    id: Text = ""
    name: Text = ""
    email: Text = ""
    team_name: Text = ""
    team_domain: Text = ""
    role: Text = ""
    admin: Flag = False
    analyst: Flag = False
    member: Flag = False
    active: Flag = True


class Team(_Reply):
    """The Celonis team."""

    id: Text = ""
    name: Text = ""
    domain: Text = ""


class Grants(_Reply):
    """What the key may do in one service, wherever it may do it for the whole service."""

    service_name: Text = ""
    permissions: Texts = ()
