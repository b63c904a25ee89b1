"""The keys with which the Bot Connector signs what it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import structlog

from bot.config import is_loopback
from bot.model.clock import Clock

log = structlog.get_logger()

FRESH = 24 * 3600.0
"""Seconds after which keys are fetched again (learn.microsoft.com, "Bot Connector authentication": at least daily)."""
BETWEEN_FETCHES = 60.0
"""Seconds between two fetches that an unknown key asks for: anybody can send a token with a key id of their own."""
_PATIENCE = aiohttp.ClientTimeout(total=10)
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """A key with the channels it may sign for, under the names the SDK reads."""

    public_key: Any
    endorsements: tuple[str, ...]


class KeyRing:
    """Signing keys by id. Fetched without holding up anybody else, and again as soon as an unknown id comes up.

    Args:
        address: Of the OpenID metadata.
        session: For fetching.
        clock: Decides what is old.
    """

    def __init__(self, address: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.address = address
        self._session = session
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    @property
    def there(self) -> bool:
        """Whether there are any."""
        return bool(self._keys)

    async def get(self, key_id: str | None) -> Key:
        """The key of this id; the SDK calls this.

        Raises:
            PermissionError: There is none, as far as can be known now.
        """
        await self.refresh()
        found = self._keys.get(key_id or "")
        if found is None:
            await self.refresh(unknown=key_id or "")
            found = self._keys.get(key_id or "")
        if found is None:
            raise PermissionError("signed with an unknown key")
        return found

    async def refresh(self, *, unknown: str = "") -> None:
        """Fetches the keys where they are old, or where this id is not among them; else does nothing.

        What cannot be fetched is logged, and the keys there are stay good.
        """
        if not self._due(unknown):
            return
        async with self._lock:
            if not self._due(unknown):
                return
            self._tried_at = self._clock.monotonic()
            try:
                self._keys = await self._fetch()
                self._fetched_at = self._clock.monotonic()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                log.warning("signing keys not fetched", reason=type(error).__name__)

    def _due(self, unknown: str) -> bool:
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < BETWEEN_FETCHES:
            return False
        if self._fetched_at is None or now - self._fetched_at >= FRESH:
            return True
        return bool(unknown) and unknown not in self._keys

    async def _fetch(self) -> Mapping[str, Key]:
        metadata = await self._json(self.address)
        where = metadata.get("jwks_uri")
        if not isinstance(where, str) or not _same_kind(where, self.address):
            raise ValueError("the metadata names no address for the keys")
        listed = (await self._json(where)).get("keys")
        keys = {}
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict) and isinstance(each.get("kid"), str) and each.get("kty") == "RSA":
                try:
                    public_key = jwt.PyJWK(each, algorithm="RS256").key
                except jwt.PyJWTError:
                    log.warning("a signing key cannot be read")
                    continue
                endorsements = each.get("endorsements")
                known = tuple(endorsements) if isinstance(endorsements, list) else ()
                keys[each["kid"]] = Key(public_key, known)
        if not keys:
            raise ValueError("no keys")
        return keys

    async def _json(self, address: str) -> Mapping[str, Any]:
        async with self._session.get(address, timeout=_PATIENCE, allow_redirects=False) as reply:
            reply.raise_for_status()
            read = await reply.content.read(_LARGEST)
        parsed = json.loads(read)
        if not isinstance(parsed, dict):
            raise ValueError("not an object")  # noqa: TRY004 - a broken reply, not a wrong argument
        return parsed


def _same_kind(address: str, given: str) -> bool:
    """Whether keys may be fetched from there: https, or this machine where the metadata came from it too."""
    parts, origin = urlsplit(address), urlsplit(given)
    if parts.scheme == "https" and parts.hostname:
        return True
    return is_loopback(parts.hostname or "") and is_loopback(origin.hostname or "")
