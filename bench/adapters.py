"""Our Slack and Teams adapters beside the stock SDKs, on this machine, everything in one run.

    python -m bench.adapters [--seconds 4] [--rounds 3] [--minutes 1] [--only slack|teams|ack|start] [--json]

Each server is a program of its own. Ours is `celonis-chat serve` as an admin starts it, with its log and the audit rows of
reads, over a sandbox in yet another program. The baselines do nothing but send the same card the same way, over one HTTP
session. This program generates the load and plays both platforms. A request counts as done when its acknowledgement *and*
its answer have arrived, so that nobody gains by answering later. Rounds alternate, and the median one counts.

- Slack: a slash command `kpi …` and one `jobs`, both answered through their response_url, and the same `kpi …` as a direct
  message, answered by `chat.postMessage`; all from our cache. Beside it a bolt `AsyncApp` with `process_before_response` and
  lazy listeners.
- Teams: an unsigned message with the `kpi …`; beside it a stock `CloudAdapter.process` that echoes the same card.
- For both, our adapter alone as well: the same listener before a bot that remembers each answer, so that the difference to
  "ours" is what reading the sentence, resolving its names and asking the policy take.
- Acknowledgements while Celonis is dead: 83 slash commands a second, whatever comes back, in ten windows.
- Start: from exec to the first 200 of `/readyz`, Slack alone, over a database that is there. Memory: after so many minutes of 83
  commands a second.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

Json: TypeAlias = dict[str, Any]

TENANT = "7e4a9c2b-0000-4000-8000-000000000001"
SECRET = "signing-secret-of-the-bench"  # noqa: S105 - made up
TOKEN = "xoxb-1-made-up-for-the-bench"  # noqa: S105 - made up
QUESTION = "kpi On-time delivery of Order to Cash by Plant"
PEOPLE = 32
PATIENCE = 30.0
RATE = 83


# --- both platforms --------------------------------------------------------------------------------------------


class Platforms:
    """Slack's Web API and Teams' connector, as little of them as the bots need; knows who waits for an answer."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.cards: dict[str, Json] = {}
        self.url = ""
        self._numbers = itertools.count(1)

    async def open(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path = request.path
        if path.startswith("/v3/"):
            return self._teams(request.method, path, body)
        if path.startswith("/hooks/"):
            self._arrived(path.rpartition("/")[2], "slack", json.loads(body))
            return web.Response(text="ok")
        return web.json_response(self._slack(path.removeprefix("/api/"), request, body))

    def _teams(self, method: str, path: str, body: bytes) -> web.Response:
        conversation = path.split("/")[3]
        if method == "GET":
            number = path.rpartition(":")[2]
            return web.json_response(person(int(number)))
        said = json.loads(body)
        if said.get("type") == "message":
            self._arrived(conversation, "teams", said)
        return web.json_response({"id": f"m{next(self._numbers)}"}, status=201)

    def _slack(self, method: str, request: web.BaseRequest, body: bytes) -> Json:
        if request.content_type == "application/json":
            said: Json = json.loads(body)
        else:
            from urllib.parse import parse_qsl

            said = dict(parse_qsl(body.decode()))
        match method:
            case "auth.test":
                return {"ok": True, "team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT", "url": self.url}
            case "users.info":
                return {
                    "ok": True,
                    "user": {
                        "id": said["user"],
                        "team_id": "T1",
                        "name": said["user"],
                        "profile": {"email": f"{said['user']}@example.com", "real_name": said["user"]},
                        "is_bot": False,
                        "is_restricted": False,
                        "is_ultra_restricted": False,
                        "is_stranger": False,
                        "tz": "Europe/Berlin",
                    },
                }
            case "conversations.open":
                return {"ok": True, "channel": {"id": f"D{said['users'][1:]}"}}
            case "conversations.info":
                return {"ok": True, "channel": {"id": said["channel"], "is_im": True}}
            case "chat.postMessage" | "chat.postEphemeral":
                self._arrived(str(said["channel"]), "slack", said)
                number = f"1700000000.{next(self._numbers):06d}"
                return {"ok": True, "channel": said["channel"], "ts": number, "message_ts": number}
            case _:
                return {"ok": True}

    def _arrived(self, whom: str, platform: str, said: Json) -> None:
        self.cards[platform] = said
        waiting = self.waiting.pop(whom, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


def person(number: int) -> Json:
    return {
        "id": f"29:{number}",
        "name": f"clerk {number}",
        "aadObjectId": f"0b1ec700-0000-4000-8000-{number:012d}",
        "email": f"clerk{number}@example.com",
        "tenantId": TENANT,
        "userRole": "user",
    }


# --- load ------------------------------------------------------------------------------------------------------

Send: TypeAlias = Callable[[int, int], Awaitable[float]]
"""One request of a person with a number; gives the seconds until it was acknowledged."""


def _signed(body: str, kind: str) -> dict[str, str]:
    moment = str(int(time.time()))  # noqa: TID251 - the true time is what a signature holds
    signature = hmac.new(SECRET.encode(), f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": f"v0={signature}",
    }


def slack_sender(
    platforms: Platforms, session: aiohttp.ClientSession, server: str, text: str = QUESTION
) -> Send:
    """Sends a slash command."""

    async def send(who: int, number: int) -> float:
        fields = {
            "command": "/celonis",
            "text": text,
            "user_id": f"U{who:04d}",
            "user_name": f"clerk{who}",
            "team_id": "T1",
            "channel_id": f"D{who:04d}",
            "channel_name": "directmessage",
            "trigger_id": f"1.{number}.{secrets.token_hex(8)}",
            "response_url": f"{platforms.url}/hooks/D{who:04d}",
            "api_app_id": "A1",
        }
        body = urlencode(fields)
        headers = _signed(body, "application/x-www-form-urlencoded")
        return await _acknowledged(session, f"{server}/slack/events", body, headers)

    return send


def direct_sender(session: aiohttp.ClientSession, server: str) -> Send:
    """Writes to the bot in Slack, in the conversation that is theirs."""

    async def send(who: int, number: int) -> float:
        said = {
            "type": "message",
            "channel": f"D{who:04d}",
            "channel_type": "im",
            "user": f"U{who:04d}",
            "team": "T1",
            "text": QUESTION,
            "ts": f"17{number:08d}.{who:06d}",
        }
        body = json.dumps(
            {
                "type": "event_callback",
                "team_id": "T1",
                "api_app_id": "A1",
                "event": said,
                "event_id": f"Ev{number}{secrets.token_hex(8)}",
                "event_time": 1700000000,
                "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
            }
        )
        return await _acknowledged(session, f"{server}/slack/events", body, _signed(body, "application/json"))

    return send


async def _acknowledged(
    session: aiohttp.ClientSession, address: str, body: str, headers: dict[str, str]
) -> float:
    began = time.perf_counter()
    async with session.post(address, data=body, headers=headers) as reply:
        said = await reply.text()
        assert reply.status == 200, f"{reply.status}: {said}"
    return time.perf_counter() - began


def teams_sender(platforms: Platforms, session: aiohttp.ClientSession, server: str) -> Send:
    async def send(who: int, number: int) -> float:
        account = person(who)
        body = {
            "type": "message",
            "id": f"{number}-{secrets.token_hex(6)}",
            "channelId": "msteams",
            "serviceUrl": platforms.url,
            "from": {each: account[each] for each in ("id", "name", "aadObjectId")},
            "recipient": {"id": "28:bot", "name": "Celonis"},
            "conversation": {"id": f"a-{who}", "conversationType": "personal", "tenantId": TENANT},
            "channelData": {"tenant": {"id": TENANT}},
            "text": QUESTION,
        }
        began = time.perf_counter()
        async with session.post(f"{server}/api/messages", json=body) as reply:
            assert reply.status < 300, reply.status
            await reply.read()
        return time.perf_counter() - began

    return send


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: requests a second, milliseconds until answer and acknowledgement, and milliseconds of processor time that
    the server took for each request, which others on the machine hardly change.
    """

    rate: float
    p50: float
    p99: float
    ack_p99: float
    cpu: float


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000


async def load(
    platforms: Platforms,
    send: Send,
    server: Program,
    name: Callable[[int], str],
    at_once: int,
    seconds: float,
) -> Measured:
    """So many people, each of whom asks again as soon as the answer is there."""
    done: list[float] = []
    acks: list[float] = []
    before = server.cpu()
    began = time.perf_counter()

    async def one(who: int) -> None:
        number = 0
        while time.perf_counter() - began < seconds:
            number += 1
            answered = platforms.waiting[name(who)] = asyncio.get_running_loop().create_future()
            asked = time.perf_counter()
            acks.append(await send(who, number))
            await asyncio.wait_for(answered, PATIENCE)
            done.append(time.perf_counter() - asked)

    await asyncio.gather(*(one(who) for who in range(at_once)))
    passed = time.perf_counter() - began
    return Measured(
        len(done) / passed,
        quantile(done, 0.5),
        quantile(done, 0.99),
        quantile(acks, 0.99),
        (server.cpu() - before) * 1000 / len(done),
    )


async def acknowledgements(send: Send, seconds: float) -> tuple[float, float]:
    """Sends at a steady rate, whatever comes back; p50 and p99 of the acknowledgement in milliseconds."""
    acks: list[float] = []

    async def one(number: int) -> None:
        acks.append(await send(number % PEOPLE, number))

    async with asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            group.create_task(one(number))
    return quantile(acks, 0.5), quantile(acks, 0.99)


# --- servers, each a program of its own ------------------------------------------------------------------------


@dataclass(slots=True)
class Program:
    """A server that runs: its address, how long it took to be ready, and what it says of itself."""

    process: asyncio.subprocess.Process
    url: str
    ready: float
    said: Json

    def memory(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    def cpu(self) -> float:
        """Seconds of processor time so far; unlike the time on the clock, others on the machine hardly change them."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def program(kind: str, log: Path | None = None, **options: Any) -> AsyncIterator[Program]:
    """Starts one of `SERVERS`; what it writes to standard error goes to `log`, else to nowhere."""
    command = (sys.executable, "-m", "bench.adapters", "--serve", kind, "--options", json.dumps(options))
    async with _running(command, {}, log) as (process, began):
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, f"{kind} did not start; set BENCH_ERRORS=1 to see why"
        said = json.loads(line)
        yield Program(process, said["url"], time.perf_counter() - began, said)


@asynccontextmanager
async def bot(
    folder: Path, *, both: bool, url: str, sandbox: str, log: Path | None = None
) -> AsyncIterator[Program]:
    """`celonis-chat serve`, with its database in a folder; ready as soon as it says so itself."""
    port, admin = _free_ports(2)
    settings = folder / "celonis-chat.toml"
    bound = [{"slack": "T1"}, *([{"teams": TENANT}] if both else [])]
    bindings = [
        f'[[bindings]]\n{platform} = "{home}"\nconnections = ["default"]'
        for each in bound
        for platform, home in each.items()
    ]
    development = "\n[server]\ndevelopment = true" if both else ""
    settings.write_text(
        'zone = "Europe/Berlin"\n[chat]\nper_minute = 10000000\n[audit]\nreads = true\n'
        f"{development}\n" + "\n".join(bindings)
    )
    given = {
        "CELONIS_CHAT_SECRET_KEY": secrets.token_hex(32),
        "DATABASE_URL": f"sqlite:///{folder}/bench.db",
        "SLACK_BOT_TOKEN": TOKEN,
        "SLACK_SIGNING_SECRET": SECRET,
        "SLACK_API_URL": f"{url}/api/",
    }
    command = (
        *(sys.executable, "-m", "adapters.cli", "serve", "--settings", str(settings)),
        *("--sandbox-url", sandbox, "--port", str(port), "--admin-port", str(admin)),
    )
    async with _running(command, given, log) as (process, began):
        await _ready(process, admin)
        yield Program(process, f"http://127.0.0.1:{port}", time.perf_counter() - began, {})


@asynccontextmanager
async def _running(
    command: tuple[str, ...], environ: dict[str, str], log: Path | None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, float]]:
    errors: int | None = subprocess.DEVNULL
    inherited = dict(os.environ)  # noqa: TID251 - of a program that is started
    if log is not None:
        errors = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    elif "BENCH_ERRORS" in inherited:
        errors = None
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        env=inherited | environ,
    )
    if log is not None and errors is not None:
        os.close(errors)
    try:
        yield process, began
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]


async def _ready(process: asyncio.subprocess.Process, admin: int) -> None:
    """Until `/readyz` says 200. Raw, since a client of some thirty attempts a second would take the machine away."""
    while True:
        assert process.returncode is None, "celonis-chat did not start; set BENCH_ERRORS=1 to see why"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", admin)
            writer.write(b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            line = await reader.readline()
            writer.close()
            if b" 200 " in line:
                return
        except OSError:
            pass
        await asyncio.sleep(0.01)


def _tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


async def _until_terminated() -> None:
    import signal

    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    await stopped.wait()


async def serve_sandbox(options: Json) -> None:
    from bot.sandbox import Sandbox, SandboxOptions, Switches

    switches = Switches(per_second=int(options.get("per_second", 100_000)), rate_headers="429")
    async with Sandbox(SandboxOptions(switches=switches)) as sandbox:
        _tell(url=sandbox.url, key=sandbox.keys.operator.secret)
        await _until_terminated()


def settings_for(options: Json, folder: str) -> Any:
    """Settings for both platforms or for Slack alone, with the database in a file."""
    from bot import config

    settings = config.Settings.for_demo(
        options["sandbox"],
        options["key"],
        zone="Europe/Berlin",
        secret_key=secrets.token_hex(32),
    )
    names = tuple(settings.connections)
    teams = options["platforms"] == "both"
    return settings.model_copy(
        update={
            "bindings": (
                config.Binding(slack="T1", connections=names),
                config.Binding(teams=TENANT, connections=names),
            ),
            "chat": config.ChatLimits(per_minute=10_000_000),
            "audit": settings.audit.model_copy(update={"reads": True}),
            "database_url": config.Secret(f"sqlite:///{folder}/bench.db"),
            "slack": config.Slack(
                bot_token=config.Secret(TOKEN),
                signing_secret=config.Secret(SECRET),
                api_url=f"{options['url']}/api/",
            ),
            "teams": config.Teams(app_id="", tenant_id="") if teams else None,
            "server": config.Server(development=teams, port=0, admin_port=0),
        }
    )


def _be_quiet() -> None:
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class _Remembering:
    """A bot that answers a sentence as it did the first time."""

    def __init__(self, bot: Any) -> None:
        self._bot = bot
        self._known: dict[tuple[str, Any], list[Any]] = {}

    async def answer(self, request: Any, show: Callable[[Any], Awaitable[None]]) -> None:
        key = (request.person.key, request.said)
        if key not in self._known:
            answers: list[Any] = []

            async def note(answer: Any) -> None:
                answers.append(answer)

            await self._bot.answer(request, note)
            self._known[key] = answers
        for answer in self._known[key]:
            await show(answer)

    async def attach(self, ticket_id: str, ref: Any) -> None:
        await self._bot.attach(ticket_id, ref)


async def serve_adapter(options: Json) -> None:
    """Our two listeners before a bot that remembers."""
    from adapters import server as serve

    _be_quiet()
    measured = vars(serve)["Measured"]
    vars(serve)["Measured"] = lambda bot, *rest: measured(_Remembering(bot), *rest)
    with tempfile.TemporaryDirectory() as folder:
        async with serve.running(settings_for(options, folder)) as server:
            _tell(url=server.address)
            await _until_terminated()


def _read(path: str) -> Json:
    return dict(json.loads(Path(path).read_text(encoding="utf-8")))


async def _listen(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _tell(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    await _until_terminated()
    await runner.cleanup()


async def serve_bolt(options: Json) -> None:
    """Bolt as its documentation has it for servers that must answer at once, and one HTTP session for what it sends."""
    from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_client import AsyncWebClient

    cards = {name: _read(path) for name, path in options["cards"].items()}
    session = aiohttp.ClientSession()
    address = f"{options['url']}/api/"
    # bolt copies its own client for each lazy listener, and a session cannot be copied.
    client = AsyncWebClient(token=TOKEN, base_url=address, session=session)
    bolt = AsyncApp(
        client=AsyncWebClient(token=TOKEN, base_url=address),
        signing_secret=SECRET,
        process_before_response=True,
    )

    async def acknowledge(ack: Any) -> None:
        await ack()

    async def command(body: Json) -> None:
        card = cards["jobs" if body["text"] == "jobs" else "kpi"]
        async with session.post(body["response_url"], json=card) as reply:
            await reply.read()

    async def message(event: Json) -> None:
        card = cards["direct"]
        await client.chat_postMessage(channel=event["channel"], text=card["text"], blocks=card["blocks"])

    bolt.command("/celonis")(ack=acknowledge, lazy=[command])
    bolt.event("message")(ack=acknowledge, lazy=[message])

    async def receive(request: web.Request) -> web.Response:
        reply: web.Response = await to_aiohttp_response(
            await bolt.async_dispatch(await to_bolt_request(request))
        )
        return reply

    app = web.Application()
    app.router.add_post("/slack/events", receive)
    await _listen(app)
    await session.close()


async def serve_stock(options: Json) -> None:
    """A stock botbuilder bot that sends one card back."""
    from botbuilder.core import TurnContext
    from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
    from botbuilder.schema import Activity, Attachment

    card = _read(options["card"])
    (attached,) = card["attachments"]

    class Configuration:
        APP_ID = ""
        APP_PASSWORD = ""
        APP_TYPE = "MultiTenant"

    class Echo:
        async def on_turn(self, context: TurnContext) -> None:
            shown = Attachment(content_type=attached["contentType"], content=attached["content"])
            await context.send_activity(
                Activity(type="message", attachments=[shown], summary=card.get("summary"))
            )

    adapter = CloudAdapter(ConfigurationBotFrameworkAuthentication(Configuration()))

    async def receive(request: web.Request) -> web.StreamResponse:
        reply: web.StreamResponse = await adapter.process(request, Echo())
        return reply

    app = web.Application()
    app.router.add_post("/api/messages", receive)
    await _listen(app)


SERVERS = {
    "sandbox": serve_sandbox,
    "adapter": serve_adapter,
    "bolt": serve_bolt,
    "stock": serve_stock,
}


# --- one run ---------------------------------------------------------------------------------------------------


def slack_name(who: int) -> str:
    return f"D{who:04d}"


def teams_name(who: int) -> str:
    return f"a-{who}"


async def warm(platforms: Platforms, send: Send, name: Callable[[int], str]) -> None:
    """Everybody asks once, so that profiles, catalog and answer are known."""
    for who in range(PEOPLE):
        answered = platforms.waiting[name(who)] = asyncio.get_running_loop().create_future()
        await send(who, 0)
        await asyncio.wait_for(answered, PATIENCE)
    await asyncio.sleep(0.5)


async def compare(
    platforms: Platforms,
    contestants: dict[str, tuple[Send, Program]],
    name: Callable[[int], str],
    seconds: float,
    rounds: int,
) -> dict[str, Measured]:
    """Rounds of all contestants in turn, at 1 and 32 at once; the median round by requests a second."""
    found: dict[str, list[Measured]] = {}
    for _ in range(rounds):
        for at_once in (1, PEOPLE):
            for who, (send, server) in contestants.items():
                measured = await load(platforms, send, server, name, at_once, seconds)
                found.setdefault(f"{who}, {at_once}", []).append(measured)
                await asyncio.sleep(0.3)
    return {
        key: sorted(measured, key=lambda each: each.rate)[len(measured) // 2]
        for key, measured in found.items()
    }


async def run(given: argparse.Namespace) -> Json:
    platforms = Platforms()
    runner = await platforms.open()
    result: Json = {"seconds": given.seconds, "rounds": given.rounds, "minutes": given.minutes}
    parts = {"slack": slack, "teams": teams, "start": start, "ack": ack}
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            program("sandbox") as sandbox,
        ):
            bench = Bench(platforms, session, sandbox, given.seconds, given.rounds, given.minutes)
            for name in given.only or parts:
                result[name] = await parts[name](bench)
    finally:
        await runner.cleanup()
    result["aims"] = aims(result)
    return result


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part of a run needs."""

    platforms: Platforms
    session: aiohttp.ClientSession
    sandbox: Program
    seconds: float
    rounds: int
    minutes: float

    def bot(self, folder: Path, *, both: bool = False) -> AbstractAsyncContextManager[Program]:
        return bot(folder, both=both, url=self.platforms.url, sandbox=self.sandbox.url)

    def alone(self, platforms: str) -> AbstractAsyncContextManager[Program]:
        options = {"url": self.platforms.url, "sandbox": self.sandbox.url, "key": self.sandbox.said["key"]}
        return program("adapter", platforms=platforms, **options)


async def slack(bench: Bench) -> Json:
    """Slash commands and a direct message, ours beside bolt."""
    platforms, session = bench.platforms, bench.session

    def senders(server: Program) -> dict[str, Send]:
        return {
            "kpi": slack_sender(platforms, session, server.url),
            "jobs": slack_sender(platforms, session, server.url, "jobs"),
            "direct": direct_sender(session, server.url),
        }

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with bench.bot(folder) as ours, bench.alone("slack") as alone:
            cards = {}
            for kind, send in senders(ours).items():
                await warm(platforms, send, slack_name)
                cards[kind] = folder / f"{kind}.json"
                cards[kind].write_text(json.dumps(platforms.cards["slack"]))
            for send in senders(alone).values():
                await warm(platforms, send, slack_name)
            paths = {kind: str(path) for kind, path in cards.items()}
            async with program("bolt", url=platforms.url, cards=paths) as bolt:
                found: Json = {"card bytes": {kind: path.stat().st_size for kind, path in cards.items()}}
                servers = {"ours": ours, "adapter alone": alone, "bolt": bolt}
                for kind in cards:
                    contestants = {who: (senders(each)[kind], each) for who, each in servers.items()}
                    await warm(platforms, contestants["bolt"][0], slack_name)
                    compared = await compare(platforms, contestants, slack_name, bench.seconds, bench.rounds)
                    found[kind] = {key: asdict(each) for key, each in compared.items()}
                return found | {"memory": bolt.memory(), "ready": bolt.ready}


async def teams(bench: Bench) -> Json:
    """A message in Teams, ours beside stock botbuilder, and what both platforms together take."""
    platforms, session = bench.platforms, bench.session
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with bench.bot(folder, both=True) as ours, bench.alone("both") as alone:
            servers = {"ours": ours, "adapter alone": alone}
            sending = {who: teams_sender(platforms, session, each.url) for who, each in servers.items()}
            for send in sending.values():
                await warm(platforms, send, teams_name)
            card = folder / "card.json"
            card.write_text(json.dumps(platforms.cards["teams"]))
            async with program("stock", card=str(card)) as stock:
                sending["stock"] = teams_sender(platforms, session, stock.url)
                await warm(platforms, sending["stock"], teams_name)
                servers["stock"] = stock
                contestants = {who: (send, servers[who]) for who, send in sending.items()}
                compared = await compare(platforms, contestants, teams_name, bench.seconds, bench.rounds)
                found: Json = {
                    "kpi": {key: asdict(each) for key, each in compared.items()},
                    "card bytes": card.stat().st_size,
                    "memory": stock.memory(),
                    "ready": stock.ready,
                }
            to_slack = slack_sender(platforms, session, ours.url)
            await warm(platforms, to_slack, slack_name)
            await acknowledgements(to_slack, bench.minutes * 60)
            return found | {"memory of ours, both": ours.memory(), "ready of ours, both": ours.ready}


async def start(bench: Bench) -> Json:
    """How long it takes to be ready over a database that is there: Slack alone, the median of five."""
    times = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(6):
            async with bench.bot(Path(name)) as ours:
                times.append(ours.ready)
    new, *others = times
    return {"new database": new, "existing database": sorted(others)[len(others) // 2]}


async def ack(bench: Bench) -> Json:
    """Memory after so many minutes of load, and acknowledgements once Celonis is dead; the sandbox ends here."""
    platforms, session = bench.platforms, bench.session
    with tempfile.TemporaryDirectory() as name:
        # A first start makes the tables, once in the life of a database.
        async with bench.bot(Path(name)):
            pass
        async with bench.bot(Path(name)) as only:
            await warm(platforms, slack_sender(platforms, session, only.url), slack_name)
            await acknowledgements(slack_sender(platforms, session, only.url), bench.minutes * 60)
            memory = only.memory()
            bench.sandbox.process.terminate()
            await bench.sandbox.process.wait()
            dead = slack_sender(platforms, session, only.url, "pools")
            windows = [await acknowledgements(dead, max(bench.seconds, 5.0)) for _ in range(10)]
            p99 = sorted(each for _, each in windows)
            return {
                "memory of ours, Slack alone": memory,
                "windows": windows,
                "p99": p99[5],
                "worst": p99[-1],
            }


def aims(result: Json) -> Json:
    """What was aimed at and what came out."""
    found: Json = {}

    def ratio(platform: str, kind: str, other: str, aim: str) -> None:
        rates = result[platform][kind]
        for at_once in (1, PEOPLE):
            for who in ("ours", "adapter alone"):
                mine, theirs = rates[f"{who}, {at_once}"], rates[f"{other}, {at_once}"]
                line = f"{platform} {kind}, {at_once} at once: {who} / {other}, >= {aim}"
                found[line] = mine["rate"] / theirs["rate"]
                found[f"  by processor time, {line}"] = theirs["cpu"] / mine["cpu"]
        late = rates[f"ours, {PEOPLE}"]["ack_p99"] / rates[f"{other}, {PEOPLE}"]["ack_p99"]
        found[f"{platform} {kind}, {PEOPLE} at once: ack p99 of ours / {other}, <= 1"] = late

    if "slack" in result:
        for kind, aim in (("kpi", "1.0"), ("jobs", "0.9"), ("direct", "1.0")):
            ratio("slack", kind, "bolt", aim)
    if "teams" in result:
        ratio("teams", "kpi", "stock", "5")
        found["memory with both platforms, < 140 MB"] = result["teams"]["memory of ours, both"]
    if "ack" in result:
        found["ack p99 while Celonis is dead, median of ten, < 15 ms"] = result["ack"]["p99"]
        found["ack p99 while Celonis is dead, worst of ten, < 50 ms"] = result["ack"]["worst"]
        found["memory with Slack alone, < 110 MB"] = result["ack"]["memory of ours, Slack alone"]
    if "start" in result:
        found["ready, Slack alone, existing database, < 1.2 s"] = result["start"]["existing database"]
    return found


def table(result: Json) -> str:
    lines = [f"{'':42}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'ack p99':>9}{'cpu ms':>9}"]
    for platform, kinds in (("slack", ("kpi", "jobs", "direct")), ("teams", ("kpi",))):
        for kind in kinds if platform in result else ():
            rows = result[platform][kind].items()
            for key, each in sorted(rows, key=lambda pair: int(pair[0].split(", ")[1])):
                name = f"{platform} {kind}: {key.replace(', ', ', at once ')}"
                lines.append(
                    f"{name:42}{each['rate']:9.0f}{each['p50']:9.1f}{each['p99']:9.1f}{each['ack_p99']:9.1f}{each['cpu']:9.2f}"
                )
    lines += ["", *(f"{name:86}{value:10.2f}" for name, value in result["aims"].items()), ""]
    for platform, other in (("slack", "bolt"), ("teams", "stock")):
        if platform in result:
            said = result[platform]
            lines.append(
                f"{other}: {said['memory']:.0f} MB, ready in {said['ready']:.2f} s; card bytes {said['card bytes']}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=1.0, help="of load before memory is read")
    parser.add_argument("--only", action="append", choices=["slack", "teams", "start", "ack"])
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(SERVERS[given.serve](json.loads(given.options)))
        return
    result = asyncio.run(run(given))
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
