"""What people in Teams see, from one end to the other; the sandbox's log says what Celonis was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot import config
from bot.model.cards import Answer
from bot.model.cards import Card as Shown
from tests.fake_teams import CHANNEL, GROUP, PERSONAL, TENANT, Account, Scope, copy
from tests.teams.stage import CLERK, GUEST, LONER, OPERATOR, OUTSIDER, SECOND, Stage, stage

STOP = "Stop this job"
LEAVE = "Leave it running"
MESSAGE = "application/vnd.microsoft.activity.message"
CARD = "application/vnd.microsoft.card.adaptive"


def in_the_open(what: config.On) -> config.Rule:
    """A rule that lets everybody in the channel see this."""
    place, _, _ = CHANNEL.id.partition(";")
    who = config.Who(places=(f"teams:{TENANT}:{place}",))
    return config.Rule(name="open", who=who, may=(config.Right.READ, config.Right.PUBLIC), on=what)


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    async with stage() as opened:
        yield opened


# --- messages --------------------------------------------------------------------------------------------------


async def test_a_personal_message_is_answered_with_a_card(scene: Stage) -> None:
    shown = await scene.says(CLERK, "jobs")
    assert "main job" in shown.text
    assert shown.body["summary"].startswith("SANDBOX"), "the notification's text"
    assert len(scene.teams.seen(CLERK.personal)) == 1
    assert scene.teams.sent[-1].headers["Authorization"] == "Bearer outbound-token"


@pytest.mark.parametrize("scope", [GROUP, CHANNEL])
async def test_what_is_for_one_person_goes_to_the_personal_chat_and_the_place_gets_one_line_without_data(
    scene: Stage, scope: Scope
) -> None:
    line = await scene.says(CLERK, "pools", scope)
    assert line.text == "clerk: I have answered in our personal chat."
    assert [each.text for each in scene.teams.seen(scope.id)] == [line.text]
    assert "SAP ECC" in scene.teams.last(CLERK.personal).text


async def test_who_has_not_added_the_bot_is_told_how_and_no_data_is_shown(scene: Stage) -> None:
    line = await scene.says(LONER, "pools", CHANNEL)
    assert "not among your apps" in line.text
    assert "choose Add" in line.text
    assert "SAP ECC" not in scene.teams.everything()


async def test_a_place_that_may_see_it_sees_it() -> None:
    async with stage(policy=(in_the_open(config.On()),)) as scene:
        shown = await scene.says(CLERK, "jobs", CHANNEL)
        assert "main job" in shown.text
        assert scene.teams.seen(CLERK.personal) == []


async def test_a_message_in_a_group_that_does_not_mention_the_bot_is_left_alone(scene: Stage) -> None:
    await scene.post(scene.teams.said(CLERK, "jobs", GROUP) | {"entities": [], "text": "jobs"})
    await scene.settle()
    assert scene.teams.sent == []


@pytest.mark.parametrize("who", [GUEST, OUTSIDER])
async def test_guests_and_people_of_other_tenants_are_refused(scene: Stage, who: Account) -> None:
    shown = await scene.says(who, "jobs")
    assert "main job" not in shown.text
    assert "Refused" in shown.text
    assert scene.asked() == 0


async def test_a_name_that_looks_like_somebody_elses_gives_no_rights(scene: Stage) -> None:
    body = scene.teams.said(CLERK, "stop main job")
    body["from"]["name"] = OPERATOR.name
    await scene.post(body)
    await scene.settle()
    shown = scene.teams.last(CLERK.personal)
    assert "Refused" in shown.text
    assert STOP not in shown.buttons


async def test_adding_the_bot_greets_without_asking_celonis_and_its_button_works(scene: Stage) -> None:
    body = scene.teams.envelope(CLERK) | {"type": "installationUpdate", "action": "add"}
    assert (await scene.post(body))[0] == 202
    await scene.settle()
    greeting = scene.teams.last(CLERK.personal)
    assert scene.asked() == 0
    answer = await scene.presses(CLERK, greeting, "Show help")
    assert answer["type"] == CARD
    assert "What you can say" in scene.teams.last(CLERK.personal).text


async def test_adding_it_to_a_team_posts_nothing(scene: Stage) -> None:
    body = scene.teams.envelope(CLERK, CHANNEL) | {"type": "installationUpdate", "action": "add"}
    await scene.post(body)
    await scene.settle()
    assert scene.teams.messages == {}


# --- threads and zones -----------------------------------------------------------------------------------------

ROWS = "data Sales orders of Order to Cash"


def post(number: int) -> Scope:
    """A post of the channel, and the thread below it."""
    return Scope("channel", f"{CHANNEL.id.partition(';')[0]};messageid=17000000000{number:02d}")


async def test_each_thread_goes_on_with_its_own_question_for_whoever_speaks_there() -> None:
    async with stage(policy=(in_the_open(config.On()),)) as scene:
        await scene.says(CLERK, ROWS, post(1))
        await scene.says(CLERK, "models", post(2))
        assert "page 2" in (await scene.says(CLERK, "next", post(1))).text
        assert "page 3" in (await scene.says(OPERATOR, "next", post(1))).text
        assert "Order to Cash" in (await scene.says(OPERATOR, "refresh", post(2))).text
        assert "I remember no" in (await scene.says(CLERK, "next", post(3))).text or (
            "I remember no" in scene.teams.last(CLERK.personal).text
        )


async def test_a_new_post_goes_on_with_what_its_person_said_in_the_channel() -> None:
    async with stage(policy=(in_the_open(config.On()),)) as scene:
        for number, text in ((1, ROWS), (2, "next")):
            body = scene.teams.said(CLERK, text, post(number)) | {"id": f"17000000000{number:02d}"}
            assert (await scene.post(body))[0] == 202
            await scene.settle()
        assert "page 2" in scene.teams.last(post(2).id).text


async def test_a_private_answer_is_gone_on_with_in_the_personal_chat_where_it_stands(scene: Stage) -> None:
    await scene.says(CLERK, ROWS, CHANNEL)
    assert "page 2" in (await scene.says(CLERK, "next")).text


async def test_a_private_answer_is_in_the_zone_of_the_persons_client(scene: Stage) -> None:
    async def status(**changes: object) -> str:
        body = scene.teams.said(CLERK, "status") | changes
        assert (await scene.post(body))[0] == 202
        await scene.settle()
        return scene.teams.last(CLERK.personal).text

    assert "Asia/Tokyo (your own)" in await status(localTimezone="Asia/Tokyo")
    assert "Asia/Tokyo (your own)" in await status(localTimezone=""), "the last that the client told"
    await scene.says(CLERK, "use time zone America/Lima")
    assert "America/Lima (this place's)" in await status(localTimezone="Asia/Tokyo")


async def test_what_others_see_is_in_no_persons_zone() -> None:
    async with stage(policy=(in_the_open(config.On()),)) as scene:
        body = scene.teams.said(CLERK, "status", CHANNEL) | {"localTimezone": "Asia/Tokyo"}
        await scene.post(body)
        await scene.settle()
        assert "Europe/Berlin (the bot's own)" in scene.teams.last(CHANNEL.id).text


# --- clicks ----------------------------------------------------------------------------------------------------


async def test_a_click_answers_with_a_card_and_changes_the_message_for_everybody(scene: Stage) -> None:
    shown = await scene.says(CLERK, "help")
    answer = await scene.presses(CLERK, shown, "What runs now")
    assert (answer["statusCode"], answer["type"]) == (200, CARD)
    assert answer["value"]["type"] == "AdaptiveCard"
    (only,) = scene.teams.seen(CLERK.personal)
    assert "main job" in only.text
    assert only.card == answer["value"]


async def test_an_old_client_that_submits_gets_the_same(scene: Stage) -> None:
    shown = await scene.says(CLERK, "help")
    status, answer = await scene.post(scene.teams.submitted(CLERK, shown, "What runs now"))
    assert (status, answer) == (202, {})
    await scene.settle()
    (only,) = scene.teams.seen(CLERK.personal)
    assert "main job" in only.text


async def test_a_client_that_presses_by_itself_causes_nothing(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", GROUP)
    before = scene.asked()
    for label in (STOP, LEAVE):
        answer = await scene.presses(OPERATOR, question, label, GROUP, trigger="automatic")
        assert answer["type"] == MESSAGE
    assert scene.asked() == before
    assert question.updates == 0
    assert STOP in question.buttons, "the question is still open"


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        {},
        {"run": ""},
        {"run": 7},
        {"run": "jobs", "confirm": "x"},
        {"confirm": "../x"},
        {"msteams": {}},
    ],
)
async def test_a_button_that_is_none_of_ours_is_told_so_and_nothing_more(scene: Stage, data: object) -> None:
    body = scene.teams.envelope(OPERATOR) | {
        "type": "invoke",
        "name": "adaptiveCard/action",
        "replyToId": "m1",
        "value": {"action": {"type": "Action.Execute", "data": data}, "trigger": "manual"},
    }
    status, answer = await scene.post(body)
    assert (status, answer["type"]) == (200, MESSAGE)
    assert "Ask again" in answer["value"]
    submit = scene.teams.envelope(OPERATOR) | {
        "type": "message",
        "replyToId": "m1",
        "value": data or {"x": 1},
    }
    assert (await scene.post(submit))[0] == 202
    await scene.settle()
    assert scene.asked() == 0


async def test_a_made_up_ticket_does_nothing(scene: Stage) -> None:
    body = scene.teams.envelope(OPERATOR) | {
        "type": "invoke",
        "name": "adaptiveCard/action",
        "value": {"action": {"data": {"confirm": "ticket0000000000000001"}}, "trigger": "manual"},
    }
    _, answer = await scene.post(body)
    await scene.settle()
    assert "nothing was done" in scene.teams.everything() + str(answer)
    assert scene.cancels() == []


async def test_a_click_whose_message_is_gone_is_answered_with_a_new_one(scene: Stage) -> None:
    shown = await scene.says(CLERK, "help")
    scene.teams.messages[CLERK.personal].clear()
    await scene.presses(CLERK, shown, "What runs now")
    assert "main job" in scene.teams.last(CLERK.personal).text


async def test_a_private_answer_to_a_click_in_a_channel_leaves_the_message_alone() -> None:
    async with stage(policy=(in_the_open(config.On(pool=("SAP ECC",))),)) as scene:
        shown = await scene.says(OPERATOR, "jobs in SAP ECC", CHANNEL)
        assert "main job" in shown.text
        click = scene.teams.pressed(CLERK, shown, next(iter(shown.buttons)), CHANNEL)
        click["value"]["action"]["data"] = {"run": "pools"}
        _, answer = await scene.post(click)
        await scene.settle()
        assert answer["type"] == MESSAGE
        assert answer["value"] == "clerk: I have answered in our personal chat."
        assert shown.updates == 0
        assert "Salesforce" in scene.teams.last(CLERK.personal).text
        assert len(scene.teams.seen(CHANNEL.id)) == 1


# --- stopping a job --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [PERSONAL, GROUP, CHANNEL])
async def test_stopping_a_job_asks_first_and_everybodys_card_ends_with_the_outcome(
    scene: Stage, scope: Scope
) -> None:
    question = await scene.says(OPERATOR, "stop main job pls", scope)
    assert "Stop main job?" in question.text
    assert scene.cancels() == []
    answer = await scene.presses(OPERATOR, question, STOP, scope)
    assert answer["type"] == CARD
    assert STOP not in str(answer["value"]), "the clicker's card loses its buttons at once"
    assert len(scene.cancels()) == 1
    assert "STOPPED" in question.text, "the very message that asked"
    assert STOP not in question.buttons
    nudge = scene.teams.last(scope.id or OPERATOR.personal)
    assert nudge.id != question.id
    assert nudge.mentioned == [OPERATOR.object_id]
    assert "STOPPED" in nudge.text
    assert len(scene.teams.seen(scope.id or OPERATOR.personal)) == 2


async def test_the_wrong_person_is_told_so_alone_and_the_question_stays(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    before = copy(question.body)
    answer = await scene.presses(CLERK, question, STOP, CHANNEL)
    assert answer["type"] == MESSAGE
    assert "may not stop" in answer["value"]
    assert question.body == before
    assert "may not stop" in scene.teams.last(CLERK.personal).text
    assert len(scene.teams.seen(CHANNEL.id)) == 1, "the place hears nothing of it"
    assert scene.cancels() == []
    await scene.presses(SECOND, question, STOP, CHANNEL)
    assert "STOPPED" in question.text
    assert len(scene.cancels()) == 1


async def test_saying_no_ends_the_question_for_everybody(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    answer = await scene.presses(OPERATOR, question, LEAVE, CHANNEL)
    assert answer["type"] == CARD
    assert "Nothing was done" in question.text
    assert STOP not in question.buttons
    assert scene.cancels() == []


async def test_double_clicks_of_two_people_are_one_call(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    clicks = [
        scene.teams.pressed(who, question, STOP, CHANNEL) for who in (OPERATOR, SECOND, OPERATOR, SECOND)
    ]
    answers = await asyncio.gather(*(scene.post(each) for each in clicks))
    await scene.settle()
    assert {status for status, _ in answers} == {200}
    assert len(scene.cancels()) == 1
    assert "STOPPED" in question.text, "late clicks do not write over the outcome"


async def test_a_click_that_is_delivered_twice_is_one_click(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job")
    click = scene.teams.pressed(OPERATOR, question, STOP)
    await asyncio.gather(*(scene.post(copy(click)) for _ in range(3)))
    await scene.settle()
    assert len(scene.cancels()) == 1
    assert len(scene.teams.seen(OPERATOR.personal)) == 2, "the question and one mention"


async def test_a_late_click_is_told_what_became_of_it_beside_the_outcome(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    stale = scene.teams.pressed(SECOND, question, STOP, CHANNEL)
    await scene.presses(OPERATOR, question, STOP, CHANNEL)
    _, answer = await scene.post(stale)
    await scene.settle()
    assert answer["type"] == MESSAGE
    assert "STOPPED" in question.text
    assert "Already done once" in scene.teams.last(SECOND.personal).text
    assert len(scene.cancels()) == 1


async def test_a_question_that_ran_out_says_so(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    scene.clock.pass_by(301)
    await scene.presses(OPERATOR, question, STOP, CHANNEL)
    assert "expired" in question.text.casefold()
    assert scene.cancels() == []


async def test_stopping_over_an_old_client_works_too(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", GROUP)
    await scene.post(scene.teams.submitted(OPERATOR, question, STOP, GROUP))
    await scene.settle()
    assert "STOPPED" in question.text
    assert len(scene.cancels()) == 1


async def test_a_platform_that_is_busy_still_gets_the_outcome(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", GROUP)
    scene.teams.faulty = {"PUT", "POST"}
    scene.teams.faults = [(429, {"Retry-After": "1"}), (502, {}), (412, {})]
    await scene.presses(OPERATOR, question, STOP, GROUP)
    assert "STOPPED" in question.text
    assert len(scene.cancels()) == 1, "Teams was asked again, Celonis was not"


async def test_a_question_is_known_by_its_message(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    ticket = question.buttons[STOP]["data"]["confirm"]
    kept = await scene.replica.built.tickets.load(ticket)
    assert kept is not None
    (message,) = kept.messages
    assert question.id in message.handle
    await scene.replica.chat.update(message, Answer(Shown("Changed later")))
    assert "Changed later" in question.text


async def test_keys_of_buttons_hold_a_sentence_or_a_random_id_and_nothing_else(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job", CHANNEL)
    for label in (STOP, LEAVE):
        (value,) = question.buttons[label]["data"].values()
        assert "main" not in value
        assert len(value) >= 16


# --- forms ---


async def test_a_form_is_filled_in_by_choosing_from_lists_and_each_choice_is_answered_with_the_next_card(
    scene: Stage,
) -> None:
    message = await scene.says(CLERK, 'form of "Order to Cash"')
    for label in ("On-time delivery", "Country", "Only where it is …", "Germany", "Show the value"):
        await scene.presses(CLERK, message, label)
        message = scene.teams.last(CLERK.personal)
    assert "Country = Germany" in message.text
    assert len(scene.teams.seen(CLERK.personal)) == 1, "each card takes the place of the one before"


async def test_what_is_typed_into_a_form_comes_with_its_button(scene: Stage) -> None:
    message = await scene.says(
        CLERK, 'form data "Sales orders" of "Order to Cash" values "Value in EUR" with >='
    )
    pressed = scene.teams.pressed(CLERK, message, "Use this value", inputs={"typed": "much"})
    await scene.post(pressed)
    await scene.settle()
    message = scene.teams.last(CLERK.personal)
    assert "“much” does not fit Value in EUR" in message.text
    await scene.post(scene.teams.pressed(CLERK, message, "Use this value", inputs={"typed": "10k"}))
    await scene.settle()
    assert "Only:  Value in EUR >= 10k" in scene.teams.last(CLERK.personal).text
