"""Lists on cards: a page at a time, with buttons to the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bot.model.cards import Button, Card, Cell, Column, Run, Source, Table, Text, headline
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
        raise no_page(page, f"The last one is page {pages}.")
    return items[(page - 1) * size : page * size]


def no_page(page: int, hint: str = "Say a smaller number.") -> BadArgument:
    """What is raised for a page behind the last one."""
    return BadArgument(f"There is no page {page}.", hint=hint, undone="Nothing was changed.")


def table(
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    *,
    page: int,
    total: int,
    size: int = PAGE,
) -> Table:
    """One page as a table. `total` is how many rows there are; `rows` are those of this page."""
    return Table(tuple(columns), tuple(rows), hidden=max(0, total - page * size))


def back(intent: Intent, page: int) -> tuple[Button, ...]:
    """A button to the page before, where there is one."""
    return (Button("Back", Run(_at(intent, page - 1))),) if page > 1 else ()


def turn(intent: Intent, page: int, total: int | None, size: int = PAGE) -> tuple[Button, ...]:
    """Buttons to the pages beside this one, side by side.

    Args:
        intent: What shows the page.
        page: Which one it is, from 1.
        total: How many things there are; None: more than these, and nobody knows how many.
        size: Things on a page.
    """
    left = size if total is None else min(size, total - page * size)
    return *back(intent, page), *((Button(f"Next {left}", Run(_at(intent, page + 1))),) if left > 0 else ())


def span(page: int, shown: int, total: int | None, one: str, size: int = PAGE) -> str:
    """Which of how many things stand on a page: `all 8 rows`, `rows 11-20 of 26`, `rows 11-20, more follow`."""
    first = (page - 1) * size
    if total is not None and total == shown:
        return f"all {count(total, one)}" if total > 1 else count(total, one)
    where = f"{plural(one)} {first + 1:,}-{first + shown:,}"
    return f"{where}, more follow" if total is None else f"{where} of {total:,}"


def _at(intent: Intent, page: int) -> Intent:
    changed: dict[str, Any] = {"page": page}
    return replace(intent, **changed)


def list_card(
    intent: Intent,
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    *,
    page: int,
    total: int,
    what: str,
    of: str,
    model: str = "",
    buttons: tuple[Button, ...] = (),
    source: Source,
) -> Card:
    """A list of things of one kind in something.

    Args:
        intent: What asks for it.
        columns: What is told of each thing.
        rows: The things of this page.
        page: Which one it is, from 1.
        total: How many things there are.
        what: What one of them is called: `record`.
        of: What they are in.
        model: The knowledge model that this is in, if it is none itself.
        buttons: Ways on from here.
        source: Where the list came from.
    """
    within = f", {model}" if model else ""
    return Card(
        headline(f"{count(total, what)} in {of}{_part(page, len(rows), total)}"),
        title=f"{what[0].upper()}{plural(what[1:])} of {of}{within}",
        blocks=(
            table(columns, rows, page=page, total=total) if total else Text(f"No {what} is visible here."),
        ),
        buttons=(*buttons, *turn(intent, page, total)),
        source=source,
    )


def _part(page: int, shown: int, total: int, size: int = PAGE) -> str:
    """Which of them are on this page, where that is not all."""
    first = (page - 1) * size
    return f", {first + 1:,}-{first + shown:,}" if shown < total else ""


def nothing_shared(what: str, grant: str, source: Source) -> Card:
    """Where not even the outermost list holds anything: who can change that.

    Args:
        what: What one of the things is called.
        grant: What a Celonis admin has to grant.
        source: Where the list came from.
    """
    return Card(
        f"No {what} is visible here",
        blocks=(
            Text(
                f"Either nothing is shared with this bot's key (a Celonis admin grants {grant}), or the bot's "
                "policy shows you none."
            ),
        ),
        source=source,
    )


def plural(one: str) -> str:
    """A noun for several: `jobs`, `analyses`."""
    return f"{one[:-2]}es" if one.endswith("is") else f"{one}s"


def count(number: int, one: str) -> str:
    """A number with its noun: `1 job`, `3 jobs`."""
    return f"{number:,} {one if number == 1 else plural(one)}"
