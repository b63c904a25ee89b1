"""What a KPI's target says about a value: met or missed, and by how much."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bot.celonis import Header
from bot.celonis import Kpi as KpiReply
from bot.commands.cells import decimal, value_of
from bot.commands.lists import count
from bot.config import KpiKind
from bot.model.cards import Cell, Missing, Number, Reader, Verdict, Words
from bot.model.names import Name
from bot.render.values import write

_OF_PARTS = frozenset(
    {"average", "averages", "avg", "mean", "median", "rate", "ratio", "share", "percentage", "percent"}
    | {"durchschnitt", "durchschnittlich", "durchschnittliche", "mittel", "quote", "rate", "anteil", "ø"}
)
"""Words in the names of KPIs whose parts are of the size of the whole; the first of these and those below decides."""
_OF_ALL = frozenset({"total", "sum", "number", "count", "amount", "summe", "gesamt", "anzahl", "menge"})
_MARKS = {Verdict.MET: "✓", Verdict.MISSED: "✗"}


@dataclass(frozen=True, slots=True)
class Measure:
    """A KPI with all that decides how good a value of it is.

    Attributes:
        name: What it is called.
        reply: What Celonis says of it.
        by_parts: Whether a part is held against the target as well as the whole.
    """

    name: Name
    reply: KpiReply
    by_parts: bool

    @classmethod
    def of(cls, name: Name, reply: KpiReply | None, kinds: Mapping[str, KpiKind]) -> Measure:
        """The KPI of a name; None stands for one that Celonis does not list any more."""
        known = reply or KpiReply(id=name.id, name=name.text)
        kind = kinds.get(known.id)
        return cls(name, known, _by_parts(known) if kind is None else kind != "total")

    @property
    def better(self) -> str:
        """`higher`, `lower`, or empty where the knowledge model does not say."""
        return {"up": "higher", "down": "lower"}.get(self.reply.direction.casefold(), "")

    @property
    def _target(self) -> Decimal | None:
        said = self.reply.target.strip()
        share = "%" in self.reply.format and said.endswith("%")
        number = decimal(said.removesuffix("%"))
        return number / 100 if number is not None and share else number

    @property
    def has_target(self) -> bool:
        return bool(self.reply.target.strip())

    def cell(self, row: Mapping[str, object], headers: Mapping[str, Header]) -> Cell:
        """Its value in a row of a data reply."""
        about = self.reply
        return value_of(row, about.id, headers, "number", format=about.format, unit=about.unit)

    def target(self, like: Cell) -> Cell:
        """Its target, written as a value of it is."""
        if not self.has_target:
            return Missing()
        number = self._target
        if number is None:
            return Words(self.reply.target)
        if isinstance(like, Number):
            return Number(number, like.format, like.unit)
        return Number(number, self.reply.format, self.reply.unit)

    def judged(self, value: Cell, *, part: bool = False) -> Cell:
        """A value with whether it meets the target; without a word on it where nothing says so.

        Args:
            value: Of the KPI.
            part: It is not the value of all there is, but of a group, a period or what conditions leave.
        """
        target = self._target
        if target is None or not isinstance(value, Number) or not self.better or (part and not self.by_parts):
            return value
        number = exact(value)
        met = number >= target if self.better == "higher" else number <= target
        return replace(value, verdict=Verdict.MET if met else Verdict.MISSED)

    def distance(self, value: Number, reader: Reader) -> str:
        """How far a judged value is from the target, in the KPI's unit: `2.7 points short`."""
        target = self._target
        assert target is not None
        apart = exact(value) - target
        if not apart:
            return "exactly the target"
        higher = self.better == "higher"
        way = {(True, True): "above", (True, False): "short", (False, True): "over", (False, False): "below"}
        return f"{size(value, apart, reader)} {way[higher, apart > 0]}"

    def verdict(self, value: Cell, reader: Reader) -> str:
        """The mark of a judged value in a few words; empty where it is not judged."""
        if not isinstance(value, Number) or value.verdict is None:
            return ""
        mark, target = _MARKS[value.verdict], f"target {write(self.target(value), reader)}"
        if value.verdict is Verdict.MET:
            return f"{mark} {target}"
        return f"{mark} {self.distance(value, reader)} of {target}" if self.better == "higher" else (
            f"{mark} {self.distance(value, reader)} {target}"
        )  # fmt: skip


def score(marks: Sequence[Verdict], where: str = "") -> str:
    """How many of several targets are missed."""
    missed = marks.count(Verdict.MISSED)
    if missed:
        return f"✗ {missed} of {count(len(marks), 'target')} missed{where}"
    return (
        f"✓ All {count(len(marks), 'target')} met{where}" if len(marks) > 1 else f"✓ The target is met{where}"
    )


def against(marks: Sequence[Verdict], target: str, one: str = "") -> str:
    """How many of several values, each of them `one`, miss the same target."""
    missed, every = marks.count(Verdict.MISSED), count(len(marks), one) if one else str(len(marks))
    return f"✗ {missed} of {every} miss {target}" if missed else f"✓ All {every} meet {target}"


def exact(value: Number) -> Decimal:
    """A number as it is, not as a binary fraction is near it."""
    return decimal(value.value) or Decimal(0)


def size(like: Number, apart: Decimal, reader: Reader) -> str:
    """A difference of two values, without its sign, in their unit; of percentages in points."""
    apart = abs(apart)
    if "%" in like.format or like.unit.strip() == "%":
        points = apart * 100 if "%" in like.format else apart
        rounded = round(points, 1) or points
        return write(Number(rounded, "", "point" if rounded == 1 else "points"), reader)
    shown = Number(apart, like.format, like.unit)
    nothing = write(replace(shown, value=0), reader)
    return write(shown if write(shown, reader) != nothing else Number(apart, "", like.unit), reader)


def change(now: Cell, before: Cell, better: str, reader: Reader) -> str:
    """What became of a value: `up 1.2 points, better`; empty where there is nothing to compare."""
    if not isinstance(now, Number) or not isinstance(before, Number):
        return ""
    apart = exact(now) - exact(before)
    if not apart:
        return "unchanged"
    good = {"higher": apart > 0, "lower": apart < 0}.get(better)
    said = "" if good is None else ", better" if good else ", worse"
    return f"{'up' if apart > 0 else 'down'} {size(now, apart, reader)}{said}"


def _by_parts(about: KpiReply) -> bool:
    """Whether name or format show that its parts are of the size of the whole."""
    if "%" in about.format or about.unit.strip() == "%":
        return True
    for word in re.findall(r"\w+", about.name.casefold()):
        if word in _OF_PARTS or word.endswith(("quote", "anteil")):
            return True
        if word in _OF_ALL:
            return False
    return False
