"""A sign of life, for a monitor outside that notices when it stays away."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import structlog

from bot.model.clock import Clock

log = structlog.get_logger()

EVERY = 60.0
TIMEOUT = 10.0


async def beating(url: str, alive: Callable[[], bool], clock: Clock) -> None:
    """Calls an address every minute while watches are looked after; each trouble with it is logged once.

    Args:
        url: The address; it may hold a secret, so it is not logged.
        alive: Whether watches are looked after.
        clock: For waiting.
    """
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session:
        failing = ""
        while True:
            trouble = "watches are not looked after" if not alive() else await _beat(session, url)
            if trouble and trouble != failing:
                log.warning("heartbeat not sent", reason=trouble)
            failing = trouble
            await clock.sleep(EVERY)


async def _beat(session: aiohttp.ClientSession, url: str) -> str:
    """What went wrong; empty where nothing did."""
    try:
        async with session.get(url, allow_redirects=False) as response:
            return "" if response.status < HTTPStatus.BAD_REQUEST else f"status {response.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return type(error).__name__
