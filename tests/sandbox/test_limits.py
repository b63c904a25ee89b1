"""The quota, on a clock that only this test moves."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from bot.sandbox import Fault, Sandbox, SandboxOptions

TEAM = "/intelligence/api/knowledge-models/new-ideas.empty-km"
POOLS = "/integration/api/pools"


class Hands:
    """A clock whose hands are set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 10, 12, 0, 0, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def set(self, hour: int, minute: int, second: float = 0, *, day: int = 10) -> None:
        self.now = datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp() + second


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def sandbox(hands: Hands) -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(now=hands)) as running:
        yield running


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": sandbox.keys.operator.authorization}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        yield client


async def statuses(api: httpx.AsyncClient, count: int, path: str = TEAM) -> list[int]:
    return [(await api.get(path)).status_code for _ in range(count)]


async def test_twenty_arrive_in_a_second_and_the_next_is_rejected(
    api: httpx.AsyncClient, hands: Hands
) -> None:
    assert await statuses(api, 21) == [200] * 20 + [429]
    hands.now += 0.999
    assert await statuses(api, 1) == [429]
    hands.now += 0.001
    assert (await statuses(api, 21)).count(200) == 19


async def test_the_window_slides(sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands) -> None:
    sandbox.switches.rejected_count = False
    hands.now += 0.9
    assert await statuses(api, 15) == [200] * 15
    hands.now += 0.2
    assert await statuses(api, 6) == [200] * 5 + [429]
    hands.now += 0.81
    assert await statuses(api, 16) == [200] * 15 + [429]
    assert sandbox.log.most_in_any_window() == 22


async def test_the_log_counts_violations_from_arrivals_alone(
    sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands
) -> None:
    await statuses(api, 20)
    assert sandbox.log.violations() == 0
    hands.now += 0.5
    await statuses(api, 3)
    assert sandbox.log.violations() == 3
    hands.now += 1.0
    await statuses(api, 17)
    assert sandbox.log.violations() == 3
    assert sandbox.log.violations(limit=2, window=0.4) == 18 + 1 + 15
    exactly_a_window_apart = 3
    assert sandbox.log.violations(limit=3, window=1.0) == 40 - 3 - exactly_a_window_apart


async def test_a_shorter_window_is_kept_too(sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands) -> None:
    sandbox.switches.window = 0.1
    assert await statuses(api, 21) == [200] * 20 + [429]
    hands.now += 0.1001
    assert await statuses(api, 1) == [200]


async def test_families_have_quotas_of_their_own_or_share_one(
    sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands
) -> None:
    assert await statuses(api, 20) == [200] * 20
    assert await statuses(api, 1, POOLS) == [200]
    hands.now += 2
    sandbox.switches.families = "shared"
    assert await statuses(api, 20) == [200] * 20
    assert await statuses(api, 1, POOLS) == [429]
    hands.now += 2
    sandbox.switches.update({"families": "separate", "limited": "intelligence"})
    assert await statuses(api, 25, POOLS) == [200] * 25


async def test_simultaneous_requests_can_be_what_counts(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.second_rule = "simultaneous"
    assert await statuses(api, 50) == [200] * 50
    sandbox.switches.per_second = 3
    sandbox.faults.add(Fault("latency", seconds=0.05))
    together = await asyncio.gather(*(statuses(api, 1) for _ in range(5)))
    assert sorted(status for found in together for status in found) == [200] * 3 + [429] * 2
    assert await statuses(api, 1) == [200]


async def test_every_reply_tells_what_is_left_of_the_day(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    replies = [await api.get(TEAM) for _ in range(3)]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["5999", "5998", "5997"]
    assert {reply.headers["x-ratelimit-limit"] for reply in replies} == {"6000"}
    assert all("x-ratelimit-reset" not in reply.headers for reply in replies)
    sandbox.switches.rate_headers = "429"
    assert "x-ratelimit-limit" not in (await api.get(TEAM)).headers
    sandbox.limits.spend("dev", "intelligence", 6000)
    assert (await api.get(TEAM)).headers["x-ratelimit-remaining"] == "0"
    sandbox.switches.rate_headers = "never"
    assert not [name for name in (await api.get(TEAM)).headers if name.startswith("x-ratelimit")]


async def test_a_rejection_has_the_catalogs_body(
    sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands
) -> None:
    sandbox.limits.spend("dev", "intelligence", 6000)
    hands.set(12, 0, 30.5)
    reply = await api.get(TEAM)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json() == {
        "title": "Rate limit exceeded",
        "status": 429,
        "detail": "Rate limit for INTELLIGENCE_API_RATE_LIMIT is exceeded. Please try again at 00:00:00 UTC.",
        "errorCode": "LIMIT_RATE_EXCEEDED",
    }


@pytest.mark.parametrize(
    ("dialect", "header", "in_text"),
    [
        ("seconds", "43170", True),
        ("epoch", str(int(datetime(2026, 3, 11, tzinfo=UTC).timestamp())), True),
        ("iso", "2026-03-11T00:00:00Z", True),
        ("body", None, True),
        ("missing", None, False),
        ("absurd", "31536000000", False),
    ],
)
async def test_the_reset_comes_in_every_dialect(
    sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands, dialect: str, header: str | None, *, in_text: bool
) -> None:
    sandbox.switches.update({"reset": dialect})
    sandbox.limits.spend("dev", "intelligence", 6000)
    hands.set(12, 0, 30)
    reply = await api.get(TEAM)
    assert reply.status_code == 429
    assert reply.headers.get("x-ratelimit-reset") == header
    assert ("try again at 00:00:00 UTC" in reply.json()["detail"]) is in_text


async def test_a_second_too_many_resets_within_a_second(api: httpx.AsyncClient) -> None:
    await statuses(api, 20)
    reply = await api.get(TEAM)
    assert reply.headers["x-ratelimit-reset"] == "1"
    assert reply.headers["x-ratelimit-limit"] == "20"


@pytest.mark.parametrize(
    ("anchor", "still", "again"),
    [
        ("midnight", (10, 23, 59), (11, 0, 0)),
        ("06:10", (11, 6, 9), (11, 6, 10)),
        ("rolling", (11, 11, 59), (11, 12, 0)),
    ],
)
async def test_the_day_begins_where_its_anchor_says(
    sandbox: Sandbox,
    api: httpx.AsyncClient,
    hands: Hands,
    anchor: str,
    still: tuple[int, int, int],
    again: tuple[int, int, int],
) -> None:
    sandbox.switches.update({"day_anchor": anchor, "rejected_count": False})
    sandbox.limits.spend("dev", "intelligence", 5999)
    assert await statuses(api, 2) == [200, 429]
    hands.set(still[1], still[2], 30, day=still[0])
    assert await statuses(api, 1) == [429]
    hands.set(again[1], again[2], 1, day=again[0])
    assert await statuses(api, 1) == [200]


async def test_a_soft_day_is_counted_but_never_rejected(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.switches.day_rule = "soft"
    sandbox.limits.spend("dev", "intelligence", 7000)
    reply = await api.get(TEAM)
    assert (reply.status_code, reply.headers["x-ratelimit-remaining"]) == (200, "0")
    assert sandbox.limits.used("dev", "intelligence") == 7001


async def test_rejected_requests_use_up_quota_unless_told_otherwise(
    sandbox: Sandbox, api: httpx.AsyncClient, hands: Hands
) -> None:
    await statuses(api, 30)
    assert sandbox.limits.used("dev", "intelligence") == 30
    sandbox.switches.rejected_count = False
    hands.now += 1
    await statuses(api, 30)
    assert sandbox.limits.used("dev", "intelligence") == 50


async def test_the_tiny_team_is_soon_through_and_harms_nobody_else(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    headers = {"Authorization": sandbox.keys.tiny.authorization}
    async with httpx.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as tiny:
        assert await statuses(tiny, 12) == [200] * 10 + [429] * 2
    assert await statuses(api, 1) == [200]
