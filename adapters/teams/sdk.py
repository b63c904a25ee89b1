"""What of botbuilder 4.17.1 is used, and what is done differently, because that release is the last one and has faults.

Used: `CloudAdapter` with a single tenant's authentication of what comes in, and its turn with middleware and invoke
answers. Not used, each with a test in `tests/teams/test_sdk_faults.py` that fails on the day the fault is gone:

- `CloudAdapter.process` turns the answer to every Action.Execute into a 500, and a broken token too; so the HTTP handler
  is our own, and authentication comes before everything else.
- The key cache knows no key rotation, and fetches on the event loop without a timeout; so `KeyRing` stands in its place.
- Each turn makes new credentials (so each reply fetches a new token, on the event loop) and two clients, each of which
  spends milliseconds on a retry table; so one `Connector` sends everything over one session, with one token.
- Sending is tried once, and updating four times within a thread; so the connector has retries of its own.
- The bot's mention is removed wherever its name stands in the text, and `conversation.tenantId` is not read; so both are
  read from the JSON itself, in `payloads`.

Each stands behind `require_known_release`: with any other release of the SDK the adapter does not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity, ConversationAccount
from botframework.connector.auth import (
    AuthenticateRequestResult,
    AuthenticationConstants,
    ChannelValidation,
    ConnectorFactory,
    EmulatorValidation,
    JwtTokenExtractor,
    MicrosoftAppCredentials,
    SkillValidation,
)

from adapters.teams.payloads import part_of, text_of
from adapters.teams.tokens import KeyRing
from bot.config import Secret
from bot.model.clock import Clock
from bot.model.errors import ConfigError

RELEASE = "4.17.1"
PACKAGES = (
    "botbuilder-core",
    "botbuilder-schema",
    "botbuilder-integration-aiohttp",
    "botframework-connector",
)
_TOKEN_KEPT = 60.0
"""Seconds; MSAL renews a token five minutes before its end, so one that is a minute older is still good."""
_TOKEN_PATIENCE = 20.0


def require_known_release(installed: Callable[[str], str] = version) -> None:
    """Makes sure that the installed SDK is the one whose faults are known.

    Raises:
        ConfigError: Another release is installed.
    """
    other = [f"{each} {found}" for each in PACKAGES if (found := installed(each)) != RELEASE]
    if other:
        raise ConfigError(
            [
                f"Teams needs the Bot Framework packages {RELEASE}, whose faults are worked around, not {', '.join(other)}; install requirements/run.txt."
            ]
        )


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """The bot's registration. Without an id (development on this machine only) nothing is signed."""

    app_id: str
    tenant_id: str
    password: Secret | None = None


class _Configuration:
    """The attributes under which the SDK looks for its settings; a misspelt one would count as multi-tenant."""

    def __init__(self, identity: AppIdentity) -> None:
        self.APP_ID = identity.app_id
        self.APP_PASSWORD = identity.password.reveal() if identity.password else ""
        self.APP_TENANTID = identity.tenant_id
        self.APP_TYPE = "SingleTenant" if identity.app_id else "MultiTenant"


class _NothingToCreate(ConnectorFactory):  # type: ignore[misc] # the SDK has no types
    """The turn wants a client; ours sends outside of it."""

    async def create(self, *_: object) -> object:
        return _UNUSED


_UNUSED = object()


class Authentication(ConfigurationBotFrameworkAuthentication):  # type: ignore[misc] # the SDK has no types
    """Tokens of the channel only: what claims to come from a skill or the Emulator takes no part here."""

    async def authenticate_request(self, activity: Activity, auth_header: str) -> AuthenticateRequestResult:
        """Who sent this.

        Raises:
            Exception: Anything but a valid token of the channel for this bot; the SDK has no common base for it.
        """
        if auth_header and (
            SkillValidation.is_skill_token(auth_header)
            or EmulatorValidation.is_token_from_emulator(auth_header)
        ):
            raise PermissionError("a token of a skill or of the Emulator")
        result = await super().authenticate_request(activity, auth_header)
        result.connector_factory = _NothingToCreate()
        return result

    def create_connector_factory(self, *_: object) -> ConnectorFactory:
        return _NothingToCreate()

    async def create_user_token_client(self, *_: object) -> object:
        return _UNUSED


def make_adapter(identity: AppIdentity) -> CloudAdapter:
    """The SDK's adapter for this bot; only its `process_activity` is used."""
    require_known_release()
    return CloudAdapter(Authentication(_Configuration(identity)))


def outline(body: dict[str, Any]) -> Activity:
    """As much of a message as the SDK has to know; whatever is not text is left out."""
    return Activity(
        type=text_of(body, "type"),
        id=text_of(body, "id"),
        name=text_of(body, "name"),
        channel_id=text_of(body, "channelId"),
        service_url=text_of(body, "serviceUrl"),
        conversation=ConversationAccount(id=text_of(part_of(body, "conversation"), "id")),
    )


def metadata_address() -> str:
    """Where the SDK looks for the channel's signing keys."""
    given = ChannelValidation.open_id_metadata_endpoint
    return str(given or AuthenticationConstants.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL)


def use_keys(ring: KeyRing) -> None:
    """Has the SDK ask this ring for keys, in place of the cache with which it cannot follow a rotation."""
    JwtTokenExtractor.metadataCache[ring.address] = ring


def forget_keys(ring: KeyRing) -> None:
    """Takes the ring out again."""
    if JwtTokenExtractor.metadataCache.get(ring.address) is ring:
        del JwtTokenExtractor.metadataCache[ring.address]


def fetch_with_msal(identity: AppIdentity) -> Callable[[], str]:
    """Fetches tokens for sending; blocks, and keeps what it has fetched for as long as it is good."""
    credentials = MicrosoftAppCredentials(
        identity.app_id,
        identity.password.reveal() if identity.password else "",
        channel_auth_tenant=identity.tenant_id,
        oauth_scope=AuthenticationConstants.TO_CHANNEL_FROM_BOT_OAUTH_SCOPE,
    )
    return lambda: str(credentials.get_access_token())


@dataclass(slots=True)
class Token:
    """The token with which everything is sent; fetched by one thread at a time, never on the event loop.

    Attributes:
        fetch: Gives a token; blocks.
    """

    fetch: Callable[[], str] = field(repr=False)
    clock: Clock
    _value: str = field(default="", repr=False)
    _until: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def there(self) -> bool:
        """Whether one has been fetched."""
        return bool(self._value)

    async def value(self) -> str:
        """A token that is good for at least four minutes.

        Raises:
            Exception: Microsoft gave none; whatever MSAL raises.
        """
        if self.clock.monotonic() < self._until:
            return self._value
        async with self._lock:
            if self.clock.monotonic() >= self._until:
                self._value = await asyncio.wait_for(asyncio.to_thread(self.fetch), _TOKEN_PATIENCE)
                self._until = self.clock.monotonic() + _TOKEN_KEPT
        return self._value

    def drop(self) -> None:
        """The channel did not take it."""
        self._until = 0.0
