"""How to ask Celonis the same without the bot."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import ClassVar

from bot.celonis import Identity
from bot.celonis.freshness import Lifetime
from bot.celonis.request import Call
from bot.commands.command import Command, Context
from bot.commands.defaults import UseModel
from bot.commands.kpis import ShowKpi
from bot.commands.lists import count
from bot.language.declare import CelonisIntent, Sentence, clause
from bot.language.say import say
from bot.model.cards import Card, Text, headline
from bot.model.errors import BadArgument
from bot.model.intents import Intent
from bot.model.names import Name
from bot.policy import Right

MOST = 5
"""Calls that are shown."""
KEY = "$CELONIS_API_TOKEN"
"""What stands in place of the key, which the bot never shows."""


@dataclass(frozen=True, slots=True)
class Curl(CelonisIntent):
    """The same question to Celonis as a curl command."""

    words: ClassVar[str] = "curl"
    of: Intent | None = field(default=None, metadata=clause("", Sentence()))


async def _curl(intent: Curl, context: Context) -> Card:
    asked = intent.of
    if asked is None:
        raise BadArgument("Which question?", hint="Say it behind “curl”.", undone="Nothing was asked.")
    command = context.command(asked)
    reads = isinstance(command, Command) and command.right is Right.READ and isinstance(asked, CelonisIntent)
    if not isinstance(command, Command) or not reads or isinstance(asked, Curl | UseModel):
        raise BadArgument(
            "I write curl commands only for questions about data.",
            hint=f"For example: {say(CURL.example)}",
            undone="Nothing was asked.",
        )
    first = len(context.asking.reads)
    await command.run(asked, context)
    calls = list({each.call.key: each.call for each in context.asking.reads[first:]}.values())
    shown = [each for each in calls if each.lifetime is not Lifetime.SCHEMA] or calls
    scheme = "AppKey" if (await context.asking.key()).identity is Identity.APPLICATION else "Bearer"
    url = context.celonis.connection.url
    return Card(
        headline(f"{count(len(shown), 'curl command')} for {context.connection}"),
        blocks=(
            Text(f"Set {KEY.removeprefix('$')} to a key of your own; mine is not in it."),
            *(Text(command_line(each, url, scheme), code=True) for each in shown[:MOST]),
            *(
                (Text(f"{count(len(shown) - MOST, 'more call')} of the same kind."),)
                if len(shown) > MOST
                else ()
            ),
        ),
        source=context.live_source(),
    )


def command_line(call: Call, url: str, scheme: str) -> str:
    """A request as a command for a POSIX shell, with a placeholder for the key."""
    body = "" if call.method == "GET" else f" -X {call.method}"
    if call.body is not None:
        body = f" -H 'Content-Type: application/json' --data {shlex.quote(json.dumps(call.body))}"
    return f'curl -H "Authorization: {scheme} {KEY}"{body} {shlex.quote(url + call.target)}'


CURL = Command(
    example=Curl(of=ShowKpi(kpis=(Name("On-time delivery"),), model=Name("Order to Cash"))),
    summary="the same question to Celonis as a curl command, without a key",
    right=Right.READ,
    run=_curl,
)
