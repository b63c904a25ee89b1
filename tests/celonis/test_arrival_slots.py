"""The limit of a second, judged by what the server sees."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.celonis.limits.arrival_slots import Slots

TIMEOUT = 5.0
NEVER_ANSWERED = 3.0


class ServerSees(RuleBasedStateMachine):
    """Requests are delayed, answered late, given up and forgotten in any order; the server's own log is the judge."""

    @initialize(count=st.integers(1, 5), window=st.sampled_from([0.1, 1.0, 2.5]))
    def start(self, count: int, window: float) -> None:
        self.slots = Slots(count, window)
        self.count, self.window = count, window
        self.now = 100.0
        self.in_air: list[tuple[int, float]] = []  # slot, arrival
        self.arrivals: list[float] = []
        self.hung: list[tuple[int, float]] = []  # sent at, and it may arrive until then

    @precondition(lambda self: self.slots.ready_at() < inf)
    @rule(late=st.floats(0, 0.5), travels=st.floats(0, 3.0))
    def send(self, late: float, travels: float) -> None:
        self.now = max(self.now, self.slots.ready_at()) + late
        slot = self.slots.take(self.now)
        arrival = self.now + travels
        self.arrivals.append(arrival)
        self.in_air.append((slot, arrival))

    @precondition(lambda self: self.in_air)
    @rule(data=st.data(), back=st.floats(0, 2.0))
    def answer(self, data: st.DataObject, back: float) -> None:
        slot, arrival = self.in_air.pop(data.draw(st.integers(0, len(self.in_air) - 1)))
        self.now = max(self.now, arrival + back)
        self.slots.answered(slot, self.now)

    @precondition(lambda self: self.in_air)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        slot, _ = self.in_air.pop(data.draw(st.integers(0, len(self.in_air) - 1)))
        self.slots.answered(slot, self.now + TIMEOUT)

    @precondition(lambda self: self.slots.ready_at() < inf)
    @rule(ahead=st.booleans())
    def think_better_of_it(self, ahead: bool) -> None:
        free_at = max(self.now, self.slots.ready_at())
        self.now = self.now if ahead else free_at
        self.slots.unused(self.slots.take(free_at))

    @rule(usable=st.integers(1, 5))
    def slow_down(self, usable: int) -> None:
        self.slots.usable = min(usable, self.count)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def never_more_arrivals_than_slots_in_any_window(self) -> None:
        arrivals = sorted(getattr(self, "arrivals", []))
        for first, last in zip(arrivals, arrivals[getattr(self, "count", 0) :], strict=False):
            assert last - first >= self.window - 1e-9


ServerSees.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestServerSees = ServerSees.TestCase


def test_a_halved_rate_leaves_half_of_the_slots_untouched() -> None:
    slots = Slots(4, 1.0)
    slots.usable = 2
    taken = [slots.take(0.0), slots.take(0.0)]
    assert slots.ready_at() == inf
    slots.answered(taken[0], 0.2)
    assert slots.ready_at() == 1.2


def test_a_request_without_an_answer_holds_its_slot_for_the_time_out_and_a_window() -> None:
    slots = Slots(1, 1.0)
    slots.answered(slots.take(10.0), 12.0 + 60.0)
    assert slots.ready_at() == 73.0


def test_a_slot_that_was_taken_ahead_of_its_time_and_not_used_is_free_at_its_time() -> None:
    slots = Slots(1, 1.0)
    slots.answered(slots.take(10.0), 10.2)
    slots.unused(slots.take(11.2))
    assert slots.ready_at() == 11.2
