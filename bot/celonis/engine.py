"""From a question to its answer: cache, then the flight of those who ask the same, then the governor, then httpx."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import stamina

from bot.celonis import models
from bot.celonis.auth import Keyring
from bot.celonis.cache import LEAST, OVERHEAD, Cache, Entry, Keeps
from bot.celonis.connection import Caller, Family, Identity, Lane
from bot.celonis.errors import Reply, payload, refusal
from bot.celonis.flights import Flights, Stake
from bot.celonis.governor import Governor, Permit
from bot.celonis.limits.replicas import Desk
from bot.celonis.pace import Pace, supply
from bot.celonis.query import Asked
from bot.celonis.retries import Retries
from bot.celonis.wire import NOT_SENT, Wire, without_values
from bot.celonis.writes import CancelRuns, JobRun
from bot.config import Connection, KeyType
from bot.model.errors import (
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
    UnexpectedReply,
    Unreachable,
)
from bot.store.ledger import Payer
from bot.writes.ticket import Approval

CACHE_BYTES = 64 * 1024 * 1024
"""What the cache of a connection may hold."""
OLDEST = 1800.0
"""Seconds that an answer's age is stretched to, at most, while calls are left."""
_PASSING = frozenset({500, 502, 503, 504})
_UNCLEAR = (QuotaExhausted, RateLimited, Unreachable, ServerFault, StoreUnavailable)
_NEGATIVE = (NotFound, BadQuery, Forbidden)
CUSHION = 0.05
"""Part of the day's calls that the pace leaves over: the next morning's first questions come before the calls of this
morning have come back."""
_SWR = 1.5
"""An answer older than fresh, by up to this factor, is given at once while a new one is fetched."""
_UNAUTHORIZED, _TIMED_OUT = 401, 408


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the key of its answer, the API family, how long it keeps, and how `debug` shows it."""

    key: str
    family: Family
    keeps: Keeps
    shown: str

    @classmethod
    def of(cls, asked: Asked, keeps: Keeps) -> Question:
        """The question that one request asks."""
        body = "" if asked.body is None else " " + json.dumps(asked.body, sort_keys=True)
        key = f"{asked.method} {asked.target}{body}"
        return cls(key, Family.of(asked.path), keeps, f"{asked.method} {without_values(asked)}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A value and where it comes from.

    Attributes:
        fetched_at: When Celonis was asked (UTC).
        cached: Nothing had to be asked.
        unread: Items of it that could not be read.
        schema: What things are called, not what they are worth.
    """

    value: Any
    fetched_at: datetime
    cached: bool
    unread: int = 0
    schema: bool = False


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


class Engine:
    """The machinery of one connection.

    Args:
        connection: Which one.
        desk: Seat, ledger and time line of its team.
        governors: The doors of its team's API families.
        transport: Stands in for the network.
        random: From 0 to 1; for waiting times.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        desk: Desk,
        governors: dict[Family, Governor],
        transport: httpx.AsyncBaseTransport | None,
        random: Callable[[], float],
    ) -> None:
        self.connection = connection
        self.clock = desk.clock
        self.desk = desk
        self.governors = governors
        self.wire = Wire(connection, desk.clock, transport)
        self.cache = Cache(CACHE_BYTES, desk.clock.monotonic)
        self.flights = Flights(desk.clock)
        self.keyring = Keyring(connection, desk.clock)
        self.paces = {family: Pace(desk.clock.monotonic()) for family in Family}
        self.retries = Retries(connection.total_retry)
        self._random = random
        self._me: models.Me | None = None

    def kind(self) -> KeyInfo:
        """What the bot is in Celonis, as far as it is known without asking."""
        me = self._me or models.Me()
        return KeyInfo(self.keyring.identity, self.keyring.tail, me.email, me.name)

    def learned(self, me: models.Me | None) -> None:
        """What `/api/cloud` said: nothing for an application key."""
        self._me = me
        if self.connection.oauth is None and self.connection.key_type is None:
            self.keyring.use_kind(KeyType.APP_KEY if me is None else KeyType.USER_KEY)

    async def answer(
        self, caller: Caller, question: Question, fetch: Callable[[Stake], Awaitable[Any]]
    ) -> Answer:
        """Answers a question from the cache, from a flight under way, or with calls of its own.

        Args:
            caller: For whom.
            question: What is asked.
            fetch: Asks it; counts what it read, and could not, on the stake.

        Raises:
            BotError: There is no answer, and no old one to fall back on.
        """
        key = question.key
        now = self.clock.monotonic()
        pace = self.paces[question.family]
        shelf = question.keeps.value
        pace.asked(key, shelf.fresh, now)
        if pace.due(now):
            governor = self.governors[question.family]
            buckets = await governor.buckets()
            left = governor.left(Lane.PEOPLE) - int(governor.limit * CUSHION)
            pace.look(now, supply(buckets, left, self.desk.at()))
        entry = self.cache.get(key)
        if entry is not None and not caller.fresh:
            fresh, given = self._keeps_for(question)
            age = self.cache.age(entry)
            if entry.error is not None or age <= (fresh if caller.lane is Lane.GUARDED else given):
                self.cache.hits += 1
                self.wire.remember(caller, question.family, question.shown)
                if entry.error is not None:
                    raise copy.copy(entry.error)
                if age > fresh:
                    deadline = now + self.connection.timeout
                    later = Caller(caller.person, caller.place, Lane.BACKGROUND, deadline)
                    self.flights.detach(key, later, lambda stake: self._fetched(stake, question, fetch))
                return Answer(entry.value, entry.fetched_at, cached=True, unread=entry.unread)
        self.cache.misses += 1
        try:
            new = await self.flights.board(key, caller, lambda stake: self._fetched(stake, question, fetch))
        except _UNCLEAR:
            if entry is None or entry.error is not None or caller.fresh or caller.lane is Lane.GUARDED:
                raise
            return Answer(entry.value, entry.fetched_at, cached=True, unread=entry.unread)
        return Answer(new.value, new.fetched_at, cached=False, unread=new.unread)

    def _keeps_for(self, question: Question) -> tuple[float, float]:
        """Seconds for which an answer is fresh now, and for which it is given while a new one is fetched."""
        shelf = question.keeps.value
        cap = OLDEST if question.keeps is Keeps.DATA else shelf.stretched
        cap = max(cap, shelf.fresh)
        fresh = min(shelf.fresh * self.paces[question.family].stretch, cap)
        return fresh, min(_SWR * fresh, cap)

    async def _fetched(
        self, stake: Stake, question: Question, fetch: Callable[[Stake], Awaitable[Any]]
    ) -> Entry:
        at, born = self.clock.now(), self.clock.monotonic()
        try:
            value = await fetch(stake)
        except _NEGATIVE as error:
            self.cache.put(question.key, Entry(None, error, at, born, question.keeps, LEAST))
            raise
        finally:
            self.paces[question.family].cost(question.key, stake.calls)
        size = LEAST + OVERHEAD * stake.size
        entry = Entry(value, None, at, born, question.keeps, size, stake.unread)
        self.cache.put(question.key, entry)
        return entry

    async def read(self, stake: Stake, asked: Asked, *, empty: bool = False) -> Any:
        """Sends a read, again where that can help, and returns its JSON.

        Args:
            stake: For whom.
            asked: The request.
            empty: An empty 200 is an answer (None).

        Raises:
            CelonisError: The answer is an error, or there is none.
            QuotaExhausted: It cannot be sent in time.
        """
        family = Family.of(asked.path)
        governor = self.governors[family]
        tries = before = supported = 0

        def again(error: Exception) -> bool | float:
            nonlocal tries, supported
            match error:
                case ServerFault(status=status) if status in _PASSING:
                    supported += bool(error.support_id)
                case RateLimited() | Unreachable():
                    pass
                case _:
                    return False
            wait: float = self._random() * self.connection.backoff_factor * 2**tries
            now = self.clock.monotonic()
            # What was not sent failed for reasons that hold; a pause is waited for by the governor.
            in_time = now + max(wait, governor.paused_for()) < stake.deadline
            if supported > 1 or stake.calls == before or not in_time or not governor.may_retry():
                return False
            if not self.retries.take(now):
                return False
            tries += 1
            return wait

        async for attempt in stamina.retry_context(
            on=again, attempts=self.connection.total_retry + 1, timeout=None
        ):
            with attempt:
                before = stake.calls
                reply = await self._authorized(stake, asked)
                if not reply.ok:
                    raise refusal(reply, connection=self.connection, family=family)
                if empty and not reply.body.strip():
                    return None
                found = payload(reply, connection=self.connection)
                stake.size += len(reply.body)
                return found
        raise AssertionError("stamina either returns or raises")

    async def _authorized(self, stake: Stake, asked: Asked) -> Reply:
        async def token(request: Asked, authorization: str, form: bytes) -> Reply:
            return await self.exchange(stake, request, authorization, form=form)

        for last in (False, True):
            authorization = await self.keyring.authorization(token)
            reply = await self.exchange(stake, asked, authorization)
            if reply.status != _UNAUTHORIZED or reply.web_page:
                if reply.ok:
                    self.keyring.accepted(authorization)
                return reply
            worth = self.keyring.refused(authorization)
            if last or not worth:
                return reply
            # Another key may have other rights, so nothing that the former one read is given out.
            self.cache.clear()
        raise AssertionError("unreachable")

    async def exchange(
        self, stake: Stake, asked: Asked, authorization: str, *, form: bytes | None = None
    ) -> Reply:
        """Sends one request under a flight's name, when the governor lets it through."""
        governor = self.governors[Family.of(asked.path)]
        permit: Permit = await stake.admit(governor)
        stake.calls += 1
        stake.in_air += 1
        self.retries.called(self.clock.monotonic())
        try:
            return await self.wire.send(
                governor, permit, asked, authorization=authorization, caller=stake.caller, form=form
            )
        finally:
            stake.in_air -= 1

    # Writing -----------------------------------------------------------------------------------------------

    async def write(
        self,
        approval: Approval[CancelRuns],
        run: JobRun,
        caller: Caller,
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
        governor = self.governors[Family.of(request.path)]
        payer = Payer(caller.person, caller.place)

        async def token(wanted: Asked, authorization: str, form: bytes) -> Reply:
            # The token belongs to the write, so nothing that would stop a question stops it.
            door = self.governors[Family.of(wanted.path)]
            through = await door.admit_confirmed(payer)
            return await self.wire.send(
                door, through, wanted, authorization=authorization, caller=caller, form=form
            )

        authorization = await self.keyring.authorization(token)
        permit = await governor.admit_confirmed(payer)
        try:
            approval.use(run)
        except BaseException:
            governor.unsent(permit)
            raise
        try:
            reply = await self.wire.send(
                governor, permit, request, authorization=authorization, caller=caller, write=True
            )
        except Unreachable as error:
            if error.undone == NOT_SENT:
                raise
            raise OutcomeUnknown("Celonis was told, and has not answered. It may have worked.") from error
        except UnexpectedReply as error:
            raise OutcomeUnknown(
                "Celonis was told, and its answer cannot be read. It may have worked.", status=error.status
            ) from error
        if reply.ok:
            return
        refused = refusal(reply, connection=self.connection, family=Family.of(request.path), write=run)
        from_celonis = not reply.web_page and reply.status != _TIMED_OUT
        if 400 <= reply.status < 500 and from_celonis:  # noqa: PLR2004 - HTTP's own numbers
            raise refused
        raise OutcomeUnknown(
            f"Celonis was told, and answered with an error (HTTP {reply.status}). It may have worked all the same.",
            status=reply.status,
            support_id=refused.support_id,
        )
