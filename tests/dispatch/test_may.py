"""`may` says whether, by which rule, and who can change it; what one must not know of looks like what is not there."""

from __future__ import annotations

from bot import config
from bot.model.cards import Status
from bot.store.switches import switch_writes
from tests.story import CLERK, HOME, OPERATOR, stage

STOP = 'cancel "main job" in "SAP ECC"'


async def test_yes_names_the_rule_and_sends_nothing() -> None:
    async with stage() as scene:
        card = await scene.says(f"may {STOP}", OPERATOR)
        assert card.headline == "Yes, you may do that here"
        assert "rule 1: operators" in repr(card)
        assert scene.cancels() == []
        read = await scene.says('may kpi "On-time delivery" of "Order to Cash"', CLERK)
        assert "default: members read" in repr(read)


async def test_no_names_what_decided_and_who_can_change_it() -> None:
    async with stage(admin=config.Admin(contact="The process team")) as scene:
        card = await scene.says(f"may {STOP}", CLERK)
        assert card.status is Status.REFUSED
        for word in ("You may not stop data jobs", "default: deny", "The process team can change that"):
            assert word in repr(card)


async def test_a_switch_and_a_second_person_are_said() -> None:
    async with stage(second_person={"SAP*": config.SecondPerson()}) as scene:
        await switch_writes(scene.built.store, OPERATOR, on=False)
        card = await scene.says(f"may {STOP}", OPERATOR)
        assert "A second person has to confirm it." in repr(card)
        assert "“writes off”" in repr(card)


async def test_a_forbidden_name_is_answered_like_one_that_does_not_exist() -> None:
    who = config.Who(slack=(f"{HOME}:{CLERK.id}",))
    only = config.Rule(who=who, may=(config.Right.READ,), on=config.On(model=("Order to Cash",)))
    async with stage(policy=(only,), members_read=False) as scene:
        await scene.says("models", CLERK)
        one = await scene.says('may kpis of "Accounts Payable"', CLERK)
        other = await scene.says('may kpis of "Akkounts Paiable"', CLERK)
        assert repr(one).replace("Accounts Payable", "…") == repr(other).replace("Akkounts Paiable", "…")
        assert one.status is not Status.ANSWERED


async def test_may_is_a_month_too() -> None:
    async with stage() as scene:
        for sentence in ("automation rate in may", "May 2026 automation rate"):
            card = await scene.says(sentence)
            assert "you may" not in repr(card.headline)
        assert (await scene.says(f"am i allowed to {STOP}")).headline == "Yes, you may do that here"
