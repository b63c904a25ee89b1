"""Ids, queries, rate headers and replies: pure, for every input."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bot.celonis import DataQuery, Family
from bot.celonis.limits.rate_headers import LONGEST_WAIT, RateHeaders, rate_headers
from bot.celonis.models import Header, Job, JobStatus, KnowledgeModel, Kpi, LoadInfo, PoolOverview, Record
from bot.celonis.request import LONGEST_LIST, LONGEST_URL, checked_id, data_call, segment, without_values
from bot.config import Connection, Limits, OAuthClient, Secret
from bot.model.errors import BadArgument

NOW = datetime(2026, 3, 2, 6, 10, 0, tzinfo=UTC)
LIMITS = Limits()
PATH = "/intelligence/api/knowledge-models/p.k/records/R/data"
WORDS = st.text(
    st.characters(blacklist_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], blacklist_characters="/\\,"),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip(" ") == text and ".." not in text and text != ".")


# --- ids


@given(st.text(max_size=300))
def test_an_id_becomes_exactly_one_path_segment_or_is_refused(text: str) -> None:
    try:
        said = segment(text)
    except BadArgument:
        return
    assert "/" not in said
    assert "?" not in said
    assert "#" not in said
    assert said not in {"", ".", ".."}
    assert said.isascii()
    assert unquote(said) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 257, "a/b", "..", "a..b", "a\\b", "a\nb", "a\x00b", "a\u202eb", "\ud800", " a", "."]
)
def test_what_no_id_can_be_is_refused(text: str) -> None:
    with pytest.raises(BadArgument):
        checked_id(text)


def test_an_id_in_a_list_holds_no_comma() -> None:
    assert checked_id("a,b") == "a,b"
    with pytest.raises(BadArgument):
        checked_id("a,b", in_list=True)


# --- queries


@given(
    fields=st.lists(WORDS, min_size=1, max_size=5, unique=True),
    expressions=st.lists(
        st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40), max_size=3
    ),
    search=st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
    descending=st.booleans(),
    page=st.integers(0, 19),
)
def test_a_query_arrives_as_it_was_meant_and_without_a_plus(
    fields: list[str], expressions: list[str], search: str, descending: bool, page: int
) -> None:
    query = DataQuery(
        fields=tuple(fields),
        expressions=tuple(expressions),
        search=search,
        sort=((fields[0], descending),),
        page=page,
    )
    asked = data_call(PATH, query, LIMITS, whole_model=False)
    assert asked.method == "GET"
    assert "+" not in asked.query
    said = parse_qsl(asked.query, keep_blank_values=True)
    assert dict(said)["fields"].split(",") == fields
    assert [value for name, value in said if name == "filterExpr"] == expressions
    assert dict(said)["sort"] == ("-" if descending else "") + fields[0]
    assert dict(said).get("searchTerm", "") == search
    assert dict(said)["page"] == str(page)


@given(
    length=st.integers(1, 200),
    width=st.integers(1, 60),
    expression=st.text(st.sampled_from("ab' "), max_size=3000),
)
def test_a_question_too_long_for_an_address_is_posted(length: int, width: int, expression: str) -> None:
    fields = tuple(f"{number:03}".ljust(width, "x") for number in range(length))
    query = DataQuery(
        fields=fields, expressions=(expression,) if expression else (), sort=((fields[0], True),)
    )
    assume(len(",".join(fields)) <= LONGEST_LIST)
    asked = data_call(PATH, query, LIMITS, whole_model=False)
    if asked.method == "GET":
        assert len(asked.target) <= LONGEST_URL
        return
    projection: dict[str, Any] = dict(asked.body or {})["projection"]
    assert projection["fields"] == ",".join(fields)
    assert len(projection["fields"]) <= LONGEST_LIST
    assert projection["sort"] == f"-{fields[0]}"
    assert projection["pagination"] == {"pageNumber": 0, "pageSize": 50}
    assert projection.get("filters", {}).get("filterExpr", []) == ([expression] if expression else [])


def test_a_list_too_long_for_a_post_goes_in_an_address_as_long_as_servers_take_one() -> None:
    fields = tuple(f"{number:03}".ljust(30, "x") for number in range(150))
    assert data_call(PATH, DataQuery(fields=fields), LIMITS, whole_model=False).method == "GET"
    with pytest.raises(BadArgument, match="too long"):
        data_call(PATH, DataQuery(fields=fields, expressions=("x" * 4000,)), LIMITS, whole_model=False)


@pytest.mark.parametrize(
    ("query", "whole", "said"),
    [
        (DataQuery(), True, "nothing to show"),
        (DataQuery(fields=("a",), kpis=("K",)), False, "whole knowledge model"),
        (
            DataQuery(fields=tuple(f"F{n}" for n in range(201))),
            False,
            "at most 200 fields at once; this asks for 201",
        ),
        (DataQuery(fields=("a",), page=20), False, "first 1,000 rows"),
        (DataQuery(fields=("a",), page=-1), False, "first 1,000 rows"),
        (DataQuery(fields=("a",), sort=(("b", False),)), False, "sorts only by what is shown"),
        (DataQuery(fields=("a,b",)), False, "not an id"),
        (DataQuery(fields=("a",), filters=("../x",)), False, "not an id"),
    ],
)
def test_what_celonis_cannot_answer_is_refused_before_it_is_sent(
    query: DataQuery, whole: bool, said: str
) -> None:
    with pytest.raises(BadArgument) as error:
        data_call(PATH, query, LIMITS, whole_model=whole)
    assert said in error.value.sentence
    assert error.value.undone == "Nothing was asked."


def test_debug_shows_names_of_parameters_and_never_their_values() -> None:
    query = DataQuery(fields=("a",), expressions=("vendor eq 'ACME'", "b eq 1"), search="secret thing")
    shown = without_values(PATH, data_call(PATH, query, LIMITS, whole_model=False).query)
    assert shown == f"{PATH}?fields=…&filterExpr=…&page=…&pageSize=…&searchTerm=…"


# --- rate headers


@pytest.mark.parametrize(
    ("headers", "text", "wait"),
    [
        ({"x-ratelimit-reset": "41"}, "", 41.0),
        ({"x-ratelimit-reset": "0.5"}, "", 0.5),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, "", 30.0),
        ({"x-ratelimit-reset": "2026-03-02T06:10:41Z"}, "", 41.0),
        ({"x-ratelimit-reset": "2026-03-02T06:10:41"}, "", 41.0),
        ({"x-ratelimit-reset": "2026-03-02T08:10:41+02:00"}, "", 41.0),
        ({"retry-after": "Mon, 02 Mar 2026 06:10:41 GMT"}, "", 41.0),
        ({"retry-after": "12"}, "", 12.0),
        ({}, "exceeded. Please try again at 06:10:41 UTC.", 41.0),
        ({}, "Please try again at 00:10:00 UTC.", 18 * 3600.0),
        ({}, "Please try again at 06:09:58 UTC.", 0.0),
        ({"x-ratelimit-reset": "-2147483648"}, "try again at 06:10:41 UTC", 41.0),
        ({"x-ratelimit-reset": "-3"}, "", None),
        ({"x-ratelimit-reset": "100000"}, "", None),
        ({"x-ratelimit-reset": "nan"}, "", None),
        ({"x-ratelimit-reset": "inf"}, "", None),
        ({"x-ratelimit-reset": "soon"}, "try again at 99:10:41 UTC", None),
        ({}, "", None),
        ({"x-ratelimit-reset": "2026-03-02T06:20:41Z", "date": "Mon, 02 Mar 2026 06:20:00 GMT"}, "", 41.0),
    ],
)
def test_every_dialect_of_a_reset_is_understood(
    headers: dict[str, str], text: str, wait: float | None
) -> None:
    assert rate_headers(headers, NOW, text=text).wait == wait


@given(
    st.dictionaries(
        st.sampled_from(
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "date"]
        ),
        st.text(max_size=30),
    ),
    st.text(max_size=60),
)
def test_no_header_breaks_the_reading_or_asks_for_an_absurd_wait(headers: dict[str, str], text: str) -> None:
    said = rate_headers(headers, NOW, text=text)
    assert said.wait is None or 0 <= said.wait <= LONGEST_WAIT
    assert said.limit is None or said.limit > 0
    assert said.remaining is None or said.remaining >= 0


def test_nonsense_counts_are_not_believed() -> None:
    assert rate_headers(
        {"x-ratelimit-limit": "-2147483648", "x-ratelimit-remaining": "5"}, NOW
    ) == RateHeaders(None, 5, None)
    assert rate_headers({"x-ratelimit-limit": "10", "x-ratelimit-remaining": "11"}, NOW) == RateHeaders(
        10, None, None
    )


# --- replies


def test_flags_may_come_as_text_and_what_is_missing_has_a_value() -> None:
    header = Header.model_validate(
        {"id": "a", "name": None, "aggregation": "true", "filterable": "false", "sortable": None, "new": 1}
    )
    assert (header.name, header.type) == ("a", "string")


def test_moments_come_as_milliseconds_or_text_and_are_aware() -> None:
    for given_as in (
        1655000000000,
        "1655000000000",
        1655000000000.0,
        "2022-06-12T02:13:20Z",
        "2022-06-12T02:13:20",
    ):
        status = JobStatus.model_validate({"id": "j", "lastExecutionStartDate": given_as})
        assert status.last_execution_start == datetime(2022, 6, 12, 2, 13, 20, tzinfo=UTC)
    strange: tuple[object, ...] = (True, "yesterday", 10**30, [], None, float("nan"))
    for nonsense in strange:
        assert (
            JobStatus.model_validate({"id": "j", "lastExecutionStartDate": nonsense}).last_execution_start
            is None
        )


def test_the_published_examples_are_read() -> None:
    model = KnowledgeModel.model_validate(
        {"id": "a.b", "name": "B", "extendedKMId": "a.base", "published": "2023-04-19 11:29:45"}
    )
    assert (model.name, model.extended_km_id) == ("B", "a.base")
    kpi = Kpi.model_validate(
        {"id": "K", "name": "K", "target": 1.5, "parameters": [{"id": "p", "name": "P", "value": 1}]}
    )
    assert kpi.target == "1.5"
    job = Job.model_validate(
        {
            "id": "0bae5839-6921-46dc-8d0f-3294ecd6b3fd",
            "name": "main job",
            "dataPoolId": "3d8a2621-f9c0-456a-9b2d-9bb8c0a9fcd1",
            "timeStamp": 1642237998799,
            "status": "CANCEL",
            "currentExecutionId": None,
            "dagBasedExecutionEnabled": None,
        }
    )
    assert (job.pool_id[:4], job.status, job.current_execution_id) == ("3d8a", "CANCEL", None)
    record = Record.model_validate({"id": "R", "fields": [{"id": "f", "type": "float", "format": ",.0f"}]})
    assert (record.name, record.fields[0].type) == ("R", "float")
    overview = PoolOverview.model_validate({"id": "p", "status": None, "lastExecutionStartDate": None})
    assert (overview.status, overview.last_execution_start) == ("", None)
    loads = LoadInfo.model_validate({"liveDataModel": {"done": True, "lastLoad": 1655000000000}})
    assert loads.loaded_at == datetime(2022, 6, 12, 2, 13, 20, tzinfo=UTC)
    assert LoadInfo.model_validate({}).loaded_at is None


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([KnowledgeModel, Record, Kpi, Header, Job, JobStatus, LoadInfo, PoolOverview]))
def test_no_reply_of_any_shape_raises_anything_but_a_validation_error(value: Any, kind: Any) -> None:
    from pydantic import ValidationError

    if isinstance(value, dict):
        value = {"id": "x", **value}
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        assume(True)


# --- connections


@pytest.mark.parametrize(
    "address",
    [
        "http://dev.eu-1.celonis.cloud",
        "https://",
        "dev",
        "https://dev.celonis.cloud/path",
        "https://u:p@dev.celonis.cloud",
    ],
)
def test_a_connection_goes_to_the_root_of_a_host_over_https(address: str) -> None:
    with pytest.raises(ValueError, match="team's address"):
        Connection(name="dev", url=address, api_token=Secret("k" * 40))


def test_no_secret_is_in_a_repr() -> None:
    secret = "a-very-secret-key-of-the-bot-0123456789"
    client = OAuthClient(id=Secret("client-id-0123456789"), secret=Secret(secret), scope="scope")
    for identity in ({"api_token": Secret(secret)}, {"oauth": client}):
        connection = Connection(name="dev", url="https://dev.eu-1.celonis.cloud", **identity)
        assert secret not in repr(connection) + repr(client) + str(client)


def test_families_follow_the_path() -> None:
    assert Family.of("/intelligence/api/x") is Family.INTELLIGENCE
    assert Family.of("/integration/api/pools") is Family.INTEGRATION
    assert Family.of("/package-manager/api/spaces") is Family.OTHER
    assert Family.of("/oauth2/token") is Family.OTHER


def test_every_replica_has_a_share_and_all_shares_together_are_the_limit() -> None:
    from bot.celonis.limits.replicas import Replica, slots_of
    from bot.model.clock import SystemClock
    from tests.fakes import MemoryLedger

    clock = SystemClock()

    for replicas in range(1, 20):
        shares = [slots_of(LIMITS, replicas, number) for number in range(replicas)]
        assert sum(shares) + slots_of(LIMITS, replicas, -1) == 20
        assert min(shares) >= 1
    with pytest.raises(ValueError, match="cannot share"):
        Replica("dev", LIMITS, replicas=20, clock=clock, ledger=MemoryLedger(clock))
