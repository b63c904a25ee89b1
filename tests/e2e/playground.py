"""The bot behind a page that is like Teams and that nobody here has written, clicked by a headless browser.

Run it with `make e2e`. It needs Node with `npm ci` done in this folder, and Chromium; without them it skips and says so.
Pictures and the recorded traffic are in `out/e2e`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

from adapters.server import running
from adapters.teams.app import PATH
from bot import config
from bot.model.clock import SystemClock
from bot.sandbox import Sandbox
from bot.store import Store
from tests.fake_teams import TENANT

Json: TypeAlias = dict[str, Any]

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "out" / "e2e"
PLAYGROUND = HERE / "node_modules" / "@microsoft" / "m365agentsplayground" / "cli.js"
OPERATOR = "0b1ec700-0000-4000-8000-000000000001"
_START = 60
_PLAY = 240

STEPS: tuple[Json, ...] = (
    {"name": "help", "say": "help", "expect": "What you can say"},
    {
        "name": "kpi",
        "say": "what is our on-time delivery by plant?",
        "expect": "2 of 8 miss 90.0%",
    },
    {"name": "data", "say": "data sales orders of Order to Cash", "expect": "Sales orders: rows 1-10"},
    {"name": "next-page", "press": "Next 10", "expect": "Sales orders: rows 11-20"},
    {"name": "page-before", "press": "Back", "expect": "Sales orders: rows 1-10"},
    {"name": "jobs", "say": "jobs", "expect": "main job"},
    {"name": "question", "press": "Stop main job …", "expect": "Stop main job? SAP ECC"},
    {"name": "stopped", "press": "Stop this job", "expect": "STOPPED", "gone": "Stop this job"},
    {"name": "left-alone-asked", "say": "cancel delta load in Salesforce CRM", "expect": "Stop delta load?"},
    {"name": "left-alone", "press": "Leave it running", "expect": "Nothing was done"},
    {
        "name": "not-understood",
        "say": "<b>hello</b> **there** [x](javascript:open(1))",
        "expect": "did not answer",
    },
)


@dataclass(slots=True)
class Seen:
    """What happened.

    Attributes:
        steps: What the page showed after each step, by its name.
        traffic: Every delivery to the bot as the Playground recorded it: what it sent, and how it was answered.
        cancels: Cancel calls that reached the sandbox.
    """

    steps: dict[str, str]
    traffic: list[tuple[Json, int, Json]]
    cancels: list[str]


def _missing() -> str:
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    if not PLAYGROUND.exists():
        return f"the Playground is not installed: run npm ci in {HERE.name}/"
    if _browser() is None:
        return "Chromium is not installed"
    return ""


def _browser() -> str | None:
    found = (shutil.which(each) for each in ("chromium", "chromium-browser", "google-chrome"))
    return next((each for each in found if each), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _bot() -> AsyncIterator[tuple[str, Sandbox]]:
    """What `celonis-chat serve` runs, without a registration, as the Playground wants it, and over a sandbox."""
    clock = SystemClock()
    async with Sandbox() as sandbox, await Store.temporary(clock) as store:
        settings = config.Settings.for_demo(
            sandbox.url,
            sandbox.keys.operator.secret,
            zone="Europe/Berlin",
            secret_key=secrets.token_hex(32),
        )
        rule = config.Rule(
            name="operators",
            who=config.Who(teams=(f"{TENANT}:{OPERATOR}",)),
            may=(config.Right.CANCEL,),
        )
        settings = settings.model_copy(
            update={
                "bindings": (config.Binding(teams=TENANT, connections=tuple(settings.connections)),),
                "policy": (rule,),
                "teams": config.Teams(app_id="", tenant_id=""),
                "server": config.Server(development=True, port=0, admin_port=0),
            }
        )
        async with running(settings, store=store, clock=clock) as server:
            yield f"{server.address}{PATH}", sandbox


@asynccontextmanager
async def _playground(bot: str) -> AsyncIterator[str]:
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        *("node", str(PLAYGROUND), "start"),
        *("-e", bot, "-c", "msteams", "-p", str(port), "--dt", "--er"),
        cwd=OUT,
        env={
            **os.environ,  # noqa: TID251 - a child needs PATH and HOME
            "TEAMSAPPTESTER_BROWSER": "none",
            "M365_AGENTS_PLAYGROUND_CONFIG_PATH": str(HERE / "playground.yml"),
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(_START):
            while True:
                try:
                    async with session.get(address) as reply:
                        if reply.status == 200:
                            break
                except aiohttp.ClientError:
                    assert process.returncode is None, "it ended by itself; see out/e2e/devTools"
                await asyncio.sleep(0.2)
        yield address
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


def _recorded() -> list[tuple[Json, int, Json]]:
    """What the Playground itself has written down of its calls to the bot."""
    (written,) = (OUT / "devTools").glob("events_recording_*.log")
    entries = [json.loads(each) for each in written.read_text().split("\n---") if each.strip()]
    return [
        (
            each["request"]["body"],
            each["response"]["statusCode"],
            each["response"].get("body") or {},
        )
        for each in entries
        if each["direction"].endswith("-> User Application")
    ]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """One walk through the page; every test below looks at a part of it."""
    if missing := _missing():
        pytest.skip(missing)

    async def walk() -> Seen:
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        async with _bot() as (bot, sandbox), _playground(bot) as page:
            driver = await asyncio.create_subprocess_exec(
                "node",
                *(str(HERE / "drive.mjs"), page, str(_browser()), json.dumps(STEPS), str(OUT)),
                stdout=asyncio.subprocess.PIPE,
            )
            said, _ = await asyncio.wait_for(driver.communicate(), _PLAY)
            steps = json.loads(said)
            cancels = [each.path for each in sandbox.log if each.path.endswith("/cancel")]
        failed = [each["failed"] for each in steps if "failed" in each]
        assert not failed, f"{failed[0]}; see out/e2e/failed.png"
        return Seen({each["name"]: each["text"] for each in steps}, _recorded(), cancels)

    return asyncio.run(walk())


def _came(seen: Seen, kind: str) -> list[tuple[Json, int, Json]]:
    return [each for each in seen.traffic if each[0].get("type") == kind]


def test_nothing_was_answered_with_an_error(seen: Seen) -> None:
    assert seen.traffic
    assert {status for _, status, _ in seen.traffic} <= {200, 202}


def test_every_step_left_a_picture(seen: Seen) -> None:
    assert len(seen.steps) == len(STEPS)
    assert all((OUT / name).stat().st_size > 10_000 for name in seen.steps)


def test_every_sentence_came_as_a_message_and_was_taken_at_once(seen: Seen) -> None:
    said = [body["text"] for body, status, _ in _came(seen, "message") if status == 202]
    assert said == [each["say"] for each in STEPS if "say" in each]


def test_every_click_was_an_action_that_got_its_card_as_the_answer(seen: Seen) -> None:
    clicks = _came(seen, "invoke")
    assert len(clicks) == sum("press" in each for each in STEPS)
    for body, status, answer in clicks:
        assert body["name"] == "adaptiveCard/action"
        assert (status, answer["statusCode"]) == (200, 200)
        assert answer["type"] == "application/vnd.microsoft.card.adaptive"
        assert answer["value"]["type"] == "AdaptiveCard"


def test_buttons_carried_a_sentence_or_a_random_id(seen: Seen) -> None:
    carried = [body["value"]["action"]["data"] for body, _, _ in _came(seen, "invoke")]
    assert [set(each) for each in carried] == [{"run"}, {"run"}, {"run"}, {"confirm"}, {"dismiss"}]
    assert all(len(value) >= 16 for each in carried[3:] for value in each.values())


def test_one_job_was_stopped_by_one_call(seen: Seen) -> None:
    assert len(seen.cancels) == 1
    assert "0bae5839" in seen.cancels[0], "the main job of the sandbox"


def test_the_page_shows_each_answer_and_the_question_gave_way_to_its_outcome(seen: Seen) -> None:
    steps = {name.partition("-")[2].removesuffix(".png"): text for name, text in seen.steps.items()}
    assert "Dallas" in steps["kpi"]
    assert "rows 11-20" not in steps["data"]
    assert "rows 1-10" not in steps["next-page"], "the page was replaced, not added"
    assert "Stop this job" in steps["question"]
    assert "Stop this job" not in steps["stopped"]
    assert "STOPPED" in steps["stopped"]
    assert "Nothing was done" in steps["left-alone"]


def test_the_outcome_is_also_a_message_that_mentions_who_clicked(seen: Seen) -> None:
    steps = {name.partition("-")[2].removesuffix(".png"): text for name, text in seen.steps.items()}
    assert steps["stopped"].count("STOPPED") >= 2
