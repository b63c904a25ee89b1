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
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

from rapidfuzz import fuzz

from bot.sandbox.expressions import Expression, parse
from bot.sandbox.replies import Refused, Reply, constraint, mismatch, ok, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bot.sandbox.routing import Call
    from bot.sandbox.schema import Field, KnowledgeModel, Kpi, Measure, Record, Value
    from bot.sandbox.switches import Switches

_PRECISION = 80
_LONGEST_LIST = 2048


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


def read_query(call: Call, *, on_record: bool, switches: Switches) -> DataQuery:
    """The query of a GET."""
    query = call.query
    fields = _listed(query.getall("fields", []))
    kpis = () if on_record else _listed(query.getall("kpis", []))
    _check_presence(fields, kpis, on_record=on_record)
    size = _size(_whole(query, "pageSize", 50, switches), switches)
    page = _whole(query, "page", 0, switches)
    if page < 0:
        raise constraint("page", "must be greater than or equal to 0")
    precision = _whole(query, "searchPrecision", _PRECISION, switches)
    _within("searchPrecision", precision, 1, 100)
    sort = query.get("sort")
    return DataQuery(
        fields=fields,
        kpis=kpis,
        filters=_listed(query.getall("filters", [])),
        expressions=tuple(query.getall("filterExpr", [])),
        sort=() if sort is None else _sort_entries(sort),
        page=page,
        size=size,
        distinct=_distinct(_listed(query.getall("options", []))),
        term=query.get("searchTerm", ""),
        term_field=query.get("searchField", ""),
        precision=precision,
    )


def read_body(call: Call, *, on_record: bool, switches: Switches) -> DataQuery:
    """The query of a POST."""
    try:
        body = json.loads(call.body)
    except ValueError:
        body = None
    projection = _part(body, "projection") if isinstance(body, dict) else None
    if projection is None:
        raise _bad_body("A JSON object with a projection is required.")
    fields = _listed([_text(projection, "fields", least=1)]) if "fields" in projection else ()
    kpis = () if on_record else _texts(projection, "kpis")
    _check_presence(fields, kpis, on_record=on_record)
    filters = _part(projection, "filters") or {}
    paging = _part(projection, "pagination") or {}
    search = _part(projection, "search") or {}
    page = _integer(paging, "pageNumber", 0)
    if page < 0:
        raise constraint("projection.pagination.pageNumber", "must be greater than or equal to 0")
    precision = _integer(search, "precision", _PRECISION)
    _within("projection.search.precision", precision, 0, 100)
    sort = _text(projection, "sort", least=2) if projection.get("sort") is not None else None
    return DataQuery(
        fields=fields,
        kpis=kpis,
        filters=_texts(filters, "kmFilterNames"),
        expressions=_texts(filters, "filterExpr"),
        sort=() if sort is None else _sort_entries(sort),
        page=page,
        size=_size(_integer(paging, "pageSize", 50), switches),
        distinct=_distinct(_texts(projection, "options")),
        term=_text(search, "term", least=0) if "term" in search else "",
        term_field=_text(search, "field", least=0) if "field" in search else "",
        precision=precision,
    )


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
    conditions = scope.conditions(query)
    search = scope.search(query, columns)
    values = _evaluate(scope, columns, kpis, conditions, search)
    if query.distinct:
        values = list(dict.fromkeys(values))
    for place, descending in reversed(order):
        values = _sorted(values, place, descending=descending)
    start = query.page * query.size
    if start >= switches.row_cap and switches.beyond_rows == "error":
        raise constraint("page", f"only the first {switches.row_cap} rows can be reached")
    shown = values[: switches.row_cap][start : start + query.size]
    headers = [*map(_column_header, columns), *map(_kpi_header, kpis)]
    names = [str(header["id"]) for header in headers]
    return ok(
        {
            "page": query.page,
            "pageSize": query.size,
            "total": len(shown),
            "sort": list(query.sort),
            "content": {"headers": headers, "data": [dict(zip(names, row, strict=True)) for row in shown]},
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


@dataclass(frozen=True, slots=True)
class _Condition:
    """A test and the records that it looks at."""

    records: tuple[Record, ...]
    expression: Expression
    resolve: Callable[[str], _Column]


@dataclass(frozen=True, slots=True)
class _Search:
    term: str
    precision: int
    columns: tuple[_Column, ...]


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
            raise _fields_not_found(missing)
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
            raise _fields_not_found([name])
        return _Column(name, owners[0], owners[0].fields[owners[0].positions[name]])

    def kpis(self, names: Sequence[str]) -> list[Kpi]:
        """The KPIs asked for."""
        known = {kpi.id: kpi for kpi in self.knowledge.kpis}
        if missing := [name for name in names if name not in known]:
            detail = f"KPIs not found: {', '.join(missing)}. Note: KPIs are case sensitive."
            raise refusal(400, "KPI not found.", detail, "KM_KPI_NOTFOUND")
        return [known[name] for name in dict.fromkeys(names)]

    def conditions(self, query: DataQuery) -> list[_Condition]:
        """Predefined filters and expressions."""
        known = {item.id: item for item in self.knowledge.filters}
        if missing := [name for name in query.filters if name not in known]:
            detail = f"Filters not found: {', '.join(missing)}. Note: Filters are case sensitive."
            raise refusal(400, "Filter not found.", detail, "KM_FILTER_NOTFOUND")
        found = []
        for name in query.filters:
            record = self.knowledge.record(known[name].record)
            if record is not None:
                found.append(_condition(known[name].expression, _Scope(self.knowledge, record).find_loosely))
        return found + [_condition(text, self.find_loosely) for text in query.expressions]

    def search(self, query: DataQuery, columns: list[_Column]) -> _Search | None:
        """The search, if there is one."""
        if not query.term:
            return None
        within = [self.find_loosely(query.term_field)] if query.term_field else columns
        texts = tuple(column for column in within if column.field.type == "string")
        return _Search(query.term.casefold(), query.precision, texts)

    def finest(self, records: Iterable[Record]) -> Record:
        """The record whose rows lead to all of these; that is the table a query is about."""
        wanted = {record.id for record in records}
        for candidate in [self.knowledge.record(name) for name in wanted] + list(self.knowledge.records):
            if candidate is not None and wanted <= self.knowledge.reach(candidate).keys():
                return candidate
        detail = f"Records can't be combined: {', '.join(sorted(wanted))}."
        raise refusal(400, "Records are not connected.", detail, "KM_RECORDS_NOT_CONNECTED")


def _condition(text: str, resolve: Callable[[str], _Column]) -> _Condition:
    expression = parse(text)
    records = {column.record.id: column.record for column in map(resolve, expression.fields())}
    return _Condition(tuple(records.values()), expression, resolve)


def _getter(knowledge: KnowledgeModel, table: Record, column: _Column) -> Callable[[int], Value]:
    """The way from a row of `table` to the column's value."""
    rows, at, path = column.record.rows, column.at, knowledge.reach(table)[column.record.id]

    def get(number: int) -> Value:
        row = path[number]
        return None if row < 0 else rows[row][at]

    return get


def _kept(scope: _Scope, table: Record, conditions: list[_Condition], search: _Search | None) -> list[int]:
    """Numbers of the table's rows that meet everything."""
    rows: Iterable[int] = range(len(table.rows))
    for condition in conditions:
        rows = _filtered(scope, table, condition, rows)
    if search is not None:
        gets = [_getter(scope.knowledge, table, column) for column in search.columns]
        rows = [number for number in rows if _similar(search, (get(number) for get in gets))]
    return list(rows)


def _filtered(scope: _Scope, table: Record, condition: _Condition, rows: Iterable[int]) -> list[int]:
    knowledge = scope.knowledge
    finer = scope.finest([table, *condition.records])

    def resolve(name: str) -> tuple[Field, Callable[[int], Value]]:
        column = condition.resolve(name)
        return column.field, _getter(knowledge, finer, column)

    test = condition.expression.test(resolve)
    if finer is table:
        return [number for number in rows if test(number)]
    path = knowledge.reach(finer)[table.id]
    led_to = {path[number] for number in range(len(finer.rows)) if test(number)}
    return [number for number in rows if number in led_to]


def _similar(search: _Search, values: Iterable[Value]) -> bool:
    return any(
        isinstance(value, str)
        and value != ""
        and fuzz.partial_ratio(search.term, value.casefold()) >= search.precision
        for value in values
    )


def _evaluate(
    scope: _Scope,
    columns: list[_Column],
    kpis: list[Kpi],
    conditions: list[_Condition],
    search: _Search | None,
) -> list[tuple[Value, ...]]:
    """Rows of fields; or, with KPIs, one row per combination of the fields, in the order of their appearance."""
    knowledge = scope.knowledge
    if not kpis:
        table = scope.finest(scope.asked)
        gets = [_getter(knowledge, table, column) for column in columns]
        return [tuple(get(number) for get in gets) for number in _kept(scope, table, conditions, search)]
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
        for number in _kept(scope, table, conditions, search):
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

    if measure.where is not None:
        at, wanted = record.positions[measure.where[0]], measure.where[1]
        tested = [record.rows[number][at] for number in numbers]
        met = sum(value == wanted for value in tested)
        decided = sum(value is not None for value in tested)
    else:
        met = decided = len(numbers)
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
        if name not in sortable:
            raise _unknown_sort(name, on_record=on_record)
        if not sortable[name]:
            raise refusal(
                400, "Sort field is not sortable.", f"Field '{name}' is not sortable.", "SORT_NOT_SORTABLE"
            )
        if name in order and order[name][1] is not descending:
            detail = "The same field can't be sorted in opposite directions."
            raise refusal(400, "Sort fields have opposite directions.", detail, "SORT_HAS_OPPOSITE")
        order[name] = (names.index(name), descending)
    return list(order.values())


def _unknown_sort(name: str, *, on_record: bool) -> Refused:
    if not on_record and "." not in name:
        detail = f"Sort illegal field parameter, it should contain recordId.fieldId: {name}"
        return refusal(400, "Sort illegal field parameter.", detail, "GENERAL_PARAMETER_ILLEGAL")
    title = "Some fields in sort don't exist in fields."
    return refusal(400, title, "The sort field does not exist.", "SORT_UNKNOWN_FIELD")


def _sorted(rows: list[tuple[Value, ...]], place: int, *, descending: bool) -> list[tuple[Value, ...]]:
    full = [row for row in rows if row[place] is not None]
    full.sort(key=lambda row: row[place], reverse=descending)  # type: ignore[arg-type, return-value] # one type a column
    return full + [row for row in rows if row[place] is None]


def _column_header(column: _Column) -> dict[str, object]:
    item = column.field
    return {
        "id": column.id,
        "name": item.name,
        "type": "float" if item.type == "number" else item.type,
        "format": item.format,
        "unit": item.unit,
        "aggregation": False,
        "filterable": item.filterable,
        "sortable": item.sortable,
    }


def _kpi_header(kpi: Kpi) -> dict[str, object]:
    return {
        "id": kpi.id,
        "name": kpi.name,
        "type": "integer" if kpi.measure.kind in ("count", "distinct") else "float",
        "format": kpi.format,
        "unit": kpi.unit,
        "aggregation": True,
        "filterable": False,
        "sortable": True,
    }


def _check_presence(fields: tuple[str, ...], kpis: tuple[str, ...], *, on_record: bool) -> None:
    if fields or kpis:
        return
    if on_record:
        detail = "Required request parameter 'fields' for method parameter type List is not present"
        raise refusal(400, "Missing parameters.", detail, "GENERAL_PARAMETER_MISSING")
    detail = "Missing mandatory parameters: at least one of fields or kpis must be present"
    raise refusal(400, "Missing mandatory parameters.", detail, "GENERAL_PARAMETER_MISSING")


def _fields_not_found(names: Iterable[str]) -> Refused:
    detail = f"Fields not found: {', '.join(names)}. Note: Fields are case sensitive."
    return refusal(400, "Field not found.", detail, "KM_FIELD_NOTFOUND")


def _listed(values: Iterable[str]) -> tuple[str, ...]:
    """Comma separated and repeated values, without empty ones, each once."""
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def _sort_entries(text: str) -> tuple[str, ...]:
    """Sort entries; a `+` that was sent bare has become a space."""
    entries = tuple(entry.lstrip() for entry in text.split(","))
    if not all(entry.lstrip("+-") for entry in entries):
        raise refusal(
            400, "Sort parameter error length.", "Sort parameter should not be empty.", "SORT_IS_EMPTY"
        )
    return entries


def _distinct(options: tuple[str, ...]) -> bool:
    if any(option != "distinct" for option in options):
        raise constraint("options", "must be distinct")
    return bool(options)


def _size(size: int, switches: Switches) -> int:
    if size < 1:
        raise constraint("pageSize", "must be greater than or equal to 1")
    if size > switches.page_cap and switches.beyond_page == "error":
        raise constraint("pageSize", f"must be less than or equal to {switches.page_cap}")
    return min(size, switches.page_cap)


def _within(name: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise constraint(name, f"must be between {least} and {most}")


def _whole(query: Mapping[str, str], name: str, default: int, switches: Switches) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise mismatch(name, "Integer", switches.texts) from None


def _bad_body(detail: str) -> Refused:
    return refusal(400, "Malformed request body.", detail, "GENERAL_BODY_ILLEGAL")


def _part(owner: Mapping[str, object], name: str) -> dict[str, object] | None:
    value = owner.get(name)
    if value is not None and not isinstance(value, dict):
        raise _bad_body(f"{name} must be an object.")
    return value


def _text(owner: Mapping[str, object], name: str, *, least: int) -> str:
    value = owner[name]
    if not isinstance(value, str):
        raise _bad_body(f"{name} must be a string.")
    if not least <= len(value) <= _LONGEST_LIST:
        raise constraint(f"projection.{name}", f"size must be between {least} and {_LONGEST_LIST}")
    return value


def _texts(owner: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = owner.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad_body(f"{name} must be a list of strings.")
    return tuple(value)


def _integer(owner: Mapping[str, object], name: str, default: int) -> int:
    value = owner.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad_body(f"{name} must be a whole number.")
    return value
