"""What a night of watching costs, and how late the news are.

    python -m bench.watch [--jobs 500] [--pools 20] [--alerts 100] [--hours 8] [--json]

A whole bot over a sandbox with so many jobs, each of which runs about once in the night; all are watched. Time is
simulated, so that the night passes as fast as the machine goes; calls to the sandbox are real HTTP, and its log counts them.
The same night is gone through with `pools/paged`, and with a sandbox that refuses it, so that each data pool is read.
The baseline is the same without sharing: two calls for each watch and look.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import json
import logging
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from adapters.server import Built, build
from bot.config import Binding, Settings
from bot.language.say import say
from bot.model.cards import Answer
from bot.model.chat import File
from bot.model.names import Name
from bot.model.people import MessageRef, Person, Place, Profile, Request, Said, Standing, Visibility
from bot.sandbox import Fault, Sandbox, SandboxOptions, Switches
from bot.sandbox.content import DATA
from bot.store import Store, watches
from bot.store.watches import Watch, WatchKind
from bot.watching.loop import TICK, WatchLoop
from bot.watching.orders import WatchJob

HOME = "T1"
OWNER = Person("slack", HOME, "U1", "owner")
PLACE = Place("slack", HOME, "C1", Visibility.PERSONAL)
EVENING = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SHORTEST, LONGEST = 10 * 60.0, 40 * 60.0
SHORT = 5.0
"""Seconds; shorter naps bound what this machine does, such as a query, and are of its own time."""
STEP = 0.02
KPIS = ("On-time delivery", "Automation rate", "Blocked orders", "Cost share", "Number of orders")
FAILS = 0.05
PER_SECOND = 1000
"""While time stands still, nothing of a second passes."""


class NightClock:
    """Time that is moved on; who naps is woken when his time has come."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._naps: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return EVENING + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    def seconds(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        if seconds <= SHORT:
            await asyncio.sleep(seconds)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._naps, (self._passed + seconds, next(self._numbers), woken))
        await woken

    def pass_by(self, seconds: float) -> None:
        self._passed += seconds
        while self._naps and self._naps[0][0] <= self._passed:
            _, _, woken = heapq.heappop(self._naps)
            if not woken.done():
                woken.set_result(None)


async def going(clock: NightClock) -> None:
    """Lets time pass as ours does, too: what waits for an answer or for its turn comes to its end."""
    while True:
        await asyncio.sleep(STEP)
        clock.pass_by(STEP)


class Readers:
    """A chat that notes when something was said."""

    def __init__(self, clock: NightClock) -> None:
        self._clock = clock
        self.posted: list[tuple[float, str]] = []
        self.edited = 0

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        self.posted.append((self._clock.seconds(), answer.card.headline))
        return MessageRef(place.platform, place, f"m{len(self.posted)}")

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        del ref, answer
        self.edited += 1

    async def file(self, person: Person, file: File) -> str:
        raise NotImplementedError

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        del anew
        return Profile(name=person.name, standing=Standing.MEMBER)

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        del place, anew
        return False

    async def direct(self, person: Person) -> Place | None:
        del person
        return PLACE


@dataclass(frozen=True, slots=True)
class Run:
    """A run to come: `start` and `end` are seconds since 1970."""

    job: str
    pool: str
    start: float
    end: float
    fails: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a night came to.

    Attributes:
        name: Which one.
        hours: How long it was.
        runs: Runs that ended in it.
        told: Ends that were told.
        calls: What the sandbox was asked.
        integration: Of these, about pools and jobs.
        unshared: What two calls for each watch and look would have been.
        edited: Messages that were changed.
        delay_p50: Seconds from the end of a run to the word of it.
        delay_p99: The same.
    """

    name: str
    hours: float
    runs: int
    told: int
    calls: int
    integration: int
    unshared: int
    edited: int
    delay_p50: float
    delay_p99: float


def team(folder: Path, pools: int, jobs: int) -> Path:
    """The sandbox's own team with so many pools and jobs, which have never failed."""
    shutil.copytree(str(DATA), folder, dirs_exist_ok=True)
    history = [{"at": -86400.0 * day, "lasts": 1500} for day in (3, 2, 1)]
    each = jobs // pools
    made = [
        {
            "id": f"p{pool}",
            "name": f"Pool {pool}",
            "description": "",
            "dataModels": [],
            "jobs": [
                {"name": f"Job {pool}.{number}", "stages": [], "runs": history} for number in range(each)
            ],
        }
        for pool in range(pools)
    ]
    (folder / "pools.json").write_text(json.dumps(made), "utf-8")
    return folder


def planned(sandbox: Sandbox, hours: float, dice: random.Random) -> list[Run]:
    """One run of each job, somewhere in the night."""
    found = []
    for pool in sandbox.pools:
        for job in pool.jobs:
            start = EVENING.timestamp() + dice.uniform(120, max(180.0, hours * 3600 - LONGEST - 600))
            lasts = dice.uniform(SHORTEST, LONGEST)
            found.append(Run(job.name, pool.name, start, start + lasts, dice.random() < FAILS))
    return found


def happenings(sandbox: Sandbox, runs: Sequence[Run]) -> Iterator[tuple[float, Run, bool]]:
    """Starts and ends in their order."""
    del sandbox
    starts = ((each.start, each, True) for each in runs)
    ends = ((each.end, each, False) for each in runs)
    yield from sorted((*starts, *ends), key=lambda happens: happens[0])


async def one_night(name: str, args: argparse.Namespace, *, paged: bool) -> Found:
    """Goes through a night."""
    clock, dice = NightClock(), random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        data = team(Path(folder), args.pools, args.jobs)
        switches = Switches(per_second=100_000, run_duration=1e9)
        faults = () if paged else (Fault.parse({"kind": "status", "status": 404, "path": "/pools/paged"}),)
        sandbox = Sandbox(SandboxOptions(now=clock.seconds, switches=switches, data=data, faults=faults))
        await sandbox.start()
        store = await Store.temporary(clock)
        passing = asyncio.create_task(going(clock))
        try:
            settings = Settings.for_demo(
                sandbox.url, sandbox.keys.operator.secret, zone="Europe/Berlin", secret_key="not a secret" * 3
            )
            here = Binding(slack=HOME, connections=tuple(settings.connections))
            connections = {
                key: each.model_copy(
                    update={"limits": each.limits.model_copy(update={"per_second": PER_SECOND})}
                )
                for key, each in settings.connections.items()
            }
            settings = settings.model_copy(
                update={
                    "bindings": (*settings.bindings, here),
                    "connections": connections,
                    "watching": settings.watching.model_copy(
                        update={"per_person": 10_000, "per_place": 10_000}
                    ),
                    "chat": settings.chat.model_copy(update={"per_minute": 10_000}),
                }
            )
            chat = Readers(clock)
            async with build(settings, chats={"slack": chat}, store=store, clock=clock) as built:
                await watch_all(built, sandbox, args.alerts)
                runs = planned(sandbox, args.hours, dice)
                looks = await through(built, sandbox, clock, runs, args.hours)
        finally:
            await store.close()
            await sandbox.stop()
            passing.cancel()
    ends = {each.job: each.end for each in runs}
    delays = sorted(
        said - ends[headline.rsplit(": ", 1)[1].split(" (")[0]]
        for said, headline in chat.posted
        if headline.startswith(("FAILED", "Succeeded"))
    )
    calls = [each for each in sandbox.log if not each.path.startswith("/__")]
    return Found(
        name,
        args.hours,
        len(runs),
        len(delays),
        len(calls),
        len([each for each in calls if each.path.startswith("/integration/")]),
        2 * looks,
        chat.edited,
        round(statistics.median(delays), 1),
        round(delays[int(len(delays) * 0.99)], 1),
    )


async def watch_all(built: Built, sandbox: Sandbox, alerts: int) -> None:
    """Sets a watch for each job, and alerts on a few KPIs with lines of their own."""
    connection = next(iter(built.celonis))
    here = Name(connection, connection)
    orders = [
        (WatchKind.JOB, say(WatchJob(job=Name(job.name, job.id), pool=Name(pool.name, pool.id), via=here)))
        for pool in sandbox.pools
        for job in pool.jobs
    ]
    now = EVENING
    for number, (kind, sentence) in enumerate(orders):
        await watches.insert(
            built.store,
            Watch(f"w{number}", kind, sentence, connection, OWNER, PLACE, "Europe/Berlin", now, now),
        )
    for number in range(alerts):
        kpi = KPIS[number % len(KPIS)]
        text = f"watch kpi {kpi} of Order to Cash when < {number + 1}"
        await built.bot.answer(Request(f"r{number}", Said(text), OWNER, PLACE), _unseen)
    assert len(await watches.living(built.store)) == len(orders) + alerts


async def _unseen(_: Answer) -> None:
    """What is set is counted in the database."""


async def through(
    built: Built, sandbox: Sandbox, clock: NightClock, runs: Sequence[Run], hours: float
) -> int:
    """Lets the night pass; how often a watch was looked at."""
    loop = WatchLoop(built.store, clock, built.bot.look, built.bot.escalate)
    end = clock.seconds() + hours * 3600
    coming = list(happenings(sandbox, runs))[::-1]
    looks = 0
    while clock.seconds() < end:
        while coming and coming[-1][0] <= clock.seconds():
            _, run, begins = coming.pop()
            job = sandbox.pools.find(run.job, run.pool)
            if begins:
                sandbox.pools.start(job)
            else:
                sandbox.pools.finish(job, "FAIL" if run.fails else "SUCCESS")
        while begun := await loop.round():
            looks += begun
            await loop.settled()
        clock.pass_by(TICK)
        await asyncio.sleep(0)
    return looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--pools", type=int, default=20)
    parser.add_argument("--alerts", type=int, default=100)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["with", "without"], default="", help="one of the two nights")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    nights = {"with": True, "without": False}
    found = [
        asyncio.run(one_night(f"{name} pools/paged", args, paged=paged))
        for name, paged in nights.items()
        if args.only in {"", name}
    ]
    if args.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        print(f"{each.name}, {args.jobs} jobs in {args.pools} pools, {args.alerts} alerts, {each.hours:g} h")
        for key, value in asdict(each).items():
            if key not in {"name", "hours"}:
                print(f"  {key:12} {value:>10,}")


if __name__ == "__main__":
    main()
