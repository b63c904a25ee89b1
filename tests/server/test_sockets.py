"""Whoever is slow, broken or many: cut off in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from adapters.http import Deadlines, HttpServer, most_open
from bot import config
from tests.fake_slack import until
from tests.server.towns import CLERK, Town, town

PROJECT = Path(__file__).parents[2]
PATIENT = Deadlines(first_byte=60, headers=60, body=60, idle=60)
SHORT = 0.1
SLACK, TEAMS = "/slack/events", "/api/messages"


def _with_teams(settings: config.Settings) -> config.Settings:
    return settings.model_copy(
        update={
            "teams": config.Teams(app_id="", tenant_id=""),
            "server": settings.server.model_copy(update={"development": True}),
        }
    )


@asynccontextmanager
async def served(deadlines: Deadlines = PATIENT) -> AsyncIterator[Town]:
    """A server for both platforms."""
    async with town(changed=_with_teams, deadlines=deadlines) as here:
        yield here


@dataclass
class Line:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything that comes until the other side ends it."""
        try:
            return await asyncio.wait_for(self.reader.read(), 20)
        except ConnectionError:
            return b""

    async def answer(self) -> bytes:
        """The next answer; empty where the connection ends without one."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        except (ConnectionError, asyncio.IncompleteReadError):
            return b""
        lengths = [each for each in head.split(b"\r\n") if each.lower().startswith(b"content-length:")]
        return head + await self.reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)

    async def status(self) -> int:
        """Of the next answer; 0 where the connection ends without one."""
        said = await self.answer()
        return int(said.split()[1]) if said else 0


@asynccontextmanager
async def line(address: str, source: str = "127.0.0.1") -> AsyncIterator[Line]:
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _post(path: str, *headers: str, length: int = 100) -> bytes:
    said = "\r\n".join((f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}", *headers))
    return said.encode() + b"\r\n\r\n"


JSON = "Content-Type: application/json"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


# --- deadlines ---


async def test_who_connects_and_says_nothing_is_cut_off() -> None:
    async with served(replace(PATIENT, first_byte=SHORT)) as here, line(here.copies[0].address) as silent:
        assert await silent.rest() == b""


@pytest.mark.parametrize("path", [SLACK, TEAMS])
async def test_headers_that_come_one_by_one_are_cut_off_in_the_middle(path: str) -> None:
    async with served(replace(PATIENT, headers=SHORT)) as here, line(here.copies[0].address) as slow:
        await slow.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode())
        while not slow.reader.at_eof():
            await slow.send(b"X-More: yes\r\n")
            with suppress(ConnectionError, TimeoutError):
                assert await asyncio.wait_for(slow.reader.read(1), SHORT / 10) == b""


@pytest.mark.parametrize("path", [SLACK, TEAMS])
async def test_a_body_that_comes_byte_by_byte_is_given_up_with_408(path: str) -> None:
    async with served(replace(PATIENT, body=SHORT)) as here, line(here.copies[0].address) as slow:
        await slow.send(_post(path, JSON))
        answer = asyncio.create_task(slow.status())
        while not answer.done():
            await slow.send(b" ")
            await asyncio.wait({answer}, timeout=SHORT / 10)
        assert answer.result() == 408


async def test_an_idle_connection_is_kept_for_the_next_request_and_not_for_ever() -> None:
    async with served(replace(PATIENT, idle=SHORT)) as here, line(here.copies[0].address) as kept:
        await kept.send(HEALTH)
        assert await kept.status() == 200
        assert await kept.rest() == b""
    async with served(replace(PATIENT, first_byte=SHORT)) as here, line(here.copies[0].address) as kept:
        for _ in range(2):
            await kept.send(HEALTH)
            assert await kept.status() == 200
            await asyncio.sleep(2 * SHORT)


@pytest.mark.parametrize("path", [SLACK, TEAMS])
@pytest.mark.parametrize("said", ["", "P", "POST {path} HTTP/1.1\r\nHost: x\r\n", "whole"])
async def test_a_connection_that_its_caller_half_closes_ends(path: str, said: str) -> None:
    with structlog.testing.capture_logs() as logs:
        async with served() as here, line(here.copies[0].address) as half:
            await half.send(_post(path, JSON) + b"{" if said == "whole" else said.format(path=path).encode())
            half.writer.write_eof()
            assert (await half.rest())[:12] in (b"", b"HTTP/1.1 400")
    assert [each for each in logs if "exc_info" in each or each["log_level"] == "error"] == []


async def test_a_caller_that_leaves_in_the_middle_of_a_body_leaves_no_traceback() -> None:
    with structlog.testing.capture_logs() as logs:
        async with served() as here:
            for path in (SLACK, TEAMS):
                async with line(here.copies[0].address) as gone:
                    await gone.send(_post(path, JSON) + b"{")
                    gone.writer.transport.abort()
                async with line(here.copies[0].address) as odd:
                    await odd.send(
                        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode()
                    )
                    assert await odd.status() in (0, 400)
    assert [each for each in logs if "exc_info" in each or each["log_level"] == "error"] == []


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with served() as here, line(here.copies[0].address) as eager:
        missing = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        await eager.send(HEALTH + missing + HEALTH[:10])
        assert [await eager.status(), await eager.status()] == [200, 404]
        await eager.send(HEALTH[10:])
        assert await eager.status() == 200


# --- room ---


@dataclass
class Small:
    """A server whose answers to `/slow` wait until the test lets them go."""

    server: HttpServer
    address: str
    go: asyncio.Event


@asynccontextmanager
async def small(
    most: int = 3, *, most_of_one: int = 100, proxies: tuple[str, ...] = ()
) -> AsyncIterator[Small]:
    go = asyncio.Event()

    async def slow(_: web.BaseRequest) -> web.Response:
        await go.wait()
        return web.Response(text="done")

    async def quick(request: web.BaseRequest) -> web.Response:
        return web.Response(text=(await request.read()).decode())

    routes = {("GET", "/slow"): slow, ("GET", "/quick"): quick, ("POST", "/quick"): quick}
    server = HttpServer(routes, deadlines=PATIENT, most=most, most_of_one=most_of_one, proxies=proxies)
    try:
        yield Small(server, await server.start("127.0.0.1", 0), go)
    finally:
        go.set()
        await server.close()


async def _until(condition: Callable[[], bool]) -> None:
    await until(condition, 20)


QUICK = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_where_there_is_no_room_who_has_waited_longest_makes_it() -> None:
    async with small() as here, line(here.address) as first, line(here.address) as second:
        await first.send(b"GET /quick HT")
        await second.send(_post("/quick") + b"half")
        await _until(lambda: here.server.open == 2)
        async with line(here.address) as third, line(here.address) as fourth:
            assert await first.rest() == b"", "never more than three"
            await fourth.send(QUICK)
            assert await fourth.status() == 200
            async with line(here.address) as fifth:
                assert await second.rest() == b"", "half a body is waiting too"
                await third.send(QUICK)
                await fifth.send(QUICK)
                assert [await third.status(), await fifth.status()] == [200, 200]


async def test_an_idle_connection_makes_room_only_after_those_that_never_asked() -> None:
    async with small(2) as here, line(here.address) as kept:
        await kept.send(QUICK)
        assert await kept.status() == 200
        async with line(here.address) as silent, line(here.address) as last:
            assert await silent.rest() == b""
            for each in (kept, last):
                await each.send(QUICK)
                assert await each.status() == 200


async def test_what_is_being_answered_never_makes_room() -> None:
    async with small(2) as here, line(here.address) as one, line(here.address) as other:
        for each in (one, other):
            await each.send(SLOW)
        await _until(lambda: here.server.open == 2 and not any(each.waits for each in here.server._open))
        async with line(here.address) as late:
            assert await late.rest() == b""
        here.go.set()
        assert [await one.status(), await other.status()] == [200, 200]


async def test_one_address_may_not_take_all_the_room_unless_it_is_a_proxys() -> None:
    async with small(100, most_of_one=1) as here:
        other, first, second = line(here.address, "127.0.0.2"), line(here.address), line(here.address)
        async with other as elsewhere, first as pushed_out, second as newcomer:
            assert await pushed_out.rest() == b""
            for each in (newcomer, elsewhere):
                await each.send(QUICK)
                assert await each.status() == 200
    async with small(100, most_of_one=1, proxies=("127.0.0.1",)) as here:
        first, second = line(here.address), line(here.address)
        async with first as one, second as another:
            for each in (one, another):
                await each.send(QUICK)
                assert await each.status() == 200


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("10.1.2.3", 1), "10.1.2.3"),
        (("::ffff:10.1.2.3", 1, 0, 0), "10.1.2.3"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_addresses_of_one_household_are_one(peer: object, address: str) -> None:
    from adapters.http import _address

    assert _address(peer) == address


async def test_everything_that_came_to_nothing_is_one_line() -> None:
    async with small() as here:
        async with line(here.address), line(here.address), line(here.address), line(here.address) as last:
            await last.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert await last.status() == 400
        with structlog.testing.capture_logs() as logs:
            here.server.report()
            here.server.report()
    assert [{key: each[key] for key in ("event", "made_room", "no_HTTP")} for each in logs] == [
        {"event": "connections came to nothing", "made_room": 1, "no_HTTP": 1}
    ]


async def test_slow_bodies_are_in_that_line_and_have_none_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.server.REPORT_EVERY", 1.0)
    with structlog.testing.capture_logs() as logs:
        async with served(replace(PATIENT, body=SHORT)) as here:
            async with aiohttp.ClientSession() as session:
                for path in (SLACK, TEAMS):
                    async with line(here.copies[0].address) as slow:
                        await slow.send(_post(path, JSON))
                        assert await slow.status() == 408
                async with session.get(f"{here.copies[0].admin}/metrics") as reply:
                    counted = await reply.text()
            assert 'refused_requests_total{platform="slack",reason="late"} 1.0' in counted
            assert 'refused_requests_total{platform="teams",reason="408"} 1.0' in counted
            await until(lambda: sum(each.get("body_late", 0) for each in logs) == 2)
    assert not any("refused" in each["event"] for each in logs)


FULL = """
import asyncio, resource, sys
from aiohttp import web
from adapters.http import Deadlines, HttpServer, quiet_accept
from adapters.logs import configure

async def main():
    configure(as_json=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    server = HttpServer({}, most=1000, deadlines=Deadlines(60, 60, 60, 60))
    undo = quiet_accept(asyncio.get_running_loop(), server)
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    server.report()
    await server.close()
    await asyncio.sleep(1.2)  # the loop's own second attempt comes after one
    undo()

asyncio.run(main())
"""


async def test_a_server_that_may_open_no_more_files_serves_on_and_writes_one_line() -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FULL),
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        address = (await asyncio.wait_for(program.stdout.readline(), 30)).decode().strip()
        host, _, port = address.removeprefix("http://").rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        async with aiohttp.ClientSession() as session, session.get(f"{address}/nothing") as reply:
            assert reply.status == 404
        _, errors = await asyncio.wait_for(program.communicate(b"\n"), 30)
        for _, writer in held:
            writer.close()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    (said,) = errors.decode().splitlines()
    assert json.loads(said)["out_of_files"] >= 1
    assert json.loads(said)["made_room"] >= 1


def test_connections_take_at_most_half_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    for files, most in ((256, 128), (1024, 512), (1_000_000, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert most_open() == most


# --- what is refused unread, and what is said then ---


async def test_what_the_headers_rule_out_is_refused_before_any_of_it_is_there() -> None:
    async with served() as here, aiohttp.ClientSession() as session:
        for path in (SLACK, TEAMS):
            url = here.copies[0].address + path
            for packing in ("gzip", "GZIP", "br", "zstd", "deflate, gzip", "made-up"):
                async with line(here.copies[0].address) as packed:
                    await packed.send(_post(path, JSON, f"Content-Encoding: {packing}"))
                    assert await packed.status() == 415
            async with line(here.copies[0].address) as large:
                await large.send(_post(path, JSON, length=30_000_000))
                assert await large.status() == 413
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            async with session.post(url, data=gzip.compress(b" " * 50_000_000), headers=headers) as reply:
                assert reply.status == 415
            async with session.post(
                url, data=b"{", headers=headers | {"Content-Encoding": "identity"}
            ) as reply:
                assert reply.status in (400, 401), "identity is no packing"


async def test_no_answer_names_a_version() -> None:
    async with served() as here:
        for raw in (
            HEALTH,
            b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /api/messages HTTP/1.1\r\nHost: x\r\n\r\n",
            _post(SLACK, length=0),
            _post(TEAMS, "Content-Encoding: gzip"),
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: \x00\r\n\r\n",
            b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        ):
            for address in (here.copies[0].address, here.copies[0].admin):
                async with line(address) as asking:
                    await asking.send(raw)
                    said = await asking.answer()
                assert said.startswith(b"HTTP/1.")
                assert b"Server: celonis-chat\r\n" in said
                for word in (b"aiohttp", b"python", b"0.1.0", b"traceback"):
                    assert word not in said.lower(), said


async def test_a_client_of_ours_still_gets_its_answers() -> None:
    async with served() as here:
        assert "(only you)" in await here.says(CLERK, "C1", "models")
