"""Nothing that people type ends in "something unexpected": every command's parts left out, and made-up texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from bot.commands import COMMANDS
from bot.language.declare import clauses
from bot.language.say import say
from bot.model.people import Said
from tests.fuzz.typed import Typist, answered, bot, faults
from tests.story import StoryClock

SOME = 25
"""Texts in a test run; `make fuzz` types for two minutes."""


def incomplete() -> Iterator[str]:
    """Every command's example, with each choice of its clauses left out."""
    for command in COMMANDS:
        given = [each for each, _ in clauses(command.intent)]
        given = [each for each in given if getattr(command.example, each.name) != each.default]
        for count in range(1, len(given) + 1):
            for left_out in combinations(given, count):
                yield say(replace(command.example, **{each.name: each.default for each in left_out}))


async def test_a_sentence_with_parts_left_out_is_answered() -> None:
    async with bot(StoryClock(still=True)) as scene:
        for number, text in enumerate(dict.fromkeys(incomplete())):
            found, _ = await answered(scene, Said(text), number)
            assert not found, f"{text!r}: {found}"


@pytest.mark.parametrize("seed", [1, 2])
async def test_made_up_texts_are_answered_with_cards_that_every_format_can_show(seed: int) -> None:
    typist = Typist(seed)
    async with bot(StoryClock(still=True)) as scene:
        for number in range(SOME):
            text, found, _ = await faults(scene, typist, number)
            assert not found, f"{text!r}: {found}"
