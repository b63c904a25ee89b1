"""A right that was taken away a moment ago stops nothing: signed clicks on both platforms, and the sandbox's log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot import config
from tests.fake_slack import TEAM, Fault
from tests.fake_teams import CHANNEL, Account
from tests.server.towns import CLERK, OPERATOR, SECOND, Town, town
from tests.teams import stage as teams

STOP = "Stop this job"


def leave(here: Town) -> None:
    here.slack.users[OPERATOR]["deleted"] = True


def become_a_guest(here: Town) -> None:
    here.slack.users[OPERATOR]["is_ultra_restricted"] = True


def leave_the_group(here: Town) -> None:
    here.slack.groups[0]["users"] = [SECOND]


def become_unreadable(here: Town) -> None:
    here.slack.fail("users.info", *(Fault(status=503) for _ in range(8)))


def hang(here: Town) -> None:
    here.slack.fail("users.info", *(Fault(hang=2.0) for _ in range(8)))


@pytest.mark.parametrize("change", [leave, become_a_guest, leave_the_group, become_unreadable, hang])
async def test_on_slack_the_click_of_one_who_may_no_longer_stops_nothing(
    change: Callable[[Town], None],
) -> None:
    group = config.Who(groups=(f"slack:{TEAM}:S1",))
    rule = config.Rule(name="on call", who=group, may=(config.Right.CANCEL,))
    async with town(rules=[rule]) as here:
        here.slack.groups = [{"id": "S1", "team_id": TEAM, "users": [OPERATOR, SECOND]}]
        await here.slack.tell(OPERATOR, "stop main job")
        await here.quiet()
        (question,) = here.slack.visible(OPERATOR, "D" + OPERATOR)
        assert f"[{STOP}]" in question.shown
        change(here)
        await here.presses(OPERATOR, question, STOP)
        answer = here.slack.visible(OPERATOR, "D" + OPERATOR)[-1].shown
        assert "Refused" in answer, answer
        assert "Nothing was changed." in answer
        assert "stays open" in answer
        assert here.cancels() == []
        assert here.slack.called("users.info"), "asked anew, though the profile was known"
        here.slack.faults.clear()
        here.slack.groups[0]["users"] = [OPERATOR]
        here.slack.person(OPERATOR, "the operator")
        await here.presses(OPERATOR, question, STOP)
        await here.stopped(question)
        assert len(here.cancels()) == 1


async def test_on_slack_the_question_too_is_for_those_who_may_now() -> None:
    async with town() as here:
        await here.says(OPERATOR, "C1", "jobs")
        become_a_guest(here)
        seen = await here.says(OPERATOR, "C1", "stop main job")
        assert "Guests of this workspace" in seen
        assert f"[{STOP}]" not in seen
        assert here.slack.screen(CLERK, "C1") == ""


@pytest.mark.parametrize(
    "now",
    [
        replace(teams.OPERATOR, role="guest"),
        replace(teams.OPERATOR, tenant="7e4a9c2b-0000-4000-8000-00000000beef"),
        None,
    ],
    ids=["a guest", "of another tenant", "not in the roster"],
)
async def test_on_teams_the_click_of_one_who_may_no_longer_stops_nothing(now: Account | None) -> None:
    async with teams.stage() as scene:
        question = await scene.says(teams.OPERATOR, "stop main job")
        assert STOP in question.buttons
        if now is None:
            del scene.teams.accounts[teams.OPERATOR.user]
        else:
            scene.teams.accounts[teams.OPERATOR.user] = now
        answer = await scene.presses(teams.OPERATOR, question, STOP)
        assert "may" in str(answer["value"]) or "members" in str(answer["value"]) or "Guests" in str(answer)
        refused = scene.teams.last(teams.OPERATOR.personal)
        assert "Nothing was changed." in refused.text
        assert "stays open" in refused.text
        assert scene.cancels() == []
        scene.teams.accounts[teams.OPERATOR.user] = teams.OPERATOR
        await scene.presses(teams.OPERATOR, question, STOP)
        assert len(scene.cancels()) == 1


async def test_on_teams_a_roster_that_does_not_answer_means_no() -> None:
    async with teams.stage() as scene:
        question = await scene.says(teams.OPERATOR, "stop main job")
        scene.teams.faults += [(503, {})]
        await scene.presses(teams.OPERATOR, question, STOP)
        assert "could not look up who you are" in scene.teams.last(teams.OPERATOR.personal).text
        assert scene.cancels() == []


async def test_on_teams_the_question_too_is_for_those_who_may_now() -> None:
    async with teams.stage() as scene:
        await scene.says(teams.OPERATOR, "jobs", CHANNEL)
        scene.teams.accounts[teams.OPERATOR.user] = replace(teams.OPERATOR, role="guest")
        await scene.says(teams.OPERATOR, "stop main job", CHANNEL)
        assert STOP not in scene.teams.last(teams.OPERATOR.personal).buttons
        assert "Guests" in scene.teams.last(teams.OPERATOR.personal).text
