"""A whole bot over a sandbox, for telling stories: who says and clicks what, and what comes back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from adapters.outgoing import Answering
from adapters.server import Built, build
from bot import config
from bot.language.say import say, with_typed
from bot.model.cards import (
    Action,
    Answer,
    Button,
    Card,
    Choices,
    Confirm,
    Dismiss,
    Input,
    Run,
    Status,
    Submit,
)
from bot.model.chat import File
from bot.model.clock import SystemClock
from bot.model.errors import Undelivered
from bot.model.names import Name
from bot.model.people import (
    Clicked,
    MessageRef,
    Person,
    Place,
    Profile,
    Request,
    Said,
    Standing,
    Utterance,
    Visibility,
)
from bot.sandbox import Sandbox, SandboxOptions, Switches
from bot.store import Store
from bot.store.watches import Watch, WatchKind
from bot.watching.orders import WatchJob

SECRET_KEY = "not a secret - " * 3
"""The same for a bot that is started a second time."""
START = datetime(2026, 11, 20, 22, 56, tzinfo=UTC)
HOME = "T1"


class StoryClock:
    """Time that runs some times (`pace`) faster than ours and can be moved on; its date may stand still for golden files.

    It runs while the event loop does: a machine too busy to go on with the story takes no time from it.
    """

    STEP = 0.1
    """Seconds of ours that may pass unseen; where more have, the loop stood still."""

    def __init__(self, start: datetime = START, *, pace: float = 8.0, still: bool = False) -> None:
        self._start = start
        self.pace = pace
        self._still = still
        self._passed = 0.0
        self._ran = 0.0
        self._seen = SystemClock().monotonic()

    def _elapsed(self) -> float:
        seen = SystemClock().monotonic()
        self._ran += min(seen - self._seen, self.STEP) * self.pace
        self._seen = seen
        return self._ran

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed + (0.0 if self._still else self._elapsed()))

    def monotonic(self) -> float:
        return 1000.0 + self._passed + self._elapsed()

    def seconds(self) -> float:
        """Seconds since 1970, for the sandbox."""
        return self.now().timestamp()

    def pass_by(self, seconds: float) -> None:
        self._passed += seconds

    async def sleep(self, seconds: float) -> None:
        until = self._elapsed() + seconds
        await asyncio.sleep(0)
        while (left := until - self._elapsed()) > 0:  # noqa: ASYNC110 - what is waited for is this clock
            await asyncio.sleep(min(left / self.pace, self.STEP / 2))


class StoryChat:
    """A chat platform that only remembers."""

    def __init__(self) -> None:
        self.posted: list[tuple[Place, Answer]] = []
        self.updated: list[tuple[MessageRef, Answer]] = []
        self.profiles: dict[str, Profile] = {}
        self.known: dict[str, Profile] = {}
        """What is still believed of people until they are looked up anew."""
        self.files: list[tuple[Person, File]] = []
        self.with_outsiders = False
        self.asked_outsiders = 0
        self.profile_takes = 0.0
        """Seconds of the event loop's time, for looking somebody up anew."""
        self.closed: set[str] = set()
        """Ids of places that take no message (any more)."""

    async def post(self, place: Place, answer: Answer) -> MessageRef:
        if place.id in self.closed:
            raise Undelivered("The channel is archived.")
        self.posted.append((place, answer))
        return MessageRef(place.platform, place, f"m{len(self.posted)}")

    async def update(self, ref: MessageRef, answer: Answer) -> None:
        self.updated.append((ref, answer))

    async def file(self, person: Person, file: File) -> str:
        self.files.append((person, file))
        return "It is in our direct message."

    async def profile(self, person: Person, *, anew: bool = False) -> Profile:
        if not anew and person.id in self.known:
            return self.known[person.id]
        if anew:
            await asyncio.sleep(self.profile_takes)
        return self.profiles.get(person.id, Profile(name=person.id, standing=Standing.MEMBER))

    async def outsiders(self, place: Place, *, anew: bool = False) -> bool:
        self.asked_outsiders += 1
        return self.with_outsiders

    async def direct(self, person: Person) -> Place | None:
        return Place(person.platform, person.home, f"D-{person.id}", Visibility.PERSONAL)


def someone(name: str, *, home: str = HOME) -> Person:
    return Person("slack", home, name, name)


OPERATOR = someone("UOPERATOR")
SECOND = someone("USECOND")
CLERK = someone("UCLERK")
GUEST = someone("UGUEST")
CHANNEL = Place("slack", HOME, "C1", Visibility.CHANNEL, name="night shift")
DIRECT = Place("slack", HOME, "D1", Visibility.PERSONAL)


async def following(bot: Answering, request: Request) -> AsyncGenerator[Answer, None]:
    """Each answer as it is shown. The work goes on when the next one is asked for, and dies with the generator."""
    shown: asyncio.Queue[tuple[Answer | None, asyncio.Event]] = asyncio.Queue()

    async def show(answer: Answer) -> None:
        seen = asyncio.Event()
        shown.put_nowait((answer, seen))
        await seen.wait()

    work = asyncio.ensure_future(bot.answer(request, show))
    work.add_done_callback(lambda _: shown.put_nowait((None, asyncio.Event())))
    try:
        while True:
            answer, seen = await shown.get()
            if answer is None:
                await work
                return
            yield answer
            seen.set()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def answers_to(bot: Answering, request: Request) -> list[Answer]:
    """Everything that a bot shows for a request."""
    shown: list[Answer] = []

    async def show(answer: Answer) -> None:
        shown.append(answer)

    await bot.answer(request, show)
    return shown


def all_buttons(card: Card) -> tuple[Button, ...]:
    found: list[Button] = list(card.buttons)
    for block in card.blocks:
        match block:
            case Choices(options=options):
                found.extend(options)
            case Input(submit=submit):
                found.append(submit)
            case _:
                pass
    return tuple(found)


def press(action: Action, typed: str = "") -> Utterance:
    match action:
        case Submit(intent):
            return Clicked(sentence=with_typed(say(intent), typed))
        case Run(intent):
            return Clicked(sentence=say(intent))
        case Confirm(ticket):
            return Clicked(confirm=ticket)
        case Dismiss(ticket):
            return Clicked(dismiss=ticket)
        case _:
            raise AssertionError(f"{action} cannot be pressed")


@dataclass
class Stage:
    """One bot, one sandbox, one chat."""

    sandbox: Sandbox
    built: Built
    chat: StoryChat
    clock: StoryClock
    settings: config.Settings
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, said: Utterance, person: Person, place: Place) -> Request:
        return Request(id=f"r{next(self.ids)}", said=said, person=person, place=place)

    async def answers(
        self, said: Utterance, person: Person = OPERATOR, place: Place = DIRECT
    ) -> list[Answer]:
        return await answers_to(self.built.bot, self.request(said, person, place))

    async def answer(self, text: str, person: Person = OPERATOR, place: Place = DIRECT) -> Answer:
        """The last answer."""
        return (await self.answers(Said(text), person, place))[-1]

    async def cards(self, said: Utterance, person: Person = OPERATOR, place: Place = DIRECT) -> list[Card]:
        return [each.card for each in await self.answers(said, person, place)]

    async def says(self, text: str, person: Person = OPERATOR, place: Place = DIRECT) -> Card:
        """The last card of the answer."""
        return (await self.cards(Said(text), person, place))[-1]

    async def presses(self, card: Card, label: str, person: Person = OPERATOR, place: Place = DIRECT) -> Card:
        return (await self.cards(self.what(card, label), person, place))[-1]

    def what(self, card: Card, label: str) -> Utterance:
        found = [each for each in all_buttons(card) if label.casefold() in each.label.casefold()]
        assert found, f"no button {label!r} among {[each.label for each in all_buttons(card)]}"
        return press(found[0].action)

    def cancels(self) -> list[str]:
        """Cancel calls that reached the sandbox."""
        return [
            each.path for each in self.sandbox.log if each.method == "POST" and each.path.endswith("/cancel")
        ]

    def starts(self) -> list[str]:
        """Calls to start a job that reached the sandbox."""
        return [
            each.path
            for each in self.sandbox.log
            if each.method == "POST" and each.path.partition("?")[0].endswith("/execute")
        ]

    def asked(self) -> int:
        return len(self.sandbox.log)


def rules() -> tuple[config.Rule, ...]:
    who = config.Who(slack=tuple(f"{person.home}:{person.id}" for person in (OPERATOR, SECOND)))
    return (
        config.Rule(
            name="operators",
            who=who,
            may=(config.Right.CANCEL, config.Right.RUN, config.Right.RUN_FULL, config.Right.EXPORT),
        ),
        config.Rule(
            name="what everybody in the channel may see",
            who=config.Who(places=(CHANNEL.key,)),
            may=(config.Right.PUBLIC,),
            on=config.On(pool=("SAP ECC",)),
        ),
        config.Rule(
            name="admins",
            who=config.Who(slack=(f"{HOME}:UADMIN",)),
            may=(config.Right.ADMIN, config.Right.MANAGE),
        ),
    )


def set_before(owner: Person, place: Place) -> Watch:
    """A watch by the id that the examples of commands name."""
    sentence = say(WatchJob(job=Name("final job"), pool=Name("SAP ECC")))
    return Watch("k3f7", WatchKind.JOB, sentence, "sandbox", owner, place, "Europe/Berlin", START, START)


@asynccontextmanager
async def stage(
    *,
    key: str = "operator",
    switches: Switches | None = None,
    store: Store | None = None,
    sandbox: Sandbox | None = None,
    clock: StoryClock | None = None,
    policy: Sequence[config.Rule] | None = None,
    connection: Mapping[str, object] | None = None,
    hidden: Sequence[config.HiddenField] = (),
    members_read: bool = True,
    second: bool = False,
    reads_logged: bool = False,
    admin: config.Admin | None = None,
    **more: object,
) -> AsyncIterator[Stage]:
    """A bot bound to workspace T1, over a sandbox whose clock is the bot's.

    Args:
        key: Which of the sandbox's keys the bot has.
        switches: Of a new sandbox.
        store: An own one, to start the bot a second time over it.
        sandbox: A running one, else a new one.
        clock: The clock of a running sandbox.
        policy: Instead of `rules()`.
        connection: Changes to the connection's settings.
        hidden: Fields that nobody sees.
        members_read: Whether members read without a rule.
        reads_logged: Whether reads are rows of the audit log too.
        second: Bind another connection, called `second`, to the same team.
        admin: Who runs the bot.
        more: Other changes to the settings.
    """
    clock = clock or StoryClock()
    own = sandbox is None
    if sandbox is None:
        # a story's second is shorter than the server's, and its date may stand still
        quick = replace(switches or Switches(cancel_delay=1.0), per_second=100_000)
        sandbox = Sandbox(SandboxOptions(now=clock.seconds, switches=quick))
        await sandbox.start()
    kept = store or await Store.temporary(clock)
    try:
        settings = config.Settings.for_demo(
            sandbox.url,
            getattr(sandbox.keys, key).secret,
            zone="Europe/Berlin",
            secret_key=SECRET_KEY,
        )
        connections = {
            name: each.model_copy(update={"total_retry": 0, **(connection or {})})
            for name, each in settings.connections.items()
        }
        if second:
            connections["second"] = connections["sandbox"].model_copy(
                update={"name": "second", "title": "second"}
            )
        here = config.Binding(slack=HOME, connections=tuple(connections))
        settings = settings.model_copy(
            update={
                "connections": connections,
                "bindings": (*settings.bindings, here),
                "policy": tuple(rules() if policy is None else policy),
                "hide_fields": tuple(hidden),
                "members_read": members_read,
                "audit": config.AuditSettings(reads=reads_logged),
                "admin": admin or config.Admin(),
                **more,
            }
        )
        chat = StoryChat()
        chat.profiles[GUEST.id] = Profile(name="guest", standing=Standing.GUEST)
        numbers = itertools.count(1 if store is None else 1_000)
        async with build(
            settings,
            chats={"slack": chat, "teams": chat},
            store=kept,
            clock=clock,
            token=lambda: f"ticket{next(numbers):016d}",
        ) as built:
            yield Stage(sandbox, built, chat, clock, settings)
    finally:
        if store is None:
            await kept.close()
        if own:
            await sandbox.stop()


def working(cards: Sequence[Card]) -> list[Card]:
    return [card for card in cards if card.status is Status.WORKING]
