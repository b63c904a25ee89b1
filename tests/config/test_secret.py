"""Nobody reads a secret by accident."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from bot.config import Secret, Settings
from bot.config.secret import secret_fault

VALUE = "c2VjcmV0LXZhbHVlLW9mLWEta2V5"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>40}".format, lambda each: f"{[each]}"])
def test_a_secret_shows_a_mask(show: object) -> None:
    assert VALUE not in show(Secret(VALUE, name="CELONIS_API_TOKEN"))  # type: ignore[operator]  # any way to show


def test_a_secret_is_neither_copied_nor_pickled() -> None:
    for spread in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            spread(Secret(VALUE))


def test_settings_never_show_a_secret() -> None:
    settings = Settings.for_demo("http://127.0.0.1:1", VALUE, zone="UTC", secret_key=VALUE[::-1] * 2)
    shown = repr(settings) + str(settings) + str(settings.model_copy(update={"zone": "Europe/Berlin"}))
    assert VALUE not in shown
    assert VALUE[::-1] not in shown


def test_the_tail_of_a_long_secret_tells_it_apart_and_a_short_one_has_none() -> None:
    assert Secret(VALUE).tail == "…a2V5"
    assert Secret("short-secret").tail == "…"


def test_equal_secrets_are_equal() -> None:
    assert Secret(VALUE, name="a") == Secret(VALUE, name="b")
    assert Secret(VALUE) != Secret(VALUE[1:])
    assert len({Secret(VALUE), Secret(VALUE)}) == 1


def test_a_secret_from_a_file_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("rotated-key\n")
    old = Secret("old-key", name="CELONIS_API_TOKEN", file=file)
    new = old.read_again()
    assert (old.reveal(), new.reveal(), new.name) == ("old-key", "rotated-key", "CELONIS_API_TOKEN")
    file.write_text("rotated-again")
    assert new.read_again().reveal() == "rotated-again"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", b"xxxxxxxx\n"])
def test_a_file_that_cannot_be_used_for_the_moment_leaves_the_secret_as_it_is(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    old = Secret(VALUE, file=file)
    assert old.read_again() is old


def test_a_secret_from_the_environment_stays_what_it_is() -> None:
    secret = Secret(VALUE)
    assert secret.read_again() is secret


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is empty"),
        ("x", "one character, once or repeated"),
        ("0" * 40, "one character, once or repeated"),
        ("aA" * 20, "one character, once or repeated"),
        ('"quoted"', "quotation marks"),
        ("'quoted'", "quotation marks"),
        ("AppKey abc", "holds a blank"),
        ("two\nlines", "line break"),
        ("with\u200bnothing", "invisible"),
        ("schlüssel", "outside ASCII"),
        ("fine-key==", ""),
        ('"', "one character"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(value: str, said: str) -> None:
    fault = secret_fault(value)
    assert said in fault
    assert bool(fault) is bool(said)
    assert not value or len(value) < 2 or value not in fault
