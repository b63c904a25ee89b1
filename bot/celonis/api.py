"""The calls of Celonis' APIs that the bot makes, in the API's words, for one person's one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.celonis import models
from bot.celonis.cache import Keeps
from bot.celonis.connection import Caller, Identity
from bot.celonis.engine import Answer, Engine, KeyInfo, Question
from bot.celonis.flights import Stake
from bot.celonis.ids import segment
from bot.celonis.models import DataPage, Header
from bot.celonis.query import Asked, DataQuery, data_request, encoded
from bot.celonis.writes import CancelRuns, JobRun
from bot.config import Limits
from bot.model.cards import Source
from bot.model.errors import UnexpectedReply
from bot.writes.ticket import Approval

T = TypeVar("T")

LIST_PAGE = 50
"""Entries a page of a list: the specification names no maximum, and this is its default."""
LIST_PAGES = 200
"""Pages after which a list is taken for endless."""
_KM = "/intelligence/api/knowledge-models"
_POOLS = "/integration/api/pools"
_CLOUD = "/api/cloud"
_POOL_PAGE = 100


@dataclass(slots=True)
class Api:
    """The calls of one person's one request, and where its answers come from."""

    _engine: Engine
    caller: Caller
    answers: list[Answer] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self._engine.connection.limits

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed over this connection."""
        return self._engine.connection.read_only

    @property
    def whole(self) -> bool:
        """Whether the newest answer could be read to its last item."""
        return not self.answers or not self.answers[-1].unread

    def fresh(self) -> Api:
        """The same for the same person, with nothing from the cache and a provenance of its own."""
        return Api(self._engine, replace(self.caller, fresh=True))

    def source(self, model: str = "", data_loaded_at: datetime | None = None) -> Source:
        """Where everything read so far comes from: the oldest answer counts, of data where there is any.

        What things are called is kept for an hour, and says nothing about how old their values are.
        """
        connection = self._engine.connection
        counted = [each for each in self.answers if not each.schema] or self.answers
        return Source(
            connection=connection.name,
            fetched_at=min((each.fetched_at for each in counted), default=self._engine.clock.now()),
            model=model,
            data_loaded_at=data_loaded_at,
            cached=bool(counted) and all(each.cached for each in counted),
            sandbox=connection.sandbox,
        )

    # Knowledge models --------------------------------------------------------------------------------------

    async def knowledge_models(self) -> tuple[models.KnowledgeModel, ...]:
        """All knowledge models that the key may see."""
        return await self._pages(_KM, _MODEL)

    async def knowledge_model(self, km_id: str) -> models.KnowledgeModel:
        """One knowledge model."""
        return await self._one(f"{_KM}/{segment(km_id)}", _MODEL)

    async def records(self, km_id: str) -> tuple[models.Record, ...]:
        """Its records, without their fields."""
        return await self._pages(f"{_KM}/{segment(km_id)}/records", _RECORD)

    async def record(self, km_id: str, record_id: str) -> models.Record:
        """One record with its fields."""
        path = f"{_KM}/{segment(km_id)}/records/{segment(record_id)}"

        async def fetch(stake: Stake) -> models.Record:
            content = await self._page(stake, Asked("GET", path))
            fields = self._items(stake, _FIELD, content.get("fields") or [])
            return self._parsed(_RECORD, {**content, "fields": fields})

        return await self._answer(Keeps.SCHEMA, Asked("GET", path), fetch)

    async def kpis(self, km_id: str) -> tuple[models.Kpi, ...]:
        """Its KPIs."""
        return await self._pages(f"{_KM}/{segment(km_id)}/kpis", _KPI)

    async def filters(self, km_id: str) -> tuple[models.Filter, ...]:
        """Its predefined filters."""
        return await self._pages(f"{_KM}/{segment(km_id)}/filters", _FILTER)

    async def triggers(self, km_id: str) -> tuple[models.Trigger, ...]:
        """Its triggers."""
        return await self._pages(f"{_KM}/{segment(km_id)}/triggers", _TRIGGER)

    async def record_data(self, km_id: str, record_id: str, query: DataQuery) -> DataPage:
        """A page of a record's rows.

        Raises:
            BadArgument: The query asks for more than Celonis gives. Nothing was sent.
        """
        path = f"{_KM}/{segment(km_id)}/records/{segment(record_id)}/data"
        return await self._data(data_request(path, query, self.limits, whole_model=False), query)

    async def model_data(self, km_id: str, query: DataQuery) -> DataPage:
        """A page of values of a whole knowledge model: fields as `record.field`, and KPIs.

        Raises:
            BadArgument: The query asks for more than Celonis gives. Nothing was sent.
        """
        path = f"{_KM}/{segment(km_id)}/data"
        return await self._data(data_request(path, query, self.limits, whole_model=True), query)

    # Data pools and data jobs ------------------------------------------------------------------------------

    async def pools(self) -> tuple[models.Pool, ...]:
        """All data pools that the key may see."""
        return await self._all(Asked("GET", _POOLS), _POOL)

    async def pools_paged(self) -> tuple[models.PoolOverview, ...]:
        """All data pools with the state of their newest runs: one call watches them all."""
        return await self._pages(f"{_POOLS}/paged", _POOL_OVERVIEW, Keeps.STATUS, size=("limit", _POOL_PAGE))

    async def pool(self, pool_id: str) -> models.Pool:
        """One data pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}", _POOL)

    async def jobs(self, pool_id: str) -> tuple[models.Job, ...]:
        """The data jobs of a pool."""
        return await self._all(Asked("GET", f"{_POOLS}/{segment(pool_id)}/jobs"), _JOB, Keeps.STATUS)

    async def job(self, pool_id: str, job_id: str) -> models.Job:
        """One data job."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/jobs/{segment(job_id)}", _JOB, Keeps.STATUS)

    async def job_statuses(self, pool_id: str) -> tuple[models.JobStatus, ...]:
        """States of a pool's data jobs, by id; those that never ran may be missing."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/status"
        return await self._all(Asked("GET", path), _STATUS, Keeps.STATUS)

    async def executions(
        self, pool_id: str, job_id: str, page: int = 0, limit: int = 20
    ) -> tuple[models.Execution, ...]:
        """A page of a data job's runs."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/{segment(job_id)}/executions"
        return await self._executions(
            Asked("GET", path, encoded([("limit", str(limit)), ("page", str(page))]))
        )

    async def load_info(self, pool_id: str, data_model_id: str) -> models.LoadInfo:
        """When and how a data model's data was loaded."""
        path = f"{_POOLS}/{segment(pool_id)}/data-models/{segment(data_model_id)}/load-history/load-info-sync"

        async def fetch(stake: Stake) -> models.LoadInfo:
            content = await self._page(stake, Asked("GET", path))
            return self._parsed(_LOAD_INFO, content.get("loadInfo") or {})

        return await self._answer(Keeps.LOADS, Asked("GET", path), fetch)

    # Who and what the bot is -------------------------------------------------------------------------------

    async def me(self) -> models.Me | None:
        """Whose key it is; None for an application key."""

        async def fetch(stake: Stake) -> models.Me | None:
            content = await self._engine.read(stake, Asked("GET", _CLOUD), empty=True)
            me = None if content is None else self._parsed(_ME, content)
            self._engine.learned(me)
            return me

        return await self._answer(Keeps.IDENTITY, Asked("GET", _CLOUD), fetch)

    async def kind(self) -> KeyInfo:
        """What the bot is in Celonis; asks where that is not known yet."""
        known = self._engine.kind()
        if known.identity in {Identity.APPLICATION, Identity.OAUTH} or known.email or known.name:
            return known
        await self.me()
        return self._engine.kind()

    async def team(self) -> models.Team:
        """The Celonis team; works with every kind of key."""
        return await self._one(f"{_CLOUD}/team", _TEAM, Keeps.IDENTITY)

    async def permissions(self) -> tuple[models.Grants, ...]:
        """What the key may do in each service as a whole; grants for single packages or pools do not show here."""
        return await self._all(Asked("GET", f"{_CLOUD}/permissions"), _GRANTS, Keeps.IDENTITY)

    # Writes ------------------------------------------------------------------------------------------------

    async def cancel_job(self, approval: Approval[CancelRuns], run: JobRun) -> None:
        """Stops a data job. Celonis answers before it has stopped: only reading the job again tells.

        Args:
            approval: Names the run; nothing else can be hit.
            run: Which of its runs.

        Raises:
            NotAllowed, ApprovalSpent: Nothing was sent.
            OutcomeUnknown: It was sent once, and what became of it is not known.
            CelonisError: Celonis refused it.
        """

        def asked(run: JobRun) -> Asked:
            return Asked("POST", f"{_POOLS}/{segment(run.pool_id)}/jobs/{segment(run.job_id)}/cancel")

        await self._engine.write(approval, run, self.caller, asked)

    # How it is asked ---------------------------------------------------------------------------------------

    async def _answer(self, keeps: Keeps, asked: Asked, fetch: Callable[[Stake], Awaitable[T]]) -> T:
        question = Question.of(asked, keeps)
        answer = await self._engine.answer(self.caller, question, fetch)
        self.caller.usage.unread[question.key] = answer.unread
        self.answers.append(replace(answer, schema=keeps is Keeps.SCHEMA))
        value: T = answer.value
        return value

    async def _page(self, stake: Stake, asked: Asked) -> Mapping[str, Any]:
        content = await self._engine.read(stake, asked)
        if not isinstance(content, dict):
            raise self._unexpected()
        return content

    async def _one(self, path: str, kind: TypeAdapter[T], keeps: Keeps = Keeps.SCHEMA) -> T:
        async def fetch(stake: Stake) -> T:
            return self._parsed(kind, await self._engine.read(stake, Asked("GET", path)))

        return await self._answer(keeps, Asked("GET", path), fetch)

    async def _all(self, asked: Asked, kind: TypeAdapter[T], keeps: Keeps = Keeps.SCHEMA) -> tuple[T, ...]:
        """A list that comes in one piece."""

        async def fetch(stake: Stake) -> tuple[T, ...]:
            return self._items(stake, kind, await self._engine.read(stake, asked))

        return await self._answer(keeps, asked, fetch)

    async def _pages(
        self,
        path: str,
        kind: TypeAdapter[T],
        keeps: Keeps = Keeps.SCHEMA,
        *,
        size: tuple[str, int] | None = None,
    ) -> tuple[T, ...]:
        """All pages of a list. What Celonis calls a total counts one page, or pages, or items: only a page that is
        shorter than asked for (or than Celonis says its pages are) ends the list.

        Args:
            path: Of the list.
            kind: Of its items.
            keeps: How long the answer keeps.
            size: What the API calls the size of a page, and the size; None for `pageSize` and the configured one.
        """
        name, length = size or ("pageSize", LIST_PAGE)

        async def fetch(stake: Stake) -> tuple[T, ...]:
            found: list[T] = []
            before: object = None
            for number in range(LIST_PAGES):
                query = encoded([("page", str(number)), (name, str(length))])
                content = await self._page(stake, Asked("GET", path, query))
                raw: Any = content.get("content")
                if raw == before:
                    break  # a server that does not turn the page
                before = raw
                found += self._items(stake, kind, raw)
                said = content.get("pageSize")
                if len(raw) < (min(said, length) if isinstance(said, int) and said > 0 else length):
                    break
            return _unique(found)

        return await self._answer(keeps, Asked("GET", path), fetch)

    async def _executions(self, asked: Asked) -> tuple[models.Execution, ...]:
        async def fetch(stake: Stake) -> tuple[models.Execution, ...]:
            content = await self._engine.read(stake, asked)
            raw = content.get("executionItems", []) if isinstance(content, dict) else content
            return self._items(stake, _EXECUTION, raw)

        return await self._answer(Keeps.RUNS, asked, fetch)

    async def _data(self, asked: Asked, query: DataQuery) -> DataPage:
        limits = self.limits

        async def fetch(stake: Stake) -> DataPage:
            answer = await self._page(stake, asked)
            content = answer.get("content")
            if not isinstance(content, dict):
                raise self._unexpected()
            raw: Any = content.get("data")
            rows = self._items(stake, _ROW, raw)
            said = answer.get("pageSize")
            size = query.size(limits)
            if isinstance(said, int) and 0 < said < size:
                size = said
            return DataPage(
                headers=self._items(stake, _HEADER, content.get("headers", [])),
                rows=rows,
                page=query.page,
                last=len(raw) < size,
            )

        return await self._answer(Keeps.DATA, asked, fetch)

    def _parsed(self, kind: TypeAdapter[T], content: object) -> T:
        try:
            return kind.validate_python(content)
        except ValidationError:
            pass
        raise self._unexpected()

    def _items(self, stake: Stake, kind: TypeAdapter[T], raw: Any) -> tuple[T, ...]:
        """The items of a list; an odd one is left out and counted."""
        if not isinstance(raw, list):
            raise self._unexpected()
        found = []
        for each in raw:
            try:
                found.append(kind.validate_python(each))
            except ValidationError:
                stake.unread += 1
        return tuple(found)

    def _unexpected(self) -> UnexpectedReply:
        return UnexpectedReply(
            f"{self._engine.connection.name} sent an answer of another shape than its API documents.",
            hint="If it stays so, the bot's admin can look at “debug”.",
            status=200,
        )


def _unique(found: Iterable[T]) -> tuple[T, ...]:
    """Without what stood on two pages because something was inserted while they were turned."""
    seen: dict[str, T] = {}
    for each in found:
        seen.setdefault(getattr(each, "id", repr(each)), each)
    return tuple(seen.values())


_MODEL = TypeAdapter(models.KnowledgeModel)
_RECORD = TypeAdapter(models.Record)
_FIELD = TypeAdapter(models.Field)
_KPI = TypeAdapter(models.Kpi)
_FILTER = TypeAdapter(models.Filter)
_TRIGGER = TypeAdapter(models.Trigger)
_HEADER = TypeAdapter(Header)
_ROW = TypeAdapter(dict[str, Any])
_POOL = TypeAdapter(models.Pool)
_POOL_OVERVIEW = TypeAdapter(models.PoolOverview)
_JOB = TypeAdapter(models.Job)
_STATUS = TypeAdapter(models.JobStatus)
_EXECUTION = TypeAdapter(models.Execution)
_LOAD_INFO = TypeAdapter(models.LoadInfo)
_ME = TypeAdapter(models.Me)
_TEAM = TypeAdapter(models.Team)
_GRANTS = TypeAdapter(models.Grants)
