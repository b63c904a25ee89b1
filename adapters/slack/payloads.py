"""What Slack delivers, read once: payloads in, what somebody said where out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from bot.language.declare import TYPED
from bot.model.errors import BadArgument
from bot.model.people import Clicked, Person, Place, Said, Utterance, Visibility
from bot.render.button_codec import decode

Json: TypeAlias = Mapping[str, Any]


class Kind(StrEnum):
    """Where something was said, which decides how it is answered."""

    COMMAND = "command"
    MENTION = "mention"
    DIRECT = "direct message"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing that one person said or pressed.

    Attributes:
        delivery: What Slack calls this delivery, the same each time it is sent; empty where it has no name.
        place: For conversations whose id starts with D, only somebody who asks Slack knows whether it is the bot's own.
        response_url: Where to answer privately, five times within 30 minutes.
        pressed: `ts` of the message with the button; empty where it was none that others see.
        private: Whether the message with the button was an ephemeral one.
        threaded: Whether the thread was there before.
    """

    kind: Kind
    delivery: str
    said: Utterance
    person: Person
    place: Place
    response_url: str = ""
    pressed: str = ""
    private: bool = False
    threaded: bool = False

    @property
    def hidden(self) -> bool:
        """Whether only the person who asked sees that anything was asked, and so the answer."""
        return self.kind is Kind.COMMAND or self.private


# --- text ------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"<([^<>]*)>")


def plain(text: str) -> str:
    """What a person typed, from what Slack made of it.

    Slack writes `&`, `<` and `>` as entities and puts references into angle brackets
    (https://docs.slack.dev/messaging/formatting-message-text, and `should_escape` of slash commands).
    """
    parts: list[str] = []
    reached = 0
    for found in _TOKEN.finditer(text):
        parts += [_unescape(text[reached : found.start()]), _unescape(_spoken(found[1]))]
        reached = found.end()
    return "".join([*parts, _unescape(text[reached:])])


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _spoken(token: str) -> str:
    what, _, label = token.partition("|")
    match what[:1]:
        case "@" | "#":
            return what[0] + (label or what[1:]).removeprefix(what[0])
        case "!":
            return label or "@" + what[1:].partition("^")[0]
        case _:
            return label or what.removeprefix("mailto:").removeprefix("tel:")


def without_mention(text: str, bot_user: str) -> str:
    """The text without the first mention of the bot, wherever it stands."""
    if not bot_user:
        return text.strip()
    left = re.sub(rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>[ \t]?[:,]?", " ", text, count=1)
    return left.strip()


# --- payloads --------------------------------------------------------------------------------------------------

_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}", re.ASCII)
_TS = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)
_SUBTYPES = frozenset({"", "file_share", "thread_broadcast", "me_message"})


class Unreadable(Exception):
    """A payload without what every payload of its kind has."""


def _map(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object, what: str) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise Unreadable(f"no usable {what}")


def _ts(value: object) -> str:
    return value if isinstance(value, str) and _TS.fullmatch(value) else ""


def _place(home: str, channel: str, *, name: str = "", thread: str = "") -> Place:
    if channel.startswith("D"):
        visibility = Visibility.PERSONAL
    elif name.startswith("mpdm-"):
        visibility = Visibility.GROUP
    else:
        visibility = Visibility.CHANNEL
    named = "" if name in ("directmessage", "privategroup") else name
    return Place("slack", home, channel, visibility, thread=thread, name=named)


def read_command(body: Json) -> Incoming:
    """A slash command (https://docs.slack.dev/interactivity/implementing-slash-commands).

    Raises:
        Unreadable: It is none.
    """
    home = _id(body.get("team_id") or body.get("enterprise_id"), "team")
    return Incoming(
        kind=Kind.COMMAND,
        delivery=_text(body.get("trigger_id")),
        said=Said(plain(_text(body.get("text")))),
        person=Person("slack", home, _id(body.get("user_id"), "user"), _text(body.get("user_name"))),
        place=_place(home, _id(body.get("channel_id"), "channel"), name=_text(body.get("channel_name"))),
        response_url=_text(body.get("response_url")),
    )


def read_message(body: Json, bot_user: str) -> Incoming | None:
    """A mention, or a message in the bot's own direct conversation; None for everything else, bots' messages included.

    Args:
        body: The payload of an `event_callback`.
        bot_user: The bot's own user id, empty while it is not known.

    Raises:
        Unreadable: It is neither.
    """
    said = _map(body.get("event"))
    channel = _text(said.get("channel"))
    direct = said.get("channel_type") == "im" or channel.startswith("D")
    if (
        said.get("type") != ("message" if direct else "app_mention")
        or _text(said.get("subtype")) not in _SUBTYPES
        or any(said.get(mark) for mark in ("bot_id", "bot_profile", "hidden", "edited"))
        or not said.get("user")
        or said.get("user") in (bot_user, "USLACKBOT")
    ):
        return None
    installed = body.get("authorizations")
    first = _map(installed[0]) if isinstance(installed, list) and installed else {}
    home = _id(first.get("team_id") or body.get("team_id"), "team")
    ts, thread = _ts(said.get("ts")), _ts(said.get("thread_ts"))
    sender = _text(said.get("user_team") or said.get("team")) or home
    return Incoming(
        kind=Kind.DIRECT if direct else Kind.MENTION,
        delivery=_text(body.get("event_id")),
        said=Said(plain(without_mention(_text(said.get("text")), bot_user))),
        person=Person("slack", _id(sender, "team"), _id(said.get("user"), "user")),
        place=_place(home, _id(channel, "channel"), thread=thread or ("" if direct else ts)),
        threaded=bool(thread),
    )


def read_click(body: Json) -> Incoming | None:
    """A button or a menu entry (`block_actions`); None where it only opened a page.

    Raises:
        Unreadable: It is none, or it stood in no conversation.
    """
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    said: Utterance | None
    try:
        said = read_action(action, body.get("state"))
    except BadArgument:
        said = Clicked()
    if said is None:
        return None
    person, home = _person(body)
    container, message = _map(body.get("container")), _map(body.get("message"))
    channel = _map(body.get("channel"))
    private = container.get("is_ephemeral") is True or message.get("is_ephemeral") is True
    thread = _ts(container.get("thread_ts")) or _ts(message.get("thread_ts"))
    ts = _ts(container.get("message_ts")) or _ts(message.get("ts"))
    return Incoming(
        kind=Kind.CLICK,
        delivery=_text(body.get("trigger_id")),
        said=said,
        person=person,
        place=_place(
            home,
            _id(channel.get("id") or container.get("channel_id"), "channel"),
            name=_text(channel.get("name")),
            thread="" if thread == ts else thread,
        ),
        response_url=_text(body.get("response_url")),
        pressed="" if private else ts,
        private=private,
        threaded=bool(thread),
    )


def read_action(action: object, state: object = None) -> Clicked | None:
    """One entry of `actions` in a `block_actions` payload; None where a page was opened.

    Args:
        action: The entry.
        state: What stands in the message's fields.

    Raises:
        BadArgument: Not one of our buttons.
    """
    if isinstance(action, Mapping):
        verb = str(action.get("action_id", "")).partition(":")[0]
        chosen = action.get("selected_option")
        value = chosen.get("value") if isinstance(chosen, Mapping) else action.get("value")
        return decode(verb, value, _typed(state))
    return decode("", None)


def _typed(state: object) -> str:
    """What stands in the text field of a message; it has one at most."""
    fields = [_map(_map(block).get(TYPED)) for block in _map(_map(state).get("values")).values()]
    return next((text for each in fields if (text := _text(each.get("value")))), "")


def _person(body: Json) -> tuple[Person, str]:
    user, team = _map(body.get("user")), _map(body.get("team"))
    own = user.get("team_id") or team.get("id")
    home = _id(team.get("id") or own or _map(body.get("enterprise")).get("id"), "team")
    name = _text(user.get("username")) or _text(user.get("name"))
    return Person("slack", _id(own or home, "team"), _id(user.get("id"), "user"), name), home
