"""Who sees what, where, and in place of what."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest

from bot.model.cards import (
    Answer,
    Button,
    Card,
    Choices,
    Confirm,
    Dismiss,
    Everyone,
    Only,
    Run,
    Status,
    Text,
    Tone,
)
from bot.model.intents import Intent
from bot.model.people import Person, Visibility
from tests.fake_slack import BOT_USER, Fault, until
from tests.slack.worlds import World, but


@dataclass(frozen=True, slots=True)
class Help(Intent):
    """Something for a button to say; the word is one that commands know anyway."""

    words: ClassVar[str] = "help"


CLERK = Person("slack", "T1", "U1")
OPERATOR = Person("slack", "T1", "U2")
WORKING = Answer(Card("Working on it …", status=Status.WORKING), audience=Only(CLERK))
PRIVATE = Answer(Card("On-time delivery 91 %", buttons=(Button("More", Run(Help())),)), audience=Only(CLERK))
PUBLIC = but(PRIVATE, audience=Everyone())
QUESTION = Answer(
    Card(
        "Stop main job?",
        status=Status.QUESTION,
        buttons=(
            Button("Stop this job", Confirm("ticket-1"), Tone.DANGER),
            Button("Leave it running", Dismiss("ticket-1")),
        ),
    ),
    ticket="ticket-1",
    editable=True,
)
LOOKING = Answer(Card("Looking once more", status=Status.WORKING), editable=True)
STOPPED = Answer(Card("STOPPED 23:56: main job"), editable=True, mention=(CLERK,))
REFUSED = Answer(Card("You may not do this", status=Status.REFUSED), replaces=False, audience=Only(OPERATOR))


# --- commands ---


async def test_a_command_is_answered_for_the_asker_alone(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [PUBLIC]
    assert await slack_world.say("U1", "C1", "kpis") == "(only you) On-time delivery 91 %\n[More]"
    assert slack_world.slack.screen("U2", "C1") == ""


async def test_a_slow_command_hears_nothing_before_three_seconds_and_then_what_stays_true(
    slack_world: World,
) -> None:
    shown = asyncio.Event()
    slack_world.bot.answers["kpis <b>"] = [WORKING, shown, PRIVATE]
    began = slack_world.clock.monotonic()
    await slack_world.slack.command("U1", "C1", "kpis &lt;b&gt;")
    await until(lambda: slack_world.slack.messages)
    assert slack_world.slack.messages[0].changed_at[0] - began >= 3.0
    shown.set()
    await slack_world.quiet()
    assert slack_world.slack.screen("U1", "C1").split("\n---\n") == [
        "(only you) Asked for: kpis <b>; the answer follows",
        "(only you) On-time delivery 91 %\n[More]",
    ]


async def test_a_command_answered_within_three_seconds_shows_nothing_but_the_answer(
    slack_world: World,
) -> None:
    slack_world.bot.answers["kpis"] = [WORKING, 0.01, PRIVATE]
    assert await slack_world.say("U1", "C1", "kpis") == "(only you) On-time delivery 91 %\n[More]"


async def test_what_looks_like_a_key_is_not_repeated_while_its_refusal_takes_long(slack_world: World) -> None:
    key = "xoxb" + "-123456789012-abcdefghijkl"
    slack_world.bot.answers[key] = [WORKING, 0.2, PRIVATE]
    assert "abcdefghijkl" not in await slack_world.say("U1", "C1", key)
    assert "Asked for: [redacted]; the answer follows" in slack_world.slack.screen("U1", "C1")


async def test_a_question_is_an_ordinary_message_and_the_bot_learns_which(slack_world: World) -> None:
    slack_world.bot.answers["cancel main job"] = [QUESTION]
    await slack_world.say("U1", "C1", "cancel main job")
    (message,) = slack_world.slack.visible("U2", "C1")
    assert message.shown == "Stop main job?\n[Stop this job] [Leave it running]"
    ((ticket, ref),) = slack_world.bot.attached
    assert (ticket, ref.handle, ref.place.id) == ("ticket-1", f"C1:{message.ts}", "C1")


@pytest.mark.parametrize("why", ["not_in_channel", "is_archived", "restricted_action", "channel_not_found"])
async def test_where_the_bot_cannot_post_the_question_goes_to_the_direct_message(
    slack_world: World, why: str
) -> None:
    slack_world.slack.channels["C1"].refuses = why
    slack_world.bot.answers["cancel main job"] = [QUESTION]
    seen = await slack_world.say("U1", "C1", "cancel main job")
    assert "I cannot post here, so the answer is in our direct message" in seen
    assert "main job" not in seen
    assert "Stop main job?" in slack_world.slack.screen("U1", "DU1")
    ((_, ref),) = slack_world.bot.attached
    assert (ref.place.id, ref.place.visibility) == ("DU1", Visibility.PERSONAL)


async def test_a_direct_conversation_of_two_people_is_not_the_bots_own(slack_world: World) -> None:
    slack_world.slack.channel("DX", "U1", "U2")
    await slack_world.say("U1", "DX", "kpis")
    assert slack_world.bot.heard[0].place.visibility is Visibility.GROUP


async def test_a_used_up_response_url_gives_way_to_an_ephemeral_message(slack_world: World) -> None:
    slack_world.slack.fail("response_url", Fault("used_url", 404))
    slack_world.bot.answers["kpis"] = [PRIVATE]
    assert (await slack_world.say("U1", "C1", "kpis")).startswith("(only you) On-time delivery 91 %")
    assert slack_world.slack.called("chat.postEphemeral")


async def test_a_response_url_is_used_five_times_at_most_and_for_thirty_minutes(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [
        part
        for number in range(9)
        for part in (but(PRIVATE, headline=f"answer {number}", mention=(CLERK,)), 0.02)
    ]
    await slack_world.say("U1", "C1", "kpis")
    assert len(slack_world.slack.called("response_url")) == 5
    assert "answer 8" in slack_world.slack.screen("U1", "C1")
    late = asyncio.Event()
    slack_world.bot.answers["late"] = [late, but(PRIVATE, headline="late answer")]
    await slack_world.slack.command("U1", "C1", "late")
    await until(lambda: len(slack_world.bot.heard) == 2)
    slack_world.clock.advance(31 * 60)
    late.set()
    await slack_world.quiet()
    assert "late answer" in slack_world.slack.screen("U1", "C1")
    assert not slack_world.slack.refused_urls


# --- mentions and direct messages ---


async def test_a_mention_is_answered_in_its_thread_for_all(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [PUBLIC]
    await slack_world.slack.mention("U1", "C1", "kpis", ts="1700000777.000100")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U2", "C1")
    assert (message.thread_ts, message.only_for) == ("1700000777.000100", "")


async def test_a_private_answer_to_a_mention_stands_where_slack_shows_it(slack_world: World) -> None:
    """Slack shows ephemeral messages of a thread only where the thread has replies already."""
    slack_world.bot.answers["kpis"] = [WORKING, 0.1, PRIVATE]
    await slack_world.slack.mention("U1", "C1", "kpis")
    await slack_world.slack.mention("U1", "C1", "kpis", thread_ts="1700000555.000100")
    await slack_world.quiet()
    messages = slack_world.slack.visible("U1", "C1")
    assert sorted(message.thread_ts for message in messages) == ["", "1700000555.000100"]
    assert all(message.only_for == "U1" and "Working" not in message.shown for message in messages)
    assert slack_world.slack.visible("U2", "C1") == []


async def test_a_slow_mention_has_a_sign_of_life_that_becomes_the_answer(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [WORKING, 0.1, PUBLIC]
    await slack_world.slack.mention("U1", "C1", "kpis", ts="1700000777.000100")
    await until(lambda: slack_world.slack.screen("U2", "C1") == "↳ Working on it …")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U2", "C1")
    assert [each.split("\n")[0] for each in message.history] == ["Working on it …", "On-time delivery 91 %"]
    assert message.thread_ts == "1700000777.000100"


@pytest.mark.parametrize("thread", ["", "1700000555.000100"])
async def test_the_sign_of_life_of_a_private_answer_is_taken_away(slack_world: World, thread: str) -> None:
    slack_world.bot.answers["kpis"] = [WORKING, 0.1, PRIVATE]
    more = {"thread_ts": thread} if thread else {}
    await slack_world.slack.mention("U1", "C1", "kpis", **more)
    await until(lambda: slack_world.slack.screen("U2", "C1") == "↳ Working on it …")
    await slack_world.quiet()
    assert slack_world.slack.screen("U2", "C1") == ""
    (answer,) = slack_world.slack.visible("U1", "C1")
    assert (answer.thread_ts, answer.only_for) == (thread, "U1")


async def test_a_sign_of_life_is_taken_away_though_the_answer_cannot_be_shown(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [WORKING, 0.1, PRIVATE]
    slack_world.slack.fail("chat.postEphemeral", Fault("fatal_error"), Fault("user_not_in_channel"))
    await slack_world.slack.mention("U1", "C1", "kpis")
    await slack_world.quiet()
    assert slack_world.slack.called("chat.delete")
    assert slack_world.slack.screen("U2", "C1") == ""


async def test_a_direct_message_is_answered_by_one_message_that_changes(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [WORKING, 0.1, PRIVATE]
    await slack_world.slack.tell("U1", "kpis")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U1", "DU1")
    assert [each.split("\n")[0] for each in message.history] == ["Working on it …", "On-time delivery 91 %"]
    assert message.only_for == ""


async def test_what_is_for_somebody_else_goes_to_that_persons_direct_message(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = [but(PRIVATE, audience=Only(OPERATOR))]
    assert await slack_world.say("U1", "C1", "kpis") == ""
    assert "On-time delivery" in slack_world.slack.screen("U2", "DU2")


# --- clicks ---


async def test_a_click_on_ones_own_answer_changes_it(slack_world: World) -> None:
    slack_world.bot.answers |= {"kpis": [PRIVATE], "help": [Answer(Card("Page 2"), Only(CLERK))]}
    await slack_world.say("U1", "C1", "kpis")
    (message,) = slack_world.slack.visible("U1", "C1")
    assert await slack_world.slack.press("U1", message, "More") == 200
    await slack_world.quiet()
    assert slack_world.slack.screen("U1", "C1") == "(only you) Page 2"


async def test_a_click_on_what_others_see_changes_it_only_for_all(slack_world: World) -> None:
    slack_world.bot.answers |= {"kpis": [PUBLIC], "help": [Answer(Card("Page 2"))]}
    await slack_world.slack.mention("U1", "C1", "kpis")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U2", message, "More")
    await slack_world.quiet()
    assert message.shown == "Page 2"
    assert slack_world.bot.heard[1].message is not None
    assert slack_world.bot.heard[1].message.handle == f"C1:{message.ts}"


async def test_an_entry_of_a_menu_is_pressed_like_a_button(slack_world: World) -> None:
    pages = tuple(Button(f"page {number}", Run(Help())) for number in range(7))
    slack_world.bot.answers |= {
        "kpis": [but(PRIVATE, buttons=(), blocks=(Choices("Which?", pages),))],
        "help": [Answer(Card("Page 6"))],
    }
    seen = await slack_world.say("U1", "C1", "kpis")
    assert "[Choose: page 0, page 1" in seen
    (message,) = slack_world.slack.visible("U1", "C1")
    await slack_world.slack.press("U1", message, "page 6")
    await slack_world.quiet()
    assert slack_world.slack.screen("U1", "C1") == "(only you) Page 6"


async def test_a_private_answer_to_a_click_leaves_what_others_see(slack_world: World) -> None:
    slack_world.bot.answers |= {"kpis": [PUBLIC], "help": [Answer(Card("For you alone"), Only(OPERATOR))]}
    await slack_world.slack.mention("U1", "C1", "kpis")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U1", "C1")
    await slack_world.slack.press("U2", message, "More")
    await slack_world.quiet()
    assert message.shown.startswith("On-time delivery")
    assert "(only you) For you alone" in slack_world.slack.screen("U2", "C1")
    assert "For you alone" not in slack_world.slack.screen("U1", "C1")


@pytest.mark.parametrize("aside", [False, True])
async def test_a_private_answer_to_a_click_in_a_thread_stands_in_that_thread(
    slack_world: World, *, aside: bool
) -> None:
    private = Answer(Card("For you alone", buttons=PRIVATE.card.buttons), Only(OPERATOR), replaces=not aside)
    slack_world.bot.answers |= {"kpis": [PUBLIC], "help": [private]}
    await slack_world.slack.mention("U1", "C1", "kpis", ts="1700000777.000100")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U1", "C1")
    await slack_world.slack.press("U2", message, "More")
    await slack_world.quiet()
    assert slack_world.slack.screen("U2", "C1").split("\n---\n") == [
        "↳ On-time delivery 91 %\n[More]",
        "↳ (only you) For you alone\n[More]",
    ]
    assert message.edits == 0
    (_, own) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U2", own, "More")
    await slack_world.quiet()
    after = [each.thread_ts for each in slack_world.slack.visible("U2", "C1")]
    assert after == ["1700000777.000100"] * (3 if aside else 2), (
        "a click on the private card replaces it there"
    )
    assert slack_world.bot.heard[-1].place.thread == "1700000777.000100"


async def test_a_private_card_whose_address_is_used_up_is_answered_in_its_thread(slack_world: World) -> None:
    slack_world.bot.answers |= {"kpis": [PRIVATE], "help": [Answer(Card("Page 2"), Only(CLERK))]}
    await slack_world.slack.mention("U1", "C1", "kpis", thread_ts="1700000555.000100")
    await slack_world.quiet()
    (message,) = slack_world.slack.visible("U1", "C1")
    slack_world.slack.fail("response_url", Fault("used_url", 404))
    await slack_world.slack.press("U1", message, "More")
    await slack_world.quiet()
    assert slack_world.slack.screen("U1", "C1").endswith("↳ (only you) Page 2")


async def test_a_private_question_goes_to_the_direct_message_where_its_outcome_can_be_shown(
    slack_world: World,
) -> None:
    private = but(QUESTION, audience=Only(CLERK))
    slack_world.bot.answers["cancel main job"] = [WORKING, 0.1, private]
    slack_world.bot.answers["confirm ticket-1"] = [but(LOOKING, audience=Only(CLERK)), 0.05, STOPPED]
    await slack_world.slack.mention("U1", "C1", "cancel main job")
    await slack_world.quiet()
    assert slack_world.slack.screen("U1", "C1") == ""
    (question,) = slack_world.slack.visible("U1", "DU1")
    ((ticket, ref),) = slack_world.bot.attached
    assert (ticket, ref.handle) == ("ticket-1", f"DU1:{question.ts}")
    await slack_world.slack.press("U1", question, "Stop this job")
    await slack_world.quiet()
    assert question.shown.startswith("STOPPED 23:56: main job")


async def test_a_refused_click_leaves_the_question_open_and_tells_the_clicker_alone(
    slack_world: World,
) -> None:
    slack_world.bot.answers |= {"cancel main job": [QUESTION], "confirm ticket-1": [REFUSED]}
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U2", question, "Stop this job")
    await slack_world.quiet()
    assert question.shown == "Stop main job?\n[Stop this job] [Leave it running]"
    assert "(only you)" in slack_world.slack.screen("U2", "C1")
    assert "You may not do this" not in slack_world.slack.screen("U1", "C1")


async def test_the_outcome_stands_in_the_question_and_one_reply_wakes_the_clicker(slack_world: World) -> None:
    slack_world.bot.answers |= {
        "cancel main job": [QUESTION],
        "confirm ticket-1": [LOOKING, 0.1, STOPPED, STOPPED],
    }
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U1", question, "Stop this job")
    await slack_world.quiet()
    assert question.shown.startswith("STOPPED 23:56: main job")
    replies = [message for message in slack_world.slack.visible("U2", "C1") if message is not question]
    assert [(each.thread_ts, each.text) for each in replies] == [
        (question.ts, "<@U1> STOPPED 23:56: main job")
    ]


async def test_a_message_changes_at_most_once_a_second_and_ends_with_the_last_card(
    slack_world: World,
) -> None:
    steps = [but(LOOKING, headline=f"step {number}") for number in range(40)]
    slack_world.bot.answers["confirm ticket-1"] = [part for step in steps for part in (step, 0.005)]
    slack_world.bot.answers["cancel main job"] = [QUESTION]
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U1", question, "Stop this job")
    await slack_world.quiet()
    changes = question.changed_at[1:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(changes)]
    assert question.shown == "Working: step 39"
    assert len(changes) < 40
    assert all(gap >= 0.9 for gap in gaps), gaps


async def test_the_work_does_not_wait_for_slack(slack_world: World) -> None:
    slack_world.slack.fail("chat.update", Fault(hang=0.3))
    slack_world.bot.answers["confirm ticket-1"] = [LOOKING, STOPPED]
    slack_world.bot.answers["cancel main job"] = [QUESTION]
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    await slack_world.slack.press("U1", question, "Stop this job")
    await until(lambda: STOPPED in slack_world.bot.made)
    assert not question.shown.startswith("STOPPED"), "the work was done before Slack took its first message"
    await slack_world.quiet()
    assert question.shown.startswith("STOPPED")


async def test_a_message_that_is_gone_is_posted_anew(slack_world: World) -> None:
    slack_world.bot.answers |= {"cancel main job": [QUESTION], "confirm ticket-1": [STOPPED]}
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    payload = slack_world.slack.press_payload("U1", question, "Stop this job")
    question.deleted = True
    await slack_world.slack.deliver(payload)
    await slack_world.quiet()
    assert "STOPPED 23:56: main job" in slack_world.slack.screen("U2", "C1")


async def test_a_card_that_slack_cannot_draw_is_still_announced(slack_world: World) -> None:
    slack_world.slack.fail("response_url", Fault("invalid_blocks", 400))
    slack_world.bot.answers["kpis"] = [but(PRIVATE, blocks=(Text("much"),))]
    seen = await slack_world.say("U1", "C1", "kpis")
    assert "On-time delivery 91 %" in seen
    assert "cannot be shown on Slack" in seen


async def test_a_confirming_click_is_acknowledged_once_it_is_written_down(slack_world: World) -> None:
    written = asyncio.Event()
    slack_world.bot.answers |= {"cancel main job": [QUESTION], "confirm ticket-1": [written, STOPPED]}
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    press = asyncio.create_task(slack_world.slack.press("U1", question, "Stop this job"))
    await until(lambda: len(slack_world.bot.heard) == 2)
    await asyncio.sleep(0.05)
    assert not press.done()
    written.set()
    assert await press == 200


async def test_an_acknowledgement_waits_two_seconds_at_most(slack_world: World) -> None:
    never = asyncio.Event()
    slack_world.bot.answers |= {"cancel main job": [QUESTION], "confirm ticket-1": [never, STOPPED]}
    await slack_world.say("U1", "C1", "cancel main job")
    (question,) = slack_world.slack.visible("U2", "C1")
    async with asyncio.timeout(2.9):
        assert await slack_world.slack.press("U1", question, "Stop this job") == 200
    never.set()


async def test_buttons_of_others_are_no_reason_to_wait(slack_world: World) -> None:
    never = asyncio.Event()
    slack_world.bot.answers |= {"kpis": [PRIVATE], "help": [never]}
    await slack_world.say("U1", "C1", "kpis")
    (message,) = slack_world.slack.visible("U1", "C1")
    async with asyncio.timeout(1.0):
        assert await slack_world.slack.press("U1", message, "More") == 200
    never.set()


async def test_a_mention_reaches_the_bot_without_its_own_name(slack_world: World) -> None:
    text = f"where value &gt; 10k &amp; <@{BOT_USER}> for <@U2|operator> in <#C9|plant-9>"
    await slack_world.slack.deliver(slack_world.slack.mention_payload("U1", "C1", text))
    await slack_world.quiet()
    (request,) = slack_world.bot.heard
    assert str(request.said) == "Said(text='where value > 10k &  for @operator in #plant-9')"
