"""`celonis-chat ask`: one question, one answer on standard output."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import click

from adapters.cli.program import quiet, until_done
from adapters.cli.settings import StandIn, loaded, over, over_a_sandbox, with_settings, with_zone
from bot import config
from bot.model.cards import Answer, Confirm, Status
from bot.model.clock import Clock
from bot.visit import Show
from bot.writes.ticket import State

EXIT = {
    Status.ANSWERED: 0,
    Status.WORKING: 1,
    Status.REFUSED: 1,
    Status.FAILED: 1,
    Status.NOT_UNDERSTOOD: 2,
    Status.QUESTION: 3,
}
NOT_YET = 4
"""Exit code: a confirmed write was sent, and how it ended is not known yet."""
CONFIRMED_WITHIN = 120.0
"""Seconds after which `ask --confirm` waits no longer for the outcome of what was sent."""
LOOK_AGAIN = 5.0
"""Seconds between looks whether it was sent, once those are over."""
FORMATS = ("text", "json", "slack", "teams")


@click.command()
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
@until_done
async def ask(
    sentence: str | None,
    form: str,
    ticket: str,
    sandbox: StandIn | None,
    sandbox_key: str,
    toml: Path | None,
    verbose: bool,  # noqa: FBT001 - click hands it over by name
) -> int:
    """Ask one thing, and print the answer.

    Exit code: 0 answered, 1 refused or failed, 2 not understood, 3 a question with a ticket, 4 sent with the
    outcome not known after two minutes.
    """
    if bool(sentence) == bool(ticket):
        raise click.UsageError("Give either a sentence, or --confirm with the ticket of a question.")
    quiet(verbose=verbose)
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
                said=Said(sentence) if sentence else Clicked(confirm=ticket),
                person=local_person(),
                place=local_place(),
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
    from adapters.outgoing import drawn

    match form:
        case "json":
            from bot.render.card_json import dumps

            text: str = dumps(answer)
            return text
        case "slack":
            from adapters.slack.blocks import render

            message = await drawn(answer, render, keep)
            return json.dumps({"text": message.text, "blocks": message.blocks}, indent=2)
        case "teams":
            from adapters.teams import adaptive

            return json.dumps(await drawn(answer, adaptive.render, keep), indent=2)
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
    settings = with_zone(loaded(toml, need=need, connections=sandbox is None))
    async with AsyncExitStack() as stack:
        store = None
        if sandbox is not None:
            settings = await stack.enter_async_context(over(settings, sandbox, sandbox_key))
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
