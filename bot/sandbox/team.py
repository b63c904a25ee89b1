"""The team itself: who am I, what may I, which team is this; and OAuth tokens."""

from __future__ import annotations

import base64
import binascii
import random
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus

from bot.sandbox.keys import SCOPES
from bot.sandbox.pools import stable_id
from bot.sandbox.replies import Reply, nothing, ok

if TYPE_CHECKING:
    from bot.sandbox.clock import SandboxClock
    from bot.sandbox.keys import Key
    from bot.sandbox.routing import Call, Route
    from bot.sandbox.switches import Switches

TEAM_NAME = "dev"


class Team:
    """The handlers of `/api`."""

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            ("GET", "/api/cloud", self.current_user),
            ("GET", "/api/cloud/team", self.team),
            ("GET", "/api/team", self.team),
            ("GET", "/api/cloud/permissions", self.permissions),
        ]

    def current_user(self, call: Call) -> Reply:
        """The user of a user key; 200 and nothing for an application key ([choice] and for an OAuth client)."""
        if call.key.kind != "user":
            return nothing()
        return ok(
            {
                "id": stable_id("user"),
                "email": "bob.ross@celonis.com",
                "name": "Bob Ross",
                "teamName": TEAM_NAME,
                "teamId": stable_id("team"),
                "teamDomain": TEAM_NAME,
                "active": True,
                "language": "en",
                "role": 2,
                "admin": False,
                "analyst": True,
                "member": False,
                "groupIds": [],
                "apiToken": "never-print-me",
            }
        )

    def team(self, call: Call) -> Reply:
        """The team, for every kind of key."""
        return ok(
            {
                "id": stable_id("team" if call.key.team == TEAM_NAME else call.key.team),
                "name": call.key.team,
                "domain": call.key.team,
                "privacyType": "INVITE_ONLY",
                "active": True,
                "trackingEnabled": True,
            }
        )

    def permissions(self, call: Call) -> Reply:
        """Service-wide grants; what is granted for one pool or package doesn't show here."""
        return ok(
            [
                {"serviceName": name, "permissions": list(granted)}
                for name, granted in call.key.rights.services
            ]
        )


class Tokens:
    """OAuth 2 client credentials."""

    def __init__(self, client: Key, clock: SandboxClock, switches: Switches, seed: str) -> None:
        self._client = client
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
        if not scopes or not scopes <= SCOPES:
            return ok({"error": "invalid_scope"}, 400)
        token = base64.urlsafe_b64encode(self._dice.randbytes(48)).decode()
        life = self._switches.token_seconds
        self._tokens[token] = (replace(self._client, secret=token, scopes=scopes), self._clock.wall() + life)
        return ok(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": life,
                "scope": " ".join(sorted(scopes)),
            }
        )


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(name), unquote_plus(secret)
