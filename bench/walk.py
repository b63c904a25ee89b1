"""One cached `kpi` by slash command: each function of ours that it passes, in order, and all calls it takes.

    python -m bench.walk [--text "kpi …"] [--json]

The server is what `celonis-chat serve` runs, with its log and its audit rows, in this program's main thread; whoever asks, and
Slack, are in another thread, and the sandbox is another program. The sentence is asked a few times first. What is counted is
everything between the arrival of the request and the answer at Slack: Python functions and built-in ones, as cProfile
counts them, and each resumption of a coroutine as one more.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import aiohttp

from bench.adapters import QUESTION, Json, Platforms, program, settings_for, slack_name, slack_sender

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
WARM = 5
QUIET = 0.3
"""Seconds in which what the requests before have left behind comes to its end."""


class Walk:
    """What was called while it was on; as a hook of `sys.setprofile`."""

    def __init__(self) -> None:
        self.calls = 0
        self.ours: Counter[str] = Counter()
        """In the order of their first calls."""

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event not in ("call", "c_call"):
            return
        self.calls += 1
        file = frame.f_code.co_filename
        if event == "call" and file.startswith((f"{ROOT}/bot", f"{ROOT}/adapters")):
            self.ours[f"{file.removeprefix(f'{ROOT}/')}: {frame.f_code.co_qualname}"] += 1


async def ask(platforms: Platforms, address: str, text: str, server: asyncio.AbstractEventLoop) -> Walk:
    """Asks, from a thread of its own: what is counted is the server's alone."""
    walk = Walk()
    async with aiohttp.ClientSession() as session:
        send = slack_sender(platforms, session, address, text)

        async def once(number: int) -> None:
            answered = platforms.waiting[slack_name(1)] = asyncio.get_running_loop().create_future()
            await send(1, number)
            await asyncio.wait_for(answered, 30)

        for number in range(WARM):
            await once(number)
        await asyncio.sleep(QUIET)
        server.call_soon_threadsafe(sys.setprofile, walk)
        await once(WARM)
        server.call_soon_threadsafe(sys.setprofile, None)
    return walk


@contextmanager
def elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def run(text: str) -> Walk:
    from adapters.logs import configure
    from adapters.server import running

    platforms = Platforms()
    with tempfile.TemporaryDirectory() as folder, elsewhere() as loop:
        configure(as_json=True, stream=io.StringIO())

        async def there(work: Coroutine[Any, Any, T]) -> T:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

        runner = await there(platforms.open())
        async with program("sandbox") as sandbox:
            options = {"url": platforms.url, "sandbox": sandbox.url, "key": sandbox.said["key"]}
            settings = settings_for(options | {"platforms": "slack"}, folder)
            async with running(settings) as server:
                walk = await there(ask(platforms, server.address, text, asyncio.get_running_loop()))
        await there(runner.cleanup())
    return walk


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text", default=QUESTION)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    walk = asyncio.run(run(given.text))
    modules = {each.partition(":")[0] for each in walk.ours}
    result: Json = {"calls": walk.calls, "functions": len(walk.ours), "modules": len(modules)}
    if given.json:
        print(json.dumps(result | {"walk": list(walk.ours.items())}, indent=1))
        return
    with suppress(BrokenPipeError):
        for name, times in walk.ours.items():
            print(f"{times:5}  {name}")
        print(
            f"\n{walk.calls} calls in all (<= 900), {len(walk.ours)} functions of ours (<= 120) in {len(modules)} modules"
        )


if __name__ == "__main__":
    main()
