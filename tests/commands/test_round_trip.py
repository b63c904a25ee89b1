"""Every intent of the real table, with names made of keywords, quotes and operators, is read back as itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands import COMMANDS
from bot.commands.again import AGAIN
from bot.language.parse import LONGEST, Exact
from bot.language.say import say
from tests.language.test_round_trip import ids, intents, texts

EXACT = Exact(tuple(each.intent for each in (*COMMANDS, *AGAIN)))


@pytest.mark.parametrize("command", [*COMMANDS, *AGAIN], ids=lambda command: command.intent.words)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_said_is_what_is_read(command: Any, data: st.DataObject) -> None:
    intent = data.draw(intents(command.intent, texts, ids))
    said = say(intent)
    if len(said) <= LONGEST:
        assert EXACT.parse(said) == intent, said
