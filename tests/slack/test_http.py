"""Signed and unsigned HTTP against the running server: what is answered, and that nothing of a refusal gets further."""

import asyncio
import io
import json
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

import aiohttp
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.model.clock import SystemClock
from bot.store import Store
from tests.fake_slack import Fault, encoded, signed, until
from tests.slack.worlds import World, world
from tests.store.databases import postgresql

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


async def test_a_command_is_answered(slack_world: World) -> None:
    assert await slack_world.say("U1", "C1", "value &gt; 10k") == "(only you) you said: value > 10k"


async def test_slacks_question_for_the_address_is_answered(slack_world: World) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    status, text = await slack_world.slack.post(body, JSON)
    assert (status, json.loads(text)["challenge"]) == (200, "abc")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"type":"event_callback","event":{"text":"\\ud800"}}'),
        (JSON, b'{"type":"event_callback","event":{"text":"\xed\xa0\x80"}}'),
        (FORM, b"payload=" + quote('{"type":"block_actions","a":"\\udc00"}').encode()),
    ],
)
async def test_half_a_surrogate_pair_is_refused_without_a_traceback(
    slack_world: World, kind: str, body: bytes
) -> None:
    with structlog.testing.capture_logs() as logs:
        headers = signed(body, slack_world.clock)
        assert (await slack_world.slack.post(body, kind, headers=headers))[0] == 400
    assert [(each["event"], each.get("reason")) for each in logs] == [("slack request refused", "unreadable")]


async def test_a_repeated_delivery_is_answered_once(slack_world: World) -> None:
    payload = slack_world.slack.mention_payload("U1", "C1", "<@UBOT> kpis")
    for number in range(4):
        body, kind = encoded(payload | {"event_time": number})
        headers = signed(body, slack_world.clock) | {"X-Slack-Retry-Num": str(number)}
        assert (await slack_world.slack.post(body, kind, headers=headers))[0] == 200
    await slack_world.quiet()
    assert len(slack_world.bot.heard) == 1
    assert len(slack_world.slack.visible("U1", "C1")) == 1


async def test_a_repeated_delivery_on_another_replica_is_answered_once() -> None:
    async with (
        postgresql() as address,
        await Store.open(address, SystemClock()) as first,
        await Store.open(address, SystemClock()) as second,
        world(store=first) as one,
        world(store=second) as two,
    ):
        payload = one.slack.mention_payload("U1", "C1", "<@UBOT> kpis")
        await asyncio.gather(one.slack.deliver(payload), one.slack.deliver(payload, target=two.slack.target))
        await one.quiet()
        await two.quiet()
        assert len(one.bot.heard) + len(two.bot.heard) == 1


async def test_a_replay_does_nothing(slack_world: World) -> None:
    body, kind = encoded(slack_world.slack.command_payload("U1", "C1", "kpis"))
    headers = signed(body, slack_world.clock)
    assert (await slack_world.slack.post(body, kind, headers=headers))[0] == 200
    assert await slack_world.slack.post(body, kind, headers=headers) == (200, "")
    await slack_world.quiet()
    assert len(slack_world.bot.heard) == 1


@pytest.mark.parametrize(
    ("off", "secret", "status"), [(0, "another", 401), (-301, None, 401), (400, None, 401), (0, None, 200)]
)
async def test_only_what_slack_signed_lately_is_heard(
    slack_world: World, off: float, secret: str | None, status: int
) -> None:
    body, kind = encoded(slack_world.slack.command_payload("U1", "C1", "kpis"))
    more = {} if secret is None else {"secret": secret}
    headers = signed(body, slack_world.clock, off=off, **more)
    assert (await slack_world.slack.post(body, kind, headers=headers))[0] == status
    await slack_world.quiet()
    assert len(slack_world.bot.heard) == (status == 200)


async def test_thirty_megabytes_are_not_read(slack_world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1024 * 1024
            await asyncio.sleep(0)

    async with aiohttp.ClientSession() as session:
        for body in (io.BytesIO(b"x" * 30 * 1024 * 1024), endless()):
            try:
                async with session.post(slack_world.slack.target, data=body) as answer:
                    assert answer.status == 413
            except (aiohttp.ClientError, ConnectionError):
                pass  # the server hung up before the client had sent it all
    assert slack_world.refusals == ["too large", "too large"]
    assert slack_world.bot.heard == []


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"{", "no timestamp"),
        ({"X-Slack-Request-Timestamp": "abc", "X-Slack-Signature": "v0="}, b"{}", "no timestamp"),
        ({"Content-Encoding": "gzip"}, zlib.compress(b"x" * 100_000), "encoded"),
    ],
)
async def test_what_nobody_signed_is_refused_and_not_written_down(
    slack_world: World, capsys: pytest.CaptureFixture[str], headers: dict[str, str], body: bytes, reason: str
) -> None:
    status, text = await slack_world.slack.post(body + b"top secret", JSON, headers=headers)
    assert 400 <= status < 500
    assert "secret" not in text
    assert "top secret" not in "".join(capsys.readouterr())
    assert slack_world.refusals in ([reason], []), "aiohttp may refuse an encoding before we do"


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "event_callback"},
        {"type": "event_callback", "event": 5, "team_id": []},
        {"type": "event_callback", "event": {"type": "app_mention", "channel": "../x", "user": "U1"}},
        {"type": "block_actions"},
        {"type": "block_actions", "actions": [], "user": "U1", "team": "T1", "channel": 7},
        {"type": "block_actions", "actions": "x", "user": {"id": "U1"}, "team": {"id": "T1"}, "container": 1},
        {"type": "view_submission", "view": {"callback_id": "form", "state": 1}},
        {"type": "shortcut"},
        {"type": {"a": 1}},
        {"command": "/celonis"},
        {"command": "/celonis", "text": "kpis", "user_id": "U1", "team_id": "T1", "channel_id": "no id"},
        {"hello": "world"},
        {"type": "event_callback", "authorizations": "x", "event": {"type": "message", "channel_type": "im"}},
    ],
)
async def test_signed_junk_is_never_answered_500(slack_world: World, payload: dict[str, object]) -> None:
    body, kind = encoded(payload)
    status, _ = await slack_world.slack.post(body, kind)
    await slack_world.quiet()
    assert status < 500
    assert slack_world.bot.heard == []


@pytest.fixture
def sent() -> Callable[[bytes, str], Awaitable[int]]:
    async def send(body: bytes, kind: str) -> int:
        async with world() as made:
            return (await made.slack.post(body, kind))[0]

    return send


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=200), kind=st.sampled_from([JSON, FORM, "", "text/plain", "x"]))
async def test_signed_bytes_of_any_kind_are_never_answered_500(
    sent: Callable[[bytes, str], Awaitable[int]], body: bytes, kind: str
) -> None:
    assert await sent(body, kind) < 500


async def test_a_bot_that_fails_is_no_500_either(slack_world: World) -> None:
    slack_world.bot.answers["kpis"] = ["not a card"]  # type: ignore[list-item] # the failure
    assert await slack_world.slack.command("U1", "C1", "kpis") == 200
    await slack_world.quiet()


async def test_a_store_that_fails_does_not_silence_the_bot(slack_world: World) -> None:
    await slack_world.store.close()
    assert "you said: kpis" in await slack_world.say("U1", "C1", "kpis")


async def test_bolt_writes_no_bodies_to_the_log(slack_world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for payload in (
        {"type": "message_action", "note": "very private"},
        slack_world.slack.command_payload("U1", "C1", "very private"),
        slack_world.slack.mention_payload("U1", "C1", "very private"),
    ):
        await slack_world.slack.deliver(payload)
    await slack_world.quiet()
    assert "very private" not in caplog.text


async def test_bolt_does_not_complain_about_the_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-from-the-environment")
    async with world():
        assert caplog.messages == []


async def test_deliveries_beyond_what_can_be_answered_are_left_to_be_sent_again(
    slack_world: World,
) -> None:
    slack_world.listener.deliveries.most = 1
    first = asyncio.Event()
    slack_world.bot.answers["kpis"] = [first]
    assert await slack_world.slack.tell("U1", "kpis") == 200
    assert await slack_world.slack.tell("U2", "kpis") == 503
    first.set()


async def test_shutdown_waits_for_answers_and_takes_no_new_ones(slack_world: World) -> None:
    more = asyncio.Event()
    slack_world.bot.answers["kpis"] = [more]
    await slack_world.slack.command("U1", "C1", "kpis")
    await until(lambda: slack_world.bot.heard)
    closing = asyncio.create_task(slack_world.listener.close(5.0))
    await asyncio.sleep(0.02)
    assert not closing.done()
    assert await slack_world.slack.command("U1", "C1", "kpis") == 503
    assert not slack_world.listener.ready()
    more.set()
    await closing
    assert not len(slack_world.listener.deliveries)


async def test_slack_that_cannot_be_reached_at_start_is_asked_again() -> None:
    async with world() as made:
        made.chat._identity = None
        made.slack.fail("auth.test", *(Fault(status=502) for _ in range(4)))
        await made.listener.start()
        assert not made.listener.ready()
        await made.slack.mention("U1", "C1", "kpis")
        await made.quiet()
        assert made.listener.ready()
        assert made.slack.screen("U1", "C1") == "↳ you said: kpis"
