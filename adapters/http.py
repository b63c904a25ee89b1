"""The HTTP server that faces the internet, and the body of a request, once for every platform.

aiohttp waits for headers as long as it keeps an idle connection, which is an hour, and takes as many connections as come.
Here whoever is slow is cut off, and where there is no room left, whoever has waited longest without a whole request makes
room for the newcomer; a request that is being answered never does. So the number of open sockets is bounded, and strangers
who hold theirs open keep nobody out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import structlog
from aiohttp import web

from bot.model.errors import ConfigError

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Routes: TypeAlias = Mapping[tuple[str, str], Handler]
"""What answers which method and path."""

MOST_OPEN = 1000
"""Connections at once; fewer where the process may not open that many files."""
MOST_OF_ONE_ADDRESS = 100
BODY_WITHIN = 5.0
"""Seconds; Slack gives up after 3, Teams after 10 to 15."""
_BACKLOG = 512
"""Connections that the machine holds until they are taken; who comes beyond that tries again a second later."""
_AT_ONCE = 16
_LINGER = 1.0
"""Seconds in which the rest of a refused body is read, so that the refusal arrives before the connection ends."""
_OUT_OF_FILES = "socket.accept() out of system resource"
_MAPPED, _NETWORK = 96, 64


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds.

    Attributes:
        first_byte: From the connection to the first byte of a request.
        headers: From there to the end of its headers, however many pieces they come in.
        body: From there to the end of its body.
        idle: Until the next request; longer than proxies keep a connection that they mean to use again.
    """

    first_byte: float = 10.0
    headers: float = 5.0
    body: float = BODY_WITHIN
    idle: float = 620.0


def most_open() -> int:
    """How many connections there may be: at most half of the files that this process may open."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN if files == resource.RLIM_INFINITY else min(MOST_OPEN, files // 2)


class HttpServer:
    """Routes on a port. They are few and have no variables, so a table does, and a failure of ours is told as such to
    nobody outside.

    Args:
        routes: What is answered; HEAD as GET.
        deadlines: When somebody counts as slow.
        most: Connections at once.
        most_of_one: Connections at once from one address; for IPv6 from one network of 64 bits.
        proxies: Addresses and networks that speak for many, and have no such bound.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        deadlines: Deadlines = Deadlines(),
        most: int = MOST_OPEN,
        most_of_one: int = MOST_OF_ONE_ADDRESS,
        proxies: Collection[str] = (),
    ) -> None:
        self._routes = routes
        self.deadlines = deadlines
        self._runner: web.ServerRunner | None = None
        self._most = most
        self._most_of_one = most_of_one
        self._proxies = tuple(ipaddress.ip_network(each, strict=False) for each in proxies)
        self._open: dict[_Connection, None] = {}
        self._from: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._listening: asyncio.Server | None = None
        self._short_of_files = False

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._listening is not None and self._listening.is_serving()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    async def start(self, host: str, port: int) -> str:
        """Listens.

        Returns:
            The address, `http://host:port`.

        Raises:
            ConfigError: Nothing can listen there.
        """
        self._runner = web.ServerRunner(
            web.Server(self._followed), handle_signals=False, shutdown_timeout=2.0
        )
        await self._runner.setup()
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._connection, host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigError([f"Nothing can listen on {host}:{port}: {error.strerror or error}."]) from error
        bound = self._listening.sockets[0].getsockname()[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{bound}"

    async def stop(self) -> None:
        """Takes no new connections; those that are open are served until the answers are given."""
        if self._listening is not None:
            self._listening.close()

    async def close(self) -> None:
        """Ends every connection."""
        await self.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def report(self) -> None:
        """Writes one line about everything that came to nothing since the last one; none where nothing did."""
        if self._counts:
            counts = {reason.replace(" ", "_"): count for reason, count in sorted(self._counts.items())}
            log.warning("connections came to nothing", open=self.open, **counts)
            self._counts.clear()

    def out_of_files(self) -> None:
        """A connection could not be taken, since the process may open no more files; a few who wait make room."""
        self._counts["out of files"] += 1
        if not self._short_of_files:
            self._short_of_files = True
            for _ in range(_AT_ONCE):
                self._make_room(lambda _: True)

    # --- what connections say of themselves ---

    def _connection(self) -> _Connection:
        manager = self._runner.server if self._runner is not None else None
        assert manager is not None, "connections come only while it runs"
        return _Connection(self, manager)

    def admit(self, connection: _Connection) -> bool:
        """Whether there is room for a connection, or somebody made room."""
        self._short_of_files = False
        address = connection.address
        crowded = self._from[address] >= self._most_of_one and not self._is_proxy(address)
        if crowded and not self._make_room(lambda other: other.address == address):
            self._counts["refused"] += 1
            return False
        if len(self._open) >= self._most and not self._make_room(lambda _: True):
            self._counts["refused"] += 1
            return False
        self._open[connection] = None
        self._from[address] += 1
        return True

    def leave(self, connection: _Connection) -> None:
        """A connection is gone."""
        if connection in self._open:
            del self._open[connection]
            self._from[connection.address] -= 1
            if not self._from[connection.address]:
                del self._from[connection.address]

    def came_to_nothing(self, reason: str) -> None:
        """Counts, for the next report."""
        self._counts[reason] += 1

    def _make_room(self, among: Callable[[_Connection], bool]) -> bool:
        # Under attack the first one is nearly always it, so this is no walk through all of them.
        longest = next(
            (each for each in self._open if not each.answered and each.waits and among(each)), None
        )
        if longest is None:
            longest = next((each for each in self._open if each.waits and among(each)), None)
        if longest is None:
            return False
        self.leave(longest)
        longest.cut_off("made room")
        return True

    def _is_proxy(self, address: str) -> bool:
        host = address.partition("/")[0]
        return any(ipaddress.ip_address(host) in network for network in self._proxies) if host else False

    async def _followed(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection), "this server makes no others"
        connection.begin(request)
        method, path = request.method, request.path
        handler = self._routes.get(("GET" if method == "HEAD" else method, path))
        try:
            response = await handler(request) if handler is not None else self._nothing_at(path)
        except Exception:
            log.exception("request failed", path=path)
            response = web.Response(status=503, text="unavailable", headers={"Retry-After": "5"})
        finally:
            connection.end()
        if response.status == HTTPStatus.REQUEST_TIMEOUT:
            self._counts["body late"] += 1
        response.headers["Server"] = _NAME
        return response

    def _nothing_at(self, path: str) -> web.Response:
        if allowed := [method for method, known in self._routes if known == path]:
            return web.Response(status=405, text="method not allowed", headers={"Allow": ", ".join(allowed)})
        return web.Response(status=404, text="not found")


class _Connection(web.RequestHandler):
    """aiohttp's side of a connection, which also knows how long it may wait for what."""

    __slots__ = ("_house", "_late", "_receiving", "_request", "_timer", "address", "answered")

    def __init__(self, house: HttpServer, manager: web.Server) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=house.deadlines.idle,
            lingering_time=_LINGER,
            # What is packed is refused unread, so nobody unpacks it.
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is what switches it off
        )
        self._house = house
        self._request: web.BaseRequest | None = None
        self._receiving = False
        self._late: tuple[float, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""
        self.answered = False

    @property
    def waits(self) -> bool:
        """Whether no whole request is here that wants an answer."""
        return self._request is None or not self._request.content.is_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address = _address(transport.get_extra_info("peername"))
        if not self._house.admit(self):
            assert isinstance(transport, asyncio.Transport)
            transport.abort()
            return
        super().connection_made(transport)
        self._wait("no request", self._house.deadlines.first_byte)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._house.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if data and self._request is None and not self._receiving:
            self._receiving = True
            self._wait("headers late", self._house.deadlines.headers)
        super().data_received(data)

    def begin(self, request: web.BaseRequest) -> None:
        """The headers of a request are here."""
        self._late = None
        self._request, self._receiving = request, False

    def end(self) -> None:
        """Its answer is made."""
        self._request, self.answered = None, True

    def cut_off(self, reason: str) -> None:
        """Ends the connection at once, whatever is on the way."""
        self._house.came_to_nothing(reason)
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP gets a status and no explanation, and no line of its own in the log."""
        self._late = None
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._house.came_to_nothing("no HTTP")
        else:
            log.error("request failed", path=request.path, exc_info=exc)
        response = web.Response(status=status, text=HTTPStatus(status).phrase)
        response.headers["Server"] = _NAME
        response.force_close()
        return response

    def _wait(self, reason: str, seconds: float) -> None:
        at = self._loop.time() + seconds
        self._late = at, reason
        if self._timer is None or self._timer.when() > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        """Whether it is too late. One timer does for many requests, each of which moves only the moment."""
        self._timer = None
        if self._late is not None:
            at, reason = self._late
            if self._loop.time() < at:
                self._timer = self._loop.call_at(at, self._look)
            else:
                self.cut_off(reason)


_NAME = "celonis-chat"


def _address(peer: object) -> str:
    """The address of a peer, or the network of 64 bits that one household of IPv6 has; empty where there is none."""
    try:
        found = ipaddress.ip_address(str(peer[0]).partition("%")[0] if isinstance(peer, tuple) else "")
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK), strict=False))


def quiet_accept(loop: asyncio.AbstractEventLoop, server: HttpServer) -> Callable[[], None]:
    """Has the event loop tell a server of connections that it could not take, instead of writing a traceback for each of
    them: the loop tries a hundred times in a row.

    Returns:
        Undoes it.
    """
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message"))
        if message == _OUT_OF_FILES:
            server.out_of_files()
        elif "._start_serving(" in message and not server.listening:
            pass  # the loop tries again a second later, once for each failure, even where nobody listens any more
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    return lambda: loop.set_exception_handler(before)


# --- bodies ----------------------------------------------------------------------------------------------------


class NotRead(Exception):
    """A body that is not taken.

    Attributes:
        status: The HTTP status to answer with.
        reason: Safe to log and to count.
        slow: Whether it simply did not come, which is no line of its own in the log: there may be hundreds.
    """

    def __init__(self, status: HTTPStatus, reason: str, *, slow: bool = False) -> None:
        super().__init__(reason)
        self.status = int(status)
        self.reason = reason
        self.slow = slow


async def read_body(request: web.BaseRequest, *, largest: int, within: float) -> bytes:
    """The body of a request; what its headers already rule out is not read.

    Args:
        request: Any.
        largest: Bytes.
        within: Seconds.

    Raises:
        NotRead: It is packed, too large, late, or broke off.
    """
    if request.headers.get("Content-Encoding", "identity").strip().casefold() != "identity":
        raise NotRead(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoded")
    if (request.content_length or 0) > largest:
        raise NotRead(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")
    content = request.content
    body = bytearray()
    try:
        if content.is_eof():  # nearly always, it came with the headers
            body += content.read_nowait()
        else:
            async with asyncio.timeout(within):
                async for chunk in content.iter_any():
                    body += chunk
                    if len(body) > largest:
                        break
    except TimeoutError:
        raise NotRead(HTTPStatus.REQUEST_TIMEOUT, "late", slow=True) from None
    except (ConnectionError, RuntimeError, web.RequestPayloadError):
        # aiohttp says with a RuntimeError that the connection was gone before anybody waited for the body.
        raise NotRead(HTTPStatus.BAD_REQUEST, "broken off", slow=True) from None
    if len(body) > largest:
        raise NotRead(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")
    return bytes(body)


def parse_json(text: str) -> Any:
    """JSON that can be written down again as UTF-8.

    Raises:
        ValueError, RecursionError: It is none, or holds half of a surrogate pair, which is no character.
    """
    parsed = json.loads(text)
    if "\\u" in text:
        json.dumps(parsed, ensure_ascii=False).encode()
    return parsed
