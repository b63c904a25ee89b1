"""Ids on their way into an address: checked, then sent as exactly one path segment."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from bot.model.errors import BadArgument

LONGEST = 256


def checked_id(text: str, *, in_list: bool = False) -> str:
    """An id that can be put into a request.

    Args:
        text: From a person, a button or Celonis itself.
        in_list: It will stand in a list with commas between the ids.

    Raises:
        BadArgument: It is empty, longer than 256 characters, or holds a slash, two dots in a row, a control or
            invisible formatting character, or (in a list) a comma.
    """
    if not text or len(text) > LONGEST:
        raise BadArgument(
            f"An id of Celonis has 1 to {LONGEST} characters; this one has {len(text)}.",
            undone="Nothing was asked.",
        )
    strange = text.strip(" ") != text or text == "." or ".." in text or "/" in text or "\\" in text
    hidden = any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in text)
    if strange or hidden or (in_list and "," in text):
        raise BadArgument(
            "That is not an id of Celonis: it holds characters that no id has.",
            hint="Say the name as it stands in Celonis.",
            undone="Nothing was asked.",
        )
    return text


def segment(text: str) -> str:
    """A checked id as one encoded path segment.

    Raises:
        BadArgument: As for `checked_id`.
    """
    return quote(checked_id(text), safe="")
