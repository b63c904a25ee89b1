"""What reaches bolt: what Slack has signed lately, once, and that can be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.signature import Guard, Refusal, Seen, Sound, sign
from bot.config import Secret
from tests.store.databases import FakeClock

SECRET = "signing-secret-of-the-tests"
BODY = b'{"type": "event_callback"}'


def headers(
    clock: FakeClock,
    body: bytes = BODY,
    *,
    off: float = 0,
    secret: str = SECRET,
    kind: str = "application/json",
) -> dict[str, str]:
    timestamp = str(int(clock.now().timestamp() + off))
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(secret, timestamp, body),
        "Content-Type": kind,
    }


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def guard(clock: FakeClock) -> Guard:
    return Guard(Secret(SECRET), clock)


def test_the_signature_is_the_one_of_slacks_own_example() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack, its worked example."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert (
        sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body)
        == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


def test_a_signed_request_passes_with_what_it_says(guard: Guard, clock: FakeClock) -> None:
    assert guard.check(headers(clock), BODY) == Sound({"type": "event_callback"})


@pytest.mark.parametrize(("off", "passes"), [(299, True), (-299, True), (301, False), (-301, False)])
def test_only_recent_requests_pass(guard: Guard, clock: FakeClock, off: float, *, passes: bool) -> None:
    verdict = guard.check(headers(clock, off=off), BODY)
    assert verdict == (Sound({"type": "event_callback"}) if passes else Refusal.NOT_RECENT)


@pytest.mark.parametrize("timestamp", ["", "abc", "-1", "1e9", "١٢٣", "9" * 400, "1 ", "0x10", "inf", "nan"])
def test_a_timestamp_that_is_no_number_is_refused(guard: Guard, clock: FakeClock, timestamp: str) -> None:
    given = headers(clock) | {"X-Slack-Request-Timestamp": timestamp}
    assert guard.check(given, BODY) is Refusal.NO_TIMESTAMP


@pytest.mark.parametrize(
    "signature", ["", "v0=", "v1=" + "0" * 64, "v0=ü" + "0" * 63, "v0=" + "0" * 63, "🔑"]
)
def test_a_signature_of_another_shape_is_refused(guard: Guard, clock: FakeClock, signature: str) -> None:
    assert guard.check(headers(clock) | {"X-Slack-Signature": signature}, BODY) is Refusal.NO_SIGNATURE


def test_a_forged_signature_is_refused(guard: Guard, clock: FakeClock) -> None:
    assert guard.check(headers(clock, secret="another"), BODY) is Refusal.FORGED


def test_a_body_that_was_changed_is_refused(guard: Guard, clock: FakeClock) -> None:
    assert guard.check(headers(clock), BODY + b" ") is Refusal.FORGED


def test_a_replay_is_told_from_the_first_until_it_is_too_old_anyway(guard: Guard, clock: FakeClock) -> None:
    early = headers(clock, off=299)
    assert isinstance(guard.check(early, BODY), Sound)
    clock.advance(590)
    assert guard.check(early, BODY) is Seen.REPLAY
    clock.advance(30)
    assert guard.check(early, BODY) is Refusal.NOT_RECENT


def test_forgeries_are_not_remembered(guard: Guard, clock: FakeClock) -> None:
    guard.check(headers(clock, secret="another"), BODY)
    assert not guard._signatures._known


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b"{}"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b"[" * 200_000),
        ("application/json", b'{"a":' * 100_000),
        ("application/json", b"1" * 10_000),
        ("application/x-www-form-urlencoded", b"payload={"),
        ("application/x-www-form-urlencoded", b"payload=[1]"),
        ("application/x-www-form-urlencoded", b"payload="),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(500))),
        ("application/x-www-form-urlencoded", b""),
        ("", b"\xc3("),
    ],
)
def test_signed_junk_is_refused(guard: Guard, clock: FakeClock, kind: str, body: bytes) -> None:
    assert guard.check(headers(clock, body, kind=kind), body) is Refusal.UNREADABLE


def test_the_certificate_check_needs_no_signature_and_does_nothing(guard: Guard) -> None:
    assert guard.check({}, b"ssl_check=1&token=x") is Seen.CERTIFICATE_CHECK


@given(
    given=st.dictionaries(
        st.sampled_from(["X-Slack-Request-Timestamp", "X-Slack-Signature", "Content-Type"]), st.text()
    ),
    body=st.binary(),
)
def test_nothing_unsigned_passes_whatever_it_is(given: dict[str, str], body: bytes) -> None:
    verdict = Guard(Secret(SECRET), FakeClock()).check(given, body)
    assert isinstance(verdict, Refusal) or verdict is Seen.CERTIFICATE_CHECK


@given(payload=st.dictionaries(st.text(), st.recursive(st.none() | st.text(), st.lists), min_size=1))
def test_what_is_signed_is_read_as_it_was_sent(payload: dict[str, object]) -> None:
    clock = FakeClock()
    body = json.dumps(payload).encode()
    assert Guard(Secret(SECRET), clock).check(headers(clock, body), body) == Sound(payload)
