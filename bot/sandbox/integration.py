"""Data Integration: pools, jobs, runs and their messages, data models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.sandbox.pools import Status, stable_id
from bot.sandbox.replies import Refused, Reply, attribute_problem, integration_problem, nothing, ok

if TYPE_CHECKING:
    from bot.sandbox.clock import SandboxClock
    from bot.sandbox.pools import DataModel, Job, Load, Pool, Pools, Run, Stage
    from bot.sandbox.routing import Call, Route
    from bot.sandbox.switches import Switches

_PAGE = 50
_STATE_ORDER: tuple[Status, ...] = ("RUNNING", "QUEUED", "FAIL", "CANCEL", "SKIPPED", "SUCCESS")


def _ms(moment: float | None) -> int | None:
    return None if moment is None else int(moment * 1000)


class Integration:
    """The handlers of `/integration/api`."""

    def __init__(self, pools: Pools, clock: SandboxClock, switches: Switches) -> None:
        self._pools = pools
        self._clock = clock
        self._switches = switches

    def routes(self) -> list[Route]:
        """What is served."""
        pool = "/integration/api/pools/*"
        official = "/integration/api/{}/data-pools/*"
        return [
            ("GET", "/integration/api/pools", self.list_pools),
            ("GET", "/integration/api/pools/paged", self.page_pools),
            ("GET", pool, self.one_pool),
            ("GET", f"{pool}/jobs", self.list_jobs),
            ("GET", f"{pool}/jobs/*", self.one_job),
            ("POST", f"{pool}/jobs/*/cancel", self.cancel),
            ("POST", f"{pool}/jobs/*/execute", self.execute),
            ("POST", f"{pool}/jobs/*/alerts", self.set_alerts),
            *(
                ("POST", f"{official.format(version)}/data-jobs/*/execute", self.execute_officially)
                for version in ("v1", "v2")
            ),
            ("GET", f"{pool}/logs/status", self.statuses),
            ("GET", f"{pool}/overviews/data-jobs", self.overview),
            ("GET", f"{pool}/logs/executions", self.children),
            ("GET", f"{pool}/logs/executions/detail", self.messages),
            ("GET", f"{pool}/logs/*/executions", self.executions),
            ("GET", f"{pool}/data-models", self.list_data_models),
            ("GET", f"{pool}/data-models/*", self.one_data_model),
            ("GET", f"{pool}/data-models/*/load-history/load-info-sync", self.load_state),
            ("POST", f"{pool}/data-models/*/reload", self.reload),
            ("POST", f"{official.format('v1')}/data-models/*/load", self.reload),
        ]

    def list_pools(self, call: Call) -> Reply:
        """All visible pools."""
        return ok([self._pool_item(pool, call) for pool in self._visible(call)])

    def page_pools(self, call: Call) -> Reply:
        """The same in pages, each with the status of its jobs."""
        page, limit = _number(call, "page", 0), _number(call, "limit", _PAGE)
        pools = self._visible(call)
        content: list[dict[str, object]] = []
        for pool in pools[page * limit : (page + 1) * limit]:
            runs = [job.last for job in self._caught_up(pool).jobs if job.last is not None]
            states = {run.status for run in runs}
            status = next((state for state in _STATE_ORDER[:2] if state in states), None)
            newest = max(runs, key=lambda run: run.since, default=None)
            content.append(
                {
                    "id": pool.id,
                    "name": pool.name,
                    "status": status or (newest.status if newest else "UNCONFIGURED"),
                    "lastExecutionStartDate": _ms(newest.since) if newest else None,
                    "createdBy": "bob.ross@celonis.com",
                    "tags": [],
                    "rawDataSize": 1_073_741_824 if pool.jobs else 0,
                    "dataSources": [],
                }
            )
        total = len(pools) if self._switches.pool_total == "pools" else -(-len(pools) // limit)
        return ok({"content": content, "pageSize": limit, "pageNumber": page, "totalCount": total})

    def one_pool(self, call: Call) -> Reply:
        """One pool."""
        return ok(self._pool_item(self._pool(call), call))

    def list_jobs(self, call: Call) -> Reply:
        """The jobs of a pool."""
        return ok([self._job_item(job) for job in self._pool(call).jobs])

    def one_job(self, call: Call) -> Reply:
        """One job."""
        return ok(self._job_item(self._job(call)))

    def statuses(self, call: Call) -> Reply:
        """Status of all jobs that ever ran, without their names."""
        return ok(
            [
                {"id": job.id, "status": job.last.status, "lastExecutionStartDate": _ms(job.last.since)}
                for job in self._pool(call).jobs
                if job.last is not None
            ]
        )

    def overview(self, call: Call) -> Reply:
        """The overview page's list."""
        return ok(
            [
                {
                    "id": job.id,
                    "name": job.name,
                    "lastExecutionDate": _ms(job.last.since) if job.last else None,
                    "executionStatus": job.last.status if job.last else None,
                    "numberOfTransformations": sum(stage.kind == "TRANSFORMATION" for stage in job.stages),
                }
                for job in self._pool(call).jobs
            ]
        )

    def cancel(self, call: Call) -> Reply:
        """Cancels the active run. [choice] An idle job: 200 and no effect."""
        job = self._job(call, manage=True)
        self._pools.cancel(job)
        status = self._switches.cancel_status
        if status < 400:  # noqa: PLR2004 - HTTP's own border
            return Reply(status, after=self._switches.cancel_blocks)
        reply = integration_problem(status, "The job could not be cancelled.", "UNEXPECTED_ERROR")
        reply.after = self._switches.cancel_blocks
        return reply

    def execute(self, call: Call) -> Reply:
        """Starts a run, the way PyCelonis does it."""
        job = self._job(call, manage=True)
        settings = _body(call)
        if settings.get("jobId", job.id) != job.id or settings.get("poolId", job.pool) != job.pool:
            return attribute_problem("jobId", "The body is about another job than the path.", "INVALID_ID")
        return self._execute(job, settings.get("mode", "DELTA"))

    def execute_officially(self, call: Call) -> Reply:
        """Starts a run, the documented way. [choice] Without a mode: 400."""
        return self._execute(self._job(call, manage=True), call.query.get("mode"))

    def set_alerts(self, call: Call) -> Reply:
        """Stores who wants to know what; [choice] the reply repeats the settings."""
        job = self._job(call, manage=True)
        settings = _body(call)
        if settings.get("jobId", job.id) != job.id:
            return attribute_problem("jobId", "The body is about another job than the path.", "INVALID_ID")
        job.alerts = settings
        return ok(settings)

    def executions(self, call: Call) -> Reply:
        """The runs of a job, newest first."""
        pool = self._pool(call)
        job = self._job(call)
        page, limit = _number(call, "page", 0), _number(call, "limit", _PAGE)
        runs = job.runs[::-1]
        items = [self._item(pool, job, run) for run in runs[page * limit : (page + 1) * limit]]
        return ok({"executionItems": items, "numOfPages": -(-len(runs) // limit)})

    def children(self, call: Call) -> Reply:
        """Stages of a run (`type=TASK`, `id` of the job) or steps of a stage (`type=STEP`, `id` of the stage)."""
        pool = self._pool(call)
        found = self._run(pool, call.query.get("executionId", ""))
        if found is None:
            return ok([])
        job, run = found
        kind, owner = call.query.get("type", "TASK"), call.query.get("id", job.id)
        states = list(zip(job.stages, self._states(job, run), strict=False))
        if kind == "TASK":
            wanted = states if owner == job.id else []
            return ok([self._item(pool, job, run, stage=stage, status=status) for stage, status in wanted])
        return ok(
            [
                self._item(pool, job, run, stage=stage, step=step, status=status)
                for stage, status in states
                if kind == "STEP" and owner == _stage_id(job, stage)
                for step in stage.steps
            ]
        )

    def messages(self, call: Call) -> Reply:
        """Log messages of a run, a stage or a step."""
        pool = self._pool(call)
        page, limit = _number(call, "page", 0), _number(call, "limit", _PAGE)
        levels = {level for part in call.query.getall("logLevels", []) for level in part.split(",")}
        found = self._run(pool, call.query.get("executionId", ""))
        lines = [] if found is None else self._lines(*found, call.query.get("id", ""))
        lines = [line for line in lines if not levels or line["level"] in levels]
        content = lines[page * limit : (page + 1) * limit]
        return ok({"logMessages": content, "numOfPages": -(-len(lines) // limit)})

    def list_data_models(self, call: Call) -> Reply:
        """The data models of a pool."""
        return ok([_data_model_item(data_model) for data_model in self._pool(call).data_models])

    def one_data_model(self, call: Call) -> Reply:
        """One data model."""
        return ok(_data_model_item(self._data_model(call)))

    def load_state(self, call: Call) -> Reply:
        """What is loaded, what is being loaded, and how long it usually takes."""
        data_model = self._data_model(call)
        now = self._clock.wall()
        loads = data_model.loads[::-1]
        done = [load for load in loads if load.done(now)]
        good = next((load for load in done if load.status == "SUCCESS"), None)
        seconds = [load.ends_at - load.started_at for load in done]
        average = int(sum(seconds) / len(seconds) * 1000) if seconds else 0
        return ok(
            {
                "loadInfo": {
                    "liveDataModel": _live(data_model, good, failed=bool(done and done[0].status == "ERROR")),
                    "currentComputeLoad": _load_item(data_model, loads[0], now) if loads else None,
                },
                "loadHistory": {
                    "lastSuccessfulDataModel": _live(data_model, good, failed=False),
                    "dataLoadHistory": [_load_item(data_model, load, now) for load in loads],
                    "averageLoadTime": [{"type": "COMPLETE", "averageLoadingTime": average}],
                },
            }
        )

    def reload(self, call: Call) -> Reply:
        """Loads a data model, both ways of asking; [choice] 409 while a load is under way."""
        data_model = self._data_model(call, manage=True)
        flag = call.query.get("forceComplete", call.query.get("fullReload", "false"))
        if not self._pools.load(data_model, "COMPLETE" if flag == "true" else "FROM_CACHE"):
            return integration_problem(
                409, "A load of this data model is already running.", "LOAD_ALREADY_RUNNING"
            )
        return nothing()

    def _execute(self, job: Job, mode: object) -> Reply:
        if mode != "FULL" and mode != "DELTA":  # noqa: PLR1714 - this form narrows the type
            return attribute_problem("mode", "must be FULL or DELTA", "INVALID_VALUE")
        if not self._pools.execute(job, mode):
            # [choice] only the code is published, as a log code; clients look before they ask
            return attribute_problem("status", "The job is already running.", "JOB_ALREADY_RUNNING")
        return nothing()

    def _visible(self, call: Call) -> list[Pool]:
        return [pool for pool in self._pools if call.key.rights.may_view(pool.id)]

    def _caught_up(self, pool: Pool) -> Pool:
        return self._pools.get(pool.id) or pool

    def _pool(self, call: Call, *, manage: bool = False) -> Pool:
        identity = call.args[0]
        pool = self._pools.get(identity)
        if pool is None:
            raise Refused(
                integration_problem(404, f"Data pool with id {identity} was not found.", "NOT_FOUND")
            )
        rights = call.key.rights
        if not (rights.may_manage(identity) if manage else rights.may_view(identity)):
            raise Refused(integration_problem(403, "Access is denied", "ACCESS_DENIED"))
        return pool

    def _job(self, call: Call, *, manage: bool = False) -> Job:
        identity = call.args[1]
        for job in self._pool(call, manage=manage).jobs:
            if job.id == identity:
                return job
        raise Refused(integration_problem(404, f"Data job with id {identity} was not found.", "NOT_FOUND"))

    def _data_model(self, call: Call, *, manage: bool = False) -> DataModel:
        identity = call.args[1]
        for data_model in self._pool(call, manage=manage).data_models:
            if data_model.id == identity:
                return data_model
        raise Refused(integration_problem(404, f"Data model with id {identity} was not found.", "NOT_FOUND"))

    def _run(self, pool: Pool, execution_id: str) -> tuple[Job, Run] | None:
        return next(
            ((job, run) for job in pool.jobs for run in job.runs if run.execution_id == execution_id), None
        )

    def _pool_item(self, pool: Pool, call: Call) -> dict[str, object]:
        manage = call.key.rights.may_manage(pool.id)
        return {
            "id": pool.id,
            "name": pool.name,
            "description": pool.description,
            "timeStamp": _ms(pool.created_at),
            "configurationStatus": "CONFIGURED" if pool.jobs else "NEW",
            "locked": False,
            "permissions": ["VIEW", "EDIT", "MANAGE"] if manage else ["VIEW"],
            "tags": [],
            "originalId": None,
            "monitoringTarget": False,
            "contentId": None,
            "contentVersion": 0,
            "creatorUserId": stable_id("user"),
            "objectId": stable_id(pool.id, "object"),
        }

    def _job_item(self, job: Job) -> dict[str, object]:
        run, named = job.last, self._switches.execution_ids
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
        self,
        pool: Pool,
        job: Job,
        run: Run,
        *,
        stage: Stage | None = None,
        step: str | None = None,
        status: Status | None = None,
    ) -> dict[str, object]:
        part = [run.execution_id, *([stage.name] if stage else []), *([step] if step else []), "item"]
        return {
            "id": stable_id(*part),
            "poolId": pool.id,
            "poolName": pool.name,
            "executionId": run.execution_id,
            "schedulingId": stable_id(job.id, run.schedule) if run.schedule else None,
            "jobId": job.id,
            "taskId": _stage_id(job, stage) if stage else None,
            "stepId": stable_id(job.id, stage.name, step) if stage and step else None,
            "name": step or (stage.name if stage else job.name),
            "status": status or run.status,
            "startDate": _ms(run.started_at),
            "endDate": _ms(run.ended_at),
            "type": "STEP" if step else "TASK" if stage else "JOB",
            "mode": run.mode,
            "schedulingName": run.schedule or None,
            "executionOrder": job.stages.index(stage) if stage else 0,
            "monitored": True,
        }

    def _states(self, job: Job, run: Run) -> list[Status]:
        """Status of each stage that has begun or is going to: the last is the run's own, those before succeeded."""
        stages = len(job.stages)
        states: list[Status] = ["SUCCESS"] * stages
        match run.status:
            case "FAIL":
                at = next((number for number, stage in enumerate(job.stages) if stage.errors), 0)
                states[at:] = ["FAIL"]
            case "RUNNING" | "CANCEL":
                at = self._stage_at(run, stages)
                states[at:] = [run.status]
                states.extend(["QUEUED"] * (stages - at - 1) if run.active else [])
            case "QUEUED" | "SKIPPED":
                states = [run.status] * stages
            case "SUCCESS":
                pass
        return states

    def _stage_at(self, run: Run, stages: int) -> int:
        if run.started_at is None or run.ends_at is None or run.ends_at <= run.started_at:
            return 0
        until = run.ended_at if run.ended_at is not None else self._clock.wall()
        return min(stages - 1, int((until - run.started_at) / (run.ends_at - run.started_at) * stages))

    def _lines(self, job: Job, run: Run, owner: str) -> list[dict[str, object]]:
        """Messages of the run itself (`owner` is the job's id), of a stage or of a step, newest first for errors."""
        began = run.started_at if run.started_at is not None else run.queued_at
        ended = run.ended_at if run.ended_at is not None else self._clock.wall()
        lines: list[tuple[str, str, str, float]] = []
        if owner == job.id:
            lines.append(
                ("INFO", "JOB_EXECUTION_STARTED", f"Execution of data job {job.name} started.", began)
            )
            if run.status == "CANCEL":
                lines.append(
                    ("WARNING", "JOB_EXECUTION_CANCELLED", "Execution was cancelled on request.", ended)
                )
            if run.status == "FAIL":
                lines.append(
                    ("ERROR", "JOB_EXECUTION_FAILED", "Data job failed: see the failed task.", ended)
                )
        for stage, status in zip(job.stages, self._states(job, run), strict=False):
            parts = (_stage_id(job, stage), *(stable_id(job.id, stage.name, step) for step in stage.steps))
            if owner in parts:
                lines.extend(_stage_lines(stage, status, began, ended))
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
        errors = stage.errors or (("EXECUTION_FAILED", f"{stage.name} failed."),)
        lines = [("ERROR", code, text, ended) for code, text in errors]
    elif status == "CANCEL":
        lines = [("WARNING", "EXECUTION_CANCELED_ON_REQUEST", f"{stage.name} was cancelled.", ended)]
    if status not in ("QUEUED", "SKIPPED"):
        lines.append(("INFO", "EXECUTION_STARTED", f"{stage.name} started.", began))
    return lines


def _live(data_model: DataModel, load: Load | None, *, failed: bool) -> dict[str, object]:
    tables = data_model.tables if load else ()
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
            for name, rows in tables
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
        "tables": [
            {"id": stable_id(data_model.id, name), "aliasOrName": name} for name, _ in data_model.tables
        ],
        "foreignKeys": [],
        "processConfigurations": [],
        "permissions": [],
    }


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or (name == "limit" and int(text) == 0):
        raise Refused(attribute_problem(name, "must be a whole number", "INVALID_VALUE"))
    return int(text)


def _body(call: Call) -> dict[str, object]:
    if not call.body:
        return {}
    try:
        body = json.loads(call.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(attribute_problem("body", "must be a JSON object", "INVALID_BODY"))
    return body
