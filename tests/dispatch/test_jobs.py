"""Jobs of all data pools in few calls: what is active, what Celonis tells of the rest, and what could not be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.model.cards import Card, Notice, Status, Table, Words
from bot.sandbox import Fault
from bot.sandbox.pools import stable_id
from tests.dispatch.test_reads import texts
from tests.story import Stage, stage


def tables(card: Card) -> list[tuple[list[str], list[list[str]]]]:
    return [
        (
            [each.title for each in block.columns],
            [[cell.text if isinstance(cell, Words) else "" for cell in row] for row in block.rows],
        )
        for block in card.blocks
        if isinstance(block, Table)
    ]


def finish_all(scene: Stage) -> None:
    for pool in scene.sandbox.pools:
        for job in pool.jobs:
            scene.sandbox.pools.finish(job)


async def test_active_and_failed_runs_stand_above_the_other_pools_with_their_newest_run() -> None:
    async with stage() as scene:
        (jobs, runs), (pools, lines) = tables(await scene.says("jobs"))
        assert jobs == ["Job", "Status", "Since", "For", "Data pool"]
        assert ["main job", "running", "SAP ECC"] in [[row[0], row[1], row[4]] for row in runs]
        assert {row[1] for row in runs} == {"running", "queued", "failed"}
        assert {row[4] for row in runs}.isdisjoint(row[0] for row in lines)
        assert pools == ["Data pool", "Last run", "Started"]
        assert [row[:2] for row in lines] == [
            ["Oracle EBS Procurement", "succeeded"],
            ["New sources", "not set up"],
        ]


async def test_where_no_pool_reports_an_active_job_the_answer_says_no_more_than_that() -> None:
    async with stage() as scene:
        finish_all(scene)
        card = await scene.says("jobs")
        assert card.headline.startswith("No data pool reports an active job")
        assert "an earlier one may still be active" in texts(card)
        opened = await scene.presses(card, "SAP ECC")
        assert opened.headline.startswith("No job is active")
        assert scene.asked() == 1 + 3


async def test_a_pool_whose_jobs_cannot_be_read_takes_no_other_with_it() -> None:
    async with stage() as scene:
        sap = next(pool.id for pool in scene.sandbox.pools if pool.name == "SAP ECC")
        scene.sandbox.faults.add(Fault("status", path=f"{sap}/logs/status", status=500))
        card = await scene.says("jobs")
        assert card.status is Status.ANSWERED
        assert "delta load" in card.headline
        assert "and more in 1 data pool" in card.headline
        assert "1 data pool not read" in card.headline
        (notice,) = [block.text for block in card.blocks if isinstance(block, Notice)]
        assert notice.startswith("The jobs of SAP ECC could not be read:")
        assert ["SAP ECC", "running"] in [row[:2] for row in tables(card)[1][1]]
        scene.sandbox.faults.clear()
        scene.clock.pass_by(1)
        assert "main job" in (await scene.says("jobs")).headline


async def test_a_job_that_is_newer_than_the_names_is_shown_with_its_own() -> None:
    async with stage() as scene:
        await scene.says('jobs in "SAP ECC"')
        pool = next(pool for pool in scene.sandbox.pools if pool.name == "SAP ECC")
        added = replace(pool.jobs[0], id=stable_id("added"), name="Added today", runs=[])
        pool.jobs.append(added)
        scene.sandbox.pools.start(added)
        scene.clock.pass_by(10)
        assert "Added today" in (await scene.says('jobs in "SAP ECC"')).headline


async def test_finished_states_look_into_every_pool_while_those_are_few() -> None:
    async with stage() as scene:
        card = await scene.says("jobs failed")
        assert card.headline.split(" · ")[-1].startswith("2 failed jobs: ")
        assert {row[1] for row in tables(card)[0][1]} == {"failed"}


async def test_among_many_pools_finished_states_are_those_of_the_newest_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.commands.pools.MOST_READ", 2)
    async with stage() as scene:
        card = await scene.says("jobs skipped")
        assert card.headline.endswith("No data pool reports a skipped job")
        assert scene.asked() == 1
