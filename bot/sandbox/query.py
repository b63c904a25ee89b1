"""Data of knowledge models: what a query asks for, and the rows and KPI values that answer it.

[choice], because none of it is published: several predefined filters and expressions must all hold; records of one
model are joined from many to one, and a filter on a finer record keeps the rows that it leads to; a field asked for
twice comes once; nulls are sorted last; text is sorted by code point; the ids in a reply on model level are
`RECORD.field`; the codes for unknown filters and KPIs, bad bodies, fields
that can't be sorted, records that can't be joined; the default
precision of a search, which looks into all strings that were asked for.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

from multidict import MultiDict, MultiMapping
from rapidfuzz import fuzz

from bot.sandbox.expressions import parse
from bot.sandbox.replies import Reply, constraint, ok, refusal
from bot.sandbox.schema import Field, KnowledgeModel, Kpi, Measure, Record, Value, shown
from bot.sandbox.switches import Switches

if TYPE_CHECKING:
    from bot.sandbox.routes import Call

_Keep: TypeAlias = "Callable[[Record, Iterable[int]], Iterable[int]]"

_PRECISION = 80
_LONGEST_LIST = 2048

_PROJECTION: tuple[tuple[str, str, type, int], ...] = (
    ("fields", "fields", str, 1),
    ("kpis", "kpis", list, 0),
    ("filters.kmFilterNames", "filters", list, 0),
    ("filters.filterExpr", "filterExpr", list, 0),
    ("pagination.pageNumber", "page", int, 0),
    ("pagination.pageSize", "pageSize", int, 0),
    ("sort", "sort", str, 2),
    ("options", "options", list, 0),
    ("search.term", "searchTerm", str, 0),
    ("search.field", "searchField", str, 0),
    ("search.precision", "searchPrecision", int, 0),
)
"""Of the body of a POST: where, the parameter that it equals, its type, its least length."""

_KINDS = {str: "string", list: "list of strings", int: "whole number"}


@dataclass(frozen=True, slots=True)
class DataQuery:
    """A query as it was sent, checked for shape only.

    Attributes:
        fields: Field ids; on model level `RECORD.field`.
        kpis: KPI ids.
        filters: Ids of predefined filters.
        expressions: Filter expressions.
        sort: Sort entries, each with its sign.
        page: Number of the page, from 0.
        size: Rows a page.
        distinct: Equal rows come once.
        term, term_field, precision: Search.
    """

    fields: tuple[str, ...]
    kpis: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    page: int = 0
    size: int = 50
    distinct: bool = False
    term: str = ""
    term_field: str = ""
    precision: int = _PRECISION


def read_query(call: Call, *, on_record: bool) -> DataQuery:
    """The query of a GET or a POST.

    Raises:
        Refused: It isn't one.
    """
    posted, switches = call.method == "POST", call.sandbox.switches
    query = _from_body(call.body) if posted else call.query
    fields = _listed(query.getall("fields", []))
    kpis = () if on_record else _listed(query.getall("kpis", []))
    if not fields and not kpis:
        raise refusal("no fields" if on_record else "no fields and kpis")
    options = _listed(query.getall("options", []))
    if any(option != "distinct" for option in options):
        raise constraint("options", "must be distinct")
    page, size = whole(query, "page", 0, switches.texts), whole(query, "pageSize", 50, switches.texts)
    if page < 0:
        raise constraint("page", "must be greater than or equal to 0")
    if size < 1:
        raise constraint("pageSize", "must be greater than or equal to 1")
    if size > switches.page_cap and switches.beyond_page == "error":
        raise constraint("pageSize", f"must be less than or equal to {switches.page_cap}")
    precision, least = whole(query, "searchPrecision", _PRECISION, switches.texts), 0 if posted else 1
    if not least <= precision <= 100:  # noqa: PLR2004 - a percentage
        raise constraint("searchPrecision", f"must be between {least} and 100")
    return DataQuery(
        fields=fields,
        kpis=kpis,
        filters=_listed(query.getall("filters", [])),
        expressions=tuple(query.getall("filterExpr", [])),
        sort=_sort_entries(query["sort"]) if "sort" in query else (),
        page=page,
        size=min(size, switches.page_cap),
        distinct=bool(options),
        term=query.get("searchTerm", ""),
        term_field=query.get("searchField", ""),
        precision=precision,
    )


def _from_body(body: bytes) -> MultiMapping[str]:
    """The parameters of a GET that ask for what the body of a POST asks for."""
    try:
        projection = json.loads(body)["projection"]
    except (ValueError, LookupError, TypeError):
        projection = None
    if not isinstance(projection, dict):
        raise refusal("bad body", detail="A JSON object with a projection is required.")
    query: MultiDict[str] = MultiDict()
    for path, parameter, kind, least in _PROJECTION:
        owner, _, name = path.rpartition(".")
        part = projection.get(owner) if owner else projection
        if part is not None and not isinstance(part, dict):
            raise refusal("bad body", detail=f"{owner} must be an object.")
        value = (part or {}).get(name)
        if value is None:
            continue
        items = value if isinstance(value, list) else [value]
        if type(value) is not kind or (kind is list and not all(isinstance(item, str) for item in items)):
            raise refusal("bad body", detail=f"{path} must be a {_KINDS[kind]}.")
        if kind is str and not least <= len(str(value)) <= _LONGEST_LIST:
            raise constraint(f"projection.{path}", f"size must be between {least} and {_LONGEST_LIST}")
        query.extend((parameter, str(item)) for item in items)
    return query


def answer(knowledge: KnowledgeModel, record: Record | None, query: DataQuery, switches: Switches) -> Reply:
    """One page of the answer.

    Args:
        knowledge: The knowledge model.
        record: The record, for a query on record level.
        query: What is asked for.
        switches: Caps.

    Raises:
        Refused: Something in the query doesn't exist or doesn't fit.
    """
    scope = _Scope(knowledge, record)
    if len(query.fields) > switches.field_cap:
        raise constraint("fields", f"size must be between 1 and {switches.field_cap}")
    columns = scope.columns(query.fields)
    kpis = scope.kpis(query.kpis)
    sortable = {column.id: column.field.sortable for column in columns} | {kpi.id: True for kpi in kpis}
    order = _order(query.sort, sortable, on_record=record is not None)
    values = _evaluate(scope, columns, kpis, scope.conditions(query, columns))
    if query.distinct:
        values = list(dict.fromkeys(values))
    for place, descending in reversed(order):
        values = _sorted(values, place, descending=descending)
    start = query.page * query.size
    if start >= switches.row_cap and switches.beyond_rows == "error":
        raise constraint("page", f"only the first {switches.row_cap} rows can be reached")
    rows = values[: switches.row_cap][start : start + query.size]
    headers = [*map(_column_header, columns), *map(_kpi_header, kpis)]
    names = [str(header["id"]) for header in headers]
    return ok(
        {
            "page": query.page,
            "pageSize": query.size,
            "total": len(rows),
            "sort": list(query.sort),
            "content": {"headers": headers, "data": [dict(zip(names, row, strict=True)) for row in rows]},
        }
    )


@dataclass(frozen=True, slots=True)
class _Column:
    id: str
    record: Record
    field: Field

    @property
    def at(self) -> int:
        return self.record.positions[self.field.id]


@dataclass(slots=True)
class _Scope:
    """Where names are looked up: in one record, or in all records of a model."""

    knowledge: KnowledgeModel
    record: Record | None
    asked: list[Record] = field(default_factory=list)

    def columns(self, names: Sequence[str]) -> list[_Column]:
        """The fields asked for; all unknown ones are named in one error."""
        found = {name: self.find(name) for name in names}
        if missing := [name for name, column in found.items() if column is None]:
            raise refusal("fields not found", names=", ".join(missing))
        columns = [column for column in found.values() if column is not None]
        self.asked = list({column.record.id: column.record for column in columns}.values())
        return columns

    def find(self, name: str) -> _Column | None:
        """A field by its id on this level."""
        if self.record is not None:
            item = self.record.field(name)
            return None if item is None else _Column(name, self.record, item)
        owner, _, identity = name.partition(".")
        record = self.knowledge.record(owner)
        item = record.field(identity) if record else None
        return None if item is None or record is None else _Column(name, record, item)

    def find_loosely(self, name: str) -> _Column:
        """The same for filters and searches; on model level a bare id will do if only one record asked for has it."""
        column = self.find(name)
        if column is not None:
            return column
        records = self.asked or list(self.knowledge.records)
        owners = [record for record in records if record.field(name)] if self.record is None else []
        if len(owners) != 1:
            raise refusal("fields not found", names=name)
        return _Column(name, owners[0], owners[0].fields[owners[0].positions[name]])

    def kpis(self, names: Sequence[str]) -> list[Kpi]:
        """The KPIs asked for."""
        known = {kpi.id: kpi for kpi in self.knowledge.kpis}
        if missing := [name for name in names if name not in known]:
            raise refusal("kpis not found", names=", ".join(missing))
        return [known[name] for name in dict.fromkeys(names)]

    def conditions(self, query: DataQuery, columns: list[_Column]) -> list[_Keep]:
        """Predefined filters, expressions and the search."""
        known = {item.id: item for item in self.knowledge.filters}
        if missing := [name for name in query.filters if name not in known]:
            raise refusal("filters not found", names=", ".join(missing))
        found = []
        for name in query.filters:
            record = self.knowledge.record(known[name].record)
            if record is not None:
                found.append(_Scope(self.knowledge, record).condition(known[name].expression))
        found += map(self.condition, query.expressions)
        return found + ([self.search(query, columns)] if query.term else [])

    def condition(self, text: str) -> _Keep:
        """Keeps the rows that the expression holds for, and those that such rows of a finer record lead to."""
        expression, knowledge = parse(text), self.knowledge
        records = [self.find_loosely(name).record for name in expression.fields()]

        def keep(table: Record, rows: Iterable[int]) -> Iterable[int]:
            finer = self.finest([table, *records])

            def resolve(name: str) -> tuple[Field, Callable[[int], Value]]:
                column = self.find_loosely(name)
                return column.field, _getter(knowledge, finer, column)

            test = expression.test(resolve)
            if finer is table:
                return [number for number in rows if test(number)]
            path = knowledge.reach(finer)[table.id]
            led_to = {path[number] for number in range(len(finer.rows)) if test(number)}
            return [number for number in rows if number in led_to]

        return keep

    def search(self, query: DataQuery, columns: list[_Column]) -> _Keep:
        """Keeps the rows of which a string is similar enough to the term."""
        within = [self.find_loosely(query.term_field)] if query.term_field else columns
        texts = [column for column in within if column.field.type == "string"]
        term = query.term.casefold()

        def similar(value: Value) -> bool:
            return bool(value) and fuzz.partial_ratio(term, str(value).casefold()) >= query.precision

        def keep(table: Record, rows: Iterable[int]) -> Iterable[int]:
            gets = [_getter(self.knowledge, table, column) for column in texts]
            return [number for number in rows if any(similar(get(number)) for get in gets)]

        return keep

    def finest(self, records: Iterable[Record]) -> Record:
        """The record whose rows lead to all of these; that is the table a query is about."""
        wanted = {record.id for record in records}
        for candidate in [self.knowledge.record(name) for name in wanted] + list(self.knowledge.records):
            if candidate is not None and wanted <= self.knowledge.reach(candidate).keys():
                return candidate
        raise refusal("records not connected", names=", ".join(sorted(wanted)))


def _getter(knowledge: KnowledgeModel, table: Record, column: _Column) -> Callable[[int], Value]:
    """The way from a row of `table` to the column's value."""
    rows, at, path = column.record.rows, column.at, knowledge.reach(table)[column.record.id]

    def get(number: int) -> Value:
        row = path[number]
        return None if row < 0 else rows[row][at]

    return get


def _kept(table: Record, conditions: list[_Keep]) -> Iterable[int]:
    """Numbers of the table's rows that meet everything."""
    rows: Iterable[int] = range(len(table.rows))
    for keep in conditions:
        rows = keep(table, rows)
    return rows


def _evaluate(
    scope: _Scope, columns: list[_Column], kpis: list[Kpi], conditions: list[_Keep]
) -> list[tuple[Value, ...]]:
    """Rows of fields; or, with KPIs, one row per combination of the fields, in the order of their appearance."""
    knowledge = scope.knowledge
    if not kpis:
        table = scope.finest(scope.asked)
        gets = [_getter(knowledge, table, column) for column in columns]
        return [tuple(get(number) for get in gets) for number in _kept(table, conditions)]
    results: dict[tuple[Value, ...], list[Value]] = {}
    for place, kpi in enumerate(kpis):
        owner = knowledge.record(kpi.measure.record)
        if owner is None:
            continue
        table = scope.finest([*scope.asked, owner])
        gets = [_getter(knowledge, table, column) for column in columns]
        groups: dict[tuple[Value, ...], list[int]] = defaultdict(list)
        if not columns:
            groups[()] = []
        path = knowledge.reach(table)[owner.id]
        for number in _kept(table, conditions):
            groups[tuple(get(number) for get in gets)].append(path[number])
        for key, rows in groups.items():
            results.setdefault(key, [None] * len(kpis))[place] = _measured(kpi.measure, owner, rows)
    return [(*key, *values) for key, values in results.items()]


def _measured(measure: Measure, record: Record, rows: list[int]) -> Value:
    numbers = [number for number in rows if number >= 0]

    def values(name: str) -> list[Value]:
        at = record.positions[name]
        return [value for number in numbers if (value := record.rows[number][at]) is not None]

    def plain(name: str) -> list[float]:
        return [float(value) for value in values(name) if isinstance(value, int | float)]

    met = decided = len(numbers)
    if measure.where:
        decided = len(tested := values(measure.where))
        met = sum(value is True for value in tested)
    match measure.kind:
        case "count":
            return met
        case "distinct":
            return len(set(values(measure.field)))
        case "share":
            return met / decided * measure.factor if decided else None
        case "ratio":
            divisor = sum(plain(measure.over))
            return sum(plain(measure.field)) / divisor * measure.factor if divisor else None
        case "sum":
            return round(sum(plain(measure.field)) * measure.factor, 6)
        case "avg":
            found = plain(measure.field)
            return fmean(found) * measure.factor if found else None


def _order(entries: tuple[str, ...], sortable: dict[str, bool], *, on_record: bool) -> list[tuple[int, bool]]:
    """Places and directions to sort by."""
    order: dict[str, tuple[int, bool]] = {}
    names = list(sortable)
    for entry in entries:
        name, descending = entry.lstrip("+-"), entry.startswith("-")
        if name not in sortable and not on_record and "." not in name:
            raise refusal("sort without record", name=name)
        if name not in sortable:
            raise refusal("sort on unknown field")
        if not sortable[name]:
            raise refusal("sort on unsortable field", name=name)
        if name in order and order[name][1] is not descending:
            raise refusal("sort in both directions")
        order[name] = (names.index(name), descending)
    return list(order.values())


def _sorted(rows: list[tuple[Value, ...]], place: int, *, descending: bool) -> list[tuple[Value, ...]]:
    full = [row for row in rows if row[place] is not None]
    full.sort(key=lambda row: row[place], reverse=descending)  # type: ignore[arg-type, return-value] # one type a column
    return full + [row for row in rows if row[place] is None]


def _column_header(column: _Column) -> dict[str, object]:
    item = column.field
    kind = "float" if item.type == "number" else item.type
    told = shown(item, "name", "format", "unit", "filterable", "sortable")
    return {"id": column.id, "type": kind, "aggregation": False, **told}


def _kpi_header(kpi: Kpi) -> dict[str, object]:
    kind = "integer" if kpi.measure.kind in ("count", "distinct") else "float"
    told = shown(kpi, "id", "name", "format", "unit")
    return {"type": kind, "aggregation": True, "filterable": False, "sortable": True, **told}


def _listed(values: Iterable[str]) -> tuple[str, ...]:
    """Comma separated and repeated values, without empty ones, each once."""
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def _sort_entries(text: str) -> tuple[str, ...]:
    """Sort entries; a `+` that was sent bare has become a space."""
    entries = tuple(entry.lstrip() for entry in text.split(","))
    if not all(entry.lstrip("+-") for entry in entries):
        raise refusal("sort is empty")
    return entries


def whole(query: Mapping[str, str], name: str, default: int, texts: str) -> int:
    """A whole number among the parameters.

    Raises:
        Refused: It is something else.
    """
    try:
        return int(query.get(name, default))
    except ValueError:
        raise refusal("not a number", texts, name=name) from None
