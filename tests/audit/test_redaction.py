import base64
import io
import json
import logging
import re
import string
import uuid
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from bot.redaction import (
    _ADDRESS_PASSWORD,
    _PASSWORD,
    REDACTED,
    RedactingFilter,
    _spans,
    _worth_a_look,
    looks_secret,
    redact,
    redact_event,
    redacted_json,
)

WORD = string.ascii_letters + string.digits
RUN = "Vb7kQ2mZx9Lr4TsW8pYc3NdF"
"""Letters and digits as drawn by lot."""
HEX = "9f86d081884c7d659a2feaa0c55ad015"
CELONIS = base64.b64encode(b"0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10:Zk3vQ8sT1xWq7RbN5mYc2LpF").decode()

SECRETS = [
    CELONIS,
    f"AppKey {CELONIS}",
    f"Authorization: Bearer {CELONIS}",
    f"my key is {CELONIS}, use it",
    f'"{CELONIS}"',
    f"key={CELONIS}&page=1",
    f"prefix{CELONIS}",
    ("\x78oxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"),
    "xoxp-1-1-1-abcdef",
    "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTA",
    "xapp-1-A0123456789-1234567890123-abcdef0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJVMSJ9.c2lnbmF0dXJl-_x",
    "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX",
    "see hooks.slack.com/actions/T1/123/abc.",
    "https://corp.webhook.office.com/webhookb2/abc@def/IncomingWebhook/x/y",
    "aBc8Q~uvWxYzAbCdEfGhIjKlMnOpQrStUvWxYz012",
    "postgresql://clerk:hunter2@db.internal/chat",
    "password=hunter2",
    'PASSWORD: "correct horse"',
    "Passwort: geheim99",
    f"token {RUN}",
    f"the token is: {RUN}",
    f"secret='{RUN}'",
    f"api key {RUN}",
    f"client_secret={RUN}",
    f"client-secret: {HEX}",
    f"Bearer {HEX}",
    f"0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10:{RUN}",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA cut off",
]
HARMLESS = [
    "",
    "help",
    "what is our on-time delivery by plant?",
    "0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10",
    "key 0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10",
    "job:0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10:1bae5839-22b1-4c1f-9d0e-5a7c2f8b9e11",
    'cancel "main job" #0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10',
    "key purchase-requisition.km-purchase-requisition",
    "model #my-package.KM_PurchaseRequisition.v2",
    f"load of export_{HEX}.parquet failed",
    f"hash key = {HEX}",
    "data Materials where Material Key = 450000123400010",
    "where Document Key = 'EKPO_4500001234_00010'",
    "sort key MaterialGroup2Description2024, token PurchaseOrderItem4711Europe",
    "the AppKey authentication failed, send another",
    "Basic authentication is not supported by this connection",
    "Bearer authentication is required for this endpoint",
    "KPI Cost of Goods Sold, token count per order",
    "primary key: MATERIAL_MASTER_DATA_IDENTIFIER",
    "https://academic.eu-2.celonis.cloud/package-manager/ui/studio/ui/spaces/0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10",
    "https://hooks.example.com/a",
    "eyJust some words",
    "Auftragsbestätigungsschlüsselverzeichnis",
    "no password was given",
    "r" * 5000,
    "MNOQRYZ" * 200,
    "0123456789abcdef" * 40,
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_secret_is_gone(text: str) -> None:
    redacted = redact(text)
    assert looks_secret(text)
    assert REDACTED in redacted
    assert not [
        each for each in (CELONIS, RUN, HEX, "hunter2", "horse", "geheim", "MIIE", "XXXX") if each in redacted
    ]


@pytest.mark.parametrize("text", HARMLESS)
def test_names_ids_and_plain_words_stay(text: str) -> None:
    assert redact(text) == text
    assert not looks_secret(text)


def test_the_rest_of_the_text_stays() -> None:
    said = redact(f"please stop main job, my key is {CELONIS} and \x78oxb-1234567-abc thanks")
    assert said == f"please stop main job, my key is {REDACTED} and {REDACTED} thanks"


@given(
    owner=st.uuids(),
    secret=st.text(string.printable, min_size=8, max_size=60),
    around=st.sampled_from(
        [("", ""), ("AppKey ", ""), ("Bearer ", "\n"), ('{"k":"', '"}'), ("Qm", ""), ("é", "é")]
    ),
)
def test_every_celonis_key_is_found(owner: uuid.UUID, secret: str, around: tuple[str, str]) -> None:
    for spelling in (str(owner), str(owner).upper()):
        key = base64.b64encode(f"{spelling}:{secret}".encode()).decode()
        assert redact(around[0] + key + around[1]) == around[0] + REDACTED + around[1]


@given(st.uuids(), st.sampled_from(["key {}", "token: {}", "secret {}", "job {}", "#{}", "password {}"]))
def test_a_uuid_is_never_a_secret(owner: uuid.UUID, said: str) -> None:
    text = said.format(owner)
    assert redact(text) == text


pieces = [
    "key",
    "token=",
    " ",
    ":",
    "xoxb-",
    "eyJ",
    ".",
    "-",
    RUN,
    CELONIS,
    "password:",
    "é",
    "\n",
    '"',
    REDACTED,
]


@given(st.lists(st.sampled_from(pieces)).map("".join))
@example('password:"key"key')
@example("")
def test_redacting_twice_changes_nothing_more_and_text_without_secrets_is_kept(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    assert (once == text) == (not looks_secret(text))


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    redact(text)


@pytest.mark.parametrize(
    ("piece", "left"),
    [
        ("eyJ", "eyJ"),
        ("password ", "password "),
        ("-----BEGIN ", "-----BEGIN "),
        ("key ", "key "),
        ("M", "M"),
        ("://a", "://a"),
        ("token=", "token="),
        ("a.webhook", "a.webhook"),
        ("aa-", "aa-"),
        ("A1b", "A1b"),
        ("xoxb-", ""),
        ("-----BEGIN PRIVATE KEY-----", ""),
    ],
)
def test_long_hostile_text_is_read_without_backtracking(piece: str, left: str) -> None:
    assert redact(piece * 50_000) == (left * 50_000 or REDACTED)


# --- logging ---------------------------------------------------------------------------------------------------


class Odd:
    def __repr__(self) -> str:
        return f"<Odd {CELONIS}>"


def fail() -> None:
    raise ValueError(f"bad key {CELONIS}")


@pytest.fixture
def written() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, so that tests do not share it
    logger.addHandler(handler)
    return logger, stream


def test_a_log_line_loses_its_secrets_wherever_they_are(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("sent %s to %s", f"AppKey {CELONIS}", Odd())
    logger.warning("sent %(key)s", {"key": CELONIS})
    try:
        fail()
    except ValueError:
        logger.exception("failed", stack_info=True)
    logger.warning("%d", CELONIS)
    said = stream.getvalue()
    assert CELONIS not in said
    assert said.startswith(
        f"WARNING sent AppKey {REDACTED} to <Odd {REDACTED}>\nWARNING sent {REDACTED}\nERROR failed\n"
    )
    assert f"ValueError: bad key {REDACTED}" in said
    assert "unprintable log message" in said
    assert said.count("Traceback") == 1


def test_what_was_added_to_a_record_is_redacted_too() -> None:
    record = logging.makeLogRecord(
        {"msg": "sent", "header": {"Authorization": [f"AppKey {CELONIS}"]}, "count": 3}
    )
    assert RedactingFilter().filter(record)
    assert vars(record)["header"] == {"Authorization": [f"AppKey {REDACTED}"]}
    assert vars(record)["count"] == 3


def logged(**event: Any) -> dict[str, Any]:
    stream = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[redact_event, structlog.processors.JSONRenderer()]
    )
    logger.warning("happened", **event)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def test_a_structured_line_loses_its_secrets_at_any_depth() -> None:
    line = logged(
        deep=[{"a": (CELONIS, 1, None, 2.5, True)}, {CELONIS: "key"}],
        raw=CELONIS.encode(),
        odd=Odd(),
        error=ValueError(CELONIS),
        job="0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10",
    )
    assert CELONIS not in json.dumps(line)
    assert line["event"] == "happened"
    assert line["deep"][0] == {"a": [REDACTED, 1, None, 2.5, True]}
    assert line["job"] == "0bae5839-22b1-4c1f-9d0e-5a7c2f8b9e10"


@pytest.mark.parametrize(
    "said",
    [
        "on time",
        "pünktlich",
        'a "quoted" word',
        "paſſword=geheimes-wort",
        CELONIS,
        ("a", CELONIS),
        {1: {"deep", CELONIS}},
        CELONIS.encode(),
        None,
        2.5,
        True,
    ],
)
def test_a_line_written_at_once_is_the_one_whose_every_text_is_looked_at(said: object) -> None:
    event = {"event": "happened", "said": said}
    assert redacted_json(None, "", dict(event)) == json.dumps(redact_event(None, "", dict(event)))


@pytest.mark.parametrize("how", ["true", "error", "tuple"])
def test_an_exception_becomes_redacted_text(how: str) -> None:
    try:
        fail()
    except ValueError as error:
        given = {"true": True, "error": error, "tuple": (ValueError, error, error.__traceback__)}[how]
        line = logged(exc_info=given)
    assert "exc_info" not in line
    assert re.search(
        r"Traceback.*\n.*in fail.*ValueError: bad key \[redacted\]\Z", line["exception"], re.DOTALL
    )


def test_no_exception_is_no_exception() -> None:
    assert "exception" not in logged(exc_info=True)
    assert "exception" not in logged(exc_info=None)


@given(st.text(max_size=60) | st.from_regex(_ADDRESS_PASSWORD) | st.from_regex(_PASSWORD, fullmatch=True))
def test_what_is_not_worth_a_look_holds_no_secret(text: str) -> None:
    assert _worth_a_look(text) or next(_spans(text), None) is None
