"""From a reply to its value, or to the error of the person who can act.

The catalog of replies is Celonis' own (developer.celonis.com, common error catalog) and what its other services and
the proxies before them are known to send. A reply is read as what it is, by content type and shape before status: a
web page with status 403 is a matter of the network, not of rights. Celonis' words are foreign text: they are cut, and
nothing in them is believed but the status, the error code and the support id.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import httpx

from bot.celonis.limits.rate_headers import rate_headers
from bot.celonis.limits.transport import BEFORE_SENDING, MOST_READ, Oversized
from bot.celonis.models import JobRun
from bot.celonis.request import Family
from bot.config import Connection
from bot.model.errors import (
    MOMENT,
    NOT_SENT,
    BadQuery,
    CelonisError,
    Forbidden,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    UnexpectedReply,
    Unreachable,
    Who,
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
_IF_IT_STAYS = "If it stays so, the bot's admin can look at “debug”."
_LATER = "Try again in a minute."
_ELSEWHERE = {
    Family.INTELLIGENCE: "It may have been renamed or deleted; say “models” for what there is.",
    Family.INTEGRATION: "It may have been renamed or deleted; say “pools” for what there is.",
    Family.OTHER: "This Celonis team may not offer it; a Celonis admin can look it up in Admin & Settings.",
}
"""What to do about something that Celonis does not have."""
_GRANTS = {
    Family.INTELLIGENCE: "A Celonis admin has to grant the bot's key USE PACKAGE on the Studio package that holds the "
    "knowledge model.",
    Family.INTEGRATION: "A Celonis admin has to grant the bot's key a permission on the data pool (Data Integration). "
    "“Use all data models” is not enough.",
    Family.OTHER: "A Celonis admin has to grant the bot's key (or the scope of its OAuth client) the permission.",
}
_ONCE_SORTED = "Sort by something that is shown, once only."
_FIXES = {
    "KM_FIELD_NOTFOUND": "Fields are case sensitive and may have been renamed; say “fields” for those there are.",
    "SORT_UNKNOWN_FIELD": _ONCE_SORTED,
    "SORT_HAS_OPPOSITE": _ONCE_SORTED,
    "SORT_IS_EMPTY": _ONCE_SORTED,
    "GENERAL_PARAMETER_ILLEGAL": _ONCE_SORTED,
    "GENERAL_CONSTRAINT_VIOLATION": "Ask for less at once.",
}
"""By error code: what to ask instead."""


def foreign(text: str) -> str:
    """Words of the other side for a sentence of ours: one line, cut, without control characters or key-like text."""
    shown = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * _LONGEST])
    line = redact(" ".join(shown.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def is_web_page(reply: httpx.Response) -> bool:
    """Whether it is for a browser: what a proxy or a login page sends in Celonis' place."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().casefold()
    return kind in _PAGES or (reply.content.lstrip()[:1] == b"<" and not kind.endswith("json"))


# --- values


def payload(reply: httpx.Response, *, connection: Connection) -> Any:
    """The JSON of a good reply.

    Raises:
        Unreachable: It breaks off in the middle.
        UnexpectedReply: It is not JSON, or empty.
    """
    status = reply.status_code
    if not reply.content.strip():
        raise UnexpectedReply(
            f"{connection.name} answered with nothing where data was expected.",
            hint=_IF_IT_STAYS,
            status=status,
        )
    broken = False
    try:
        return json.loads(reply.content)
    except RecursionError:
        pass
    except ValueError:
        broken = reply.content.lstrip()[:1] in {b"{", b"["}
    if is_web_page(reply):
        raise _web_page(reply, connection)
    if broken:
        raise _broke_off(connection.name, status)
    raise UnexpectedReply(
        f"{connection.name} sent an answer that cannot be read (it is no JSON).",
        hint="Ask again; if it stays so, the bot's admin can look at “debug”.",
        status=status,
    )


def odd_shape(connection: Connection) -> UnexpectedReply:
    """The error for JSON in which something is missing that has to be there."""
    return UnexpectedReply(
        f"{connection.name} sent an answer of another shape than its API documents.",
        hint=_IF_IT_STAYS,
        status=200,
    )


# --- no reply


def late() -> Unreachable:
    """The error for an answer that does not come in time."""
    return Unreachable(
        "Celonis has not answered in time.", hint="Ask again in a minute.", undone="There is no answer yet."
    )


def no_reply(error: httpx.HTTPError, connection: Connection) -> CelonisError:
    """The error for a request that got no usable reply, by what stood in its way."""
    host = connection.scope
    causes = list(_causes(error))
    who = Who.BOT_ADMIN
    if isinstance(error, Oversized):
        return UnexpectedReply(
            f"{connection.name} sent more than {MOST_READ // 2**20} MB; the bot stopped reading.",
            hint="Ask for less at once.",
        )
    if any(isinstance(each, socket.gaierror) for each in causes):
        sentence = f"There is no host {host}."
        hint = (
            "The bot's admin should check team and cluster in the settings, and the machine's name service."
        )
    elif any(isinstance(each, ssl.SSLError) for each in causes):
        sentence = f"The connection to {host} cannot be trusted (TLS)."
        hint = "A proxy may stand in between; the bot's admin should check the machine's certificates."
    elif isinstance(error, BEFORE_SENDING):
        sentence = f"{host} cannot be reached."
        hint = "Try again in a minute; if it stays so, the bot's admin should check the network."
        who = Who.TIME
    else:
        return late() if isinstance(error, httpx.TimeoutException) else _broke_off(host)
    unreachable = Unreachable(sentence, hint=hint, undone=NOT_SENT)
    unreachable.who = who
    return unreachable


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [each.__cause__, each.__context__]
            todo += each.exceptions if isinstance(each, BaseExceptionGroup) else ()


def _broke_off(who: str, status: int | None = None) -> Unreachable:
    return Unreachable(
        f"{who} broke off its answer.", hint=_LATER, undone="There is no answer.", status=status
    )


# --- refusals


@dataclass(frozen=True, slots=True)
class _Envelope:
    """The texts of an error body; `said` is the more telling one."""

    said: str = ""
    code: str = ""
    is_json: bool = False


def _envelope(reply: httpx.Response) -> _Envelope:
    """Reads an error body in the shapes of all services: Intelligence, Data Integration, permissions."""
    try:
        body = json.loads(reply.content)
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
    said = foreign(detail or text("title", "shortMessage", "error"))
    return _Envelope(said, code if _CODE.fullmatch(code) else "", is_json=True)


class Tried(NamedTuple):
    """A write, in the words of who asked for it: "stop", and the run."""

    doing: str
    run: JobRun


def refusal(
    reply: httpx.Response,
    *,
    connection: Connection,
    family: Family,
    now: datetime,
    write: Tried | None = None,
    key: str = "key",
) -> CelonisError:
    """The error for a reply that is no success.

    Args:
        reply: Any reply outside 2xx.
        connection: For its name and the kind of its credential.
        family: Which API was asked.
        now: When the reply came.
        write: What was to be done; None for a read.
        key: Which of the bot's keys was sent.
    """
    status, name, said = reply.status_code, connection.name, _envelope(reply)
    match status:
        case 429:
            return _rate_limited(reply, name, now)
        case _ if is_web_page(reply) and 400 <= status < 500:  # noqa: PLR2004 - HTTP's own numbers
            return _web_page(reply, connection)
        case 401 if not said.is_json and _SCHEME_MISSING in reply.text:
            return Unauthorized(
                f"{name} could not read the bot's {key}: it came without a kind.",
                hint="The bot's admin should set the key type (APP_KEY or USER_KEY).",
                status=status,
            )
        case 401:
            return Unauthorized(
                f"{name} does not accept the bot's {key}.",
                hint="The bot's admin should check the key and its type (application or user key), or make a new one.",
                status=status,
            )
        case 403:
            return _forbidden(reply, connection, family, write, key)
        case 404 if said.code.startswith("LIMIT_"):
            return CelonisError(
                f"{name} has no limits configured for its API, so it refuses every question.",
                hint="The Celonis account team has to set them.",
                status=status,
            )
        case 404:
            return NotFound(
                said.said or f"{name} does not have that (any more).",
                hint=_ELSEWHERE[family],
                status=status,
            )
        case 400 | 405 | 406 | 409 | 413 | 414 | 415 | 422:
            return BadQuery(
                f"Celonis refuses the question: {said.said or f'HTTP {status}'}",
                hint=_FIXES.get(said.code, "Say it another way, or ask for less."),
                status=status,
            )
        case _ if status >= 500:  # noqa: PLR2004 - HTTP's own number
            return _fault(reply, name)
        case _ if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
            return UnexpectedReply(
                f"{name} wants to send the bot to another address (HTTP {status}); it did not go there.",
                hint="The team's address in the settings is probably wrong; the bot's admin can check it.",
                status=status,
            )
        case _:
            return UnexpectedReply(
                f"{name} answered in a way that its API does not document (HTTP {status}).",
                hint=_IF_IT_STAYS,
                status=status,
            )


def _web_page(reply: httpx.Response, connection: Connection) -> UnexpectedReply:
    said = "" if reply.is_success else f" (HTTP {reply.status_code})"
    return UnexpectedReply(
        f"A web page{said} came in place of an answer from {connection.name}.",
        hint="A proxy or a login page stands between the bot and Celonis, or the team's address is wrong; the bot's "
        "admin should check the network. It says nothing about the rights of the bot's key.",
        status=reply.status_code,
    )


def _forbidden(
    reply: httpx.Response, connection: Connection, family: Family, write: Tried | None, key: str
) -> CelonisError:
    """What was refused, in the words of what was tried, and who has to grant what."""
    tried = "see this" if write is None else f"{write.doing} {foreign(write.run.job_name)}"
    sentence = f"{connection.name} does not let the bot {tried}"
    grant = _GRANTS[family]
    if write is not None and family is Family.INTEGRATION:
        grant = (
            f"A Celonis admin has to grant the bot's {key} *manage* on the data pool {foreign(write.run.pool_name)} "
            "(Data Integration); to view it is not enough."
        )
    if scope := _missing_scope(connection, family, write=write is not None):
        sentence += f": the scope {scope} is missing"
        grant = (
            f"The bot's admin should add {scope} to the scope of the OAuth client in the settings, and a "
            f"Celonis admin has to grant it to the client. {grant}"
        )
    elif family is Family.INTELLIGENCE and not reply.content.strip():
        return Forbidden(
            f"The Intelligence API is not switched on for {connection.name}.",
            hint="The Celonis account team has to enable it for the team; the bot's key is not the reason.",
            status=reply.status_code,
        )
    return Forbidden(f"{sentence}.", hint=grant, status=reply.status_code)


def _missing_scope(connection: Connection, family: Family, *, write: bool) -> str:
    """The OAuth scope that the API needs and the settings do not ask for; empty where it is not that."""
    if connection.oauth is None or family not in _SCOPES:
        return ""
    wanted, enough = _SCOPES[family]
    asked = set(connection.oauth.scope.split())
    return "" if wanted in asked or (enough in asked and not write) else wanted


def _fault(reply: httpx.Response, name: str) -> ServerFault:
    found = _SUPPORT_ID.search(reply.text)
    support_id = found[1] if found else ""
    hint = _LATER
    if support_id:
        hint = f"Try again in a minute; if it stays so, Celonis support wants to know this id: {support_id}"
    return ServerFault(
        f"Something went wrong inside Celonis (HTTP {reply.status_code}), not in your question.",
        hint=hint,
        undone=f"{name} gave no answer. Nothing was changed.",
        status=reply.status_code,
        support_id=support_id,
    )


def _rate_limited(reply: httpx.Response, name: str, now: datetime) -> RateLimited:
    wait = rate_headers(reply.headers, now, text=reply.text).wait
    until = None if wait is None else now + timedelta(seconds=wait)
    return RateLimited(
        f"{name} has had enough questions for the moment.",
        moment=until,
        hint=f"I hold back until {'Celonis answers again' if until is None else MOMENT}.",
    )
