"""Rows as a file: all that can be reached, to the asker alone, on record, and harmless."""

from __future__ import annotations

import csv
import io

import pytest

from bot import config
from bot.commands.export import harmless
from bot.model.cards import Only, Status
from bot.model.people import Clicked, Said
from bot.sandbox import Fault
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, Stage, all_buttons, following, stage

ORDERS = 'data "Sales orders" of "Order to Cash"'


def content(scene: Stage) -> tuple[list[str], list[list[str]]]:
    """The lines about the newest file, and its rows with their titles."""
    _, file = scene.chat.files[-1]
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    about = [row[0] for row in rows if row[0].startswith("# ")]
    return about, [row for row in rows if not row[0].startswith("# ")]


async def test_every_row_that_can_be_reached_is_in_the_file_with_what_was_asked_and_when() -> None:
    async with stage() as scene:
        card = await scene.says(f'export {ORDERS} show "Order number", Country where Country = Germany')
        about, (titles, *rows) = content(scene)
        counted = await scene.says('count "Sales orders" of "Order to Cash" where Country = Germany')
        assert counted.headline.removeprefix("SANDBOX · ").startswith(f"{len(rows):,} ")
        assert titles == ["Order number", "Country"]
        assert {country for _, country in rows} == {"Germany"}
        assert len({number for number, _ in rows}) == len(rows)
        assert about[0] == "# SANDBOX: made-up data"
        assert "where Country = Germany" in about[1]
        assert about[2].startswith("# read 2026-11-20T23:5")
        assert f"{len(rows)} rows" in about[3]
        assert f"{len(rows)} rows of Sales orders" in card.headline


async def test_the_cost_is_said_before_anything_is_read_and_then_how_far_it_is() -> None:
    async with stage() as scene:
        cards = await scene.cards(Clicked(sentence=f'export "{ORDERS.replace(chr(34), chr(34) * 2)}"'))
        said = [card.headline for card in cards if card.status is Status.WORKING]
        assert "at most 1,000 rows, 20 calls" in said[0]
        assert any("250 rows so far" in each for each in said)
        assert sum("/data" in each.path for each in scene.sandbox.log) == 20
        assert "It ends after 1,000 rows" in repr(cards[-1])
        about, (_, *rows) = content(scene)
        assert len(rows) == 1000
        assert "It ends after 1,000 rows" in about[3]


async def test_what_costs_more_than_its_share_is_asked_about_first() -> None:
    limits = config.Limits(rows=5000, per_second=1000)
    async with stage(connection={"limits": limits}) as scene:
        asked = await scene.says(f"export {ORDERS}")
        assert asked.status is Status.ASKED
        assert "100 calls" in asked.headline
        assert not any("/data" in each.path for each in scene.sandbox.log)
        assert scene.chat.files == []
        await scene.presses(asked, "Export at most 5,000 rows")
        assert len(scene.chat.files) == 1


async def test_kpis_are_exported_by_fields_as_they_are_asked_for() -> None:
    async with stage() as scene:
        await scene.says("otd by plant in order to cash as csv")
        _, (titles, *rows) = content(scene)
        assert titles == ["Plant", "On-time delivery"]
        assert len(rows) == 8
        await scene.says("export otd by plant top 3 in order to cash")
        _, (_, *best) = content(scene)
        assert len(best) == 3
        assert float(best[0][1]) == max(float(value) for _, value in rows)


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_text_becomes_a_formula(start: str) -> None:
    assert harmless(start) == f"'{start}"
    assert harmless("a" + start) == "a" + start


async def test_text_of_others_is_harmless_in_the_file_and_numbers_stay_numbers() -> None:
    async with stage() as scene:
        await scene.says('export data Hostile of "Formats and Limits"')
        _, (titles, *rows) = content(scene)
        cells = [cell for row in (titles, *rows) for cell in row]
        assert cells
        for cell in cells:
            if cell.startswith(("=", "+", "@", "\t", "\r")):
                raise AssertionError(cell)
            if cell.startswith("-"):
                assert float(cell) < 0


async def test_only_the_asker_gets_it_wherever_it_was_asked_for() -> None:
    async with stage() as scene:
        answer = await scene.answer(f"export {ORDERS}", place=CHANNEL)
        assert answer.audience == Only(OPERATOR)
        assert [person for person, _ in scene.chat.files] == [OPERATOR]


async def test_without_the_right_nothing_is_read_and_with_it_nothing_beyond_what_may_be_read() -> None:
    async with stage() as scene:
        assert (await scene.says(f"export {ORDERS}", CLERK)).status is Status.REFUSED
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    export = config.Rule(name="all", who=who, may=(config.Right.EXPORT,))
    on = config.On(model=("Order to Cash",), record=("Customers",))
    read = config.Rule(name="some", who=who, may=(config.Right.READ,), on=on)
    hidden = config.HiddenField(field=("Credit limit",))
    async with stage(policy=(export, read), members_read=False, hidden=(hidden,)) as scene:
        await scene.says(f"export {ORDERS}", CLERK)
        assert scene.chat.files == []
        await scene.says('export data Customers of "Order to Cash"', CLERK)
        _, (titles, *_) = content(scene)
        assert titles == ["Customer number", "Customer name", "Customer country", "Key account"]
        card = await scene.says('export data Customers of "Order to Cash" search AG', CLERK)
        assert "In which field" in card.headline
        assert len(scene.chat.files) == 1
    async with stage(policy=(export,), members_read=False) as scene:
        forged = Clicked(sentence='export "data x #ORDERS of y #order-to-cash.order-to-cash-km"')
        await scene.cards(forged, CLERK)
        assert scene.chat.files == []
        assert not any("/data" in each.path for each in scene.sandbox.log)


async def test_an_export_is_on_record_even_where_reads_are_not() -> None:
    async with stage() as scene:
        await scene.says(f"export {ORDERS} where Country = Germany")
        rows = [each.entry for each in await recent(scene.built.audit, 10) if each.entry is not None]
        (row,) = [each for each in rows if each.right == "export"]
        assert row.decision == "read"
        assert "Germany" not in repr(row)
        assert "record:ORDERS" in row.resources


async def test_where_celonis_fails_half_way_there_is_no_half_file() -> None:
    async with stage() as scene:
        shown = []
        async for answer in following(
            scene.built.bot, scene.request(Said(f"export {ORDERS}"), OPERATOR, DIRECT)
        ):
            shown.append(answer.card)
            if "250 rows so far" in answer.card.headline:
                scene.sandbox.faults.add(Fault("status", status=500, path="/data"))
        assert shown[-1].status is Status.FAILED
        assert scene.chat.files == []


async def test_a_file_is_bounded_and_says_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.commands.export.MOST_BYTES", 2048)
    async with stage() as scene:
        card = await scene.says(f"export {ORDERS}")
        assert "a file has at most" in repr(card)
        assert len(scene.chat.files[-1][1].content) < 4096
        assert sum("/data" in each.path for each in scene.sandbox.log) == 1


async def test_only_rows_and_kpis_are_exported() -> None:
    async with stage() as scene:
        for sentence in ("jobs", "cancel main job", "export jobs", "use Order to Cash", "whoami", ""):
            card = await scene.says(f"export {sentence}")
            assert card.status is not Status.ANSWERED, sentence
        assert scene.chat.files == []
        assert scene.cancels() == []
        assert all_buttons(card) == ()
