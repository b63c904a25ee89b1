"""Sharing an answer that one person was shown, as signed HTTP on both platforms, with everybody's screen as the judge."""

from __future__ import annotations

from bot import config
from bot.commands.share import LABEL
from tests.fake_slack import TEAM
from tests.fake_teams import CHANNEL, TENANT
from tests.server.towns import CLERK, GUEST, OPERATOR, Town, policy, town
from tests.teams import stage as teams

MEMBERS = "C5"
OPEN = config.Rule(name="open", who=config.Who(places=(f"slack:{TEAM}:*",)), may=(config.Right.PUBLIC,))
RULES = (*policy()[:1], OPEN)
KPI = "otd of order to cash order date last month"


def members(here: Town) -> None:
    """A channel of full members only."""
    here.slack.channel(MEMBERS, CLERK, OPERATOR, "UBOT", name="members")


async def test_what_a_command_answered_alone_is_shared_with_the_channel() -> None:
    async with town(rules=RULES) as here:
        members(here)
        await here.says(OPERATOR, MEMBERS, KPI)
        own = here.slack.visible(OPERATOR, MEMBERS)[-1]
        assert here.slack.visible(CLERK, MEMBERS) == []
        calls = here.calls
        await here.presses(OPERATOR, own, LABEL)
        (shared,) = here.slack.visible(CLERK, MEMBERS)
        assert here.calls == calls
        assert "On-time delivery, Order date Oct 2026" in shared.shown
        assert "Shared by the operator" in shared.shown
        assert LABEL not in shared.shown
        assert LABEL in own.shown, "what only one person sees stays as it is"
        await here.says(CLERK, MEMBERS, f"share here {KPI}")
        assert "Shared by the clerk" in here.slack.screen(OPERATOR, MEMBERS)


async def test_what_is_typed_into_a_form_comes_with_its_button_and_nobody_else_sees_it() -> None:
    async with town(rules=RULES) as here:
        members(here)
        await here.says(
            OPERATOR, MEMBERS, 'form data "Sales orders" of "Order to Cash" values "Value in EUR" with >='
        )
        card = here.slack.visible(OPERATOR, MEMBERS)[-1]
        for typed, said in (
            ("", "Nothing was typed"),
            ("much", "“much” does not fit"),
            ("10k", "Value in EUR >= 10k"),
        ):
            await here.presses(OPERATOR, card, "Use this value", typed=typed)
            assert said in here.slack.screen(OPERATOR, MEMBERS)
        assert here.slack.screen(CLERK, MEMBERS) == ""


async def test_a_follow_up_that_only_one_person_sees_is_shared_too() -> None:
    async with town(rules=RULES) as here:
        members(here)
        await here.says(OPERATOR, MEMBERS, "jobs in sap ecc")
        await here.says(OPERATOR, MEMBERS, "jobs")
        own = here.slack.visible(OPERATOR, MEMBERS)[-1]
        await here.presses(OPERATOR, own, LABEL)
        (shared,) = here.slack.visible(CLERK, MEMBERS)
        assert "main job" in shared.shown


async def test_a_guest_who_came_in_since_ends_the_sharing_at_once() -> None:
    async with town(rules=RULES) as here:
        members(here)
        await here.says(OPERATOR, MEMBERS, KPI)
        own = here.slack.visible(OPERATOR, MEMBERS)[-1]
        here.slack.channels[MEMBERS].members.add(GUEST)
        await here.presses(OPERATOR, own, LABEL)
        assert here.slack.screen(GUEST, MEMBERS) == here.slack.screen(CLERK, MEMBERS) == ""
        assert "Guests or people of other organisations" in here.slack.screen(OPERATOR, MEMBERS)


async def test_there_is_no_button_where_it_would_do_nothing() -> None:
    async with town(rules=RULES) as here:
        members(here)
        here.slack.direct(OPERATOR)
        assert LABEL not in await here.says(OPERATOR, f"D{OPERATOR}", KPI), "nobody else is there"
        assert LABEL not in await here.says(OPERATOR, "C1", KPI), "a guest is there"
        await here.slack.mention(OPERATOR, MEMBERS, KPI)
        await here.quiet()
        assert LABEL not in here.slack.screen(OPERATOR, MEMBERS), "everybody sees it"


async def test_on_teams_sharing_is_a_sentence_in_the_place_itself() -> None:
    """What is answered in the personal chat is answered there because the place may not see it."""
    rule = config.Rule(
        name="open",
        who=config.Who(places=(f"teams:{TENANT}:{CHANNEL.id.partition(';')[0]}",)),
        may=(config.Right.PUBLIC,),
    )
    async with teams.stage(policy=(rule,)) as scene:
        await scene.says(teams.CLERK, f"share here {KPI}", CHANNEL)
        shown = scene.teams.last(CHANNEL.id)
        assert "On-time delivery" in shown.text
        assert "Shared by clerk" in shown.text
        scene.teams.listed.append(teams.GUEST)
        posted = len(scene.teams.seen(CHANNEL.id))
        await scene.says(teams.CLERK, f"share here {KPI}", CHANNEL)
        assert not any("On-time delivery" in each.text for each in scene.teams.seen(CHANNEL.id)[posted:])
        refusal = scene.teams.last(teams.CLERK.personal)
        assert "Guests or people of other organisations" in refusal.text
        assert LABEL not in refusal.buttons
