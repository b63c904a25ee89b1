"""Who goes next: lanes by importance, and within a lane one turn for each person."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from bot.celonis.connection import Lane

BACKGROUND_TURN = 5
"""Every fifth turn is the background's where it waits, so that people cannot starve it."""


class Waiting:
    """One request that waits for its turn. Lane and deadline may improve while it waits."""

    __slots__ = ("deadline", "lane", "person", "place")

    def __init__(self, person: str, place: str, lane: Lane, deadline: float) -> None:
        self.person = person
        self.place = place
        self.lane = lane
        self.deadline = deadline


class Line:
    """Everything that waits. Pure."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, OrderedDict[str, deque[Waiting]]] = {lane: OrderedDict() for lane in Lane}
        self._passed_over = 0

    def __len__(self) -> int:
        return sum(len(queue) for people in self._lanes.values() for queue in people.values())

    def __iter__(self) -> Iterator[Waiting]:
        for people in self._lanes.values():
            for queue in people.values():
                yield from queue

    def join(self, waiting: Waiting) -> None:
        """At the end of this person's own queue."""
        self._lanes[waiting.lane].setdefault(waiting.person, deque()).append(waiting)

    def leave(self, waiting: Waiting) -> bool:
        """Out of the line, wherever it stands; says whether it stood in it."""
        for people in self._lanes.values():
            queue = people.get(waiting.person)
            if queue is not None and waiting in queue:
                queue.remove(waiting)
                if not queue:
                    del people[waiting.person]
                return True
        return False

    def promote(self, waiting: Waiting, *, lane: Lane, person: str, place: str) -> None:
        """Into a better lane, on another person's account; nothing happens to one that no longer waits."""
        if self.leave(waiting):
            waiting.lane, waiting.person, waiting.place = lane, person, place
            self.join(waiting)

    def next(self) -> Waiting:
        """Takes out whose turn it is; that person's next request goes behind everybody else's."""
        lane = self._lane()
        people = self._lanes[lane]
        person, queue = next(iter(people.items()))
        waiting = queue.popleft()
        if queue:
            people.move_to_end(person)
        else:
            del people[person]
        if lane is Lane.BACKGROUND:
            self._passed_over = 0
        elif lane is Lane.PEOPLE and self._lanes[Lane.BACKGROUND]:
            self._passed_over += 1
        return waiting

    def ahead(self, lane: Lane, person: str) -> int:
        """How many turns at most come before the next request that this person would add in this lane."""
        mine = len(self._lanes[lane].get(person, ()))
        before = sum(
            min(len(queue), mine + 1) for other, queue in self._lanes[lane].items() if other != person
        )
        before += mine
        for better in Lane:
            if better < lane:
                before += sum(len(queue) for queue in self._lanes[better].values())
        if lane is Lane.PEOPLE and self._lanes[Lane.BACKGROUND]:
            before += before // (BACKGROUND_TURN - 1) + 1
        return before

    def _lane(self) -> Lane:
        if self._lanes[Lane.GUARDED]:
            return Lane.GUARDED
        background_due = self._passed_over >= BACKGROUND_TURN - 1
        if self._lanes[Lane.BACKGROUND] and (background_due or not self._lanes[Lane.PEOPLE]):
            return Lane.BACKGROUND
        return Lane.PEOPLE
