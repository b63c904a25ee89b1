"""The bot's own time for one answer of each kind, once names and values are known.

    python -m bench.answers [--asked 200] [--json]

The bot is in this program and the sandbox in another one, so what is counted is this program's processor time alone:
from the request to the card, and for drawing that card for Slack and for Teams. `again` answers the same question in the
same place, so that a card is shared where it can be; for `anew` each is in a place of its own, and its card is made of
what Celonis said before. Calls are those that reached Celonis for each answer.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from rich.console import Console

from adapters.logs import configure
from adapters.server import Built, build
from adapters.slack.blocks import render as render_slack
from adapters.teams.adaptive import render as render_teams
from adapters.terminal.chat import TerminalChat
from bench.adapters import program
from bot import config
from bot.dispatch import Trace
from bot.model.cards import Answer, Status
from bot.model.clock import SystemClock
from bot.model.people import Person, Place, Request, Said, Visibility
from bot.store import Store

KINDS: Mapping[str, str] = {
    "kpi": 'kpi "On-time delivery" of "Order to Cash"',
    "kpi by": 'kpi "On-time delivery" of "Order to Cash" by Country',
    "trend": 'kpi "On-time delivery" of "Order to Cash" every month where "Order date" = 2025',
    "kpis": 'kpis of "Order to Cash"',
    "data": 'data "Sales orders" of "Order to Cash" where Country = Germany',
    "data, own words": "sales orders in germany",
    "jobs": "jobs",
    "help": "help",
    "find": "find delivery",
}
WARM = 3
PERSON = Person("local", "bench", "somebody", "somebody")
PLACE = Place("local", "bench", "place", Visibility.PERSONAL)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of answer; times in milliseconds of this program's processor time."""

    kind: str
    again_p50: float
    again_p99: float
    anew_p50: float
    anew_p99: float
    slack_p50: float
    teams_p50: float
    calls: float


async def ask(built: Built, text: str, place: Place = PLACE) -> tuple[Answer, float, int]:
    """An answer, the milliseconds and the calls it took."""
    shown: list[Answer] = []

    async def show(answer: Answer) -> None:
        shown.append(answer)

    request, trace = Request(secrets.token_hex(4), Said(text), PERSON, place), Trace()
    began = time.process_time()
    await built.bot.answer(request, show, trace)
    took = (time.process_time() - began) * 1000
    assert shown[-1].card.status is Status.ANSWERED, f"{text}: {shown[-1].card.headline}"
    return shown[-1], took, trace.calls


def drawing(render: Callable[..., object], answer: Answer, times: int) -> float:
    """Milliseconds of drawing an answer once."""
    began = time.process_time()
    for _ in range(times):
        render(answer.card, answer.reader, lambda _sentence: "again 0123456789012345678901")
    return (time.process_time() - began) * 1000 / times


async def measure(asked: int) -> list[Row]:
    """Asks every kind of question, over and over."""
    configure(as_json=True, stream=io.StringIO())
    rows: list[Row] = []
    clock = SystemClock()
    async with program("sandbox") as sandbox, await Store.temporary(clock) as store:
        settings = config.Settings.for_demo(
            sandbox.url, sandbox.said["key"], zone="Europe/Berlin", secret_key=secrets.token_hex(32)
        )
        chat = settings.chat.model_copy(update={"per_minute": 10**7})
        settings = settings.model_copy(update={"chat": chat})
        chats = {"local": TerminalChat(Console(file=io.StringIO()))}
        async with build(settings, chats=chats, store=store, clock=clock) as built:
            for kind, text in KINDS.items():
                for _ in range(WARM):
                    answer, _, _ = await ask(built, text)
                again = [(await ask(built, text))[1] for _ in range(asked)]
                others = [replace(PLACE, id=f"{kind} {number}") for number in range(asked)]
                anew = [await ask(built, text, each) for each in others]
                rows.append(
                    Row(
                        kind,
                        *_percentiles(again),
                        *_percentiles([took for _, took, _ in anew]),
                        drawing(render_slack, answer, asked),
                        drawing(render_teams, answer, asked),
                        statistics.mean(cost for _, _, cost in anew),
                    )
                )
    return rows


def _percentiles(took: Sequence[float]) -> tuple[float, float]:
    return statistics.median(took), sorted(took)[int(len(took) * 0.99)]


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"{'milliseconds':18}{'again':>7}{'p99':>8}{'anew':>8}{'p99':>8}{'Slack':>8}{'Teams':>8}{'calls':>8}"
    ]
    lines += [
        f"{each.kind:18}{each.again_p50:7.2f}{each.again_p99:8.2f}{each.anew_p50:8.2f}{each.anew_p99:8.2f}"
        f"{each.slack_p50:8.2f}{each.teams_p50:8.2f}{each.calls:8.1f}"
        for each in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--asked", type=int, default=200, help="answers of each kind")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    given = parser.parse_args()
    rows = asyncio.run(measure(given.asked))
    print(json.dumps([asdict(each) for each in rows], indent=1) if given.json else table(rows))


if __name__ == "__main__":
    main()
