"""Setting what is watched, guarded and told, from one end to the other on Slack and Teams."""

from __future__ import annotations

from bot import config
from bot.store import watches
from tests.fake_slack import Fault
from tests.fake_teams import CHANNEL
from tests.server.towns import CLERK, OPERATOR, SECOND, Town, policy, town
from tests.teams.stage import CLERK as TEAMS_CLERK
from tests.teams.stage import OPERATOR as TEAMS_OPERATOR
from tests.teams.stage import stage

GUARD = "guard main job at 23:45 every weekday"


def posts(place: Town, channel: str) -> list[str]:
    return [each.shown for each in place.slack.messages if each.channel == channel and not each.only_for]


async def kept(place: Town) -> list[watches.Watch]:
    return list(await watches.living(place.copies[0].built.store))


async def test_a_guard_stands_in_the_channel_before_it_is_set_and_is_listed_silenced_and_ended_there() -> (
    None
):
    async with town() as here:
        await here.says(OPERATOR, "C1", "job main job in SAP ECC")  # names are at hand now
        said = await here.says(OPERATOR, "C1", GUARD)
        (card,) = [each for each in posts(here, "C1") if "It asks; it never stops anything by itself" in each]
        assert "main job" in card
        assert "then every weekday; next: " in card
        assert "Europe/Berlin" in card
        assert "$CELONIS_API_TOKEN" in card
        assert "/cancel" in card
        assert "is set" in said
        (guard,) = await kept(here)
        assert guard.messages
        assert guard.zone == "Europe/Berlin"
        assert here.cancels() == []
        assert guard.id in await here.says(SECOND, "C1", "watches")
        assert f"That is set there already: {guard.id}" in await here.says(SECOND, "C1", GUARD)
        assert "While it is silent it asks nothing" in await here.says(
            OPERATOR, "C1", f"snooze {guard.id} for 2 h"
        )
        refused = await here.says(SECOND, "C1", f"unwatch {guard.id}")
        assert "only they or an admin of the bot may" in refused
        assert "Ended" in await here.says(OPERATOR, "C1", "stop watching main job")
        assert await kept(here) == []
        assert here.cancels() == []


async def test_where_the_data_may_not_be_seen_it_speaks_in_the_direct_message_and_the_place_gets_a_line_without_data() -> (
    None
):
    async with town(rules=policy()[:1]) as here:
        await here.says(OPERATOR, "C1", "job main job in SAP ECC")  # names are at hand now
        said = await here.says(OPERATOR, "C1", GUARD)
        assert "direct message" in said
        assert not any("main job" in each for each in posts(here, "C1"))
        assert any("speaks in their direct message" in each for each in posts(here, "C1"))
        (guard,) = await kept(here)
        assert guard.place.id == here.slack.direct(OPERATOR).id


async def test_what_cannot_be_posted_is_not_set() -> None:
    async with town() as here:
        here.slack.fail("chat.postMessage", *[Fault(error="not_in_channel")] * 3)
        await here.says(OPERATOR, "C1", "job main job in SAP ECC")  # names are at hand now
        said = await here.says(OPERATOR, "C1", GUARD)
        assert "it is not set" in said
        assert await kept(here) == []


async def test_who_may_not_stop_a_job_sets_no_guard_but_may_watch_it() -> None:
    async with town() as here:
        assert "is set" not in await here.says(CLERK, "C1", GUARD)
        assert await kept(here) == []
        assert "is set" in await here.says(CLERK, "C1", "tell me when main job fails")
        (watch,) = await kept(here)
        assert watch.owner.id == CLERK


async def test_more_than_the_limit_of_one_person_are_refused() -> None:
    def two(settings: config.Settings) -> config.Settings:
        return settings.model_copy(update={"watching": config.Watching(per_person=1)})

    async with town(changed=two) as here:
        await here.says(OPERATOR, "C1", "watch main job")
        assert "at most" in await here.says(OPERATOR, "C1", "watch final job")
        assert len(await kept(here)) == 1


async def test_in_teams_a_guard_is_set_in_the_personal_chat_and_edited_there() -> None:
    async with stage() as scene:
        await scene.says(TEAMS_OPERATOR, GUARD)
        seen = [each.text for each in scene.teams.seen(TEAMS_OPERATOR.personal)]
        assert any("It asks; it never stops anything by itself" in each for each in seen)
        store = scene.replica.built.store
        (guard,) = await watches.living(store)
        await scene.says(TEAMS_OPERATOR, f"edit {guard.id} guard main job at 22:00")
        (edited,) = await watches.living(store)
        assert edited.id == guard.id
        assert "at 22:00" in edited.sentence
        await scene.says(TEAMS_OPERATOR, f"unwatch {guard.id}")
        assert await watches.living(store) == ()


async def test_in_a_channel_of_teams_only_a_line_without_data_stands() -> None:
    async with stage(policy=()) as scene:
        await scene.says(TEAMS_CLERK, "watch main job", CHANNEL)
        assert all("main job" not in each.text for each in scene.teams.seen(CHANNEL.id))
        assert any("Watch" in each.text for each in scene.teams.seen(TEAMS_CLERK.personal))
