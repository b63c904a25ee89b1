"""The Teams app package: a manifest whose commands come from `COMMANDS`, and two icons that are drawn here.

Rules: https://learn.microsoft.com/microsoftteams/platform/resources/schema/manifest-schema (at most ten commands, titles of
at most 32 characters) and https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/apps-package (a
colour icon of 192 × 192 that fills its square, an outline icon of 32 × 32 in white on nothing, all in the root of a zip).
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any, TypeAlias

from bot.commands import COMMANDS
from bot.commands.command import AnyCommand, GuardedCommand
from bot.model.errors import ConfigError

Json: TypeAlias = dict[str, Any]

SCHEMA = "1.29"
COMMANDS_SHOWN = 10
TITLE = 32
DESCRIPTION = 128
COLOUR = (0x1D, 0x4E, 0x89)
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
        "accentColor": "#{:02X}{:02X}{:02X}".format(*COLOUR),
        "bots": [
            {
                "botId": app_id.lower(),
                "scopes": scopes,
                "isNotificationOnly": False,
                "commandLists": [{"scopes": scopes, "commands": _commands(commands)}],
            }
        ],
        "defaultInstallScope": "personal",
    }


def teams_package(app_id: str, host: str, *, version: str = "") -> bytes:
    """The zip file that is uploaded to Teams; the same arguments give the same bytes. Raises as `manifest` does."""
    parts = {
        "manifest.json": json.dumps(manifest(app_id, host, version=version), indent=2).encode(),
        "color.png": color_icon(),
        "outline.png": outline_icon(),
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
        {"title": words, "description": _cut(each.summary)} for words, each in usable.items() if words in kept
    ]


def _cut(text: str) -> str:
    return text if len(text) <= DESCRIPTION else text[: DESCRIPTION - 1].rstrip() + "…"


# --- icons -----------------------------------------------------------------------------------------------------

Shape: TypeAlias = Callable[[float, float], float]
"""Distance of a point to an edge, in parts of the icon's width; negative inside."""
_BARS = ((0.355, 0.50), (0.50, 0.40), (0.645, 0.31))
_FOOT = 0.57
_SOFT = 0.09


def _box(left: float, top: float, right: float, bottom: float, soft: float = 0.0) -> Shape:
    def distance(x: float, y: float) -> float:
        across = abs(x - (left + right) / 2) - (right - left) / 2 + soft
        down = abs(y - (top + bottom) / 2) - (bottom - top) / 2 + soft
        outside = float((max(across, 0.0) ** 2 + max(down, 0.0) ** 2) ** 0.5)
        return outside + min(max(across, down), 0.0) - soft

    return distance


def _tail(x: float, y: float) -> float:
    """The bubble's tip, at its lower left."""
    return max(0.60 - y, 0.30 - x, (x - 0.30) + (y - 0.82) * 0.9)


def _bubble(x: float, y: float) -> float:
    return min(_box(0.19, 0.20, 0.81, 0.68, _SOFT)(x, y), _tail(x, y))


def _bars(x: float, y: float) -> float:
    return min(_box(middle - 0.045, top, middle + 0.045, _FOOT, 0.015)(x, y) for middle, top in _BARS)


def _wide(shape: Shape) -> Shape:
    """The same shape stretched to nearly the whole icon, for the small one."""
    return lambda x, y: shape(0.5 + (x - 0.5) * 0.72, 0.51 + (y - 0.5) * 0.72)


def color_icon() -> bytes:
    """192 × 192: bars in a white speech bubble on the app's colour. A PNG."""

    def pixel(x: float, y: float, edge: float) -> tuple[float, ...]:
        white = _cover(_bubble(x, y), edge) * (1 - _cover(_bars(x, y), edge))
        return (*(each + (255 - each) * white for each in COLOUR), 255.0)

    return _png(192, pixel)


def outline_icon() -> bytes:
    """32 × 32: the same as white lines on nothing. A PNG."""
    bubble, bars = _wide(_bubble), _wide(_bars)

    def pixel(x: float, y: float, edge: float) -> tuple[float, ...]:
        line = _cover(abs(bubble(x, y)) - 0.024, edge)
        return (255.0, 255.0, 255.0, 255 * max(line, _cover(bars(x, y), edge)))

    return _png(32, pixel)


def _cover(distance: float, edge: float) -> float:
    return min(1.0, max(0.0, 0.5 - distance / edge))


def _png(size: int, pixel: Callable[[float, float, float], tuple[float, ...]]) -> bytes:
    """A square RGBA image (PNG specification, 3rd edition, sections 5 and 11)."""
    rows = bytearray()
    for down in range(size):
        rows.append(0)
        for across in range(size):
            rows += bytes(round(each) for each in pixel((across + 0.5) / size, (down + 0.5) / size, 1 / size))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )
