"""`ask -` and `ask --explain`: the contract of docs/terminal.md."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.language.edges import Cost
from bot.sandbox import Sandbox
from tests.program import Done, Program

KEYS = ["text", "outcome", "said", "headline", "offers", "ticket", "corrections", "calls", "exit_code"]
EXIT = {"answered": 0, "refused": 1, "failed": 1, "asked": 2, "unclear": 2, "question": 3}


@pytest.fixture(scope="module", name="program")
def _program() -> Iterator[Program]:
    with Program() as program:
        yield program


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


def run(program: Program, folder: Path, *words: str, typed: str = "", **environ: str) -> Done:
    return program.run(
        ["ask", *words], folder=folder, environ={"TZ": "Europe/Berlin", **environ}, typed=typed
    )


def answers(done: Done) -> list[dict[str, Any]]:
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    lines = [json.loads(each) for each in done.stdout.splitlines()]
    for each in lines:
        assert list(each)[: len(KEYS)] == KEYS
        assert each["exit_code"] == EXIT[each["outcome"]], each
    return lines


def said(program: Program, folder: Path, sentences: Sequence[str], *words: str) -> list[dict[str, Any]]:
    typed = "".join(f"{each}\n" for each in sentences)
    return answers(run(program, folder, "-", "--sandbox", *words, typed=typed))


def test_each_sentence_has_a_line_of_its_own(program: Program, tmp_path: Path) -> None:
    sentences = [
        "  pools ",
        "number of orders per country top 3",
        "on time delivry in germany",
        "cancel main job",
        "shipped last month kpis of Order to Cash xyzzy",
        "fribble the wobbles",
        "kpis",
    ]
    lines = said(program, tmp_path, sentences)
    assert [each["text"] for each in lines] == [each.strip() for each in sentences]
    pools, orders, delivery, stop, _, nothing, kpis = lines
    assert pools["outcome"] == "answered"
    assert pools["said"] == "pools via sandbox #sandbox"
    assert pools["headline"] == "5 data pools, 3 active"
    assert pools["calls"] > 0
    assert orders["said"].startswith('kpi "Number of orders" #ORDER_COUNT of "Order to Cash" #')
    assert " top 3 " in orders["said"]
    assert delivery["corrections"] == [["on time delivry", "On-time delivery"]]
    assert (stop["outcome"], stop["said"].startswith('cancel "main job" #')) == ("question", True)
    assert len(stop["ticket"]) > 16
    assert (nothing["outcome"], nothing["said"], nothing["ticket"]) == ("unclear", "", "")
    assert (kpis["outcome"], kpis["said"]) == ("asked", "")
    assert any(each.startswith('kpis of "Order to Cash" #') for each in kpis["offers"])


def test_lines_are_one_conversation_until_an_empty_one(program: Program, tmp_path: Path) -> None:
    lines = said(
        program,
        tmp_path,
        [
            *('use "Order to Cash"', "kpis", "number of orders", "by country", "refresh", ""),
            *("by country", "refresh", "kpis", " \t ", "", "jobs"),
        ],
    )
    used, kpis, orders, by_country, again, lost, nothing, asked, jobs = lines
    assert (used["outcome"], kpis["outcome"], asked["outcome"]) == ("answered", "answered", "asked")
    assert 'of "Order to Cash" #' in kpis["said"]
    assert " by Country #" not in orders["said"]
    assert " by Country #" in by_country["said"]
    assert again["said"] == by_country["said"]
    assert (lost["outcome"], nothing["outcome"], jobs["outcome"]) == ("unclear", "refused", "answered")


def test_a_choice_that_was_offered_is_taken(program: Program, tmp_path: Path) -> None:
    kpis, second = said(program, tmp_path, ["kpis", "the second one"], "--explain")
    assert second["said"] == kpis["offers"][1]
    assert second["account"] == [["the second one", "choice"]]
    assert [each["won"] for each in kpis["candidates"]] == [True] * len(kpis["offers"])


def test_more_than_a_person_may_say_in_a_minute_is_answered(program: Program, tmp_path: Path) -> None:
    lines = said(program, tmp_path, ["pools"] * 40)
    assert {each["outcome"] for each in lines} == {"answered"}
    assert {each["calls"] for each in lines[1:]} == {0}


def test_no_input_ends_it(program: Program, tmp_path: Path) -> None:
    lines = said(
        program,
        tmp_path,
        ["x" * 5000, "\x00\x1b[31m", '"', "🙂", "of of of", "9" * 5000, "-", "--confirm x", "data", "pools"],
        "--explain",
    )
    assert len(lines) == 10
    assert [each["outcome"] for each in lines[:2]] == ["unclear", "unclear"]
    assert lines[-1]["outcome"] == "answered"
    assert said(program, tmp_path, []) == []
    assert said(program, tmp_path, ["", ""]) == []
    assert len(answers(run(program, tmp_path, "-", "--sandbox", typed="pools"))) == 1, (
        "a last line without end"
    )


@pytest.mark.parametrize(
    "words",
    [("-", "--format", "slack"), ("--explain", "--confirm", "x"), ("jobs", "--explain", "--format", "teams")],
)
def test_what_does_not_go_together_is_said(program: Program, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(program, tmp_path, *words, "--sandbox")
    assert (done.returncode, done.stdout, "Usage:" in done.stderr) == (2, "", True)


async def test_a_ticket_of_a_line_is_confirmed_by_another_call(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    import asyncio

    sandbox.switches.update({"cancel_delay": 0.1})
    environ = {"CELONIS_CHAT_SECRET_KEY": "not a secret - " * 3}

    def ask(*words: str, typed: str = "") -> Done:
        return run(program, tmp_path, *words, "--sandbox-url", sandbox.url, typed=typed, **environ)

    (question,) = answers(await asyncio.to_thread(ask, "-", typed="stop main job pls\n"))
    assert question["outcome"] == "question"
    done = await asyncio.to_thread(ask, "--confirm", question["ticket"])
    assert (done.returncode, "STOPPED" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_place_of_the_terminal_keeps_what_it_chose_to_itself(program: Program, tmp_path: Path) -> None:
    (tmp_path / "celonis-chat.toml").write_text('zone = "Europe/Berlin"\n\n[aliases]\numsatz = "kpis"\n')
    used, kpis = said(program, tmp_path, ['use "Order to Cash"', "umsatz"], "--explain")
    assert (used["outcome"], kpis["outcome"]) == ("answered", "answered")
    assert kpis["account"] == [["kpis", "exact"]], "an alias is accounted for as what it stands for"


# --- why


def test_every_word_is_accounted_for_and_the_winner_is_the_cheapest(program: Program, tmp_path: Path) -> None:
    orders, delivery, exact, order, strange = said(
        program,
        tmp_path,
        [
            "number of open orders per country top 5",
            "on time delivry in germany",
            "jobs",
            "stop main job pls",
            "fribble",
        ],
        "--explain",
    )
    assert [words for words, _ in orders["account"]] == [
        "number of open orders",
        "per",
        "country",
        "top",
        "5",
    ]
    assert ["country", "field Country"] in orders["account"]
    assert exact["account"] == [["jobs", "exact"]]
    assert order["account"] == [["stop main job pls", "order"]]
    assert strange["account"] == [["fribble", "not understood"]]
    assert [(each["won"], each["lost_by"]) for each in strange["candidates"]] == [(False, "unknown")]
    for each in (orders, delivery, exact, order):
        first, *rest = each["candidates"]
        assert (first["sentence"], first["won"], first["lost_by"]) == (each["said"], True, "")
        assert tuple(first["costs"]) == Cost._fields
        for other in rest:
            assert not other["won"]
            names = [name for name in Cost._fields if other["costs"][name] != first["costs"][name]]
            assert other["lost_by"] == names[0]
            assert other["costs"][names[0]] > first["costs"][names[0]]
    assert delivery["candidates"][0]["costs"]["edits"] == 1
    assert len(delivery["candidates"]) > 1


def test_the_account_of_one_answer_stands_under_it(program: Program, tmp_path: Path) -> None:
    done = run(program, tmp_path, "on time delivry in germany", "--sandbox", "--explain")
    assert done.returncode == 0, done.stderr
    answer, _, why = done.stdout.partition("\nWhat each word was read as\n")
    assert "90.7% On-time delivery" in answer
    assert "  on time delivry  KPI On-time delivery\n" in why
    assert '→ kpi "On-time delivery" #' in why
    assert "    cost: edits 1, " in why
    assert "    not taken: words not understood 1 against 0\n" in why


def test_the_account_is_a_part_of_the_json_of_one_answer(program: Program, tmp_path: Path) -> None:
    done = run(program, tmp_path, "jobs", "--sandbox", "--explain", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["status"], told["account"]) == ("answered", [["jobs", "exact"]])
    assert [each["won"] for each in told["candidates"]] == [True]
    strange = run(program, tmp_path, "fribble \x1b[31m", "--sandbox", "--explain")
    assert (strange.returncode, "\x1b" in strange.stdout) == (2, False)
