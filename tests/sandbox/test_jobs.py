"""Pools, jobs and their runs over real HTTP."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from bot.sandbox import Key, Sandbox

SAP = "3d8a2621-f9c0-456a-9b2d-9bb8c0a9fcd1"
MAIN = f"/integration/api/pools/{SAP}/jobs/0bae5839-6921-46dc-8d0f-3294ecd6b3fd"
INITIAL = f"/integration/api/pools/{SAP}/jobs/7355c620-0c46-49b5-b466-b31aad09f6ec"


async def status_of(api: httpx.AsyncClient, job: str) -> str:
    status = (await api.get(job)).json()["status"]
    assert isinstance(status, str)
    return status


async def test_main_job_runs_at_the_start_and_names_its_execution(api: httpx.AsyncClient) -> None:
    job = (await api.get(MAIN)).json()
    assert job["name"] == "main job"
    assert job["status"] == "RUNNING"
    assert job["currentExecutionId"]


async def test_a_cancelled_job_reads_cancel_only_after_the_delay(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    reply = await api.post(f"{MAIN}/cancel")
    assert (reply.status_code, reply.content) == (200, b"")
    assert await status_of(api, MAIN) == "RUNNING"
    sandbox.clock.shift(3.1)
    job = (await api.get(MAIN)).json()
    assert (job["status"], job["currentExecutionId"]) == ("CANCEL", None)


async def test_cancelling_an_idle_job_is_accepted_and_changes_nothing(api: httpx.AsyncClient) -> None:
    before = (await api.get(INITIAL)).json()
    assert (await api.post(f"{INITIAL}/cancel")).status_code == 200
    assert (await api.get(INITIAL)).json() == before


async def test_a_cancel_on_an_idle_job_starts_nothing_later(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.restart_after_cancel = 0
    await api.post(f"{INITIAL}/cancel")
    sandbox.clock.shift(10)
    assert await status_of(api, INITIAL) == "SUCCESS"


@pytest.mark.parametrize(
    ("effect", "later"), [("cancels", "CANCEL"), ("ignored", "RUNNING"), ("finished first", "SUCCESS")]
)
async def test_what_a_cancel_call_does_follows_its_switch(
    sandbox: Sandbox, api: httpx.AsyncClient, effect: str, later: str
) -> None:
    sandbox.switches.update({"cancel_effect": effect})
    assert (await api.post(f"{MAIN}/cancel")).status_code == 200
    sandbox.clock.shift(10)
    assert await status_of(api, MAIN) == later


async def test_a_cancel_can_hit_the_run_that_began_just_before_it(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.switches.cancel_effect = "restarted first"
    before = (await api.get(MAIN)).json()["currentExecutionId"]
    await api.post(f"{MAIN}/cancel")
    between = (await api.get(MAIN)).json()
    assert between["status"] == "RUNNING"
    assert between["currentExecutionId"] != before
    sandbox.clock.shift(4)
    runs = (await api.get(f"/integration/api/pools/{SAP}/logs/{MAIN[-36:]}/executions")).json()[
        "executionItems"
    ]
    assert [run["status"] for run in runs[:2]] == ["CANCEL", "SUCCESS"]
    assert [run["executionId"] for run in runs[:2]] == [between["currentExecutionId"], before]


async def test_a_failing_cancel_call_takes_effect_all_the_same(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.switches.update({"cancel_status": 502, "cancel_delay": 0})
    assert (await api.post(f"{MAIN}/cancel")).status_code == 502
    assert await status_of(api, MAIN) == "CANCEL"


async def test_a_cancel_call_that_blocks_has_its_effect_while_the_client_waits(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.switches.update({"cancel_blocks": 60, "cancel_delay": 0})
    with pytest.raises(httpx.ReadTimeout):
        await api.post(f"{MAIN}/cancel", timeout=0.05)
    assert await status_of(api, MAIN) == "CANCEL"
    assert sandbox.log.where(path="/cancel")[0].status is None


async def test_a_cancelled_job_can_come_back_by_itself(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.restart_after_cancel = 5
    await api.post(f"{MAIN}/cancel")
    sandbox.clock.shift(4)
    assert await status_of(api, MAIN) == "CANCEL"
    sandbox.clock.shift(5)
    assert await status_of(api, MAIN) == "RUNNING"


async def test_a_started_run_queues_runs_and_succeeds(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    reply = await api.post(
        f"/integration/api/v2/data-pools/{SAP}/data-jobs/{INITIAL[-36:]}/execute", params={"mode": "FULL"}
    )
    assert reply.status_code == 200
    assert await status_of(api, INITIAL) == "QUEUED"
    sandbox.clock.shift(2)
    assert await status_of(api, INITIAL) == "RUNNING"
    sandbox.clock.shift(60)
    assert await status_of(api, INITIAL) == "SUCCESS"
    newest = sandbox.pools.find("initial job").last
    assert newest is not None
    assert newest.mode == "FULL"


async def test_a_running_job_cannot_be_started_again(api: httpx.AsyncClient) -> None:
    reply = await api.post(f"{MAIN}/execute", json={"poolId": SAP, "jobId": MAIN[-36:], "mode": "DELTA"})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["errorCode"] == "JOB_ALREADY_RUNNING"


async def test_a_start_needs_a_known_mode(api: httpx.AsyncClient) -> None:
    path = f"/integration/api/v2/data-pools/{SAP}/data-jobs/{INITIAL[-36:]}/execute"
    assert (await api.post(path)).status_code == 400
    assert (await api.post(path, params={"mode": "SOME"})).status_code == 400
    assert await status_of(api, INITIAL) == "SUCCESS"


async def test_statuses_carry_no_names_and_leave_out_jobs_that_never_ran(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    pool = next(pool for pool in sandbox.pools if pool.name == "PyCelonis Tutorial Data Pool")
    statuses = (await api.get(f"/integration/api/pools/{pool.id}/logs/status")).json()
    assert {entry["status"] for entry in statuses} == {"FAIL", "QUEUED", "SUCCESS"}
    assert all(set(entry) == {"id", "status", "lastExecutionStartDate"} for entry in statuses)
    never = (await api.get(f"/integration/api/pools/{pool.id}/jobs")).json()
    assert [job["name"] for job in never if job["status"] is None] == ["Archive old documents"]


async def test_every_status_occurs_somewhere_at_the_start(sandbox: Sandbox) -> None:
    newest = [job.last for pool in sandbox.pools for job in pool.jobs]
    seen = {run.status if run else None for run in newest}
    assert seen == {"QUEUED", "RUNNING", "SUCCESS", "FAIL", "CANCEL", "SKIPPED", None}


async def test_history_comes_newest_first_and_in_pages(api: httpx.AsyncClient) -> None:
    path = f"/integration/api/pools/{SAP}/logs/{MAIN[-36:]}/executions"
    first = (await api.get(path, params={"limit": 5, "page": 0})).json()
    runs = (
        first["executionItems"]
        + (await api.get(path, params={"limit": 5, "page": 1})).json()["executionItems"]
    )
    assert first["numOfPages"] == 3
    assert [run["status"] for run in runs[:6]] == [
        "RUNNING",
        "SUCCESS",
        "SUCCESS",
        "SUCCESS",
        "CANCEL",
        "SUCCESS",
    ]
    started = [run["startDate"] for run in runs]
    assert started == sorted(started, reverse=True)


async def test_the_reason_of_a_failure_takes_three_nested_calls(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    job = sandbox.pools.find("Extract invoices")
    logs = f"/integration/api/pools/{job.pool}/logs"
    newest = (await api.get(f"{logs}/{job.id}/executions", params={"limit": 1})).json()["executionItems"][0]
    assert (newest["status"], newest["type"]) == ("FAIL", "JOB")
    stages = (
        await api.get(
            f"{logs}/executions",
            params={"executionId": newest["executionId"], "type": "TASK", "id": newest["jobId"]},
        )
    ).json()
    failed = [stage for stage in stages if stage["status"] == "FAIL"]
    assert len(failed) == 1
    detail = (
        await api.get(
            f"{logs}/executions/detail",
            params={
                "executionId": failed[0]["executionId"],
                "id": failed[0]["taskId"],
                "type": "TASK",
                "logLevels": "ERROR",
            },
        )
    ).json()
    codes = [line["logTranslationCode"] for line in detail["logMessages"]]
    assert codes == ["DATASOURCE_NOT_REACHABLE", "EXTRACTION_FAILED"]
    assert {line["level"] for line in detail["logMessages"]} == {"ERROR"}


async def test_a_job_name_exists_in_two_pools(sandbox: Sandbox) -> None:
    owners = [pool.name for pool in sandbox.pools for job in pool.jobs if job.name == "delta load"]
    assert len(owners) == 2
    with pytest.raises(LookupError):
        sandbox.pools.find("delta load")


async def test_paged_pools_summarise_their_jobs(api: httpx.AsyncClient) -> None:
    page = (await api.get("/integration/api/pools/paged", params={"limit": 2, "page": 0})).json()
    assert (page["pageSize"], page["pageNumber"], page["totalCount"]) == (2, 0, 5)
    assert [(pool["name"], pool["status"]) for pool in page["content"]] == [
        ("SAP ECC", "RUNNING"),
        ("PyCelonis Tutorial Data Pool", "QUEUED"),
    ]


@pytest.mark.parametrize("key", ["reader", "powerless"])
async def test_without_rights_pools_are_an_empty_list_and_a_named_one_is_forbidden(
    sandbox: Sandbox, client_of: Callable[[Key], httpx.AsyncClient], key: str
) -> None:
    client = client_of(getattr(sandbox.keys, key))
    assert (await client.get("/integration/api/pools")).json() == []
    assert (await client.get(f"/integration/api/pools/{SAP}/jobs")).status_code == 403
    assert (await client.post(f"{MAIN}/cancel")).status_code == 403
    assert sandbox.pools.find("main job").last.cancel_at is None  # type: ignore[union-attr] # it runs at the start


async def test_the_pool_key_sees_and_manages_one_pool(
    sandbox: Sandbox, client_of: Callable[[Key], httpx.AsyncClient]
) -> None:
    client = client_of(sandbox.keys.pool)
    assert [pool["id"] for pool in (await client.get("/integration/api/pools")).json()] == [SAP]
    assert (await client.post(f"{MAIN}/cancel")).status_code == 200


async def test_who_may_only_view_a_pool_cannot_change_it(
    sandbox: Sandbox, client_of: Callable[[Key], httpx.AsyncClient]
) -> None:
    client = client_of(sandbox.keys.viewer)
    assert await status_of(client, MAIN) == "RUNNING"
    load = f"/integration/api/pools/{SAP}/data-models/{next(iter(sandbox.pools)).data_models[0].id}/reload"
    for path in (f"{MAIN}/cancel", f"{INITIAL}/execute", load):
        assert (await client.post(path)).status_code == 403
    sandbox.clock.shift(10)
    assert await status_of(client, MAIN) == "RUNNING"


async def test_an_execution_id_can_be_missing(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.execution_ids = False
    job = (await api.get(MAIN)).json()
    assert (job["status"], job["currentExecutionId"], job["latestExecutionItemId"]) == ("RUNNING", None, None)


async def test_a_data_model_load_runs_and_ends(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    data_models = f"/integration/api/pools/{SAP}/data-models"
    first = (await api.get(data_models)).json()[0]
    state = f"{data_models}/{first['id']}/load-history/load-info-sync"
    assert (
        await api.post(f"{data_models}/{first['id']}/reload", params={"forceComplete": "true"})
    ).status_code == 200
    current = (await api.get(state)).json()["loadInfo"]["currentComputeLoad"]
    assert (current["loadStatus"], current["loadType"]) == ("RUNNING", "COMPLETE")
    assert (await api.post(f"{data_models}/{first['id']}/reload")).status_code == 409
    sandbox.clock.shift(21)
    assert (await api.get(state)).json()["loadInfo"]["currentComputeLoad"]["loadStatus"] == "SUCCESS"


async def test_jobs_can_be_forced_from_another_program(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    before = (await api.get(MAIN)).json()["currentExecutionId"]
    order: Callable[[str], dict[str, str]] = lambda do: {"job": "main job", "pool": "SAP ECC", "do": do}  # noqa: E731 - one shape for both orders
    reply = await api.post("/__sandbox__/jobs", json=order("restart"))
    assert reply.json()["status"] == "RUNNING"
    assert (await api.get(MAIN)).json()["currentExecutionId"] not in (None, before)
    await api.post("/__sandbox__/jobs", json=order("fail"))
    assert await status_of(api, MAIN) == "FAIL"
    assert (await api.post("/__sandbox__/jobs", json=order("dance"))).status_code == 400


async def test_equal_calls_at_once_cancel_once(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    await asyncio.gather(*(api.post(f"{MAIN}/cancel") for _ in range(5)))
    sandbox.clock.shift(4)
    assert await status_of(api, MAIN) == "CANCEL"
    assert len(sandbox.log.where(method="POST", path="/cancel")) == 5


async def test_the_pool_knows_that_it_has_jobs(api: httpx.AsyncClient) -> None:
    pool = (await api.get(f"/integration/api/pools/{SAP}")).json()
    assert (pool["name"], pool["configurationStatus"]) == ("SAP ECC", "CONFIGURED")


@pytest.mark.parametrize("path", ["pools/nope", f"pools/{SAP}/jobs/nope", f"pools/{SAP}/data-models/nope"])
async def test_what_does_not_exist_is_not_found(api: httpx.AsyncClient, path: str) -> None:
    reply = await api.get(f"/integration/api/{path}")
    assert reply.status_code == 404
    assert set(reply.json()) == {"reference", "message", "shortMessage"}
