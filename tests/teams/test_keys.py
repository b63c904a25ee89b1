"""Signing keys: rotation, outages, and how often somebody else can have them fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from adapters.teams.tokens import BETWEEN_FETCHES, FRESH, KeyRing
from tests.fake_teams import FakeTeams, Signer, StillClock


@pytest.fixture
async def teams() -> AsyncIterator[FakeTeams]:
    async with FakeTeams(()) as fake:
        yield fake


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_a_known_key_costs_no_fetch(teams: FakeTeams, session: aiohttp.ClientSession) -> None:
    ring = KeyRing(teams.metadata, session, StillClock())
    for _ in range(3):
        assert (await ring.get("first")).endorsements == ("msteams",)
    assert teams.key_fetches == 1


async def test_an_unknown_key_is_looked_for_but_not_again_and_again(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    clock = StillClock()
    ring = KeyRing(teams.metadata, session, clock)
    await ring.refresh()
    for _ in range(50):
        clock.passed += 10
        with pytest.raises(PermissionError):
            await ring.get("made up")
    assert teams.key_fetches <= 2 + 500 / BETWEEN_FETCHES


async def test_keys_are_fetched_again_after_a_day_and_stay_good_while_they_cannot_be(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    clock = StillClock()
    ring = KeyRing(teams.metadata, session, clock)
    await ring.get("first")
    clock.passed += FRESH
    teams.keys = []
    assert await ring.get("first") is not None, "a reply without keys does not take away those there are"
    assert teams.key_fetches == 2
    teams.keys = [Signer("second")]
    clock.passed += BETWEEN_FETCHES
    assert (await ring.get("second")).endorsements
    with pytest.raises(PermissionError):
        await ring.get("first")


@pytest.mark.parametrize("key_id", [None, "", "x" * 5000])
async def test_odd_key_ids_are_unknown_ones(
    teams: FakeTeams, session: aiohttp.ClientSession, key_id: str | None
) -> None:
    with pytest.raises(PermissionError):
        await KeyRing(teams.metadata, session, StillClock()).get(key_id)


@pytest.mark.parametrize(
    "reply",
    [
        {"keys": []},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": 7},
        {"jwks_uri": "http://example.com/keys"},
        [1],
    ],
)
async def test_broken_metadata_gives_no_keys(session: aiohttp.ClientSession, reply: object) -> None:
    async def metadata(request: web.Request) -> web.Response:
        return web.json_response(reply)

    app = web.Application()
    app.router.add_get("/openid", metadata)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        ring = KeyRing(f"http://127.0.0.1:{runner.addresses[0][1]}/openid", session, StillClock())
        await ring.refresh()
        assert not ring.there
    finally:
        await runner.cleanup()


async def test_one_unreadable_key_does_not_hide_the_others(
    teams: FakeTeams, session: aiohttp.ClientSession
) -> None:
    class Broken(Signer):
        def public(self) -> dict[str, object]:
            return {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"}

    teams.keys = [Broken("broken"), teams.signer]
    ring = KeyRing(teams.metadata, session, StillClock())
    assert (await ring.get("first")).endorsements
    with pytest.raises(PermissionError):
        await ring.get("broken")
