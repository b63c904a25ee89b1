"""Metadata and data of knowledge models over real HTTP, against expectations worked out here."""

from collections import Counter
from collections.abc import Callable
from statistics import fmean
from typing import Any

import httpx
import pytest

from bot.sandbox import Key, Sandbox

KMS = "/intelligence/api/knowledge-models"
PR = f"{KMS}/open-purchase-requisition.purchase-requisition-km"
OTC = f"{KMS}/order-to-cash.order-to-cash-km"
LAB = f"{KMS}/quality-lab.formats-km"
MATERIALS = f"{PR}/records/MATERIALS/data"

Json = dict[str, Any]


async def rows_of(api: httpx.AsyncClient, path: str, **query: str | list[str]) -> list[Json]:
    """All reachable rows, page by page."""
    rows: list[Json] = []
    page = 0
    while True:
        reply = await api.get(path, params={**query, "page": str(page), "pageSize": "50"})
        assert reply.status_code == 200, reply.text
        found = reply.json()["content"]["data"]
        rows.extend(found)
        if len(found) < 50:
            return rows
        page += 1


def error_of(reply: httpx.Response) -> tuple[int, str, str]:
    assert reply.headers["content-type"].startswith("application/problem+json")
    body = reply.json()
    assert body["status"] == reply.status_code
    return reply.status_code, body["errorCode"], body["detail"]


async def test_the_list_of_models_holds_what_the_key_may_use(
    sandbox: Sandbox, client_of: Callable[[Key], httpx.AsyncClient]
) -> None:
    names = {}
    for key in (sandbox.keys.user, sandbox.keys.reader, sandbox.keys.pool, sandbox.keys.powerless):
        page = (await client_of(key).get(KMS)).json()
        names[key.name] = [model["name"] for model in page["content"]]
        assert page["total"] == len(page["content"])
    assert "Cash Forecast" in names["user"]
    assert "Cash Forecast" not in names["reader"]
    assert names["user"].count("Purchase Requisition KM") == 2, (
        "two models of one name, told apart by their ids"
    )
    assert names["reader"].count("Purchase Requisition KM") == 1
    assert names["pool"] == names["powerless"] == []


async def test_a_named_model_without_use_package_is_denied(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{KMS}/executive-finance.cash-forecast-km")
    assert error_of(reply) == (403, "ADMIN_ACCESS_ERROR", "Access is denied")
    assert reply.json()["title"] == "Access Denied."


async def test_lists_are_sorted_and_paged_and_total_counts_the_page(api: httpx.AsyncClient) -> None:
    page = (await api.get(f"{PR}/kpis", params={"sort": "-name", "pageSize": 2, "page": 1})).json()
    assert (page["page"], page["pageSize"], page["total"], page["sort"]) == (1, 2, 2, "-name")
    everything = (await api.get(f"{PR}/kpis")).json()["content"]
    assert page["content"] == sorted(everything, key=lambda kpi: kpi["name"].lower(), reverse=True)[2:4]


async def test_a_bare_plus_in_a_list_sort_arrives_as_a_space(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{PR}/records?sort=+name")
    assert reply.json()["sort"] == "+name"


async def test_the_records_of_the_example_have_their_fields(api: httpx.AsyncClient) -> None:
    record = (await api.get(f"{PR}/records/MATERIALS")).json()
    names = {item["id"]: item["name"] for item in record["fields"]}
    assert (
        names.items()
        >= {
            "material_name": "Material name",
            "material_number": "Material number",
            "material_group": "Material group",
            "payment_amount": "Payment amount",
        }.items()
    )
    first = (
        await api.get(MATERIALS, params={"fields": "material_name,material_number,material_group"})
    ).json()
    assert first["content"]["data"][0] == {
        "material_name": "PC Installation / Configuration",
        "material_number": "I-1000",
        "material_group": "Services",
    }


async def test_a_filtered_and_sorted_query_gives_exactly_the_matching_rows(api: httpx.AsyncClient) -> None:
    everything = await rows_of(api, MATERIALS, fields="material_name,payment_amount")
    wanted = [row for row in everything if row["payment_amount"] is not None and row["payment_amount"] > 1000]
    found = await rows_of(
        api,
        MATERIALS,
        fields="material_name,payment_amount",
        filterExpr="payment_amount gt 1000",
        sort="-payment_amount",
    )
    assert found == sorted(wanted, key=lambda row: -row["payment_amount"])
    assert 0 < len(found) < len(everything)


@pytest.mark.parametrize("sign", ["", "%2B", "-"])
async def test_nulls_come_last_in_both_directions(api: httpx.AsyncClient, sign: str) -> None:
    reply = await api.get(f"{MATERIALS}?fields=payment_amount&sort={sign}payment_amount")
    values = [row["payment_amount"] for row in reply.json()["content"]["data"]]
    numbers = values[:-1]
    assert values[-1] is None
    assert numbers == sorted(numbers, reverse=sign == "-")


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("supplier eq 'O''Leary Ltd'", {"Welding services", "Amount still open"}),
        ("supplier eq O'Leary Ltd", {"Welding services", "Amount still open"}),
        ("material_group is null", {"Spare part without a group"}),
        ("material_group eq ''", {"Spare part with an empty group"}),
        ("contains(material_name, '%')", {"100 % cotton"}),
        ("startswith(material_name,Mon)", {"Monitor 27 inch"}),
        ("endswith(material_name, 'chair') or endswith(material_name, 'desk')", {"Office chair", "Standing desk"}),
        ("material_number in ('I-1000', 'I-2003')", {"PC Installation / Configuration", "采购服务"}),
        ("material_number IN (I-1000, I-2003)", {"PC Installation / Configuration", "采购服务"}),
        ("material_group eq Sales & Marketing,startswith(material_name,Tr)", {"Trade fair booth"}),
        (
            "not (material_group ne 'Packaging') and not contains(material_name, 'a')",
            {"Stretch film"},
        ),
        ("payment_amount lt 0", {"Credit note"}),
        ("payment_amount eq 1450.5 and material_number not eq 'I-2003'", {"<!channel> urgent repair"}),
    ],
)  # fmt: skip
async def test_expressions_of_both_dialects_select_what_they_say(
    api: httpx.AsyncClient, expression: str, names: set[str]
) -> None:
    rows = await rows_of(api, MATERIALS, fields="material_name", filterExpr=expression)
    assert {row["material_name"] for row in rows} == names


@pytest.mark.parametrize(
    "expression",
    [
        "material_group eq null",
        "payment_amount ne null",
        "material_name eq 'a' and material_group eq Services",
        "material_name eq 'a', payment_amount gt 1",
        "material_name eq 'a' and material_group is null",
        "payment_amount gt 'ten'",
        "payment_amount gt ten",
        "payment_amount EQ 1",
        "material_name eq 'a' AND payment_amount gt 1",
        "last_order ge 2026-13-01",
        "last_order ge '2026-01-01'",
        "contains(payment_amount, '1')",
        "material_name eq",
        "eq 'a'",
        "material_name eq 'open",
        "(payment_amount gt 1",
        "payment_amount gt 1)",
        "payment_amount in ()",
        "payment_amount gt 1 and",
        "",
        "(" * 500 + "payment_amount gt 1" + ")" * 500,
    ],
)
async def test_what_is_not_documented_is_refused(api: httpx.AsyncClient, expression: str) -> None:
    reply = await api.get(MATERIALS, params={"fields": "material_name", "filterExpr": expression})
    assert error_of(reply)[:2] == (400, "KM_FILTER_EXPRESSION_ILLEGAL")


async def test_several_expressions_and_filters_must_all_hold(api: httpx.AsyncClient) -> None:
    rows = await rows_of(
        api,
        MATERIALS,
        fields="material_name,material_group,payment_amount",
        filters="cel_and_kpi,not_null_orders",
        filterExpr=["payment_amount lt 20000", "material_name is not null"],
    )
    assert rows
    assert all(row["material_group"] == "Services" and 1000 < row["payment_amount"] < 20000 for row in rows)


async def test_dates_and_moments_are_compared_by_their_value(api: httpx.AsyncClient) -> None:
    path = f"{PR}/records/EVENTS/data"
    rows = await rows_of(api, path, fields="EVENTTIME,event_day,seen_at,ID", sort="EVENTTIME")
    middle = rows[len(rows) // 2]
    later = await rows_of(api, path, fields="ID", filterExpr=f"EVENTTIME gt {middle['EVENTTIME']}")
    assert {row["ID"] for row in later} == {
        row["ID"] for row in rows if row["EVENTTIME"] > middle["EVENTTIME"]
    }
    moved = middle["EVENTTIME"].replace("Z", "+00:00")
    same = await rows_of(api, path, fields="ID", filterExpr=f"EVENTTIME eq {moved}")
    assert middle["ID"] in {row["ID"] for row in same}
    day = await rows_of(api, path, fields="event_day", filterExpr=f"event_day eq {middle['event_day']}")
    assert {row["event_day"] for row in day} == {middle["event_day"]}


async def test_kpis_are_evaluated_over_the_rows_per_combination_of_fields(api: httpx.AsyncClient) -> None:
    orders = await rows_of(
        api, f"{OTC}/records/ORDERS/data", fields="plant,on_time,throughput_days,value_eur,order_id", filterExpr="country eq 'Germany'"
    )  # fmt: skip
    found = await rows_of(
        api,
        f"{OTC}/data",
        fields="ORDERS.plant",
        kpis="ON_TIME_DELIVERY,AVG_THROUGHPUT_DAYS,VALUE_EUR,ORDER_COUNT",
        filterExpr="ORDERS.country eq 'Germany'",
    )
    assert len(orders) < 1000
    assert {row["ORDERS.plant"] for row in found} == {row["plant"] for row in orders}
    for row in found:
        mine = [order for order in orders if order["plant"] == row["ORDERS.plant"]]
        decided = [order["on_time"] for order in mine if order["on_time"] is not None]
        days = [order["throughput_days"] for order in mine if order["throughput_days"] is not None]
        assert row["ORDER_COUNT"] == len(mine)
        assert row["ON_TIME_DELIVERY"] == pytest.approx(sum(decided) / len(decided))
        assert row["AVG_THROUGHPUT_DAYS"] == pytest.approx(fmean(days))
        assert row["VALUE_EUR"] == pytest.approx(sum(order["value_eur"] for order in mine))


async def test_a_kpi_can_be_grouped_by_a_field_of_a_linked_record(api: httpx.AsyncClient) -> None:
    names = {
        row["customer_id"]: row["customer_name"]
        for row in await rows_of(api, f"{OTC}/records/CUSTOMERS/data", fields="customer_id,customer_name")
    }
    late = await rows_of(
        api, f"{OTC}/records/ORDERS/data", fields="customer,order_id", filters="delayed_orders"
    )
    found = await rows_of(
        api, f"{OTC}/data", fields="CUSTOMERS.customer_name", kpis="ORDER_COUNT", filters="delayed_orders"
    )
    assert {row["CUSTOMERS.customer_name"]: row["ORDER_COUNT"] for row in found} == Counter(
        names.get(row["customer"]) for row in late
    )


async def test_a_row_whose_link_leads_nowhere_has_null_there(api: httpx.AsyncClient) -> None:
    nobody = await rows_of(
        api, f"{OTC}/records/ORDERS/data", fields="order_id", filterExpr="customer is null"
    )
    found = await rows_of(
        api,
        f"{OTC}/data",
        fields="DELIVERIES.delivery_id,ORDERS.order_id,CUSTOMERS.customer_name",
        filterExpr="CUSTOMERS.customer_name is null",
    )
    assert found
    assert {row["ORDERS.order_id"] for row in found} <= {row["order_id"] for row in nobody}
    assert all(row["CUSTOMERS.customer_name"] is None for row in found)


async def test_a_filter_on_a_finer_record_keeps_the_rows_it_leads_to(api: httpx.AsyncClient) -> None:
    heavy = await rows_of(
        api, f"{OTC}/records/DELIVERIES/data", fields="order,delivery_id", filterExpr="weight gt 850"
    )
    found = await rows_of(api, f"{OTC}/data", fields="ORDERS.order_id", filterExpr="DELIVERIES.weight gt 850")
    assert {row["ORDERS.order_id"] for row in found} == {row["order"] for row in heavy}


async def test_kpis_alone_are_one_row_and_one_without_values_is_null(api: httpx.AsyncClient) -> None:
    reply = (await api.get(f"{LAB}/data", params={"kpis": "BIG_COUNT,NO_VALUE,BIG_AVERAGE"})).json()
    assert reply["content"]["data"] == [
        {"BIG_COUNT": 5001, "NO_VALUE": None, "BIG_AVERAGE": pytest.approx(1250.5)}
    ]
    assert [(h["id"], h["aggregation"], h["type"]) for h in reply["content"]["headers"]] == [
        ("BIG_COUNT", True, "integer"),
        ("NO_VALUE", True, "float"),
        ("BIG_AVERAGE", True, "float"),
    ]


async def test_a_period_of_the_past_month_holds_orders(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    recent = await rows_of(api, f"{OTC}/records/ORDERS/data", fields="order_date", sort="-order_date")
    assert len(recent) == 1000
    months = Counter(row["order_date"][:7] for row in recent)
    assert len(months) >= 10
    assert all(count > 10 for count in sorted(months.values())[2:])


async def test_records_that_are_not_linked_cannot_be_combined(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{PR}/data", params={"fields": "MATERIALS.material_name,EVENTS.ID"})
    assert reply.status_code == 400


async def test_post_and_get_give_the_same(api: httpx.AsyncClient) -> None:
    got = await api.get(
        f"{PR}/data",
        params={
            "fields": "MATERIALS.material_group",
            "kpis": "TOTAL_PAYMENT",
            "filters": "24M_FILTER",
            "filterExpr": "MATERIALS.payment_amount gt 100 and MATERIALS.material_name ne 'John Doe'",
            "sort": "-TOTAL_PAYMENT",
            "pageSize": 3,
        },
    )
    posted = await api.post(
        f"{PR}/data",
        json={
            "projection": {
                "fields": "MATERIALS.material_group",
                "kpis": ["TOTAL_PAYMENT"],
                "filters": {
                    "kmFilterNames": ["24M_FILTER"],
                    "filterExpr": [
                        "MATERIALS.payment_amount gt 100 and MATERIALS.material_name ne 'John Doe'"
                    ],
                },
                "pagination": {"pageNumber": 0, "pageSize": 3},
                "sort": "-TOTAL_PAYMENT",
            }
        },
    )
    assert got.status_code == posted.status_code == 200
    assert got.json() == posted.json()
    assert got.json()["total"] == 3


@pytest.mark.parametrize("cap", [1000, 5000])
async def test_rows_behind_the_cap_cannot_be_reached(
    sandbox: Sandbox, api: httpx.AsyncClient, cap: int
) -> None:
    sandbox.switches.row_cap = cap
    path = f"{LAB}/records/BIG/data"
    last = (await api.get(path, params={"fields": "row", "page": cap // 50 - 1})).json()
    assert last["content"]["data"][-1] == {"row": cap}
    behind = (await api.get(path, params={"fields": "row", "page": cap // 50})).json()
    assert behind["content"]["data"] == []
    sandbox.switches.beyond_rows = "error"
    assert (await api.get(path, params={"fields": "row", "page": cap // 50})).status_code == 400
    newest = (await api.get(path, params={"fields": "row", "sort": "-row", "pageSize": 1})).json()
    assert newest["content"]["data"] == [{"row": 5001}]


async def test_a_larger_page_than_allowed_is_an_error_or_cut(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    query = {"fields": "row", "pageSize": "51"}
    reply = await api.get(f"{LAB}/records/BIG/data", params=query)
    assert error_of(reply)[:2] == (400, "GENERAL_CONSTRAINT_VIOLATION")
    sandbox.switches.beyond_page = "clamp"
    assert (await api.get(f"{LAB}/records/BIG/data", params=query)).json()["pageSize"] == 50
    sandbox.switches.page_cap = 500
    assert (await api.get(f"{LAB}/records/BIG/data", params=query)).json()["total"] == 51


async def test_distinct_rows_come_once(api: httpx.AsyncClient) -> None:
    groups = await rows_of(api, MATERIALS, fields="material_group", options="distinct")
    every = await rows_of(api, MATERIALS, fields="material_group")
    values = [row["material_group"] for row in groups]
    assert len(values) == len(set(values))
    assert set(values) == {row["material_group"] for row in every}


async def test_search_finds_what_is_misspelt_down_to_the_precision(api: httpx.AsyncClient) -> None:
    query = {"fields": "material_name,supplier", "searchTerm": "forklft"}
    assert [row["material_name"] for row in await rows_of(api, MATERIALS, **query)] == ["Forklift rental"]
    strict = await rows_of(api, MATERIALS, **query, searchPrecision="100")
    elsewhere = await rows_of(api, MATERIALS, **query, searchField="supplier")
    loose = await rows_of(api, MATERIALS, **query, searchPrecision="30")
    assert (strict, elsewhere) == ([], [])
    assert len(loose) > 1


@pytest.mark.parametrize(
    ("query", "code", "detail"),
    [
        ({}, "GENERAL_PARAMETER_MISSING", "Required request parameter 'fields' for method parameter type List is not present"),
        ({"fields": "test"}, "KM_FIELD_NOTFOUND", "Fields not found: test. Note: Fields are case sensitive."),
        ({"fields": "Material_Name,test"}, "KM_FIELD_NOTFOUND", "Fields not found: Material_Name, test. Note: Fields are case sensitive."),
        ({"fields": "material_name", "sort": "payment_amount"}, "SORT_UNKNOWN_FIELD", "The sort field does not exist."),
        ({"fields": "material_name", "sort": "+material_name,-material_name"}, "SORT_HAS_OPPOSITE", None),
        ({"fields": "material_name", "sort": ""}, "SORT_IS_EMPTY", "Sort parameter should not be empty."),
        ({"fields": "material_name", "page": "x"}, "GENERAL_PARAMETER_MISSMATCH", "Invalid query parameter type."),
        ({"fields": "material_name", "page": "-1"}, "GENERAL_CONSTRAINT_VIOLATION", None),
        ({"fields": "material_name", "pageSize": "0"}, "GENERAL_CONSTRAINT_VIOLATION", None),
        ({"fields": "material_name", "options": "all"}, "GENERAL_CONSTRAINT_VIOLATION", None),
        ({"fields": "material_name", "searchTerm": "a", "searchPrecision": "0"}, "GENERAL_CONSTRAINT_VIOLATION", None),
        ({"fields": "material_name", "filters": "nope"}, "KM_FILTER_NOTFOUND", None),
        ({"fields": "material_name", "filterExpr": "nope eq 1"}, "KM_FIELD_NOTFOUND", None),
        ({"fields": "material_name", "filterExpr": "TOTAL_PAYMENT gt 1"}, "KM_FIELD_NOTFOUND", None),
    ],
)  # fmt: skip
async def test_bad_record_queries_end_in_the_catalogs_errors(
    api: httpx.AsyncClient, query: dict[str, str], code: str, detail: str | None
) -> None:
    status, found, said = error_of(await api.get(MATERIALS, params=query))
    assert (status, found) == (400, code)
    assert detail is None or said == detail


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "GENERAL_PARAMETER_MISSING"),
        ({"kpis": "NOPE"}, "KM_KPI_NOTFOUND"),
        ({"fields": "material_name"}, "KM_FIELD_NOTFOUND"),
        ({"fields": "MATERIALS.material_name", "sort": "material_name"}, "GENERAL_PARAMETER_ILLEGAL"),
    ],
)
async def test_bad_model_queries_end_in_the_catalogs_errors(
    api: httpx.AsyncClient, query: dict[str, str], code: str
) -> None:
    assert error_of(await api.get(f"{PR}/data", params=query))[:2] == (400, code)


async def test_fields_marked_so_can_be_neither_filtered_nor_sorted(api: httpx.AsyncClient) -> None:
    path = f"{OTC}/records/ORDERS/data"
    assert (await api.get(path, params={"fields": "internal_note"})).status_code == 200
    assert (
        await api.get(path, params={"fields": "internal_note", "sort": "internal_note"})
    ).status_code == 400
    filtered = await api.get(path, params={"fields": "order_id", "filterExpr": "internal_note eq 'x'"})
    assert filtered.status_code == 400


async def test_more_than_200_fields_are_refused(api: httpx.AsyncClient) -> None:
    fields = [item["id"] for item in (await api.get(f"{LAB}/records/WIDE")).json()["fields"]]
    assert len(fields) == 205
    assert (
        await api.get(f"{LAB}/records/WIDE/data", params={"fields": ",".join(fields[:200])})
    ).status_code == 200
    reply = await api.get(f"{LAB}/records/WIDE/data", params={"fields": ",".join(fields[:201])})
    assert error_of(reply) == (
        400,
        "GENERAL_CONSTRAINT_VIOLATION",
        "[fields: size must be between 1 and 200]",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"projection": 1}',
        b'{"projection": {"fields": ["a"]}}',
        b'{"projection": {"fields": ""}}',
        b'{"projection": {"fields": "material_name", "sort": "a"}}',
        b'{"projection": {"fields": "material_name", "filters": {"filterExpr": "x"}}}',
        b'{"projection": {"fields": "material_name", "pagination": {"pageSize": "3"}}}',
        b'{"projection": {"fields": "material_name", "pagination": {"pageSize": 3, "pageNumber": -1}}}',
        b'{"projection": {"fields": "material_name", "search": {"term": "a", "precision": 101}}}',
    ],
)
async def test_bad_bodies_are_refused_with_an_envelope(api: httpx.AsyncClient, body: bytes) -> None:
    assert error_of(await api.post(MATERIALS, content=body))[0] == 400


async def test_old_and_new_texts_of_the_catalog(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    async def details() -> list[str]:
        return [
            error_of(await api.get(path))[2]
            for path in (
                f"{MATERIALS}?fields=material_name&page=x",
                f"{PR}/records/NOPE",
                "/intelligence/api/nope",
            )
        ]

    assert await details() == [
        "Invalid query parameter type.",
        "Record Id(s) does not exist in Knowledge Model.",
        "The path does not exist.",
    ]
    sandbox.switches.texts = "old"
    assert await details() == [
        "Query parameter 'page' must be of type 'Integer'.",
        "The record Id: NOPE wasn't found",
        "Path /intelligence/api/nope not found",
    ]


async def test_an_unknown_model_is_named_in_the_error(api: httpx.AsyncClient) -> None:
    reply = await api.get(f"{KMS}/XXXX")
    assert error_of(reply) == (404, "KM_MODEL_NOTFOUND", "Knowledge Model with id 'XXXX' was not found.")


async def test_hostile_values_arrive_unchanged(api: httpx.AsyncClient) -> None:
    rows = {
        row["kind"]: row["text"]
        for row in await rows_of(api, f"{LAB}/records/HOSTILE/data", fields="kind,text")
    }
    assert rows["channel mention"] == "<!channel> please pay"
    assert len(rows["3,000 characters"]) == 3000
    assert rows["null"] is None
    assert rows["empty"] == ""
    assert rows["formula"] == "=cmd|'/c calc'!A1"
    assert "\u202e" in rows["bidi override"]


async def test_the_same_seed_gives_the_same_rows() -> None:
    async def dump(seed: str) -> bytes:
        from bot.sandbox import SandboxOptions

        async with Sandbox(SandboxOptions(seed=seed, now=lambda: 1_793_000_000.0)) as other:
            headers = {"Authorization": other.keys.operator.authorization}
            async with httpx.AsyncClient(base_url=other.url, headers=headers, trust_env=False) as client:
                reply = await client.get(
                    f"{OTC}/records/ORDERS/data", params={"fields": "order_id,value_eur"}
                )
                return reply.content

    assert await dump("a") == await dump("a") != await dump("b")
