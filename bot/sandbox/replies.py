"""Replies, the error bodies of the published error catalogs (`errors.json`), and what is always the same
(`always.json`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

JSON = "application/json"
PROBLEM = "application/problem+json"
TEXT = "text/plain"


@dataclass(slots=True)
class Reply:
    """An answer before it is put on the wire, so that faults can still spoil it.

    Attributes:
        status: HTTP status.
        body: Encoded body.
        kind: Content type.
        headers: Further headers.
        after: Seconds to wait before it is sent.
        pieces: The body bit by bit, in place of `body`, where it may be long.
    """

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    pieces: Iterator[bytes] | None = None


class Refused(Exception):
    """A request that ends in an error reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def _encode(value: object) -> str:
    # [choice] The wire form of dates isn't published: ISO 8601, date-times in UTC with a Z.
    if isinstance(value, datetime):
        timespec = "milliseconds" if value.microsecond else "seconds"
        return value.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no JSON form.")


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_encode).encode


def ok(value: object, status: int = 200) -> Reply:
    """A JSON reply."""
    return Reply(status, _dump(value).encode())


def nothing(status: int = 200) -> Reply:
    """A reply without a body."""
    return Reply(status, b"")


def problem(status: int, title: str, detail: str) -> Reply:
    """The Intelligence API's envelope around an error that no catalog lists."""
    return Reply(status, _dump({"title": title, "status": status, "detail": detail}).encode(), PROBLEM)


@cache
def _read(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((files("bot.sandbox") / file).read_text(encoding="utf-8"))
    return found


def always(kind: str) -> dict[str, Any]:
    """What every item of a kind says."""
    return _read("always.json")[kind]


def error(name: str, texts: str = "new", /, **values: object) -> Reply:
    """An error of the Intelligence API: its entry in `errors.json`, with these values in its text.

    Args:
        name: As the file calls it.
        texts: The entry's current (`new`) or earlier (`old`) text.
        values: For the braces in the text.
    """
    body = dict(_read("errors.json")[name])
    earlier = body.pop("old", {})
    if texts == "old":
        body |= earlier
    body["detail"] = body["detail"].format(**values)
    return Reply(body["status"], _dump(body).encode(), PROBLEM)


def refusal(name: str, texts: str = "new", /, **values: object) -> Refused:
    """The same, ready to be raised."""
    return Refused(error(name, texts, **values))


def constraint(name: str, rule: str) -> Refused:
    """A parameter outside its bounds."""
    return refusal("constraint", name=name, rule=rule)


def unauthorized() -> Reply:
    """No token, an unknown one, or one under the wrong scheme ([choice] for the last)."""
    return Reply(401, b'{"error":"Unauthorized"}', PROBLEM)


def bad_scheme() -> Reply:
    """An Authorization header that starts with neither of the two words."""
    text = 'Invalid "Authorization" header format. Should start either with "Bearer " or "AppKey " (case insensitive).'
    return Reply(401, text.encode(), TEXT)


def api_disabled() -> Reply:
    """The Intelligence API isn't enabled for the team: 403 and not a byte more."""
    return Reply(403, b"", TEXT)


def integration_problem(status: int, message: str, short: str) -> Reply:
    """[choice] An error of Data Integration in the shape that PyCelonis models; the bodies aren't published."""
    reference = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{status}:{message}"))
    body = {"reference": reference, "message": message, "shortMessage": short}
    return Reply(status, _dump(body).encode())


def denied() -> Reply:
    """Outside the Intelligence API: the key may not."""
    return integration_problem(403, "Access is denied", "ACCESS_DENIED")


def not_found(what: str, identity: str) -> Refused:
    """Outside the Intelligence API: there is none."""
    return Refused(integration_problem(404, f"{what} with id {identity} was not found.", "NOT_FOUND"))


def attribute_problem(attribute: str, error: str, code: str) -> Reply:
    """[choice] A rejected input of Data Integration, in PyCelonis' second shape."""
    entry = {"attribute": attribute, "error": error, "errorCode": code, "additionalInfo": None}
    return Reply(400, _dump({"errors": [entry]}).encode())


def clock_time(moment: datetime) -> str:
    """`06:10:41 UTC`, as a 429 names the moment to try again, rounded up to a full second."""
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return moment.strftime("%H:%M:%S UTC")
