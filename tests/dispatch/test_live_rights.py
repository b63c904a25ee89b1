"""What decides over a write is what Celonis and the chat platform say now, with the sandbox's log as the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot import config
from bot.model.cards import Status
from bot.model.people import Clicked, Profile, Standing
from bot.sandbox import Sandbox
from bot.writes.ticket import Outcome, State
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, HOME, OPERATOR, SECOND, Stage, someone, stage

QUESTION = "stop main job pls"
OPERATORS = config.Who(slack=tuple(f"{HOME}:{each.id}" for each in (OPERATOR, SECOND)))


def allowed_on(**on: str) -> list[config.Rule]:
    return [config.Rule(name="night shift", who=OPERATORS, may=(config.Right.CANCEL,), on=config.On(**on))]


def rename_job(sandbox: Sandbox) -> None:
    sandbox.pools.find("main job").name = "year-end close"


def rename_pool(sandbox: Sandbox) -> None:
    next(pool for pool in sandbox.pools if pool.name == "SAP ECC").name = "Payroll"


async def state_of(scene: Stage, ticket: str) -> tuple[State, Outcome | None]:
    kept = await scene.built.tickets.load(ticket)
    assert kept is not None
    return kept.state, kept.outcome


RENAMES = [
    pytest.param({"job": "main *"}, rename_job, id="job"),
    pytest.param({"pool": "SAP *"}, rename_pool, id="pool"),
]


@pytest.mark.parametrize(("on", "rename"), RENAMES)
async def test_a_rename_between_question_and_click_takes_the_old_names_right_away(
    on: dict[str, str], rename: Callable[[Sandbox], None]
) -> None:
    async with stage(policy=allowed_on(**on)) as scene:
        question = await scene.says(QUESTION)
        assert question.status is Status.QUESTION
        rename(scene.sandbox)
        click = scene.what(question, "Stop this job")
        card = (await scene.cards(click))[-1]
        assert card.headline.startswith("Nothing was done: "), card
        assert "called something else by now" in card.headline
        assert scene.cancels() == []
        assert isinstance(click, Clicked)
        assert await state_of(scene, click.confirm) == (State.DONE, Outcome.NOTHING_SENT)


@pytest.mark.parametrize(("on", "rename"), RENAMES)
async def test_a_rename_before_the_question_counts_though_the_names_were_kept(
    on: dict[str, str], rename: Callable[[Sandbox], None]
) -> None:
    async with stage(policy=allowed_on(**on)) as scene:
        assert (await scene.says(QUESTION)).status is Status.QUESTION, "the lists of names are warm now"
        rename(scene.sandbox)
        card = await scene.says(QUESTION)
        assert card.status is Status.REFUSED, card
        assert scene.cancels() == []


@pytest.mark.parametrize(
    ("on", "rename"), [({"job": "year-end *"}, rename_job), ({"pool": "Payroll"}, rename_pool)]
)
async def test_the_new_names_right_counts_though_the_names_were_kept(
    on: dict[str, str], rename: Callable[[Sandbox], None]
) -> None:
    async with stage(policy=allowed_on(**on)) as scene:
        assert (await scene.says(QUESTION)).status is Status.REFUSED
        rename(scene.sandbox)
        question = await scene.says(QUESTION)
        assert question.status is Status.QUESTION
        assert ("year-end close" if "job" in on else "Payroll") in question.headline
        assert (await scene.presses(question, "Stop this job")).headline.startswith("STOPPED")
        assert len(scene.cancels()) == 1


async def test_a_refusal_of_a_renamed_job_shows_nothing_of_it() -> None:
    async with stage(policy=allowed_on(job="main *")) as scene:
        question = await scene.says(QUESTION)
        rename_job(scene.sandbox)
        card = await scene.presses(question, "Stop this job")
        assert "year-end" not in repr(card)


async def test_a_pools_name_is_read_only_where_a_rule_names_pools() -> None:
    counts = []
    for policy in (allowed_on(job="main *"), allowed_on(pool="SAP *")):
        async with stage(policy=policy) as scene:
            await scene.says(QUESTION)
            before = scene.asked()
            await scene.says(QUESTION)
            counts.append(scene.asked() - before)
    assert counts == [2, 3]


# --- rights that were taken away ---


def demoted(scene: Stage) -> None:
    scene.chat.profiles[OPERATOR.id] = Profile(name="o", standing=Standing.GUEST)


def removed(scene: Stage) -> None:
    scene.chat.profiles[OPERATOR.id] = Profile(name="o", standing=Standing.EXTERNAL)


def a_bot(scene: Stage) -> None:
    scene.chat.profiles[OPERATOR.id] = Profile(name="o", standing=Standing.BOT)


def unreadable(scene: Stage) -> None:
    scene.chat.profiles[OPERATOR.id] = Profile()


def silent(scene: Stage) -> None:
    scene.chat.profile_takes = 3600.0


TAKEN_AWAY = pytest.mark.parametrize("changed", [demoted, removed, a_bot, unreadable, silent])


@TAKEN_AWAY
@pytest.mark.parametrize("label", ["Stop this job", "Leave it running"])
async def test_whoever_is_nobody_any_more_answers_no_question(
    changed: Callable[[Stage], None], label: str
) -> None:
    async with stage() as scene:
        question = await scene.says(QUESTION, person=SECOND, place=CHANNEL)
        click = scene.what(question, label)
        assert isinstance(click, Clicked)
        await scene.says("jobs", place=CHANNEL)
        changed(scene)
        card = (await scene.cards(click, place=CHANNEL))[-1]
        assert card.status is Status.REFUSED
        assert "Nothing was" in repr(card.blocks)
        assert "stays open" in repr(card.blocks)
        assert scene.cancels() == []
        assert (await state_of(scene, click.confirm or click.dismiss))[0] is State.OPEN


@TAKEN_AWAY
async def test_whoever_is_nobody_any_more_asks_no_question(changed: Callable[[Stage], None]) -> None:
    async with stage() as scene:
        for sentence in ("jobs failed", "jobs in SAP ECC"):
            await scene.says(sentence)
        scene.chat.known = {OPERATOR.id: await scene.chat.profile(OPERATOR)}
        changed(scene)
        before = scene.asked()
        card = await scene.says(QUESTION)
        assert card.status is Status.REFUSED
        assert scene.asked() - before <= 2, "no more than the lists of names"
        assert await scene.built.tickets.open_in(f"slack:{HOME}:D1") == ()


async def test_two_clicks_of_one_whose_right_is_gone_are_no_call() -> None:
    async with stage() as scene:
        question = await scene.says(QUESTION, person=SECOND, place=CHANNEL)
        demoted(scene)
        click = scene.what(question, "Stop this job")
        both = await asyncio.gather(*(scene.cards(click, place=CHANNEL) for _ in range(2)))
        assert all(cards[-1].status is Status.REFUSED for cards in both)
        assert scene.cancels() == []
        assert (await scene.cards(click, SECOND, CHANNEL))[-1].headline.startswith("STOPPED")


async def test_a_group_left_meanwhile_stops_nothing() -> None:
    group = f"slack:{HOME}:S1"
    rule = config.Rule(name="on call", who=config.Who(groups=(group,)), may=(config.Right.CANCEL,))
    async with stage(policy=[rule]) as scene:
        member = Profile(name="o", standing=Standing.MEMBER, groups=frozenset({group}))
        scene.chat.profiles[OPERATOR.id] = member
        question = await scene.says(QUESTION)
        assert question.status is Status.QUESTION
        scene.chat.profiles[OPERATOR.id] = replace(member, groups=frozenset())
        refused = await scene.presses(question, "Stop this job")
        assert refused.status is Status.REFUSED
        scene.chat.profiles[OPERATOR.id] = replace(member, groups=None)
        assert (await scene.presses(question, "Stop this job")).status is Status.REFUSED
        assert scene.cancels() == []


async def test_what_the_key_may_is_told_to_admins_alone() -> None:
    async with stage() as scene:
        before = scene.asked()
        refused = await scene.says("permissions")
        assert refused.status is Status.REFUSED
        assert scene.asked() == before
        told = await scene.says("permissions", person=someone("UADMIN"))
        assert "grants in" in told.headline


async def test_clicks_on_questions_count_against_a_persons_pace() -> None:
    async with stage() as scene:
        question = await scene.says(QUESTION, place=CHANNEL)
        click = scene.what(question, "Stop this job")
        heard = [(await scene.cards(click, CLERK, CHANNEL))[-1].headline for _ in range(31)]
        assert "in a minute" in heard[-1]
        assert not any("in a minute" in each for each in heard[:-1])
        assert (await scene.cards(click, place=CHANNEL))[-1].headline.startswith("STOPPED")


async def test_refusals_of_a_person_on_a_ticket_are_one_row_at_once_and_one_at_its_end() -> None:
    async with stage() as scene:
        question = await scene.says(QUESTION, place=CHANNEL)
        click = scene.what(question, "Stop this job")
        for _ in range(4):
            await scene.cards(click, CLERK, CHANNEL)
        rows = await recent(scene.built.audit, 20)
        assert sum(row.entry.decision == "refused" for row in rows if row.entry) == 1
        await scene.presses(question, "Leave it running", place=CHANNEL)
        rows = await recent(scene.built.audit, 20)
        refused = [row.entry for row in reversed(rows) if row.entry and row.entry.decision == "refused"]
        assert [each.outcome for each in refused] == ["", "refused 3 more times"]
        assert {each.person for each in refused} == {CLERK.key}
