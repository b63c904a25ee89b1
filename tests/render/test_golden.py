"""The family of cards in every form, held against golden files and against the platforms' rules."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from adapters.slack import blocks as slack
from adapters.teams import adaptive as teams
from adapters.terminal.text import render_rich, render_text
from bot.model import errors
from bot.model.cards import (
    Action,
    Block,
    Card,
    Cell,
    Chart,
    Choices,
    Drawing,
    Facts,
    Notice,
    Status,
    Table,
    Tone,
    Verdict,
    buttons,
)
from bot.render.card_json import to_json
from tests.platform_rules import assert_slack_ok, assert_teams_ok
from tests.render.family import BARS, COURSE, FAILURES, FAMILY, HOSTILE_CARD, STOCK, STOPPED

Golden = Callable[[str, object], None]
OTHERS = {"mention", "drawn charts"}


@pytest.mark.parametrize("name", FAMILY)
def test_a_card_looks_as_reviewed_on_every_platform(name: str, assert_golden: Golden) -> None:
    answer = FAMILY[name]
    card, reader = answer.card, answer.reader
    message = slack.render(card, reader)
    rendered = teams.render(card, reader)
    assert_slack_ok(message)
    assert_teams_ok(rendered)
    console = Console(width=90, file=io.StringIO(), color_system=None)
    console.print(render_rich(card, reader))
    drawn = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert_golden(
        name,
        {
            "text": render_text(card, reader).split("\n"),
            "rich": [line.rstrip() for line in drawn.split("\n")],
            "slack": {"text": message.text, "blocks": message.blocks},
            "teams": rendered,
            "json": to_json(answer),
        },
    )


def test_charts_that_platforms_draw_look_as_reviewed(assert_golden: Golden) -> None:
    shown: dict[str, Any] = {}
    for answer in (BARS, COURSE, STOCK):
        message = slack.render(answer.card, answer.reader, charts=True)
        assert_slack_ok(message)
        card = teams.render(answer.card, answer.reader, charts=True)
        assert_teams_ok(card)
        shown[answer.card.headline] = {"slack": message.blocks, "teams": card["body"]}
    assert_golden("drawn charts", shown)


def test_a_mention_looks_as_reviewed(assert_golden: Golden) -> None:
    shown: dict[str, Any] = {}
    for name, answer in (("fair", STOPPED), ("hostile", HOSTILE_CARD)):
        assert answer.mention
        message = slack.render_mention(answer.mention, answer.card.headline)
        assert_slack_ok(message)
        card = teams.render_mention(answer.mention, answer.card.headline)
        assert_teams_ok(card)
        shown[name] = {"slack": {"text": message.text, "blocks": message.blocks}, "teams": card}
    assert_golden("mention", shown)


def test_no_golden_file_is_left_over() -> None:
    there = {file.stem for file in (Path(__file__).parent / "golden").iterdir()}
    assert there == set(FAMILY) | OTHERS


def test_the_family_holds_every_block_cell_action_tone_and_status() -> None:
    cards = [each.card for each in FAMILY.values()]
    found = {type(part) for card in cards for part in _parts(card)}
    for union in (Block, Cell, Action):
        assert set(get_args(union)) <= found
    assert {card.status for card in cards} == set(Status)
    every = [button for card in cards for button in buttons(card)]
    notices = [block for card in cards for block in card.blocks if isinstance(block, Notice)]
    charts = [block for card in cards for block in card.blocks if isinstance(block, Chart)]
    assert {button.tone for button in every} == set(Tone)
    assert {notice.tone for notice in notices} == set(Tone)
    assert {each.drawing for each in charts} == set(Drawing)
    assert set(Verdict) <= {getattr(part, "verdict", None) for card in cards for part in _parts(card)}


def test_the_family_holds_every_error_that_is_raised() -> None:
    ours = {each for each in _below(errors.BotError) if each.__module__ == "bot.model.errors"}
    leaves = {each for each in ours if ours.isdisjoint(each.__subclasses__())}
    assert {type(error) for error in FAILURES} == leaves


def _below(kind: type[errors.BotError]) -> Iterator[type[errors.BotError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _parts(card: Card) -> Iterator[object]:
    yield from (button.action for button in buttons(card))
    for block in card.blocks:
        yield block
        match block:
            case Facts(facts):
                yield from (fact.value for fact in facts)
            case Table():
                yield from (cell for row in block.rows for cell in row)
            case Chart(points=points):
                yield from (cell for point in points for cell in (point.label, point.value))
            case Choices(_, options):
                yield from (option.action for option in options)
            case _:
                pass
