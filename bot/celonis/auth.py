"""The bot's identity on the wire: which header, which kind of key, and when an OAuth token has to be new."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import quote

from bot.celonis.connection import Family, Identity
from bot.celonis.errors import Reply, payload, refusal
from bot.celonis.query import Asked, encoded
from bot.config import Connection, KeyType, OAuthClient, Secret
from bot.model.clock import Clock
from bot.model.errors import CelonisError, Unauthorized, UnexpectedReply

RENEW_BEFORE = 60.0
"""Seconds before its end in which a token is no longer used (at most half its life)."""
TRY_AGAIN = 5.0
"""Seconds for which nobody else asks for a token that was not given."""
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class _Token:
    secret: str
    good_until: float


class Keyring:
    """The credential of one connection.

    Args:
        connection: With the credential.
        clock: For the life of tokens.
        ask: Sends a request with these headers and this form body.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        credential = connection.oauth or connection.api_token
        assert credential is not None, "the settings give every connection an API key or an OAuth client"
        self._credential: Secret | OAuthClient = credential
        self._kind = connection.key_type
        self._proven = False
        self._tried_other = False
        self._token: _Token | None = None
        self._no_token: tuple[CelonisError, float] | None = None
        self._renewing = asyncio.Lock()

    @property
    def identity(self) -> Identity:
        """What the bot is in Celonis, as far as it is known."""
        match self._credential:
            case OAuthClient():
                return Identity.OAUTH
            case Secret():
                if self._kind is None:
                    return Identity.UNKNOWN
                return Identity.APPLICATION if self._kind is KeyType.APP_KEY else Identity.USER
            case _:
                assert_never(self._credential)

    @property
    def tail(self) -> str:
        """Enough of the key to tell it from another."""
        return self._credential.tail

    @property
    def kind(self) -> KeyType | None:
        """The kind of the key; None while it is not known, and for OAuth."""
        return self._kind

    async def authorization(self, exchange: Callable[[Asked, str, bytes], Awaitable[Reply]]) -> str:
        """The `Authorization` header's value.

        Args:
            exchange: Sends a token request: the request, its Authorization header, its form body.

        Raises:
            CelonisError: A token was needed and not given.
        """
        match self._credential:
            case Secret() as key:
                return f"{(self._kind or KeyType.APP_KEY).scheme} {key.reveal()}"
            case OAuthClient() as client:
                async with self._renewing:
                    now = self._clock.monotonic()
                    if self._token is None or now >= self._token.good_until:
                        if self._no_token is not None and now < self._no_token[1]:
                            raise copy.copy(self._no_token[0])
                        try:
                            self._token = await self._renew(client, exchange)
                        except CelonisError as error:
                            self._no_token = (error, self._clock.monotonic() + TRY_AGAIN)
                            raise
                    return f"Bearer {self._token.secret}"
            case _:
                assert_never(self._credential)

    def accepted(self, authorization: str) -> None:
        """Celonis took this header: the kind is proven."""
        if isinstance(self._credential, Secret) and authorization.endswith(self._credential.reveal()):
            if self._kind is None:
                self._kind = KeyType.APP_KEY
            self._proven = True

    def refused(self, authorization: str) -> bool:
        """Celonis answered 401 to this header. Says whether another one is worth a try: a token or secret that has
        changed since, or the other kind of key where none was set.
        """
        match self._credential:
            case OAuthClient():
                if self._token is not None and authorization == f"Bearer {self._token.secret}":
                    self._token = None
                    self._read_again()
                return True
            case Secret() as key:
                if not authorization.endswith(f" {key.reveal()}") or self._read_again():
                    return True
                unknown = self._connection.key_type is None
                if unknown and not self._proven and not self._tried_other:
                    self._tried_other = True
                    self._kind = (self._kind or KeyType.APP_KEY).other
                    return True
                if unknown and not self._proven:
                    self._kind = None
                return False
            case _:
                assert_never(self._credential)

    def use_kind(self, kind: KeyType) -> None:
        """From now on the key is sent as this kind."""
        self._kind = kind

    def _read_again(self) -> bool:
        """Takes the secret anew from its file; says whether it is another one."""
        old = self._credential
        self._credential = old.read_again()
        if self._credential == old:
            return False
        self._tried_other = False
        return True

    async def _renew(
        self, client: OAuthClient, exchange: Callable[[Asked, str, bytes], Awaitable[Reply]]
    ) -> _Token:
        asked = self._clock.monotonic()
        pair = f"{quote(client.id.reveal(), safe='')}:{quote(client.secret.reveal(), safe='')}"
        basic = "Basic " + base64.b64encode(pair.encode()).decode()
        form = [("grant_type", "client_credentials")]
        if client.scope:
            form.append(("scope", client.scope))
        reply = await exchange(Asked("POST", TOKEN_PATH), basic, encoded(form).encode())
        if not reply.ok:
            if reply.status in {400, 401, 403}:
                raise Unauthorized(
                    f"{self._connection.name} does not give the bot's OAuth client a token.",
                    hint="The bot's admin should check client id, secret and scope; the scope has to be granted to "
                    "the client in Celonis.",
                    status=reply.status,
                )
            raise refusal(reply, connection=self._connection, family=Family.OTHER)
        said = payload(reply, connection=self._connection)
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise UnexpectedReply(
                f"{self._connection.name} gave the bot's OAuth client no usable token.",
                hint="The bot's admin should check that the team's address is that of Celonis.",
                status=reply.status,
            )
        life = said.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and 0 < life < 86400 * 365 else 300.0
        return _Token(token, asked + seconds - min(RENEW_BEFORE, seconds / 2))
