"""Catalogs that the language was not built on: what their sets name is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.content import DEFAULT_SEED, make_knowledge_models, make_pools

HERE = Path(__file__).parent
CATALOGS = ("einkauf", "hafen", "helpdesk", "schaden", "versicherung")
NOW = 1_795_723_200.0
OPERATORS = (" is empty", " >= ", " <= ", " != ", " = ", " > ", " < ", " in (", " between ")


def lines(catalog: str) -> list[dict[str, Any]]:
    text = (HERE / "sets" / f"{catalog}.jsonl").read_text("utf-8")
    return [json.loads(each) for each in text.splitlines()]


def called(catalog: str) -> set[str]:
    folder = HERE / "catalogs" / catalog
    found: set[str] = set()
    for model in make_knowledge_models(DEFAULT_SEED, NOW, folder):
        found |= {model.name, *(each.name for each in model.kpis), *(each.name for each in model.filters)}
        for record in model.records:
            found |= {record.name, *(each.name for each in record.fields)}
    for pool in make_pools(NOW, folder):
        found |= {pool.name, *(each.name for each in pool.jobs)}
    return found


def named(frame: dict[str, Any]) -> Iterator[str]:
    for key in ("names", "by", "filters", "show"):
        yield from frame.get(key, ())
    if "pool" in frame:
        yield frame["pool"]
    for condition in frame.get("where", ()):
        operator = next(each for each in OPERATORS if each in condition)
        yield condition.partition(operator)[0]


@pytest.mark.parametrize("catalog", CATALOGS)
def test_what_is_expected_is_called_so_in_the_catalog(catalog: str) -> None:
    known = called(catalog)
    for line in lines(catalog):
        frames = [*line.get("accept", ()), *line.get("offer", ())]
        if "question" in line:
            frames.append(line["question"])
        for frame in frames:
            assert set(named(frame)) <= known, (line["id"], set(named(frame)) - known)


@pytest.mark.parametrize("catalog", CATALOGS)
def test_pairs_are_lines_of_the_same_set(catalog: str) -> None:
    ids = {each["id"] for each in lines(catalog)}
    assert all(each["pair"] in ids for each in lines(catalog) if "pair" in each)
