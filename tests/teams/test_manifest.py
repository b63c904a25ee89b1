"""The app package: valid, complete, and never out of step with the commands."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from adapters.teams.manifest import (
    COMMANDS_SHOWN,
    DESCRIPTION,
    ICONS,
    TITLE,
    manifest,
    teams_package,
)
from bot.commands import COMMANDS
from bot.model.errors import ConfigError
from bot.writes.guarded import GuardedCommand

PROJECT = Path(__file__).parents[2]
SCHEMA = PROJECT / ".." / "shared" / "specs" / "teams" / "MicrosoftTeams.schema.json"
KEPT = PROJECT / "manifest" / "teams"
APP_ID = "00000000-0000-0000-0000-000000000000"
HOST = "bot.example.com"
MADE = manifest(APP_ID, HOST, version="0.1.0")


def _pixels(image: bytes) -> tuple[int, int, bytes]:
    """Width, height and decoded rows of a PNG with one byte for each channel."""
    width, height, depth, kind = struct.unpack(">IIBB", image[16:26])
    assert (depth, kind) == (8, 6)
    at, packed = 8, b""
    while at < len(image):
        (length,) = struct.unpack(">I", image[at : at + 4])
        if image[at + 4 : at + 8] == b"IDAT":
            packed += image[at + 8 : at + 8 + length]
        at += 12 + length
    return width, height, zlib.decompress(packed)


def test_the_manifest_is_valid_by_the_official_schema() -> None:
    if not SCHEMA.exists():
        pytest.skip("the official schemas are not beside this checkout")
    errors = list(Draft4Validator(json.loads(SCHEMA.read_text())).iter_errors(MADE))
    assert [each.message for each in errors] == []


def test_the_kept_files_are_what_the_program_makes(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / "manifest.json").write_text(json.dumps(MADE, indent=2) + "\n", encoding="utf-8")
        for name in ("color.png", "outline.png"):
            (KEPT / name).write_bytes((ICONS / name).read_bytes())
    assert json.loads((KEPT / "manifest.json").read_text(encoding="utf-8")) == MADE, (
        "run pytest --update-golden"
    )
    for name in ("color.png", "outline.png"):
        assert (KEPT / name).read_bytes() == (ICONS / name).read_bytes()


def test_commands_come_from_the_table_and_keep_to_what_teams_shows() -> None:
    (bot,) = MADE["bots"]
    assert bot["scopes"] == ["personal", "team", "groupChat"]
    (listed,) = bot["commandLists"]
    assert listed["scopes"] == bot["scopes"]
    shown = listed["commands"]
    known = [each.intent.words for each in COMMANDS]
    assert [each["title"] for each in shown] == [
        each for each in known if each in {one["title"] for one in shown}
    ]
    assert len(shown) == min(COMMANDS_SHOWN, len(known))
    assert shown[0]["title"] == "help"
    guarded = {each.intent.words for each in COMMANDS if isinstance(each, GuardedCommand)}
    assert guarded <= {each["title"] for each in shown}
    assert all(
        0 < len(each["title"]) <= TITLE and 0 < len(each["description"]) <= DESCRIPTION for each in shown
    )


def test_the_package_is_a_flat_zip_and_the_same_each_time() -> None:
    package = teams_package(APP_ID, HOST, version="0.1.0")
    assert package == teams_package(APP_ID, HOST, version="0.1.0")
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        assert opened.namelist() == ["manifest.json", "color.png", "outline.png"]
        assert opened.testzip() is None
        assert json.loads(opened.read("manifest.json")) == MADE
        names = json.loads(opened.read("manifest.json"))["icons"]
        assert set(names.values()) <= set(opened.namelist())


def test_the_colour_icon_fills_its_square_and_has_the_right_size() -> None:
    width, height, rows = _pixels((ICONS / "color.png").read_bytes())
    assert (width, height) == (192, 192)
    assert all(row[4::4] == b"\xff" * 192 for row in _rows(rows, 192)), "no pixel is see-through"


def test_the_outline_icon_is_white_on_nothing() -> None:
    width, height, rows = _pixels((ICONS / "outline.png").read_bytes())
    assert (width, height) == (32, 32)
    alphas = b""
    for row in _rows(rows, 32):
        assert {row[1 + at * 4 : 4 + at * 4] for at in range(32)} == {b"\xff\xff\xff"}
        alphas += row[4::4]
    assert b"\x00" in alphas
    assert b"\xff" in alphas


def _rows(rows: bytes, width: int) -> list[bytes]:
    length = 1 + width * 4
    return [rows[at : at + length] for at in range(0, len(rows), length)]


@pytest.mark.parametrize(
    ("app_id", "host"),
    [("", HOST), ("my bot", HOST), (APP_ID, ""), (APP_ID, "localhost"), (APP_ID, "bot.example.com/x")],
)
def test_an_id_or_a_host_that_cannot_be_right_is_refused(app_id: str, host: str) -> None:
    with pytest.raises(ConfigError):
        manifest(app_id, host)


def test_a_pasted_address_is_taken_for_its_host() -> None:
    assert manifest(APP_ID, "https://Bot.Example.com/", version="0.1.0") == MADE
