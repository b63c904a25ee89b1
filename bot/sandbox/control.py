"""`/__sandbox__/...`: another program, or a person with curl, reads the log and changes what the sandbox does.

These calls are neither logged nor limited nor spoilt. What they can't do ends in 400 with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.sandbox.faults import Fault
from bot.sandbox.log import FAMILIES, Entry, Family
from bot.sandbox.pools import Job
from bot.sandbox.replies import TEXT, Reply, nothing, ok

if TYPE_CHECKING:
    from bot.sandbox.routes import Call

_LINES = 1000


def keys(call: Call) -> Reply:
    """Its credentials."""
    shown = ("name", "kind", "secret", "client_id", "team", "may")
    return ok([{name: getattr(key, name) or None for name in shown} for key in call.sandbox.keys])


def log(call: Call) -> Reply:
    """The request log, JSON lines; ?format=text, ?since=<number>."""
    entries = call.sandbox.log.where(since=int(call.query.get("since", "0")))
    as_text = call.query.get("format") == "text"
    kind = TEXT if as_text else "application/x-ndjson"
    return Reply(kind=kind, pieces=_lines(entries, as_text=as_text))


def _lines(entries: list[Entry], *, as_text: bool) -> Iterator[bytes]:
    for at in range(0, len(entries), _LINES):
        lines = [entry.as_text() if as_text else entry.as_json() for entry in entries[at : at + _LINES]]
        yield ("\n".join(lines) + "\n").encode()


def clear_log(call: Call) -> Reply:
    """Forget it."""
    call.sandbox.log.clear()
    return nothing(204)


def verdict(call: Call) -> Reply:
    """Requests, 429s and window violations; ?limit=20&window=1&family=intelligence."""
    limit, window = int(call.query.get("limit", "20")), float(call.query.get("window", "1"))
    family = _family(call.query["family"]) if "family" in call.query else None
    found = call.sandbox.log
    return ok(
        {
            "requests": len(found.where(family=family)),
            "rejected": len(found.where(family=family, status=429)),
            "violations": found.violations(limit=limit, window=window, family=family),
            "most_in_any_window": found.most_in_any_window(window=window, family=family),
        }
    )


def switches(call: Call) -> Reply:
    """What it does where the real API may differ."""
    return ok(asdict(call.sandbox.switches))


def change_switches(call: Call) -> Reply:
    """Change some: {"cancel_delay": 10, "reset": "iso"}."""
    call.sandbox.switches.update(_order(call))
    return switches(call)


def faults(call: Call) -> Reply:
    """What goes wrong at the moment."""
    return ok(call.sandbox.faults.as_list())


def add_fault(call: Call) -> Reply:
    """One more: {"kind": "status", "status": 502, "path": "/jobs", "count": 3}."""
    call.sandbox.faults.add(Fault.parse(_order(call)))
    return faults(call)


def clear_faults(call: Call) -> Reply:
    """Nothing goes wrong any more."""
    call.sandbox.faults.clear()
    return faults(call)


def order_job(call: Call) -> Reply:
    """{"job": "main job", "pool": "SAP ECC", "do": "finish"}; do: finish, fail, start, queue, restart."""
    order, pools = _order(call), call.sandbox.pools
    job = pools.find(str(order.get("job")), order.get("pool"))
    deeds: dict[object, Callable[[Job], object]] = {
        "finish": pools.finish,
        "fail": lambda job: pools.finish(job, "FAIL"),
        "start": pools.start,
        "queue": lambda job: pools.start(job, queued=True),
        "restart": pools.restart,
    }
    if (deed := order.get("do")) not in deeds:
        raise ValueError(f"A job can't {deed!r}. It can: {', '.join(map(str, deeds))}.")
    deeds[deed](job)
    run = job.last
    return ok({"status": run.status, "execution": run.execution_id} if run else {})


def move_time(call: Call) -> Reply:
    """{"shift": 3600} or {"scale": 60}."""
    order, clock = _order(call), call.sandbox.clock
    if unknown := order.keys() - {"shift", "scale"}:
        raise ValueError(f"Time has no {', '.join(sorted(unknown))}: it takes shift and scale.")
    if "shift" in order:
        clock.shift(_number(order["shift"]))
    if "scale" in order:
        clock.scale(_number(order["scale"]))
    return ok({"wall": clock.wall()})


def spend_quota(call: Call) -> Reply:
    """{"team": "dev", "family": "intelligence", "spend": 5700}."""
    order, limits = _order(call), call.sandbox.limits
    team, family = str(order.get("team", "dev")), _family(order.get("family", "intelligence"))
    limits.spend(team, family, int(_number(order.get("spend", 0))))
    return ok({"used": limits.used(team, family)})


def revoke_tokens(call: Call) -> Reply:
    """All OAuth tokens end."""
    call.sandbox.tokens.revoke()
    return nothing(204)


def go_down(call: Call) -> Reply:
    """{"seconds": 5}: the port is closed so long."""
    call.sandbox.interrupt(_number(_order(call).get("seconds", 5)))
    return nothing(202)


def reset(call: Call) -> Reply:
    """Everything as at the start."""
    call.sandbox.reset()
    return nothing(204)


def _order(call: Call) -> dict[str, Any]:
    value = json.loads(call.body or b"{}")
    if not isinstance(value, dict):
        raise TypeError("The body must be a JSON object.")
    return value


def _family(value: Any) -> Family:
    if value not in FAMILIES:
        raise ValueError(f"The families are: {', '.join(FAMILIES)}.")
    family: Family = value
    return family


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number.")
    return float(value)
