"""What the program writes down about itself: one line for each thing, redacted, with the request it belongs to."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from bot.redaction import RedactingFilter, redact_event, redacted_json

LIBRARIES = logging.WARNING
"""Level for everything that is not ours: at INFO the SDKs write down addresses, and at DEBUG whole messages."""


def configure(*, as_json: bool, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Sets logging up for the whole program; a second call replaces the first.

    Args:
        as_json: One JSON object a line for programs, else text for people.
        stream: Where to; standard error when not given.
        level: From which level on our own lines are written.
    """
    stream = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [redacted_json] if as_json else [redact_event, structlog.dev.ConsoleRenderer(colors=False)]
    )
    logger = structlog.WriteLogger(stream)
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _with_trace],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(LIBRARIES, level))
    # It writes down what strangers send when that is no HTTP; failures of our handlers are logged by ourselves.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL + 1)


def _with_trace(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Takes over the traceback that `RedactingFilter` has left as text."""
    if text := line["_record"].exc_text:
        line["exception"] = text
    return line
