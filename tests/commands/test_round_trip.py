"""Every intent of the real table, with names made of keywords, quotes and operators, is read back as itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands import COMMANDS
from bot.commands.again import AGAIN
from bot.config import GERMAN
from bot.language.parse import Entry, Grammar
from bot.language.phrases import LONGEST
from bot.language.say import say
from tests.language.test_round_trip import ids, intents, texts

GRAMMAR = Grammar([Entry(command.intent, command.aliases) for command in (*COMMANDS, *AGAIN)], GERMAN)


@pytest.mark.parametrize("command", [*COMMANDS, *AGAIN], ids=lambda command: command.intent.words)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_said_is_what_is_read(command: Any, data: st.DataObject) -> None:
    intent = data.draw(intents(command.intent, texts, ids))
    said = say(intent)
    if len(said) <= LONGEST:
        assert GRAMMAR.parse(said) == (intent,), said


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_of_any_kind_crashes_the_real_grammar(text: str) -> None:
    for intent in GRAMMAR.parse(text):
        assert say(intent)
