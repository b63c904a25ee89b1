"""The `Chat` port on Teams: messages, files, forms, people; and what outlives the program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.teams import chat as chat_module
from adapters.teams.chat import TeamsChat, profile_of
from adapters.teams.payloads import Arrival, read
from adapters.teams.sdk import AppIdentity
from bot.commands.help import Help
from bot.model.cards import Answer, Button, Card, Run, Status
from bot.model.errors import Undelivered
from bot.model.people import MessageRef, Person, Place, Standing, Visibility
from bot.store import Store
from tests.fake_teams import (
    CHANNEL,
    FOREIGN,
    PERSONAL,
    TENANT,
    Account,
    FakeTeams,
    Json,
    Scope,
    StillClock,
)

CLERK = Account("clerk", 3)
LONER = Account("loner", 6, added=False)
HI = Answer(Card("Hello"))
WORKING = Answer(Card("Working", status=Status.WORKING), editable=True)


def person(account: Account) -> Person:
    return Person("teams", TENANT, account.object_id, account.name)


@pytest.fixture
async def teams() -> AsyncIterator[FakeTeams]:
    async with FakeTeams((CLERK, LONER)) as fake:
        yield fake


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.temporary(StillClock()) as opened:
        yield opened


@pytest.fixture
async def open_chat(store: Store) -> AsyncIterator[Callable[[], TeamsChat]]:
    """Makes chats over the same store: a second one is the program after a restart."""
    opened: list[TeamsChat] = []

    def make() -> TeamsChat:
        opened.append(TeamsChat(AppIdentity("", ""), store, StillClock(), chance=lambda: 0.5))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


def arrival(teams: FakeTeams, who: Account, scope: Scope = PERSONAL, **changes: Any) -> Arrival:
    return read(teams.said(who, "hi", scope, **changes), tenants=[TENANT], hosts=(), loopback=True)


# --- references ------------------------------------------------------------------------------------------------


async def test_places_and_messages_are_reached_after_a_restart(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat]
) -> None:
    first, second = open_chat(), open_chat()
    came = arrival(teams, CLERK, CHANNEL)
    await first.note(came)
    ref = await first.post(came.place, HI)
    await second.update(ref, Answer(Card("Changed")))
    await second.post(came.place, Answer(Card("Another")))
    assert [each.text.strip() for each in teams.seen(CHANNEL.id)] == ["Changed", "Another"]


async def test_a_thread_is_answered_in_the_thread(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat]
) -> None:
    chat = open_chat()
    came = arrival(teams, CLERK, CHANNEL)
    await chat.note(came)
    await chat.post(replace(came.place, thread=""), HI)
    assert [each.text.strip() for each in teams.seen("19:channel@thread.tacv2")] == ["Hello"]


async def test_a_place_nobody_spoke_in_is_not_written_to(open_chat: Callable[[], TeamsChat]) -> None:
    with pytest.raises(Undelivered, match="do not know how to reach"):
        await open_chat().post(Place("teams", TENANT, "19:x", Visibility.CHANNEL), HI)


@pytest.mark.parametrize("handle", ["", "{}", "[1]", "[[", "null"])
async def test_a_broken_reference_is_undelivered(open_chat: Callable[[], TeamsChat], handle: str) -> None:
    place = Place("teams", TENANT, "19:x", Visibility.CHANNEL)
    with pytest.raises(Undelivered):
        await open_chat().update(MessageRef("teams", place, handle), HI)


async def test_a_mention_is_a_message_of_its_own(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat]
) -> None:
    chat = open_chat()
    came = arrival(teams, CLERK, CHANNEL)
    await chat.note(came)
    ref = await chat.post(came.place, HI)
    await chat.update(ref, Answer(Card("It is done."), mention=(person(CLERK),)))
    assert [each.mentioned for each in teams.seen(CHANNEL.id)] == [[], [CLERK.object_id]]
    assert teams.last(CHANNEL.id).body["summary"] == "It is done."


async def test_a_sentence_too_long_for_a_button_is_kept_under_a_short_one(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat], store: Store
) -> None:
    chat = open_chat()
    came = arrival(teams, CLERK)
    await chat.note(came)
    await chat.post(came.place, Answer(Card("Long", buttons=(Button("Go", Run(Help(topic="x" * 900))),))))
    sentence = teams.last(CLERK.personal).buttons["Go"]["data"]["run"]
    assert len(sentence) < 60
    assert await store.sentence(sentence.removeprefix("again ").strip('"')) == f"help {'x' * 900}"


# --- people ----------------------------------------------------------------------------------------------------


async def test_a_profile_comes_from_the_roster_and_the_client_and_is_kept(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat]
) -> None:
    chat = open_chat()
    await chat.note(arrival(teams, CLERK))
    for _ in range(3):
        found = await chat.profile(person(CLERK))
        assert (found.name, found.email, found.standing) == ("clerk", "clerk@example.com", Standing.MEMBER)
        assert (found.zone, found.locale, found.groups) == ("Europe/Berlin", "en_GB", None)
    assert sum(each.method == "GET" for each in teams.sent) == 1


async def test_who_cannot_be_read_is_unknown_and_tried_again_soon(teams: FakeTeams, store: Store) -> None:
    clock = StillClock()
    chat = TeamsChat(AppIdentity("", ""), store, clock)
    try:
        assert (await chat.profile(person(CLERK))).standing is Standing.UNKNOWN
        teams.faults = [(500, {}), (500, {})]
        await chat.note(arrival(teams, CLERK))
        clock.passed += chat_module.UNREADABLE_KEPT
        assert (await chat.profile(person(CLERK))).standing is Standing.UNKNOWN
        clock.passed += chat_module.UNREADABLE_KEPT
        assert (await chat.profile(person(CLERK))).standing is Standing.MEMBER
    finally:
        await chat.close()


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        ({}, Standing.MEMBER),
        ({"userRole": "guest"}, Standing.GUEST),
        ({"userPrincipalName": "a_b.com#EXT#@example.com"}, Standing.GUEST),
        ({"tenantId": FOREIGN}, Standing.EXTERNAL),
        ({"tenantId": FOREIGN, "userRole": "guest"}, Standing.EXTERNAL),
        ({"tenantId": None}, Standing.EXTERNAL),
        ({"userRole": "anonymous"}, Standing.EXTERNAL),
        ({"userRole": None}, Standing.EXTERNAL),
        ({"userRole": ["user"]}, Standing.EXTERNAL),
        ({"userRole": "bot"}, Standing.BOT),
        ({"aadObjectId": "0b1ec700-0000-4000-8000-000000000099"}, Standing.UNKNOWN),
        ({"aadObjectId": None}, Standing.UNKNOWN),
    ],
)
def test_only_a_full_member_of_the_tenant_is_a_member(change: Json, standing: Standing) -> None:
    assert profile_of(CLERK.roster() | change, person(CLERK)).standing is standing


async def test_a_person_is_written_to_first_only_if_they_added_the_bot(
    teams: FakeTeams, open_chat: Callable[[], TeamsChat]
) -> None:
    chat = open_chat()
    await chat.note(arrival(teams, CLERK, CHANNEL))
    await chat.note(arrival(teams, LONER, CHANNEL))
    direct = await chat.direct(person(CLERK))
    assert direct is not None
    assert direct.visibility is Visibility.PERSONAL
    await chat.post(direct, HI)
    assert teams.last(CLERK.personal).text.strip() == "Hello"
    assert await chat.direct(person(LONER)) is None
    assert await chat.direct(Person("teams", TENANT, "never-seen")) is None
    again = open_chat()
    assert await again.direct(person(CLERK)) == direct
    assert sum(each.path == "conversations" for each in teams.sent) == 2, "and it is remembered"


# --- forms and files -------------------------------------------------------------------------------------------
