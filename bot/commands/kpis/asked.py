"""What can be asked about KPIs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bot.commands.kpis.periods import UNITS
from bot.language.declare import CelonisIntent, Count, Flag, Names, OneName, OneOf, SortBy, Where, clause
from bot.model.intents import Condition, SortKey
from bot.model.names import Kind, Name

TARGET, BEFORE = "target", "previous period"


@dataclass(frozen=True, slots=True)
class Kpis(CelonisIntent):
    """The scorecard: every KPI of a knowledge model with its current value and its target."""

    words: ClassVar[str] = "kpis"
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    page: int = field(default=1, metadata=clause("page", Count()))


@dataclass(frozen=True, slots=True)
class ShowKpi(CelonisIntent):
    """Values of KPIs: alone, by fields, or over time. A period is a condition on a date field."""

    words: ClassVar[str] = "kpi"
    kpis: tuple[Name, ...] = field(default=(), metadata=clause("", Names(Kind.KPI)))
    model: Name | None = field(default=None, metadata=clause("of", OneName(Kind.MODEL)))
    by: tuple[Name, ...] = field(default=(), metadata=clause("by", Names(Kind.FIELD)))
    where: Condition | None = field(default=None, metadata=clause("where", Where()))
    filter: tuple[Name, ...] = field(default=(), metadata=clause("filter", Names(Kind.FILTER)))
    sort: tuple[SortKey, ...] = field(default=(), metadata=clause("sort", SortBy()))
    top: int = field(default=0, metadata=clause("top", Count()))
    bottom: int = field(default=0, metadata=clause("bottom", Count()))
    best: int = field(default=0, metadata=clause("best", Count()))
    worst: int = field(default=0, metadata=clause("worst", Count()))
    every: str = field(default="", metadata=clause("every", OneOf(UNITS)))
    against: str = field(default="", metadata=clause("against", OneOf((TARGET, BEFORE), or_period=True)))
    chart: bool = field(default=False, metadata=clause("as chart", Flag()))
    page: int = field(default=1, metadata=clause("page", Count()))

    @property
    def most(self) -> int:
        """How many rows are asked for at most; 0 for all."""
        return self.top or self.bottom or self.best or self.worst

    @property
    def rank(self) -> str:
        """The same in words: `, worst 3`; empty for all."""
        ranks = {"top": self.top, "bottom": self.bottom, "best": self.best, "worst": self.worst}
        return "".join(f", {word} {number}" for word, number in ranks.items() if number)
