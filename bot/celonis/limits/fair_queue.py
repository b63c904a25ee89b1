"""Who goes next: lanes by importance, and within a lane one turn for each person."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from bot.celonis.connection import Lane

BACKGROUND_TURN = 5
"""Every fifth turn is the background's where it waits, so that people cannot starve it."""


LATELY = 64
"""How many of the newest turns are remembered, to tell who had none."""


class Waiting:
    """One request that waits for its turn. Lane and deadline may improve while it waits."""

    __slots__ = ("deadline", "lane", "person", "place")

    def __init__(self, person: str, place: str, lane: Lane, deadline: float) -> None:
        self.person = person
        self.place = place
        self.lane = lane
        self.deadline = deadline


class _Turns:
    """One lane: everybody has a queue, and everybody in turn gets a turn.

    Whoever comes without having had a turn lately goes before the round, but after one turn of the round at most, so
    that a person with one question does not wait behind the next of a person with hundreds, nor the other way round.
    """

    def __init__(self) -> None:
        self.queues: dict[str, deque[Waiting]] = {}
        self._round: deque[str] = deque()
        self._newcomers: deque[str] = deque()
        self._lately: deque[str] = deque(maxlen=LATELY)
        self._newcomer_last = False

    def __len__(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def join(self, waiting: Waiting) -> None:
        queue = self.queues.get(waiting.person)
        if queue is not None:
            queue.append(waiting)
            return
        # "Lately" is one round: as many turns as people wait.
        lately = islice(reversed(self._lately), max(1, len(self.queues)))
        (self._round if waiting.person in lately else self._newcomers).append(waiting.person)
        self.queues[waiting.person] = deque([waiting])

    def leave(self, waiting: Waiting) -> bool:
        queue = self.queues.get(waiting.person)
        if queue is None or waiting not in queue:
            return False
        queue.remove(waiting)
        if not queue:
            self._forget(waiting.person)
        return True

    def next(self) -> Waiting:
        newcomer = bool(self._newcomers) and not (self._newcomer_last and self._round)
        self._newcomer_last = newcomer
        person = (self._newcomers if newcomer else self._round).popleft()
        queue = self.queues[person]
        waiting = queue.popleft()
        if queue:
            self._round.append(person)
        else:
            del self.queues[person]
        self._lately.append(person)
        return waiting

    def ahead(self, person: str) -> int:
        mine = len(self.queues.get(person, ()))
        return mine + sum(min(len(queue), mine + 1) for who, queue in self.queues.items() if who != person)

    def _forget(self, person: str) -> None:
        del self.queues[person]
        for order in (self._round, self._newcomers):
            if person in order:
                order.remove(person)


class Line:
    """Everything that waits. Pure."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, _Turns] = {lane: _Turns() for lane in Lane}
        self._passed_over = 0

    def __len__(self) -> int:
        return sum(len(turns) for turns in self._lanes.values())

    def __iter__(self) -> Iterator[Waiting]:
        for turns in self._lanes.values():
            for queue in turns.queues.values():
                yield from queue

    def join(self, waiting: Waiting) -> None:
        """At the end of this person's own queue."""
        self._lanes[waiting.lane].join(waiting)

    def leave(self, waiting: Waiting) -> bool:
        """Out of the line; says whether it stood in it."""
        return self._lanes[waiting.lane].leave(waiting)

    def promote(self, waiting: Waiting, *, lane: Lane, person: str, place: str) -> None:
        """Into a better lane, on another person's account; nothing happens to one that no longer waits."""
        if self.leave(waiting):
            waiting.lane, waiting.person, waiting.place = lane, person, place
            self.join(waiting)

    def next(self) -> Waiting:
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
