"""`celonis-chat ask`: one question, one answer on standard output; or a question a line, an answer a line."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from adapters.cli.account import account_text, explained, line_of
from adapters.cli.program import quiet, until_done
from adapters.cli.settings import StandIn, loaded, over, over_a_sandbox, with_settings, with_zone
from bot import config
from bot.dispatch import Bot, Trace
from bot.model.cards import Answer, Confirm, Status
from bot.model.clock import Clock
from bot.model.people import Place
from bot.visit import Show
from bot.writes.ticket import State, Ticket

EXIT = {
    Status.ANSWERED: 0,
    Status.WORKING: 1,
    Status.REFUSED: 1,
    Status.FAILED: 1,
    Status.ASKED: 2,
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
LINES = "-"
"""Stands for sentences from standard input."""
UNBOUNDED = 1_000_000_000
"""Sentences in a minute: what a program says, it says as fast as it is answered; Celonis' own limits hold."""


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
@click.option(
    "--explain", is_flag=True, help="Show what each word was read as, and what else was thought of."
)
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
    explain: bool,  # noqa: FBT001 - click hands it over by name
    sandbox: StandIn | None,
    sandbox_key: str,
    toml: Path | None,
    verbose: bool,  # noqa: FBT001 - click hands it over by name
) -> int:
    """Ask one thing, and print the answer. With "-", answer each line of standard input with a line of JSON.

    Exit code: 0 answered, 1 refused or failed, 2 not understood, 3 a question with a ticket, 4 sent with the
    outcome not known after two minutes. With "-" it is 0, and each line has its own.
    """
    if bool(sentence) == bool(ticket):
        raise click.UsageError("Give either a sentence, or --confirm with the ticket of a question.")
    if sentence == LINES and form in {"slack", "teams"}:
        raise click.UsageError("“-” answers with a line of JSON for each sentence, in no other format.")
    if explain and (ticket or form in {"slack", "teams"}):
        raise click.UsageError("--explain is about a sentence, in the formats text and json.")
    quiet(verbose=verbose)
    from rich.console import Console

    from adapters.server import build
    from adapters.terminal.chat import PLATFORM, TerminalChat, local_person, local_place
    from bot.model.clock import SystemClock
    from bot.model.people import Clicked, Request, Said

    clock = SystemClock()
    hurried = sentence == LINES
    async with _settings(sandbox, sandbox_key, toml, hurried=hurried) as (settings, store):
        chats = {PLATFORM: TerminalChat(Console(stderr=True))}
        async with build(settings, chats=chats, store=store, clock=clock, guest=True) as built:
            if hurried:
                await _answer_lines(built.bot, explain=explain)
                return 0
            request = Request(
                id=secrets.token_hex(4),
                said=Said(sentence) if sentence else Clicked(confirm=ticket),
                person=local_person(),
                place=_place_of(await built.tickets.load(ticket) if ticket else None, local_place()),
            )
            trace = Trace()

            async def sent() -> bool:
                kept = await built.tickets.load(ticket) if ticket else None
                return kept is not None and kept.state is State.SENDING

            answer, known = await until_known(
                lambda show: built.bot.answer(request, show, trace),
                clock,
                sent,
                lambda line: click.echo(f"… {line}", err=True),
            )
            if answer is None:
                return 1
            shown = await rendered(answer, form, built.store.keep_sentence)
            click.echo(
                _with_account(shown, form, explained(sentence, trace)) if explain and sentence else shown
            )
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


async def _answer_lines(bot: Bot, *, explain: bool) -> None:
    """Answers each line of standard input with a line of JSON, until its end; an empty one begins a conversation."""
    from adapters.terminal.chat import local_person, local_place
    from bot.model.people import Request, Said

    person, here = local_person(), local_place()
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    place = _of_its_own(here)
    last: Answer

    async def show(answer: Answer) -> None:
        nonlocal last
        last = answer

    while line := await asyncio.to_thread(sys.stdin.readline):
        text = line.strip()
        if not text:
            place = _of_its_own(here)
            continue
        trace = Trace()
        await bot.answer(Request(secrets.token_hex(4), Said(text), person, place), show, trace)
        told = line_of(text, last, trace, EXIT[last.card.status])
        if explain:
            told |= explained(text, trace)
        click.echo(json.dumps(told))  # ASCII, and flushed


def _place_of(ticket: Ticket | None, here: Place) -> Place:
    """Where a question is answered: where it was asked, if that was at this terminal."""
    asked = ticket.place if ticket is not None else here
    return asked if (asked.platform, asked.home) == (here.platform, here.home) else here


def _of_its_own(place: Place) -> Place:
    """A place where nobody said or chose anything yet."""
    own = secrets.token_hex(4)
    return replace(place, id=f"{place.id}-{own}", thread=own)


def _with_account(shown: str, form: str, account: dict[str, Any]) -> str:
    """A rendered answer with what was made of its sentence."""
    if form == "json":
        return json.dumps(json.loads(shown) | account, indent=2)
    return f"{shown}\n\n{account_text(account)}"


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
    sandbox: StandIn | None, sandbox_key: str, toml: Path | None, *, hurried: bool
) -> AsyncIterator[tuple[config.Settings, Any]]:
    """The settings for one question, or hurried for many; and a store where it must not be the configured one."""
    from bot.model.clock import SystemClock
    from bot.store import Store

    need = config.Need.CONNECTION if sandbox is None else config.Need.NOTHING
    settings = with_zone(loaded(toml, need=need, connections=sandbox is None))
    if hurried:
        chat = settings.chat.model_copy(update={"per_minute": UNBOUNDED})
        settings = settings.model_copy(update={"chat": chat})
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
