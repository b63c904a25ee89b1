"""Data Integration: pools, jobs, runs and their messages, data models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bot.sandbox.pools import DataModel, Job, Load, Pool, Run, Stage, Status, stable_id
from bot.sandbox.replies import (
    Refused,
    Reply,
    always,
    attribute_problem,
    denied,
    integration_problem,
    not_found,
    nothing,
    ok,
)

if TYPE_CHECKING:
    from bot.sandbox.routes import Call

_T = TypeVar("_T", "Job", "DataModel")

_PAGE = 50


def _ms(moment: float | None) -> int | None:
    return None if moment is None else int(moment * 1000)


def list_pools(call: Call) -> Reply:
    """All visible pools."""
    return ok([_pool_item(pool, call) for pool in _visible(call)])


def page_pools(call: Call) -> Reply:
    """The same in pages, each with the status of its jobs."""
    page, limit = _paging(call)
    pools = _visible(call)
    content = [_pool_summary(pool, call) for pool in pools[page * limit : (page + 1) * limit]]
    total = len(pools) if call.sandbox.switches.pool_total == "pools" else -(-len(pools) // limit)
    return ok({"content": content, "pageSize": limit, "pageNumber": page, "totalCount": total})


def one_pool(call: Call) -> Reply:
    """One pool."""
    return ok(_pool_item(_pool(call), call))


def list_jobs(call: Call) -> Reply:
    """The jobs of a pool."""
    return ok([_job_item(job, call) for job in _pool(call).jobs])


def one_job(call: Call) -> Reply:
    """One job."""
    return ok(_job_item(_job(call), call))


def statuses(call: Call) -> Reply:
    """Status of all jobs that ever ran, without their names."""
    return ok(
        [
            {"id": job.id, "status": job.last.status, "lastExecutionStartDate": _ms(job.last.since)}
            for job in _pool(call).jobs
            if job.last is not None
        ]
    )


def cancel(call: Call) -> Reply:
    """Cancels the active run. [choice] An idle job: 200 and no effect."""
    switches = call.sandbox.switches
    call.sandbox.pools.cancel(_job(call, manage=True))
    reply = nothing(switches.cancel_status)
    if switches.cancel_status >= 400:  # noqa: PLR2004 - HTTP's own border
        text = "The job could not be cancelled."
        reply = integration_problem(switches.cancel_status, text, "UNEXPECTED_ERROR")
    reply.after = switches.cancel_blocks
    return reply


def execute(call: Call) -> Reply:
    """Starts a run, the way PyCelonis does it."""
    job = _job(call, manage=True)
    return _execute(call, job, _settings(call, job).get("mode", "DELTA"))


def execute_officially(call: Call) -> Reply:
    """Starts a run, the documented way. [choice] Without a mode: 400."""
    return _execute(call, _job(call, manage=True), call.query.get("mode"))


def executions(call: Call) -> Reply:
    """The runs of a job, newest first."""
    pool, job = _pool(call), _job(call)
    return _page(call, "executionItems", [_item(pool, job, run) for run in reversed(job.runs)])


def children(call: Call) -> Reply:
    """Stages of a run (`type=TASK`, `id` of the job) or steps of a stage (`type=STEP`, `id` of the stage)."""
    pool = _pool(call)
    kind, items = call.query.get("type", "TASK"), []
    for job, run in _runs(pool, call):
        owner = call.query.get("id", job.id)
        for stage, status in zip(job.stages, _states(call, job, run), strict=False):
            if kind == "TASK" and owner == job.id:
                items.append(_item(pool, job, run, stage=stage, status=status))
            elif kind == "STEP" and owner == _stage_id(job, stage):
                items += [
                    _item(pool, job, run, stage=stage, step=step, status=status) for step in stage.steps
                ]
    return ok(items)


def messages(call: Call) -> Reply:
    """Log messages of a run, a stage or a step."""
    levels = {level for part in call.query.getall("logLevels", []) for level in part.split(",")}
    owner = call.query.get("id", "")
    lines = [line for job, run in _runs(_pool(call), call) for line in _lines(call, job, run, owner)]
    return _page(call, "logMessages", [line for line in lines if not levels or line["level"] in levels])


def list_data_models(call: Call) -> Reply:
    """The data models of a pool."""
    return ok([_data_model_item(data_model) for data_model in _pool(call).data_models])


def one_data_model(call: Call) -> Reply:
    """One data model."""
    return ok(_data_model_item(_data_model(call)))


def load_state(call: Call) -> Reply:
    """What is loaded, what is being loaded, and how long it usually takes."""
    data_model, now = _data_model(call), call.sandbox.clock.wall()
    loads = data_model.loads[::-1]
    done = [load for load in loads if load.done(now)]
    good = next((load for load in done if load.status == "SUCCESS"), None)
    average = sum(load.ends_at - load.started_at for load in done) / len(done) if done else 0
    live = _live(data_model, good, failed=bool(done and done[0].status == "ERROR"))
    history = [_load_item(data_model, load, now) for load in loads]
    return ok(
        {
            "loadInfo": {"liveDataModel": live, "currentComputeLoad": history[0] if history else None},
            "loadHistory": {
                "lastSuccessfulDataModel": _live(data_model, good, failed=False),
                "dataLoadHistory": history,
                "averageLoadTime": [{"type": "COMPLETE", "averageLoadingTime": int(average * 1000)}],
            },
        }
    )


def reload(call: Call) -> Reply:
    """Loads a data model; [choice] 409 while a load is under way."""
    data_model, complete = _data_model(call, manage=True), call.query.get("forceComplete") == "true"
    if not call.sandbox.pools.load(data_model, "COMPLETE" if complete else "FROM_CACHE"):
        return integration_problem(
            409, "A load of this data model is already running.", "LOAD_ALREADY_RUNNING"
        )
    return nothing()


def _execute(call: Call, job: Job, mode: object) -> Reply:
    if mode != "FULL" and mode != "DELTA":  # noqa: PLR1714 - this form narrows the type
        return attribute_problem("mode", "must be FULL or DELTA", "INVALID_VALUE")
    if not call.sandbox.pools.execute(job, mode):
        # [choice] only the code is published, as a log code; clients look before they ask
        return attribute_problem("status", "The job is already running.", "JOB_ALREADY_RUNNING")
    return nothing()


def _visible(call: Call) -> list[Pool]:
    return [pool for pool in call.sandbox.pools if call.key.rights.may_view(pool.id)]


def _pool(call: Call, *, manage: bool = False) -> Pool:
    identity, rights = call.args[0], call.key.rights
    pool = call.sandbox.pools.get(identity)
    if pool is None:
        raise not_found("Data pool", identity)
    if not (rights.may_manage(identity) if manage else rights.may_view(identity)):
        raise Refused(denied())
    return pool


def _job(call: Call, *, manage: bool = False) -> Job:
    return _part("job", _pool(call, manage=manage).jobs, call.args[1])


def _data_model(call: Call, *, manage: bool = False) -> DataModel:
    return _part("model", _pool(call, manage=manage).data_models, call.args[1])


def _part(what: str, parts: Iterable[_T], identity: str) -> _T:
    for part in parts:
        if part.id == identity:
            return part
    raise not_found(f"Data {what}", identity)


def _runs(pool: Pool, call: Call) -> list[tuple[Job, Run]]:
    """The run that is asked for, with its job; nothing where there is none."""
    wanted = call.query.get("executionId", "")
    return [(job, run) for job in pool.jobs for run in job.runs if run.execution_id == wanted]


def _pool_item(pool: Pool, call: Call) -> dict[str, object]:
    manage = call.key.rights.may_manage(pool.id)
    return {
        "id": pool.id,
        "name": pool.name,
        "description": pool.description,
        "timeStamp": _ms(pool.created_at),
        "configurationStatus": "CONFIGURED" if pool.jobs else "NEW",
        "permissions": ["VIEW", "EDIT", "MANAGE"] if manage else ["VIEW"],
        "creatorUserId": stable_id("user"),
        "objectId": stable_id(pool.id, "object"),
    } | always("pool")


def _pool_summary(pool: Pool, call: Call) -> dict[str, object]:
    call.sandbox.pools.get(pool.id)  # its jobs catch up with the clock
    runs = [job.last for job in pool.jobs if job.last is not None]
    newest = max(runs, key=lambda run: run.since, default=None)
    states = [run.status for run in runs]
    active = next((state for state in ("RUNNING", "QUEUED") if state in states), None)
    return {
        "id": pool.id,
        "name": pool.name,
        "status": active or (newest.status if newest else "UNCONFIGURED"),
        "lastExecutionStartDate": _ms(newest.since) if newest else None,
        "createdBy": call.sandbox.given["user"]["email"],
        "rawDataSize": 1_073_741_824 if pool.jobs else 0,
    } | always("pool in a page")


def _job_item(job: Job, call: Call) -> dict[str, object]:
    run, named = job.last, call.sandbox.switches.execution_ids
    return {
        "id": job.id,
        "name": job.name,
        "dataPoolId": job.pool,
        "dataSourceId": job.source,
        "timeStamp": _ms(job.changed_at),
        "status": run.status if run else None,
        "currentExecutionId": run.execution_id if run and run.active and named else None,
        "dagBasedExecutionEnabled": None,
        "latestExecutionItemId": stable_id(run.execution_id, "item") if run and named else None,
    }


def _item(
    pool: Pool,
    job: Job,
    run: Run,
    *,
    stage: Stage | None = None,
    step: str = "",
    status: Status | None = None,
) -> dict[str, object]:
    names = [*([stage.name] if stage else []), *([step] if step else [])]
    return {
        "id": stable_id(run.execution_id, *names, "item"),
        "poolId": pool.id,
        "poolName": pool.name,
        "executionId": run.execution_id,
        "schedulingId": stable_id(job.id, run.schedule) if run.schedule else None,
        "jobId": job.id,
        "taskId": _stage_id(job, stage) if stage else None,
        "stepId": stable_id(job.id, *names) if step else None,
        "name": names[-1] if names else job.name,
        "status": status or run.status,
        "startDate": _ms(run.started_at),
        "endDate": _ms(run.ended_at),
        "type": ("JOB", "TASK", "STEP")[len(names)],
        "mode": run.mode,
        "schedulingName": run.schedule or None,
        "executionOrder": job.stages.index(stage) if stage else 0,
        "monitored": True,
    }


def _states(call: Call, job: Job, run: Run) -> list[Status]:
    """Status of each stage that has begun or is going to: the last is the run's own, those before succeeded."""
    stages = len(job.stages)
    match run.status:
        case "FAIL":
            at = next((number for number, stage in enumerate(job.stages) if stage.errors), 0)
        case "RUNNING" | "CANCEL":
            at = _stage_at(call, run, stages)
        case "QUEUED" | "SKIPPED":
            return [run.status] * stages
        case "SUCCESS":
            at = stages - 1
    states: list[Status] = [*["SUCCESS"] * at, run.status]  # type: ignore[list-item] # a status each
    return states + (["QUEUED"] * (stages - at - 1) if run.active else [])


def _stage_at(call: Call, run: Run, stages: int) -> int:
    if run.started_at is None or run.ends_at is None or run.ends_at <= run.started_at:
        return 0
    until = run.ended_at if run.ended_at is not None else call.sandbox.clock.wall()
    return min(stages - 1, int((until - run.started_at) / (run.ends_at - run.started_at) * stages))


def _lines(call: Call, job: Job, run: Run, owner: str) -> list[dict[str, object]]:
    """Messages of the run itself (`owner` is the job's id), of a stage or of a step, newest first for errors."""
    began = run.started_at if run.started_at is not None else run.queued_at
    ended = run.ended_at if run.ended_at is not None else call.sandbox.clock.wall()
    lines: list[tuple[str, str, str, float]] = []
    if owner == job.id:
        lines.append(("INFO", "JOB_EXECUTION_STARTED", f"Execution of data job {job.name} started.", began))
        if run.status == "CANCEL":
            lines.append(("WARNING", "JOB_EXECUTION_CANCELLED", "Execution was cancelled on request.", ended))
        if run.status == "FAIL":
            lines.append(("ERROR", "JOB_EXECUTION_FAILED", "Data job failed: see the failed task.", ended))
    for stage, status in zip(job.stages, _states(call, job, run), strict=False):
        if owner in (_stage_id(job, stage), *(stable_id(job.id, stage.name, step) for step in stage.steps)):
            lines += _stage_lines(stage, status, began, ended)
    return [
        {
            "id": stable_id(run.execution_id, owner, number),
            "executionItemId": stable_id(run.execution_id, owner),
            "level": level,
            "date": _ms(at),
            "logMessage": text,
            "logTranslationCode": code,
            "logTranslationParameters": [{"key": "job", "value": job.name}],
        }
        for number, (level, code, text, at) in enumerate(lines)
    ]


def _stage_id(job: Job, stage: Stage) -> str:
    return stable_id(job.id, stage.name)


def _stage_lines(
    stage: Stage, status: Status, began: float, ended: float
) -> list[tuple[str, str, str, float]]:
    lines = []
    if status == "FAIL":
        errors = stage.errors or [("EXECUTION_FAILED", f"{stage.name} failed.")]
        lines = [("ERROR", code, text, ended) for code, text in errors]
    elif status == "CANCEL":
        lines = [("WARNING", "EXECUTION_CANCELED_ON_REQUEST", f"{stage.name} was cancelled.", ended)]
    if status not in ("QUEUED", "SKIPPED"):
        lines.append(("INFO", "EXECUTION_STARTED", f"{stage.name} started.", began))
    return lines


def _live(data_model: DataModel, load: Load | None, *, failed: bool) -> dict[str, object]:
    tables = data_model.tables if load else {}
    return {
        "dataModelId": data_model.id,
        "dataModelName": data_model.name,
        "done": True,
        "error": failed,
        "errorMessage": data_model.loads[-1].message or None if failed else None,
        "tablesLoaded": bool(tables),
        "numTables": len(data_model.tables),
        "lastLoad": _ms(load.ends_at) if load else None,
        "startTime": _ms(load.started_at) if load else None,
        "endTime": _ms(load.ends_at) if load else None,
        "tableLoads": [
            {
                "tableId": stable_id(data_model.id, name),
                "tableName": name,
                "tableRowCount": rows,
                "done": True,
            }
            for name, rows in tables.items()
        ],
    }


def _load_item(data_model: DataModel, load: Load, now: float) -> dict[str, object]:
    done = load.done(now)
    return {
        "dataLoadId": load.id,
        "dataModelId": data_model.id,
        "startDate": _ms(load.started_at),
        "endDate": _ms(load.ends_at) if done else None,
        "loadStatus": load.status if done else "RUNNING",
        "message": load.message if done else "",
        "loadType": load.kind,
    }


def _data_model_item(data_model: DataModel) -> dict[str, object]:
    return {
        "id": data_model.id,
        "name": data_model.name,
        "description": data_model.description,
        "poolId": data_model.pool,
        "createDate": _ms(data_model.created_at),
        "changedDate": _ms(data_model.created_at),
        "tables": [{"id": stable_id(data_model.id, name), "aliasOrName": name} for name in data_model.tables],
    } | always("data model")


def _page(call: Call, name: str, items: Sequence[object]) -> Reply:
    page, limit = _paging(call)
    return ok({name: items[page * limit : (page + 1) * limit], "numOfPages": -(-len(items) // limit)})


def _paging(call: Call) -> tuple[int, int]:
    return _number(call, "page", 0), _number(call, "limit", _PAGE)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or (name == "limit" and int(text) == 0):
        raise Refused(attribute_problem(name, "must be a whole number", "INVALID_VALUE"))
    return int(text)


def _settings(call: Call, job: Job) -> dict[str, object]:
    """The body, which has to be about the job of the path."""
    try:
        body = json.loads(call.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(attribute_problem("body", "must be a JSON object", "INVALID_BODY"))
    if body.get("jobId", job.id) != job.id or body.get("poolId", job.pool) != job.pool:
        raise Refused(
            attribute_problem("jobId", "The body is about another job than the path.", "INVALID_ID")
        )
    return body
