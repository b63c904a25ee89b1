"""Every command and click, allowed and refused: typed and clicked agree, help lists what may be said, and nothing leaks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import structlog

from bot import config
from bot.commands import COMMANDS
from bot.commands.command import open_to
from bot.commands.help import HELP
from bot.commands.switch import WRITES
from bot.language.declare import Sentence, clauses
from bot.language.say import say
from bot.model.cards import Card, Status
from bot.model.intents import Intent
from bot.model.people import Clicked, Person, Said
from bot.policy import Asker
from bot.store.switches import switch_writes
from tests.story import CHANNEL, CLERK, DIRECT, GUEST, HOME, OPERATOR, Stage, someone, stage

log = structlog.get_logger()
ADMIN, STRANGER = someone("UADMIN"), someone("USTRANGER")
PEOPLE = (OPERATOR, ADMIN, CLERK, STRANGER, GUEST)
READS_ALL = (OPERATOR, ADMIN)
DONE = {Status.ANSWERED, Status.ASKED, Status.QUESTION}
FORBIDDEN = (
    "Accounts Payable",
    "Purchase Requisition",
    "SAP ECC",
    "SAP S4",
    "main job",
    "Invoices",
    "Materials",
)
"""Names of what the clerk, who reads one knowledge model, must not know of."""
_THREAD = replace(CHANNEL, thread="t1")


def _rules() -> tuple[config.Rule, ...]:
    def who(*people: Person) -> config.Who:
        return config.Who(slack=tuple(f"{HOME}:{each.id}" for each in people))

    right = config.Right
    rest = tuple(each for each in right if each not in {right.PUBLIC, right.ADMIN, right.MANAGE})
    return (
        config.Rule(name="operators", who=who(OPERATOR), may=rest),
        config.Rule(name="admins", who=who(ADMIN), may=(right.READ, right.ADMIN, right.MANAGE)),
        config.Rule(name="clerks", who=who(CLERK), may=(right.READ,), on=config.On(model=("Order to Cash",))),
        config.Rule(
            name="channel",
            who=config.Who(places=(CHANNEL.key,)),
            may=(right.PUBLIC,),
            on=config.On(model=("Order to Cash",)),
        ),
    )


def leaked(card: Card, typed: str) -> list[str]:
    """Forbidden names on a card, apart from what the person has typed."""
    text = repr(card)
    return [each for each in FORBIDDEN if each.casefold() not in typed.casefold() and each in text]


def _about_another(intent: type[Intent]) -> bool:
    """Whether it is about another sentence, whose own right counts, too."""
    return any(isinstance(how.takes, Sentence) for _, how in clauses(intent))


async def _asker(scene: Stage, person: Person) -> Asker:
    return Asker(person, await scene.chat.profile(person), DIRECT)


async def test_typed_and_clicked_agree_and_who_may_not_gets_nothing() -> None:
    counts: Counter[str] = Counter()
    chat = config.ChatLimits(per_minute=100_000)
    async with stage(policy=_rules(), members_read=False, chat=chat) as scene:
        for person in PEOPLE:
            asker = await _asker(scene, person)
            for command in COMMANDS:
                sentence = say(command.example)
                typed = await scene.cards(Said(sentence), person)
                clicked = await scene.cards(Clicked(sentence=sentence), person)
                await switch_writes(scene.built.store, person, on=True)
                one, other = typed[-1], clicked[-1]
                twice = one.status is Status.ANSWERED and "already" in other.headline  # set by the typed one
                assert twice or one.status is other.status, (person.id, sentence)
                may = open_to(command, asker, scene.built.policy).allowed
                outcome = "allowed" if may else "refused"
                counts[outcome] += 2
                if not may:
                    assert one.status is Status.REFUSED, (person.id, sentence, one.headline)
                elif person in READS_ALL and command is not WRITES and not _about_another(command.intent):
                    # the ids of watches in examples are nobody's
                    assert one.status in DONE or "set" in one.headline, (
                        person.id,
                        sentence,
                        one.headline,
                    )
                if person not in READS_ALL and command is not HELP:  # whose examples are made up
                    for card in (*typed, *clicked):
                        assert leaked(card, sentence) == [], (person.id, sentence)
                        counts["cards without a forbidden name"] += 1
        assert scene.cancels() == []
    log.info("commands", commands=len(COMMANDS), people=len(PEOPLE), **counts)


async def test_help_lists_exactly_what_may_be_said() -> None:
    counts: Counter[str] = Counter()
    chat = config.ChatLimits(per_minute=100_000)
    async with stage(policy=_rules(), members_read=False, chat=chat) as scene:
        for person in (OPERATOR, ADMIN, CLERK):
            asker = await _asker(scene, person)
            pages = [await scene.says(f"help page {page}", person) for page in range(1, 8)]
            labels = set(re.findall(r"topic='([^']*)'", repr(pages)))
            for command in COMMANDS:
                may = open_to(command, asker, scene.built.policy).allowed
                assert (command.intent.words in labels) == may, (person.id, command.intent.words)
                counts["listed" if may else "not listed"] += 1
    log.info("help", commands=len(COMMANDS), people=len(PEOPLE), **counts)


async def test_what_somebody_else_asked_is_not_gone_on_with_by_who_may_not_see_it() -> None:
    counts: Counter[str] = Counter()
    chat = config.ChatLimits(per_minute=100_000)
    async with stage(policy=_rules(), members_read=False, chat=chat) as scene:
        for asked in ('jobs in "SAP ECC"', 'kpis of "Accounts Payable"', 'job "main job" in "SAP ECC"'):
            await scene.says(asked, OPERATOR, _THREAD)
            for word in (
                "next",
                "back",
                "refresh",
                f"share here {asked}",
                "page 2",
                "top 3",
                "again x",
            ):
                for person in (CLERK, STRANGER, GUEST):
                    for card in await scene.cards(Said(word), person, _THREAD):
                        assert leaked(card, word) == [], (person.id, asked, word)
                        counts["going on"] += 1
        for name in FORBIDDEN:
            for sentence in (
                f"find {name[:4]}",
                f"kpis of {name[:-1]}",
                f"help {name}",
                f"may kpis of {name}",
            ):
                for card in await scene.cards(Said(sentence), CLERK):
                    others = [each for each in leaked(card, sentence) if each != name]
                    assert others == [], (sentence, others)
                    counts["looking for it"] += 1
    log.info("leaks", commands=len(COMMANDS), people=len(PEOPLE), **counts)


async def test_a_question_is_answered_by_who_may_and_by_nobody_else() -> None:
    counts: Counter[str] = Counter()
    async with stage(policy=_rules(), members_read=False) as scene:
        question = await scene.says('cancel "main job" in "SAP ECC"', OPERATOR, CHANNEL)
        assert question.status is Status.QUESTION
        for person in (ADMIN, CLERK, STRANGER, GUEST):
            for label in ("stop", "leave"):
                card = await scene.presses(question, label, person, CHANNEL)
                assert card.status is Status.REFUSED
                assert person is ADMIN or leaked(card, "") == []
                counts["refused clicks"] += 1
        assert scene.cancels() == []
        await scene.presses(question, "stop", OPERATOR, CHANNEL)
        assert len(scene.cancels()) == 1
        counts["allowed clicks"] += 1
    log.info("clicks", commands=len(COMMANDS), people=len(PEOPLE), **counts)
