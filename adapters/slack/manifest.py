"""The Slack app manifest: as few scopes as the bot needs, and a slash command whose hint comes from `COMMANDS`.

Rules: https://docs.slack.dev/reference/app-manifest (name at most 35 characters, description 140, long description 174 to
4,000, a command's description 2,000 and its usage hint 1,000).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from adapters.slack.signature import PATH
from bot.commands import COMMANDS
from bot.commands.command import AnyCommand
from bot.model.errors import ConfigError

Json: TypeAlias = dict[str, Any]

COMMAND = "/celonis"
HINT = 100
"""Characters of the usage hint that Slack's clients show on one line."""
SCOPES = (
    "app_mentions:read",
    "channels:read",
    "chat:write",
    "commands",
    "files:write",
    "groups:read",
    "im:history",
    "im:write",
    "mpim:read",
    "users:read",
    "users:read.email",
)
GROUPS_SCOPE = "usergroups:read"
MESSAGES = ("app_mention", "message.im")
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}(?::\d{1,5})?\Z")


def manifest(
    host: str = "",
    *,
    socket_mode: bool = False,
    groups: bool = False,
    commands: Sequence[AnyCommand] = COMMANDS,
) -> Json:
    """The manifest.

    Args:
        host: The public host name of the bot; not needed for Socket Mode.
        socket_mode: Whether Slack is to deliver over a socket that the bot opens.
        groups: Whether a rule of the policy names a user group.
        commands: What the bot can do.

    Raises:
        ConfigError: The host cannot be right.
    """
    address = "" if socket_mode else f"https://{_checked(host)}{PATH}"
    url = {} if socket_mode else {"url": address}
    request_url = {} if socket_mode else {"request_url": address}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Celonis",
            "description": "KPIs, records and data jobs of your Celonis team, by their names",
            "long_description": (
                "Ask for KPIs, records and filters of knowledge models, and see which data jobs run, in your own words. "
                "Whatever changes something asks first and waits for a button. Answers are private unless the place is "
                "allowed to see them, and nobody needs a Celonis account."
            ),
            "background_color": "#1d4e89",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Celonis", "always_online": True},
            "slash_commands": [
                {
                    "command": COMMAND,
                    "description": "Ask Celonis in your own words",
                    "usage_hint": usage_hint(commands),
                    "should_escape": True,
                    **url,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": sorted([*SCOPES, *([GROUPS_SCOPE] if groups else [])])}},
        "settings": {
            "event_subscriptions": {"bot_events": list(MESSAGES), **request_url},
            "interactivity": {"is_enabled": True, **request_url},
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": False,
        },
    }


def as_text(made: Json) -> str:
    """A manifest as it is kept in a file and pasted into Slack's form."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def usage_hint(commands: Sequence[AnyCommand]) -> str:
    """The words of as many commands as fit on a line."""
    hint = ""
    for command in commands:
        more = f"{hint} | {command.intent.words}" if hint else command.intent.words
        if len(more) > HINT - 4:
            return f"{hint} | …"
        hint = more
    return hint


def _checked(host: str) -> str:
    plain = host.strip().lower().removeprefix("https://").rstrip("/")
    if not _HOST.match(plain):
        raise ConfigError(["The host must be a public name such as bot.example.com, without a path."])
    return plain
