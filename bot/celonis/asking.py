"""The calls of Celonis' APIs that the bot makes, in the API's words, for one person's one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.celonis import replies
from bot.celonis.cache import Keeps
from bot.celonis.connection import Caller, Identity
from bot.celonis.engine import Answer, Engine, KeyInfo, Question
from bot.celonis.flights import Stake
from bot.celonis.ids import segment
from bot.celonis.query import Asked, DataQuery, data_request, encoded
from bot.celonis.replies import DataPage, ExecutionPage, Header, LogPage
from bot.celonis.writes import CancelRuns, JobRun, StartJob
from bot.config import Limits
from bot.model.cards import Source
from bot.model.errors import BotError, UnexpectedReply
from bot.writes.ticket import Approval

T = TypeVar("T")

LIST_PAGE = 50
"""Entries a page of a list: the specification names no maximum, and this is its default."""
LIST_PAGES = 200
"""Pages after which a list is taken for endless."""
_KM = "/intelligence/api/knowledge-models"
_POOLS = "/integration/api/pools"
_STUDIO = "/package-manager/api"
_CLOUD = "/api/cloud"
_POOL_PAGE = 100
_LOG_PAGE = 100


@dataclass(slots=True)
class Asking:
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

    @property
    def trouble(self) -> BotError | None:
        """Why an old answer had to do, where one did: the quota, Celonis, or the way to it."""
        return next((each.instead_of for each in self.answers if each.instead_of is not None), None)

    def fresh(self) -> Asking:
        """The same for the same person, with nothing from the cache and a provenance of its own."""
        return Asking(self._engine, replace(self.caller, fresh=True))

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

    async def knowledge_models(self) -> tuple[replies.KnowledgeModel, ...]:
        """All knowledge models that the key may see."""
        return await self._pages(_KM, _MODEL)

    async def knowledge_model(self, km_id: str) -> replies.KnowledgeModel:
        """One knowledge model."""
        return await self._one(f"{_KM}/{segment(km_id)}", _MODEL)

    async def records(self, km_id: str) -> tuple[replies.Record, ...]:
        """Its records, without their fields."""
        return await self._pages(f"{_KM}/{segment(km_id)}/records", _RECORD)

    async def record(self, km_id: str, record_id: str) -> replies.Record:
        """One record with its fields."""
        path = f"{_KM}/{segment(km_id)}/records/{segment(record_id)}"

        async def fetch(stake: Stake) -> replies.Record:
            content = await self._page(stake, Asked("GET", path))
            fields = self._items(stake, _FIELD, content.get("fields") or [])
            return self._parsed(_RECORD, {**content, "fields": fields})

        return await self._answer(Keeps.SCHEMA, Asked("GET", path), fetch)

    async def kpis(self, km_id: str) -> tuple[replies.Kpi, ...]:
        """Its KPIs."""
        return await self._pages(f"{_KM}/{segment(km_id)}/kpis", _KPI)

    async def filters(self, km_id: str) -> tuple[replies.Filter, ...]:
        """Its predefined filters."""
        return await self._pages(f"{_KM}/{segment(km_id)}/filters", _FILTER)

    async def triggers(self, km_id: str) -> tuple[replies.Trigger, ...]:
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

    async def pools(self) -> tuple[replies.Pool, ...]:
        """All data pools that the key may see."""
        return await self._all(Asked("GET", _POOLS), _POOL)

    async def pools_paged(self) -> tuple[replies.PoolOverview, ...]:
        """All data pools with the state of their newest runs: one call watches them all."""
        return await self._pages(f"{_POOLS}/paged", _POOL_OVERVIEW, Keeps.STATUS, size=("limit", _POOL_PAGE))

    async def pool(self, pool_id: str) -> replies.Pool:
        """One data pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}", _POOL)

    async def jobs(self, pool_id: str) -> tuple[replies.Job, ...]:
        """The data jobs of a pool."""
        return await self._all(Asked("GET", f"{_POOLS}/{segment(pool_id)}/jobs"), _JOB, Keeps.STATUS)

    async def job(self, pool_id: str, job_id: str) -> replies.Job:
        """One data job."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/jobs/{segment(job_id)}", _JOB, Keeps.STATUS)

    async def job_statuses(self, pool_id: str) -> tuple[replies.JobStatus, ...]:
        """States of a pool's data jobs, by id; those that never ran may be missing."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/status"
        return await self._all(Asked("GET", path), _STATUS, Keeps.STATUS)

    async def executions(self, pool_id: str, job_id: str, page: int = 0, limit: int = 20) -> ExecutionPage:
        """A page of a data job's runs."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/{segment(job_id)}/executions"
        return await self._executions(
            Asked("GET", path, encoded([("limit", str(limit)), ("page", str(page))]))
        )

    async def execution_children(
        self, pool_id: str, execution_id: str, item_id: str, kind: str
    ) -> ExecutionPage:
        """The parts of a run.

        Args:
            pool_id: Of the data pool.
            execution_id: `Execution.execution_id` of the run.
            item_id: What the parts belong to: a job's id for TASK, a task's id for STEP.
            kind: Of the parts: TASK or STEP.
        """
        query = encoded([("executionId", execution_id), ("type", kind), ("id", item_id)])
        return await self._executions(Asked("GET", f"{_POOLS}/{segment(pool_id)}/logs/executions", query))

    async def log_messages(
        self,
        pool_id: str,
        execution_id: str,
        item_id: str,
        kind: str,
        *,
        levels: Sequence[str] = (),
        page: int = 0,
        limit: int = _LOG_PAGE,
    ) -> LogPage:
        """A page of the log of a run or a part of it; `levels` may name ERROR, WARNING, INFO, DEBUG."""
        query = encoded(
            [
                ("executionId", execution_id),
                ("id", item_id),
                ("type", kind),
                ("limit", str(limit)),
                ("page", str(page)),
                *(("logLevels", level) for level in levels),
            ]
        )
        asked = Asked("GET", f"{_POOLS}/{segment(pool_id)}/logs/executions/detail", query)

        async def fetch(stake: Stake) -> LogPage:
            content = await self._page(stake, asked)
            messages = self._items(stake, _MESSAGE, content.get("logMessages", []))
            return LogPage(messages, _whole(content.get("numOfPages")))

        return await self._answer(Keeps.RUNS, asked, fetch)

    async def data_models(self, pool_id: str) -> tuple[replies.DataModel, ...]:
        """The data models of a pool."""
        return await self._all(Asked("GET", f"{_POOLS}/{segment(pool_id)}/data-models"), _DATA_MODEL)

    async def load_info(self, pool_id: str, data_model_id: str) -> replies.LoadInfo:
        """When and how a data model's data was loaded."""
        path = f"{_POOLS}/{segment(pool_id)}/data-models/{segment(data_model_id)}/load-history/load-info-sync"

        async def fetch(stake: Stake) -> replies.LoadInfo:
            content = await self._page(stake, Asked("GET", path))
            return self._parsed(_LOAD_INFO, content.get("loadInfo") or {})

        return await self._answer(Keeps.LOADS, Asked("GET", path), fetch)

    # Studio ------------------------------------------------------------------------------------------------

    async def spaces(self) -> tuple[replies.Space, ...]:
        """All Studio spaces that the key may see."""
        return await self._all(Asked("GET", f"{_STUDIO}/spaces"), _SPACE)

    async def packages(self, space_id: str) -> tuple[replies.Node, ...]:
        """The packages of a space."""
        asked = Asked("GET", f"{_STUDIO}/nodes/tree", encoded([("spaceId", space_id)]))
        segment(space_id)
        nodes = await self._all(asked, _NODE)
        return tuple(each for each in nodes if each.node_type == "PACKAGE")

    async def nodes(self, asset_type: str) -> tuple[replies.Node, ...]:
        """Everything of one kind in Studio; `SEMANTIC_MODEL` is a knowledge model."""
        segment(asset_type)
        asked = Asked("GET", f"{_STUDIO}/nodes", encoded([("assetType", asset_type)]))
        return await self._all(asked, _NODE)

    async def analyses(self) -> tuple[replies.Analysis, ...]:
        """All classic analyses that the key may see."""
        return await self._all(Asked("GET", "/process-mining/api/analysis"), _ANALYSIS)

    # Who and what the bot is -------------------------------------------------------------------------------

    async def me(self) -> replies.Me | None:
        """Whose key it is; None for an application key."""

        async def fetch(stake: Stake) -> replies.Me | None:
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

    async def team(self) -> replies.Team:
        """The Celonis team; works with every kind of key."""
        return await self._one(f"{_CLOUD}/team", _TEAM, Keeps.IDENTITY)

    async def permissions(self) -> tuple[replies.Grants, ...]:
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

    async def execute_job(self, approval: Approval[StartJob], run: JobRun) -> None:
        """Starts a data job, in the mode that was confirmed.

        Args:
            approval: Names the job and the mode.
            run: Which of its jobs.

        Raises:
            NotAllowed, ApprovalSpent: Nothing was sent.
            OutcomeUnknown: It was sent once, and what became of it is not known.
            CelonisError: Celonis refused it.
        """
        mode = approval.target.mode

        def asked(run: JobRun) -> Asked:
            path = f"/integration/api/v2/data-pools/{segment(run.pool_id)}/data-jobs/{segment(run.job_id)}/execute"
            return Asked("POST", path, encoded([("mode", str(mode))]))

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

    async def _executions(self, asked: Asked) -> ExecutionPage:
        async def fetch(stake: Stake) -> ExecutionPage:
            content = await self._engine.read(stake, asked)
            raw = content.get("executionItems", []) if isinstance(content, dict) else content
            pages = _whole(content.get("numOfPages")) if isinstance(content, dict) else 0
            return ExecutionPage(self._items(stake, _EXECUTION, raw), pages)

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
            last = len(raw) < size
            return DataPage(
                headers=self._items(stake, _HEADER, content.get("headers", [])),
                rows=rows,
                page=query.page,
                page_size=size,
                last=last,
                capped=not last and (query.page + 1) * size >= limits.rows,
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


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _unique(found: Iterable[T]) -> tuple[T, ...]:
    """Without what stood on two pages because something was inserted while they were turned."""
    seen: dict[str, T] = {}
    for each in found:
        seen.setdefault(getattr(each, "id", repr(each)), each)
    return tuple(seen.values())


_MODEL = TypeAdapter(replies.KnowledgeModel)
_RECORD = TypeAdapter(replies.Record)
_FIELD = TypeAdapter(replies.Field)
_KPI = TypeAdapter(replies.Kpi)
_FILTER = TypeAdapter(replies.Filter)
_TRIGGER = TypeAdapter(replies.Trigger)
_HEADER = TypeAdapter(Header)
_ROW = TypeAdapter(dict[str, Any])
_POOL = TypeAdapter(replies.Pool)
_POOL_OVERVIEW = TypeAdapter(replies.PoolOverview)
_JOB = TypeAdapter(replies.Job)
_STATUS = TypeAdapter(replies.JobStatus)
_EXECUTION = TypeAdapter(replies.Execution)
_MESSAGE = TypeAdapter(replies.LogMessage)
_DATA_MODEL = TypeAdapter(replies.DataModel)
_LOAD_INFO = TypeAdapter(replies.LoadInfo)
_SPACE = TypeAdapter(replies.Space)
_NODE = TypeAdapter(replies.Node)
_ANALYSIS = TypeAdapter(replies.Analysis)
_ME = TypeAdapter(replies.Me)
_TEAM = TypeAdapter(replies.Team)
_GRANTS = TypeAdapter(replies.Grants)
