"""`celonis-chat demo`: a chat in the terminal over a sandbox."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from rich.console import Console

from adapters.cli.program import quiet, until_done
from adapters.cli.settings import machine_zone, sandbox_data_models, sandbox_of, with_data
from bot import config


@click.command()
@click.option(
    "--zone", default="", help="Time zone for dates and times, such as Europe/Berlin; else the machine's."
)
@with_data
@click.option("--verbose", is_flag=True, help="Show the log, too.")
@until_done
async def demo(zone: str, data: Path | None, verbose: bool) -> None:  # noqa: FBT001 - click hands it over by name
    """Chat in the terminal with a made-up Celonis team; needs no account and asks nobody outside this machine."""
    quiet(verbose=verbose)
    from adapters.server import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, converse
    from bot.model.clock import SystemClock
    from bot.store import Store

    console = Console(highlight=False, soft_wrap=False)
    clock = SystemClock()
    async with sandbox_of(data) as sandbox, await Store.temporary(clock) as store:
        settings = config.Settings.for_demo(
            sandbox.url,
            sandbox.keys.operator.secret,
            zone=zone or machine_zone(),
            secret_key=secrets.token_hex(32),
            data_models=sandbox_data_models(sandbox),
        )
        chats = {PLATFORM: TerminalChat(console)}
        async with build(settings, chats=chats, store=store, clock=clock) as built:
            await converse(
                built.bot,
                console,
                ids=lambda: secrets.token_hex(4),
                greeting=(
                    "celonis-chat, over a sandbox: nothing here is real, and nothing leaves this machine.\n"
                    f"Times are those of {settings.zone}. Try: help, models, kpis of Order to Cash, jobs, "
                    "stop main job. A number presses a button; exit ends."
                ),
            )
        asked = [entry for entry in sandbox.log if entry.method == "POST" and entry.path.endswith("/cancel")]
        console.print(
            f"\nThe sandbox was asked {len(sandbox.log)} times, and {len(asked)} time(s) to cancel a job.",
            style="dim",
        )
