"""What the bot is made of: every package by its hash, the image's base by its digest."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run", "dev", "build", "supply"])
def test_every_locked_package_has_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    packages = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text))
    assert packages
    for each in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==", each), each
        assert "--hash=sha256:" in each, each


def test_the_image_installs_nothing_without_a_hash_but_its_own_wheel() -> None:
    installs = re.findall(r"pip install [^\n]*", DOCKERFILE)
    assert len(installs) == 3
    for each in installs:
        assert "--require-hashes -r requirements/" in each or "--no-deps /build/dist/" in each, each


@pytest.mark.parametrize(
    ("base", "warned"), [("python:3.11-slim-bookworm", True), ("python@sha256:" + "0" * 64, False)]
)
def test_a_build_on_a_base_without_a_digest_prints_a_warning(base: str, *, warned: bool) -> None:
    (line,) = re.findall(r"(?m)^RUN (case .* esac)$", DOCKERFILE)
    done = subprocess.run(  # noqa: S603 - a line of our own file
        ["/bin/sh", "-c", line], env={"BASE": base}, capture_output=True, text=True, check=True
    )
    assert ("WARNING" in done.stderr) is warned
    assert re.findall(r"(?m)^FROM (\S+)", DOCKERFILE) == ["${BASE}", "${BASE}"]
