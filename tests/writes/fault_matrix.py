"""Every fault, on both platforms, for stopping and starting: how many calls reached Celonis, and whether the message told
the truth. `make faults` prints the table.

Clicks are signed HTTP to real servers; what reached Celonis is what the sandbox's log says. Two servers share a store.
The second one has seen nothing of what the first one has in memory, so it is also the first one started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, Protocol, TypeAlias

import structlog

from bot import config
from bot.audit import Audit
from bot.audit_entries import Entry
from bot.celonis import Api
from bot.commands import cancel, run
from bot.model.errors import StoreUnavailable
from bot.sandbox import Fault, Sandbox, Switches
from bot.sandbox.pools import Job
from bot.store import Store
from bot.writes.ticket import Tickets
from tests import fake_slack
from tests.fake_teams import CHANNEL, TENANT, copy
from tests.fake_teams import Message as TeamsMessage
from tests.server import towns
from tests.story import StoryClock
from tests.teams import stage as teams

Platform: TypeAlias = Literal["Slack", "Teams"]
Command: TypeAlias = Literal["cancel", "run"]
ASKED = {"cancel": "stop main job", "run": "run final job delta"}
JOB = {"cancel": "main job", "run": "final job"}
YES = {"cancel": "Stop this job", "run": "Start this job"}
PATH = {"cancel": "/cancel$", "run": "/execute$"}
_SIGN = re.compile(r"^\W*(?:SANDBOX · )?\s*(?:(?:Failed|Refused|Not done): )?")
LEASE = 61.0
"""Seconds after which whoever worked on a ticket is taken for dead."""


class Killed(BaseException):
    """The program ends here."""


@contextmanager
def changed(owner: object, name: str, value: object) -> Iterator[None]:
    """An attribute is something else for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def raising(error: BaseException) -> Callable[..., Awaitable[None]]:
    """In place of something asynchronous."""

    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


class Message(Protocol):
    """What people see."""

    @property
    def shown(self) -> str: ...


class Scene(Protocol):
    """Two servers on one platform, over one sandbox."""

    @property
    def sandbox(self) -> Sandbox: ...
    @property
    def clock(self) -> StoryClock: ...

    async def ask(self, text: str) -> Message:
        """A question in the channel."""
        ...

    async def press(self, message: Message, label: str, *, at: int = 0, times: int = 1) -> None:
        """The same click, delivered so many times."""
        ...

    async def recover(self, at: int) -> None:
        """What a server does when it starts and every minute."""
        ...

    def demote(self) -> None:
        """Whoever asked may no longer do anything."""
        ...


RIGHTS = (config.Right.CANCEL, config.Right.RUN)


@dataclass
class SlackScene:
    town: towns.Town

    @property
    def sandbox(self) -> Sandbox:
        return self.town.sandbox

    @property
    def clock(self) -> StoryClock:
        return self.town.clock

    async def ask(self, text: str) -> Message:
        before = len(self.town.slack.messages)
        await self.town.slack.mention(towns.OPERATOR, "C1", text)
        await self.town.quiet()
        return next(each for each in self.town.slack.messages[before:] if "Open until" in each.shown)

    async def press(self, message: Any, label: str, *, at: int = 0, times: int = 1) -> None:
        payload = self.town.slack.press_payload(towns.OPERATOR, message, label)
        target = self.town.target(at)
        await asyncio.gather(*(self.town.slack.deliver(payload, target=target) for _ in range(times)))
        with contextlib.suppress(Killed):
            await self.town.quiet()

    async def recover(self, at: int) -> None:
        await self.town.copies[at].built.bot.recover()
        await self.town.quiet()

    def demote(self) -> None:
        self.town.slack.users[towns.OPERATOR]["deleted"] = True


@dataclass
class _Seen:
    message: TeamsMessage

    @property
    def shown(self) -> str:
        return self.message.text


@dataclass
class TeamsScene:
    stage: teams.Stage

    @property
    def sandbox(self) -> Sandbox:
        return self.stage.sandbox

    @property
    def clock(self) -> StoryClock:
        return self.stage.clock

    async def ask(self, text: str) -> Message:
        return _Seen(await self.stage.says(teams.OPERATOR, text, CHANNEL))

    async def press(self, message: Any, label: str, *, at: int = 0, times: int = 1) -> None:
        body = self.stage.teams.pressed(teams.OPERATOR, message.message, label, CHANNEL)
        await asyncio.gather(*(self.stage.post(copy(body), at=at) for _ in range(times)))
        with contextlib.suppress(Killed):
            await self.stage.settle()

    async def recover(self, at: int) -> None:
        await self.stage.replicas[at].built.bot.recover()
        await self.stage.settle()

    def demote(self) -> None:
        self.stage.teams.accounts[teams.OPERATOR.user] = replace(teams.OPERATOR, role="guest")


@asynccontextmanager
async def opened(platform: Platform, switches: Switches) -> AsyncIterator[Scene]:
    clock = StoryClock()
    async with await Store.temporary(clock) as store:
        if platform == "Slack":
            who = config.Who(slack=(f"{fake_slack.TEAM}:{towns.OPERATOR}",))
            rules = [config.Rule(who=who, may=RIGHTS), *towns.policy()[1:]]
            async with towns.town(
                copies=2, shared=store, clock=clock, rules=rules, switches=switches
            ) as town:
                yield SlackScene(town)
            return
        who = config.Who(teams=(f"{TENANT}:{teams.OPERATOR.object_id}",))
        found = (config.Rule(who=who, may=RIGHTS), *teams.rules()[1:])
        async with teams.stage(
            replicas=2, shared=store, clock=clock, policy=found, switches=switches
        ) as stage:
            yield TeamsScene(stage)


# --- what goes wrong -------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One fault on one platform for one command."""

    scene: Scene
    command: Command
    message: Message

    @property
    def job(self) -> Job:
        pools = self.scene.sandbox.pools
        return next(each for pool in pools for each in pool.jobs if each.id == self.job_id)

    job_id: str = ""
    before: int = 0
    """Runs that the job had when it was asked about."""

    async def click(self, *, at: int = 0, times: int = 1) -> None:
        await self.scene.press(self.message, YES[self.command], at=at, times=times)

    async def dead(self) -> None:
        """The first server is gone; the second takes up what it left."""
        self.scene.clock.pass_by(LEASE)
        await self.scene.recover(1)

    def fault(self, kind: Any, **how: Any) -> None:
        self.scene.sandbox.faults.add(Fault(kind, path=PATH[self.command], method="POST", **how))

    @property
    def call(self) -> str:
        return "cancel_job" if self.command == "cancel" else "start_job"


Played: TypeAlias = Callable[[Cell], Awaitable[None]]


async def _double_click(cell: Cell) -> None:
    await asyncio.gather(cell.click(at=0), cell.click(at=1))


async def _four_deliveries(cell: Cell) -> None:
    await cell.click(times=4)


async def _restart(cell: Cell) -> None:
    await cell.click(at=1)


async def _finished(cell: Cell) -> None:
    pools = cell.scene.sandbox.pools
    if cell.command == "run":
        pools.start(cell.job)
    pools.finish(cell.job)
    await cell.click()


async def _restarted(cell: Cell) -> None:
    cell.scene.clock.pass_by(2)
    cell.scene.sandbox.pools.start(cell.job)
    await cell.click()


async def _renamed(cell: Cell) -> None:
    cell.job.name = "renamed job"
    await cell.click()


async def _demoted(cell: Cell) -> None:
    cell.scene.demote()
    await cell.click()


async def _ignored(cell: Cell) -> None:
    pools = cell.scene.sandbox.pools
    with (
        changed(pools, "cancel", lambda _job: None),
        changed(pools, "execute", lambda *_: True),
    ):
        cell.job.runs[-1].ends_at = None if cell.command == "cancel" else cell.job.runs[-1].ends_at
        cell.scene.clock.pace = 40.0
        await cell.click()


def _call_meets(kind: str, **how: Any) -> Played:
    async def play(cell: Cell) -> None:
        cell.fault(kind, count=1, **how)
        await cell.click()

    return play


async def _quota_spent(cell: Cell) -> None:
    sandbox = cell.scene.sandbox
    sandbox.limits.spend(sandbox.keys.operator.team, "integration", 1_000_000)
    await cell.click()


async def _reads_fail(cell: Cell) -> None:
    cell.scene.sandbox.faults.add(Fault("status", path="/jobs/", method="GET", status=503))
    await cell.click()


async def _database_gone(cell: Cell) -> None:
    gone = raising(StoreUnavailable("The database does not answer."))
    with changed(Store, "write", gone), changed(Store, "read", gone):
        await cell.click()


async def _database_gone_at_the_end(cell: Cell) -> None:
    gone = raising(StoreUnavailable("The database does not answer."))
    with changed(Tickets, "finish", gone):
        await cell.click()


def _killed(step: str) -> Played:
    async def play(cell: Cell) -> None:
        with _dying(step, cell.call):
            await cell.click()
        await cell.dead()

    return play


@contextmanager
def _dying(step: str, call: str) -> Iterator[None]:
    """The program ends at a step; what comes before it has happened."""
    real_call, real_note = getattr(Api, call), Audit.write

    async def note(self: Audit, entry: Entry) -> None:
        if entry.decision == step.removeprefix("noting "):
            raise Killed
        await real_note(self, entry)

    async def called(self: Api, *how: Any) -> None:
        await real_call(self, *how)
        raise Killed

    def approve(*_: object) -> None:
        raise Killed

    died = raising(Killed())
    owner, name, value = {
        "claiming": (Tickets, "claim", died),
        "approving": (Tickets, "approve", approve),
        "announcing": (Tickets, "sending", died),
        "before the call": (Api, call, died),
        "behind the call": (Api, call, called),
        "finishing": (Tickets, "finish", died),
    }.get(step, (Audit, "write", note))
    with changed(owner, name, value):
        yield


FAULTS: dict[str, Played] = {
    "double click on two replicas": _double_click,
    "four deliveries of one click": _four_deliveries,
    "restarted between question and click": _restart,
    **{
        f"killed at {step}": _killed(step)
        for step in (
            "claiming",
            "noting confirmed",
            "approving",
            "noting sending",
            "announcing",
            "before the call",
            "behind the call",
            "finishing",
            "noting done",
        )
    },
    "job finished in between": _finished,
    "job started anew in between": _restarted,
    "job renamed in between": _renamed,
    "right taken away in between": _demoted,
    "Celonis ignores the call": _ignored,
    "call times out (504), had arrived": _call_meets("status", status=504, handled=True),
    "answer of the call lost, had arrived": _call_meets("reset", handled=True),
    "429 on the call": _call_meets("status", status=429),
    "500 on the call": _call_meets("status", status=500),
    "403 on the call": _call_meets("status", status=403),
    "day's quota spent": _quota_spent,
    "503 on every look": _reads_fail,
    "database gone at the click": _database_gone,
    "database gone at the end": _database_gone_at_the_end,
}


# --- what came of it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What reached Celonis, and what the message says."""

    calls: int
    said: str
    true: bool


async def played(fault: str, platform: Platform, command: Command) -> Result:
    """Plays one cell of the matrix."""
    switches = Switches(cancel_delay=2.0, queue_delay=1.0, run_duration=4.0)
    async with opened(platform, switches) as scene:
        job = scene.sandbox.pools.find(JOB[command])
        runs, shown = len(job.runs), job.last
        assert shown is not None
        message = await scene.ask(ASKED[command])
        cell = Cell(scene, command, message, job.id, runs)
        with (
            changed(cancel, "PATIENCE", 100.0),
            changed(run, "LATEST_START", 100.0),
        ):
            await FAULTS[fault](cell)
        said = _SIGN.sub("", message.shown.partition("\n")[0])
        calls = sum(
            each.method == "POST" and bool(re.search(PATH[command], each.path.partition("?")[0]))
            for each in scene.sandbox.log
        )
        scene.sandbox.pools.settle(job)
        ours = [each for each in job.runs[runs:] if not each.schedule]
        happened = shown.status == "CANCEL" if command == "cancel" else bool(ours)
        return Result(calls, said, _true(said, calls, happened=happened, open_=shown.ended_at is None))


def _true(said: str, calls: int, *, happened: bool, open_: bool) -> bool:
    """Whether the first line of a message is no lie about what happened to the job."""
    if said.startswith(("STOPPED", "STARTED")):
        return happened and calls == 1
    if said.startswith("UNKNOWN"):  # it claims nothing
        return True
    if said.startswith("STILL RUNNING"):
        return open_ and not happened
    if said.startswith(("Stop ", "Start ")):  # still a question
        return calls == 0
    return not happened


async def matrix() -> AsyncIterator[tuple[str, list[Result]]]:
    """Every row: Slack cancel, Slack run, Teams cancel, Teams run."""
    for fault in FAULTS:
        yield fault, [await played(fault, platform, command) for platform, command in CELLS]


CELLS: tuple[tuple[Platform, Command], ...] = (
    ("Slack", "cancel"),
    ("Slack", "run"),
    ("Teams", "cancel"),
    ("Teams", "run"),
)


def _silent(*_: object) -> NoReturn:
    raise structlog.DropEvent


async def _print() -> int:
    worst = 0
    heads = " | ".join(f"{platform} {command}" for platform, command in CELLS)
    print(f"| fault | {heads} |", f"|---|{'---|' * len(CELLS)}", sep="\n")  # noqa: T201
    async for fault, results in matrix():
        cells = [f"{each.calls}{'' if each.true else ' LIE'}: {each.said[:48]}" for each in results]
        worst += sum(each.calls > 1 or not each.true for each in results)
        print(f"| {fault} | {' | '.join(cells)} |", flush=True)  # noqa: T201
    return worst


if __name__ == "__main__":
    structlog.configure(processors=[_silent])
    sys.exit(asyncio.run(_print()))
