"""The Celonis client: one `Celonis` for each connection and program, one `Asking` for each request of a person.

Every read goes the same way: cache, then the flight of those who ask the same, then the governor, then httpx.
"""

from __future__ import annotations

import random as dice
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import stamina
from pydantic import TypeAdapter, ValidationError

from bot.cards import Source
from bot.celonis import replies
from bot.celonis.cache import LEAST, OVERHEAD, Cache, Entry, Keeps
from bot.celonis.connection import ApiKey, Caller, Connection, Family, Identity, KeyKind, Lane, Limits
from bot.celonis.desk import Desk
from bot.celonis.flights import Flights, Stake
from bot.celonis.governor import Governor, Permit, forecast
from bot.celonis.ids import segment
from bot.celonis.keyring import Keyring
from bot.celonis.memory import Ledger, MemoryLedger
from bot.celonis.query import Asked, DataQuery, data_request, encoded
from bot.celonis.refusals import Reply, payload, refusal
from bot.celonis.replies import DataPage, ExecutionPage, Header, LogPage
from bot.celonis.wire import CallRecord, Wire
from bot.celonis.writes import CancelRuns, JobRun, StartJob
from bot.clock import Clock
from bot.confirm import Approval
from bot.errors import (
    ApprovalSpent,
    BadQuery,
    Forbidden,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    StoreUnavailable,
    Unauthorized,
    UnexpectedReply,
    Unreachable,
)
from bot.store.ledger import Payer

T = TypeVar("T")

_KM = "/intelligence/api/knowledge-models"
_POOLS = "/integration/api/pools"
_STUDIO = "/package-manager/api"
_CLOUD = "/api/cloud"
_PASSING = frozenset({502, 503, 504})
_UNCLEAR = (QuotaExhausted, RateLimited, Unreachable, ServerFault, StoreUnavailable)
_NEGATIVE = (NotFound, BadQuery, Forbidden)
_SWR = 1.5
"""An answer older than fresh, by up to this factor, is given at once while a new one is fetched."""
_POOL_PAGE = 100
_LOG_PAGE = 100


@dataclass(frozen=True, slots=True)
class FamilyQuota:
    """What one API family has spent and has left; `paused_until` while Celonis has asked for silence."""

    family: Family
    limit: int
    used: int
    left: int
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The quota of a connection; the numbers are those of the family with the least left.

    Attributes:
        limit: Calls in 24 hours.
        used: Of these, spent.
        mine: Of these, by the person who asks.
        left: What people may still use (the reserve for writes is taken off).
        resets_at: When the first spent calls come back, None where nothing is spent.
        runs_out_at: When it is used up at the pace of the last hour, None where it lasts for a day.
        hit_rate: Part of the questions answered without a call.
        people: Calls by person, most first.
        families: Each API family.
    """

    limit: int
    used: int
    mine: int
    left: int
    resets_at: datetime | None
    runs_out_at: datetime | None
    hit_rate: float | None
    people: tuple[tuple[str, int], ...]
    families: tuple[FamilyQuota, ...]


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A value and where it comes from."""

    value: Any
    fetched_at: datetime
    cached: bool
    calls: int


class Celonis:
    """One Celonis team and the bot's identity there.

    Args:
        connection: Which one.
        clock: Wall and monotonic clock.
        ledger: Where spending is counted; None keeps it in memory (tests, demo).
        transport: Stands in for the network.
        random: From 0 to 1; for waiting times.
        guest: A one-shot command beside running copies.
        beside: Another connection to the same team, whose limits this one shares.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        ledger: Ledger | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        random: Callable[[], float] = dice.random,
        guest: bool = False,
        beside: Celonis | None = None,
    ) -> None:
        self.connection = connection
        self._clock = clock
        self._random = random
        shared = beside is not None and beside.connection.scope == connection.scope
        self._owns_desk = not shared
        self._desk: Desk
        self._governors: dict[Family, Governor]
        if beside is not None and shared:
            self._desk, self._governors = beside._desk, beside._governors  # noqa: SLF001 - of its own kind
        else:
            self._desk = Desk(
                connection.scope,
                connection.limits,
                clock=clock,
                ledger=ledger or MemoryLedger(clock),
                guest=guest,
            )
            self._governors = {
                family: Governor(family, self._desk, timeout=connection.timeout, random=random)
                for family in Family
            }
        self._wire = Wire(connection, clock, transport)
        self._keyring = Keyring(connection, clock)
        self._flights = Flights(clock)
        self._cache = Cache(connection.limits.cache_bytes, clock.monotonic)
        self._me: replies.Me | None = None

    # Life --------------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Takes a seat among the running copies. Nothing is sent to Celonis.

        Raises:
            ConfigError: As many copies run as are configured.
            StoreUnavailable: The database does not answer.
        """
        if self._owns_desk:
            await self._desk.open()
            for governor in self._governors.values():
                await governor.standing(Payer("", ""))
        return self

    async def close(self) -> None:
        """Ends all calls and gives the seat back."""
        await self._flights.close()
        if self._owns_desk:
            free_in = max(governor.free_in() for governor in self._governors.values())
            for governor in self._governors.values():
                await governor.close()
            await self._desk.close(free_in)
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # For people --------------------------------------------------------------------------------------------

    def on_behalf(self, caller: Caller) -> Asking:
        """The calls, for one person's one request."""
        return Asking(self, caller)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self.connection.limits

    def kind(self) -> KeyInfo:
        """What the bot is in Celonis, as far as it is known without asking."""
        me = self._me or replies.Me()
        return KeyInfo(self._keyring.identity, self._keyring.tail, me.email, me.name)

    def remaining(self) -> int:
        """Calls of the Intelligence API that people may still make."""
        return self._governors[Family.INTELLIGENCE].left(Lane.PEOPLE)

    def recent_calls(self, person: str | None = None) -> tuple[CallRecord, ...]:
        """The newest calls first, of one person (`Person.key`) or of all."""
        found = [each for each in self._wire.records if person is None or each.person == person]
        return tuple(reversed(found))

    async def quota(self, person: str = "") -> QuotaView:
        """What is spent and left. Costs no call.

        Args:
            person: `Person.key` of the one who asks.
        """
        families = []
        for family, governor in self._governors.items():
            await governor.standing(Payer(person, ""))
            paused = governor.paused_for()
            families.append(
                FamilyQuota(
                    family,
                    governor.limit,
                    governor.spent,
                    governor.left(Lane.PEOPLE),
                    self._clock.now() + timedelta(seconds=paused) if paused else None,
                )
            )
        tightest = min(
            families, key=lambda each: (each.left / each.limit, each.family != Family.INTELLIGENCE)
        )
        governor = self._governors[tightest.family]
        buckets = await governor.buckets()
        at = self._desk.at()
        out = forecast(buckets, tightest.left, at)
        people: Mapping[str, int] = {}
        if not self._desk.blind:
            try:
                people = await self._desk.ledger.spent_by(governor.account, at=at)
            except StoreUnavailable:
                self._desk.lost_sight()
        return QuotaView(
            limit=tightest.limit,
            used=tightest.used,
            mine=people.get(person, 0),
            left=tightest.left,
            resets_at=governor.moment(min(each.counts_until for each in buckets)) if buckets else None,
            runs_out_at=governor.moment(out) if out is not None else None,
            hit_rate=self._cache.hit_rate,
            people=tuple(sorted(people.items(), key=lambda each: -each[1])),
            families=tuple(families),
        )

    async def allow(self, person: str, calls: int, *, hours: float = 24.0) -> None:
        """Lets a person make so many calls beyond the daily share.

        Args:
            person: `Person.key`.
            calls: How many.
            hours: For how long.

        Raises:
            StoreUnavailable: It could not be kept.
        """
        until = self._desk.at() + hours * 3600
        await self._desk.ledger.allow(self._desk.scope, person, calls, until=until)

    async def connect(self) -> KeyInfo:
        """Tries the key, as PyCelonis' "initial connect" does, and finds out its kind.

        `GET /api/cloud` answers a user key with its user and an application key with an empty 200; where that path
        is refused, `GET /api/cloud/team` decides. Of a key of the wrong kind the admin is told which it is.

        Raises:
            Unauthorized: Celonis does not accept the key, sent as either kind.
            CelonisError: Celonis cannot be asked.
        """
        caller = Caller(
            "bot:start", "", Lane.GUARDED, self._clock.monotonic() + self.connection.timeout, fresh=True
        )
        asking = self.on_behalf(caller)
        try:
            await asking.me()
        except (Forbidden, NotFound):
            await asking.team()
        except Unauthorized:
            other = await self._other_kind(caller)
            if other is None:
                raise
            raise Unauthorized(
                f"The key of {self.connection.name} is a {_called(other)}, but is set as a {_called(other.other)}.",
                hint=f"The bot's admin should set the key type to {other}.",
                status=401,
            ) from None
        return self.kind()

    async def _other_kind(self, caller: Caller) -> KeyKind | None:
        """Tries a key whose kind was set wrongly as the other kind, once."""
        credential = self.connection.credential
        if not isinstance(credential, ApiKey) or credential.kind is None:
            return None
        other = credential.kind.other
        authorization = f"{other.scheme} {credential.secret}"
        stake = Stake(caller)
        reply = await self._exchange(stake, Asked("GET", f"{_CLOUD}/team"), authorization)
        return other if reply.ok else None

    # Reading -----------------------------------------------------------------------------------------------

    async def answer(
        self, caller: Caller, keeps: Keeps, key: str, fetch: Callable[[Stake, list[int]], Awaitable[Any]]
    ) -> Answer:
        """Answers a question from the cache, from a flight under way, or with calls of its own.

        Args:
            caller: For whom.
            keeps: How long the answer keeps.
            key: The question.
            fetch: Asks it; reports the bytes of what it read into the list.

        Raises:
            BotError: There is no answer, and no old one to fall back on.
        """
        entry = self._cache.get(key)
        if entry is not None and not caller.fresh:
            age = self._cache.age(entry)
            fresh = entry.keeps.value.fresh
            if entry.error is not None:
                self._cache.hits += 1
                raise type(entry.error)(
                    entry.error.sentence,
                    hint=entry.error.hint,
                    undone=entry.error.undone,
                    status=entry.error.status,
                    code=entry.error.code,
                )
            if age <= fresh or (age <= _SWR * fresh and caller.lane is not Lane.GUARDED):
                self._cache.hits += 1
                if age > fresh:
                    later = replace(
                        caller,
                        lane=Lane.BACKGROUND,
                        deadline=self._clock.monotonic() + self.connection.timeout,
                    )
                    self._flights.detach(key, later, lambda stake: self._fetched(stake, keeps, key, fetch))
                return Answer(entry.value, entry.fetched_at, cached=True, calls=0)
        self._cache.misses += 1
        try:
            new, calls = await self._flights.board(
                key, caller, lambda stake: self._fetched(stake, keeps, key, fetch)
            )
        except _UNCLEAR:
            if entry is None or entry.error is not None or caller.fresh or caller.lane is Lane.GUARDED:
                raise
            return Answer(entry.value, entry.fetched_at, cached=True, calls=0)
        return Answer(new.value, new.fetched_at, cached=False, calls=calls)

    async def _fetched(
        self, stake: Stake, keeps: Keeps, key: str, fetch: Callable[[Stake, list[int]], Awaitable[Any]]
    ) -> Entry:
        at, born = self._clock.now(), self._clock.monotonic()
        sizes: list[int] = []
        try:
            value = await fetch(stake, sizes)
        except _NEGATIVE as error:
            self._cache.put(key, Entry(None, error, at, born, keeps, LEAST))
            raise
        entry = Entry(value, None, at, born, keeps, LEAST + OVERHEAD * sum(sizes))
        self._cache.put(key, entry)
        return entry

    async def read(self, stake: Stake, asked: Asked, *, empty: bool = False) -> tuple[Any, int]:
        """Sends a read, again where that can help, and returns its JSON and size.

        Args:
            stake: For whom.
            asked: The request.
            empty: An empty 200 is an answer (None).

        Raises:
            CelonisError: The answer is an error, or there is none.
            QuotaExhausted: It cannot be sent in time.
        """
        reply = await self._with_retries(stake, asked)
        if not reply.ok:
            raise refusal(reply, connection=self.connection, family=Family.of(asked.path))
        if empty and not reply.body.strip():
            return None, 0
        return payload(reply, connection=self.connection), len(reply.body)

    async def _with_retries(self, stake: Stake, asked: Asked) -> Reply:
        tries = 0

        def again(error: Exception) -> bool | float:
            nonlocal tries
            sent_for_nothing = isinstance(error, Unreachable) or (
                isinstance(error, ServerFault) and error.status in _PASSING
            )
            if not sent_for_nothing or stake.calls == before:
                return False
            tries += 1
            wait = self._random() * self.connection.backoff_factor * 2 ** (tries - 1)
            return wait if self._clock.monotonic() + wait < stake.deadline else False

        before = stake.calls
        async for attempt in stamina.retry_context(
            on=again, attempts=self.connection.total_retry + 1, timeout=None
        ):
            with attempt:
                before = stake.calls
                reply = await self._authorized(stake, asked)
                if reply.status == 429 and stake.deadline > self._clock.monotonic():  # noqa: PLR2004 - HTTP's own number
                    # The governor knows how long to wait, and refuses at once if that is too long.
                    reply = await self._authorized(stake, asked)
                if reply.status in _PASSING:
                    raise refusal(reply, connection=self.connection, family=Family.of(asked.path))
                return reply
        raise AssertionError("stamina either returns or raises")

    async def _authorized(self, stake: Stake, asked: Asked) -> Reply:
        async def token(request: Asked, authorization: str, form: bytes) -> Reply:
            return await self._exchange(stake, request, authorization, form=form)

        for last in (False, True):
            authorization = await self._keyring.authorization(token)
            reply = await self._exchange(stake, asked, authorization)
            if reply.status != 401:  # noqa: PLR2004 - HTTP's own number
                if reply.ok:
                    self._keyring.accepted(authorization)
                return reply
            worth = self._keyring.refused(authorization)
            if last or not worth:
                return reply
            self._cache.clear()
        raise AssertionError("unreachable")

    async def _exchange(
        self, stake: Stake, asked: Asked, authorization: str, *, form: bytes | None = None
    ) -> Reply:
        governor = self._governors[Family.of(asked.path)]
        permit: Permit = await stake.admit(governor)
        stake.calls += 1
        stake.in_air += 1
        try:
            return await self._wire.send(
                governor, permit, asked, authorization=authorization, person=stake.payer.person, form=form
            )
        finally:
            stake.in_air -= 1

    # Writing -----------------------------------------------------------------------------------------------

    async def write(
        self,
        approval: Approval[CancelRuns] | Approval[StartJob],
        run: JobRun,
        payer: Payer,
        asked: Callable[[JobRun], Asked],
    ) -> None:
        """Sends one confirmed write: once, whatever ledger, pause and breaker say, and never again.

        Raises:
            NotAllowed: The connection is read-only. Nothing was sent.
            ApprovalSpent: The approval does not cover this, or no longer. Nothing was sent.
            OutcomeUnknown: It was sent, and what became of it is not known.
            CelonisError: Celonis refused it, or it could not be sent.
        """
        if self.connection.read_only:
            raise NotAllowed(
                f"{self.connection.name} is set to read-only: nothing is ever changed there.",
                hint="The bot's admin can change that in the settings.",
                rule="read_only",
            )
        if approval.target.connection != self.connection.name:
            raise ApprovalSpent(
                "This was confirmed for another Celonis team.", hint="Ask again.", undone="Nothing was sent."
            )
        request = asked(run)
        governor = self._governors[Family.of(request.path)]
        caller = Caller(
            payer.person, payer.place, Lane.GUARDED, self._clock.monotonic() + self.connection.timeout
        )

        async def token(wanted: Asked, authorization: str, form: bytes) -> Reply:
            stake = Stake(caller)
            return await self._exchange(stake, wanted, authorization, form=form)

        authorization = await self._keyring.authorization(token)
        permit = await governor.admit_confirmed(payer)
        try:
            approval.use(run)
        except BaseException:
            governor.unsent(permit)
            raise
        try:
            reply = await self._wire.send(
                governor, permit, request, authorization=authorization, person=payer.person, write=True
            )
        except Unreachable as error:
            if error.undone == "No request was sent.":
                raise
            raise OutcomeUnknown("Celonis was told, and has not answered. It may have worked.") from error
        except UnexpectedReply as error:
            raise OutcomeUnknown(
                "Celonis was told, and its answer cannot be read. It may have worked.", status=error.status
            ) from error
        if reply.ok:
            return
        refused = refusal(reply, connection=self.connection, family=Family.of(request.path))
        if 400 <= reply.status < 500 and reply.status != 408:  # noqa: PLR2004 - HTTP's own numbers
            raise refused
        raise OutcomeUnknown(
            f"Celonis was told, and answered with an error (HTTP {reply.status}). It may have worked all the same.",
            status=reply.status,
            support_id=refused.support_id,
        )

    def payer_of(self, caller: Caller) -> Payer:
        """On whose account a caller's calls go."""
        return Payer(caller.person, caller.place)

    def learned(self, me: replies.Me | None) -> None:
        """What `/api/cloud` said: nothing for an application key."""
        self._me = me
        if isinstance(self.connection.credential, ApiKey) and self.connection.credential.kind is None:
            self._keyring.use_kind(KeyKind.APPLICATION if me is None else KeyKind.USER)

    def now(self) -> datetime:
        """The wall clock."""
        return self._clock.now()


def _called(kind: KeyKind) -> str:
    return "application key" if kind is KeyKind.APPLICATION else "user key"


@dataclass(slots=True)
class Asking:
    """The calls of one person's one request, and where its answers come from."""

    _celonis: Celonis
    caller: Caller
    answers: list[Answer] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """What Celonis allows."""
        return self._celonis.limits

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed over this connection."""
        return self._celonis.connection.read_only

    def fresh(self) -> Asking:
        """The same for the same person, with nothing from the cache and a provenance of its own."""
        return Asking(self._celonis, replace(self.caller, fresh=True))

    def source(self, model: str = "", data_loaded_at: datetime | None = None) -> Source:
        """Where everything read so far comes from: the oldest answer counts."""
        connection = self._celonis.connection
        return Source(
            connection=connection.name,
            fetched_at=min((each.fetched_at for each in self.answers), default=self._celonis.now()),
            model=model,
            data_loaded_at=data_loaded_at,
            cached=bool(self.answers) and all(each.cached for each in self.answers),
            calls=sum(each.calls for each in self.answers),
            remaining=self._celonis.remaining(),
            sandbox=connection.sandbox,
        )

    # Knowledge models --------------------------------------------------------------------------------------

    async def knowledge_models(self) -> tuple[replies.KnowledgeModel, ...]:
        """All knowledge models that the key may see."""
        return await self._list(_KM, _MODELS)

    async def knowledge_model(self, km_id: str) -> replies.KnowledgeModel:
        """One knowledge model."""
        return await self._one(f"{_KM}/{segment(km_id)}", _MODEL)

    async def records(self, km_id: str) -> tuple[replies.Record, ...]:
        """Its records, without their fields."""
        return await self._list(f"{_KM}/{segment(km_id)}/records", _RECORDS)

    async def record(self, km_id: str, record_id: str) -> replies.Record:
        """One record with its fields."""
        return await self._one(f"{_KM}/{segment(km_id)}/records/{segment(record_id)}", _RECORD)

    async def kpis(self, km_id: str) -> tuple[replies.Kpi, ...]:
        """Its KPIs."""
        return await self._list(f"{_KM}/{segment(km_id)}/kpis", _KPIS)

    async def filters(self, km_id: str) -> tuple[replies.Filter, ...]:
        """Its predefined filters."""
        return await self._list(f"{_KM}/{segment(km_id)}/filters", _FILTERS)

    async def triggers(self, km_id: str) -> tuple[replies.Trigger, ...]:
        """Its triggers."""
        return await self._list(f"{_KM}/{segment(km_id)}/triggers", _TRIGGERS)

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
        return await self._one(_POOLS, _POOL_LIST)

    async def pools_paged(self) -> tuple[replies.PoolOverview, ...]:
        """All data pools with the state of their newest runs: one call watches them all."""

        async def fetch(stake: Stake, sizes: list[int]) -> tuple[replies.PoolOverview, ...]:
            def page(number: int) -> Asked:
                query = encoded([("limit", str(_POOL_PAGE)), ("page", str(number))])
                return Asked("GET", f"{_POOLS}/paged", query)

            found: list[replies.PoolOverview] = []
            for number in range(self.limits.list_pages):
                content = await self._page(stake, sizes, page(number))
                more = self._parsed(_POOL_OVERVIEWS, content.get("content", []))
                found += more
                total = content.get("totalCount")
                size = content.get("pageSize")
                short = len(more) < (size if isinstance(size, int) and size > 0 else _POOL_PAGE)
                if not more or short or (isinstance(total, int) and len(found) >= total):
                    break
            return _unique(found)

        return await self._answer(Keeps.STATUS, f"{_POOLS}/paged", fetch)

    async def pool(self, pool_id: str) -> replies.Pool:
        """One data pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}", _POOL)

    async def jobs(self, pool_id: str) -> tuple[replies.Job, ...]:
        """The data jobs of a pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/jobs", _JOBS, Keeps.STATUS)

    async def job(self, pool_id: str, job_id: str) -> replies.Job:
        """One data job."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/jobs/{segment(job_id)}", _JOB, Keeps.STATUS)

    async def job_statuses(self, pool_id: str) -> tuple[replies.JobStatus, ...]:
        """States of a pool's data jobs, by id; those that never ran may be missing."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/logs/status", _STATUSES, Keeps.STATUS)

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
            execution_id: Of the run.
            item_id: `Execution.id` of what the parts belong to.
            kind: JOB, TASK or STEP.
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

        async def fetch(stake: Stake, sizes: list[int]) -> LogPage:
            content = await self._page(stake, sizes, asked)
            return LogPage(
                self._parsed(_MESSAGES, content.get("logMessages", [])), _whole(content.get("numOfPages"))
            )

        return await self._answer(Keeps.RUNS, asked.target, fetch)

    async def data_models(self, pool_id: str) -> tuple[replies.DataModel, ...]:
        """The data models of a pool."""
        return await self._one(f"{_POOLS}/{segment(pool_id)}/data-models", _DATA_MODELS)

    async def load_info(self, pool_id: str, data_model_id: str) -> replies.LoadInfo:
        """When and how a data model's data was loaded."""
        path = f"{_POOLS}/{segment(pool_id)}/data-models/{segment(data_model_id)}/load-history/load-info-sync"

        async def fetch(stake: Stake, sizes: list[int]) -> replies.LoadInfo:
            content = await self._page(stake, sizes, Asked("GET", path))
            return self._parsed(_LOAD_INFO, content.get("loadInfo") or {})

        return await self._answer(Keeps.LOADS, path, fetch)

    # Studio ------------------------------------------------------------------------------------------------

    async def spaces(self) -> tuple[replies.Space, ...]:
        """All Studio spaces that the key may see."""
        return await self._one(f"{_STUDIO}/spaces", _SPACES)

    async def packages(self, space_id: str) -> tuple[replies.Node, ...]:
        """The packages of a space."""
        asked = Asked("GET", f"{_STUDIO}/nodes/tree", encoded([("spaceId", space_id)]))
        segment(space_id)
        nodes = await self._one_asked(asked, _NODES, Keeps.SCHEMA)
        return tuple(each for each in nodes if each.node_type == "PACKAGE")

    async def nodes(self, asset_type: str) -> tuple[replies.Node, ...]:
        """Everything of one kind in Studio; `SEMANTIC_MODEL` is a knowledge model."""
        segment(asset_type)
        asked = Asked("GET", f"{_STUDIO}/nodes", encoded([("assetType", asset_type)]))
        return await self._one_asked(asked, _NODES, Keeps.SCHEMA)

    async def analyses(self) -> tuple[replies.Analysis, ...]:
        """All classic analyses that the key may see."""
        return await self._one("/process-mining/api/analysis", _ANALYSES)

    # Who and what the bot is -------------------------------------------------------------------------------

    async def me(self) -> replies.Me | None:
        """Whose key it is; None for an application key."""

        async def fetch(stake: Stake, sizes: list[int]) -> replies.Me | None:
            content, size = await self._celonis.read(stake, Asked("GET", _CLOUD), empty=True)
            sizes.append(size)
            me = None if content is None else self._parsed(_ME, content)
            self._celonis.learned(me)
            return me

        return await self._answer(Keeps.IDENTITY, _CLOUD, fetch)

    async def kind(self) -> KeyInfo:
        """What the bot is in Celonis; asks where that is not known yet."""
        known = self._celonis.kind()
        if known.identity in {Identity.APPLICATION, Identity.OAUTH} or known.email or known.name:
            return known
        await self.me()
        return self._celonis.kind()

    async def team(self) -> replies.Team:
        """The Celonis team; works with every kind of key."""
        return await self._one(f"{_CLOUD}/team", _TEAM, Keeps.IDENTITY)

    async def permissions(self) -> tuple[replies.Grants, ...]:
        """What the key may do in each service as a whole; grants for single packages or pools do not show here."""
        return await self._one(f"{_CLOUD}/permissions", _GRANTS, Keeps.IDENTITY)

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

        await self._celonis.write(approval, run, self._celonis.payer_of(self.caller), asked)

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

        await self._celonis.write(approval, run, self._celonis.payer_of(self.caller), asked)

    # How it is asked ---------------------------------------------------------------------------------------

    async def _answer(self, keeps: Keeps, key: str, fetch: Callable[[Stake, list[int]], Awaitable[T]]) -> T:
        answer = await self._celonis.answer(self.caller, keeps, key, fetch)
        self.answers.append(answer)
        value: T = answer.value
        return value

    async def _page(self, stake: Stake, sizes: list[int], asked: Asked) -> Mapping[str, Any]:
        content, size = await self._celonis.read(stake, asked)
        sizes.append(size)
        if not isinstance(content, dict):
            raise self._unexpected()
        return content

    async def _one(self, path: str, kind: TypeAdapter[T], keeps: Keeps = Keeps.SCHEMA) -> T:
        return await self._one_asked(Asked("GET", path), kind, keeps)

    async def _one_asked(self, asked: Asked, kind: TypeAdapter[T], keeps: Keeps) -> T:
        async def fetch(stake: Stake, sizes: list[int]) -> T:
            content, size = await self._celonis.read(stake, asked)
            sizes.append(size)
            return self._parsed(kind, content)

        return await self._answer(keeps, asked.target, fetch)

    async def _list(self, path: str, kind: TypeAdapter[tuple[T, ...]]) -> tuple[T, ...]:
        """All pages of a list; `total` counts one page only, so a short page is the only sign of the end."""

        async def fetch(stake: Stake, sizes: list[int]) -> tuple[T, ...]:
            found: list[T] = []
            before: object = None
            for number in range(self.limits.list_pages):
                asked = Asked(
                    "GET", path, encoded([("page", str(number)), ("pageSize", str(self.limits.list_page))])
                )
                content = await self._page(stake, sizes, asked)
                raw = content.get("content")
                more = self._parsed(kind, raw)
                if raw == before:
                    break  # a server that does not turn the page
                before = raw
                found += more
                size = content.get("pageSize")
                if len(more) < (size if isinstance(size, int) and size > 0 else self.limits.list_page):
                    break
            return _unique(found)

        return await self._answer(Keeps.SCHEMA, path, fetch)

    async def _executions(self, asked: Asked) -> ExecutionPage:
        async def fetch(stake: Stake, sizes: list[int]) -> ExecutionPage:
            content, size = await self._celonis.read(stake, asked)
            sizes.append(size)
            if isinstance(content, list):
                return ExecutionPage(self._parsed(_EXECUTIONS, content))
            if not isinstance(content, dict):
                raise self._unexpected()
            items = self._parsed(_EXECUTIONS, content.get("executionItems", []))
            return ExecutionPage(items, _whole(content.get("numOfPages")))

        return await self._answer(Keeps.RUNS, asked.target, fetch)

    async def _data(self, asked: Asked, query: DataQuery) -> DataPage:
        limits = self.limits

        async def fetch(stake: Stake, sizes: list[int]) -> DataPage:
            answer = await self._page(stake, sizes, asked)
            content = answer.get("content")
            if not isinstance(content, dict):
                raise self._unexpected()
            rows = content.get("data")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise self._unexpected()
            said = answer.get("pageSize")
            size = query.size(limits)
            if isinstance(said, int) and 0 < said < size:
                size = said
            last = len(rows) < size
            return DataPage(
                headers=self._parsed(_HEADERS, content.get("headers", [])),
                rows=tuple(rows),
                page=query.page,
                page_size=size,
                last=last,
                capped=not last and (query.page + 1) * size >= limits.rows,
            )

        body = "" if asked.body is None else f" {asked.body!r}"
        return await self._answer(Keeps.DATA, asked.method + asked.target + body, fetch)

    def _parsed(self, kind: TypeAdapter[T], content: object) -> T:
        try:
            return kind.validate_python(content)
        except ValidationError:
            pass
        raise self._unexpected()

    def _unexpected(self) -> UnexpectedReply:
        return UnexpectedReply(
            f"{self._celonis.connection.name} sent an answer of another shape than its API documents.",
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
_MODELS = TypeAdapter(tuple[replies.KnowledgeModel, ...])
_RECORD = TypeAdapter(replies.Record)
_RECORDS = TypeAdapter(tuple[replies.Record, ...])
_KPIS = TypeAdapter(tuple[replies.Kpi, ...])
_FILTERS = TypeAdapter(tuple[replies.Filter, ...])
_TRIGGERS = TypeAdapter(tuple[replies.Trigger, ...])
_HEADERS = TypeAdapter(tuple[Header, ...])
_POOL = TypeAdapter(replies.Pool)
_POOL_LIST = TypeAdapter(tuple[replies.Pool, ...])
_POOL_OVERVIEWS = TypeAdapter(tuple[replies.PoolOverview, ...])
_JOB = TypeAdapter(replies.Job)
_JOBS = TypeAdapter(tuple[replies.Job, ...])
_STATUSES = TypeAdapter(tuple[replies.JobStatus, ...])
_EXECUTIONS = TypeAdapter(tuple[replies.Execution, ...])
_MESSAGES = TypeAdapter(tuple[replies.LogMessage, ...])
_DATA_MODELS = TypeAdapter(tuple[replies.DataModel, ...])
_LOAD_INFO = TypeAdapter(replies.LoadInfo)
_SPACES = TypeAdapter(tuple[replies.Space, ...])
_NODES = TypeAdapter(tuple[replies.Node, ...])
_ANALYSES = TypeAdapter(tuple[replies.Analysis, ...])
_ME = TypeAdapter(replies.Me)
_TEAM = TypeAdapter(replies.Team)
_GRANTS = TypeAdapter(tuple[replies.Grants, ...])
