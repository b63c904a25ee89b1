"""Fixtures and options for all tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import bot.dispatch  # noqa: F401 - as below
import tests.language.sentences  # noqa: F401 - what `say` quotes follows from all intents there are: the same in every run

pytest.register_assert_rewrite("tests.platform_rules")
# No test measures time; what is slow on a busy machine is no failure.
settings.register_profile(
    "untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; review the difference"
    )


def readable(value: object, indent: str = "", room: int = 110) -> str:
    """JSON that people can review: what fits on a line stays on it."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= room or not isinstance(value, dict | list) or not value:
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {readable(each, inner, room)}"
            for key, each in value.items()
        ]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + readable(each, inner, room) for each in value) + f"\n{indent}]"


@pytest.fixture
def assert_golden(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Compares a payload with the golden file of that name beside the test module (`golden/<name>`).

    Text goes to `<name>.txt`, everything else to `<name>.json`. `pytest --update-golden` writes them.
    """

    def check(name: str, payload: object) -> None:
        assert re.fullmatch(r"[\w .=-]+", name, re.ASCII), f"{name!r} is no good name for a file"
        written, suffix = (payload, "txt") if isinstance(payload, str) else (readable(payload), "json")
        file = Path(request.path).parent / "golden" / f"{name}.{suffix}"
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{written}\n", encoding="utf-8")
        assert file.exists(), f"{file.name} is missing: run pytest --update-golden and review it"
        golden = file.read_text(encoding="utf-8")
        same = golden == f"{written}\n" if isinstance(payload, str) else json.loads(golden) == payload
        assert same or golden.splitlines() == written.splitlines()

    return check
