"""The Teams app package: a manifest whose commands come from `COMMANDS`, and two icons.

Rules: https://learn.microsoft.com/microsoftteams/platform/resources/schema/manifest-schema (at most ten commands, titles of
at most 32 characters) and https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/apps-package (a
colour icon of 192 × 192 that fills its square, an outline icon of 32 × 32 in white on nothing, all in the root of a zip).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, TypeAlias

from bot.commands import COMMANDS
from bot.commands.command import AnyCommand
from bot.model.errors import ConfigError
from bot.render.safe_text import cut
from bot.writes.guarded import GuardedCommand

Json: TypeAlias = dict[str, Any]

SCHEMA = "1.29"
COMMANDS_SHOWN = 10
TITLE = 32
DESCRIPTION = 128
COLOUR = "#1D4E89"
"""Of the icon's square."""
ICONS = Path(__file__).parent / "icons"
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\Z")
_MOMENT = (1980, 1, 1, 0, 0, 0)


def manifest(app_id: str, host: str, *, version: str = "", commands: Sequence[AnyCommand] = COMMANDS) -> Json:
    """The manifest.

    Args:
        app_id: The bot's Microsoft app id, which is the app's id too.
        host: The public host name of the bot; the pages about it are expected there.
        version: Of the app; the program's own unless told otherwise. Teams takes an update only with a new one.
        commands: What the bot can do.

    Raises:
        ConfigError: Id or host cannot be right.
    """
    problems = []
    if not _ID.match(app_id):
        problems.append("The app id must be an id such as 00000000-0000-0000-0000-000000000000.")
    host = host.strip().lower().removeprefix("https://").rstrip("/")
    if not _HOST.match(host):
        problems.append("The host must be a public name such as bot.example.com, without path and port.")
    if problems:
        raise ConfigError(problems)
    scopes = ["personal", "team", "groupChat"]
    return {
        "$schema": f"https://developer.microsoft.com/json-schemas/teams/v{SCHEMA}/MicrosoftTeams.schema.json",
        "manifestVersion": SCHEMA,
        "version": version or _version(),
        "id": app_id.lower(),
        "developer": {
            "name": "Your organisation",
            "websiteUrl": f"https://{host}/",
            "privacyUrl": f"https://{host}/privacy",
            "termsOfUseUrl": f"https://{host}/terms",
        },
        "name": {"short": "Celonis Chat", "full": "Celonis Chat: KPIs, records and data jobs by name"},
        "description": {
            "short": "Ask Celonis for KPIs and records; watch and stop data jobs.",
            "full": (
                "Ask for KPIs, records and filters of Celonis knowledge models in your own words, and see which data "
                "jobs run, failed or wait. People who may can stop data jobs: every change is asked for "
                "first, and the answer says what really happened. Nobody needs a Celonis account. What you see is "
                "what your organisation's rules allow you to see; answers that are for you alone come to your "
                "personal chat."
            ),
        },
        "icons": {"color": "color.png", "outline": "outline.png"},
        "accentColor": COLOUR,
        "bots": [
            {
                "botId": app_id.lower(),
                "scopes": scopes,
                "isNotificationOnly": False,
                "supportsFiles": True,
                "commandLists": [{"scopes": scopes, "commands": _commands(commands)}],
            }
        ],
        "defaultInstallScope": "personal",
    }


def teams_package(app_id: str, host: str, *, version: str = "") -> bytes:
    """The zip file that is uploaded to Teams; the same arguments give the same bytes. Raises as `manifest` does."""
    parts = {
        "manifest.json": json.dumps(manifest(app_id, host, version=version), indent=2).encode(),
        **{name: (ICONS / name).read_bytes() for name in ("color.png", "outline.png")},
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(zipfile.ZipInfo(name, _MOMENT), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _version() -> str:
    try:
        return installed("celonis-chat")
    except PackageNotFoundError:
        return "0.0.1"


def _commands(commands: Sequence[AnyCommand]) -> list[Json]:
    """Every command that changes something, and of the others first one of each module, then a second one, and so on; in
    the order of help.
    """
    usable = {each.intent.words: each for each in commands if 0 < len(each.intent.words) <= TITLE}
    seen: dict[str, int] = {}
    rank: dict[str, tuple[bool, int]] = {}
    for words, each in usable.items():
        module = each.intent.__module__
        rank[words] = (not isinstance(each, GuardedCommand), seen.get(module, 0))
        seen[module] = seen.get(module, 0) + 1
    kept = sorted(usable, key=lambda words: rank[words])[:COMMANDS_SHOWN]
    return [
        {"title": words, "description": cut(each.summary, DESCRIPTION)}
        for words, each in usable.items()
        if words in kept
    ]
