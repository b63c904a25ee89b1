"""The faults of the SDK that are worked around. Each test shows the stock SDK; one that fails says that it was mended.

Then the work-around beside it can go, and `adapters.teams.sdk.RELEASE` moves on.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount, Entity
from botframework.connector.aio import ConnectorClient
from botframework.connector.auth import (
    ChannelValidation,
    ClaimsIdentity,
    JwtTokenExtractor,
    MicrosoftAppCredentials,
    PasswordServiceClientCredentialFactory,
    jwt_token_extractor,
)
from botframework.connector.auth.jwt_token_extractor import _OpenIdMetadata
from botframework.connector.models import ErrorResponseException
from msrest.universal_http.requests import ClientRetryPolicy

from adapters.teams.payloads import without_mention
from adapters.teams.sdk import (
    PACKAGES,
    RELEASE,
    AppIdentity,
    fetch_with_msal,
    make_adapter,
    require_known_release,
    use_keys,
)
from adapters.teams.tokens import KeyRing
from bot.config import Secret
from bot.model.errors import ConfigError
from tests.fake_teams import APP_ID, PERSONAL, TENANT, Account, FakeTeams, Signer, StillClock

SOMEBODY = Account("somebody", 1)


class _Open:
    APP_ID = ""
    APP_PASSWORD = ""
    APP_TYPE = "MultiTenant"


class _Closed:
    APP_ID = APP_ID
    APP_PASSWORD = "made-up"
    APP_TYPE = "SingleTenant"
    APP_TENANTID = TENANT


class _AnswersInvokes:
    async def on_turn(self, context: TurnContext) -> None:
        body = {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "done"}
        await context.send_activity(
            Activity(type="invokeResponse", value=InvokeResponse(status=200, body=body))
        )


class _CountingList(list[int]):
    """A list that counts how often it is searched."""

    searched = 0

    def __contains__(self, item: object) -> bool:
        type(self).searched += 1
        return super().__contains__(item)


@pytest.fixture
async def teams(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeTeams]:
    async with FakeTeams((SOMEBODY,)) as fake:
        monkeypatch.setattr(ChannelValidation, "open_id_metadata_endpoint", fake.metadata)
        monkeypatch.setattr(JwtTokenExtractor, "metadataCache", {})
        yield fake


async def _status_of_stock(configuration: type, body: object, headers: dict[str, str]) -> int:
    adapter = CloudAdapter(ConfigurationBotFrameworkAuthentication(configuration()))

    async def receive(request: web.Request) -> web.StreamResponse:
        answer = await adapter.process(request, _AnswersInvokes())
        assert isinstance(answer, web.Response)
        return answer

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{runner.addresses[0][1]}/", json=body, headers=headers) as reply,
        ):
            return reply.status
    finally:
        await runner.cleanup()


def test_the_known_release_is_installed_and_any_other_is_refused() -> None:
    require_known_release()
    assert {version(each) for each in PACKAGES} == {RELEASE}
    with pytest.raises(ConfigError, match=r"botbuilder-core 4\.18\.0"):
        require_known_release(lambda _: "4.18.0")


async def test_stock_answers_500_to_an_action_that_was_executed(teams: FakeTeams) -> None:
    body = teams.envelope(SOMEBODY, PERSONAL) | {
        "type": "invoke",
        "name": "adaptiveCard/action",
        "value": {"action": {"type": "Action.Execute", "verb": "run", "data": {}}, "trigger": "manual"},
    }
    assert await _status_of_stock(_Open, body, {}) == 500


@pytest.mark.parametrize("header", ["Bearer x", "Bearer a.b.c"])
async def test_stock_answers_500_to_a_broken_token(teams: FakeTeams, header: str) -> None:
    assert await _status_of_stock(_Closed, teams.said(SOMEBODY, "hi"), {"Authorization": header}) == 500


async def test_stock_answers_500_to_what_is_no_object(teams: FakeTeams) -> None:
    assert await _status_of_stock(_Open, [1], {}) == 500


async def test_stock_keys_do_not_follow_a_rotation(teams: FakeTeams, monkeypatch: pytest.MonkeyPatch) -> None:
    stock = _OpenIdMetadata(teams.metadata)
    stock.keys = [teams.signer.public()]
    stock.last_updated = jwt_token_extractor.datetime.now() - jwt_token_extractor.timedelta(hours=2)
    with pytest.raises(IndexError):
        await stock.get("second")
    assert teams.key_fetches == 0, "it gives up before it looks for new keys"


async def test_stock_keys_are_fetched_on_the_event_loop_and_without_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[int, dict[str, Any]]] = []

    def get(address: str, **how: Any) -> None:
        calls.append((threading.get_ident(), how))
        raise ConnectionError

    monkeypatch.setattr(jwt_token_extractor.requests, "get", get)
    with pytest.raises(ConnectionError):
        await _OpenIdMetadata("http://127.0.0.1:1/").get("any")
    assert calls == [(threading.get_ident(), {})]


async def test_our_keys_are_the_ones_the_sdk_asks(teams: FakeTeams) -> None:
    async with aiohttp.ClientSession() as session:
        clock = StillClock()
        ring = KeyRing(teams.metadata, session, clock)
        use_keys(ring)
        adapter = make_adapter(AppIdentity(APP_ID, TENANT, Secret("made-up")))
        activity = Activity(type="message", channel_id="msteams", service_url=teams.service)

        async def who(token: str) -> object:
            found = await adapter.bot_framework_authentication.authenticate_request(
                activity, f"Bearer {token}"
            )
            return found.claims_identity.claims["aud"]

        assert await who(teams.token()) == APP_ID
        teams.keys.append(Signer("second"))
        with pytest.raises(PermissionError):
            await who(teams.token(teams.keys[1]))
        clock.passed += 61
        assert await who(teams.token(teams.keys[1])) == APP_ID, "the new key is found without a restart"
        assert teams.key_fetches == 2


async def test_stock_fetches_a_new_token_in_each_turn_and_on_the_event_loop(
    teams: FakeTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = PasswordServiceClientCredentialFactory(APP_ID, "made-up", TENANT)
    first, second = [
        await factory.create_credentials(APP_ID, "scope", "https://login.microsoftonline.com/x", True)
        for _ in range(2)
    ]
    assert first is not second, "and each of them keeps its own tokens"
    threads: list[int] = []

    def get(self: MicrosoftAppCredentials) -> str:
        threads.append(threading.get_ident())
        return "token"

    monkeypatch.setattr(MicrosoftAppCredentials, "get_access_token", get)
    client = ConnectorClient(first, base_url=teams.service)
    await client.conversations.send_to_conversation("a:somebody", Activity(type="message", text="hi"))
    assert threads == [threading.get_ident()]


def test_our_token_comes_from_one_set_of_credentials_of_one_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str, str]] = []

    def get(self: MicrosoftAppCredentials) -> str:
        asked.append((id(self), self.oauth_endpoint, self.oauth_scope))
        return "token"

    monkeypatch.setattr(MicrosoftAppCredentials, "get_access_token", get)
    fetch = fetch_with_msal(AppIdentity(APP_ID, TENANT, Secret("made-up")))
    assert [fetch(), fetch()] == ["token", "token"]
    ((_, endpoint, scope),) = set(asked)
    assert endpoint == f"https://login.microsoftonline.com/{TENANT}"
    assert scope == "https://api.botframework.com"


async def test_stock_searches_a_long_table_for_each_client_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientRetryPolicy, "safe_codes", _CountingList(ClientRetryPolicy.safe_codes))
    before = _CountingList.searched
    ConnectorClient(MicrosoftAppCredentials.empty(), base_url="http://127.0.0.1:1/")
    assert _CountingList.searched - before == 999


async def test_our_turn_makes_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientRetryPolicy, "safe_codes", _CountingList(ClientRetryPolicy.safe_codes))
    adapter = make_adapter(AppIdentity("", ""))
    before = _CountingList.searched
    activity = Activity(
        type="message",
        channel_id="msteams",
        service_url="http://127.0.0.1:1/",
        conversation=ConversationAccount(id="a:x"),
    )
    turns: list[TurnContext] = []

    async def turn(context: TurnContext) -> None:
        turns.append(context)

    assert await adapter.process_activity("", activity, turn) is None
    assert len(turns) == 1
    assert _CountingList.searched == before


@pytest.mark.parametrize("status", [412, 429, 502, 504])
async def test_stock_tries_to_send_once(teams: FakeTeams, status: int) -> None:
    teams.faults = [(status, {"Retry-After": "0"})]
    client = ConnectorClient(MicrosoftAppCredentials.empty(), base_url=teams.service)
    with pytest.raises(ErrorResponseException):
        await client.conversations.send_to_conversation("a:x", Activity(type="message", text="hi"))
    assert len(teams.sent) == 1


def test_stock_takes_the_name_of_the_bot_out_of_the_whole_text() -> None:
    mention = Entity().deserialize(
        {"type": "mention", "text": "<at>Jobs</at>", "mentioned": {"id": "28:bot", "name": "Jobs"}}
    )
    said = "<at>Jobs</at> list Jobs of alice"
    activity = Activity(
        type="message", text=said, entities=[mention], recipient=ChannelAccount(id="28:bot", name="Jobs")
    )
    stock = TurnContext.remove_recipient_mention(activity)
    assert "Jobs" not in (stock or "")
    raw = [{"type": "mention", "text": "<at>Jobs</at>", "mentioned": {"id": "28:bot", "name": "Jobs"}}]
    assert without_mention(said, raw, "28:bot") == ("list Jobs of alice", True)


def test_stock_does_not_read_the_tenant_of_a_conversation() -> None:
    found = Activity().deserialize({"type": "message", "conversation": {"id": "a", "tenantId": TENANT}})
    assert found.conversation.tenant_id is None


async def test_stock_takes_a_signed_message_without_a_service_url(teams: FakeTeams) -> None:
    signed = f"Bearer {teams.token()}"
    adapter = make_adapter(AppIdentity(APP_ID, TENANT, Secret("made-up")))
    async with aiohttp.ClientSession() as session:
        use_keys(KeyRing(teams.metadata, session, StillClock()))
        found = await adapter.bot_framework_authentication.authenticate_request(
            Activity(type="message", channel_id="msteams", service_url=""), signed
        )
    assert isinstance(found.claims_identity, ClaimsIdentity), "so we refuse it ourselves"
