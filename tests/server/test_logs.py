"""What stands in the log: one line for each thing, redacted, with the request it belongs to."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from adapters.logs import configure

TOKEN = "\x78oxb-123456789012-abcdefABCDEF"
RESPONSE_URL = "https://hooks.slack.com/actions/T1/2/secretsecret"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    try:
        yield io.StringIO()
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.configure(**before[2])


def test_our_lines_carry_their_request(stream: io.StringIO) -> None:
    configure(as_json=True, stream=stream)
    with structlog.contextvars.bound_contextvars(request="r1"):
        structlog.get_logger().info("slack request", kind="command")
    said = json.loads(stream.getvalue())
    assert (said["event"], said["request"], said["kind"], said["level"]) == (
        "slack request",
        "r1",
        "command",
        "info",
    )
    assert said["timestamp"].endswith("Z")


def test_lines_of_libraries_look_the_same(stream: io.StringIO) -> None:
    configure(as_json=True, stream=stream)
    with structlog.contextvars.bound_contextvars(request="r1"):
        logging.getLogger("slack_bolt").warning("no %s", "way")
    said = json.loads(stream.getvalue())
    assert (said["event"], said["request"], said["logger"]) == ("no way", "r1", "slack_bolt")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_gets_out_whoever_writes_it(stream: io.StringIO, *, as_json: bool) -> None:
    configure(as_json=as_json, stream=stream)
    ours, theirs = structlog.get_logger(), logging.getLogger("slack_sdk.web")
    ours.warning("sent", token=TOKEN, deep={"list": [RESPONSE_URL]})
    theirs.error("body %s", {"response_url": RESPONSE_URL})
    try:
        int(TOKEN)
    except ValueError:
        ours.exception("failed")
        theirs.exception("failed")
    written = stream.getvalue()
    assert TOKEN not in written
    assert "secretsecret" not in written
    assert written.count("[redacted]") >= 5
    assert "ValueError" in written


def test_libraries_are_heard_from_warnings_on(stream: io.StringIO) -> None:
    configure(as_json=True, stream=stream)
    for name in ("slack_bolt", "slack_sdk", "httpx", "aiohttp.access", "asyncio"):
        logging.getLogger(name).info("much detail")
    assert stream.getvalue() == ""


def test_input_that_is_no_http_is_not_written_down(stream: io.StringIO) -> None:
    configure(as_json=True, stream=stream)
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ValueError("\x16\x03 junk"))
    assert stream.getvalue() == ""


def test_a_line_is_one_line(stream: io.StringIO) -> None:
    configure(as_json=True, stream=stream)
    structlog.get_logger().info("a\nb", c="d\r\ne\u2028f")
    assert len(stream.getvalue().splitlines()) == 1
