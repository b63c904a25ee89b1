"""A whole bot behind `/api/messages`, over a sandbox and a Teams of this machine."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
from aiohttp import web
from botframework.connector.auth import ChannelValidation

from adapters.server import Built, build
from adapters.teams.app import PATH, TeamsListener
from adapters.teams.chat import TeamsChat
from adapters.teams.sdk import AppIdentity
from bot import config
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.store import Store
from tests.fake_teams import (
    APP_ID,
    CHANNEL,
    FOREIGN,
    GROUP,
    PERSONAL,
    TENANT,
    Account,
    FakeTeams,
    Json,
    Message,
    Scope,
)
from tests.story import SECRET_KEY, StoryClock

OPERATOR = Account("operator", 1)
SECOND = Account("second", 2)
CLERK = Account("clerk", 3)
GUEST = Account("guest", 4, role="guest")
OUTSIDER = Account("outsider", 5, tenant=FOREIGN)
LONER = Account("loner", 6, added=False)
ACCOUNTS = (OPERATOR, SECOND, CLERK, GUEST, OUTSIDER, LONER)
OUTBOUND = "outbound-token"


@dataclass(slots=True)
class Replica:
    """One running bot."""

    url: str
    built: Built
    chat: TeamsChat
    listener: TeamsListener


@dataclass
class Stage:
    """One Teams, one sandbox, one or more replicas."""

    teams: FakeTeams
    sandbox: Sandbox
    clock: StoryClock
    replicas: list[Replica]
    session: aiohttp.ClientSession

    @property
    def replica(self) -> Replica:
        return self.replicas[0]

    async def post(
        self, body: object, *, token: str | None = None, at: int = 0, **how: object
    ) -> tuple[int, Json]:
        """One delivery; the status and the body of the answer."""
        sign = self.teams.token() if token is None else token
        headers = {"Authorization": f"Bearer {sign}"} if sign else {}
        async with self.session.post(
            f"{self.replicas[at].url}{PATH}",
            json=body,
            headers=headers,
            **how,  # type: ignore[arg-type]  # aiohttp's own names
        ) as reply:
            answer = await reply.json() if reply.content_type == "application/json" else {}
            return reply.status, answer

    async def settle(self) -> None:
        """Waits until nothing is under way in any replica."""
        for each in self.replicas:
            await each.listener.deliveries.idle()

    async def says(self, who: Account, text: str, scope: Scope = PERSONAL) -> Message:
        """The bot's newest message in the place after somebody said something."""
        status, _ = await self.post(self.teams.said(who, text, scope))
        assert status == 202
        await self.settle()
        return self.teams.last(scope.id or who.personal)

    async def presses(
        self, who: Account, message: Message, label: str, scope: Scope = PERSONAL, at: int = 0, **how: str
    ) -> Json:
        """The body that the clicker's client gets."""
        status, answer = await self.post(self.teams.pressed(who, message, label, scope, **how), at=at)  # type: ignore[arg-type]  # trigger
        assert status == 200
        await self.settle()
        return answer

    def cancels(self) -> list[str]:
        """Cancel calls that reached the sandbox."""
        return [each.path for each in self.sandbox.log if each.path.endswith("/cancel")]

    def asked(self) -> int:
        """Calls that reached the sandbox."""
        return len(self.sandbox.log)


def rules() -> tuple[config.Rule, ...]:
    who = config.Who(teams=tuple(f"{TENANT}:{each.object_id}" for each in (OPERATOR, SECOND, LONER)))
    places = tuple(f"teams:{TENANT}:{each.id.partition(';')[0]}" for each in (GROUP, CHANNEL))
    return (
        config.Rule(name="operators", who=who, may=(config.Right.CANCEL,)),
        config.Rule(
            name="what everybody in the channel may see",
            who=config.Who(places=places),
            may=(config.Right.PUBLIC,),
            on=config.On(pool=("SAP ECC",)),
        ),
    )


@asynccontextmanager
async def stage(
    *,
    switches: Switches | None = None,
    replicas: int = 1,
    database: str = "",
    bound: bool = True,
    signed: bool = True,
    policy: tuple[config.Rule, ...] | None = None,
    shared: Store | None = None,
    clock: StoryClock | None = None,
) -> AsyncIterator[Stage]:
    """A running bot.

    Args:
        switches: Of the sandbox.
        replicas: How many bots stand behind the same Teams.
        database: Their shared database; each has one of its own where none is given, so give one for several.
        bound: Whether the tenant has a connection.
        signed: Whether the bot has a registration, so that messages carry a signature.
        policy: Instead of `rules()`.
        shared: What every replica has open, in place of a database; a restarted one is one more of them.
        clock: Of everything; the one of that store.
    """
    clock = clock or StoryClock()
    async with AsyncExitStack() as stack:
        teams = await stack.enter_async_context(FakeTeams(ACCOUNTS))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        still = replace(switches or Switches(), per_second=100_000, rate_headers="429")
        sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(now=clock.seconds, switches=still)))
        before = ChannelValidation.open_id_metadata_endpoint
        ChannelValidation.open_id_metadata_endpoint = teams.metadata
        stack.callback(setattr, ChannelValidation, "open_id_metadata_endpoint", before)
        settings = config.Settings.for_demo(
            sandbox.url,
            sandbox.keys.operator.secret,
            zone="Europe/Berlin",
            secret_key=SECRET_KEY,
        )
        here = config.Binding(teams=TENANT, connections=tuple(settings.connections))
        settings = settings.model_copy(
            update={
                "replicas": replicas,
                "bindings": (*settings.bindings, *((here,) if bound else ())),
                "policy": rules() if policy is None else policy,
            }
        )
        running = []
        for number in range(replicas):
            store = shared or await stack.enter_async_context(
                await Store.open(database, clock, secret_keys=[SECRET_KEY.encode()])
                if database
                else await Store.temporary(clock)
            )
            assert store is not None
            running.append(
                await stack.enter_async_context(_replica(settings, store, clock, number, signed=signed))
            )
        yield Stage(teams, sandbox, clock, running, session)


@asynccontextmanager
async def _replica(
    settings: config.Settings, store: Store, clock: StoryClock, number: int, *, signed: bool
) -> AsyncIterator[Replica]:
    registered = AppIdentity(APP_ID, TENANT, config.Secret("made-up-password"))
    identity = registered if signed else AppIdentity("", "")
    chat = TeamsChat(identity, store, clock, fetch_token=lambda: OUTBOUND, chance=lambda: 0.5)
    numbers = itertools.count(1)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(chat.close)
        built = await stack.enter_async_context(
            build(settings, chats={"teams": chat}, store=store, clock=clock)
        )
        listener = TeamsListener(
            built.bot,
            chat,
            store,
            clock,
            identity=identity,
            tenants=[each.home for each in settings.bindings if each.platform == "teams"],
            host="127.0.0.1",
            service_hosts=(),
            development=True,
            ids=lambda: f"r{number}-{next(numbers)}",
        )
        app = web.Application()
        for at, handler in listener.routes().items():
            app.router.add_route(*at, handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await listener.start()
        try:
            yield Replica(f"http://127.0.0.1:{runner.addresses[0][1]}", built, chat, listener)
        finally:
            await listener.close()
            await runner.cleanup()
