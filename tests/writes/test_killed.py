"""A real process, killed with its call under way: the one started after it looks what became of it, and sends nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from bot.sandbox import Sandbox, SandboxOptions, Switches
from tests.fake_slack import SECRET, TEAM, TOKEN, FakeSlack, until
from tests.server.towns import OPERATOR

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, os
from datetime import timedelta
from adapters import server
from adapters.logs import configure
from bot import config
from bot.writes import carry_out
from bot.writes.ticket import Tickets

Tickets.__init__.__kwdefaults__["lease"] = timedelta(seconds=3)
carry_out.KEEP_EVERY = server.RECOVER_EVERY = 1.0

async def main():
    settings = config.load(os.environ, None, need=config.Need.SERVING)
    settings = server.over_sandbox(settings, os.environ["SANDBOX"], os.environ["SANDBOX_KEY"])
    await server.serve(settings, ready=lambda running: print(running.address, flush=True))

configure(as_json=True)
asyncio.run(main())
"""


async def _started(environment: Mapping[str, str], folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    """A server, and where it listens."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    line = (await asyncio.wait_for(program.stdout.readline(), 60)).decode().strip()
    assert line, (await program.stderr.read()).decode()
    return program, line


async def test_a_killed_process_leaves_one_call_and_the_next_one_tells_the_end(tmp_path: Path) -> None:
    switches = Switches(cancel_delay=1.0, cancel_blocks=60.0)
    async with Sandbox(SandboxOptions(switches=switches)) as sandbox, FakeSlack() as slack:
        environment = {
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": slack.url,
            "CELONIS_CHAT_SECRET_KEY": secrets.token_hex(32),
            "CELONIS_URL": "https://made-up.eu-1.celonis.cloud",
            "CELONIS_API_TOKEN": "a-made-up-key",
            "CELONIS_CHAT_ZONE": "Europe/Berlin",
            "CELONIS_CHAT_SERVER__PORT": "0",
            "CELONIS_CHAT_SERVER__ADMIN_PORT": "0",
            "CELONIS_CHAT_BINDINGS": json.dumps([{"slack": TEAM, "connections": ["default"]}]),
            "CELONIS_CHAT_POLICY": json.dumps(
                [
                    {"who": {"slack": [f"{TEAM}:{OPERATOR}"]}, "may": ["cancel"]},
                    {"who": {"places": [f"slack:{TEAM}:C1"]}, "may": ["public"], "external": True},
                ]
            ),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'celonis-chat.db'}",
            "PYTHONPATH": str(PROJECT),
            "SANDBOX": sandbox.url,
            "SANDBOX_KEY": sandbox.keys.operator.secret,
        }
        first, address = await _started(environment, tmp_path)
        second = None
        try:
            slack.target = f"{address}/slack/events"
            await slack.mention(OPERATOR, "C1", "stop main job pls")
            await until(lambda: any("Stop this job" in each.shown for each in slack.messages), 20)
            question = next(each for each in slack.messages if "Stop this job" in each.shown)
            await slack.press(OPERATOR, question, "Stop this job")
            run = sandbox.pools.find("main job").last
            assert run is not None
            await until(lambda: run.cancel_at is not None, 20)
            first.kill()
            await first.wait()
            assert "STOPPED" not in question.shown
            second, _ = await _started(environment, tmp_path)
            await until(lambda: "STOPPED" in question.shown, 40)
        finally:
            for program in (first, second):
                if program is not None and program.returncode is None:
                    program.kill()
                    await program.wait()
        assert sum(each.path.endswith("/cancel") for each in sandbox.log) == 1
