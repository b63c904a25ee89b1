"""Every order of clicks, crashes, waits and takeovers, against the few things that must always hold."""

import ast
import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from bot.model.approval import Approval
from bot.model.errors import ApprovalSpent
from bot.model.people import Person, Place, Visibility
from bot.store import Store, tickets
from bot.writes.ticket import Claimed, Outcome, State, Ticket, Tickets
from tests.store.databases import FakeClock, tokens

PEOPLE = (Person("slack", "T1", "U1"), Person("slack", "T1", "U2"))
PLACE = Place("slack", "T1", "C1", Visibility.CHANNEL)
LIFE, LEASE = 300.0, 60.0
NEXT = {
    State.OPEN: {State.CLAIMED, State.DISMISSED, State.EXPIRED},
    State.CLAIMED: {State.SENDING, State.DONE, State.ABANDONED},
    State.SENDING: {State.DONE},
    State.DONE: set(),
    State.DISMISSED: set(),
    State.EXPIRED: set(),
    State.ABANDONED: set(),
}


@dataclass(frozen=True)
class CancelRuns:
    runs: tuple[str, ...]


@dataclass
class Seen:
    """What an onlooker knows of one ticket."""

    asked_at: float
    states: list[State] = field(default_factory=lambda: [State.OPEN])
    claims: int = 0
    ends: int = 0
    sent: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Replica:
    """One running program: what it holds is gone when it dies."""

    tickets: Tickets
    claims: dict[str, Claimed] = field(default_factory=dict)
    approvals: dict[str, Approval[CancelRuns]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)


class TicketLife(RuleBasedStateMachine):
    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock = FakeClock()
        self.store = self.loop.run(Store.temporary(self.clock))
        self.ids = tokens()
        self.seen: dict[str, Seen] = {}
        self.stored: dict[str, Ticket] = {}
        self.replicas = [self.program(), self.program()]

    def program(self) -> Replica:
        return Replica(Tickets(self.store, self.clock, self.ids.__next__, lease=timedelta(seconds=LEASE)))

    def teardown(self) -> None:
        self.loop.run(self.store.close())
        self.loop.close()

    def load(self, key: str) -> Ticket:
        """The ticket as it was when the last step had ended; nothing but steps changes it."""
        return self.stored[key]

    def look(self) -> None:
        self.stored = {ticket.id: ticket for ticket in self.loop.run(tickets._select(self.store))}

    which = st.integers(0, 1)
    nth = st.integers(0, 5)
    who = st.sampled_from(PEOPLE)

    @initialize(target=asked)
    def begin(self) -> object:
        return multiple(self.open(), self.open())

    @precondition(lambda self: len(self.seen) < 5)
    @rule(target=asked)
    def ask(self) -> str:
        return self.open()

    def open(self) -> str:
        ticket = self.loop.run(
            self.replicas[0].tickets.open(
                command="cancel",
                sentence="cancel",
                target=CancelRuns(("run 1", "run 2")),
                connection="team",
                asker=PEOPLE[0],
                place=PLACE,
                expires_in=timedelta(seconds=LIFE),
            )
        )
        self.seen[ticket.id] = Seen(self.clock.seconds)
        self.stored[ticket.id] = ticket
        return ticket.id

    @rule(seconds=st.sampled_from([1.0, LEASE - 1, LEASE, LIFE]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(which=which)
    def crash(self, which: int) -> None:
        self.replicas[which] = self.program()

    @rule(key=asked, who=who, both=st.booleans(), which=which)
    def click_yes(self, key: str, who: Person, both: bool, which: int) -> None:
        async def click(replica: Replica) -> None:
            result = await replica.tickets.claim(key, who)
            if isinstance(result, Claimed):
                seen.claims += 1
                assert self.clock.seconds < seen.asked_at + LIFE
                replica.claims[key] = result
            else:
                assert result.ticket is not None
                assert result.ticket.state is not State.OPEN

        async def clicks() -> None:
            await asyncio.gather(*map(click, self.replicas if both else [self.replicas[which]]))

        seen = self.seen[key]
        self.loop.run(clicks())
        assert seen.claims <= 1

    @rule(key=asked, who=who, which=which)
    def click_no(self, key: str, who: Person, which: int) -> None:
        before = self.load(key)
        dismissed = self.loop.run(self.replicas[which].tickets.dismiss(key, who))
        assert dismissed == (
            before.state is State.OPEN and self.clock.seconds < self.seen[key].asked_at + LIFE
        )

    def at_work(self) -> list[tuple[Replica, str]]:
        """Every program with every ticket it claimed and that has not ended."""
        return [
            (replica, key)
            for replica in self.replicas
            for key in sorted(replica.claims)
            if self.load(key).state in {State.CLAIMED, State.SENDING, State.ABANDONED}
        ]

    def one_at_work(self, nth: int) -> tuple[Replica, str]:
        found = self.at_work()
        return found[nth % len(found)]

    def anybody_at_work(self) -> bool:
        return bool(self.at_work())

    @precondition(anybody_at_work)
    @rule(nth=nth)
    def approve(self, nth: int) -> None:
        replica, key = self.one_at_work(nth)
        again = key in replica.approvals
        try:
            replica.approvals[key] = replica.tickets.approve(replica.claims[key], CancelRuns)
        except ApprovalSpent:
            return
        assert not again

    @precondition(anybody_at_work)
    @rule(nth=nth)
    def announce(self, nth: int) -> None:
        replica, key = self.one_at_work(nth)
        before = self.load(key)
        if self.loop.run(replica.tickets.sending(replica.claims[key].ticket)):
            assert before.state is State.CLAIMED
            assert before.lease_until is not None
            assert self.clock.now() < before.lease_until

    @precondition(anybody_at_work)
    @rule(nth=nth, part=st.sampled_from(["run 1", "run 2", "run 3"]))
    def send(self, nth: int, part: str) -> None:
        replica, key = self.one_at_work(nth)
        try:
            replica.approvals[key].use(part)
        except (KeyError, ApprovalSpent):
            return
        ticket = self.load(key)
        assert ticket.state is State.SENDING
        assert ticket.lease_until is not None
        assert self.clock.now() < ticket.lease_until
        assert not any(key in each.taken for each in self.replicas)
        self.seen[key].sent.append(part)

    @precondition(anybody_at_work)
    @rule(nth=nth)
    def keep(self, nth: int) -> None:
        replica, key = self.one_at_work(nth)
        before = self.load(key)
        if self.loop.run(replica.tickets.keep(before)):
            assert before.lease_until is not None
            assert self.clock.now() < before.lease_until
            assert not any(key in each.taken for each in self.replicas if each is not replica)

    @rule(
        key=asked,
        who=who,
        which=which,
        parts=st.lists(st.sampled_from(["run 1", "run 2", "run 3"]), max_size=3),
    )
    def go_all_the_way(self, key: str, who: Person, which: int, parts: list[str]) -> None:
        replica = self.replicas[which]
        self.click_yes(key, who, both=False, which=which)
        self.each_question_goes_one_way_and_each_run_is_hit_once()
        if (replica, key) not in self.at_work():
            return
        nth = self.at_work().index((replica, key))
        self.approve(nth)
        self.announce(nth)
        self.each_question_goes_one_way_and_each_run_is_hit_once()
        for part in parts:
            self.send(nth, part)

    @precondition(anybody_at_work)
    @rule(nth=nth, found_out=st.booleans(), which=which)
    def wake_up_late(self, nth: int, found_out: bool, which: int) -> None:
        self.clock.advance(LEASE)
        if found_out:
            self.look_for_abandoned(both=False, which=which)
        for step in (self.announce, self.keep):
            self.each_question_goes_one_way_and_each_run_is_hit_once()
            step(nth)
        for part in ("run 1", "run 2"):
            self.send(nth, part)

    @precondition(anybody_at_work)
    @rule(nth=nth, which=which)
    def a_survivor_who_took_over_sends_nothing(self, nth: int, which: int) -> None:
        key = self.one_at_work(nth)[1]
        if key in self.replicas[which].taken:
            with pytest.raises(ApprovalSpent):
                self.replicas[which].tickets.approve(Claimed(self.load(key)), CancelRuns)

    @precondition(anybody_at_work)
    @rule(both=st.booleans(), which=which)
    def outlive_the_leases(self, both: bool, which: int) -> None:
        self.clock.advance(LEASE)
        self.look_for_abandoned(both=both, which=which)
        self.each_question_goes_one_way_and_each_run_is_hit_once()
        self.look_for_abandoned(both=both, which=1 - which)

    @rule(key=asked, which=which, outcome=st.sampled_from(Outcome))
    def finish(self, key: str, which: int, outcome: Outcome) -> None:
        before = self.load(key)
        if self.loop.run(self.replicas[which].tickets.finish(key, outcome)):
            assert before.state in {State.CLAIMED, State.SENDING}
            self.seen[key].ends += 1

    @rule(both=st.booleans(), which=which)
    def look_for_abandoned(self, both: bool, which: int) -> None:
        due = {
            key: ticket
            for key in self.seen
            if (ticket := self.load(key)).lease_until is not None and ticket.lease_until <= self.clock.now()
        }

        async def look(replica: Replica) -> tuple[Ticket, ...]:
            found = await replica.tickets.abandoned()
            for ticket in found:
                for other in self.replicas:
                    other.taken.discard(ticket.id)
                if ticket.state is State.SENDING:
                    replica.taken.add(ticket.id)
            return found

        async def looks() -> list[tuple[Ticket, ...]]:
            return await asyncio.gather(*map(look, self.replicas if both else [self.replicas[which]]))

        found = [ticket for batch in self.loop.run(looks()) for ticket in batch]
        assert sorted(ticket.id for ticket in found) == sorted(due)
        for ticket in found:
            if due[ticket.id].state is State.CLAIMED:
                assert (ticket.state, ticket.outcome) == (State.ABANDONED, Outcome.NOTHING_SENT)
                assert not self.seen[ticket.id].sent
                self.seen[ticket.id].ends += 1
            else:
                assert ticket.state is State.SENDING

    @rule(which=which)
    def expire(self, which: int) -> None:
        due = {
            key
            for key, seen in self.seen.items()
            if self.load(key).state is State.OPEN and self.clock.seconds >= seen.asked_at + LIFE
        }
        assert {ticket.id for ticket in self.loop.run(self.replicas[which].tickets.expire_due())} == due

    @invariant()
    def each_question_goes_one_way_and_each_run_is_hit_once(self) -> None:
        self.look()
        for key, seen in self.seen.items():
            state = self.load(key).state
            if state is not seen.states[-1]:
                assert state in NEXT[seen.states[-1]], f"{seen.states[-1]} became {state}"
                seen.states.append(state)
            assert len(seen.sent) == len(set(seen.sent))
            assert set(seen.sent) <= {"run 1", "run 2"}
            assert not seen.sent or State.SENDING in seen.states
            assert seen.ends <= 1

    @rule()
    def list_open(self) -> None:
        listed = {ticket.id for ticket in self.loop.run(self.replicas[0].tickets.open_in(PLACE.key))}
        assert listed == {
            key
            for key, seen in self.seen.items()
            if self.load(key).state is State.OPEN and self.clock.seconds < seen.asked_at + LIFE
        }


TestTicketLife = TicketLife.TestCase
TestTicketLife.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_nothing_but_the_gate_makes_an_approval() -> None:
    """Nobody else calls `Approval(...)`, subclasses it, or reaches for what proves its maker."""
    root = Path(__file__).parents[2]
    gate = {
        root / "bot" / "model" / "approval.py",
        root / "bot" / "writes" / "approval.py",
        root / "bot" / "writes" / "ticket.py",
    }
    sources = [
        path for folder in ("bot", "adapters") for path in (root / folder).rglob("*.py") if path not in gate
    ]
    assert all(each.is_file() for each in gate)
    assert len(sources) > 10
    found = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in {
                    "Approval",
                    "Claimed",
                }:
                    found.append(f"{path}:{node.lineno} makes one")
                case ast.ClassDef(bases=bases) if any("Approval" in ast.unparse(base) for base in bases):
                    found.append(f"{path}:{node.lineno} derives from it")
                case ast.Attribute(attr="MAKER") | ast.Name(id="MAKER") | ast.alias(name="MAKER"):
                    found.append(f"{path}: touches the maker's key")
                case _:
                    pass
    assert found == []
