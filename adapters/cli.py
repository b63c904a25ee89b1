"""`celonis-chat`: one program for the demo, single questions, the sandbox and the log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from bot import config
from bot.model.cards import Answer, Confirm, Status
from bot.model.clock import Clock
from bot.model.errors import BotError, ConfigError
from bot.visit import Show
from bot.writes.ticket import State

T = TypeVar("T")

EXIT = {
    Status.ANSWERED: 0,
    Status.WORKING: 1,
    Status.REFUSED: 1,
    Status.FAILED: 1,
    Status.NOT_UNDERSTOOD: 2,
    Status.QUESTION: 3,
}
EXIT_BROKEN = 3
"""Of `audit verify`: the log is not what was written."""
NOT_YET = 4
"""Exit code: a confirmed write was sent, and how it ended is not known yet."""
CONFIRMED_WITHIN = 120.0
"""Seconds after which `ask --confirm` waits no longer for the outcome of what was sent."""
LOOK_AGAIN = 5.0
"""Seconds between looks whether it was sent, once those are over."""
FORMATS = ("text", "json", "slack", "teams")
SETTINGS_FILE = "celonis-chat.toml"
SANDBOX_MODELS = {
    "Order to Cash": "order-to-cash.order-to-cash-km",
    "Accounts Payable": "accounts-payable.accounts-payable-km",
    "Procurement": "open-purchase-requisition.purchase-requisition-km",
}


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands in for Celonis.

    Attributes:
        url: Of a sandbox that runs; empty means an embedded one.
        forced: Whether it may even where real chat tokens are configured.
    """

    url: str
    forced: bool


with_settings = click.option(
    "--settings",
    "toml",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Settings file; else {SETTINGS_FILE} here, where there is one.",
)


def over_a_sandbox(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `sandbox: StandIn | None`, from the options that `ask` and `serve` have alike."""

    @click.option("--sandbox", "embedded", is_flag=True, help="An embedded sandbox stands in for Celonis.")
    @click.option(
        "--sandbox-url",
        "url",
        default="",
        metavar="URL",
        help="The sandbox at this address does (celonis-chat sandbox).",
    )
    @click.option("--force", is_flag=True, help="Use the sandbox even where real chat tokens are configured.")
    @wraps(command)
    def wrapped(*, embedded: bool, url: str, force: bool, **told: Any) -> None:
        if embedded and url:
            raise click.UsageError("Give either --sandbox or --sandbox-url.")
        if force and not embedded and not url:
            raise click.UsageError("--force is about --sandbox or --sandbox-url; give one of them.")
        command(sandbox=StandIn(url, forced=force) if embedded or url else None, **told)

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celonis-chat")
def main() -> None:
    """Celonis process intelligence in chat: KPIs, records and data jobs by their names."""


@main.command()
@click.option(
    "--zone", default="", help="Time zone for dates and times, such as Europe/Berlin; else the machine's."
)
@click.option("--verbose", is_flag=True, help="Show the log, too.")
def demo(zone: str, verbose: bool) -> None:  # noqa: FBT001 - click hands it over by name
    """Chat in the terminal with a made-up Celonis team; needs no account and asks nobody outside this machine."""
    _quiet(verbose=verbose)
    _run(_demo(zone))


async def _demo(zone: str) -> None:
    from rich.console import Console

    from adapters.server import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, converse
    from bot.model.clock import SystemClock
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
            data_models=sandbox_data_models(sandbox),
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
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How it is printed.",
)
@click.option("--confirm", "ticket", default="", help="Answer the question with this ticket with yes.")
@over_a_sandbox
@click.option(
    "--sandbox-key", default="operator", show_default=True, help="Which of the sandbox's keys to use."
)
@with_settings
@click.option("--verbose", is_flag=True, help="Show the log on standard error.")
def ask(
    sentence: str | None,
    form: str,
    ticket: str,
    sandbox: StandIn | None,
    sandbox_key: str,
    toml: Path | None,
    verbose: bool,  # noqa: FBT001 - click hands it over by name
) -> None:
    """Ask one thing, and print the answer.

    Exit code: 0 answered, 1 refused or failed, 2 not understood, 3 a question with a ticket, 4 sent with the
    outcome not known after two minutes.
    """
    if bool(sentence) == bool(ticket):
        raise click.UsageError("Give either a sentence, or --confirm with the ticket of a question.")
    _quiet(verbose=verbose)
    sys.exit(_run(_ask(sentence or "", form, ticket, sandbox, sandbox_key, toml)))


async def _ask(
    sentence: str, form: str, ticket: str, sandbox: StandIn | None, sandbox_key: str, toml: Path | None
) -> int:
    from rich.console import Console

    from adapters.server import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, local_person, local_place
    from bot.model.clock import SystemClock
    from bot.model.people import Clicked, Request, Said

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

            async def sent() -> bool:
                kept = await built.tickets.load(ticket) if ticket else None
                return kept is not None and kept.state is State.SENDING

            answer, known = await until_known(
                lambda show: built.bot.answer(request, show),
                clock,
                sent,
                lambda line: click.echo(f"… {line}", err=True),
            )
            if answer is None:
                return 1
            click.echo(await rendered(answer, form, built.store.keep_sentence))
            if not known:
                click.echo(
                    "\nIt was sent once, and how it ended is not known yet. To look again: "
                    f"celonis-chat ask --confirm {ticket}",
                    err=True,
                )
                return NOT_YET
            for button in answer.card.buttons:
                if isinstance(button.action, Confirm) and form == "text":
                    click.echo(f"\n{_how_to_say_yes(button.action.ticket, sandbox)}", err=True)
            return EXIT[answer.card.status]


def _how_to_say_yes(ticket: str, sandbox: StandIn | None) -> str:
    if sandbox is None:
        return f"To say yes: celonis-chat ask --confirm {ticket}"
    if sandbox.url:
        return f"To say yes: celonis-chat ask --sandbox-url {sandbox.url} --confirm {ticket}"
    return (
        "This sandbox ends here, and the question with it. To answer one, run celonis-chat sandbox and ask with "
        "--sandbox-url, or use celonis-chat demo."
    )


async def until_known(
    answering: Callable[[Show], Awaitable[None]],
    clock: Clock,
    sent: Callable[[], Awaitable[bool]],
    tell: Callable[[str], None],
) -> tuple[Answer | None, bool]:
    """The last answer to a request, and whether it is the end.

    Args:
        answering: Answers; cancelled where it is not waited for any longer.
        clock: Decides when two minutes are over.
        sent: Whether a confirmed write has been sent and its outcome is open; only that is not waited for any longer.
        tell: Is told where it stands, meanwhile.
    """
    last: Answer | None = None

    async def show(answer: Answer) -> None:
        nonlocal last
        last = answer
        if answer.working:
            tell(answer.card.headline)

    until = clock.monotonic() + CONFIRMED_WITHIN
    work = asyncio.ensure_future(answering(show))
    try:
        while not work.done():
            pause = asyncio.ensure_future(clock.sleep(until - clock.monotonic()))
            await asyncio.wait({pause, work}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            if not work.done() and await sent():
                return last, False
            until = max(until, clock.monotonic() + LOOK_AGAIN)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    work.result()
    return last, last is None or not last.working


async def rendered(answer: Answer, form: str, keep: Callable[[str], Awaitable[str]]) -> str:
    """An answer in one of the formats.

    Args:
        answer: What to show.
        form: One of `FORMATS`.
        keep: See `adapters.outgoing.drawn`.
    """
    match form:
        case "json":
            from bot.render.card_json import dumps

            text: str = dumps(answer)
            return text
        case "slack":
            from adapters.outgoing import drawn
            from adapters.slack.blocks import render

            message = await drawn(answer, render, keep)
            return json.dumps({"text": message.text, "blocks": message.blocks}, indent=2)
        case "teams":
            from adapters.outgoing import drawn
            from adapters.teams import adaptive

            card = await drawn(answer, adaptive.render, keep)
            return json.dumps(card, indent=2)
        case _:
            from adapters.terminal.text import render_text

            return render_text(answer.card, answer.reader)


@asynccontextmanager
async def _settings(
    sandbox: StandIn | None, sandbox_key: str, toml: Path | None
) -> AsyncIterator[tuple[config.Settings, Any]]:
    """The settings for one question, and a store where it must not be the configured one."""
    from bot.model.clock import SystemClock
    from bot.store import Store

    need = config.Need.CONNECTION if sandbox is None else config.Need.NOTHING
    settings = _with_zone(_loaded(toml, need=need, connections=sandbox is None))
    async with AsyncExitStack() as stack:
        store = None
        if sandbox is not None:
            settings = await stack.enter_async_context(_over(settings, sandbox, sandbox_key))
            if not sandbox.url:
                settings = _sealed_for_now(settings)
                store = await stack.enter_async_context(await Store.temporary(SystemClock()))
        for remark in settings.remarks:
            click.echo(remark, err=True)
        yield settings, store


def _sealed_for_now(settings: config.Settings) -> config.Settings:
    """With a key of the moment where there is none: what an embedded sandbox leaves behind ends with the program."""
    if settings.secret_keys:
        return settings
    return settings.model_copy(
        update={"secret_keys": (config.Secret(secrets.token_hex(32), name="of this run"),)}
    )


def _loaded(toml: Path | None, *, need: config.Need, connections: bool = True) -> config.Settings:
    """The settings of the environment and of the file, if there is one."""
    file = toml or (Path(SETTINGS_FILE) if Path(SETTINGS_FILE).exists() else None)
    environ = os.environ  # noqa: TID251 - the one place that hands the environment over
    return config.load(environ, file, need=need, connections=connections)


@asynccontextmanager
async def _over(
    settings: config.Settings, stand_in: StandIn, key: str = "operator"
) -> AsyncIterator[config.Settings]:
    """The settings with a sandbox in place of every Celonis team."""
    from adapters.server import over_sandbox
    from bot.sandbox import Sandbox

    alike = (
        Sandbox()
    )  # every sandbox has the same keys and ids, so one that never starts knows those of another
    async with AsyncExitStack() as stack:
        if not stand_in.url:
            await stack.enter_async_context(alike)
        url, secret = stand_in.url or alike.url, _sandbox_key(key, alike.keys)
        yield over_sandbox(
            settings, url, secret, data_models=sandbox_data_models(alike), forced=stand_in.forced
        )


def _with_zone(settings: config.Settings) -> config.Settings:
    if settings.zone:
        return settings
    zone = machine_zone()
    click.echo(f"No zone is set, so times are those of this machine: {zone}.", err=True)
    return settings.model_copy(update={"zone": zone})


def sandbox_data_models(sandbox: Any) -> dict[str, config.DataModel]:
    """Which data models feed the sandbox's knowledge models, so that its answers have a load time."""
    return {
        SANDBOX_MODELS[each.name]: config.DataModel(pool=pool.id, data_model=each.id)
        for pool in sandbox.pools
        for each in pool.data_models
        if each.name in SANDBOX_MODELS
    }


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
def serve(
    host: str | None,
    port: int | None,
    admin_port: int | None,
    sandbox: StandIn | None,
    log: str,
    toml: Path | None,
) -> None:
    """Serve Slack and Teams, whichever is configured, until SIGTERM."""
    from adapters.logs import configure

    configure(as_json=log == "json")
    told = {"host": host, "port": port, "admin_port": admin_port}
    _run(_serve({name: value for name, value in told.items() if value is not None}, sandbox, toml))


async def _serve(told: dict[str, Any], sandbox: StandIn | None, toml: Path | None) -> None:
    from adapters.server import serve as serve_until_told

    settings = _loaded(toml, need=config.Need.SERVING, connections=sandbox is None)
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=told)})
    async with AsyncExitStack() as stack:
        if sandbox is not None:
            settings = await stack.enter_async_context(_over(settings, sandbox))
        await serve_until_told(
            settings,
            ready=lambda running: click.echo(
                f"Listening: {running.address} (readiness and metrics: {running.admin})", err=True
            ),
        )


@main.group()
def manifest() -> None:
    """What Slack and Teams want to know of the app before it is installed."""


@manifest.command("slack")
@click.option("--host", default="", help="Public host name of the bot; not needed with --socket-mode.")
@click.option("--socket-mode", is_flag=True, help="The bot opens a socket to Slack; no public address.")
@click.option("--groups", is_flag=True, help="Also ask for what rules about Slack user groups need.")
def slack_manifest(host: str, socket_mode: bool, groups: bool) -> None:  # noqa: FBT001 - click hands them over by name
    """Print the Slack app manifest."""
    from adapters.slack.manifest import as_text
    from adapters.slack.manifest import manifest as made

    try:
        click.echo(as_text(made(host, socket_mode=socket_mode, groups=groups)), nl=False)
    except ConfigError as error:
        raise click.UsageError("; ".join(error.problems)) from error


@manifest.command("teams")
@click.option("--app-id", required=True, help="The bot's Microsoft app id.")
@click.option("--host", required=True, help="Public host name of the bot.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("celonis-chat-teams.zip"),
    show_default=True,
    help="Where the zip file goes.",
)
def teams_manifest(app_id: str, host: str, out: Path) -> None:
    """Write the Teams app package."""
    from adapters.teams.manifest import teams_package

    try:
        out.write_bytes(teams_package(app_id, host))
    except ConfigError as error:
        raise click.UsageError("; ".join(error.problems)) from error
    click.echo(f"Written: {out}")


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
    sys.exit(_run(_verify(head, toml)))


async def _verify(head: str, toml: Path | None) -> int:
    from bot.audit import Broken

    async with _opened_audit(toml) as log:
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
    _run(_export(toml))


async def _export(toml: Path | None) -> None:
    async with _opened_audit(toml) as log:
        async for line in log.export():
            click.echo(line)


@asynccontextmanager
async def _opened_audit(toml: Path | None) -> AsyncIterator[Any]:
    from bot.audit import Audit
    from bot.model.clock import SystemClock
    from bot.store import Store

    settings = _loaded(toml, need=config.Need.NOTHING, connections=False)
    if not settings.secret_keys:
        raise ConfigError(["CELONIS_CHAT_SECRET_KEY is not set; without it the log cannot be checked."])
    clock = SystemClock()
    async with await Store.open(settings.database_url.reveal(), clock, as_it_is=True) as store:
        yield Audit(store, [key.reveal().encode() for key in settings.secret_keys], clock)


def _quiet(*, verbose: bool) -> None:
    """At a terminal the answer is what counts; the log is there for those who ask for it."""
    from adapters.logs import configure

    configure(as_json=False, stream=sys.stderr, level=logging.INFO if verbose else logging.CRITICAL)


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
