"""`/__sandbox__/...`: another program, or a person with curl, reads the log and changes what the sandbox does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.sandbox.log import Family
    from bot.sandbox.server import Sandbox

_INDEX = """This is a sandbox: a made-up Celonis team on this machine.

GET    /__sandbox__/keys                 its credentials
GET    /__sandbox__/log                  the request log, JSON lines; ?format=text, ?since=<number>
DELETE /__sandbox__/log                  forget it
GET    /__sandbox__/verdict              requests, 429s and window violations; ?limit=20&window=1&family=intelligence
GET    /__sandbox__/switches             what it does where the real API may differ
PUT    /__sandbox__/switches             change some: {"cancel_delay": 10, "reset": "iso"}
GET    /__sandbox__/faults               what goes wrong at the moment
POST   /__sandbox__/faults               one more: {"kind": "status", "status": 502, "path": "/jobs", "count": 3}
DELETE /__sandbox__/faults               nothing goes wrong any more
POST   /__sandbox__/jobs                 {"job": "main job", "pool": "SAP ECC", "do": "finish"}; do: finish, fail, start, queue, restart
POST   /__sandbox__/time                 {"shift": 3600} or {"scale": 60}
POST   /__sandbox__/quota                {"team": "dev", "family": "intelligence", "spend": 5700}
POST   /__sandbox__/tokens/revoke        all OAuth tokens end
POST   /__sandbox__/down                 {"seconds": 5}: the port is closed so long
POST   /__sandbox__/reset                everything as at the start
"""


class Control:
    """The control endpoints of one sandbox. They are neither logged nor limited nor spoilt."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._background: set[asyncio.Task[None]] = set()
        self._routes: dict[tuple[str, str], Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            ("GET", ""): self._index,
            ("GET", "keys"): self._keys,
            ("GET", "log"): self._log,
            ("DELETE", "log"): self._clear_log,
            ("GET", "verdict"): self._verdict,
            ("GET", "switches"): self._switches,
            ("PUT", "switches"): self._switches,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._faults,
            ("DELETE", "faults"): self._faults,
            ("POST", "jobs"): self._jobs,
            ("POST", "time"): self._time,
            ("POST", "quota"): self._quota,
            ("POST", "tokens/revoke"): self._revoke,
            ("POST", "down"): self._down,
            ("POST", "reset"): self._reset,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one control request; what it can't do ends in 400 or 404 with a sentence."""
        name = request.path.removeprefix("/__sandbox__").strip("/")
        route = self._routes.get((request.method, name))
        if route is None:
            return web.Response(status=404, text=_INDEX)
        try:
            return await route(request)
        except (ValueError, LookupError, TypeError) as error:
            return web.Response(status=400, text=f"{error}\n")

    async def _index(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=_INDEX)

    async def _keys(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(
            [
                {
                    "name": key.name,
                    "kind": key.kind,
                    "secret": key.secret,
                    "client_id": key.client_id or None,
                    "team": key.team,
                    "may": key.may,
                }
                for key in self._sandbox.keys
            ]
        )

    async def _log(self, request: web.BaseRequest) -> web.StreamResponse:
        entries = self._sandbox.log.where(since=int(request.query.get("since", "0")))
        as_text = request.query.get("format") == "text"
        response = web.StreamResponse(
            headers={"Content-Type": "text/plain; charset=utf-8" if as_text else "application/x-ndjson"}
        )
        await response.prepare(request)
        for at in range(0, len(entries), 1000):
            lines = [entry.as_text() if as_text else entry.as_json() for entry in entries[at : at + 1000]]
            await response.write(("\n".join(lines) + "\n").encode())
        await response.write_eof()
        return response

    async def _verdict(self, request: web.BaseRequest) -> web.StreamResponse:
        limit, window = int(request.query.get("limit", "20")), float(request.query.get("window", "1"))
        family = _family(request.query["family"]) if "family" in request.query else None
        log = self._sandbox.log
        return web.json_response(
            {
                "requests": len(log.where(family=family)),
                "rejected": len(log.where(family=family, status=429)),
                "violations": log.violations(limit=limit, window=window, family=family),
                "most_in_any_window": log.most_in_any_window(window=window, family=family),
            }
        )

    async def _clear_log(self, _: web.BaseRequest) -> web.StreamResponse:
        self._sandbox.log.clear()
        return web.Response(status=204)

    async def _switches(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "PUT":
            self._sandbox.switches.update(await _body(request))
        return web.json_response(self._sandbox.switches.as_dict())

    async def _faults(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            self._sandbox.faults.add(Fault.parse(await _body(request)))
        elif request.method == "DELETE":
            self._sandbox.faults.clear()
        return web.json_response(self._sandbox.faults.as_list())

    async def _jobs(self, request: web.BaseRequest) -> web.StreamResponse:
        order = await _body(request)
        pools = self._sandbox.pools
        pool = order.get("pool")
        job = pools.find(str(order.get("job")), None if pool is None else str(pool))
        match order.get("do"):
            case "finish":
                pools.finish(job)
            case "fail":
                pools.finish(job, "FAIL")
            case "start":
                pools.start(job)
            case "queue":
                pools.start(job, queued=True)
            case "restart":
                pools.restart(job)
            case other:
                raise ValueError(f"A job can't {other!r}. It can: finish, fail, start, queue, restart.")
        run = job.last
        return web.json_response({"status": run.status, "execution": run.execution_id} if run else {})

    async def _time(self, request: web.BaseRequest) -> web.StreamResponse:
        order = await _body(request)
        if unknown := order.keys() - {"shift", "scale"}:
            raise ValueError(f"Time has no {', '.join(sorted(unknown))}: it takes shift and scale.")
        if "shift" in order:
            self._sandbox.clock.shift(_number(order["shift"]))
        if "scale" in order:
            self._sandbox.clock.scale(_number(order["scale"]))
        return web.json_response({"wall": self._sandbox.clock.wall()})

    async def _quota(self, request: web.BaseRequest) -> web.StreamResponse:
        order = await _body(request)
        team, family = str(order.get("team", "dev")), _family(order.get("family", "intelligence"))
        self._sandbox.limits.spend(team, family, int(_number(order.get("spend", 0))))
        return web.json_response({"used": self._sandbox.limits.used(team, family)})

    async def _revoke(self, _: web.BaseRequest) -> web.StreamResponse:
        self._sandbox.tokens.revoke()
        return web.Response(status=204)

    async def _down(self, request: web.BaseRequest) -> web.StreamResponse:
        seconds = _number((await _body(request)).get("seconds", 5))

        async def interrupt() -> None:
            # the reply to this very request goes out first
            await asyncio.sleep(0.01)
            await self._sandbox.down()
            await asyncio.sleep(seconds)
            await self._sandbox.up()

        interruption = asyncio.create_task(interrupt())
        self._background.add(interruption)
        interruption.add_done_callback(self._background.discard)
        return web.Response(status=202)

    async def _reset(self, _: web.BaseRequest) -> web.StreamResponse:
        self._sandbox.reset()
        return web.Response(status=204)

    async def close(self) -> None:
        """Ends what is still under way."""
        for interruption in self._background:
            interruption.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)


async def _body(request: web.BaseRequest) -> Mapping[str, object]:
    text = await request.text()
    value = json.loads(text) if text else {}
    if not isinstance(value, dict):
        raise TypeError("The body must be a JSON object.")
    return value


def _family(value: object) -> Family:
    match value:
        case "intelligence" | "integration" | "other":
            return value
        case _:
            raise ValueError("The families are: intelligence, integration, other.")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number.")
    return float(value)
