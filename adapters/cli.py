"""`celonis-chat`: one program for the demo, single questions, the sandbox and the log."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from bot import config
from bot.cards import Card, Confirm, Status
from bot.errors import BotError, ConfigError

T = TypeVar("T")

EXIT = {
    Status.ANSWERED: 0,
    Status.WORKING: 1,
    Status.REFUSED: 1,
    Status.FAILED: 1,
    Status.NOT_UNDERSTOOD: 2,
    Status.QUESTION: 3,
}
FORMATS = ("text", "json", "slack", "teams")
EMBEDDED = "embedded"
SETTINGS_FILE = "celonis-chat.toml"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celonis-chat")
def main() -> None:
    """Celonis process intelligence in chat: KPIs, records and data jobs by their names."""


@main.command()
@click.option(
    "--zone", default="", help="Time zone for dates and times, such as Europe/Berlin; else the machine's."
)
def demo(zone: str) -> None:
    """Chat in the terminal with a made-up Celonis team; needs no account and asks nobody outside this machine."""
    _run(_demo(zone))


async def _demo(zone: str) -> None:
    from rich.console import Console

    from adapters.serve import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, converse
    from bot.clock import SystemClock
    from bot.sandbox import Sandbox
    from bot.store import Store

    console = Console(highlight=False, soft_wrap=False)
    clock = SystemClock()
    async with Sandbox() as sandbox, await Store.temporary(clock) as store:
        settings = config.Settings.for_demo(
            sandbox.url,
            sandbox.keys.operator.secret,
            zone=zone or machine_zone(),
            secret_key=secrets.token_hex(32),
        )
        chats = {PLATFORM: TerminalChat(console)}
        async with build(settings, chats=chats, store=store, clock=clock) as built:
            await converse(
                built.bot,
                console,
                now=clock.now,
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


@main.command()
@click.argument("sentence", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--confirm", "ticket", default="", help="Answer the question with this ticket with yes.")
@click.option(
    "--sandbox",
    is_flag=False,
    flag_value=EMBEDDED,
    default=None,
    metavar="[URL]",
    help="Ask a sandbox: an embedded one, or the one at this address (celonis-chat sandbox).",
)
@click.option(
    "--sandbox-key", default="operator", show_default=True, help="Which of the sandbox's keys to use."
)
@click.option(
    "--settings", "toml", type=click.Path(path_type=Path), default=None, help=f"Else {SETTINGS_FILE}."
)
def ask(
    sentence: str | None, form: str, ticket: str, sandbox: str | None, sandbox_key: str, toml: Path | None
) -> None:
    """Ask one thing, and print the answer.

    Exit code: 0 answered, 1 refused or failed, 2 not understood, 3 a question with a ticket.
    """
    if bool(sentence) == bool(ticket):
        raise click.UsageError("Give either a sentence, or --confirm with the ticket of a question.")
    sys.exit(_run(_ask(sentence or "", form, ticket, sandbox, sandbox_key, toml)))


async def _ask(
    sentence: str, form: str, ticket: str, sandbox: str | None, sandbox_key: str, toml: Path | None
) -> int:
    from rich.console import Console

    from adapters.serve import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, local_person, local_place
    from bot.chat import Clicked, Request, Said
    from bot.clock import SystemClock

    clock = SystemClock()
    async with _settings(sandbox, sandbox_key, toml) as (settings, store):
        chats = {PLATFORM: TerminalChat(Console(stderr=True))}
        async with build(settings, chats=chats, store=store, clock=clock, guest=True) as built:
            request = Request(
                id=secrets.token_hex(4),
                said=Clicked(confirm=ticket) if ticket else Said(sentence),
                person=local_person(),
                place=local_place(),
                at=clock.now(),
            )
            card: Card | None = None
            async for following in built.bot.answer(request):
                if following.status is Status.WORKING:
                    click.echo(f"… {following.headline}", err=True)
                    continue
                card = following
            if card is None:
                return 1
            click.echo(rendered(card, form))
            for button in card.buttons:
                if isinstance(button.action, Confirm) and form == "text":
                    click.echo(f"\nTo say yes: celonis-chat ask --confirm {button.action.ticket}", err=True)
            return EXIT[card.status]


def rendered(card: Card, form: str) -> str:
    """A card in one of the formats.

    Args:
        card: The answer.
        form: One of `FORMATS`.
    """
    match form:
        case "json":
            from bot.wire import dumps

            text: str = dumps(card)
            return text
        case "slack":
            from adapters.slack.blocks import render

            message = render(card)
            return json.dumps({"text": message.text, "blocks": message.blocks}, ensure_ascii=False, indent=2)
        case "teams":
            from adapters.teams.adaptive import render as render_adaptive

            return json.dumps(render_adaptive(card), ensure_ascii=False, indent=2)
        case _:
            from adapters.terminal.text import render_text

            return render_text(card)


@asynccontextmanager
async def _settings(
    sandbox: str | None, sandbox_key: str, toml: Path | None
) -> AsyncIterator[tuple[config.Settings, Any]]:
    """The settings for one question, and a store where it must not be the configured one."""
    from bot.clock import SystemClock
    from bot.sandbox import Sandbox
    from bot.store import Store

    file = _settings_file(toml)
    if sandbox is None:
        settings = config.load(os.environ, file)  # noqa: TID251 - the one place that hands the environment over
        yield (settings if settings.zone else _with_zone(settings)), None
        return
    if sandbox != EMBEDDED:
        settings = config.load(os.environ, file, need=config.Need.NOTHING)  # noqa: TID251 - as above
        yield _with_zone(settings).over_sandbox(sandbox, _sandbox_key(sandbox_key, Sandbox().keys)), None
        return
    async with Sandbox() as here, await Store.temporary(SystemClock()) as store:
        yield (
            config.Settings.for_demo(
                here.url,
                _sandbox_key(sandbox_key, here.keys),
                zone=machine_zone(),
                secret_key=secrets.token_hex(32),
            ),
            store,
        )


def _settings_file(told: Path | None) -> Path | None:
    return told or (Path(SETTINGS_FILE) if Path(SETTINGS_FILE).exists() else None)


def _with_zone(settings: config.Settings) -> config.Settings:
    from dataclasses import replace

    return settings if settings.zone else replace(settings, zone=machine_zone())


def _sandbox_key(name: str, keys: Any) -> str:
    found = {each.name: each.secret for each in keys if each.kind != "oauth"}
    if name not in found:
        raise ConfigError([f"The sandbox has no key called {name}; it has {', '.join(found)}."])
    secret: str = found[name]
    return secret


def machine_zone() -> str:
    """The IANA name of this machine's time zone; UTC where the machine does not tell one."""
    candidates = [os.environ.get("TZ", "")]  # noqa: TID251 - the machine's own setting, not one of ours
    link = Path("/etc/localtime")
    if link.is_symlink():
        candidates.append(str(link.resolve()).partition("zoneinfo/")[2])
    timezone = Path("/etc/timezone")
    if timezone.is_file():
        candidates.append(timezone.read_text(encoding="utf-8").strip())
    for name in candidates:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            continue
        if name:
            return name
    return "UTC"


@main.command()
@click.option("--port", default=8089, show_default=True, help="Port on 127.0.0.1; 0 takes any free one.")
def sandbox(port: int) -> None:
    """A made-up Celonis team on this machine: prints address and keys, and serves until interrupted."""
    from bot.sandbox import SandboxOptions
    from bot.sandbox.server import run

    _run(run(SandboxOptions(port=port)))


@main.group()
def audit() -> None:
    """The log of what was decided."""


@audit.command()
@click.option("--head", default="", help="A head printed earlier: what it vouched for must still be there.")
@click.option(
    "--settings", "toml", type=click.Path(path_type=Path), default=None, help=f"Else {SETTINGS_FILE}."
)
def verify(head: str, toml: Path | None) -> None:
    """Check that no row was changed, removed, added or moved. Exit code 1 where one was."""
    sys.exit(_run(_verify(head, toml)))


async def _verify(head: str, toml: Path | None) -> int:
    from bot.audit import Broken

    async with _opened_audit(toml) as log:
        result = await log.verify(head=head or None)
    if isinstance(result, Broken):
        click.echo(f"The log is broken at row {result.at}: {result.why}")
        return 1
    click.echo(f"{result.count} rows, unbroken. Head: {result.head}")
    return 0


@audit.command()
@click.option(
    "--settings", "toml", type=click.Path(path_type=Path), default=None, help=f"Else {SETTINGS_FILE}."
)
def export(toml: Path | None) -> None:
    """Print the log, one JSON object a line, oldest first."""
    _run(_export(toml))


async def _export(toml: Path | None) -> None:
    async with _opened_audit(toml) as log:
        async for line in log.export():
            click.echo(line)


@asynccontextmanager
async def _opened_audit(toml: Path | None) -> AsyncIterator[Any]:
    from bot.audit import Audit
    from bot.clock import SystemClock
    from bot.store import Store

    file = _settings_file(toml)
    settings = config.load(os.environ, file, need=config.Need.NOTHING)  # noqa: TID251 - the one place
    if settings.secret_key is None:
        raise ConfigError(["CELONIS_CHAT_SECRET_KEY is not set; without it the log cannot be checked."])
    clock = SystemClock()
    async with await Store.open(settings.database_url.reveal(), clock) as store:
        yield Audit(store, settings.secret_key.reveal().encode(), clock)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an expected error is a sentence on standard error and exit code 1, never a traceback."""
    try:
        return asyncio.run(work)
    except BotError as error:
        click.echo("\n".join(part for part in (error.sentence, error.undone, error.hint) if part), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
