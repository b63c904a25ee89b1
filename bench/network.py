"""A network between client and server: every piece of data takes a random time, each way, in order."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress


class Network:
    """Forwards TCP connections to a server with a delay of its own for every piece of data.

    Args:
        port: Of the server, on this machine.
        delay: Seconds; each piece takes from zero to this, each way.
        seed: Of the delays.
    """

    def __init__(self, port: int, delay: float, seed: int) -> None:
        self._target = port
        self._delay = delay
        self._dice = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cuts every line."""
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.ensure_future(self._connect(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What was sent arrives, even when the sender is gone by then."""
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await line.get()
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not data:
                    break
                writer.write(data)
                with suppress(OSError):
                    await writer.drain()
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

        delivery = asyncio.ensure_future(deliver())
        latest = 0.0
        data = b"x"
        try:
            while data:
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                latest = max(latest, loop.time() + self._dice.random() * self._delay)
                line.put_nowait((latest, data))
            await delivery
        finally:
            delivery.cancel()
