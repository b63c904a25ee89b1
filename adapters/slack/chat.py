"""Slack as the product sees it: messages, and what is known of people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import structlog
from cachetools import LRUCache, TTLCache

from adapters.outgoing import Rendered
from adapters.slack.blocks import encoded, escape, render, render_mention
from adapters.slack.client import Refused, WebApi
from bot.config import Slack
from bot.model.cards import Answer, Card, Only, Reader, Status
from bot.model.chat import File
from bot.model.clock import Clock, known_zones
from bot.model.errors import Undelivered
from bot.model.kept import Kept
from bot.model.people import MessageRef, Person, Place, Profile, Standing, Visibility
from bot.render.button_codec import Shorten

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

log = structlog.get_logger()

BETWEEN_UPDATES = 1.0
"""Seconds between two changes of one message; Slack allows about one a second."""
PROFILES_KEPT = 600.0
"""Seconds that a profile is used for reads before it is asked for again; for a write it is always asked for."""
GROUPS_KEPT = 600.0
OUTSIDERS_KEPT = 60.0
MEMBERS_READ = 50
"""Members of a place that are looked up one by one, to see whether guests are among them."""
_PEOPLE = 5000
_MESSAGES = 2000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is on Slack, from `auth.test`."""

    team: str
    user: str
    bot: str = ""
    enterprise: str = ""


@dataclass(slots=True)
class _Current:
    """One message that is being kept current."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0


class SlackChat:
    """`bot.model.chat.Chat` for one Slack app."""

    def __init__(
        self,
        settings: Slack,
        *,
        clock: Clock,
        keep_sentence: Callable[[str], Awaitable[str]],
        read_groups: bool = False,
        charts: bool = False,
    ) -> None:
        """Connects when first used.

        Args:
            settings: Tokens and the API's address.
            clock: For waiting and for what is kept.
            keep_sentence: Keeps a sentence that is too long for a button, and gives its id.
            read_groups: Whether any rule names a user group, so that groups are worth a call (`usergroups:read`).
            charts: Whether Slack draws charts.
        """
        self.api = WebApi(settings.bot_token, settings.api_url, clock)
        self._clock = clock
        self._rendered = Rendered(partial(_message, charts=charts), keep_sentence)
        self._read_groups = read_groups
        self._identity: Identity | None = None
        self._messages: LRUCache[str, _Current] = LRUCache(_MESSAGES)
        self._mentioned: LRUCache[tuple[str, str], bool] = LRUCache(_MESSAGES)
        self._profiles: Kept[str, tuple[Profile, float]] = Kept(_PEOPLE)
        self._directs: Kept[str, Place] = Kept(_PEOPLE)
        self._groups: TTLCache[str, Mapping[str, frozenset[str]] | None] = TTLCache(
            1, GROUPS_KEPT, timer=clock.monotonic
        )
        self._outsiders: TTLCache[str, bool] = TTLCache(_PEOPLE, OUTSIDERS_KEPT, timer=clock.monotonic)
        self._flights: dict[str, asyncio.Task[Any]] = {}

    async def close(self) -> None:
        """Closes its connections."""
        await self.api.close()

    async def identity(self) -> Identity:
        """Who the bot is; asked once.

        Raises:
            Refused: Slack does not say.
        """
        if self._identity is None:
            self._identity = await self._shared("identity", self._ask_who())
        return self._identity

    async def _ask_who(self) -> Identity:
        said = await self.api.call("auth.test", again=True)
        return Identity(
            team=str(said.get("team_id") or said.get("enterprise_id") or ""),
            user=str(said.get("user_id") or ""),
            bot=str(said.get("bot_id") or ""),
            enterprise=str(said.get("enterprise_id") or ""),
        )

    @property
    def known(self) -> Identity | None:
        """Who the bot is, where that was asked already."""
        return self._identity

    # --- messages ---

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        """Sends an answer as a message of its own; for one person's eyes only it cannot be changed later.

        Raises:
            Undelivered: Slack did not take it.
        """
        if isinstance(answer.audience, Only) and place.visibility is not Visibility.PERSONAL:
            return await self.whisper(place, answer.audience.person, answer)
        sent = await self._sent(
            answer,
            lambda message: self.api.call(
                "chat.postMessage",
                lane=place.id,
                channel=place.id,
                thread_ts=place.thread,
                unfurl_links=False,
                unfurl_media=False,
                message=message,
            ),
        )
        ref = message_ref(place, str(sent.get("channel") or place.id), str(sent.get("ts") or ""))
        await self._mention(ref, answer)
        return ref

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        """Replaces a message, at most once a second.

        Raises:
            Undelivered: Slack did not take it, it cannot be changed, or others would see what is for one person only.
        """
        channel, ts = _spot(ref)
        if isinstance(answer.audience, Only) and ref.place.visibility is not Visibility.PERSONAL:
            raise Refused("This answer is for one person, and others see the message.", code="not_for_all")
        current = self._messages.get(ref.handle)
        if current is None:
            current = self._messages[ref.handle] = _Current()
        async with current.turn:
            await self._clock.sleep(current.free_at - self._clock.monotonic())
            await self._sent(
                answer,
                lambda message: self.api.call(
                    "chat.update",
                    lane=channel,
                    again=True,
                    channel=channel,
                    ts=ts,
                    message=message,
                ),
            )
            current.free_at = self._clock.monotonic() + BETWEEN_UPDATES
        await self._mention(ref, answer)

    async def whisper(
        self, place: Place, person: Person, answer: Answer, *, threaded: bool = True
    ) -> MessageRef:
        """Shows an answer to one person among others; it goes away when they load Slack anew.

        Args:
            place: Where.
            person: Who sees it.
            answer: What.
            threaded: Whether it belongs into the place's thread, which Slack shows only where the thread has replies
                (https://docs.slack.dev/reference/methods/chat.postEphemeral).

        Raises:
            Undelivered: Slack did not take it.
        """
        await self._sent(
            answer,
            lambda message: self.api.call(
                "chat.postEphemeral",
                lane=place.id,
                channel=place.id,
                user=person.id,
                thread_ts=place.thread if threaded else "",
                message=message,
            ),
        )
        return MessageRef("slack", place, "")

    async def respond(self, url: str, answer: Answer, *, replace: bool) -> None:
        """Shows an answer to one person through a `response_url`.

        Raises:
            Undelivered: Slack did not take it, or the address is used up.
        """
        await self._sent(
            answer,
            lambda message: self.api.respond(
                url,
                {"response_type": "ephemeral", "replace_original": replace},
                message,
            ),
        )

    async def remove(self, ref: MessageRef) -> None:
        """Removes a message of the bot's; one that is gone already is removed
        (https://docs.slack.dev/reference/methods/chat.delete).

        Raises:
            Undelivered: Slack did not do it.
        """
        channel, ts = _spot(ref)
        try:
            await self.api.call("chat.delete", lane=channel, again=True, channel=channel, ts=ts)
        except Refused as error:
            if not error.gone:
                raise

    async def file(self, person: Person, file: File) -> str:
        """See `Chat`: into the direct conversation
        (https://docs.slack.dev/messaging/working-with-files#uploading_files).

        Raises:
            Undelivered: Slack did not take it, or the bot cannot write to the person.
        """
        place = await self.direct(person)
        if place is None:
            raise Undelivered(
                "I cannot write to you directly, so I kept no file.",
                hint="Open a direct message with me, and ask again.",
                undone="The file was not sent.",
            )
        given = await self.api.form(
            "files.getUploadURLExternal", filename=file.name, length=str(len(file.content))
        )
        await self.api.upload(str(given.get("upload_url") or ""), file.content)
        await self.api.call(
            "files.completeUploadExternal",
            lane=place.id,
            files=[{"id": str(given.get("file_id") or ""), "title": file.name}],
            channel_id=place.id,
            initial_comment=escape(file.about),
        )
        return "It is in our direct message."

    async def _sent(self, answer: Answer, send: Callable[[bytes], Awaitable[T]]) -> T:
        """Sends an answer; one that Slack cannot draw goes out as its headline, which says so."""
        try:
            return await send(await self._rendered.of(answer))
        except ValueError:
            log.exception("card cannot be rendered", headline_length=len(answer.card.headline))
        except Refused as error:
            if not error.undrawable:
                raise
            log.error("slack cannot draw a card", code=error.code)  # noqa: TRY400 - the code is all there is
        status = answer.card.status
        plain = Card(
            answer.card.headline,
            status=status if status is not Status.QUESTION else Status.FAILED,
            title="The rest of this answer cannot be shown on Slack. An admin of the bot finds why in its log.",
        )
        return await send(_message(plain, answer.reader))

    async def _mention(self, ref: MessageRef, answer: Answer) -> None:
        """The reply that mentions somebody; once for each message and text, and its failure is only logged."""
        text = answer.card.headline
        if not answer.mention or (ref.handle, text) in self._mentioned or not ref.handle:
            return
        self._mentioned[ref.handle, text] = True
        channel, ts = _spot(ref)
        message = encoded(render_mention(answer.mention, text))
        try:
            await self.api.call(
                "chat.postMessage",
                lane=channel,
                channel=channel,
                thread_ts=ref.place.thread or ts,
                unfurl_links=False,
                unfurl_media=False,
                message=message,
            )
        except Undelivered as error:
            log.warning("mention not delivered", error=error.sentence)

    # --- people ---

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        """What is known of a person; asked for once in ten minutes, or now. Never raises."""
        if anew:
            return await self._look_up(person, anew=True)
        known = self._profiles.get(person.key)
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        return await self._shared(person.key, self._look_up(person))

    async def _look_up(self, person: Person, *, anew: bool = False) -> Profile:
        groups = asyncio.ensure_future(self._groups_of(person.id, anew=anew))
        try:
            identity = await self.identity()
            said = await self.api.form("users.info", user=person.id, include_locale="true")
            found = await groups
        except Undelivered as error:
            log.warning("profile not readable", person=person.key, error=error.sentence)
            self._profiles.pop(person.key, None)
            return Profile()
        finally:
            groups.cancel()
        user = said.get("user")
        if not isinstance(user, dict) or user.get("id") != person.id:
            return Profile()
        profile = profile_of(user, person, identity, groups=found)
        self._profiles[person.key] = profile, self._clock.monotonic() + PROFILES_KEPT
        return profile

    async def _groups_of(self, user: str, *, anew: bool) -> frozenset[str] | None:
        if not self._read_groups:
            return None
        if anew:
            await self._read_all_groups()
        elif "all" not in self._groups:
            await self._shared("groups", self._read_all_groups())
        every = self._groups.get("all")
        return None if every is None else every.get(user, frozenset())

    async def _read_all_groups(self) -> None:
        try:
            team = (await self.identity()).team
            said = await self.api.form("usergroups.list", include_users="true")
        except Undelivered as error:
            log.warning("user groups not readable", error=error.sentence)
            self._groups["all"] = None
            return
        found: dict[str, set[str]] = {}
        for group in said.get("usergroups") or ():
            for user in group.get("users") or ():
                found.setdefault(str(user), set()).add(
                    f"slack:{group.get('team_id') or team}:{group.get('id')}"
                )
        self._groups["all"] = {user: frozenset(groups) for user, groups in found.items()}

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        """Whether guests or people of other organisations read along; looked up once a minute, or anew. Never raises.

        A channel shared with another workspace says so itself; guests are found among its members, and more than 50
        of those are not looked up one by one, so that a larger channel counts as one with guests
        (https://docs.slack.dev/reference/objects/conversation-object).
        """
        known = None if anew else self._outsiders.get(place.id)
        if known is not None:
            return known
        try:
            found = await self._look_for_outsiders(place)
        except Undelivered as error:
            log.warning("members of a place not readable", place=place.key, error=error.sentence)
            return True
        self._outsiders[place.id] = found
        return found

    async def _look_for_outsiders(self, place: Place) -> bool:
        said = await self.api.form("conversations.info", channel=place.id)
        channel = said.get("channel")
        marks = ("is_ext_shared", "is_pending_ext_shared", "is_shared")
        if not isinstance(channel, dict) or any(channel.get(mark) for mark in marks):
            return True
        listed = await self.api.form("conversations.members", channel=place.id, limit=str(MEMBERS_READ + 1))
        members = listed.get("members")
        if not isinstance(members, list) or len(members) > MEMBERS_READ:
            return True
        bot = (await self.identity()).user
        people = [Person("slack", place.home, str(each)) for each in members if each != bot]
        profiles = await asyncio.gather(*(self.profile(each) for each in people))
        return any(each.standing not in (Standing.MEMBER, Standing.BOT) for each in profiles)

    async def direct(self, person: Person) -> Place | None:
        """The person's direct conversation with the bot, None where Slack gives none."""
        known = self._directs.get(person.id)
        if known is not None:
            return known
        try:
            home = (await self.identity()).team
            said = await self.api.call("conversations.open", again=True, users=person.id)
        except Undelivered as error:
            log.warning("no direct message", person=person.key, error=error.sentence)
            return None
        channel = (said.get("channel") or {}).get("id")
        if not isinstance(channel, str):
            return None
        return self.remember_direct(person, Place("slack", home, channel, Visibility.PERSONAL))

    def remember_direct(self, person: Person, place: Place) -> Place:
        """Notes the conversation that a person wrote in."""
        kept = Place("slack", place.home, place.id, Visibility.PERSONAL)
        self._directs[person.id] = kept
        return kept

    async def _shared(self, key: str, work: Coroutine[Any, Any, T]) -> T:
        """Joins whoever asks for the same at the same moment."""
        flight: asyncio.Task[T] | None = self._flights.get(key)
        if flight is not None:
            work.close()
            return await asyncio.shield(flight)
        flight = self._flights[key] = asyncio.create_task(work)
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)


def profile_of(
    user: Mapping[str, Any], person: Person, identity: Identity, *, groups: frozenset[str] | None
) -> Profile:
    """What `users.info` says of a person (https://docs.slack.dev/reference/objects/user-object)."""
    said = user.get("profile")
    card = said if isinstance(said, dict) else {}
    name = card.get("display_name") or card.get("real_name") or user.get("real_name") or user.get("name")
    locale = user.get("locale")
    return Profile(
        name=name if isinstance(name, str) else None,
        email=card["email"] if isinstance(card.get("email"), str) and card["email"] else None,
        groups=groups,
        standing=_standing(user, person, identity),
        zone=user["tz"] if user.get("tz") in known_zones() else None,
        locale=locale.replace("-", "_") if isinstance(locale, str) and locale else None,
    )


def _standing(user: Mapping[str, Any], person: Person, identity: Identity) -> Standing:
    organisation = user.get("enterprise_user")
    teams = {user.get("team_id")}
    if isinstance(organisation, dict):
        teams |= set(organisation.get("teams") or ())
    ours = {identity.team, identity.enterprise} - {""}
    if user.get("is_bot") or user.get("is_workflow_bot") or user.get("id") == "USLACKBOT":
        return Standing.BOT
    if user.get("deleted") or user.get("is_stranger") or not teams & ours:
        return Standing.EXTERNAL
    if person.home not in teams | ours:
        return Standing.EXTERNAL
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return Standing.GUEST
    return Standing.MEMBER


def _message(card: Card, reader: Reader, shorten: Shorten | None = None, *, charts: bool = False) -> bytes:
    return encoded(render(card, reader, shorten, charts=charts))


def message_ref(place: Place, channel: str, ts: str) -> MessageRef:
    """A message for keeps."""
    return MessageRef("slack", place, f"{channel}:{ts}")


def _spot(ref: MessageRef) -> tuple[str, str]:
    channel, _, ts = ref.handle.partition(":")
    if not ts:
        raise Refused("This message cannot be changed.", code="cant_update_message")
    return channel, ts
