"""Sending: what is tried again, how long is waited, and what is given up."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import aiohttp
import pytest

from adapters.teams.client import ATTEMPTS, Connector, Refused
from adapters.teams.sdk import Token
from tests.fake_teams import Account, FakeTeams, StillClock

SOMEBODY = Account("somebody", 1)
HI = {"type": "message", "text": "hi"}


@pytest.fixture
async def teams() -> AsyncIterator[FakeTeams]:
    async with FakeTeams((SOMEBODY,)) as fake:
        yield fake


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def make(session: aiohttp.ClientSession, clock: StillClock, token: Token | None = None) -> Connector:
    return Connector(session, clock, lambda: 0.5, token)


@pytest.mark.parametrize("status", [412, 429, 502, 504])
async def test_a_passing_fault_is_waited_out(
    teams: FakeTeams, session: aiohttp.ClientSession, status: int
) -> None:
    clock = StillClock()
    teams.faults = [(status, {}), (status, {})]
    assert await make(session, clock).send(teams.service, "a:x", HI)
    assert [each.text for each in teams.seen("a:x")] == ["hi"]
    assert clock.waits == [0.5, 1.0], (
        "each wait at most twice as long as the one before, and spread by chance"
    )


async def test_as_long_is_waited_as_the_channel_asks_for(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    clock = StillClock()
    moment = format_datetime(clock.now() + timedelta(seconds=10), usegmt=True)
    teams.faults = [
        (429, {"Retry-After": "3"}),
        (429, {"Retry-After": moment}),
        (429, {"Retry-After": "soon"}),
    ]
    await make(session, clock).send(teams.service, "a:x", HI)
    assert clock.waits == [3.5, 7.0 - 0.5 + 1.0, 2.0]


async def test_a_long_pause_is_not_waited_out(teams: FakeTeams, session: aiohttp.ClientSession) -> None:
    clock = StillClock()
    teams.faults = [(429, {"Retry-After": "900"})]
    with pytest.raises(Refused) as caught:
        await make(session, clock).send(teams.service, "a:x", HI)
    assert caught.value.status == 429
    assert clock.waits == []


@pytest.mark.parametrize("status", [400, 403, 404, 413, 500, 503])
async def test_what_will_not_pass_is_given_up_at_once(
    teams: FakeTeams, session: aiohttp.ClientSession, status: int
) -> None:
    teams.faults = [(status, {})]
    with pytest.raises(Refused) as caught:
        await make(session, StillClock()).send(teams.service, "a:x", HI)
    assert (caught.value.status, caught.value.code) == (status, "Throttled")
    assert len(teams.sent) == 1


async def test_attempts_are_counted(teams: FakeTeams, session: aiohttp.ClientSession) -> None:
    teams.faults = [(429, {})] * 20
    with pytest.raises(Refused):
        await make(session, StillClock()).update(teams.service, "a:x", "m1", json.dumps(HI).encode())
    assert len(teams.sent) == ATTEMPTS


async def test_nobody_there_is_a_refusal_after_every_attempt(session: aiohttp.ClientSession) -> None:
    clock = StillClock()
    with pytest.raises(Refused, match="cannot be reached"):
        await make(session, clock).send("http://127.0.0.1:1/", "a:x", HI)
    assert len(clock.waits) == ATTEMPTS - 1


async def test_ids_are_quoted_so_that_they_stay_one_part_of_the_path(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    await make(session, StillClock()).send(teams.service, "../x?y=19:a@thread;messageid=1", HI)
    assert [each.conversation for each in teams.seen("../x?y=19:a@thread;messageid=1")]


async def test_a_token_is_fetched_once_in_a_thread_and_renewed_when_it_is_not_taken(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    clock = StillClock()
    threads: list[int] = []

    def fetch() -> str:
        threads.append(threading.get_ident())
        return f"token{len(threads)}"

    connector = make(session, clock, Token(fetch, clock))
    await connector.send(teams.service, "a:x", HI)
    await connector.send(teams.service, "a:x", HI)
    teams.faults = [(401, {})]
    await connector.send(teams.service, "a:x", HI)
    sent = [each.headers["Authorization"] for each in teams.sent]
    assert sent == ["Bearer token1", "Bearer token1", "Bearer token1", "Bearer token2"]
    assert threading.get_ident() not in threads


async def test_a_token_that_is_never_taken_ends_in_a_refusal(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    teams.faults = [(401, {})] * 5
    clock = StillClock()
    with pytest.raises(Refused) as caught:
        await make(session, clock, Token(lambda: "token", clock)).send(teams.service, "a:x", HI)
    assert caught.value.status == 401
    assert len(teams.sent) == 2


async def test_no_token_means_nothing_is_sent_and_its_reason_is_not_told(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    def fetch() -> str:
        raise PermissionError("AADSTS7000215: invalid client secret made-up-secret")

    clock = StillClock()
    with pytest.raises(Refused) as caught:
        await make(session, clock, Token(fetch, clock)).send(teams.service, "a:x", HI)
    assert "made-up-secret" not in str(caught.value)
    assert teams.sent == []
