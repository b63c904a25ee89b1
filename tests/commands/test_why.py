"""Why a run failed: which run is meant, what of its log is shown, and that nothing in a log is taken at its word."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.celonis import LogLine
from bot.commands.why import LONGEST, known_messages, meaning
from bot.model.cards import Facts, Status, Text
from tests.story import Stage, stage

KEY = "MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAwOnNlY3JldHNlY3JldA=="


def line(code: str = "", text: str = "") -> LogLine:
    return LogLine.model_validate({"logTranslationCode": code, "logMessage": text, "level": "ERROR"})


async def told(scene: Stage, sentence: str) -> str:
    """Everything that a card says."""
    card = await scene.says(sentence)
    said = [card.headline]
    for block in card.blocks:
        match block:
            case Text(text):
                said.append(text)
            case Facts(facts):
                said += [f"{each.label}: {getattr(each.value, 'text', '')}" for each in facts]
            case _:
                pass
    return "\n".join(said)


def logged(scene: Stage, errors: Sequence[tuple[str, str]]) -> None:
    """Gives the failed task of a job this log."""
    stages = scene.sandbox.pools.find("Extract invoices").stages
    object.__setattr__(stages[1], "errors", errors)


async def test_the_errors_of_the_failed_task_are_shown_with_what_they_mean() -> None:
    async with stage() as scene:
        said = await told(scene, "why did extract invoices fail?")
        assert "the source system was not reachable: Extract invoices" in said
        assert "connection timed out after 60 s" in said
        assert "RFC_COMMUNICATION_FAILURE" in said
        assert "Ask whoever runs the source system" in said


async def test_a_failed_job_leads_to_its_reason_and_the_bare_word_means_it() -> None:
    async with stage() as scene:
        card = await scene.says("extract invoices")
        reason = await scene.presses(card, "Why did Extract invoices fail?")
        assert reason.headline.startswith("Failed ")
        await scene.says("job extract invoices")
        assert (await scene.says("why")).headline == reason.headline
        assert (await scene.says("jobs in PyCelonis Tutorial Data Pool")).status is Status.ANSWERED


async def test_the_bare_word_alone_says_what_it_can_tell() -> None:
    async with stage() as scene:
        card = await scene.says("why")
        assert "why a data job failed" in card.headline


async def test_of_a_kpi_it_still_says_that_it_knows_no_causes() -> None:
    async with stage() as scene:
        card = await scene.says("why is on-time delivery so low")
        assert "I can't tell causes" in card.headline


async def test_a_run_that_failed_before_the_active_one_is_told_apart_from_it() -> None:
    async with stage() as scene:
        said = await told(scene, "why main job")
        assert said.startswith("Failed ")
        assert "The newest run since: running" in said


async def test_a_job_that_never_ran_or_never_failed_says_so() -> None:
    async with stage() as scene:
        assert (await scene.says("why archive old documents")).headline.startswith("Never run")
        assert "No run that Celonis still tells of has failed." in await told(scene, "why initial job")


async def test_of_many_errors_the_first_and_the_last_are_shown_and_the_rest_is_counted() -> None:
    async with stage() as scene:
        logged(scene, [("X", f"error number {at} of it") for at in range(9)])
        said = await told(scene, "why extract invoices")
        assert [at for at in range(9) if f"error number {at} " in said] == [0, 1, 2, 8]
        assert "5 more not shown" in said


@pytest.mark.parametrize(
    "secret", [f"AppKey {KEY}", "password=Summer2026!", "https://me:hunter22@sap.example"]
)
async def test_no_secret_in_a_log_reaches_a_card(secret: str) -> None:
    async with stage() as scene:
        logged(scene, [("EXTRACTION_FAILED", f"Logging in with {secret} did not work.")])
        said = await told(scene, "why extract invoices")
        assert "[redacted]" in said
        assert not any(each in said for each in (KEY, "Summer2026", "hunter22"))


async def test_a_long_message_is_cut_visibly() -> None:
    async with stage() as scene:
        logged(scene, [("X", "long " * 400)])
        said = await told(scene, "why extract invoices")
        assert "… (cut)" in said
        assert len(said) < LONGEST + 600


def test_a_cause_is_named_before_what_follows_from_it() -> None:
    both = [line("EXTRACTION_FAILED", "Extraction failed."), line("DATASOURCE_NOT_REACHABLE")]
    known = meaning(both)
    assert known is not None
    assert known.short == "the source system was not reachable"
    assert meaning([line("SOMETHING_ELSE", "who knows")]) is None
    assert meaning([line("", "ORA-01017: invalid username/password; logon denied")]) is not None


def test_no_code_stands_twice_and_what_messages_say_is_written_small() -> None:
    codes = [code for each in known_messages() for code in each.codes]
    assert len(codes) == len(set(codes))
    assert all(text == text.casefold() for each in known_messages() for text in each.says)
