"""Names of one list, ready to be looked up, and what one view sees of them.

Nothing here walks a whole list at once: building, judging and searching take `STEP` names at a time and let the event
loop go on in between. Looking a name up takes the same time in a list of ten and of fifty thousand.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from cachetools import LRUCache

from bot.language.lexicon import NameIndex
from bot.language.vocabulary import Vocabulary
from bot.model.names import Kind, Name, fold
from bot.policy import Policy, Touch, View

STEP = 500
"""Names that are handled before everybody else gets a turn."""
MOST_HITS = 25
_VIEWS = 32
"""Views whose sight of a list is kept."""
_EVERYTHING = -1
"""The bit set that holds every number."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a name.

    Attributes:
        note: Tells it apart from others of the same name.
        within: The knowledge model, record or data pool it belongs to.
        about: What lists show beside the name.
    """

    kind: Kind
    id: str
    name: str
    note: str = ""
    within: tuple[tuple[Kind, Name], ...] = ()
    about: str = ""

    @property
    def as_name(self) -> Name:
        return Name(self.name, self.id)

    @property
    def label(self) -> str:
        return f"{self.name} · {self.note}" if self.note else self.name


class Turns:
    """Lets the event loop go on after every `STEP` names."""

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done = 0

    async def after(self, names: int) -> None:
        """Tells that so many more names were handled."""
        self._done += names
        if self._done >= STEP:
            self._done = 0
            await asyncio.sleep(0)


def steps(count: int) -> Iterator[slice]:
    """The numbers below `count`, a step at a time."""
    return (slice(start, min(start + STEP, count)) for start in range(0, count, STEP))


class Listing:
    """A list as it was read; what it holds never changes, and one that holds something else takes its place whole.

    Held in a few flat pieces instead of an object a name, so that it is small and the garbage collector has nothing
    to walk.

    Attributes:
        kind: What is listed.
        fetched_at: When Celonis said so (UTC).
        checked_at: When it was last found to be as new as can be had (UTC).
        ids: The ids; a thing's place in this list is its number in the whole listing.
        names: The names, in the same order.
        abouts: What lists show beside them; empty where nothing is.
        size: Bytes it takes, about, with all that is kept beside it.
    """

    __slots__ = (
        "_index",
        "_numbers",
        "_sights",
        "abouts",
        "checked_at",
        "fetched_at",
        "ids",
        "kind",
        "names",
        "size",
    )

    def __init__(self, kind: Kind, fetched_at: datetime) -> None:
        self.kind = kind
        self.fetched_at = self.checked_at = fetched_at
        self.ids: list[str] = []
        self.names: list[str] = []
        self.abouts: list[str] = []
        self.size = 0
        self._index: NameIndex | None = None
        self._numbers: dict[str, int | list[int]] = {}
        self._sights: LRUCache[tuple[View, tuple[tuple[Kind, Name], ...]], int] = LRUCache(_VIEWS)

    @classmethod
    async def build(
        cls, kind: Kind, fetched_at: datetime, chunks: Iterable[Sequence[tuple[str, str, str]]]
    ) -> Listing:
        """A listing of things with id, name and what is shown beside it; a chunk of them is handled at a time."""
        made, turns = cls(kind, fetched_at), Turns()
        for chunk in chunks:
            for row in chunk:
                made._add(*row)
            await turns.after(len(chunk))
        texts = made.ids, made.names, made.abouts
        made.size += sum(map(sys.getsizeof, (made._numbers, *texts))) + len(made.ids) * _VIEWS // 8
        return made

    def _add(self, thing_id: str, name: str, about: str) -> None:
        number = len(self.ids)
        self.ids.append(thing_id)
        self.names.append(name)
        self.abouts.append(about)
        self.size += sys.getsizeof(thing_id) + sys.getsizeof(name) + (sys.getsizeof(about) if about else 0)
        for text in {fold(name), fold(thing_id)}:
            known = self._numbers.setdefault(text, number)
            if isinstance(known, list):
                known.append(number)
            elif known != number:
                self._numbers[text] = [known, number]
            else:
                self.size += sys.getsizeof(text)

    async def indexed(self, words: Vocabulary) -> NameIndex:
        """The forms of its names, built when they are first looked for."""
        if self._index is None:
            index, turns = NameIndex(words), Turns()
            for step in steps(len(self)):
                for number in range(step.start, step.stop):
                    index.add(number, self.names[number])
                await turns.after(step.stop - step.start)
            self._index = index
        return self._index

    def __len__(self) -> int:
        return len(self.ids)

    async def equals(self, chunks: Iterable[Sequence[tuple[str, str, str]]]) -> bool:
        """Whether it holds exactly these things, in this order."""
        at, turns = 0, Turns()
        for chunk in chunks:
            here = slice(at, at + len(chunk))
            if list(zip(self.ids[here], self.names[here], self.abouts[here], strict=True)) != chunk:
                return False
            at = here.stop
            await turns.after(len(chunk))
        return at == len(self)

    def folded(self) -> KeysView[str]:
        """Every folded name and id."""
        return self._numbers.keys()

    def called(self, folded: str) -> Sequence[int]:
        """The numbers of what has this folded name or id."""
        found = self._numbers.get(folded, ())
        return (found,) if isinstance(found, int) else found

    async def sight(self, policy: Policy, view: View, within: tuple[tuple[Kind, Name], ...]) -> int:
        """Which of them a view shows, as a bit set over their numbers; judged once and kept.

        Args:
            policy: Judges.
            view: For whom.
            within: The knowledge model, record or data pool, under the names they have now: rules may name them.
        """
        key = (view, within)
        found = self._sights.get(key)
        if found is None:
            found = self._sights[key] = await self._judged(policy, view, within)
        return found

    async def _judged(self, policy: Policy, view: View, within: tuple[tuple[Kind, Name], ...]) -> int:
        given = {kind.name.lower(): name for kind, name in within}
        part = self.kind.name.lower()  # the policy calls each kind so
        if policy.shows_all(view, Touch(**given), part):
            return _EVERYTHING
        bits, turns = bytearray(len(self) // 8 + 1), Turns()
        for step in steps(len(self)):
            for number in range(step.start, step.stop):
                name = Name(self.names[number], self.ids[number])
                if policy.shows(view, Touch(**given, **{part: name})):
                    bits[number >> 3] |= 1 << (number & 7)
            await turns.after(STEP)
        return int.from_bytes(bits, "little")


@dataclass(frozen=True, slots=True)
class Seen(Sequence[Item]):
    """A list as one view shows it; nothing else of it can be got at from here.

    Attributes:
        listing: All of it.
        within: The knowledge model, record or data pool it belongs to.
        bits: Which of it is shown.
        record: Set where fields stand among those of other records: their ids and names then tell which one.
    """

    listing: Listing
    within: tuple[tuple[Kind, Name], ...]
    bits: int
    record: Item | None = None

    def __len__(self) -> int:
        return len(self.listing) if self.bits == _EVERYTHING else self.bits.bit_count()

    @overload
    def __getitem__(self, at: int) -> Item: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, at: int | slice) -> Item | tuple[Item, ...]:
        shown = self.shown()
        return self.item(shown[at]) if isinstance(at, int) else tuple(map(self.item, shown[at]))

    def __iter__(self) -> Iterator[Item]:
        return map(self.item, self.shown())

    def shown(self) -> Sequence[int]:
        """The numbers of what is shown, of the listing."""
        if self.bits == _EVERYTHING:
            return range(len(self.listing))
        return [number for number, bit in enumerate(bin(self.bits)[:1:-1]) if bit == "1"]

    def item(self, number: int) -> Item:
        """The thing with a number of the listing."""
        listing = self.listing
        kind, thing_id, name = listing.kind, listing.ids[number], listing.names[number]
        match kind:
            case Kind.POOL | Kind.SPACE:
                note = thing_id[-6:]
            case Kind.JOB | Kind.DATA_MODEL | Kind.PACKAGE:
                note = f"{self.within[0][1].text}, {thing_id[-6:]}"
            case _:
                note = thing_id
        if self.record is not None:
            note = self.record.name
        return Item(
            kind, self.id_of(number), name, note=note, within=self.within, about=listing.abouts[number]
        )

    def known(self, thing_id: str) -> Item | None:
        """What has exactly this id, if it is shown."""
        if self.record is not None:
            record_id, _, thing_id = thing_id.partition(".")
            if record_id != self.record.id:
                return None
        number = self.number(thing_id)
        return None if number is None else self.item(number)

    def number(self, thing_id: str) -> int | None:
        """Where in the listing stands what has exactly this id, if it is shown."""
        for number in self.listing.called(fold(thing_id)):
            if self.listing.ids[number] == thing_id and self.bits >> number & 1:
                return number
        return None

    def shows(self, thing_id: str) -> bool:
        """Whether what has this id is shown, or would be if it is newer than the list."""
        return self.bits == _EVERYTHING or self.known(thing_id) is not None

    def called(self, folded: str) -> Iterator[int]:
        """The numbers of what is shown and has this folded name or id; of fields also with their record's before it."""
        texts = {folded}
        if self.record is not None:
            for owner in {fold(self.record.name), fold(self.record.id)} - {""}:
                if folded.startswith(owner):
                    texts.add(folded.removeprefix(owner).removeprefix("."))
        numbers = {number for text in texts for number in self.listing.called(text)}
        return (number for number in sorted(numbers) if self.bits >> number & 1)

    def id_of(self, number: int) -> str:
        """The id under which the thing with a number of the listing is known here."""
        thing_id = self.listing.ids[number]
        return thing_id if self.record is None else f"{self.record.id}.{thing_id}"


def matching(text: str, lists: Iterable[Seen]) -> tuple[Item, ...]:
    """What a text means exactly: by id, by name, or by name but for case, spaces and dashes; the first that is any."""
    folded = fold(text)
    found = [(seen, number) for seen in lists for number in seen.called(folded)]
    by_id = [(seen, number) for seen, number in found if seen.id_of(number) == text]
    by_name = [(seen, number) for seen, number in found if seen.listing.names[number] == text]
    return tuple(seen.item(number) for seen, number in (by_id or by_name or found)[:MOST_HITS])
