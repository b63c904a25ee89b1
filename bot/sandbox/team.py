"""The team itself: who am I, what may I, which team is this; and OAuth tokens."""

from __future__ import annotations

import base64
import binascii
import random
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus

from bot.sandbox.clock import SandboxClock
from bot.sandbox.keys import DEV, Key
from bot.sandbox.pools import stable_id
from bot.sandbox.replies import Reply, always, nothing, ok
from bot.sandbox.switches import Switches

if TYPE_CHECKING:
    from bot.sandbox.routes import Call


def current_user(call: Call) -> Reply:
    """The user of a user key; 200 and nothing for an application key ([choice] and for an OAuth client)."""
    if call.key.kind != "user":
        return nothing()
    ids = {"id": stable_id("user"), "teamId": stable_id("team"), "teamName": DEV, "teamDomain": DEV}
    return ok(ids | call.sandbox.given["user"])


def team(call: Call) -> Reply:
    """The team, for every kind of key."""
    name = call.key.team
    return ok(
        {"id": stable_id("team" if name == DEV else name), "name": name, "domain": name} | always("team")
    )


def permissions(call: Call) -> Reply:
    """Service-wide grants; what is granted for one pool or package doesn't show here."""
    grants = call.key.rights.grants
    return ok(
        [
            {"serviceName": name, "permissions": grants.get(name, [])}
            for name in call.sandbox.given["services"]
        ]
    )


class Tokens:
    """OAuth 2 client credentials."""

    def __init__(
        self, client: Key, scopes: frozenset[str], clock: SandboxClock, switches: Switches, seed: str
    ) -> None:
        self._client = client
        self._scopes = scopes
        self._clock = clock
        self._switches = switches
        self._dice = random.Random(f"{seed}/tokens")  # noqa: S311 - repeatable on purpose
        self._tokens: dict[str, tuple[Key, float]] = {}

    def known(self, token: str) -> Key | None:
        """The client, narrowed to the token's scopes, while the token lives."""
        found = self._tokens.get(token)
        return found[0] if found and found[1] > self._clock.wall() else None

    def revoke(self) -> None:
        """Ends all tokens at once."""
        self._tokens.clear()

    def issue(self, authorization: str, body: bytes) -> Reply:
        """`POST /oauth2/token`, client id and secret by HTTP Basic or in the form."""
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        client = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        if client != (self._client.client_id, self._client.secret):
            return ok({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "client_credentials":
            return ok({"error": "unsupported_grant_type"}, 400)
        scopes = frozenset(form.get("scope", "").split())
        if not scopes or not scopes <= self._scopes:
            return ok({"error": "invalid_scope"}, 400)
        token = base64.urlsafe_b64encode(self._dice.randbytes(48)).decode()
        life = self._switches.token_seconds
        self._tokens[token] = (replace(self._client, secret=token, scopes=scopes), self._clock.wall() + life)
        scope = " ".join(sorted(scopes))
        return ok({"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": scope})


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(name), unquote_plus(secret)
