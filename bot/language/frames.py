"""From a path through a sentence to the intents that have a place for everything on it, each name decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from bot.language.declare import (
    Where,
    clauses,
)
from bot.language.drafts import Draft
from bot.language.edges import Cost, Edge, Named
from bot.language.lexicon import Lexicon
from bot.language.making import Maker
from bot.language.scope import Scope
from bot.language.slots import STATES, Unfit
from bot.language.vocabulary import SILENT, Class, Sense
from bot.model.intents import Intent
from bot.model.names import Kind

_BY_NOTHING = 2
"""What the values of a field are worth where only the field was named, and help where nothing was."""
_KIND_WORDS: Mapping[str, frozenset[Kind]] = {
    "kpi": frozenset({Kind.KPI}),
    "kpis": frozenset({Kind.KPI}),
    "job": frozenset({Kind.JOB}),
    "jobs": frozenset({Kind.JOB, Kind.POOL}),
    "model": frozenset({Kind.MODEL}),
    "data": frozenset({Kind.RECORD}),
    "records": frozenset({Kind.RECORD}),
    "fields": frozenset({Kind.FIELD}),
    "filters": frozenset({Kind.FILTER}),
    "status": frozenset({Kind.JOB}),
}
"""Questions that may only say what kind of thing a name is of, and of which."""
_SUBJECTS = (Kind.KPI, Kind.JOB, Kind.RECORD, Kind.POOL, Kind.MODEL)


@dataclass(frozen=True, slots=True)
class Frames:
    """What can be asked.

    Attributes:
        by_words: How the exact sentence begins -> its intent.
        opens: The intent that a bare name of a kind stands for.
        kinds: Questions that only say what kind a name is of ("pool").
        help: What a greeting asks for.
    """

    by_words: Mapping[str, type[Intent]]
    opens: Mapping[Kind, type[Intent]]
    help: type[Intent]


def intents(
    path: Sequence[Edge], frames: Frames, scope: Scope, lexicon: Lexicon
) -> Iterator[tuple[Intent, Cost]]:
    """The intents that have a place for everything on a path, each with the roles that were taken without a word for them."""
    asked = list(dict.fromkeys(
        frames.by_words[each.what.value]
        for each in path
        if isinstance(each.what, Sense) and each.what.what is Class.QUESTION and each.what.value in frames.by_words
    ))  # fmt: skip
    kinds = {each.what.kind for each in path if isinstance(each.what, Named)}
    content = [each for each in path if not (isinstance(each.what, Sense) and each.what.what in SILENT)]
    if not content:
        yield frames.help(), Cost(missing=_BY_NOTHING + 1)
        return
    candidates: list[tuple[type[Intent], Intent | None, int]] = [
        (each, None, len(asked) - 1) for each in asked
    ]
    spare = {each for each in asked if kinds.isdisjoint(_KIND_WORDS.get(each.words, ()))}
    if not spare:
        opened = next(
            (frames.opens[kind] for kind in _SUBJECTS if kind in kinds and kind in frames.opens), None
        )
        if opened is not None:
            candidates.append((opened, None, len(asked) + (_follows(path) and scope.last is not None)))
        elif kinds & {Kind.FIELD, Kind.FILTER} and not _conditional(scope.last):
            candidates.append((frames.opens[Kind.RECORD], None, 1))
            if Kind.FIELD in frames.opens:
                candidates.append((frames.opens[Kind.FIELD], None, 0))
        elif (
            not kinds
            and (jobs := frames.by_words.get("jobs"))
            and type(scope.last) is not jobs
            and any(map(_job_state, content))
        ):  # "what's running"
            candidates.append((jobs, None, 1))
        if scope.last is not None and (opened is None or _follows(path)):
            candidates.append((type(scope.last), scope.last, 0 if _follows(path) else 2))
    if (
        not kinds
        and [each.words for each in asked] == ["count"]
        and (counted := _recast(scope.last, asked[0]))
    ):
        candidates.append((asked[0], counted, 0))  # "how many are that"
    for intent, base, roles in candidates:
        if spare - {intent}:
            continue  # it would drop what else was asked
        try:
            draft = Draft(intent, base)
            for at, edge in enumerate(path):
                draft.take(edge, path[at + 1 :])
            maker = Maker(draft, scope, lexicon)
            for made, more in maker.made():
                bare = intent is frames.opens.get(Kind.FIELD) and not asked
                missing = _BY_NOTHING if bare or maker.implied else 0
                yield made, Cost(unknown=draft.guessed(), missing=missing, roles=roles + more)
        except Unfit:
            continue


def _conditional(intent: Intent | None) -> bool:
    """Whether a question has conditions, so that a field can be added to it."""
    return intent is not None and any(isinstance(how.takes, Where) for _, how in clauses(type(intent)))


def _job_state(edge: Edge) -> bool:
    return isinstance(edge.what, Sense) and edge.what.what is Class.FIXED and edge.what.value in STATES


def _recast(last: Intent | None, intent: type[Intent]) -> Intent | None:
    """The last question's record, conditions and filters as another question about them."""
    if last is None or getattr(last, "record", None) is None:
        return None
    names = {each.name for each in fields(cast("Any", intent))}
    same = {each.name: getattr(last, each.name) for each in fields(cast("Any", last)) if each.name in names}
    return intent(**same)


def _follows(path: Sequence[Edge]) -> bool:
    return any(
        isinstance(each.what, Sense) and each.what.what in {Class.FOLLOW, Class.AND}
        for each in (*path[:1], *path[-1:])
    )
