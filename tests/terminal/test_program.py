"""The program as somebody at a terminal runs it."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from adapters.terminal.chat import local_person
from bot.sandbox import Fault, Sandbox, Switches
from tests.program import Done, Program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", name="program")
def _program() -> Iterator[Program]:
    with Program() as program:
        yield program


def run(
    program: Program,
    *words: str,
    typed: str = "",
    folder: Path | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Done:
    return program.run(words, folder=folder or ROOT, environ={"TZ": "Europe/Berlin", **environ}, typed=typed)


def test_the_demo_stops_a_job_with_one_call_after_the_confirming_choice(program: Program) -> None:
    done = run(program, "demo", typed="jobs\nstop main job\n1\n")
    assert done.returncode == 0, done.stderr
    assert "Stop main job?" in done.stdout
    assert re.search(r"STOPPED \d\d:\d\d \w+ by \w+: main job \(SAP ECC\)", done.stdout)
    assert "1 time(s) to cancel a job" in done.stdout
    assert "SANDBOX" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demo_ends_with_its_input_and_takes_the_words_of_a_button(program: Program) -> None:
    done = run(program, "demo", typed="stop main job\nLeave it running\nyes\n")
    assert done.returncode == 0, done.stderr
    assert "Nothing was done" in done.stdout
    assert "0 time(s) to cancel a job" in done.stdout


def test_the_demo_fills_in_a_form_by_numbers_and_by_words(program: Program) -> None:
    typed = 'form of "Order to Cash"\nOn-time delivery\nCountry\n2\nGermany\nShow the value\n'
    done = run(program, "demo", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "On-time delivery where Country is …" in done.stdout
    assert re.search(r"SANDBOX · \d[^\n]*On-time delivery, Country = Germany", done.stdout), done.stdout[
        -3000:
    ]


def test_the_demo_asks_for_what_is_to_be_typed(program: Program) -> None:
    form = 'form data "Sales orders" of "Order to Cash" values "Value in EUR" with >='
    done = run(program, "demo", typed=f"{form}\nUse this value\nmuch\n1\n10k\nHow many\n")
    assert done.returncode == 0, done.stderr
    assert "“much” does not fit Value in EUR" in done.stdout
    assert re.search(r"SANDBOX · [\d,]+ Sales orders, Value in EUR >= 10k", done.stdout), done.stdout[-3000:]


def test_the_demo_goes_on_after_a_line_of_more_digits_than_a_number_may_have(program: Program) -> None:
    done = run(program, "demo", typed="jobs\n" + "9" * 5000 + "\npools\n")
    assert done.returncode == 0, done.stderr
    assert "That is longer than the 4,000 characters I read." in done.stdout
    assert "data pools, " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


QUESTIONS = (
    ("kpis of Order to Cash", 0),
    ("data Materials show material name, material group where payment amount > 1000 sort -payment amount", 0),
    ("jobs", 0),
    ("stop main job", 3),
    ("fribble the wobbles", 2),
    ("job quarterly xyzzy", 2),
    ("fields Matrials of Order to Cash", 2),
)


@pytest.mark.parametrize(
    ("question", "form"),
    [
        (0, "text"),
        (0, "slack"),
        (1, "json"),
        (1, "teams"),
        (2, "text"),
        (2, "json"),
        (3, "slack"),
        (3, "teams"),
    ],
)
def test_one_question_in_every_format(program: Program, question: int, form: str) -> None:
    sentence, code = QUESTIONS[question]
    done = run(program, "ask", sentence, "--sandbox", "--format", form)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if form != "text":
        json.loads(done.stdout)


@pytest.mark.parametrize(("sentence", "code"), QUESTIONS[4:])
def test_what_is_not_understood_has_its_exit_code(program: Program, sentence: str, code: int) -> None:
    done = run(program, "ask", sentence, "--sandbox")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_settings_the_program_says_what_to_set(program: Program, tmp_path: Path) -> None:
    done = run(program, "ask", "jobs", folder=tmp_path)
    assert done.returncode == 1
    assert "CELONIS_" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_question_over_an_embedded_sandbox_needs_no_key_and_promises_no_later_click(
    program: Program,
) -> None:
    done = run(program, "ask", "stop main job", "--sandbox")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "--confirm" not in done.stderr
    assert "This sandbox ends here, and the question with it." in done.stderr


def test_a_wrong_call_is_explained(program: Program) -> None:
    nothing = run(program, "ask")
    assert (nothing.returncode, "sentence" in nothing.stderr) == (2, True)
    assert "no key called" in run(program, "ask", "jobs", "--sandbox", "--sandbox-key", "nobody").stderr


def test_sandbox_is_a_flag_and_takes_no_word_of_the_sentence(program: Program) -> None:
    done = run(program, "ask", "--sandbox", "pools")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "SANDBOX · 5 data pools, 3 active")
    both = run(program, "ask", "--sandbox", "--sandbox-url", "http://127.0.0.1:1", "pools")
    assert (both.returncode, "either --sandbox or --sandbox-url" in both.stderr) == (2, True)


REAL_CHAT = {
    "SLACK_BOT_TOKEN": "xoxb-made-up",
    "SLACK_SIGNING_SECRET": "made-up-signing-secret",
    "CELONIS_CHAT_SECRET_KEY": "made-up-secret-key-of-enough-length",
    "CELONIS_CHAT_ZONE": "Europe/Berlin",
    "CELONIS_CHAT_BINDINGS": '[{"slack": "T0123456", "connections": ["default"]}]',
}


@pytest.mark.parametrize("option", [["--sandbox"], ["--sandbox-url", "http://127.0.0.1:1"]])
@pytest.mark.parametrize("command", [["ask", "pools"], ["serve", "--port", "0", "--admin-port", "0"]])
def test_with_real_chat_tokens_a_sandbox_must_be_forced(
    program: Program, command: list[str], option: list[str], tmp_path: Path
) -> None:
    done = run(program, *command, *option, environ=REAL_CHAT, folder=tmp_path)
    assert done.returncode == 1
    assert "add --force" in done.stderr


def test_a_forced_sandbox_answers_beside_real_chat_tokens(program: Program, tmp_path: Path) -> None:
    done = run(program, "ask", "pools", "--sandbox", "--force", environ=REAL_CHAT, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "data pools" in done.stdout


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


KEY = {"CELONIS_CHAT_SECRET_KEY": "not a secret - " * 3}
NEWER_KEY = {"CELONIS_CHAT_SECRET_KEY": "another one - " * 3 + "," + KEY["CELONIS_CHAT_SECRET_KEY"]}


async def ask_at(
    program: Program, sandbox: Sandbox, folder: Path, words: Sequence[str], environ: Mapping[str, str] = KEY
) -> Done:
    import asyncio

    words = ["ask", *words, "--sandbox-url", sandbox.url]
    return await asyncio.to_thread(lambda: run(program, *words, folder=folder, environ=environ))


async def test_a_ticket_is_confirmed_by_a_second_call_of_the_program(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.switches.update({"cancel_delay": 0.1})
    asked = await ask_at(program, sandbox, tmp_path, ["stop main job", "--format", "json"])
    assert asked.returncode == 3, asked.stderr
    ticket = next(
        each["action"]["ticket"] for each in json.loads(asked.stdout)["buttons"] if "Stop" in each["label"]
    )
    done = await ask_at(program, sandbox, tmp_path, ["--confirm", ticket])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "STOPPED" in done.stdout
    again = await ask_at(program, sandbox, tmp_path, ["--confirm", ticket])
    assert again.returncode == 1
    assert sum(each.path.endswith("/cancel") for each in sandbox.log) == 1


async def test_without_a_secret_key_nothing_is_stopped(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    asked = await ask_at(program, sandbox, tmp_path, ["stop main job"], {})
    assert asked.returncode == 1
    assert "CELONIS_CHAT_SECRET_KEY is not set" in asked.stdout
    assert "--confirm" not in asked.stderr


def verify(program: Program, folder: Path, *words: str, environ: Mapping[str, str] = KEY) -> Done:
    return run(program, "audit", "verify", *words, folder=folder, environ=environ)


async def test_the_log_is_checked_at_the_command_line(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.switches.update({"cancel_delay": 0.1})
    database = tmp_path / "celonis-chat.db"
    assert "There is no database" in verify(program, tmp_path).stderr
    assert not database.exists()
    await ask_at(program, sandbox, tmp_path, ["models"])
    empty = verify(program, tmp_path)
    assert (empty.returncode, empty.stderr) == (0, "")
    assert "whole: rows 1 to 1. Head: 1:" in empty.stdout
    assert "Not checked" in empty.stdout

    asked = await ask_at(program, sandbox, tmp_path, ["stop main job", "--format", "json"])
    ticket = re.search(r'"ticket": ?"([^"]+)"', asked.stdout)
    assert ticket
    shutil.copy(database, tmp_path / "earlier.db")
    await ask_at(program, sandbox, tmp_path, ["--confirm", ticket[1]], NEWER_KEY)
    whole = verify(program, tmp_path, environ=NEWER_KEY)
    assert whole.returncode == 0, whole.stdout
    assert "rows 1 to 5" in whole.stdout
    head = whole.stdout.split("Head: ")[1].split()[0]
    checked = verify(program, tmp_path, "--head", head, environ=NEWER_KEY)
    assert (checked.returncode, checked.stdout) == (0, f"The log is whole: rows 1 to 5. Head: {head}\n")

    for words, environ, said in (
        (("--head", "4:ab"), NEWER_KEY, "no head of the audit log"),
        ((), KEY, "does not hold the key"),
        ((), {}, "CELONIS_CHAT_SECRET_KEY is not set"),
        ((), {"DATABASE_URL": "sqlite:///nowhere.db", **KEY}, "There is no database"),
        ((), {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", **KEY}, "cannot be used"),
    ):
        failed = verify(program, tmp_path, *words, environ=environ)
        assert (failed.returncode, failed.stdout) == (1, ""), failed.stdout
        assert said in failed.stderr
        assert "Traceback" not in failed.stderr

    shutil.copy(database, tmp_path / "kept.db")
    shutil.copy(tmp_path / "earlier.db", database)
    assert verify(program, tmp_path, environ=NEWER_KEY).returncode == 0
    back = verify(program, tmp_path, "--head", head, environ=NEWER_KEY)
    assert (back.returncode, back.stderr) == (3, "")
    assert "broken at row 3: The given head names row 5, but the log ends with row 2" in back.stdout

    shutil.copy(tmp_path / "kept.db", database)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE audit_rows SET person = NULL WHERE seq = 1")
    connection.close()
    assert (
        "rows 1 to 5, 1 of them without the name"
        in verify(program, tmp_path, "--head", head, environ=NEWER_KEY).stdout
    )
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER audit_rows_kept_update")
        connection.execute("UPDATE audit_rows SET entry = replace(entry, 'confirmed', 'dismissed')")
    connection.close()
    broken = verify(program, tmp_path, environ=NEWER_KEY)
    assert (broken.returncode, broken.stderr) == (3, "")
    assert "broken at row 3" in broken.stdout


@pytest.mark.parametrize(
    ("fault", "key"),
    [(Fault("html"), "operator"), (None, "powerless"), (None, "disabled"), (None, "failing")],
    ids=["html", "no USE PACKAGE", "API switched off", "server error"],
)
async def test_trouble_is_a_sentence_and_never_a_traceback(
    program: Program, sandbox: Sandbox, tmp_path: Path, fault: Fault | None, key: str
) -> None:
    if fault is not None:
        sandbox.faults.add(fault)
    km = "open-purchase-requisition.purchase-requisition-km"
    done = await ask_at(program, sandbox, tmp_path, [f"model {km}", "--sandbox-key", key])
    assert done.returncode in {1, 2}, done.stdout
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()


async def test_a_dead_server_is_a_sentence(program: Program, tmp_path: Path) -> None:
    async with Sandbox() as gone:
        pass
    done = await ask_at(program, gone, tmp_path, ["models"])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert Switches().cancel_delay == 3.0


def test_the_person_is_whoever_the_system_says_and_not_what_a_variable_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "the-admin")
    assert local_person().id == pwd.getpwuid(os.getuid()).pw_name != "the-admin"
    monkeypatch.setattr(os, "getuid", lambda: 4_123_456)
    assert local_person().id == "4123456", "a user without a name, as in a container"


def test_a_question_can_be_asked_over_the_data_of_another_team(program: Program) -> None:
    folder = str(ROOT / "tests" / "language" / "catalogs" / "hafen")
    done = run(program, "ask", "--sandbox", "--data", folder, "kpi Berth utilisation of Harbour Logistics")
    assert done.returncode == 0, done.stderr
    assert "\nHarbour Logistics · " in done.stdout
    done = run(program, "demo", "--data", folder, typed="pools\n")
    assert "Port System" in done.stdout


@pytest.mark.parametrize("words", [["sandbox"], ["demo"], ["ask", "--sandbox", "pools"]])
def test_a_folder_that_holds_no_team_is_a_sentence(
    program: Program, tmp_path: Path, words: list[str]
) -> None:
    done = run(program, *words, "--data", str(tmp_path))
    assert done.returncode == 2
    assert "The data cannot be served: " in done.stderr
    assert "pools.json is missing." in done.stderr
    assert "Traceback" not in done.stderr
    done = run(program, *words, "--data", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_a_folder_without_an_embedded_sandbox_is_a_wrong_use(program: Program, tmp_path: Path) -> None:
    done = run(program, "ask", "--data", str(tmp_path), "pools")
    assert done.returncode == 2
    assert "--data is about --sandbox" in done.stderr
