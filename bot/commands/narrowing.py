"""Conditions of a question about rows: as they are said, how to do without one, and how to ask for other rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias

from bot.catalog import Item, Seen
from bot.commands.cells import is_numeric
from bot.language.dates import DATES
from bot.language.declare import map_names
from bot.language.say import say, spoken
from bot.model.cards import Block, Button, Card, Choices, Run, Text
from bot.model.intents import Comparison, Condition, Intent, Op, SortKey, all_of, comparisons, parts_of
from bot.model.names import Kind, Name, fold

LONGEST_CONDITION = 60
MOST_CONDITIONS = 3
"""Characters and number of the conditions that a headline holds; where that is not all, the card begins with all."""
EACH = 3
"""Ways of each kind in the list of changes."""
LONGEST_CHANGE = 400
"""Characters of a sentence in that list: a longer one costs more to keep than it is worth."""
_LONGEST_VALUE = 40

Row: TypeAlias = Mapping[str, Any]


def under(
    where: Condition | None, filters: Sequence[Name], search: str = "", within: Name | None = None
) -> str:
    """What narrows an answer, as its headline says it: every condition, or how many more there are."""
    said = _said(where, filters, search, within)
    shown = [each for each in said if len(each) <= LONGEST_CONDITION][:MOST_CONDITIONS]
    left = len(said) - len(shown)
    more = f", + {left} {'condition' if left == 1 else 'conditions'}" if left else ""
    return "".join(f", {each}" for each in shown) + more


def whole(intent: Any) -> tuple[Text, ...]:
    """Every condition, where a headline does not hold all of them."""
    said = _said(intent.where, intent.filter, *_searched(intent))
    fits = len(said) <= MOST_CONDITIONS and all(len(each) <= LONGEST_CONDITION for each in said)
    return () if fits else (Text(f"Only where {', and '.join(said)}."),)


def _searched(intent: Any) -> tuple[str, Name | None]:
    return getattr(intent, "search", ""), getattr(intent, "within", None)


def _said(where: Condition | None, filters: Sequence[Name], search: str, within: Name | None) -> list[str]:
    said = [*(each.text for each in filters), *(spoken(each) for each in parts_of(where))]
    if search:
        said.append(f"“{search}” in {within.text}" if within else f"“{search}” in any field")
    return said


def loosened(card: Card, intent: Any) -> Card:
    """A card without a row, with every condition and the same question without each of them.

    Args:
        card: What it says so far.
        intent: The question, with `where`, `filter` and maybe `search`.
    """
    where, filters = parts_of(intent.where), intent.filter
    options = [
        Button(
            f"Without {each.text}", Run(replace(intent, filter=tuple(one for one in filters if one != each)))
        )
        for each in filters
    ]
    options += [
        Button(
            f"Without {spoken(each)}",
            Run(replace(intent, where=all_of([one for one in where if one is not each]))),
        )
        for each in where
    ]
    search, within = _searched(intent)
    if search:
        without: dict[str, Any] = {"search": "", "within": None}
        (text,) = _said(None, (), search, within)
        options.append(Button(f"Without {text}", Run(replace(intent, **without))))
    if not options:
        return card
    prompt = "The same with one condition less:" if len(options) > 1 else "The same without the condition:"
    return replace(card, blocks=(*whole(intent), *card.blocks, Choices(prompt, tuple(options))))


def changes(
    intent: Any,
    show: Sequence[Name],
    lists: Mapping[Kind, Seen],
    types: Mapping[str, str],
    rows: Sequence[Row],
) -> list[Block]:
    """One short list of ways to ask for other rows: sorted, narrowed, with another column.

    Args:
        intent: What was answered.
        show: Its columns.
        lists: The knowledge models, the records and the fields that are seen; what has a name of its own there goes by it,
            so that most sentences fit into a menu and need not be kept.
        types: Celonis' type of each, by id.
        rows: What is known of what stands in them.
    """
    kinds = (
        _sorted(intent, show, types),
        _only(intent, show, types, rows),
        _added(intent, show, lists[Kind.FIELD]),
    )
    options: list[Button] = []
    for kind in kinds:
        plain = ((label, by_name(changed, lists)) for label, changed in kind)
        fitting = (each for each in plain if len(say(each[1])) <= LONGEST_CHANGE)
        options += [Button(label, Run(changed)) for label, changed in islice(fitting, EACH)]
    return [Choices("Sort, narrow or add a column:", tuple(options))] if options else []


def by_name(intent: Intent, lists: Mapping[Kind, Seen]) -> Intent:
    """An intent without the ids that no other thing's name makes necessary, so that its sentence is short.

    Args:
        intent: Resolved.
        lists: All that is seen of each kind of name that may do without an id.
    """

    def plain(_at: str, kind: Kind, name: Name) -> Name:
        seen = lists.get(kind)
        alone = seen is not None and len(list(islice(seen.called(fold(name.text)), 2))) == 1
        return Name(name.text) if alone else name

    return map_names(intent, plain)


def _sorted(intent: Any, show: Sequence[Name], types: Mapping[str, str]) -> Iterator[tuple[str, Intent]]:
    ordered = [each for each in show if _order(types.get(each.id, "")) is not None]
    plain = [each for each in show if each not in ordered]
    for each in (*ordered, *plain):
        first = _order(types.get(each.id, ""))
        key = SortKey(each, descending=first is not None)
        if intent.sort[:1] != (key,):
            label = f"{each.text}, {first} first" if first else f"{each.text}, A to Z"
            yield label, replace(intent, sort=(key,), page=1)


def _order(kind: str) -> str | None:
    if is_numeric(kind):
        return "highest"
    return "newest" if kind in DATES else None


def _only(
    intent: Any, show: Sequence[Name], types: Mapping[str, str], rows: Sequence[Row]
) -> Iterator[tuple[str, Intent]]:
    """Of each field that holds few different texts, the one that stands there most often."""
    asked = {each.field.id for each in comparisons(intent.where)} if intent.where is not None else set()
    for each in show:
        if types.get(each.id, "string") != "string" or each.id in asked:
            continue
        found = Counter(value for row in rows if isinstance(value := row.get(each.id), str) and value.strip())
        value, times = next(iter(found.most_common(1)), ("", 0))
        if 1 < times < len(rows) and len(value) <= _LONGEST_VALUE:
            one = Comparison(each, Op.EQ, (value,))
            where = all_of((*parts_of(intent.where), one))
            yield f"Only {each.text} {value}", replace(intent, where=where, page=1)


def _added(intent: Any, show: Sequence[Name], fields: Iterable[Item]) -> Iterator[tuple[str, Intent]]:
    for each in fields:
        if each.as_name not in show:
            yield f"Add column {each.name}", replace(intent, show=(*show, each.as_name))
