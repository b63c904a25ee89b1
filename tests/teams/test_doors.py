"""Who gets in at `/api/messages`: tokens, tenants, junk. Whoever does not costs no call to Celonis and sees nothing."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.teams.app import LARGEST_BODY, PATH, TeamsListener
from adapters.teams.chat import TeamsChat
from adapters.teams.sdk import AppIdentity
from bot.config import Secret
from bot.model.errors import ConfigError
from bot.model.people import Request
from bot.store import Store
from bot.visit import Show
from tests.fake_teams import (
    APP_ID,
    CHANNEL,
    FOREIGN,
    PERSONAL,
    TENANT,
    FakeTeams,
    Json,
    Signer,
    StillClock,
    copy,
)
from tests.teams.stage import CLERK, OPERATOR, Stage, stage


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    async with stage() as opened:
        yield opened


def _in(**changes: float) -> datetime:
    return datetime.now(UTC) + timedelta(**changes)


def _unsigned(teams: FakeTeams) -> str:
    head, body, _ = teams.token().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    none = base64.urlsafe_b64encode(json.dumps(header | {"alg": "none"}).encode()).decode().rstrip("=")
    return f"{none}.{body}."


def _symmetric(teams: FakeTeams) -> str:
    claims = jwt.decode(teams.token(), options={"verify_signature": False})
    return jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": "first"})


def _tampered(teams: FakeTeams) -> str:
    head, _, signature = teams.token().split(".")
    _, other, _ = teams.token(aud="someone-else").split(".")
    return f"{head}.{other}.{signature}"


BAD_TOKENS: dict[str, Callable[[FakeTeams], str]] = {
    "none": lambda _: "",
    "no token": lambda _: "x",
    "three odd parts": lambda _: "a.b.c",
    "very long": lambda _: "x" * 7000,
    "expired": lambda teams: teams.token(exp=_in(minutes=-10)),
    "not yet good": lambda teams: teams.token(nbf=_in(minutes=30)),
    "another issuer": lambda teams: teams.token(iss="https://login.example.com"),
    "no issuer": lambda teams: teams.token(iss=None),
    "for another bot": lambda teams: teams.token(aud="11111111-0000-4000-8000-000000000000"),
    "for nobody": lambda teams: teams.token(aud=None),
    "another service": lambda teams: teams.token(serviceurl="https://smba.example/"),
    "a slash less": lambda teams: teams.token(serviceurl=teams.service.rstrip("/")),
    "no service": lambda teams: teams.token(serviceurl=None),
    "a key of their own": lambda teams: teams.token(Signer("first")),
    "an unknown key": lambda teams: teams.token(Signer("made up")),
    "no key id": lambda teams: teams.token(headers={"kid": ""}),
    "unsigned": _unsigned,
    "signed with a password": _symmetric,
    "changed on the way": _tampered,
    "of the Emulator": lambda teams: teams.token(
        iss="https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/", ver="1.0", appid=APP_ID
    ),
    "of a skill": lambda teams: teams.token(
        iss="https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/",
        ver="1.0",
        appid="22222222-0000-4000-8000-000000000000",
    ),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_token_that_is_not_the_channels_own_for_this_bot_is_refused(scene: Stage, kind: str) -> None:
    status, _ = await scene.post(scene.teams.said(OPERATOR, "jobs"), token=BAD_TOKENS[kind](scene.teams))
    assert status in (401, 403)
    await scene.settle()
    assert scene.asked() == 0
    assert scene.teams.sent == []


async def test_a_good_token_is_taken_and_a_key_that_is_new_since_then_too(scene: Stage) -> None:
    assert (await scene.says(OPERATOR, "help")).card
    second = Signer("second")
    scene.teams.keys = [second]
    body = scene.teams.said(OPERATOR, "help")
    scene.clock.pass_by(61)
    assert (await scene.post(body, token=scene.teams.token(second)))[0] == 202
    assert (await scene.post(scene.teams.said(OPERATOR, "help"), token=scene.teams.token()))[0] == 401


async def test_a_key_that_may_not_sign_for_teams_is_refused(scene: Stage) -> None:
    class Elsewhere(Signer):
        def public(self) -> Json:
            return super().public() | {"endorsements": ["webchat"]}

    other = Elsewhere("elsewhere")
    scene.teams.keys.append(other)
    scene.clock.pass_by(61)
    status, _ = await scene.post(scene.teams.said(OPERATOR, "help"), token=scene.teams.token(other))
    assert status == 401


async def test_another_scheme_than_bearer_is_refused(scene: Stage) -> None:
    for header in ("Basic eA==", "bearer", scene.teams.token(), f"Bearer  {scene.teams.token()}"):
        async with scene.session.post(
            f"{scene.replica.url}{PATH}",
            json=scene.teams.said(OPERATOR, "help"),
            headers={"Authorization": header},
        ) as reply:
            assert reply.status == 401


def _changed(**changes: Any) -> Callable[[Json], Json]:
    return lambda body: body | changes


@pytest.mark.parametrize(
    "change",
    [
        _changed(serviceUrl=None),
        _changed(channelId="emulator"),
        _changed(channelId="directline"),
        _changed(channelData={"tenant": {"id": FOREIGN}}),
        _changed(channelData={}),
        _changed(conversation={"id": "a:operator", "conversationType": "personal", "tenantId": FOREIGN}),
        _changed(conversation={"id": "a:operator", "conversationType": "personal"}),
        _changed(id=None),
        lambda body: (
            body
            | {
                "channelData": {"tenant": {"id": FOREIGN}},
                "conversation": body["conversation"] | {"tenantId": FOREIGN},
            }
        ),
    ],
)
async def test_a_signed_message_from_elsewhere_is_refused_and_asks_celonis_nothing(
    scene: Stage, change: Callable[[Json], Json]
) -> None:
    status, _ = await scene.post(change(scene.teams.said(OPERATOR, "jobs")))
    assert status in (400, 401, 403)
    await scene.settle()
    assert scene.asked() == 0
    assert scene.teams.sent == []


async def test_a_service_url_that_differs_from_the_tokens_is_refused(scene: Stage) -> None:
    status, _ = await scene.post(scene.teams.said(OPERATOR, "jobs") | {"serviceUrl": "https://evil.example/"})
    assert status == 401


async def test_a_service_url_that_is_not_microsofts_is_refused_even_where_the_token_agrees(
    scene: Stage,
) -> None:
    evil = "https://evil.example/"
    body = scene.teams.said(OPERATOR, "jobs") | {"serviceUrl": evil}
    assert (await scene.post(body, token=scene.teams.token(serviceurl=evil)))[0] == 400
    await scene.settle()
    assert scene.asked() == 0
    assert scene.teams.sent == []


def _as_another(body: Json) -> Json:
    """The clerk's channel id with the operator's account."""
    return body | {"from": {"id": CLERK.user, "name": "operator", "aadObjectId": OPERATOR.object_id}}


@pytest.mark.parametrize("cached", [False, True])
async def test_ids_of_two_people_in_one_message_are_nobody(scene: Stage, *, cached: bool) -> None:
    if cached:
        assert (await scene.says(OPERATOR, "help")).card
    before, asked = len(scene.teams.seen(OPERATOR.personal)), scene.asked()
    for scope in (PERSONAL, CHANNEL):
        assert (await scene.post(_as_another(scene.teams.said(OPERATOR, "jobs", scope))))[0] == 202
        await scene.settle()
    assert scene.asked() == asked
    assert len(scene.teams.seen(OPERATOR.personal)) == before
    assert scene.teams.seen(CLERK.personal) == []
    assert scene.teams.seen(CHANNEL.id) == []
    assert (await scene.says(OPERATOR, "help")).card, "and the true one is answered where he is"


async def test_ids_of_two_people_in_one_click_stop_nothing(scene: Stage) -> None:
    question = await scene.says(OPERATOR, "stop main job pls")
    pressed = scene.teams.pressed(OPERATOR, question, "Stop this job")
    status, answer = await scene.post(_as_another(pressed))
    await scene.settle()
    assert status == 200
    assert "cannot tell who you are" in json.dumps(answer)
    assert scene.cancels() == []


async def test_with_an_unreadable_roster_nobody_takes_the_place_of_somebody_known(scene: Stage) -> None:
    assert (await scene.says(OPERATOR, "help")).card
    sent = len(scene.teams.sent)
    scene.teams.accounts = {}
    assert (await scene.post(_as_another(scene.teams.said(OPERATOR, "jobs"))))[0] == 202
    await scene.settle()
    assert [each.path for each in scene.teams.sent[sent:] if each.method == "POST"] == []


async def test_an_unbound_tenant_gets_one_sentence_and_asks_celonis_nothing() -> None:
    async with stage(bound=False) as scene:
        shown = await scene.says(OPERATOR, "jobs")
        assert "not connected to a Celonis team" in shown.text
        assert len(scene.teams.seen(OPERATOR.personal)) == 1
        assert scene.asked() == 0


RAW = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "not UTF-8": b"\xff\xfe{}",
    "a long number": b'{"a":' + b"9" * 6000 + b"}",
    "nothing in it": b"{}",
    "half a surrogate pair": b'{"type":"message","text":"\\ud800"}',
    "half a surrogate pair as a key": b'{"\\uDFFF":"message"}',
    "half a surrogate pair in raw bytes": b'{"text":"\xed\xa0\x80"}',
    "UTF-16": '{"type":"message"}'.encode("utf-16"),
    "wrong types": b'{"type":1,"channelId":[],"serviceUrl":{},"conversation":7,"from":"x","channelData":"y"}',
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
async def test_what_is_no_message_is_refused_with_a_client_error(scene: Stage, raw: bytes) -> None:
    for headers in ({}, {"Authorization": f"Bearer {scene.teams.token()}"}):
        async with scene.session.post(
            f"{scene.replica.url}{PATH}",
            data=raw,
            headers={"Content-Type": "application/json", **headers},
        ) as reply:
            assert 400 <= reply.status < 500
    assert scene.teams.sent == []
    assert scene.asked() == 0


async def test_thirty_megabytes_are_not_read_to_the_end(scene: Stage) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(480):
            yield b" " * 65536

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {scene.teams.token()}"}
    try:
        async with scene.session.post(f"{scene.replica.url}{PATH}", data=endless(), headers=headers) as reply:
            assert reply.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the server hung up before all was sent, which is as good
    assert (await scene.says(OPERATOR, "help")).card, "and it serves on"


async def test_just_too_long_is_refused_and_other_methods_and_types_too(scene: Stage) -> None:
    url = f"{scene.replica.url}{PATH}"
    large = scene.teams.said(OPERATOR, "x" * LARGEST_BODY)
    assert (await scene.post(large))[0] == 413
    async with scene.session.get(url) as reply:
        assert reply.status == 405
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        async with scene.session.post(url, data=b"{}", headers={"Content-Type": content_type}) as reply:
            assert reply.status == 415


async def test_what_the_bot_has_no_use_for_is_taken_and_dropped(scene: Stage) -> None:
    for change in (
        {"type": "conversationUpdate", "membersAdded": [{"id": "29:x"}]},
        {"type": "messageReaction"},
        {"type": "typing"},
        {"type": "endOfConversation"},
        {"type": "installationUpdate", "action": "remove"},
    ):
        body = scene.teams.envelope(OPERATOR) | change
        assert (await scene.post(body))[0] == 202
    status, _ = await scene.post(scene.teams.envelope(OPERATOR) | {"type": "invoke", "name": "task/fetch"})
    assert status == 501
    await scene.settle()
    assert scene.teams.sent == []
    assert scene.asked() == 0


async def test_a_person_without_an_account_is_not_answered(scene: Stage) -> None:
    body = scene.teams.said(OPERATOR, "jobs") | {"from": {"id": "29:anonymous", "name": "operator"}}
    assert (await scene.post(body))[0] == 202
    await scene.settle()
    assert scene.asked() == 0
    assert scene.teams.sent == []


async def test_a_repeated_delivery_is_answered_once(scene: Stage) -> None:
    body = scene.teams.said(OPERATOR, "help")
    statuses = await asyncio.gather(*(scene.post(copy(body)) for _ in range(5)))
    assert {each[0] for each in statuses} == {202}
    await scene.settle()
    assert len(scene.teams.seen(OPERATOR.personal)) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["type", "name", "id", "from", "recipient", "conversation", "channelData", "value", "text", "entities"]


async def test_signed_junk_of_every_kind_never_answers_500() -> None:
    async with stage() as scene:
        loop = asyncio.get_running_loop()

        def send(body: Json) -> int:
            return asyncio.run_coroutine_threadsafe(scene.post(body), loop).result(20)[0]

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(
            changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4),
            invoke=st.booleans(),
        )
        def junk(changes: Json, invoke: bool) -> None:
            body = scene.teams.said(CLERK, "help")
            if invoke:
                body |= {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": {}}}
            assert send(body | changes) != 500

        await asyncio.to_thread(junk)
        await scene.settle()


class _Silent:
    async def answer(self, request: Request, show: Show) -> None:
        return

    async def attach(self, ticket_id: str, ref: object) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("app_id", "host", "development"),
    [("", "127.0.0.1", False), ("", "0.0.0.0", True), ("", "0.0.0.0", False), (APP_ID, "0.0.0.0", True)],  # noqa: S104 - nothing is bound to it
)
async def test_unsigned_messages_are_for_this_machine_only(app_id: str, host: str, development: bool) -> None:
    clock = StillClock()
    async with await Store.temporary(clock) as store:
        chat = TeamsChat(AppIdentity(app_id, TENANT), store, clock)
        try:
            with pytest.raises(ConfigError):
                TeamsListener(
                    _Silent(),
                    chat,
                    store,
                    clock,
                    identity=AppIdentity(app_id, TENANT),
                    tenants=[TENANT],
                    host=host,
                    service_hosts=(),
                    development=development,
                )
        finally:
            await chat.close()


async def test_without_a_registration_only_this_machine_under_its_own_name_is_heard() -> None:
    async with stage(signed=False) as scene:
        body = scene.teams.said(OPERATOR, "help")
        assert (await scene.post(body, token=""))[0] == 202
        async with scene.session.post(
            f"{scene.replica.url}{PATH}",
            json=scene.teams.said(OPERATOR, "help"),
            headers={"Host": "bot.example.com"},
        ) as reply:
            assert reply.status == 403, "a page of somebody else's could have been led here"
        for name in (
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-Forwarded-Proto",
            "X-Forwarded-Any",
        ):
            async with scene.session.post(
                f"{scene.replica.url}{PATH}",
                json=scene.teams.said(OPERATOR, "help"),
                headers={name: "for=127.0.0.1"},
            ) as reply:
                assert reply.status == 403, "it came through a proxy, from who knows where"
        await scene.settle()
        assert len(scene.teams.seen(OPERATOR.personal)) == 1


async def test_half_a_surrogate_pair_leaves_no_traceback_and_a_whole_one_is_a_character(scene: Stage) -> None:
    with structlog.testing.capture_logs() as logs:
        for raw in (b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}'):
            async with scene.session.post(
                f"{scene.replica.url}{PATH}",
                data=raw,
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"Bearer {scene.teams.token()}",
                },
            ) as reply:
                assert reply.status == 400
    assert [each["event"] for each in logs] == ["refused", "refused"]
    said = json.dumps(scene.teams.said(OPERATOR, "help \U0001f600")).encode()
    assert b"\\ud83d" in said
    async with scene.session.post(
        f"{scene.replica.url}{PATH}",
        data=said,
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {scene.teams.token()}"},
    ) as reply:
        assert reply.status == 202


async def test_closing_lets_answers_finish_and_takes_no_more() -> None:
    async with stage() as scene:
        status, _ = await scene.post(scene.teams.said(OPERATOR, "help"))
        assert status == 202
        assert scene.replica.listener.ready()
        await scene.replica.listener.close()
        assert scene.teams.last(OPERATOR.personal).card
        assert not scene.replica.listener.ready()
        assert (await scene.post(scene.teams.said(OPERATOR, "help")))[0] == 503


async def test_it_is_not_ready_before_it_has_keys_and_a_token() -> None:
    clock = StillClock()
    async with await Store.temporary(clock) as store:
        identity = AppIdentity(APP_ID, TENANT, Secret("made-up-password"))
        chat = TeamsChat(identity, store, clock, fetch_token=lambda: "token")
        listener = TeamsListener(
            _Silent(),
            chat,
            store,
            clock,
            identity=identity,
            tenants=[TENANT],
            host="127.0.0.1",
            service_hosts=(),
        )
        assert not listener.ready()
        await listener.close()
