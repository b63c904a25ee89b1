"""The documents say what the code does."""

from __future__ import annotations

import json
import runpy
import shutil
import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator

from bot.config import ENVIRONMENT, Need, Section, Settings, load
from bot.model.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "celonis-chat.example.toml"
FIRST = "docs/generate_settings.py has not been run"


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "generate_settings.py"))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    content = json.loads((DOCS / "celonis-chat.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


def test_the_schema_is_current(generated: dict[str, Any]) -> None:
    assert generated["schema"]() == (DOCS / "celonis-chat.schema.json").read_text(encoding="utf-8"), FIRST


def test_the_tables_of_the_page_are_current(generated: dict[str, Any]) -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert generated["page"](text) == text, FIRST


def test_every_setting_and_every_variable_is_explained() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for each in ENVIRONMENT:
        assert f"| `{each.name}` |" in text
    for kind in sections(Settings):
        for key, about in kind.written().items():
            assert f"| `{key}` |" in text
            assert about.description, f"{kind.__name__}.{key}"


def test_the_example_loads_as_it_is(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "celonis-chat.toml")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "finance.client-secret").write_text("made-up-client-secret")
    environ = {
        "CELONIS_API_TOKEN": "made-up-default-key",
        "CELONIS_API_TOKEN_PRODUCTION": "made-up-production-key",
        "CELONIS_WRITE_KEY_PRODUCTION": "made-up-key-for-writes",
        "CELONIS_FINANCE_CLIENT_ID": "made-up-client",
        "SLACK_BOT_TOKEN": "xoxb-made-up",
        "SLACK_SIGNING_SECRET": "made-up-signing-secret",
        "CELONIS_CHAT_SECRET_KEY": "made-up-secret-key-of-enough-length",
    }
    settings = load(environ, tmp_path / "celonis-chat.toml", need=Need.SERVING)
    assert list(settings.connections) == ["default", "production", "finance"]
    assert settings.remarks == ()


def sections(kind: Any) -> list[type[Section]]:
    """A table and all tables that can be in it."""
    if isinstance(kind, type) and issubclass(kind, Section):
        inner = [each for about in kind.written().values() for each in sections(about.annotation)]
        return [kind, *inner]
    return [each for arg in get_args(kind) for each in sections(arg)]


def shown(value: Any, kind: Any) -> set[tuple[str, str]]:
    """Which keys of which tables a toml has."""
    if isinstance(kind, type) and issubclass(kind, Section):
        known = value if isinstance(value, dict) else {}
        inside = [shown(each, kind.written()[key].annotation) for key, each in known.items()]
        return {(kind.__name__, key) for key in known}.union(*inside)
    inside = [value]
    if get_origin(kind) is dict:
        inside = list(value.values())
    elif get_origin(kind) is tuple and isinstance(value, list):
        inside = value
    return {pair for arg in get_args(kind) for each in inside for pair in shown(each, arg)}


def test_the_example_shows_every_setting() -> None:
    example = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    every = {(kind.__name__, key) for kind in sections(Settings) for key in kind.written()}
    elsewhere = {
        ("Connection", "api_token_file"),  # the other half of a pair of which one is shown
        ("Connection", "write_key_file"),
        ("Connection", "oauth_client_id_file"),
        ("Connection", "oauth_client_secret_env"),
    }
    assert every - shown(example, Settings) == elsewhere


def test_the_schema_takes_the_example(schema: Draft202012Validator) -> None:
    assert list(schema.iter_errors(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "toml",
    [
        "limts = 3",
        "replicas = 0",
        '[connections.p]\napi_token = "x"',
        "[connections.p]\ntimeout = 601",
        '[connections.p]\nkey_type = "PASSWORD"',
        '[[policy]]\nmay = "read"',
        '[[policy]]\nwho = { slack = "T1:U1" }\nmay = "reed"',
        '[[policy]]\nwho = { slack = "T1:U1" }\nmay = []',
        '[[bindings]]\nslack = "T1"',
        "hide_fields = [3]",
        "[server]\nport = 70000",
    ],
)
def test_what_the_schema_refuses_the_program_refuses_too(
    schema: Draft202012Validator, toml: str, tmp_path: Path
) -> None:
    file = tmp_path / "celonis-chat.toml"
    file.write_text(toml)
    assert list(schema.iter_errors(tomllib.loads(toml)))
    with pytest.raises(ConfigError):
        load({}, file, need=Need.NOTHING)
