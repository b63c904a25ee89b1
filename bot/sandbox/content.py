"""Reads what the made-up team consists of from the folder `data`.

| file | holds |
|---|---|
| `team.json` | the user, the keys with what each may, the scopes of the OAuth client, subscriptions |
| `studio.json` | spaces, packages with what they hold, analyses; a `restricted` package is the user key's alone |
| `pools.json` | data pools with their jobs and data models; `restricted` as above |
| `models/<id>/model.json` | one knowledge model: records and their fields, KPIs, filters, triggers |
| `models/<id>/<record>.json` | the rows of a record: a list of lists, one value per field; none without the file |

Everything is relative to the start of the sandbox. In a `model.json` the text `{-30 days}` becomes the day 30 days
before it; in rows a day is a number of days (-30), a moment is days and a time in UTC ("-30 14:03:22"), and either may be
absolute (ISO 8601) instead. In `pools.json` all times are seconds: `at` from the start, `lasts` from `at`.
"""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from bot.sandbox.pools import DataModel, Job, Load, Pool, Run, Stage, stable_id
from bot.sandbox.schema import Field, Filter, KnowledgeModel, Kpi, Link, Measure, Record, Row, Trigger

DEFAULT_SEED = "celonis-chat"

_DATA = files("bot.sandbox") / "data"
_DAYS = re.compile(r"\{(-?\d+) days\}")
_CREATED = -90 * 86_400


def read_text(name: str) -> str:
    """One of the files."""
    return (_DATA / name).read_text(encoding="utf-8")


def read(name: str) -> Any:
    """What one of the JSON files says."""
    return json.loads(read_text(name))


def make_knowledge_models(seed: str, start: float) -> tuple[KnowledgeModel, ...]:
    """The knowledge models for this seed on the UTC day of `start` (seconds since 1970). They are never changed."""
    return _knowledge_models(seed, datetime.fromtimestamp(start, UTC).date())


def make_pools(start: float) -> list[Pool]:
    """The pools as they are at this moment (seconds since 1970)."""
    return [_pool(given, start) for given in read("pools.json")]


@lru_cache(maxsize=4)
def _knowledge_models(seed: str, today: date) -> tuple[KnowledgeModel, ...]:
    folders = sorted((_DATA / "models").iterdir(), key=lambda folder: folder.name)
    return tuple(_knowledge_model(folder, seed, today) for folder in folders)


def _knowledge_model(folder: Traversable, seed: str, today: date) -> KnowledgeModel:
    text = (folder / "model.json").read_text(encoding="utf-8")
    given = json.loads(_DAYS.sub(lambda found: str(_day(int(found[1]), today)), text))
    return KnowledgeModel(
        id=folder.name,
        name=given["name"],
        published=given["published"],
        records=tuple(_record(folder, item, seed, today) for item in given.get("records", ())),
        kpis=tuple(Kpi(**item | {"measure": Measure(**item["measure"])}) for item in given.get("kpis", ())),
        filters=tuple(Filter(**item) for item in given.get("filters", ())),
        triggers=tuple(Trigger(**item) for item in given.get("triggers", ())),
        extends=given.get("extends", ""),
    )


def _record(folder: Traversable, given: dict[str, Any], seed: str, today: date) -> Record:
    fields = tuple(Field(**item) for item in given["fields"])
    links = tuple(Link(**item) for item in given.get("links", ()))
    rows = _rows(folder / f"{given['id']}.json", fields, seed, today)
    return Record(**given | {"fields": fields, "links": links, "rows": rows})


def _rows(file: Traversable, fields: tuple[Field, ...], seed: str, today: date) -> tuple[Row, ...]:
    if not file.is_file():
        return ()
    rows = json.loads(file.read_text(encoding="utf-8"))
    if seed != DEFAULT_SEED:
        random.Random(f"{seed}/rows").shuffle(rows)  # noqa: S311 - the same rows for the same seed, on purpose
    readers = {"date": _day, "datetime": _moment, "timestamp": _moment}
    for at, field in enumerate(fields):
        if to_value := readers.get(field.type):
            for row in rows:
                if row[at] is not None:
                    row[at] = to_value(row[at], today)
    same: dict[str, str] = {}  # one object for a text that stands in many rows
    return tuple(tuple(same.setdefault(v, v) if isinstance(v, str) else v for v in row) for row in rows)


def _day(given: int | str, today: date) -> date:
    return today + timedelta(given) if isinstance(given, int) else date.fromisoformat(given)


def _moment(given: str, today: date) -> datetime:
    days, _, clock = given.partition(" ")
    if not clock:
        return datetime.fromisoformat(given).astimezone(UTC)
    return datetime.combine(_day(int(days), today), time.fromisoformat(clock), UTC)


def _pool(given: dict[str, Any], start: float) -> Pool:
    created = start + given.get("created", _CREATED)
    pool = Pool(given["id"], given["name"], given["description"], created, given.get("restricted", False))
    pool.jobs = [_job(pool, item, start) for item in given.get("jobs", ())]
    pool.data_models = [_data_model(pool, item, start) for item in given.get("data_models", ())]
    return pool


def _job(pool: Pool, given: dict[str, Any], start: float) -> Job:
    identity = given.get("id", stable_id(pool.id, given["name"]))
    return Job(
        id=identity,
        name=given["name"],
        pool=pool.id,
        stages=tuple(Stage(**stage) for stage in given["stages"]),
        source=given.get("source", stable_id(pool.id, "connection")),
        changed_at=pool.created_at,
        outcome=given.get("outcome", "SUCCESS"),
        runs=[_run(identity, number, item, start) for number, item in enumerate(given.get("runs", ()))],
    )


def _run(job: str, number: int, given: dict[str, Any], start: float) -> Run:
    began, status = start + given["at"], given.get("status", "SUCCESS")
    until = began + given["lasts"] if "lasts" in given else None
    return Run(
        execution_id=stable_id(job, "history", number),
        mode=given.get("mode", "DELTA"),
        queued_at=began - 4,
        starts_at=None if status == "QUEUED" else began,
        ends_at=None if status == "CANCEL" else until,
        outcome="SUCCESS" if status in ("QUEUED", "CANCEL") else status,
        schedule=given.get("schedule", "Nightly"),
        cancel_at=until if status == "CANCEL" else None,
    )


def _data_model(pool: Pool, given: dict[str, Any], start: float) -> DataModel:
    identity = stable_id(pool.id, "data model", given["name"])
    loads = [
        Load(
            id=stable_id(identity, number),
            started_at=start + item["at"],
            ends_at=start + item["at"] + item["lasts"],
            status=item.get("status", "SUCCESS"),
            kind=item.get("kind", "COMPLETE"),
            message=item.get("message", ""),
        )
        for number, item in enumerate(given["loads"])
    ]
    description, tables = given.get("description", ""), given["tables"]
    return DataModel(identity, given["name"], pool.id, description, tables, loads, pool.created_at)
