"""Who sees which card, and which message changes, for whatever a bot may say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from adapters.teams import app as listen
from adapters.teams.app import PATH, TeamsListener
from adapters.teams.chat import TeamsChat
from adapters.teams.sdk import AppIdentity
from bot.commands.help import Help
from bot.model.cards import Answer, Button, Card, Confirm, Everyone, Only, Run, Status
from bot.model.errors import StoreUnavailable
from bot.model.people import MessageRef, Person, Request
from bot.store import Store
from bot.visit import Show
from tests.fake_teams import CHANNEL, PERSONAL, TENANT, Account, FakeTeams, Json, Message, Scope, StillClock

CLERK = Account("clerk", 3)
OTHER = Account("other", 4)
LONER = Account("loner", 6, added=False)
MESSAGE = "application/vnd.microsoft.activity.message"


def person(account: Account) -> Person:
    return Person("teams", TENANT, account.object_id, account.name)


PRIVATE = Answer(Card("For you: 42"), audience=Only(person(CLERK)))
PUBLIC = Answer(Card("For all: 42", buttons=(Button("Again", Run(Help())),)), audience=Everyone())
WORKING = Answer(Card("Working on it …", status=Status.WORKING), audience=Only(person(CLERK)))
PROGRESS = Answer(Card("Looking once more", status=Status.WORKING), editable=True)
QUESTION = Answer(
    Card(
        "Stop it?",
        status=Status.QUESTION,
        buttons=(Button("Stop", Confirm("ticket-of-a-test-1")),),
    ),
    editable=True,
    ticket="ticket-of-a-test-1",
)


@dataclass
class Scripted:
    """A bot that says what it was told to say."""

    cards: list[Answer] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    attached: list[tuple[str, MessageRef]] = field(default_factory=list)
    wait: asyncio.Event | None = None
    fault: Exception | None = None

    async def answer(self, request: Request, show: Show) -> None:
        self.asked.append(request)
        if self.wait is not None:
            await self.wait.wait()
        for card in self.cards:
            await show(card)
            for _ in range(3 if card.working else 0):
                await asyncio.sleep(0)  # work takes its time, so this is shown
        if self.fault is not None:
            raise self.fault

    async def attach(self, ticket_id: str, ref: MessageRef) -> None:
        self.attached.append((ticket_id, ref))


@dataclass
class World:
    teams: FakeTeams
    bot: Scripted
    listener: TeamsListener
    client: TestClient[Any, Any]
    refused: list[str]

    async def settle(self) -> None:
        await self.listener.deliveries.idle()

    async def post(self, body: Json) -> tuple[int, Json]:
        async with self.client.post(PATH, json=body) as reply:
            return reply.status, await reply.json() if reply.content_type == "application/json" else {}

    async def says(self, who: Account, scope: Scope, *cards: Answer) -> list[Message]:
        """What stands in the place after the bot said these cards."""
        self.bot.cards = list(cards)
        assert (await self.post(self.teams.said(who, "anything", scope)))[0] == 202
        await self.settle()
        return self.teams.seen(scope.id or who.personal)

    async def presses(self, who: Account, message: Message, scope: Scope, *cards: Answer) -> Json:
        self.bot.cards = list(cards)
        status, answer = await self.post(self.teams.pressed(who, message, "Again", scope))
        assert status == 200
        await self.settle()
        return answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with opened() as made:
        yield made


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    clock = StillClock()
    bot = Scripted()
    refused: list[str] = []
    async with FakeTeams((CLERK, OTHER, LONER)) as teams, await Store.temporary(clock) as store:
        identity = AppIdentity("", "")
        chat = TeamsChat(identity, store, clock, chance=lambda: 0.5)
        listener = TeamsListener(
            bot,
            chat,
            store,
            clock,
            identity=identity,
            tenants=[TENANT],
            host="127.0.0.1",
            service_hosts=(),
            development=True,
            ids=lambda: "r1",
            refused=refused.append,
        )
        app = Application()
        for at, handler in listener.routes().items():
            app.router.add_route(*at, handler)
        await listener.start()
        async with TestClient(TestServer(app)) as client:
            yield World(teams, bot, listener, client, refused)
        await listener.close()


async def test_a_request_tells_the_bot_who_where_and_what(world: World) -> None:
    await world.says(CLERK, CHANNEL, PUBLIC)
    (request,) = world.bot.asked
    assert (request.id, request.person.key, request.message) == ("r1", person(CLERK).key, None)
    assert (request.place.id, request.place.thread) == ("19:channel@thread.tacv2", "1700000000001")


async def test_working_on_a_message_is_a_typing_indicator_and_leaves_nothing_behind(world: World) -> None:
    shown = await world.says(CLERK, CHANNEL, WORKING, PUBLIC)
    assert [each.text.strip() for each in shown] == ["For all: 42 Again"]
    assert world.teams.typing == [CHANNEL.id]


async def test_working_on_a_click_is_told_to_the_clicker_and_the_card_changes_later(world: World) -> None:
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    answer = await world.presses(
        CLERK, message, CHANNEL, WORKING, replace(PUBLIC, card=replace(PUBLIC.card, headline="Page 2"))
    )
    assert (answer["type"], answer["value"]) == (MESSAGE, "Working on it …")
    assert message.text.strip() == "Page 2 Again"
    assert world.teams.typing == []


async def test_cards_of_one_answer_replace_each_other(world: World) -> None:
    shown = await world.says(
        CLERK, PERSONAL, PROGRESS, PUBLIC, replace(PUBLIC, card=replace(PUBLIC.card, headline="Last"))
    )
    assert [each.text.strip() for each in shown] == ["Last Again"]


async def test_private_cards_of_one_answer_replace_each_other_and_the_place_is_told_once(
    world: World,
) -> None:
    place = await world.says(
        CLERK, CHANNEL, PRIVATE, replace(PRIVATE, card=replace(PRIVATE.card, headline="For you: 43"))
    )
    assert [each.text for each in place] == ["clerk: I have answered in our personal chat."]
    assert [each.text.strip() for each in world.teams.seen(CLERK.personal)] == ["For you: 43"]


async def test_a_private_question_is_known_by_its_message_in_the_personal_chat(world: World) -> None:
    await world.says(CLERK, CHANNEL, replace(QUESTION, audience=Only(person(CLERK))))
    ((ticket, ref),) = world.bot.attached
    assert ticket == "ticket-of-a-test-1"
    assert world.teams.last(CLERK.personal).id in ref.handle
    assert "Stop it?" not in " ".join(each.text for each in world.teams.seen(CHANNEL.id))


async def test_a_card_for_somebody_else_goes_to_them(world: World) -> None:
    await world.says(OTHER, PERSONAL, replace(PUBLIC, card=replace(PUBLIC.card, headline="hi")))
    await world.says(CLERK, PERSONAL, replace(PRIVATE, audience=Only(person(OTHER))))
    assert "42" in world.teams.last(OTHER.personal).text
    assert "42" not in " ".join(each.text for each in world.teams.seen(CLERK.personal))


async def test_a_card_beside_a_click_is_private_even_if_it_is_for_everyone(world: World) -> None:
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    answer = await world.presses(
        OTHER, message, CHANNEL, Answer(Card("Already done", status=Status.REFUSED), replaces=False)
    )
    assert (answer["type"], answer["value"]) == (MESSAGE, "Already done")
    assert message.updates == 0
    assert len(world.teams.seen(CHANNEL.id)) == 1
    assert "Already done" in world.teams.last(OTHER.personal).text


async def test_a_private_card_for_who_cannot_be_reached_shows_nothing_but_how(world: World) -> None:
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    answer = await world.presses(LONER, message, CHANNEL, replace(PRIVATE, audience=Only(person(LONER))))
    assert answer["type"] == MESSAGE
    assert "choose Add" in answer["value"]
    assert "For you" not in world.teams.everything() + str(answer)


async def test_a_question_is_attached_to_its_message(world: World) -> None:
    (message,) = await world.says(CLERK, CHANNEL, QUESTION)
    ((ticket, ref),) = world.bot.attached
    assert ticket == "ticket-of-a-test-1"
    assert message.id in ref.handle


async def test_where_the_bot_cannot_write_the_answer_goes_to_the_personal_chat(world: World) -> None:
    await world.says(CLERK, PERSONAL, PUBLIC)
    world.teams.faults = [(403, {})]
    place = await world.says(CLERK, CHANNEL, replace(QUESTION, mention=(person(CLERK),)))
    assert [each.text for each in place] == ["clerk: I have answered in our personal chat."]
    assert "Stop it?" in " ".join(each.text for each in world.teams.seen(CLERK.personal))


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), StoreUnavailable("The database is away.")])
async def test_a_fault_is_never_a_500_and_says_nothing_of_itself(world: World, fault: Exception) -> None:
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    world.bot.fault = fault
    answer = await world.presses(CLERK, message, CHANNEL)
    assert answer["type"] == MESSAGE
    assert "a bug" not in answer["value"]


async def test_silence_is_an_answer_too(world: World) -> None:
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    assert (await world.presses(CLERK, message, CHANNEL))["value"] == "There is nothing to show."


async def test_a_slow_bot_does_not_keep_the_client_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "INVOKE_PATIENCE", 0.01)
    (message,) = await world.says(CLERK, CHANNEL, PUBLIC)
    world.bot.wait = asyncio.Event()
    world.bot.cards = [replace(PUBLIC, card=replace(PUBLIC.card, headline="Late"))]
    status, answer = await world.post(world.teams.pressed(CLERK, message, "Again", CHANNEL))
    assert (status, answer["value"]) == (200, "Working on it …")
    world.bot.wait.set()
    await world.settle()
    assert message.text.strip() == "Late Again"


async def test_too_much_at_once_is_sent_back_for_later(world: World) -> None:
    world.listener.deliveries.most = 1
    world.bot.wait = asyncio.Event()
    assert (await world.post(world.teams.said(CLERK, "one")))[0] == 202
    assert (await world.post(world.teams.said(CLERK, "two")))[0] == 503
    world.bot.wait.set()
    await world.settle()
    assert len(world.bot.asked) == 1


async def test_refusals_are_counted(world: World) -> None:
    await world.post(world.teams.said(CLERK, "hi") | {"channelId": "emulator"})
    assert world.refused == ["403"]
