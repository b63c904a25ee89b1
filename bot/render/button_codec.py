"""Actions on buttons: what leaves the product so that it can come back.

Every platform writes its buttons with `encode` and reads them with `decode`, so that a sentence or a ticket
means the same wherever it was pressed. What comes back is a claim of the client's: shapes are checked here, rights later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias, assert_never
from urllib.parse import urlsplit

from bot.language.declare import TYPED
from bot.language.say import say, with_typed
from bot.model.cards import (
    Action,
    Button,
    Confirm,
    Dismiss,
    OpenUrl,
    Run,
    Submit,
)
from bot.model.errors import BadArgument
from bot.model.people import Clicked

Json: TypeAlias = dict[str, Any]
Shorten: TypeAlias = Callable[[str], str]
"""Gives the short stand-in for a sentence that a button cannot carry. The sentence was stored before; the stand-in comes
back as `Clicked.sentence`, and whoever handed it out knows what it stands for."""


class Verb(StrEnum):
    """What a press asks for; also the key of its value where a platform takes an object instead of text."""

    RUN = "run"
    SUBMIT = "submit"
    CONFIRM = "confirm"
    DISMISS = "dismiss"
    PICK = "pick"
    OPEN = "open"


LONGEST_TYPED = 200
"""Characters that a text field takes."""
_LONGEST_SENTENCE = 4000
_ID = re.compile(r"[A-Za-z0-9_.~:-]{1,140}\Z")
_UNFIT_TO_TRAVEL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\\s|\\s$")


def encode(action: Action, fits: Callable[[str], bool], shorten: Shorten | None = None) -> tuple[Verb, str]:
    """An action as a verb and a text.

    Args:
        action: What the button does.
        fits: Whether the platform can carry a text in this spot.
        shorten: Gives the stand-in for a sentence that does not fit.

    Raises:
        ValueError: Something does not fit and nobody gave a stand-in that does. A ticket or an address never
            has one.
    """
    verb, text = _spelt(action)
    if _can_travel(text, fits):
        return verb, text
    stand_in = shorten(text) if shorten is not None and verb in {Verb.RUN, Verb.SUBMIT} else ""
    if _can_travel(stand_in, fits):
        return verb, stand_in
    raise ValueError(f"a button cannot carry this text of {len(text)} characters; shorten it first")


def pack(action: Action, fits: Callable[[str], bool], shorten: Shorten | None = None) -> str:
    """An action as one text, for an entry of a menu; `decode(Verb.PICK, text)` reads it back. Raises as `encode` does."""
    verb, _ = _spelt(action)
    _, value = encode(action, lambda text: fits(f"{verb}:{text}"), shorten)
    return f"{verb}:{value}"


def _spelt(action: Action) -> tuple[Verb, str]:
    match action:
        case Run(intent):
            return Verb.RUN, say(intent)
        case Submit(intent):
            return Verb.SUBMIT, say(intent)
        case Confirm(ticket):
            return Verb.CONFIRM, ticket
        case Dismiss(ticket):
            return Verb.DISMISS, ticket
        case OpenUrl(url):
            return Verb.OPEN, url
        case _:
            assert_never(action)


def _can_travel(text: str, fits: Callable[[str], bool]) -> bool:
    return bool(text) and fits(text) and not _UNFIT_TO_TRAVEL.search(text)


def decode(verb: str, value: object, typed: object = None) -> Clicked | None:
    """What was pressed.

    Args:
        verb: What the button asks for.
        value: What it carries.
        typed: What stands in the text field that belongs to it.

    Returns:
        The click; None where the platform itself has done all there was to do (it opened a page).

    Raises:
        BadArgument: Not one of our buttons.
    """
    if verb == Verb.OPEN:
        return None
    if verb == Verb.SUBMIT and isinstance(value, str) and value.strip():
        return _decode_value(Verb.RUN, with_typed(value, typed if isinstance(typed, str) else ""))
    if verb == Verb.PICK and isinstance(value, str):
        inner, _, rest = value.partition(":")
        return _decode_value(inner, rest)
    return _decode_value(verb, value)


def _decode_value(verb: str, value: object) -> Clicked:
    if isinstance(value, str):
        match verb:
            case Verb.RUN if value.strip() and len(value) <= _LONGEST_SENTENCE:
                return Clicked(sentence=value)
            case Verb.CONFIRM if _ID.match(value):
                return Clicked(confirm=value)
            case Verb.DISMISS if _ID.match(value):
                return Clicked(dismiss=value)
    raise BadArgument(
        "This button is not one I made, or it arrived broken.",
        hint="Ask again, and use the new buttons.",
    )


def decode_data(data: object) -> Clicked:
    """What was pressed, where the platform sends an object: `{"run": …}`, `{"pick": <input>, <input>: <entry>}`, or
    `{"submit": …, "typed": <text>}`.

    Raises:
        BadArgument: Not one of our buttons, or more than one at once.
    """
    if isinstance(data, Mapping):
        verbs = [verb for verb in Verb if verb in data and verb != Verb.OPEN]
        if len(verbs) == 1:
            value = data[verbs[0]]
            if verbs[0] == Verb.PICK:
                value = data.get(value) if isinstance(value, str) else None
                if value in (None, ""):
                    raise BadArgument(
                        "Nothing was chosen.", hint="Choose an entry of the list, then press the button."
                    )
            found = decode(verbs[0], value, data.get(TYPED))
            if found is not None:
                return found
    return _decode_value("", None)


def safe_url(url: str) -> bool:
    """Whether an address may become a link: https, a host, nobody's password in it, nothing invisible."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not re.search(r"[\s<>|\"\\]", url)
    return plain and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


def can_be_pressed(button: Button, longest: int) -> bool:
    """Whether a button does something: a page is only opened at a safe address of at most so many characters."""
    match button.action:
        case OpenUrl(url):
            return safe_url(url) and len(url) <= longest
        case _:
            return True
