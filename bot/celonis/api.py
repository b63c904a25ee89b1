"""The calls of Celonis' APIs that the bot makes, in the API's words, for one person's one request."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from weakref import ReferenceType, ref

from pydantic import TypeAdapter, ValidationError

from bot.celonis import models
from bot.celonis.auth import Identity
from bot.celonis.cache import Cache, Entry, Fetch, Question
from bot.celonis.client import Client
from bot.celonis.errors import odd_shape
from bot.celonis.freshness import Kind
from bot.celonis.limits.fair_queue import Purpose
from bot.celonis.models import CancelRuns, DataPage, JobRun
from bot.celonis.query import DataQuery, data_call
from bot.celonis.request import Call, Caller, Family, encoded, segment, without_values
from bot.config import Connection, KeyType, Limits
from bot.model.approval import Approval
from bot.model.clock import Clock

T = TypeVar("T")

LIST_PAGE = 50
"""Entries a page of a list: the specification names no maximum, and this is its default."""
LIST_PAGES = 200
"""Pages after which a list is taken for endless."""
_KM = "/intelligence/api/knowledge-models"
_POOLS = "/integration/api/pools"
_CLOUD = "/api/cloud"
_POOL_PAGE = 100
_NEWEST_RUNS = 20


class Read(NamedTuple):
    """Where one answer came from.

    Attributes:
        question: What was asked.
        entry: The answer, gone when nobody keeps it any more.
        kind: Of the answer.
        fetched_at: When Celonis was asked (UTC).
        cached: Nothing had to be asked.
        unread: Items of it that could not be read.
    """

    question: Question
    entry: ReferenceType[Entry]
    kind: Kind
    fetched_at: datetime
    cached: bool
    unread: int


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the bot is in Celonis: kind of key, the end of it, and whose it is."""

    identity: Identity
    tail: str
    email: str = ""
    name: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.identity is Identity.USER and (self.name or self.email):
            return f"user key of {self.email or self.name}"
        return str(self.identity)


@dataclass(slots=True)
class Parts:
    """What the calls of a connection are made with.

    Attributes:
        me: Whose key it is, as `/api/cloud` said; None for an application key, and before it was asked.
    """

    connection: Connection
    client: Client
    cache: Cache
    clock: Clock
    me: models.Me | None = None

    def key(self) -> KeyInfo:
        """What the bot is in Celonis, as far as it is known without asking."""
        me, auth = self.me or models.Me(), self.client.auth
        return KeyInfo(auth.identity, auth.tail, me.email, me.name)


@dataclass(slots=True)
class Api:
    """The calls of one person's one request, and where its answers come from.

    Attributes:
        reads: Every answer so far, oldest first.
    """

    _parts: Parts
    caller: Caller
    reads: list[Read] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self._parts.connection.limits

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed over this connection."""
        return self._parts.connection.read_only

    @property
    def whole(self) -> bool:
        """Whether the newest answer could be read to its last item."""
        return not self.reads or not self.reads[-1].unread

    @property
    def fetched_at(self) -> datetime:
        """How old everything is that was read so far: the oldest answer counts, of data where there is any.

        What things are called is kept for an hour, and says nothing about how old their values are.
        """
        return min((each.fetched_at for each in self._counted()), default=self._parts.clock.now())

    @property
    def cached(self) -> bool:
        """Whether none of it had to be asked for."""
        return bool(self.reads) and all(each.cached for each in self._counted())

    def fresh(self) -> Api:
        """The same for the same person, with nothing from the cache and a provenance of its own."""
        return Api(self._parts, replace(self.caller, fresh=True))

    def again(self, reads: Sequence[Read]) -> bool:
        """Reads the same once more, where every answer is still fresh and the one that it was.

        Args:
            reads: What was read before, by any person.

        Returns:
            False: something of it would be answered otherwise, and nothing was read.
        """
        cache, transport = self._parts.cache, self._parts.client.transport
        if self.caller.fresh:
            return False
        for each in reads:
            if not cache.holds(each.question, each.entry()):
                return False
        for each in reads:
            question = each.question
            cache.given(question)
            transport.remember(self.caller, question.family, question.method, question.shown)
            self.caller.usage.unread[question.key] = each.unread
        self.reads += reads
        return True

    def _counted(self) -> list[Read]:
        return [each for each in self.reads if each.kind is not Kind.SCHEMA] or self.reads

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

        async def fetch(purpose: Purpose) -> models.Record:
            content = await self._page(purpose, Call("GET", path))
            fields = self._items(purpose, _FIELD, content.get("fields") or [])
            return self._parsed(_RECORD, {**content, "fields": fields})

        found: models.Record = await self._answer(_question(path, Kind.SCHEMA), fetch)
        return found

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
        return await self._data(path, query, whole_model=False)

    async def model_data(self, km_id: str, query: DataQuery) -> DataPage:
        """A page of values of a whole knowledge model: fields as `record.field`, and KPIs.

        Raises:
            BadArgument: The query asks for more than Celonis gives. Nothing was sent.
        """
        path = f"{_KM}/{segment(km_id)}/data"
        return await self._data(path, query, whole_model=True)

    # Data pools and data jobs ------------------------------------------------------------------------------

    async def pools(self) -> tuple[models.Pool, ...]:
        """All data pools that the key may see."""
        return await self._all(_POOLS, _POOL)

    async def pools_paged(self) -> tuple[models.PoolOverview, ...]:
        """All data pools with the state of their newest runs: one call watches them all."""
        return await self._pages(f"{_POOLS}/paged", _POOL_OVERVIEW, Kind.STATUS, size=("limit", _POOL_PAGE))

    async def pool(self, pool_id: str) -> models.Pool:
        """One data pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}", _POOL)

    async def jobs(self, pool_id: str) -> tuple[models.Job, ...]:
        """The data jobs of a pool."""
        return await self._all(f"{_POOLS}/{segment(pool_id)}/jobs", _JOB, Kind.STATUS)

    async def job(self, pool_id: str, job_id: str) -> models.Job:
        """One data job."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/jobs/{segment(job_id)}", _JOB, Kind.STATUS)

    async def job_statuses(self, pool_id: str) -> tuple[models.JobStatus, ...]:
        """States of a pool's data jobs, by id; those that never ran may be missing."""
        return await self._all(f"{_POOLS}/{segment(pool_id)}/logs/status", _STATUS, Kind.STATUS)

    async def executions(self, pool_id: str, job_id: str) -> tuple[models.Execution, ...]:
        """The newest runs of a data job."""
        path = f"{_POOLS}/{segment(pool_id)}/logs/{segment(job_id)}/executions"
        query = encoded([("limit", str(_NEWEST_RUNS)), ("page", "0")])
        return await self._all(path, _EXECUTION, Kind.RUNS, query=query, part="executionItems")

    async def load_info(self, pool_id: str, data_model_id: str) -> models.LoadInfo:
        """When and how a data model's data was loaded."""
        path = f"{_POOLS}/{segment(pool_id)}/data-models/{segment(data_model_id)}/load-history/load-info-sync"
        return await self._one(path, _LOAD_INFO, Kind.LOADS, part="loadInfo")

    # Who and what the bot is -------------------------------------------------------------------------------

    async def me(self) -> models.Me | None:
        """Whose key it is; None for an application key."""

        async def fetch(purpose: Purpose) -> models.Me | None:
            content = await self._parts.client.read(purpose, Call("GET", _CLOUD), empty=True)
            me = None if content is None else self._parsed(_ME, content)
            self._parts.me = me
            self._parts.client.auth.is_a(KeyType.APP_KEY if me is None else KeyType.USER_KEY)
            return me

        found: models.Me | None = await self._answer(_question(_CLOUD, Kind.IDENTITY), fetch)
        return found

    async def key(self) -> KeyInfo:
        """What the bot is in Celonis; asks where that is not known yet."""
        known = self._parts.key()
        if known.identity in {Identity.APPLICATION, Identity.OAUTH} or known.email or known.name:
            return known
        await self.me()
        return self._parts.key()

    async def team(self) -> models.Team:
        """The Celonis team; works with every kind of key."""
        return await self._one(f"{_CLOUD}/team", _TEAM, Kind.IDENTITY)

    async def permissions(self) -> tuple[models.Grants, ...]:
        """What the key may do in each service as a whole; grants for single packages or pools do not show here."""
        return await self._all(f"{_CLOUD}/permissions", _GRANTS, Kind.IDENTITY)

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
        await self._parts.client.cancel(approval, run, self.caller, call)

    # How it is asked ---------------------------------------------------------------------------------------

    async def _answer(self, question: Question, fetch: Fetch) -> Any:
        cache = self._parts.cache
        entry, cached = cache.at_hand(question, self.caller, fetch), True
        if entry is None:
            entry, cached = await cache.fetch(question, self.caller, fetch)
        else:
            self._parts.client.transport.remember(
                self.caller, question.family, question.method, question.shown
            )
            if entry.error is not None:
                raise copy.copy(entry.error)
        self.caller.usage.unread[question.key] = entry.unread
        self.reads.append(Read(question, ref(entry), entry.kind, entry.fetched_at, cached, entry.unread))
        return entry.value

    async def _page(self, purpose: Purpose, call: Call) -> Mapping[str, Any]:
        content = await self._parts.client.read(purpose, call)
        if not isinstance(content, dict):
            raise odd_shape(self._parts.connection)
        return content

    async def _one(self, path: str, model: TypeAdapter[T], kind: Kind = Kind.SCHEMA, *, part: str = "") -> T:
        """An object, or a part of one."""

        async def fetch(purpose: Purpose) -> T:
            content = await self._page(purpose, Call("GET", path))
            return self._parsed(model, (content.get(part) or {}) if part else content)

        found: T = await self._answer(_question(path, kind), fetch)
        return found

    async def _all(
        self, path: str, model: TypeAdapter[T], kind: Kind = Kind.SCHEMA, *, query: str = "", part: str = ""
    ) -> tuple[T, ...]:
        """A list that comes in one piece, or as a part of an object."""

        async def fetch(purpose: Purpose) -> tuple[T, ...]:
            content = await self._parts.client.read(purpose, Call("GET", path, query))
            raw = content.get(part, []) if isinstance(content, dict) and part else content
            return self._items(purpose, model, raw)

        found: tuple[T, ...] = await self._answer(_question(path, kind, query), fetch)
        return found

    async def _pages(
        self,
        path: str,
        model: TypeAdapter[T],
        kind: Kind = Kind.SCHEMA,
        *,
        size: tuple[str, int] | None = None,
    ) -> tuple[T, ...]:
        """All pages of a list. What Celonis calls a total counts one page, or pages, or items: only a page that is
        shorter than asked for (or than Celonis says its pages are) ends the list.

        Args:
            path: Of the list.
            model: Of its items.
            kind: Of the answer.
            size: What the API calls the size of a page, and the size; `pageSize` and `LIST_PAGE` where not given.
        """
        name, length = size or ("pageSize", LIST_PAGE)

        async def fetch(purpose: Purpose) -> tuple[T, ...]:
            found: list[T] = []
            before: object = None
            for number in range(LIST_PAGES):
                query = encoded([("page", str(number)), (name, str(length))])
                content = await self._page(purpose, Call("GET", path, query))
                raw: Any = content.get("content")
                if raw == before:
                    break  # a server that does not turn the page
                before = raw
                found += self._items(purpose, model, raw)
                if len(raw) < _length(content, length):
                    break
            return _unique(found)

        found: tuple[T, ...] = await self._answer(_question(path, kind), fetch)
        return found

    async def _data(self, path: str, query: DataQuery, *, whole_model: bool) -> DataPage:
        call, question = _data_question(path, query, self.limits, whole_model=whole_model)

        async def fetch(purpose: Purpose) -> DataPage:
            answer = await self._page(purpose, call)
            content = answer.get("content")
            if not isinstance(content, dict):
                raise odd_shape(self._parts.connection)
            raw: Any = content.get("data")
            return DataPage(
                headers=self._items(purpose, _HEADER, content.get("headers", [])),
                rows=self._items(purpose, _ROW, raw),
                page=query.page,
                last=len(raw) < _length(answer, query.size(self.limits)),
            )

        found: DataPage = await self._answer(question, fetch)
        return found

    def _parsed(self, model: TypeAdapter[T], content: object) -> T:
        try:
            return model.validate_python(content)
        except ValidationError:
            pass
        raise odd_shape(self._parts.connection)

    def _items(self, purpose: Purpose, model: TypeAdapter[T], raw: Any) -> tuple[T, ...]:
        """The items of a list; an odd one is left out and counted."""
        if not isinstance(raw, list):
            raise odd_shape(self._parts.connection)
        found = []
        for each in raw:
            try:
                found.append(model.validate_python(each))
            except ValidationError:
                purpose.unread += 1
        return tuple(found)


_REMEMBERED = 10_000


@lru_cache(_REMEMBERED)
def _question(path: str, kind: Kind, query: str = "") -> Question:
    key = f"GET {path}?{query}" if query else f"GET {path}"
    return Question(key, Family.of(path), kind, "GET", without_values(path, query))


@lru_cache(_REMEMBERED)
def _data_question(
    path: str, query: DataQuery, limits: Limits, *, whole_model: bool
) -> tuple[Call, Question]:
    call = data_call(path, query, limits, whole_model=whole_model)
    body = "" if call.body is None else " " + json.dumps(call.body, sort_keys=True)
    shown = without_values(call.path, call.query)
    return call, Question(
        f"{call.method} {call.target}{body}", Family.of(path), Kind.DATA, call.method, shown
    )


def _length(content: Mapping[str, Any], asked: int) -> int:
    """How long a full page is: as was asked for, or as Celonis says if that is less."""
    said = content.get("pageSize")
    return min(said, asked) if isinstance(said, int) and said > 0 else asked


def _unique(found: Iterable[T]) -> tuple[T, ...]:
    """Without what stood on two pages because something was inserted while they were turned."""
    seen: dict[str, T] = {}
    for each in found:
        seen.setdefault(getattr(each, "id", "") or repr(each), each)
    return tuple(seen.values())


_MODEL = TypeAdapter(models.KnowledgeModel)
_RECORD = TypeAdapter(models.Record)
_FIELD = TypeAdapter(models.Field)
_KPI = TypeAdapter(models.Kpi)
_FILTER = TypeAdapter(models.Filter)
_TRIGGER = TypeAdapter(models.Trigger)
_HEADER = TypeAdapter(models.Header)
_ROW: TypeAdapter[Mapping[str, Any]] = TypeAdapter(dict[str, Any])
_POOL = TypeAdapter(models.Pool)
_POOL_OVERVIEW = TypeAdapter(models.PoolOverview)
_JOB = TypeAdapter(models.Job)
_STATUS = TypeAdapter(models.JobStatus)
_EXECUTION = TypeAdapter(models.Execution)
_LOAD_INFO = TypeAdapter(models.LoadInfo)
_ME = TypeAdapter(models.Me)
_TEAM = TypeAdapter(models.Team)
_GRANTS = TypeAdapter(models.Grants)
