"""Who may do what: rules that only ever grant, and everything else is denied.

Pure and without I/O. It is asked twice for each request (this kind of thing at all? these very things?), again for
whoever clicks, and again each time a watch speaks.

How a rule is read:

- It applies to a person when any of its person parts matches, and, where it names places, the place matches too.
  With places alone it applies to every full member there. Persons of another home are matched only by a part that
  spells that home out (`slack`, `teams`, `groups`).
- What it grants on is a tree: connection > knowledge model > record > field, knowledge model > KPI, knowledge
  model > filter, connection > pool > job. A pattern confines the rule to its branch: one with a record pattern
  grants no KPI. Patterns on both branches of the connection grant nothing; the settings refuse such a rule.
- A rule about something deep lets its owner read the containers above it, so that there is a way to it. A container
  never stands for what is in it: whoever shows fields touches each of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache
from typing import Any

from cachetools import LRUCache

from bot.config import Binding, HiddenField, On, Right, Rule, Settings, Who
from bot.model.names import Name
from bot.model.people import Person, Place, Profile, Standing

__all__ = ["Asker", "Decision", "Policy", "Right", "Touch", "View"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Who asks, what is known of them, and where. Two are never equal: what is kept for one is found by the object."""

    person: Person
    profile: Profile
    place: Place


@dataclass(frozen=True, slots=True)
class View:
    """All that decides what somebody may do with a connection from some place; people under the same rules share one.

    Attributes:
        connection: The connection's name in the settings.
        rules: The numbers of the rules that apply, in their order.
        member: Whether they read without a rule.
    """

    connection: str
    rules: tuple[int, ...] = ()
    member: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says.

    Attributes:
        allowed: Whether it may be done.
        rule: What decided: "rule 3: operators", "default: members read", "default: deny", "guests are refused".
        sentence: On a refusal, what is refused; never tells more than the asker may know.
        hint: On a refusal, who can change it.
        questions: Key of the place where the rule wants the question to stand, empty where it does not say.
    """

    allowed: bool
    rule: str
    sentence: str = ""
    hint: str = ""
    questions: str = ""


# --- patterns --------------------------------------------------------------------------------------------------


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    """Patterns with `*` and `?`; brackets are themselves, since names in Celonis hold them."""
    parts = (
        "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in _folded(pattern))
        for pattern in patterns
    )
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)


class _Patterns:
    """Patterns of one dimension: of the name, or the exact id."""

    __slots__ = ("_ids", "_name", "_shown")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._name = _compiled(patterns)
        self._ids = frozenset(patterns)

    def match(self, name: Name, *, ids: bool = False) -> bool:
        """Whether a name or its exact id is meant; with `ids`, patterns are of the id too."""
        return bool(
            (name.id and name.id in self._ids)
            or self._name.fullmatch(_folded(name.text))
            or (ids and name.id and self._name.fullmatch(_folded(name.id)))
        )


_PARENT = {
    "model": "connection",
    "record": "model",
    "field": "record",
    "kpi": "model",
    "filter": "model",
    "pool": "connection",
    "job": "pool",
}
_DIMENSIONS = tuple(each.name for each in fields(Touch))
_JOBS = frozenset({"pool", "job"})
_DATA = frozenset({"model", "record", "field", "kpi", "filter"})


def _line(dimension: str) -> frozenset[str]:
    """A dimension with everything that it lies in."""
    upwards = {dimension}
    while dimension in _PARENT:
        dimension = _PARENT[dimension]
        upwards.add(dimension)
    return frozenset(upwards)


_LINES = {each: _line(each) for each in _DIMENSIONS}


@lru_cache(maxsize=1024)
def _leaves(given: tuple[str, ...]) -> tuple[str, ...]:
    """Those in which none of the others lies."""
    return tuple(
        each for each in given if not any(each != other and each in _LINES[other] for other in given)
    )


class _Reach(IntEnum):
    """How far a scope reaches for a touched thing."""

    NOT = 0
    CONTAINS = 1
    COVERS = 2


class _Scope:
    """One branch of what a rule grants on."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Mapping[str, _Patterns]) -> None:
        self._patterns = patterns

    def connection(self, name: Name) -> bool:
        patterns = self._patterns.get("connection")
        return patterns is None or patterns.match(name, ids=True)

    def asks(self, dimension: str) -> bool:
        return dimension in self._patterns

    def reach(self, given: Mapping[str, Name], leaf: str) -> _Reach:
        deeper = False
        for dimension, patterns in self._patterns.items():
            if dimension in _LINES[leaf]:
                name = given.get(dimension)
                if name is None or not patterns.match(name, ids=dimension == "connection"):
                    return _Reach.NOT
            elif leaf in _LINES[dimension]:
                deeper = True
            else:
                return _Reach.NOT
        return _Reach.CONTAINS if deeper else _Reach.COVERS


def _scopes(on: On) -> tuple[_Scope, ...]:
    given = {each: _Patterns(getattr(on, each)) for each in _DIMENSIONS if getattr(on, each)}
    if given.keys() & _JOBS and given.keys() & _DATA:
        return ()
    leaves = _leaves(tuple(given)) or ("connection",)
    return tuple(_Scope({key: each for key, each in given.items() if key in _LINES[leaf]}) for leaf in leaves)


# --- people ----------------------------------------------------------------------------------------------------


def _same(platform: str, text: str) -> str:
    """An id for comparing: UUIDs of Teams in any case, all else exact."""
    return text.casefold() if platform == "teams" else text


def _at_home(person: Person, place: Place) -> bool:
    platform = person.platform
    return platform == "local" or _same(platform, person.home) == _same(platform, place.home)


class _People:
    """The `who` of a rule, made ready for asking."""

    __slots__ = ("_email", "_groups", "_keys", "_local", "_named", "_places")

    def __init__(self, who: Who) -> None:
        self._keys = frozenset(
            (platform, *(_same(platform, part) for part in entry.partition(":")[::2]))
            for platform, entries in (("slack", who.slack), ("teams", who.teams))
            for entry in entries
        )
        self._groups = frozenset(who.groups)
        self._local = frozenset(who.local)
        self._email = _compiled(who.email) if who.email else None
        self._named = bool(who.slack or who.teams or who.email or who.groups or who.local)
        self._places = frozenset(self._place(entry) for entry in who.places)

    @staticmethod
    def _place(key: str) -> tuple[str, str, str]:
        platform, home, name = [*key.split(":", 2), "", ""][:3]
        return platform, _same(platform, home), name

    @property
    def of_places(self) -> bool:
        """Whether it names places and nobody."""
        return bool(self._places) and not self._named

    def here(self, place: Place) -> bool:
        if not self._places:
            return True
        home = _same(place.platform, place.home)
        return place.id != "*" and not self._places.isdisjoint(
            {(place.platform, home, place.id), (place.platform, home, "*")}
        )

    def match(self, asker: Asker) -> bool:
        if not self.here(asker.place):
            return False
        person, profile = asker.person, asker.profile
        if not self._named:
            return bool(self._places) and _at_home(person, asker.place)
        return self._by_id(person) or self._by_group(person, profile) or self._by_email(asker)

    def _by_id(self, person: Person) -> bool:
        platform, home, user = (
            person.platform,
            *(_same(person.platform, part) for part in (person.home, person.id)),
        )
        if platform == "local":
            return "*" in self._local or user in self._local
        return (platform, home, user) in self._keys or (platform, home, "*") in self._keys

    def _by_group(self, person: Person, profile: Profile) -> bool:
        prefix, groups = f"{person.platform}:{person.home}:", profile.groups or frozenset()
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
            and _at_home(asker.person, asker.place)
            and self._email.fullmatch(_folded(email))
        )


# --- the policy ------------------------------------------------------------------------------------------------

_DOING = {
    Right.READ: "read that",
    Right.PUBLIC: "show that to everybody",
    Right.CANCEL: "stop data jobs",
    Right.MANAGE: "change what is set for this place",
    Right.ADMIN: "use what is for the bot's admins",
}
_DOING_TO = {
    Right.CANCEL: "stop {}",
}
_STANDING = {
    Standing.GUEST: ("guests are refused", "Guests of this workspace cannot use me."),
    Standing.EXTERNAL: (
        "external people are refused",
        "Only full members of this workspace can use me, and I cannot see that you are one.",
    ),
    Standing.BOT: ("bots are refused", "Bots cannot use me."),
    Standing.UNKNOWN: (
        "people who cannot be looked up are refused",
        "I could not look up who you are here, so I cannot tell what you may.",
    ),
}
_DENY = "default: deny"
_MEMBERS_READ = "default: members read"
_HIDDEN = "hidden field"
_NOT_BOUND = "not bound"
_SEEN = ("connections",)
_ASKERS = 5_000
"""People in places of whom decisions are kept."""
_DECISIONS = 200
"""Decisions that are kept of one of them."""


class _Compiled:
    """A rule made ready for asking."""

    __slots__ = ("external", "label", "people", "questions", "rights", "scopes")

    def __init__(self, number: int, rule: Rule) -> None:
        self.label = f"rule {number}: {rule.name}" if rule.name else f"rule {number}"
        self.people = _People(rule.who)
        self.rights = tuple(dict.fromkeys(rule.may))
        self.external = rule.external
        self.questions = rule.questions
        self.scopes = _scopes(rule.on)

    def reach(self, given: Mapping[str, Name], leaves: tuple[str, ...]) -> _Reach:
        return min(
            max((scope.reach(given, leaf) for scope in self.scopes), default=_Reach.NOT) for leaf in leaves
        )


class Policy:
    """Answers who may do what, from the rules in the settings."""

    def __init__(
        self,
        *,
        rules: Iterable[Rule] = (),
        bindings: Iterable[Binding] = (),
        titles: Mapping[str, str] | None = None,
        hide_fields: Iterable[HiddenField] = (),
        members_read: bool = True,
        contact: str = "",
    ) -> None:
        """Make the rules ready.

        Args:
            rules: In order; the first that grants is the one that is named.
            bindings: Which connections exist in which workspace, tenant or on this machine.
            titles: Connection name to what cards call it.
            hide_fields: Fields that nobody sees.
            members_read: Whether full members of bound workspaces read without a rule.
            contact: Who can change the policy, in words.
        """
        self._rules = tuple(_Compiled(number, rule) for number, rule in enumerate(rules, 1))
        self._titles = dict(titles or {})
        self._members_read = members_read
        self._contact = contact
        self._hidden = tuple(
            {key: _Patterns(getattr(each, key)) for key in HiddenField.model_fields if getattr(each, key)}
            for each in hide_fields
        )
        # The rules never change, so what they say of the same person, profile, place and thing is always the same.
        self._decided: LRUCache[Asker, dict[Any, Any]] = LRUCache(_ASKERS)
        self._opens: LRUCache[Place, bool] = LRUCache(_ASKERS)
        self._bound: dict[tuple[str, str], tuple[str, ...]] = {}
        for binding in bindings:
            key = (binding.platform, _same(binding.platform, binding.home))
            self._bound[key] = tuple(dict.fromkeys((*self._bound.get(key, ()), *binding.connections)))

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that the settings describe."""
        return cls(
            rules=settings.policy,
            bindings=settings.bindings,
            titles={name: each.title for name, each in settings.connections.items()},
            hide_fields=settings.hide_fields,
            members_read=settings.members_read,
            contact=settings.admin.contact,
        )

    @property
    def names_pools(self) -> bool:
        """Whether any rule depends on what a data pool is called, so that a write has to read its name first."""
        return any(scope.asks("pool") for rule in self._rules for scope in rule.scopes)

    def connections(self, place: Place) -> tuple[str, ...]:
        """The names of the connections that exist in a place, the default one first; none where it is unbound."""
        home = "" if place.platform == "local" else _same(place.platform, place.home)
        return self._bound.get((place.platform, home), ())

    def hidden(self, connection: Name | None, model: Name | None, record: Name | None, field: Name) -> bool:
        """Whether nobody may show, filter, sort, group or search by a field.

        Where a container is not known (None), patterns of it count as met: rather hidden than shown.
        """
        given = {"connection": connection, "model": model, "record": record, "field": field}
        return any(
            all(_may_mean(patterns, given[dimension]) for dimension, patterns in each.items())
            for each in self._hidden
        )

    def may(self, asker: Asker, right: Right, touch: Touch | None = None) -> Decision:
        """Whether somebody may do something.

        Args:
            asker: Who, and where.
            right: What.
            touch: To what; None asks whether there is anything at all to which they may.

        Returns:
            The decision with the rule that made it. A thing that the asker may not read is refused in the same
            words as one that does not exist.
        """
        known = self._known(asker)
        decision: Decision | None = known.get((right, touch))
        if decision is None:
            decision = self._decide(asker, right, touch)
            if len(known) < _DECISIONS:
                known[right, touch] = decision
        return decision

    def _known(self, asker: Asker) -> dict[Any, Any]:
        known = self._decided.get(asker)
        if known is None:
            known = self._decided[asker] = {}
        return known

    def _decide(self, asker: Asker, right: Right, touch: Touch | None) -> Decision:
        barred = self._barred(asker)
        if barred is not None:
            return barred
        given = _given(touch)
        if not given:
            return self._may_at_all(asker, right)
        if not self._placed(given, asker.place):
            return self._refused(right)
        if self._is_hidden(given):
            return self._refused(right, rule=_HIDDEN)
        view = self._view(asker, given["connection"].id)
        granted = self._granting(view, right, given)
        if granted is not None:
            return granted
        seen = self._granting(view, Right.READ, given) is not None
        return self._refused(right, given.get("job") if seen else None)

    def may_all(self, asker: Asker, right: Right, touches: tuple[Touch, ...]) -> Decision:
        """Whether all of it is allowed; the first refusal is the answer. Nothing touched is `may` without a touch."""
        known, key = self._known(asker), (right, id(touches))
        kept: tuple[tuple[Touch, ...], Decision] | None = known.get(key)
        if kept is not None and kept[0] is touches:
            return kept[1]
        decision: Decision | None = None
        for touch in touches:
            decision = self.may(asker, right, touch)
            if not decision.allowed:
                break
        decision = decision or self.may(asker, right)
        if len(known) < _DECISIONS:
            known[key] = touches, decision
        return decision

    def sees(self, asker: Asker, touch: Touch) -> bool:
        """Whether a thing exists for somebody here: they may read it, or something inside it."""
        return self.may(asker, Right.READ, touch).allowed

    def view(self, asker: Asker, connection: str) -> View:
        """What somebody sees of a connection from where they are, to be shared by all who see the same."""
        known = self._known(asker)
        view: View | None = known.get(connection)
        if view is None:
            barred = self._barred(asker) is not None or connection not in self.connections(asker.place)
            view = known[connection] = View(connection) if barred else self._view(asker, connection)
        return view

    def connections_seen(self, asker: Asker) -> tuple[str, ...]:
        """The names of the connections in a place that somebody there may read something of, the default one first."""
        known = self._known(asker)
        seen: tuple[str, ...] | None = known.get(_SEEN)
        if seen is None:
            seen = known[_SEEN] = tuple(
                each
                for each in self.connections(asker.place)
                if self.sees(asker, Touch(connection=Name(each, each)))
            )
        return seen

    def shows(self, view: View, touch: Touch) -> bool:
        """The same as `sees`, for everybody who shares a view; the connection is the view's."""
        given = {**_given(touch), "connection": self._name(view.connection)}
        return not self._is_hidden(given) and self._granting(view, Right.READ, given) is not None

    def shows_all(self, view: View, within: Touch, part: str) -> bool:
        """Whether a view shows every `part` (model, kpi, field ..) within something, so that none need be judged."""
        if part == "field" and self._hidden:
            return False
        given = {**_given(within), "connection": self._name(view.connection)}
        leaves = _leaves(tuple(given))
        return view.member or any(
            Right.READ in rule.rights and rule.reach(given, leaves) is _Reach.COVERS
            for rule in self._applying(view)
        )

    def public(self, where: Asker | Place, touches: Iterable[Touch], *, outsiders: bool = True) -> bool:
        """Whether everybody in a place may see all of this: rules that grant `public` to the place say so.

        A container among the touches stands for all that is in it. Nothing touched is not public: what shows
        nothing of Celonis need not ask.

        Args:
            where: The place.
            touches: What is to be seen.
            outsiders: Whether guests or people of other organisations read along; then only rules count that say
                that they mean them, too.
        """
        place = where.place if isinstance(where, Asker) else where
        asked = [_given(touch) for touch in touches]
        return bool(asked) and all(
            self._placed(given, place)
            and not self._is_hidden(given)
            and any(
                (rule.external or not outsiders) and rule.reach(given, _leaves(tuple(given))) is _Reach.COVERS
                for rule in self._public_in(place)
            )
            for given in asked
        )

    def opens(self, place: Place) -> bool:
        """Whether a rule gives `public` to a place only as long as no outsiders read along, so that it is worth knowing."""
        known = self._opens.get(place)
        if known is None:
            known = self._opens[place] = any(not rule.external for rule in self._public_in(place))
        return known

    def _public_in(self, place: Place) -> Iterator[_Compiled]:
        """The rules that show something to everybody in a place."""
        return (
            rule
            for rule in self._rules
            if Right.PUBLIC in rule.rights and rule.people.of_places and rule.people.here(place)
        )

    def _barred(self, asker: Asker) -> Decision | None:
        person, place = asker.person, asker.place
        known = {person.id, person.home}.isdisjoint({"", "*"})
        if person.platform != place.platform or not known:
            return Decision(
                allowed=False, rule=_DENY, sentence="I cannot tell who you are.", hint=self._hint()
            )
        standing = Standing.MEMBER if person.platform == "local" else asker.profile.standing
        if standing is not Standing.MEMBER:
            rule, sentence = _STANDING[standing]
            return Decision(allowed=False, rule=rule, sentence=sentence, hint=self._hint())
        if not self.connections(place):
            return Decision(
                allowed=False,
                rule=_NOT_BOUND,
                sentence="No Celonis team is connected to this workspace.",
                hint=self._hint("connect one"),
            )
        return None

    def _may_at_all(self, asker: Asker, right: Right) -> Decision:
        view = self._view(asker, "")
        here = [self._name(each) for each in self.connections(asker.place)]
        for rule in self._applying(view):
            if right in rule.rights and any(scope.connection(name) for scope in rule.scopes for name in here):
                return Decision(allowed=True, rule=rule.label)
        if right is Right.READ and view.member:
            return Decision(allowed=True, rule=_MEMBERS_READ)
        return self._refused(right)

    def _granting(self, view: View, right: Right, given: Mapping[str, Name]) -> Decision | None:
        leaves = _leaves(tuple(given))
        enough = _Reach.CONTAINS if right is Right.READ else _Reach.COVERS
        for rule in self._applying(view):
            if right in rule.rights and rule.reach(given, leaves) >= enough:
                return Decision(allowed=True, rule=rule.label, questions=rule.questions)
        if right is Right.READ and view.member:
            return Decision(allowed=True, rule=_MEMBERS_READ)
        return None

    def _view(self, asker: Asker, connection: str) -> View:
        """The view of somebody who is not barred."""
        rules = tuple(number for number, rule in enumerate(self._rules) if rule.people.match(asker))
        return View(connection, rules, self._members_read and _at_home(asker.person, asker.place))

    def _applying(self, view: View) -> Iterator[_Compiled]:
        return (self._rules[number] for number in view.rules)

    def _name(self, connection: str) -> Name:
        return Name(self._titles.get(connection, connection), connection)

    def _placed(self, given: dict[str, Name], place: Place) -> bool:
        """Whether the connection exists here; puts the settings' own name and title in its place."""
        said = given.get("connection")
        if said is None:
            return False
        word = said.id or said.text
        for key in self.connections(place):
            known = self._name(key)
            if word == key or (not said.id and _folded(word) == _folded(known.text)):
                given["connection"] = known
                return True
        return False

    def _is_hidden(self, given: Mapping[str, Name]) -> bool:
        field = given.get("field")
        return field is not None and self.hidden(
            given.get("connection"), given.get("model"), given.get("record"), field
        )

    def _refused(self, right: Right, job: Name | None = None, *, rule: str = _DENY) -> Decision:
        doing = _DOING[right]
        if job is not None and right in _DOING_TO:
            doing = _DOING_TO[right].format(f"“{job.text}”")
        return Decision(allowed=False, rule=rule, sentence=f"You may not {doing} here.", hint=self._hint())

    def _hint(self, change: str = "change that") -> str:
        return f"{self._contact or 'Whoever runs this bot'} can {change}."


def _may_mean(patterns: _Patterns, name: Name | None) -> bool:
    return name is None or patterns.match(name, ids=True)


def _given(touch: Touch | None) -> dict[str, Name]:
    if touch is None:
        return {}
    return {each: name for each in _DIMENSIONS if (name := getattr(touch, each)) is not None}
