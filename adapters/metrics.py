"""What monitoring may know: counts and times, never who or what."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from adapters.outgoing import Answering
from bot.audit import Audit
from bot.celonis import Celonis
from bot.model.cards import Answer
from bot.model.clock import Clock
from bot.model.errors import BotError
from bot.model.people import MessageRef, Request
from bot.store import Store
from bot.store.switches import writes_off
from bot.visit import Show

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


class Metrics:
    """Counters and gauges of one program, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "celonis_chat_requests",
            "What people said or pressed, by how the answer ended.",
            ("platform", "outcome"),
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "celonis_chat_answer_seconds",
            "Seconds until the first card that says more than that work goes on.",
            ("platform",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused = Counter(
            "celonis_chat_refused_requests",
            "HTTP requests that went no further than the check of where they come from.",
            ("platform", "reason"),
            registry=self.registry,
        )
        self._used = self._gauge("calls_used", "Celonis calls of the last 24 hours, over all copies.")
        self._left = self._gauge("calls_left", "Celonis calls that people may still use.")
        self._paused = self._gauge("paused_seconds", "Seconds for which Celonis has asked for silence.")
        self._hits = Gauge(
            "celonis_chat_cache_hit_ratio",
            "Part of the questions that were answered without a call.",
            ("connection",),
            registry=self.registry,
        )
        self._reachable = Gauge(
            "celonis_chat_celonis_reachable",
            "Whether Celonis gave the last answer that it was asked for.",
            ("connection",),
            registry=self.registry,
        )
        self._audit_head = Gauge(
            "celonis_chat_audit_head",
            "Number of the audit log's last row; where it falls, rows were cut off or the database was put back.",
            registry=self.registry,
        )

        self._writes_off = Gauge(
            "celonis_chat_writes_off",
            "Whether somebody said “writes off”, so that nothing is changed in Celonis.",
            registry=self.registry,
        )

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"celonis_chat_{name}", meaning, ("connection", "family"), registry=self.registry)

    async def exposition(self, celonis: Mapping[str, Celonis], audit: Audit, store: Store) -> bytes:
        """Everything in Prometheus' text format. Costs no call.

        Args:
            celonis: The connections by name.
            audit: The log.
            store: Has the switch for writes, and the clock that says how long a pause lasts.
        """
        for name, each in celonis.items():
            self._reachable.labels(name).set(reachable(each) is not False)
            try:
                quota = await each.quota()
            except BotError:
                continue  # the gauges keep what they said last
            self._hits.labels(name).set(quota.hit_rate or 0.0)
            for family in quota.families:
                pause = family.paused_until
                labels = (name, family.family.value)
                self._used.labels(*labels).set(family.spent)
                self._left.labels(*labels).set(family.left - family.kept)
                self._paused.labels(*labels).set(
                    max(0.0, (pause - store.clock.now()).total_seconds()) if pause is not None else 0.0
                )
        with suppress(BotError):
            self._audit_head.set((await audit.head()).count)
        with suppress(BotError):
            self._writes_off.set(await writes_off(store) is not None)
        return generate_latest(self.registry)


def reachable(celonis: Celonis) -> bool | None:
    """Whether Celonis gave the last answer that it was asked for; None where it was asked nothing yet."""
    for call in celonis.recent_calls():
        if not call.cached:
            return call.status is not None and call.status < 500  # noqa: PLR2004 - HTTP's server faults
    return None


class Measured:
    """A bot whose answers are counted and timed."""

    def __init__(self, bot: Answering, metrics: Metrics, clock: Clock) -> None:
        self._bot = bot
        # Looked up once for each platform and outcome, which are few.
        self._seconds = cache(metrics.answer_seconds.labels)
        self._requests = cache(metrics.requests.labels)
        self._clock = clock

    async def answer(self, request: Request, show: Show) -> None:
        """See `bot.dispatch.Bot.answer`."""
        began, platform = self._clock.monotonic(), request.place.platform
        last: Answer | None = None
        shown = False

        async def counted(answer: Answer) -> None:
            nonlocal last, shown
            last = answer
            if not shown and not answer.working:
                shown = True
                self._seconds(platform).observe(self._clock.monotonic() - began)
            await show(answer)

        try:
            await self._bot.answer(request, counted)
        finally:
            outcome = last.card.status.value if last else "nothing"
            self._requests(platform, outcome).inc()

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        """See `bot.dispatch.Bot.attach`."""
        await self._bot.attach(ticket_id, ref)
