"""Lists on cards: a page at a time, with buttons to the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bot.model.cards import Button, Cell, Column, Run, Table
from bot.model.errors import BadArgument
from bot.model.intents import Intent

T = TypeVar("T")

PAGE = 10
"""Rows of a table on one card: what a phone shows without endless scrolling."""


def page_of(items: Sequence[T], page: int, size: int = PAGE) -> Sequence[T]:
    """The items of one page; pages count from 1.

    Raises:
        BadArgument: There is no such page.
    """
    pages = max(1, -(-len(items) // size))
    if page > pages:
        raise BadArgument(
            f"There is no page {page}.", hint=f"The last one is page {pages}.", undone="Nothing was changed."
        )
    return items[(page - 1) * size : page * size]


def table(
    intent: Intent,
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    *,
    page: int,
    size: int = PAGE,
    total: int | None = None,
) -> Table:
    """One page as a table. `total` is how many rows there are; `rows` are those of this page."""
    left = 0 if total is None else max(0, total - page * size)
    more = Button(f"Next {min(left, size)}", Run(_at(intent, page + 1))) if left else None
    return Table(tuple(columns), tuple(rows), more=more, hidden=left)


def back(intent: Intent, page: int) -> tuple[Button, ...]:
    """A button to the page before, where there is one."""
    return (Button("Back", Run(_at(intent, page - 1))),) if page > 1 else ()


def _at(intent: Intent, page: int) -> Intent:
    changed: dict[str, Any] = {"page": page}
    return replace(intent, **changed)


def count(number: int, one: str, several: str = "") -> str:
    """A number with its noun: `1 job`, `3 jobs`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
