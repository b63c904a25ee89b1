"""Files in the terminal: into the current directory, over nothing that is there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from rich.console import Console

from adapters.terminal.chat import TerminalChat, local_person
from bot.model.chat import File
from bot.model.errors import Undelivered

FILE = File("orders.csv", b"a,b\r\n", "1 row of orders")


def found(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        each.name: (each.read_bytes(), stat.S_IMODE(each.stat().st_mode)) for each in sorted(folder.iterdir())
    }


async def test_a_file_lies_in_the_current_directory_for_its_person_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chat = TerminalChat(Console())
    names = ["orders-2.csv", "orders-3.csv", "orders.csv"]
    said = [await chat.file(local_person(), FILE) for _ in names]
    assert all(any(name in each for each in said) for name in names)
    assert found(tmp_path) == dict.fromkeys(names, (FILE.content, 384))


async def test_where_nothing_can_be_written_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Undelivered, match="cannot be written here"):
        await TerminalChat(Console()).file(local_person(), File("no/such/folder.csv", b"", ""))
