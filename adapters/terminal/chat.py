"""A chat in the terminal: type a sentence, or the number of a button."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from rich.console import Console

from adapters.terminal.text import render_rich
from bot.dispatch import Bot
from bot.language.say import say, with_typed
from bot.model.cards import Action, Answer, Button, Confirm, Dismiss, OpenUrl, Run, Submit, buttons
from bot.model.chat import File
from bot.model.errors import Undelivered
from bot.model.people import (
    Clicked,
    MessageRef,
    Person,
    Place,
    Profile,
    Request,
    Said,
    Standing,
    Utterance,
    Visibility,
)

PLATFORM = "local"


def local_person() -> Person:
    """Whoever runs the program."""
    name = _user()
    return Person(PLATFORM, platform.node() or "localhost", name, name)


def _user() -> str:
    """The user whose program this is, by the system's own account: variables such as LOGNAME say what one likes."""
    try:
        import pwd
    except ImportError:  # pragma: no cover - Windows
        return os.getlogin()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def local_place() -> Place:
    """The terminal; nobody else reads along."""
    return Place(PLATFORM, platform.node() or "localhost", "terminal", Visibility.PERSONAL)


class TerminalChat:
    """The chat port for one person at one terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sent = 0

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        """Print an answer."""
        self._sent += 1
        self._console.print(render_rich(answer.card, answer.reader))
        return MessageRef(PLATFORM, place, str(self._sent))

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        """Print the answer again: what is printed stays."""
        self._console.print(render_rich(answer.card, answer.reader))

    async def file(self, person: Person, file: File) -> str:
        """Write it into the current directory, over no other file; only the person may read it."""
        try:
            path = await asyncio.to_thread(_written, file)
        except OSError as error:
            raise Undelivered(
                f"The file cannot be written here: {error.strerror}.",
                hint="Start the program in a directory of your own.",
                undone="No file was written.",
            ) from error
        return f"It is in {path}, in the current directory."

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        """Whoever sits at the machine is a full member of it."""
        return Profile(name=person.name or person.id, standing=Standing.MEMBER)

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        """Nobody reads along in a terminal."""
        return False

    async def direct(self, person: Person) -> Place | None:
        """The terminal itself."""
        return local_place()


def _written(file: File) -> Path:
    """Where a file now lies; what has its name already stays as it is."""
    path = Path(file.name)
    for number in count(2):
        try:
            with open(path, "xb", opener=partial(os.open, mode=0o600)) as written:
                written.write(file.content)
        except FileExistsError:
            path = Path(f"{Path(file.name).stem}-{number}{Path(file.name).suffix}")
        else:
            break
    return path


def pressed(action: Action, typed: str = "") -> Utterance | None:
    """What a button says when it is pressed here, after something was typed; None for those that lead to a page."""
    match action:
        case Run(intent):
            return Clicked(sentence=say(intent))
        case Submit(intent):
            return Clicked(sentence=with_typed(say(intent), typed))
        case Confirm(ticket):
            return Clicked(confirm=ticket)
        case Dismiss(ticket):
            return Clicked(dismiss=ticket)
        case OpenUrl():
            return None


async def converse(bot: Bot, console: Console, *, ids: Callable[[], str], greeting: str) -> None:
    """Read lines until the end of the input, answer each before the next one is read.

    Args:
        bot: Answers.
        console: Where to print; lines are read from standard input.
        ids: Makes request ids.
        greeting: What to say first.
    """
    person, place = local_person(), local_place()
    console.print(greeting, markup=False)
    shown: tuple[Button, ...] = ()

    async def show(answer: Answer) -> None:
        nonlocal shown
        if answer.working:
            console.print(f"… {answer.card.headline}", markup=False, style="dim")
            return
        console.print(render_rich(answer.card, answer.reader))
        shown = buttons(answer.card)
        if answer.mention:
            names = " ".join(f"@{each.name}" for each in answer.mention)
            line = f"{names}: {answer.card.headline}"
            console.print(line, markup=False, style="bold")

    while True:
        line = await asyncio.to_thread(_read_line, console)
        if line is None or line.strip().casefold() in {"exit", "quit", "bye"}:
            return
        chosen = _chosen(line, shown)
        if chosen is not None and isinstance(chosen.action, Submit):
            line = await asyncio.to_thread(_read_line, console, "…") or ""
        said = pressed(chosen.action, line) if chosen is not None else Said(line.strip())
        if said is None:
            continue
        request = Request(id=ids(), said=said, person=person, place=place)
        await bot.answer(request, show)


def _read_line(console: Console, prompt: str = ">") -> str | None:
    if sys.stdin.isatty():
        try:
            return console.input(f"[bold cyan]{prompt}[/] ")
        except (EOFError, KeyboardInterrupt):
            return None
    line = sys.stdin.readline()
    if not line:
        return None
    console.print(f"> {line.rstrip()}", markup=False, style="cyan")
    return line


def _chosen(line: str, shown: tuple[Button, ...]) -> Button | None:
    """A number presses that button, a button's own words press it too; everything else is a sentence."""
    text = line.strip()
    words = {each.label.casefold(): each for each in reversed(shown)}
    return {str(at): each for at, each in enumerate(shown, 1)}.get(text) or words.get(text.casefold())
