"""Payloads as Slack sends them, and what nobody sends."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.blocks import escape
from adapters.slack.payloads import (
    Kind,
    Unreadable,
    plain,
    read_click,
    read_command,
    read_message,
    without_mention,
)
from bot.model.people import Clicked, Said, Visibility

COMMAND = {
    "command": "/celonis",
    "text": "kpis",
    "team_id": "T1",
    "user_id": "U1",
    "channel_id": "C1",
    "channel_name": "plant-7",
    "trigger_id": "t",
    "response_url": "https://hooks.slack.com/commands/x",
}
MENTION = {
    "event_id": "Ev1",
    "team_id": "T1",
    "event": {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.2", "text": "<@UBOT> kpis"},
}
DIRECT = {
    "event_id": "Ev2",
    "team_id": "T1",
    "event": {
        "type": "message",
        "channel_type": "im",
        "user": "U1",
        "channel": "D1",
        "ts": "1.2",
        "text": "kpis",
    },
}
CLICK = {
    "type": "block_actions",
    "user": {"id": "U1", "username": "clerk", "team_id": "T1"},
    "team": {"id": "T1"},
    "channel": {"id": "C1", "name": "plant-7"},
    "container": {"type": "message", "message_ts": "3.4", "channel_id": "C1", "is_ephemeral": False},
    "trigger_id": "t",
    "response_url": "https://hooks.slack.com/actions/x",
    "actions": [{"action_id": "run:0", "value": "kpis", "type": "button"}],
}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("value &gt; 10k &amp; &lt;x", "value > 10k & <x"),
        ("&amp;lt;", "&lt;"),
        ("ask <@U1|clerk> in <#C1|plant-7>", "ask @clerk in #plant-7"),
        ("ask <@U1> in <#C1>", "ask @U1 in #C1"),
        ("<!here> <!subteam^S1|@duty> <!date^1^{date}|3 March>", "@here @duty 3 March"),
        (
            "see <https://example.com|example.com> <https://example.com/a&amp;b>",
            "see example.com https://example.com/a&b",
        ),
        (
            "<mailto:a@example.com|a@example.com> <tel:1|1> <mailto:b@example.com>",
            "a@example.com 1 b@example.com",
        ),
        ("a < b > c <", "a  b  c <"),
    ],
)
def test_text_is_what_was_typed(sent: str, meant: str) -> None:
    assert plain(sent) == meant


@given(st.text())
def test_every_text_survives_slacks_escaping(text: str) -> None:
    assert plain(escape(text)) == text


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("<@UBOT> kpis", "kpis"),
        ("<@UBOT|celonis>: kpis", "kpis"),
        ("please <@UBOT>, kpis", "please   kpis"),
        ("<@UBOT> whois <@UBOT>", "whois <@UBOT>"),
        ("<@UBOTTOM> kpis", "<@UBOTTOM> kpis"),
        ("<@UBOT>", ""),
    ],
)
def test_the_bots_mention_is_taken_away_once(sent: str, meant: str) -> None:
    assert without_mention(sent, "UBOT") == meant


def test_a_command_says_who_and_where() -> None:
    incoming = read_command(COMMAND)
    assert (incoming.kind, incoming.said, incoming.person.key, incoming.place.key) == (
        Kind.COMMAND,
        Said("kpis"),
        "slack:T1:U1",
        "slack:T1:C1",
    )
    assert incoming.place.thread == ""


def test_a_mention_opens_a_thread_and_a_reply_stays_in_its_own() -> None:
    fresh = read_message(MENTION, "UBOT")
    event = {**MENTION["event"], "thread_ts": "0.9"}  # type: ignore[dict-item] # a payload
    reply = read_message({**MENTION, "event": event}, "UBOT")
    assert fresh is not None
    assert reply is not None
    assert (fresh.place.thread, fresh.threaded) == ("1.2", False)
    assert (reply.place.thread, reply.threaded) == ("0.9", True)


def test_a_person_of_another_workspace_keeps_their_own_home() -> None:
    event = {**MENTION["event"], "user_team": "T9"}  # type: ignore[dict-item] # a payload
    shared = {**MENTION, "team_id": "T9", "authorizations": [{"team_id": "T1"}], "event": event}
    incoming = read_message(shared, "UBOT")
    assert incoming is not None
    assert (incoming.person.key, incoming.place.key) == ("slack:T9:U1", "slack:T1:C1")


def test_a_direct_message_is_personal() -> None:
    incoming = read_message(DIRECT, "UBOT")
    assert incoming is not None
    assert (incoming.kind, incoming.place.visibility, incoming.place.thread) == (
        Kind.DIRECT,
        Visibility.PERSONAL,
        "",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"bot_id": "B1"},
        {"bot_profile": {"id": "B1"}},
        {"user": "UBOT"},
        {"user": "USLACKBOT"},
        {"user": None},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"subtype": "channel_join"},
        {"edited": {"user": "U1"}},
        {"hidden": True},
        {"type": "reaction_added"},
    ],
)
@pytest.mark.parametrize("payload", [MENTION, DIRECT])
def test_bots_edits_and_notices_are_not_for_us(payload: dict[str, object], change: dict[str, object]) -> None:
    event = {**payload["event"], **change}  # type: ignore[dict-item] # a payload
    assert read_message({**payload, "event": event}, "UBOT") is None


def test_what_people_write_in_channels_without_a_mention_is_not_for_us() -> None:
    event = {**MENTION["event"], "type": "message", "channel_type": "channel"}  # type: ignore[dict-item] # a payload
    assert read_message({**MENTION, "event": event}, "UBOT") is None


def test_a_click_says_what_was_pressed_on_which_message() -> None:
    incoming = read_click(CLICK)
    assert incoming is not None
    assert (incoming.said, incoming.pressed, incoming.private) == (Clicked(sentence="kpis"), "3.4", False)


def test_a_click_on_an_ephemeral_message_is_on_none_that_others_see() -> None:
    incoming = read_click({**CLICK, "container": {"message_ts": "3.4", "is_ephemeral": True}})
    assert incoming is not None
    assert (incoming.pressed, incoming.private) == ("", True)


def test_a_menu_is_read_like_its_buttons() -> None:
    chosen = {"action_id": "pick:0", "selected_option": {"value": "run:jobs"}}
    incoming = read_click({**CLICK, "actions": [chosen]})
    assert incoming is not None
    assert incoming.said == Clicked(sentence="jobs")


def test_a_button_that_opened_a_page_asks_for_nothing() -> None:
    assert read_click({**CLICK, "actions": [{"action_id": "open:0", "url": "https://example.com"}]}) is None


@pytest.mark.parametrize(
    "action", [{}, {"action_id": "run:0"}, {"action_id": "evil", "value": "x"}, "x", None, {"value": 1}]
)
def test_a_button_that_is_not_ours_says_nothing(action: object) -> None:
    incoming = read_click({**CLICK, "actions": [action]})
    assert incoming is not None
    assert incoming.said == Clicked()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "event", "user", "id", "team", "team_id", "channel", "channel_id", "actions", "container",
                "message", "ts", "text", "type", "view", "action_id", "value", "authorizations", "user_id",
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@given(payload=st.dictionaries(st.sampled_from(sorted({*COMMAND, *MENTION, *CLICK, "view"})), JSON))
def test_whatever_arrives_is_read_or_called_unreadable(payload: dict[str, object]) -> None:
    for read in (read_command, read_click, lambda body: read_message(body, "UBOT")):
        with contextlib.suppress(Unreadable):
            read(payload)
