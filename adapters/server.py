"""The composition root: every real object is built here, and nowhere else; and the server that runs them.

Slack and Teams arrive at one aiohttp server; readiness and metrics have a port of their own, which is not for the
internet. A platform's SDK is imported only where that platform is configured.
"""

from __future__ import annotations

import asyncio
import gc
import json
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from adapters.heartbeat import beating
from adapters.http import Deadlines, Handler, HttpServer, Routes, most_open, quiet_accept
from adapters.metrics import CONTENT_TYPE, Measured, Metrics, reachable
from adapters.outgoing import Answering
from bot import config
from bot.admin_place import AdminPlace
from bot.audit import Audit
from bot.celonis import Celonis
from bot.dispatch import Bot
from bot.model.cards import Reader
from bot.model.chat import Chat
from bot.model.clock import Clock, SystemClock
from bot.model.errors import BotError, ConfigError, StoreUnavailable
from bot.model.names import fold
from bot.model.people import Person
from bot.policy import Policy
from bot.store import Store
from bot.store.ledger import Ledger
from bot.visit import Parts
from bot.watching.loop import WatchLoop
from bot.writes.ticket import Tickets

log = structlog.get_logger()

DRAIN_WITHIN = 25.0
"""Seconds that a shutdown waits for answers in the making; Kubernetes kills after 30."""
RECOVER_EVERY = 30.0
PURGE_EVERY = 3600.0
LOOK_EVERY = 60.0
COLLECT_AFTER = (5_000, 20, 50)
"""See `gc.set_threshold`: an answer makes some thousands of objects, nearly all of which die with it."""
REPORT_EVERY = 60.0


def program_version() -> str:
    """The installed version; a checkout that was never installed has none."""
    try:
        return version("celonis-chat")
    except PackageNotFoundError:
        return "development"


@dataclass(frozen=True, slots=True)
class Built:
    """A bot with what belongs to it."""

    bot: Bot
    store: Store
    celonis: Mapping[str, Celonis]
    policy: Policy
    audit: Audit
    tickets: Tickets
    admins: AdminPlace


@asynccontextmanager
async def build(
    settings: config.Settings,
    *,
    chats: Mapping[str, Chat],
    store: Store | None = None,
    clock: Clock | None = None,
    token: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    guest: bool = False,
) -> AsyncIterator[Built]:
    """A bot from its settings, closed again at the end.

    Args:
        settings: Checked settings.
        chats: Every platform that runs, by name.
        store: One that the caller opened and closes; else the one that the settings name.
        clock: The machine's, unless told otherwise.
        token: Makes ticket ids: 128 random bits, url-safe.
        guest: A one-shot program that may run beside the copies that serve.

    Raises:
        ConfigError, StoreUnavailable: It cannot be built; the text says why.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if store is None:
            store = await stack.enter_async_context(await _store(settings, clock))
        celonis: dict[str, Celonis] = {}
        for name, connection in settings.connections.items():
            beside = next(
                (each for each in celonis.values() if each.connection.scope == connection.scope), None
            )
            celonis[name] = await stack.enter_async_context(
                Celonis(
                    connection,
                    clock=clock,
                    ledger=Ledger(store),
                    replicas=settings.replicas,
                    guest=guest,
                    beside=beside,
                )
            )
        policy = Policy(settings)
        tickets = Tickets(store, clock, token)
        audit = Audit(store, _secret_keys(settings), clock)
        stack.push_async_callback(audit.flush)
        reader = Reader(zone=settings.zone, locale=settings.locale)
        admins = AdminPlace(settings.admin.place, chats, store, clock, reader)
        parts = Parts(
            celonis=celonis,
            policy=policy,
            store=store,
            audit=audit,
            chats=chats,
            clock=clock,
            ids=_request_id,
            reader=reader,
            version=program_version(),
            admins=admins,
            words=settings.aliases,
            synonyms={name: _synonyms(each) for name, each in settings.synonyms.items()},
            kpi_kinds={kpi: each.kind for kpi, each in settings.kpis.items()},
            notify={pattern: each.to for pattern, each in settings.notify.items()},
            audit_reads=settings.audit.reads,
            text_length=settings.chat.text_length,
            open_for=timedelta(minutes=settings.chat.question_minutes),
            per_minute=settings.chat.per_minute,
            watching=settings.watching,
            duty={
                pool: tuple(Person(*each.split(":", 2)) for each in people)
                for pool, people in settings.duty.items()
            },
        )
        try:
            bot = Bot(parts, tickets)
        except ValueError as error:
            raise ConfigError([f"[aliases]: {error}."]) from error
        yield Built(bot, store, celonis, policy, audit, tickets, admins)


def _synonyms(configured: config.Synonyms) -> dict[str, str]:
    """Words of every kind, folded, with what they mean."""
    every = (getattr(configured, kind) for kind in config.Synonyms.model_fields)
    return {fold(word): meant for words in every for word, meant in words.items()}


def _secret_keys(settings: config.Settings) -> list[bytes]:
    return [key.reveal().encode() for key in settings.secret_keys]


async def _store(settings: config.Settings, clock: Clock) -> Store:
    return await Store.open(settings.database_url.reveal(), clock, secret_keys=_secret_keys(settings))


# --- the server ------------------------------------------------------------------------------------------------


class Listener(Protocol):
    """A chat platform's ear."""

    def routes(self) -> Routes:
        """What it listens on."""
        ...

    async def start(self) -> None:
        """Begins. Raises `ConfigError` where it never can."""
        ...

    async def close(self) -> None:
        """Stops listening, and waits a while for what is being answered."""
        ...

    def ready(self) -> bool:
        """Whether people who write now get an answer."""
        ...


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs.

    Attributes:
        address: Where platforms deliver, `http://host:port`.
        admin: Where readiness and metrics are.
        built: The bot behind it.
        listeners: By platform.
        metrics: What is counted.
    """

    address: str
    admin: str
    built: Built
    listeners: Mapping[str, Listener]
    metrics: Metrics


@dataclass(slots=True)
class _Platforms:
    """What is configured of Slack and Teams, with how to make its listener once there is a bot."""

    chats: dict[str, Chat] = field(default_factory=dict)
    listeners: dict[str, Callable[[Answering, Store], Listener]] = field(default_factory=dict)


@asynccontextmanager
async def running(
    settings: config.Settings,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
) -> AsyncIterator[Running]:
    """A server for every platform that is configured; stopped gracefully at the end.

    Args:
        settings: Checked for serving.
        store: One that the caller opened and closes; else the one that the settings name.
        clock: The machine's, unless told otherwise.
        deadlines: For whoever connects.

    Raises:
        ConfigError, StoreUnavailable: It cannot run; the text says why.
    """
    clock = clock or SystemClock()
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        if store is None:
            store = await stack.enter_async_context(await _store(settings, clock))
        platforms = _platforms(settings, store, clock, metrics, stack, deadlines.body)
        if not platforms.chats:
            raise ConfigError(["No chat platform is configured, so there is nothing to serve."])
        built = await stack.enter_async_context(
            build(settings, chats=platforms.chats, store=store, clock=clock)
        )
        await built.audit.head()
        measured = Measured(built.bot, metrics, clock)
        listeners = {name: make(measured, store) for name, make in platforms.listeners.items()}
        server = settings.server
        behind = HttpServer(_admin_routes(built, listeners, metrics), deadlines=deadlines)
        stack.push_async_callback(behind.close)
        admin = await behind.start(server.admin_host, server.admin_port)
        public = HttpServer(
            _public_routes(listeners), deadlines=deadlines, most=most_open(), proxies=server.trusted_proxies
        )
        stack.callback(quiet_accept(asyncio.get_running_loop(), public))
        stack.push_async_callback(public.close)
        stack.push_async_callback(_drained, listeners)
        address = await public.start(server.host, server.port)
        stack.push_async_callback(public.stop)
        for listener in listeners.values():
            await listener.start()
        watching = WatchLoop(store, clock, built.bot.look, built.bot.escalate)
        beats = settings.watching.heartbeat_url
        for upkeep in (
            _recovering(built, clock),
            _purging(built, settings.audit.keep_days, clock),
            _trying_keys(built, settings),
            _looking(built, clock),
            _reporting(public, clock),
            watching.run(),
            *([beating(beats, watching.alive, clock)] if beats else []),
        ):
            stack.push_async_callback(_cancelled, asyncio.create_task(upkeep))
        if not config.is_loopback(server.admin_host):
            log.warning(
                "readiness and metrics can be read from other machines; keep that port from the internet",
                admin_host=server.admin_host,
            )
        for remark in settings.remarks:
            log.warning("settings look unintended", remark=remark)
        log.info("serving", address=address, admin=admin, platforms=sorted(listeners))
        yield Running(address, admin, built, listeners, metrics)
        log.info("stopping")


async def serve(
    settings: config.Settings, *, ready: Callable[[Running], None] = lambda _running: None
) -> None:
    """Serves until SIGTERM or SIGINT; a second signal ends the program at once.

    Args:
        settings: Checked for serving.
        ready: Called once everything listens.

    Raises:
        ConfigError, StoreUnavailable: It cannot run; the text says why.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        told.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    async with running(settings) as server:
        with _garbage_frozen():
            ready(server)
            await told.wait()


@contextmanager
def _garbage_frozen() -> Iterator[None]:
    """For a program that has started: what is there by now stays and is not looked through for garbage again; a full
    collection over it stops every answer for a tenth of a second and more.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def over_sandbox(
    settings: config.Settings,
    url: str,
    api_token: str,
    *,
    data_models: Mapping[str, config.DataModelRef] | None = None,
    forced: bool = False,
) -> config.Settings:
    """Settings over a sandbox.

    Args:
        settings: As configured.
        url: The sandbox's address.
        api_token: One of its keys.
        data_models: Knowledge model id to the data model behind it.
        forced: Whether real people are meant to get made-up answers.

    Raises:
        ConfigError: Real chat tokens are configured and nobody insisted.
    """
    real = settings.slack is not None and not config.is_loopback(
        urlsplit(settings.slack.api_url).hostname or ""
    )
    real = real or (settings.teams is not None and bool(settings.teams.app_id))
    if real and not forced:
        raise ConfigError(
            [
                "Real chat tokens are configured, and what a sandbox answers is made up; add --force to use it anyway."
            ]
        )
    return settings.over_sandbox(url, api_token, data_models=data_models)


def _platforms(
    settings: config.Settings,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    stack: AsyncExitStack,
    body_within: float,
) -> _Platforms:
    found = _Platforms()
    if settings.slack is not None:
        _add_slack(found, settings, settings.slack, store, clock, metrics, stack, body_within)
    if settings.teams is not None:
        _add_teams(found, settings, settings.teams, store, clock, metrics, stack, body_within)
    return found


def _add_slack(
    found: _Platforms,
    settings: config.Settings,
    slack: config.Slack,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    stack: AsyncExitStack,
    body_within: float,
) -> None:
    from adapters.slack.app import SlackListener
    from adapters.slack.chat import SlackChat

    groups = any(group.startswith("slack:") for rule in settings.policy for group in rule.who.groups)
    chat = SlackChat(
        slack,
        clock=clock,
        keep_sentence=store.keep_sentence,
        read_groups=groups,
        charts="slack" in settings.chat.charts,
    )
    stack.push_async_callback(chat.close)

    def listener(bot: Answering, store: Store) -> Listener:
        return SlackListener(
            bot,
            chat,
            store,
            slack,
            clock=clock,
            ids=_request_id,
            refused=lambda reason: metrics.refused.labels("slack", reason).inc(),
            body_within=body_within,
        )

    found.chats["slack"] = chat
    found.listeners["slack"] = listener


def _add_teams(
    found: _Platforms,
    settings: config.Settings,
    teams: config.Teams,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    stack: AsyncExitStack,
    body_within: float,
) -> None:
    if not teams.app_id:
        _check_unsigned(settings)
    from adapters.teams.app import TeamsListener
    from adapters.teams.chat import TeamsChat
    from adapters.teams.sdk import AppIdentity

    identity = AppIdentity(teams.app_id, teams.tenant_id, teams.password)
    chat = TeamsChat(identity, store, clock, charts="teams" in settings.chat.charts)
    stack.push_async_callback(chat.close)

    def listener(bot: Answering, store: Store) -> Listener:
        return TeamsListener(
            bot,
            chat,
            store,
            clock,
            identity=identity,
            tenants=[each.teams for each in settings.bindings if each.teams],
            host=settings.server.host,
            service_hosts=teams.service_hosts,
            development=settings.server.development,
            ids=_request_id,
            refused=lambda why: metrics.refused.labels("teams", why).inc(),
            body_within=body_within,
        )

    found.chats["teams"] = chat
    found.listeners["teams"] = listener


def _check_unsigned(settings: config.Settings) -> None:
    """Messages that nobody signed are for a sandbox on this machine."""
    if not settings.server.development or not config.is_loopback(settings.server.host):
        raise ConfigError(
            [
                "Teams without MICROSOFT_APP_ID would take messages from anybody: set it, or server.development = true with server.host = 127.0.0.1."
            ]
        )
    real = [each.name for each in settings.connections.values() if not each.sandbox]
    if real:
        raise ConfigError(
            [
                f"Without MICROSOFT_APP_ID nobody signs what Teams sends, so whoever reaches this machine could act in a real Celonis team ({', '.join(real)}): set it, or add --sandbox."
            ]
        )
    log.warning(
        "ANYBODY ON THIS MACHINE CAN SPEAK AS ANYBODY: Teams messages are taken without a signature "
        "(server.development = true, no MICROSOFT_APP_ID); for trying things out only"
    )


def _request_id() -> str:
    return secrets.token_hex(4)


# --- HTTP ---


def _public_routes(listeners: Mapping[str, Listener]) -> Routes:
    routes: dict[tuple[str, str], Handler] = {("GET", "/healthz"): _alive}
    for listener in listeners.values():
        routes |= listener.routes()
    return routes


async def _alive(_: web.BaseRequest) -> web.Response:
    return web.Response(text="ok")


def _admin_routes(built: Built, listeners: Mapping[str, Listener], metrics: Metrics) -> Routes:
    async def readyz(_: web.BaseRequest) -> web.Response:
        return await _readiness(built, listeners)

    async def exposed(_: web.BaseRequest) -> web.Response:
        body = await metrics.exposition(built.celonis, built.audit, built.store)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    return {("GET", "/healthz"): _alive, ("GET", "/readyz"): readyz, ("GET", "/metrics"): exposed}


async def _readiness(built: Built, listeners: Mapping[str, Listener]) -> web.Response:
    """Ready is who can take a question and say something true. Celonis is reported and does not count: without it
    people still get a sentence that says so, which is better than silence from every copy at once.
    """
    platforms = {name: listener.ready() for name, listener in listeners.items()}
    try:
        await built.store.check()
    except StoreUnavailable:
        store = False
    else:
        store = True
    celonis = {name: reachable(each) for name, each in built.celonis.items()}
    ready = store and all(platforms.values())
    said = {
        "ready": ready,
        "version": program_version(),
        "store": _word(answers=store),
        "platforms": {name: _word(answers=is_ready) for name, is_ready in platforms.items()},
        "celonis": {name: _word(answers=answers) for name, answers in celonis.items()},
    }
    return web.Response(status=200 if ready else 503, text=json.dumps(said), content_type="application/json")


def _word(*, answers: bool | None) -> str:
    return "not asked yet" if answers is None else "ok" if answers else "no answer"


async def _drained(listeners: Mapping[str, Listener]) -> None:
    endings = {name: asyncio.create_task(listener.close()) for name, listener in listeners.items()}
    _, late = await asyncio.wait(endings.values(), timeout=DRAIN_WITHIN + 2.0)
    for ending in late:
        ending.cancel()
    for name, result in zip(
        endings, await asyncio.gather(*endings.values(), return_exceptions=True), strict=True
    ):
        if isinstance(result, BaseException):
            log.error("platform did not close cleanly", platform=name, error=repr(result))


# --- upkeep ---


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _recovering(built: Built, clock: Clock) -> None:
    """Takes up what a crash left half done, here or on another copy, and ends the questions that have run out.

    A round lasts as long as the longest run that it watches, so the next one does not wait for it.
    """
    rounds: set[asyncio.Task[None]] = set()
    try:
        while True:
            task = asyncio.create_task(_recovered(built))
            rounds.add(task)
            task.add_done_callback(rounds.discard)
            await clock.sleep(RECOVER_EVERY)
    finally:
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)


async def _recovered(built: Built) -> None:
    try:
        if count := await built.bot.recover():
            log.info("unfinished confirmations taken up", count=count)
    except BotError as error:
        log.warning("unfinished confirmations not looked up", error=error.sentence)
    except Exception:
        log.exception("unfinished confirmations not looked up")


async def _purging(built: Built, keep_days: int, clock: Clock) -> None:
    while True:
        try:
            await built.store.purge(clock.now())
            if keep_days and await built.store.first_time("audit pruned", timedelta(hours=23)):
                await built.audit.prune(keep_days)
        except BotError as error:
            log.warning("nothing purged", error=error.sentence)
        await clock.sleep(PURGE_EVERY)


async def _reporting(server: HttpServer, clock: Clock) -> None:
    while True:
        await clock.sleep(REPORT_EVERY)
        server.report()


async def _looking(built: Built, clock: Clock) -> None:
    """Lets the admins know of what nobody has asked about: a quota that will not last, a database that is gone."""
    while True:
        await built.admins.look(built.celonis)
        await clock.sleep(LOOK_EVERY)


async def _trying_keys(built: Built, settings: config.Settings) -> None:
    """Tries each key once at start and reads what it may, as PyCelonis does; what is wrong is said in the log."""
    for name, celonis in built.celonis.items():
        configured = settings.connections[name]
        try:
            if configured.connect:
                await celonis.connect()
                await celonis.try_write_key()
            if configured.permissions:
                granted = [each.service_name for each in await celonis.grants() if each.permissions]
                log.info("key has grants", connection=name, services=granted)
        except BotError as error:
            log.warning(
                "connection does not work yet", connection=name, error=error.sentence, hint=error.hint
            )
            await built.admins.failed(error, name, "")
