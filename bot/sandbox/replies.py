"""Replies, and the error bodies of the published error catalogs."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

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
    """

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0


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


def problem(status: int, title: str, detail: str, code: str | None) -> Reply:
    """The Intelligence API's envelope."""
    body: dict[str, object] = {"title": title, "status": status, "detail": detail}
    if code is not None:
        body["errorCode"] = code
    return Reply(status, _dump(body).encode(), PROBLEM)


def refusal(status: int, title: str, detail: str, code: str | None) -> Refused:
    """The same, ready to be raised."""
    return Refused(problem(status, title, detail, code))


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


def access_denied() -> Reply:
    """Access to a named thing of the Intelligence API without the permission for it."""
    return problem(403, "Access Denied.", "Access is denied", "ADMIN_ACCESS_ERROR")


def path_not_found(path: str, texts: str) -> Reply:
    """No such endpoint."""
    detail = f"Path {path} not found" if texts == "old" else "The path does not exist."
    return problem(404, "Path not found.", detail, "GENERAL_NOTFOUND_PATH")


def fatal(support_id: str) -> Reply:
    """500 with the id that customer support asks for."""
    detail = (
        "Something went wrong while handling the request. Please contact Celonis customer support. "
        f"Celonis Support ID: {support_id}"
    )
    return problem(500, "Unexpected error.", detail, "ADMIN_FATAL_ERROR")


def constraint(name: str, rule: str) -> Refused:
    """A parameter outside its bounds."""
    return refusal(
        400, "Some params have constraint violations.", f"[{name}: {rule}]", "GENERAL_CONSTRAINT_VIOLATION"
    )


def mismatch(name: str, kind: str, texts: str) -> Refused:
    """A parameter of the wrong type; the error code is spelt as the API spells it."""
    old = f"Query parameter '{name}' must be of type '{kind}'."
    detail = old if texts == "old" else "Invalid query parameter type."
    return refusal(400, "Query parameter type mismatch.", detail, "GENERAL_PARAMETER_MISSMATCH")


def integration_problem(status: int, message: str, short: str) -> Reply:
    """[choice] An error of Data Integration in the shape that PyCelonis models; the bodies aren't published."""
    reference = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{status}:{message}"))
    body = {"reference": reference, "message": message, "shortMessage": short}
    return Reply(status, _dump(body).encode())


def attribute_problem(attribute: str, error: str, code: str) -> Reply:
    """[choice] A rejected input of Data Integration, in PyCelonis' second shape."""
    entry = {"attribute": attribute, "error": error, "errorCode": code, "additionalInfo": None}
    return Reply(400, _dump({"errors": [entry]}).encode())


def clock_time(moment: datetime) -> str:
    """`06:10:41 UTC`, as a 429 names the moment to try again, rounded up to a full second."""
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return moment.strftime("%H:%M:%S UTC")
