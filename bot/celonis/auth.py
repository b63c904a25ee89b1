"""How the bot proves who it is: an application key, a user key, or tokens for an OAuth client."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

import httpx

from bot.celonis.errors import is_web_page, payload, refusal
from bot.celonis.request import Family, encoded
from bot.config import Connection, KeyType, OAuthClient, Secret
from bot.model.clock import Clock
from bot.model.errors import CelonisError, Unauthorized, UnexpectedReply

RENEW_BEFORE = 60.0
"""Seconds before its end in which a token is no longer used (at most half its life)."""
TRY_AGAIN = 5.0
"""Seconds for which nobody else asks for a token that was not given."""
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address
_UNAUTHORIZED = 401


class Identity(StrEnum):
    """What the bot turned out to be in Celonis."""

    APPLICATION = "application key"
    USER = "user key"
    OAUTH = "OAuth client"
    UNKNOWN = "key of unknown kind"


@dataclass(frozen=True, slots=True)
class _Token:
    secret: str
    good_until: float


class CelonisAuth(httpx.Auth):
    """The credential of one connection.

    A read that was refused is sent once more where something else can be sent: a token or secret that has changed
    since, or the other kind of key where none was set. A write (`request.extensions["is_write"]`) never is.

    Args:
        connection: With the credential.
        clock: For the life of tokens.
        replaced: Called when another key is tried; it may have other rights.
        own: A key in place of the connection's own, whose kind is found out.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        replaced: Callable[[], None],
        own: Secret | None = None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._replaced = replaced
        credential = own or connection.api_token or connection.oauth
        assert credential is not None, "a connection has an API key or an OAuth client"
        self._credential: Secret | OAuthClient = credential
        self._kind_set = None if own else connection.key_type
        self._kind = self._kind_set
        self._proven = False
        self._tried_other = False
        self._token: _Token | None = None
        self._no_token: tuple[CelonisError, float] | None = None
        self._renewing = asyncio.Lock()

    @property
    def identity(self) -> Identity:
        """What the bot is in Celonis, as far as it is known."""
        if isinstance(self._credential, OAuthClient):
            return Identity.OAUTH
        if self._kind is None:
            return Identity.UNKNOWN
        return Identity.APPLICATION if self._kind is KeyType.APP_KEY else Identity.USER

    @property
    def proven(self) -> bool:
        """Whether Celonis has accepted the key, so that its kind is known."""
        return self._proven

    @property
    def tail(self) -> str:
        """Enough of the key to tell it from another."""
        return self._credential.tail

    def is_a(self, kind: KeyType) -> None:
        """Takes a key whose kind was not set for this kind from now on."""
        if isinstance(self._credential, Secret) and self._kind_set is None:
            self._kind = kind

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See `httpx.Auth`. A token is asked for under the same purpose as the request that needs it.

        Raises:
            CelonisError: A token was needed and not given.
        """
        for last in (False, True):
            if isinstance(self._credential, OAuthClient):
                async with self._renewing:
                    if self._needs_token():
                        asked_at = self._clock.monotonic()
                        self._receive(asked_at, (yield self._asking_for_token(self._credential, request)))
                sent = f"Bearer {self._token.secret if self._token else ''}"
            else:
                sent = f"{(self._kind or KeyType.APP_KEY).scheme} {self._credential.reveal()}"
            request.headers["Authorization"] = sent
            response = yield request
            if response.status_code != _UNAUTHORIZED or is_web_page(response):
                if response.is_success:
                    self._accepted(sent)
                return
            if last or request.extensions.get("is_write") or not self._other_is_worth_a_try(sent):
                return
            self._replaced()

    def _accepted(self, sent: str) -> None:
        if isinstance(self._credential, Secret) and sent.endswith(self._credential.reveal()):
            self._kind = self._kind or KeyType.APP_KEY
            self._proven = True

    def _other_is_worth_a_try(self, sent: str) -> bool:
        """Celonis answered 401: whether there is something else to send now."""
        if isinstance(self._credential, OAuthClient):
            if self._token is not None and sent == f"Bearer {self._token.secret}":
                self._token = None
                self._read_again()
            return True
        if not sent.endswith(f" {self._credential.reveal()}") or self._read_again():
            return True
        if self._kind_set is not None or self._proven:
            return False
        if self._tried_other:
            self._kind = None
            return False
        self._tried_other = True
        self._kind = (self._kind or KeyType.APP_KEY).other
        return True

    def _read_again(self) -> bool:
        """Takes the secret anew from its file; says whether it is another one."""
        old = self._credential
        self._credential = old.read_again()
        if self._credential == old:
            return False
        self._tried_other = False
        return True

    # OAuth -------------------------------------------------------------------------------------------------

    def _needs_token(self) -> bool:
        now = self._clock.monotonic()
        if self._token is not None and now < self._token.good_until:
            return False
        if self._no_token is not None and now < self._no_token[1]:
            raise copy.copy(self._no_token[0])
        return True

    def _asking_for_token(self, client: OAuthClient, request: httpx.Request) -> httpx.Request:
        pair = f"{quote(client.id.reveal(), safe='')}:{quote(client.secret.reveal(), safe='')}"
        form = [("grant_type", "client_credentials")]
        if client.scope:
            form.append(("scope", client.scope))
        return httpx.Request(
            "POST",
            request.url.copy_with(raw_path=TOKEN_PATH.encode()),
            headers={
                "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
                "Content-Type": "application/x-www-form-urlencoded",
                "User-Agent": request.headers["User-Agent"],
                "Accept": request.headers["Accept"],
            },
            content=encoded(form).encode(),
            extensions={**request.extensions, "is_write": False},
        )

    def _receive(self, asked_at: float, response: httpx.Response) -> None:
        try:
            self._token = self._token_from(asked_at, response)
        except CelonisError as error:
            self._no_token = (error, self._clock.monotonic() + TRY_AGAIN)
            raise

    def _token_from(self, asked_at: float, response: httpx.Response) -> _Token:
        if not response.is_success:
            if response.status_code in {400, 401, 403}:
                raise Unauthorized(
                    f"{self._connection.name} does not give the bot's OAuth client a token.",
                    hint="The bot's admin should check client id, secret and scope; the scope has to be granted to "
                    "the client in Celonis.",
                    status=response.status_code,
                )
            raise refusal(response, connection=self._connection, family=Family.OTHER, now=self._clock.now())
        said = payload(response, connection=self._connection)
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise UnexpectedReply(
                f"{self._connection.name} gave the bot's OAuth client no usable token.",
                hint="The bot's admin should check that the team's address is that of Celonis.",
                status=response.status_code,
            )
        life = said.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and 0 < life < 86400 * 365 else 300.0
        return _Token(token, asked_at + seconds - min(RENEW_BEFORE, seconds / 2))
