"""The `Chat` port on Teams: messages out, and what the channel knows of people."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from cachetools import LRUCache, TLRUCache, TTLCache

from adapters.outgoing import Rendered
from adapters.teams.adaptive import full_width, render, render_mention
from adapters.teams.client import Connector, Json, Refused, encoded
from adapters.teams.payloads import PLATFORM, Arrival, part_of, text_of
from adapters.teams.sdk import AppIdentity, Token, fetch_with_msal
from bot.model.cards import Answer, Card, Reader
from bot.model.chat import File
from bot.model.clock import Clock
from bot.model.errors import StoreUnavailable, Undelivered
from bot.model.people import MessageRef, Person, Place, Profile, Standing, Visibility
from bot.render.button_codec import Shorten
from bot.render.card_text import announce
from bot.store import Store

log = structlog.get_logger()

CARD = "application/vnd.microsoft.card.adaptive"
FILE_CONSENT = "application/vnd.microsoft.teams.card.file.consent"
FILE_INFO = "application/vnd.microsoft.teams.card.file.info"
FILES_KEPT = 900.0
"""Seconds that a file waits for the person's consent."""
FILES_ROOM = 64 * 1024 * 1024
"""Bytes of all files that wait."""
PROFILE_KEPT = 600.0
UNREADABLE_KEPT = 30.0
OUTSIDERS_KEPT = 60.0
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How to reach a person; kept, since the bot may speak first later.

    Attributes:
        service: The service URL of an authenticated message.
        user: The person's id within the channel.
        personal: The conversation of their personal chat, empty where none was seen.
        seen_in: A conversation they are a member of.
        bot: The bot's id within the channel.
    """

    service: str
    user: str
    personal: str = ""
    seen_in: str = ""
    bot: str = ""


def conversation_of(place: Place) -> str:
    """The channel's name for a place, with its thread."""
    return f"{place.id};messageid={place.thread}" if place.thread else place.id


class TeamsChat:
    """Teams, as the product sees it. Build it inside a running event loop.

    Args:
        identity: The bot's registration; without an app id nothing that is sent carries a token.
        store: Keeps how to reach people and places.
        clock: Decides what is old, and waits.
        fetch_token: Gives a token for sending; MSAL unless told otherwise.
        chance: A number from 0 up to 1, to spread attempts.
        charts: Whether Teams draws charts.
    """

    def __init__(
        self,
        identity: AppIdentity,
        store: Store,
        clock: Clock,
        *,
        fetch_token: Callable[[], str] | None = None,
        chance: Callable[[], float] = random.random,
        charts: bool = False,
    ) -> None:
        self.token = Token(fetch_token or fetch_with_msal(identity), clock) if identity.app_id else None
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._connector = Connector(self.session, clock, chance, self.token)
        self._identity = identity
        self._store = store
        self._rendered = Rendered(partial(_message, charts=charts), store.keep_sentence)
        self._people: LRUCache[str, Whereabouts] = LRUCache(_REMEMBERED)
        self._places: LRUCache[str, str] = LRUCache(_REMEMBERED)
        self._users: LRUCache[str, str] = LRUCache(_REMEMBERED)
        self._clients: LRUCache[str, tuple[str | None, str | None]] = LRUCache(_REMEMBERED)
        self._profiles: TLRUCache[str, Profile] = TLRUCache(
            _REMEMBERED,
            ttu=lambda _, profile, now: now + (UNREADABLE_KEPT if profile.name is None else PROFILE_KEPT),
            timer=clock.monotonic,
        )
        self._files: TTLCache[str, tuple[str, File]] = TTLCache(
            FILES_ROOM, FILES_KEPT, timer=clock.monotonic, getsizeof=lambda kept: len(kept[1].content)
        )
        self._outsiders: TTLCache[str, bool] = TTLCache(_REMEMBERED, OUTSIDERS_KEPT, timer=clock.monotonic)

    async def close(self) -> None:
        """Closes every connection."""
        await self.session.close()

    # --- what is remembered ---

    async def note(self, arrival: Arrival) -> bool:
        """Remember, from an authenticated message, how to reach its person and place.

        Returns:
            Whether the person is who the message says. Where not, nothing is remembered.
        """
        if arrival.person is not None and not await self._is_one(arrival, arrival.person):
            log.warning("a message that names two people", person=arrival.person.key)
            return False
        personal = arrival.place.visibility is Visibility.PERSONAL
        try:
            if self._places.get(arrival.place.key) != arrival.service:
                self._places[arrival.place.key] = arrival.service
                await self._store.keep_conversation(arrival.place, json.dumps({"service": arrival.service}))
            if arrival.person is None:
                return True
            zone, locale = self._clients.get(arrival.person.key, (None, None))
            self._clients[arrival.person.key] = (arrival.zone or zone, arrival.locale or locale)
            known = await self._whereabouts(arrival.person)
            found = Whereabouts(
                service=arrival.service,
                user=arrival.user,
                personal=arrival.place.id if personal else (known.personal if known else ""),
                seen_in=known.seen_in if known and personal else arrival.place.id,
                bot=arrival.bot,
            )
            if found != known:
                self._people[arrival.person.key] = found
                await self._keep(arrival.person, found)
        except StoreUnavailable:
            log.warning("conversation not kept", place=arrival.place.key)
        return True

    async def _is_one(self, arrival: Arrival, person: Person) -> bool:
        """Whether the channel's id and the directory's id in a message are of the same person, by the roster.

        The first one decides where answers go, the second what they may hold. A pair is asked about once; where the
        roster cannot be read, somebody who is known by another id is not taken for the same, and a newcomer counts as
        external like everybody without a roster.
        """
        known = self._users.get(person.key)
        if known == arrival.user:
            return True
        try:
            member = await self._connector.member(arrival.service, arrival.place.id, arrival.user)
        except Undelivered:
            return known is None
        if object_id(member) not in (None, person.id):
            return False
        self._users[person.key] = arrival.user
        self._profiles[person.key] = profile_of(member, person)
        return True

    async def _keep(self, person: Person, found: Whereabouts) -> None:
        await self._store.keep_conversation(person, json.dumps(asdict(found)))

    async def _whereabouts(self, person: Person) -> Whereabouts | None:
        if (known := self._people.get(person.key)) is not None:
            return known
        kept = _object(await self._store.conversation(person))
        found = Whereabouts(**{name: text_of(kept, name) for name in Whereabouts.__slots__})
        return self._people.setdefault(person.key, found) if found.service and found.user else None

    async def _service(self, place: Place) -> str:
        """The service URL of a place. Raises `Undelivered` where the bot was never spoken to there."""
        if (known := self._places.get(place.key)) is not None:
            return known
        service = text_of(_object(await self._store.conversation(place)), "service")
        if not service:
            raise Undelivered(
                "I do not know how to reach that place in Teams.",
                hint="Mention the bot there once.",
                undone="The message was not delivered.",
            )
        self._places[place.key] = service
        return service

    # --- the port ---

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        """See `Chat`. An answer that mentions somebody is followed by a short message that does."""
        service, conversation = await self._service(place), conversation_of(place)
        shown = await self._rendered.of(answer)
        message = await self._connector.send(service, conversation, shown)
        await self._mention(service, conversation, answer)
        return MessageRef(PLATFORM, place, json.dumps([service, conversation, message]))

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        """See `Chat`. An answer that mentions somebody is followed by a short message that does."""
        service, conversation, message = _handle(ref)
        shown = await self._rendered.of(answer)
        await self._connector.update(service, conversation, message, shown)
        await self._mention(service, conversation, answer)

    async def _mention(self, service: str, conversation: str, answer: Answer) -> None:
        if not answer.mention:
            return
        text = answer.card.headline
        shown = _attached(render_mention(answer.mention, text), text)
        await self._connector.send(service, conversation, shown)

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        """See `Chat`. From the roster of a conversation that the person and the bot share; groups need more rights
        than this bot wants, so they are not known.
        """
        found = None if anew else self._profiles.get(person.key)
        if found is None:
            found = self._profiles[person.key] = await self._read_profile(person)
        zone, locale = self._clients.get(person.key, (None, None))
        return replace(found, zone=zone, locale=locale)

    async def _read_profile(self, person: Person) -> Profile:
        try:
            where = await self._whereabouts(person)
            if where is None or not (where.personal or where.seen_in):
                return Profile()
            member = await self._connector.member(
                where.service, where.seen_in or where.personal, where.user or person.id
            )
        except (Undelivered, StoreUnavailable) as error:
            log.info("profile not read", person=person.key, reason=type(error).__name__)
            return Profile()
        return profile_of(member, person)

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        """See `Chat`. From one page of the roster, else looked up once a minute; a longer one counts as one with guests.

        Source: https://learn.microsoft.com/microsoftteams/platform/bots/how-to/get-teams-context.
        """
        known = None if anew else self._outsiders.get(place.key)
        if known is not None:
            return known
        try:
            said = await self._connector.members(await self._service(place), place.id)
        except (Undelivered, StoreUnavailable) as error:
            log.info("roster not read", place=place.key, reason=type(error).__name__)
            return True
        members = said.get("members")
        if not isinstance(members, list) or not members or said.get("continuationToken"):
            return True
        found = any(not _is_member(each, place.home) for each in members)
        self._outsiders[place.key] = found
        return found

    async def direct(self, person: Person) -> Place | None:
        """See `Chat`. None where the person has not added the bot."""
        where = await self._whereabouts(person)
        if where is None:
            return None
        if not where.personal:
            try:
                personal = await self._connector.create(
                    where.service,
                    {
                        "bot": {"id": where.bot},
                        "members": [{"id": where.user}],
                        "isGroup": False,
                        "tenantId": person.home,
                        "channelData": {"tenant": {"id": person.home}},
                    },
                )
            except Refused as error:
                if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
                    return None
                raise
            if not personal:
                return None
            where = self._people[person.key] = replace(where, personal=personal)
            await self._keep(person, where)
        place = Place(PLATFORM, person.home, where.personal, Visibility.PERSONAL)
        self._places.setdefault(place.key, where.service)
        return place

    async def file(self, person: Person, file: File) -> str:
        """See `Chat`. Teams takes a file only with the person's consent; until then it is kept in memory, for a while
        (https://learn.microsoft.com/microsoftteams/platform/bots/how-to/bots-filesv4).
        """
        place = await self.direct(person)
        if place is None:
            raise Undelivered(
                "I cannot write to you personally, so I kept no file.",
                hint=HOW_TO_ADD,
                undone="The file was not sent.",
            )
        key = secrets.token_urlsafe(16)
        asked = {
            "description": file.about,
            "sizeInBytes": len(file.content),
            "acceptContext": {"file": key},
            "declineContext": {"file": key},
        }
        self._files[key] = person.key, file
        await self._attach(place, {"contentType": FILE_CONSENT, "name": file.name, "content": asked})
        minutes = int(FILES_KEPT // 60)
        return f"Take it in our personal chat within {minutes} minutes; it then lies in your OneDrive."

    async def consented(self, arrival: Arrival, address: str) -> None:
        """Hands over a file to the person who was asked, once, or throws it away.

        Args:
            arrival: Their answer.
            address: Where the file goes, checked; empty where they do not want it.
        """
        assert arrival.person is not None
        said = arrival.value if isinstance(arrival.value, Mapping) else {}
        key = text_of(part_of(said, "context"), "file")
        whose, file = self._files.get(key, ("", None))
        if file is None or whose != arrival.person.key:
            await self.line(arrival.place, "I do not have that file any more. Ask for it again.")
            return
        del self._files[key]
        if not address:
            await self.line(arrival.place, f"I have thrown {file.name} away.")
            return
        try:
            await self._connector.upload(address, file.content)
        except Undelivered as error:
            self._files[key] = whose, file
            await self.line(arrival.place, f"{error.sentence} Press the button again, or ask again later.")
            return
        given = part_of(said, "uploadInfo")
        stored = {"uniqueId": text_of(given, "uniqueId"), "fileType": text_of(given, "fileType") or "csv"}
        card: Json = {"contentType": FILE_INFO, "name": file.name, "content": stored}
        await self._attach(arrival.place, card | {"contentUrl": text_of(given, "contentUrl")})

    async def _attach(self, place: Place, attachment: Json) -> None:
        message = {"type": "message", "attachments": [attachment]}
        await self._connector.send(await self._service(place), conversation_of(place), message)

    # --- what only Teams has ---

    async def drawn(self, answer: Answer) -> Json:
        """A card by itself, without the message around it."""
        card: Json = json.loads(await self._rendered.of(answer))["attachments"][0]["content"]
        return card

    async def line(self, place: Place, text: str) -> None:
        """One line of plain text. Raises `Undelivered`."""
        plain = {"type": "message", "text": text, "textFormat": "plain"}
        await self._connector.send(await self._service(place), conversation_of(place), plain)

    async def typing(self, place: Place) -> None:
        """Show for a few seconds that an answer is under way; of no importance, so it never fails."""
        try:
            await self._connector.send(await self._service(place), conversation_of(place), {"type": "typing"})
        except (Undelivered, StoreUnavailable):
            log.info("no typing indicator", place=place.key)

    def reference(self, arrival: Arrival) -> MessageRef | None:
        """The message that was pressed."""
        if not arrival.replied:
            return None
        handle = json.dumps([arrival.service, arrival.conversation, arrival.replied])
        return MessageRef(PLATFORM, arrival.place, handle)


HOW_TO_ADD = "Open Apps in Teams, search for my name and choose Add, then ask again."


def object_id(member: Mapping[str, Any]) -> str | None:
    """The directory's id of a member of a roster, lower case; None where it tells none."""
    return (text_of(member, "aadObjectId") or text_of(member, "objectId")).lower() or None


def profile_of(member: Mapping[str, Any], person: Person) -> Profile:
    """A member of a roster as a profile; whoever is not clearly a full member of the tenant is none.

    Fields are those of https://learn.microsoft.com/microsoftteams/platform/bots/how-to/get-teams-context.
    """
    if object_id(member) != person.id:
        return Profile()
    role, tenant = text_of(member, "userRole").lower(), text_of(member, "tenantId").lower()
    principal = text_of(member, "userPrincipalName")
    if role == "bot":
        standing = Standing.BOT
    elif tenant != person.home:
        standing = Standing.EXTERNAL
    elif role == "guest" or "#ext#" in principal.lower():
        standing = Standing.GUEST
    elif role == "user":
        standing = Standing.MEMBER
    else:
        standing = Standing.EXTERNAL
    email = text_of(member, "email") or principal
    return Profile(name=text_of(member, "name") or None, email=email or None, standing=standing)


def _is_member(listed: object, home: str) -> bool:
    """Whether a line of a roster is one of a full member of the tenant."""
    if not isinstance(listed, Mapping):
        return False
    person = Person(PLATFORM, home, object_id(listed) or "")
    return profile_of(listed, person).standing is Standing.MEMBER


def _message(card: Card, reader: Reader, shorten: Shorten | None = None, *, charts: bool) -> bytes:
    return encoded(_attached(full_width(render(card, reader, shorten, charts=charts)), announce(card)))


def _attached(card: Json, summary: str) -> Json:
    return {
        "type": "message",
        "attachments": [{"contentType": CARD, "content": card}],
        "summary": summary,
    }


def _handle(ref: MessageRef) -> tuple[str, str, str]:
    try:
        service, conversation, message = json.loads(ref.handle)
    except (ValueError, TypeError) as error:
        raise Undelivered("I do not know this message any more.") from error
    return str(service), str(conversation), str(message)


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
