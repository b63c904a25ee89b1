"""What people may type, in abundance, through the whole path: text in, card out, over the sandbox.

    python -m tests.fuzz.typed [--minutes 2 | --texts N] [--seed N]

prints its seed, and each text that broke the law: no answer is "something unexpected", nothing in the log is an
error, and every card can be shown in every format. The same seed types the same texts; how many of them in a minute is
the machine's doing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import assert_never, cast

import structlog
from structlog.testing import capture_logs

from adapters.cli.ask import FORMATS, rendered
from adapters.outgoing import drawn
from adapters.slack import blocks as slack
from adapters.teams import adaptive as teams
from adapters.terminal.text import render_text
from bot import config
from bot.commands import COMMANDS
from bot.language.declare import (
    Count,
    Crosses,
    Days,
    Flag,
    Lasting,
    Names,
    OneName,
    OneOf,
    Phrase,
    Sentence,
    SomeOf,
    SortBy,
    Takes,
    TimeOfDay,
    Where,
    clauses,
)
from bot.language.say import quote, say
from bot.language.vocabulary import Class, vocabulary, ways
from bot.model.cards import Card, Run, Status
from bot.model.names import Kind
from bot.model.people import Clicked, Said, Utterance
from bot.sandbox import SandboxOptions, Switches
from bot.sandbox.content import make_knowledge_models, make_pools
from tests.platform_rules import assert_slack_ok, assert_teams_ok
from tests.story import HOME, START, Stage, StoryClock, all_buttons, someone, stage

PLENTY = 10**9
EACH_PERSON = 20
"""Sentences of one person, who may only say so many in a minute."""
UNEXPECTED = "did not expect"

VALUES = tuple(
    """|Germany|DE|0|1|2|5|-1|-3|1e400|NaN|10k|10.000|1,000.50|99999999999999999999|1000000|true|false|null|last month
    |this week|Q3 2026|2026-02-30|2026-03-01|since 2026|until yesterday|0001-01-01|9999-12-31|last 30 days|today
    |last 99999999999 days|10/01/2026|23:45|Europe/Berlin|CET|page 99999999999999999999999|today at 25:00""".replace(
        "\n    ", ""
    ).split("|")
)
HOSTILE = (
    *[
        "' or 1=1 --",
        "<script>alert(1)</script>",
        "<!channel>",
        "<@U1",
        "<@U1\x00x>",
        "*bold* _it_ ~x~ `c`",
        "``",
    ],
    *[
        "[a](javascript:alert(1))",
        "&amp; &lt;",
        "${7*7}",
        "{{x}}",
        "%s %n %d",
        "../../etc/passwd",
        "a\x00b",
        "�",
        "\u202egnp",
    ],
    *[
        "((((((((((",
        "))))",
        "and or not",
        "not not not",
        "( )",
        "= = =",
        "in (",
        "between and",
        "\\",
        "#",
        "#x",
        "a#b#c",
        ", , ,",
        "\x1b[31m",
        "=cmd()",
    ],
    *[
        "@here",
        "…",
        "“”",
        "„x“",
        "‘’",
        "« »",
        "–",
        "∅",
        "٣",
        "１２",
        "½",
        "\r\n",
        "\t",
        "'",
        "\u200b",
        "🤷🏽\u200d♀️",
    ],
    *('"', '""', "\\\\\" \\'", "|", "e\u0301" * 40, "a" * 500),
)
ALPHABET = "abcdefghijklmnopqrstuvwxyz   ,.;:!?\"'()<>=#&*%-_0123456789äß"


class Typist:
    """Makes up what people may type.

    Args:
        seed: The same seed makes the same texts.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - texts to try, not secrets
        self._examples = tuple(say(each.example) for each in COMMANDS)
        self._starts = tuple(
            dict.fromkeys(word for each in COMMANDS for word in (each.intent.words, *ways(each.intent.words)))
        )
        self._cues = tuple(_cues())
        self._worlds = tuple(_worlds())
        self._names = tuple(
            dict.fromkeys(name for world in self._worlds for names in world.values() for name in names)
        )
        self._filler = (
            *_phrases(Class.FILLER, Class.FIXED, Class.FOLLOW, Class.WISH, Class.PERIOD),
            "next",
            "back",
            "refresh",
            "again",
            "yes",
            "no",
            "help",
        )
        self._kinds: tuple[tuple[int, Callable[[], str]], ...] = (
            (35, self._proper),
            (15, lambda: self._mutated(self._proper())),
            (10, lambda: self._mutated(self._pick(self._examples))),
            (20, self._spoken),
            (8, lambda: self._pick(self._names)),
            (8, self._salad),
            (6, lambda: self._pick(HOSTILE)),
            (8, self._noise),
        )

    def text(self) -> str:
        """The next one."""
        (made,) = self._random.choices(
            [make for _, make in self._kinds], weights=[weight for weight, _ in self._kinds]
        )
        return made()

    def chance(self, part: float) -> bool:
        """True in this part of all cases."""
        return self._random.random() < part

    def choice(self, number: int) -> int:
        """One of the first whole numbers."""
        return self._random.randrange(number)

    def _pick(self, among: tuple[str, ...]) -> str:
        return self._random.choice(among)

    def _name(self) -> str:
        name = self._pick(self._names)
        return f'"{name}"' if self.chance(0.3) else name

    def _proper(self) -> str:
        """A sentence of the grammar: some clauses of a command, filled with things that lie together."""
        world = self._random.choice(self._worlds)
        command = self._random.choice(COMMANDS)
        parts = [self._pick((command.intent.words, *ways(command.intent.words)))]
        for _, how in clauses(command.intent):
            if self.chance(0.45 if how.keyword else 0.85):
                parts += [how.keyword, self._filled(how.takes, world)]
        return " ".join(filter(None, parts))

    def _filled(self, takes: Takes, world: Mapping[Kind, tuple[str, ...]]) -> str:
        def some(kind: Kind) -> str:
            names = world.get(kind) or self._names
            name = self._pick(names)
            return f'"{name}"' if self.chance(0.8) else name

        match takes:
            case OneName(kind):
                return some(kind)
            case Names(kind):
                return ", ".join(some(kind) for _ in range(self._random.randint(1, 3)))
            case OneOf(words, or_period):
                return self._pick((*words, *VALUES) if or_period else words)
            case SomeOf(words):
                return ", ".join(self._pick(words) for _ in range(self._random.randint(1, 3)))
            case Count():
                return self._pick(("1", "2", "3", "21", "999", "100000", "0", self._pick(VALUES)))
            case Flag():
                return ""
            case Phrase():
                return f'"{self._pick((*VALUES, *HOSTILE))}"' if self.chance(0.8) else self._pick(VALUES)
            case Where():
                tests = [
                    f"{some(Kind.FIELD)} {self._operator()} {self._value()}"
                    for _ in range(self._random.choice((1, 1, 2, 3)))
                ]
                return self._pick((" and ", " or ", " and not ")).join(tests)
            case SortBy():
                return f"{self._pick(('', '-'))}{some(Kind.FIELD)} {self._pick(('', 'desc', 'asc'))}"
            case TimeOfDay():
                return self._pick(("23:45", "0:05", "24:00", "8", self._value()))
            case Lasting():
                return self._pick(("2 h", "90 min", "0 min", "9999999999 h", self._value()))
            case Days():
                return self._pick(("weekday", "monday, friday", "day", self._value()))
            case Crosses():
                return f"{self._operator()} {self._value()}"
            case Sentence():
                inner = f"kpi {some(Kind.KPI)}"
                return self._pick((inner, quote(inner)))
            case _:
                assert_never(takes)

    def _operator(self) -> str:
        return self._pick(("=", "!=", ">", ">=", "<", "<=", *OPERATOR_WORDS))

    def _value(self) -> str:
        value = self._pick(VALUES)
        match self._random.randrange(5):
            case 0:
                return f"({value}, {self._pick(VALUES)})"
            case 1:
                return f"{value} and {self._pick(VALUES)}"
            case 2:
                return f'"{self._pick(HOSTILE)}"'
            case _:
                return value

    def _spoken(self) -> str:
        """A command's words, names and clauses, as the grammar has them: often a sentence, often nearly one."""
        parts = [self._pick(self._starts)]
        if self.chance(0.6):
            parts.append(self._name())
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 3, 5))):
            parts.append(self._pick(self._cues))
            if self.chance(0.85):
                parts.append(self._pick(VALUES) if self.chance(0.3) else self._name())
            if self.chance(0.3):
                parts += [self._pick(OPERATOR_WORDS), self._pick(VALUES)]
        if self.chance(0.15):
            parts.insert(0, self._pick(self._filler))
        return " ".join(parts)

    def _salad(self) -> str:
        drawers = (
            self._starts,
            self._cues,
            self._names,
            VALUES,
            HOSTILE,
            self._filler,
            OPERATOR_WORDS,
        )
        return " ".join(self._pick(self._random.choice(drawers)) for _ in range(self._random.randint(1, 9)))

    def _noise(self) -> str:
        length = self._random.choice((1, 3, 10, 40, 300, 4001))
        if self.chance(0.5):
            return "".join(self._random.choice(ALPHABET) for _ in range(length))
        return "".join(chr(self._random.randrange(0x110000)) for _ in range(length))

    def _mutated(self, text: str) -> str:
        for _ in range(self._random.randint(1, 3)):
            text = self._changed(text)
        return text

    def _changed(self, text: str) -> str:
        words = text.split(" ")
        at, place = self._random.randrange(len(words)), self._random.randrange(len(text) + 1)
        match self._random.randrange(11):
            case 0:
                return " ".join(words[:at] + words[at + 1 :])
            case 1:
                return " ".join(words[:at] + words[at:][::-1])
            case 2:
                return " ".join([*words[:at], words[at], *words[at:]])
            case 3:
                return text[:place] + text[place + 1 :]
            case 4:
                return text[:place] + self._random.choice(ALPHABET) + text[place:]
            case 5:
                return text.upper() if self.chance(0.5) else text.title()
            case 6:
                return text[:place]
            case 7:
                return text.replace('"', "")
            case 8:
                return f"{text} {self._pick(VALUES)}"
            case 9:
                return text[:place] + self._pick(HOSTILE) + text[place:]
            case _:
                return " ".join([*words[:at], self._pick(self._names), *words[at + 1 :]])


def _phrases(*classes: Class) -> tuple[str, ...]:
    """The phrases of the vocabulary that do one of these things."""
    return tuple(
        " ".join(phrase)
        for listed in vocabulary().phrases.values()
        for phrase, senses in listed
        if any(each.what in classes for each in senses)
    )


OPERATOR_WORDS = _phrases(Class.COMPARISON, Class.ONLY, Class.WITHOUT)


def _cues() -> Iterator[str]:
    """Every word that opens a clause, and those that a clause may take."""
    for command in COMMANDS:
        for _, how in clauses(command.intent):
            yield from filter(None, (how.keyword,))
            if isinstance(how.takes, OneOf | SomeOf):
                yield from how.takes.words
    yield from (*_phrases(Class.CLAUSE, Class.LINK), "and", "or", "not", ",", "-", "(", ")")


def _worlds() -> Iterator[Mapping[Kind, tuple[str, ...]]]:
    """What things are called in the sandbox, and what lies together: each record with its model, each pool."""
    start = START.timestamp()
    models = make_knowledge_models(SandboxOptions().seed, start)
    pools = [
        {Kind.POOL: (each.name,), Kind.JOB: tuple(job.name for job in each.jobs)}
        for each in make_pools(start)
    ]
    for number, model in enumerate(models):
        inside = {
            Kind.CONNECTION: ("sandbox",),
            Kind.MODEL: (model.name, model.name, model.id),
            Kind.KPI: tuple(each.name for each in model.kpis),
            Kind.FILTER: tuple(each.name for each in model.filters),
            **pools[number % len(pools)],
        }
        for record in model.records:
            found = tuple(each.name for each in record.fields[:30])
            yield {**inside, Kind.RECORD: (record.name,), Kind.FIELD: found}
        if not model.records:
            yield inside


@asynccontextmanager
async def bot(clock: StoryClock | None = None) -> AsyncIterator[Stage]:
    """A bot whose people may do everything, over a team whose quota does not end."""
    rights = tuple(right for right in config.Right if right is not config.Right.PUBLIC)
    everybody = config.Rule(name="everybody", who=config.Who(slack=(f"{HOME}:*",)), may=rights)
    limits = config.Limits(per_second=1000, per_day=PLENTY)
    async with stage(
        clock=clock or StoryClock(pace=1.0),
        switches=Switches(per_day=PLENTY, cancel_delay=1.0),
        policy=[everybody],
        connection={"limits": limits},
    ) as scene:
        yield scene


async def faults(scene: Stage, typist: Typist, number: int) -> tuple[str, list[str], bool]:
    """Type one text and look at what comes.

    Returns:
        What was said, what is wrong with the answer, and whether it was understood.
    """
    text = typist.text()
    found, card = await answered(scene, Said(text), number)
    buttons = [each for each in all_buttons(card) if isinstance(each.action, Run)] if card else []
    if buttons and not found and typist.chance(0.3):
        action = buttons[typist.choice(len(buttons))].action
        assert isinstance(action, Run)
        text = f"{text!r}, then its button {say(action.intent)!r}"
        found, card = await answered(scene, Clicked(sentence=say(action.intent)), number)
    return text, found, card is not None and card.status is not Status.NOT_UNDERSTOOD


async def answered(scene: Stage, said: Utterance, number: int) -> tuple[list[str], Card | None]:
    with capture_logs() as entries:
        try:
            answers = await scene.answers(said, someone(f"U{number // EACH_PERSON}"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
            return [f"raised {error!r}"], None
    found = [
        f"logged {entry!r}"
        for entry in entries
        if entry["log_level"] in {"error", "critical"} or entry.get("exc_info")
    ]
    if not answers or answers[-1].working:
        return [*found, "no answer"], None
    keep = scene.built.store.keep_sentence
    for answer in answers:
        try:
            for form in FORMATS:
                (await rendered(answer, form, keep)).encode("utf-8")
            assert_slack_ok(await drawn(answer, slack.render, keep))
            assert_teams_ok(await drawn(answer, teams.render, keep))
        except Exception as error:  # noqa: BLE001 - as above
            found.append(f"cannot be shown: {error!r}")
        if UNEXPECTED in render_text(answer.card, answer.reader):
            found.append("something unexpected")
    return found, answers[-1].card


async def type_while(more: Callable[[int], bool], seed: int, say_it: Callable[[str], None]) -> int:
    """Types, and counts what broke the law.

    Args:
        more: Whether to type another one after so many.
        seed: Of the texts.
        say_it: Takes each line of the account.
    """
    typist, broken, understood, number = Typist(seed), 0, 0, 0
    async with bot() as scene:
        while more(number):
            text, found, meant = await faults(scene, typist, number)
            number += 1
            understood += meant
            if found:
                broken += 1
                say_it(f"{number}: {text!r}")
                for each in found:
                    say_it(f"    {each}")
    say_it(f"{number} texts, {understood} understood, {broken} broke the law; seed {seed}")
    return broken


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=2.0)
    length.add_argument("--texts", type=int, default=None)
    parser.add_argument("--seed", type=int, default=None)
    told = parser.parse_args()
    seed = secrets.randbelow(10**9) if told.seed is None else told.seed
    ends, texts = time.monotonic() + 60 * told.minutes, cast("int | None", told.texts)

    def more(typed: int) -> bool:
        return time.monotonic() < ends if texts is None else typed < texts

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    print(f"seed {seed}", flush=True)  # noqa: T201 - a program that speaks on standard output
    sys.exit(1 if asyncio.run(type_while(more, seed, lambda line: print(line, flush=True))) else 0)  # noqa: T201


if __name__ == "__main__":
    main()
