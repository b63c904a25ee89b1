"""A request on its way to Celonis: on whose behalf, of which API, what it asks, and how a question for data is written."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote

from bot.celonis.freshness import Lifetime
from bot.config import Limits
from bot.model.errors import BadArgument

LONGEST_ID = 256
_REMEMBERED = 10_000
LONGEST_URL = 1800
"""From here on a question is posted: proxies may cut addresses from about 2,000 characters on."""
LONGEST_LIST = 2048
"""Characters that a posted list of fields, or of sort keys, may have (celonis-knowledge-model-openapi.yaml)."""
_STILL_SENT = 7000
"""Characters of an address that common servers (8 KB a line) still take, where a POST is not possible."""


class Family(StrEnum):
    """Parts of Celonis' API that may have quotas of their own; nothing says that they share one."""

    INTELLIGENCE = "intelligence"
    INTEGRATION = "integration"
    OTHER = "other"

    @classmethod
    def of(cls, path: str) -> Family:
        """The family of a path below the team root."""
        match path.split("/", 2)[1:2]:
            case ["intelligence"]:
                return cls.INTELLIGENCE
            case ["integration"]:
                return cls.INTEGRATION
            case _:
                return cls.OTHER


class Lane(IntEnum):
    """Who goes first."""

    GUARDED = 0
    PEOPLE = 1
    BACKGROUND = 2


@dataclass(slots=True)
class Usage:
    """What one request has used so far; filled in by the client.

    Attributes:
        calls: What was sent to Celonis, by API family: tries again, tokens and writes included.
        unread: By question: how many items of its answer could not be read.
    """

    calls: Counter[Family] = field(default_factory=Counter)
    unread: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a call is made.

    Attributes:
        person: `Person.key`, or a name of the bot's own for work nobody asked for.
        place: `Place.key`, empty where there is none.
        lane: Who goes first.
        deadline: Monotonic seconds of the client's clock; what cannot begin by then is refused at once.
        fresh: Nothing from the cache: a refresh, and all that a write needs.
        request: `Request.id`; empty for work nobody waits for.
        usage: Counts what the request uses.
    """

    person: str
    place: str
    lane: Lane
    deadline: float
    fresh: bool = False
    request: str = ""
    usage: Usage = field(default_factory=Usage, compare=False)


@dataclass(frozen=True)
class Call:
    """A request without its host: a path with encoded segments, an encoded query, and perhaps a JSON body.

    Attributes:
        lifetime: How long its answer keeps.
    """

    method: str
    path: str
    query: str = ""
    body: Mapping[str, Any] | None = None
    lifetime: Lifetime = Lifetime.SCHEMA

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @cached_property
    def family(self) -> Family:
        """Which API it asks."""
        return Family.of(self.path)

    @cached_property
    def key(self) -> str:
        """All of it: what its answer is kept under."""
        body = "" if self.body is None else " " + json.dumps(self.body, sort_keys=True)
        return f"{self.method} {self.target}{body}"

    @cached_property
    def shown(self) -> str:
        """What `debug` shows of it."""
        return without_values(self.path, self.query)


def encoded(parameters: Sequence[tuple[str, str]]) -> str:
    """An encoded query; a space is `%20` and a plus sign `%2B`, since a bare plus decodes to a space."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters)


def without_values(path: str, query: str) -> str:
    """A path with the names of its parameters: what may be remembered of a request."""
    names = dict.fromkeys(part.partition("=")[0] for part in query.split("&") if part)
    return path + ("?" + "&".join(f"{name}=…" for name in names) if names else "")


@lru_cache(_REMEMBERED)
def checked_id(text: str, *, in_list: bool = False) -> str:
    """An id that can be put into a request.

    Args:
        text: From a person, a button or Celonis itself.
        in_list: It will stand in a list with commas between the ids.

    Raises:
        BadArgument: It is empty, longer than 256 characters, or holds a slash, two dots in a row, a control or
            invisible formatting character, or (in a list) a comma.
    """
    if not text or len(text) > LONGEST_ID:
        raise BadArgument(
            f"An id of Celonis has 1 to {LONGEST_ID} characters; this one has {len(text)}.",
            undone="Nothing was asked.",
        )
    strange = text.strip(" ") != text or text == "." or ".." in text or "/" in text or "\\" in text
    hidden = any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in text)
    if strange or hidden or (in_list and "," in text):
        raise BadArgument(
            "That is not an id of Celonis: it holds characters that no id has.",
            hint="Say the name as it stands in Celonis.",
            undone="Nothing was asked.",
        )
    return text


@lru_cache(_REMEMBERED)
def segment(text: str) -> str:
    """A checked id as one encoded path segment.

    Raises:
        BadArgument: As for `checked_id`.
    """
    return quote(checked_id(text), safe="")


# --- data


@dataclass(frozen=True, slots=True)
class DataQuery:
    """What to read of a record or of a whole knowledge model.

    Attributes:
        fields: Field ids; `record.field` for a whole model.
        kpis: KPI ids; only for a whole model.
        filters: Ids of predefined filters; all of them must hold.
        expressions: Filter expressions, as `bot.celonis.filter_expr` writes them; all must hold.
        sort: (id, descending); each id is among `fields` or `kpis`.
        search: A text to search for; empty searches nothing.
        search_field: The field to search in; empty searches all.
        page: From 0.
        page_size: Rows; None takes as many as a request may have, more is cut down to that.
        distinct: Equal rows once only.
    """

    fields: tuple[str, ...] = ()
    kpis: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    search: str = ""
    search_field: str = ""
    page: int = 0
    page_size: int | None = None
    distinct: bool = False

    def size(self, limits: Limits) -> int:
        """Rows that are really asked for."""
        return min(self.page_size or limits.page, limits.page)


@lru_cache(_REMEMBERED)
def data_call(
    path: str, query: DataQuery, limits: Limits, lifetime: Lifetime = Lifetime.DATA, *, whole_model: bool
) -> Call:
    """The request for a page of data: a GET, or a POST where its address would be too long.

    Args:
        path: `.../data`, below the team root.
        query: What to read.
        limits: Caps on fields, rows a page and rows in all.
        lifetime: How long the answer keeps.
        whole_model: Whether KPIs may be asked for and fields may be missing.

    Raises:
        BadArgument: It asks for nothing, for more fields than a request may have, for rows that cannot be reached,
            or sorts by something it does not show. Nothing was sent.
    """
    _check(query, limits, whole_model=whole_model)
    size = query.size(limits)
    # The plus sign is optional and would decode to a space, so ascending keys carry no sign.
    sort = ",".join(("-" if descending else "") + each for each, descending in query.sort)
    single = [
        ("fields", ",".join(query.fields)),
        ("kpis", ",".join(query.kpis)),
        ("filters", ",".join(query.filters)),
        *(("filterExpr", each) for each in query.expressions),
        ("sort", sort),
        ("page", str(query.page)),
        ("pageSize", str(size)),
        ("options", "distinct" if query.distinct else ""),
        ("searchTerm", query.search),
        ("searchField", query.search_field if query.search else ""),
    ]
    query_text = encoded([(name, value) for name, value in single if value])
    get = Call("GET", path, query_text, lifetime=lifetime)
    if len(get.target) <= LONGEST_URL:
        return get
    if len(",".join(query.fields)) <= LONGEST_LIST and len(sort) <= LONGEST_LIST:
        projection = _projection(query, size, sort)
        return Call("POST", path, body={"projection": projection}, lifetime=lifetime)
    if len(get.target) <= _STILL_SENT:
        return get
    raise BadArgument(
        "That is too long a question for Celonis.",
        hint="Show fewer fields, or ask for less in the conditions.",
        undone="Nothing was asked.",
    )


def _projection(query: DataQuery, size: int, sort: str) -> dict[str, Any]:
    projection: dict[str, Any] = {"pagination": {"pageNumber": query.page, "pageSize": size}}
    if query.fields:
        projection["fields"] = ",".join(query.fields)
    if query.kpis:
        projection["kpis"] = list(query.kpis)
    filters = {
        name: list(values)
        for name, values in (("kmFilterNames", query.filters), ("filterExpr", query.expressions))
        if values
    }
    if filters:
        projection["filters"] = filters
    if sort:
        projection["sort"] = sort
    if query.distinct:
        projection["options"] = ["distinct"]
    if query.search:
        projection["search"] = {"term": query.search} | (
            {"field": query.search_field} if query.search_field else {}
        )
    return projection


def _check(query: DataQuery, limits: Limits, *, whole_model: bool) -> None:
    for each in (*query.fields, *query.kpis, *query.filters, *(each for each, _ in query.sort)):
        checked_id(each, in_list=True)
    if query.search_field:
        checked_id(query.search_field)
    trouble = hint = ""
    if not query.fields and not (whole_model and query.kpis):
        trouble, hint = "There is nothing to show: no field was asked for.", "Say which fields to show."
    elif query.kpis and not whole_model:
        trouble = "KPIs can be asked of a whole knowledge model, not of one record."
        hint = "Ask for the KPI by name."
    elif len(query.fields) > limits.fields:
        trouble = f"Celonis gives at most {limits.fields} fields at once; this asks for {len(query.fields)}."
        hint = "Say which fields to show."
    elif query.page < 0 or query.page * query.size(limits) >= limits.rows:
        trouble = f"Only the first {limits.rows:,} rows can be reached."
        hint = "Narrow it down with “where”, or sort so that what you look for comes first."
    elif any(each not in query.fields and each not in query.kpis for each, _ in query.sort):
        trouble, hint = "Celonis sorts only by what is shown.", "Show the field that you sort by."
    if trouble:
        raise BadArgument(trouble, hint=hint, undone="Nothing was asked.")
