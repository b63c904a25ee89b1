"""The sandbox as a whole: it stands alone, keeps its time and its log, and introduces itself."""

import ast
import asyncio
from pathlib import Path

import httpx
import pytest

import bot.sandbox
from bot.sandbox import Fault, Sandbox, SandboxOptions, run
from bot.sandbox.clock import SandboxClock
from bot.sandbox.log import RequestLog


def test_it_imports_nothing_else_of_the_project() -> None:
    folder = Path(bot.sandbox.__file__).parent
    imported = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(node.module or "")
    ours = {name for name in imported if name.split(".")[0] in ("bot", "adapters")}
    assert ours
    assert all(name == "bot.sandbox" or name.startswith("bot.sandbox.") for name in ours)
    assert not {"httpx", "pydantic", "sqlalchemy"} & {name.split(".")[0] for name in imported}


def test_shifting_and_scaling_move_the_wall_and_not_the_windows() -> None:
    true = [1000.0]
    clock = SandboxClock()
    monotonic = clock.monotonic()
    clock.shift(-3600)
    assert clock.monotonic() - monotonic < 60
    clock = SandboxClock(lambda: true[0])
    clock.scale(60)
    true[0] += 2
    assert clock.wall() == 1120
    clock.shift(10)
    clock.scale(0)
    true[0] += 50
    assert clock.wall() == 1130
    clock.reset()
    assert clock.wall() == true[0]
    with pytest.raises(ValueError, match="backwards"):
        clock.scale(-1)


def test_the_log_keeps_the_newest_and_goes_on_counting() -> None:
    log = RequestLog(3)
    for number in range(5):
        log.add(received=number, wall=number, method="GET", path=f"/{number}", query="", family="other")
    assert [entry.number for entry in log] == [3, 4, 5]
    log.clear()
    assert log.add(received=9, wall=9, method="GET", path="/", query="", family="other").number == 6


async def test_requests_are_logged_in_the_order_of_their_arrival(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    await asyncio.gather(*(api.get(f"/api/team?n={number}") for number in range(30)))
    arrivals = [entry.received for entry in sandbox.log]
    assert arrivals == sorted(arrivals)
    assert [entry.number for entry in sandbox.log] == list(range(1, 31))
    assert all(entry.status == 200 and entry.took is not None and entry.took >= 0 for entry in sandbox.log)


async def test_the_body_of_a_write_is_in_the_log(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await api.post("/integration/api/pools/x/jobs/y/execute", content=b'{"mode":"FULL"}' + b" " * 9000)
    entry = sandbox.log[0]
    assert (entry.status, entry.family) == (404, "integration")
    assert entry.body is not None
    assert entry.body.startswith('{"mode":"FULL"}')
    assert len(entry.body) == 4000


@pytest.mark.parametrize(
    "path", ["/intelligence/api/knowledge-models/a%2Fb", "/intelligence/api/knowledge-models/%00%zz"]
)
async def test_odd_ids_are_one_segment_and_unknown(api: httpx.AsyncClient, path: str) -> None:
    reply = await api.get(path)
    assert (reply.status_code, reply.json()["errorCode"]) == (404, "KM_MODEL_NOTFOUND")


async def test_a_known_path_with_another_method_is_not_allowed(api: httpx.AsyncClient) -> None:
    assert (await api.delete("/intelligence/api/knowledge-models")).status_code == 405


async def test_it_introduces_itself_with_address_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    serving = asyncio.create_task(run(SandboxOptions(port=0)))
    text = ""
    while "curl" not in text:
        await asyncio.sleep(0.01)
        text += capsys.readouterr().out
    url = text.partition("serving at ")[2].split()[0]
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for key in (await client.get("/__sandbox__/keys")).json():
            assert key["secret"] in text
            assert f"  {key['name']}: " in text
            assert key["may"] in text
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_stopping_ends_what_still_hangs() -> None:
    async with Sandbox(SandboxOptions(faults=(Fault("black_hole"),))) as sandbox:
        client = httpx.AsyncClient(base_url=sandbox.url, trust_env=False)
        hanging = asyncio.create_task(client.get("/api/team"))
        for _ in range(500):
            await asyncio.sleep(0.005)
            if len(sandbox.log):
                break
    with pytest.raises(httpx.TransportError):
        await asyncio.wait_for(hanging, 5)
    await client.aclose()
