"""The composition root: every real object is built here, and nowhere else."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from bot import config
from bot.audit import Audit
from bot.cards import Reader
from bot.catalog import fold
from bot.celonis import ApiKey, Celonis, Connection, Credential, KeyKind, Limits, OAuthClient
from bot.chat import Chat
from bot.clock import Clock, SystemClock
from bot.confirm import Tickets
from bot.dispatch import Bot, Parts
from bot.policy import Policy
from bot.store import Store
from bot.store.ledger import Ledger


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


def connection_of(configured: config.Connection, limits: Limits) -> Connection:
    """A configured connection as the client wants it."""
    return Connection(
        name=configured.name,
        team_root=configured.root,
        credential=_credential(configured),
        limits=limits,
        timeout=configured.timeout,
        total_retry=configured.total_retry,
        backoff_factor=configured.backoff_factor,
        connect=configured.connect,
        permissions=configured.permissions,
        read_only=configured.read_only,
        sandbox=configured.sandbox,
    )


def _credential(configured: config.Connection) -> Credential:
    if configured.oauth is not None:
        oauth = configured.oauth
        return OAuthClient(
            id=oauth.id.reveal(),
            secret=oauth.secret.reveal(),
            scope=oauth.scope,
            read_again=lambda: oauth.secret.read_again().reveal(),
        )
    token = configured.api_token
    assert token is not None, "settings give every connection a token or an OAuth client"
    kind = KeyKind(configured.key_type.value) if configured.key_type else None
    return ApiKey(secret=token.reveal(), kind=kind, read_again=lambda: token.read_again().reveal())


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
            store = await stack.enter_async_context(await Store.open(settings.database_url.reveal(), clock))
        celonis: dict[str, Celonis] = {}
        for name, configured in settings.connections.items():
            connection = connection_of(configured, _limits(configured.limits, settings.replicas))
            beside = next(
                (each for each in celonis.values() if each.connection.scope == connection.scope), None
            )
            celonis[name] = await stack.enter_async_context(
                Celonis(connection, clock=clock, ledger=Ledger(store), guest=guest, beside=beside)
            )
        policy = Policy.of(settings)
        tickets = Tickets(store, clock, token)
        key = settings.secret_key.reveal() if settings.secret_key else secrets.token_hex(32)
        audit = Audit(store, key.encode(), clock)
        parts = Parts(
            celonis=celonis,
            policy=policy,
            store=store,
            tickets=tickets,
            audit=audit,
            chats=chats,
            clock=clock,
            ids=lambda: secrets.token_hex(4),
            reader=Reader(zone=settings.zone, locale=settings.locale),
            version=program_version(),
            words=settings.aliases,
            synonyms={name: _synonyms(each) for name, each in settings.synonyms.items()},
            audit_reads=settings.audit.reads,
        )
        yield Built(Bot(parts), store, celonis, policy, audit, tickets)


def _synonyms(configured: config.Synonyms) -> dict[str, str]:
    kinds = (
        configured.models,
        configured.records,
        configured.kpis,
        configured.filters,
        configured.pools,
        configured.jobs,
    )
    return {fold(word): meant for kind in kinds for word, meant in kind.items()}


def _limits(configured: config.Limits, replicas: int) -> Limits:
    return Limits(
        per_second=configured.per_second,
        per_day=configured.per_day,
        fields=configured.fields,
        page=configured.page,
        rows=configured.rows,
        window=configured.window_seconds,
        background_reserve=configured.background_reserve,
        guarded_reserve=configured.people_reserve,
        replicas=replicas,
    )
