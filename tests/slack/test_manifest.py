"""The app manifest: valid, with no scope that nobody explained, and never out of step with the commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from adapters.slack.manifest import GROUPS_SCOPE, HINT, MESSAGES, SCOPES, as_text, manifest
from bot.commands import COMMANDS
from bot.model.errors import ConfigError

PROJECT = Path(__file__).parents[2]
SCHEMA = PROJECT / ".." / "shared" / "specs" / "slack" / "manifest.schema.2.0.0.json"
DOCS = (PROJECT / "docs" / "slack.md").read_text(encoding="utf-8")
VARIANTS = {
    "slack.json": manifest("bot.example.com"),
    "slack-socket-mode.json": manifest(socket_mode=True),
}
# The schema takes any word for a scope or a subscription, so these are Slack's own, as far as a bot like this one may want.
KNOWN_SCOPES = {
    "app_mentions:read", "channels:history", "channels:read", "chat:write", "chat:write.public", "commands", "files:read",
    "files:write", "groups:history", "groups:read", "im:history", "im:read", "im:write", "mpim:history", "mpim:read",
    "mpim:write", "reactions:read", "reactions:write", "team:read", "usergroups:read", "users:read", "users:read.email",
}  # fmt: skip
KNOWN_MESSAGES = {
    "app_mention",
    "message.im",
    "message.channels",
    "message.groups",
    "message.mpim",
    "app_home_opened",
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_manifest_is_valid_by_slacks_schema(name: str) -> None:
    if not SCHEMA.exists():
        pytest.skip("../shared/specs is not here")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    problems = [error.message for error in Draft7Validator(schema).iter_errors(VARIANTS[name])]
    assert problems == []


@pytest.mark.parametrize("name", VARIANTS)
def test_the_kept_file_is_the_made_one(name: str) -> None:
    """`celonis-chat manifest slack` writes them anew: with `--host bot.example.com`, and with `--socket-mode`."""
    assert (PROJECT / "manifest" / name).read_text(encoding="utf-8") == as_text(VARIANTS[name])


@pytest.mark.parametrize("made", VARIANTS.values())
def test_every_length_is_within_slacks_limits(made: dict[str, dict[str, str]]) -> None:
    shown = made["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 174 <= len(shown["long_description"]) <= 4000


def test_scopes_and_subscriptions_exist() -> None:
    assert {*SCOPES, GROUPS_SCOPE} <= KNOWN_SCOPES
    assert set(MESSAGES) <= KNOWN_MESSAGES


def test_every_scope_and_subscription_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| `([a-z_:.]+)` \| .{8,} \|$", DOCS, re.MULTILINE)
    assert explained == [*SCOPES, GROUPS_SCOPE, *MESSAGES]


def test_groups_are_asked_for_only_on_demand() -> None:
    assert GROUPS_SCOPE not in VARIANTS["slack.json"]["oauth_config"]["scopes"]["bot"]
    assert GROUPS_SCOPE in manifest("bot.example.com", groups=True)["oauth_config"]["scopes"]["bot"]


def test_the_hint_names_commands_that_exist() -> None:
    (command,) = VARIANTS["slack.json"]["features"]["slash_commands"]
    words = command["usage_hint"].split(" | ")
    assert len(command["usage_hint"]) <= HINT
    assert set(words) - {"…"} <= {each.intent.words for each in COMMANDS}
    assert len(words) > 3


def test_references_in_commands_arrive_as_ids() -> None:
    (command,) = VARIANTS["slack.json"]["features"]["slash_commands"]
    assert command["should_escape"] is True


def test_over_a_socket_no_address_is_needed() -> None:
    assert "https://" not in as_text(VARIANTS["slack-socket-mode.json"])
    assert VARIANTS["slack-socket-mode.json"]["settings"]["socket_mode_enabled"] is True


@pytest.mark.parametrize(
    "host", ["", "localhost", "bot.example.com/path", "http://bot.example.com", "a b.example.com"]
)
def test_a_host_that_slack_cannot_reach_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="public name"):
        manifest(host)
