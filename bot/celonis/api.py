"""The calls of Celonis' APIs that the bot makes, in the API's words, for one person's one request."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from weakref import ReferenceType, ref

from pydantic import BaseModel, ValidationError

from bot.celonis import models
from bot.celonis.auth import Identity
from bot.celonis.cache import Entry, Reads
from bot.celonis.client import Client, KeyInfo
from bot.celonis.errors import Tried, odd_shape
from bot.celonis.freshness import Lifetime
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.models import CancelRuns, DataPage, JobRun, StartRun
from bot.celonis.request import Call, Caller, DataQuery, data_call, encoded, segment
from bot.config import KeyType, Limits
from bot.model.approval import Approval

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LIST_PAGE = 50
"""Entries a page of a list: the specification names no maximum, and this is its default."""
LIST_PAGES = 200
"""Pages after which a list is taken for endless."""
_KM = "/intelligence/api/knowledge-models"
_POOLS = "/integration/api/pools"
_STUDIO = "/package-manager/api"
_CLOUD = "/api/cloud"
_POOL_PAGE = 100
_NEWEST_RUNS = 20
_LOG_LINES = 100


class Read(NamedTuple):
    """Where one answer came from.

    Attributes:
        call: What was asked.
        entry: The answer, gone when nobody keeps it any more.
        fetched_at: When Celonis was asked (UTC).
        cached: Nothing had to be asked.
        unread: Items of it that could not be read.
    """

    call: Call
    entry: ReferenceType[Entry]
    fetched_at: datetime
    cached: bool
    unread: int


@dataclass(slots=True)
class Api:
    """The calls of one person's one request, and where its answers come from.

    Attributes:
        reads: Every answer so far, oldest first.
    """

    _client: Client
    caller: Caller
    reads: list[Read] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self._client.connection.limits

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed over this connection."""
        return self._client.connection.read_only

    @property
    def whole(self) -> bool:
        """Whether the newest answer could be read to its last item."""
        return not self.reads or not self.reads[-1].unread

    @property
    def fetched_at(self) -> datetime:
        """How old everything is that was read so far: the oldest answer counts, of data where there is any.

        What things are called is kept for an hour, and says nothing about how old their values are.
        """
        return min((each.fetched_at for each in self._counted()), default=self._client.clock.now())

    @property
    def cached(self) -> bool:
        """Whether none of it had to be asked for."""
        return bool(self.reads) and all(each.cached for each in self._counted())

    def fresh(self) -> Api:
        """The same for the same person, with nothing from the cache and a provenance of its own."""
        return Api(self._client, replace(self.caller, fresh=True))

    def patient(self, seconds: float) -> Api:
        """The same, where the answers are still wanted in so many seconds."""
        deadline = self._client.clock.monotonic() + seconds
        return Api(self._client, replace(self.caller, deadline=deadline), self.reads)

    def reads_since(self, first: int) -> Reads | None:
        """What was read after so many answers; None where that is nothing, or something had to be asked for."""
        reads = self.reads[first:]
        if not reads or not all(each.cached for each in reads):
            return None
        unread = {each.call.key: each.unread for each in reads if each.unread}
        return Reads(tuple((each.call, each.entry) for each in reads), unread)

    def again(self, reads: Reads) -> bool:
        """Reads the same once more, where every answer would be the one that it was.

        Args:
            reads: What was read before, by any person.

        Returns:
            False: something of it would be answered otherwise, and nothing was read.
        """
        if not self._client.cache.again(reads, self.caller):
            return False
        self._client.transport.remember(self.caller, reads.calls)
        if reads.unread:
            self.caller.usage.unread |= reads.unread
        return True

    def _counted(self) -> list[Read]:
        return [each for each in self.reads if each.call.lifetime is not Lifetime.SCHEMA] or self.reads

    # Knowledge models --------------------------------------------------------------------------------------

    async def knowledge_models(self) -> tuple[models.KnowledgeModel, ...]:
        """All knowledge models that the key may see."""
        return await self._pages(_KM, models.KnowledgeModel)

    async def knowledge_model(self, km_id: str) -> models.KnowledgeModel:
        """One knowledge model."""
        return await self._one(f"{_KM}/{segment(km_id)}", models.KnowledgeModel)

    async def records(self, km_id: str) -> tuple[models.Record, ...]:
        """Its records, without their fields."""
        return await self._pages(f"{_KM}/{segment(km_id)}/records", models.Record)

    async def record(self, km_id: str, record_id: str) -> models.Record:
        """One record with its fields."""
        call = _get(f"{_KM}/{segment(km_id)}/records/{segment(record_id)}")

        async def fetch(purpose: Purpose) -> models.Record:
            content = await self._object(purpose, call)
            fields = self._items(purpose, models.Field, content.get("fields") or [])
            return self._parsed(models.Record, {**content, "fields": fields})

        return await self._answer(call, fetch)

    async def kpis(self, km_id: str) -> tuple[models.Kpi, ...]:
        """Its KPIs."""
        return await self._pages(f"{_KM}/{segment(km_id)}/kpis", models.Kpi)

    async def filters(self, km_id: str) -> tuple[models.Filter, ...]:
        """Its predefined filters."""
        return await self._pages(f"{_KM}/{segment(km_id)}/filters", models.Filter)

    async def triggers(self, km_id: str) -> tuple[models.Trigger, ...]:
        """Its triggers."""
        return await self._pages(f"{_KM}/{segment(km_id)}/triggers", models.Trigger)

    async def record_data(self, km_id: str, record_id: str, query: DataQuery) -> DataPage:
        """A page of a record's rows.

        Raises:
            BadArgument: The query asks for more than Celonis gives. Nothing was sent.
        """
        path = f"{_KM}/{segment(km_id)}/records/{segment(record_id)}/data"
        return await self._data(path, query, whole_model=False)

    async def model_data(self, km_id: str, query: DataQuery, lifetime: Lifetime = Lifetime.DATA) -> DataPage:
        """A page of values of a whole knowledge model: fields as `record.field`, and KPIs.

        Args:
            km_id: The knowledge model.
            query: What to read.
            lifetime: `CLOSED` for a stretch of time that is over.

        Raises:
            BadArgument: The query asks for more than Celonis gives. Nothing was sent.
        """
        path = f"{_KM}/{segment(km_id)}/data"
        return await self._data(path, query, lifetime, whole_model=True)

    # Data pools and data jobs ------------------------------------------------------------------------------

    async def pools(self) -> tuple[models.Pool, ...]:
        """All data pools that the key may see."""
        return await self._all(_POOLS, models.Pool)

    async def pools_paged(self) -> tuple[models.PoolOverview, ...]:
        """All data pools with the state of their newest runs: one call watches them all."""
        return await self._pages(
            f"{_POOLS}/paged", models.PoolOverview, Lifetime.STATUS, size=("limit", _POOL_PAGE)
        )

    async def pool(self, pool_id: str) -> models.Pool:
        """One data pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}", models.Pool)

    async def jobs(self, pool_id: str) -> tuple[models.Job, ...]:
        """The data jobs of a pool."""
        return await self._all(f"{_POOLS}/{segment(pool_id)}/jobs", models.Job, Lifetime.STATUS)

    async def job(self, pool_id: str, job_id: str) -> models.Job:
        """One data job."""
        return await self._one(
            f"{_POOLS}/{segment(pool_id)}/jobs/{segment(job_id)}", models.Job, Lifetime.STATUS
        )

    async def job_statuses(self, pool_id: str) -> tuple[models.JobStatus, ...]:
        """States of a pool's data jobs, by id; those that never ran may be missing."""
        return await self._all(f"{_POOLS}/{segment(pool_id)}/logs/status", models.JobStatus, Lifetime.STATUS)

    async def executions(self, pool_id: str, job_id: str) -> tuple[models.Execution, ...]:
        """The newest runs of a data job."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/{segment(job_id)}/executions"
        query = encoded([("limit", str(_NEWEST_RUNS)), ("page", "0")])
        return await self._all(path, models.Execution, Lifetime.RUNS, query=query, part="executionItems")

    async def tasks(self, pool_id: str, job_id: str, execution_id: str) -> tuple[models.Execution, ...]:
        """The tasks of a run of a data job."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/executions"
        query = encoded([("executionId", execution_id), ("type", "TASK"), ("id", job_id)])
        return await self._all(path, models.Execution, Lifetime.RUNS, query=query)

    async def errors(
        self, pool_id: str, execution_id: str, part: str, kind: str
    ) -> tuple[models.LogLine, ...]:
        """The errors in the log of a run, or of a task of it, the oldest first; of very many the first page.

        Args:
            pool_id: The data pool.
            execution_id: The run.
            part: The id of the data job, or of the task.
            kind: JOB or TASK.
        """
        path = f"{_POOLS}/{segment(pool_id)}/logs/executions/detail"
        asked = [("executionId", execution_id), ("id", part), ("type", kind), ("logLevels", "ERROR")]
        query = encoded([*asked, ("limit", str(_LOG_LINES)), ("page", "0")])
        found = await self._all(path, models.LogLine, Lifetime.RUNS, query=query, part="logMessages")
        return tuple(sorted(found, key=lambda each: each.at.timestamp() if each.at else 0.0))

    async def data_models(self, pool_id: str) -> tuple[models.DataModel, ...]:
        """The data models of a pool."""
        return await self._all(f"{_POOLS}/{segment(pool_id)}/data-models", models.DataModel)

    async def loads(self, pool_id: str, data_model_id: str) -> models.Loads:
        """When and how a data model's data was loaded."""
        path = f"{_POOLS}/{segment(pool_id)}/data-models/{segment(data_model_id)}/load-history/load-info-sync"
        return await self._one(path, models.Loads, Lifetime.LOADS)

    # Studio ------------------------------------------------------------------------------------------------

    async def spaces(self) -> tuple[models.Space, ...]:
        """All spaces that the key may see."""
        return await self._all(f"{_STUDIO}/spaces", models.Space)

    async def packages(self, space_id: str) -> tuple[models.Node, ...]:
        """The packages of a space; one call reads those of all spaces."""
        found = await self._all(f"{_STUDIO}/packages", models.Node)
        return tuple(each for each in found if each.space == space_id)

    async def analyses(self, space_id: str, package_id: str) -> tuple[models.Node, ...]:
        """The analyses of a package; one call reads those of all packages."""
        keys = {each.key for each in await self.packages(space_id) if each.id == package_id}
        query = encoded([("assetType", "analysis")])
        found = await self._all(f"{_STUDIO}/nodes", models.Node, query=query)
        return tuple(each for each in found if each.root in keys and each.kind != "PACKAGE")

    async def classic_analyses(self) -> tuple[models.Analysis, ...]:
        """The analyses of the classic workspaces, which lie in no package."""
        return await self._all("/process-mining/api/analysis", models.Analysis)

    # Who and what the bot is -------------------------------------------------------------------------------

    async def me(self) -> models.Me | None:
        """Whose key it is; None for an application key."""
        call = _get(_CLOUD, Lifetime.IDENTITY)

        async def fetch(purpose: Purpose) -> models.Me | None:
            content = await self._client.read(purpose, call, empty=True)
            me = None if content is None else self._parsed(models.Me, content)
            self._client.me = me
            self._client.auth.is_a(KeyType.APP_KEY if me is None else KeyType.USER_KEY)
            return me

        return await self._answer(call, fetch)

    async def key(self) -> KeyInfo:
        """What the bot is in Celonis; asks where that is not known yet."""
        known = self._client.key()
        if known.identity in {Identity.APPLICATION, Identity.OAUTH} or known.email or known.name:
            return known
        await self.me()
        return self._client.key()

    async def team(self) -> models.Team:
        """The Celonis team; works with every kind of key."""
        return await self._one(f"{_CLOUD}/team", models.Team, Lifetime.IDENTITY)

    async def permissions(self) -> tuple[models.Grants, ...]:
        """What the key may do in each service as a whole; grants for single packages or pools do not show here."""
        return await self._all(f"{_CLOUD}/permissions", models.Grants, Lifetime.IDENTITY)

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
        call = Call("POST", f"{_POOLS}/{segment(run.pool_id)}/jobs/{segment(run.job_id)}/cancel")
        await self._client.carry_out(approval, run, self.caller, call, Tried("stop", run))

    async def start_job(self, approval: Approval[StartRun]) -> None:
        """Starts a run of a data job. Celonis answers before it runs: only reading the job again tells.

        Args:
            approval: Names the job and the mode; nothing else can be started.

        Raises:
            As `cancel_job` does.
        """
        target = approval.target
        job = target.before
        path = (
            f"/integration/api/v2/data-pools/{segment(job.pool_id)}/data-jobs/{segment(job.job_id)}/execute"
        )
        call = Call("POST", path, encoded([("mode", target.mode)]))
        await self._client.carry_out(approval, target, self.caller, call, Tried("start", job))

    # How it is asked ---------------------------------------------------------------------------------------

    async def _answer(self, call: Call, fetch: Callable[[Purpose], Awaitable[T]]) -> T:
        cache = self._client.cache
        entry, cached = cache.at_hand(call, self.caller, fetch), True
        if entry is None:
            entry, cached = await cache.fetch(call, self.caller, fetch)
        else:
            self._client.transport.remember(self.caller, ((call, None),))
            if entry.error is not None:
                raise copy.copy(entry.error)
        self.caller.usage.unread[call.key] = entry.unread
        self.reads.append(Read(call, ref(entry), entry.fetched_at, cached, entry.unread))
        value: T = entry.value
        return value

    async def _object(self, purpose: Purpose, call: Call) -> Mapping[str, Any]:
        content = await self._client.read(purpose, call)
        if not isinstance(content, dict):
            raise odd_shape(self._client.connection)
        return content

    async def _one(
        self, path: str, model: type[M], lifetime: Lifetime = Lifetime.SCHEMA, *, part: str = ""
    ) -> M:
        """An object, or a part of one."""
        call = _get(path, lifetime)

        async def fetch(purpose: Purpose) -> M:
            content = await self._object(purpose, call)
            return self._parsed(model, (content.get(part) or {}) if part else content)

        return await self._answer(call, fetch)

    async def _all(
        self,
        path: str,
        model: type[M],
        lifetime: Lifetime = Lifetime.SCHEMA,
        *,
        query: str = "",
        part: str = "",
    ) -> tuple[M, ...]:
        """A list that comes in one piece, or as a part of an object."""
        call = _get(path, lifetime, query)

        async def fetch(purpose: Purpose) -> tuple[M, ...]:
            content = await self._client.read(purpose, call)
            raw = content.get(part, []) if isinstance(content, dict) and part else content
            return self._items(purpose, model, raw)

        return await self._answer(call, fetch)

    async def _pages(
        self,
        path: str,
        model: type[M],
        lifetime: Lifetime = Lifetime.SCHEMA,
        *,
        size: tuple[str, int] | None = None,
    ) -> tuple[M, ...]:
        """All pages of a list. What Celonis calls a total counts one page, or pages, or items: only a page that is
        shorter than asked for (or than Celonis says its pages are) ends the list.

        Args:
            path: Of the list.
            model: Of its items.
            lifetime: Of the answer.
            size: What the API calls the size of a page, and the size; `pageSize` and `LIST_PAGE` where not given.
        """
        name, length = size or ("pageSize", LIST_PAGE)

        async def fetch(purpose: Purpose) -> tuple[M, ...]:
            found: dict[str, M] = {}
            before: object = None
            for number in range(LIST_PAGES):
                query = encoded([("page", str(number)), (name, str(length))])
                content = await self._object(purpose, Call("GET", path, query))
                raw: Any = content.get("content")
                if raw == before:
                    break  # a server that does not turn the page
                before = raw
                for each in self._items(purpose, model, raw):
                    # It stands on two pages where something was inserted while they were turned.
                    found.setdefault(getattr(each, "id", "") or repr(each), each)
                if len(raw) < _length(content, length):
                    break
            return tuple(found.values())

        return await self._answer(_get(path, lifetime), fetch)

    async def _data(
        self, path: str, query: DataQuery, lifetime: Lifetime = Lifetime.DATA, *, whole_model: bool
    ) -> DataPage:
        call = data_call(path, query, self.limits, lifetime, whole_model=whole_model)

        async def fetch(purpose: Purpose) -> DataPage:
            answer = await self._object(purpose, call)
            content = answer.get("content")
            raw = content.get("data") if isinstance(content, dict) else None
            if not isinstance(content, dict) or not isinstance(raw, list):
                raise odd_shape(self._client.connection)
            rows = tuple(each for each in raw if isinstance(each, dict))
            purpose.unread += len(raw) - len(rows)
            return DataPage(
                headers=self._items(purpose, models.Header, content.get("headers", [])),
                rows=rows,
                page=query.page,
                last=len(raw) < _length(answer, query.size(self.limits)),
            )

        return await self._answer(call, fetch)

    def _parsed(self, model: type[M], content: object) -> M:
        try:
            return model.model_validate(content)
        except ValidationError:
            pass
        raise odd_shape(self._client.connection)

    def _items(self, purpose: Purpose, model: type[M], raw: Any) -> tuple[M, ...]:
        """The items of a list; an odd one is left out and counted."""
        if not isinstance(raw, list):
            raise odd_shape(self._client.connection)
        found = []
        for each in raw:
            try:
                found.append(model.model_validate(each))
            except ValidationError:
                purpose.unread += 1
        return tuple(found)


@lru_cache(10_000)
def _get(path: str, lifetime: Lifetime = Lifetime.SCHEMA, query: str = "") -> Call:
    return Call("GET", path, query, lifetime=lifetime)


def _length(content: Mapping[str, Any], asked: int) -> int:
    """How long a full page is: as was asked for, or as Celonis says if that is less."""
    said = content.get("pageSize")
    return min(said, asked) if isinstance(said, int) and said > 0 else asked
