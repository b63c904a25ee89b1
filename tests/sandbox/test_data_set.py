"""The data set as files: complete where the package goes, and read as written."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import bot.sandbox
from bot.sandbox.content import make_knowledge_models, make_pools

ROOT = Path(bot.sandbox.__file__).parents[2]


def test_every_file_beside_the_code_is_in_the_wheel() -> None:
    shipped = {file.relative_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    folder = ROOT / "bot" / "sandbox"
    files = {
        str(path.relative_to(ROOT))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in files if path.endswith((".json", ".lark", ".txt"))}
    assert files <= shipped


def test_the_parser_is_loaded_by_the_first_filter_and_not_before() -> None:
    program = """
import sys
from bot.sandbox import Sandbox
Sandbox()
assert "lark" not in sys.modules
from bot.sandbox.expressions import parse
parse("a eq 1")
assert "lark" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)  # noqa: S603 - a program of our own


@pytest.mark.parametrize("today", [date(2026, 3, 29), date(2028, 2, 29)])
def test_days_and_moments_move_with_the_day_of_the_start(today: date) -> None:
    start = datetime(today.year, today.month, today.day, 23, 59, tzinfo=UTC).timestamp()
    models = {model.id: model for model in make_knowledge_models("celonis-chat", start)}
    model = models["open-purchase-requisition.purchase-requisition-km"]
    events = model.record("EVENTS")
    assert events is not None
    newest = max(row[events.positions["event_day"]] for row in events.rows)  # type: ignore[type-var] # all are days
    moments = [row[events.positions["EVENTTIME"]] for row in events.rows]
    assert newest == today
    assert all(isinstance(moment, datetime) and moment.tzinfo is UTC for moment in moments)
    (months,) = (item.expression for item in model.filters if item.id == "24M_FILTER")
    assert months == f"last_order ge {date.fromordinal(today.toordinal() - 730)}"


def test_runs_count_from_the_start() -> None:
    start = 1_793_000_000.0
    (job,) = (job for pool in make_pools(start) for job in pool.jobs if job.name == "main job")
    assert job.last is not None
    assert job.last.starts_at == start - 95 * 60
