"""What a knowledge model of the sandbox is made of: records with rows, links between them, KPIs, filters, triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Literal, TypeAlias

FieldType: TypeAlias = Literal[
    "string", "integer", "float", "number", "boolean", "date", "datetime", "timestamp"
]
Value: TypeAlias = str | int | float | bool | date | datetime | None
Row: TypeAlias = tuple[Value, ...]


def shown(item: object, *names: str) -> dict[str, object]:
    """These attributes under their own names, which are the API's."""
    return {name: getattr(item, name) for name in names}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record, as record details show it."""

    id: str
    name: str
    type: FieldType = "string"
    format: str = ""
    unit: str = ""
    description: str = ""
    filterable: bool = True
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """Many rows of this record belong to one row of another: `field` here equals `target` there."""

    field: str
    record: str
    target: str


@dataclass(frozen=True)
class Record:
    """A record and its rows, each with one value per field."""

    id: str
    name: str
    description: str
    fields: tuple[Field, ...]
    rows: tuple[Row, ...]
    links: tuple[Link, ...] = ()
    short_name: str = ""
    note: str = ""

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where in a row each field's value is."""
        return {item.id: number for number, item in enumerate(self.fields)}

    def field(self, identity: str) -> Field | None:
        """The field with this id, case sensitive."""
        at = self.positions.get(identity)
        return None if at is None else self.fields[at]


@dataclass(frozen=True, slots=True)
class Measure:
    """How a KPI is calculated over the rows of a record.

    Attributes:
        kind: `count` counts rows, `distinct` different values, `avg` and `sum` what they say, each over the values
            of `field` that aren't null; `share` is the part of the rows (with a value in `where`) of which it is true;
            `ratio` is the sum of `field` over the sum of `over`.
        record: Whose rows.
        field: Which values.
        over: Divisor of a ratio.
        where: Only rows of which this boolean is true.
        factor: Multiplies the result.
    """

    kind: Literal["count", "distinct", "avg", "sum", "share", "ratio"]
    record: str
    field: str = ""
    over: str = ""
    where: str = ""
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI, as the list shows it, with what it measures."""

    id: str
    name: str
    measure: Measure
    format: str = ""
    unit: str = ""
    direction: Literal["Up", "Down", "None"] = "None"
    target: str | None = None
    description: str = ""
    parameters: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A predefined filter: an expression over one record."""

    id: str
    name: str
    record: str
    expression: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger on a record."""

    id: str
    name: str
    record: str


@dataclass(frozen=True)
class KnowledgeModel:
    """A knowledge model; its id is `<package key>.<its own key>`."""

    id: str
    name: str
    published: str
    records: tuple[Record, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    filters: tuple[Filter, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    extends: str = ""
    _reach: dict[str, dict[str, list[int]]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def package(self) -> str:
        """Key of the package that holds it."""
        return self.id.partition(".")[0]

    def record(self, identity: str) -> Record | None:
        """The record with this id, case sensitive."""
        return next((record for record in self.records if record.id == identity), None)

    def reach(self, record: Record) -> dict[str, list[int]]:
        """For each record that this one's rows lead to (itself included): the number of the row there, -1 for none."""
        known = self._reach.get(record.id)
        if known is None:
            known = {record.id: list(range(len(record.rows)))}
            for link in record.links:
                other = self.record(link.record)
                if other is None:
                    continue
                place = other.positions[link.target]
                index = {row[place]: number for number, row in enumerate(other.rows)}
                at = record.positions[link.field]
                step = [index.get(row[at], -1) for row in record.rows]
                for name, onward in self.reach(other).items():
                    known.setdefault(name, [onward[number] if number >= 0 else -1 for number in step])
            self._reach[record.id] = known
        return known
