"""Every command's example, asked for real, in every format; and every error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from adapters.slack.blocks import render as render_slack
from adapters.teams.adaptive import render as render_teams
from adapters.terminal.text import render_text
from bot import config
from bot.commands import COMMANDS
from bot.commands.again import AGAIN
from bot.commands.form import FORM, FORM_DATA, FORM_KPI
from bot.commands.switch import WRITES
from bot.explain import explain
from bot.language.parse import Exact
from bot.language.say import say
from bot.model import errors
from bot.model.cards import Answer, Reader, Status, Text
from bot.model.names import Kind, Name
from bot.policy import Right
from bot.render.card_json import to_json
from bot.render.values import dated
from bot.store import watches
from bot.watching.orders import ORDERS
from bot.writes.guarded import GuardedCommand
from tests.platform_rules import assert_slack_ok, assert_teams_ok
from tests.story import CHANNEL, DIRECT, OPERATOR, START, StoryClock, rules, set_before, someone, stage

Golden = Callable[[str, object], None]
FORMS = (FORM, FORM_KPI, FORM_DATA)
BY_WORDS = {command.intent.words: command for command in COMMANDS}


def kept(sentence: str) -> str:
    """What stands on a button for a sentence that is too long for it."""
    return f"again {sha256(sentence.encode()).hexdigest()[:22]}"


def compare(golden: Golden, name: str, answer: Answer) -> None:
    message = render_slack(answer.card, answer.reader, kept)
    assert_slack_ok(message)
    adaptive = render_teams(answer.card, answer.reader, kept)
    assert_teams_ok(adaptive)
    golden(f"{name}.slack", {"text": message.text, "blocks": message.blocks})
    golden(f"{name}.teams", adaptive)
    golden(f"{name}.json", to_json(answer))
    golden(f"{name}.text", render_text(answer.card, answer.reader))


def at_home(answer: Answer, url: str) -> Answer:
    """The answer of a sandbox whose port is always the same."""
    blocks = tuple(
        replace(each, text=each.text.replace(url, "https://dev.us-2.celonis.cloud"))
        if isinstance(each, Text)
        else each
        for each in answer.card.blocks
    )
    return replace(answer, card=replace(answer.card, blocks=blocks))


@pytest.mark.parametrize("words", BY_WORDS)
async def test_the_example_of_each_command_is_answered_alike_on_all_platforms(
    words: str, assert_golden: Golden
) -> None:
    command = BY_WORDS[words]
    right = command.right_for(command.example)
    everybody = config.Rule(who=config.Who(places=(CHANNEL.key,)), may=(Right.PUBLIC,))
    async with stage(
        clock=StoryClock(still=True, pace=1.0),
        policy=[*rules(), everybody] if right is Right.PUBLIC else None,
    ) as scene:
        admins = right is Right.ADMIN or command is WRITES
        person = someone("UADMIN") if admins else OPERATOR
        place = CHANNEL if right is Right.PUBLIC else DIRECT
        if hasattr(command.example, "which"):
            await watches.insert(scene.built.store, set_before(person, place))
        answer = await scene.answer(say(command.example), person, place)
        wanted = Status.QUESTION if isinstance(command, GuardedCommand) else Status.ANSWERED
        wanted = Status.ASKED if command in FORMS else wanted
        assert answer.card.status is wanted, answer
        compare(assert_golden, words.replace(" ", "-"), at_home(answer, scene.sandbox.url))
        if isinstance(command.example, ORDERS):
            ((_, card),) = scene.chat.posted
            compare(assert_golden, f"{words.replace(' ', '-')}-set", at_home(card, scene.sandbox.url))


def test_no_two_commands_start_alike_and_each_example_is_read_back_as_itself() -> None:
    exact = Exact(tuple(command.intent for command in (*COMMANDS, *AGAIN)))
    assert len({each.words for each in exact.intents}) == len(exact.intents)
    for command in (*COMMANDS, *AGAIN):
        assert exact.parse(say(command.example)) == command.example
        assert command.summary
        assert command.intent.__doc__


TOMORROW = START + timedelta(hours=2)
EXAMPLES: dict[type[errors.BotError], errors.BotError] = {
    type(error): error
    for error in (
        errors.NotUnderstood("I do not understand that."),
        errors.BadArgument("“soon” is no date.", hint="Say it as in 2026-03-01."),
        errors.UnknownName(Kind.JOB, "mian job", nearest=(Name("main job"),), within="SAP ECC"),
        errors.NotAllowed(
            "You may not cancel data jobs here.", hint="Ask the admin of the bot.", rule="default: deny"
        ),
        errors.TicketGone("This question has expired.", hint="Ask again."),
        errors.QuotaExhausted(
            "Today's calls are used up.", moment=TOMORROW, hint=f"Calls come back from {errors.MOMENT} on."
        ),
        errors.Undelivered("Slack did not take the message."),
        errors.StoreUnavailable("The bot's database does not answer."),
        errors.ConfigError(["CELONIS_URL is not set."]),
        errors.ApprovalSpent("This confirmation was used before."),
        errors.Unauthorized("Celonis does not accept the bot's key.", status=401),
        errors.Forbidden("The bot's key may not do that.", hint="Grant USE PACKAGE.", status=403),
        errors.NotFound("Celonis has no such record.", status=404),
        errors.BadQuery("Celonis refuses the question.", status=400),
        errors.RateLimited(f"Celonis has asked the bot to be silent until {errors.MOMENT}.", moment=TOMORROW),
        errors.ServerFault("Celonis failed.", status=500, support_id="0b1e5c1e-8f3a-4a5e-9d57-000000000001"),
        errors.Unreachable(f"Celonis has not answered since {errors.MOMENT}.", moment=START),
        errors.UnexpectedReply("Celonis sent a web page instead of an answer.", status=200),
        errors.OutcomeUnknown("The call was sent, and no answer came.", status=502),
    )
}


def concrete(kind: type[errors.BotError]) -> set[type[errors.BotError]]:
    below = {
        each for sub in kind.__subclasses__() if sub.__module__ == errors.__name__ for each in concrete(sub)
    }
    return below or {kind}


def test_every_error_has_an_example() -> None:
    assert concrete(errors.BotError) == set(EXAMPLES)


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_did_not_happen_and_looks_alike_on_all_platforms(
    kind: type[errors.BotError], assert_golden: Golden
) -> None:
    error = EXAMPLES[kind]
    reader = dated(Reader("Europe/Berlin", "en"), START)
    answer = Answer(explain(error, reader, "r1"), reader=reader)
    assert error.undone
    assert error.undone in render_text(answer.card, answer.reader)
    compare(assert_golden, f"error-{kind.__name__}", answer)
