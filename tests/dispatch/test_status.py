"""`status` asks, and says what is wrong; refusals say who has to grant what."""

from __future__ import annotations

import pytest

from adapters.cli.ask import EXIT
from bot.model.cards import Card, Facts, Notice, Status, Text
from bot.sandbox import Fault
from tests.story import someone, stage


def words(card: Card) -> str:
    said = [card.headline]
    for block in card.blocks:
        match block:
            case Text(text=text) | Notice(text=text):
                said.append(text)
            case Facts(facts=facts):
                said += [f"{fact.label}: {getattr(fact.value, 'text', fact.value)}" for fact in facts]
            case _:
                pass
    return "\n".join(said)


@pytest.mark.parametrize(
    ("key", "said"), [("operator", "application key"), ("user", "user key of bob.ross@celonis.com")]
)
async def test_status_asks_each_time_and_names_the_kind_of_key(key: str, said: str) -> None:
    async with stage(key=key) as scene:
        for _ in range(2):
            scene.sandbox.log.clear()
            card = await scene.says("status")
            assert f"Key: {said}" in words(card)
            assert EXIT[card.status] == 0
            assert scene.sandbox.log.where(status=200)


@pytest.mark.parametrize(
    ("fault", "said", "fix"),
    [
        (Fault("status", status=401), "does not accept the bot's key", "check the key and its type"),
        (Fault("status", status=503), "inside Celonis (HTTP 503)", "Try again in a minute"),
        (Fault("html", status=403), "web page (HTTP 403)", "proxy"),
        (Fault("reset"), "broke off its answer", "Try again in a minute"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
async def test_status_says_what_is_wrong_and_the_fix_and_ends_with_one(
    fault: Fault, said: str, fix: str
) -> None:
    async with stage() as scene:
        assert (await scene.says("status")).status is Status.ANSWERED
        scene.sandbox.faults.add(fault)
        card = await scene.says("status")
        assert card.headline == "Celonis does not answer as it should: sandbox"
        assert said in words(card)
        assert fix in words(card)
        assert EXIT[card.status] == 1


async def test_a_refused_stop_names_the_right_that_is_missing() -> None:
    async with stage(key="viewer") as scene:
        question = await scene.says("cancel main job in SAP ECC")
        card = await scene.presses(question, "Stop this job")
        assert len(scene.cancels()) == 1
        said = words(card)
        assert "does not let the bot stop main job" in said
        assert "*manage* on the data pool SAP ECC" in said
        assert "see this" not in said


async def test_a_web_page_in_place_of_the_answer_to_a_stop_is_no_refusal() -> None:
    async with stage() as scene:
        question = await scene.says("cancel main job in SAP ECC")
        scene.sandbox.faults.add(Fault("html", status=403, path="/cancel", handled=True))
        card = await scene.presses(question, "Stop this job")
        assert len(scene.cancels()) == 1
        assert card.headline.startswith("STOPPED "), "it had worked, and is looked up"


async def test_missing_permissions_of_the_service_do_not_send_people_to_models() -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("status", status=404, path="/api/cloud/permissions"))
        card = await scene.says("permissions", someone("UADMIN"))
        assert card.status is Status.FAILED
        assert "models" not in words(card)
        assert "Celonis admin" in words(card)


async def test_an_odd_item_is_left_out_of_a_list_and_said() -> None:
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("odd_item", path="/(kpis|data|triggers|records|filters)$"))
        for sentence in (
            "kpis of Purchase Requisition KM",
            "triggers of Purchase Requisition KM",
            "filters of Purchase Requisition KM",
            "model Purchase Requisition KM",
            "data Materials show material name",
        ):
            card = await scene.says(sentence)
            assert card.status is Status.ANSWERED, card
            assert card.source is not None, sentence
            assert card.source.unread >= 1, sentence


@pytest.mark.parametrize("total", ["pools", "pages"])
async def test_the_list_of_pools_ends_at_a_short_page_whatever_the_total_counts(total: str) -> None:
    async with stage() as scene:
        scene.sandbox.switches.update({"pool_total": total})
        card = await scene.says("pools")
        assert card.status is Status.ANSWERED
        assert len([each for each in scene.sandbox.log if each.path.endswith("/paged")]) == 1
        assert "SAP ECC" in str(card.blocks)
