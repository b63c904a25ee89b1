"""A pasted address is reduced to its team, and what only looks like a team's address is refused."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import is_loopback, team_root
from bot.model.errors import ConfigError

TEAM = "https://dev.us-2.celonis.cloud"


def refusal(text: str, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        team_root(text, **more)  # type: ignore[arg-type]  # whatever a test hands on
    (sentence,) = caught.value.problems
    return sentence


@pytest.mark.parametrize(
    "text",
    [
        "https://dev.us-2.celonis.cloud",
        "https://dev.us-2.celonis.cloud/",
        "dev.us-2.celonis.cloud",
        "//dev.us-2.celonis.cloud/x",
        "  https://dev.us-2.celonis.cloud\n",
        "HTTPS://DEV.US-2.Celonis.Cloud",
        "https://dev.us-2.celonis.cloud.",
        "https://dev.us-2.celonis.cloud:443/",
        "https://dev.us-2.celonis.cloud/package-manager/ui/studio?space=a#b",
        "https://dev.us-2.celonis.cloud?next=https://evil.example",
        "dev.us-2.celonis.cloud/x?next=https://user@evil.example",
        "https://dev.us-2.celonis.cloud#@evil.example",
        "https://dev.us-2.celonis.cloud/Ünïcode/Pfad",
    ],
)
def test_what_a_browser_shows_is_reduced_to_the_team(text: str) -> None:
    assert team_root(text) == TEAM


@pytest.mark.parametrize(
    "host", ["acme.training.celonis.cloud", "procurement-now.try.celonis.cloud", "acme.celonis.cloud"]
)
def test_other_ways_to_name_a_team_are_fine(host: str) -> None:
    assert team_root(host) == f"https://{host}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("http://dev.us-2.celonis.cloud", "begin with https://"),
        ("ftp://dev.us-2.celonis.cloud", "begin with https://"),
        ("javascript:alert(1)", "cannot be read"),
        ("https://user:hunter2@dev.us-2.celonis.cloud", "user name or password"),
        ("https://dev.us-2.celonis.cloud@evil.example", "user name or password"),
        ("https://dev.us-2.celonis.cloud:x@evil.example", "user name or password"),
        ("https://evil.example\\@dev.us-2.celonis.cloud", "backslash"),
        ("https://dev.us-2.celonis.cloud\t.evil.example", "invisible"),
        ("https://dev.us-2.celonis.cloud\u200b.evil.example", "invisible"),
        ("https://dev.us-2.celonis.cloud evil", "blank"),
        ("https://dev.us-2.celonıs.cloud", "look like Latin"),
        ("https://dev.us-2.celonis。cloud", "look like Latin"),
        ("https://evil。example", "look like Latin"),
        ("https://dev.us-2.xn--celons-p9a.cloud", "xn--"),
        ("https://xn--dev-abc.celonis.cloud", "xn--"),
        ("https://dev.us-2.celonis.cloud.evil.example", "not under celonis.cloud"),
        ("https://celonis.cloud", "not under celonis.cloud"),
        ("https://evilcelonis.cloud", "not under celonis.cloud"),
        ("https://evil.example/dev.us-2.celonis.cloud", "not under celonis.cloud"),
        ("https://evil.example?x=.celonis.cloud", "not under celonis.cloud"),
        ("https://evil.example#.celonis.cloud", "not under celonis.cloud"),
        ("https://us-2.celonis.cloud", "names the cluster"),
        ("https://www.celonis.cloud", "not a team's"),
        ("https://dev.us-2.celonis.cloud:8443", "port 443"),
        ("https://dev.us-2.celonis.cloud:99999", "cannot be read"),
        ("https://dev.us-2.celonis.cloud:x", "cannot be read"),
        ("https://.celonis.cloud", "no valid host"),
        ("https://dev..celonis.cloud", "no valid host"),
        ("https://-dev.us-2.celonis.cloud", "no valid host"),
        ("https://dev_x.us-2.celonis.cloud", "no valid host"),
        ("https://dev%2eevil.celonis.cloud", "no valid host"),
        ("https://dev.us-2.celonis.cloud..", "no valid host"),
        ("https://" + "a" * 64 + ".celonis.cloud", "no valid host"),
        ("https:///path", "no valid host"),
        ("https://[::1", "cannot be read"),
        ("https://[::1]", "no valid host"),
        ("https://127.0.0.1", "this machine"),
        ("https://localhost:8080", "this machine"),
        ("http://127.0.0.1:8080", "begin with https://"),
        ("https://10.0.0.1", "not under celonis.cloud"),
        ("https://2130706433", "not under celonis.cloud"),
    ],
)
def test_everything_else_is_refused_in_a_sentence(text: str, said: str) -> None:
    sentence = refusal(text)
    assert said in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("text", "allowed", "root"),
    [
        ("gateway.example.com/x", ("gateway.example.com",), "https://gateway.example.com"),
        (
            "https://eu.proxy.example.com:8443",
            ("*.proxy.example.com:8443",),
            "https://eu.proxy.example.com:8443",
        ),
        ("https://127.0.0.1:8443", ("127.0.0.1:8443",), "https://127.0.0.1:8443"),
    ],
)
def test_further_hosts_can_be_allowed(text: str, allowed: tuple[str, ...], root: str) -> None:
    assert team_root(text, allowed_hosts=allowed) == root


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("https://evil-gateway.example.com", ("gateway.example.com",)),
        ("https://a.gateway.example.com", ("gateway.example.com",)),
        ("https://proxy.example.com", ("*.proxy.example.com",)),
        ("https://evilproxy.example.com", ("*.proxy.example.com",)),
        ("https://gateway.example.com:8443", ("gateway.example.com",)),
        ("https://gateway.example.com", ("gateway.example.com:8443",)),
        ("http://gateway.example.com", ("gateway.example.com",)),
    ],
)
def test_only_exactly_the_allowed_hosts_are(text: str, allowed: tuple[str, ...]) -> None:
    assert refusal(text, allowed_hosts=allowed)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8080", "https://localhost:8080", "http://[::1]:8080", "http://localhost"]
)
def test_a_sandbox_may_stand_on_this_machine(text: str) -> None:
    assert team_root(f"{text}/path?x", allow_loopback=True) == text


def test_a_sandbox_may_stand_nowhere_else() -> None:
    assert refusal("http://10.0.0.1:8080", allow_loopback=True)
    assert refusal("http://localhost.evil.example", allow_loopback=True)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("[::1]", True),
        ("LocalHost", True),
        ("0.0.0.0", False),  # noqa: S104 - that is the point
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


pieces = st.sampled_from(
    (
        *(
            "https://",
            "http://",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            ".",
            "..",
            "%2e",
            "[",
            "]",
            " ",
            "\t",
            "。",
        ),
        *(
            "dev",
            "us-2",
            "celonis",
            "cloud",
            ".celonis.cloud",
            "evil.example",
            "xn--a",
            "443",
            "é",
            "\u202e",
            "user",
        ),
    )
)


def root_or_refusal(text: str) -> tuple[str, tuple[str, ...]]:
    try:
        return team_root(text), ()
    except ConfigError as error:
        return "", error.problems


@given(st.one_of(st.text(max_size=40), st.lists(pieces, max_size=10).map("".join)))
def test_whatever_is_pasted_ends_under_celonis_cloud_or_in_a_sentence(text: str) -> None:
    root, problems = root_or_refusal(text)
    if problems:
        assert len(problems) == 1
        assert problems[0].endswith(".")
    else:
        assert re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.celonis\.cloud", root)
        assert team_root(root) == root
        assert urlsplit(root).hostname == root.removeprefix("https://")
