"""Who goes next: lanes by importance, and within a lane one turn for each person."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from bot.celonis.request import Caller, Lane

if TYPE_CHECKING:
    from bot.celonis.limits.limiter import Limiter

BACKGROUND_TURN = 5
"""Every fifth turn is the background's where it waits, so that people cannot starve it."""
LATELY = 64
"""How many of the newest turns are remembered, to tell who had none."""


class Purpose:
    """For whom, how urgently and how often requests are sent; it travels in `request.extensions["purpose"]`.

    Everybody who waits for the same answer shares one: it has the best lane and the latest deadline of all of them.

    Attributes:
        caller: Who pays: the first of those in the best lane.
        deadline: Monotonic seconds; a request that cannot be sent by then is refused.
        before_write: Makes it a confirmed write, which neither ledger nor pause nor breaker stop; called directly
            before it is sent.
        calls: Requests that were sent for it so far.
        in_air: Requests whose answer is awaited.
        size: Bytes of the replies that its answer was read from.
        unread: Items of the answer that could not be read.
        abandoned: Nobody waits any more; what is in the air is still taken in, and nothing more is sent.
        queue: The limiter where a request of it waits for its turn.
    """

    __slots__ = (
        "abandoned",
        "before_write",
        "caller",
        "calls",
        "deadline",
        "in_air",
        "queue",
        "size",
        "unread",
    )

    def __init__(self, caller: Caller, before_write: Callable[[], None] | None = None) -> None:
        self.caller = caller
        self.deadline = caller.deadline
        self.before_write = before_write
        self.calls = self.in_air = self.size = self.unread = 0
        self.abandoned = False
        self.queue: Limiter | None = None

    @property
    def lane(self) -> Lane:
        """Who goes first."""
        return self.caller.lane

    @property
    def begun(self) -> bool:
        """Whether anything was sent."""
        return self.calls > 0 or self.in_air > 0

    def joined(self, caller: Caller) -> None:
        """Somebody else waits for it, too."""
        self.deadline = max(self.deadline, caller.deadline)
        if self.queue is not None:
            self.queue.promote(self, caller)
        elif caller.lane < self.lane:
            self.caller = caller


class _Turns:
    """One lane: everybody has a queue, and everybody in turn gets a turn.

    Whoever comes without having had a turn lately goes before the round, but after one turn of the round at most, so
    that a person with one question does not wait behind the next of a person with hundreds, nor the other way round.
    """

    def __init__(self) -> None:
        self.queues: dict[str, deque[Purpose]] = {}
        self._round: deque[str] = deque()
        self._newcomers: deque[str] = deque()
        self._lately: deque[str] = deque(maxlen=LATELY)
        self._newcomer_last = False

    def __len__(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def join(self, purpose: Purpose) -> None:
        person = purpose.caller.person
        queue = self.queues.get(person)
        if queue is not None:
            queue.append(purpose)
            return
        # "Lately" is one round: as many turns as people wait.
        lately = islice(reversed(self._lately), max(1, len(self.queues)))
        (self._round if person in lately else self._newcomers).append(person)
        self.queues[person] = deque([purpose])

    def leave(self, purpose: Purpose) -> bool:
        person = purpose.caller.person
        queue = self.queues.get(person)
        if queue is None or purpose not in queue:
            return False
        queue.remove(purpose)
        if not queue:
            del self.queues[person]
            for order in (self._round, self._newcomers):
                if person in order:
                    order.remove(person)
        return True

    def next(self) -> Purpose:
        newcomer = bool(self._newcomers) and not (self._newcomer_last and self._round)
        self._newcomer_last = newcomer
        person = (self._newcomers if newcomer else self._round).popleft()
        queue = self.queues[person]
        purpose = queue.popleft()
        if queue:
            self._round.append(person)
        else:
            del self.queues[person]
        self._lately.append(person)
        return purpose

    def ahead(self, person: str) -> int:
        mine = len(self.queues.get(person, ()))
        return mine + sum(min(len(queue), mine + 1) for who, queue in self.queues.items() if who != person)


class FairQueue:
    """Everything that waits. Pure."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, _Turns] = {lane: _Turns() for lane in Lane}
        self._passed_over = 0

    def __len__(self) -> int:
        return sum(len(turns) for turns in self._lanes.values())

    def __iter__(self) -> Iterator[Purpose]:
        for turns in self._lanes.values():
            for queue in turns.queues.values():
                yield from queue

    def join(self, purpose: Purpose) -> None:
        """At the end of this person's own queue."""
        self._lanes[purpose.lane].join(purpose)

    def leave(self, purpose: Purpose) -> bool:
        """Out of the queue; says whether it stood in it."""
        return self._lanes[purpose.lane].leave(purpose)

    def promote(self, purpose: Purpose, caller: Caller) -> None:
        """On another person's account from now on, where that is a better lane."""
        if caller.lane >= purpose.lane:
            return
        waits = self.leave(purpose)
        purpose.caller = caller
        if waits:
            self.join(purpose)

    def next(self) -> Purpose:
        """Takes out whose turn it is."""
        lane = self._lane()
        if lane is Lane.BACKGROUND:
            self._passed_over = 0
        elif lane is Lane.PEOPLE and len(self._lanes[Lane.BACKGROUND]):
            self._passed_over += 1
        return self._lanes[lane].next()

    def ahead(self, lane: Lane, person: str) -> int:
        """How many turns at most come before the next request that this person would add in this lane."""
        before = self._lanes[lane].ahead(person)
        before += sum(len(turns) for better, turns in self._lanes.items() if better < lane)
        if lane is Lane.PEOPLE and len(self._lanes[Lane.BACKGROUND]):
            before += before // (BACKGROUND_TURN - 1) + 1
        return before

    def _lane(self) -> Lane:
        if len(self._lanes[Lane.GUARDED]):
            return Lane.GUARDED
        due = self._passed_over >= BACKGROUND_TURN - 1 or not len(self._lanes[Lane.PEOPLE])
        return Lane.BACKGROUND if due and len(self._lanes[Lane.BACKGROUND]) else Lane.PEOPLE
