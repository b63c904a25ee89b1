"""Does the Celonis client keep the limits as the server sees them, and what does that cost?

Everything runs on this machine: the sandbox as the server, a network with delays, copies of the client as programs of
their own, PostgreSQL between them. The only judge is the sandbox's request log.

    python -m bench.quota                     all five parts at full length (about an hour)
    python -m bench.quota --part 1 --minutes 2 --requests 5000
    python -m bench.quota --quick             every part, scaled down (a few minutes)
    python -m bench.quota --json result.json
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.network import Network
from bench.programs import KM, MUCH, PER_SECOND, RECORD, Postgres, Program, database, question
from bot.celonis import Caller, CancelRuns, Celonis, JobRun, Lane
from bot.celonis.limits.replicas import slots_of
from bot.config import Connection, KeyType, Limits, Secret
from bot.model.clock import Clock, SystemClock
from bot.model.errors import BotError, QuotaExhausted, RateLimited
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.store import Store
from bot.store.ledger import Ledger as StoredLedger
from tests.fakes import LoopClock, MemoryLedger, VirtualLoop

# --- what the parts have in common -----------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a part found: rows for people, values for programs, and whether what was promised held."""

    part: int
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    held: list[tuple[str, bool]] = field(default_factory=list)

    def show(self) -> None:
        print(f"\n{self.part}. {self.title}")
        widths = [
            max(len(row[index]) for row in (self.columns, *self.rows)) for index in range(len(self.columns))
        ]
        for row in (self.columns, *self.rows):
            print(
                "   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
        for what, held in self.held:
            print(f"   [{'held' if held else 'NOT HELD'}] {what}")


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def judged(arrivals: Sequence[float], window: float) -> tuple[int, int]:
    """Arrivals that were one too many in some window, and the most that any window held."""
    ordered = sorted(arrivals)
    pairs = zip(ordered, ordered[PER_SECOND:], strict=False)
    violations = sum(later - earlier < window for earlier, later in pairs)
    most = begin = 0
    for end, arrival in enumerate(ordered):
        while arrival - ordered[begin] >= window:
            begin += 1
        most = max(most, end - begin + 1)
    return violations, most


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds >= 0.001 else f"{seconds * 1_000_000:.0f} us"


# --- 1. the true window -----------------------------------------------------------------------------------------


@dataclass
class Life:
    """When a copy was alive and running, in monotonic seconds."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    def begin(self) -> None:
        self.spans.append((time.monotonic(), float("inf")))

    def pause(self) -> None:
        begin, _ = self.spans.pop()
        self.spans.append((begin, time.monotonic()))

    def seconds(self, end: float) -> float:
        return sum(min(stop, end) - start for start, stop in self.spans)


def true_window(
    *,
    replicas: int,
    window: float,
    seconds: float,
    requests: int | None,
    address: str,
    server: Postgres | None,
    delay: float,
) -> dict[str, Any]:
    """Copies with more work than they can do; one is killed and started again, one stands still for a while, and the
    database is restarted.
    """
    programs: list[Program] = []
    try:
        sandbox = Program.start("sandbox", "--window", str(window))
        programs.append(sandbox)
        told = sandbox.says()
        network = Program.start("network", "--port", told["url"].rpartition(":")[2], "--delay", str(delay))
        programs.append(network)
        url = f"http://127.0.0.1:{network.says()['port']}"

        def copy(seed: int) -> Program:
            arguments = ["--url", url, "--key", told["key"], "--database", address, "--window", str(window)]
            program = Program.start("work", *arguments, "--replicas", str(replicas), "--seed", str(seed))
            programs.append(program)
            return program

        copies = [copy(number) for number in range(replicas)]
        lives = [Life() for _ in copies]
        for program, life in zip(copies, lives, strict=True):
            program.says()
            life.begin()
        begin = time.monotonic()
        end = begin + seconds

        def wait_until(part: float) -> bool:
            at = begin + part * seconds
            while time.monotonic() < min(at, end):
                time.sleep(min(1.0, max(0.0, at - time.monotonic())))
            return True

        victim, sleeper = 0, replicas - 1
        wait_until(0.2)
        copies[victim].end()
        lives[victim].pause()
        wait_until(0.25)
        copies[victim] = copy(100)
        copies[victim].says()
        lives[victim].begin()
        wait_until(0.4)
        copies[sleeper].send(signal.SIGSTOP)
        lives[sleeper].pause()
        wait_until(0.4 + min(0.1, 30 / seconds))
        copies[sleeper].send(signal.SIGCONT)
        lives[sleeper].begin()
        wait_until(0.6)
        away = 0.0
        if server is not None:
            before = time.monotonic()
            server.restart()
            away = time.monotonic() - before
        if requests is None:
            wait_until(1.0)
        else:
            while _count(told["url"]) < requests:
                time.sleep(1.0)
        finished = time.monotonic()
        arrivals = [entry["received"] for entry in _log(told["url"]) if entry["received"] <= finished]
        rejected = sum(entry["status"] == 429 for entry in _log(told["url"]))
        for program in copies:
            program.send(signal.SIGTERM)
        ended = [program.says() for program in copies]
        trip = statistics.fmean(each["trip"] for each in ended)
        failures: dict[str, int] = {}
        for each in ended:
            for kind, count in each["failures"].items():
                failures[kind] = failures.get(kind, 0) + count
    finally:
        for program in programs:
            program.end()
    violations, most = judged(arrivals, window)
    seconds_alive = [life.seconds(finished) for life in lives]
    # Copies take shares in the order in which they started.
    slots = sum(alive * slots_of(Limits(), replicas, number) for number, alive in enumerate(seconds_alive))
    return {
        "replicas": replicas,
        "window": window,
        "seconds": finished - begin,
        "requests": len(arrivals),
        "violations": violations,
        "most_in_a_window": most,
        "rejected": rejected,
        "trip": trip,
        "yield": len(arrivals) * (window + trip) / slots,
        "yield_of_all_20": len(arrivals) * (window + trip) / (sum(seconds_alive) * PER_SECOND / replicas),
        "database_away": away,
        "failures": failures,
    }


def other_limiter(name: str, *, window: float, seconds: float, delay: float) -> dict[str, Any]:
    """The same work over the same network behind another limiter; nothing goes wrong."""
    programs: list[Program] = []
    try:
        # It would be told 429 and not listen, so this server only notes.
        sandbox = Program.start("sandbox", "--window", str(window), "--per-second", str(MUCH))
        programs.append(sandbox)
        told = sandbox.says()
        network = Program.start("network", "--port", told["url"].rpartition(":")[2], "--delay", str(delay))
        programs.append(network)
        url = f"http://127.0.0.1:{network.says()['port']}"
        worker = Program.start(
            "otherwise", "--url", url, "--key", told["key"], "--window", str(window), "--limiter", name
        )
        programs.append(worker)
        worker.says()
        time.sleep(seconds)
        arrivals = [entry["received"] for entry in _log(told["url"])]
    finally:
        for program in programs:
            program.end()
    violations, most = judged(arrivals, window)
    return {
        "limiter": name,
        "window": window,
        "seconds": seconds,
        "requests": len(arrivals),
        "violations": violations,
        "most_in_a_window": most,
    }


def _log(url: str) -> Iterator[dict[str, Any]]:
    with httpx.stream("GET", f"{url}/__sandbox__/log", trust_env=False, timeout=60) as response:
        for line in response.iter_lines():
            if line:
                yield json.loads(line)


def _count(url: str) -> int:
    verdict = httpx.get(f"{url}/__sandbox__/verdict", trust_env=False, timeout=60).json()
    return int(verdict["requests"])


JUDGED_FROM = 5.0
"""Minutes from which the yield is judged: in a shorter run the faults take most of the time."""


def part_one(options: argparse.Namespace) -> Outcome:
    outcome = Outcome(
        1,
        f"True window: {PER_SECOND} requests in any window, judged by the server's log; 0-200 ms jitter, one copy killed with "
        "-9 and started again, one stopped and continued, the database restarted",
        ("limiter", "copies", "window", "requests", "violations", "most in a window", "yield", "of all 20"),
    )
    delay = 0.1
    with database(options.database) as (address, server):
        runs = [
            {"replicas": replicas, "window": 1.0, "seconds": options.minutes * 60.0, "requests": None}
            for replicas in options.replicas_list
        ]
        if options.requests:
            runs.append(
                {"replicas": 3, "window": 0.1, "seconds": options.requests / 85, "requests": options.requests}
            )
        found = []
        for run in runs:
            result = true_window(**run, address=address, server=server, delay=delay)
            found.append(result)
            outcome.rows.append(
                (
                    "ours",
                    str(result["replicas"]),
                    f"{result['window']} s",
                    f"{result['requests']:,}",
                    str(result["violations"]),
                    str(result["most_in_a_window"]),
                    f"{result['yield']:.1%}",
                    f"{result['yield_of_all_20']:.1%}",
                )
            )
            print("   " + json.dumps(result), file=sys.stderr)
    others = []
    for name in ("aiolimiter", "token bucket"):
        try:
            result = other_limiter(name, window=1.0, seconds=min(120.0, options.minutes * 60.0), delay=delay)
        except RuntimeError:
            outcome.rows.append((f"{name} (not installed)", "1", "1.0 s", "-", "-", "-", "-", "-"))
            continue
        others.append(result)
        outcome.rows.append(
            (
                f"{name}, no faults",
                "1",
                "1.0 s",
                f"{result['requests']:,}",
                str(result["violations"]),
                str(result["most_in_a_window"]),
                "-",
                "-",
            )
        )
    outcome.values = {"ours": found, "others": others}
    outcome.held.append(("no window held more than 20", all(not each["violations"] for each in found)))
    if options.minutes >= JUDGED_FROM:
        outcome.held.append(
            (
                "yield of at least 90 % of n/(window+RTT), n being the slots of the living copies (one of 20 is kept for one-shot commands)",
                all(each["yield"] >= 0.9 for each in found),
            )
        )
    return outcome


# --- 2. a day of questions --------------------------------------------------------------------------------------

MORNING = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 9, 13, 13, 11, 7, 9, 12, 11, 7, 3, 1, 0, 0, 0, 0, 0)
"""Weight of each hour of a working day."""


@dataclass(frozen=True)
class Asked:
    """One question of the day."""

    at: float
    person: str
    number: int


def a_day(*, questions: int, people: int, distinct: int, seed: int, day: int = 0) -> list[Asked]:
    """Questions as people ask them: in office hours, a few of them again and again (Zipf)."""
    dice = random.Random(seed)
    weights = [1 / rank for rank in range(1, distinct + 1)]
    found = []
    for _ in range(questions):
        hour = dice.choices(range(24), HOURS)[0]
        at = day * 86_400 + (hour + dice.random()) * 3600
        found.append(Asked(at, f"person {dice.randrange(people)}", dice.choices(range(distinct), weights)[0]))
    return sorted(found, key=lambda each: each.at)


class Counted(httpx.AsyncBaseTransport):
    """Real sockets in virtual time: while a request is under way, the time stands still."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = httpx.AsyncHTTPTransport(retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._loop.outside += 1
        try:
            response = await self._real.handle_async_request(request)
            await response.aread()
        finally:
            self._loop.outside -= 1
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    async def aclose(self) -> None:
        await self._real.aclose()


Answer = Callable[[Asked], Awaitable[float]]
"""Answers a question; returns the answer's age in seconds."""


@asynccontextmanager
async def ours(sandbox: Sandbox, clock: Clock, loop: VirtualLoop, per_day: int) -> AsyncIterator[Answer]:
    connection = Connection(
        name="bench",
        url=sandbox.url,
        api_token=Secret(sandbox.keys.reader.secret),
        key_type=KeyType.APP_KEY,
        limits=Limits(per_day=per_day),
        sandbox=True,
    )
    celonis = Celonis(connection, clock=clock, ledger=MemoryLedger(clock), transport=Counted(loop))

    async def answer(asked: Asked) -> float:
        caller = Caller(asked.person, "", Lane.PEOPLE, clock.monotonic() + 25.0)
        asking = celonis.on_behalf(caller)
        await asking.record_data(KM, RECORD, question(asked.number))
        return (clock.now() - asking.fetched_at).total_seconds()

    async with celonis:
        yield answer


@asynccontextmanager
async def fixed(sandbox: Sandbox, clock: Clock, loop: VirtualLoop, keeps: float) -> AsyncIterator[Answer]:
    """A client with a plain cache (or none) and no idea of the day."""
    kept: dict[int, float] = {}
    async with httpx.AsyncClient(base_url=sandbox.url, transport=Counted(loop)) as client:

        async def answer(asked: Asked) -> float:
            now = clock.monotonic()
            if asked.number in kept and now - kept[asked.number] <= keeps:
                return now - kept[asked.number]
            response = await client.get(
                f"/intelligence/api/knowledge-models/{KM}/records/{RECORD}/data",
                params={"fields": "material_name", "filterExpr": f"payment_amount gt {asked.number}"},
                headers={"Authorization": sandbox.keys.reader.authorization},
            )
            if response.status_code != 200:
                raise RateLimited("refused")
            kept[asked.number] = now
            return 0.0

        yield answer


def whole_day(
    make: Callable[[Sandbox, Clock, VirtualLoop], Any],
    anchor: str,
    days: Sequence[Sequence[Asked]],
    *,
    per_day: int,
    base: float,
) -> list[dict[str, Any]]:
    """Days of questions in virtual time, over real HTTP."""
    results: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = LoopClock(MORNING - timedelta(seconds=loop.time()))
        switches = Switches(day_anchor=anchor, per_day=per_day)  # type: ignore[arg-type]  # one of its words
        options = SandboxOptions(now=lambda: clock.now().timestamp(), switches=switches)
        async with Sandbox(options) as sandbox, make(sandbox, clock, loop) as answer:
            begun = clock.monotonic()
            for day in days:
                ages: list[float] = []
                refused = 0
                first = len(sandbox.log)

                async def one(asked: Asked) -> None:
                    nonlocal refused
                    try:
                        ages.append(await answer(asked))  # noqa: B023 - all are awaited within this round
                    except BotError:
                        refused += 1

                tasks = []
                for asked in day:
                    await asyncio.sleep(max(0.0, begun + asked.at - clock.monotonic()))
                    tasks.append(asyncio.ensure_future(one(asked)))
                await asyncio.gather(*tasks)
                entries = list(sandbox.log)[first:]
                older = [age for age in ages if age > base]
                results.append(
                    {
                        "answered": len(ages),
                        "within_base": len(ages) - len(older),
                        "older": len(older),
                        "p50": percentile(ages, 0.5),
                        "p99": percentile(ages, 0.99),
                        "oldest": max(ages, default=0.0),
                        "refused": refused,
                        "calls": len(entries),
                        "rejected": sum(entry.status == 429 for entry in entries),
                        "over_quota": max(0, len(entries) - per_day),
                    }
                )

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return results


def part_two(options: argparse.Namespace) -> Outcome:
    outcome = Outcome(
        2,
        f"{options.days} days of {options.people:,} people and {options.questions:,} questions each, {options.distinct} different ones "
        "(Zipf), office hours, 6,000 calls a day, in virtual time over real HTTP",
        (
            "client",
            "day begins",
            "day",
            "within 2 min",
            "older",
            "p50",
            "p99",
            "oldest",
            "refused",
            "calls",
            "over",
            "429",
        ),
    )
    share = options.questions / 20_000
    per_day = int(6000 * share)
    days = [
        a_day(
            questions=options.questions,
            people=options.people,
            distinct=options.distinct,
            seed=5 + day,
            day=day,
        )
        for day in range(options.days)
    ]
    base = 120.0
    clients: list[tuple[str, Callable[[Sandbox, Clock, VirtualLoop], Any], tuple[str, ...]]] = [
        ("ours", lambda box, clock, loop: ours(box, clock, loop, per_day), ("midnight", "06:10", "rolling")),
        ("fixed 2 min", lambda box, clock, loop: fixed(box, clock, loop, 120.0), ("midnight",)),
        ("fixed 5 min", lambda box, clock, loop: fixed(box, clock, loop, 300.0), ("midnight",)),
        ("no cache", lambda box, clock, loop: fixed(box, clock, loop, -1.0), ("midnight",)),
    ]
    good = True
    for name, make, anchors in clients:
        for anchor in anchors:
            results = whole_day(
                make, anchor, days if name == "ours" else days[:1], per_day=per_day, base=base
            )
            outcome.values.setdefault(name, {})[anchor] = results
            for day, found in enumerate(results, start=1):
                outcome.rows.append(
                    (
                        name,
                        anchor,
                        str(day),
                        f"{found['within_base']:,}",
                        f"{found['older']:,}",
                        f"{found['p50']:.0f} s",
                        f"{found['p99']:.0f} s",
                        f"{found['oldest']:.0f} s",
                        f"{found['refused']:,}",
                        f"{found['calls']:,}",
                        f"{found['over_quota']:,}",
                        f"{found['rejected']:,}",
                    )
                )
                if name == "ours":
                    fine = (
                        found["oldest"] <= 1800
                        and not found["refused"] + found["over_quota"] + found["rejected"]
                    )
                    good = good and fine
    outcome.held.append(("no answer older than 30 minutes, none refused, no call over the quota", good))
    return outcome


# --- 3. everybody at once ---------------------------------------------------------------------------------------


async def equal_questions(people: int) -> int:
    """Calls that so many equal questions at the same moment cost."""
    async with Sandbox() as sandbox, _client(sandbox) as celonis:
        asked = [_asking(celonis, f"person {number}") for number in range(people)]
        await asyncio.gather(*(each.record_data(KM, RECORD, question(1)) for each in asked))
        return len(sandbox.log)


async def fairness(rounds: int, *, trip: float, fair: bool) -> list[float]:
    """How long a person waits (until the server has the request) beside one who has 200 questions waiting."""
    clock = SystemClock()
    async with Sandbox() as sandbox:
        network = Network(int(sandbox.url.rpartition(":")[2]), trip / 2, seed=3)
        await network.start()
        waits: list[float] = []
        async with _client(sandbox, f"http://127.0.0.1:{network.port}") as celonis:
            numbers = itertools.count(10_000)

            async def flood() -> None:
                while True:
                    who = "who asks much" if fair else "everybody"
                    await _asking(celonis, who, within=600.0).record_data(KM, RECORD, question(next(numbers)))

            many = [asyncio.ensure_future(flood()) for _ in range(200)]
            await asyncio.sleep(2.0)
            for number in range(rounds):
                begin = clock.monotonic()
                who = "who asks little" if fair else "everybody"
                await _asking(celonis, who, within=600.0).record_data(KM, RECORD, question(number))
                (entry,) = [
                    each
                    for each in sandbox.log
                    if each.query.endswith(f"gt%20{number}&page=0&pageSize=50")
                    or f"gt%20{number}&" in each.query
                ]
                waits.append(entry.received - begin)
                await asyncio.sleep(0.5)
            for each in many:
                each.cancel()
            await asyncio.gather(*many, return_exceptions=True)
        await network.stop()
        return waits


def _asking(
    celonis: Celonis, person: str, *, lane: Lane = Lane.PEOPLE, within: float = 30.0, fresh: bool = False
) -> Any:
    return celonis.on_behalf(Caller(person, "room", lane, SystemClock().monotonic() + within, fresh))


@asynccontextmanager
async def _client(sandbox: Sandbox, url: str | None = None, **limits: Any) -> AsyncIterator[Celonis]:
    connection = Connection(
        name="bench",
        url=url or sandbox.url,
        api_token=Secret(sandbox.keys.operator.secret),
        key_type=KeyType.APP_KEY,
        limits=Limits(**{"person_share": 1.0, "place_share": 1.0, **limits}),
        total_retry=0,
        sandbox=True,
    )
    async with Celonis(connection, clock=SystemClock(), ledger=MemoryLedger(SystemClock())) as celonis:
        yield celonis


def part_three(options: argparse.Namespace) -> Outcome:
    outcome = Outcome(3, "Everybody at once", ("what", "ours", "without taking turns", "promised"))
    people = 200
    calls = asyncio.run(equal_questions(people))
    outcome.rows.append((f"calls for {people} equal questions at once", str(calls), str(people), "1"))
    waits = asyncio.run(fairness(options.rounds, trip=0.1, fair=True))
    first_come = asyncio.run(fairness(2, trip=0.1, fair=False))
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        outcome.rows.append(
            (
                f"wait beside a person with 200 waiting, {name} of {len(waits)} (RTT up to 100 ms, way there included)",
                milliseconds(percentile(waits, part)),
                milliseconds(percentile(first_come, part)),
                "150.0 ms" if name == "p99" else "",
            )
        )
    outcome.values = {"calls": calls, "waits": waits, "first_come_first_served": first_come}
    outcome.held.append(("one call for all who ask the same", calls == 1))
    outcome.held.append(("p99 wait of at most 150 ms", percentile(waits, 0.99) <= 0.150))
    return outcome


# --- 4. at the edge of the quota --------------------------------------------------------------------------------


async def after_a_429(dialect: str) -> dict[str, Any]:
    """The server allows less than the client knows; what arrives between a 429 and the moment it names?"""
    async with Sandbox(SandboxOptions(switches=Switches(reset=dialect, per_second=5))) as sandbox:  # type: ignore[arg-type]  # one of its words
        async with _client(sandbox) as celonis:
            numbers = itertools.count()

            async def person() -> None:
                for _ in range(4):
                    with suppress(BotError):
                        await _asking(celonis, "clerk", within=20.0).record_data(
                            KM, RECORD, question(next(numbers))
                        )

            await asyncio.gather(*(person() for _ in range(20)))
        entries = list(sandbox.log)
    early = 0
    struck = [entry for entry in entries if entry.status == 429]
    for strike in struck:
        seen = (
            strike.received + (strike.took or 0.0) + 0.02
        )  # what was under way when the answer arrived is apart
        # Nonsense and silence name no moment: the window that the server counts is the least that has to pass.
        reset = strike.received + 1.0
        early += sum(seen < entry.received < reset for entry in entries)
    return {"dialect": dialect, "strikes": len(struck), "early": early, "requests": len(entries)}


async def crash_loop(kills: int, per_day: int) -> dict[str, Any]:
    """A copy that is killed again and again in the middle of its work, and starts each time as if new."""
    with tempfile.TemporaryDirectory() as name:
        address = f"sqlite:///{name}/bench.db"
        async with Sandbox(SandboxOptions(switches=Switches(per_day=MUCH, rate_headers="never"))) as sandbox:
            for number in range(kills):
                program = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "bench.programs",
                    "spend",
                    *("--url", sandbox.url, "--key", sandbox.keys.reader.secret, "--database", address),
                    *("--per-day", str(per_day), "--seed", str(number)),
                    stdout=asyncio.subprocess.PIPE,
                )
                assert program.stdout is not None
                await program.stdout.readline()
                await asyncio.sleep(2.2 + 0.13 * (number % 5))
                program.kill()
                await program.wait()
            violations, _ = judged([entry.received for entry in sandbox.log], 1.0)
            return {"kills": kills, "limit": per_day, "requests": len(sandbox.log), "violations": violations}


async def cancel_at_the_end() -> dict[str, Any]:
    """With 95 % of the day spent, people are refused, and a cancel goes through from its question to its outcome."""
    from tests.celonis.test_writes import approved

    switches = Switches(per_day=200, cancel_delay=0.5)
    async with (
        Sandbox(SandboxOptions(switches=switches)) as sandbox,
        _client(sandbox, per_day=200) as celonis,
    ):
        job = sandbox.pools.find("main job")
        pool = next(pool for pool in sandbox.pools if job in pool.jobs)
        people_refused = 0
        for _ in range(200):
            try:
                await _asking(celonis, "clerk", fresh=True).job(pool.id, job.id)
            except QuotaExhausted:
                people_refused += 1
                break
        spent = len(sandbox.log)
        guarded = _asking(celonis, "operator", lane=Lane.GUARDED, fresh=True)
        before = await guarded.job(pool.id, job.id)
        run = JobRun(pool.id, pool.name, job.id, job.name, before.current_execution_id, None, before.status)
        async with approved(CancelRuns("bench", (run,))) as approval:
            await guarded.job(pool.id, job.id)
            await guarded.cancel_job(approval, run)
        status = ""
        for _ in range(5):
            await asyncio.sleep(0.3)
            status = (await guarded.fresh().job(pool.id, job.id)).status
            if status == "CANCEL":
                break
        return {
            "spent_before": spent,
            "limit": 200,
            "people_refused": people_refused,
            "status": status,
            "requests": len(sandbox.log),
            "rejected": len(sandbox.log.where(status=429)),
            "cancels": len(sandbox.log.where(method="POST", path="/cancel")),
        }


def part_four(options: argparse.Namespace) -> Outcome:
    outcome = Outcome(4, "At the edge of the quota", ("what", "found", "promised"))
    strikes = []
    for dialect in ("seconds", "epoch", "iso", "body", "missing", "absurd"):
        found = asyncio.run(after_a_429(dialect))
        strikes.append(found)
        outcome.rows.append(
            (
                f"429 with its reset as {dialect}: requests before it",
                f"{found['early']} after {found['strikes']}",
                "0",
            )
        )
    crashed = asyncio.run(crash_loop(options.kills, options.crash_limit))
    outcome.rows.append(
        (
            f"requests in a crash loop of {crashed['kills']} kills with {crashed['limit']} a day",
            str(crashed["requests"]),
            f"at most {crashed['limit']}",
        )
    )
    cancelled = asyncio.run(cancel_at_the_end())
    outcome.rows.append(
        (
            f"a cancel with {cancelled['spent_before']} of {cancelled['limit']} calls spent",
            f"{cancelled['status']} with {cancelled['cancels']} call, {cancelled['rejected']} refused",
            "CANCEL with 1 call, 0 refused",
        )
    )
    outcome.values = {"after_429": strikes, "crash_loop": crashed, "cancel": cancelled}
    outcome.held.append(
        ("nothing sent before a reset", all(not each["early"] and each["strikes"] for each in strikes))
    )
    outcome.held.append(
        (
            "a crash loop keeps both limits",
            crashed["requests"] <= crashed["limit"] and not crashed["violations"],
        )
    )
    fine = cancelled["status"] == "CANCEL" and cancelled["cancels"] == 1 and cancelled["people_refused"] == 1
    outcome.held.append(("a cancel goes through at 95 %", fine))
    return outcome


# --- 5. the client's own time -----------------------------------------------------------------------------------


async def own_time(calls: int, ledger: str, address: str) -> list[float]:
    """What a call takes beyond the network: everything but the transport."""
    inside = 0.0
    page = {
        "page": 0,
        "pageSize": 50,
        "content": {
            "headers": [{"id": "a", "name": "A", "type": "string"}],
            "data": [{"a": f"value {number}", "b": number, "c": "text " * 4} for number in range(49)],
        },
    }
    content = json.dumps(page).encode()

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal inside
        begin = time.perf_counter()
        response = httpx.Response(200, content=content, headers={"content-type": "application/json"})
        inside = time.perf_counter() - begin
        return response

    clock = SystemClock()
    limits = Limits(per_second=1000, window_seconds=0.0001, per_day=MUCH, person_share=1.0, place_share=1.0)
    connection = Connection(
        name="bench",
        url="https://bench.eu-1.celonis.cloud",
        api_token=Secret("k" * 40),
        key_type=KeyType.USER_KEY,
        limits=limits,
    )
    times = []
    async with await Store.open(address, clock) if address else _nothing() as store:
        books = StoredLedger(store) if store is not None else MemoryLedger(clock)
        async with Celonis(
            connection, clock=clock, ledger=books, transport=httpx.MockTransport(answer)
        ) as celonis:
            for number in range(calls):
                asking = _asking(celonis, "clerk")
                begin = time.perf_counter()
                await asking.record_data(KM, RECORD, question(number))
                times.append(time.perf_counter() - begin - inside)
                await asyncio.sleep(0.002)
            if ledger == "cached":
                times = []
                for _ in range(calls * 5):
                    begin = time.perf_counter()
                    await _asking(celonis, "clerk").record_data(KM, RECORD, question(calls - 1))
                    times.append(time.perf_counter() - begin)
    return times


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield None


def part_five(options: argparse.Namespace) -> Outcome:
    outcome = Outcome(5, "The client's own time, without network", ("what", "p50", "p99"))
    calls = options.calls
    with tempfile.TemporaryDirectory() as name, database(options.database) as (address, _):
        kinds = (
            ("a call, ledger in memory", "memory", ""),
            ("a call, ledger on SQLite (a file, written through)", "sqlite", f"sqlite:///{name}/bench.db"),
            ("a call, ledger on PostgreSQL", "postgresql", address),
            ("an answer from the cache", "cached", ""),
        )
        for title, kind, where in kinds:
            times = asyncio.run(own_time(calls, kind, where))
            outcome.values[kind] = {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
            outcome.rows.append(
                (title, milliseconds(percentile(times, 0.5)), milliseconds(percentile(times, 0.99)))
            )
    held = outcome.values["postgresql"]["p50"] <= 0.010 and outcome.values["postgresql"]["p99"] <= 0.050
    outcome.held.append(("at most 10 ms p50 and 50 ms p99 beyond Celonis' own time", held))
    return outcome


# --- the command ------------------------------------------------------------------------------------------------

PARTS: tuple[Callable[[argparse.Namespace], Outcome], ...] = (
    part_one,
    part_two,
    part_three,
    part_four,
    part_five,
)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    found = argparse.ArgumentParser(prog="python -m bench.quota", description=__doc__.partition("\n")[0])
    found.add_argument(
        "--part", type=int, action="append", choices=range(1, 6), help="only this one; may be repeated"
    )
    found.add_argument(
        "--minutes", type=float, default=10.0, help="of each run of part 1 with the true window"
    )
    found.add_argument("--replicas", dest="replicas_list", type=int, nargs="*", default=[1, 3, 5])
    found.add_argument(
        "--requests", type=int, default=100_000, help="of part 1 with a window of 0.1 s; 0 leaves it out"
    )
    found.add_argument(
        "--database", help="a PostgreSQL to use; else one is started, which can be restarted, too"
    )
    found.add_argument("--questions", type=int, default=20_000, help="a day, in part 2")
    found.add_argument("--people", type=int, default=1000)
    found.add_argument("--distinct", type=int, default=300)
    found.add_argument("--days", type=int, default=2)
    found.add_argument("--rounds", type=int, default=120, help="of the person who asks little, in part 3")
    found.add_argument("--kills", type=int, default=12, help="in part 4")
    found.add_argument("--crash-limit", type=int, default=150)
    found.add_argument("--calls", type=int, default=1000, help="in part 5")
    found.add_argument("--quick", action="store_true", help="everything, scaled down to a few minutes")
    found.add_argument("--json", type=Path, help="also write the figures there")
    return found


def main(arguments: Sequence[str]) -> int:
    """Runs the parts; returns how many promises did not hold."""
    options = parser().parse_args(arguments)
    if options.quick:
        options.minutes, options.requests = min(options.minutes, 0.5), min(options.requests, 3000)
        options.questions, options.days = min(options.questions, 4000), 1
        options.distinct, options.rounds, options.kills, options.calls = 60, 20, 4, 200
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    outcomes = []
    for number, part in enumerate(PARTS, start=1):
        if options.part and number not in options.part:
            continue
        begin = time.monotonic()
        outcome = part(options)
        outcome.values["took_seconds"] = time.monotonic() - begin
        outcome.show()
        outcomes.append(outcome)
    if options.json:
        figures = [
            {"part": each.part, "title": each.title, "values": each.values, "held": dict(each.held)}
            for each in outcomes
        ]
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return sum(not held for each in outcomes for _, held in each.held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
