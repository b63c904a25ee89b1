"""`celonis-chat serve`: Slack and Teams, whichever is configured."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import click

from adapters.cli.program import until_done
from adapters.cli.settings import StandIn, loaded, over, over_a_sandbox, with_settings
from bot import config

_NOT_SERVED = ("rich.console", "rich.pretty", "httpx._main")
"""What structlog and httpx import for terminals where it is installed: sixty modules, and 5 MB, that a server never uses."""


@click.command()
@click.option("--host", default=None, help="Address to listen on; else that of the settings, 127.0.0.1.")
@click.option(
    "--port", type=int, default=None, help="Port for Slack and Teams; else that of the settings, 3978."
)
@click.option(
    "--admin-port",
    type=int,
    default=None,
    help="Port for readiness and metrics; else that of the settings, 3979.",
)
@over_a_sandbox
@click.option(
    "--log",
    type=click.Choice(["json", "console"]),
    default="json",
    show_default=True,
    help="How log lines look.",
)
@with_settings
@until_done
async def serve(
    host: str | None,
    port: int | None,
    admin_port: int | None,
    sandbox: StandIn | None,
    log: str,
    toml: Path | None,
) -> None:
    """Serve Slack and Teams, whichever is configured, until SIGTERM."""
    with _imported_for_serving():
        from adapters import server
        from adapters.logs import configure

    configure(as_json=log == "json")
    told = {"host": host, "port": port, "admin_port": admin_port}
    told = {name: value for name, value in told.items() if value is not None}
    settings = loaded(toml, need=config.Need.SERVING, connections=sandbox is None)
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=told)})
    async with AsyncExitStack() as stack:
        if sandbox is not None:
            settings = await stack.enter_async_context(over(settings, sandbox))
        await server.serve(
            settings,
            ready=lambda running: click.echo(
                f"Listening: {running.address} (readiness and metrics: {running.admin})", err=True
            ),
        )


@contextmanager
def _imported_for_serving() -> Iterator[None]:
    """Imports without what is for terminals, and without looking for garbage, of which imports make none."""
    left_out = [name for name in _NOT_SERVED if name not in sys.modules]
    for name in left_out:
        sys.modules[name] = None  # type: ignore[assignment] # says that there is none
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        for name in left_out:
            del sys.modules[name]
