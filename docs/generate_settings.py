"""Writes what the documents say about settings from the code: `python docs/generate_settings.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.config import ENVIRONMENT, Settings

DOCS = Path(__file__).parent
SCHEMA = DOCS / "celonis-chat.schema.json"
PAGE = DOCS / "settings.md"
_BLOCK = "<!-- {name}: generated from the code -->\n{text}\n<!-- end of {name} -->"


def schema() -> str:
    """The JSON Schema of the toml."""
    made = Settings.model_json_schema()
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | made, indent=2, ensure_ascii=False) + "\n"


def _targets(made: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The definitions that a key's value refers to."""
    for each in (about, *about.get("anyOf", ()), *about.get("oneOf", ())):
        if "$ref" in each:
            yield made["$defs"][each["$ref"].rpartition("/")[2]]
        for inside in ("items", "additionalProperties"):
            if isinstance(each.get(inside), dict):
                yield from _targets(made, each[inside])


def _tables(
    made: dict[str, Any], here: dict[str, Any], path: str, seen: set[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each table of the toml once: how it is headed, what it is, its keys."""
    yield path, here.get("description", ""), here["properties"]
    for key, about in here["properties"].items():
        for target in _targets(made, about):
            if "properties" not in target or target["title"] in seen:
                continue
            seen.add(target["title"])
            name = f"{path.strip('[]')}.{key}".lstrip(".") + (
                ".<name>" if "additionalProperties" in about else ""
            )
            several = about.get("type") == "array"
            yield from _tables(made, target, f"[[{name}]]" if several else f"[{name}]", seen)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "table",
    "array": "list",
}
_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


def _kind(made: dict[str, Any], about: dict[str, Any]) -> str:
    choices = [word for target in _targets(made, about) for word in target.get("enum", ())]
    kinds = []
    for each in (about, *about.get("anyOf", ())):
        choices += each.get("enum", ())
        kind = "object" if "$ref" in each and not choices else each.get("type", "null")
        kinds += [kind] if kind != "null" and not (choices and kind == "string") else []
    said = [", ".join(f"`{word}`" for word in dict.fromkeys(choices))] if choices else []
    said += [_WORDS.get(kind, kind) for kind in dict.fromkeys(kinds)]
    bounds = [f"{word} {about[key]:g}" for key, word in _BOUNDS.items() if key in about]
    return " ".join((" or ".join(said), *bounds))


def _default(about: dict[str, Any]) -> str:
    value = about.get("default")
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def settings_table() -> str:
    """Every key of the toml with its kind, default and meaning."""
    made = Settings.model_json_schema()
    lines = []
    for path, about, keys in _tables(made, made, "", set()):
        lines += [f"### `{path or 'celonis-chat.toml'}`", ""]
        lines += [about, ""] if path and about else []
        lines += ["| key | takes | default | what it does |", "|---|---|---|---|"]
        lines += [
            f"| `{key}` | {_kind(made, each)} | {_default(each)} | {each.get('description', '')} |"
            for key, each in keys.items()
        ]
        lines.append("")
    return "\n".join(lines).rstrip()


def environment_table() -> str:
    """Every environment variable that is not simply a setting of the toml."""
    lines = ["| variable | as file too | what it is |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {'yes' if each.filed else ''} | {each.about} |" for each in ENVIRONMENT]
    return "\n".join(lines)


def page(text: str) -> str:
    """A page with its generated blocks renewed."""
    for name, made in (("environment", environment_table()), ("settings", settings_table())):
        begin, end = _BLOCK.format(name=name, text="\0").split("\0")
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{PAGE.name} has no block called {name}")
        text = f"{before}{begin}{made}{end}{after}"
    return text


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
