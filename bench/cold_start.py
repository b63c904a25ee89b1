"""A cold start under load: many people ask at once what nothing is known of yet.

    python bench/cold_start.py [--rounds 3] [--seconds 10] [--rate 83] [--people 32] [--json]

The server is what `celonis-chat serve` runs, with an empty database, over a sandbox in another program that keeps Celonis'
limit of 20 requests a second. This program signs slash commands, sends them at a steady rate whatever comes back, and
plays Slack. A request counts as answered when a card has arrived that is no sign of work. The baseline is the same load on
the same server once everything has been asked before; what the two have in common is the price of an answer, what they
differ in is the price of a cold start.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import secrets
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bench.adapters import SECRET, Json, Platforms, Program, bot, program, quantile

SENTENCES = (
    "kpi On-time delivery of Order to Cash by Plant",
    "kpis of Order to Cash",
    "models",
    "kpi On-time delivery of Order to Cash",
    "jobs",
    "model Order to Cash",
    "records of Order to Cash",
    "pools",
    "filters of Order to Cash",
    "help",
    "jobs active",
    "triggers of Order to Cash",
)
"""What people ask, each in turn: none of it asks Celonis for more than a few calls, and all of it for something else."""
LOST = "database does not answer"
PATIENCE = 120.0
"""Seconds after the last request in which answers still count."""


class Audience(Platforms):
    """Slack, waiting for one answer to each request; knows them by the address they are sent to."""

    def _arrived(self, whom: str, platform: str, said: Json) -> None:
        if "Working on it" not in json.dumps(said, ensure_ascii=False)[:400]:
            super()._arrived(whom, platform, said)


@dataclass(frozen=True, slots=True)
class Load:
    """What one load did.

    Attributes:
        asked: Requests.
        answered: Those with an answer.
        refused: Those that the server did not take because it had too many under way.
        seconds: From the first request to the last answer.
        p50: Milliseconds until an answer, half of them.
        p99: Nearly all of them.
        ack_p50: Milliseconds until an acknowledgement, half of them.
        ack_p99: Nearly all of them.
        cpu: Seconds of processor time that the server took.
        lost: Lines in the server's log that take the database for dead.
    """

    asked: int
    answered: int
    refused: int
    seconds: float
    p50: float
    p99: float
    ack_p50: float
    ack_p99: float
    cpu: float
    lost: int


def signed(person: int, text: str, url: str) -> tuple[str, dict[str, str]]:
    """Body and headers of a slash command that is answered at `url`."""
    body = urlencode(
        {
            "command": "/celonis",
            "text": text,
            "user_id": f"U{person:04d}",
            "user_name": f"clerk{person}",
            "team_id": "T1",
            "channel_id": f"D{person:04d}",
            "channel_name": "directmessage",
            "trigger_id": f"1.{secrets.token_hex(8)}",
            "response_url": url,
            "api_app_id": "A1",
        }
    )
    moment = str(int(time.time()))  # noqa: TID251 - the true time is what a signature holds
    signature = hmac.new(SECRET.encode(), f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": f"v0={signature}",
    }


def lost(log: Path) -> int:
    """How often the server has taken the database for dead."""
    return log.read_text(encoding="utf-8").count(LOST)


async def load(
    slack: Audience, session: aiohttp.ClientSession, server: Program, log: Path, given: argparse.Namespace
) -> Load:
    """Sends at a steady rate, and waits for every answer."""
    acks: list[float] = []
    answers: list[float] = []
    refused = 0
    before, cpu = lost(log), server.cpu()

    async def one(number: int) -> None:
        nonlocal refused
        key = f"{number}-{secrets.token_hex(6)}"
        arrived = slack.waiting[key] = asyncio.get_running_loop().create_future()
        # Who asks what changes with every round of people, so that all of them ask everything.
        text = SENTENCES[(number + number // given.people) % len(SENTENCES)]
        body, headers = signed(number % given.people, text, f"{slack.url}/hooks/{key}")
        asked = time.perf_counter()
        async with session.post(f"{server.url}/slack/events", data=body, headers=headers) as reply:
            await reply.read()
            if reply.status != 200:
                refused += 1
                return
        acks.append(time.perf_counter() - asked)
        try:
            await asyncio.wait_for(arrived, PATIENCE)
        except TimeoutError:
            return
        answers.append(time.perf_counter() - asked)

    count = int(given.rate * given.seconds)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / given.rate - time.perf_counter()))
            group.create_task(one(number))
    passed = time.perf_counter() - began
    return Load(
        count,
        len(answers),
        refused,
        passed,
        quantile(answers, 0.5),
        quantile(answers, 0.99),
        quantile(acks, 0.5),
        quantile(acks, 0.99),
        server.cpu() - cpu,
        lost(log) - before,
    )


async def once(given: argparse.Namespace) -> dict[str, Load]:
    """A server that has just started, under the load; then the same load again."""
    slack = Audience()
    runner = await slack.open()
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
                program("sandbox", per_second="20") as sandbox,
                bot(Path(folder), both=False, log=log, url=slack.url, sandbox=sandbox.url) as ours,
            ):
                cold = await load(slack, session, ours, log, given)
                warm = await load(slack, session, ours, log, given)
        return {"cold": cold, "warm": warm}
    finally:
        await runner.cleanup()


async def run(given: argparse.Namespace) -> list[dict[str, Load]]:
    return [await once(given) for _ in range(given.rounds)]


def table(rounds: list[dict[str, Load]]) -> str:
    lines = [
        f"{'':12}{'asked':>7}{'answered':>10}{'refused':>9}{'seconds':>9}{'p50 ms':>9}{'p99 ms':>9}{'ack p50':>9}{'ack p99':>9}{'CPU s':>7}{'lost':>6}"
    ]
    for number, each in enumerate(rounds, 1):
        for name, one in each.items():
            lines.append(
                f"{number}: {name:9}{one.asked:7}{one.answered:10}{one.refused:9}{one.seconds:9.1f}{one.p50:9.0f}{one.p99:9.0f}"
                f"{one.ack_p50:9.1f}{one.ack_p99:9.1f}{one.cpu:7.1f}{one.lost:6}"
            )
        # Seconds of fewer answers are no measure of anything.
        whole = all(one.answered == one.asked for one in each.values())
        ratio = (
            f"{each['cold'].seconds / each['warm'].seconds:.2f}"
            if whole
            else "not comparable: answers are missing"
        )
        lines.append(f"   cold : warm {ratio}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long people ask")
    parser.add_argument("--rate", type=float, default=83.0, help="requests a second")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    given = parser.parse_args()
    rounds = asyncio.run(run(given))
    if given.json:
        found: list[Any] = [{name: asdict(one) for name, one in each.items()} for each in rounds]
        print(json.dumps({**vars(given), "rounds": found}, indent=1))
    else:
        print(table(rounds))


if __name__ == "__main__":
    main()
