"""Teams on this machine: the service URL that bots answer to, the key server, and people who type and press.

What the bot sends is kept as people would see it: by conversation, newest state of each message, nothing more. So a test
asks what somebody sees, not what was called.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import unquote

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

Json: TypeAlias = dict[str, Any]

APP_ID = "5a1d6f0e-0000-4000-8000-00000000b017"
TENANT = "7e4a9c2b-0000-4000-8000-000000000001"
FOREIGN = "7e4a9c2b-0000-4000-8000-00000000beef"
BOT = f"28:{APP_ID}"
ISSUER = "https://api.botframework.com"
CARD = "application/vnd.microsoft.card.adaptive"
FILE_CONSENT = "application/vnd.microsoft.teams.card.file.consent"
FILE_INFO = "application/vnd.microsoft.teams.card.file.info"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with a Teams account, as the roster tells of them."""

    name: str
    number: int
    role: str = "user"
    tenant: str = TENANT
    added: bool = True

    @property
    def user(self) -> str:
        return f"29:{self.name}"

    @property
    def object_id(self) -> str:
        return f"0b1ec700-0000-4000-8000-{self.number:012d}"

    @property
    def personal(self) -> str:
        return f"a:{self.name}"

    def roster(self) -> Json:
        return {
            "id": self.user,
            "name": self.name,
            "aadObjectId": self.object_id,
            "email": f"{self.name}@example.com",
            "userPrincipalName": f"{self.name}@example.com",
            "tenantId": self.tenant,
            "userRole": self.role,
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """A kind of conversation with its id."""

    kind: str
    id: str = ""


PERSONAL = Scope("personal")
GROUP = Scope("groupChat", "19:group@thread.v2")
CHANNEL = Scope("channel", "19:channel@thread.tacv2;messageid=1700000000001")


@dataclass(frozen=True, slots=True)
class Sent:
    """One call of the bot."""

    method: str
    path: str
    body: Json
    headers: dict[str, str]


@dataclass(slots=True)
class Message:
    """A message of the bot as people see it now."""

    id: str
    conversation: str
    body: Json
    updates: int = 0

    @property
    def text(self) -> str:
        """Everything that can be read on it."""
        said = [self.body.get("text", "")]
        card = self.card
        return " ".join([*said, *_words(card)] if card else said)

    @property
    def card(self) -> Json | None:
        for each in self.body.get("attachments", []):
            if each.get("contentType") == CARD:
                return dict(each["content"])
        return None

    @property
    def buttons(self) -> dict[str, Json]:
        """What can be pressed, by its label."""
        return {each["title"]: each for each in _actions(self.card)} if self.card else {}

    def entry(self, label: str) -> tuple[Json, Json]:
        """The button of the list with an entry that is called so, and what that list's input holds then."""
        for listed in _inputs(self.card):
            for choice in listed["choices"]:
                if choice["title"] == label:
                    press = next(
                        each for each in _actions(self.card) if listed["id"] in each.get("data", {}).values()
                    )
                    return press, {listed["id"]: choice["value"]}
        raise AssertionError(f"nothing called {label!r} to choose in: {self.text}")

    @property
    def mentioned(self) -> list[str]:
        entities = (self.card or {}).get("msteams", {}).get("entities", [])
        return [each["mentioned"]["id"] for each in entities]


def _words(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("text", "title", "label", "placeholder") and isinstance(value, str):
                yield value
            elif key in (
                "body",
                "inlines",
                "items",
                "columns",
                "rows",
                "cells",
                "actions",
                "facts",
                "choices",
            ):
                yield from _words(value)
    elif isinstance(part, list):
        for each in part:
            yield from _words(each)


def _inputs(part: object) -> Iterator[Json]:
    if isinstance(part, dict):
        if part.get("type") == "Input.ChoiceSet":
            yield part
        for value in part.values():
            yield from _inputs(value)
    elif isinstance(part, list):
        for each in part:
            yield from _inputs(each)


def _actions(part: object) -> Iterator[Json]:
    if isinstance(part, dict):
        if str(part.get("type", "")).startswith("Action."):
            yield part
            return
        for key, value in part.items():
            if key in ("body", "items", "actions", "columns", "rows", "cells"):
                yield from _actions(value)
    elif isinstance(part, list):
        for each in part:
            yield from _actions(each)


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def _usual_key() -> rsa.RSAPrivateKey:
    """One for all fakes, since making it takes longer than most tests."""
    return _new_key()


@dataclass(slots=True)
class Signer:
    """A signing key with its id."""

    kid: str
    key: rsa.RSAPrivateKey = field(default_factory=_new_key)

    def public(self) -> Json:
        numbers = self.key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
            "endorsements": ["msteams"],
        }

    def sign(self, claims: Json, **headers: Any) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid} | headers)


class FakeTeams:
    """`async with FakeTeams() as teams:` serves until the block ends.

    Attributes:
        sent: Every call of the bot, oldest first.
        messages: What people see, by conversation and message id.
        typing: Conversations in which a typing indicator was shown.
        faults: Statuses (with headers) that the next calls get in place of an answer.
        faulty: HTTP methods that they are for; all of them where it is empty.
        keys: What the key server gives.
        key_fetches: How often it was asked.
        accounts: Who exists.
        listed: Who is a member of every group chat and channel.
    """

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self.accounts = {each.user: each for each in accounts}
        self.listed = [each for each in accounts if each.role == "user" and each.tenant == TENANT]
        self.sent: list[Sent] = []
        self.messages: dict[str, dict[str, Message]] = {}
        self.typing: list[str] = []
        self.faults: list[tuple[int, dict[str, str]]] = []
        self.faulty: set[str] = set()
        self.signer = Signer("first", _usual_key())
        self.keys: list[Signer] = [self.signer]
        self.key_fetches = 0
        self.uploads: list[bytes] = []
        self.stored_with = HTTPStatus.CREATED
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/openid", self._openid)
        app.router.add_get("/keys", self._keys)
        app.router.add_route("*", "/amer/v3/{rest:.*}", self._service)
        app.router.add_put("/onedrive/{file}", self._store)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def service(self) -> str:
        """The service URL that messages carry."""
        return f"{self.url}/amer/"

    @property
    def metadata(self) -> str:
        """The address of the OpenID metadata."""
        return f"{self.url}/openid"

    # --- the servers ---

    async def _openid(self, request: web.Request) -> web.Response:
        self.key_fetches += 1
        return web.json_response({"issuer": ISSUER, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [each.public() for each in self.keys]})

    async def _store(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        content = await request.read()
        assert request.headers["Content-Range"] == f"bytes 0-{len(content) - 1}/{len(content)}"
        if self.stored_with == HTTPStatus.CREATED:
            self.uploads.append(content)
        return web.Response(status=self.stored_with)

    async def _service(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        path = request.raw_path.removeprefix("/amer/v3/")
        self.sent.append(Sent(request.method, path, body, dict(request.headers)))
        if self.faults and (not self.faulty or request.method in self.faulty):
            status, headers = self.faults.pop(0)
            if status:
                return web.json_response(
                    {"error": {"code": "Throttled", "message": "no"}}, status=status, headers=headers
                )
        match request.method, [unquote(each) for each in path.split("/")]:
            case "POST", ["conversations"]:
                return self._create(body)
            case "POST", ["conversations", conversation, "activities", *_]:
                return self._post(conversation, body)
            case "PUT", ["conversations", conversation, "activities", message]:
                return self._put(conversation, message, body)
            case "GET", ["conversations", _, "pagedmembers?pageSize=500"]:
                return web.json_response({"members": [each.roster() for each in self.listed]})
            case "GET", ["conversations", _, "members", user]:
                found = self.accounts.get(user)
                if found is None:
                    return web.json_response({"error": {"code": "MemberNotFound"}}, status=404)
                return web.json_response(found.roster())
            case _:
                return web.Response(status=404)

    def _create(self, body: Json) -> web.Response:
        account = self.accounts.get(body["members"][0]["id"])
        if account is None or not account.added:
            return web.json_response({"error": {"code": "Forbidden", "message": "not installed"}}, status=403)
        return web.json_response({"id": account.personal}, status=201)

    def _post(self, conversation: str, body: Json) -> web.Response:
        if body.get("type") == "typing":
            self.typing.append(conversation)
            return web.json_response({}, status=201)
        number = f"m{next(self._numbers)}"
        self.messages.setdefault(conversation, {})[number] = Message(number, conversation, body)
        return web.json_response({"id": number}, status=201)

    def _put(self, conversation: str, number: str, body: Json) -> web.Response:
        found = self.messages.get(conversation, {}).get(number)
        if found is None:
            return web.json_response({"error": {"code": "ActivityNotFoundInConversation"}}, status=404)
        found.body = body
        found.updates += 1
        return web.json_response({"id": number})

    # --- what people see ---

    def seen(self, conversation: str) -> list[Message]:
        """The bot's messages in a conversation, oldest first."""
        return list(self.messages.get(conversation, {}).values())

    def last(self, conversation: str) -> Message:
        """The bot's newest message there."""
        return self.seen(conversation)[-1]

    def everything(self) -> str:
        """All that anybody can read anywhere."""
        return " ".join(each.text for there in self.messages.values() for each in there.values())

    # --- what people do ---

    def token(self, signer: Signer | None = None, *, headers: Json | None = None, **claims: Any) -> str:
        """A token as the channel makes it; claims given as None are left out."""
        now = datetime.now(UTC)
        whole = {
            "iss": ISSUER,
            "aud": APP_ID,
            "serviceurl": self.service,
            "iat": now,
            "nbf": now - timedelta(minutes=1),
            "exp": now + timedelta(hours=1),
        } | claims
        kept = {name: value for name, value in whole.items() if value is not None}
        return (signer or self.signer).sign(kept, **(headers or {}))

    def envelope(self, who: Account, scope: Scope = PERSONAL, *, tenant: str = TENANT) -> Json:
        """What every message of this person in this place carries."""
        conversation: Json = {
            "id": scope.id or who.personal,
            "conversationType": scope.kind,
            "tenantId": tenant,
        }
        if scope.kind != "personal":
            conversation["isGroup"] = True
        return {
            "id": f"in{next(self._numbers)}",
            "channelId": "msteams",
            "serviceUrl": self.service,
            "timestamp": datetime.now(UTC).isoformat(),
            "from": {"id": who.user, "name": who.name, "aadObjectId": who.object_id},
            "recipient": {"id": BOT, "name": "Celonis"},
            "conversation": conversation,
            "channelData": {"tenant": {"id": tenant}},
            "locale": "en-GB",
            "localTimezone": "Europe/Berlin",
        }

    def said(self, who: Account, text: str, scope: Scope = PERSONAL, **changes: Any) -> Json:
        """A message; outside a personal chat it mentions the bot."""
        body = self.envelope(who, scope) | {"type": "message", "textFormat": "plain", "text": text}
        if scope.kind != "personal":
            body["text"] = f"<at>Celonis</at> {text}"
            body["entities"] = [
                {"type": "mention", "text": "<at>Celonis</at>", "mentioned": {"id": BOT, "name": "Celonis"}}
            ]
        return body | changes

    def pressed(
        self,
        who: Account,
        message: Message,
        label: str,
        scope: Scope = PERSONAL,
        *,
        trigger: str = "manual",
        inputs: Json | None = None,
    ) -> Json:
        """A click on an Action.Execute, or a choice of a list's entry with the button below that list; inputs are merged
        into its data, as clients do.
        """
        action, chosen = (message.buttons[label], {}) if label in message.buttons else message.entry(label)
        sent = {**action, "data": {**action.get("data", {}), **chosen, **(inputs or {})}}
        return self.envelope(who, scope) | {
            "type": "invoke",
            "name": "adaptiveCard/action",
            "replyToId": message.id,
            "value": {"action": sent, "trigger": trigger},
        }

    def consents(self, who: Account, message: Message, *, accept: bool = True, url: str = "") -> Json:
        """A person's answer to whether they want a file."""
        (asked,) = message.body["attachments"]
        assert asked["contentType"] == FILE_CONSENT
        given = {
            "contentUrl": f"https://example-my.sharepoint.com/{asked['name']}",
            "name": asked["name"],
            "uploadUrl": url or f"{self.url}/onedrive/1",
            "uniqueId": "u1",
            "fileType": "csv",
        }
        context = asked["content"]["acceptContext" if accept else "declineContext"]
        value: Json = {"type": "fileUpload", "action": "accept" if accept else "decline", "context": context}
        return self.envelope(who) | {
            "type": "invoke",
            "name": "fileConsent/invoke",
            "replyToId": message.id,
            "value": value | ({"uploadInfo": given} if accept else {}),
        }

    def submitted(self, who: Account, message: Message, label: str, scope: Scope = PERSONAL) -> Json:
        """A click in an old client, which takes the fallback: Action.Submit arrives as a message."""
        action = message.buttons[label]["fallback"]
        return self.envelope(who, scope) | {
            "type": "message",
            "replyToId": message.id,
            "value": dict(action["data"]),
        }


class StillClock:
    """Time that moves only by being waited for; remembers how long that was."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 22, 56, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.passed += seconds


def copy(body: Json) -> Json:
    """The same delivery once more."""
    return dict(json.loads(json.dumps(body)))
