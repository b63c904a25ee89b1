"""`celonis-chat sandbox`: a made-up Celonis team on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.cli.program import run
from adapters.cli.settings import sandbox_of, with_data


@click.command()
@click.option("--port", default=8089, show_default=True, help="Port on 127.0.0.1; 0 takes any free one.")
@with_data
def sandbox(port: int, data: Path | None) -> None:
    """A made-up Celonis team on this machine: prints address and keys, and serves until interrupted."""
    from bot.sandbox import server

    run(server.run(sandbox_of(data, port).options))
