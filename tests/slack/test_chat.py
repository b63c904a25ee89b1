"""The `Chat` port on Slack, against real HTTP: messages, limits, files, forms, people."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.slack.chat import PROFILES_KEPT, SlackChat
from adapters.slack.client import LONGEST_QUEUE, Refused, WebApi
from bot.config import Secret
from bot.model.cards import Answer, Card, Only
from bot.model.errors import Undelivered
from bot.model.people import MessageRef, Person, Place, Profile, Standing, Visibility
from tests.fake_slack import TOKEN, Fault
from tests.slack.worlds import QuickClock, World, but, world

CLERK = Person("slack", "T1", "U1")
CHANNEL = Place("slack", "T1", "C1", Visibility.CHANNEL)
CARD = Answer(Card("FAILED: main job"))


async def test_a_message_can_be_changed_by_another_program_later(slack_world: World) -> None:
    ref = await slack_world.chat.post(CHANNEL, CARD)
    kept = MessageRef(ref.platform, ref.place, ref.handle)
    async with world() as later:
        later.slack.messages = slack_world.slack.messages
        await later.chat.update(kept, Answer(Card("STOPPED: main job")))
    assert slack_world.slack.screen("U2", "C1") == "STOPPED: main job"


async def test_a_card_for_one_person_is_ephemeral_and_stays_as_it_is(slack_world: World) -> None:
    ref = await slack_world.chat.post(CHANNEL, but(CARD, audience=Only(CLERK)))
    assert slack_world.slack.screen("U1", "C1") == "(only you) FAILED: main job"
    assert slack_world.slack.screen("U2", "C1") == ""
    with pytest.raises(Undelivered):
        await slack_world.chat.update(ref, CARD)


async def test_a_nudge_is_sent_once_however_often_its_card_is(slack_world: World) -> None:
    nudging = but(CARD, headline="it failed & <stays> so", mention=(CLERK,))
    ref = await slack_world.chat.post(CHANNEL, nudging)
    await slack_world.chat.update(ref, nudging)
    _, reply = slack_world.slack.visible("U2", "C1")
    assert reply.text == "<@U1> it failed &amp; &lt;stays&gt; so"
    assert reply.thread_ts == ref.handle.partition(":")[2]


async def test_what_others_see_is_never_changed_into_what_is_for_one(slack_world: World) -> None:
    ref = await slack_world.chat.post(CHANNEL, CARD)
    with pytest.raises(Undelivered, match="for one person"):
        await slack_world.chat.update(ref, Answer(Card("Your own numbers"), Only(CLERK)))
    assert slack_world.slack.screen("U2", "C1") == "FAILED: main job"


# --- what Slack may say ---


async def test_a_token_in_a_file_is_read_again_when_slack_refuses_it(
    slack_world: World, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    chat = SlackChat(
        slack_world.settings.model_copy(update={"bot_token": Secret("xoxb-before-the-rotation", file=file)}),
        clock=slack_world.clock,
        keep_sentence=slack_world.store.keep_sentence,
    )
    await chat.post(CHANNEL, CARD)
    await chat.close()
    assert slack_world.slack.screen("U1", "C1") == "FAILED: main job"
    assert len(slack_world.slack.called("chat.postMessage")) == 2


async def test_who_the_bot_is_is_asked_once(slack_world: World) -> None:
    slack_world.chat._identity = None
    before = len(slack_world.slack.called("auth.test"))
    await asyncio.gather(*(slack_world.chat.identity() for _ in range(5)))
    assert len(slack_world.slack.called("auth.test")) == before + 1


async def test_a_429_is_obeyed_and_the_message_arrives_once(slack_world: World) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(retry_after="7"), Fault(retry_after="3"))
    await slack_world.chat.post(CHANNEL, CARD)
    times = [call.at for call in slack_world.slack.calls if call.method == "chat.postMessage"]
    assert times[1] - times[0] >= 7
    assert times[2] - times[1] >= 3
    assert slack_world.slack.screen("U1", "C1") == "FAILED: main job"


async def test_what_waits_behind_a_429_keeps_its_order(slack_world: World) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(retry_after="5"))
    posts = [slack_world.chat.post(CHANNEL, Answer(Card(f"message {number}"))) for number in range(5)]
    await asyncio.gather(*posts)
    assert [message.shown for message in slack_world.slack.messages] == [f"message {n}" for n in range(5)]


async def test_other_conversations_do_not_wait_for_a_429(slack_world: World) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(retry_after="50"))
    slow = asyncio.create_task(slack_world.chat.post(CHANNEL, CARD))
    await asyncio.sleep(0.05)
    direct = await slack_world.chat.direct(CLERK)
    assert direct is not None
    await slack_world.chat.post(direct, CARD)
    assert not slow.done()
    await slow


@pytest.mark.parametrize("retry_after", ["600", "nan", "-5", "soon"])
async def test_a_strange_or_endless_429_is_not_waited_for_for_ever(
    slack_world: World, retry_after: str
) -> None:
    slack_world.slack.fail("chat.postMessage", *(Fault(retry_after=retry_after) for _ in range(9)))
    with pytest.raises(Undelivered, match="Slack takes no more messages from me just now"):
        await slack_world.chat.post(CHANNEL, CARD)


async def test_the_queue_of_a_conversation_is_bounded(slack_world: World) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(retry_after="20"))
    posts = [slack_world.chat.post(CHANNEL, CARD) for _ in range(LONGEST_QUEUE + 5)]
    results = await asyncio.gather(*posts, return_exceptions=True)
    assert sum(isinstance(each, Undelivered) for each in results) == 5


async def test_a_post_whose_answer_is_lost_is_not_sent_again(slack_world: World) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(status=502))
    with pytest.raises(Undelivered, match="Slack cannot be reached"):
        await slack_world.chat.post(CHANNEL, CARD)
    assert len(slack_world.slack.called("chat.postMessage")) == 1


async def test_a_change_whose_answer_is_lost_is_sent_again(slack_world: World) -> None:
    ref = await slack_world.chat.post(CHANNEL, CARD)
    slack_world.slack.fail("chat.update", Fault(status=502), Fault(error="internal_error"))
    await slack_world.chat.update(ref, Answer(Card("STOPPED")))
    assert slack_world.slack.screen("U1", "C1") == "STOPPED"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("not_in_channel", "I cannot post in this conversation."),
        ("token_revoked", "Slack does not accept the bot's token (token_revoked)."),
        ("missing_scope", "The Slack app lacks the scope users:read."),
        ("some_new_error", "Slack refused the call (some_new_error)."),
        ("<b>markup</b>", "Slack refused the call (unknown)."),
    ],
)
async def test_a_refusal_says_what_to_do(slack_world: World, error: str, sentence: str) -> None:
    slack_world.slack.fail("chat.postMessage", Fault(error=error))
    with pytest.raises(Undelivered) as caught:
        await slack_world.chat.post(CHANNEL, CARD)
    assert caught.value.sentence == sentence
    assert "xoxb" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_all_calls_share_connections(slack_world: World) -> None:
    for _ in range(20):
        await slack_world.chat.api.call("auth.test")
    assert len({call.connection for call in slack_world.slack.calls}) == 1


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://hooks.slack.com/actions/T1/2/x", True),
        ("http://hooks.slack.com/actions/T1/2/x", False),
        ("https://hooks.slack.com.example.com/x", False),
        ("https://hooks.slack.com@example.com/x", False),
        ("http://127.0.0.1:1/response/1", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
        ("", False),
    ],
)
async def test_answers_go_to_slack_and_nowhere_else(slack_world: World, url: str, *, trusted: bool) -> None:
    assert slack_world.chat.api.trusted(url) is trusted
    if not trusted:
        with pytest.raises(Refused, match="not Slack's"):
            await slack_world.chat.respond(url, CARD, replace=False)


# --- people ---


async def test_a_profile_is_read_once_and_again_when_it_is_old(slack_world: World) -> None:
    first = await asyncio.gather(*(slack_world.chat.profile(CLERK) for _ in range(5)))
    assert set(first) == {
        Profile(
            name="the clerk",
            email="u1@example.com",
            standing=Standing.MEMBER,
            zone="Europe/Berlin",
            locale="en_US",
        )
    }
    assert len(slack_world.slack.called("users.info")) == 1
    slack_world.clock.advance(PROFILES_KEPT + 1)
    await slack_world.chat.profile(CLERK)
    assert len(slack_world.slack.called("users.info")) == 2


@pytest.mark.parametrize(
    ("more", "standing"),
    [
        ({}, Standing.MEMBER),
        ({"is_restricted": True}, Standing.GUEST),
        ({"is_ultra_restricted": True}, Standing.GUEST),
        ({"is_stranger": True}, Standing.EXTERNAL),
        ({"team_id": "T9"}, Standing.EXTERNAL),
        ({"team_id": "E1", "enterprise_user": {"teams": ["T1", "T2"]}}, Standing.MEMBER),
        ({"deleted": True}, Standing.EXTERNAL),
        ({"is_bot": True}, Standing.BOT),
        ({"id": "U999"}, Standing.UNKNOWN),
    ],
)
async def test_what_somebody_is_to_the_workspace(
    slack_world: World, more: dict[str, object], standing: Standing
) -> None:
    slack_world.slack.person("U1", "the clerk", **more)
    assert (await slack_world.chat.profile(CLERK)).standing is standing


async def test_somebody_who_claims_another_home_is_external(slack_world: World) -> None:
    profile = await slack_world.chat.profile(Person("slack", "T9", "U1"))
    assert profile.standing is Standing.EXTERNAL


async def test_what_cannot_be_read_is_missing_and_asked_for_again(slack_world: World) -> None:
    slack_world.slack.fail("users.info", Fault(error="missing_scope"))
    assert await slack_world.chat.profile(CLERK) == Profile()
    assert (await slack_world.chat.profile(CLERK)).standing is Standing.MEMBER


async def test_groups_are_read_only_where_a_rule_asks_for_them(slack_world: World) -> None:
    assert (await slack_world.chat.profile(CLERK)).groups is None
    assert slack_world.slack.called("usergroups.list") == []
    async with world(read_groups=True) as asking:
        asking.slack.groups = [{"id": "S1", "team_id": "T1", "users": ["U1"]}]
        assert (await asking.chat.profile(CLERK)).groups == frozenset({"slack:T1:S1"})
        assert (await asking.chat.profile(Person("slack", "T1", "U2"))).groups == frozenset()
        assert len(asking.slack.called("usergroups.list")) == 1


async def test_groups_that_cannot_be_read_are_missing() -> None:
    async with world(read_groups=True) as made:
        made.slack.fail("usergroups.list", Fault(error="missing_scope"))
        assert (await made.chat.profile(CLERK)).groups is None


async def test_nobody_whom_slack_does_not_know_has_a_direct_message(slack_world: World) -> None:
    assert await slack_world.chat.direct(Person("slack", "T1", "U404")) is None


# --- the way to Slack ---


@pytest.mark.parametrize("proxy", [False, True])
async def test_the_environment_is_trusted_only_where_it_names_a_proxy(
    proxy: bool, slack_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    at = slack_world.slack.url
    if proxy:
        server = urlsplit(at)
        monkeypatch.setenv("http_proxy", f"{server.scheme}://{server.netloc}")
        at = at.replace(server.netloc, "slack.invalid")
    web = WebApi(Secret(TOKEN), at, QuickClock())
    try:
        assert (await web.call("auth.test"))["ok"]
        assert web.session.trust_env == proxy
    finally:
        await web.close()
