"""A small Slack on this machine, over real HTTP: the Web API as far as the bot uses it, and the people in front of it.

`slack.screen(user, channel)` is the oracle: what this person sees there now, as text. `slack.calls` is what the bot
asked for. People act through `command`, `mention`, `tell` and `press`, which deliver signed requests to `slack.target`
or, in Socket Mode, envelopes over the open socket.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web

from adapters.slack.blocks import SlackMessage
from bot.model.clock import Clock, SystemClock
from tests.platform_rules import assert_slack_ok

Json = dict[str, Any]

TOKEN = "xoxb-1-made-up-for-tests"
APP_TOKEN = "xapp-1-made-up-for-tests"
SECRET = "signing-secret-of-the-tests"
TEAM = "T1"
BOT_USER = "UBOT"
BOT = "BBOT"
FORM_ONLY = {
    "files.getUploadURLExternal",
    "users.info",
    "usergroups.list",
    "conversations.info",
    "conversations.members",
}


@dataclass
class Message:
    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str = ""
    only_for: str = ""
    deleted: bool = False
    edits: int = 0
    history: list[str] = field(default_factory=list)
    changed_at: list[float] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return "\n".join(drawn(self.blocks)) or unescaped(self.text)


@dataclass
class Channel:
    id: str
    members: set[str]
    name: str = ""
    direct_with: str = ""
    refuses: str = ""
    shared: bool = False


@dataclass
class Fault:
    """What happens to the next call of a method."""

    error: str = ""
    status: int = 200
    retry_after: str = ""
    hang: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ResponseUrl:
    """`source` is the clicked message; a slash command's address has none, so it never changes nor removes anything."""

    user: str
    channel: str
    made_at: float
    source: Message | None
    uses: int = 0


@dataclass
class CallMade:
    method: str
    arguments: Json
    connection: str
    at: float


def unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def drawn(blocks: list[Json]) -> Iterator[str]:
    """Blocks as lines of text, as far as a person would read them."""
    for block in blocks:
        match block["type"]:
            case "header" | "section":
                yield block["text"]["text"]
            case "context":
                yield from (element["text"] for element in block["elements"])
            case "rich_text":
                yield "".join(_rich(element) for element in block["elements"])
            case "table":
                for row in block["rows"]:
                    yield " | ".join(cell["text"] if "text" in cell else _rich(cell) for cell in row)
            case "actions":
                yield " ".join(_pressable(element) for element in block["elements"])
            case "input":
                yield f"{block['label']['text']}: ____ ({block['element']['placeholder']['text']})"
            case other:
                raise AssertionError(f"nobody has drawn {other} yet")


def _rich(element: Json) -> str:
    match element["type"]:
        case "text":
            return str(element["text"])
        case "user":
            return f"@{element['user_id']}"
        case _:
            return "".join(_rich(each) for each in element["elements"])


def _pressable(element: Json) -> str:
    if element["type"] == "button":
        return f"[{element['text']['text']}]"
    entries = ", ".join(option["text"]["text"] for option in element["options"])
    prompt = element["placeholder"]["text"] if "placeholder" in element else "One of"
    return f"[{prompt}: {entries}]"


@dataclass(slots=True)
class SharedFile:
    """A file, and the conversation it was put into."""

    name: str
    length: int
    content: bytes = b""
    channel: str = ""


class FakeSlack:
    """One workspace with one app in it."""

    def __init__(self, clock: Clock | None = None, *, target: str = "", socket_mode: bool = False) -> None:
        self.clock = clock or SystemClock()
        self.target = target
        self.socket_mode = socket_mode
        self.messages: list[Message] = []
        self.calls: list[CallMade] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.users: dict[str, Json] = {}
        self.groups: list[Json] = []
        self.channels: dict[str, Channel] = {}
        self.acknowledged: list[Json] = []
        self.refused_urls: list[str] = []
        self.token_valid = True
        self.upload_url = ""
        """Where files are to be sent, instead of here."""
        self.files: dict[str, SharedFile] = {}
        self._numbers = itertools.count(1)
        self._urls: dict[str, ResponseUrl] = {}
        self._replied: set[tuple[str, str]] = set()
        self._triggers: dict[str, float] = {}
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self._port = 0
        self._sockets: list[web.WebSocketResponse] = []
        self._unacknowledged: dict[str, Json] = {}
        self._acks: dict[str, asyncio.Future[Json]] = {}
        self._connected = asyncio.Event()
        self.person("U1", "the clerk")
        self.person("U2", "the operator")
        self.channel("C1", "U1", "U2", BOT_USER, name="plant-7")

    # --- the workspace ---

    def person(self, user: str, name: str, **more: Any) -> None:
        self.users[user] = {
            "id": user,
            "team_id": TEAM,
            "name": name,
            "tz": "Europe/Berlin",
            "locale": "en-US",
            "profile": {"display_name": name, "email": f"{user.lower()}@example.com"},
        } | more

    def channel(self, channel: str, *members: str, name: str = "", direct_with: str = "") -> Channel:
        made = self.channels[channel] = Channel(channel, set(members), name, direct_with)
        return made

    def direct(self, user: str) -> Channel:
        return self.channels.get(f"D{user}") or self.channel(f"D{user}", user, BOT_USER, direct_with=user)

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, deque()).extend(faults)

    # --- what people see ---

    def visible(self, user: str, channel: str) -> list[Message]:
        """Messages of the bot in a channel that this person sees, oldest first."""
        seen = (user,) if user not in self.channels[channel].members else ("", user)
        return [
            message
            for message in self.messages
            if message.channel == channel
            and not message.deleted
            and message.only_for in seen
            and (not message.only_for or not message.thread_ts or self._has_replies(message))
        ]

    def _has_replies(self, message: Message) -> bool:
        """Slack shows what is for one person in a thread only where that has a reply that everybody sees."""
        thread = (message.channel, message.thread_ts)
        return thread in self._replied or any(
            (each.channel, each.thread_ts) == thread and not each.only_for and not each.deleted
            for each in self.messages
        )

    def screen(self, user: str, channel: str) -> str:
        return "\n---\n".join(
            ("↳ " if message.thread_ts else "") + ("(only you) " if message.only_for else "") + message.shown
            for message in self.visible(user, channel)
        )

    def called(self, method: str) -> list[Json]:
        return [call.arguments for call in self.calls if call.method == method]

    # --- life ---

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/response/{key}", self._respond)
        app.router.add_get("/link", self._link)
        app.router.add_post("/upload/{file}", self._upload)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._client = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        assert self._runner is not None
        await self._client.close()
        for socket in self._sockets:
            await socket.close()
        await self._runner.cleanup()

    # --- the Web API ---

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await self._arguments(request)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        self.calls.append(CallMade(method, arguments, str(peer), self.clock.monotonic()))
        waiting = self.faults.get(method)
        if waiting:
            fault = waiting.popleft()
            await asyncio.sleep(fault.hang)
            if fault.retry_after:
                headers = {"Retry-After": fault.retry_after}
                return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
            if fault.status != 200:
                return web.Response(status=fault.status, text="<html>oops</html>", content_type="text/html")
            if fault.error:
                return web.json_response({"ok": False, "error": fault.error, "needed": "users:read"})
        wanted = APP_TOKEN if method == "apps.connections.open" else TOKEN
        if request.headers.get("Authorization") != f"Bearer {wanted}" or not self.token_valid:
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if method in FORM_ONLY and request.content_type == "application/json":
            return web.json_response({"ok": False, "error": "invalid_arguments"})
        handler: Callable[[Json], Json] = getattr(self, f"_{method.replace('.', '_')}")
        return web.json_response(handler(arguments))

    async def _arguments(self, request: web.Request) -> Json:
        if request.content_type == "application/json":
            body: Json = await request.json()
            return body
        return dict(await request.post())

    def _auth_test(self, _: Json) -> Json:
        return {"ok": True, "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT}

    def _refusal(self, channel: str, thread: str) -> str:
        there = self.channels.get(channel)
        if there is None:
            return "channel_not_found"
        if there.refuses:
            return there.refuses
        if BOT_USER not in there.members:
            return "not_in_channel" if not channel.startswith("D") else "channel_not_found"
        return ""

    def _drawable(self, arguments: Json) -> str:
        try:
            assert_slack_ok(SlackMessage(arguments.get("text", ""), arguments.get("blocks") or []))
        except AssertionError:
            return "invalid_blocks"
        return ""

    def _new(self, arguments: Json, *, only_for: str = "") -> Message:
        message = Message(
            channel=arguments["channel"],
            ts=f"{1_700_000_000 + next(self._numbers)}.000100",
            user=BOT_USER,
            text=arguments["text"],
            blocks=arguments.get("blocks", []),
            thread_ts=arguments.get("thread_ts", ""),
            only_for=only_for,
        )
        message.history.append(message.shown)
        message.changed_at.append(self.clock.monotonic())
        self.messages.append(message)
        return message

    def _change(self, message: Message, arguments: Json) -> None:
        message.text, message.blocks = arguments["text"], arguments.get("blocks", [])
        message.edits += 1
        message.history.append(message.shown)
        message.changed_at.append(self.clock.monotonic())

    def _chat_postMessage(self, arguments: Json) -> Json:  # noqa: N802 - Slack's name
        error = self._refusal(arguments["channel"], arguments.get("thread_ts", "")) or self._drawable(
            arguments
        )
        if error:
            return {"ok": False, "error": error}
        assert arguments["unfurl_links"] is False
        assert arguments["unfurl_media"] is False
        message = self._new(arguments)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _chat_postEphemeral(self, arguments: Json) -> Json:  # noqa: N802 - Slack's name
        error = self._refusal(arguments["channel"], "") or self._drawable(arguments)
        if not error and arguments["user"] not in self.channels[arguments["channel"]].members:
            error = "user_not_in_channel"
        if error:
            return {"ok": False, "error": error}
        message = self._new(arguments, only_for=arguments["user"])
        return {"ok": True, "message_ts": message.ts}

    def _files_getUploadURLExternal(self, arguments: Json) -> Json:  # noqa: N802 - Slack's name
        key = f"F{next(self._numbers)}"
        self.files[key] = SharedFile(arguments["filename"], int(arguments["length"]))
        url = self.upload_url or f"http://127.0.0.1:{self._port}/upload/{key}"
        return {"ok": True, "upload_url": url, "file_id": key}

    async def _upload(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        file = self.files[request.match_info["file"]]
        file.content = await request.read()
        return web.Response(status=200 if len(file.content) == file.length else 400)

    def _files_completeUploadExternal(self, arguments: Json) -> Json:  # noqa: N802 - Slack's name
        for each in arguments["files"]:
            self.files[each["id"]].channel = arguments["channel_id"]
        return {"ok": True, "files": arguments["files"]}

    def _find(self, arguments: Json) -> Message | None:
        for message in self.messages:
            at = (message.channel, message.ts)
            if at == (arguments["channel"], arguments["ts"]) and not message.only_for and not message.deleted:
                return message
        return None

    def _chat_update(self, arguments: Json) -> Json:
        message = self._find(arguments)
        error = "message_not_found" if message is None else self._drawable(arguments)
        if error or message is None:
            return {"ok": False, "error": error}
        self._change(message, arguments)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _chat_delete(self, arguments: Json) -> Json:
        message = self._find(arguments)
        if message is None:
            return {"ok": False, "error": "message_not_found"}
        message.deleted = True
        return {"ok": True}

    def _users_info(self, arguments: Json) -> Json:
        user = self.users.get(arguments["user"])
        return {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}

    def _usergroups_list(self, _: Json) -> Json:
        return {"ok": True, "usergroups": self.groups}

    def _conversations_open(self, arguments: Json) -> Json:
        if arguments["users"] not in self.users:
            return {"ok": False, "error": "user_not_found"}
        return {"ok": True, "channel": {"id": self.direct(arguments["users"]).id}}

    def _conversations_info(self, arguments: Json) -> Json:
        found = self.channels.get(arguments["channel"])
        if found is None:
            return {"ok": False, "error": "channel_not_found"}
        return {"ok": True, "channel": {"id": found.id, "name": found.name, "is_ext_shared": found.shared}}

    def _conversations_members(self, arguments: Json) -> Json:
        found = self.channels.get(arguments["channel"])
        if found is None:
            return {"ok": False, "error": "channel_not_found"}
        return {"ok": True, "members": sorted(found.members)[: int(arguments["limit"])]}

    # --- response_url ---

    def response_url(self, user: str, channel: str, source: Message | None) -> str:
        key = f"{next(self._numbers)}"
        self._urls[key] = ResponseUrl(user, channel, self.clock.monotonic(), source)
        return f"http://127.0.0.1:{self._port}/response/{key}"

    async def _respond(self, request: web.Request) -> web.Response:
        url = self._urls[request.match_info["key"]]
        arguments = await request.json()
        self.calls.append(CallMade("response_url", arguments, "", self.clock.monotonic()))
        waiting = self.faults.get("response_url")
        if waiting:
            fault = waiting.popleft()
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return web.Response(
                status=429 if fault.retry_after else fault.status, text=fault.error, headers=headers
            )
        url.uses += 1
        if url.uses > 5 or self.clock.monotonic() - url.made_at > timedelta(minutes=30).total_seconds():
            self.refused_urls.append(request.path)
            return web.Response(status=404, text="used_url" if url.uses > 5 else "expired_url")
        if arguments.get("delete_original"):
            if url.source is not None:
                url.source.deleted = True
            return web.Response(text="ok")
        if self._drawable(arguments):
            return web.Response(status=400, text="invalid_blocks")
        if arguments.get("replace_original") and url.source is not None and not url.source.deleted:
            self._change(url.source, arguments)
            return web.Response(text="ok")
        assert arguments["response_type"] == "ephemeral", "nothing is shown to everybody this way"
        self._new(arguments | {"channel": url.channel, "thread_ts": ""}, only_for=url.user)
        return web.Response(text="ok")

    # --- people ---

    def _trigger(self) -> str:
        key = f"trigger.{next(self._numbers)}"
        self._triggers[key] = self.clock.monotonic()
        return key

    def command_payload(self, user: str, channel: str, text: str, **more: Any) -> Json:
        there = self.channels[channel]
        return {
            "command": "/celonis",
            "text": text,
            "user_id": user,
            "user_name": self.users[user]["name"],
            "team_id": TEAM,
            "channel_id": channel,
            "channel_name": "directmessage" if channel.startswith("D") else there.name or "privategroup",
            "trigger_id": self._trigger(),
            "response_url": self.response_url(user, channel, None),
            "api_app_id": "A1",
        } | more

    def mention_payload(self, user: str, channel: str, text: str, **more: Any) -> Json:
        return self._event(
            {"type": "app_mention", "user": user, "team": TEAM, "channel": channel, "text": text} | more
        )

    def direct_payload(self, user: str, text: str, **more: Any) -> Json:
        return self._event(
            {
                "type": "message",
                "user": user,
                "team": TEAM,
                "channel": self.direct(user).id,
                "channel_type": "im",
                "text": text,
            }
            | more
        )

    def _event(self, event: Json) -> Json:
        number = next(self._numbers)
        if event.get("thread_ts"):
            self._replied.add((event["channel"], event["thread_ts"]))
        return {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A1",
            "event_id": f"Ev{number}",
            "event": {"ts": f"{1_700_000_000 + number}.000200"} | event,
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
        }

    def press_payload(self, user: str, message: Message, label: str, typed: str = "", **more: Any) -> Json:
        """A click on the button, or a choice of the menu's entry, that is called so on a message; with what stands in
        its text field.
        """
        private = {"is_ephemeral": True} if message.only_for else {"is_ephemeral": False}
        shown = {} if message.only_for else {"message": {"ts": message.ts, "text": message.text}}
        return (
            {
                "type": "block_actions",
                "user": {"id": user, "username": self.users[user]["name"], "team_id": TEAM},
                "team": {"id": TEAM, "domain": "tests"},
                "channel": {"id": message.channel, "name": self.channels[message.channel].name},
                "container": {
                    "type": "message",
                    "message_ts": message.ts,
                    "channel_id": message.channel,
                    **private,
                    **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
                },
                "trigger_id": self._trigger(),
                "response_url": self.response_url(user, message.channel, message),
                "actions": [_action(message, label)],
                "state": {"values": _state(message, typed)},
            }
            | shown
            | more
        )

    # --- delivering ---

    async def command(self, user: str, channel: str, text: str) -> int:
        return await self.deliver(self.command_payload(user, channel, text))

    async def mention(self, user: str, channel: str, text: str, **more: Any) -> int:
        return await self.deliver(self.mention_payload(user, channel, f"<@{BOT_USER}> {text}", **more))

    async def tell(self, user: str, text: str) -> int:
        return await self.deliver(self.direct_payload(user, text))

    async def press(
        self, user: str, message: Message, label: str, *, typed: str = "", target: str = ""
    ) -> int:
        return await self.deliver(self.press_payload(user, message, label, typed), target=target)

    async def deliver(self, payload: Json, *, target: str = "") -> int:
        """Hands a payload to the bot and gives its HTTP status; over a socket 200 is an acknowledgement."""
        if self.socket_mode:
            await self.envelope(payload)
            return 200
        status, _ = await self.post(*encoded(payload), target=target)
        return status

    async def post(
        self,
        body: bytes,
        content_type: str,
        *,
        headers: Mapping[str, str] | None = None,
        target: str = "",
    ) -> tuple[int, str]:
        """A signed request, or one with these headers in place of the signature."""
        assert self._client is not None
        if headers is None:
            headers = signed(body, self.clock)
        async with self._client.post(
            target or self.target, data=io.BytesIO(body), headers={"Content-Type": content_type, **headers}
        ) as answer:
            return answer.status, await answer.text()

    # --- Socket Mode ---

    def _apps_connections_open(self, _: Json) -> Json:
        return {"ok": True, "url": f"ws://127.0.0.1:{self._port}/link"}

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._connected.set()
        for envelope in list(self._unacknowledged.values()):
            await socket.send_json(envelope)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                said = json.loads(message.data)
                self.acknowledged.append(said)
                self._unacknowledged.pop(said["envelope_id"], None)
                waiting = self._acks.pop(said["envelope_id"], None)
                if waiting is not None:
                    waiting.set_result(said)
        if socket in self._sockets:
            self._sockets.remove(socket)
        if not self._sockets:
            self._connected.clear()
        return socket

    @property
    def sockets(self) -> int:
        return len(self._sockets)

    async def connected(self) -> None:
        await asyncio.wait_for(self._connected.wait(), 25)

    async def drop(self) -> None:
        """Cuts every socket off without a word."""
        for socket in list(self._sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
            self._sockets.remove(socket)
        self._connected.clear()

    async def envelope(self, payload: Json) -> Json:
        """Sends a delivery over a socket and waits for its acknowledgement, over whichever socket it comes."""
        kind = (
            "slash_commands"
            if "command" in payload
            else "events_api"
            if payload["type"] == "event_callback"
            else "interactive"
        )
        key = f"envelope-{next(self._numbers)}"
        envelope = {"envelope_id": key, "type": kind, "payload": payload, "accepts_response_payload": True}
        self._unacknowledged[key] = envelope
        self._acks[key] = asyncio.get_running_loop().create_future()
        ack = self._acks[key]
        if self._sockets:
            await self._sockets[-1].send_json(envelope)
        return await asyncio.wait_for(ack, 20)


def _action(message: Message, label: str) -> Json:
    for block in message.blocks:
        if block["type"] != "actions":
            continue
        for element in block["elements"]:
            if element["type"] == "button" and element["text"]["text"] == label:
                return {key: value for key, value in element.items() if key != "style"}
            for option in element.get("options", ()):
                if option["text"]["text"] == label:
                    return {
                        "type": element["type"],
                        "action_id": element["action_id"],
                        "selected_option": option,
                    }
    raise AssertionError(f"nothing called {label!r} to press in:\n{message.shown}")


def _state(message: Message, typed: str) -> Json:
    """What stands in a message's text fields; the client does not tell the block ids of others."""
    fields = (each for each in message.blocks if each["type"] == "input")
    return {
        each["block_id"]: {each["element"]["action_id"]: {"type": "plain_text_input", "value": typed or None}}
        for each in fields
    }


def encoded(payload: Json) -> tuple[bytes, str]:
    """A payload as Slack sends it over HTTP."""
    if "command" in payload:
        return urlencode(payload).encode(), "application/x-www-form-urlencoded"
    if payload.get("type") in ("event_callback", "url_verification"):
        return json.dumps(payload).encode(), "application/json"
    return urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"


def signed(body: bytes, clock: Clock, *, secret: str = SECRET, off: float = 0.0) -> dict[str, str]:
    """The headers of a request that Slack makes now."""
    timestamp = str(int(clock.now().timestamp() + off))
    mac = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256)
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={mac.hexdigest()}"}


async def until(holds: Callable[[], object], seconds: float = 25.0) -> None:
    """Waits for something that is about to happen."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in another program's time
            await asyncio.sleep(0.01)
