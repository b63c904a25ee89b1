"""Whole stories on Slack, as signed HTTP to the running server, with the sandbox's log as the judge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot import config
from bot.sandbox import Fault
from tests.fake_slack import TEAM, encoded, signed, until
from tests.server.towns import CLERK, GUEST, OPERATOR, QUESTION, SECOND, Town, town
from tests.store.databases import postgresql


@pytest.fixture
async def here() -> AsyncIterator[Town]:
    async with town() as made:
        yield made


# --- reads ---


async def test_a_command_is_answered_privately_with_the_sandboxs_numbers(here: Town) -> None:
    seen = await here.says(CLERK, "C1", "models")
    assert seen.startswith("(only you) ")
    assert "SANDBOX" in seen
    assert "Order to Cash" in seen
    assert here.slack.screen(OPERATOR, "C1") == ""


async def test_a_direct_message_is_answered_directly(here: Town) -> None:
    await here.slack.tell(CLERK, "what are the kpis of Order to Cash?")
    await here.quiet()
    assert "On-time" in here.slack.screen(CLERK, "D" + CLERK)


async def test_a_mention_is_answered_for_the_asker_where_the_place_may_not_see_it(here: Town) -> None:
    await here.slack.mention(CLERK, "C1", "pools")
    await here.quiet()
    assert "SAP ECC" in here.slack.screen(CLERK, "C1")
    assert here.slack.screen(OPERATOR, "C1") == ""


async def test_a_place_that_may_see_it_sees_it() -> None:
    public = config.Rule(
        name="public",
        who=config.Who(places=(f"slack:{TEAM}:C1",)),
        may=(config.Right.PUBLIC, config.Right.READ),
        external=True,
    )
    async with town(rules=[public]) as here:
        await here.slack.mention(CLERK, "C1", "jobs")
        await here.quiet()
        assert "main job" in here.slack.screen(OPERATOR, "C1")
        assert here.slack.screen(OPERATOR, "C1").startswith("↳ ")


async def test_help_has_buttons_and_a_click_takes_its_place(here: Town) -> None:
    await here.says(CLERK, "C1", "help")
    (message,) = here.slack.visible(CLERK, "C1")
    label = next(
        element["text"]["text"]
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    )
    before = message.shown
    await here.presses(CLERK, message, label)
    assert len(here.slack.visible(CLERK, "C1")) == 1
    assert here.slack.visible(CLERK, "C1")[0].shown != before


async def test_the_page_after_the_first_takes_its_place(here: Town) -> None:
    await here.says(CLERK, "C1", "data Sales orders of Order to Cash")
    messages = here.slack.visible(CLERK, "C1")
    assert len(messages) == 1, [each.shown for each in messages]
    assert "[Next" in messages[0].shown or "[Rows" in messages[0].shown, messages[0].shown


async def test_a_guest_gets_one_sentence_and_costs_no_call(here: Town) -> None:
    before = here.calls
    seen = await here.says(GUEST, "C1", "models")
    assert "Order to Cash" not in seen
    assert seen.startswith("(only you) SANDBOX · Refused: "), seen
    assert here.calls == before


async def test_an_unbound_workspace_gets_one_sentence_and_costs_no_call() -> None:
    def unbound(settings: config.Settings) -> config.Settings:

        return settings.model_copy(
            update={"bindings": (config.Binding(slack="T9", connections=tuple(settings.connections)),)}
        )

    async with town(changed=unbound) as here:
        before = here.calls
        seen = await here.says(OPERATOR, "C1", QUESTION)
        assert "not connected to a Celonis team" in seen
        assert here.calls == before


# --- threads and zones ---

ROWS = "data Sales orders of Order to Cash"
ONE, TWO = "1700000111.000100", "1700000222.000100"


async def test_each_thread_goes_on_with_its_own_question_and_is_answered_there(here: Town) -> None:
    await here.slack.mention(CLERK, "C1", ROWS, thread_ts=ONE)
    await here.slack.mention(CLERK, "C1", "models", thread_ts=TWO)
    await here.quiet()
    await here.slack.mention(CLERK, "C1", "next", thread_ts=ONE)
    await here.quiet()
    await here.slack.mention(OPERATOR, "C1", "next", thread_ts=ONE)
    await here.slack.mention(OPERATOR, "C1", "refresh", thread_ts=TWO)
    await here.quiet()
    mine = here.slack.visible(CLERK, "C1")
    assert [(each.thread_ts, "page 2" in each.shown) for each in mine] in (
        [(ONE, False), (TWO, False), (ONE, True)],
        [(TWO, False), (ONE, False), (ONE, True)],
    )
    theirs = {each.thread_ts: each.shown for each in here.slack.visible(OPERATOR, "C1")}
    assert "page 3" in theirs[ONE]
    assert "Order to Cash" in theirs[TWO]
    assert all(each.only_for == OPERATOR for each in here.slack.visible(OPERATOR, "C1"))


async def test_a_slow_answer_has_a_sign_of_life_that_does_not_stay_untrue(here: Town) -> None:
    slow = Fault("latency", path="/integration/", seconds=2.0, count=1)
    here.sandbox.faults.add(slow)
    await here.slack.mention(CLERK, "C1", "pools")
    await until(lambda: here.slack.screen(OPERATOR, "C1") == "↳ Working on it …")
    await here.quiet()
    assert here.slack.screen(OPERATOR, "C1") == ""
    (answer,) = here.slack.visible(CLERK, "C1")
    assert "SAP ECC" in answer.shown

    here.sandbox.faults.add(slow)
    assert await here.slack.command(SECOND, "C1", "refresh pools") == 200
    await here.quiet()
    line, answer = here.slack.visible(SECOND, "C1")
    assert line.history == ["Asked for: refresh pools; the answer follows"]
    assert "SAP ECC" in answer.shown


async def test_a_guest_cannot_go_on_with_what_others_asked(here: Town) -> None:
    await here.slack.mention(CLERK, "C1", ROWS, thread_ts=ONE)
    await here.quiet()
    before = here.calls
    await here.slack.mention(GUEST, "C1", "refresh", thread_ts=ONE)
    await here.quiet()
    (told,) = here.slack.visible(GUEST, "C1")
    assert told.thread_ts == ONE
    assert "There is nothing here that you can go on with" in told.shown
    assert "Sales" not in told.shown
    assert here.calls == before


async def test_a_private_card_in_a_thread_is_paged_in_its_place(here: Town) -> None:
    await here.slack.mention(CLERK, "C1", ROWS, thread_ts=ONE)
    await here.quiet()
    (card,) = here.slack.visible(CLERK, "C1")
    label = next(
        each for each in card.shown.replace("]", "[").split("[") if each.startswith(("Next", "Rows 11"))
    )
    await here.presses(CLERK, card, label)
    (card,) = here.slack.visible(CLERK, "C1")
    assert card.thread_ts == ONE
    assert "page 2" in card.shown
    await here.slack.mention(CLERK, "C1", "next", thread_ts=ONE)
    await here.quiet()
    assert "page 3" in here.slack.visible(CLERK, "C1")[-1].shown, "a click goes on with the thread too"


async def test_a_private_answer_is_in_the_persons_own_zone_and_a_question_in_the_places(here: Town) -> None:
    here.slack.person(OPERATOR, "the operator", tz="Asia/Tokyo")
    seen = await here.says(OPERATOR, "C1", "status")
    assert "Asia/Tokyo (your own)" in seen
    question = await here.asks()
    assert " CET" in question.shown
    assert "JST" not in question.shown


async def test_a_zone_that_nobody_knows_is_none(here: Town) -> None:
    here.slack.person(CLERK, "the clerk", tz="../../etc/passwd")
    assert "Europe/Berlin (the bot's own)" in await here.says(CLERK, "C1", "status")


# --- what is refused costs nothing ---


async def test_nothing_refused_reaches_celonis_and_nothing_is_answered_500(here: Town) -> None:
    before = here.calls
    payload = here.slack.command_payload(OPERATOR, "C1", "jobs")
    body, kind = encoded(payload)
    attempts = [
        (body, kind, signed(body, here.clock, secret="another")),
        (body, kind, signed(body, here.clock, off=-400)),
        (
            body,
            kind,
            {
                "X-Slack-Request-Timestamp": "abc",
                "X-Slack-Signature": "v0=ü",
            },
        ),
        (body, kind, {}),
        (b"{", "application/json", {}),
        (b"payload={", "application/x-www-form-urlencoded", {}),
        (b"{", "application/json", None),
        (b"payload={", "application/x-www-form-urlencoded", None),
        (b"\xff\x00" * 100, "application/json", None),
        (b"x" * 1_048_577, "application/json", None),
    ]
    for content, content_type, headers in attempts:
        status, _ = await here.slack.post(content, content_type, headers=headers)
        assert 400 <= status < 500
    await here.quiet()
    assert here.calls == before
    assert here.slack.messages == []


async def test_a_repeated_delivery_and_a_replay_cost_one_answer(here: Town) -> None:
    payload = here.slack.mention_payload(CLERK, "C1", "<@UBOT> models")
    body, kind = encoded(payload)
    headers = signed(body, here.clock)
    for _ in range(3):
        assert (await here.slack.post(body, kind, headers=headers))[0] == 200
    await here.slack.deliver(payload | {"event_time": 2})
    await here.quiet()
    assert len(here.slack.visible(CLERK, "C1")) == 1


# --- the cancel story ---


async def test_a_job_is_stopped_from_the_question_to_the_reply_that_wakes(here: Town) -> None:
    question = await here.asks()
    assert here.cancels() == []
    assert question.only_for == ""
    assert question.thread_ts
    assert question.shown.splitlines() == [
        "SANDBOX · Stop main job? SAP ECC, running since 22:21 CET (1 h 35 min) · asked by the operator",
        "Data pool: SAP ECC",
        "Status: running",
        "Running since: 22:21 CET",
        "For: 1 h 35 min",
        *question.shown.splitlines()[5:7],
        "[Stop this job] [Leave it running]",
        question.shown.splitlines()[-1],
    ]

    await here.presses(CLERK, question, "Stop this job")
    assert "Stop main job?" in question.shown, "a click by somebody who may not changes nothing"
    assert "(only you)" in here.slack.screen(CLERK, "C1")
    assert "(only you)" not in here.slack.screen(OPERATOR, "C1")
    assert here.cancels() == []

    await here.presses(OPERATOR, question, "Stop this job")
    await here.stopped(question)
    assert len(here.cancels()) == 1
    assert "[Stop this job]" not in question.shown
    states = [each.splitlines()[0].removeprefix("SANDBOX · ") for each in question.history]
    assert states[0].startswith("Stop main job?")
    assert all(each.startswith("Working: ") for each in states[1:-1]), states
    assert states[1:-1], "the buttons give way to a sign of work at once"
    assert states[-1].startswith("STOPPED ")
    replies = [each for each in here.slack.visible(CLERK, "C1") if f"@{OPERATOR}" in each.shown]
    assert len(replies) == 1
    assert replies[0].thread_ts == question.thread_ts
    assert "STOPPED" in replies[0].text


async def test_a_second_click_and_a_late_one_do_nothing(here: Town) -> None:
    question = await here.asks()
    first = here.slack.press_payload(OPERATOR, question, "Stop this job")
    late = here.slack.press_payload(SECOND, question, "Stop this job")
    await here.slack.deliver(first)
    await here.quiet()
    shown = question.shown
    await here.slack.deliver(late)
    await here.quiet()
    assert question.shown == shown
    assert "Already done once, not again" in here.slack.screen(SECOND, "C1")
    assert len(here.cancels()) == 1


async def test_an_expired_question_says_so_in_its_place(here: Town) -> None:
    question = await here.asks()
    here.clock.pass_by(301)
    await here.presses(OPERATOR, question, "Stop this job")
    assert "expired" in question.shown
    assert here.cancels() == []


async def test_leaving_it_running_ends_the_question(here: Town) -> None:
    question = await here.asks()
    await here.presses(OPERATOR, question, "Leave it running")
    assert "Nothing was done" in question.shown
    assert here.cancels() == []


async def test_where_the_bot_was_not_invited_the_job_is_stopped_from_the_direct_message(here: Town) -> None:
    here.slack.channel("C2", OPERATOR, SECOND, name="war-room")
    seen = await here.says(OPERATOR, "C2", QUESTION)
    assert "our direct message" in seen
    assert "main job" not in here.slack.screen(SECOND, "C2")
    bare, question = here.slack.visible(OPERATOR, "D" + OPERATOR)
    await here.presses(OPERATOR, question, "Stop this job")
    await here.stopped(question)
    assert "[Show me the question]" not in bare.shown
    assert len(here.cancels()) == 1


async def test_the_job_is_stopped_though_slack_is_down(here: Town) -> None:
    from tests.fake_slack import Fault

    question = await here.asks()
    for method in ("chat.update", "chat.postMessage"):
        here.slack.fail(method, *(Fault(status=503) for _ in range(4)))
    await here.slack.press(OPERATOR, question, "Stop this job")
    await until(here.cancels, 10)
    await here.quiet()
    assert len(here.cancels()) == 1


async def test_the_whole_story_over_a_socket_that_breaks() -> None:
    async with town(socket_mode=True) as here:
        question = await here.asks()
        await here.slack.drop()
        await here.presses(OPERATOR, question, "Stop this job")
        await here.stopped(question)
        assert len(here.cancels()) == 1


# --- two copies on PostgreSQL ---


@pytest.fixture
async def two() -> AsyncIterator[Town]:
    async with postgresql() as address, town(copies=2, database=address) as made:
        yield made


async def test_clicks_on_both_copies_at_once_stop_the_job_once(two: Town) -> None:
    question = await two.asks()
    clicks = [
        two.slack.deliver(two.slack.press_payload(user, question, "Stop this job"), target=two.target(copy))
        for copy in (0, 1)
        for user in (OPERATOR, SECOND, OPERATOR)
    ]
    assert set(await asyncio.gather(*clicks)) == {200}
    await two.quiet()
    await two.stopped(question)
    assert len(two.cancels()) == 1
    replies = [
        each for each in two.slack.visible(CLERK, "C1") if "STOPPED" in each.text and each is not question
    ]
    assert len(replies) == 1


async def test_the_wrong_person_on_the_other_copy_leaves_the_question_open(two: Town) -> None:
    question = await two.asks()
    await two.presses(CLERK, question, "Stop this job", copy=1)
    assert "Stop main job?" in question.shown
    assert two.cancels() == []
    await two.presses(SECOND, question, "Stop this job", copy=1)
    await two.stopped(question)
    assert len(two.cancels()) == 1


async def test_a_thread_goes_on_at_the_other_copy(two: Town) -> None:
    await two.slack.mention(CLERK, "C1", ROWS, thread_ts=ONE)
    await two.quiet()
    for page, (who, copy) in enumerate(((CLERK, 1), (OPERATOR, 0), (CLERK, 1)), 2):
        said = two.slack.mention_payload(who, "C1", "<@UBOT> next", thread_ts=ONE)
        await two.slack.deliver(said, target=two.target(copy))
        await two.quiet()
        assert f"page {page}" in two.slack.visible(who, "C1")[-1].shown


async def test_the_same_delivery_to_both_copies_is_answered_once(two: Town) -> None:
    payload = two.slack.mention_payload(CLERK, "C1", "<@UBOT> models")
    await asyncio.gather(*(two.slack.deliver(payload, target=two.target(copy)) for copy in (0, 1)))
    await two.quiet()
    assert len(two.slack.visible(CLERK, "C1")) == 1


async def test_a_copy_that_dies_after_the_call_leaves_the_outcome_to_the_other() -> None:
    from bot.sandbox import Switches

    async with (
        postgresql() as address,
        town(copies=2, database=address, switches=Switches(cancel_delay=30.0)) as two,
    ):
        question = await two.asks()
        assert await two.slack.press(OPERATOR, question, "Stop this job") == 200
        await until(two.cancels, 10)
        await asyncio.sleep(0.1)
        await two.listener(0).close(within=0.0)
        two.clock.pass_by(61)
        assert await two.copies[1].built.bot.recover() == 1
        await two.stopped(question)
        assert len(two.cancels()) == 1


# --- forms ---


async def test_a_form_is_filled_in_by_choosing_from_menus_and_its_answer_takes_its_place(here: Town) -> None:
    await here.says(CLERK, "C1", 'form of "Order to Cash"')
    for label in (
        "On-time delivery",
        "Country",
        "Only where it is …",
        "Germany",
        "Plant",
        "By Plant",
        "Show the value",
    ):
        (form,) = here.slack.visible(CLERK, "C1")
        await here.presses(CLERK, form, label)
    (answer,) = here.slack.visible(CLERK, "C1")
    assert answer.only_for == CLERK
    assert "Country = Germany" in answer.text
    assert "Plant" in answer.shown
    assert here.slack.screen(OPERATOR, "C1") == ""


async def test_a_menus_entry_that_says_another_sentence_is_judged_like_that_sentence(here: Town) -> None:
    await here.says(GUEST, "C1", "help")
    await here.says(CLERK, "C1", 'form of "Order to Cash"')
    (form,) = here.slack.visible(CLERK, "C1")
    before = here.calls
    payload = here.slack.press_payload(GUEST, form, "On-time delivery")
    assert await here.slack.deliver(payload, target=here.target(0)) == 200
    await here.quiet()
    assert "Refused" in here.slack.screen(GUEST, "C1")
    assert "Plant" not in here.slack.screen(GUEST, "C1")
    assert here.calls == before
