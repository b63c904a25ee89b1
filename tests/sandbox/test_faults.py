"""Faults over real connections: each as a client sees it, and limited as it was asked for."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from bot.sandbox import Fault, Sandbox, SandboxOptions

SAP = "3d8a2621-f9c0-456a-9b2d-9bb8c0a9fcd1"
MAIN = f"/integration/api/pools/{SAP}/jobs/0bae5839-6921-46dc-8d0f-3294ecd6b3fd"
DATA = "/intelligence/api/knowledge-models/open-purchase-requisition.purchase-requisition-km/data?kpis=MATERIAL_COUNT"
KMS = "/intelligence/api/knowledge-models"


async def test_a_reset_is_seen_as_a_broken_connection_and_nothing_happened(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.faults.add(Fault("reset", count=1))
    with pytest.raises(httpx.TransportError):
        await api.post(f"{MAIN}/cancel")
    sandbox.clock.shift(4)
    assert (await api.get(MAIN)).json()["status"] == "RUNNING"
    assert [(entry.status, entry.fault) for entry in sandbox.log] == [(None, "reset"), (200, "")]


async def test_a_reset_after_handling_hides_what_happened(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("reset", count=1, handled=True))
    with pytest.raises(httpx.TransportError):
        await api.post(f"{MAIN}/cancel")
    sandbox.clock.shift(4)
    assert (await api.get(MAIN)).json()["status"] == "CANCEL"


@pytest.mark.parametrize(("handled", "status"), [(False, "RUNNING"), (True, "CANCEL")])
async def test_a_black_hole_never_answers(
    sandbox: Sandbox, api: httpx.AsyncClient, status: str, *, handled: bool
) -> None:
    sandbox.faults.add(Fault("black_hole", method="POST", handled=handled))
    with pytest.raises(httpx.ReadTimeout):
        await api.post(f"{MAIN}/cancel", timeout=0.05)
    sandbox.clock.shift(4)
    assert (await api.get(MAIN)).json()["status"] == status


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_error_status_strikes_so_many_times(
    sandbox: Sandbox, api: httpx.AsyncClient, status: int
) -> None:
    sandbox.faults.add(Fault("status", status=status, count=2))
    replies = [await api.get(KMS) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [status, status, 200]
    assert replies[0].json()["status"] == status
    assert ("Support ID" in replies[0].text) is (status == 500)


async def test_an_error_rate_is_a_rate(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("status", status=503, rate=0.5))
    bad = sum([(await api.get(KMS)).status_code == 503 for _ in range(60)])
    assert 10 < bad < 50


async def test_a_fault_strikes_only_the_calls_it_is_meant_for(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.faults.add(Fault("status", status=502, path=r"/jobs/[0-9a-f-]+$", method="GET", key="operator"))
    assert (await api.get(MAIN)).status_code == 502
    assert (await api.get(f"/integration/api/pools/{SAP}/jobs")).status_code == 200
    assert (await api.post(f"{MAIN}/cancel")).status_code == 200
    headers = {"Authorization": sandbox.keys.pool.authorization}
    assert (await api.get(MAIN, headers=headers)).status_code == 200


async def test_a_proxys_page_in_place_of_json(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("html", status=200))
    reply = await api.get(KMS)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert "<html>" in reply.text


async def test_json_that_ends_in_the_middle(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("truncated"))
    reply = await api.get(KMS)
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


async def test_a_connection_that_ends_in_the_middle(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("cut"))
    with pytest.raises(httpx.TransportError):
        await api.get(KMS)


async def test_an_empty_body_and_a_wrong_type(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("empty", count=1))
    empty = await api.get(KMS)
    assert (empty.status_code, empty.content) == (200, b"")
    sandbox.faults.add(Fault("wrong_type"))
    wrong = await api.get(KMS)
    assert wrong.headers["content-type"].startswith("text/plain")
    assert wrong.json()["page"] == 0


async def test_a_huge_body_and_a_slow_one(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("huge_body", size=300_000, count=1))
    assert len((await api.get(KMS)).content) > 300_000
    sandbox.faults.add(Fault("slow_body", seconds=0.02, count=1))
    assert (await api.get(KMS)).json()["page"] == 0
    sandbox.faults.add(Fault("slow_body", seconds=60))
    with pytest.raises(httpx.ReadTimeout):
        await api.get(KMS, timeout=0.05)


async def test_a_redirect_goes_where_it_is_told(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("redirect", location="https://example.com/login"))
    reply = await api.get(KMS)
    assert (reply.status_code, reply.headers["location"]) == (302, "https://example.com/login")


async def test_latency_delays_the_answer_but_not_the_arrival(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.faults.add(Fault("latency", seconds=30, jitter=10))
    with pytest.raises(httpx.ReadTimeout):
        await api.get(KMS, timeout=0.05)
    assert sandbox.log[0].fault == "latency"


async def test_header_flags_as_strings(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    plain = (await api.get(DATA)).json()["content"]["headers"][0]
    sandbox.faults.add(Fault("string_flags"))
    spelt = (await api.get(DATA)).json()["content"]["headers"][0]
    assert (plain["aggregation"], plain["filterable"]) == (True, False)
    assert (spelt["aggregation"], spelt["filterable"]) == ("true", "false")


async def test_a_server_that_is_down_refuses_connections_and_comes_back_at_its_address(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    url = sandbox.url
    assert (await api.get(KMS)).status_code == 200
    await sandbox.down()
    with pytest.raises(httpx.TransportError):
        await api.get(KMS)
    with pytest.raises(httpx.ConnectError):
        await api.get(KMS)
    await sandbox.up()
    assert sandbox.url == url
    assert (await api.get(KMS)).status_code == 200


async def test_faults_can_be_there_from_the_start() -> None:
    options = SandboxOptions(faults=(Fault("status", status=503, count=1),))
    async with Sandbox(options) as sandbox:
        headers = {"Authorization": sandbox.keys.operator.authorization}
        async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as api:
            assert [(await api.get(KMS)).status_code for _ in range(2)] == [503, 200]
            sandbox.reset()
            assert (await api.get(KMS)).status_code == 503


async def test_another_program_reads_the_log_and_changes_the_faults(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    armed = (await api.post("/__sandbox__/faults", json={"kind": "status", "status": 502, "count": 1})).json()
    assert (armed[0]["kind"], armed[0]["count"]) == ("status", 1)
    assert [(await api.get(KMS)).status_code for _ in range(2)] == [502, 200]
    assert (await api.get("/__sandbox__/faults")).json() == []
    lines = (await api.get("/__sandbox__/log", params={"since": 1})).text.splitlines()
    entry = json.loads(lines[0])
    assert len(lines) == 1
    assert entry.items() >= {
        "number": 2, "key": "operator", "method": "GET", "path": KMS, "status": 200, "family": "intelligence",
    }.items()  # fmt: skip
    text = (await api.get("/__sandbox__/log", params={"format": "text"})).text
    assert " 502 GET   " in text
    await api.delete("/__sandbox__/log")
    assert (await api.get("/__sandbox__/log")).text == ""


async def test_another_program_asks_for_the_verdict_on_the_arrivals(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.switches.per_second = 4
    for _ in range(5):
        await api.get(KMS)
    await api.get("/api/team")
    verdict = await api.get(
        "/__sandbox__/verdict", params={"limit": 2, "window": 60, "family": "intelligence"}
    )
    assert verdict.json() == {"requests": 5, "rejected": 1, "violations": 3, "most_in_any_window": 5}
    assert (await api.get("/__sandbox__/verdict", params={"window": 60})).json()["most_in_any_window"] == 6
    assert (await api.get("/__sandbox__/verdict", params={"family": "nope"})).status_code == 400


async def test_switches_are_read_and_changed_all_or_none(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    changed = (await api.put("/__sandbox__/switches", json={"cancel_delay": 9, "reset": "iso"})).json()
    assert (changed["cancel_delay"], changed["reset"], sandbox.switches.cancel_delay) == (9.0, "iso", 9.0)
    for bad in (
        {"nope": 1},
        {"cancel_delay": 1, "reset": "later"},
        {"per_day": "6000"},
        {"per_day": True},
        [1],
    ):
        reply = await api.put("/__sandbox__/switches", json=bad)
        assert reply.status_code == 400
        assert reply.text
    assert sandbox.switches.cancel_delay == 9.0


@pytest.mark.parametrize(
    "fault",
    [{}, {"kind": "flood"}, {"kind": "status", "status": "502"}, {"kind": "status", "path": "("}, {"kind": "status", "x": 1}],
)  # fmt: skip
async def test_a_fault_that_makes_no_sense_is_refused(api: httpx.AsyncClient, fault: dict[str, Any]) -> None:
    reply = await api.post("/__sandbox__/faults", json=fault)
    assert reply.status_code == 400
    assert (await api.get("/__sandbox__/faults")).json() == []


async def test_time_quota_and_reset_from_another_program(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    before = sandbox.clock.wall()
    moved = (await api.post("/__sandbox__/time", json={"shift": 3600})).json()["wall"]
    assert moved - before >= 3600
    spent = await api.post(
        "/__sandbox__/quota", json={"team": "dev", "family": "intelligence", "spend": 5990}
    )
    assert spent.json() == {"used": 5990}
    await api.put("/__sandbox__/switches", json={"cancel_delay": 0})
    await api.post(f"{MAIN}/cancel")
    assert (await api.get(MAIN)).json()["status"] == "CANCEL"
    assert (await api.post("/__sandbox__/reset")).status_code == 204
    assert len(sandbox.log) == 0
    assert sandbox.limits.used("dev", "intelligence") == 0
    assert sandbox.clock.wall() - before < 3600
    assert (await api.get(MAIN)).json()["status"] == "RUNNING"
    assert sandbox.switches.cancel_delay == 3.0


async def test_being_down_for_a_while_from_another_program(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    assert (await api.post("/__sandbox__/down", json={"seconds": 0.2})).status_code == 202
    await asyncio.sleep(0.05)
    with pytest.raises(httpx.TransportError):
        await api.get(KMS)
    for _ in range(100):
        await asyncio.sleep(0.02)
        try:
            reply = await api.get(KMS)
        except httpx.TransportError:
            continue
        break
    assert reply.status_code == 200


async def test_control_calls_are_neither_logged_nor_spoilt(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault("reset"))
    assert (await api.get("/__sandbox__/")).status_code == 200
    assert (await api.get("/__sandbox__/keys")).json()[0]["name"] == "user"
    assert (await api.get("/__sandbox__/nope")).status_code == 404
    assert len(sandbox.log) == 0
