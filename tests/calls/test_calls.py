"""What each question costs, held against the sandbox's log: `docs/calls.md` is the table, here it is measured."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.model.cards import Status
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.sandbox.content import DATA
from tests.story import StoryClock, stage

PAGE = Path(__file__).parents[2] / "docs" / "calls.md"
ROW = re.compile(r"\| [`“](?P<sentence>[^|]+)[`”] \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|")
COSTS = {
    found["sentence"]: tuple(map(int, found.groups()[1:])) for found in ROW.finditer(PAGE.read_text("utf-8"))
}
"""By sentence: calls at first and again in a small team, and the same in a large one."""

VALUES_TOO_OLD = 300.0
"""Seconds after which values have to be asked for again, and names have not."""


def large(folder: Path) -> Path:
    """The sandbox's own team with 500 data pools and 50 knowledge models that the operator's key may see."""
    shutil.copytree(str(DATA / "models"), folder / "models")
    pools = json.loads((DATA / "pools.json").read_text("utf-8"))
    seen = sum(not each.get("restricted") for each in pools)
    quiet = {"jobs": [{"name": "Load", "stages": [], "runs": [{"at": -9000, "lasts": 60}]}], "dataModels": []}
    pools += [
        quiet | {"id": f"p{number}", "name": f"Plant {number}", "description": ""}
        for number in range(500 - seen)
    ]
    (folder / "pools.json").write_text(json.dumps(pools), "utf-8")
    for number in range(45):
        model = {
            "id": f"site-{number}.site-km",
            "name": f"Site {number}",
            "published": "2026-05-04 10:00:00",
            "records": [],
            "kpis": [],
            "filters": [],
            "triggers": [],
        }
        home = folder / "models" / str(model["id"])
        home.mkdir()
        (home / "model.json").write_text(json.dumps(model), "utf-8")
    return folder


@pytest.fixture(name="teams", scope="module")
def _teams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"small": Path(str(DATA)), "large": large(tmp_path_factory.mktemp("large"))}


@pytest.fixture(name="clock")
def _clock() -> StoryClock:
    return StoryClock()


@pytest.fixture(name="sandbox")
async def _sandbox(
    request: pytest.FixtureRequest, teams: dict[str, Path], clock: StoryClock
) -> AsyncIterator[Sandbox]:
    switches = Switches(per_second=100_000)
    data = teams[request.param]
    async with Sandbox(SandboxOptions(now=clock.seconds, switches=switches, data=data)) as sandbox:
        yield sandbox


@pytest.mark.parametrize("sandbox", ["small", "large"], indirect=True)
@pytest.mark.parametrize("sentence", COSTS)
async def test_a_question_costs_what_the_page_says(
    sentence: str, sandbox: Sandbox, clock: StoryClock, request: pytest.FixtureRequest
) -> None:
    async with stage(sandbox=sandbox, clock=clock) as scene:
        card = await scene.says(sentence)
        first = scene.asked()
        assert card.status is not Status.FAILED, card
        clock.pass_by(VALUES_TOO_OLD)
        await scene.says(sentence)
        found = first, scene.asked() - first
        size = request.node.callspec.params["sandbox"]
        wanted = COSTS[sentence][:2] if size == "small" else COSTS[sentence][2:]
        assert found == wanted, [each.path for each in scene.sandbox.log]


@pytest.mark.parametrize("sandbox", ["small", "large"], indirect=True)
async def test_the_teams_are_as_large_as_the_page_says(sandbox: Sandbox) -> None:
    rights = sandbox.keys.operator.rights
    pools = sum(rights.may_view(each.id) for each in sandbox.pools)
    async with stage(sandbox=sandbox) as scene:
        models = (await scene.says("models")).headline
    assert (pools, models.split()[0]) in {(5, "5"), (500, "50")}, models


def test_the_page_keeps_what_the_design_promises() -> None:
    kpi, data = (
        COSTS['kpi "On-time delivery" of "Order to Cash"'],
        COSTS['data Materials of "Purchase Requisition KM"'],
    )
    assert kpi[0] <= 4 >= data[0]
    assert kpi[1] == data[1] == 1
    assert COSTS['kpis of "Order to Cash"'][0] <= 3
    active, pages = 3, {"small": 1, "large": 6}
    assert COSTS["jobs"] == tuple(n for each in pages.values() for n in (each + 2 * active, each + active))
    assert COSTS["flurbigon"][1] <= 2
    rule_names_pools = 1
    assert COSTS['cancel "main job" in "SAP ECC"'][1] == 2 + rule_names_pools
