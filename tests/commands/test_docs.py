"""What is generated from the table of commands is what lies in the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "generate.py"


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("docs_generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: dict[Path, str] = module.files()
    return files


@pytest.mark.parametrize("name", ["README.md", "commands.md"])
def test_generated_pages_are_current(name: str) -> None:
    path, text = next((path, text) for path, text in generated().items() if path.name == name)
    assert path.read_text(encoding="utf-8") == text, "run `make docs`"
