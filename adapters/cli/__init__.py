"""`celonis-chat`: one program for the demo, single questions, the sandbox and the log.

Each command's module is imported when it is called for: what a server needs is no part of asking one question, and what a
terminal needs is no part of a server.
"""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = ("ask", "audit", "demo", "manifest", "sandbox", "serve", "writes")
"""Each in a module of its name."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celonis-chat")
def main() -> None:
    """Celonis process intelligence in chat: KPIs, records and data jobs by their names."""
