"""Who may do what: rules that only ever grant, and everything else is denied.

Pure and without I/O. It is asked twice for each request (this kind of thing at all? these very things?), again for
whoever clicks, and again each time a watch speaks.

How a rule is read:

- It applies to a person when any of its person parts matches, and, where it names places, the place matches too.
  With places alone it applies to every full member there. Persons of another home are matched only by a part that
  spells that home out (`slack`, `teams`, `groups`).
- What it grants on is a tree: connection > knowledge model > record > field, knowledge model > KPI, knowledge
  model > filter, connection > pool > job, pool > data model, connection > space > package > analysis. A pattern
  confines the rule to its branch: one with a record pattern grants no KPI. Patterns on several branches of the
  connection grant nothing; the settings refuse such a rule.
- A rule about something deep lets its owner read the containers above it, so that there is a way to it. A container
  never stands for what is in it: whoever shows fields touches each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from bot.config import HiddenField, Right, SecondPerson, Settings
from bot.model.errors import NotAllowed
from bot.model.kept import Kept
from bot.model.names import Name
from bot.model.people import Place, Standing, Visibility
from bot.policy_rules import (
    Asker,
    CompiledRule,
    Patterns,
    Reach,
    Touch,
    at_home,
    folded,
    given_by,
    leaves_of,
    same,
)

__all__ = ["Asker", "Decision", "Policy", "Right", "Touch", "View"]

T = TypeVar("T")


class View(NamedTuple):
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

    def require(self) -> None:
        """Goes on only with what is allowed.

        Raises:
            NotAllowed: It is not.
        """
        if not self.allowed:
            raise NotAllowed(self.sentence, hint=self.hint, rule=self.rule)


# --- the policy ------------------------------------------------------------------------------------------------

_DOING = {
    Right.READ: "read that",
    Right.PUBLIC: "show that to everybody",
    Right.EXPORT: "export that",
    Right.CANCEL: "stop data jobs",
    Right.RUN: "start data jobs",
    Right.RUN_FULL: "start full reloads of data jobs",
    Right.MANAGE: "change what is set for this place",
    Right.ADMIN: "use what is for the bot's admins",
}
_DOING_TO = {Right.CANCEL: "stop", Right.RUN: "start", Right.RUN_FULL: "start a full reload of"}
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
_OUTSIDERS = "outsiders read along"
_NOBODY_ELSE = Decision(
    allowed=False,
    rule="personal chat",
    sentence="Nobody else reads along here, so there is nobody to share with.",
    hint="Say it in a channel or a group.",
)
_ASKERS = 5_000
"""People in places of whom decisions are kept."""
_DECISIONS = 200
"""Decisions that are kept of one of them."""


class Policy:
    """Answers who may do what, from the rules in the settings."""

    def __init__(self, settings: Settings) -> None:
        """Make the rules ready: in their order, the first that grants is the one that is named."""
        self._rules = tuple(CompiledRule(number, rule) for number, rule in enumerate(settings.policy, 1))
        self._public = tuple(
            each for each in self._rules if Right.PUBLIC in each.rights and not each.people.named
        )
        self._titles = {name: each.title for name, each in settings.connections.items()}
        self._members_read = settings.members_read
        self._contact = settings.admin.contact or "Whoever runs this bot"
        self._admin_place = settings.admin.place
        self._hidden = tuple(
            {key: Patterns(getattr(each, key)) for key in HiddenField.model_fields if getattr(each, key)}
            for each in settings.hide_fields
        )
        self._second = tuple((Patterns((name,)), each) for name, each in settings.second_person.items())
        self._bound = {
            (each.platform, same(each.platform, each.home)): tuple(dict.fromkeys(each.connections))
            for each in settings.bindings
        }
        # The rules never change, so what they say of the same person, profile, place and thing is always the same.
        self._decided: Kept[Asker, dict[Any, Any]] = Kept(_ASKERS)

    @property
    def names_pools(self) -> bool:
        """Whether any rule depends on what a data pool is called, so that a write has to read its name first."""
        return bool(self._second) or any("pool" in branch for rule in self._rules for branch in rule.branches)

    def second_person(self, touches: Iterable[Touch]) -> SecondPerson | None:
        """What is due where two people have to confirm a change of this; None where one is enough.

        Where several marks hold, the first person may go on alone only under the strictest of them.
        """
        pools = [touch.pool for touch in touches if touch.pool is not None]
        due = [each for patterns, each in self._second if any(map(patterns.match, pools))]
        return min(
            due, key=lambda each: (bool(each.break_glass_minutes), -each.break_glass_minutes), default=None
        )

    def is_admin_place(self, place: Place) -> bool:
        """Whether the bot's admins are in a place."""
        platform, _, rest = self._admin_place.partition(":")
        home, _, name = rest.partition(":")
        return bool(name) and (platform, same(platform, home), name) == (
            place.platform,
            same(place.platform, place.home),
            place.id,
        )

    def connections(self, place: Place) -> tuple[str, ...]:
        """The names of the connections that exist in a place, the default one first; none where it is unbound."""
        home = "" if place.platform == "local" else same(place.platform, place.home)
        return self._bound.get((place.platform, home), ())

    def hidden(self, given: Mapping[str, Name]) -> bool:
        """Whether nobody may show, filter, sort, group or search by a field, given with what it lies in.

        Where a container is not known, patterns of it count as met: rather hidden than shown.
        """
        return "field" in given and any(
            all(
                each not in given or patterns.match(given[each], ids=True) for each, patterns in hides.items()
            )
            for hides in self._hidden
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
        return self._kept(asker, (right, touch), lambda: self._decide(asker, right, touch))

    def _kept(self, asker: Asker, question: object, answer: Callable[[], T]) -> T:
        """What was found out about somebody before, or is now."""
        known = self._decided.get(asker)
        if known is None:
            known = self._decided[asker] = {}
        found: T | None = known.get(question)
        if found is None:
            found = answer()
            if len(known) < _DECISIONS:
                known[question] = found
        return found

    def _decide(self, asker: Asker, right: Right, touch: Touch | None) -> Decision:
        barred = self._barred(asker)
        if barred is not None:
            return barred
        if right is Right.PUBLIC and asker.place.visibility is Visibility.PERSONAL:
            return _NOBODY_ELSE
        given = given_by(touch) if touch else {}
        if not given:
            return self._may_at_all(asker, right)
        if not self._placed(given, asker.place):
            return self._refused(right)
        if self.hidden(given):
            return self._refused(right, rule=_HIDDEN)
        view = self._view(asker, given["connection"].id)
        granted = self._granting(view, right, given)
        if granted is not None:
            return granted
        seen = self._granting(view, Right.READ, given) is not None
        return self._refused(right, given.get("job") if seen else None)

    def may_all(self, asker: Asker, right: Right, touches: tuple[Touch, ...]) -> Decision:
        """Whether all of it is allowed; the first refusal is the answer. Nothing touched is `may` without a touch."""

        def every() -> tuple[tuple[Touch, ...], Decision]:
            for touch in touches:
                decision = self.may(asker, right, touch)
                if not decision.allowed:
                    return touches, decision
            return touches, decision if touches else self.may(asker, right)

        # What is kept holds the tuple, so that nothing else can get its id.
        return self._kept(asker, (right, id(touches)), every)[1]

    def sees(self, asker: Asker, touch: Touch) -> bool:
        """Whether a thing exists for somebody here: they may read it, or something inside it."""
        return self.may(asker, Right.READ, touch).allowed

    def view(self, asker: Asker, connection: str) -> View:
        """What somebody sees of a connection from where they are, to be shared by all who see the same."""

        def seen() -> View:
            barred = self._barred(asker) is not None or connection not in self.connections(asker.place)
            return View(connection) if barred else self._view(asker, connection)

        return self._kept(asker, connection, seen)

    def connections_seen(self, asker: Asker) -> tuple[str, ...]:
        """The names of the connections in a place that somebody there may read something of, the default one first."""
        return self._kept(
            asker,
            ("connections",),
            lambda: tuple(
                each
                for each in self.connections(asker.place)
                if self.sees(asker, Touch(connection=Name(each, each)))
            ),
        )

    def shows(self, view: View, touch: Touch) -> bool:
        """The same as `sees`, for everybody who shares a view; the connection is the view's."""
        given = {**given_by(touch), "connection": self._name(view.connection)}
        return not self.hidden(given) and self._granting(view, Right.READ, given) is not None

    def shows_all(self, view: View, within: Touch, part: str) -> bool:
        """Whether a view shows every `part` (model, kpi, field ..) within something, so that none need be judged."""
        if part == "field" and self._hidden:
            return False
        given = {**given_by(within), "connection": self._name(view.connection)}
        leaves = leaves_of(tuple(given))
        return view.member or any(
            Right.READ in rule.rights and rule.reach(given, leaves) is Reach.COVERS
            for rule in self._applying(view)
        )

    def public(self, place: Place, touches: Iterable[Touch], *, outsiders: bool = True) -> bool:
        """Whether everybody in a place may see all of this: rules that grant `public` to the place say so.

        A container among the touches stands for all that is in it. Nothing touched is not public: what shows
        nothing of Celonis need not ask.

        Args:
            place: Where.
            touches: What is to be seen.
            outsiders: Whether guests or people of other organisations read along; then only rules count that say
                that they mean them, too.
        """
        asked = [given_by(touch) for touch in touches]
        return bool(asked) and all(
            self._placed(given, place)
            and not self.hidden(given)
            and any(
                (rule.external or not outsiders)
                and rule.reach(given, leaves_of(tuple(given))) is Reach.COVERS
                for rule in self._public_in(place)
            )
            for given in asked
        )

    def closed(self, place: Place, touches: tuple[Touch, ...]) -> Decision:
        """The refusal where not everybody who reads along in a place may see all of this."""
        if self.public(place, touches, outsiders=False):
            return self._denied(
                _OUTSIDERS,
                "Guests or people of other organisations read along here, and no rule lets them see that.",
            )
        return self._refused(Right.PUBLIC)

    def opens(self, place: Place) -> bool:
        """Whether a rule gives `public` to a place only as long as no outsiders read along, so that it is worth knowing."""
        return any(not rule.external for rule in self._public_in(place))

    def _public_in(self, place: Place) -> Iterator[CompiledRule]:
        """The rules that show something to everybody in a place."""
        return (rule for rule in self._public if rule.people.here(place))

    def _barred(self, asker: Asker) -> Decision | None:
        person, place = asker.person, asker.place
        known = {person.id, person.home}.isdisjoint({"", "*"})
        if person.platform != place.platform or not known:
            return self._denied(_DENY, "I cannot tell who you are.")
        standing = Standing.MEMBER if person.platform == "local" else asker.profile.standing
        if standing is not Standing.MEMBER:
            return self._denied(*_STANDING[standing])
        if not self.connections(place):
            sentence = "No Celonis team is connected to this workspace."
            return self._denied(_NOT_BOUND, sentence, change="connect one")
        return None

    def _may_at_all(self, asker: Asker, right: Right) -> Decision:
        here = [{"connection": self._name(each)} for each in self.connections(asker.place)]
        for rule in self._applying(view := self._view(asker, "")):
            if right in rule.rights and any(rule.reach(each, ("connection",)) for each in here):
                return Decision(allowed=True, rule=rule.label)
        return self._by_default(view, right) or self._refused(right)

    def _granting(self, view: View, right: Right, given: Mapping[str, Name]) -> Decision | None:
        leaves = leaves_of(tuple(given))
        enough = Reach.CONTAINS if right is Right.READ else Reach.COVERS
        for rule in self._applying(view):
            if right in rule.rights and rule.reach(given, leaves) >= enough:
                return Decision(allowed=True, rule=rule.label, questions=rule.questions)
        return self._by_default(view, right)

    def _by_default(self, view: View, right: Right) -> Decision | None:
        reads = right is Right.READ and view.member
        return Decision(allowed=True, rule=_MEMBERS_READ) if reads else None

    def _view(self, asker: Asker, connection: str) -> View:
        """The view of somebody who is not barred."""
        rules = tuple(number for number, rule in enumerate(self._rules) if rule.people.match(asker))
        return View(connection, rules, self._members_read and at_home(asker.person, asker.place))

    def _applying(self, view: View) -> Iterator[CompiledRule]:
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
            if word == key or (not said.id and folded(word) == folded(known.text)):
                given["connection"] = known
                return True
        return False

    def _refused(self, right: Right, job: Name | None = None, *, rule: str = _DENY) -> Decision:
        doing = _DOING[right]
        if job is not None and right in _DOING_TO:
            doing = f"{_DOING_TO[right]} “{job.text}”"
        return self._denied(rule, f"You may not {doing} here.")

    def _denied(self, rule: str, sentence: str, *, change: str = "change that") -> Decision:
        return Decision(allowed=False, rule=rule, sentence=sentence, hint=f"{self._contact} can {change}.")
