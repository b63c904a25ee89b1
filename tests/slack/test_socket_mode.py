"""Socket Mode: the same answers over a socket that breaks and comes back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fake_slack import until
from tests.slack.worlds import World, world


@pytest.fixture
async def socket_world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("adapters.slack.socket_mode.PING_EVERY", 0.2)
    async with world(socket_mode=True) as made:
        await made.slack.connected()
        await until(made.listener.ready)
        yield made


async def test_commands_mentions_and_clicks_come_over_the_socket(socket_world: World) -> None:
    await socket_world.slack.command("U1", "C1", "kpis")
    await socket_world.slack.mention("U1", "C1", "jobs")
    await socket_world.quiet()
    assert socket_world.slack.screen("U1", "C1") == "(only you) you said: kpis\n---\n↳ you said: jobs"


async def test_a_dropped_socket_is_opened_again_and_nothing_is_lost_or_answered_twice(
    socket_world: World,
) -> None:
    await socket_world.slack.tell("U1", "kpis")
    await socket_world.quiet()
    opened = len(socket_world.slack.called("apps.connections.open"))
    await socket_world.slack.drop()
    delivered = asyncio.create_task(socket_world.slack.tell("U1", "jobs"))
    await delivered
    await socket_world.quiet()
    assert len(socket_world.slack.called("apps.connections.open")) > opened
    assert socket_world.slack.screen("U1", "DU1") == "you said: kpis\n---\nyou said: jobs"
    assert socket_world.listener.ready()


async def test_a_delivery_that_comes_again_over_the_next_socket_is_answered_once(socket_world: World) -> None:
    payload = socket_world.slack.direct_payload("U1", "kpis")
    await socket_world.slack.envelope(payload)
    await socket_world.slack.envelope(payload)
    await socket_world.quiet()
    assert socket_world.slack.screen("U1", "DU1") == "you said: kpis"


async def test_a_silent_socket_is_replaced_though_the_sdk_calls_it_connected(
    socket_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert socket_world.listener.socket is not None
    socket = socket_world.listener.socket.handler
    assert socket is not None
    assert socket.client.message_receiver is not None
    assert socket.client.current_session_monitor is not None
    # As in the SDK's issue: nothing reads the socket any more, and its own check no longer runs.
    socket.client.message_receiver.cancel()
    socket.client.current_session_monitor.cancel()
    socket_world.clock.advance(120)
    kept = socket_world.listener.socket
    await until(lambda: kept.handler is not socket)
    await until(socket_world.listener.ready)
    await socket_world.slack.tell("U1", "kpis")
    await socket_world.quiet()
    assert socket_world.slack.screen("U1", "DU1") == "you said: kpis"


async def test_deliveries_of_other_kinds_are_acknowledged_and_wake_nobody(socket_world: World) -> None:
    await socket_world.slack.envelope({"type": "shortcut", "callback_id": "x"})
    assert socket_world.bot.heard == []


async def test_deliveries_beyond_what_can_be_answered_are_not_acknowledged(
    socket_world: World,
) -> None:
    socket_world.listener.deliveries.most = 0
    delivery = asyncio.create_task(socket_world.slack.tell("U1", "kpis"))
    await asyncio.sleep(0.1)
    assert not delivery.done()
    socket_world.listener.deliveries.most = 10
    await socket_world.slack.drop()
    await delivery
    await socket_world.quiet()
    assert socket_world.slack.screen("U1", "DU1") == "you said: kpis"


async def test_closing_closes_the_socket(socket_world: World) -> None:
    await socket_world.listener.close(1.0)
    await until(lambda: socket_world.slack.sockets == 0)
    assert not socket_world.listener.ready()
