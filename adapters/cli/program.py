"""What every command does alike: run to its end, and log where that is wanted."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

import click

from bot.model.errors import BotError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an expected error is a sentence on standard error and exit code 1, never a traceback."""
    try:
        return asyncio.run(work)
    except BotError as error:
        click.echo("\n".join(part for part in (error.sentence, error.undone, error.hint) if part), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(130)


def until_done(work: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., None]:
    """Makes a command of a coroutine function; what it returns is the exit code, nothing counts as 0."""

    @wraps(work)
    def command(**told: Any) -> None:
        sys.exit(run(work(**told)))

    return command


def quiet(*, verbose: bool) -> None:
    """At a terminal the answer is what counts; the log is there for those who ask for it."""
    from adapters.logs import configure

    configure(as_json=False, stream=sys.stderr, level=logging.INFO if verbose else logging.CRITICAL)
