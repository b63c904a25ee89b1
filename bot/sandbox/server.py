"""The HTTP server: key, quota, faults, handler, log; in that order, for every request."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources.abc import Traversable
from typing import Any, Self

from aiohttp import web

from bot.sandbox.clock import SandboxClock
from bot.sandbox.console import introduction
from bot.sandbox.content import (
    DATA,
    DEFAULT_SEED,
    make_knowledge_models,
    make_pools,
    make_studio,
    make_team,
)
from bot.sandbox.faults import Fault, Faults
from bot.sandbox.keys import DISABLED, Key, make_keys
from bot.sandbox.limits import TeamBudgets
from bot.sandbox.log import Entry, Family, RequestLog
from bot.sandbox.pools import Pools
from bot.sandbox.replies import (
    Refused,
    Reply,
    api_disabled,
    bad_scheme,
    denied,
    error,
    integration_problem,
    problem,
    unauthorized,
)
from bot.sandbox.routes import Call, find, index
from bot.sandbox.studio import Studio
from bot.sandbox.switches import Switches
from bot.sandbox.team import Tokens

_HTML = b"<html><head><title>Error</title></head><body><h1>The page is not available</h1></body></html>"
_BITS = 10
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How a sandbox starts.

    Attributes:
        host: Address to listen on.
        port: Port; 0: any free one.
        seed: Of keys and dice; the same seed gives the same keys. The usual one leaves the rows in the order of the
            data files, any other one shuffles them.
        now: Seconds since 1970 for everything, in place of the true time: a simulated day.
        switches: Their values at start; the sandbox works on a copy.
        faults: Armed from the start.
        log_limit: Requests that the log keeps.
        data: The folder with the team; see `bot.sandbox.content`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: str = DEFAULT_SEED
    now: Callable[[], float] | None = None
    switches: Switches = field(default_factory=Switches)
    faults: tuple[Fault, ...] = ()
    log_limit: int = 1_000_000
    data: Traversable = DATA


class Sandbox:
    """A Celonis team on this machine. `async with Sandbox() as sandbox:` serves until the block ends.

    Raises:
        BrokenData: The folder that it is to serve holds no team.

    Attributes:
        options: What it was started with.
        keys: Its credentials, by name.
        clock: Its time.
        switches: What it does where the real API may differ; change at will.
        faults: What goes wrong; add and clear at will.
        log: What arrived.
        limits: The quota as it counts it.
        pools: The data pools, with `finish`, `start`, `restart` and the like for tests.
        knowledge_models: The knowledge models by id.
        studio: Spaces, packages and analyses.
        given: What `team.json` says.
        tokens: The OAuth tokens it has issued.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.clock = SandboxClock(self.options.now)
        self.switches = replace(self.options.switches)
        self.faults = Faults(self.options.faults, seed=self.options.seed)
        self.log = RequestLog(self.options.log_limit)
        self.limits = TeamBudgets(self.clock, self.switches)
        self._fill()
        pools = tuple(self.pools)
        self.given: dict[str, Any] = make_team(pools, self.knowledge_models, self.options.data)
        self.keys = make_keys(
            self.options.seed,
            self.given["keys"],
            open_packages=self.studio.open_packages,
            open_pools=frozenset(pool.id for pool in pools if not pool.restricted),
        )
        scopes = frozenset(self.given["scopes"])
        self.tokens = Tokens(self.keys.oauth, scopes, self.clock, self.switches, self.options.seed)
        self._by_secret = {(key.scheme, key.secret): key for key in self.keys if key.kind != "oauth"}
        self._interruptions: set[asyncio.Task[None]] = set()
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._port = self.options.port
        self._closing = asyncio.Event()
        self._support_ids = 0

    @property
    def url(self) -> str:
        """Address of the team, without a slash at the end."""
        return f"http://{self.options.host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Opens the port and serves in the background of the running event loop.

        Raises:
            OSError: The port is taken.
        """
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.up()

    async def stop(self) -> None:
        """Closes the port and every connection."""
        self._closing.set()
        for interruption in self._interruptions:
            interruption.cancel()
        await asyncio.gather(*self._interruptions, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = self._site = None

    async def down(self) -> None:
        """The server is gone: new connections are refused, open ones are dropped."""
        if self._site is None or self._runner is None:
            return
        await self._site.stop()
        self._site = None
        server = self._runner.server
        for connection in server.connections if server else ():
            connection.force_close()

    async def up(self) -> None:
        """Opens the port (again)."""
        if self._site is None and self._runner is not None:
            self._site = web.TCPSite(self._runner, self.options.host, self._port, reuse_address=True)
            await self._site.start()
            self._port = self._site.port

    def interrupt(self, seconds: float) -> None:
        """Is down for so long, from a moment on in which replies under way go out."""

        async def interruption() -> None:
            await asyncio.sleep(0.01)
            await self.down()
            await asyncio.sleep(seconds)
            await self.up()

        task = asyncio.create_task(interruption())
        self._interruptions.add(task)
        task.add_done_callback(self._interruptions.discard)

    def reset(self) -> None:
        """Everything as at the start, but for the address, the keys and tokens: log, faults, switches, quota, jobs, time."""
        self.clock.reset()
        self.switches.update(asdict(self.options.switches))
        self.faults.reset()
        self.log.clear()
        self.limits.reset()
        self._fill()

    def key_for(self, authorization: str) -> Key | None:
        """The key behind an Authorization header; None for an unknown one or one under the wrong scheme."""
        scheme, _, secret = authorization.partition(" ")
        scheme, secret = scheme.lower(), secret.strip()
        if scheme == "bearer":
            return self._by_secret.get(("bearer", secret)) or self.tokens.known(secret)
        return self._by_secret.get(("appkey", secret)) if scheme == "appkey" else None

    def _fill(self) -> None:
        start = self.clock.wall()
        data = self.options.data
        self.pools = Pools(make_pools(start, data), self.clock, self.switches)
        models = make_knowledge_models(self.options.seed, start, data)
        self.knowledge_models = {each.id: each for each in models}
        self.studio = Studio(make_studio(models, data), start)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = self.clock.monotonic()
        path = request.rel_url.raw_path
        if path.startswith("/__sandbox__"):
            return await self._control(request)
        family = _family(path)
        entry = self.log.add(
            received=received,
            wall=self.clock.wall(),
            method=request.method,
            path=path,
            query=request.rel_url.raw_query_string,
            family=family,
        )
        authorization = request.headers.get("Authorization", "")
        key = self.key_for(authorization)
        if key is not None:
            entry.key = key.name
        body = await request.read() if request.body_exists else b""
        if body:
            entry.body = body[:4000].decode("utf-8", "replace")
        query = request.rel_url.raw_query_string
        faults = self.faults.striking(request.method, path, query, entry.key) if len(self.faults) else ()
        headers: dict[str, str] = {}
        if path == "/oauth2/token" and request.method == "POST":
            reply = self.tokens.issue(authorization, body)
        elif key is None:
            known_word = authorization.lower().startswith(("bearer ", "appkey "))
            reply = unauthorized() if known_word or not authorization else bad_scheme()
        else:
            verdict = self.limits.arrive(key.team, family, received)
            headers = verdict.headers
            refused = verdict.refused
            if refused is not None:
                reply = refused
            else:
                late = any(_unhandled(fault) for fault in faults)
                reply = Reply() if late else self._answer(request, key, family, body)
            budget = verdict.budget
            if budget is not None and refused is None:
                budget.running += 1
                try:
                    return await self._deliver(request, reply, headers, faults, entry=entry, key=key)
                finally:
                    budget.running -= 1
        return await self._deliver(request, reply, headers, faults, entry=entry, key=key)

    def _answer(self, request: web.BaseRequest, key: Key, family: Family, body: bytes) -> Reply:
        path = request.rel_url.raw_path
        if key.trouble == "failing":
            return self._fatal(family)
        if family == "intelligence" and key.team == DISABLED:
            return api_disabled()
        if key.scopes is not None and not _in_scope(request.method, path, key.scopes):
            return error("access denied") if family == "intelligence" else denied()
        handler, args, known = find(request.method, path)
        if handler is None:
            if known:
                return error("method not allowed", method=request.method)
            return error("path not found", self.switches.texts, path=path)
        try:
            return handler(Call(self, request.method, path, request.rel_url.query, body, key, args))
        except Refused as refused:
            return refused.reply

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        path, query = request.path.rstrip("/"), request.rel_url.query
        handler, args, _ = find(request.method, path)
        if handler is None:
            return web.Response(status=200 if path == "/__sandbox__" else 404, text=index())
        body = await request.read() if request.body_exists else b""
        try:
            reply = handler(Call(self, request.method, path, query, body, self.keys.powerless, args))
        except (ValueError, LookupError, TypeError) as error:
            return web.Response(status=400, text=f"{error}\n")
        if reply.pieces is None:
            return _response(reply)
        response = web.StreamResponse(headers={"Content-Type": reply.kind})
        await response.prepare(request)
        for piece in reply.pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    def _fatal(self, family: Family) -> Reply:
        self._support_ids += 1
        support_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.options.seed}/support/{self._support_ids}"))
        if family == "intelligence":
            return error("fatal", support_id=support_id)
        text = f"Something went wrong. Celonis Support ID: {support_id}"
        return integration_problem(500, text, "UNEXPECTED_ERROR")

    async def _deliver(
        self,
        request: web.BaseRequest,
        reply: Reply,
        headers: dict[str, str],
        faults: list[Fault] | tuple[()],
        *,
        entry: Entry,
        key: Key | None,
    ) -> web.StreamResponse:
        wait = reply.after
        if key is not None and key.trouble == "slow":
            wait += self.switches.slow_seconds
        if faults:
            entry.fault = ",".join(fault.kind for fault in faults)
            wait += sum(self.faults.jitter(fault) for fault in faults if fault.kind == "latency")
        if wait > 0:
            await self._pause(wait)
        for fault in faults:
            match fault.kind:
                case "reset":
                    return _hang_up(request)
                case "black_hole":
                    await self._closing.wait()
                    return _hang_up(request)
                case _:
                    reply = self._spoil(reply, fault, entry.family)
        response = _response(reply, headers)
        entry.status = reply.status
        for fault in faults:
            if fault.kind in ("cut", "slow_body"):
                return await self._trickle(request, response, reply.body, fault)
        entry.took = self.clock.monotonic() - entry.received
        return response

    def _spoil(self, reply: Reply, fault: Fault, family: Family) -> Reply:
        match fault.kind:
            case "status":
                if fault.status == 500:  # noqa: PLR2004 - the one status whose body holds a support id
                    return self._fatal(family)
                detail = "The service can't answer at the moment."
                return problem(fault.status, "Service unavailable.", detail)
            case "redirect":
                return Reply(302, b"", headers={"Location": fault.location})
            case "html":
                return Reply(fault.status, _HTML, "text/html")
            case "truncated":
                return replace(reply, body=reply.body[: len(reply.body) // 2])
            case "empty":
                return replace(reply, status=200, body=b"")
            case "wrong_type":
                return replace(reply, kind="text/plain")
            case "huge_body":
                return replace(reply, body=b" " * fault.size + reply.body)
            case "string_flags":
                return replace(reply, body=_flags_as_strings(reply.body))
            case "odd_item":
                return replace(reply, body=_with_odd_item(reply.body))
            case _:
                return reply

    async def _trickle(
        self, request: web.BaseRequest, whole: web.Response, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(body)
        await response.prepare(request)
        if fault.kind == "cut":
            await response.write(body[: len(body) // 2])
            return _hang_up(request)
        size = max(1, -(-len(body) // _BITS))
        for at in range(0, len(body), size):
            await response.write(body[at : at + size])
            await self._pause(fault.seconds / _BITS)
        await response.write_eof()
        return response

    async def _pause(self, seconds: float) -> None:
        """Waits, but not beyond the end of the sandbox."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


async def run(options: SandboxOptions | None = None) -> None:
    """Starts a sandbox, prints address, keys and calls to try, and serves until it is cancelled.

    Args:
        options: How it starts, its port above all.

    Raises:
        OSError: The port is taken.
    """
    async with Sandbox(options) as sandbox:
        sys.stdout.write(introduction(sandbox))
        sys.stdout.flush()
        await asyncio.Event().wait()


def _response(reply: Reply, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=reply.status,
        body=reply.body,
        content_type=reply.kind,
        charset="utf-8" if reply.kind.startswith("text/") else None,
        headers={**(headers or {}), **reply.headers},
    )


def _family(path: str) -> Family:
    if path.startswith("/intelligence/"):
        return "intelligence"
    return "integration" if path.startswith("/integration/") else "other"


def _unhandled(fault: Fault) -> bool:
    return not fault.handled and fault.kind in ("reset", "black_hole", "status", "redirect", "html")


def _in_scope(method: str, path: str, scopes: frozenset[str]) -> bool:
    """[choice] Which scope opens which path, where the documents don't say."""
    match path.split("/")[1]:
        case "intelligence":
            wanted = {"intelligence.knowledge-models:read"}
            if "/subscriptions" in path or "/triggers" in path:
                wanted.add("intelligence.subscriptions:manage")
        case "integration":
            wanted = {"integration.data-pools"}
            if method == "GET":
                wanted.add(f"integration.data-{'models' if '/data-models' in path else 'pools'}:read")
        case "package-manager" | "process-mining":
            wanted = {"package-manager", "studio"}
        case _:
            return True
    return bool(wanted & scopes)


def _with_odd_item(body: bytes) -> bytes:
    value = json.loads(body)
    inside = value
    for name in ("content", "data"):
        if isinstance(inside, dict):
            inside = inside.get(name)
    if not isinstance(inside, list):
        return body
    inside.insert(0, ["odd"])
    return json.dumps(value).encode()


def _flags_as_strings(body: bytes) -> bytes:
    try:
        value = json.loads(body)
        headers = value["content"]["headers"]
    except (ValueError, KeyError, TypeError):
        return body
    for header in headers:
        for name in ("aggregation", "filterable", "sortable"):
            header[name] = str(header[name]).lower()
    return json.dumps(value, ensure_ascii=False).encode()


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Resets the connection; what is returned is never sent."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
        transport.abort()
    return web.Response()
