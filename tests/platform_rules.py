"""What Slack and Teams take, checked independently of the renderers: import and call on anything that is rendered.

Slack's limits: https://docs.slack.dev/reference/block-kit and what is known of messages as a whole. Adaptive Cards: the
schema 1.5 as the development dependency ships it, and Microsoft's own file where `../shared` is there.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from jsonschema import Draft6Validator
from jsonschema.exceptions import best_match
from slack_sdk.models.blocks import Block

from adapters.slack.blocks import SlackMessage

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SLACK_BLOCKS = {
    "header",
    "section",
    "rich_text",
    "table",
    "data_visualization",
    "context",
    "actions",
    "input",
}
SLACK_RICH = {
    "rich_text": {"rich_text_section", "rich_text_preformatted"},
    "rich_text_section": {"text", "user"},
    "rich_text_preformatted": {"text"},
}
SHARED_SCHEMA = Path(__file__).parents[1] / ".." / "shared" / "specs" / "teams" / "adaptive-card-1.5.0.json"


def walk(part: object) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(part, dict):
        yield part
        for each in part.values():
            yield from walk(each)
    elif isinstance(part, list):
        for each in part:
            yield from walk(each)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def assert_shows_only_what_is_seen(text: str) -> None:
    """No control characters, nothing that turns the direction of text, nothing that is no text at all."""
    for char in text:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cs"), f"{char!r} in {text!r}"
        assert char not in BIDI, f"{char!r} in {text!r}"


# --- Slack -----------------------------------------------------------------------------------------------------


def assert_slack_ok(message: SlackMessage) -> None:
    """A message that Slack takes, in which foreign text can do nothing."""
    assert 1 <= utf16(message.text) <= 4000
    assert_shows_only_what_is_seen(message.text)
    unescaped = re.sub(r"^<@[UW][A-Z0-9]+> |&(amp|lt|gt);", "", message.text)
    assert not re.search("[<>&]", unescaped), f"live markup in {message.text!r}"
    assert 1 <= len(message.blocks) <= 50
    assert sum(utf16(text) for text in slack_texts(message.blocks)) <= 13_200
    tables = [block for block in message.blocks if block["type"] == "table"]
    assert len(tables) <= 1
    assert sum(block["type"] == "data_visualization" for block in message.blocks) <= 2
    _assert_slack_blocks(message.blocks)


def slack_texts(blocks: list[dict[str, Any]]) -> list[str]:
    """Everything that a message shows or has read aloud."""
    keys = ("text", "accessibility_label")
    return [each[key] for each in walk(blocks) for key in keys if isinstance(each.get(key), str)]


def _assert_slack_blocks(blocks: list[dict[str, Any]]) -> None:
    json.dumps(blocks, ensure_ascii=False).encode()
    action_ids = [
        each["action_id"] for each in walk(blocks) if "action_id" in each and each.get("type") != "input"
    ]
    in_inputs = sum(block["type"] == "input" for block in blocks)
    assert in_inputs or len(action_ids) == len(set(action_ids))
    block_ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(block_ids) == len(set(block_ids))
    assert all(1 <= utf16(each) <= 255 for each in [*action_ids, *block_ids])
    for block in blocks:
        assert block["type"] in SLACK_BLOCKS
        if block["type"] == "data_visualization":  # the SDK has no model of it
            _assert_slack_chart(block)
            continue
        _assert_slack_sdk_agrees(block)
        _assert_slack_block(block)
        for part in walk(block):
            assert part.get("type") != "mrkdwn", "foreign text has no business in mrkdwn"
            if part.get("type") in SLACK_RICH and "elements" in part:
                assert part["elements"]
                assert {each["type"] for each in part["elements"]} <= SLACK_RICH[part["type"]]
            if part.get("type") == "user":
                assert re.fullmatch(r"[UW][A-Z0-9]+", part["user_id"])
            if part.get("type") == "text":
                assert part["text"]
            if isinstance(part.get("text"), str):
                assert_shows_only_what_is_seen(part["text"])


def _assert_slack_sdk_agrees(block: dict[str, Any]) -> None:
    # Since 3.47 the parser takes raw dicts; it drops what it does not know, which the comparison brings to light.
    parsed = Block.parse(json.loads(json.dumps(block)))
    assert parsed is not None, f"slack_sdk does not know {block['type']}"
    parsed.validate_json()
    assert parsed.to_dict() == block


def _assert_plain(text: Mapping[str, Any], length: int) -> None:
    assert text["type"] == "plain_text"
    assert text["emoji"] is False
    assert 1 <= utf16(text["text"]) <= length
    assert text["text"].strip()


def _assert_slack_block(block: dict[str, Any]) -> None:
    match block["type"]:
        case "header":
            _assert_plain(block["text"], 150)
        case "section":
            _assert_plain(block["text"], 3000)
            assert "fields" not in block
        case "context":
            assert 1 <= len(block["elements"]) <= 10
            for element in block["elements"]:
                _assert_plain(element, 2000)
        case "actions":
            assert 1 <= len(block["elements"]) <= 25
            for element in block["elements"]:
                _assert_slack_element(element)
        case "table":
            _assert_slack_table(block)
        case "rich_text":
            assert sum(utf16(text) for text in slack_texts([block])) <= 3100
        case "input":
            _assert_plain(block["label"], 2000)
            _assert_slack_element(block["element"])
        case other:
            raise AssertionError(f"unexpected block {other}")


def _assert_slack_element(element: dict[str, Any]) -> None:
    match element["type"]:
        case "button":
            _assert_plain(element["text"], 75)
            assert utf16(element.get("accessibility_label", "")) <= 75
            assert element.get("style") in (None, "primary", "danger")
            if "url" in element:
                assert urlsplit(element["url"]).scheme == "https"
                assert len(element["url"]) <= 3000
            else:
                assert 1 <= utf16(element["value"]) <= 2000
        case "radio_buttons":
            assert 1 <= len(element["options"]) <= 10
            _assert_options(element)
        case "static_select" | "multi_static_select":
            if "placeholder" in element:
                _assert_plain(element["placeholder"], 150)
            assert 1 <= len(element["options"]) <= 100
            _assert_options(element)
            chosen = (
                [element["initial_option"]]
                if "initial_option" in element
                else element.get("initial_options", [])
            )
            assert all(option in element["options"] for option in chosen)
        case "plain_text_input":
            assert element["max_length"] <= 3000
            assert utf16(element.get("initial_value", "")) <= element["max_length"]
        case "timepicker":
            assert re.fullmatch(r"\d\d:\d\d", element.get("initial_time", "00:00"))
        case _:
            raise AssertionError(f"unexpected element {element['type']}")


def _assert_slack_chart(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "title", "chart"}
    assert 1 <= utf16(block["title"]) <= 50
    assert block["chart"]["type"] in ("bar", "line")
    assert 1 <= len(block["chart"]["series"]) <= 6
    categories = block["chart"]["axis_config"]["categories"]
    assert len(set(categories)) == len(categories) <= 20
    for series in block["chart"]["series"]:
        assert 1 <= utf16(series["name"]) <= 20
        assert [point["label"] for point in series["data"]] == categories
        assert all(math.isfinite(point["value"]) for point in series["data"])
    for text in (block["title"], *categories):
        assert_shows_only_what_is_seen(text)
    assert all(1 <= utf16(label) <= 20 for label in categories)


def _assert_options(element: dict[str, Any]) -> None:
    for option in element["options"]:
        _assert_plain(option["text"], 75)
        assert 1 <= utf16(option["value"]) <= 150
        if "description" in option:
            _assert_plain(option["description"], 75)


def _assert_slack_table(block: dict[str, Any]) -> None:
    rows = block["rows"]
    assert 2 <= len(rows) <= 100
    assert 1 <= len(rows[0]) <= 20
    assert all(len(row) == len(rows[0]) for row in rows)
    assert len(block["column_settings"]) == len(rows[0])
    cells = [cell for row in rows for cell in row]
    assert {cell["type"] for cell in cells} <= {"raw_text", "rich_text"}
    assert all(slack_texts([cell]) for cell in cells)
    assert sum(utf16(text) for cell in cells for text in slack_texts([cell])) <= 10_000


# --- Teams -----------------------------------------------------------------------------------------------------


@lru_cache
def _adaptive_card_schemas() -> tuple[Draft6Validator, ...]:
    shipped = files("adaptive_cards") / "schemas" / "schema-1.5.json"
    texts = [shipped.read_text(encoding="utf-8-sig")]
    if SHARED_SCHEMA.exists():
        texts.append(SHARED_SCHEMA.read_text(encoding="utf-8-sig"))
    return tuple(Draft6Validator(json.loads(text)) for text in texts)


def assert_teams_ok(card: dict[str, Any]) -> None:
    """An Adaptive Card 1.5 that Teams takes, in which foreign text can do nothing."""
    strict = cast("dict[str, Any]", _as_others_see_it({k: v for k, v in card.items() if k != "msteams"}))
    assert card["version"] == "1.5"
    assert len(json.dumps(card, separators=(",", ":"))) <= 28 * 1024
    json.dumps(card, ensure_ascii=False).encode()
    for key in ("fallbackText", "speak", "lang"):
        assert card[key].strip()
    assert not re.search(r"[*_`\[\]<>#~]", re.sub(r"\\.", "", card["fallbackText"])), "live Markdown"
    assert not re.search("[<>&]", card["speak"]), "live speech markup"
    assert_shows_only_what_is_seen(card["fallbackText"] + card["speak"])
    assert card["body"]
    parts = list(walk(strict))
    actions = [
        part
        for part in parts
        if str(part.get("type", "")).startswith("Action.") and not _is_fallback(part, parts)
    ]
    assert len(actions) <= 6
    ids = [part["id"] for part in parts if "id" in part]
    assert len(ids) == len(set(ids))
    for part in parts:
        _assert_teams_part(part, ids)
    for schema in _adaptive_card_schemas():
        error = best_match(schema.iter_errors(strict))
        assert error is None, f"{error.message[:300]} at {list(error.absolute_path)}"


def _as_others_see_it(part: object) -> object:
    """A card where charts, which only Teams knows, are what a client without them shows."""
    if isinstance(part, list):
        return [_as_others_see_it(each) for each in part]
    if not isinstance(part, dict):
        return part
    if str(part.get("type", "")).startswith("Chart."):
        _assert_teams_chart(part)
        return _as_others_see_it(part["fallback"])
    return {key: _as_others_see_it(value) for key, value in part.items()}


def _assert_teams_chart(chart: dict[str, Any]) -> None:
    assert set(chart) == {"type", "title", "data", "fallback"}
    assert chart["fallback"]["type"] == "Container"
    assert chart["type"] in ("Chart.HorizontalBar", "Chart.Line")
    (values,) = (
        [chart["data"]]
        if chart["type"] == "Chart.HorizontalBar"
        else [series["values"] for series in chart["data"]]
    )
    assert all(set(point) == {"x", "y"} and math.isfinite(point["y"]) for point in values)
    for text in (chart["title"], *(point["x"] for point in values)):
        assert text.strip()
        assert_shows_only_what_is_seen(text)


def _is_fallback(part: dict[str, Any], parts: list[dict[str, Any]]) -> bool:
    return any(other.get("fallback") is part for other in parts)


def _assert_teams_part(part: dict[str, Any], ids: list[str]) -> None:
    kind = str(part.get("type", ""))
    for key in ("text", "title", "label", "tooltip", "placeholder", "errorMessage"):
        if isinstance(part.get(key), str):
            assert_shows_only_what_is_seen(part[key])
    match kind:
        case "TextBlock":
            # Markdown is read here. Only a mention, which needs it, may use one.
            assert re.fullmatch(r"<at>[\w '.,-]+</at>( <at>[\w '.,-]+</at>)*", part["text"])
        case "TextRun":
            assert part["text"]
            assert "\n" not in part["text"]
        case "RichTextBlock":
            assert part["inlines"]
        case "FactSet" | "Chart.Line" | "Image" | "Action.ShowCard":
            raise AssertionError(f"{kind} has no place on our cards")
        case "Action.Execute":
            assert part["title"].strip()
            assert part["verb"] in ("run", "submit", "confirm", "dismiss", "pick")
            assert part["fallback"]["type"] == "Action.Submit"
            assert part["fallback"]["data"] == part["data"]
            assert part["fallback"]["title"] == part["title"]
            if "pick" in part["data"]:
                assert part["data"]["pick"] in ids
            if "submit" in part["data"]:
                assert "typed" in ids
        case "Action.OpenUrl":
            assert urlsplit(part["url"]).scheme == "https"
        case "Input.ChoiceSet":
            assert part["choices"]
            assert part["label"].strip()
            if part.get("style") == "expanded":
                assert not any("](" in choice["title"] for choice in part["choices"]), "a link in Markdown"
        case "Input.Text":
            assert part["label"].strip()
            assert part["id"] == "typed"
        case "Table":
            wide = len(part["columns"])
            assert wide <= 8
            assert all(len(row["cells"]) == wide for row in part["rows"])
        case _:
            pass


def teams_texts(card: dict[str, Any]) -> list[str]:
    """Everything that a card shows."""
    keys = ("text", "title", "label", "tooltip")
    return [cast("str", part[key]) for part in walk(card) for key in keys if isinstance(part.get(key), str)]
