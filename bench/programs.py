"""The programs that the quota bench starts: a sandbox, a network, copies of the client, and what they run on.

python -m bench.programs <role> [options]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from bench.network import Network
from bot.celonis import Caller, Celonis, DataQuery, Lane
from bot.config import Connection, KeyType, Limits, Secret
from bot.model.clock import SystemClock
from bot.model.errors import BotError
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.store import Store
from bot.store.ledger import Ledger as StoredLedger

KM = "open-purchase-requisition.purchase-requisition-km"
RECORD = "MATERIALS"
PER_SECOND = 20
MUCH = 10**9


def question(number: int) -> DataQuery:
    """One of as many different questions as there are numbers."""
    return DataQuery(fields=("material_name",), expressions=(f"payment_amount gt {number}",))


async def serve_sandbox(window: float, per_second: int) -> None:
    """Program: a sandbox; prints where it is and its reader's key."""
    switches = Switches(per_second=per_second, window=window, per_day=MUCH)
    async with Sandbox(SandboxOptions(switches=switches)) as sandbox:
        print(json.dumps({"url": sandbox.url, "key": sandbox.keys.reader.secret}), flush=True)
        await asyncio.Event().wait()


async def serve_network(port: int, delay: float) -> None:
    """Program: a network in front of it; prints its port."""
    network = Network(port, delay, seed=11)
    await network.start()
    print(json.dumps({"port": network.port}), flush=True)
    await asyncio.Event().wait()


async def work(options: argparse.Namespace) -> None:
    """Program: one copy of the client with more work than it can do; prints when it is ready and what it did."""
    clock = SystemClock()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    limits = Limits(
        per_second=PER_SECOND,
        window_seconds=options.window,
        per_day=MUCH,
        person_share=1.0,
        place_share=1.0,
    )
    connection = Connection(
        name="bench",
        url=options.url,
        api_token=Secret(options.key),
        key_type=KeyType.APP_KEY,
        limits=limits,
        timeout=10.0,
        sandbox=True,
    )
    failures: dict[str, int] = {}
    done = 0
    async with (
        await Store.open(options.database, clock) as store,
        Celonis(connection, clock=clock, ledger=StoredLedger(store), replicas=options.replicas) as celonis,
    ):
        print(json.dumps({"ready": clock.monotonic()}), flush=True)
        numbers = itertools.count(options.seed * 10**7)

        async def person(name: str) -> None:
            nonlocal done
            while not stop.is_set():
                caller = Caller(name, "room", Lane.PEOPLE, clock.monotonic() + 30.0, fresh=True)
                try:
                    await celonis.on_behalf(caller).record_data(KM, RECORD, question(next(numbers)))
                    done += 1
                except BotError as error:
                    kind = type(error).__name__
                    failures[kind] = failures.get(kind, 0) + 1
                    await asyncio.sleep(0.1)

        people = [asyncio.ensure_future(person(f"person {index % 5}")) for index in range(40)]
        await stop.wait()
        for each in people:
            each.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        trips = [call.seconds for call in celonis.recent_calls() if call.status == 200]
    print(
        json.dumps({"done": done, "failures": failures, "trip": statistics.fmean(trips or [0.0])}), flush=True
    )


async def work_otherwise(options: argparse.Namespace) -> None:
    """Program: the same work behind another limiter, for comparison."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    limiter: Any
    if options.limiter == "aiolimiter":
        from aiolimiter import AsyncLimiter

        limiter = AsyncLimiter(PER_SECOND, options.window)
    else:
        limiter = TokenBucket(PER_SECOND, options.window)
    numbers = itertools.count()
    async with httpx.AsyncClient(base_url=options.url, trust_env=False, timeout=10.0) as client:
        print(json.dumps({"ready": time.monotonic()}), flush=True)

        async def person() -> None:
            while not stop.is_set():
                async with limiter:
                    pass
                with suppress(httpx.HTTPError):
                    await client.get(
                        f"/intelligence/api/knowledge-models/{KM}/records/{RECORD}/data",
                        params={
                            "fields": "material_name",
                            "filterExpr": f"payment_amount gt {next(numbers)}",
                        },
                        headers={"Authorization": f"AppKey {options.key}"},
                    )

        people = [asyncio.ensure_future(person()) for _ in range(40)]
        await stop.wait()
        for each in people:
            each.cancel()
        await asyncio.gather(*people, return_exceptions=True)
    print(json.dumps({"done": 0, "failures": {}, "trip": 0.0}), flush=True)


class TokenBucket:
    """As many tokens as requests may be in a window, filled evenly; each request takes one."""

    def __init__(self, most: int, window: float) -> None:
        self._most, self._rate = most, most / window
        self._tokens, self._at = float(most), time.monotonic()

    async def __aenter__(self) -> None:
        while True:
            now = time.monotonic()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / self._rate)

    async def __aexit__(self, *_: object) -> None:
        return None


class Program:
    """A program of ours that prints JSON lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @classmethod
    def start(cls, *arguments: str) -> Program:
        root = Path(__file__).parent.parent
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "bench.programs", *arguments], stdout=subprocess.PIPE, text=True, cwd=root
        )
        return cls(process)

    def says(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a program of the bench ended with {self.process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait()


class Postgres:
    """A PostgreSQL server of the bench's own, so that it can be restarted without anybody else noticing."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self._folder, self._tools = folder, tools
        self.port = 0

    @classmethod
    def found(cls) -> Path | None:
        """Where the server's programs are."""
        known = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
        anywhere = shutil.which("pg_ctl")
        return known[0].parent if known else Path(anywhere).parent if anywhere else None

    def _run(self, *command: str) -> None:
        # The server refuses to run as root.
        user = "postgres" if os.getuid() == 0 else None
        with (self._folder / "bench.log").open("a") as log:
            subprocess.run(command, check=True, user=user, stdout=log, stderr=log)  # noqa: S603 - fixed programs

    def start(self) -> None:
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._run(
            str(self._tools / "initdb"), "-D", str(self._folder / "data"), "-A", "trust", "-U", "bench", "-N"
        )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        self._options = options
        self._run(str(self._tools / "pg_ctl"), "-D", str(self._folder / "data"), "-w", "-o", options, "start")

    def restart(self) -> None:
        """Immediately, as in a crash."""
        self._run(
            str(self._tools / "pg_ctl"),
            "-D",
            str(self._folder / "data"),
            "-w",
            "-m",
            "immediate",
            "-o",
            self._options,
            "restart",
        )

    def stop(self) -> None:
        self._run(str(self._tools / "pg_ctl"), "-D", str(self._folder / "data"), "-m", "immediate", "stop")

    @property
    def address(self) -> str:
        return f"postgresql://bench@127.0.0.1:{self.port}/postgres"


@contextmanager
def database(given: str | None) -> Iterator[tuple[str, Postgres | None]]:
    """A server of our own; else the one that was named, which is then not restarted."""
    tools = Postgres.found()
    if given or tools is None:
        if not given:
            raise SystemExit("PostgreSQL is not installed here; name a server with --database.")
        yield given, None
        return
    with tempfile.TemporaryDirectory(prefix="bench-quota-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = Postgres(Path(name), tools)
        server.start()
        try:
            yield server.address, server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop()


async def spend(options: argparse.Namespace) -> None:
    """Program: spends as much as it is allowed to, until it is killed."""
    clock = SystemClock()
    async with await Store.open(options.database, clock) as store:
        connection = Connection(
            name="bench",
            url=options.url,
            api_token=Secret(options.key),
            key_type=KeyType.APP_KEY,
            limits=Limits(per_day=options.per_day, person_share=1.0, place_share=1.0),
            sandbox=True,
        )
        async with Celonis(connection, clock=clock, ledger=StoredLedger(store)) as celonis:
            print("ready", flush=True)
            numbers = itertools.count(options.seed * 10**6)
            while True:

                async def one() -> None:
                    caller = Caller("clerk", "room", Lane.PEOPLE, clock.monotonic() + 30.0)
                    with suppress(BotError):
                        await celonis.on_behalf(caller).record_data(KM, RECORD, question(next(numbers)))

                await asyncio.gather(*(one() for _ in range(20)))


def programs(arguments: Sequence[str]) -> None:
    """The programs that the bench starts."""
    found = argparse.ArgumentParser()
    found.add_argument("role", choices=["sandbox", "network", "work", "otherwise", "spend"])
    for name, kind, default in (
        ("window", float, 1.0),
        ("per-second", int, PER_SECOND),
        ("per-day", int, 6000),
        ("port", int, 0),
        ("delay", float, 0.0),
        ("url", str, ""),
        ("key", str, ""),
        ("database", str, ""),
        ("limiter", str, ""),
        ("replicas", int, 1),
        ("seed", int, 0),
    ):
        found.add_argument(f"--{name}", type=kind, default=default)
    options = found.parse_args(arguments)
    match options.role:
        case "sandbox":
            running = serve_sandbox(options.window, options.per_second)
        case "network":
            running = serve_network(options.port, options.delay)
        case "work":
            running = work(options)
        case "otherwise":
            running = work_otherwise(options)
        case _:
            running = spend(options)
    asyncio.run(running)


if __name__ == "__main__":
    programs(sys.argv[1:])
