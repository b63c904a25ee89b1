"""Real servers over a sandbox, behind a small Slack: what people see, and what reached Celonis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from adapters.http import Deadlines
from adapters.server import Running, running
from adapters.slack.app import SlackListener
from adapters.slack.signature import PATH
from bot import config
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.store import Store
from tests.fake_slack import APP_TOKEN, SECRET, TEAM, TOKEN, FakeSlack, Message, until
from tests.story import SECRET_KEY, StoryClock

CLERK, OPERATOR, SECOND, GUEST = "U1", "U2", "U3", "U4"
QUESTION = "stop main job pls"


@dataclass
class Town:
    """One Slack workspace, one Celonis team, and one or more copies of the server between them."""

    slack: FakeSlack
    sandbox: Sandbox
    clock: StoryClock
    settings: config.Settings
    copies: list[Running] = field(default_factory=list)
    deadlines: Deadlines = field(default_factory=Deadlines)
    _ends: list[AsyncExitStack] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Calls that reached Celonis."""
        return len(self.sandbox.log)

    def cancels(self) -> list[str]:
        return [
            each.path for each in self.sandbox.log if each.method == "POST" and each.path.endswith("/cancel")
        ]

    def target(self, copy: int) -> str:
        return self.copies[copy].address + PATH

    def listener(self, copy: int = 0) -> SlackListener:
        found = self.copies[copy].listeners["slack"]
        assert isinstance(found, SlackListener)
        return found

    async def start(self, store: Store | None = None) -> None:
        """Starts one more copy of the server, over a store or over the database of the settings."""
        end = AsyncExitStack()
        copy = running(self.settings, store=store, clock=self.clock, deadlines=self.deadlines)
        self.copies.append(await end.enter_async_context(copy))
        self._ends.append(end)

    async def stop(self, copy: int = 0) -> None:
        """Stops a copy."""
        del self.copies[copy]
        await self._ends.pop(copy).aclose()

    async def stop_all(self) -> None:
        """Stops every copy that runs."""
        while self.copies:
            await self.stop(len(self.copies) - 1)

    async def quiet(self) -> None:
        """Waits until every copy has given every answer."""
        async with asyncio.timeout(60):
            for number in range(len(self.copies)):
                await self.listener(number).deliveries.idle()

    async def says(self, user: str, channel: str, text: str) -> str:
        """A slash command, and what the person sees there after it."""
        assert await self.slack.command(user, channel, text) == 200
        await self.quiet()
        return self.slack.screen(user, channel)

    async def asks(self, user: str = OPERATOR, channel: str = "C1", text: str = QUESTION) -> Message:
        """A mention that ends in a question, and the message with it."""
        before = len(self.slack.messages)
        assert await self.slack.mention(user, channel, text) == 200
        await self.quiet()
        questions = [each for each in self.slack.messages[before:] if "[Leave it running]" in each.shown]
        assert len(questions) == 1, [each.shown for each in self.slack.messages[before:]]
        return questions[0]

    async def presses(
        self, user: str, message: Message, label: str, *, typed: str = "", copy: int = 0
    ) -> None:
        assert await self.slack.press(user, message, label, typed=typed, target=self.target(copy)) == 200
        await self.quiet()

    async def stopped(self, message: Message) -> None:
        await until(
            lambda: message.shown.startswith(("STOPPED", "SANDBOX")) and "STOPPED" in message.shown, 20
        )


def policy() -> tuple[config.Rule, ...]:
    who = config.Who(slack=tuple(f"{TEAM}:{user}" for user in (OPERATOR, SECOND)))
    return (
        config.Rule(name="operators", who=who, may=(config.Right.CANCEL,)),
        config.Rule(
            name="what everybody in the channel may see",
            who=config.Who(places=(f"slack:{TEAM}:C1",)),
            may=(config.Right.PUBLIC,),
            on=config.On(pool=("SAP ECC",)),
            external=True,
        ),
    )


@asynccontextmanager
async def town(
    *,
    copies: int = 1,
    socket_mode: bool = False,
    database: str = "",
    switches: Switches | None = None,
    changed: Callable[[config.Settings], config.Settings] = lambda settings: settings,
    rules: Sequence[config.Rule] | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    shared: Store | None = None,
    clock: StoryClock | None = None,
) -> AsyncIterator[Town]:
    """A town.

    Args:
        copies: How many servers run; more than one needs a database that they share.
        socket_mode: Whether Slack delivers over sockets.
        database: Where; else a file of each server's own.
        switches: Of the sandbox.
        changed: Last changes to the settings.
        rules: Instead of `policy()`.
        deadlines: For whoever connects.
        shared: What every copy has open, in place of a database; a restarted copy is one more of them.
        clock: Of everything; the one of that store.
    """
    clock = clock or StoryClock()
    quick = replace(switches or Switches(cancel_delay=2.0), per_second=100_000)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(now=clock.seconds, switches=quick)))
        slack = await stack.enter_async_context(FakeSlack(clock, socket_mode=socket_mode))
        slack.person(SECOND, "the second operator")
        slack.person(GUEST, "a guest", is_ultra_restricted=True)
        slack.channels["C1"].members |= {SECOND, GUEST}
        demo = config.Settings.for_demo(
            sandbox.url,
            sandbox.keys.operator.secret,
            zone="Europe/Berlin",
            secret_key=SECRET_KEY,
        )
        connections = {
            name: each.model_copy(update={"total_retry": 0, "permissions": False})
            for name, each in demo.connections.items()
        }
        settings = changed(
            demo.model_copy(
                update={
                    "connections": connections,
                    "bindings": (config.Binding(slack=TEAM, connections=tuple(connections)),),
                    "policy": tuple(policy() if rules is None else rules),
                    "database_url": config.Secret(database or "sqlite:///unused.db"),
                    "replicas": copies,
                    "server": config.Server(port=0, admin_port=0),
                    "slack": config.Slack(
                        bot_token=config.Secret(TOKEN),
                        signing_secret=config.Secret(SECRET),
                        app_token=config.Secret(APP_TOKEN) if socket_mode else None,
                        api_url=slack.url,
                    ),
                }
            )
        )
        made = Town(slack, sandbox, clock, settings, deadlines=deadlines)
        stack.push_async_callback(made.stop_all)
        for _ in range(copies):
            store = shared
            if store is None and not database:
                store = await stack.enter_async_context(await Store.temporary(clock))
            await made.start(store)
        slack.target = made.target(0)
        if socket_mode:
            await slack.connected()
        await until(lambda: made.calls, 30)  # the one try of the key at start
        yield made
