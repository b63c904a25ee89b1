"""What one rule of the policy says: to whom it applies, and how far it reaches on what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache

from bot.config import On, Rule, Who
from bot.model.names import Name
from bot.model.people import Person, Place, Profile


@dataclass(frozen=True, slots=True)
class Touch:
    """One thing that an answer or a write touches, with all that it lies in; names as Celonis has them, with ids.

    Without a connection it is nobody's and is refused; `Touch()` means nothing in particular.
    """

    connection: Name | None = None
    model: Name | None = None
    record: Name | None = None
    field: Name | None = None
    kpi: Name | None = None
    filter: Name | None = None
    pool: Name | None = None
    job: Name | None = None
    data_model: Name | None = None
    space: Name | None = None
    package: Name | None = None
    analysis: Name | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Who asks, what is known of them, and where. Two are never equal: what is kept for one is found by the object."""

    person: Person
    profile: Profile
    place: Place


def given_by(touch: Touch) -> dict[str, Name]:
    return {each: name for each in _DIMENSIONS if (name := getattr(touch, each)) is not None}


# --- patterns --------------------------------------------------------------------------------------------------


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    """Patterns with `*` and `?`; brackets are themselves, since names in Celonis hold them."""
    parts = (
        "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in folded(pattern))
        for pattern in patterns
    )
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)


class Patterns:
    """Patterns of one dimension: of the name, or the exact id."""

    __slots__ = ("_ids", "_name")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._name = _compiled(patterns)
        self._ids = frozenset(patterns)

    def match(self, name: Name, *, ids: bool = False) -> bool:
        """Whether a name or its exact id is meant; with `ids`, patterns are of the id too."""
        return bool(
            (name.id and name.id in self._ids)
            or self._name.fullmatch(folded(name.text))
            or (ids and name.id and self._name.fullmatch(folded(name.id)))
        )


_PARENT = {
    "model": "connection",
    "record": "model",
    "field": "record",
    "kpi": "model",
    "filter": "model",
    "pool": "connection",
    "job": "pool",
    "data_model": "pool",
    "space": "connection",
    "package": "space",
    "analysis": "package",
}
_DIMENSIONS = tuple(each.name for each in fields(Touch))
_BRANCHES = (
    frozenset({"pool", "job", "data_model"}),
    frozenset({"model", "record", "field", "kpi", "filter"}),
    frozenset({"space", "package", "analysis"}),
)

_LINES = {"connection": frozenset({"connection"})}
"""Each dimension with everything that it lies in."""
for _each, _parent in _PARENT.items():
    _LINES[_each] = _LINES[_parent] | {_each}


@lru_cache(maxsize=1024)
def leaves_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Those in which none of the others lies."""
    return tuple(
        each for each in given if not any(each != other and each in _LINES[other] for other in given)
    )


class Reach(IntEnum):
    """How far a rule reaches for a touched thing."""

    NOT = 0
    CONTAINS = 1
    COVERS = 2


_Branch = Mapping[str, Patterns]
"""One branch of what a rule grants on: a pattern for each dimension that it speaks of."""


def _branches(on: On) -> tuple[_Branch, ...]:
    given = {each: Patterns(getattr(on, each)) for each in _DIMENSIONS if getattr(on, each)}
    if sum(not branch.isdisjoint(given) for branch in _BRANCHES) > 1:
        return ()
    leaves = leaves_of(tuple(given)) or ("connection",)
    return tuple({key: each for key, each in given.items() if key in _LINES[leaf]} for leaf in leaves)


def _reach(branch: _Branch, given: Mapping[str, Name], leaf: str) -> Reach:
    deeper = False
    for dimension, patterns in branch.items():
        if dimension in _LINES[leaf]:
            name = given.get(dimension)
            if name is None or not patterns.match(name, ids=dimension == "connection"):
                return Reach.NOT
        elif leaf in _LINES[dimension]:
            deeper = True
        else:
            return Reach.NOT
    return Reach.CONTAINS if deeper else Reach.COVERS


# --- people ----------------------------------------------------------------------------------------------------


def same(platform: str, text: str) -> str:
    """An id for comparing: UUIDs of Teams in any case, all else exact."""
    return text.casefold() if platform == "teams" else text


def at_home(person: Person, place: Place) -> bool:
    platform = person.platform
    return platform == "local" or same(platform, person.home) == same(platform, place.home)


def _key(platform: str, home: str, name: str) -> str:
    """A place for comparing."""
    return f"{platform}:{same(platform, home)}:{name}"


class _People:
    """The `who` of a rule, made ready for asking."""

    __slots__ = ("_email", "_groups", "_ids", "_places", "named")

    def __init__(self, who: Who) -> None:
        self._ids = {
            "slack": frozenset(who.slack),
            "teams": frozenset(same("teams", each) for each in who.teams),
            "local": frozenset(f":{each}" for each in who.local),
        }
        self._groups = frozenset(who.groups)
        self._email = _compiled(who.email) if who.email else None
        self._places = frozenset(_key(*each.split(":", 2)) for each in who.places)
        self.named = who.persons
        """Whether it names any person, and not places alone."""

    def here(self, place: Place) -> bool:
        if not self._places:
            return True
        here = {_key(place.platform, place.home, each) for each in (place.id, "*")}
        return place.id != "*" and not self._places.isdisjoint(here)

    def match(self, asker: Asker) -> bool:
        if not self.here(asker.place):
            return False
        if not self.named:
            return bool(self._places) and at_home(asker.person, asker.place)
        return self._by_id(asker.person) or self._by_group(asker) or self._by_email(asker)

    def _by_id(self, person: Person) -> bool:
        home = "" if person.platform == "local" else person.home
        ids = {same(person.platform, f"{home}:{each}") for each in (person.id, "*")}
        return not ids.isdisjoint(self._ids.get(person.platform, ()))

    def _by_group(self, asker: Asker) -> bool:
        prefix, groups = f"{asker.person.platform}:{asker.person.home}:", asker.profile.groups or frozenset()
        return any(
            each.startswith(prefix) and (each in groups or each.removeprefix(prefix) in groups)
            for each in self._groups
        )

    def _by_email(self, asker: Asker) -> bool:
        email = asker.profile.email
        return bool(
            self._email is not None
            and email
            and email.count("@") == 1
            and asker.person.platform != "local"
            and at_home(asker.person, asker.place)
            and self._email.fullmatch(folded(email))
        )


class CompiledRule:
    """A rule made ready for asking."""

    __slots__ = ("branches", "external", "label", "people", "questions", "rights")

    def __init__(self, number: int, rule: Rule) -> None:
        self.label = f"rule {number}: {rule.name}" if rule.name else f"rule {number}"
        self.people = _People(rule.who)
        self.rights = rule.may
        self.external = rule.external
        self.questions = rule.questions
        self.branches = _branches(rule.on)

    def reach(self, given: Mapping[str, Name], leaves: tuple[str, ...]) -> Reach:
        return min(
            max((_reach(each, given, leaf) for each in self.branches), default=Reach.NOT) for leaf in leaves
        )
