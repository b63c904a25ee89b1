"""A button means the same wherever it is pressed, and none gets lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.outgoing import Render, long_sentences
from adapters.slack import blocks as slack
from adapters.slack.payloads import read_action
from adapters.teams import adaptive as teams
from bot.language.say import say, with_typed
from bot.model.cards import (
    Action,
    Button,
    Card,
    Choices,
    Confirm,
    Dismiss,
    OpenUrl,
    Reader,
    Run,
    Submit,
    Text,
    Tone,
    buttons,
)
from bot.model.errors import BadArgument
from bot.model.people import Clicked
from bot.render.button_codec import (
    Verb,
    decode,
    decode_data,
    encode,
    pack,
    safe_url,
)
from tests.platform_rules import assert_slack_ok, assert_teams_ok, walk
from tests.render.family import FAMILY, look

LONG = "a data job with a name of many words " * 80


def meaning(action: Action) -> Clicked | str:
    match action:
        case Run(intent):
            return Clicked(sentence=say(intent))
        case Submit(intent):
            return Clicked(sentence=with_typed(say(intent), ""))
        case Confirm(ticket):
            return Clicked(confirm=ticket)
        case Dismiss(ticket):
            return Clicked(dismiss=ticket)
        case OpenUrl(url):
            return url


def on_slack(blocks: list[dict[str, Any]]) -> Iterator[Clicked | str]:
    """Presses everything on a message, as Slack would report it."""
    for element in walk(blocks):
        if element.get("type") == "button":
            pressed = read_action({"action_id": element["action_id"], "value": element.get("value")})
            yield element["url"] if pressed is None else pressed
        elif element.get("type") in ("static_select", "radio_buttons"):
            for option in element["options"]:
                chosen = read_action({"action_id": element["action_id"], "selected_option": option})
                assert chosen is not None
                yield chosen


def on_teams(card: dict[str, Any]) -> Iterator[Clicked | str]:
    """Presses everything on a card, as Teams would report it."""
    for part in walk(card):
        if part.get("type") == "Action.OpenUrl":
            yield part["url"]
        elif part.get("type") == "Action.Execute" and part["verb"] == "pick":
            menu = next(each for each in walk(card) if each.get("id") == part["data"]["pick"])
            for choice in menu["choices"]:
                yield decode_data({**part["data"], menu["id"]: choice["value"]})
        elif part.get("type") == "Action.Execute":
            yield decode_data(part["data"])


labels = st.text("abcdefgh ", min_size=1, max_size=20)
actions = st.one_of(
    labels.map(look),
    st.just(LONG).map(look),
    st.text("\x00\n\ud800 a", min_size=1, max_size=4).map(look),
    st.integers(0, 9).map(lambda number: Confirm(f"tk_{number}")),
    st.integers(0, 9).map(lambda number: Dismiss(f"tk_{number}")),
)
pressed = st.builds(Button, labels, actions, st.sampled_from(Tone))
blocks = st.one_of(
    st.builds(Choices, labels, st.lists(pressed, max_size=8).map(tuple)),
    st.just(Text("long " * 2000)),
)
cards = st.builds(
    Card,
    st.just("x"),
    blocks=st.lists(blocks, max_size=6).map(tuple),
    buttons=st.lists(pressed, max_size=30).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(cards)
def test_everything_on_a_card_can_be_pressed_on_every_platform_and_means_the_same(card: Card) -> None:
    stored: dict[str, str] = {}

    def shorten(sentence: str) -> str:
        stored[f"~{len(stored)}"] = sentence
        return f"~{len(stored) - 1}"

    def restored(found: Clicked | str) -> str:
        return repr(
            Clicked(sentence=stored[found.sentence])
            if isinstance(found, Clicked) and found.sentence in stored
            else found
        )

    wanted = sorted(repr(meaning(button.action)) for button in buttons(card))
    message, rendered = slack.render(card, Reader(), shorten), teams.render(card, Reader(), shorten)
    assert_slack_ok(message)
    assert_teams_ok(rendered)
    assert sorted(map(restored, on_slack(message.blocks))) == wanted
    assert sorted(map(restored, on_teams(rendered))) == wanted


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "hostile"])
def test_no_card_of_the_family_loses_a_button(name: str) -> None:
    card = FAMILY[name].card
    wanted = sorted(repr(meaning(button.action)) for button in buttons(card))
    assert sorted(map(repr, on_slack(slack.render(card, Reader()).blocks))) == wanted
    assert sorted(map(repr, on_teams(teams.render(card, Reader())))) == wanted


def test_a_question_keeps_its_answers_as_buttons_however_much_else_there_is() -> None:
    others = tuple(Button(f"View {number}", look(f"view {number}")) for number in range(40))
    card = Card(
        "Stop it?",
        blocks=(Choices("Views", others),),
        buttons=(*others, Button("Stop", Confirm("tk")), Button("Leave", Dismiss("tk"))),
    )
    rendered = teams.render(card, Reader())
    assert {"confirm", "dismiss"} <= {
        part["verb"] for part in walk(rendered) if part.get("type") == "Action.Execute"
    }
    assert_teams_ok(rendered)


@pytest.mark.parametrize("render", [slack.render, teams.render])
def test_sentences_that_no_button_can_carry_are_named_once_before_they_are_rendered(
    render: Render[object],
) -> None:
    card = Card(
        "x",
        buttons=(
            Button("a", look(LONG)),
            Button("b", look("short")),
            Button("c", look(LONG)),
            Button("d", look("a\x00b")),
        ),
    )
    assert long_sentences(card, render) == (f'job "{LONG}"', 'job "a\x00b"')


@pytest.mark.parametrize("render", [slack.render, teams.render])
def test_a_sentence_that_is_too_long_is_refused_not_cut(render: Callable[[Card, Reader], object]) -> None:
    with pytest.raises(ValueError, match="shorten"):
        render(Card("x", buttons=(Button("a", look(LONG)),)), Reader())


def test_an_entry_of_a_slack_menu_carries_less_than_a_button() -> None:
    name = "a name of many words " * 8
    options = tuple(Button(f"{number}", look(name)) for number in range(6))
    assert long_sentences(Card("x", buttons=options), slack.render) == ()
    assert long_sentences(Card("x", blocks=(Choices("which", options),)), slack.render) == (f'job "{name}"',)


# --- what comes back is a claim --------------------------------------------------------------------------------

_VALUES = st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
_NESTED = st.recursive(
    _VALUES,
    lambda inner: st.dictionaries(st.sampled_from(["value", "selected_option", "run", "x"]), inner),
    max_leaves=4,
)


def or_refused(read: Callable[[object], object], arrived: object) -> object:
    """What was read, or the refusal; anything else that is raised fails the test."""
    try:
        return read(arrived)
    except BadArgument as refused:
        return refused


@given(
    st.dictionaries(
        st.sampled_from(["run", "confirm", "dismiss", "form", "pick", "pick:0", "field:at", "fields:x"]),
        _NESTED,
    )
    | _NESTED
)
def test_whatever_arrives_from_teams_is_a_click_or_refused(data: object) -> None:
    assert isinstance(or_refused(decode_data, data), Clicked | BadArgument)


@given(
    st.dictionaries(
        st.sampled_from(["action_id", "value", "selected_option"]),
        st.sampled_from(["run:0", "confirm:1", "pick:2", "form", "open:1"]) | _NESTED,
    )
    | _NESTED
)
def test_whatever_arrives_from_slack_is_a_click_or_refused(action: object) -> None:
    assert isinstance(or_refused(read_action, action), Clicked | BadArgument | None)


@pytest.mark.parametrize(
    ("verb", "value"),
    [
        ("run", ""),
        ("run", "   "),
        ("run", "x" * 5000),
        ("run", None),
        ("confirm", "../../x"),
        ("confirm", "tk 1"),
        ("confirm", "tk\n"),
        ("dismiss", "x" * 200),
        ("submit", " "),
        ("submit", None),
        ("pick", "confirm:"),
        ("pick", "delete:all"),
        ("pick", "pick:run:jobs"),
        ("delete", "all"),
        ("", ""),
    ],
)
def test_what_is_none_of_our_buttons_is_refused_in_words(verb: str, value: object) -> None:
    with pytest.raises(BadArgument, match="not one I made"):
        decode(verb, value)


def test_two_things_at_once_are_refused() -> None:
    with pytest.raises(BadArgument, match="not one I made"):
        decode_data({"run": "jobs", "confirm": "tk"})


def test_a_menu_in_which_nothing_was_chosen_says_so() -> None:
    for data in ({"pick": "pick:0"}, {"pick": "pick:0", "pick:0": ""}):
        with pytest.raises(BadArgument, match="Nothing was chosen"):
            decode_data(data)


def test_a_page_that_was_opened_asks_for_nothing() -> None:
    assert encode(OpenUrl("https://acme.celonis.cloud/"), lambda _: True) == (
        Verb.OPEN,
        "https://acme.celonis.cloud/",
    )
    assert decode(Verb.OPEN, None) is None


def test_an_entry_of_a_menu_comes_back_as_its_action() -> None:
    assert decode(Verb.PICK, pack(look("a: b"), lambda _: True)) == Clicked(sentence='job "a: b"')
    assert decode(Verb.PICK, pack(Confirm("tk:1"), lambda _: True)) == Clicked(confirm="tk:1")


@pytest.mark.parametrize("ticket", ["", "a\nb", "x" * 3000])
def test_a_ticket_that_cannot_travel_is_a_programming_error(ticket: str) -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        slack.render(Card("x", buttons=(Button("Stop", Confirm(ticket)),)), Reader())


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.celonis.cloud/",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://celonis.cloud@evil.example/",
        "https://acme.celonis.cloud/ x",
        "https://acme.celonis.cloud/|x>",
        "https://аcme.celonis.cloud/",
        "https://[::1",
        "",
    ],
)
def test_only_plain_https_addresses_can_be_opened(url: str) -> None:
    assert not safe_url(url)
    card = Card("x", buttons=(Button("Open it", OpenUrl(url)),))
    assert list(on_slack(slack.render(card, Reader()).blocks)) == []
    assert list(on_teams(teams.render(card, Reader()))) == []
    assert "Open it" in str(slack.render(card, Reader()).blocks)
    assert "Open it" in str(teams.render(card, Reader())["body"])
