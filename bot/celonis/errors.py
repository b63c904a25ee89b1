"""From a reply to a value, or to the error of the person who can act.

The catalog of replies is Celonis' own (developer.celonis.com, common error catalog) and what its other services and
the proxies before them are known to send. Celonis' words are foreign text: they are cut, and nothing in them is
believed but the status, the error code and the support id.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.celonis.connection import Family
from bot.celonis.limits.rate_headers import told
from bot.celonis.writes import JobRun
from bot.config import Connection
from bot.model.errors import (
    MOMENT,
    ApiDisabled,
    BadQuery,
    CelonisError,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    UnexpectedReply,
    Unreachable,
)
from bot.redaction import redact

_LONGEST = 300
_SUPPORT_ID = re.compile(r"Support ID:\s*([0-9A-Za-z-]{8,64})", re.ASCII)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,63}", re.ASCII)
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_SCOPES = {
    Family.INTELLIGENCE: ("intelligence.knowledge-models:read", "studio"),
    Family.INTEGRATION: ("integration.data-pools", "integration.data-pools:read"),
}
"""By API: the OAuth scope to ask for, and another one that does for reads.
Source: https://docs.celonis.com/en/oauth-scopes.html."""
_SCHEME_MISSING = 'Should start either with "Bearer " or "AppKey "'


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it came. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")

    @property
    def web_page(self) -> bool:
        """Whether it is for a browser: what a proxy or a login page sends in Celonis' place."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().casefold()
        return kind in _PAGES or (self.body.lstrip()[:1] == b"<" and not kind.endswith("json"))

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers


def foreign(text: str) -> str:
    """Words of the other side for a sentence of ours: one line, cut, without control characters or key-like text."""
    shown = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * _LONGEST])
    line = redact(" ".join(shown.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def payload(reply: Reply, *, connection: Connection) -> Any:
    """The JSON of a good reply.

    Raises:
        Unreachable: It breaks off in the middle.
        UnexpectedReply: It is not JSON, or empty.
    """
    if not reply.body.strip():
        raise UnexpectedReply(
            f"{connection.name} answered with nothing where data was expected.",
            hint="If it stays so, ask the bot's admin to look at “debug”.",
            status=reply.status,
        )
    broken = False
    try:
        return json.loads(reply.body)
    except RecursionError:
        pass
    except ValueError:
        broken = reply.body.lstrip()[:1] in {b"{", b"["}
    if reply.web_page:
        raise _web_page(reply, connection)
    if broken:
        raise Unreachable(
            f"{connection.name} broke off its answer.",
            hint="Try again in a minute.",
            undone="There is no answer.",
            status=reply.status,
        )
    raise UnexpectedReply(
        f"{connection.name} sent an answer that cannot be read (it is no JSON).",
        hint="Ask again; if it stays so, the bot's admin can look at “debug”.",
        status=reply.status,
    )


def _web_page(reply: Reply, connection: Connection) -> UnexpectedReply:
    said = "" if reply.ok else f" (HTTP {reply.status})"
    return UnexpectedReply(
        f"A web page{said} came in place of an answer from {connection.name}.",
        hint="A proxy or a login page stands between the bot and Celonis, or the team's address is wrong; the bot's "
        "admin should check the network. It says nothing about the rights of the bot's key.",
        status=reply.status,
    )


@dataclass(frozen=True, slots=True)
class _Envelope:
    title: str = ""
    detail: str = ""
    code: str = ""
    is_json: bool = False

    @property
    def said(self) -> str:
        """The more telling of its texts."""
        return foreign(self.detail or self.title)


def _envelope(reply: Reply) -> _Envelope:
    """The texts of an error body, in the shapes of all services: Intelligence, Data Integration, permissions."""
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return _Envelope()
    if not isinstance(body, dict):
        return _Envelope(is_json=True)

    def text(*names: str) -> str:
        return next((value for name in names if isinstance(value := body.get(name), str) and value), "")

    detail = text("detail", "message", "errorInformation")
    inner = body.get("errors")
    if not detail and isinstance(inner, list) and inner and isinstance(inner[0], dict):
        detail = ": ".join(
            str(inner[0][name]) for name in ("attribute", "error") if isinstance(inner[0].get(name), str)
        )
    code = text("errorCode", "frontendErrorKey")
    return _Envelope(
        text("title", "shortMessage", "error"), detail, code if _CODE.fullmatch(code) else "", is_json=True
    )


def refusal(
    reply: Reply,
    *,
    connection: Connection,
    family: Family,
    write: JobRun | None = None,
) -> CelonisError:
    """The error for a reply that is no success.

    Args:
        reply: Any reply outside 2xx.
        connection: For its name and the kind of its credential.
        family: Which API was asked.
        write: The run that was to be stopped; None for a read.
    """
    said = _envelope(reply)
    name = connection.name
    missing = _missing_scope(connection, family, write=write is not None)
    match reply.status:
        case status if reply.web_page and 400 <= status < 500 and status != 429:  # noqa: PLR2004 - HTTP's own
            return _web_page(reply, connection)
        case 401:
            return _unauthorized(reply, said, name)
        case 403 if missing:
            return Forbidden(
                f"{_refused(name, write)}: the scope {missing} is missing.",
                hint=f"The bot's admin should add {missing} to the scope of the OAuth client in the settings, and a "
                f"Celonis admin has to grant it to the client. {_grant(family, write)}",
                status=403,
                code=said.code,
            )
        case 403 if family is Family.INTELLIGENCE and not reply.body.strip():
            return ApiDisabled(
                f"The Intelligence API is not switched on for {name}.",
                hint="The Celonis account team has to enable it for the team; the bot's key is not the reason.",
                status=403,
            )
        case 403:
            return Forbidden(
                f"{_refused(name, write)}.", hint=_grant(family, write), status=403, code=said.code
            )
        case 404 if said.code.startswith("LIMIT_"):
            return CelonisError(
                f"{name} has no limits configured for its API, so it refuses every question.",
                hint="The Celonis account team has to set them.",
                status=404,
                code=said.code,
            )
        case 404:
            return NotFound(
                said.said or f"{name} does not have that (any more).",
                hint=_elsewhere(family),
                status=404,
                code=said.code,
            )
        case 429:
            return rate_limited(reply, connection=connection)
        case 400 | 405 | 406 | 409 | 413 | 414 | 415 | 422:
            return BadQuery(
                f"Celonis refuses the question: {said.said or f'HTTP {reply.status}'}",
                hint=_mend(said.code),
                status=reply.status,
                code=said.code,
            )
        case status if status >= 500:  # noqa: PLR2004 - HTTP's own numbers
            return _fault(reply, said, name)
        case status if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
            return UnexpectedReply(
                f"{name} wants to send the bot to another address (HTTP {status}); it did not go there.",
                hint="The team's address in the settings is probably wrong; the bot's admin can check it.",
                status=status,
            )
        case status:
            return UnexpectedReply(
                f"{name} answered in a way that its API does not document (HTTP {status}).",
                hint="If it stays so, the bot's admin can look at “debug”.",
                status=status,
                code=said.code,
            )


def _unauthorized(reply: Reply, said: _Envelope, name: str) -> CelonisError:
    if not said.is_json and _SCHEME_MISSING in reply.text:
        return Unauthorized(
            f"{name} could not read the bot's key: it came without a kind.",
            hint="The bot's admin should set the key type (APP_KEY or USER_KEY).",
            status=401,
        )
    return Unauthorized(
        f"{name} does not accept the bot's key.",
        hint="The bot's admin should check the key and its type (application or user key), or make a new one.",
        status=401,
        code=said.code,
    )


def _refused(name: str, write: JobRun | None) -> str:
    """What was refused, in the words of what was tried."""
    return f"{name} does not let the bot " + (
        "see this" if write is None else f"stop {foreign(write.job_name)}"
    )


def _missing_scope(connection: Connection, family: Family, *, write: bool) -> str:
    """The OAuth scope that the API needs and the settings do not ask for; empty where it is not that."""
    if connection.oauth is None or family not in _SCOPES:
        return ""
    wanted, enough = _SCOPES[family]
    asked = set(connection.oauth.scope.split())
    return "" if wanted in asked or (enough in asked and not write) else wanted


def _grant(family: Family, write: JobRun | None) -> str:
    match family:
        case Family.INTELLIGENCE:
            return (
                "A Celonis admin has to grant the bot's key USE PACKAGE on the Studio package that holds the "
                "knowledge model."
            )
        case Family.INTEGRATION if write is not None:
            return (
                "A Celonis admin has to grant the bot's key *manage* on the data pool "
                f"{foreign(write.pool_name)} (Data Integration); to view it is not enough."
            )
        case Family.INTEGRATION:
            return (
                "A Celonis admin has to grant the bot's key a permission on the data pool (Data Integration). "
                "“Use all data models” is not enough."
            )
        case Family.OTHER:
            return "A Celonis admin has to grant the bot's key (or the scope of its OAuth client) the permission."


def _elsewhere(family: Family) -> str:
    """What to do about something that Celonis does not have."""
    match family:
        case Family.INTELLIGENCE:
            return "It may have been renamed or deleted; say “models” for what there is."
        case Family.INTEGRATION:
            return "It may have been renamed or deleted; say “pools” for what there is."
        case Family.OTHER:
            return "This Celonis team may not offer it; a Celonis admin can look it up in Admin & Settings."


def _mend(code: str) -> str:
    match code:
        case "KM_FIELD_NOTFOUND":
            return "Fields are case sensitive and may have been renamed; say “fields” for those there are."
        case "SORT_UNKNOWN_FIELD" | "SORT_HAS_OPPOSITE" | "SORT_IS_EMPTY" | "GENERAL_PARAMETER_ILLEGAL":
            return "Sort by something that is shown, once only."
        case "GENERAL_CONSTRAINT_VIOLATION":
            return "Ask for less at once."
        case _:
            return "Say it another way, or ask for less."


def _fault(reply: Reply, said: _Envelope, name: str) -> CelonisError:
    found = _SUPPORT_ID.search(reply.text)
    support_id = found[1] if found else ""
    if support_id:
        hint = f"Try again in a minute; if it stays so, Celonis support wants to know this id: {support_id}"
    else:
        hint = "Try again in a minute."
    return ServerFault(
        f"Something went wrong inside Celonis (HTTP {reply.status}), not in your question.",
        hint=hint,
        undone=f"{name} gave no answer. Nothing was changed.",
        status=reply.status,
        code=said.code,
        support_id=support_id,
    )


def rate_limited(reply: Reply, *, connection: Connection) -> RateLimited:
    """The error for a 429, with the moment from which Celonis answers again where it tells one."""
    said = _envelope(reply)
    wait = told(reply.headers, reply.at, text=said.detail or reply.text).wait
    until = None if wait is None else reply.at + timedelta(seconds=wait)
    return RateLimited(
        f"{connection.name} has had enough questions for the moment.",
        moment=until,
        hint="I hold back until Celonis answers again." if until is None else f"I hold back until {MOMENT}.",
        code=said.code,
    )
