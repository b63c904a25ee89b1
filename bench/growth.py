"""What an answer costs as a team grows: more names, more jobs.

    python -m bench.growth [--names 100 1000 10000 50000] [--jobs 10 100 1000 5000] [--asked 300] [--json]

A whole bot in this program, over a team of that size in another one. Sentences that name a KPI are timed until it is
known what they mean, asked for the first time, again, and misspelt; cards until they are shown. All the while a heartbeat
measures the longest step of the event loop, in processor time of its thread, so that other programs on the machine do not
count; building and swapping the lists is part of it. The baseline is the smallest size.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.server import COLLECT_AFTER, Built, build
from bot.config import Binding, ChatLimits, Settings
from bot.model.cards import Answer, Status
from bot.model.chat import Chat, File
from bot.model.clock import SystemClock
from bot.model.people import Person, Place, Profile, Request, Said, Standing, Visibility
from bot.store import Store

MODEL_SIZE = 10_000
"""KPIs of a knowledge model at most: what the pages of a list can hold."""
POOL_SIZE = 500
BEAT = 0.001
HOME = "T1"
MUCH = 10**6
PER_SECOND = 500
WORDS = [
    "average",
    "share",
    "number",
    "total",
    "late",
    "open",
    "blocked",
    "early",
    "manual",
    "automated",
    "duplicate",
    "overdue",
    "paid",
    "split",
    "changed",
    "returned",
    "order",
    "invoice",
    "delivery",
    "payment",
    "vendor",
    "customer",
    "plant",
    "material",
    "requisition",
    "approval",
    "touch",
    "time",
    "value",
    "rate",
    "cost",
    "ratio",
]


# --- the team ----------------------------------------------------------------------------------------------------


def called(number: int) -> str:
    """The name of a KPI; no two have the same."""
    chosen = random.Random(number)
    return f"{' '.join(chosen.sample(WORDS, 3)).capitalize()} {number}"


def kpi_id(number: int) -> str:
    return f"{called(number).upper().replace(' ', '_')}"


def team(names: int, jobs: int) -> web.Application:
    """As many KPIs and data jobs as are wanted, with the values that a card needs."""
    models = [f"m{number}" for number in range(max(1, -(-names // MODEL_SIZE)))]
    pools = [f"p{number}" for number in range(max(1, -(-jobs // POOL_SIZE)))]
    status = ("SUCCESS",) * 17 + ("FAIL", "FAIL", "RUNNING")
    routes = web.RouteTableDef()
    km, data = "/intelligence/api/knowledge-models", "/integration/api/pools"

    def page(request: web.Request, items: Sequence[Any]) -> web.Response:
        size = int(request.query.get("pageSize", 50))
        start = int(request.query.get("page", 0)) * size
        return web.json_response({"content": items[start : start + size], "pageSize": size})

    def held(model: str) -> range:
        first = models.index(model) * MODEL_SIZE
        return range(first, min(first + MODEL_SIZE, names))

    kpis = {
        model: [{"id": kpi_id(each), "name": called(each), "direction": "Up"} for each in held(model)]
        for model in models
    }
    held_jobs = {
        pool: [
            {"id": f"{pool}-job-{each:05d}", "name": f"{called(each)} load", "dataPoolId": pool}
            for each in range(index * POOL_SIZE, min((index + 1) * POOL_SIZE, jobs))
        ]
        for index, pool in enumerate(pools)
    }

    @routes.get(km)
    async def _models(request: web.Request) -> web.Response:
        return page(request, [{"id": each, "name": f"Model {each}"} for each in models])

    @routes.get(km + "/{model}")
    async def _model(request: web.Request) -> web.Response:
        model = request.match_info["model"]
        return web.json_response({"id": model, "name": f"Model {model}"})

    @routes.get(km + "/{model}/kpis")
    async def _kpis(request: web.Request) -> web.Response:
        return page(request, kpis[request.match_info["model"]])

    @routes.get(km + "/{model}/{other:records|filters}")
    async def _nothing(request: web.Request) -> web.Response:
        return page(request, [])

    @routes.get(km + "/{model}/data")
    async def _data(request: web.Request) -> web.Response:
        asked = request.query["kpis"].split(",")
        headers = [{"id": each, "name": each, "type": "float", "aggregation": True} for each in asked]
        row = dict.fromkeys(asked, 0.5)
        return web.json_response({"content": {"headers": headers, "data": [row]}, "pageSize": 50})

    @routes.get(data)
    async def _pools(_request: web.Request) -> web.Response:
        return web.json_response([{"id": each, "name": f"Pool {each}"} for each in pools])

    @routes.get(data + "/paged")
    async def _pools_paged(request: web.Request) -> web.Response:
        size = int(request.query["limit"])
        start = int(request.query["page"]) * size
        states = [{"id": each, "name": f"Pool {each}", "status": "RUNNING"} for each in pools]
        return web.json_response({"content": states[start : start + size], "pageSize": size})

    @routes.get(data + "/{pool}/jobs")
    async def _jobs(request: web.Request) -> web.Response:
        return web.json_response(held_jobs[request.match_info["pool"]])

    @routes.get(data + "/{pool}/logs/status")
    async def _states(request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "id": each["id"],
                    "status": status[number % len(status)],
                    "lastExecutionStartDate": 1763676000000,
                }
                for number, each in enumerate(held_jobs[request.match_info["pool"]])
            ]
        )

    app = web.Application()
    app.add_routes(routes)
    return app


async def serve(names: int, jobs: int) -> None:
    """Program: the team; prints where it is."""
    runner = web.AppRunner(team(names, jobs), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"at": runner.addresses[0]}), flush=True)
    await asyncio.Event().wait()


# --- the bot ---------------------------------------------------------------------------------------------------


class Nobody:
    """A chat in which everybody is a member."""

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        return Profile(name=person.id, standing=Standing.MEMBER)

    async def file(self, person: Person, file: File) -> str:
        return ""

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        return False


@asynccontextmanager
async def bot_over(names: int, jobs: int) -> AsyncIterator[Built]:
    """A bot over a team of that size."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.growth",
        "--serve",
        str(names),
        str(jobs),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        host, port = json.loads(await process.stdout.readline())["at"]
        settings = Settings.for_demo(
            f"http://{host}:{port}", "k" * 40, zone="Europe/Berlin", secret_key="s" * 40
        )
        wide = {"per_second": PER_SECOND, "per_day": MUCH, "person_share": 1.0, "place_share": 1.0}
        connections = {
            name: each.model_copy(update={"limits": each.limits.model_copy(update=wide)})
            for name, each in settings.connections.items()
        }
        settings = settings.model_copy(
            update={
                "connections": connections,
                "bindings": (*settings.bindings, Binding(slack=HOME, connections=tuple(connections))),
                "chat": ChatLimits(per_minute=MUCH),
            }
        )
        with tempfile.TemporaryDirectory() as folder:
            store = await Store.open(f"sqlite:///{Path(folder) / 'bot.db'}", SystemClock())
            try:
                chats: dict[str, Chat] = {"slack": Nobody()}  # type: ignore[dict-item]  # nothing else of it is asked for
                async with build(settings, chats=chats, store=store) as built:
                    gc.collect()
                    gc.freeze()
                    gc.set_threshold(*COLLECT_AFTER)
                    yield built
            finally:
                gc.unfreeze()
                await store.close()
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


# --- what is measured --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Heartbeat:
    """The longest step of the event loop since it was last asked, in milliseconds.

    Attributes:
        cpu: Processor time of the loop's thread.
        wall: Time that passed, with whatever else this machine did.
    """

    cpu: float = 0.0
    wall: float = 0.0

    async def beat(self) -> None:
        while True:
            cpu, wall = time.thread_time(), time.perf_counter()
            await asyncio.sleep(BEAT)
            self.cpu = max(self.cpu, (time.thread_time() - cpu) * 1e3)
            self.wall = max(self.wall, (time.perf_counter() - wall - BEAT) * 1e3)

    async def during(self, work: Awaitable[Any]) -> tuple[float, float]:
        """The longest step while something is done."""
        await asyncio.sleep(5 * BEAT)
        self.cpu = self.wall = 0.0
        await work
        await asyncio.sleep(5 * BEAT)
        return self.cpu, self.wall


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one kind of request at one size; milliseconds.

    Attributes:
        size: Names or jobs of the team.
        what: Which requests.
        p50: Processor time of each, half of them.
        p99: Nearly all of them.
        wall: Until it was answered, half of them.
        step: The longest step of the event loop, in processor time.
        step_wall: The same as the clock on the wall saw it.
        kept: Megabytes of lists in memory.
    """

    size: int
    what: str
    p50: float
    p99: float
    wall: float
    step: float
    step_wall: float
    kept: float


NUMBERS = itertools.count()


def request(text: str) -> Request:
    place = Place("slack", HOME, "D1", Visibility.PERSONAL)
    return Request(
        id=f"r{next(NUMBERS)}",
        said=Said(text),
        person=Person("slack", HOME, "U1"),
        place=place,
    )


async def answered(built: Built, text: str) -> None:
    """Asks, and waits for the answer."""
    shown: list[Answer] = []

    async def show(answer: Answer) -> None:
        shown.append(answer)

    await built.bot.answer(request(text), show)
    assert shown[-1].card.status is Status.ANSWERED, (text, shown[-1].card)


async def understood(built: Built, text: str) -> None:
    """Finds out what a sentence means, and no more."""

    async def show(answer: Answer) -> None:
        raise AssertionError(answer)

    visit = await built.bot._parts.visit(request(text), show)
    await built.bot._meanings.mean(text, visit)


async def timed(
    built: Built,
    pulse: Heartbeat,
    size: int,
    what: str,
    do: Callable[[Built, str], Awaitable[None]],
    texts: Sequence[str],
) -> Row:
    took: list[float] = []
    passed: list[float] = []

    async def each() -> None:
        for text in texts:
            began, spent = time.perf_counter(), time.thread_time()
            await do(built, text)
            took.append((time.thread_time() - spent) * 1e3)
            passed.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0)

    step, step_wall = await pulse.during(each())
    took.sort()
    kept = sum(each._kept.currsize for each in built.bot._contexts._lists.values()) / 2**20
    p99 = took[int(len(took) * 0.99)]
    return Row(size, what, statistics.median(took), p99, statistics.median(passed), step, step_wall, kept)


async def measure(sizes: Sequence[int], jobs: Sequence[int], asked: int) -> list[Row]:
    found: list[Row] = []
    pulse = Heartbeat()
    beating = asyncio.create_task(pulse.beat())
    for names in sizes:
        chosen = random.Random(names).sample(range(names), min(asked, names))
        exact = [f'kpi "{called(each)}" of Model m{each // MODEL_SIZE}' for each in chosen]
        wrong = [text.replace("e ", "ee ", 1) for text in exact[:5]]
        last = f'kpi "{called(names - 1)}" of Model m{(names - 1) // MODEL_SIZE}'
        async with bot_over(names, 10) as built:
            lists = [f"model Model m{number}" for number in range(-(-names // MODEL_SIZE))]
            found.append(await timed(built, pulse, names, "lists, cold", answered, lists))
            found.append(await timed(built, pulse, names, "kpi, new", understood, exact))
            found.append(await timed(built, pulse, names, "kpi, again", understood, exact))
            found.append(await timed(built, pulse, names, "kpi, misspelt", understood, wrong))
            found.append(await timed(built, pulse, names, "kpi, answered", answered, [last] * asked))
    for count in jobs:
        async with bot_over(10, count) as built:
            found.append(await timed(built, pulse, count, "jobs, cold", answered, ["jobs"]))
            found.append(await timed(built, pulse, count, "jobs", answered, ["jobs"] * min(asked, 50)))
            found.append(
                await timed(built, pulse, count, "jobs of a pool", answered, ["jobs in Pool p0"] * 20)
            )
    beating.cancel()
    return found


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"{'size':>8}  {'':18}{'p50 ms':>9}{'p99 ms':>9}{'wall ms':>10}{'step ms':>9}{'on the wall':>13}{'kept MB':>9}"
    ]
    lines += [
        f"{each.size:>8,}  {each.what:18}{each.p50:9.2f}{each.p99:9.2f}{each.wall:10.2f}{each.step:9.1f}{each.step_wall:13.1f}{each.kept:9.1f}"
        for each in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", type=int, nargs="+", default=[100, 1_000, 10_000, 50_000])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1_000, 5_000])
    parser.add_argument("--asked", type=int, default=300, help="sentences of each kind")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--serve", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(*given.serve))
        return
    rows = asyncio.run(measure(given.names, given.jobs, given.asked))
    print(json.dumps([asdict(each) for each in rows], indent=1) if given.json else table(rows))


if __name__ == "__main__":
    main()
