"""Strangers who hold five hundred sockets open, while ten signed requests a second want an answer.

    python -m bench.slow_sockets [--sockets 500] [--files 1024] [--seconds 30] [--json]

The server is what `celonis-chat serve` runs, over a sandbox, in a program of its own that may open so many files. The
strangers are another program: a quarter of them say nothing, a quarter send one header after the other, a quarter a body
byte by byte, and a quarter ask once and keep the connection; whoever is cut off comes back a second later. The requests are slash
commands with Slack's signature, each over a new connection. One counts as answered when its acknowledgement and its answer
have both come within 3 seconds, which is Slack's patience; else it is late.

Once everybody connects directly, the strangers from fifty addresses, and no proxy is declared. Once everybody comes through
a proxy that forwards what it gets, so that all of them have its address. The first run of each has no strangers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from bench.adapters import (
    PEOPLE,
    Json,
    Platforms,
    Send,
    _tell,
    _until_terminated,
    settings_for,
    slack_name,
    slack_sender,
)

RATE = 10
PATIENCE = 3.0
PAUSE = 0.5
"""Seconds between two pieces of what a slow stranger sends."""
HEAD = "POST {path} HTTP/1.1\r\nHost: bot.example.com\r\nContent-Type: application/json\r\n"
PATHS = ("/slack/events", "/api/messages")


# --- the programs ----------------------------------------------------------------------------------------------


async def serve(options: Json) -> None:
    """The server, with its log on standard error."""
    from adapters.logs import configure
    from adapters.server import running
    from bot.sandbox import Sandbox

    resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], options["files"]))
    configure(as_json=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox() as sandbox:
            told = options | {
                "platforms": "both",
                "sandbox": sandbox.url,
                "key": sandbox.keys.operator.secret,
            }
            settings = settings_for(told, folder)
            server = settings.server
            if "trusted_proxies" in type(server).model_fields:
                server = server.model_copy(update={"trusted_proxies": tuple(options["proxies"])})
            async with running(settings.model_copy(update={"server": server})) as here:
                _tell(url=here.address)
                await _until_terminated()


class _End(asyncio.Protocol):
    """One end of a forwarded connection: what arrives here leaves at the other."""

    def __init__(self, port: int | None) -> None:
        self._port = port
        self._early = bytearray()
        self._transport: asyncio.Transport | None = None
        self._other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._port is not None:
            _CONNECTING.add(task := asyncio.create_task(self._connect(self._port)))
            task.add_done_callback(_CONNECTING.discard)

    async def _connect(self, port: int) -> None:
        other = _End(None)
        other._other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, "127.0.0.1", port)
        except OSError:
            self.end()
            return
        self._other = other
        if self._transport is None or self._transport.is_closing():
            other.end()
        elif self._early:
            other.give(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early += data
        else:
            self._other.give(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None:
            self._other.end()

    def give(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()


_CONNECTING: set[asyncio.Task[None]] = set()


async def forward(options: Json) -> None:
    """The proxy."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _End(options["port"]), "127.0.0.1", 0, backlog=1000)
    _tell(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await _until_terminated()
    server.close()


async def hold(options: Json) -> None:
    """The strangers."""
    port, count, opened = options["port"], options["sockets"], [0]
    strangers = [
        asyncio.create_task(_stranger(number, port, spread=options["spread"], opened=opened))
        for number in range(count)
    ]
    _tell(url="")
    await _until_terminated()
    for each in strangers:
        each.cancel()
    await asyncio.gather(*strangers, return_exceptions=True)
    _tell(opened=opened[0])


async def _stranger(number: int, port: int, *, spread: bool, opened: list[int]) -> None:
    source = f"127.0.1.{number % 50 + 1}" if spread else "127.0.0.1"
    head = HEAD.format(path=PATHS[number % 2]).encode()
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        except OSError:
            await asyncio.sleep(PAUSE)
            continue
        opened[0] += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            await _held(number % 4, head, reader, writer)
        writer.close()
        await asyncio.sleep(2 * PAUSE)


async def _held(kind: int, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends as slowly as its kind does, until the other side ends it."""
    first, piece = {
        0: (b"", b""),
        1: (head, b"X-More: yes\r\n"),
        2: (head + b"Content-Length: 100000\r\n\r\n", b" "),
        3: (b"GET /healthz HTTP/1.1\r\nHost: bot.example.com\r\n\r\n", b""),
    }[kind]
    writer.write(first)
    ended = asyncio.create_task(reader.read(-1))
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=PAUSE)
            writer.write(piece)
            await writer.drain()
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


PROGRAMS = {"serve": serve, "forward": forward, "hold": hold}


@asynccontextmanager
async def program(kind: str, log: Path, **options: Any) -> AsyncIterator[Json]:
    """A program of its own; what it said at first, and in the end what it said last."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "bench.slow_sockets",
                "--program",
                kind,
                "--options",
                json.dumps(options),
            ),
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, f"{kind} did not start; its log: {await asyncio.to_thread(log.read_text)}"
        said: Json = json.loads(line)
        yield said
        process.terminate()
        if rest := (await asyncio.wait_for(process.stdout.read(), 40)).strip():
            said |= json.loads(rest)
        await asyncio.wait_for(process.wait(), 40)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# --- the requests ----------------------------------------------------------------------------------------------


async def ask(platforms: Platforms, send: Send, seconds: float) -> list[float | None]:
    """Ten requests a second; the seconds until each was answered, None where that took too long."""

    async def one(number: int) -> float | None:
        who = number % PEOPLE
        answered = platforms.waiting[slack_name(who)] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                await send(who, number)
                await answered
        except (TimeoutError, aiohttp.ClientError, AssertionError, OSError):
            return None
        return time.perf_counter() - began

    began, tasks = time.perf_counter(), []
    for number in range(int(RATE * seconds)):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    return await asyncio.gather(*tasks)


async def measured(*, sockets: int, files: int, seconds: float, proxied: bool) -> Json:
    """One run."""
    platforms = Platforms()
    runner = await platforms.open()
    try:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            log = folder / "server.log"
            proxies = ["127.0.0.1"] if proxied else []
            server = await stack.enter_async_context(
                program("serve", log, url=platforms.url, files=files, proxies=proxies)
            )
            url = server["url"]
            if proxied:
                port = int(url.rpartition(":")[2])
                url = (await stack.enter_async_context(program("forward", folder / "proxy", port=port)))[
                    "url"
                ]
            connector = aiohttp.TCPConnector(force_close=True)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            send = slack_sender(platforms, session, url)
            for _ in range(3):  # everybody is known and the answer is at hand, as on any day
                await ask(platforms, send, PEOPLE / RATE)
            before = log.stat().st_size
            target = {"port": int(url.rpartition(":")[2]), "sockets": sockets, "spread": not proxied}
            async with program("hold", folder / "strangers", **target) as strangers:
                await asyncio.sleep(2.0 if sockets else 0.0)
                times = await ask(platforms, send, seconds)
            written = log.read_bytes()[before:]
            lines = [each for each in written.splitlines() if b'"slack request"' not in each]
    finally:
        await runner.cleanup()
    good = sorted(each for each in times if each is not None)
    return {
        "sockets": sockets,
        "through": "a proxy" if proxied else "nothing",
        "asked": len(times),
        "answered": len(good),
        "late": len(times) - len(good),
        "p50 ms": good[len(good) // 2] * 1000 if good else None,
        "max ms": good[-1] * 1000 if good else None,
        "connections of strangers": strangers["opened"],
        "log bytes": len(written),
        "log bytes about strangers": sum(len(each) + 1 for each in lines),
        "log lines about strangers": len(lines),
    }


def table(rows: list[Json]) -> str:
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        shown = [f"{value:.0f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


async def run(sockets: int, files: int, seconds: float) -> list[Json]:
    return [
        await measured(sockets=count, files=files, seconds=seconds, proxied=proxied)
        for proxied in (False, True)
        for count in (0, sockets)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--files", type=int, default=1024, help="that the server may open")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of one run")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--program", choices=PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program:
        asyncio.run(PROGRAMS[given.program](json.loads(given.options)))
        return
    rows = asyncio.run(run(given.sockets, given.files, given.seconds))
    print(json.dumps(rows, indent=1) if given.json else table(rows))


if __name__ == "__main__":
    main()
