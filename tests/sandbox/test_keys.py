"""Credentials: what each is told, and how each is refused."""

import base64
import uuid
from collections.abc import Callable

import httpx
import pytest

from bot.sandbox import Key, Sandbox

KMS = "/intelligence/api/knowledge-models"
CLIENTS = Callable[[Key], httpx.AsyncClient]


def test_keys_look_like_keys_and_are_the_same_for_a_seed() -> None:
    keys = Sandbox().keys
    for key in keys:
        owner, _, secret = base64.b64decode(key.secret, validate=True).decode().partition(":")
        assert uuid.UUID(owner).version == 4
        assert len(secret) == 44
    assert len({key.secret for key in keys}) == len(list(keys)) == 11
    assert [key.secret for key in Sandbox().keys] == [key.secret for key in keys]


@pytest.mark.parametrize("header", ["", "Token abc", "Basic YTpi", "Bearer", "AppKeyabc"])
async def test_a_header_without_a_known_word_is_refused_in_plain_text(sandbox: Sandbox, header: str) -> None:
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        reply = await client.get(KMS, headers={"Authorization": header} if header else {})
    assert reply.status_code == 401
    if header:
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.text.startswith('Invalid "Authorization" header format.')
    else:
        assert reply.json() == {"error": "Unauthorized"}


@pytest.mark.parametrize("name", ["user", "operator"])
async def test_a_key_under_the_other_word_is_unauthorized(sandbox: Sandbox, name: str) -> None:
    key = getattr(sandbox.keys, name)
    other = "AppKey" if key.kind == "user" else "Bearer"
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        wrong = await client.get(KMS, headers={"Authorization": f"{other} {key.secret}"})
        right = await client.get(KMS, headers={"Authorization": key.authorization.swapcase().split()[0] + f" {key.secret}"})  # fmt: skip
        unknown = await client.get(KMS, headers={"Authorization": "Bearer nonsense"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Unauthorized"})
    assert (unknown.status_code, unknown.json()) == (401, {"error": "Unauthorized"})
    assert right.status_code == 200
    assert [entry.key for entry in sandbox.log] == [None, name, None]


async def test_the_current_user_is_told_to_user_keys_only(sandbox: Sandbox, client_of: CLIENTS) -> None:
    person = await client_of(sandbox.keys.user).get("/api/cloud")
    program = await client_of(sandbox.keys.operator).get("/api/cloud")
    assert person.json()["email"] == "bob.ross@celonis.com"
    assert (program.status_code, program.content) == (200, b"")
    for key in (sandbox.keys.user, sandbox.keys.operator):
        assert (await client_of(key).get("/api/cloud/team")).json()["domain"] == "dev"


async def test_permissions_show_service_wide_grants_only(sandbox: Sandbox, client_of: CLIENTS) -> None:
    async def granted(key: Key) -> dict[str, list[str]]:
        services = (await client_of(key).get("/api/cloud/permissions")).json()
        return {entry["serviceName"]: entry["permissions"] for entry in services}

    operator = await granted(sandbox.keys.operator)
    assert operator["package-manager"] == [
        "MANAGE_PERMISSIONS",
        "EDIT_ALL_SPACES",
        "CREATE_SPACE",
        "DELETE_ALL_SPACES",
    ]
    assert len(operator) == 11
    assert not any((await granted(sandbox.keys.pool)).values())


async def test_a_team_without_the_api_gets_an_empty_403_there_and_answers_elsewhere(
    sandbox: Sandbox, client_of: CLIENTS
) -> None:
    client = client_of(sandbox.keys.disabled)
    reply = await client.get(KMS)
    assert (reply.status_code, reply.content) == (403, b"")
    assert (await client.get("/integration/api/pools")).status_code == 200


async def test_the_failing_key_gets_a_support_id_of_its_own_each_time(
    sandbox: Sandbox, client_of: CLIENTS
) -> None:
    client = client_of(sandbox.keys.failing)
    bodies = [(await client.get(KMS)).json() for _ in range(2)]
    assert all(body["errorCode"] == "ADMIN_FATAL_ERROR" and body["status"] == 500 for body in bodies)
    ids = {body["detail"].rpartition("Celonis Support ID: ")[2] for body in bodies}
    assert len({uuid.UUID(identity) for identity in ids}) == 2


async def test_the_slow_key_waits(sandbox: Sandbox, client_of: CLIENTS) -> None:
    sandbox.switches.slow_seconds = 30
    with pytest.raises(httpx.ReadTimeout):
        await client_of(sandbox.keys.slow).get(KMS, timeout=0.05)
    sandbox.switches.slow_seconds = 0
    assert (await client_of(sandbox.keys.slow).get(KMS)).status_code == 200


async def test_studio_shows_what_the_key_may_use(sandbox: Sandbox, client_of: CLIENTS) -> None:
    async def names(key: Key, path: str) -> set[str]:
        return {entry["name"] for entry in (await client_of(key).get(path)).json()}

    assert await names(sandbox.keys.powerless, "/package-manager/api/spaces") == set()
    assert await names(sandbox.keys.powerless, "/process-mining/api/analysis") == set()
    seen = await names(sandbox.keys.operator, "/package-manager/api/spaces")
    assert {"TEST", "PYCELONIS", "Default"} < seen
    assert await names(sandbox.keys.user, "/package-manager/api/spaces") - seen == {"Finance (restricted)"}
    assert "Open Cash Discount" in await names(sandbox.keys.operator, "/process-mining/api/analysis")


async def test_nodes_lead_from_a_space_to_its_knowledge_models(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    models = {model["id"] for model in (await api.get(KMS)).json()["content"]}
    nodes = (await api.get("/package-manager/api/nodes", params={"assetType": "SEMANTIC_MODEL"})).json()
    assert {f"{node['rootNodeKey']}.{node['key']}" for node in nodes} == models
    space = nodes[0]["spaceId"]
    tree = (await api.get("/package-manager/api/nodes/tree", params={"spaceId": space})).json()
    packages = [node for node in tree if node["nodeType"] == "PACKAGE"]
    assert "b3f1149b-2aff-462a-a793-f20bec9a7af1" in {node["id"] for node in packages}
    one = (await api.get(f"/package-manager/api/nodes/{nodes[0]['id']}")).json()
    assert one == nodes[0]
    assert (await api.get("/package-manager/api/nodes/nope")).status_code == 404


async def ask_token(
    sandbox: Sandbox, scope: str, *, form: bool = False, secret: str | None = None
) -> httpx.Response:
    client = sandbox.keys.oauth
    secret = client.secret if secret is None else secret
    data = {"grant_type": "client_credentials", "scope": scope}
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as http:
        if form:
            return await http.post(
                "/oauth2/token", data={**data, "client_id": client.client_id, "client_secret": secret}
            )
        return await http.post("/oauth2/token", data=data, auth=(client.client_id, secret))


@pytest.mark.parametrize("form", [False, True])
async def test_a_token_opens_what_its_scope_says_until_it_expires(sandbox: Sandbox, *, form: bool) -> None:
    reply = (await ask_token(sandbox, "intelligence.knowledge-models:read", form=form)).json()
    assert (reply["expires_in"], reply["token_type"]) == (899, "Bearer")
    headers = {"Authorization": f"Bearer {reply['access_token']}"}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        assert (await client.get(KMS)).status_code == 200
        denied = await client.get("/integration/api/pools")
        assert denied.status_code == 403
        sandbox.clock.shift(898)
        assert (await client.get(KMS)).status_code == 200
        sandbox.clock.shift(2)
        assert (await client.get(KMS)).status_code == 401
    assert [entry.key for entry in sandbox.log.where(path=KMS)] == ["oauth", "oauth", None]


async def test_tokens_can_be_short_lived_and_revoked(sandbox: Sandbox) -> None:
    sandbox.switches.token_seconds = 5
    reply = (await ask_token(sandbox, "integration.data-pools studio")).json()
    assert reply["expires_in"] == 5
    headers = {"Authorization": f"Bearer {reply['access_token']}"}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        assert (await client.get("/integration/api/pools")).status_code == 200
        assert (await client.get("/package-manager/api/spaces")).status_code == 200
        await client.post("/__sandbox__/tokens/revoke")
        assert (await client.get("/integration/api/pools")).status_code == 401


@pytest.mark.parametrize(
    ("scope", "secret", "status", "error"),
    [
        ("integration.data-pools", "wrong", 401, "invalid_client"),
        ("everything", None, 400, "invalid_scope"),
        ("", None, 400, "invalid_scope"),
    ],
)
async def test_a_bad_token_request_says_what_is_wrong(
    sandbox: Sandbox, scope: str, secret: str | None, status: int, error: str
) -> None:
    reply = await ask_token(sandbox, scope, secret=secret)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


async def test_a_client_secret_is_no_bearer_token(sandbox: Sandbox, client_of: CLIENTS) -> None:
    assert (await client_of(sandbox.keys.oauth).get(KMS)).status_code == 401
