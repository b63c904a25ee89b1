"""Questions in places that may not see data, as signed HTTP on both platforms, with everybody's screen as the judge."""

from __future__ import annotations

from bot import config
from tests.fake_slack import TEAM, until
from tests.fake_teams import CHANNEL
from tests.server.towns import CLERK, GUEST, OPERATOR, SECOND, policy, town
from tests.teams import stage as teams

STOP, SHOW = "Stop this job", "Show me the question"
DATA = ("main job", "SAP ECC", "running", "STOPPED")


def without_data(text: str) -> bool:
    return not any(word in text for word in DATA)


async def test_on_slack_a_question_is_asked_shown_and_answered_without_the_channel_seeing_data() -> None:
    async with town(rules=policy()[:1]) as here:
        await here.slack.mention(SECOND, "C1", "stop main job")
        await here.quiet()
        (bare,) = here.slack.visible(CLERK, "C1")
        assert "the second operator asks to stop a data job" in bare.shown
        (own,) = here.slack.visible(SECOND, "D" + SECOND)
        assert "Stop main job?" in own.shown

        await here.presses(CLERK, bare, SHOW)
        assert "D" + CLERK not in here.slack.channels or not here.slack.visible(CLERK, "D" + CLERK)
        await here.presses(OPERATOR, bare, SHOW)
        (mine,) = here.slack.visible(OPERATOR, "D" + OPERATOR)
        await here.presses(OPERATOR, mine, STOP)
        await here.stopped(mine)
        await until(lambda: "Carried out" in bare.shown, 10)
        assert "by the operator" in bare.shown
        assert "STOPPED" in own.shown
        assert any(f"@{SECOND}" in each.shown for each in here.slack.visible(SECOND, "D" + SECOND))
        assert without_data(here.slack.screen(GUEST, "C1"))
        assert all(without_data(state) for state in bare.history)
        assert len(here.cancels()) == 1


async def test_on_slack_what_is_public_is_not_for_channels_with_guests_or_other_organisations() -> None:
    open_rule = config.Rule(
        name="open", who=config.Who(places=(f"slack:{TEAM}:*",)), may=(config.Right.PUBLIC,)
    )
    async with town(rules=[*policy()[:1], open_rule]) as here:
        here.slack.channel("C5", CLERK, OPERATOR, "UBOT", name="members")
        here.slack.channel("C6", CLERK, OPERATOR, "UBOT", name="shared").shared = True
        for channel, seen in (("C5", True), ("C6", False), ("C1", False)):
            await here.slack.mention(OPERATOR, channel, "jobs")
            await here.quiet()
            assert ("main job" in here.slack.screen(CLERK, channel)) is seen, channel
            assert "main job" in here.slack.screen(OPERATOR, channel)


async def test_on_teams_a_question_is_asked_shown_and_answered_without_the_channel_seeing_data() -> None:
    async with teams.stage(policy=teams.rules()[:1]) as scene:
        await scene.says(teams.SECOND, "stop main job", CHANNEL)
        bare = scene.teams.seen(CHANNEL.id)[0]
        assert "second asks to stop a data job" in bare.text
        own = scene.teams.last(teams.SECOND.personal)
        assert STOP in own.buttons

        await scene.presses(teams.CLERK, bare, SHOW, CHANNEL)
        assert STOP not in scene.teams.last(teams.CLERK.personal).buttons
        await scene.presses(teams.OPERATOR, bare, SHOW, CHANNEL)
        mine = scene.teams.last(teams.OPERATOR.personal)
        await scene.presses(teams.OPERATOR, mine, STOP)
        assert "STOPPED" in mine.text
        assert "STOPPED" in own.text
        assert "Carried out" in bare.text
        assert "by operator" in bare.text
        assert without_data(" ".join(each.text for each in scene.teams.seen(CHANNEL.id)))
        assert len(scene.cancels()) == 1


async def test_on_teams_a_roster_with_a_guest_ends_what_is_public() -> None:
    async with teams.stage() as scene:
        await scene.says(teams.CLERK, "jobs in SAP ECC", CHANNEL)
        assert "main job" in scene.teams.last(CHANNEL.id).text
    async with teams.stage() as scene:
        scene.teams.listed.append(teams.GUEST)
        await scene.says(teams.CLERK, "jobs in SAP ECC", CHANNEL)
        assert without_data(scene.teams.last(CHANNEL.id).text)
        assert "main job" in scene.teams.last(teams.CLERK.personal).text
