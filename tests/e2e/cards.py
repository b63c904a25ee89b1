"""Every card as Slack and Teams draw it, at the width of a phone and of a window, in the light and in the dark.

Run it with `make cards`. It needs Node with `npm ci` done in this folder, and Chromium, and for Teams the host's
configuration in `../shared`; what is missing is skipped and named. The sheet is `out/cards/index.html`, with a picture of
each card beside it. What draws Slack's blocks and Adaptive Cards are packages of others; they come close, they are not Slack and Teams.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapters.slack.blocks import render as render_slack
from adapters.teams.adaptive import render as render_teams
from adapters.terminal.text import render_rich
from bot.explain import explain
from bot.language.say import say
from bot.model.cards import Answer, Reader
from bot.policy import Right
from bot.render.safe_text import width
from bot.render.values import dated
from tests.commands.test_examples import BY_WORDS, EXAMPLES, kept
from tests.render.family import FAMILY
from tests.story import OPERATOR, START, StoryClock, someone, stage

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "out" / "cards"
HOSTS = HERE.parents[1] / ".." / "shared" / "specs" / "teams"
COLUMNS = (40, 80, 120)


def _browser() -> str | None:
    found = (shutil.which(each) for each in ("chromium", "chromium-browser", "google-chrome"))
    return next((each for each in found if each), None)


def _missing() -> str:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (HERE / "node_modules" / "slack-blocks-to-jsx").exists():
        return f"what draws the cards is not installed: run npm ci in {HERE.name}/"
    return "" if _browser() else "Chromium is not installed"


async def _answers() -> dict[str, Answer]:
    """The family of cards, every command's example and every error."""
    answers = dict(FAMILY)
    for words, command in BY_WORDS.items():
        async with stage(clock=StoryClock(still=True, pace=1.0)) as scene:
            person = someone("UADMIN") if command.right_for(command.example) is Right.ADMIN else OPERATOR
            answers[f"command {words}"] = await scene.answer(say(command.example), person)
    reader = dated(Reader("Europe/Berlin", "en"), START)
    for kind, error in EXAMPLES.items():
        answers[f"explained {kind.__name__}"] = Answer(explain(error, reader, "r1"), reader=reader)
    return answers | {f"drawn {name}": FAMILY[name] for name in ("bars", "course", "stock")}


def _terminal(answer: Answer, columns: int) -> str:
    out = io.StringIO()
    Console(file=out, width=columns, color_system=None).print(render_rich(answer.card, answer.reader))
    return out.getvalue()


def _drawn(answer: Answer, *, charts: bool) -> dict[str, Any]:
    return {
        "slack": render_slack(answer.card, answer.reader, kept, charts=charts).blocks,
        "teams": render_teams(answer.card, answer.reader, kept, charts=charts),
        "terminal": {columns: _terminal(answer, columns) for columns in COLUMNS},
    }


@pytest.fixture(scope="module")
def cards() -> dict[str, dict[str, Any]]:
    return {
        name: _drawn(answer, charts=name.startswith("drawn "))
        for name, answer in asyncio.run(_answers()).items()
    }


def test_no_line_is_wider_than_the_terminal(cards: dict[str, dict[str, Any]]) -> None:
    for name, card in cards.items():
        for columns, text in card["terminal"].items():
            assert max(map(width, text.splitlines())) <= columns, (name, columns)


def test_nothing_is_cut_and_nothing_lies_over_anything(cards: dict[str, dict[str, Any]]) -> None:
    if missing := _missing():
        pytest.skip(missing)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    hosts = {}
    for theme in ("light", "dark"):
        file = HOSTS / f"hostconfig-microsoft-teams-{theme}.json"
        if file.exists():
            hosts[theme] = json.loads(file.read_text(encoding="utf-8-sig"))
    data = f"window.CARDS = {json.dumps(cards)};\nwindow.HOSTS = {json.dumps(hosts or None)};\n"
    (OUT / "data.js").write_text(data, encoding="utf-8")
    shutil.copy(HERE / "cards.css", OUT)
    shutil.copy(HERE / "node_modules" / "slack-blocks-to-jsx" / "dist" / "style.css", OUT / "slack.css")
    (OUT / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><title>Cards</title>'
        '<link rel="stylesheet" href="slack.css"><link rel="stylesheet" href="cards.css">'
        '<body><script src="data.js"></script><script src="page.js"></script>',
        encoding="utf-8",
    )
    _run(
        "node_modules/.bin/esbuild",
        "cards.jsx",
        "--bundle",
        "--jsx=automatic",
        f"--outfile={OUT / 'page.js'}",
    )
    found = json.loads(_run("node", "cards.mjs", str(OUT / "index.html"), str(_browser()), str(OUT)))
    (OUT / "findings.json").write_text(json.dumps(found, indent=2, ensure_ascii=False), encoding="utf-8")
    assert found == {"light": [], "dark": []}
    if not hosts:
        pytest.skip("Slack's cards are drawn; for Teams' the host's configuration in ../shared is missing")


def _run(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        command, cwd=HERE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
