"""What may reach the rest of the adapter: requests that are small, recent, signed, readable and new.

bolt 1.30 answers 500 with a traceback to junk that nobody signed, reads bodies before it looks at their signature, and
writes whole bodies to its log; so nothing unsigned ever gets that far, and nothing of a refused request is kept.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import unquote

from adapters.deliveries import Once
from adapters.http import parse_json
from bot.config import Secret
from bot.model.clock import Clock

Json: TypeAlias = dict[str, Any]

PATH = "/slack/events"
"""Where Slack delivers everything."""
LARGEST = 1024 * 1024
"""Bytes of a body; Slack's own are a few kilobytes."""
RECENT = 300
"""Seconds that a request may be off (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""
REMEMBERED = 2 * RECENT
"""Seconds after which no signature is recent any more, whichever way its clock was off."""
_MOST_REMEMBERED = 50_000
_MOST_FIELDS = 100

_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


class Refusal(StrEnum):
    """Why a request goes no further; safe to log and to count."""

    NO_TIMESTAMP = "no timestamp"
    NOT_RECENT = "not recent"
    NO_SIGNATURE = "no signature"
    FORGED = "forged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Sound:
    """A request from Slack, read."""

    payload: Json


class Seen(StrEnum):
    """Answered with an empty 200, and nothing else happens."""

    REPLAY = "replay"
    CERTIFICATE_CHECK = "certificate check"


class Guard:
    """Looks at requests before anybody else does."""

    def __init__(self, secret: Secret, clock: Clock) -> None:
        """Takes what it decides with.

        Args:
            secret: The app's signing secret.
            clock: Decides what is recent.
        """
        self._secret = secret
        self._clock = clock
        self._signatures = Once(_MOST_REMEMBERED, REMEMBERED, clock)

    def check(self, headers: Mapping[str, str], body: bytes) -> Sound | Seen | Refusal:
        """Judges a request.

        Args:
            headers: In any case; a repeated header counts once.
            body: As it came.
        """
        if body == b"ssl_check=1" or body.startswith(b"ssl_check=1&"):
            return Seen.CERTIFICATE_CHECK
        timestamp = headers.get("X-Slack-Request-Timestamp", "")
        if not _TIMESTAMP.fullmatch(timestamp):
            return Refusal.NO_TIMESTAMP
        if abs(self._clock.now().timestamp() - int(timestamp)) > RECENT:
            return Refusal.NOT_RECENT
        signature = headers.get("X-Slack-Signature", "")
        if not _SIGNATURE.fullmatch(signature):
            return Refusal.NO_SIGNATURE
        if not hmac.compare_digest(sign(self._secret.reveal(), timestamp, body), signature):
            return Refusal.FORGED
        if not self._signatures.first(signature):
            return Seen.REPLAY
        return _read(headers.get("Content-Type", ""), body)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body, as Slack makes it."""
    mac = _keyed(secret).copy()
    mac.update(b"v0:" + timestamp.encode() + b":" + body)
    return f"v0={mac.hexdigest()}"


@lru_cache(maxsize=8)
def _keyed(secret: str) -> hmac.HMAC:
    """Setting a key up takes as long as signing with it."""
    return hmac.new(secret.encode(), digestmod="sha256")


def _read(content_type: str, body: bytes) -> Sound | Refusal:
    try:
        text = body.decode()
        payload = parse_json(text) if "json" in content_type.casefold() else _form(text)
    except (ValueError, RecursionError):
        return Refusal.UNREADABLE
    return Sound(payload) if isinstance(payload, dict) and payload else Refusal.UNREADABLE


def _form(text: str) -> Any:
    pairs = text.replace("+", " ").split("&", _MOST_FIELDS)
    if len(pairs) > _MOST_FIELDS:
        raise ValueError("more fields than Slack ever sends")
    fields = {}
    for pair in filter(None, pairs):
        name, _, value = pair.partition("=")
        if "%" in pair:
            name, value = unquote(name), unquote(value)
        fields[name] = value
    return parse_json(fields["payload"]) if "payload" in fields else fields
