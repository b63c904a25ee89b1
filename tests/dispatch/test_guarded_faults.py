"""What goes wrong in the middle of a write: never a call without its notes, never a second one, always a true card."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot import config
from bot.audit import Audit
from bot.audit_entries import Entry
from bot.celonis import Api
from bot.model.cards import Answer, Card, Status
from bot.model.errors import ApprovalSpent, Forbidden, StoreUnavailable, TicketGone, Unreachable
from bot.model.people import Clicked, MessageRef, Said
from bot.sandbox import Switches
from bot.store import audit_rows
from bot.writes.ticket import Outcome, State, Ticket, Tickets
from tests.audit_log import recent
from tests.story import CHANNEL, CLERK, DIRECT, HOME, OPERATOR, SECOND, Stage, following, stage

QUESTION = "stop main job pls"


async def ask(scene: Stage, sentence: str = QUESTION) -> tuple[Card, str, MessageRef]:
    """A question with its ticket and the message it stands in."""
    card = await scene.says(sentence, place=CHANNEL)
    assert card.status is Status.QUESTION, card
    said = scene.what(card, "Stop this job")
    assert isinstance(said, Clicked)
    ref = await scene.chat.post(CHANNEL, Answer(card))
    await scene.built.bot.attach(said.confirm, ref)
    return card, said.confirm, ref


async def click(scene: Stage, ticket: str, person: Any = OPERATOR) -> list[Answer]:
    return await scene.answers(Clicked(confirm=ticket), person, CHANNEL)


async def kept(scene: Stage, ticket: str) -> Ticket:
    found = await scene.built.tickets.load(ticket)
    assert found is not None
    return found


async def decisions(scene: Stage) -> list[str]:
    rows = await recent(scene.built.audit, 50)
    return [row.entry.decision for row in reversed(rows) if row.entry]


def shown_in(scene: Stage, ref: MessageRef) -> list[str]:
    return [shown.card.headline for where, shown in scene.chat.updated if where == ref]


def audit_loses(monkeypatch: pytest.MonkeyPatch, decision: str) -> None:
    write = Audit.write

    async def losing(self: Audit, entry: Entry) -> None:
        if entry.decision == decision:
            raise StoreUnavailable("The database does not answer.")
        await write(self, entry)

    monkeypatch.setattr(Audit, "write", losing)


async def test_a_confirmation_that_cannot_be_audited_sends_nothing_and_its_message_says_so_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage() as scene:
        _, ticket, ref = await ask(scene)
        with monkeypatch.context() as patch:
            audit_loses(patch, "confirmed")
            cards = await click(scene, ticket)
        assert cards[-1].card.status is Status.FAILED
        scene.clock.pass_by(120)
        await scene.built.bot.recover()
        assert shown_in(scene, ref)[-1] == "Interrupted before anything was sent; nothing was done"
        assert scene.cancels() == []
        assert (await kept(scene, ticket)).state is State.ABANDONED


async def test_a_call_that_cannot_be_audited_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        audit_loses(monkeypatch, "sending")
        cards = await click(scene, ticket)
        assert cards[-1].card.headline.startswith("Nothing was done")
        assert cards[-1].editable
        assert scene.cancels() == []
        assert (await kept(scene, ticket)).outcome is Outcome.NOTHING_SENT


async def test_an_outcome_that_cannot_be_audited_is_shown_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        audit_loses(monkeypatch, "done")
        cards = await click(scene, ticket)
        assert cards[-1].card.headline.startswith("STOPPED ")
        assert cards[-1].mention is not None


async def test_an_outcome_that_cannot_be_stored_is_shown_and_found_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lost(*_: object) -> bool:
        raise StoreUnavailable("The database does not answer.")

    async with stage() as scene:
        _, ticket, ref = await ask(scene)
        with monkeypatch.context() as patch:
            patch.setattr(Tickets, "finish", lost)
            cards = await click(scene, ticket)
        assert cards[-1].card.headline.startswith("STOPPED ")
        assert (await kept(scene, ticket)).state is State.SENDING
        scene.clock.pass_by(120)
        assert await scene.built.bot.recover() == 1
        assert shown_in(scene, ref)[-1].startswith("STOPPED ")
        assert (await kept(scene, ticket)).outcome is Outcome.STOPPED
        assert len(scene.cancels()) == 1


async def test_a_ticket_given_up_just_before_the_call_sends_nothing_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lost(*_: object) -> bool:
        return False

    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        monkeypatch.setattr(Tickets, "sending", lost)
        cards = await click(scene, ticket)
        assert "Nothing was sent" in repr(cards[-1])
        assert scene.cancels() == []
        assert "failed" in await decisions(scene)


def sends(monkeypatch: pytest.MonkeyPatch, before: Exception | None, after: Exception | None = None) -> None:
    cancel = Api.cancel_job

    async def failing(self: Api, *given: Any) -> None:
        if before is not None:
            raise before
        await cancel(self, *given)
        if after is not None:
            raise after

    monkeypatch.setattr(Api, "cancel_job", failing)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ApprovalSpent("The confirmation is too old by now."), Outcome.NOTHING_SENT),
        (Unreachable("No connection."), Outcome.NOTHING_SENT),
        (Forbidden("The key lacks a grant.", status=403), Outcome.REFUSED),
    ],
)
async def test_a_call_that_did_not_go_out_is_told_from_one_that_celonis_refused(
    error: Exception, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        sends(monkeypatch, error)
        cards = await click(scene, ticket)
        assert cards[-1].card.status is Status.FAILED
        assert cards[-1].card.headline.startswith("Nothing was done")
        assert (await kept(scene, ticket)).outcome is outcome


@pytest.mark.parametrize("error", [StoreUnavailable("The database does not answer."), RuntimeError("a bug")])
async def test_a_failure_behind_the_call_does_not_hide_what_the_call_did(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        sends(monkeypatch, None, error)
        cards = await click(scene, ticket)
        assert cards[-1].card.headline.startswith("STOPPED ")
        assert len(scene.cancels()) == 1


async def test_a_failure_of_our_own_before_the_call_ends_the_question_with_nothing_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("secret detail")

    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        monkeypatch.setattr(Api, "job", fails)
        cards = await click(scene, ticket)
        assert cards[-1].editable
        assert cards[-1].card.reference
        assert "secret detail" not in repr(cards)
        assert scene.cancels() == []
        assert (await kept(scene, ticket)).outcome is Outcome.NOTHING_SENT


async def test_a_question_of_another_version_ends_in_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(*_: object) -> None:
        raise TicketGone("This question was asked by another version of the bot.", undone="Nothing was sent.")

    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        monkeypatch.setattr(Tickets, "approve", older)
        cards = await click(scene, ticket)
        assert cards[-1].editable
        assert scene.cancels() == []
        assert (await kept(scene, ticket)).outcome is Outcome.NOTHING_SENT


async def test_who_has_lost_the_lease_stops_and_overwrites_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.writes.carry_out.KEEP_EVERY", 0.1)
    async with stage(switches=Switches(cancel_delay=200.0)) as scene:
        _, ticket, _ = await ask(scene)
        answering = following(scene.built.bot, scene.request(Clicked(confirm=ticket), OPERATOR, CHANNEL))
        cards: list[Answer] = []
        async for answer in answering:
            cards.append(answer)
            if answer.card.headline.startswith("Stopping"):
                await scene.built.tickets.finish(ticket, Outcome.STOPPED, "by another copy")
                await asyncio.sleep(0.1)
                scene.clock.pass_by(70)
        assert not any(each.card.headline.startswith("Still running") for each in cards), (
            "another copy has told the end"
        )
        assert not cards[-1].mention
        assert not cards[-1].replaces
        assert "stopped" in cards[-1].card.headline
        assert (await kept(scene, ticket)).outcome_note == "by another copy"


@pytest.mark.parametrize(
    ("at", "told"),
    [("job 1", "Interrupted"), ("before", "STILL RUNNING"), ("behind", "STOPPED"), ("job 2", "STOPPED")],
)
async def test_a_program_that_dies_anywhere_sends_one_call_at_most_and_the_end_is_told(
    at: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look, cancel = Api.job, Api.cancel_job

    async def looking(self: Api, *given: Any) -> Any:
        nonlocal looks
        looks += 1
        if at == f"job {looks}":
            raise asyncio.CancelledError
        return await look(self, *given)

    async def cancelling(self: Api, *given: Any) -> None:
        if at == "before":
            raise asyncio.CancelledError
        await cancel(self, *given)
        if at == "behind":
            raise asyncio.CancelledError

    async with stage() as scene:
        scene.sandbox.switches.run_duration = 1e9
        _, ticket, ref = await ask(scene)
        with monkeypatch.context() as patch:
            patch.setattr(Api, "job", looking)
            patch.setattr(Api, "cancel_job", cancelling)
            (dead,) = await asyncio.gather(
                asyncio.ensure_future(click(scene, ticket)), return_exceptions=True
            )
        assert isinstance(dead, asyncio.CancelledError)
        scene.clock.pass_by(120)
        if at == "before":
            monkeypatch.setattr("bot.commands.cancel.PATIENCE", 0.0)
        await scene.built.bot.recover()
        assert shown_in(scene, ref)[-1].startswith(told)
        assert len(scene.cancels()) == (told == "STOPPED")


async def test_an_answer_can_be_closed_while_it_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()

    async def slow(*_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    async with stage() as scene:
        monkeypatch.setattr(Api, "pools_paged", slow)
        monkeypatch.setattr("bot.dispatch.WORKING_AFTER", 0.2)
        answering = following(scene.built.bot, scene.request(Said("pools"), OPERATOR, DIRECT))
        assert (await anext(answering)).working
        assert started.is_set()
        await answering.aclose()


async def test_words_ask_the_newest_question_anew_and_leave_the_others_open() -> None:
    async with stage() as scene:
        scene.sandbox.pools.start(scene.sandbox.pools.find("final job"))
        _, first, _ = await ask(scene)
        _, second, ref = await ask(scene, "stop final job in SAP ECC")
        card = await scene.says("ok", place=CHANNEL)
        assert card.headline.startswith("Stop final job?")
        assert (await kept(scene, first)).state is State.OPEN
        assert (await kept(scene, second)).state is State.DISMISSED
        assert (await decisions(scene))[-2:] == ["dismissed", "asked"]
        assert "asked again" in shown_in(scene, ref)[-1]


async def test_a_question_that_runs_out_says_so_in_its_message_and_in_the_log() -> None:
    async with stage() as scene:
        _, ticket, ref = await ask(scene)
        scene.clock.pass_by(301)
        await scene.built.bot.recover()
        assert shown_in(scene, ref) == ["The question has expired; nothing was done"]
        (_, shown) = scene.chat.updated[-1]
        card = shown.card
        assert [button.label for button in card.buttons] == ["Ask again"]
        assert (await decisions(scene))[-1] == "expired"
        await scene.built.bot.recover()
        assert len(shown_in(scene, ref)) == 1
        assert (await kept(scene, ticket)).state is State.EXPIRED


async def test_a_long_watch_does_not_keep_other_unfinished_questions_waiting() -> None:
    async with stage(switches=Switches(cancel_delay=100_000.0)) as scene:
        scene.sandbox.pools.start(scene.sandbox.pools.find("final job"))
        _, sent, _ = await ask(scene)
        _, claimed, ref = await ask(scene, "stop final job in SAP ECC")
        async for _ in (
            answering := following(scene.built.bot, scene.request(Clicked(confirm=sent), OPERATOR, CHANNEL))
        ):
            if scene.cancels():
                break
        await answering.aclose()
        await scene.built.tickets.claim(claimed, OPERATOR)
        scene.clock.pass_by(120)
        recovering = asyncio.ensure_future(scene.built.bot.recover())
        try:
            async with asyncio.timeout(5):
                while not shown_in(scene, ref):  # noqa: ASYNC110 - the chat only remembers
                    await asyncio.sleep(0.01)
        finally:
            recovering.cancel()
            await asyncio.gather(recovering, return_exceptions=True)
        assert shown_in(scene, ref)[-1].startswith("Interrupted")


async def test_a_late_click_on_what_was_never_sent_does_not_say_that_it_was_done() -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        scene.sandbox.pools.finish(scene.sandbox.pools.find("main job"))
        await click(scene, ticket)
        (late,) = await click(scene, ticket, SECOND)
        assert "done once" not in late.card.headline.casefold()
        assert "Nothing was stopped" in late.card.headline


async def test_the_outcome_of_a_resumed_write_mentions_who_confirmed_it() -> None:
    async with stage() as scene:
        _, ticket, _ = await ask(scene)
        async for _ in (
            answering := following(scene.built.bot, scene.request(Clicked(confirm=ticket), OPERATOR, CHANNEL))
        ):
            if scene.cancels():
                break
        await answering.aclose()
        scene.clock.pass_by(120)
        cards = await click(scene, ticket, SECOND)
        assert cards[-1].card.headline.startswith("STOPPED ")
        assert cards[-1].mention == (OPERATOR,)


def one_job() -> tuple[config.Rule, ...]:
    return (
        config.Rule(
            name="one job",
            who=config.Who(slack=(f"{HOME}:{CLERK.id}",)),
            may=(config.Right.CANCEL,),
            on=config.On(pool=("SAP ECC",), job=("main job",)),
        ),
    )


async def test_who_may_stop_one_job_is_offered_that_one_by_the_bare_word() -> None:
    async with stage(policy=one_job()) as scene:
        scene.sandbox.pools.start(scene.sandbox.pools.find("final job"))
        for sentence in ("cancel", "cancel in SAP ECC"):
            card = await scene.says(sentence, CLERK)
            labels = [button.label for button in card.buttons]
            assert any("main job" in label for label in labels), card
            assert not any("final job" in label for label in labels)


async def test_somebody_in_a_hurry_fills_neither_the_log_nor_the_store() -> None:
    async with stage() as scene:
        for _ in range(60):
            await scene.says("help", CLERK)
        assert "pace" not in repr(await recent(scene.built.audit, 100))


async def test_a_read_whose_row_cannot_be_written_is_answered_and_told_of_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(reads_logged=True) as scene:
        with monkeypatch.context() as patch:
            patch.setattr(audit_rows, "append", _refusing)
            assert (await scene.says("pools")).status is Status.ANSWERED
            await scene.built.audit.flush()
        await scene.says("pools")
        await scene.built.audit.flush()
        kinds = [json.loads(line)["entry"]["kind"] async for line in scene.built.audit.export()]
        assert kinds == ["gap", "decision"]


async def _refusing(*_: object, **__: object) -> Any:
    raise StoreUnavailable("The database does not answer.")


async def test_the_log_names_no_personal_chat() -> None:
    async with stage() as scene:
        await scene.says(QUESTION, place=DIRECT)
        await scene.says(QUESTION, place=CHANNEL)
        places = [row.entry.place for row in await recent(scene.built.audit, 9) if row.entry]
        assert places == [CHANNEL.key, f"slack:{HOME}:personal"]
