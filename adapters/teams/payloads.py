"""What Teams sends, read once: a pure function from JSON to `Arrival`, with every check that needs nothing else.

Fields are those of https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
and https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-basics.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError

from adapters.http import NotRead
from bot.config import host_matches, is_loopback
from bot.model.clock import known_zones
from bot.model.people import Person, Place, Visibility

PLATFORM = "teams"
CHANNEL = "msteams"
_THREAD = ";messageid="
_ID = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
_LONGEST_ID = 1000
_LONGEST_NAME = 100
UPLOAD_HOSTS = ("*.sharepoint.com", "*.sharepoint.us")
_VISIBILITY = {"personal": Visibility.PERSONAL, "groupChat": Visibility.GROUP, "channel": Visibility.CHANNEL}


class Kind(StrEnum):
    """What arrived, as far as the bot tells things apart."""

    TEXT = "text"
    PRESS = "press"
    SUBMIT = "submit"
    INSTALLED = "installed"
    FILE = "file"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that arrived, after every check that needs no more than the JSON.

    Attributes:
        id: The platform's; the same for repeated deliveries.
        person: Who; None where the channel names no account of the directory.
        service: Where answers go; checked against the token's claim by the authentication.
        conversation: Where answers go; holds the thread too.
        user: The person's id within the channel.
        bot: The bot's id within the channel.
        replied: The message that was pressed.
        text: Without the mention of the bot.
        value: What a press carries.
        automatic: The client pressed by itself, nobody did.
        expects_answer: Whether the channel waits for a body.
        zone: IANA zone of the person's client.
        locale: Of the person's client, as Babel spells it.
    """

    kind: Kind
    id: str
    person: Person | None
    place: Place
    service: str
    conversation: str
    user: str
    bot: str
    replied: str = ""
    text: str = ""
    value: object = None
    automatic: bool = False
    expects_answer: bool = False
    zone: str | None = None
    locale: str | None = None


def read(
    body: Mapping[str, Any], *, tenants: Collection[str], hosts: Collection[str], loopback: bool
) -> Arrival:
    """An arrival.

    Args:
        body: The JSON object that came.
        tenants: Whose messages are looked at; lower case.
        hosts: Of Microsoft's, to which answers may go; patterns as in the settings.
        loopback: Whether a service URL on this machine is good (development and tests).

    Raises:
        NotRead: It comes from elsewhere, or lacks what an answer needs.
    """
    if text_of(body, "channelId") != CHANNEL:
        raise NotRead(HTTPStatus.FORBIDDEN, "another channel than Teams")
    service = text_of(body, "serviceUrl")
    if not _good_service(service, hosts, loopback=loopback):
        raise NotRead(HTTPStatus.BAD_REQUEST, "no usable service URL")
    tenant = text_of(part_of(part_of(body, "channelData"), "tenant"), "id").lower()
    conversation = part_of(body, "conversation")
    if not tenant or tenant != text_of(conversation, "tenantId").lower():
        raise NotRead(HTTPStatus.FORBIDDEN, "the tenant is missing or contradicts itself")
    if tenant not in tenants:
        raise NotRead(HTTPStatus.FORBIDDEN, "a tenant that this bot does not serve")
    conversation_id = text_of(conversation, "id")
    if not 0 < len(conversation_id) <= _LONGEST_ID:
        raise NotRead(HTTPStatus.BAD_REQUEST, "no conversation")
    place_id, _, thread = conversation_id.partition(_THREAD)
    place = Place(
        PLATFORM,
        tenant,
        place_id,
        _VISIBILITY.get(text_of(conversation, "conversationType"), Visibility.CHANNEL),
        thread=thread,
        name=text_of(conversation, "name")[:_LONGEST_NAME],
    )
    bot = text_of(part_of(body, "recipient"), "id")
    kind, text, value, automatic = _said(body, place, bot)
    return Arrival(
        kind=kind,
        id=text_of(body, "id")[:_LONGEST_ID],
        person=_person(part_of(body, "from"), tenant),
        place=place,
        service=service,
        conversation=conversation_id,
        user=text_of(part_of(body, "from"), "id")[:_LONGEST_ID],
        bot=bot[:_LONGEST_ID],
        replied=text_of(body, "replyToId")[:_LONGEST_ID],
        text=text,
        value=value,
        automatic=automatic,
        expects_answer=text_of(body, "type") == "invoke",
        zone=_zone(body),
        locale=_locale(text_of(body, "locale")),
    )


def _said(body: Mapping[str, Any], place: Place, bot: str) -> tuple[Kind, str, object, bool]:
    value = body.get("value")
    match text_of(body, "type"), text_of(body, "name"):
        case "message", _ if value is not None and not text_of(body, "text").strip():
            return Kind.SUBMIT, "", value, False
        case "message", _:
            text, mentioned = without_mention(text_of(body, "text"), body.get("entities"), bot)
            if place.visibility is not Visibility.PERSONAL and not mentioned:
                return Kind.OTHER, "", None, False
            return Kind.TEXT, text, None, False
        case "invoke", "adaptiveCard/action":
            pressed = value if isinstance(value, Mapping) else {}
            action = part_of(pressed, "action")
            automatic = text_of(pressed, "trigger") not in ("", "manual")
            return Kind.PRESS, "", action.get("data"), automatic
        case "invoke", "fileConsent/invoke":
            return Kind.FILE, "", value, False
        case "installationUpdate", _ if text_of(body, "action").startswith("add"):
            return Kind.INSTALLED, "", None, False
        case _:
            return Kind.OTHER, "", None, False


def good_upload(address: str, *, loopback: bool) -> bool:
    """Whether a file may be put there: OneDrive or SharePoint of Microsoft's, over https."""
    return _good_service(address, UPLOAD_HOSTS, loopback=loopback)


def without_mention(text: str, entities: object, bot: str) -> tuple[str, bool]:
    """Text without the mention of the bot, and whether there was one.

    Exactly the text of the first entity that mentions the bot's id goes, once; other people's mentions become their
    names. Teams writes some characters as HTML entities.
    """
    mentioned = False
    for entity in entities if isinstance(entities, list) else []:
        if not isinstance(entity, Mapping) or text_of(entity, "type") != "mention":
            continue
        marked = text_of(entity, "text")
        whose = part_of(entity, "mentioned")
        if not marked or marked not in text:
            continue
        if bot and text_of(whose, "id") == bot and not mentioned:
            text = text.replace(marked, " ", 1)
            mentioned = True
        else:
            text = text.replace(marked, text_of(whose, "name"), 1)
    return " ".join(html.unescape(text).split()), mentioned


def _person(account: Mapping[str, Any], tenant: str) -> Person | None:
    found = text_of(account, "aadObjectId").lower()
    if not _ID.match(found):
        return None
    return Person(PLATFORM, tenant, found, " ".join(text_of(account, "name").split())[:_LONGEST_NAME])


def _good_service(service: str, hosts: Collection[str], *, loopback: bool) -> bool:
    if not 0 < len(service) <= _LONGEST_ID or not service.isascii() or not service.isprintable():
        return False
    try:
        parts = urlsplit(service)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.query or parts.fragment:
        return False
    if loopback and parts.scheme == "http" and is_loopback(host):
        return True
    # A token of the channel's vouches for the URL, but anybody's bot can be led to sign for a host of their own.
    return parts.scheme == "https" and any(host_matches(host, port, each) for each in hosts)


def _zone(body: Mapping[str, Any]) -> str | None:
    said = [text_of(body, "localTimezone")]
    entities = body.get("entities")
    said += [
        text_of(each, "timezone")
        for each in (entities if isinstance(entities, list) else [])
        if isinstance(each, Mapping) and text_of(each, "type") == "clientInfo"
    ]
    return next((each for each in said if each and each in known_zones()), None)


def _locale(text: str) -> str | None:
    if not 0 < len(text) <= _LONGEST_NAME:
        return None
    try:
        return str(Locale.parse(text, sep="-"))
    except (ValueError, UnknownLocaleError, TypeError):
        return None


def part_of(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What stands under a key where that is an object, else an empty one."""
    found = body.get(key)
    return found if isinstance(found, Mapping) else {}


def text_of(body: Mapping[str, Any], key: str) -> str:
    """What stands under a key where that is text, else an empty one."""
    found = body.get(key)
    return found if isinstance(found, str) else ""
