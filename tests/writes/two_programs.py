"""Two programs on one database, and every question is answered with yes in both at the same moment.

    python -m tests.writes.two_programs [--tickets 1000]

The sandbox's log is the judge: each job was told to stop once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from adapters.server import Built, build
from bot import config
from bot.model.clock import SystemClock
from bot.model.people import Clicked, Request, Said
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.sandbox.content import DATA
from bot.store import Store
from bot.store.tickets import Outcome, load
from tests.store.databases import postgresql
from tests.story import DIRECT, HOME, OPERATOR, SECRET_KEY, StoryChat, answers_to

AT_ONCE = 8
"""Clicks that a program works on at the same time."""
POOL_SIZE = 100
FAR = 1_000_000
"""A limit that none of this reaches: what is looked at is how often, not how fast."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the questions.

    Attributes:
        asked: How many there were.
        clicks: Answers that were given to them.
        calls: How many jobs were told to stop so many times.
        ended: How many questions ended so.
    """

    asked: int
    clicks: int
    calls: dict[int, int]
    ended: dict[str, int]

    @property
    def one_each(self) -> bool:
        """Whether each question led to one call, and to a stopped job."""
        return self.calls == {1: self.asked} and self.ended == {Outcome.STOPPED.value: self.asked}


def team(folder: Path, jobs: int) -> Path:
    """The sandbox's own team with that many jobs that run."""
    shutil.copytree(str(DATA), folder, dirs_exist_ok=True)
    running = [
        {"name": f"Load {number}", "stages": [], "runs": [{"at": -600, "lasts": 36_000}]}
        for number in range(jobs)
    ]
    pools = [
        {"id": f"p{start}", "name": f"Plant {start}", "description": "", "jobs": part, "dataModels": []}
        for start in range(0, jobs, POOL_SIZE)
        if (part := running[start : start + POOL_SIZE])
    ]
    (folder / "pools.json").write_text(json.dumps(pools), "utf-8")
    return folder


@asynccontextmanager
async def program(sandbox: str, key: str, database: str, ids: str) -> AsyncIterator[Built]:
    """One of several copies of a bot."""
    settings = config.Settings.for_demo(sandbox, key, zone="Europe/Berlin", secret_key=SECRET_KEY)
    limits = config.Limits(per_second=1000, per_day=FAR, person_share=1, place_share=1)
    settings = settings.model_copy(
        update={
            "connections": {
                name: each.model_copy(update={"limits": limits})
                for name, each in settings.connections.items()
            },
            "bindings": (config.Binding(slack=HOME, connections=tuple(settings.connections)),),
            "policy": (
                config.Rule(
                    name="operators",
                    who=config.Who(slack=(f"{HOME}:{OPERATOR.id}",)),
                    may=(config.Right.CANCEL,),
                ),
            ),
            "chat": settings.chat.model_copy(update={"per_minute": FAR}),
            "replicas": 2,
        }
    )
    clock, numbers = SystemClock(), itertools.count()
    async with (
        await Store.open(database, clock, secret_keys=[SECRET_KEY.encode()]) as store,
        build(
            settings,
            chats={"slack": StoryChat()},
            store=store,
            clock=clock,
            token=lambda: f"{ids}-{next(numbers):016d}",
        ) as built,
    ):
        yield built


def _click(where: tuple[str, str, str], ids: str, keys: Sequence[str], start: Barrier) -> None:
    async def clicked() -> None:
        async with program(*where, ids) as built:
            turn = asyncio.Semaphore(AT_ONCE)
            await asyncio.to_thread(start.wait, 60)

            async def one(number: int, key: str) -> None:
                async with turn:
                    said = Clicked(confirm=key)
                    await answers_to(built.bot, Request(f"{ids}{number}", said, OPERATOR, DIRECT))

            await asyncio.gather(*(one(*each) for each in enumerate(keys)))

    asyncio.run(clicked())


async def _end(store: Store, key: str) -> str:
    ticket = await load(store, key)
    return ticket.outcome.value if ticket and ticket.outcome else "none"


async def race(tickets: int) -> Tally:
    """Asks that many questions and answers each in two programs at once."""
    switches = Switches(
        cancel_delay=0.2, per_second=FAR, per_day=FAR, run_duration=36_000.0, rate_headers="never"
    )
    with tempfile.TemporaryDirectory() as folder:
        data = team(Path(folder) / "team", tickets)
        async with Sandbox(SandboxOptions(data=data, switches=switches)) as sandbox, postgresql() as database:
            where = (sandbox.url, sandbox.keys.operator.secret, database)
            async with program(*where, "asked") as built:
                for number in range(tickets):
                    sentence = f'cancel "Load {number}" in "Plant {number - number % POOL_SIZE}"'
                    await answers_to(built.bot, Request(f"r{number}", Said(sentence), OPERATOR, DIRECT))
                keys = [each.id for each in await built.tickets.open_in(DIRECT.key)]
            spawn = multiprocessing.get_context("spawn")
            start = spawn.Barrier(2)
            both = [spawn.Process(target=_click, args=(where, each, keys, start)) for each in "ab"]
            for each in both:
                each.start()
            for each in both:
                await asyncio.to_thread(each.join)
            assert not any(each.exitcode for each in both)
            async with await Store.open(database, SystemClock(), secret_keys=[SECRET_KEY.encode()]) as store:
                ended = Counter([await _end(store, key) for key in keys])
            stops = [each.path for each in sandbox.log if each.path.endswith("/cancel")]
    return Tally(len(keys), 2 * len(keys), dict(Counter(Counter(stops).values())), dict(ended))


def main() -> None:
    """Prints what became of the questions, and fails where one led to another number of calls than one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tickets", type=int, default=1_000)
    tally = asyncio.run(race(parser.parse_args().tickets))
    print(  # noqa: T201 - a program that speaks on standard output
        f"{tally.asked} questions, {tally.clicks} clicks in two programs; "
        f"jobs by stops that reached them: {tally.calls}; outcomes: {tally.ended}"
    )
    sys.exit(not tally.one_each)


if __name__ == "__main__":
    main()
