"""What is shared is never stale and never somebody else's.

Two people with different rights ask over and over, while names, lists, rights and defaults change and time goes by. What
they get from lists and meanings that everybody shares is what a bot that has just started would tell them alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.catalog import Catalog, Lists
from bot.catalog.values import FieldValueLists
from bot.commands import COMMANDS
from bot.commands.command import Context
from bot.config import Binding, On, Right, Rule, Settings, Who
from bot.language.declare import names
from bot.meaning import Meaning, Meanings, One
from bot.model.names import Kind, Name
from bot.model.people import Person, Place, Profile, Standing, Visibility
from bot.policy import Asker, Policy, Touch
from bot.store import Default, Defaults
from bot.visit import Visit
from bot.writes.guarded import touches
from tests.catalog.team import Team, key

T = TypeVar("T")

NIGHT, CLERKS = "slack:T1:NIGHT", "slack:T1:CLERKS"
POLICY = Policy(
    Settings(
        policy=(
            Rule(
                name="night", who=Who(groups=(NIGHT,)), may=(Right.READ, Right.CANCEL), on=On(pool=("SAP*",))
            ),
            Rule(name="clerks", who=Who(groups=(CLERKS,)), may=(Right.READ,), on=On(model=("Sales",))),
            Rule(name="open", who=Who(groups=(CLERKS, NIGHT)), may=(Right.READ,), on=On(kpi=("Open*",))),
            Rule(name="one", who=Who(groups=(NIGHT,)), may=(Right.READ,), on=On(job=("main job",))),
        ),
        bindings=(Binding(slack="T1", connections=("prod",)),),
        members_read=False,
    )
)
COMMANDS_BY_INTENT = {each.intent: each for each in COMMANDS}
MODELS, POOLS = key(Kind.MODEL), key(Kind.POOL)
LISTS = (
    MODELS,
    POOLS,
    *(key(kind, model) for kind in (Kind.KPI, Kind.RECORD) for model in ("m1", "m2")),
    *(key(Kind.JOB, pool) for pool in ("p1", "p2")),
)
IDS = {MODELS: ("m1", "m2"), POOLS: ("p1", "p2")}
NAMES = {
    Kind.MODEL: ("Sales", "Buying", "sales"),
    Kind.KPI: ("Open orders", "open-orders", "Late orders", "Sales"),
    Kind.RECORD: ("Orders", "Open orders"),
    Kind.POOL: ("SAP ECC", "Coupa"),
    Kind.JOB: ("main job", "Main-Job", "load"),
}
SENTENCES = (
    "kpi Open orders",
    "kpi Open orders of Sales",
    "kpi late-orders of Buying",
    "Open orders by Country",
    "kpi opn orders of Sales",
    "model Sales",
    "use Buying",
    "kpis",
    "data Orders",
    "job main job",
    "job load in SAP ECC",
    "jobs in Coupa",
    "cancel main job",
    "sales",
    "next",
    "refresh",
    "help",
    "kpi x #a of #m1",
)
HOME = Place("slack", "T1", "D1", Visibility.PERSONAL)
OTHER = replace(HOME, id="D2")


@dataclass(frozen=True)
class Asked:
    """As much of a visit as finding out what a sentence means needs."""

    asker: Asker
    defaults: Defaults
    parts: Any
    contexts: dict[str, Any]
    connections: tuple[str, ...] = ("prod",)
    request: None = None

    @property
    def model(self) -> Name | None:
        return Name(self.defaults.model.value, self.defaults.model.id) if self.defaults.model else None

    def connection(self, _via: Name | None = None) -> str:
        return "prod"


class Sharing(RuleBasedStateMachine):
    """The world, the people in it, and one bot that has been running all the time."""

    @initialize(texts=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3))
    def begin(self, texts: list[str]) -> None:
        self.texts = texts
        self.loop = asyncio.new_event_loop()
        self.team = Team()
        for where in LISTS:
            kind = where[0]
            self.team.lists[where] = dict(zip(IDS.get(where, ("a", "b")), NAMES[kind], strict=False))
        self.groups = {"U1": frozenset({"NIGHT"}), "U2": frozenset({"CLERKS"})}
        self.defaults: dict[str, Name | None] = {HOME.id: None, OTHER.id: None}
        self.lists = self.team.shared(POLICY)
        self.meanings = self._meanings(self.lists)

    def _meanings(self, lists: Lists) -> Meanings:
        values = FieldValueLists()

        def context(visit: Visit, connection: str) -> Context:
            if connection not in visit.contexts:
                view = POLICY.view(visit.asker, connection)
                catalog = Catalog(self.team.api(), lists, view, self.team.now)
                place = Touch(connection=Name("prod", "prod"), model=visit.model)
                seen = visit.model if POLICY.sees(visit.asker, place) else None
                visit.contexts[connection] = SimpleNamespace(
                    catalog=catalog,
                    values=values,
                    model_default=seen,
                    source=lambda: None,
                    now=self.team.now,
                    asking=self.team.api(),
                    reader=SimpleNamespace(zone="UTC"),
                    celonis=SimpleNamespace(connection=SimpleNamespace(data_models={})),
                )
            return cast("Context", visit.contexts[connection])

        def sight(visit: Visit, connection: str) -> object:
            return POLICY.view(visit.asker, connection), lists.generation

        async def nothing(_request: object) -> None:
            return None

        return Meanings(COMMANDS_BY_INTENT, context, sight, nothing, {})

    def _visit(self, user: str, place: Place) -> Visit:
        person = Person("slack", "T1", user)
        profile = Profile(groups=self.groups[user], standing=Standing.MEMBER)
        chosen = self.defaults[place.id]
        default = None if chosen is None else Default(chosen.text, chosen.id, person, self.team.now)
        asked = Asked(
            Asker(person, profile, place),
            Defaults(model=default),
            SimpleNamespace(policy=POLICY, clock=SimpleNamespace(now=lambda: self.team.now)),
            {},
        )
        return cast("Visit", asked)

    def _done(self, work: Awaitable[T]) -> T | str:
        async def told() -> T | str:
            try:
                return await work
            except Exception as error:  # noqa: BLE001 - which one it is, is compared
                return f"{type(error).__name__}: {error}"

        return self.loop.run_until_complete(told())

    @rule(user=st.sampled_from(("U1", "U2")), place=st.sampled_from((HOME, OTHER)), number=st.integers(0, 2))
    def asks(self, user: str, place: Place, number: int) -> None:
        text = self.texts[number % len(self.texts)]
        shared = self._done(self.meanings.mean(text, self._visit(user, place)))
        alone = self._done(self._meanings(self.team.shared(POLICY)).mean(text, self._visit(user, place)))
        assert repr(shared) == repr(alone)
        if isinstance(shared, One):
            self._theirs(shared, self._visit(user, place).asker)

    def _theirs(self, meaning: Meaning, asker: Asker) -> None:
        """Nothing is named that the person may not see."""
        assert isinstance(meaning, One)
        named = [name for _, kind, name in names(meaning.intent) if kind is not Kind.CONNECTION and name.id]
        if named:
            for touch in touches(meaning.intent):
                assert POLICY.sees(asker, touch), (meaning, asker)

    @rule(where=st.sampled_from(LISTS), thing=st.integers(0, 1), name=st.integers(0, 3), there=st.booleans())
    def changes(self, where: tuple[Kind, str], thing: int, name: int, there: bool) -> None:
        things = dict(self.team.lists[where])
        called = NAMES[where[0]]
        thing_id = IDS.get(where, ("a", "b"))[thing]
        if there:
            things[thing_id] = called[name % len(called)]
        else:
            things.pop(thing_id, None)
        self.team.lists[where] = things

    @rule(minutes=st.sampled_from((1, 30, 61)))
    def time_goes_by(self, minutes: int) -> None:
        self.team.pass_by(minutes=minutes)

    @rule(user=st.sampled_from(("U1", "U2")), groups=st.sets(st.sampled_from(("NIGHT", "CLERKS"))))
    def rights_change(self, user: str, groups: set[str]) -> None:
        self.groups[user] = frozenset(groups)

    @rule(place=st.sampled_from((HOME, OTHER)), model=st.sampled_from((None, "m1", "m2")))
    def default_changes(self, place: Place, model: str | None) -> None:
        self.defaults[place.id] = Name(model, model) if model else None

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "lists"):
            assert self.lists._kept.currsize < 100_000

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()


TestSharing = Sharing.TestCase
