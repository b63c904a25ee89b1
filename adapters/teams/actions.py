"""Six actions are all that a card in Teams has: which button goes where. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from bot.model.cards import (
    Action,
    Button,
    Card,
    Choices,
    Confirm,
    Dismiss,
    OpenUrl,
    Run,
    Submit,
    buttons_of,
)
from bot.render.button_codec import can_be_pressed
from bot.render.layout import can_be_buttons

ACTIONS = 6
"""Teams drops the others without a word."""

VALUE = 500
"""Ours: the most that a button carries, so that six of them leave room for the card."""


@dataclass(slots=True)
class Plan:
    """How at most six actions reach everything that can be pressed.

    Attributes:
        menus: Blocks (by position) whose choices become a menu with one action.
        moved: Blocks whose buttons do not stand with them but in the last menu.
        bottom: Buttons at the end of the card.
        rest: What the last menu holds.
        lost: Pages to open for which there is no room; a menu cannot open pages.
    """

    menus: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    bottom: list[Button] = field(default_factory=list)
    rest: list[Button] = field(default_factory=list)
    lost: list[Button] = field(default_factory=list)


def planned(card: Card) -> Plan:
    """Which button of a card goes where: answers to a question first."""
    plan = Plan()
    within = [buttons_of(block) for block in card.blocks]
    pages = [each for found in within for each in found if isinstance(each.action, OpenUrl)]
    own = {
        index: [each for each in found if not isinstance(each.action, OpenUrl)]
        for index, found in enumerate(within)
    }
    bottom = [*card.buttons, *pages]
    plan.lost = [each for each in bottom if not can_be_pressed(each, VALUE)]
    bottom = [each for each in bottom if can_be_pressed(each, VALUE)]

    plan.menus = {
        index
        for index, found in own.items()
        if isinstance(card.blocks[index], Choices) and not can_be_buttons(found)
    }
    cost = {index: 1 if index in plan.menus else len(found) for index, found in own.items()}
    if sum(cost.values()) + len(bottom) > ACTIONS:
        plan.menus = {index for index, found in own.items() if len(found) > 1}
        cost = {index: min(1, len(found)) for index, found in own.items()}
    if sum(cost.values()) + len(bottom) <= ACTIONS:
        plan.bottom = bottom
        return plan

    # One action is the last menu's. Answers to a question come first, then what stands in the blocks, then the others.
    left = ACTIONS - 1
    by_rank = sorted(range(len(bottom)), key=lambda at: (_rank(bottom[at].action), at))
    urgent = [at for at in by_rank if _rank(bottom[at].action) == 0][:left]
    left -= len(urgent)
    for index, found in own.items():
        if cost[index] > left:
            plan.moved.add(index)
            # A menu takes no text.
            plan.rest.extend(each for each in found if not isinstance(each.action, Submit))
        left -= 0 if index in plan.moved else cost[index]
    kept = {*urgent, *[at for at in by_rank if at not in urgent][:left]}
    plan.bottom = [each for at, each in enumerate(bottom) if at in kept]
    others = [each for at, each in enumerate(bottom) if at not in kept]
    plan.rest.extend(each for each in others if not isinstance(each.action, OpenUrl))
    plan.lost.extend(each for each in others if isinstance(each.action, OpenUrl))
    return plan


def _rank(action: Action) -> int:
    match action:
        case Confirm() | Dismiss():
            return 0
        case OpenUrl():
            return 1
        case Run() | Submit():
            return 2
        case _:
            assert_never(action)
