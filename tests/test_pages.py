"""What the pages say is so: each command line runs, each name in code exists, each link leads somewhere."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shlex
import shutil
import signal
import ssl
import sys
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_args

import aiohttp
import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.cli import main
from adapters.slack.manifest import manifest as slack_manifest
from bot.commands import COMMANDS
from bot.commands.again import AGAIN
from bot.config import ENVIRONMENT, Need, Right, Settings, load
from bot.config import Section as Table
from bot.language.parse import Exact, NotExact
from bot.language.vocabulary import ways
from bot.sandbox import Sandbox
from tests.fake_slack import SECRET, TEAM, TOKEN, FakeSlack, until
from tests.fake_teams import TENANT
from tests.program import Program

ROOT = Path(__file__).parents[1]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *sorted(f"docs/{each.name}" for each in (ROOT / "docs").glob("*.md")),
]
GENERATED = re.compile(r"<!-- (commands|environment|settings): generated.*?<!-- (/|end of )\1 -->", re.DOTALL)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#]+)")
ASSIGNED = re.compile(r"(?:export )?([A-Z][A-Z0-9_]+)=(.*)")
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

NOT_RUN = {
    ". .venv/bin/activate": "changes the shell it is said in, to what `make setup` makes",
    "npm ci --prefix tests/e2e": "asks the npm registry; `make e2e` does it",
    "M365_AGENTS_PLAYGROUND_CONFIG_PATH=tests/e2e/playground.yml npx --prefix tests/e2e agentsplayground "
    "-e http://127.0.0.1:3978/api/messages -c msteams": "needs what npm installs; `make e2e` starts the same page",
    "pytest --update-golden": "writes files into the sources",
}
"""Command lines that no test can run, and why."""
FOREIGN_VARIABLES = {
    "SSL_CERT_FILE": "OpenSSL; see the test of it here",
    "REQUESTS_CA_BUNDLE": "the package requests, which MSAL signs in with",
    "M365_AGENTS_PLAYGROUND_CONFIG_PATH": "the Agents Playground",
    "BASE": "the Dockerfile",
}
VALUES = {
    "SLACK_BOT_TOKEN": TOKEN,
    "SLACK_SIGNING_SECRET": SECRET,
    "CELONIS_CHAT_SECRET_KEY": secrets.token_hex(32),
    "CELONIS_API_TOKEN": "made-up-key-of-nobody",
    "MICROSOFT_APP_PASSWORD": "made-up-password-of-nobody",
}
"""What stands in for the `…` of the pages."""
OTHER = {
    **dict.fromkeys(("response_url", "users.info", "https://hooks.slack.com", "team_id"), "Slack's"),
    **dict.fromkeys(("connections:write", "/celonis", "@Celonis …"), "in Slack's forms and messages"),
    "usergroups:read": "a scope that --groups adds",
    "https://app.slack.com/client/T0123456/…": "an address of Slack",
    **dict.fromkeys(
        ("personal", "team", "groupChat", "msteams", "trigger: automatic", "manifest.json"), "Teams'"
    ),
    **dict.fromkeys(("Forwarded", "X-Forwarded-…", "localhost", "*", "?", "…", "T", "ok"), "plain words"),
    "MICROSOFT_…": "a group of variables",
    "CELONIS_…": "a group of variables",
    "CELONIS_CHAT_": "a prefix of variables",
    **dict.fromkeys(("_FILE", "…_FILE"), "the end of a variable's name"),
    **dict.fromkeys(("new,old", "old,new"), "values of a variable"),
    **dict.fromkeys(("match", "assert_never"), "Python's"),
    **dict.fromkeys(("out/", "out/sbom.json", ".venv", "celonis-chat.toml"), "files that are made"),
    "resets(celonis_chat_audit_head[1d]) > 0": "PromQL",
    **dict.fromkeys(("celonis.cloud", "https://acme.eu-1.celonis.cloud", "bot.example.com"), "hosts"),
    **dict.fromkeys(("https://<your host>/api/messages", "http://127.0.0.1:8090/api/"), "addresses"),
    **dict.fromkeys(("exit_code", "lost_by"), "keys of what `ask -` prints"),
    "default": "the connection that the environment makes",
    "T1:*": "a value of a policy's who",
    "--build-arg BASE=python:3.11-slim-bookworm@sha256:…": "an option of docker build; see the Dockerfile",
}
"""Words in code that are neither the bot's nor to be looked up, and whose they are."""


# --- what stands on the pages ----------------------------------------------------------------------------------


@dataclass
class Section:
    """A part of a page that is followed from top to bottom."""

    page: str
    text: str
    environ: dict[str, str] = field(default_factory=dict)
    toml: str = ""
    lines: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for language, block in FENCE.findall(self.text):
            if language == "toml":
                self.toml += re.sub(r"^ {3}", "", block, flags=re.MULTILINE)
            elif block.lstrip().startswith("> "):
                self.said += [each[2:] for each in block.splitlines() if each.startswith("> ")]
            elif language != "text":
                for line in filter(
                    None, (re.sub(r"\s+#.*", "", each).strip() for each in block.splitlines())
                ):
                    self._line(line)
        self.lines += [line for span in self.spans() if (line := command_in(span))]

    def _line(self, line: str) -> None:
        assigned = ASSIGNED.fullmatch(line)
        if assigned and line not in NOT_RUN:
            name, value = assigned.groups()
            self.environ[name] = VALUES.get(name.removesuffix("_FILE"), value) if "…" in value else value
        else:
            self.lines.append(line)

    def spans(self) -> list[str]:
        plain = FENCE.sub("", GENERATED.sub("", self.text))
        return SPAN.findall(plain) if self.page != "docs/commands.md" else []


def inside(group: click.Group) -> dict[str, click.Command]:
    """The commands of a group, imported."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


PROGRAM = inside(main)


def command_in(span: str) -> str:
    """A command line that stands in the middle of a sentence; the program's name may be left out there."""
    words = span.split()
    if words[0] in ("celonis-chat", "make", "curl", "python3", "pytest") and len(words) > 1:
        return span
    group = PROGRAM.get(words[0])
    inner = group.commands if isinstance(group, click.Group) else {}
    if group is not None and len(words) > 1 and (words[1] in inner or words[1][0] in '-"<['):
        return f"celonis-chat {span}"
    return ""


@cache
def page(name: str) -> tuple[Section, ...]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return tuple(Section(name, part) for part in re.split(r"^(?=## )", text, flags=re.MULTILINE))


def sections() -> Iterator[Section]:
    for name in PAGES:
        yield from page(name)


# --- names -----------------------------------------------------------------------------------------------------


def tables(kind: Any) -> Iterator[tuple[tuple[str, ...], type[Table]]]:
    """Each table of the toml with the keys that lead to it."""
    if isinstance(kind, type) and issubclass(kind, Table):
        yield (), kind
        for key, about in kind.written().items():
            yield from (((key, *path), inner) for path, inner in tables(about.annotation))
    for each in get_args(kind):
        yield from tables(each)


TABLES = tuple(tables(Settings))
SERVER = Settings().server
KEYS = {key for _, kind in TABLES for key in kind.written()}
DOTTED = {".".join((*path, key)) for path, kind in TABLES for key in kind.written()}
EXACT = Exact(tuple(each.intent for each in (*COMMANDS, *AGAIN)))
WAYS = [way for each in (*COMMANDS, *AGAIN) for way in ways(each.intent.words)]
SCOPES = {
    word
    for made in (slack_manifest("bot.example.com", groups=True), slack_manifest(socket_mode=True))
    for word in (
        *made["oauth_config"]["scopes"]["bot"],
        *made["settings"]["event_subscriptions"]["bot_events"],
    )
}


def options(command: click.Command) -> set[str]:
    inner = inside(command).values() if isinstance(command, click.Group) else ()
    return {name for each in command.params for name in each.opts}.union(*map(options, inner))


@cache
def source() -> str:
    """All of the program's text."""
    return "\n".join(
        each.read_text(encoding="utf-8")
        for folder in ("bot", "adapters")
        for each in (ROOT / folder).rglob("*.py")
    )


def is_variable(name: str) -> bool:
    if name in FOREIGN_VARIABLES:
        return True
    known = {each.name for each in ENVIRONMENT} | {f"{each.name}_FILE" for each in ENVIRONMENT if each.filed}
    keys = name.removeprefix("CELONIS_CHAT_").lower().split("__")
    return name in known or (name.startswith("CELONIS_CHAT_") and ".".join(keys) in DOTTED)


def is_setting(span: str) -> bool:
    """`key`, `section.key`, `[section] key`, each also with ` = value`; several with commas between them."""
    bare = re.sub(r'"[^"]*"', '""', span)
    for each in bare.split(","):
        name = each.partition("=")[0].strip()
        headed = re.fullmatch(r"\[([\w.]+)\](?: (\w+))?", name)
        if headed:
            name = ".".join(filter(None, headed.groups()))
        if name not in (DOTTED if "." in name else KEYS):
            return False
    return True


def is_sentence(span: str) -> bool:
    said = re.sub(r"^(/celonis|@Celonis) ", "", span)
    if "<" in said:
        return False
    try:
        EXACT.parse(said)
    except NotExact as error:
        begun = error.place >= len(said)  # only its end is missing, as in "jobs in"
        return begun or any(f"{said.casefold()} ".startswith(f"{each} ") for each in WAYS)
    return True


def is_known(span: str, *, code: bool = False) -> bool:
    """Whether a word in code is a thing that exists; with `code`, a name in the sources counts as one."""
    assigned = ASSIGNED.fullmatch(span)
    if assigned:
        return is_variable(assigned[1])
    if VARIABLE.fullmatch(span):
        return is_variable(span)
    where = [ROOT / span, ROOT / "docs" / span] if not span.startswith("/") else []
    return (
        span in OTHER
        or bool(command_in(span))
        or span in ("celonis-chat", *PROGRAM)
        or any(span in group.commands for group in PROGRAM.values() if isinstance(group, click.Group))
        or span.split(maxsplit=1)[0] in options(main)
        or any(each.exists() for each in where)
        or (ROOT / f"{span.removeprefix('python -m ').replace('.', '/')}.py").exists()
        or span in list(Right)
        or span in SCOPES
        or is_setting(span)
        or is_sentence(span)
        or (code and re.search(rf"\b(class|def) {span}\b|^{span}\b", source(), re.MULTILINE) is not None)
        or (code and (ROOT / "bot" / f"{span}.py").exists())
        or (span.startswith("celonis_chat_") and f'"{span.removesuffix("_total")}"' in source())
        or (span.startswith("/") and f'"{span}"' in source())
        or span == f"{SERVER.host}:{SERVER.port}"
        or (re.fullmatch(r"[a-z ]+", span) is not None and f'"{span}"' in source())
    )


@pytest.mark.parametrize("name", PAGES)
def test_every_word_in_code_is_something_that_exists(name: str) -> None:
    unknown = [
        span
        for part in page(name)
        for span in part.spans()
        if not is_known(span, code=name == "CONTRIBUTING.md")
    ]
    assert unknown == []


@pytest.mark.parametrize(
    "span", ["may <sentence>", "init", "check", "limits.per_hour", "SLACK_TOKEN", "--reset"]
)
def test_what_does_not_exist_is_found(span: str) -> None:
    assert not is_known(span)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    local = [each for each in LINK.findall(text) if "://" not in each]
    assert [each for each in local if not ((ROOT / name).parent / each).exists()] == []


def test_every_variable_that_is_set_on_a_page_exists() -> None:
    assert [each for part in sections() for each in part.environ if not is_variable(each)] == []


def test_every_toml_on_a_page_is_read_without_a_problem(tmp_path: Path) -> None:
    seen = 0
    for number, part in enumerate(each for each in sections() if each.toml):
        file = tmp_path / f"{number}.toml"
        file.write_text(part.toml)
        load({"CELONIS_CHAT_SECRET_KEY": secrets.token_hex(32)}, file, need=Need.NOTHING, connections=False)
        seen += 1
    assert seen > 2


# --- command lines ---------------------------------------------------------------------------------------------


@dataclass
class Rig:
    """Everything that the lines of the pages run against."""

    folder: Path
    sandbox: Sandbox
    slack: FakeSlack
    program: Program
    ticket: str = ""
    head: str = ""

    def environ(self, part: Section) -> dict[str, str]:
        """The environment of a reader who did what the section says."""
        told = followed(part).environ
        real = {key: each for key, each in told.items() if not key.endswith("_FILE")}
        return {
            **real,
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "CELONIS_CHAT_SECRET_KEY": VALUES["CELONIS_CHAT_SECRET_KEY"],
            "SLACK_API_URL": self.slack.url,
            "CELONIS_CHAT_SERVER__PORT": "0",
            "CELONIS_CHAT_SERVER__ADMIN_PORT": "0",
        }

    def place(self, part: Section) -> Path:
        """A folder with the section's toml, made once for all that is done under the same settings."""
        toml = followed(part).toml.replace("T0123456", TEAM)
        folder = self.folder / f"{abs(hash(toml)):x}"
        folder.mkdir(exist_ok=True)
        (folder / "celonis-chat.toml").write_text(toml)
        return folder

    async def run(self, part: Section, words: Sequence[str], typed: str = "") -> tuple[int, str, str]:
        """One line, in the process that all of them share."""
        done = await asyncio.to_thread(
            self.program.run, words, folder=self.place(part), environ=self.environ(part), typed=typed
        )
        return done.returncode, done.stdout, done.stderr

    @asynccontextmanager
    async def serving(self, part: Section, words: Sequence[str], ready: str) -> AsyncIterator[str]:
        """A line that goes on until it is stopped, from the moment when it says what is to be seen of it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapters.cli", *words),
            env=self.environ(part),
            cwd=self.place(part),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = ""
        try:
            while not (found := re.search(ready, said)):
                line = await line_of(process.stdout)
                assert line, f"{words} ended: {said}"
                said += line
            yield found[1]
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            rest = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
        assert process.returncode in (0, -signal.SIGTERM), rest
        assert "Traceback" not in said + rest


async def line_of(stream: StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), 60)).decode()


@asynccontextmanager
async def rigged(folder: Path) -> AsyncIterator[Rig]:
    async with Sandbox() as sandbox, FakeSlack() as slack:
        sandbox.switches.update({"cancel_delay": 0.1})
        with Program() as program:
            yield Rig(folder, sandbox, slack, program)


def followed(part: Section) -> Section:
    """The section whose settings a reader has; Slack's where the own one has none."""
    return part if part.toml or part.environ else page("docs/slack.md")[1]


def filled(line: str, rig: Rig) -> list[str]:
    """The words of a line, with something real in place of what the reader is to put in."""
    for mark, value in {
        "<your host>": "bot.example.com",
        "<app id>": TENANT,
        "<sentence>": "jobs",
        "<ticket>": rig.ticket,
        "N:digest": rig.head,
        "--port N": "--port 0",
        "http://127.0.0.1:8089": rig.sandbox.url,
        "https://slack.com/api/": rig.slack.url,
        "$SLACK_BOT_TOKEN": TOKEN,
    }.items():
        line = line.replace(mark, value)
    return shlex.split(re.sub(r"\[(-.*?)\]", r"\1", line))


async def runs(rig: Rig, part: Section, line: str) -> None:
    """Runs one line of a page to its end, or until it is ready, and holds it to what it is for."""
    words = filled(line, rig)
    match words:
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert [each for each in targets if not re.search(rf"^{each}:", makefile, re.MULTILINE)] == []
        case ["curl", *_]:
            assert json.loads(await output_of(words))["team_id"] == TEAM
        case ["python3", *told]:
            assert len((await output_of([sys.executable, *told])).strip()) >= 32
        case ["celonis-chat", "sandbox", *_]:
            async with rig.serving(part, words[1:], r"(http://127\.0\.0\.1:\d+)") as address:
                assert (await fetched(f"{address}/__sandbox__/"))[0] == 200
        case ["celonis-chat", "serve", *_]:
            over = [] if "--sandbox" in words else ["--sandbox-url", rig.sandbox.url, "--force"]
            async with rig.serving(part, [*words[1:], *over], r"Listening: (\S+)") as address:
                assert await fetched(f"{address}/healthz") == (200, "ok")
                if "slack =" in followed(part).toml:
                    await is_answered_in_slack(rig, address)
        case ["celonis-chat", "ask", *told]:
            if "--confirm" in told:
                over = ["--sandbox-url", rig.sandbox.url, "--format", "json"]
                code, out, errors = await rig.run(part, ["ask", "stop main job", *over])
                assert code == 3, errors
                (rig.ticket,) = set(re.findall(r'"ticket": ?"([^"]+)"', out))
                told = filled(line, rig)[2:]
            over = [] if {"--sandbox", "--sandbox-url"} & set(told) else ["--sandbox-url", rig.sandbox.url]
            code, out, errors = await rig.run(part, ["ask", *told, *over, "--force"], typed="jobs\n")
            assert (code, bool(out)) == (0, True), (line, out, errors)
        case ["celonis-chat", *told]:
            code, out, errors = await rig.run(part, told, typed="jobs\n")
            assert (code, bool(out)) == (0, True), (line, out, errors)
            found = re.search(r"Head: (\S+)", out)
            rig.head = found[1] if found else rig.head
        case _:
            pytest.fail(f"{part.page}: nobody knows how to run {line!r}")


async def output_of(words: Sequence[str]) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def fetched(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def is_answered_in_slack(rig: Rig, address: str) -> None:
    """What the page tells the reader to say is answered."""
    rig.slack.target = f"{address}/slack/events"
    rig.slack.messages.clear()
    assert await rig.slack.command("U1", "C1", "help") == 200
    await until(lambda: "What you can say" in rig.slack.screen("U1", "C1"), 20)
    assert "SANDBOX" in rig.slack.screen("U1", "C1")
    await rig.slack.tell("U1", "help")
    direct = rig.slack.direct("U1")
    await until(
        lambda: any(
            "What you can say" in each.shown for each in rig.slack.messages if each.channel == direct.id
        ),
        20,
    )


async def test_every_command_line_on_a_page_runs(tmp_path: Path) -> None:
    done: set[tuple[str, str]] = set()
    left = set(NOT_RUN)
    async with rigged(tmp_path) as rig:
        for part in sections():
            for line in part.lines:
                left.discard(line)
                if line not in NOT_RUN and (line, followed(part).toml) not in done:
                    done.add((line, followed(part).toml))
                    await runs(rig, part, line)
                    if line.endswith("writes off"):
                        await rig.run(part, ["writes", "on"])  # the rest of the page stops jobs
            for sentence in part.said:
                if sentence == "writes off":
                    continue  # what is said on the pages after it would be refused
                code, shown, errors = await rig.run(part, ["ask", sentence, "--sandbox-url", rig.sandbox.url])
                assert code in (0, 3), (sentence, shown, errors)
    assert left == set(), "stands on no page any more"
    assert {"celonis-chat serve --sandbox --force", "make demo"} <= {line for line, _ in done}


# --- what the pages say of the environment ---------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up for a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "trusted.pem", folder / "private.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return trusted, private


async def test_ssl_cert_file_says_whom_to_trust(tmp_path: Path) -> None:
    trusted, private = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, private)
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response([])

    server = TestServer(web.Application(), scheme="https")
    server.app.router.add_route("*", "/{path:.*}", answer)
    await server.start_server(ssl=context)
    environ = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "CELONIS_URL": f"https://127.0.0.1:{server.port}",
        "CELONIS_API_TOKEN": VALUES["CELONIS_API_TOKEN"],
        "CELONIS_CHAT_ALLOWED_HOSTS": f'["127.0.0.1:{server.port}"]',
        "CELONIS_CHAT_ZONE": "Europe/Berlin",
    }
    said = []
    for more in ({}, {"SSL_CERT_FILE": str(trusted)}):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapters.cli", "ask", "pools"),
            env=environ | more,
            cwd=tmp_path,
            stdout=PIPE,
        )
        said.append((await process.communicate())[0].decode())
        assert bool(asked) is bool(more), said
    await server.close()
    assert "cannot be trusted (TLS)" in said[0]
    assert "TLS" not in said[1]
