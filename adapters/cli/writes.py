"""`celonis-chat writes on|off`: the switch for everything that changes Celonis."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.cli.audit import by_hand, opened_audit
from adapters.cli.program import run
from adapters.cli.settings import with_settings


@click.command()
@click.argument("to", type=click.Choice(["on", "off"]))
@with_settings
def writes(to: str, toml: Path | None) -> None:
    """Refuse everything that changes Celonis, on every running copy at once, or allow it again."""
    run(_switch(to, toml))


async def _switch(to: str, toml: Path | None) -> None:
    from adapters.terminal.chat import local_person
    from bot.store.switches import switch_writes, writes_off

    async with opened_audit(toml) as (log, store):
        person = local_person()
        off = await writes_off(store)
        if (to == "on") == (off is None):
            click.echo(f"Writes are {to} already.")
            return
        await log.write(by_hand(f"writes {to}"))
        await switch_writes(store, person, on=to == "on")
    click.echo(
        "Writes are on again."
        if to == "on"
        else "Writes are off: every copy of the bot refuses whatever would change Celonis, until writes on."
    )
