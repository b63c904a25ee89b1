"""`celonis-chat sandbox`: a made-up Celonis team on this machine."""

from __future__ import annotations

import click

from adapters.cli.program import run


@click.command()
@click.option("--port", default=8089, show_default=True, help="Port on 127.0.0.1; 0 takes any free one.")
def sandbox(port: int) -> None:
    """A made-up Celonis team on this machine: prints address and keys, and serves until interrupted."""
    from bot.sandbox import SandboxOptions, server

    run(server.run(SandboxOptions(port=port)))
