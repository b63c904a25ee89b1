"""`celonis-chat audit`: the log of what was decided."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.cli.program import run
from adapters.cli.settings import loaded, with_settings
from bot import config
from bot.model.errors import ConfigError

if TYPE_CHECKING:
    from bot.audit import Audit
    from bot.audit_entries import Entry
    from bot.store import Store

EXIT_BROKEN = 3
"""Of `audit verify`: the log is not what was written."""


@click.group()
def audit() -> None:
    """The log of what was decided."""


@audit.command()
@click.option(
    "--head",
    default="",
    help="A head from an earlier check or the bot's log stream, N:digest: the log must still hold that row.",
)
@with_settings
def verify(head: str, toml: Path | None) -> None:
    """Check that no row was changed, removed, added or moved.

    Exit code 0: the log is whole. 3: it is broken. 1: it could not be checked. Only with --head can it show that the
    whole log was put back to an earlier state.
    """
    sys.exit(run(_verify(head, toml)))


async def _verify(head: str, toml: Path | None) -> int:
    from bot.audit import Broken

    async with opened_audit(toml) as (log, _):
        result = await log.verify(head)
    if isinstance(result, Broken):
        click.echo(f"The log is broken at row {result.at}: {result.why}")
        return EXIT_BROKEN
    rows = f"rows {result.first} to {result.count}" if result.count else "no rows"
    nameless = f", {result.nameless} of them without the name" if result.nameless else ""
    click.echo(f"The log is whole: {rows}{nameless}. Head: {result.head}")
    if not head:
        click.echo(
            "Not checked: whether the whole log was put back to an earlier state. "
            "Give --head with a head from an earlier check or from the bot's log stream."
        )
    return 0


@audit.command()
@with_settings
def export(toml: Path | None) -> None:
    """Print the log, one JSON object a line, oldest first."""
    run(_export(toml))


async def _export(toml: Path | None) -> None:
    async with opened_audit(toml) as (log, _):
        async for line in log.export():
            click.echo(line)


@audit.command()
@with_settings
def prune(toml: Path | None) -> None:
    """Delete the rows older than [audit] keep_days, under a checkpoint; a bot that serves does so once a day."""
    run(_prune(toml))


async def _prune(toml: Path | None) -> None:
    keep_days = loaded(toml, need=config.Need.NOTHING, connections=False).audit.keep_days
    if not keep_days:
        raise ConfigError(["[audit] keep_days is not set, so every row is kept."])
    async with opened_audit(toml) as (log, _):
        gone = await log.prune(keep_days)
    click.echo(f"{gone} rows older than {keep_days} days were deleted." if gone else "No row is that old.")


@audit.command()
@click.argument("person")
@with_settings
def forget(person: str, toml: Path | None) -> None:
    """Take the name of PERSON, such as slack:T1:U1, off all rows; the log stays checkable."""
    run(_forget(person, toml))


async def _forget(person: str, toml: Path | None) -> None:
    async with opened_audit(toml) as (log, _):
        rows = await log.forget(person, by_hand("audit forget …"))
    click.echo(f"The name was taken off {rows} rows.")


def by_hand(sentence: str) -> Entry:
    """The row of what somebody changed on the command line."""
    from adapters.terminal.chat import local_person
    from bot.audit_entries import Entry

    person = local_person()
    return Entry(
        request=secrets.token_hex(4),
        person=person.key,
        place=f"local:{person.home}:command line",
        decision="changed",
        right="admin",
        sentence=sentence,
    )


@asynccontextmanager
async def opened_audit(toml: Path | None) -> AsyncIterator[tuple[Audit, Store]]:
    """The log and the database that it is in, as the settings name them."""
    from bot.audit import Audit
    from bot.model.clock import SystemClock
    from bot.store import Store

    settings = loaded(toml, need=config.Need.NOTHING, connections=False)
    if not settings.secret_keys:
        raise ConfigError(["CELONIS_CHAT_SECRET_KEY is not set; without it the log cannot be checked."])
    clock = SystemClock()
    async with await Store.open(settings.database_url.reveal(), clock, as_it_is=True) as store:
        yield Audit(store, [key.reveal().encode() for key in settings.secret_keys], clock), store
