"""The sandbox's replies, good and bad, against the official OpenAPI files where those are present."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import yaml
from openapi_schema_validator import OAS30Validator

from bot.sandbox import Sandbox

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "celonis"
KNOWLEDGE = "celonis-knowledge-model-openapi.yaml"
SUBSCRIPTION = "celonis-subscription-openapi.yaml"

pytestmark = pytest.mark.skipif(
    not SPECS.is_dir(), reason="the official OpenAPI files are not beside this project on this machine"
)

Json: TypeAlias = dict[str, Any]

KM = "/intelligence/api/knowledge-models"
PR = "open-purchase-requisition.purchase-requisition-km"
RECORD = f"{KM}/{{km_id}}/records/{{record_id}}"
BODY = {"projection": {"fields": "MATERIALS.material_name", "kpis": ["TOTAL_PAYMENT"]}}
RECORD_BODY = {"projection": {"fields": "material_name", "pagination": {"pageNumber": 0, "pageSize": 2}}}


@cache
def document(name: str) -> Json:
    loaded = yaml.safe_load((SPECS / name).read_text())
    assert isinstance(loaded, dict)
    return loaded


def strict(spec: Json, node: Any) -> Any:
    """The schema with references followed, `allOf` merged, and no property beside the declared ones."""
    if isinstance(node, list):
        return [strict(spec, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return strict(spec, target)
    merged = {name: strict(spec, value) for name, value in node.items() if name not in ("allOf", "example")}
    for part in node.get("allOf", []):
        extra = strict(spec, part)
        properties = {**extra.get("properties", {}), **merged.get("properties", {})}
        merged = {**extra, **merged, **({"properties": properties} if properties else {})}
    if merged.get("properties") and merged.get("type", "object") == "object":
        merged["additionalProperties"] = False
    return merged


def check(name: str, template: str, method: str, reply: httpx.Response) -> None:
    """The reply is one that the specification knows for this path, method and status."""
    spec = document(name)
    responses: Mapping[str, Any] = spec["paths"][template][method]["responses"]
    assert str(reply.status_code) in responses, (
        f"{reply.status_code} is not in the specification of {template}"
    )
    response = strict(spec, responses[str(reply.status_code)])
    kind = reply.headers["content-type"].partition(";")[0]
    assert kind in response["content"]
    OAS30Validator(response["content"][kind]["schema"]).validate(reply.json())


GOOD: list[tuple[str, str, str, Json | None]] = [
    (KNOWLEDGE, KM, "", None),
    (KNOWLEDGE, KM, "?page=1&pageSize=2&sort=-name", None),
    (KNOWLEDGE, f"{KM}/{{km_id}}", "", None),
    (KNOWLEDGE, f"{KM}/{{km_id}}/filters", "", None),
    (KNOWLEDGE, f"{KM}/{{km_id}}/records", "", None),
    (KNOWLEDGE, f"{KM}/{{km_id}}/kpis", "", None),
    (KNOWLEDGE, RECORD, "", None),
    (
        KNOWLEDGE,
        f"{KM}/{{km_id}}/data",
        "?kpis=TOTAL_PAYMENT,MATERIAL_COUNT&fields=MATERIALS.material_group",
        None,
    ),
    (KNOWLEDGE, f"{KM}/{{km_id}}/data", "", BODY),
    (
        KNOWLEDGE,
        f"{RECORD}/data",
        "?fields=material_name,payment_amount,last_order&sort=-payment_amount",
        None,
    ),
    (KNOWLEDGE, f"{RECORD}/data", "", RECORD_BODY),
    (SUBSCRIPTION, f"{KM}/{{km_id}}/triggers", "", None),
    (SUBSCRIPTION, f"{KM}/{{km_id}}/triggers/{{trigger_id}}", "", None),
    (SUBSCRIPTION, "/intelligence/api/subscriptions", "", None),
]


def path_of(
    template: str, *, model: str = PR, record: str = "MATERIALS", trigger: str = "abc-123-bad-123"
) -> str:
    return template.replace("{km_id}", model).replace("{record_id}", record).replace("{trigger_id}", trigger)


@pytest.mark.parametrize(("name", "template", "query", "body"), GOOD)
async def test_good_replies_are_as_specified(
    api: httpx.AsyncClient, name: str, template: str, query: str, body: Json | None
) -> None:
    method = "get" if body is None else "post"
    reply = await api.request(method, path_of(template) + query, json=body)
    assert reply.status_code == 200
    check(name, template, method, reply)


@pytest.mark.parametrize(
    "model", ["order-to-cash.order-to-cash-km", "quality-lab.formats-km", "new-ideas.empty-km"]
)
async def test_every_model_is_described_as_specified(api: httpx.AsyncClient, model: str) -> None:
    for part in ("", "/filters", "/records", "/kpis"):
        template = f"{KM}/{{km_id}}{part}"
        check(KNOWLEDGE, template, "get", await api.get(path_of(template, model=model)))
    for record in (await api.get(f"{KM}/{model}/records")).json()["content"]:
        described = await api.get(path_of(RECORD, model=model, record=record["id"]))
        check(KNOWLEDGE, RECORD, "get", described)
        fields = ",".join([item["id"] for item in described.json()["fields"]][:200])
        path = path_of(f"{RECORD}/data", model=model, record=record["id"])
        check(KNOWLEDGE, f"{RECORD}/data", "get", await api.get(path, params={"fields": fields}))


@pytest.mark.parametrize(
    ("template", "path", "body", "status"),
    [
        (f"{KM}/{{km_id}}", f"{KM}/nope", None, 404),
        (f"{KM}/{{km_id}}", f"{KM}/executive-finance.cash-forecast-km", None, 403),
        (RECORD, f"{KM}/{PR}/records/NOPE", None, 404),
        (KM, f"{KM}?page=x", None, 400),
        (f"{RECORD}/data", f"{KM}/{PR}/records/MATERIALS/data", None, 400),
        (f"{RECORD}/data", f"{KM}/{PR}/records/MATERIALS/data?fields=a&filterExpr=(", None, 400),
        (f"{KM}/{{km_id}}/data", f"{KM}/{PR}/data", None, 400),
        (f"{KM}/{{km_id}}/data", f"{KM}/{PR}/data", {"projection": {}}, 400),
        (f"{RECORD}/data", f"{KM}/{PR}/records/MATERIALS/data", {}, 400),
    ],
)
@pytest.mark.parametrize("texts", ["new", "old"])
async def test_bad_replies_are_as_specified(
    sandbox: Sandbox,
    api: httpx.AsyncClient,
    template: str,
    path: str,
    body: Json | None,
    status: int,
    texts: str,
) -> None:
    sandbox.switches.update({"texts": texts})
    method = "get" if body is None else "post"
    reply = await api.request(method, path, json=body)
    assert reply.status_code == status
    check(KNOWLEDGE, template, method, reply)


async def test_unauthorized_failing_and_unavailable_are_as_specified(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    unknown = await api.get(KM, headers={"Authorization": "Bearer unknown"})
    failing = await api.get(KM, headers={"Authorization": sandbox.keys.failing.authorization})
    from bot.sandbox import Fault

    sandbox.faults.add(Fault("status", status=503))
    unavailable = await api.get(KM)
    assert [reply.status_code for reply in (unknown, failing, unavailable)] == [401, 500, 503]
    for reply in (unknown, failing, unavailable):
        check(KNOWLEDGE, KM, "get", reply)


async def test_a_rejection_is_as_specified_with_its_headers(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.reset = "iso"
    sandbox.limits.spend("dev", "intelligence", 6000)
    reply = await api.get(KM)
    assert reply.status_code == 429
    check(KNOWLEDGE, KM, "get", reply)
    spec = document(KNOWLEDGE)
    headers = strict(spec, spec["paths"][KM]["get"]["responses"]["429"])["headers"]
    assert set(headers) == {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
    for name, declared in headers.items():
        value: int | str = reply.headers[name]
        if declared["schema"]["type"] == "integer":
            value = int(value)
        OAS30Validator(declared["schema"], format_checker=OAS30Validator.FORMAT_CHECKER).validate(value)


async def test_everything_specified_but_the_beta_parts_is_served(api: httpx.AsyncClient) -> None:
    beta = ("/query", "/summary", "/spec", "/odata/")
    for template, methods in document(KNOWLEDGE)["paths"].items():
        if any(part in template for part in beta):
            continue
        for method in methods:
            reply = await api.request(method, path_of(template), json=BODY if method == "post" else None)
            known = reply.status_code != 405 and "GENERAL_NOTFOUND_PATH" not in reply.text
            assert known, f"{method} {template} is not served"
