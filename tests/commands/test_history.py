"""The runs of data jobs: how they compare with the usual, and who stopped them here."""

from __future__ import annotations

from bot.celonis import Execution
from bot.commands.history import usual
from bot.model.cards import Card, Table
from bot.render.values import write
from tests.story import CLERK, OPERATOR, Stage, stage


def rows(card: Card, scene: Stage) -> list[list[str]]:
    (table,) = [each for each in card.blocks if isinstance(each, Table)]
    reader = scene.built.bot._parts.today()
    return [[write(cell, reader) for cell in row] for row in table.rows]


def ran(minutes: int, status: str = "SUCCESS", mode: str = "DELTA") -> Execution:
    start = 1_790_000_000_000
    return Execution.model_validate(
        {"id": "e", "status": status, "mode": mode, "startDate": start, "endDate": start + minutes * 60_000}
    )


def test_what_is_usual_is_told_by_runs_of_the_same_mode_that_succeeded() -> None:
    runs = [ran(10), ran(12), ran(60), ran(1, "FAIL"), ran(300, mode="FULL")]
    assert usual(runs) == {"DELTA": 12 * 60.0}


async def test_runs_stand_newest_first_with_their_length_against_the_usual() -> None:
    async with stage() as scene:
        card = await scene.says("history main job")
        assert card.headline.startswith("14 runs, 1 failed, 1 stopped, usually 53 min: main job")
        found = rows(card, scene)
        assert found[0][1:4] == ["running", "1 h 35 min so far", "42 min longer"]
        assert found[2][3] == "as usual"
        more = await scene.presses(card, "Next 4")
        assert len(rows(more, scene)) == 4


async def test_a_period_and_a_data_pool_narrow_it() -> None:
    async with stage() as scene:
        assert (await scene.says("history of main job since yesterday")).headline.startswith("2 runs")
        pool = await scene.says("history of SAP ECC since yesterday")
        assert {each[0] for each in rows(pool, scene)} >= {"initial job", "main job"}
        assert (await scene.says('history "main job" during "soon"')).headline.startswith("I do not know")
        assert (await scene.says('history "final job" during "2026-01-01"')).headline.startswith("No run")


async def test_who_stopped_a_run_here_is_told_to_whoever_may_see_the_job() -> None:
    async with stage() as scene:
        question = await scene.says("stop main job")
        stopped = await scene.presses(question, "Stop this job")
        assert stopped.headline.startswith("STOPPED")
        scene.clock.pass_by(60)
        found = rows(await scene.says("history main job", CLERK), scene)
        assert found[0][1] == "stopped"
        assert f"stopped by {OPERATOR.id}, " in found[0][4]
        assert not any("stopped by" in each[4] for each in found[1:])
