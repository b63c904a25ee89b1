"""Looking around in Celonis: spaces, packages, analyses, data models and their loads."""

from __future__ import annotations

import pytest

from bot import config
from bot.model.cards import Card, Everyone, Notice, Only, Status, Table, Text, Words
from bot.sandbox import Fault
from tests.story import CHANNEL, CLERK, HOME, stage


def names(card: Card) -> list[str]:
    return [
        row[0].text
        for block in card.blocks
        if isinstance(block, Table)
        for row in block.rows
        if isinstance(row[0], Words)
    ]


async def test_what_a_button_of_a_list_opens_is_in_the_thing_it_names() -> None:
    async with stage() as scene:
        spaces = await scene.says("spaces")
        packages = await scene.presses(spaces, "Purchasing & Logistics")
        assert names(packages) == ["Open Purchase Requisition", "Order to Cash"]
        analyses = await scene.presses(packages, "Order to Cash")
        assert names(analyses) == ["Delivery performance"]
        assert analyses.headline.endswith("1 analysis in Order to Cash")
        models = await scene.says("data models in SAP ECC")
        loads = await scene.presses(models, "Order to Cash")
        assert "Order to Cash: last loaded" in loads.headline
        assert len(next(block for block in loads.blocks if isinstance(block, Table)).rows) == 3


async def test_spaces_packages_and_analyses_cost_a_call_each_and_then_none() -> None:
    async with stage() as scene:
        costs = []
        for sentence in ("spaces", "packages", "analyses", "analyses in Order to Cash", "packages in TEST"):
            before = scene.asked()
            await scene.says(sentence)
            costs.append(scene.asked() - before)
        assert costs == [1, 1, 2, 0, 0]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("which packages are in purchasing & logistics?", '"Purchasing & Logistics"'),
        ("welche datenmodelle gibt es in sap ecc", "data models in"),
        ("when was order to cash last loaded?", 'loads "Order to Cash"'),
        ("wann wurde accounts payable zuletzt geladen", 'loads "Accounts Payable"'),
        ("loads order to cash", 'loads "Order to Cash"'),
        ("failed loads", "jobs failed"),
        ("which spaces are there", "spaces"),
    ],
)
async def test_it_is_asked_for_in_ones_own_words(sentence: str, said: str) -> None:
    async with stage() as scene:
        card = await scene.says(sentence)
        assert card.status is Status.ANSWERED
        assert said in card.sentence


async def test_whoever_may_read_one_space_sees_what_is_in_it_and_nothing_else() -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    rule = config.Rule(name="one", who=who, may=(config.Right.READ,), on=config.On(space=("PYCELONIS",)))
    async with stage(policy=(rule,), members_read=False) as scene:
        assert names(await scene.says("spaces", CLERK)) == ["PYCELONIS"]
        assert names(await scene.says("packages", CLERK)) == ["Quality lab"]
        assert names(await scene.says("analyses", CLERK)) == []
        assert (await scene.says("packages in TEST", CLERK)).status is Status.NOT_UNDERSTOOD
        assert names(await scene.says("data models", CLERK)) == []
        assert names(await scene.says("models", CLERK)) == []


async def test_a_rule_for_a_pool_holds_for_its_data_models_and_one_for_data_models_for_no_job() -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))

    def rule(on: config.On) -> config.Rule:
        return config.Rule(name="one", who=who, may=(config.Right.READ,), on=on)

    async with stage(policy=(rule(config.On(pool=("SAP ECC",))),), members_read=False) as scene:
        assert names(await scene.says("data models", CLERK)) == ["Order to Cash", "Accounts Payable"]
    narrow = rule(config.On(pool=("SAP ECC",), data_model=("Order*",)))
    async with stage(policy=(narrow,), members_read=False) as scene:
        assert names(await scene.says("data models", CLERK)) == ["Order to Cash"]
        assert (await scene.says("loads Accounts Payable", CLERK)).status is Status.NOT_UNDERSTOOD
        assert "No data job" in (await scene.says("jobs in SAP ECC", CLERK)).headline


async def test_in_a_channel_only_what_is_public_there_is_shown_to_all() -> None:
    async with stage() as scene:
        shown = await scene.answer("data models in SAP ECC", place=CHANNEL)
        assert shown.audience == Everyone()
        for sentence in ("data models", "spaces", "analyses in Order to Cash"):
            assert isinstance((await scene.answer(sentence, place=CHANNEL)).audience, Only)


async def test_many_data_pools_are_not_all_read_for_their_data_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.commands.browse.POOLS_READ", 2)
    async with stage() as scene:
        first = await scene.says("data models")
        pools = sum(scene.sandbox.keys.operator.rights.may_view(each.id) for each in scene.sandbox.pools)
        assert scene.asked() == 1 + 2
        (left,) = [block.text for block in first.blocks if isinstance(block, Text) and block.quiet]
        assert left.startswith(f"{pools - 2} more data pools not read")
        more = await scene.says("data models")
        assert scene.asked() == 1 + 4
        assert set(names(first)) <= set(names(more))


async def test_among_very_many_data_pools_a_name_is_not_looked_for_in_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.catalog.catalog.PLACES_READ", 1)
    async with stage() as scene:
        card = await scene.says('loads "Order to Cash"')
        assert card.status is Status.NOT_UNDERSTOOD
        assert "In which data pool" in card.headline
        assert scene.asked() == 1
        await scene.says("data models in SAP ECC")
        assert "last loaded" in (await scene.says('loads "Order to Cash"')).headline


async def test_a_load_that_is_under_way_or_failed_leads_the_headline() -> None:
    async with stage() as scene:
        pool = next(each for each in scene.sandbox.pools if each.name == "SAP ECC")
        scene.sandbox.pools.load(pool.data_models[0], "COMPLETE")
        assert "loading since" in (await scene.says('loads "Order to Cash"')).headline
        failed = [
            (each.name, model.name)
            for each in scene.sandbox.pools
            for model in each.data_models
            if model.loads and model.loads[-1].status == "ERROR"
        ]
        for where, name in failed:
            card = await scene.says(f'loads "{name}" in "{where}"')
            assert "the newest load failed" in card.headline
            assert any(isinstance(block, Notice) for block in card.blocks)
        assert failed


async def test_a_key_without_rights_in_studio_is_told_apart_from_nothing_there() -> None:
    async with stage(key="pool") as scene:
        assert "No space is visible here" in (await scene.says("spaces")).headline
    async with stage() as scene:
        scene.sandbox.faults.add(Fault("status", status=403, path="/spaces", count=1))
        assert (await scene.says("spaces")).status is Status.FAILED
