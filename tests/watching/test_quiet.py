"""Quiet hours, how often it is looked, and the sign of life."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web
from structlog.testing import capture_logs

from adapters.heartbeat import beating
from bot.watching.quiet import next_look, quiet_until

MINUTE = timedelta(minutes=1)


def utc(hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_quiet_hours_are_those_of_the_zone_and_may_run_over_midnight() -> None:
    assert quiet_until("", utc(23), "Europe/Berlin") is None
    assert quiet_until("22:00-06:00", utc(20, 59), "Europe/Berlin") is None
    assert quiet_until("22:00-06:00", utc(21), "Europe/Berlin") == utc(5, day=21)
    assert quiet_until("22:00-06:00", utc(4, 59), "Europe/Berlin") == utc(5)
    assert quiet_until("22:00-06:00", utc(5), "Europe/Berlin") is None
    assert quiet_until("12:00-13:00", utc(12, 30), "UTC") == utc(13)


def test_watches_look_at_the_same_moments_and_more_rarely_where_calls_are_scarce() -> None:
    now = utc(23, 0) + timedelta(seconds=17)
    assert next_look(now, MINUTE, 1.0) == utc(23, 1)
    assert next_look(now, MINUTE, 0.2) == utc(23, 1)
    assert next_look(now, MINUTE, 2.4) == utc(23, 3)
    assert next_look(now, MINUTE, 1000.0) == utc(23, 10)
    assert next_look(utc(23, 1), MINUTE, 1.0) == utc(23, 2), "never now"


class Minutes:
    """Naps that end at once, so many of them."""

    def __init__(self, most: int) -> None:
        self.left = most

    def now(self) -> datetime:
        return utc(23)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        assert seconds == 60.0
        self.left -= 1
        if self.left <= 0:
            await asyncio.Event().wait()


async def test_a_sign_of_life_is_sent_each_minute_and_its_trouble_logged_once() -> None:
    answers = [204, 500, 500, 204, 204]
    seen: list[str] = []

    async def heard(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=answers[len(seen) - 1])

    app = web.Application()
    app.router.add_get("/{secret}", heard)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/s3cret"
    clock = Minutes(len(answers))
    with capture_logs() as logged:
        work = asyncio.create_task(beating(address, lambda: True, clock))
        while clock.left > 0:  # noqa: ASYNC110 - what is waited for is this clock
            await asyncio.sleep(0.01)
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await runner.cleanup()
    assert seen == ["/s3cret"] * len(answers)
    assert [each["event"] for each in logged] == ["heartbeat not sent"]
    assert "s3cret" not in str(logged)


async def test_a_bot_that_looks_after_nothing_gives_no_sign_of_life() -> None:
    clock = Minutes(1)
    with capture_logs() as logged:
        work = asyncio.create_task(beating("http://127.0.0.1:9/never", lambda: False, clock))
        while clock.left > 0:  # noqa: ASYNC110 - what is waited for is this clock
            await asyncio.sleep(0.01)
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert [each["reason"] for each in logged] == ["watches are not looked after"]
