"""Reads what a made-up team consists of from a folder: the one here is `data`, others are shaped like it.

| file | holds |
|---|---|
| `team.json` | the user, the keys with what each may, the scopes of the OAuth client, subscriptions |
| `studio.json` | spaces, packages with what they hold, analyses; a `restricted` package is the user key's alone |
| `pools.json` | data pools with their jobs and data models; `restricted` as above |
| `models/<id>/model.json` | one knowledge model: records and their fields, KPIs, filters, triggers |
| `models/<id>/<record>.json` | the rows of a record: a list of lists, one value per field; none without the file |

A folder elsewhere may lack `team.json` and `studio.json`. Then the ones here serve as far as they fit: packages that hold
its knowledge models, to which each other model adds an open one of its own; subscriptions to its models; and the key
`pool` is for its first pool that isn't restricted, where it has none of those that the key names.

Everything is relative to the start of the sandbox. In a `model.json` the text `{-30 days}` becomes the day 30 days
before it; in rows a day is a number of days (-30), a moment is days and a time in UTC ("-30 14:03:22"), and either may be
absolute (ISO 8601) instead. In `pools.json` all times are seconds: `at` from the start, `lasts` from `at`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast, get_args

from bot.sandbox.pools import DataModel, Job, Load, Pool, Run, Stage, stable_id
from bot.sandbox.schema import (
    Field,
    FieldType,
    Filter,
    KnowledgeModel,
    Kpi,
    Link,
    Measure,
    Record,
    Row,
    Trigger,
)

DEFAULT_SEED = "celonis-chat"

DATA = files("bot.sandbox") / "data"
_DAYS = re.compile(r"\{(-?\d+) days\}")
_CREATED = -90 * 86_400


class BrokenData(ValueError):
    """A folder that holds no team: one sentence that says which file is wrong, and what about it."""


def read_text(name: str) -> str:
    """One of the files here."""
    return (DATA / name).read_text(encoding="utf-8")


def read(name: str, data: Traversable = DATA) -> Any:
    """What one of the JSON files of a folder says.

    Raises:
        BrokenData: It isn't there, or isn't JSON.
    """
    with _reading(data, name):
        return json.loads((data / name).read_text(encoding="utf-8"))


def make_team(pools: Sequence[Pool], models: Collection[str], data: Traversable = DATA) -> Any:
    """What `team.json` says; without one, what the one here says about these pools and knowledge models (ids).

    Raises:
        BrokenData: The file isn't JSON.
    """
    if (data / "team.json").is_file():
        return read("team.json", data)
    given = read("team.json")
    given["subscriptions"] = [each for each in given["subscriptions"] if each["knowledgeModelId"] in models]
    key = next(each for each in given["keys"] if each["name"] == "pool")
    opened = [each for each in pools if not each.restricted]
    if opened and not any(each.id in key["view"] for each in opened):
        key["may"] = f"view and manage the pool {opened[0].name}, nothing else"
        key["view"] = key["manage"] = [opened[0].id]
    return given


def make_studio(models: Sequence[KnowledgeModel], data: Traversable = DATA) -> Any:
    """What `studio.json` says; without one, what the one here says, with the packages of these models only.

    Raises:
        BrokenData: The file isn't JSON.
    """
    if (data / "studio.json").is_file():
        return read("studio.json", data)
    given = read("studio.json")
    wanted = {each.package: each for each in models}
    packages = [each for each in given["packages"] if each["key"] in wanted]
    space = next(each["id"] for each in given["spaces"] if each["name"] == "Default")
    for key in sorted(wanted.keys() - {each["key"] for each in packages}):
        held = [each for each in models if each.package == key]
        assets = [
            {"key": each.id.partition(".")[2], "name": each.name, "type": "SEMANTIC_MODEL"} for each in held
        ]
        packages.append({"key": key, "name": held[0].name, "space": space, "assets": assets})
    return given | {"packages": packages, "analyses": []}


def make_knowledge_models(seed: str, start: float, data: Traversable = DATA) -> tuple[KnowledgeModel, ...]:
    """The knowledge models for this seed on the UTC day of `start` (seconds since 1970). They are never changed.

    Raises:
        BrokenData: The folder has none, or one of their files is wrong.
    """
    return _knowledge_models(seed, datetime.fromtimestamp(start, UTC).date(), cast("Hashable", data))


def make_pools(start: float, data: Traversable = DATA) -> list[Pool]:
    """The pools as they are at this moment (seconds since 1970).

    Raises:
        BrokenData: Their file is not there, or wrong.
    """
    given = read("pools.json", data)
    with _reading(data, "pools.json"):
        return [_pool(each, start) for each in given]


@contextmanager
def _reading(folder: Traversable, name: str) -> Iterator[None]:
    """Says which file is wrong, where one is."""
    try:
        yield
    except FileNotFoundError:
        raise BrokenData(f"{folder / name} is missing.") from None
    except BrokenData:
        raise
    except KeyError as error:
        raise BrokenData(f"{folder / name} lacks {error}.") from None
    except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise BrokenData(f"{folder / name} cannot be used: {error}.") from None


@lru_cache(maxsize=4)
def _knowledge_models(seed: str, today: date, data: Traversable) -> tuple[KnowledgeModel, ...]:
    with _reading(data, "models"):
        folders = sorted(
            (each for each in (data / "models").iterdir() if each.is_dir()), key=lambda each: each.name
        )
        if not folders:
            raise ValueError("it holds no knowledge model")
    models = []
    for folder in folders:
        with _reading(folder, "model.json"):
            models.append(_knowledge_model(folder, seed, today))
            _check(models[-1])
    return tuple(models)


def _check(model: KnowledgeModel) -> None:
    """Raises ValueError where one part of a model names another that isn't there."""

    def known(what: str, record: str, *fields: str) -> None:
        held = model.record(record)
        if held is None:
            raise ValueError(f"{what} names the record {record}, which is not there")
        for field in fields:
            if field and held.field(field) is None:
                raise ValueError(f"{what} names the field {record}.{field}, which is not there")

    for each in model.records:
        for field in each.fields:
            if field.type not in get_args(FieldType):
                raise ValueError(f"{each.id}.{field.id} has the type {field.type}, which is none")
        for link in each.links:
            known(f"a link of {each.id}", each.id, link.field)
            known(f"a link of {each.id}", link.record, link.target)
    for kpi in model.kpis:
        measure = kpi.measure
        known(f"the KPI {kpi.id}", measure.record, measure.field, measure.over, measure.where)
    for one in model.filters:
        known(f"the filter {one.id}", one.record)
    for trigger in model.triggers:
        known(f"the trigger {trigger.id}", trigger.record)


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
    file = f"{given['id']}.json"
    with _reading(folder, file):
        rows = _rows(folder / file, fields, seed, today)
    return Record(**given | {"fields": fields, "links": links, "rows": rows})


def _rows(file: Traversable, fields: tuple[Field, ...], seed: str, today: date) -> tuple[Row, ...]:
    if not file.is_file():
        return ()
    rows = json.loads(file.read_text(encoding="utf-8"))
    for number, row in enumerate(rows, 1):
        if len(row) != len(fields):
            raise ValueError(f"row {number} has {len(row)} values for {len(fields)} fields")
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
