"""Files on Slack, as signed HTTP to the running server: into the asker's direct message, and nowhere else."""

from __future__ import annotations

from bot import config
from tests.fake_slack import TEAM, Fault
from tests.server.towns import CLERK, OPERATOR, Town, town

EXPORT = 'export data Customers of "Order to Cash"'
RULE = config.Rule(
    name="export",
    who=config.Who(slack=(f"{TEAM}:{CLERK}",)),
    may=(config.Right.READ, config.Right.EXPORT),
)


def delivered(here: Town) -> list[tuple[str, str]]:
    return [(each.name, each.channel) for each in here.slack.files.values() if each.channel]


async def test_a_file_asked_for_in_a_channel_goes_to_the_direct_message() -> None:
    async with town(rules=[RULE]) as here:
        seen = await here.says(CLERK, "C1", EXPORT)
        ((name, channel),) = delivered(here)
        assert name.startswith("customers-2026-")
        assert channel == f"D{CLERK}"
        (file,) = here.slack.files.values()
        assert b"Alpine Sports AG" in file.content
        assert "12 rows of Customers exported" in seen
        assert "It is in our direct message." in seen
        assert here.slack.screen(OPERATOR, "C1") == ""


async def test_a_mention_gets_it_directly_too_and_nobody_else_sees_that_there_is_one() -> None:
    async with town(rules=[RULE]) as here:
        await here.slack.mention(CLERK, "C1", EXPORT)
        await here.quiet()
        assert [channel for _, channel in delivered(here)] == [f"D{CLERK}"]
        assert "Customers" not in here.slack.screen(OPERATOR, "C1")


async def test_whoever_may_not_export_gets_a_sentence() -> None:
    async with town(rules=[RULE]) as here:
        assert "may not export" in await here.says(OPERATOR, "C1", EXPORT)
        assert here.slack.files == {}


async def test_where_slack_takes_no_file_the_answer_says_so() -> None:
    async with town(rules=[RULE]) as here:
        here.slack.fail("files.getUploadURLExternal", Fault(error="missing_scope"))
        assert "lacks the scope" in await here.says(CLERK, "C1", EXPORT)
        here.slack.upload_url = "https://example.com/upload"
        assert "not Slack's" in await here.says(CLERK, "C1", EXPORT)
        assert delivered(here) == []


async def test_how_far_it_is_leaves_no_trail_of_messages() -> None:
    async with town(rules=[RULE]) as here:
        await here.says(CLERK, "C1", 'export data "Sales orders" of "Order to Cash"')
        assert "1,000 rows of Sales orders exported" in here.slack.screen(CLERK, "C1")
        texts = [each.shown for each in here.slack.visible(CLERK, "C1")]
        assert sum(each.startswith("Asked for:") for each in texts) == len(texts) - 1 <= 1
        await here.slack.tell(CLERK, 'export data "Sales orders" of "Order to Cash"')
        await here.quiet()
        (message,) = here.slack.visible(CLERK, "D" + CLERK)
        assert "1,000 rows of Sales orders exported" in message.shown
        assert all("Exporting Sales orders" in each for each in message.history[:-1])


async def test_others_are_not_told_what_somebody_exports_while_it_takes_its_time() -> None:
    async with town(rules=[RULE]) as here:
        await here.slack.mention(CLERK, "C1", 'export data "Sales orders" of "Order to Cash"')
        await here.quiet()
        open_to_all = [each for each in here.slack.messages if each.channel == "C1" and not each.only_for]
        assert open_to_all
        assert not any("Sales orders" in shown for each in open_to_all for shown in each.history)
        assert "1,000 rows of Sales orders exported" in here.slack.screen(CLERK, "C1")
